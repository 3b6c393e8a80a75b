"""The position tree against a literal one, its openings, and a vector for each mistake found in published systems."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import random

import numpy as np
import numpy.typing as npt
import pytest

from riskproof.commit.field.modulus import BN254_FR
from riskproof.commit.merkle import (
    MAX_CAPACITY,
    MultiOpening,
    PositionOpening,
    PositionTree,
    TreeRoot,
    capacity_for,
    leaf_salt,
    positions_root,
    tree_root,
    verify_multi_opening,
    verify_opening,
)
from riskproof.commit.poseidon import literal, poseidon
from riskproof.encoding import TAG_LEAF_SALT
from riskproof.errors import CommitmentError

P = BN254_FR.modulus
SECRET = bytes(range(32))


def element(x: int) -> bytes:
    return x.to_bytes(32, "little")


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def salt_by_the_book(secret: bytes, index: int) -> int:
    tag = TAG_LEAF_SALT.encode()
    mac = hmac.digest(secret, bytes([len(tag)]) + tag + index.to_bytes(8, "little"), hashlib.sha512)
    return int.from_bytes(mac, "little") % P


def root_by_the_book(lots: list[int], secret: bytes, capacity: int, hashing=literal.poseidon) -> int:  # type: ignore[no-untyped-def]
    """The definition in docs/commitments.md, by recursion over all `capacity` leaves."""

    def node(start: int, width: int) -> int:
        if width == 1:
            return hashing([start, lots[start] % P, salt_by_the_book(secret, start)]) if start < len(lots) else 0
        half = width // 2
        return int(hashing([node(start, half), node(start + half, half)]))

    return node(0, capacity)


def sample_lots(size: int, seed: int = 1) -> npt.NDArray[np.int64]:
    lots = np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, size)
    lots[::3] = 0
    lots[0] = -(2**63)
    lots[-1] = 2**63 - 1
    return lots


@pytest.mark.parametrize(("size", "capacity"), [(1, 2), (2, 2), (3, 4), (5, 8), (8, 8), (9, 16)])
def test_root_equals_literal(size: int, capacity: int) -> None:
    lots = sample_lots(size)
    root = tree_root(lots, SECRET, capacity)
    assert number(root.digest) == root_by_the_book(lots.tolist(), SECRET, capacity)
    salt = element(P - 1)
    assert number(positions_root(root, salt)) == literal.poseidon([number(root.digest), capacity, size, P - 1])


@pytest.mark.parametrize("block", [1, 2, 16, 64, 128])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 33])
def test_every_opening_of_every_small_tree(size: int, block: int) -> None:
    tree = PositionTree(sample_lots(size), SECRET, 64, block=block)
    root = tree.root
    assert number(root.digest) == root_by_the_book(sample_lots(size).tolist(), SECRET, 64, poseidon)
    for index in range(size):
        opening = tree.opening(index)
        assert opening.lots == tree.lots(index) == int(sample_lots(size)[index])
        assert opening.salt == leaf_salt(SECRET, index) == element(salt_by_the_book(SECRET, index))
        assert verify_opening(root, opening)


@pytest.mark.parametrize("block", [1, 4, 64])
def test_updates_equal_a_fresh_tree(block: int) -> None:
    rng = random.Random(4)
    lots = sample_lots(37)
    tree = PositionTree(lots, SECRET, 64, block=block)
    for _ in range(20):
        index = rng.randrange(len(lots))
        lots[index] = rng.choice([0, rng.randrange(-(2**63), 2**63)])
        root = tree.update(index, int(lots[index]))
        assert root == tree.root == tree_root(lots, SECRET, 64)
        assert verify_opening(root, tree.opening(index))


@pytest.mark.parametrize("block", [1, 4, 32])
@pytest.mark.parametrize("first", [1, 2, 5, 16, 31])
def test_extension_equals_a_fresh_tree(first: int, block: int) -> None:
    lots = sample_lots(32)
    tree = PositionTree(lots[:first], SECRET, 32, block=block)
    assert tree.extend(lots[:0]) == tree.root
    for size in (first + 1, 32):
        tree.extend(lots[tree.size : size])
        assert tree.root == tree_root(lots[:size], SECRET, 32)
        assert verify_opening(tree.root, tree.opening(size - 1))


def test_the_caller_keeps_his_array() -> None:
    lots = sample_lots(5)
    tree = PositionTree(lots, SECRET, 8)
    before = tree.root
    lots[2] += 1
    assert tree.root == before
    tree.update(3, 17)
    assert lots[3] != 17


@pytest.mark.parametrize("block", [1, 16, 64])
@pytest.mark.parametrize("indices", [[0], [36], [0, 1], [5, 3, 9], [35, 36], list(range(37)), list(range(0, 37, 2))])
def test_multi_openings(indices: list[int], block: int) -> None:
    tree = PositionTree(sample_lots(37), SECRET, 64, block=block)
    opening = tree.multi_opening(indices)
    assert [i for i, _, _ in opening.positions] == sorted(indices)
    assert verify_multi_opening(tree.root, opening)
    alone = {node for i in indices for node in tree.opening(i).siblings}
    assert set(opening.nodes) <= alone


def test_multi_opening_of_the_whole_book_needs_no_node() -> None:
    tree = PositionTree(sample_lots(37), SECRET, 64)
    assert tree.multi_opening(range(37)).nodes == ()


def test_epoch_changes_every_salt_and_the_root() -> None:
    lots = np.zeros(9, dtype=np.int64)
    one, two = PositionTree(lots, SECRET, 16), PositionTree(lots, SECRET[::-1], 16)
    assert one.root.digest != two.root.digest
    assert not {one.opening(i).salt for i in range(9)} & {two.opening(i).salt for i in range(9)}


def test_capacity_policy() -> None:
    assert [capacity_for(n) for n in (1, 256, 257, 2000, 2048, 2049)] == [256, 256, 512, 2048, 2048, 4096]


# --- one vector for each mistake of published proof-of-reserve systems (design.md 9) ---


@pytest.fixture
def tree() -> PositionTree:
    return PositionTree(sample_lots(37), SECRET, 64)


def test_vector_node_as_leaf(tree: PositionTree) -> None:
    # A node's two children offered as the content of a leaf one level higher: another arity, and another depth.
    opening = tree.opening(4)
    left, right = tree.opening(5).siblings[0], opening.siblings[0]
    assert poseidon([number(left), number(right)]) != poseidon([2, number(left), number(right)])
    short = PositionOpening(2, 0, left, opening.siblings[1:])
    with pytest.raises(CommitmentError, match=r"path of 5 nodes \(expected 6, the tree's depth\)"):
        verify_opening(tree.root, short)
    # Nor does the true node pass for the leaf of a tree of half the capacity.
    half = TreeRoot(tree.root.digest, 32, 19)
    assert not verify_opening(half, short)
    assert positions_root(half, element(1)) != positions_root(tree.root, element(1))


def test_vector_leaf_as_root(tree: PositionTree) -> None:
    digest = poseidon([4, tree.lots(4) % P, number(leaf_salt(SECRET, 4))])
    with pytest.raises(CommitmentError, match="path of 0 nodes"):
        verify_opening(TreeRoot(element(digest), 2, 2), PositionOpening(1, 0, element(0), ()))


def test_vector_node_as_positions_root(tree: PositionTree) -> None:
    # Capacity, size and salt cannot be chosen so that positions_root is a node of this tree: it has another arity.
    root = tree.root
    inner = {node for i in range(37) for node in tree.opening(i).siblings} | {root.digest}
    assert positions_root(root, element(0)) not in inner


def test_vector_duplicated_last_leaf() -> None:
    # CVE-2012-2459: with an odd count, the last leaf doubled gives the same root. Here the empty place is 0, and size is bound.
    lots = sample_lots(3)
    tree = PositionTree(lots, SECRET, 4)
    doubled = PositionTree(np.append(lots, lots[-1:]), SECRET, 4)
    assert tree.root.digest != doubled.root.digest
    with pytest.raises(CommitmentError, match="index 3 is outside the registry"):
        verify_opening(tree.root, dataclasses.replace(tree.opening(2), index=3))
    last = tree.opening(2)
    assert last.siblings[0] == element(0)


def test_vector_unsalted_leaf(tree: PositionTree) -> None:
    opening = tree.opening(3)  # zero lots: guessed from a leaf without salt
    assert opening.lots == 0
    assert not verify_opening(tree.root, dataclasses.replace(opening, salt=element(0)))
    leaves = {tree.opening(i ^ 1).siblings[0] for i in range(36)}
    assert len(leaves) == 36  # equal positions have different leaves
    assert element(poseidon([3, 0, 0])) not in leaves


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_vector_truncated_hash(tree: PositionTree, length: int) -> None:
    opening = tree.opening(3)
    siblings = (*opening.siblings[:2], (opening.siblings[2] * 2)[:length], *opening.siblings[3:])
    with pytest.raises(CommitmentError, match=rf"siblings\[2\]: {length} bytes are not a field element"):
        verify_opening(tree.root, dataclasses.replace(opening, siblings=siblings))
    with pytest.raises(CommitmentError, match=rf"salt\[0\]: {length} bytes are not a field element"):
        verify_opening(tree.root, dataclasses.replace(opening, salt=(opening.salt * 2)[:length]))
    with pytest.raises(CommitmentError, match=f"tree root: {length} bytes are not a field element"):
        TreeRoot((tree.root.digest * 2)[:length], 64, 37)


def test_vector_lengths_that_sum_up(tree: PositionTree) -> None:
    # 31 + 33 bytes are 64 bytes: each element is measured, not the whole.
    opening = tree.opening(3)
    a, b = opening.siblings[0][:31], opening.siblings[1] + b"\0"
    with pytest.raises(CommitmentError, match=r"siblings\[0\]: 31 bytes"):
        verify_opening(tree.root, dataclasses.replace(opening, siblings=(a, b, *opening.siblings[2:])))


def test_vector_unbound_index(tree: PositionTree) -> None:
    opening = tree.opening(10)
    for index in (11, 8, 2, 36, 0):
        assert not verify_opening(tree.root, dataclasses.replace(opening, index=index))


def test_vector_swapped_siblings_move_a_position() -> None:
    # With an index that only the path carries, mirroring the path moves the position. The leaf holds the index too.
    lots = np.array([5, 7], dtype=np.int64)
    tree = PositionTree(lots, SECRET, 2)
    mirrored = poseidon([number(tree.opening(0).siblings[0]), number(tree.opening(1).siblings[0])])
    assert not verify_opening(TreeRoot(element(mirrored), 2, 2), dataclasses.replace(tree.opening(0), index=1))


@pytest.mark.parametrize(("capacity", "size"), [(64, 36), (64, 38), (128, 37), (32, 32)])
def test_vector_unbound_size(tree: PositionTree, capacity: int, size: int) -> None:
    other = TreeRoot(tree.root.digest, capacity, size)
    assert positions_root(other, element(7)) != positions_root(tree.root, element(7))


@pytest.mark.parametrize("offset", [0, 1])
def test_vector_element_reduced_modulo_the_field(tree: PositionTree, offset: int) -> None:
    # x + p is x to a careless reader: it would be a second encoding of one opening.
    opening = tree.opening(3)
    siblings = (*opening.siblings[:5], element(P + offset))
    with pytest.raises(CommitmentError, match=r"siblings\[5\]: field element is not reduced"):
        verify_opening(tree.root, dataclasses.replace(opening, siblings=siblings))
    with pytest.raises(CommitmentError, match=r"salt.*field element is not reduced"):
        verify_opening(tree.root, dataclasses.replace(opening, salt=element(P + offset)))
    with pytest.raises(CommitmentError, match="root salt: field element is not reduced"):
        positions_root(tree.root, element(P + offset))
    with pytest.raises(CommitmentError, match="tree root: field element is not reduced"):
        TreeRoot(element(P + offset), 64, 37)


@pytest.mark.parametrize("lots", [2**63, -(2**63) - 1, P - 5, P])
def test_vector_lots_beyond_int64(tree: PositionTree, lots: int) -> None:
    opening = dataclasses.replace(tree.opening(3), lots=lots)
    with pytest.raises(CommitmentError, match="lots do not fit int64"):
        verify_opening(tree.root, opening)
    with pytest.raises(CommitmentError, match="lots do not fit int64"):
        tree.update(3, lots)


@pytest.mark.parametrize("index", [-1, 37, 63, 64, 37 + 64])
def test_vector_index_outside(tree: PositionTree, index: int) -> None:
    for act in (tree.opening, tree.lots, lambda i: tree.multi_opening([0, i]), lambda i: tree.update(i, 1)):
        with pytest.raises(CommitmentError, match=f"index {index} is outside the registry"):
            act(index)
    with pytest.raises(CommitmentError, match=f"index {index} is outside the registry"):
        verify_opening(tree.root, dataclasses.replace(tree.opening(0), index=index))


def test_changed_lots_salt_or_path_is_refused(tree: PositionTree) -> None:
    opening = tree.opening(10)
    assert not verify_opening(tree.root, dataclasses.replace(opening, lots=opening.lots ^ 1))
    assert not verify_opening(tree.root, dataclasses.replace(opening, salt=element(number(opening.salt) ^ 1)))
    for level in range(6):
        changed = list(opening.siblings)
        changed[level] = element(number(changed[level]) ^ 1)
        assert not verify_opening(tree.root, dataclasses.replace(opening, siblings=tuple(changed)))
    assert not verify_opening(tree_root(sample_lots(37), SECRET[::-1], 64), opening)


# --- multi openings ---


def replaced(opening: MultiOpening, position: int, changed: tuple[int, int, bytes]) -> MultiOpening:
    positions = (*opening.positions[:position], changed, *opening.positions[position + 1 :])
    return MultiOpening(positions, opening.nodes)


def test_multi_opening_refusals(tree: PositionTree) -> None:
    opening = tree.multi_opening([3, 9, 20])
    index, lots, salt = opening.positions[1]
    assert not verify_multi_opening(tree.root, replaced(opening, 1, (index, lots ^ 1, salt)))
    assert not verify_multi_opening(tree.root, replaced(opening, 1, (8, lots, salt)))
    assert not verify_multi_opening(tree.root, MultiOpening(opening.positions, opening.nodes[::-1]))
    malformed = {
        r"index 3 twice": replaced(opening, 1, opening.positions[0]),
        r"index 9 after 20": MultiOpening(opening.positions[:1] + opening.positions[:0:-1], opening.nodes),
        r"no positions": MultiOpening((), opening.nodes),
        r"1 nodes left over": MultiOpening(opening.positions, (*opening.nodes, element(0))),
        rf"only {len(opening.nodes) - 1} nodes": MultiOpening(opening.positions, opening.nodes[:-1]),
        r"nodes\[0\]: field element is not reduced": MultiOpening(opening.positions, (element(P), *opening.nodes[1:])),
        r"lots do not fit int64": replaced(opening, 1, (index, 2**63, salt)),
        r"salt\[1\]: 31 bytes": replaced(opening, 1, (index, lots, salt[:31])),
        r"index 37 is outside": replaced(opening, 2, (37, lots, salt)),
    }
    for message, bad in malformed.items():
        with pytest.raises(CommitmentError, match=message):
            verify_multi_opening(tree.root, bad)


@pytest.mark.parametrize(("indices", "message"), [([], "no positions"), ([4, 4], "index 4 twice")])
def test_multi_opening_requests_refused(tree: PositionTree, indices: list[int], message: str) -> None:
    with pytest.raises(CommitmentError, match=message):
        tree.multi_opening(indices)


# --- construction ---


def test_bad_trees_are_refused() -> None:
    lots = sample_lots(5)
    for capacity in (0, 1, 3, 4, 6, -8, 2 * MAX_CAPACITY):
        with pytest.raises(CommitmentError, match=r"capacity|5 positions"):
            PositionTree(lots, SECRET, capacity)
    with pytest.raises(CommitmentError, match="epoch secret has the wrong length"):
        PositionTree(lots, SECRET[:31], 8)
    with pytest.raises(CommitmentError, match="0 positions"):
        PositionTree(lots[:0], SECRET, 8)
    for wrong in (lots.astype(np.float64), lots.astype(np.int32), lots.astype(np.uint64), lots.reshape(5, 1)):
        with pytest.raises(CommitmentError, match="are not lots"):
            PositionTree(wrong, SECRET, 8)
    with pytest.raises(CommitmentError, match="9 positions"):
        PositionTree(lots, SECRET, 8).extend(sample_lots(4))
    with pytest.raises(CommitmentError, match="capacity 3"):
        TreeRoot(element(1), 3, 2)


def test_nothing_secret_is_printed() -> None:
    tree = PositionTree(np.array([123456789], dtype=np.int64), SECRET)
    shown = repr(tree) + repr(tree.opening(0)) + repr(tree.multi_opening([0]))
    assert "123456789" not in shown
    assert repr(leaf_salt(SECRET, 0))[2:12] not in shown
    assert "SECRET" not in shown


# --- whatever the bytes, an opening is refused or malformed, never accepted, never another error ---


def mutated(opening: PositionOpening, rng: random.Random) -> PositionOpening:
    def flip(data: bytes) -> bytes:
        bits = rng.choice([rng.randrange(256), 255, 254])
        return element(number(data) ^ 1 << bits) if rng.random() < 0.9 else data[: rng.randrange(32)]

    siblings = list(opening.siblings)
    kind = rng.randrange(6)
    if kind == 0:
        return dataclasses.replace(opening, index=rng.choice([opening.index ^ 1, rng.randrange(38, 99), -1, 2**64]))
    if kind == 1:
        return dataclasses.replace(opening, lots=opening.lots ^ 1 << rng.randrange(70))
    if kind == 2:
        return dataclasses.replace(opening, salt=flip(opening.salt))
    if kind == 3:
        level = rng.randrange(6)
        siblings[level] = flip(siblings[level])
    elif kind == 4:
        a, b = rng.sample(range(6), 2)
        siblings[a], siblings[b] = siblings[b], siblings[a]
    else:
        siblings = siblings[: rng.randrange(6)] if rng.random() < 0.5 else [*siblings, siblings[-1]]
    return dataclasses.replace(opening, siblings=tuple(siblings))


def refuse_mutations(count: int) -> None:
    rng = random.Random("openings")
    tree = PositionTree(sample_lots(37), SECRET, 64)
    root, openings = tree.root, [tree.opening(i) for i in range(37)]
    malformed = 0
    for _ in range(count):
        opening = rng.choice(openings)
        bad = mutated(opening, rng)
        try:
            assert bad != opening
            assert not verify_opening(root, bad)
        except CommitmentError:
            malformed += 1
    assert count // 5 < malformed < 4 * count // 5


def test_mutated_openings() -> None:
    refuse_mutations(500)


@pytest.mark.slow
def test_many_mutated_openings() -> None:
    refuse_mutations(50_000)
