"""Covariance of daily logarithmic moves by libraries' estimators, and the correlation document that is made of an estimate.

x[t] are the history's N logarithmic moves of F factors (moves.log_moves) in float64.

    exponential   sum of w[t] x[t] x[t]' / sum of w[t],  w[t] = decay^age; the mean of a day's move is taken as zero, as RiskMetrics
                  (1996) does. numpy.cov with aweights, of every move and its mirror image, whose mean is zero
    shrunk        (1 - s) S + s mu I with S the covariance about the mean, mu = trace(S) / F, and the share s of Ledoit and Wolf,
                  "A well-conditioned estimator for large-dimensional covariance matrices" (2004), or of Chen, Wiesel, Eldar and
                  Hero, "Shrinkage algorithms for MMSE covariance estimation" (2010, OAS). sklearn.covariance

The last bits of an estimate depend on the machine's linear algebra, so nobody is asked to repeat one: what counts is the document
that `to_correlation` makes, whose volatilities and correlations are rounded to 1e-9 (u) and which is hashed with the model. It is
positive semi-definite by construction. R1 is the rounded matrix; if elimination in integers says that rounding has left it
indefinite,

    R2 = (1 - F u) R1 + F u I,  each entry to the nearest u

takes its place. An entry of R2 is rounded twice, by u in all at most, which moves an eigenvalue by at most (F - 1) u, and F u I
raises it by more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import ConfigError, HistoryError, ModelError
from riskproof.risk.tail.correlation import MAX_MATRIX, Correlation, Rows
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.linear import is_positive_semidefinite
from riskproof.risk.tail.moves import LOG_EXPONENT, log_moves
from riskproof.units import RATIO_EXPONENT, RATIO_ONE, format_decimal, round_half_even

Float = npt.NDArray[np.float64]

DECIMALS: Final = 9  # of the volatilities and correlations of a document
LEDOIT_WOLF: Final = "ledoit_wolf"
OAS: Final = "oas"
SHARES: Final = (LEDOIT_WOLF, OAS)

_ONE = 10**DECIMALS
_TO_RATIO = 10 ** (RATIO_EXPONENT - DECIMALS)


@dataclass(frozen=True, eq=False)
class Covariance:
    """An estimated covariance of one-day logarithmic moves.

    Attributes:
        factors: in the history's order.
        matrix: [F, F] float64, symmetric, read-only, in squares of logarithmic moves.
        shrinkage: the share of the target, 0 to 1; 0 without shrinkage.
    """

    factors: tuple[Factor, ...]
    matrix: Float = field(repr=False)
    shrinkage: float = 0.0

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (len(self.factors), len(self.factors)) or not np.isfinite(matrix).all():
            raise ModelError(
                f"shape {matrix.shape}", where="covariance", expected=f"{len(self.factors)} rows and columns of numbers"
            )
        if (matrix != matrix.T).any():
            raise ModelError("not symmetric", where="covariance", expected="a symmetric matrix")
        for factor, variance in zip(self.factors, np.diag(matrix).tolist(), strict=True):
            if variance <= 0:
                raise HistoryError(f"{factor} has no variance", where="covariance", expected="a factor that moves")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    def to_correlation(self, name: str, description: str) -> Correlation:
        """The document: volatilities and correlations to the nearest 1e-9, positive semi-definite after rounding (see the module).

        Raises:
            ModelError: a volatility that rounds to 0 or is above 1, a wrong name; a matrix that is not of an estimator, and so far
                from positive semi-definite that its rounding is not the reason.
        """
        size = np.sqrt(np.diag(self.matrix))
        rho = np.clip(self.matrix / np.outer(size, size), -1, 1)
        rounded = tuple(
            tuple(_ONE if n == k else round(float(rho[max(n, k), min(n, k)]) * _ONE) for k in range(len(rho)))
            for n in range(len(rho))
        )
        if not is_positive_semidefinite(rounded):
            rounded = _towards_identity(rounded, len(rounded))
        matrix: Rows = tuple(tuple(x * _TO_RATIO for x in row) for row in rounded)
        volatilities = tuple(round(x * _ONE) * _TO_RATIO for x in size.tolist())
        return Correlation(name, description, self.factors, volatilities, matrix)


def _towards_identity(matrix: Rows, share: int) -> Rows:
    """(1 - share) of a matrix and `share` of the identity; both in 1e-9."""
    return tuple(
        tuple(_ONE if n == k else round_half_even(x * (_ONE - share), _ONE) for k, x in enumerate(row))
        for n, row in enumerate(matrix)
    )


def exponential_covariance(history: History, decay: int) -> Covariance:
    """Exponentially weighted covariance about zero; decay in 1e-12.

    Raises:
        ModelError: a decay out of range.
        HistoryError: a factor that never moves, or too many factors.
    """
    if not 0 < decay <= RATIO_ONE:
        raise ModelError(f"{format_decimal(decay, 12)} is out of range", where="decay", expected="above 0, at most 1")
    moves = _moves(history)
    weights = (decay / RATIO_ONE) ** np.arange(len(moves) - 1, -1, -1)
    both = np.concatenate([moves, -moves])
    found = np.atleast_2d(np.cov(both, rowvar=False, ddof=0, aweights=np.tile(weights, 2)))
    return Covariance(history.factors, _symmetric(found))


def shrunk_covariance(history: History, share: str = LEDOIT_WOLF) -> Covariance:
    """Covariance about the mean, every day weighing the same, shrunk towards mu I by the share of `ledoit_wolf` or `oas`.

    Raises:
        ConfigError: scikit-learn is not installed.
        ModelError: no such share.
        HistoryError: a factor that never moves, too many factors, less than two moves.
    """
    if share not in SHARES:
        raise ModelError(f"no share {share[:32]!r}", where="share", expected=", ".join(SHARES))
    moves = _moves(history)
    if len(moves) < 2:
        raise HistoryError(f"{len(moves)} move", where="history", expected="two moves or more")
    library = _scikit_learn()
    estimate = library.ledoit_wolf if share == LEDOIT_WOLF else library.oas
    found, shrinkage = estimate(moves)
    return Covariance(history.factors, _symmetric(found), float(shrinkage))


def _scikit_learn() -> Any:
    try:
        import sklearn.covariance
    except ModuleNotFoundError:
        raise ConfigError(
            "scikit-learn is not installed", where="shrunk_covariance", expected="pip install 'riskproof[estimators]'"
        ) from None
    return sklearn.covariance


def _moves(history: History) -> Float:
    """[N, F] logarithmic moves."""
    if len(history.factors) > MAX_MATRIX:
        raise HistoryError(f"{len(history.factors)} factors", where="history", expected=f"at most {MAX_MATRIX}")
    moves: Float = log_moves(history) / 10.0**LOG_EXPONENT
    for f, factor in enumerate(history.factors):
        if not moves[:, f].any():
            raise HistoryError(f"{factor} never moves", where="history", expected="a factor that moves")
    return moves


def _symmetric(matrix: Float) -> Float:
    """The lower triangle on both sides: products of a library need not agree in the last bit."""
    lower = np.tril(matrix)
    found: Float = lower + np.tril(matrix, -1).T
    return found
