"""Charges across the term structure: `vega_term` and `rate`.

vega_term   rate min(sum of the gains, sum of the losses) of the expiries' options in the volatility shock `vol`, prices
            unmoved: what one expiry gains where another loses is certain only as long as their volatilities move together.
rate        rate |sum over expiries of V_e T_e|: what a parallel move of interest rates by `rate` takes from the
            options' value, to first order; T in years.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.risk.margining.charges.context import parse_rates, rate_of, rates_document
from riskproof.risk.margining.charges.delta import seconds_to
from riskproof.risk.margining.grid import BASE, State, identifier
from riskproof.units import SECONDS_PER_YEAR

if TYPE_CHECKING:
    from riskproof.risk.margining.book import NettingSet
    from riskproof.risk.margining.values import UnitValues

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class VegaTerm:
    """`vega_term`."""

    vol: str
    rates: tuple[Fraction, Fraction]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> VegaTerm:
        m = encoding.members(members, where, ("vol", "rates"))
        return cls(identifier(m["vol"], f"{where}.vol"), parse_rates(m["rates"], f"{where}.rates"))

    def to_document(self) -> dict[str, Json]:
        return {"kind": "vega_term", "vol": self.vol, "rates": rates_document(self.rates)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        gains, losses = _ZERO, _ZERO
        for holdings in book.options.values():
            change = values.options(holdings, State(vol=self.vol)) - values.options(holdings, BASE)
            gains, losses = gains + max(change, _ZERO), losses + max(-change, _ZERO)
        return rate_of(self.rates, margin) * min(gains, losses)


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate`."""

    rates: tuple[Fraction, Fraction]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Rate:
        m = encoding.members(members, where, ("rates",))
        return cls(parse_rates(m["rates"], f"{where}.rates"))

    def to_document(self) -> dict[str, Json]:
        return {"kind": "rate", "rates": rates_document(self.rates)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        durations = (
            values.options(holdings, BASE) * Fraction(seconds_to(book, holdings[0]), SECONDS_PER_YEAR)
            for holdings in book.options.values()
        )
        return rate_of(self.rates, margin) * abs(sum(durations, _ZERO))
