"""`attest --holder` and what `verify` shows of it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cli_support import Run, document
from click.testing import Result

LEI = "5493001KJTIIGC8Y1R12"
AT = 1_767_603_600 + 90  # a minute and a half after the sample market
EPOCH = AT // (30 * 86_400)
NEEDED = ("--audience", "lender", "--holder", LEI, "--holder-key", "hp.json")


@pytest.fixture
def venue(run: Run) -> Run:
    """A market, a book, a venue's key and a holder's."""
    run("market", "sample", "--out", "market.json", "--book", "market-maker-a=book.csv")
    for folder, name in (("key", "venue-a"), ("key2", "venue-a"), ("holder", "alice")):
        run("keys", "new", "--out", folder, "--venue", name)
    Path("keys.json").write_text(run("keys", "public", "key", "key2").stdout)
    Path("hp.json").write_text(run("keys", "public", "holder").stdout)
    return run


def attest(run: Run, *more: str, name: str = "att", account: str = "alice", code: int = 0, key: str = "key") -> Result:
    files = ("--market", "market.json", "--portfolio", "book.csv", "--key", key)
    at = () if "--issued-at" in more else ("--issued-at", str(AT))
    out = ("--out", f"{name}.json", "--opening", f"{name}.opening.json", "--account", account, *at)
    return run("attest", *files, *out, *more, code=code)


def payload(name: str = "att") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(base64.b64decode(json.loads(Path(f"{name}.json").read_text())["payload"]))
    return document


def test_holder_is_bound_and_shown(venue: Run) -> None:
    window = ("--exclusive-from", str(AT), "--exclusive-until", str(AT + 3600))
    said = attest(venue, *NEEDED, *window).stderr
    assert "this command has no ledger" in said
    assert LEI not in said
    stated = payload()
    key = json.loads(Path("hp.json").read_text())["keys"][0]
    assert stated["schema"] == "riskproof/attestation/v2"
    assert stated["exclusive"] == {"from": AT, "until": AT + 3600}
    assert base64.urlsafe_b64decode(key["x"] + "=").hex() == stated["holder"]["key"]
    assert stated["holder"]["tag_epoch"] == EPOCH
    command = ("verify", "att.json", "--keys", "keys.json", "--audience", "lender", "--now", str(AT))
    shown = venue(*command).stdout
    assert f"held by whoever has the key {key['kid']}; the identity is committed to and hidden" in shown
    assert f"account tag {stated['holder']['tag']} in epoch {EPOCH}" in shown
    assert "exclusive from 2026-01-05T09:01:30Z until 2026-01-05T10:01:30Z: venue-a promises no other" in shown
    assert LEI not in shown
    opened = venue(*command, "--opening", "att.opening.json")
    assert f"  opened: the holder is {LEI}\n" in opened.stdout
    assert "[26] holder's identity opened" in opened.stdout
    as_json = document(venue(*command, "--opening", "att.opening.json", "--json"))
    assert as_json["identity"] == LEI
    assert "identity" not in document(venue(*command, "--json"))


def test_without_a_holder_nothing_is_said_of_one(venue: Run) -> None:
    said = attest(venue, "--audience", "lender").stderr
    assert "exclusive" not in said
    assert payload()["schema"] == "riskproof/attestation/v1"
    shown = venue("verify", "att.json", "--keys", "keys.json", "--audience", "lender", "--now", str(AT)).stdout
    assert "held by" not in shown
    assert "exclusive" not in shown


def test_tags_are_stable_for_account_audience_epoch_and_key(venue: Run) -> None:
    month = 30 * 86_400
    for name, changes in {
        "one": {},
        "two": {},
        "account": {"account": "bob"},
        "key": {"key": "key2"},
    }.items():
        attest(venue, *NEEDED, name=name, **changes)
    attest(venue, "--audience", "bank", *NEEDED[2:], name="audience")
    attest(venue, *NEEDED, "--issued-at", str(AT + month), name="epoch")
    tags = {name: payload(name)["holder"]["tag"] for name in ("one", "two", "account", "key", "audience", "epoch")}
    assert tags["one"] == tags["two"]
    assert len(set(tags.values())) == 5
    assert payload("epoch")["holder"]["tag_epoch"] == EPOCH + 1
    assert payload("one")["holder"]["identity"] != payload("two")["holder"]["identity"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--holder", LEI, "--holder-key", "hp.json"),
            "--holder: a holder is bound towards an audience (expected --audience with it)",
        ),
        (
            ("--audience", "lender", "--holder", LEI),
            "--holder: a holder without a key (expected --holder-key with it)",
        ),
        (
            ("--audience", "lender", "--holder-key", "hp.json"),
            "--holder-key: a holder's key without a holder (expected --holder with it)",
        ),
        (
            ("--audience", "lender", "--exclusive-from", "1", "--exclusive-until", "9"),
            "--exclusive-from: only an attestation with a holder is exclusive (expected --holder too)",
        ),
        ((*NEEDED, "--exclusive-from", "1"), "--exclusive-from: half a window"),
        ((*NEEDED, "--exclusive-until", "1"), "--exclusive-until: half a window"),
        ((*NEEDED, "--exclusive-from", "9", "--exclusive-until", "9"), "exclusive.until: window is empty or too long"),
        ((*NEEDED, "--exclusive-from", "1", "--exclusive-until", "9"), "exclusive: window is over when"),
        ((*NEEDED[:-1], "keys.json"), "keys.json: 2 keys (expected one"),
        ((*NEEDED[:-1], "none.json"), "none.json"),
        ((*NEEDED[:-1], "own.json"), "holder.key: the holder's key signs the attestation"),
        ((*NEEDED[:2], "--holder", "", *NEEDED[4:]), "holder.identity: not a name"),
        ((*NEEDED[:2], "--holder", "Eve\n", *NEEDED[4:]), "holder.identity: not a name"),
        (("--audience", "", *NEEDED[2:]), "audience: not a name"),
        ((*NEEDED, "--issued-at", "-1"), "issued_at: time is out of range"),
        (("--issued-at", "-1"), "issued_at: time is out of range"),
    ],
)
def test_refusals_write_nothing(venue: Run, more: tuple[str, ...], message: str) -> None:
    Path("own.json").write_text(venue("keys", "public", "key").stdout)
    result = attest(venue, *more, code=2)
    assert message in result.stderr
    assert "Eve" not in result.stderr
    assert not Path("att.json").exists()
    assert not Path("att.opening.json").exists()


def test_help_says_what_the_command_cannot_know(run: Run) -> None:
    text = " ".join(run("attest", "--help").stdout.split())
    assert "this command cannot know of another, so see to it yourself" in text
    assert "one tag for each audience and epoch of 30 days, made from the" in text


def test_clock_is_the_default(venue: Run) -> None:
    files = ("--market", "market.json", "--portfolio", "book.csv", "--key", "key", "--account", "alice")
    venue("attest", *files, *NEEDED, "--out", "att.json", "--opening", "o.json")
    stated = payload()
    assert abs(stated["issued_at"] - time.time()) < 600
    assert stated["holder"]["tag_epoch"] == stated["issued_at"] // (30 * 86_400)
