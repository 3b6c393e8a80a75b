"""From a model and attested markets to the rows of the statements `margin` and `excess` (docs/protocol.md, 2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import ProofError
from riskproof.proof.challenge import AnyModel, Challenge, Margin, StatementKind
from riskproof.proof.programme import version1, version2
from riskproof.proof.programme.convex import Affine, convex
from riskproof.proof.programme.listed import MarketPart
from riskproof.proof.programme.lowering import Lowering
from riskproof.proof.rows import (
    AttestedMarket,
    StatementRows,
    check_markets,
    check_size,
    compile_rows,
    rows_exponent,
    usual_bits,
)
from riskproof.proof.statement import Coefficients, Rows
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.markets import from_market
from riskproof.risk.model import RiskModel
from riskproof.units import MICROS_EXPONENT

Int64 = npt.NDArray[np.int64]
_ENTRY_BYTES: Final = 256  # of a coefficient in the lowering, with the expression that it comes from


@dataclass(frozen=True, eq=False)
class CompiledMargin:
    """A requirement as rows; as `riskproof.proof.rows.Compiled` for the other statements.

    Attributes:
        coefficients: A and D; every column has scale 1.
        lowering: the rows, and how the auxiliaries follow from the lots.
        exponent: decimals of the finest row.
        proved: what the rows show, in words.
        bounds: where they ask for more than the model does, in words; () if the requirement is proved as it is.
    """

    coefficients: Coefficients = field(repr=False)
    lowering: Lowering = field(repr=False)
    exponent: int
    proved: tuple[str, ...]
    bounds: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """About how much memory this takes."""
        entries = sum(len(row.positions) + len(row.auxiliaries) for row in self.lowering.rows)
        return self.coefficients.nbytes + _ENTRY_BYTES * entries

    def rows(self, bound_micros: int) -> Rows:
        """The rows with a bound."""
        constants = tuple(row.constant + row.per_micro * bound_micros for row in self.lowering.rows)
        names = tuple(row.name for row in self.lowering.rows)
        return Rows(self.coefficients, constants, self.lowering.rows[-1].decimals, tuple(self.lowering.pins), names)

    def bits(self, stated: int | None) -> int:
        """b: what the challenge states, or what the finest row needs."""
        return usual_bits(self.exponent) if stated is None else stated

    def auxiliary(self, lots: Int64) -> tuple[int, ...]:
        """The least auxiliary values that satisfy their rows."""
        held = {int(i): int(lots[i]) for i in np.flatnonzero(lots)}
        return self.lowering.values(lambda i: held.get(i, 0))


def programme(
    statement: StatementKind, requirement: Margin, model: AnyModel, attested: Sequence[AttestedMarket]
) -> tuple[Lowering, tuple[str, ...]]:
    """The rows of a requirement, and where it is bounded; as `compile_margin`, which makes arrays of them."""
    exponent = rows_exponent(a.market.registry for a in attested)
    wanted, equity, held, notes = _expressions(requirement, model, attested)
    function, bounds = convex(wanted - equity if statement is StatementKind.EXCESS else wanted)
    lowering = Lowering(exponent, frozenset(held))
    for place, name in held.items():
        lowering.not_negative(place, name)
    name = f"{requirement} margin" if statement is StatementKind.MARGIN else f"excess over {requirement} margin"
    lowering.at_most(function, name)
    return lowering, (*notes, *bounds)


def compile_margin(
    statement: StatementKind, requirement: Margin, model: AnyModel, attested: Sequence[AttestedMarket]
) -> CompiledMargin:
    """The rows of a statement over attested markets, in the order of the attestations.

    Raises:
        ProofError: a requirement that has no certificate, or too many rows or coefficients, or one that does not fit 64 bits.
        SnapshotError: a market lacks what the model needs.
    """
    n = check_markets(attested)
    lowering, bounds = programme(statement, requirement, model, attested)
    return compiled(lowering, n, sum(len(a.live) for a in attested), _proved(model, requirement, attested), bounds)


def compiled(
    lowering: Lowering, n: int, columns: int, proved: tuple[str, ...] = (), bounds: tuple[str, ...] = ()
) -> CompiledMargin:
    """Rows as arrays over so many columns of n places (ProofError for too many coefficients)."""
    rows, auxiliary_columns = len(lowering.rows), -(-len(lowering.decimals) // n)
    check_size(rows, columns + auxiliary_columns, n)
    positions = np.zeros((columns * n, rows), dtype=np.int64)
    auxiliary = np.zeros((auxiliary_columns * n, rows), dtype=np.int64)
    for r, row in enumerate(lowering.rows):
        for array, coefficients in ((positions, row.positions), (auxiliary, row.auxiliaries)):
            if coefficients:
                array[list(coefficients), r] = list(coefficients.values())
    exponent = max(MICROS_EXPONENT, *(row.decimals for row in lowering.rows))
    return CompiledMargin(Coefficients(n, positions, (1,) * columns, auxiliary), lowering, exponent, proved, bounds)


def compile_statement(challenge: Challenge, model: AnyModel, attested: Sequence[AttestedMarket]) -> StatementRows:
    """The rows of a challenge's statement, whichever it is (as `compile_rows` and `compile_margin`)."""
    if challenge.margin is not None:
        return compile_margin(challenge.statement, challenge.margin, model, attested)
    if not isinstance(model, RiskModel):
        raise ProofError(
            f"{challenge.statement} under {model.name}, a model of version 2",
            where="challenge.statement",
            expected="margin or excess, or a model of version 1",
        )
    return compile_rows(challenge.statement, model, attested)


def least_bound(lowering: Lowering, lots: Int64) -> int:
    """The least bound in micros, of either sign, with which the rows hold for a book."""
    held = {int(i): int(lots[i]) for i in np.flatnonzero(lots)}
    values, row = lowering.values(lambda i: held.get(i, 0)), lowering.rows[-1]
    rest = row.constant + sum(c * held.get(i, 0) for i, c in row.positions.items())
    rest += sum(c * values[x] for x, c in row.auxiliaries.items())
    return -(rest // row.per_micro)


def _expressions(
    requirement: Margin, model: AnyModel, attested: Sequence[AttestedMarket]
) -> tuple[Affine, Affine, dict[int, str], tuple[str, ...]]:
    """Requirement, equity, lots that are shown not to be negative, and notes."""
    places = _places(attested)
    if isinstance(model, RiskModel):
        arrays = []
        for a, live in zip(attested, places, strict=True):
            if a.array is None:
                raise AssertionError("a model of version 1 needs risk arrays")
            arrays.append(version1.ArrayPart(a.array, tuple(i.name for i in a.market.registry.instruments), live))
        wanted = version1.requirement(model, arrays, initial=requirement is Margin.INITIAL)
        return wanted, version1.value(arrays), {}, ()
    parts = [
        MarketPart(from_market(a.market), Fraction(1, 10**a.market.registry.quantity_exponent), live)
        for a, live in zip(attested, places, strict=True)
    ]
    made = version2.requirement(model, parts)
    return made.initial if requirement is Margin.INITIAL else made.maintenance, made.equity, made.held, made.notes


def _places(attested: Sequence[AttestedMarket]) -> list[dict[int, int]]:
    """For each attestation, the place among all lots of each instrument that is live, quoted and not expired."""
    found, at = [], 0
    for a in attested:
        registry, snapshot = a.market.registry, a.market.snapshot
        n = registry.column_size
        start = {number: at + k * n for k, number in enumerate(a.live)}
        found.append(
            {
                i: start[i // n] + i % n
                for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True))
                if i // n in start and quote is not None and not snapshot.is_expired(instrument)
            }
        )
        at += len(a.live) * n
    return found


def _proved(model: AnyModel, requirement: Margin, attested: Sequence[AttestedMarket]) -> tuple[str, ...]:
    words = [f"the {requirement} margin that {model.name} asks for all positions together"]
    if isinstance(model, MarginModel):
        words.append("assets held as collateral are not owed")
        words.append(
            "unsettled P&L and funding count as zero; limits on the number of positions and expiries are not shown"
        )
    if len(attested) > 1:
        words.append("across accounts, scenarios are netted; expiries, strikes and charges are not")
    return tuple(words)
