"""Amounts of tail risk, exact in 10^-(m+e) or rational, as micros and as text: `exponent` is m + e."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from riskproof.cli.output import money

if TYPE_CHECKING:
    from fractions import Fraction


def loss_micros(amount: Fraction | int, exponent: int) -> int:
    """A loss or a measure, rounded up."""
    from riskproof.units import to_micros

    whole = -(-amount.numerator // amount.denominator)
    return to_micros(whole, exponent, against_account=True, requirement=True, where="tail risk")


def pnl_micros(pnl: Iterable[int], exponent: int) -> list[int]:
    """P&Ls, rounded down."""
    from riskproof.units import to_micros

    return [to_micros(x, exponent, against_account=True, where="tail risk") for x in pnl]


def loss_text(amount: Fraction | int | None, exponent: int) -> str:
    """A loss as people read it, or a dash."""
    return "-" if amount is None else money(loss_micros(amount, exponent))
