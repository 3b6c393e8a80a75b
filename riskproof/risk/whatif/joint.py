"""The worst joint moves of a book under a model with a tail block, and what each position gains or loses in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from riskproof.risk.margining.evaluate import measured
from riskproof.risk.margining.report import TailReport
from riskproof.risk.whatif.book import BookMargin, Version2Book

if TYPE_CHECKING:
    from riskproof.risk.tail.moves import Moves


@dataclass(frozen=True, repr=False)
class WorstMoves:
    """The worst joint moves of a set; over an interval of correlations, of those that ask for most. Secret data of the account.

    Attributes:
        report: the set, measured.
        moves: its joint moves.
        places: of the worst of them, the worst first; of equal losses the first.
        pnl: of the book in each of `places`.
        beyond: how many of `places`, from the first, lose the value at risk or more; of the worst loss, as much as it.
        by_position: {registry index: P&L in each of `places`}, whose sums are `pnl`.
    """

    report: TailReport
    moves: Moves
    places: tuple[int, ...]
    pnl: tuple[Fraction, ...]
    beyond: int
    by_position: dict[int, tuple[Fraction, ...]]

    def __repr__(self) -> str:
        return f"WorstMoves({self.report.id!r}, <{len(self.places)} moves>)"


def worst_moves(book: BookMargin, most: int) -> list[WorstMoves]:
    """Of each set of the model's tail block its worst joint moves, `most` of all sets together and as many of each if it has them.

    None of a model without a tail block, and of a book without positions.
    """
    if not isinstance(book, Version2Book) or book.model.tail is None:
        return []
    joint = book.account.values.joint
    sizes = [len(joint.moves_of(n)[0]) for n, _ in enumerate(book.report.tails)]
    return [_worst(book, n, count) for n, count in enumerate(_shared(most, sizes))]


def _worst(book: Version2Book, n: int, count: int) -> WorstMoves:
    account, report = book.account, book.report.tails[n]
    joint = account.joint_pnl(n)
    _, part = measured(account.values.joint.tail.sets[n], joint)
    pnl = joint.parts[part]
    places = tuple(sorted(range(len(pnl)), key=lambda k: (pnl[k], k))[:count])
    quantile = report.loss if report.value_at_risk is None else report.value_at_risk
    shown = tuple(Fraction(pnl[k], joint.unit) for k in places)
    return WorstMoves(
        report,
        account.values.joint.moves_of(n)[part],
        places,
        shown,
        sum(-x >= quantile for x in shown),
        account.joint_pnl_by_position(n, part, places),
    )


def _shared(most: int, sizes: Sequence[int]) -> list[int]:
    """How many of `most` each gets: as many as the others, but no more than it has; what is left over goes to the others."""
    counts = [0] * len(sizes)
    left = most
    for done, n in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        counts[n] = min(sizes[n], left // (len(sizes) - done))
        left -= counts[n]
    return counts
