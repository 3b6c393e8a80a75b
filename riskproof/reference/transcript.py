"""Section 4 of docs/protocol.md: a chain of SHA-256 that turns everything sent so far into challenges."""

from __future__ import annotations

import hashlib

from riskproof.reference.groups import R_ORDER


def u32(x: int) -> bytes:
    """4 bytes little-endian."""
    return x.to_bytes(4, "little")


def u64(x: int) -> bytes:
    """8 bytes little-endian."""
    return x.to_bytes(8, "little")


class Transcript:
    """state: 32 bytes, zero at first."""

    def __init__(self) -> None:
        self.state = bytes(32)

    def absorb(self, label: str, data: bytes) -> None:
        """state = SHA-256(state || len(label) || label || len(data) as u64 || data)."""
        name = label.encode("ascii")
        self.state = hashlib.sha256(self.state + bytes([len(name)]) + name + u64(len(data)) + data).digest()

    def challenge(self, label: str) -> int:
        """64 bytes of the state and the label, absorbed, as a number modulo r."""
        name = label.encode("ascii")
        prefix = self.state + bytes([len(name)]) + name
        x = hashlib.sha256(prefix + b"\x00").digest() + hashlib.sha256(prefix + b"\x01").digest()
        self.absorb(label, x)
        return int.from_bytes(x, "little") % R_ORDER
