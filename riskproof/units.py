"""Fixed-point units: every quantity of the system is an integer with a named scale.

    quantity                     type    unit
    lots                         int64   10^-e of an instrument's unit (e: the registry's quantity exponent)
    price, strike                int64   1e-9 of the settlement currency        PRICE_EXPONENT
    volatility, rate, shock      int64   1e-12 (10^12 is 100 %)                 RATIO_EXPONENT
    time                         int64   seconds since the epoch, UTC
    risk array entry             int64   10^-m of the numeraire per whole unit  (m: the registry's money exponent)
    reported money, margin       int64   1e-6 of the numeraire                  MICROS_EXPONENT

Text becomes a number in one place, `parse_decimal`, which is exact: it never goes through a float, takes no exponent
notation, and refuses digits that the unit cannot hold.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from riskproof.errors import OverflowMoneyError, UnitError

PRICE_EXPONENT: Final = 9
RATIO_EXPONENT: Final = 12
MICROS_EXPONENT: Final = 6

PRICE_ONE: Final = 10**PRICE_EXPONENT
RATIO_ONE: Final = 10**RATIO_EXPONENT
MICROS_ONE: Final = 10**MICROS_EXPONENT

SECONDS_PER_DAY: Final = 86_400
SECONDS_PER_YEAR: Final = 365 * SECONDS_PER_DAY  # option maturity: ACT/365
TIME_MAX: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that format_time can write

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)
_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_MAX_TEXT = 64


def check_int64(value: int, where: str) -> int:
    """Return `value` unchanged, or raise UnitError if it is not in [-2^63, 2^63)."""
    if not INT64_MIN <= value <= INT64_MAX:
        raise UnitError("number does not fit a signed 64-bit integer", where=where, expected="at most 2^63 - 1 in size")
    return value


def parse_decimal(text: str, exponent: int, where: str) -> int:
    """Parse a plain decimal into an int64 number of 10^-exponent units, exactly.

    Accepts an optional minus sign, digits without superfluous leading zeros, and an optional fraction. Trailing zeros of the
    fraction are accepted, digits below the unit are not.

    Raises:
        UnitError: not such a text (NaN, exponent notation, plus sign, spaces, ...), finer than the unit, or beyond int64.
    """
    match = _DECIMAL.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise UnitError(
            f"not a plain decimal number: {text[:_MAX_TEXT]!r}", where=where, expected="digits such as -12.5"
        )
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > exponent:
        raise UnitError(
            f"{text} is finer than the unit 1e-{exponent}", where=where, expected=f"at most {exponent} decimals"
        )
    magnitude = int(whole + fraction.ljust(exponent, "0"))
    return check_int64(-magnitude if sign else magnitude, where)


def parse_integer(text: str, where: str) -> int:
    """Parse the canonical decimal string of an int64 ("0", "-7", "95120860000000"); anything else raises UnitError."""
    if len(text) > 20 or _INTEGER.fullmatch(text) is None:
        raise UnitError(
            f"not a canonical integer: {text[:_MAX_TEXT]!r}", where=where, expected="a decimal string such as -12"
        )
    return check_int64(int(text), where)


def format_decimal(value: int, exponent: int) -> str:
    """The shortest exact decimal of `value` * 10^-exponent; parse_decimal inverts it."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], digits[-exponent:].rstrip("0")) if exponent else (digits, "")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def floor_div(numerator: int, denominator: int) -> int:
    """floor(numerator / denominator) for a positive denominator."""
    if denominator <= 0:
        raise AssertionError("denominator must be positive")
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """ceil(numerator / denominator) for a positive denominator."""
    return -floor_div(-numerator, denominator)


def round_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to even, for a positive denominator."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (1 if twice > denominator or (twice == denominator and quotient & 1) else 0)


def to_micros(amount: int, exponent: int, *, against_account: bool, where: str, requirement: bool = False) -> int:
    """Report an exact amount of 10^-exponent numeraire units in micros, rounded once.

    `against_account` rounds values of the holder (P&L, equity) down and requirements up; without it, ties go to even.

    Raises:
        OverflowMoneyError: the rounded amount does not fit int64.
    """
    if exponent < MICROS_EXPONENT:
        micros = amount * int(10 ** (MICROS_EXPONENT - exponent))
    else:
        divisor = int(10 ** (exponent - MICROS_EXPONENT))
        if not against_account:
            micros = round_half_even(amount, divisor)
        else:
            micros = ceil_div(amount, divisor) if requirement else floor_div(amount, divisor)
    if not INT64_MIN <= micros <= INT64_MAX:
        raise OverflowMoneyError(
            "amount does not fit 64 bits in micros", where=where, expected="at most 9.2e12 of the numeraire"
        )
    return micros


def parse_time(text: str, where: str) -> int:
    """Parse `YYYY-MM-DDTHH:MM:SSZ` (or the compact `YYYYMMDDTHHMMSSZ`) into seconds since the epoch, UTC."""
    for layout in ("%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"):
        try:
            parsed = dt.datetime.strptime(text, layout).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        if parsed.strftime(layout) == text:  # strptime also takes missing zeros, lower case and other scripts' digits
            return int(parsed.timestamp())
    raise UnitError(
        f"not a UTC time: {text[:_MAX_TEXT]!r}", where=where, expected="a time such as 2026-01-14T09:22:33Z"
    )


def format_time(seconds: int) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` of seconds since the epoch, at most TIME_MAX."""
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
