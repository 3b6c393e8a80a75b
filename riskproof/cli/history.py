"""`riskproof history`: histories from files, and correlations estimated from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import check_outputs, read_bytes, write_bytes
from riskproof.cli.inputs import FILE, load_history
from riskproof.cli.output import emit_json, json_option, reports_errors

if TYPE_CHECKING:
    import datetime as dt

    from riskproof.encoding import Json
    from riskproof.risk.tail.estimators import Covariance
    from riskproof.risk.tail.history import History

FILES = click.argument("files", nargs=-1, required=True, type=FILE)
OUT = click.option("--out", required=True, type=FILE, help="History file to write.")
SOURCE = click.option(
    "--source",
    metavar="TEXT",
    help="Where the numbers come from; part of the history's digest [default: what they are, not what the file is called].",
)
UNDERLYINGS = click.option(
    "--underlying", "underlyings", multiple=True, help="May be given again [default: all that the files have]."
)
FIRST = click.option("--first", metavar="DAY", help="First day [default: the first that is complete].")
LAST = click.option("--last", metavar="DAY", help="Last day [default: the files' last].")


@click.group()
def history() -> None:
    """Make histories, prices and volatilities on consecutive days, and estimate correlations.

    \b
    riskproof history import closes daily_closes.csv --underlying BTC --underlying ETH --out closes.json
    riskproof history import surface surface.csv --tenor 7 --tenor 30 --out surface.json
    riskproof history correlation closes.json --estimator ledoit-wolf --out correlation.json
    """


@history.group(name="import")
def import_() -> None:
    """Import CSV files. Nothing is filled in: a gap is refused, and where it is."""


@import_.command()
@FILES
@UNDERLYINGS
@FIRST
@LAST
@SOURCE
@OUT
@reports_errors
def closes(
    files: tuple[Path, ...],
    underlyings: tuple[str, ...],
    first: str | None,
    last: str | None,
    source: str | None,
    out: Path,
) -> None:
    """Import daily closes: date,BTC,ETH,... with one row a day. Several files are joined on the days that all have."""
    from riskproof.risk.tail.history_csv import DAILY_CLOSES, columns_of_closes, import_closes

    begin, end = _days(first, last)
    named = _source(source, DAILY_CLOSES)
    _store(
        files,
        underlyings,
        columns_of_closes,
        lambda data, name, chosen: import_closes(data, name, chosen, begin, end, source=named),
        out,
    )


@import_.command()
@FILES
@UNDERLYINGS
@click.option("--tenor", "tenors", multiple=True, type=int, metavar="DAYS", help="[default: 7, 30, 90 and 180]")
@click.option(
    "--hour", default=21, show_default=True, type=click.IntRange(0, 23), help="Hour (UTC) that the days are taken at."
)
@click.option(
    "--tolerance-hours",
    default=6,
    show_default=True,
    type=click.IntRange(1, 11),
    help="Furthest that a snapshot may be from it.",
)
@FIRST
@LAST
@SOURCE
@OUT
@reports_errors
def surface(
    files: tuple[Path, ...],
    underlyings: tuple[str, ...],
    tenors: tuple[int, ...],
    hour: int,
    tolerance_hours: int,
    first: str | None,
    last: str | None,
    source: str | None,
    out: Path,
) -> None:
    """Import volatility surfaces: snapshot,ccy,expiry,fwd,atm_iv with any number of snapshots a day."""
    from riskproof.risk.tail.history_csv import import_surface, surfaces_at, underlyings_of_surface

    begin, end = _days(first, last)
    named = _source(source, surfaces_at(hour))
    days = tenors or (7, 30, 90, 180)

    def read(data: bytes, name: str, chosen: Sequence[str]) -> History:
        return import_surface(
            data, name, chosen, days, hour=hour, tolerance_hours=tolerance_hours, first=begin, last=end, source=named
        )

    _store(files, underlyings, underlyings_of_surface, read, out)


@history.command()
@click.argument("history_file", metavar="HISTORY", type=FILE)
@click.option(
    "--estimator",
    required=True,
    type=click.Choice(["exponential", "ledoit-wolf", "oas"]),
    help="Exponentially weighted, or shrunk (Ledoit and Wolf; oracle approximating), which needs scikit-learn.",
)
@click.option(
    "--decay",
    metavar="DECIMAL",
    help="What a day weighs when the day after it weighs 1, such as 0.94; exponential only.",
)
@click.option("--first", metavar="DAY", help="First day [default: the history's].")
@click.option("--last", metavar="DAY", help="Last day [default: the history's].")
@click.option("--name", help="Name of the document [default: the estimator].")
@click.option("--out", required=True, type=FILE, help="Correlation document to write.")
@json_option
@reports_errors
def correlation(
    history_file: Path,
    estimator: str,
    decay: str | None,
    first: str | None,
    last: str | None,
    name: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Estimate volatilities and correlations of one-day moves: the `correlation` of Monte Carlo sets, for `tail --correlation`.

    \b
    riskproof history correlation closes.json --estimator exponential --decay 0.94 --out correlation.json
    riskproof history correlation closes.json --estimator ledoit-wolf --first 2024-01-01 --out correlation.json
    """
    from riskproof.units import RATIO_EXPONENT, format_decimal

    check_outputs({"--out": out}, [history_file])
    weight = _decay(estimator, decay)
    begin, end = _days(first, last)
    given = load_history(history_file)
    with _named(history_file):
        window = given.between(begin or given.start, end or given.end)
        found = _estimate(window, estimator, weight)
        kind = estimator if weight is None else f"{estimator}, decay {format_decimal(weight, RATIO_EXPONENT)}"
        days = f"one-day moves from {window.start} to {window.end}"
        made = found.to_correlation(
            estimator if name is None else name, f"{kind}: {days} of the history {given.digest.hex()}"
        )
    write_bytes(out, made.to_bytes())
    if as_json:
        document: dict[str, Json] = {
            "history_digest": given.digest.hex(),
            "first": window.start.isoformat(),
            "last": window.end.isoformat(),
            "moves": len(window) - 1,
            "estimator": estimator,
            "shrinkage": None if weight is not None else f"{found.shrinkage:.6f}",
            "correlation_digest": made.digest.hex(),
            "correlation": made.to_document(),
        }
        emit_json(document)
    else:
        shrunk = "" if weight is not None else f", shrunk by {100 * found.shrinkage:.3g}%"
        click.echo(
            f"{out}: {len(made.factors)} factors, {len(window) - 1} moves from {window.start} to {window.end}{shrunk}\n"
            f"correlation {made.digest.hex()}",
            err=True,
        )


def _decay(estimator: str, text: str | None) -> int | None:
    """The decay in 1e-12 that an exponential estimate needs, and no other takes (InputError, UnitError)."""
    from riskproof.errors import InputError
    from riskproof.units import RATIO_EXPONENT, parse_decimal

    if text is None:
        if estimator == "exponential":
            raise InputError("no decay", where="--decay", expected="a decimal above 0, at most 1, such as 0.94")
        return None
    if estimator != "exponential":
        raise InputError(f"{estimator} weighs every day the same", where="--decay", expected="--estimator exponential")
    return parse_decimal(text, RATIO_EXPONENT, "--decay")


def _estimate(window: History, estimator: str, decay: int | None) -> Covariance:
    from riskproof.risk.tail.estimators import LEDOIT_WOLF, OAS, exponential_covariance, shrunk_covariance

    if decay is not None:
        return exponential_covariance(window, decay)
    return shrunk_covariance(window, OAS if estimator == "oas" else LEDOIT_WOLF)


_OPTIONS = {"decay": "--decay", "name": "--name", "shrunk_covariance": "--estimator"}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors about an argument name its option; the others the history's file."""
    from riskproof.errors import ConfigError, HistoryError, ModelError

    try:
        yield
    except (ConfigError, HistoryError, ModelError) as error:
        own = str(path) if error.where == "history" else f"{path}: {error.where}"
        raise type(error)(error.what, where=_OPTIONS.get(error.where, own), expected=error.expected) from None


@contextmanager
def _of_file(name: str) -> Iterator[None]:
    """Errors about what a file says name it, also where they are about no line of it."""
    from riskproof.errors import HistoryError

    try:
        yield
    except HistoryError as error:
        if error.where.startswith((name, "-")):
            raise
        where = f"{name}: {error.where}" if error.where else name
        raise HistoryError(error.what, where=where, expected=error.expected) from None


def _source(text: str | None, default: str) -> str:
    """The source of a history, `default` unless it is given (HistoryError)."""
    from riskproof.risk.tail.history import check_source

    if text is None:
        return default
    check_source(text, "--source")
    return text


def _days(first: str | None, last: str | None) -> tuple[dt.date | None, dt.date | None]:
    from riskproof.risk.tail.history import parse_day

    begin = None if first is None else parse_day(first, "--first")
    return begin, None if last is None else parse_day(last, "--last")


def _store(
    files: Sequence[Path],
    wanted: Sequence[str],
    found_in: Callable[[bytes, str], list[str]],
    read: Callable[[bytes, str, Sequence[str]], History],
    out: Path,
) -> None:
    """Import every file's share of the underlyings, join them, and write the history."""
    from riskproof.errors import InputError

    check_outputs({"--out": out}, files)
    named = [(str(path), read_bytes(path)) for path in files]
    columns = [found_in(data, name) for name, data in named]
    everything = sorted({u for found in columns for u in found})
    for u in wanted:
        if u not in everything:
            raise InputError(f"no underlying {u[:32]!r}", where="--underlying", expected=", ".join(everything)[:400])
    parts = []
    for (name, data), found in zip(named, columns, strict=True):
        chosen = [u for u in found if not wanted or u in wanted]
        if not chosen:
            raise InputError("none of the underlyings asked for", where=name, expected=", ".join(found)[:400])
        with _of_file(name):
            parts.append(read(data, name, chosen))
    made = reduce(lambda a, b: a.joined(b), parts)
    write_bytes(out, made.to_bytes())
    click.echo(
        f"{out}: {len(made.factors)} factors on {len(made)} days from {made.start} to {made.end}\nhistory {made.digest.hex()}",
        err=True,
    )
