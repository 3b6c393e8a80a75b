"""What it costs to close positions: `liquidity_tier` by the size of an exposure, `fee` by position.

liquidity_tier   sum over tiers of rate max(0, E - beyond)      for each exposure E of the kind; `beyond`, an amount, ascends. Tiers
                                                                are marginal: what is beyond several of them is charged by each
fee              |q| rate S unit                                for each position of the kinds; S the index price, 1 for an inverse
                                                                perpetual or future, whose unit is a notional. With `cap`, for an
                                                                option at most |q| cap V, V the value of one unit
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import exact
from riskproof.risk.margining.book import EXPOSURES
from riskproof.risk.margining.charges.context import MAX_RATE, parse_rates, rate_of, rates_document
from riskproof.risk.margining.grid import BASE, MAX_DAMPENER, choice
from riskproof.risk.margining.scope import parse_kinds

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Holding, NettingSet
    from riskproof.risk.margining.values import UnitValues

MAX_TIERS: Final = 64
_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of what is beyond an amount."""

    beyond: Fraction
    rates: tuple[Fraction, Fraction]

    def to_document(self) -> dict[str, Json]:
        return {"beyond": exact.text(self.beyond), "rates": rates_document(self.rates)}


@dataclass(frozen=True, slots=True)
class LiquidityTier:
    """`liquidity_tier`."""

    exposure: str
    tiers: tuple[Tier, ...]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> LiquidityTier:
        m = encoding.members(members, where, ("exposure", "tiers"))
        exposure = choice(m["exposure"], f"{where}.exposure", *EXPOSURES)
        tiers: list[Tier] = []
        for i, item in enumerate(encoding.array(m["tiers"], f"{where}.tiers", max_length=MAX_TIERS)):
            at = f"{where}.tiers[{i}]"
            t = encoding.members(item, at, ("beyond", "rates"))
            beyond = exact.parse(t["beyond"], f"{at}.beyond", low=0, high=MAX_DAMPENER)
            if tiers and beyond <= tiers[-1].beyond:
                raise ModelError(
                    "tiers that do not ascend", where=f"{at}.beyond", expected=f"above {exact.text(tiers[-1].beyond)}"
                )
            tiers.append(Tier(beyond, parse_rates(t["rates"], f"{at}.rates")))
        if not tiers:
            raise ModelError("no tier", where=f"{where}.tiers", expected=f"1 to {MAX_TIERS} tiers")
        return cls(exposure, tuple(tiers))

    def to_document(self) -> dict[str, Json]:
        return {
            "kind": "liquidity_tier",
            "exposure": self.exposure,
            "tiers": [tier.to_document() for tier in self.tiers],
        }

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        total = _ZERO
        for tier in self.tiers:
            rate = rate_of(tier.rates, margin)
            if rate:
                beyond = (e.amount - tier.beyond for e in book.exposures(self.exposure) if e.amount > tier.beyond)
                total += rate * sum(beyond, _ZERO)
        return total


@dataclass(frozen=True, slots=True)
class Fee:
    """`fee`."""

    kinds: tuple[Kind, ...]
    rates: tuple[Fraction, Fraction]
    cap: Fraction | None = None

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Fee:
        m = encoding.members(members, where, ("kinds", "rates"), ("cap",))
        kinds = parse_kinds(m["kinds"], f"{where}.kinds")
        if "cap" in m and Kind.OPTION not in kinds:
            raise ModelError("a cap of what has no value", where=f"{where}.cap", expected="no cap, or option in kinds")
        cap = exact.parse(m["cap"], f"{where}.cap", low=0, high=MAX_RATE) if "cap" in m else None
        return cls(kinds, parse_rates(m["rates"], f"{where}.rates"), cap)

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "kind": "fee",
            "kinds": [kind.value for kind in self.kinds],
            "rates": rates_document(self.rates),
        }
        if self.cap is not None:
            document["cap"] = exact.text(self.cap)
        return document

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        total = _ZERO
        if rate_of(self.rates, margin):
            for holdings in (book.delta_one, book.spot, *book.options.values()):
                if holdings:
                    total += values.of_group((id(self), margin), holdings, partial(self._of, holdings, values, margin))
        return total

    def _of(self, holdings: tuple[Holding, ...], values: UnitValues, margin: str) -> Fraction:
        return sum((abs(h.quantity) * self.of_unit(h, values, margin) for h in holdings), _ZERO)

    def of_unit(self, h: Holding, values: UnitValues, margin: str) -> Fraction:
        """What closing one unit of an instrument costs."""
        listing = h.listing
        if listing.kind not in self.kinds:
            return _ZERO
        notional = listing.payoff is Payoff.INVERSE and listing.kind is not Kind.OPTION
        price = Fraction(1) if notional else values.market.index(listing.underlying).price
        cost = rate_of(self.rates, margin) * price * listing.unit
        if self.cap is None or listing.kind is not Kind.OPTION:
            return cost
        value = Fraction(values.option(h.place, BASE), 10**values.market.money_exponent)
        return min(cost, self.cap * value)
