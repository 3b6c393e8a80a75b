"""Exclusive windows of one account never overlap: edges, replays, many threads at once, and after a restart."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from ledger_support import TIME, builder, registry

from riskproof.errors import AttestationError, ConflictError, EncodingError, RiskproofError, UnitError
from riskproof.store import AttestationRecord, Ledger, Pledge
from riskproof.store.schema import pledges

HELD = (TIME + 100, TIME + 200)


def at(start: int, until: int) -> tuple[int, int]:
    return TIME + start, TIME + until


def pledge(ledger: Ledger, name: str, window: tuple[int, int], account: str = "alice"):
    return ledger.append_attestation(account, name, builder(f"{account} {name}"), exclusive=window)


@pytest.mark.parametrize(
    "window", [at(99, 101), at(100, 200), at(120, 130), at(199, 300), at(0, 500), at(0, 101), at(150, 200)]
)
def test_a_window_that_overlaps_is_refused_and_the_one_in_the_way_is_named(
    ledger: Ledger, window: tuple[int, int]
) -> None:
    pledge(ledger, "far", at(5000, 6000))
    pledge(ledger, "held", HELD)
    with pytest.raises(ConflictError) as refused:
        ledger.append_attestation("alice", "other", lambda _s, _p: pytest.fail("built"), exclusive=window)
    assert type(refused.value) is ConflictError
    assert refused.value.what == f"attestation 2 of this account is exclusive from {HELD[0]} until {HELD[1]}"
    assert (refused.value.where, refused.value.expected) == ("exclusive", "a window that does not overlap it")
    assert ledger.head("alice")[0] == 2
    assert ledger.pledges("alice") == [Pledge(2, *HELD), Pledge(1, *at(5000, 6000))]


@pytest.mark.parametrize("window", [at(99, 100), at(0, 100), at(200, 201), at(200, 5000)])
def test_windows_may_touch(ledger: Ledger, window: tuple[int, int]) -> None:
    pledge(ledger, "far", at(5000, 6000))
    pledge(ledger, "held", HELD)
    stored = pledge(ledger, "other", window)
    assert (stored.sequence, stored.exclusive) == (3, window)
    assert ledger.attestation("alice", 3) == stored
    assert [(p.start, p.until) for p in ledger.pledges("alice")] == sorted([window, HELD, at(5000, 6000)])
    assert ledger.verify_integrity() == []


def test_the_first_of_several_windows_in_the_way_is_named(ledger: Ledger) -> None:
    pledge(ledger, "late", at(300, 400))
    pledge(ledger, "early", at(100, 200))
    with pytest.raises(ConflictError, match=f"attestation 2 of this account is exclusive from {TIME + 100}"):
        pledge(ledger, "both", at(150, 350))


def test_attestations_without_a_window_are_not_in_the_way(ledger: Ledger) -> None:
    assert ledger.append_attestation("alice", "a", builder("a")).exclusive is None
    pledge(ledger, "b", HELD)
    assert ledger.append_attestation("alice", "c", builder("c")).sequence == 3
    assert ledger.pledges("alice") == [Pledge(2, *HELD)]


def test_other_accounts_have_windows_of_their_own(ledger: Ledger) -> None:
    ledger.open_account("bob")
    pledge(ledger, "r", HELD)
    assert pledge(ledger, "r", HELD, "bob").sequence == 1
    assert ledger.pledges("bob") == [Pledge(1, *HELD)]


def test_a_builder_that_raises_pledges_nothing(ledger: Ledger) -> None:
    def fail(_sequence: int, _previous: bytes) -> AttestationRecord:
        raise AttestationError("the key has expired", where="key")

    with pytest.raises(AttestationError, match="the key has expired"):
        ledger.append_attestation("alice", "r", fail, exclusive=HELD)
    assert ledger.pledges("alice") == []
    assert pledge(ledger, "s", HELD).sequence == 1


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (at(5, 5), "the window is empty"),
        (at(6, 5), "the window is empty"),
        ((-1, TIME), "time is out of range"),
        ((TIME, 2**40), "time is out of range"),
    ],
)
def test_a_malformed_window_is_refused(ledger: Ledger, window: tuple[int, int], message: str) -> None:
    with pytest.raises(UnitError, match=message) as refused:
        ledger.submit_attestation("alice", "r", builder("r"), exclusive=window)
    assert refused.value.where == "exclusive"


def test_a_request_is_pledged_once_and_answered_again(ledger: Ledger) -> None:
    first = pledge(ledger, "r", HELD)
    again = ledger.append_attestation("alice", "r", lambda _s, _p: pytest.fail("built"), exclusive=HELD)
    assert again.replayed
    assert (again.digest, again.exclusive, again.sequence) == (first.digest, HELD, 1)
    assert ledger.pledges("alice") == [Pledge(1, *HELD)]


@pytest.mark.parametrize("window", [None, at(100, 201), at(300, 400)])
def test_a_request_id_for_another_window_is_a_conflict(ledger: Ledger, window: tuple[int, int] | None) -> None:
    pledge(ledger, "r", HELD)
    with pytest.raises(ConflictError, match="request id 'r' is taken by another request"):
        ledger.append_attestation("alice", "r", builder("r"), exclusive=window)
    ledger.append_attestation("alice", "plain", builder("plain"), request_digest=bytes(32))
    with pytest.raises(ConflictError, match="request id 'plain' is taken by another request"):
        ledger.append_attestation("alice", "plain", builder("x"), request_digest=bytes(32), exclusive=at(300, 400))


def test_a_window_is_held_across_restarts(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.put_registry(registry())
        ledger.open_account("alice")
        first = pledge(ledger, "r", HELD)
    with Ledger.open(url) as ledger:
        with pytest.raises(ConflictError, match="attestation 1 of this account is exclusive"):
            pledge(ledger, "s", at(199, 300))
        assert pledge(ledger, "r", HELD).digest == first.digest
        assert pledge(ledger, "t", at(200, 300)).sequence == 2


def test_of_many_threads_one_gets_the_window(ledger: Ledger) -> None:
    together = threading.Barrier(32)

    def ask(number: int) -> int | str:
        together.wait()
        try:
            return pledge(ledger, f"r{number}", at(100 + number, 200 + number)).sequence
        except ConflictError as error:
            return error.what

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    (held,) = ledger.pledges("alice")
    refusal = f"attestation 1 of this account is exclusive from {held.start} until {held.until}"
    assert sorted(answers, key=str) == sorted([1, *[refusal] * 31], key=str)
    assert ledger.verify_integrity() == []


def test_two_ledgers_on_one_database_grant_a_window_once(url: str) -> None:
    """As two processes would; on PostgreSQL their transactions run side by side."""
    with Ledger.open(url) as one, Ledger.open(url) as two:
        one.open_account("alice")
        for number in range(20):
            window = at(1000 * number, 1000 * number + 10)
            futures = [
                ledger.submit_attestation("alice", f"{number}-{name}", builder(f"{number} {name}"), exclusive=window)
                for name, ledger in (("one", one), ("two", two))
            ]
            failures = [future.exception() for future in futures]
            assert sorted(type(failure).__name__ for failure in failures) == ["ConflictError", "NoneType"]
        assert len(one.pledges("alice")) == 20
        assert one.verify_integrity() == []


def test_random_windows_against_a_list_of_them(ledger: Ledger) -> None:
    rng, held = random.Random(7), []
    for number in range(300):
        start = rng.randrange(400)
        window = at(start, start + rng.randrange(1, 12))
        free = not any(window[0] < until and start_ < window[1] for start_, until in held)
        try:
            pledge(ledger, str(number), window)
        except ConflictError:
            assert not free
        else:
            assert free
            held.append(window)
    assert [(p.start, p.until) for p in ledger.pledges("alice", limit=1000)] == sorted(held)
    assert 20 < len(held) < 280
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(sorted(held)))


def test_windows_in_pages(ledger: Ledger) -> None:
    for number in range(5):
        pledge(ledger, str(number), at(10 * number, 10 * number + 10))
    assert [p.sequence for p in ledger.pledges("alice", limit=2)] == [1, 2]
    assert [p.sequence for p in ledger.pledges("alice", after=TIME + 20, limit=2)] == [3, 4]
    assert [p.sequence for p in ledger.pledges("alice", after=TIME + 49)] == [5]
    assert ledger.pledges("alice", after=TIME + 50) == []
    with pytest.raises(RiskproofError, match="page of 0"):
        ledger.pledges("alice", limit=0)


@pytest.mark.parametrize("window", [at(199, 300), at(0, 101), at(120, 130), at(0, 500), HELD])
def test_the_database_itself_refuses_an_overlap(ledger: Ledger, window: tuple[int, int]) -> None:
    """Whatever writes, and whatever it forgot to check."""
    pledge(ledger, "r", HELD)
    ledger.append_attestation("alice", "s", builder("s"))
    row = {"account": 1, "sequence": 2, "window_from": window[0], "window_until": window[1]}
    with pytest.raises(ConflictError, match="a constraint of the ledger refused the record"):
        ledger._writer.run("alice", lambda c: c.execute(sa.insert(pledges), row))
    assert ledger.pledges("alice") == [Pledge(1, *HELD)]


@pytest.mark.parametrize("window", [at(200, 300), at(0, 100)])
def test_the_database_lets_windows_touch(ledger: Ledger, window: tuple[int, int]) -> None:
    pledge(ledger, "r", HELD)
    ledger.append_attestation("alice", "s", builder("s"))
    row = {"account": 1, "sequence": 2, "window_from": window[0], "window_until": window[1]}
    ledger._writer.run("alice", lambda c: c.execute(sa.insert(pledges), row))
    assert len(ledger.pledges("alice")) == 2


def test_malformed_ids_come_first(ledger: Ledger) -> None:
    with pytest.raises(EncodingError):
        ledger.submit_attestation("alice", "a\nb", builder("x"), exclusive=HELD)


def test_the_record_of_an_attestation_without_a_window_is_what_it_was() -> None:
    """Records of version 1 keep their digests; with a window the digest is another one."""
    from riskproof.store import GENESIS, StoredAttestation
    from riskproof.store.records import record_digest

    plain = StoredAttestation("alice", 1, "r", bytes(32), GENESIS, b"attestation", TIME)
    parts = [
        b"alice",
        (1).to_bytes(8, "little"),
        b"r",
        b"",
        bytes(32),
        GENESIS,
        TIME.to_bytes(8, "little"),
        b"attestation",
        bytes(32),
    ]
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    tag = b"riskproof/ledger-record/v1"
    assert record_digest(plain, None, bytes(32)) == hashlib.sha256(bytes([len(tag)]) + tag + framed).digest()
    exclusive = StoredAttestation("alice", 1, "r", bytes(32), GENESIS, b"attestation", TIME, HELD)
    assert record_digest(exclusive, None, bytes(32)) != record_digest(plain, None, bytes(32))
