"""Risk arrays and margin of two real option chains, end to end; the crash of 5 February 2026 is one of them."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from risk_books import rows_of

from riskproof.market.importers.deribit import import_files
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind
from riskproof.risk.arrays import compute_array
from riskproof.risk.kernel.twin import risk_entries_twin
from riskproof.risk.model import load_model
from riskproof.risk.portfolio_risk import evaluate, evaluate_batch
from riskproof.risk.pricing import price_list
from riskproof.risk.states import market_states

FOLDER = Path(__file__).resolve().parents[2] / "../shared/market"
MODEL = load_model("crypto-pm")


@pytest.fixture(scope="module", params=["20260114T092233Z", "20260205T212937Z"])
def market(request: pytest.FixtureRequest) -> Market:
    files = [FOLDER / f"deribit_options_{request.param}.csv", FOLDER / "deribit_futures_perp.csv"]
    if not all(f.exists() for f in files):
        pytest.skip("needs the real chains of ../shared/market")
    return import_files([(f.name, f.read_bytes()) for f in files])


def test_every_instrument_is_priced_as_the_twin_does(market: Market) -> None:
    start = time.perf_counter()
    array = compute_array(market, MODEL)
    assert time.perf_counter() - start < 30
    assert len(market.registry) > 1_300
    assert array.priced.all()
    states = market_states(market, MODEL.scenarios, MODEL.vol_scaling, 6, MODEL.unshocked)
    for begin in random.Random(1).sample(range(len(market.registry)), 12):
        entries, base = risk_entries_twin(states.grid(begin, begin + 1))
        assert array.entries[:, begin : begin + 1].tolist() == entries
        assert array.base_value[begin] == base[0]


def test_values_agree_with_the_marks(market: Market) -> None:
    off = 0
    options = [row for row in price_list(market).rows if row.instrument.kind is Kind.OPTION]
    for row in options:
        assert row.value_micros is not None
        assert row.mark_micros is not None
        coin = market.snapshot.index_price[row.instrument.underlying]
        off += abs(row.value_micros - row.mark_micros) * 10**7 > coin  # 1e-4 coin
    assert off <= len(options) // 1_000


def test_synthetic_forwards_gain_nothing_against_each_other(market: Market) -> None:
    """Call minus put at two strikes of an expiry differ by a constant: the whole box has the same P&L in every scenario."""
    array, registry = compute_array(market, MODEL), market.registry
    pairs: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for i, x in enumerate(registry.instruments):
        if x.is_option and x.name.endswith("-C") and (put := x.name[:-1] + "P") in registry:
            assert x.expiry is not None
            pairs.setdefault((x.underlying, x.expiry), []).append((i, registry.index_of(put)))
    rows = array.rows
    for found in pairs.values():
        (call, put), (far_call, far_put) = found[0], found[-1]
        for s, scenario in enumerate(MODEL.scenarios):
            if scenario.price_shock == 0:
                box = rows[call, s] - rows[put, s] - rows[far_call, s] + rows[far_put, s]
                assert abs(int(box)) <= 2  # each entry is rounded once


def test_books_have_margins_one_at_a_time_and_in_a_batch(market: Market) -> None:
    array, rng = compute_array(market, MODEL), random.Random(5)
    books = [
        Portfolio.build(
            (i, rng.randint(1, 50_000) * rng.choice((-1, 1))) for i in rng.sample(range(len(market.registry)), size)
        )
        for size in (1, 20, 200, len(market.registry))
    ]
    batch = evaluate_batch(array, MODEL, *rows_of(books))
    for a, book in enumerate(books):
        one = evaluate(market, MODEL, array, book)
        assert one.initial_margin_micros > one.maintenance_margin_micros > 0
        assert batch.initial_margin_micros[a] == one.initial_margin_micros
        assert (batch.worst_index[a], batch.worst_pnl(a)) == (one.worst_index, one.pnl[one.worst_index])
        assert one.greeks is not None
        assert {name for name, *_ in one.greeks.by_underlying} <= {"BTC", "ETH"}


def test_a_short_strangle_loses_most_in_the_crash_scenarios(market: Market) -> None:
    array, registry = compute_array(market, MODEL), market.registry
    coin = market.snapshot.index_price["BTC"]
    near = min(x.expiry for x in registry.instruments if x.is_option and x.underlying == "BTC" and x.expiry)
    puts = [
        i
        for i, x in enumerate(registry.instruments)
        if x.expiry == near and x.underlying == "BTC" and x.name.endswith("-P") and x.strike and x.strike < coin
    ]
    assert puts
    short = evaluate(market, MODEL, array, Portfolio.build((i, -1_000) for i in puts), with_greeks=False)
    assert MODEL.scenarios[short.worst_index].price_shock == min(s.price_shock for s in MODEL.scenarios)
    long = evaluate(market, MODEL, array, Portfolio.build((i, 1_000) for i in puts), with_greeks=False)
    assert long.worst_loss <= long.value  # the holder of options loses no more than they are worth
