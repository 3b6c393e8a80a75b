"""Run a vector file: `python -m tests.conformance FILE [--json]`.

Exit status 0 if no case fails, 1 if one does, 2 for a file that cannot be read, is not known, or has no cases.
"""

from __future__ import annotations

import argparse
import decimal
import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from riskproof.risk.margining.exact import FINE, nearest
from riskproof.units import format_decimal
from tests.conformance.cases import Case, Check, VectorError, described, load
from tests.conformance.suites import SUITES


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description="Compare with a venue's published numbers."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON document in place of text")
    options = parser.parse_args(arguments)
    try:
        summary = run(options.file)
    except VectorError as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        if options.json:
            _dump({"error": str(error)})
        return 2
    if options.json:
        _dump(summary)
    else:
        _print(summary)
    return 1 if summary["failed"] else 0


def run(path: Path) -> dict[str, Any]:
    """What came of a file.

    Raises:
        VectorError: it cannot be read, no suite knows it, or it is not of the form of the suite that does.
    """
    try:
        document = load(path)
    except (OSError, ValueError) as error:
        raise VectorError(f"cannot be read: {error}") from None
    suite = next((s for s in SUITES if s.matches(document)), None)
    if suite is None:
        raise VectorError("no suite knows this content")
    form = suite.__name__.rpartition(".")[2]
    try:
        cases = list(suite.run(document))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise VectorError(f"not of the form of {form}: {described(error)}") from error
    return {"form": form, **summarise(cases)}


def _dump(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=1)
    print()


def summarise(cases: list[Case]) -> dict[str, Any]:
    """Counts, worst errors by kind of number, and every failing case."""
    run = [c for c in cases if not c.skipped]
    kinds: dict[str, list[Check]] = {}
    for case in run:
        for check in case.checks:
            kinds.setdefault(check.what.split(" ")[0], []).append(check)
    return {
        "passed": sum(c.passed for c in run),
        "failed": sum(not c.passed for c in run),
        "skipped": [{"case": c.name, "reason": c.skipped} for c in cases if c.skipped],
        "numbers": sum(len(c.checks) for c in run),
        "worst_relative": _text(
            max((c.relative_error or Fraction(0) for x in run for c in x.checks), default=Fraction(0))
        ),
        "worst_absolute": _text(max((c.error for x in run for c in x.checks), default=Fraction(0))),
        "kinds": {
            name: {
                "numbers": len(checks),
                "worst_relative": _text(max(c.relative_error or Fraction(0) for c in checks)),
                "worst_absolute": _text(max(c.error for c in checks)),
            }
            for name, checks in kinds.items()
        },
        "parts_that_differ": [
            {"case": c.name, **_difference(k)} for c in run for k in c.checks if not k.required and not k.within
        ],
        "failures": [
            {
                "case": c.name,
                "error": c.error,
                "checks": [_difference(k) for k in c.checks if not k.passed],
            }
            for c in run
            if not c.passed
        ],
    }


def _print(summary: dict[str, Any]) -> None:
    print(f"{summary['passed']} passed, {summary['failed']} failed")
    print(
        f"worst error over {summary['numbers']} numbers: relative {summary['worst_relative']}, absolute {summary['worst_absolute']}"
    )
    for name, kind in summary["kinds"].items():
        errors = f"relative {kind['worst_relative']:>10}   absolute {kind['worst_absolute']:>10}"
        print(f"  {name:28} {kind['numbers']:6} numbers   {errors}")
    for skipped in summary["skipped"]:
        print(f"not run: {skipped['case']}: {skipped['reason']}")
    for part in summary["parts_that_differ"]:
        print(f"part differs: {part['case']}: {part['what']}: expected {part['expected']}, got {part['got']}")
    for failure in summary["failures"]:
        print(f"FAILED {failure['case']}" + (f": {failure['error']}" if failure["error"] else ""))
        for check in failure["checks"]:
            print(
                f"    {check['what']}: expected {check['expected']}, got {check['got']} (differs by {check['difference']})"
            )


def _difference(check: Check) -> dict[str, str]:
    return {
        "what": check.what,
        "expected": _plain(check.expected),
        "got": _plain(check.got),
        "difference": _text(check.error),
    }


def _text(x: Fraction) -> str:
    """Three digits and a power of ten, of any size."""
    if not x:
        return "0"
    try:
        return f"{float(x):.2e}"
    except OverflowError:
        return f"{decimal.Decimal(x.numerator) / decimal.Decimal(x.denominator):.2e}"


def _plain(x: Fraction) -> str:
    """To eighteen decimals."""
    return format_decimal(nearest(x, FINE), FINE)


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
