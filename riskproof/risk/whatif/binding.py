"""Which candidate of a margin binds, and in which scenario.

The model's aggregate is followed from the margin down: through a term that is a `max` or a `min` only along what it chose, through
everything else along all of it. The losses that are met on the way are what the margin comes from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from riskproof.risk.margining.aggregate import Expression
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.markets import AnyModel
from riskproof.risk.margining.report import MarginReport, SetReport
from riskproof.risk.model import RiskModel

_LOSSES = ("loss.", "joint.")
_TAILS = ("tail.", "joint_tail.")
_VERSION1 = Expression("max", arguments=(Expression("name", name="loss.all"), Expression("number")))


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds in a netting set.

    Attributes:
        set: its name.
        candidate: the label of what the model's `max` or `min` chose: `loss.<group>`, `charge.<id>`, a number; "" where the model
            lets nothing compete and adds everything up.
        scenarios: places of the scenarios that the requirement comes from; empty where none does.
        tails: `tail.<id>`, `joint_tail.<id>` that it comes from.
    """

    set: str
    candidate: str
    scenarios: tuple[int, ...]
    tails: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """The candidate in words, also where nothing competes."""
        return self.candidate or ", ".join(self.tails) or ("" if self.scenarios else "the sum of the charges")


@dataclass
class _Walk:
    """Names that one netting set's share of a margin comes from, and labels that were chosen, each once and in order."""

    terms: dict[str, Expression]
    chosen: dict[str, str]
    names: dict[str, None] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)

    def term(self, name: str) -> None:
        """Follow a term of the aggregate, or note a name that is none."""
        if name not in self.terms:
            self.names[name] = None
            return
        x = self.terms[name]
        if name in self.chosen:
            label = self.chosen[name]
            self.labels[label] = None
            self.expression(next(a for a in x.arguments if a.label == label))
        else:
            self.expression(x)

    def expression(self, x: Expression) -> None:
        if x.op == "name":
            self.term(x.name)
        for argument in x.arguments:
            self.expression(argument)


def binding(report: MarginReport, model: AnyModel, margin: str = "initial") -> list[Binding]:
    """What binds for a margin under the model that the report is of, one for each netting set."""
    return [_of_set(report, model, s, margin) for s in report.sets]


def _of_set(report: MarginReport, model: AnyModel, s: SetReport, margin: str) -> Binding:
    if isinstance(model, RiskModel):
        terms, root = {"worst": _VERSION1}, "worst"
    else:
        terms, root = {**dict(model.aggregate.set_terms), **dict(model.aggregate.account_terms)}, margin
    walk = _Walk(terms, {c.term: c.binding for c in report.choices if c.set in (s.name, "") and c.margin == margin})
    walk.term(root)
    labels = [x for x in walk.labels if x not in terms] or list(walk.labels)
    candidate = next((x for x in labels if any(loss in x for loss in _LOSSES)), labels[0] if labels else "")
    return Binding(
        s.name,
        candidate,
        tuple(sorted(set(_scenarios(report, model, s, walk.names)))),
        tuple(x for x in walk.names if x.startswith(_TAILS)),
    )


def _scenarios(report: MarginReport, model: AnyModel, s: SetReport, names: Iterable[str]) -> Iterable[int]:
    """Places of the scenarios of the losses among some names: the set's own worst, or the worst of all sets together."""
    worst = dict(s.worst)
    for name in names:
        kind, _, group = name.partition(".")
        if kind == "loss" and group in worst:
            yield worst[group]
        elif kind == "joint" and isinstance(model, MarginModel):
            yield min(
                model.groups[group], key=lambda n: sum((model.across(x.pnl[n]) for x in report.sets), Fraction(0))
            )
