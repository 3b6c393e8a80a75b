"""A command line in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_support import Run
from click.testing import CliRunner, Result

from riskproof.cli import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `riskproof ...` in an empty folder; an exception that is not SystemExit fails the test."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call
