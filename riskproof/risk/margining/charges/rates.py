"""Charges that are a rate times an exposure.

notional      rate E                                           summed over the exposures of the kind
haircut       h C and concentration                            of each asset, as the collateral block says
confidence    rate (1 - c) E, where c < threshold              c the least confidence of the named feeds, by exposure;
                                                                   one that is not published is refused, or counts as `missing`
depeg         rate max(0, threshold - price) sum of exposures  price of the settlement currency
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining import exact
from riskproof.risk.margining.book import EXPOSURES
from riskproof.risk.margining.charges.context import parse_rates, rate_of, rates_document
from riskproof.risk.margining.grid import choice

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Exposure, NettingSet
    from riskproof.risk.margining.values import UnitValues

_FEEDS = {
    "option": ("index", "market", "perpetual", "forward", "rate", "volatility"),
    "other": ("index", "market", "perpetual", "own"),
}
_OF_THE_SET = frozenset({"market", "perpetual"})  # feeds that are not of the exposure alone
Rates = tuple[Fraction, Fraction]


@dataclass(frozen=True, slots=True)
class Notional:
    """`notional`."""

    exposure: str
    rates: Rates

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Notional:
        m = encoding.members(members, where, ("exposure", "rates"))
        return cls(choice(m["exposure"], f"{where}.exposure", *EXPOSURES), parse_rates(m["rates"], f"{where}.rates"))

    def to_document(self) -> dict[str, Json]:
        return {"kind": "notional", "exposure": self.exposure, "rates": rates_document(self.rates)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        total = sum((e.amount for e in book.exposures(self.exposure)), Fraction(0))
        return rate_of(self.rates, margin) * total


@dataclass(frozen=True, slots=True)
class Haircut:
    """`haircut`."""

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Haircut:
        encoding.members(members, where, ())
        return cls()

    def to_document(self) -> dict[str, Json]:
        return {"kind": "haircut"}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        total = Fraction(0)
        for name, counted in book.counted.items():
            asset = book.asset(name)
            fall = Fraction(0) if asset.stress is None else values.fall(name, asset.stress)
            total += asset.haircut(counted, book.pledged, fall, margin)
        return total


@dataclass(frozen=True, slots=True)
class Confidence:
    """`confidence`."""

    exposure: str
    feeds: tuple[str, ...]
    threshold: Fraction
    rates: Rates
    missing: Fraction | None = None

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Confidence:
        m = encoding.members(members, where, ("exposure", "feeds", "threshold", "rates"), ("missing",))
        exposure = choice(m["exposure"], f"{where}.exposure", *EXPOSURES)
        allowed = _FEEDS["option" if exposure.startswith("option") else "other"]
        feeds = [
            choice(x, f"{where}.feeds[{i}]", *allowed)
            for i, x in enumerate(encoding.array(m["feeds"], f"{where}.feeds"))
        ]
        if not feeds or len(set(feeds)) != len(feeds):
            raise ModelError("no feed, or one twice", where=f"{where}.feeds", expected="some of " + ", ".join(allowed))
        threshold = exact.parse(m["threshold"], f"{where}.threshold", low=0, high=1)
        missing = exact.parse(m["missing"], f"{where}.missing", low=0, high=1) if "missing" in m else None
        return cls(exposure, tuple(feeds), threshold, parse_rates(m["rates"], f"{where}.rates"), missing)

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "kind": "confidence",
            "exposure": self.exposure,
            "feeds": list(self.feeds),
            "threshold": exact.text(self.threshold),
            "rates": rates_document(self.rates),
        }
        if self.missing is not None:
            document["missing"] = exact.text(self.missing)
        return document

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        rate = rate_of(self.rates, margin)
        if not rate:
            return Fraction(0)
        total = Fraction(0)
        for e in book.exposures(self.exposure):
            c = self._confidence(book, e, values)
            if c < self.threshold:
                total += (1 - c) * e.amount
        return rate * total

    def _confidence(self, book: NettingSet, e: Exposure, values: UnitValues) -> Fraction:
        """The least of the set's feeds and of the exposure's own, each looked up once."""
        least = Fraction(1)
        for of_set, held in ((True, book), (False, e.holdings)):
            feeds = [x for x in self.feeds if (x in _OF_THE_SET) == of_set]
            if feeds:
                look = partial(book.confidence, e, feeds, self.missing)
                least = min(least, values.of_group((id(self), "confidence"), held, look))
        return least


@dataclass(frozen=True, slots=True)
class Depeg:
    """`depeg`."""

    exposures: tuple[str, ...]
    threshold: Fraction
    rates: Rates

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Depeg:
        m = encoding.members(members, where, ("exposures", "threshold", "rates"))
        kinds = [
            choice(x, f"{where}.exposures[{i}]", *EXPOSURES)
            for i, x in enumerate(encoding.array(m["exposures"], f"{where}.exposures"))
        ]
        if not kinds or len(set(kinds)) != len(kinds):
            raise ModelError(
                "no exposure, or one twice", where=f"{where}.exposures", expected="some of " + ", ".join(EXPOSURES)
            )
        threshold = exact.parse(m["threshold"], f"{where}.threshold", low=0, high=100)
        return cls(tuple(kinds), threshold, parse_rates(m["rates"], f"{where}.rates"))

    def to_document(self) -> dict[str, Json]:
        return {
            "kind": "depeg",
            "exposures": list(self.exposures),
            "threshold": exact.text(self.threshold),
            "rates": rates_document(self.rates),
        }

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        gap = max(Fraction(0), self.threshold - book.market.settlement_price)
        rate = gap * rate_of(self.rates, margin)
        return rate * sum((e.amount for kind in self.exposures for e in book.exposures(kind)), Fraction(0))
