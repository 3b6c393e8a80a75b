"""Blocks of the models of SPAN, TIMS, Deribit, OKX and Paradex: by hand, on prices that need no table; and mistakes in them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from risk_books import random_book, small_market

from riskproof.errors import ModelError, PortfolioError, SnapshotError
from riskproof.market.registry import Kind, OptionType, Payoff
from riskproof.risk.margining import (
    Account,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    UnitValues,
    black76,
    evaluate_model,
    from_market,
    from_portfolio,
    load,
    load_model,
    margin,
)
from riskproof.risk.margining.incremental import AccountMargin
from riskproof.risk.model import RiskModel

DAY = 86_400
F = Fraction
VENUES = ["deribit-like", "okx-like", "span16", "tims10", "paradex24", "isolated", "cross"]
DIGESTS = {
    "deribit-like": "a9e0a400169dc702",
    "okx-like": "de8179cda61df403",
    "span16": "5a3f135d00711d12",
    "tims10": "5dff95b74c06e2ce",
    "paradex24": "5f192fea6d4d6712",
    "isolated": "c2d8cd89e31f3748",
    "cross": "f442853616f61ce7",
}


def option(name: str, underlying: str, strike: int, side: OptionType, days: int) -> Listing:
    """At zero volatility: worth its intrinsic value, delta 1, 0 or -1."""
    return Listing(
        name, Kind.OPTION, underlying, expiry=days * DAY, strike=F(strike), option_type=side, volatility=F(0)
    )


MARKET = MarginMarket(
    "USD",
    {"BTC": Index(F(100)), "ETH": Index(F(10))},
    {
        ("BTC", 30 * DAY): Forward(30 * DAY, F(110)),
        ("BTC", 60 * DAY): Forward(60 * DAY, F(120)),
        ("BTC", 73 * DAY): Forward(73 * DAY, F(105)),
        ("ETH", 30 * DAY): Forward(30 * DAY, F(11)),
    },
    (
        Listing("USD", Kind.SPOT, "USD"),
        Listing("PERP", Kind.PERPETUAL, "BTC", mark=F(101)),
        Listing("INVERSE", Kind.PERPETUAL, "BTC", Payoff.INVERSE, unit=F(50), mark=F(125)),
        Listing("FUTURE", Kind.FUTURE, "BTC", expiry=73 * DAY, mark=F(105)),
        option("C30", "BTC", 100, OptionType.CALL, 30),
        option("P60", "BTC", 130, OptionType.PUT, 60),
        Listing("ETH-PERP", Kind.PERPETUAL, "ETH", mark=F(10)),
        option("ETH-P30", "ETH", 21, OptionType.PUT, 30),
    ),
)


def base() -> dict[str, Any]:
    return {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "small",
        "checked": "by hand",
        "grid": {"scenarios": [{"id": "up", "price": "0.1"}, {"id": "down", "price": "-0.1"}]},
        "volatility": {"shocks": {"up": {"add": {"amount": "0.5", "scaled": False}}}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": {"sets": "underlying"},
        "charges": [],
        "aggregate": {"account": {"equity": "value.total", "initial": "loss.all", "maintenance": "loss.all"}},
        "rounding": {"requirement": {"decimals": 2, "direction": "up"}, "value": {"decimals": 2, "direction": "down"}},
        "limits": {"legs": 16, "expiries": 8, "underlyings": 4, "snapshot_age_seconds": 60},
    }


def model(**changes: Any) -> MarginModel:
    return MarginModel.from_document({**base(), **changes})


def run(m: MarginModel, positions: dict[str, Any]) -> MarginReport:
    return evaluate_model(m, MARKET, Account.build(MARKET, {k: F(x) for k, x in positions.items()}))


def charged(charge: dict[str, Any], positions: dict[str, Any]) -> tuple[Fraction, Fraction]:
    rates = {"initial": "0.5", "maintenance": "0.25"}
    return run(model(charges=[{"id": "x", "rates": rates, **charge}]), positions).charges["x"]


def one_scenario(**members: Any) -> dict[str, Any]:
    return {"scenarios": [{"id": "s", **members}]}


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_scan_ranges_are_moves_of_each_underlying() -> None:
    ranges = {"ranges": {"BTC": {"absolute": "30"}}, "other": {"relative": "0.3"}}
    m = model(grid={"scan_ranges": ranges, **one_scenario(price="-1/3")})
    assert run(m, {"PERP": 2}).sets[0].pnl == (F(-20),)
    assert run(m, {"FUTURE": 1}).sets[0].pnl == (F(-10),)  # an absolute move is the same for every expiry
    assert run(m, {"C30": 1}).sets[0].pnl == (F(-10),)
    assert run(m, {"ETH-PERP": 3}).sets[0].pnl == (F(-3),)
    assert run(m, {"ETH-P30": 1}).sets[0].pnl == (F("1.1"),)
    # An inverse contract: 50 (1/125 - 1/115) coins at an index of 90.
    assert run(m, {"INVERSE": 1}).sets[0].pnl[0] == pytest.approx(50 * (1 / 125 - 1 / 115) * 90)


def test_an_underlying_without_a_range_is_refused() -> None:
    m = model(grid={"scan_ranges": {"ranges": {"BTC": {"relative": "0.1"}}}, **one_scenario(price="1")})
    with pytest.raises(PortfolioError, match=r"grid\.scan_ranges: ETH has no scan range \(expected one of BTC\)"):
        run(m, {"ETH-PERP": 1})


def test_an_absolute_range_beyond_a_price_is_refused() -> None:
    for name, price in (("INVERSE", "-1"), ("C30", "-2")):
        m = model(grid={"scan_ranges": {"ranges": {}, "other": {"absolute": "110"}}, **one_scenario(price=price)})
        with pytest.raises(SnapshotError, match=f"{name}: a price that is not positive"):
            run(m, {name: 1})


def test_conversion_at_a_price_is_a_weight_and_has_its_digest() -> None:
    converted = model(grid=one_scenario(price="-0.2", convert_at="-0.2", weight="0.5"))
    weighted = model(grid=one_scenario(price="-0.2", weight="0.625"))
    assert converted == weighted
    assert converted.digest == weighted.digest
    # In coins an inverse contract gains what does not depend on the conversion: 50 (1/125 - 1/100), at the index of 100.
    m = model(grid=one_scenario(price="-0.2", convert_at="-0.2"))
    assert run(m, {"INVERSE": 1}).sets[0].pnl == (-F(10),)


def test_a_dampener_takes_pnl_towards_zero_and_not_beyond() -> None:
    m = model(grid={"scenarios": [{"id": "s", "price": "0.5", "dampener": "15"}, {"id": "t", "price": "-0.5"}]})
    for size, counted in ((1, F("35.5")), (-1, F("-35.5")), ("0.25", F(0)), ("-0.25", F(0))):
        report = run(m, {"PERP": size})
        assert report.sets[0].pnl[0] == counted
        assert report.initial == max(-counted, F("50.5") * F(size))


@pytest.mark.parametrize("name", VENUES)
def test_a_trade_after_the_fact_is_the_book_with_the_trade(name: str) -> None:
    m = load_model(name)
    before = {"PERP": F(3), "C30": F(-2), "P60": F(1), "ETH-PERP": F(-5), "FUTURE": F(-1)}
    trade = {"C30": F("1.5"), "PERP": F(-1), "FUTURE": F("0.25")}
    account = AccountMargin(m, MARKET, Account.build(MARKET, before))
    after = account.after({MARKET.place(n): q for n, q in trade.items()})
    whole = {n: before.get(n, F(0)) + trade.get(n, F(0)) for n in before}
    assert after == evaluate_model(m, MARKET, Account.build(MARKET, whole))


def test_gains_count_less_across_underlyings() -> None:
    aggregate = {"account": {"equity": "value.total", "initial": "joint.all", "maintenance": "loss.all"}}
    m = model(netting={"sets": "underlying", "gain_factor": "0.3"}, aggregate=aggregate)
    report = run(m, {"PERP": 1, "ETH-PERP": -5})
    # up: +10.1 and -5; down: -10.1 and +5
    assert report.initial == F("10.1") - F("0.3") * 5
    assert report.maintenance == F("10.1") + 5
    assert run(model(aggregate=aggregate), {"PERP": 1, "ETH-PERP": -5}).initial == F("5.1")


def test_perpetuals_and_futures_can_move_with_the_index() -> None:
    m = model(pricing={**base()["pricing"], "delta_one": "index"})
    assert run(m, {"PERP": 1, "FUTURE": 1}).sets[0].pnl == (F(20), F(-20))
    assert run(model(), {"PERP": 1, "FUTURE": 1}).sets[0].pnl == (F("20.6"), F("-20.6"))


# --- charges ----------------------------------------------------------------------------------------------------------


def test_delta_is_the_nearest_to_the_exact_one() -> None:
    generator = random.Random(4)
    with mpmath.workdps(60):
        for _ in range(300):
            forward, strike = (generator.randrange(10**16, 10**24) for _ in range(2))
            vol, seconds = generator.randrange(10**15, 4 * 10**18), generator.randrange(1, 10**8)
            s = mpmath.mpf(vol) / 10**18 * mpmath.sqrt(mpmath.mpf(seconds) / (365 * DAY))
            exact = mpmath.ncdf(mpmath.log(mpmath.mpf(forward) / strike) / s + s / 2) * 10**18
            call = black76.delta(True, forward, strike, vol, seconds)
            assert abs(call - exact) <= mpmath.mpf("0.5000001")
            assert black76.delta(False, forward, strike, vol, seconds) == call - 10**18


def test_delta_where_nothing_is_left_to_chance() -> None:
    for vol, seconds in ((0, DAY), (10**18, 0), (10**18, -5)):
        deltas = [black76.delta(True, f, 100, vol, seconds) for f in (99, 100, 101)]
        assert deltas == [0, 10**18 // 2, 10**18]


def test_delta_charges_by_hand() -> None:
    """Deltas in coins: 2 of PERP, -1 of C30, -1 of P60, 0.4 of INVERSE, 5 of ETH-PERP."""
    book = {"PERP": 2, "C30": -1, "P60": 1, "INVERSE": 1, "ETH-PERP": 5}

    def of(**members: Any) -> tuple[Fraction, Fraction]:
        return charged({"kind": "delta", **members}, book)

    assert of(measure="net") == (45, F("22.5"))
    assert of(measure="gross") == ((440 + 50) / F(2), (440 + 50) / F(4))
    assert of(measure="hedged") == (100, 50)
    assert of(measure="net", beyond="45") == (F(5, 2), F(5, 4))  # 40 and 50, each beyond 45
    assert of(measure="gross", beyond="60") == (190, 95)


def test_roll_by_hand() -> None:
    """73 days are a fifth of a year; lines do not net, options of an expiry do."""
    charge = {"kind": "roll", "per_year": "4"}
    assert charged(charge, {"PERP": 1}) == (50, 25)
    assert charged(charge, {"PERP": 1, "FUTURE": -1}) == (50 + 80, 25 + 80)
    assert charged(charge, {"C30": 1}) == (50, 100 * F(30, 365) * 4)
    zero = {"initial": "0", "maintenance": "1"}
    assert charged({**charge, "rates": zero}, {"PERP": 1, "FUTURE": 1})[0] == 0


def test_calendar_spreads_use_up_what_they_pair_in_order() -> None:
    def spread(near: tuple[int, int], far: tuple[int, int], rate: str) -> dict[str, Any]:
        days = [{"from": str(a), "to": str(b)} for a, b in (near, far)]
        return {"near": days[0], "far": days[1], "rates": {"initial": rate, "maintenance": rate}}

    first, second = spread((0, 1), (20, 40), "0.01"), spread((0, 40), (60, 100), "0.1")
    book = {"PERP": 3, "C30": -2, "FUTURE": -5}  # +3 at 0 days, -2 at 30, -5 at 73

    def of(*spreads: dict[str, Any]) -> Fraction:
        m = model(charges=[{"id": "x", "kind": "calendar_spread", "spreads": list(spreads)}])
        return run(m, book).charges["x"][0]

    assert of(first) == 2
    assert of(first, second) == 2 + 10
    assert of(second, first) == 30
    assert of(spread((0, 100), (0, 100), "1")) == 300
    assert of() == 0


def offset_model(*spreads: dict[str, Any]) -> MarginModel:
    requirement = {"sum": ["loss.all", {"mul": ["-1", "charge.x"]}]}
    return model(
        charges=[{"id": "x", "kind": "offset", "spreads": list(spreads)}],
        aggregate={"account": {"equity": "value.total", "initial": requirement, "maintenance": requirement}},
    )


def test_an_offset_credits_a_share_of_both_losses() -> None:
    spread = {"legs": ["BTC", "ETH"], "rates": {"initial": "0.5", "maintenance": "1"}}
    m = offset_model(spread)
    report = run(m, {"PERP": 1, "ETH-PERP": -4})  # 100 against -40; losses 10.1 and 4
    assert report.charges["x"] == ((F("10.1") * F(40, 100) + 4) / 2, F("10.1") * F(40, 100) + 4)
    assert report.initial == F("14.1") - report.charges["x"][0]
    assert report.to_document()["charges"] == {"x": {"initial": "4.02", "maintenance": "8.04"}}
    assert run(m, {"PERP": 1, "ETH-PERP": 4}).charges["x"] == (0, 0)
    assert run(m, {"PERP": 1}).charges["x"] == (0, 0)
    assert run(m, {"USD": 1}).charges["x"] == (0, 0)
    # A second spread of the same two finds nothing left of the smaller side.
    assert run(offset_model(spread, spread), {"PERP": 1, "ETH-PERP": -4}).charges["x"] == report.charges["x"]


def test_every_position_by_itself() -> None:
    positions = {
        "PERP": 1,
        "C30": -1,
        "P60": 1,
    }  # losses 10.1; 11 (a call of 10 that becomes 21); 10 (a put of 10 at 132)
    assert charged({"kind": "standalone", "locked": False}, positions) == (F("31.1") / 2, F("31.1") / 4)
    assert charged({"kind": "standalone", "locked": True}, positions) == (F("21.1") / 2 + 10, F("21.1") / 4 + 10)


def test_every_position_by_itself_with_a_dampener() -> None:
    """A dampener takes a fixed amount, so that size counts: 8 off losses of 10.1 and 20, and all of 5.05."""
    grid = {"scenarios": [{"id": "s", "price": "-0.1", "dampener": "8"}]}
    rates = {"initial": "1", "maintenance": "1"}
    m = model(grid=grid, charges=[{"id": "x", "kind": "standalone", "locked": False, "rates": rates}])
    assert run(m, {"PERP": 1}).charges["x"][0] == F("2.1")
    assert run(m, {"PERP": "0.5"}).charges["x"][0] == 0
    assert run(m, {"C30": 2}).charges["x"][0] == 2 * 10 - 8


def test_digests_do_not_change() -> None:
    """A digest is what attestations name: another one is another model."""
    assert {name: load_model(name).digest.hex()[:16] for name in VENUES} == DIGESTS


def test_terms_by_hand() -> None:
    m = {"kind": "vega_term", "vol": "up"}
    values = UnitValues(model(), MARKET)
    up = [values.option(MARKET.place(n), values.model.scenarios[0].state) for n in ("C30", "P60")]
    assert up == [21 * 10**18, 0]
    state = type(values.model.scenarios[0].state)(vol="up")
    rise = [F(values.option(MARKET.place(n), state), 10**18) - 10 for n in ("C30", "P60")]
    assert min(rise) > 1
    assert charged(m, {"C30": 1, "P60": 1}) == (0, 0)
    assert charged(m, {"C30": 1, "P60": -1}) == (min(rise) / 2, min(rise) / 4)
    assert charged({"kind": "rate"}, {"C30": 1, "P60": -3}) == (
        (10 * F(30, 365) - 30 * F(60, 365)) * F(-1, 2),
        (10 * F(30, 365) - 30 * F(60, 365)) * F(-1, 4),
    )


# --- models that ship -------------------------------------------------------------------------------------------------


def netted() -> MarginModel:
    """The model `cross`, with its scenarios netted over the whole account."""
    document = load_model("cross").to_document()
    buffers = [f"charge.{c['id']}" for c in document["charges"] if c["id"] != "positions"]
    document["netting"] = {"sets": "account"}
    document["aggregate"] = {
        "account": {
            "equity": "value.total",
            "initial": {"sum": [{"mul": ["1.25", {"max": ["0", "loss.all"]}]}, *buffers]},
            "maintenance": {"sum": [{"max": ["0", "loss.all"]}, *buffers]},
        }
    }
    return MarginModel.from_document(document)


def test_isolated_is_at_least_cross_and_cross_at_least_netted() -> None:
    market = small_market(money_exponent=9)
    exact, portfolio_margin, together = from_market(market), load("crypto-pm"), netted()
    assert isinstance(portfolio_margin, RiskModel)
    saved = 0
    for seed in range(40):
        book = random_book(random.Random(seed), market, 6, 5_000)
        account = from_portfolio(market, book)
        if any(q < 0 for place, q in account.positions if place in (1, 2)):
            continue  # borrowed coins, which these models refuse
        isolated, cross = (evaluate_model(load_model(n), exact, account) for n in ("isolated", "cross"))
        net, old = evaluate_model(together, exact, account), margin(portfolio_margin, market, book)
        for name in ("initial", "maintenance"):
            assert getattr(isolated, name) >= getattr(cross, name) >= getattr(net, name) > 0
            # Version 1 prices in 10^-9 with its own kernel, and rounds the buffer of a unit up.
            assert abs(getattr(net, name) - getattr(old, name)) <= getattr(old, name) / 10**6
        saved += cross.initial > net.initial
    assert saved > 3


def test_the_minimum_for_short_options_binds_a_far_one() -> None:
    far = Listing(
        "FAR", Kind.OPTION, "BTC", expiry=30 * DAY, strike=F(500), option_type=OptionType.CALL, volatility=F("0.1")
    )
    market = MarginMarket("USD", MARKET.indices, MARKET.forwards, (*MARKET.listings, far))
    report = evaluate_model(load_model("span16"), market, Account.build(market, {"FAR": F(-2)}))
    assert report.maintenance == F("0.005") * 200
    assert report.initial == F("1.1") * report.maintenance


def test_the_paradex_minimum_binds_a_hedged_book() -> None:
    report = run(load_model("paradex24"), {"PERP": 1, "FUTURE": -1})
    assert report.initial == max(F("0.01") * 100, *(-x for x in report.sets[0].pnl))
    hedged = run(load_model("paradex24"), {"PERP": F("1.05"), "FUTURE": F("-1.01")})
    assert hedged.initial == F("0.02") * 4 + F("0.01") * 101
    assert hedged.maintenance == hedged.initial / 2


# --- mistakes ---------------------------------------------------------------------------------------------------------


def scenario(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda d: d["grid"]["scenarios"][0].update(members)


def ranges(node: Any, price: str = "1") -> Callable[[dict[str, Any]], None]:
    def change(d: dict[str, Any]) -> None:
        d["grid"] = {"scan_ranges": node, **one_scenario(price=price)}

    return change


def charge(**members: Any) -> Callable[[dict[str, Any]], None]:
    rates = {"initial": "0.5", "maintenance": "0.25"}
    return lambda d: d.update(charges=[{"id": "x", "rates": rates, **members}])


def bare(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda d: d.update(charges=[{"id": "x", **members}])


RATES = {"initial": "0.5", "maintenance": "0.25"}
NEAR, FAR = {"from": "0", "to": "30"}, {"from": "30", "to": "60"}
MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "range of nothing": (ranges({"ranges": {}}), r"m\.grid\.scan_ranges\.ranges: no range"),
    "range of no kind": (
        ranges({"ranges": {"BTC": "0.1"}}),
        r'm\.grid\.scan_ranges\.ranges\.BTC: not a scan range \(expected \{"relative": "0\.12"\} or',
    ),
    "negative range": (
        ranges({"ranges": {}, "other": {"relative": "-0.1"}}),
        r"m\.grid\.scan_ranges\.other\.relative: -0\.1 is out of range \(expected at least 0",
    ),
    "ranges of no object": (ranges({"ranges": []}), r"m\.grid\.scan_ranges\.ranges: not an object of ranges"),
    "range that takes a price to zero": (
        ranges({"ranges": {"BTC": {"relative": "0.4"}}}, price="-2.5"),
        r"m\.grid\.scenarios\[0\]\.price: the price of BTC does not stay positive \(expected above -1 over the scan range\)",
    ),
    "conversion at nothing": (
        scenario(convert_at="-1"),
        r"m\.grid\.scenarios\[0\]\.convert_at: the price does not stay positive \(expected above -1\)",
    ),
    "conversion beyond the weight": (
        scenario(convert_at="-0.999"),
        r"m\.grid\.scenarios\[0\]\.convert_at: 1000 is out of range \(expected at least 0 and at most 100\)",
    ),
    "negative dampener": (
        scenario(dampener="-1"),
        r"m\.grid\.scenarios\[0\]\.dampener: -1 is out of range",
    ),
    "gain that counts more": (
        lambda d: d["netting"].update(gain_factor="1.5"),
        r"m\.netting\.gain_factor: 1\.5 is out of range \(expected at least 0 and at most 1\)",
    ),
    "gains across sets where there is one": (
        lambda d: d.update(netting={"sets": "account", "gain_factor": "0.5"}),
        r'm\.netting\.gain_factor: there is one set only \(expected none, or sets "underlying" or "expiry"\)',
    ),
    "offset between sets of one": (
        lambda d: d.update(netting={"sets": "account"}, charges=[{"id": "x", "kind": "offset", "spreads": []}]),
        r"m\.netting\.sets: an offset between sets of one \(expected underlying, or no offset\)",
    ),
    "joint in a set": (
        lambda d: d["aggregate"].update(set={"y": "joint.all"}),
        r"m\.aggregate\.set\.y: no number 'joint\.all'",
    ),
    "joint of no group": (
        lambda d: d["aggregate"]["account"].update(initial="joint.x"),
        r"m\.aggregate\.account\.initial: no number 'joint\.x'",
    ),
    "move of something else": (
        lambda d: d["pricing"].update(delta_one="last"),
        r"m\.pricing\.delta_one: not one of the choices: 'last' \(expected mark, index\)",
    ),
    "delta measured otherwise": (
        charge(kind="delta", measure="both"),
        r"m\.charges\[0\]\.measure: not one of the choices: 'both' \(expected net, gross, hedged\)",
    ),
    "delta beyond less than nothing": (
        charge(kind="delta", measure="net", beyond="-1"),
        r"m\.charges\[0\]\.beyond: -1 is out of range",
    ),
    "roll without its rate": (charge(kind="roll"), r"m\.charges\[0\]: member 'per_year' is missing"),
    "spread of empty days": (
        bare(kind="calendar_spread", spreads=[{"near": {"from": "3", "to": "3"}, "far": FAR, "rates": RATES}]),
        r"m\.charges\[0\]\.spreads\[0\]\.near\.to: an empty range of days \(expected above 3\)",
    ),
    "spread the wrong way round": (
        bare(kind="calendar_spread", spreads=[{"near": FAR, "far": NEAR, "rates": RATES}]),
        r"m\.charges\[0\]\.spreads\[0\]\.far: far starts before near",
    ),
    "offset with itself": (
        bare(kind="offset", spreads=[{"legs": ["BTC", "BTC"], "rates": RATES}]),
        r"m\.charges\[0\]\.spreads\[0\]\.legs: not a spread \(expected two underlyings\)",
    ),
    "offset of more than the loss": (
        bare(kind="offset", spreads=[{"legs": ["BTC", "ETH"], "rates": {"initial": "0.5", "maintenance": "1.5"}}]),
        r"m\.charges\[0\]\.spreads\[0\]\.rates\.maintenance: 1\.5 is out of range",
    ),
    "offset of no group": (
        bare(kind="offset", spreads=[], group="tail"),
        r"m\.charges\[0\]\.group: no scenario of group 'tail' \(expected all\)",
    ),
    "standalone of no group": (
        charge(kind="standalone", locked=True, group="tail"),
        r"m\.charges\[0\]\.group: no scenario of group 'tail' \(expected all\)",
    ),
    "locked or not": (
        charge(kind="standalone", locked="yes"),
        r"m\.charges\[0\]\.locked: not true or false",
    ),
    "vega of no shock": (
        charge(kind="vega_term", vol="down"),
        r"m\.charges\[0\]\.vol: no volatility shock 'down' \(expected up\)",
    ),
    "rate above the limit": (
        bare(kind="rate", rates={"initial": "101", "maintenance": "0"}),
        r"m\.charges\[0\]\.rates\.initial: 101 is out of range",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_at_its_place(name: str) -> None:
    change, message = MISTAKES[name]
    document = copy.deepcopy(base())
    change(document)
    with pytest.raises(ModelError, match=message):
        MarginModel.from_document(document, "m")


def test_relative_moves_do_not_mix_with_scan_ranges() -> None:
    document = base()
    ranges({"ranges": {}, "other": {"relative": "0.1"}})(document)
    document["charges"] = [{"id": "x", "kind": "basis", "up": "0.1", "down": "-0.1", "add": "1", "per_year": "0"}]
    with pytest.raises(ModelError, match=r"m\.charges\[0\]\.kind: relative moves in a model of scan ranges"):
        MarginModel.from_document(document, "m")


def test_a_credit_of_the_account_is_no_number_of_a_set() -> None:
    document = offset_model().to_document()
    document["aggregate"]["set"] = {"y": "charge.x"}
    with pytest.raises(ModelError, match=r"m\.aggregate\.set\.y: no number 'charge\.x'"):
        MarginModel.from_document(document, "m")


@pytest.mark.parametrize("name", VENUES)
def test_what_was_not_checked_is_said(name: str) -> None:
    text = load_model(name).checked
    assert text.startswith("Checked")
    assert "Ours:" in text or "Not checked" in text or name in ("isolated", "cross")
