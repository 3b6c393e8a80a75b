"""The note that kernels are compiled is there when they are, and only then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_support import Run
from numba import njit

from riskproof.cli.compiled import VARIABLE
from riskproof.cli.output import compiling

SAID = "compiling the kernel, once"


def test_slow_work_that_compiles_nothing_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = njit(lambda x: x + 1)
    kernel(1)
    with compiling(after=0.0):
        assert kernel(2) == 3
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_compilation_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    inner = njit(lambda x: x + 2)
    with compiling(after=0.0):
        assert njit(lambda x: inner(x) * 2)(1) == 6
        assert njit(lambda x: x - 1)(1) == 0
    njit(lambda x: x + 3)(1)  # outside: nobody listens
    assert capsys.readouterr().err.count(SAID) == 1


def test_short_compilations_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with compiling(after=60.0):
        njit(lambda x: x + 4)(1)
    assert capsys.readouterr().err == ""


def test_time_of_compilations_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them is shorter than all of them together."""
    njit(lambda x: x + 5)(1)  # the first of a process takes longer
    began = time.monotonic()
    njit(lambda x: x + 6)(1)
    one = time.monotonic() - began
    with compiling(after=3 * one):
        for n in range(100):
            njit(lambda x, n=n: x + n)(1)
            if SAID in capsys.readouterr().err:
                break
        else:
            pytest.fail("nothing was said")


def test_a_failing_compilation_ends_the_wait() -> None:
    with pytest.raises(Exception, match="no_such_name"), compiling(after=60.0):
        njit(lambda x: x + no_such_name)(1)  # type: ignore[name-defined]  # noqa: F821
    for waiting in (x for x in threading.enumerate() if isinstance(x, threading.Timer)):
        waiting.join(5)
        assert not waiting.is_alive()


@pytest.mark.slow
def test_a_cold_cache_and_a_warm_one(run: Run, tmp_path: Path) -> None:
    run("market", "sample", "--out", "market.json")
    environment = os.environ | {VARIABLE: str(tmp_path / "cache")}
    command = [sys.executable, "-m", "riskproof.cli", "price", "--market", "market.json"]
    cold, warm = (
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
        for _ in range(2)
    )
    shutil.rmtree(tmp_path / "cache")
    assert SAID in cold.stderr
    assert warm.stderr == ""
    assert warm.stdout == cold.stdout
