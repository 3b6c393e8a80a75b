"""An account arranged for the engine: netting sets, and the exposures in them that charges are levied on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

from riskproof.errors import PortfolioError, SnapshotError
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.collateral import Asset, Collateral
from riskproof.risk.margining.market import Listing, MarginMarket, terms
from riskproof.risk.margining.scope import Scope
from riskproof.units import format_time

EXPOSURES: Final = (
    "perpetual",
    "perpetual_mark",
    "future",
    "future_mark",
    "option",
    "option_short",
    "option_naked_short",
    "spot",
    "collateral",
)
_BY_EXPIRY: Final = ("option", "option_short", "option_naked_short")
ACCOUNT, UNDERLYING, EXPIRY = "account", "underlying", "expiry"  # what has a netting set of its own
FEEDS: Final = ("index", "market", "perpetual", "forward", "rate", "volatility", "own")


@dataclass(frozen=True, slots=True, repr=False)
class Holding:
    """A position with its listing."""

    place: int
    listing: Listing
    quantity: Fraction

    @property
    def coins(self) -> Fraction:
        """Signed size in coins (in the quote currency for an inverse perpetual or future)."""
        return self.quantity * self.listing.unit


@dataclass(frozen=True, slots=True, repr=False)
class Exposure:
    """An amount of money, not negative, of one underlying and, for options, of one expiry; and what it comes from."""

    amount: Fraction
    underlying: str
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, repr=False)
class NettingSet:
    """What is netted together.

    Attributes:
        name: of the set, as `set_of` says.
        underlying: of its market, None if it has several or none.
        options: by (underlying, expiry), in order.
        delta_one: perpetuals and futures. spot: assets other than cash.
        receivables: unsettled P&L and funding.
        pledged: what the collateral of the account counts, in all its netting sets.
    """

    name: str
    underlying: str | None
    market: MarginMarket
    collateral: Collateral | None
    options: dict[tuple[str, int], tuple[Holding, ...]]
    delta_one: tuple[Holding, ...]
    spot: tuple[Holding, ...]
    receivables: Fraction
    pledged: Fraction = Fraction(0)
    _exposures: dict[str, tuple[Exposure, ...]] = field(default_factory=dict)
    _within: dict[Scope, NettingSet] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for h in self.spot:
            self.asset(h.listing.underlying)  # refuses what the model does not take

    def within(self, scope: Scope) -> NettingSet:
        """What a charge with a scope sees: this set without what is outside; expiries are shared with it."""
        if scope not in self._within:
            self._within[scope] = replace(
                self,
                options={key: held for key, held in self.options.items() if scope.takes(held[0].listing)},
                delta_one=tuple(h for h in self.delta_one if scope.takes(h.listing)),
                spot=tuple(h for h in self.spot if scope.takes(h.listing)),
                _exposures={},
            )
        return self._within[scope]

    def exposures(self, kind: str) -> tuple[Exposure, ...]:
        """Exposures of a kind.

        | kind | one for each | amount |
        |---|---|---|
        | `perpetual`, `future` | position | size in coins times index price; an inverse contract's notional |
        | `perpetual_mark`, `future_mark` | position | with its mark in place of the index |
        | `option`, `option_short` | expiry | gross size, or that of the short ones, times index price |
        | `option_naked_short` | expiry | what is short after netting calls and puts of a strike, summed, times index price |
        | `spot` | asset | size times index price |
        | `collateral` | asset | value of the collateral |
        """
        if kind not in self._exposures:
            self._exposures[kind] = tuple(self._exposure(kind))
        return self._exposures[kind]

    def _exposure(self, kind: str) -> Iterable[Exposure]:
        base = kind.removesuffix("_mark")
        if base in ("perpetual", "future"):
            for h in self.delta_one:
                if h.listing.kind.value == base:
                    yield Exposure(abs(h.coins) * self._price(h, kind != base), h.listing.underlying, (h,))
        elif kind in _BY_EXPIRY:
            for (underlying, _), holdings in self.options.items():
                yield self._option_exposure(kind, underlying, holdings)
        else:
            for h in self.spot:
                price = (
                    self.value(h) if kind == "collateral" else h.coins * self.market.index(h.listing.underlying).price
                )
                yield Exposure(price, h.listing.underlying, (h,))

    def _price(self, h: Holding, mark: bool) -> Fraction:
        if h.listing.payoff is Payoff.INVERSE:
            return Fraction(1)
        return self.market.mark(h.listing) if mark else self.market.index(h.listing.underlying).price

    def asset(self, name: str) -> Asset:
        """Terms of an asset held as collateral; PortfolioError if the model does not take it."""
        if self.collateral is None:
            raise AssertionError("an account with collateral has a model with a collateral block")
        return self.collateral.asset(name, self.underlying)

    @cached_property
    def moving(self) -> tuple[Holding, ...]:
        """What takes part in price moves besides options: perpetuals, futures, and collateral that the model lets move."""
        return self.delta_one + tuple(h for h in self.spot if self.asset(h.listing.underlying).moves)

    @cached_property
    def counted(self) -> dict[str, Fraction]:
        """What each asset counts: its value, at most its cap."""
        values: dict[str, Fraction] = {}
        for h in self.spot:
            name = h.listing.underlying
            values[name] = values.get(name, Fraction(0)) + self.value(h)
        return {name: self.asset(name).counted(value) for name, value in values.items()}

    def value(self, h: Holding) -> Fraction:
        """Value of a holding of collateral."""
        value = h.coins * self.market.mark(h.listing)
        converted = self.collateral is not None and self.collateral.converted
        return value / self.market.settlement_price if converted else value

    def changed(self, trades: Mapping[int, Fraction]) -> NettingSet:
        """This set after trades of anything but collateral, {place: quantity added}.

        Expiries and their exposures that the trades do not touch are shared with this set.
        """
        touched: dict[tuple[str, int] | None, dict[int, Fraction]] = {}
        for place, quantity in trades.items():
            touched.setdefault(_expiry_of(self.market.listings[place]), {})[place] = quantity
        delta_one = self._traded(self.delta_one, touched.get(None, {}))
        options = dict(self.options)
        for key, own in touched.items():
            if key is not None:
                held = self._traded(options.pop(key, ()), own)
                options |= {key: held} if held else {}
        options = {key: options[key] for key in sorted(options)}
        made = replace(self, options=options, delta_one=delta_one, _exposures=self._kept(options, delta_one))
        listings = [self.market.listings[place] for place in trades]
        for scope, part in self._within.items():
            if any(map(scope.takes, listings)):
                after = made.within(scope)
                after._exposures.update(part._kept(after.options, after.delta_one))
            else:
                made._within[scope] = part
        return made

    def _kept(
        self, options: dict[tuple[str, int], tuple[Holding, ...]], delta_one: tuple[Holding, ...]
    ) -> dict[str, tuple[Exposure, ...]]:
        """The exposures that are known, after the options and the perpetuals and futures have become these."""
        kept = {}
        for kind, before in self._exposures.items():
            if kind in _BY_EXPIRY:
                old = dict(zip(self.options, before, strict=True))
                kept[kind] = tuple(
                    old[key] if held is self.options.get(key) else self._option_exposure(kind, key[0], held)
                    for key, held in options.items()
                )
            elif delta_one == self.delta_one or kind in ("spot", "collateral"):
                kept[kind] = before
        return kept

    def _traded(self, holdings: tuple[Holding, ...], trades: dict[int, Fraction]) -> tuple[Holding, ...]:
        """Holdings after trades, by place; themselves without any."""
        if not trades:
            return holdings
        held = {h.place: h for h in holdings}
        for place, quantity in trades.items():
            before = held.pop(place, None)
            total = quantity if before is None else before.quantity + quantity
            if total:
                held[place] = Holding(place, self.market.listings[place], total)
        return tuple(held[place] for place in sorted(held))

    def _option_exposure(self, kind: str, underlying: str, holdings: tuple[Holding, ...]) -> Exposure:
        return Exposure(_option_size(kind, holdings) * self.market.index(underlying).price, underlying, holdings)

    def confidence(self, exposure: Exposure, feeds: Iterable[str], missing: Fraction | None) -> Fraction:
        """The least confidence of the feeds that an exposure depends on; `missing` stands for one that is not published.

        | feed | whose confidence |
        |---|---|
        | `index` | the exposure's underlying |
        | `market` | the set's underlying |
        | `perpetual` | marks of the perpetuals that the set holds; none if it holds none |
        | `forward`, `rate` | the expiry's forward, rate |
        | `volatility`, `own` | volatilities of the expiry's options that are held; mark of the position |

        Raises:
            SnapshotError: one of them is not published, and `missing` is None.
        """
        least = Fraction(1)
        for feed in feeds:
            for where, confidence in self._confidences(feed, exposure):
                if confidence is None and missing is None:
                    raise SnapshotError("no confidence", where=where, expected="the oracle's confidence, 0 to 1")
                known = missing if confidence is None else confidence
                least = least if known is None else min(least, known)
        return least

    def _confidences(self, feed: str, exposure: Exposure) -> list[tuple[str, Fraction | None]]:
        """(place, confidence) of what a feed means for an exposure."""
        first = exposure.holdings[0].listing
        if feed in ("index", "market"):
            name = exposure.underlying if feed == "index" else self.underlying
            return [(f"index of {name}", None if name is None else self.market.index(name).confidence)]
        if feed == "perpetual":
            held = [h.listing for h in self.delta_one if h.listing.kind is Kind.PERPETUAL]
            return [(x.name, x.confidence) for x in held]
        if feed == "forward":
            return [(f"forward of {first.name}", self.market.forward(first).confidence)]
        if feed == "rate":
            return [(f"rate of {first.name}", self.market.forward(first).rate_confidence)]
        return [(h.listing.name, h.listing.confidence) for h in exposure.holdings]


def _expiry_of(listing: Listing) -> tuple[str, int] | None:
    """Key of an option's expiry, None for anything else."""
    if listing.kind is not Kind.OPTION:
        return None
    if listing.expiry is None:
        raise SnapshotError("no expiry", where=listing.name, expected="an option has one")
    return listing.underlying, listing.expiry


def _option_size(kind: str, holdings: tuple[Holding, ...]) -> Fraction:
    """Size in coins of an expiry's options: gross, of the short ones, or what is short after netting by strike."""
    common = math.lcm(*(h.quantity.denominator * h.listing.unit.denominator for h in holdings))
    coins = []
    for h in holdings:
        q, unit = h.quantity, h.listing.unit
        coins.append(q.numerator * unit.numerator * (common // (q.denominator * unit.denominator)))
    if kind == "option":
        return Fraction(sum(abs(x) for x in coins), common)
    if kind == "option_short":
        return Fraction(sum(max(-x, 0) for x in coins), common)
    net: dict[Fraction, int] = {}
    for h, x in zip(holdings, coins, strict=True):
        strike, _ = terms(h.listing)
        net[strike] = net.get(strike, 0) + x
    return Fraction(sum(max(-x, 0) for x in net.values()), common)


@lru_cache(maxsize=65_536)
def set_of(underlying: str, expiry: int | None, sets: str) -> str:
    """Name of the netting set that an instrument is in: "account", "BTC", or "BTC 2026-03-27T08:00:00Z" of what expires."""
    if sets == ACCOUNT:
        return ACCOUNT
    return underlying if sets == UNDERLYING or expiry is None else f"{underlying} {format_time(expiry)}"


def arrange(
    market: MarginMarket, account: Account, collateral: Collateral | None, sets_by: str
) -> tuple[list[NettingSet], Fraction]:
    """The netting sets of an account, one for each of what `sets_by` says, by name, and its cash.

    Raises:
        PortfolioError: collateral is owed, not held, or the model takes none.
    """
    cash = Fraction(0)
    groups: dict[str, list[Holding]] = {}
    underlyings: dict[str, str] = {}
    markets: set[str] = set()

    def named(listing: Listing) -> str:
        name = set_of(listing.underlying, listing.expiry, sets_by)
        underlyings[name] = listing.underlying
        return name

    for place, quantity in account.positions:
        h = Holding(place, market.listings[place], quantity)
        if market.is_cash(h.listing):
            cash += h.coins
            continue
        if h.listing.kind is Kind.SPOT:
            if quantity < 0:
                raise PortfolioError(
                    "collateral is owed", where=h.listing.name, expected="what is held; owed cash is negative cash"
                )
            if collateral is None:
                raise PortfolioError(
                    "the model takes no collateral but cash", where=h.listing.name, expected=f"{market.settlement} only"
                )
        else:
            markets.add(h.listing.underlying)
        groups.setdefault(named(h.listing), []).append(h)
    owed: dict[str, Fraction] = {}
    for place, amount in account.receivables:
        key = named(market.listings[place])
        owed[key] = owed.get(key, Fraction(0)) + amount
    one = account.underlying or (next(iter(markets)) if len(markets) == 1 else None)
    sets = []
    for name in sorted(groups.keys() | owed.keys()):
        held = groups.get(name, [])
        options: dict[tuple[str, int], list[Holding]] = {}
        for h in held:
            expiry = _expiry_of(h.listing)
            if expiry is not None:
                options.setdefault(expiry, []).append(h)
        sets.append(
            NettingSet(
                name,
                one if sets_by == ACCOUNT else underlyings[name],
                market,
                collateral,
                {key: tuple(options[key]) for key in sorted(options)},
                tuple(h for h in held if h.listing.kind in (Kind.PERPETUAL, Kind.FUTURE)),
                tuple(h for h in held if h.listing.kind is Kind.SPOT),
                owed.get(name, Fraction(0)),
            )
        )
    pledged = sum((x for one in sets for x in one.counted.values()), Fraction(0))
    return [replace(one, pledged=pledged) for one in sets] if pledged else sets, cash
