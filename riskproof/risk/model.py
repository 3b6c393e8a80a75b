"""A risk model: the scenarios, the volatility scaling, the buffer and the factors of a margin, as one public document.

Document (canonical JSON, digest under TAG_MODEL; docs/risk-model.md explains every member):

    {"schema": "riskproof/model/v1", "name": "crypto-pm", "description": "...",
     "scenarios": [{"id": "p-50/v+", "price_shock": "-0.5", "vol_shock": "0.45", "time_shift_seconds": 0}, ...],
     "unshocked": ["USDC", "USDT"],
     "vol_scaling": {"reference_days": 30, "floor_days": 1, "short_exponent": "0.3", "long_exponent": "0.13"},
     "buffer": {"gross_notional": {"spot": "0.001", "perpetual": "0.002", "future": "0.003", "option": "0.005"}},
     "collateral": {"haircuts": {"BTC": "0.05", "USDC": "0.01", ...}, "other": "0.2"},                            optional
     "factors": {"initial": "1.25", "maintenance": "1"},
     "rounding": {"decimals": 6, "pnl": "down", "requirement": "up"},
     "max_snapshot_age_seconds": 31622400}

Shocks, exponents, rates and factors are canonical decimals with at most 12 places (units.RATIO_ONE is 100 %). A document that
loads can be computed on every snapshot: shocks that would leave the kernel's domain at some tenor are refused here.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import EncodingError, ModelError, UnitError
from riskproof.market.registry import Kind
from riskproof.market.snapshot import MAX_MATURITY
from riskproof.units import RATIO_EXPONENT, RATIO_ONE, SECONDS_PER_DAY

SCHEMA: Final = "riskproof/model/v1"
MAX_SCENARIOS: Final = 4_096
MAX_UNSHOCKED: Final = 256
MAX_HAIRCUTS: Final = 256
MAX_MODEL_BYTES: Final = 1 << 20

# The kernel takes shocked prices from a tenth to ten times the snapshot's domain, and volatilities up to four times its limit.
MIN_PRICE_SHOCK: Final = -9 * RATIO_ONE // 10
MAX_PRICE_SHOCK: Final = 9 * RATIO_ONE
MAX_VOL_FACTOR: Final = 4 * RATIO_ONE
MAX_TIME_SHIFT: Final = 365 * SECONDS_PER_DAY
MAX_SNAPSHOT_AGE: Final = MAX_MATURITY
MAX_EXPONENT: Final = RATIO_ONE
MAX_DAYS: Final = MAX_MATURITY // SECONDS_PER_DAY
MAX_FACTOR: Final = 100 * RATIO_ONE

_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+")
_ROUNDING: Final[dict[str, Json]] = {"decimals": units.MICROS_EXPONENT, "pnl": "down", "requirement": "up"}
# ln and exp of the decimal module are correctly rounded (General Decimal Arithmetic), so 60 digits fix every digit of the scale.
_DECIMAL = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One state of the world. Shocks are int64, 1e-12; the price shock moves spot, forwards and futures of every underlying alike,
    except the numeraire and the model's unshocked assets.

    Attributes:
        id: 1 to 64 characters of A-Z, a-z, 0-9, and `-._/+`.
        price_shock: relative move of every price.
        vol_shock: relative move of the volatility at the reference tenor; `VolScaling` carries it to other tenors.
        time_shift_seconds: how much time passes, not negative.
    """

    id: str
    price_shock: int
    vol_shock: int
    time_shift_seconds: int

    def to_document(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "price_shock": _text(self.price_shock),
            "vol_shock": _text(self.vol_shock),
            "time_shift_seconds": self.time_shift_seconds,
        }

    def shocked_price(self, price: int) -> int:
        """`price` times 1 + price_shock, to the nearest price unit, ties to even (ADR 0003)."""
        return units.round_half_even(price * (RATIO_ONE + self.price_shock), RATIO_ONE)


@dataclass(frozen=True, slots=True)
class VolScaling:
    """How a volatility shock depends on the time to expiry T: it is multiplied by (reference / max(T, floor))^p.

    p is `short_exponent` for max(T, floor) <= reference and `long_exponent` beyond; both int64, 1e-12, from 0 to 1.
    """

    reference_days: int
    floor_days: int
    short_exponent: int
    long_exponent: int

    def scale(self, seconds: int) -> int:
        """The multiplier for an option `seconds` from expiry: the integer nearest to 10^12 (reference / max(T, floor))^p."""
        reference, tenor = self.reference_days * SECONDS_PER_DAY, max(seconds, self.floor_days * SECONDS_PER_DAY)
        exponent = self.short_exponent if tenor <= reference else self.long_exponent
        if tenor == reference or exponent == 0:
            return RATIO_ONE
        c = _DECIMAL
        logarithm = c.subtract(c.ln(decimal.Decimal(reference)), c.ln(decimal.Decimal(tenor)))
        power = c.exp(c.multiply(logarithm, c.scaleb(decimal.Decimal(exponent), -RATIO_EXPONENT)))
        return int(c.to_integral_value(c.scaleb(power, RATIO_EXPONENT)))

    def shocked_volatility(self, volatility: int, vol_shock: int, scale: int) -> int:
        """volatility * (1 + vol_shock * scale), all 1e-12, to the nearest integer, ties to even."""
        return units.round_half_even(volatility * (RATIO_ONE**2 + vol_shock * scale), RATIO_ONE**2)

    def to_document(self) -> dict[str, Json]:
        return {
            "reference_days": self.reference_days,
            "floor_days": self.floor_days,
            "short_exponent": _text(self.short_exponent),
            "long_exponent": _text(self.long_exponent),
        }


@dataclass(frozen=True, slots=True)
class Collateral:
    """What a holding of an asset is worth less as collateral, as a share of its value: int64, 1e-12, 0 to 100 %.

    The numeraire has no haircut in any registry, named here or not (riskproof.risk.collateral).

    Attributes:
        haircuts: (asset, rate), sorted by asset.
        other: the rate of every asset that is not named.
    """

    haircuts: tuple[tuple[str, int], ...]
    other: int

    def to_document(self) -> dict[str, Json]:
        return {"haircuts": {asset: _text(rate) for asset, rate in self.haircuts}, "other": _text(self.other)}


@dataclass(frozen=True)
class RiskModel:
    """A risk model. Construction checks it.

        worst loss  = max(0, max_s -L[s])
        buffer      = sum_i |q_i| b_i         b_i = rate(kind of i) * notional of one unit, rounded up once (docs/risk-arrays.md)
        margin      = factor * (worst loss + buffer), rounded up once

    Attributes:
        name: as a scenario's id.
        description: what the model is and where its numbers come from, 1 to 2,000 characters.
        scenarios: at least one; ids unique.
        unshocked: underlyings whose price no scenario moves, such as stablecoins, sorted; the numeraire never moves.
        vol_scaling: see `VolScaling`.
        buffer_rates: (kind, share of gross notional as int64 1e-12, 0 to 100 %), one for each kind, in the order of `Kind`.
        initial_factor, maintenance_factor: int64, 1e-12; the initial one is not the smaller.
        max_snapshot_age_seconds: no snapshot older than this may be attested under the model; a venue sets its own, tighter one.
        collateral: haircuts on assets held, or None: the model does not say what collateral is worth.

    Raises:
        ModelError: a member is out of its range; `where` is its path.
    """

    name: str
    description: str
    scenarios: tuple[Scenario, ...]
    unshocked: tuple[str, ...]
    vol_scaling: VolScaling
    buffer_rates: tuple[tuple[Kind, int], ...]
    initial_factor: int
    maintenance_factor: int
    max_snapshot_age_seconds: int
    collateral: Collateral | None = None

    def __post_init__(self) -> None:
        _check_id(self.name, "name")
        if not 0 < len(self.description) <= 2_000 or not self.description.isprintable():
            raise ModelError("not a printable text", where="description", expected="1 to 2,000 printable characters")
        _check_scaling(self.vol_scaling)
        if not 0 < len(self.scenarios) <= MAX_SCENARIOS:
            raise ModelError(f"{len(self.scenarios)} scenarios", where="scenarios", expected=f"1 to {MAX_SCENARIOS}")
        seen: dict[str, int] = {}
        steepest = self.vol_scaling.scale(0)  # the scale does not increase with the tenor
        for i, scenario in enumerate(self.scenarios):
            where = f"scenarios[{i}]"
            _check_scenario(scenario, steepest, where)
            if scenario.id in seen:
                raise ModelError(
                    f"{scenario.id} is listed twice, first at scenarios[{seen[scenario.id]}]", where=f"{where}.id"
                )
            seen[scenario.id] = i
        if list(self.unshocked) != sorted(set(self.unshocked)):
            raise ModelError("not sorted, or an underlying twice", where="unshocked", expected="names in order")
        for i, name in enumerate(self.unshocked):
            _check_id(name, f"unshocked[{i}]")
        if tuple(kind for kind, _ in self.buffer_rates) != tuple(Kind):
            raise ModelError("not one rate for each kind", where="buffer.gross_notional", expected=", ".join(Kind))
        for kind, rate in self.buffer_rates:
            _check_range(rate, 0, RATIO_ONE, f"buffer.gross_notional.{kind}")
        _check_range(self.maintenance_factor, 1, MAX_FACTOR, "factors.maintenance")
        _check_range(self.initial_factor, self.maintenance_factor, MAX_FACTOR, "factors.initial")
        if not 0 < self.max_snapshot_age_seconds <= MAX_SNAPSHOT_AGE:
            raise ModelError("out of range", where="max_snapshot_age_seconds", expected=f"1 to {MAX_SNAPSHOT_AGE}")
        if self.collateral is not None:
            _check_collateral(self.collateral)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this model."""
        return encoding.digest(encoding.TAG_MODEL, self.to_bytes())

    @cached_property
    def buffer_rate(self) -> dict[Kind, int]:
        """Share of gross notional by kind, 1e-12."""
        return dict(self.buffer_rates)

    def haircut(self, asset: str) -> int:
        """Haircut rate of an asset other than the numeraire, 1e-12; ModelError if the model has no collateral block."""
        if self.collateral is None:
            raise ModelError(
                f"{self.name} does not say what collateral is worth",
                where="collateral",
                expected="a model with haircuts",
            )
        return self._haircut_rates.get(asset, self.collateral.other)

    @cached_property
    def _haircut_rates(self) -> dict[str, int]:
        return dict(self.collateral.haircuts) if self.collateral is not None else {}

    def scenario_index(self, scenario_id: str) -> int:
        """Position of a scenario by its id; ModelError if there is none."""
        for i, scenario in enumerate(self.scenarios):
            if scenario.id == scenario_id:
                return i
        raise ModelError(f"no scenario {scenario_id[:64]!r} in {self.name}", where="scenario")

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "scenarios": [s.to_document() for s in self.scenarios],
            "unshocked": list(self.unshocked),
            "vol_scaling": self.vol_scaling.to_document(),
            "buffer": {"gross_notional": {kind.value: _text(rate) for kind, rate in self.buffer_rates}},
            "factors": {"initial": _text(self.initial_factor), "maintenance": _text(self.maintenance_factor)},
            "rounding": dict(_ROUNDING),
            "max_snapshot_age_seconds": self.max_snapshot_age_seconds,
        }
        if self.collateral is not None:
            document["collateral"] = self.collateral.to_document()
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON of the document."""
        return encoding.canonical_json(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "model") -> RiskModel:
        """Parse and check a model file.

        Raises:
            EncodingError: not canonical JSON.
            ModelError: a member is missing, unknown, or out of its range; `where` ends in its path.
        """
        return cls.from_document(encoding.parse_canonical(data, where, limit=MAX_MODEL_BYTES), where)

    @classmethod
    def from_document(cls, node: Json, where: str = "model") -> RiskModel:
        """Read a model document (ModelError)."""
        with _member_errors(where):
            return _read(cls, node)


def shipped_models() -> list[str]:
    """Names of the models that come with the package, sorted."""
    folder = resources.files("riskproof.risk.models")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


@cache
def load_model(name: str) -> RiskModel:
    """A shipped model by name; ModelError if there is none."""
    if name not in shipped_models():
        raise ModelError(f"no model {name[:64]!r} ships", where="model", expected=", ".join(shipped_models()))
    return RiskModel.from_bytes((resources.files("riskproof.risk.models") / f"{name}.json").read_bytes(), name)


def _read(cls: type[RiskModel], node: Json) -> RiskModel:
    m = encoding.members(
        node,
        "",
        (
            "schema",
            "name",
            "description",
            "scenarios",
            "unshocked",
            "vol_scaling",
            "buffer",
            "factors",
            "rounding",
            "max_snapshot_age_seconds",
        ),
        ("collateral",),
    )
    if m["schema"] != SCHEMA:
        raise ModelError("not a model of this version", where="schema", expected=SCHEMA)
    scaling = encoding.members(
        m["vol_scaling"], "vol_scaling", ("reference_days", "floor_days", "short_exponent", "long_exponent")
    )
    buffer = encoding.members(m["buffer"], "buffer", ("gross_notional",))
    rates = encoding.members(buffer["gross_notional"], "buffer.gross_notional", tuple(kind.value for kind in Kind))
    factors = encoding.members(m["factors"], "factors", ("initial", "maintenance"))
    rounding = encoding.members(m["rounding"], "rounding", tuple(_ROUNDING))
    for member, value in _ROUNDING.items():
        if rounding[member] != value or isinstance(rounding[member], bool):
            raise ModelError("not the rounding of this version", where=f"rounding.{member}", expected=str(value))
    items = encoding.array(m["scenarios"], "scenarios", max_length=MAX_SCENARIOS)
    unshocked = encoding.array(m["unshocked"], "unshocked", max_length=MAX_UNSHOCKED)
    return cls(
        name=encoding.string(m["name"], "name", max_length=64),
        description=encoding.string(m["description"], "description", max_length=2_000),
        scenarios=tuple(_scenario(x, f"scenarios[{i}]") for i, x in enumerate(items)),
        unshocked=tuple(encoding.string(x, f"unshocked[{i}]", max_length=64) for i, x in enumerate(unshocked)),
        vol_scaling=VolScaling(
            encoding.integer(scaling["reference_days"], "vol_scaling.reference_days"),
            encoding.integer(scaling["floor_days"], "vol_scaling.floor_days"),
            _ratio(scaling["short_exponent"], "vol_scaling.short_exponent"),
            _ratio(scaling["long_exponent"], "vol_scaling.long_exponent"),
        ),
        buffer_rates=tuple((kind, _ratio(rates[kind.value], f"buffer.gross_notional.{kind}")) for kind in Kind),
        initial_factor=_ratio(factors["initial"], "factors.initial"),
        maintenance_factor=_ratio(factors["maintenance"], "factors.maintenance"),
        max_snapshot_age_seconds=encoding.integer(m["max_snapshot_age_seconds"], "max_snapshot_age_seconds"),
        collateral=_collateral(m["collateral"]) if "collateral" in m else None,
    )


def _collateral(node: Json) -> Collateral:
    m = encoding.members(node, "collateral", ("haircuts", "other"))
    rates = m["haircuts"]
    if not isinstance(rates, dict):
        raise EncodingError(f"{type(rates).__name__} in place of an object", where="collateral.haircuts")
    for asset in rates:
        _check_id(asset, "collateral.haircuts")  # before it is part of a message
    haircuts = tuple((asset, _ratio(rates[asset], f"collateral.haircuts.{asset}")) for asset in sorted(rates))
    return Collateral(haircuts, _ratio(m["other"], "collateral.other"))


def _scenario(node: Json, where: str) -> Scenario:
    m = encoding.members(node, where, ("id", "price_shock", "vol_shock", "time_shift_seconds"))
    return Scenario(
        encoding.string(m["id"], f"{where}.id", max_length=64),
        _ratio(m["price_shock"], f"{where}.price_shock"),
        _ratio(m["vol_shock"], f"{where}.vol_shock"),
        encoding.integer(m["time_shift_seconds"], f"{where}.time_shift_seconds"),
    )


@contextmanager
def _member_errors(document: str) -> Iterator[None]:
    """Turn every error about a member into a ModelError whose place starts with the document's name."""
    try:
        yield
    except (EncodingError, UnitError, ModelError) as error:
        where = f"{document}.{error.where}" if error.where else document
        raise ModelError(error.what, where=where, expected=error.expected) from None


def _check_id(text: str, where: str) -> None:
    if not 0 < len(text) <= 64 or not _ID_CHARACTERS.issuperset(text):
        raise ModelError(f"not a name: {text[:64]!r}", where=where, expected="1 to 64 of A-Z a-z 0-9 and -._/+")


def _check_range(ratio: int, low: int, high: int, where: str) -> None:
    if not low <= ratio <= high:
        raise ModelError(f"{_text(ratio)} is out of range", where=where, expected=f"{_text(low)} to {_text(high)}")


def _check_collateral(collateral: Collateral) -> None:
    assets = [asset for asset, _ in collateral.haircuts]
    if len(assets) > MAX_HAIRCUTS:
        raise ModelError(f"{len(assets)} assets", where="collateral.haircuts", expected=f"at most {MAX_HAIRCUTS}")
    if assets != sorted(set(assets)):
        raise ModelError("not sorted, or an asset twice", where="collateral.haircuts", expected="names in order")
    for asset, rate in collateral.haircuts:
        _check_id(asset, "collateral.haircuts")
        _check_range(rate, 0, RATIO_ONE, f"collateral.haircuts.{asset}")
    _check_range(collateral.other, 0, RATIO_ONE, "collateral.other")


def _check_scaling(scaling: VolScaling) -> None:
    for name in ("reference_days", "floor_days"):
        if not 0 < getattr(scaling, name) <= MAX_DAYS:
            raise ModelError("out of range", where=f"vol_scaling.{name}", expected=f"1 to {MAX_DAYS}")
    for name in ("short_exponent", "long_exponent"):
        _check_range(getattr(scaling, name), 0, MAX_EXPONENT, f"vol_scaling.{name}")


def _check_scenario(scenario: Scenario, steepest: int, where: str) -> None:
    _check_id(scenario.id, f"{where}.id")
    _check_range(scenario.price_shock, MIN_PRICE_SHOCK, MAX_PRICE_SHOCK, f"{where}.price_shock")
    if not 0 <= RATIO_ONE**2 + scenario.vol_shock * steepest <= MAX_VOL_FACTOR * RATIO_ONE:
        raise ModelError(
            f"{_text(scenario.vol_shock)} scaled by up to {_text(steepest)} leaves the kernel's domain",
            where=f"{where}.vol_shock",
            expected="a volatility from 0 to 4 times the quoted one at every tenor",
        )
    if not 0 <= scenario.time_shift_seconds <= MAX_TIME_SHIFT:
        raise ModelError("out of range", where=f"{where}.time_shift_seconds", expected=f"0 to {MAX_TIME_SHIFT}")


def _text(ratio: int) -> str:
    return units.format_decimal(ratio, RATIO_EXPONENT)


def _ratio(node: Json, where: str) -> int:
    text = encoding.string(node, where, max_length=32)
    ratio = units.parse_decimal(text, RATIO_EXPONENT, where)
    if _text(ratio) != text:
        raise ModelError(f"not the canonical decimal: {text}", where=where, expected=_text(ratio))
    return ratio
