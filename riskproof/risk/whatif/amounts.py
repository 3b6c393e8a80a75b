"""Amounts as people read them: a report's numbers, rounded as its model rounds."""

from __future__ import annotations

from fractions import Fraction

from riskproof.risk.margining import exact
from riskproof.risk.margining.report import MarginReport
from riskproof.units import format_decimal, round_half_even


def requirement(report: MarginReport, amount: Fraction) -> str:
    """A requirement as the report's model rounds requirements, a decimal."""
    return format_decimal(*report.rounding.of_requirement(amount))


def value(report: MarginReport, amount: Fraction) -> str:
    """Anything else as the report's model rounds values, a decimal."""
    return format_decimal(*report.rounding.of_value(amount))


def shown_requirement(report: MarginReport, amount: Fraction) -> str:
    """A requirement to two places and with thousands separators, for people; rounded in the model's direction."""
    return _shown(amount, *report.rounding.requirement)


def shown_value(report: MarginReport, amount: Fraction) -> str:
    """Anything else to two places and with thousands separators, for people; rounded in the model's direction."""
    return _shown(amount, *report.rounding.value)


def shown_tails(report: MarginReport) -> list[list[str]]:
    """Rows for people of the sets of a tail block: id, measure, amount, value at risk, worst joint move and the loss in it."""
    return [
        [
            t.id,
            t.measure.replace("_", " "),
            shown_requirement(report, t.amount),
            "-" if t.value_at_risk is None else shown_requirement(report, t.value_at_risk),
            t.worst,
            shown_requirement(report, t.loss),
        ]
        for t in report.tails
    ]


def grouped(decimal: str, decimals: int = 2) -> str:
    """A decimal with thousands separators and at least `decimals` places."""
    whole, _, fraction = decimal.lstrip("-").partition(".")
    sign = "-" if decimal.startswith("-") else ""
    return f"{sign}{int(whole):,}.{fraction.ljust(decimals, '0')}" if decimals else f"{sign}{int(whole):,}"


def percentage(part: Fraction, whole: Fraction) -> str:
    """part / whole in percent with one place, half to even; a dash where the whole is zero."""
    if not whole:
        return "-"
    tenths = 1000 * part / whole
    return f"{format_decimal(round_half_even(tenths.numerator, tenths.denominator), 1)}%"


def _shown(amount: Fraction, decimals: int, direction: str) -> str:
    places = min(2, decimals)
    return grouped(format_decimal(exact.rounded(amount, places, direction), places))
