"""Black-76 values, Greeks and the elementary functions on arrays, in the units of riskproof.units.

    c = D (F N(d1) - K N(d2)),  p = D (K N(-d2) - F N(-d1)),  d1 = ln(F/K)/s + s/2,  d2 = d1 - s,  s = vol sqrt(T),  D = exp(-r T)

(F. Black, "The pricing of commodity contracts", 1976). T is seconds over 365 days; zero or less gives the intrinsic value.
Derivatives are at a fixed forward; for a spot with carry, apply the chain rule to F = S exp((r - q) T).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskproof.errors import DomainError, OverflowMoneyError, UnitError
from riskproof.risk.kernel.engine import CALL, PUT, elementary_rows, state_rows
from riskproof.risk.kernel.grid import LINEAR, Grid, prepare, risk_entries
from riskproof.units import (
    INT64_MAX,
    INT64_MIN,
    PRICE_EXPONENT,
    PRICE_ONE,
    RATIO_ONE,
    SECONDS_PER_DAY,
    SECONDS_PER_YEAR,
    round_half_even,
)

Int64 = npt.NDArray[np.int64]

_CDF, _PDF, _EXP, _LN = 0, 1, 2, 3
_EXP_MAX = 2 * RATIO_ONE


@dataclass(frozen=True)
class Greeks:
    """Derivatives of discounted values at a fixed forward, int64 arrays of one shape, each rounded once (ties to even).

    Attributes:
        delta: 1e-12; dV/dF.
        gamma: 1e-12 per 1.0 of price; d2V/dF2. Zero where the value has no curvature left (s = 0).
        vega: 1e-9 of the currency per 1 % of volatility.
        theta: 1e-9 of the currency per day that passes, ACT/365.
        rho: 1e-9 of the currency per 1 % of rate, that is -T V / 100.
    """

    delta: Int64
    gamma: Int64
    vega: Int64
    theta: Int64
    rho: Int64


def _columns(**arguments: Any) -> tuple[list[Int64], tuple[int, ...]]:
    """Arguments as flat int64 arrays of one length, and their common shape."""
    arrays = {}
    for name, given in arguments.items():
        array = np.asarray(given)
        if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.signedinteger):
            arrays[name] = array.astype(np.int64)
        else:
            raise UnitError(f"not a signed integer array: {array.dtype}", where=name, expected="int64")
    try:
        together = np.broadcast_arrays(*arrays.values())
    except ValueError:
        raise UnitError("arrays of different shapes", where=", ".join(arrays), expected="one shape") from None
    return [np.ascontiguousarray(a).ravel() for a in together], together[0].shape


def _grid(columns: list[Int64]) -> Grid:
    """A grid of one state whose base values are the discounted values in 1e-9: one curve per row, unit 1.0, m = 9."""
    forward, strike, vol, seconds, rate, is_call = columns
    count, empty = forward.size, np.zeros(0, dtype=np.int64)
    return Grid(
        forward=forward[None, :],
        conversion=np.zeros((1, count), dtype=np.int64),
        seconds=seconds[None, :],
        rate=rate,
        vol=vol[None, :],
        strike=strike,
        curve=np.arange(count, dtype=np.int64),
        kind=np.where(is_call != 0, CALL, PUT).astype(np.int8),
        payoff=np.full(count, LINEAR, dtype=np.int8),
        unit=np.full(count, PRICE_ONE, dtype=np.int64),
        scenario_p=empty,
        scenario_v=empty,
        scenario_t=empty,
        money_exponent=PRICE_EXPONENT,
    )


def value(forward: Any, strike: Any, vol: Any, seconds: Any, rate: Any, is_call: Any) -> Int64:
    """Discounted option values in 1e-9, to the nearest, ties to even.

    Args:
        forward, strike: 1e-9. vol, rate: 1e-12. seconds: to expiry. is_call: truth. Integer arrays that broadcast together.

    Raises:
        UnitError: not integers, or shapes that do not broadcast.
        DomainError: outside the domain of docs/kernel.md section 1; names the argument and the place in the flattened arrays.
    """
    columns, shape = _columns(forward=forward, strike=strike, vol=vol, seconds=seconds, rate=rate, is_call=is_call)
    return risk_entries(_grid(columns)).base_value.reshape(shape)


def greeks(forward: Any, strike: Any, vol: Any, seconds: Any, rate: Any, is_call: Any) -> Greeks:
    """Delta, gamma, vega, theta and rho; arguments as `value`.

    Raises:
        UnitError, DomainError: as `value`.
        OverflowMoneyError: a derivative does not fit 64 bits (a gamma of a tiny forward); names it and the place.
    """
    columns, shape = _columns(forward=forward, strike=strike, vol=vol, seconds=seconds, rate=rate, is_call=is_call)
    grid = _grid(columns)
    values = risk_entries(grid).base_value.tolist()
    _forward, logs, _ratio, discounts, roots, _vol, rows, _scales = prepare(grid).arguments
    states = np.zeros((len(values), 3), dtype=np.int64)
    state_rows(logs[:, 0] - rows[1], columns[2], np.ascontiguousarray(roots[:, 0]), states)
    out = np.zeros((5, len(values)), dtype=np.int64)
    inputs = zip(
        *(c.tolist() for c in columns), discounts[:, 0].tolist(), roots[:, 0].tolist(), states.tolist(), strict=True
    )
    for n, (f, k, _v, t, r, call, factor, h, (cdf, pdf, s)) in enumerate(inputs):
        if s == 0 and f == k:
            cdf = 1 << 60  # one half: at expiry and at the strike the derivative is that of the limit of small s
        row = _greeks(values[n], f, t, r, bool(call), factor, h, cdf, pdf, s)
        for j, number in enumerate(row):
            if not INT64_MIN <= number <= INT64_MAX:
                name = ("delta", "gamma", "vega", "theta", "rho")[j]
                raise OverflowMoneyError(f"{name} does not fit 64 bits", where=f"row {n}", expected="at most 2^63")
        out[:, n] = row
    return Greeks(*(out[j].reshape(shape) for j in range(5)))


def _greeks(
    value_: int, f: int, seconds: int, rate: int, call: bool, factor: int, h: int, cdf: int, pdf: int, s: int
) -> tuple[int, int, int, int, int]:
    """The five derivatives of one option from D (Q60), h (Q101), N(d1) and phi(d1) (Q61), s (Q58); exact but for one rounding."""
    t = max(seconds, 0)
    delta = round_half_even(factor * (cdf if call else cdf - (1 << 61)) * RATIO_ONE, 1 << 121)
    gamma = round_half_even(factor * pdf * PRICE_ONE * RATIO_ONE << 58, (f * s) << 121) if s else 0
    vega = round_half_even(factor * f * pdf * h * RATIO_ONE, 100 << 222)
    carry = rate * value_ * SECONDS_PER_DAY
    if s:
        # dV/dt = r V - D F phi s / (2 T), over a common denominator of 2 t * 2^179 and a year
        decay = factor * f * pdf * s * SECONDS_PER_DAY * SECONDS_PER_YEAR * RATIO_ONE
        theta = round_half_even((carry * 2 * t << 179) - decay, (2 * t * SECONDS_PER_YEAR * RATIO_ONE) << 179)
    else:
        theta = round_half_even(carry, SECONDS_PER_YEAR * RATIO_ONE) if t else 0
    rho = round_half_even(-t * value_, SECONDS_PER_YEAR * 100)
    return delta, gamma, vega, theta, rho


def _elementary(which: int, x: Any, name: str, low: int, high: int) -> Int64:
    (column,), shape = _columns(**{name: x})
    wrong = np.flatnonzero((column < low) | (column > high))
    if wrong.size:
        what = f"{int(column[wrong[0]])} is outside the domain"
        raise DomainError(what, where=f"{name}[{wrong[0]}]", expected=f"{low} to {high}")
    out = np.zeros_like(column)
    elementary_rows(which, column, out)
    return out.reshape(shape)


def cdf(x: Any) -> Int64:
    """Normal distribution function in 1e-18 of x in 1e-12: monotone, inside [0, 10^18], cdf(-x) = 10^18 - cdf(x)."""
    return _elementary(_CDF, x, "x", INT64_MIN + 1, INT64_MAX)


def pdf(x: Any) -> Int64:
    """Normal density in 1e-18 of x in 1e-12."""
    return _elementary(_PDF, x, "x", INT64_MIN + 1, INT64_MAX)


def exp(x: Any) -> Int64:
    """exp(x) in 1e-18 of x in 1e-12, at most 2.0 (DomainError beyond)."""
    return _elementary(_EXP, x, "x", INT64_MIN, _EXP_MAX)


def ln(a: Any) -> Int64:
    """ln of a positive number in 1e-9, in 1e-15 (DomainError for zero and less)."""
    return _elementary(_LN, a, "a", 1, INT64_MAX)


def compile_kernels() -> None:
    """Compile or load every compiled function of the kernel, for callers that want to announce the wait."""
    value(PRICE_ONE, PRICE_ONE, RATIO_ONE, SECONDS_PER_DAY, 0, True)
    greeks(PRICE_ONE, PRICE_ONE, RATIO_ONE, SECONDS_PER_DAY, 0, True)
    cdf(0)
