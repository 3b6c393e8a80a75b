"""What goes into the ledger and what comes out, as frozen values.

A sequence number counts an account's attestations from 1; the first one's previous digest is `GENESIS`, 32 zero bytes.
A position version counts an account's trades from 1; version 0 is the empty book.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from riskproof import encoding, units
from riskproof.errors import AttestationError, EncodingError, PortfolioError, UnitError
from riskproof.market.registry import MAX_INSTRUMENTS

GENESIS: Final = bytes(32)
MAX_ID: Final = 128  # characters of an account id, a trade id or a request id

Change = tuple[int, int]  # (instrument index, lots delta)
Window = tuple[int, int]  # [from, until), seconds since the epoch


@dataclass(frozen=True)
class AccountRecord:
    """An account. secret: 32 random bytes from which its salts derive; it never leaves the venue and is not in the repr.

    Attributes:
        account_id: the venue's name of the account, 1 to 128 printable characters.
        secret: 32 bytes.
        created_at: seconds since the epoch.
    """

    account_id: str
    secret: bytes = field(repr=False)
    created_at: int


@dataclass(frozen=True)
class SnapshotEntry:
    """One line of the list of snapshots. number: 1, 2, ... in the order of publication; time: the market's, seconds."""

    number: int
    digest: bytes
    registry_digest: bytes
    time: int


@dataclass(frozen=True)
class ModelEntry:
    """A risk model document as it was stored. number: 1, 2, ... in the order of publication."""

    number: int
    name: str
    digest: bytes
    document: bytes = field(repr=False)


@dataclass(frozen=True)
class TradeReceipt:
    """The answer to a trade that is on disk. position_version: the account's trades up to and including this one."""

    account_id: str
    trade_id: str
    position_version: int
    replayed: bool


@dataclass(frozen=True)
class HolderRecord:
    """Who holds an account, as the venue verified it. number: 1, 2, ... per account; the last one counts. Not in the repr: who.

    `replayed` is true if it was the last one already; it belongs to the answer, not to the record.
    """

    account_id: str
    number: int
    identity: str = field(repr=False)
    recorded_by: str
    recorded_at: int
    replayed: bool = False


@dataclass(frozen=True)
class Pledge:
    """The window of an exclusive attestation: [start, until), seconds since the epoch. sequence: the attestation's."""

    sequence: int
    start: int
    until: int


@dataclass(frozen=True)
class AttestationRecord:
    """What a builder hands to the ledger.

    Attributes:
        digest: 32 bytes naming the attestation; the next one's previous digest.
        attestation: the bytes a verifier gets.
        opening: the bytes only the account holder gets; secret, not in the repr.
        issued_at: seconds since the epoch.

    Raises:
        AttestationError: a digest of another length, empty bytes, a time out of range.
    """

    digest: bytes
    attestation: bytes = field(repr=False)
    opening: bytes = field(repr=False)
    issued_at: int

    def __post_init__(self) -> None:
        if len(self.digest) != 32:
            raise AttestationError(f"digest of {len(self.digest)} bytes", where="digest", expected="32 bytes")
        if not self.attestation or not self.opening:
            raise AttestationError("attestation or opening is empty", where="record")
        check_time(self.issued_at, "issued_at")


@dataclass(frozen=True)
class StoredAttestation:
    """An attestation that is on disk. sequence: 1, 2, ... per account; previous_digest: `GENESIS` for the first.

    exclusive: the window in which no other exclusive attestation of the account is valid; None if it is not exclusive.
    `replayed` is true if the request had been answered before; it belongs to the answer, not to the record.
    """

    account_id: str
    sequence: int
    request_id: str
    digest: bytes
    previous_digest: bytes
    attestation: bytes = field(repr=False)
    issued_at: int
    exclusive: Window | None = None
    replayed: bool = False


@dataclass(frozen=True)
class Finding:
    """Something on disk that contradicts something else. where: table and key; what: the contradiction."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def check_id(text: str, where: str) -> str:
    """Return an account, trade or request id unchanged; EncodingError unless 1 to 128 printable characters."""
    encoding.string(text, where, max_length=MAX_ID)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise EncodingError("a lone surrogate in an id", where=where, expected="text that UTF-8 can hold") from None
    return text


def check_time(seconds: int, where: str) -> int:
    """Return a time unchanged; UnitError unless it lies between the epoch and 2^40 seconds after it."""
    if not 0 <= seconds < 2**40:
        raise UnitError("time is out of range", where=where, expected="seconds since the epoch")
    return seconds


def check_window(window: Window, where: str) -> Window:
    """Return a window unchanged; UnitError unless it begins before it ends, both in range."""
    start, until = (check_time(seconds, where) for seconds in window)
    if start >= until:
        raise UnitError("the window is empty", where=where, expected="an end after its beginning")
    return window


def check_changes(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The legs of a trade, sorted by instrument.

    Raises:
        PortfolioError: no leg, an instrument twice, zero lots, an index no registry can have.
        UnitError: lots beyond int64.
    """
    legs = tuple(sorted(changes))
    if not legs:
        raise PortfolioError("a trade without legs", where="changes", expected="at least one (index, lots) pair")
    last = -1
    for index, delta in legs:
        if not 0 <= index < MAX_INSTRUMENTS:
            raise PortfolioError(
                f"instrument index {index} is out of range", where="changes", expected=f"0 to {MAX_INSTRUMENTS - 1}"
            )
        if index == last:
            raise PortfolioError(
                f"instrument {index} is twice in one trade", where="changes", expected="one leg per instrument"
            )
        if delta == 0:
            raise PortfolioError(f"a leg of zero lots in instrument {index}", where="changes")
        units.check_int64(delta, f"changes: instrument {index}")
        last = index
    return legs


def pack_changes(legs: Sequence[Change]) -> bytes:
    """Legs as they are stored: index and lots, each int64 little-endian, 16 bytes per leg."""
    return b"".join(struct.pack("<qq", index, delta) for index, delta in legs)


def unpack_changes(data: bytes) -> list[Change]:
    """Inverse of `pack_changes`; EncodingError if the bytes are no whole number of legs."""
    if not data or len(data) % 16:
        raise EncodingError(f"{len(data)} bytes of legs", where="changes", expected="a multiple of 16")
    return [(index, delta) for index, delta in struct.iter_unpack("<qq", data)]


def trade_digest(account_id: str, trade_id: str, packed: bytes) -> bytes:
    """Content digest of a trade: account, id and legs. The time it was recorded is not content: a retry has another."""
    return encoding.digest(encoding.TAG_TRADE, _framed(account_id.encode(), trade_id.encode(), packed))


def record_digest(stored: StoredAttestation, request_digest: bytes | None, opening_digest: bytes) -> bytes:
    """Digest of everything the ledger keeps about one attestation, so that a flipped bit on disk is seen."""
    return encoding.digest(
        encoding.TAG_LEDGER_RECORD,
        _framed(
            stored.account_id.encode(),
            stored.sequence.to_bytes(8, "little"),
            stored.request_id.encode(),
            request_digest or b"",
            stored.digest,
            stored.previous_digest,
            stored.issued_at.to_bytes(8, "little"),
            stored.attestation,
            opening_digest,
            *(seconds.to_bytes(8, "little") for seconds in stored.exclusive or ()),
        ),
    )


def holder_digest(holder: HolderRecord) -> bytes:
    """Digest of everything the ledger keeps about an account's holder."""
    return encoding.digest(
        encoding.TAG_LEDGER_HOLDER,
        _framed(
            holder.account_id.encode(),
            holder.number.to_bytes(8, "little"),
            holder.identity.encode(),
            holder.recorded_by.encode(),
            holder.recorded_at.to_bytes(8, "little"),
        ),
    )


def opening_digest(opening: bytes) -> bytes:
    """Digest of an opening's bytes."""
    return encoding.digest(encoding.TAG_OPENING, opening)


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)
