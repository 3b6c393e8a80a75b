"""The requirement of a model of version 1 as a convex function of the lots.

factor (max(0, max_s -L[s]) + sum_i |q_i| b_i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from riskproof.proof.programme.convex import Affine, magnitude, maximum, total
from riskproof.risk.arrays import RiskArray
from riskproof.risk.model import RiskModel
from riskproof.units import RATIO_ONE

_ZERO = Affine()


@dataclass(frozen=True)
class ArrayPart:
    """One attestation's part: its risk array, and the place of each live instrument among the lots."""

    array: RiskArray
    names: tuple[str, ...]
    places: dict[int, int]


def requirement(model: RiskModel, parts: Sequence[ArrayPart], *, initial: bool) -> Affine:
    """Initial or maintenance margin of what the parts hold together."""
    losses = []
    for s, scenario in enumerate(model.scenarios):
        loss = total(
            Affine(positions={place: Fraction(-int(part.array.rows[i, s]), 10**part.array.pnl_exponent)})
            for part in parts
            for i, place in part.places.items()
            if part.array.rows[i, s]
        )
        losses.append((scenario.id, loss))
    worst = maximum("worst loss", [_ZERO, *(loss for _, loss in losses)])
    charges = []
    for j, part in enumerate(parts):
        for i, place in part.places.items():
            if part.array.buffer[i]:
                charge = Affine(positions={place: Fraction(int(part.array.buffer[i]), 10**part.array.pnl_exponent)})
                charges.append(magnitude(f"buffer on {part.names[i]} of attestation {j}", charge))
    factor = Fraction(model.initial_factor if initial else model.maintenance_factor, RATIO_ONE)
    return total([worst, *charges]).times(factor)


def value(parts: Sequence[ArrayPart]) -> Affine:
    """What the parts are worth together: base values, without haircuts."""
    return total(
        Affine(positions={place: Fraction(int(part.array.base_value[i]), 10**part.array.pnl_exponent)})
        for part in parts
        for i, place in part.places.items()
        if part.array.base_value[i]
    )
