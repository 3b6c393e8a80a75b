"""The parts of the reference verifier: generators, the ceremony, Ed25519, slack bits, no wrap-around, coefficients."""

from __future__ import annotations

import ast
import hashlib
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from literal_prover import G_ID, Ceremony, Chain, R, canonical, coefficients, compress, decompress
from net_risk_case import public, small_case, wide_case
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import decompress_G2
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2, eq, multiply

from riskproof.reference import Rows, ceremony, coefficients_digest, slack_bits
from riskproof.reference.groups import H_ID_BYTES, pairing_product_is_one, point, point_bytes
from riskproof.reference.outcomes import Invalid
from riskproof.reference.signature import L, P, is_public_key, is_signed
from riskproof.reference.statement import check_no_wrap
from riskproof.reference.transcript import Transcript

PACKAGE = Path(__file__).resolve().parents[2] / "riskproof" / "reference"


def test_nothing_of_riskproof_is_imported() -> None:
    modules = []
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules.append("relative" if node.level else node.module)
            elif isinstance(node, ast.Import):
                modules += [name.name for name in node.names]
    foreign = {m for m in modules if m.split(".")[0] not in sys.stdlib_module_names | {"py_ecc"}}
    assert foreign
    assert all(m.startswith("riskproof.reference") for m in foreign), foreign


# Groups.


def test_identity_generators_are_hashes_to_the_curve() -> None:
    for name, data in (("G", bytes.fromhex(G_ID)), ("H", H_ID_BYTES)):
        assert compress(hash_to_G1(name.encode(), b"riskproof/identity/v1", hashlib.sha256)) == data
        assert point_bytes(point(data, name)) == data


def test_ceremony() -> None:
    setup = ceremony()
    assert (
        setup.digest.hex() == "d0b4593adb8c1f42424b8cada910043215388b65b2bb43374e58950a33d7cd33"
    )  # docs/commitments.md
    assert setup.digest == Ceremony().digest
    lines = (PACKAGE.parent / "commit" / "data" / "kzg_trusted_setup.txt").read_text().split()
    for g2, line in zip(setup.g2, lines[4098:], strict=False):
        assert eq(g2, decompress_G2((int(line[:96], 16), int(line[96:], 16))))
    assert eq(setup.g2[0], G2)
    tau = decompress(bytes.fromhex(lines[4164]))
    for low, high in ((0, 1), (1, 2)):  # e([tau], [tau^i]) = e([1], [tau^(i+1)])
        assert pairing_product_is_one([(tau, setup.g2[low]), (multiply(G1, R - 1), setup.g2[high])])
        assert not pairing_product_is_one([(tau, setup.g2[low]), (G1, setup.g2[high])])


def test_transcript_of_prover_and_verifier_agree() -> None:
    first, second = Chain(), Transcript()
    for label, data in (("protocol", b"riskproof/net-risk/v1"), ("srs", b""), ("x", bytes(1000))):
        first.absorb(label, data)
        second.absorb(label, data)
        assert first.challenge("z") == second.challenge("z")
    assert first.state == second.state


# Ed25519.


RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_vectors_of_rfc_8032(key: str, message: str, signature: str) -> None:
    assert is_public_key(bytes.fromhex(key))
    assert is_signed(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


def openssl(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_signatures_agree_with_openssl() -> None:
    for i in range(12):
        private = Ed25519PrivateKey.generate()
        key, message = bytes.fromhex(public(private)), secrets.token_bytes(32)
        good = private.sign(message)
        flipped = bytearray(good)
        flipped[secrets.randbelow(64)] ^= 1 << i % 8
        larger = good[:32] + (int.from_bytes(good[32:], "little") + L).to_bytes(32, "little")
        assert is_signed(key, message, good)
        for bad in (bytes(flipped), larger, bytes(64)):
            assert is_signed(key, message, bad) is openssl(key, message, bad) is False
        assert is_signed(key, message + b"x", good) is openssl(key, message + b"x", good) is False


@pytest.mark.parametrize(
    "value",
    [
        1,  # the identity
        P - 1,  # order 2
        0,  # order 4
        2,  # not on the curve
        P,  # 0, not reduced
        P + 1,  # the identity, not reduced
        1 + 2**255,  # the identity with a sign
    ],
)
def test_keys_that_must_not_be_trusted(value: int) -> None:
    assert not is_public_key(value.to_bytes(32, "little"))


def test_key_of_mixed_order_is_refused() -> None:
    """A point of order 8 L: a true key plus (0, -1) is its negative x and y."""
    key = int.from_bytes(bytes.fromhex(RFC_8032[0][0]), "little")
    sign, y = key >> 255, key % 2**255
    mixed = (P - y | (1 - sign) << 255).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(mixed)  # others accept it
    assert not is_public_key(mixed)
    assert not is_public_key(bytes(31))


# Rows.


@pytest.mark.parametrize(
    ("exponent", "bits"), [(6, 64), (9, 64), (10, 72), (11, 72), (12, 80), (13, 80), (14, 88), (18, 96), (28, 128)]
)
def test_slack_bits(exponent: int, bits: int) -> None:
    assert slack_bits(exponent) == bits
    assert 2**bits >= 2**64 * 10 ** max(0, exponent - 9)
    assert slack_bits(exponent, 96) == 96


def test_slack_bits_beyond_128_are_refused() -> None:
    with pytest.raises(Invalid, match=r"2\.2: exponent 29 needs more than 128 slack bits"):
        slack_bits(29)


def one_lot(coefficient: int, scale: int, constant: int = 0) -> Rows:
    return Rows([constant], [[[coefficient], *[[0]] * 255]], [scale])


def test_wrap_around_begins_at_the_group_order() -> None:
    limit = R - 2**64 - 1  # the greatest that passes
    scale, constant = divmod(limit, 2**63)
    check_no_wrap(one_lot(1, scale, constant), 64)
    check_no_wrap(one_lot(-1, scale, -constant), 64)
    for rows in (one_lot(1, scale, constant + 1), one_lot(-1, scale, -constant - 1)):
        with pytest.raises(Invalid, match=r"2\.5: row 1 can wrap around the group order"):
            check_no_wrap(rows, 64)
    with pytest.raises(Invalid, match=r"2\.5: row 1 can wrap"):
        check_no_wrap(one_lot(1, scale, constant), 72)


def with_auxiliaries(coefficients: list[list[int]], pins: tuple[int, ...]) -> Rows:
    """Rows on auxiliaries alone: coefficients[p][r]."""
    rows = len(coefficients[0])
    D = [coefficients[p] if p < len(coefficients) else [0] * rows for p in range(256)]
    return Rows([0] * rows, [[[0] * rows] * 256], [1], D, pins)


@pytest.mark.parametrize(
    ("coefficients", "pins", "reason"),
    [
        ([[2, 1]], (0,), r"pin row 1 has coefficient 2 on auxiliary 0, not \+1 or -1"),
        ([[0, 1]], (0,), r"pin row 1 has coefficient 0 on auxiliary 0"),
        ([[1, 0], [1, 1]], (0, 1), "pin row 1 of auxiliary 0 has a coefficient on a later one"),
        ([[1, 0], [0, 1]], (0,), "a coefficient on an auxiliary that no row pins"),
        ([[1, 0], [0, -1], [0, 1]], (0, 1, 1), "pin row 2 of auxiliary 1 has a coefficient on a later one"),
    ],
)
def test_auxiliary_without_a_pin_is_refused(coefficients: list[list[int]], pins: tuple[int, ...], reason: str) -> None:
    with pytest.raises(Invalid, match=rf"2\.5: {reason}"):
        check_no_wrap(with_auxiliaries(coefficients, pins), 64)


def test_bounds_of_auxiliaries_multiply() -> None:
    """X_0 = 2^64, X_1 = 2^64 + 2^62 X_0, X_2 = 2^64 + 2^62 X_1 = 2^188 and more: one more factor of 2^62 wraps, 2^61 does not."""
    chain = [[1, 2**62, 0, 0], [0, 1, 2**62, 0], [0, 0, -1, 2**62]]
    check_no_wrap(with_auxiliaries([row[:3] for row in chain], (0, 1, 2)), 64)
    check_no_wrap(with_auxiliaries(chain, (0, 1, 2)), 64)
    beyond = [*chain, [0, 0, 0, 1]]
    check_no_wrap(with_auxiliaries(beyond, (0, 1, 2, 3)), 64)
    last = [[*row, 0] for row in beyond]
    last[3][4] = 2**5
    with pytest.raises(Invalid, match=r"2\.5: row 5 can wrap around the group order"):
        check_no_wrap(with_auxiliaries(last, (0, 1, 2, 3)), 64)
    last[3][4] = 2**4
    check_no_wrap(with_auxiliaries(last, (0, 1, 2, 3)), 64)


def test_coefficients_digest() -> None:
    for rows in (small_case().rows, wide_case().rows):
        assert coefficients_digest(rows) == coefficients(rows, 256)
    shape = {"auxiliary_columns": 0, "columns": 1, "rows": 1, "scales": ["100"], "size": 256}
    header = canonical(shape)
    body = len(header).to_bytes(8, "little") + header + (2**64 - 3).to_bytes(8, "little") + bytes(255 * 8)
    tag = b"riskproof/coefficients/v1"
    assert coefficients_digest(one_lot(-3, 100)) == hashlib.sha256(bytes([len(tag)]) + tag + body).digest()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"constants": []}, "no row or no position column"),
        ({"A": []}, "no row or no position column"),
        ({"scales": [1, 1]}, "columns of different lengths, or not one scale for each"),
        ({"D": [[1, 1]]}, "columns of different lengths, or not one scale for each"),
        ({"constants": [1]}, "not one coefficient for each row"),
        ({"A": [[[2**63, 0]] * 256]}, "a coefficient is not a signed 64-bit int"),
        ({"A": [[[0.5, 0]] * 256]}, "a coefficient is not a signed 64-bit int"),
        ({"constants": [True, 1]}, "a constant, scale or pin is not an int"),
        ({"scales": [0]}, "or a scale is not positive"),
        ({"pins": [0]}, "more pins than places"),
        ({"D": [[1, 1]] * 256, "pins": [2]}, "a pin is not a row"),
    ],
)
def test_rows_of_other_shapes_are_the_callers_mistake(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=f"rows: .*{reason}"):
        replace(small_case().rows, **change)


def test_importing_the_reference_leaves_the_recursion_limit_alone() -> None:
    """py_ecc raises it to 100,000 for the whole process, where deep recursion is a crash and no exception."""
    script = "import sys; before = sys.getrecursionlimit(); import riskproof.reference; assert sys.getrecursionlimit() == before"
    subprocess.run([sys.executable, "-c", script], check=True)
