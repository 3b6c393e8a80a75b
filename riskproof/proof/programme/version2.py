"""The requirement of a model of version 2 as a convex function of the lots: `riskproof.risk.margining`, with unknown positions.

Netting sets of several attestations are added up scenario by scenario; expiries, strikes and exposures of different attestations
stay apart, which can only ask for more than if they were one; what is per netting set (a threshold of `delta`, say) is not had once
for each. What depends on which instruments are held, not on how much, counts at its worst over all that are listed: the confidence
of feeds, the terms of collateral, a netting set's constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Final

from riskproof.errors import ProofError
from riskproof.market.registry import Kind
from riskproof.proof.programme.charges import Charges, amount_of
from riskproof.proof.programme.convex import (
    Affine,
    Discounted,
    IfHeld,
    Maximum,
    Rounded,
    Shortfall,
    Unknown,
    at_rest,
    magnitude,
    maximum,
    total,
    weighted,
)
from riskproof.proof.programme.histories import refuse_histories
from riskproof.proof.programme.listed import Listed, MarketPart
from riskproof.proof.programme.pledges import pledges_of
from riskproof.risk.margining.aggregate import Expression
from riskproof.risk.margining.book import ACCOUNT, Holding, NettingSet, set_of
from riskproof.risk.margining.charges import of_account
from riskproof.risk.margining.charges.context import INITIAL, MAINTENANCE
from riskproof.risk.margining.collateral import Asset, Collateral
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.grid import ADVERSE, BASE, Scenario
from riskproof.risk.margining.tail import TailSet
from riskproof.risk.margining.values import UnitValues
from riskproof.risk.tail.model import VALUE_AT_RISK
from riskproof.units import RATIO_ONE

_ZERO, _ONE = Affine(), Fraction(1)
FACTOR_DECIMALS: Final = 18


Unit = Callable[[Listed, Holding], int]


@dataclass
class Requirement:
    """A compiled aggregate.

    Attributes:
        initial, maintenance, equity: expressions of the lots, not yet convex.
        held: places whose lots the statement shows not to be negative, with names.
        notes: where the listed instruments made a charge larger than those held might.
    """

    initial: Affine
    maintenance: Affine
    equity: Affine
    held: dict[int, str]
    notes: tuple[str, ...]


def requirement(model: MarginModel, parts: Sequence[MarketPart], underlying: str | None = None) -> Requirement:
    """Margin of what the parts hold together.

    Args:
        underlying: the accounts' market, where no derivative that is listed tells.

    Raises:
        ProofError: the markets' settlement prices differ; they list more underlyings than the model nets; a product of two
            numbers that depend on the positions; a discount that is not concave.
        SnapshotError: a market lacks what the model needs of it.
        HistoryError: joint moves are those of a history.
    """
    return _Compiler(model, parts, underlying).run()


@dataclass
class _Compiler:
    model: MarginModel
    parts: Sequence[MarketPart]
    underlying: str | None
    listed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    held: dict[int, str] = field(default_factory=dict)
    tails: dict[tuple[str, int], list[list[Affine]]] = field(default_factory=dict)

    def run(self) -> Requirement:
        refuse_histories(self.model.tail)
        prices = {p.market.settlement_price for p in self.parts}
        if len(prices) != 1:
            raise ProofError(
                "the snapshots' settlement prices differ",
                where="attestations",
                expected="one price of the settlement currency",
            )
        self.price = prices.pop()
        self._check_underlyings()
        self.sets: dict[str, list[Listed]] = {}
        self.losses: dict[str, tuple[Affine, ...]] = {}
        cash = _ZERO
        for j, part in enumerate(self.parts):
            cash += self._arrange(j, part)
        self.cash = cash
        self.pledges = {name: pledges_of(name, listed) for name, listed in self.sets.items()}
        self.pledged = total(x.counted for pledges in self.pledges.values() for x in pledges.values())
        self.numbers = {name: self._numbers(name, listed) for name, listed in self.sets.items()}
        self.joint = self._joint()
        charges = {
            margin: {name: self._charges(listed, margin) for name, listed in self.sets.items()}
            for margin in (INITIAL, MAINTENANCE)
        }
        roots: dict[str, Affine] = {}
        for margin in (INITIAL, MAINTENANCE):
            terms = self._terms(charges[margin])
            roots[margin] = terms[margin]
            roots.setdefault("equity", terms["equity"])  # the engine's: with the charges of initial margin
        return Requirement(roots[INITIAL], roots[MAINTENANCE], roots["equity"], self.held, tuple(self.notes))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _check_underlyings(self) -> None:
        self.listed = tuple(
            sorted(
                {
                    x.underlying
                    for p in self.parts
                    for i, x in enumerate(p.market.listings)
                    if i in p.places and x.kind is not Kind.SPOT
                }
            )
        )
        most = self.model.limits.underlyings
        if len(self.listed) > most:
            raise ProofError(
                f"the markets list {len(self.listed)} underlyings, {self.model.name} takes accounts of {most}: a proof does not "
                "show which are held",
                where="model.limits.underlyings",
                expected=f"registries with derivatives of at most {most}",
            )

    def _markets_of(self, underlying: str) -> tuple[str | None, ...]:
        """What the market of a netting set with something of an underlying may be.

        Of one netting set it is that of all derivatives that are held, None without any or with several.
        """
        if self.model.sets != ACCOUNT:
            return (underlying,)
        return (self.underlying,) if self.underlying is not None else (*self.listed, None)

    def _arrange(self, j: int, part: MarketPart) -> Affine:
        """Sort a part's instruments into netting sets; its cash."""
        market, cash = part.market, _ZERO
        values = UnitValues(self.model, market)
        groups: dict[str, list[Holding]] = {}
        assets: dict[str, dict[str, Asset]] = {}
        for i, place in part.places.items():
            listing = market.listings[i]
            h = Holding(i, listing, _ONE)
            if market.is_cash(listing):
                cash += Affine(positions={place: listing.unit * part.lot})
                continue
            key = set_of(listing.underlying, listing.expiry, self.model.sets)
            if listing.kind is Kind.SPOT:
                self.held[place] = f"{listing.name} of attestation {j} is not owed"
                asset = self._asset(listing.underlying)
                if asset is None:
                    self.note(f"{listing.underlying} is no collateral of the model: it counts as nothing")
                    continue
                assets.setdefault(key, {})[listing.underlying] = asset
            groups.setdefault(key, []).append(h)
        for key, held in groups.items():
            options: dict[tuple[str, int], list[Holding]] = {}
            for h in held:
                if h.listing.kind is Kind.OPTION and h.listing.expiry is not None:
                    options.setdefault((h.listing.underlying, h.listing.expiry), []).append(h)
            taken, underlying = self.model.collateral, held[0].listing.underlying
            book = NettingSet(
                key,
                None if self.model.sets == ACCOUNT else underlying,
                market,
                None if taken is None else Collateral(taken.converted, tuple(sorted(assets.get(key, {}).items()))),
                {k: tuple(options[k]) for k in sorted(options)},
                tuple(h for h in held if h.listing.kind in (Kind.PERPETUAL, Kind.FUTURE)),
                tuple(h for h in held if h.listing.kind is Kind.SPOT),
                Fraction(0),
            )
            self.sets.setdefault(key, []).append(
                Listed(part, book, self._markets_of(underlying), values, f"attestation {j}")
            )
        return cash

    def _asset(self, name: str) -> Asset | None:
        """Terms of an asset: those that ask most, of the accounts that may hold it; None if no account takes it."""
        collateral = self.model.collateral
        if collateral is None:
            return None
        found = [x for m in self._markets_of(name) if (x := collateral.find(name, m)) is not None]
        if not found:
            return None
        if len({x.moves for x in found}) > 1:
            raise ProofError(
                f"{name} takes part in price moves in some accounts only: a proof does not show which are held",
                where="model.collateral",
                expected="one rule for all markets that are listed",
            )
        if len({replace(x, initial=Fraction(0), maintenance=Fraction(0)) for x in found}) > 1:
            raise ProofError(
                f"{name} has another cap, stress or concentration in some accounts: a proof does not show which are held",
                where="model.collateral",
                expected="one rule for all markets that are listed",
            )
        worst = replace(found[0], initial=max(x.initial for x in found), maintenance=max(x.maintenance for x in found))
        if set(found) != {worst}:
            self.note(f"{name} has the highest haircuts of the accounts that may hold it")
        return worst

    # ---- losses and values -------------------------------------------------------------------------------------------

    def _numbers(self, name: str, listed: list[Listed]) -> dict[str, Affine]:
        """loss.<group>, tail.<id> and value.<kind> of a netting set."""
        self.losses[name] = losses = tuple(self._loss(listed, s) for s in self.model.scenarios)
        numbers = {
            f"loss.{group}": maximum(f"loss.{group} of {name}", [losses[s] for s in places])
            for group, places in self.model.groups.items()
        }
        for n, tail in enumerate(self.model.tail.sets if self.model.tail is not None else ()):
            self.tails[name, n] = moved = self._tail_losses(listed, n)
            numbers[f"tail.{tail.id}"] = self._measure(tail, moved, f"tail.{tail.id} of {name}")
        numbers["value.options"] = total(x.options(h, BASE) for x in listed for h in x.book.options.values())
        numbers["value.spot"] = total(x.counted for x in self.pledges[name].values())
        numbers["value.receivables"] = _ZERO
        return numbers

    def _loss(self, listed: list[Listed], scenario: Scenario) -> Affine:
        """-L[s] of a netting set."""

        state = scenario.state

        def move(x: Listed, h: Holding) -> int:
            return x.values.move(h.place, scenario.price, scenario.on)

        def value(x: Listed, h: Holding) -> int:
            return x.values.option(h.place, state)

        loss = self._moved(listed, move, value, scenario.id, adverse=scenario.expiry_pnl == ADVERSE)
        if scenario.weight != 1 and not loss.is_constant:
            loss = weighted(Maximum(f"loss in {scenario.id}", (loss,)))
        loss = loss.times(scenario.weight)
        if not scenario.dampener or loss.is_constant:
            return loss
        self.note("a gain in a dampened scenario counts as nothing")
        return maximum(f"dampened loss in {scenario.id}", [_ZERO, loss + Affine(-scenario.dampener)])

    def _joint(self) -> dict[str, Affine]:
        """joint.<group> and joint_tail.<id>: all netting sets together."""
        numbers = {
            f"joint.{group}": maximum(
                f"joint.{group}",
                [total(self._across(losses[s]) for losses in self.losses.values()) for s in places],
            )
            for group, places in self.model.groups.items()
        }
        for n, tail in enumerate(self.model.tail.sets if self.model.tail is not None else ()):
            every = [self.tails[name, n] for name in self.sets]
            if every:
                moved = [
                    [total(map(self._across, moves)) for moves in zip(*parts, strict=True)]
                    for parts in zip(*every, strict=True)
                ]
                numbers[f"joint_tail.{tail.id}"] = self._measure(tail, moved, f"joint_tail.{tail.id}")
            else:
                numbers[f"joint_tail.{tail.id}"] = _ZERO
        return numbers

    def _across(self, loss: Affine) -> Affine:
        """What a set's loss counts where it meets those of other sets: a gain, gain_factor of it."""
        factor = self.model.gain_factor
        return loss if factor == 1 or loss.is_constant else maximum("loss across sets", [loss, loss.times(factor)])

    def _tail_losses(self, listed: list[Listed], n: int) -> list[list[Affine]]:
        """Losses of a netting set under the joint moves of the tail block's set n, by part and move."""
        parts = []
        for p, moves in enumerate(listed[0].values.joint.moves_of(n)):
            losses = []
            for k in range(len(moves)):

                def unit(x: Listed, h: Holding, p: int = p, k: int = k) -> int:
                    return x.values.joint.units(n, h.place)[p][k]

                losses.append(self._moved(listed, unit, unit, f"move {moves.ids[k]}", adverse=False))
            parts.append(losses)
        return parts

    def _measure(self, tail: TailSet, parts: Sequence[Sequence[Affine]], name: str) -> Affine:
        """The greatest measure over the parts."""
        found = []
        for losses in parts:
            if tail.tail is None or all(a.is_constant for a in losses):
                found.append(maximum(name, losses))
                continue
            if tail.measure == VALUE_AT_RISK:
                self.note(f"{name} is a value at risk, which is not convex: the expected shortfall counts")
            weights = tuple(int(w) for w in tail.method.weights(len(losses)))
            mass = Fraction(tail.tail * sum(weights), RATIO_ONE)
            found.append(weighted(Shortfall(name, tuple(losses), weights, mass)))
        return maximum(name, found)

    def _moved(self, listed: list[Listed], move: Unit, value: Unit, where: str, *, adverse: bool) -> Affine:
        """-P&L of a netting set when units of what moves gain `move`, and units of options become worth `value`."""

        def lost(x: Listed, h: Holding) -> int:
            return x.values.option(h.place, BASE) - value(x, h)

        parts = []
        for x in listed:
            parts.append(-x.money(x.book.moving, partial(move, x)))
            for (underlying, expiry), holdings in x.book.options.items():
                factors = x.values.static_factors(holdings[0].place)
                if factors == (_ONE, _ONE) and not adverse:
                    parts.append(x.money(holdings, partial(lost, x)))
                    continue
                shocked, now = x.money(holdings, partial(value, x)), x.options(holdings, BASE)
                at = f"{underlying} {expiry} of {x.label} in {where}"
                parts.append(self._expiry_loss(factors, shocked, now, at, adverse))
        return total(parts)

    def _expiry_loss(
        self, factors: tuple[Fraction, Fraction], shocked: Affine, now: Affine, where: str, adverse: bool
    ) -> Affine:
        """-E of an expiry, or |E| if the scenario is adverse."""
        long, short = factors
        if long == short == 1 or shocked.is_constant:
            lost = now - shocked
            return magnitude(f"|change| of {where}", lost) if adverse else lost
        long, short = _rounded(long, -1), _rounded(short, 1)
        if long > short:
            raise ProofError(
                "the static discount counts a long value more than a short one: not concave",
                where="model.pricing.static_discount",
                expected="a long factor of at most the short one",
            )
        lost = weighted(Discounted(where, shocked, long, short)) + now
        if not adverse:
            return lost
        factor = min(max(long, _ONE), short)
        self.note("a gain in an adverse scenario counts at a discount of one for both signs")
        return maximum(f"|change| of {where}", [lost, shocked.times(factor) - now])

    # ---- charges -----------------------------------------------------------------------------------------------------

    def _charges(self, listed: list[Listed], margin: str) -> dict[str, Affine]:
        name = listed[0].book.name
        made = [Charges(x, listed, margin, self.note, self.pledges[name], self.pledged) for x in listed]
        return {
            f"charge.{name}": amount_of(made, name, charge)
            for name, charge in self.model.charges
            if not of_account(charge)
        }

    # ---- aggregate ---------------------------------------------------------------------------------------------------

    def _terms(self, charges: dict[str, dict[str, Affine]]) -> dict[str, Affine]:
        """The account's terms under the charges of one margin."""
        feed = Affine(self.price)
        sets: dict[str, dict[str, Affine]] = {}
        for name in self.sets:
            known = {**self.numbers[name], **charges[name], "feed.settlement_price": feed}
            for term, x in self.model.aggregate.set_terms:
                known[term] = self._expression(x, known.__getitem__, f"{term} of {name}")
            sets[name] = known
        own: dict[str, Affine] = {}
        of_sets = {
            term: total(self._if_held(known[term], f"{term} of {name}") for name, known in sets.items())
            for term, _ in self.model.aggregate.set_terms
        }
        offsets = {
            f"charge.{name}": weighted(Unknown(f"charge {name}", _ZERO))
            for name, charge in self.model.charges
            if of_account(charge)
        }

        def lookup(name: str) -> Affine:
            if name in own:
                return own[name]
            if name == "feed.settlement_price":
                return feed
            if name in self.joint or name in offsets:
                return self.joint[name] if name in self.joint else offsets[name]
            if name == "value.cash":
                return self.cash
            if name == "value.total":
                kinds = ("value.options", "value.spot")
                return total([self.cash, *(known[kind] for known in sets.values() for kind in kinds)])
            return of_sets[name] if name in of_sets else total(known[name] for known in sets.values())

        for term, x in self.model.aggregate.account_terms:
            own[term] = self._expression(x, lookup, term)
        return own

    @staticmethod
    def _if_held(term: Affine, name: str) -> Affine:
        """A netting set's term in the account: it has one only if it holds something of the set."""
        rest = at_rest(term)
        return weighted(IfHeld(name, term, rest)) if rest else term

    def _expression(self, x: Expression, lookup: Callable[[str], Affine], name: str) -> Affine:
        if x.op == "number":
            return Affine(x.number)
        if x.op == "name":
            return lookup(x.name)
        arguments = [self._expression(a, lookup, name) for a in x.arguments]
        if all(a.is_constant for a in arguments):
            texts = tuple(Expression("number", number=a.constant) for a in arguments)
            constants = Expression(x.op, arguments=texts, decimals=x.decimals, mode=x.mode)
            return Affine(constants.evaluate(lambda _: Fraction(0)))
        if x.op == "sum":
            return total(arguments)
        if x.op == "mul":
            factor, others = _ONE, [a for a in arguments if not a.is_constant]
            for a in arguments:
                factor *= a.constant if a.is_constant else _ONE
            if len(others) != 1:
                raise ProofError(
                    "a product of numbers that depend on the positions",
                    where=f"model.aggregate.{name}",
                    expected="one such number, and factors that the model or the snapshot fixes",
                )
            return others[0].times(factor)
        if x.op == "round":
            step = Fraction(1, 10**x.decimals)
            above, below = {"up": (step, 0 * step), "down": (0 * step, step), "half_even": (step / 2, step / 2)}[x.mode]

            def operation(value: Fraction) -> Fraction:
                return Expression(
                    "round", arguments=(Expression("number", number=value),), decimals=x.decimals, mode=x.mode
                ).evaluate(lambda _: Fraction(0))

            return weighted(Rounded(name, arguments[0], above, below, operation))
        if x.op == "max":
            return maximum(name, arguments, credit=True)
        return -maximum(name, [-a for a in arguments], credit=True)


def _rounded(factor: Fraction, direction: int) -> Fraction:
    """A factor to 18 decimals: down for a gain (direction -1), up for a loss."""
    one: int = 10**FACTOR_DECIMALS
    scaled = factor * one
    return Fraction(scaled.__floor__() if direction < 0 else scaled.__ceil__(), one)
