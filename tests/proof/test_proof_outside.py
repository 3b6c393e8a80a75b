"""Attacks by an outsider: what the mathematics proves is true, and the verifier is deceived all the same."""

from __future__ import annotations

import pytest
from proof_support import EXPIRY, Venue, answer, book, challenge, judge, make_market

from riskproof.errors import FalseStatementError, PortfolioError
from riskproof.market.marketfile import Market
from riskproof.market.snapshot import Quote, Snapshot
from riskproof.proof.challenge import StatementKind
from riskproof.units import PRICE_ONE
from riskproof.verify import Outcome


def just_expired() -> Market:
    """A minute after the expiry, BTC at 130,000: the calls are in the money, and their settlement is not booked yet."""
    whole = make_market(spot=130_000).registry
    quotes = {
        "BTC": Quote(130_000 * PRICE_ONE),
        "USD": Quote(PRICE_ONE),
        "BTC-PERPETUAL": Quote(130_010 * PRICE_ONE),
    }
    prices = {"BTC": 130_000 * PRICE_ONE, "USD": PRICE_ONE}
    return Market(whole, Snapshot.build(whole, EXPIRY + 60, "test", prices, [], quotes))


def test_a_debt_that_expired_and_is_not_settled() -> None:
    """Short 10 calls at 100,000 with BTC at 130,000: a debt of 300,000 against 100,000 of cash. Nobody proves to be solvent with it
    before the expiry. A minute after it the rows are zero, so nobody may attest it: settlement has to be booked first."""
    names = {"USD": 100_000_000, "BTC_100000_C": -10_000}
    before = Venue("venue-a", make_market(spot=130_000)).attest(book(make_market(), **names))
    with pytest.raises(FalseStatementError, match="short by"):
        answer(challenge(0, statement=StatementKind.SOLVENCY), [before])
    after = Venue("venue-a", just_expired())
    with pytest.raises(PortfolioError, match="has expired and is not settled") as caught:
        after.attest(book(after.market, **names), issued_at=EXPIRY + 90)
    assert caught.value.where == "BTC-100000-C"
    assert "10000" not in str(caught.value).replace("BTC-100000-C", "")


def test_a_debt_that_was_settled() -> None:
    """Once the settlement is in cash, the account is attested again, and the debt is in the equity."""
    venue = Venue("venue-a", just_expired())
    settled = venue.attest(book(venue.market, USD=100_000_000 - 300_000_000), issued_at=EXPIRY + 90)
    times = {"issued_at": EXPIRY + 100, "expires_at": EXPIRY + 3700, "statement": StatementKind.SOLVENCY}
    with pytest.raises(FalseStatementError, match=r"short by 200000$"):
        answer(challenge(0, **times), [settled])
    asked = challenge(200_000 * 10**6, **times)
    verdict = judge(answer(asked, [settled]), asked, [settled], now=EXPIRY + 120)
    assert verdict.outcome is Outcome.VALID
    assert any("futures and perpetuals since their last settlement" in said for said in verdict.not_proved)
