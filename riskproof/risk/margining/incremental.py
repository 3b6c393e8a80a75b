"""An account under a model of version 2, evaluated once, and again after trades at the price of what the trades touch.

The numbers are `evaluate_model`'s, to the last digit. What is kept: unit values, the value of each expiry's options in each
state, the P&L of each netting set in each scenario, exposures by expiry.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from itertools import chain
from typing import Any, TypeVar

from riskproof.market.registry import Kind
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.book import ACCOUNT, Holding, NettingSet, arrange, set_of
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.evaluate import (
    ComputedSet,
    Pnl,
    check_counts,
    check_limits,
    expiry_pnl,
    joint_pnl,
    options_of,
    pnl_of_values,
    report_of,
    scenario_pnl,
)
from riskproof.risk.margining.grid import ADVERSE, BASE, State
from riskproof.risk.margining.joint import JointPnl, added
from riskproof.risk.margining.market import Listing, MarginMarket
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.margining.values import UnitValues

T = TypeVar("T")
Group = tuple[Holding, ...]
_ZERO = Fraction(0)


@dataclass
class KeptValues(UnitValues):
    """Unit values that also keep what is computed of a group of holdings, and know what a trade makes of it.

    Groups are told apart by identity: netting sets share the groups that a trade does not touch. `forget` drops what came after
    `keep`.
    """

    _groups: dict[tuple[int, Hashable], tuple[object, Any]] = field(default_factory=dict, repr=False)
    _own: set[tuple[int, Hashable]] = field(default_factory=set, repr=False)
    _origins: dict[int, tuple[Group, Group, tuple[tuple[int, Fraction], ...]]] = field(default_factory=dict, repr=False)

    def sibling(self, model: MarginModel) -> KeptValues:
        """Values for a model that prices as this one does; what is known of units is shared."""
        made = KeptValues(model, self.market)
        for cache in fields(UnitValues):
            if cache.name.startswith("_"):
                setattr(made, cache.name, getattr(self, cache.name))
        if model.scenarios == self.model.scenarios:
            made.losses, made.falls = self.losses, self.falls
        return made

    def of_group(self, what: Hashable, held: object, compute: Callable[[], T]) -> T:
        key = id(held), what
        known = self._groups.get(key)
        if known is None:
            known = self._groups[key] = held, compute()
        result: T = known[1]
        return result

    def options(self, holdings: Sequence[Holding], state: State) -> Fraction:
        group = holdings if isinstance(holdings, tuple) else tuple(holdings)
        return self.of_group(state, group, lambda: self._options_value(group, state))

    def _options_value(self, holdings: Group, state: State) -> Fraction:
        before, trades = self.origin(holdings)
        if not before:
            return super().options(holdings, state)
        added = sum((quantity * self.option(place, state) for place, quantity in trades), _ZERO)
        return self.options(before, state) + Fraction(added, 10**self.market.money_exponent)

    def derive(self, holdings: Group, before: Group, trades: tuple[tuple[int, Fraction], ...]) -> None:
        """`holdings` are `before` after `trades`, (place, quantity added)."""
        self._origins[id(holdings)] = holdings, before, trades

    def origin(self, holdings: Group) -> tuple[Group, tuple[tuple[int, Fraction], ...]]:
        """(before, trades) that make the holdings: nothing and all of them, unless they were derived."""
        origin = self._origins.get(id(holdings))
        return super().origin(holdings) if origin is None else origin[1:]

    def keep(self) -> None:
        """Everything known now is of the account."""
        self._own = set(self._groups)

    def forget(self) -> None:
        """Drop what came after `keep`."""
        for key in self._groups.keys() - self._own:
            del self._groups[key]
        self._origins.clear()


class AccountMargin:
    """An account's margin now, and after trades.

    Raises:
        SnapshotError, PortfolioError: as `evaluate_model`.
    """

    def __init__(
        self, model: MarginModel, market: MarginMarket, account: Account, values: KeptValues | None = None
    ) -> None:
        self.model, self.market, self.account = model, market, account
        self.values = KeptValues(model, market) if values is None else values
        check_limits(model, market, account)
        sets, self._cash = arrange(market, account, model.collateral, model.sets)
        self.values.price(options_of(market, account), self.values.states)
        self._sets = [self._computed(book) for book in sets]
        self.report: MarginReport = report_of(model, market, self._sets, self._cash)
        self._positions = dict(account.positions)
        held = [x for x in (market.listings[place] for place in self._positions) if x.kind is not Kind.SPOT]
        self._expiries = Counter((x.underlying, x.expiry) for x in held if x.kind is Kind.OPTION)
        self._underlyings = len({x.underlying for x in held})
        self._names = Counter(map(self._name, held))
        self.values.keep()

    def __repr__(self) -> str:
        return f"AccountMargin({self.model.name}, {self.account!r})"

    def after(self, trades: Mapping[int, Fraction], cash: Fraction = _ZERO) -> MarginReport:
        """The report after trades, {place: quantity added}, and `cash` that comes in with them.

        Raises:
            SnapshotError, PortfolioError: as `evaluate_model`, about the account after the trades.
        """
        try:
            if self._keeps_sets(trades):
                return report_of(
                    self.model, self.market, [self._traded_set(x, trades) for x in self._sets], self._cash + cash
                )
            account = self._traded(trades)
            check_limits(self.model, self.market, account)
            return self._anew(account, cash)
        finally:
            self.values.forget()

    def value(self, place: int, quantity: Fraction) -> Fraction:
        """Present value of a position: what it costs to make it at the snapshot's prices."""
        listing = self.market.listings[place]
        h = Holding(place, listing, quantity)
        if listing.kind is Kind.OPTION:
            return quantity * Fraction(self.values.option(place, BASE), 10**self.market.money_exponent)
        if self.market.is_cash(listing):
            return h.coins
        if listing.kind is not Kind.SPOT:
            return _ZERO
        value = h.coins * self.market.mark(listing)
        converted = self.model.collateral is not None and self.model.collateral.converted
        return value / self.market.settlement_price if converted else value

    def pnl_by_position(self) -> dict[int, tuple[Fraction, ...]]:
        """P&L of each position in each scenario, by place, with the factors and signs that its expiry has in the whole book.

        They add up to the P&L of the netting sets; a dampener is shared in proportion.
        """
        result = {place: [_ZERO] * len(self.model.scenarios) for place, _ in self.account.positions}
        one = 10**self.market.money_exponent
        for computed in self._sets:
            book = computed.book
            for s, scenario in enumerate(self.model.scenarios):
                for h in book.moving:
                    move = self.values.move(h.place, scenario.price, scenario.on)
                    result[h.place][s] = scenario.weight * h.quantity * Fraction(move, one)
                for holdings in book.options.values():
                    long, short = self.values.static_factors(holdings[0].place)
                    factor = long if self.values.options(holdings, scenario.state) >= 0 else short
                    weight = scenario.weight
                    if scenario.expiry_pnl == ADVERSE and expiry_pnl(holdings, scenario, self.values) < 0:
                        weight *= self._sign(holdings, scenario.state, factor)
                    for h in holdings:
                        shocked, now = (self.values.option(h.place, x) for x in (scenario.state, BASE))
                        result[h.place][s] = weight * h.quantity * (factor * shocked - now) / one
                if computed.counted[s] != computed.pnl[s]:
                    share = computed.counted[s] / computed.pnl[s]
                    for h in (*book.moving, *chain.from_iterable(book.options.values())):
                        result[h.place][s] *= share
        return {place: tuple(row) for place, row in result.items()}

    def joint_pnl(self, n: int) -> JointPnl:
        """P&L under the joint moves of the tail block's set n, all netting sets together; of an account that has one at least."""
        return joint_pnl(self.model, self._sets, n)

    def joint_pnl_by_position(self, n: int, part: int, moves: Sequence[int]) -> dict[int, tuple[Fraction, ...]]:
        """P&L of each position in some joint moves of a part of set n, by place, with the factors that it has in the whole book.

        They add up to `joint_pnl`.
        """
        result: dict[int, tuple[Fraction, ...]] = {place: (_ZERO,) * len(moves) for place, _ in self.account.positions}
        one, joint = 10**self.market.money_exponent, self.values.joint
        for computed in self._sets:
            own = computed.tail_pnl(n).parts[part]
            shares = [self.model.gain_factor if own[k] > 0 else Fraction(1) for k in moves]
            for h in computed.book.moving:
                units = joint.units(n, h.place)[part]
                result[h.place] = tuple(
                    share * h.quantity * Fraction(units[k], one) for k, share in zip(moves, shares, strict=True)
                )
            for holdings in computed.book.options.values():
                worth = joint.expiry_values(n, holdings, self.values).parts[part]
                long, short = joint.static_factors(holdings[0].place)
                factors = [long if worth[k] >= 0 else short for k in moves]
                for h in holdings:
                    units, now = joint.units(n, h.place)[part], self.values.option(h.place, BASE)
                    result[h.place] = tuple(
                        share * h.quantity * (factor * units[k] - now) / one
                        for k, share, factor in zip(moves, shares, factors, strict=True)
                    )
        return result

    def alone(self, place: int, quantity: Fraction) -> MarginReport:
        """The report of one position by itself, without cash or receivables."""
        account = Account(((place, quantity),), (), self.account.underlying)
        check_limits(self.model, self.market, account)
        try:
            return self._anew(account, _ZERO)
        finally:
            self.values.forget()

    def _anew(self, account: Account, cash: Fraction) -> MarginReport:
        sets, own = arrange(self.market, account, self.model.collateral, self.model.sets)
        return report_of(self.model, self.market, [self._computed(book) for book in sets], own + cash)

    def _sign(self, holdings: tuple[Holding, ...], state: State, factor: Fraction) -> int:
        gains = self.values.options(holdings, state) * factor > self.values.options(holdings, BASE)
        return -1 if gains else 1

    def _traded(self, trades: Mapping[int, Fraction]) -> Account:
        positions = dict(self._positions)
        for place, quantity in trades.items():
            positions[place] = positions.get(place, _ZERO) + quantity
        kept = tuple((place, q) for place, q in sorted(positions.items()) if q)
        return Account(kept, self.account.receivables, self.account.underlying)

    def _keeps_sets(self, trades: Mapping[int, Fraction]) -> bool:
        """Whether the trades leave the netting sets what they are: derivatives only, of the same underlyings and sets.

        Raises:
            PortfolioError: they do, and there is more of something than the model allows.
        """
        legs, expiries, names = len(self._positions), Counter(self._expiries), Counter(self._names)
        for place, q in trades.items():
            listing, before = self.market.listings[place], self._positions.get(place, _ZERO)
            if listing.kind is Kind.SPOT:
                return False
            change = (before + q != 0) - (before != 0)
            legs += change
            names[self._name(listing)] += change
            if listing.kind is Kind.OPTION:
                expiries[listing.underlying, listing.expiry] += change
        if {name for name, n in names.items() if n} != self._names.keys():
            return False
        check_counts(self.model, legs, sum(n > 0 for n in expiries.values()), self._underlyings)
        return True

    def _traded_set(self, computed: ComputedSet, trades: Mapping[int, Fraction]) -> ComputedSet:
        book = computed.book
        one = self.model.sets == ACCOUNT
        own = {p: q for p, q in trades.items() if one or self._name(self.market.listings[p]) == book.name}
        if not own:
            return computed
        changed = book.changed(own)
        pairs = [
            (book.options.get(key, ()), changed.options.get(key, ())) for key in changed.options.keys() | book.options
        ]
        pairs = [(old, new) for old, new in pairs if old is not new]
        for old, new in pairs:
            if old and new:
                traded = {h.place for h in (*old, *new)}
                self.values.derive(new, old, tuple((p, q) for p, q in own.items() if p in traded))
        pnl = computed.pnl
        for old, new in pairs:
            (before, old_unit), (after, new_unit) = self._pnl_of(old), self._pnl_of(new)
            changes = [y * old_unit - x * new_unit for x, y in zip(before, after, strict=True)]
            pnl = self._changed(pnl, changes, old_unit * new_unit)
        moving = {p: q for p, q in own.items() if self.market.listings[p].kind is not Kind.OPTION}
        for place, q in moving.items():
            moves = [q.numerator * self.values.move(place, s.price, s.on) for s in self.model.scenarios]
            pnl = self._changed(pnl, moves, q.denominator * 10**self.market.money_exponent)

        def tail_pnl(n: int) -> JointPnl:
            joint = self.values.joint
            left = [-joint.expiry_pnl(n, old, self.values) for old, _ in pairs if old]
            came = [joint.expiry_pnl(n, new, self.values) for _, new in pairs if new]
            moved = [joint.of_units(n, list(moving.items()))] if moving else []
            return added([computed.tail_pnl(n), *left, *came, *moved])

        return ComputedSet(self.model, changed, self.values, pnl, tail_pnl)

    def _changed(self, pnl: tuple[Fraction, ...], changes: list[int], unit: int) -> tuple[Fraction, ...]:
        """P&L in each scenario after changes, in 1/unit and before weights."""
        return tuple(
            x + Fraction(s.weight.numerator * change, s.weight.denominator * unit)
            for x, change, s in zip(pnl, changes, self.model.scenarios, strict=True)
        )

    def _computed(self, book: NettingSet) -> ComputedSet:
        return ComputedSet(self.model, book, self.values, scenario_pnl(self.model, book, self.values, self._pnl_of))

    def _pnl_of(self, holdings: Group) -> Pnl:
        """E_e[s] of an expiry's options in every scenario, over a common denominator; zero of one that is not held."""
        if not holdings:
            return [0] * len(self.model.scenarios), 1
        return self.values.of_group("pnl", holdings, lambda: self._expiry_pnl(holdings))

    def _expiry_pnl(self, holdings: Group) -> Pnl:
        return pnl_of_values(holdings, self.values, *self._values_of(holdings))

    def _values_of(self, holdings: Group) -> tuple[list[int], int]:
        """Values of an expiry's options now and in every scenario, over a common denominator."""
        return self.values.of_group("values", holdings, lambda: self._expiry_values(holdings))

    def _expiry_values(self, holdings: Group) -> tuple[list[int], int]:
        money = 10**self.market.money_exponent
        before, trades = self.values.origin(holdings)
        sums, unit = self._values_of(before) if before else ([0] * (len(self.model.scenarios) + 1), money)
        common = math.lcm(unit, *(q.denominator * money for _, q in trades))
        sums = [x * (common // unit) for x in sums]
        for place, q in trades:
            lots = q.numerator * (common // (q.denominator * money))
            sums = [x + lots * v for x, v in zip(sums, self.values.in_scenarios(place), strict=True)]
        return sums, common

    def _name(self, listing: Listing) -> str:
        """Of what a listing has in common with others of its netting set: the set, or the underlying where there is one set."""
        return (
            listing.underlying
            if self.model.sets == ACCOUNT
            else set_of(listing.underlying, listing.expiry, self.model.sets)
        )
