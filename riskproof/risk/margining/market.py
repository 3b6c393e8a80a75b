"""What a venue's margin model reads of a market: exact numbers, and the feeds that a plain snapshot does not have.

A `MarginMarket` is built from a market file (`from_market`, with its optional feeds) or directly, from numbers with any number of
decimals. Everything is a `Fraction`; prices, forwards and strikes are in units of the quote currency, volatilities, rates and
confidences are shares of one.

The **settlement currency** is what P&L, margin and cash are counted in (a stablecoin, say). Prices are quoted in the quote
currency; `settlement_price` says what one unit of the settlement currency costs there, 1 where they are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from riskproof.errors import SnapshotError, UnknownInstrumentError
from riskproof.market.registry import Kind, OptionType, Payoff

if TYPE_CHECKING:
    from riskproof.risk.tail.history import History

ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Index:
    """An underlying: its index price, and how sure the oracle is (0 to 1; None where the feed says nothing)."""

    price: Fraction
    confidence: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """The market of one underlying at one expiry.

    Attributes:
        seconds: to expiry; zero or less is expired.
        price: the forward, with its settled part.
        settled: the part of it that has been fixed already, by an average price near expiry, and that no shock moves.
        rate: continuous interest rate.
        confidence, rate_confidence: of the oracles, or None.
    """

    seconds: int
    price: Fraction
    settled: Fraction = Fraction(0)
    rate: Fraction = Fraction(0)
    confidence: Fraction | None = None
    rate_confidence: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument with its terms and its quote.

    Attributes:
        name, kind, underlying, payoff, unit: as `riskproof.market.registry.Instrument`, the unit in coins (or in the quote
            currency for an inverse perpetual or future).
        expiry: key of its `Forward`, options and futures.
        mark: price of everything but options.
        volatility: of an option.
        confidence: of the volatility for an option, of the mark for everything else; None where the feed says nothing.
        settlement: the currency that a linear derivative is settled in, if it is not the market's; it counts as that one.
    """

    name: str
    kind: Kind
    underlying: str
    payoff: Payoff = Payoff.LINEAR
    unit: Fraction = ONE
    expiry: int | None = None
    strike: Fraction | None = None
    option_type: OptionType | None = None
    mark: Fraction | None = None
    volatility: Fraction | None = None
    confidence: Fraction | None = None
    settlement: str | None = None


@dataclass(frozen=True)
class MarginMarket:
    """A market for the margin engine.

    Attributes:
        settlement: name of the settlement currency; a spot listing of it is cash, worth 1.
        settlement_price: price of the settlement currency in the quote currency.
        money_exponent: m: the value of one unit of an instrument is rounded to 10^-m of the settlement currency.
        indices: by underlying.
        forwards: by (underlying, expiry).
        listings: an account's positions refer to them by place.
        histories: what the joint moves of a model may come from; the model names them by digest.
    """

    settlement: str
    indices: dict[str, Index]
    forwards: dict[tuple[str, int], Forward]
    listings: tuple[Listing, ...]
    settlement_price: Fraction = ONE
    money_exponent: int = 18
    histories: tuple[History, ...] = ()

    def index(self, underlying: str) -> Index:
        """Index of an underlying; SnapshotError if the market has none."""
        found = self.indices.get(underlying)
        if found is None:
            raise SnapshotError(
                "no index price", where=f"index of {underlying}", expected="an index of every underlying held"
            )
        return found

    def forward(self, listing: Listing) -> Forward:
        """The forward of an option's or future's expiry; SnapshotError if the market has none."""
        found = None if listing.expiry is None else self.forwards.get((listing.underlying, listing.expiry))
        if found is None:
            raise SnapshotError(
                "no forward for the expiry", where=listing.name, expected="a forward of every expiry held"
            )
        return found

    def mark(self, listing: Listing) -> Fraction:
        """The mark of anything but an option; SnapshotError if the market has none."""
        if listing.mark is None:
            raise SnapshotError("no mark", where=listing.name, expected="a mark of everything held")
        return listing.mark

    def is_cash(self, listing: Listing) -> bool:
        """True for spot of the settlement currency."""
        return listing.kind is Kind.SPOT and listing.underlying == self.settlement

    @cached_property
    def _places(self) -> dict[str, int]:
        return {listing.name: i for i, listing in enumerate(self.listings)}

    def place(self, name: str, where: str = "") -> int:
        """Place of a listing by name; UnknownInstrumentError if there is none."""
        if name not in self._places:
            raise UnknownInstrumentError(f"no instrument {name[:64]!r}", where=where, expected="a name of the market")
        return self._places[name]


def terms(listing: Listing) -> tuple[Fraction, bool]:
    """Strike of an option, and whether it is a call."""
    if listing.strike is None or listing.option_type is None:
        raise SnapshotError("no strike or option type", where=listing.name, expected="both, of an option")
    return listing.strike, listing.option_type is OptionType.CALL
