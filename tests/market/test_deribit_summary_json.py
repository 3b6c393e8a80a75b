from __future__ import annotations

import json
from typing import Any

import pytest
from market_inputs import (
    INSTANT,
    MILLISECONDS,
    good_entries,
    perpetual_entry,
    summary,
    summary_entry,
)

from riskproof.errors import EncodingError, ImportFormatError, InputError, SnapshotError, UnitError
from riskproof.market.importers.summary_json import parse_summary


def test_entries_are_read_exactly() -> None:
    parsed = parse_summary(summary(summary_entry(), perpetual_entry()), "s.json")
    option, perpetual = parsed.rows
    assert (option.mark, option.volatility, option.quoted_forward) == (40_000_000, 455_000_000_000, 100_010_500_000_000)
    assert (perpetual.contract.name, perpetual.mark) == ("BTC-PERPETUAL", 99_050_110_000_000)
    assert parsed.instant == INSTANT


def test_numbers_with_exponents_are_exact() -> None:
    text = summary(summary_entry(mark_price="MARK", mark_iv="IV")).decode()
    text = text.replace('"MARK"', "8.41e-06").replace('"IV"', "1.2118E+2")
    (row,) = parse_summary(text.encode(), "s.json").rows
    assert (row.mark, row.volatility) == (8_410, 1_211_800_000_000)


def test_numbers_never_pass_through_a_float() -> None:
    text = summary(summary_entry(underlying_price="FORWARD")).decode().replace('"FORWARD"', "100000.123456789")
    assert parse_summary(text.encode(), "s.json").rows[0].quoted_forward == 100_000_123_456_789


def test_the_result_alone_is_read_too() -> None:
    response = summary(*good_entries())
    alone = json.dumps(json.loads(response)["result"]).encode()
    assert parse_summary(alone, "s.json").rows == parse_summary(response, "s.json").rows


def test_the_interest_rate_does_not_enter_a_premium_in_coin() -> None:
    (row,) = parse_summary(summary(summary_entry(interest_rate=0.207)), "s.json").rows
    assert row == parse_summary(summary(summary_entry()), "s.json").rows[0]


def test_null_and_missing_are_the_same() -> None:
    entry = summary_entry(mark_price=None, mark_iv=None, bid_price=None)
    del entry["underlying_price"]
    (row,) = parse_summary(summary(entry), "s.json").rows
    assert (row.mark, row.volatility, row.quoted_forward) == (None, None, None)


def test_combos_and_spot_pairs_are_left_out() -> None:
    names = ["BTC-FS-27MAR26_PERP", "BTC-CS-27MAR26-90000_100000", "BTC_USDC-STRG-27MAR26-90000_100000", "ETH_BTC"]
    entries = [summary_entry(name, mark_price=-0.5, bid_price=-1.0) for name in names]
    parsed = parse_summary(summary(*entries, summary_entry()), "s.json")
    assert [r.contract.name for r in parsed.rows] == ["BTC-27MAR26-100000-C"]


def test_the_index_of_the_perpetual_and_the_last_expiry_come_first() -> None:
    near = summary_entry("BTC-14JAN26-100000-C", estimated_delivery_price=98000.0)
    parsed = parse_summary(summary(near, summary_entry(), perpetual_entry()), "s.json")
    ranked = sorted(parsed.indices, key=lambda i: i.rank)
    assert ranked[0].price == 99_001_500_000_000
    assert ranked[1].price == 99_000_250_000_000


def test_instant_of_the_name_then_the_entries_then_the_response() -> None:
    entry = summary_entry()
    assert parse_summary(summary(entry), "s_20260204T213308Z.json").instant == 1_770_240_788
    later = summary_entry("BTC-27MAR26-100000-P", creation_timestamp=MILLISECONDS + 2_000)
    assert parse_summary(summary(entry, later), "s.json").instant == INSTANT + 2
    del entry["creation_timestamp"]
    assert parse_summary(summary(entry, usOut=(INSTANT + 7) * 10**6), "s.json").instant == INSTANT + 7
    assert parse_summary(json.dumps({"result": [entry]}).encode(), "s.json").instant is None


def test_entries_of_different_times_are_refused() -> None:
    later = summary_entry("BTC-27MAR26-100000-P", creation_timestamp=MILLISECONDS + 61_000)
    with pytest.raises(ImportFormatError, match=r"s\.json: result: creation_timestamp differs by 61 s"):
        parse_summary(summary(summary_entry(), later), "s.json")


BAD_MEMBERS: list[tuple[dict[str, Any], type[InputError], str]] = [
    ({"mark_iv": -1.5}, SnapshotError, r"s\.json: result\[0\]\.mark_iv: negative volatility -1\.5"),
    ({"mark_iv": "45.5"}, ImportFormatError, r"result\[0\]\.mark_iv: str in place of a number"),
    ({"mark_price": True}, ImportFormatError, "bool in place of a number"),
    ({"mark_price": -0.1}, SnapshotError, "option price -0.1 is out of range"),
    ({"mark_price": 1e-10}, UnitError, "finer than the unit 1e-9"),
    ({"bid_price": 0.05, "ask_price": 0.04}, SnapshotError, r"result\[0\]: bid above ask"),
    ({"underlying_price": 1e8}, SnapshotError, "price 100000000.0 is out of the kernel's domain"),
    ({"estimated_delivery_price": 1e300}, UnitError, "number out of any range"),
    (
        {"instrument_name": "BTC_USDC-27MAR26-100000-C", "interest_rate": 0.02},
        ImportFormatError,
        r"interest_rate: interest rate 0\.02 \(expected 0",
    ),
    ({"interest_rate": "0"}, ImportFormatError, "interest_rate: str in place of a number"),
    ({"creation_timestamp": 1.5}, ImportFormatError, "creation_timestamp: not a time in milliseconds"),
    ({"creation_timestamp": "x"}, ImportFormatError, "not a time in milliseconds"),
    ({"instrument_name": "BTC-32MAR26-100000-C"}, ImportFormatError, "no such day"),
    ({"instrument_name": 7}, ImportFormatError, "not a book summary"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_MEMBERS, ids=[str(b[0]) for b in BAD_MEMBERS])
def test_bad_members(changes: dict[str, Any], error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        parse_summary(summary(summary_entry(**changes)), "s.json")
    assert type(caught.value) is error


def test_bad_responses() -> None:
    good = summary(*good_entries())
    cases: list[tuple[bytes, type[InputError], str]] = [
        (good[:-20], EncodingError, r"s\.json: byte \d+: not JSON"),
        (good + b"{}", EncodingError, "not JSON: Extra data"),
        (b"\xff" + good, EncodingError, "byte 0: not UTF-8"),
        (good.replace(b"0.04", b"NaN"), EncodingError, "NaN is not JSON"),
        (good.replace(b"0.04", b"-Infinity"), EncodingError, "-Infinity is not JSON"),
        (good.replace(b'"last"', b'"mark_iv"'), EncodingError, "member name twice in one object"),
        (b"[" * 200_000, EncodingError, "nested too deeply|not JSON"),
        (b"7", ImportFormatError, "not an object"),
        (b"[]", ImportFormatError, "no list of book summaries"),
        (b'{"result": {}}', ImportFormatError, "no list of book summaries"),
        (b'{"result": []}', ImportFormatError, "no list of book summaries"),
        (b'{"result": [7]}', ImportFormatError, r"s\.json: result\[0\]: not a book summary"),
        (b'{"error": {"code": 10028}}', ImportFormatError, "the venue answered with an error"),
    ]
    for data, error, message in cases:
        with pytest.raises(error, match=message):
            parse_summary(data, "s.json")
