"""One vector for each way in which 48 bytes are not a point of G1."""

from __future__ import annotations

import subprocess
import sys

import pytest
from py_ecc.bls.point_compression import decompress_G1
from py_ecc.optimized_bls12_381 import curve_order, is_inf, multiply

from riskproof.commit.points import BASE_FIELD, G1Point, parse_g1, point_bytes, scalar
from riskproof.commit.srs import g1_power
from riskproof.errors import CommitmentError, PointError

GENERATOR = bytes.fromhex(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
)


def compressed(x: int, larger: bool = False) -> bytes:
    data = bytearray(x.to_bytes(48, "big"))
    data[0] |= 0x80 | (0x20 if larger else 0)
    return bytes(data)


def small_x(on_curve: bool) -> int:
    """The least x whose x^3 + 4 is (not) a square; no small x gives a point of the subgroup of order r."""
    return next(x for x in range(1, 100) if (pow(x**3 + 4, (BASE_FIELD - 1) // 2, BASE_FIELD) == 1) is on_curve)


def test_generator_both_ways() -> None:
    point = parse_g1(GENERATOR)
    assert point == G1Point() == g1_power(0)
    assert point_bytes(point) == GENERATOR
    assert point_bytes(-point)[0] == GENERATOR[0] ^ 0x20
    assert parse_g1(point_bytes(-point)) == -point


def test_the_off_subgroup_vector_is_one() -> None:
    point = decompress_G1(int.from_bytes(compressed(small_x(True)), "big"))
    assert not is_inf(multiply(point, curve_order))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes are not a point"),
        (GENERATOR[:47], "47 bytes are not a point"),
        (GENERATOR + b"\0", "49 bytes are not a point"),
        (bytes(G1Point().to_xy_bytes_be()), "96 bytes are not a point"),
        (b"\xc0" + bytes(47), "the identity"),
        (b"\xe0" + bytes(47), "the identity"),
        (b"\xc0" + bytes(46) + b"\1", "the identity"),
        (b"\x40" + bytes(47), "not a compressed point"),
        (bytes(48), "not a compressed point"),
        (bytes([GENERATOR[0] & 0x7F]) + GENERATOR[1:], "not a compressed point"),
        (bytes([GENERATOR[0] | 0x40]) + GENERATOR[1:], "the identity"),
        (compressed(BASE_FIELD), "coordinate is not reduced"),
        (compressed(BASE_FIELD + 1), "coordinate is not reduced"),
        (compressed(2**381 - 1), "coordinate is not reduced"),
        (b"\xff" * 48, "the identity"),
        (b"\xbf" + b"\xff" * 47, "coordinate is not reduced"),
        (compressed(small_x(False)), "not on the curve"),
        (compressed(small_x(False), larger=True), "not on the curve"),
        (compressed(small_x(True)), "not in the prime-order subgroup"),
        (compressed(small_x(True), larger=True), "not in the prime-order subgroup"),
        (compressed(0), "not in the prime-order subgroup"),  # (0, 2) has order 3
    ],
)
def test_refusals(data: bytes, message: str) -> None:
    with pytest.raises(PointError, match=f"commitments: {message}"):
        parse_g1(data, "commitments")


def test_unreduced_twin_of_a_small_point() -> None:
    # x and x + q would be two encodings of one point where x + q still fits 381 bits
    x = int.from_bytes(bytes([GENERATOR[0] & 0x1F]) + GENERATOR[1:], "big")
    assert x + BASE_FIELD >= 2**381  # the generator has none
    with pytest.raises(PointError, match="coordinate is not reduced"):
        parse_g1(compressed(small_x(True) + BASE_FIELD))


def test_identity_has_no_bytes() -> None:
    with pytest.raises(PointError, match="the identity"):
        point_bytes(G1Point.identity())


def test_every_flipped_bit_is_refused_or_another_point() -> None:
    for bit in range(384):
        data = bytearray(GENERATOR)
        data[bit // 8] ^= 0x80 >> bit % 8
        try:
            assert parse_g1(bytes(data)) != parse_g1(GENERATOR)
        except PointError:
            continue
        assert bit == 2  # only the sign of y: other x are outside the subgroup


def test_scalars() -> None:
    assert int(scalar(0)) == 0
    assert int(scalar(2**64 + 5)) == 2**64 + 5
    assert issubclass(PointError, CommitmentError)


def test_points_alone_load_no_compiler() -> None:
    script = (
        "import sys, riskproof.commit.points; print([m for m in ('numba', 'numpy', 'llvmlite') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_columns_load_no_compiler() -> None:
    script = "import sys, riskproof.commit.columns; print([m for m in ('numba', 'llvmlite') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
