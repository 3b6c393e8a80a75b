"""Jobs for the tests of the worker pool: what real ones do, and what they must not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from riskproof.errors import FalseStatementError

SECRET = "seven-million-short"
Progress = Callable[[str, float], None]


def echo(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    return arguments


def whoami(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    passed = [name for name in os.environ if name.startswith("RISKPROOF_")]
    return [str(os.getpid()).encode(), str(os.nice(0)).encode(), ",".join(passed).encode()]


def stages(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    for i in range(5):
        progress(f"stage {i}", i / 4)
    return []


def patient(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """Works until it is stopped, and looks often."""
    Path(arguments[0].decode()).write_text(str(os.getpid()))
    while True:
        progress("waiting", 0.5)
        time.sleep(0.01)


def deaf(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """Works and never looks."""
    if arguments:
        Path(arguments[0].decode()).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def nap(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """Sleeps, and notes in a file that it ran."""
    with Path(arguments[0].decode()).open("ab") as file:
        file.write(arguments[1] + b"\n")
    time.sleep(float(arguments[2]))
    return [arguments[1]]


def die(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def leave(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    sys.exit(SECRET)


def talk(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    print(SECRET, flush=True)
    print(SECRET, file=sys.stderr, flush=True)
    os.write(1, SECRET.encode())
    os.write(2, SECRET.encode())
    return []


def refuse(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    raise FalseStatementError("short by 3 micros", where="crash", expected="a larger bound")


def trip(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    raise ValueError(SECRET)


def hoard(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    return [bytes(2 << 30)]


def warm_up() -> None:
    """Nothing to do."""


JOBS = {f.__name__: f for f in (echo, whoami, stages, patient, deaf, nap, die, leave, talk, refuse, trip, hoard)}
