from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_support import TIME, registry, url_of

from riskproof.errors import (
    ConflictError,
    EncodingError,
    NotFoundError,
    PortfolioError,
    UnitError,
    UnknownInstrumentError,
)
from riskproof.market.portfolio import Portfolio
from riskproof.store import Ledger, TradeReceipt

MAX = 2**63 - 1


def test_an_account_is_opened_once(ledger: Ledger) -> None:
    record = ledger.account("alice")
    assert len(record.secret) == 32
    assert ledger.open_account("alice") == record
    assert ledger.open_account("bob").secret != record.secret
    assert ledger.accounts(10) == ["alice", "bob"]
    assert ledger.accounts(10, after="alice") == ["bob"]
    assert ledger.open_accounts(f"c{i}" for i in range(1200)) == 1200
    assert ledger.open_accounts(["alice", "new"]) == 1
    assert ledger.account("alice") == record


def test_the_secret_is_not_in_the_repr(ledger: Ledger) -> None:
    record = ledger.account("alice")
    assert record.secret.hex() not in repr(record)
    assert "secret" not in repr(record)


@pytest.mark.parametrize("name", ["", "x" * 129, "line\nbreak", "nul\x00", "\ud800"])
def test_ids_are_printable_and_short(ledger: Ledger, name: str) -> None:
    for call in (
        lambda: ledger.open_account(name),
        lambda: ledger.record_trades(name, "t", [(0, 1)], TIME),
        lambda: ledger.record_trades("alice", name, [(0, 1)], TIME),
        lambda: ledger.append_attestation("alice", name, lambda _s, _p: pytest.fail("built")),
    ):
        with pytest.raises(EncodingError):
            call()


def test_trades_add_up_to_positions(ledger: Ledger) -> None:
    assert ledger.positions("alice") == (0, Portfolio(()))
    assert ledger.record_trades("alice", "1", [(2, -5), (0, 7)], TIME) == TradeReceipt("alice", "1", 1, replayed=False)
    assert ledger.record_trades("alice", "2", [(0, 3), (1, MAX)], TIME).position_version == 2
    assert ledger.positions("alice") == (2, Portfolio(((0, 10), (1, MAX), (2, -5))))
    ledger.record_trades("alice", "3", [(2, 5), (0, -20)], TIME)
    assert ledger.positions("alice") == (3, Portfolio(((0, -10), (1, MAX))))


def test_the_same_trade_again_gets_the_first_answer(ledger: Ledger) -> None:
    ledger.record_trades("alice", "1", [(0, 7), (2, -5)], TIME)
    ledger.record_trades("alice", "2", [(0, 1)], TIME)
    again = ledger.record_trades("alice", "1", [(2, -5), (0, 7)], TIME + 99)
    assert again == TradeReceipt("alice", "1", 1, replayed=True)
    assert ledger.positions("alice") == (2, Portfolio(((0, 8), (2, -5))))


def test_a_trade_id_with_other_legs_is_a_conflict(ledger: Ledger) -> None:
    ledger.record_trades("alice", "1", [(0, 7)], TIME)
    with pytest.raises(ConflictError, match="trade id '1' is taken by a trade with other legs"):
        ledger.record_trades("alice", "1", [(0, 8)], TIME)
    ledger.open_account("bob")
    assert not ledger.record_trades("bob", "1", [(0, 8)], TIME).replayed  # another account's ids are its own
    assert ledger.positions("alice") == (1, Portfolio(((0, 7),)))


@pytest.mark.parametrize(
    ("legs", "error", "message"),
    [
        ([], PortfolioError, "without legs"),
        ([(0, 1), (0, 2)], PortfolioError, "instrument 0 is twice"),
        ([(1, 0)], PortfolioError, "zero lots in instrument 1"),
        ([(-1, 5)], PortfolioError, "index -1 is out of range"),
        ([(65_536, 5)], PortfolioError, "index 65536 is out of range"),
        ([(0, 2**63)], UnitError, "64-bit"),
        ([(0, 1), (4, 1)], UnknownInstrumentError, "no instrument at index 4"),
    ],
)
def test_malformed_legs_are_refused_whole(ledger: Ledger, legs: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        ledger.record_trades("alice", "1", legs, TIME)
    assert ledger.positions("alice") == (0, Portfolio(()))


def test_a_time_out_of_range_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UnitError, match="time is out of range"):
        ledger.record_trades("alice", "1", [(0, 1)], -1)


def test_an_unknown_account_is_not_found(ledger: Ledger) -> None:
    for call in (
        lambda: ledger.record_trades("carol", "1", [(0, 1)], TIME),
        lambda: ledger.positions("carol"),
        lambda: ledger.account("carol"),
        lambda: ledger.head("carol"),
        lambda: ledger.opening("carol", 1),
        lambda: ledger.list_attestations("carol"),
        lambda: ledger.append_attestation("carol", "r", lambda _s, _p: pytest.fail("built")),
    ):
        with pytest.raises(NotFoundError, match="no account 'carol'"):
            call()


@pytest.mark.parametrize(("held", "delta"), [(MAX, 1), (-MAX - 1, -1)])
def test_a_position_beyond_64_bits_is_refused_with_all_its_legs(ledger: Ledger, held: int, delta: int) -> None:
    ledger.record_trades("alice", "1", [(1, held)], TIME)
    with pytest.raises(PortfolioError, match="position in instrument 1 would not fit 64 bits"):
        ledger.record_trades("alice", "2", [(0, 5), (1, delta)], TIME)
    assert ledger.positions("alice") == (1, Portfolio(((1, held),)))
    assert ledger.record_trades("alice", "2", [(0, 5)], TIME).position_version == 2  # the refused id is free


def test_a_trade_waits_for_its_instrument_to_be_listed(ledger: Ledger) -> None:
    with pytest.raises(UnknownInstrumentError):
        ledger.record_trades("alice", "1", [(5, 1)], TIME)
    ledger.put_registry(registry(6))
    assert ledger.record_trades("alice", "1", [(5, 1)], TIME).position_version == 1


def test_positions_can_be_written_anew_from_trades(ledger: Ledger) -> None:
    for number in range(20):
        ledger.record_trades("alice", str(number), [(0, 2), (number % 3 + 1, -number - 1)], TIME)
    before = ledger.positions("alice")
    assert ledger.rebuild_positions("alice") == 20
    assert ledger.positions("alice") == before


LEGS = st.dictionaries(
    st.integers(0, 3), st.integers(-(2**63), MAX).filter(bool) | st.integers(-3, 3).filter(bool), min_size=1
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123456"), LEGS), max_size=25))
def test_the_ledger_agrees_with_a_dictionary(tmp_path_factory: pytest.TempPathFactory, sent: list) -> None:
    path: Path = tmp_path_factory.mktemp("ledger") / "l.db"
    books: dict[str, dict[int, int]] = {"a": {}, "b": {}}
    known: dict[str, dict[str, tuple[int, dict]]] = {"a": {}, "b": {}}
    with Ledger.open(url_of(path)) as ledger:
        ledger.put_registry(registry())
        ledger.open_accounts("ab")
        futures = [(*one, ledger.submit_trades(one[0], one[1], list(one[2].items()), TIME)) for one in sent]
        for account, trade_id, legs, future in futures:
            moved = {i: books[account].get(i, 0) + lots for i, lots in legs.items()}
            if trade_id in known[account]:
                version, first = known[account][trade_id]
                if first == legs:
                    assert future.result() == TradeReceipt(account, trade_id, version, replayed=True)
                else:
                    assert isinstance(future.exception(), ConflictError)
            elif any(not -(2**63) <= lots <= MAX for lots in moved.values()):
                assert isinstance(future.exception(), PortfolioError)
            else:
                books[account].update(moved)
                known[account][trade_id] = (len(known[account]) + 1, legs)
                assert future.result() == TradeReceipt(account, trade_id, len(known[account]), replayed=False)
        for account, book in books.items():
            assert ledger.positions(account) == (len(known[account]), Portfolio.build(book.items()))
        assert ledger.verify_integrity() == []
