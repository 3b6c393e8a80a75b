"""One offline HTML page about a book under a model.

    render(model, book, compared, attribution) -> bytes

The page has no script, no external asset and no clock: the same inputs give the same bytes. Every text that comes from a file is
escaped, and a content security policy forbids everything but the page's own style.

    page    the page, section by section          joint   joint moves          levels  rows by underlying, expiry and position
    heat    heat maps                             html    escaping, tables
"""

from riskproof.report.page import render

__all__ = ["render"]
