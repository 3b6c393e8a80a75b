"""`riskproof history` and `riskproof tail`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cli_support import Run, document

from riskproof.risk.tail.history import Factor, History

CLOSES = (
    "date,BTC,ETH\n2026-01-01,100,10\n2026-01-02,110,9\n2026-01-03,88,10.8\n2026-01-04,110,10.8\n2026-01-05,110,16.2\n"
)
MORE = "date,SOL,ADA\n2026-01-02,5,1\n2026-01-03,6,1\n2026-01-04,5,\n2026-01-05,5,1\n"


@pytest.fixture
def digest(run: Run) -> str:
    """A market, a book of two perpetuals and a history in the folder; the history's digest."""
    run("market", "sample", "--out", "market.json")
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,2\nETH-PERPETUAL,-10\n")
    Path("closes.csv").write_text(CLOSES)
    run("history", "import", "closes", "closes.csv", "--out", "history.json")
    return History.from_bytes(Path("history.json").read_bytes()).digest.hex()


def tail_model(digest: str, **members: Any) -> dict[str, Any]:
    return {
        "schema": "riskproof/tail-model/v1",
        "name": "four-days",
        "description": "four days",
        "measure": {"kind": "expected_shortfall", "tail": "0.375"},
        "sets": [
            {
                "id": "days",
                "method": "historical",
                "history": digest,
                "first": "2026-01-01",
                "last": "2026-01-05",
                "horizon_days": 1,
                "weight_decay": "1",
            }
        ],
        "unshocked": [],
        "constant_volatility": [],
        "time_shift_seconds": 0,
    } | members


def write(model: dict[str, Any]) -> None:
    Path("tail.json").write_text(json.dumps(model, indent=2))


ARGUMENTS = ("tail", "--market", "market.json", "--portfolio", "book.csv", "--model", "tail.json")


@pytest.mark.parametrize("kind", ["closes", "surface"])
def test_a_history_never_replaces_its_source(run: Run, kind: str) -> None:
    Path("closes.csv").write_text(CLOSES)
    Path("more.csv").write_text(MORE)
    result = run("history", "import", kind, "more.csv", "closes.csv", "--out", "./closes.csv", code=2)
    assert "closes.csv is also an input or another output, and would be replaced" in result.stderr
    assert Path("closes.csv").read_text() == CLOSES


def test_a_history_of_closes(run: Run) -> None:
    Path("closes.csv").write_text(CLOSES)
    result = run(
        "history", "import", "closes", "closes.csv", "--underlying", "ETH", "--first", "2026-01-02", "--out", "h.json"
    )
    made = History.from_bytes(Path("h.json").read_bytes())
    assert (made.source, made.factors, made.levels[0, 0], len(made)) == ("daily closes", (Factor("ETH"),), 9 * 10**9, 4)
    assert f"h.json: 1 factors on 4 days from 2026-01-02 to 2026-01-05\nhistory {made.digest.hex()}" in result.stderr


def test_files_are_joined_on_the_days_of_all(run: Run) -> None:
    Path("a.csv").write_text(CLOSES)
    Path("b.csv").write_text(MORE)
    run(
        "history", "import", "closes", "a.csv", "b.csv", "--underlying", "BTC", "--underlying", "SOL", "--out", "h.json"
    )
    made = History.from_bytes(Path("h.json").read_bytes())
    assert (str(made.start), made.factors, made.source) == (
        "2026-01-02",
        (Factor("BTC"), Factor("SOL")),
        "daily closes",
    )


def test_the_same_rows_are_the_same_history_whatever_the_file_is_called(run: Run) -> None:
    Path("folder").mkdir()
    for name in ("a.csv", "folder/b.csv"):
        Path(name).write_text(CLOSES)
    imported = ("history", "import", "closes")
    for name, out in (("a.csv", "1.json"), ("folder/b.csv", "2.json")):
        run(*imported, name, "--out", out)
    assert Path("1.json").read_bytes() == Path("2.json").read_bytes()
    run(*imported, "a.csv", "--source", "an exchange, daily at 00:00 UTC", "--out", "3.json")
    plain, named = (History.from_bytes(Path(name).read_bytes()) for name in ("1.json", "3.json"))
    assert (plain.source, named.source) == ("daily closes", "an exchange, daily at 00:00 UTC")
    assert plain.digest != named.digest
    refused = run(*imported, "folder/b.csv", "--source", "", "--out", "4.json", code=2)
    assert "--source: not a printable text (expected 1 to 200 printable characters)" in refused.stderr
    Path("folder/b.csv").write_text(CLOSES.replace("2026-01-04", "2026-01-09"))
    refused = run(*imported, "folder/b.csv", "--out", "4.json", code=2)
    assert "folder/b.csv:5: 2026-01-09 follows 2026-01-03 (expected 2026-01-04)" in refused.stderr
    assert not Path("4.json").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"88000000000"', '"0"', "h.json.levels[0][2]: price of BTC of 0 on 2026-01-03 is out of range"),
        ('"underlying":"ETH"', '"underlying":"E H"', "h.json.factors[1].underlying: not a name: 'E H'"),
        ('"underlying":"ETH"', '"underlying":"AAA"', "h.json.factors: not sorted, or a factor twice"),
        ('"start":"2026-01-01"', '"start":"9999-12-30"', "h.json.start: ends after the year 9999"),
    ],
)
def test_errors_of_a_history_name_its_file(run: Run, digest: str, old: str, new: str, message: str) -> None:
    write(tail_model(digest))
    text = Path("history.json").read_text()
    assert old in text
    Path("h.json").write_text(text.replace(old, new))
    assert message in run(*ARGUMENTS, "--history", "h.json", code=2).stderr


def test_errors_of_a_surface_name_its_file(run: Run) -> None:
    Path("s.csv").write_text("snapshot,ccy,expiry,fwd,atm_iv\n2026-01-01T20:30:00Z,BTC,2026-01-03,89000,45\n")
    arguments = ("history", "import", "surface", "s.csv", "--out", "h.json")
    assert "s.csv: BTC at 2026-01-01T20:30:00Z: no expiries around 7 days" in run(*arguments, code=2).stderr
    assert "s.csv: tenor_days: tenor out of range" in run(*arguments, "--tenor", "0", "--tenor", "9999", code=2).stderr
    assert "Invalid value for '--hour'" in run(*arguments, "--hour", "24", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("closes", "b.csv"), "b.csv:4: no close of ADA on 2026-01-04 (expected a close on every day of the history)"),
        (("closes", "a.csv", "--underlying", "DOGE"), "--underlying: no underlying 'DOGE' (expected BTC, ETH)"),
        (
            ("closes", "a.csv", "b.csv", "--underlying", "BTC"),
            "b.csv: none of the underlyings asked for (expected SOL, ADA)",
        ),
        (
            ("closes", "a.csv", "--first", "2026-1-2"),
            "--first: not a day: '2026-1-2' (expected a day such as 2026-01-14)",
        ),
        (("closes", "a.csv", "a.csv"), "factors: price of BTC is in both histories (expected each factor once)"),
        (
            ("closes", "a.csv", "--last", "2026-02-01"),
            "a.csv: ends on 2026-01-05 (expected 2026-02-01, the last day asked for)",
        ),
        (("closes", "none.csv"), "none.csv: cannot be read: No such file or directory"),
        (("surface", "a.csv"), "a.csv:1: column 'snapshot' is missing (expected snapshot, ccy, expiry, fwd, atm_iv)"),
    ],
)
def test_nothing_is_filled_in(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("a.csv").write_text(CLOSES)
    Path("b.csv").write_text(MORE)
    result = run("history", "import", *arguments, "--out", "h.json", code=2)
    assert message in result.stderr
    assert not Path("h.json").exists()


def test_a_surface(run: Run) -> None:
    rows = ["snapshot,ccy,expiry,fwd,atm_iv"]
    for day in ("01", "02"):
        for expiry, vol in (("2026-01-09", "40"), ("2026-02-27", "50")):
            rows.append(f"2026-01-{day}T20:30:00Z,BTC,{expiry},90000,{vol}")
        rows.append(f"2026-01-{day}T20:30:00Z,BTC,2026-01-03,89000,45")
    Path("s.csv").write_text("\n".join(rows) + "\n")
    run("history", "import", "surface", "s.csv", "--tenor", "30", "--out", "h.json")
    made = History.from_bytes(Path("h.json").read_bytes())
    assert made.factors == (Factor("BTC"), Factor("BTC", 30))
    assert made.levels[0, 0] == 89_000 * 10**9
    assert 0.4e12 < made.levels[0, 1] < 0.5e12
    result = run("history", "import", "surface", "s.csv", "--tenor", "30", "--hour", "3", "--out", "h.json", code=2)
    assert "s.csv: no snapshot of BTC within 6 h of 2026-01-01T03:00:00Z" in result.stderr


def test_expected_shortfall_of_a_book(run: Run, digest: str) -> None:
    """A tail of 1.5 of 4 days: the worst whole, half of the next."""
    write(tail_model(digest))
    got = document(run(*ARGUMENTS, "--history", "history.json", "--json"))
    (days,) = got["sets"]
    pnl = {s["id"]: s["pnl_micros"] for s in days["scenarios"]}
    assert list(pnl) == ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]
    worst, second = sorted(pnl.values())[:2]
    assert days["worst"] == {"id": min(pnl, key=lambda x: pnl[x]), "pnl_micros": worst}
    assert days["value_at_risk_micros"] == -second
    shortfall = Fraction(-worst * 2 - second, 3)
    assert abs(days["expected_shortfall_micros"] - shortfall) <= 2
    assert got["requirement_micros"] == days["amount_micros"] == days["expected_shortfall_micros"]
    assert (got["binding"], got["measure"]) == ("days", "expected_shortfall")


def test_the_table_says_which_day_is_the_worst(run: Run, digest: str) -> None:
    write(tail_model(digest))
    got = document(run(*ARGUMENTS, "--history", "history.json", "--json"))["sets"][0]
    lines = run(*ARGUMENTS, "--history", "history.json", "--worst", "2").stdout.splitlines()
    assert lines[0].split() == ["set", "method", "moves", "value", "at", "risk", "expected", "shortfall"]
    assert lines[2].startswith("> days")
    assert "worst of days" in lines[4]
    assert lines[6].split()[0] == got["worst"]["id"]
    assert lines[-1].startswith("requirement  ")
    assert len(lines) == 10
    write(tail_model(digest, measure={"kind": "worst_loss"}))
    text = run(*ARGUMENTS, "--history", "history.json", "--worst", "0").stdout
    assert "worst loss" in text.splitlines()[0]
    assert "worst of" not in text
    assert document(run(*ARGUMENTS, "--history", "history.json", "--json"))["sets"][0]["value_at_risk_micros"] is None


def test_another_history_is_refused(run: Run, digest: str) -> None:
    write(tail_model(digest))
    assert f"tail.json.sets[0]: history: the history {digest} is not here" in run(*ARGUMENTS, code=2).stderr
    run("history", "import", "closes", "closes.csv", "--first", "2026-01-02", "--out", "other.json")
    other = History.from_bytes(Path("other.json").read_bytes()).digest.hex()
    said = f"other.json: no model of this call names the history {other} (expected {digest}, which four-days names)"
    assert said in run(*ARGUMENTS, "--history", "history.json", "--history", "other.json", code=2).stderr


@pytest.mark.parametrize(
    "command",
    [
        ("margin",),
        ("whatif", "--trade", "BTC-PERPETUAL=1"),
        ("report", "--out", "page.html"),
        ("array",),
        ("attest", "--account", "a", "--key", "venue", "--out", "att.json", "--opening", "opening.json"),
    ],
)
def test_a_history_that_no_model_names_is_refused(run: Run, digest: str, command: tuple[str, ...]) -> None:
    run("keys", "new", "--venue", "venue", "--out", "venue")
    name, *rest = command
    arguments = (name, "--market", "market.json", "--portfolio", "book.csv", *rest, "--history", "history.json")
    said = (
        f"history.json: no model of this call names the history {digest} (expected no --history: crypto-pm names none)"
    )
    before = sorted(Path().iterdir())
    assert said in run(*arguments, code=2).stderr
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("command", [("margin",), ("report", "--out", "page.html")])
def test_models_that_are_compared_name_histories_too(run: Run, digest: str, command: tuple[str, ...]) -> None:
    Path("joint.json").write_text(json.dumps(version2(digest)))
    name, *rest = command
    run(
        *(name, "--market", "market.json", "--portfolio", "book.csv", *rest),
        *("--history", "history.json", "--compare", "joint.json"),
    )


def test_days_that_a_history_does_not_have_name_both_files(run: Run, digest: str) -> None:
    model = version2(digest)
    model["tail"]["sets"][0]["first"] = "2025-12-01"
    Path("joint.json").write_text(json.dumps(model))
    arguments = ("--market", "market.json", "--portfolio", "book.csv", "--history", "history.json")
    said = "history history.json: 2025-12-01 to 2026-01-05 is not covered (expected two days or more from 2026-01-01"
    asked = run("margin", *arguments, "--model", "joint.json", code=2)
    assert f"joint.json.tail.sets[0].{said}" in asked.stderr
    sets = [tail_model(digest)["sets"][0] | {"first": "2025-12-01"}]
    write(tail_model(digest, sets=sets))
    assert f"tail.json.sets[0]: {said}" in run("tail", *arguments, "--model", "tail.json", code=2).stderr


def test_moves_out_of_range_name_both_files(run: Run) -> None:
    run("market", "sample", "--out", "market.json")
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,2\n")
    Path("closes.csv").write_text(CLOSES.replace("88", "8800"))
    run("history", "import", "closes", "closes.csv", "--out", "history.json")
    wild = History.from_bytes(Path("history.json").read_bytes()).digest.hex()
    Path("joint.json").write_text(json.dumps(version2(wild)))
    write(tail_model(wild))
    arguments = ("--market", "market.json", "--portfolio", "book.csv", "--history", "history.json")
    said = "sets[0]: move 2026-01-03 (history.json): price of BTC moves by a factor of 80"
    assert f"joint.json.tail.{said}" in run("margin", *arguments, "--model", "joint.json", code=2).stderr
    assert f"tail.json.{said}" in run("tail", *arguments, "--model", "tail.json", code=2).stderr


def test_what_does_not_move_names_the_model(run: Run, digest: str) -> None:
    run("history", "import", "closes", "closes.csv", "--underlying", "BTC", "--out", "history.json")
    bitcoin = History.from_bytes(Path("history.json").read_bytes()).digest.hex()
    assert bitcoin != digest
    Path("joint.json").write_text(json.dumps(version2(bitcoin)))
    write(tail_model(bitcoin))
    arguments = ("--market", "market.json", "--portfolio", "book.csv", "--history", "history.json")
    said = "sets[0]: ETH-PERPETUAL: no move of the price of ETH"
    assert f"joint.json.tail.{said}" in run("margin", *arguments, "--model", "joint.json", code=2).stderr
    assert f"tail.json.{said}" in run("tail", *arguments, "--model", "tail.json", code=2).stderr


def test_a_wrong_model_is_refused_at_its_member(run: Run, digest: str) -> None:
    write(tail_model(digest, measure={"kind": "expected_shortfall", "tail": "1.5"}))
    result = run(*ARGUMENTS, "--history", "history.json", code=2)
    assert "tail.json.measure.tail: 1.5 is out of range (expected between 0 and 1)" in result.stderr
    write(tail_model(digest, schema="riskproof/model/v2"))
    assert "tail.json.schema: not a tail model of this version" in run(*ARGUMENTS, code=2).stderr


def version2(digest: str) -> dict[str, Any]:
    """Expected shortfall over the history as the margin of a model of version 2."""
    (days,) = tail_model(digest)["sets"]
    return {
        "schema": "riskproof/model/v2",
        "name": "four-days",
        "description": "four days",
        "checked": "by hand",
        "grid": {"scenarios": []},
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "rate"},
        "netting": {"sets": "account"},
        "charges": [],
        "tail": {"sets": [days | {"measure": {"kind": "expected_shortfall", "tail": "0.375"}}]},
        "aggregate": {"account": {"equity": "value.total", "initial": "maintenance", "maintenance": "joint_tail.days"}},
        "rounding": {"requirement": {"decimals": 6, "direction": "up"}, "value": {"decimals": 6, "direction": "down"}},
        "limits": {"legs": 9, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 60},
    }


def test_margin_from_a_history_is_the_shortfall_of_the_tail_command(run: Run, digest: str) -> None:
    write(tail_model(digest))
    tail = document(run(*ARGUMENTS, "--history", "history.json", "--json"))
    Path("model.json").write_text(json.dumps(version2(digest)))
    arguments = ("--market", "market.json", "--portfolio", "book.csv", "--model", "model.json")
    said = f"tail.sets[0].history: the history {digest} is not here"
    for command in ("margin", "whatif"):
        trade = ("--trade", "BTC-PERPETUAL=-2") if command == "whatif" else ()
        assert said in run(command, *arguments, *trade, code=2).stderr
        assert run(command, *arguments, *trade, "--history", "history.json").exit_code == 0
    assert said in run("report", *arguments, "--out", "r.html", code=2).stderr
    run("report", *arguments, "--history", "history.json", "--out", "r.html")
    text = run("margin", *arguments, "--history", "history.json").stdout
    line = next(x for x in text.splitlines() if x.strip().startswith("days "))
    assert "expected shortfall" in line
    assert tail["sets"][0]["worst"]["id"] in line
    amount = Fraction(line.split()[3].replace(",", "")) * 10**6
    assert abs(amount - tail["requirement_micros"]) <= 10_000  # people see cents


@pytest.mark.parametrize("schema", ["riskproof/model/v2", "riskproof/tail-model/v1"])
def test_correlations_that_are_not_positive_semidefinite(run: Run, digest: str, schema: str) -> None:
    """Whoever reads the document finds it, at its path: nothing is estimated or mended on the way."""
    factors = [{"underlying": u, "tenor_days": 0} for u in ("BTC", "ETH", "SOL")]
    correlation = {
        "schema": "riskproof/correlation/v1",
        "name": "torn",
        "description": "two that move together, and a third that moves with one and against the other",
        "factors": factors,
        "volatilities": ["0.03", "0.04", "0.05"],
        "correlations": [["0.9"], ["0.9", "-0.9"]],
        "horizon_days": 1,
    }
    paths = {"id": "days", "method": "monte_carlo", "correlation": correlation, "seed": "1", "paths": 100}
    paths["antithetic"] = True
    said = "sets[0].correlation.correlations: not positive semi-definite: the least eigenvalue is -0.8 (expected"
    if schema.endswith("v2"):
        model = version2(digest)
        model["tail"]["sets"] = [paths | {"measure": {"kind": "worst_loss"}}]
        Path("model.json").write_text(json.dumps(model))
        error = document(run("models", "check", "model.json", "--json", code=2))["error"]
        assert error["where"] == "model.json.tail.sets[0].correlation.correlations"
        assert f"tail.{said}" in run("models", "check", "model.json", code=2).stderr
    else:
        write(tail_model(digest, sets=[paths]))
        assert f"tail.json.{said}" in run(*ARGUMENTS, code=2).stderr
