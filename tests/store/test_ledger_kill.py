"""Killing the writer process: nothing acknowledged is lost, no gap, no duplicate, and the next process goes on."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from ledger_support import Told, load, registry, url_of, window

from riskproof.store import Ledger

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "riskproof.store"])


def check(url: str, told: Told) -> None:
    with Ledger.open(url) as ledger:
        assert ledger.verify_integrity() == []
        assert ledger.lost(told.trades, told.attestations) == []
        for account in ledger.accounts(1000):
            check_pledges(ledger, account, told)
            sequence, digest = ledger.head(account)
            assert ledger.append_attestation(account, f"probe-{sequence}", probe(account)).previous_digest == digest
            assert ledger.head(account)[0] == sequence + 1


def check_pledges(ledger: Ledger, account: str, told: Told) -> None:
    """Windows do not overlap; those that were granted are there, and those that were refused had one in their way."""
    held = []
    while page := ledger.pledges(account, held[-1].until if held else 0, 1000):
        held += page
    assert all(one.until <= other.start for one, other in itertools.pairwise(held))
    kept = {(p.start, p.until) for p in held}
    granted = [window(name) for a, name, _ in told.attestations if a == account and name.startswith("pledge")]
    assert kept >= set(granted)
    assert len(set(granted)) == len(granted)
    for start, until in (window(name) for a, name in told.refused if a == account):
        assert any(p.start < until and start < p.until for p in held)


def probe(account: str):
    from ledger_support import builder

    return builder(f"probe {account}")


def wait_for(file: Path, lines: int) -> None:
    """Until the worker has got so far: work and not time, so that a busy machine tests as much as an idle one."""
    deadline = time.monotonic() + 20
    while not file.exists() or file.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline, "the worker did not get on"
        time.sleep(0.002)


def kill_often(url: str, folder: Path, kills: int, seed: int) -> None:
    rng, told = random.Random(seed), Told()
    accounts = 5
    with Ledger.open(url) as ledger:
        ledger.put_registry(registry())
        ledger.open_accounts(f"account-{i}" for i in range(accounts))
    pending: list[tuple[str, str]] = []
    killed_while_busy = 0
    for run in range(kills):
        acks = folder / f"acks-{run}"
        worker = CONTEXT.Process(target=load, args=(url, str(acks), accounts, run, pending))
        worker.start()
        if rng.random() < 0.9:  # else killed while it starts
            wait_for(acks, rng.randrange(1, 80))
        time.sleep(rng.uniform(0, 0.02))
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        left = told.read(acks)
        killed_while_busy += bool(left)
        if acks.exists():
            pending = left
        if run % 25 == 24:
            check(url, told)
    check(url, told)
    assert killed_while_busy >= kills // 2
    assert len(told) >= 10 * kills
    assert max(Counter((a, n) for a, n, _ in told.attestations).values()) == 1
    assert sum(name.startswith("pledge") for _, name, _ in told.attestations) > kills
    assert len(told.refused) > kills // 10


def test_a_writer_killed_at_random_points_loses_and_repeats_nothing(url: str, tmp_path: Path) -> None:
    kill_often(url, tmp_path, kills=120, seed=20260114)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_writer_killed_for_long(path: Path, tmp_path: Path, seed: int) -> None:
    kill_often(url_of(path), tmp_path, kills=200, seed=seed)


def test_two_processes_share_one_ledger_without_gap_or_duplicate(url: str, tmp_path: Path) -> None:
    told = Told()
    with Ledger.open(url) as ledger:
        ledger.put_registry(registry())
        ledger.open_accounts(f"account-{i}" for i in range(3))
    files = [tmp_path / f"acks-{run}" for run in range(2)]
    workers = [CONTEXT.Process(target=load, args=(url, str(files[run]), 3, run, [], 60)) for run in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for acks in files:
        assert told.read(acks) == []
    assert len(told) == 2 * 4 * 60
    check(url, told)


def test_processes_that_open_a_new_ledger_at_once_make_one(url: str) -> None:
    workers = [CONTEXT.Process(target=open_and_claim, args=(url, f"account-{i}")) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    with Ledger.open(url) as ledger:
        assert ledger.accounts(10) == [f"account-{i}" for i in range(4)]
        assert ledger.verify_integrity() == []


def open_and_claim(url: str, account: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.open_account(account)
