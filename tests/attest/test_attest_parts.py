"""Envelope, grids and the registry tree, each against what its source says."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskproof.attest.envelope import Envelope, pre_authentication_encoding
from riskproof.attest.registry_tree import RegistryTree, leaf_hash, root_from_path
from riskproof.errors import AttestationError, OverflowMoneyError
from riskproof.proof.grid import COARSE, EXACT, Grid
from riskproof.units import INT64_MAX


def test_pre_authentication_encoding_of_the_dsse_specification() -> None:
    encoded = pre_authentication_encoding(b"hello world", "http://example.com/HelloWorld")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    # lengths make it injective: shifting a byte between type and body changes it
    assert pre_authentication_encoding(b"b", "a ") != pre_authentication_encoding(b" b", "a")


def test_envelope_round_trip() -> None:
    envelope = Envelope(b"payload", (("A" * 43, bytes(64)), ("B" * 42 + "A", bytes(64))))
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope


# ---- grids -----------------------------------------------------------------------------------------------------------

GRIDS = st.one_of(
    st.builds(Grid, significant_digits=st.integers(1, 18)), st.builds(Grid, step_micros=st.integers(1, 10**12))
)


@given(GRIDS, st.integers(-(10**17), 10**17))
def test_rounding_is_against_the_account_and_onto_the_grid(grid: Grid, amount: int) -> None:
    down, up = grid.down(amount, "P&L"), grid.up(amount, "margin")
    assert down <= amount <= up
    assert grid.contains(down)
    assert grid.contains(up)
    assert up == -grid.down(-amount, "margin")
    assert (down == up == amount) == grid.contains(amount)
    assert grid.down(down, "") == down
    assert amount - down < 10 * grid.step_at(amount)


@given(GRIDS, st.integers(-(10**17), 10**17), st.integers(0, 10**9))
def test_rounding_keeps_order(grid: Grid, amount: int, more: int) -> None:
    assert grid.up(amount, "") <= grid.up(amount + more, "")
    assert grid.down(amount, "") <= grid.down(amount + more, "")


@pytest.mark.parametrize(
    ("amount", "up", "down"),
    [
        (0, 0, 0),
        (7, 7, 7),
        (99, 99, 99),
        (101, 110, 100),
        (9_999, 10_000, 9_900),
        (-101, -100, -110),
        (-9_999, -9_900, -10_000),
        (1_234_567, 1_300_000, 1_200_000),
    ],
)
def test_two_significant_digits(amount: int, up: int, down: int) -> None:
    assert (COARSE.up(amount, ""), COARSE.down(amount, "")) == (up, down)
    assert EXACT.up(amount, "") == amount


def test_grids_that_are_refused() -> None:
    for arguments in ({}, {"significant_digits": 2, "step_micros": 5}):
        with pytest.raises(AttestationError, match="one of the two"):
            Grid(**arguments)
    for arguments in (
        {"significant_digits": 0},
        {"significant_digits": 19},
        {"step_micros": 0},
        {"step_micros": 2**63},
    ):
        with pytest.raises(AttestationError, match="out of range"):
            Grid(**arguments)
    with pytest.raises(OverflowMoneyError, match="does not fit 64 bits after rounding"):
        COARSE.up(INT64_MAX, "margin")


# ---- the registry tree -----------------------------------------------------------------------------------------------


def literal_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over hashed leaves."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + literal_root(leaves[:k]) + literal_root(leaves[k:])).digest()


def literal_path(m: int, leaves: list[bytes]) -> tuple[bytes, ...]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return ()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k:
        return (*literal_path(m, leaves[:k]), literal_root(leaves[k:]))
    return (*literal_path(m - k, leaves[k:]), literal_root(leaves[:k]))


def test_registry_tree_is_that_of_rfc_6962_for_all_small_sizes() -> None:
    for size in range(34):
        leaves = [leaf_hash({"name": f"I{i}"}) for i in range(size)]
        tree = RegistryTree(tuple(leaves))
        assert tree.root == literal_root(leaves)
        for i in range(size):
            path = tree.audit_path(i)
            assert path == literal_path(i, leaves)
            assert root_from_path(leaves[i], i, size, path) == tree.root
            for j in range(size):
                if j != i:
                    assert root_from_path(leaves[i], j, size, path) != tree.root
            assert root_from_path(leaves[i], i, size, (*path, bytes(32))) is None
            if path:
                assert root_from_path(leaves[i], i, size, path[:-1]) is None


def test_registry_path_does_not_prove_another_size_or_a_node() -> None:
    leaves = [leaf_hash({"name": f"I{i}"}) for i in range(8)]
    tree = RegistryTree(tuple(leaves))
    path = tree.audit_path(3)
    assert root_from_path(leaves[3], 3, 4, path) is None
    assert root_from_path(leaves[3], 3, 16, path) is None
    assert root_from_path(leaves[3], -1, 8, path) is None
    assert root_from_path(leaves[3], 8, 8, path) is None
    node = hashlib.sha256(b"\x01" + leaves[2] + leaves[3]).digest()
    assert root_from_path(node, 1, 8, path[1:]) is None
    assert root_from_path(node, 1, 4, path[1:]) == tree.root  # which is why the size is in the signed payload
    assert leaf_hash({"name": "I0"}) != hashlib.sha256(b'{"name":"I0"}').digest()
