"""The `standard_option` charge: margin of options without netting across expiries, as Derive's standard manager has it.

For each expiry, with S the index price, F the forward, V the value of a position (negative if short), q its size in coins:

    isolated  = sum over short positions of
        call  maintenance  V + q S call_maintenance
              initial      V + q S max(spot_minimum, spot_maximum - max(0, K - S) / S)
        put   maintenance  V + min(q S put_maintenance, V put_value_maintenance)
              initial      min(V + q S max(spot_minimum, spot_maximum - max(0, S - K) / S), maintenance put_initial_scale)
    bounded   = the least payoff of all positions at a settlement price of zero or of any of their strikes, at most zero,
                + min(0, net calls) F unpaired                                        unpaired by margin
    amount    = - max(isolated, bounded)
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
from riskproof.risk.margining import exact
from riskproof.risk.margining.charges.context import INITIAL, parse_rates, rate_of, rates_document
from riskproof.risk.margining.grid import BASE
from riskproof.risk.margining.market import terms

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Holding, NettingSet
    from riskproof.risk.margining.values import UnitValues

_RATES = (
    "spot_minimum",
    "spot_maximum",
    "call_maintenance",
    "put_maintenance",
    "put_value_maintenance",
    "put_initial_scale",
)
_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class StandardOption:
    """`standard_option`."""

    spot_minimum: Fraction
    spot_maximum: Fraction
    call_maintenance: Fraction
    put_maintenance: Fraction
    put_value_maintenance: Fraction
    put_initial_scale: Fraction
    unpaired: tuple[Fraction, Fraction]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> StandardOption:
        m = encoding.members(members, where, (*_RATES, "unpaired"))
        rates = {name: exact.parse(m[name], f"{where}.{name}", low=0, high=10) for name in _RATES}
        if rates["spot_maximum"] < rates["spot_minimum"]:
            raise ModelError("below spot_minimum", where=f"{where}.spot_maximum", expected="at least spot_minimum")
        return cls(**rates, unpaired=parse_rates(m["unpaired"], f"{where}.unpaired"))

    def to_document(self) -> dict[str, Json]:
        rates = {name: exact.text(getattr(self, name)) for name in _RATES}
        return {"kind": "standard_option", **rates, "unpaired": rates_document(self.unpaired)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        return -sum((max(pair) for pair in self.alternatives(book, values, margin)), _ZERO)

    def alternatives(self, book: NettingSet, values: UnitValues, margin: str) -> list[tuple[Fraction, Fraction]]:
        """(isolated, bounded) of each expiry."""
        return [self._pair(book, holdings, values, margin) for holdings in book.options.values()]

    def _pair(
        self, book: NettingSet, holdings: tuple[Holding, ...], values: UnitValues, margin: str
    ) -> tuple[Fraction, Fraction]:
        def compute() -> tuple[Fraction, Fraction]:
            spot = book.market.index(holdings[0].listing.underlying).price
            short = [h for h in holdings if h.quantity < 0]
            alone = (
                values.of_group((id(self), margin), h, partial(self.isolated, h, spot, values, margin)) for h in short
            )
            return sum(alone, _ZERO), self._bounded(book, holdings, margin)

        return values.of_group((id(self), margin), holdings, compute)

    def isolated(self, h: Holding, spot: Fraction, values: UnitValues, margin: str) -> Fraction:
        """Equity of a short position alone, at most zero; in proportion to its size."""
        strike, call = terms(h.listing)
        value, size = values.options((h,), BASE), h.coins
        share = max(self.spot_minimum, self.spot_maximum - max(_ZERO, strike - spot if call else spot - strike) / spot)
        if call:
            return value + size * spot * (share if margin == INITIAL else self.call_maintenance)
        maintenance = value + min(size * spot * self.put_maintenance, value * self.put_value_maintenance)
        if margin != INITIAL:
            return maintenance
        return min(value + size * spot * share, maintenance * self.put_initial_scale)

    def _bounded(self, book: NettingSet, holdings: tuple[Holding, ...], margin: str) -> Fraction:
        options = [(*terms(h.listing), h.coins) for h in holdings]
        strike_unit = math.lcm(*(k.denominator for k, _, _ in options))
        size_unit = math.lcm(*(size.denominator for _, _, size in options))
        legs = [(int(k * strike_unit), call, int(size * size_unit)) for k, call, size in options]
        least = min(
            sum(size * max(price - k if call else k - price, 0) for k, call, size in legs)
            for price in {0, *(k for k, _, _ in legs)}
        )
        worst = Fraction(least, strike_unit * size_unit)
        net_calls = sum((size for _, call, size in options if call), _ZERO)
        forward = book.market.forward(holdings[0].listing).price
        return min(worst, _ZERO) + min(net_calls, _ZERO) * forward * rate_of(self.unpaired, margin)
