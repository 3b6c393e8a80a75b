"""The heat map of a tail block: the worst joint moves of each set, by underlying, expiry and position."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from riskproof.report import heat, levels
from riskproof.report.html import Html, element, section
from riskproof.risk.margining import AnyModel
from riskproof.risk.whatif import BookMargin, WorstMoves, binding, worst_moves
from riskproof.risk.whatif.amounts import shown_requirement
from riskproof.units import RATIO_ONE, format_decimal, round_half_even

if TYPE_CHECKING:
    from riskproof.risk.tail.moves import Moves

MAX_PRICES: Final = 4  # prices whose move is in a column's heading
_NOTE: Final = (
    "P&L in the worst joint moves of each set, the worst first, in units of the currency; each level is shaded against its own "
    "largest number. Headings in black: the loss is the value at risk or more, or the worst loss of a set that measures it."
)


def binding_sets(model: AnyModel, book: BookMargin) -> frozenset[str]:
    """Sets of the tail block that the initial margin comes from."""
    return frozenset(name.partition(".")[2] for b in binding(book.report, model) for name in b.tails)


def section_of(model: AnyModel, book: BookMargin, most: int) -> Html:
    """Sets side by side, those that bind first, `most` columns in all; for a book that has joint moves.

    A column's P&L is that of the whole book, so that moves are told apart by what they do to it.
    """
    bound = binding_sets(model, book)
    found = sorted(worst_moves(book, most), key=lambda one: one.report.id not in bound)
    columns: list[tuple[str, ...]] = []
    blocks: list[heat.Block] = []
    marked: set[int] = set()
    by_position: dict[int, list[Fraction]] = {}
    for one in found:
        marked |= set(range(len(columns), len(columns) + one.beyond))
        columns += [(one.moves.ids[k], *_prices(book, one.moves, k)) for k in one.places]
        blocks.append(heat.Block(_title(book, one), len(one.places), one.report.id in bound))
        for i, pnl in one.by_position.items():
            by_position.setdefault(i, []).extend(pnl)
    totals = [x for one in found for x in one.pnl]
    rows, left_out = levels.rows(book, totals, by_position, range(len(totals)))
    notes = [_NOTE]
    notes += [f"{x.report.id}: {len(x.places)} of {len(x.moves)} moves." for x in found if len(x.places) < len(x.moves)]
    if left_out:
        notes.append(levels.left_out(left_out))
    return section(
        "joint",
        "Joint moves by underlying, expiry and position",
        element("p", " ".join(notes), "quiet"),
        heat.heat_map(columns, rows, frozenset(marked), mark="", blocks=blocks),
    )


def _title(book: BookMargin, one: WorstMoves) -> str:
    r, t = book.report, one.report
    return f"{t.id}: {t.measure.replace('_', ' ')} {shown_requirement(r, t.amount)}"


def _prices(book: BookMargin, moves: Moves, k: int) -> list[str]:
    """Moves of the prices of what is held, the first few by name."""
    registry = book.market.registry
    held = {registry.instruments[i].underlying for i, _ in book.live}
    moved = [(n, f.underlying) for n, f in enumerate(moves.factors) if f.is_price and f.underlying in held]
    return [f"{u} {_percent(int(moves.ratios[k, n]) - RATIO_ONE)}" for n, u in moved[:MAX_PRICES]]


def _percent(ratio: int) -> str:
    return f"{'+' if ratio > 0 else ''}{format_decimal(round_half_even(ratio, 10**8), 2)}%"
