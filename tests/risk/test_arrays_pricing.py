"""Price list and Greeks: values against marks, Greeks against differences of the kernel's own values."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from risk_books import BTC_INDEX, DAY, EXPIRED, SOON, UNQUOTED, small_market

from riskproof.cli.output import table
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, Payoff
from riskproof.market.sample import sample_book, sample_market
from riskproof.market.snapshot import Curve, Quote
from riskproof.risk.arrays import compute_array
from riskproof.risk.greeks import portfolio_greeks, unit_greeks
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import evaluate
from riskproof.risk.pricing import price_list
from riskproof.units import PRICE_ONE, RATIO_ONE

MARKET = small_market(money_exponent=9)
OPTIONS = [
    i for i, x in enumerate(MARKET.registry.instruments) if x.is_option and MARKET.snapshot.quotes[i] is not None
]


def differences(price: str, vol: str, seconds: int) -> list[float]:
    """P&L of one unit of everything, in the numeraire, under one small shock that all tenors get alike."""
    document = load_model("crypto-pm").to_document()
    document["scenarios"] = [{"id": "s", "price_shock": price, "vol_shock": vol, "time_shift_seconds": seconds}]
    document["vol_scaling"] |= {"short_exponent": "0", "long_exponent": "0"}
    rows = compute_array(MARKET, RiskModel.from_document(document)).rows
    return [x / 1e9 for x in rows[:, 0].tolist()]


def test_delta_and_gamma_are_the_differences_of_values() -> None:
    greeks = unit_greeks(MARKET, range(len(MARKET.registry)))
    up, down = differences("0.0001", "0", 0), differences("-0.0001", "0", 0)
    for i, g in greeks.items():
        x = MARKET.registry.instruments[i]
        if x.underlying in ("USD", "USDC"):
            continue
        quote = MARKET.snapshot.quotes[i]
        assert quote is not None
        forward = MARKET.snapshot.curve[x.underlying, x.expiry].forward if x.is_option else quote.mark  # type: ignore[index]
        assert forward is not None
        step = forward / 1e9 * 1e-4
        assert (up[i] - down[i]) / (2 * step) == pytest.approx(g.delta / 1e12, rel=2e-5, abs=1e-9)
        if x.is_option:
            assert (up[i] + down[i]) / step**2 == pytest.approx(g.gamma / 1e12, rel=1e-4)
        else:
            assert g.gamma == 0


def test_vega_and_theta_are_the_differences_of_values() -> None:
    greeks = unit_greeks(MARKET, OPTIONS)
    up, down = differences("0", "0.001", 0), differences("0", "-0.001", 0)
    later = differences("0", "0", 60)
    for i, g in greeks.items():
        quote = MARKET.snapshot.quotes[i]
        assert quote is not None
        assert quote.volatility is not None
        points = quote.volatility / 1e12 * 0.1
        assert (up[i] - down[i]) / (2 * points) == pytest.approx(g.vega / 1e9, rel=1e-5)
        assert later[i] * DAY / 60 == pytest.approx(g.theta / 1e9, rel=1e-3)


def test_rho_is_minus_the_maturity_times_the_value() -> None:
    greeks = unit_greeks(MARKET, OPTIONS)
    base = compute_array(MARKET, load_model("crypto-pm")).base_value
    for i, g in greeks.items():
        years = (MARKET.registry.instruments[i].expiry - MARKET.snapshot.time) / (365 * DAY)  # type: ignore[operator]
        assert g.rho / 1e9 == pytest.approx(-years * int(base[i]) / 1e9 / 100, rel=1e-6, abs=1e-9)


def test_delta_one_greeks_are_exact() -> None:
    index_of = MARKET.registry.index_of
    greeks = unit_greeks(MARKET, range(len(MARKET.registry)))
    assert greeks[index_of("BTC")].delta == RATIO_ONE
    assert greeks[index_of("ETH-PERP")].delta == RATIO_ONE // 10
    mark = 95_120_500_000_000
    assert greeks[index_of("BTC-PERP")].delta == round(10 * PRICE_ONE * BTC_INDEX * RATIO_ONE / mark**2)
    assert greeks[index_of("USD")].delta == 0
    assert index_of(UNQUOTED) not in greeks
    assert index_of(EXPIRED) not in greeks


def test_portfolio_greeks_are_sums_by_underlying() -> None:
    index_of = MARKET.registry.index_of
    book = Portfolio.build(
        [
            (index_of("BTC"), 2_000),
            (index_of("BTC-SOON-90000-P"), 5_000),
            (index_of("ETH-SOON-3500-C"), -7_500),
            (index_of("ETH-PERP"), 10_000),
            (index_of("USD"), 10**9),
            (index_of(EXPIRED), 4),
        ]
    )
    units = unit_greeks(MARKET, range(len(MARKET.registry)))
    greeks = portfolio_greeks(MARKET, book)
    assert [name for name, *_ in greeks.by_underlying] == ["BTC", "ETH"]
    (_, delta, gamma, net), (_, delta_eth, *_rest) = greeks.by_underlying
    put, call = units[index_of("BTC-SOON-90000-P")], units[index_of("ETH-SOON-3500-C")]
    assert delta == 2 * RATIO_ONE + 5 * put.delta
    assert gamma == 5 * put.gamma
    assert net.vega == 5 * put.vega
    assert delta_eth == pytest.approx(-7.5 * call.delta + RATIO_ONE, abs=1)
    assert net.delta_cash == pytest.approx(delta * BTC_INDEX / 1e12, abs=1)
    assert net.gamma_cash == pytest.approx(gamma / 1e12 * (BTC_INDEX / 1e9) ** 2 / 100 * 1e9, rel=1e-9)
    assert greeks.total.vega == sum(n.vega for *_, n in greeks.by_underlying)
    document = greeks.to_document()
    assert document["by_underlying"][0]["delta"] == str(Decimal(delta) / RATIO_ONE).rstrip("0")
    assert set(document["total"]) == {"delta_cash", "gamma_cash", "vega", "theta", "rho"}
    assert json.loads(json.dumps(document)) == document
    assert portfolio_greeks(MARKET, Portfolio(())).to_document()["by_underlying"] == []


def test_price_list_of_the_sample_market_agrees_with_its_marks() -> None:
    market = sample_market()
    prices = price_list(market)
    assert len(prices.rows) == len(market.registry)
    for row in prices.rows:
        assert row.value_micros is not None
        if row.instrument.kind in (Kind.FUTURE, Kind.PERPETUAL):
            assert row.value_micros == 0
            assert row.mark_micros is None
            continue
        assert row.mark_micros is not None
        if row.instrument.kind is Kind.SPOT:
            assert row.mark_micros == row.value_micros
        else:  # the sample's marks are rounded to 1e-9 of a coin
            coin = market.snapshot.index_price[row.instrument.underlying] / 1e9
            assert abs(row.mark_micros - row.value_micros) <= coin * 0.0001 * 1e6


def test_price_list_says_what_is_not_priced() -> None:
    prices = price_list(MARKET)
    documents = {d["instrument"]: d for d in prices.to_document()["instruments"]}
    assert documents[UNQUOTED]["status"] == "not quoted"
    assert documents[EXPIRED]["status"] == "expired"
    for name in (UNQUOTED, EXPIRED):
        assert all(documents[name][m] is None for m in ("value_micros", "mark_micros", "price", "volatility", "greeks"))
    assert documents["BTC"]["value_micros"] == documents["BTC"]["mark_micros"] == BTC_INDEX // 1_000
    assert documents["BTC-PERP"]["price"] == "95120.5"
    assert documents["BTC-SOON-90000-P"]["volatility"] == "0.4555"
    assert [d["index"] for d in prices.to_document()["instruments"]] == list(range(len(MARKET.registry)))
    text = prices.to_text(table).splitlines()
    assert len(text) == len(MARKET.registry) + 2
    assert "not quoted" in text[2 + MARKET.registry.index_of(UNQUOTED)]
    assert "95120.5" in text[2 + MARKET.registry.index_of("BTC-PERP")]


def test_marks_of_inverse_options_are_turned_into_the_numeraire() -> None:
    quotes = {"BTC-SOON-90000-P": Quote(mark=12_345_678, volatility=RATIO_ONE), "ETH-SOON-3000-P": Quote(50, RATIO_ONE)}
    market = small_market(quotes=quotes)
    rows = {row.instrument.name: row for row in price_list(market).rows}
    assert rows["BTC-SOON-90000-P"].mark_micros == round(12_345_678 * BTC_INDEX / 10**12)
    assert rows["ETH-SOON-3000-P"].mark_micros == 0  # 50e-9 of a dollar, a tenth of a coin
    assert rows["BTC-SOON-90000-C"].mark_micros is None


def test_value_of_a_book_is_the_sum_of_the_listed_values() -> None:
    market, model = sample_market(), load_model("crypto-pm")
    array, rows = compute_array(market, model), price_list(market).rows
    for name in ("market-maker-a", "market-maker-b", "directional"):
        book = sample_book(name, market)
        found = evaluate(market, model, array, book)
        total = sum(q * (rows[i].value_micros or 0) for i, q in book.positions)
        assert found.value_micros == total // 10**market.registry.quantity_exponent
        assert found.greeks is not None


def test_a_tiny_volatility_has_greeks() -> None:
    curves = [Curve("BTC", SOON, BTC_INDEX)]
    instruments = tuple(
        x for x in MARKET.registry.instruments if x.expiry == SOON and x.underlying == "BTC" and x.is_option
    )
    quotes = {x.name: Quote(volatility=0) for x in instruments}
    market: Market = small_market(instruments=instruments, curves=curves, quotes=quotes)
    for i, x in enumerate(instruments):
        assert x.payoff is Payoff.INVERSE
        assert unit_greeks(market, [i])[i].gamma == 0
