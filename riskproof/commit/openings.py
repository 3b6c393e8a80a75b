"""What a verifier of the position tree needs: roots, openings and their checks. `merkle` states the tree.

Openings are checked completely: sizes and ranges first (CommitmentError), then the hashes (True or False).
"""

from __future__ import annotations

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
from riskproof.errors import CommitmentError
from riskproof.units import INT64_MAX, INT64_MIN

MAX_CAPACITY: Final = 1 << 24


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


def positions_root(root: TreeRoot, salt: bytes) -> bytes:
    """Poseidon4(tree root, capacity, size, salt): what an attestation carries.

    Raises:
        CommitmentError: the salt is not a canonical field element of 32 bytes.
    """
    parts = root.digest + element_bytes(root.capacity) + element_bytes(root.size) + salt
    BN254_FR.from_bytes(salt, "root salt")
    inputs = np.frombuffer(parts, dtype="<u8").astype(np.uint64).reshape(1, 4, LIMBS)
    return bytes_of(poseidon_many(inputs))


def verify_opening(root: TreeRoot, opening: PositionOpening) -> bool:
    """Whether the tree with this root holds these lots at this index.

    Raises:
        CommitmentError: the opening is malformed: index outside the registry, lots beyond int64, a path of another depth, a salt or
            node that is not 32 bytes or not below the modulus.
    """
    check_index(opening.index, root.size)
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
    check_increasing(indices)
    for index in indices:
        check_index(index, root.size)
    given = _elements(opening.nodes, "nodes")
    used, count = 0, root.size
    values = _opened_leaves(positions)
    for level in range(root.depth):
        known = dict(zip(indices, values, strict=True))
        empty = limbs_of([empty_root(level)])[0]
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


def element_bytes(value: int) -> bytes:
    """32 little-endian bytes."""
    return value.to_bytes(SCALAR_BYTES, "little")


def _elements(parts: Sequence[bytes], where: str) -> LimbArray:
    for i, part in enumerate(parts):
        if len(part) != SCALAR_BYTES:
            raise CommitmentError(
                f"{len(part)} bytes are not a field element", where=f"{where}[{i}]", expected="32 bytes"
            )
    return limbs_from_bytes(b"".join(parts), BN254_FR, where)


def check_int64(lots: int) -> None:
    """CommitmentError for lots beyond int64."""
    if not INT64_MIN <= lots <= INT64_MAX:
        raise CommitmentError("lots do not fit int64", where="lots", expected="-2^63 to 2^63 - 1")


def check_index(index: int, size: int) -> None:
    """CommitmentError for an index outside 0 .. size - 1."""
    if not 0 <= index < size:
        raise CommitmentError(f"index {index} is outside the registry", where="index", expected=f"0 to {size - 1}")


def check_increasing(indices: Sequence[int]) -> None:
    """CommitmentError for no indices, or indices that do not strictly increase."""
    if not indices:
        raise CommitmentError("no positions", where="opening", expected="at least one")
    for a, b in itertools.pairwise(indices):
        if b <= a:
            what = f"index {b} twice" if a == b else f"index {b} after {a}"
            raise CommitmentError(what, where="opening", expected="strictly increasing indices")


def leaf_hashes(indices: npt.NDArray[np.int64], lots: npt.NDArray[np.int64], salts: LimbArray) -> LimbArray:
    """Poseidon3(index, lots mod p, salt) of each position: int64[N], int64[N], uint64[N, 4] -> uint64[N, 4]."""
    parts = [signed_limbs(indices, BN254_FR), signed_limbs(lots, BN254_FR), salts]
    return poseidon_many(np.stack(parts, axis=1))


def _opened_leaves(positions: Sequence[tuple[int, int, bytes]]) -> LimbArray:
    for _, lots, _ in positions:
        check_int64(lots)
    salts = _elements([salt for _, _, salt in positions], "salt")
    indices = np.array([i for i, _, _ in positions], dtype=np.int64)
    return leaf_hashes(indices, np.array([q for _, q, _ in positions], dtype=np.int64), salts)


@cache
def empty_root(level: int) -> int:
    """Root of an empty subtree of 2^level leaves: 0, Poseidon2(0, 0), ..."""
    if level == 0:
        return 0
    below = limbs_of([empty_root(level - 1)] * 2).reshape(1, 2, LIMBS)
    return ints_of(poseidon_many(below))[0]
