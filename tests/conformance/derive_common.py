"""What Derive's suites share."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from riskproof.market.registry import Kind, OptionType
from riskproof.risk.margining import Listing
from riskproof.risk.margining.exact import text
from tests.conformance.cases import Check, number

EXACT = Fraction(1, 10**10)
# Published numbers went through float64 on their way into the file: what differs by less than this is theirs.
FLOAT_NOISE = Fraction(1, 10**9)


def wei(x: Any) -> Fraction:
    """A number of a file in 10^-18."""
    return number(x) / 10**18


def compared(expected: Any, margins: dict[str, Fraction], parts: dict[str, Fraction]) -> list[Check]:
    """Checks of the margins, required, and of the parts, for what the file gives."""
    return [
        Check(name, wei(expected[name]), got, EXACT, FLOAT_NOISE, required=name in margins)
        for name, got in (margins | parts).items()
        if expected.get(name) is not None
    ]


def peg_factor(threshold: Any, factor: Any) -> dict[str, Any]:
    """factor max(0, threshold - price of the settlement currency), as an expression."""
    gap = {"sum": [text(number(threshold)), {"mul": ["-1", "feed.settlement_price"]}]}
    return {"mul": [text(number(factor)), {"max": ["0", gap]}]}


def confidence(name: str, exposure: str, feeds: list[str], threshold: Any, rate: Any) -> dict[str, Any]:
    """A confidence charge on initial margin."""
    return {
        "id": f"confidence_{name}",
        "kind": "confidence",
        "exposure": exposure,
        "feeds": feeds,
        "threshold": text(number(threshold)),
        "rates": {"initial": text(number(rate)), "maintenance": "0"},
    }


def option_listing(underlying: str, seconds: int, s: Any, i: int) -> Listing:
    """Option i of a case whose option columns are arrays of integers of 10^-18."""
    strike, call = wei(s["OptionStrikes"][i]), bool(s["OptionIsCall"][i])
    return Listing(
        f"{underlying}-{seconds}-{text(strike)}-{'C' if call else 'P'}",
        Kind.OPTION,
        underlying,
        expiry=seconds,
        strike=strike,
        option_type=OptionType.CALL if call else OptionType.PUT,
        volatility=wei(s["OptionVols"][i]),
        confidence=wei(s["OptionVolConfidences"][i]),
    )
