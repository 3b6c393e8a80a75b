"""The volatility block of a model: what a named shock does to the volatility of an option, by tenor and by strike.

    "volatility": {"scaling": {"power": {"reference_days": "30", "floor_days": "1", "short": "0.3", "long": "0.13"}},
                   "shocks": {"up":   {"multiply": {"amount": "0.5", "scaled": true, "minimum": "0.45"}},
                              "down": {"multiply": {"amount": "-0.275", "scaled": true}},
                              "flat": {"add": {"amount": "0.05", "scaled": false, "clamp": {"low": "0.1", "high": "3"}}},
                              "skew": {"skew": {"sides": "linear", "cap": {"static": "0.15", "per_root_year": "-0.05"},
                                       "flat_beyond": {"minimum": "0.01", "width": "4", "static": "0.6",
                                                       "per_root_year": "-0.1"}}}}}

    scale(T) = (reference / max(T, floor))^p     p = short where T <= reference, else long   "power"
    scale(T) = the table's multiplier at T, linear between its days, flat outside            "table": {"days", "multipliers"}
    multiply   max(minimum, max(0, 1 + amount scale) vol')   vol' = max(vol, minimum_before)
    add        max(minimum, max(0, vol' + amount scale))
    skew       vol max(0, 1 + clamp(k cap(T) / k*(T)))       k = ln(strike / forward), its absolute value if sides is "absolute"
               cap(T) = static + per_root_year sqrt T        T in years
               k*(T)  = max(minimum, sqrt T width (static + per_root_year sqrt T))
               clamp(x) = min(x, cap) where k >= 0, else max(x, -cap)

`clamp` (optional, for every shock, either member) brings the shocked volatility between `low` and `high`. The low of a `multiply`
or `add` is another way to write its `minimum`, which is what the expanded document has.

Scales, roots and logarithms are rounded to 10^-18, and so is the shocked volatility, once each (`exact`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError, SnapshotError
from riskproof.risk.margining import exact
from riskproof.risk.margining.grid import choice, identifier
from riskproof.units import SECONDS_PER_DAY, SECONDS_PER_YEAR

MAX_SHOCKS: Final = 64
_ONE = Fraction(1)
_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class PowerScaling:
    """(reference / max(T, floor))^p; days are days, exponents 0 to 10."""

    reference_days: Fraction
    floor_days: Fraction
    short: Fraction
    long: Fraction

    def scale(self, seconds: int) -> Fraction:
        reference = self.reference_days * SECONDS_PER_DAY
        tenor = max(Fraction(seconds), self.floor_days * SECONDS_PER_DAY)
        if tenor <= 0:
            raise SnapshotError("no scale at expiry", where="volatility.scaling", expected="a floor_days above 0")
        return exact.power(reference / tenor, self.short if seconds <= reference else self.long)

    def to_document(self) -> dict[str, Json]:
        names = ("reference_days", "floor_days", "short", "long")
        return {"power": {name: exact.text(getattr(self, name)) for name in names}}


@dataclass(frozen=True, slots=True)
class TableScaling:
    """Multipliers at ascending days, linear between them, flat outside."""

    days: tuple[Fraction, ...]
    multipliers: tuple[Fraction, ...]

    def scale(self, seconds: int) -> Fraction:
        t = Fraction(seconds, SECONDS_PER_DAY)
        if t <= self.days[0]:
            return self.multipliers[0]
        for i in range(1, len(self.days)):
            if t <= self.days[i]:
                share = (t - self.days[i - 1]) / (self.days[i] - self.days[i - 1])
                return exact.round_fine(
                    self.multipliers[i - 1] + share * (self.multipliers[i] - self.multipliers[i - 1])
                )
        return self.multipliers[-1]

    def to_document(self) -> dict[str, Json]:
        return {
            "table": {
                "days": [exact.text(x) for x in self.days],
                "multipliers": [exact.text(x) for x in self.multipliers],
            }
        }


Scaling = PowerScaling | TableScaling


@dataclass(frozen=True, slots=True)
class Move:
    """`multiply` and `add`."""

    kind: str
    amount: Fraction
    scaled: bool
    minimum: Fraction = _ZERO
    minimum_before: Fraction = _ZERO
    maximum: Fraction | None = None

    def shocked(self, vol: Fraction, log_moneyness: Fraction, seconds: int, scaling: Scaling | None) -> Fraction:
        amount = self.amount
        if self.scaled:
            if scaling is None:
                raise AssertionError("a scaled shock has a scaling")
            amount *= scaling.scale(seconds)
        base = max(vol, self.minimum_before)
        moved = base * max(_ZERO, 1 + amount) if self.kind == "multiply" else max(_ZERO, base + amount)
        return exact.round_fine(_clamped(moved, self.minimum, self.maximum))

    def to_document(self) -> dict[str, Json]:
        body: dict[str, Json] = {"amount": exact.text(self.amount), "scaled": self.scaled}
        for name in ("minimum", "minimum_before"):
            if getattr(self, name):
                body[name] = exact.text(getattr(self, name))
        if self.maximum is not None:
            body["clamp"] = {"high": exact.text(self.maximum)}
        return {self.kind: body}


@dataclass(frozen=True, slots=True)
class Skew:
    """`skew`: the wings of the surface rise or fall with the distance from the forward."""

    sides: str
    cap_static: Fraction
    cap_per_root_year: Fraction
    minimum: Fraction
    width: Fraction
    static: Fraction
    per_root_year: Fraction
    low: Fraction = _ZERO
    high: Fraction | None = None

    def shocked(self, vol: Fraction, log_moneyness: Fraction, seconds: int, scaling: Scaling | None) -> Fraction:
        root = exact.sqrt(Fraction(max(seconds, 0), SECONDS_PER_YEAR))
        cap = self.cap_static + self.cap_per_root_year * root
        flat = max(self.minimum, root * self.width * (self.static + root * self.per_root_year))
        if flat <= 0:
            raise SnapshotError("the skew has no width", where="flat_beyond", expected="a minimum above 0")
        k = abs(log_moneyness) if self.sides == "absolute" else log_moneyness
        move = min(cap, k * cap / flat) if k >= 0 else max(-cap, k * cap / flat)
        return exact.round_fine(_clamped(vol * max(_ZERO, 1 + move), self.low, self.high))

    def to_document(self) -> dict[str, Json]:
        t = exact.text
        body: dict[str, Json] = {
            "sides": self.sides,
            "cap": {"static": t(self.cap_static), "per_root_year": t(self.cap_per_root_year)},
            "flat_beyond": {
                "minimum": t(self.minimum),
                "width": t(self.width),
                "static": t(self.static),
                "per_root_year": t(self.per_root_year),
            },
        }
        clamp = {"low": t(self.low)} if self.low else {}
        if self.high is not None:
            clamp["high"] = t(self.high)
        return {"skew": {**body, "clamp": clamp} if clamp else body}


Shock = Move | Skew


def _clamped(vol: Fraction, low: Fraction, high: Fraction | None) -> Fraction:
    return max(low, vol) if high is None else min(high, max(low, vol))


@dataclass(frozen=True)
class Volatility:
    """The block: a scaling (or None) and the shocks by name, sorted."""

    scaling: Scaling | None
    shocks: tuple[tuple[str, Shock], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.shocks)

    def shock(self, name: str) -> Shock:
        return dict(self.shocks)[name]

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"shocks": {name: shock.to_document() for name, shock in self.shocks}}
        if self.scaling is not None:
            document["scaling"] = self.scaling.to_document()
        return document


def parse(node: Json, where: str = "volatility") -> Volatility:
    """Read the block (ModelError, EncodingError)."""
    m = encoding.members(node, where, ("shocks",), ("scaling",))
    scaling = _scaling(m["scaling"], f"{where}.scaling") if "scaling" in m else None
    shocks = m["shocks"]
    if not isinstance(shocks, dict) or len(shocks) > MAX_SHOCKS:
        raise ModelError(
            "not an object of shocks", where=f"{where}.shocks", expected=f"at most {MAX_SHOCKS} named shocks"
        )
    parsed = []
    for name in sorted(shocks):
        at = f"{where}.shocks.{identifier(name, f'{where}.shocks')}"
        parsed.append((name, _shock(shocks[name], scaling, at)))
    return Volatility(scaling, tuple(parsed))


def one_of(node: Json, where: str, *kinds: str) -> tuple[str, Json]:
    """The one member of an object that says which kind it is (ModelError)."""
    if not isinstance(node, dict) or len(node) != 1 or next(iter(node)) not in kinds:
        named = ", ".join(str(k)[:32] for k in node) if isinstance(node, dict) else type(node).__name__
        raise ModelError(
            f"not one known kind: {named}", where=where, expected="an object with one of " + ", ".join(kinds)
        )
    kind = next(iter(node))
    return kind, node[kind]


def _scaling(node: Json, where: str) -> Scaling:
    kind, body = one_of(node, where, "power", "table")
    at = f"{where}.{kind}"
    if kind == "power":
        m = encoding.members(body, at, ("reference_days", "floor_days", "short", "long"))
        reference = exact.parse(m["reference_days"], f"{at}.reference_days", low=Fraction(1, 1000), high=36_500)
        floor = exact.parse(m["floor_days"], f"{at}.floor_days", low=0, high=36_500)
        short, long = (exact.parse(m[x], f"{at}.{x}", low=0, high=10) for x in ("short", "long"))
        return PowerScaling(reference, floor, short, long)
    m = encoding.members(body, at, ("days", "multipliers"))
    days = tuple(
        exact.parse(x, f"{at}.days[{i}]", low=0)
        for i, x in enumerate(encoding.array(m["days"], f"{at}.days", max_length=64))
    )
    multipliers = tuple(
        exact.parse(x, f"{at}.multipliers[{i}]", low=0, high=100)
        for i, x in enumerate(encoding.array(m["multipliers"], f"{at}.multipliers", max_length=64))
    )
    if not days or len(multipliers) != len(days):
        raise ModelError(
            f"{len(multipliers)} multipliers",
            where=f"{at}.multipliers",
            expected=f"{len(days)}, one a day, at least one",
        )
    for i in range(1, len(days)):
        if days[i] <= days[i - 1]:
            raise ModelError(
                "the days do not rise", where=f"{at}.days[{i}]", expected=f"above {exact.text(days[i - 1])}"
            )
    return TableScaling(days, multipliers)


def _shock(node: Json, scaling: Scaling | None, where: str) -> Shock:
    kind, body = one_of(node, where, "multiply", "add", "skew")
    at = f"{where}.{kind}"
    if kind == "skew":
        m = encoding.members(body, at, ("sides", "cap", "flat_beyond"), ("clamp",))
        cap = encoding.members(m["cap"], f"{at}.cap", ("static", "per_root_year"))
        flat = encoding.members(m["flat_beyond"], f"{at}.flat_beyond", ("minimum", "width", "static", "per_root_year"))

        def number(block: dict[str, Json], name: str, path: str) -> Fraction:
            return exact.parse(block[name], f"{at}.{path}.{name}", low=-100, high=100)

        return Skew(
            choice(m["sides"], f"{at}.sides", "linear", "absolute"),
            number(cap, "static", "cap"),
            number(cap, "per_root_year", "cap"),
            exact.parse(flat["minimum"], f"{at}.flat_beyond.minimum", low=0, high=100),
            exact.parse(flat["width"], f"{at}.flat_beyond.width", low=0, high=100),
            number(flat, "static", "flat_beyond"),
            number(flat, "per_root_year", "flat_beyond"),
            *_clamp(m, at, _ZERO),
        )
    m = encoding.members(body, at, ("amount", "scaled"), ("minimum", "minimum_before", "clamp"))
    if not isinstance(m["scaled"], bool):
        raise ModelError("not true or false", where=f"{at}.scaled", expected="true or false")
    if m["scaled"] and scaling is None:
        raise ModelError(
            "a scaled shock without a scaling", where=f"{at}.scaled", expected="a volatility.scaling block"
        )
    minimum, maximum = _clamp(m, at, exact.parse(m.get("minimum", "0"), f"{at}.minimum", low=0, high=100))
    return Move(
        kind,
        exact.parse(m["amount"], f"{at}.amount", low=-100, high=100),
        m["scaled"],
        minimum,
        exact.parse(m.get("minimum_before", "0"), f"{at}.minimum_before", low=0, high=100),
        maximum,
    )


def _clamp(body: dict[str, Json], at: str, minimum: Fraction) -> tuple[Fraction, Fraction | None]:
    """The least and the greatest shocked volatility of a shock with such a `minimum`."""
    if "clamp" not in body:
        return minimum, None
    where = f"{at}.clamp"
    m = encoding.members(body["clamp"], where, (), ("low", "high"))
    if not m:
        raise ModelError("neither low nor high", where=where, expected="low, high or both, or no clamp")
    if "low" in m and "minimum" in body:
        raise ModelError("the shock has a minimum", where=f"{where}.low", expected="one of the two")
    low = exact.parse(m["low"], f"{where}.low", low=0, high=100) if "low" in m else minimum
    return low, exact.parse(m["high"], f"{where}.high", low=low, high=100) if "high" in m else None
