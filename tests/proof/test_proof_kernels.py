"""The numba kernels of prover and verifier against plain integers, with and without the JIT."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from riskproof.commit.field.limbs import limbs_of
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.field.transforms import domain, literal_values
from riskproof.proof import kernels
from riskproof.proof.coefficients import P_MINUS_2, element, integer, lagrange_values

P = BLS12_381_FR.modulus
D = domain(BLS12_381_FR, 8)
RNG = random.Random(5)


def some(count: int) -> list[int]:
    return [0, 1, P - 1, *(RNG.randrange(P) for _ in range(count))][:count]


def empty(count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.zeros((count, 4), dtype=np.uint64)


def test_element_and_integer_are_inverse() -> None:
    for x in some(20):
        assert integer(element(x)) == x


def test_powers() -> None:
    out, doubled = empty(5), empty(5)
    kernels.powers_of(element(7), out, doubled)
    assert D.integers(out) == [7 ** (i + 1) for i in range(5)]
    assert D.integers(doubled) == [7 ** (i + 1) * BLS12_381_FR.r % P for i in range(5)]


def test_combine_signed_coefficients_at_the_edges_of_int64() -> None:
    rho, scale = RNG.randrange(P), 10**11
    rows = [
        [0, 0, 0],
        [1, -1, 2],
        [2**63 - 1, -(2**63), 2**63 - 1],
        [-(2**63)] * 3,
        [-5, 0, 0],
    ]
    powers, doubled, out = empty(3), empty(3), empty(5)
    kernels.powers_of(element(rho), powers, doubled)
    kernels.combine(np.array(rows, dtype=np.int64), doubled, element(scale), out)
    assert D.integers(out) == [scale * sum(pow(rho, r + 1, P) * a for r, a in enumerate(row)) % P for row in rows]


def test_bit_weights() -> None:
    rho = RNG.randrange(P)
    powers, doubled, out = empty(2), empty(2), empty(16)
    kernels.powers_of(element(rho), powers, doubled)
    kernels.bit_weights(powers, 7, out)
    expected = [pow(rho, r, P) * 2**i % P for r in (1, 2) for i in range(7)]
    assert D.integers(out) == [*expected, 0, 0]


EDGES = [[0, 0, 0], [1, -1, 2], [2**63 - 1, -(2**63), 2**63 - 1], [-(2**63)] * 3, [-5, 0, 0], [2**63 - 1] * 3]


def test_evaluate_rows_signed_coefficients_at_the_edges_of_int64() -> None:
    """Two columns of eight places: the integers of the definition, and those of `combine` and `dots`."""
    rho, lagrange = RNG.randrange(P), some(8)[::-1]
    rows = [*EDGES, *([RNG.randrange(-(2**63), 2**63) for _ in range(3)] for _ in range(10))]
    coefficients = np.array(rows, dtype=np.int64)
    powers, doubled, out = empty(3), empty(3), empty(2)
    kernels.powers_of(element(rho), powers, doubled)
    sums = np.full((6, 8), 77, dtype=np.uint64)  # what was there before does not count
    kernels.evaluate_rows(coefficients, D.montgomery(lagrange), doubled, sums, out)
    values = [sum(pow(rho, r + 1, P) * a for r, a in enumerate(row)) for row in rows]
    assert D.integers(out) == [
        sum(x * v for x, v in zip(lagrange, values[8 * k : 8 * k + 8], strict=True)) % P for k in range(2)
    ]
    combined, dotted = empty(16), empty(2)
    kernels.combine(coefficients, doubled, element(1), combined)
    kernels.dots(combined, D.montgomery(lagrange), dotted)
    assert (out == dotted).all()


def test_evaluate_rows_of_the_largest_sums() -> None:
    """2,048 times -2^63 times p - 1 does not overflow."""
    powers, doubled, out = empty(1), empty(1), empty(1)
    kernels.powers_of(element(1), powers, doubled)
    coefficients = np.full((2048, 1), -(2**63), dtype=np.int64)
    largest = limbs_of([P - 1] * 2048)
    kernels.evaluate_rows(coefficients, largest, doubled, np.empty((2, 8), dtype=np.uint64), out)
    assert D.integers(out) == [-(2**63) * sum(D.integers(largest)) % P]


@pytest.mark.parametrize(("rows", "bits"), [(1, 8), (3, 7), (4, 8), (2, 13), (5, 24), (1, 1)])
def test_evaluate_bits_of_slacks_that_straddle_columns(rows: int, bits: int) -> None:
    """Columns of eight places; a slack of 24 bits fills three of them."""
    columns = -(-rows * bits // 8)
    rho, lagrange = RNG.randrange(P), some(8)[::-1]
    powers, doubled, weights, expected, out = (
        empty(rows),
        empty(rows),
        empty(8 * columns),
        empty(columns),
        empty(columns),
    )
    kernels.powers_of(element(rho), powers, doubled)
    kernels.bit_weights(powers, bits, weights)
    kernels.dots(weights, D.montgomery(lagrange), expected)
    kernels.evaluate_bits(powers, bits, D.montgomery(lagrange), out)
    assert (out == expected).all()
    assert (
        D.integers(out)[0]
        == sum(lagrange[i] * pow(rho, i // bits + 1, P) * 2 ** (i % bits) for i in range(min(8, rows * bits))) % P
    )


def test_sums_and_products() -> None:
    a, b, c = some(8), some(8)[::-1], some(8)
    x, y = D.montgomery(a), D.montgomery(b)
    for kernel, sign in ((kernels.add_product, 1), (kernels.subtract_product, -1)):
        out = D.montgomery(c)
        kernel(x, y, out)
        assert D.integers(out) == [(k + sign * i * j) % P for i, j, k in zip(a, b, c, strict=True)]
    out = D.montgomery(c)
    kernels.add_scaled(element(5), x, out)
    assert D.integers(out) == [(k + 5 * i) % P for i, k in zip(a, c, strict=True)]
    out = D.montgomery(c)
    kernels.add_booleanity(x, element(5), out)
    assert D.integers(out) == [(k + 5 * (i * i - i)) % P for i, k in zip(a, c, strict=True)]
    out = D.montgomery(c)
    kernels.add_step(x, 2, element(9), out)
    assert D.integers(out) == [(k + a[(i + 2) % 8] - a[i] + 9) % P for i, k in enumerate(c)]
    out = D.montgomery(c)
    kernels.alternate(D.montgomery([3, 4]), out)
    assert D.integers(out) == [k * (3 if i % 2 == 0 else 4) % P for i, k in enumerate(c)]
    both = empty(2)
    kernels.dots(np.concatenate([x, y]), y, both)
    assert D.integers(both) == [sum(i * j for i, j in zip(c, b, strict=True)) % P for c in (a, b)]


def test_accumulate() -> None:
    terms, share = some(8), 1234
    out = empty(9)
    kernels.accumulate(D.montgomery(terms), element(share), out)
    assert D.integers(out) == [(sum(terms[:i]) - i * share) % P for i in range(9)]


def test_evaluate_and_divide() -> None:
    coefficients, z = some(8), RNG.randrange(P)
    value = sum(c * pow(z, i, P) for i, c in enumerate(coefficients)) % P
    one = empty(1)
    kernels.evaluate(D.montgomery(coefficients), element(z), one)
    assert integer(one) == value
    out = D.montgomery([1] * 7)
    kernels.add_quotient(D.montgomery(coefficients), element(z), out)
    quotient = [(q - 1) % P for q in D.integers(out)]
    product = [((quotient[i - 1] if i else 0) - z * (quotient[i] if i < 7 else 0)) % P for i in range(8)]
    product[0] = (product[0] + value) % P
    assert product == coefficients


@pytest.mark.parametrize("n", [256, 1024])
def test_lagrange_values_interpolate(n: int) -> None:
    """sum_i p(omega^i) L_i(z) = p(z), and the formula for single ones."""
    z, d = RNG.randrange(P), domain(BLS12_381_FR, n)
    coefficients = some(n)
    at = D.integers(lagrange_values(n, z))
    values = d.integers(d.values(d.montgomery(coefficients)))
    assert (
        sum(v * w for v, w in zip(values, at, strict=True)) % P
        == sum(c * pow(z, i, P) for i, c in enumerate(coefficients)) % P
    )
    for i in (0, 1, n - 1):
        root = pow(d.omega, i, P)
        assert at[i] == root * (pow(z, n, P) - 1) * pow(n * (z - root), -1, P) % P


def test_literal_transform_agrees_on_the_lagrange_basis() -> None:
    unit = [0, 0, 1, 0]
    values = literal_values(BLS12_381_FR, unit)
    assert values == [pow(BLS12_381_FR.root_of_unity(4), 2 * k, P) for k in range(4)]
    assert limbs_of([P - 2])[0].tolist() == P_MINUS_2.tolist()


SCRIPT = """
import numpy as np
from riskproof.commit.field.limbs import bytes_of
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.field.transforms import domain
from riskproof.proof import kernels
from riskproof.proof.coefficients import P_MINUS_2, element
d = domain(BLS12_381_FR, 8)
a = d.montgomery([0, 1, 2, BLS12_381_FR.modulus - 1, 5, 6, 7, 8])
out = [d.values(a), d.coset_values(a), d.coset_coefficients(a)]
powers, doubled, rows, sums = (np.zeros((k, 4), dtype=np.uint64) for k in (3, 3, 2, 9))
kernels.powers_of(element(11), powers, doubled)
kernels.combine(np.array([[1, -(2**63), 0], [0, 2**63 - 1, -1]]), doubled, element(3), rows)
kernels.accumulate(a, element(4), sums)
values = np.zeros((8, 4), dtype=np.uint64)
kernels.lagrange_at(d.elements, element(12345), element(77), P_MINUS_2, values)
at_z, bits_at_z, wide = (np.zeros((k, w), dtype=np.uint64) for k, w in ((1, 4), (3, 4), (6, 8)))
edges = np.array([[1, -(2**63), 0], [0, 2**63 - 1, -1]] * 4)
kernels.evaluate_rows(edges, a, doubled, wide, at_z)
kernels.evaluate_bits(powers, 8, a, bits_at_z)
for x in (*out, powers, doubled, rows, sums, values, at_z, bits_at_z):
    print(bytes_of(x).hex())
"""


def test_jit_off_gives_the_same_bytes() -> None:
    def output(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=os.environ | environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert output(NUMBA_DISABLE_JIT="1") == output()
