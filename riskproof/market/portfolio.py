"""A client's book: signed lots by registry index.

`book.csv` has the header `instrument,quantity`; quantity is a plain decimal in the instrument's own units and must be a whole
number of lots (10^-e units, e the registry's quantity exponent).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from riskproof import units
from riskproof.errors import EncodingError, PortfolioError, UnitError
from riskproof.market.registry import Registry

HEADER = "instrument,quantity"
MAX_LINE = 128


@dataclass(frozen=True)
class Portfolio:
    """Lots by index, sorted by index, zero lots left out. Positions are secret: the repr shows only how many.

    Attributes:
        positions: ((index, lots), ...), index ascending, lots int64 and not zero.
    """

    positions: tuple[tuple[int, int], ...] = field(repr=False)

    def __post_init__(self) -> None:
        last = -1
        for index, lots in self.positions:
            if index <= last:
                raise PortfolioError("positions are not sorted by index, or one is twice", where="positions")
            if lots == 0:
                raise PortfolioError("a position of zero lots", where="positions", expected="zero positions left out")
            units.check_int64(lots, "positions")
            last = index

    @classmethod
    def build(cls, positions: Iterable[tuple[int, int]]) -> Portfolio:
        """From (index, lots) pairs in any order, zeros dropped; an index twice raises PortfolioError."""
        return cls(tuple(sorted((i, q) for i, q in positions if q)))

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"Portfolio(<{len(self.positions)} positions>)"

    def check(self, registry: Registry) -> None:
        """Raise UnknownInstrumentError if an index lies outside the registry."""
        if self.positions:
            registry.instrument(self.positions[-1][0], "positions")
            registry.instrument(self.positions[0][0], "positions")

    def to_csv(self, registry: Registry) -> str:
        """The book as `book.csv`; `parse_book` inverts it."""
        rows = [
            f"{registry.instrument(i).name},{units.format_decimal(q, registry.quantity_exponent)}"
            for i, q in self.positions
        ]
        return "\n".join([HEADER, *rows]) + "\n"


def parse_quantity(text: str, registry: Registry, where: str) -> int:
    """A decimal quantity in units of the instrument, as lots. The errors do not repeat the quantity: a position is secret.

    Raises:
        PortfolioError: not a whole number of lots.
        UnitError: not a plain decimal (NaN, exponent notation, ...), or beyond int64.
    """
    e = registry.quantity_exponent
    try:
        return units.parse_decimal(text, e, where)
    except UnitError as error:
        if error.what.startswith(f"{text} is finer"):
            raise PortfolioError(
                "quantity is not a whole number of lots",
                where=where,
                expected=f"a multiple of {units.format_decimal(1, e)}",
            ) from None
        what = (
            "quantity is not a plain decimal number"
            if error.what.startswith("not")
            else "quantity does not fit 64 bits"
        )
        raise UnitError(what, where=where, expected=error.expected) from None


def parse_book(data: bytes, registry: Registry, where: str = "book") -> Portfolio:
    """Parse `book.csv`.

    Raises:
        EncodingError: not UTF-8, a wrong header.
        PortfolioError: a malformed row, an instrument twice, a fractional lot, more rows than instruments.
        UnknownInstrumentError, UnitError: see `Registry.index_of` and `parse_quantity`.
    """
    if len(data) > MAX_LINE * (len(registry) + 2):
        raise PortfolioError(
            "more bytes than a book of this registry can have", where=where, expected=f"at most {len(registry)} rows"
        )
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise EncodingError("not UTF-8", where=f"{where}: byte {error.start}") from None
    if lines[0] != HEADER:
        what = "byte order mark before the header" if lines[0].startswith("\ufeff") else "wrong header"
        raise EncodingError(what, where=f"{where}:1", expected=HEADER)
    seen: dict[int, int] = {}
    positions: list[tuple[int, int]] = []
    for number, line in enumerate(lines[1:], start=2):
        at = f"{where}:{number}"
        name, comma, quantity = line.partition(",")
        if not comma or "," in quantity or len(line) > MAX_LINE:
            raise PortfolioError("not a row of two fields", where=at, expected=HEADER)
        index = registry.index_of(name, at)
        if index in seen:
            raise PortfolioError(
                f"the instrument of line {seen[index]} again", where=at, expected="one row per instrument"
            )
        seen[index] = number
        positions.append((index, parse_quantity(quantity, registry, at)))
    return Portfolio.build(positions)
