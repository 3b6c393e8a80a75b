"""From lots to P&L to margin, in exact integers; docs/risk-model.md. The sums are the literal twin of riskproof.risk.accumulate.

L[s]        = sum_i q_i A[s, i]                             exact, in 10^-(m+e) of the numeraire
requirement = max(0, max_s -L[s]) + sum_i |q_i| b_i         exact
margin      = factor * requirement                          rounded up once, to micros
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from riskproof import units

Int64 = npt.NDArray[np.int64]
Positions = Sequence[tuple[int, int]]  # (index, lots)


def exact_pnl(rows: Int64, positions: Positions) -> list[int]:
    """L[s] for every scenario; rows: [I, S] int64 (RiskArray.rows)."""
    pnl = [0] * rows.shape[1]
    for index, lots in positions:
        pnl = [total + lots * entry for total, entry in zip(pnl, rows[index].tolist(), strict=True)]
    return pnl


def exact_sum(per_unit: Int64, positions: Positions, *, gross: bool = False) -> int:
    """sum_i q_i v_i, or with `gross` sum_i |q_i| v_i; per_unit: [I] int64."""
    return sum((abs(lots) if gross else lots) * int(per_unit[index]) for index, lots in positions)


def worst_scenario(pnl: Sequence[int]) -> int:
    """The first scenario with the least P&L."""
    return min(range(len(pnl)), key=pnl.__getitem__)


def margin_micros(requirement: int, exponent: int, factor: int, where: str) -> int:
    """factor (1e-12) times a requirement in 10^-exponent of the numeraire, rounded up to micros.

    Raises:
        OverflowMoneyError: it does not fit 64 bits.
    """
    exact = requirement * factor
    return units.to_micros(exact, exponent + units.RATIO_EXPONENT, against_account=True, requirement=True, where=where)


def micros_fraction(exponent: int, factor: int) -> tuple[int, int]:
    """p, q in lowest terms such that p / q micros are factor (1e-12) times 10^-exponent of the numeraire."""
    numerator = factor * 10**units.MICROS_EXPONENT
    denominator = 10 ** (exponent + units.RATIO_EXPONENT)
    common = math.gcd(numerator, denominator)
    return numerator // common, denominator // common


def scaled_down(amounts: Int64, fraction: tuple[int, int]) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """floor(amounts * p / q) where int64 arithmetic can do it; elsewhere zero, and False in the second array."""
    p, q = fraction
    limit = units.INT64_MAX // p
    fits: npt.NDArray[np.bool_] = (amounts <= limit) & (amounts >= -limit)
    if q > units.INT64_MAX:
        # |amount * p| < q: the quotient is zero or minus one.
        down: Int64 = np.where(amounts < 0, -1, 0)
    else:
        down = np.where(fits, amounts, 0) * np.int64(min(p, units.INT64_MAX)) // np.int64(q)
    return np.where(fits, down, 0), fits
