from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_objects import LISTED, registry

from riskproof import units
from riskproof.errors import EncodingError, InputError, PortfolioError, UnitError, UnknownInstrumentError
from riskproof.market.portfolio import Portfolio, parse_book, parse_quantity

HEADER = b"instrument,quantity\n"
lots = st.integers(units.INT64_MIN, units.INT64_MAX)


@given(st.dictionaries(st.integers(0, len(LISTED) - 1), lots), st.integers(0, 12))
def test_books_are_read_as_written(positions: dict[int, int], exponent: int) -> None:
    registry_ = registry(quantity_exponent=exponent)
    book = Portfolio.build(positions.items())
    book.check(registry_)
    assert dict(book.positions) == {i: q for i, q in positions.items() if q}
    assert parse_book(book.to_csv(registry_).encode(), registry_) == book


def test_a_book() -> None:
    book = parse_book(HEADER + b"BTC-PERPETUAL,-12.5\r\nBTC,0.001\nBTC-6JAN26,0\n", registry())
    assert book.positions == ((0, 1), (1, -12_500))
    assert len(book) == 2
    assert parse_book(HEADER, registry()).positions == ()


BAD: list[tuple[bytes, type[InputError], str]] = [
    (b"", EncodingError, r"book\.csv:1: wrong header \(expected instrument,quantity"),
    (b"quantity,instrument\n", EncodingError, "wrong header"),
    (b"\xef\xbb\xbf" + HEADER, EncodingError, "byte order mark before the header"),
    (HEADER + b"BTC,\xff\n", EncodingError, r"book\.csv: byte 24: not UTF-8"),
    (HEADER + b"ETH,1\n", UnknownInstrumentError, r"book\.csv:2: no instrument 'ETH' in the registry"),
    (HEADER + b"btc,1\n", UnknownInstrumentError, "no instrument 'btc'"),
    (HEADER + b"BTC ,1\n", UnknownInstrumentError, "no instrument 'BTC '"),
    (HEADER + b"BTC,1\nBTC,1\n", PortfolioError, r"book\.csv:3: the instrument of line 2 again"),
    (HEADER + b"BTC,0\nBTC,1\n", PortfolioError, "the instrument of line 2 again"),
    (HEADER + b"BTC\n", PortfolioError, r"book\.csv:2: not a row of two fields"),
    (HEADER + b"BTC,1,2\n", PortfolioError, "not a row of two fields"),
    (HEADER + b"BTC,1\n\nBTC-PERPETUAL,1\n", PortfolioError, r"book\.csv:3: not a row of two fields"),
    (HEADER + b"BTC,1\x0bBTC-PERPETUAL,2\n", PortfolioError, "not a row of two fields"),
    (HEADER + b"BTC," + b"1" * 130, PortfolioError, "not a row of two fields"),
    (HEADER + b"BTC,1.0005\n", PortfolioError, r"not a whole number of lots \(expected a multiple of 0\.001"),
    (HEADER + b"BTC,NaN\n", UnitError, r"book\.csv:2: quantity is not a plain decimal number"),
    (HEADER + b"BTC,1e3\n", UnitError, "quantity is not a plain decimal number"),
    (HEADER + b"BTC,finer\n", UnitError, "quantity is not a plain decimal number"),
    (HEADER + b"BTC,+1\n", UnitError, "quantity is not a plain decimal number"),
    (HEADER + b"BTC, 1\n", UnitError, "quantity is not a plain decimal number"),
    (HEADER + b"BTC,\n", UnitError, "quantity is not a plain decimal number"),
    (HEADER + b"BTC,9223372036854775.808\n", UnitError, "quantity does not fit 64 bits"),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD)
def test_bad_books(data: bytes, error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        parse_book(data, registry(), "book.csv")
    assert type(caught.value) is error


def test_a_book_of_a_million_rows_is_refused_at_once() -> None:
    data = HEADER + b"".join(b"BTC-%d,1\n" % i for i in range(1_000_000))
    begin = time.perf_counter()
    with pytest.raises(
        PortfolioError, match=r"more bytes than a book of this registry can have \(expected at most 5 rows"
    ):
        parse_book(data, registry(), "book.csv")
    assert time.perf_counter() - begin < 0.5


def test_errors_do_not_repeat_a_position() -> None:
    for text in ("123.4567", "123.4567x", "99999999999999999"):
        with pytest.raises(InputError) as caught:
            parse_quantity(text, registry(), "row")
        assert text not in repr(caught.value) + str(caught.value)
    assert "5" not in repr(Portfolio(((3, 555), (4, 555))))


def test_portfolios_are_checked() -> None:
    for positions, error, message in (
        (((1, 5), (0, 5)), PortfolioError, "not sorted by index, or one is twice"),
        (((1, 5), (1, 5)), PortfolioError, "not sorted by index, or one is twice"),
        (((-1, 5),), PortfolioError, "not sorted by index"),
        (((1, 0),), PortfolioError, "a position of zero lots"),
        (((1, 2**63),), UnitError, "does not fit a signed 64-bit integer"),
    ):
        with pytest.raises(error, match=message):
            Portfolio(positions)
    with pytest.raises(PortfolioError, match="one is twice"):
        Portfolio.build([(1, 5), (1, -5)])
    with pytest.raises(UnknownInstrumentError, match="no instrument at index 5"):
        Portfolio(((0, 1), (5, 1))).check(registry())
