"""What a suite reports: cases, and in each the numbers that were compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One number: expected and got.

    It is within tolerance if the difference is at most `absolute`, or at most `relative` of the expected size. A number that
    is not required (an intermediate one, which a venue may define in its own way) is reported, and fails no case.
    """

    what: str
    expected: Fraction
    got: Fraction
    relative: Fraction = Fraction(0)
    absolute: Fraction = Fraction(0)
    required: bool = True

    @property
    def error(self) -> Fraction:
        return abs(self.got - self.expected)

    @property
    def relative_error(self) -> Fraction | None:
        """None where the expected size is within the absolute tolerance: there is no digit to compare."""
        return self.error / abs(self.expected) if abs(self.expected) > self.absolute else None

    @property
    def within(self) -> bool:
        return self.error <= max(self.absolute, self.relative * abs(self.expected))

    @property
    def passed(self) -> bool:
        return self.within or not self.required


@dataclass
class Case:
    """A case: its checks, or why it was not run, or the error that stopped it."""

    name: str
    checks: list[Check] = field(default_factory=list)
    skipped: str = ""
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.error and bool(self.checks) and all(c.passed for c in self.checks)


def load(path: Path) -> Any:
    """A vector file as JSON with exact numbers: fractions and exponents become `Fraction`s."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Fraction)


def number(x: Any) -> Fraction:
    """A number of a vector file: an integer, an exact decimal, or a string of one."""
    if isinstance(x, bool) or not isinstance(x, (int, str, Fraction)):
        raise ValueError(f"not a number: {x!r}")
    return Fraction(x)
