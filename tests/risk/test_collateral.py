"""Haircuts and stressed equity: every integer from its definition, the numeraire apart, refusals, and the sample books' story."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_books import BTC_INDEX, EXPIRED, INSTRUMENTS, UNQUOTED, holdable, random_book, replaced, small_market

from riskproof import encoding
from riskproof.errors import (
    ModelError,
    OverflowMoneyError,
    PortfolioError,
    RegistryError,
    SnapshotError,
    UnknownInstrumentError,
)
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio, parse_book
from riskproof.market.registry import Instrument, Kind, Payoff
from riskproof.market.sample import DEFAULT_TIME, sample_book, sample_market
from riskproof.market.snapshot import Quote
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.collateral import StressedEquity, haircuts, stressed_equity
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import evaluate
from riskproof.units import INT64_MAX, INT64_MIN, PRICE_ONE, RATIO_ONE

MODEL = load_model("crypto-pm")
MARKET = small_market()
ARRAY = compute_array(MARKET, MODEL)
HOLDABLE = holdable(MARKET)
ROOT = Path(__file__).resolve().parents[2]


def model(**collateral: object) -> RiskModel:
    """crypto-pm with another collateral block; none if it is empty."""
    document = json.loads(MODEL.to_bytes())
    del document["collateral"]
    return RiskModel.from_bytes(encoding.canonical_json(document | ({"collateral": collateral} if collateral else {})))


def by_name(market: Market, m: RiskModel) -> dict[str, int]:
    found = haircuts(market, m, compute_array(market, m))
    assert [i for i, _ in found] == sorted({i for i, _ in found})
    return {market.registry.instruments[i].name: amount for i, amount in found}


def equity(book: Portfolio) -> StressedEquity:
    return stressed_equity(MARKET, MODEL, ARRAY, book)


def held(**units: int) -> Portfolio:
    """A book of whole units by name, `_` for `-`."""
    return Portfolio.build(
        (MARKET.registry.index_of(name.replace("_", "-")), 1_000 * quantity) for name, quantity in units.items()
    )


def literal(book: Portfolio) -> list[int]:
    """Stressed equity from the definition, position by position, as fractions."""
    rates = {"BTC": Fraction(5, 100), "USDC": Fraction(1, 100), "USD": Fraction(0)}
    totals = [0] * len(MODEL.scenarios)
    for index, lots in book.positions:
        instrument, value = INSTRUMENTS[index], int(ARRAY.base_value[index])
        charge = max(0, lots * ceil(rates[instrument.underlying] * value)) if instrument.kind is Kind.SPOT else 0
        for s in range(len(totals)):
            totals[s] += lots * (int(ARRAY.entries[s, index]) + value) - charge
    return totals


def test_haircuts_are_rates_of_values_rounded_up() -> None:
    # 5 % of 95,090.62 and 1 % of 0.9998 in micros
    assert by_name(MARKET, MODEL) == {"USDC": 9_998, "BTC": 4_754_531_000}
    assert by_name(MARKET, model(haircuts={"BTC": "0.000000000001"}, other="0.3")) == {"USDC": 299_940, "BTC": 1}


def test_the_numeraire_has_none_even_if_named() -> None:
    named = model(haircuts={"USD": "0.5"}, other="1")
    assert by_name(MARKET, named) == {"USDC": 999_800, "BTC": 95_090_620_000}  # all of the value, and no more


def test_assets_without_a_rate_are_left_out() -> None:
    assert by_name(MARKET, model(haircuts={"BTC": "0"}, other="0.2")) == {"USDC": 199_960}
    assert by_name(MARKET, model(haircuts={"ETH": "0.1"}, other="0")) == {}


def test_a_haircut_of_nothing_is_still_listed() -> None:
    """The rate decides what is in the list (docs/protocol.md, 2.4), not the amount after rounding."""
    dust = Instrument("DUST", Kind.SPOT, "USDC", Payoff.LINEAR, 1)
    assert by_name(small_market(instruments=(*INSTRUMENTS, dust)), MODEL)["DUST"] == 0


def test_unquoted_spot_assets_have_none() -> None:
    eth = Instrument("ETH", Kind.SPOT, "ETH", Payoff.LINEAR, PRICE_ONE)
    quoted = small_market(instruments=(*INSTRUMENTS, eth))
    assert by_name(quoted, MODEL)["ETH"] == 166_458_500
    silent = Market(quoted.registry, replace(quoted.snapshot, quotes=(*quoted.snapshot.quotes[:-1], None)))
    assert "ETH" not in by_name(silent, MODEL)
    book = Portfolio(((quoted.registry.index_of("ETH"), 1),))
    with pytest.raises(PortfolioError, match=r"^ETH: the snapshot does not price this holding"):
        stressed_equity(silent, MODEL, compute_array(silent, MODEL), book)


def test_the_asset_counts_and_not_the_name() -> None:
    tenth = Instrument("BTC-TENTH", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE // 10)
    assert by_name(small_market(instruments=(*INSTRUMENTS, tenth)), MODEL)["BTC-TENTH"] == 475_453_100


def test_the_largest_haircut_fits_64_bits() -> None:
    """It is never more than the value of the unit, which the risk array holds in 64 bits."""
    unit = INT64_MAX // 10**13 * PRICE_ONE  # whole coins at ten million each, in micros
    huge = Instrument("HUGE", Kind.SPOT, "ETH", Payoff.LINEAR, unit)
    quotes = {"HUGE": Quote(10**16)}
    still = replace(model(haircuts={"ETH": "1"}, other="0"), unshocked=("ETH",))
    market = small_market(instruments=(*INSTRUMENTS, huge), quotes=quotes)
    array = compute_array(market, still)
    ((index, amount),) = haircuts(market, still, array)
    assert INT64_MAX // 2 < amount == int(array.base_value[index]) <= INT64_MAX
    more = small_market(instruments=(*INSTRUMENTS, replaced(huge, unit=unit + PRICE_ONE)), quotes=quotes)
    with pytest.raises(OverflowMoneyError, match=r"^HUGE: value or P&L of one unit does not fit 64 bits"):
        compute_array(more, still)


def test_equity_follows_from_its_definition() -> None:
    rng = random.Random(11)
    for most in (1, 50, 10**5, 10**9, INT64_MAX):
        for _ in range(20):
            book = random_book(rng, MARKET, rng.randint(1, len(HOLDABLE)), most)
            found, expected = equity(book), literal(book)
            assert list(found.scenarios) == expected
            assert found.worst == expected.index(min(expected))
            assert found.equity == found.value - found.haircut == expected[MODEL.scenario_index("p0/v0")]
            assert found.exponent == 9


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(HOLDABLE), st.integers(INT64_MIN, INT64_MAX)).map(
        lambda d: Portfolio.build(d.items())
    )
)
def test_equity_is_exact_for_any_lots(book: Portfolio) -> None:
    assert list(equity(book).scenarios) == literal(book)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(HOLDABLE), st.integers(-(10**6), 10**6)), st.integers(-(10**6), 10**6))
def test_netting_never_costs_equity(lots: dict[int, int], more: int) -> None:
    """Haircuts are convex: two books together are worth at least what they are apart."""
    other = {i: more * (1 if i % 2 else -1) for i in HOLDABLE}
    both = Portfolio.build((i, lots.get(i, 0) + other[i]) for i in HOLDABLE)
    apart = [equity(Portfolio.build(x.items())) for x in (lots, other)]
    whole = equity(both)
    assert whole.haircut <= sum(e.haircut for e in apart)
    for s, total in enumerate(whole.scenarios):
        assert total >= sum(e.scenarios[s] for e in apart)


def test_collateral_by_hand() -> None:
    found = equity(held(BTC=2, USD=-100_000))
    assert found.value == 2 * 95_090_620_000_000 - 100_000 * 10**9
    assert found.haircut == 2 * 4_754_531_000_000
    half = round(BTC_INDEX / 2)  # 1e-9: the price after a fall of a half
    assert found.scenarios[0] == 2 * half - 100_000 * 10**9 - found.haircut < 0
    assert MODEL.scenarios[found.worst].price_shock == -RATIO_ONE // 2


def test_what_is_borrowed_is_owed_in_full() -> None:
    found = equity(held(BTC=-1, USDC=-1_000))
    assert found.haircut == 0
    assert found.value == -95_090_620_000_000 - 1_000 * 999_800_000


def test_long_and_short_of_one_asset_in_two_instruments_are_not_netted_for_the_haircut() -> None:
    market = small_market(
        instruments=(*INSTRUMENTS, Instrument("BTC-2", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE)),
    )
    book = Portfolio.build([(market.registry.index_of("BTC"), 1_000), (market.registry.index_of("BTC-2"), -1_000)])
    found = stressed_equity(market, MODEL, compute_array(market, MODEL), book)
    assert (found.value, found.haircut) == (0, 4_754_531_000_000)
    assert set(found.scenarios) == {-4_754_531_000_000}


def test_cash_is_worth_itself_in_every_scenario() -> None:
    index = MARKET.registry.index_of("USD")
    assert not ARRAY.entries[:, index].any()
    assert (ARRAY.base_value[index], ARRAY.buffer[index]) == (10**6, 0)
    book = parse_book(b"instrument,quantity\nUSD,1000000\n", MARKET.registry)
    for sign in (1, -1):
        found = equity(Portfolio.build((i, sign * q) for i, q in book.positions))
        assert set(found.scenarios) == {sign * 10**15}
        assert found.haircut == found.worst == 0
    risk = evaluate(MARKET, MODEL, ARRAY, book)
    assert (risk.value_micros, risk.initial_margin_micros) == (10**12, 0)
    assert risk.greeks is not None
    assert not risk.greeks.by_underlying


def test_futures_perpetuals_and_expired_options_have_no_value() -> None:
    assert equity(held(BTC_PERP=5, BTC_FUT=-5, ETH_PERP=7)).value == 0
    gone = equity(held(**{EXPIRED.replace("-", "_"): 3}))
    assert set(gone.scenarios) == {0}


def test_a_model_without_haircuts_is_refused() -> None:
    silent = model()
    array = compute_array(MARKET, silent)
    for use in (lambda: haircuts(MARKET, silent, array), lambda: stressed_equity(MARKET, silent, array, held(USD=1))):
        with pytest.raises(ModelError, match=r"^collateral: crypto-pm does not say what collateral is worth"):
            use()
    futures = small_market(instruments=tuple(x for x in INSTRUMENTS if x.kind is Kind.FUTURE))
    with pytest.raises(ModelError, match="does not say what collateral is worth"):
        haircuts(futures, silent, compute_array(futures, silent))


def test_an_array_of_something_else_is_refused() -> None:
    book = held(BTC=1)
    other = small_market(indices={"BTC": BTC_INDEX + 1})
    cases: list[tuple[Market, RiskModel, RiskArray, type[Exception]]] = [
        (other, MODEL, ARRAY, SnapshotError),
        (small_market(quantity_exponent=4), MODEL, ARRAY, RegistryError),
        (MARKET, model(haircuts={}, other="0.2"), ARRAY, ModelError),
    ]
    for market, m, array, error in cases:
        with pytest.raises(error, match="risk array was computed"):
            haircuts(market, m, array)
        with pytest.raises(error, match="risk array was computed"):
            stressed_equity(market, m, array, book)


def test_books_that_cannot_be_valued_are_refused() -> None:
    index = MARKET.registry.index_of(UNQUOTED)
    with pytest.raises(PortfolioError, match=rf"^{UNQUOTED}: the snapshot does not price this holding") as caught:
        equity(Portfolio(((index, 987_654),)))
    assert "987" not in str(caught.value)
    with pytest.raises(UnknownInstrumentError, match="no instrument at index 14"):
        equity(Portfolio(((14, 1),)))


def test_the_repr_is_silent() -> None:
    assert repr(equity(held(BTC=7))) == "StressedEquity(<48 scenarios>)"


def test_the_sample_books_are_worth_and_lose_what_the_documentation_says() -> None:
    """docs/market.md, "Sample market": in millions, to one decimal; the loss of both together is rounded up."""
    text = " ".join((ROOT / "docs" / "market.md").read_text().split("## Sample market", 1)[1].split())
    said = re.search(
        r"would lose ([0-9.]+) million in a fall .* worth ([0-9.]+) million .* would lose ([0-9.]+) million in a rise .* "
        r"worth ([0-9.]+) million\. The two together lose at most ([0-9.]+) million",
        text,
    )
    assert said is not None
    market = sample_market()
    array = compute_array(market, MODEL)
    books = [sample_book(name, market) for name in ("market-maker-a", "market-maker-b")]
    a, b = (evaluate(market, MODEL, array, book, with_greeks=False) for book in books)
    worth_a, worth_b = (stressed_equity(market, MODEL, array, book).equity for book in books)
    net_loss = max(-x - y for x, y in zip(a.pnl, b.pnl, strict=True))
    tenth = 10 ** (array.pnl_exponent + 5)
    found = [round(x / tenth) for x in (a.worst_loss, worth_a, b.worst_loss, worth_b)] + [-(-net_loss // tenth)]
    assert [f"{x // 10}.{x % 10}" for x in found] == list(said.groups())


@pytest.mark.parametrize(
    ("seed", "time"), [(1, DEFAULT_TIME), (1, 1_763_730_000), (2, DEFAULT_TIME), (5, 1_790_000_000)]
)
def test_the_sample_market_makers_are_safe_only_together(seed: int, time: int) -> None:
    """Each is worth something and lacks margin at its venue; together they lose little and are solvent in every scenario."""
    market = sample_market(seed, time)
    array = compute_array(market, MODEL)
    books = [sample_book(name, market) for name in ("market-maker-a", "market-maker-b")]
    risks = [evaluate(market, MODEL, array, book, with_greeks=False) for book in books]
    equities = [stressed_equity(market, MODEL, array, book) for book in books]
    for risk, found in zip(risks, equities, strict=True):
        assert 0 < found.equity < risk.worst_loss + risk.buffer
        assert found.scenarios[found.worst] < 0
    assert risks[0].worst_id.startswith("p-50/")
    assert risks[1].worst_id.startswith("p+50/")
    net_loss = max(-sum(both) for both in zip(*(r.pnl for r in risks), strict=True))
    assert 0 < 3 * net_loss < min(r.worst_loss for r in risks)
    assert min(sum(both) for both in zip(*(e.scenarios for e in equities), strict=True)) > 0
    alone = stressed_equity(market, MODEL, array, sample_book("directional", market))
    assert 0 < alone.scenarios[alone.worst] < alone.equity
