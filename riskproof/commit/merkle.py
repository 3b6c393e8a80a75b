"""The position tree: a salted Poseidon Merkle tree over the registry index, and positions_root over it.

    leaf_i          = Poseidon3(i, q_i mod p, salt_i)                         0 <= i < size
    leaf_i          = 0                                                       size <= i < capacity
    node            = Poseidon2(left, right)
    tree root       = the node over all `capacity` leaves
    positions_root  = Poseidon4(tree root, capacity, size, root salt)

    salt_i = HMAC-SHA512(epoch secret, len(tag) || tag || i as 8 bytes little-endian), little-endian modulo p,  tag = TAG_LEAF_SALT

with Poseidon over BN254's scalar field, modulus p. Why so:

  * Leaf, node and positions_root have different arity, so none of them can pass for another, at whatever depth.
  * The leaf holds its own index and the path follows the index's bits; positions_root holds capacity and size, so no leaf can be
    repeated, moved, appended or left out.
  * Every position has a leaf, zero or not, under its own salt: a leaf says nothing, not even whether the instrument is held.
  * Beyond the registry's size (public) leaves are the constant 0, which no known input hashes to, so roots of empty subtrees are
    constants and a large capacity costs nothing.
  * Salts come from one secret per account and epoch: an opened salt reveals no other, and a new epoch changes all.
  * The root salt is fresh for every attestation, so two attestations of one book have unrelated positions_roots.
  * A field element is 32 bytes little-endian and below p. Nothing is reduced on the way in, except lots, where -2^63 .. 2^63 - 1
    maps into [0, p) one to one.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.limbs import LimbArray, bytes_of, ints_of, limbs_from_bytes, limbs_of, signed_limbs
from riskproof.commit.field.modulus import BN254_FR, LIMBS, SCALAR_BYTES
from riskproof.commit.poseidon import poseidon_many
from riskproof.encoding import TAG_LEAF_SALT
from riskproof.errors import CommitmentError
from riskproof.units import INT64_MAX, INT64_MIN

SECRET_BYTES: Final = 32
MIN_CAPACITY: Final = 256
MAX_CAPACITY: Final = 1 << 24

_TAG = bytes([len(TAG_LEAF_SALT)]) + TAG_LEAF_SALT.encode("ascii")


@dataclass(frozen=True)
class TreeRoot:
    """Root of a position tree with the two sizes that positions_root binds.

    Attributes:
        digest: 32 bytes, a canonical field element.
        capacity: number of leaves, a power of two; the depth is its logarithm.
        size: number of positions, the registry's size; 1 <= size <= capacity.

    Raises:
        CommitmentError: any of these does not hold.
    """

    digest: bytes
    capacity: int
    size: int

    def __post_init__(self) -> None:
        BN254_FR.from_bytes(self.digest, "tree root")
        check_capacity(self.capacity, self.size)

    @property
    def depth(self) -> int:
        """Number of levels below the root."""
        return self.capacity.bit_length() - 1


@dataclass(frozen=True)
class PositionOpening:
    """One position with its path.

    Attributes:
        index: registry index.
        lots: int64.
        salt: the leaf's salt, 32 bytes.
        siblings: the path's other nodes from the leaf's level up, depth x 32 bytes.
    """

    index: int
    lots: int = field(repr=False)
    salt: bytes = field(repr=False)
    siblings: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class MultiOpening:
    """Several positions with what their paths share stated once.

    Attributes:
        positions: (index, lots, salt) by strictly increasing index.
        nodes: the nodes that cannot be computed from the positions or the empty part of the tree, from the leaves' level up and
            from left to right within a level; 32 bytes each.
    """

    positions: tuple[tuple[int, int, bytes], ...] = field(repr=False)
    nodes: tuple[bytes, ...] = field(repr=False)


def check_capacity(capacity: int, size: int) -> None:
    """CommitmentError unless capacity is a power of two up to 2^24 and 1 <= size <= capacity."""
    if not 1 < capacity <= MAX_CAPACITY or capacity & (capacity - 1):
        raise CommitmentError(f"capacity {capacity}", where="tree", expected="a power of two from 2 to 2^24")
    if not 1 <= size <= capacity:
        raise CommitmentError(f"{size} positions", where="tree", expected=f"1 to the capacity, {capacity}")


def capacity_for(size: int) -> int:
    """The smallest capacity in use for a registry of `size` instruments: a power of two, at least 256."""
    capacity = max(MIN_CAPACITY, 1 << max(size - 1, 0).bit_length())
    check_capacity(capacity, size)
    return capacity


def leaf_salt(epoch_secret: bytes, index: int) -> bytes:
    """salt_index as 32 bytes."""
    return bytes_of(_salts(epoch_secret, index, 1))


def positions_root(root: TreeRoot, salt: bytes) -> bytes:
    """Poseidon4(tree root, capacity, size, salt): what an attestation carries.

    Raises:
        CommitmentError: the salt is not a canonical field element of 32 bytes.
    """
    parts = root.digest + _element(root.capacity) + _element(root.size) + salt
    BN254_FR.from_bytes(salt, "root salt")
    inputs = np.frombuffer(parts, dtype="<u8").astype(np.uint64).reshape(1, 4, LIMBS)
    return bytes_of(poseidon_many(inputs))


class PositionTree:
    """The tree of one account in one epoch, with incremental updates.

    Takes 64 bytes a position; `tree_root` keeps nothing. Not safe for concurrent updates.
    """

    def __init__(self, lots: npt.NDArray[np.int64], epoch_secret: bytes, capacity: int | None = None) -> None:
        """Hash all positions.

        Args:
            lots: int64[size], one for each registry index; copied.
            epoch_secret: 32 secret bytes, from which all leaf salts derive.
            capacity: power of two >= size; `capacity_for(size)` if not given.

        Raises:
            CommitmentError: lots of another dtype or none, a secret of another length, a capacity that does not fit.
        """
        _check_lots(lots)
        if len(epoch_secret) != SECRET_BYTES:
            raise CommitmentError("epoch secret has the wrong length", where="epoch secret", expected="32 bytes")
        self._capacity = capacity_for(len(lots)) if capacity is None else capacity
        check_capacity(self._capacity, len(lots))
        self._secret = epoch_secret
        self._lots = lots.copy()
        self._levels: list[LimbArray] = [_leaves(lots, epoch_secret, 0)]
        for level in range(self.depth):
            self._levels.append(_parents(self._levels[level], level))

    def __repr__(self) -> str:
        return f"PositionTree(size={self.size}, capacity={self._capacity})"

    @property
    def size(self) -> int:
        """Number of positions."""
        return len(self._lots)

    @property
    def depth(self) -> int:
        """Logarithm of the capacity."""
        return self._capacity.bit_length() - 1

    @property
    def root(self) -> TreeRoot:
        """The tree's root now."""
        return TreeRoot(bytes_of(self._levels[-1]), self._capacity, self.size)

    def lots(self, index: int) -> int:
        """Lots of one position; CommitmentError for an index outside the registry."""
        self._check_index(index)
        return int(self._lots[index])

    def update(self, index: int, lots: int) -> TreeRoot:
        """Set one position: 1 + depth hashes. CommitmentError for an index outside the registry or lots beyond int64."""
        self._check_index(index)
        _check_int64(lots)
        self._lots[index] = lots
        self._levels[0][index] = _leaves(self._lots[index : index + 1], self._secret, index)[0]
        self._rehash(index, index + 1)
        return self.root

    def extend(self, lots: npt.NDArray[np.int64]) -> TreeRoot:
        """Append positions of newly listed instruments; CommitmentError if they exceed the capacity (build a new tree then)."""
        _check_lots(lots)
        size = self.size
        check_capacity(self._capacity, size + len(lots))
        self._lots = np.concatenate([self._lots, lots])
        self._levels[0] = np.concatenate([self._levels[0], _leaves(lots, self._secret, size)])
        self._rehash(size, self.size)
        return self.root

    def opening(self, index: int) -> PositionOpening:
        """One position with its path; CommitmentError for an index outside the registry."""
        self._check_index(index)
        siblings = []
        for level in range(self.depth):
            sibling = (index >> level) ^ 1
            nodes = self._levels[level]
            siblings.append(bytes_of(nodes[sibling]) if sibling < len(nodes) else _element(_empty(level)))
        return PositionOpening(index, int(self._lots[index]), leaf_salt(self._secret, index), tuple(siblings))

    def multi_opening(self, indices: Sequence[int]) -> MultiOpening:
        """Several positions at once, in any order; CommitmentError for none, a duplicate or an index outside the registry."""
        ordered = sorted(indices)
        _check_increasing(ordered)
        for index in ordered:
            self._check_index(index)
        nodes = []
        current = ordered
        for level in range(self.depth):
            row = self._levels[level]
            known = set(current)
            nodes += [bytes_of(row[i ^ 1]) for i in current if i ^ 1 not in known and i ^ 1 < len(row)]
            current = sorted({i >> 1 for i in current})
        positions = tuple((i, int(self._lots[i]), leaf_salt(self._secret, i)) for i in ordered)
        return MultiOpening(positions, tuple(nodes))

    def _check_index(self, index: int) -> None:
        _check_index(index, self.size)

    def _rehash(self, first: int, last: int) -> None:
        """Recompute the ancestors of leaves first .. last - 1; appended leaves lengthen the levels."""
        for level in range(self.depth):
            first, last = first >> 1, (last + 1) >> 1
            fresh = _parents(self._levels[level][2 * first : 2 * last], level)
            row = self._levels[level + 1]
            if last > len(row):
                self._levels[level + 1] = np.concatenate([row[:first], fresh])
            else:
                row[first:last] = fresh


def tree_root(lots: npt.NDArray[np.int64], epoch_secret: bytes, capacity: int | None = None) -> TreeRoot:
    """The root of `PositionTree(...)`, nothing kept; the same errors."""
    return PositionTree(lots, epoch_secret, capacity).root


def verify_opening(root: TreeRoot, opening: PositionOpening) -> bool:
    """Whether the tree with this root holds these lots at this index.

    Raises:
        CommitmentError: the opening is malformed: index outside the registry, lots beyond int64, a path of another depth, a salt or
            node that is not 32 bytes or not below the modulus.
    """
    _check_index(opening.index, root.size)
    if len(opening.siblings) != root.depth:
        raise CommitmentError(
            f"path of {len(opening.siblings)} nodes", where="opening", expected=f"{root.depth}, the tree's depth"
        )
    siblings = _elements(opening.siblings, "siblings")
    node = _opened_leaves([(opening.index, opening.lots, opening.salt)])
    for level in range(root.depth):
        pair = np.concatenate([node, siblings[level : level + 1]])
        if opening.index >> level & 1:
            pair = pair[::-1]
        node = poseidon_many(pair[np.newaxis])
    return bytes_of(node) == root.digest


def verify_multi_opening(root: TreeRoot, opening: MultiOpening) -> bool:
    """Whether the tree with this root holds all these lots at these indices.

    Raises:
        CommitmentError: the opening is malformed: as for `verify_opening`, or no positions, indices not strictly increasing, nodes
            missing or left over.
    """
    positions = opening.positions
    indices = [index for index, _, _ in positions]
    _check_increasing(indices)
    for index in indices:
        _check_index(index, root.size)
    given = _elements(opening.nodes, "nodes")
    used, count = 0, root.size
    values = _opened_leaves(positions)
    for level in range(root.depth):
        known = dict(zip(indices, values, strict=True))
        empty = limbs_of([_empty(level)])[0]
        parents = sorted({i >> 1 for i in indices})
        pairs = np.empty((len(parents), 2, LIMBS), dtype=np.uint64)
        for k, parent in enumerate(parents):
            for side in (0, 1):
                i = 2 * parent + side
                if i in known:
                    pairs[k, side] = known[i]
                elif i >= count:
                    pairs[k, side] = empty
                elif used < len(given):
                    pairs[k, side] = given[used]
                    used += 1
                else:
                    raise CommitmentError(f"only {used} nodes", where="opening", expected="one for each open branch")
        values, indices, count = poseidon_many(pairs), parents, (count + 1) >> 1
    if used != len(given):
        raise CommitmentError(f"{len(given) - used} nodes left over", where="opening", expected="none")
    return bytes_of(values) == root.digest


def _element(value: int) -> bytes:
    return value.to_bytes(SCALAR_BYTES, "little")


def _elements(parts: Sequence[bytes], where: str) -> LimbArray:
    for i, part in enumerate(parts):
        if len(part) != SCALAR_BYTES:
            raise CommitmentError(
                f"{len(part)} bytes are not a field element", where=f"{where}[{i}]", expected="32 bytes"
            )
    return limbs_from_bytes(b"".join(parts), BN254_FR, where)


def _check_int64(lots: int) -> None:
    if not INT64_MIN <= lots <= INT64_MAX:
        raise CommitmentError("lots do not fit int64", where="lots", expected="-2^63 to 2^63 - 1")


def _check_lots(lots: npt.NDArray[np.int64]) -> None:
    if lots.dtype != np.int64 or lots.ndim != 1:
        raise CommitmentError(f"{lots.dtype}[{lots.ndim} axes] are not lots", where="lots", expected="int64[size]")


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise CommitmentError(f"index {index} is outside the registry", where="index", expected=f"0 to {size - 1}")


def _check_increasing(indices: Sequence[int]) -> None:
    if not indices:
        raise CommitmentError("no positions", where="opening", expected="at least one")
    for a, b in itertools.pairwise(indices):
        if b <= a:
            what = f"index {b} twice" if a == b else f"index {b} after {a}"
            raise CommitmentError(what, where="opening", expected="strictly increasing indices")


def _salts(epoch_secret: bytes, first: int, count: int) -> LimbArray:
    keyed = hmac.new(epoch_secret, _TAG, hashlib.sha512)
    salts = []
    for index in range(first, first + count):
        each = keyed.copy()
        each.update(index.to_bytes(8, "little"))
        salts.append(BN254_FR.reduce_wide(each.digest()))
    return limbs_of(salts)


def _leaf_inputs(first: LimbArray, lots: npt.NDArray[np.int64], salts: LimbArray) -> LimbArray:
    return np.stack([first, signed_limbs(lots, BN254_FR), salts], axis=1)


def _leaves(lots: npt.NDArray[np.int64], epoch_secret: bytes, first: int) -> LimbArray:
    """Leaves of positions first, first + 1 ..: uint64[len(lots), 4]."""
    index = signed_limbs(np.arange(first, first + len(lots), dtype=np.int64), BN254_FR)
    return poseidon_many(_leaf_inputs(index, lots, _salts(epoch_secret, first, len(lots))))


def _opened_leaves(positions: Sequence[tuple[int, int, bytes]]) -> LimbArray:
    for _, lots, _ in positions:
        _check_int64(lots)
    salts = _elements([salt for _, _, salt in positions], "salt")
    index = signed_limbs(np.array([i for i, _, _ in positions], dtype=np.int64), BN254_FR)
    lots_array = np.array([q for _, q, _ in positions], dtype=np.int64)
    return poseidon_many(_leaf_inputs(index, lots_array, salts))


@cache
def _empty(level: int) -> int:
    """Root of an empty subtree of 2^level leaves: 0, Poseidon2(0, 0), ..."""
    if level == 0:
        return 0
    below = limbs_of([_empty(level - 1)] * 2).reshape(1, 2, LIMBS)
    return ints_of(poseidon_many(below))[0]


def _parents(nodes: LimbArray, level: int) -> LimbArray:
    """uint64[ceil(N / 2), 4], the parents of N nodes of a level that starts at an even place."""
    if len(nodes) % 2:
        nodes = np.concatenate([nodes, limbs_of([_empty(level)])])
    return poseidon_many(nodes.reshape(-1, 2, LIMBS))
