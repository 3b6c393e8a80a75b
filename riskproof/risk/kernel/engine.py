"""Compiled cells of the kernel: time value, discounting, the one rounding, and the loop over a range of instruments.

docs/kernel.md sections 3 to 6 are the specification, twin.py its literal reading. A value is a pair (whole, fraction):
whole in 1e-9 of the currency, fraction in Q60 of 1e-9, so that forward, strike and intrinsic value stay exact.
"""

from __future__ import annotations

from typing import Any, Final

from riskproof.risk.kernel import tables
from riskproof.risk.kernel.domain import CUT_EIGHTHS, S_LIMIT
from riskproof.risk.kernel.fixed import EXP2, LN, LN_POWERS, MILLS, density, jit, ln, mills, power_of_two, reciprocal
from riskproof.units import RATIO_ONE
from riskproof.wide import bit_length, imul_add_shr, imul_hi, imul_low, imul_shr

_CUT = CUT_EIGHTHS << 55  # Q58
_S_TOP = S_LIMIT << 37  # s / 2^21 in Q58
_TWO = 2 << 58
_X_MAX = (1 << 63) - 1
_X_MIN = -(1 << 63)
_CAP = (1 << 57) - 1
_MASK60 = (1 << 60) - 1
_MASK59 = (1 << 59) - 1

_ONE_Q60 = 1 << 60
_ONE_Q61 = 1 << 61
_PER_SECOND = tables.LOG2_E_PER_SECOND
_PER_1E12 = tables.LOG2_E_PER_1E12
_E18 = 10**18
_D_SCALE = (1 << 102) // 10**12  # 1e-12 to Q59
_D_CUT = CUT_EIGHTHS * RATIO_ONE // 8
_EXP_CUT = 42 * RATIO_ONE  # exp(-42) is below half of 1e-18

ABSENT: Final = 0
CALL: Final = 1
PUT: Final = 2
DELTA_ONE: Final = 3
CASH: Final = 4


@jit
def bound(s: int, a: int) -> int:
    """s * a in Q58 for s < 2; from there on its multiple of 2^-52 below, and at most 32, so that it fits."""
    if s < _TWO:
        return imul_shr(s, a, 58)
    return min(imul_hi(s, a), _CAP) << 6


@jit
def spread(vol: int, root: int) -> tuple[int, int, int, int, int, int]:
    """What one volatility and one maturity fix: (s, 1/s, shift, x_low, x_high, half s^2), x and s in Q58.

    For x outside [x_low, x_high] the density is below the cut: the time value is min(F, K) if x_high < x < s^2/2, else 0.
    """
    if imul_hi(vol, root) >= _S_TOP:
        return 0, 0, 0, _X_MIN, _X_MIN, _X_MAX
    s = imul_shr(vol, root, 43)
    if s == 0:
        return 0, 0, 0, 1, 0, 0
    length = bit_length(s)
    m = s << (62 - length) if length < 63 else s >> 1
    half = s >> 1
    low, high, square = bound(s, _CUT + half), bound(s, _CUT - half), bound(s, half)
    return s, reciprocal(m), 2 + length, -low, high, square


@jit
def time_value(
    forward: int, strike: int, x: int, spread_: tuple[int, int, int, int, int, int], mills_table: Any, exp2_table: Any
) -> tuple[int, int]:
    """Undiscounted option value less its intrinsic value, the same for call and put; in [0, min(F, K)]."""
    s, inverse, shift, low, high, square = spread_
    if x > high:
        return (0 if x >= square else min(forward, strike)), 0
    if x < low:
        return 0, 0
    q = imul_shr(x, inverse, shift)
    d1, d2 = q + s, q - s
    mantissa, n = density(abs(d1), exp2_table)
    r1, r2 = mills(abs(d1), mills_table), mills(abs(d2), mills_table)
    straddle = d1 >= 0 and d2 < 0
    w = imul_hi(mantissa, r1 + r2 if straddle else abs(r1 - r2)) >> n
    whole, fraction = imul_shr(forward, w, 61), imul_low(forward, w, 61) >> 1
    if straddle:
        whole = min(forward, strike) - whole - (1 if fraction > 0 else 0)
        fraction = -fraction & _MASK60
        if whole < 0:
            return 0, 0
    return whole, fraction


@jit
def scale(whole: int, fraction: int, factor: int) -> tuple[int, int]:
    """floor(value * factor) for a factor in Q60 below 4 and a value that is not negative."""
    low = imul_low(whole, factor, 60) + imul_shr(fraction, factor, 60)
    return imul_shr(whole, factor, 60) + (low >> 60), low & _MASK60


@jit
def money(whole: int, fraction: int, scale_: Any) -> tuple[int, bool]:
    """value * numerator / denominator to the nearest integer, ties to even; (0, False) if it may not fit 64 bits.

    scale_ = [numerator, 2 * denominator, mantissa, exponent, limit] with numerator / denominator = mantissa / 2^exponent, rounded
    down to 63 bits, and limit the greatest |whole| for which the result surely fits.
    """
    negative = whole < 0
    if negative:
        whole, fraction = (-whole - 1, (1 << 60) - fraction) if fraction > 0 else (-whole, 0)
    if whole > int(scale_[4]):
        return 0, False
    numerator, double, mantissa = int(scale_[0]), int(scale_[1]), int(scale_[2])
    quotient = imul_add_shr(whole, mantissa, imul_shr(fraction, mantissa, 60), int(scale_[3]))
    twice = imul_shr(fraction, numerator, 59)
    rest = imul_shr(imul_shr(2 * numerator, whole, 0) + twice - imul_shr(quotient, double, 0), 1, 0)
    while rest >= double:
        rest -= double
        quotient += 1
    half = double >> 1
    sticky = imul_low(fraction, numerator, 59) != 0
    if rest > half or (rest == half and (sticky or (quotient & 1) == 1)):
        quotient += 1
    return (-quotient if negative else quotient), True


@jit
def option_value(
    call: bool, forward: int, strike: int, x: int, spread_: Any, mills_table: Any, exp2_table: Any
) -> tuple[int, int]:
    """Undiscounted option value: intrinsic value plus time value."""
    whole, fraction = time_value(forward, strike, x, spread_, mills_table, exp2_table)
    intrinsic = forward - strike if call else strike - forward
    return max(intrinsic, 0) + whole, fraction


@jit
def discount(seconds: int, rate: int, exp2_table: Any) -> int:
    """exp(-rate T) in Q60; exactly one when rate or maturity is zero, never on the wrong side of one.

    The caller guarantees -rate T < 1.38, so that the factor is below 4.
    """
    if rate == 0 or seconds <= 0:
        return _ONE_Q60
    years = imul_shr(seconds, _PER_SECOND, 29)  # log2(e) T / 10^12 in Q98
    if imul_shr(years, rate, 98) >= 60:
        return 0
    factor = power_of_two(-imul_shr(years, rate, 40), exp2_table)
    return min(factor, _ONE_Q60) if rate > 0 else max(factor, _ONE_Q60)


@jit
def normal(d: int, mills_table: Any, exp2_table: Any) -> tuple[int, int]:
    """(N(d), phi(d)) in Q61 for |d| <= 75/8 in Q59; N(-d) = 1 - N(d) exactly."""
    mantissa, n = density(abs(d), exp2_table)
    tail = imul_hi(mantissa, mills(abs(d), mills_table)) >> n
    return (_ONE_Q61 - tail if d >= 0 else tail), (mantissa >> (n + 3) if n < 61 else 0)


@jit
def curve_rows(prices: Any, seconds: Any, rates: Any, logs: Any, discounts: Any, ln_table: Any, powers: Any, exp2: Any) -> None:
    """logs[n] = ln(prices[n]) where prices[n] > 0; discounts[t, c] = exp(-rates[c] T[t, c])."""
    for n in range(prices.shape[0]):
        if int(prices[n]) > 0:
            logs[n] = ln(int(prices[n]), ln_table, powers)
    for t in range(seconds.shape[0]):
        for c in range(seconds.shape[1]):
            discounts[t, c] = discount(int(seconds[t, c]), int(rates[c]), exp2)


@jit
def price_range(
    begin: int,
    end: int,
    forward: Any,
    log_forward: Any,
    ratio: Any,
    discounts: Any,
    root: Any,
    vol: Any,
    instruments: Any,
    scales: Any,
    cells: Any,
    base: Any,
    entries: Any,
    mills_table: Any,
    exp2_table: Any,
) -> int:
    """Fill base[i] and entries[:, i] for begin <= i < end; -1, or the first i * (U + 1) + u that overflows (u = U: the base value).

    forward, log_forward, ratio [P, C]; discounts, root [T', C]; vol [V, I]; cells [U, 3] = (p, v, t), sorted so that equal (v, t) are
    neighbours; entries [U, I]; instruments [6, I] = strike, ln strike, curve, kind, inverse, row of scales; scales [N, 5] as in `money`.
    """
    count = cells.shape[0]
    for i in range(begin, end):
        strike, log_strike = int(instruments[0, i]), int(instruments[1, i])
        c, kind, inverse = int(instruments[2, i]), int(instruments[3, i]), int(instruments[4, i]) == 1
        scale_ = scales[int(instruments[5, i])]
        option = kind == CALL or kind == PUT
        if kind == ABSENT or (inverse and not option):
            continue
        whole0, fraction0 = int(forward[0, c]), 0
        if option:
            spread_ = spread(int(vol[0, i]), int(root[0, c]))
            x = int(log_forward[0, c]) - log_strike
            whole0, fraction0 = option_value(kind == CALL, whole0, strike, x, spread_, mills_table, exp2_table)
            factor = int(ratio[0, c]) if inverse else int(discounts[0, c])
            whole0, fraction0 = scale(whole0, fraction0, factor)
        if kind != DELTA_ONE:
            amount, fits = money(whole0, fraction0, scale_)
            if not fits:
                return i * (count + 1) + count
            base[i] = amount
        spread_ = (0, 0, 0, 1, 0, 0)
        v, t = -1, -1
        for u in range(count):
            p = int(cells[u, 0])
            whole, fraction = int(forward[p, c]), 0
            if option:
                if int(cells[u, 1]) != v or int(cells[u, 2]) != t:
                    v, t = int(cells[u, 1]), int(cells[u, 2])
                    spread_ = spread(int(vol[v, i]), int(root[t, c]))
                x = int(log_forward[p, c]) - log_strike
                whole, fraction = option_value(kind == CALL, whole, strike, x, spread_, mills_table, exp2_table)
                factor = int(ratio[p, c]) if inverse else int(discounts[t, c])
                whole, fraction = scale(whole, fraction, factor)
            fraction -= fraction0
            whole -= whole0
            if fraction < 0:
                fraction += _ONE_Q60
                whole -= 1
            amount, fits = money(whole, fraction, scale_)
            if not fits:
                return i * (count + 1) + u
            entries[u, i] = amount
    return -1


@jit
def state_rows(x: Any, vol: Any, root: Any, out: Any, mills_table: Any, exp2_table: Any) -> None:
    """out[n] = (N(d1) in Q61, phi(d1) in Q61, s in Q58) for x[n] = ln(F / K) in Q58; s = 0 beyond its limit."""
    for n in range(x.shape[0]):
        s, inverse, shift, low, high, _square = spread(int(vol[n]), int(root[n]))
        cdf, pdf = 0, 0
        if int(x[n]) > high:
            cdf = _ONE_Q61
        elif int(x[n]) >= low:
            d1 = imul_shr(int(x[n]), inverse, shift) + s
            cdf, pdf = normal(d1, mills_table, exp2_table)
        out[n, 0], out[n, 1], out[n, 2] = cdf, pdf, s


@jit
def elementary_rows(which: int, x: Any, out: Any, mills_table: Any, exp2_table: Any, ln_table: Any, powers: Any) -> None:
    """N (which = 0), phi (1) and exp (2) of x in 1e-12, in 1e-18; ln (3) of x in 1e-9, in 1e-15; each to the nearest."""
    for n in range(x.shape[0]):
        a = int(x[n])
        if which == 3:
            out[n] = imul_add_shr(ln(a, ln_table, powers), 10**15, 1 << 57, 58)
        elif which == 2:
            power = 0
            if a > -_EXP_CUT:
                power = power_of_two(imul_shr(a, _PER_1E12, 44), exp2_table)
                power = min(power, _ONE_Q60) if a < 0 else max(power, _ONE_Q60) if a > 0 else _ONE_Q60
            out[n] = imul_add_shr(power, _E18, 1 << 59, 60)
        elif abs(a) > _D_CUT:
            out[n] = _E18 if a > 0 and which == 0 else 0
        else:
            tail, pdf = normal(-imul_shr(abs(a), _D_SCALE, 43), mills_table, exp2_table)
            rounded = imul_add_shr(tail if which == 0 else pdf, _E18, 1 << 60, 61)
            out[n] = _E18 - rounded if a > 0 and which == 0 else rounded
