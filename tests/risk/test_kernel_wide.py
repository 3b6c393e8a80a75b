"""The 64-bit products that the kernel is made of, against Python integers."""

import random

from numba import njit

from riskproof import wide


def signed(x: int) -> int:
    x &= (1 << 64) - 1
    return x - (1 << 64) if x >> 63 else x


@njit
def signed_products(a, b, c, k, low):
    return wide.imul_hi(a, b), wide.imul_shr(a, b, k), wide.imul_add_shr(a, b, c, k), wide.imul_low(a, b, low)


@njit
def natural_products(a, b, c, k):
    return wide.nmul_hi(a, b), wide.nmul_shr(a, b, k), wide.nmul_add_shr(a, b, c, k), wide.bit_length(a), wide.scalar(b)


EDGES = [0, 1, -1, 2, -2, 2**62, -(2**62), 2**63 - 1, -(2**63), -(2**63) + 1]


def test_signed_products():
    rng = random.Random(1)
    cases = [(a, b, c, k, 60) for a in EDGES for b in EDGES for c in EDGES for k in (0, 1, 63, 64, 65, 127)]
    cases += [
        (*(rng.randrange(-(2**63), 2**63) for _ in range(3)), rng.randrange(128), rng.randrange(1, 64))
        for _ in range(2000)
    ]
    for a, b, c, k, low in cases:
        expected = (a * b) >> 64, signed((a * b) >> k), signed((a * b + c) >> k), (a * b) % (1 << low)
        assert signed_products(a, b, c, k, low) == expected, (a, b, c, k, low)


def test_natural_products():
    rng = random.Random(2)
    natural = [a for a in EDGES if a >= 0]
    cases = [(a, b, c, k) for a in natural for b in natural for c in natural for k in (0, 1, 63, 64, 65, 127)]
    cases += [(*(rng.randrange(2**63) for _ in range(3)), rng.randrange(128)) for _ in range(2000)]
    for a, b, c, k in cases:
        expected = (a * b) >> 64, signed((a * b) >> k), signed((a * b + c) >> k), a.bit_length(), b
        assert natural_products(a, b, c, k) == expected, (a, b, c, k)
