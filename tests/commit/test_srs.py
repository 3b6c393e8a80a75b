"""The ceremony's powers of tau against their own pairing relations, and the Lagrange bases against the powers."""

from __future__ import annotations

import hashlib
import random
from importlib import resources
from pathlib import Path

import pytest
from py_arkworks_bls12381 import GT, G1Point, G2Point

from riskproof.commit import srs
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import point_bytes, scalar
from riskproof.errors import CommitmentError

R = BLS12_381_FR.modulus
DOMAINS = pytest.mark.parametrize("n", srs.DOMAINS)


def combine(points: list[G1Point], factors: list[int]) -> G1Point:
    return G1Point.multiexp_unchecked(points, [scalar(x) for x in factors])


def evaluate(coefficients: list[int], x: int) -> int:
    total = 0
    for c in reversed(coefficients):
        total = (total * x + c) % R
    return total


def test_digest_is_pinned() -> None:
    assert srs.srs_digest().hex() == "d0b4593adb8c1f42424b8cada910043215388b65b2bb43374e58950a33d7cd33"


def test_powers_start_at_the_generators() -> None:
    assert srs.g1_powers(1)[0] == srs.g1_power(0) == G1Point()
    assert srs.g2_powers(1)[0] == G2Point()
    assert srs.g1_power(1) != G1Point()
    assert srs.g1_powers(3)[2] == srs.g1_power(2)


def test_g1_powers_are_powers_of_one_tau() -> None:
    # sum rho_i [tau^(i+1)]_1 = tau sum rho_i [tau^i]_1 for random rho: true for all i but with probability 2^-128
    rng = random.Random("powers of tau in G1")
    powers = list(srs.g1_powers(srs.G1_POWERS))
    rho = [rng.randrange(2**128) for _ in powers[1:]]
    low, high = combine(powers[:-1], rho), combine(powers[1:], rho)
    one, tau = srs.g2_powers(2)
    assert GT.pairing_check([high, -low], [one, tau])
    assert not GT.pairing_check([high + powers[0], -low], [one, tau])


def test_g2_powers_are_powers_of_the_same_tau() -> None:
    rng = random.Random("powers of tau in G2")
    powers = srs.g2_powers(srs.G2_POWERS)
    rho = [scalar(rng.randrange(2**128)) for _ in powers[1:]]
    low = G2Point.multiexp_unchecked(list(powers[:-1]), rho)
    high = G2Point.multiexp_unchecked(list(powers[1:]), rho)
    assert GT.pairing_check([srs.g1_power(0), -srs.g1_power(1)], [high, low])
    assert GT.pairing_check([srs.g1_power(0), -srs.g1_power(1)], [powers[1], powers[0]])


def test_points_are_in_their_groups() -> None:
    for point in (*srs.g1_powers(srs.G1_POWERS), *srs.g2_powers(srs.G2_POWERS)):
        assert point.is_in_subgroup()


def test_ceremony_lagrange_form_agrees_with_the_powers() -> None:
    # the file's own Lagrange form is over the 4096th roots of unity, in natural order as ours
    points = [G1Point.from_compressed_bytes_unchecked(data) for data in srs.ceremony_lagrange_bytes()]
    rng = random.Random("a polynomial")
    coefficients = [rng.randrange(R) for _ in range(5)]
    root = BLS12_381_FR.root_of_unity(4096)
    values = [evaluate(coefficients, pow(root, i, R)) for i in range(4096)]
    assert combine(points, values) == combine(list(srs.g1_powers(5)), coefficients)


@DOMAINS
def test_basis_sums_to_one_and_to_tau(n: int) -> None:
    basis, root = list(srs.lagrange_basis(n)), BLS12_381_FR.root_of_unity(n)
    assert len(basis) == n
    assert combine(basis, [1] * n) == srs.g1_power(0)
    assert combine(basis, [pow(root, i, R) for i in range(n)]) == srs.g1_power(1)


@DOMAINS
def test_a_polynomial_commits_alike_in_both_bases(n: int) -> None:
    # natural order: value i belongs to omega^i
    rng = random.Random(n)
    coefficients = [rng.randrange(R) for _ in range(9)] + [0] * (n - 11) + [rng.randrange(R) for _ in range(2)]
    sparse = [(i, c) for i, c in enumerate(coefficients) if c]
    root = BLS12_381_FR.root_of_unity(n)
    values = [sum(c * pow(root, i * k, R) for i, c in sparse) % R for k in range(n)]
    assert combine(list(srs.lagrange_basis(n)), values) == combine(list(srs.g1_powers(n)), coefficients)


@DOMAINS
def test_random_pairing_relation_of_the_basis(n: int) -> None:
    # (X - omega^i) L_i = omega^i / n Z_H, so e([L_i], [tau - omega^i]_2) = e(omega^i / n [Z_H], [1]_2); all i in one combination
    rng = random.Random(-n)
    root, basis = BLS12_381_FR.root_of_unity(n), list(srs.lagrange_basis(n))
    rho = [rng.randrange(2**128) for _ in range(n)]
    shifted = [rho[i] * pow(root, i, R) % R for i in range(n)]
    left, turned = combine(basis, rho), combine(basis, shifted)
    scale = sum(shifted) * pow(n, -1, R) % R
    one, tau = srs.g2_powers(2)
    assert GT.pairing_check([left, -turned - srs.vanishing_point(n) * scalar(scale)], [tau, one])


def test_vanishing_point_is_the_difference_of_two_powers() -> None:
    assert srs.vanishing_point(512) + srs.g1_power(0) == srs.g1_power(512)


def test_derivation_gives_the_shipped_basis() -> None:
    assert [point_bytes(p) for p in srs.derive_lagrange(256)] == [point_bytes(p) for p in srs.lagrange_basis(256)]


@pytest.mark.slow
def test_derivation_gives_every_shipped_basis() -> None:
    from tools.commit_bases import bases

    assert hashlib.sha256(bases()).hexdigest() == srs.LAGRANGE_SHA256


@pytest.mark.parametrize("n", [0, 1, 2, 128, 255, 257, 4096, -256])
def test_other_domains_are_refused(n: int) -> None:
    with pytest.raises(CommitmentError, match=f"no domain of size {n}"):
        srs.lagrange_basis(n)
    with pytest.raises(CommitmentError, match=f"no domain of size {n}"):
        srs.vanishing_point(n)


@pytest.mark.parametrize("name", ["kzg_trusted_setup.txt", "lagrange_bases.bin"])
def test_altered_file_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(resources.files("riskproof.commit").joinpath("data", name).read_bytes())
    content[-2] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(content)
    monkeypatch.setattr(srs.resources, "files", lambda package: tmp_path)
    srs._setup.cache_clear()
    srs.lagrange_basis.cache_clear()
    try:
        with pytest.raises(CommitmentError, match=f"{name}: the installed file was altered"):
            srs._setup() if name.endswith("txt") else srs.lagrange_basis(256)
    finally:
        srs._setup.cache_clear()
        srs.lagrange_basis.cache_clear()
