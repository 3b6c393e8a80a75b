"""Heat maps of a risk array: P&L by scenario, for the book and for what it is made of.

A cell's class says how deep its colour is: l1 to l9 for losses, g1 to g9 for gains, by the size of the P&L against the largest of
its level, in steps of equal ratio (each of the nine is 1.7 times the one before), so that small numbers are told from zero.
Amounts are whole units of the currency, rounded half to even for display.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.report.html import Html, css_class, markup
from riskproof.units import round_half_even

LEVELS: Final = 9
_THRESHOLDS: Final = tuple((10**n, 17**n) for n in reversed(range(LEVELS)))


@dataclass(frozen=True)
class Row:
    """A row of a heat map.

    Attributes:
        label: what it is. css: our class for it ("total", "underlying", "expiry", "position").
        pnl: P&L in each column's scenario.
    """

    label: str
    css: str
    pnl: Sequence[Fraction]


def level(amount: Fraction, largest: Fraction) -> str:
    """Class of a cell: "" for zero."""
    if not amount or not largest:
        return ""
    size, most = abs(amount.numerator) * largest.denominator, largest.numerator * amount.denominator
    depth = next((n for n, (p, q) in enumerate(_THRESHOLDS, start=1) if size * q <= most * p), LEVELS)
    return f"{'l' if amount < 0 else 'g'}{depth}"


def whole(amount: Fraction) -> str:
    """Units of the currency, with thousands separators."""
    return f"{round_half_even(amount.numerator, amount.denominator):,}"


def heat_map(columns: Sequence[tuple[str, ...]], rows: Sequence[Row], binding: frozenset[int]) -> Html:
    """Rows against scenarios.

    Args:
        columns: the lines of each column's heading.
        binding: columns of the scenarios that bind.
    """
    heads = "".join(_heading(lines, n in binding) for n, lines in enumerate(columns))
    largest = {css: _largest(r for r in rows if r.css == css) for css in {r.css for r in rows}}
    body = [_row(row, largest[row.css], binding) for row in rows]
    return Html(
        f'<div class="scroll"><table class="heat">\n<thead><tr><th scope="col"></th>{heads}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def _heading(lines: Sequence[str], binds: bool) -> str:
    text = "<br>".join([*(markup(line) for line in lines), *(["binds"] if binds else [])])
    return f'<th scope="col"{css_class("binds" if binds else "")}>{text}</th>'


def _row(row: Row, largest: Fraction, binding: frozenset[int]) -> str:
    cells = []
    for n, amount in enumerate(row.pnl):
        css = " ".join(x for x in (level(amount, largest), "b" if n in binding else "") if x)
        cells.append(f"<td{css_class(css)}>{whole(amount)}</td>")
    return f'<tr class="{row.css}"><th scope="row">{markup(row.label)}</th>{"".join(cells)}</tr>'


def _largest(rows: Iterable[Row]) -> Fraction:
    return max((abs(x) for r in rows for x in r.pnl), default=Fraction(0))
