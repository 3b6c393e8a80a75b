"""An option chain as CSV, one row per option (docs/market.md).

    instrument_name,ccy,strike,expiry,type,mark_price,mark_iv,bid,ask,fwd_mark,underlying_price,underlying_index,index_price,
    delta,vega,open_interest,volume_24h

Columns are found by name; others may be among them. An empty field is a value that the venue did not send.
"""

from __future__ import annotations

from typing import Final

from riskproof import units
from riskproof.errors import ImportFormatError
from riskproof.market.importers import rows
from riskproof.market.importers.names import Contract, parse_name
from riskproof.market.importers.rows import IndexPrice, Parsed, Row
from riskproof.market.registry import Kind, OptionType

COLUMNS: Final = (
    "instrument_name",
    "ccy",
    "strike",
    "expiry",
    "type",
    "mark_price",
    "mark_iv",
    "bid",
    "ask",
    "fwd_mark",
    "underlying_price",
    "underlying_index",
    "index_price",
    "delta",
    "vega",
    "open_interest",
    "volume_24h",
)
_UNUSED: Final = ("delta", "vega", "open_interest", "volume_24h")  # not in the snapshot, but numbers all the same
_TYPES: Final = {"C": OptionType.CALL, "P": OptionType.PUT}


def parse_chain(data: bytes, where: str) -> Parsed:
    """Read an option chain.

    Raises:
        EncodingError, ImportFormatError: see `rows.csv_rows`; a name that is not an option's or disagrees with its columns.
        UnitError: NaN, exponent notation, a digit finer than the unit.
        SnapshotError: a number out of its range, a bid above the ask.
    """
    read: list[Row] = []
    indices: list[IndexPrice] = []
    for at, fields in rows.csv_rows(data, where, COLUMNS):
        contract = parse_name(fields["instrument_name"], at)
        _check_columns(contract, fields, at)
        for column in _UNUSED:
            if fields[column]:
                rows.check_number(fields[column], f"{at}: {column}")
        bid, ask = (rows.premium(fields[c], f"{at}: {c}") if fields[c] else None for c in ("bid", "ask"))
        rows.check_uncrossed(bid, ask, at)
        read.append(
            Row(
                contract,
                at,
                mark=rows.premium(fields["mark_price"], f"{at}: mark_price") if fields["mark_price"] else None,
                volatility=rows.volatility(fields["mark_iv"], f"{at}: mark_iv") if fields["mark_iv"] else None,
                quoted_forward=_price(fields, "underlying_price", at),
                marks_forward=_price(fields, "fwd_mark", at),
            )
        )
        index = _price(fields, "index_price", at)
        if index is not None:
            indices.append(IndexPrice(rows.RANK_ROW, contract.underlying, index, at))
    return Parsed(where, rows.stamp_of(where), tuple(read), tuple(indices))


def _price(fields: dict[str, str], column: str, at: str) -> int | None:
    return rows.price(fields[column], f"{at}: {column}") if fields[column] else None


def _check_columns(contract: Contract, fields: dict[str, str], at: str) -> None:
    """The columns ccy, strike, expiry and type say what the name says."""
    if contract.kind is not Kind.OPTION:
        raise ImportFormatError(
            f"{contract.name} is not an option", where=at, expected="an option; futures go in a futures file"
        )
    if fields["ccy"] not in (contract.coin, contract.quote):
        raise _disagrees(contract, "ccy", fields["ccy"], contract.coin, at)
    if units.parse_decimal(fields["strike"], units.PRICE_EXPONENT, f"{at}: strike") != contract.strike:
        strike = units.format_decimal(contract.strike or 0, units.PRICE_EXPONENT)
        raise _disagrees(contract, "strike", fields["strike"], strike, at)
    if _TYPES.get(fields["type"]) is not contract.option_type:
        raise _disagrees(contract, "type", fields["type"], contract.name[-1], at)
    check_expiry(contract, fields["expiry"], at)


def check_expiry(contract: Contract, text: str, at: str) -> None:
    """Raise ImportFormatError unless the expiry column says what the name says."""
    if contract.expiry is None or units.parse_time(text, f"{at}: expiry") != contract.expiry:
        said = units.format_time(contract.expiry) if contract.expiry is not None else "no expiry"
        raise _disagrees(contract, "expiry", text, said, at)


def _disagrees(contract: Contract, column: str, text: str, expected: str, at: str) -> ImportFormatError:
    return ImportFormatError(
        f"{column} {text[:32]!r} disagrees with the name {contract.name}", where=at, expected=expected
    )
