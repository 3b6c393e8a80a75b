"""Compiled sums over a book: L[s] = sum_i q[i] A[s, i] of many accounts, exact, with the worst scenario of each.

Two loops over int64 that cannot wrap, because each account is first proved to fit:

    fast    sum_i |q_i| (max_s |A[s, i]| + b_i) <= 2^63 - 2         every partial sum, the buffer and their total fit int64
    wide    sum_i (floor(|q_i| / 2) + 2) <= 2^62                    products split at 2^64, 2^32: high words fit int64

An account that neither bound covers is left to plain Python integers (riskproof.risk.batch). Everything is int64, and with the JIT
off plain integers; riskproof.risk.batch.twin is the literal reading.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.wide import imul_hi, imul_low, imul_shr

jit: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)

FAST: Final = 0
WIDE: Final = 1
BEYOND: Final = 2
BAD_INDEX: Final = 3
BAD_ORDER: Final = 4
UNPRICED_HOLDING: Final = 5
ZERO_LOTS: Final = 6

_LIMIT = (1 << 63) - 2
_WIDE_LIMIT = 1 << 62
_INT64_MIN = -(1 << 63)
_MASK32 = (1 << 32) - 1


@jit  # type: ignore[untyped-decorator]
def classify(
    begin: int, end: int, pointers: Any, indices: Any, lots: Any, status: Any, bounds: Any, buffers: Any, out: Any
) -> int:
    """out[0, a] = FAST, WIDE or BEYOND, out[1, a] = sum_i |q_i| b_i (FAST only), for begin <= a < end.

    Returns -1, or for the first position that is wrong 8 * position + one of the four BAD_INDEX .. ZERO_LOTS.
    """
    count = status.shape[0]
    for a in range(begin, end):
        total, charge, halves, fast, last = 0, 0, 0, True, -1
        for k in range(int(pointers[a]), int(pointers[a + 1])):
            i, q = int(indices[k]), int(lots[k])
            if i < 0 or i >= count:
                return 8 * k + BAD_INDEX
            if i <= last:
                return 8 * k + BAD_ORDER
            if int(status[i]) == 0:
                return 8 * k + UNPRICED_HOLDING
            if q == 0:
                return 8 * k + ZERO_LOTS
            last = i
            halves = min(halves + (-(q >> 1) if q < 0 else q >> 1) + 2, _WIDE_LIMIT + 1)
            if not fast:
                continue
            bound = int(bounds[i])
            if q == _INT64_MIN or imul_shr(abs(q), bound, 63) != 0 or abs(q) * bound > _LIMIT - total:
                fast = False
                continue
            total += abs(q) * bound
            charge += abs(q) * int(buffers[i])
        out[0, a] = FAST if fast else (WIDE if halves <= _WIDE_LIMIT else BEYOND)
        out[1, a] = charge if fast else 0
    return -1


@jit  # type: ignore[untyped-decorator]
def worst_fast(
    begin: int, end: int, pointers: Any, indices: Any, lots: Any, rows: Any, kinds: Any, worst: Any, pnl: Any
) -> None:
    """worst[a], pnl[0, a] (0 or -1: the sign) and pnl[1, a] of the FAST accounts: first scenario of least P&L, and that P&L."""
    scenarios = rows.shape[1]
    sums = np.zeros(scenarios, dtype=np.int64)
    for a in range(begin, end):
        if int(kinds[a]) != FAST:
            continue
        k, stop = int(pointers[a]), int(pointers[a + 1])
        sums[:] = 0
        # Four positions at a time keep the running sums in registers for longer; the order of exact additions does not matter.
        while k + 4 <= stop:
            row0, row1, row2, row3 = rows[indices[k]], rows[indices[k + 1]], rows[indices[k + 2]], rows[indices[k + 3]]
            q0, q1, q2, q3 = lots[k], lots[k + 1], lots[k + 2], lots[k + 3]
            for s in range(scenarios):
                sums[s] += q0 * row0[s] + q1 * row1[s] + q2 * row2[s] + q3 * row3[s]
            k += 4
        while k < stop:
            row, q = rows[indices[k]], lots[k]
            for s in range(scenarios):
                sums[s] += q * row[s]
            k += 1
        least = sums[0]
        for s in range(scenarios):
            least = min(least, sums[s])
        at = 0
        while sums[at] != least:
            at += 1
        worst[a] = at
        pnl[0, a] = -1 if least < 0 else 0
        pnl[1, a] = least


@jit  # type: ignore[untyped-decorator]
def worst_wide(
    begin: int, end: int, pointers: Any, indices: Any, lots: Any, rows: Any, kinds: Any, worst: Any, pnl: Any
) -> None:
    """The same for the WIDE accounts: P&L = pnl[0, a] * 2^64 + (pnl[1, a] as an unsigned number)."""
    scenarios = rows.shape[1]
    for a in range(begin, end):
        if int(kinds[a]) != WIDE:
            continue
        best_high, best_middle, best_low, at = 0, 0, 0, -1
        for s in range(scenarios):
            high, middle, low = 0, 0, 0
            for k in range(int(pointers[a]), int(pointers[a + 1])):
                q, entry = int(lots[k]), int(rows[indices[k], s])
                high += imul_hi(q, entry)
                middle += imul_shr(q, entry, 32) & _MASK32
                low += imul_low(q, entry, 32)
            middle += low >> 32
            low &= _MASK32
            high += middle >> 32
            middle &= _MASK32
            if at < 0 or high < best_high or (high == best_high and (middle, low) < (best_middle, best_low)):
                best_high, best_middle, best_low, at = high, middle, low, s
        worst[a] = at
        pnl[0, a] = best_high
        pnl[1, a] = ((best_middle - (1 << 32) if best_middle >> 31 else best_middle) << 32) + best_low
