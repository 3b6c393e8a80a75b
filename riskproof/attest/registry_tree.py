"""Merkle tree of a registry's instruments (RFC 6962, section 2.1), so that a disclosure proves terms without the whole registry.

    leaf(i)    = SHA-256(0x00 || canonical JSON of instrument i)
    node(l, r) = SHA-256(0x01 || l || r)
    MTH(D[n])  = node(MTH(D[0:k]), MTH(D[k:n]))        k the largest power of two below n

The attestation carries the root and the number of leaves, so a path fixes the index as well. `audit_path` is the RFC's PATH,
nearest sibling first; `root_from_path` is the verification of RFC 9162, section 2.1.3.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.market.registry import Registry

HASH_BYTES = 32


def leaf_hash(instrument: Json) -> bytes:
    """Hash of an instrument's document."""
    return hashlib.sha256(b"\x00" + encoding.canonical_json(instrument)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, eq=False)
class RegistryTree:
    """The tree over leaf hashes. Level 0 is the leaves; a node without a sibling moves up unchanged, which is RFC 6962's tree."""

    leaves: tuple[bytes, ...]

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        levels = [list(self.leaves)]
        while len(levels[-1]) > 1:
            below = levels[-1]
            above = [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            if len(below) % 2:
                above.append(below[-1])
            levels.append(above)
        return levels

    @property
    def root(self) -> bytes:
        """32 bytes; SHA-256 of nothing for an empty registry."""
        return self._levels[-1][0] if self.leaves else hashlib.sha256(b"").digest()

    def audit_path(self, index: int) -> tuple[bytes, ...]:
        """Siblings from the leaf to the root."""
        if not 0 <= index < len(self.leaves):
            raise AssertionError("index outside the registry")
        path = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                path.append(level[index ^ 1])
            index >>= 1
        return tuple(path)


def registry_tree(registry: Registry) -> RegistryTree:
    """The tree of a registry; some milliseconds for 2,000 instruments, kept for the registries used last."""
    return _cached_tree(_Keyed(registry))


class _Keyed:
    """A registry that hashes by its digest: hashing 2,000 dataclasses on every look-up would cost more than the tree saves."""

    __slots__ = ("registry",)

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def __hash__(self) -> int:
        return hash(self.registry.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.registry.digest == other.registry.digest


@lru_cache(maxsize=8)
def _cached_tree(key: _Keyed) -> RegistryTree:
    return RegistryTree(tuple(leaf_hash(i.to_document()) for i in key.registry.instruments))


def root_from_path(leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> bytes | None:
    """The root that a leaf at `index` of `size` has with this path; None if the path has the wrong length."""
    if not 0 <= index < size:
        return None
    at, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            node = _node(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = _node(node, sibling)
        at, last = at >> 1, last >> 1
    return node if last == 0 else None
