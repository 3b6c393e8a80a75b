"""From a challenge and the attested markets to rows: `loss` and `solvency` (docs/protocol.md, sections 2.1 to 2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from riskproof import units
from riskproof.errors import ProofError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Registry
from riskproof.proof.challenge import StatementKind
from riskproof.proof.statement import MAX_BITS, MAX_CELLS, MAX_ROWS, Coefficients, Rows
from riskproof.risk.arrays import RiskArray
from riskproof.risk.collateral import haircuts
from riskproof.risk.model import RiskModel

Int64 = npt.NDArray[np.int64]

DEFAULT_BITS: Final = 64
_DEFAULT_EXPONENT: Final = 9  # the largest E whose slacks have 64 bits


@dataclass(frozen=True, eq=False)
class AttestedMarket:
    """What one attestation contributes to the rows.

    Attributes:
        market: registry and snapshot.
        array: their risk array under the challenge's model; None for a model of version 2, which has none.
        live: numbers of the columns that are committed, ascending.
    """

    market: Market = field(repr=False)
    array: RiskArray | None = field(repr=False)
    live: tuple[int, ...]


class StatementRows(Protocol):
    """What every compiled statement offers: `Compiled`, and `riskproof.proof.programme.CompiledMargin`."""

    @property
    def coefficients(self) -> Coefficients:
        """A and D."""
        ...

    @property
    def exponent(self) -> int:
        """E, which the width of a slack follows from."""
        ...

    @property
    def nbytes(self) -> int:
        """About how much memory they take."""
        ...

    def rows(self, bound_micros: int) -> Rows:
        """The rows with a bound."""
        ...

    def bits(self, stated: int | None) -> int:
        """b: what the challenge states, or what the exponent needs."""
        ...

    def auxiliary(self, lots: Int64) -> tuple[int, ...]:
        """The least auxiliary values that satisfy their rows."""
        ...


@dataclass(frozen=True, eq=False)
class Compiled:
    """Everything of the rows that the bound does not change.

    Attributes:
        coefficients: A and D.
        exponent: E; rows are in 10^-E of the numeraire.
        scenarios: how many rows have the bound as their constant: the first ones.
        pins, names: as in `Rows`.
        charges: (place among the K n lots, charge for one lot in units of the rows), one for each auxiliary value.
    """

    coefficients: Coefficients = field(repr=False)
    exponent: int
    scenarios: int
    pins: tuple[int, ...]
    names: tuple[str, ...] = field(repr=False)
    charges: tuple[tuple[int, int], ...] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """About how much memory this takes."""
        return self.coefficients.nbytes

    def rows(self, bound_micros: int) -> Rows:
        """The rows with a bound."""
        bound = bound_micros * 10 ** (self.exponent - units.MICROS_EXPONENT)
        constants = (bound,) * self.scenarios + (0,) * (len(self.names) - self.scenarios)
        return Rows(self.coefficients, constants, self.exponent, self.pins, self.names)

    def bits(self, stated: int | None) -> int:
        """b: what the challenge states, or what the exponent needs (ProofError above 128)."""
        return usual_bits(self.exponent) if stated is None else stated

    def auxiliary(self, lots: Int64) -> tuple[int, ...]:
        """The least auxiliary values that satisfy their rows: the haircuts on what is held."""
        return tuple(max(0, charge * int(lots[place])) for place, charge in self.charges)


def usual_bits(exponent: int) -> int:
    """b for rows in 10^-exponent of the numeraire, if the challenge does not state it (ProofError above 128)."""
    extra = max(0, exponent - _DEFAULT_EXPONENT)
    needed: int = (10**extra - 1).bit_length()
    bits = DEFAULT_BITS + -(-needed // 8) * 8
    if bits > MAX_BITS:
        raise ProofError(
            f"amounts with {exponent} decimals need slacks of {bits} bits",
            where="slack_bits",
            expected=f"at most {MAX_BITS}: registries with smaller exponents",
        )
    return bits


def rows_exponent(registries: Iterable[Registry]) -> int:
    """E: the decimals of the rows over these registries."""
    return max((units.MICROS_EXPONENT, *(r.money_exponent + r.quantity_exponent for r in registries)))


def check_size(rows: int, columns: int, n: int, cells: int = MAX_CELLS) -> None:
    """Refuse statements of too many rows or coefficients, before anything is priced for them (ProofError)."""
    if rows > MAX_ROWS or rows * columns * n > cells:
        raise ProofError(
            f"{rows} rows over {columns} columns of {n}",
            where="model",
            expected=f"at most {MAX_ROWS} rows and {cells} coefficients",
        )


def check_markets(attested: Sequence[AttestedMarket]) -> int:
    """n of all the registries (ProofError if their column sizes or numeraires differ)."""
    first = attested[0].market.registry
    n = first.column_size
    for j, other in enumerate(attested):
        registry = other.market.registry
        for what, one, two in (
            ("column size", first.column_size, registry.column_size),
            ("numeraire", first.numeraire, registry.numeraire),
        ):
            if one != two:
                raise ProofError(f"{what} {two}", where=f"attestations[{j}]", expected=f"{one}, as in the first one")
    return n


def compile_rows(kind: StatementKind, model: RiskModel, attested: Sequence[AttestedMarket]) -> Compiled:
    """The rows of a statement over attested markets, in the order of the attestations.

    Raises:
        ProofError: registries with different column sizes or numeraires; too many rows or coefficients; a coefficient that does
            not fit 64 bits.
        ModelError: `solvency` under a model that does not say what collateral is worth.
    """
    n = check_markets(attested)
    arrays = [_array(a) for a in attested]
    exponent = rows_exponent(a.market.registry for a in attested)
    held = [
        [(i, amount) for i, amount in haircuts(a.market, model, _array(a)) if i // n in a.live]
        for a in (attested if kind is StatementKind.SOLVENCY else ())
    ]
    charges = sum(len(h) for h in held)
    scenarios, columns = len(model.scenarios), sum(len(a.live) for a in attested)
    rows = scenarios + 2 * charges
    check_size(rows, columns, n)
    positions = np.zeros((columns * n, rows), dtype=np.int64)
    auxiliary = np.zeros((-(-charges // n) * n, rows), dtype=np.int64)
    auxiliary[:charges, :scenarios] = -1
    names, scales = [f"scenario {s.id}" for s in model.scenarios], list[int]()
    pins, places = list[int](), list[tuple[int, int]]()
    at = 0
    for j, (a, array) in enumerate(zip(attested, arrays, strict=True)):
        scale = 10 ** (exponent - array.pnl_exponent)
        entries = array.rows if kind is StatementKind.LOSS else _marked(array, a.market)
        start = {number: at + k * n for k, number in enumerate(a.live)}
        for number, begin in start.items():
            block = entries[number * n : (number + 1) * n]
            positions[begin : begin + len(block), :scenarios] = block
        for index, amount in held[j] if held else ():
            place, p, row = start[index // n] + index % n, len(places), len(names)
            auxiliary[p, row] = auxiliary[p, row + 1] = 1
            positions[place, row + 1] = -amount
            pins.append(row)
            places.append((place, amount * scale))
            name = f"haircut on {a.market.registry.instruments[index].name} of attestation {j}"
            names += [f"{name}, not negative", name]
        scales += [scale] * len(a.live)
        at += len(a.live) * n
    coefficients = Coefficients(n, positions, tuple(scales), auxiliary)
    return Compiled(coefficients, exponent, scenarios, tuple(pins), tuple(names), tuple(places))


def _array(attested: AttestedMarket) -> RiskArray:
    if attested.array is None:
        raise AssertionError("statements over scenarios have risk arrays")
    return attested.array


def _marked(array: RiskArray, market: Market) -> Int64:
    """A[s, i] + V[i], instrument by instrument; ProofError names the one whose sum does not fit 64 bits."""
    base = array.base_value[:, None]
    total: Int64 = array.rows + base
    wrapped = ((array.rows ^ total) & (base ^ total)) < 0
    if wrapped.any():
        index = int(np.flatnonzero(wrapped.any(axis=1))[0])
        raise ProofError(
            "value after a scenario does not fit 64 bits",
            where=market.registry.instruments[index].name,
            expected="a smaller unit or money exponent",
        )
    return total
