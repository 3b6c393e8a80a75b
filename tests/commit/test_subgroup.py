"""Many points at once: are all of them in the subgroup of prime order?"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import cache
from itertools import product

import numpy as np
import pytest

from riskproof.commit import subgroup
from riskproof.commit.field import base_field
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import BASE_FIELD, G1Point, scalar
from riskproof.commit.srs import g1_powers
from riskproof.commit.subgroup import BLOCK, SMALLEST, SUMS, all_in_subgroup

P, R = BASE_FIELD, BLS12_381_FR.modulus
COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
COUNT = 208  # blocks of four, an even number of them

with_jit = pytest.mark.skipif(not base_field.JIT, reason="the sums are made by compiled kernels")


def good(count: int = COUNT) -> list[G1Point]:
    return list(g1_powers(count + 16))[16:]


def times(point: G1Point, factor: int) -> G1Point:
    """By doubling and adding: a Scalar would be reduced modulo r."""
    total = G1Point.identity()
    for bit in bin(factor)[2:]:
        total = total + total
        if bit == "1":
            total = total + point
    return total


@cache
def of_order(prime: int) -> G1Point:
    """A point whose order is a prime factor of the cofactor."""
    x = 1
    while True:
        try:
            point = G1Point.from_compressed_bytes_unchecked(bytes([0x80]) + x.to_bytes(47, "big"))
        except ValueError:
            x += 1
            continue
        small = times(point, R)
        rest = COFACTOR
        while rest % prime == 0:
            rest //= prime
        small = times(small, rest)
        while times(small, prime) != G1Point.identity():
            small = times(small, prime)
        if small != G1Point.identity():
            return small
        x += 1


def rows_of(points: list[G1Point]) -> np.ndarray:  # type: ignore[type-arg]
    return subgroup._rows([bytes(p.to_xy_bytes_be()) for p in points])


def test_the_cofactor_and_its_points() -> None:
    assert COFACTOR == 3 * (11 * 10177 * 859267 * 52437899) ** 2
    assert COFACTOR % 2 == 1
    for prime in (3, 11, 10177):
        assert not of_order(prime).is_in_subgroup()
        assert times(of_order(prime), prime) == G1Point.identity()
    assert times(good(1)[0], 12345) == good(1)[0] * scalar(12345)


def test_82_sums_are_enough() -> None:
    assert 27**SUMS * 2**128 < 80**SUMS


@with_jit
def test_products_and_differences_of_the_base_field() -> None:
    numbers = [0, 1, 2, P - 1, P - 2, (1 << 384) % P, *(random.Random(3).randrange(P) for _ in range(30))]
    rows = np.array(
        [[a >> (64 * i) & 2**64 - 1 for a in (x, y) for i in range(6)] for x in numbers for y in numbers], np.uint64
    )
    for factor in numbers:
        got = rows.copy()
        subgroup.scale(got, np.array([factor >> (64 * i) & 2**64 - 1 for i in range(6)], np.uint64))
        plain = [sum(int(v) << (64 * i) for i, v in enumerate(row[j : j + 6])) for row in got for j in (0, 6)]
        inverse = pow(1 << 384, -1, P)
        assert plain == [a * factor * inverse % P for x in numbers for y in numbers for a in (x, y)]


@with_jit
def test_rows_and_points_are_inverse() -> None:
    points = [*good(5), of_order(3), of_order(11)]
    assert subgroup._points(rows_of(points)) == points


@with_jit
def test_the_table_has_every_combination_of_a_block() -> None:
    points, blocks = good(8), 2
    table = subgroup._table(rows_of(points))
    assert table is not None
    entries = subgroup._points(table)
    for k in range(blocks):
        own = [points[i * blocks + k] for i in range(BLOCK)]
        mine = [entries[e * blocks + k] for e in range(40)]
        found = {bytes(p.to_compressed_bytes()) for p in (*mine, *(-p for p in mine))}
        wanted = set()
        for digits in product((-1, 0, 1), repeat=BLOCK):
            if not any(digits):
                continue
            total = G1Point.identity()
            for digit, point in zip(digits, own, strict=True):
                total = total + point if digit == 1 else total - point if digit == -1 else total
            wanted.add(bytes(total.to_compressed_bytes()))
        assert len(found) == 80
        assert found == wanted


@with_jit
@pytest.mark.parametrize("blocks", [2, 4, 6, 10, 14, 52])
def test_sums_are_those_of_the_drawn_combinations(blocks: int) -> None:
    table = subgroup._table(rows_of(good(BLOCK * blocks)))
    assert table is not None
    drawn = np.random.default_rng(blocks).integers(0, 80, (5, blocks))
    sums, entries = subgroup._sums(table, drawn), subgroup._points(table)
    assert sums is not None
    for got, row in zip(sums, drawn.tolist(), strict=True):
        expected = G1Point.identity()
        for k, e in enumerate(row):
            expected = expected + entries[e * blocks + k] if e < 40 else expected - entries[(e - 40) * blocks + k]
        assert got == expected


def test_drawn_combinations_are_uniform() -> None:
    drawn = subgroup._draw(80_000)
    counts = np.bincount(drawn, minlength=80)
    assert len(counts) == 80
    assert 850 < counts.min() <= counts.max() < 1_150  # a thousand each, five standard deviations


@pytest.mark.parametrize("count", [0, 1, SMALLEST - 1, SMALLEST, SMALLEST + 1, COUNT + 5])
def test_good_points(count: int) -> None:
    assert all_in_subgroup(good(count))


def test_repeated_and_negated_points() -> None:
    points = good()
    assert all_in_subgroup([*points, *points[:9], *(-p for p in points[3:11])])
    assert all_in_subgroup([points[0]] * 500)
    assert not all_in_subgroup([*points, of_order(3), -of_order(3), of_order(3)])


@pytest.mark.parametrize("prime", [3, 11, 10177])
@pytest.mark.parametrize("place", [0, 1, 77, COUNT - 1])
def test_one_bad_point_anywhere(prime: int, place: int) -> None:
    points = good()
    points[place] = points[place] + of_order(prime)
    assert not all_in_subgroup(points)


@pytest.mark.parametrize("place", [None, 0, 199, 200, 407, 408, 449])
def test_points_in_chunks(place: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two whole chunks, and one of so few points that they are asked one by one."""
    monkeypatch.setattr(subgroup, "CHUNK", 204)
    points = good(450)
    if place is not None:
        points[place] = points[place] + of_order(3)
    assert all_in_subgroup(points) is (place is None)


@pytest.mark.parametrize("places", [(0, 1, 2), (0, 52, 104), (5, 6, 207)])
def test_bad_points_whose_classes_cancel(places: tuple[int, ...]) -> None:
    """Three points of the class of order 3, and one and its opposite: any sum with equal factors accepts them."""
    points, t = good(), of_order(3)
    three = [p + t if i in places else p for i, p in enumerate(points)]
    assert not all_in_subgroup(three)
    a, b, _ = places
    opposite = [p + t if i == a else p - t if i == b else p for i, p in enumerate(points)]
    assert not all_in_subgroup(opposite)


@with_jit
def test_a_single_sum_misses_about_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    """So there have to be many; and no more than 27 of 80 go unseen."""
    monkeypatch.setattr(subgroup, "SUMS", 1)
    monkeypatch.setattr(subgroup, "SMALLEST", 8)
    points = good(16)
    points[3] = points[3] + of_order(3)
    missed = sum(all_in_subgroup(points) for _ in range(600))
    assert 130 < missed < 275  # 26 of 80 (the factor 0), five standard deviations
    every = [p + of_order(3) for p in good(16)]
    missed = sum(all_in_subgroup(every) for _ in range(600))
    assert missed < 275


@with_jit
def test_points_that_cannot_be_added_in_this_way_are_not_accepted() -> None:
    """Points of G1 with a relation: a + b and c have one x. The answer is that this method cannot tell."""
    points = good()
    blocks = len(points) // BLOCK
    points[2 * blocks] = points[0] + points[blocks]
    assert subgroup._table(rows_of(points)) is None
    assert not all_in_subgroup(points)


def test_padding_that_the_points_bring_themselves() -> None:
    """All of the points that would fill the last block are among the given ones."""
    assert not all_in_subgroup([*g1_powers(16), *good(SMALLEST - 13)])


def test_without_jit() -> None:
    script = (
        "from riskproof.commit.points import G1Point\n"
        "from riskproof.commit.srs import g1_powers\n"
        "from riskproof.commit.subgroup import all_in_subgroup\n"
        "bad = G1Point.from_compressed_bytes_unchecked(bytes([0x80]) + bytes(46) + bytes([4]))\n"
        "print(all_in_subgroup(g1_powers(250)), all_in_subgroup([*g1_powers(250), bad]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True False\n"
