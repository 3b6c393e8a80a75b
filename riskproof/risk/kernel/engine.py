"""Compiled cells of the kernel: time value, discounting, the one rounding, and the loop over a range of instruments.

docs/kernel.md sections 3 to 6 are the specification, twin.py its literal reading. A value is a pair (whole, fraction):
whole in 1e-9 of the currency, fraction in Q60 of 1e-9, so that forward, strike and intrinsic value stay exact.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.risk.kernel import tables
from riskproof.risk.kernel.domain import CUT_EIGHTHS, S_LIMIT
from riskproof.risk.kernel.fixed import density, inline, inner, ln, mills, power_of_two, reciprocal
from riskproof.units import RATIO_ONE
from riskproof.wide import (
    bit_length,
    imul_add_shr,
    imul_hi,
    imul_low,
    imul_shr,
    nmul_add_shr,
    nmul_hi,
    nmul_shr,
    scalar,
)

# SHA-256 over what the kernels compile in from other files. numba looks at this file alone to decide whether a cached kernel is
# current; a test keeps the digest true, so that whoever changes one of those files changes this one as well.
COMPILED_IN: Final = "66a230b69844b2bd03f7e8a4e8c2d4e19200af1c1dd202159124aa124a5eaa1d"

entry: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)

_CUT = CUT_EIGHTHS << 55  # Q58
_S_TOP = S_LIMIT << 37  # s / 2^21 in Q58
_TWO = 2 << 58
_X_MAX = (1 << 63) - 1
_X_MIN = -(1 << 63)
_CAP = (1 << 57) - 1
_MASK60 = (1 << 60) - 1
_MASK63 = (1 << 63) - 1

_ONE_Q60 = 1 << 60
_ONE_Q61 = 1 << 61
_PER_SECOND = tables.LOG2_E_PER_SECOND
_PER_1E12 = tables.LOG2_E_PER_1E12
_E18 = 10**18
_D_SCALE = (1 << 102) // 10**12  # 1e-12 to Q59
_D_CUT = CUT_EIGHTHS * RATIO_ONE // 8

ABSENT: Final = 0
CALL: Final = 1
PUT: Final = 2
DELTA_ONE: Final = 3
CASH: Final = 4


@inline
def bound(s: int, a: int) -> int:
    """s * a in Q58 for s < 2; from there on its multiple of 2^-52 below, and inside [-32, 32), so that it fits."""
    if s < _TWO:
        return int(imul_shr(s, a, 58))
    return int(max(min(imul_hi(s, a), _CAP), -_CAP - 1) << 6)


@inline
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


@inline
def time_value(forward: int, strike: int, mantissa: int, n: int, r1: int, r2: int, straddle: int) -> tuple[int, int]:
    """Undiscounted option value less its intrinsic value inside the cut, the same for call and put; in [0, min(F, K)].

    straddle is all ones if d1 >= 0 > d2, else zero: selection by masks, because no branch predictor can know.
    """
    g = r1 + ((r2 ^ ~straddle) + 1 + straddle)
    w = nmul_hi(mantissa, abs(g)) >> n
    whole, fraction = nmul_shr(forward, w, 61), imul_low(forward, w, 61) >> 1
    whole = (min(forward, strike) & straddle) + (whole ^ straddle) + (1 & straddle & ((fraction - 1) >> 63))
    fraction = ((fraction ^ straddle) - straddle) & _MASK60
    positive = ~(whole >> 63)
    return whole & positive, fraction & positive


@inline
def scale(whole: int, fraction: int, factor: int) -> tuple[int, int]:
    """floor(value * factor) for a factor in Q60 below 4 and a value that is not negative."""
    if factor == _ONE_Q60:
        return whole, fraction
    low = imul_low(whole, factor, 60) + nmul_shr(fraction, factor, 60)
    return nmul_shr(whole, factor, 60) + (low >> 60), low & _MASK60


@inline
def money(whole: int, fraction: int, scale_: tuple[int, int, int, int, int, int, int, int]) -> tuple[int, bool]:
    """value * numerator / denominator to the nearest integer, ties to even; (0, False) if it may not fit 64 bits.

    scale_ is a row of `grid.scale_row`. Up to its `small` twice the product fits one word, and one product by 1 / (2 denominator)
    gives the quotient; beyond, numerator / denominator does. Both fall short by a few units at most, which the remainder settles.
    """
    numerator, double, limit, small, reciprocal_, shift, mantissa, exponent = scale_
    sign = whole >> 63
    whole = (whole ^ sign) + (1 & sign & ((fraction - 1) >> 63))
    fraction = ((fraction ^ sign) - sign) & _MASK60
    twice = fraction >> 59 if numerator == 1 else nmul_shr(fraction, numerator, 59)
    if whole <= small:
        product = 2 * numerator * whole + twice
        quotient = nmul_hi(product, reciprocal_) >> shift
        rest = product - quotient * double
    elif whole <= limit:
        quotient = nmul_add_shr(whole, mantissa, nmul_shr(fraction, mantissa, 60), exponent)
        rest = imul_shr(imul_shr(2 * numerator, whole, 0) + twice - imul_shr(quotient, double, 0), 1, 0)
    else:
        return 0, False
    while rest >= double:
        rest -= double
        quotient += 1
    half = double >> 1
    odd = quotient & 1
    quotient += (half - rest) >> 63 & 1
    if rest == half and (odd == 1 or imul_low(fraction, numerator, 59) != 0):
        quotient += 1
    return (quotient ^ sign) - sign, True


@inner
def discount(seconds: int, rate: int) -> int:
    """exp(-rate T) in Q60; exactly one when rate or maturity is zero, never on the wrong side of one.

    The caller guarantees -rate T < 1.38, so that the factor is below 4.
    """
    if rate == 0 or seconds <= 0:
        return _ONE_Q60
    years = imul_shr(seconds, _PER_SECOND, 29)  # log2(e) T / 10^12 in Q98
    factor = power_of_two(imul_shr(years, -rate, 98), imul_shr(years, -rate, 35) & _MASK63)
    return int(min(factor, _ONE_Q60) if rate > 0 else max(factor, _ONE_Q60))


@inline
def normal(d: int) -> tuple[int, int]:
    """(N(d), phi(d)) in Q61 for |d| <= 75/8 in Q59; N(-d) = 1 - N(d) exactly."""
    mantissa, n = density(abs(d))
    tail = nmul_hi(mantissa, mills(abs(d))) >> n
    return (_ONE_Q61 - tail if d >= 0 else tail), (mantissa >> (n + 3) if n < 61 else 0)


@entry
def curve_rows(prices: Any, seconds: Any, rates: Any, logs: Any, discounts: Any) -> None:
    """logs[n] = ln(prices[n]) where prices[n] > 0; discounts[c, t] = exp(-rates[c] T[c, t])."""
    for n in range(prices.shape[0]):
        if int(prices[n]) > 0:
            logs[n] = ln(int(prices[n]))
    for c in range(seconds.shape[0]):
        for t in range(seconds.shape[1]):
            discounts[c, t] = discount(int(seconds[c, t]), int(rates[c]))


@inline
def fill_option(
    i: Any,
    instruments: Any,
    market: tuple[Any, ...],
    groups: Any,
    cell_p: Any,
    values: tuple[Any, ...],
    work: tuple[Any, ...],
) -> None:
    """Undiscounted values and factors of option i in every cell; short loops, so that cells overlap inside the processor.

    The first loop sorts out cells beyond the cut; the other three run over the rest, listed in work.
    """
    forward, log_forward, ratio, discounts, root, vol = market
    wholes, fractions, factors = values
    index, first, second, mantissas, shifts, ratios = work
    strike, log_strike, c = int(instruments[0, i]), int(instruments[1, i]), np.uint64(instruments[2, i])
    call, inverse = int(instruments[3, i]) == CALL, int(instruments[4, i]) == 1
    u: Any
    active: Any = np.uint64(0)
    for n in range(np.uint64(groups.shape[0])):
        t = np.uint64(groups[n, 1])
        s, reciprocal_, shift, low, high, square = spread(int(vol[i, np.uint64(groups[n, 0])]), int(root[c, t]))
        factor = int(discounts[c, t])
        for u in range(np.uint64(groups[n, 2]), np.uint64(groups[n, 3])):
            p = np.uint64(cell_p[u])
            price, x = scalar(int(forward[c, p])), int(log_forward[c, p]) - log_strike
            intrinsic = price - strike if call else strike - price
            beyond = -(int(x > high) & int(x < square))
            wholes[u] = max(intrinsic, 0) + (min(price, strike) & beyond)
            fractions[u] = 0
            factors[u] = ratio[c, p] if inverse else factor
            q = imul_shr(x, reciprocal_, shift)
            # modulo 2^64: beyond the cut d1 and d2 need not fit, and the next cell takes their place
            index[active], first[active], second[active] = u, imul_shr(q + s, 1, 0), imul_shr(q - s, 1, 0)
            active += np.uint64(int(x <= high) & int(x >= low))
    for k in range(active):
        mantissas[k], shifts[k] = density(abs(scalar(int(first[k]))))
    for k in range(active):
        d1, d2 = scalar(int(first[k])), scalar(int(second[k]))
        ratios[k], first[k], second[k] = mills(abs(d1)), mills(abs(d2)), (d1 ^ d2) >> 63
    for k in range(active):
        u = np.uint64(index[k])
        price = int(forward[c, np.uint64(cell_p[u])])
        r1, r2, straddle = scalar(int(ratios[k])), int(first[k]), int(second[k])
        whole, fraction = time_value(price, strike, int(mantissas[k]), int(shifts[k]), r1, r2, straddle)
        wholes[u] = int(wholes[u]) + whole
        fractions[u] = fraction


@entry
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
    groups: Any,
    cell_p: Any,
    base: Any,
    entries: Any,
) -> int:
    """Fill base[i] and entries[u, i] for begin <= i < end; -1, or the first i * U + u that overflows (u = 0: the base value).

    forward, log_forward, ratio [C, P]; discounts, root [C, T']; vol [I, V]; entries [U, I], zero on entry. Cell u has price state
    cell_p[u]; groups [G, 4] = (v, t, first u, last u + 1) cover the cells, and cell 0 is the base state.
    instruments [6, I] = strike, ln strike, curve, kind, inverse, row of scales; scales [N, 8] as in `money`.
    """
    count = cell_p.shape[0]
    wholes, fractions, factors = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    index, first, second = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    mantissas, shifts, ratios = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    market, values = (forward, log_forward, ratio, discounts, root, vol), (wholes, fractions, factors)
    work = (index, first, second, mantissas, shifts, ratios)
    for i in range(np.uint64(begin), np.uint64(end)):
        c, kind, r = np.uint64(instruments[2, i]), int(instruments[3, i]), np.uint64(instruments[5, i])
        if kind in (CALL, PUT):
            fill_option(i, instruments, market, groups, cell_p, values, work)
        elif kind == ABSENT or int(instruments[4, i]) == 1:
            continue
        else:
            for u in range(np.uint64(count)):
                wholes[u], fractions[u], factors[u] = forward[c, np.uint64(cell_p[u])], 0, _ONE_Q60
        numerator, double, limit, small = int(scales[r, 0]), int(scales[r, 1]), int(scales[r, 2]), int(scales[r, 3])
        inverse_double, shift = int(scales[r, 4]), int(scales[r, 5])
        scale_ = (numerator, double, limit, small, inverse_double, shift, int(scales[r, 6]), int(scales[r, 7]))
        whole0, fraction0 = scale(int(wholes[0]), int(fractions[0]), int(factors[0]))
        if kind != DELTA_ONE:
            amount, fits = money(whole0, fraction0, scale_)
            if not fits:
                return int(int(i) * count)
            base[i] = amount
        for u in range(np.uint64(1), np.uint64(count)):
            whole, fraction = scale(scalar(int(wholes[u])), int(fractions[u]), int(factors[u]))
            fraction -= fraction0
            whole += (fraction >> 63) - whole0
            amount, fits = money(whole, fraction & _MASK60, scale_)
            if not fits:
                return int(int(i) * count + int(u))
            entries[u, i] = amount
    return -1


@entry
def state_rows(x: Any, vol: Any, root: Any, out: Any) -> None:
    """out[n] = (N(d1) in Q61, phi(d1) in Q61, s in Q58) for x[n] = ln(F / K) in Q58; s = 0 beyond its limit."""
    for n in range(x.shape[0]):
        s, inverse, shift, low, high, _square = spread(int(vol[n]), int(root[n]))
        cdf, pdf = 0, 0
        if int(x[n]) > high:
            cdf = _ONE_Q61
        elif int(x[n]) >= low:
            d1 = imul_shr(int(x[n]), inverse, shift) + s
            cdf, pdf = normal(d1)
        out[n, 0], out[n, 1], out[n, 2] = cdf, pdf, s


@entry
def elementary_rows(which: int, x: Any, out: Any) -> None:
    """N (which = 0), phi (1) and exp (2) of x in 1e-12, in 1e-18; ln (3) of x in 1e-9, in 1e-15; each to the nearest."""
    for n in range(x.shape[0]):
        a = int(x[n])
        if which == 3:
            out[n] = imul_add_shr(ln(a), 10**15, 1 << 57, 58)
        elif which == 2:
            power = power_of_two(imul_shr(a, _PER_1E12, 102), imul_shr(a, _PER_1E12, 39) & _MASK63)
            power = min(power, _ONE_Q60) if a < 0 else max(power, _ONE_Q60) if a > 0 else _ONE_Q60
            out[n] = imul_add_shr(power, _E18, 1 << 59, 60)
        elif abs(a) > _D_CUT:
            out[n] = _E18 if a > 0 and which == 0 else 0
        else:
            tail, pdf = normal(-imul_shr(abs(a), _D_SCALE, 43))
            rounded = imul_add_shr(tail if which == 0 else pdf, _E18, 1 << 60, 61)
            out[n] = _E18 - rounded if a > 0 and which == 0 else rounded
