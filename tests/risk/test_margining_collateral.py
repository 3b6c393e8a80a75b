"""Terms of collateral: haircuts by stress, caps, concentration; against sums written out by hand."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from riskproof.errors import ModelError
from riskproof.market.registry import Kind
from riskproof.risk.margining import (
    Account,
    Accounts,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    MarginTables,
    evaluate_batch,
    evaluate_model,
)
from riskproof.risk.margining.incremental import AccountMargin

PRICES = {"BTC": 100, "ETH": 10, "USDT": 1}
NAMES = (*PRICES, "BTC-2", "BTC-PERP")
MARKET = MarginMarket(
    "USDC",
    {name: Index(Fraction(price)) for name, price in PRICES.items()},
    {},
    (
        Listing("USDC", Kind.SPOT, "USDC"),
        *(Listing(name, Kind.SPOT, name, mark=Fraction(price)) for name, price in PRICES.items()),
        Listing("BTC-2", Kind.SPOT, "BTC", mark=Fraction(102), unit=Fraction(1, 2)),
        Listing("BTC-PERP", Kind.PERPETUAL, "BTC", mark=Fraction(101)),
    ),
    settlement_price=Fraction(2),
)
STILL = {"initial": "0.2", "maintenance": "0.1"}


def model(assets: dict[str, Any], **changes: Any) -> MarginModel:
    document: dict[str, Any] = {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "small",
        "checked": "by hand",
        "grid": {
            "scenarios": [
                {"id": "up", "price": "0.1"},
                {"id": "down", "price": "-0.5", "weight": "0.5", "group": "tail", "dampener": "3"},
            ]
        },
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": {"sets": "account"},
        "charges": [{"id": "haircut", "kind": "haircut"}],
        "aggregate": {
            "account": {
                "equity": "value.total",
                "initial": {"sum": ["loss.all", "charge.haircut"]},
                "maintenance": {"sum": ["loss.tail", "charge.haircut"]},
            }
        },
        "collateral": {"conversion": "settlement_price", "assets": assets},
        "rounding": {n: {"decimals": 6, "direction": "up"} for n in ("requirement", "value")},
        "limits": {"legs": 9, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 60},
    }
    return MarginModel.from_document({**document, **changes})


def report_of(m: MarginModel, **held: Any) -> MarginReport:
    return evaluate_model(
        m, MARKET, Account.build(MARKET, {name.replace("_", "-"): Fraction(q) for name, q in held.items()})
    )


def haircut(m: MarginModel, **held: Any) -> tuple[Fraction, Fraction]:
    return report_of(m, **held).charges["haircut"]


def test_the_haircut_is_the_worse_of_the_rate_and_the_stress() -> None:
    """V = 3 x 100 / 2; the fall is half of 50 %, the group `all` only rises."""
    for stress, rates in (("tail", ("0.25", "0.25")), ("all", ("0.2", "0.1"))):
        assert haircut(model({"BTC": {**STILL, "stress": stress}}), BTC=3) == tuple(150 * Fraction(r) for r in rates)
    worse = {"initial": "0.3", "maintenance": "0.1", "stress": "tail"}
    assert haircut(model({"BTC": worse}), BTC=3) == (45, Fraction(75, 2))


def test_stress_in_scan_ranges() -> None:
    """A fall of half a scan range: relative, or an amount as a share of the index price, whatever the listing's mark."""
    scan = {"ranges": {"BTC": {"absolute": "60"}, "USDT": {"relative": "0.4"}}}
    grid = {"scenarios": [{"id": "down", "price": "-0.5"}], "scan_ranges": scan}
    stressed = {"initial": "0", "maintenance": "0", "stress": "all"}
    aggregate = {"account": {"equity": "value.total", "initial": "charge.haircut", "maintenance": "0"}}
    m = model({"BTC": stressed, "USDT": stressed}, grid=grid, aggregate=aggregate)
    assert haircut(m, BTC=1, BTC_2=2, USDT=10) == ((50 + 51) * Fraction("0.3") + 5 * Fraction("0.2"),) * 2


def test_a_cap_is_of_the_asset_and_what_does_not_count_needs_no_haircut() -> None:
    m = model({"BTC": {**STILL, "cap": "120"}, "USDT": STILL})
    report = report_of(m, BTC=2, BTC_2=2, USDT=10, USDC=7)
    assert report.values["spot"] == 120 + 5
    assert report.equity == 120 + 5 + 7
    assert report.charges["haircut"] == (25, Fraction(25, 2))
    below = report_of(m, BTC=1, BTC_2=1)
    assert below.values["spot"] == 50 + Fraction(102, 4)
    more = report_of(m, BTC=3, BTC_2=2, USDT=10, USDC=7)
    assert (more.excess_maintenance, more.charges) == (report.excess_maintenance, report.charges)


def test_what_moves_moves_in_full_whatever_counts() -> None:
    m = model({"BTC": {**STILL, "cap": "1", "moves": True}})
    assert report_of(m, BTC=2).sets[0].pnl == (10, -25 + 3)


@pytest.mark.parametrize("sets", ["account", "underlying"])
def test_concentration_beyond_an_amount_and_beyond_a_share(sets: str) -> None:
    extra = {"initial": "0.5", "maintenance": "0.3"}
    m = model(
        {
            "BTC": {**STILL, "cap": "120", "concentration": {"beyond": "40", **extra}},
            "ETH": {**STILL, "concentration": {"share": "0.25", **extra}},
            "USDT": {**STILL, "cap": "20", "concentration": {"beyond": "20", **extra}},
        },
        netting={"sets": sets},
    )
    # BTC counts 120 of 200, ETH 50, USDT 20 of 30: beyond 40, beyond a quarter of 190, and nothing beyond its cap.
    beyond = 80 + 50 - Fraction(190, 4)
    counted = Fraction(190)
    assert haircut(m, BTC=4, ETH=10, USDT=60) == (
        counted / 5 + beyond / 2,
        counted / 10 + beyond * Fraction(3, 10),
    )
    # alone, it is all there is
    assert haircut(m, ETH=10) == (10 + Fraction(75, 4), 5 + Fraction(3, 10) * Fraction(75, 2))


def twin(m: MarginModel, held: dict[str, Fraction], margin: str) -> Fraction:
    """The haircut written out from the document."""
    block = m.to_document()["collateral"]
    values: dict[str, Fraction] = {}
    for name, q in held.items():
        listing = next(x for x in MARKET.listings if x.name == name)
        if listing.kind is Kind.SPOT and listing.mark is not None:
            values[listing.underlying] = (
                values.get(listing.underlying, Fraction(0)) + q * listing.unit * listing.mark / 2
            )
    counted = {n: min(v, Fraction(block["assets"][n].get("cap", "1000000000"))) for n, v in values.items()}
    total = Fraction(0)
    for name, c in counted.items():
        terms, fall = block["assets"][name], Fraction(0)
        if "stress" in terms:
            scenarios = m.to_document()["grid"]["scenarios"]
            group = [s for s in scenarios if s.get("group", "all") == terms["stress"]]
            fall = max(-Fraction(s.get("weight", "1")) * Fraction(s["price"]) for s in group)
        total += max(Fraction(terms[margin]), fall) * c
        more = terms.get("concentration")
        if more is not None:
            limit = Fraction(more["beyond"]) if "beyond" in more else Fraction(more["share"]) * sum(counted.values())
            total += Fraction(more[margin]) * max(Fraction(0), c - limit)
    return total


def random_assets(r: random.Random) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    for name in PRICES:
        terms: dict[str, Any] = {**STILL}
        if r.random() < 0.5:
            terms["stress"] = r.choice(["all", "tail"])
        if r.random() < 0.5:
            terms["cap"] = str(r.randint(0, 300))
        if r.random() < 0.6:
            where = {"beyond": str(r.randint(0, 300))} if r.random() < 0.5 else {"share": "0.3"}
            terms["concentration"] = {"initial": "0.4", "maintenance": "0.25", **where}
        assets[name] = terms
    return assets


@pytest.mark.parametrize("seed", range(12))
def test_random_terms_against_the_document_read_literally_and_after_trades(seed: int) -> None:
    r = random.Random(seed)
    m = model(random_assets(r), netting={"sets": r.choice(["account", "underlying"])})
    assert MarginModel.from_bytes(m.to_bytes()) == m
    held = {name: Fraction(r.randint(1, 900), 100) for name in NAMES}
    report = evaluate_model(m, MARKET, Account.build(MARKET, held))
    assert report.charges["haircut"] == (twin(m, held, "initial"), twin(m, held, "maintenance"))
    known = AccountMargin(m, MARKET, Account.build(MARKET, held))
    assert known.report == report
    for name in NAMES:
        place, more = MARKET.place(name), Fraction(r.randint(1, 400), 100)
        after = evaluate_model(m, MARKET, Account.build(MARKET, {**held, name: held[name] + more}))
        assert known.after({place: more}) == after


def test_the_compiled_path_leaves_caps_and_concentration_to_the_engine() -> None:
    accounts = {"set": {"worst": {"max": ["loss.all", "loss.tail"]}}, "account": {"equity": "value.total"}}
    accounts["account"] |= {n: {"sum": ["worst", "charge.haircut"]} for n in ("initial", "maintenance")}
    grid = {"scenarios": [{"id": "up", "price": "0.1"}, {"id": "down", "price": "-0.5", "group": "tail"}]}
    linear = {**STILL, "stress": "tail"}
    for terms, covered in ((linear, True), ({**linear, "cap": "5"}, False)):
        m = model({"BTC": terms, "ETH": {**STILL, "stress": "tail"}}, aggregate=accounts, grid=grid)
        books = [
            Account.build(MARKET, {"BTC-PERP": Fraction(1), "BTC": Fraction(q), "ETH": Fraction(9)}) for q in (1, 7)
        ]
        tables = MarginTables.build(m, MARKET, decimals=2)
        batch = evaluate_batch(tables, Accounts.of(MARKET, books, 2))
        assert bool(batch.slow.any()) is not covered
        for n, book in enumerate(books):
            report = evaluate_model(m, MARKET, book)
            assert int(batch.initial[n]) == m.rounding.of_requirement(report.initial)[0]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "stress of no group": ({"stress": "depeg"}, r"\.stress: no scenario of group 'depeg' (expected all, tail)"),
    "stress of no name": ({"stress": ["tail"]}, r".stress: no scenario of group"),
    "negative cap": ({"cap": "-1"}, r".cap: -1 is out of range (expected at least 0"),
    "cap that is a number": ({"cap": 5}, r".cap: int in place of a number"),
    "concentration beyond nothing": (
        {"concentration": {"initial": "0", "maintenance": "0"}},
        r".concentration: neither beyond nor share (expected one of them)",
    ),
    "concentration twice": (
        {"concentration": {"initial": "0", "maintenance": "0", "beyond": "1", "share": "1"}},
        r".concentration: both beyond and share (expected one of them)",
    ),
    "share above one": (
        {"concentration": {"initial": "0", "maintenance": "0", "share": "1.1"}},
        r".concentration.share: 1.1 is out of range (expected at least 0 and at most 1)",
    ),
    "negative amount": (
        {"concentration": {"initial": "0", "maintenance": "0", "beyond": "-1"}},
        r".concentration.beyond: -1 is out of range",
    ),
    "one rate": (
        {"concentration": {"initial": "0", "beyond": "1"}},
        r".concentration: member 'maintenance' is missing",
    ),
    "rate above ten": (
        {"concentration": {"initial": "11", "maintenance": "0", "beyond": "1"}},
        r".concentration.initial: 11 is out of range",
    ),
    "unknown member": ({"caps": "1"}, r": unknown member 'caps'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("place", ["assets", "other", "markets"])
def test_mistakes_are_refused_at_their_place(mistake: str, place: str) -> None:
    change, message = MISTAKES[mistake]
    terms = {**STILL, **change}
    block: dict[str, Any] = {"conversion": "none", "assets": {}}
    block |= {"assets": {"BTC": terms}} if place == "assets" else {}
    block |= {"other": terms} if place == "other" else {}
    block |= {"markets": {"ETH": {"BTC": terms}}} if place == "markets" else {}
    where = {"assets": "assets.BTC", "other": "other", "markets": "markets.ETH.BTC"}[place]
    with pytest.raises(ModelError, match="^model.collateral." + re.escape(where + message.lstrip("\\"))):
        model({}, collateral=block)


def test_a_stress_uses_its_scenarios() -> None:
    aggregate = {"account": {"equity": "value.total", "initial": "charge.haircut", "maintenance": "loss.all"}}
    assert "scenarios of group tail" in model({"BTC": STILL}, aggregate=aggregate).unused
    used = model({"BTC": {**STILL, "stress": "tail"}}, aggregate=aggregate)
    assert used.unused == ()
    assert "scenarios of group tail" in replace(used, charges=()).unused
