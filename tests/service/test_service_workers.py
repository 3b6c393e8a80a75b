"""The pool of worker processes, with real processes: what each way to fail costs, and whom."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worker_jobs import SECRET

from riskproof.errors import CapacityError, DeadlineError, FalseStatementError, WorkerLostError
from riskproof.service.frames import Decoder, Kind, encode
from riskproof.service.logs import make_logger
from riskproof.service.metrics import Metrics
from riskproof.service.workers import WorkerPool


@dataclass
class Rig:
    pool: WorkerPool
    metrics: Metrics
    log: io.StringIO

    async def pids(self, count: int) -> set[int]:
        """The processes, when there are as many and all have warmed up."""
        found: set[int] = set()
        while len(found) < count:
            found = {int(r[0]) for r in await asyncio.gather(*(self.run("whoami") for _ in range(2 * count)))}
            await asyncio.sleep(0.01)
        return found

    async def run(self, name: str, *arguments: bytes, seconds: float = 60, caller: str = "alice") -> list[bytes]:
        return await self.pool.run(name, arguments, caller=caller, seconds=seconds)

    def restarts(self) -> float:
        return self.metrics.registry.get_sample_value("riskproof_worker_restarts_total") or 0.0

    def waiting(self) -> float:
        return self.metrics.registry.get_sample_value("riskproof_worker_jobs_waiting") or 0.0


@asynccontextmanager
async def rig(
    workers: int = 1, queue: int = 200, per_caller: int = 200, module: str = "worker_jobs"
) -> AsyncIterator[Rig]:
    metrics, log = Metrics(), io.StringIO()
    pool = WorkerPool(
        module,
        workers=workers,
        queue=queue,
        per_caller=per_caller,
        niceness=5,
        memory_mib=1024,
        log=make_logger("debug", log),
        metrics=metrics,
    )
    pool.start()
    try:
        yield Rig(pool, metrics, log)
    finally:
        await pool.close()
        assert pool.pids == set()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_arguments_and_results_of_any_bytes() -> None:
    async with rig() as r:
        big = os.urandom(5_000_000)
        assert await r.run("echo", b"", b"\x00" * 9, big) == [b"", b"\x00" * 9, big]
        assert await r.run("echo") == []


async def test_workers_are_nicer_and_are_not_told_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKPROOF_LEDGER_URL", f"postgresql://venue:{SECRET}@db/ledger")
    async with rig() as r:
        pid, niceness, passed = await r.run("whoami")
        assert int(pid) in r.pool.pids
        assert int(niceness) == os.nice(0) + 5
        assert passed == b""


async def test_progress_comes_in_order() -> None:
    async with rig() as r:
        heard: list[tuple[str, int]] = []
        await r.pool.run(
            "stages", (), caller="alice", seconds=60, report=lambda stage, permille: heard.append((stage, permille))
        )
        assert heard == [(f"stage {i}", 250 * i) for i in range(5)]


async def test_our_errors_come_back_as_they_are() -> None:
    async with rig() as r:
        with pytest.raises(FalseStatementError, match="short by 3 micros") as refused:
            await r.run("refuse")
        assert (refused.value.where, refused.value.expected) == ("crash", "a larger bound")
        assert r.restarts() == 0
        assert "micros" not in r.log.getvalue()


async def test_other_exceptions_say_where_and_not_what() -> None:
    async with rig() as r:
        with pytest.raises(AssertionError, match=r"ValueError at worker_jobs.py:\d+ trip") as bug:
            await r.run("trip")
        assert SECRET not in repr(bug.value)
        with pytest.raises(AssertionError, match="KeyError"):
            await r.run("no such job")
        assert await r.run("echo", b"x") == [b"x"]
        assert r.restarts() == 0


async def test_a_job_that_needs_too_much_memory_is_refused_and_its_worker_replaced() -> None:
    async with rig() as r:
        (before,) = await r.pids(1)
        with pytest.raises(CapacityError, match="more memory than a worker has") as refused:
            await r.run("hoard")
        assert refused.value.where == "hoard"
        assert await r.run("echo", b"x") == [b"x"]
        (after,) = await r.pids(1)
        assert after != before


async def test_what_a_job_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    async with rig() as r:
        await r.run("talk")
    out, err = capfd.readouterr()
    assert SECRET not in out + err + r.log.getvalue()


@pytest.mark.parametrize("end", ["die", "leave"])
async def test_a_process_that_dies_costs_its_job_only(end: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    async with rig(workers=2) as r:
        before = await r.pids(2)
        naps = [asyncio.create_task(r.run("nap", str(ran).encode(), b"%d" % i, b"0.05")) for i in range(10)]
        with pytest.raises(WorkerLostError, match="the process that worked on this died"):
            await r.run(end)
        assert await asyncio.gather(*naps) == [[b"%d" % i] for i in range(10)]
        assert sorted(map(int, ran.read_text().split())) == list(range(10))  # each once
        after = await r.pids(2)
        assert len(before & after) == 1
        assert r.restarts() == 1
        ended = [json.loads(line) for line in r.log.getvalue().splitlines()]
        assert [(e["event"], e["while_at_work"], e["stopped"]) for e in ended] == [("worker ended", True, False)]
        assert ended[0]["status"] == (-signal.SIGKILL if end == "die" else 1)
        assert SECRET not in r.log.getvalue()


async def test_sigkill_from_outside_in_the_middle_of_a_job(tmp_path: Path) -> None:
    async with rig() as r:
        note = tmp_path / "pid"
        job = asyncio.create_task(r.run("deaf", str(note).encode()))
        await until(lambda: note.exists() and note.read_text())
        queued = asyncio.create_task(r.run("echo", b"next"))
        os.kill(int(note.read_text()), signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            await job
        assert await queued == [b"next"]


async def test_an_idle_process_that_dies_is_replaced_before_anybody_asks() -> None:
    async with rig() as r:
        (pid,) = await r.pids(1)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: r.pool.pids and pid not in r.pool.pids)
        assert await r.run("echo", b"x") == [b"x"]


async def test_a_full_queue_refuses_one_more() -> None:
    async with rig(queue=3) as r:
        await r.pids(1)
        blocked = [asyncio.create_task(r.run("deaf")) for _ in range(4)]
        await asyncio.sleep(0)
        assert r.waiting() == 3
        with pytest.raises(CapacityError, match="3 jobs wait for a worker"):
            await r.run("echo")
        blocked[2].cancel()  # a waiting one
        await asyncio.gather(blocked[2], return_exceptions=True)
        assert r.waiting() == 2
        assert r.restarts() == 0
        blocked.append(asyncio.create_task(r.run("echo", b"fits again")))
        await asyncio.sleep(0)
        assert r.waiting() == 3
        for job in blocked[:4]:
            job.cancel()
        assert await blocked[4] == [b"fits again"]
        assert r.restarts() == 1


async def test_callers_take_turns_and_none_takes_all(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    async with rig(per_caller=5) as r:
        await r.pids(1)
        blocked = asyncio.create_task(r.run("deaf"))
        await asyncio.sleep(0)
        many = [asyncio.create_task(r.run("nap", str(ran).encode(), b"alice", b"0")) for _ in range(4)]
        one = asyncio.create_task(r.run("nap", str(ran).encode(), b"bob", b"0", caller="bob"))
        await asyncio.sleep(0)
        with pytest.raises(CapacityError, match="5 jobs of this caller wait or run"):
            await r.run("echo")
        blocked.cancel()  # it goes on for a moment, and is killed
        await asyncio.gather(*many, one)
        assert ran.read_text().split() == ["bob", "alice", "alice", "alice", "alice"]
        assert await r.run("echo", b"x") == [b"x"]


async def test_a_server_without_workers_says_so() -> None:
    async with rig(workers=0) as r:
        with pytest.raises(CapacityError, match="this server has no worker processes"):
            await r.run("echo")


async def test_a_deadline_frees_the_worker_of_a_job_that_looks(tmp_path: Path) -> None:
    async with rig() as r:
        before = await r.pids(1)
        with pytest.raises(DeadlineError, match="the deadline passed") as late:
            await r.run("patient", str(tmp_path / "pid").encode(), seconds=0.2)
        assert late.value.where == "patient"
        assert await r.pids(1) == before
        assert r.restarts() == 0


async def test_a_deadline_kills_a_job_that_does_not_look() -> None:
    async with rig() as r:
        before = await r.pids(1)
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            await r.run("deaf", seconds=0.2)
        assert time.monotonic() - started < 2
        assert await r.pids(1) != before
        assert r.restarts() == 1
        assert not any(alive(pid) for pid in before)


async def test_a_deadline_counts_the_time_in_the_queue() -> None:
    async with rig() as r:
        await r.pids(1)
        job = asyncio.create_task(r.run("deaf"))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineError):
            await r.run("echo", seconds=0.1)
        assert r.waiting() == 0
        job.cancel()


async def test_cancelling_stops_a_job_and_kills_a_deaf_one(tmp_path: Path) -> None:
    async with rig() as r:
        for name, survives in (("patient", True), ("deaf", False)):
            (before,) = await r.pids(1)
            note = tmp_path / name
            job = asyncio.create_task(r.run(name, str(note).encode()))
            await until(lambda note=note: note.exists() and note.read_text())
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            (after,) = await r.pids(1)
            assert (after == before) == survives


async def test_a_hundred_jobs_some_of_which_die_are_cancelled_or_late(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    async with rig(workers=3) as r:
        await r.pids(3)

        async def one(i: int) -> str:
            try:
                if i % 25 == 0:
                    await r.run("die")
                if i % 25 == 7:
                    await r.run("deaf", seconds=0.3)
                result = await r.run("nap", str(ran).encode(), b"%d" % i, b"0.005")
            except (WorkerLostError, DeadlineError) as error:
                return type(error).__name__
            assert result == [b"%d" % i]
            return "done"

        jobs = [asyncio.create_task(one(i)) for i in range(100)]
        for i in range(11, 100, 25):
            jobs[i].cancel()
        said = await asyncio.gather(*jobs, return_exceptions=True)
        for i, answer in enumerate(said):
            if i % 25 == 11:
                assert isinstance(answer, asyncio.CancelledError)
            else:
                assert answer == {0: "WorkerLostError", 7: "DeadlineError"}.get(i % 25, "done"), i
        done = [i for i, answer in enumerate(said) if answer == "done"]
        assert sorted(map(int, ran.read_text().split())) == done  # every one once, and no other
        await r.pids(3)
        assert 4 <= r.restarts() <= 8  # a late job may not have begun


async def test_workers_that_do_not_get_ready_are_tried_again_ever_less_often() -> None:
    async with rig(module="broken_jobs") as r:
        with pytest.raises(DeadlineError):
            await r.run("echo", seconds=5)
        lines = [json.loads(line) for line in r.log.getvalue().splitlines()]
        assert 1 <= len(lines) < 6
        assert "RuntimeError at broken_jobs.py" in lines[0]["reason"]
        assert SECRET not in r.log.getvalue()


async def test_closing_fails_what_is_left_and_leaves_no_process(tmp_path: Path) -> None:
    async with rig() as r:
        pids = await r.pids(1)
        note = tmp_path / "pid"
        running = asyncio.create_task(r.run("deaf", str(note).encode()))
        waiting = asyncio.create_task(r.run("echo"))
        await until(lambda: note.exists() and note.read_text())
        await r.pool.close()
        with pytest.raises(WorkerLostError):
            await running
        with pytest.raises(CapacityError, match="the server is stopping"):
            await waiting
        with pytest.raises(CapacityError, match="the server is stopping"):
            await r.run("echo")
        assert not any(alive(pid) for pid in pids)


PARENT = """
import asyncio, io, sys
sys.path[:0] = {path!r}
from test_service_workers import rig

async def main():
    async with rig(workers=2) as r:
        await r.pids(2)
        job = asyncio.create_task(r.run("deaf", {note!r}.encode()))
        print(*r.pool.pids, flush=True)
        await job

asyncio.run(main())
"""


async def test_no_orphans_after_sigkill_of_the_server(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = PARENT.format(path=[str(Path(__file__).parent)], note=str(note))
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = {int(word) for word in (await asyncio.to_thread(parent.stdout.readline)).split()}
    await until(lambda: note.exists() and note.read_text())
    assert len(pids) == 2
    assert int(note.read_text()) in pids
    assert all(alive(pid) for pid in pids)
    for pid in pids:  # as a service manager does; the server decides when workers end
        os.kill(pid, signal.SIGTERM)
    await asyncio.sleep(0.1)
    assert all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await until(lambda: not any(alive(pid) for pid in pids), 10)


FRAMES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**64 - 1), st.lists(st.binary(max_size=40), max_size=4)),
    max_size=5,
)


@given(frames=FRAMES, cut=st.integers(1, 50))
def test_frames_survive_however_the_stream_is_cut(frames: list[tuple[Kind, int, list[bytes]]], cut: int) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    decoder, read = Decoder(), []
    for i in range(0, len(stream), cut):
        read += decoder.feed(stream[i : i + cut])
    assert read == frames


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x63" + bytes(16), "is not a valid Kind"),
        (b"\x05" + bytes(8) + b"\xff" * 8, "of this length"),
        (b"\x05" + bytes(8) + (3).to_bytes(8, "little") + b"abc", "without its length"),
        (b"\x05" + bytes(8) + (9).to_bytes(8, "little") + (2).to_bytes(8, "little") + b"a", "cut off"),
    ],
)
def test_bytes_that_are_no_frames(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        list(Decoder().feed(data))
