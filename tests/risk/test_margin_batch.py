"""Margin of many accounts: the same integers as one at a time on all three paths, whatever the threads and the compiler."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from risk_books import UNQUOTED, holdable, random_book, rows_of, small_market

from riskproof.errors import ModelError, OverflowMoneyError, PortfolioError, UnitError
from riskproof.market.portfolio import Portfolio
from riskproof.risk import accumulate
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margin import exact_pnl, worst_scenario
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import evaluate, evaluate_batch
from riskproof.units import INT64_MAX, INT64_MIN

MODEL = load_model("crypto-pm")
MARKET = small_market()
ARRAY = compute_array(MARKET, MODEL)
ROOT = Path(__file__).resolve().parents[2]


def array_of(rows: list[list[int]], buffer: list[int] | None = None, exponents: tuple[int, int] = (6, 3)) -> RiskArray:
    """A risk array of given rows, for sums that no real market reaches."""
    count = len(rows)
    per_unit = np.array([0] * count if buffer is None else buffer, dtype=np.int64)
    matrix = np.array(rows, dtype=np.int64)
    status = np.ones(count, dtype=np.int8)
    return RiskArray(b"", b"", MODEL.digest, "", *exponents, matrix, np.zeros(count, dtype=np.int64), per_unit, status)


def check_equal_to_single(books: list[Portfolio], array: RiskArray = ARRAY, threads: int = 1) -> None:
    batch = evaluate_batch(array, MODEL, *rows_of(books), threads=threads)
    assert len(batch) == len(books)
    for a, book in enumerate(books):
        one = evaluate(MARKET, MODEL, array, book, with_greeks=False)
        assert batch.worst_index[a] == one.worst_index
        assert batch.worst_pnl(a) == one.pnl[one.worst_index]
        assert batch.worst_pnl_micros[a] == one.pnl_micros[one.worst_index]
        assert batch.initial_margin_micros[a] == one.initial_margin_micros
        assert batch.maintenance_margin_micros[a] == one.maintenance_margin_micros


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batch_equals_single(threads: int) -> None:
    rng = random.Random(11)
    books = [random_book(rng, MARKET, rng.randint(0, len(holdable(MARKET))), 10**6) for _ in range(300)]
    check_equal_to_single(books, threads=threads)


def test_batch_equals_single_with_huge_lots() -> None:
    rng = random.Random(12)
    books = []
    while len(books) < 60:
        book = random_book(rng, MARKET, rng.randint(1, 8), 10 ** rng.randint(6, 14))
        try:
            evaluate(MARKET, MODEL, ARRAY, book, with_greeks=False)
        except OverflowMoneyError:
            continue
        books.append(book)
    assert accumulate.WIDE in kinds(ARRAY, [list(book.positions) for book in books])
    check_equal_to_single(books)


def literal_batch(array: RiskArray, books: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    pnl = [exact_pnl(array.rows, book) for book in books]
    return [(worst_scenario(x), min(x)) for x in pnl]


def test_sums_are_exact_up_to_the_edge_of_128_bits() -> None:
    """Rows and lots of all sizes up to +-2^63 that cancel to something reportable, or not (exponents 15 + 12)."""
    rng = random.Random(13)
    sizes = [0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**62, INT64_MAX, INT64_MIN, INT64_MIN + 1]

    def number() -> int:
        if rng.random() < 0.5:
            return rng.choice(sizes) * (1 if rng.random() < 0.5 else -1) % 2**64 - 2**63
        return rng.randint(INT64_MIN, INT64_MAX) >> rng.randint(0, 62)

    rows = [[number() for _ in range(7)] for _ in range(12)]
    array = array_of(rows, exponents=(15, 12))
    books = []
    for _ in range(2_000):
        held = sorted(rng.sample(range(12), rng.randint(1, 12)))
        books.append([(i, number() or 1) for i in held])
    literal = literal_batch(array, books)
    refused = 0
    for book, (index, exact) in zip(books, literal, strict=True):
        arguments = rows_of([Portfolio(tuple(book))])
        if exact >= -(2**127) and exact >= -(2**63) * 10**21 and -exact * 5 <= INT64_MAX * 4 * 10**21:
            batch = evaluate_batch(array, MODEL, *arguments)
            assert (int(batch.worst_index[0]), batch.worst_pnl(0)) == (index, exact)
        else:
            refused += 1
            with pytest.raises(OverflowMoneyError, match="account 0: "):
                evaluate_batch(array, MODEL, *arguments)
    assert 0 < refused < len(books) / 2
    paths = kinds(array, books)
    assert min(paths.count(kind) for kind in (accumulate.WIDE, accumulate.BEYOND)) > 50


def kinds(array: RiskArray, books: list[list[tuple[int, int]]]) -> list[int]:
    """Which path each account takes."""
    pointers, indices, lots = rows_of([Portfolio(tuple(b)) for b in books])
    count = len(books)
    out, worst = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.int32)
    pnl, buffers = np.zeros((2, count), dtype=np.int64), np.zeros(count, dtype=np.int64)
    book = 0, count, pointers, indices, lots, array.rows, array.buffer
    assert accumulate.worst_fast(*book, *accumulate.fast_weights(array.bounds), out, worst, pnl, buffers) == -1
    assert accumulate.worst_wide(*book, out, worst, pnl) == -1
    return out.tolist()


def test_the_64_bit_edge_is_where_it_says() -> None:
    """Bound 3 * 2^30: 2,863,311,530 lots still surely fit 2^63 - 2, one more may not. Another 1,024th of it weighs one."""
    rows = [[-(2 * 2**30), 5], [7, -1], [3 * 2**20, 0], [3 * 2**20 + 1, 2], [3, 4]]
    array = array_of(rows, buffer=[2**30, 0, 0, 0, 0])
    weights, limit = accumulate.fast_weights(array.bounds)
    assert (weights.tolist(), limit) == ([1024, 1, 1, 2, 1], (2**63 - 2) // (3 * 2**20))
    most, rest = divmod(limit, 1024)
    assert most == (2**63 - 2) // (3 * 2**30)
    for split in ([most, rest], [most - 1, rest + 1018, 1, 2, 1]):
        at, beyond = list(enumerate(split)), list(enumerate(split))
        beyond[-1] = (beyond[-1][0], beyond[-1][1] + 1)
        assert kinds(array, [at, beyond]) == [accumulate.FAST, accumulate.WIDE]
        for book in (at, beyond):
            batch = evaluate_batch(array, MODEL, *rows_of([Portfolio(tuple(book))]))
            [(index, exact)] = literal_batch(array, [book])
            assert (batch.worst_index[0], batch.worst_pnl(0)) == (index, exact)
            requirement = -exact + book[0][1] * 2**30
            assert batch.maintenance_margin_micros[0] == -(-requirement // 1_000)


def test_what_cannot_lose_takes_no_room() -> None:
    """Cash has no P&L: however much of it, an account stays on the 64-bit path; up to 2^50 lots."""
    array = array_of([[0, 0], [-(10**15), 5]], exponents=(15, 12))
    weights, _ = accumulate.fast_weights(array.bounds)
    assert weights.tolist() == [0, 1024]
    for cash, path in ((2**50 - 1, accumulate.FAST), (-(2**50) + 1, accumulate.FAST), (2**50, accumulate.WIDE)):
        book = [(0, cash), (1, 9_000)]
        assert kinds(array, [book]) == [path]
        assert evaluate_batch(array, MODEL, *rows_of([Portfolio(tuple(book))])).worst_pnl(0) == -9 * 10**18
    assert kinds(array, [[(0, 7), (1, 9_300)]]) == [accumulate.WIDE]


def test_weights_never_understate_a_bound() -> None:
    rng = random.Random(3)
    for _ in range(300):
        size = rng.choice([0, 1, 2, 5, 1023, 1024, 1025, 10**6, 2**40, INT64_MAX])
        bounds = np.array([size, *(rng.randint(0, size) for _ in range(5))], dtype=np.int64)
        weights, limit = accumulate.fast_weights(bounds)
        assert limit <= accumulate.LIMIT_MAX
        assert 0 <= weights.min() <= weights.max() <= 1024
        for bound, weight in zip(bounds.tolist(), weights.tolist(), strict=True):
            assert (weight == 0) == (bound == 0)
            assert weight == 0 or limit // weight * bound <= 2**63 - 2
    assert accumulate.fast_weights(np.zeros(0, dtype=np.int64))[1] == accumulate.LIMIT_MAX


def test_the_smallest_integers_do_not_wrap() -> None:
    array = array_of([[INT64_MIN, 0, INT64_MAX], [INT64_MAX, INT64_MIN, 0]], exponents=(15, 12))
    cases = [
        [(0, INT64_MIN)],
        [(0, INT64_MAX)],
        [(0, INT64_MIN), (1, INT64_MIN)],
        [(0, 1), (1, 1)],
        [(0, -1), (1, INT64_MIN)],
        [(1, INT64_MIN)],
    ]
    for book in cases:
        [(index, exact)] = literal_batch(array, [book])
        batch = evaluate_batch(array, MODEL, *rows_of([Portfolio(tuple(book))]))
        assert (batch.worst_index[0], batch.worst_pnl(0)) == (index, exact), book


def test_books_beyond_128_bit_bounds_take_plain_integers() -> None:
    array = array_of([[INT64_MAX, 1], [INT64_MIN, -1], [0, -5]], exponents=(15, 12))
    near = [(0, INT64_MAX), (1, INT64_MAX)]  # the two cancel but for the last bit
    paths = [accumulate.BEYOND, accumulate.WIDE, accumulate.FAST]
    assert kinds(array, [near, [(0, 1)], [(2, 1)]]) == paths
    batch = evaluate_batch(array, MODEL, *rows_of([Portfolio(tuple(near))]))
    assert batch.worst_pnl(0) == -INT64_MAX
    far = array_of([[INT64_MIN], [INT64_MIN], [INT64_MIN]], exponents=(15, 12))
    with pytest.raises(OverflowMoneyError, match="account 0: P&L does not fit 128 bits"):
        evaluate_batch(far, MODEL, *rows_of([Portfolio(((0, INT64_MAX), (1, INT64_MAX), (2, INT64_MAX)))]))


def test_a_margin_beyond_64_bits_of_micros_names_the_account() -> None:
    array = array_of([[-(10**15)]])
    books = [Portfolio(((0, 1),)), Portfolio(((0, 10**7),))]
    with pytest.raises(OverflowMoneyError, match="account 1: amount does not fit 64 bits in micros"):
        evaluate_batch(array, MODEL, *rows_of(books))


def test_ties_name_the_first_scenario_on_every_path() -> None:
    for scale in (1, 10**6, 10**12):
        array = array_of([[3 * scale, -scale, -scale, 0], [-3 * scale, 5, 5, 5]], exponents=(15, 12))
        for lots in (1, 10**10):
            batch = evaluate_batch(array, MODEL, *rows_of([Portfolio(((0, lots),)), Portfolio(())]))
            assert batch.worst_index.tolist() == [1, 0]


def test_no_accounts() -> None:
    batch = evaluate_batch(ARRAY, MODEL, *rows_of([]))
    assert len(batch) == 0
    assert repr(batch) == "BatchRisk(<0 accounts>)"


def arrays(pointers: list[int], indices: list[int], lots: list[int]) -> tuple[Any, Any, Any]:
    return np.array(pointers, np.int64), np.array(indices, np.int32), np.array(lots, np.int64)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (arrays([0, 1, 3], [1, 2, 2], [1, 1, 1]), "account 1, row 1: not sorted by index, or an index twice"),
        (arrays([0, 5], [0, 1, 2, 4, 3], [1] * 5), "account 0, row 4: not sorted by index"),
        (arrays([0, 0, 5], [4, 1, 2, 3, 5], [1] * 5), "account 1, row 1: not sorted by index"),
        (arrays([0, 4], [0, 1, 2, 3], [1, 0, 1, 1]), "account 0, row 1: a position of zero lots"),
        (arrays([0, 1], [0], [0]), "account 0, row 0: a position of zero lots"),
        (arrays([0, 1], [13], [1]), "account 0, row 0: the snapshot does not price instrument 13"),
        (arrays([0, 4], [0, 1, 2, 13], [1] * 4), "account 0, row 3: the snapshot does not price instrument 13"),
        (arrays([0, 1, 2], [0, 14], [1, 1]), "account 1: no instrument at index 14"),
        (arrays([0, 2], [-1, 0], [1, 1]), "account 0: no instrument at index -1"),
        (arrays([0, 2], [2, 2], [10**18, 10**18]), "account 0, row 1: not sorted by index"),
        (arrays([0, 2], [2, 13], [10**18, 10**18]), "account 0, row 1: the snapshot does not price instrument 13"),
    ],
)
def test_wrong_books_are_refused_by_account_and_row(book: tuple[Any, Any, Any], message: str) -> None:
    assert MARKET.registry.index_of(UNQUOTED) == 13
    with pytest.raises(PortfolioError) as caught:
        evaluate_batch(ARRAY, MODEL, *book)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (arrays([], [], []), "pointers: pointers do not cover the positions in order"),
        (arrays([0, 1], [0, 1], [1, 1]), "pointers do not cover the positions in order"),
        (arrays([1, 2], [0, 1], [1, 1]), "pointers do not cover the positions in order"),
        (arrays([0, 2, 1, 2], [0, 1], [1, 1]), "pointers do not cover the positions in order"),
        (arrays([0, 2], [0, 1], [1]), "lots: 1 lots"),
        ((np.array([0, 1]), np.array([0], np.uint8), np.array([1])), "indices: 1 axes of uint8"),
        ((np.array([0, 1]), np.array([0]), np.array([1.0])), "lots: 1 axes of float64"),
        ((np.array([[0, 1]]), np.array([0]), np.array([1])), "pointers: 2 axes of int64"),
    ],
)
def test_wrong_layouts_are_refused(book: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(UnitError) as caught:
        evaluate_batch(ARRAY, MODEL, *book)
    assert message in str(caught.value)


def test_another_model_is_refused() -> None:
    other = RiskModel.from_document(MODEL.to_document() | {"name": "other"})
    with pytest.raises(ModelError, match="computed under another model"):
        evaluate_batch(ARRAY, other, *rows_of([]))


def test_64_bit_indices_give_the_same() -> None:
    pointers, indices, lots = rows_of([random_book(random.Random(1), MARKET, 5, 10**4)])
    short, long = (evaluate_batch(ARRAY, MODEL, pointers, i, lots) for i in (indices, indices.astype(np.int64)))
    assert short.worst_pnl(0) == long.worst_pnl(0)


def test_the_same_integers_without_the_compiler() -> None:
    code = """
import random
from test_margin_batch import *
rng = random.Random(2)
books = [random_book(rng, MARKET, rng.randint(0, 9), 10 ** rng.randint(1, 9)) for _ in range(40)]
check_equal_to_single(books)
test_the_64_bit_edge_is_where_it_says()
test_what_cannot_lose_takes_no_room()
test_the_smallest_integers_do_not_wrap()
test_books_beyond_128_bit_bounds_take_plain_integers()
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
