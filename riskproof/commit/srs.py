"""The structured reference string: powers of tau of the Ethereum KZG ceremony, and Lagrange bases derived from them.

`data/kzg_trusted_setup.txt` is the ceremony's text form as clients ship it (4096 G1 points in Lagrange form, 65 G2 and 4096 G1
powers of tau, hexadecimal, one a line), checked by SHA-256 when it is read. `data/lagrange_bases.bin` holds, for n = 256, 512, 1024
and 2048, the n commitments [L_i(tau)]_1 of the Lagrange polynomials of the n-th roots of unity in natural order,

    L_i(omega^k) = 1 if i = k else 0,    omega = 7^((r-1)/n),

as 96 uncompressed bytes each (x || y, big-endian: no square root on loading). It is made by `python -m tools.commit_bases` from the
powers of tau with `derive_lagrange`, and checked by SHA-256 here and against the powers in the tests.

Nobody knows tau if one of the ceremony's 141,416 contributors was honest. The points come from files with a known hash, so they
are read without subgroup checks; the tests make those.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from py_arkworks_bls12381 import G2Point

from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import G1Point, scalar
from riskproof.encoding import TAG_SRS, digest
from riskproof.errors import CommitmentError

SETUP_SHA256: Final = "d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7"
LAGRANGE_SHA256: Final = "eac26ee00c5e4fc789d9c58b036392430f1e2d589c78832ba7ca1502161f7e34"
DOMAINS: Final = (256, 512, 1024, 2048)
G1_POWERS: Final = 4096
G2_POWERS: Final = 65
_XY_BYTES = 96


def _data(name: str, sha256: str) -> bytes:
    content = resources.files("riskproof.commit").joinpath("data", name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CommitmentError("the installed file was altered", where=name, expected=f"SHA-256 {sha256}")
    return content


@cache
def _setup() -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """(G1 Lagrange form, G2 powers, G1 powers) as compressed bytes."""
    lines = _data("kzg_trusted_setup.txt", SETUP_SHA256).decode("ascii").split()
    points = tuple(bytes.fromhex(line) for line in lines[2:])
    return points[:G1_POWERS], points[G1_POWERS : G1_POWERS + G2_POWERS], points[G1_POWERS + G2_POWERS :]


def ceremony_lagrange_bytes() -> tuple[bytes, ...]:
    """The file's own 4096 G1 points in Lagrange form (EIP-4844's domain), compressed; only the tests need them."""
    return _setup()[0]


@cache
def srs_digest() -> bytes:
    """Digest of the powers of tau under TAG_SRS: 4096 G1 points of 48 bytes, then 65 G2 points of 96 bytes, compressed."""
    _, g2, g1 = _setup()
    return digest(TAG_SRS, b"".join(g1) + b"".join(g2))


@cache
def g1_powers(count: int) -> tuple[G1Point, ...]:
    """[tau^0]_1 .. [tau^(count-1)]_1, count <= 4096; about 25 us a point the first time."""
    if not 0 < count <= G1_POWERS:
        raise AssertionError("the setup has 4096 powers in G1")
    return tuple(G1Point.from_compressed_bytes_unchecked(data) for data in _setup()[2][:count])


@cache
def g1_power(exponent: int) -> G1Point:
    """[tau^exponent]_1, exponent < 4096."""
    return G1Point.from_compressed_bytes_unchecked(_setup()[2][exponent])


@cache
def g2_powers(count: int) -> tuple[G2Point, ...]:
    """[tau^0]_2 .. [tau^(count-1)]_2, count <= 65."""
    if not 0 < count <= G2_POWERS:
        raise AssertionError("the setup has 65 powers in G2")
    return tuple(G2Point.from_compressed_bytes_unchecked(data) for data in _setup()[1][:count])


def check_domain(n: int, where: str = "n") -> None:
    """CommitmentError if there is no Lagrange basis for n."""
    if n not in DOMAINS:
        raise CommitmentError(f"no domain of size {n}", where=where, expected=", ".join(map(str, DOMAINS)))


@cache
def lagrange_basis(n: int) -> tuple[G1Point, ...]:
    """[L_0(tau)]_1 .. [L_{n-1}(tau)]_1 over the n-th roots of unity in natural order; CommitmentError for another n."""
    check_domain(n)
    content = _data("lagrange_bases.bin", LAGRANGE_SHA256)
    start = sum(m for m in DOMAINS if m < n)
    return tuple(
        G1Point.from_xy_bytes_unchecked_be(content[i * _XY_BYTES : (i + 1) * _XY_BYTES])
        for i in range(start, start + n)
    )


@cache
def vanishing_point(n: int) -> G1Point:
    """[Z_H(tau)]_1 = [tau^n]_1 - [1]_1."""
    check_domain(n)
    return g1_power(n) - g1_power(0)


def derive_lagrange(n: int) -> list[G1Point]:
    """[L_i(tau)]_1 from the powers of tau: L_i = (1/n) sum_j omega^(-i j) tau^j, a discrete Fourier transform in the group.

    Radix 2, decimation in time; n a power of two up to 4096. About n log2(n) / 2 + n scalar multiplications of 0.17 ms.
    """
    inverse_n = scalar(pow(n, -1, BLS12_381_FR.modulus))
    root = pow(BLS12_381_FR.root_of_unity(n), -1, BLS12_381_FR.modulus)
    return _transform([p * inverse_n for p in g1_powers(n)], root)


def _transform(points: list[G1Point], root: int) -> list[G1Point]:
    """sum_j root^(i j) points[j] for every i; root is a primitive len(points)-th root of unity."""
    n = len(points)
    if n == 1:
        return points
    square = root * root % BLS12_381_FR.modulus
    even, odd = _transform(points[0::2], square), _transform(points[1::2], square)
    twiddle, low, high = 1, [], []
    for e, o in zip(even, odd, strict=True):
        turned = o * scalar(twiddle)
        low.append(e + turned)
        high.append(e - turned)
        twiddle = twiddle * root % BLS12_381_FR.modulus
    return low + high
