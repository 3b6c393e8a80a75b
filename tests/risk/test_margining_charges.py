"""Charges of a part of the netting set: by hand, as whole accounts of that part, and mistakes in the documents."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from test_margining_venues import MARKET, RATES, base, charged, model

from riskproof.errors import ModelError
from riskproof.market.registry import Kind
from riskproof.risk.margining import Account, Listing, MarginMarket, MarginModel, MarginReport, evaluate_model
from riskproof.risk.margining.incremental import AccountMargin

F = Fraction


def one_charge(charge: dict[str, Any], **changes: Any) -> MarginModel:
    return model(charges=[{"id": "x", **charge}], netting={"sets": "account"}, **changes)


# --- scope ------------------------------------------------------------------------------------------------------------

KINDS: dict[str, dict[str, Any]] = {
    "notional": {"kind": "notional", "exposure": "option", "rates": RATES},
    "haircut": {"kind": "haircut"},
    "confidence": {
        "kind": "confidence",
        "exposure": "perpetual",
        "feeds": ["perpetual"],
        "threshold": "1",
        "rates": RATES,
        "missing": "0.5",
    },
    "depeg": {"kind": "depeg", "exposures": ["option", "spot"], "threshold": "1.5", "rates": RATES},
    "basis": {"kind": "basis", "up": "0.1", "down": "-0.1", "add": "0.5", "per_year": "1"},
    "standard_option": {
        "kind": "standard_option",
        "spot_minimum": "0.05",
        "spot_maximum": "0.1",
        "call_maintenance": "0.04",
        "put_maintenance": "0.04",
        "put_value_maintenance": "0.5",
        "put_initial_scale": "1.1",
        "unpaired": RATES,
    },
    "delta": {"kind": "delta", "measure": "net", "beyond": "10", "rates": RATES},
    "roll": {"kind": "roll", "per_year": "4", "rates": RATES},
    "calendar_spread": {
        "kind": "calendar_spread",
        "spreads": [{"near": {"from": "0", "to": "40"}, "far": {"from": "20", "to": "90"}, "rates": RATES}],
    },
    "standalone": {"kind": "standalone", "locked": True, "rates": RATES},
    "vega_term": {"kind": "vega_term", "vol": "up", "rates": RATES},
    "rate": {"kind": "rate", "rates": RATES},
}
SCOPES: list[dict[str, Any]] = [
    {"underlyings": {"in": ["BTC"]}},
    {"underlyings": {"not_in": ["BTC"]}},
    {"kinds": ["option"]},
    {"kinds": ["perpetual", "spot"]},
    {"underlyings": {"in": ["BTC", "ETH"]}, "kinds": ["future", "option"]},
]
COINS = MarginMarket(
    MARKET.settlement,
    MARKET.indices,
    MARKET.forwards,
    (*MARKET.listings, Listing("BTC", Kind.SPOT, "BTC", mark=F(99)), Listing("ETH", Kind.SPOT, "ETH", mark=F(9))),
)
COLLATERAL = {
    "conversion": "none",
    "assets": {name: {"initial": "0.3", "maintenance": "0.2", "moves": True} for name in ("BTC", "ETH")},
}


def books(count: int) -> list[dict[str, Fraction]]:
    rng, made = random.Random(8), []
    for _ in range(count):
        held = {x.name: F(rng.randint(-9, 9), 2) for x in COINS.listings if rng.random() < 0.8}
        made.append({n: abs(q) if n in ("BTC", "ETH") else q for n, q in held.items() if q})
    return made


def on(m: MarginModel, book: dict[str, Fraction]) -> MarginReport:
    return evaluate_model(m, COINS, Account.build(COINS, book))


def takes(scope: dict[str, Any], listing: Listing) -> bool:
    """The scope, read off its document."""
    underlyings = scope.get("underlyings", {})
    inside = listing.underlying in underlyings.get("in", [listing.underlying])
    outside = listing.underlying in underlyings.get("not_in", [])
    return inside and not outside and listing.kind.value in scope.get("kinds", [listing.kind.value])


@pytest.mark.parametrize("kind", KINDS)
def test_a_charge_of_a_scope_is_the_charge_of_an_account_that_holds_nothing_else(kind: str) -> None:
    some = 0
    for scope in SCOPES:
        scoped, plain = (one_charge(KINDS[kind] | s, collateral=COLLATERAL) for s in ({"scope": scope}, {}))
        assert MarginModel.from_document(scoped.to_document()) == scoped
        assert scoped.digest != plain.digest
        for book in books(12):
            inside = {n: q for n, q in book.items() if takes(scope, COINS.listings[COINS.place(n)])}
            found, expected = on(scoped, book).charges["x"], (F(0), F(0))
            if inside:
                expected = on(plain, inside).charges.get("x", expected)
            assert found == expected, (scope, book)
            some += found != on(plain, book).charges["x"]
    assert some > 3


def test_notional_of_some_underlyings() -> None:
    charge, book = {"kind": "notional", "exposure": "perpetual"}, {"PERP": 1, "ETH-PERP": -2}
    assert charged(charge | {"scope": {"underlyings": {"in": ["BTC"]}}}, book)[0] == 50
    assert charged(charge | {"scope": {"underlyings": {"not_in": ["BTC"]}}}, book)[0] == 10
    assert charged(charge, book)[0] == 60


def test_what_is_out_of_scope_does_not_offset() -> None:
    charge, book = {"kind": "delta", "measure": "net"}, {"PERP": 3, "FUTURE": -2, "ETH-PERP": 1}
    assert charged(charge, book) == (55, F("27.5"))
    assert charged(charge | {"scope": {"kinds": ["perpetual"]}}, book) == (155, F("77.5"))
    assert charged(charge | {"scope": {"kinds": ["perpetual"], "underlyings": {"in": ["ETH"]}}}, book) == (5, F("2.5"))


@pytest.mark.parametrize("sets", ["account", "underlying"])
def test_after_trades_a_scope_sees_the_account_with_the_trades(sets: str) -> None:
    charges = [
        {"id": f"c{n}_{k}", **charge, "scope": scope}
        for n, charge in enumerate(KINDS.values())
        for k, scope in enumerate(SCOPES)
    ]
    m = model(charges=charges, netting={"sets": sets}, collateral=COLLATERAL)
    before = {"PERP": F(3), "C30": F(-2), "P60": F(1), "ETH-PERP": F(-5), "FUTURE": F(-1), "BTC": F(2), "ETH-P30": F(1)}
    account = AccountMargin(m, COINS, Account.build(COINS, before))
    for trade in (
        {"C30": F(5)},
        {"PERP": F(-3), "INVERSE": F(2)},
        {"C30": F(2), "ETH-P30": F(-4), "FUTURE": F("0.5")},
        {"ETH-PERP": F(1)},
        {"BTC": F(1), "C30": F(1)},
    ):
        after = {n: before.get(n, F(0)) + trade.get(n, F(0)) for n in before | trade}
        expected = evaluate_model(m, COINS, Account.build(COINS, {n: q for n, q in after.items() if q}))
        assert account.after({COINS.place(n): q for n, q in trade.items()}) == expected, trade


# --- mistakes ---------------------------------------------------------------------------------------------------------


def scoped(scope: Any, **members: Any) -> Callable[[dict[str, Any]], None]:
    charge = {"id": "x", "kind": "delta", "measure": "net", "rates": RATES} | members
    return lambda d: d.update(charges=[{**charge, "scope": scope}])


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "scope of an offset": (
        lambda d: d.update(charges=[{"id": "x", "kind": "offset", "spreads": [], "scope": {"kinds": ["option"]}}]),
        r"m\.charges\[0\]\.scope: a charge of the whole account \(expected no scope\)",
    ),
    "scope of nothing in particular": (
        scoped({}),
        r"m\.charges\[0\]\.scope: a scope of everything \(expected underlyings, some kinds or both, or no scope\)",
    ),
    "scope of all kinds": (
        scoped({"kinds": ["option", "perpetual", "future", "spot"]}),
        r"m\.charges\[0\]\.scope: a scope of everything",
    ),
    "scope by something else": (
        scoped({"expiries": ["2026-03-27"]}),
        r"m\.charges\[0\]\.scope: unknown member 'expiries' \(expected underlyings, kinds\)",
    ),
    "scope that is no object": (scoped("BTC"), r"m\.charges\[0\]\.scope: str in place of an object"),
    "kind that there is not": (
        scoped({"kinds": ["swap"]}),
        r"m\.charges\[0\]\.scope\.kinds\[0\]: not one of the choices: 'swap' \(expected spot, perpetual, future, option\)",
    ),
    "kind named twice": (
        scoped({"kinds": ["option", "option"]}),
        r"m\.charges\[0\]\.scope\.kinds: no kind, or one twice \(expected some of spot, perpetual, future, option\)",
    ),
    "no kind": (scoped({"kinds": []}), r"m\.charges\[0\]\.scope\.kinds: no kind, or one twice"),
    "underlyings unsorted": (
        scoped({"underlyings": {"in": ["ETH", "BTC"]}}),
        r"m\.charges\[0\]\.scope\.underlyings\.in: no name, one twice, or not sorted",
    ),
    "underlyings of no kind": (
        scoped({"underlyings": ["BTC"]}),
        r"m\.charges\[0\]\.scope\.underlyings: not one known kind: list \(expected an object with one of in, not_in\)",
    ),
    "underlyings of a charge that is not scoped": (
        lambda d: d.update(
            charges=[
                {"id": "x", "kind": "notional", "exposure": "option", "rates": RATES, "underlyings": {"in": ["BTC"]}}
            ]
        ),
        r"m\.charges\[0\]: unknown member 'underlyings' \(expected exposure, rates\)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_at_its_place(name: str) -> None:
    change, message = MISTAKES[name]
    document = copy.deepcopy(base())
    change(document)
    with pytest.raises(ModelError, match=message):
        MarginModel.from_document(document, "m")


def test_a_scoped_charge_refers_to_what_the_model_has() -> None:
    scope = {"kinds": ["option"]}
    wrong = [
        (
            {"kind": "standalone", "locked": True, "group": "tail", "rates": RATES},
            r"m\.charges\[0\]\.group: no scenario",
        ),
        ({"kind": "vega_term", "vol": "down", "rates": RATES}, r"m\.charges\[0\]\.vol: no volatility shock 'down'"),
    ]
    for charge, message in wrong:
        with pytest.raises(ModelError, match=message):
            MarginModel.from_document({**base(), "charges": [{"id": "x", **charge, "scope": scope}]}, "m")
    ranges = {"scan_ranges": {"ranges": {}, "other": {"relative": "0.1"}}, "scenarios": [{"id": "s", "price": "1"}]}
    charge = {"id": "x", "kind": "basis", "up": "0.1", "down": "-0.1", "add": "1", "per_year": "0", "scope": scope}
    with pytest.raises(ModelError, match=r"m\.charges\[0\]\.kind: relative moves in a model of scan ranges"):
        MarginModel.from_document({**base(), "grid": ranges, "charges": [charge]}, "m")


def test_scenarios_that_only_a_scoped_charge_reads_are_used() -> None:
    charge = {"kind": "standalone", "locked": False, "group": "own", "rates": RATES, "scope": {"kinds": ["option"]}}
    grid = {"scenarios": [{"id": "s", "price": "0.1"}, {"id": "t", "price": "0.2", "group": "own"}]}
    aggregate = {"account": {"equity": "value.total", "initial": "charge.x", "maintenance": "loss.all"}}
    assert one_charge(charge, grid=grid, aggregate=aggregate).unused == ()
