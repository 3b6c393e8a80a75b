"""One venue: its ledger, its signing key and key set, its models, and what of them is kept in memory."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from riskproof.attest.keys import SigningKey, load_signing_key, public_key_set
from riskproof.attest.keyset import KeySet
from riskproof.errors import AttestationError, ConfigError, InputError, KeySetError, NotFoundError, StoreError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot
from riskproof.risk.margining import AnyModel, load, names, read
from riskproof.risk.tail.history import History
from riskproof.service.arrays import ArrayCache
from riskproof.service.books import BookCache
from riskproof.service.config import MIB, Config
from riskproof.service.logs import Logger
from riskproof.service.metrics import Metrics
from riskproof.service.workers import WorkerPool
from riskproof.store import Ledger

MARKET_FILES: Final = 8  # kept in memory
READERS: Final = 8  # threads that read the ledger
DIGEST_BYTES: Final = 32

T = TypeVar("T")


def check_digest(digest: bytes, where: str) -> bytes:
    """Return a digest unchanged; InputError unless it has 32 bytes."""
    if len(digest) != DIGEST_BYTES:
        raise InputError(f"digest of {len(digest)} bytes", where=where, expected=f"{DIGEST_BYTES} bytes")
    return digest


class Venue:
    """Everything the methods work with. Open it inside a running event loop; close it when the server has stopped.

    Attributes:
        ledger, key, key_set: see there.
        arrays, books: the two caches.
        workers: processes that prove and verify.
        now: seconds since the epoch.
    """

    def __init__(self, config: Config, metrics: Metrics, log: Logger, now: Callable[[], int] | None = None) -> None:
        """Load keys and models and open the ledger.

        Raises:
            ConfigError, KeyFileError, KeySetError, ModelError: a configured file is wrong.
            StoreError: the ledger cannot be opened, or another server has it.
        """
        self.config, self.log, self.metrics = config, log, metrics
        self.now = now or (lambda: int(time.time()))
        self.key, self.key_set = _load_keys(config)
        self._models = _load_models(config)
        self.histories = tuple(
            History.from_bytes(_file(name, "venue.histories"), name) for name in config.venue.histories
        )
        self._claim = _claim(config.ledger.url)
        try:
            self.ledger = Ledger.open(config.ledger.url, capacity=config.ledger.capacity)
        except BaseException:
            self._release()
            raise
        self._kernels = ThreadPoolExecutor(config.server.threads, thread_name_prefix="riskproof-kernel")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="riskproof-reader")
        self.arrays = ArrayCache(config.cache.arrays, self._kernels, self._market, metrics, self.histories)
        self.books = BookCache(config.cache.books_mib * MIB, self.ledger, self._kernels, metrics, self.now)
        proving = config.proving
        self.workers = WorkerPool(
            "riskproof.service.proving",
            workers=proving.workers,
            queue=proving.queue,
            per_caller=proving.per_caller,
            niceness=proving.niceness,
            memory_mib=proving.memory_mib,
            log=log,
            metrics=metrics,
        )
        self._market_files: OrderedDict[bytes, bytes] = OrderedDict()
        self._files_lock = threading.Lock()
        self._background: set[asyncio.Task[None]] = set()
        for model in self._models.values():
            self.ledger.put_model(model.to_bytes(), model.name, model.digest)
        self._registry = self.ledger.latest_registry()
        self._latest = next((entry.digest for entry in self.ledger.list_snapshots(1)), None)

    def warm_up(self) -> None:
        """Start the worker processes, and compute the risk array of the latest snapshot in the background."""
        self.workers.start()
        if self._latest is not None:
            self._compute_in_background(self._latest)

    async def on_kernel(self, work: Callable[..., T], *arguments: object) -> T:
        """Run computing work on a kernel thread."""
        return await asyncio.get_running_loop().run_in_executor(self._kernels, work, *arguments)

    async def on_reader(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work that waits for the ledger on a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)

    def check_key(self, issued_at: int) -> None:
        """Raise AttestationError if verifiers would not trust the signing key at this time."""
        key = self.key_set.get(self.key.key_id)
        refusal = "the key set lacks the signing key" if key is None else key.refusal(issued_at)
        if refusal:
            raise AttestationError(refusal, where="signing key", expected="a key that is valid now")

    def model(self, name: str) -> AnyModel:
        """A served model by name, the default one for ""; NotFoundError if there is none."""
        try:
            return self._models[name or self.config.venue.model]
        except KeyError:
            raise NotFoundError(
                f"no model {name[:64]!r} is served", where="model", expected=", ".join(sorted(self._models))
            ) from None

    def model_of_digest(self, digest: bytes) -> AnyModel | None:
        """The served model of a digest, if there is one."""
        return next((model for model in self._models.values() if model.digest == digest), None)

    def registry(self) -> Registry:
        """The latest registry version; NotFoundError before the first."""
        if self._registry is None:
            raise NotFoundError("no registry has been published yet", where="ledger", expected="PublishSnapshot first")
        return self._registry

    def snapshot_digest(self, asked: bytes) -> bytes:
        """The digest asked for, or for b"" that of the snapshot published last (NotFoundError before the first)."""
        if asked:
            return check_digest(asked, "snapshot_digest")
        if self._latest is None:
            raise NotFoundError("no snapshot has been published yet", where="ledger", expected="PublishSnapshot first")
        return self._latest

    async def publish(self, registry: Registry, snapshot: Snapshot) -> None:
        """Store a registry version and a snapshot of it; its risk array is computed in the background.

        Raises:
            RegistryError: the registry does not extend the latest version.
        """

        def store() -> tuple[Registry | None, bytes | None]:
            self.ledger.put_registry(registry)
            self.ledger.put_snapshot(snapshot)
            return self.ledger.latest_registry(), next((e.digest for e in self.ledger.list_snapshots(1)), None)

        self._registry, self._latest = await self.on_reader(store)
        if self._latest == snapshot.digest:
            self._compute_in_background(snapshot.digest)

    def _compute_in_background(self, digest: bytes) -> None:
        task = asyncio.create_task(self._compute(digest))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _compute(self, digest: bytes) -> None:
        try:
            await self.arrays.get(digest, self.model(""))
        except InputError as error:
            self.log.warning("risk array cannot be computed", snapshot=digest.hex(), code=error.code, what=error.what)
        except StoreError as error:
            self.log.error("risk array cannot be computed", snapshot=digest.hex(), code=error.code, what=error.what)

    def _market(self, digest: bytes) -> Market:
        snapshot = self.ledger.snapshot(digest)
        return Market(self.ledger.registry(snapshot.registry_digest), snapshot)

    def market_bytes(self, digest: bytes) -> bytes:
        """The market file of a snapshot (NotFoundError); the ones asked for last are kept. On a reader thread: it takes long."""
        with self._files_lock:
            if digest in self._market_files:
                self._market_files.move_to_end(digest)
                return self._market_files[digest]
        data = self._market(digest).to_bytes()
        with self._files_lock:
            self._market_files[digest] = data
            while len(self._market_files) > MARKET_FILES:
                self._market_files.popitem(last=False)
        return data

    async def close(self) -> None:
        """End the worker processes, finish what is queued and close the ledger."""
        await self.workers.close()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._kernels.shutdown()
        self._readers.shutdown()
        self.ledger.close()
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def _load_keys(config: Config) -> tuple[SigningKey, KeySet]:
    key = load_signing_key(config.venue.key)
    own = public_key_set([config.venue.key])
    if not config.venue.published_keys:
        return key, own
    path = Path(config.venue.published_keys)
    try:
        published = KeySet.from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where="venue.published_keys") from None
    listed = published.get(key.key_id)
    if listed is None:
        return key, published.merged(own)
    if listed.venue != key.venue or listed.reason is not None:
        raise KeySetError(
            "the published keys name another venue for the signing key, or revoke it",
            where="venue.published_keys",
            expected=f"a usable key of {key.venue}",
        )
    return key, published


def _load_models(config: Config) -> dict[str, AnyModel]:
    models = {name: load(name) for name in names()}
    for name in config.venue.models:
        model = read(_file(name, "venue.models"), name)
        known = models.setdefault(model.name, model)
        if known.digest != model.digest:
            raise ConfigError(f"two models are called {model.name}", where="venue.models", expected="one of each name")
    if config.venue.model not in models:
        raise ConfigError("no such model", where="venue.model", expected=", ".join(sorted(models)))
    return models


def _file(name: str, where: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=f"{where}: {name}") from None


def _claim(url: str) -> int | None:
    """Take the ledger for this server: the caches are right only if nobody else records trades. Held until the process ends.

    Returns the lock's file descriptor, or None for a database server, where the operator has to see to it.
    """
    scheme, mark, name = url.partition(":///")
    if not mark or scheme != "sqlite":
        return None
    path = Path(f"{name}.lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(
            "another server has this ledger", where=Path(name).name, expected="one server per ledger"
        ) from None
    return handle
