"""Committed books in memory, kept in step with the ledger.

A book is built from the ledger when its account is first attested, follows its trades, and is dropped when memory is
needed: the ledger has everything. One lock per account orders what happens to its book:

    a trade         is recorded first; then the book, if there is one, notes it as pending (position versions must join
                    without a gap, or the book is dropped); then the caller hears of it
    an attestation  applies what is pending, computes the risk, and is built in the ledger's writer thread, inside the
                    transaction that gives it its number; if the book has moved in between, it starts again

So an attestation that starts after a trade was acknowledged contains the trade, and its figures and commitments are of
one book.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from riskproof.attest.book import AccountSecret, CommittedBook, epoch_of
from riskproof.market.portfolio import Portfolio
from riskproof.risk.figures import Figures
from riskproof.service.arrays import PricedMarket
from riskproof.service.bridge import Bridge
from riskproof.service.metrics import Metrics
from riskproof.store import AttestationRecord, Ledger, StoredAttestation, TradeReceipt
from riskproof.store.records import Change, Window

MAX_PENDING: Final = 256  # changes that wait for the next attestation; with more, building anew is cheaper
MAX_ATTEMPTS: Final = 4  # of an attestation whose book keeps moving; the last one makes the others wait
# Computed on the event loop, well below a millisecond; larger books, and models of version 2, go to a kernel thread.
INLINE_POSITIONS: Final = 100
BYTES_PER_LEAF: Final = 16  # lots and tree nodes of one registry index
BYTES_PER_POSITION: Final = 1_500  # the opening's fragment and the objects of one position
BYTES_PER_BOOK: Final = 8_192  # everything else


@dataclass(frozen=True)
class BookState:
    """A book that holds still: what an attestation is built from. risk: of exactly this book. secret: the account's."""

    book: CommittedBook = field(repr=False)
    secret: AccountSecret = field(repr=False)
    risk: Figures = field(repr=False)
    priced: PricedMarket = field(repr=False)


Build = Callable[[BookState, int, bytes], AttestationRecord]


class _MovedError(Exception):
    """A trade was applied to the book after its risk was computed."""


@dataclass(eq=False)
class _Entry:
    """A committed book at a position version.

    Attributes:
        secret: the account's.
        portfolio: the book's lots.
        version: the book's; pending: changes acknowledged since, which lead to the version known.
        guard: over all of this, for event loop, kernel threads and the writer thread share it.
    """

    book: CommittedBook
    secret: AccountSecret
    epoch: int
    version: int
    known: int
    portfolio: Portfolio
    pending: list[Change] = field(default_factory=list)
    state: BookState | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)

    def is_ready(self, priced: PricedMarket) -> bool:
        return not self.pending and self.state is not None and self.state.priced is priced

    def make_ready(self, priced: PricedMarket) -> None:
        """Move to the market's registry, apply what is pending, compute the risk."""
        if self.pending or self.book.registry.digest != priced.market.registry.digest:
            with self.guard:
                self.book.extend(priced.market.registry)
                for change in self.pending:
                    self.book.apply_trade([change])
                self.pending.clear()
                self.portfolio = self.book.portfolio
                self.version = self.known
        self.state = BookState(self.book, self.secret, priced.figures(self.portfolio), priced)

    def builder(self, build: Build) -> Callable[[int, bytes], AttestationRecord]:
        """What the writer thread calls: `build` on the book as it is now, or _MovedError if it no longer is."""
        version, state = self.version, self.state
        assert state is not None

        def work(sequence: int, previous: bytes) -> AttestationRecord:
            with self.guard:
                if self.version != version or self.book.registry.digest != state.priced.market.registry.digest:
                    raise _MovedError
                return build(state, sequence, previous)

        return work

    @property
    def size(self) -> int:
        """Estimated bytes."""
        return BYTES_PER_BOOK + BYTES_PER_LEAF * len(self.book.registry) + BYTES_PER_POSITION * len(self.portfolio)


class BookCache:
    """The committed books used last, in at most `limit` bytes. Use it from one event loop."""

    def __init__(
        self, limit: int, ledger: Ledger, kernels: Executor, metrics: Metrics, clock: Callable[[], int]
    ) -> None:
        self._limit, self._ledger, self._kernels, self._metrics, self._clock = limit, ledger, kernels, metrics, clock
        self._entries: OrderedDict[str, tuple[_Entry, int]] = OrderedDict()  # with the size it was counted with
        self._size = 0
        self._bridge = Bridge(asyncio.get_running_loop())
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recordings: set[asyncio.Task[TradeReceipt]] = set()

    async def record_trade(self, account_id: str, trade_id: str, changes: Sequence[Change]) -> TradeReceipt:
        """Record a trade: the receipt is on disk, the next attestation contains it. Errors: those of Ledger.submit_trades."""
        future = self._ledger.submit_trades(account_id, trade_id, changes, self._clock())
        # A caller who hangs up must not leave the book behind the ledger: the task goes on without them.
        task = asyncio.create_task(self._recorded(account_id, list(changes), future))
        self._recordings.add(task)
        task.add_done_callback(self._recordings.discard)
        return await asyncio.shield(task)

    async def _recorded(self, account_id: str, changes: list[Change], future: Future[TradeReceipt]) -> TradeReceipt:
        receipt = await self._bridge.result(future)
        if receipt.replayed:
            return receipt
        self._metrics.trades.inc()
        async with self._lock(account_id):
            held = self._entries.get(account_id)
            if held is not None:
                entry = held[0]
                if receipt.position_version == entry.known + 1 and len(entry.pending) < MAX_PENDING:
                    entry.pending += changes
                    entry.known += 1
                elif receipt.position_version > entry.known:
                    self._drop(account_id)
        return receipt

    async def attest(
        self,
        account_id: str,
        request_id: str,
        request_digest: bytes,
        priced: PricedMarket,
        build: Build,
        *,
        holder: str | None = None,
        exclusive: Window | None = None,
    ) -> StoredAttestation:
        """Store the attestation that `build` makes of the account's book, or return the one this request id has.

        `build(state, sequence, previous_digest)` runs in the ledger's writer thread; `holder` is the identity that it binds. Errors
        are those of Ledger.submit_attestation, of `RiskBasis.figures`, and what `build` raises.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            async with self._lock(account_id):
                entry = await self._entry(account_id, priced)
                if not entry.is_ready(priced):
                    await self._make_ready(account_id, entry, priced)
                work = entry.builder(build)
                future = self._ledger.submit_attestation(
                    account_id, request_id, work, request_digest=request_digest, holder=holder, exclusive=exclusive
                )
                if attempt == MAX_ATTEMPTS:
                    return await self._bridge.result(future)
            try:
                return await self._bridge.result(future)
            except _MovedError:
                continue
        raise AssertionError("the last attempt returns or raises")

    async def _make_ready(self, account_id: str, entry: _Entry, priced: PricedMarket) -> None:
        try:
            if priced.array is not None and len(entry.portfolio) + len(entry.pending) <= INLINE_POSITIONS:
                entry.make_ready(priced)
            else:
                await asyncio.get_running_loop().run_in_executor(self._kernels, entry.make_ready, priced)
        except BaseException:
            self._drop(account_id)  # half applied, or overtaken by a cancellation: the ledger knows better
            raise
        held = self._entries.get(account_id)
        if held is not None and held[0] is entry:
            self._size += entry.size - held[1]
            self._entries[account_id] = entry, entry.size
        self._shrink()

    async def _entry(self, account_id: str, priced: PricedMarket) -> _Entry:
        """The account's entry, built if it is not in memory; one that is not kept if the market's registry is an old version."""
        epoch = epoch_of(self._clock())
        held = self._entries.get(account_id)
        old = False
        if held is not None:
            entry = held[0]
            old = len(priced.market.registry) < len(entry.book.registry)
            if entry.epoch == epoch and not old:
                self._entries.move_to_end(account_id)
                return entry
        entry = await asyncio.get_running_loop().run_in_executor(self._kernels, self._load, account_id, priced, epoch)
        if not old:
            self._drop(account_id)
            self._entries[account_id] = entry, entry.size
            self._size += entry.size
            self._shrink()
        return entry

    def _load(self, account_id: str, priced: PricedMarket, epoch: int) -> _Entry:
        secret = AccountSecret(self._ledger.account(account_id).secret)
        version, portfolio = self._ledger.positions(account_id)
        book = CommittedBook(priced.market.registry, portfolio, secret, epoch)
        return _Entry(book, secret, epoch, version, version, portfolio)

    def _lock(self, account_id: str) -> asyncio.Lock:
        lock = self._locks.get(account_id)
        if lock is None:
            lock = self._locks[account_id] = asyncio.Lock()
        return lock

    def _drop(self, account_id: str) -> None:
        held = self._entries.pop(account_id, None)
        if held is not None:
            self._size -= held[1]
        self._count()

    def _shrink(self) -> None:
        while self._size > self._limit and len(self._entries) > 1:
            self._size -= self._entries.popitem(last=False)[1][1]
        self._count()

    def _count(self) -> None:
        self._metrics.books.set(len(self._entries))
        self._metrics.book_bytes.set(self._size)
