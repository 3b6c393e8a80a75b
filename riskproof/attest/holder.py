"""Who holds an account: what an attestation binds of it, so that several of them can be netted in one proof (docs/protocol.md, 3).

    "holder": {"key": "<32>", "identity": "<48>", "tag": "<32>", "tag_epoch": 683}
    "exclusive": {"from": 1768382600, "until": 1768386200}

The key is the holder's own: it signs what is proved with the attestation. The identity is hidden in a Pedersen commitment. The tag
is the venue's name for the account towards one audience in one epoch,

    HMAC-SHA256(account secret, len(t) || t || tag_epoch as 8 bytes little-endian || audience in UTF-8),   t = TAG_ACCOUNT_TAG

equal in all attestations of the account for this audience and epoch, and otherwise unrelated: nobody nets an account with itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from riskproof import encoding, units
from riskproof.attest.edwards import check_public_key
from riskproof.attest.keyset import MAX_TIME, KeySet, PublicKey
from riskproof.commit.identity import MAX_IDENTITY
from riskproof.commit.points import POINT_BYTES, known_point
from riskproof.encoding import TAG_ACCOUNT_TAG, Json
from riskproof.errors import AttestationError, EncodingError, KeySetError

if TYPE_CHECKING:
    from riskproof.attest.book import AccountSecret

KEY_BYTES: Final = 32
TAG_BYTES: Final = 32
MAX_TAG_EPOCH: Final = 2**53 - 1
MAX_WINDOW: Final = 366 * units.SECONDS_PER_DAY  # as long as an attestation may live (payload.MAX_LIFETIME)


@dataclass(frozen=True)
class HolderBinding:
    """What an attestation says of its holder.

    Attributes:
        key: 32 bytes, the holder's Ed25519 public key.
        identity: 48 bytes, commitment to the identity that the venue verified (riskproof.commit.identity).
        tag: 32 bytes, `account_tag`.
        tag_epoch: the epoch of the tag.
    """

    key: bytes
    identity: bytes
    tag: bytes
    tag_epoch: int

    def to_document(self) -> dict[str, Json]:
        return {
            "key": self.key.hex(),
            "identity": self.identity.hex(),
            "tag": self.tag.hex(),
            "tag_epoch": self.tag_epoch,
        }

    @classmethod
    def from_document(cls, node: Json, where: str) -> HolderBinding:
        """Read the member `holder` (EncodingError, KeySetError, PointError)."""
        m = encoding.members(node, where, ("key", "identity", "tag", "tag_epoch"))
        key = encoding.hex_bytes(m["key"], f"{where}.key", KEY_BYTES)
        _check_key(key, f"{where}.key")
        identity = encoding.hex_bytes(m["identity"], f"{where}.identity", POINT_BYTES)
        known_point(identity, f"{where}.identity")
        return cls(
            key,
            identity,
            encoding.hex_bytes(m["tag"], f"{where}.tag", TAG_BYTES),
            encoding.integer(m["tag_epoch"], f"{where}.tag_epoch", low=0, high=MAX_TAG_EPOCH),
        )


@dataclass(frozen=True)
class ExclusiveWindow:
    """[start, until), seconds since the epoch: no other exclusive attestation of the account overlaps it, the venue promises.

    Raises:
        AttestationError: a time out of range, an empty window, one longer than an attestation may live.
    """

    start: int
    until: int

    def __post_init__(self) -> None:
        for name, time in (("from", self.start), ("until", self.until)):
            if not 0 < time <= MAX_TIME:
                raise AttestationError(
                    "time is out of range", where=f"exclusive.{name}", expected="seconds since the epoch"
                )
        if not self.start < self.until <= self.start + MAX_WINDOW:
            raise AttestationError(
                "window is empty or too long",
                where="exclusive.until",
                expected=f"after `from`, by at most {MAX_WINDOW} seconds",
            )

    def overlaps(self, start: int, until: int) -> bool:
        """Whether this window and [start, until) have a second in common."""
        return self.start < until and start < self.until

    def contains(self, start: int, until: int) -> bool:
        """Whether [start, until) lies in this window."""
        return self.start <= start and until <= self.until

    def to_document(self) -> dict[str, Json]:
        return {"from": self.start, "until": self.until}

    @classmethod
    def from_document(cls, node: Json, where: str) -> ExclusiveWindow:
        """Read the member `exclusive` (EncodingError)."""
        m = encoding.members(node, where, ("from", "until"))
        start = encoding.integer(m["from"], f"{where}.from")
        until = encoding.integer(m["until"], f"{where}.until")
        try:
            return cls(start, until)
        except AttestationError as error:
            place = error.where.removeprefix("exclusive")
            raise EncodingError(error.what, where=f"{where}{place}", expected=error.expected) from None


@dataclass(frozen=True)
class HolderRequest:
    """The holder that a venue binds. The identity is in no repr and in no message.

    Attributes:
        identity: as the venue verified it, 1 to 128 printable characters; venues must spell it alike, so best a legal entity id.
        key: 32 bytes, the holder's Ed25519 public key.
        tag, tag_epoch: `account_tag` of the account for the attestation's audience, and its epoch.

    Raises:
        AttestationError: not an identity, a key that must not be trusted, a tag of another length, an epoch out of range.
    """

    identity: str = field(repr=False)
    key: bytes
    tag: bytes
    tag_epoch: int

    def __post_init__(self) -> None:
        _check_name(self.identity, MAX_IDENTITY, "holder.identity")
        try:
            _check_key(self.key, "holder.key")
        except KeySetError as error:
            raise AttestationError(error.what, where=error.where, expected=error.expected) from None
        if len(self.tag) != TAG_BYTES:
            raise AttestationError(
                f"{len(self.tag)} bytes are not an account tag", where="holder.tag", expected=f"{TAG_BYTES} bytes"
            )
        _check_epoch(self.tag_epoch, "holder.tag_epoch")


def account_tag(secret: AccountSecret, audience: str, epoch: int) -> bytes:
    """32 bytes that name an account towards an audience in an epoch; whoever lacks the secret cannot link two of them.

    Raises:
        AttestationError: the audience is not 1 to 128 printable characters, the epoch not 0 to 2^53 - 1.
    """
    from riskproof.attest.payload import MAX_AUDIENCE

    _check_name(audience, MAX_AUDIENCE, "audience")
    _check_epoch(epoch, "tag_epoch")
    return secret.derive(TAG_ACCOUNT_TAG, epoch.to_bytes(8, "little") + audience.encode("utf-8"))


def parse_holder_key(data: bytes, where: str = "holder key") -> bytes:
    """The 32 bytes of a holder's public key, from the JWK set that `riskproof keys public DIR` prints.

    Raises:
        KeySetError: not a key set, not exactly one key, or one with a validity interval or a revocation, which an attestation would
            not carry.
    """
    keys = tuple(KeySet.from_bytes(data, where))
    if len(keys) != 1:
        raise KeySetError(
            f"{len(keys)} keys", where=where, expected="one: what `riskproof keys public DIR` prints for one folder"
        )
    if keys[0] != PublicKey(keys[0].raw, keys[0].venue):
        raise KeySetError(
            "a holder's key is bound without conditions", where=f"{where}.keys[0]", expected="no nbf, exp or revoked"
        )
    return keys[0].raw


def _check_name(text: str, longest: int, where: str) -> None:
    if not 0 < len(text) <= longest or not text.isprintable():
        raise AttestationError("not a name", where=where, expected=f"1 to {longest} printable characters")


def _check_epoch(epoch: int, where: str) -> None:
    if not 0 <= epoch <= MAX_TAG_EPOCH:
        raise AttestationError("out of range", where=where, expected=f"0 to {MAX_TAG_EPOCH}")


def _check_key(key: bytes, where: str) -> None:
    try:
        check_public_key(key)
    except KeySetError as error:
        raise KeySetError(error.what, where=where, expected=error.expected) from None
