"""Margin requirements as rows: the least bound equals the margin engine's number, a linear-programming solver agrees, and what is
not convex is bounded from above or refused."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from riskproof.errors import PortfolioError, ProofError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.proof.challenge import Margin, StatementKind
from riskproof.proof.programme import CompiledMargin, compile_margin, least_bound, version2
from riskproof.proof.rows import AttestedMarket
from riskproof.risk.arrays import compute_array
from riskproof.risk.margining import (
    AnyModel,
    MarginModel,
    load,
    margin,
    names,
)
from riskproof.risk.margining.markets import from_market
from riskproof.risk.model import RiskModel
from riskproof.units import PRICE_ONE
from tests.proof import programme_support

TIME, DAY = 1_767_603_600, 86_400
SOON, FAR = TIME + 9 * DAY, TIME + 100 * DAY
KINDS = (StatementKind.MARGIN, StatementKind.EXCESS)


@cache
def chain(underlyings: tuple[str, ...] = ("BTC",), quantity_exponent: int = 3, money_exponent: int = 6) -> Market:
    """Options of two expiries and three strikes, a perpetual, a future, collateral and cash, for each underlying."""
    instruments = [
        Instrument("USD", Kind.SPOT, "USD", Payoff.LINEAR, PRICE_ONE),
        Instrument("USDT", Kind.SPOT, "USDT", Payoff.LINEAR, PRICE_ONE),
    ]
    quotes = {"USD": Quote(PRICE_ONE), "USDT": Quote(999_130_000)}
    curves, indices = [], {"USD": PRICE_ONE, "USDT": 999_130_000}
    for u in underlyings:
        spot = {"BTC": 95_090_620_000_000, "ETH": 3_329_170_000_000}[u]
        indices[u] = spot
        instruments += [
            Instrument(u, Kind.SPOT, u, Payoff.LINEAR, PRICE_ONE),
            Instrument(f"{u}-PERP", Kind.PERPETUAL, u, Payoff.LINEAR, PRICE_ONE),
            Instrument(f"{u}-FUT", Kind.FUTURE, u, Payoff.LINEAR, PRICE_ONE // 10, SOON),
        ]
        quotes |= {u: Quote(spot), f"{u}-PERP": Quote(spot + 17_500_000_000), f"{u}-FUT": Quote(spot * 1002 // 1000)}
        for expiry, name, vol in ((SOON, "SOON", 451_000_000_000), (FAR, "FAR", 523_500_000_000)):
            curves.append(Curve(u, expiry, spot * (1002 if expiry == SOON else 1011) // 1000, 31_000_000_000))
            for strike in (80, 95, 120):
                for side in OptionType:
                    k = f"{u}-{name}-{strike}-{side.value}"
                    at = spot * strike // 95
                    instruments.append(Instrument(k, Kind.OPTION, u, Payoff.LINEAR, PRICE_ONE, expiry, at, side))
                    quotes[k] = Quote(None, vol + 1_000_000_000 * strike)
    registry = Registry("USD", tuple(instruments), money_exponent, quantity_exponent)
    return Market(registry, Snapshot.build(registry, TIME, "test", indices, curves, quotes))


def attested(model: AnyModel, *markets: Market) -> list[AttestedMarket]:
    return [AttestedMarket(m, compute_array(m, model) if isinstance(model, RiskModel) else None, (0,)) for m in markets]


@cache
def compiled(name: str, kind: StatementKind, requirement: Margin) -> CompiledMargin:
    model = load(name)
    return compile_margin(kind, requirement, model, attested(model, chain()))


def random_book(market: Market, seed: int, *, only: str = "") -> Portfolio:
    """Some of everything, collateral held and not owed; every third book without other assets than cash."""
    rng, lots = random.Random(seed), {}
    for i, x in enumerate(market.registry.instruments):
        if rng.random() < 0.5 and x.underlying in ("USD", "USDT", *([only] if only else ["BTC", "ETH"])):
            q = rng.randint(-90_000, 90_000)
            if x.kind is Kind.SPOT and x.underlying != "USD":
                q = abs(q) if seed % 3 else 0
            if q:
                lots[i] = q
    return Portfolio(tuple(sorted(lots.items())))


def dense(book: Portfolio, columns: int = 1) -> Any:
    lots = np.zeros(256 * columns, dtype=np.int64)
    for i, q in book.positions:
        lots[i] = q
    return lots


def asked(model: AnyModel, market: Market, book: Portfolio, kind: StatementKind, requirement: Margin) -> int:
    """The engine's number in micros, rounded up."""
    report = margin(model, market, book)
    amount = report.initial if requirement is Margin.INITIAL else report.maintenance
    amount -= report.equity if kind is StatementKind.EXCESS else 0
    return -((-amount * 10**6) // 1)


def optimum(rows: CompiledMargin, lots: Any) -> float:
    """The least bound in the numeraire by a linear-programming solver."""
    return programme_support.optimum(rows.lowering, lots)


PROVABLE = tuple(names())


@pytest.mark.parametrize("name", PROVABLE)
@pytest.mark.parametrize("requirement", Margin)
@pytest.mark.parametrize("kind", KINDS)
def test_the_least_bound_is_the_engines_number_or_above_it_where_a_credit_is_bounded(
    name: str, requirement: Margin, kind: StatementKind
) -> None:
    model, rows = load(name), compiled(name, kind, requirement)
    rows.rows(10**12).check(rows.bits(None))
    compared = equal = 0
    for seed in range(40):
        book = random_book(chain(), seed)
        try:
            want = asked(model, chain(), book, kind, requirement)
        except PortfolioError:  # the model takes no such collateral
            continue
        got = least_bound(rows.lowering, dense(book))
        assert got >= want
        compared, equal = compared + 1, equal + (got == want)
    assert compared >= 10
    approximate = [b for b in rows.bounds if "no collateral" not in b]
    assert approximate or equal == compared
    if name in ("crypto-pm", "derive-pm1", "derive-pm2", "isolated", "cross"):
        assert equal == compared


@pytest.mark.parametrize("name", PROVABLE)
def test_a_linear_programming_solver_finds_the_same_optimum(name: str) -> None:
    rows = compiled(name, StatementKind.EXCESS, Margin.INITIAL)
    for seed in range(0, 30, 3):
        lots = dense(random_book(chain(), seed))
        least = least_bound(rows.lowering, lots) / 10**6
        assert optimum(rows, lots) == pytest.approx(least, rel=1e-8, abs=2e-3)


@pytest.mark.parametrize("name", PROVABLE)
def test_the_least_auxiliaries_satisfy_every_row_and_one_micro_less_does_not(name: str) -> None:
    rows = compiled(name, StatementKind.MARGIN, Margin.INITIAL)
    for seed in range(0, 12, 3):
        lots = dense(random_book(chain(), seed))
        bound = least_bound(rows.lowering, lots)
        assert min(slacks(rows, lots, bound)) >= 0
        assert min(slacks(rows, lots, bound - 1)) < 0
        values = rows.auxiliary(lots)
        assert min(values, default=0) >= 0
        assert max(values, default=0) < 1 << rows.bits(None)


def slacks(rows: CompiledMargin, lots: Any, bound: int) -> list[int]:
    """Every slack from the arrays that the proof is made of."""
    made, values = rows.rows(bound), rows.auxiliary(lots)
    return [
        made.constants[r]
        + sum(int(lots[i]) * int(made.positions[i, r]) for i in np.flatnonzero(made.positions[:, r]))
        + sum(values[i] * int(made.auxiliary[i, r]) for i in np.flatnonzero(made.auxiliary[:, r]))
        for r in range(made.count)
    ]


# ---- blocks that no shipped model has --------------------------------------------------------------------------------


def small_model(**members: Any) -> MarginModel:
    """A model with nothing but an aggregate; `members` replace blocks."""
    document: dict[str, Any] = {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "for a test",
        "checked": "by a test",
        "grid": {"scenarios": [{"id": "down", "price": "-0.1"}, {"id": "up", "price": "0.1"}]},
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": {"sets": "account"},
        "charges": [],
        "aggregate": {"account": {"equity": "value.total", "initial": "maintenance", "maintenance": "loss.all"}},
        "collateral": {"conversion": "none", "assets": {"BTC": {"initial": "0", "maintenance": "0", "moves": True}}},
        "rounding": {n: {"decimals": 6, "direction": "up"} for n in ("requirement", "value")},
        "limits": {"legs": 100, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 31_622_400},
    }
    return MarginModel.from_document(document | members)


def maintenance(value: Any, **members: Any) -> MarginModel:
    account = {"equity": "value.total", "initial": "maintenance", "maintenance": value}
    return small_model(aggregate={"account": account}, **members)


def rows_of(model: MarginModel) -> CompiledMargin:
    return compile_margin(StatementKind.MARGIN, Margin.MAINTENANCE, model, attested(model, chain()))


def paths(kind: str) -> dict[str, Any]:
    correlation = {
        "schema": "riskproof/correlation/v1",
        "name": "pair",
        "description": "a pair",
        "horizon_days": 1,
        "factors": [{"underlying": "BTC", "tenor_days": 0}, {"underlying": "BTC", "tenor_days": 30}],
        "volatilities": ["0.04", "0.07"],
        "correlations": [["-0.4"]],
    }
    measure = {"kind": kind} | ({} if kind == "worst_loss" else {"tail": "0.033"})
    one = {"id": "paths", "measure": measure, "method": "monte_carlo", "correlation": correlation, "seed": "7"}
    return {"sets": [one | {"paths": 100, "antithetic": True}], "unshocked": ["USDT"]}


@pytest.mark.parametrize("kind", ["expected_shortfall", "value_at_risk", "worst_loss"])
def test_expected_shortfall_is_its_linear_programme(kind: str) -> None:
    model = maintenance("tail.paths", tail=paths(kind))
    rows = rows_of(model)
    assert len(rows.lowering.rows) >= 100
    for seed in range(8):
        book = random_book(chain(), 3 * seed)
        lots = dense(book)
        got = least_bound(rows.lowering, lots)
        want = asked(model, chain(), book, StatementKind.MARGIN, Margin.MAINTENANCE)
        assert optimum(rows, lots) == pytest.approx(got / 10**6, rel=1e-8, abs=2e-3)
        assert got == want or (kind == "value_at_risk" and got > want)
    assert any("value at risk" in b for b in rows.bounds) == (kind == "value_at_risk")


OFFSET = {"mul": ["-0.6", {"min": ["loss.down_only", "value.options"]}]}


def test_an_offset_rate_on_linear_amounts_keeps_convexity() -> None:
    """theta min(a, b) taken off, with a and b linear: minus it is theta max(-a, -b)."""
    grid = {"scenarios": [{"id": "down", "price": "-0.1", "group": "down_only"}, {"id": "up", "price": "0.1"}]}
    model = maintenance({"sum": ["loss.all", OFFSET]}, grid=grid)
    rows = rows_of(model)
    assert all("no collateral" in b for b in rows.bounds)
    for seed in range(12):
        book = random_book(chain(), 3 * seed)
        want = asked(model, chain(), book, StatementKind.MARGIN, Margin.MAINTENANCE)
        assert least_bound(rows.lowering, dense(book)) == want


def test_a_minimum_charge_and_a_maximum_of_groups() -> None:
    charges = [
        {
            "id": "short",
            "kind": "notional",
            "exposure": "option_short",
            "rates": {"initial": "0", "maintenance": "0.03"},
        }
    ]
    model = maintenance({"max": ["5000", {"sum": ["loss.all", "charge.short"]}]}, charges=charges)
    rows = rows_of(model)
    assert least_bound(rows.lowering, dense(Portfolio(()))) == 5000 * 10**6
    for seed in range(12):
        book = random_book(chain(), 3 * seed)
        assert least_bound(rows.lowering, dense(book)) == asked(
            model, chain(), book, StatementKind.MARGIN, Margin.MAINTENANCE
        )


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        (
            {"mul": ["loss.all", "loss.all"]},
            "a product of numbers that depend on the positions",
            "aggregate.maintenance",
        ),
        ({"mul": ["-1", "charge.size"]}, "enters as a credit: the requirement is not convex", "model"),
        ({"min": [{"mul": ["-1", "loss.all"]}, "0"]}, "enters as a credit: the requirement is not convex", "model"),
    ],
)
def test_what_is_not_convex_is_refused(value: Any, what: str, where: str) -> None:
    charges = [
        {"id": "size", "kind": "notional", "exposure": "perpetual", "rates": {"initial": "1", "maintenance": "1"}}
    ]
    with pytest.raises(ProofError, match=what) as refused:
        rows_of(maintenance(value, charges=charges))
    assert where in refused.value.where


def test_a_discount_that_counts_gains_more_than_losses_is_refused() -> None:
    side = {"rate_multiplier": "0", "rate_addition": "0"}
    discount = {"long": {"base": "1.2", **side}, "short": {"base": "1.1", **side}}
    pricing = {"kernel": "black76-nearest/1", "discounting": "none", "static_discount": discount}
    with pytest.raises(ProofError, match="not concave") as refused:
        rows_of(maintenance("loss.all", pricing=pricing))
    assert refused.value.where == "model.pricing.static_discount"


def test_rounding_counts_at_its_largest() -> None:
    model = maintenance({"round": {"value": "loss.all", "decimals": 2, "mode": "half_even"}})
    rows = rows_of(model)
    assert any("rounded" in b for b in rows.bounds)
    book = random_book(chain(), 3)
    exact = asked(maintenance("loss.all"), chain(), book, StatementKind.MARGIN, Margin.MAINTENANCE)
    assert least_bound(rows.lowering, dense(book)) == exact + 5_000


def test_settlement_prices_that_differ_are_refused() -> None:
    model = small_model()
    one = from_market(chain())
    parts = [
        version2.MarketPart(m, Fraction(1, 1000), {}) for m in (one, replace(one, settlement_price=Fraction(99, 100)))
    ]
    with pytest.raises(ProofError, match="settlement prices differ"):
        version2.requirement(model, parts)
