"""`riskproof price` and `riskproof array`: the public part of the computation, for anyone with a market file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import read_bytes
from riskproof.cli.market import FILE, load_market
from riskproof.cli.output import amounts, compiling, emit_json, json_option, money, percent, reports_errors, table

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market
    from riskproof.risk.arrays import RiskArray
    from riskproof.risk.model import RiskModel
    from riskproof.risk.portfolio_risk import PortfolioRisk

MARKET = click.option("--market", "market_file", required=True, type=FILE, help="Market file (riskproof market).")
PORTFOLIO = click.option(
    "--portfolio", "book_file", required=True, type=FILE, help="Book: CSV with the header instrument,quantity."
)
MODEL = click.option(
    "--model", "model_name", default="crypto-pm", show_default=True, help="Shipped model or a model file."
)


def resolve_model(name: str) -> RiskModel:
    """A shipped model by name, or a model file by path."""
    from riskproof.risk.model import RiskModel, load_model

    return RiskModel.from_bytes(read_bytes(name), name) if is_model_file(name) else load_model(name)


def is_model_file(name: str) -> bool:
    """Whether a model is given as a file rather than by its name."""
    return Path(name).suffix == ".json" or Path(name).exists()


@click.command()
@MARKET
@json_option
@reports_errors
def price(market_file: Path, as_json: bool) -> None:
    """Value and Greeks of one unit of every instrument, from the snapshot's forwards and volatilities."""
    from riskproof.risk.pricing import price_list

    market = load_market(market_file)
    with compiling():
        prices = price_list(market)
    if as_json:
        emit_json(prices.to_document())
    else:
        click.echo(prices.to_text(table))


@click.command()
@MARKET
@PORTFOLIO
@MODEL
@json_option
@reports_errors
def array(market_file: Path, book_file: Path, model_name: str, as_json: bool) -> None:
    """Risk array of a book: its P&L in every scenario, the worst one, and its margin."""
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.arrays import compute_array
    from riskproof.risk.portfolio_risk import evaluate

    market = load_market(market_file)
    model = resolve_model(model_name)
    book = parse_book(read_bytes(book_file), market.registry, str(book_file))
    with compiling():
        risk_array = compute_array(market, model)
        risk = evaluate(market, model, risk_array, book)
    if as_json:
        emit_json(array_document(market, model, risk_array, risk))
    else:
        click.echo(array_text(model, risk, market.registry.numeraire))


def array_document(market: Market, model: RiskModel, risk_array: RiskArray, risk: PortfolioRisk) -> dict[str, object]:
    """The object that `riskproof array --json` prints. Amounts are micros of the numeraire; shocks are 1e-12."""
    worst = model.scenarios[risk.worst_index]
    return {
        "registry_digest": market.registry.digest.hex(),
        "snapshot_digest": market.snapshot.digest.hex(),
        "model_digest": model.digest.hex(),
        "array_digest": risk_array.digest.hex(),
        "kernel": risk_array.kernel,
        "numeraire": market.registry.numeraire,
        "value_micros": risk.value_micros,
        "scenarios": [
            {
                "id": s.id,
                "price_shock": s.price_shock,
                "vol_shock": s.vol_shock,
                "time_shift_seconds": s.time_shift_seconds,
                "pnl_micros": pnl,
            }
            for s, pnl in zip(model.scenarios, risk.pnl_micros, strict=True)
        ],
        "worst": {"id": worst.id, "pnl_micros": risk.pnl_micros[risk.worst_index]},
        "initial_margin_micros": risk.initial_margin_micros,
        "maintenance_margin_micros": risk.maintenance_margin_micros,
        "charges": risk.charges_document(),
        "greeks": risk.greeks_document(),
    }


def array_text(model: RiskModel, risk: PortfolioRisk, numeraire: str) -> str:
    """The risk array as a table, worst scenario marked, margin below."""
    rows = [
        [s.id, percent(s.price_shock), percent(s.vol_shock), _duration(s.time_shift_seconds), pnl]
        for s, pnl in zip(model.scenarios, amounts(risk.pnl_micros), strict=True)
    ]
    text = table(["scenario", "price", "vol", "time", f"P&L, {numeraire}"], rows, mark=risk.worst_index)
    worst = model.scenarios[risk.worst_index]
    return (
        f"{text}\n\n"
        f"value of the book   {money(risk.value_micros)} {numeraire}\n"
        f"worst scenario      {worst.id}: {money(risk.pnl_micros[risk.worst_index])} {numeraire}\n"
        f"initial margin      {money(risk.initial_margin_micros)} {numeraire}\n"
        f"maintenance margin  {money(risk.maintenance_margin_micros)} {numeraire}"
    )


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
