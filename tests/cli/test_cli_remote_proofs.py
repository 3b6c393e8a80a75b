"""`riskproof remote challenge`, `prove` and `verify-proof` against `riskproof serve` with worker processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_support import document
from remote_venue import remote, riskproof, served

ALICE = ("--account", "alice")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with served(tmp_path_factory.mktemp("venue"), workers=1) as folder:
        riskproof("keys", "new", "--out", "alice-key", "--venue", "alice")
        Path("alice.json").write_text(riskproof("keys", "public", "alice-key").stdout)
        remote("holder", "operator-ops", *ALICE, "--holder", "5493001KJTIIGC8Y1R12")
        attest = ("--audience", "lender", "--holder-key", "alice.json", "--ttl", "3600", "--disclose", "none")
        remote("attest", "account-holder-alice", *ALICE, *attest, "--out", "att.json", "--opening", "opening.json")
        Path("keys.json").write_text(remote("keys", "verifier-lender").stdout)
        yield folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def ask(out: Path, bound: str, *more: str, audience: str = "lender") -> str:
    remote("challenge", "verifier-lender", "--audience", audience, "--bound", bound, "--out", str(out), *more)
    return str(out)


def prove(challenge: str, out: Path, *more: str, code: int = 0) -> str:
    files = ("--challenge", challenge, "--holder-key", "alice-key", "--attestation", "att.json", "--out", str(out))
    return remote("prove", "account-holder-alice", *ALICE, *files, *more, code=code).stderr


def test_from_challenge_to_verdict(tmp_path: Path) -> None:
    challenge, proof = ask(tmp_path / "c.json", "99000000"), tmp_path / "proof.json"
    said = prove(challenge, proof)
    assert "0% reading" in said
    assert "proof over 1 account\n" in said
    files = (str(proof), "--challenge", challenge, "--attestation", "att.json")
    shown = remote("verify-proof", "verifier-lender", *files).stdout
    assert shown.startswith("valid\n")
    assert "the net loss of 1 account at venue is at most 99000000 USD" in shown
    own = riskproof("verify-proof", *files, "--keys", "keys.json", "--market", "market.json").stdout
    assert own == shown
    more = ("--keys", "keys.json", "--market", "market.json", "--json")
    verdict = document(remote("verify-proof", "verifier-lender", *files, *more))
    assert verdict["outcome"] == "valid"
    assert verdict["challenge"] == json.loads(Path(challenge).read_bytes())
    other = ask(tmp_path / "other.json", "99000000")
    refused = remote("verify-proof", "verifier-lender", str(proof), "--challenge", other, *files[3:], code=1)
    assert refused.stdout.startswith("invalid: the proof answers challenge")
    Path(tmp_path / "no.json").write_text("{}")
    malformed = (str(tmp_path / "no.json"), *files[1:])
    assert remote("verify-proof", "verifier-lender", *malformed, code=2).stdout.startswith("malformed")


def test_a_false_statement_writes_nothing_and_is_for_the_holder(tmp_path: Path) -> None:
    challenge, proof = ask(tmp_path / "c.json", "0"), tmp_path / "proof.json"
    said = prove(challenge, proof, code=1)
    assert "is for you alone" in said
    assert "scenario" in said
    assert not proof.exists()


def test_what_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    challenge, proof = ask(tmp_path / "c.json", "99000000"), tmp_path / "proof.json"
    said = prove(challenge, proof, "--brought-attestation", "att.json", code=2)
    assert "given 1, 0 and 0 times" in said
    files = ("x.json", "--challenge", challenge, "--attestation", "att.json", "--keys", "a", "--keys", "b")
    assert "given 2 times, --attestation 1 times" in remote("verify-proof", "verifier-lender", *files, code=2).stderr
    two = ("--audience", "x", "--bound", "1", "--model", "crypto-pm", "--model-file", "m.json", "--out", str(proof))
    assert "two models" in remote("challenge", "verifier-lender", *two, code=2).stderr
    unit = ("--audience", "lender", "--bound", "1", "--out", str(proof))
    assert (
        "--ttl: 0 s (expected 1 or more)" in remote("challenge", "verifier-lender", *unit, "--ttl", "0", code=2).stderr
    )
    for option in ("--ttl", "--max-skew", "--max-age"):
        said = remote("challenge", "verifier-lender", *unit, option, str(2**63), code=2).stderr
        assert f"{option[2:].replace('-', '_')}_seconds: does not fit 64 bits (expected below 2^63 in size)" in said
    assert "att.json: seems to be an attestation (expected a challenge" in prove("att.json", proof, code=2)
    assert "c.json is also an input or another output" in prove(challenge, Path(challenge), code=2)
    without = ("--audience", "lender", "--out", str(proof))
    assert "no bound" in remote("challenge", "verifier-lender", *without, code=2).stderr
    assert not proof.exists()


def test_what_the_venue_refuses(tmp_path: Path) -> None:
    tight, proof = ask(tmp_path / "c.json", "123456.78"), tmp_path / "proof.json"
    assert "more than two significant digits" in prove(tight, proof, code=2)
    assert "this venue proves no tight bounds" in prove(tight, proof, "--allow-tight-bound", code=2)
    fund = ask(tmp_path / "d.json", "99000000", audience="fund")
    assert "is for 'lender', the challenge is of 'fund'" in prove(fund, proof, code=2)
    assert (
        "role account-holder may not call this"
        in remote("challenge", "account-holder-alice", "--bound", "1", "--out", str(proof), code=1).stderr
    )
    assert not proof.exists()


def test_a_model_of_the_verifiers_own(tmp_path: Path) -> None:
    from riskproof.risk.model import RiskModel, load_model

    model = json.loads(load_model("crypto-pm").to_bytes()) | {"name": "own"}
    own = tmp_path / "own.json"
    own.write_bytes(RiskModel.from_document(model).to_bytes())
    challenge = ask(tmp_path / "c.json", "99000000", "--model-file", str(own))
    assert json.loads(Path(challenge).read_bytes())["model"]["name"] == "own"
    solvency = ("--statement", "solvency", "--audience", "lender", "--exclusive", "--ttl", "60", "--numeraire", "USD")
    remote("challenge", "verifier-lender", *solvency, "--max-skew", "5", "--out", str(tmp_path / "s.json"))
    asked = json.loads((tmp_path / "s.json").read_bytes())
    assert (asked["statement"], asked["bound_micros"], asked["exclusive"]) == ("solvency", "0", True)
    assert (asked["expires_at"] - asked["issued_at"], asked["max_skew_seconds"], asked["numeraire"]) == (60, 5, "USD")


@pytest.mark.parametrize(("statement", "requirement"), [("margin", "maintenance"), ("excess", "initial")])
def test_statements_about_margin(tmp_path: Path, statement: str, requirement: str) -> None:
    about = ("--statement", statement, "--requirement", requirement, "--model", "tims10")
    challenge, proof = ask(tmp_path / "c.json", "990000000", *about), tmp_path / "proof.json"
    asked = json.loads(Path(challenge).read_bytes())
    assert (asked["statement"], asked["requirement"], asked["model"]["name"]) == (statement, requirement, "tims10")
    assert "computing the rows" in prove(challenge, proof)
    files = (str(proof), "--challenge", challenge, "--attestation", "att.json")
    shown = remote("verify-proof", "verifier-lender", *files).stdout
    assert shown.startswith("valid\n")
    assert f"the {requirement} margin of 1 account at venue, positions taken together, is" in shown
    assert riskproof("verify-proof", *files, "--keys", "keys.json", "--market", "market.json").stdout == shown


def test_challenges_about_margin_that_are_none(tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    about = ("--audience", "lender", "--model", "tims10", "--out", str(out))

    def said(*more: str, code: int = 2) -> str:
        return remote("challenge", "verifier-lender", *about, *more, code=code).stderr

    assert "no bound" in said("--statement", "margin", "--requirement", "initial")
    assert "no requirement is named" in said("--statement", "margin", "--bound", "1")
    assert "loss has no requirement" in said("--requirement", "initial", "--bound", "1")
    assert "loss under a model of version 2" in said("--bound", "1")
    assert not out.exists()
    said("--statement", "excess", "--requirement", "initial", code=0)
    assert json.loads(out.read_bytes())["bound_micros"] == "0"


def test_a_malformed_proof_and_what_was_mixed_up(tmp_path: Path) -> None:
    challenge = ask(tmp_path / "c.json", "99000000")
    files = ("att.json", "--challenge", challenge, "--attestation", "att.json")
    result = remote("verify-proof", "verifier-lender", *files, code=2)
    assert result.stdout.startswith("malformed: proof: ")
    assert "note: att.json, given as FILE, seems to be an attestation\n" in result.stderr
