"""Forwards from option marks by put-call parity, in exact rational arithmetic.

For a call and a put of one strike K, undiscounted:

    inverse, marks C and P in coin:     C - P = 1 - K/F    so  F = K / (1 - (C - P))
    linear, marks in the numeraire:     C - P = F - K      so  F = K + (C - P)

With a discount factor D both differences are (C - P) / D.

Source: Black (1976); for inverse contracts the value in coin is the value in the numeraire over F.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from riskproof import units
from riskproof.market.registry import Payoff

UNDISCOUNTED: Final = Fraction(1)


def parity_forward(
    payoff: Payoff, strike: int, call: int, put: int, discount: Fraction = UNDISCOUNTED
) -> Fraction | None:
    """The forward that one strike's marks imply, in 1e-9 of the numeraire; None if no positive forward satisfies parity.

    strike: 1e-9 of the numeraire; call, put: marks, 1e-9 of the settlement currency.
    """
    difference = (call - put) / discount
    if payoff is Payoff.LINEAR:
        forward = strike + difference
        return forward if forward > 0 else None
    denominator = units.PRICE_ONE - difference
    return strike * units.PRICE_ONE / denominator if denominator > 0 else None


def median(values: list[Fraction]) -> Fraction:
    """The middle value, or the mean of the two middle ones, of a list that is not empty."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def to_price(value: Fraction) -> int:
    """Rounded to 1e-9, ties to even."""
    return units.round_half_even(value.numerator, value.denominator)
