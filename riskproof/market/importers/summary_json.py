"""Deribit's `public/get_book_summary_by_currency`, the JSON-RPC response as received, or its `result` alone (docs/market.md).

Members read of each entry of `result`: instrument_name, mark_price, mark_iv, underlying_price, estimated_delivery_price,
interest_rate, bid_price, ask_price, creation_timestamp (milliseconds); of the response: usOut (microseconds), error. All others
are left alone.

JSON numbers may have fractions and exponents here. Their literals are kept as text and read as exact decimals.

Left out, because nobody's position is in them: combos (`BTC-FS-...`, `BTC-CS-...`: a strategy's order book; a trade in it leaves
positions in the legs) and spot pairs (`BTC_USDC`).
"""

from __future__ import annotations

import decimal
import json
import re
from typing import Any, Final

from riskproof import encoding
from riskproof.errors import EncodingError, ImportFormatError, UnitError
from riskproof.market.importers import rows
from riskproof.market.importers.names import Contract, parse_name
from riskproof.market.importers.rows import IndexPrice, Parsed, Row
from riskproof.market.registry import Kind, Payoff

# A future combo names its strategy and two expiries, an option combo its strategy, expiry and strikes; a spot pair has no dash.
_LEFT_OUT: Final = re.compile(
    r"[A-Z0-9]{1,10}(?:_[A-Z0-9]{2,5})?-[A-Z]{1,8}-[A-Z0-9_.d-]{1,60}|[A-Z0-9]{1,10}_[A-Z0-9]{2,5}", re.ASCII
)
_LARGEST_EXPONENT: Final = 40
MAX_TIMESTAMP_SPREAD: Final = 60  # seconds between the entries of one response


class Number(str):
    """The literal of a JSON number."""

    __slots__ = ()


def parse_summary(data: bytes, where: str) -> Parsed:
    """Read a response.

    Raises:
        EncodingError: not UTF-8, not JSON (truncated, NaN), a member twice.
        ImportFormatError: the venue's error response, or not such a response.
        UnitError, SnapshotError: a number that is wrong or out of its range.
    """
    document = _load(data, where)
    if isinstance(document, list):
        document = {"result": document}
    if not isinstance(document, dict):
        raise ImportFormatError("not an object", where=where, expected="a JSON-RPC response, or its result")
    if "error" in document:
        raise ImportFormatError("the venue answered with an error", where=f"{where}: error", expected="a result")
    result = document.get("result")
    if not isinstance(result, list) or not 0 < len(result) <= rows.MAX_ROWS:
        raise ImportFormatError(
            "no list of book summaries", where=f"{where}: result", expected=f"1 to {rows.MAX_ROWS} entries"
        )
    read: list[Row] = []
    found: list[tuple[int, IndexPrice]] = []
    stamps: list[int] = []
    for i, entry in enumerate(result):
        at = f"{where}: result[{i}]"
        if not isinstance(entry, dict) or type(entry.get("instrument_name")) is not str:
            raise ImportFormatError("not a book summary", where=at, expected="an object with an instrument_name")
        name = entry["instrument_name"]
        if "creation_timestamp" in entry:
            stamps.append(_milliseconds(entry["creation_timestamp"], f"{at}.creation_timestamp"))
        if _LEFT_OUT.fullmatch(name):
            continue
        contract = parse_name(name, at)
        read.append(_row(contract, entry, at))
        index = _number(entry, "estimated_delivery_price", at)
        if index is not None:
            perpetual = contract.kind is Kind.PERPETUAL
            rank = rows.RANK_PERPETUAL if perpetual else rows.RANK_ROW
            value = rows.price(index, f"{at}.estimated_delivery_price")
            found.append((-(contract.expiry or 0), IndexPrice(rank, contract.underlying, value, at)))
    # Shortly before expiry the delivery price of a contract is an average, no longer the index: the last expiry comes first.
    found.sort(key=lambda pair: pair[0])
    return Parsed(where, _instant(where, document, stamps), tuple(read), tuple(index for _, index in found))


def _load(data: bytes, where: str) -> Any:
    def refuse(text: str) -> Any:
        raise EncodingError(f"{text} is not JSON", where=where, expected="a number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise EncodingError("member name twice in one object", where=where)
        return members

    if len(data) > encoding.MAX_DOCUMENT_BYTES:
        raise EncodingError(f"{len(data)} bytes are too many", where=where)
    encoding.check_depth(data, where)
    try:
        return json.loads(
            data.decode("utf-8"), parse_float=Number, parse_int=Number, parse_constant=refuse, object_pairs_hook=unique
        )
    except UnicodeDecodeError as error:
        raise EncodingError("not UTF-8", where=f"{where}: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise EncodingError(f"not JSON: {error.msg}", where=f"{where}: byte {error.pos}") from None


def _plain(number: Number, where: str) -> str:
    """The literal without an exponent, as `units.parse_decimal` takes it."""
    try:
        value = decimal.Decimal(number)
    except decimal.InvalidOperation:
        raise UnitError(f"not a usable number: {number[:32]!r}", where=where) from None
    if value and abs(value.adjusted()) > _LARGEST_EXPONENT:
        raise UnitError(f"number out of any range: {number[:32]!r}", where=where)
    return format(value, "f") if value else "0"


def _number(entry: dict[str, Any], member: str, at: str) -> str | None:
    """A number as plain decimal text; None if it is null or not there."""
    value = entry.get(member)
    if value is None:
        return None
    if not isinstance(value, Number):
        raise ImportFormatError(f"{type(value).__name__} in place of a number", where=f"{at}.{member}")
    return _plain(value, f"{at}.{member}")


def _row(contract: Contract, entry: dict[str, Any], at: str) -> Row:
    number = {m: _number(entry, m, at) for m in ("mark_price", "mark_iv", "underlying_price", "bid_price", "ask_price")}
    is_option = contract.kind is Kind.OPTION
    read = rows.premium if is_option else rows.price
    bid, ask = (
        rows.premium(text, f"{at}.{m}") if (text := number[m]) is not None else None for m in ("bid_price", "ask_price")
    )
    rows.check_uncrossed(bid, ask, at)
    rate = _number(entry, "interest_rate", at)
    # A premium in coin is undiscounted Black-76 over the forward, so the rate does not enter it.
    if is_option and contract.payoff is Payoff.LINEAR and rate is not None and decimal.Decimal(rate) != 0:
        raise ImportFormatError(
            f"interest rate {rate}", where=f"{at}.interest_rate", expected="0: linear marks are not discounted"
        )
    forward, mark, iv = number["underlying_price"], number["mark_price"], number["mark_iv"]
    return Row(
        contract,
        at,
        mark=read(mark, f"{at}.mark_price") if mark is not None else None,
        volatility=rows.volatility(iv, f"{at}.mark_iv") if is_option and iv is not None else None,
        quoted_forward=rows.price(forward, f"{at}.underlying_price") if is_option and forward is not None else None,
    )


def _milliseconds(value: Any, where: str) -> int:
    if not isinstance(value, Number) or not value.isdigit() or len(value) > 16:
        raise ImportFormatError("not a time in milliseconds", where=where, expected="an integer")
    return int(value) // 1000


def _instant(where: str, document: dict[str, Any], stamps: list[int]) -> int | None:
    named = rows.stamp_of(where)
    if named is not None:
        return named
    if stamps:
        if max(stamps) - min(stamps) > MAX_TIMESTAMP_SPREAD:
            raise ImportFormatError(
                f"creation_timestamp differs by {max(stamps) - min(stamps)} s",
                where=f"{where}: result",
                expected=f"at most {MAX_TIMESTAMP_SPREAD} s within one response",
            )
        return max(stamps)
    out = document.get("usOut")
    return None if out is None else _milliseconds(out, f"{where}: usOut") // 1000
