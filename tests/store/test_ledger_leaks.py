"""What answers have told: charged before they leave, once for the same question, never more than the budget."""

from __future__ import annotations

import hashlib
import threading

import pytest
from ledger_support import TIME

from riskproof.errors import EncodingError, LeakBudgetError, NotFoundError, StoreError, UnitError
from riskproof.proof.leakage import WINDOW_SECONDS, Event, Record
from riskproof.store import Ledger


def name(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def event(
    subject: str, points: int = 1, *, account: str = "alice", audience: str = "lender", book: str = "book"
) -> Event:
    return Event(name(account), name(audience), name(book), name(subject), points)


def charge(ledger: Ledger, *events: Event, account: str = "alice", now: int = TIME, limit: int = 10) -> int:
    return ledger.charge_leaks(account, events, now=now, limit=limit)


def told(ledger: Ledger, account: str = "alice", audience: str = "lender") -> list[Record]:
    return ledger.leaks(account, name(account), [name(audience)])


def test_what_is_told_is_recorded_once(ledger: Ledger) -> None:
    assert charge(ledger, event("a", 3), event("b", 2)) == 5
    assert charge(ledger, event("a", 3), event("c", 1)) == 1
    assert charge(ledger, event("a", 3)) == 0
    assert told(ledger) == [Record(e, TIME) for e in (event("a", 3), event("b", 2), event("c", 1))]
    assert ledger.verify_integrity() == []


def test_a_full_budget_refuses_and_records_nothing(ledger: Ledger) -> None:
    charge(ledger, event("a", 8))
    with pytest.raises(LeakBudgetError, match="costs 3 of 10 points and 2 are left"):
        charge(ledger, event("b", 1), event("c", 2))
    assert len(told(ledger)) == 1
    assert charge(ledger, event("a", 8), event("b", 1)) == 1


def test_accounts_and_audiences_have_budgets_of_their_own(ledger: Ledger) -> None:
    ledger.open_account("bob")
    charge(ledger, event("a", 10))
    assert charge(ledger, event("a", 10, audience="fund")) == 10
    assert charge(ledger, event("a", 10, account="bob"), account="bob") == 10
    assert [len(told(ledger)), len(told(ledger, audience="fund")), len(told(ledger, "bob"))] == [1, 1, 1]


def test_time_and_a_changed_book_make_room(ledger: Ledger) -> None:
    charge(ledger, event("a", 10))
    with pytest.raises(LeakBudgetError):
        charge(ledger, event("b", book="changed"), now=TIME + WINDOW_SECONDS - 1)
    with pytest.raises(LeakBudgetError, match="a book that has changed"):
        charge(ledger, event("b"), now=TIME + WINDOW_SECONDS)
    assert charge(ledger, event("b", book="changed"), now=TIME + WINDOW_SECONDS) == 1


def test_budgets_survive_a_restart(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.open_account("alice")
        charge(ledger, event("a", 9))
    with Ledger.open(url) as ledger:
        with pytest.raises(LeakBudgetError, match="1 are left"):
            charge(ledger, event("b", 2))
        assert charge(ledger, event("a", 9)) == 0


def test_many_at_a_time_do_not_spend_more_than_there_is(ledger: Ledger) -> None:
    paid: list[int] = []

    def spend(number: int) -> None:
        for i in range(10):
            try:
                paid.append(charge(ledger, event(f"{number} {i}")))
            except LeakBudgetError:
                paid.append(0)

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paid) == 80
    assert sum(paid) == 10 == len(told(ledger))
    assert ledger.verify_integrity() == []


def test_what_is_malformed_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="no account 'eve'"):
        charge(ledger, event("a"), account="eve")
    with pytest.raises(EncodingError):
        charge(ledger, event("a"), account="")
    with pytest.raises(UnitError):
        charge(ledger, event("a"), now=-1)
    with pytest.raises(AssertionError, match="events of one account"):
        charge(ledger, event("a"), event("a", account="bob"))
    with pytest.raises(AssertionError, match="events of one account"):
        charge(ledger)
    assert told(ledger) == []


def test_nothing_is_charged_after_closing(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.open_account("alice")
    with pytest.raises(StoreError, match="the ledger is closed"):
        charge(ledger, event("a"))
