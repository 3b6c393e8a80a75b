"""Margin of a book: exact sums, one rounding against the account, refusals, and nothing secret in a repr."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_books import EXPIRED, UNQUOTED, holdable, random_book, small_market

from riskproof.errors import (
    ModelError,
    OverflowMoneyError,
    PortfolioError,
    RegistryError,
    SnapshotError,
    UnknownInstrumentError,
)
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margin import margin_micros, micros_fraction, scaled_down
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import PortfolioRisk, evaluate
from riskproof.units import INT64_MAX, INT64_MIN, RATIO_ONE

MODEL = load_model("crypto-pm")
MARKET = small_market()
ARRAY = compute_array(MARKET, MODEL)
HOLDABLE = holdable(MARKET)


def risk(book: Portfolio, market: Market = MARKET, array: RiskArray = ARRAY) -> PortfolioRisk:
    return evaluate(market, MODEL, array, book, with_greeks=False)


def literal(book: Portfolio) -> tuple[list[int], int, int, int]:
    """P&L by scenario, requirement, and both margins in micros, straight from the definitions, as fractions."""
    entries, buffer = ARRAY.entries.tolist(), ARRAY.buffer.tolist()
    pnl = [sum(q * row[i] for i, q in book.positions) for row in entries]
    requirement = max(0, *(-x for x in pnl)) + sum(abs(q) * buffer[i] for i, q in book.positions)
    exact = Fraction(requirement, 10**ARRAY.pnl_exponent) * 10**6
    margins = [-((-exact * Fraction(f, RATIO_ONE)) // 1) for f in (MODEL.initial_factor, MODEL.maintenance_factor)]
    return pnl, requirement, int(margins[0]), int(margins[1])


def test_every_number_follows_from_its_definition() -> None:
    rng = random.Random(7)
    for most in (1, 50, 10**5, 10**9):
        for _ in range(25):
            book = random_book(rng, MARKET, rng.randint(1, len(HOLDABLE)), most)
            pnl, requirement, initial, maintenance = literal(book)
            found = risk(book)
            assert list(found.pnl) == pnl
            assert found.pnl_exponent == 9
            assert list(found.pnl_micros) == [x // 1_000 for x in pnl]
            assert found.worst_index == pnl.index(min(pnl))
            assert found.worst_id == MODEL.scenarios[found.worst_index].id
            assert found.worst_loss + found.buffer == requirement
            assert (found.initial_margin_micros, found.maintenance_margin_micros) == (initial, maintenance)
            value = sum(q * int(ARRAY.base_value[i]) for i, q in book.positions)
            assert (found.value, found.value_micros) == (value, value // 1_000)


def test_the_empty_book_needs_nothing() -> None:
    empty = risk(Portfolio(()))
    assert set(empty.pnl) == {0}
    assert empty.worst_index == 0
    assert empty.initial_margin_micros == empty.maintenance_margin_micros == empty.value_micros == 0


lots = st.integers(INT64_MIN, INT64_MAX)
books = st.dictionaries(st.sampled_from(HOLDABLE), lots, max_size=len(HOLDABLE)).map(
    lambda d: Portfolio.build(d.items())
)


@settings(max_examples=200, deadline=None)
@given(books)
def test_pnl_is_exact_for_any_lots(book: Portfolio) -> None:
    pnl, requirement, initial, maintenance = literal(book)
    fits = all(INT64_MIN <= x // 1_000 <= INT64_MAX for x in pnl) and initial <= INT64_MAX
    value = sum(q * int(ARRAY.base_value[i]) for i, q in book.positions) // 1_000
    if fits and INT64_MIN <= value <= INT64_MAX:
        found = risk(book)
        assert list(found.pnl) == pnl
        assert found.worst_loss + found.buffer == requirement
        assert (found.initial_margin_micros, found.maintenance_margin_micros) == (initial, maintenance)
    else:
        with pytest.raises(OverflowMoneyError, match="amount does not fit 64 bits in micros"):
            risk(book)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(HOLDABLE), st.integers(-(10**6), 10**6)),
    st.dictionaries(st.sampled_from(HOLDABLE), st.integers(-(10**6), 10**6)),
)
def test_arrays_add_and_margins_do_not_more_than_add(a: dict[int, int], b: dict[int, int]) -> None:
    both = {i: a.get(i, 0) + b.get(i, 0) for i in {*a, *b}}
    parts = [risk(Portfolio.build(x.items())) for x in (a, b)]
    whole = risk(Portfolio.build(both.items()))
    assert list(whole.pnl) == [x + y for x, y in zip(parts[0].pnl, parts[1].pnl, strict=True)]
    assert whole.value == parts[0].value + parts[1].value
    # Worst loss and buffer are convex and homogeneous: netting never costs, splitting never helps.
    assert whole.worst_loss + whole.buffer <= sum(p.worst_loss + p.buffer for p in parts)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(HOLDABLE), st.integers(-(10**6), 10**6)), st.integers(1, 1_000))
def test_requirement_is_homogeneous_and_never_negative(held: dict[int, int], times: int) -> None:
    one = risk(Portfolio.build(held.items()))
    many = risk(Portfolio.build((i, q * times) for i, q in held.items()))
    assert many.worst_loss + many.buffer == times * (one.worst_loss + one.buffer)
    assert many.worst_index == one.worst_index
    assert one.maintenance_margin_micros >= 0
    assert one.initial_margin_micros >= one.maintenance_margin_micros


def test_a_hedge_offsets_what_it_hedges() -> None:
    registry = MARKET.registry
    # 9.5 contracts of 10 USD against a thousandth of a coin: delta-neutral to the first order, and both are inverse in price.
    put, call = registry.index_of("BTC-SOON-90000-P"), registry.index_of("BTC-SOON-90000-C")
    coin = registry.index_of("BTC")
    short_call = risk(Portfolio.build([(call, -1_000)]))
    covered = risk(Portfolio.build([(call, -1_000), (coin, 1_000)]))
    collar = risk(Portfolio.build([(call, -1_000), (coin, 1_000), (put, 1_000)]))
    assert covered.worst_loss < short_call.worst_loss * 2
    assert collar.worst_loss < covered.worst_loss / 50  # a conversion: a synthetic forward against the coin
    assert collar.buffer > covered.buffer


def test_ties_name_the_first_scenario() -> None:
    registry = MARKET.registry
    book = Portfolio.build([(registry.index_of("BTC"), 1)])  # volatility does not matter to a coin
    found = risk(book)
    losses = [i for i, x in enumerate(found.pnl) if x == min(found.pnl)]
    assert len(losses) == 3
    assert found.worst_index == losses[0]
    still = risk(Portfolio.build([(registry.index_of("USDC"), 5)]))
    assert (still.worst_index, still.worst_loss) == (0, 0)
    assert still.maintenance_margin_micros == 5  # 5 thousandths of 0.1 % of a coin, rounded up: the buffer


def test_amounts_round_once_against_the_account() -> None:
    market = small_market(quantity_exponent=12)
    array = compute_array(market, MODEL)
    coin = market.registry.index_of("BTC")
    for lots_held in (1, -1):
        found = risk(Portfolio(((coin, lots_held),)), market, array)
        assert found.pnl_exponent == 18
        assert set(found.pnl_micros) == {-1, 0}
        assert all(m == (-1 if x < 0 else 0) for m, x in zip(found.pnl_micros, found.pnl, strict=True))
        assert found.initial_margin_micros == found.maintenance_margin_micros == 1
        assert found.value_micros == (0 if lots_held > 0 else -1)
    fine = risk(Portfolio(((coin, 10**12),)), market, array)
    assert fine.maintenance_margin_micros == -(min(fine.pnl_micros)) + int(array.buffer[coin])


def test_charges_add_up_to_the_maintenance_margin() -> None:
    book = random_book(random.Random(3), MARKET, 6, 10**4)
    found, document = risk(book), risk(book).charges_document()
    total = document["worst_loss_micros"] + document["buffer_micros"]
    assert total - 1 <= found.maintenance_margin_micros <= total
    assert found.greeks_document() is None


def test_an_unpriced_holding_is_refused_by_name_without_its_size() -> None:
    index = MARKET.registry.index_of(UNQUOTED)
    with pytest.raises(PortfolioError, match=f"{UNQUOTED}: the snapshot does not price this holding") as caught:
        risk(Portfolio(((index, 77_123),)))
    assert "77" not in str(caught.value)


def test_an_expired_holding_is_worth_nothing() -> None:
    book = random_book(random.Random(4), MARKET, 3, 100)
    expired = MARKET.registry.index_of(EXPIRED)
    without = Portfolio.build((i, q) for i, q in book.positions if i != expired)
    with_it = Portfolio.build([*without.positions, (expired, -5_000)])
    assert risk(with_it) == risk(without)


def test_positions_outside_the_registry_are_refused() -> None:
    with pytest.raises(UnknownInstrumentError, match=f"no instrument at index {len(MARKET.registry)}"):
        risk(Portfolio(((len(MARKET.registry), 1),)))
    with pytest.raises(UnknownInstrumentError, match="no instrument at index -1"):
        evaluate(MARKET, MODEL, ARRAY, _unchecked(((-1, 1),)))


def _unchecked(positions: tuple[tuple[int, int], ...]) -> Portfolio:
    book = object.__new__(Portfolio)
    object.__setattr__(book, "positions", positions)
    return book


def test_an_array_of_another_market_or_model_is_refused() -> None:
    book = Portfolio(())
    other_registry = small_market(quantity_exponent=4)
    other_snapshot = small_market(indices={"USDC": 999_900_000})
    other_model = RiskModel.from_document(MODEL.to_document() | {"name": "other"})
    with pytest.raises(RegistryError, match="computed for another registry version"):
        evaluate(other_registry, MODEL, ARRAY, book)
    with pytest.raises(SnapshotError, match="computed for another snapshot"):
        evaluate(other_snapshot, MODEL, ARRAY, book)
    with pytest.raises(ModelError, match="computed under another model"):
        evaluate(MARKET, other_model, ARRAY, book)


def test_reprs_hide_the_book() -> None:
    book = Portfolio(((2, 123_456),))
    found = evaluate(MARKET, MODEL, ARRAY, book)
    assert repr(found) == f"PortfolioRisk(<{len(MODEL.scenarios)} scenarios>)"
    assert repr(found.greeks) == "PortfolioGreeks(<1 underlyings>)"
    assert found.greeks is not None
    assert repr(found.greeks.total) == "NetGreeks(<hidden>)"
    for digits in ("123", "456"):
        assert digits not in repr(found)


def test_margin_micros_rounds_up_and_overflows_loudly() -> None:
    assert margin_micros(1, 9, RATIO_ONE, "x") == 1
    assert margin_micros(800, 9, 5 * RATIO_ONE // 4, "x") == 1
    assert margin_micros(801, 9, 5 * RATIO_ONE // 4, "x") == 2
    assert margin_micros(3, 0, 5 * RATIO_ONE // 4, "x") == 3_750_000
    with pytest.raises(OverflowMoneyError, match="x: amount does not fit 64 bits in micros"):
        margin_micros(2**63, 6, RATIO_ONE, "x")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(INT64_MIN, INT64_MAX), min_size=1), st.integers(0, 27), st.integers(1, 100 * RATIO_ONE))
def test_scaled_down_is_exact_where_it_answers(amounts: list[int], exponent: int, factor: int) -> None:
    p, q = fraction = micros_fraction(exponent, factor)
    down, fits = scaled_down(np.array(amounts, dtype=np.int64), fraction)
    for amount, found, good in zip(amounts, down.tolist(), fits.tolist(), strict=True):
        assert found == (amount * p // q if good else 0)
        assert good == (abs(amount) <= INT64_MAX // p)
