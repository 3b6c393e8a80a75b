"""Values of one unit of an instrument in a state of the market, each an integer of 10^-m: the only rounding before the report.

option       black76 of the shocked forward, volatility and time, times the unit; an inverse one times index over forward
spot         unit mark (1 + move), converted to the settlement currency
perpetual, future    no value; entry unit mark move, or N (1/F_0 - 1/F_s) W_s for an inverse contract of notional N; the move
             of the index in place of the mark's where the pricing block says so

forward      settled + (forward - settled) (1 + move)                                     both rounded to 10^-18
volatility   the named shock's (`volatility`), of tenor and log-moneyness before time passes and prices move

With scan ranges, a move of `price` is that many ranges of the underlying (`grid`). A state that moves forwards alone leaves the
index price, spot and perpetuals where they are; one that moves index prices alone leaves forwards and futures. What converts an
inverse contract's value is the index price.

delta        coins that a unit is worth to a small move: N(d1) D of a call, (N(d1) - 1) D of a put, to the nearest 10^-18, times
             the unit; the unit of spot, perpetuals and futures; N / F of an inverse contract of notional N
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from riskproof.errors import RiskproofError, SnapshotError
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import black76, exact, nearest
from riskproof.risk.margining.book import Holding
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.grid import ALL, BASE, FORWARDS, INDICES, State
from riskproof.risk.margining.market import Forward, Listing, MarginMarket, terms
from riskproof.risk.margining.pricing import INDEX
from riskproof.risk.margining.volatility import Skew
from riskproof.units import round_half_even

if TYPE_CHECKING:
    from riskproof.risk.margining.tail_values import JointValues

T = TypeVar("T")
_ZERO = Fraction(0)
_NO_MOVE: Final = (_ZERO, _ZERO)
_TOGETHER: Final = 1 << 17  # values priced at a time, for the memory that they take


@dataclass
class UnitValues:
    """Values of a market's instruments under a model, each computed once."""

    model: MarginModel
    market: MarginMarket
    _options: dict[State, dict[int, int]] = field(default_factory=dict, repr=False)
    _moves: dict[tuple[Fraction, str], dict[int, int]] = field(default_factory=dict, repr=False)
    _factors: dict[tuple[str, int | None], tuple[Fraction, Fraction]] = field(default_factory=dict, repr=False)
    _vols: dict[tuple[int, str], int] = field(default_factory=dict, repr=False)
    _joint: JointValues | None = field(default=None, repr=False)
    _deltas: dict[int, Fraction] = field(default_factory=dict, repr=False)
    _discounts: dict[tuple[str, int, int], int] = field(default_factory=dict, repr=False)
    # Largest loss of one unit, 10^-m, by (group, place, 1 long or -1 short); the charge `standalone` keeps it here.
    losses: dict[tuple[str, int, int], Fraction] = field(default_factory=dict, repr=False)
    # What `fall` says, by (underlying, group).
    falls: dict[tuple[str, str], Fraction] = field(default_factory=dict, repr=False)

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

    def origin(self, holdings: tuple[Holding, ...]) -> tuple[tuple[Holding, ...], tuple[tuple[int, Fraction], ...]]:
        """(holdings, trades as (place, quantity)) that make a group: nothing and all of it, unless values know better."""
        return (), tuple((h.place, h.quantity) for h in holdings)

    def static_factors(self, place: int) -> tuple[Fraction, Fraction]:
        """Factors on the value of an option's expiry, not negative and negative (`pricing`)."""
        listing = self.market.listings[place]
        key = (listing.underlying, listing.expiry)
        if key not in self._factors:
            self._factors[key] = self.model.pricing.static_factors(self.market.forward(listing))
        return self._factors[key]

    def moves(self, holdings: Sequence[Holding], price: Fraction, on: str = ALL) -> Fraction:
        """P&L of positions in anything but options when the prices that `on` names move by `price`, exact."""
        total = sum((h.quantity * self.move(h.place, price, on) for h in holdings), _ZERO)
        return Fraction(total, 10**self.market.money_exponent)

    def move(self, place: int, price: Fraction, on: str = ALL) -> int:
        """P&L of one unit of anything but an option when the prices that `on` names move by `price`, 10^-m."""
        column = self._moves.setdefault((price, on), {})
        if place not in column:
            move = self._move(self.market.listings[place], price, on)
            column[place] = exact.nearest(move, self.market.money_exponent)
        return column[place]

    def fall(self, underlying: str, group: str) -> Fraction:
        """Share of its price that an asset loses at most in the scenarios of a group, weighted; negative if it only gains."""
        key = underlying, group
        if key not in self.falls:
            self.falls[key] = self._fall(underlying, group)
        return self.falls[key]

    def _fall(self, underlying: str, group: str) -> Fraction:
        scenarios = [self.model.scenarios[place] for place in self.model.groups[group]]
        moves = [_NO_MOVE if s.on == FORWARDS else self._move_of(underlying, s.price) for s in scenarios]
        index = self.market.index(underlying).price if any(absolute for _, absolute in moves) else Fraction(1)
        return max(
            -s.weight * (relative + absolute / index) for s, (relative, absolute) in zip(scenarios, moves, strict=True)
        )

    def price(self, places: Iterable[int], states: Sequence[State]) -> None:
        """Values of options in states, together, which is faster; those that cannot be priced are left for `option` to refuse."""
        columns = [(state, self._options.setdefault(state, {})) for state in states]
        wanted = [p for p in dict.fromkeys(places) if any(p not in column for _, column in columns)]
        open_ = [(state, column) for state, column in columns if any(p not in column for p in wanted)]
        asked = [state for state, _ in open_]
        for place, row in self._rows(wanted, lambda listing: asked):
            for (_, column), value in zip(open_, row, strict=True):
                column[place] = value

    def in_scenarios(self, place: int) -> list[int]:
        """Values of one unit of an option now and in every scenario, 10^-m."""
        if place not in self._columns[0]:
            self.price((place,), self.states)
        try:
            return [column[place] for column in self._columns]
        except KeyError:
            return [self.option(place, state) for state in self._scenario_states]

    def _column(self, state: State, places: Iterable[int]) -> dict[int, int]:
        """Values in a state by place, at least of the places given."""
        column = self._options.setdefault(state, {})
        missing = [place for place in places if place not in column]
        if missing:
            self.price(missing, self.states if state in self.states else (state,))
            for place in missing:
                if place not in column:
                    column[place] = self._option(place, state)
        return column

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The present and the model's scenarios, each state once."""
        return tuple(dict.fromkeys(self._scenario_states))

    @cached_property
    def _scenario_states(self) -> tuple[State, ...]:
        return (BASE, *(s.state for s in self.model.scenarios))

    @cached_property
    def _columns(self) -> list[dict[int, int]]:
        """Values by place, now and in every scenario: what `_options` has."""
        return [self._options.setdefault(state, {}) for state in self._scenario_states]

    def _rows(
        self, places: Iterable[int], states_of: Callable[[Listing], Sequence[State]]
    ) -> Iterator[tuple[int, list[int]]]:
        """(place, values in its states) of options, without those that cannot be priced in all of them."""
        groups: dict[Hashable, int] = {}
        terms_of: list[list[nearest.Terms]] = []
        held: list[int] = []
        options: list[nearest.Option] = []
        vols: list[list[int]] = []
        for place in places:
            listing = self.market.listings[place]
            states, group = states_of(listing), (listing.underlying, listing.expiry, listing.payoff, listing.unit)
            try:
                strike, call = terms(listing)
                if strike <= 0:
                    raise _not_positive(listing)
                row = None if group in groups else self._terms_in(listing, states)
                volatility = self._volatilities(place, listing, states)
            except RiskproofError:
                continue
            if row is not None:
                groups[group] = len(terms_of)
                terms_of.append(row)
            held.append(place)
            options.append(nearest.Option(call, exact.fine(strike), groups[group]))
            vols.append(volatility)
            if len(held) * len(states) >= _TOGETHER:
                yield from zip(held, nearest.grid(options, terms_of, vols, self.market.money_exponent), strict=True)
                held, options, vols = [], [], []
        yield from zip(held, nearest.grid(options, terms_of, vols, self.market.money_exponent), strict=True)

    def _option(self, place: int, state: State) -> int:
        listing = self.market.listings[place]
        quoted = self.market.forward(listing)
        strike, call = terms(listing)
        if strike <= 0:
            raise _not_positive(listing)
        t = self._terms_in(listing, (state,))[0]
        volatility, exponent = self._volatility(place, listing, quoted, state), self.market.money_exponent
        return black76.value(call, t.forward, exact.fine(strike), volatility, t.seconds, t.discount, t.unit, exponent)

    def _terms_in(self, listing: Listing, states: Sequence[State]) -> list[nearest.Terms]:
        """What an expiry's options share, by state."""
        quoted = self.market.forward(listing)
        moves = [self._move_of(listing.underlying, state.price) for state in states]
        of_forwards = [_NO_MOVE if state.on == INDICES else move for state, move in zip(states, moves, strict=True)]
        moved = _moved(quoted.settled, quoted.price - quoted.settled, of_forwards)
        forwards = [round_half_even(x * exact.FINE_ONE, y) for x, y in moved]
        if min(forwards) <= 0:
            raise _not_positive(listing)
        p, q = listing.unit.numerator, listing.unit.denominator
        times = [quoted.seconds - state.time_shift_seconds for state in states]
        if listing.payoff is Payoff.INVERSE:
            of_indices = [_NO_MOVE if state.on == FORWARDS else move for state, move in zip(states, moves, strict=True)]
            indices = _moved(_ZERO, self.market.index(listing.underlying).price, of_indices)
            rows = zip(forwards, times, indices, strict=True)
            return [nearest.Terms(f, t, exact.FINE_ONE, (p * x * exact.FINE_ONE, q * y * f)) for f, t, (x, y) in rows]
        discounts = {t: self._discount(listing.underlying, quoted, t) for t in set(times)}
        return [nearest.Terms(f, t, discounts[t], (p, q)) for f, t in zip(forwards, times, strict=True)]

    def _discount(self, underlying: str, quoted: Forward, seconds: int) -> int:
        """Discount factor of an expiry that is `seconds` away, 10^-18."""
        key = (underlying, quoted.seconds, seconds)
        if key not in self._discounts:
            self._discounts[key] = exact.fine(self.model.pricing.discount(replace(quoted, seconds=seconds)))
        return self._discounts[key]

    def _volatilities(self, place: int, listing: Listing, states: Sequence[State]) -> list[int]:
        """An option's volatilities by state, 10^-18."""
        forward, known = self.market.forward(listing), dict.fromkeys(state.vol for state in states)
        named = {name: self._volatility(place, listing, forward, State(vol=name)) for name in known}
        return [named[state.vol] for state in states]

    def _volatility(self, place: int, listing: Listing, forward: Forward, state: State) -> int:
        if listing.volatility is None:
            raise SnapshotError("no volatility", where=listing.name, expected="a volatility of every option held")
        if listing.volatility < 0:
            raise SnapshotError("a negative volatility", where=listing.name, expected="zero or more")
        if state.vol is None:
            return exact.fine(listing.volatility)
        key = (place, state.vol)
        found = self._vols.get(key)
        if found is None:
            volatility = self.model.volatility
            strike, _ = terms(listing)
            if strike <= 0 or forward.price <= 0:
                raise _not_positive(listing)
            shock, seconds = volatility.shock(state.vol), max(forward.seconds, 0)
            k = exact.ln(strike / forward.price) if isinstance(shock, Skew) else _ZERO  # no other shock asks for it
            shocked = shock.shocked(listing.volatility, k, seconds, volatility.scaling)
            found = self._vols[key] = exact.fine(shocked)
        return found

    def _move_of(self, underlying: str, price: Fraction) -> tuple[Fraction, Fraction]:
        """(relative, absolute) move of an underlying's prices in a scenario's `price`."""
        ranges = self.model.scan_ranges
        if ranges is None:
            return price, _ZERO
        scan = ranges.of(underlying)
        return (_ZERO, price * scan.size) if scan.absolute else (price * scan.size, _ZERO)

    def _move(self, listing: Listing, price: Fraction, on: str = ALL) -> Fraction:
        move = self._move_of(listing.underlying, price)
        relative, absolute = _NO_MOVE if on == (INDICES if listing.kind is Kind.FUTURE else FORWARDS) else move
        of_index = _NO_MOVE if on == FORWARDS else move
        mark = self.market.mark(listing)
        if listing.kind is Kind.SPOT:
            converted = self.model.collateral is not None and self.model.collateral.converted
            value = listing.unit * (mark * relative + absolute)
            return value / self.market.settlement_price if converted else value
        index = self.market.index(listing.underlying).price
        if listing.payoff is Payoff.INVERSE:
            end, moved = mark * (1 + relative) + absolute, index * (1 + of_index[0]) + of_index[1]
            if end <= 0 or moved <= 0:
                raise _not_positive(listing, "mark and index above the scan range")
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
            raise _not_positive(listing)
        share = black76.delta(
            call,
            exact.fine(forward.price),
            exact.fine(strike),
            self._volatility(place, listing, forward, BASE),
            forward.seconds,
        )
        discount = Fraction(1) if listing.payoff is Payoff.INVERSE else self.model.pricing.discount(forward)
        return listing.unit * discount * exact.unfine(share)


def _not_positive(listing: Listing, expected: str = "forward and strike above zero") -> SnapshotError:
    return SnapshotError("a price that is not positive", where=listing.name, expected=expected)


def _moved(still: Fraction, moving: Fraction, moves: Sequence[tuple[Fraction, Fraction]]) -> list[tuple[int, int]]:
    """still + moving (1 + relative) + absolute for each move, as numerator and denominator."""
    common = math.lcm(*(x.denominator for x, _ in moves))
    a, b = still.numerator * moving.denominator * common, still.denominator * moving.numerator
    below = still.denominator * moving.denominator * common
    result = []
    for relative, absolute in moves:
        above = a + b * (common + relative.numerator * (common // relative.denominator))
        if absolute:
            result.append((above * absolute.denominator + absolute.numerator * below, below * absolute.denominator))
        else:
            result.append((above, below))
    return result
