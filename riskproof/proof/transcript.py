"""The Fiat-Shamir transcript: a 32-byte state that every message is hashed into, in order, framed and labelled.

    absorb(label, data)   state = SHA-256(state || len(label) as 1 byte || label || len(data) as u64 || data)
    challenge(label)      x = SHA-256(state || len(label) || label || 0) || SHA-256(state || len(label) || label || 1);
                          absorb(label, x); the 64 bytes as a little-endian number modulo the group order

docs/protocol.md lists the labels.
"""

from __future__ import annotations

import hashlib
from functools import cache

from riskproof.commit.field.modulus import BLS12_381_FR


@cache
def _framed(label: str) -> bytes:
    """len(label) || label: a dozen labels come again with every proof."""
    name = label.encode("ascii")
    return bytes([len(name)]) + name


class Transcript:
    """See the module."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = bytes(32)

    @property
    def state(self) -> bytes:
        """32 bytes that depend on everything absorbed so far."""
        return self._state

    def absorb(self, label: str, data: bytes) -> None:
        """Hash a message into the state; labels are ASCII of at most 255 characters."""
        self._state = hashlib.sha256(self._state + _framed(label) + len(data).to_bytes(8, "little") + data).digest()

    def challenge(self, label: str) -> int:
        """A number below the group order, uniform up to 2^-256, that depends on everything absorbed so far."""
        framed = self._state + _framed(label)
        wide = hashlib.sha256(framed + b"\x00").digest() + hashlib.sha256(framed + b"\x01").digest()
        self.absorb(label, wide)
        return BLS12_381_FR.reduce_wide(wide)

    def point_of_evaluation(self, n: int) -> int:
        """The challenge `z`: drawn again while it is 0 or an n-th root of unity."""
        order = BLS12_381_FR.modulus
        while (z := self.challenge("z")) == 0 or pow(z, n, order) == 1:
            pass
        return z
