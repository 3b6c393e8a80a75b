"""Heat maps of a risk array: P&L by scenario, for the book and for what it is made of.

A cell's class says how deep its colour is: l1 to l9 for losses, g1 to g9 for gains, by the size of the P&L against the largest of
its level, in steps of equal ratio (each of the nine is 1.7 times the one before), so that small numbers are told from zero.
Amounts are whole units of the currency, rounded half to even for display.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final

from riskproof.report.html import Html, css_class, markup
from riskproof.units import round_half_even

LEVELS: Final = 9
_THRESHOLDS: Final = tuple((10**n, 17**n) for n in reversed(range(LEVELS)))


@dataclass(frozen=True, repr=False)
class Row:
    """A row of a heat map. Secret data of the account: the repr shows nothing.

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


@dataclass(frozen=True)
class Block:
    """Columns that belong together.

    Attributes:
        title: what they are. width: how many they are. binds: whether the margin comes from them.
    """

    title: str
    width: int
    binds: bool


def heat_map(
    columns: Sequence[tuple[str, ...]],
    rows: Sequence[Row],
    marked: frozenset[int],
    *,
    mark: str = "binds",
    blocks: Sequence[Block] = (),
) -> Html:
    """Rows against columns, which are scenarios or joint moves.

    Args:
        columns: the lines of each column's heading.
        marked: columns that stand out; `mark` is what their heading ends with.
        blocks: of all columns, in order, or none.
    """
    starts = frozenset(accumulate((b.width for b in blocks), initial=0)) if blocks else frozenset()
    heads = "".join(_heading(lines, mark, n in marked, n in starts) for n, lines in enumerate(columns))
    titles = "".join(_title(b) for b in blocks if b.width)
    above = f'<tr><th scope="col"></th>{titles}</tr>\n' if titles else ""
    largest = {css: _largest(r for r in rows if r.css == css) for css in {r.css for r in rows}}
    body = [_row(row, largest[row.css], marked, starts) for row in rows]
    return Html(
        f'<div class="scroll"><table class="heat">\n<thead>{above}<tr><th scope="col"></th>{heads}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def _title(block: Block) -> str:
    text = f"{markup(block.title)}{', binds' if block.binds else ''}"
    return f'<th scope="colgroup" colspan="{block.width}" class="s{" bound" if block.binds else ""}">{text}</th>'


def _heading(lines: Sequence[str], mark: str, marked: bool, starts: bool) -> str:
    text = "<br>".join([*(markup(line) for line in lines), *([mark] if marked and mark else [])])
    css = " ".join(x for x in ("binds" if marked else "", "s" if starts else "") if x)
    return f'<th scope="col"{css_class(css)}>{text}</th>'


def _row(row: Row, largest: Fraction, marked: frozenset[int], starts: frozenset[int]) -> str:
    cells = []
    for n, amount in enumerate(row.pnl):
        names = (level(amount, largest), "b" if n in marked else "", "s" if n in starts else "")
        cells.append(f"<td{css_class(' '.join(x for x in names if x))}>{whole(amount)}</td>")
    return f'<tr class="{row.css}"><th scope="row">{markup(row.label)}</th>{"".join(cells)}</tr>'


def _largest(rows: Iterable[Row]) -> Fraction:
    return max((abs(x) for r in rows for x in r.pnl), default=Fraction(0))
