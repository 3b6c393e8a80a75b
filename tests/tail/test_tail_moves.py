"""Moves, full revaluation and measures against float64 readings, and the exactness of what is exact."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from tail_support import (
    DAY,
    FACTORS,
    SHARED,
    SPOT,
    TIME,
    float_filtered,
    float_paths,
    float_pnl,
    float_shortfall,
    made_history,
    some_book,
    tail_market,
)

from riskproof.errors import DomainError, HistoryError, ModelError, OverflowMoneyError, PortfolioError
from riskproof.market.importers.deribit import import_files
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, Payoff, Registry
from riskproof.market.snapshot import Quote, Snapshot
from riskproof.risk.kernel.twin import risk_entries_twin
from riskproof.risk.margin import exact_pnl
from riskproof.risk.tail import revaluation
from riskproof.risk.tail.estimators import shrunk_covariance
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.history_csv import import_closes, import_surface
from riskproof.risk.tail.measures import age_weights, expected_shortfall, liquidity_cascade, value_at_risk
from riskproof.risk.tail.moves import Moves, filtered_moves, from_logs, plain_moves
from riskproof.risk.tail.revaluation import Immovable, book_pnl, book_sums, tail_array
from riskproof.risk.tail.roots import nearest_root, root_up
from riskproof.risk.tail.simulation import monte_carlo_moves
from riskproof.units import RATIO_ONE

MARKET = tail_market()
HISTORY = made_history(120)
E9 = 1e-9


def close(exact: object, floating: object, scale: float) -> None:
    """Within 1e-9 of the scale of the numbers."""
    assert np.abs(np.asarray(exact, dtype=float) - np.asarray(floating, dtype=float)).max() <= E9 * scale


def test_plain_moves_are_ratios_to_the_nearest() -> None:
    for horizon in (1, 5):
        moves = plain_moves(HISTORY, horizon)
        assert len(moves) == len(HISTORY) - horizon
        assert moves.ids[0] == HISTORY.day(horizon).isoformat()
        for s, (before, after) in enumerate(
            zip(HISTORY.levels.tolist(), HISTORY.levels[horizon:].tolist(), strict=False)
        ):
            for f, (a, b) in enumerate(zip(before, after, strict=True)):
                assert abs(2 * (int(moves.ratios[s, f]) * a - b * RATIO_ONE)) <= a
    with pytest.raises(HistoryError, match=r"2 days are too few for moves over 2 days"):
        plain_moves(HISTORY.between(HISTORY.day(0), HISTORY.day(1)), 2)


def test_filtered_moves_agree_with_float64() -> None:
    moves = filtered_moves(HISTORY, 940_000_000_000, 20)
    assert moves.ids == tuple(HISTORY.day(n).isoformat() for n in range(21, 120))
    close(moves.ratios / 1e12, float_filtered(HISTORY.levels.astype(float), 0.94, 20), 1)


def test_the_last_move_is_rescaled_by_one_step_of_the_filter() -> None:
    """A quiet day before the end shrinks the moves before it, a wild one swells them."""
    levels = HISTORY.levels[:, :1].copy()
    quiet, wild = levels.copy(), levels.copy()
    quiet[-1], wild[-1] = levels[-2], levels[-2] * 11 // 10
    factors = FACTORS[:1]
    sizes = [
        np.abs(np.log(filtered_moves(History("x", HISTORY.start, factors, x), 900_000_000_000, 20).ratios[:-1] / 1e12)).sum()
        for x in (quiet, levels, wild)
    ]  # fmt: skip
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_filters_that_are_wrong() -> None:
    with pytest.raises(ModelError, match=r"filter\.decay: 1 is out of range"):
        filtered_moves(HISTORY, RATIO_ONE, 20)
    with pytest.raises(ModelError, match=r"filter\.seed_days: no seed days"):
        filtered_moves(HISTORY, 10**11, 0)
    with pytest.raises(HistoryError, match=r"119 moves are too few for 119 seed days"):
        filtered_moves(HISTORY, 10**11, 119)
    still = History("x", HISTORY.start, (Factor("BTC"),), np.full((30, 1), 10**12))
    with pytest.raises(HistoryError, match=r"price of BTC does not move on the seed days"):
        filtered_moves(still, 10**11, 5)


def test_moves_that_the_kernel_cannot_price_are_refused_by_name() -> None:
    for ratio, factor in ((99_999_999_999, 0), (10 * RATIO_ONE + 1, 0), (10 * RATIO_ONE + 1, 1), (-1, 1)):
        row = [RATIO_ONE] * len(FACTORS)
        row[factor] = ratio
        with pytest.raises(DomainError, match=rf"move crash: {FACTORS[factor]} moves by a factor of"):
            Moves(("crash",), FACTORS, np.array([row]))
    with pytest.raises(DomainError, match=r"moves by exp\(2.000000000001\)"):
        from_logs(("up",), FACTORS[:1], np.array([[2 * RATIO_ONE + 1]]))
    with pytest.raises(ModelError, match=r"0 joint moves"):
        Moves((), FACTORS, np.zeros((0, len(FACTORS)), dtype=np.int64))


def test_scaled_rows_are_exact() -> None:
    rng = random.Random(3)
    levels = np.array([rng.randrange(10 ** rng.randint(1, 16)) for _ in range(60)] + [0, 1, 5, 10**16], dtype=np.int64)
    halves = [500_000_000_000, 1_500_000_000_000, 0, 1, 10**13]  # ties with odd levels
    ratios = np.array([[r] for r in [rng.randrange(10**13) for _ in range(40)] + halves], dtype=np.int64)
    out = np.zeros((46, 64), dtype=np.int64)
    columns = np.zeros(64, dtype=np.int64)
    revaluation.scaled_rows(levels, columns, ratios, out)
    assert (out[0] == levels).all()
    for i, level in enumerate(levels.tolist()):
        for s, ratio in enumerate(ratios[:, 0].tolist()):
            assert out[s + 1, i] == round(Fraction(level * ratio, 10**12))  # ties to even
    plain = getattr(revaluation.scaled_rows, "py_func", revaluation.scaled_rows)
    again = np.zeros_like(out)
    plain(levels, columns, ratios, again)
    assert (again == out).all()


@pytest.mark.parametrize("shift", [0, DAY, 5 * DAY])
def test_revaluation_agrees_with_float64(shift: int) -> None:
    moves = plain_moves(HISTORY.between(HISTORY.day(0), HISTORY.day(25)))
    array = tail_array(MARKET, moves, bytes(32), time_shift_seconds=shift)
    ratios = moves.ratios / 1e12
    for i, x in enumerate(MARKET.registry.instruments):
        one = Portfolio.build([(i, 1_000)])
        close(array.rows[i] / 1e9, float_pnl(MARKET, one, FACTORS, ratios, shift), SPOT.get(x.underlying, 1))


def test_the_array_is_the_twins_and_does_not_depend_on_threads() -> None:
    moves = plain_moves(HISTORY.between(HISTORY.day(0), HISTORY.day(8)))
    array = tail_array(MARKET, moves, b"m" * 32, time_shift_seconds=DAY)
    assert array.model_digest == b"m" * 32
    asked: list[int] = []
    again = tail_array(MARKET, moves, b"m" * 32, time_shift_seconds=DAY, threads=3, cancel=lambda: asked.append(1))
    assert again.digest == array.digest
    assert asked
    base = revaluation._base(MARKET, moves, Immovable(), DAY, None)
    entries, values = risk_entries_twin(base.grid(np.arange(len(MARKET.registry))))
    assert array.entries.tolist() == entries
    assert array.base_value.tolist() == values


def test_a_book_is_revalued_alone_to_the_same_integers() -> None:
    moves = plain_moves(HISTORY)
    array = tail_array(MARKET, moves, bytes(32))
    for size in (1, 7, 40):
        book = some_book(MARKET, size, size)
        assert book_pnl(MARKET, moves, book) == exact_pnl(array.rows, book.positions)
    assert book_pnl(MARKET, moves, Portfolio(())) == [0] * len(moves)
    huge = Portfolio.build([(1, 2**62), (4, -(2**62))])
    assert book_sums(array.rows, huge.positions) == exact_pnl(array.rows, huge.positions)
    assert max(map(abs, book_pnl(MARKET, moves, huge))) > 2**63


def test_nothing_stays_where_it_is_by_accident() -> None:
    btc = made_history(10, factors=tuple(f for f in FACTORS if f.underlying == "BTC"))
    prices = made_history(10, factors=(Factor("BTC"), Factor("ETH")))
    with pytest.raises(
        ModelError, match=r"ETH: no move of the price of ETH .expected a factor in the moves, or .* unshocked"
    ):
        tail_array(MARKET, plain_moves(btc), bytes(32))
    with pytest.raises(ModelError, match=r"no move of the volatility of BTC .* constant_volatility"):
        tail_array(MARKET, plain_moves(prices), bytes(32))
    with pytest.raises(ModelError, match=r"no move of the volatility of BTC"):
        book_pnl(MARKET, plain_moves(prices), Portfolio.build([(10, 1)]))
    assert (
        len(book_pnl(MARKET, plain_moves(prices), Portfolio.build([(1, 1), (2, 1)]))) == 9
    )  # delta-one needs no volatility
    eth = [i for i, x in enumerate(MARKET.registry.instruments) if x.underlying == "ETH"]
    still = tail_array(MARKET, plain_moves(btc), bytes(32), Immovable(frozenset({"ETH"}), frozenset({"ETH"})))
    assert not still.rows[eth].any()
    assert not still.rows[0].any()  # cash
    with pytest.raises(ModelError, match=r"time_shift_seconds: out of range"):
        tail_array(MARKET, plain_moves(btc), bytes(32), time_shift_seconds=-1)


def test_volatilities_beyond_the_kernel_are_refused_by_name() -> None:
    row = [9 * RATIO_ONE if f == Factor("ETH", 30) else RATIO_ONE for f in FACTORS]
    moves = Moves(("spike",), FACTORS, np.array([row]))
    snapshot = MARKET.snapshot
    quotes = {x.name: q for x, q in zip(MARKET.registry.instruments, snapshot.quotes, strict=True) if q}
    name = next(x for x in quotes if x.startswith("ETH-1-"))
    quotes[name] = Quote(volatility=4 * RATIO_ONE)
    bare = Snapshot.build(MARKET.registry, TIME, "test", dict(snapshot.indices), list(snapshot.curves), quotes)
    with pytest.raises(DomainError, match=rf"move spike: {name}: volatility of 23[.0-9]+ .expected at most 20"):
        tail_array(Market(MARKET.registry, bare), moves, bytes(32))


def test_holdings_without_a_quote_and_amounts_without_a_word() -> None:
    snapshot = MARKET.snapshot
    quotes = {
        x.name: q for x, q in zip(MARKET.registry.instruments, snapshot.quotes, strict=True) if q and x.name != "BTC"
    }
    bare = Snapshot.build(MARKET.registry, TIME, "test", dict(snapshot.indices), list(snapshot.curves), quotes)
    market = Market(MARKET.registry, bare)
    with pytest.raises(PortfolioError, match=r"^BTC: the snapshot does not price this holding"):
        book_pnl(market, plain_moves(HISTORY), Portfolio.build([(1, 5)]))
    registry = Registry("USD", (Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, 10**12),), 12, 0)
    indices, quote = {"BTC": 10**14}, {"BTC": Quote(mark=10**14)}
    big = Market(registry, Snapshot.build(registry, TIME, "test", indices, [], quote))
    with pytest.raises(OverflowMoneyError, match=r"^BTC: value or P&L of one unit does not fit 64 bits"):
        tail_array(big, plain_moves(made_history(5, factors=(Factor("BTC"),))), bytes(32))


# Measures


def reference_shortfall(pnl: list[int], tail: Fraction, weights: list[int]) -> tuple[int, Fraction]:
    """By definition: the quantile from the distribution function, the mean from the area under the quantile function."""
    total = sum(weights)
    var = min(-x for x in pnl if sum(w for y, w in zip(pnl, weights, strict=True) if y < x) <= tail * total)
    area, used = Fraction(0), Fraction(0)
    for gain in sorted(set(pnl)):
        share = min(Fraction(sum(w for y, w in zip(pnl, weights, strict=True) if y == gain), total), tail - used)
        area, used = area - gain * share, used + share
    return var, area / tail


@pytest.mark.parametrize("seed", range(40))
def test_measures_are_their_definitions(seed: int) -> None:
    rng = random.Random(seed)
    pnl = [rng.randint(-20, 20) * 10 ** rng.randint(0, 20) for _ in range(rng.randint(1, 30))]  # many ties
    weights = [rng.randint(1, 9) for _ in pnl] if seed % 2 else None
    tail = rng.choice([1, 25 * 10**9, 10**11, RATIO_ONE // 3, RATIO_ONE - 1, rng.randrange(1, RATIO_ONE)])
    var, shortfall = reference_shortfall(pnl, Fraction(tail, RATIO_ONE), weights or [1] * len(pnl))
    assert value_at_risk(pnl, tail, weights) == var
    assert expected_shortfall(pnl, tail, weights) == shortfall
    order = list(range(len(pnl)))
    rng.shuffle(order)
    mixed = [pnl[n] for n in order], tail, [weights[n] for n in order] if weights else None
    assert expected_shortfall(*mixed) == shortfall  # the order of ties, and of everything, is nothing


@pytest.mark.parametrize("seed", range(20))
def test_shortfall_is_the_optimum_of_its_linear_programme(seed: int) -> None:
    """Rockafellar and Uryasev: convex and piecewise linear in t with corners at the losses, so the least corner is the optimum."""
    rng = random.Random(seed)
    pnl = [rng.randint(-1_000, 1_000) for _ in range(50)]
    weights = [rng.randint(1, 5) for _ in pnl]
    tail = rng.randrange(10**10, 9 * 10**11)
    mass = Fraction(tail * sum(weights), RATIO_ONE)

    def objective(t: int) -> Fraction:
        return t + sum(w * max(-x - t, 0) for x, w in zip(pnl, weights, strict=True)) / mass

    assert min(map(objective, {-x for x in pnl})) == expected_shortfall(pnl, tail, weights)
    assert objective(value_at_risk(pnl, tail, weights)) == expected_shortfall(pnl, tail, weights)


def test_shortfall_is_coherent_where_value_at_risk_is_not() -> None:
    a, b = [-100] + [1] * 24, [1] * 24 + [-100]
    both = [x + y for x, y in zip(a, b, strict=True)]
    tail = 5 * 10**10
    assert value_at_risk(both, tail) > value_at_risk(a, tail) + value_at_risk(b, tail)
    assert expected_shortfall(both, tail) <= expected_shortfall(a, tail) + expected_shortfall(b, tail)


@pytest.mark.parametrize(
    ("pnl", "tail", "weights", "message"),
    [
        ([], 10**10, None, "no scenario"),
        ([1], 0, None, r"measure\.tail: 0 is out of range"),
        ([1], RATIO_ONE, None, r"measure\.tail: 1 is out of range"),
        ([1, 2], 10**10, [1], "2 positive integers"),
        ([1, 2], 10**10, [1, 0], "2 positive integers"),
    ],
)
def test_measures_of_nothing(pnl: list[int], tail: int, weights: list[int] | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        expected_shortfall(pnl, tail, weights)


def test_age_weights() -> None:
    assert age_weights(3, RATIO_ONE) == [RATIO_ONE] * 3
    weights = age_weights(500, 980_000_000_000)
    close(np.array(weights) / 1e12, 0.98 ** np.arange(499, -1, -1), 1)
    with pytest.raises(ModelError, match=r"the oldest of 500 scenarios weighs nothing"):
        age_weights(500, 5 * 10**11)
    for decay in (0, RATIO_ONE + 1):
        with pytest.raises(ModelError, match=r"weight_decay"):
            age_weights(3, decay)


def test_cascade_of_liquidity_horizons() -> None:
    shortfalls = [(10, Fraction(100)), (20, Fraction(60)), (60, Fraction(25)), (120, Fraction(-7))]
    square = liquidity_cascade(shortfalls, 10)
    assert square == 100**2 + 60**2 * 1 + 25**2 * 4
    assert root_up(square) == 127  # 126.99 rounded up
    assert (
        liquidity_cascade([(1, Fraction(10)), (25, Fraction(10))], 1) == (10 * 5) ** 2
    )  # all factors: the root of time


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 8, 9, 10**30, 10**30 + 1])
def test_roots(n: int) -> None:
    for d in (1, 2, 3, 7, 10**20):
        root = nearest_root(n, d)
        assert (2 * root - 1) ** 2 * d <= 4 * n or root == 0
        assert 4 * n < (2 * root + 1) ** 2 * d
        up = root_up(Fraction(n, d))
        assert up * up * d >= n
        assert up == 0 or (up - 1) ** 2 * d < n


@pytest.mark.parametrize("method", ["plain", "filtered", "monte_carlo"])
def test_value_at_risk_and_shortfall_agree_with_float64_end_to_end(method: str) -> None:
    if method == "plain":
        moves, ratios = plain_moves(HISTORY), np.exp(np.diff(np.log(HISTORY.levels.astype(float)), axis=0))
    elif method == "monte_carlo":
        document = shrunk_covariance(HISTORY).to_correlation("shrunk", "of the made history")
        moves, ratios = monte_carlo_moves(document, 3, 120, antithetic=False), float_paths(document, 3, 120)
    else:
        moves = filtered_moves(HISTORY, 970_000_000_000, 30)
        ratios = float_filtered(HISTORY.levels.astype(float), 0.97, 30)
    for seed in range(4):
        book = some_book(MARKET, 12, seed)
        pnl = book_pnl(MARKET, moves, book)
        floating = float_pnl(MARKET, book, FACTORS, ratios)
        scale = np.abs(floating).max()
        close(np.array([float(x) for x in pnl]) / 1e12, floating, scale)
        weights = age_weights(len(pnl), 990_000_000_000)
        for tail in (25 * 10**9, 10**11):
            var, shortfall = float_shortfall(floating, tail / 1e12, 0.99 ** np.arange(len(pnl) - 1, -1, -1))
            close(value_at_risk(pnl, tail, weights) / 1e12, var, scale)
            close(float(expected_shortfall(pnl, tail, weights)) / 1e12, shortfall, scale)


def test_the_real_chain_under_the_real_surface() -> None:
    files = [SHARED / "deribit_options_20260205T212937Z.csv", SHARED / "deribit_futures_perp.csv"]
    surface = SHARED / "deribit_surface_history.csv"
    if not all(f.exists() for f in (*files, surface)):
        pytest.skip("needs the real chains and surfaces of ../shared/market")
    market = import_files([(f.name, f.read_bytes()) for f in files])
    history = import_surface(surface.read_bytes(), surface.name, ["BTC", "ETH"])
    moves = plain_moves(history)
    array = tail_array(market, moves, bytes(32))
    assert array.rows.shape == (len(market.registry), 235)
    perpetual = market.registry.index_of("BTC-PERPETUAL")
    assert moves.ids[int(array.rows[perpetual].argmin())] == "2026-02-05"  # the crash
    book = Portfolio.build((i, random.Random(i).randint(-9_000, 9_000)) for i in range(0, len(array.rows), 11))
    pnl = book_pnl(market, moves, book)
    assert pnl == exact_pnl(array.rows, book.positions)
    shortfalls = [expected_shortfall(pnl, tail) for tail in (10**9, 10**10, 25 * 10**9, 5 * 10**10, 10**11)]
    assert all(a >= b for a, b in pairwise(shortfalls))
    assert shortfalls[0] == -min(pnl)
    levels = history.levels.astype(float)
    for found, ratios in (
        (moves, np.exp(np.diff(np.log(levels), axis=0))),
        (filtered_moves(history, 940_000_000_000, 30), float_filtered(levels, 0.94, 30)),
    ):
        one = 10.0 ** (market.registry.money_exponent + market.registry.quantity_exponent)
        exact, floating = book_pnl(market, found, book), float_pnl(market, book, found.factors, ratios)
        scale = np.abs(floating).max()
        close(np.array([float(x) for x in exact]) / one, floating, scale)
        var, shortfall = float_shortfall(floating, 0.025)
        close(value_at_risk(exact, 25 * 10**9) / one, var, scale)
        close(float(expected_shortfall(exact, 25 * 10**9)) / one, shortfall, scale)


@pytest.mark.parametrize("method", ["plain", "filtered"])
def test_the_real_closes_agree_with_float64(method: str) -> None:
    path = SHARED / "daily_closes.csv"
    if not path.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    history = import_closes(path.read_bytes(), path.name, ["BTC", "ETH"])
    levels = history.levels.astype(float)
    if method == "plain":
        moves, ratios = plain_moves(history), np.exp(np.diff(np.log(levels), axis=0))
    else:
        moves, ratios = filtered_moves(history, 970_000_000_000, 250), float_filtered(levels, 0.97, 250)
    still = Immovable(volatilities=frozenset({"BTC", "ETH"}))
    names = [x.name for x in MARKET.registry.instruments]
    option = next(i for i, x in enumerate(names) if x.startswith("BTC-1-") and x.endswith("-P"))
    book = Portfolio.build([(names.index("BTC-PERP"), 700), (names.index("ETH"), -2_000), (option, -900)])
    pnl = book_pnl(MARKET, moves, book, still)
    wide = np.ones((len(ratios), len(FACTORS)))
    wide[:, [n for n, f in enumerate(FACTORS) if f.is_price]] = ratios
    floating = float_pnl(MARKET, book, FACTORS, wide)
    scale = np.abs(floating).max()
    close(np.array([float(x) for x in pnl]) / 1e12, floating, scale)
    for tail in (10**10, 25 * 10**9):
        var, shortfall = float_shortfall(floating, tail / 1e12)
        close(value_at_risk(pnl, tail) / 1e12, var, scale)
        close(float(expected_shortfall(pnl, tail)) / 1e12, shortfall, scale)
