"""P&L under joint moves over one denominator, against fractions."""

from __future__ import annotations

import random
from fractions import Fraction

from riskproof.risk.margining.joint import JointPnl, added, combined


def fractions(x: JointPnl) -> list[list[Fraction]]:
    return [[Fraction(amount, x.unit) for amount in part] for part in x.parts]


def drawn(r: random.Random, unit: int) -> JointPnl:
    return JointPnl(tuple(tuple(r.randint(-(10**30), 10**30) for _ in range(5)) for _ in range(2)), unit)


def test_sums_are_those_of_fractions() -> None:
    r = random.Random(1)
    for units in ((1,), (6, 4), (10**9, 7, 10**9, 10**60 + 1)):
        terms = [drawn(r, unit) for unit in units]
        total = added(terms)
        parts = zip(*(fractions(t) for t in terms), strict=True)
        assert fractions(total) == [[sum(xs) for xs in zip(*part, strict=True)] for part in parts]
        assert fractions(-total) == [[-x for x in part] for part in fractions(total)]


def test_quantities_times_units_are_those_of_fractions() -> None:
    r = random.Random(2)
    quantities = [Fraction(-3, 7), Fraction(5), Fraction(1, 10**43)]
    rows = [drawn(r, 1).parts for _ in quantities]
    found = combined(quantities, rows, 10**6)
    for p in range(2):
        for k in range(5):
            worth = sum(q * row[p][k] for q, row in zip(quantities, rows, strict=True)) / 10**6
            assert Fraction(found.parts[p][k], found.unit) == worth


def test_gains_count_a_share_and_losses_whole() -> None:
    x = JointPnl(((-3, 0, 5), (2, -1, 7)), 10)
    assert fractions(x.counted(Fraction(1, 3))) == [[a if a < 0 else a / 3 for a in part] for part in fractions(x)]
    assert x.counted(Fraction(1)) == x


def test_no_amount_is_in_a_repr() -> None:
    assert "12345" not in repr(JointPnl(((12345,),), 1))
