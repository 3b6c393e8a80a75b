"""The runner on files that are split, merged, spelled otherwise, damaged, or wrong in one number."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from riskproof.risk.margining import MarginModel, evaluate_model
from tests.conformance import derive_auctions, derive_pm1, derive_pm2, derive_srm
from tests.conformance.__main__ import main
from tests.conformance.cases import MAX_EXPONENT, VectorError, load, number, truth, whole
from tests.conformance.float_pm2 import margins

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "../shared/vectors"
PM2 = "derive/derive_pm2_portfolio_cases.json"
PM1 = "derive/derive_pm1_verified_scenarios.json"
SRM = "derive/derive_srm_cases.json"
AUCTIONS = "derive/derive_pm1_liquidation_auctions.json"
BY_CASE = (PM2, PM1, SRM, AUCTIONS, "deribit/deribit_pme_simulate.json")
OTHERS = ("okx/okx_position_builder.json", "cme_span/span_vectors.json", "paradex/paradex_scan_scenarios.json")


def vectors(name: str) -> Any:
    """A file as it is written, floats as text that keeps them."""
    if not (FOLDER / name).exists():
        pytest.skip("needs the vectors of ../shared")
    return json.loads((FOLDER / name).read_text())


def run(document: Any, path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """(exit status, summary); a file that is not run gives what is said about it."""
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    status = main([str(path), "--json"])
    out, err = capsys.readouterr()
    summary = json.loads(out)
    if status != 2:
        return status, summary
    assert err == f"{path}: {summary['error']}\n"
    return status, summary["error"]


def items(cases: Any) -> list[tuple[str, Any]]:
    return list(cases.items()) if isinstance(cases, dict) else [(c["name"], c) for c in cases]


@pytest.mark.parametrize("name", BY_CASE)
def test_each_case_in_a_file_of_its_own(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(name)
    several = items(document["cases"])
    for case, content in several[:: max(1, len(several) // 6)]:
        one: Any = {case: content} if isinstance(document["cases"], dict) else [content]
        status, summary = run({**document, "cases": one}, tmp_path / "part 1.vectors", capsys)
        expected = (0, 0, 1) if content.get("run_by_venue_tests", True) is False else (1, 0, 0)
        assert status == 0
        assert (summary["passed"], summary["failed"], len(summary["skipped"])) == expected


@pytest.mark.parametrize("name", BY_CASE)
def test_cases_as_an_object_and_as_a_list(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(name)
    several = items(document["cases"])[:3]
    for cases in (dict(several), [{**content, "name": case} for case, content in several]):
        status, summary = run({**document, "cases": cases}, tmp_path / "x", capsys)
        assert (status, summary["passed"], summary["failed"]) == (0, len(several), 0)


def test_a_file_of_twice_the_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(SRM)
    twice = document["cases"] | {f"{name} again": case for name, case in document["cases"].items()}
    status, summary = run({**document, "cases": twice}, tmp_path / "x.json", capsys)
    assert summary["form"] == "derive_srm"
    assert (status, summary["passed"], summary["failed"]) == (0, 28, 0)


def test_a_file_of_nothing_but_a_flagged_case_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(PM2)
    flagged = [c for c in document["cases"] if not c["run_by_venue_tests"]]
    status, summary = run({**document, "cases": flagged}, tmp_path / "x.json", capsys)
    assert (status, summary["passed"], summary["failed"], len(summary["skipped"])) == (0, 0, 0, 1)
    renamed = [{**c, "name": "test_1"} for c in flagged] + [{**document["cases"][0], "name": flagged[0]["name"]}]
    status, summary = run({**document, "cases": renamed}, tmp_path / "x.json", capsys)
    assert [s["case"] for s in summary["skipped"]] == ["test_1"]
    assert (status, summary["passed"]) == (0, 1)


def spelled(node: Any, spell: Callable[[Fraction], Any]) -> Any:
    """The document with every decimal string written in another way."""
    if isinstance(node, dict):
        return {k: v if k in ("name", "Name") else spelled(v, spell) for k, v in node.items()}
    if isinstance(node, list):
        return [spelled(x, spell) for x in node]
    try:
        return spell(Fraction(node)) if isinstance(node, str) else node
    except ValueError:
        return node


def exponent(x: Fraction) -> str:
    places = max(len(str(x.denominator)) + 60, 0)
    return f"{x.numerator * 10**places // x.denominator}e-{places}" if x.denominator % 3 else str(x)


@pytest.mark.parametrize(
    "spell", [exponent, lambda x: int(x) if x.denominator == 1 else str(float(x)), float], ids=["e", "int", "float"]
)
def test_numbers_in_another_spelling(
    spell: Callable[[Fraction], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = vectors(PM2)
    document["cases"] = document["cases"][2:40:6]
    for case in document["cases"]:
        case["recomputed_mpmath50"] = None  # thirty digits, which a float has not
    status, summary = run(spelled(document, spell), tmp_path / "x.json", capsys)
    assert summary["failures"] == []
    assert (status, summary["passed"]) == (0, len(document["cases"]))


def test_true_and_false_in_any_spelling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(PM2)
    (case,) = (c for c in document["cases"] if len(c["inputs"]["Options"]) == 20)
    for x in case["inputs"]["Options"]:
        x["IsCall"] = bool(x["IsCall"])
    for x in case["inputs"]["Collaterals"]:
        x["IsRiskCancelling"] = int(x["IsRiskCancelling"])
    assert run({**document, "cases": [case]}, tmp_path / "x.json", capsys)[0] == 0
    case["inputs"]["Options"][0]["IsCall"] = "put"
    _, summary = run({**document, "cases": [case]}, tmp_path / "x.json", capsys)
    assert summary["failures"][0]["error"] == "VectorError: not a number: 'put'"
    assert (truth("1"), truth(Fraction(0)), truth(True)) == (True, False, True)
    with pytest.raises(VectorError, match="neither true nor false: 2"):
        truth(2)


def test_collateral_of_any_name_and_of_haircuts_beyond_its_value() -> None:
    document = vectors(PM2)
    s = copy.deepcopy(next(c["inputs"] for c in document["cases"] if len(c["inputs"]["Options"]) == 20))
    for i, x in enumerate(s["Collaterals"]):
        x |= {"Name": ["wst ETH (é)", "", "A" * 80][i % 3], "MMHaircut": "1", "IMHaircut": "1.5"}
    model = MarginModel.from_document(derive_pm2.model_document(document["base_params"], s["Collaterals"]))
    report = evaluate_model(model, *derive_pm2.market_and_account(s))
    initial, maintenance, _ = margins(document["base_params"], s)
    assert float(report.excess_initial) == pytest.approx(initial, rel=1e-12)
    assert float(report.excess_maintenance) == pytest.approx(maintenance, rel=1e-12)


def absent(node: Any, *path: Any) -> Any:
    document = copy.deepcopy(node)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return document


def replaced(node: Any, value: Any, *path: Any) -> Any:
    document = copy.deepcopy(node)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize("name", ["StableConfidence", "Collaterals", "UnrealisedFunding", "Cash"])
@pytest.mark.parametrize("null", [False, True])
def test_members_that_a_case_may_leave_out(
    name: str, null: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = vectors(PM2)
    case = next(
        c
        for c in document["cases"]
        if c["inputs"]["Options"] and not c["inputs"]["Collaterals"] and not float(c["inputs"]["Cash"])
    )
    case = replaced(case, None, "inputs", name) if null else absent(case, "inputs", name)
    case = absent(absent(case, "recomputed_mpmath50"), "run_by_venue_tests")
    case["expected"] = {k: case["expected"][k] for k in ("IM", "MM")}
    status, summary = run({**document, "cases": [case]}, tmp_path / "x.json", capsys)
    assert (status, summary["passed"], summary["numbers"]) == (0, 1, 2)


def test_unsettled_profit_of_a_perpetual_that_is_not_held_counts_nothing() -> None:
    pm2 = next(c for c in vectors(PM2)["cases"] if c["inputs"]["Options"] and not float(c["inputs"]["NumPerps"]))
    _, account = derive_pm2.market_and_account(pm2["inputs"] | {"UnrealisedPerpPNL": "55", "UnrealisedFunding": "-1"})
    assert account.receivables == ()
    pm1 = vectors(PM1)["cases"]["Test1"]["Scenario"] | {"UnrealisedPerpPNL": 10**18}
    assert derive_pm1.market_and_account(pm1)[1].receivables == ()
    _, account = derive_pm1.market_and_account(pm1 | {"Perps": -(10**18)})
    assert [x for _, x in account.receivables] == [1]


def test_feeds_by_expiry_in_place_of_feeds_by_leg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = vectors(PM1)
    (case,) = (c for c in document["cases"].values() if len(c["Scenario"]["OptionExpiries"]) == 4)
    for name in derive_pm1.FEEDS:
        case["Scenario"][name] = case["Scenario"][name][:1]
    assert run({**document, "cases": {"a": case}}, tmp_path / "x.json", capsys)[0] == 0
    case["Scenario"]["FeedExpiries"] = [1]
    _, summary = run({**document, "cases": {"a": case}}, tmp_path / "x.json", capsys)
    assert summary["failures"][0]["error"] == "VectorError: no feed for the expiry at 500400"
    case["Scenario"]["Rates"] = []
    _, summary = run({**document, "cases": {"a": case}}, tmp_path / "x.json", capsys)
    assert summary["failures"][0]["error"].startswith("VectorError: arrays of different lengths: FeedExpiries 1, ")


def test_an_option_quoted_twice_has_one_volatility() -> None:
    scenario = vectors(SRM)["cases"]["Test5"]["Scenario"]
    twice = {k: v * 2 if k in (*derive_srm.FEEDS, "OptionUnderlying") or k.startswith("Option") else v
             for k, v in scenario.items()}  # fmt: skip
    _, once = derive_srm.market_and_account(scenario)
    _, both = derive_srm.market_and_account(twice)
    assert [q for _, q in both.positions] == [2 * q for _, q in once.positions]
    twice["OptionVols"][-1] += 1
    with pytest.raises(VectorError, match=r"two volatilities of ETH-500400-1300-C"):
        derive_srm.market_and_account(twice)


def test_the_standard_manager_near_expiry_takes_the_settlement_price() -> None:
    scenario = vectors(SRM)["cases"]["Test5"]["Scenario"]
    for seconds, price in ((3_599, 1_400), (3_600, None)):
        changed = scenario | {
            "OptionExpiries": [seconds] * 2,
            "FeedExpiries": [seconds] * 2,
            "SettlementPriceETH": 1_400 * 10**18,
        }
        market, _ = derive_srm.market_and_account(changed)
        assert market.forwards["ETH", seconds].price == (price or Fraction(changed["Forwards"][0], 10**18))


def test_a_bid_in_an_insolvent_auction_pays_the_account_nothing() -> None:
    document = load(FOLDER / AUCTIONS) if (FOLDER / AUCTIONS).exists() else vectors(AUCTIONS)
    case = copy.deepcopy(document["cases"]["Test2"])
    (action,) = case["Actions"]
    for price, payout in ((-(10**18), 0), (10**18, -(10**18)), (-(10**18), -(10**18))):
        action["Results"] |= {"ExpectedBidPrice": price, "SMPayout": payout}
        (result,) = derive_auctions.run({"cases": {"a": case}})
        got = {c.what: c.got for c in result.checks}
        assert got["PostMtM 0"] == got["PreMtM 0"] * Fraction(95, 100)
    action["Results"] |= {"fLiquidatedOfOriginal": 0}
    (result,) = derive_auctions.run({"cases": {"a": case}})
    assert {c.what: c.got for c in result.checks} == got


WRONG: list[tuple[str, tuple[Any, ...], str]] = [
    (PM2, ("cases", 3, "expected", "IM"), "IM"),
    (PM2, ("cases", 5, "expected", "MM"), "MM"),
    (PM2, ("cases", 5, "expected", "reg_losses", 4, 2), "scenario_published s4/1.09/down"),
    (PM2, ("cases", 5, "recomputed_mpmath50", "scenario_pnl", 30), "scenario s30/1/abs (recomputed)"),
    (PM1, ("cases", "Test10", "Result", "InitialMarginHand"), "InitialMarginHand"),
    (PM1, ("cases", "Test10", "Result", "MaintenanceMarginCalc"), "MaintenanceMarginCalc"),
    (SRM, ("cases", "Test26", "Result", "realIM"), "realIM"),
    (SRM, ("cases", "Test26", "Result", "HandMM"), "HandMM"),
    (AUCTIONS, ("cases", "Test5", "Actions", 1, "Results", "PostMM"), "PostMM 1"),
]


@pytest.mark.parametrize(("name", "path", "what"), WRONG, ids=lambda x: str(x)[-40:] if isinstance(x, str) else "")
@pytest.mark.parametrize("factor", [Fraction(1) + Fraction(1, 10**8), Fraction(-1)])
def test_a_wrong_number_fails_its_case_alone(
    name: str, path: tuple[Any, ...], what: str, factor: Fraction, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = vectors(name)
    if name == PM2:
        document["cases"] = document["cases"][:10]
    inner = document
    for step in path:
        inner = inner[step]
    changed = Fraction(str(inner)) * factor + (0 if name != PM2 else Fraction(1, 10**6))
    value: Any = int(changed) if isinstance(inner, int) else f"{changed.numerator}/{changed.denominator}"
    status, summary = run(replaced(document, value, *path), tmp_path / "x.json", capsys)
    assert (status, summary["failed"]) == (1, 1)
    (failure,) = summary["failures"]
    assert failure["error"] == ""
    (check,) = failure["checks"]
    assert check["what"] == what
    assert {"what", "expected", "got", "difference"} == check.keys()
    assert abs(Fraction(check["expected"]) - changed / (1 if name == PM2 else 10**18)) < Fraction(1, 10**17)
    assert summary["passed"] == len(document["cases"]) - 1 - len(summary["skipped"])


def test_every_case_of_a_damaged_file_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that cannot be run says why, in one line, and the others run."""
    document = vectors(PM1)
    cases = document["cases"]
    damaged = {
        "KeyError: no member 'Scenario'": absent(cases["Test1"], "Scenario"),
        "KeyError: no member 'SpotPrice'": absent(cases["Test1"], "Scenario", "SpotPrice"),
        "VectorError: not a number: 'x'": replaced(cases["Test1"], "x", "Scenario", "Cash"),
        "VectorError: not a number: 'True'": replaced(cases["Test1"], True, "Scenario", "Cash"),
        "VectorError: not a whole number: Fraction(1, 2)": replaced(
            cases["Test1"], [0.5], "Scenario", "OptionExpiries"
        ),
        "VectorError: neither true nor false: 2": replaced(cases["Test1"], [2], "Scenario", "OptionIsCall"),
        "SnapshotError: settlement_price: not positive": replaced(cases["Test1"], 0, "Scenario", "StablePrice"),
        "a price that is not positive (expected forward and strike above zero)": replaced(
            cases["Test1"], [0], "Scenario", "OptionStrikes"
        ),
        "VectorError: nothing expected that is compared": replaced(cases["Test1"], {"Cash": 0}, "Result"),
        "TypeError: ": 5,
    }
    several = {str(i): case for i, case in enumerate(damaged.values())} | {"good": cases["Test2"]}
    status, summary = run({**document, "cases": several}, tmp_path / "x.json", capsys)
    assert (status, summary["passed"], summary["failed"]) == (1, 1, len(damaged))
    for failure, message in zip(summary["failures"], damaged, strict=True):
        assert message in failure["error"]
        assert "\n" not in failure["error"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "cannot be read: Expecting value"),
        ("[" * 200_000, "cannot be read: nested too deeply"),
        ('{"a": 1, "a": 2}', "cannot be read: member 'a' twice"),
        (f'{{"a": 1e{MAX_EXPONENT + 1}}}', "cannot be read: not a number of at most"),
        ("[]", "no suite knows this content"),
        ("5", "no suite knows this content"),
        ('{"cases": 1, "params": 2, "base_params": [], "scenario_table": 3}', "no suite knows this content"),
        (
            '{"base_params": {"VolShock": 1, "Scenarios": 1, "SkewShock": 1}}',
            "not of the form of derive_pm2: VectorErr",
        ),
        (
            '{"params": {"volShock": 1, "scenarios": 1, "basis": 1}, "cases": {}}',
            "no cases: an object of cases by name",
        ),
    ],
)
def test_a_file_that_cannot_be_run(
    document: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(document, tmp_path / "x.json", capsys)
    assert status == 2
    assert message in said
    assert "\n" not in said


def test_a_folder_or_nothing_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "none")]) == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert main([str(tmp_path / "bytes")]) == 2
    assert capsys.readouterr().err.count("cannot be read") == 3


def test_numbers_of_any_size_are_numbers_or_refused() -> None:
    assert number("-1.64e-680") == Fraction(-164, 10**682)
    assert number(10**60) == 10**60
    for wrong in ("1e999999999", "9" * 2_000, 10**2_000, "nan", "1/0", None, [], 0.5):
        with pytest.raises(VectorError, match="not a number"):
            number(wrong)
    assert whole("60.0") == 60


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    vectors(SRM)
    command = f"{sys.executable} -m tests.conformance {FOLDER / SRM} --json | head -c 20"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == '{\n "form": "derive_srm'[:20]
