"""Option values and Greeks: exact arithmetic, the twin on more than 100,000 cells, shape in strike, limits, refusals."""

import csv
import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from riskproof.errors import DomainError, OverflowMoneyError, UnitError
from riskproof.risk.kernel import black76, twin

VECTORS = Path(__file__).resolve().parents[2] / "../shared/vectors/options"
needs_vectors = pytest.mark.skipif(not VECTORS.exists(), reason="the shared test vectors are not beside the repository")

E9, E12 = 10**9, 10**12
YEAR = 31_536_000


def normal_cdf(z):
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def exact(forward, strike, vol, seconds, rate, call):
    """Black-76 in 40 digits, in 1e-9, with the discount factor and d1 (None at s = 0)."""
    f, k, t = mpf(forward), mpf(strike), mpf(max(seconds, 0)) / YEAR
    s = mpf(vol) / E12 * mpmath.sqrt(t)
    discount = mpmath.exp(-mpf(rate) / E12 * t)
    if s == 0:
        return discount * max(f - k if call else k - f, 0), discount, None
    d1 = mpmath.log(f / k) / s + s / 2
    if call:
        return discount * (f * normal_cdf(d1) - k * normal_cdf(d1 - s)), discount, d1
    return discount * (k * normal_cdf(s - d1) - f * normal_cdf(-d1)), discount, d1


def random_cells(count, seed):
    """Cells over the whole domain, most of them where the time value matters, many on its edges."""
    rng = np.random.default_rng(seed)
    forward = np.exp(rng.uniform(np.log(1e5), np.log(1e16), count)).astype(np.int64)
    vol = (rng.choice([1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0], count) * rng.uniform(0, 1, count) * E12).astype(np.int64)
    seconds = np.where(rng.random(count) < 0.03, 0, 10 ** rng.uniform(0, 8.4989, count)).astype(np.int64)
    deviation = vol / E12 * np.sqrt(seconds / YEAR)
    distance = np.where(rng.random(count) < 0.8, deviation * rng.normal(0, 4, count), rng.uniform(-26, 26, count))
    strike = np.clip(forward * np.exp(np.clip(distance, -26, 26)), 1e5, 1e16).astype(np.int64)
    strike = np.where(rng.random(count) < 0.05, np.clip(forward + rng.integers(-2, 3, count), 10**5, 10**16), strike)
    rate = rng.choice([0, 0, 50_000_000_000, -10_000_000_000, E12, 10 * E12], count)
    return forward, strike, vol, seconds, rate, rng.integers(0, 2, count)


EDGES = [
    (f, k, v, t, r, c)
    for f in (10**5, E9, 10**16)
    for k in (10**5, E9 - 1, E9, 10**16)
    for v in (0, 1, E12, 5 * E12)
    for t in (-5, 0, 1, 3600, 316_224_000)
    for r in (0, 10 * E12, -40_000_000_000)
    for c in (0, 1)
]


def test_twin_gives_the_same_integers_on_a_hundred_thousand_cells():
    columns = random_cells(100_000, 1)
    values = black76.value(*columns).tolist()
    for n, cell in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        *numbers, call = cell
        assert values[n] == twin.value_twin(*numbers, bool(call)), cell


def test_twin_gives_the_same_integers_on_the_edges():
    values = black76.value(*(list(c) for c in zip(*EDGES, strict=True))).tolist()
    assert values == [twin.value_twin(f, k, v, t, r, bool(c)) for f, k, v, t, r, c in EDGES]


def test_values_against_exact_arithmetic():
    columns = random_cells(6_000, 2)
    values = black76.value(*columns).tolist()
    with mpmath.workdps(40):
        for value, cell in zip(values, zip(*(c.tolist() for c in columns), strict=True), strict=True):
            assert abs(exact(*cell)[0] - value) <= mpf("0.5") + max(cell[:2]) * mpf("1e-17"), cell


def test_time_value_before_rounding_is_within_1e_17_of_the_forward():
    columns = random_cells(6_000, 3)
    worst = mpf(0)
    with mpmath.workdps(40):
        for f, k, v, t, _rate, _call in zip(*(c.tolist() for c in columns), strict=True):
            exact_call = exact(f, k, v, t, 0, True)[0]
            got = mpf(twin.option_value(True, f, k, twin.total_deviation(v, twin.root(t)))) / 2**60
            worst = max(worst, abs(got - exact_call) / f)
    assert worst < mpf("1e-17")


@needs_vectors
def test_goldens_of_exact_arithmetic():
    with (VECTORS / "black76_mpmath_goldens.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if mpf(row["discount"]) == 1]
    checked = 0
    for row in rows:
        f, k = (int(mpf(row[name]) * E9) for name in ("F", "K"))
        vol, seconds = int(mpf(row["vol"]) * E12), int(row["seconds_to_expiry"])
        if not (10**5 <= f <= 10**16 and 10**5 <= k <= 10**16 and vol <= 5 * E12):
            continue
        call, put = black76.value(f, k, vol, seconds, 0, np.array([1, 0])).tolist()
        assert abs(mpf(row["call"]) * E9 - call) <= mpf("0.51"), row
        assert abs(mpf(row["put"]) * E9 - put) <= mpf("0.51"), row
        checked += 1
    assert checked > 150


@needs_vectors
def test_published_black_scholes_values():
    with (VECTORS / "haug_quantlib_european.csv").open() as file:
        for row in csv.DictReader(file):
            spot, strike, r, q, t = (mpf(row[name]) for name in ("spot", "strike", "r", "q", "t"))
            forward, seconds = spot * mpmath.exp((r - q) * t), round(t * YEAR)
            arguments = (int(forward * E9), int(strike * E9), int(mpf(row["vol"]) * E12), seconds, int(r * E12))
            value = int(black76.value(*arguments, row["type"] == "Call"))
            assert abs(mpf(value) / E9 - mpf(row["value"])) <= mpf(row["tol"]), row
    table = json.loads((VECTORS / "py_vollib_test_data.json").read_text())
    for row in table["data"]:
        s, k, r, t, v, call, put = (mpf(str(x)) for x in row[:7])
        arguments = (int(s * mpmath.exp(r * t) * E9), int(k * E9), int(v * E12), round(t * YEAR), int(r * E12))
        values = black76.value(*arguments, np.array([1, 0])).tolist()
        assert abs(mpf(values[0]) / E9 - call) <= 1e-5
        assert abs(mpf(values[1]) / E9 - put) <= 1e-5


@pytest.mark.parametrize("forward", [10**5, 95_000 * E9, 10**16])
@pytest.mark.parametrize(("vol", "seconds"), [(E12 // 10, 3600), (E12, 86_400 * 30), (5 * E12, 316_224_000), (1, 1)])
def test_calls_fall_and_are_convex_in_strike(forward, vol, seconds):
    s = vol / E12 * (seconds / YEAR) ** 0.5
    spread = np.exp(np.linspace(-min(5 * s, 20), min(5 * s, 20), 400))
    around = forward + np.arange(-200, 200)
    for strikes in (forward * spread, around):
        k = np.unique(np.clip(strikes, 10**5, 10**16).astype(np.int64))
        c = [int(v) for v in black76.value(forward, k, vol, seconds, 0, True)]
        assert min(c) >= 0
        assert max(c) <= forward
        k = k.tolist()
        for n in range(1, len(k)):
            assert c[n] <= c[n - 1]
            assert c[n - 1] - c[n] <= k[n] - k[n - 1] + 1
        for a, b, d, left, middle, right in zip(k, k[1:], k[2:], c, c[1:], c[2:], strict=False):
            assert middle * (d - a) <= left * (d - b) + right * (b - a) + (d - a)  # one unit above the chord at most


def test_put_call_parity_to_one_unit():
    forward, strike, vol, seconds, rate, _ = random_cells(20_000, 4)
    calls = black76.value(forward, strike, vol, seconds, rate, True).tolist()
    puts = black76.value(forward, strike, vol, seconds, rate, False).tolist()
    inputs = zip(forward.tolist(), strike.tolist(), seconds.tolist(), rate.tolist(), calls, puts, strict=True)
    for f, k, t, r, call, put in inputs:
        parity = (f - k) * twin.discount(t, r) >> 60
        assert -1 <= call - put - parity <= 1
        assert min(call, put) >= 0


def test_expired_is_intrinsic_and_undiscounted():
    for seconds in (0, -1, -(2**62)):
        values = black76.value(np.array([12, 8, 10]) * E9, 10 * E9, E12, seconds, 5 * E12, True)
        assert values.tolist() == [2 * E9, 0, 0]
    assert black76.value(8 * E9, 10 * E9, 0, 86_400, 0, False) == 2 * E9


def test_huge_deviation_approaches_the_forward():
    assert abs(int(black76.value(10**16, 10**16, 5 * E12, 316_224_000, 0, True)) - 10**16) < 10**5 * 10**10
    assert twin.time_value(10**16, 10**5, 30 << 58) == 10**5 << 60
    assert twin.time_value(10**5, 10**16, 22 << 58) == 10**5 << 60


GREEK_CELLS = [
    (f, k, v, t, r, c)
    for f, k in ((95_000 * E9, 100_000 * E9), (95_000 * E9, 60_000 * E9), (E9 // 2, E9 // 2), (10**16, 9 * 10**15))
    for v in (E12 // 5, E12, 4 * E12)
    for t in (3600, 30 * 86_400, 3 * YEAR)
    for r in (0, 50_000_000_000)
    for c in (0, 1)
]


def test_greeks_against_exact_derivatives():
    got = black76.greeks(*(list(c) for c in zip(*GREEK_CELLS, strict=True)))
    with mpmath.workdps(40):
        for n, (f, k, v, t, r, c) in enumerate(GREEK_CELLS):
            value, discount, d1 = exact(f, k, v, t, r, c)
            density = mpmath.exp(-d1 * d1 / 2) / mpmath.sqrt(2 * mpmath.pi)
            years, vol, rate = mpf(t) / YEAR, mpf(v) / E12, mpf(r) / E12
            s = vol * mpmath.sqrt(years)
            delta = discount * (normal_cdf(d1) - (0 if c else 1))
            vega = discount * f * density * mpmath.sqrt(years) / 100
            theta = (rate * value - discount * f * density * vol / (2 * mpmath.sqrt(years))) / 365
            near = mpf("0.5001")
            assert abs(delta * E12 - int(got.delta[n])) <= near
            assert (
                abs(discount * density / (f * s) * E9 * E12 - int(got.gamma[n]))
                <= near + mpf(int(got.gamma[n])) / 10**15
            )
            assert abs(vega - int(got.vega[n])) <= near + f * mpf("1e-17")
            assert abs(theta - int(got.theta[n])) <= near + abs(theta) / 10**13
            assert abs(-years * value / 100 - int(got.rho[n])) <= near + years / 50


def test_greeks_at_expiry():
    g = black76.greeks(np.array([12, 8, 10, 10]) * E9, 10 * E9, E12, 0, E12, np.array([1, 1, 1, 0]))
    assert g.delta.tolist() == [E12, 0, E12 // 2, -E12 // 2]
    assert not np.concatenate([g.gamma, g.vega, g.theta, g.rho]).any()


def test_gamma_of_a_tiny_forward_does_not_fit():
    with pytest.raises(OverflowMoneyError, match="row 1: gamma does not fit 64 bits"):
        black76.greeks([E9, 10**5], [E9, 10**5], E12 // 100, 60, 0, True)


GOOD = {"forward": E9, "strike": E9, "vol": E12, "seconds": 86_400, "rate": 0, "is_call": True}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("forward", 10**5 - 1, r"forward\[0, 0\]: 99999 is outside the domain"),
        ("forward", 10**16 + 1, r"forward\[0, 0\]: 10000000000000001 is outside the domain"),
        ("forward", -E9, r"forward\[0, 0\]: -1000000000 is outside the domain"),
        ("strike", 0, r"strike\[0\]: 0 is outside the domain"),
        ("strike", 10**16 + 1, r"strike\[0\]: .* \(expected 100000 to 10000000000000000\)"),
        ("vol", -1, r"vol\[0, 0\]: -1 is outside the domain"),
        ("vol", 5 * E12 + 1, r"vol\[0, 0\]: .* \(expected 0 to 5000000000000\)"),
        ("seconds", 316_224_001, r"seconds\[0, 0\]: 316224001 is outside the domain"),
        ("rate", 10 * E12 + 1, r"rate\[0\]: .* is outside the domain"),
        ("rate", -(10**13), r"rate\[0\]: .* \(expected exp\(-rate T\) below 3.97\)"),
    ],
)
def test_outside_the_domain(name, value, message):
    arguments = GOOD | {name: value}
    if name == "rate":
        arguments["seconds"] = 20 * YEAR // 2
    with pytest.raises(DomainError, match=message):
        black76.value(**arguments)


def test_arguments_of_the_wrong_kind():
    with pytest.raises(UnitError, match="vol: not a signed integer array: float64"):
        black76.value(**GOOD | {"vol": 0.5})
    with pytest.raises(UnitError, match="arrays of different shapes"):
        black76.value(**GOOD | {"vol": [E12, E12], "strike": [E9, E9, E9]})


def test_shapes_are_kept():
    assert black76.value(**GOOD).shape == ()
    assert black76.value(**GOOD | {"strike": np.full((2, 3), E9)}).shape == (2, 3)
    assert black76.value(**GOOD | {"strike": np.zeros(0, dtype=np.int64)}).shape == (0,)
