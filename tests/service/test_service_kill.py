"""Killing the real server under load: nothing acknowledged is lost, no gap, no duplicate, and the next process goes on."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field

import pytest
from service_support import Files
from venue_process import VenueProcess, current_market

from riskproof.client import Holding
from riskproof.errors import CapacityError, DeadlineError, RemoteError, StoreError
from riskproof.store import GENESIS, Ledger
from riskproof.verify import Outcome, verify_attestation

ACCOUNTS = 4
CLIENTS = 4
UNANSWERED = (RemoteError, DeadlineError, StoreError, CapacityError)  # sent, and nobody knows what became of it


@dataclass
class Told:
    """What the clients were told, and what they sent without an answer."""

    trades: list[tuple[str, str, int]] = field(default_factory=list)
    attestations: list[tuple[str, str, bytes, int]] = field(default_factory=list)
    pending: list[tuple[str, str]] = field(default_factory=list)
    lots: dict[str, int] = field(default_factory=dict)  # by trade id: what it adds


def send(client, told: Told, account: str, name: str) -> None:
    if name.startswith("trade"):
        lots = told.lots.setdefault(name, len(told.lots) % 5 - 7)
        recorded = client.record_trade(account, name, [Holding("BTC", lots), Holding("ETH", 1)])
        told.trades.append((account, name, recorded.position_version))
    else:
        made = client.create_attestation(account, request_id=name)
        told.attestations.append((account, name, made.digest, made.sequence))


def load(venue: VenueProcess, told: Told, run: int, number: int) -> None:
    """Trades and attestations until the server is gone."""
    rng = random.Random(run * 100 + number)
    with venue.client("operator", timeout=10) as client:
        for count in range(100_000):
            account, kind = f"account-{rng.randrange(ACCOUNTS)}", rng.choice(("trade", "attest"))
            name = f"{kind}-{run}-{number}-{count}"
            try:
                send(client, told, account, name)
            except UNANSWERED:
                told.pending.append((account, name))
                return


def kill_often(files: Files, kills: int, seed: int) -> Told:
    rng, told = random.Random(seed), Told()
    for run in range(kills + 1):
        venue = VenueProcess(files)
        with venue.client("operator", timeout=30) as operator:
            if run == 0:
                operator.publish_market(current_market())
                for i in range(ACCOUNTS):
                    operator.open_account(f"account-{i}")
            # What was left without an answer is sent again, under its id: it is done once.
            for account, name in told.pending:
                send(operator, told, account, name)
        told.pending.clear()
        clients = [threading.Thread(target=load, args=(venue, told, run, n)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(rng.uniform(0, 0.5))
        if run < kills:
            venue.kill()
        else:
            assert venue.terminate()[0] == 0
        for client in clients:
            client.join(60)
            assert not client.is_alive()
    return told


def check(files: Files, told: Told) -> None:
    keys = json.loads((files.key / "public.json").read_bytes())
    key_set = json.dumps({"keys": [keys]}).encode()
    with Ledger.open(f"sqlite:///{files.folder}/ledger.db") as ledger:
        assert ledger.verify_integrity() == []
        assert ledger.lost(told.trades, [(a, r, d) for a, r, d, _ in told.attestations]) == []
        market = current_market()
        btc, eth = market.registry.index_of("BTC"), market.registry.index_of("ETH")
        for i in range(ACCOUNTS):
            account = f"account-{i}"
            version, book = ledger.positions(account)
            stored = ledger.list_attestations(account, 0, 1000)
            while len(stored) % 1000 == 0 and stored:
                more = ledger.list_attestations(account, stored[-1].sequence, 1000)
                if not more:
                    break
                stored += more
            assert [a.sequence for a in stored] == list(range(1, len(stored) + 1))
            previous = GENESIS
            for a in stored:
                assert a.previous_digest == previous
                previous = a.digest
            told_here = {sequence for name, _, _, sequence in told.attestations if name == account}
            assert told_here <= {a.sequence for a in stored}
            held = dict(book.positions)
            unanswered = [n for a, n in told.pending if a == account and n.startswith("trade")]
            answered = {n for a, n, _ in told.trades if a == account}
            least = sum(told.lots[n] for n in answered)
            most = least + sum(told.lots[n] for n in unanswered)  # lots are negative
            assert most <= held.get(btc, 0) <= least
            assert held.get(eth, 0) == version
            assert len(answered) <= version <= len(answered) + len(unanswered)
            for a in stored[:: max(1, len(stored) // 5)]:
                verdict = verify_attestation(
                    a.attestation, key_set, now=a.issued_at, opening=ledger.opening(account, a.sequence)
                )
                assert verdict.outcome is Outcome.VALID, verdict.reason


def test_a_server_killed_at_random_points_loses_and_repeats_nothing(fresh: Files) -> None:
    told = kill_often(fresh, kills=10, seed=20260114)
    check(fresh, told)
    assert len(told.trades) > 30
    assert len(told.attestations) > 30


@pytest.mark.slow
def test_a_server_killed_more_than_a_hundred_times(fresh: Files) -> None:
    told = kill_often(fresh, kills=120, seed=1)
    check(fresh, told)
    assert len(told.trades) > 1000
    assert len(told.attestations) > 1000
