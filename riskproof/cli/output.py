"""What every command shares: typed errors become messages and exit status, `--json` prints one object."""

from __future__ import annotations

import functools
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from riskproof.encoding import Json
from riskproof.errors import FalseStatementError, InputError, LeakBudgetError, RiskproofError

EXIT_REFUSED = 1
EXIT_BAD_INPUT = 2

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """`--json`: print one JSON object instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)


def reports_errors(function: F) -> F:
    """Turn riskproof's own errors into one message on standard error (an object with --json) and an exit status."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RiskproofError as error:
            if kwargs.get("as_json"):
                emit_json({"error": error_document(error)})
            else:
                click.echo(f"riskproof: {error}", err=True)
            sys.exit(_status(error))

    return wrapper  # type: ignore[return-value]


def _status(error: RiskproofError) -> int:
    """Refused, or bad input. A proof that cannot or should not be made is refused: nothing is wrong with what was given."""
    if isinstance(error, (FalseStatementError, LeakBudgetError)):
        return EXIT_REFUSED
    return EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_REFUSED


def error_document(error: RiskproofError) -> dict[str, Json]:
    """An error as JSON: code, what, where, expected."""
    return {"code": error.code, "what": error.what, "where": error.where, "expected": error.expected}


def emit_json(document: Json) -> None:
    """Print one JSON object, members in the order given; always UTF-8, whatever bytes a file's name has."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


@contextmanager
def progress(message: str, *, after: float = 1.0) -> Iterator[None]:
    """Say on standard error what takes so long, once, if it takes longer than `after` seconds."""
    timer = threading.Timer(after, lambda: click.echo(message, err=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def compiling(*, after: float = 1.0) -> Iterator[None]:
    """Say on standard error, once, that kernels are compiled: if they are, and it takes longer than `after` seconds in all."""
    from riskproof.cli.compiled import load_compiler

    load_compiler()
    from numba.core.event import install_listener

    from riskproof.cli.compile_notice import KIND, CompileNotice

    message = "compiling the kernel, once; it is kept for the next time where a cache folder can be written ..."
    with install_listener(KIND, CompileNotice(lambda: click.echo(message, err=True), after)):
        yield


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, mark: int | None = None) -> str:
    """A plain table: the first `left` columns flush left, the others flush right; row `mark` gets an arrow."""
    cells = [list(header), *[list(r) for r in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str], lead: str) -> str:
        parts = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return (lead + "  ".join(parts)).rstrip()

    body = [line(row, "> " if i == mark else "  ") for i, row in enumerate(rows)]
    return "\n".join([line(header, "  "), ("  " + "  ".join("-" * w for w in widths)).rstrip(), *body])


def money(micros: int) -> str:
    """Micros as a decimal with thousands separators and two or more decimals."""
    whole, fraction = divmod(abs(micros), 10**6)
    decimals = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{decimals}"


def amounts(micros: Sequence[int]) -> list[str]:
    """Amounts for one column: as `money`, with as many decimals as the one that needs most, so that the points line up."""
    texts = [money(amount) for amount in micros]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=2)
    return [
        whole + point + fraction.ljust(decimals, "0") for whole, point, fraction in (t.partition(".") for t in texts)
    ]


def percent(ratio: int) -> str:
    """A ratio of 1e-12 as a percentage, exact."""
    from riskproof.units import format_decimal

    return f"{format_decimal(ratio, 10)}%"
