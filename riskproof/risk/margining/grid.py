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
| `vol` | none | name of a volatility shock of the `volatility` block; none is no move |
| `time_shift_seconds` | 0 | time that passes |
| `weight` | "1" | factor on the P&L, 0 to 100: SPAN's covered fraction, a dampener |
| `group` | "all" | what an aggregate refers to: `loss.<group>` |
| `expiry_pnl` | "signed" | "adverse": minus the absolute P&L of each expiry's options, a move of either sign, whichever hurts |

`table` makes a scenario of each row, `product` one of each combination (in order, the last member fastest) with an id made of the
values joined by "/". `linspace` is count values from first to last at equal distances, exact. `common` adds members to all. The
digest is that of the expanded list.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining import exact

MAX_SCENARIOS: Final = 4_096
MAX_PRICE: Final = 1_000
MAX_TIME_SHIFT: Final = 365 * 86_400
SIGNED, ADVERSE = "signed", "adverse"
ALL: Final = "all"
_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+%")
_MEMBERS = ("id", "price", "vol", "time_shift_seconds", "weight", "group", "expiry_pnl")


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

    @property
    def state(self) -> State:
        """The state of the market that the scenario is."""
        return State(self.price, self.vol, self.time_shift_seconds)

    def to_document(self) -> dict[str, Json]:
        """The members that differ from their defaults."""
        document: dict[str, Json] = {"id": self.id}
        if self.price:
            document["price"] = exact.text(self.price)
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
        return document


@dataclass(frozen=True, slots=True)
class State:
    """A state of the market: a relative price move, a volatility shock's name, seconds that have passed."""

    price: Fraction = Fraction(0)
    vol: str | None = None
    time_shift_seconds: int = 0


BASE = State()


def parse(node: Json, vol_shocks: frozenset[str], where: str = "grid") -> tuple[Scenario, ...]:
    """The scenarios of a grid block, macros expanded.

    Raises:
        ModelError, EncodingError: a member is missing, unknown, out of range or twice; `where` is its path.
    """
    m = encoding.members(node, where, ("scenarios",))
    at = f"{where}.scenarios"
    scenarios: list[Scenario] = []
    seen: dict[str, str] = {}
    for i, item in enumerate(encoding.array(m["scenarios"], at, max_length=MAX_SCENARIOS)):
        for place, members in _expanded(item, f"{at}[{i}]"):
            scenario = _scenario(members, vol_shocks, place)
            if scenario.id in seen:
                raise ModelError(f"{scenario.id} is listed twice, first at {seen[scenario.id]}", where=f"{place}.id")
            seen[scenario.id] = place
            scenarios.append(scenario)
            if len(scenarios) > MAX_SCENARIOS:
                raise ModelError("too many scenarios", where=at, expected=f"at most {MAX_SCENARIOS}")
    return tuple(scenarios)


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


def _scenario(node: Json, vol_shocks: frozenset[str], where: str) -> Scenario:
    m = encoding.members(node, where, ("id",), _MEMBERS[1:])
    vol = None
    if "vol" in m:
        vol = choice(m["vol"], f"{where}.vol", *sorted(vol_shocks))
    price = exact.parse(m.get("price", "0"), f"{where}.price", high=MAX_PRICE)
    if price <= -1:
        raise ModelError("the price does not stay positive", where=f"{where}.price", expected="above -1")
    return Scenario(
        identifier(m["id"], f"{where}.id"),
        price,
        vol,
        encoding.integer(m.get("time_shift_seconds", 0), f"{where}.time_shift_seconds", low=0, high=MAX_TIME_SHIFT),
        exact.parse(m.get("weight", "1"), f"{where}.weight", low=0, high=100),
        identifier(m.get("group", ALL), f"{where}.group"),
        choice(m.get("expiry_pnl", SIGNED), f"{where}.expiry_pnl", SIGNED, ADVERSE),
    )


def _expanded(item: Json, where: str) -> list[tuple[str, dict[str, Json]]]:
    """(place, members) of every scenario that an item stands for."""
    if not isinstance(item, dict) or not {"table", "product"} & item.keys():
        return [(where, item)]
    m = encoding.members(item, where, ("table",) if "table" in item else ("product",), ("common",))
    common = m.get("common", {})
    if not isinstance(common, dict):
        raise ModelError("not an object", where=f"{where}.common", expected="members that all scenarios share")
    if "table" in m:
        made = _table(m["table"], f"{where}.table")
    else:
        made = _product(m["product"], f"{where}.product")
    for place, members in made:
        twice = sorted(members.keys() & common.keys())
        if twice:
            raise ModelError(
                f"{twice[0]} is given by {place} too",
                where=f"{where}.common.{twice[0]}"[:120],
                expected="one of the two",
            )
    return [(place, {**common, **members}) for place, members in made]


def _table(node: Json, where: str) -> list[tuple[str, dict[str, Json]]]:
    m = encoding.members(node, where, ("columns", "rows"))
    columns = [
        choice(c, f"{where}.columns[{i}]", *_MEMBERS)
        for i, c in enumerate(encoding.array(m["columns"], f"{where}.columns"))
    ]
    if len(set(columns)) != len(columns):
        raise ModelError("a column twice", where=f"{where}.columns")
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
    m = encoding.members(node, where, (), tuple(x for x in _MEMBERS if x not in ("id", "group", "expiry_pnl")))
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
        raise ModelError("a value twice", where=where)
    if where.endswith(".price"):
        prices = [exact.parse(v, f"{where}[{i}]") for i, v in enumerate(values)]
        if any(b <= a for a, b in itertools.pairwise(prices)):
            raise ModelError("the grid does not rise", where=where, expected="moves in ascending order")
    return values
