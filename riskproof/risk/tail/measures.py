"""Value at risk and expected shortfall of integer P&Ls, exact.

Scenario s has the P&L L[s], the loss l[s] = -L[s], and the weight w[s], a positive integer; W = sum of the weights. The probability
of the tail is alpha, a ratio in 1e-12, and may hold a fraction of a scenario.

    VaR = the least loss l of a scenario with   sum of w over losses above l  <=  alpha W
    ES  = ( sum of w[s] (l[s] - VaR) over losses above VaR ) / (alpha W) + VaR

ES is the mean of the worst alpha of the distribution (Acerbi and Tasche 2002): scenarios in order of loss, worst first, count with
their whole weight until alpha W is used up, and the last one with what is left. It is a rational number. Equal losses cannot be
told apart by either measure, so their order is nothing that needs a rule. ES is also the optimum of

    min over t of   t + sum of w[s] max(l[s] - t, 0) / (alpha W)           (Rockafellar and Uryasev 2000), reached at t = VaR

a linear programme, and it is what a net-risk proof can prove. Either measure may be negative: a gain even in the tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from riskproof.errors import ModelError
from riskproof.units import RATIO_ONE, format_decimal, round_half_even


def value_at_risk(pnl: Sequence[int], tail: int, weights: Sequence[int] | None = None) -> int:
    """VaR as a loss, in the unit of `pnl`.

    Args:
        pnl: a P&L for each scenario, at least one.
        tail: alpha, 1e-12, above 0 and below 1.
        weights: positive integers, one for each scenario; None: all equal.

    Raises:
        ModelError: a tail or weights out of range.
    """
    return _tail(pnl, tail, weights)[0]


def expected_shortfall(pnl: Sequence[int], tail: int, weights: Sequence[int] | None = None) -> Fraction:
    """ES as a loss, in the unit of `pnl`; arguments and errors as `value_at_risk`."""
    return tail_measures(pnl, tail, weights)[1]


def tail_measures(pnl: Sequence[int], tail: int, weights: Sequence[int] | None = None) -> tuple[int, Fraction]:
    """(VaR, ES) as losses, in the unit of `pnl`; arguments and errors as `value_at_risk`."""
    quantile, beyond, mass = _tail(pnl, tail, weights)
    return quantile, quantile + Fraction(beyond) / mass


def _tail(pnl: Sequence[int], tail: int, weights: Sequence[int] | None) -> tuple[int, int, Fraction]:
    """VaR, the weighted excess over it, and alpha W."""
    if not pnl:
        raise ModelError("no scenario", where="scenarios", expected="one or more")
    if not 0 < tail < RATIO_ONE:
        raise ModelError(
            f"{format_decimal(tail, 12)} is out of range", where="measure.tail", expected="between 0 and 1"
        )
    if weights is None:
        weights = [1] * len(pnl)
    elif len(weights) != len(pnl) or min(weights) <= 0:
        raise ModelError("weights", where="weights", expected=f"{len(pnl)} positive integers")
    mass = Fraction(tail * sum(weights), RATIO_ONE)
    quantile, above, excess = 0, 0, 0  # weight and weighted loss of what lies strictly above the quantile
    worst_first = sorted(zip(pnl, weights, strict=True))
    n = 0
    while n < len(worst_first):
        gain, weight, loss = worst_first[n][0], 0, 0
        while n < len(worst_first) and worst_first[n][0] == gain:
            weight += worst_first[n][1]
            n += 1
        quantile, loss = -gain, -gain * weight
        if above + weight > mass:
            break
        above, excess = above + weight, excess + loss
    return quantile, excess - quantile * above, mass


def age_weights(count: int, decay: int) -> list[int]:
    """Weights that decay with age (Boudoukh, Richardson and Whitelaw 1998): the integer nearest to 10^12 decay^age, newest last.

    Raises:
        ModelError: a decay outside (0, 1], or so small that the oldest scenario would weigh nothing.
    """
    if not 0 < decay <= RATIO_ONE:
        raise ModelError(
            f"{format_decimal(decay, 12)} is out of range", where="weight_decay", expected="above 0, at most 1"
        )
    weights = [round_half_even(power, RATIO_ONE) for power in decay_powers(count, decay)]
    if weights[0] == 0:
        raise ModelError(
            f"the oldest of {count} scenarios weighs nothing", where="weight_decay", expected="a decay nearer to 1"
        )
    return weights


def decay_powers(count: int, decay: int) -> list[int]:
    """decay^age in 1e-24, newest last, each rounded from the one after it, ties to even; decay in 1e-12."""
    powers = [RATIO_ONE**2]
    for _ in range(count - 1):
        powers.append(round_half_even(powers[-1] * decay, RATIO_ONE))
    return powers[::-1]


def liquidity_cascade(shortfalls: Sequence[tuple[int, Fraction]], base_days: int) -> Fraction:
    """Expected shortfall over liquidity horizons, from those over the base horizon (Basel framework, MAR33.5), as a square.

        ES^2 = sum over j of  ES_j^2 (LH_j - LH_(j-1)) / T          LH_0 = 0

    ES_j: shortfall under moves of those factors alone whose liquidity horizon is LH_j or longer; ES_1 has them all, and LH_1 = T.
    A negative ES_j counts as zero: a gain over a short horizon must not pay for a loss over a long one.

    Args:
        shortfalls: (LH_j in days, ES_j), horizons increasing, the first one the base.
        base_days: T.

    Returns:
        ES squared; `roots.root_up` gives the amount.
    """
    total, before = Fraction(0), 0
    for days, amount in shortfalls:
        if days <= before:
            raise AssertionError("liquidity horizons increase")
        total += max(amount, Fraction(0)) ** 2 * Fraction(days - before, base_days)
        before = days
    return total
