"""Published option values and Greeks against the engine (nearest 10^-18) and the kernel.

    Haug, by QuantLib   type,strike,spot,q,r,t,vol,value,tol                          as CSV
    mpmath              F,K,vol,seconds_to_expiry,discount,call,put,call_delta_fwd,vega    as CSV
    py_vollib           {"columns": ["S", "K", "R", "t", "v", "bs_call", ...], "data": [...]}
    Lyra                {"black76": {"columns", "rows"}, "svi": {"strikes", "sets"}, "exact_integer_1e18": {...}}

A spot S with carry is the forward F = S exp((r - q) T); its Greeks follow by the chain rule: dV/dS = dV/dF F/S,
d2V/dS2 = d2V/dF2 (F/S)^2, rho + dV/dF F T, theta - dV/dF F (r - q). py_vollib's are by year and by 1.0 of volatility and rate.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final

from riskproof.errors import DomainError
from riskproof.risk.kernel import black76 as kernel
from riskproof.risk.margining import black76, exact
from riskproof.risk.margining.surfaces import Svi
from riskproof.units import SECONDS_PER_YEAR
from tests.conformance import functions
from tests.conformance.cases import Case, Check, VectorError, guarded, members, number

HAUG: Final = ["type", "strike", "spot", "q", "r", "t", "vol", "value", "tol"]
GOLDENS: Final = ["F", "K", "vol", "seconds_to_expiry", "discount", "call", "put", "call_delta_fwd", "vega"]
VOLLIB: Final = [
    "S",
    "K",
    "R",
    "t",
    "v",
    "bs_call",
    "bs_put",
    "CD",
    "CG",
    "CT",
    "CV",
    "CR",
    "PD",
    "PG",
    "PT",
    "PV",
    "PR",
]
LYRA_ROWS: Final = ["secs", "vol", "fwd", "strike", "discount", "call", "put", "call_delta_undiscounted"]
_LYRA: Final = frozenset({"black76", "svi", "exact_integer_1e18"})
_NINE: Final = Fraction(1, 10**9)
_TWELVE: Final = Fraction(1, 10**12)


def matches(file: Any) -> bool:
    if not isinstance(file, dict):
        return False
    columns = file.get("columns")
    return (
        columns in (HAUG, GOLDENS)
        or (isinstance(columns, list) and columns[: len(VOLLIB)] == VOLLIB)
        or bool(members(file) & _LYRA)
    )


def run(file: Any) -> Iterator[Case]:
    columns = file.get("columns")
    if columns == HAUG:
        yield from _each(file["rows"], HAUG, _haug)
    elif columns == GOLDENS:
        yield from _each(file["rows"], GOLDENS, _goldens)
    elif columns is not None:
        yield from _each(file["data"], columns, _vollib)
    else:
        yield from _lyra(file)


def _each(rows: Any, columns: list[str], checks: Callable[[dict[str, Any]], list[Check]]) -> Iterator[Case]:
    for n, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(columns):
            raise VectorError(f"row {n} has not {len(columns)} members")
        yield guarded(f"row {n}", lambda row=row: checks(dict(zip(columns, row, strict=True))))  # type: ignore[misc]


def _value(
    call: bool, forward: Fraction, strike: Fraction, vol: Fraction, seconds: int, discount: Fraction
) -> Fraction:
    """The engine's value of one coin, to the nearest 10^-18; inputs to the nearest 10^-18 as everywhere in it."""
    arguments = (exact.fine(forward), exact.fine(strike), exact.fine(vol), seconds, exact.fine(discount))
    return exact.unfine(black76.value(call, *arguments, (1, 1), exact.FINE))


def _seconds(years: Fraction) -> int:
    return round(years * SECONDS_PER_YEAR)


def _kernel_arguments(
    forward: Fraction, strike: Fraction, vol: Fraction, seconds: int, rate: Fraction, call: bool
) -> tuple[int, int, int, int, int, bool]:
    return round(forward / _NINE), round(strike / _NINE), round(vol / _TWELVE), seconds, round(rate / _TWELVE), call


def _kernel_value(name: str, expected: Fraction, allowed: Fraction, *arguments: Any) -> list[Check]:
    """The kernel's value; none where its domain ends."""
    try:
        got = int(kernel.value(*_kernel_arguments(*arguments))) * _NINE
    except DomainError:
        return []
    return [Check(f"{name}_kernel", expected, got, absolute=allowed + _NINE)]


def _haug(row: dict[str, Any]) -> list[Check]:
    strike, spot, q, r, t, vol, value, tolerance = (number(row[name]) for name in HAUG[1:])
    call = {"Call": True, "Put": False}.get(row["type"])
    if call is None:
        raise VectorError(f"neither Call nor Put: {row['type']!r}")
    forward, seconds = spot * exact.exp((r - q) * t), _seconds(t)
    got = _value(call, forward, strike, vol, seconds, exact.exp(-r * t))
    return [
        Check("value_engine", value, got, absolute=tolerance),
        *_kernel_value("value", value, tolerance, forward, strike, vol, seconds, r, call),
    ]


def _goldens(row: dict[str, Any]) -> list[Check]:
    forward, strike, vol, seconds, discount = (number(row[name]) for name in GOLDENS[:5])
    call, put, delta, vega = (_golden(row[name]) for name in GOLDENS[5:])
    if seconds.denominator != 1:
        raise VectorError(f"not whole seconds: {row['seconds_to_expiry']}")
    time, half = seconds.numerator, Fraction(501, 1000)
    share = exact.unfine(black76.delta(True, exact.fine(forward), exact.fine(strike), exact.fine(vol), time))
    found = [
        Check("call_engine", call, _value(True, forward, strike, vol, time, discount), absolute=half * functions.ULP),
        Check("put_engine", put, _value(False, forward, strike, vol, time, discount), absolute=half * functions.ULP),
        Check("delta_engine", delta, share, absolute=half * functions.ULP),
    ]
    if discount == 1:
        for is_call, name, value in ((True, "call", call), (False, "put", put)):
            found += _kernel_value(name, value, Fraction(0), forward, strike, vol, time, Fraction(0), is_call)
        try:
            greeks = kernel.greeks(*_kernel_arguments(forward, strike, vol, time, Fraction(0), True))
        except DomainError:
            return found
        found += [
            Check("delta_kernel", delta, int(greeks.delta) * _TWELVE, absolute=half * _TWELVE),
            Check("vega_kernel", vega / 100, int(greeks.vega) * _NINE, absolute=half * _NINE + forward / 10**17),
        ]
    return found


def _golden(text: str) -> Fraction:
    """A number of any size; what is below 10^-100 counts as nothing, which is exact enough for every check here."""
    value = decimal.Decimal(text)
    if not value.is_finite():
        raise VectorError(f"not a number: {text[:32]!r}")
    return Fraction(0) if value.adjusted() < -100 else number(text)


def _vollib(row: dict[str, Any]) -> list[Check]:
    spot, strike, rate, years, vol = (number(row[name]) for name in VOLLIB[:5])
    seconds, growth = _seconds(years), exact.exp(rate * years)
    forward, discount = spot * growth, exact.exp(-rate * years)
    allowed = Fraction(1, 10**6)  # the file has about ten digits
    found = []
    for call, name, letter in ((True, "call", "C"), (False, "put", "P")):
        value = number(row[f"bs_{name}"])
        found += [
            Check(f"{name}_engine", value, _value(call, forward, strike, vol, seconds, discount), absolute=allowed),
            *_kernel_value(name, value, allowed, forward, strike, vol, seconds, rate, call),
        ]
        try:
            g = kernel.greeks(*_kernel_arguments(forward, strike, vol, seconds, rate, call))
        except DomainError:
            continue
        by_forward = int(g.delta) * _TWELVE
        greeks = {
            "D": by_forward * growth,
            "G": int(g.gamma) * _TWELVE * growth**2,
            "T": 365 * int(g.theta) * _NINE - by_forward * forward * rate,
            "V": 100 * int(g.vega) * _NINE,
            "R": 100 * int(g.rho) * _NINE + by_forward * forward * years,
        }
        found += [
            Check(f"{letter}{x}", number(row[f"{letter}{x}"]), got, absolute=allowed) for x, got in greeks.items()
        ]
    return found


def _lyra(file: dict[str, Any]) -> Iterator[Case]:
    if "black76" in file:
        table = file["black76"]
        if table["columns"] != LYRA_ROWS:
            raise VectorError("columns of black76 are not as before")
        for n, row in enumerate(table["rows"], start=1):
            positive = number(row[2]) > 0 and number(row[3]) > 0
            skipped = "" if positive else "a forward or strike of zero, which riskproof refuses"
            yield guarded(f"black76 {n}", lambda row=row: _lyra_row(row), skipped)  # type: ignore[misc]
    if "svi" in file:
        for n, fit in enumerate(file["svi"]["sets"], start=1):
            yield guarded(f"svi {n}", lambda fit=fit: _svi(file["svi"]["strikes"], fit))  # type: ignore[misc]
    for name, pairs in file.get("exact_integer_1e18", {}).items():
        allowed = 20 * functions.ULP if name in ("cdf", "pdf") else 2 * functions.ULP
        yield from (functions.case(name, name, x, y, functions.ULP, allowed) for x, y in pairs.items())


def _lyra_row(row: list[Any]) -> list[Check]:
    seconds, vol, forward, strike, discount, call, put, delta = (number(x) for x in row)
    share = exact.unfine(black76.delta(True, exact.fine(forward), exact.fine(strike), exact.fine(vol), int(seconds)))
    return [
        Check("call_engine", call, _value(True, forward, strike, vol, int(seconds), discount), absolute=_TWELVE),
        Check("put_engine", put, _value(False, forward, strike, vol, int(seconds), discount), absolute=_TWELVE),
        Check("delta_engine", delta, share, absolute=_TWELVE),
    ]


def _svi(strikes: list[Any], fit: dict[str, Any]) -> list[Check]:
    surface = Svi(*(number(fit[name]) for name in ("a", "b", "rho", "m", "sigma", "F", "tau")))
    allowed = Fraction(1, 10**14)
    return [
        Check(f"svi {strike}", number(vol), surface.volatility(number(strike)), absolute=allowed)
        for strike, vol in zip(strikes, fit["vols"], strict=True)
    ]
