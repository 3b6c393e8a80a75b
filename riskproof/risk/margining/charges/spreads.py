"""Charges and credits for spreads: SPAN's charge on calendar spreads, and its credit between underlyings.

calendar_spread   rate S x summed over the spreads, within a netting set and by underlying. A spread pairs x coins of delta of
                  expiries in `near` with as many of the other sign in `far`; both are ranges of days to expiry, from (included) to
                  (excluded), a perpetual's being zero. What is paired is used up, so that the order of the spreads is their
                  priority; earlier expiries are paired first.

offset            a credit of the account, between netting sets of one underlying each: rate (x / |X_a| loss_a + x / |X_b| loss_b)
                  summed over the spreads, x = min(|X_a|, |X_b|) the value of delta, of opposite signs, that is paired, X_a
                  the whole one and loss_a the set's largest loss in the scenarios of `group`, not below zero. What is
                  paired is used up, so that no set is credited more than its loss. Subtract it in the aggregate.

Deltas are those of `delta`: in coins, of perpetuals, futures and options.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining import exact
from riskproof.risk.margining.charges.context import parse_rates, rate_of, rates_document
from riskproof.risk.margining.charges.delta import lines_of, net_of
from riskproof.risk.margining.grid import ALL, identifier
from riskproof.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from riskproof.risk.margining.book import NettingSet
    from riskproof.risk.margining.charges.context import SetLosses
    from riskproof.risk.margining.values import UnitValues

MAX_SPREADS = 1_024
MAX_DAYS = 36_500
_ZERO = Fraction(0)
_CREDIT_MAX = 1


@dataclass(frozen=True, slots=True)
class Days:
    """Days to expiry, from included, to excluded."""

    start: Fraction
    end: Fraction
    seconds: range = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first, last = (math.ceil(days * SECONDS_PER_DAY) for days in (self.start, self.end))
        object.__setattr__(self, "seconds", range(first, last))

    @classmethod
    def parse(cls, node: Json, where: str) -> Days:
        m = encoding.members(node, where, ("from", "to"))
        start, end = (exact.parse(m[n], f"{where}.{n}", low=0, high=MAX_DAYS) for n in ("from", "to"))
        if end <= start:
            raise ModelError("an empty range of days", where=f"{where}.to", expected=f"above {exact.text(start)}")
        return cls(start, end)

    def to_document(self) -> dict[str, Json]:
        return {"from": exact.text(self.start), "to": exact.text(self.end)}


@dataclass(frozen=True, slots=True)
class CalendarPair:
    """One kind of spread and its rates."""

    near: Days
    far: Days
    rates: tuple[Fraction, Fraction]

    def to_document(self) -> dict[str, Json]:
        return {
            "near": self.near.to_document(),
            "far": self.far.to_document(),
            "rates": rates_document(self.rates),
        }


@dataclass(frozen=True, slots=True)
class CalendarSpread:
    """`calendar_spread`."""

    pairs: tuple[CalendarPair, ...]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> CalendarSpread:
        m = encoding.members(members, where, ("spreads",))
        pairs = []
        for i, item in enumerate(encoding.array(m["spreads"], f"{where}.spreads", max_length=MAX_SPREADS)):
            at = f"{where}.spreads[{i}]"
            s = encoding.members(item, at, ("near", "far", "rates"))
            near, far = Days.parse(s["near"], f"{at}.near"), Days.parse(s["far"], f"{at}.far")
            if far.start < near.start:
                raise ModelError("far starts before near", where=f"{at}.far", expected="the later expiries")
            pairs.append(CalendarPair(near, far, parse_rates(s["rates"], f"{at}.rates")))
        return cls(tuple(pairs))

    def to_document(self) -> dict[str, Json]:
        return {"kind": "calendar_spread", "spreads": [pair.to_document() for pair in self.pairs]}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        paired = values.of_group((id(self), "paired"), book, partial(self._paired, book, values))
        total = sum((rate_of(x.rates, margin) * worth for x, worth in zip(self.pairs, paired, strict=True)), _ZERO)
        return Fraction(total)

    def _paired(self, book: NettingSet, values: UnitValues) -> list[Fraction]:
        """What each of the spreads pairs, worth the index price, over all underlyings."""
        worth = [_ZERO] * len(self.pairs)
        for underlying, line in lines_of(book, values).items():
            common = math.lcm(*(x.denominator for x in line.values()))
            left = {t: line[t].numerator * (common // line[t].denominator) for t in sorted(line)}
            price = book.market.index(underlying).price
            for n, pair in enumerate(self.pairs):
                worth[n] += price * Fraction(_paired(left, pair, 1) + _paired(left, pair, -1), common)
        return worth


def _paired(left: dict[int, int], pair: CalendarPair, sign: int) -> int:
    """Deltas, by ascending time, paired of `sign` in near and of the other sign in far; they leave `left`."""
    near = [t for t, x in left.items() if t in pair.near.seconds and x * sign > 0]
    far = [t for t, x in left.items() if t in pair.far.seconds and x * sign < 0]
    paired = min(sum(abs(left[t]) for t in near), sum(abs(left[t]) for t in far))
    for expiries in (near, far):
        rest = paired
        for t in expiries:
            used = min(rest, abs(left[t]))
            left[t] -= used if left[t] > 0 else -used
            rest -= used
    return paired


@dataclass(frozen=True, slots=True)
class Offset:
    """`offset`."""

    spreads: tuple[tuple[str, str, tuple[Fraction, Fraction]], ...]
    group: str = ALL

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Offset:
        m = encoding.members(members, where, ("spreads",), ("group",))
        spreads = []
        for i, item in enumerate(encoding.array(m["spreads"], f"{where}.spreads", max_length=MAX_SPREADS)):
            at = f"{where}.spreads[{i}]"
            s = encoding.members(item, at, ("legs", "rates"))
            legs = [
                identifier(x, f"{at}.legs[{k}]")
                for k, x in enumerate(encoding.array(s["legs"], f"{at}.legs", max_length=2))
            ]
            if len(set(legs)) != 2:
                raise ModelError("not a spread", where=f"{at}.legs", expected="two underlyings")
            rates = parse_rates(s["rates"], f"{at}.rates")
            for name, rate in zip(("initial", "maintenance"), rates, strict=True):
                exact.check_range(rate, f"{at}.rates.{name}", 0, _CREDIT_MAX)
            spreads.append((legs[0], legs[1], rates))
        return cls(tuple(spreads), identifier(m.get("group", ALL), f"{where}.group"))

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "kind": "offset",
            "spreads": [{"legs": [a, b], "rates": rates_document(rates)} for a, b, rates in self.spreads],
        }
        if self.group != ALL:
            document["group"] = self.group
        return document

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        """Nothing: it is of the account."""
        return _ZERO

    def account_amount(self, sets: Sequence[SetLosses], values: UnitValues, margin: str) -> Fraction:
        whole: dict[str, Fraction] = {}
        losses: dict[str, Fraction] = {}
        for book, loss in sets:
            losses[book.name] = max(_ZERO, loss(self.group))
            net = values.of_group("net", book, partial(net_of, book, values)).get(book.name)
            whole[book.name] = net * book.market.index(book.name).price if net is not None else _ZERO
        left, credit = dict(whole), _ZERO
        for a, b, rates in self.spreads:
            x, y = left.get(a, _ZERO), left.get(b, _ZERO)
            paired = min(abs(x), abs(y)) if x * y < 0 else _ZERO
            if not paired:
                continue
            credit += rate_of(rates, margin) * sum((paired / abs(whole[name]) * losses[name] for name in (a, b)), _ZERO)
            left[a] -= paired if x > 0 else -paired
            left[b] -= paired if y > 0 else -paired
        return credit
