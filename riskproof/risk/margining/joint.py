"""P&L under joint moves as whole numbers over one denominator: sums of many take no fractions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, repr=False)
class JointPnl:
    """An amount for each part and joint move of a set, a gain positive; secret data of an account.

    Attributes:
        parts: in 1/unit. A set over an interval of correlations has a part for each of them, any other set has one.
        unit: above zero.
    """

    parts: tuple[tuple[int, ...], ...]
    unit: int

    def __neg__(self) -> JointPnl:
        return JointPnl(tuple(tuple(-x for x in part) for part in self.parts), self.unit)

    def counted(self, gain_factor: Fraction) -> JointPnl:
        """Losses as they are, and of gains a share."""
        p, q = gain_factor.numerator, gain_factor.denominator
        return JointPnl(tuple(tuple(x * q if x < 0 else x * p for x in part) for part in self.parts), self.unit * q)


def added(terms: Sequence[JointPnl]) -> JointPnl:
    """The sum of one or more; each may have a unit of its own."""
    unit = math.lcm(*(t.unit for t in terms))
    scaled = (_in(t, unit) for t in terms)
    return JointPnl(tuple(tuple(map(sum, zip(*parts, strict=True))) for parts in zip(*scaled, strict=True)), unit)


def combined(quantities: Sequence[Fraction], rows: Iterable[Sequence[Sequence[int]]], one: int) -> JointPnl:
    """Sum of quantities, one or more, times what a unit of each is worth, rows of 1/one by part and joint move."""
    common = math.lcm(*(q.denominator for q in quantities))
    lots = [q.numerator * (common // q.denominator) for q in quantities]
    weighted = ([[n * x for x in part] for part in parts] for n, parts in zip(lots, rows, strict=True))
    sums = (tuple(map(sum, zip(*parts, strict=True))) for parts in zip(*weighted, strict=True))
    return JointPnl(tuple(sums), common * one)


def _in(term: JointPnl, unit: int) -> Sequence[Sequence[int]]:
    if term.unit == unit:
        return term.parts
    times = unit // term.unit
    return [[times * x for x in part] for part in term.parts]
