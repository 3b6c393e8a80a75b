"""Joint moves of factors: what one scenario of tail risk does to every price and volatility at once.

A move is the ratio of two levels, an int64 in 1e-12: 10^12 leaves a factor where it is.

    plain     ratio = level[t + h] / level[t], to the nearest, ties to even; every t of the history, so that for h > 1 moves overlap
    filtered  x[t] = ln(level[t + 1] / level[t]) is divided by the volatility that was forecast for its day and multiplied by the
              one that is forecast for the day after the last (Hull and White 1998; Barone-Adesi, Giannopoulos and Vosper 1999):

                  v[W] = mean of x[0]^2 ... x[W-1]^2                              W seed days, which give no scenario
                  v[t + 1] = decay v[t] + (1 - decay) x[t]^2
                  x*[t] = x[t] sqrt(v[N] / v[t]),   ratio = exp(x*[t])            W <= t < N

The filter runs in integers: x in 1e-15 from the kernel's logarithm, v in 1e-30 (ties to even), x* to the nearest 1e-12, and the
kernel's exponential. The same history gives the same moves everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import DomainError, HistoryError, ModelError
from riskproof.risk.kernel import black76
from riskproof.risk.model import MAX_PRICE_SHOCK, MIN_PRICE_SHOCK
from riskproof.risk.tail.history import Factor, History, check_factors
from riskproof.risk.tail.roots import nearest_root
from riskproof.units import RATIO_ONE, format_decimal, round_half_even

Int64 = npt.NDArray[np.int64]

MAX_SCENARIOS: Final = 65_536
LOG_EXPONENT: Final = 15  # logarithmic moves, and the square roots of variances, are in 1e-15

_LOG_TO_RATIO = 10 ** (LOG_EXPONENT - 12)
_LOG_MAX = 2 * RATIO_ONE  # the kernel's exponential ends at e^2
_PRICE_RANGE = (RATIO_ONE + MIN_PRICE_SHOCK, RATIO_ONE + MAX_PRICE_SHOCK)
_VOL_RANGE = (0, 10 * RATIO_ONE)  # revaluation sees to it that no volatility ends above the kernel's limit


@dataclass(frozen=True, eq=False)
class Moves:
    """S joint moves of F factors. Construction checks that the kernel can price every price move.

    Attributes:
        ids: what each move is: the day it ended, a number, a name.
        factors: sorted; a volatility comes with the price of its underlying.
        ratios: [S, F] int64, 1e-12, read-only; prices move by 0.1 to 10, volatilities by 0 to 10.

    Raises:
        DomainError: a ratio out of range; names the move and the factor. Nothing is clipped.
        ModelError: no move, or too many.
    """

    ids: tuple[str, ...]
    factors: tuple[Factor, ...]
    ratios: Int64 = field(repr=False)

    def __post_init__(self) -> None:
        check_factors(self.factors, "factors")
        ratios = np.array(self.ratios, dtype=np.int64, order="C")
        if not 0 < len(self.ids) <= MAX_SCENARIOS:
            raise ModelError(f"{len(self.ids)} joint moves", where="scenarios", expected=f"1 to {MAX_SCENARIOS}")
        if ratios.shape != (len(self.ids), len(self.factors)):
            raise AssertionError("one ratio for each move and factor")
        for f, factor in enumerate(self.factors):
            low, high = _PRICE_RANGE if factor.is_price else _VOL_RANGE
            wrong = np.flatnonzero((ratios[:, f] < low) | (ratios[:, f] > high))
            if wrong.size:
                raise DomainError(
                    f"{factor} moves by a factor of {format_decimal(int(ratios[wrong[0], f]), 12)}",
                    where=f"move {self.ids[wrong[0]]}",
                    expected=f"{format_decimal(low, 12)} to {format_decimal(high, 12)}",
                )
        ratios.flags.writeable = False
        object.__setattr__(self, "ratios", ratios)

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, keep: Callable[[Factor], bool]) -> Moves:
        """The same moves with every factor that `keep` does not accept left where it is."""
        kept = np.array([keep(factor) for factor in self.factors])
        return Moves(self.ids, self.factors, np.where(kept, self.ratios, RATIO_ONE))


def log_moves(history: History) -> Int64:
    """ln(level[t + 1] / level[t]) of every factor, [N - 1, F] int64 in 1e-15: differences of the kernel's logarithms."""
    moves: Int64 = np.diff(black76.ln(history.levels), axis=0)
    return moves


def plain_moves(history: History, horizon_days: int = 1) -> Moves:
    """Every move of the history over `horizon_days`, named by the day it ends on.

    Raises:
        HistoryError: the history is not longer than the horizon.
        DomainError: see `Moves`.
    """
    if not 0 < horizon_days < len(history):
        raise HistoryError(
            f"{len(history)} days are too few for moves over {horizon_days} days",
            where="history",
            expected=f"{horizon_days + 1} days or more",
        )
    after, before = history.levels[horizon_days:].tolist(), history.levels[:-horizon_days].tolist()
    ratios = [[_ratio(b, a) for b, a in zip(end, start, strict=True)] for end, start in zip(after, before, strict=True)]
    ids = tuple(history.day(n).isoformat() for n in range(horizon_days, len(history)))
    return Moves(ids, history.factors, np.array(ratios, dtype=np.int64))


def _ratio(after: int, before: int) -> int:
    return min(round_half_even(after * RATIO_ONE, before), 2**63 - 1)  # what is beyond is refused by its size anyway


def forecast_variances(logs: Int64, decay: int, seed_days: int, factors: tuple[Factor, ...]) -> list[list[int]]:
    """v[t] of every factor for W <= t <= N: lists of N - W + 1 variances in 1e-30; logs [N, F] in 1e-15.

    Raises:
        ModelError: a decay outside (0, 1), no seed days.
        HistoryError: fewer moves than seed days and one more; a factor that did not move on any seed day.
    """
    if not 0 < decay < RATIO_ONE:
        raise ModelError(
            f"{format_decimal(decay, 12)} is out of range", where="filter.decay", expected="between 0 and 1"
        )
    if seed_days < 1:
        raise ModelError("no seed days", where="filter.seed_days", expected="1 or more")
    if len(logs) <= seed_days:
        raise HistoryError(
            f"{len(logs)} moves are too few for {seed_days} seed days",
            where="history",
            expected=f"{seed_days + 1} or more",
        )
    variances = []
    for f, factor in enumerate(factors):
        column = logs[:, f].tolist()
        variance = round_half_even(sum(x * x for x in column[:seed_days]), seed_days)
        if variance == 0:
            raise HistoryError(
                f"{factor} does not move on the seed days", where="history", expected="a factor that moves"
            )
        found = [variance]
        for x in column[seed_days:]:
            variance = round_half_even(decay * variance + (RATIO_ONE - decay) * x * x, RATIO_ONE)
            found.append(variance)
        variances.append(found)
    return variances


def filtered_moves(history: History, decay: int, seed_days: int) -> Moves:
    """Moves of one day, rescaled to the volatility forecast for the day after the history's last; see the module.

    Raises:
        ModelError, HistoryError: see `forecast_variances`.
        DomainError: see `Moves`; also a move beyond e^2.
    """
    logs = log_moves(history)
    variances = forecast_variances(logs, decay, seed_days, history.factors)
    ids = tuple(history.day(n).isoformat() for n in range(seed_days + 1, len(history)))
    scaled = np.empty((len(ids), len(history.factors)), dtype=np.int64)
    for f, found in enumerate(variances):
        now = found[-1]
        for n, (x, then) in enumerate(zip(logs[seed_days:, f].tolist(), found, strict=False)):
            if then == 0:
                raise HistoryError(
                    f"{history.factors[f]} has no volatility left",
                    where=f"move {ids[n]}",
                    expected="a factor that moves",
                )
            size = nearest_root(x * x * now, then * _LOG_TO_RATIO**2)
            scaled[n, f] = min(size, 2**62) * (1 if x >= 0 else -1)
    return from_logs(ids, history.factors, scaled)


def from_logs(ids: tuple[str, ...], factors: tuple[Factor, ...], logs: Int64) -> Moves:
    """Moves exp(x), x in 1e-12 [S, F]; to the nearest 1e-12, ties to even. DomainError beyond e^2 and as `Moves`."""
    wrong = np.argwhere(logs > _LOG_MAX)
    if wrong.size:
        s, f = wrong[0].tolist()
        raise DomainError(
            f"{factors[f]} moves by exp({format_decimal(int(logs[s, f]), 12)})",
            where=f"move {ids[s]}",
            expected="at most exp(2)",
        )
    fine = black76.exp(logs)
    down, rest = np.divmod(fine, 10**6)
    return Moves(ids, factors, down + ((rest > 500_000) | ((rest == 500_000) & (down % 2 == 1))))
