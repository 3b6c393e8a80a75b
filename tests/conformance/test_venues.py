"""Deribit's, OKX's, SPAN's and Paradex's published numbers, and that the suites notice when one is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from riskproof.risk.margining import Account, Index, MarginMarket, evaluate_model, load_model
from tests.conformance import deribit, okx, paradex, span
from tests.conformance.__main__ import main, summarise
from tests.conformance.cases import number
from tests.conformance.suites import SUITES
from tests.conformance.vector_files import FOLDER, failed, vectors

FILES: dict[str, tuple[Any, int, int]] = {
    "deribit/deribit_pme_simulate.json": (deribit, 2, 191),
    "okx/okx_position_builder.json": (okx, 3, 32),
    "cme_span/span_vectors.json": (span, 13, 135),
    "paradex/paradex_scan_scenarios.json": (paradex, 2, 80),
}
DERIBIT, OKX, SPAN, PARADEX = FILES


@pytest.mark.parametrize("name", FILES)
def test_every_published_digit(name: str) -> None:
    suite, cases, numbers = FILES[name]
    document = vectors(name)
    assert [s for s in SUITES if s.matches(document)] == [suite]
    summary = summarise(list(suite.run(document)))
    assert (summary["passed"], summary["failed"], summary["numbers"]) == (cases, 0, numbers)
    assert summary["skipped"] == summary["parts_that_differ"] == []
    assert float(summary["worst_relative"]) < 2e-15


@pytest.mark.parametrize("name", FILES)
def test_the_runner_knows_the_file_by_its_content(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors(name)
    path = tmp_path / "x.json"
    path.write_text((FOLDER / name).read_text())
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{FILES[name][1]} passed, 0 failed\n")


CASE, ETH = "docs_btc_perp_future", "eth_perp_short_2026_02"
LAST = Fraction(1, 10**12)


def deribit_case(name: str, *path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        node = document["cases"][name]
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = number(node[path[-1]]) + LAST

    return change


@pytest.mark.parametrize(
    ("case", "path", "what"),
    [
        (
            CASE,
            ("expected", "initial_risk_vectors", "BTC-28JUN24", "standard_per_bucket_low_to_high", 3),
            "vector BTC-28JUN24 9",
        ),
        (CASE, ("expected", "initial_risk_vectors", "BTC-PERPETUAL", "extended", 2), "vector BTC-PERPETUAL 29"),
        (ETH, ("expected", "pre_aggregated_eth_eth", "extended", 0), "pre_aggregated 27"),
        (ETH, ("expected", "aggregated_eth_eth", "standard_per_bucket_low_to_high", 0), "aggregated 0"),
        (CASE, ("expected", "worst_case"), "worst_case"),
        (CASE, ("expected", "roll_shock"), "roll_shock"),
        (ETH, ("expected", "worst_case_bucket", "index"), "worst_index"),
        (ETH, ("expected", "maintenance_margin"), "maintenance_margin"),
    ],
)
def test_a_wrong_digit_of_deribit_is_noticed(case: str, path: tuple[Any, ...], what: str) -> None:
    (result,) = failed(DERIBIT, deribit_case(case, *path))
    assert result.name == case
    assert what in [c.what for c in result.checks if not c.passed]


def test_a_parameter_of_deribit_moves_its_numbers() -> None:
    for path in (
        ("model_params", "currency_pair", "eth_usd", "price_range"),
        ("model_params", "currency", "eth", "pnl_offset"),
        ("model_params", "currency", "eth", "min_annualised_move"),
        ("portfolio", "ETH-PERPETUAL"),
    ):
        (result,) = failed(DERIBIT, deribit_case(ETH, *path))
        assert not result.error


def test_an_option_of_deribit_is_no_case_of_this_form() -> None:
    def change(document: Any) -> None:
        case = document["cases"][ETH]
        case["portfolio"]["ETH-27MAR26-2000-C"] = 1
        case["ticker"]["ETH-27MAR26-2000-C"] = {"mark_price": 100}

    (result,) = failed(DERIBIT, change)
    assert result.error == "VectorError: ETH-27MAR26-2000-C is neither a perpetual nor a future"


def test_a_missing_price_of_deribit_fails_the_case() -> None:
    (result,) = failed(DERIBIT, lambda d: d["cases"][ETH]["ticker"].clear())
    assert result.error == "KeyError: no member 'ETH-PERPETUAL'"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda e: e["mr1_pnl_all_vol_scenarios"].__setitem__(1, e["mr1_pnl_all_vol_scenarios"][1] + LAST * 100),
            "mr1_pnl -0.12",
        ),
        (lambda e: e.update(mr4=e["mr4"] + LAST * 100), "mr4"),
        (lambda e: e.update(mr7=e["mr7"] + LAST * 100), "mr7"),
        (lambda e: e.update(mr6=e["mr6"] + LAST * 1000), "mr6"),
        (lambda e: e.update(imr=e["imr"] + LAST * 1000), "imr"),
    ],
)
def test_a_wrong_digit_of_okx_is_noticed(change: Callable[[Any], None], what: str) -> None:
    results = failed(OKX, lambda d: change(d["risk_units"]["LTC"]["expected"]))
    assert "LTC" in [r.name for r in results]
    assert what in [c.what for r in results for c in r.checks if not c.passed]


def test_a_wrong_total_of_okx_is_noticed() -> None:
    (result,) = failed(OKX, lambda d: d["account"].update(borrowMmr=1571))
    assert [c.what for c in result.checks if not c.passed] == ["totalMmr"]


def test_a_future_of_okx_is_no_case_of_this_form() -> None:
    results = failed(OKX, lambda d: d["risk_units"]["BTC"]["positions"][0].update(instId="BTC-USDT-250328"))
    assert [r.error for r in results] == [
        "VectorError: BTC-USDT-250328 is not a perpetual",
        "VectorError: no margin of risk unit BTC",
    ]


def test_the_okx_model_that_ships_has_both_units_margins() -> None:
    document = vectors(OKX)
    market, account = okx.market_and_account(document["risk_units"])
    report = evaluate_model(load_model("okx-like"), market, account)
    units = [u["expected"] for u in document["risk_units"].values()]
    for got, name in ((report.maintenance, "mmr"), (report.initial, "imr")):
        assert abs(got - sum(number(u[name]) for u in units)) < LAST * 10


def test_the_deribit_model_that_ships_has_the_first_responses_margin() -> None:
    case = vectors(DERIBIT)["cases"][CASE]
    index = number(case["index_price"]["btc_usd"])
    coins, quantities = deribit.market_and_quantities(case, "btc", index)
    listings = tuple(replace(x, mark=index * (x.mark or 0)) for x in coins.listings)
    market = MarginMarket("USD", {"btc": Index(index)}, coins.forwards, listings)
    report = evaluate_model(
        load_model("deribit-like"), market, Account.build(market, {n: q * index for n, q in quantities.items()})
    )
    matrix = report.initial / index
    assert abs(matrix - number(case["expected"]["risk_matrix_margin"])) < Fraction(1, 10**9)
    assert report.maintenance == report.initial * Fraction(4, 5)


@pytest.mark.parametrize(
    ("change", "case", "what"),
    [
        (lambda d: d["scenario_table"]["rows"][14].__setitem__(3, "0.5"), "scenario table", "weight 15"),
        (lambda d: d["scenario_table"]["rows"][2].__setitem__(1, "0.333"), "scenario table", "price 3"),
        (
            lambda d: d["cme_gc_2025_09_12"]["GC_FUT_202509_risk_array_long1_loss_positive"].__setitem__(2, -5334),
            "cme_gc_2025_09_12 GC_FUT_202509_risk_array_long1_loss_positive",
            "array 3",
        ),
        (
            lambda d: d["cme_gc_2025_09_12"]["cases"][0].update(scan_risk=16_001),
            "cme_gc_2025_09_12 +1 GC-any",
            "scan_risk",
        ),
        (
            lambda d: d["cme_gc_2025_09_12"]["cases"][0].update(scan_risk=16_001),
            "cme_gc_2025_09_12 -1 GC-any",
            "scan_risk",
        ),
        (
            lambda d: d["cme_gc_2025_09_12"]["cases"][1].update(total_requirement=23_617),
            "cme_gc_2025_09_12 -1 OG-202512-3700-P",
            "total_requirement",
        ),
        (
            lambda d: d["cme_gc_2025_09_12"]["params"].update(short_option_minimum_per_short=36),
            "cme_gc_2025_09_12 -1 OG-202512-3700-P",
            "som",
        ),
        (
            lambda d: d["mcmillan_sp500"]["expected_requirement"].update(covered_write=6_630),
            "mcmillan_sp500 covered_write",
            "requirement",
        ),
        (
            lambda d: d["mcmillan_sp500"]["covered_write_long_future_short_call_pnl"].__setitem__(4, -2_070),
            "mcmillan_sp500 covered_write",
            "array 5",
        ),
        (
            lambda d: d["nse_span_xml"]["NIFTY_FUT_2026_06_30"].update(margin_per_lot=168_328),
            "nse_span_xml NIFTY_FUT_2026_06_30",
            "margin_per_lot",
        ),
    ],
)
def test_a_wrong_figure_of_span_is_noticed(change: Callable[[Any], None], case: str, what: str) -> None:
    results = {r.name: r for r in failed(SPAN, change)}
    assert what in [c.what for c in results[case].checks if not c.passed]


def test_a_position_that_cannot_be_read_fails_its_section() -> None:
    results = failed(SPAN, lambda d: d["cme_gc_2025_09_12"]["cases"][0].update(position="a future"))
    assert [(r.name, r.error) for r in results] == [("cme_gc_2025_09_12", "VectorError: no position in 'a future'")]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d: d["scenarios"][21].__setitem__(2, Fraction("5.34")), "weight 22"),
        (lambda d: d["scenarios"][2].__setitem__(1, -23), "vol 3"),
        (lambda d: d["scenarios"][0].__setitem__(0, 17), "price 1"),
        (lambda d: d.update(min_delta="(2%*|net delta| + 1.5%*hedged delta)*spot"), "hedged_delta"),
        (lambda d: d.update(mmr="0.6*max(..)+provisions"), "maintenance"),
    ],
)
def test_a_wrong_parameter_of_paradex_is_noticed(change: Callable[[Any], None], what: str) -> None:
    (result,) = failed(PARADEX, change)
    assert [c.what for c in result.checks if not c.passed] == [what]


def test_another_rule_of_paradex_fails_with_a_reason() -> None:
    (result,) = failed(PARADEX, lambda d: d.update(min_delta="3%*|net delta|"))
    assert result.error == "VectorError: vol, min_delta or mmr is not written as before"
    (short,) = failed(PARADEX, lambda d: d["scenarios"].pop())
    assert short.error.startswith("ValueError: zip()")


def test_a_failure_is_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors(SPAN)
    document = json.loads((FOLDER / SPAN).read_text())
    document["mcmillan_sp500"]["expected_requirement"]["long_call"] = 4_000
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    assert main([str(path)]) == 1
    text = capsys.readouterr().out
    assert "FAILED mcmillan_sp500 long_call\n    requirement: expected 4000, got 3990 (differs by 1.00e+01)" in text
