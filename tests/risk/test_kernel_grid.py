"""The scenario grid: the twin, exactness, sharing, threads, targets, refusals."""

import dataclasses
import hashlib
import importlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from riskproof.errors import DomainError, OverflowMoneyError, UnitError
from riskproof.risk.kernel import grid as g
from riskproof.risk.kernel import twin
from riskproof.units import round_half_even

E9, E12 = 10**9, 10**12


def random_grid(seed: int, instruments: int = 150, money_exponent: int = 6) -> g.Grid:
    """Options, futures, coins and absences on a dozen curves; 7 price, 4 volatility and 3 time states; 60 scenarios."""
    rng = np.random.default_rng(seed)
    curves, prices, vols, times = 12, 7, 4, 3
    start = np.exp(rng.uniform(np.log(3e5), np.log(3e15), curves))
    moves = np.concatenate([[1.0], rng.uniform(0.4, 2.0, prices - 1)])
    forward = (start * moves[:, None] * np.exp(rng.normal(0, 1e-3, (prices, curves)))).astype(np.int64)
    conversion = (forward * rng.uniform(0.5, 1.9, (prices, curves))).astype(np.int64)
    conversion[:, :3] = forward[:, :3]
    expiry = (10 ** rng.uniform(0, 8.4, curves)).astype(np.int64)
    seconds = expiry - np.array([[0], [86_400], [-3_600]])
    curve = rng.integers(0, curves, instruments)
    strike = np.clip(forward[0, curve] * np.exp(rng.normal(0, 0.5, instruments)), 1e5, 1e16).astype(np.int64)
    base = (rng.choice([0, 0.01, 0.6, 5.0], instruments) * rng.uniform(0.5, 1, instruments) * E12).astype(np.int64)
    payoff = rng.integers(0, 2, instruments).astype(np.int8)
    kind = rng.choice([0, 1, 1, 1, 2, 2, 2, 3, 4], instruments).astype(np.int8)
    payoff[kind == g.CASH] = 0
    unit = np.where(rng.random(instruments) < 0.5, rng.choice([E9, E9 // 10, 1, 10 * E9], instruments), 123_456_789)
    unit = np.where((kind == g.DELTA_ONE) & (payoff == 1), 100 * E9, unit)
    return g.Grid(
        forward=forward,
        conversion=conversion,
        seconds=seconds,
        rate=rng.choice([0, 50_000_000_000, -20_000_000_000, E12], curves),
        vol=(base * np.array([[10], [13], [5], [38]]) // 10),
        strike=strike,
        curve=curve,
        kind=kind,
        payoff=payoff,
        unit=unit,
        scenario_p=rng.integers(0, prices, 60),
        scenario_v=rng.integers(0, vols, 60),
        scenario_t=rng.integers(0, times, 60),
        money_exponent=money_exponent,
    )


def check_random_grid(money_exponent: int) -> None:
    grid = random_grid(money_exponent, money_exponent=money_exponent)
    result = g.risk_entries(grid)
    entries, base = twin.risk_entries_twin(grid)
    assert result.entries.tolist() == entries
    assert result.base_value.tolist() == base
    assert result.entries.shape == (60, 150)
    assert result.entries.any(axis=0).sum() > 60


@pytest.mark.parametrize("money_exponent", [0, 2, 6, 9])
def test_twin_gives_the_same_integers(money_exponent):
    check_random_grid(money_exponent)


def test_twin_gives_the_same_integers_near_the_limit_of_64_bits():
    grid = random_grid(5, 40)
    small = np.minimum(grid.forward, 10**8)  # so that m = 15 fits
    grid = dataclasses.replace(
        grid,
        forward=small,
        conversion=small,
        strike=np.minimum(grid.strike, 10**8),
        unit=np.full(40, 9 * E9),
        money_exponent=15,
    )
    result = g.risk_entries(grid)
    assert np.abs(result.entries).max() > 10**14
    assert result.entries.tolist() == twin.risk_entries_twin(grid)[0]


def extreme_grid(seed: int) -> g.Grid:
    """Options on the edges of the domain: forwards 1e-5 .. 1e8, any strike, volatilities to 20.0, ten years and one second."""
    rng = np.random.default_rng(seed)
    curves, prices, vols, instruments, scenarios = 6, 6, 4, 60, 50
    start = np.concatenate([[1e5, 1e16], np.exp(rng.uniform(np.log(1e5), np.log(1e16), curves - 2))])
    forward = np.exp(rng.uniform(np.log(1e4), np.log(1e17), (prices, curves)))
    forward[0], forward[1], forward[2], forward[3] = start, 1e4, 1e17, start * (1 + rng.normal(0, 1e-8, curves))
    forward = np.clip(forward, 1e4, 1e17).astype(np.int64)
    curve = rng.integers(0, curves, instruments)
    anywhere = np.exp(rng.uniform(np.log(1e5), np.log(1e16), instruments))
    near = forward[rng.integers(0, prices, instruments), curve]
    vol = np.exp(rng.uniform(0, np.log(2e13), (vols, instruments))).astype(np.int64)
    vol[0], vol[1] = np.minimum(vol[0], 5 * E12), 20 * E12
    seconds = np.exp(rng.uniform(0, np.log(316_224_000), (3, curves))).astype(np.int64)
    seconds[1:] = [[316_224_000], [1]]
    conversion = (forward * rng.uniform(0.26, 3.9, (prices, curves))).astype(np.int64)
    return g.Grid(
        forward=forward,
        conversion=np.clip(conversion, (forward + 3) // 4, 4 * forward - 1),
        seconds=seconds,
        rate=rng.choice([0, 10 * E12, -130_000_000_000, 10_000_000_000], curves),
        vol=vol,
        strike=np.clip(np.where(rng.random(instruments) < 0.5, anywhere, near), 1e5, 1e16).astype(np.int64),
        curve=curve,
        kind=rng.integers(g.CALL, g.PUT + 1, instruments).astype(np.int8),
        payoff=rng.integers(0, 2, instruments).astype(np.int8),
        unit=rng.choice([1, E9, E9 // 10, 777], instruments),
        scenario_p=rng.integers(0, prices, scenarios),
        scenario_v=rng.integers(0, vols, scenarios),
        scenario_t=rng.integers(0, 3, scenarios),
        money_exponent=6,
    )


def check_extremes(seeds: range) -> None:
    for seed in seeds:
        grid = extreme_grid(seed)
        result = g.risk_entries(grid)
        entries, base = twin.risk_entries_twin(grid)
        assert result.entries.tolist() == entries, seed
        assert result.base_value.tolist() == base, seed
        assert (result.base_value >= 0).all()


def test_twin_gives_the_same_integers_on_the_edges_of_the_domain():
    check_extremes(range(5))


@pytest.mark.parametrize("ppm", [21_400_000, 21_540_000, 21_700_000, 21_710_000, 21_990_000, 21_999_999, 22_000_000])
def test_deviations_just_below_the_limit(ppm):
    # here s (75/8 - s/2) passes -32, which 64 bits no longer hold
    years = 316_224_000 / 31_536_000
    vol = int(ppm / 1e6 / years**0.5 * E12)
    for forward in (10**4, 10**5, E9, 10**13, 10**17):
        grid = one_instrument(
            forward=[[10**13], [forward], [forward]],
            vol=[[E12], [vol]],
            seconds=[[316_224_000], [316_224_000]],
            strike=[10**12],
            scenario_p=[1],
            scenario_v=[1],
            scenario_t=[1],
        )
        assert g.risk_entries(grid).entries.tolist() == twin.risk_entries_twin(grid)[0]


@pytest.mark.slow
def test_twin_gives_the_same_integers_on_a_million_edge_cells():
    check_extremes(range(5, 340))


def test_agrees_with_a_float_kernel(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2])
    benchmark = importlib.import_module("benchmarks.bench_kernel")
    for near in (False, True):
        assert (
            benchmark.compare(benchmark.sample(60, near), 1)["ratio"] > 0
        )  # raises if a cell differs by more than 1e-5


@pytest.mark.parametrize("threads", [1, 2, 3, 200])
def test_result_does_not_depend_on_threads(threads):
    grid = random_grid(11)
    one, many = g.risk_entries(grid), g.risk_entries(grid, threads=threads)
    assert one.entries.tobytes() == many.entries.tobytes()
    assert one.base_value.tobytes() == many.base_value.tobytes()


GOLDEN = "faf4c07e9d2537a7df77a79694c52207c807ecb4988f06e58f42813eacadf1e1"


def integer_grid() -> g.Grid:
    """40 instruments from hash digests alone: no float decides an input, so that every machine starts from the same integers."""

    def draw(name: str, low: int, high: int, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        words = [hashlib.sha256(f"{name}/{n}".encode()).digest() for n in range(count)]
        return np.array([low + int.from_bytes(w) % (high - low) for w in words], dtype=np.int64).reshape(shape)

    start = np.array([95_000 * E9, 3_300 * E9, E9 // 2, 10**7 * E9, 10**5])
    forward = start // 1000 * draw("move", 500, 1_500, 5, 5)
    forward[0] = start
    curve, kind = draw("curve", 0, 5, 40), draw("kind", 0, 5, 40)
    return g.Grid(
        forward=forward,
        conversion=forward // 1000 * 999 + 1,
        seconds=draw("expiry", 1, 90_000_000, 1, 5) // np.array([[1], [1_000], [10**6]]),
        rate=draw("rate", -(10**10), 10**11, 5),
        vol=draw("vol", 0, 2 * E12, 3, 40),
        strike=np.clip(start[curve] // 1000 * draw("strike", 600, 1_600, 40), 10**5, 10**16),
        curve=curve,
        kind=kind.astype(np.int8),
        payoff=np.where(kind == g.CASH, 0, draw("payoff", 0, 2, 40)).astype(np.int8),
        unit=draw("unit", 1, 2 * E9, 40),
        scenario_p=draw("p", 0, 5, 48),
        scenario_v=draw("v", 0, 3, 48),
        scenario_t=draw("t", 0, 3, 48),
        money_exponent=6,
    )


def digest_of_integer_grid(threads: int = 1) -> str:
    result = g.risk_entries(integer_grid(), threads=threads)
    return hashlib.sha256(
        result.entries.astype("<i8").tobytes() + result.base_value.astype("<i8").tobytes()
    ).hexdigest()


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, 1),
        ({}, 2),
        ({"NUMBA_DISABLE_JIT": "1"}, 1),
        ({"NUMBA_DISABLE_JIT": "1"}, 2),
        ({"NUMBA_CPU_NAME": "generic"}, 2),
    ],
    ids=["native", "native-2", "interpreted", "interpreted-2", "generic-2"],
)
def test_digest_is_the_same_on_every_target(environment, threads, tmp_path):
    # warnings are errors, so that a silent wrap of a numpy scalar with the JIT off is one too
    code = f"import test_kernel_grid as t; print(t.digest_of_integer_grid({threads}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::ImportWarning", "-c", code],
        cwd=Path(__file__).parent,
        env=os.environ | environment | ({"NUMBA_CACHE_DIR": str(tmp_path)} if "NUMBA_CPU_NAME" in environment else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == GOLDEN, done.stderr


def test_twin_gives_the_same_integers_without_the_jit():
    code = "import test_kernel_grid as t; t.check_extremes(range(2)); t.check_random_grid(6)"
    command = [sys.executable, "-W", "error", "-W", "ignore::ImportWarning", "-c", code]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def one_instrument(**changes) -> g.Grid:
    fields = {
        "forward": [[100 * E9], [150 * E9], [60 * E9]],
        "conversion": [[100 * E9], [150 * E9], [60 * E9]],
        "seconds": [[86_400], [0]],
        "rate": [0],
        "vol": [[E12], [2 * E12]],
        "strike": [90 * E9],
        "curve": [0],
        "kind": [g.CALL],
        "payoff": [g.LINEAR],
        "unit": [E9],
        "scenario_p": [0, 1, 2, 1],
        "scenario_v": [0, 0, 0, 0],
        "scenario_t": [0, 1, 1, 1],
    } | changes
    arrays = {
        n: np.array(v, dtype=np.int8 if n in ("kind", "payoff") else np.int64)
        for n, v in fields.items()
        if n != "money_exponent"
    }
    return g.Grid(**arrays, money_exponent=changes.get("money_exponent", 6))


def test_expiry_inside_the_time_shift_is_intrinsic():
    result = g.risk_entries(one_instrument())
    base = int(result.base_value[0])
    assert base > 10 * 10**6
    assert result.entries[0, 0] == 0
    for s, intrinsic in ((1, 60), (2, 0), (3, 60)):
        assert abs(int(result.entries[s, 0]) - (intrinsic * 10**6 - base)) <= 1


def test_linear_delta_one_and_cash_are_exact():
    for kind, base in ((g.DELTA_ONE, 0), (g.CASH, 10 * 10**6)):
        grid = one_instrument(kind=[kind], unit=[E9 // 10], forward=[[100 * E9], [150 * E9 + 15], [60 * E9 - 15]])
        result = g.risk_entries(grid)
        assert result.base_value.tolist() == [base]
        assert result.entries[:, 0].tolist() == [0, 5 * 10**6, -4 * 10**6, 5 * 10**6]
    ties = one_instrument(kind=[g.CASH], forward=[[100 * E9], [100 * E9 + 500], [100 * E9 + 1500]])
    assert g.risk_entries(ties).entries[:, 0].tolist() == [0, 0, 2, 0]  # half a unit to even, one and a half up
    ties = one_instrument(kind=[g.CASH], forward=[[100 * E9], [100 * E9 - 500], [100 * E9 - 1500]])
    assert g.risk_entries(ties).entries[:, 0].tolist() == [0, 0, -2, 0]


def test_inverse_contract_is_exact():
    grid = one_instrument(
        kind=[g.DELTA_ONE], payoff=[g.INVERSE], unit=[100 * E9], conversion=[[99 * E9], [149 * E9], [61 * E9]]
    )
    result = g.risk_entries(grid)
    gains = [100 * (Fraction(1, 100) - Fraction(1, f)) * w for f, w in ((100, 99), (150, 149), (60, 61), (150, 149))]
    assert result.entries[:, 0].tolist() == [
        round_half_even((x * 10**6).numerator, (x * 10**6).denominator) for x in gains
    ]
    assert result.base_value.tolist() == [0]


def test_inverse_option_is_a_coin_value_at_the_conversion_price():
    linear = g.risk_entries(one_instrument()).entries
    same = g.risk_entries(one_instrument(payoff=[g.INVERSE])).entries
    assert (linear == same).all()  # conversion price = forward: a coin value times F is the undiscounted value
    half = one_instrument(payoff=[g.INVERSE], conversion=[[50 * E9], [75 * E9], [30 * E9]], rate=[E12])
    assert (np.abs(2 * g.risk_entries(half).entries - linear) <= 1).all()


def test_absent_instruments_are_zero_and_their_numbers_are_not_read():
    grid = one_instrument(
        kind=[g.ABSENT], strike=[0], vol=[[-1], [-1]], unit=[0], forward=[[0], [0], [0]], seconds=[[2**62], [0]]
    )
    result = g.risk_entries(grid)
    assert not result.entries.any()
    assert not result.base_value.any()


def test_empty_grids():
    none = np.zeros((2, 0), dtype=np.int64)
    grid = one_instrument(vol=none, strike=[], curve=[], kind=[], payoff=[], unit=[])
    assert g.risk_entries(grid).entries.shape == (4, 0)
    grid = one_instrument(scenario_p=[], scenario_v=[], scenario_t=[])
    assert g.risk_entries(grid).entries.shape == (0, 1)


def test_inputs_are_copied_and_frozen():
    grid = one_instrument()
    strikes = np.array([90 * E9])
    copy = dataclasses.replace(grid, strike=strikes)
    strikes[0] = 1
    assert copy.strike[0] == 90 * E9
    with pytest.raises(ValueError, match="read-only"):
        copy.strike[0] = 1


def test_value_that_does_not_fit_names_the_instrument():
    grid = one_instrument(unit=[10**18], money_exponent=9)
    with pytest.raises(OverflowMoneyError, match="instrument 0: value of one unit does not fit 64 bits"):
        g.risk_entries(grid)
    with pytest.raises(OverflowMoneyError, match="does not fit 64 bits"):
        twin.risk_entries_twin(grid)


def test_entry_that_does_not_fit_names_instrument_and_scenario():
    scenarios = {"scenario_p": [0, 2, 1], "scenario_v": [0, 0, 0], "scenario_t": [0, 0, 0]}
    forward = [[100 * E9], [102 * E9], [100 * E9 + 3]]
    grid = one_instrument(kind=[g.DELTA_ONE], forward=forward, unit=[9_223 * 10**14], money_exponent=9, **scenarios)
    assert g.risk_entries(grid).entries[:, 0].tolist() == [0, 2_766_900_000, 2 * 9_223 * 10**14]
    with pytest.raises(OverflowMoneyError, match=r"instrument 0, scenario 2: P&L of one unit .* \(expected .* 1e-9\)"):
        g.risk_entries(dataclasses.replace(grid, unit=np.array([9_223 * 10**15])))
    inverse = one_instrument(kind=[g.DELTA_ONE], payoff=[1], unit=[2**62], money_exponent=15, **scenarios)
    with pytest.raises(OverflowMoneyError, match="instrument 0, scenario 2: P&L of one unit"):
        g.risk_entries(inverse)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"forward": [[10**5 - 1], [E9], [E9]]},
            r"forward\[0, 0\]: 99999 is outside the domain \(expected 100000 to 10",
        ),
        ({"forward": [[E9], [10**17 + 1], [E9]]}, r"forward\[1, 0\]: .* \(expected 10000 to 100000000000000000\)"),
        ({"forward": [[E9], [E9], [-E9]]}, r"forward\[2, 0\]: -1000000000 is outside"),
        ({"vol": [[5 * E12 + 1], [0]]}, r"vol\[0, 0\]: .* \(expected 0 to 5000000000000\)"),
        ({"vol": [[E12], [20 * E12 + 1]]}, r"vol\[1, 0\]: .* \(expected 0 to 20000000000000\)"),
        ({"vol": [[E12], [-1]]}, r"vol\[1, 0\]: -1 is outside"),
        ({"strike": [10**16 + 1]}, r"strike\[0\]: 10000000000000001 is outside"),
        ({"seconds": [[316_224_001], [0]]}, r"seconds\[0, 0\]: 316224001 is outside"),
        ({"rate": [-(10**13) - 1]}, r"rate\[0\]: -10000000000001 is outside"),
        ({"unit": [0]}, r"unit\[0\]: 0 is outside"),
        ({"unit": [-1]}, r"unit\[0\]: -1 is outside"),
        ({"kind": [g.CASH], "payoff": [1]}, r"payoff\[0\]: a cash asset has no inverse payoff"),
        ({"kind": [g.CASH], "forward": [[E9], [-1], [E9]]}, r"forward\[1, 0\]: -1 is outside"),
        (
            {"payoff": [1], "conversion": [[400 * E9], [150 * E9], [60 * E9]]},
            r"conversion\[0, 0\]: 400000000000 is outside",
        ),
        ({"payoff": [1], "conversion": [[100 * E9], [E9], [60 * E9]]}, r"conversion\[1, 0\]: 1000000000 is outside"),
        ({"kind": [g.DELTA_ONE], "payoff": [1], "forward": [[E9], [0], [E9]]}, r"forward\[1, 0\]: 0 is outside"),
    ],
)
def test_outside_the_domain(changes, message):
    with pytest.raises(DomainError, match=message):
        one_instrument(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curve": [1]}, r"curve\[0\]: 1 is outside"),
        ({"curve": [-1]}, r"curve\[0\]: -1 is outside"),
        ({"kind": [5]}, r"kind\[0\]: 5 is outside"),
        ({"payoff": [2]}, r"payoff\[0\]: 2 is outside"),
        ({"scenario_p": [0, 3, 0, 0]}, r"scenario_p\[1\]: 3 is outside .* \(expected 0 to 2\)"),
        ({"scenario_v": [0, 0, 2, 0]}, r"scenario_v\[2\]: 2 is outside"),
        ({"scenario_t": [0, 0, 0, -1]}, r"scenario_t\[3\]: -1 is outside"),
        ({"scenario_t": [0]}, r"scenario_t: shape \(1,\) \(expected shape \(4,\)\)"),
        ({"strike": [E9, E9]}, r"strike: shape \(2,\) \(expected shape \(1,\)\)"),
        ({"seconds": [86_400]}, r"seconds: shape \(1,\) \(expected two axes, the first not empty\)"),
        ({"money_exponent": 16}, r"money_exponent: not a money exponent \(expected 0 to 15\)"),
    ],
)
def test_arrays_that_do_not_fit_together(changes, message):
    with pytest.raises(UnitError, match=message):
        one_instrument(**changes)


def test_arrays_of_another_type():
    grid = one_instrument()
    with pytest.raises(UnitError, match=r"strike: not an integer array: float64 \(expected int64\)"):
        dataclasses.replace(grid, strike=np.array([1.5]))
    with pytest.raises(UnitError, match="rate: not an integer array: list"):
        dataclasses.replace(grid, rate=[0])
