"""The same book under several models: what netting saves, in money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.errors import RiskproofError
from riskproof.risk.margining.markets import AnyModel, load, names
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.whatif.book import BookMargin, open_book

WITHOUT_NETTING: Final = ("cross", "isolated")


@dataclass(frozen=True, slots=True, repr=False)
class Compared:
    """A book under another model.

    Attributes:
        model: its name.
        report: the margin, or None where the model refuses the book.
        refusal: why it does.
    """

    model: str
    report: MarginReport | None
    refusal: RiskproofError | None = None

    def saving(self, portfolio: MarginReport) -> Fraction:
        """How much less initial margin `portfolio` needs than this model; negative if it needs more."""
        if self.report is None:
            raise AssertionError("a model that refused")
        return self.report.initial - portfolio.initial


def default_models(model: AnyModel) -> list[AnyModel]:
    """What a book is compared with unless people say otherwise: cross and isolated margin, where they ship."""
    return [load(name) for name in WITHOUT_NETTING if name in names() and name != model.name]


def compare(book: BookMargin, models: Sequence[AnyModel]) -> list[Compared]:
    """The book under each model; a model that refuses the book says why, for others to show."""
    result = []
    priced = [book]
    for model in models:
        try:
            other = open_book(
                model, book.market, book.portfolio, book.receivables, book.underlying, book.histories, priced=priced
            )
            result.append(Compared(model.name, other.report))
            priced.append(other)
        except RiskproofError as error:
            result.append(Compared(model.name, None, error))
    return result


def alone_total(book: BookMargin) -> Fraction:
    """Initial margin of every position by itself, summed: what the book would need without any netting."""
    return sum((book.alone(index).initial for index, _ in book.live), Fraction(0))
