"""The `standalone` charge: what every position needs by itself, without the others.

    amount = sum over positions of max(0, rate l_i, V_i)      V_i only of options, and only with "locked": true

l_i is the largest loss of position i alone in the scenarios of `group`, V_i its value. Locked value cannot cover another
position: a long option ties up what was paid for it, as in isolated margin. Positions are those that move with the scenarios:
derivatives, and collateral that the collateral block lets move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining.charges.context import parse_rates, rate_of, rates_document
from riskproof.risk.margining.grid import ADVERSE, ALL, BASE, identifier

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Holding, NettingSet
    from riskproof.risk.margining.values import UnitValues

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Standalone:
    """`standalone`."""

    rates: tuple[Fraction, Fraction]
    locked: bool
    group: str = ALL

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Standalone:
        m = encoding.members(members, where, ("rates", "locked"), ("group",))
        if not isinstance(m["locked"], bool):
            raise ModelError("not true or false", where=f"{where}.locked", expected="true or false")
        return cls(
            parse_rates(m["rates"], f"{where}.rates"), m["locked"], identifier(m.get("group", ALL), f"{where}.group")
        )

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "kind": "standalone",
            "rates": rates_document(self.rates),
            "locked": self.locked,
        }
        if self.group != ALL:
            document["group"] = self.group
        return document

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        rate = rate_of(self.rates, margin)
        total = sum((max(_ZERO, rate * self._loss(h, values)) for h in book.moving), _ZERO)
        for holdings in book.options.values():
            total += values.of_group((id(self), margin), holdings, partial(self._options, holdings, values, rate))
        return Fraction(total, 10**values.market.money_exponent)

    def _options(self, holdings: tuple[Holding, ...], values: UnitValues, rate: Fraction) -> Fraction:
        """The part of an expiry's options, 10^-m."""
        total = _ZERO
        for h in holdings:
            locked = h.quantity * values.option(h.place, BASE) if self.locked and h.quantity > 0 else _ZERO
            total += max(_ZERO, rate * self._loss(h, values), locked)
        return total

    def _loss(self, h: Holding, values: UnitValues) -> Fraction:
        """l_i in 10^-m: that of one unit on the position's side, times its size, but where a dampener takes a fixed amount."""
        side = 1 if h.quantity > 0 else -1
        key = (self.group, h.place, side)
        if key not in values.losses:
            if any(values.model.scenarios[place].dampener for place in values.model.groups[self.group]):
                return self._dampened(h, values)
            values.losses[key] = self._of_unit(h, side, values)
        size: Fraction = abs(h.quantity)
        return size * values.losses[key]

    def _of_unit(self, h: Holding, side: int, values: UnitValues) -> Fraction:
        """Largest loss of one unit, long or short."""
        scenarios = values.model.scenarios
        places = values.model.groups[self.group]
        if h.listing.strike is None:
            found = ((scenarios[n], values.move(h.place, scenarios[n].price, scenarios[n].on)) for n in places)
            return max(-s.weight * side * move for s, move in found)
        factors = values.static_factors(h.place)
        unit = math.lcm(*(x.denominator for x in factors))
        gain, loss = (x.numerator * (unit // x.denominator) for x in factors)
        common = math.lcm(*(scenarios[n].weight.denominator for n in places))
        now, *shocked = values.in_scenarios(h.place)
        losses = []
        for n in places:
            value, weight = side * shocked[n], scenarios[n].weight
            pnl = value * (gain if value >= 0 else loss) - side * now * unit
            pnl = -abs(pnl) if scenarios[n].expiry_pnl == ADVERSE else pnl
            losses.append(-weight.numerator * (common // weight.denominator) * pnl)
        return Fraction(max(losses), unit * common)

    def _dampened(self, h: Holding, values: UnitValues) -> Fraction:
        """Largest loss of a position."""
        option, one = h.listing.strike is not None, 10**values.market.money_exponent
        long, short = values.static_factors(h.place) if option else (Fraction(1), Fraction(1))
        now, *shocked = (h.quantity * x for x in values.in_scenarios(h.place)) if option else (_ZERO,)
        losses: list[Fraction] = []
        for place in values.model.groups[self.group]:
            s = values.model.scenarios[place]
            if option:
                value = shocked[place]
                pnl = value * (long if value >= 0 else short) - now
                pnl = -abs(pnl) if s.expiry_pnl == ADVERSE else pnl
            else:
                pnl = h.quantity * values.move(h.place, s.price, s.on)
            losses.append(-s.counted(s.weight * pnl / one) * one)
        return max(losses)
