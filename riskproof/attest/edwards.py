"""Which Ed25519 public keys may enter a key set (RFC 8032, section 5.1.3, and more).

    -x^2 + y^2 = 1 + d x^2 y^2   over p = 2^255 - 19,   group order 8 L

A key is accepted if its encoding is canonical (y < p, no minus zero), the point is on the curve, and it lies in the subgroup of
prime order L without being its identity. Libraries accept more: keys of small order verify signatures that nobody made, and keys of
mixed order verify differently in different libraries (Chalkias, Garillot, Nikolaenko: Taming the many EdDSAs, 2020).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from riskproof.errors import KeySetError

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
_SQRT_M1: Final = pow(2, (P - 1) // 4, P)

Extended = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, x y = T/Z


def decode(data: bytes) -> tuple[int, int]:
    """The affine point (x, y) that 32 bytes encode canonically.

    Raises:
        KeySetError: not 32 bytes, y >= p, a sign bit on x = 0, not on the curve.
    """
    if len(data) != 32:
        raise KeySetError(f"{len(data)} bytes are not an Ed25519 public key", expected="32 bytes")
    encoded = int.from_bytes(data, "little")
    sign, y = encoded >> 255, encoded & (2**255 - 1)
    if y >= P:
        raise KeySetError("Ed25519 public key is not encoded canonically", expected="y below 2^255 - 19")
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P  # sqrt(u / v) up to a fourth root of unity
    if v * x * x % P == P - u and u:
        x = x * _SQRT_M1 % P
    if v * x * x % P != u:
        raise KeySetError("Ed25519 public key is not a point of the curve")
    if x == 0 and sign:
        raise KeySetError("Ed25519 public key is not encoded canonically", expected="no sign on x = 0")
    return (P - x if x & 1 != sign else x), y


def _add(a: Extended, b: Extended) -> Extended:
    # Hisil, Wong, Carter, Dawson 2008, section 3.1, for a = -1: complete, so it also doubles.
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m, n = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * D * t1 * t2 % P, 2 * z1 * z2 % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, point: tuple[int, int]) -> tuple[int, int]:
    """scalar * point, affine. Not constant time: for public data only."""
    x, y = point
    base: Extended = (x, y, 1, x * y % P)
    total: Extended = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        total = _add(total, total)
        if bit == "1":
            total = _add(total, base)
    inverse = pow(total[2], -1, P)
    return total[0] * inverse % P, total[1] * inverse % P


@lru_cache(maxsize=1024)
def check_public_key(data: bytes) -> None:
    """Raise KeySetError unless `data` is a canonical point of order exactly L; some 2 ms."""
    point = decode(data)
    if point == (0, 1):
        raise KeySetError("Ed25519 public key is the identity", expected="a point of prime order")
    if multiply(L, point) != (0, 1):
        small = multiply(8, point) == (0, 1)
        raise KeySetError(
            f"Ed25519 public key has {'small' if small else 'mixed'} order", expected="a point of prime order"
        )
