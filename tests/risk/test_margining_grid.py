"""Scenarios that move forwards or index prices alone: against the same instruments in a market that has moved."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from riskproof.errors import ModelError
from riskproof.market.registry import Kind, OptionType, Payoff
from riskproof.risk.margining import (
    Account,
    Accounts,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginTables,
    UnitValues,
    evaluate_batch,
    evaluate_model,
)
from riskproof.risk.margining.grid import BASE, State
from riskproof.risk.margining.incremental import AccountMargin

DAY = 86_400
ON = ("all", "forward", "index")


def option(name: str, payoff: Payoff, side: OptionType, expiry: int) -> Listing:
    return Listing(
        name,
        Kind.OPTION,
        "BTC",
        payoff,
        expiry=expiry,
        strike=Fraction(105),
        option_type=side,
        volatility=Fraction("0.7"),
    )


MARKET = MarginMarket(
    "USDC",
    {"BTC": Index(Fraction(100))},
    {
        ("BTC", 30 * DAY): Forward(30 * DAY, Fraction(110), Fraction(0), Fraction("0.1")),
        ("BTC", DAY // 2): Forward(DAY // 2, Fraction(101), Fraction(40), Fraction(0)),
    },
    (
        Listing("USDC", Kind.SPOT, "USDC"),
        Listing("BTC", Kind.SPOT, "BTC", mark=Fraction(99)),
        Listing("PERP", Kind.PERPETUAL, "BTC", mark=Fraction(101), unit=Fraction(1, 4)),
        Listing("PERP-INVERSE", Kind.PERPETUAL, "BTC", Payoff.INVERSE, mark=Fraction(102), unit=Fraction(10)),
        Listing("FUTURE", Kind.FUTURE, "BTC", expiry=30 * DAY, mark=Fraction(111), unit=Fraction(1, 2)),
        Listing(
            "FUTURE-INVERSE", Kind.FUTURE, "BTC", Payoff.INVERSE, expiry=30 * DAY, mark=Fraction(112), unit=Fraction(10)
        ),
        option("CALL", Payoff.LINEAR, OptionType.CALL, 30 * DAY),
        option("PUT", Payoff.LINEAR, OptionType.PUT, DAY // 2),
        option("CALL-INVERSE", Payoff.INVERSE, OptionType.CALL, DAY // 2),
        option("PUT-INVERSE", Payoff.INVERSE, OptionType.PUT, 30 * DAY),
    ),
)
NAMES = [x.name for x in MARKET.listings]


def model(scenarios: list[dict[str, Any]], **changes: Any) -> MarginModel:
    document: dict[str, Any] = {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "small",
        "checked": "by hand",
        "grid": {"scenarios": scenarios},
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "rate"},
        "netting": {"sets": "account"},
        "charges": [],
        "aggregate": {
            "set": {"worst": {"max": ["loss.all"]}},
            "account": {"equity": "value.total", "initial": "worst", "maintenance": "worst"},
        },
        "collateral": {
            "conversion": "none",
            "assets": {"BTC": {"initial": "0", "maintenance": "0", "moves": True, "stress": "all"}},
        },
        "rounding": {n: {"decimals": 6, "direction": "up"} for n in ("requirement", "value")},
        "limits": {"legs": 99, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 60},
    }
    return MarginModel.from_document({**document, **changes})


MOVES = [(price, on) for price in ("-0.3", "0.25") for on in ON]
MODEL = model([{"id": f"{price} {on}".replace(" ", "/"), "price": price, "on": on} for price, on in MOVES])


def moved(price: Fraction, on: str, absolute: Fraction = Fraction(0)) -> MarginMarket:
    """The market after the move."""

    def index(x: Fraction) -> Fraction:
        return x if on == "forward" else x * (1 + price) + absolute

    def forward(x: Fraction, settled: Fraction = Fraction(0)) -> Fraction:
        return x if on == "index" else settled + (x - settled) * (1 + price) + absolute

    def mark(x: Listing) -> Listing:
        if x.mark is None:
            return x
        return replace(x, mark=(forward if x.kind is Kind.FUTURE else index)(x.mark))

    return replace(
        MARKET,
        indices={u: replace(i, price=index(i.price)) for u, i in MARKET.indices.items()},
        forwards={k: replace(f, price=forward(f.price, f.settled)) for k, f in MARKET.forwards.items()},
        listings=tuple(map(mark, MARKET.listings)),
    )


def change(name: str, after: MarginMarket, values: UnitValues, shocked: UnitValues) -> Fraction:
    """P&L of one unit between two markets."""
    place = MARKET.place(name)
    x, y = MARKET.listings[place], after.listings[place]
    one = 10**MARKET.money_exponent
    if x.kind is Kind.OPTION:
        return Fraction(shocked.option(place, BASE) - values.option(place, BASE), one)
    if x.mark is None or y.mark is None:
        return Fraction(0)
    if x.payoff is Payoff.INVERSE:
        return x.unit * (1 / x.mark - 1 / y.mark) * after.index("BTC").price
    return x.unit * (y.mark - x.mark)


@pytest.mark.parametrize("scan", [None, {"relative": "0.5"}, {"absolute": "40"}])
def test_what_a_scenario_moves(scan: dict[str, str] | None) -> None:
    scenarios = [s.to_document() for s in MODEL.scenarios]
    grid: dict[str, Any] = {"scenarios": scenarios} | ({"scan_ranges": {"ranges": {}, "other": scan}} if scan else {})
    m = model([], grid=grid)
    values = UnitValues(m, MARKET)
    for (text, on), scenario in zip(MOVES, m.scenarios, strict=True):
        price, absolute = Fraction(text), Fraction(0)
        if scan is not None and "relative" in scan:
            price *= Fraction(scan["relative"])
        elif scan is not None:
            price, absolute = Fraction(0), price * Fraction(scan["absolute"])
        after = moved(price, on, absolute)
        shocked = UnitValues(m, after)
        for place, name in enumerate(NAMES[1:], 1):
            want = change(name, after, values, shocked)
            if MARKET.listings[place].kind is Kind.OPTION:
                got = Fraction(values.option(place, scenario.state) - values.option(place, BASE), 10**18)
            else:
                got = Fraction(values.move(place, scenario.price, scenario.on), 10**18)
            assert abs(got - want) <= Fraction(1, 10**18), (name, on)
            moves = {"all": True, "forward": place >= 4, "index": place < 4 or name.endswith("INVERSE")}[on]
            if name == "FUTURE-INVERSE" and on == "index":
                moves = False  # a price that has not moved has nothing to convert
            assert (got != 0) is moves, (name, on)


def test_moves_by_a_share_of_the_index() -> None:
    """`delta_one` of the pricing block says how far a linear contract moves, not whether."""
    pricing = {"kernel": "black76-nearest/1", "discounting": "none", "delta_one": "index"}
    values = UnitValues(model([{"id": "s"}], pricing=pricing), MARKET)
    future, perpetual = MARKET.place("FUTURE"), MARKET.place("PERP")
    got = {on: [values.move(place, Fraction("0.1"), on) for place in (future, perpetual)] for on in ON}
    five, two_and_a_half = 5 * 10**18, 25 * 10**17
    assert got == {"all": [five, two_and_a_half], "forward": [five, 0], "index": [0, two_and_a_half]}


def test_collateral_is_stressed_by_what_moves_it() -> None:
    scenarios = [{"id": "f", "price": "-0.5", "on": "forward"}, {"id": "i", "price": "-0.2", "on": "index"}]
    values = UnitValues(model(scenarios), MARKET)
    assert values.fall("BTC", "all") == Fraction("0.2")
    assert UnitValues(model(scenarios[:1]), MARKET).fall("BTC", "all") == 0


def books(seed: int) -> dict[str, Fraction]:
    r = random.Random(seed)
    held = {name: Fraction(r.randint(-900, 900), 100) for name in r.sample(NAMES, 7)}
    return {name: abs(q) if name == "BTC" else q for name, q in held.items() if q}


@pytest.mark.parametrize("seed", range(6))
def test_accounts_after_trades_and_in_batches(seed: int) -> None:
    held = books(seed)
    account = Account.build(MARKET, held)
    known = AccountMargin(MODEL, MARKET, account)
    report = evaluate_model(MODEL, MARKET, account)
    assert known.report == report
    by_position = known.pnl_by_position()
    totals = tuple(sum((row[n] for row in by_position.values()), Fraction(0)) for n in range(len(MOVES)))
    assert totals == report.pnl
    for name in ("FUTURE", "PERP", "CALL-INVERSE", "PUT-INVERSE"):
        after = {**held, name: held.get(name, Fraction(0)) + 3}
        want = evaluate_model(MODEL, MARKET, Account.build(MARKET, {n: q for n, q in after.items() if q}))
        assert known.after({MARKET.place(name): Fraction(3)}) == want
    batch = evaluate_batch(MarginTables.build(MODEL, MARKET, decimals=2), Accounts.of(MARKET, [account], 2))
    assert batch.slow.tolist() == [True]
    assert int(batch.initial[0]) == MODEL.rounding.of_requirement(report.initial)[0]


def test_the_document() -> None:
    assert MarginModel.from_bytes(MODEL.to_bytes()) == MODEL
    written = model([{"id": "a", "price": "0.1", "on": "all"}])
    assert written.to_document() == model([{"id": "a", "price": "0.1"}]).to_document()
    assert model([{"id": "a", "price": "0.1", "on": "index"}]).scenarios[0].state == State(
        Fraction("0.1"), None, 0, "index"
    )
    table = {"columns": ["id", "on"], "rows": [["a", "forward"]]}
    assert model([{"table": table, "common": {"price": "0.5"}}]).scenarios[0].on == "forward"
    product = {"product": {"price": ["0.1", "0.2"]}, "common": {"on": "index"}}
    assert [s.on for s in model([product]).scenarios] == ["index", "index"]
    both = {"product": {"price": ["-0.1", "0.2"], "on": ["forward", "index"]}}
    assert [(s.id, s.on) for s in model([both]).scenarios] == [
        (f"{price}/{on}", on) for price in ("-0.1", "0.2") for on in ("forward", "index")
    ]
    for on in ("spot", "", None, ["all"]):
        message = re.escape("model.grid.scenarios[0].on: not one of the choices")
        with pytest.raises(ModelError, match=message):
            model([{"id": "a", "on": on}])
