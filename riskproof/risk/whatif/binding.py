"""Which candidate of a margin binds, and in which scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from riskproof.risk.margining.report import Choice, MarginReport, SetReport

_LOSS = re.compile(r"\bloss\.([A-Za-z0-9._/+%-]+)")


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds in a netting set.

    Attributes:
        set: its name.
        candidate: the label of what the model's `max` or `min` chose: `loss.<group>`, `charge.<id>`, a number; "" where the model
            lets nothing compete and adds everything up.
        scenarios: places of the scenarios that the requirement comes from; empty where none does.
    """

    set: str
    candidate: str
    scenarios: tuple[int, ...]


def binding(report: MarginReport, margin: str = "initial") -> list[Binding]:
    """What binds for a margin, one for each netting set."""
    account = [c for c in report.choices if c.set == "" and c.margin == margin]
    result = []
    for s in report.sets:
        own = [c for c in report.choices if c.set == s.name and c.margin == margin]
        chosen = _followed([*own, *account], margin)
        groups = [g for label in chosen for g in _LOSS.findall(label)]
        if not any("loss." in label for c in (*own, *account) for label, _ in c.candidates):
            groups = [g for g, _ in s.worst]  # the losses do not compete
        candidate = next((x for x in chosen if "loss." in x), chosen[0] if chosen else "")
        result.append(Binding(s.name, candidate, _scenarios(s, groups)))
    return result


def _followed(choices: list[Choice], margin: str) -> list[str]:
    """Labels that were chosen, without those that lost as part of another term."""
    by_term: Mapping[str, Choice] = {c.term: c for c in choices}
    lost = {label for c in choices for label, _ in c.candidates if label != c.binding}
    return [c.binding for c in by_term.values() if c.term not in lost and c.binding not in by_term]


def _scenarios(s: SetReport, groups: list[str]) -> tuple[int, ...]:
    worst = dict(s.worst)
    return tuple(sorted({worst[g] for g in groups if g in worst}))
