"""Keys, attestations, verification and disclosure from the command line, as the README does it."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest
from cli_support import Run, document

from riskproof.risk.margining import MarginModel


@pytest.fixture
def venue(run: Run) -> Run:
    """A folder with a market, a book, a key and an attestation for `lender` with its opening."""
    run("market", "sample", "--out", "market.json", "--book", "market-maker-a=book.csv")
    run("keys", "new", "--out", "key", "--venue", "venue-a")
    Path("keys.json").write_text(run("keys", "public", "key").stdout)
    attest(run, "att.json", "opening.json", "--audience", "lender", "--nonce", "n1")
    return run


def attest(run: Run, out: str, opening: str, *more: str, code: int = 0) -> str:
    files = ("--market", "market.json", "--portfolio", "book.csv", "--key", "key", "--out", out, "--opening", opening)
    return run("attest", *files, "--account", "alice", *more, code=code).stderr


FOR_LENDER = ("att.json", "--keys", "keys.json", "--audience", "lender", "--nonce", "n1")


def test_valid_with_keys_with_market_and_with_opening(venue: Run) -> None:
    assert document(venue("verify", *FOR_LENDER, "--json"))["outcome"] == "valid"
    got = document(venue("verify", *FOR_LENDER, "--market", "market.json", "--json"))
    assert 13 in [c["number"] for c in got["checks"]]
    got = document(venue("verify", *FOR_LENDER, "--market", "market.json", "--opening", "opening.json", "--json"))
    assert [c["number"] for c in got["checks"]][-6:] == [20, 21, 22, 23, 24, 25]
    assert "venue-a says" in venue("verify", *FOR_LENDER).stdout


def test_the_disclosed_margin_is_the_margin_rounded_up(venue: Run) -> None:
    computed = document(venue("array", "--market", "market.json", "--portfolio", "book.csv", "--json"))
    shown = document(venue("verify", *FOR_LENDER, "--json"))["attestation"]["disclosure"]
    exact, coarse = computed["initial_margin_micros"], int(shown["initial_margin_micros"])
    assert exact <= coarse <= exact * 11 // 10
    assert coarse % 10 ** (len(str(coarse)) - 2) == 0


@pytest.mark.parametrize(
    ("more", "check"),
    [
        (("--audience", "someone-else", "--nonce", "n1"), 6),
        (("--nonce", "n1"), 6),
        (("--audience", "lender", "--nonce", "n2"), 7),
        (("--audience", "lender"), 7),
        (("--audience", "lender", "--nonce", "n1", "--now", "4000000000"), 5),
        (("--audience", "lender", "--nonce", "n1", "--now", "1000000000"), 4),
        (("--audience", "lender", "--nonce", "n1", "--venue", "venue-b"), 3),
        (("--audience", "lender", "--nonce", "n1", "--max-snapshot-age", "60"), 8),
        (("--audience", "lender", "--nonce", "n1", "--require-signatures", "2"), 1),
    ],
)
def test_invalid_names_the_check_and_exits_1(venue: Run, more: tuple[str, ...], check: int) -> None:
    got = document(venue("verify", "att.json", "--keys", "keys.json", *more, "--json", code=1))
    assert (got["outcome"], got["failed_check"]) == ("invalid", check)
    assert got["reason"]


def test_two_signatures_required(venue: Run) -> None:
    venue("keys", "new", "--out", "key2", "--venue", "venue-a")
    Path("both.json").write_text(venue("keys", "public", "key", "key2").stdout)
    attest(venue, "two.json", "two-opening.json", "--key", "key2")
    two = ("--require-signatures", "2", "--json")
    assert document(venue("verify", "two.json", "--keys", "both.json", *two))["outcome"] == "valid"
    got = document(venue("verify", "two.json", "--keys", "keys.json", *two, code=1))
    assert (got["failed_check"], got["reason"]) == (1, "1 signatures by known keys, 2 required")
    assert (
        "0 is not in the range x>=1"
        in venue("verify", "two.json", "--keys", "both.json", "--require-signatures", "0", code=2).stderr
    )


def test_another_venues_keys_do_not_verify(venue: Run) -> None:
    venue("keys", "new", "--out", "other", "--venue", "venue-a")
    Path("other.json").write_text(venue("keys", "public", "other").stdout)
    got = document(venue("verify", "att.json", "--keys", "other.json", "--audience", "lender", "--json", code=1))
    assert got["failed_check"] == 1


def test_rotation_keeps_old_attestations_valid_and_a_compromise_does_not(venue: Run) -> None:
    kid = document(venue("keys", "public", "key"))["keys"][0]["kid"]
    venue("keys", "new", "--out", "next", "--venue", "venue-a")
    Path("both.json").write_text(venue("keys", "public", "key", "next").stdout)
    later = str(int(time.time()) + 5)
    for reason, code, failed in (("superseded", 0, None), ("compromised", 1, 2)):
        Path("revoked.json").write_text(
            venue("keys", "revoke", "both.json", "--kid", kid, "--reason", reason, "--at", later).stdout
        )
        asked = ("--keys", "revoked.json", "--audience", "lender", "--nonce", "n1", "--json")
        assert document(venue("verify", "att.json", *asked, code=code))["failed_check"] == failed
    assert "no key" in venue("keys", "revoke", "both.json", "--kid", "x", "--reason", "superseded", code=2).stderr


def test_malformed_exits_2(venue: Run) -> None:
    good = Path("att.json").read_bytes()
    for mutation in (good[:-1], good + b"\n", b"", b"{}", json.dumps(json.loads(good)).encode()):
        Path("bad.json").write_bytes(mutation)
        got = document(venue("verify", "bad.json", "--keys", "keys.json", "--audience", "lender", "--json", code=2))
        assert got["outcome"] == "malformed"


def test_disclose_one_position(venue: Run) -> None:
    venue("disclose", "--opening", "opening.json", "--instrument", "BTC-PERPETUAL", "--out", "d.json")
    got = document(venue("verify", "d.json", "--attestation", *FOR_LENDER, "--json"))
    assert got["positions"][0]["instrument"]["name"] == "BTC-PERPETUAL"
    row = next(r for r in Path("book.csv").read_text().splitlines() if r.startswith("BTC-PERPETUAL,"))
    assert int(got["positions"][0]["lots"]) == int(row.split(",")[1]) * 1000
    altered = Path("d.json").read_text().replace(f'"lots":"{got["positions"][0]["lots"]}"', '"lots":"7"')
    Path("d.json").write_text(altered)
    got = document(venue("verify", "d.json", "--attestation", *FOR_LENDER, "--json", code=1))
    assert got["failed_check"] == 32


def test_disclose_that_nothing_is_held(venue: Run) -> None:
    names = [i["name"] for i in json.loads(Path("market.json").read_bytes())["registry"]["instruments"]]
    held = {r.split(",")[0] for r in Path("book.csv").read_text().splitlines()[1:]}
    name = next(n for n in names if n not in held)
    asked = ("disclose", "--opening", "opening.json", "--instrument", name, "--out", "d.json")
    assert "no position in" in venue(*asked, code=2).stderr
    venue(*asked, "--market", "market.json")
    got = document(venue("verify", "d.json", "--attestation", *FOR_LENDER, "--json"))
    assert got["positions"][0]["lots"] == "0"


def test_a_chain_continues_from_the_previous_opening(venue: Run) -> None:
    attest(venue, "att2.json", "opening2.json", "--previous", "opening.json")
    first, second = (json.loads(Path(f).read_bytes()) for f in ("opening.json", "opening2.json"))
    assert [int(x["sequence"]) for x in (first, second)] == [1, 2]
    assert second["previous_digest"] == first["attestation_digest"]


def test_private_files_are_private(venue: Run) -> None:
    assert Path("opening.json").stat().st_mode & 0o777 == 0o600
    assert Path("key").stat().st_mode & 0o777 == 0o700
    assert all(p.stat().st_mode & 0o077 == 0 for p in Path("key").iterdir() if p.suffix == ".pem")
    next(p for p in Path("key").iterdir() if p.suffix == ".pem").chmod(0o644)
    assert "lets others in" in attest(venue, "a.json", "o.json", code=2)
    assert not Path("a.json").exists()
    assert not Path("o.json").exists()


def test_keys_are_never_overwritten(venue: Run) -> None:
    assert "already exists" in venue("keys", "new", "--out", "key", code=2).stderr


def test_the_opening_may_not_replace_the_attestation(venue: Run) -> None:
    before = Path("att.json").read_bytes()
    said = attest(venue, "att.json", "att.json", code=2)
    assert "riskproof: --opening: att.json is also an input or another output, and would be replaced" in said
    assert Path("att.json").read_bytes() == before


@pytest.mark.parametrize("name", ["market.json", "book.csv"])
def test_an_attestation_never_replaces_an_input(venue: Run, name: str) -> None:
    before = Path(name).read_bytes()
    said = attest(venue, f"./{name}", "o.json", code=2)
    assert f"riskproof: --out: {name} is also an input or another output, and would be replaced" in said
    assert Path(name).read_bytes() == before
    assert not Path("o.json").exists()


@pytest.mark.parametrize(("out", "opening"), [("key/key.pem", "o.json"), ("a.json", "key/o.json"), ("key", "o.json")])
def test_nothing_is_written_into_a_key_folder(venue: Run, out: str, opening: str) -> None:
    before = {p.name: p.read_bytes() for p in Path("key").iterdir()}
    assert "a key folder holds keys only (expected a file outside it)" in attest(venue, out, opening, code=2)
    assert {p.name: p.read_bytes() for p in Path("key").iterdir()} == before
    assert not Path("o.json").exists()
    assert not Path("a.json").exists()


def test_an_attestation_that_cannot_be_written_leaves_the_opening_before_it(venue: Run) -> None:
    Path("o.json").write_bytes(b"of an attestation that is in use")
    assert "no/att.json: cannot be written: No such file or directory" in attest(venue, "no/att.json", "o.json", code=2)
    assert Path("o.json").read_bytes() == b"of an attestation that is in use"
    assert not [p for p in Path().iterdir() if p.name.startswith(".")]


def test_models_of_version_2_are_attested_with_their_digest(venue: Run) -> None:
    shown = document(venue("models", "show", "derive-srm", "--json"))
    attest(venue, "srm.json", "srm-opening.json", "--model", "derive-srm", "--audience", "lender", "--step", "0.000001")
    files = ("srm.json", "--keys", "keys.json", "--audience", "lender", "--market", "market.json")
    got = document(venue("verify", *files, "--opening", "srm-opening.json", "--json"))
    assert [c["number"] for c in got["checks"]][-6:] == [20, 21, 22, 23, 24, 25]
    said = got["attestation"]
    assert said["model"] == {"name": "derive-srm", "digest": MarginModel.from_document(shown).digest.hex()}
    needed = document(
        venue("margin", "--market", "market.json", "--portfolio", "book.csv", "--model", "derive-srm", "--json")
    )
    assert said["disclosure"]["initial_margin_micros"] == str(int(Decimal(needed["initial_margin"]) * 10**6))
    text = venue("verify", *files).stdout
    assert f"under derive-srm ({said['model']['digest'][:16]}), has" in text
    assert "worst scenario" not in text


def test_a_model_that_takes_a_shipped_name_is_told_apart(venue: Run) -> None:
    shipped = document(venue("models", "show", "isolated", "--json"))
    Path("mine.json").write_text(json.dumps(shipped | {"description": "mine"}))
    attest(venue, "mine-att.json", "mine-opening.json", "--model", "mine.json", "--audience", "lender")
    attest(venue, "true-att.json", "true-opening.json", "--model", "isolated", "--audience", "lender")
    mine, true = ((f"{name}-att.json", "--keys", "keys.json", "--audience", "lender") for name in ("mine", "true"))
    digest = MarginModel.from_document(shipped).digest.hex()[:16]
    assert f"under isolated ({digest}), has" in venue("verify", *true).stdout
    assert f"under isolated ({digest}), has" not in venue("verify", *mine).stdout
    failed = document(venue("verify", *mine, "--market", "market.json", "--json", code=1))
    assert failed["failed_check"] == 12


def test_a_history_without_an_attestation_is_refused(venue: Run) -> None:
    said = venue("verify", "d.json", "--attestation", "att.json", "--keys", "keys.json", "--history", "h.json", code=2)
    assert "riskproof: --history: belongs to an attestation" in said.stderr
    said = venue("verify", *FOR_LENDER, "--history", "market.json", code=2)
    assert "riskproof: histories: a history is of no use without a market (expected market)" in said.stderr


def test_an_array_under_a_model_of_version_2(venue: Run) -> None:
    files = ("--market", "market.json", "--portfolio", "book.csv")
    got = document(venue("array", *files, "--model", "isolated", "--json"))
    needed = document(venue("margin", *files, "--model", "isolated", "--json"))
    assert got["initial_margin_micros"] == int(Decimal(needed["initial_margin"]) * 10**6)
    assert got["model_digest"] == needed["model_digest"]
    worst = min(got["scenarios"], key=lambda s: s["pnl_micros"])
    assert got["worst"] == {"id": worst["id"], "pnl_micros": worst["pnl_micros"]}
    sums = [sum(Decimal(s["scenarios"][i]["pnl"]) for s in needed["sets"]) for i in range(len(got["scenarios"]))]
    assert all(abs(Decimal(s["pnl_micros"]) - x * 10**6) < 100 for s, x in zip(got["scenarios"], sums, strict=True))
    text = venue("array", *files, "--model", "isolated").stdout
    assert f"> {worst['id']}" in text
    assert "derive-srm has no scenarios" in venue("array", *files, "--model", "derive-srm").stdout
    assert document(venue("array", *files, "--model", "derive-srm", "--json"))["worst"] is None
    said = venue("array", *files, "--model", "derive-pm2", code=2).stderr
    assert "riskproof: limits.underlyings: 2 underlyings (expected at most 1 under derive-pm2)" in said
