from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskproof import units
from riskproof.errors import OverflowMoneyError, UnitError

int64 = st.integers(units.INT64_MIN, units.INT64_MAX)


@given(value=int64, exponent=st.integers(0, 18))
def test_decimals_are_read_as_written(value: int, exponent: int) -> None:
    text = units.format_decimal(value, exponent)
    assert units.parse_decimal(text, exponent, "x") == value
    assert Fraction(text) == Fraction(value, 10**exponent)
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


@given(sign=st.sampled_from(["", "-"]), whole=st.integers(0, 10**12), fraction=st.text("0123456789", max_size=12))
def test_any_plain_decimal_is_exact_or_refused(sign: str, whole: int, fraction: str) -> None:
    text = f"{sign}{whole}" + (f".{fraction}" if fraction else "")
    exact = Fraction(text) * 10**6
    if exact.denominator == 1 and abs(exact) <= units.INT64_MAX:
        assert units.parse_decimal(text, 6, "x") == exact
    else:
        with pytest.raises(UnitError):
            units.parse_decimal(text, 6, "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".5",
        "5.",
        "+5",
        "05",
        "00",
        "1e5",
        "1E-5",
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        " 1",
        "1 ",
        "1\n",
        "1,000",
        "1_000",
        "0x10",
        "--1",
        "٣",
        "１",
        "1.2.3",
        "1" * 65,
    ],
)
def test_texts_that_are_not_plain_decimals(text: str) -> None:
    with pytest.raises(UnitError, match=r"^there: not a plain decimal number"):
        units.parse_decimal(text, 9, "there")


def test_decimals_out_of_the_unit() -> None:
    with pytest.raises(UnitError, match=r"there: 0\.1234 is finer than the unit 1e-3 \(expected at most 3 decimals\)"):
        units.parse_decimal("0.1234", 3, "there")
    assert units.parse_decimal("0.1230000", 3, "there") == 123
    assert units.parse_decimal("-0", 3, "there") == 0
    assert units.parse_decimal("9223372036.854775807", 9, "there") == units.INT64_MAX
    assert units.parse_decimal("-9223372036.854775808", 9, "there") == units.INT64_MIN
    with pytest.raises(UnitError, match="does not fit a signed 64-bit integer"):
        units.parse_decimal("9223372036.854775808", 9, "there")


@given(int64)
def test_integers_are_read_as_written(value: int) -> None:
    assert units.parse_integer(str(value), "x") == value


@pytest.mark.parametrize("text", ["", "-0", "+1", "01", "1.0", "1e3", " 1", "1\n", "0x1", "٣", "1" * 21])
def test_texts_that_are_not_canonical_integers(text: str) -> None:
    with pytest.raises(UnitError, match="there: not a canonical integer"):
        units.parse_integer(text, "there")


@pytest.mark.parametrize("value", [units.INT64_MAX + 1, units.INT64_MIN - 1])
def test_integers_beyond_64_bits(value: int) -> None:
    with pytest.raises(UnitError, match="does not fit a signed 64-bit integer"):
        units.parse_integer(str(value), "there")


@given(numerator=st.integers(-(10**30), 10**30), denominator=st.integers(1, 10**20))
def test_rounding(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert units.round_half_even(numerator, denominator) == round(exact)
    assert units.floor_div(numerator, denominator) == exact.__floor__()
    assert units.ceil_div(numerator, denominator) == exact.__ceil__()


def test_division_by_what_is_not_positive_is_our_bug() -> None:
    for denominator in (0, -3):
        with pytest.raises(AssertionError):
            units.floor_div(1, denominator)
        with pytest.raises(AssertionError):
            units.ceil_div(1, denominator)


@given(amount=st.integers(-(10**36), 10**36), exponent=st.integers(0, 24), requirement=st.booleans())
def test_money_is_rounded_once_against_the_account(amount: int, exponent: int, requirement: bool) -> None:
    exact = Fraction(amount, 10**exponent) * 10**6
    expected = exact.__ceil__() if requirement else exact.__floor__()
    if units.INT64_MIN <= expected <= units.INT64_MAX:
        micros = units.to_micros(amount, exponent, against_account=True, where="x", requirement=requirement)
        assert micros == expected
    else:
        with pytest.raises(OverflowMoneyError, match="does not fit 64 bits in micros"):
            units.to_micros(amount, exponent, against_account=True, where="x", requirement=requirement)


def test_money_without_a_side_rounds_to_even() -> None:
    rounded = [units.to_micros(n, 7, against_account=False, where="x") for n in (5, 15, 25, -5, -15, 26)]
    assert rounded == [0, 2, 2, 0, -2, 3]


@given(st.integers(-62_135_596_800 + 400 * units.SECONDS_PER_YEAR * 3, units.TIME_MAX))
def test_times_are_read_as_written(seconds: int) -> None:
    text = units.format_time(seconds)
    assert units.parse_time(text, "x") == seconds
    assert units.parse_time(text.replace("-", "").replace(":", ""), "x") == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-14",
        "2026-01-14T09:22:33",
        "2026-01-14T09:22:33+00:00",
        "2026-1-14T9:22:33Z",
        "2026-01-14t09:22:33z",
        "２026-01-14T09:22:33Z",
        "2026-02-30T09:22:33Z",
        "2026-01-14T24:00:00Z",
        "2026-01-14T09:22:60Z",
        "2026-01-14T09:22:33.5Z",
        "20260114T92233Z",
        " 2026-01-14T09:22:33Z",
    ],
)
def test_other_spellings_of_a_time_are_refused(text: str) -> None:
    with pytest.raises(UnitError, match="there: not a UTC time"):
        units.parse_time(text, "there")
