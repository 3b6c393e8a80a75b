"""Public keys as a JWK set (RFC 7517, RFC 8037), with what riskproof needs to know about each.

    {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "<base64url>", "kid": "<RFC 7638 thumbprint>", "alg": "EdDSA", "use": "sig",
               "riskproof:venue": "venue-a", "nbf": 1767225600, "exp": 1798761600,
               "revoked": {"revoked_at": 1783000000, "reason": "superseded"}}, ...]}

`nbf`, `exp` and `revoked` are optional and mean what they mean in OpenID Federation 1.0, section "Historical Keys". A key signs for
one venue, and an attestation is judged by its time of issue, so rotation leaves old attestations verifiable for ever:

    an attestation verifies under a key if     nbf <= issued_at < exp
    and, if the key is superseded,             issued_at < revoked_at
    a compromised key verifies nothing:        whoever stole it can write any time of issue

A reason that is missing or "unspecified" counts as compromised. Members that we do not know are refused: an expiry that is misspelt
must not become a key without one. So is a private key in a set.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from riskproof import encoding, units
from riskproof.attest.edwards import check_public_key
from riskproof.encoding import Json
from riskproof.errors import EncodingError, KeySetError

MAX_KEYS: Final = 256
MAX_KEY_SET_BYTES: Final = 1 << 20
MAX_VENUE: Final = 64
MAX_TIME: Final = units.TIME_MAX

_CONSTANT: Final[dict[str, str]] = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}


class RevocationReason(enum.StrEnum):
    """Why a key was revoked."""

    SUPERSEDED = "superseded"  # replaced in good order: what it signed before stays valid
    COMPROMISED = "compromised"  # somebody else may have it: nothing it signed is valid
    UNSPECIFIED = "unspecified"  # treated as compromised


def thumbprint(public_key: bytes) -> str:
    """RFC 7638 thumbprint of an Ed25519 public key: base64url of SHA-256 over {"crv", "kty", "x"}."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": encoding.to_base64url(public_key)}
    return encoding.to_base64url(hashlib.sha256(encoding.canonical_json(members)).digest())


@dataclass(frozen=True)
class PublicKey:
    """A venue's Ed25519 public key. Construction checks it.

    Attributes:
        raw: 32 bytes, a canonical point of prime order.
        venue: the venue that signs with it, 1 to 64 printable characters.
        not_before, expires: validity interval of times of issue, [not_before, expires), seconds since the epoch; None: unbounded.
        revoked_at, reason: set together, or both None.

    Raises:
        KeySetError: a point that must not be trusted, an empty interval, a time out of range.
    """

    raw: bytes
    venue: str
    not_before: int | None = None
    expires: int | None = None
    revoked_at: int | None = None
    reason: RevocationReason | None = None

    def __post_init__(self) -> None:
        check_public_key(self.raw)
        if not 0 < len(self.venue) <= MAX_VENUE or not self.venue.isprintable():
            raise KeySetError("not a venue's name", where="venue", expected=f"1 to {MAX_VENUE} printable characters")
        for name in ("not_before", "expires", "revoked_at"):
            time = getattr(self, name)
            if time is not None and not 0 <= time < MAX_TIME:
                raise KeySetError("time is out of range", where=name, expected="seconds since the epoch")
        if self.not_before is not None and self.expires is not None and self.not_before >= self.expires:
            raise KeySetError("validity interval is empty", where=self.key_id, expected="nbf before exp")
        if (self.revoked_at is None) != (self.reason is None):
            raise KeySetError("a time and a reason of revocation go together", where=self.key_id)

    @cached_property
    def key_id(self) -> str:
        """RFC 7638 thumbprint."""
        return thumbprint(self.raw)

    @cached_property
    def _key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.raw)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """True if `signature` is this key's over `message` (S below L and R compared as bytes, as RFC 8032 demands)."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def refusal(self, issued_at: int) -> str:
        """Why this key does not vouch for an attestation issued at `issued_at`; "" if it does."""
        if self.reason is not None and self.reason is not RevocationReason.SUPERSEDED:
            return f"key {self.key_id} is revoked ({self.reason}): nothing it signed can be trusted"
        if self.revoked_at is not None and issued_at >= self.revoked_at:
            return f"key {self.key_id} was superseded at {self.revoked_at}, before the attestation was issued"
        if self.not_before is not None and issued_at < self.not_before:
            return f"key {self.key_id} is valid from {self.not_before}, after the attestation was issued"
        if self.expires is not None and issued_at >= self.expires:
            return f"key {self.key_id} expired at {self.expires}, before the attestation was issued"
        return ""

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            **_CONSTANT,
            "x": encoding.to_base64url(self.raw),
            "kid": self.key_id,
            "riskproof:venue": self.venue,
        }
        if self.not_before is not None:
            document["nbf"] = self.not_before
        if self.expires is not None:
            document["exp"] = self.expires
        if self.revoked_at is not None and self.reason is not None:
            document["revoked"] = {"revoked_at": self.revoked_at, "reason": self.reason.value}
        return document

    @classmethod
    def from_document(cls, node: Json, where: str) -> PublicKey:
        """Read a JWK (KeySetError)."""
        if isinstance(node, dict) and "d" in node:
            raise KeySetError("a private key in a set of public keys", where=where, expected="no member 'd'")
        try:
            m = encoding.members(node, where, (*_CONSTANT, "x", "kid", "riskproof:venue"), ("nbf", "exp", "revoked"))
            for member, value in _CONSTANT.items():
                if m[member] != value:
                    raise KeySetError("not an Ed25519 signing key", where=f"{where}.{member}", expected=value)
            raw = encoding.from_base64url(m["x"], f"{where}.x", 32)
            revoked_at, reason = _revocation(m.get("revoked"), f"{where}.revoked") if "revoked" in m else (None, None)
            key = cls(
                raw,
                encoding.string(m["riskproof:venue"], f"{where}.riskproof:venue", max_length=MAX_VENUE),
                encoding.integer(m["nbf"], f"{where}.nbf", low=0) if "nbf" in m else None,
                encoding.integer(m["exp"], f"{where}.exp", low=0) if "exp" in m else None,
                revoked_at,
                reason,
            )
        except EncodingError as error:
            raise KeySetError(error.what, where=error.where, expected=error.expected) from None
        except KeySetError as error:
            place = error.where if error.where.startswith(where) else f"{where}.{error.where}".rstrip(".")
            raise KeySetError(error.what, where=place, expected=error.expected) from None
        if m["kid"] != key.key_id:
            raise KeySetError("key id is not the key's thumbprint", where=f"{where}.kid", expected=key.key_id)
        return key


def _revocation(node: Json, where: str) -> tuple[int, RevocationReason]:
    m = encoding.members(node, where, ("revoked_at",), ("reason",))
    at = encoding.integer(m["revoked_at"], f"{where}.revoked_at", low=0)
    reason = m.get("reason", RevocationReason.UNSPECIFIED.value)
    if reason not in tuple(RevocationReason):
        raise KeySetError("unknown reason of revocation", where=f"{where}.reason", expected=", ".join(RevocationReason))
    return at, RevocationReason(reason)


@dataclass(frozen=True)
class KeySet:
    """Public keys by key id, no two alike (KeySetError)."""

    keys: tuple[PublicKey, ...]

    def __post_init__(self) -> None:
        if len(self.keys) > MAX_KEYS:
            raise KeySetError(f"{len(self.keys)} keys", where="keys", expected=f"at most {MAX_KEYS}")
        if len(self._by_id) != len(self.keys):
            raise KeySetError("a key is listed twice", where="keys", expected="one entry per key")

    @cached_property
    def _by_id(self) -> dict[str, PublicKey]:
        return {key.key_id: key for key in self.keys}

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self.keys)

    def get(self, key_id: str) -> PublicKey | None:
        """The key of an id, or None."""
        return self._by_id.get(key_id)

    def merged(self, other: KeySet) -> KeySet:
        """Both sets together. A key in both must say the same of itself in both (KeySetError)."""
        new: list[PublicKey] = []
        for key in other:
            known = self.get(key.key_id)
            if known is None:
                new.append(key)
            elif known != key:
                raise KeySetError("two sets differ about one key", where=key.key_id, expected="equal entries")
        return KeySet(self.keys + tuple(new))

    def revoked(self, key_id: str, at: int, reason: RevocationReason) -> KeySet:
        """This set with one key revoked. Revocation is never taken back: not its reason, and not its time.

        Raises:
            KeySetError: no such key; it is compromised already, or superseded at an earlier time.
        """
        key = self.get(key_id)
        if key is None:
            raise KeySetError(f"no key {key_id[:64]!r} in the set", where="kid")
        if key.reason is not None and key.reason is not RevocationReason.SUPERSEDED:
            raise KeySetError("the key is already revoked as compromised", where=key_id)
        if key.revoked_at is not None and reason is RevocationReason.SUPERSEDED and at > key.revoked_at:
            raise KeySetError("the key was superseded earlier", where=key_id, expected=f"at most {key.revoked_at}")
        return KeySet(tuple(replace(k, revoked_at=at, reason=reason) if k is key else k for k in self.keys))

    def to_bytes(self) -> bytes:
        """Canonical JSON of the set."""
        return encoding.canonical_json({"keys": [key.to_document() for key in self.keys]})

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "keys") -> KeySet:
        """Parse a JWK set; people edit these, so any JSON will do (KeySetError)."""
        try:
            m = encoding.members(encoding.parse_json(data, where, limit=MAX_KEY_SET_BYTES), where, ("keys",))
            items = encoding.array(m["keys"], f"{where}.keys", max_length=MAX_KEYS)
        except EncodingError as error:
            raise KeySetError(error.what, where=error.where, expected=error.expected) from None
        return cls(tuple(PublicKey.from_document(x, f"{where}.keys[{i}]") for i, x in enumerate(items)))
