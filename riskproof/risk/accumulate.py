"""Compiled sums over books: L[s] = sum_i q[i] A[s, i] of many accounts, exact, with the worst scenario of each.

Two loops over int64 that cannot wrap, because every account is first proved to fit:

    fast    sum_i |q_i| w_i <= limit = floor((2^63 - 2) / g), for the bounds B_i = max_s |A[s, i]| + b_i in weights of 10 bits:
            g = ceil(max_i B_i / 2^10), w_i = ceil(B_i / g), and |q_i| < 2^50. Then sum_i |q_i| B_i <= 2^63 - 2: every partial sum
            of every scenario, the buffer sum_i |q_i| b_i, and worst loss plus buffer fit int64
    wide    sum_i (ceil(|q_i| / 2) + 2) <= 2^62 - 8: products are split at 2^32 and 2^64, and the sums of their high words fit int64

The few accounts that neither bound covers (more than 2^63 lots held in all) are left to plain Python integers. Values are int64,
and with the JIT off plain integers. riskproof.risk.margin has the literal twin.

Shapes: pointers [A + 1], indices and lots [nnz] (account a holds lots[k] of indices[k] for pointers[a] <= k < pointers[a + 1]),
rows [I, S], weights [I] = w_i, charges [I] = b_i, or -1 for what cannot be held; indices lie in [0, I). Outputs [A]: kinds; worst,
the first scenario of least P&L; pnl [2, A], that P&L as 2^64 * pnl[0] + (pnl[1] modulo 2^64); buffers, sum_i |q_i| b_i (FAST
only); and on request table [2, A, S], every L[s] in the same two words (of FAST accounts the low one only: the high one is its
sign).
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

WEIGHT_BITS: Final = 10
LIMIT_MAX: Final = 1 << 60  # so that four more products of less than 2^60 each cannot wrap the running sum
_LOT_BITS = 60 - WEIGHT_BITS
_WIDE_LIMIT = (1 << 62) - 8  # and one more position added to it does not wrap
_MASK32 = (1 << 32) - 1


def fast_weights(bounds: Any) -> tuple[Any, int]:
    """weights [I] int16 and limit of `worst_fast` for bounds [I] int64, not negative (RiskArray.bounds)."""
    unit = max(1, -(-int(bounds.max(initial=0)) >> WEIGHT_BITS))
    weights = bounds // unit + (bounds % unit > 0)
    return weights.astype(np.int16), min(((1 << 63) - 2) // unit, LIMIT_MAX)


@jit  # type: ignore[untyped-decorator]
def worst_fast(
    begin: int,
    end: int,
    pointers: Any,
    indices: Any,
    lots: Any,
    rows: Any,
    charges: Any,
    weights: Any,
    limit: int,
    kinds: Any,
    worst: Any,
    pnl: Any,
    buffers: Any,
    table: Any = None,
) -> int:
    """Accounts begin <= a < end that the limit covers; the others get kind WIDE and nothing else.

    Returns -1, or the first account with zero lots, indices not ascending, or a holding that cannot be held.
    """
    scenarios = rows.shape[1]
    sums = np.zeros(scenarios, dtype=np.int64)
    for a in range(begin, end):
        k, stop = int(pointers[a]), int(pointers[a + 1])
        if table is not None:
            sums = table[1, a]
        sums[:] = 0
        total, buffer, held, last, right, kind = 0, 0, 0, -1, True, FAST
        # Four positions at a time keep the running sums in registers for longer, and the checks run in the shadow of the loads.
        while k + 4 <= stop:
            i0, i1, i2, i3 = int(indices[k]), int(indices[k + 1]), int(indices[k + 2]), int(indices[k + 3])
            q0, q1, q2, q3 = int(lots[k]), int(lots[k + 1]), int(lots[k + 2]), int(lots[k + 3])
            m0, m1, m2, m3 = abs(q0), abs(q1), abs(q2), abs(q3)
            total += m0 * int(weights[i0]) + m1 * int(weights[i1]) + m2 * int(weights[i2]) + m3 * int(weights[i3])
            if ((m0 | m1 | m2 | m3) >> _LOT_BITS) != 0 or total > limit:
                kind = WIDE
                break
            b0, b1, b2, b3 = int(charges[i0]), int(charges[i1]), int(charges[i2]), int(charges[i3])
            buffer += m0 * b0 + m1 * b1 + m2 * b2 + m3 * b3
            held |= b0 | b1 | b2 | b3
            right &= (i0 > last) & (i1 > i0) & (i2 > i1) & (i3 > i2) & (m0 != 0) & (m1 != 0) & (m2 != 0) & (m3 != 0)
            last = i3
            row0, row1, row2, row3 = rows[i0], rows[i1], rows[i2], rows[i3]
            for s in range(scenarios):
                sums[s] += q0 * row0[s] + q1 * row1[s] + q2 * row2[s] + q3 * row3[s]
            k += 4
        while k < stop and kind == FAST:
            i, q = int(indices[k]), int(lots[k])
            total += abs(q) * int(weights[i])
            if (abs(q) >> _LOT_BITS) != 0 or total > limit:
                kind = WIDE
                break
            buffer += abs(q) * int(charges[i])
            held |= int(charges[i])
            right &= (i > last) & (q != 0)
            last = i
            row = rows[i]
            for s in range(scenarios):
                sums[s] += q * row[s]
            k += 1
        if not right or held < 0:
            return a
        kinds[a] = kind
        if kind == FAST:
            least = sums[0]
            for s in range(scenarios):
                least = min(least, sums[s])
            at = 0
            while sums[at] != least:
                at += 1
            worst[a], pnl[0, a], pnl[1, a], buffers[a] = at, -1 if least < 0 else 0, least, buffer
    return -1


@jit  # type: ignore[untyped-decorator]
def worst_wide(
    begin: int,
    end: int,
    pointers: Any,
    indices: Any,
    lots: Any,
    rows: Any,
    charges: Any,
    kinds: Any,
    worst: Any,
    pnl: Any,
    table: Any = None,
) -> int:
    """Accounts of kind WIDE; one that the wide bound does not cover gets kind BEYOND and nothing else. Returns as `worst_fast`."""
    scenarios = rows.shape[1]
    for a in range(begin, end):
        if int(kinds[a]) != WIDE:
            continue
        start, stop = int(pointers[a]), int(pointers[a + 1])
        halves, last = 0, -1
        for k in range(start, stop):
            i, q = int(indices[k]), int(lots[k])
            if i <= last or q == 0 or int(charges[i]) < 0:
                return a
            last = i
            halves = min(halves + (-(q >> 1) if q < 0 else (q >> 1) + 1) + 2, _WIDE_LIMIT + 1)
        if halves > _WIDE_LIMIT:
            kinds[a] = BEYOND
            continue
        at, best_high, best_middle, best_low = -1, 0, 0, 0
        for s in range(scenarios):
            high, middle, low = 0, 0, 0
            for k in range(start, stop):
                q, entry = int(lots[k]), int(rows[indices[k], s])
                high += imul_hi(q, entry)
                middle += imul_shr(q, entry, 32) & _MASK32
                low += imul_low(q, entry, 32)
            middle += low >> 32
            low &= _MASK32
            high += middle >> 32
            middle &= _MASK32
            if table is not None:
                table[0, a, s] = high
                table[1, a, s] = ((middle - (1 << 32) if middle >> 31 else middle) << 32) + low
            if at < 0 or (high, middle, low) < (best_high, best_middle, best_low):
                at, best_high, best_middle, best_low = s, high, middle, low
        signed = best_middle - (1 << 32) if best_middle >> 31 else best_middle
        worst[a], pnl[0, a], pnl[1, a] = at, best_high, (signed << 32) + best_low
    return -1


@jit  # type: ignore[untyped-decorator]
def net_rows(pointers: Any, indices: Any, lots: Any, groups: Any, count: int, ends: Any, kinds: Any) -> int:
    """How many of `count` groups every account holds, as running totals ends [A], and its kind, WIDE or BEYOND.

    groups [I]: the group of an instrument, or -1 for none, -2 for what cannot be held. Returns as `worst_fast`.
    """
    seen = np.full(count, -1, dtype=np.int64)
    rows = 0
    for a in range(len(ends)):
        halves, last = 0, -1
        for k in range(int(pointers[a]), int(pointers[a + 1])):
            i, q = int(indices[k]), int(lots[k])
            group = int(groups[i])
            if i <= last or q == 0 or group < -1:
                return a
            last = i
            halves = min(halves + (-(q >> 1) if q < 0 else (q >> 1) + 1) + 2, _WIDE_LIMIT + 1)
            if group >= 0 and int(seen[group]) != a:
                seen[group] = a
                rows += 1
        ends[a] = rows
        kinds[a] = BEYOND if halves > _WIDE_LIMIT else WIDE
    return -1


@jit  # type: ignore[untyped-decorator]
def net_sums(
    pointers: Any, indices: Any, lots: Any, groups: Any, per_unit: Any, count: int, kinds: Any, held: Any, out: Any
) -> None:
    """sum_i q_i v_ij over the instruments of each group that an account holds; a row for each, as `net_rows` counted them.

    per_unit [I, J]. Outputs: held [R], the group of a row, ascending in an account; out [2, J, R], the sums in two words as pnl
    above (accounts of kind BEYOND: nothing).
    """
    columns = per_unit.shape[1]
    seen = np.full(count, -1, dtype=np.int64)
    sums = np.zeros((count, columns, 3), dtype=np.int64)
    row = 0
    for a in range(len(kinds)):
        for k in range(int(pointers[a]), int(pointers[a + 1])):
            i, q = int(indices[k]), int(lots[k])
            group = int(groups[i])
            if group < 0:
                continue
            seen[group] = a
            if int(kinds[a]) == BEYOND:
                continue
            for j in range(columns):
                value = int(per_unit[i, j])
                sums[group, j, 0] += imul_hi(q, value)
                sums[group, j, 1] += imul_shr(q, value, 32) & _MASK32
                sums[group, j, 2] += imul_low(q, value, 32)
        for group in range(count):
            if int(seen[group]) != a:
                continue
            held[row] = group
            for j in range(columns):
                low = int(sums[group, j, 2])
                middle = int(sums[group, j, 1]) + (low >> 32)
                out[0, j, row] = int(sums[group, j, 0]) + (middle >> 32)
                middle &= _MASK32
                out[1, j, row] = ((middle - (1 << 32) if middle >> 31 else middle) << 32) + (low & _MASK32)
                sums[group, j, :] = 0
            row += 1
