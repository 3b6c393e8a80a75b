"""Values of one unit of an instrument in a state of the market, each an integer of 10^-m: the only rounding before the report.

option       black76 of the shocked forward, volatility and time, times the unit; an inverse one times index over forward
spot         unit mark (1 + move), converted to the settlement currency
perpetual, future    no value; entry unit mark move, or N (1/F_0 - 1/F_s) W_s for an inverse contract of notional N; the move
             of the index in place of the mark's where the pricing block says so

forward      settled + (forward - settled) (1 + move)                                     both rounded to 10^-18
volatility   the named shock's (`volatility`), of tenor and log-moneyness before time passes and prices move

With scan ranges, a move of `price` is that many ranges of the underlying (`grid`).

delta        coins that a unit is worth to a small move: N(d1) D of a call, (N(d1) - 1) D of a put, to the nearest 10^-18, times
             the unit; the unit of spot, perpetuals and futures; N / F of an inverse contract of notional N
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from riskproof.errors import SnapshotError
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import black76, exact
from riskproof.risk.margining.book import Holding
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.grid import BASE, State
from riskproof.risk.margining.market import Forward, Listing, MarginMarket, terms
from riskproof.risk.margining.pricing import INDEX

if TYPE_CHECKING:
    from riskproof.risk.margining.tail_values import JointValues

T = TypeVar("T")
_ZERO = Fraction(0)


@dataclass
class UnitValues:
    """Values of a market's instruments under a model, each computed once."""

    model: MarginModel
    market: MarginMarket
    _options: dict[State, dict[int, int]] = field(default_factory=dict, repr=False)
    _moves: dict[Fraction, dict[int, int]] = field(default_factory=dict, repr=False)
    _factors: dict[tuple[str, int | None], tuple[Fraction, Fraction]] = field(default_factory=dict, repr=False)
    _vols: dict[tuple[int, str], int] = field(default_factory=dict, repr=False)
    _joint: JointValues | None = field(default=None, repr=False)
    _deltas: dict[int, Fraction] = field(default_factory=dict, repr=False)
    # Largest loss of one unit, 10^-m, by (group, place, 1 long or -1 short); the charge `standalone` keeps it here.
    losses: dict[tuple[str, int, int], Fraction] = field(default_factory=dict, repr=False)

    @property
    def joint(self) -> JointValues:
        """Values under the joint moves of the model's tail block."""
        from riskproof.risk.margining.tail_values import JointValues  # which is a kind of unit values itself

        if self._joint is None:
            self._joint = JointValues(self.model, self.market)
        return self._joint

    def option(self, place: int, state: State) -> int:
        """Value of one unit of an option, 10^-m."""
        return self._column(state, (place,))[place]

    def options(self, holdings: Sequence[Holding], state: State) -> Fraction:
        """Value of positions in options, exact."""
        denominator = math.lcm(*(h.quantity.denominator for h in holdings))
        column = self._column(state, (h.place for h in holdings))
        total = sum(h.quantity.numerator * (denominator // h.quantity.denominator) * column[h.place] for h in holdings)
        return Fraction(total, denominator * 10**self.market.money_exponent)

    def of_group(self, what: Hashable, held: object, compute: Callable[[], T]) -> T:
        """What `compute` says about a holding or a group of holdings; `what` names it, for values that keep it (`incremental`)."""
        return compute()

    def static_factors(self, place: int) -> tuple[Fraction, Fraction]:
        """Factors on the value of an option's expiry, not negative and negative (`pricing`)."""
        listing = self.market.listings[place]
        key = (listing.underlying, listing.expiry)
        if key not in self._factors:
            self._factors[key] = self.model.pricing.static_factors(self.market.forward(listing))
        return self._factors[key]

    def moves(self, holdings: Sequence[Holding], price: Fraction) -> Fraction:
        """P&L of positions in anything but options when prices move by `price`, exact."""
        total = sum((h.quantity * self.move(h.place, price) for h in holdings), _ZERO)
        return Fraction(total, 10**self.market.money_exponent)

    def move(self, place: int, price: Fraction) -> int:
        """P&L of one unit of anything but an option when prices move by `price`, 10^-m."""
        column = self._moves.setdefault(price, {})
        if place not in column:
            move = self._move(self.market.listings[place], price)
            column[place] = exact.nearest(move, self.market.money_exponent)
        return column[place]

    def _column(self, state: State, places: Iterable[int]) -> dict[int, int]:
        """Values in a state by place, at least of the places given."""
        column = self._options.setdefault(state, {})
        for place in places:
            if place not in column:
                column[place] = self._option(place, state)
        return column

    def _option(self, place: int, state: State) -> int:
        listing = self.market.listings[place]
        quoted = self.market.forward(listing)
        forward = replace(quoted, seconds=quoted.seconds - state.time_shift_seconds)
        strike, call = terms(listing)
        relative, absolute = self._move_of(listing, state.price)
        moved = exact.fine(forward.settled + (forward.price - forward.settled) * (1 + relative) + absolute)
        if moved <= 0 or strike <= 0:
            raise SnapshotError(
                "a price that is not positive", where=listing.name, expected="forward and strike above zero"
            )
        unit, discount = listing.unit, exact.fine(self.model.pricing.discount(forward))
        if listing.payoff is Payoff.INVERSE:
            index = self.market.index(listing.underlying).price * (1 + relative) + absolute
            unit *= index / exact.unfine(moved)
            discount = exact.FINE_ONE
        return black76.value(
            call,
            moved,
            exact.fine(strike),
            self._volatility(place, listing, quoted, state),
            forward.seconds,
            discount,
            (unit.numerator, unit.denominator),
            self.market.money_exponent,
        )

    def _volatility(self, place: int, listing: Listing, forward: Forward, state: State) -> int:
        if listing.volatility is None:
            raise SnapshotError("no volatility", where=listing.name, expected="a volatility of every option held")
        if state.vol is None:
            return exact.fine(listing.volatility)
        key = (place, state.vol)
        found = self._vols.get(key)
        if found is None:
            volatility = self.model.volatility
            k = exact.ln(terms(listing)[0] / forward.price)
            seconds = max(forward.seconds, 0)
            shocked = volatility.shock(state.vol).shocked(listing.volatility, k, seconds, volatility.scaling)
            found = self._vols[key] = exact.fine(shocked)
        return found

    def _move_of(self, listing: Listing, price: Fraction) -> tuple[Fraction, Fraction]:
        """(relative, absolute) move of an underlying's prices in a scenario's `price`."""
        ranges = self.model.scan_ranges
        if ranges is None:
            return price, _ZERO
        scan = ranges.of(listing.underlying)
        return (_ZERO, price * scan.size) if scan.absolute else (price * scan.size, _ZERO)

    def _move(self, listing: Listing, price: Fraction) -> Fraction:
        relative, absolute = self._move_of(listing, price)
        mark = self.market.mark(listing)
        if listing.kind is Kind.SPOT:
            converted = self.model.collateral is not None and self.model.collateral.converted
            value = listing.unit * (mark * relative + absolute)
            return value / self.market.settlement_price if converted else value
        index = self.market.index(listing.underlying).price
        if listing.payoff is Payoff.INVERSE:
            end, moved = mark * (1 + relative) + absolute, index * (1 + relative) + absolute
            if end <= 0 or moved <= 0:
                raise SnapshotError(
                    "a price that is not positive", where=listing.name, expected="mark and index above the scan range"
                )
            return listing.unit * moved * (end - mark) / (mark * end)
        base = index if self.model.pricing.delta_one == INDEX else mark
        return listing.unit * (base * relative + absolute)

    def delta(self, place: int) -> Fraction:
        """Delta of one unit in coins; see the module."""
        if place not in self._deltas:
            self._deltas[place] = self._delta(place, self.market.listings[place])
        return self._deltas[place]

    def _delta(self, place: int, listing: Listing) -> Fraction:
        if listing.kind is not Kind.OPTION:
            return listing.unit / self.market.mark(listing) if listing.payoff is Payoff.INVERSE else listing.unit
        forward, (strike, call) = self.market.forward(listing), terms(listing)
        if forward.price <= 0 or strike <= 0:
            raise SnapshotError(
                "a price that is not positive", where=listing.name, expected="forward and strike above zero"
            )
        share = black76.delta(
            call,
            exact.fine(forward.price),
            exact.fine(strike),
            self._volatility(place, listing, forward, BASE),
            forward.seconds,
        )
        discount = Fraction(1) if listing.payoff is Payoff.INVERSE else self.model.pricing.discount(forward)
        return listing.unit * discount * exact.unfine(share)
