"""Backtests of a model's scenario sets and parametric numbers with time that passes, against float64."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from tail_support import FACTORS, Float, float_filtered, float_pnl, made_history, some_book, tail_market

from riskproof.errors import DomainError, HistoryError, ModelError
from riskproof.market.portfolio import Portfolio
from riskproof.risk.tail.backtest import Backtest, historical_backtest, set_backtest
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.estimators import shrunk_covariance
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.methods import CommonFactor, Filtered, Historical, Interval, Method, MonteCarlo
from riskproof.risk.tail.model import EXPECTED_SHORTFALL, WORST_LOSS, TailModel
from riskproof.risk.tail.parametric import delta_gamma, delta_normal, sensitivities
from riskproof.units import RATIO_ONE

MARKET = tail_market()
BOOK = some_book(MARKET, 6, 3)
HISTORY = made_history(90)
CORRELATION = shrunk_covariance(HISTORY).to_correlation("shrunk", "made")
DAY = 86_400
TAIL = 50_000_000_000
DECAY, SEED = 940_000_000_000, 10

PLAIN = Historical(HISTORY.digest, HISTORY.day(29), HISTORY.end, 1, RATIO_ONE)
AGED = replace(PLAIN, weight_decay=980_000_000_000)
FILTERED = Filtered(HISTORY.digest, HISTORY.day(19), HISTORY.end, DECAY, SEED, RATIO_ONE)
PATHS = MonteCarlo(CORRELATION, 1, 100, True)
SHOCKS = CommonFactor((RATIO_ONE // 10,), (("BTC", RATIO_ONE), ("ETH", RATIO_ONE)), (), (0,), (30,), False)


def model(*methods: Method, **members: Any) -> TailModel:
    given: dict[str, Any] = {"measure": EXPECTED_SHORTFALL, "tail": TAIL} | members
    return TailModel("sets", "sets", sets=tuple((f"s{n}", x) for n, x in enumerate(methods)), **given)


# Backtests


def float_quantile(pnl: Float, tail: float, weights: Float) -> float:
    """The least loss with at most `tail` of the weight above it."""
    losses = -pnl
    share = np.array([weights[losses > x].sum() for x in losses]) / weights.sum()
    return float(losses[share <= tail + 1e-12].min())


def ratios(levels: Float) -> Float:
    return np.asarray(levels[1:] / levels[:-1])


def float_backtest(method: Historical | Filtered, window: int, shift: int) -> tuple[Float, Float]:
    """Forecasts and P&Ls of every day after the first window, without anything of riskproof.risk.tail."""
    levels = HISTORY.levels.astype(float)
    pnl = float_pnl(MARKET, BOOK, FACTORS, ratios(levels), shift)
    weights = (method.weight_decay / 1e12) ** np.arange(window - 1, -1, -1)
    seed = method.seed_days if isinstance(method, Filtered) else 0
    forecasts = []
    for t in range(seed + window, len(pnl)):
        past = pnl[t - window : t]
        if isinstance(method, Filtered):
            moves = float_filtered(levels[t - seed - window : t + 1], method.decay / 1e12, seed)
            past = float_pnl(MARKET, BOOK, FACTORS, moves, shift)
        forecasts.append(float_quantile(past, TAIL / 1e12, weights))
    return np.array(forecasts), pnl[seed + window :]


@pytest.mark.parametrize("method", [PLAIN, AGED, FILTERED, replace(FILTERED, weight_decay=990_000_000_000)])
@pytest.mark.parametrize("shift", [0, DAY])
def test_a_sets_backtest_agrees_with_float64(method: Historical | Filtered, shift: int) -> None:
    found = set_backtest(MARKET, model(PATHS, method, time_shift_seconds=shift), 1, BOOK, [made_history(5), HISTORY])
    forecasts, pnl = float_backtest(method, 60, shift)
    scale = np.abs(pnl).max()
    assert len(found.days) == len(pnl) == (29 if isinstance(method, Historical) else 19)
    assert found.days[-1] == HISTORY.end.isoformat()
    assert np.abs(np.array(found.pnl) / 1e12 - pnl).max() <= 1e-9 * scale
    assert np.abs(np.array(found.forecasts) / 1e12 - forecasts).max() <= 1e-9 * scale
    hits = -pnl > forecasts
    assert (found.coverage.violations, found.coverage.tail) == (hits.sum(), TAIL)
    n, x, p = len(hits), int(hits.sum()), TAIL / 1e12
    kupiec = 2 * (math.log((1 - x / n) ** (n - x) * (x / n) ** x) - math.log((1 - p) ** (n - x) * p**x))
    assert abs(found.coverage.unconditional.statistic - kupiec) < 1e-9


def test_age_and_time_change_a_backtest() -> None:
    """Otherwise agreement would be agreement of two that ignore them."""
    plain, aged = (set_backtest(MARKET, model(x), 0, BOOK, [HISTORY]) for x in (PLAIN, AGED))
    later = set_backtest(MARKET, model(PLAIN, time_shift_seconds=DAY), 0, BOOK, [HISTORY])
    assert plain.forecasts != aged.forecasts
    assert plain.pnl == aged.pnl
    assert plain.pnl != later.pnl


def test_another_window() -> None:
    whole = replace(PLAIN, first=HISTORY.start)
    found = set_backtest(MARKET, model(whole), 0, BOOK, [HISTORY], 40)
    assert found == historical_backtest(MARKET, BOOK, HISTORY, 40, TAIL)
    assert len(set_backtest(MARKET, model(FILTERED), 0, BOOK, [HISTORY], 40).days) == 39


def test_what_does_not_move_stays_in_a_backtest() -> None:
    prices = HISTORY.selected(lambda f: f.is_price)
    method = replace(PLAIN, history=prices.digest)
    with pytest.raises(ModelError, match="no move of the volatility of"):
        set_backtest(MARKET, model(method), 0, BOOK, [prices])
    still = model(method, constant_volatility=("BTC", "ETH"))
    assert isinstance(set_backtest(MARKET, still, 0, BOOK, [prices]), Backtest)


def refused(*methods: Method, window: int | None = None, **members: Any) -> Callable[[], Backtest]:
    return lambda: set_backtest(MARKET, model(*methods, **members), len(methods) - 1, BOOK, [HISTORY], window)


WILD = HISTORY.levels.copy()
WILD[50:, 0] //= 50
CASES: dict[str, tuple[Callable[[], Backtest], type[Exception], str]] = {
    "paths": (
        refused(PATHS),
        ModelError,
        r"^sets\[0\]: monte_carlo moves are not of a history \(expected historical or",
    ),
    "shocks": (refused(PLAIN, SHOCKS), ModelError, r"^sets\[1\]: common_factor moves are not of a history"),
    "weeks": (
        refused(replace(PLAIN, horizon_days=7)),
        ModelError,
        r"^sets\[0\]\.horizon_days: moves over 7 days overlap, and the tests need days that do not \(expected 1\)$",
    ),
    "stressed": (
        refused(replace(PLAIN, last=HISTORY.end - dt.timedelta(1))),
        ModelError,
        r"^sets\[0\]\.last: ends on 2023-03-30, its history on 2023-03-31: a stressed set, .* \(expected 2023-03-31, or",
    ),
    "worst": (refused(PLAIN, measure=WORST_LOSS, tail=None), ModelError, r"^measure\.kind: worst_loss has no tail"),
    "missing": (
        refused(replace(PLAIN, history=bytes(32))),
        HistoryError,
        r"^sets\[0\]: history: the history 0{64} is not here",
    ),
    "whole": (
        refused(replace(PLAIN, first=HISTORY.start)),
        HistoryError,
        r"^sets\[0\]: history: 0 days after the first window \(expected two or more: a longer history, or a shorter win",
    ),
    "endless": (refused(PLAIN, window=10**12), HistoryError, r"^sets\[0\]: history: 0 days after the first window"),
    "short": (
        refused(PLAIN, window=19),
        ModelError,
        r"^sets\[0\]: window: a tail of 0\.05 of 19 moves holds less than one",
    ),
    "young": (
        refused(replace(PLAIN, weight_decay=900_000_000_000)),
        ModelError,
        r"^sets\[0\]: window: a tail of 0\.05 of 60 moves holds less than one",
    ),
    "younger": (
        refused(replace(PLAIN, weight_decay=RATIO_ONE // 2)),
        ModelError,
        r"^sets\[0\]: weight_decay: the oldest of 60 scenarios weighs nothing",
    ),
    "filtered": (
        refused(FILTERED, window=78),
        HistoryError,
        r"^sets\[0\]: history: 1 days after the first window",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_backtests_that_mean_nothing(case: str) -> None:
    call, error, said = CASES[case]
    with pytest.raises(error, match=said):
        call()


def test_a_move_that_the_kernel_cannot_price_is_said_with_its_set() -> None:
    wild = History("wild", HISTORY.start, FACTORS, WILD)
    method = replace(PLAIN, history=wild.digest)
    with pytest.raises(DomainError, match=r"^sets\[0\]: move 2023-02-20: price of BTC moves by a factor of 0\.0"):
        set_backtest(MARKET, model(method), 0, BOOK, [wild])


# Parametric


def test_time_that_passes_is_part_of_parametric_numbers() -> None:
    h = 0.01

    def value(*steps: tuple[int, float]) -> float:
        x = np.zeros(len(FACTORS))
        for f, step in steps:
            x[f] += step
        return float(float_pnl(MARKET, BOOK, FACTORS, np.exp(x)[None, :], DAY)[0])

    count, theta = len(FACTORS), value()
    delta, gamma = np.zeros(count), np.zeros((count, count))
    for f in range(count):
        up, down = value((f, h)), value((f, -h))
        delta[f], gamma[f, f] = (up - down) / (2 * h), (up + down - 2 * theta) / h**2
        for g in range(f):
            corners = sum(a * b * value((f, a * h), (g, b * h)) for a, b in product((1, -1), repeat=2))
            gamma[f, g] = gamma[g, f] = corners / (4 * h * h)
    book = sensitivities(MARKET, BOOK, FACTORS, time_shift_seconds=DAY)
    assert abs(book.theta / 1e12 - theta) <= 1e-9 * abs(theta)
    assert np.abs(np.array(book.delta, dtype=float) / 1e12 - delta).max() <= 1e-9 * np.abs(delta).max()
    assert np.abs(np.array(book.gamma, dtype=float) / 1e12 - gamma).max() <= 1e-5 * np.abs(gamma).max()
    size = np.array(CORRELATION.volatilities) / 1e12
    c = np.array(CORRELATION.matrix) / 1e12 * np.outer(size, size)
    z = -NormalDist().inv_cdf(TAIL / 1e12)
    sigma = math.sqrt(delta @ c @ delta)
    risk = delta_normal(book, CORRELATION, TAIL)
    assert risk.expected_shortfall is not None
    assert abs(risk.value_at_risk / 1e12 - (z * sigma - theta)) <= 1e-9 * sigma
    assert abs(risk.expected_shortfall / 1e12 - (NormalDist().pdf(z) / (TAIL / 1e12) * sigma - theta)) <= 1e-9 * sigma
    assert sensitivities(MARKET, BOOK, FACTORS).theta == 0
    gentle = replace(book, gamma=tuple(tuple(x / 1000 for x in row) for row in book.gamma))
    still = replace(gentle, theta=0)
    both = [delta_gamma(x, CORRELATION, TAIL).value_at_risk for x in (gentle, still)]
    assert both[0] == both[1] - book.theta


def test_the_correlations_of_a_set() -> None:
    assert PATHS.correlations() == (CORRELATION,)
    wide = replace(PATHS, interval=Interval(-RATIO_ONE // 5, RATIO_ONE // 2, 3))
    price = (FACTORS.index(Factor("BTC")), FACTORS.index(Factor("ETH")))
    found = wide.correlations()
    assert [x.matrix[price[0]][price[1]] for x in found] == [-RATIO_ONE // 5, 150_000_000_000, RATIO_ONE // 2]
    assert {x.volatilities for x in found} == {CORRELATION.volatilities}
    assert all(isinstance(x, Correlation) for x in found)
    assert [x.ids[0] for x in wide.moves(())] == ["rho-0.2/path-00", "rho0.15/path-00", "rho0.5/path-00"]


def test_a_book_of_nothing() -> None:
    found = set_backtest(MARKET, model(PLAIN), 0, Portfolio.build([]), [HISTORY])
    assert (found.coverage.violations, set(found.pnl)) == (0, {0})
