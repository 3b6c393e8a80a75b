"""Futures and perpetuals as CSV, several instants in one file (docs/market.md).

    snapshot,ccy,instrument_name,kind,expiry,mark_from_options,candle_price_1m,candle_gap_s,index_price

`snapshot` is `YYYYMMDDTHHMMSSZ`; the rows of the chain's instant are taken. `kind` is one of

    perpetual   priced at candle_price_1m; listed without a price where that is empty
    future      priced at mark_from_options, the forward of the option marks
    synthetic   an expiry without a listed future: not an instrument, left out
"""

from __future__ import annotations

from typing import Final

from riskproof import units
from riskproof.errors import ImportFormatError, SnapshotError
from riskproof.market.importers import rows
from riskproof.market.importers.chain_csv import check_expiry
from riskproof.market.importers.names import parse_name
from riskproof.market.importers.rows import IndexPrice, Parsed, Row
from riskproof.market.registry import Kind

COLUMNS: Final = (
    "snapshot",
    "ccy",
    "instrument_name",
    "kind",
    "expiry",
    "mark_from_options",
    "candle_price_1m",
    "candle_gap_s",
    "index_price",
)
_PRICE_COLUMN: Final = {"perpetual": "candle_price_1m", "future": "mark_from_options"}

Group = list[tuple[str, dict[str, str]]]


def split_instants(data: bytes, where: str) -> dict[int, Group]:
    """(file:line, fields) of the rows of each instant (EncodingError, ImportFormatError, UnitError)."""
    groups: dict[int, Group] = {}
    for at, fields in rows.csv_rows(data, where, COLUMNS):
        groups.setdefault(units.parse_time(fields["snapshot"], f"{at}: snapshot"), []).append((at, fields))
    return groups


def parse_futures(group: Group, where: str, instant: int) -> Parsed:
    """Read the rows of one instant (ImportFormatError, UnitError, SnapshotError)."""
    read: list[Row] = []
    indices: dict[str, IndexPrice] = {}
    for at, fields in group:
        _index(fields, at, indices)
        kind, name = fields["kind"], fields["instrument_name"]
        if fields["candle_gap_s"]:
            rows.check_number(fields["candle_gap_s"], f"{at}: candle_gap_s")
        if kind == "synthetic":
            continue
        if kind not in _PRICE_COLUMN:
            raise ImportFormatError(f"unknown kind {kind[:32]!r}", where=at, expected="perpetual, future or synthetic")
        contract = parse_name(name, at)
        if contract.kind != kind:
            raise ImportFormatError(f"kind {kind!r} disagrees with the name {name}", where=at, expected=contract.kind)
        if fields["ccy"] != contract.underlying:
            raise ImportFormatError(
                f"ccy {fields['ccy'][:32]!r} disagrees with the name {name}", where=at, expected=contract.underlying
            )
        if contract.kind is Kind.FUTURE or fields["expiry"]:
            check_expiry(contract, fields["expiry"], at)
        column = _PRICE_COLUMN[kind]
        mark = rows.price(fields[column], f"{at}: {column}") if fields[column] else None
        read.append(Row(contract, at, mark=mark))
    return Parsed(where, instant, tuple(read), tuple(indices.values()))


def _index(fields: dict[str, str], at: str, indices: dict[str, IndexPrice]) -> None:
    if not fields["index_price"]:
        return
    price, underlying = rows.price(fields["index_price"], f"{at}: index_price"), fields["ccy"]
    known = indices.setdefault(underlying, IndexPrice(rows.RANK_STATED, underlying, price, at))
    if known.price != price:
        raise SnapshotError(
            f"a second index price of {underlying[:16]!r}",
            where=at,
            expected=f"{units.format_decimal(known.price, units.PRICE_EXPONENT)}, as in {known.where}",
        )
