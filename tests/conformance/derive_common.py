"""What Derive's suites share."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from riskproof.market.registry import Kind, OptionType
from riskproof.risk.margining import Listing
from riskproof.risk.margining.exact import text
from tests.conformance.cases import Check, VectorError, number, truth, whole

EXACT = Fraction(1, 10**10)
# Published numbers went through float64 on their way into the file: what differs by less than this is theirs.
FLOAT_NOISE = Fraction(1, 10**9)
# Arrays with an entry for each option of a case.
OPTIONS = (
    "OptionExpiries",
    "OptionStrikes",
    "OptionIsCall",
    "OptionAmounts",
    "OptionVols",
    "OptionVolConfidences",
)
# The venue limits what is traded, not what its views of a portfolio add up.
LIMITS = {"legs": 4_096, "expiries": 512, "underlyings": 16, "snapshot_age_seconds": 31_622_400}


def wei(x: Any) -> Fraction:
    """A number of a file in 10^-18."""
    return number(x) / 10**18


def columns(s: Any, *names: str) -> int:
    """How many entries the arrays of a case have; VectorError if they do not all have as many."""
    lengths = {name: len(s[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise VectorError("arrays of different lengths: " + ", ".join(f"{n} {k}" for n, k in lengths.items()))
    return next(iter(lengths.values()))


def feed_of(s: Any, expiry: int, leg: int) -> int:
    """Place of the feeds of a leg's expiry: that of the leg itself where there are feeds for each leg, else that of the expiry."""
    expiries = [whole(x) for x in s["FeedExpiries"]]
    if leg < len(expiries) and expiries[leg] == expiry:
        return leg
    if expiry not in expiries:
        raise VectorError(f"no feed for the expiry at {expiry}")
    return expiries.index(expiry)


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


def held_option(
    listings: list[Listing], positions: dict[str, Fraction], underlying: str, seconds: int, s: Any, i: int
) -> None:
    """Add option i of a case to what is listed and held; VectorError if it is quoted twice, differently."""
    listing = option_listing(underlying, seconds, s, i)
    if listing.name not in positions:
        listings.append(listing)
    elif listing not in listings:
        raise VectorError(f"two volatilities of {listing.name}")
    positions[listing.name] = positions.get(listing.name, Fraction(0)) + wei(s["OptionAmounts"][i])


def option_listing(underlying: str, seconds: int, s: Any, i: int) -> Listing:
    """Option i of a case whose option columns are arrays of integers of 10^-18."""
    strike, call = wei(s["OptionStrikes"][i]), truth(s["OptionIsCall"][i])
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
