"""`riskproof remote` against `riskproof serve`, both as people start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_support import document
from remote_venue import remote, riskproof, served

from riskproof.cli.connection import connected
from riskproof.cli.output import reports_errors
from riskproof.client import Client
from riskproof.errors import RemoteError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with served(tmp_path_factory.mktemp("venue")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_what_is_attested_verifies(tmp_path: Path) -> None:
    att, opening, keys = (str(tmp_path / name) for name in ("att.json", "opening.json", "keys.json"))
    remote("attest", "account-holder-alice", "--account", "alice", "--nonce", "n1", "--out", att, "--opening", opening)
    assert Path(opening).stat().st_mode & 0o777 == 0o600
    Path(keys).write_text(remote("keys", "verifier-lender").stdout)
    fetched = str(tmp_path / "market.json")
    remote("market", "verifier-lender", "--out", fetched)
    assert Path(fetched).read_bytes() == Path("market.json").read_bytes()
    asked = ("--nonce", "n1", "--market", fetched, "--opening", opening, "--json")
    got = document(riskproof("verify", att, "--keys", keys, *asked))
    assert (got["outcome"], got["checks"][-1]["number"]) == ("valid", 25)


def test_margin_and_attestation_under_a_named_model(tmp_path: Path) -> None:
    held = document(remote("margin", "account-holder-alice", "--account", "alice", "--model", "derive-srm", "--json"))
    local = document(
        riskproof("array", "--market", "market.json", "--portfolio", "book.csv", "--model", "derive-srm", "--json")
    )
    assert held["initial_margin_micros"] == local["initial_margin_micros"]
    assert (held["model_digest"], held["array_digest"], held["worst"]) == (local["model_digest"], None, None)
    text = remote("margin", "account-holder-alice", "--account", "alice", "--model", "derive-srm").stdout
    assert "worst scenario" not in text
    att = str(tmp_path / "att.json")
    remote("attest", "account-holder-alice", "--account", "alice", "--model", "derive-srm", "--out", att)
    keys = str(tmp_path / "keys.json")
    Path(keys).write_text(remote("keys", "verifier-lender").stdout)
    got = document(riskproof("verify", att, "--keys", keys, "--market", "market.json", "--json"))
    assert (got["outcome"], got["attestation"]["model"]["name"]) == ("valid", "derive-srm")
    said = remote("margin", "account-holder-alice", "--account", "alice", "--model", "derive-pm2", code=2).stderr
    assert "limits.underlyings: 2 underlyings (expected at most 1 under derive-pm2)" in said


def test_an_attestation_is_kept_where_its_opening_is_refused(tmp_path: Path) -> None:
    att, opening = tmp_path / "att.json", tmp_path / "opening.json"
    files = ("--out", str(att), "--opening", str(opening))
    said = remote("attest", "operator-ops", "--account", "alice", *files, code=1).stderr
    assert "role operator may not call this (expected account-holder)" in said
    assert att.exists()
    assert not opening.exists()
    sequence = said.split("attestation ")[1].split()[0]
    wanted = ("--account", "alice", "--sequence", sequence, "--out", str(opening))
    remote("opening", "account-holder-alice", *wanted)
    assert opening.stat().st_mode & 0o777 == 0o600
    assert (
        "no attestation number"
        in remote(
            "opening", "account-holder-alice", "--account", "alice", "--sequence", "99", "--out", str(opening), code=1
        ).stderr
    )


def test_roles_are_refused_in_words(tmp_path: Path) -> None:
    said = remote("margin", "verifier-lender", "--account", "alice", code=1).stderr
    assert "role verifier may not call this (expected account-holder or operator)" in said
    said = remote("margin", "account-holder-alice", "--account", "bob", code=1).stderr
    assert "own account only" in said


def test_numbers_that_fit_no_message(tmp_path: Path) -> None:
    whose = ("--account", "alice", "--out", str(tmp_path / "x.json"))
    for command, option, member in (("attest", "--ttl", "ttl_seconds"), ("opening", "--sequence", "sequence")):
        said = remote(command, "account-holder-alice", *whose, option, str(-(2**63) - 1), code=2).stderr
        assert f"riskproof: {member}: does not fit 64 bits (expected below 2^63 in size)" in said
    assert not (tmp_path / "x.json").exists()


def test_a_connection_that_is_lost_is_not_one_that_was_never_made(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @reports_errors
    @connected
    def lose(client: Client) -> None:
        raise RemoteError("UNAVAILABLE: Stream removed (Socket closed)", where="method")

    with pytest.raises(SystemExit) as left:
        lose(["--server", "127.0.0.1:1", "--insecure"], standalone_mode=False)
    assert left.value.code == 1
    said = "riskproof: 127.0.0.1:1: connection lost: UNAVAILABLE: Stream removed (Socket closed) (expected a server that stays)\n"
    assert capsys.readouterr().err == said


def test_why_there_is_no_connection(tmp_path: Path) -> None:
    server = Path("address").read_text()
    riskproof("certificates", "--out", str(tmp_path / "tls"), "--client", "operator:ops")
    other, theirs = str(tmp_path / "tls" / "operator-ops"), str(tmp_path / "tls" / "ca.pem")
    stranger = "(expected a client certificate of the authority that the server names (--identity))\n"
    for options, hint in (
        (("--identity", other), "(expected --ca with the authority that issued the server's certificate)\n"),
        (("--identity", "tls/operator-ops", "--ca", theirs), "that issued the server's certificate)\n"),
        (("--identity", other, "--ca", "tls/ca.pem"), stranger),
        (("--ca", "tls/ca.pem"), stranger),
        (("--insecure",), stranger),
        (("--identity", "tls/operator-ops", "--ca", "market.json"), "a certificate and its own key)\n"),
    ):
        result = riskproof("remote", "keys", "--server", server, *options, code=1)
        assert result.stderr.startswith(f"riskproof: {server}: no connection: UNAVAILABLE"), result.stderr
        assert result.stderr.endswith(hint), result.stderr


def test_one_server_per_ledger() -> None:
    command = [sys.executable, "-m", "riskproof.cli", "serve", "--config", "riskproof.toml"]
    environment = {**os.environ, "RISKPROOF_SERVER_ADDRESS": "127.0.0.1:0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "another server has this ledger (expected one server per ledger)" in done.stderr


def test_margin_of_an_account() -> None:
    got = document(remote("margin", "account-holder-alice", "--account", "alice", "--json"))
    assert got["worst"]["pnl_micros"] == min(s["pnl_micros"] for s in got["scenarios"])
    assert got["initial_margin_micros"] > got["maintenance_margin_micros"] > 0
    text = remote("margin", "account-holder-alice", "--account", "alice").stdout.splitlines()
    assert "account alice" in text[0]
    assert len({line.rfind(".") for line in text[2:]}) == 1  # decimal points below each other


def holder_key(path: Path) -> str:
    """A new holder's public key, as a file."""
    riskproof("keys", "new", "--out", str(path / "holder"), "--venue", "alice")
    public = path / "holder_public.json"
    public.write_text(riskproof("keys", "public", str(path / "holder")).stdout)
    return str(public)


def test_a_holder_is_recorded_bound_and_pledged_once(tmp_path: Path) -> None:
    att, opening, keys = (str(tmp_path / name) for name in ("att.json", "opening.json", "keys.json"))
    key, now = holder_key(tmp_path), int(time.time())
    asked = ("--account", "alice", "--audience", "lender", "--holder-key", key, "--out", att)
    window = ("--exclusive-from", str(now - 60), "--exclusive-until", str(now + 3600))
    said = remote("attest", "account-holder-alice", *asked, *window, code=1).stderr
    assert "nobody is recorded as the holder of this account (expected SetHolder first)" in said
    assert not Path(att).exists()
    name = ("--account", "alice", "--holder", "5493001KJTIIGC8Y1R12")
    assert remote("holder", "operator-ops", *name).stdout == "account alice: holder 1\n"
    assert remote("holder", "operator-ops", *name).stdout == "account alice: holder 1, recorded before\n"
    said = remote("holder", "account-holder-alice", *name, code=1).stderr
    assert "role account-holder may not call this (expected operator)" in said
    remote("attest", "account-holder-alice", *asked, *window, "--opening", opening)
    Path(keys).write_text(remote("keys", "verifier-lender").stdout)
    got = document(
        riskproof(
            "verify",
            att,
            "--keys",
            keys,
            "--audience",
            "lender",
            "--market",
            "market.json",
            "--opening",
            opening,
            "--json",
        )
    )
    assert got["outcome"] == "valid"
    assert json.loads(Path(opening).read_bytes())["identity"] == "5493001KJTIIGC8Y1R12"
    other = str(tmp_path / "other.json")
    said = remote("attest", "account-holder-alice", *asked[:-1], other, *window, code=1).stderr
    assert f"is exclusive from {now - 60} until {now + 3600} (expected a window that does not overlap it)" in said
    assert not Path(other).exists()
    remote("attest", "account-holder-alice", *asked[:-1], other)
    assert Path(other).exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--exclusive-from", "5"),
            "--exclusive-from: half a window (expected --exclusive-from and --exclusive-until)",
        ),
        (
            ("--exclusive-until", "5"),
            "--exclusive-until: half a window (expected --exclusive-from and --exclusive-until)",
        ),
        (
            ("--exclusive-from", "5", "--exclusive-until", "9"),
            "--exclusive-from: only an attestation with a holder is exclusive (expected --holder-key too)",
        ),
        (("KEY", "--exclusive-from", "9", "--exclusive-until", "5"), "exclusive.until: window is empty or too long"),
        (
            ("KEY", "--audience", ""),
            "--holder-key: a holder is bound towards an audience (expected --audience with it)",
        ),
        (("--holder-key", "market.json"), "market.json"),
    ],
)
def test_bindings_that_make_no_sense(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    if options[0] == "KEY":
        options = ("--holder-key", holder_key(tmp_path), *options[1:])
    out = tmp_path / "att.json"
    audience = () if "--audience" in options else ("--audience", "lender")
    asked = ("--account", "alice", *audience, "--out", str(out))
    assert said in remote("attest", "account-holder-alice", *asked, *options, code=2).stderr
    assert not out.exists()
