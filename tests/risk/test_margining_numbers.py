"""Exact numbers and nearest prices: against mpmath, at ties, and far outside the kernel's domain."""

from __future__ import annotations

import random
from fractions import Fraction

import mpmath
import pytest

from riskproof.errors import ModelError
from riskproof.risk.margining import black76, exact
from riskproof.units import SECONDS_PER_YEAR

ONE = 10**18
UNIT = (1, 1)


def reference(call: bool, forward: int, strike: int, vol: int, seconds: int, discount: int, decimals: int) -> int:
    with mpmath.workdps(90):
        f, k, v, d = (mpmath.mpf(x) / ONE for x in (forward, strike, vol, discount))
        s = v * mpmath.sqrt(mpmath.mpf(seconds) / SECONDS_PER_YEAR)
        d1 = mpmath.log(f / k) / s + s / 2
        sign = 1 if call else -1
        value = d * sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - s)))
        return int(mpmath.nint(value * 10**decimals))


def test_values_are_the_nearest_integers() -> None:
    draw = random.Random(7)
    for _ in range(600):
        forward = int(10 ** draw.uniform(-3, 7) * ONE) + draw.randrange(10**9)
        strike = int(forward * draw.choice([1, 0.9, 1.1, 10 ** draw.uniform(-1.5, 1.5)]))
        arguments = (
            draw.random() < 0.5,
            forward,
            strike,
            int(10 ** draw.uniform(-3, 5) * ONE),
            draw.choice([1, 60, 3_600, 86_400, 794_852, SECONDS_PER_YEAR, 10 * SECONDS_PER_YEAR]),
            draw.choice([ONE, int(draw.uniform(0.3, 1.3) * ONE)]),
        )
        decimals = draw.choice([6, 9, 18])
        assert black76.value(*arguments, UNIT, decimals) == reference(*arguments, decimals), arguments


def test_put_call_parity_is_exact_where_nothing_rounds() -> None:
    draw = random.Random(8)
    for _ in range(200):
        forward, strike = (draw.randrange(10**20, 10**23) for _ in range(2))
        vol, seconds = draw.randrange(10**17, 3 * 10**18), draw.randrange(3_600, SECONDS_PER_YEAR)
        call, put = (black76.value(side, forward, strike, vol, seconds, ONE, UNIT, 18) for side in (True, False))
        assert abs(call - put - (forward - strike)) <= 1
        assert min(call, put) >= 0


@pytest.mark.parametrize(("forward", "expected"), [(15, 0), (25, 2), (35, 2), (45, 4)])
def test_exact_ties_go_to_even(forward: int, expected: int) -> None:
    """Intrinsic value of half a unit, with a time value of 10^-100000 that nothing could see."""
    assert black76.value(True, forward * ONE // 10, ONE, 10**10, 1, ONE, UNIT, 0) == expected
    assert black76.value(True, forward * ONE // 10, ONE, 0, 1, ONE, UNIT, 0) == expected
    assert black76.value(True, forward * ONE // 10, ONE, ONE, 0, ONE, UNIT, 0) == expected


def test_extremes() -> None:
    year = SECONDS_PER_YEAR
    assert black76.value(True, 2 * ONE, ONE, 60_000 * ONE, year, ONE, UNIT, 6) == 2_000_000  # worth the forward
    assert black76.value(False, 2 * ONE, ONE, 60_000 * ONE, year, ONE, UNIT, 6) == 1_000_000  # worth the strike
    assert black76.value(False, 2 * ONE, ONE, ONE, -5, ONE, UNIT, 6) == 0  # expired
    assert black76.value(True, 3 * ONE, ONE, ONE, 0, ONE // 2, (1, 10), 6) == 100_000  # discounted, a tenth of a coin
    assert black76.value(True, ONE, ONE, 1, 1, ONE, UNIT, 18) == 0


def test_functions_round_to_the_nearest() -> None:
    draw = random.Random(9)
    with mpmath.workdps(80):
        for _ in range(300):
            x = Fraction(draw.randrange(1, 10**24), draw.randrange(1, 10**22))
            m = mpmath.mpf(x.numerator) / x.denominator
            assert exact.ln(x) == Fraction(int(mpmath.nint(mpmath.log(m) * ONE)), ONE)
            assert exact.sqrt(x) == Fraction(int(mpmath.nint(mpmath.sqrt(m) * ONE)), ONE)
            p = Fraction(draw.randrange(0, 1_000), 100)
            assert exact.power(x, p) == Fraction(
                int(mpmath.nint(mpmath.power(m, mpmath.mpf(p.numerator) / p.denominator) * ONE)), ONE
            )
            y = -x if x < 40 else Fraction(1, 3)
            assert exact.exp(y) == Fraction(
                int(mpmath.nint(mpmath.exp(mpmath.mpf(y.numerator) / y.denominator) * ONE)), ONE
            )


def test_root_of_a_square_and_of_a_tie() -> None:
    assert exact.sqrt(Fraction(9, 4)) == Fraction(3, 2)
    assert exact.sqrt(Fraction(0)) == 0
    for odd, even in ((1, 0), (3, 2), (5, 2)):
        assert exact.sqrt(Fraction(odd * odd, 4 * ONE * ONE)) == Fraction(even, ONE)


@pytest.mark.parametrize("text", ["0", "-0.5", "12", "1/3", "-22/7", "0.000000000000000001", "123456789.25"])
def test_text_is_inverted(text: str) -> None:
    assert exact.text(exact.parse(text, "x")) == text
    assert exact.parse(text, "x") == Fraction(text)


@pytest.mark.parametrize(
    "text",
    ["", "-0", "+1", "1.0", ".5", "1.", "01", "1e3", "2/4", "1/4", "1/0", "1/-3", " 1", "1_000", "nan", "٣", "1/3/5"],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^x: not "):
        exact.parse(text, "x")
