"""Charges by size, of closing, between currencies and of a scope as rows: the engine's number where the verdict says so."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from riskproof.market.registry import Kind, Payoff
from riskproof.proof.challenge import Margin, StatementKind
from riskproof.risk.margining import MarginMarket, MarginModel
from riskproof.risk.margining.markets import from_market
from tests.proof.programme_support import Book, Proved, asked, part_of, prove
from tests.proof.random_models import EXPOSURES, random_books
from tests.proof.test_programme import chain, maintenance

RATES = {"initial": "0", "maintenance": "0.013"}
TIERS = [
    {"beyond": "0", "rates": RATES},
    {"beyond": "90000", "rates": {"initial": "0", "maintenance": "0.02"}},
    {"beyond": "2500000", "rates": {"initial": "0", "maintenance": "1/3"}},
]
FEE = {"kind": "fee", "rates": RATES, "kinds": ["spot", "perpetual", "future", "option"]}
HEDGE = {"kind": "stablecoin_hedge", "rates": RATES}
COLLATERAL = {"conversion": "none", "assets": {}, "other": {"initial": "0.1", "maintenance": "0.05"}}


def market() -> MarginMarket:
    """Two underlyings, with an inverse perpetual, and contracts settled in two other currencies."""
    exact = from_market(chain(("BTC", "ETH")))
    listings = list(exact.listings)
    for x in exact.listings:
        if x.kind is Kind.PERPETUAL:
            listings.append(replace(x, name=f"{x.name}-INVERSE", payoff=Payoff.INVERSE))
            listings += [replace(x, name=f"{x.name}-{coin}", settlement=coin) for coin in ("USDC", "USDT")]
        elif x.kind is Kind.OPTION and "SOON-95" in x.name:
            listings.append(replace(x, name=f"{x.name}-USDC", settlement="USDC"))
    return replace(exact, listings=tuple(listings))


MARKET = market()


def model(charge: dict[str, Any]) -> MarginModel:
    return maintenance("charge.x", charges=[{"id": "x", **charge}], collateral=COLLATERAL)


def rows(charge: dict[str, Any], *venues: MarginMarket) -> Proved:
    return prove(model(charge), venues or (MARKET,), StatementKind.MARGIN, Margin.MAINTENANCE)


def needed(charge: dict[str, Any], *books: Book) -> int:
    return asked(model(charge), MARKET, books, StatementKind.MARGIN, Margin.MAINTENANCE)


def some_books(count: int) -> list[Book]:
    rng = random.Random(5)
    return [random_books(rng, MARKET, most=10**5) for _ in range(count)]


EXACT: dict[str, dict[str, Any]] = {
    **{f"tiers of {kind}": {"kind": "liquidity_tier", "exposure": kind, "tiers": TIERS} for kind in EXPOSURES},
    "fee": FEE,
    "fee with a cap": FEE | {"cap": "0.125"},
    "tiers of some": {
        "kind": "liquidity_tier",
        "exposure": "perpetual",
        "tiers": TIERS,
        "scope": {"underlyings": {"not_in": ["BTC"]}},
    },
    "fee of some": FEE | {"scope": {"kinds": ["future", "option"]}},
    "net delta of some": {
        "kind": "delta",
        "measure": "net",
        "beyond": "1000",
        "rates": RATES,
        "scope": {"kinds": ["future", "perpetual"], "underlyings": {"in": ["BTC"]}},
    },
}


@pytest.mark.parametrize("name", EXACT)
def test_the_least_bound_is_the_engines_number(name: str) -> None:
    made = rows(EXACT[name])
    assert made.bounds == ()
    found = set()
    for book in some_books(30):
        want = needed(EXACT[name], book)
        got = made.least(book)
        assert 0 <= got - want <= 2, book
        assert min(made.slacks(got, book)) >= 0 > min(made.slacks(got - 1, book))
        found.add(want)
    assert len(found) > 5


@pytest.mark.parametrize("name", ["tiers of perpetual", "fee with a cap", "tiers of some"])
def test_a_linear_programming_solver_finds_the_same_optimum(name: str) -> None:
    made = rows(EXACT[name])
    for book in some_books(4):
        assert made.optimum(book) == pytest.approx(made.least(book) / 10**6, rel=1e-6, abs=2e-6)


def test_a_tier_begins_once_over_several_attestations() -> None:
    charge = EXACT["tiers of perpetual"]
    venues = [part_of(MARKET, ["USD", "BTC-PERP", "ETH-PERP"]), part_of(MARKET, ["USD", "BTC-PERP"])]
    made = rows(charge, *venues)
    for one, other in ((20, 7), (-900, -2_000), (26_000, 30_000)):
        books: list[Book] = [{"BTC-PERP": one, "ETH-PERP": -5_000}, {"BTC-PERP": other}]
        together, apart = needed(charge, *books), sum(needed(charge, b) for b in books)
        assert 0 <= made.least(*books) - together <= 2
        assert together >= apart - 1  # each of the two is rounded up
        assert (together > apart) == (abs(one) > 20)
    # What one account has long and the other short is closed twice.
    assert (
        made.least({"BTC-PERP": 900}, {"BTC-PERP": -900}) > needed(charge, {"BTC-PERP": 900}, {"BTC-PERP": -900}) == 0
    )


def test_a_stablecoin_hedge_counts_half_of_both_sides() -> None:
    made = rows(HEDGE)
    assert made.bounds == ("charge x: the smaller side is not convex: half of the delta in every currency counts",)
    price = 95_090_620  # micros for a lot of a thousandth of a coin
    book: Book = {"BTC-PERP": 4_000, "BTC-PERP-USDC": -1_000, "BTC-PERP-USDT": -2_000}
    assert needed(HEDGE, book) == 3_000 * price * 13 // 1000
    assert 0 <= made.least(book) - 7_000 * price * 13 // 2000 <= 2
    even: Book = {"BTC-PERP": 4_000, "BTC-PERP-USDC": -4_000}
    assert 0 <= made.least(even) - needed(HEDGE, even) <= 2
    assert all(made.least(b) >= needed(HEDGE, b) for b in some_books(30))


def test_contracts_in_one_currency_hedge_nothing_in_another() -> None:
    one = part_of(MARKET, ["USD", "BTC-PERP", "BTC-FUT", "BTC-PERP-INVERSE", "ETH-PERP-USDC"])
    made = rows(HEDGE, one)
    assert made.bounds == ()
    assert made.least({"BTC-PERP": 5, "BTC-FUT": -3, "BTC-PERP-INVERSE": 7, "ETH-PERP-USDC": -9}) == 0
    # Another venue's contract in another currency counts.
    other = part_of(MARKET, ["USD", "BTC-PERP-USDC"])
    assert rows(HEDGE, one, other).least({"BTC-PERP": 5}, {"BTC-PERP-USDC": -5}) >= needed(
        HEDGE, {"BTC-PERP": 5}, {"BTC-PERP-USDC": -5}
    )


def test_without_a_rate_nothing_is_charged_and_nothing_is_said() -> None:
    free = {"initial": "0", "maintenance": "0"}
    for charge in (HEDGE, FEE, {"kind": "liquidity_tier", "exposure": "option", "tiers": [{"beyond": "1"}]}):
        own: dict[str, Any] = {**charge, "rates": free}
        if "tiers" in charge:
            own = {**charge, "tiers": [{"beyond": "1", "rates": free}]}
        made = rows(own)
        assert (made.bounds, made.least({"BTC-PERP": 5, "BTC-PERP-USDC": -5})) == ((), 0)
