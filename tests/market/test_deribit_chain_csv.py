from __future__ import annotations

import pytest
from market_inputs import CHAIN_NAME, INSTANT, chain, csv_text, good_chain, option_fields

from riskproof.errors import EncodingError, ImportFormatError, InputError, SnapshotError, UnitError
from riskproof.market.importers.chain_csv import COLUMNS, parse_chain


def test_a_row_is_read_exactly() -> None:
    parsed = parse_chain(chain(option_fields()), CHAIN_NAME)
    (row,) = parsed.rows
    assert parsed.instant == INSTANT
    assert row.contract.name == "BTC-27MAR26-100000-C"
    assert row.where == f"{CHAIN_NAME}:2"
    assert (row.mark, row.volatility) == (40_000_000, 455_000_000_000)
    assert (row.quoted_forward, row.marks_forward) == (100_010_500_000_000, 100_000_000_000_000)
    assert [(i.underlying, i.price) for i in parsed.indices] == [("BTC", 99_000_250_000_000)]


def test_columns_may_be_reordered_and_joined_by_others() -> None:
    fields = option_fields() | {"comment": "mine", "gamma": "not read"}
    data = csv_text(["comment", *reversed(COLUMNS), "gamma"], [fields])
    assert parse_chain(data, CHAIN_NAME).rows == parse_chain(chain(option_fields()), CHAIN_NAME).rows


def test_windows_line_ends_and_a_missing_last_one() -> None:
    expected = parse_chain(good_chain(), CHAIN_NAME)
    assert parse_chain(good_chain().replace(b"\n", b"\r\n"), CHAIN_NAME) == expected
    assert parse_chain(good_chain().rstrip(b"\n"), CHAIN_NAME) == expected


def test_empty_fields_are_null() -> None:
    empty = dict.fromkeys(("mark_price", "mark_iv", "bid", "ask", "fwd_mark", "underlying_price", "index_price"), "")
    parsed = parse_chain(chain(option_fields(delta="", vega="", **empty)), CHAIN_NAME)
    (row,) = parsed.rows
    assert (row.mark, row.volatility, row.quoted_forward, row.marks_forward) == (None,) * 4
    assert parsed.indices == ()


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(column: str) -> None:
    data = csv_text([c for c in COLUMNS if c != column], [option_fields()])
    with pytest.raises(ImportFormatError, match=f"^c.csv:1: column '{column}' is missing"):
        parse_chain(data, "c.csv")


BAD_FIELDS: list[tuple[dict[str, str], type[InputError], str]] = [
    ({"mark_iv": "-45.5"}, SnapshotError, r"c\.csv:3: mark_iv: negative volatility -45\.5"),
    ({"mark_iv": "500.01"}, SnapshotError, r"c\.csv:3: mark_iv: volatility 500\.01 is out of the kernel's domain"),
    ({"mark_iv": "NaN"}, UnitError, r"c\.csv:3: mark_iv: not a plain decimal number: 'NaN'"),
    ({"mark_iv": "4.5e1"}, UnitError, "not a plain decimal number: '4.5e1'"),
    ({"mark_price": "1E-4"}, UnitError, "mark_price: not a plain decimal number: '1E-4'"),
    ({"mark_price": "nan"}, UnitError, "not a plain decimal number"),
    ({"mark_price": "inf"}, UnitError, "not a plain decimal number"),
    ({"mark_price": "-0.01"}, SnapshotError, "option price -0.01 is out of range"),
    ({"mark_price": "0.0000000001"}, UnitError, "finer than the unit 1e-9"),
    ({"mark_price": " 0.04"}, UnitError, "not a plain decimal number"),
    ({"bid": "0.05", "ask": "0.0499"}, SnapshotError, "c.csv:3: bid above ask"),
    ({"underlying_price": "10000000.1"}, SnapshotError, "price 10000000.1 is out of the kernel's domain"),
    ({"fwd_mark": "0"}, SnapshotError, "fwd_mark: price 0 is out of the kernel's domain"),
    ({"index_price": "0.00009"}, SnapshotError, "index_price: price 0.00009 is out of the kernel's domain"),
    ({"index_price": "99999999999"}, UnitError, "does not fit a signed 64-bit integer"),
    ({"delta": "NaN"}, UnitError, "delta: not a plain decimal number"),
    ({"open_interest": "1e3"}, UnitError, "open_interest: not a plain decimal number"),
    ({"expiry": "2026-04-24T08:00:00Z"}, ImportFormatError, "expiry '2026-04-24T08:00:00Z' disagrees with the name"),
    ({"expiry": "2026-03-27"}, UnitError, "expiry: not a UTC time"),
    ({"expiry": ""}, UnitError, "expiry: not a UTC time"),
    ({"strike": "90000"}, ImportFormatError, r"strike '90000' disagrees with the name .* \(expected 100000\)"),
    ({"type": "P"}, ImportFormatError, "type 'P' disagrees with the name"),
    ({"type": "call"}, ImportFormatError, "type 'call' disagrees with the name"),
    ({"ccy": "ETH"}, ImportFormatError, "ccy 'ETH' disagrees with the name"),
    ({"instrument_name": "BTC-27MAR26"}, ImportFormatError, "BTC-27MAR26 is not an option"),
    ({"instrument_name": "BTC"}, ImportFormatError, "not the name of a contract: 'BTC'"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_FIELDS, ids=[str(b[0]) for b in BAD_FIELDS])
def test_bad_fields_are_refused_with_file_and_line(
    changes: dict[str, str], error: type[InputError], message: str
) -> None:
    data = chain(option_fields("BTC-27MAR26-90000-C"), option_fields(**changes))
    with pytest.raises(error, match=message) as caught:
        parse_chain(data, "c.csv")
    assert type(caught.value) is error
    assert caught.value.where.startswith("c.csv:3")


def test_bad_shapes() -> None:
    header = ",".join(COLUMNS).encode()
    row = chain(option_fields()).split(b"\n")[1]
    cases = [
        (header + b"\n" + row + b",1\n", ImportFormatError, r"c\.csv:2: a row of 18 fields \(expected 17"),
        (header + b"\n" + row[:40] + b"\n", ImportFormatError, r"c\.csv:2: a row of"),
        (header + b"\n" + row + b"\n\n" + row, ImportFormatError, r"c\.csv:3: a row of 1 fields"),
        (header + b",delta\n", ImportFormatError, r"c\.csv:1: a column is named twice"),
        (header + b"\n" + row.replace(b"BTC,", b'"BTC",', 1), ImportFormatError, r"c\.csv:2: a quoted field"),
        (header + b"\n" + row + b"\xff", EncodingError, r"c\.csv: byte \d+: not UTF-8"),
        (header + b"\n" + b"\n" * 65_600, ImportFormatError, "rows are too many"),
    ]
    for data, error, message in cases:
        with pytest.raises(error, match=message):
            parse_chain(data, "c.csv")


def test_two_instants_in_a_file_name() -> None:
    with pytest.raises(ImportFormatError, match="the file's name holds two instants"):
        parse_chain(good_chain(), "a_20260114T092233Z_20260115T092233Z.csv")
