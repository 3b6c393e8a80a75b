"""What the engine answers: margins and everything they are made of, exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from riskproof.encoding import Json
from riskproof.risk.margining.document import Rounding
from riskproof.units import format_decimal


@dataclass(frozen=True, slots=True, repr=False)
class Choice:
    """What a `max` or `min` of the aggregate chose.

    Attributes:
        set: name of the netting set, or "" for a term of the account.
        margin: "initial" or "maintenance". term: its name.
        candidates: (label, amount) of each argument; the binding one is the first of the largest (least, for a min).
        binding: its label.
    """

    set: str
    margin: str
    term: str
    candidates: tuple[tuple[str, Fraction], ...]
    binding: str


@dataclass(frozen=True, slots=True, repr=False)
class SetReport:
    """A netting set.

    Attributes:
        name: its underlying, or "account".
        pnl: P&L in each scenario of the model, a gain positive, with the scenario's weight and dampener.
        worst: (group, place of the scenario with the least P&L), groups in the model's order.
        charges: (id, amount for initial margin, for maintenance margin).
        values: ("options" | "spot" | "receivables", present value).
    """

    name: str
    pnl: tuple[Fraction, ...]
    worst: tuple[tuple[str, int], ...]
    charges: tuple[tuple[str, Fraction, Fraction], ...]
    values: tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, slots=True, repr=False)
class TailReport:
    """A set of joint moves, measured on all netting sets together.

    Attributes:
        id: the set's. measure: its kind.
        amount: the measure, a loss; over an interval of correlations the greatest.
        value_at_risk: a loss, None for the worst loss.
        worst: the joint move of the largest loss: the day it ended, a path, a name. loss: that loss.
    """

    id: str
    measure: str
    amount: Fraction
    value_at_risk: Fraction | None
    worst: str
    loss: Fraction


@dataclass(frozen=True, repr=False)
class MarginReport:
    """Margin of an account under a model, in the settlement currency, exact. Secret: the repr shows no number.

    Attributes:
        model, model_digest: name and digest.
        settlement: the settlement currency.
        scenario_ids: in the model's order.
        equity: what the account has. initial, maintenance: what it needs; the excess is the difference.
        sets: netting sets by name.
        choices: what bound, for each max and min at the top of a term.
        rounding: the model's, for `to_document`.
        account_charges: (id, amount for initial margin, for maintenance margin) of charges of the whole account.
        tails: sets of the model's tail block, in its order.
    """

    model: str
    model_digest: bytes
    settlement: str
    scenario_ids: tuple[str, ...]
    equity: Fraction
    initial: Fraction
    maintenance: Fraction
    cash: Fraction
    sets: tuple[SetReport, ...]
    choices: tuple[Choice, ...]
    rounding: Rounding
    account_charges: tuple[tuple[str, Fraction, Fraction], ...] = ()
    tails: tuple[TailReport, ...] = ()

    def __repr__(self) -> str:
        return f"MarginReport({self.model}, <{len(self.sets)} netting sets>)"

    @property
    def excess_initial(self) -> Fraction:
        """Equity less initial margin; negative is short."""
        return self.equity - self.initial

    @property
    def excess_maintenance(self) -> Fraction:
        """Equity less maintenance margin; negative is short."""
        return self.equity - self.maintenance

    @property
    def pnl(self) -> tuple[Fraction, ...]:
        """P&L in each scenario of the model, summed over the sets."""
        parts = [s.pnl for s in self.sets]
        return tuple(sum((p[i] for p in parts), Fraction(0)) for i in range(len(self.scenario_ids)))

    @property
    def choices_by_term(self) -> list[tuple[Choice, ...]]:
        """Choices that a term made for a margin, of all netting sets together."""
        found: dict[tuple[str, str], list[Choice]] = {}
        for choice in self.choices:
            found.setdefault((choice.margin, choice.term), []).append(choice)
        return [tuple(choices) for choices in found.values()]

    @property
    def charges(self) -> dict[str, tuple[Fraction, Fraction]]:
        """(initial, maintenance) amount of each charge, summed over the sets."""
        totals: dict[str, tuple[Fraction, Fraction]] = {name: (i, m) for name, i, m in self.account_charges}
        for s in self.sets:
            for name, initial, maintenance in s.charges:
                before = totals.get(name, (Fraction(0), Fraction(0)))
                totals[name] = before[0] + initial, before[1] + maintenance
        return totals

    @property
    def values(self) -> dict[str, Fraction]:
        """Present values by kind, summed over the sets, with cash."""
        totals = {"options": Fraction(0), "spot": Fraction(0), "receivables": Fraction(0), "cash": self.cash}
        for s in self.sets:
            for name, value in s.values:
                totals[name] += value
        return totals

    def to_document(self) -> dict[str, Json]:
        """Decimal strings, rounded as the model says: requirements as requirements, everything else as values."""

        def value(x: Fraction) -> str:
            return format_decimal(*self.rounding.of_value(x))

        def requirement(x: Fraction) -> str:
            return format_decimal(*self.rounding.of_requirement(x))

        document: dict[str, Json] = {
            "model": self.model,
            "model_digest": self.model_digest.hex(),
            "currency": self.settlement,
            "equity": value(self.equity),
            "initial_margin": requirement(self.initial),
            "maintenance_margin": requirement(self.maintenance),
            "excess_initial": value(self.excess_initial),
            "excess_maintenance": value(self.excess_maintenance),
            "values": {name: value(x) for name, x in self.values.items()},
            "charges": {
                name: {"initial": requirement(i), "maintenance": requirement(m)}
                for name, (i, m) in self.charges.items()
            },
            "choices": [
                {
                    "set": c.set,
                    "margin": c.margin,
                    "term": c.term,
                    "binding": c.binding,
                    "candidates": {label: value(x) for label, x in c.candidates},
                }
                for c in self.choices
            ],
            "sets": [
                {
                    "name": s.name,
                    "worst": {group: self.scenario_ids[place] for group, place in s.worst},
                    "scenarios": [{"id": i, "pnl": value(x)} for i, x in zip(self.scenario_ids, s.pnl, strict=True)],
                }
                for s in self.sets
            ],
        }
        if self.tails:
            document["tails"] = [
                {
                    "id": t.id,
                    "measure": t.measure,
                    "amount": requirement(t.amount),
                    "value_at_risk": None if t.value_at_risk is None else requirement(t.value_at_risk),
                    "worst": {"id": t.worst, "loss": requirement(t.loss)},
                }
                for t in self.tails
            ]
        return document
