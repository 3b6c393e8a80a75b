"""Number-theoretic transforms of both fields against the sum written out, and their inverses."""

from __future__ import annotations

import random

import numpy as np
import pytest

from riskproof.commit.field.modulus import BLS12_381_FR, BN254_FR, Field
from riskproof.commit.field.transforms import domain, literal_values

FIELDS = pytest.mark.parametrize("field", [BN254_FR, BLS12_381_FR], ids=lambda f: f.name)


def elements(field: Field, n: int) -> list[int]:
    rng = random.Random(n)
    chosen = [0, 1, field.modulus - 1, field.r, *(rng.randrange(field.modulus) for _ in range(n))]
    return chosen[:n]


@FIELDS
@pytest.mark.parametrize("n", [1, 2, 4, 8, 64, 256])
def test_values_are_the_sum_written_out(field: Field, n: int) -> None:
    d, coefficients = domain(field, n), elements(field, n)
    assert d.integers(d.values(d.montgomery(coefficients))) == literal_values(field, coefficients)


@FIELDS
def test_coset_values_are_the_sum_written_out(field: Field) -> None:
    d, coefficients = domain(field, 64), elements(field, 40)
    expected = literal_values(field, coefficients + [0] * 24, field.generator)
    assert d.integers(d.coset_values(d.montgomery(coefficients))) == expected


@FIELDS
@pytest.mark.parametrize("n", [2, 256, 2048])
def test_inverses(field: Field, n: int) -> None:
    d = domain(field, n)
    a = d.montgomery(elements(field, n))
    kept = a.copy()
    assert np.array_equal(d.coefficients(d.values(a)), a)
    assert np.array_equal(d.coset_coefficients(d.coset_values(a)), a)
    assert np.array_equal(a, kept)  # arguments are not touched


@FIELDS
def test_elements_are_the_powers_of_omega(field: Field) -> None:
    d = domain(field, 256)
    assert d.integers(d.elements) == [pow(d.omega, k, field.modulus) for k in range(256)]
    assert pow(d.omega, 256, field.modulus) == 1
    assert pow(d.omega, 128, field.modulus) == field.modulus - 1


@FIELDS
def test_a_product_of_polynomials(field: Field) -> None:
    """Convolution through values: what the prover relies on."""
    d, p = domain(field, 16), field.modulus
    a, b = elements(field, 7), elements(field, 9)
    product = [sum(a[i] * b[k - i] for i in range(7) if 0 <= k - i < 9) % p for k in range(16)]
    values = [
        x * y % p for x, y in zip(d.integers(d.values(_padded(d, a))), d.integers(d.values(_padded(d, b))), strict=True)
    ]
    assert d.integers(d.coefficients(d.montgomery(values))) == product


def _padded(d: object, coefficients: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    return domain(d.field, d.n).montgomery(coefficients + [0] * (d.n - len(coefficients)))  # type: ignore[attr-defined]
