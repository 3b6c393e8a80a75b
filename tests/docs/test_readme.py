"""The README's commands, run as they stand: what a newcomer types has to work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from riskproof.cli import main

README = Path(__file__).resolve().parents[2] / "README.md"


BY_HAND = "From a market to a verified attestation, by hand"
MARGIN = "What a book needs, and why"
PROOF = "From two attestations to one proof"


def commands_of(heading: str) -> list[str]:
    """The `riskproof` lines of a section's first console block, continuation lines joined."""
    section = README.read_text().split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    block = re.findall(r"```console\n(.*?)```", section, re.DOTALL)[0]
    return [line.removeprefix("$ ") for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


def test_the_commands_by_hand_work_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = commands_of(BY_HAND)
    assert len(lines) >= 12
    run_all(lines)


def test_the_commands_of_the_proof_work_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = commands_of(BY_HAND)
    lines = commands_of(PROOF)
    assert len(lines) == 9
    run_all([line for line in made if line.startswith(("riskproof market sample", "riskproof keys"))])
    assert run_all(lines).startswith("valid\n  proved: In each of the ")


def test_the_commands_about_margin_work_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_all([line for line in commands_of(BY_HAND) if line.startswith("riskproof market sample")])
    lines = commands_of(MARGIN)
    assert len(lines) == 6
    run_all(lines)
    assert Path("report.html").read_bytes().startswith(b"<!doctype html>")


def run_all(lines: list[str]) -> str:
    """Run commands, which all have to exit 0; what the last one printed."""
    result = None
    for line in lines:
        command, arrow, target = line.partition(" > ")
        words = shlex.split(command)
        assert words[0] == "riskproof"
        result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        if arrow:
            Path(target.strip()).write_text(result.stdout)
    assert result is not None
    return result.stdout


def test_the_library_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test_the_commands_by_hand_work_in_order(tmp_path, monkeypatch)
    block = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[0]
    given = {
        "attestation_bytes": Path("att.json").read_bytes(),
        "key_set_bytes": Path("keys.json").read_bytes(),
        "print": lambda *words: printed.append(words),
    }
    printed: list[tuple[object, ...]] = []
    exec(block, given)
    assert str(printed[0][0]) == "invalid"  # the example's clock stands at 2026-01-14: not issued yet
    assert printed[0][1] == 4
