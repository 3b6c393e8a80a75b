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
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.limbs import LimbArray, bytes_of, limbs_of
from riskproof.commit.field.modulus import BN254_FR, LIMBS
from riskproof.commit.openings import (
    MAX_CAPACITY,
    MultiOpening,
    PositionOpening,
    TreeRoot,
    check_capacity,
    check_increasing,
    check_index,
    check_int64,
    element_bytes,
    empty_root,
    leaf_hashes,
    positions_root,
    verify_multi_opening,
    verify_opening,
)
from riskproof.commit.poseidon import poseidon_many
from riskproof.encoding import TAG_LEAF_SALT
from riskproof.errors import CommitmentError

__all__ = [
    "BLOCK",
    "MAX_CAPACITY",
    "MIN_CAPACITY",
    "MultiOpening",
    "PositionOpening",
    "PositionTree",
    "TreeRoot",
    "capacity_for",
    "check_capacity",
    "leaf_salt",
    "positions_root",
    "tree_root",
    "verify_multi_opening",
    "verify_opening",
]

SECRET_BYTES: Final = 32
MIN_CAPACITY: Final = 256
BLOCK: Final = 8

_TAG = bytes([len(TAG_LEAF_SALT)]) + TAG_LEAF_SALT.encode("ascii")


def capacity_for(size: int) -> int:
    """The smallest capacity in use for a registry of `size` instruments: a power of two, at least 256."""
    capacity = max(MIN_CAPACITY, 1 << max(size - 1, 0).bit_length())
    check_capacity(capacity, size)
    return capacity


def leaf_salt(epoch_secret: bytes, index: int) -> bytes:
    """salt_index as 32 bytes."""
    return bytes_of(_salts(epoch_secret, index, 1))


class PositionTree:
    """The tree of one account in one epoch, with incremental updates.

    Lots are kept sparse and nodes only from the blocks' roots up, 64 / block bytes a position; a block's leaves are hashed again
    when one of them changes or is opened. So a venue can keep the trees of many accounts. Not safe for concurrent updates.
    """

    def __init__(
        self, lots: npt.NDArray[np.int64], epoch_secret: bytes, capacity: int | None = None, *, block: int = BLOCK
    ) -> None:
        """Hash all positions.

        Args:
            lots: int64[size], one for each registry index; copied.
            epoch_secret: 32 secret bytes, from which all leaf salts derive.
            capacity: power of two >= size; `capacity_for(size)` if not given.
            block: leaves in a block, a power of two; it costs time or memory and does not change the tree.

        Raises:
            CommitmentError: lots of another dtype or none, a secret of another length, a capacity that does not fit.
        """
        if block < 1 or block & (block - 1):
            raise AssertionError("a block is a power of two of leaves")
        _check_lots(lots)
        if len(epoch_secret) != SECRET_BYTES:
            raise CommitmentError("epoch secret has the wrong length", where="epoch secret", expected="32 bytes")
        self._capacity = capacity_for(len(lots)) if capacity is None else capacity
        check_capacity(self._capacity, len(lots))
        self._secret = epoch_secret
        self._size = len(lots)
        self._lots = {int(i): int(lots[i]) for i in np.flatnonzero(lots)}
        self._base = min(
            block.bit_length() - 1, self.depth
        )  # the level of the blocks' roots, the lowest one that is kept
        self._kept: list[LimbArray] = [self._hashed(0, lots)[-1]]
        for level in range(self._base, self.depth):
            self._kept.append(_parents(self._kept[-1], level))

    def __repr__(self) -> str:
        return f"PositionTree(size={self._size}, capacity={self._capacity})"

    @property
    def size(self) -> int:
        """Number of positions."""
        return self._size

    @property
    def depth(self) -> int:
        """Logarithm of the capacity."""
        return self._capacity.bit_length() - 1

    @property
    def root(self) -> TreeRoot:
        """The tree's root now."""
        return TreeRoot(bytes_of(self._kept[-1]), self._capacity, self._size)

    def lots(self, index: int) -> int:
        """Lots of one position; CommitmentError for an index outside the registry."""
        check_index(index, self._size)
        return self._lots.get(index, 0)

    def update(self, index: int, lots: int) -> TreeRoot:
        """Set one position: 2 block + depth hashes. CommitmentError for an index outside the registry or lots beyond int64."""
        check_index(index, self._size)
        check_int64(lots)
        self._set(index, lots)
        self._rehash(index >> self._base, self._block(index >> self._base)[-1])
        return self.root

    def extend(self, lots: npt.NDArray[np.int64]) -> TreeRoot:
        """Append positions of newly listed instruments; CommitmentError if they exceed the capacity (build a new tree then)."""
        _check_lots(lots)
        check_capacity(self._capacity, self._size + len(lots))
        first = self._size >> self._base
        start = first << self._base
        tail = np.concatenate([self._dense(start, self._size), lots])
        for i in np.flatnonzero(lots).tolist():
            self._set(self._size + i, int(lots[i]))
        self._size += len(lots)
        if len(tail):
            self._rehash(first, self._hashed(start, tail)[-1])
        return self.root

    def opening(self, index: int) -> PositionOpening:
        """One position with its path; CommitmentError for an index outside the registry."""
        check_index(index, self._size)
        low = {index >> self._base: self._block(index >> self._base)}
        siblings = [self._node(level, (index >> level) ^ 1, low) for level in range(self.depth)]
        return PositionOpening(index, self.lots(index), leaf_salt(self._secret, index), tuple(siblings))

    def multi_opening(self, indices: Sequence[int]) -> MultiOpening:
        """Several positions at once, in any order; CommitmentError for none, a duplicate or an index outside the registry."""
        ordered = sorted(indices)
        check_increasing(ordered)
        for index in ordered:
            check_index(index, self._size)
        low = {b: self._block(b) for b in sorted({index >> self._base for index in ordered})}
        nodes, current = [], ordered
        for level in range(self.depth):
            known, count = set(current), -(-self._size >> level)
            nodes += [self._node(level, i ^ 1, low) for i in current if i ^ 1 not in known and i ^ 1 < count]
            current = sorted({i >> 1 for i in current})
        positions = tuple((i, self.lots(i), leaf_salt(self._secret, i)) for i in ordered)
        return MultiOpening(positions, tuple(nodes))

    def _set(self, index: int, lots: int) -> None:
        if lots:
            self._lots[index] = lots
        else:
            self._lots.pop(index, None)

    def _dense(self, start: int, end: int) -> npt.NDArray[np.int64]:
        return np.array([self._lots.get(i, 0) for i in range(start, end)], dtype=np.int64)

    def _hashed(self, start: int, lots: npt.NDArray[np.int64]) -> list[LimbArray]:
        """Levels 0 .. base over positions start, start + 1 ..; start is the first of a block."""
        levels = [_leaves(lots, self._secret, start)]
        for level in range(self._base):
            levels.append(_parents(levels[-1], level))
        return levels

    def _block(self, number: int) -> list[LimbArray]:
        """Levels 0 .. base of one block."""
        start = number << self._base
        return self._hashed(start, self._dense(start, min(start + (1 << self._base), self._size)))

    def _node(self, level: int, i: int, low: dict[int, list[LimbArray]]) -> bytes:
        """Node i of a level, below the kept levels from the blocks in `low`; 32 bytes."""
        if level >= self._base:
            row = self._kept[level - self._base]
        else:
            number = i >> (self._base - level)
            row, i = low[number][level], i - (number << (self._base - level))
        return bytes_of(row[i]) if i < len(row) else element_bytes(empty_root(level))

    def _rehash(self, first: int, roots: LimbArray) -> None:
        """Put new roots of the blocks first, first + 1 .. and recompute the nodes above; appended blocks lengthen the levels."""
        fresh = roots
        for k in range(len(self._kept)):
            row, last = self._kept[k], first + len(fresh)
            if last > len(row):
                self._kept[k] = np.concatenate([row[:first], fresh])
            else:
                row[first:last] = fresh
            first, last = first >> 1, (last + 1) >> 1
            if k + 1 < len(self._kept):
                fresh = _parents(self._kept[k][2 * first : 2 * last], self._base + k)


def tree_root(lots: npt.NDArray[np.int64], epoch_secret: bytes, capacity: int | None = None) -> TreeRoot:
    """The root of `PositionTree(...)`, nothing kept; the same errors."""
    return PositionTree(lots, epoch_secret, capacity).root


def _check_lots(lots: npt.NDArray[np.int64]) -> None:
    if lots.dtype != np.int64 or lots.ndim != 1:
        raise CommitmentError(f"{lots.dtype}[{lots.ndim} axes] are not lots", where="lots", expected="int64[size]")


def _salts(epoch_secret: bytes, first: int, count: int) -> LimbArray:
    keyed = hmac.new(epoch_secret, _TAG, hashlib.sha512)
    salts = []
    for index in range(first, first + count):
        each = keyed.copy()
        each.update(index.to_bytes(8, "little"))
        salts.append(BN254_FR.reduce_wide(each.digest()))
    return limbs_of(salts)


def _leaves(lots: npt.NDArray[np.int64], epoch_secret: bytes, first: int) -> LimbArray:
    """Leaves of positions first, first + 1 ..: uint64[len(lots), 4]."""
    indices = np.arange(first, first + len(lots), dtype=np.int64)
    return leaf_hashes(indices, lots, _salts(epoch_secret, first, len(lots)))


def _parents(nodes: LimbArray, level: int) -> LimbArray:
    """uint64[ceil(N / 2), 4], the parents of N nodes of a level that starts at an even place."""
    if len(nodes) % 2:
        nodes = np.concatenate([nodes, limbs_of([empty_root(level)])])
    return poseidon_many(nodes.reshape(-1, 2, LIMBS))
