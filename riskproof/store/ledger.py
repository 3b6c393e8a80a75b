"""The ledger: everything a venue may not lose, behind one thread-safe object.

What appends goes through one writer thread (`writer.Writer`) and is answered after it is on disk; what reads does so concurrently,
on connections of its own, and sees every answered append. Limits of pages are 1 to 1,000.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Final

from sqlalchemy import Connection

from riskproof import encoding
from riskproof.errors import InputError, StoreCorruptError
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot
from riskproof.proof.leakage import Event, Record
from riskproof.store import accounts, attestations, holders, integrity, leaks, markets, pledges
from riskproof.store.attestations import Builder
from riskproof.store.database import MARKET_LOCK, Database
from riskproof.store.integrity import ToldAttestation, ToldTrade
from riskproof.store.records import (
    AccountRecord,
    Change,
    Finding,
    HolderRecord,
    ModelEntry,
    Pledge,
    SnapshotEntry,
    StoredAttestation,
    TradeReceipt,
    Window,
    check_changes,
    check_id,
    check_time,
    check_window,
)
from riskproof.store.writer import Writer

CAPACITY: Final = 4096  # operations that may wait to be written
MAX_PAGE: Final = 1000


class Ledger:
    """An append-only store in one database. Use `Ledger.open`; close it, or use it as a context manager.

    Methods raise NotFoundError for what is not there, CapacityError when too many operations wait, StoreError when the database
    fails (nothing was acknowledged; the same id may be sent again), StoreCorruptError when what is read contradicts its digest.
    """

    def __init__(self, database: Database, capacity: int) -> None:
        self._database = database
        self._writer = Writer(database, capacity)

    @classmethod
    def open(cls, url: str, *, capacity: int = CAPACITY) -> Ledger:
        """Open the ledger at a database URL, `sqlite:///PATH` or PostgreSQL's, and make it if the database is empty.

        A ledger of an earlier schema version gets the tables it lacks, in one transaction.

        Raises:
            ConfigError: not the URL of a database that is served.
            StoreError: cannot be opened, not a ledger, of a later schema version, or readable by others.
            StoreCorruptError: the file is damaged.
        """
        return cls(Database.open(url), capacity)

    def close(self) -> None:
        """Finish what is queued, refuse what comes later, close the database. Closing twice is harmless."""
        self._writer.close()
        self._database.close()

    @property
    def waiting(self) -> int:
        """How many operations are queued for the writer; at the capacity, new ones are refused."""
        return self._writer.waiting

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # Public documents.

    def put_registry(self, registry: Registry) -> bytes:
        """Store a registry version and return its digest; a stored one is left alone.

        Raises:
            RegistryError: it does not extend the latest version.
        """
        document = encoding.canonical_json(registry.to_document())
        return self._writer.run(MARKET_LOCK, lambda c: markets.put_registry(c, registry, document))

    def latest_registry(self) -> Registry | None:
        """The latest registry version, None if there is none yet."""
        with self._database.read() as connection:
            return markets.latest_registry(connection)

    def registry(self, digest: bytes) -> Registry:
        """A registry version by its digest."""
        with self._database.read() as connection:
            return markets.registry_by_digest(connection, digest)

    def put_snapshot(self, snapshot: Snapshot) -> bytes:
        """Store a snapshot and return its digest; a stored one is left alone and does not become the latest again.

        Raises:
            SnapshotError: its registry version is not in the ledger, or it does not fit it.
        """
        document = encoding.canonical_json(snapshot.to_document())
        return self._writer.run(MARKET_LOCK, lambda c: markets.put_snapshot(c, snapshot, document))

    def snapshot(self, digest: bytes) -> Snapshot:
        """A snapshot by its digest."""
        with self._database.read() as connection:
            return markets.snapshot_by_digest(connection, digest)

    def latest_snapshot(self) -> Snapshot | None:
        """The snapshot that was published last (not the one with the latest market time), None if there is none yet."""
        with self._database.read() as connection:
            digest = markets.latest_snapshot_digest(connection)
            return None if digest is None else markets.snapshot_by_digest(connection, digest)

    def list_snapshots(self, limit: int, before: int | None = None) -> list[SnapshotEntry]:
        """Up to `limit` snapshots, last published first; to go on, `before` is the last number of the page before."""
        _check_limit(limit)
        with self._database.read() as connection:
            return markets.list_snapshots(connection, limit, before)

    def put_model(self, document: bytes, name: str, digest: bytes) -> bytes:
        """Store a risk model's canonical bytes and return the digest; a stored one is left alone.

        Raises:
            ModelError: the digest does not name the bytes, or they are stored under another name.
        """
        check_id(name, "name")
        return self._writer.run(MARKET_LOCK, lambda c: markets.put_model(c, document, name, digest))

    def model(self, digest: bytes) -> ModelEntry:
        """A model document by its digest."""
        with self._database.read() as connection:
            return markets.model_by_digest(connection, digest)

    def list_models(self) -> list[tuple[str, bytes]]:
        """(name, digest) of every model, in the order of publication."""
        with self._database.read() as connection:
            return markets.list_models(connection)

    # Accounts and positions.

    def open_account(self, account_id: str) -> AccountRecord:
        """Open an account with a fresh secret, or return the one that is open, with the secret it has."""
        check_id(account_id, "account_id")
        self.open_accounts([account_id])
        return self.account(account_id)

    def open_accounts(self, account_ids: Iterable[str]) -> int:
        """Open many accounts in one transaction; returns how many are new. Those that are open stay as they are."""
        secrets = {check_id(text, "account_ids"): os.urandom(32) for text in account_ids}
        now = int(time.time())
        return self._writer.run(MARKET_LOCK, lambda c: accounts.open_accounts(c, secrets, now))

    def account(self, account_id: str) -> AccountRecord:
        """An account by its id."""
        with self._database.read() as connection:
            return accounts.account(connection, account_id)

    def accounts(self, limit: int, after: str = "") -> list[str]:
        """Up to `limit` account ids in ascending order; to go on, `after` is the last id of the page before."""
        _check_limit(limit)
        with self._database.read() as connection:
            return accounts.list_accounts(connection, limit, after)

    def set_holder(self, account_id: str, identity: str, *, recorded_by: str, recorded_at: int) -> HolderRecord:
        """Record who holds an account; it is on disk when this returns. The identity recorded last counts, and stays if it is this.

        Args:
            identity: as the venue verified it, a legal entity id or a name, 1 to 128 printable characters.
            recorded_by: the operator, 1 to 128 printable characters.
            recorded_at: seconds since the epoch.

        Raises:
            EncodingError, UnitError: malformed texts or time.
            NotFoundError: no such account.
        """
        check_id(account_id, "account_id")
        check_id(identity, "identity")
        check_id(recorded_by, "recorded_by")
        check_time(recorded_at, "recorded_at")
        return self._writer.run(account_id, lambda c: holders.record(c, account_id, identity, recorded_by, recorded_at))

    def holder(self, account_id: str) -> HolderRecord:
        """The account's holder as recorded last; NotFoundError, too, if nobody has been."""
        with self._database.read() as connection:
            return holders.latest(connection, account_id)

    def submit_trades(
        self, account_id: str, trade_id: str, changes: Sequence[Change], recorded_at: int
    ) -> Future[TradeReceipt]:
        """Queue a trade of one or more legs, all or none; the future resolves when it is on disk.

        Args:
            changes: (instrument index, lots delta), int64, one leg per instrument, none of zero lots.
            recorded_at: seconds since the epoch; not part of the content, so a retry may have another.

        Raises:
            PortfolioError, UnitError, EncodingError: malformed legs, time or id.
            CapacityError: too many operations wait.
        The future raises:
            NotFoundError: no such account.
            ConflictError: the trade id is taken by other legs.
            UnknownInstrumentError: an index beyond the latest registry.
            PortfolioError: a position would not fit 64 bits.
        """
        check_id(account_id, "account_id")
        check_id(trade_id, "trade_id")
        check_time(recorded_at, "recorded_at")
        legs = check_changes(changes)
        return self._writer.submit(
            account_id, lambda c: accounts.record_trade(c, account_id, trade_id, legs, recorded_at)
        )

    def record_trades(
        self, account_id: str, trade_id: str, changes: Sequence[Change], recorded_at: int
    ) -> TradeReceipt:
        """`submit_trades`, and wait."""
        return self._writer.wait(self.submit_trades(account_id, trade_id, changes, recorded_at))

    def positions(self, account_id: str) -> tuple[int, Portfolio]:
        """(position version, book) of an account, as of one instant."""
        with self._database.read() as connection:
            return accounts.book(connection, account_id)

    def rebuild_positions(self, account_id: str) -> int:
        """Write an account's positions anew from its trades; returns the position version."""
        return self._writer.run(account_id, lambda c: accounts.rebuild_positions(c, account_id))

    # Attestations.

    def submit_attestation(
        self,
        account_id: str,
        request_id: str,
        build: Builder,
        *,
        request_digest: bytes | None = None,
        holder: str | None = None,
        exclusive: Window | None = None,
    ) -> Future[StoredAttestation]:
        """Queue an attestation; the future resolves when it is on disk, or at once with the record this request id has.

        Args:
            request_id: the caller's, unique per account.
            build: called as build(sequence, previous_digest) in the writer thread, inside the transaction; it should be quick, and
                may raise: then nothing is stored and the number goes to the next. It may run and the attestation yet not be
                stored, if the database fails afterwards: hand out nothing before the future resolves.
            request_digest: 32 bytes naming what was asked for; with it, the same id for something else is a conflict.
            holder: the identity that `build` binds; it must be the one recorded last for the account.
            exclusive: [from, until), the window in which the attestation promises that the account has no other exclusive one. The
                promise is checked before `build` is called, and stands for good once the attestation is stored.

        Raises:
            EncodingError, UnitError: malformed ids or window.
            CapacityError: too many operations wait.
        The future raises:
            NotFoundError: no such account; nobody is recorded as its holder.
            ConflictError: the request id is taken by something else, or the attestation's digest is; another holder was recorded;
                the window overlaps another one of the account, which the message names.
            Whatever `build` raises.
        """
        check_id(account_id, "account_id")
        check_id(request_id, "request_id")
        if request_digest is not None and len(request_digest) != 32:
            raise AssertionError("a request digest has 32 bytes")
        if exclusive is not None:
            check_window(exclusive, "exclusive")

        def work(connection: Connection) -> StoredAttestation:
            return attestations.append(
                connection,
                account_id,
                request_id,
                build,
                request_digest=request_digest,
                holder=holder,
                exclusive=exclusive,
            )

        return self._writer.submit(account_id, work)

    def append_attestation(
        self,
        account_id: str,
        request_id: str,
        build: Builder,
        *,
        request_digest: bytes | None = None,
        holder: str | None = None,
        exclusive: Window | None = None,
    ) -> StoredAttestation:
        """`submit_attestation`, and wait."""
        future = self.submit_attestation(
            account_id, request_id, build, request_digest=request_digest, holder=holder, exclusive=exclusive
        )
        return self._writer.wait(future)

    def attestation(self, account_id: str, sequence: int) -> StoredAttestation:
        """An account's attestation by its number."""
        with self._database.read() as connection:
            return attestations.by_sequence(connection, account_id, sequence)

    def attestation_by_digest(self, digest: bytes) -> StoredAttestation:
        """An attestation by its digest."""
        with self._database.read() as connection:
            return attestations.by_digest(connection, digest)

    def list_attestations(self, account_id: str, after_sequence: int = 0, limit: int = 100) -> list[StoredAttestation]:
        """Up to `limit` attestations of an account with numbers greater than `after_sequence`, ascending."""
        _check_limit(limit)
        with self._database.read() as connection:
            return attestations.page(connection, account_id, after_sequence, limit)

    def pledges(self, account_id: str, after: int = 0, limit: int = 100) -> list[Pledge]:
        """Up to `limit` windows of an account's exclusive attestations, in the order of time: those that end after a time."""
        _check_limit(limit)
        with self._database.read() as connection:
            return pledges.page(connection, account_id, after, limit)

    def head(self, account_id: str) -> tuple[int, bytes]:
        """(sequence, digest) of an account's last attestation; (0, 32 zero bytes) before the first."""
        with self._database.read() as connection:
            return attestations.head(connection, account_id)

    def opening(self, account_id: str, sequence: int) -> bytes:
        """The opening of an attestation: for its account holder only."""
        with self._database.read() as connection:
            return attestations.opening(connection, account_id, sequence)

    # Leak budget.

    def submit_leaks(self, account_id: str, events: Sequence[Event], *, now: int, limit: int) -> Future[int]:
        """Queue what an answer is about to tell of an account (riskproof.proof.leakage).

        When the future resolves it is on disk, and the answer may leave; it resolves to the points that are new.

        Args:
            events: one or more, all of this account.
            now: seconds since the epoch.
            limit: points of the budget.

        The future raises:
            NotFoundError: no such account.
            LeakBudgetError: there is no room for all of them; nothing was recorded.
        """
        check_id(account_id, "account_id")
        check_time(now, "now")
        return self._writer.submit(account_id, lambda c: leaks.charge(c, account_id, events, now, limit))

    def charge_leaks(self, account_id: str, events: Sequence[Event], *, now: int, limit: int) -> int:
        """`submit_leaks`, and wait."""
        return self._writer.wait(self.submit_leaks(account_id, events, now=now, limit=limit))

    def leaks(self, account_id: str, account: bytes, audiences: Iterable[bytes]) -> list[Record]:
        """What was recorded of an account and some audiences; `account` is the account's name in a budget (`account_key`)."""
        with self._database.read() as connection:
            return leaks.told(connection, account_id, account, audiences)

    # Checks.

    def verify_integrity(self) -> list[Finding]:
        """Check everything against everything (`integrity`): reads the whole ledger, changes nothing."""
        return integrity.findings(self._database)

    def lost(self, trades: Iterable[ToldTrade], attestations: Iterable[ToldAttestation]) -> list[Finding]:
        """Check the answers that clients hold: (account id, trade id, position version), (account id, request id, digest).

        Returns what the ledger does not have as it was told to them; empty if nothing that was acknowledged is lost.
        """
        return integrity.lost(self._database, trades, attestations)

    def check_integrity(self) -> None:
        """Raise StoreCorruptError with the first finding, if there is one."""
        found = self.verify_integrity()
        if found:
            raise StoreCorruptError(
                f"{found[0].what} ({len(found)} findings)", where=found[0].where, expected="a ledger without findings"
            )


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(f"page of {limit}", where="limit", expected=f"1 to {MAX_PAGE}")
