"""What-if, attribution and reverse stress: one book under one model of either version, evaluated once and asked many questions.

    book = open_book(model, market, portfolio)         -> BookMargin           book
    book.report                                        MarginReport, as `riskproof.risk.margining.margin` gives
    book.after({index: lots})                          the same after trades at the snapshot's values
    book.pnl_by_position()                             {index: P&L in each scenario}
    worst_moves(book, 64)                              -> [WorstMoves]         joint
    attribute(book)                                    -> Attribution          attribution
    binding(report, book.model)                        -> [Binding]            binding
    compare(book, models), alone_total(book)           what netting saves      compare
    reverse_stress(market, portfolio, equity, ...)     -> [Exhaustion]         reverse

docs/margin.md says what each number means. Instruments are priced once, when a book is opened; nothing is recomputed after a
trade but what the trade touches.
"""

from riskproof.risk.whatif import amounts
from riskproof.risk.whatif.attribution import Attribution, Share, attribute
from riskproof.risk.whatif.binding import Binding, binding
from riskproof.risk.whatif.book import BookMargin, Version1Book, Version2Book, open_book
from riskproof.risk.whatif.compare import Compared, alone_total, compare, default_models
from riskproof.risk.whatif.joint import WorstMoves, worst_moves
from riskproof.risk.whatif.reverse import Direction, Exhaustion, directions_of, reverse_stress

__all__ = [
    "Attribution",
    "Binding",
    "BookMargin",
    "Compared",
    "Direction",
    "Exhaustion",
    "Share",
    "Version1Book",
    "Version2Book",
    "WorstMoves",
    "alone_total",
    "amounts",
    "attribute",
    "binding",
    "compare",
    "default_models",
    "directions_of",
    "open_book",
    "reverse_stress",
    "worst_moves",
]
