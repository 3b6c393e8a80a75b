"""docs/tail-risk.md says what the code does: its examples and its table of backtests, recomputed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tail_support import SHARED, tail_market

from riskproof.market.portfolio import Portfolio
from riskproof.risk.tail.backtest import Backtest, filtered_backtest, historical_backtest
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.history import History
from riskproof.risk.tail.history_csv import import_closes
from riskproof.risk.tail.measures import expected_shortfall, value_at_risk
from riskproof.risk.tail.simulation import STREAM, normals
from riskproof.units import format_decimal

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tail-risk.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_history_has_the_digest_of_the_page() -> None:
    assert History.from_bytes(EXAMPLES[0].strip().encode()).digest.hex() in PAGE


def test_the_example_correlation_loads() -> None:
    assert Correlation.from_document(json.loads(EXAMPLES[1])).matrix[1][0] == 820_000_000_000


def test_the_draws_and_the_stream_of_the_page() -> None:
    first, second = (format_decimal(z, 12) for z in normals(1, 2).tolist())
    assert f"The first two draws of seed 1 are {first} and {second}." in PAGE
    assert f"(seed, `{STREAM:#x}`)" in PAGE


def test_the_worked_shortfall() -> None:
    pnl = [int(x) for x in re.search(r"Of the P&Ls ([-0-9, ]+) and alpha = 25 %", PAGE)[1].split(",")]  # type: ignore[index]
    assert (value_at_risk(pnl, 25 * 10**10), expected_shortfall(pnl, 25 * 10**10)) == (80, 96)


ROW = re.compile(
    r"^\| (historical|filtered) \| ([0-9.]+) % \| (\d+) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|$", re.M
)


@pytest.mark.parametrize(
    "row", [pytest.param(r, marks=[pytest.mark.slow] * (r[0] == "filtered")) for r in ROW.findall(PAGE)]
)
def test_the_backtests_of_the_page(row: tuple[str, ...]) -> None:
    path = SHARED / "daily_closes.csv"
    if not path.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    method, percent, violations, expected, *p_values = row
    market, tail = tail_market(), int(float(percent) * 10**10)
    book = Portfolio.build([(market.registry.index_of("BTC"), 1_000)])
    history = import_closes(path.read_bytes(), path.name, ["BTC"])
    found: Backtest = (
        historical_backtest(market, book, history, 500, tail)
        if method == "historical"
        else filtered_backtest(market, book, history, 470, tail, 940_000_000_000, 30)
    )
    tests = (found.coverage.unconditional, found.coverage.independence, found.coverage.conditional)
    assert (found.coverage.observations, found.coverage.violations) == (2_620, int(violations))
    assert f"{2_620 * tail / 1e12:.1f}" == expected
    assert [f"{x.p_value:.2f}" for x in tests] == p_values


def test_the_page_has_its_table() -> None:
    assert len(ROW.findall(PAGE)) == 6
