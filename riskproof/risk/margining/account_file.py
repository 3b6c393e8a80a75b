"""An account as one JSON file: a book, and what its perpetuals and futures have gained and not been paid.

    {"schema": "riskproof/margin-account/v1",
     "positions": {"BTC-PERPETUAL": "-1.5", "BTC-27MAR26-90000-C": "3", "USD": "1000"},
     "receivables": {"BTC-PERPETUAL": {"pnl": "-83.2", "funding": "1.25"}},
     "underlying": "BTC"}

Quantities as in book.csv, whole lots of the registry; amounts in the numeraire with at most 18 decimals. `receivables` and
`underlying` (the market of an account that holds only collateral) are optional. Laid out as people like; an error names the
instrument and never a quantity: they are secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import EncodingError, PortfolioError
from riskproof.market.portfolio import Portfolio, parse_quantity
from riskproof.market.registry import Kind, Registry

SCHEMA: Final = "riskproof/margin-account/v1"
MAX_BYTES: Final = 16 * 1024 * 1024
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,18})?", re.ASCII)


@dataclass(frozen=True)
class AccountFile:
    """The file's content; the repr shows only how many positions there are.

    Attributes:
        portfolio: the book.
        receivables: ((registry index, P&L and funding together), ...), ascending.
        underlying: the account's market, or None.
    """

    portfolio: Portfolio
    receivables: tuple[tuple[int, Fraction], ...] = field(repr=False)
    underlying: str | None = None


def parse_account(data: bytes, registry: Registry, where: str = "account") -> AccountFile:
    """Read an account file.

    Raises:
        EncodingError: not JSON, a member missing or unknown, another schema.
        PortfolioError: a fractional lot, an amount that is no decimal, a receivable of what is no perpetual or future, an
            underlying that no instrument has.
        UnknownInstrumentError: a name that the registry does not have.
        UnitError: a quantity that is not a plain decimal, or beyond 64 bits.
    """
    node = encoding.parse_json(data, where, limit=MAX_BYTES)
    m = encoding.members(node, where, ("schema", "positions"), ("receivables", "underlying"))
    if m["schema"] != SCHEMA:
        raise EncodingError("not an account of this version", where=f"{where}.schema", expected=SCHEMA)
    positions = []
    for name, quantity in _object(m["positions"], f"{where}.positions").items():
        at = f"{where}.positions.{name[:64]}"
        if not isinstance(quantity, str):
            raise EncodingError("not a decimal string", where=at, expected='a string such as "-1.5"')
        positions.append((registry.index_of(name, at), parse_quantity(quantity, registry, at)))
    receivables = []
    for name, parts in _object(m.get("receivables", {}), f"{where}.receivables").items():
        at = f"{where}.receivables.{name[:64]}"
        index = registry.index_of(name, at)
        if registry.instruments[index].kind not in (Kind.PERPETUAL, Kind.FUTURE):
            raise PortfolioError("not a perpetual or future", where=at, expected="perpetuals and futures only")
        p = encoding.members(parts, at, ("pnl", "funding"))
        receivables.append((index, _amount(p["pnl"], f"{at}.pnl") + _amount(p["funding"], f"{at}.funding")))
    underlying = encoding.string(m["underlying"], f"{where}.underlying", max_length=16) if "underlying" in m else None
    if underlying is not None and all(x.underlying != underlying for x in registry.instruments):
        raise PortfolioError(
            f"no instrument of {underlying}", where=f"{where}.underlying", expected="an underlying of the registry"
        )
    return AccountFile(Portfolio.build(positions), tuple(sorted(receivables)), underlying)


def _object(node: Json, where: str) -> dict[str, Json]:
    if not isinstance(node, dict):
        raise EncodingError(
            f"{type(node).__name__} in place of an object", where=where, expected="instrument names as members"
        )
    return node


def _amount(node: Json, where: str) -> Fraction:
    if not isinstance(node, str) or _AMOUNT.fullmatch(node) is None:
        raise PortfolioError(
            "not a plain decimal amount", where=where, expected='a string such as "-83.2", at most 18 decimals'
        )
    return Fraction(node)
