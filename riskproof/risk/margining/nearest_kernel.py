"""Black-76 in pairs of doubles: many values at once, each with the nearest integer where the error bound decides it.

A pair (h, l) stands for h + l with |l| <= ulp(h) / 2: 106 bits. Sums and products of pairs are made of exact ones of doubles (T.
Dekker, Numer. Math. 18, 1971), in the order written here. With u = 2^-53 a sum of pairs is off by less than 3 u^2 + 13 u^3 of the
result whatever the signs, a product by 7 u^2, a quotient by 15 u^2 + 56 u^3 (M. Joldes, J.-M. Muller, V. Popescu, ACM TOMS 44,
2017, algorithms 6, 10, 17): sums by less than 2^-104, all by less than 2^-102.

    x = ln F - ln K,  q = x / s,  d1 = q + s/2,  d2 = q - s/2       value = z (F N(z d1) - K N(z d2)) scale,  z = 1 call, -1 put

The value differs from the computed one by less than 1.7 2^-99 max(F, K) scale for 2^-40 <= s <= 16 and F, K < 2^100:

    ln      F = m 2^n, c the reciprocal of m to 9 bits, r = m c - 1 off by 2^-102, |r| < 2^-6; the series of ln(1 + r) up to
            r^16 / 16, -ln c and ln 2 correctly rounded pairs, n ln 2 and the last sum off by 70 (2^-103 + 2^-104): below 2^-96
    q       off by e < 2^-94 / s: two logarithms, and 70 2^-102 for the quotient. g(q) = F N(q + s/2) - K N(q - s/2) is greatest
            at q = x / s, where its slope K phi(q - s/2) (exp(x - q s) - 1) vanishes: e moves g by less than s e^2, that is 2^-148
    s       off by 2^-102 of itself; dV/ds = F phi(d1) = K phi(d2): at most 0.4 16 2^-102 < 2^-99.3
    d1, d2  the last sum is off by 2^-104 |d|, which moves N for |d| <= 12 only: 2 0.4 12 2^-104.4 < 2^-101.1
    N       twice 2^-103. Beyond 12 it is 0 or 1, off by 2^-108. Inside, Taylor around the next multiple of 1/16, |h| <= 2^-5: after
            h^15 2^-105.6 (|He_n phi| < 0.44 sqrt(n!), Cramer), h^9 to h^15 in doubles 2^-108, last sum 2^-104.4, others 2^-107
    rest    products with F and K 2 2^-102, their difference 2^-104, scale and its product 2^-101.9

The bound in use, BOUND, is four times that. What it does not decide, and what is outside the domain, is for `black76.value`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic

jit: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
inner: Final[Any] = njit(nogil=True, error_model="numpy", boundscheck=False)
inline: Final[Any] = njit(nogil=True, error_model="numpy", boundscheck=False, forceinline=True)

BOUND: Final = 2.0**-97
LOGS: Final = 64  # reciprocals between 1 and 2, of numbers between 1/2 and 1
LOG_TERMS: Final = 16
LOG_PAIRS: Final = 9
LIMIT: Final = 12  # N is 0 or 1 beyond
NODES: Final = 16  # of the Taylor series, per unit: those of `black76`
TERMS: Final = 16
PAIRS: Final = 9  # coefficients that are pairs; of the others the first half is enough
S_MIN: Final = 2.0**-40
S_MAX: Final = 16.0
PRICE_MAX: Final = 2.0**100
_WHOLE: Final = 2.0**53
_SLACK: Final = 2.0**-51  # what the fraction below may be off by

if config.DISABLE_JIT:  # type: ignore[attr-defined]

    def _product_error(a: float, b: float, product: float) -> float:
        """a b - product, exact, product being a * b rounded."""
        c, d = 134217729.0 * a, 134217729.0 * b
        a1, b1 = c - (c - a), d - (d - b)
        a2, b2 = a - a1, b - b1
        return a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)

else:

    @intrinsic
    def _product_error(typingctx: Any, a: Any, b: Any, product: Any) -> Any:
        """a b - product, exact, product being a * b rounded."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(args[0], args[1], builder.fneg(args[2]))

        return types.float64(types.float64, types.float64, types.float64), codegen


@inline  # type: ignore[untyped-decorator]
def add(ah: float, al: float, bh: float, bl: float) -> tuple[float, float]:
    """Sum of two pairs."""
    s = ah + bh
    v = s - ah
    e = (ah - (s - v)) + (bh - v)
    t = al + bl
    w = t - al
    f = (al - (t - w)) + (bl - w)
    e += t
    h = s + e
    e = e - (h - s)
    e += f
    r = h + e
    return r, e - (r - h)


@inline  # type: ignore[untyped-decorator]
def multiply(ah: float, al: float, bh: float, bl: float) -> tuple[float, float]:
    """Product of two pairs."""
    p = ah * bh
    e = _product_error(ah, bh, p)
    e += ah * bl + al * bh
    h = p + e
    return h, e - (h - p)


@inline  # type: ignore[untyped-decorator]
def divide(ah: float, al: float, bh: float, bl: float) -> tuple[float, float]:
    """Quotient of two pairs."""
    q = ah / bh
    p = q * bh
    e = _product_error(q, bh, p)
    # q b, a double times a pair
    t = q * bl
    h = p + t
    t = t - (h - p)
    t += e
    r = h + t
    t = t - (r - h)
    rest = ((ah - r) + (al - t)) / bh
    h = q + rest
    return h, rest - (h - q)


@inner  # type: ignore[untyped-decorator]
def normal(dh: float, dl: float, table: Any) -> tuple[float, float]:
    """N of a pair."""
    size = abs(dh)
    if size >= LIMIT:
        return (1.0, 0.0) if dh > 0 else (0.0, 0.0)
    sign = 1.0 if dh >= 0 else -1.0
    node = int(size * NODES + 0.5)
    hh, hl = add(sign * dh, sign * dl, -node / NODES, 0.0)
    tail = 0.0
    for k in range(TERMS - 1, PAIRS - 1, -1):
        tail = table[node, k, 0] + tail * hh
    rh, rl = tail, 0.0
    for k in range(PAIRS - 1, -1, -1):
        rh, rl = multiply(rh, rl, hh, hl)
        rh, rl = add(table[node, k, 0], table[node, k, 1], rh, rl)
    if sign < 0:
        rh, rl = add(1.0, 0.0, -rh, -rl)
    return rh, rl


@inner  # type: ignore[untyped-decorator]
def logarithm(ah: float, al: float, logs: Any) -> tuple[float, float]:
    """Natural logarithm of a pair that is positive."""
    m, n = math.frexp(ah)
    j = int(m * 2 * LOGS) - LOGS
    mh, ml = multiply(m, math.ldexp(al, -n), logs[j, 0], 0.0)
    rh, rl = add(mh, ml, -1.0, 0.0)
    tail = 0.0
    for k in range(LOG_TERMS, LOG_PAIRS, -1):
        tail = 1.0 / k - tail * rh
    sh, sl = tail, 0.0
    for k in range(LOG_PAIRS, 0, -1):
        sh, sl = multiply(sh, sl, -rh, -rl)
        ch, cl = divide(1.0, 0.0, float(k), 0.0)
        sh, sl = add(ch, cl, sh, sl)
    sh, sl = multiply(sh, sl, rh, rl)
    th, tl = multiply(logs[LOGS, 1], logs[LOGS, 2], float(n), 0.0)
    sh, sl = add(logs[j, 1], logs[j, 2], sh, sl)
    sh, sl = add(th, tl, sh, sl)
    return sh, sl


@inner  # type: ignore[untyped-decorator]
def undiscounted(
    call: bool,
    fh: float,
    fl: float,
    kh: float,
    kl: float,
    xh: float,
    xl: float,
    sh: float,
    sl: float,
    table: Any,
) -> tuple[float, float]:
    """Value of an option on one coin from F, K, x and s, pairs all."""
    qh, ql = divide(xh, xl, sh, sl)
    d1h, d1l = add(qh, ql, 0.5 * sh, 0.5 * sl)
    d2h, d2l = add(qh, ql, -0.5 * sh, -0.5 * sl)
    z = 1.0 if call else -1.0
    n1h, n1l = normal(z * d1h, z * d1l, table)
    n2h, n2l = normal(z * d2h, z * d2l, table)
    ah, al = multiply(fh, fl, n1h, n1l)
    bh, bl = multiply(kh, kl, n2h, n2l)
    vh, vl = add(z * ah, z * al, -z * bh, -z * bl)
    return vh, vl


@jit  # type: ignore[untyped-decorator]
def round_values(
    calls: Any,
    groups: Any,
    strikes: Any,
    vols: Any,
    forwards: Any,
    roots: Any,
    scales: Any,
    logs: Any,
    table: Any,
    high: Any,
    low: Any,
    decided: Any,
) -> None:
    """The integer nearest to each option's value in each column, high + low, where it is `decided`.

    Pairs are the last axis, of two. Prices are integers of 10^-18.

    Args:
        calls: [I] bool. groups: [I] int64, rows of the arrays by group. strikes: [I, 2]. vols: [I, C, 2].
        forwards, roots, scales: [G, C, 2]; the root of the time in years, zero where it has expired; what an undiscounted value is
            multiplied with.
        logs: [LOGS + 1, 3]: reciprocals c and pairs of -ln c; at the end the pair of ln 2.
        table: [LIMIT NODES + 1, TERMS, 2]: Taylor coefficients of N around n / NODES.
        high, low: [I, C] float64, out. decided: [I, C] bool, out.
    """
    log_forwards = np.empty_like(forwards)
    for g in range(forwards.shape[0]):
        for c in range(forwards.shape[1]):
            if forwards[g, c, 0] > 0.0:
                log_forwards[g, c] = logarithm(forwards[g, c, 0], forwards[g, c, 1], logs)
    for i in range(groups.shape[0]):
        g = groups[i]
        if not strikes[i, 0] > 0.0:
            decided[i] = False
            continue
        lh, ll = logarithm(strikes[i, 0], strikes[i, 1], logs)
        kh, kl = strikes[i, 0], strikes[i, 1]
        for c in range(vols.shape[1]):
            decided[i, c] = False
            fh, fl = forwards[g, c, 0], forwards[g, c, 1]
            sh, sl = multiply(vols[i, c, 0], vols[i, c, 1], roots[g, c, 0], roots[g, c, 1])
            if not (S_MIN <= sh <= S_MAX and 0.0 < fh < PRICE_MAX and 0.0 < kh < PRICE_MAX):
                continue
            xh, xl = add(log_forwards[g, c, 0], log_forwards[g, c, 1], -lh, -ll)
            vh, vl = undiscounted(calls[i], fh, fl, kh, kl, xh, xl, sh, sl, table)
            vh, vl = multiply(vh, vl, scales[g, c, 0], scales[g, c, 1])
            whole = np.rint(vh)
            fraction = (vh - whole) + vl
            rest = np.rint(fraction)
            bound = max(fh, kh) * abs(scales[g, c, 0]) * BOUND
            if 0.5 - abs(fraction - rest) > bound + _SLACK and whole + rest >= 0.0:
                high[i, c], low[i, c] = whole, rest
                decided[i, c] = True
