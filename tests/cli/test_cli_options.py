"""Options given more often than they may be are refused, in every command."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from cli_support import Run

from riskproof.cli import COMMANDS


def every_command(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, (*path, name))
    else:
        yield path, command


def every_option() -> Iterator[tuple[tuple[str, ...], click.Option]]:
    for name, (module, attribute, _) in COMMANDS.items():
        for path, command in every_command(getattr(importlib.import_module(module), attribute), (name,)):
            yield from ((path, p) for p in command.params if isinstance(p, click.Option))


def test_every_option_of_one_value_is_refused_twice(run: Run) -> None:
    tried = 0
    for path, option in every_option():
        if option.multiple:
            continue
        words = [option.opts[0]] if option.is_flag else [option.opts[0], "1"]
        result = run(*path, *words, *words, code=2)
        assert f"Option '{option.opts[0]}' is given more than once; it takes one value." in result.stderr, path
        tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "words",
    [
        ("margin", "--market=a", "--market=b"),
        ("margin", "--market", "a", "--json", "--market", "a"),
        ("history", "import", "closes", "--out", "a", "x.csv", "--out", "b"),
    ],
)
def test_spellings(run: Run, words: tuple[str, ...]) -> None:
    assert "is given more than once" in run(*words, code=2).stderr


def test_names_that_are_not_utf_8_give_json_all_the_same() -> None:
    """Read as bytes, in a process of its own: that is where such a name comes from and where it could do harm."""
    command: list[str | bytes] = [sys.executable, "-m", "riskproof.cli", "models", "check", b"no\xff.json", "--json"]
    result = subprocess.run(command, capture_output=True, check=False)
    error = json.loads(result.stdout.decode("utf-8"))["error"]
    assert (result.returncode, error["where"]) == (2, "no\udcff.json")
    assert result.stderr == b""


def test_what_is_not_refused(run: Run) -> None:
    """Help wins; a value that looks like the option is a value; options of many values; after `--` there are none."""
    assert "Usage:" in run("margin", "--market", "a", "--market", "b", "--help").stdout
    assert "more than once" not in run("margin", "--market", "--market", "--portfolio", "b", code=2).stderr
    assert "more than once" not in run("margin", "--compare", "a", "--compare", "a", code=2).stderr
    assert "more than once" not in run("models", "show", "--json", "--", "--json", code=2).stderr
