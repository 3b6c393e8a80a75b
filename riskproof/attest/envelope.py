"""DSSE v1 envelopes (github.com/secure-systems-lab/dsse): what is signed, and the signatures over it.

    {"payload": "<base64>", "payloadType": "application/vnd.riskproof.attestation.v1+json",
     "signatures": [{"keyid": "<thumbprint>", "sig": "<base64>"}, ...]}                   sorted by keyid, each key once

    PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body                  LEN in decimal; this is what a key signs

Stricter than DSSE asks for: the envelope is canonical JSON, key ids are there and unique, and the payload itself names the keys
that sign it (`payload.Attestation.signers`), so that nobody can add, drop or exchange a signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import encoding
from riskproof.errors import AttestationError, EncodingError

PAYLOAD_TYPE: Final = "application/vnd.riskproof.attestation.v1+json"
MAX_ENVELOPE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 16
SIGNATURE_BYTES: Final = 64
KEY_ID_LENGTH: Final = 43  # base64url of 32 bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with its signatures.

    Attributes:
        payload: the bytes that are signed.
        signatures: ((key id, 64 bytes), ...), key ids ascending.
    """

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON of the envelope."""
        return encoding.canonical_json(
            {
                "payload": encoding.to_base64(self.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"keyid": k, "sig": encoding.to_base64(s)} for k, s in self.signatures],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "attestation") -> Envelope:
        """Parse an envelope; signatures are not checked here (AttestationError)."""
        try:
            return _parse(data, where)
        except EncodingError as error:
            raise AttestationError(error.what, where=error.where, expected=error.expected) from None


def pre_authentication_encoding(body: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """PAE of DSSE v1."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def key_id(node: encoding.Json, where: str) -> str:
    """An RFC 7638 SHA-256 thumbprint, else EncodingError."""
    encoding.from_base64url(node, where, 32)
    return str(node)


def _parse(data: bytes, where: str) -> Envelope:
    document = encoding.parse_canonical(data, where, limit=MAX_ENVELOPE_BYTES)
    m = encoding.members(document, where, ("payload", "payloadType", "signatures"))
    if m["payloadType"] != PAYLOAD_TYPE:
        raise EncodingError("not an attestation of this version", where=f"{where}.payloadType", expected=PAYLOAD_TYPE)
    signatures: list[tuple[str, bytes]] = []
    for i, node in enumerate(encoding.array(m["signatures"], f"{where}.signatures", max_length=MAX_SIGNATURES)):
        at = f"{where}.signatures[{i}]"
        s = encoding.members(node, at, ("keyid", "sig"))
        name, signature = key_id(s["keyid"], f"{at}.keyid"), encoding.from_base64(s["sig"], f"{at}.sig")
        if len(signature) != SIGNATURE_BYTES:
            raise EncodingError(
                f"{len(signature)} bytes are not a signature", where=f"{at}.sig", expected=f"{SIGNATURE_BYTES} bytes"
            )
        if signatures and signatures[-1][0] >= name:
            raise EncodingError("not sorted by key id, or one key twice", where=at)
        signatures.append((name, signature))
    if not signatures:
        raise EncodingError("no signature", where=f"{where}.signatures", expected="at least one")
    return Envelope(encoding.from_base64(m["payload"], f"{where}.payload"), tuple(signatures))
