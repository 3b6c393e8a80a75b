"""Montgomery arithmetic of both fields against its literal twin, conversions, and their refusals."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from riskproof.commit.field import literal, vectors
from riskproof.commit.field.limbs import (
    below,
    bytes_of,
    ints_of,
    limbs_from_bytes,
    limbs_of,
    signed_limbs,
)
from riskproof.commit.field.modulus import BLS12_381_FR, BN254_FR, Field
from riskproof.commit.field.montgomery import (
    fe_from,
    fe_is_reduced,
    fe_is_zero,
    fe_load,
    fe_mul,
    fe_one,
    fe_reduce,
    fe_reduce_sum,
    fe_square,
    fe_store,
    fe_zero,
    jit,
    loose_add,
    loose_mul,
    loose_square,
    wide_add,
    wide_mul,
)
from riskproof.errors import CommitmentError

FIELDS = pytest.mark.parametrize("field", [BN254_FR, BLS12_381_FR], ids=lambda f: f.name)


def samples(field: Field, seed: int, count: int = 300) -> list[int]:
    """Edges of limbs and modulus, then random elements."""
    p = field.modulus
    edges = [0, 1, 2, p - 1, p - 2, p // 2, p // 2 + 1, field.r, field.r2, p - field.r]
    for bits in (63, 64, 127, 128, 191, 192, 252):
        edges += [(1 << bits) - 1, 1 << bits]
    rng = random.Random(seed)
    rest = [rng.randrange(p) for _ in range(count)]
    rng.shuffle(edges)
    return edges + rest


def pairs(field: Field) -> tuple[list[int], list[int]]:
    a, b = samples(field, 1), samples(field, 2)
    edges = samples(field, 3, 0)
    a += [x for x in edges for _ in edges]
    b += edges * len(edges)
    return a, b


@jit
def others(field: Any, a: Any, b: Any, out: Any) -> None:
    """The operations that have no array form, one row each."""
    for i in range(a.shape[0]):
        x, y = fe_load(a, i), fe_load(b, i)
        fe_store(out[0], i, fe_square(field, x))
        fe_store(out[1], i, fe_reduce(field, wide_add(wide_mul(x, y), wide_mul(y, y))))
        fe_store(out[2], i, fe_one(field) if fe_is_zero(x) else fe_zero())
        fe_store(out[3], i, loose_add(x, y))
        fe_store(out[4], i, loose_mul(field, x, y))
        fe_store(out[5], i, loose_square(field, x))


@FIELDS
def test_array_operations_equal_twin(field: Field) -> None:
    p = field.modulus
    a, b = pairs(field)
    x, y = limbs_of(a), limbs_of(b)
    out = np.empty_like(x)
    vectors.multiply(field, x, y, out)
    assert ints_of(out) == [literal.mul(field, i, j) for i, j in zip(a, b, strict=True)]
    vectors.add(field, x, y, out)
    assert ints_of(out) == [(i + j) % p for i, j in zip(a, b, strict=True)]
    vectors.subtract(field, x, y, out)
    assert ints_of(out) == [(i - j) % p for i, j in zip(a, b, strict=True)]
    vectors.to_montgomery(field, x, out)
    assert ints_of(out) == [literal.to_montgomery(field, i) for i in a]
    vectors.from_montgomery(field, out, out)
    assert ints_of(out) == a


@FIELDS
def test_literal_is_multiplication_modulo_p(field: Field) -> None:
    p, inverse_r = field.modulus, pow(1 << 256, -1, field.modulus)
    for a, b in zip(*pairs(field), strict=True):
        assert literal.mul(field, a, b) == a * b * inverse_r % p


@FIELDS
def test_other_operations_equal_twin(field: Field) -> None:
    p = field.modulus
    a, b = pairs(field)
    out = np.empty((6, len(a), 4), dtype=np.uint64)
    others(field, limbs_of(a), limbs_of(b), out)
    rows = [ints_of(out[k]) for k in range(6)]
    for k, (i, j) in enumerate(zip(a, b, strict=True)):
        assert rows[0][k] == literal.mul(field, i, i)
        assert rows[1][k] == literal.reduce(field, i * j + j * j)
        assert rows[2][k] == (0 if i else field.r)
        assert rows[3][k] == i + j
        for row, factor in ((4, j), (5, i)):
            assert rows[row][k] % p == literal.mul(field, i, factor)
            assert rows[row][k] < i * factor // 2**256 + p + 1


@jit
def loosest(field: Any, a: Any, out: Any) -> None:
    """A wide number from each row of uint64[N, 8], reduced."""
    for i in range(a.shape[0]):
        x = (a[i, 0], a[i, 1], a[i, 2], a[i, 3], a[i, 4], a[i, 5], a[i, 6], a[i, 7])
        fe_store(out, i, fe_reduce_sum(field, x))


def test_reduction_of_a_sum_up_to_its_bound() -> None:
    field, bound = BN254_FR, 3 * BN254_FR.modulus << 256
    rng = random.Random(5)
    edges = [k * field.modulus << 256 for k in range(3)]
    values = [
        0,
        bound - 1,
        *edges,
        *(x + d for x in edges[1:] for d in (-1, 1)),
        *(rng.randrange(bound) for _ in range(400)),
    ]
    rows = np.array([[x >> (64 * i) & (2**64 - 1) for i in range(8)] for x in values], dtype=np.uint64)
    out = np.empty((len(values), 4), dtype=np.uint64)
    loosest(field, rows, out)
    inverse_r = pow(1 << 256, -1, field.modulus)
    assert ints_of(out) == [literal.reduce_sum(field, x) for x in values]
    assert ints_of(out) == [x * inverse_r % field.modulus for x in values]


@FIELDS
def test_inverses(field: Field) -> None:
    a = [x for x in samples(field, 7, 50) if x]
    x = limbs_of(a)
    out = np.empty_like(x)
    vectors.invert(field, x, limbs_of([field.modulus - 2])[0], out)
    assert ints_of(out) == [literal.inverse(field, i) for i in a]
    vectors.multiply(field, x, out, out)
    assert set(ints_of(out)) == {field.r}


@FIELDS
def test_range_test_at_the_modulus(field: Field) -> None:
    p = field.modulus
    values = [
        0,
        p - 1,
        p,
        p + 1,
        (1 << 256) - 1,
        p ^ (1 << 192),
        p - (1 << 64),
        p + (1 << 64),
        p - (1 << 128),
        p + (1 << 128),
    ]
    assert below(limbs_of(values), field).tolist() == [x < p for x in values]
    got = [bool(reduced(field, limbs_of([x]))) for x in values]
    assert got == [x < p for x in values]


@jit
def reduced(field: Any, a: Any) -> Any:
    """Whether the one element of uint64[1, 4] is below p."""
    return fe_is_reduced(field, fe_load(a, 0))


@jit
def leave_montgomery_form(field: Any, a: Any, out: Any) -> None:
    """out[0] = a[0] / R."""
    fe_store(out, 0, fe_from(field, fe_mul(field, fe_load(a, 0), fe_one(field))))


@FIELDS
def test_one_is_neutral(field: Field) -> None:
    x, out = limbs_of([field.r]), np.zeros((1, 4), dtype=np.uint64)
    leave_montgomery_form(field, x, out)
    assert ints_of(out) == [1]


@FIELDS
def test_signed_numbers_modulo_p(field: Field) -> None:
    values = [0, 1, -1, 2**63 - 1, -(2**63), 5, -5, -(2**32), -((field.modulus & (2**63 - 1)) + 1)]
    got = signed_limbs(np.array(values, dtype=np.int64), field)
    assert ints_of(got) == [v % field.modulus for v in values]


@FIELDS
def test_bytes_both_ways(field: Field) -> None:
    a = samples(field, 9, 20)
    data = b"".join(field.to_bytes(x) for x in a)
    limbs = limbs_from_bytes(data, field)
    assert ints_of(limbs) == a
    assert bytes_of(limbs) == data
    assert [field.from_bytes(data[32 * i : 32 * i + 32]) for i in range(len(a))] == a


@FIELDS
def test_unreduced_bytes_are_refused(field: Field) -> None:
    for x in (field.modulus, field.modulus + 1, 2**256 - 1):
        data = x.to_bytes(32, "little")
        with pytest.raises(CommitmentError, match="scalar: field element is not reduced"):
            field.from_bytes(data)
        with pytest.raises(CommitmentError, match=r"scalars\[1\]: field element is not reduced"):
            limbs_from_bytes(bytes(32) + data, field)


def test_wrong_length_is_refused() -> None:
    with pytest.raises(CommitmentError, match="31 bytes are not a field element"):
        BN254_FR.from_bytes(bytes(31))
    with pytest.raises(CommitmentError, match="33 bytes are not field elements"):
        limbs_from_bytes(bytes(33), BN254_FR)


@FIELDS
def test_constants(field: Field) -> None:
    p = field.modulus
    assert field.n0 * p % 2**64 == 2**64 - 1
    assert field.lazy_products * p <= 2**256 < (field.lazy_products + 1) * p
    assert (p - 1) % 2**field.two_adicity == 0
    assert (p - 1) >> field.two_adicity & 1
    root = field.root_of_unity(256)
    assert pow(root, 128, p) == p - 1
    assert pow(field.generator, (p - 1) // 2, p) == p - 1


def test_a_modulus_that_carries_is_refused() -> None:
    with pytest.raises(AssertionError, match="no-carry"):
        Field("secp256k1-fr", 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141, 7, 6)
