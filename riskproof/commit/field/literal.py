"""Montgomery arithmetic in plain Python integers, word for word as published, to compare the compiled one with."""

from __future__ import annotations

from riskproof.commit.field.modulus import LIMBS, Field

_WORD = 1 << 64


def divide(field: Field, x: int) -> int:
    """(x + m p) / R for the one m in [0, R) that makes the division exact (Handbook of Applied Cryptography, 14.32)."""
    for _ in range(LIMBS):
        m = (x % _WORD) * field.n0 % _WORD
        x = (x + m * field.modulus) // _WORD
    return x


def reduce(field: Field, x: int) -> int:
    """REDC: x / R mod p for 0 <= x <= p R, R = 2^256 (Montgomery, 1985)."""
    if not 0 <= x <= field.modulus << 256:
        raise AssertionError("REDC needs x <= p R")
    x = divide(field, x)
    return x - field.modulus if x >= field.modulus else x


def reduce_sum(field: Field, x: int) -> int:
    """x / R mod p for 0 <= x < 3 p R."""
    if not 0 <= x < 3 * field.modulus << 256:
        raise AssertionError("REDC of a sum needs x < 3 p R")
    x = divide(field, x)
    for multiple in (2 * field.modulus, field.modulus):
        x = x - multiple if x >= multiple else x
    return x


def mul(field: Field, a: int, b: int) -> int:
    """a b / R mod p, for a, b < p."""
    return reduce(field, a * b)


def to_montgomery(field: Field, a: int) -> int:
    """a R mod p."""
    return mul(field, a, field.r2)


def power(field: Field, a: int, exponent: int) -> int:
    """a^exponent in Montgomery form, by squaring and multiplying from the top bit."""
    result = field.r
    for bit in f"{exponent:b}":
        result = mul(field, result, result)
        if bit == "1":
            result = mul(field, result, a)
    return result


def inverse(field: Field, a: int) -> int:
    """1/a in Montgomery form by Fermat, a not zero."""
    if a % field.modulus == 0:
        raise AssertionError("zero has no inverse")
    return power(field, a, field.modulus - 2)
