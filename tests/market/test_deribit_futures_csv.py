from __future__ import annotations

import pytest
from market_inputs import INSTANT, STAMP, csv_text, future_fields, futures

from riskproof.errors import ImportFormatError, InputError, SnapshotError, UnitError
from riskproof.market.importers.futures_csv import COLUMNS, parse_futures, split_instants
from riskproof.market.importers.rows import Parsed


def parse(data: bytes) -> Parsed:
    groups = split_instants(data, "f.csv")
    return parse_futures(groups[INSTANT], "f.csv", INSTANT)


def test_kinds_and_prices() -> None:
    data = futures(
        future_fields("BTC-PERPETUAL", "perpetual"),
        future_fields(),
        future_fields("SYN.BTC-17JAN26", "synthetic", expiry="2026-01-17T08:00:00Z"),
        future_fields("BTC-PERPETUAL", "perpetual", snapshot="20260115T092233Z", candle_price_1m="1"),
    )
    parsed = parse(data)
    assert [(r.contract.name, r.mark) for r in parsed.rows] == [
        ("BTC-PERPETUAL", 99_100_500_000_000),
        ("BTC-27MAR26", 100_000_000_000_000),
    ]
    assert [(i.underlying, i.price) for i in parsed.indices] == [("BTC", 99_000_000_000_000)]


def test_a_perpetual_without_a_price() -> None:
    assert parse(futures(future_fields("BTC-PERPETUAL", "perpetual", candle_price_1m=""))).rows[0].mark is None


BAD: list[tuple[dict[str, str], type[InputError], str]] = [
    ({"snapshot": "2026"}, UnitError, r"f\.csv:2: snapshot: not a UTC time"),
    ({"kind": "option"}, ImportFormatError, r"f\.csv:2: unknown kind 'option'"),
    ({"kind": "perpetual"}, ImportFormatError, "kind 'perpetual' disagrees with the name BTC-27MAR26"),
    ({"ccy": "ETH"}, ImportFormatError, "ccy 'ETH' disagrees with the name BTC-27MAR26"),
    ({"expiry": "2026-06-26T08:00:00Z"}, ImportFormatError, "expiry '2026-06-26T08:00:00Z' disagrees with the name"),
    ({"expiry": ""}, UnitError, "expiry: not a UTC time"),
    ({"mark_from_options": "-1"}, SnapshotError, "price -1 is out of the kernel's domain"),
    ({"mark_from_options": "NaN"}, UnitError, "mark_from_options: not a plain decimal number: 'NaN'"),
    ({"mark_from_options": "9.5e4"}, UnitError, "not a plain decimal number: '9.5e4'"),
    ({"candle_gap_s": "nan"}, UnitError, "candle_gap_s: not a plain decimal number"),
    ({"index_price": "0"}, SnapshotError, "index_price: price 0 is out of the kernel's domain"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD, ids=[str(b[0]) for b in BAD])
def test_bad_fields(changes: dict[str, str], error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        parse(futures(future_fields(**changes)))
    assert type(caught.value) is error


def test_a_perpetual_has_no_expiry() -> None:
    row = future_fields("BTC-PERPETUAL", "perpetual", expiry="2026-03-27T08:00:00Z")
    with pytest.raises(ImportFormatError, match=r"disagrees with the name BTC-PERPETUAL \(expected no expiry\)"):
        parse(futures(row))


def test_index_prices_of_one_instant_agree() -> None:
    data = futures(future_fields(), future_fields("BTC-26JUN26", expiry="2026-06-26T08:00:00Z", index_price="99000.01"))
    with pytest.raises(
        SnapshotError, match=r"f\.csv:3: a second index price of 'BTC' \(expected 99000, as in f\.csv:2"
    ):
        parse(data)


def test_a_missing_column_is_named() -> None:
    data = csv_text([c for c in COLUMNS if c != "kind"], [future_fields()])
    with pytest.raises(ImportFormatError, match=r"f\.csv:1: column 'kind' is missing"):
        split_instants(data, "f.csv")


def test_instants_are_told_apart() -> None:
    data = futures(future_fields(), future_fields(snapshot="20260204T213308Z"))
    assert list(split_instants(data, STAMP)) == [INSTANT, 1_770_240_788]
