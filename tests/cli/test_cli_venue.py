"""certificates, serve and remote from the command line: what is refused before a call is made, and why a call was not."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from cli_support import Run, document


def test_clients_are_added_to_an_authority(run: Run) -> None:
    run("certificates", "--out", "tls", "--client", "operator:ops")
    before = {p.name: p.read_bytes() for p in Path("tls").iterdir()}
    said = run("certificates", "--out", "tls", "--client", "account-holder:bob").stderr
    assert said == "tls: account-holder-bob; private keys have mode 0600\n"
    after = {p.name: p.read_bytes() for p in Path("tls").iterdir()}
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"account-holder-bob.pem", "account-holder-bob-key.pem"}
    assert stat.S_IMODE(Path("tls/account-holder-bob-key.pem").stat().st_mode) == 0o600


def test_certificates_are_made_all_or_none(run: Run) -> None:
    run("certificates", "--out", "tls", "--client", "operator:ops")
    more = ("--client", "verifier:new", "--client", "operator:ops")
    said = run("certificates", "--out", "tls", *more, code=2).stderr
    assert said.startswith("riskproof: tls/operator-ops.pem: exists, and nothing is overwritten")
    assert not Path("tls/verifier-new.pem").exists()
    assert "exists" in run("certificates", "--out", "tls", "--host", "example.org", code=2).stderr
    assert "has an authority" in run("certificates", "--out", "tls", code=2).stderr


def test_certificates_where_no_folder_can_be(run: Run) -> None:
    Path("file").write_text("x")
    assert "file: cannot be written: File exists" in run("certificates", "--out", "file", code=2).stderr
    assert "cannot be written" in run("certificates", "--out", "file/tls", code=2).stderr


@pytest.mark.parametrize("server", ["127.0.0.1", "nobody", ":1", "host:", "host:x"])
def test_an_address_has_a_host_and_a_port(run: Run, server: str) -> None:
    said = run("remote", "keys", "--server", server, "--insecure", code=2).stderr
    assert said == f"riskproof: --server: not an address: {server!r} (expected HOST:PORT)\n"


def test_nobody_listens(run: Run) -> None:
    run("certificates", "--out", "tls", "--client", "operator:ops")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{s.getsockname()[1]}"
    for identity in ("tls/operator-ops", "tls/operator-ops.pem"):
        said = run("remote", "keys", "--server", server, "--identity", identity, code=1).stderr
        assert said.startswith(f"riskproof: {server}: no connection: UNAVAILABLE")
        assert said.endswith("(expected a server there (riskproof serve))\n")


def test_a_call_without_a_certificate_says_what_to_give(run: Run) -> None:
    said = run("remote", "keys", "--server", "127.0.0.1:1", code=2).stderr
    assert "--identity: no certificate (expected --identity, or --ca alone, or --insecure)" in said


def test_the_configuration_in_the_help_is_one(run: Run) -> None:
    """What `serve --help` shows can be copied: it fails only because its files are not there."""
    text = run("serve", "--help").stdout
    block = [line.strip() for line in text.splitlines() if line.strip().startswith("[") or " = " in line]
    Path("riskproof.toml").write_text("\n".join(block))
    assert "[ledger]" in block
    assert "venue-key: cannot be read" in run("serve", "--config", "riskproof.toml", code=2).stderr


def test_sample_of_now_and_of_no_time(run: Run) -> None:
    run("market", "sample", "--time", "now", "--out", "now.json")
    run("market", "sample", "--time", "1767603600", "--out", "then.json")
    run("market", "sample", "--out", "default.json")
    assert Path("then.json").read_bytes() == Path("default.json").read_bytes()
    assert Path("now.json").read_bytes() != Path("then.json").read_bytes()
    said = run("market", "sample", "--time", "tomorrow", "--out", "x.json", code=2).stderr
    assert "--time: not a plain decimal number: 'tomorrow'" in said


def test_verify_names_a_document_that_is_no_attestation(run: Run) -> None:
    run("market", "sample", "--out", "market.json", "--book", "directional=book.csv")
    run("keys", "new", "--out", "key")
    Path("keys.json").write_text(run("keys", "public", "key").stdout)
    given = ("--market", "market.json", "--portfolio", "book.csv", "--account", "alice", "--key", "key")
    run("attest", *given, "--out", "att.json", "--opening", "opening.json")
    held = Path("book.csv").read_text().splitlines()[1].split(",")[0]
    run("disclose", "--opening", "opening.json", "--instrument", held, "--out", "d.json")
    for file, hint in (
        ("d.json", "d.json is a disclosure: give its attestation with --attestation\n"),
        (
            "opening.json",
            "opening.json is an opening, which is secret: give it with --opening, after the attestation\n",
        ),
        ("market.json", "market.json is a market file: give it with --market, after the attestation\n"),
        ("keys.json", ""),
    ):
        result = run("verify", file, "--keys", "keys.json", code=2)
        assert result.stdout.startswith("malformed")
        assert result.stderr == hint
    both = ("verify", "d.json", "--attestation", "att.json", "--keys", "keys.json", "--opening", "opening.json")
    error = document(run(*both, "--json", code=2))["error"]
    assert (error["code"], error["where"]) == ("INPUT", "--opening")
    assert "FILE is a disclosure" in error["what"]
