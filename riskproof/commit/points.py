"""Points of BLS12-381's G1: 48 compressed bytes in, a point of the prime-order subgroup out, or PointError.

Encoding: the big-endian x coordinate with three flag bits on top (compressed, infinity, larger y), as in zkcrypto's bls12_381 and
the ceremony file. Each point has one encoding; the identity is refused, because no honest commitment is it.

This module needs py_arkworks_bls12381 and nothing else, so that a verifier can check points without numba or numpy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from py_arkworks_bls12381 import G1Point, Scalar

from riskproof.errors import PointError

POINT_BYTES: Final = 48
BASE_FIELD: Final = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
_COMPRESSED, _INFINITY, _LARGER = 0x80, 0x40, 0x20
_IDENTITY = G1Point.identity()

__all__ = ["BASE_FIELD", "POINT_BYTES", "G1Point", "Scalar", "known_point", "parse_g1", "point_bytes", "scalar"]


def parse_g1(data: bytes, where: str = "point", *, subgroup: bool = True) -> G1Point:
    """The point of `data`.

    Args:
        subgroup: whether to check that it is in the prime-order subgroup, which is two thirds of the work; a caller that says no
            makes that check by itself (riskproof.commit.subgroup).

    Raises:
        PointError: not 48 bytes; not the compressed form; the identity; x not below the base field's modulus; not on the curve; not
            in the prime-order subgroup.
    """
    if len(data) != POINT_BYTES:
        raise PointError(f"{len(data)} bytes are not a point", where=where, expected=f"{POINT_BYTES} bytes")
    if not data[0] & _COMPRESSED:
        raise PointError("not a compressed point", where=where, expected="the top bit set")
    if data[0] & _INFINITY:
        raise PointError("the identity", where=where, expected="a point other than the identity")
    x = int.from_bytes(bytes([data[0] & ~(_COMPRESSED | _LARGER)]) + data[1:], "big")
    if x >= BASE_FIELD:
        raise PointError("coordinate is not reduced", where=where, expected="x below the base field's modulus")
    try:
        point = G1Point.from_compressed_bytes(data) if subgroup else G1Point.from_compressed_bytes_unchecked(data)
    except ValueError:
        # the curve is y^2 = x^3 + 4: a square means that the point exists, so the subgroup is what failed
        on_curve = pow(x * x * x + 4, (BASE_FIELD - 1) // 2, BASE_FIELD) != BASE_FIELD - 1
        what = "not in the prime-order subgroup" if on_curve else "not on the curve"
        raise PointError(what, where=where, expected="a point of G1") from None
    if point == _IDENTITY or bytes(point.to_compressed_bytes()) != data:
        raise AssertionError("the curve library accepted a second encoding")
    return point


def known_point(data: bytes, where: str = "point") -> G1Point:
    """As `parse_g1`, for points that come again: the commitments of an attestation are read with it, then with every proof."""
    try:
        return _known(data)
    except PointError as error:
        raise PointError(error.what, where=where, expected=error.expected) from None


@lru_cache(maxsize=16_384)
def _known(data: bytes) -> G1Point:
    return parse_g1(data)


def point_bytes(point: G1Point) -> bytes:
    """48 compressed bytes; PointError for the identity, which `parse_g1` would refuse."""
    if point == _IDENTITY:
        raise PointError("the identity", expected="a point other than the identity")
    return bytes(point.to_compressed_bytes())


def scalar(value: int) -> Scalar:
    """A Scalar of an integer in [0, r). Through bytes: Scalar(int) takes 25 times as long."""
    return Scalar.from_le_bytes(value.to_bytes(32, "little"))
