"""Compiled fixed-point primitives of the kernel. docs/kernel.md section 2 is the specification, twin.py its literal reading.

All arguments and results are int64 (plain integers with the JIT off); a Qn number a stands for a / 2^n. Nothing here can
overflow inside the stated ranges; the callers guarantee the ranges.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.risk.kernel import tables
from riskproof.wide import bit_length, imul_hi, imul_shr

MILLS: Final = np.array(tables.MILLS, dtype=np.int64)  # [784, 7]
EXP2: Final = np.array(tables.EXP2, dtype=np.int64)  # [1024]
LN: Final = np.array([tables.LN, tables.LN_RECIPROCALS], dtype=np.int64)  # [2, 256]
LN_POWERS: Final = np.array([[p >> 4 for p in tables.LN_POWERS], [p & 15 for p in tables.LN_POWERS]], dtype=np.int64)

_KAPPA = tables.KAPPA
_TWO_ROOT_TWO_PI = tables.TWO_ROOT_TWO_PI
_PER_SECOND = tables.LOG2_E_PER_SECOND
_PER_1E12 = tables.LOG2_E_PER_1E12
_E1, _E2, _E3, _E4 = tables.EXP2_POLYNOMIAL
_L0, _L1, _L2, _L3, _L4, _L5 = tables.LN_POLYNOMIAL

_MASK53 = (1 << 53) - 1
_MASK58 = (1 << 58) - 1
_MASK63 = (1 << 63) - 1

jit: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


@jit
def ln(a: int, table: Any, powers: Any) -> int:
    """ln(a / 10^9) in Q58 for a in [1, 2^63)."""
    top = bit_length(a) - 1
    m = a << (62 - top)  # Q62, in [1, 2)
    j = (m >> 54) - 256
    rho = imul_shr(m, int(table[1, j]), 8)  # m c = 1 + r in Q79; modulo 2^71 it leaves 2^7 r in Q64
    p = _L4 + imul_hi(rho, _L5)
    p = _L3 + imul_hi(rho, p)
    p = _L2 + imul_hi(rho, p)
    p = _L1 + imul_hi(rho, p)
    p = _L0 + imul_hi(rho, p)
    fraction = int(table[0, j]) + imul_shr(rho, p, 71) + int(powers[1, top])  # Q62
    return int(powers[0, top]) + ((fraction + 8) >> 4)


@jit
def exp2_mantissa(g: int, table: Any) -> int:
    """2^g / (2 sqrt(2 pi)) in Q64, for g in Q63, 0 <= g < 1."""
    tau = (g & _MASK53) << 10
    p = _E3 + imul_hi(tau, _E4)
    p = _E2 + imul_hi(tau, p)
    p = _E1 + imul_hi(tau, p)
    entry = int(table[g >> 53])
    return entry + (imul_hi(entry, imul_hi(tau, p)) >> 8)


@jit
def density(d: int, table: Any) -> tuple[int, int]:
    """phi(d) = mantissa * 2^-n for |d| <= 75/8 in Q59: (mantissa in Q64, n in 0..63)."""
    e = imul_shr(d, _KAPPA, 62)  # Q60; e^2 = log2(e) d^2 / 2
    g = _MASK63 - (imul_shr(e, e, 57) & _MASK63)
    return exp2_mantissa(g, table), imul_shr(e, e, 120)


@jit
def mills(z: int, table: Any) -> int:
    """R(z) = (1 - N(z)) / phi(z) in Q61 for z in Q59, 0 <= z < 12.25."""
    k = z >> 53
    tau = _MASK63 - ((z & _MASK53) << 10)
    p = int(table[k, 5]) + imul_hi(tau, int(table[k, 6]))
    p = int(table[k, 4]) + imul_hi(tau, p)
    p = int(table[k, 3]) + imul_hi(tau, p)
    p = int(table[k, 2]) + imul_hi(tau, p)
    p = int(table[k, 1]) + imul_hi(tau, p)
    return int(table[k, 0]) + imul_hi(tau, p)


@jit
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
    return q


@jit
def power_of_two(u: int, table: Any) -> int:
    """2^u in Q60 for u in Q58, -63 <= u < 2."""
    whole = u >> 58
    mantissa = exp2_mantissa((u & _MASK58) << 5, table)
    return imul_shr(mantissa, _TWO_ROOT_TWO_PI, 64 - whole)
