"""Paradex's table of 24 scenarios and the parameters in its text, against the model that ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.risk.margining import MarginModel, load_model
from riskproof.risk.margining.charges.delta import Delta
from riskproof.risk.margining.volatility import Move, PowerScaling
from tests.conformance.cases import Case, Check, VectorError, guarded, number

COLUMNS = ["spot_shock_pct", "vol_shock_pct", "weight_pct"]
_POWERS = re.compile(r"iv\*\(1\+shock\*\((\d+)/max\(dte_floor,dte\)\)\^p\), p=([\d.]+) if dte<(\d+) else ([\d.]+)")
_DELTA = re.compile(r"\(([\d.]+)%\*\|net delta\| \+ ([\d.]+)%\*hedged delta\)\*spot")
_MAINTENANCE = re.compile(r"([\d.]+)\*max\(\.\.\)\+provisions")


def matches(file: Any) -> bool:
    return isinstance(file, dict) and file.get("columns") == COLUMNS and isinstance(file.get("scenarios"), list)


def run(file: Any) -> Iterator[Case]:
    model = load_model("paradex24")
    for name, part in (("scenarios", _scenarios), ("parameters", _parameters)):
        yield guarded(name, partial(part, file, model))


def _scenarios(file: Any, model: MarginModel) -> list[Check]:
    checks = [Check("count", Fraction(len(file["scenarios"])), Fraction(len(model.scenarios)))]
    for i, ((price, vol, weight), scenario) in enumerate(zip(file["scenarios"], model.scenarios, strict=True)):
        shock = None if scenario.vol is None else model.volatility.shock(scenario.vol)
        moved = shock.amount if isinstance(shock, Move) and shock.scaled else Fraction(0)
        checks += [
            Check(f"price {i + 1}", number(price) / 100, scenario.price),
            Check(f"vol {i + 1}", number(vol) / 100, moved),
            Check(f"weight {i + 1}", number(weight) / 100, scenario.weight),
        ]
    return checks


def _parameters(file: Any, model: MarginModel) -> list[Check]:
    powers, deltas, share = (
        pattern.fullmatch(file[key])
        for pattern, key in ((_POWERS, "vol"), (_DELTA, "min_delta"), (_MAINTENANCE, "mmr"))
    )
    if powers is None or deltas is None or share is None:
        raise VectorError("vol, min_delta or mmr is not written as before")
    scaling, charges = model.volatility.scaling, dict(model.charges)
    net, hedged = charges["delta_net"], charges["delta_hedged"]
    if not isinstance(scaling, PowerScaling) or not isinstance(net, Delta) or not isinstance(hedged, Delta):
        raise TypeError("the model has no power scaling or delta charges")
    (maintenance,) = [x for name, x in model.aggregate.account_terms if name == "maintenance"]
    return [
        Check("reference_days", number(powers[1]), scaling.reference_days),
        Check("short_until_days", number(powers[3]), scaling.reference_days),
        Check("short_power", number(powers[2]), scaling.short),
        Check("long_power", number(powers[4]), scaling.long),
        Check("net_delta", number(deltas[1]) / 100, net.rates[0]),
        Check("hedged_delta", number(deltas[2]) / 100, hedged.rates[0]),
        Check("maintenance", number(share[1]), maintenance.arguments[0].number),
    ]
