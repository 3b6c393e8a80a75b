"""KZG columns: a fresh commitment is the definition, updates and re-blinding equal fresh ones, blinding hides."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from py_ecc.bls.point_compression import compress_G1, decompress_G1
from py_ecc.optimized_bls12_381 import Z1
from py_ecc.optimized_bls12_381 import add as ecc_add
from py_ecc.optimized_bls12_381 import multiply as ecc_multiply

from riskproof.commit import columns
from riskproof.commit.columns import Blinding, ColumnBasis, column_basis
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import G1Point, parse_g1, point_bytes, scalar
from riskproof.commit.srs import DOMAINS, g1_power, lagrange_basis, vanishing_point
from riskproof.errors import CommitmentError

R = BLS12_381_FR.modulus


def blinding(seed: int) -> Blinding:
    return Blinding(random.Random(seed).randrange(1, R))


def sample(size: int, held: int, seed: int = 1) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    lots = np.zeros(size, dtype=np.int64)
    lots[rng.choice(size, held, replace=False)] = rng.integers(-(2**63), 2**63 - 1, held)
    return lots


@pytest.fixture(scope="module")
def basis() -> ColumnBasis:
    return column_basis(256)


def test_commitment_equals_another_library(basis: ColumnBasis) -> None:
    """The definition in py_ecc: sum q_i [L_i] + r ([tau^n] - [1]), each term by itself, negative lots modulo the order."""

    def lift(point: G1Point) -> Any:
        return decompress_G1(int.from_bytes(point_bytes(point), "big"))

    lots = sample(256, 6)
    lots[0], lots[255] = -(2**63), 2**63 - 1
    secret = random.Random(2).randrange(1, R)
    total = Z1
    for i in np.flatnonzero(lots):
        total = ecc_add(total, ecc_multiply(lift(lagrange_basis(256)[i]), int(lots[i]) % R))
    total = ecc_add(total, ecc_multiply(lift(g1_power(256)), secret))
    total = ecc_add(total, ecc_multiply(lift(g1_power(0)), R - secret))
    assert compress_G1(total).to_bytes(48, "big") == point_bytes(basis.commit(lots, Blinding(secret)))


@pytest.mark.parametrize("n", DOMAINS)
def test_updates_equal_a_fresh_commitment(n: int) -> None:
    basis, rng = column_basis(n), random.Random(n)
    lots, secret = sample(n, 5, n), blinding(n)
    commitment = basis.commit(lots, secret)
    for row in (0, n - 1, *(rng.randrange(n) for _ in range(6))):
        new = rng.choice([0, rng.randrange(-(2**63), 2**63), -(2**63), 2**63 - 1])
        commitment = basis.update(commitment, row, new - int(lots[row]))
        lots[row] = new
        assert basis.verify(commitment, lots, secret)
    assert commitment == basis.commit(lots, secret)


def test_largest_change(basis: ColumnBasis) -> None:
    lots = np.array([-(2**63)], dtype=np.int64)
    after = basis.update(basis.commit(lots, blinding(1)), 0, 2**64 - 1)
    assert after == basis.commit(np.array([2**63 - 1], dtype=np.int64), blinding(1))


def test_reblinding_equals_a_fresh_commitment(basis: ColumnBasis) -> None:
    lots = sample(256, 9)
    commitment, old = basis.commit(lots, blinding(1)), blinding(1)
    for new in (blinding(2), Blinding(1), Blinding(R - 1), Blinding(255), Blinding(256), blinding(1)):
        commitment = basis.reblind(commitment, old, new)
        assert commitment == basis.commit(lots, new)
        old = new


def test_table_equals_plain_multiplication() -> None:
    # digits at both ends of their range, carries through every window, and random factors
    basis, z = ColumnBasis(256), vanishing_point(256)
    edges = [1, 1023, 1024, 1025, 2047, 2048, 2**253 - 1, 2**254, R - 1, R - 2**11]
    edges += [sum(d << 11 * i for i in range(24)) % R for d in (1023, 1024, 1025, 2047)]
    rng = random.Random(8)
    factors = edges + [rng.randrange(R) for _ in range(60)]
    assert len(factors) > columns._TABLE_FROM_USE
    for factor in factors * 2:
        assert basis._vanishing_multiple(factor) == z * scalar(factor)
    assert "_table" in vars(basis)
    assert basis._vanishing_multiple(0) == G1Point.identity()


def test_commitments_of_one_book_are_unlinkable(basis: ColumnBasis) -> None:
    lots = sample(256, 9)
    old = Blinding.random()
    commitment = basis.commit(lots, old)
    fresh = [Blinding.random() for _ in range(8)]
    seen = {point_bytes(basis.reblind(commitment, old, new)) for new in fresh} | {point_bytes(commitment)}
    assert len(seen) == 9
    # two different books can have the same commitment: the point alone carries nothing
    other = sample(256, 9, 2)
    assert basis.commit(other, old) != commitment


def test_several_columns(basis: ColumnBasis) -> None:
    lots = sample(600, 40)
    blindings = [blinding(k) for k in range(3)]
    committed = basis.commit_all(lots, blindings)
    assert basis.column_count(600) == len(committed) == 3
    padded = np.concatenate([lots, np.zeros(168, dtype=np.int64)])
    for j, point in enumerate(committed):
        assert basis.verify(point, padded[256 * j : 256 * (j + 1)], blindings[j])
        assert parse_g1(point_bytes(point)) == point
    assert [basis.column_count(k) for k in (0, 1, 256, 257)] == [0, 1, 1, 2]


def test_an_empty_column_is_blinded(basis: ColumnBasis) -> None:
    nothing = np.zeros(256, dtype=np.int64)
    assert basis.commit(nothing, blinding(1)) != basis.commit(nothing, blinding(2))
    assert basis.commit(nothing[:0], blinding(1)) == basis.commit(nothing, blinding(1))


def test_wrong_openings_do_not_verify(basis: ColumnBasis) -> None:
    lots = sample(256, 9)
    commitment = basis.commit(lots, blinding(1))
    assert basis.verify(commitment, lots, blinding(1))
    assert not basis.verify(commitment, lots, blinding(2))
    for row in (0, 100, 255):
        changed = lots.copy()
        changed[row] ^= 1
        assert not basis.verify(commitment, changed, blinding(1))
    assert not basis.verify(commitment, np.roll(lots, 1), blinding(1))
    assert not basis.verify(commitment, -lots, blinding(1))


def test_columns_of_one_size_do_not_open_at_another() -> None:
    lots = sample(256, 9)
    commitment = column_basis(256).commit(lots, blinding(1))
    assert not column_basis(512).verify(commitment, lots, blinding(1))


def test_bad_lots_are_refused(basis: ColumnBasis) -> None:
    lots = sample(256, 9)
    for wrong in (
        np.append(lots, 0),
        lots.astype(np.float64),
        lots.astype(np.int32),
        lots.astype(np.uint64),
        lots[None],
    ):
        with pytest.raises(CommitmentError, match="is not a column"):
            basis.commit(wrong, blinding(1))
        with pytest.raises(CommitmentError, match="is not a column"):
            basis.verify(g1_power(1), wrong, blinding(1))
    with pytest.raises(CommitmentError, match="1 blindings for 2 columns"):
        basis.commit_all(sample(257, 3), [blinding(1)])


def test_bad_updates_are_refused(basis: ColumnBasis) -> None:
    for row in (-1, 256):
        with pytest.raises(CommitmentError, match=f"row {row} is outside the column"):
            basis.update(g1_power(1), row, 1)
    for delta in (2**64 + 1, -(2**64) - 1):
        with pytest.raises(CommitmentError, match="change is larger than any two lots differ"):
            basis.update(g1_power(1), 0, delta)


@pytest.mark.parametrize("n", [0, 128, 300, 4096])
def test_other_sizes_are_refused(n: int) -> None:
    with pytest.raises(CommitmentError, match=f"no domain of size {n}"):
        column_basis(n)


@pytest.mark.parametrize("value", [0, R, R + 1, -1])
def test_zero_or_unreduced_blinding_is_refused(value: int) -> None:
    with pytest.raises(CommitmentError, match="blinding is zero or not reduced"):
        Blinding(value)


def test_blinding_bytes() -> None:
    secret = blinding(5)
    assert Blinding.from_bytes(secret.to_bytes()) == secret
    assert secret != blinding(6)
    with pytest.raises(CommitmentError, match=r"blindings\[2\]: blinding is zero"):
        Blinding.from_bytes(bytes(32), "blindings[2]")
    with pytest.raises(CommitmentError, match="field element is not reduced"):
        Blinding.from_bytes(R.to_bytes(32, "little"))
    with pytest.raises(CommitmentError, match="31 bytes"):
        Blinding.from_bytes(bytes(31))


def test_blinding_is_not_printed_or_hashed() -> None:
    secret = blinding(5)
    assert repr(secret) == str(secret) == "Blinding(hidden)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    assert not hasattr(secret, "__dict__")
    assert pickle.loads(pickle.dumps(secret)) == secret  # provers are other processes


def test_zero_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = [bytes(64), R.to_bytes(64, "little"), (R + 7).to_bytes(64, "little")]
    monkeypatch.setattr(columns.secrets, "token_bytes", lambda n: draws.pop(0))
    assert Blinding.random() == Blinding(7)
