"""The demo end to end, and that its files can be used again by hand."""

from __future__ import annotations

import json
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


def test_the_scene_of_the_proof(demo: tuple[Path, str]) -> None:
    """Short of margin at each venue, no proof alone, one over both, refused for less and for somebody else."""
    _, text = demo
    for venue in "ab":
        (said,) = [line for line in text.splitlines() if line.startswith(f"  venue-{venue}: the book is worth")]
        assert said.endswith(" short")
    scene = text.split("\n5. ", 1)[1].split("\n7. ", 1)[0]
    assert "riskproof: scenario p-50/v+: the statement is false: short by " in scene
    assert "the net loss of 2 accounts at venue-a, venue-b is at most 1000000 USD" in scene
    assert (
        "lower-bound.json is the challenge with a bound of 999,999.999999; lower-bound-proof.json is the proof" in scene
    )
    assert "other-audience.json is the challenge with the audience somebody-else; " in scene
    failed = [line.split("]")[0].strip(" [") for line in scene.splitlines() if "FAILED" in line]
    assert failed == ["40", "55", "40", "45"]


def test_bound_and_audience_are_all_that_was_changed(demo: tuple[Path, str]) -> None:
    asked, lower, other = (
        json.loads((demo[0] / "lender" / f"{name}.json").read_bytes())
        for name in ("challenge", "lower-bound", "other-audience")
    )
    assert (asked["bound_micros"], lower["bound_micros"]) == ("1000000000000", "999999999999")
    assert {**lower, "bound_micros": asked["bound_micros"]} == asked
    assert {**other, "audience": "lender"} == asked


def test_the_verifier_had_only_public_things(demo: tuple[Path, str]) -> None:
    names = sorted(p.name for p in (demo[0] / "lender").iterdir())
    parts = [f"venue-{v}-{what}.json" for v in "ab" for what in ("attestation", "keys")]
    forged = ["forged.json", *(f"{n}{p}.json" for n in ("lower-bound", "other-audience") for p in ("", "-proof"))]
    assert names == sorted([*forged, *parts, "market.json", "challenge.json", "proof.json"])


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
    assert (got["outcome"], got["checks"][-1]["number"]) == ("valid", 26)


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
    assert verdicts == [*["valid"] * 2, *["invalid"] * 2, "valid", *["invalid"] * 4, *["valid"] * 2]
    assert "attestation 2 of alice" in done.stderr
    assert "lender may learn 28 of 64 points more" in done.stderr  # the same questions again tell nothing new
    assert "recorded before" in done.stdout
    assert (demo[0] / "venue-a-keys.json").read_bytes() == before


def test_secret_files_are_private(demo: tuple[Path, str]) -> None:
    names = ("opening.json", "key.pem", "ledger.db", "leak-budget.json")
    secret = [p for p in demo[0].rglob("*") if p.name.endswith(names)]
    assert len(secret) >= 2 + 2 * 5 + 3 + 2 + 1
    assert stat.S_IMODE((demo[0] / "alice-key").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in secret)


def test_a_folder_that_no_demo_made_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    assert "no demo made it" in run("demo", "--out", "mine", code=2).stderr
    assert (tmp_path / "mine" / "file").read_text() == "x"
    assert "mine/file/out: cannot be written" in run("demo", "--out", "mine/file/out", code=2).stderr
