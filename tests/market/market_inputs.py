"""Small files in Deribit's formats, written from values, so that a test can change one of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from riskproof.market.importers import chain_csv, futures_csv

STAMP = "20260114T092233Z"
INSTANT = 1_768_382_553
CHAIN_NAME = f"chain_{STAMP}.csv"
MILLISECONDS = INSTANT * 1000 + 417

# K/F = 0.8, 1 and 1.25 with F = 100000: C - P = 1 - K/F.
STRIKES = {80_000: ("0.21", "0.01"), 100_000: ("0.04", "0.04"), 125_000: ("0.005", "0.255")}


def option_fields(name: str = "BTC-27MAR26-100000-C", **changes: str) -> dict[str, str]:
    """A chain's row for an option; `changes` by column."""
    fields = {
        "instrument_name": name,
        "ccy": "BTC",
        "strike": name.split("-")[2].replace("d", ".") if name.count("-") == 3 else "100000",
        "expiry": "2026-03-27T08:00:00Z",
        "type": name[-1],
        "mark_price": "0.04",
        "mark_iv": "45.5",
        "bid": "0.0395",
        "ask": "0.0405",
        "fwd_mark": "100000",
        "underlying_price": "100010.5",
        "underlying_index": "BTC-27MAR26",
        "index_price": "99000.25",
        "delta": "-0.00077",
        "vega": "12.5",
        "open_interest": "170.2",
        "volume_24h": "0",
    }
    unknown = set(changes) - set(fields)
    assert not unknown, unknown
    return fields | changes


def csv_text(columns: Iterable[str], rows: Iterable[dict[str, str]]) -> bytes:
    columns = list(columns)
    return "".join(",".join(line) + "\n" for line in [columns, *([row[c] for c in columns] for row in rows)]).encode()


def chain(*rows: dict[str, str]) -> bytes:
    return csv_text(chain_csv.COLUMNS, rows)


def good_rows() -> list[dict[str, str]]:
    """Calls and puts at three strikes that agree on a forward of 100000."""
    return [
        option_fields(f"BTC-27MAR26-{strike}-{side}", mark_price=mark, bid="", ask="")
        for strike, marks in STRIKES.items()
        for side, mark in zip("CP", marks, strict=True)
    ]


def good_chain() -> bytes:
    return chain(*good_rows())


def future_fields(name: str = "BTC-27MAR26", kind: str = "future", **changes: str) -> dict[str, str]:
    """A row of a futures file; `changes` by column."""
    fields = {
        "snapshot": STAMP,
        "ccy": "BTC",
        "instrument_name": name,
        "kind": kind,
        "expiry": "" if kind == "perpetual" else "2026-03-27T08:00:00Z",
        "mark_from_options": "" if kind == "perpetual" else "100000",
        "candle_price_1m": "99100.5",
        "candle_gap_s": "26.789",
        "index_price": "99000",
    }
    unknown = set(changes) - set(fields)
    assert not unknown, unknown
    return fields | changes


def futures(*rows: dict[str, str]) -> bytes:
    return csv_text(futures_csv.COLUMNS, rows)


def summary_entry(name: str = "BTC-27MAR26-100000-C", **changes: Any) -> dict[str, Any]:
    """One entry of a book summary, as the venue sends it."""
    entry: dict[str, Any] = {
        "volume_usd": 12345.67,
        "volume": 1.2000000000000002,
        "quote_currency": "BTC",
        "price_change": -3.1,
        "open_interest": 170.2,
        "mid_price": 0.04,
        "mark_price": 0.04,
        "mark_iv": 45.5,
        "low": None,
        "last": 0.0405,
        "interest_rate": 0.0,
        "instrument_name": name,
        "high": None,
        "estimated_delivery_price": 99000.25,
        "creation_timestamp": MILLISECONDS,
        "bid_price": 0.0395,
        "base_currency": "BTC",
        "ask_price": 0.0405,
        "underlying_price": 100010.5,
        "underlying_index": "BTC-27MAR26",
    }
    return entry | changes


def perpetual_entry(name: str = "BTC-PERPETUAL", **changes: Any) -> dict[str, Any]:
    entry = summary_entry(name, mark_price=99050.11, bid_price=99050.0, ask_price=99050.5, quote_currency="USD")
    for member in ("mark_iv", "interest_rate", "underlying_price", "underlying_index"):
        del entry[member]
    return entry | {"funding_8h": 6.55e-06, "current_funding": 0.0, "estimated_delivery_price": 99001.5} | changes


def good_entries() -> list[dict[str, Any]]:
    return [
        summary_entry(f"BTC-27MAR26-{strike}-{side}", mark_price=float(mark), bid_price=None, ask_price=None)
        for strike, marks in STRIKES.items()
        for side, mark in zip("CP", marks, strict=True)
    ]


def summary(*entries: dict[str, Any], **members: Any) -> bytes:
    response = {"jsonrpc": "2.0", "result": list(entries), "usIn": 1, "usOut": INSTANT * 10**6 + 5, "usDiff": 4}
    return json.dumps(response | {"testnet": False} | members).encode()
