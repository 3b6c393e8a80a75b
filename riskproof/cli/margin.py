"""`riskproof margin`, `whatif` and `report`: what a book needs under a model, why, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.compiled import collect_seldom
from riskproof.cli.files import check_outputs, read_kind, write_bytes
from riskproof.cli.inputs import (
    FILE,
    HISTORY,
    MARKET,
    MODEL,
    any_model,
    errors_in,
    is_model_file,
    load_histories,
    load_market,
)
from riskproof.cli.output import compiling, emit_json, json_option, reports_errors

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market
    from riskproof.risk.margining import AnyModel
    from riskproof.risk.tail.history import History
    from riskproof.risk.whatif import BookMargin

BOOK = click.option(
    "--portfolio",
    "book_file",
    required=True,
    type=FILE,
    help="Book: CSV with the header instrument,quantity, or an account file (JSON) with unsettled P&L and funding.",
)
COMPARE = click.option(
    "--compare",
    "compared",
    multiple=True,
    metavar="NAME|FILE",
    help="Another model for the same book; may be given again [default: cross and isolated margin].",
)


@click.command()
@MARKET
@BOOK
@MODEL
@HISTORY
@COMPARE
@click.option(
    "--positions", is_flag=True, help="What each position contributes: Euler's share, marginal margin, alone."
)
@click.option("--reverse-stress", is_flag=True, help="The smallest moves that exhaust the equity.")
@json_option
@reports_errors
def margin(
    market_file: Path,
    book_file: Path,
    model_name: str,
    history_files: tuple[Path, ...],
    compared: tuple[str, ...],
    positions: bool,
    reverse_stress: bool,
    as_json: bool,
) -> None:
    """Margin of a book: what binds, every charge, excess, and what netting saves."""
    collect_seldom()
    from riskproof.cli.margin_document import margin_document
    from riskproof.cli.margin_text import margin_text
    from riskproof.risk.whatif import alone_total, attribute, compare, default_models, directions_of
    from riskproof.risk.whatif import reverse_stress as stress

    market, model = load_market(market_file), any_model(model_name)
    models = [any_model(name) for name in compared]
    histories = load_histories(history_files, model, *models)
    with (
        _notice(model, compiled=bool(compared) or reverse_stress),
        errors_in(model_name, model, history_files, histories),
    ):
        book = _open(model, market, book_file, histories)
        others = compare(book, models or default_models(model))
        shares = attribute(book) if positions else None
        alone = alone_total(book) if shares is None else shares.alone_initial
        moves = None
        if reverse_stress:
            still = getattr(model, "unshocked", ())
            moves = stress(market, book.portfolio, book.report.equity, directions_of(market, book.portfolio, still))
    if as_json:
        emit_json(margin_document(book, others, alone, shares, moves))
    else:
        click.echo(margin_text(book, others, alone, shares, moves))


@click.command()
@MARKET
@BOOK
@MODEL
@HISTORY
@click.option(
    "--trade",
    "trades",
    multiple=True,
    required=True,
    metavar="INSTRUMENT=QUANTITY",
    help="What is bought, or with a minus sold; may be given again.",
)
@json_option
@reports_errors
def whatif(
    market_file: Path,
    book_file: Path,
    model_name: str,
    history_files: tuple[Path, ...],
    trades: tuple[str, ...],
    as_json: bool,
) -> None:
    """Margin before and after trades, and what each of them adds. Trades are paid at the snapshot's values, without fees."""
    collect_seldom()
    from riskproof.cli.margin_document import whatif_document
    from riskproof.cli.margin_text import whatif_text

    market, model = load_market(market_file), any_model(model_name)
    wanted = _trades(trades, market)
    histories = load_histories(history_files, model)
    with _notice(model), errors_in(model_name, model, history_files, histories):
        book = _open(model, market, book_file, histories)
        after = book.after(wanted)
        without = {i: book.after({j: q for j, q in wanted.items() if j != i}) for i in wanted}
    if as_json:
        emit_json(whatif_document(book, wanted, after, without))
    else:
        click.echo(whatif_text(book, wanted, after, without))


@click.command()
@MARKET
@BOOK
@MODEL
@HISTORY
@COMPARE
@click.option("--out", required=True, type=FILE, help="HTML file to write.")
@reports_errors
def report(
    market_file: Path,
    book_file: Path,
    model_name: str,
    history_files: tuple[Path, ...],
    compared: tuple[str, ...],
    out: Path,
) -> None:
    """One offline page: heat map of the risk array, Greeks, margin by model and by charge, what each position contributes."""
    collect_seldom()
    from riskproof.report import render
    from riskproof.risk.whatif import attribute, compare, default_models

    files = (Path(name) for name in (model_name, *compared) if is_model_file(name))
    check_outputs({"--out": out}, (market_file, book_file, *history_files, *files))
    market, model = load_market(market_file), any_model(model_name)
    models = [any_model(name) for name in compared]
    histories = load_histories(history_files, model, *models)
    with compiling(), errors_in(model_name, model, history_files, histories):
        book = _open(model, market, book_file, histories)
        others = compare(book, models or default_models(model))
        page = render(model, book, others, attribute(book))
    write_bytes(out, page)
    click.echo(f"{out}: {len(page):,} bytes", err=True)


def _notice(model: AnyModel, *, compiled: bool = False) -> AbstractContextManager[None]:
    """`compiling` around what needs compiled code: a model of version 1, joint moves, or what the caller knows of.

    The notice itself loads the compiler, which takes longer than the margin of a book under any other model.
    """
    from riskproof.risk.margining import MarginModel

    return compiling() if compiled or not isinstance(model, MarginModel) or model.tail is not None else nullcontext()


def _open(model: AnyModel, market: Market, file: Path, histories: Sequence[History]) -> BookMargin:
    """The book in a file: CSV, or an account file if it starts as a JSON object does."""
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.margining.account_file import parse_account
    from riskproof.risk.whatif import open_book

    data = read_kind(file, "--portfolio", "a book")
    if data.lstrip()[:1] == b"{":
        account = parse_account(data, market.registry, str(file))
        return open_book(model, market, account.portfolio, dict(account.receivables), account.underlying, histories)
    return open_book(model, market, parse_book(data, market.registry, str(file)), histories=histories)


def _trades(texts: Sequence[str], market: Market) -> dict[int, int]:
    from riskproof.errors import InputError, PortfolioError
    from riskproof.market.portfolio import parse_quantity

    trades: dict[int, int] = {}
    for n, text in enumerate(texts, start=1):
        where = f"--trade {n}"
        name, equals, quantity = text.rpartition("=")
        if not equals or not name:
            raise InputError("not an instrument and a quantity", where=where, expected="INSTRUMENT=QUANTITY")
        index = market.registry.index_of(name, where)
        if index in trades:
            raise PortfolioError(f"{name} again", where=where, expected="each instrument once")
        trades[index] = parse_quantity(quantity, market.registry, where)
        if trades[index] == 0:
            raise PortfolioError("a trade of nothing", where=where, expected="a quantity that is not zero")
    return trades
