"""The demo end to end, and that its files can be used again by hand."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import Run, document


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the demo leaves, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "riskproof.cli", "demo", "--out", "out"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out", done.stdout


def test_it_shows_what_it_promises(demo: tuple[Path, str]) -> None:
    _, text = demo
    assert text.count("serves on 127.0.0.1:") == 2
    assert "invalid: wrong signature" in text
    assert "[ 1] FAILED" in text
    assert "[ 6] FAILED" in text
    assert "[32] positions are in the committed book" in text
    assert "[25] P&L and margin recomputed" in text
    assert [line for line in text.splitlines() if line.strip().startswith("> p")]


def test_the_verifier_had_only_attestations_and_public_keys(demo: tuple[Path, str]) -> None:
    names = sorted(p.name for p in (demo[0] / "lender").iterdir())
    parts = [f"venue-{v}-{what}.json" for v in "ab" for what in ("attestation", "keys")]
    assert names == sorted(["forged.json", *parts])


def test_every_command_it_printed_is_in_commands_sh(demo: tuple[Path, str]) -> None:
    folder, text = demo
    kept = (folder / "commands.sh").read_text()
    shown = [line.strip()[2:].removesuffix(" &") for line in text.splitlines() if line.strip().startswith("$ ")]
    assert len(shown) > 20
    assert all(command in kept for command in shown)


def test_the_files_verify_again(demo: tuple[Path, str], run: Run) -> None:
    os.chdir(demo[0])
    asked = ("--keys", "venue-b-keys.json", "--audience", "lender", "--nonce", "2718", "--json")
    opened = ("--market", "market.json", "--opening", "venue-b-opening.json")
    got = document(run("verify", "venue-b-attestation.json", *asked, *opened))
    assert (got["outcome"], got["checks"][-1]["number"]) == ("valid", 25)


def test_commands_sh_repeats_everything(demo: tuple[Path, str]) -> None:
    """The same keys and ledgers, another attestation: and the forged one is refused again."""
    before = (demo[0] / "venue-a-keys.json").read_bytes()
    done = subprocess.run(
        ["/bin/sh", str(demo[0] / "commands.sh")],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if "riskproof: not found" in done.stderr:
        pytest.skip("riskproof is not installed beside this Python")
    assert done.returncode == 0, done.stderr
    verdicts = [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith(("valid", "invalid"))]
    assert verdicts == ["valid", "valid", "invalid", "invalid", "valid", "valid"]
    assert "attestation 2 of alice" in done.stderr
    assert "recorded before" in done.stdout
    assert (demo[0] / "venue-a-keys.json").read_bytes() == before


def test_secret_files_are_private(demo: tuple[Path, str]) -> None:
    secret = [p for p in demo[0].rglob("*") if p.name.endswith(("opening.json", "-key.pem", "ledger.db"))]
    assert len(secret) >= 2 + 2 * 5 + 2
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in secret)


def test_a_folder_that_no_demo_made_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    assert "no demo made it" in run("demo", "--out", "mine", code=2).stderr
    assert (tmp_path / "mine" / "file").read_text() == "x"
    assert "mine/file/out: cannot be written" in run("demo", "--out", "mine/file/out", code=2).stderr
