"""A pool of worker processes: proofs are computed in them, for the curve library holds the interpreter lock while it works.

    waiting   at most `queue` jobs, and of one caller at most `per_caller` waiting and running; one more is refused (CapacityError)
    running   one job per worker; next comes the caller who has the fewest at work, and of these who waits longest
    done      its result, the error that it raised, or WorkerLostError if its process died: nothing is run twice unless the
              caller asks again

A caller who is cancelled, or whose deadline passes, takes the job along: a waiting one is removed, a running one is told to stop,
and its worker is killed and replaced if it has not stopped after `GRACE_SECONDS`. Most jobs stop in time, so that callers who
hang up do not cost a start of a process each.

Processes are started fresh, not forked: the server has threads. Each warms up before it gets work. One that dies is replaced; if
new ones die before they are ready, the next waits longer and longer.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from riskproof.client.failures import BY_CODE
from riskproof.errors import CapacityError, DeadlineError, WorkerLostError
from riskproof.service.config import PREFIX
from riskproof.service.frames import Decoder, Kind, encode
from riskproof.service.logs import Logger
from riskproof.service.metrics import Metrics

GRACE_SECONDS: Final = 0.5  # a job that nobody waits for may go on for so long before its worker is killed
START_SECONDS: Final = 300  # for imports and for compiling kernels the first time on a machine
EXIT_SECONDS: Final = 0.5  # between a process's closing its socket and its end, before it is killed
POLL_SECONDS: Final = 0.005
MAX_PAUSE_SECONDS: Final = 30.0  # between two attempts to start a worker that does not get ready

Report = Callable[[str, int], None]  # stage, permille

_BOOT: Final = "import sys; from riskproof.service.worker import main; main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))"


@dataclass(eq=False)
class _Job:
    number: int
    caller: str
    name: str
    arguments: Sequence[bytes] = field(repr=False)
    report: Report | None
    future: asyncio.Future[list[bytes]]
    worker: _Worker | None = None


class WorkerPool:
    """Runs the jobs of one module (see `worker`) in `workers` processes. Use it from one event loop."""

    def __init__(
        self,
        module: str,
        *,
        workers: int,
        queue: int,
        per_caller: int,
        niceness: int,
        memory_mib: int,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        """Nothing is started before `start`."""
        self._workers = workers
        self._command = (module, str(niceness), str(memory_mib))
        self._limit, self._per_caller = queue, per_caller
        self._log, self._metrics = log, metrics
        self._queue: deque[_Job] = deque()
        self._idle: deque[_Worker] = deque()
        self._running: Counter[str] = Counter()  # by caller
        self._served: dict[str, int] = {}  # by caller who has jobs: when the last one began
        self._numbers, self._turns = count(1), count(1)
        self._slots: list[asyncio.Task[None]] = []
        self._closed = False
        self.pids: set[int] = set()  # of the processes that live
        metrics.jobs_waiting.set_function(lambda: len(self._queue))

    def start(self) -> None:
        """Start the processes, in the background: jobs may be given at once."""
        self._slots = [asyncio.create_task(self._keep()) for _ in range(self._workers)]

    async def run(
        self, name: str, arguments: Sequence[bytes], *, caller: str, seconds: float, report: Report | None = None
    ) -> list[bytes]:
        """Run a job and return its result.

        Args:
            caller: who asks; callers take turns.
            seconds: how long the caller waits, in the queue and for the work.
            report: called with the progress of the job, on the event loop.

        Raises:
            CapacityError: too many jobs wait, of everybody or of this caller, or the server is stopping.
            DeadlineError: not done in time.
            WorkerLostError: the process died.
            Whatever the job raises; an exception that is not one of ours is an AssertionError that names its place.
        """
        self._admit(caller)
        future: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        job = _Job(next(self._numbers), caller, name, arguments, report, future)
        self._queue.append(job)
        self._dispatch()
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise DeadlineError(
                "the deadline passed before the work was done", where=name, expected="a later deadline"
            ) from None
        finally:
            self._abandon(job)
            if future.done() and not future.cancelled():
                future.exception()  # looked at, or asyncio would log it, and it may state amounts

    async def close(self) -> None:
        """Kill the processes; jobs that are left get CapacityError if they wait, WorkerLostError if they run."""
        self._closed = True
        while self._queue:
            _fail(self._queue.popleft(), CapacityError("the server is stopping", where="workers", expected="later"))
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._slots = []

    def _admit(self, caller: str) -> None:
        """Raise CapacityError if there is no room for one more job."""
        if self._closed:
            raise CapacityError("the server is stopping", where="workers", expected="another server, or later")
        if self._workers == 0:
            raise CapacityError(
                "this server has no worker processes", where="proving.workers", expected="another server"
            )
        if not self._idle and len(self._queue) >= self._limit:
            raise CapacityError(f"{self._limit} jobs wait for a worker", where="workers", expected="try again later")
        if self._running[caller] + sum(job.caller == caller for job in self._queue) >= self._per_caller:
            raise CapacityError(
                f"{self._per_caller} jobs of this caller wait or run", where="workers", expected="try again later"
            )

    def _dispatch(self) -> None:
        while self._queue and self._idle:
            job = min(self._queue, key=lambda j: (self._running[j.caller], self._served.get(j.caller, 0)))
            self._queue.remove(job)
            worker = self._idle.popleft()
            self._running[job.caller] += 1
            self._served[job.caller] = next(self._turns)
            job.worker, worker.job = worker, job
            worker.send(Kind.JOB, job.number, (job.name.encode(), *job.arguments))
            job.arguments = ()

    def _abandon(self, job: _Job) -> None:
        """The caller has what they wanted, or wants it no more."""
        if job.worker is None:
            with suppress(ValueError):  # not there any more: the pool was closed
                self._queue.remove(job)
        elif job.worker.job is job:
            job.worker.stop()

    def is_over(self, job: _Job) -> None:
        """A job runs no more."""
        self._running[job.caller] -= 1
        if not self._running[job.caller]:
            del self._running[job.caller]
            if all(waiting.caller != job.caller for waiting in self._queue):
                self._served.pop(job.caller, None)

    def is_idle(self, worker: _Worker) -> None:
        """A worker has nothing to do."""
        self._idle.append(worker)
        self._dispatch()

    def is_lost(self, worker: _Worker) -> None:
        """A worker's socket has closed."""
        with suppress(ValueError):
            self._idle.remove(worker)

    async def _keep(self) -> None:
        """Keep one process alive."""
        failures = 0
        while True:
            worker, status = _Worker(self), 0
            try:
                status = await self._live(worker)
            except OSError as error:
                worker.reason = f"cannot be started: {error.strerror}"
            failures = 0 if worker.was_ready else failures + 1
            self._metrics.worker_restarts.inc()
            self._log.warning(
                "worker ended",
                status=status,
                while_at_work=worker.lost_work,
                stopped=worker.killed,
                reason=worker.reason,
            )
            if failures:
                await asyncio.sleep(min(0.25 * 2.0 ** min(failures, 10), MAX_PAUSE_SECONDS))

    async def _live(self, worker: _Worker) -> int:
        """From the start of a process to its end; returns its exit status, negative for a signal."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _start(theirs.fileno(), self._command)
            except OSError:
                ours.close()
                raise
        self.pids.add(process.pid)
        worker.kill_process = process.kill
        loop = asyncio.get_running_loop()
        timer = loop.call_later(START_SECONDS, worker.kill_unless_ready)
        try:
            ours.setblocking(False)
            await loop.create_unix_connection(lambda: worker, sock=ours)
            await worker.gone.wait()
            await _ended(process, EXIT_SECONDS)
        finally:
            timer.cancel()
            worker.close()
            process.kill()
            await _ended(process)
            self.pids.discard(process.pid)
        return int(process.returncode)


class _Worker(asyncio.Protocol):
    """The server's end of one process.

    Attributes:
        job: what it is working on.
        gone: set when the socket has closed.
        was_ready, killed, lost_work, reason: how it went.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.kill_process: Callable[[], None] = lambda: None
        self.job: _Job | None = None
        self.gone = asyncio.Event()
        self.was_ready = self.killed = self.lost_work = False
        self.reason = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for kind, number, parts in self._decoder.feed(data):
                self._receive(kind, number, parts)
        except (ValueError, IndexError):
            self.reason = "not an answer"
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()
        self._pool.is_lost(self)
        job, self.job = self.job, None
        if job is not None:
            self._pool.is_over(job)
            self.lost_work = not job.future.done()
            _fail(
                job,
                WorkerLostError(
                    "the process that worked on this died; nothing was answered",
                    where=job.name,
                    expected="the same request again",
                ),
            )
        self.gone.set()

    def _receive(self, kind: Kind, number: int, parts: list[bytes]) -> None:
        if number == 0 and kind is Kind.READY:
            self.was_ready = True
            self._pool.is_idle(self)
            return
        if number == 0 and kind is Kind.BUG:
            self.reason = parts[0].decode()
            return
        job = self.job
        if job is None or job.number != number:
            raise ValueError("an answer to nothing")
        if kind is Kind.PROGRESS:
            if job.report is not None and not job.future.done():
                job.report(parts[0].decode(), int(parts[1]))
            return
        answer = _answer(kind, parts)
        self._finish()
        self.job = None
        self._pool.is_over(job)
        if job.future.done():
            pass  # the caller has gone
        elif isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
        if kind is not Kind.EXHAUSTED:
            self._pool.is_idle(self)

    def send(self, kind: Kind, number: int, parts: Sequence[bytes] = ()) -> None:
        """Send a frame; to a process that has gone, nothing: its end is about to be noticed."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(kind, number, parts))

    def stop(self) -> None:
        """Nobody waits for the job: it stops by itself, or the process is killed."""
        assert self.job is not None
        self.send(Kind.STOP, self.job.number)
        self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.kill)

    def kill(self) -> None:
        """Kill the process."""
        self.killed = True
        self.kill_process()

    def kill_unless_ready(self) -> None:
        """Kill a process that does not get ready."""
        if not self.was_ready:
            self.reason = f"not ready after {START_SECONDS} s"
            self.kill()

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _answer(kind: Kind, parts: list[bytes]) -> list[bytes] | Exception:
    """What a worker's last frame on a job says."""
    if kind is Kind.RESULT:
        return parts
    if kind in (Kind.REFUSED, Kind.EXHAUSTED):
        code, what, where, expected = (part.decode() for part in parts)
        if code in BY_CODE:
            return BY_CODE[code](what, where=where, expected=expected)
    return AssertionError(f"a worker failed: {parts[0].decode() if kind is Kind.BUG else kind.name}")


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)


def _start(descriptor: int, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """A process that serves the socket with this descriptor. Nobody but `_ended` waits for it, so its id stays its own."""
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT, str(descriptor), *command],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        pass_fds=(descriptor,),
        env=_environment(),
    )


async def _ended(process: subprocess.Popen[bytes], seconds: float = math.inf) -> None:
    """Wait for the end of a process."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)


def _environment() -> dict[str, str]:
    """The server's environment with its import path, and without its configuration, which may hold passwords."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 "" is this folder
    return kept
