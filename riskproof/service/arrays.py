"""Priced markets in memory: one per snapshot and model, computed once, shared by everyone who asks.

Under a model of version 1 that is a risk array; under one of version 2 the margin engine's values of what books have held so far.
A computation runs on a kernel thread and stops when the last caller who waits for it has gone (its deadline passed, it hung up).
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

from riskproof.attest.registry_tree import registry_tree
from riskproof.errors import DeadlineError
from riskproof.market.marketfile import Market
from riskproof.risk.figures import RiskBasis
from riskproof.risk.margining import AnyModel
from riskproof.risk.tail.history import History
from riskproof.service.metrics import Metrics

Key = tuple[bytes, bytes]  # snapshot digest, model digest


@dataclass(frozen=True, eq=False)
class PricedMarket(RiskBasis):
    """A market under a model, ready for books and for the attestations of them."""

    @cached_property
    def expired_columns(self) -> tuple[int, ...]:
        """Numbers of the committed columns whose instruments have all expired."""
        registry, is_expired = self.market.registry, self.market.snapshot.is_expired
        size = registry.column_size
        return tuple(
            j for j in range(registry.columns) if all(map(is_expired, registry.instruments[j * size : (j + 1) * size]))
        )


@dataclass(eq=False)
class _Job:
    task: asyncio.Task[PricedMarket]
    stop: threading.Event
    waiters: int = 0


class ArrayCache:
    """The arrays used last, at most `limit`. Use it from one event loop."""

    def __init__(
        self,
        limit: int,
        kernels: Executor,
        load: Callable[[bytes], Market],
        metrics: Metrics,
        histories: Sequence[History] = (),
    ) -> None:
        """load: the market of a snapshot digest (NotFoundError), called on a kernel thread. histories: what models may name."""
        self._histories = tuple(histories)
        self._limit, self._kernels, self._load, self._metrics = limit, kernels, load, metrics
        self._ready: OrderedDict[Key, PricedMarket] = OrderedDict()
        self._jobs: dict[Key, _Job] = {}

    def ready(self, snapshot_digest: bytes, model: AnyModel) -> PricedMarket | None:
        """The array if it is in memory."""
        key = snapshot_digest, model.digest
        found = self._ready.get(key)
        if found is not None:
            self._ready.move_to_end(key)
        return found

    async def get(self, snapshot_digest: bytes, model: AnyModel) -> PricedMarket:
        """The array, computed if need be.

        Raises:
            NotFoundError: no such snapshot.
            DomainError, OverflowMoneyError: as compute_array.
        """
        found = self.ready(snapshot_digest, model)
        if found is not None:
            return found
        key = snapshot_digest, model.digest
        job = self._jobs.get(key)
        if job is None:
            stop = threading.Event()
            task = asyncio.create_task(self._compute(key, model, stop))
            task.add_done_callback(_retrieve)
            job = self._jobs[key] = _Job(task, stop)
        job.waiters += 1
        try:
            return await asyncio.shield(job.task)
        finally:
            job.waiters -= 1
            if job.waiters == 0:
                job.stop.set()
                if self._jobs.get(key) is job:
                    del self._jobs[key]

    async def _compute(self, key: Key, model: AnyModel, stop: threading.Event) -> PricedMarket:
        def work() -> PricedMarket:
            check()
            market = self._load(key[0])
            priced = PricedMarket.build(market, model, self._histories, cancel=check)
            # Cached properties that every attestation needs: computed here, not on the event loop.
            _ = priced.array_digest, registry_tree(market.registry), priced.expired_columns
            if priced.array is not None:
                _ = priced.array.bounds
            return priced

        def check() -> None:
            if stop.is_set():
                raise DeadlineError("nobody waits for this risk array any more", where="risk array")

        priced = await asyncio.get_running_loop().run_in_executor(self._kernels, work)
        self._metrics.arrays.inc()
        self._ready[key] = priced
        while len(self._ready) > self._limit:
            self._ready.popitem(last=False)
        return priced


def _retrieve(task: asyncio.Task[PricedMarket]) -> None:
    """Look at the exception, so that one nobody waited for is not reported as forgotten."""
    if not task.cancelled():
        task.exception()
