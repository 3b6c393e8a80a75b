"""Values in pairs of doubles: never another integer than the exact one, errors below the bound, ties left alone."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from riskproof.errors import SnapshotError
from riskproof.market.sample import sample_market
from riskproof.risk.margining import Account, MarginModel, UnitValues, black76, evaluate_model, load_model, nearest
from riskproof.risk.margining import nearest_kernel as kernel
from riskproof.risk.margining.grid import BASE
from riskproof.risk.margining.markets import from_market
from riskproof.risk.margining.nearest import Option, Terms
from riskproof.risk.margining.tail import Tail
from riskproof.risk.margining.tail_values import JointValues
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.moves import Moves
from riskproof.units import SECONDS_PER_YEAR

ONE = 10**18
YEAR = SECONDS_PER_YEAR
Given = tuple[list[Option], list[list[Terms]], list[list[int]]]


def drawn(draw: random.Random, options: int, columns: int) -> Given:
    """Options and states from everyday ones to absurd ones; strikes at the forward, near it and far away."""
    terms = []
    for _ in range(8):
        price = int(10 ** draw.choice([draw.uniform(2, 5), draw.uniform(-6, 11)]) * ONE) + draw.randrange(10**6)
        seconds = draw.choice([1, 60, 3_600, 86_400, 794_852, 30 * 86_400, YEAR, 10 * YEAR, 0, -5])
        discount = draw.choice([ONE, int(draw.uniform(0.3, 1.3) * ONE)])
        unit = draw.choice([(1, 1), (1, 100), (7, 3), (10**18, 10**18 + draw.randrange(10**6))])
        moved = [price, *(int(price * draw.choice([draw.uniform(0.5, 1.5), 1.0001])) for _ in range(columns - 1))]
        terms.append([Terms(f, seconds - draw.choice([0, 0, 86_400]), discount, unit) for f in moved])
    held, vols = [], []
    for _ in range(options):
        group = draw.randrange(len(terms))
        base = terms[group][0].forward
        strike = draw.choice([base, base + draw.randrange(-1000, 1000), int(base * 10 ** draw.uniform(-2, 2))])
        strike = draw.choice([strike, int(base * draw.uniform(0.7, 1.4))])
        held.append(Option(draw.random() < 0.5, max(strike, 1), group))
        wide = draw.random() < 0.3
        vols.append([int(10 ** (draw.uniform(-6, 5) if wide else draw.uniform(-1, 0.5)) * ONE) for _ in range(columns)])
    return held, terms, vols


def exactly(given: Given, decimals: int) -> list[list[int]]:
    options, terms, vols = given
    return [
        [nearest._exact(o, t, v, decimals) for t, v in zip(terms[o.group], row, strict=True)]
        for o, row in zip(options, vols, strict=True)
    ]


class Decisions:
    """What the kernel decides and leaves, seen where the results of its calls are made integers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decided = self.left = 0
        integers = nearest._integers

        def seen(high: Any, low: Any, decided: Any) -> list[list[int]]:
            self.decided += int(decided.sum())
            self.left += int((~decided).sum())
            return integers(high, low, decided)

        monkeypatch.setattr(nearest, "_integers", seen)


def compare(rounds: int, options: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> Decisions:
    seen = Decisions(monkeypatch)
    draw = random.Random(76)
    for n in range(rounds):
        given = drawn(draw, options, columns)
        decimals = draw.choice([0, 2, 6, 6, 9, 12, 18])
        assert nearest._compiled(*given, decimals) == exactly(given, decimals), n
    return seen


def test_the_integers_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = compare(20, 50, 20, monkeypatch)
    assert seen.decided + seen.left == 20_000
    assert seen.decided > 12_000  # of a quarter the time is up, the volatility absurd, or 18 decimals out of reach


@pytest.mark.slow
def test_a_million_integers_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = compare(250, 100, 40, monkeypatch)
    assert seen.decided + seen.left == 1_000_000
    assert seen.decided > 600_000


def everyday(draw: random.Random, options: int, columns: int) -> Given:
    """Listed options under ordinary shocks."""
    terms = []
    for _ in range(8):
        price, seconds = int(draw.uniform(1_000, 100_000) * 10**9) * 10**9, draw.randrange(3_600, YEAR)
        moved = [price * draw.randrange(500, 1_500) // 1_000 for _ in range(columns)]
        terms.append([Terms(f, seconds, draw.randrange(ONE * 9 // 10, ONE), (1, 1)) for f in moved])
    held = [Option(draw.random() < 0.5, draw.randrange(1_000, 100_000) * ONE, n % len(terms)) for n in range(options)]
    return held, terms, [[draw.randrange(ONE // 5, 2 * ONE) for _ in range(columns)] for _ in held]


@pytest.mark.parametrize("decimals", [6, 9, 18])
def test_listed_options_are_decided(decimals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given, seen = everyday(random.Random(decimals), 40, 50), Decisions(monkeypatch)
    assert nearest._compiled(*given, decimals) == exactly(given, decimals)
    assert (seen.decided, seen.left) == (2_000, 0)


@pytest.mark.parametrize(
    ("size", "far", "near"), [(10**6, (40, 56), (75, 120, 200)), (10**20, (70, 85), (101, 120, 200))]
)
def test_next_to_a_tie_it_is_left(
    size: int, far: tuple[int, ...], near: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units that bring values to n + 1/2, give or take 2^-k of it: what is near is not decided, what is decided is right.

    Near is what a fraction of 53 bits does not tell from a tie, or the bound of 2^-97 of the forward.
    """
    draw = random.Random(5)
    left: dict[int, int] = dict.fromkeys((*far, *near), 0)
    count = 0
    while count < 60:
        forward = draw.randrange(10**20, 10**23)
        option = Option(draw.random() < 0.5, forward * draw.randrange(80, 120) // 100, 0)
        vol, seconds = draw.randrange(ONE // 5, 2 * ONE), draw.randrange(3_600, YEAR)
        value = Fraction(black76._undiscounted(option.call, forward, option.strike, vol, seconds, 512), ONE << 512)
        if value * 100 * ONE < forward:
            continue
        count += 1
        tie = (draw.randrange(size // 2, size) + Fraction(1, 2)) / value
        for k in left:
            grain = 1 << (k + 40)
            unit = (math.floor(tie * (1 + Fraction(draw.choice([-1, 1]), 1 << k)) * grain), grain)
            given: Given = ([option], [[Terms(forward, seconds, ONE, unit)]], [[vol]])
            with monkeypatch.context() as patch:
                seen = Decisions(patch)
                assert nearest._compiled(*given, 0) == exactly(given, 0), k
            left[k] += seen.left
    assert left == dict.fromkeys(far, 0) | dict.fromkeys(near, count)


@pytest.mark.parametrize(
    ("forward", "strike", "vol", "seconds", "unit"),
    [
        (100 * ONE, 90 * ONE, 0, YEAR, (1, 1)),
        (100 * ONE, 90 * ONE, ONE, 0, (1, 1)),
        (100 * ONE, 90 * ONE, ONE, -1, (1, 1)),
        (100 * ONE, 90 * ONE, 17 * ONE, YEAR, (1, 1)),
        (100 * ONE, 90 * ONE, 60_000 * ONE, YEAR, (1, 1)),
        (100 * ONE, 90 * ONE, 10**6, 1, (1, 1)),
        (1 << 101, 90 * ONE, ONE, YEAR, (1, 1)),
        (100 * ONE, 1 << 101, ONE, YEAR, (1, 1)),
        (100 * ONE, 90 * ONE, ONE, YEAR, (10**40, 1)),
        (100 * ONE, 90 * ONE, ONE, YEAR, (10**400, 1)),
        (10**2000, 90 * ONE, ONE, YEAR, (1, 1)),
        (15 * ONE // 10, ONE, 10**10, 1, (1, 1)),
    ],
)
def test_what_is_outside_the_domain_is_left(
    forward: int, strike: int, vol: int, seconds: int, unit: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Decisions(monkeypatch)
    for call in (True, False):
        given: Given = ([Option(call, strike, 0)], [[Terms(forward, seconds, ONE, unit)]], [[vol]])
        assert nearest._compiled(*given, 0) == exactly(given, 0)
    assert seen.left == 2 or (seen.left == 1 and forward == 15 * ONE // 10)  # the put of that one is clearly worthless


def pair(x: mpmath.mpf) -> tuple[float, float]:
    high = float(x)
    return high, float(x - high)


def test_errors_are_below_the_bound() -> None:
    """Of whole values before scaling, with exact pairs for s, against 512 bits."""
    draw, worst = random.Random(97), 0.0
    logs, table = nearest._tables()
    for n in range(3_000):
        forward = draw.randrange(10 ** draw.randrange(12, 30)) + 1
        s_wanted = 10 ** draw.uniform(-6, 1.2)
        strike = max(1, int(forward * math.exp(draw.uniform(-12, 12) * min(s_wanted, 2))))
        seconds = draw.choice([1, 3_600, 86_400, YEAR])
        vol = int(s_wanted / math.sqrt(seconds / YEAR) * ONE)
        (fh, fl), (kh, kl) = nearest._pair(forward, 1), nearest._pair(strike, 1)
        s = kernel.multiply(*nearest._pair(vol, 1), *nearest._root(seconds))
        if not kernel.S_MIN <= s[0] <= kernel.S_MAX:
            continue
        lk = kernel.logarithm(kh, kl, logs)
        x = kernel.add(*kernel.logarithm(fh, fl, logs), -lk[0], -lk[1])
        call = n % 2 == 0
        found = kernel.undiscounted(call, fh, fl, kh, kl, *x, *s, table)
        exact = black76._undiscounted(call, forward, strike, vol, seconds, 512)
        error = abs(Fraction(found[0]) + Fraction(found[1]) - Fraction(exact, 1 << 512))
        worst = max(worst, float(error / max(forward, strike)))
    assert 2.0**-112 < worst < 1.7 * 2.0**-99


def test_the_functions_are_as_accurate_as_the_analysis_says() -> None:
    draw = random.Random(3)
    logs, table = nearest._tables()
    with mpmath.workprec(400):
        for _ in range(2_000):
            d = mpmath.mpf(draw.uniform(-13, 13)) + mpmath.mpf(draw.uniform(-1, 1)) * mpmath.mpf(2) ** -56
            high, low = kernel.normal(*pair(d), table)
            assert abs(mpmath.mpf(high) + mpmath.mpf(low) - mpmath.ncdf(d)) < mpmath.mpf(2) ** -102.9
            a = mpmath.mpf(10) ** draw.uniform(0, 30) * (1 + mpmath.mpf(draw.random()) * mpmath.mpf(2) ** -53)
            high, low = kernel.logarithm(*pair(a), logs)
            assert (
                abs(mpmath.mpf(high) + mpmath.mpf(low) - mpmath.log(sum(map(mpmath.mpf, pair(a)))))
                < mpmath.mpf(2) ** -96
            )
            b = (
                mpmath.mpf(draw.choice([-1, 1]))
                * a
                * (1 + mpmath.mpf(draw.uniform(-1, 1)) * mpmath.mpf(2) ** -draw.randrange(90))
            )
            (ah, al), (bh, bl) = pair(a), pair(b)
            left, right = mpmath.mpf(ah) + al, mpmath.mpf(bh) + bl
            for operation, true, bits in (
                (kernel.add, left + right, 104),
                (kernel.multiply, left * right, 102),
                (kernel.divide, left / right, 102),
            ):
                high, low = operation(ah, al, bh, bl)
                assert abs(mpmath.mpf(high) + low - true) <= abs(true) * mpmath.mpf(2) ** -bits


SCRIPT = """
import json, random, sys
sys.path.insert(0, {tests!r})
from test_margining_nearest import drawn, everyday
from riskproof.risk.margining import nearest, nearest_kernel as kernel
given, other = everyday(random.Random(1), 8, 6), drawn(random.Random(2), 12, 6)
logs, table = nearest._tables()
pairs = [kernel.undiscounted(z, 1e5, 3e-12, k, -2e-12, 0.1, 1e-19, s, 1e-20, table)
         for z in (True, False) for k in (9e4, 1e5) for s in (0.01, 0.3, 2.0)]
print(json.dumps([[nearest._compiled(*g, m) for g in (given, other) for m in (6, 18)], [[x.hex() for x in p] for p in pairs]]))
"""


def test_the_same_pairs_without_compilation() -> None:
    """To the last bit: nothing is contracted or reordered."""
    here = Path(__file__).resolve()
    found = []
    for off in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(tests=str(here.parent))],
            env=os.environ | {"NUMBA_DISABLE_JIT": off},
            cwd=here.parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert found[0][0][0] == exactly(everyday(random.Random(1), 8, 6), 6)


def test_few_values_do_not_load_the_kernel() -> None:
    script = """
import sys
from riskproof.risk.margining import nearest
terms = [[nearest.Terms(10**20, 86_400, 10**18, (1, 1))] * 10]
nearest.grid([nearest.Option(True, 10**20, 0)], terms, [[10**18] * 10], 6)
print("riskproof.risk.margining.nearest_kernel" in sys.modules)
many = [[terms[0][0]] * 1_000]
for _ in range(60):
    nearest.grid([nearest.Option(True, 10**20, 0)], many, [[10**18] * 1_000], 6)
print("riskproof.risk.margining.nearest_kernel" in sys.modules)
"""
    for off, loaded in (("0", "True"), ("1", "False")):
        env = os.environ | {"NUMBA_DISABLE_JIT": off}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", loaded]


@pytest.fixture(scope="module")
def market() -> Any:
    return from_market(sample_market())


@pytest.mark.parametrize("name", ["derive-pm2", "derive-srm", "span16", "cross"])
def test_together_and_one_by_one(name: str, market: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(name)
    together, singly = UnitValues(model, market), UnitValues(model, market)
    places = [n for n, x in enumerate(market.listings) if x.strike is not None and x.volatility is not None][::9]
    together.price(places, together.states)
    monkeypatch.setattr(UnitValues, "price", lambda *_: None)
    states = (BASE, *(s.state for s in model.scenarios))
    for place in places:
        assert together.in_scenarios(place) == [singly.option(place, state) for state in states]


def test_what_cannot_be_priced_is_refused_when_it_is_asked_for(market: Any) -> None:
    model: MarginModel = load_model("derive-pm2")
    place = next(n for n, x in enumerate(market.listings) if x.strike is not None and x.underlying == "BTC")
    listings = list(market.listings)
    listings[place] = replace(listings[place], volatility=None)
    without = replace(market, listings=tuple(listings))
    values = UnitValues(model, without)
    other = next(n for n, x in enumerate(listings) if x.strike is not None and n != place and x.underlying == "BTC")
    values.price([place, other], values.states)
    assert values.option(other, BASE) == UnitValues(model, market).option(other, BASE)
    with pytest.raises(SnapshotError, match=r"no volatility.*a volatility of every option held"):
        values.option(place, BASE)
    with pytest.raises(SnapshotError, match="no volatility"):
        evaluate_model(model, without, Account(((place, Fraction(1)),), ()))


def joint_values(market: Any) -> JointValues:
    """Values under 40 joint moves of prices and volatilities."""
    factors = tuple(Factor(u, days) for u in ("BTC", "ETH") for days in (0, 7, 30))
    ratios = np.random.default_rng(4).integers(6 * 10**11, 16 * 10**11, (40, len(factors)))
    values = JointValues(replace(load_model("derive-pm2"), tail=Tail((), ("USD",))), market)
    values._parts[0] = (Moves(tuple(map(str, range(40))), factors, ratios),)
    return values


def test_joint_moves_together_and_one_by_one(market: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [n for n, x in enumerate(market.listings) if x.strike is not None and x.volatility is not None][::17]
    together, singly = joint_values(market), joint_values(market)
    together.price_units(0, places)
    assert set(together._units) == {(0, place) for place in places}
    monkeypatch.setattr(JointValues, "price_units", lambda *_: None)
    assert [together.units(0, place) for place in places] == [singly.units(0, place) for place in places]


@pytest.mark.parametrize(("volatility", "what"), [(None, "no volatility"), (Fraction(-1, 2), "a negative volatility")])
def test_joint_moves_of_what_cannot_be_priced_are_refused(market: Any, volatility: Fraction | None, what: str) -> None:
    place = next(n for n, x in enumerate(market.listings) if x.strike is not None)
    listings = list(market.listings)
    listings[place] = replace(listings[place], volatility=volatility)
    values = joint_values(replace(market, listings=tuple(listings)))
    values.price_units(0, [place])
    with pytest.raises(SnapshotError, match=what):
        values.units(0, place)
