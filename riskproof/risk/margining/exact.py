"""Exact numbers of the margin engine: rationals as text, and irrational functions rounded to the nearest 10^-18.

Amounts, rates and shocks are `Fraction`s; nothing here is a float. A number in a document is a string: a canonical decimal ("-0.5",
never "-0.50" or ".5") or, where no decimal is exact, a fraction in lowest terms ("1/3"). Text becomes a number in `parse`, and
`text` inverts it.

Logarithm, exponential, power and root are irrational. Their definition here is the multiple of 10^-18 nearest to the true value
(half to even, which no irrational number is): any implementation that is accurate enough gives the same integer. Logarithm and
exponential come from Python's `decimal`, whose `ln` and `exp` round correctly, at 120 digits.
"""

from __future__ import annotations

import decimal
import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.units import ceil_div, floor_div, round_half_even

FINE: Final = 18  # decimals of shocked prices, volatilities, discount factors and scales
FINE_ONE: Final = 10**FINE
MAX_DIGITS: Final = 48

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?|-?[1-9][0-9]*/[1-9][0-9]*", re.ASCII)
_C = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)


def parse(node: Json, where: str, *, low: Fraction | int | None = None, high: Fraction | int | None = None) -> Fraction:
    """The number that a document's string means, if it is written in the one canonical way and lies in [low, high].

    Raises:
        ModelError: not a string, not canonical, or out of range; `where` is the member's path.
    """
    if not isinstance(node, str):
        raise ModelError(f"{type(node).__name__} in place of a number", where=where, expected='a string such as "-0.5"')
    if len(node) > MAX_DIGITS or _NUMBER.fullmatch(node) is None:
        raise ModelError(f"not a number: {node[:32]!r}", where=where, expected='a decimal such as "-0.5", or "1/3"')
    value = Fraction(node)
    if text(value) != node:
        raise ModelError(f"not the canonical number: {node}", where=where, expected=text(value))
    check_range(value, where, low, high)
    return value


def check_range(value: Fraction, where: str, low: Fraction | int | None, high: Fraction | int | None) -> None:
    """ModelError unless low <= value <= high; None is no limit."""
    if (low is not None and value < low) or (high is not None and value > high):
        limits = [f"at least {text(Fraction(low))}"] if low is not None else []
        limits += [f"at most {text(Fraction(high))}"] if high is not None else []
        raise ModelError(f"{text(value)} is out of range", where=where, expected=" and ".join(limits))


def text(value: Fraction) -> str:
    """The canonical text of a number: its finite decimal if it has one, else p/q in lowest terms."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    return ("-" if value < 0 else "") + whole + (f".{fraction}" if fraction else "")


def nearest(value: Fraction, decimals: int) -> int:
    """value in units of 10^-decimals, to the nearest, ties to even."""
    return round_half_even(value.numerator * 10**decimals, value.denominator)


def rounded(value: Fraction, decimals: int, direction: str) -> int:
    """value in units of 10^-decimals; direction is "up", "down" or "half_even"."""
    scaled = value.numerator * 10**decimals
    if direction == "half_even":
        return round_half_even(scaled, value.denominator)
    return floor_div(scaled, value.denominator) if direction == "down" else ceil_div(scaled, value.denominator)


def fine(value: Fraction) -> int:
    """value in 10^-18, to the nearest, ties to even."""
    return round_half_even(value.numerator * FINE_ONE, value.denominator)


def unfine(value: int) -> Fraction:
    """The number that an integer of 10^-18 stands for."""
    return Fraction(value, FINE_ONE)


def round_fine(value: Fraction) -> Fraction:
    """value to the nearest multiple of 10^-18, ties to even."""
    return Fraction(fine(value), FINE_ONE)


def _decimal(value: Fraction) -> decimal.Decimal:
    return _C.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))


def _rounded(value: decimal.Decimal) -> Fraction:
    return Fraction(int(_C.to_integral_value(_C.scaleb(value, FINE))), FINE_ONE)


@lru_cache(maxsize=65_536)
def exp(x: Fraction) -> Fraction:
    """exp(x), nearest 10^-18, for x at most 100."""
    if x > 100:
        raise AssertionError("exponent too large")
    return _rounded(_C.exp(_decimal(x)))


@lru_cache(maxsize=65_536)
def ln(x: Fraction) -> Fraction:
    """ln(x), nearest 10^-18, for positive x."""
    if x <= 0:
        raise AssertionError("logarithm of a number that is not positive")
    return _rounded(_C.subtract(_C.ln(decimal.Decimal(x.numerator)), _C.ln(decimal.Decimal(x.denominator))))


@lru_cache(maxsize=65_536)
def power(base: Fraction, exponent: Fraction) -> Fraction:
    """base ** exponent, nearest 10^-18, for positive base."""
    if base <= 0:
        raise AssertionError("power of a number that is not positive")
    if exponent == 0 or base == 1:
        return Fraction(1)
    logarithm = _C.subtract(_C.ln(decimal.Decimal(base.numerator)), _C.ln(decimal.Decimal(base.denominator)))
    return _rounded(_C.exp(_C.multiply(logarithm, _decimal(exponent))))


def sqrt(x: Fraction) -> Fraction:
    """sqrt(x), nearest 10^-18, for x not negative."""
    if x < 0:
        raise AssertionError("root of a negative number")
    # floor(2 root 10^18) and the parity of it decide: an exact tie needs an odd integer, and goes to even.
    square = 4 * x.numerator * FINE_ONE**2
    twice = math.isqrt(square // x.denominator)
    tie = twice % 2 == 1 and twice * twice * x.denominator == square
    return Fraction(twice // 2 + (twice % 2 and not (tie and twice // 2 % 2 == 0)), FINE_ONE)
