"""`riskproof tail`: value at risk and expected shortfall of a book."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli import tail_statistics as statistics
from riskproof.cli.files import read_bytes
from riskproof.cli.inputs import FILE, HISTORY, MARKET, PORTFOLIO, errors_in, load_histories, load_market
from riskproof.cli.output import amounts, compiling, emit_json, json_option, money, progress, reports_errors, table
from riskproof.cli.tail_amounts import loss_micros, loss_text, pnl_micros

if TYPE_CHECKING:
    from riskproof.encoding import Json
    from riskproof.risk.tail.evaluate import TailRisk
    from riskproof.risk.tail.model import TailModel


@click.command()
@MARKET
@PORTFOLIO
@click.option("--model", "model_file", required=True, type=FILE, help="Tail model file.")
@HISTORY
@click.option("--worst", default=5, show_default=True, type=click.IntRange(0), help="Joint moves of a set to show.")
@click.option("--parametric", is_flag=True, help="Delta-normal and delta-gamma numbers under the model's correlations.")
@click.option(
    "--correlation",
    "correlation_files",
    multiple=True,
    type=FILE,
    help="With --parametric: under this document too (riskproof history correlation); may be given again.",
)
@click.option("--backtest", is_flag=True, help="Coverage of value at risk by the model's sets on their whole history.")
@click.option(
    "--window",
    type=click.IntRange(1),
    metavar="MOVES",
    help="With --backtest: moves that a forecast comes from [default: as many as the set has].",
)
@json_option
@reports_errors
def tail(
    market_file: Path,
    book_file: Path,
    model_file: Path,
    history_files: tuple[Path, ...],
    worst: int,
    parametric: bool,
    correlation_files: tuple[Path, ...],
    backtest: bool,
    window: int | None,
    as_json: bool,
) -> None:
    """Value at risk and expected shortfall of a book, and which joint moves are the worst.

    \b
    riskproof tail --market market.json --portfolio book.csv --model tail.json --history closes.json
    riskproof tail --market market.json --portfolio book.csv --model tail.json --parametric --correlation correlation.json
    riskproof tail --market market.json --portfolio book.csv --model tail.json --history closes.json --backtest --window 500
    """
    from riskproof import encoding
    from riskproof.errors import InputError
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.tail.evaluate import evaluate_tail
    from riskproof.risk.tail.model import MAX_BYTES, TailModel

    for option, given, needs, there in (
        ("--correlation", correlation_files, "--parametric", parametric),
        ("--window", window, "--backtest", backtest),
    ):
        if given and not there:
            raise InputError(f"given without {needs}", where=option, expected=needs)
    market = load_market(market_file)
    name = str(model_file)
    model = TailModel.from_document(encoding.parse_json(read_bytes(model_file), name, limit=MAX_BYTES), name)
    book = parse_book(read_bytes(book_file), market.registry, str(book_file))
    histories, correlations = load_histories(history_files, model), statistics.load_correlations(correlation_files)
    named = partial(errors_in, name, model, history_files, histories)
    with compiling(), progress("revaluing the book under every joint move ..."), named():
        risk = evaluate_tail(market, model, book, histories)
        numbers = statistics.parametric_numbers(market, model, book, correlations) if parametric else []
    tested = []
    if backtest:
        with progress("backtesting; a filtered set revalues the book before every day ..."), named():
            tested = statistics.backtests(market, model, book, histories, window)
    exponent = market.registry.money_exponent + market.registry.quantity_exponent
    if as_json:
        document: dict[str, Json] = {
            "registry_digest": market.registry.digest.hex(),
            "snapshot_digest": market.snapshot.digest.hex(),
        }
        document |= tail_document(model, risk, exponent, market.registry.numeraire)
        if parametric:
            document["parametric"] = statistics.parametric_document(numbers, exponent)
        if backtest:
            document["backtests"] = statistics.backtest_document(tested, exponent)
        emit_json(document)
    else:
        parts = [tail_text(model, risk, exponent, market.registry.numeraire, worst)]
        if parametric:
            parts.append(statistics.parametric_text(numbers, exponent))
        if backtest:
            parts.append(statistics.backtest_text(tested))
        click.echo("\n\n".join(parts))


def tail_document(model: TailModel, risk: TailRisk, exponent: int, numeraire: str) -> dict[str, Json]:
    """The object that `riskproof tail --json` prints, without the market. Amounts are micros; losses and measures rounded up."""
    sets: list[Json] = []
    for (_, method), s in zip(model.sets, risk.sets, strict=True):
        pnl = pnl_micros(s.pnl, exponent)
        worst = min(range(len(s.pnl)), key=s.pnl.__getitem__)
        sets.append(
            {
                "id": s.id,
                "method": method.METHOD,
                "amount_micros": loss_micros(s.amount, exponent),
                "value_at_risk_micros": None if s.value_at_risk is None else loss_micros(s.value_at_risk, exponent),
                "expected_shortfall_micros": None
                if s.expected_shortfall is None
                else loss_micros(s.expected_shortfall, exponent),
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
    rows = [
        [s.id, method.METHOD, str(len(s.pnl))]
        + [loss_text(x, exponent) for x in (s.value_at_risk, s.expected_shortfall, s.amount)]
        for (_, method), s in zip(model.sets, risk.sets, strict=True)
    ]
    header = ["set", "method", "moves", "value at risk", "expected shortfall", model.measure.replace("_", " ")]
    if model.liquidity is not None:
        header[-1] = "with liquidity horizons"
    elif model.tail is not None:
        header, rows = header[:-1], [row[:-1] for row in rows]
    parts = [table(header, rows, left=2, mark=risk.binding)]
    for s in risk.sets if worst else ():
        pnl = pnl_micros(s.pnl, exponent)
        order = sorted(range(len(pnl)), key=s.pnl.__getitem__)[:worst]
        shown = amounts([pnl[n] for n in order])
        body = [[s.scenario_ids[n], x] for n, x in zip(order, shown, strict=True)]
        parts.append(table([f"worst of {s.id}", f"P&L, {numeraire}"], body))
    parts.append(f"requirement  {money(risk.requirement_micros)} {numeraire}")
    return "\n\n".join(parts)
