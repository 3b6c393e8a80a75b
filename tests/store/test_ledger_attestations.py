from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_support import TIME, builder

from riskproof.errors import AttestationError, CapacityError, ConflictError, NotFoundError, StoreError, UnitError
from riskproof.store import GENESIS, AttestationRecord, Ledger


def test_the_sequence_counts_from_one_and_chains_digests(ledger: Ledger) -> None:
    assert ledger.head("alice") == (0, GENESIS)
    previous = GENESIS
    for number in range(1, 6):
        stored = ledger.append_attestation("alice", f"r{number}", builder(f"r{number}"))
        assert (stored.sequence, stored.previous_digest, stored.replayed) == (number, previous, False)
        previous = stored.digest
    assert ledger.head("alice") == (5, previous)
    assert ledger.verify_integrity() == []


def test_what_went_in_comes_out(ledger: Ledger) -> None:
    stored = ledger.append_attestation("alice", "r", builder("r"))
    assert ledger.attestation("alice", 1) == stored
    assert ledger.attestation_by_digest(stored.digest) == stored
    assert ledger.list_attestations("alice") == [stored]
    assert ledger.opening("alice", 1) == builder("r")(1, GENESIS).opening
    assert stored.attestation.hex() not in repr(stored)


def test_a_request_is_answered_once(ledger: Ledger) -> None:
    first = ledger.append_attestation("alice", "r", builder("r"))
    ledger.append_attestation("alice", "s", builder("s"))
    again = ledger.append_attestation("alice", "r", lambda _s, _p: pytest.fail("built again"))
    assert again.replayed
    assert (again.sequence, again.digest, again.attestation) == (1, first.digest, first.attestation)
    assert ledger.head("alice")[0] == 2


def test_a_request_id_for_something_else_is_a_conflict(ledger: Ledger) -> None:
    ask, other = hashlib.sha256(b"ask").digest(), hashlib.sha256(b"other").digest()
    ledger.append_attestation("alice", "r", builder("r"), request_digest=ask)
    assert ledger.append_attestation("alice", "r", builder("x"), request_digest=ask).replayed
    with pytest.raises(ConflictError, match="request id 'r' is taken by another request"):
        ledger.append_attestation("alice", "r", builder("x"), request_digest=other)


def test_the_digest_of_another_attestation_is_a_conflict(ledger: Ledger) -> None:
    ledger.open_account("bob")
    first = ledger.append_attestation("alice", "r", builder("r"))
    copy = AttestationRecord(first.digest, b"a", b"o", TIME)
    with pytest.raises(ConflictError, match="an attestation of this digest is already stored"):
        ledger.append_attestation("bob", "r", lambda _s, _p: copy)
    assert ledger.head("bob") == (0, GENESIS)


def test_a_builder_that_raises_uses_no_number(ledger: Ledger) -> None:
    def fail(_sequence: int, _previous: bytes) -> AttestationRecord:
        raise AttestationError("the key has expired", where="key")

    ledger.append_attestation("alice", "1", builder("1"))
    with pytest.raises(AttestationError, match="the key has expired"):
        ledger.append_attestation("alice", "2", fail)
    assert ledger.append_attestation("alice", "2", builder("2")).sequence == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"digest": b"short"}, AttestationError, "digest of 5 bytes"),
        ({"attestation": b""}, AttestationError, "attestation or opening is empty"),
        ({"opening": b""}, AttestationError, "attestation or opening is empty"),
        ({"issued_at": -5}, UnitError, "time is out of range"),
    ],
)
def test_a_record_is_checked_before_it_is_stored(ledger: Ledger, change: dict, error: type, message: str) -> None:
    whole = {"digest": bytes(32), "attestation": b"a", "opening": b"o", "issued_at": TIME}
    with pytest.raises(error, match=message):
        ledger.append_attestation("alice", "r", lambda _s, _p: AttestationRecord(**(whole | change)))
    assert ledger.head("alice") == (0, GENESIS)


def test_attestations_are_listed_in_pages(ledger: Ledger) -> None:
    for number in range(7):
        ledger.append_attestation("alice", str(number), builder(str(number)))
    assert [a.sequence for a in ledger.list_attestations("alice", 0, 3)] == [1, 2, 3]
    assert [a.sequence for a in ledger.list_attestations("alice", 3, 3)] == [4, 5, 6]
    assert [a.sequence for a in ledger.list_attestations("alice", 6, 3)] == [7]
    assert ledger.list_attestations("alice", 7, 3) == []


@pytest.mark.parametrize("sequence", [0, 2, -1])
def test_an_unknown_number_is_not_found(ledger: Ledger, sequence: int) -> None:
    ledger.append_attestation("alice", "r", builder("r"))
    for read in (ledger.attestation, ledger.opening):
        with pytest.raises(NotFoundError, match=f"no attestation number {sequence}"):
            read("alice", sequence)


def test_many_threads_make_one_sequence(ledger: Ledger) -> None:
    ledger.open_account("bob")
    with ThreadPoolExecutor(16) as pool:
        names = ("alice", "bob")
        answers = list(pool.map(lambda n: ledger.append_attestation(names[n % 2], str(n), builder(str(n))), range(400)))
    for account in ("alice", "bob"):
        assert sorted(a.sequence for a in answers if a.account_id == account) == list(range(1, 201))
    assert ledger.verify_integrity() == []


class Gate:
    """A builder that holds the writer until it is let go, so that operations queue behind it."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, sequence: int, previous: bytes) -> AttestationRecord:
        self.entered.set()
        assert self.go.wait(10)
        return builder("gate")(sequence, previous)


def test_operations_that_wait_share_a_transaction_and_fail_alone(ledger: Ledger) -> None:
    gate = Gate()
    first = ledger.submit_attestation("alice", "gate", gate)
    assert gate.entered.wait(10)
    seen: list[int] = []

    def fail(sequence: int, _previous: bytes) -> AttestationRecord:
        seen.append(sequence)
        raise ValueError("mine alone")

    futures = [
        ledger.submit_attestation("alice", "a", builder("a")),
        ledger.submit_attestation("alice", "b", fail),
        ledger.submit_trades("alice", "t", [(0, 1)], TIME),
        ledger.submit_trades("alice", "t", [(0, 2)], TIME),
        ledger.submit_attestation("alice", "a", builder("a")),
        ledger.submit_attestation("alice", "c", builder("c")),
    ]
    assert not any(future.done() for future in futures)
    gate.go.set()
    assert first.result().sequence == 1
    assert futures[0].result().sequence == 2
    assert isinstance(futures[1].exception(), ValueError)
    assert seen == [3]
    assert futures[2].result().position_version == 1
    assert isinstance(futures[3].exception(), ConflictError)
    assert (futures[4].result().sequence, futures[4].result().replayed) == (2, True)
    assert futures[5].result().sequence == 3
    assert ledger.verify_integrity() == []


def test_reading_does_not_wait_for_the_writer(ledger: Ledger) -> None:
    ledger.append_attestation("alice", "r", builder("r"))
    gate = Gate()
    future = ledger.submit_attestation("alice", "gate", gate)
    assert gate.entered.wait(10)
    start = time.monotonic()
    assert ledger.head("alice")[0] == 1
    assert ledger.positions("alice")[0] == 0
    assert time.monotonic() - start < 2
    gate.go.set()
    future.result()
    assert ledger.head("alice")[0] == 2


def test_a_cancelled_operation_never_runs(ledger: Ledger) -> None:
    gate = Gate()
    first = ledger.submit_attestation("alice", "gate", gate)
    assert gate.entered.wait(10)
    waiting = ledger.submit_attestation("alice", "r", lambda _s, _p: pytest.fail("built"))
    assert waiting.cancel()
    assert not first.cancel()  # it is running: it will be stored
    gate.go.set()
    assert first.result().sequence == 1
    assert ledger.append_attestation("alice", "s", builder("s")).sequence == 2


def test_a_full_queue_refuses_and_recovers(url: str) -> None:
    with Ledger.open(url, capacity=3) as ledger:
        ledger.open_account("alice")
        gate = Gate()
        futures = [ledger.submit_attestation("alice", "gate", gate)]
        assert gate.entered.wait(10)
        futures += [ledger.submit_attestation("alice", str(n), builder(str(n))) for n in range(3)]
        assert ledger.waiting == 3
        with pytest.raises(CapacityError, match="3 operations are waiting"):
            ledger.submit_attestation("alice", "3", builder("3"))
        gate.go.set()
        assert [future.result().sequence for future in futures] == [1, 2, 3, 4]
        assert ledger.append_attestation("alice", "3", builder("3")).sequence == 5


def test_closing_finishes_what_waits_and_refuses_the_rest(url: str) -> None:
    ledger = Ledger.open(url)
    ledger.open_account("alice")
    gate = Gate()
    futures = [ledger.submit_attestation("alice", "gate", gate)]
    assert gate.entered.wait(10)
    futures += [ledger.submit_attestation("alice", str(n), builder(str(n))) for n in range(20)]
    closer = threading.Thread(target=ledger.close)
    closer.start()
    gate.go.set()
    closer.join(10)
    assert [future.result().sequence for future in futures] == list(range(1, 22))
    with pytest.raises(StoreError, match="the ledger is closed"):
        ledger.submit_attestation("alice", "late", builder("late"))
    ledger.close()


def test_the_writer_cannot_wait_for_itself(ledger: Ledger) -> None:
    def reenter(_sequence: int, _previous: bytes) -> AttestationRecord:
        ledger.append_attestation("alice", "inner", builder("inner"))
        pytest.fail("the writer has waited for itself")

    with pytest.raises(AssertionError, match="waits for the writer thread"):
        ledger.append_attestation("alice", "outer", reenter)
