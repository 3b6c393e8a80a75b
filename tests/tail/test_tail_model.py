"""Tail models as documents, the requirement they make, parametric numbers and backtests."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from tail_support import FACTORS, SHARED, float_pnl, float_shortfall, made_history, some_book, tail_market

from riskproof.errors import HistoryError, ModelError
from riskproof.market.importers.deribit import import_files
from riskproof.market.portfolio import Portfolio
from riskproof.risk.margin import exact_pnl
from riskproof.risk.portfolio_risk import check_array
from riskproof.risk.tail.backtest import coverage, filtered_backtest, historical_backtest
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.estimators import shrunk_covariance
from riskproof.risk.tail.evaluate import evaluate_tail, model_array
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.history_csv import import_surface
from riskproof.risk.tail.measures import expected_shortfall, value_at_risk
from riskproof.risk.tail.model import TailModel
from riskproof.risk.tail.moves import filtered_moves, plain_moves
from riskproof.risk.tail.parametric import Sensitivities, delta_gamma, delta_normal, sensitivities
from riskproof.risk.tail.revaluation import book_pnl
from riskproof.units import RATIO_ONE

MARKET = tail_market()
HISTORY = made_history(160)
BOOK = some_book(MARKET, 15, 3)
CORRELATION = shrunk_covariance(HISTORY).to_correlation("shrunk", "of the made history")
ONE = RATIO_ONE

RECENT = {
    "id": "recent",
    "method": "filtered",
    "history": HISTORY.digest.hex(),
    "first": "2023-01-01",
    "last": "2023-05-31",
    "weight_decay": "1",
    "decay": "0.97",
    "seed_days": 30,
}
PLAIN = {
    "id": "plain",
    "method": "historical",
    "history": HISTORY.digest.hex(),
    "first": "2023-01-11",
    "last": "2023-06-09",
    "weight_decay": "0.99",
    "horizon_days": 1,
}
PATHS = {
    "id": "paths",
    "method": "monte_carlo",
    "correlation": CORRELATION.to_document(),
    "seed": "18446744073709551615",
    "paths": 500,
    "antithetic": True,
}
SHOCKS = {
    "id": "shocks",
    "method": "common_factor",
    "common": ["-0.3", "0", "0.3"],
    "betas": {"BTC": "1", "ETH": "1.25"},
    "idiosyncratic": {"BTC": "0.05", "ETH": "0.1"},
    "volatilities": ["-0.3", "0.45"],
    "tenors": [30],
    "corners": False,
}
DOCUMENT: dict[str, Any] = {
    "schema": "riskproof/tail-model/v1",
    "name": "crypto-es",
    "description": "expected shortfall over four kinds of scenario sets",
    "measure": {"kind": "expected_shortfall", "tail": "0.025"},
    "sets": [RECENT, PLAIN, PATHS, SHOCKS | {"corners": True, "common": [f"{n / 100:g}" for n in range(-30, 31)]}],
    "unshocked": ["USDC"],
    "constant_volatility": [],
    "time_shift_seconds": 0,
}

BTC_PRICE = {"factor": {"underlying": "BTC", "tenor_days": 0}}


def model(**members: Any) -> TailModel:
    document = {k: v for k, v in (DOCUMENT | members).items() if v is not None}
    return TailModel.from_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def test_documents_round_trip() -> None:
    made = model()
    assert json.loads(made.to_bytes()) == DOCUMENT
    assert TailModel.from_bytes(made.to_bytes()).digest == made.digest
    with_liquidity = model(sets=[PLAIN], liquidity={"base_days": 1, "horizons": [BTC_PRICE | {"days": 5}]})
    assert TailModel.from_bytes(with_liquidity.to_bytes()) == with_liquidity


def test_the_correlation_is_part_of_the_digest() -> None:
    other = CORRELATION.bounded(0, ONE // 2, "bounded")
    assert model(sets=[PATHS]).digest != model(sets=[PATHS | {"correlation": other.to_document()}]).digest


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"schema": "riskproof/model/v1"}, r"model\.schema: not a tail model of this version"),
        ({"schema": "riskproof/model/v2", "measure": None}, r"model\.schema: not a tail model of this version"),
        ({"schema": None}, r"member 'schema' is missing"),
        ({"extra": 1}, r"unknown member 'extra'"),
        ({"name": None}, r"member 'name' is missing"),
        ({"measure": {"kind": "variance", "tail": "0.1"}}, r"model\.measure\.kind: no measure 'variance'"),
        ({"measure": {"kind": "worst_loss", "tail": "0.1"}}, r"model\.measure\.tail: worst_loss and its tail"),
        ({"measure": {"kind": "value_at_risk"}}, r"model\.measure\.tail: value_at_risk and its tail"),
        ({"measure": {"kind": "value_at_risk", "tail": "1"}}, r"model\.measure\.tail: 1 is out of range"),
        ({"measure": {"kind": "value_at_risk", "tail": "0.010"}}, r"model\.measure\.tail: not the canonical decimal: 0.010"),
        ({"sets": []}, r"model\.sets: 0 sets"),
        ({"sets": [PLAIN, PLAIN]}, r"model\.sets\[1\]\.id: plain is listed twice"),
        ({"sets": [PLAIN | {"method": "guess"}]}, r"model\.sets\[0\]\.method: no such method .expected historical, filtered"),
        ({"sets": [PLAIN | {"seed": "1"}]}, r"model\.sets\[0\]: unknown member 'seed'"),
        ({"sets": [PLAIN | {"history": "00"}]}, r"model\.sets\[0\]\.history: not lower-case hexadecimal"),
        ({"sets": [PLAIN | {"first": "2023-13-01"}]}, r"model\.sets\[0\]\.first: not a day"),
        ({"sets": [PLAIN | {"last": "2023-01-11"}]}, r"model\.sets\[0\]\.last: 2023-01-11 to 2023-01-11"),
        ({"sets": [PLAIN | {"weight_decay": "1.1"}]}, r"model\.sets\[0\]\.weight_decay: out of range"),
        ({"sets": [PLAIN | {"horizon_days": 150}]}, r"model\.sets\[0\]\.horizon_days: 150 days"),
        ({"sets": [RECENT | {"decay": "1"}]}, r"model\.sets\[0\]\.decay: out of range"),
        ({"sets": [RECENT | {"seed_days": 150}]}, r"model\.sets\[0\]\.seed_days: 150 days"),
        ({"sets": [PATHS | {"seed": "18446744073709551616"}]}, r"model\.sets\[0\]\.seed: out of range"),
        ({"sets": [PATHS | {"seed": "01"}]}, r"model\.sets\[0\]\.seed: not a seed"),
        ({"sets": [PATHS | {"paths": 501}]}, r"model\.sets\[0\]\.paths: 501 paths"),
        ({"sets": [PATHS | {"interval": {"floor": "0.5", "ceiling": "0.5", "points": 3}}]},
         r"model\.sets\[0\]\.interval: not an interval"),
        ({"sets": [PATHS | {"interval": {"floor": "0", "ceiling": "0.5", "points": 1}}]},
         r"model\.sets\[0\]\.interval\.points: 1 points of 500 paths"),
        ({"sets": [PATHS | {"interval": {"floor": "0", "ceiling": "1.1", "points": 2}}]},
         r"model\.sets\[0\]\.interval: 2 underlyings cannot all have a correlation of 1.1"),
        ({"sets": [PATHS | {"paths": 16_000, "interval": {"floor": "0", "ceiling": "0.5", "points": 9}}]},
         r"model\.sets\[0\]\.interval\.points: 9 points of 16000 paths .expected 2 to 64 points, at most 65536 paths in all"),
        ({"sets": [PATHS | {"antithetic": 1}]}, r"model\.sets\[0\]\.antithetic: not true or false"),
        ({"sets": [PATHS | {"correlation": CORRELATION.to_document() | {"volatilities": ["2"] * 8}}]},
         r"model\.sets\[0\]\.correlation\.volatilities\[0\]: 2 is out of range"),
        ({"sets": [SHOCKS | {"idiosyncratic": {"SOL": "0.1"}}]},
         r"model\.sets\[0\]\.idiosyncratic\.SOL: an underlying without a beta"),
        ({"sets": [SHOCKS | {"betas": {"B TC": "1"}, "idiosyncratic": {}}]}, r"model\.sets\[0\]\.underlying: not a name: 'B TC'"),
        ({"sets": [SHOCKS | {"common": ["-1"]}]}, r"model\.sets\[0\]\.move c-1/v-0.3: price of BTC moves by a factor of 0"),
        ({"sets": [SHOCKS | {"tenors": [0]}]}, r"model\.sets\[0\]\.tenors\[0\]: not an integer in range"),
        ({"unshocked": ["USDT", "USDC"]}, r"model\.unshocked: not sorted"),
        ({"time_shift_seconds": -1}, r"model\.time_shift_seconds: out of range"),
        ({"liquidity": {"base_days": 1, "horizons": []}}, r"model\.sets\[3\]: no horizon"),
        ({"sets": [PLAIN], "liquidity": {"base_days": 2, "horizons": []}}, r"model\.sets\[0\]: moves over 1 days"),
        ({"sets": [PLAIN], "liquidity": {"base_days": 1, "horizons": [BTC_PRICE | {"days": 1}]}},
         r"model\.liquidity\.horizons\[0\]\.days: 1 days for the price of BTC"),
        ({"sets": [PLAIN], "measure": {"kind": "worst_loss"}, "liquidity": {"base_days": 1, "horizons": []}},
         r"model\.liquidity: horizons of worst_loss"),
    ],
)  # fmt: skip
def test_documents_that_are_wrong(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model(**members)


def test_the_requirement_is_the_greatest_measure() -> None:
    risk = evaluate_tail(MARKET, model(), BOOK, [HISTORY])
    assert [x.id for x in risk.sets] == ["recent", "plain", "paths", "shocks"]
    window = HISTORY.between(HISTORY.day(0), HISTORY.day(150))
    pnl = book_pnl(MARKET, filtered_moves(window, 970_000_000_000, 30), BOOK)
    assert list(risk.sets[0].pnl) == pnl
    assert risk.sets[0].amount == expected_shortfall(pnl, 25 * 10**9)
    assert risk.sets[0].value_at_risk == value_at_risk(pnl, 25 * 10**9)
    assert risk.requirement == max(x.amount for x in risk.sets) == risk.sets[risk.binding].amount > 0
    assert risk.requirement_micros == math.ceil(risk.requirement / 10**6)
    assert str(risk.requirement_micros) not in repr(risk) + repr(risk.sets)


def test_the_public_array_gives_the_same_numbers() -> None:
    made = model(time_shift_seconds=86_400)
    array = model_array(MARKET, made, [HISTORY], threads=2)
    assert array.model_digest == made.digest
    risk = evaluate_tail(MARKET, made, BOOK, [HISTORY])
    assert exact_pnl(array.rows, BOOK.positions) == [x for part in risk.sets for x in part.pnl]
    with pytest.raises(ModelError, match=r"computed under another model"):
        check_array(MARKET, made_v1(), array)


def made_v1() -> Any:
    from riskproof.risk.model import load_model

    return load_model("crypto-pm")


def test_the_other_measures() -> None:
    worst = evaluate_tail(MARKET, model(measure={"kind": "worst_loss"}, sets=[SHOCKS]), BOOK)
    assert worst.requirement == max(0, -min(worst.sets[0].pnl))
    assert worst.sets[0].value_at_risk is None
    quantile = evaluate_tail(
        MARKET, model(measure={"kind": "value_at_risk", "tail": "0.05"}, sets=[PLAIN]), BOOK, [HISTORY]
    )
    assert quantile.requirement == quantile.sets[0].value_at_risk
    cash = evaluate_tail(MARKET, model(), Portfolio.build([(0, 10**6)]), [HISTORY])
    assert (cash.requirement, cash.requirement_micros, cash.binding) == (0, 0, 0)


def test_what_can_be_proved() -> None:
    assert model().not_provable == ""
    assert model(measure={"kind": "worst_loss"}, sets=[SHOCKS]).not_provable == ""
    assert "not convex" in model(measure={"kind": "value_at_risk", "tail": "0.05"}).not_provable
    assert "squares" in model(sets=[PLAIN], liquidity={"base_days": 1, "horizons": []}).not_provable


def test_the_worst_case_over_an_interval_of_correlations() -> None:
    """Long one coin and short the other is worst where they part, long both where they move together."""
    wide = model(sets=[PATHS | {"interval": {"floor": "-0.2", "ceiling": "0.9", "points": 12}}])
    assert TailModel.from_bytes(wide.to_bytes()) == wide
    registry = MARKET.registry
    for lots, rho in ((28_000, 9 * 10**11), (-28_000, -2 * 10**11)):
        book = Portfolio.build([(registry.index_of("BTC"), 1_000), (registry.index_of("ETH"), lots)])
        risk = evaluate_tail(MARKET, wide, book).sets[0]
        assert len(risk.pnl) == 12 * 500
        alone = PATHS | {"correlation": CORRELATION.crossed(rho, CORRELATION.name).to_document()}
        assert risk.amount == evaluate_tail(MARKET, model(sets=[alone]), book).requirement
        assert list(risk.pnl) == exact_pnl(model_array(MARKET, wide).rows, book.positions)


def test_liquidity_horizons_agree_with_float64() -> None:
    slow = [{"factor": f.to_document(), "days": 10 if f.is_price else 20} for f in FACTORS if f.underlying == "ETH"]
    risk = evaluate_tail(MARKET, model(sets=[PLAIN], liquidity={"base_days": 1, "horizons": slow}), BOOK, [HISTORY])
    ratios = plain_moves(HISTORY.between(HISTORY.day(10), HISTORY.day(159))).ratios / 1e12
    weights = 0.99 ** np.arange(len(ratios) - 1, -1, -1)
    total, before = 0.0, 0
    for days, kept in (
        (1, list(FACTORS)),
        (10, [f for f in FACTORS if f.underlying == "ETH"]),
        (20, [f for f in FACTORS if f.underlying == "ETH" and not f.is_price]),
    ):
        part = np.where([f in kept for f in FACTORS], ratios, 1.0)
        _, shortfall = float_shortfall(float_pnl(MARKET, BOOK, FACTORS, part), 0.025, weights)
        total, before = total + max(shortfall, 0) ** 2 * (days - before), days
    assert abs(float(risk.requirement) / 1e12 - math.sqrt(total)) <= 1e-9 * math.sqrt(total)
    unknown = [{"factor": {"underlying": "SOL", "tenor_days": 0}, "days": 10}]
    with pytest.raises(ModelError, match=r"liquidity\.horizons: no move of the price of SOL"):
        evaluate_tail(MARKET, model(sets=[PLAIN], liquidity={"base_days": 1, "horizons": unknown}), BOOK, [HISTORY])


def test_what_a_model_cannot_be_evaluated_on() -> None:
    with pytest.raises(HistoryError, match=r"sets\[0\]: history: the history [0-9a-f]{64} is not here"):
        evaluate_tail(MARKET, model(), BOOK, [made_history(160, 9)])
    with pytest.raises(HistoryError, match=r"sets\[0\]: history: 2023-01-11 to 2023-06-10 is not covered"):
        evaluate_tail(MARKET, model(sets=[PLAIN | {"last": "2023-06-10"}]), BOOK, [HISTORY])
    with pytest.raises(
        ModelError, match=r"sets\[0\]: measure\.tail: a tail of 0.005 of 149 scenarios holds less than one"
    ):
        evaluate_tail(
            MARKET, model(sets=[PLAIN], measure={"kind": "expected_shortfall", "tail": "0.005"}), BOOK, [HISTORY]
        )
    prices = made_history(160, factors=(Factor("BTC"), Factor("ETH")))
    bare = model(sets=[PLAIN | {"history": prices.digest.hex()}])
    with pytest.raises(ModelError, match=r"no move of the volatility of"):
        evaluate_tail(MARKET, bare, BOOK, [prices])
    still = model(sets=[PLAIN | {"history": prices.digest.hex()}], constant_volatility=["BTC", "ETH"])
    assert evaluate_tail(MARKET, still, BOOK, [prices]).requirement > 0
    with pytest.raises(ModelError, match=r"no move of the volatility"):
        model_array(MARKET, bare, [prices])


# Parametric


def float_sensitivities(book: Portfolio, h: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    count = len(FACTORS)

    def value(**steps: float) -> float:
        x = np.zeros(count)
        for f, step in steps.items():
            x[int(f[1:])] += step
        return float(float_pnl(MARKET, book, FACTORS, np.exp(x)[None, :])[0])

    delta, gamma = np.zeros(count), np.zeros((count, count))
    for f in range(count):
        up, down = value(**{f"f{f}": h}), value(**{f"f{f}": -h})
        delta[f], gamma[f, f] = (up - down) / (2 * h), (up + down) / h**2
        for g in range(f):
            corners = sum(a * b * value(**{f"f{f}": a * h, f"f{g}": b * h}) for a, b in product((1, -1), repeat=2))
            gamma[f, g] = gamma[g, f] = corners / (4 * h * h)
    return delta, gamma


def float_covariance() -> np.ndarray:
    size = np.array(CORRELATION.volatilities) / 1e12
    return np.array(CORRELATION.matrix) / 1e12 * np.outer(size, size)


def test_delta_normal_agrees_with_float64() -> None:
    book = sensitivities(MARKET, BOOK, FACTORS)
    delta, gamma = float_sensitivities(BOOK)
    scale = np.abs(gamma).max()
    assert np.abs(np.array(book.delta, dtype=float) / 1e12 - delta).max() <= 1e-9 * np.abs(delta).max()
    assert np.abs(np.array(book.gamma, dtype=float) / 1e12 - gamma).max() <= 1e-5 * scale  # differences of differences
    sigma = math.sqrt(delta @ float_covariance() @ delta)
    for tail in (10**10, 25 * 10**9, 10**11):
        z = -NormalDist().inv_cdf(tail / 1e12)
        risk = delta_normal(book, CORRELATION, tail)
        assert risk.expected_shortfall is not None
        assert abs(risk.value_at_risk / 1e12 / (z * sigma) - 1) < 1e-9
        assert abs(risk.expected_shortfall / 1e12 / (NormalDist().pdf(z) / (tail / 1e12) * sigma) - 1) < 1e-9


def gentle_book() -> Sensitivities:
    """Mostly linear, with the gamma of a real book of options mixed in."""
    options = sensitivities(MARKET, BOOK, FACTORS)
    biggest = max(map(abs, options.delta))
    share = biggest / max(abs(x) for row in options.gamma for x in row)
    return Sensitivities(FACTORS, options.delta, tuple(tuple(share * x for x in row) for row in options.gamma))


def test_cornish_fisher_agrees_with_float64() -> None:
    book = gentle_book()
    risk = delta_gamma(book, CORRELATION, 10**10)
    delta, gamma, c = np.array(book.delta, dtype=float), np.array(book.gamma, dtype=float), float_covariance()
    g = gamma @ c
    mean, k2 = np.trace(g) / 2, delta @ c @ delta + np.trace(g @ g) / 2
    k3 = 3 * delta @ c @ gamma @ c @ delta + np.trace(g @ g @ g)
    k4 = 12 * delta @ c @ gamma @ c @ gamma @ c @ delta + 3 * np.trace(g @ g @ g @ g)
    s, k, z = k3 / k2**1.5, k4 / k2**2, NormalDist().inv_cdf(0.01)
    w = z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36
    assert abs(risk.value_at_risk / -(mean + w * math.sqrt(k2)) - 1) < 1e-9
    assert risk.expected_shortfall is None
    # and it is nearer to the simulated quantile than the linear number
    draws = np.random.default_rng(1).multivariate_normal(np.zeros(8), c, 400_000)
    simulated = -np.quantile(draws @ delta + np.einsum("si,ij,sj->s", draws, gamma, draws) / 2, 0.01)
    linear = delta_normal(book, CORRELATION, 10**10).value_at_risk
    assert abs(risk.value_at_risk - simulated) < abs(linear - simulated)


def test_an_expansion_that_is_no_quantile_is_refused() -> None:
    one, zero = Fraction(1), Fraction(0)
    factors, matrix = (Factor("BTC"),), ((ONE,),)
    document = Correlation("one", "one factor", factors, (ONE // 10,), matrix)
    flat = Sensitivities(factors, (zero,), ((-one * 10**9,),))  # short gamma without delta: a chi-square
    with pytest.raises(
        ModelError, match=r"delta_gamma: the Cornish-Fisher expansion is no quantile at a skewness of -2.83 .* 12"
    ):
        delta_gamma(flat, document, 10**10)
    nothing = Sensitivities(factors, (zero,), ((zero,),))
    assert delta_gamma(nothing, document, 10**10).value_at_risk == 0
    with pytest.raises(ModelError, match=r"measure\.tail: 0.5 is out of range"):
        delta_normal(nothing, document, ONE // 2)
    with pytest.raises(ModelError, match=r"shrunk: other factors"):
        delta_normal(nothing, CORRELATION, 10**10)
    with pytest.raises(ModelError, match=r"step: step out of range"):
        sensitivities(MARKET, BOOK, FACTORS, step=0)
    assert "10" not in repr(flat)


# Backtests


def chi_square_tail(x: float, degrees: int, steps: int = 200_000) -> float:
    """By integration of the density from x on, in y = sqrt(x): no closed form."""
    top = math.sqrt(x) + 40
    y = np.linspace(math.sqrt(x), top, steps)
    density = y ** (degrees - 1) * np.exp(-y * y / 2) * 2 / (2 ** (degrees / 2) * math.gamma(degrees / 2))
    return float(np.trapezoid(density, y))


@pytest.mark.parametrize("seed", range(12))
def test_coverage_agrees_with_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random(300) < (0.02, 0.05, 0.2)[seed % 3]
    found = coverage(hits.tolist(), 5 * 10**10)
    n, x, p = 300, int(hits.sum()), 0.05
    uc = -2 * (math.log((1 - p) ** (n - x) * p**x) - math.log((1 - x / n) ** (n - x) * (x / n) ** x))
    assert abs(found.unconditional.statistic - uc) < 1e-8
    counts = np.zeros((2, 2))
    for a, b in zip(hits[:-1].astype(int), hits[1:].astype(int), strict=True):
        counts[a, b] += 1
    pi = counts[:, 1].sum() / counts.sum()
    restricted = (1 - pi) ** counts[:, 0].sum() * pi ** counts[:, 1].sum()
    free = 1.0
    for a in range(2):
        own = counts[a, 1] / counts[a].sum() if counts[a].sum() else 0.0
        free *= (1 - own) ** counts[a, 0] * own ** counts[a, 1]
    assert abs(found.independence.statistic - -2 * math.log(restricted / free)) < 1e-8
    assert found.transitions == tuple(tuple(int(c) for c in row) for row in counts)
    for test, degrees in ((found.unconditional, 1), (found.independence, 1), (found.conditional, 2)):
        assert abs(test.p_value - chi_square_tail(test.statistic, degrees)) < 1e-6
    assert found.conditional.statistic == found.unconditional.statistic + found.independence.statistic


def test_published_coverage_numbers() -> None:
    """Kupiec's regions as in Jorion's Value at Risk: at 99 % and 255 days, below seven violations are accepted."""
    inside, outside = (coverage([True] * x + [False] * (255 - x), 10**10).unconditional for x in (6, 7))
    assert inside.statistic < 3.841 < outside.statistic
    assert inside.p_value > 0.05 > outside.p_value
    never = coverage([False] * 250, 10**10)
    assert abs(never.unconditional.statistic - -2 * 250 * math.log(0.99)) < 1e-9
    assert (never.independence.statistic, never.independence.p_value) == (0, 1)
    document = never.to_document()
    assert document["unconditional"] == {"statistic": "5.025168", "p_value": "0.024982"}


def test_clusters_are_found() -> None:
    spread = [n % 20 == 0 for n in range(400)]
    clustered = [n < 20 for n in range(400)]
    assert coverage(spread, 5 * 10**10).conditional.p_value > 0.2
    assert coverage(clustered, 5 * 10**10).unconditional.p_value > 0.9
    assert coverage(clustered, 5 * 10**10).independence.p_value < 1e-6


def test_backtests_of_too_little() -> None:
    with pytest.raises(HistoryError, match=r"backtest: 1 days"):
        coverage([True], 10**10)
    with pytest.raises(ModelError, match=r"measure\.tail: 0 is out of range"):
        coverage([True, False], 0)
    with pytest.raises(ModelError, match=r"window: a tail of 0.01 of 99 moves holds less than one"):
        historical_backtest(MARKET, BOOK, HISTORY, 99, 10**10)
    with pytest.raises(HistoryError, match=r"history: 1 days after the first window"):
        historical_backtest(MARKET, BOOK, HISTORY, 158, 10**10)


def test_a_plain_backtest_looks_only_at_the_past() -> None:
    found = historical_backtest(MARKET, BOOK, HISTORY, 100, 5 * 10**10)
    assert found.days[0] == HISTORY.day(101).isoformat()
    assert len(found.days) == len(found.forecasts) == 59
    pnl = book_pnl(MARKET, plain_moves(HISTORY), BOOK)
    assert found.forecasts[7] == value_at_risk(pnl[7:107], 5 * 10**10)
    assert found.pnl == tuple(pnl[100:])
    assert found.coverage.violations == sum(-x > v for x, v in zip(found.pnl, found.forecasts, strict=True))
    assert repr(found) == "Backtest(<59 days>)"
    levels = HISTORY.levels.copy()
    levels[120:] = levels[120:] * 9 // 10
    later = historical_backtest(MARKET, BOOK, History("x", HISTORY.start, FACTORS, levels), 100, 5 * 10**10)
    assert later.forecasts[:20] == found.forecasts[:20]
    assert later.forecasts != found.forecasts


def test_a_filtered_backtest_looks_only_at_the_past() -> None:
    history = HISTORY.between(HISTORY.day(0), HISTORY.day(90))
    found = filtered_backtest(MARKET, BOOK, history, 60, 5 * 10**10, 940_000_000_000, 20)
    assert len(found.days) == 10
    past = history.between(history.day(4), history.day(84))
    assert len(filtered_moves(past, 940_000_000_000, 20)) == 60
    expected = value_at_risk(book_pnl(MARKET, filtered_moves(past, 940_000_000_000, 20), BOOK), 5 * 10**10)
    assert found.forecasts[4] == expected
    assert found.days[4] == history.day(85).isoformat()
    assert found.pnl[4] == book_pnl(MARKET, plain_moves(history), BOOK)[84]


def test_backtest_of_the_real_surface() -> None:
    files = [SHARED / "deribit_options_20260114T092233Z.csv", SHARED / "deribit_futures_perp.csv"]
    surface = SHARED / "deribit_surface_history.csv"
    if not all(f.exists() for f in (*files, surface)):
        pytest.skip("needs the real chains and surfaces of ../shared/market")
    market = import_files([(f.name, f.read_bytes()) for f in files])
    history = import_surface(surface.read_bytes(), surface.name, ["BTC", "ETH"])
    book = Portfolio.build([(market.registry.index_of("BTC"), 1_000), (market.registry.index_of("ETH"), 20_000)])
    plain = historical_backtest(market, book, history, 100, 5 * 10**10)
    filtered = filtered_backtest(market, book, history, 80, 5 * 10**10, 940_000_000_000, 20)
    for found in (plain, filtered):
        assert found.coverage.observations == 135
        assert 0 < found.coverage.violations < 25
