"""Derive's published margins, all of them, through the runner that anyone can start."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from riskproof.risk.margining import MarginModel, evaluate_model, load_model
from tests.conformance import derive_auctions, derive_pm1, derive_pm2, derive_srm
from tests.conformance.__main__ import main, summarise
from tests.conformance.cases import load, number

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "../shared/vectors/derive"
FILES = {
    "derive_pm2_portfolio_cases.json": (derive_pm2, 69),
    "derive_pm1_verified_scenarios.json": (derive_pm1, 11),
    "derive_srm_cases.json": (derive_srm, 14),
    "derive_pm1_liquidation_auctions.json": (derive_auctions, 4),
}


def document(name: str) -> Any:
    path = FOLDER / name
    if not path.exists():
        pytest.skip("needs Derive's vectors of ../shared")
    return load(path)


@pytest.mark.parametrize("name", FILES)
def test_every_case_agrees_to_the_published_digits(name: str) -> None:
    suite, most = FILES[name]
    cases = list(suite.run(document(name)))
    summary = summarise(cases)
    assert (summary["passed"], summary["failed"]) == (most, 0)
    assert summary["parts_that_differ"] == []
    margins = [
        c
        for x in cases
        for c in x.checks
        if c.what in ("IM", "MM") or "Margin" in c.what or c.what.startswith(("Hand", "real", "Pre", "Post"))
    ]
    assert len(margins) >= 2 * most
    assert all(c.error <= max(Fraction(1, 10**10), abs(c.expected) / 10**13) for c in margins)


def test_only_the_flag_excludes_a_case() -> None:
    vectors = document("derive_pm2_portfolio_cases.json")
    skipped = [c for c in derive_pm2.run(vectors) if c.skipped]
    assert [c.skipped for c in skipped] == ["the venue does not run it"]
    (case,) = [copy.deepcopy(c) for c in vectors["cases"] if c["name"] == skipped[0].name]
    case["run_by_venue_tests"] = True
    (run,) = derive_pm2.run({**vectors, "cases": [case]})
    assert run.checks
    assert not run.passed  # the published row of its skew scenario has a price move that the venue refuses


def test_the_runner_reports_a_failing_case_and_says_so_in_its_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document("derive_pm2_portfolio_cases.json")
    vectors = json.loads((FOLDER / "derive_pm2_portfolio_cases.json").read_text())
    vectors["cases"] = [c for c in vectors["cases"] if c["inputs"]["Options"]][:2]
    vectors["cases"][1]["expected"]["IM"] = "1.5"
    path = tmp_path / "other-name.json"
    path.write_text(json.dumps(vectors))
    assert main([str(path)]) == 1
    text = capsys.readouterr().out
    assert text.startswith("1 passed, 1 failed\nworst error over ")
    assert f"FAILED {vectors['cases'][1]['name']}\n    IM: expected 1.5, got " in text
    assert main([str(path), "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["failures"][0]["checks"][0]["expected"] == "1.5"
    del vectors["cases"][1]
    path.write_text(json.dumps(vectors))
    assert main([str(path)]) == 0


def test_the_runner_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"cases": []}')
    assert main([str(path)]) == 2
    assert "no suite knows this content" in capsys.readouterr().err
    path.write_text("{")
    assert main([str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_runner_is_a_command() -> None:
    document("derive_srm_cases.json")
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance", str(FOLDER / "derive_srm_cases.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("14 passed, 0 failed\n")


def test_a_case_without_its_feed_fails_with_a_reason() -> None:
    vectors = document("derive_pm2_portfolio_cases.json")
    case = copy.deepcopy(next(c for c in vectors["cases"] if c["inputs"]["Options"]))
    del case["inputs"]["OptionFeeds"][0]["ForwardConfidence"]
    (result,) = derive_pm2.run({**vectors, "cases": [case]})
    assert result.error.startswith("SnapshotError: forward of ")
    assert "no confidence" in result.error


@pytest.mark.parametrize("name", ["derive-pm2", "derive-pm1", "derive-srm"])
def test_the_model_that_ships_has_the_venues_numbers(name: str) -> None:
    """Cases at base parameters, under the document in the package with the case's own collateral, to 1e-10."""
    suite, _ = {
        "derive-pm2": FILES["derive_pm2_portfolio_cases.json"],
        "derive-pm1": FILES["derive_pm1_verified_scenarios.json"],
        "derive-srm": FILES["derive_srm_cases.json"],
    }[name]
    vectors = document(next(f for f, (s, _) in FILES.items() if s is suite))
    compared = 0
    for case in vectors["cases"] if name == "derive-pm2" else vectors["cases"].values():
        if name == "derive-pm2":
            if case["params_override"] or not case["run_by_venue_tests"]:
                continue
            built = derive_pm2.model_document(vectors["base_params"], case["inputs"]["Collaterals"])
            market, account = derive_pm2.market_and_account(case["inputs"])
            expected = number(case["expected"]["IM"]), number(case["expected"]["MM"])
        else:
            built = suite.model_document(vectors["params"])
            market, account = suite.market_and_account(case["Scenario"])
            initial, maintenance = (
                ("InitialMarginCalc", "MaintenanceMarginCalc") if name == "derive-pm1" else ("realIM", "realMM")
            )
            expected = number(case["Result"][initial]) / 10**18, number(case["Result"][maintenance]) / 10**18
        shipped = load_model(name).to_document()
        shipped["collateral"] = built["collateral"]
        report = evaluate_model(MarginModel.from_document(shipped), market, account)
        for got, published in zip((report.excess_initial, report.excess_maintenance), expected, strict=True):
            assert abs(got - published) <= max(abs(published) / 10**10, Fraction(1, 10**8))
        compared += 1
    assert compared >= 11
