"""Pedersen commitments to a holder's identity (docs/protocol.md, section 3).

    I = id G_id + t H_id,    id = LE(SHA-256("\\x00" || d) || SHA-256("\\x01" || d)) mod r
                             d = digest(TAG_IDENTITY, identity in UTF-8)

with t uniform and fresh for every attestation: two commitments to one identity look unrelated, and their difference is a multiple
of H_id, which is what a proof over several attestations shows. Nobody knows a relation between G_id and H_id: they are what
RFC 9380's BLS12381G1_XMD:SHA-256_SSWU_RO_ makes of the messages `G` and `H` with TAG_IDENTITY as domain separation tag.

Needs neither numpy nor numba. Multiplications are not constant time: a venue runs this on its own machines.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import G1Point, parse_g1, point_bytes, scalar
from riskproof.encoding import TAG_IDENTITY, digest
from riskproof.errors import CommitmentError

if TYPE_CHECKING:
    from riskproof.commit.columns import Blinding

MAX_IDENTITY: Final = 128

G_ID: Final[G1Point] = parse_g1(
    bytes.fromhex("a2a1dd71aacc62f7f8ab3bfefb421624780bc5d76185ff06710b894bbfe7f721970b0256d0ad7e962a86a3319fd141c8")
)
H_ID: Final[G1Point] = parse_g1(
    bytes.fromhex("ae4e16dd7a1a0e3fc7e46ed82a0155e7cd969a03891904e9ff13e942a4e52e02fc56643167aa9a6cc65220e0ce92ab11")
)


def identity_scalar(identity: str) -> int:
    """The number in [0, r) that stands for an identity; secret where the identity is.

    Raises:
        CommitmentError: not 1 to 128 printable characters. The message does not repeat them.
    """
    if not 0 < len(identity) <= MAX_IDENTITY or not identity.isprintable():
        raise CommitmentError("not a name", where="identity", expected=f"1 to {MAX_IDENTITY} printable characters")
    d = digest(TAG_IDENTITY, identity.encode("utf-8"))
    return BLS12_381_FR.reduce_wide(hashlib.sha256(b"\x00" + d).digest() + hashlib.sha256(b"\x01" + d).digest())


def commit_identity(identity: str, blinding: Blinding) -> bytes:
    """48 bytes: the commitment to an identity under a blinding that is used once (CommitmentError as `identity_scalar`)."""
    return point_bytes(G_ID * scalar(identity_scalar(identity)) + H_ID * scalar(blinding.secret_value))
