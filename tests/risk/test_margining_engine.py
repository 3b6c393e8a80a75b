"""The engine on books small enough to work out by hand, and on the market file that everything else uses."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from risk_books import UNQUOTED, random_book, small_market

from riskproof.errors import PortfolioError, SnapshotError, UnknownInstrumentError
from riskproof.market.feeds import CurveFeed, Feeds
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, OptionType, Payoff
from riskproof.risk.arrays import compute_array
from riskproof.risk.margining import (
    Account,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    UnitValues,
    evaluate_model,
    from_market,
    from_portfolio,
    load,
    load_model,
    margin,
)
from riskproof.risk.model import RiskModel
from riskproof.risk.portfolio_risk import evaluate
from riskproof.units import RATIO_ONE, format_decimal

DAY = 86_400
CALL, PUT = OptionType.CALL, OptionType.PUT


def option(name: str, strike: int, side: OptionType, expiry: int = 30 * DAY, vol: str = "0") -> Listing:
    return Listing(
        name,
        Kind.OPTION,
        "BTC",
        expiry=expiry,
        strike=Fraction(strike),
        option_type=side,
        volatility=Fraction(vol),
        confidence=Fraction("0.8"),
    )


MARKET = MarginMarket(
    "USDC",
    {"BTC": Index(Fraction(100), Fraction("0.9")), "ETH": Index(Fraction(10), Fraction(1))},
    {
        ("BTC", 30 * DAY): Forward(30 * DAY, Fraction(110), Fraction(0), Fraction("0.1"), Fraction("0.7"), Fraction(1)),
        ("BTC", 60 * DAY): Forward(60 * DAY, Fraction(120), Fraction(30), Fraction(0), Fraction(1), Fraction(1)),
    },
    (
        Listing("USDC", Kind.SPOT, "USDC"),
        Listing("BTC", Kind.SPOT, "BTC", mark=Fraction(99), confidence=Fraction("0.6")),
        Listing("BTC-PERP", Kind.PERPETUAL, "BTC", mark=Fraction(101), confidence=Fraction("0.5")),
        option("C100", 100, CALL),
        option("P100", 100, PUT),
        option("P130", 130, PUT),
        option("FAR", 100, CALL, 60 * DAY),
        Listing("ETH-PERP", Kind.PERPETUAL, "ETH", mark=Fraction(10), confidence=Fraction(1)),
    ),
    settlement_price=Fraction("0.5"),
)


def model(**changes: Any) -> MarginModel:
    """A small model with the blocks that a test wants."""
    document: dict[str, Any] = {
        "schema": "riskproof/model/v2",
        "name": "small",
        "description": "small",
        "checked": "by hand",
        "grid": {
            "scenarios": [
                {"id": "up", "price": "0.1"},
                {"id": "down", "price": "-0.5", "weight": "0.5", "group": "tail"},
            ]
        },
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": {"sets": "account"},
        "charges": [],
        "aggregate": {
            "set": {"worst": {"max": ["loss.all", "loss.tail", "0"]}},
            "account": {"equity": "value.total", "initial": {"mul": ["worst", "2"]}, "maintenance": "worst"},
        },
        "collateral": {
            "conversion": "settlement_price",
            "assets": {"BTC": {"initial": "0.2", "maintenance": "0.1", "moves": True}},
        },
        "rounding": {"requirement": {"decimals": 2, "direction": "up"}, "value": {"decimals": 2, "direction": "down"}},
        "limits": {"legs": 6, "expiries": 2, "underlyings": 2, "snapshot_age_seconds": 60},
    }
    return MarginModel.from_document({**document, **changes})


def run(m: MarginModel, positions: dict[str, Any], **members: Any) -> MarginReport:
    account = Account.build(MARKET, {k: Fraction(x) for k, x in positions.items()}, **members)
    return evaluate_model(m, MARKET, account)


def charged(charge: dict[str, Any], positions: dict[str, Any], **members: Any) -> tuple[Fraction, Fraction]:
    return run(model(charges=[{"id": "x", **charge}]), positions, **members).charges["x"]


def test_scenarios_by_hand() -> None:
    """C100 at zero volatility is worth 10; 121 - 100 after +10 %, nothing after -50 %."""
    report = run(
        model(), {"USDC": 1_000, "BTC-PERP": "1.5", "C100": -2, "BTC": 3}, receivables={"BTC-PERP": Fraction(-7)}
    )
    spot = Fraction(3 * 99) / Fraction("0.5")
    up = Fraction("1.5") * Fraction("10.1") - 2 * 11 + spot / 10
    down = (Fraction("1.5") * Fraction("-50.5") + 2 * 10 - spot / 2) / 2
    assert report.sets[0].pnl == (up, down)
    assert report.values == {
        "options": Fraction(-20),
        "spot": spot,
        "receivables": Fraction(-7),
        "cash": Fraction(1_000),
    }
    assert report.equity == 1_000 - 7 - 20 + spot
    assert report.maintenance == -down
    assert report.initial == -2 * down
    assert report.excess_initial == report.equity - report.initial
    assert [(c.set, c.margin, c.term, c.binding) for c in report.choices] == [
        ("account", "initial", "worst", "loss.tail"),
        ("account", "maintenance", "worst", "loss.tail"),
    ]
    assert dict(report.choices[0].candidates) == {"loss.all": -up, "loss.tail": -down, "0": Fraction(0)}
    assert report.sets[0].worst == (("all", 0), ("tail", 1))
    document = report.to_document()
    assert document["maintenance_margin"] == "176.38"  # 176.375
    assert document["sets"][0]["scenarios"] == [{"id": "up", "pnl": "52.55"}, {"id": "down", "pnl": "-176.38"}]
    assert "1000" not in repr(report) + repr(report.sets) + repr(report.choices)


def test_the_settled_part_of_a_forward_does_not_move() -> None:
    report = run(model(), {"FAR": 1})
    assert report.values["options"] == 20
    assert report.sets[0].pnl[0] == 9  # 30 + 90 * 1.1 = 129
    assert report.sets[0].pnl[1] == -10  # 30 + 45 = 75: worth nothing, by half


def test_an_adverse_scenario_takes_each_expiry_at_its_worst() -> None:
    grid = {"scenarios": [{"id": "skew", "price": "0.1", "expiry_pnl": "adverse"}]}
    report = run(
        model(grid=grid, aggregate={"account": {"equity": "0", "initial": "loss.all", "maintenance": "0"}}),
        {"C100": 1, "FAR": -1},
    )
    assert report.initial == 11 + 9


def test_static_discounts_by_sign() -> None:
    side = {"rate_multiplier": "2", "rate_addition": "0"}
    pricing = {
        "kernel": "black76-nearest/1",
        "discounting": "none",
        "static_discount": {"long": {"base": "0.5", **side}, "short": {"base": "3", **side, "limit": "undiscounted"}},
    }
    grid = {"scenarios": [{"id": "still"}]}
    m = model(
        grid=grid, pricing=pricing, aggregate={"account": {"equity": "0", "initial": "loss.all", "maintenance": "0"}}
    )
    assert run(m, {"FAR": 1}).initial == 10  # its rate is zero: half of 20
    assert run(m, {"FAR": -1}).initial == 0  # at most one over a discount factor of one
    loss = run(m, {"C100": 1}).initial
    expected = 10 - 5 * (2.718281828459045 ** (-0.2 * 30 / 365))
    assert abs(float(loss) - expected) < 1e-12
    far = replace(MARKET.forwards["BTC", 30 * DAY], seconds=365 * DAY)
    steep = {"long": {"base": "1", **side, "rate_addition": "100"}}
    assert model(pricing=pricing | {"static_discount": steep}).pricing.static_factors(far) == (0, 1)  # exp(-100.2)


def test_notional_charges() -> None:
    rates = {"rates": {"initial": "0.1", "maintenance": "0.05"}, "kind": "notional"}
    book = {"BTC-PERP": "-2", "C100": 3, "P100": "-4", "P130": -5, "FAR": -1, "BTC": 2}
    sizes = {
        "perpetual": 200,
        "perpetual_mark": 202,
        "option": 1_300,
        "option_short": 1_000,
        "option_naked_short": 700,
        "spot": 200,
        "collateral": 396,
        "future": 0,
    }
    for exposure, size in sizes.items():
        assert charged({**rates, "exposure": exposure}, book) == (Fraction(size, 10), Fraction(size, 20)), exposure
    assert charged({"kind": "haircut"}, book) == (Fraction(396, 5), Fraction(396, 10))


def test_confidence_charges() -> None:
    book = {"BTC-PERP": -1, "C100": 2, "FAR": 1, "BTC": 1}
    rates = {"initial": "0.5", "maintenance": "0"}

    def charge(exposure: str, feeds: list[str], threshold: str) -> Fraction:
        initial, maintenance = charged(
            {"kind": "confidence", "exposure": exposure, "feeds": feeds, "threshold": threshold, "rates": rates}, book
        )
        assert maintenance == 0
        return initial

    assert charge("perpetual", ["index"], "0.9") == 0  # 0.9 is not below
    assert charge("perpetual", ["index"], "0.91") == Fraction("0.05") * 100
    assert charge("perpetual", ["index", "perpetual"], "0.91") == Fraction("0.25") * 100
    assert charge("option", ["forward"], "1") == Fraction("0.15") * 200  # only the near expiry
    assert charge("option", ["forward", "volatility"], "1") == Fraction("0.15") * 200 + Fraction("0.1") * 100
    assert charge("collateral", ["own", "market"], "0.7") == Fraction("0.2") * 198


def test_a_confidence_that_is_not_published() -> None:
    bare = replace(MARKET, indices={"BTC": Index(Fraction(100))})
    charge = {
        "id": "x",
        "kind": "confidence",
        "exposure": "perpetual",
        "feeds": ["index"],
        "threshold": "1",
        "rates": {"initial": "1", "maintenance": "0"},
    }
    account = Account.build(bare, {"BTC-PERP": Fraction(1)})
    with pytest.raises(
        SnapshotError, match=r"index of BTC: no confidence \(expected the oracle's confidence, 0 to 1\)"
    ):
        evaluate_model(model(charges=[charge]), bare, account)
    report = evaluate_model(model(charges=[{**charge, "missing": "0.25"}]), bare, account)
    assert report.charges["x"] == (75, 0)


def test_depeg_charge() -> None:
    charge = {
        "kind": "depeg",
        "exposures": ["perpetual", "option_short"],
        "threshold": "0.75",
        "rates": {"initial": "2", "maintenance": "1"},
    }
    assert charged(charge, {"BTC-PERP": -1, "P100": -1, "C100": 5}) == (100, 50)
    assert charged({**charge, "threshold": "0.5"}, {"BTC-PERP": -1}) == (0, 0)


def test_basis_charge() -> None:
    charge = {"kind": "basis", "up": "0.1", "down": "-0.05", "add": "1", "per_year": "73"}
    # C100 short: -11 up, +5.5 down, times 1 + 73 * 30 / 365 = 7; FAR long: +9, -4.5 by 1 + 12 = 13
    assert charged(charge, {"C100": -1, "FAR": 1}) == (77 + Fraction("58.5"),) * 2


def test_basis_charge_of_inverse_options() -> None:
    """The forward moves alone: the index that converts does not."""
    listings = tuple(replace(x, payoff=Payoff.INVERSE) if x.name == "C100" else x for x in MARKET.listings)
    inverse = replace(MARKET, listings=listings, money_exponent=12)
    charge = {"id": "x", "kind": "basis", "up": "0.1", "down": "-0.05", "add": "1", "per_year": "0"}
    report = evaluate_model(model(charges=[charge]), inverse, Account.build(inverse, {"C100": Fraction(-1)}))
    lost = (121 - 100) * Fraction(100, 121) - (110 - 100) * Fraction(100, 110)
    assert abs(report.charges["x"][0] - lost) <= Fraction(1, 10**12)


def test_standard_option_charge() -> None:
    charge = {
        "kind": "standard_option",
        "spot_minimum": "0.1",
        "spot_maximum": "0.15",
        "call_maintenance": "0.075",
        "put_maintenance": "0.05",
        "put_value_maintenance": "0.5",
        "put_initial_scale": "1.25",
        "unpaired": {"initial": "1.2", "maintenance": "1.1"},
    }
    # call at 100: value -10, spot 100: isolated -10 - 15 and -10 - 7.5; bounded: no loss at 0 and at 100, less 110 of forward
    assert charged(charge, {"C100": -1}) == (25, Fraction("17.5"))
    # put at 130, forward 110: value -20, half of it beats 5; initial: 20 + 15 (in the money) or 30 * 1.25
    assert charged(charge, {"P130": -1}) == (Fraction("37.5"), 30)
    # a put spread loses at most 30
    assert charged(charge, {"P130": -1, "P100": 1}) == (30, 30)
    assert charged(charge, {"C100": 1}) == (0, 0)


def test_netting_sets_by_underlying_do_not_net() -> None:
    book = {"BTC-PERP": 1, "ETH-PERP": -10, "USDC": 5}
    together, apart = run(model(), book), run(model(netting={"sets": "underlying"}), book)
    assert [s.name for s in apart.sets] == ["BTC", "ETH"]
    assert together.maintenance == Fraction("0.25")  # -50.5 and +50, by half
    assert apart.maintenance == Fraction("25.25") + 10
    assert together.equity == apart.equity == 5


def test_expressions() -> None:
    account = {
        "equity": {"round": {"value": "2/3", "decimals": 2, "mode": "half_even"}},
        "initial": {
            "sum": [{"round": {"value": "-2/3", "decimals": 1, "mode": "up"}}, {"min": ["3", {"mul": ["2", "a"]}]}]
        },
        "maintenance": {"round": {"value": "-2/3", "decimals": 1, "mode": "down"}},
        "a": "feed.settlement_price",
    }
    report = run(model(aggregate={"account": account}), {})
    assert (report.equity, report.initial, report.maintenance) == (Fraction("0.67"), Fraction("0.4"), Fraction("-0.7"))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (
            dict.fromkeys(("USDC", "BTC", "BTC-PERP", "C100", "P100", "P130", "FAR"), 1),
            r"limits\.legs: 7 legs \(expected at most 6 under small\)",
        ),
        ({"BTC": -1}, r"BTC: collateral is owed"),
    ],
)
def test_books_that_the_model_does_not_take(positions: dict[str, int], message: str) -> None:
    with pytest.raises(PortfolioError, match=message):
        run(model(), positions)


def test_limits_and_collateral_that_is_not_taken() -> None:
    limits = {"legs": 6, "expiries": 1, "underlyings": 1, "snapshot_age_seconds": 60}
    with pytest.raises(PortfolioError, match=r"limits\.expiries: 2 expiries"):
        run(model(limits=limits), {"C100": 1, "FAR": 1})
    with pytest.raises(PortfolioError, match=r"limits\.underlyings: 2 underlyings"):
        run(model(limits=limits), {"BTC-PERP": 1, "ETH-PERP": 1})
    with pytest.raises(
        PortfolioError, match=r"collateral\.assets: BTC is no collateral of this model \(expected one of DAI\)"
    ):
        run(
            model(collateral={"conversion": "none", "assets": {"DAI": {"initial": "0", "maintenance": "0"}}}),
            {"BTC": 1},
        )
    bare = model().to_document()
    del bare["collateral"]
    with pytest.raises(PortfolioError, match=r"BTC: the model takes no collateral but cash \(expected USDC only\)"):
        run(MarginModel.from_document(bare), {"BTC": 1})
    with pytest.raises(UnknownInstrumentError, match="positions: no instrument 'DOGE'"):
        run(model(), {"DOGE": 1})
    with pytest.raises(PortfolioError, match="positions: not sorted"):
        Account(((2, Fraction(1)), (1, Fraction(1))))


def test_collateral_terms_by_market() -> None:
    block = model().to_document()["collateral"] | {"markets": {"ETH": {"BTC": {"initial": "1", "maintenance": "1"}}}}
    m = model(collateral=block, charges=[{"id": "x", "kind": "haircut"}])
    assert run(m, {"BTC": 1}, underlying="ETH").charges["x"] == (198, 198)
    assert run(m, {"BTC": 1}, underlying="BTC").charges["x"] == (Fraction("39.6"), Fraction("19.8"))
    assert run(m, {"BTC": 1}, underlying="ETH").sets[0].pnl == (0, 0)  # and there it does not move


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forwards": {}}, r"C100: no forward for the expiry"),
        ({"indices": {}}, r"index of BTC: no index price"),
        ({"settlement_price": Fraction(0)}, r"settlement_price: not positive"),
    ],
)
def test_markets_that_lack_something(change: dict[str, Any], message: str) -> None:
    lacking = replace(MARKET, **change)
    charge = {"id": "x", "kind": "notional", "exposure": "option", "rates": {"initial": "1", "maintenance": "1"}}
    with pytest.raises(SnapshotError, match=message):
        evaluate_model(model(charges=[charge]), lacking, Account.build(lacking, {"C100": Fraction(1)}))
    unquoted = replace(
        MARKET, listings=(replace(MARKET.listings[3], volatility=None), replace(MARKET.listings[2], mark=None))
    )
    with pytest.raises(SnapshotError, match="C100: no volatility"):
        evaluate_model(model(), unquoted, Account.build(unquoted, {"C100": Fraction(1)}))
    for change, message in (
        ({"strike": Fraction(0)}, r"C100: a price that is not positive \(expected forward and strike above zero\)"),
        ({"volatility": Fraction(-1)}, r"C100: a negative volatility \(expected zero or more\)"),
    ):
        wrong = replace(MARKET, listings=(replace(MARKET.listings[3], **change),))
        with pytest.raises(SnapshotError, match=message):
            evaluate_model(model(), wrong, Account.build(wrong, {"C100": Fraction(1)}))
    with pytest.raises(SnapshotError, match="BTC-PERP: no mark"):
        evaluate_model(model(), unquoted, Account.build(unquoted, {"BTC-PERP": Fraction(1)}))


def test_values_are_shared_between_accounts() -> None:
    m = model()
    values = UnitValues(m, MARKET)
    first = evaluate_model(m, MARKET, Account.build(MARKET, {"C100": Fraction(1)}), values)
    assert values.option(3, m.scenarios[0].state) == 21 * 10**18
    again = evaluate_model(m, MARKET, Account.build(MARKET, {"C100": Fraction(2)}), values)
    assert [2 * x for x in first.sets[0].pnl] == list(again.sets[0].pnl)
    with pytest.raises(AssertionError):
        evaluate_model(model(name="other"), MARKET, Account(()), values)


def test_an_empty_account_needs_nothing() -> None:
    for name in ("derive-pm1", "derive-pm2", "derive-srm"):
        report = evaluate_model(load_model(name), MARKET, Account(()))
        assert (report.equity, report.initial, report.maintenance) == (0, 0, 0)


def _crypto_pm_as_version2() -> MarginModel:
    """crypto-pm written as a document of version 2."""
    one = load("crypto-pm")
    assert isinstance(one, RiskModel)

    def ratio(x: int) -> str:
        return format_decimal(x, 12)

    shocks = sorted({s.vol_shock for s in one.scenarios if s.vol_shock})
    scenarios = []
    for s in one.scenarios:
        scenario = {"id": s.id, "price": ratio(s.price_shock), "time_shift_seconds": s.time_shift_seconds}
        scenarios.append(scenario | ({"vol": f"v{shocks.index(s.vol_shock)}"} if s.vol_shock else {}))
    scaling = one.vol_scaling
    exposures = {"spot": "collateral", "perpetual": "perpetual_mark", "future": "future_mark", "option": "option"}
    charges = [
        {
            "id": kind.value,
            "kind": "notional",
            "exposure": exposures[kind.value],
            "rates": {"initial": ratio(rate), "maintenance": ratio(rate)},
        }
        for kind, rate in one.buffer_rates
    ]
    loss = {"sum": ["worst", *(f"charge.{c['id']}" for c in charges)]}
    still = {"initial": "0", "maintenance": "0"}
    return model(
        grid={"scenarios": scenarios},
        volatility={
            "scaling": {
                "power": {
                    "reference_days": str(scaling.reference_days),
                    "floor_days": str(scaling.floor_days),
                    "short": ratio(scaling.short_exponent),
                    "long": ratio(scaling.long_exponent),
                }
            },
            "shocks": {f"v{i}": {"multiply": {"amount": ratio(x), "scaled": True}} for i, x in enumerate(shocks)},
        },
        pricing={"kernel": "black76-nearest/1", "discounting": "rate"},
        charges=charges,
        aggregate={
            "set": {"worst": {"max": ["loss.all", "0"]}},
            "account": {
                "equity": "value.total",
                "initial": {"mul": [ratio(one.initial_factor), loss]},
                "maintenance": loss,
            },
        },
        collateral={"conversion": "none", "assets": {"USDC": still}, "other": {**still, "moves": True}},
        limits={"legs": 100, "expiries": 100, "underlyings": 9, "snapshot_age_seconds": 60},
    )


def test_both_engines_agree_on_what_both_can_say() -> None:
    """Two implementations of pricing, states, netting and buffer: inverse and linear options, perpetuals, futures, collateral."""
    market = small_market(money_exponent=12)
    one, two = load("crypto-pm"), _crypto_pm_as_version2()
    assert isinstance(one, RiskModel)
    array = compute_array(market, one)
    draw = random.Random(4)
    for _ in range(25):
        book = random_book(draw, market, 9, 3_000)
        positive = Portfolio.build(
            (i, abs(q) if market.registry.instruments[i].kind is Kind.SPOT else q) for i, q in book.positions
        )
        old, new = evaluate(market, one, array, positive, with_greeks=False), margin(two, market, positive)
        unit = Fraction(1, 10**old.pnl_exponent)
        size = sum(abs(q) for _, q in positive.positions)
        for a, b in zip(old.pnl, new.sets[0].pnl, strict=True):
            assert abs(a * unit - b) <= Fraction(size, 10**11)
        assert abs(old.value * unit - new.equity) <= Fraction(size, 10**11)
        assert abs((old.worst_loss + old.buffer) * unit - new.maintenance) <= Fraction(size, 10**10)


def test_version_1_gives_its_own_numbers_through_the_same_call() -> None:
    market, draw = small_market(), random.Random(5)
    one = load("crypto-pm")
    assert isinstance(one, RiskModel)
    array = compute_array(market, one)
    for _ in range(5):
        book = random_book(draw, market, 8, 2_000)
        old, new = evaluate(market, one, array, book, with_greeks=False), margin(one, market, book)
        document = new.to_document()
        assert Fraction(document["initial_margin"]) * 10**6 == old.initial_margin_micros
        assert Fraction(document["maintenance_margin"]) * 10**6 == old.maintenance_margin_micros
        assert Fraction(document["equity"]) * 10**6 == old.value_micros
        assert sum(new.values.values()) == new.equity
        assert new.sets[0].worst == (("all", old.worst_index),)
        assert new.model_digest == one.digest
    with pytest.raises(PortfolioError, match="receivables: a model of version 1 has no receivables"):
        margin(one, market, Portfolio(()), {0: Fraction(1)})


def test_a_market_file_with_feeds() -> None:
    plain = small_market()
    snapshot = plain.snapshot
    soon = next(c for c in snapshot.curves if c.underlying == "BTC" and c.rate == 0 and c.expiry > snapshot.time + DAY)
    perpetual = plain.registry.index_of("ETH-PERP")
    feeds = Feeds(
        999_000_000,
        (("BTC", RATIO_ONE // 2),),
        (CurveFeed("BTC", soon.expiry, soon.forward // 4, RATIO_ONE, 0),),
        ((perpetual, 7),),
    )
    market = Market(plain.registry, replace(snapshot, feeds=feeds))
    read = from_market(Market.from_bytes(market.to_bytes()))
    assert read == from_market(market)
    assert read.settlement_price == Fraction("0.999")
    assert read.index("BTC").confidence == Fraction(1, 2)
    assert read.index("ETH").confidence is None
    forward = read.forwards["BTC", soon.expiry]
    assert (forward.settled, forward.confidence, forward.rate_confidence) == (Fraction(soon.forward // 4, 10**9), 1, 0)
    assert read.listings[perpetual].confidence == Fraction(7, RATIO_ONE)
    assert market.snapshot.digest != snapshot.digest
    assert from_market(plain).settlement_price == 1


def test_books_on_a_market_file() -> None:
    market = small_market()
    place = market.registry.index_of
    book = Portfolio.build([(place("BTC-GONE-90000-C"), 5), (place("ETH-PERP"), -1_500)])
    account = from_portfolio(market, book, {place("ETH-PERP"): Fraction(3)})
    assert account.positions == ((place("ETH-PERP"), Fraction("-1.5")),)  # what has expired is gone
    assert "1.5" not in repr(account)
    with pytest.raises(PortfolioError, match=f"{UNQUOTED}: the snapshot does not price it"):
        from_portfolio(market, Portfolio.build([(place(UNQUOTED), 1)]))
    with pytest.raises(PortfolioError, match="receivables: not a perpetual or future"):
        from_portfolio(market, book, {place("BTC"): Fraction(3)})
    report = margin(
        load("derive-pm2"), market, Portfolio.build([(place("ETH-PERP"), -1_500)]), {place("ETH-PERP"): Fraction(3)}
    )
    assert report.equity == 3
    assert report.choices[0].binding == "loss.regular"
