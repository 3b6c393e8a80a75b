"""The grid block of a model: scenarios, and the macros that write many of them.

    "grid": {"scenarios": [{"id": "+18%/up", "price": "0.18", "vol": "up", "group": "regular"},
                           {"table": {"columns": ["id", "price", "vol", "weight"], "rows": [["+50%", "0.5", "up", "0.072"], ...]},
                            "common": {"group": "tail"}},
                           {"product": {"price": {"linspace": {"from": "-0.15", "to": "0.15", "count": 7}}, "vol": ["up", "down"]},
                            "common": {"group": "regular"}}]}

| member of a scenario | default | meaning |
|---|---|---|
| `id` | | 1 to 64 of `A-Z a-z 0-9 -._/+%`, unique |
| `price` | "0" | relative move of index, forwards and marks, above -1 |
| `on` | "all" | what moves: "forward", forwards and marks of futures alone; "index", index prices, spot and perpetuals alone |
| `vol` | none | name of a volatility shock of the `volatility` block; none is no move |
| `time_shift_seconds` | 0 | time that passes |
| `weight` | "1" | factor on the P&L, 0 to 100: SPAN's covered fraction |
| `convert_at` | none | the P&L is counted in coins at the price that moved so much: `weight` is divided by 1 + convert_at |
| `dampener` | "0" | amount, in the settlement currency, by which a netting set's P&L is brought closer to zero, at most to zero |
| `group` | "all" | what an aggregate refers to: `loss.<group>` |
| `expiry_pnl` | "signed" | "adverse": minus the absolute P&L of each expiry's options, a move of either sign, whichever hurts |

`table` makes a scenario of each row, `product` one of each combination (in order, the last member fastest) with an id made of the
values joined by "/". `linspace` is count values from first to last at equal distances, exact. `common` adds members to all. The
digest is that of the expanded list, without `convert_at`, which is part of the weight then.

    "grid": {"scan_ranges": {"ranges": {"BTC": {"relative": "0.12"}, "GC": {"absolute": "160"}}, "other": {"relative": "0.25"}},
             "scenarios": [{"id": "-1/3", "price": "-1/3"}, ...]}

With `scan_ranges`, a scenario's `price` is in scan ranges of the underlying: relative moves, or absolute ones in the quote
currency, which all marks and forwards of the underlying make alike. An underlying without a range takes `other`; a model
without `other` refuses it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError, PortfolioError
from riskproof.risk.margining import exact

MAX_SCENARIOS: Final = 4_096
MAX_PRICE: Final = 1_000
MAX_TIME_SHIFT: Final = 365 * 86_400
MAX_RANGES: Final = 256
MAX_DAMPENER: Final = 10**12
SIGNED, ADVERSE = "signed", "adverse"
ALL: Final = "all"
FORWARDS, INDICES = "forward", "index"  # what a scenario's price moves, if not all
_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+%")
_MEMBERS = (
    "id",
    "price",
    "on",
    "vol",
    "time_shift_seconds",
    "weight",
    "group",
    "expiry_pnl",
    "dampener",
    "convert_at",
)
_PRODUCT = ("price", "on", "vol", "time_shift_seconds", "weight")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario; members as in the module's table."""

    id: str
    price: Fraction = Fraction(0)
    vol: str | None = None
    time_shift_seconds: int = 0
    weight: Fraction = Fraction(1)
    group: str = ALL
    expiry_pnl: str = SIGNED
    dampener: Fraction = Fraction(0)
    on: str = ALL

    def counted(self, pnl: Fraction) -> Fraction:
        """What a netting set's P&L counts: closer to zero by the dampener."""
        if not self.dampener:
            return pnl
        rest = max(abs(pnl) - self.dampener, Fraction(0))
        return rest if pnl > 0 else -rest

    @property
    def state(self) -> State:
        """The state of the market that the scenario is."""
        return State(self.price, self.vol, self.time_shift_seconds, self.on)

    def to_document(self) -> dict[str, Json]:
        """The members that differ from their defaults."""
        document: dict[str, Json] = {"id": self.id}
        if self.price:
            document["price"] = exact.text(self.price)
        if self.on != ALL:
            document["on"] = self.on
        if self.vol is not None:
            document["vol"] = self.vol
        if self.time_shift_seconds:
            document["time_shift_seconds"] = self.time_shift_seconds
        if self.weight != 1:
            document["weight"] = exact.text(self.weight)
        if self.group != ALL:
            document["group"] = self.group
        if self.expiry_pnl != SIGNED:
            document["expiry_pnl"] = self.expiry_pnl
        if self.dampener:
            document["dampener"] = exact.text(self.dampener)
        return document


@dataclass(frozen=True, slots=True)
class State:
    """A state of the market: a relative price move, a volatility shock's name, seconds that have passed, what the price moves."""

    price: Fraction = Fraction(0)
    vol: str | None = None
    time_shift_seconds: int = 0
    on: str = ALL


BASE = State()


@dataclass(frozen=True, slots=True)
class ScanRange:
    """What a scenario's price of 1 is: a relative move, or an absolute one in the quote currency."""

    size: Fraction
    absolute: bool = False

    def to_document(self) -> dict[str, Json]:
        return {"absolute" if self.absolute else "relative": exact.text(self.size)}


@dataclass(frozen=True, slots=True)
class ScanRanges:
    """Scan ranges by underlying, sorted, and that of every other one."""

    ranges: tuple[tuple[str, ScanRange], ...]
    other: ScanRange | None = None

    def of(self, underlying: str) -> ScanRange:
        """The range of an underlying; PortfolioError if the model has none."""
        found = dict(self.ranges).get(underlying, self.other)
        if found is None:
            raise PortfolioError(
                f"{underlying} has no scan range",
                where="grid.scan_ranges",
                expected="one of " + ", ".join(name for name, _ in self.ranges)[:200],
            )
        return found

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"ranges": {name: r.to_document() for name, r in self.ranges}}
        if self.other is not None:
            document["other"] = self.other.to_document()
        return document


def parse(
    node: Json, vol_shocks: frozenset[str], where: str = "grid"
) -> tuple[tuple[Scenario, ...], ScanRanges | None]:
    """The scenarios of a grid block, macros expanded, and its scan ranges.

    Raises:
        ModelError, EncodingError: a member is missing, unknown, out of range or twice; `where` is its path.
    """
    m = encoding.members(node, where, ("scenarios",), ("scan_ranges",))
    ranges = _ranges(m["scan_ranges"], f"{where}.scan_ranges") if "scan_ranges" in m else None
    at = f"{where}.scenarios"
    scenarios: list[Scenario] = []
    seen: dict[str, str] = {}
    for i, item in enumerate(encoding.array(m["scenarios"], at, max_length=MAX_SCENARIOS)):
        for place, members, paths in _expanded(item, f"{at}[{i}]"):
            scenario = _scenario(members, vol_shocks, ranges, place, paths)
            if scenario.id in seen:
                raise ModelError(
                    f"{scenario.id} is listed twice, first at {seen[scenario.id]}",
                    where=f"{place}.id",
                    expected="one scenario of an id",
                )
            seen[scenario.id] = place
            scenarios.append(scenario)
            if len(scenarios) > MAX_SCENARIOS:
                raise ModelError("too many scenarios", where=at, expected=f"at most {MAX_SCENARIOS}")
    return tuple(scenarios), ranges


def _ranges(node: Json, where: str) -> ScanRanges:
    m = encoding.members(node, where, ("ranges",), ("other",))
    named = m["ranges"]
    if not isinstance(named, dict) or len(named) > MAX_RANGES:
        raise ModelError(
            "not an object of ranges", where=f"{where}.ranges", expected=f"at most {MAX_RANGES} underlyings"
        )
    at = f"{where}.ranges"
    ranges = tuple((identifier(name, at), _range(named[name], f"{at}.{name}")) for name in sorted(named))
    if not ranges and "other" not in m:
        raise ModelError("no range", where=at, expected="an underlying's range, or other")
    return ScanRanges(ranges, _range(m["other"], f"{where}.other") if "other" in m else None)


def _range(node: Json, where: str) -> ScanRange:
    if not isinstance(node, dict) or len(node) != 1 or not {"relative", "absolute"} & node.keys():
        raise ModelError("not a scan range", where=where, expected='{"relative": "0.12"} or {"absolute": "160"}')
    kind = next(iter(node))
    high = MAX_PRICE if kind == "relative" else MAX_DAMPENER
    return ScanRange(exact.parse(node[kind], f"{where}.{kind}", low=0, high=high), kind == "absolute")


def identifier(node: Json, where: str) -> str:
    """A name of 1 to 64 of the allowed characters (ModelError)."""
    if not isinstance(node, str) or not 0 < len(node) <= 64 or not _ID.issuperset(node):
        raise ModelError(f"not a name: {str(node)[:64]!r}", where=where, expected="1 to 64 of A-Z a-z 0-9 and -._/+%")
    return node


def choice(node: Json, where: str, *allowed: str) -> str:
    """One of the allowed words (ModelError)."""
    if node not in allowed:
        raise ModelError(f"not one of the choices: {str(node)[:32]!r}", where=where, expected=", ".join(allowed))
    return str(node)


def _scenario(
    node: Json, vol_shocks: frozenset[str], ranges: ScanRanges | None, where: str, paths: dict[str, str]
) -> Scenario:
    """A scenario from its members; `paths` says where the members are that are not at `where`."""
    m = encoding.members(node, where, ("id",), _MEMBERS[1:])

    def at(name: str) -> str:
        return paths.get(name, f"{where}.{name}")

    vol = None
    if "vol" in m:
        vol = choice(m["vol"], at("vol"), *sorted(vol_shocks))
    price = exact.parse(m.get("price", "0"), at("price"), high=MAX_PRICE)
    if ranges is None:
        if price <= -1:
            raise ModelError("the price does not stay positive", where=at("price"), expected="above -1")
    else:
        _check_ranges(price, ranges, at("price"))
    weight = exact.parse(m.get("weight", "1"), at("weight"), low=0, high=100)
    if "convert_at" in m:
        end = exact.parse(m["convert_at"], at("convert_at"), high=MAX_PRICE)
        if end <= -1:
            raise ModelError("the price does not stay positive", where=at("convert_at"), expected="above -1")
        weight /= 1 + end
        exact.check_range(weight, at("convert_at"), 0, 100)
    return Scenario(
        identifier(m["id"], at("id")),
        price,
        vol,
        encoding.integer(m.get("time_shift_seconds", 0), at("time_shift_seconds"), low=0, high=MAX_TIME_SHIFT),
        weight,
        identifier(m.get("group", ALL), at("group")),
        choice(m.get("expiry_pnl", SIGNED), at("expiry_pnl"), SIGNED, ADVERSE),
        exact.parse(m.get("dampener", "0"), at("dampener"), low=0, high=MAX_DAMPENER),
        choice(m.get("on", ALL), at("on"), ALL, FORWARDS, INDICES),
    )


def _check_ranges(price: Fraction, ranges: ScanRanges, where: str) -> None:
    """ModelError if some underlying's price does not stay positive."""
    others = [("other", ranges.other)] if ranges.other is not None else []
    for name, r in (*ranges.ranges, *others):
        if not r.absolute and price * r.size <= -1:
            raise ModelError(
                f"the price of {name} does not stay positive", where=where, expected="above -1 over the scan range"
            )


def _expanded(item: Json, where: str) -> list[tuple[str, Json, dict[str, str]]]:
    """(place, members, paths of members that are not at the place) of every scenario that an item stands for."""
    if not isinstance(item, dict) or not {"table", "product"} & item.keys():
        return [(where, item, {})]
    m = encoding.members(item, where, ("table",) if "table" in item else ("product",), ("common",))
    common, at = encoding.members(m.get("common", {}), f"{where}.common", (), _MEMBERS), f"{where}.common"
    if "table" in m:
        made, paths = _table(m["table"], f"{where}.table"), {}
    else:
        made, paths = _product(m["product"], f"{where}.product"), {n: f"{where}.product.{n}" for n in _PRODUCT}
    for place, members in made:
        twice = sorted(members.keys() & common.keys())
        if twice:
            raise ModelError(f"{twice[0]} is given by {place} too", where=f"{at}.{twice[0]}", expected="one of the two")
    paths |= {name: f"{at}.{name}" for name in common}
    return [(place, {**common, **members}, paths) for place, members in made]


def _table(node: Json, where: str) -> list[tuple[str, dict[str, Json]]]:
    m = encoding.members(node, where, ("columns", "rows"))
    columns = [
        choice(c, f"{where}.columns[{i}]", *_MEMBERS)
        for i, c in enumerate(encoding.array(m["columns"], f"{where}.columns"))
    ]
    if len(set(columns)) != len(columns):
        raise ModelError("a column twice", where=f"{where}.columns", expected="each column once")
    made = []
    for i, row in enumerate(encoding.array(m["rows"], f"{where}.rows", max_length=MAX_SCENARIOS)):
        cells = encoding.array(row, f"{where}.rows[{i}]")
        if len(cells) != len(columns):
            raise ModelError(
                f"{len(cells)} cells", where=f"{where}.rows[{i}]", expected=f"{len(columns)}, one for each column"
            )
        made.append((f"{where}.rows[{i}]", dict(zip(columns, cells, strict=True))))
    return made


def _product(node: Json, where: str) -> list[tuple[str, dict[str, Json]]]:
    m = encoding.members(node, where, (), _PRODUCT)
    axes = {name: _values(values, f"{where}.{name}") for name, values in m.items()}
    order = [name for name in _MEMBERS if name in axes]
    count = 1
    for name in order:
        count *= len(axes[name])
    if not 0 < count <= MAX_SCENARIOS:
        raise ModelError(f"{count} combinations", where=where, expected=f"1 to {MAX_SCENARIOS}")
    made = []
    for n, values in enumerate(itertools.product(*(axes[name] for name in order))):
        members: dict[str, Json] = dict(zip(order, values, strict=True))
        members["id"] = "/".join(str(v) for v in values)
        made.append((f"{where}#{n}", members))
    return made


def _values(node: Json, where: str) -> list[Json]:
    if isinstance(node, dict):
        m = encoding.members(
            encoding.members(node, where, ("linspace",))["linspace"], f"{where}.linspace", ("from", "to", "count")
        )
        first = exact.parse(m["from"], f"{where}.linspace.from")
        last = exact.parse(m["to"], f"{where}.linspace.to")
        count = encoding.integer(m["count"], f"{where}.linspace.count", low=2, high=MAX_SCENARIOS)
        if last <= first:
            raise ModelError(
                "the grid does not rise", where=f"{where}.linspace.to", expected=f"above {exact.text(first)}"
            )
        return [exact.text(first + (last - first) * i / (count - 1)) for i in range(count)]
    values = encoding.array(node, where, max_length=MAX_SCENARIOS)
    if len({str(v) for v in values}) != len(values):
        raise ModelError("a value twice", where=where, expected="each value once")
    if where.endswith(".price"):
        prices = [exact.parse(v, f"{where}[{i}]") for i, v in enumerate(values)]
        if any(b <= a for a, b in itertools.pairwise(prices)):
            raise ModelError("the grid does not rise", where=where, expected="moves in ascending order")
    return values
