"""Values of units under the joint moves of a tail block, and the P&L of a netting set under each of them.

price        index, mark and the part of a forward that is not settled, times the ratio of the underlying's price, exact
volatility   times the ratio at the option's time to expiry before time passes: linear in time between the tenors that move,
             that of the first tenor before it and of the last beyond; rounded once, to 10^-18

and the same formulas as in a scenario (`values`, `evaluate`), expiry by expiry with the model's static factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from riskproof.errors import DomainError, HistoryError, ModelError
from riskproof.market.registry import Kind
from riskproof.risk.margining import exact
from riskproof.risk.margining.book import Holding, NettingSet
from riskproof.risk.margining.grid import BASE, State
from riskproof.risk.margining.joint import JointPnl, added, combined
from riskproof.risk.margining.market import Forward, Listing
from riskproof.risk.margining.tail import Tail
from riskproof.risk.margining.values import UnitValues
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.moves import Moves
from riskproof.units import RATIO_ONE, SECONDS_PER_DAY, round_half_even

_ZERO, _ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True)
class Moved(State):
    """The state of one underlying in one joint move; `volatility_ratio` is of one expiry."""

    volatility_ratio: Fraction = _ONE


@dataclass
class JointValues(UnitValues):
    """Values of a market's instruments under the joint moves of a model's tail block, each computed once."""

    _parts: dict[int, tuple[Moves, ...]] = field(default_factory=dict, repr=False)
    _units: dict[tuple[int, int], tuple[tuple[int, ...], ...]] = field(default_factory=dict, repr=False)
    _ratios: tuple[Sequence[State], list[int], int] | None = field(default=None, repr=False)

    @property
    def tail(self) -> Tail:
        if self.model.tail is None:
            raise AssertionError("joint moves belong to a tail block")
        return self.model.tail

    def moves_of(self, n: int) -> tuple[Moves, ...]:
        """The joint moves of the block's set n.

        Raises:
            HistoryError: the market comes without the history that the set names, or the history lacks a day of it.
            DomainError: a move that is out of range.
        """
        if n not in self._parts:
            try:
                self._parts[n] = self.tail.sets[n].method.moves(self.market.histories)
            except HistoryError as error:
                where = f"tail.sets[{n}].{error.where}" if error.where else f"tail.sets[{n}]"
                raise HistoryError(error.what, where=where, expected=error.expected) from None
            except DomainError as error:  # of a move, which is no member
                raise DomainError(error.what, where=f"tail.sets[{n}]: {error.where}", expected=error.expected) from None
        return self._parts[n]

    def pnl(self, n: int, book: NettingSet, values: UnitValues) -> JointPnl:
        """P&L of a netting set under each joint move of set n, a gain positive.

        Args:
            values: the account's own, which may keep what is known of a group of holdings.

        Raises:
            ModelError: something that is held neither moves nor is named as immovable.
            HistoryError, DomainError, SnapshotError: see `moves_of`, and `values`.
        """
        self.price_units(n, [h.place for holdings in book.options.values() for h in holdings])
        terms = [self.expiry_pnl(n, holdings, values) for holdings in book.options.values()]
        if book.moving:
            terms.append(self.of_units(n, [(h.place, h.quantity) for h in book.moving]))
        return added(terms) if terms else JointPnl(tuple((0,) * len(part) for part in self.moves_of(n)), 1)

    def expiry_pnl(self, n: int, holdings: tuple[Holding, ...], values: UnitValues) -> JointPnl:
        """P&L of an expiry's options: static factors on what they are worth together, less what they are worth now."""
        return values.of_group(("joint", n), holdings, partial(self._expiry_pnl, n, holdings, values))

    def _expiry_pnl(self, n: int, holdings: tuple[Holding, ...], values: UnitValues) -> JointPnl:
        worth = self.expiry_values(n, holdings, values)
        long, short = self.static_factors(holdings[0].place)
        now = values.options(holdings, BASE)
        common = math.lcm(worth.unit, now.denominator)
        unit = math.lcm(long.denominator, short.denominator)
        gain, loss = (f.numerator * (unit // f.denominator) * (common // worth.unit) for f in (long, short))
        less = now.numerator * (common // now.denominator) * unit
        parts = (tuple(x * (gain if x >= 0 else loss) - less for x in part) for part in worth.parts)
        return JointPnl(tuple(parts), unit * common)

    def expiry_values(self, n: int, holdings: tuple[Holding, ...], values: UnitValues) -> JointPnl:
        """Value of an expiry's options in each joint move; after a trade, what it was and what was traded."""

        def compute() -> JointPnl:
            before, trades = values.origin(holdings)
            traded = self.of_units(n, trades)
            return added([self.expiry_values(n, before, values), traded]) if before else traded

        return values.of_group(("joint values", n), holdings, compute)

    def of_units(self, n: int, held: Sequence[tuple[int, Fraction]]) -> JointPnl:
        """What `units` says of (place, quantity), one or more, summed."""
        rows = (self.units(n, place) for place, _ in held)
        return combined([q for _, q in held], rows, 10**self.market.money_exponent)

    def price_units(self, n: int, places: Iterable[int]) -> None:
        """Values of options in the joint moves of set n, together; those that cannot be priced are left for `units` to refuse."""
        wanted = [place for place in dict.fromkeys(places) if (n, place) not in self._units]
        parts = [dict(self._rows(wanted, self._states_in(moves, n))) for moves in self.moves_of(n)] if wanted else []
        for place in wanted:
            if all(place in part for part in parts):
                self._units[n, place] = tuple(tuple(part[place]) for part in parts)

    def units(self, n: int, place: int) -> tuple[tuple[int, ...], ...]:
        """Value of a unit of an option, P&L of a unit of anything else, in each part and joint move of set n, 10^-m."""
        key = (n, place)
        if key not in self._units and self.market.listings[place].kind is Kind.OPTION:
            self.price_units(n, (place,))
        if key not in self._units:
            self._units[key] = tuple(self._under(moves, n, place) for moves in self.moves_of(n))
        return self._units[key]

    def _states_in(self, moves: Moves, n: int) -> Callable[[Listing], Sequence[State]]:
        """The state of a listing's expiry in each joint move."""
        known: dict[tuple[str, int | None], Sequence[State]] = {}
        prices: dict[str, list[Fraction]] = {}

        def states(listing: Listing) -> Sequence[State]:
            u, shift = listing.underlying, self.tail.time_shift_seconds
            if u not in prices:
                prices[u] = [x - 1 for x in self._price_ratios(moves, n, listing)]
            if (u, listing.expiry) not in known:
                known[u, listing.expiry] = [
                    Moved(x, None, shift, volatility_ratio=y)
                    for x, y in zip(prices[u], self._volatility_ratios(moves, n, listing), strict=True)
                ]
            return known[u, listing.expiry]

        return states

    def _under(self, moves: Moves, n: int, place: int) -> tuple[int, ...]:
        listing = self.market.listings[place]
        if listing.kind is Kind.OPTION:
            return tuple(self._option(place, state) for state in self._states_in(moves, n)(listing))
        exponent = self.market.money_exponent
        return tuple(exact.nearest(self._move(listing, x - 1), exponent) for x in self._price_ratios(moves, n, listing))

    def _price_ratios(self, moves: Moves, n: int, listing: Listing) -> list[Fraction]:
        u = listing.underlying
        if u == self.market.settlement or u in self.tail.unshocked:
            return [_ONE] * len(moves)
        if Factor(u) not in moves.factors:
            raise _missing(f"no move of the price of {u}", n, listing, "tail.unshocked")
        return [Fraction(x, RATIO_ONE) for x in moves.ratios[:, moves.factors.index(Factor(u))].tolist()]

    def _volatility_ratios(self, moves: Moves, n: int, listing: Listing) -> list[Fraction]:
        u, seconds = listing.underlying, self.market.forward(listing).seconds
        if u in self.tail.constant_volatility:
            return [_ONE] * len(moves)
        tenors = [(f.tenor_days * SECONDS_PER_DAY, i) for i, f in enumerate(moves.factors) if f.underlying == u]
        tenors = [(t, i) for t, i in tenors if t]
        if not tenors:
            raise _missing(f"no move of the volatility of {u}", n, listing, "tail.constant_volatility")
        after = next((k for k, (t, _) in enumerate(tenors) if t >= seconds), len(tenors))
        low, a = tenors[max(after - 1, 0)]
        high, b = tenors[min(after, len(tenors) - 1)]
        p, q = (seconds - low, high - low) if high > low else (0, 1)
        return [Fraction(x * q + (y - x) * p, q * RATIO_ONE) for x, y in moves.ratios[:, (a, b)].tolist()]

    def _volatility(self, place: int, listing: Listing, forward: Forward, state: State) -> int:
        if listing.volatility is not None and listing.volatility >= 0 and isinstance(state, Moved):
            return exact.fine(listing.volatility * state.volatility_ratio)
        return super()._volatility(place, listing, forward, state)

    def _volatilities(self, place: int, listing: Listing, states: Sequence[State]) -> list[int]:
        forward = self.market.forward(listing)
        if listing.volatility is None or listing.volatility < 0:
            return [self._volatility(place, listing, forward, state) for state in states]
        whole, common = self._ratios_of(states)
        up, down = listing.volatility.numerator * exact.FINE_ONE, listing.volatility.denominator * common
        return [round_half_even(up * x, down) for x in whole]

    def _ratios_of(self, states: Sequence[State]) -> tuple[list[int], int]:
        """Ratios of an expiry's volatility, by state, over a common denominator; kept for the next option of the expiry."""
        if self._ratios is None or self._ratios[0] is not states:
            ratios = [state.volatility_ratio if isinstance(state, Moved) else _ONE for state in states]
            common = math.lcm(*(x.denominator for x in ratios))
            self._ratios = states, [x.numerator * (common // x.denominator) for x in ratios], common
        return self._ratios[1], self._ratios[2]

    def _move_of(self, underlying: str, price: Fraction) -> tuple[Fraction, Fraction]:
        return price, _ZERO  # a joint move is relative, whatever the grid's scan ranges are


def _missing(what: str, n: int, listing: Listing, member: str) -> ModelError:
    return ModelError(
        what, where=f"tail.sets[{n}]: {listing.name}", expected=f"a factor in the moves, or the underlying in {member}"
    )
