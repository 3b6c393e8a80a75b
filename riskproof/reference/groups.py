"""Section 1 of docs/protocol.md: scalars, points, the structured reference string, and the pairing equation.

The curve is y^2 = x^3 + 4 over the field of p elements; G1 is its subgroup of order r. Points are py_ecc's projective triples.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_RECURSION_LIMIT = sys.getrecursionlimit()

from py_ecc.fields import optimized_bls12_381_FQ as FQ  # noqa: E402
from py_ecc.fields import optimized_bls12_381_FQ2 as FQ2  # noqa: E402
from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12  # noqa: E402
from py_ecc.optimized_bls12_381.optimized_curve import (  # noqa: E402
    G1,
    Z1,
    add,
    b2,
    curve_order,
    field_modulus,
    is_inf,
    is_on_curve,
    multiply,
    normalize,
)
from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing  # noqa: E402

sys.setrecursionlimit(_RECURSION_LIMIT)  # py_ecc raises it to 100,000, where deep recursion crashes instead of raising

from riskproof.reference.outcomes import Malformed  # noqa: E402

R_ORDER: Final[int] = curve_order  # r
P_FIELD: Final[int] = field_modulus  # p
Point = Any  # py_ecc's projective point of G1 or G2; it has no types

# RFC 9380, BLS12381G1_XMD:SHA-256_SSWU_RO_ of `H` under the tag riskproof/identity/v1 (section 3).
H_ID_BYTES: Final = bytes.fromhex(
    "ae4e16dd7a1a0e3fc7e46ed82a0155e7cd969a03891904e9ff13e942a4e52e02fc56643167aa9a6cc65220e0ce92ab11"
)
_CEREMONY: Final = Path(__file__).resolve().parent.parent / "commit" / "data" / "kzg_trusted_setup.txt"
_COMPRESSED, _INFINITY, _LARGER_Y = 1 << 383, 1 << 382, 1 << 381


def digest(tag: str, body: bytes) -> bytes:
    """digest(tag, body) = SHA-256(len(tag) as one byte || tag || body)."""
    return hashlib.sha256(bytes([len(tag)]) + tag.encode("ascii") + body).digest()


def scalar(data: bytes, where: str) -> int:
    """32 bytes little-endian, below r (Malformed)."""
    value = int.from_bytes(data, "little")
    if len(data) != 32 or value >= R_ORDER:
        raise Malformed(f"{where}: not a scalar of 32 bytes below r")
    return value


def point(data: bytes, where: str) -> Point:
    """A point of G1 from 48 bytes: on the curve, in the subgroup, not the identity, x reduced (Malformed)."""
    if len(data) != 48:
        raise Malformed(f"{where}: {len(data)} bytes are not a point of 48")
    flags_x = int.from_bytes(data, "big")
    x = flags_x & (_LARGER_Y - 1)
    if not flags_x & _COMPRESSED:
        raise Malformed(f"{where}: point is not compressed")
    if flags_x & _INFINITY:
        raise Malformed(f"{where}: point is the identity")
    if x >= P_FIELD:
        raise Malformed(f"{where}: x of the point is not reduced")
    y_squared = (pow(x, 3, P_FIELD) + 4) % P_FIELD
    y = pow(y_squared, (P_FIELD + 1) // 4, P_FIELD)  # p = 3 mod 4
    if y * y % P_FIELD != y_squared:
        raise Malformed(f"{where}: point is not on the curve")
    if bool(flags_x & _LARGER_Y) != (y > P_FIELD - y):
        y = P_FIELD - y
    result = (FQ(x), FQ(y), FQ(1))
    if not is_inf(multiply(result, R_ORDER)):
        raise Malformed(f"{where}: point is not in the subgroup of order r")
    return result


def point_bytes(a: Point) -> bytes:
    """The 48 bytes of a point that is not the identity."""
    x, y = (int(c) for c in normalize(a))
    return (x | _COMPRESSED | (_LARGER_Y if y > P_FIELD - y else 0)).to_bytes(48, "big")


def combine(terms: Iterable[tuple[int, Point]]) -> Point:
    """sum of scalar times point; the identity if there is none."""
    total = Z1
    for factor, a in terms:
        total = add(total, multiply(a, factor % R_ORDER))
    return total


def equal(a: Point, b: Point) -> bool:
    """Whether two points are the same, identity included."""
    return bool(is_inf(add(a, multiply(b, R_ORDER - 1))))


@dataclass(frozen=True)
class Setup:
    """What verifying needs of a structured reference string.

    Attributes:
        digest: 32 bytes, the srs digest of section 1.
        g2: [1]_2, [tau]_2, [tau^2]_2 as py_ecc points.
    """

    digest: bytes
    g2: tuple[Point, Point, Point]


@cache
def ceremony() -> Setup:
    """The Ethereum KZG ceremony's, from its text file: counts of G1 and G2, then a point a line in hexadecimal, 4096 of G1 in
    Lagrange form, 65 powers in G2, 4096 powers in G1. The srs digest, which the transcript absorbs, tells one setup from another.
    """
    lines = _CEREMONY.read_text("ascii").split()
    if lines[:2] != ["4096", "65"] or len(lines) != 2 + 4096 + 65 + 4096:
        raise AssertionError("the installed ceremony file was altered")
    g2, g1 = (b"".join(map(bytes.fromhex, lines[a:b])) for a, b in ((4098, 4163), (4163, 8259)))
    one, tau, tau_squared = (_g2_point(g2[96 * i : 96 * i + 96]) for i in range(3))
    return Setup(digest("riskproof/srs/v1", g1 + g2), (one, tau, tau_squared))


def _g2_point(data: bytes) -> Point:
    """A point of G2 of the ceremony: 96 bytes, x_im with the flags, then x_re; y^2 = x^3 + 4 + 4i over p^2 elements."""
    flags_x = int.from_bytes(data[:48], "big")
    x = FQ2((int.from_bytes(data[48:], "big"), flags_x & (_LARGER_Y - 1)))
    y = _square_root(x * x * x + b2)
    re, im = (int(c) for c in y.coeffs)
    larger = im > P_FIELD - im if im else re > P_FIELD - re
    if bool(flags_x & _LARGER_Y) != larger:
        y = -y
    result = (x, y, FQ2.one())
    if not is_on_curve(result, b2) or not is_inf(multiply(result, R_ORDER)):
        raise AssertionError("the installed ceremony file was altered")
    return result


def _square_root(a: FQ2) -> FQ2:
    """A square root in the field of p^2 elements, by the norm: (s + t i)^2 = a with s^2 = (re + sqrt(re^2 + im^2)) / 2."""
    re, im = (int(c) for c in a.coeffs)
    norm = pow(re * re + im * im, (P_FIELD + 1) // 4, P_FIELD)
    half = (P_FIELD + 1) // 2
    for s_squared in ((re + norm) * half % P_FIELD, (re - norm) * half % P_FIELD):
        s = pow(s_squared, (P_FIELD + 1) // 4, P_FIELD)
        if s and s * s % P_FIELD == s_squared:
            return FQ2((s, im * pow(2 * s, -1, P_FIELD) % P_FIELD))
    raise AssertionError("the installed ceremony file was altered")


def pairing_product_is_one(pairs: Iterable[tuple[Point, Point]]) -> bool:
    """Whether the product of e(P, Q) over the pairs (P in G1, Q in G2) is one; an identity gives the factor one."""
    product = FQ12.one()
    for p, q in pairs:
        product = product * pairing(q, p, final_exponentiate=False)
    return bool(final_exponentiate(product) == FQ12.one())


GENERATOR: Final = G1
