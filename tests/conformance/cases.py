"""What a suite reports: cases, and in each the numbers that were compared."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

# Longest number, and largest power of ten, of a file: beyond what any number of a venue has, and quick to compute with.
MAX_DIGITS, MAX_EXPONENT = 1_000, 2_000
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)\s*$")


class VectorError(ValueError):
    """A vector file that is not of the form that its content announces."""


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
        return not self.error and any(c.required for c in self.checks) and all(c.passed for c in self.checks)


def guarded(name: str, checks: Callable[[], list[Check]], skipped: str = "") -> Case:
    """A case; whatever stops its checks fails this case and no other."""
    result = Case(name, skipped=skipped)
    if not skipped:
        try:
            result.checks = checks()
        except Exception as error:
            result.error = described(error)
        else:
            if not any(c.required for c in result.checks):
                result.error = "VectorError: nothing expected that is compared"
    return result


def described(error: Exception) -> str:
    """An error in one line; what was not found, where a member or a place is missing."""
    missing = "no member " if isinstance(error, KeyError) else ""
    return f"{type(error).__name__}: {missing}{error}"


def named(cases: Any) -> Iterator[tuple[str, Any, str]]:
    """(name, case, why it is not run) of a file's cases: an object by name, or a list of objects with a name.

    A case is not run if its flag says that the venue does not run it.
    """
    if not isinstance(cases, (dict, list)) or not cases:
        raise VectorError("no cases: an object of cases by name, or a list of them, is expected")
    pairs = (
        cases.items()
        if isinstance(cases, dict)
        else [(c.get("name", f"case {i}") if isinstance(c, dict) else f"case {i}", c) for i, c in enumerate(cases)]
    )
    for name, case in pairs:
        run = case.get("run_by_venue_tests", True) if isinstance(case, dict) else True
        yield str(name), case, "" if run else "the venue does not run it"


def members(node: Any) -> frozenset[str]:
    """Names of an object's members; none of anything else."""
    return frozenset(node) if isinstance(node, dict) else frozenset()


def load(path: Path) -> Any:
    """A vector file with exact numbers: JSON, in which fractions and exponents become `Fraction`s, or CSV with a header.

    CSV becomes {"columns": names, "rows": lists of texts}.

    Raises:
        OSError, ValueError: it cannot be read, is neither, names a member twice, or nests too deeply.
    """
    text = path.read_text(encoding="utf-8")
    if not text.lstrip().startswith(("{", "[")) and "," in text.partition("\n")[0]:
        try:
            columns, *rows = csv.reader(io.StringIO(text), strict=True)
        except csv.Error as error:
            raise VectorError(f"not CSV: {error}") from None
        return {"columns": columns, "rows": [row for row in rows if row]}
    try:
        return json.loads(text, parse_float=number, object_pairs_hook=_object)
    except RecursionError:
        raise VectorError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise VectorError(f"member {name[:64]!r} twice")
        found[name] = value
    return found


def number(x: Any) -> Fraction:
    """A number of a vector file: an integer, an exact decimal, or a string of one."""
    if isinstance(x, bool) or not isinstance(x, (int, str, Fraction)):
        raise VectorError(f"not a number: {str(x)[:64]!r}")
    if isinstance(x, str):
        exponent = _EXPONENT.search(x)
        if len(x) > MAX_DIGITS or (exponent is not None and abs(int(exponent[1])) > MAX_EXPONENT):
            raise VectorError(f"not a number of at most {MAX_DIGITS} digits: {x[:32]!r}")
        try:
            return Fraction(x)
        except (ValueError, ZeroDivisionError):
            raise VectorError(f"not a number: {x[:64]!r}") from None
    if isinstance(x, int) and abs(x) >= 10**MAX_DIGITS:
        raise VectorError(f"not a number of at most {MAX_DIGITS} digits: an integer of {x.bit_length()} bits")
    return Fraction(x)


def whole(x: Any) -> int:
    """A number of seconds."""
    value = number(x)
    if value.denominator != 1:
        raise VectorError(f"not a whole number: {x!r}")
    return value.numerator


def truth(x: Any) -> bool:
    """True or false, however it is written: as such, or as 1 or 0."""
    value = Fraction(int(x)) if isinstance(x, bool) else number(x)
    if value not in (0, 1):
        raise VectorError(f"neither true nor false: {x!r}")
    return value == 1
