"""The optional feeds of a snapshot: read back as written, absent without a trace, and refused where they are wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "risk"))
from risk_books import UNQUOTED, small_market

from riskproof import encoding
from riskproof.errors import EncodingError, SnapshotError, UnitError
from riskproof.market.feeds import CurveFeed, Feeds
from riskproof.market.marketfile import Market

MARKET = small_market()
CURVE = MARKET.snapshot.curves[0]
ONE = 10**12
FEEDS = Feeds(
    999_800_000,
    (("BTC", ONE), ("ETH", 0)),
    (CurveFeed(CURVE.underlying, CURVE.expiry, CURVE.forward, ONE // 2, None),),
    ((2, ONE // 4), (3, ONE)),
)


def with_feeds(feeds: Feeds | None) -> Market:
    return Market(MARKET.registry, replace(MARKET.snapshot, feeds=feeds))


def test_feeds_are_read_as_they_were_written() -> None:
    data = with_feeds(FEEDS).to_bytes()
    again = Market.from_bytes(data)
    assert again.snapshot.feeds == FEEDS
    assert again.to_bytes() == data
    assert again.snapshot.digest != MARKET.snapshot.digest


def test_a_snapshot_without_feeds_is_the_bytes_of_before() -> None:
    assert b"feeds" not in MARKET.to_bytes()
    assert Market.from_bytes(MARKET.to_bytes()).snapshot.feeds is None
    assert with_feeds(None).snapshot.digest == MARKET.snapshot.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settlement_price": 0}, r"feeds\.settlement_price: out of range"),
        ({"indices": (("ETH", 1), ("BTC", 1))}, r"feeds\.indices: not sorted, or one twice"),
        ({"indices": (("DOGE", 1),)}, r"feeds\.indices: no index price of DOGE"),
        ({"indices": (("BTC", ONE + 1),)}, r"feeds: index of BTC: confidence is out of range \(expected 0 to 1\)"),
        ({"curves": (CurveFeed("BTC", 5),)}, r"feeds: curve of BTC at 5: no such curve"),
        ({"curves": FEEDS.curves * 2}, r"feeds\.curves: not sorted, or one twice"),
        (
            {"curves": (replace(FEEDS.curves[0], settled=CURVE.forward + 1),)},
            r"settled part out of range \(expected 0 up to the forward\)",
        ),
        (
            {"curves": (replace(FEEDS.curves[0], rate_confidence=-1),)},
            r"feeds: curve of BTC at \d+: confidence is out of range",
        ),
        ({"quotes": ((3, 1), (2, 1))}, r"feeds\.quotes: not sorted, or one twice"),
        ({"quotes": ((MARKET.registry.index_of(UNQUOTED), 1),)}, r"feeds\.quotes: instrument \d+ is not quoted"),
        ({"quotes": ((2, -1),)}, r"feeds: quote of instrument 2: confidence is out of range"),
    ],
)
def test_feeds_that_are_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        with_feeds(replace(FEEDS, **change))


def _set(path: tuple[str | int, ...], value: Any) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (_set(("feeds",), {}), EncodingError, r"snapshot\.feeds: an empty feed"),
        (_set(("feeds", "quotes"), []), EncodingError, r"snapshot\.feeds: an empty feed"),
        (_set(("feeds", "oracle"), "x"), EncodingError, r"snapshot\.feeds: unknown member 'oracle'"),
        (
            _set(("feeds", "settlement_price"), 5),
            EncodingError,
            r"snapshot\.feeds\.settlement_price: not a printable string",
        ),
        (
            _set(("feeds", "indices", 0, "confidence"), "0.5"),
            UnitError,
            r"snapshot\.feeds\.indices\[0\]\.confidence: not a canonical integer",
        ),
        (
            _set(("feeds", "curves", 0, "svi"), "1"),
            EncodingError,
            r"snapshot\.feeds\.curves\[0\]: unknown member 'svi'",
        ),
        (
            _set(("feeds", "quotes", 1), {"index": 3}),
            EncodingError,
            r"snapshot\.feeds\.quotes\[1\]: member 'confidence' is missing",
        ),
    ],
)
def test_documents_that_are_wrong(edit: Callable[[Any], None], error: type[Exception], message: str) -> None:
    document = encoding.parse_canonical(with_feeds(FEEDS).to_bytes())
    edit(document["snapshot"])
    with pytest.raises(error, match=message):
        Market.from_bytes(encoding.canonical_json(document))
