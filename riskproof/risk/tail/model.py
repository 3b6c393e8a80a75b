"""A tail model: scenario sets, measure and liquidity horizons as one public document, and the requirement that it makes of a book.

Document (canonical JSON, digest under TAG_TAIL_MODEL; docs/tail-risk.md explains every member):

    {"schema": "riskproof/tail-model/v1", "name": "crypto-es", "description": "...",
     "measure": {"kind": "expected_shortfall", "tail": "0.025"},
     "sets": [{"id": "recent", "method": "filtered", "history": "<digest>", "first": "2025-12-30", "last": "2026-08-22",
               "decay": "0.94", "seed_days": 30, "weight_decay": "1"}, ...],
     "liquidity": {"base_days": 1, "horizons": [{"factor": {"underlying": "BTC", "tenor_days": 30}, "days": 10}]},        optional
     "unshocked": ["USDC"], "constant_volatility": [], "time_shift_seconds": 0}

    requirement = max(0, the greatest measure over the sets), rounded up once to micros

A set's method is `historical`, `filtered`, `monte_carlo` or `common_factor`. Everything the numbers depend on is in the document:
the history by its digest, a correlation document as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.model import MAX_TIME_SHIFT
from riskproof.risk.tail.correlation import member_errors, ratio
from riskproof.risk.tail.history import MAX_FACTORS, Factor
from riskproof.risk.tail.methods import Method, check_method, read_set
from riskproof.risk.tail.revaluation import Immovable
from riskproof.units import RATIO_ONE, format_decimal

SCHEMA: Final = "riskproof/tail-model/v1"
MAX_BYTES: Final = 1 << 20
MAX_SETS: Final = 64
MAX_LIQUIDITY_DAYS: Final = 3_650
EXPECTED_SHORTFALL: Final = "expected_shortfall"
VALUE_AT_RISK: Final = "value_at_risk"
WORST_LOSS: Final = "worst_loss"
MEASURES: Final = (EXPECTED_SHORTFALL, VALUE_AT_RISK, WORST_LOSS)


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Liquidity horizons: the moves' own horizon, and longer ones of some factors, as (factor, days) sorted by factor."""

    base_days: int
    horizons: tuple[tuple[Factor, int], ...]

    def to_document(self) -> dict[str, Json]:
        return {
            "base_days": self.base_days,
            "horizons": [{"factor": f.to_document(), "days": days} for f, days in self.horizons],
        }


@dataclass(frozen=True)
class TailModel:
    """A tail model. Construction checks it.

    Attributes:
        name, description: 1 to 64 and 1 to 2,000 printable characters.
        measure: one of MEASURES.
        tail: 1e-12, above 0 and below 1; None for the worst loss.
        sets: (id, method); the requirement is the greatest measure over them.
        liquidity: or None.
        unshocked, constant_volatility: underlyings whose price, whose volatility no set moves; sorted.
        time_shift_seconds: time that passes in every scenario.

    Raises:
        ModelError: a member out of range; `where` is its path.
    """

    name: str
    description: str
    measure: str
    tail: int | None
    sets: tuple[tuple[str, Method], ...]
    liquidity: Liquidity | None = None
    unshocked: tuple[str, ...] = ()
    constant_volatility: tuple[str, ...] = ()
    time_shift_seconds: int = 0

    def __post_init__(self) -> None:
        for member, text, longest in (("name", self.name, 64), ("description", self.description, 2_000)):
            if not 0 < len(text) <= longest or not text.isprintable():
                raise ModelError("not a printable text", where=member, expected=f"1 to {longest} printable characters")
        if self.measure not in MEASURES:
            raise ModelError(f"no measure {self.measure[:32]!r}", where="measure.kind", expected=", ".join(MEASURES))
        if (self.tail is None) != (self.measure == WORST_LOSS):
            raise ModelError(
                f"{self.measure} and its tail", where="measure.tail", expected="a tail, but none for the worst loss"
            )
        if self.tail is not None and not 0 < self.tail < RATIO_ONE:
            raise ModelError(
                f"{format_decimal(self.tail, 12)} is out of range", where="measure.tail", expected="between 0 and 1"
            )
        if not 0 < len(self.sets) <= MAX_SETS:
            raise ModelError(f"{len(self.sets)} sets", where="sets", expected=f"1 to {MAX_SETS}")
        for n, (id_, method) in enumerate(self.sets):
            if id_ in [x for x, _ in self.sets[:n]]:
                raise ModelError(f"{id_} is listed twice", where=f"sets[{n}].id", expected="each id once")
            check_method(method, f"sets[{n}]")
        for member, names in (("unshocked", self.unshocked), ("constant_volatility", self.constant_volatility)):
            if list(names) != sorted(set(names)):
                raise ModelError("not sorted, or an underlying twice", where=member, expected="names in order")
        if not 0 <= self.time_shift_seconds <= MAX_TIME_SHIFT:
            raise ModelError("out of range", where="time_shift_seconds", expected=f"0 to {MAX_TIME_SHIFT}")
        if self.liquidity is not None:
            self._check_liquidity(self.liquidity)

    def _check_liquidity(self, liquidity: Liquidity) -> None:
        if self.measure != EXPECTED_SHORTFALL:
            raise ModelError(
                f"horizons of {self.measure}", where="liquidity", expected=f"the measure {EXPECTED_SHORTFALL}"
            )
        factors = [f for f, _ in liquidity.horizons]
        if factors != sorted(set(factors)):
            raise ModelError("not sorted, or a factor twice", where="liquidity.horizons", expected="factors in order")
        for n, (factor, days) in enumerate(liquidity.horizons):
            if not liquidity.base_days < days <= MAX_LIQUIDITY_DAYS:
                raise ModelError(
                    f"{days} days for the {factor}",
                    where=f"liquidity.horizons[{n}].days",
                    expected=f"above {liquidity.base_days}, at most {MAX_LIQUIDITY_DAYS}",
                )
        for n, (_, method) in enumerate(self.sets):
            if method.horizon_days != liquidity.base_days:
                found = "no horizon" if method.horizon_days is None else f"moves over {method.horizon_days} days"
                raise ModelError(
                    found, where=f"sets[{n}]", expected=f"moves over {liquidity.base_days}, liquidity.base_days"
                )

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this model."""
        return encoding.digest(encoding.TAG_TAIL_MODEL, self.to_bytes())

    @property
    def immovable(self) -> Immovable:
        return Immovable(frozenset(self.unshocked), frozenset(self.constant_volatility))

    @property
    def not_provable(self) -> str:
        """Why the requirement is not the optimum of a linear programme; "" if it is one."""
        if self.liquidity is not None:
            return "liquidity horizons add squares of shortfalls"
        return "value at risk is not convex in the positions" if self.measure == VALUE_AT_RISK else ""

    def to_document(self) -> dict[str, Json]:
        measure: dict[str, Json] = {"kind": self.measure}
        if self.tail is not None:
            measure["tail"] = format_decimal(self.tail, 12)
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "measure": measure,
            "sets": [{"id": id_, "method": x.METHOD} | x.to_document() for id_, x in self.sets],
            "unshocked": list(self.unshocked),
            "constant_volatility": list(self.constant_volatility),
            "time_shift_seconds": self.time_shift_seconds,
        }
        if self.liquidity is not None:
            document["liquidity"] = self.liquidity.to_document()
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON of the document."""
        return encoding.canonical_json(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "model") -> TailModel:
        """Parse and check a tail model (EncodingError: not canonical JSON; ModelError: a member is wrong, at its path)."""
        return cls.from_document(encoding.parse_canonical(data, where, limit=MAX_BYTES), where)

    @classmethod
    def from_document(cls, node: Json, where: str = "model") -> TailModel:
        """Read a tail model document (ModelError)."""
        with member_errors(where):
            return _read(cls, node)


def _read(cls: type[TailModel], node: Json) -> TailModel:
    if isinstance(node, dict) and node.get("schema", SCHEMA) != SCHEMA:  # said before what it lacks
        raise ModelError("not a tail model of this version", where="schema", expected=SCHEMA)
    m = encoding.members(
        node,
        "",
        ("schema", "name", "description", "measure", "sets", "unshocked", "constant_volatility", "time_shift_seconds"),
        ("liquidity",),
    )
    measure = encoding.members(m["measure"], "measure", ("kind",), ("tail",))
    items = encoding.array(m["sets"], "sets", max_length=MAX_SETS)
    return cls(
        encoding.string(m["name"], "name", max_length=64),
        encoding.string(m["description"], "description", max_length=2_000),
        encoding.string(measure["kind"], "measure.kind", max_length=64),
        ratio(measure["tail"], "measure.tail") if "tail" in measure else None,
        tuple(read_set(x, f"sets[{n}]") for n, x in enumerate(items)),
        _read_liquidity(m["liquidity"]) if "liquidity" in m else None,
        _names(m["unshocked"], "unshocked"),
        _names(m["constant_volatility"], "constant_volatility"),
        encoding.integer(m["time_shift_seconds"], "time_shift_seconds"),
    )


def _read_liquidity(node: Json) -> Liquidity:
    m = encoding.members(node, "liquidity", ("base_days", "horizons"))
    horizons = []
    for n, item in enumerate(encoding.array(m["horizons"], "liquidity.horizons", max_length=MAX_FACTORS)):
        where = f"liquidity.horizons[{n}]"
        o = encoding.members(item, where, ("factor", "days"))
        horizons.append(
            (Factor.from_document(o["factor"], f"{where}.factor"), encoding.integer(o["days"], f"{where}.days"))
        )
    return Liquidity(encoding.integer(m["base_days"], "liquidity.base_days"), tuple(horizons))


def _names(node: Json, where: str) -> tuple[str, ...]:
    items = encoding.array(node, where, max_length=256)
    return tuple(encoding.string(x, f"{where}[{n}]", max_length=16) for n, x in enumerate(items))
