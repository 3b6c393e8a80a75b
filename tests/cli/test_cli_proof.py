"""`riskproof prove` and `verify-proof`: exit status, refusals, what is written and what is never shown."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_support import Run, document
from proof_files import BOUND, NOW, Books, ask, make_files, triple, worst_loss_micros

from riskproof import reference
from riskproof.attest.holder import ExclusiveWindow
from riskproof.attest.keys import load_signing_key
from riskproof.cli.challenge import DEFAULT_MAX_SKEW, DEFAULT_TTL
from riskproof.cli.prove import DEFAULT_LEAK_LIMIT
from riskproof.proof import challenge as challenges
from riskproof.proof import leakage
from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.risk.model import RiskModel, load_model
from riskproof.units import format_decimal

BUDGET = Path("holder", "leak-budget.json")
PROVE = ("prove", "--holder-key", "holder", "--out", "proof.json", "--challenge")
VERIFY = ("verify-proof", "proof.json", "--now", str(NOW), "--challenge")


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return make_files(tmp_path_factory.mktemp("books"))


@pytest.fixture
def files(books: Books, run: Run) -> Run:
    """A copy of the files in the current folder."""
    shutil.copytree(books.folder, ".", dirs_exist_ok=True)
    return run


@pytest.fixture(scope="module")
def proof(books: Books, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A proof over both accounts, made by the command."""
    from click.testing import CliRunner

    from riskproof.cli import main

    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("proof"))
    try:
        shutil.copytree(books.folder, ".", dirs_exist_ok=True)
        result = CliRunner().invoke(main, [*PROVE, "c.json", *triple("a", "b")], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return Path("proof.json").read_bytes()
    finally:
        os.chdir(here)


@pytest.fixture
def proved(files: Run, proof: bytes) -> Run:
    """The files with a proof among them."""
    Path("proof.json").write_bytes(proof)
    return files


def verifying(*more: str, names: str = "ab", asked: str = "c.json") -> tuple[str, ...]:
    """`verify-proof` as of NOW, unless the options say another time."""
    start = (*VERIFY[:2], *VERIFY[4:]) if {"--now", "--at"} & {*more} else VERIFY
    return (*start, asked, *triple(*names, second="keys"), *more)


def verify(run: Run, *more: str, names: str = "ab", asked: str = "c.json", code: int = 0) -> Any:
    return document(run(*verifying(*more, names=names, asked=asked), "--json", code=code))


def put(name: str, asked: Challenge) -> None:
    Path(name).write_bytes(asked.to_bytes())


def spent() -> int:
    return sum(r["points"] for r in json.loads(BUDGET.read_bytes())["records"])


# ---- proving ---------------------------------------------------------------------------------------------------------


def test_a_proof_over_both_accounts_is_written_and_valid(files: Run) -> None:
    result = files(*PROVE, "c.json", *triple("a", "b"))
    assert result.stdout == ""
    assert "lender asks: prove that your net loss over the accounts you show is at most 100,000.00" in result.stderr
    assert "proof.json: proof over 2 accounts, answers challenge " in result.stderr
    assert "lender may learn 63 of 64 points more" in result.stderr
    assert stat.S_IMODE(Path("proof.json").stat().st_mode) == 0o644
    got = verify(files)
    assert (got["outcome"], got["failed_check"]) == ("valid", None)
    assert [c["number"] for c in got["checks"]] == list(range(40, 58))


@pytest.mark.parametrize(("name", "scenario"), [("a", "p+50/v+"), ("b", "p-35/v-")])
def test_alone_the_statement_is_false(files: Run, books: Books, name: str, scenario: str) -> None:
    Path("proof.json").write_text("earlier")
    result = files(*PROVE, "c.json", *triple(name), code=1)
    account = books.short if name == "a" else books.hedge
    short = format_decimal(worst_loss_micros([account]) - BOUND, 6)
    assert f"riskproof: scenario {scenario}: the statement is false: short by {short}" in result.stderr
    assert result.stderr.endswith(" USD\n")
    assert "is for you alone" in result.stderr
    assert result.stdout == ""
    assert Path("proof.json").read_text() == "earlier"
    assert sorted(p.name for p in Path().iterdir() if "proof" in p.name) == ["proof.json"]
    assert spent() == 1  # the verifier sees that no proof came


def test_one_account_and_a_bound_that_holds_for_it(files: Run) -> None:
    put("c.json", ask(170_000_000_000))
    assert "proof over 1 account, answers" in files(*PROVE, "c.json", *triple("b")).stderr
    got = verify(files, names="b")
    assert got["outcome"] == "valid"
    assert 56 not in [c["number"] for c in got["checks"]]


def test_a_tight_bound_is_refused_and_costs_nothing(files: Run) -> None:
    put("c.json", ask(BOUND + 1))
    said = files(*PROVE, "c.json", *triple("a", "b"), code=2).stderr
    assert "riskproof: the challenge's bound: 100000.000001 has more than two significant digits: " in said
    assert leakage.TIGHT_DANGER in said
    assert "(expected 100000 or 110000; or --allow-tight-bound)" in said
    assert not Path("proof.json").exists()
    assert not BUDGET.exists()


def test_a_tight_bound_that_is_allowed_is_called_dangerous(files: Run, books: Books) -> None:
    least = worst_loss_micros([books.short, books.hedge])
    put("c.json", ask(least))
    said = files(*PROVE, "c.json", *triple("a", "b"), "--allow-tight-bound").stderr
    assert f"warning: bound: {format_decimal(least, 6)} has more than two significant digits" in said
    assert leakage.TIGHT_DANGER in said
    assert spent() == 2 * leakage.TIGHT_POINTS
    assert verify(files)["outcome"] == "valid"


def test_one_micro_less_is_false(files: Run, books: Books) -> None:
    put("c.json", ask(worst_loss_micros([books.short, books.hedge]) - 1))
    said = files(*PROVE, "c.json", *triple("a", "b"), "--allow-tight-bound", code=1).stderr
    assert "the statement is false: short by 0.00000" in said
    assert not Path("proof.json").exists()


def test_narrow_slacks_are_as_tight_as_a_tight_bound(files: Run) -> None:
    put("c.json", replace(ask(BOUND), slack_bits=56))
    said = files(*PROVE, "c.json", *triple("a", "b"), code=2).stderr
    assert "riskproof: the challenge's slack_bits: slacks of 56 bits bound the gain of every scenario too" in said
    assert "or --allow-tight-bound" in said
    assert not BUDGET.exists()
    assert "warning: slack_bits" in files(*PROVE, "c.json", *triple("a", "b"), "--allow-tight-bound").stderr
    assert verify(files)["outcome"] == "valid"


def test_the_budget_ends_and_the_same_question_costs_nothing(files: Run) -> None:
    files(*PROVE, "c.json", *triple("a"), "--leak-limit", "1", code=1)
    assert spent() == 1
    again = files(*PROVE, "c.json", *triple("a"), "--leak-limit", "1", code=1).stderr
    assert "the statement is false" in again
    assert spent() == 1
    put("c.json", ask(2 * BOUND))
    refused = files(*PROVE, "c.json", *triple("a"), "--leak-limit", "1", code=1).stderr
    assert (
        "riskproof: leak budget: the answer costs 1 of 1 points and 0 are left for this account and audience" in refused
    )
    assert "the statement is" not in refused
    assert spent() == 1
    assert not Path("proof.json").exists()


def test_the_answer_is_counted_before_it_is_written(files: Run) -> None:
    out = ("--holder-key", "holder", "--challenge", "c.json", *triple("a", "b"), "--out", "no/proof.json")
    assert "no/proof.json: cannot be written" in files("prove", *out, code=2).stderr
    assert spent() == 2
    assert stat.S_IMODE(BUDGET.stat().st_mode) == 0o600


def test_a_damaged_budget_is_not_begun_anew(files: Run) -> None:
    BUDGET.write_text("{}")
    BUDGET.chmod(0o600)
    said = files(*PROVE, "c.json", *triple("a", "b"), code=1).stderr
    assert "leak-budget.json: damaged, and what was answered is not known" in said
    assert not Path("proof.json").exists()
    assert BUDGET.read_text() == "{}"


@pytest.mark.parametrize("name", ["a-open.json", "b-att.json", "c.json"])
def test_the_proof_never_replaces_an_input(files: Run, name: str) -> None:
    before = Path(name).read_bytes()
    asked = ("prove", "--holder-key", "holder", "--challenge", "c.json", *triple("a", "b"), "--out", f"./{name}")
    said = files(*asked, code=2).stderr
    assert f"riskproof: --out: {name} is also an input or another output, and would be replaced" in said
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize("name", ["holder", "holder/key.pem", "holder/leak-budget.json", "holder/../holder/new.json"])
def test_the_proof_is_not_written_into_the_key_folder(files: Run, name: str) -> None:
    before = {p.name: p.read_bytes() for p in Path("holder").iterdir()}
    asked = ("prove", "--holder-key", "holder", "--challenge", "c.json", *triple("a", "b"), "--out", name)
    assert "riskproof: --out: a key folder holds keys only (expected a file outside it)" in files(*asked, code=2).stderr
    assert {p.name: p.read_bytes() for p in Path("holder").iterdir()} == before


@pytest.mark.parametrize(
    ("name", "other", "message"),
    [
        ("c.json", "a-att.json", "c.json: seems to be an attestation (expected a challenge for --challenge)"),
        ("a-att.json", "a-open.json", "a-att.json: seems to be an opening (expected an attestation for --attestation)"),
        ("a-att.json", "a-keys.json", "a-att.json: seems to be a set of public keys (expected an attestation"),
        ("b-open.json", "b-att.json", "b-open.json: seems to be an attestation (expected an opening for --opening)"),
        ("b-market.json", "c.json", "b-market.json: seems to be a challenge (expected a market file for --market)"),
        ("b-market.json", "holder/key.pem", "b-market.json: seems to be a private key (expected a market file"),
    ],
)
def test_a_file_in_the_wrong_place_is_named(files: Run, name: str, other: str, message: str) -> None:
    shutil.copy(other, name)
    assert f"riskproof: {message}" in files(*PROVE, "c.json", *triple("a", "b"), code=2).stderr
    assert not BUDGET.exists()


@pytest.mark.parametrize("name", ["b-att.json", "b-open.json", "b-market.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_file_that_is_nothing_is_named(files: Run, name: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    assert f"riskproof: {name}: " in files(*PROVE, "c.json", *triple("a", "b"), code=2).stderr


def test_a_model_that_the_challenge_does_not_mean_is_refused(proved: Run) -> None:
    Path("own.json").write_bytes(_own_model().to_bytes())
    message = "own.json: another model than the challenge's, which is crypto-pm (expected the document of "
    said = proved(*PROVE[:4], "other.json", "--challenge", "c.json", *triple("a", "b"), "--model", "own.json", code=2)
    assert f"riskproof: {message}" in said.stderr
    said = proved(*VERIFY, "c.json", *triple("a", "b", second="keys"), "--model", "own.json", code=2)
    assert f"riskproof: {message}" in said.stderr
    assert said.stdout == ""
    assert not Path("other.json").exists()


def test_what_may_have_been_mixed_up_is_said(proved: Run) -> None:
    pairs = triple("a", "b", second="keys")
    swapped = [*pairs[:3], "b-keys.json", *pairs[4:9], "a-keys.json", *pairs[10:]]
    said = proved(*VERIFY, "c.json", *swapped, code=1).stderr
    assert "note: the first --attestation goes with the first --keys and the first --market, and so on\n" in said
    shutil.copy("b-open.json", "b-market.json")
    Path("a-att.json").write_bytes(b"")
    said = proved(*VERIFY, "c.json", *pairs, code=2).stderr
    assert "note: b-market.json, given as --market, seems to be an opening\n" in said
    assert "note: a-att.json, given as --attestation, is not an attestation\n" in said
    assert said.count("note: ") == 2


def _swap(a: str, b: str) -> Callable[[], None]:
    def change() -> None:
        first, second = Path(a).read_bytes(), Path(b).read_bytes()
        Path(a).write_bytes(second)
        Path(b).write_bytes(first)

    return change


def _replace(name: str, old: str, new: str) -> Callable[[], None]:
    def change() -> None:
        text = Path(name).read_text()
        assert old in text
        Path(name).write_text(text.replace(old, new))

    return change


def _other_audience() -> None:
    put("c.json", ask(BOUND, audience="somebody"))


def _new_key() -> None:
    from riskproof.attest.keys import generate_key_dir

    shutil.rmtree("holder")
    generate_key_dir(Path("holder"), venue="alice")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_swap("a-open.json", "b-open.json"), "a-open.json: opening of another attestation (expected "),
        (_swap("a-market.json", "b-market.json"), "a-market.json: another registry than the attested one (expected "),
        (_replace("a-open.json", "riskproof/opening/v2", "riskproof/opening/v9"), "a-open.json.schema: "),
        (_replace("b-att.json", "payloadType", "payloadtype"), "b-att.json: "),
        (_replace("b-market.json", "riskproof/market/v1", "riskproof/market/v9"), "b-market.json.schema: "),
        (_replace("c.json", "riskproof/challenge/v1", "riskproof/challenge/v9"), "c.json.schema: not a challenge"),
        (_swap("c.json", "a-open.json"), "c.json: "),
        (lambda: Path("a-open.json").unlink(), "a-open.json: cannot be read"),
        (lambda: shutil.rmtree("holder"), "holder: cannot be read"),
        (_other_audience, "attestations: the attestation of 'venue-"),
        (_new_key, "holder key: not the key that the attestations bind (expected "),
    ],
)
def test_inputs_that_do_not_belong_together(files: Run, change: Callable[[], None], message: str) -> None:
    change()
    result = files(*PROVE, "c.json", *triple("a", "b"), code=2)
    assert f"riskproof: {message}" in result.stderr
    assert result.stdout == ""
    assert not Path("proof.json").exists()
    if message.startswith(("attestations", "holder key", "c.json")):
        assert not BUDGET.exists()  # the book plays no part in such a refusal


def test_a_limit_that_is_none(files: Run) -> None:
    said = files(*PROVE, "c.json", *triple("a", "b"), "--leak-limit", "-1", code=2).stderr
    assert "riskproof: leak limit: -1 points (expected 0 to 1000000)" in said
    assert not BUDGET.exists()


def test_the_verifier_would_refuse_by_its_clock_and_the_prover_says_so(files: Run) -> None:
    said = files(*PROVE, "c.json", *triple("a", "b")).stderr
    assert "note: the challenge lives from 2026-01-05T09:00:55Z until 2026-01-05T10:00:55Z" in said
    assert "note: the attestation of venue-a expired at 2026-01-05T10:00:30Z: the verifier will refuse" in said
    assert "note: the attestation of venue-b expired at 2026-01-05T10:00:30Z: the verifier will refuse" in said


def test_secrets_are_not_shown(files: Run) -> None:
    outputs = [files(*PROVE, "c.json", *triple("a", "b")).output, files(*PROVE, "c.json", *triple("a"), code=1).output]
    outputs += [files(*VERIFY, "c.json", *triple("a", "b", second="keys")).output, Path("proof.json").read_text()]
    outputs += [BUDGET.read_text(), json.dumps(verify(files))]
    opening = json.loads(Path("a-open.json").read_bytes())
    hidden = ["5493001KJTIIGC8Y1R12", "BTC-100000-C", "-50000", opening["identity_blinding"], opening["account_salt"]]
    hidden += [*opening["blindings"], opening["root_salt"], opening["epoch_secret"], opening["chain_salt"]]
    assert "50000" in Path("a-open.json").read_text()
    for text in outputs:
        assert not [secret for secret in hidden if secret in text]


# ---- pairing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--opening", "--market"])
@pytest.mark.parametrize("count", [1, 3])
def test_prove_needs_one_of_each(files: Run, option: str, count: int) -> None:
    words = triple("a", "b")
    at = [i for i, w in enumerate(words) if w == option]
    extra = words[at[0] : at[0] + 2]
    words = [*words, *extra] if count == 3 else words[: at[1]] + words[at[1] + 2 :]
    said = files(*PROVE, "c.json", *words, code=2).stderr
    expected = "(expected one for each --attestation, in the same order)"
    assert f"riskproof: {option}: given {count} times, --attestation 2 times {expected}" in said
    assert not Path("proof.json").exists()


@pytest.mark.parametrize("option", ["--keys", "--market"])
def test_verify_needs_one_of_each(proved: Run, option: str) -> None:
    words = triple("a", "b", second="keys")
    at = words.index(option)
    got = document(proved(*VERIFY, "c.json", *words[:at], *words[at + 2 :], "--json", code=2))
    assert got["error"]["what"] == "given 1 times, --attestation 2 times"
    assert got["error"]["where"] == option
    assert got["error"]["expected"] == "one for each --attestation, in the same order"


def test_the_order_of_the_accounts_does_not_matter(proved: Run) -> None:
    assert verify(proved, names="ba")["outcome"] == "valid"


def test_pairs_matter(proved: Run) -> None:
    _swap("a-keys.json", "b-keys.json")()
    got = verify(proved, code=1)
    assert (got["failed_check"], got["reason"].endswith("no signature by a known key")) == (43, True)


# ---- verifying -------------------------------------------------------------------------------------------------------


def test_words(proved: Run) -> None:
    text = proved(*VERIFY, "c.json", *triple("a", "b", second="keys")).stdout
    assert text.startswith("valid\n")
    model = load_model("crypto-pm")
    assert f"proved: In each of the {len(model.scenarios)} scenarios of model crypto-pm ({model.digest.hex()})" in text
    assert "the net loss of 2 accounts at venue-a, venue-b is at most 100000 USD" in text
    assert "proved: Prices are those of the attested snapshots, taken at 2026-01-05T09:00:00Z" in text
    assert "trusted: venue-a, venue-b: that the committed positions" in text
    assert "not proved: That the holder has not shown the same accounts to others as well" in text
    assert "\n  [40] proof answers this challenge\n" in text
    assert "\n  [57] signed by the holder's key" in text


def test_one_micro_lower_is_refused_and_relabelled_it_does_not_hold(proved: Run) -> None:
    lower = replace(Challenge.from_bytes(Path("c.json").read_bytes()), bound_micros=BOUND - 1)
    put("lower.json", lower)
    assert verify(proved, asked="lower.json", code=1)["failed_check"] == 40
    _relabel(lower)
    assert verify(proved, asked="lower.json", code=1)["failed_check"] == 55


def test_another_audience_is_refused_and_relabelled_it_is_still(proved: Run) -> None:
    other = replace(Challenge.from_bytes(Path("c.json").read_bytes()), audience="somebody")
    put("other.json", other)
    assert verify(proved, asked="other.json", code=1)["failed_check"] == 40
    _relabel(other)
    assert verify(proved, asked="other.json", code=1)["failed_check"] == 45


def _relabel(asked: Challenge) -> None:
    parsed = ProofDocument.from_bytes(Path("proof.json").read_bytes())
    Path("proof.json").write_bytes(replace(parsed, challenge_digest=asked.digest).to_bytes())


@pytest.mark.parametrize(
    ("names", "more", "check"),
    [
        ("ab", ("--now", str(NOW + 86_400)), 41),
        ("ab", ("--at", str(NOW - 86_400)), 41),
        ("a", (), 42),
        ("aab", (), 42),
        ("ab", ("--max-snapshot-age", "29"), 43),
        ("ab", ("--require-signatures", "2"), 43),
        ("ab", ("--now", str(NOW + 3_596), "--clock-tolerance", "0"), 41),
    ],
)
def test_invalid_exits_1_and_names_the_check(proved: Run, names: str, more: tuple[str, ...], check: int) -> None:
    got = verify(proved, *more, names=names, code=1)
    assert (got["outcome"], got["failed_check"]) == ("invalid", check)
    assert got["reason"]
    text = proved(*verifying(*more, names=names), code=1).stdout
    assert text.startswith("invalid: ")
    assert f"  [{check}] FAILED: " in text
    assert "proved" not in text


def test_another_market_fails_52(proved: Run) -> None:
    shutil.copy("a-market.json", "b-market.json")
    assert verify(proved, code=1)["failed_check"] == 52


@pytest.mark.parametrize("name", ["proof.json", "c.json", "a-att.json", "b-market.json"])
def test_malformed_exits_2(proved: Run, name: str) -> None:
    good = Path(name).read_bytes()
    for bad in (good[:-1], good + b"\n", b"", b"[]"):
        Path(name).write_bytes(bad)
        got = verify(proved, code=2)
        assert (got["outcome"], got["failed_check"]) == ("malformed", None)
        assert got["reason"]


def test_wrong_keys_are_the_verifiers_mistake(proved: Run) -> None:
    Path("a-keys.json").write_text('{"keys":{}}')
    error = verify(proved, code=2)["error"]
    assert (error["code"], error["where"]) == ("KEY_SET", "a-keys.json.keys")
    Path("a-keys.json").unlink()
    assert verify(proved, code=2)["error"]["where"] == "a-keys.json"


# ---- models, solvency, exclusivity -----------------------------------------------------------------------------------


def _own_model() -> RiskModel:
    model = load_model("crypto-pm")
    return replace(model, name="own", scenarios=model.scenarios[:3])


def test_an_own_model_is_carried_or_given_to_both(files: Run) -> None:
    made = ("challenge", "--audience", "lender", "--bound", "90000", "--at", str(NOW - 5), "--out", "own-c.json")
    Path("own.json").write_bytes(_own_model().to_bytes())
    files(*made, "--model", "own.json")
    files(*PROVE, "own-c.json", *triple("a", "b"))
    assert "scenarios of model own (" in verify(files, asked="own-c.json")["proved"][0]
    put("bare.json", replace(Challenge.from_bytes(Path("own-c.json").read_bytes()), model=None))
    said = files(*PROVE, "bare.json", *triple("a", "b"), code=2).stderr
    assert "riskproof: challenge.model: no model own of the challenge's digest" in said
    files(*PROVE, "bare.json", *triple("a", "b"), "--model", "own.json")
    assert verify(files, asked="bare.json", code=1)["failed_check"] == 53
    assert verify(files, "--model", "own.json", asked="bare.json")["outcome"] == "valid"


def test_solvency(files: Run) -> None:
    put("c.json", replace(ask(5_000_000_000_000), statement=StatementKind.SOLVENCY))
    files(*PROVE, "c.json", *triple("a", "b"))
    got = verify(files, "--reference")
    assert got["outcome"] == "valid"
    assert (
        "the equity of 2 accounts at venue-a, venue-b, after haircuts and net loss, is at least -5000000"
        in got["proved"][0]
    )
    assert got["reference"]["agrees"] is True


def test_exclusive_attestations_when_they_are_demanded(files: Run, books: Books) -> None:
    put("c.json", replace(ask(BOUND), exclusive=True))
    said = files(*PROVE, "c.json", *triple("a", "b"), code=2).stderr
    assert "is not exclusive from 2026-01-05T09:00:55Z until 2026-01-05T10:00:55Z" in said
    assert not BUDGET.exists()
    window = ExclusiveWindow(1_767_603_655, 1_767_607_255)
    for name, account in (("a", books.short), ("b", books.hedge)):
        again = account.venue.attest(account.portfolio, holder=load_signing_key("holder"), exclusive=window)
        Path(f"{name}-att.json").write_bytes(again.attestation)
        Path(f"{name}-open.json").write_bytes(again.opening)
    assert "and exclusive from 2026-01-05T09:00:55Z" in files(*PROVE, "c.json", *triple("a", "b")).stderr
    assert verify(files)["not_proved"][0].startswith("Each venue promises not to attest the account exclusively")


# ---- the second verifier ---------------------------------------------------------------------------------------------


def test_the_reference_agrees(proved: Run) -> None:
    asked = (*VERIFY, "c.json", *triple("a", "b", second="keys"), "--reference")
    assert "  reference: valid (the two agree)\n" in proved(*asked).stdout
    got = verify(proved, "--reference", "--now", str(NOW + 86_400), code=1)["reference"]
    assert (got["outcome"], got["agrees"]) == ("invalid", True)
    Path("proof.json").write_bytes(Path("proof.json").read_bytes()[:-1])
    got = verify(proved, "--reference", code=2)["reference"]
    assert (got["outcome"], got["agrees"]) == ("malformed", True)


def test_the_reference_refuses_the_lower_bound_too(proved: Run) -> None:
    lower = replace(Challenge.from_bytes(Path("c.json").read_bytes()), bound_micros=BOUND - 1)
    put("lower.json", lower)
    _relabel(lower)
    got = verify(proved, "--reference", asked="lower.json", code=1)
    assert (got["failed_check"], got["reference"]["outcome"], got["reference"]["agrees"]) == (55, "invalid", True)
    assert "pairing" in got["reference"]["reason"]


def test_the_reference_is_not_asked_what_it_takes_for_granted(proved: Run) -> None:
    shutil.copy("a-market.json", "b-market.json")
    assert verify(proved, "--reference", code=1)["reference"] is None
    for name in ("a-market.json", "b-market.json"):  # whichever comes first is no market at all
        Path(name).write_text("[]")
    text = proved(*VERIFY, "c.json", *triple("a", "b", second="keys"), "--reference", code=2).stdout
    assert "  reference: not asked" in text


@pytest.mark.parametrize("now", [NOW, NOW + 86_400])
def test_two_verifiers_that_disagree_exit_3(proved: Run, monkeypatch: pytest.MonkeyPatch, now: int) -> None:
    said: Any = reference.Result("invalid", "so it seems") if now == NOW else reference.Result("valid")
    monkeypatch.setattr(reference, "verify", lambda *args, **kwargs: said)
    asked = ("verify-proof", "proof.json", "--now", str(now), "--challenge", "c.json", *triple("a", "b", second="keys"))
    result = proved(*asked, "--reference", code=3)
    assert "THE TWO DISAGREE" in result.stdout
    assert "the two verifiers disagree: " in result.stderr


def test_the_defaults_of_the_options_are_those_of_the_library() -> None:
    assert (DEFAULT_TTL, DEFAULT_MAX_SKEW) == (challenges.DEFAULT_TTL, challenges.DEFAULT_MAX_SKEW)
    assert DEFAULT_LEAK_LIMIT == leakage.DEFAULT_LIMIT
