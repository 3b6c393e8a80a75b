"""The pricing block of a model: how options are discounted, and what a loss or gain of an expiry counts.

    "pricing": {"kernel": "black76-nearest/1", "discounting": "positive_rate",
                "static_discount": {"long": {"base": "0.95", "rate_multiplier": "1", "rate_addition": "0.08"},
                                    "short": {"base": "1.04", "rate_multiplier": "0.5", "rate_addition": "0.08",
                                              "limit": "undiscounted"}}}

| member | meaning |
|---|---|
| `kernel` | `black76-nearest/1`: values to the nearest unit of money (`black76`) |
| `discounting` | `none`: 1. `rate`: D = exp(-r T). `positive_rate`: the same with max(r, 0) |
| `delta_one` | "mark" unless given: linear perpetuals and futures move by a share of their `mark`, or of the `index` |
| `static_discount` | optional: a factor on the value of an expiry's options in a scenario, by sign |

    long factor, of a value that is not negative, and short factor, of a negative one

    long factor  = base exp(-T (rate_multiplier max(r, 0) + rate_addition))
    short factor = base exp(+T (rate_multiplier max(r, 0) + rate_addition)), with `limit` "undiscounted" at most 1 / D

T is in years of 365 days. Discount factors and exponentials are rounded to 10^-18 (`exact`). A side that is left
out has the factor 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError, SnapshotError
from riskproof.risk.margining import black76, exact
from riskproof.risk.margining.grid import choice
from riskproof.risk.margining.market import Forward
from riskproof.units import SECONDS_PER_YEAR

UNDISCOUNTED = "undiscounted"
MARK, INDEX = "mark", "index"
_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class SideDiscount:
    """base exp(-+ T (rate_multiplier max(r, 0) + rate_addition))."""

    base: Fraction
    rate_multiplier: Fraction
    rate_addition: Fraction
    limited: bool = False

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            n: exact.text(getattr(self, n)) for n in ("base", "rate_multiplier", "rate_addition")
        }
        if self.limited:
            document["limit"] = UNDISCOUNTED
        return document


@dataclass(frozen=True, slots=True)
class Pricing:
    """The block; see the module."""

    discounting: str
    long: SideDiscount | None = None
    short: SideDiscount | None = None
    delta_one: str = MARK

    def discount(self, forward: Forward) -> Fraction:
        """D of an expiry, a multiple of 10^-18."""
        if self.discounting == "none" or forward.seconds <= 0:
            return _ONE
        rate = max(forward.rate, Fraction(0)) if self.discounting == "positive_rate" else forward.rate
        return _exp(-rate * _years(forward))

    def static_factors(self, forward: Forward) -> tuple[Fraction, Fraction]:
        """Factors of an expiry's value where it is not negative, and where it is."""
        return self._factor(self.long, forward, -1), self._factor(self.short, forward, 1)

    def _factor(self, side: SideDiscount | None, forward: Forward, sign: int) -> Fraction:
        if side is None:
            return _ONE
        rate = side.rate_multiplier * max(forward.rate, Fraction(0)) + side.rate_addition
        exponent = sign * rate * _years(forward)
        factor = side.base * (exact.exp(exponent) if exponent < 0 else _exp(exponent))
        return min(factor, 1 / self.discount(forward)) if side.limited else factor

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"kernel": black76.KERNEL, "discounting": self.discounting}
        static = {
            name: side.to_document() for name, side in (("long", self.long), ("short", self.short)) if side is not None
        }
        if static:
            document["static_discount"] = static
        if self.delta_one != MARK:
            document["delta_one"] = self.delta_one
        return document


def _years(forward: Forward) -> Fraction:
    return Fraction(max(forward.seconds, 0), SECONDS_PER_YEAR)


def _exp(exponent: Fraction) -> Fraction:
    if not -40 <= exponent <= 100:
        raise SnapshotError("a rate discounts too much", where="rate", expected="rate times years from -100 to 40")
    return exact.exp(exponent)


def parse(node: Json, where: str = "pricing") -> Pricing:
    """Read the block (ModelError, EncodingError)."""
    m = encoding.members(node, where, ("kernel", "discounting"), ("static_discount", "delta_one"))
    choice(m["kernel"], f"{where}.kernel", black76.KERNEL)
    sides: dict[str, SideDiscount] = {}
    if "static_discount" in m:
        at = f"{where}.static_discount"
        static = encoding.members(m["static_discount"], at, (), ("long", "short"))
        if not static:
            raise ModelError("neither side", where=at, expected="long, short or both")
        for side, body in static.items():
            path = f"{at}.{side}"
            s = encoding.members(
                body, path, ("base", "rate_multiplier", "rate_addition"), ("limit",) if side == "short" else ()
            )
            if "limit" in s:
                choice(s["limit"], f"{path}.limit", UNDISCOUNTED)
            base, multiplier, addition = (
                exact.parse(s[n], f"{path}.{n}", low=0, high=100) for n in ("base", "rate_multiplier", "rate_addition")
            )
            sides[side] = SideDiscount(base, multiplier, addition, "limit" in s)
    return Pricing(
        choice(m["discounting"], f"{where}.discounting", "none", "rate", "positive_rate"),
        sides.get("long"),
        sides.get("short"),
        choice(m.get("delta_one", MARK), f"{where}.delta_one", MARK, INDEX),
    )
