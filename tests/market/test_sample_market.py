from __future__ import annotations

import decimal
import subprocess
import sys
from collections import Counter

import pytest

from riskproof import units
from riskproof.errors import PortfolioError, SnapshotError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import parse_book
from riskproof.market.registry import Kind, OptionType, Registry
from riskproof.market.sample import (
    BOOKS,
    DEFAULT_TIME,
    FIRST_TIME,
    LAST_TIME,
    expiries,
    sample_book,
    sample_market,
)
from riskproof.market.snapshot import Snapshot

REGISTRY_DIGEST = "d7124ed848929db0c821948811dba32447a5f26f038e248651462a3d782fa9cd"
SNAPSHOT_DIGEST = "3d125a08091304f6bca871571369e13cfd057ee16df5a08578b75d6b2cd28a89"


@pytest.fixture(scope="module")
def market() -> Market:
    return sample_market()


def test_golden_digests(market: Market) -> None:
    assert market.registry.digest.hex() == REGISTRY_DIGEST
    assert market.snapshot.digest.hex() == SNAPSHOT_DIGEST


def test_the_callers_decimal_context_does_not_matter() -> None:
    with decimal.localcontext(prec=5, rounding=decimal.ROUND_UP):
        assert sample_market().snapshot.digest.hex() == SNAPSHOT_DIGEST


def test_what_is_listed(market: Market) -> None:
    kinds = Counter((i.underlying, i.kind) for i in market.registry.instruments)
    for coin in ("BTC", "ETH"):
        assert kinds[coin, Kind.SPOT] == kinds[coin, Kind.PERPETUAL] == 1
        assert kinds[coin, Kind.FUTURE] >= 5
        assert kinds[coin, Kind.OPTION] >= 300
    assert kinds["USD", Kind.SPOT] == 1
    assert market.snapshot.index_price["USD"] == units.PRICE_ONE
    assert len(market.registry) >= 600
    assert len({i.expiry for i in market.registry.instruments if i.is_option}) >= 10
    assert all(quote is not None for quote in market.snapshot.quotes)


def test_it_survives_its_file(market: Market) -> None:
    assert Market.from_bytes(market.to_bytes()) == market


def test_seeds_and_times_differ_and_stay_valid() -> None:
    digests = {sample_market(seed).snapshot.digest for seed in (-1, 0, 1, 2, 2**70)}
    assert len(digests) == 5
    for time in (FIRST_TIME, LAST_TIME, DEFAULT_TIME - 3600, DEFAULT_TIME - 3601, DEFAULT_TIME + 25 * 86_400):
        assert len(sample_market(3, time).registry) >= 600


@pytest.mark.parametrize("time", [FIRST_TIME - 1, LAST_TIME + 1, -1, 2**80])
def test_times_out_of_range(time: int) -> None:
    with pytest.raises(SnapshotError, match="time is out of the sample's range"):
        sample_market(1, time)


def test_expiries_are_at_eight_after_the_instant_and_last_fridays() -> None:
    options, futures = expiries(DEFAULT_TIME)
    assert [units.format_time(t)[:10] for t in futures] == [
        "2026-01-09",
        "2026-01-30",
        "2026-02-27",
        "2026-03-27",
        "2026-06-26",
        "2026-09-25",
        "2026-12-25",
    ]
    assert set(futures) < set(options)
    assert all(t % units.SECONDS_PER_DAY == 8 * 3600 for t in options)
    eight = DEFAULT_TIME - 3600
    assert expiries(eight)[0][0] == eight + units.SECONDS_PER_DAY
    assert expiries(eight - 1)[0][0] == eight


def test_marks_have_no_static_arbitrage(market: Market) -> None:
    """Calls fall and are convex in the strike, parity holds, total variance grows with the expiry: up to the marks' rounding."""
    options: dict[tuple[str, int], dict[tuple[int, OptionType], tuple[int, int]]] = {}
    for i, quote in zip(market.registry.instruments, market.snapshot.quotes, strict=True):
        if i.expiry is not None and i.strike is not None and i.option_type is not None and quote is not None:
            assert quote.mark is not None
            assert quote.volatility is not None
            chain = options.setdefault((i.underlying, i.expiry), {})
            chain[i.strike, i.option_type] = (quote.mark, quote.volatility)
    for key, chain in options.items():
        forward = market.snapshot.curve[key].forward
        strikes = sorted({strike for strike, _ in chain})
        calls = [chain[k, OptionType.CALL][0] for k in strikes]
        assert calls == sorted(calls, reverse=True)
        for strike, call in zip(strikes, calls, strict=True):
            put, volatility = chain[strike, OptionType.PUT]
            assert volatility == chain[strike, OptionType.CALL][1]
            assert abs((call - put) * forward - (forward - strike) * 10**9) <= 20 * forward
        for (a, b, c), (x, y, z) in zip(
            zip(strikes, strikes[1:], strikes[2:], strict=False),
            zip(calls, calls[1:], calls[2:], strict=False),
            strict=True,
        ):
            # Volatility is quoted to 0.01 %, which moves a mark by up to 0.4 * 5e-5 * sqrt(T) coin.
            assert x * (c - b) + z * (b - a) - y * (c - a) >= -25_000 * (c - a)


@pytest.mark.parametrize("name", BOOKS)
def test_books(market: Market, name: str) -> None:
    book = sample_book(name, market)
    book.check(market.registry)
    assert len(book) >= 9
    assert parse_book(book.to_csv(market.registry).encode(), market.registry) == book


def test_the_two_market_makers_offset_each_other(market: Market) -> None:
    a, b = (dict(sample_book(name, market).positions) for name in BOOKS[:2])
    shared = [i for i in a if market.registry.instruments[i].is_option]
    assert len(shared) >= 20
    assert all(b[i] > 0 > a[i] and abs(a[i] + b[i]) * 5 < abs(a[i]) for i in shared)


def test_books_that_cannot_be_made(market: Market) -> None:
    with pytest.raises(PortfolioError, match="no sample book 'nobody'"):
        sample_book("nobody", market)
    empty = Registry("USD", ())
    with pytest.raises(PortfolioError, match="the market lacks what the book holds"):
        sample_book("directional", Market(empty, Snapshot.build(empty, 1, "test", {}, [], {})))


def test_it_needs_no_compiler() -> None:
    program = (
        "import sys; from riskproof.market.sample import sample_market; import riskproof.market.importers.deribit; "
        "sample_market(); print(sorted({'numba', 'numpy', 'llvmlite'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
