"""The importers and the market check on two real option chains, a calm day and a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskproof.market.importers.deribit import import_files
from riskproof.market.marketfile import Market
from riskproof.market.registry import Kind, Registry
from riskproof.market.snapshot import Quote, Snapshot
from riskproof.risk.market_check import check_market
from riskproof.units import PRICE_ONE

FOLDER = Path(__file__).resolve().parents[2] / "../shared/market"
CALM, CRASH = "20260114T092233Z", "20260205T212937Z"
FUTURES = "deribit_futures_perp.csv"
ROWS = {CALM: 1_338, CRASH: 1_840}

pytestmark = pytest.mark.skipif(not (FOLDER / FUTURES).is_file(), reason="needs the market data next to the repository")


def read(name: str) -> tuple[str, bytes]:
    return name, (FOLDER / name).read_bytes()


def chain(stamp: str, forward: str = "parity", previous: Market | None = None) -> Market:
    return import_files([read(f"deribit_options_{stamp}.csv"), read(FUTURES)], forward=forward, previous=previous)


def without_cash(market: Market) -> Market:
    """The market as an importer that did not know cash made it."""
    registry, snapshot = market.registry, market.snapshot
    coins = tuple(i for i in registry.instruments if i.underlying != registry.numeraire)
    quotes = {i.name: q for i, q in zip(registry.instruments, snapshot.quotes, strict=True) if i in coins and q}
    indices = {name: price for name, price in snapshot.indices if name != registry.numeraire}
    earlier = Registry(registry.numeraire, coins)
    return Market(earlier, Snapshot.build(earlier, snapshot.time, "test", indices, list(snapshot.curves), quotes))


@pytest.mark.parametrize("stamp", [CALM, CRASH])
def test_every_row_is_imported(stamp: str) -> None:
    market = chain(stamp)
    kinds = [i.kind for i in market.registry.instruments]
    assert kinds.count(Kind.OPTION) == ROWS[stamp]
    assert kinds.count(Kind.PERPETUAL) == 2
    assert [i.name for i in market.registry.instruments if i.kind is Kind.SPOT] == ["BTC", "ETH", "USD"]
    assert kinds.count(Kind.FUTURE) >= 14
    assert all(quote is not None for quote in market.snapshot.quotes)
    assert Market.from_bytes(market.to_bytes()) == market


def test_importing_twice_and_a_later_chain_never_move_an_index() -> None:
    calm = chain(CALM)
    assert chain(CALM, previous=calm).to_bytes() == calm.to_bytes()
    crash = chain(CRASH, previous=calm)
    crash.registry.check_extends(calm.registry)
    assert len(crash.registry) > len(calm.registry)
    again = chain(CRASH, previous=crash)
    assert again.registry.digest == crash.registry.digest


def test_a_registry_without_cash_is_extended_by_it() -> None:
    earlier = without_cash(chain(CALM))
    calm = chain(CALM, previous=earlier)
    calm.registry.check_extends(earlier.registry)
    assert [i.name for i in calm.registry.instruments[len(earlier.registry) :]] == ["USD"]
    crash = chain(CRASH, previous=earlier)
    crash.registry.check_extends(earlier.registry)
    assert crash.registry.index_of("USD") == len(earlier.registry)
    assert crash.snapshot.quotes[crash.registry.index_of("USD")] == Quote(PRICE_ONE)


@pytest.mark.parametrize("stamp", [CALM, CRASH])
def test_the_kernel_reproduces_the_marks(stamp: str) -> None:
    found = check_market(chain(stamp))
    assert found.total is not None
    assert found.total.count == ROWS[stamp]
    assert found.total.within * 1000 >= found.total.count * 999
    assert found.stale_forwards == found.crossed_forwards == ()
    # Futures of this file are marked at the forward of the options, to a cent.
    for d in found.delta_one:
        if d.kind == Kind.FUTURE:
            assert abs(d.quoted - d.reference) <= 10_000_000


def test_quoted_forwards_are_stale_in_the_crash() -> None:
    found = check_market(chain(CRASH, forward="quoted"))
    assert found.total is not None
    assert len(found.stale_forwards) >= 5
    assert found.total.within * 10 < found.total.count * 8
    assert check_market(chain(CALM, forward="quoted")).stale_forwards == ()


def test_the_index_is_the_futures_files() -> None:
    prices = {"BTC": 95_090_620_000_000, "ETH": 3_329_170_000_000, "USD": PRICE_ONE}
    assert chain(CALM).snapshot.index_price == prices
