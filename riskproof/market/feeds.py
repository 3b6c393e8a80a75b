"""Feeds that some venues' margin models read besides prices: the optional member `feeds` of a snapshot document.

    "feeds": {"settlement_price": "999800000",
              "indices": [{"underlying": "BTC", "confidence": "950000000000"}, ...],                     sorted by underlying
              "curves": [{"underlying": "BTC", "expiry": 1768464000, "settled": "0", "confidence": "990000000000",
                          "rate_confidence": "1000000000000"}, ...],                                     sorted
              "quotes": [{"index": 17, "confidence": "950000000000"}, ...]}                              sorted by registry index

* `settlement_price`: 1e-9; what one unit of the numeraire costs in the currency that prices are quoted in, where a venue quotes in
  dollars and settles in a stablecoin. Without it the two are the same.
* `confidence`: 1e-12, 0 to 1; how sure the oracle is of an index price, a forward, a volatility (quotes of options), or a mark.
* `settled`: 1e-9; the part of a forward that its settlement average has fixed already.

Members that a venue does not publish are left out; a snapshot without feeds is the same bytes as ever.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import EncodingError, SnapshotError
from riskproof.market.registry import MAX_PRICE

ONE: Final = units.RATIO_ONE


@dataclass(frozen=True, slots=True)
class CurveFeed:
    """Of one underlying's expiry; None where nothing is published. settled: 1e-9; confidences: 1e-12."""

    underlying: str
    expiry: int
    settled: int | None = None
    confidence: int | None = None
    rate_confidence: int | None = None


@dataclass(frozen=True, slots=True)
class Feeds:
    """The member; see the module. Each list is sorted and has each key once."""

    settlement_price: int | None = None
    indices: tuple[tuple[str, int], ...] = ()
    curves: tuple[CurveFeed, ...] = ()
    quotes: tuple[tuple[int, int], ...] = ()

    def check(self, underlyings: set[str], curves: dict[tuple[str, int], int], quoted: set[int]) -> None:
        """Raise SnapshotError unless everything is in range, in order, and about what the snapshot has.

        Args:
            underlyings: with an index price. curves: forward by key. quoted: registry indices with a quote.
        """
        if self.settlement_price is not None and not 0 < self.settlement_price <= MAX_PRICE:
            raise SnapshotError("out of range", where="feeds.settlement_price", expected="above 0, at most 1e7")
        _ordered([u for u, _ in self.indices], "feeds.indices")
        for underlying, confidence in self.indices:
            if underlying not in underlyings:
                raise SnapshotError(
                    f"no index price of {underlying}", where="feeds.indices", expected="an index of the snapshot"
                )
            _share(confidence, f"feeds: index of {underlying}")
        _ordered([(c.underlying, c.expiry) for c in self.curves], "feeds.curves")
        for c in self.curves:
            where = f"feeds: curve of {c.underlying} at {c.expiry}"
            if (c.underlying, c.expiry) not in curves:
                raise SnapshotError("no such curve", where=where, expected="a curve of the snapshot")
            if c.settled is not None and not 0 <= c.settled <= curves[c.underlying, c.expiry]:
                raise SnapshotError("settled part out of range", where=where, expected="0 up to the forward")
            for share in (c.confidence, c.rate_confidence):
                if share is not None:
                    _share(share, where)
        _ordered([i for i, _ in self.quotes], "feeds.quotes")
        for index, confidence in self.quotes:
            if index not in quoted:
                raise SnapshotError(
                    f"instrument {index} is not quoted", where="feeds.quotes", expected="a quoted instrument"
                )
            _share(confidence, f"feeds: quote of instrument {index}")

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {}
        if self.settlement_price is not None:
            document["settlement_price"] = str(self.settlement_price)
        if self.indices:
            document["indices"] = [{"underlying": u, "confidence": str(c)} for u, c in self.indices]
        if self.curves:
            document["curves"] = [_curve_document(c) for c in self.curves]
        if self.quotes:
            document["quotes"] = [{"index": i, "confidence": str(c)} for i, c in self.quotes]
        return document

    @classmethod
    def from_document(cls, node: Json, where: str) -> Feeds:
        """Read the member (EncodingError, UnitError); `check` does the rest."""
        m = encoding.members(node, where, (), ("settlement_price", "indices", "curves", "quotes"))
        if not all(value for value in m.values()) or not m:
            raise EncodingError("an empty feed", where=where, expected="only members that say something")
        indices = []
        for i, x in enumerate(encoding.array(m.get("indices", []), f"{where}.indices")):
            at = f"{where}.indices[{i}]"
            o = encoding.members(x, at, ("underlying", "confidence"))
            indices.append(
                (encoding.string(o["underlying"], at, max_length=16), _int(o["confidence"], f"{at}.confidence"))
            )
        curves = []
        for i, x in enumerate(encoding.array(m.get("curves", []), f"{where}.curves")):
            at = f"{where}.curves[{i}]"
            o = encoding.members(x, at, ("underlying", "expiry"), ("settled", "confidence", "rate_confidence"))
            numbers = {n: _int(o[n], f"{at}.{n}") for n in ("settled", "confidence", "rate_confidence") if n in o}
            underlying = encoding.string(o["underlying"], at, max_length=16)
            curves.append(CurveFeed(underlying, encoding.integer(o["expiry"], f"{at}.expiry"), **numbers))
        quotes = []
        for i, x in enumerate(encoding.array(m.get("quotes", []), f"{where}.quotes")):
            at = f"{where}.quotes[{i}]"
            o = encoding.members(x, at, ("index", "confidence"))
            quotes.append(
                (encoding.integer(o["index"], f"{at}.index", low=0), _int(o["confidence"], f"{at}.confidence"))
            )
        price = _int(m["settlement_price"], f"{where}.settlement_price") if "settlement_price" in m else None
        return cls(price, tuple(indices), tuple(curves), tuple(quotes))


def _curve_document(c: CurveFeed) -> dict[str, Json]:
    document: dict[str, Json] = {"underlying": c.underlying, "expiry": c.expiry}
    for name in ("settled", "confidence", "rate_confidence"):
        if getattr(c, name) is not None:
            document[name] = str(getattr(c, name))
    return document


def _int(node: Json, where: str) -> int:
    return units.parse_integer(encoding.string(node, where), where)


def _share(confidence: int, where: str) -> None:
    if not 0 <= confidence <= ONE:
        raise SnapshotError("confidence is out of range", where=where, expected="0 to 1")


def _ordered(keys: list[tuple[str, int]] | list[str] | list[int], where: str) -> None:
    if any(a >= b for a, b in itertools.pairwise(keys)):  # type: ignore[operator]
        raise SnapshotError("not sorted, or one twice", where=where)
