"""What the suites of the venues other than Derive share."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases import Check, number

LIMITS = {"legs": 1000, "expiries": 128, "underlyings": 16, "snapshot_age_seconds": 31_622_400}
ROUNDING = {"requirement": {"decimals": 18, "direction": "up"}, "value": {"decimals": 18, "direction": "down"}}
PRICING = {"kernel": "black76-nearest/1", "discounting": "none"}
# What a number loses on its way through a few operations in float64.
FLOAT = number("0.000000000000004")
FLOAT_NOISE = number("0.0000000000000001")


def document(name: str, **blocks: Any) -> dict[str, Any]:
    """A model document; blocks that are left out are empty or plain."""
    return {
        "schema": "riskproof/model/v2",
        "name": name,
        "description": name,
        "checked": "a conformance case",
        "volatility": {"shocks": {}},
        "pricing": PRICING,
        "netting": {"sets": "underlying"},
        "charges": [],
        "rounding": ROUNDING,
        "limits": LIMITS,
    } | blocks


def check(what: str, expected: Any, got: Any) -> Check:
    """Equal but for what float64 lost."""
    return Check(what, number(expected), number(got), FLOAT, FLOAT_NOISE)
