"""Two venues with different exponents and column counts, and a maker who is short at one and hedged at the other."""

from __future__ import annotations

import pytest
from proof_support import Account, Venue, book, make_market


@pytest.fixture(scope="session")
def venue_a() -> Venue:
    return Venue("venue-a", make_market())


@pytest.fixture(scope="session")
def venue_b() -> Venue:
    """Two columns, the first of them retired; a lot is a tenth of the other venue's."""
    return Venue("venue-b", make_market(300, quantity_exponent=4))


@pytest.fixture(scope="session")
def short(venue_a: Venue) -> Account:
    return venue_a.attest(book(venue_a.market, BTC_100000_C=-50_000, BTC=1000, USD=250_000_000))


@pytest.fixture(scope="session")
def hedge(venue_b: Venue) -> Account:
    return venue_b.attest(book(venue_b.market, BTC_100000_C=490_000, BTC_PERPETUAL=-70_000, USD=10_000_000))
