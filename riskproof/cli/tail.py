"""`riskproof history` and `riskproof tail`: histories from files, and the tail risk of a book."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import check_outputs, read_bytes, write_bytes
from riskproof.cli.inputs import FILE, HISTORY, MARKET, PORTFOLIO, load_histories, load_market
from riskproof.cli.output import amounts, compiling, emit_json, json_option, money, reports_errors, table

if TYPE_CHECKING:
    import datetime as dt
    from fractions import Fraction

    from riskproof.encoding import Json
    from riskproof.risk.tail.evaluate import SetRisk, TailRisk
    from riskproof.risk.tail.history import History
    from riskproof.risk.tail.model import TailModel

FILES = click.argument("files", nargs=-1, required=True, type=FILE)
OUT = click.option("--out", required=True, type=FILE, help="History file to write.")
UNDERLYINGS = click.option(
    "--underlying", "underlyings", multiple=True, help="May be given again [default: all that the files have]."
)
FIRST = click.option("--first", metavar="DAY", help="First day [default: the first that is complete].")
LAST = click.option("--last", metavar="DAY", help="Last day [default: the files' last].")


@click.group()
def history() -> None:
    """Make histories: prices and volatilities on consecutive days.

    \b
    riskproof history import closes daily_closes.csv --underlying BTC --underlying ETH --out closes.json
    riskproof history import surface surface.csv --tenor 7 --tenor 30 --out surface.json
    """


@history.group(name="import")
def import_() -> None:
    """Import CSV files. Nothing is filled in: a gap is refused, and where it is."""


@import_.command()
@FILES
@UNDERLYINGS
@FIRST
@LAST
@OUT
@reports_errors
def closes(
    files: tuple[Path, ...], underlyings: tuple[str, ...], first: str | None, last: str | None, out: Path
) -> None:
    """Import daily closes: date,BTC,ETH,... with one row a day. Several files are joined on the days that all have."""
    from riskproof.risk.tail.history_csv import columns_of_closes, import_closes

    begin, end = _days(first, last)
    _store(
        files,
        underlyings,
        columns_of_closes,
        lambda data, name, chosen: import_closes(data, name, chosen, begin, end),
        out,
    )


@import_.command()
@FILES
@UNDERLYINGS
@click.option("--tenor", "tenors", multiple=True, type=int, metavar="DAYS", help="[default: 7, 30, 90 and 180]")
@click.option("--hour", default=21, show_default=True, help="Hour (UTC) that the days are taken at.")
@click.option("--tolerance-hours", default=6, show_default=True, help="Furthest that a snapshot may be from it.")
@FIRST
@LAST
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
    out: Path,
) -> None:
    """Import volatility surfaces: snapshot,ccy,expiry,fwd,atm_iv with any number of snapshots a day."""
    from riskproof.risk.tail.history_csv import import_surface, underlyings_of_surface

    begin, end = _days(first, last)
    days = tenors or (7, 30, 90, 180)

    def read(data: bytes, name: str, chosen: Sequence[str]) -> History:
        return import_surface(
            data, name, chosen, days, hour=hour, tolerance_hours=tolerance_hours, first=begin, last=end
        )

    _store(files, underlyings, underlyings_of_surface, read, out)


@click.command()
@MARKET
@PORTFOLIO
@click.option("--model", "model_file", required=True, type=FILE, help="Tail model file.")
@HISTORY
@click.option("--worst", default=5, show_default=True, type=click.IntRange(0), help="Joint moves of a set to show.")
@json_option
@reports_errors
def tail(
    market_file: Path, book_file: Path, model_file: Path, history_files: tuple[Path, ...], worst: int, as_json: bool
) -> None:
    """Value at risk and expected shortfall of a book, and which joint moves are the worst."""
    from riskproof import encoding
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.tail.evaluate import evaluate_tail
    from riskproof.risk.tail.model import MAX_BYTES, TailModel

    market = load_market(market_file)
    name = str(model_file)
    model = TailModel.from_document(encoding.parse_json(read_bytes(model_file), name, limit=MAX_BYTES), name)
    book = parse_book(read_bytes(book_file), market.registry, str(book_file))
    histories = load_histories(history_files)
    with compiling():
        risk = evaluate_tail(market, model, book, histories)
    exponent = market.registry.money_exponent + market.registry.quantity_exponent
    document = tail_document(model, risk, exponent, market.registry.numeraire)
    if as_json:
        emit_json(
            {"registry_digest": market.registry.digest.hex(), "snapshot_digest": market.snapshot.digest.hex()}
            | document
        )
    else:
        click.echo(tail_text(model, risk, exponent, market.registry.numeraire, worst))


def tail_document(model: TailModel, risk: TailRisk, exponent: int, numeraire: str) -> dict[str, Json]:
    """The object that `riskproof tail --json` prints, without the market. Amounts are micros; losses and measures rounded up."""
    sets: list[Json] = []
    for (_, method), s in zip(model.sets, risk.sets, strict=True):
        pnl = _pnl_micros(s, exponent)
        worst = min(range(len(s.pnl)), key=s.pnl.__getitem__)
        sets.append(
            {
                "id": s.id,
                "method": method.METHOD,
                "amount_micros": _up(s.amount, exponent),
                "value_at_risk_micros": None if s.value_at_risk is None else _up(s.value_at_risk, exponent),
                "expected_shortfall_micros": None
                if s.expected_shortfall is None
                else _up(s.expected_shortfall, exponent),
                "worst": {"id": s.scenario_ids[worst], "pnl_micros": pnl[worst]},
                "scenarios": [{"id": i, "pnl_micros": x} for i, x in zip(s.scenario_ids, pnl, strict=True)],
            }
        )
    return {
        "model": model.name,
        "model_digest": model.digest.hex(),
        "numeraire": numeraire,
        "measure": model.measure,
        "sets": sets,
        "binding": risk.sets[risk.binding].id,
        "requirement_micros": risk.requirement_micros,
    }


def tail_text(model: TailModel, risk: TailRisk, exponent: int, numeraire: str, worst: int) -> str:
    """A row for each set, the binding one marked, and each set's worst joint moves."""

    def cell(amount: Fraction | int | None) -> str:
        return "-" if amount is None else money(_up(amount, exponent))

    rows = [
        [s.id, method.METHOD, str(len(s.pnl)), cell(s.value_at_risk), cell(s.expected_shortfall), cell(s.amount)]
        for (_, method), s in zip(model.sets, risk.sets, strict=True)
    ]
    header = ["set", "method", "moves", "value at risk", "expected shortfall", model.measure.replace("_", " ")]
    if model.liquidity is not None:
        header[-1] = "with liquidity horizons"
    elif model.tail is not None:
        header, rows = header[:-1], [row[:-1] for row in rows]
    parts = [table(header, rows, left=2, mark=risk.binding)]
    for s in risk.sets if worst else ():
        pnl = _pnl_micros(s, exponent)
        order = sorted(range(len(pnl)), key=s.pnl.__getitem__)[:worst]
        shown = amounts([pnl[n] for n in order])
        body = [[s.scenario_ids[n], x] for n, x in zip(order, shown, strict=True)]
        parts.append(table([f"worst of {s.id}", f"P&L, {numeraire}"], body))
    parts.append(f"requirement  {money(risk.requirement_micros)} {numeraire}")
    return "\n\n".join(parts)


def _pnl_micros(s: SetRisk, exponent: int) -> list[int]:
    from riskproof.units import to_micros

    return [to_micros(x, exponent, against_account=True, where="tail risk") for x in s.pnl]


def _up(amount: Fraction | int, exponent: int) -> int:
    from riskproof.units import to_micros

    whole = -(-amount.numerator // amount.denominator)
    return to_micros(whole, exponent, against_account=True, requirement=True, where="tail risk")


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
    named = [(path.name, read_bytes(path)) for path in files]
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
        parts.append(read(data, name, chosen))
    made = reduce(lambda a, b: a.joined(b), parts)
    write_bytes(out, made.to_bytes())
    click.echo(
        f"{out}: {len(made.factors)} factors on {len(made)} days from {made.start} to {made.end}\nhistory {made.digest.hex()}",
        err=True,
    )
