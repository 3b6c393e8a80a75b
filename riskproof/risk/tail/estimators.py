"""Covariance of daily logarithmic moves: exponentially weighted, and shrunk (Ledoit and Wolf 2004). Exact but for one rounding.

x[t][f] are the history's logarithmic moves in 1e-15 (moves.log_moves), N of them.

    exponential   c[f][g] = sum of w[t] x[t][f] x[t][g] / sum of w[t],  w = decay^age in 1e-24 (measures.decay_powers); the mean of
                  a day's move is taken as zero, as RiskMetrics (1996) does. Positive semi-definite: a sum of squares
    shrinkage     (1 - s) S + s mu I with S the covariance about the mean, mu = trace(S) / F, and the share s of Ledoit and Wolf, "A
                  well-conditioned estimator for large-dimensional covariance matrices" (2004), as sklearn.covariance.ledoit_wolf
                  computes it. Positive definite

Both run in integers and rational numbers on the history's integers, so that everybody finds the same document; volatilities and
correlations are rounded to 1e-12 at the end. `to_correlation` refuses what rounding has left indefinite (two factors that are
copies of each other, say); shrinkage does not leave any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from riskproof.errors import HistoryError, ModelError
from riskproof.risk.tail.correlation import MAX_MATRIX, Correlation, Rows
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.measures import decay_powers
from riskproof.risk.tail.moves import LOG_EXPONENT, log_moves
from riskproof.risk.tail.roots import nearest_root
from riskproof.units import RATIO_ONE, format_decimal

_TO_RATIO = 10 ** (LOG_EXPONENT - 12)


@dataclass(frozen=True)
class Covariance:
    """An estimated covariance of one-day logarithmic moves.

    Attributes:
        factors: in the history's order.
        matrix: [F][F] exact, in 1e-30.
        shrinkage: the share of the target, 0 to 1; 0 without shrinkage.
    """

    factors: tuple[Factor, ...]
    matrix: tuple[tuple[Fraction, ...], ...]
    shrinkage: Fraction = Fraction(0)

    def to_correlation(self, name: str, description: str) -> Correlation:
        """Volatilities and correlations, each to the nearest 1e-12.

        Raises:
            ModelError: the rounded matrix is not positive semi-definite, or a volatility is out of range.
        """
        size = [
            nearest_root(x.numerator, x.denominator * _TO_RATIO**2)
            for x in (row[n] for n, row in enumerate(self.matrix))
        ]
        below = [
            [_correlation(x, self.matrix[n][n] * self.matrix[k][k]) for k, x in enumerate(row[:n])]
            for n, row in enumerate(self.matrix)
        ]
        count = len(self.factors)
        rows: Rows = tuple(
            tuple(below[max(n, k)][min(n, k)] if n != k else RATIO_ONE for k in range(count)) for n in range(count)
        )
        return Correlation(name, description, self.factors, tuple(size), rows)


def _correlation(covariance: Fraction, variances: Fraction) -> int:
    square = covariance * covariance * RATIO_ONE**2 / variances
    root = nearest_root(square.numerator, square.denominator)
    return root if covariance >= 0 else -root


def exponential_covariance(history: History, decay: int) -> Covariance:
    """Exponentially weighted covariance; decay 1e-12.

    Raises:
        ModelError: a decay out of range.
        HistoryError: a factor that never moves, or too many factors.
    """
    rows = _rows(history)
    if not 0 < decay <= RATIO_ONE:
        raise ModelError(f"{format_decimal(decay, 12)} is out of range", where="decay", expected="above 0, at most 1")
    weights = decay_powers(len(rows), decay)
    total = sum(weights)
    count = len(history.factors)
    sums = [[0] * count for _ in range(count)]
    for weight, row in zip(weights, rows, strict=True):
        _add_square(sums, row, weight)
    return Covariance(history.factors, _fractions(sums, total))


def shrunk_covariance(history: History) -> Covariance:
    """Ledoit and Wolf's shrinkage towards mu I, every day weighing the same (HistoryError as `exponential_covariance`)."""
    rows = _rows(history)
    n, p = len(rows), len(history.factors)
    totals = [sum(column) for column in zip(*rows, strict=True)]
    centred = [[n * x - total for x, total in zip(row, totals, strict=True)] for row in rows]  # times n
    sums = [[0] * p for _ in range(p)]
    fourth = 0
    for row in centred:
        _add_square(sums, row, 1)
        fourth += sum(x * x for x in row) ** 2
    # S = sums / n^3; beta = sum over t of |x x' - S|^2 / (n^2 p), delta = |S - mu I|^2 / p
    trace = sum(sums[k][k] for k in range(p))
    norm = sum(x * x for row in sums for x in row)
    delta = Fraction(p * norm - trace * trace, p * p * n**6)
    beta = min(Fraction(n * fourth - norm, p * n**7), delta)
    share = beta / delta if beta else Fraction(0)
    covariance = _fractions(sums, n**3)
    mu = Fraction(trace, p * n**3)
    shrunk = tuple(
        tuple((1 - share) * x + (share * mu if k == f else 0) for k, x in enumerate(row))
        for f, row in enumerate(covariance)
    )
    return Covariance(history.factors, shrunk, share)


def _rows(history: History) -> list[list[int]]:
    if len(history.factors) > MAX_MATRIX:
        raise HistoryError(f"{len(history.factors)} factors", where="history", expected=f"at most {MAX_MATRIX}")
    rows: list[list[int]] = log_moves(history).tolist()
    for f, factor in enumerate(history.factors):
        if not any(row[f] for row in rows):
            raise HistoryError(f"{factor} never moves", where="history", expected="a factor that moves")
    return rows


def _add_square(sums: list[list[int]], row: Sequence[int], weight: int) -> None:
    for f, x in enumerate(row):
        line, scaled = sums[f], weight * x
        for g, y in enumerate(row):
            line[g] += scaled * y


def _fractions(sums: list[list[int]], total: int) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(Fraction(x, total) for x in row) for row in sums)
