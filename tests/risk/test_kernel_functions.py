"""Elementary functions and compiled primitives against exact arithmetic, public vectors and the twin."""

import csv
import json
import random
from decimal import Decimal
from pathlib import Path

import mpmath
import numpy as np
import pytest

from riskproof.errors import DomainError, UnitError
from riskproof.risk.kernel import black76, fixed, twin
from riskproof.units import INT64_MAX

VECTORS = Path(__file__).resolve().parents[2] / "../shared/vectors/fixed_point_math"
needs_vectors = pytest.mark.skipif(not VECTORS.exists(), reason="the shared test vectors are not beside the repository")

E12, E18 = 10**12, 10**18


def scaled(value: str, exponent: int) -> Decimal:
    return Decimal(value).scaleb(exponent)


def golden_rows(name: str) -> list[tuple[str, str]]:
    with (VECTORS / "mpmath_goldens.csv").open() as file:
        return [(row["x"], row["value_35_digits"]) for row in csv.DictReader(file) if row["fn"] == name]


@needs_vectors
@pytest.mark.parametrize(
    ("name", "function", "unit", "out", "tolerance"),
    [
        ("norm_cdf", black76.cdf, 12, 18, 4),
        ("norm_pdf", black76.pdf, 12, 18, 4),
        ("exp", black76.exp, 12, 18, 20),
        ("ln", black76.ln, 9, 15, 1),
    ],
)
def test_goldens_of_exact_arithmetic(name, function, unit, out, tolerance):
    checked = 0
    for x, value in golden_rows(name):
        argument = scaled(x, unit)
        if (
            argument != argument.to_integral_value()
            or abs(argument) > INT64_MAX
            or (name == "exp" and argument > 2 * E12)
        ):
            continue
        assert abs(int(function(int(argument))) - scaled(value, out)) <= tolerance, x
        checked += 1
    assert checked >= 20


@needs_vectors
def test_integers_of_other_fixed_point_libraries():
    lyra = json.loads((VECTORS / "lyra_utils.json").read_text())["exact_integer_1e18"]["cdf"]
    for x, value in lyra.items():
        assert abs(int(black76.cdf(int(x) // 10**6)) - int(value)) <= 20  # theirs is an approximation as well
    sui = json.loads((VECTORS / "openzeppelin_sui_gaussian.json").read_text())
    for name, function in (("cdf", black76.cdf), ("pdf", black76.pdf)):
        for x, value in sui[name]:
            assert abs(int(function(int(x) * 1000)) - int(value) * 10**9) <= 5 * 10**8
    for start, count in sui["monotonicity_windows"]["windows"]:
        assert (np.diff(black76.cdf((start + np.arange(count)) * 1000)) >= 0).all()


def test_cdf_against_erfc():
    x = np.random.default_rng(7).integers(-10 * E12, 10 * E12, 3000)
    for a, p, q in zip(x.tolist(), black76.cdf(x).tolist(), black76.pdf(x).tolist(), strict=True):
        with mpmath.workdps(30):
            z = mpmath.mpf(a) / E12
            assert abs(mpmath.erfc(-z / mpmath.sqrt(2)) / 2 * E18 - p) <= 4
            assert abs(mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi) * E18 - q) <= 4


def test_cdf_is_symmetric_and_inside_the_unit_interval():
    x = np.concatenate([np.random.default_rng(8).integers(0, 12 * E12, 20_000), [0, 1, 9_375 * 10**9, INT64_MAX]])
    p = black76.cdf(x)
    assert (p + black76.cdf(-x) == E18).all()
    assert p.min() >= 0
    assert p.max() <= E18
    assert black76.cdf(0) == E18 // 2
    assert (black76.pdf(x) == black76.pdf(-x)).all()


@pytest.mark.parametrize(
    "start", [-9_376 * 10**9, -6_109_409_205_000, -4_533_726_000_000, -10_000, 2_999_999_990_000, 9_374_999_990_000]
)
def test_cdf_is_monotone_over_neighbouring_inputs(start):
    assert (np.diff(black76.cdf(start + np.arange(50_000))) >= 0).all()


def test_cdf_is_monotone_across_every_table_boundary():
    boundaries = np.arange(-1200, 1201) * E12 // 128
    for shift in range(-3, 4):
        assert (black76.cdf(boundaries + shift) <= black76.cdf(boundaries + shift + 1)).all()


def test_exp_and_ln_invert():
    x = np.random.default_rng(9).integers(-20 * E12, 2 * E12, 500)
    for a, y in zip(x.tolist(), black76.exp(x).tolist(), strict=True):
        with mpmath.workdps(30):
            assert abs(mpmath.exp(mpmath.mpf(a) / E12) * E18 - y) <= 20
    assert black76.exp(0) == E18
    assert black76.exp(-43 * E12) == 0
    assert black76.exp(-(2**63)) == 0
    assert black76.ln(10**9) == 0
    with mpmath.workdps(30):
        assert black76.ln(1) == round(-9 * mpmath.log(10) * 10**15)
        assert black76.ln(INT64_MAX) == round(mpmath.log(mpmath.mpf(INT64_MAX) / 10**9) * 10**15)


@pytest.mark.parametrize(
    ("function", "argument"), [(black76.ln, [10**9, 0]), (black76.ln, [1, -5]), (black76.exp, [0, 2 * E12 + 1])]
)
def test_outside_the_domain(function, argument):
    with pytest.raises(DomainError, match=r"\[1\]: .* is outside the domain"):
        function(argument)


@pytest.mark.parametrize("argument", [[0.5], ["1"], np.array([1], dtype=np.uint64)])
def test_not_integers(argument):
    with pytest.raises(UnitError, match="not a signed integer array"):
        black76.cdf(argument)


def test_primitives_equal_the_twin():
    rng = random.Random(10)
    prices = [1, 2, 3, 10**5, 10**9 - 1, 10**9, 10**16, INT64_MAX] + [
        rng.randrange(1, 1 << rng.randrange(1, 64)) for _ in range(2000)
    ]
    assert [fixed.ln(a) for a in prices] == [twin.ln(a) for a in prices]
    edges = [0, 1, (1 << 52) - 1, 1 << 52, (75 << 56) - 1, 75 << 56]
    deviates = edges + [rng.randrange(75 << 56) for _ in range(2000)]
    assert [fixed.density(z) for z in deviates] == [twin.density(z) for z in deviates]
    tails = [*edges, (49 << 57) - 1] + [rng.randrange(49 << 57) for _ in range(2000)]
    assert [fixed.mills(z) for z in tails] == [twin.mills(z) for z in tails]
    powers = [(whole, rng.randrange(1 << 63)) for whole in range(-70, 2) for _ in range(20)] + [
        (0, 0),
        (1, (1 << 63) - 1),
    ]
    assert [fixed.power_of_two(*u) for u in powers] == [twin.power_of_two(*u) for u in powers]


def test_reciprocal_is_the_exact_quotient():
    rng = random.Random(11)
    divisors = [1 << 61, (1 << 61) + 1, (1 << 62) - 1, (1 << 62) - 2, 3 << 60] + [
        rng.randrange(1 << 61, 1 << 62) for _ in range(5000)
    ]
    assert [fixed.reciprocal(m) for m in divisors] == [((1 << 123) - 1) // m for m in divisors]
