"""Rows of a heat map: the book, and what it is made of by underlying, expiry and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from riskproof.market.registry import Instrument, Kind
from riskproof.report.heat import Row
from riskproof.risk.whatif import BookMargin
from riskproof.units import format_time

MAX_POSITIONS: Final = 500  # that have a row of their own, the largest


def rows(
    book: BookMargin, totals: Sequence[Fraction], by_position: Mapping[int, Sequence[Fraction]], shown: Sequence[int]
) -> tuple[list[Row], int]:
    """Rows, and how many positions have none and are in the sums only.

    Args:
        totals: P&L of the book in each column. by_position: of each position, by registry index, in each of any columns.
        shown: those of them that are columns of the heat map, in order.
    """
    instruments = book.market.registry.instruments
    size = {i: max((abs(x) for x in pnl), default=Fraction(0)) for i, pnl in by_position.items()}
    largest = set(sorted(by_position, key=lambda i: (-size[i], i))[:MAX_POSITIONS])
    columns = {i: [pnl[n] for n in shown] for i, pnl in by_position.items()}
    result = [Row("book", "total", totals)]
    by_underlying: dict[str, dict[str, list[int]]] = {}
    for i in sorted(by_position, key=lambda i: _order(instruments[i])):
        by_underlying.setdefault(instruments[i].underlying, {}).setdefault(_expiry(instruments[i]), []).append(i)
    for underlying, groups in by_underlying.items():
        members = [columns[i] for held in groups.values() for i in held]
        result.append(Row(underlying, "underlying", _sum(members)))
        for expiry, held in groups.items():
            result.append(Row(expiry, "expiry", _sum([columns[i] for i in held])))
            result += [Row(instruments[i].name, "position", columns[i]) for i in held if i in largest]
    return result, len(by_position) - len(largest)


def left_out(count: int) -> str:
    """What the page says of positions without a row."""
    return f"{count} smaller positions are in the sums only."


def _order(x: Instrument) -> tuple[str, int, str, int, str]:
    kind = "" if x.expiry is None else x.option_type.value if x.option_type else ""
    return x.underlying, x.expiry or 0, kind, x.strike or 0, x.name


def _expiry(x: Instrument) -> str:
    if x.expiry is None:
        return {Kind.SPOT: "spot", Kind.PERPETUAL: "perpetual"}.get(x.kind, x.kind.value)
    return format_time(x.expiry)[:10]


def _sum(columns: Sequence[Sequence[Fraction]]) -> list[Fraction]:
    return [sum(amounts, Fraction(0)) for amounts in zip(*columns, strict=True)]
