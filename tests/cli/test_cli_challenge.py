"""`riskproof challenge`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_support import Run

from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.risk.margining import load
from riskproof.risk.model import load_model

ASK = ("challenge", "--audience", "lender", "--out", "c.json")


def written() -> Challenge:
    return Challenge.from_bytes(Path("c.json").read_bytes())


HISTORICAL = ("history", "first", "last", "horizon_days", "weight_decay")


def test_a_challenge_holds_what_was_asked(run: Run) -> None:
    asked = ("--bound", "120000.00", "--max-skew", "7", "--ttl", "90", "--exclusive", "--numeraire", "USD")
    said = run(*ASK, "--model", "crypto-pm", *asked, "--slack-bits", "96", "--at", "1768382600").stderr
    made = written()
    assert (made.audience, made.bound_micros, made.max_skew_seconds) == ("lender", 120_000_000_000, 7)
    assert (made.issued_at, made.expires_at) == (1_768_382_600, 1_768_382_690)
    assert (made.statement, made.exclusive, made.numeraire, made.slack_bits) == (StatementKind.LOSS, True, "USD", 96)
    assert made.model is None
    assert made.model_digest == load_model("crypto-pm").digest
    assert made.digest.hex() in said
    assert "your net loss over the accounts you show is at most 120,000.00 USD" in said
    assert "exclusive from 2026-01-14T09:23:20Z until 2026-01-14T09:24:50Z" in said
    assert "at most 7 s apart" in said
    assert "refuse" not in said


def test_two_challenges_differ(run: Run) -> None:
    run(*ASK, "--bound", "1", "--at", "1768382600")
    first = written()
    run(*ASK, "--bound", "1", "--at", "1768382600")
    assert first.nonce != written().nonce


def test_a_model_file_is_carried_and_a_shipped_one_on_request(run: Run) -> None:
    model = load_model("crypto-pm")
    Path("own.json").write_bytes(model.to_bytes())
    assert "(carried)" in run(*ASK, "--bound", "1", "--model", "own.json").stderr
    assert written().model == model
    assert "(carried)" in run(*ASK, "--bound", "1", "--embed-model").stderr
    assert written().model == model
    assert "(named by its digest)" in run(*ASK, "--bound", "1").stderr
    assert written().model is None


def test_solvency_needs_no_bound(run: Run) -> None:
    said = run(*ASK, "--statement", "solvency").stderr
    assert (written().statement, written().bound_micros) == (StatementKind.SOLVENCY, 0)
    assert "after haircuts and net loss, is not negative" in said
    said = run(*ASK, "--statement", "solvency", "--bound", "2500").stderr
    assert written().bound_micros == 2_500_000_000
    assert "is at least -2,500.00 of the numeraire" in said


def test_a_margin_statement_names_its_requirement(run: Run) -> None:
    asked = ("--model", "derive-pm2", "--statement", "excess", "--requirement", "initial")
    said = run(*ASK, *asked).stderr
    assert (written().statement, written().margin, written().model_name) == ("excess", "initial", "derive-pm2")
    assert (
        "your equity less the initial margin of the accounts you show, positions taken together, is not negative"
        in said
    )
    said = run(*ASK, "--bound", "5", "--statement", "margin", "--requirement", "maintenance").stderr
    assert "the maintenance margin of the accounts you show, positions taken together, is at most 5.00" in said
    assert "under crypto-pm" in said


def test_what_provers_refuse_is_written_and_the_verifier_is_told(run: Run) -> None:
    said = run(*ASK, "--bound", "123000").stderr
    assert written().bound_micros == 123_000_000_000
    assert "note: provers will refuse: bound: 123000 has more than two significant digits" in said
    assert "(expected 120000 or 130000)" in said
    said = run(*ASK, "--bound", "120000", "--slack-bits", "56").stderr
    assert "note: provers will refuse: slack_bits: slacks of 56 bits bound the gain of every scenario too" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--bound: no bound (expected an amount such as 120000.00)"),
        (("--bound", "-1"), "--bound: -1 is negative (expected 0 or more)"),
        (("--bound", "1.0000001"), "--bound: 1.0000001 is finer than the unit 1e-6"),
        (("--bound", "1e5"), "--bound: not a plain decimal number: '1e5'"),
        (("--bound", "NaN"), "--bound: not a plain decimal number: 'NaN'"),
        (("--bound", ""), "--bound: not a plain decimal number: ''"),
        (("--bound", "125,000"), "--bound: not a plain decimal number: '125,000'"),
        (
            ("--bound", "9223372036854.775808"),
            "--bound: number does not fit a signed 64-bit integer (expected at most 9223372036854.775807, with up to six decimals",
        ),
        (("--bound", "1", "--ttl", "0"), "--ttl: expires before it is issued, or lives too long"),
        (("--bound", "1", "--ttl", "999999999"), "--ttl: expires before it is issued, or lives too long"),
        (("--bound", "1", "--at", "0"), "--at: time is out of range"),
        (("--bound", "1", "--max-skew", "-1"), "--max-skew: out of range"),
        (
            ("--bound", "1", "--slack-bits", "12"),
            "--slack-bits: slacks of 12 bits (expected a multiple of 8, 8 to 128)",
        ),
        (("--bound", "1", "--numeraire", ""), "--numeraire: not a currency"),
        (("--bound", "1", "--numeraire", "US\x07D"), "--numeraire: not a currency"),
        (("--bound", "1", "--model", "no-such"), "model: no model 'no-such' ships (expected cross, crypto-pm, deri"),
        (
            ("--bound", "1", "--model", "derive-pm2"),
            "--model: loss is proved scenario by scenario, and derive-pm2 is of version 2 (expected a model of version 1,",
        ),
        (
            ("--bound", "1", "--model", "derive-pm2", "--requirement", "initial"),
            "--model: loss is proved scenario by scenario, and derive-pm2 is of version 2 (expected a model of version 1,",
        ),
        (
            ("--bound", "1", "--model", "derive-pm2", "--statement", "margin"),
            "--requirement: no requirement is named (expected ",
        ),
        (("--model", "derive-pm2", "--statement", "excess"), "--requirement: no requirement is named (expected "),
        (("--bound", "1", "--model", "no-such.json"), "no-such.json: cannot be read"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(run: Run, options: tuple[str, ...], message: str) -> None:
    assert f"riskproof: {message}" in run(*ASK, *options, code=2).stderr
    assert not Path("c.json").exists()


@pytest.mark.parametrize("audience", ["", "x" * 129, "len\nder"])
def test_an_audience_that_is_no_name(run: Run, audience: str) -> None:
    said = run("challenge", "--audience", audience, "--bound", "1", "--out", "c.json", code=2).stderr
    assert "riskproof: --audience: not a name (expected 1 to 128 printable characters)" in said
    assert not Path("c.json").exists()


def test_a_challenge_that_nobody_could_answer_is_not_written(run: Run) -> None:
    model: Any = load("joint-es").to_document()
    first = model["tail"]["sets"][0]
    first |= {"method": "historical", "history": "ab" * 32, "first": "2026-01-01", "last": "2026-01-05"}
    first |= {"horizon_days": 1, "weight_decay": "1", "measure": {"kind": "worst_loss"}}
    model["tail"]["sets"][0] = {name: first[name] for name in (*HISTORICAL, "id", "measure", "method")}
    Path("own.json").write_text(json.dumps(model))
    asked = ("--audience", "lender", "--model", "own.json", "--statement", "excess", "--requirement", "initial")
    said = run("challenge", *asked, "--out", "c.json", code=2).stderr
    assert f"tail.sets[0].history: the history {'ab' * 32} does not come with a snapshot" in said
    assert not Path("c.json").exists()


def test_solvency_under_a_model_without_collateral(run: Run) -> None:
    document = json.loads(load_model("crypto-pm").to_bytes())
    del document["collateral"]
    Path("own.json").write_text(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    said = run(*ASK, "--statement", "solvency", "--model", "own.json", code=2).stderr
    assert (
        "riskproof: --model: crypto-pm does not say what collateral is worth (expected a model with haircuts)" in said
    )
    assert not Path("c.json").exists()
    run(*ASK, "--bound", "1", "--model", "own.json")


def test_a_challenge_never_replaces_the_model(run: Run) -> None:
    model = load_model("crypto-pm").to_bytes()
    Path("own.json").write_bytes(model)
    said = run(*ASK[:-1], "own.json", "--bound", "1", "--model", "own.json", code=2).stderr
    assert "riskproof: --out: own.json is also an input or another output, and would be replaced" in said
    assert Path("own.json").read_bytes() == model


def test_what_cannot_be_written_is_said(run: Run) -> None:
    assert "no/c.json: cannot be written" in run(*ASK[:-1], "no/c.json", "--bound", "1", code=2).stderr
