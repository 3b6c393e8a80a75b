"""The instrument registry: an append-only list whose indices never change.

Document (canonical JSON, digest under TAG_REGISTRY):

    {"schema": "riskproof/registry/v1", "numeraire": "USD", "money_exponent": 6, "quantity_exponent": 3, "column_size": 256,
     "instruments": [{"name": "BTC-27MAR26-90000-C", "kind": "option", "underlying": "BTC", "payoff": "inverse",
                      "unit": "1000000000", "expiry": 1774598400, "strike": "90000000000000", "option_type": "call"}, ...]}

`unit` is the size of one whole unit in 1e-9 of the underlying; for an inverse perpetual or future it is the notional of one
contract in 1e-9 of the numeraire. A linear perpetual, future or option that is settled in another currency than the numeraire, a
stablecoin say, has its name as `settlement`; one unit of it counts as one of the numeraire. A registry version is named by its
digest; one registry extends another if its constants are equal and its list starts with the other's list.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import EncodingError, RegistryError, UnknownInstrumentError

SCHEMA: Final = "riskproof/registry/v1"
MAX_INSTRUMENTS: Final = 65_536
COLUMN_SIZES: Final = (256, 512, 1024, 2048)

# The pricing kernel's domain for forwards and strikes, in 1e-9 of the settlement currency: 1e-4 .. 1e7.
MIN_PRICE: Final = 10**5
MAX_PRICE: Final = 10**16


class Kind(enum.StrEnum):
    """What an instrument is."""

    SPOT = "spot"  # an asset held, such as coin collateral
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"  # European


class Payoff(enum.StrEnum):
    """What an instrument settles in."""

    LINEAR = "linear"  # the numeraire
    INVERSE = "inverse"  # the underlying coin


class OptionType(enum.StrEnum):
    """Call or put."""

    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One line of the registry. Construction checks it.

    Attributes:
        name: 1 to 64 characters of A-Z, a-z, 0-9, and `-._/+`.
        kind, payoff: see the enumerations; a spot asset is linear.
        underlying: name of the asset whose index price drives it.
        unit: int64, 1e-9 of the underlying per whole unit (inverse delta-one: of the numeraire), positive.
        expiry: seconds since the epoch for futures and options, else None.
        strike: int64, 1e-9 of the numeraire, for options, else None.
        option_type: for options, else None.
        settlement: 1 to 16 characters of a name: what a linear derivative is settled in; None for the numeraire.

    Raises:
        RegistryError: a member is missing, superfluous or out of range.
    """

    name: str
    kind: Kind
    underlying: str
    payoff: Payoff
    unit: int
    expiry: int | None = None
    strike: int | None = None
    option_type: OptionType | None = None
    settlement: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, "name", 64)
        where = self.name
        _check_name(self.underlying, f"{where}: underlying", 16)
        if not 0 < self.unit <= units.INT64_MAX:
            raise RegistryError("unit is not positive", where=where, expected="1 to 2^63 - 1 in 1e-9 of the underlying")
        if self.kind is Kind.SPOT and self.payoff is not Payoff.LINEAR:
            raise RegistryError("a spot asset cannot have an inverse payoff", where=where, expected="payoff linear")
        dated = self.kind in (Kind.FUTURE, Kind.OPTION)
        if dated != (self.expiry is not None):
            raise RegistryError(
                "expiry is missing" if dated else "expiry where there is none",
                where=where,
                expected=f"as a {self.kind} has",
            )
        if self.expiry is not None and not 0 < self.expiry <= units.TIME_MAX:
            raise RegistryError("expiry is out of range", where=where, expected="seconds since the epoch")
        if (self.kind is Kind.OPTION) != (self.strike is not None) or (self.strike is None) != (
            self.option_type is None
        ):
            raise RegistryError("strike and option type go with options, and only with them", where=where)
        if self.strike is not None and not MIN_PRICE <= self.strike <= MAX_PRICE:
            raise RegistryError("strike is out of the kernel's domain", where=where, expected="1e-4 to 1e7")
        if self.settlement is not None:
            _check_name(self.settlement, f"{where}: settlement", 16)
            if self.kind is Kind.SPOT or self.payoff is Payoff.INVERSE:
                what = (
                    "an asset that is held" if self.kind is Kind.SPOT else "a contract settled in the underlying coin"
                )
                raise RegistryError(
                    f"a settlement currency of {what}",
                    where=f"{where}: settlement",
                    expected="none; linear perpetuals, futures and options have one",
                )

    @property
    def is_option(self) -> bool:
        return self.kind is Kind.OPTION

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "name": self.name,
            "kind": self.kind.value,
            "underlying": self.underlying,
            "payoff": self.payoff.value,
            "unit": str(self.unit),
        }
        if self.expiry is not None:
            document["expiry"] = self.expiry
        if self.strike is not None and self.option_type is not None:
            document["strike"] = str(self.strike)
            document["option_type"] = self.option_type.value
        if self.settlement is not None:
            document["settlement"] = self.settlement
        return document

    @classmethod
    def from_document(cls, node: Json, where: str) -> Instrument:
        m = encoding.members(
            node,
            where,
            ("name", "kind", "underlying", "payoff", "unit"),
            ("expiry", "strike", "option_type", "settlement"),
        )
        return cls(
            name=encoding.string(m["name"], f"{where}.name"),
            kind=_choice(Kind, m["kind"], f"{where}.kind"),
            underlying=encoding.string(m["underlying"], f"{where}.underlying"),
            payoff=_choice(Payoff, m["payoff"], f"{where}.payoff"),
            unit=units.parse_integer(encoding.string(m["unit"], f"{where}.unit"), f"{where}.unit"),
            expiry=encoding.integer(m["expiry"], f"{where}.expiry") if "expiry" in m else None,
            strike=units.parse_integer(encoding.string(m["strike"], f"{where}.strike"), f"{where}.strike")
            if "strike" in m
            else None,
            option_type=_choice(OptionType, m["option_type"], f"{where}.option_type") if "option_type" in m else None,
            settlement=encoding.string(m["settlement"], f"{where}.settlement") if "settlement" in m else None,
        )


@dataclass(frozen=True)
class Registry:
    """An append-only list of instruments with the exponents and the column size that go with it.

    Attributes:
        numeraire: currency in which P&L and margin are measured.
        money_exponent: m, 0..15: a risk array entry counts 10^-m of the numeraire.
        quantity_exponent: e, 0..12: a lot is 10^-e of an instrument's unit.
        column_size: n, lots per committed column, one of COLUMN_SIZES.
        instruments: the list; position is the instrument's index for ever.
    """

    numeraire: str
    instruments: tuple[Instrument, ...]
    money_exponent: int = 6
    quantity_exponent: int = 3
    column_size: int = 256

    def __post_init__(self) -> None:
        _check_name(self.numeraire, "numeraire", 16)
        if not 0 <= self.money_exponent <= 15:
            raise RegistryError("money exponent is out of range", where="money_exponent", expected="0 to 15")
        if not 0 <= self.quantity_exponent <= 12:
            raise RegistryError("quantity exponent is out of range", where="quantity_exponent", expected="0 to 12")
        if self.column_size not in COLUMN_SIZES:
            raise RegistryError("column size is not served", where="column_size", expected=f"one of {COLUMN_SIZES}")
        if len(self.instruments) > MAX_INSTRUMENTS:
            raise RegistryError("too many instruments", where="instruments", expected=f"at most {MAX_INSTRUMENTS}")
        seen: set[str] = set()
        for i, instrument in enumerate(self.instruments):
            if instrument.name in seen:
                raise RegistryError(f"{instrument.name} is listed twice", where=f"instruments[{i}]")
            seen.add(instrument.name)
            if instrument.settlement == self.numeraire:
                raise RegistryError(
                    "the numeraire as settlement currency",
                    where=f"instruments[{i}].settlement",
                    expected="no settlement, which means the numeraire",
                )

    def __len__(self) -> int:
        return len(self.instruments)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {instrument.name: i for i, instrument in enumerate(self.instruments)}

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this version."""
        return encoding.digest(encoding.TAG_REGISTRY, encoding.canonical_json(self.to_document()))

    @property
    def columns(self) -> int:
        """Number of committed columns: ceil(len / column_size), at least one."""
        return max(1, -(-len(self.instruments) // self.column_size))

    def index_of(self, name: str, where: str = "") -> int:
        """Index of an instrument by name; UnknownInstrumentError if there is none."""
        try:
            return self._index[name]
        except KeyError:
            raise UnknownInstrumentError(
                f"no instrument {name[:64]!r} in the registry", where=where, expected="a name in the registry"
            ) from None

    def instrument(self, index: int, where: str = "") -> Instrument:
        """Instrument at an index; UnknownInstrumentError if there is none."""
        if not 0 <= index < len(self.instruments):
            raise UnknownInstrumentError(
                f"no instrument at index {index}", where=where, expected=f"0 to {len(self) - 1}"
            )
        return self.instruments[index]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def extended(self, instruments: Iterable[Instrument]) -> Registry:
        """This registry with the instruments it does not have yet appended, in the order given.

        Raises:
            RegistryError: a name is known with other terms (an instrument's terms never change).
        """
        new: dict[str, Instrument] = {}
        for instrument in instruments:
            known = (
                self.instruments[self._index[instrument.name]]
                if instrument.name in self._index
                else new.get(instrument.name)
            )
            if known is None:
                new[instrument.name] = instrument
            elif known != instrument:
                raise RegistryError(
                    f"{instrument.name} is listed with other terms",
                    where=instrument.name,
                    expected=str(known.to_document()),
                )
        if not new:
            return self
        return Registry(
            self.numeraire,
            self.instruments + tuple(new.values()),
            self.money_exponent,
            self.quantity_exponent,
            self.column_size,
        )

    def check_extends(self, previous: Registry) -> None:
        """Raise RegistryError unless this registry extends `previous` (equal constants, same prefix)."""
        for constant in ("numeraire", "money_exponent", "quantity_exponent", "column_size"):
            mine, theirs = getattr(self, constant), getattr(previous, constant)
            if mine != theirs:
                raise RegistryError(f"{constant} changed to {mine}", where=constant, expected=str(theirs))
        if len(self) < len(previous):
            raise RegistryError("instruments were removed", where="instruments", expected=f"at least {len(previous)}")
        for i, (a, b) in enumerate(zip(self.instruments, previous.instruments, strict=False)):
            if a != b:
                raise RegistryError(f"instrument {i} changed to {a.name}", where=f"instruments[{i}]", expected=b.name)

    def to_document(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "numeraire": self.numeraire,
            "money_exponent": self.money_exponent,
            "quantity_exponent": self.quantity_exponent,
            "column_size": self.column_size,
            "instruments": [i.to_document() for i in self.instruments],
        }

    @classmethod
    def from_document(cls, node: Json, where: str = "registry") -> Registry:
        m = encoding.members(
            node, where, ("schema", "numeraire", "money_exponent", "quantity_exponent", "column_size", "instruments")
        )
        if m["schema"] != SCHEMA:
            raise EncodingError("not a registry of this version", where=f"{where}.schema", expected=SCHEMA)
        items = encoding.array(m["instruments"], f"{where}.instruments", max_length=MAX_INSTRUMENTS)
        return cls(
            numeraire=encoding.string(m["numeraire"], f"{where}.numeraire"),
            instruments=tuple(Instrument.from_document(x, f"{where}.instruments[{i}]") for i, x in enumerate(items)),
            money_exponent=encoding.integer(m["money_exponent"], f"{where}.money_exponent"),
            quantity_exponent=encoding.integer(m["quantity_exponent"], f"{where}.quantity_exponent"),
            column_size=encoding.integer(m["column_size"], f"{where}.column_size"),
        )


E = TypeVar("E", bound=enum.StrEnum)
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+")


def _check_name(text: str, where: str, longest: int) -> None:
    if not 0 < len(text) <= longest or not _NAME_CHARACTERS.issuperset(text):
        raise RegistryError(
            f"not a name: {text[:64]!r}", where=where, expected=f"1 to {longest} of A-Z a-z 0-9 and -._/+"
        )


def _choice(cls: type[E], node: Json, where: str) -> E:
    try:
        return cls(node)
    except ValueError:
        raise EncodingError(
            f"not one of the choices: {str(node)[:32]!r}", where=where, expected=", ".join(cls)
        ) from None
