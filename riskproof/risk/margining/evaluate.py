"""From a model, a market and an account to a margin; docs/risk-model.md, the section on version 2.

For each netting set and each scenario s, with w its weight and a its price move:

    E_e[s] = f(V_e[s]) V_e[s] - V_e[0]                V_e the value of an expiry's options, f the static factor of its sign
    L[s]   = w ( sum_e E_e[s] + sum of moves of perpetuals, futures and of collateral that moves )
             with -|E_e[s]| in place of E_e[s] where the scenario is adverse
    C[s] = L[s] closer to zero by the scenario's dampener
    loss.<group>  = max over the group's scenarios of -C[s]
    joint.<group> = max over the group's scenarios of -sum over the sets of (C[s] if C[s] < 0 else gain_factor C[s])
    tail.<id>, joint_tail.<id> = the measure of the same P&Ls under joint moves (`tail_values`), without weight and dampener

then charges, then the aggregate. Unit values are integers of 10^-m (`values`); everything after them is exact until the
report is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from riskproof.errors import PortfolioError, SnapshotError
from riskproof.market.registry import Kind
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.aggregate import ROOTS, Expression
from riskproof.risk.margining.book import Holding, NettingSet, arrange
from riskproof.risk.margining.charges import of_account
from riskproof.risk.margining.charges.context import INITIAL, MAINTENANCE, MARGINS
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.grid import ADVERSE, BASE, Scenario
from riskproof.risk.margining.joint import JointPnl, added
from riskproof.risk.margining.market import MarginMarket
from riskproof.risk.margining.report import Choice, MarginReport, SetReport, TailReport
from riskproof.risk.margining.values import UnitValues

if TYPE_CHECKING:
    from riskproof.risk.margining.tail import Measured, TailSet

_ZERO = Fraction(0)


def evaluate_model(
    model: MarginModel, market: MarginMarket, account: Account, values: UnitValues | None = None
) -> MarginReport:
    """Margin of an account.

    Args:
        values: unit values of the same model and market from an earlier call, so that instruments are priced once for many
        accounts.

    Raises:
        SnapshotError: the market lacks something that is needed: a forward, a mark, a volatility, a confidence.
        PortfolioError: more positions, expiries or underlyings than the model allows, or collateral that it does not take.
        HistoryError: the market comes without a history that the model names.
        ModelError: something that is held does not take part in the joint moves and is not named as immovable.
    """
    if values is None:
        values = UnitValues(model, market)
    elif values.model is not model or values.market is not market:
        raise AssertionError("unit values of another model or market")
    if market.settlement_price <= 0:
        raise SnapshotError("not positive", where="settlement_price", expected="a price above zero")
    check_limits(model, market, account)
    sets, cash = arrange(market, account, model.collateral, model.sets)
    values.price(options_of(market, account), values.states)
    return report_of(model, market, [ComputedSet(model, book, values) for book in sets], cash)


def options_of(market: MarginMarket, account: Account) -> list[int]:
    """Places of the options that an account holds."""
    return [place for place, _ in account.positions if market.listings[place].kind is Kind.OPTION]


def report_of(model: MarginModel, market: MarginMarket, computed: list[ComputedSet], cash: Fraction) -> MarginReport:
    """The report of an account from its netting sets, by name, and its cash."""
    account_charges = _account_charges(model, computed)
    tails = _joint_tails(model, computed)
    terms = {
        margin: _account_terms(model, market, computed, cash, account_charges[margin], tails, margin)
        for margin in MARGINS
    }
    choices = [c for margin in MARGINS for x in computed for c in x.choices(margin)]
    choices += [c for margin in MARGINS for c in terms[margin][1]]
    return MarginReport(
        model=model.name,
        model_digest=model.digest,
        settlement=market.settlement,
        scenario_ids=tuple(s.id for s in model.scenarios),
        equity=terms[INITIAL][0]["equity"],
        initial=terms[INITIAL][0]["initial"],
        maintenance=terms[MAINTENANCE][0]["maintenance"],
        cash=cash,
        sets=tuple(x.report() for x in computed),
        choices=tuple(choices),
        rounding=model.rounding,
        account_charges=tuple(
            (name, amount, account_charges[MAINTENANCE][name]) for name, amount in account_charges[INITIAL].items()
        ),
        tails=tuple(tails.values()),
    )


# P&L in every scenario, and the denominator that all of them have.
Pnl = tuple[list[int], int]


def scenario_pnl(
    model: MarginModel, book: NettingSet, values: UnitValues, pnl_of: Callable[[tuple[Holding, ...]], Pnl] | None = None
) -> tuple[Fraction, ...]:
    """L[s] of a netting set, for each scenario; `pnl_of` is `expiry_pnls` of the set's expiries unless it is known better."""
    parts = [expiry_pnls(held, values) if pnl_of is None else pnl_of(held) for held in book.options.values()]
    common = math.lcm(*(unit for _, unit in parts))
    sums = [0] * len(model.scenarios)
    for part, unit in parts:
        sums = [x + y * (common // unit) for x, y in zip(sums, part, strict=True)]
    states = {(s.price, s.on) for s in model.scenarios} if book.moving else set()
    moves = {state: values.moves(book.moving, *state) for state in states}
    return tuple(
        s.weight * (Fraction(x, common) + moves.get((s.price, s.on), _ZERO))
        for s, x in zip(model.scenarios, sums, strict=True)
    )


def expiry_pnls(holdings: tuple[Holding, ...], values: UnitValues) -> Pnl:
    """E_e[s] of the options of an expiry, for each scenario, before its weight."""
    common = math.lcm(*(h.quantity.denominator for h in holdings))
    total = [0] * (len(values.model.scenarios) + 1)
    for h in holdings:
        lots = h.quantity.numerator * (common // h.quantity.denominator)
        total = [x + lots * v for x, v in zip(total, values.in_scenarios(h.place), strict=True)]
    return pnl_of_values(holdings, values, total, common * 10**values.market.money_exponent)


def pnl_of_values(holdings: tuple[Holding, ...], values: UnitValues, worth: list[int], denominator: int) -> Pnl:
    """E_e[s] of an expiry from the value of its options now and in each scenario."""
    long, short = values.static_factors(holdings[0].place)
    unit = math.lcm(long.denominator, short.denominator)
    gain, loss = (f.numerator * (unit // f.denominator) for f in (long, short))
    now, *shocked = worth
    pnl = [x * (gain if x >= 0 else loss) - now * unit for x in shocked]
    adverse = [-abs(x) if s.expiry_pnl == ADVERSE else x for x, s in zip(pnl, values.model.scenarios, strict=True)]
    return adverse, unit * denominator


def expiry_pnl(holdings: tuple[Holding, ...], scenario: Scenario, values: UnitValues) -> Fraction:
    """E_e[s] of the options of an expiry in one scenario, before its weight."""
    long, short = values.static_factors(holdings[0].place)
    shocked = values.options(holdings, scenario.state)
    change = shocked * (long if shocked >= 0 else short) - values.options(holdings, BASE)
    return -abs(change) if scenario.expiry_pnl == ADVERSE else change


class ComputedSet:
    """A netting set's numbers. Its P&L in each scenario, and under each joint move of a set, may be given where it is known."""

    def __init__(
        self,
        model: MarginModel,
        book: NettingSet,
        values: UnitValues,
        pnl: tuple[Fraction, ...] | None = None,
        tail_pnl: Callable[[int], JointPnl] | None = None,
    ) -> None:
        self.model, self.book, self.units = model, book, values
        self.pnl = scenario_pnl(model, book, values) if pnl is None else pnl
        self.counted = tuple(s.counted(x) for s, x in zip(model.scenarios, self.pnl, strict=True))
        self.worst = {g: min(places, key=self.counted.__getitem__) for g, places in model.groups.items()}
        self.values = {
            "options": sum((values.options(h, BASE) for h in book.options.values()), _ZERO),
            "spot": sum(book.counted.values(), _ZERO),
            "receivables": book.receivables,
        }
        self.charges = {m: {name: c.amount(book, values, m) for name, c in model.charges} for m in MARGINS}
        self._tails: dict[int, JointPnl] = {}
        self._tail_pnl = tail_pnl
        self._terms: dict[str, dict[str, Fraction]] = {}
        self._choices: dict[str, list[Choice]] = {}
        for margin in MARGINS:
            lookup = self._lookup(margin)
            self._terms[margin], self._choices[margin] = _evaluated(
                model.aggregate.set_terms, lookup, margin, book.name
            )

    def _lookup(self, margin: str) -> Callable[[str], Fraction]:
        def lookup(name: str) -> Fraction:
            return self.number(name, margin)

        return lookup

    def number(self, name: str, margin: str) -> Fraction:
        """A named number of this set."""
        block, _, rest = name.partition(".")
        if block == "loss":
            return self.loss(rest)
        if block == "charge":
            return self.charges[margin][rest]
        if block == "value":
            return self.values[rest]
        if block == "feed":
            return self.book.market.settlement_price
        if block == "tail":
            n, tail_set = _tail_set(self.model, rest)
            return measured(tail_set, self.tail_pnl(n))[0].amount
        return self._terms[margin][name]

    def loss(self, group: str) -> Fraction:
        """loss.<group>."""
        return -self.counted[self.worst[group]]

    def tail_pnl(self, n: int) -> JointPnl:
        """P&L under the joint moves of the tail block's set n."""
        if n not in self._tails:
            known = self._tail_pnl
            self._tails[n] = self.units.joint.pnl(n, self.book, self.units) if known is None else known(n)
        return self._tails[n]

    def choices(self, margin: str) -> list[Choice]:
        return self._choices[margin]

    def report(self) -> SetReport:
        return SetReport(
            self.book.name,
            self.counted,
            tuple(self.worst.items()),
            tuple(
                (name, self.charges[INITIAL][name], self.charges[MAINTENANCE][name])
                for name, charge in self.model.charges
                if not of_account(charge)
            ),
            tuple(self.values.items()),
        )


def _account_terms(
    model: MarginModel,
    market: MarginMarket,
    sets: list[ComputedSet],
    cash: Fraction,
    account_charges: dict[str, Fraction],
    tails: dict[str, TailReport],
    margin: str,
) -> tuple[dict[str, Fraction], list[Choice]]:
    own = {name for name, _ in model.aggregate.account_terms}
    of_account = {f"charge.{name}": amount for name, amount in account_charges.items()}
    known: dict[str, Fraction] = {}

    def lookup(name: str) -> Fraction:
        if name in own:
            return known[name]
        if name == "feed.settlement_price":
            return market.settlement_price
        if name == "value.cash":
            return cash
        if name == "value.total":
            return cash + sum((v for x in sets for v in x.values.values()), _ZERO)
        if name in of_account:
            return of_account[name]
        if name.startswith("joint."):
            return _joint(model, sets, name.removeprefix("joint."))
        if name.startswith("joint_tail."):
            found = tails.get(name.removeprefix("joint_tail."))
            return found.amount if found is not None else _ZERO
        return sum((x.number(name, margin) for x in sets), _ZERO)

    return _evaluated(model.aggregate.account_terms, lookup, margin, "", known)


def _account_charges(model: MarginModel, sets: list[ComputedSet]) -> dict[str, dict[str, Fraction]]:
    """Amounts of the charges of the whole account, by margin and id."""
    books = [(x.book, x.loss) for x in sets]
    charges = [(name, charge) for name, charge in model.charges if of_account(charge)]
    return {
        margin: {
            name: charge.account_amount(books, sets[0].units, margin) if sets else _ZERO for name, charge in charges
        }
        for margin in MARGINS
    }


def _joint(model: MarginModel, sets: list[ComputedSet], group: str) -> Fraction:
    def counted(place: int) -> Fraction:
        return sum((model.across(x.counted[place]) for x in sets), _ZERO)

    return -min(counted(place) for place in model.groups[group])


def _tail_set(model: MarginModel, id_: str) -> tuple[int, TailSet]:
    if model.tail is None:
        raise AssertionError("a name of the tail block")
    return next((n, s) for n, s in enumerate(model.tail.sets) if s.id == id_)


def measured(tail_set: TailSet, pnl: JointPnl) -> tuple[Measured, int]:
    """The greatest measure over the parts, and its part."""
    found = [tail_set.measured(part, pnl.unit) for part in pnl.parts]
    part = max(range(len(found)), key=lambda n: (found[n].amount, -n))
    return found[part], part


def joint_pnl(model: MarginModel, sets: Sequence[ComputedSet], n: int) -> JointPnl:
    """P&L of all netting sets together, one or more, under the joint moves of the tail block's set n."""
    pnl = [x.tail_pnl(n) for x in sets]
    if len(sets) == 1 and model.gain_factor == 1:
        return pnl[0]
    return added([x.counted(model.gain_factor) for x in pnl])


def _joint_tails(model: MarginModel, sets: list[ComputedSet]) -> dict[str, TailReport]:
    """The tail block's sets measured on all netting sets together, by id; none of an account without any."""
    reports: dict[str, TailReport] = {}
    if model.tail is None or not sets:
        return reports
    for n, tail_set in enumerate(model.tail.sets):
        joint = joint_pnl(model, sets, n)
        found, part = measured(tail_set, joint)
        worst = sets[0].units.joint.moves_of(n)[part].ids[found.worst]
        reports[tail_set.id] = TailReport(
            tail_set.id, tail_set.measure, found.amount, found.value_at_risk, worst, found.loss
        )
    return reports


def _evaluated(
    terms: tuple[tuple[str, Expression], ...],
    lookup: Callable[[str], Fraction],
    margin: str,
    set_name: str,
    known: dict[str, Fraction] | None = None,
) -> tuple[dict[str, Fraction], list[Choice]]:
    """Terms in order, and what their max and min chose. `known` grows as they are computed, for a lookup that reads it."""
    results: dict[str, Fraction] = {} if known is None else known
    choices = []

    def name_of(name: str) -> Fraction:
        return results[name] if name in results else lookup(name)

    for name, x in terms:
        results[name] = x.evaluate(name_of)
        candidates = x.candidates(name_of)
        if candidates and (set_name or name == margin or name not in ROOTS):
            binding = next(label for label, value in candidates if value == results[name])
            choices.append(Choice(set_name, margin, name, candidates, binding))
    return results, choices


def check_limits(model: MarginModel, market: MarginMarket, account: Account) -> None:
    """PortfolioError if the account has more of something than the model allows."""
    legs = [market.listings[place] for place, _ in account.positions]
    derivatives = [x for x in legs if x.kind is not Kind.SPOT]
    expiries = {(x.underlying, x.expiry) for x in derivatives if x.kind is Kind.OPTION}
    check_counts(model, len(legs), len(expiries), len({x.underlying for x in derivatives}))


def check_counts(model: MarginModel, legs: int, expiries: int, underlyings: int) -> None:
    """PortfolioError if one of them is more than the model allows."""
    for name, count in (("legs", legs), ("expiries", expiries), ("underlyings", underlyings)):
        most = getattr(model.limits, name)
        if count > most:
            raise PortfolioError(
                f"{count} {name}", where=f"limits.{name}", expected=f"at most {most} under {model.name}"
            )
