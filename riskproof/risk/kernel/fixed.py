"""Compiled fixed-point primitives of the kernel. docs/kernel.md section 2 is the specification, twin.py its literal reading.

All arguments and results are int64 (plain integers with the JIT off); a Qn number a stands for a / 2^n. Nothing here can
overflow inside the stated ranges; the callers guarantee the ranges.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.risk.kernel import tables
from riskproof.wide import bit_length, imul_hi, imul_shr, nmul_hi, nmul_shr

_MILLS = np.array(tables.MILLS, dtype=np.int64).ravel()  # [1568 * 6]
_EXP2 = np.array(tables.EXP2, dtype=np.int64)  # [1024]
_LN = np.array([tables.LN, tables.LN_RECIPROCALS], dtype=np.int64)  # [2, 256]
_LN_POWERS = np.array([[p >> 4 for p in tables.LN_POWERS], [p & 15 for p in tables.LN_POWERS]], dtype=np.int64)

_KAPPA = tables.KAPPA
_TWO_ROOT_TWO_PI = tables.TWO_ROOT_TWO_PI
_PER_SECOND = tables.LOG2_E_PER_SECOND
_PER_1E12 = tables.LOG2_E_PER_1E12
_E1, _E2, _E3, _E4 = tables.EXP2_POLYNOMIAL
_L0, _L1, _L2, _L3, _L4, _L5 = tables.LN_POLYNOMIAL

_COLUMN = tuple(np.uint64(n) for n in range(6))
_MASK52 = (1 << 52) - 1
_MASK53 = (1 << 53) - 1
_MASK63 = (1 << 63) - 1

# Compiled into their callers and never cached on their own, so that only engine.py decides whether a cached kernel is current.
inner: Final[Any] = njit(nogil=True, error_model="numpy", boundscheck=False)
inline: Final[Any] = njit(nogil=True, error_model="numpy", boundscheck=False, forceinline=True)


@inner
def ln(a: int) -> int:
    """ln(a / 10^9) in Q58 for a in [1, 2^63)."""
    top = bit_length(a) - 1
    m = a << (62 - top)  # Q62, in [1, 2)
    j = (m >> 54) - 256
    rho = imul_shr(m, int(_LN[1, j]), 8)  # m c = 1 + r in Q79; modulo 2^71 it leaves 2^7 r in Q64
    p = _L4 + imul_hi(rho, _L5)
    p = _L3 + imul_hi(rho, p)
    p = _L2 + imul_hi(rho, p)
    p = _L1 + imul_hi(rho, p)
    p = _L0 + imul_hi(rho, p)
    fraction = int(_LN[0, j]) + imul_shr(rho, p, 71) + int(_LN_POWERS[1, top])  # Q62
    return int(int(_LN_POWERS[0, top]) + ((fraction + 8) >> 4))


@inline
def exp2_mantissa(g: int) -> int:
    """2^g / (2 sqrt(2 pi)) in Q64, for g in Q63, 0 <= g < 1."""
    tau = (g & _MASK53) << 10
    p = _E3 + nmul_hi(tau, _E4)
    p = _E2 + nmul_hi(tau, p)
    p = _E1 + nmul_hi(tau, p)
    entry = int(_EXP2[np.uint64(g >> 53)])
    return int(entry + (nmul_hi(entry, nmul_hi(tau, p)) >> 8))


@inline
def density(d: int) -> tuple[int, int]:
    """phi(d) = mantissa * 2^-n for |d| <= 75/8 in Q59: (mantissa in Q64, n in 0..63)."""
    e = nmul_shr(d, _KAPPA, 62)  # Q60; e^2 = log2(e) d^2 / 2
    g = _MASK63 - (nmul_shr(e, e, 57) & _MASK63)
    return exp2_mantissa(g), nmul_shr(e, e, 120)


@inline
def mills(z: int) -> int:
    """R(z) = (1 - N(z)) / phi(z) in Q61 for z in Q59, 0 <= z < 12.25."""
    k = np.uint64((z >> 52) * 6)
    tau = _MASK63 - ((z & _MASK52) << 11)
    p = int(_MILLS[k + _COLUMN[4]]) + nmul_hi(tau, int(_MILLS[k + _COLUMN[5]]))
    p = int(_MILLS[k + _COLUMN[3]]) + nmul_hi(tau, p)
    p = int(_MILLS[k + _COLUMN[2]]) + nmul_hi(tau, p)
    p = int(_MILLS[k + _COLUMN[1]]) + nmul_hi(tau, p)
    return int(int(_MILLS[k]) + nmul_hi(tau, p))


@inline
def reciprocal(m: int) -> int:
    """floor((2^123 - 1) / m) for m in [2^61, 2^62).

    A float64 quotient, one Newton step, and a correction by the exact remainder; the result does not depend on the float.
    """
    q = int((2.0**123) / float(m))
    error = -imul_shr(q, m, 12)  # (2^123 - q m) / 2^12, modulo 2^64
    q += imul_shr(error, q, 111)
    rest = -1 - imul_shr(q, m, 0)
    while rest < 0:
        q -= 1
        rest += m
    while rest >= m:
        q += 1
        rest -= m
    return int(q)


@inner
def power_of_two(whole: int, fraction: int) -> int:
    """2^(whole + fraction) in Q60 for -62 <= whole < 2 and a fraction in Q63; zero below."""
    if whole < -62:
        return 0
    return int(nmul_shr(exp2_mantissa(fraction), _TWO_ROOT_TWO_PI, 64 - whole))
