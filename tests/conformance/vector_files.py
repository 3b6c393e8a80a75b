"""Published files for the suites' own tests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import Case, load
from tests.conformance.suites import SUITES

FOLDER = Path(__file__).resolve().parents[2] / "../shared/vectors"


def vectors(name: str) -> Any:
    """A published file; skips where there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip("needs the vectors of ../shared")
    return load(path)


def failed(name: str, change: Callable[[Any], None]) -> list[Case]:
    """Cases of a file that fail after a change of it."""
    document = copy.deepcopy(vectors(name))
    suite = next(s for s in SUITES if s.matches(document))
    change(document)
    return [c for c in suite.run(document) if not c.passed and not c.skipped]
