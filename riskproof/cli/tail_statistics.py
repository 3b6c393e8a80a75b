"""What `riskproof tail` adds to the simulated numbers: parametric numbers and backtests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from riskproof.cli.files import read_bytes
from riskproof.cli.output import error_document, percent, table
from riskproof.cli.tail_amounts import loss_micros, loss_text, pnl_micros
from riskproof.errors import DomainError, HistoryError, ModelError, RiskproofError

if TYPE_CHECKING:
    from riskproof.encoding import Json
    from riskproof.market.marketfile import Market
    from riskproof.market.portfolio import Portfolio
    from riskproof.risk.tail.backtest import Backtest, LikelihoodRatio
    from riskproof.risk.tail.correlation import Correlation
    from riskproof.risk.tail.history import Factor, History
    from riskproof.risk.tail.model import TailModel
    from riskproof.risk.tail.parametric import ParametricRisk, Sensitivities


@dataclass(frozen=True, repr=False)
class Parametric:
    """Parametric numbers under one correlation document, the greatest over the points of a set's interval.

    Attributes:
        set_id: the Monte Carlo set that has the document; None if it is a file's.
        correlation: the document.
        delta_normal: its value at risk and expected shortfall.
        delta_gamma: its value at risk, or why there is none.
    """

    set_id: str | None
    correlation: Correlation
    delta_normal: ParametricRisk
    delta_gamma: ParametricRisk | ModelError


@dataclass(frozen=True, repr=False)
class SetCoverage:
    """A scenario set's backtest, or why there is none."""

    id: str
    method: str
    result: Backtest | RiskproofError


def load_correlations(files: Sequence[Path]) -> list[tuple[Path, Correlation]]:
    """Read and check correlation files, each with its name."""
    from riskproof import encoding
    from riskproof.risk.tail.correlation import Correlation

    return [(x, Correlation.from_document(encoding.parse_json(read_bytes(x), str(x)), str(x))) for x in files]


def parametric_numbers(
    market: Market, model: TailModel, book: Portfolio, files: Sequence[tuple[Path, Correlation]]
) -> list[Parametric]:
    """Under the correlations of the model's Monte Carlo sets and those of files (ModelError: there are none, or no tail)."""
    from riskproof.risk.tail.evaluate import errors_at
    from riskproof.risk.tail.methods import MonteCarlo
    from riskproof.risk.tail.parametric import delta_normal, sensitivities

    if model.tail is None:
        raise ModelError(
            f"{model.measure} has no tail", where="measure.kind", expected="expected_shortfall or value_at_risk"
        )
    wanted: list[tuple[str, str | None, Correlation, tuple[Correlation, ...]]] = [
        (f"sets[{n}]", id_, method.correlation, method.correlations())
        for n, (id_, method) in enumerate(model.sets)
        if isinstance(method, MonteCarlo)
    ]
    wanted += [(str(path), None, x, (x,)) for path, x in files]
    if not wanted:
        raise ModelError(
            "parametric numbers need a correlation", where="sets", expected="a monte_carlo set, or --correlation"
        )
    known: dict[tuple[Factor, ...], Sensitivities] = {}
    results = []
    for where, set_id, document, points in wanted:
        factors = document.factors
        if factors not in known:
            shift = model.time_shift_seconds
            with errors_at(where):
                known[factors] = sensitivities(market, book, factors, model.immovable, time_shift_seconds=shift)
        risks = [delta_normal(known[factors], x, model.tail) for x in points]
        normal = max(risks, key=lambda risk: risk.value_at_risk)
        results.append(Parametric(set_id, document, normal, _delta_gamma(known[factors], points, model.tail)))
    return results


def _delta_gamma(book: Sensitivities, points: Sequence[Correlation], tail: int) -> ParametricRisk | ModelError:
    from riskproof.risk.tail.parametric import delta_gamma

    try:
        return max((delta_gamma(book, x, tail) for x in points), key=lambda risk: risk.value_at_risk)
    except ModelError as error:
        return error


def backtests(
    market: Market, model: TailModel, book: Portfolio, histories: Sequence[History], window: int | None
) -> list[SetCoverage]:
    """Of every set; the first set's error if there is none that can be tested."""
    from riskproof.risk.tail.backtest import set_backtest

    results = []
    for n, (id_, method) in enumerate(model.sets):
        found: Backtest | RiskproofError
        try:
            found = set_backtest(market, model, n, book, histories, window)
        except (ModelError, HistoryError, DomainError) as error:
            found = error
        results.append(SetCoverage(id_, method.METHOD, found))
    first = results[0].result
    if isinstance(first, RiskproofError) and all(isinstance(x.result, RiskproofError) for x in results):
        raise first
    return results


def parametric_document(results: Sequence[Parametric], exponent: int) -> list[Json]:
    """The member `parametric`. Amounts are rounded up."""
    return [
        {
            "set": x.set_id,
            "correlation": x.correlation.name,
            "correlation_digest": x.correlation.digest.hex(),
            "horizon_days": x.correlation.horizon_days,
            "delta_normal": _risk_document(x.delta_normal, exponent),
            "delta_gamma": {"value_at_risk_micros": None, "refused": error_document(x.delta_gamma)}
            if isinstance(x.delta_gamma, ModelError)
            else _risk_document(x.delta_gamma, exponent),
        }
        for x in results
    ]


def _risk_document(risk: ParametricRisk, exponent: int) -> dict[str, Json]:
    document: dict[str, Json] = {"value_at_risk_micros": loss_micros(risk.value_at_risk, exponent)}
    if risk.expected_shortfall is not None:
        document["expected_shortfall_micros"] = loss_micros(risk.expected_shortfall, exponent)
    return document


def parametric_text(results: Sequence[Parametric], exponent: int) -> str:
    """A row for each correlation document, and why there is no delta-gamma number."""
    header = ["parametric", "correlation", "days", "delta-normal VaR", "delta-normal ES", "delta-gamma VaR"]
    rows, notes = [], []
    for x in results:
        bent = None if isinstance(x.delta_gamma, ModelError) else x.delta_gamma.value_at_risk
        losses = (x.delta_normal.value_at_risk, x.delta_normal.expected_shortfall, bent)
        names = [x.set_id or "-", x.correlation.name, str(x.correlation.horizon_days)]
        rows.append(names + [loss_text(loss, exponent) for loss in losses])
        if isinstance(x.delta_gamma, ModelError):
            notes.append(f"  {x.set_id or x.correlation.name}: {x.delta_gamma}")
    return "\n".join([table(header, rows, left=2), *notes])


def backtest_document(results: Sequence[SetCoverage], exponent: int) -> list[Json]:
    """The member `backtests`. Forecasts are rounded up, P&Ls down."""
    documents: list[Json] = []
    for x in results:
        document: dict[str, Json] = {"id": x.id, "method": x.method}
        if isinstance(x.result, RiskproofError):
            document["refused"] = error_document(x.result)
        else:
            found = x.result
            document |= {"first": found.days[0], "last": found.days[-1]} | found.coverage.to_document()
            document["exceptions"] = [
                {"id": day, "value_at_risk_micros": loss_micros(forecast, exponent), "pnl_micros": micros}
                for day, forecast, pnl, micros in zip(
                    found.days, found.forecasts, found.pnl, pnl_micros(found.pnl, exponent), strict=True
                )
                if -pnl > forecast
            ]
        documents.append(document)
    return documents


def backtest_text(results: Sequence[SetCoverage]) -> str:
    """A row for each set that is tested, of its value at risk, and why the others are not."""
    header = ["backtest", "from", "to", "days", "tail", "exceptions", "expected", "Kupiec", "p"]
    header += ["independence", "p", "conditional", "p"]
    rows, notes = [], []
    for x in results:
        if isinstance(x.result, RiskproofError):
            notes.append(f"  {x.id}: {x.result}")
            continue
        found = x.result.coverage
        row = [x.id, x.result.days[0], x.result.days[-1], str(found.observations), percent(found.tail)]
        row += [str(found.violations), f"{found.observations * found.tail / 10**12:.1f}"]
        rows.append(row + _tests(found.unconditional) + _tests(found.independence) + _tests(found.conditional))
    return "\n".join([table(header, rows, left=3), *notes])


def _tests(ratio: LikelihoodRatio) -> list[str]:
    return [f"{ratio.statistic:.3f}", f"{ratio.p_value:.3f}"]
