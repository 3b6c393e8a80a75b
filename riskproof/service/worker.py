"""A worker process: it runs jobs of one module, one at a time, for the server at the other end of a socket.

The module has `JOBS: dict[str, Job]` and `warm_up()`, which runs before any job is taken. A job gets byte strings and returns byte
strings; its `progress(stage, fraction)` tells the caller how far it is, and ends the job if nobody waits for it any more.

When the server is gone, however it went, the socket closes and the process ends at once, in the middle of a job if need be. Signals
that a service manager sends to everything of the service do not end it: the server, which finishes what is at work, does.

Arguments and results are secret. They are in this process's memory and in the socket, and nowhere else: no core dumps, nothing is
printed, and of an exception that is not one of ours only the class and the place are told.
"""

from __future__ import annotations

import importlib
import os
import queue
import resource
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from riskproof.errors import RiskproofError
from riskproof.service.frames import Decoder, Kind, encode

Progress = Callable[[str, float], None]
Job = Callable[[Sequence[bytes], Progress], Sequence[bytes]]
_CHUNK: Final = 1 << 18


class _StoppedError(BaseException):
    """Nobody waits for the job. Not an Exception: nothing that the job calls may take it for one of its own."""


class _Worker:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[tuple[int, list[bytes]]] = queue.SimpleQueue()
        self._stopped = 0  # number of the last job that was called off; numbers ascend

    def listen(self) -> None:
        """In a thread: take jobs and calls to stop; end the process when the server has gone."""
        decoder = Decoder()
        try:
            while data := self._connection.recv(_CHUNK):
                for kind, number, parts in decoder.feed(data):
                    if kind is Kind.JOB:
                        self._jobs.put((number, parts))
                    elif kind is Kind.STOP:
                        self._stopped = number
        finally:
            os._exit(0)

    def run(self, jobs: dict[str, Job]) -> None:
        """Run jobs for ever."""
        self._send(Kind.READY, 0, ())
        while True:
            number, (name, *arguments) = self._jobs.get()
            answer = self._answer(jobs, number, name.decode(), arguments)
            self._send(*answer)
            if answer[0] is Kind.EXHAUSTED:
                os._exit(1)  # what is kept of earlier jobs may be what takes the memory
            del arguments, answer  # secret: not kept until the next job comes

    def _answer(
        self, jobs: dict[str, Job], number: int, name: str, arguments: list[bytes]
    ) -> tuple[Kind, int, Sequence[bytes]]:
        def progress(stage: str, fraction: float) -> None:
            if self._stopped >= number:
                raise _StoppedError
            self._send(Kind.PROGRESS, number, (stage.encode(), str(round(fraction * 1000)).encode()))

        try:
            return Kind.RESULT, number, jobs[name](arguments, progress)
        except _StoppedError:
            return Kind.STOPPED, number, ()
        except RiskproofError as error:
            return Kind.REFUSED, number, [t.encode() for t in (error.code, error.what, error.where, error.expected)]
        except MemoryError:
            what = ("CAPACITY", "this takes more memory than a worker has", name, "fewer scenarios or instruments")
            return Kind.EXHAUSTED, number, [text.encode() for text in what]
        except Exception as error:
            return Kind.BUG, number, (_place(error).encode(),)

    def _send(self, kind: Kind, number: int, parts: Sequence[bytes]) -> None:
        try:
            self._connection.sendall(encode(kind, number, parts))
        except OSError:
            os._exit(0)

    def fail(self, error: Exception) -> None:
        """Say that the worker cannot start."""
        self._send(Kind.BUG, 0, (_place(error).encode(),))


def _place(error: Exception) -> str:
    """An exception's class and where it was raised: its message may quote what it was given."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"


def main(descriptor: int, module: str, niceness: int, memory_mib: int) -> None:
    """Serve the socket with this file descriptor.

    niceness: how far below the server in priority. memory_mib: address space, MiB.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))
    os.nice(niceness)
    worker = _Worker(socket.socket(fileno=descriptor))
    threading.Thread(target=worker.listen, daemon=True).start()
    try:
        loaded = importlib.import_module(module)
        loaded.warm_up()
    except Exception as error:
        worker.fail(error)
        return
    worker.run(loaded.JOBS)
