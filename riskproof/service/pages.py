"""Pages of lists: sizes, and tokens that say where the next page starts."""

from __future__ import annotations

from typing import Final

from riskproof.errors import InputError

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000


def page_size(asked: int) -> int:
    """The size of a page; 0 asks for the default.

    Raises:
        InputError: not 0 to MAX_SIZE.
    """
    if not 0 <= asked <= MAX_SIZE:
        raise InputError(f"page of {asked}", where="page_size", expected=f"0 to {MAX_SIZE}")
    return asked or DEFAULT_SIZE


def page_token(number: int) -> str:
    """The token of the page after the item with this number."""
    return str(number)


def page_start(token: str) -> int:
    """Inverse of `page_token`; InputError for a text that it did not write."""
    if token.isascii() and token.isdigit() and len(token) < 19 and str(int(token)) == token:
        return int(token)
    raise InputError("not a page token", where="page_token", expected="next_page_token of the page before")
