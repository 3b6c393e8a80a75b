"""The tail block of a model: joint moves of prices and volatilities, and what is measured on them.

    "tail": {"sets": [{"id": "recent", "measure": {"kind": "expected_shortfall", "tail": "0.025"}, "method": "historical",
                       "history": "<digest>", "first": "2024-10-20", "last": "2026-03-03", "horizon_days": 1, "weight_decay": "1"},
                      {"id": "stressed", "measure": {"kind": "worst_loss"}, "method": "common_factor", "common": [...], ...}],
             "unshocked": ["USDC"], "constant_volatility": [], "time_shift_seconds": 0}

| member | meaning |
|---|---|
| `sets[].method` | `historical`, `filtered`, `monte_carlo` or `common_factor`, with the members of docs/tail-risk.md |
| `sets[].measure` | `expected_shortfall` or `value_at_risk` with its `tail`, or `worst_loss` |
| `unshocked`, `constant_volatility` | underlyings whose price, whose volatility no set moves, sorted; none unless given |
| `time_shift_seconds` | time that passes in every joint move, 0 unless given |

A history is an input, like the market; the document has its digest. A correlation document is part of the block as a whole, so
correlations are part of the model's digest. All sets together have at most 4,096 joint moves; the cubes of the factors that their
correlations have come to at most 2^20, a set with an interval of correlations counting three times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining.grid import MAX_SCENARIOS, MAX_TIME_SHIFT, choice, identifier
from riskproof.risk.tail.correlation import ratio
from riskproof.risk.tail.measures import tail_measures
from riskproof.risk.tail.methods import CommonFactor, Historical, Method, MonteCarlo, check_method, read_set
from riskproof.risk.tail.model import MEASURES, VALUE_AT_RISK, WORST_LOSS
from riskproof.units import RATIO_ONE, format_decimal

MAX_SETS: Final = 16
MAX_NAMES: Final = 256
MAX_CUBES: Final = 1 << 20  # of factors: whether matrices are positive semi-definite is decided in rationals


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of P&Ls.

    Attributes:
        amount: the measure, a loss. value_at_risk: None for the worst loss.
        worst: place of the first of the largest losses. loss: that loss.
    """

    amount: Fraction
    value_at_risk: Fraction | None
    worst: int
    loss: Fraction


@dataclass(frozen=True, slots=True)
class TailSet:
    """Joint moves and their measure; `tail` in 1e-12, None for the worst loss."""

    id: str
    measure: str
    tail: int | None
    method: Method

    def measured(self, pnl: Sequence[int], unit: int) -> Measured:
        """The measure of a P&L for each joint move, in 1/unit, exact."""
        lowest = min(pnl)
        worst, loss = pnl.index(lowest), Fraction(-lowest, unit)
        if self.tail is None:
            return Measured(loss, None, worst, loss)
        found, shortfall = tail_measures(pnl, self.tail, self.method.weights(len(pnl)))
        quantile = Fraction(found, unit)
        return Measured(quantile if self.measure == VALUE_AT_RISK else shortfall / unit, quantile, worst, loss)

    def to_document(self) -> dict[str, Json]:
        measure: dict[str, Json] = {"kind": self.measure}
        if self.tail is not None:
            measure["tail"] = format_decimal(self.tail, 12)
        return {"id": self.id, "measure": measure, "method": self.method.METHOD} | self.method.to_document()


@dataclass(frozen=True, slots=True)
class Tail:
    """The block; see the module."""

    sets: tuple[TailSet, ...]
    unshocked: tuple[str, ...] = ()
    constant_volatility: tuple[str, ...] = ()
    time_shift_seconds: int = 0

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(s.id for s in self.sets)

    @property
    def moves(self) -> int:
        """Joint moves of all sets together."""
        return sum(math.prod(joint_moves(s.method)) for s in self.sets)

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"sets": [s.to_document() for s in self.sets]}
        for member in ("unshocked", "constant_volatility"):
            if getattr(self, member):
                document[member] = list(getattr(self, member))
        if self.time_shift_seconds:
            document["time_shift_seconds"] = self.time_shift_seconds
        return document


def parse(node: Json, where: str = "tail") -> Tail:
    """Read the block.

    Raises:
        ModelError, EncodingError, HistoryError: a member is missing, unknown, out of range or twice; `where` is its path.
    """
    m = encoding.members(node, where, ("sets",), ("unshocked", "constant_volatility", "time_shift_seconds"))
    items = encoding.array(m["sets"], f"{where}.sets", max_length=MAX_SETS)
    cubes = sum(map(_cubes, items))
    if cubes > MAX_CUBES:
        raise ModelError(
            f"correlations of {cubes} cubed factors",
            where=f"{where}.sets",
            expected=f"at most {MAX_CUBES} in all: 4 sets of 64 factors, or one with an interval",
        )
    sets: list[TailSet] = []
    count = 0
    for n, item in enumerate(items):
        at = f"{where}.sets[{n}]"
        one = _set(item, at)
        if one.id in [s.id for s in sets]:
            raise ModelError(f"{one.id} is listed twice", where=f"{at}.id", expected="each id once")
        moves, parts = joint_moves(one.method)
        count += moves * parts
        if count > MAX_SCENARIOS:
            raise ModelError(f"{count} joint moves up to here", where=at, expected=f"at most {MAX_SCENARIOS} in all")
        _check_tail(one, moves, at)
        sets.append(one)
    if not sets:
        raise ModelError("no set", where=f"{where}.sets", expected=f"1 to {MAX_SETS}")
    return Tail(
        tuple(sets),
        _names(m.get("unshocked", []), f"{where}.unshocked"),
        _names(m.get("constant_volatility", []), f"{where}.constant_volatility"),
        encoding.integer(m.get("time_shift_seconds", 0), f"{where}.time_shift_seconds", low=0, high=MAX_TIME_SHIFT),
    )


def _cubes(node: Json) -> int:
    """What deciding about the matrices of a set costs, before anything else of it is read: factors cubed, once for each matrix."""
    correlation = node.get("correlation") if isinstance(node, dict) else None
    factors = correlation.get("factors") if isinstance(correlation, dict) else None
    if not isinstance(node, dict) or not isinstance(factors, list):
        return 0
    return len(factors) ** 3 * (3 if "interval" in node else 1)


def _set(node: Json, where: str) -> TailSet:
    if not isinstance(node, dict) or "measure" not in node:
        raise ModelError("no measure", where=f"{where}.measure", expected=", ".join(MEASURES))
    id_, method = read_set({name: x for name, x in node.items() if name != "measure"}, where)
    check_method(method, where)
    at = f"{where}.measure"
    m = encoding.members(node["measure"], at, ("kind",), ("tail",))
    kind = choice(m["kind"], f"{at}.kind", *MEASURES)
    if ("tail" in m) == (kind == WORST_LOSS):
        raise ModelError(f"{kind} and its tail", where=f"{at}.tail", expected="a tail, but none for the worst loss")
    tail = ratio(m["tail"], f"{at}.tail") if "tail" in m else None
    if tail is not None and not 0 < tail < RATIO_ONE:
        raise ModelError(f"{format_decimal(tail, 12)} is out of range", where=f"{at}.tail", expected="between 0 and 1")
    return TailSet(identifier(id_, f"{where}.id"), kind, tail, method)


def joint_moves(method: Method) -> tuple[int, int]:
    """How many joint moves a set makes, and how many times over: it does not depend on what the history says."""
    if isinstance(method, MonteCarlo):
        return method.paths, 1 if method.interval is None else method.interval.points
    if isinstance(method, CommonFactor):
        return len(method.moves(())[0]), 1
    days = (method.last - method.first).days
    return (days + 1 - method.horizon_days if isinstance(method, Historical) else days - method.seed_days), 1


def _check_tail(one: TailSet, count: int, where: str) -> None:
    """ModelError if the tail holds less than its heaviest joint move: it would be the worst loss under another name."""
    weights = one.method.weights(count)
    if one.tail is not None and one.tail * sum(weights) < RATIO_ONE * max(weights):
        raise ModelError(
            f"a tail of {format_decimal(one.tail, 12)} of {count} joint moves holds less than one",
            where=f"{where}.measure.tail",
            expected="more joint moves, or a larger tail",
        )


def _names(node: Json, where: str) -> tuple[str, ...]:
    names = [identifier(x, f"{where}[{n}]") for n, x in enumerate(encoding.array(node, where, max_length=MAX_NAMES))]
    if names != sorted(set(names)):
        raise ModelError("not sorted, or an underlying twice", where=where, expected="names in order")
    return tuple(names)
