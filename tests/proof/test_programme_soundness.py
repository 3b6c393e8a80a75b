"""What rows could overlook: whatever a book holds, the least bound is at least what the margin engine asks for.

Each test is a way in which the compiled requirement was, or could be, smaller than the engine's: a forged proof. Where several
accounts are proved together, the engine's number is that of one account at one venue that lists everything.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from riskproof.errors import ProofError, SnapshotError
from riskproof.market.registry import Kind, Payoff
from riskproof.proof.challenge import Margin, StatementKind
from riskproof.proof.programme import compile_margin, least_bound
from riskproof.proof.rows import AttestedMarket
from riskproof.risk.margining import Index, MarginMarket, MarginModel
from riskproof.risk.margining.markets import from_market
from tests.proof.programme_support import Book, Venue, asked, part_of, prove
from tests.proof.test_programme import chain, small_model


def proved(
    model: MarginModel, venues: Sequence[Venue], kind: StatementKind, margin: Margin
) -> tuple[int, tuple[str, ...]]:
    """The least bound in micros of accounts at venues, and where it is an upper bound."""
    rows = prove(model, [market for market, _ in venues], kind, margin)
    return rows.least(*(book for _, book in venues)), rows.bounds


def model_of(account: dict[str, Any], **members: Any) -> MarginModel:
    aggregate = {"account": {"equity": "value.total", "initial": "maintenance"} | account}
    if "set" in members:
        aggregate["set"] = members.pop("set")
    return small_model(aggregate=aggregate, **members)


def rates(initial: str, maintenance: str) -> dict[str, str]:
    return {"initial": initial, "maintenance": maintenance}


@pytest.fixture(scope="module")
def market() -> MarginMarket:
    return from_market(chain())


@pytest.fixture(scope="module")
def both() -> MarginMarket:
    return from_market(chain(("BTC", "ETH")))


def test_equity_has_the_charges_of_initial_margin(market: MarginMarket) -> None:
    account = {
        "equity": {"sum": ["value.total", {"mul": ["-1", "charge.haircut"]}]},
        "maintenance": "loss.all",
    }
    collateral = {"conversion": "none", "assets": {"BTC": rates("0.3", "0.1")}}
    model = model_of(account, charges=[{"id": "haircut", "kind": "haircut"}], collateral=collateral)
    book = {"BTC": 2_000, "BTC-PERP": -1_500, "USD": 10_000_000}
    for margin in Margin:
        want = asked(model, market, [book], StatementKind.EXCESS, margin)
        assert proved(model, [(market, book)], StatementKind.EXCESS, margin)[0] == want


CONSTANT = {"sum": ["loss.all", "-1000"]}


@pytest.mark.parametrize("book", [{}, {"USD": 5_000}, {"BTC-PERP": -1_500}, {"BTC-PERP": -1_500, "ETH-PERP": 700}])
@pytest.mark.parametrize("term", [CONSTANT, {"max": ["-1000", CONSTANT]}, {"max": ["1000", "loss.all"]}])
def test_a_constant_of_a_netting_set_that_is_not_held_is_no_credit(both: MarginMarket, term: Any, book: Book) -> None:
    model = model_of({"maintenance": "own"}, set={"own": term}, netting={"sets": "underlying"})
    for kind in StatementKind.MARGIN, StatementKind.EXCESS:
        got, bounds = proved(model, [(both, book)], kind, Margin.MAINTENANCE)
        want = asked(model, both, [book], kind, Margin.MAINTENANCE)
        assert got >= want
        assert got == want or any("own of " in b and "held or not" in b for b in bounds)


def test_a_constant_of_a_netting_set_is_no_equity_where_it_is_not_held(both: MarginMarket) -> None:
    model = model_of(
        {"equity": {"sum": ["value.total", "gift"]}, "maintenance": "loss.all"},
        set={"gift": "1000"},
        netting={"sets": "underlying"},
    )
    book = {"BTC-PERP": 300}
    got, _ = proved(model, [(both, book)], StatementKind.EXCESS, Margin.MAINTENANCE)
    assert got >= asked(model, both, [book], StatementKind.EXCESS, Margin.MAINTENANCE)


def test_haircuts_are_those_of_the_market_that_asks_most(both: MarginMarket) -> None:
    """Whose derivatives are held is secret, and decides which of the model's terms an asset has."""
    collateral = {
        "conversion": "none",
        "assets": {"BTC": rates("0.02", "0.01")},
        "markets": {"ETH": {"BTC": rates("0.3", "0.25")}},
    }
    charges = [{"id": "haircut", "kind": "haircut"}]
    model = model_of({"maintenance": {"sum": ["loss.all", "charge.haircut"]}}, charges=charges, collateral=collateral)
    for perpetual in ("BTC-PERP", "ETH-PERP"):
        book = {"BTC": 1_000, perpetual: -10}
        for margin in Margin:
            got, bounds = proved(model, [(both, book)], StatementKind.MARGIN, margin)
            want = asked(model, both, [book], StatementKind.MARGIN, margin)
            assert got == want if perpetual == "ETH-PERP" else got > want
            assert "BTC has the highest haircuts of the accounts that may hold it" in bounds
    # One market, and an account that holds collateral only: the engine then takes the terms of no market.
    eth = part_of(both, [x.name for x in both.listings if x.underlying != "BTC" or x.name == "BTC"])
    tighter = replace(model, collateral=replace(model.collateral, markets=()))
    assert proved(model, [(eth, {"BTC": 1_000})], StatementKind.MARGIN, Margin.INITIAL)[0] >= asked(
        tighter, eth, [{"BTC": 1_000}], StatementKind.MARGIN, Margin.INITIAL
    )


def test_collateral_that_moves_in_some_markets_only_is_refused(both: MarginMarket) -> None:
    collateral = {
        "conversion": "none",
        "assets": {"BTC": rates("0", "0")},
        "markets": {"BTC": {"BTC": {**rates("0", "0"), "moves": True}}},
    }
    model = model_of({"maintenance": "loss.all"}, collateral=collateral)
    with pytest.raises(ProofError, match="BTC takes part in price moves in some accounts only") as refused:
        proved(model, [(both, {})], StatementKind.MARGIN, Margin.MAINTENANCE)
    assert refused.value.where == "model.collateral"


@pytest.mark.parametrize("missing", ["0", "0.4", "1"])
@pytest.mark.parametrize("exposure", ["perpetual", "collateral"])
def test_the_confidence_of_the_account_s_market_is_the_least_of_all(
    both: MarginMarket, exposure: str, missing: str
) -> None:
    charge = {
        "id": "unsure",
        "kind": "confidence",
        "exposure": exposure,
        "feeds": ["market"],
        "threshold": "0.9",
        "rates": rates("1", "1"),
        "missing": missing,
    }
    model = model_of({"maintenance": {"sum": ["loss.all", "charge.unsure"]}}, charges=[charge])
    unsure = replace(both, indices={**both.indices, "ETH": Index(both.index("ETH").price, Fraction(1, 2))})
    for book in ({"ETH-PERP": 500}, {"BTC-PERP": 500}, {"BTC": 500}, {"BTC": 3, "ETH-PERP": 1, "BTC-PERP": 5}):
        got, _ = proved(model, [(unsure, book)], StatementKind.MARGIN, Margin.MAINTENANCE)
        assert got >= asked(model, unsure, [book], StatementKind.MARGIN, Margin.MAINTENANCE)


def test_a_perpetual_at_another_venue_makes_the_account_unsure(market: MarginMarket) -> None:
    charge = {
        "id": "unsure",
        "kind": "confidence",
        "exposure": "option",
        "feeds": ["perpetual"],
        "threshold": "0.9",
        "rates": rates("0.1", "0.1"),
    }
    model = model_of({"maintenance": {"sum": ["loss.all", "charge.unsure"]}}, charges=[charge])
    listings = tuple(replace(x, confidence=Fraction(x.name != "BTC-PERP")) for x in market.listings)
    market = replace(market, listings=listings)
    perpetual, others = part_of(market, ["BTC-PERP"]), part_of(market, ["BTC-SOON-95-call"])
    books: list[Book] = [{"BTC-PERP": 400}, {"BTC-SOON-95-call": -700}]
    got, _ = proved(model, list(zip((perpetual, others), books, strict=True)), StatementKind.MARGIN, Margin.INITIAL)
    assert got >= asked(model, market, books, StatementKind.MARGIN, Margin.INITIAL)


def test_a_confidence_that_is_not_published_is_refused_wherever_it_is_needed(
    market: MarginMarket, both: MarginMarket
) -> None:
    """The engine refuses such an account, so a proof must not count it as sure."""

    def model(exposure: str, feed: str) -> MarginModel:
        charge = {"id": "unsure", "kind": "confidence", "exposure": exposure, "feeds": [feed], "threshold": "0.9"}
        charges = [{**charge, "rates": rates("1", "1")}]
        return model_of({"maintenance": {"sum": ["loss.all", "charge.unsure"]}}, charges=charges)

    # One expiry at two venues, the second without a confidence of its volatilities.
    sure = replace(market, listings=tuple(replace(x, confidence=Fraction(1)) for x in market.listings))
    bare = replace(market, listings=tuple(replace(x, confidence=None) for x in market.listings))
    venues = [(part_of(sure, ["BTC-SOON-95-call"]), {}), (part_of(bare, ["BTC-SOON-95-put"]), {"BTC-SOON-95-put": -9})]
    with pytest.raises(
        SnapshotError, match=r"BTC-SOON-95-put: no confidence \(expected the oracle's confidence, 0 to 1\)"
    ):
        proved(model("option", "volatility"), venues, StatementKind.MARGIN, Margin.INITIAL)
    # Collateral in the accounts of two markets, one of them without a confidence of its index.
    known = {u: Index(both.index(u).price, None if u == "ETH" else Fraction(1)) for u in ("BTC", "ETH")}
    with pytest.raises(SnapshotError, match="index of ETH: no confidence"):
        proved(
            model("collateral", "market"),
            [(replace(both, indices={**both.indices, **known}), {"BTC": 500, "ETH-PERP": 1})],
            StatementKind.MARGIN,
            Margin.INITIAL,
        )


def options(market: MarginMarket, expiry: str) -> MarginMarket:
    return part_of(market, [x.name for x in market.listings if f"-{expiry}-" in x.name])


def test_volatility_that_cancels_between_venues_is_charged(market: MarginMarket) -> None:
    """One venue lists the near expiry and the other the far one."""
    volatility = {"shocks": {"up": {"multiply": {"amount": "0.3", "scaled": False}}}}
    charges = [{"id": "term", "kind": "vega_term", "vol": "up", "rates": rates("1", "1")}]
    model = model_of({"maintenance": {"sum": ["loss.all", "charge.term"]}}, charges=charges, volatility=volatility)
    books: list[Book] = [{"BTC-SOON-95-call": 9_000}, {"BTC-FAR-95-call": -2_500}]
    venues = [(options(market, e), book) for e, book in zip(("SOON", "FAR"), books, strict=True)]
    got, bounds = proved(model, venues, StatementKind.MARGIN, Margin.INITIAL)
    assert got >= asked(model, market, books, StatementKind.MARGIN, Margin.INITIAL)
    assert any("half of their sum" in b for b in bounds)


def days(start: int, end: int) -> dict[str, str]:
    return {"from": str(start), "to": str(end)}


def test_a_calendar_spread_counts_half_of_what_could_be_paired(market: MarginMarket) -> None:
    """Two spreads that compete for the same deltas, at one venue and with each line at its own."""
    spreads = [
        {"near": days(0, 20), "far": days(20, 200), "rates": rates("0.01", "0.02")},
        {"near": days(0, 1), "far": days(1, 20), "rates": rates("0.3", "0.1")},
    ]
    model = model_of(
        {"maintenance": "charge.spread"}, charges=[{"id": "spread", "kind": "calendar_spread", "spreads": spreads}]
    )
    futures: Book = {"BTC-PERP": 700, "BTC-FUT": -2_000}
    paired: Book = {"BTC-PERP": 1_000, "BTC-FUT": -10_000}
    alone = part_of(market, ["BTC-PERP", "BTC-SOON-95-call", "BTC-SOON-95-put"])
    for margin in Margin:
        for book in (futures, paired, futures | {"BTC-FAR-95-call": -3_000}, {"BTC-FAR-95-put": 500} | futures):
            want = asked(model, market, [book], StatementKind.MARGIN, margin)
            got, bounds = proved(model, [(market, book)], StatementKind.MARGIN, margin)
            assert got >= want > 0
            assert (got == want) == (book == paired)  # all of both lines is paired, at the highest rate of both
            assert any("half of the delta" in b for b in bounds)
            split = [{name: lots} for name, lots in book.items()]
            venues = [(part_of(market, list(b)), b) for b in split]
            assert proved(model, venues, StatementKind.MARGIN, margin)[0] >= want
        got, bounds = proved(model, [(alone, {"BTC-SOON-95-put": -900})], StatementKind.MARGIN, margin)
        assert got > 0
        assert any("half of the delta" in b for b in bounds)
        lonely = part_of(market, ["BTC-FAR-95-call", "BTC-FAR-95-put"])
        assert proved(model, [(lonely, {"BTC-FAR-95-put": -900})], StatementKind.MARGIN, margin) == (0, ())


@pytest.mark.parametrize("measure", ["net", "gross", "hedged"])
def test_the_threshold_of_a_delta_charge_is_not_had_at_every_venue(market: MarginMarket, measure: str) -> None:
    beyond = {"id": "size", "kind": "delta", "measure": measure, "rates": rates("0.5", "0.5"), "beyond": "30000"}
    model = model_of({"maintenance": "charge.size"}, charges=[beyond])
    sides = [("BTC-PERP", 300), ("BTC-PERP", 300)] if measure != "hedged" else [("BTC-PERP", 500), ("BTC-FUT", -4_000)]
    books: list[Book] = [{name: lots} for name, lots in sides]
    venues = [(market, book) for book in books]
    got, _ = proved(model, venues, StatementKind.MARGIN, Margin.INITIAL)
    assert got >= asked(model, market, books, StatementKind.MARGIN, Margin.INITIAL)
    assert asked(model, market, books, StatementKind.MARGIN, Margin.INITIAL) > sum(
        asked(model, market, [book], StatementKind.MARGIN, Margin.INITIAL) for book in books
    )


def test_inverse_contracts_are_netted_with_others_in_net_delta(market: MarginMarket) -> None:
    """N / F coins have no end in decimals: what is rounded is less than a micro, and not what cancels."""
    listings = []
    for x in market.listings:
        inverse = x.kind is Kind.FUTURE or x.kind is Kind.PERPETUAL
        listings.append(replace(x, payoff=Payoff.INVERSE, unit=Fraction(10)) if inverse else x)
    market = replace(market, listings=tuple(listings))
    charge = {"id": "size", "kind": "delta", "measure": "net", "rates": rates("0.5", "0.1")}
    model = model_of({"maintenance": "charge.size"}, charges=[charge])
    rows = prove(model, [market], StatementKind.MARGIN, Margin.INITIAL)
    assert rows.bounds == ("USDT is no collateral of the model: it counts as nothing",)
    books: list[Book] = [
        {"BTC-PERP": -9_510_000, "BTC-FUT": 9_520_000},
        {"BTC-PERP": 7, "BTC-FUT": 9_520_000, "BTC-SOON-80-call": -1_100},
        {"BTC-PERP": -(2**62), "BTC-FUT": 2**62 + 5},
    ]
    for book in books:
        want = asked(model, market, [book], StatementKind.MARGIN, Margin.INITIAL)
        assert want <= rows.least(book) <= want + 1 + max(map(abs, book.values())) // 10**7


def test_lots_and_money_of_different_exponents_are_one_book() -> None:
    """The second venue counts in tenths of the first one's lots and money."""
    model = model_of({"maintenance": {"sum": ["loss.all", {"mul": ["0.5", "value.options"]}]}})
    one, two = chain(), chain(("BTC",), 4, 7)
    made = compile_margin(
        StatementKind.MARGIN,
        Margin.MAINTENANCE,
        model,
        [AttestedMarket(one, None, (0,)), AttestedMarket(two, None, (0,))],
    )
    places = {x.name: i for i, x in enumerate(one.registry.instruments)}
    for seed in range(6):
        rng = random.Random(seed)
        book = {name: rng.randint(-30_000, 30_000) for name in ("BTC-PERP", "BTC-FUT", "BTC-SOON-95-call")}
        lots, whole = np.zeros(512, dtype=np.int64), dict[str, int]()
        for name, q in book.items():
            lots[places[name]], lots[256 + places[name]] = q, -10 * q if name != "BTC-FUT" else 10 * q
            whole[name] = 0 if name != "BTC-FUT" else 2 * q
        got = least_bound(made.lowering, lots)
        want = asked(model, from_market(one), [whole], StatementKind.MARGIN, Margin.MAINTENANCE)
        assert abs(got - want) <= 100  # an option's value is rounded to 10^-6 at one venue and to 10^-7 at the other
        assert want > 10**6


def test_a_requirement_that_no_decimal_says_and_no_node_rounds_is_refused(market: MarginMarket) -> None:
    """Coefficients on lots of either sign cannot be rounded against the account."""
    model = model_of({"maintenance": {"mul": ["1/300000000", "value.options"]}})
    with pytest.raises(ProofError, match="do not fit 64 bits") as refused:
        proved(model, [(market, {})], StatementKind.MARGIN, Margin.MAINTENANCE)
    assert refused.value.where == "margin"
