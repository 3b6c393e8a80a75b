"""Greeks of many accounts: the same integers as `portfolio_greeks` of each, whatever the lots."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from risk_books import EXPIRED, INSTRUMENTS, UNQUOTED, holdable, random_book, replaced, rows_of, small_market

from riskproof.errors import OverflowMoneyError, PortfolioError, UnitError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.batch_greeks import GREEKS
from riskproof.risk.greeks import portfolio_greeks, unit_greeks
from riskproof.risk.portfolio_risk import BatchGreeks, batch_greeks
from riskproof.units import INT64_MAX, INT64_MIN, PRICE_ONE, RATIO_ONE

MARKET = small_market()
ROOT = Path(__file__).resolve().parents[2]


def check_equal_to_single(books: list[Portfolio], market: Market = MARKET) -> BatchGreeks:
    batch = batch_greeks(market, *rows_of(books))
    assert len(batch) == len(books)
    for a, book in enumerate(books):
        assert batch.account(a) == portfolio_greeks(market, book), a
    return batch


def column(batch: BatchGreeks, greek: str) -> list[int]:
    """A Greek of every row, straight from the accounts."""
    rows = [row for a in range(len(batch)) for row in batch.account(a).by_underlying]
    if greek in ("delta", "gamma"):
        return [row[1 + ("delta", "gamma").index(greek)] for row in rows]
    return [getattr(row[3], greek) for row in rows]


@pytest.mark.parametrize("quantity_exponent", [0, 1, 3, 8, 12])
def test_batch_equals_single(quantity_exponent: int) -> None:
    rng = random.Random(31)
    market = small_market(quantity_exponent=quantity_exponent)
    size = len(holdable(market))
    for most in (3, 50, 10**4, 10**9):
        books = [random_book(rng, market, rng.randint(0, size), most) for _ in range(60)]
        batch = check_equal_to_single([Portfolio(()), *books, Portfolio(())], market)
        assert batch.underlyings == ("BTC", "ETH", "USDC")
    for least in (10**15, 10**18):
        check_equal_to_single([random_book(rng, market, rng.randint(1, size), least) for _ in range(40)], market)


def test_the_reported_columns_are_the_rows() -> None:
    rng = random.Random(32)
    batch = check_equal_to_single([random_book(rng, MARKET, rng.randint(0, 12), 10**5) for _ in range(50)])
    assert GREEKS == ("delta", "gamma", "vega", "theta", "rho", "delta_cash", "gamma_cash")
    for greek in GREEKS:
        assert batch.reported(greek).tolist() == column(batch, greek)
        assert batch.reported(greek).dtype == np.int64
    for a in range(len(batch)):
        held = batch.underlying[batch.pointers[a] : batch.pointers[a + 1]]
        assert (np.diff(held) > 0).all()


def test_lots_near_64_bits_do_not_wrap() -> None:
    rng = random.Random(33)
    indices = holdable(MARKET)
    edges = [INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 2**62, -(2**62), 2**32, 1, -1]
    books = [
        Portfolio.build((i, rng.choice(edges)) for i in indices if rng.random() < share) for share in (0.1, 0.4, 1)
    ]
    books += [Portfolio.build((i, INT64_MAX) for i in indices), Portfolio.build((i, INT64_MIN) for i in indices)]
    books += [Portfolio(((2, INT64_MAX),)), Portfolio(((2, 2_500),)), Portfolio(((2, INT64_MIN),))]
    batch = check_equal_to_single(books)
    with pytest.raises(OverflowMoneyError, match=r"account \d, BTC: delta does not fit 64 bits"):
        batch.reported("delta")
    alone = check_equal_to_single([Portfolio(((2, 5_000),)), Portfolio(((2, INT64_MAX),))])
    with pytest.raises(OverflowMoneyError, match="account 1, BTC: delta_cash does not fit 64 bits"):
        alone.reported("delta_cash")
    assert alone.reported("vega").tolist() == [0, 0]
    assert alone.account(0).by_underlying[0][1] == 5 * RATIO_ONE
    assert alone.account(1).by_underlying[0][1] == INT64_MAX * 10**9


def test_a_greek_beyond_128_bits_is_refused_by_account() -> None:
    """The gamma of a short-dated option times the square of a huge index, in whole units."""
    market = small_market(quantity_exponent=0, indices={"BTC": 10**16})
    book = Portfolio(tuple((i, INT64_MAX) for i in (6, 8)))
    [(_, _, _, net)] = portfolio_greeks(market, book).by_underlying
    assert net.gamma_cash >= 2**127 > net.delta_cash
    with pytest.raises(OverflowMoneyError, match="account 1: gamma_cash does not fit 128 bits"):
        batch_greeks(market, *rows_of([Portfolio(()), book]))


def test_a_greek_of_one_unit_beyond_64_bits_is_refused_by_name() -> None:
    heavy = tuple(replaced(x, unit=10**17) if x.name == "USDC" else x for x in INSTRUMENTS)
    market = small_market(instruments=heavy)
    with pytest.raises(OverflowMoneyError, match="USDC: a Greek of one unit does not fit 64 bits"):
        batch_greeks(market, *rows_of([Portfolio(((1, 1),))]))
    check_equal_to_single([Portfolio(((2, 1),))], market)  # nobody holds it


@pytest.mark.parametrize("huge", [False, True])
def test_ties_go_to_even(huge: bool) -> None:
    """A lot is 1e-12 of a tenth of a coin: five lots have the delta 0.5e-12. With a huge neighbour: the same, in wide sums."""
    market = small_market(quantity_exponent=12)
    lots = [5, 15, 25, -5, -15, -25, 4, 6, -4, -6]
    books = [Portfolio(((5, q),)) for q in lots] + [Portfolio(((2, INT64_MIN),))] * huge
    assert unit_greeks(market, [5])[5].delta == RATIO_ONE // 10
    batch = check_equal_to_single(books, market)
    assert batch.reported("delta").tolist()[: len(lots)] == [0, 2, 2, 0, -2, -2, 0, 1, 0, -1]


def test_every_number_follows_from_its_definition() -> None:
    book = Portfolio(((2, 1_234), (7, -77), (8, 5_001)))
    unit = unit_greeks(MARKET, [i for i, _ in book.positions])
    index, lot = Fraction(MARKET.snapshot.index_price["BTC"], PRICE_ONE), 1_000
    exact = {g: Fraction(sum(q * getattr(unit[i], g) for i, q in book.positions), lot) for g in GREEKS[:5]}
    exact["delta_cash"] = exact["delta"] * index / 1_000
    exact["gamma_cash"] = exact["gamma"] * index**2 / 100 / 1_000
    batch = batch_greeks(MARKET, *rows_of([book]))
    assert {g: batch.reported(g).tolist() for g in GREEKS} == {g: [round(x)] for g, x in exact.items()}


def test_what_has_expired_and_the_numeraire_have_no_rows() -> None:
    usd, gone = MARKET.registry.index_of("USD"), MARKET.registry.index_of(EXPIRED)
    batch = check_equal_to_single([Portfolio(((usd, 7),)), Portfolio(((gone, INT64_MIN),)), Portfolio(((2, 1),))])
    assert batch.pointers.tolist() == [0, 0, 0, 1]


def test_positions_that_cancel_keep_their_row() -> None:
    batch = check_equal_to_single([Portfolio(((1, 3),)), Portfolio(((3, 0x7FFF), (4, -0x7FFF)))])
    assert batch.underlying.tolist() == [2, 0]
    assert repr(batch) == "BatchGreeks(<2 accounts>)"


def test_no_accounts_and_no_positions() -> None:
    assert len(check_equal_to_single([])) == 0
    batch = check_equal_to_single([Portfolio(())] * 3)
    assert batch.pointers.tolist() == [0] * 4
    assert batch.reported("gamma_cash").tolist() == []


def test_another_greek_is_refused() -> None:
    with pytest.raises(UnitError, match="greek: no Greek 'vanna'"):
        check_equal_to_single([]).reported("vanna")


def arrays(pointers: list[int], indices: list[int], lots: list[int]) -> tuple[Any, Any, Any]:
    return np.array(pointers, np.int64), np.array(indices, np.int32), np.array(lots, np.int64)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (arrays([0, 1, 3], [1, 2, 2], [1, 1, 1]), "account 1, row 1: not sorted by index, or an index twice"),
        (arrays([0, 2], [4, 1], [1, 1]), "account 0, row 1: not sorted by index"),
        (arrays([0, 0, 2], [0, 1], [1, 0]), "account 1, row 1: a position of zero lots"),
        (arrays([0, 1], [13], [1]), "account 0, row 0: the snapshot does not price instrument 13"),
        (arrays([0, 1, 2], [0, 14], [1, 1]), "account 1: no instrument at index 14"),
        (arrays([0, 2], [-1, 0], [1, 1]), "account 0: no instrument at index -1"),
    ],
)
def test_wrong_books_are_refused_by_account_and_row(book: tuple[Any, Any, Any], message: str) -> None:
    assert MARKET.registry.index_of(UNQUOTED) == 13
    with pytest.raises(PortfolioError) as caught:
        batch_greeks(MARKET, *book)
    assert message in str(caught.value)


def test_wrong_layouts_are_refused() -> None:
    with pytest.raises(UnitError, match="pointers do not cover the positions in order"):
        batch_greeks(MARKET, *arrays([0, 1], [0, 1], [1, 1]))
    with pytest.raises(UnitError, match="lots: 1 axes of float64"):
        batch_greeks(MARKET, np.array([0, 1]), np.array([0]), np.array([1.0]))


def test_64_bit_indices_give_the_same() -> None:
    pointers, indices, lots = rows_of([random_book(random.Random(1), MARKET, 5, 10**4)])
    short, long = (batch_greeks(MARKET, pointers, i, lots) for i in (indices, indices.astype(np.int64)))
    assert short.account(0) == long.account(0)


def test_the_same_integers_without_the_compiler() -> None:
    code = """
from test_batch_greeks import *
rng = random.Random(34)
check_equal_to_single([random_book(rng, MARKET, rng.randint(0, 9), 10 ** rng.randint(1, 18)) for _ in range(40)])
test_lots_near_64_bits_do_not_wrap()
test_ties_go_to_even(True)
print("same")
"""
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "same", done.stderr
