"""Every value on docs/commitments.md, recomputed: the tree by its definition with the literal hash, the rest with the library."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import numpy as np
import pytest

from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.field.modulus import BLS12_381_FR, BN254_FR
from riskproof.commit.merkle import PositionTree, positions_root
from riskproof.commit.points import point_bytes
from riskproof.commit.poseidon.literal import poseidon
from riskproof.commit.srs import SETUP_SHA256, srs_digest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commitments.md").read_text()
LOTS = [5, -3, 0]
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    return dict(re.findall(r"^([a-z_]+(?: root)?(?:_\d)?) +([0-9a-f]{64,96})$", PAGE, re.MULTILINE))


def element(x: int) -> str:
    return x.to_bytes(32, "little").hex()


def test_tree_by_its_definition(page: dict[str, str]) -> None:
    p, tag = BN254_FR.modulus, b"riskproof/leaf-salt/v1"
    key = [hmac.digest(SECRET, bytes([len(tag)]) + tag + i.to_bytes(8, "little"), hashlib.sha512) for i in range(3)]
    salts = [int.from_bytes(k, "little") % p for k in key]
    leaves = [poseidon([i, LOTS[i] % p, salts[i]]) for i in range(3)] + [0]
    left, right = poseidon(leaves[:2]), poseidon(leaves[2:])
    root = poseidon([left, right])
    for i in range(3):
        assert page[f"salt_{i}"] == element(salts[i])
    for i in range(4):
        assert page[f"leaf_{i}"] == element(leaves[i])
    assert page["tree root"] == element(root)
    assert page["positions_root"] == element(poseidon([root, 4, 3, 7]))
    assert f"`{element(right)}` = Poseidon_2(leaf_2, 0)" in PAGE


def test_tree_of_the_library(page: dict[str, str]) -> None:
    tree = PositionTree(np.array(LOTS, dtype=np.int64), SECRET, 4)
    assert tree.root.digest.hex() == page["tree root"]
    assert positions_root(tree.root, bytes.fromhex(element(7))).hex() == page["positions_root"]


def test_columns_and_setup(page: dict[str, str]) -> None:
    basis = column_basis(256)
    column = basis.commit(np.array(LOTS, dtype=np.int64), Blinding(7))
    assert point_bytes(column).hex() == page["column"]
    assert point_bytes(basis.update(column, 2, 4)).hex() == page["traded"]
    assert point_bytes(basis.reblind(column, Blinding(7), Blinding(9))).hex() == page["reblinded"]
    assert f"= {srs_digest().hex()}" in PAGE
    assert f"`{SETUP_SHA256}`" in PAGE
    assert f"p = {BN254_FR.modulus}\n" in PAGE
    assert f"r = {BLS12_381_FR.modulus}\n" in PAGE
