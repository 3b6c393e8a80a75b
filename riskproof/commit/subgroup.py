"""Whether many points of the curve are all in G1, the subgroup of prime order: at a third of the price of asking each one.

Sum the points with random factors and ask whether the sum is in G1. If one point is not, the sum is not, but for a probability q;
after k sums the error is q^k. One sum with long random factors would not do: the curve has h r points with
h = 3 (11 * 10177 * 859267 * 52437899)^2, so there are points of order 3, and three of them may add up to nothing whatever the
length of the factors: q is never below 1/3. That is why there are many sums with short factors. Here

    the points are in blocks of four, padded with points that are in G1;
    in each sum each block has factors (c_1, .., c_4) from {-1, 0, 1}^4 without (0, 0, 0, 0), uniform and independent.

*Claim: q <= 27/80.* Let t_i be the class of point i in the quotient of the curve by G1, a group of odd order h. Let t_i != 0, let
everything but the factors of its block be given, and let all factors of the block but c_i be given too. The three values of c_i
make three different classes of the sum, since t_i, -t_i and 0 differ in a group of odd order, so at most one value makes it zero:
at most 27 of the 81 vectors, and of the 80 that are drawn from. So k = 82 sums accept wrongly with probability at most
(27/80)^82 < 2^-128. The factors come from the operating system, after the points are there.

This is the small exponents test of Bellare, Garay and Rabin (Fast batch verification for modular exponentiation and digital
signatures, EUROCRYPT 1998), with what Boyd and Pavlovski (Attacking and repairing batch verification schemes, ASIACRYPT 2000) say
of elements of small order. What slipped through would not make a false proof hold: pairings with points of G2 do not see classes of
the quotient. The verdict would be `valid` where the point alone makes it `malformed`.

A block's 80 combinations up to sign are 36 additions, and a sum takes one of them from each block: some 30 additions a point for
all 82 sums. They are made in affine coordinates, many at a time, so that one inversion serves all; six products each. Two points
with the same x cannot be added so: then the answer is False, which only sends the caller to ask each one. Many points are taken in
chunks; a wrong point is in one of them, which fails but for the probability above.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.base_field import BITS, JIT, LIMBS
from riskproof.commit.field.montgomery import jit
from riskproof.commit.points import BASE_FIELD, G1Point
from riskproof.commit.srs import g1_powers

if JIT:
    from riskproof.commit.field.base_field import base_load, base_mul, base_store, base_sub

SUMS: Final = 82
BLOCK: Final = 4
SMALLEST: Final = 192  # fewer points are faster one by one
CHUNK: Final = 4_096  # more points at once are not faster, and would take more memory than 15 MiB
_HALF = 40  # combinations of a block, up to sign
_PADDING = 16
_X_BYTES = 48
_LIMB = np.dtype("<u8")
_EXPONENT = BASE_FIELD - 2

Rows = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


def _element(value: int) -> list[int]:
    """Limbs of value R mod p."""
    value = (value << BITS) % BASE_FIELD
    return [value >> (64 * i) & (1 << 64) - 1 for i in range(LIMBS)]


# 1, 0 and R^2 (each in a row), and the bits of p - 2 from the top
_CONSTANTS = np.array([_element(1), [0] * LIMBS, _element(1 << BITS)], dtype=np.uint64)
_BITS_OF_EXPONENT = np.array([int(b) for b in bin(_EXPONENT)[2:]], dtype=np.uint8)


@jit  # type: ignore[untyped-decorator]
def scale(rows: Any, factor: Any) -> None:
    """Every coordinate of uint64[N, 12] times factor / R, in place; factor is uint64[6]."""
    f = factor[0], factor[1], factor[2], factor[3], factor[4], factor[5]
    for i in range(rows.shape[0]):
        for j in (0, 6):
            base_store(rows, i, j, base_mul(base_load(rows, i, j), f))


@jit  # type: ignore[untyped-decorator]
def add_pairs(points: Any, left: Any, right: Any, out: Any, at: int, constants: Any, exponent: Any) -> bool:
    """out[at + i] = points[left[i]] + points[right[i]] in affine coordinates x || y; a place ~k means minus points[k].

    False, and out undefined, if two points of a pair have the same x. out may be points, if at is behind what is read.
    """
    count = left.shape[0]
    products = np.empty((count, 6), dtype=np.uint64)
    product, zero = base_load(constants, 0, 0), base_load(constants, 1, 0)
    for i in range(count):
        base_store(products, i, 0, product)
        k, m = left[i], right[i]
        step = base_sub(base_load(points, m if m >= 0 else ~m, 0), base_load(points, k if k >= 0 else ~k, 0))
        if (step[0] | step[1] | step[2] | step[3] | step[4] | step[5]) == 0:
            return False
        product = base_mul(product, step)
    inverse = base_load(constants, 0, 0)
    for bit in exponent:
        inverse = base_mul(inverse, inverse)
        if bit:
            inverse = base_mul(inverse, product)
    for back in range(count):
        i = count - 1 - back
        k, m = left[i], right[i]
        a, b = k if k >= 0 else ~k, m if m >= 0 else ~m
        x1, y1, x2, y2 = (
            base_load(points, a, 0),
            base_load(points, a, 6),
            base_load(points, b, 0),
            base_load(points, b, 6),
        )
        if k < 0:
            y1 = base_sub(zero, y1)
        if m < 0:
            y2 = base_sub(zero, y2)
        slope = base_mul(base_sub(y2, y1), base_mul(inverse, base_load(products, i, 0)))
        inverse = base_mul(inverse, base_sub(x2, x1))
        x3 = base_sub(base_sub(base_mul(slope, slope), x1), x2)
        base_store(out, at + i, 0, x3)
        base_store(out, at + i, 6, base_sub(base_mul(slope, base_sub(x1, x3)), y1))
    return True


def all_in_subgroup(points: Sequence[G1Point]) -> bool:
    """True: all are in G1, but for a probability below 2^-128. False: one is not, or this method cannot tell.

    Args:
        points: on the curve, none of them the identity.
    """
    # a point and its negative are both in G1 or both outside; in one sum they would have the same x
    distinct = list({bytes(p.to_xy_bytes_be())[:_X_BYTES]: p for p in points}.values())
    return all(_together(distinct[i : i + CHUNK]) for i in range(0, len(distinct), CHUNK))


def _together(points: list[G1Point]) -> bool:
    """As `all_in_subgroup`, of at most CHUNK points with different x."""
    if not JIT or len(points) < SMALLEST:
        return all(p.is_in_subgroup() for p in points)
    encoded = [bytes(p.to_xy_bytes_be()) for p in points]
    given = {xy[:_X_BYTES] for xy in encoded}
    padding = (bytes(p.to_xy_bytes_be()) for p in g1_powers(_PADDING))
    encoded += [xy for xy in padding if xy[:_X_BYTES] not in given][: -len(encoded) % (2 * BLOCK)]
    if len(encoded) % (2 * BLOCK):
        return False
    table = _table(_rows(encoded))
    sums = None if table is None else _sums(table, _draw(SUMS * (len(table) // _HALF)).reshape(SUMS, -1))
    return sums is not None and all(p.is_in_subgroup() for p in sums)


def _rows(encoded: Sequence[bytes]) -> Rows:
    """uint64[N, 12] in Montgomery form of N points of 96 bytes, x || y, big-endian."""
    little = b"".join(xy[:_X_BYTES][::-1] + xy[_X_BYTES:][::-1] for xy in encoded)
    rows = np.frombuffer(little, dtype=_LIMB).astype(np.uint64).reshape(-1, 2 * LIMBS)
    scale(rows, _CONSTANTS[2])
    return rows


def _points(rows: Rows) -> list[G1Point]:
    """Inverse of `_rows`."""
    plain = rows.copy()
    scale(plain, np.array([1, 0, 0, 0, 0, 0], dtype=np.uint64))
    data = plain.astype(_LIMB, copy=False).tobytes()
    coordinates = [data[i : i + _X_BYTES][::-1] for i in range(0, len(data), _X_BYTES)]
    return [G1Point.from_xy_bytes_unchecked_be(x + y) for x, y in zip(coordinates[::2], coordinates[1::2], strict=True)]


def _table(points: Rows) -> Rows | None:
    """The 40 combinations of each block, up to sign: combination e of block k of B is row e B + k; None if it cannot tell.

    The points are combinations 0 to 3: point i is in block i mod B.
    """
    blocks = len(points) // BLOCK
    table = np.empty((_HALF * blocks, 2 * LIMBS), dtype=np.uint64)
    table[: len(points)] = points
    first = [(0, 1), (0, ~1), (2, 3), (2, ~3)]
    second = [(x, y) for x in (0, 1, 4, 5) for y in (2, 3, 6, 7)] + [
        (x, ~y) for x in (0, 1, 4, 5) for y in (2, 3, 6, 7)
    ]
    at = len(points)
    for pairs in (first, second):
        left, right = (_places(np.array(side), blocks) for side in zip(*pairs, strict=True))
        if not add_pairs(table, left, right, table, at, _CONSTANTS, _BITS_OF_EXPONENT):
            return None
        at += len(pairs) * blocks
    return table


def _places(combinations: Places, blocks: int) -> Places:
    """Places in the table of these combinations, ~e for minus e, of every block."""
    negative = combinations < 0
    rows = np.where(negative, ~combinations, combinations)[:, None] * blocks + np.arange(blocks)
    signed: Places = np.where(negative[:, None], ~rows, rows).ravel()
    return signed


def _draw(count: int) -> Places:
    """int64[count], uniform in [0, 80), from the operating system."""
    drawn = np.empty(0, dtype=np.uint8)
    while len(drawn) < count:
        more = np.frombuffer(secrets.token_bytes(count + count // 8 + 64), dtype=np.uint8)
        drawn = np.concatenate([drawn, more[more < 3 * 2 * _HALF]])
    return (drawn[:count] % (2 * _HALF)).astype(np.int64)


def _sums(table: Rows, drawn: Places) -> list[G1Point] | None:
    """For each row of int64[sums, B], the sum over the blocks of the drawn combination, 40 .. 79 being minus 0 .. 39."""
    sums, width = drawn.shape
    rows = drawn % _HALF * width + np.arange(width)
    places: Places = np.where(drawn < _HALF, rows, ~rows)
    points = table
    while width > 1:
        half = width // 2
        left, right = (
            np.ascontiguousarray(places[:, :half]).ravel(),
            np.ascontiguousarray(places[:, half : 2 * half]).ravel(),
        )
        added = np.empty((sums, width - half, 2 * LIMBS), dtype=np.uint64)
        out = np.empty((sums * half, 2 * LIMBS), dtype=np.uint64)
        if not add_pairs(points, left, right, out, 0, _CONSTANTS, _BITS_OF_EXPONENT):
            return None
        added[:, :half] = out.reshape(sums, half, 2 * LIMBS)
        if width % 2:  # never of the table itself, whose blocks are even in number: the place has no sign
            added[:, half] = points[places[:, -1]]
        width -= half
        points = added.reshape(-1, 2 * LIMBS)
        places = np.arange(sums * width, dtype=np.int64).reshape(sums, width)
    return _points(points)
