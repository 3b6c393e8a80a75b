"""A proof as a file: the protocol's bytes, which challenge and attestations they answer, and the holder's consent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import EncodingError, ProofError
from riskproof.proof.identity import PROOF_BYTES
from riskproof.proof.statement import MAX_ATTESTATIONS

SCHEMA: Final = "riskproof/proof/v1"
SIGNATURE_BYTES: Final = 64
MAX_PROOF_BYTES: Final = 1 << 20
MAX_FILE_BYTES: Final = 2 * MAX_PROOF_BYTES


@dataclass(frozen=True)
class ProofDocument:
    """A parsed proof.

    Attributes:
        challenge_digest: 32 bytes.
        attestation_digests: 32 bytes each, ascending.
        proof: the bytes of docs/protocol.md section 5.
        identity_proof: 80 bytes if there are two attestations or more, else None.
        holder_signature: 64 bytes.
    """

    challenge_digest: bytes
    attestation_digests: tuple[bytes, ...]
    proof: bytes
    identity_proof: bytes | None
    holder_signature: bytes

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "challenge_digest": self.challenge_digest.hex(),
            "attestation_digests": [d.hex() for d in self.attestation_digests],
            "proof": encoding.to_base64(self.proof),
            "holder_signature": encoding.to_base64(self.holder_signature),
        }
        if self.identity_proof is not None:
            document["identity_proof"] = encoding.to_base64(self.identity_proof)
        return encoding.canonical_json(document)

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "proof") -> ProofDocument:
        """Parse a proof's file; whether the proof holds is another matter (ProofError)."""
        try:
            return _parse(encoding.parse_canonical(data, where, limit=MAX_FILE_BYTES), where)
        except EncodingError as error:
            raise ProofError(error.what, where=error.where, expected=error.expected) from None


def _parse(node: Json, where: str) -> ProofDocument:
    m = encoding.members(
        node,
        where,
        ("schema", "challenge_digest", "attestation_digests", "proof", "holder_signature"),
        ("identity_proof",),
    )
    if m["schema"] != SCHEMA:
        raise EncodingError("not a proof of this version", where=f"{where}.schema", expected=SCHEMA)
    items = encoding.array(m["attestation_digests"], f"{where}.attestation_digests", max_length=MAX_ATTESTATIONS)
    digests = tuple(encoding.hex_bytes(x, f"{where}.attestation_digests[{i}]", 32) for i, x in enumerate(items))
    if not digests or list(digests) != sorted(set(digests)):
        raise EncodingError(
            "no attestation, not in order, or one twice", where=f"{where}.attestation_digests", expected="ascending"
        )
    if ("identity_proof" in m) != (len(digests) > 1):
        raise EncodingError(
            "an identity proof goes with two attestations or more, and only with them", where=f"{where}.identity_proof"
        )
    proof = encoding.from_base64(m["proof"], f"{where}.proof")
    if len(proof) > MAX_PROOF_BYTES:
        raise EncodingError(f"{len(proof)} bytes", where=f"{where}.proof", expected=f"at most {MAX_PROOF_BYTES}")
    return ProofDocument(
        encoding.hex_bytes(m["challenge_digest"], f"{where}.challenge_digest", 32),
        digests,
        proof,
        _exactly(m["identity_proof"], PROOF_BYTES, f"{where}.identity_proof") if len(digests) > 1 else None,
        _exactly(m["holder_signature"], SIGNATURE_BYTES, f"{where}.holder_signature"),
    )


def _exactly(node: Json, length: int, where: str) -> bytes:
    data = encoding.from_base64(node, where)
    if len(data) != length:
        raise EncodingError(f"{len(data)} bytes", where=where, expected=f"{length} bytes")
    return data
