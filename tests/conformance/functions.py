"""Elementary functions of other fixed-point libraries, and of exact arithmetic, against the engine and the kernel.

    Solady              {"expWad": {"x": "y"}, "lnWad": {...}}                 10^-18
    PRB math            {"exp": [["x", "y"], ...], "ln": [...]}                10^-18, truncated, and ln to some 15 units
    OpenZeppelin, Sui   {"cdf": [["x", "y"], ...], "pdf", "inverse_cdf", "monotonicity_windows"}    10^-9, to 5 units
    mpmath              fn,x,value_35_digits                                   as CSV

Engine: `exact`, the nearest 10^-18. Kernel: `kernel.black76`, arguments of 10^-12 (10^-9 for ln), for those that it can represent.
The others approximate too, so what is allowed is their documented error besides our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, Final

import numpy as np

from riskproof.risk.kernel import black76
from riskproof.risk.margining import exact
from riskproof.units import INT64_MAX
from tests.conformance.cases import Case, Check, VectorError, guarded, members, number

ULP: Final = Fraction(1, 10**18)
SUI: Final = Fraction(1, 10**9)
CSV_COLUMNS: Final = ["fn", "x", "value_35_digits"]
_KERNEL_EXP_MAX: Final = 2  # docs/kernel.md: exp of at most 2

_Kernel = tuple[
    Callable[[Any], Any], int, int, int
]  # function, decimals of the argument and of the result, error in units
_CDF: Final[_Kernel] = (black76.cdf, 12, 18, 4)
_PDF: Final[_Kernel] = (black76.pdf, 12, 18, 4)
_EXP: Final[_Kernel] = (black76.exp, 12, 18, 20)
_LN: Final[_Kernel] = (black76.ln, 9, 15, 1)
_ENGINE: Final[dict[str, Callable[[Fraction], Fraction]]] = {"exp": exact.exp, "ln": exact.ln, "sqrt": exact.sqrt}
_KERNELS: Final[dict[str, _Kernel]] = {"exp": _EXP, "ln": _LN, "cdf": _CDF, "pdf": _PDF}
_WAD: Final = {"expWad": "exp", "lnWad": "ln", "sqrtWad": "sqrt"}
_PAIRS: Final = ("exp", "ln", "sqrt", "cdf", "pdf")
_MORE: Final = ("inverse_cdf", "monotonicity_windows")
_ABOUT: Final = frozenset({"source", "licence"})


def matches(file: Any) -> bool:
    if isinstance(file, dict) and file.get("columns") == CSV_COLUMNS:
        return True
    names = members(file) - _ABOUT
    if names and names <= frozenset(_WAD):
        return all(isinstance(file[name], dict) for name in names)
    return bool(names) and names <= {*_PAIRS, *_MORE} and any(isinstance(file[name], list) for name in names)


def run(file: Any) -> Iterator[Case]:
    if file.get("columns") == CSV_COLUMNS:
        yield from _mpmath(file["rows"])
        return
    names = members(file) - _ABOUT
    gaussian = bool(names & {"cdf", "pdf", *_MORE})
    for name in sorted(names):
        if name == "inverse_cdf":
            yield from (case(name, "cdf", z, p, SUI, 5 * SUI) for p, z in _pairs(file[name]))
        elif name == "monotonicity_windows":
            yield guarded(name, lambda: _windows(file["monotonicity_windows"]))
        else:
            unit, allowed = (SUI, 5 * SUI) if gaussian else (ULP, (2 if name in _WAD else 20) * ULP)
            yield from (case(name, _WAD.get(name, name), x, y, unit, allowed) for x, y in _pairs(file[name]))


def _pairs(node: Any) -> Iterable[tuple[Any, Any]]:
    """An object of values by argument, or a list of [argument, value]."""
    if isinstance(node, dict):
        return node.items()
    if not isinstance(node, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in node):
        raise VectorError("neither an object of values nor a list of pairs")
    return [(x, y) for x, y in node]


def case(label: str, name: str, x: Any, y: Any, unit: Fraction, allowed: Fraction) -> Case:
    """One argument and its published value, both integers of `unit`."""

    def compared() -> list[Check]:
        at = number(x) * unit
        large = name == "exp" and at >= 2  # where their last digits are not right any more
        return checks(name, at, number(y) * unit, allowed, Fraction(1, 10**16) if large else Fraction(0))

    return guarded(f"{label} {x}", compared)


def checks(
    name: str, x: Fraction, expected: Fraction, allowed: Fraction, relative: Fraction = Fraction(0)
) -> list[Check]:
    """Engine and kernel at x; `allowed` and `relative` are the published value's own error."""
    found = []
    if name in _ENGINE:
        found.append(Check(f"{name}_engine {x}", expected, _ENGINE[name](x), relative, allowed + ULP / 2))
    if name in _KERNELS and _representable(name, x):
        function, decimals, out, error = _KERNELS[name]
        got = Fraction(int(function(int(x * 10**decimals))), 10**out)
        found.append(Check(f"{name}_kernel {x}", expected, got, relative, allowed + Fraction(error, 10**out)))
    return found


def _representable(name: str, x: Fraction) -> bool:
    """Whether the kernel has this argument."""
    scaled = x * 10 ** _KERNELS[name][1]
    if scaled.denominator != 1 or abs(scaled) > INT64_MAX:
        return False
    return x <= _KERNEL_EXP_MAX if name == "exp" else x > 0 if name == "ln" else True


def _windows(node: Any) -> list[Check]:
    """The distribution falls nowhere in windows of [first argument, count], 10^-9, and is symmetric there."""
    found = []
    for start, count in _pairs(node["windows"]):
        first, length = (int(number(v)) for v in (start, count))
        if not 0 < length <= 1_000_000 or abs(first) + length > INT64_MAX // 1000:
            raise VectorError(f"not a window: {start}, {count}")
        x = (first + np.arange(length, dtype=np.int64)) * 1000
        p = black76.cdf(x)
        falls, odd = int((np.diff(p) < 0).sum()), int((p + black76.cdf(-x) != 10**18).sum())
        found += [
            Check(f"falls {start}", Fraction(0), Fraction(falls)),
            Check(f"asymmetric {start}", Fraction(0), Fraction(odd)),
        ]
    return found


def _mpmath(rows: Any) -> Iterator[Case]:
    for name, x, y in rows:
        short = name.removeprefix("norm_")
        label, digits = f"{name} {x}", abs(number(y)) * Fraction(1, 10**34)
        if short not in _ENGINE and short in _KERNELS and not _representable(short, number(x)):
            yield Case(label, skipped="an argument that the kernel cannot represent")
        else:
            yield guarded(label, lambda a=x, b=y, n=short, d=digits: checks(n, number(a), number(b), d))  # type: ignore[misc]
