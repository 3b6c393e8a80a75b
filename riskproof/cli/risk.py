"""`riskproof price` and `riskproof array`: the public part of the computation, for anyone with a market file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import read_bytes
from riskproof.cli.inputs import HISTORY, MARKET, MODEL, PORTFOLIO, any_model, errors_in, load_histories, load_market
from riskproof.cli.output import amounts, compiling, emit_json, json_option, money, percent, reports_errors, table

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market
    from riskproof.risk.arrays import RiskArray
    from riskproof.risk.greeks import PortfolioGreeks
    from riskproof.risk.margining import MarginModel, MarginReport
    from riskproof.risk.model import RiskModel
    from riskproof.risk.portfolio_risk import PortfolioRisk


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
@HISTORY
@json_option
@reports_errors
def array(market_file: Path, book_file: Path, model_name: str, history_files: tuple[Path, ...], as_json: bool) -> None:
    """Risk array of a book: its P&L in every scenario, the worst one, and its margin.

    Under a model of version 2 these come from the margin engine; riskproof margin says what they are made of.
    """
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.arrays import compute_array
    from riskproof.risk.greeks import portfolio_greeks
    from riskproof.risk.margining import margin
    from riskproof.risk.model import RiskModel
    from riskproof.risk.portfolio_risk import evaluate

    market, model = load_market(market_file), any_model(model_name)
    histories = load_histories(history_files, model)
    book = parse_book(read_bytes(book_file), market.registry, str(book_file))
    with compiling(), errors_in(model_name, model, history_files, histories):
        if isinstance(model, RiskModel):
            risk_array = compute_array(market, model)
            risk = evaluate(market, model, risk_array, book)
        else:
            report = margin(model, market, book, histories=histories)
            greeks = portfolio_greeks(market, book)
    if isinstance(model, RiskModel):
        if as_json:
            emit_json(array_document(market, model, risk_array, risk))
        else:
            click.echo(array_text(model, risk, market.registry.numeraire))
    elif as_json:
        emit_json(margin_array_document(market, model, report, greeks))
    else:
        click.echo(margin_array_text(model, report))


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


def margin_array_document(
    market: Market, model: MarginModel, report: MarginReport, greeks: PortfolioGreeks
) -> dict[str, object]:
    """The object that `riskproof array --json` prints under a model of version 2; shocks are as the model writes them."""
    from riskproof.risk.figures import ENGINE, MarginFigures
    from riskproof.risk.margining import exact

    figures = MarginFigures.of(report)
    rows: list[dict[str, object]] = [
        {
            "id": s.id,
            "price": exact.text(s.price),
            "on": s.on,
            "vol": s.vol,
            "time_shift_seconds": s.time_shift_seconds,
            "weight": exact.text(s.weight),
            "group": s.group,
            "pnl_micros": pnl,
        }
        for s, pnl in zip(model.scenarios, figures.pnl_micros, strict=True)
    ]
    worst = next((row for row in rows if row["id"] == figures.worst_id), None)
    return {
        "registry_digest": market.registry.digest.hex(),
        "snapshot_digest": market.snapshot.digest.hex(),
        "model_digest": model.digest.hex(),
        "kernel": ENGINE,
        "numeraire": report.settlement,
        "scenarios": rows,
        "worst": None if worst is None else {"id": worst["id"], "pnl_micros": worst["pnl_micros"]},
        "initial_margin_micros": figures.initial_margin_micros,
        "maintenance_margin_micros": figures.maintenance_margin_micros,
        "greeks": greeks.to_document(),
    }


def margin_array_text(model: MarginModel, report: MarginReport) -> str:
    """The scenarios of a model of version 2 as a table, the worst one marked, margin below."""
    from riskproof.risk.figures import MarginFigures
    from riskproof.risk.margining import exact
    from riskproof.risk.margining.grid import ALL

    figures, currency = MarginFigures.of(report), report.settlement
    some = any(s.on != ALL for s in model.scenarios)
    rows = [
        [
            s.id,
            exact.text(s.price),
            *([s.on] if some else []),
            s.vol or "",
            _duration(s.time_shift_seconds),
            s.group,
            pnl,
        ]
        for s, pnl in zip(model.scenarios, amounts(figures.pnl_micros), strict=True)
    ]
    lines = [
        f"initial margin      {money(figures.initial_margin_micros)} {currency}",
        f"maintenance margin  {money(figures.maintenance_margin_micros)} {currency}",
    ]
    if figures.worst_id is None:
        return "\n".join([f"{model.name} has no scenarios", "", *lines])
    worst = report.scenario_ids.index(figures.worst_id)
    shock = "price, scan ranges" if model.scan_ranges is not None else "price"
    text = table(
        ["scenario", shock, *(["on"] if some else []), "vol", "time", "group", f"P&L, {currency}"], rows, mark=worst
    )
    return "\n".join(
        [text, "", f"worst scenario      {figures.worst_id}: {rows[worst][-1].strip()} {currency}", *lines]
    )


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
