"""A margin model's rows and the margin engine, on the same books at one or several venues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from riskproof.proof.challenge import Margin, StatementKind
from riskproof.proof.programme import least_bound, version2
from riskproof.proof.programme.convex import convex
from riskproof.proof.programme.lowering import Lowering
from riskproof.risk.margining import Account, MarginMarket, MarginModel, evaluate_model

Book = dict[str, int]
Venue = tuple[MarginMarket, Book]
LOT = Fraction(1, 1000)


def part_of(market: MarginMarket, names: Sequence[str]) -> MarginMarket:
    """A venue that lists some of a market."""
    return replace(market, listings=tuple(x for x in market.listings if x.name in names))


@dataclass(frozen=True)
class Proved:
    """The rows of a requirement: their least bound in micros for given books, and where they ask for more than the model."""

    lowering: Lowering
    bounds: tuple[str, ...]
    markets: tuple[MarginMarket, ...]

    def lots(self, books: Sequence[Book]) -> npt.NDArray[np.int64]:
        found = [b.get(x.name, 0) for m, b in zip(self.markets, books, strict=True) for x in m.listings]
        return np.array(found, dtype=np.int64)

    def least(self, *books: Book) -> int:
        return least_bound(self.lowering, self.lots(books))

    def optimum(self, *books: Book) -> float:
        return optimum(self.lowering, self.lots(books))

    def slacks(self, bound: int, *books: Book) -> list[int]:
        lots = self.lots(books)
        held = {int(i): int(lots[i]) for i in np.flatnonzero(lots)}
        values = self.lowering.values(lambda i: held.get(i, 0))
        return [
            row.constant
            + row.per_micro * bound
            + sum(c * held.get(i, 0) for i, c in row.positions.items())
            + sum(c * values[x] for x, c in row.auxiliaries.items())
            for row in self.lowering.rows
        ]


def prove(model: MarginModel, markets: Sequence[MarginMarket], kind: StatementKind, margin: Margin) -> Proved:
    """The rows of a statement about accounts at venues."""
    parts, at, places = [], 0, list[dict[int, int]]()
    for market in markets:
        places.append({i: at + i for i in range(len(market.listings))})
        parts.append(version2.MarketPart(market, LOT, places[-1]))
        at += len(market.listings)
    made = version2.requirement(model, parts)
    wanted = made.initial if margin is Margin.INITIAL else made.maintenance
    function, bounds = convex(wanted - made.equity if kind is StatementKind.EXCESS else wanted)
    lowering = Lowering(3 + max(m.money_exponent for m in markets), frozenset(made.held))
    for place, name in made.held.items():
        lowering.not_negative(place, name)
    lowering.at_most(function, "margin")
    return Proved(lowering, (*made.notes, *bounds), tuple(markets))


def asked(model: MarginModel, market: MarginMarket, books: Sequence[Book], kind: StatementKind, margin: Margin) -> int:
    """The engine's number in micros, rounded up, of one account at a venue that lists everything."""
    held: dict[str, Fraction] = {}
    for book in books:
        for name, lots in book.items():
            held[name] = held.get(name, Fraction(0)) + lots * LOT
    report = evaluate_model(model, market, Account.build(market, held))
    amount = report.initial if margin is Margin.INITIAL else report.maintenance
    amount -= report.equity if kind is StatementKind.EXCESS else 0
    return -((-amount * 10**6) // 1)


def optimum(lowering: Lowering, lots: npt.NDArray[np.int64]) -> float:
    """The least bound in the numeraire by a linear-programming solver, which is told nothing but the rows.

    Columns, then rows, are divided by their largest coefficient: the solver takes 1e-9 for zero.
    """
    a, b = np.zeros((len(lowering.rows), len(lowering.decimals) + 1)), np.zeros(len(lowering.rows))
    for r, row in enumerate(lowering.rows):
        held = row.constant + sum(c * int(lots[i]) for i, c in row.positions.items())
        b[r] = float(Fraction(held, 10**row.decimals))
        for x, c in row.auxiliaries.items():
            a[r, x] = -float(Fraction(c, 10 ** (row.decimals - lowering.decimals[x])))
        a[r, -1] = -float(Fraction(row.per_micro * 10**6, 10**row.decimals))
    columns = np.ones(a.shape[1])
    for _ in range(3):
        scale = np.sqrt(_extent(a, 0))
        a, columns = a / scale, columns * scale
        across = np.sqrt(_extent(a, 1))
        a, b = a / across[:, None], b / across
    size = max(1.0, float(np.abs(b).max(initial=0)))
    goal = np.zeros(a.shape[1])
    goal[-1] = 1
    result = linprog(
        goal,
        A_ub=a,
        b_ub=b / size,
        bounds=[(None, None)] * a.shape[1],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert result.status == 0, result.message
    return float(result.fun) * size / float(columns[-1])


def _extent(a: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Product of the largest and the smallest size of what is not zero, for each column or row; 1 without any."""
    sizes = np.abs(a)
    most = sizes.max(axis=axis, initial=0)
    least = np.where(sizes > 0, sizes, np.inf).min(axis=axis, initial=1e300)
    return np.where(most > 0, most * least, 1.0)
