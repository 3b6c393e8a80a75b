"""From a convex requirement to integer rows, auxiliaries and their least values (docs/protocol.md, section 2.6).

Every auxiliary is an integer that is not negative, measured in 10^-t of the numeraire; its pin row is x >= 0, or x >= a where
x >= -a is a row too. A node is a sum of
auxiliaries with public multipliers, at least the node's value in every feasible point, equal to it in the best one:

    Maximum      x, or x+ - x- where it may be negative        x >= each argument
    Discounted   short w - long a                              V - a + w >= 0
    Shortfall    t+ - t- + 1/K sum_s w_s u_s                   u_s + t >= each loss

Rows are exact where 10^-T or coarser makes every coefficient an integer that fits 64 bits. Where not, a linear part becomes an
auxiliary of its own and every multiplier is rounded up, in 10^-T or the finest unit in which all of them fit: as auxiliaries are
not negative, that is against the account.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Final

from riskproof.errors import ProofError
from riskproof.proof.programme.convex import Affine, Discounted, Maximum, Node, Shortfall
from riskproof.proof.statement import MAX_ROWS
from riskproof.units import INT64_MAX, MICROS_EXPONENT

NODE_DECIMALS: Final = 6  # an auxiliary that is rounded has this many decimals more than the lots' money
MOST_DECIMALS: Final = 28  # rows in 10^-28 need slacks of 128 bits
FEWEST_DECIMALS: Final = 12  # below that, multipliers would be rounded too much
_WANTED: Final = 18
_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Row:
    """constant + sum positions q + sum auxiliaries x >= 0, in 10^-decimals of the numeraire; the bound in micros has a factor.

    Attributes:
        positions, auxiliaries: by place; integers.
    """

    name: str
    decimals: int
    constant: int
    per_micro: int
    positions: dict[int, int]
    auxiliaries: dict[int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """How the least values of some auxiliaries follow from the lots and earlier ones.

    v = the least value with which the rows hold, x[plus] = max(0, v) and, if there is one, x[minus] = max(0, -v); with `weights`,
    v is the least value with which rows of at most the weight `mass` do not hold (an expected shortfall's t).
    """

    plus: int
    minus: int | None
    rows: tuple[int, ...]
    weights: tuple[int, ...] = ()
    mass: Fraction = Fraction(0)


Parts = dict[int, Fraction]  # auxiliary -> multiplier, in the numeraire for one unit of the auxiliary's 10^-t


@dataclass
class Lowering:
    """Rows in the making.

    Attributes:
        exponent: E, decimals of the lots' money. limit: T, most decimals of a row.
        held: places whose lots are not negative, by a row of the statement.
    """

    exponent: int
    held: frozenset[int] = frozenset()
    rows: list[Row] = field(default_factory=list)
    pins: list[int] = field(default_factory=list)
    decimals: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    _nodes: dict[Node, Parts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limit = min(self.exponent + _WANTED, MOST_DECIMALS)
        if self.limit < self.exponent + FEWEST_DECIMALS:
            raise ProofError(
                f"lots' money with {self.exponent} decimals leaves too few for the model's factors",
                where="registry",
                expected=f"money and quantity exponents of at most {MOST_DECIMALS - FEWEST_DECIMALS} together",
            )

    def not_negative(self, place: int, name: str) -> None:
        """The row q >= 0 of a lot."""
        self._add(Row(name, 0, 0, 0, {place: 1}, {}))

    def at_most(self, requirement: Affine, name: str) -> None:
        """The row bound - requirement >= 0."""
        self._row(name, {}, requirement, micros=True)

    def _add(self, row: Row) -> int:
        if len(self.rows) == MAX_ROWS:
            raise ProofError(
                f"more than {MAX_ROWS} rows, at {row.name}",
                where="model",
                expected="a market of fewer instruments or expiries, or a model without a charge for each",
            )
        self.rows.append(row)
        return len(self.rows) - 1

    def _auxiliary(self, decimals: int, name: str, *, pinned: bool = True) -> int:
        """A new auxiliary and its pin; with `pinned` false, the next row is the pin."""
        number = len(self.decimals)
        self.decimals.append(decimals)
        pin = Row(f"{name}, not negative", decimals, 0, 0, {}, {number: 1})
        self.pins.append(self._add(pin) if pinned else len(self.rows))
        return number

    def _pair(self, decimals: int, name: str, *, signed: bool) -> tuple[int, int | None, Parts]:
        plus = self._auxiliary(decimals, name)
        minus = self._auxiliary(decimals, f"{name}, negative part") if signed else None
        parts = {plus: _ONE} if minus is None else {plus: _ONE, minus: -_ONE}
        return plus, minus, parts

    def _parts(self, node: Node) -> Parts:
        """The auxiliaries that a node is."""
        if node not in self._nodes:
            if isinstance(node, Maximum):
                signed = not node.is_nonnegative
                self._nodes[node] = self._above(
                    node.name, node.arguments, signed=signed, size=node.size, fine=node.fine
                )
            elif isinstance(node, Discounted):
                self._nodes[node] = self._discounted(node)
            elif isinstance(node, Shortfall):
                self._nodes[node] = self._shortfall(node)
            else:
                raise AssertionError("no node of this kind")
        return self._nodes[node]

    def _above(
        self, name: str, arguments: Sequence[Affine], *, signed: bool, size: bool = False, fine: bool = False
    ) -> Parts:
        """x >= every argument. x >= 0 stands for an argument that is zero, and follows from those of a size."""
        exact = [self._fine({}, a, self.exponent + NODE_DECIMALS, fine=fine) for a in arguments]
        decimals = max((self.exponent + NODE_DECIMALS if e is None else e for e in exact), default=0)
        for a in arguments:
            self._prepare(a)
        if size and all(e == decimals for e in exact):
            plus, minus = self._auxiliary(decimals, name, pinned=False), None
            parts = {plus: _ONE}
        else:
            plus, minus, parts = self._pair(decimals, name, signed=signed)
        needed = [(k, a) for k, a in enumerate(arguments) if signed or not (a.is_constant and a.constant <= 0)]
        rows = tuple(self._row(name if len(needed) == 1 else f"{name} [{k}]", parts, a) for k, a in needed)
        self.steps.append(Step(plus, minus, rows))
        return parts

    def _discounted(self, node: Discounted) -> Parts:
        decimals = self._fine({}, node.value, self.limit)
        if decimals is None:
            raise _too_fine(node.name)
        gain = self._auxiliary(decimals, f"{node.name}, gain")
        loss = self._auxiliary(decimals, f"{node.name}, loss")
        row = self._row(node.name, {loss: _ONE, gain: -_ONE}, -node.value)
        self.steps.append(Step(loss, gain, (row,)))
        return {loss: node.short, gain: -node.long}

    def _shortfall(self, node: Shortfall) -> Parts:
        decimals = [self._fine({}, a, self.exponent + NODE_DECIMALS) for a in node.losses]
        finest = max(self.exponent + NODE_DECIMALS if d is None else d for d in decimals)
        for a in node.losses:
            self._prepare(a)
        plus, minus, parts = self._pair(finest, f"{node.name}, quantile", signed=True)
        beyond = [self._auxiliary(finest, f"{node.name}, beyond the quantile [{s}]") for s in range(len(node.losses))]
        rows = [
            self._row(f"{node.name} [{s}]", {**parts, x: _ONE}, a)
            for s, (x, a) in enumerate(zip(beyond, node.losses, strict=True))
        ]
        self.steps.append(Step(plus, minus, tuple(rows), node.weights, node.mass))
        self.steps += [Step(x, None, (row,)) for x, row in zip(beyond, rows, strict=True)]
        return {**parts, **{x: w / node.mass for x, w in zip(beyond, node.weights, strict=True)}}

    def _prepare(self, a: Affine) -> None:
        """Make the auxiliaries of an expression's nodes, so that they come before those that use them."""
        for node, _ in a.nodes:
            self._parts(node)

    def _multipliers(self, parts: Parts, a: Affine) -> Parts:
        """What parts - a has on the auxiliaries."""
        combined = dict(parts)
        for node, weight in a.nodes:
            for x, multiplier in self._parts(node).items():
                combined[x] = combined.get(x, Fraction(0)) - weight * multiplier
        return combined

    def _exact(self, parts: Parts, a: Affine, limit: int) -> int | None:
        """The fewest decimals, at most `limit`, with which parts - a has integer coefficients of 64 bits, or None."""
        combined = self._multipliers(parts, a)
        found = self._within(a, combined, limit, rounded=False)
        return self._within(a, combined, limit, rounded=True) if found is None else found

    def _within(self, a: Affine, combined: Parts, limit: int, *, rounded: bool) -> int | None:
        """As `_exact`; with `rounded`, coefficients on lots that are not negative may be rounded, with as many decimals as fit."""
        positions = a.positions
        rough = {i for i in positions if i in self.held} if rounded else set[int]()
        needs = [_decimals(a.constant)]
        needs += map(_decimals_of, {c.denominator for i, c in positions.items() if i not in rough})
        needs += [None if (d := _decimals(m)) is None else d + self.decimals[x] for x, m in combined.items()]
        least = 0
        for need in needs:
            if need is None:
                return None
            least = max(least, need)
        largest = _largest(positions)
        if rough:
            while least < limit and largest * 10 ** (least + 1) <= INT64_MAX:
                least += 1
        fits = largest * 10**least <= INT64_MAX and all(
            abs(m) * 10 ** (least - self.decimals[x]) <= INT64_MAX for x, m in combined.items()
        )
        return least if fits and least <= limit else None

    def _fine(self, parts: Parts, a: Affine, limit: int, *, fine: bool = False) -> int | None:
        """As `_exact`, but as many decimals as the lots' money has if they fit: a multiplier of a coarse auxiliary is large."""
        decimals = self._exact(parts, a, limit)
        if decimals is None:
            return None
        largest = _largest(a.positions)
        wanted = limit if fine else self.exponent
        while decimals < wanted and largest * 10 ** (decimals + 1) <= INT64_MAX:
            decimals += 1
        return decimals

    def _row(self, name: str, parts: Parts, a: Affine, *, micros: bool = False) -> int:
        """The row parts - a (+ bound) >= 0."""
        self._prepare(a)
        decimals = self._exact(parts, a, self.limit)
        if decimals is None and a.positions:
            linear = Affine(positions=a.positions)
            if self._exact({}, linear, self.limit) is None:
                raise _too_fine(name)
            split = self._above(f"{name}, linear part", (linear,), signed=True)
            parts = {**parts, **{x: -m for x, m in split.items()}}
            a = Affine(a.constant, {}, a.nodes)
        combined = self._multipliers(parts, a)
        if decimals is None:  # multipliers are rounded, with as many decimals as fit
            decimals, least = self.limit, max((self.decimals[x] for x in combined), default=0)
            while decimals > least and any(
                abs(m) * Fraction(10) ** (decimals - self.decimals[x]) > INT64_MAX for x, m in combined.items()
            ):
                decimals -= 1
        if micros:
            decimals = max(decimals, MICROS_EXPONENT)
        rounded = {x: _floor(m * Fraction(10) ** (decimals - self.decimals[x])) for x, m in combined.items()}
        whole = {i: _scaled_down(-c.numerator, c.denominator, decimals) for i, c in a.positions.items()}
        if any(abs(c) > INT64_MAX for c in (*rounded.values(), *whole.values())):
            raise _too_fine(name)
        return self._add(
            Row(
                name,
                decimals,
                _floor(-a.constant * 10**decimals),
                10 ** (decimals - MICROS_EXPONENT) if micros else 0,
                {i: c for i, c in whole.items() if c},
                {x: c for x, c in rounded.items() if c},
            )
        )

    def values(self, lots: Callable[[int], int]) -> tuple[int, ...]:
        """The least auxiliary values for a book."""
        known = [0] * len(self.decimals)
        for step in self.steps:
            least: list[int] = []
            for r in step.rows:
                row = self.rows[r]
                rest = row.constant + sum(c * lots(i) for i, c in row.positions.items())
                factor = row.auxiliaries[step.plus]
                own = (step.plus, step.minus)
                rest += sum(c * known[x] for x, c in row.auxiliaries.items() if x not in own)
                least.append(-(rest // factor))
            value = _quantile(least, step) if step.weights else max(least, default=0)
            known[step.plus] = max(0, value)
            if step.minus is not None:
                known[step.minus] = max(0, -value)
        return tuple(known)


def _quantile(values: Sequence[int], step: Step) -> int:
    """The least of the values above which there is weight `mass` at most."""
    above = 0
    for value, weight in sorted(zip(values, step.weights, strict=True), reverse=True):
        above += weight
        if above > step.mass:
            return value
    return min(values)


def _decimals(value: Fraction) -> int | None:
    """How many decimals a number has; None if they never end."""
    return _decimals_of(value.denominator)


@lru_cache(maxsize=4_096)
def _decimals_of(denominator: int) -> int | None:
    rest, twos, fives = denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _scaled_down(numerator: int, denominator: int, decimals: int) -> int:
    """A number in 10^-decimals, rounded down."""
    scaled: int = numerator * 10**decimals
    return scaled // denominator


def _largest(positions: dict[int, Fraction]) -> Fraction:
    """The largest size of the coefficients on lots."""
    if not positions:
        return Fraction(0)
    common = math.lcm(*{c.denominator for c in positions.values()})
    return Fraction(max(abs(c.numerator) * (common // c.denominator) for c in positions.values()), common)


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


def _too_fine(name: str) -> ProofError:
    return ProofError(
        "coefficients that do not fit 64 bits", where=name, expected="smaller exponents, units or charges"
    )
