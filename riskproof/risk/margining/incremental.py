"""An account under a model of version 2, evaluated once, and again after trades at the price of what the trades touch.

The numbers are `evaluate_model`'s, to the last digit. What is kept: unit values, the value of each expiry's options in each
state, the P&L of each netting set in each scenario, exposures by expiry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from riskproof.market.registry import Kind
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.book import Holding, NettingSet, arrange
from riskproof.risk.margining.document import UNDERLYING, MarginModel
from riskproof.risk.margining.evaluate import ComputedSet, check_limits, evaluate_model, expiry_pnl, report_of
from riskproof.risk.margining.grid import ADVERSE, BASE, State
from riskproof.risk.margining.market import MarginMarket
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.margining.values import UnitValues

_ZERO = Fraction(0)


@dataclass
class KeptValues(UnitValues):
    """Unit values that also keep what each group of holdings is worth in a state.

    Groups are told apart by identity: netting sets share the groups that a trade does not touch. `forget` drops those that are
    not of the account.
    """

    _groups: dict[tuple[int, State], tuple[tuple[Holding, ...], Fraction]] = field(default_factory=dict, repr=False)
    _own: set[tuple[int, State]] = field(default_factory=set, repr=False)

    def options(self, holdings: tuple[Holding, ...], state: State) -> Fraction:  # type: ignore[override]
        key = id(holdings), state
        known = self._groups.get(key)
        if known is None or known[0] is not holdings:
            known = self._groups[key] = holdings, super().options(holdings, state)
        return known[1]

    def keep(self) -> None:
        """Everything known now is of the account."""
        self._own = set(self._groups)

    def forget(self) -> None:
        """Drop what came after `keep`."""
        for key in self._groups.keys() - self._own:
            del self._groups[key]


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
        sets, self._cash = arrange(market, account, model.collateral, model.sets == UNDERLYING)
        self._sets = [ComputedSet(model, book, self.values) for book in sets]
        self.report: MarginReport = report_of(model, market, self._sets, self._cash)
        self.values.keep()

    def __repr__(self) -> str:
        return f"AccountMargin({self.model.name}, {self.account!r})"

    def after(self, trades: Mapping[int, Fraction], cash: Fraction = _ZERO) -> MarginReport:
        """The report after trades, {place: quantity added}, and `cash` that comes in with them.

        Raises:
            SnapshotError, PortfolioError: as `evaluate_model`, about the account after the trades.
        """
        account = self._traded(trades)
        check_limits(self.model, self.market, account)
        try:
            if self._shares_sets(trades, account):
                return report_of(
                    self.model, self.market, [self._traded_set(x, trades) for x in self._sets], self._cash + cash
                )
            values = self.values
            sets, own = arrange(self.market, account, self.model.collateral, self.model.sets == UNDERLYING)
            return report_of(self.model, self.market, [ComputedSet(self.model, s, values) for s in sets], own + cash)
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

        They add up to the P&L of the netting sets.
        """
        result = {place: [_ZERO] * len(self.model.scenarios) for place, _ in self.account.positions}
        one = 10**self.market.money_exponent
        for computed in self._sets:
            book = computed.book
            for s, scenario in enumerate(self.model.scenarios):
                for h in book.moving:
                    move = self.values.move(h.place, scenario.price)
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
        return {place: tuple(row) for place, row in result.items()}

    def _sign(self, holdings: tuple[Holding, ...], state: State, factor: Fraction) -> int:
        gains = self.values.options(holdings, state) * factor > self.values.options(holdings, BASE)
        return -1 if gains else 1

    def _traded(self, trades: Mapping[int, Fraction]) -> Account:
        positions = dict(self.account.positions)
        for place, quantity in trades.items():
            positions[place] = positions.get(place, _ZERO) + quantity
        kept = tuple((place, q) for place, q in sorted(positions.items()) if q)
        return Account(kept, self.account.receivables, self.account.underlying)

    def _shares_sets(self, trades: Mapping[int, Fraction], after: Account) -> bool:
        """Whether the trades leave the netting sets what they are: derivatives only, of the same underlyings."""
        kinds = {self.market.listings[place].kind for place in trades}
        return Kind.SPOT not in kinds and self._underlyings(after) == self._underlyings(self.account)

    def _underlyings(self, account: Account) -> set[str]:
        held = (self.market.listings[place] for place, _ in account.positions)
        return {x.underlying for x in held if x.kind is not Kind.SPOT}

    def _traded_set(self, computed: ComputedSet, trades: Mapping[int, Fraction]) -> ComputedSet:
        book = computed.book
        own = {p: q for p, q in trades.items() if self.model.sets != UNDERLYING or self._name(p) == book.name}
        if not own:
            return computed
        changed = book.changed(own)
        pnl = tuple(
            before + scenario.weight * (self._move(own, scenario.price) + self._options(book, changed, s))
            for s, (scenario, before) in enumerate(zip(self.model.scenarios, computed.pnl, strict=True))
        )
        return ComputedSet(self.model, changed, self.values, pnl)

    def _name(self, place: int) -> str:
        return self.market.listings[place].underlying

    def _move(self, trades: Mapping[int, Fraction], price: Fraction) -> Fraction:
        total = _ZERO
        for place, quantity in trades.items():
            if self.market.listings[place].kind is not Kind.OPTION:
                total += quantity * Fraction(self.values.move(place, price), 10**self.market.money_exponent)
        return total

    def _options(self, before: NettingSet, after: NettingSet, s: int) -> Fraction:
        """Change of the options' P&L in scenario s, before its weight: of the expiries that are not shared."""
        scenario, total = self.model.scenarios[s], _ZERO
        for key in before.options.keys() | after.options.keys():
            old, new = before.options.get(key), after.options.get(key)
            if old is not new:
                total += expiry_pnl(new, scenario, self.values) if new else _ZERO
                total -= expiry_pnl(old, scenario, self.values) if old else _ZERO
        return total


def alone(margin: AccountMargin, place: int, quantity: Fraction) -> MarginReport:
    """The report of one position by itself, without cash or receivables."""
    account = Account(((place, quantity),), (), margin.account.underlying)
    try:
        return evaluate_model(margin.model, margin.market, account, margin.values)
    finally:
        margin.values.forget()
