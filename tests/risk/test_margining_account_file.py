"""The account file: a book with receivables, and every mistake refused without telling a quantity."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from risk_books import small_market

from riskproof.errors import EncodingError, PortfolioError, RiskproofError, UnitError, UnknownInstrumentError
from riskproof.market.portfolio import Portfolio
from riskproof.risk.margining import load, margin, parse_account

MARKET = small_market()
REGISTRY = MARKET.registry
ACCOUNT: dict[str, Any] = {
    "schema": "riskproof/margin-account/v1",
    "positions": {"ETH-PERP": "-1.5", "USDC": "200", "BTC-PERP": "0"},
    "receivables": {"ETH-PERP": {"pnl": "-83.25", "funding": "0.000000000000000001"}},
    "underlying": "ETH",
}


def test_an_account_is_read() -> None:
    account = parse_account(json.dumps(ACCOUNT, indent=1).encode(), REGISTRY)
    perpetual = REGISTRY.index_of("ETH-PERP")
    assert account.portfolio == Portfolio.build([(perpetual, -1_500), (REGISTRY.index_of("USDC"), 200_000)])
    assert account.receivables == ((perpetual, Fraction(-8325, 100) + Fraction(1, 10**18)),)
    assert account.underlying == "ETH"
    assert "83" not in repr(account)
    bare = parse_account(json.dumps({k: ACCOUNT[k] for k in ("schema", "positions")}).encode(), REGISTRY)
    assert (bare.receivables, bare.underlying) == ((), None)


def test_its_receivables_and_its_market_count() -> None:
    file = parse_account(json.dumps({**ACCOUNT, "positions": {"ETH-PERP": "1"}}).encode(), REGISTRY)
    report = margin(load("derive-pm1"), MARKET, file.portfolio, dict(file.receivables), file.underlying)
    assert report.equity == file.receivables[0][1]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schema": "x"}, EncodingError, r"account\.schema: not an account of this version"),
        ({"cash": "1"}, EncodingError, r"account: unknown member 'cash'"),
        ({"positions": []}, EncodingError, r"account\.positions: list in place of an object"),
        ({"positions": {"ETH-PERP": 7}}, EncodingError, r"account\.positions\.ETH-PERP: not a decimal string"),
        (
            {"positions": {"ETH-PERP": "7.00001"}},
            PortfolioError,
            r"account\.positions\.ETH-PERP: quantity is not a whole number of lots",
        ),
        (
            {"positions": {"ETH-PERP": "7e1"}},
            UnitError,
            r"account\.positions\.ETH-PERP: quantity is not a plain decimal number",
        ),
        ({"positions": {"DOGE": "7"}}, UnknownInstrumentError, r"account\.positions\.DOGE: no instrument 'DOGE'"),
        (
            {"receivables": {"USDC": {"pnl": "7", "funding": "0"}}},
            PortfolioError,
            r"account\.receivables\.USDC: not a perpetual or future",
        ),
        (
            {"receivables": {"ETH-PERP": {"pnl": "7"}}},
            EncodingError,
            r"account\.receivables\.ETH-PERP: member 'funding' is missing",
        ),
        (
            {"receivables": {"ETH-PERP": {"pnl": "7", "funding": "+1"}}},
            PortfolioError,
            r"receivables\.ETH-PERP\.funding: not a plain decimal amount",
        ),
        (
            {"receivables": {"ETH-PERP": {"pnl": 7, "funding": "1"}}},
            PortfolioError,
            r"receivables\.ETH-PERP\.pnl: not a plain decimal amount",
        ),
        (
            {"underlying": "DOGE"},
            PortfolioError,
            r"account\.underlying: no instrument of DOGE \(expected an underlying",
        ),
        ({"underlying": ""}, EncodingError, r"account\.underlying: not a printable string"),
    ],
)
def test_accounts_that_are_wrong(change: dict[str, Any], error: type[RiskproofError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        parse_account(json.dumps({**ACCOUNT, **change}).encode(), REGISTRY)
    assert "7" not in str(caught.value).replace("2^63", "")
