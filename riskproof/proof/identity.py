"""That several Pedersen commitments hide one identity, without saying which (docs/protocol.md, section 6).

A Schnorr proof that a random combination of the differences I_0 - I_j is a multiple of H_id, under the net-risk proof's transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from riskproof.commit.columns import Blinding
from riskproof.commit.field.modulus import BLS12_381_FR, SCALAR_BYTES
from riskproof.commit.identity import H_ID
from riskproof.commit.points import POINT_BYTES, G1Point, parse_g1, point_bytes, scalar
from riskproof.errors import CommitmentError, ProofError
from riskproof.proof.transcript import Transcript

PROOF_BYTES: Final = POINT_BYTES + SCALAR_BYTES
_ORDER = BLS12_381_FR.modulus


def prove_same(transcript: Transcript, blindings: Sequence[Blinding]) -> bytes:
    """80 bytes for the blindings t_0 .. t_{J-1} of J >= 2 commitments to one identity."""
    mix, factor, delta = transcript.challenge("identity-mix"), 1, 0
    for other in blindings[1:]:
        delta += factor * (blindings[0].secret_value - other.secret_value)
        factor = factor * mix % _ORDER
    nonce = Blinding.random().secret_value
    sent = point_bytes(H_ID * scalar(nonce))
    transcript.absorb("identity-nonce", sent)
    response = BLS12_381_FR.to_bytes((nonce + transcript.challenge("identity-challenge") * delta) % _ORDER)
    transcript.absorb("identity-response", response)
    return sent + response


def verify_same(transcript: Transcript, commitments: Sequence[bytes], proof: bytes) -> bool:
    """Whether J >= 2 commitments, points each, hide one identity.

    Raises:
        ProofError: not 80 bytes, a point that is none, a scalar that is not reduced.
    """
    if len(proof) != PROOF_BYTES:
        raise ProofError(f"{len(proof)} bytes", where="identity_proof", expected=f"{PROOF_BYTES} bytes")
    mix, factor, factors = transcript.challenge("identity-mix"), 1, []
    for _ in commitments[1:]:
        factors.append(factor)
        factor = factor * mix % _ORDER
    try:
        points = [parse_g1(c, f"holder-identity[{j}]") for j, c in enumerate(commitments)]
        nonce = parse_g1(proof[:POINT_BYTES], "identity_proof.nonce")
        response = BLS12_381_FR.from_bytes(proof[POINT_BYTES:], "identity_proof.response")
    except CommitmentError as error:
        raise ProofError(error.what, where=error.where, expected=error.expected) from None
    transcript.absorb("identity-nonce", proof[:POINT_BYTES])
    challenge = transcript.challenge("identity-challenge")
    transcript.absorb("identity-response", proof[POINT_BYTES:])
    weights = [sum(factors), *(-f for f in factors)]
    right = G1Point.multiexp_unchecked(points, [scalar(challenge * w % _ORDER) for w in weights]) + nonce
    return bool(H_ID * scalar(response) == right)
