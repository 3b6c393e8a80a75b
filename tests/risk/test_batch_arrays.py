"""Whole P&L arrays of many accounts: the same integers as one at a time on all three paths."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from risk_books import EXPIRED, UNQUOTED, holdable, random_book, rows_of, small_market
from test_margin_batch import array_of, kinds

from riskproof.errors import OverflowMoneyError, PortfolioError
from riskproof.market.portfolio import Portfolio
from riskproof.risk import accumulate
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margin import exact_pnl
from riskproof.risk.model import load_model
from riskproof.risk.portfolio_risk import BatchArrays, evaluate, evaluate_batch
from riskproof.units import INT64_MAX, INT64_MIN

MODEL = load_model("crypto-pm")
MARKET = small_market()
ARRAY = compute_array(MARKET, MODEL)
ROOT = Path(__file__).resolve().parents[2]


def arrays_of(books: list[Portfolio], array: RiskArray = ARRAY, threads: int = 1) -> BatchArrays:
    """The arrays; and all else is what it is without them."""
    rows = rows_of(books)
    batch = evaluate_batch(array, MODEL, *rows, with_arrays=True, threads=threads)
    plain = evaluate_batch(array, MODEL, *rows)
    assert plain.arrays is None
    for name in (
        "worst_index",
        "worst_high",
        "worst_low",
        "worst_pnl_micros",
        "initial_margin_micros",
        "maintenance_margin_micros",
    ):
        assert (getattr(batch, name) == getattr(plain, name)).all(), name
    assert batch.arrays is not None
    assert batch.arrays.pnl_exponent == batch.pnl_exponent == array.pnl_exponent
    return batch.arrays


def check_equal_to_single(books: list[Portfolio], threads: int = 1) -> None:
    arrays = arrays_of(books, threads=threads)
    assert arrays.high.shape == arrays.low.shape == arrays.pnl_micros.shape == (len(books), len(MODEL.scenarios))
    assert (arrays.high.dtype, arrays.low.dtype, arrays.pnl_micros.dtype) == (np.int64, np.uint64, np.int64)
    for a, book in enumerate(books):
        one = evaluate(MARKET, MODEL, ARRAY, book, with_greeks=False)
        assert arrays.pnl(a) == one.pnl
        assert arrays.pnl_micros[a].tolist() == list(one.pnl_micros)


def reportable(rng: random.Random, count: int, least: int, most: int) -> list[Portfolio]:
    """Random books of up to 10^least .. 10^most lots that `evaluate` does not refuse."""
    books: list[Portfolio] = []
    while len(books) < count:
        book = random_book(rng, MARKET, rng.randint(1, len(holdable(MARKET))), 10 ** rng.randint(least, most))
        try:
            evaluate(MARKET, MODEL, ARRAY, book, with_greeks=False)
        except OverflowMoneyError:
            continue
        books.append(book)
    return books


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_arrays_equal_single(threads: int) -> None:
    rng = random.Random(21)
    books = [Portfolio(()), *reportable(rng, 120, 0, 6), Portfolio(()), *reportable(rng, 80, 9, 14), Portfolio(())]
    paths = kinds(ARRAY, [list(book.positions) for book in books])
    assert min(paths.count(accumulate.FAST), paths.count(accumulate.WIDE)) > 30
    check_equal_to_single(books, threads)


def test_empty_books_and_expired_holdings_have_no_pnl() -> None:
    expired = Portfolio(((MARKET.registry.index_of(EXPIRED), INT64_MIN),))
    arrays = arrays_of([Portfolio(()), expired])
    check_equal_to_single([Portfolio(()), expired])
    assert not arrays.pnl_micros.any()
    assert not arrays.high.any()
    assert not arrays.low.any()


def test_no_accounts() -> None:
    arrays = arrays_of([])
    assert len(arrays) == 0
    assert arrays.pnl_micros.shape == (0, len(MODEL.scenarios))
    assert repr(arrays) == f"BatchArrays(<0 accounts, {len(MODEL.scenarios)} scenarios>)"


def test_unpriced_holdings_are_refused() -> None:
    unpriced = MARKET.registry.index_of(UNQUOTED)
    for lots in (1, 10**18):
        books = [Portfolio(((0, 1),)), Portfolio(((2, 5), (unpriced, lots)))]
        with pytest.raises(PortfolioError, match="account 1, row 1: the snapshot does not price instrument 13"):
            evaluate_batch(ARRAY, MODEL, *rows_of(books), with_arrays=True)


def test_arrays_are_exact_with_entries_and_lots_up_to_64_bits() -> None:
    """Rows and lots of all sizes up to +-2^63; exponents 15 + 12 report up to 9.2e39 exactly."""
    rng = random.Random(22)
    edges = [1, -1, 2**32, -(2**32), 2**62, INT64_MAX, INT64_MIN, INT64_MIN + 1]

    def number() -> int:
        return rng.choice(edges) if rng.random() < 0.5 else rng.randint(INT64_MIN, INT64_MAX) >> rng.randint(0, 62)

    array = array_of([[number() for _ in range(5)] for _ in range(9)], exponents=(15, 12))
    books: list[Portfolio] = []
    refused = 0
    for _ in range(800):
        held = sorted(rng.sample(range(9), rng.randint(1, 9)))
        book = Portfolio(tuple((i, number() or 1) for i in held))
        exact = exact_pnl(array.rows, book.positions)
        if all(-(2**127) <= x < 2**127 for x in exact) and min(exact) > -(2**62) * 10**21:
            books.append(book)
        else:
            refused += 1
            with pytest.raises(OverflowMoneyError, match="account 0"):
                evaluate_batch(array, MODEL, *rows_of([book]), with_arrays=True)
    assert 0 < refused < len(books)
    paths = kinds(array, [list(book.positions) for book in books])
    assert min(paths.count(kind) for kind in (accumulate.WIDE, accumulate.BEYOND)) > 50
    arrays = arrays_of(books, array)
    for a, book in enumerate(books):
        exact = exact_pnl(array.rows, book.positions)
        assert list(arrays.pnl(a)) == exact
        assert arrays.pnl_micros[a].tolist() == [x // 10**21 for x in exact]


def test_a_gain_that_does_not_fit_is_refused_by_account_and_scenario() -> None:
    second = MODEL.scenarios[1].id
    array = array_of([[0, 10**15], [0, 1]])
    books = [Portfolio(((1, 1),)), Portfolio(((0, 10**7),))]
    assert evaluate_batch(array, MODEL, *rows_of(books)).worst_pnl_micros.tolist() == [0, 0]
    message = f"account 1, scenario {second}: amount does not fit 64 bits in micros".replace("+", r"\+")
    with pytest.raises(OverflowMoneyError, match=message):
        evaluate_batch(array, MODEL, *rows_of(books), with_arrays=True)

    far = array_of([[0, INT64_MAX]] * 3, exponents=(15, 12))
    book = Portfolio(tuple((i, INT64_MAX) for i in range(3)))
    message = f"account 0, scenario {second}: P&L does not fit 128 bits".replace("+", r"\+")
    with pytest.raises(OverflowMoneyError, match=message):
        evaluate_batch(far, MODEL, *rows_of([book]), with_arrays=True)


def test_amounts_coarser_than_micros_are_exact_or_refused() -> None:
    """m + e = 4: a reported P&L is a hundred times the exact one."""
    array = array_of([[INT64_MAX // 100, INT64_MIN // 100 + 1, -7], [3, -2, 1]], exponents=(4, 0))
    arrays = arrays_of([Portfolio(((1, 5),))], array)
    assert arrays.pnl_micros.tolist() == [[1_500, -1_000, 500]]
    whole = array_of([[INT64_MAX // 100, 0]], exponents=(4, 0))
    assert arrays_of([Portfolio(((0, 1),))], whole).pnl_micros.tolist() == [[INT64_MAX // 100 * 100, 0]]
    with pytest.raises(OverflowMoneyError, match="account 0, scenario"):
        evaluate_batch(whole, MODEL, *rows_of([Portfolio(((0, 2),))]), with_arrays=True)


def test_the_same_integers_without_the_compiler() -> None:
    code = """
from test_batch_arrays import *
rng = random.Random(23)
check_equal_to_single([*reportable(rng, 12, 0, 4), Portfolio(()), *reportable(rng, 8, 9, 14)])
test_a_gain_that_does_not_fit_is_refused_by_account_and_scenario()
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
