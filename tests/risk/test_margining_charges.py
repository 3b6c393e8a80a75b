"""Charges of a part of the netting set, by size, of closing: by hand, by literal twins, and mistakes in the documents."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from risk_books import small_market
from test_margining_mutations import GONE, RENAMED, TWICE, VALUES, changed, paths
from test_margining_venues import MARKET, RATES, base, charged, model, run

from riskproof.errors import ModelError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import (
    Account,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    evaluate_model,
    from_market,
    load_model,
)
from riskproof.risk.margining.book import EXPOSURES
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
    "liquidity_tier": {"kind": "liquidity_tier", "exposure": "option", "tiers": [{"beyond": "250", "rates": RATES}]},
    "stablecoin_hedge": {"kind": "stablecoin_hedge", "rates": RATES},
    "fee": {"kind": "fee", "kinds": ["spot", "perpetual", "future", "option"], "rates": RATES, "cap": "0.25"},
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
    (
        *MARKET.listings,
        Listing("BTC", Kind.SPOT, "BTC", mark=F(99)),
        Listing("ETH", Kind.SPOT, "ETH", mark=F(9)),
        Listing("PERP-USDC", Kind.PERPETUAL, "BTC", mark=F(101), settlement="USDC"),
        replace(MARKET.listings[MARKET.place("P60")], name="P60-USDT", settlement="USDT"),
    ),
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
@pytest.mark.parametrize("scope", [None, *SCOPES])
def test_after_trades_a_charge_is_that_of_the_account_with_the_trades(sets: str, scope: dict[str, Any] | None) -> None:
    own = {} if scope is None else {"scope": scope}
    charges = [{"id": f"c{n}", **charge, **own} for n, charge in enumerate(KINDS.values())]
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


# --- tiers ------------------------------------------------------------------------------------------------------------


def test_tiers_are_marginal() -> None:
    tiers = [
        {"beyond": "0", "rates": {"initial": "0.01", "maintenance": "0"}},
        {"beyond": "200", "rates": {"initial": "0.02", "maintenance": "0.01"}},
        {"beyond": "300", "rates": {"initial": "0.04", "maintenance": "0.5"}},
    ]
    m = one_charge({"kind": "liquidity_tier", "exposure": "perpetual", "tiers": tiers})
    for size, initial, maintenance in (("1", "1", "0"), ("-2.5", "3.5", "0.5"), ("4", "12", "52")):
        assert run(m, {"PERP": size}).charges["x"] == (F(initial), F(maintenance))
    # Each exposure begins at the first tier, whatever its sign and its underlying; an inverse contract's is its notional.
    assert run(m, {"PERP": -4, "ETH-PERP": 25, "INVERSE": 5}).charges["x"][0] == 12 + F("3.5") + F("3.5")


@pytest.mark.parametrize("kind", EXPOSURES)
def test_tiers_of_every_exposure_as_their_literal_twin(kind: str) -> None:
    beyond, rates = ("0", "75", "400"), ("0.3", "0", "2/3")
    tiers = [{"beyond": b, "rates": {"initial": r, "maintenance": "1"}} for b, r in zip(beyond, rates, strict=True)]
    m = one_charge({"kind": "liquidity_tier", "exposure": kind, "tiers": tiers}, collateral=COLLATERAL)
    assert MarginModel.from_document(m.to_document()) == m
    charged_ = set()
    for book in books(12):
        sizes = exposures(kind, book)
        steps = [[max(F(0), e - F(b)) for e in sizes] for b in beyond]
        initial = sum((F(r) * sum(step) for r, step in zip(rates, steps, strict=True)), F(0))
        assert on(m, book).charges["x"] == (initial, sum(map(sum, steps)))
        charged_.add(initial)
    assert len(charged_) > 4


def exposures(kind: str, book: dict[str, Fraction]) -> list[Fraction]:
    """Exposures of a kind, from the page's table."""
    held = [(COINS.listings[COINS.place(n)], q) for n, q in book.items()]
    prices = {"BTC": 100, "ETH": 10}
    base = kind.removesuffix("_mark")
    if base in ("perpetual", "future", "spot", "collateral"):
        found = []
        for x, q in held:
            if x.kind.value == base.replace("collateral", "spot") and x.name != "USD" and x.mark is not None:
                price = F(1) if x.payoff is Payoff.INVERSE else x.mark if kind != base or base == "collateral" else None
                found.append(abs(q) * x.unit * (prices[x.underlying] if price is None else price))
        return found
    expiries: dict[Any, dict[Any, Fraction]] = {}
    for x, q in held:
        if x.kind is Kind.OPTION:
            key = x.strike if kind == "option_naked_short" else x.name
            expiry = expiries.setdefault((x.underlying, x.expiry), {})
            expiry[key] = expiry.get(key, F(0)) + q
    return [
        prices[u] * sum((abs(q) if kind == "option" else max(-q, F(0)) for q in sizes.values()), F(0))
        for (u, _), sizes in expiries.items()
    ]


# --- fees -------------------------------------------------------------------------------------------------------------


def test_a_fee_is_by_position_and_capped_by_an_options_value() -> None:
    """C30 is worth 10, P60 10, ETH-P30 10; PERP, FUTURE cost the index, INVERSE its notional of 50."""
    book = {"PERP": -2, "FUTURE": "0.5", "INVERSE": -1, "C30": 2, "P60": -1, "ETH-P30": 1}
    charge = {"kind": "fee", "kinds": ["perpetual", "future", "option"]}
    assert charged(charge, book)[0] == F(1, 2) * (200 + 50 + 50 + 200 + 100 + 10)
    assert charged(charge | {"cap": "0.75"}, book)[0] == F(1, 2) * (200 + 50 + 50) + F("7.5") * 3 + 5
    assert charged(charge | {"cap": "0.75"}, book)[1] == F(1, 4) * (200 + 50 + 50) + F("7.5") * 3 + F("2.5")
    assert charged(charge | {"cap": "0"}, book)[0] == 150
    assert charged({"kind": "fee", "kinds": ["future"]}, book)[0] == 25


def test_closing_a_holding_of_coins_costs_too() -> None:
    m = one_charge({"kind": "fee", "kinds": ["spot"], "rates": RATES}, collateral=COLLATERAL)
    assert on(m, {"BTC": F(2), "ETH": F(3), "USD": F(-7), "PERP": F(1)}).charges["x"] == (115, F("57.5"))
    assert MarginModel.from_document(m.to_document()) == m


# --- deltas between currencies ----------------------------------------------------------------------------------------


def test_a_hedge_in_another_currency_is_charged_on_its_smaller_side() -> None:
    """Deltas of BTC: PERP 1, INVERSE 0.4, C30 1, PERP-USDC 1, P60-USDT -1; the index is 100."""
    m = one_charge({"kind": "stablecoin_hedge", "rates": RATES})

    def of(**held: Any) -> Fraction:
        book = {n.replace("_", "-"): F(q) for n, q in held.items()}
        return on(m, book).charges["x"][0] * 2 / 100  # coins that are charged

    assert of(PERP=2, PERP_USDC=-1) == 1
    assert of(PERP=2, PERP_USDC=1) == 0
    assert of(PERP=2, FUTURE=-2) == 0  # hedged in one currency
    assert of(PERP=3, FUTURE=-2, PERP_USDC="-0.5") == F("0.5")  # net in each
    assert of(INVERSE=5, PERP_USDC=-3) == 2  # the inverse contract's profit is in dollars
    assert of(PERP=2, C30=1, PERP_USDC=-1, P60_USDT=1) == 2  # 3 against -1 and -1
    assert of(PERP=1, PERP_USDC=-4, P60_USDT=-2) == 3  # 1 and 2 against -4
    assert of(PERP=1, ETH_PERP=-10) == 0  # of one underlying only
    assert on(m, {"PERP": F(1), "PERP-USDC": F(-1)}).charges["x"] == (50, 25)
    assert MarginModel.from_document(m.to_document()) == m


def test_a_market_files_settlement_currencies_reach_the_charge() -> None:
    market = small_market()
    coin = next(x for x in market.registry.instruments if x.kind is Kind.PERPETUAL and x.payoff is Payoff.LINEAR)
    instruments = (*market.registry.instruments, replace(coin, name="COIN", settlement="USDC"))
    registry = replace(market.registry, instruments=instruments)
    quote = market.snapshot.quotes[market.registry.index_of(coin.name)]
    quotes = (*market.snapshot.quotes, quote)
    market = Market(registry, replace(market.snapshot, quotes=quotes, registry_digest=registry.digest))
    exact = from_market(Market.from_bytes(market.to_bytes()))
    assert [x.settlement for x in exact.listings][-2:] == [None, "USDC"]
    m = one_charge({"kind": "stablecoin_hedge", "rates": RATES})
    report = evaluate_model(m, exact, Account.build(exact, {coin.name: F(3), "COIN": F(-2)}))
    price = exact.index(coin.underlying).price
    assert report.charges["x"][0] == price * F(coin.unit, 10**9)


def test_the_stablecoin_charge_of_the_okx_like_model() -> None:
    m = load_model("okx-like")
    hedged, plain = (on(m, {"PERP": F(1), name: F(-1)}) for name in ("PERP-USDC", "FUTURE"))
    assert hedged.charges["mr9"] == (F("0.5"), F("0.5"))
    assert plain.charges["mr9"] == (0, 0)


# --- depeg ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["0.9", "0.97", "0.98", "1.02"])
def test_a_depeg_is_charged_on_its_gap_as_its_literal_twin(price: str) -> None:
    kinds, threshold = ("perpetual_mark", "option_short", "collateral"), "0.98"
    m = one_charge(
        {"kind": "depeg", "exposures": list(kinds), "threshold": threshold, "rates": RATES}, collateral=COLLATERAL
    )
    market = replace(COINS, settlement_price=F(price))
    gap = max(F(0), F(threshold) - F(price))
    found = set()
    for book in books(12):
        report = evaluate_model(m, market, Account.build(market, book))
        size = sum((sum(exposures(kind, book), F(0)) for kind in kinds), F(0))
        assert report.charges["x"] == (gap * size / 2, gap * size / 4)
        found.add(report.charges["x"][0])
    assert len(found) > 4 if gap else found == {0}


# --- mistakes ---------------------------------------------------------------------------------------------------------


def scoped(scope: Any, **members: Any) -> Callable[[dict[str, Any]], None]:
    charge = {"id": "x", "kind": "delta", "measure": "net", "rates": RATES} | members
    return lambda d: d.update(charges=[{**charge, "scope": scope}])


def tiered(tiers: Any, exposure: str = "option") -> Callable[[dict[str, Any]], None]:
    charge = {"id": "x", "kind": "liquidity_tier", "exposure": exposure, "tiers": tiers}
    return lambda d: d.update(charges=[charge])


def fee(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda d: d.update(charges=[{"id": "x", "kind": "fee", "rates": RATES, **members}])


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
    "tiers that do not ascend": (
        tiered([{"beyond": "5", "rates": RATES}, {"beyond": "5", "rates": RATES}]),
        r"m\.charges\[0\]\.tiers\[1\]\.beyond: tiers that do not ascend \(expected above 5\)",
    ),
    "no tier": (tiered([]), r"m\.charges\[0\]\.tiers: no tier \(expected 1 to 64 tiers\)"),
    "too many tiers": (
        tiered([{"beyond": str(n), "rates": RATES} for n in range(65)]),
        r"m\.charges\[0\]\.tiers: not an array in range",
    ),
    "tier below nothing": (
        tiered([{"beyond": "-1", "rates": RATES}]),
        r"m\.charges\[0\]\.tiers\[0\]\.beyond: -1 is out of range",
    ),
    "tier without rates": (tiered([{"beyond": "1"}]), r"m\.charges\[0\]\.tiers\[0\]: member 'rates' is missing"),
    "tier of a rate above the limit": (
        tiered([{"beyond": "1", "rates": {"initial": "0", "maintenance": "101"}}]),
        r"m\.charges\[0\]\.tiers\[0\]\.rates\.maintenance: 101 is out of range",
    ),
    "tiers of no exposure": (
        tiered([{"beyond": "1", "rates": RATES}], exposure="delta"),
        r"m\.charges\[0\]\.exposure: not one of the choices: 'delta'",
    ),
    "fee of no kind": (fee(kinds=[]), r"m\.charges\[0\]\.kinds: no kind, or one twice"),
    "fee of a kind that there is not": (
        fee(kinds=["option", "cash"]),
        r"m\.charges\[0\]\.kinds\[1\]: not one of the choices: 'cash' \(expected spot, perpetual, future, option\)",
    ),
    "cap of what has no value": (
        fee(kinds=["perpetual"], cap="0.1"),
        r"m\.charges\[0\]\.cap: a cap of what has no value \(expected no cap, or option in kinds\)",
    ),
    "cap below nothing": (fee(kinds=["option"], cap="-0.1"), r"m\.charges\[0\]\.cap: -0\.1 is out of range"),
    "fee without rates": (
        lambda d: d.update(charges=[{"id": "x", "kind": "fee", "kinds": ["option"]}]),
        r"m\.charges\[0\]: member 'rates' is missing",
    ),
    "stablecoin hedge without rates": (
        lambda d: d.update(charges=[{"id": "x", "kind": "stablecoin_hedge"}]),
        r"m\.charges\[0\]: member 'rates' is missing",
    ),
    "stablecoin hedge of a negative rate": (
        lambda d: d.update(
            charges=[{"id": "x", "kind": "stablecoin_hedge", "rates": {"initial": "-0.1", "maintenance": "0"}}]
        ),
        r"m\.charges\[0\]\.rates\.initial: -0\.1 is out of range",
    ),
    "depeg of no exposure": (
        lambda d: d.update(charges=[{"id": "x", "kind": "depeg", "exposures": [], "threshold": "1", "rates": RATES}]),
        r"m\.charges\[0\]\.exposures: no exposure, or one twice",
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_member_is_read_or_refused_at_its_charge(kind: str) -> None:
    whole: Any = {
        "id": "x",
        **KINDS[kind],
        "scope": {"underlyings": {"in": ["BTC", "ETH"]}, "kinds": ["option", "spot"]},
    }
    refused = 0
    for path in paths(whole):
        for value in (*VALUES, GONE, RENAMED, TWICE):
            node = {**base(), "charges": [changed(whole, path, value)], "collateral": COLLATERAL}
            error, made = None, None
            try:
                made = MarginModel.from_document(node, "m")
            except ModelError as found:
                error = found
            assert error is None or error.where.startswith("m.charges[0]"), (path, value)
            assert made is None or MarginModel.from_document(made.to_document()) == made
            refused += error is not None
    assert refused > 100


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
