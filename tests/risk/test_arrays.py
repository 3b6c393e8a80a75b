"""Risk arrays: golden digests, equality with the kernel's literal twin, the meaning of every kind of entry, refusals."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from risk_books import (
    BTC_INDEX,
    DAY,
    EXPIRED,
    FAR,
    INSTRUMENTS,
    NEAR,
    SOON,
    TIME,
    UNQUOTED,
    option,
    replaced,
    small_market,
)

from riskproof.errors import DeadlineError, OverflowMoneyError, SnapshotError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff
from riskproof.market.sample import sample_market
from riskproof.market.snapshot import Curve, Quote
from riskproof.risk.arrays import BLOCK, RiskArray, compute_array
from riskproof.risk.kernel.twin import risk_entries_twin
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import evaluate
from riskproof.risk.states import market_states, notional
from riskproof.units import INT64_MAX, PRICE_ONE, RATIO_ONE, format_decimal, round_half_even

MODEL = load_model("crypto-pm")
GOLDEN_SMALL = "1bafbcd6f2c19a4f13a49ef5350f23effc2896b3b01a6ab83448fdc8f499c969"
GOLDEN_SAMPLE = "ffefc4f26fc02ae5c9d4f66919ef31f45c1b9f1dd19faf1f9358540dd35ff1ac"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def market() -> Market:
    return small_market()


@pytest.fixture(scope="module")
def array(market: Market) -> RiskArray:
    return compute_array(market, MODEL)


def column(market: Market, array: RiskArray, name: str) -> dict[str, int]:
    index = market.registry.index_of(name)
    return {s.id: int(x) for s, x in zip(MODEL.scenarios, array.entries[:, index], strict=True)}


def test_digest_is_golden(array: RiskArray) -> None:
    assert array.digest.hex() == GOLDEN_SMALL


@pytest.mark.parametrize("threads", [1, 2])
def test_digest_of_the_sample_market_is_golden_with_any_number_of_threads(threads: int) -> None:
    assert compute_array(sample_market(), MODEL, threads=threads).digest.hex() == GOLDEN_SAMPLE


@pytest.mark.parametrize("environment", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic"}])
def test_digest_does_not_depend_on_the_compiler(environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "from risk_books import small_market; from riskproof.risk.arrays import compute_array;"
        "from riskproof.risk.model import load_model; a = compute_array(small_market(), load_model('crypto-pm'));"
        "print(a.digest.hex())"
    )
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        env=os.environ | environment | {"PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN_SMALL


def test_entries_equal_the_literal_twin(market: Market, array: RiskArray) -> None:
    states = market_states(market, MODEL.scenarios, MODEL.vol_scaling, 6, MODEL.unshocked)
    entries, base = risk_entries_twin(states.grid(0, len(market.registry)))
    assert array.entries.tolist() == entries
    assert array.base_value.tolist() == base


def test_shapes_and_layout(market: Market, array: RiskArray) -> None:
    assert array.entries.shape == (len(MODEL.scenarios), len(market.registry))
    assert array.rows.flags.c_contiguous
    assert not array.rows.flags.writeable
    assert np.shares_memory(array.rows, array.entries)
    assert {x.dtype for x in (array.rows, array.base_value, array.buffer)} == {np.dtype(np.int64)}
    assert array.registry_digest == market.registry.digest
    assert array.snapshot_digest == market.snapshot.digest
    assert array.model_digest == MODEL.digest


def test_the_unshocked_scenario_gains_nothing(array: RiskArray) -> None:
    assert not array.entries[MODEL.scenario_index("p0/v0")].any()


def test_numeraire_and_stablecoins_do_not_move(market: Market, array: RiskArray) -> None:
    for name in ("USD", "USDC"):
        index = market.registry.index_of(name)
        assert not array.entries[:, index].any()
        assert array.base_value[index] > 0
    assert array.buffer[market.registry.index_of("USD")] == 0
    assert array.buffer[market.registry.index_of("USDC")] == 1_000  # 0.1 % of 0.9998, rounded up


def test_without_unshocked_assets_a_stablecoin_moves(market: Market) -> None:
    document = MODEL.to_document() | {"unshocked": []}
    array = compute_array(market, RiskModel.from_document(document))
    assert array.entries[0, market.registry.index_of("USDC")] == -499_900
    assert array.entries[0, market.registry.index_of("USD")] == 0


def test_linear_entries_are_exact(market: Market, array: RiskArray) -> None:
    for name, price, unit in (("BTC", BTC_INDEX, PRICE_ONE), ("ETH-PERP", 3_330_050_000_000, PRICE_ONE // 10)):
        entries = column(market, array, name)
        for s in MODEL.scenarios:
            shocked = s.shocked_price(price)
            assert entries[s.id] == round_half_even(unit * (shocked - price), 10**12)


def test_inverse_contract_entries_are_exact(market: Market, array: RiskArray) -> None:
    for name, mark in (("BTC-PERP", 95_120_500_000_000), ("BTC-FUT", 95_211_000_000_000)):
        entries = column(market, array, name)
        for s in MODEL.scenarios:
            shocked, coin = s.shocked_price(mark), s.shocked_price(BTC_INDEX)
            expected = round_half_even(10 * (shocked - mark) * coin * 10**6, mark * shocked)
            assert entries[s.id] == expected
    # 10 USD short of dollars: a rise of a half turns 10 USD into 15 USD's worth of coin, a fall loses 5.
    assert column(market, array, "BTC-PERP")["p+50/v0"] == pytest.approx(5e6, rel=1e-3)
    assert column(market, array, "BTC-PERP")["p-50/v0"] == pytest.approx(-5e6, rel=1e-3)


def black(forward: float, strike: float, s: float, call: bool) -> float:
    sign = 1 if call else -1
    if s <= 0:
        return max(sign * (forward - strike), 0.0)
    d1 = math.log(forward / strike) / s + s / 2
    cdf = [0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - s)]
    return sign * (forward * cdf[0] - strike * cdf[1])


def test_option_entries_agree_with_black_76_in_float(market: Market, array: RiskArray) -> None:
    snapshot, scaling = market.snapshot, MODEL.vol_scaling
    for i, x in enumerate(market.registry.instruments):
        quote = snapshot.quotes[i]
        if not x.is_option or quote is None:
            continue
        assert x.expiry is not None
        assert x.strike is not None
        assert quote.volatility is not None
        curve, coin = snapshot.curve[x.underlying, x.expiry], snapshot.index_price[x.underlying] / 1e9
        scale = scaling.scale(x.expiry - TIME) / 1e12
        call = x.option_type is OptionType.CALL
        rate = 0.0 if x.payoff is Payoff.INVERSE else curve.rate / 1e12
        unit = x.unit / 1e9

        def value(
            price_shock: float,
            vol_shock: float,
            shift: int,
            *,
            f=curve.forward / 1e9,
            k=x.strike / 1e9,
            v=quote.volatility / 1e12,
            left=x.expiry - TIME,
            ratio=coin / (curve.forward / 1e9) if x.payoff is Payoff.INVERSE else 1.0,
            c=(scale, rate, call, unit),
        ) -> float:
            years = max(left - shift, 0) / 31_536_000
            s = v * (1 + vol_shock * c[0]) * math.sqrt(years)
            undiscounted = black(f * (1 + price_shock), k, s, c[2])
            return c[3] * ratio * math.exp(-c[1] * years) * undiscounted

        for s_index, s in enumerate(MODEL.scenarios):
            shocks = s.price_shock / 1e12, s.vol_shock / 1e12, s.time_shift_seconds
            expected = value(*shocks) - value(0, 0, 0)
            assert int(array.entries[s_index, i]) / 1e6 == pytest.approx(expected, abs=3e-6, rel=1e-9)


def test_expiry_inside_the_time_shift_leaves_the_intrinsic_value(market: Market, array: RiskArray) -> None:
    index = market.registry.index_of("BTC-NEAR-95000-C")
    s = MODEL.scenario_index("p0/v0/1d")
    assert TIME + MODEL.scenarios[s].time_shift_seconds > NEAR
    intrinsic = round((95_095 - 95_000) * BTC_INDEX / 95_095)
    assert int(array.base_value[index] + array.entries[s, index]) * 1_000 == pytest.approx(intrinsic, abs=2_000)


def test_a_day_costs_the_holder_of_an_option(market: Market, array: RiskArray) -> None:
    for name in ("BTC-SOON-90000-C", "BTC-FAR-150000-C"):
        entries = column(market, array, name)
        assert entries["p0/v0/1d"] < 0
        assert entries["p0/v-"] < 0 < entries["p0/v+"]


def test_what_is_not_quoted_is_zero_and_marked(market: Market, array: RiskArray) -> None:
    unquoted, expired = market.registry.index_of(UNQUOTED), market.registry.index_of(EXPIRED)
    for index in (unquoted, expired):
        assert not array.entries[:, index].any()
        assert array.base_value[index] == array.buffer[index] == 0
        assert not array.priced[index]
    assert array.expired[expired]
    assert not array.expired[unquoted]
    assert array.priced.sum() == len(market.registry) - 2


def test_the_mark_of_being_priced_is_part_of_the_digest(market: Market) -> None:
    quotes = {UNQUOTED: Quote(volatility=0)}
    strikes_out = tuple(
        replaced(x, strike=10**5) if x.name == UNQUOTED else x for x in INSTRUMENTS
    )  # worth nothing in every scenario, like what is not quoted
    quoted = compute_array(small_market(instruments=strikes_out, quotes=quotes), MODEL)
    absent = compute_array(small_market(instruments=strikes_out), MODEL)
    assert quoted.rows.tolist() == absent.rows.tolist()
    assert quoted.status.tolist() != absent.status.tolist()
    same = RiskArray(
        absent.registry_digest,
        absent.snapshot_digest,
        absent.model_digest,
        absent.kernel,
        absent.money_exponent,
        absent.quantity_exponent,
        absent.rows,
        absent.base_value,
        absent.buffer,
        quoted.status,
    )
    assert same.digest != absent.digest


def test_buffer_is_a_share_of_notional_rounded_up(market: Market, array: RiskArray) -> None:
    index_of = market.registry.index_of
    wanted = {
        "BTC": (BTC_INDEX, 1),  # 0.1 % of the coin
        "BTC-PERP": (10 * PRICE_ONE, 2),
        "BTC-FUT": (10 * PRICE_ONE, 3),
        "ETH-PERP": (333_005_000_000, 2),
        "BTC-SOON-90000-P": (BTC_INDEX, 5),
        "BTC-FAR-150000-C": (BTC_INDEX // 10, 5),
    }
    for name, (amount, thousandths) in wanted.items():
        assert array.buffer[index_of(name)] == -(-amount * thousandths // 10**6), name
        assert notional(market, index_of(name)) == amount * 10**9


def test_appending_to_the_registry_keeps_the_rows(market: Market, array: RiskArray) -> None:
    more = (*INSTRUMENTS, option("BTC-SOON-99000-C", "BTC", Payoff.INVERSE, SOON, 99_000, OptionType.CALL))
    longer = compute_array(small_market(instruments=more), MODEL)
    count = len(INSTRUMENTS)
    assert longer.rows[:count].tolist() == array.rows.tolist()
    assert longer.base_value[:count].tolist() == array.base_value.tolist()
    assert longer.buffer[:count].tolist() == array.buffer.tolist()
    assert longer.digest != array.digest


def test_blocks_do_not_show() -> None:
    strikes = range(50_000, 50_000 + 10 * (2 * BLOCK + 7), 10)
    options = tuple(option(f"BTC-SOON-{k}-C", "BTC", Payoff.INVERSE, SOON, k, OptionType.CALL) for k in strikes)
    wide = compute_array(small_market(instruments=options), MODEL)
    for i in (0, BLOCK - 1, BLOCK, 2 * BLOCK, len(options) - 1):
        alone = compute_array(small_market(instruments=options[i : i + 1]), MODEL)
        assert alone.rows[0].tolist() == wide.rows[i].tolist()
        assert alone.base_value[0] == wide.base_value[i]


def test_entries_scale_with_the_money_exponent(array: RiskArray) -> None:
    fine = compute_array(small_market(money_exponent=12), MODEL)
    coarse = compute_array(small_market(money_exponent=0), MODEL)
    assert np.abs(fine.rows - array.rows * 10**6).max() <= 500_000
    assert np.abs(coarse.rows * 10**6 - array.rows).max() <= 500_001
    assert (coarse.money_exponent, coarse.pnl_exponent) == (0, 3)


def test_an_empty_market_has_an_empty_array() -> None:
    empty = compute_array(small_market(instruments=(INSTRUMENTS[-1],)), MODEL)
    assert not empty.rows.any()
    assert not empty.priced.any()
    nothing = compute_array(small_market(instruments=()), MODEL)
    assert nothing.rows.shape == (0, len(MODEL.scenarios))
    assert len(nothing.digest) == 32


def test_bounds_hold_every_entry_and_cap_at_the_top(array: RiskArray) -> None:
    bounds = array.bounds.tolist()
    for i, row in enumerate(array.rows.tolist()):
        assert bounds[i] == max(map(abs, row)) + int(array.buffer[i])
    extreme = RiskArray(
        *(b"", b"", b"", "", 6, 3),
        np.array([[-(2**63), 0], [2**63 - 1, -1], [-(2**63) + 1, 5], [0, 0]]),
        np.zeros(4, dtype=np.int64),
        np.array([0, 1, 0, 7]),
        np.ones(4, dtype=np.int8),
    )
    assert extreme.bounds.tolist() == [INT64_MAX, INT64_MAX, INT64_MAX, 7]


def test_cancel_stops_between_blocks() -> None:
    market, calls = sample_market(), []

    def cancel() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise DeadlineError("too late")

    for threads in (1, 2):
        calls.clear()
        with pytest.raises(DeadlineError, match="too late"):
            compute_array(market, MODEL, threads=threads, cancel=cancel)
        assert len(calls) == 2


def test_an_entry_beyond_64_bits_names_its_instrument() -> None:
    large = Instrument("BTC-LARGE", Kind.PERPETUAL, "BTC", Payoff.LINEAR, 10**13)
    fits = Instrument("BTC-FITS", Kind.PERPETUAL, "BTC", Payoff.LINEAR, 10**9)
    quote = Quote(mark=BTC_INDEX)
    market = small_market(
        instruments=(*INSTRUMENTS, fits, large), quotes={"BTC-LARGE": quote, "BTC-FITS": quote}, money_exponent=12
    )
    with pytest.raises(OverflowMoneyError, match="BTC-LARGE: value or P&L of one unit does not fit 64 bits"):
        compute_array(market, MODEL)


def test_a_buffer_beyond_64_bits_names_its_instrument() -> None:
    huge = Instrument("BTC-HUGE", Kind.PERPETUAL, "BTC", Payoff.LINEAR, INT64_MAX)
    market = small_market(
        instruments=(*INSTRUMENTS, huge), quotes={"BTC-HUGE": Quote(mark=BTC_INDEX)}, money_exponent=7
    )
    with pytest.raises(OverflowMoneyError, match="BTC-HUGE: buffer of one unit does not fit 64 bits"):
        compute_array(market, MODEL)


@pytest.mark.parametrize("forward", [380_000_000_000_000, 24_000_000_000_000])
def test_an_index_far_from_the_forward_is_refused(forward: int) -> None:
    curves = [Curve("BTC", SOON, forward)]
    options = tuple(x for x in INSTRUMENTS if x.expiry == SOON and x.underlying == "BTC" and x.is_option)
    with pytest.raises(
        SnapshotError, match=r"curve of BTC at 2026-01-14T09:00:00Z: index and forward are too far apart"
    ):
        compute_array(small_market(instruments=options, curves=curves), MODEL)


def test_a_rate_that_grows_value_too_much_is_refused() -> None:
    late = TIME + 4 * 365 * DAY
    instrument = option("BTC-FAR-150000-C", "BTC", Payoff.LINEAR, late, 150_000, OptionType.CALL)
    curves = [Curve("BTC", late, BTC_INDEX, -4 * RATIO_ONE // 10)]
    with pytest.raises(SnapshotError, match=r"curve of BTC at 2030-01-04T09:00:00Z: rate -0\.4 grows value too much"):
        compute_array(small_market(instruments=(instrument,), curves=curves), MODEL)
    mild = [Curve("BTC", late, BTC_INDEX, -3 * RATIO_ONE // 10)]
    assert compute_array(small_market(instruments=(instrument,), curves=mild), MODEL).priced.all()


def test_the_edges_of_the_domain_are_computed() -> None:
    """Largest and smallest prices and volatilities of a snapshot, under the widest shocks a model may have."""
    document = MODEL.to_document()
    document["scenarios"] = [
        {"id": f"{p}.{v}.{t}", "price_shock": p, "vol_shock": v, "time_shift_seconds": t}
        for p in ("-0.9", "9", "0")
        for v in ("1.08", "-0.36")
        for t in (0, 365 * DAY)
    ]
    model = RiskModel.from_document(document)
    for price in (10**5, 10**16):
        for vol in (0, 5 * RATIO_ONE):
            x = replaced(INSTRUMENTS[9], strike=price, expiry=FAR, unit=1)
            market = small_market(
                instruments=(x,),
                curves=[Curve("BTC", FAR, price)],
                quotes={x.name: Quote(volatility=vol)},
                indices={"BTC": price},
            )
            assert compute_array(market, model).priced.all()


def test_the_worked_example_of_the_documentation(market: Market, array: RiskArray) -> None:
    text = (ROOT / "docs" / "risk-arrays.md").read_text()
    example = text[text.index("## Worked example") : text.index("## Price list")]
    registry, s = market.registry, MODEL.scenario_index("p-10/v+")
    put, coin, scenario = registry.index_of("BTC-SOON-90000-P"), registry.index_of("BTC"), MODEL.scenarios[s]
    scale = MODEL.vol_scaling.scale(SOON - TIME)
    risk = evaluate(market, MODEL, array, Portfolio.build([(coin, 1_500), (put, 2_000)]), with_greeks=False)
    assert risk.worst_id == "p-10/v-"
    numbers = (
        scenario.shocked_price(market.snapshot.curve["BTC", SOON].forward),
        scenario.shocked_price(BTC_INDEX),
        scale,
        MODEL.vol_scaling.shocked_volatility(455_500_000_000, scenario.vol_shock, scale),
        *(int(x) for x in (array.base_value[put], array.entries[s, put], array.buffer[put], array.entries[s, coin])),
        *(risk.pnl[s], risk.worst_loss, risk.buffer, risk.maintenance_margin_micros, risk.initial_margin_micros),
    )
    for number in numbers:
        assert f" {number:,}" in example, number


def random_model(rng: random.Random) -> RiskModel:
    """Any scenarios that a model may have, on any scaling."""
    days = rng.choice([1, 7, 30, 365])
    document = MODEL.to_document()
    document["vol_scaling"] = {
        "reference_days": days,
        "floor_days": rng.choice([1, days, 2 * days]),
        "short_exponent": format_decimal(rng.randint(0, RATIO_ONE // 2), 12),
        "long_exponent": format_decimal(rng.randint(0, RATIO_ONE), 12),
    }
    ratio = RATIO_ONE // 10**6
    document["scenarios"] = [
        {
            "id": f"s{n}",
            "price_shock": format_decimal(rng.randint(-900_000, 9_000_000) * ratio, 12),
            "vol_shock": format_decimal(rng.choice([0, rng.randint(-50_000, 150_000)]) * ratio, 12),
            "time_shift_seconds": rng.choice([0, 1, DAY // 2, DAY, rng.randint(0, 365 * DAY)]),
        }
        for n in range(rng.randint(1, 12))
    ]
    return RiskModel.from_document(document)


def check_random_models(cases: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(cases):
        model, m = random_model(rng), rng.randint(0, 9)
        market = small_market(money_exponent=m, indices={"BTC": rng.randint(3 * 10**13, 3 * 10**14)})
        array = compute_array(market, model)
        states = market_states(market, model.scenarios, model.vol_scaling, m, model.unshocked)
        entries, base = risk_entries_twin(states.grid(0, len(market.registry)))
        assert array.entries.tolist() == entries
        assert array.base_value.tolist() == base


def test_random_models_equal_the_twin() -> None:
    check_random_models(40, 1)


@pytest.mark.slow
def test_many_random_models_equal_the_twin() -> None:
    check_random_models(1_500, 2)
