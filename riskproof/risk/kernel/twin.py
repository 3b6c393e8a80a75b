"""The kernel's specification read literally, in plain Python integers: docs/kernel.md, line by line.

No numba, no numpy, no width: an integer is an integer, `>>` and `//` round down. `Qn` is a scale of 2^n. The compiled kernel gives
the same integers; tests compare them on more than 100,000 cells. Everything here is slow and meant to be read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from riskproof.errors import OverflowMoneyError
from riskproof.risk.kernel import tables
from riskproof.units import INT64_MAX, INT64_MIN, SECONDS_PER_YEAR, round_half_even

if TYPE_CHECKING:
    from riskproof.risk.kernel.grid import Grid

CUT = 75 << 55  # 75/8 in Q58
S_LIMIT = 22 << 58
ONE = 1 << 60


def horner(coefficients: tuple[int, ...], tau: int) -> int:
    """c0 + tau (c1 + tau (c2 + ...)) for tau in Q64, every product rounded down."""
    result = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        result = c + ((tau * result) >> 64)
    return result


def ln(a: int) -> int:
    """ln(a / 10^9) in Q58. a = 2^L m with 1 <= m < 2; m c = 1 + r with c the table's reciprocal of m."""
    length = a.bit_length() - 1
    m = a << (62 - length)
    j = (m >> 54) - 256
    rho = ((m * tables.LN_RECIPROCALS[j]) >> 8) - (1 << 71)  # 2^7 r in Q64
    log1p = (rho * horner(tables.LN_POLYNOMIAL, rho)) >> 71  # Q62
    return (tables.LN_POWERS[length] + tables.LN[j] + log1p + 8) >> 4


def exp2_mantissa(g: int) -> int:
    """2^g / (2 sqrt(2 pi)) in Q64 for g in Q63, 0 <= g < 1."""
    j, tau = g >> 53, (g % (1 << 53)) << 10
    power = (tau * horner(tables.EXP2_POLYNOMIAL, tau)) >> 64  # 2^(t/1024) - 1 in Q72
    return tables.EXP2[j] + (((tables.EXP2[j] * power) >> 64) >> 8)


def density(z: int) -> tuple[int, int]:
    """phi(z) = mantissa / 2^(64 + n), z >= 0 in Q59: phi = 2^-(e^2) / sqrt(2 pi) with e = z sqrt(log2(e) / 2)."""
    e = (z * tables.KAPPA) >> 62  # Q60
    n, below = divmod(e * e, 1 << 120)
    g = (1 << 63) - 1 - (below >> 57)  # 1 - fraction, Q63
    return exp2_mantissa(g), n


def mills(z: int) -> int:
    """R(z) = (1 - N(z)) / phi(z) in Q61, 0 <= z < 12.25 in Q59; t counts down from the right end of the interval."""
    k, t = divmod(z, 1 << 52)
    return horner(tables.MILLS[k], (1 << 63) - 1 - (t << 11))


def normal(d: int) -> tuple[int, int]:
    """(N(d), phi(d)) in Q61 for |d| <= 75/8 in Q59."""
    mantissa, n = density(abs(d))
    tail = ((mantissa * mills(abs(d))) >> 64) >> n
    return ((1 << 61) - tail if d >= 0 else tail), mantissa >> (n + 3)


def root(seconds: int) -> int:
    """h = sqrt(T) / 10^12 in Q101, T in years of 365 days."""
    return math.isqrt((max(seconds, 0) << 202) // (SECONDS_PER_YEAR * 10**24))


def discount(seconds: int, rate: int) -> int:
    """exp(-rate T) in Q60."""
    if rate == 0 or seconds <= 0:
        return ONE
    years = (seconds * tables.LOG2_E_PER_SECOND) >> 29  # log2(e) T / 10^12 in Q98
    whole, fraction = divmod(-years * rate, 1 << 98)
    factor = power_of_two(whole, fraction >> 35)
    return min(factor, ONE) if rate > 0 else max(factor, ONE)


def power_of_two(whole: int, fraction: int) -> int:
    """2^(whole + fraction) in Q60, the fraction in Q63; zero below 2^-62."""
    return (exp2_mantissa(fraction) * tables.TWO_ROOT_TWO_PI) >> (64 - whole) if whole >= -62 else 0


def deviates(x: int, s: int) -> tuple[int, int]:
    """(d1, d2) = (x/s + s/2, x/s - s/2) in Q59, for x and s > 0 in Q58; 1/s has 61 to 62 bits."""
    length = s.bit_length()
    m = s << (62 - length) if length < 63 else s >> 1
    inverse = ((1 << 123) - 1) // m
    q = (x * inverse) >> (2 + length)
    return q + s, q - s


def bound(s: int, a: int) -> int:
    """s a in Q58, for s below 2; from there on a multiple of 2^-52 inside [-32, 32), which is what 64 bits hold."""
    if s < 2 << 58:
        return (s * a) >> 58
    return max(min((s * a) >> 64, (1 << 57) - 1), -(1 << 57)) << 6


def total_deviation(vol: int, h: int) -> int:
    """s = vol sqrt(T) in Q58."""
    return (vol * h) >> 43


def time_value(forward: int, strike: int, s: int) -> int:
    """Undiscounted option value less intrinsic value, in Q60 of 1e-9; in [0, min(F, K)]."""
    x, least, half = ln(forward) - ln(strike), min(forward, strike) << 60, s >> 1
    if s == 0:
        return 0
    if s >= S_LIMIT:
        return least
    if x > bound(s, CUT - half):  # d1 above the cut: d2 is above it too, unless s is large
        return 0 if x >= bound(s, half) else least
    if x < -bound(s, CUT + half):  # d1 below the cut
        return 0
    d1, d2 = deviates(x, s)
    mantissa, n = density(abs(d1))
    r1, r2 = mills(abs(d1)), mills(abs(d2))
    if d1 >= 0 > d2:
        w = ((mantissa * (r1 + r2)) >> 64) >> n
        return max(least - ((forward * w) >> 1), 0)
    w = ((mantissa * abs(r1 - r2)) >> 64) >> n
    return (forward * w) >> 1


def option_value(call: bool, forward: int, strike: int, s: int) -> int:
    """Undiscounted value of a call or put on one coin, in Q60 of 1e-9."""
    intrinsic = max(forward - strike if call else strike - forward, 0)
    return (intrinsic << 60) + time_value(forward, strike, s)


def money(value: int, unit: int, money_exponent: int) -> int:
    """A value in Q60 of 1e-9 per coin, times the unit, in 10^-m: the one rounding.

    Raises:
        OverflowMoneyError: (|value| rounded down to 1e-9, plus 1e-9) times the unit reaches 2^63 - 8.
    """
    whole = abs(value) >> 60
    if (whole + 1) * unit * 10**money_exponent >= (2**63 - 8) * 10**18:
        raise OverflowMoneyError("does not fit 64 bits", expected=f"at most 2^63 in units of 1e-{money_exponent}")
    return round_half_even(value * unit * 10**money_exponent, 10**18 << 60)


def value_twin(forward: int, strike: int, vol: int, seconds: int, rate: int, call: bool) -> int:
    """Discounted Black-76 value in 1e-9, of arguments in the units of `black76.value`."""
    undiscounted = option_value(call, forward, strike, total_deviation(vol, root(seconds)))
    return money((undiscounted * discount(seconds, rate)) >> 60, 10**9, 9)


def unit_value(grid: Grid, i: int, p: int, v: int, t: int) -> int:
    """Value of one coin of instrument i in the numeraire, in Q60 of 1e-9, in state (p, v, t)."""
    c, kind = int(grid.curve[i]), int(grid.kind[i])
    forward = int(grid.forward[p, c])
    if kind in (3, 4):
        return forward << 60
    seconds = int(grid.seconds[t, c])
    s = total_deviation(int(grid.vol[v, i]), root(seconds))
    if grid.payoff[i] == 1:
        factor = ((int(grid.conversion[p, c]) << 60) + forward // 2) // forward
    else:
        factor = discount(seconds, int(grid.rate[c]))
    return (option_value(kind == 1, forward, int(grid.strike[i]), s) * factor) >> 60


def entry(grid: Grid, i: int, p: int, v: int, t: int) -> int:
    """P&L of one long unit of instrument i between state (0, 0, 0) and state (p, v, t), in 10^-m of the numeraire."""
    kind, unit, m = int(grid.kind[i]), int(grid.unit[i]), grid.money_exponent
    if kind == 0:
        return 0
    if kind == 3 and grid.payoff[i] == 1:
        c = int(grid.curve[i])
        start, end, conversion = int(grid.forward[0, c]), int(grid.forward[p, c]), int(grid.conversion[p, c])
        amount = round_half_even(unit * conversion * (end - start) * 10**m, start * end * 10**9)
        if not INT64_MIN <= amount <= INT64_MAX:
            raise OverflowMoneyError("does not fit 64 bits", expected=f"at most 2^63 in units of 1e-{m}")
        return amount
    return money(unit_value(grid, i, p, v, t) - unit_value(grid, i, 0, 0, 0), unit, m)


def risk_entries_twin(grid: Grid) -> tuple[list[list[int]], list[int]]:
    """(entries [S][I], base values [I]) of a grid, as `grid.risk_entries`; OverflowMoneyError as there, without the place."""
    scenarios = list(zip(grid.scenario_p.tolist(), grid.scenario_v.tolist(), grid.scenario_t.tolist(), strict=True))
    count = len(grid.strike)
    entries = [[entry(grid, i, p, v, t) for i in range(count)] for p, v, t in scenarios]
    base = [
        money(unit_value(grid, i, 0, 0, 0), int(grid.unit[i]), grid.money_exponent) if grid.kind[i] in (1, 2, 4) else 0
        for i in range(count)
    ]
    return entries, base
