"""What the clients return: frozen values. What is secret of an account is not in a repr."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class Disclosure(enum.StrEnum):
    """What an attestation is to disclose."""

    DEFAULT = "default"  # the server's
    NONE = "none"
    MARGIN = "margin"
    ARRAY = "array"


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list. next_page_token: "" on the last page."""

    items: tuple[T, ...]
    next_page_token: str


@dataclass(frozen=True)
class PublishedSnapshot:
    """Digests, 32 bytes each, under which a snapshot and its registry version are stored."""

    registry_digest: bytes
    snapshot_digest: bytes


@dataclass(frozen=True)
class SnapshotSummary:
    """A snapshot in a list. time: the market's, seconds since the epoch."""

    snapshot_digest: bytes
    registry_digest: bytes
    time: int


@dataclass(frozen=True)
class RecordedHolder:
    """An account's holder that is on disk: the number-th, recorded at a time (seconds). replayed: it was the last one before."""

    number: int
    recorded_at: int
    replayed: bool


@dataclass(frozen=True)
class RecordedTrade:
    """A trade that is on disk. replayed: it was before this call."""

    position_version: int
    replayed: bool


@dataclass(frozen=True)
class Holding:
    """Signed lots of an instrument, by its name in the registry."""

    instrument: str
    lots: int = field(repr=False)


@dataclass(frozen=True)
class Positions:
    """The book of an account after `version` trades."""

    version: int
    holdings: tuple[Holding, ...] = field(repr=False)


@dataclass(frozen=True)
class ScenarioPnl:
    """P&L of a book in a scenario, micros of the numeraire, rounded down."""

    id: str
    pnl_micros: int


@dataclass(frozen=True)
class Margin:
    """Risk of a book. Amounts are micros of the numeraire; value and P&L rounded down, margins up.

    Attributes:
        registry_digest, snapshot_digest, model_digest, array_digest, kernel: what it was computed from; models of version 2 have
            no array, and its digest is b"".
        scenarios: in the model's order. worst_scenario_id: "" if there is none.
        greeks_json: JSON, b"" unless asked for.
        position_version: of the account, 0 for a hypothetical book.
    """

    registry_digest: bytes
    snapshot_digest: bytes
    model_digest: bytes
    array_digest: bytes
    kernel: str
    value_micros: int = field(repr=False)
    scenarios: tuple[ScenarioPnl, ...] = field(repr=False)
    worst_scenario_id: str = field(repr=False)
    initial_margin_micros: int = field(repr=False)
    maintenance_margin_micros: int = field(repr=False)
    greeks_json: bytes = field(repr=False)
    position_version: int


@dataclass(frozen=True)
class AttestationEntry:
    """An attestation as the ledger has it. attestation: the envelope that verifiers get; issued_at: seconds since the epoch."""

    account_id: str
    sequence: int
    digest: bytes
    issued_at: int
    attestation: bytes = field(repr=False)


@dataclass(frozen=True)
class CreatedAttestation(AttestationEntry):
    """A new attestation. replayed: this request id had been answered before."""

    replayed: bool


@dataclass(frozen=True)
class BroughtAccount:
    """An attestation of another venue that is proved together with those of this one.

    Attributes:
        attestation: envelope. opening: its opening; this venue then knows that book as well.
        market: market file of its snapshot, b"" if this venue has the snapshot.
    """

    attestation: bytes = field(repr=False)
    opening: bytes = field(repr=False)
    market: bytes = field(default=b"", repr=False)
