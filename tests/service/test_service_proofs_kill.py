"""The real server with workers, killed and stopped: no orphans, nothing told that was not counted, the next process goes on."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from service_support import Files
from test_service_proofs import AUDIENCE, BOOK, HOLDER, IDENTITY, TRUE, attest, case
from test_service_workers import alive
from venue_process import VenueProcess, current_market

from riskproof.client import Client, Disclosure
from riskproof.errors import CapacityError, LeakBudgetError, RiskproofError, WorkerLostError
from riskproof.verify import Outcome

MORE = "leak_points = 3"


def workers(pid: int, count: int) -> set[int]:
    """The worker processes of a server, when all are there."""
    until = time.monotonic() + 30
    while True:
        found: set[int] = set()
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(child) for child in (task / "children").read_text().split()}
        if len(found) == count:
            return found
        assert time.monotonic() < until
        time.sleep(0.05)


def gone(pids: set[int]) -> bool:
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def settle(venue: VenueProcess) -> None:
    with venue.client("operator", timeout=60) as operator:
        operator.publish_market(current_market())
        operator.open_account("alice")
        operator.set_holder("alice", IDENTITY)
        operator.record_trade("alice", "t1", BOOK)


def ask(verifier: Client, bound: int) -> bytes:
    return verifier.create_challenge(bound_micros=bound, audience=AUDIENCE)


def test_a_server_killed_while_it_proves(fresh: Files) -> None:
    venue = VenueProcess(fresh, workers=2, proving=MORE)
    settle(venue)
    children = workers(venue.process.pid, 2)
    got: list[bytes] = []
    with venue.client("alice", timeout=60) as alice, venue.client("verifier", timeout=60) as verifier:
        attestation = attest(alice, ttl_seconds=3600)
        asked = [ask(verifier, (k + 1) * TRUE) for k in range(3)]
        got.append(alice.prove("alice", asked[0], [attestation], HOLDER))

        def go_on(k: int) -> None:
            with venue.client("alice", timeout=60) as client:
                try:
                    got.append(client.prove("alice", asked[k], [attestation], HOLDER))
                except RiskproofError:
                    return

        threads = [threading.Thread(target=go_on, args=(k,)) for k in (1, 2)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        venue.kill()
        for thread in threads:
            thread.join(60)
    assert gone(children)
    venue = VenueProcess(fresh, workers=2, proving=MORE)
    with venue.client("alice", timeout=60) as alice, venue.client("verifier", timeout=60) as verifier:
        for k in range(3):  # what was counted is free, what was not still fits: three answers in all
            proof = alice.prove("alice", asked[k], [attestation], HOLDER)
            assert verifier.verify_proof(case(proof, asked[k], attestation)).outcome is Outcome.VALID
        with pytest.raises(LeakBudgetError):
            alice.prove("alice", ask(verifier, 4 * TRUE), [attestation], HOLDER)
        for proof in got:
            assert any(verifier.verify_proof(case(proof, c, attestation)).outcome is Outcome.VALID for c in asked)
    children = workers(venue.process.pid, 2)
    status, lines = venue.terminate()
    assert status == 0
    assert gone(children)
    assert [line["event"] for line in lines] == ["stopping", "stopped"]


def test_a_server_that_stops_finishes_its_proofs(fresh: Files) -> None:
    venue = VenueProcess(fresh, workers=1)
    settle(venue)
    outcomes: list[object] = []
    with venue.client("alice", timeout=60) as alice, venue.client("verifier", timeout=60) as verifier:
        attestation = attest(alice, disclosure=Disclosure.NONE)
        asked = ask(verifier, TRUE)
        begun = threading.Event()

        def go_on() -> None:
            try:
                outcomes.append(alice.prove("alice", asked, [attestation], HOLDER, progress=lambda *_: begun.set()))
            except (WorkerLostError, CapacityError) as error:
                outcomes.append(error)

        thread = threading.Thread(target=go_on)
        thread.start()
        assert begun.wait(60)
        (child,) = workers(venue.process.pid, 1)
        venue.process.send_signal(signal.SIGTERM)
        thread.join(60)
        _, text = venue.process.communicate(timeout=30)
    assert isinstance(outcomes[0], bytes)
    assert venue.process.returncode == 0
    assert gone({child})
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["stopping", "stopped"]
