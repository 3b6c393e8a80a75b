"""Netting sets by expiry: each is the engine's own number for what it holds, and they meet as the gain factor says."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from riskproof.errors import ModelError
from riskproof.market.registry import Kind
from riskproof.market.sample import sample_market
from riskproof.risk.margining import Account, MarginModel, MarginReport, evaluate_model, from_market
from riskproof.risk.margining.book import set_of
from riskproof.risk.margining.incremental import AccountMargin
from riskproof.units import format_time

MARKET = from_market(sample_market(3))
GROUPS = ("all", "tail")
Book = dict[str, Fraction]


def model(sets: str, factor: str = "1", **changes: Any) -> MarginModel:
    netting = {"sets": sets} | ({"gain_factor": factor} if factor != "1" else {})
    document: dict[str, Any] = {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "small",
        "checked": "by a test",
        "grid": {
            "scenarios": [
                {"id": "up", "price": "0.1"},
                {"id": "down", "price": "-0.1", "vol": "up"},
                {"id": "crash", "price": "-0.5", "weight": "0.5", "group": "tail", "dampener": "20"},
                {"id": "forwards", "price": "0.3", "on": "forward", "group": "tail"},
            ]
        },
        "volatility": {"shocks": {"up": {"multiply": {"amount": "0.3", "scaled": False}}}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": netting,
        "charges": [
            {"id": "delta", "kind": "delta", "measure": "net", "rates": {"initial": "0.01", "maintenance": "0.01"}}
        ],
        "aggregate": {
            "set": {"worst": {"max": ["loss.all", "loss.tail", "0"]}},
            "account": {
                "equity": "value.total",
                "initial": {"sum": ["worst", "charge.delta"]},
                "maintenance": {"max": ["joint.all", "joint.tail"]},
            },
        },
        "collateral": {
            "conversion": "none",
            "assets": {},
            "other": {"initial": "0", "maintenance": "0", "moves": True},
        },
        "rounding": {n: {"decimals": 6, "direction": "up"} for n in ("requirement", "value")},
        "limits": {"legs": 99, "expiries": 20, "underlyings": 9, "snapshot_age_seconds": 60},
    }
    return MarginModel.from_document({**document, **changes})


def name_of(place: int) -> str:
    """The set that an instrument belongs in, by the page's words."""
    x = MARKET.listings[place]
    return (
        f"{x.underlying} {format_time(x.expiry)}" if x.kind in (Kind.OPTION, Kind.FUTURE) and x.expiry else x.underlying
    )


def random_book(seed: int) -> Book:
    r = random.Random(seed)
    held: Book = {}
    for place in r.sample(range(len(MARKET.listings)), 400):
        x = MARKET.listings[place]
        if MARKET.is_cash(x) or (x.mark is None and x.volatility is None) or len(held) == 25:
            continue
        if x.kind is Kind.OPTION and MARKET.forward(x).seconds <= 0:
            continue
        held[x.name] = Fraction(r.randint(1, 900) * (1 if x.kind is Kind.SPOT else r.choice((1, -1))), 100)
    for x in MARKET.listings:
        if x.kind in (Kind.FUTURE, Kind.PERPETUAL) and x.mark is not None and r.random() < 0.7:
            held[x.name] = Fraction(r.randint(-300, 300) or 1, 100)
    return held


def report_of(m: MarginModel, held: Book) -> MarginReport:
    return evaluate_model(m, MARKET, Account.build(MARKET, held))


def parts_of(held: Book) -> dict[str, Book]:
    parts: dict[str, Book] = {}
    for name, q in held.items():
        parts.setdefault(name_of(MARKET.place(name)), {})[name] = q
    return parts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factor", ["1", "0.3", "0"])
def test_each_set_is_an_account_of_its_own_and_gains_count_as_the_factor_says(seed: int, factor: str) -> None:
    m, alone, held = model("expiry", factor), model("account"), random_book(seed)
    report, parts = report_of(m, held), parts_of(held)
    own = {name: report_of(alone, part) for name, part in parts.items()}
    assert len(own) > 6
    assert [s.name for s in report.sets] == sorted(own)
    for s in report.sets:
        assert s.pnl == own[s.name].sets[0].pnl
        assert s.charges == own[s.name].sets[0].charges
    assert report.initial == sum(x.initial for x in own.values())
    assert report.equity == sum(x.equity for x in own.values())
    places = {g: [n for n, s in enumerate(m.scenarios) if s.group == g] for g in GROUPS}
    f, columns = Fraction(factor), list(zip(*(x.sets[0].pnl for x in own.values()), strict=True))
    met = [sum((x if x < 0 else f * x for x in column), Fraction(0)) for column in columns]
    assert report.maintenance == max(-met[n] for group in places.values() for n in group)


def test_the_factor_goes_from_no_netting_between_expiries_to_all_of_it() -> None:
    """Without dampeners, a factor of 1 nets like one set, 0 adds up what the sets lose in the same scenario."""
    grid = {"scenarios": [{"id": "up", "price": "0.1"}, {"id": "down", "price": "-0.1"}]}
    aggregate = {"account": {"equity": "value.total", "initial": "joint.all", "maintenance": "joint.all"}}
    members: dict[str, Any] = {"grid": grid, "aggregate": aggregate, "charges": []}
    held = random_book(9)
    found = [report_of(model("expiry", f, **members), held).initial for f in ("1", "0.75", "0.5", "0.25", "0")]
    assert found == sorted(found)
    assert found[0] < found[-1]
    assert found[0] == report_of(model("account", **members), held).initial


@pytest.mark.parametrize("seed", range(4))
def test_after_trades_that_keep_open_and_close_sets(seed: int) -> None:
    m, held = model("expiry", "0.4"), random_book(seed)
    known, r = AccountMargin(m, MARKET, Account.build(MARKET, held)), random.Random(seed)
    new = next(x.name for x in MARKET.listings if x.kind is Kind.OPTION and x.volatility and x.name not in held)
    lone = next(next(iter(part)) for part in parts_of(held).values() if len(part) == 1)
    trades = [{r.choice(list(held)): Fraction(7, 3)} for _ in range(4)]
    trades += [
        {new: Fraction(2)},
        {lone: -held[lone]},
        {lone: -held[lone], new: Fraction(1)},
        {n: Fraction(1) for n in held},
    ]
    for trade in trades:
        after = {name: held.get(name, Fraction(0)) + trade.get(name, Fraction(0)) for name in held | trade}
        want = report_of(m, {name: q for name, q in after.items() if q})
        assert known.after({MARKET.place(name): q for name, q in trade.items()}) == want


def test_names() -> None:
    assert set_of("BTC", 1_774_598_400, "expiry") == "BTC 2026-03-27T08:00:00Z"
    assert set_of("BTC", None, "expiry") == set_of("BTC", 1_774_598_400, "underlying") == "BTC"
    assert set_of("BTC", 1_774_598_400, "account") == "account"


def test_receivables_go_where_their_instrument_is() -> None:
    option = next(x for x in MARKET.listings if x.kind is Kind.OPTION and x.volatility)
    account = Account.build(MARKET, {}, {option.name: Fraction(5)})
    (only,) = evaluate_model(model("expiry"), MARKET, account).sets
    assert only.name == name_of(MARKET.place(option.name))
    assert dict(only.values)["receivables"] == 5


def test_the_document() -> None:
    m = model("expiry", "0.5")
    assert MarginModel.from_bytes(m.to_bytes()) == m
    assert m.to_document()["netting"] == {"sets": "expiry", "gain_factor": "0.5"}
    spreads = [{"legs": ["BTC", "ETH"], "rates": {"initial": "0.5", "maintenance": "0.5"}}]
    message = r"^model\.netting\.sets: an offset between sets by expiry \(expected underlying, or no offset\)$"
    with pytest.raises(ModelError, match=message):
        model("expiry", charges=[{"id": "offset", "kind": "offset", "spreads": spreads}])
    with pytest.raises(
        ModelError, match=r"^model\.netting\.gain_factor: there is one set only \(expected none, or sets "
    ):
        model("account", "0.5")
