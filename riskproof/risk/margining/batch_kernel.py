"""Compiled margins of many accounts: floats with proved errors decide what binds, integers say what it is.

Once it is known which scenario binds, on which side of zero each expiry is there, and which way its forward hurts, the requirement
is a sum of quantities times constants of the market. So for each account

    1  the P&L of every scenario in float64, with a bound of its error: kappa times the sum of absolute values, where
       kappa = (4 legs + 64) 2^-53 is at least twice what rounding the constants and all sums can do
       (N. Higham, "Accuracy and Stability of Numerical Algorithms", 3.1)
    2  contenders: every candidate that the bounds do not exclude from being the largest loss, nearly always one
    3  of each contender the requirement as an integer sum: constants have 18 decimals behind the point of the reported unit, and a
       flag of what was cut off them, so that the true number lies within sum |lots| of the inexact ones
    4  both ends of that interval, rounded. If they are the same integer, that is the number; if not, or if a sign could not be
       told, the account is left to exact rationals

Nothing is taken on trust of a float: what a float cannot decide is not decided by it. Sums of step 3 cannot wrap, because step 1
bounds them too.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.wide import imul_low, imul_shr

jit: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)

FRACTION: Final = 10**18
EQUITY: Final = 2  # after the two margins
_SPLIT: Final = 60
_MASK: Final = (1 << _SPLIT) - 1
_FIVES: Final = 5**18
_LOTS_MAX: Final = 1 << 53  # exact in float64
_SUM_MAX: Final = float(1 << 60)
_UNIT: Final = 2.0**-53
_UP, _DOWN = 1, 2  # columns behind the scenarios' and that of the present value


@jit  # type: ignore[untyped-decorator]
def _add(total: Any, amount: int, whole: int, fraction: int) -> None:
    """total += amount (whole + fraction 10^-18), total = (whole, low, high, error), fractions being high 2^60 + low.

    The lowest bit of `fraction` is its flag.
    """
    part = fraction >> 1
    low = int(total[1]) + imul_low(amount, part, _SPLIT)
    total[0] += amount * whole
    total[1] = low & _MASK
    total[2] += imul_shr(amount, part, _SPLIT) + (low >> _SPLIT)
    total[3] += abs(amount) * (fraction & 1)


@jit  # type: ignore[untyped-decorator]
def _carry(total: Any) -> None:
    """Leave (whole, fraction, 0, error) with 0 <= fraction < 10^18: high 2^60 + low over 2^18 5^18, 21 bits at a time."""
    high, low = int(total[2]), int(total[1])
    quotient, rest = high // _FIVES, high % _FIVES
    for shift in (39, 18):
        rest = (rest << 21) + ((low >> shift) & ((1 << 21) - 1))
        quotient = (quotient << 21) + rest // _FIVES
        rest %= _FIVES
    total[0] += quotient
    total[1] = (rest << 18) + (low & ((1 << 18) - 1))
    total[2] = 0


@jit  # type: ignore[untyped-decorator]
def _rounded(total: Any, up: bool, error: int) -> int:
    """A carried total + error 10^-18, to the next integer up or down."""
    moved = int(total[1]) + error
    return int(total[0]) - (-moved // FRACTION) if up else int(total[0]) + moved // FRACTION


@jit  # type: ignore[untyped-decorator]
def margins(
    books: Any,
    receivables: Any,
    known: Any,
    rows: Any,
    group: Any,
    underlying: Any,
    strike: Any,
    size: Any,
    values: Any,
    factors: Any,
    tenors: Any,
    weights: Any,
    adverse: Any,
    active: Any,
    losses: Any,
    own: Any,
    naked: Any,
    cash: Any,
    limits: Any,
    up: Any,
    out: Any,
    fast: Any,
) -> int:
    """Margins of A accounts; -1, or the first account whose places do not ascend or that has a position of zero lots.

    Args:
        books: pointers [A + 1], places and lots [nnz] (riskproof.risk.books). receivables: [A] lots of the settlement currency.
        known: [A] the underlying of an account's market, -1 if its positions tell, -2 if none of these.
        rows: [listings] row of a listing, -1 where there is none.
        group: [R] expiry of an option, else -1. underlying: [R] of a derivative, -1 for spot; -2 for spot that cannot be owed.
        strike: [R] id of an option's expiry and strike, else -1. size: [R] float64, at least every constant of the row.
        values: [R, S + 3] float64, per lot: values (of an option) or moves in each scenario, value now (0 but of options), values
            with the forward up and down.
        factors: [G, 2] of a value that is not negative, and of one that is. tenors: [G] of the basis charge, 0 without it.
        weights [S], adverse [S], active [S + 1]: scenarios; which of them, and whether the basis charge (last), compete.
        losses: [2, R, S + 2, 2, 2] loss per lot in scenarios and for the forward up and down, by margin, side of the expiry and
            word. own: [3, R, 2, 2] per lot held and lot owed: charges by margin, and equity. naked: [2, R, 2] per lot that is
            short after netting a strike. cash: [2] equity of a lot of the settlement currency. All in reported units.
        limits: most legs, expiries. up: rounding of a requirement and of a value.
        out: [3, A] int64, initial, maintenance, equity. fast: [A] bool, whether it was decided here.
    """
    pointers, places, lots = books
    scenarios, expiries = len(weights), len(factors)
    most_legs, most_expiries = int(limits[0]), int(limits[1])
    slots = min(most_expiries, expiries) + 1
    columns = scenarios + 3
    sums, gross = np.zeros((slots, columns)), np.zeros((slots, columns))  # slot 0: what moves with prices
    slot_of, seen = np.zeros(expiries + 1, dtype=np.int64), np.full(expiries + 1, -1, dtype=np.int64)
    groups, sides = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int64)
    flips = np.zeros(slots, dtype=np.int64)
    net = np.zeros(len(group) + 1, dtype=np.int64)
    leg_row = np.zeros(most_legs + 1, dtype=np.int64)
    leg_slot = np.zeros(most_legs + 1, dtype=np.int64)
    loss, error = np.zeros(scenarios + 1), np.zeros(scenarios + 1)
    total = np.zeros(4, dtype=np.int64)
    fixed = np.zeros((3, 4), dtype=np.int64)
    lows, highs = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for a in range(len(pointers) - 1):
        start, stop = int(pointers[a]), int(pointers[a + 1])
        last = -1
        for k in range(start, stop):
            if int(places[k]) <= last or int(lots[k]) == 0:
                return a
            last = int(places[k])
        legs = stop - start
        if legs > most_legs or int(known[a]) == -2 or abs(int(receivables[a])) >= _LOTS_MAX:
            continue
        used, market, covered = 1, int(known[a]), True
        held, bound = (
            float(abs(int(receivables[a]))),
            float(abs(int(receivables[a]))) * (float(abs(int(cash[0]))) + 1.0),
        )
        sums[0, :] = 0.0
        gross[0, :] = 0.0
        for k in range(start, stop):
            r, q = int(rows[places[k]]), int(lots[k])
            if r < 0 or abs(q) >= _LOTS_MAX:
                covered = False
                break
            u, g = int(underlying[r]), int(group[r])
            if u == -2 and q < 0:
                covered = False
                break
            if u >= 0:
                if market >= 0 and u != market:
                    covered = False
                    break
                market = u
            slot = 0
            if g >= 0:
                if int(seen[g]) != a:
                    if used == slots:
                        covered = False
                        break
                    seen[g], slot_of[g], groups[used] = a, used, g
                    sums[used, :] = 0.0
                    gross[used, :] = 0.0
                    used += 1
                slot = int(slot_of[g])
            leg_row[k - start], leg_slot[k - start] = r, slot
            amount = float(q)
            held += abs(amount)
            bound += abs(amount) * float(size[r])
            row, sum_, gross_ = values[r], sums[slot], gross[slot]
            for c in range(columns):
                x = amount * row[c]
                sum_[c] += x
                gross_[c] += abs(x)
        if not covered or market < 0 or held >= _SUM_MAX or not bound < _SUM_MAX:
            continue
        # 1: every candidate's loss, and how wrong it may be.
        kappa = (4 * legs + 64) * _UNIT
        for s in range(scenarios):
            loss[s], error[s] = sums[0, s], gross[0, s]
        basis, basis_error = 0.0, 0.0
        for slot in range(1, used):
            long, short = float(factors[groups[slot], 0]), float(factors[groups[slot], 1])
            most = max(abs(long), abs(short))
            now, now_gross = sums[slot, scenarios], gross[slot, scenarios]
            for s in range(scenarios):
                x = sums[slot, s]
                change = x * (long if x >= 0 else short) - now
                loss[s] += -abs(change) if adverse[s] else change
                error[s] += most * gross[slot, s] + now_gross
            tenor = float(tenors[groups[slot]])
            raised, lowered = sums[slot, scenarios + _UP], sums[slot, scenarios + _DOWN]
            basis += tenor * max(0.0, now - raised, now - lowered)
            around = gross[slot, scenarios + _UP] + gross[slot, scenarios + _DOWN] + 2.0 * now_gross
            basis_error += tenor * around
        for s in range(scenarios):
            loss[s] *= -weights[s]
            error[s] *= weights[s] * kappa
        loss[scenarios], error[scenarios] = basis, basis_error * kappa
        least, first = 0.0, True
        for s in range(scenarios + 1):
            if active[s] and (first or loss[s] - error[s] > least):
                least, first = loss[s] - error[s], False
        # 3 of what all contenders share: own charges, naked shorts, equity.
        fixed[:, :] = 0
        for k in range(legs):
            r, q = int(leg_row[k]), int(lots[start + k])
            side = 1 if q < 0 else 0
            for f in range(3):
                _add(fixed[f], abs(q), int(own[f, r, side, 0]), int(own[f, r, side, 1]))
            if int(strike[r]) >= 0:
                net[strike[r]] += q
        for k in range(legs):
            r = int(leg_row[k])
            if int(strike[r]) >= 0:
                short_lots = -int(net[strike[r]])
                net[strike[r]] = 0
                if short_lots > 0:
                    for f in range(2):
                        _add(fixed[f], short_lots, int(naked[f, r, 0]), int(naked[f, r, 1]))
        _add(fixed[EQUITY], int(receivables[a]), int(cash[0]), int(cash[1]))
        # 2 and 3: the contenders.
        decided, first = True, True
        for s in range(scenarios + 1):
            if not active[s] or loss[s] + error[s] < least:
                continue
            for slot in range(1, used):
                now, now_gross = sums[slot, scenarios], gross[slot, scenarios]
                flips[slot] = 1
                if s < scenarios:
                    x, wrong = sums[slot, s], gross[slot, s] * kappa
                    long, short = float(factors[groups[slot], 0]), float(factors[groups[slot], 1])
                    sides[slot] = 1 if x < 0 else 0
                    if abs(x) <= wrong and wrong > 0 and long != short:
                        decided = False
                    if adverse[s]:
                        change = x * (long if x >= 0 else short) - now
                        wrong = (max(abs(long), abs(short)) * gross[slot, s] + now_gross) * kappa
                        flips[slot] = -1 if change > 0 else 1
                        if abs(change) <= wrong and wrong > 0:
                            decided = False
                else:
                    raised, lowered = now - sums[slot, scenarios + _UP], now - sums[slot, scenarios + _DOWN]
                    wrong_up = (now_gross + gross[slot, scenarios + _UP]) * kappa
                    wrong_down = (now_gross + gross[slot, scenarios + _DOWN]) * kappa
                    if raised <= -wrong_up and lowered <= -wrong_down:
                        flips[slot] = 0
                    elif raised > wrong_up and raised - lowered > wrong_up + wrong_down:
                        sides[slot] = 0
                    elif lowered > wrong_down and lowered - raised > wrong_up + wrong_down:
                        sides[slot] = 1
                    else:
                        decided = False
            if not decided:
                break
            for f in range(2):
                total[:] = fixed[f]
                for k in range(legs):
                    r, slot = int(leg_row[k]), int(leg_slot[k])
                    if slot == 0:
                        if s < scenarios:
                            _add(total, int(lots[start + k]), int(losses[f, r, s, 0, 0]), int(losses[f, r, s, 0, 1]))
                    elif int(flips[slot]) != 0:
                        column, side = (s, int(sides[slot])) if s < scenarios else (s + int(sides[slot]), 0)
                        constant = losses[f, r, column, side]
                        _add(total, int(lots[start + k]) * int(flips[slot]), int(constant[0]), int(constant[1]))
                _carry(total)
                low, high = _rounded(total, up[0], -int(total[3])), _rounded(total, up[0], int(total[3]))
                lows[f] = low if first else max(int(lows[f]), low)
                highs[f] = high if first else max(int(highs[f]), high)
            first = False
        # 4
        equity = fixed[EQUITY]
        _carry(equity)
        low, high = _rounded(equity, up[1], -int(equity[3])), _rounded(equity, up[1], int(equity[3]))
        if decided and not first and lows[0] == highs[0] and lows[1] == highs[1] and low == high:
            out[0, a], out[1, a], out[2, a] = lows[0], lows[1], low
            fast[a] = True
    return -1
