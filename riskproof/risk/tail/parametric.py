"""Parametric tail risk: the P&L as a linear or quadratic function of joint normal logarithmic moves x with covariance C.

    L(x) = theta + delta' x + x' gamma x / 2

theta is the P&L of the time shift alone, 0 without one; delta and gamma are central differences of the book's full revaluation at
exp(+-h), so that every instrument and the integer kernel take part; h is 1 % unless asked otherwise.

    delta-normal   VaR = z sigma - theta,  ES = sigma phi(z) / alpha - theta        sigma^2 = delta' C delta,  N(-z) = alpha
    Cornish-Fisher VaR = -(mu + w(-z) sqrt(k2)),   w(z) = z + (z^2 - 1) S / 6 + (z^3 - 3 z) K / 24 - (2 z^3 - 5 z) S^2 / 36

with the cumulants of a quadratic form of normals, G = gamma C:

    mu = theta + tr G / 2,  k2 = delta' C delta + tr G^2 / 2
    k3 = 3 delta' C G delta + tr G^3,  k4 = 12 delta' C G^2 delta + 3 tr G^4
    S = k3 / k2^(3/2),  K = k4 / k2^2

(C G stands for C gamma C, and so on.) Gamma plays no part in delta-normal numbers. The expansion is a quantile only where w
increases. It is refused unless it does on |z| <= 5: for books with much gamma, use full revaluation. An expected shortfall is not
given for it, since it would need all of the tail.

Everything is rational but z, phi(z), S and square roots, which are integers of the kernel or rounded to 1e-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from riskproof.errors import ModelError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.kernel import black76
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.moves import from_logs
from riskproof.risk.tail.revaluation import Immovable, book_pnl
from riskproof.risk.tail.roots import nearest_root, root_up
from riskproof.risk.tail.simulation import quantile
from riskproof.units import RATIO_ONE, format_decimal

Vector = Sequence[Fraction]
Matrix = Sequence[Sequence[Fraction]]

STEP: Final = RATIO_ONE // 100
MAX_STEP: Final = RATIO_ONE // 10
MONOTONE_TO: Final = 5


@dataclass(frozen=True, repr=False)
class Sensitivities:
    """First and second derivatives of a book's P&L by logarithmic moves. Secret data of the account.

    Attributes:
        factors: what moves.
        delta: [F], in 10^-(m+e) per unit of logarithmic move.
        gamma: [F][F], symmetric.
        theta: P&L of the time shift alone, exact in 10^-(m+e).
    """

    factors: tuple[Factor, ...]
    delta: tuple[Fraction, ...]
    gamma: tuple[tuple[Fraction, ...], ...]
    theta: int = 0

    def __repr__(self) -> str:
        return f"Sensitivities(<{len(self.factors)} factors>)"


def sensitivities(
    market: Market,
    portfolio: Portfolio,
    factors: tuple[Factor, ...],
    immovable: Immovable = Immovable(),  # noqa: B008 (frozen)
    *,
    step: int = STEP,
    time_shift_seconds: int = 0,
) -> Sensitivities:
    """Central differences of full revaluation with a step of `step` (1e-12), at most 10 %.

        delta[f] = (L(h f) - L(-h f)) / 2h,  gamma[f][f] = (L(h f) + L(-h f) - 2 L(0)) / h^2,
        gamma[f][g] = (L(h f + h g) - L(h f - h g) - L(-h f + h g) + L(-h f - h g)) / 4 h^2

    Raises:
        ModelError: a step out of range.
        PortfolioError, SnapshotError, DomainError, ...: see `revaluation.book_pnl`.
    """
    if not 0 < step <= MAX_STEP:
        raise ModelError("step out of range", where="step", expected=f"above 0, at most {format_decimal(MAX_STEP, 12)}")
    count = len(factors)
    places: list[tuple[tuple[int, int], ...]] = [()]
    places += [((f, sign),) for f in range(count) for sign in (1, -1)]
    places += [((f, a), (g, b)) for f in range(count) for g in range(f) for a in (1, -1) for b in (1, -1)]
    logs = np.zeros((len(places), count), dtype=np.int64)
    for n, place in enumerate(places):
        for f, sign in place:
            logs[n, f] = sign * step
    moves = from_logs(tuple(f"step {n}" for n in range(len(places))), factors, logs)
    found = book_pnl(market, moves, portfolio, immovable, time_shift_seconds=time_shift_seconds)
    pnl, theta = dict(zip(places, found, strict=True)), found[0]
    h = Fraction(step, RATIO_ONE)
    delta = tuple((pnl[((f, 1),)] - pnl[((f, -1),)]) / (2 * h) for f in range(count))

    def second(f: int, g: int) -> Fraction:
        if f == g:
            return (pnl[((f, 1),)] + pnl[((f, -1),)] - 2 * theta) / (h * h)
        f, g = max(f, g), min(f, g)
        return sum(a * b * pnl[((f, a), (g, b))] for a in (1, -1) for b in (1, -1)) / (4 * h * h)

    gamma = tuple(tuple(second(f, g) for g in range(count)) for f in range(count))
    return Sensitivities(factors, delta, gamma, theta)


@dataclass(frozen=True, repr=False)
class ParametricRisk:
    """Losses in 10^-(m+e), rounded up; secret data of the account. expected_shortfall is None where the method gives none."""

    value_at_risk: int
    expected_shortfall: int | None

    def __repr__(self) -> str:
        return "ParametricRisk(<secret>)"


def delta_normal(book: Sensitivities, correlation: Correlation, tail: int) -> ParametricRisk:
    """VaR and ES of the linear P&L, gains negative; tail in 1e-12, below one half (ModelError)."""
    z, density = _normal(tail)
    variance = _quadratic(book.delta, _covariance(book, correlation))
    shortfall = root_up((density * RATIO_ONE / tail) ** 2 * variance)
    return ParametricRisk(root_up(z * z * variance) - book.theta, shortfall - book.theta)


def delta_gamma(book: Sensitivities, correlation: Correlation, tail: int) -> ParametricRisk:
    """VaR of the quadratic P&L by the Cornish-Fisher expansion.

    Raises:
        ModelError: a tail out of range, other factors, or an expansion that is not monotone; says the skewness and kurtosis.
    """
    z, _density = _normal(tail)
    covariance = _covariance(book, correlation)
    g = _product(book.gamma, covariance)  # gamma C; its powers have the traces of G's
    mean = book.theta + _trace(g) / 2
    moved = [_dot(row, book.delta) for row in covariance]  # C delta
    bent = [_dot(row, moved) for row in book.gamma]  # gamma C delta
    g2 = _product(g, g)
    k2 = _dot(book.delta, moved) + _trace(g2) / 2
    if not k2:
        return ParametricRisk(_up(-mean), None)
    k3 = 3 * _dot(moved, bent) + _trace(_product(g2, g))
    k4 = 12 * _dot(bent, [_dot(row, bent) for row in covariance]) + 3 * _trace(_product(g2, g2))
    square = k3 * k3 / k2**3
    skew = Fraction(nearest_root(square.numerator * RATIO_ONE**2, square.denominator), RATIO_ONE) * (
        1 if k3 >= 0 else -1
    )
    kurtosis = k4 / (k2 * k2)
    _check_monotone(skew, kurtosis)
    w = -z + (z * z - 1) * skew / 6 - (z**3 - 3 * z) * kurtosis / 24 + (2 * z**3 - 5 * z) * skew * skew / 36
    # sqrt(k2) in 1e-12 of the unit of the P&L, so that its rounding is far below one unit
    deviation = Fraction(nearest_root(k2.numerator * RATIO_ONE**2, k2.denominator), RATIO_ONE)
    return ParametricRisk(_up(-(mean + w * deviation)), None)


def _check_monotone(skew: Fraction, kurtosis: Fraction) -> None:
    """w'(z) = a z^2 + b z + c above zero on |z| <= MONOTONE_TO."""
    a, b = kurtosis / 8 - skew * skew / 6, skew / 3
    c = 1 - kurtosis / 8 + 5 * skew * skew / 36
    places = [Fraction(-MONOTONE_TO), Fraction(MONOTONE_TO)]
    if a and abs(b) < 2 * abs(a) * MONOTONE_TO:
        places.append(-b / (2 * a))
    if min(a * z * z + b * z + c for z in places) <= 0:
        raise ModelError(
            f"the Cornish-Fisher expansion is no quantile at a skewness of {float(skew):.3g} and an excess kurtosis of"
            f" {float(kurtosis):.3g}",
            where="delta_gamma",
            expected="a book with less gamma, or full revaluation",
        )


def _normal(tail: int) -> tuple[Fraction, Fraction]:
    """z with N(-z) = alpha and phi(z), of the kernel."""
    if not 0 < 2 * tail < RATIO_ONE:
        raise ModelError(
            f"{format_decimal(tail, 12)} is out of range", where="measure.tail", expected="above 0, below 0.5"
        )
    z = -int(quantile(np.array([tail * 10**6], dtype=np.int64))[0])
    return Fraction(z, RATIO_ONE), Fraction(int(black76.pdf(np.array([z]))[0]), 10**18)


def _covariance(book: Sensitivities, correlation: Correlation) -> list[list[Fraction]]:
    if correlation.factors != book.factors:
        raise ModelError("other factors", where=correlation.name, expected=", ".join(map(str, book.factors)))
    return [[Fraction(x, RATIO_ONE**3) for x in row] for row in correlation.covariance]


def _up(amount: Fraction) -> int:
    return -((-amount.numerator) // amount.denominator)


def _dot(a: Vector, b: Vector) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _quadratic(x: Vector, matrix: Matrix) -> Fraction:
    return _dot(x, [_dot(row, x) for row in matrix])


def _product(a: Matrix, b: Matrix) -> list[list[Fraction]]:
    columns = list(zip(*b, strict=True))
    return [[_dot(row, column) for column in columns] for row in a]


def _trace(a: Matrix) -> Fraction:
    return sum((row[n] for n, row in enumerate(a)), Fraction(0))
