"""The market snapshot: prices, forwards, volatilities, index prices and rates at one instant, for one registry version.

Document (canonical JSON, digest under TAG_SNAPSHOT):

    {"schema": "riskproof/snapshot/v1", "registry_digest": "<hex>", "time": 1768382553, "source": "deribit",
     "indices": [{"underlying": "BTC", "price": "95090620000000"}, ...],                              sorted by underlying
     "curves": [{"underlying": "BTC", "expiry": 1768464000, "forward": "95120860000000", "rate": "0"}, ...]     sorted
     "quotes": [null, {"mark": "116921310", "volatility": "777900000000"}, ...]}                      one per instrument

* `price`, `forward`: int64, 1e-9 of the numeraire. `rate`: int64, 1e-12, continuous, discounts option values to the snapshot's
  time.
* `mark`: int64, 1e-9 of the instrument's settlement currency (the coin for an inverse option, the numeraire for everything else:
  an inverse perpetual or future is quoted in the numeraire). It is the price of a delta-one instrument, and required there.
* the numeraire costs exactly 1: its index price, where there is one, and the mark of a spot asset of it (cash).
* `volatility`: int64, 1e-12, of an option, required there.
* a quote of null says that the snapshot does not price the instrument: it has expired, or the venue did not quote it. Nobody can
  hold it and have risk computed at this snapshot, unless it has expired, when it is worth nothing.
* an optional member `feeds` has what only some margin models read (riskproof.market.feeds).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import EncodingError, SnapshotError
from riskproof.market.feeds import Feeds
from riskproof.market.registry import MAX_PRICE, MIN_PRICE, Instrument, Kind, Payoff, Registry

SCHEMA: Final = "riskproof/snapshot/v1"
MAX_VOLATILITY: Final = 5 * units.RATIO_ONE
MAX_RATE: Final = units.RATIO_ONE
MAX_MATURITY: Final = 10 * units.SECONDS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Curve:
    """Forward and discount rate of one underlying at one expiry. forward: 1e-9; rate: 1e-12, continuous."""

    underlying: str
    expiry: int
    forward: int
    rate: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """What the venue quotes for one instrument. mark: 1e-9 of the settlement currency; volatility: 1e-12, options only."""

    mark: int | None = None
    volatility: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """A market at one instant. Construct with `Snapshot.build`, which checks it against its registry.

    Attributes:
        registry_digest: the registry version it was taken for.
        time: seconds since the epoch.
        source: where the numbers come from, in a word.
        indices: (underlying, price 1e-9), sorted by underlying.
        curves: sorted by (underlying, expiry).
        quotes: one per instrument of the registry, None where it is not priced.
        feeds: what only some margin models read, or None.
    """

    registry_digest: bytes
    time: int
    source: str
    indices: tuple[tuple[str, int], ...]
    curves: tuple[Curve, ...]
    quotes: tuple[Quote | None, ...]
    feeds: Feeds | None = None

    @classmethod
    def build(
        cls,
        registry: Registry,
        time: int,
        source: str,
        indices: dict[str, int],
        curves: list[Curve],
        quotes: dict[str, Quote],
    ) -> Snapshot:
        """Make a snapshot of `registry` from index prices by underlying, curves, and quotes by instrument name.

        Raises:
            SnapshotError: a price outside the kernel's domain, a missing curve, a quote of an expired instrument, ...
            UnknownInstrumentError: a quote of an instrument that is not in the registry.
        """
        aligned: list[Quote | None] = [None] * len(registry)
        for name, quote in quotes.items():
            aligned[registry.index_of(name, "quotes")] = quote
        snapshot = cls(
            registry.digest,
            time,
            source,
            tuple(sorted(indices.items())),
            tuple(sorted(curves, key=lambda c: (c.underlying, c.expiry))),
            tuple(aligned),
        )
        snapshot.check(registry)
        return snapshot

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this snapshot."""
        return encoding.digest(encoding.TAG_SNAPSHOT, encoding.canonical_json(self.to_document()))

    @cached_property
    def index_price(self) -> dict[str, int]:
        """Index price by underlying, 1e-9 of the numeraire."""
        return dict(self.indices)

    @cached_property
    def curve(self) -> dict[tuple[str, int], Curve]:
        """Curve by (underlying, expiry)."""
        return {(c.underlying, c.expiry): c for c in self.curves}

    def is_expired(self, instrument: Instrument) -> bool:
        """True if the instrument's expiry is at or before the snapshot's time."""
        return instrument.expiry is not None and instrument.expiry <= self.time

    def check(self, registry: Registry) -> None:
        """Raise SnapshotError unless this snapshot is complete, ordered, within the kernel's domain, and for `registry`."""
        if self.registry_digest != registry.digest:
            raise SnapshotError("snapshot was taken for another registry version", where="registry_digest")
        if len(self.quotes) != len(registry):
            raise SnapshotError(
                f"{len(self.quotes)} quotes", where="quotes", expected=f"{len(registry)}, one per instrument"
            )
        if not 0 < self.time <= units.TIME_MAX:
            raise SnapshotError("time is out of range", where="time", expected="seconds since the epoch")
        names = [name for name, _ in self.indices]
        if names != sorted(set(names)):
            raise SnapshotError("not sorted by underlying, or one twice", where="indices")
        for name, price in self.indices:
            _check_price(price, f"index of {name}")
            if name == registry.numeraire:
                _check_one(price, f"index of {name}")
        keys = [(c.underlying, c.expiry) for c in self.curves]
        if keys != sorted(set(keys)):
            raise SnapshotError("not sorted by underlying and expiry, or one twice", where="curves")
        for c in self.curves:
            self._check_curve(c)
        for instrument, quote in zip(registry.instruments, self.quotes, strict=True):
            if quote is not None:
                self._check_quote(instrument, quote)
                if instrument.kind is Kind.SPOT and instrument.underlying == registry.numeraire:
                    _check_one(quote.mark, instrument.name)
        if self.feeds is not None:
            forwards = {(c.underlying, c.expiry): c.forward for c in self.curves}
            self.feeds.check(set(names), forwards, {i for i, quote in enumerate(self.quotes) if quote is not None})

    def _check_curve(self, c: Curve) -> None:
        where = f"curve of {c.underlying} at {c.expiry}"
        _check_price(c.forward, where)
        if abs(c.rate) > MAX_RATE:
            raise SnapshotError("rate is out of range", where=where, expected="-100 % to 100 %")
        if c.underlying not in self.index_price:
            raise SnapshotError("no index price of the underlying", where=where, expected=f"an index of {c.underlying}")
        if not self.time < c.expiry <= min(self.time + MAX_MATURITY, units.TIME_MAX):
            raise SnapshotError("expiry is not within ten years after the snapshot", where=where)

    def _check_quote(self, instrument: Instrument, quote: Quote) -> None:
        where = instrument.name
        if self.is_expired(instrument):
            raise SnapshotError(
                "quote of an expired instrument", where=where, expected="expiry after the snapshot's time"
            )
        if instrument.underlying not in self.index_price:
            raise SnapshotError(f"no index price of {instrument.underlying}", where=where)
        if instrument.kind is not Kind.OPTION:
            if quote.mark is None or quote.volatility is not None:
                raise SnapshotError(f"a {instrument.kind} has a mark and no volatility", where=where)
            _check_price(quote.mark, where)
            return
        if quote.volatility is None or not 0 <= quote.volatility <= MAX_VOLATILITY:
            raise SnapshotError("volatility is missing or out of range", where=where, expected="0 to 500 %")
        if quote.mark is not None and not 0 <= quote.mark <= MAX_PRICE:
            raise SnapshotError("mark is out of range", where=where, expected="0 to 1e7")
        if (instrument.underlying, instrument.expiry) not in self.curve:
            raise SnapshotError("no forward for the option's expiry", where=where, expected="a curve")

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "registry_digest": self.registry_digest.hex(),
            "time": self.time,
            "source": self.source,
            "indices": [{"underlying": u, "price": str(p)} for u, p in self.indices],
            "curves": [
                {"underlying": c.underlying, "expiry": c.expiry, "forward": str(c.forward), "rate": str(c.rate)}
                for c in self.curves
            ],
            "quotes": [_quote_document(q) for q in self.quotes],
        }
        if self.feeds is not None:
            document["feeds"] = self.feeds.to_document()
        return document

    @classmethod
    def from_document(cls, node: Json, registry: Registry, where: str = "snapshot") -> Snapshot:
        """Read a snapshot document and check it against its registry (EncodingError, UnitError, SnapshotError)."""
        m = encoding.members(
            node, where, ("schema", "registry_digest", "time", "source", "indices", "curves", "quotes"), ("feeds",)
        )
        if m["schema"] != SCHEMA:
            raise EncodingError("not a snapshot of this version", where=f"{where}.schema", expected=SCHEMA)
        indices = []
        for i, x in enumerate(encoding.array(m["indices"], f"{where}.indices")):
            at = f"{where}.indices[{i}]"
            o = encoding.members(x, at, ("underlying", "price"))
            indices.append((encoding.string(o["underlying"], at, max_length=16), _int(o["price"], f"{at}.price")))
        curves = []
        for i, x in enumerate(encoding.array(m["curves"], f"{where}.curves")):
            at = f"{where}.curves[{i}]"
            o = encoding.members(x, at, ("underlying", "expiry", "forward", "rate"))
            curves.append(
                Curve(
                    encoding.string(o["underlying"], at, max_length=16),
                    encoding.integer(o["expiry"], f"{at}.expiry"),
                    _int(o["forward"], f"{at}.forward"),
                    _int(o["rate"], f"{at}.rate"),
                )
            )
        quotes = encoding.array(m["quotes"], f"{where}.quotes")
        snapshot = cls(
            encoding.hex_bytes(m["registry_digest"], f"{where}.registry_digest", 32),
            encoding.integer(m["time"], f"{where}.time"),
            encoding.string(m["source"], f"{where}.source", max_length=32),
            tuple(indices),
            tuple(curves),
            tuple(_quote(x, f"{where}.quotes[{i}]") for i, x in enumerate(quotes)),
            Feeds.from_document(m["feeds"], f"{where}.feeds") if "feeds" in m else None,
        )
        snapshot.check(registry)
        return snapshot


def settlement_currency(instrument: Instrument, registry: Registry) -> str:
    """Currency of an instrument's mark: the coin for an inverse option, else the numeraire."""
    inverse_option = instrument.kind is Kind.OPTION and instrument.payoff is Payoff.INVERSE
    return instrument.underlying if inverse_option else registry.numeraire


def _check_price(price: int, where: str) -> None:
    if not MIN_PRICE <= price <= MAX_PRICE:
        raise SnapshotError(
            f"price {units.format_decimal(price, 9)} is out of the kernel's domain", where=where, expected="1e-4 to 1e7"
        )


def _check_one(price: int | None, where: str) -> None:
    if price != units.PRICE_ONE:
        raise SnapshotError("the numeraire does not cost 1", where=where, expected="1")


def _int(node: Json, where: str) -> int:
    return units.parse_integer(encoding.string(node, where), where)


def _quote_document(quote: Quote | None) -> Json:
    if quote is None:
        return None
    document: dict[str, Json] = {}
    if quote.mark is not None:
        document["mark"] = str(quote.mark)
    if quote.volatility is not None:
        document["volatility"] = str(quote.volatility)
    return document


def _quote(node: Json, where: str) -> Quote | None:
    if node is None:
        return None
    m = encoding.members(node, where, (), ("mark", "volatility"))
    return Quote(
        _int(m["mark"], f"{where}.mark") if "mark" in m else None,
        _int(m["volatility"], f"{where}.volatility") if "volatility" in m else None,
    )
