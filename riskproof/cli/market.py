"""`riskproof market`: sample, import, check."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import check_outputs, read_bytes, write_bytes
from riskproof.cli.inputs import FILE, load_market
from riskproof.cli.output import compiling, emit_json, json_option, reports_errors, table
from riskproof.units import format_time, parse_decimal

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market


def _store(market: Market, out: Path, previous: Market | None = None) -> None:
    write_bytes(out, market.to_bytes())
    added = len(market.registry) - (len(previous.registry) if previous else 0)
    priced = sum(q is not None for q in market.snapshot.quotes)
    click.echo(
        f"{out}: {len(market.registry)} instruments ({added} new, {priced} priced) at {format_time(market.snapshot.time)}\n"
        f"registry {market.registry.digest.hex()}\nsnapshot {market.snapshot.digest.hex()}",
        err=True,
    )


@click.group()
def market() -> None:
    """Make, import and check market files.

    A market file is a registry (which instruments exist, and their index) with a snapshot (what they cost at one instant).

    \b
    riskproof market sample --out market.json
    riskproof market import deribit chain.csv futures.csv --out market.json
    riskproof market import deribit later.csv --out later.json --registry market.json
    riskproof market check market.json
    """


@market.command()
@click.option("--out", required=True, type=FILE, help="Market file to write.")
@click.option("--seed", default=1, show_default=True, help="Another seed is another market.")
@click.option(
    "--time",
    "instant",
    metavar="SECONDS|now",
    help="The snapshot's instant, seconds since the epoch, or now [default: a fixed one].",
)
@click.option(
    "--book",
    "books",
    multiple=True,
    metavar="NAME=FILE",
    help="Also write a sample book, such as market-maker-a=book.csv.",
)
@reports_errors
def sample(out: Path, seed: int, instant: str | None, books: tuple[str, ...]) -> None:
    """Generate a market: SVI smiles on BTC and ETH, perpetuals, dated futures. The same seed gives the same bytes."""
    from riskproof.errors import InputError
    from riskproof.market.sample import sample_book, sample_market

    made = sample_market(seed) if instant is None else sample_market(seed, _seconds(instant))
    pairs = [(name, path) for name, equals, path in (b.partition("=") for b in books) if equals and path]
    if len(pairs) != len(books):
        raise InputError("not a name and a file", where="--book", expected="NAME=FILE")
    check_outputs({"--out": out} | {f"--book {n}": Path(path) for n, (_, path) in enumerate(pairs, start=1)}, ())
    rows = [(path, sample_book(name, made).to_csv(made.registry)) for name, path in pairs]
    _store(made, out)
    for path, text in rows:
        write_bytes(path, text.encode("ascii"))


def _seconds(text: str) -> int:
    if text == "now":
        return int(time.time())
    return parse_decimal(text, 0, "--time")


@market.group(name="import")
def import_() -> None:
    """Import a venue's files; a later import extends the registry and never moves an index."""


@import_.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Market file to write.")
@click.option("--registry", "previous", type=FILE, help="Earlier market file whose registry is extended.")
@click.option("--time", "stamp", help="The chain's instant if no file tells it, such as 2026-01-14T09:22:33Z.")
@click.option(
    "--forward",
    type=click.Choice(["parity", "quoted"]),
    default="parity",
    show_default=True,
    help="Take forwards from put-call parity of the marks, or as the venue quotes them.",
)
@reports_errors
def deribit(files: tuple[Path, ...], out: Path, previous: Path | None, stamp: str | None, forward: str) -> None:
    """Import Deribit files: book summaries (JSON), option chains (CSV), futures and perpetuals (CSV)."""
    from riskproof.market.importers.deribit import import_files
    from riskproof.units import parse_time

    check_outputs({"--out": out}, (*files, previous))
    before = load_market(previous) if previous else None
    named = [(path.name, read_bytes(path)) for path in files]
    instant = parse_time(stamp, "--time") if stamp else None
    _store(import_files(named, previous=before, time=instant, forward=forward), out, before)


@market.command()
@click.argument("file", type=FILE)
@click.option(
    "--tolerance",
    default="0.0001",
    show_default=True,
    help="Largest model error that counts as agreement, in the settlement currency.",
)
@json_option
@reports_errors
def check(file: Path, tolerance: str, as_json: bool) -> None:
    """Reprice every option from the snapshot's forward and volatility, and compare with the quoted marks."""
    from riskproof.risk.market_check import check_market

    loaded = load_market(file)
    with compiling():
        result = check_market(loaded, parse_decimal(tolerance, 9, "--tolerance"))
    if as_json:
        emit_json(result.to_document())
    else:
        click.echo(result.to_text(table))
