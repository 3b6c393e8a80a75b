"""Correlation documents, floors and ceilings, intervals; Monte Carlo and common-factor scenarios."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from tail_support import FACTORS, philox

from riskproof.errors import DomainError, ModelError
from riskproof.risk.kernel import black76
from riskproof.risk.tail.correlation import Correlation, clipped, worst_over_interval
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.linear import cholesky, is_positive_semidefinite
from riskproof.risk.tail.simulation import STREAM, common_factor_moves, monte_carlo_moves, normals, quantile, words
from riskproof.units import RATIO_ONE

ONE = RATIO_ONE
PRICES = (Factor("BTC"), Factor("ETH"), Factor("SOL"))


def rows(*below: tuple[float, ...]) -> tuple[tuple[int, ...], ...]:
    """A correlation matrix from the entries below its diagonal."""
    count = len(below) + 1
    full = np.eye(count)
    for n, row in enumerate(below, start=1):
        full[n, : len(row)] = full[: len(row), n] = row
    return tuple(tuple(round(x * ONE) for x in row) for row in full)


def correlation(matrix: tuple[tuple[int, ...], ...], factors: tuple[Factor, ...] = PRICES) -> Correlation:
    return Correlation("test", "made for a test", factors, (25 * 10**9,) * len(factors), matrix)


GOOD = rows((0.8,), (0.6, 0.7))
BAD = rows((0.9,), (0.9, -0.9))


def test_documents_round_trip_and_have_their_own_digest() -> None:
    made = correlation(GOOD)
    assert Correlation.from_bytes(made.to_bytes()) == made
    assert made.digest != correlation(rows((0.8,), (0.6, 0.700000000001))).digest


def test_a_matrix_that_is_not_positive_semidefinite_is_refused_with_its_eigenvalue() -> None:
    least = np.linalg.eigvalsh(np.array(BAD) / 1e12)[0]
    with pytest.raises(
        ModelError, match=rf"correlations: not positive semi-definite: the least eigenvalue is {least:.3g} "
    ) as caught:
        correlation(BAD)
    assert caught.value.where == "correlations"
    assert f"{least:.3g}" == "-0.8"


def test_the_decision_has_no_tolerance() -> None:
    """Perfect correlation is semi-definite; a millionth of a millionth on the wrong side is not."""
    assert is_positive_semidefinite(rows((1.0,), (1.0, 1.0)))
    edge = [[ONE, ONE, ONE - 1], [ONE, ONE, ONE], [ONE - 1, ONE, ONE]]
    assert not is_positive_semidefinite(edge)
    assert np.linalg.eigvalsh(np.array(edge) / 1e12)[0] > -1e-11  # floating point could not tell
    assert is_positive_semidefinite([[0, 0], [0, 1]])
    assert not is_positive_semidefinite([[0, 1], [1, 1]])
    assert not is_positive_semidefinite([[1, 0], [0, -1]])


@pytest.mark.parametrize("seed", range(30))
def test_elimination_agrees_with_eigenvalues(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    a = rng.integers(-9, 10, (count, int(rng.integers(1, count + 1))))
    gram = a @ a.T  # singular more often than not
    assert is_positive_semidefinite(gram.tolist())
    factor = cholesky((gram.astype(object) * 10**24).tolist())
    lower = np.array([[x / 1e12 for x in row] + [0.0] * (count - len(row)) for row in factor])
    assert np.abs(lower @ lower.T - gram).max() < 1e-9
    worse = gram - np.eye(count, dtype=np.int64)
    assert is_positive_semidefinite(worse.tolist()) == (np.linalg.eigvalsh(worse)[0] > -1e-9)


def edited(**members: object) -> bytes:
    return json.dumps(correlation(GOOD).to_document() | members, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"schema": "x"}, r"correlation\.schema: not a correlation document of this version"),
        ({"schema": "x", "extra": 1}, r"correlation\.schema: not a correlation document of this version"),
        ({"extra": 1}, "unknown member 'extra'"),
        ({"name": ""}, r"correlation\.name"),
        ({"factors": [{"underlying": "BTC", "tenor_days": 30}]}, r"correlation\.correlations: 2 rows"),
        ({"factors": [{"underlying": "BTC", "tenor_days": 30}], "correlations": [], "volatilities": ["0.1"]},
         r"correlation\.factors\[0\]: 30-day volatility of BTC without the price of BTC"),
        ({"volatilities": ["0.1", "0.1"]}, r"correlation\.volatilities: 2 volatilities .expected 3"),
        ({"volatilities": ["0.1", "0", "0.1"]}, r"correlation\.volatilities\[1\]: 0 is out of range"),
        ({"volatilities": ["0.1", "0.10", "0.1"]}, r"correlation\.volatilities\[1\]: not the canonical decimal"),
        ({"correlations": [["0.5"], ["0.5"]]}, r"correlation\.correlations\[1\]: 1 entries"),
        ({"correlations": [["0.5"], ["0.5", "1.01"]]}, r"correlation\.correlations\[1\]\[1\]: 1.01 is out of range"),
        ({"correlations": [["0.9"], ["0.9", "-0.9"]]}, r"correlation\.correlations: not positive semi-definite: .* -0.8 "),
        ({"horizon_days": 0}, r"correlation\.horizon_days: out of range"),
    ],
)  # fmt: skip
def test_documents_that_are_wrong(members: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Correlation.from_bytes(edited(**members))


def test_matrices_that_are_no_correlations() -> None:
    with pytest.raises(ModelError, match=r"correlations\[0\]\[0\]: not symmetric"):
        correlation(((ONE, 5, 0), (6, ONE, 0), (0, 0, ONE)))
    with pytest.raises(ModelError, match=r"factor 2: 2 on the diagonal"):
        correlation(((ONE, 0, 0), (0, ONE, 0), (0, 0, 2 * ONE)))
    with pytest.raises(ModelError, match=r"not square"):
        correlation(((ONE, 0), (0, ONE)))


# Floors, ceilings, stress, clipping


@pytest.mark.parametrize(("floor", "ceiling"), [(0.0, 0.5), (0.75, 0.95), (0.65, 0.65), (-0.2, -0.1), (-1.0, 1.0)])
def test_bounded_matrices_are_inside_and_consistent(floor: float, ceiling: float) -> None:
    low, high = round(floor * ONE), round(ceiling * ONE)
    made = correlation(GOOD).bounded(low, high, "bounded")  # construction decides that it is semi-definite
    for n, k in product(range(3), repeat=2):
        assert n == k or low <= made.matrix[n][k] <= high
    if (floor, ceiling) == (-1.0, 1.0):
        assert made.matrix == GOOD


@pytest.mark.parametrize("seed", range(20))
def test_bounding_random_matrices_with_volatilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(8, 10))
    made = correlation(clipped(a @ a.T), FACTORS).bounded(300_000_000_000, 900_000_000_000, "b")
    assert 300_000_000_000 <= made.matrix[0][4] <= 900_000_000_000
    vols = [n for n, f in enumerate(FACTORS) if not f.is_price]
    before = correlation(clipped(a @ a.T), FACTORS)
    assert all(made.matrix[n][k] == before.matrix[n][k] for n in vols for k in vols)


def test_bounds_that_nobody_can_meet() -> None:
    with pytest.raises(ModelError, match=r"bounds: 3 prices cannot all have a correlation of -0.8"):
        correlation(GOOD).bounded(-9 * 10**11, -7 * 10**11, "b")
    for floor, ceiling in ((ONE, 0), (-ONE - 1, 0), (0, ONE + 1)):
        with pytest.raises(ModelError, match=r"bounds: .* .expected an interval inside -1 to 1"):
            correlation(GOOD).bounded(floor, ceiling, "b")


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.3, 0.95])
def test_crossed_matrices_keep_what_is_within_an_underlying(rho: float) -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(size=(8, 20))
    before = correlation(clipped(a @ a.T), FACTORS)
    after = before.crossed(round(rho * ONE), "crossed")
    assert after.matrix[4][0] == round(rho * ONE)
    matrix, own = np.array(before.matrix) / 1e12, np.array(after.matrix) / 1e12
    assert (own[:4, :4] == matrix[:4, :4]).all()
    assert (own[4:, 4:] == matrix[4:, 4:]).all()
    left, right = (np.linalg.cholesky(matrix[n : n + 4, n : n + 4]) for n in (0, 4))
    assert np.abs(own[:4, 4:] - rho * left @ right.T).max() < 1e-11


def test_crossing_underlyings_of_different_factors_and_beyond_the_end() -> None:
    made = correlation(GOOD).crossed(-ONE // 2, "least")  # -1/2 is the least that three can share
    assert {made.matrix[n][k] for n in range(3) for k in range(n)} == {-ONE // 2}
    with pytest.raises(ModelError, match=r"interval: 3 underlyings cannot all have a correlation of -0.500000000001"):
        correlation(GOOD).crossed(-ONE // 2 - 1, "x")
    with pytest.raises(ModelError, match=r"interval: 3 underlyings"):
        correlation(GOOD).crossed(ONE + 1, "x")
    uneven = correlation(rows((0.5,), (0.2, 0.1)), (Factor("BTC"), Factor("BTC", 30), Factor("ETH")))
    assert uneven.crossed(ONE // 2, "x").matrix[2] == (ONE // 2, ONE // 4, ONE)


def test_stressed_sets_lie_between_two_matrices() -> None:
    together = correlation(rows((1.0,), (1.0, 1.0)))
    half = correlation(GOOD).blended(together, ONE // 2, "stressed")
    assert half.matrix[1][0] == 900_000_000_000
    with pytest.raises(ModelError, match=r"share: 1.1 is out of range"):
        correlation(GOOD).blended(together, 11 * 10**11, "x")
    with pytest.raises(ModelError, match=r"test: other factors"):
        correlation(GOOD).blended(correlation(((ONE,),), PRICES[:1]), 0, "x")


@pytest.mark.parametrize("seed", range(10))
def test_clipping_makes_any_symmetric_matrix_a_correlation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, (6, 6))
    a = (a + a.T) / 2
    np.fill_diagonal(a, 1)
    made = clipped(a)
    assert is_positive_semidefinite(made)
    assert np.linalg.eigvalsh(np.array(made) / 1e12)[0] > 0
    if np.linalg.eigvalsh(a)[0] > 0.01:
        assert np.abs(np.array(made) / 1e12 - a).max() < 1e-12
    assert is_positive_semidefinite(clipped(np.array(BAD) / 1e12))


@pytest.mark.parametrize("wrong", [[[1.0, 2.0]], [[1.0, 0.5], [0.4, 1.0]], [[0.0]], [[math.nan]], []])
def test_what_cannot_be_clipped(wrong: list[list[float]]) -> None:
    with pytest.raises(ModelError, match=r"matrix: "):
        clipped(wrong)


def test_the_worst_of_an_interval() -> None:
    """Against every corner of the box; and the worst matrix need not be a correlation matrix."""
    rng = random.Random(1)
    for _ in range(20):
        parts = [rng.randint(-1_000, 1_000) for _ in range(4)]
        low, high = sorted(rng.randrange(-ONE, ONE) for _ in range(2))
        worst = worst_over_interval(parts, low, high)
        pairs = [(n, k) for n in range(4) for k in range(n)]
        squares = [Fraction(0)]
        for rho in product((low, high), repeat=6):
            cross = sum(r * parts[n] * parts[k] for (n, k), r in zip(pairs, rho, strict=True))
            squares.append(sum(x * x for x in parts) + 2 * Fraction(cross, ONE))
        most = max(squares)
        assert worst.amount**2 >= most > (worst.amount - 1) ** 2 or most == 0 == worst.amount
    same = worst_over_interval([3, 4, 5], 0, ONE)
    assert (same.amount, same.attained) == (12, True)
    torn = worst_over_interval([100, 100, -100], -9 * 10**11, 9 * 10**11)
    assert torn.attained == is_positive_semidefinite(torn.matrix)
    assert not worst_over_interval([1, 1, -1], GOOD_LOW, GOOD_HIGH).attained
    with pytest.raises(ModelError, match=r"pair 0, 1: 1 to 0 .expected an interval"):
        worst_over_interval([1, 1], ONE, 0)


GOOD_LOW = rows((0.9,), (-0.9, -0.2))
GOOD_HIGH = rows((0.95,), (0.9, 0.2))


# Monte Carlo


def test_the_stream_is_philox_of_the_paper() -> None:
    for seed in (0, 1, 2**64 - 1):
        assert words(seed, 10).tolist() == philox(seed, STREAM, 10)
    known = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]  # Random123's kat_vectors
    assert philox(0, 0, 4, block=0) == known
    with pytest.raises(ModelError, match=r"seed: seed out of range"):
        words(2**64, 1)


def test_draws_are_quantiles_of_the_words() -> None:
    draws = normals(7, 4_000)
    uniform = np.array([w * 10**18 >> 64 for w in philox(7, STREAM, 4_000)])
    assert (black76.cdf(draws) > uniform).all()
    assert (black76.cdf(draws - 1) <= uniform).all()
    assert (np.abs(np.sort(draws)[::40] / 1e12) < 5).all()
    ends = quantile(np.array([0, 5 * 10**17 - 1, 5 * 10**17, 10**18 - 1]))
    assert abs(int(ends[1])) <= 10**6
    assert -9 * ONE <= ends[0] < -8 * ONE
    assert 8 * ONE < ends[3] <= 9 * ONE


def test_golden_draws() -> None:
    """Whoever changes the stream has to change its name: these numbers are in documents."""
    assert normals(1, 4).tolist() == [-870_393_721_174, 1_289_032_225_683, 2_256_004_188_748, -908_626_209_397]


def test_paths_agree_with_float64() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=(8, 12))
    document = correlation(clipped(a @ a.T), FACTORS)
    moves = monte_carlo_moves(document, 11, 600)
    z = normals(11, 300 * 8).reshape(300, 8) / 1e12
    z = np.stack([z, -z], axis=1).reshape(600, 8)
    size = np.array(document.volatilities) / 1e12
    lower = np.linalg.cholesky(np.array(document.matrix) / 1e12 * np.outer(size, size))
    assert np.abs(moves.ratios / 1e12 - np.exp(z @ lower.T)).max() < 1e-9
    single = monte_carlo_moves(document, 11, 300, antithetic=False)
    assert (single.ratios == moves.ratios[::2]).all()
    assert (moves.ids[0], moves.ids[-1]) == ("path-000", "path-599")


def test_many_paths_have_the_correlations_asked_for() -> None:
    document = correlation(GOOD)
    x = np.log(monte_carlo_moves(document, 5, 40_000).ratios / 1e12)
    assert np.abs(np.corrcoef(x.T) - np.array(GOOD) / 1e12).max() < 0.02
    assert np.abs(x.std(axis=0) / 0.025 - 1).max() < 0.02


def test_simulations_that_are_wrong() -> None:
    document = correlation(GOOD)
    for paths in (0, 65_537, 3):
        with pytest.raises(ModelError, match=rf"paths: {paths} paths"):
            monte_carlo_moves(document, 1, paths)
    wild = Correlation("wild", "x", PRICES, (ONE,) * 3, GOOD)
    with pytest.raises(DomainError, match=r"move path-.* moves by"):
        monte_carlo_moves(wild, 1, 2_000)


# Common and idiosyncratic shocks


def test_common_and_idiosyncratic_shocks() -> None:
    moves = common_factor_moves(
        [-2 * 10**11, 0, 2 * 10**11],
        {"BTC": ONE, "ETH": 15 * 10**11},
        {"ETH": 5 * 10**10},
        [-3 * 10**11, 0, 45 * 10**10],
        (30,),
    )
    assert moves.factors == (Factor("BTC"), Factor("BTC", 30), Factor("ETH"), Factor("ETH", 30))
    assert len(moves) == 3 * 3 * 3
    row = dict(zip(moves.ids, moves.ratios.tolist(), strict=True))
    assert row["c-0.2/ETH-/v0.45"] == [8 * 10**11, 145 * 10**10, 665 * 10**9, 145 * 10**10]  # 0.7 * 0.95
    assert row["c0/v0"] == [ONE] * 4
    corners = common_factor_moves([0], {"BTC": ONE, "ETH": ONE}, {"BTC": 10**11, "ETH": 10**11}, [], corners=True)
    assert corners.ids == ("c0", "c0/BTC-/ETH-", "c0/BTC-/ETH+", "c0/BTC+/ETH-", "c0/BTC+/ETH+")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0], {"BTC": ONE}, {"ETH": 10**11}, []), ModelError, r"idiosyncratic\.ETH: an underlying without a beta"),
        (([0], {"BTC": ONE}, {"BTC": ONE}, []), ModelError, r"idiosyncratic\.BTC: 1 is out of range"),
        (([], {"BTC": ONE}, {}, []), ModelError, "common: no scenario"),
        (([0, 0], {"BTC": ONE}, {}, []), ModelError, "the same scenario twice"),
        (([-ONE], {"BTC": ONE}, {}, []), DomainError, "move c-1: price of BTC moves by a factor of 0 "),
        (([0], {"BTC": ONE}, {}, [], (30,)), ModelError, "no scenario"),
        ((list(range(65_537)), {"BTC": ONE}, {}, []), ModelError, "65537 scenarios"),
    ],
)  # fmt: skip
def test_shocks_that_are_wrong(arguments: tuple[object, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        common_factor_moves(*arguments)  # type: ignore[arg-type]


def test_sets_that_would_take_minutes() -> None:
    many = tuple(Factor(f"C{n:02d}") for n in range(20))
    independent = Correlation("many", "x", many, (10**10,) * 20, rows(*[(0.0,) * n for n in range(1, 20)]))
    with pytest.raises(ModelError, match=r"paths: 60000 scenarios of 20 factors .expected at most 1048576 ratios"):
        monte_carlo_moves(independent, 1, 60_000)
    with pytest.raises(ModelError, match=r"common: 60000 scenarios of 20 factors"):
        common_factor_moves(list(range(60_000)), {x.underlying: ONE for x in many}, {}, [])


def test_too_many_corners() -> None:
    names = {f"C{n}": ONE for n in range(9)}
    with pytest.raises(ModelError, match=r"9 underlyings .expected at most 8 with corners"):
        common_factor_moves([0], names, dict.fromkeys(names, 10**11), [], corners=True)
