"""Charges on deltas: `delta` on an underlying's net, gross or hedged delta, `roll` on what has to be rolled forward,
`stablecoin_hedge` on deltas in one settlement currency that hedge those in another.

Deltas are in coins (`values`), D_i of position i times its quantity, and worth the index price S each.

delta   rate max(0, S x - beyond)      x by `measure`: net    |sum D_i|
                                                       gross  sum |D_i|
                                                       hedged min(sum of long, sum of short), the smaller side
        summed over the underlyings of the netting set; `beyond`, an amount, is 0 unless given. Several of them with rising
        `beyond` are tiers.
roll    sum over lines of |D| S max(rate, per_year T)      a line is a perpetual, a future (T in years to its expiry), or
        the options of an expiry together. Lines do not net: each has to be rolled.
stablecoin_hedge    rate S min(sum over c of max(0, D_c), sum over c of max(0, -D_c))      D_c the delta of an underlying's
        positions that are settled in currency c, an inverse contract's the market's settlement currency; summed over underlyings.
        What is hedged is so as long as one currency is worth as much as the other.

Collateral has no part in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.risk.margining import exact
from riskproof.risk.margining.charges.context import MAX_RATE, parse_rates, rate_of, rates_document
from riskproof.risk.margining.grid import MAX_DAMPENER, choice
from riskproof.units import SECONDS_PER_YEAR

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Holding, NettingSet
    from riskproof.risk.margining.values import UnitValues

MEASURES = ("net", "gross", "hedged")
_ZERO = Fraction(0)


def _delta(h: Holding, values: UnitValues) -> Fraction:
    return h.quantity * values.delta(h.place)


def _sides_of(holdings: tuple[Holding, ...], values: UnitValues) -> dict[str, tuple[Fraction, Fraction]]:
    """{underlying: (long, short) deltas of a group}, both positive."""
    return values.of_group("sides", holdings, partial(_sides, holdings, values))


def _sides(holdings: tuple[Holding, ...], values: UnitValues) -> dict[str, tuple[Fraction, Fraction]]:
    sides: dict[str, tuple[Fraction, Fraction]] = {}
    for h in holdings:
        delta = values.of_group("delta", h, partial(_delta, h, values))
        long, short = sides.get(h.listing.underlying, (_ZERO, _ZERO))
        sides[h.listing.underlying] = (long + max(delta, _ZERO), short + max(-delta, _ZERO))
    return sides


def net_of(book: NettingSet, values: UnitValues) -> dict[str, Fraction]:
    """{underlying: delta in coins} of perpetuals, futures and options."""
    net: dict[str, Fraction] = {}
    for holdings in (book.delta_one, *book.options.values()):
        for u, (long, short) in _sides_of(holdings, values).items():
            net[u] = net.get(u, _ZERO) + long - short
    return net


def lines_of(book: NettingSet, values: UnitValues) -> dict[str, dict[int, Fraction]]:
    """{underlying: {seconds to expiry: delta in coins}} of perpetuals, futures and options."""
    lines: dict[str, dict[int, Fraction]] = {}
    deltas = [
        (h, h.listing.underlying, values.of_group("delta", h, partial(_delta, h, values))) for h in book.delta_one
    ]
    for held in book.options.values():
        deltas += [(held[0], u, long - short) for u, (long, short) in _sides_of(held, values).items()]
    for h, u, delta in deltas:
        line, seconds = lines.setdefault(u, {}), seconds_to(book, h)
        line[seconds] = line.get(seconds, _ZERO) + delta
    return lines


def seconds_to(book: NettingSet, holding: Holding) -> int:
    """Seconds to a holding's expiry; none of a perpetual, and none after it."""
    return 0 if holding.listing.expiry is None else max(book.market.forward(holding.listing).seconds, 0)


@dataclass(frozen=True, slots=True)
class Delta:
    """`delta`."""

    measure: str
    rates: tuple[Fraction, Fraction]
    beyond: Fraction = _ZERO

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Delta:
        m = encoding.members(members, where, ("measure", "rates"), ("beyond",))
        return cls(
            choice(m["measure"], f"{where}.measure", *MEASURES),
            parse_rates(m["rates"], f"{where}.rates"),
            exact.parse(m.get("beyond", "0"), f"{where}.beyond", low=0, high=MAX_DAMPENER),
        )

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"kind": "delta", "measure": self.measure, "rates": rates_document(self.rates)}
        if self.beyond:
            document["beyond"] = exact.text(self.beyond)
        return document

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        sides: dict[str, tuple[Fraction, Fraction]] = {}
        for holdings in (book.delta_one, *book.options.values()):
            for u, (more, less) in _sides_of(holdings, values).items():
                long, short = sides.get(u, (_ZERO, _ZERO))
                sides[u] = (long + more, short + less)
        total = _ZERO
        for underlying, (long, short) in sides.items():
            x = {"net": abs(long - short), "gross": long + short, "hedged": min(long, short)}[self.measure]
            total += max(_ZERO, x * book.market.index(underlying).price - self.beyond)
        return rate_of(self.rates, margin) * total


@dataclass(frozen=True, slots=True)
class StablecoinHedge:
    """`stablecoin_hedge`."""

    rates: tuple[Fraction, Fraction]

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> StablecoinHedge:
        m = encoding.members(members, where, ("rates",))
        return cls(parse_rates(m["rates"], f"{where}.rates"))

    def to_document(self) -> dict[str, Json]:
        return {"kind": "stablecoin_hedge", "rates": rates_document(self.rates)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        rate = rate_of(self.rates, margin)
        return (
            rate * values.of_group("hedged between currencies", book, partial(self._hedged, book, values))
            if rate
            else _ZERO
        )

    @staticmethod
    def _hedged(book: NettingSet, values: UnitValues) -> Fraction:
        """What is hedged in another currency, worth the index price, over all underlyings."""
        deltas: dict[str, dict[str | None, Fraction]] = {}
        for holdings in (book.delta_one, *book.options.values()):
            for (underlying, currency), delta in values.of_group(
                "currencies", holdings, partial(_currencies, holdings, values)
            ).items():
                own = deltas.setdefault(underlying, {})
                own[currency] = own.get(currency, _ZERO) + delta
        total = _ZERO
        for underlying, own in deltas.items():
            long = sum((max(x, _ZERO) for x in own.values()), _ZERO)
            short = sum((max(-x, _ZERO) for x in own.values()), _ZERO)
            hedged = min(long, short)
            total += hedged * book.market.index(underlying).price if hedged else _ZERO
        return total


def _currencies(holdings: tuple[Holding, ...], values: UnitValues) -> dict[tuple[str, str | None], Fraction]:
    """{(underlying, settlement currency): delta in coins} of a group."""
    deltas: dict[tuple[str, str | None], Fraction] = {}
    for h in holdings:
        key = h.listing.underlying, h.listing.settlement
        deltas[key] = deltas.get(key, _ZERO) + values.of_group("delta", h, partial(_delta, h, values))
    return deltas


@dataclass(frozen=True, slots=True)
class Roll:
    """`roll`."""

    rates: tuple[Fraction, Fraction]
    per_year: Fraction

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Roll:
        m = encoding.members(members, where, ("rates", "per_year"))
        return cls(
            parse_rates(m["rates"], f"{where}.rates"),
            exact.parse(m["per_year"], f"{where}.per_year", low=0, high=MAX_RATE),
        )

    def to_document(self) -> dict[str, Json]:
        return {"kind": "roll", "rates": rates_document(self.rates), "per_year": exact.text(self.per_year)}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        rate, total = rate_of(self.rates, margin), _ZERO
        if not rate:
            return total
        for holdings in (*((h,) for h in book.delta_one), *book.options.values()):
            delta = sum((x - y for x, y in _sides_of(holdings, values).values()), _ZERO)
            price = book.market.index(holdings[0].listing.underlying).price
            years = Fraction(seconds_to(book, holdings[0]), SECONDS_PER_YEAR)
            total += abs(delta) * price * max(rate, self.per_year * years)
        return total
