"""A model document of version 2: everything that a venue's margin is made of, as data.

    {"schema": "riskproof/model/v2", "name": "derive-pm2", "description": "...", "checked": "...",
     "grid": ..., "volatility": ..., "pricing": ..., "netting": {"sets": "account"}, "charges": [...], "aggregate": ...,
     "collateral": ..., "tail": ...,
     "rounding": {"requirement": {"decimals": 6, "direction": "up"}, "value": {"decimals": 6, "direction": "down"}},
     "limits": {"legs": 128, "expiries": 30, "underlyings": 1, "snapshot_age_seconds": 31622400}}

Each block is a module: `grid`, `volatility`, `pricing`, `charges`, `aggregate`, `collateral`, `tail`. Numbers are strings
(`exact`). A file may be laid out as people like; the digest is that of the canonical JSON of the expanded document, without members
that have their default.

netting.sets    `account`: one netting set, in which all underlyings move together; `underlying`: one for each underlying;
                `expiry`: one for the options and futures of each underlying and expiry, one for its perpetuals and spot
netting.gain_factor    "1" unless given, 0 to 1: what a netting set's gain in a scenario counts, where it meets other sets' losses
rounding        how a reported requirement and a reported value (equity, P&L) are rounded; inside, everything is exact
limits          most positions, expiries and underlyings of an account, and the age of the oldest snapshot the model may be used on;
                optionally `scenarios`, most of the grid's, and most joint moves of the tail block's sets together
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import EncodingError, HistoryError, ModelError, UnitError
from riskproof.market.snapshot import MAX_MATURITY
from riskproof.risk.margining import aggregate, charges, collateral, exact, grid, pricing, volatility
from riskproof.risk.margining.aggregate import Aggregate
from riskproof.risk.margining.book import ACCOUNT, EXPIRY, UNDERLYING
from riskproof.risk.margining.charges import Charge
from riskproof.risk.margining.collateral import Collateral
from riskproof.risk.margining.grid import ScanRanges, Scenario
from riskproof.risk.margining.pricing import Pricing
from riskproof.risk.margining.volatility import Volatility

if TYPE_CHECKING:
    from riskproof.risk.margining.tail import Tail

SCHEMA: Final = "riskproof/model/v2"
MAX_MODEL_BYTES: Final = 1 << 20
MAX_CHARGES: Final = 64
_DIRECTIONS = ("up", "down", "half_even")


@dataclass(frozen=True, slots=True)
class Rounding:
    """Decimals (0 to 18) and direction of reported requirements and of reported values."""

    requirement: tuple[int, str]
    value: tuple[int, str]

    def to_document(self) -> dict[str, Json]:
        return {
            n: {"decimals": getattr(self, n)[0], "direction": getattr(self, n)[1]} for n in ("requirement", "value")
        }

    def of_requirement(self, x: Fraction) -> tuple[int, int]:
        """(n, d): a reported requirement is n in 10^-d."""
        return exact.rounded(x, *self.requirement), self.requirement[0]

    def of_value(self, x: Fraction) -> tuple[int, int]:
        """(n, d): a reported value is n in 10^-d."""
        return exact.rounded(x, *self.value), self.value[0]


@dataclass(frozen=True, slots=True)
class Limits:
    """Most positions, expiries and underlyings of an account; seconds; most scenarios, and most joint moves, of the model."""

    legs: int
    expiries: int
    underlyings: int
    snapshot_age_seconds: int
    scenarios: int | None = None

    def to_document(self) -> dict[str, Json]:
        names = ("legs", "expiries", "underlyings", "snapshot_age_seconds", "scenarios")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


@dataclass(frozen=True)
class MarginModel:
    """A model of version 2, checked. Make it with `from_bytes` or `from_document`."""

    name: str
    description: str
    checked: str
    scenarios: tuple[Scenario, ...]
    volatility: Volatility
    pricing: Pricing
    sets: str
    charges: tuple[tuple[str, Charge], ...]
    aggregate: Aggregate
    collateral: Collateral | None
    rounding: Rounding
    limits: Limits
    scan_ranges: ScanRanges | None = None
    gain_factor: Fraction = Fraction(1)
    tail: Tail | None = None

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this model."""
        return encoding.digest(encoding.TAG_MODEL, self.to_bytes())

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Places of the scenarios of each group."""
        groups: dict[str, list[int]] = {}
        for i, scenario in enumerate(self.scenarios):
            groups.setdefault(scenario.group, []).append(i)
        return {name: tuple(places) for name, places in groups.items()}

    @property
    def max_snapshot_age_seconds(self) -> int:
        """Age of the oldest snapshot that the model may be used on."""
        return self.limits.snapshot_age_seconds

    @cached_property
    def unused(self) -> tuple[str, ...]:
        """What neither a margin nor equity depends on: terms, charges, scenarios by group, sets of the tail block."""
        terms = {name: x.names() for name, x in (*self.aggregate.set_terms, *self.aggregate.account_terms)}
        used: set[str] = set()
        ahead = list(aggregate.ROOTS)
        while ahead:
            name = ahead.pop()
            if name not in used:
                used.add(name)
                ahead += terms.get(name, [])
        charged = {name: charge for name, charge in self.charges if f"charge.{name}" in used}
        groups = {getattr(charges.whole(charge), "group", None) for charge in charged.values()}
        groups |= {name.partition(".")[2] for name in used if name.startswith(("loss.", "joint."))}
        if self.collateral is not None and any(
            isinstance(charges.whole(charge), charges.Haircut) for charge in charged.values()
        ):
            groups |= {asset.stress for asset in self.collateral.terms}
        sets = () if self.tail is None else self.tail.sets
        return (
            *(f"term {name}" for name in sorted(terms) if name not in used),
            *(f"charge {name}" for name, _ in self.charges if name not in charged),
            *(f"scenarios of group {name}" for name in self.groups if name not in groups),
            *(f"tail set {s.id}" for s in sets if not used & {f"tail.{s.id}", f"joint_tail.{s.id}"}),
        )

    def across(self, pnl: Fraction) -> Fraction:
        """What a netting set's P&L counts where it meets those of other sets."""
        return pnl if pnl < 0 else self.gain_factor * pnl

    def to_document(self) -> dict[str, Json]:
        grid_block: dict[str, Json] = {"scenarios": [s.to_document() for s in self.scenarios]}
        if self.scan_ranges is not None:
            grid_block["scan_ranges"] = self.scan_ranges.to_document()
        netting: dict[str, Json] = {"sets": self.sets}
        if self.gain_factor != 1:
            netting["gain_factor"] = exact.text(self.gain_factor)
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "checked": self.checked,
            "grid": grid_block,
            "volatility": self.volatility.to_document(),
            "pricing": self.pricing.to_document(),
            "netting": netting,
            "charges": [{"id": name, **charge.to_document()} for name, charge in self.charges],
            "aggregate": self.aggregate.to_document(),
            "rounding": self.rounding.to_document(),
            "limits": self.limits.to_document(),
        }
        if self.collateral is not None:
            document["collateral"] = self.collateral.to_document()
        if self.tail is not None:
            document["tail"] = self.tail.to_document()
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON of the expanded document."""
        return encoding.canonical_json(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "model") -> MarginModel:
        """Parse and check a model file, canonical or not.

        Raises:
            EncodingError: not JSON of our kind.
            ModelError: a member is missing, unknown or wrong; `where` ends in its path, `expected` says what would be right.
        """
        return cls.from_document(encoding.parse_json(data, where, limit=MAX_MODEL_BYTES), where)

    @classmethod
    def from_document(cls, node: Json, where: str = "model") -> MarginModel:
        """Read a model document (ModelError)."""
        with _member_errors(where):
            return _read(node)


def shipped_models() -> list[str]:
    """Names of the models of version 2 that come with the package, sorted."""
    folder = resources.files("riskproof.risk.models.v2")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


@cache
def load_model(name: str) -> MarginModel:
    """A shipped model of version 2 by name; ModelError if there is none."""
    if name not in shipped_models():
        raise ModelError(f"no model {name[:64]!r} ships", where="model", expected=", ".join(shipped_models()))
    return MarginModel.from_bytes((resources.files("riskproof.risk.models.v2") / f"{name}.json").read_bytes(), name)


def _read(node: Json) -> MarginModel:
    m = encoding.members(
        node,
        "",
        (
            "schema",
            "name",
            "description",
            "checked",
            "grid",
            "volatility",
            "pricing",
            "netting",
            "charges",
            "aggregate",
            "rounding",
            "limits",
        ),
        ("collateral", "tail"),
    )
    if m["schema"] != SCHEMA:
        raise ModelError("not a model of this version", where="schema", expected=SCHEMA)
    vol = volatility.parse(m["volatility"])
    scenarios, scan_ranges = grid.parse(m["grid"], vol.names)
    groups = frozenset(s.group for s in scenarios)
    held = collateral.parse(m["collateral"], groups) if "collateral" in m else None
    joint = _tail(m["tail"]) if "tail" in m else None
    parsed: list[tuple[str, Charge]] = []
    for i, item in enumerate(encoding.array(m["charges"], "charges", max_length=MAX_CHARGES)):
        name, charge = charges.parse(item, f"charges[{i}]", has_collateral=held is not None)
        _check_uses(charge, groups, vol.names, scan_ranges is not None, f"charges[{i}]")
        if name in dict(parsed):
            raise ModelError(f"{name} is listed twice", where=f"charges[{i}].id", expected="one charge of an id")
        parsed.append((name, charge))
    netting = encoding.members(m["netting"], "netting", ("sets",), ("gain_factor",))
    sets = grid.choice(netting["sets"], "netting.sets", ACCOUNT, UNDERLYING, EXPIRY)
    if sets != UNDERLYING and any(charges.of_account(charge) for _, charge in parsed):
        what = "an offset between sets of one" if sets == ACCOUNT else "an offset between sets by expiry"
        raise ModelError(what, where="netting.sets", expected=f"{UNDERLYING}, or no offset")
    if sets == ACCOUNT and "gain_factor" in netting:
        expected = f'none, or sets "{UNDERLYING}" or "{EXPIRY}"'
        raise ModelError("there is one set only", where="netting.gain_factor", expected=expected)
    rounding = encoding.members(m["rounding"], "rounding", ("requirement", "value"))
    limits = _limits(m["limits"], len(scenarios), 0 if joint is None else joint.moves)
    return MarginModel(
        name=grid.identifier(m["name"], "name"),
        description=encoding.string(m["description"], "description", max_length=2_000),
        checked=encoding.string(m["checked"], "checked", max_length=2_000),
        scenarios=scenarios,
        volatility=vol,
        pricing=pricing.parse(m["pricing"]),
        sets=sets,
        charges=tuple(parsed),
        aggregate=aggregate.parse(
            m["aggregate"],
            groups,
            frozenset(name for name, charge in parsed if not charges.of_account(charge)),
            frozenset(name for name, charge in parsed if charges.of_account(charge)),
            joint.ids if joint is not None else frozenset(),
        ),
        collateral=held,
        rounding=Rounding(*(_rounding(rounding[n], f"rounding.{n}") for n in ("requirement", "value"))),
        limits=limits,
        scan_ranges=scan_ranges,
        gain_factor=exact.parse(netting.get("gain_factor", "1"), "netting.gain_factor", low=0, high=1),
        tail=joint,
    )


def _tail(node: Json) -> Tail:
    from riskproof.risk.margining import tail  # joint moves need compiled code; a model without them starts faster

    return tail.parse(node)


def _check_uses(charge: Charge, groups: frozenset[str], vols: frozenset[str], ranges: bool, where: str) -> None:
    """ModelError if a charge refers to what the model does not have, or to what means something else in it."""
    charge = charges.whole(charge)
    group, vol = getattr(charge, "group", None), getattr(charge, "vol", None)
    if group is not None and group not in groups:
        raise ModelError(f"no scenario of group {group!r}", where=f"{where}.group", expected=", ".join(sorted(groups)))
    if vol is not None and vol not in vols:
        raise ModelError(f"no volatility shock {vol!r}", where=f"{where}.vol", expected=", ".join(sorted(vols)))
    if ranges and isinstance(charge, charges.Basis):
        raise ModelError(
            "relative moves in a model of scan ranges",
            where=f"{where}.kind",
            expected="a calendar_spread, or no scan_ranges",
        )


def _limits(node: Json, scenarios: int, joint_moves: int) -> Limits:
    m = encoding.members(node, "limits", ("legs", "expiries", "underlyings", "snapshot_age_seconds"), ("scenarios",))
    most: int | None = None
    if "scenarios" in m:
        most = encoding.integer(m["scenarios"], "limits.scenarios", low=1, high=grid.MAX_SCENARIOS)
        for count, what, where in (
            (scenarios, "scenarios", "grid.scenarios"),
            (joint_moves, "joint moves", "tail.sets"),
        ):
            if count > most:
                raise ModelError(f"{count} {what}", where=where, expected=f"at most {most}, which is limits.scenarios")
    return Limits(
        encoding.integer(m["legs"], "limits.legs", low=1, high=65_536),
        encoding.integer(m["expiries"], "limits.expiries", low=1, high=4_096),
        encoding.integer(m["underlyings"], "limits.underlyings", low=1, high=4_096),
        encoding.integer(m["snapshot_age_seconds"], "limits.snapshot_age_seconds", low=1, high=MAX_MATURITY),
        most,
    )


def _rounding(node: Json, where: str) -> tuple[int, str]:
    m = encoding.members(node, where, ("decimals", "direction"))
    decimals = encoding.integer(m["decimals"], f"{where}.decimals", low=0, high=18)
    return decimals, grid.choice(m["direction"], f"{where}.direction", *_DIRECTIONS)


@contextmanager
def _member_errors(document: str) -> Iterator[None]:
    """Turn every error about a member into a ModelError whose place starts with the document's name."""
    try:
        yield
    except (EncodingError, HistoryError, ModelError, UnitError) as error:
        where = f"{document}.{error.where}" if error.where else document
        raise ModelError(error.what, where=where, expected=error.expected) from None
