"""Identity commitments: generators from their definition, the scalar from the page, hiding and binding as far as a test can see."""

from __future__ import annotations

from hashlib import sha256

import pytest
from py_arkworks_bls12381 import G1Point
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1
from py_ecc.optimized_bls12_381 import add, curve_order, multiply

from riskproof.commit.columns import Blinding
from riskproof.commit.identity import G_ID, H_ID, MAX_IDENTITY, commit_identity, identity_scalar
from riskproof.commit.points import parse_g1, point_bytes, scalar
from riskproof.errors import CommitmentError

LEI = "5493001KJTIIGC8Y1R12"
SUITE = b"riskproof/identity/v1"


def compressed(point: tuple[object, ...]) -> bytes:
    return int(compress_G1(point)).to_bytes(48, "big")


def scalar_of_the_page(identity: str) -> int:
    d = sha256(bytes([21]) + b"riskproof/identity/v1" + identity.encode()).digest()
    return int.from_bytes(sha256(b"\x00" + d).digest() + sha256(b"\x01" + d).digest(), "little") % curve_order


def test_generators_are_hashes_to_the_curve() -> None:
    for message, point in ((b"G", G_ID), (b"H", H_ID)):
        assert point_bytes(point) == compressed(hash_to_G1(message, SUITE, sha256))
        assert point == G1Point.hash_to_curve(message, SUITE)
    assert G_ID != H_ID


@pytest.mark.parametrize("identity", [LEI, "x", "Ünïcode & Söhne", "i" * MAX_IDENTITY])
def test_scalar_and_commitment_are_those_of_the_page(identity: str) -> None:
    assert identity_scalar(identity) == scalar_of_the_page(identity)
    blinding = Blinding.random()
    g, h = (hash_to_G1(m, SUITE, sha256) for m in (b"G", b"H"))
    expected = add(multiply(g, scalar_of_the_page(identity)), multiply(h, blinding.secret_value))
    assert commit_identity(identity, blinding) == compressed(expected)


def test_commitment_never_changes() -> None:
    assert (
        identity_scalar(LEI).to_bytes(32, "little").hex()
        == "1b6ace4f33246e4ee03504441d51578f0bfa4f3c4a1eefc3b8b4440fcfe9ec3e"
    )
    assert (
        commit_identity(LEI, Blinding(7)).hex()
        == "a5bcc6a31c7b6d7cce74878552aaeb72bd8b14615dd3a34d43b17c148355a7470afd9a11528a0c28275cedc64e8fe501"
    )


def test_one_identity_differs_by_a_multiple_of_h_and_two_do_not() -> None:
    t, u = Blinding.random(), Blinding.random()
    a, b, c = (parse_g1(commit_identity(i, x)) for i, x in ((LEI, t), (LEI, u), (LEI + "x", u)))
    shift = H_ID * scalar((t.secret_value - u.secret_value) % curve_order)
    assert a != b
    assert a - b == shift
    assert a - c != shift


@pytest.mark.parametrize("identity", ["", "x" * (MAX_IDENTITY + 1), "a\nb", "a\u0000", "\ud800", "secret\u200bname"])
def test_names_that_are_refused(identity: str) -> None:
    with pytest.raises(CommitmentError, match=r"^identity: not a name \(expected 1 to 128 printable characters\)") as e:
        commit_identity(identity, Blinding(1))
    assert "secret" not in str(e.value)
