from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskproof.errors import ImportFormatError, RegistryError, UnitError
from riskproof.market.importers.names import Contract, parse_name
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff

EXPIRY = 1_774_598_400  # 2026-03-27T08:00:00Z


def test_inverse_names() -> None:
    assert parse_name("BTC-PERPETUAL", "") == Contract("BTC", None, Kind.PERPETUAL)
    assert parse_name("BTC-27MAR26", "") == Contract("BTC", None, Kind.FUTURE, EXPIRY)
    option = parse_name("ETH-27MAR26-4000-P", "")
    assert option == Contract("ETH", None, Kind.OPTION, EXPIRY, 4000 * 10**9, OptionType.PUT)
    assert (option.underlying, option.payoff) == ("ETH", Payoff.INVERSE)


def test_linear_names() -> None:
    option = parse_name("XRP_USDC-30JUN25-0d625-C", "")
    assert option.strike == 625_000_000
    assert option.underlying == "XRP_USDC"
    assert option.payoff is Payoff.LINEAR
    assert parse_name("BTC_USDC-PERPETUAL", "").underlying == "BTC_USDC"


def test_registry_lines() -> None:
    assert parse_name("BTC-PERPETUAL", "").instrument("") == Instrument(
        "BTC-PERPETUAL", Kind.PERPETUAL, "BTC", Payoff.INVERSE, 10 * 10**9
    )
    assert parse_name("ETH-27MAR26", "").instrument("").unit == 10**9
    assert parse_name("BTC-27MAR26-90000-C", "").instrument("").unit == 10**9
    linear = parse_name("SOL_USDC-PERPETUAL", "").instrument("")
    assert (linear.unit, linear.payoff, linear.settlement) == (10**9, Payoff.LINEAR, "USDC")
    assert parse_name("BTC_USDT-27MAR26-90000-C", "").instrument("").settlement == "USDT"
    assert parse_name("BTC-27MAR26-90000-C", "").instrument("").settlement is None


def test_inverse_contract_of_unknown_size_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"f\.csv:2: contract size of SOL-PERPETUAL is not known"):
        parse_name("SOL-PERPETUAL", "").instrument("f.csv:2")


def test_strike_outside_the_domain_is_refused() -> None:
    with pytest.raises(RegistryError, match="strike is out of the kernel's domain"):
        parse_name("BTC-27MAR26-10000001-C", "").instrument("")
    with pytest.raises(UnitError, match="does not fit a signed 64-bit integer"):
        parse_name("BTC-27MAR26-99999999999-C", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC",
        "BTC-",
        "btc-PERPETUAL",
        "BTC-PERP",
        "BTC-27MAR2026",
        "BTC-27MAR26-90000",
        "BTC-27MAR26-90000-X",
        "BTC-27MAR26-90000-C ",
        "BTC-27MAR26-9e4-C",
        "BTC-27MAR26--90000-C",
        "BTC-27MAR26-0.625-C",
        "BTC_EUR-PERPETUAL",
        "BTC-27MAR26-٩٠٠٠٠-C",
        "B" * 70,
    ],
)
def test_other_texts_are_not_names(text: str) -> None:
    with pytest.raises(ImportFormatError, match=r"^x:1: not the name of a contract"):
        parse_name(text, "x:1")


@pytest.mark.parametrize("text", ["BTC-31FEB26", "BTC-30MRZ26", "BTC-99MAR26-1-C"])
def test_days_that_do_not_exist(text: str) -> None:
    with pytest.raises(ImportFormatError, match="no such day"):
        parse_name(text, "")


@pytest.mark.parametrize("text", ["BTC-27MAR26-090000-C", "BTC-27MAR26-90000d0-C", "XRP_USDC-27MAR26-0d6250-P"])
def test_a_name_has_one_spelling(text: str) -> None:
    with pytest.raises(ImportFormatError, match="not the usual spelling"):
        parse_name(text, "")


@given(
    coin=st.sampled_from(["BTC", "ETH", "SOL", "1INCH"]),
    quote=st.sampled_from([None, "USDC", "USDT"]),
    day=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
    strike=st.one_of(st.none(), st.integers(1, 10**16)),
    side=st.sampled_from(OptionType),
)
def test_names_are_read_as_written(
    coin: str, quote: str | None, day: dt.date, strike: int | None, side: OptionType
) -> None:
    expiry = int(dt.datetime(day.year, day.month, day.day, 8, tzinfo=dt.UTC).timestamp())
    contract = (
        Contract(coin, quote, Kind.FUTURE, expiry)
        if strike is None
        else Contract(coin, quote, Kind.OPTION, expiry, strike, side)
    )
    assert parse_name(contract.name, "") == contract
