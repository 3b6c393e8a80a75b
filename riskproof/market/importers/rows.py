"""One contract's row of a file, and the numbers in it.

Numbers arrive as text (a CSV field, or the literal of a JSON number) and become fixed point exactly; none passes through a float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from riskproof import units
from riskproof.errors import EncodingError, ImportFormatError, SnapshotError, UnitError
from riskproof.market.importers.names import Contract
from riskproof.market.registry import MAX_INSTRUMENTS, MAX_PRICE, MIN_PRICE
from riskproof.market.snapshot import MAX_VOLATILITY

MAX_ROWS: Final = MAX_INSTRUMENTS
MAX_FIELDS: Final = 256
_PERCENT_EXPONENT: Final = units.RATIO_EXPONENT - 2
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_LONGEST_NUMBER: Final = 64
_STAMP: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]{8}T[0-9]{6}Z(?![0-9A-Za-z])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """What a file says about one contract; None where it says nothing.

    Attributes:
        contract: the terms, read from the name and checked against the columns.
        where: file and line, or file and member.
        mark: 1e-9 of the settlement currency for an option, else of the numeraire.
        volatility: 1e-12, options only.
        quoted_forward: 1e-9, the forward that the venue states beside the option.
        marks_forward: 1e-9, the file's own forward of the option marks.
    """

    contract: Contract
    where: str
    mark: int | None = None
    volatility: int | None = None
    quoted_forward: int | None = None
    marks_forward: int | None = None


@dataclass(frozen=True)
class IndexPrice:
    """An index price in a file. The lowest rank wins, then the order of the files and rows."""

    rank: int
    underlying: str
    price: int
    where: str


@dataclass(frozen=True)
class Parsed:
    """One file.

    Attributes:
        where: the file's name.
        instant: seconds since the epoch, None if the file does not tell.
        rows: one per contract, in the file's order.
        indices: what the file says about index prices.
    """

    where: str
    instant: int | None
    rows: tuple[Row, ...] = ()
    indices: tuple[IndexPrice, ...] = field(default=())


# Ranks of an index price: stated for the instant; beside the perpetual; beside an option, which may be a minute late.
RANK_STATED: Final = 0
RANK_PERPETUAL: Final = 1
RANK_ROW: Final = 2


def price(text: str, where: str) -> int:
    """A price of the numeraire, 1e-9, within the kernel's domain (UnitError, SnapshotError)."""
    value = units.parse_decimal(text, units.PRICE_EXPONENT, where)
    if not MIN_PRICE <= value <= MAX_PRICE:
        raise SnapshotError(f"price {text} is out of the kernel's domain", where=where, expected="1e-4 to 1e7")
    return value


def premium(text: str, where: str) -> int:
    """An option's mark, bid or ask, 1e-9 of the settlement currency, not negative (UnitError, SnapshotError)."""
    value = units.parse_decimal(text, units.PRICE_EXPONENT, where)
    if not 0 <= value <= MAX_PRICE:
        raise SnapshotError(f"option price {text} is out of range", where=where, expected="0 to 1e7")
    return value


def volatility(text: str, where: str) -> int:
    """A volatility in per cent per year as 1e-12 (UnitError, SnapshotError)."""
    value = units.parse_decimal(text, _PERCENT_EXPONENT, where)
    if value < 0:
        raise SnapshotError(f"negative volatility {text}", where=where, expected="0 to 500 %")
    if value > MAX_VOLATILITY:
        raise SnapshotError(f"volatility {text} is out of the kernel's domain", where=where, expected="0 to 500 %")
    return value


def check_number(text: str, where: str) -> None:
    """Raise UnitError unless a number that is not used is a plain decimal, of any precision."""
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        raise UnitError(f"not a plain decimal number: {text[:64]!r}", where=where, expected="digits such as -12.5")


def check_uncrossed(bid: int | None, ask: int | None, where: str) -> None:
    """Raise SnapshotError if the best bid lies above the best ask."""
    if bid is not None and ask is not None and bid > ask:
        raise SnapshotError("bid above ask", where=where, expected="a bid at or below the ask")


def check_live(contract: Contract, instant: int, where: str) -> None:
    """Raise SnapshotError if the contract has expired at the snapshot's instant."""
    if contract.expiry is not None and contract.expiry <= instant:
        raise SnapshotError(
            f"{contract.name} has expired at {units.format_time(contract.expiry)}",
            where=where,
            expected=f"an expiry after the snapshot's instant {units.format_time(instant)}",
        )


def stamp_of(name: str) -> int | None:
    """The instant `YYYYMMDDTHHMMSSZ` in a file's name, None if there is none; two different ones raise ImportFormatError."""
    stamps = {units.parse_time(stamp, name) for stamp in _STAMP.findall(name)}
    if len(stamps) > 1:
        raise ImportFormatError("the file's name holds two instants", where=name, expected="one")
    return stamps.pop() if stamps else None


def csv_rows(data: bytes, where: str, required: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """(file:line, field by column) of every row of a CSV file.

    Columns may come in any order, with others among them. There is no quoting: no value of these files holds a comma or a quote.

    Raises:
        EncodingError: not UTF-8.
        ImportFormatError: a column missing or named twice, a row of another width, a quoted field, an empty line, too many rows.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EncodingError("not UTF-8", where=f"{where}: byte {error.start}") from None
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    columns = lines[0].split(",")
    for column in required:
        if column not in columns:
            raise ImportFormatError(f"column {column!r} is missing", where=f"{where}:1", expected=", ".join(required))
    if len(set(columns)) != len(columns) or len(columns) > MAX_FIELDS:
        raise ImportFormatError("a column is named twice, or there are too many", where=f"{where}:1")
    if len(lines) > MAX_ROWS + 1:
        raise ImportFormatError(f"{len(lines) - 1} rows are too many", where=where, expected=f"at most {MAX_ROWS}")
    for number, line in enumerate(lines[1:], start=2):
        at, fields = f"{where}:{number}", line.split(",")
        if len(fields) != len(columns):
            raise ImportFormatError(
                f"a row of {len(fields)} fields", where=at, expected=f"{len(columns)}, as the header has"
            )
        if '"' in line:
            raise ImportFormatError("a quoted field", where=at, expected="fields without quotes")
        yield at, dict(zip(columns, fields, strict=True))
