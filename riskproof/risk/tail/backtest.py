"""Backtests of coverage: does the loss exceed value at risk as often as it says, and not in clusters?

Of n days, x had a loss above the VaR forecast for them; p is the probability of the tail. n[i][j] counts days in state j after a
day in state i (1: the loss was above), pi[i] = n[i][1] / (n[i][0] + n[i][1]), pi = (n[0][1] + n[1][1]) / (n - 1). With 0 ln 0 = 0:

    unconditional   LR_uc  = -2 ln ( (1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x) )               1 degree of freedom (Kupiec 1995)
    independence    LR_ind = -2 ln ( (1-pi)^(n00+n10) pi^(n01+n11)
                                     / ((1-pi0)^n00 pi0^n01 (1-pi1)^n10 pi1^n11) )              1 degree (Christoffersen 1998)
    conditional     LR_cc  = LR_uc + LR_ind                                                     2 degrees

Under a right model they have chi-square distributions, whose tails have closed forms: erfc(sqrt(x / 2)) and exp(-x / 2). LR_uc uses
all n days, LR_ind the n - 1 pairs. Statistics are float64: they inform, no margin depends on them.

A backtest holds the book and the market as they are and lets the past happen to them: the forecast for day t comes from the moves
before it, and what is compared is the book's P&L under the move of day t, with the same time shift.

`set_backtest` is that of a tail model's set: as many moves as the set has, made as the set makes them, before every day of the
whole history. It means nothing, and is refused, for a set that forecasts no day: one that is not of a history, one that ends before
its history does (a stressed set), or one over more than a day (its moves overlap, and the tests need days that do not).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from riskproof.encoding import Json
from riskproof.errors import HistoryError, ModelError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.tail.evaluate import errors_at
from riskproof.risk.tail.history import History
from riskproof.risk.tail.measures import age_weights, value_at_risk
from riskproof.risk.tail.methods import Filtered, Historical, named_history
from riskproof.risk.tail.model import TailModel
from riskproof.risk.tail.moves import Moves, filtered_moves, plain_moves
from riskproof.risk.tail.revaluation import Immovable, base_state, book_pnl
from riskproof.units import RATIO_ONE, format_decimal


@dataclass(frozen=True)
class LikelihoodRatio:
    """A statistic, and the probability of one at least as large if the model is right."""

    statistic: float
    p_value: float

    def to_document(self) -> dict[str, Json]:
        return {"statistic": f"{self.statistic:.6f}", "p_value": f"{self.p_value:.6f}"}


@dataclass(frozen=True)
class Coverage:
    """A backtest's result.

    Attributes:
        observations, violations: n and x.
        tail: p, 1e-12.
        transitions: ((n00, n01), (n10, n11)).
        unconditional, independence, conditional: the three tests.
    """

    observations: int
    violations: int
    tail: int
    transitions: tuple[tuple[int, int], tuple[int, int]]
    unconditional: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio

    def to_document(self) -> dict[str, Json]:
        return {
            "observations": self.observations,
            "violations": self.violations,
            "tail": format_decimal(self.tail, 12),
            "transitions": [list(row) for row in self.transitions],
            "unconditional": self.unconditional.to_document(),
            "independence": self.independence.to_document(),
            "conditional": self.conditional.to_document(),
        }


def coverage(violations: Sequence[bool], tail: int) -> Coverage:
    """Kupiec's and Christoffersen's tests of a sequence of violations, oldest first; tail in 1e-12.

    Raises:
        ModelError: a tail outside (0, 1).
        HistoryError: less than two days.
    """
    if not 0 < tail < RATIO_ONE:
        raise ModelError(
            f"{format_decimal(tail, 12)} is out of range", where="measure.tail", expected="between 0 and 1"
        )
    if len(violations) < 2:
        raise HistoryError(f"{len(violations)} days", where="backtest", expected="two or more")
    hits = [bool(v) for v in violations]
    n, x, p = len(hits), sum(hits), tail / RATIO_ONE
    unconditional = 2 * (_log_likelihood(n - x, x, x / n) - _log_likelihood(n - x, x, p))
    counts = [[0, 0], [0, 0]]
    for before, after in pairwise(hits):
        counts[before][after] += 1
    (n00, n01), (n10, n11) = counts
    one = _log_likelihood(n00 + n10, n01 + n11, (n01 + n11) / (n - 1))
    two = sum(_log_likelihood(a, b, b / (a + b)) for a, b in counts if a + b)
    independence = 2 * (two - one)
    unconditional, independence = max(unconditional, 0.0), max(independence, 0.0)
    together = unconditional + independence
    return Coverage(
        n,
        x,
        tail,
        ((n00, n01), (n10, n11)),
        LikelihoodRatio(unconditional, math.erfc(math.sqrt(unconditional / 2))),
        LikelihoodRatio(independence, math.erfc(math.sqrt(independence / 2))),
        LikelihoodRatio(together, math.exp(-together / 2)),
    )


def _log_likelihood(misses: int, hits: int, p: float) -> float:
    """misses ln(1 - p) + hits ln p, with 0 ln 0 = 0."""
    return (misses * math.log1p(-p) if misses else 0.0) + (hits * math.log(p) if hits else 0.0)


@dataclass(frozen=True, repr=False)
class Backtest:
    """Forecasts and what happened, day by day. Secret data of the account: the repr shows no number.

    Attributes:
        days: the day each move ended on.
        forecasts: VaR for that day, a loss, exact in 10^-(m+e).
        pnl: P&L under that day's move, in the same unit.
        coverage: the tests.
    """

    days: tuple[str, ...]
    forecasts: tuple[int, ...]
    pnl: tuple[int, ...]
    coverage: Coverage

    def __repr__(self) -> str:
        return f"Backtest(<{len(self.days)} days>)"


def historical_backtest(
    market: Market,
    portfolio: Portfolio,
    history: History,
    window: int,
    tail: int,
    immovable: Immovable = Immovable(),  # noqa: B008 (frozen)
    *,
    weight_decay: int = RATIO_ONE,
    time_shift_seconds: int = 0,
) -> Backtest:
    """Plain historical simulation: the forecast for a day comes from the `window` moves before it, weighted by age.

    Raises:
        ModelError: a window without a scenario in its tail; a weight out of range.
        HistoryError: less than two days after the first window.
        PortfolioError, DomainError, ...: see `revaluation.book_pnl`.
    """
    moves = plain_moves(history)
    weights = _weights(window, tail, weight_decay, len(moves) - window)
    pnl = book_pnl(market, moves, portfolio, immovable, time_shift_seconds=time_shift_seconds)
    forecasts = [value_at_risk(pnl[t - window : t], tail, weights) for t in range(window, len(pnl))]
    return _backtest(moves.ids[window:], forecasts, pnl[window:], tail)


def filtered_backtest(
    market: Market,
    portfolio: Portfolio,
    history: History,
    window: int,
    tail: int,
    decay: int,
    seed_days: int,
    immovable: Immovable = Immovable(),  # noqa: B008 (frozen)
    *,
    weight_decay: int = RATIO_ONE,
    time_shift_seconds: int = 0,
) -> Backtest:
    """Filtered historical simulation: every day the `window` moves before it are rescaled to the volatility forecast for it.

    The filter of each day starts `seed_days` before its window. Every day is a full revaluation of the window.

    Raises:
        As `historical_backtest`, and `moves.filtered_moves`.
    """
    moves, base = plain_moves(history), base_state(market)
    first = seed_days + window
    weights = _weights(window, tail, weight_decay, len(moves) - first)

    def pnl_of(under: Moves) -> list[int]:
        return book_pnl(market, under, portfolio, immovable, time_shift_seconds=time_shift_seconds, base=base)

    pnl = pnl_of(moves)[first:]
    forecasts = []
    for t in range(first, len(moves)):
        past = history.between(history.day(t - first), history.day(t))
        forecasts.append(value_at_risk(pnl_of(filtered_moves(past, decay, seed_days)), tail, weights))
    return _backtest(moves.ids[first:], forecasts, pnl, tail)


def set_backtest(
    market: Market,
    model: TailModel,
    number: int,
    portfolio: Portfolio,
    histories: Sequence[History],
    window: int | None = None,
) -> Backtest:
    """Coverage of value at risk at the model's tail by set `number` of the model, on all of the set's history; see the module.

    Args:
        window: moves that a forecast comes from; as many as the set has if None.

    Raises:
        ModelError: a set or a measure that a backtest means nothing for; a window without a scenario in its tail.
        HistoryError: the history is not among `histories`, or has less than two days after the first window.
        PortfolioError, DomainError, ...: see `revaluation.book_pnl`.
    """
    method, where = model.sets[number][1], f"sets[{number}]"
    if model.tail is None:
        raise ModelError(
            f"{model.measure} has no tail", where="measure.kind", expected="expected_shortfall or value_at_risk"
        )
    if not isinstance(method, Historical | Filtered):
        raise ModelError(
            f"{method.METHOD} moves are not of a history", where=where, expected="historical or filtered moves"
        )
    if method.horizon_days != 1:
        raise ModelError(
            f"moves over {method.horizon_days} days overlap, and the tests need days that do not",
            where=f"{where}.horizon_days",
            expected="1",
        )
    own = (method.last - method.first).days
    with errors_at(where):
        history = named_history(method.history, histories)
    if method.last != history.end:
        raise ModelError(
            f"ends on {method.last}, its history on {history.end}: a stressed set, which forecasts no day",
            where=f"{where}.last",
            expected=f"{history.end}, or a history that ends with the set",
        )
    with errors_at(where):
        if isinstance(method, Historical):
            return historical_backtest(
                market,
                portfolio,
                history,
                own if window is None else window,
                model.tail,
                model.immovable,
                weight_decay=method.weight_decay,
                time_shift_seconds=model.time_shift_seconds,
            )
        return filtered_backtest(
            market,
            portfolio,
            history,
            own - method.seed_days if window is None else window,
            model.tail,
            method.decay,
            method.seed_days,
            model.immovable,
            weight_decay=method.weight_decay,
            time_shift_seconds=model.time_shift_seconds,
        )


def _weights(window: int, tail: int, decay: int, days: int) -> list[int]:
    """The weights of a window's moves, once the window and the days after it are known to be enough."""
    if days < 2:
        raise HistoryError(
            f"{max(days, 0)} days after the first window",
            where="history",
            expected="two or more: a longer history, or a shorter window",
        )
    weights = age_weights(window, decay)
    if not 0 < tail < RATIO_ONE or sum(weights) * tail < RATIO_ONE * max(weights):
        raise ModelError(
            f"a tail of {format_decimal(tail, 12)} of {window} moves holds less than one",
            where="window",
            expected="a longer window or a larger tail below 1",
        )
    return weights


def _backtest(days: tuple[str, ...], forecasts: list[int], pnl: list[int], tail: int) -> Backtest:
    violations = [-gain > forecast for gain, forecast in zip(pnl, forecasts, strict=True)]
    return Backtest(days, tuple(forecasts), tuple(pnl), coverage(violations, tail))
