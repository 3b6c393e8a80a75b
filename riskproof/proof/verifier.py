"""The verifier: a statement and the proof's bytes in, yes or no out; the same everywhere, because it draws nothing at random.

`PairingInputs` are the three points whose pairing product with [1]_2, [tau]_2, [tau^2]_2 is one if the proof is right. A batch
sums them with random factors and pairs once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from py_arkworks_bls12381 import GT

from riskproof.commit.field.modulus import BLS12_381_FR, SCALAR_BYTES
from riskproof.commit.points import POINT_BYTES, G1Point, Scalar, parse_g1, scalar
from riskproof.errors import CommitmentError, ProofError
from riskproof.proof.coefficients import ORDER, PublicValues, field_domain, inverse_size
from riskproof.proof.setup import Setup
from riskproof.proof.statement import Statement
from riskproof.proof.transcript import Transcript

BATCH_BITS = 128
_GENERATOR = b"[1]_1"  # its key among the terms


class PairingInputs(NamedTuple):
    """(P0, P1, P2): the proof holds if e(P0, [1]_2) e(P1, [tau]_2) e(P2, [tau^2]_2) = 1."""

    p0: G1Point
    p1: G1Point
    p2: G1Point


@dataclass(frozen=True, eq=False)
class PairingTerms:
    """The inputs of a pairing as combinations not yet computed: F1 = sum f1 P, F2 = sum f2 P over (key, P, f1, f2).

    Attributes:
        terms: the key is the point's encoding, by which a batch finds the points that its proofs share.
        opening: W. opening_key: its encoding.
        z, turned: z and omega z.
        own: the points that the proof brings, W among them.
    """

    terms: tuple[tuple[bytes, G1Point, int, int], ...]
    opening: G1Point
    opening_key: bytes
    z: int
    turned: int
    own: tuple[G1Point, ...]

    def inputs(self) -> PairingInputs:
        """P0 = -omega z F1 - z F2 - omega z^2 W, P1 = F1 + F2 + (z + omega z) W, P2 = -W."""
        z, turned = self.z, self.turned
        first = _combine([p for _, p, f1, _ in self.terms if f1], [f1 for _, _, f1, _ in self.terms if f1])
        second = _combine([p for _, p, _, f2 in self.terms if f2], [f2 for _, _, _, f2 in self.terms if f2])
        return PairingInputs(
            _combine([first, second, self.opening], [-turned, -z, -turned * z]),
            first + second + self.opening * _scalar(z + turned),
            -self.opening,
        )


class _Reader:
    """The messages of a proof in order, each absorbed as it is read."""

    def __init__(self, data: bytes, transcript: Transcript, *, subgroup: bool) -> None:
        self._data, self._transcript, self._at, self._subgroup = data, transcript, 0, subgroup

    def _take(self, label: str, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        self._transcript.absorb(label, data)
        return data

    def point(self, label: str, where: str = "") -> tuple[bytes, G1Point]:
        data = self._take(label, POINT_BYTES)
        return data, parse_g1(data, f"proof.{label}{where}", subgroup=self._subgroup)

    def scalar(self, label: str, where: str = "") -> int:
        return BLS12_381_FR.from_bytes(self._take(label, SCALAR_BYTES), f"proof.{label}{where}")


def pairing_terms(
    setup: Setup, statement: Statement, proof: bytes, *, subgroup: bool = True
) -> tuple[PairingTerms, Transcript]:
    """Everything of a verification but the group operations, and the transcript after the proof.

    Args:
        subgroup: whether to check that the proof's points are in the prime-order subgroup; a caller that says no asks it of `own`.

    Raises:
        ProofError: another length than the statement's proofs have, a point that is none, a scalar that is not reduced.
    """
    if setup.n != statement.n:
        raise AssertionError("setup and statement belong together")
    if len(proof) != statement.proof_bytes:
        raise ProofError(
            f"{len(proof)} bytes", where="proof", expected=f"{statement.proof_bytes} bytes for this statement"
        )
    try:
        return _pairing_terms(setup, statement, proof, subgroup)
    except CommitmentError as error:
        raise ProofError(error.what, where=error.where, expected=error.expected) from None


def _pairing_terms(setup: Setup, statement: Statement, proof: bytes, subgroup: bool) -> tuple[PairingTerms, Transcript]:
    n, m = statement.n, statement.bit_columns
    transcript = statement.transcript(setup.digest)
    read = _Reader(proof, transcript, subgroup=subgroup)
    auxiliary = [read.point("auxiliary-column", f"[{h}]") for h in range(statement.rows.auxiliary_columns)]
    bits = [read.point("bit-column", f"[{u}]") for u in range(m)]
    rho = transcript.challenge("rho")
    accumulator = read.point("accumulator")
    alpha = transcript.challenge("alpha")
    quotient = read.point("quotient")
    z = transcript.point_of_evaluation(n)
    bits_at_z = [read.scalar("bit-evaluation", f"[{u}]") for u in range(m)]
    sum_at_turned = read.scalar("accumulator-evaluation")
    v = transcript.challenge("v")
    opening = read.point("opening")

    public = PublicValues(statement, rho, z)
    constant = sum_at_turned + public.sigma * inverse_size(n)
    alphas = vs = 1
    factors: list[int] = []
    for value, weight in zip(bits_at_z, public.bits, strict=True):
        alphas, vs = alphas * alpha % ORDER, vs * v % ORDER
        constant += alphas * (value * value - value) - value * weight - vs * value
        factors.append(vs)
    factors += public.positions
    factors += public.auxiliary
    factors += [ORDER - 1, 1 - pow(z, n, ORDER), constant]
    columns = [(c.commitment, p) for (_, c), p in zip(statement.column_list(), statement.points, strict=True)]
    points = [*bits, *columns, *auxiliary, accumulator, quotient, (_GENERATOR, setup.powers[0])]
    seconds = [*[0] * (len(points) - 3), 1, 0, -sum_at_turned]  # F2 = S - S(omega z)
    terms = tuple((key, p, f1, f2) for (key, p), f1, f2 in zip(points, factors, seconds, strict=True))
    turned = z * field_domain(n).omega % ORDER
    own = tuple(point for _, point in (*auxiliary, *bits, accumulator, quotient, opening))
    return PairingTerms(terms, opening[1], opening[0], z, turned, own), transcript


def check_pairing(setup: Setup, inputs: PairingInputs) -> bool:
    """Whether the product of the three pairings is one."""
    return bool(GT.pairing_check(list(inputs), list(setup.g2)))


def check_pairings(setup: Setup, batch: Sequence[PairingTerms]) -> bool:
    """Whether all products are one: one pairing check of their combination with random factors g_k of 128 bits.

    A wrong one passes with probability below 2^-127. The combination is two multi-scalar multiplications over all points at once;
    those that proofs share (the columns of one attestation, the generator) are taken together.
    """
    p0, p1, p2 = _Sum(), _Sum(), _Sum()
    for one in batch:
        g = 1 + secrets.randbits(BATCH_BITS)
        z, turned = one.z, one.turned
        for key, point, f1, f2 in one.terms:
            p0.add(key, point, -g * (turned * f1 + z * f2))
            if f1 + f2 != ORDER:  # the accumulator falls out of F1 + F2
                p1.add(key, point, g * (f1 + f2))
        p0.add(one.opening_key, one.opening, -g * turned * z)
        p1.add(one.opening_key, one.opening, g * (z + turned))
        p2.add(one.opening_key, one.opening, -g)
    return check_pairing(setup, PairingInputs(p0.point(), p1.point(), p2.point()))


class _Sum:
    """A combination of points, each named by its encoding."""

    def __init__(self) -> None:
        self._points: dict[bytes, G1Point] = {}
        self._factors: dict[bytes, int] = {}

    def add(self, key: bytes, point: G1Point, factor: int) -> None:
        self._points[key] = point
        self._factors[key] = self._factors.get(key, 0) + factor

    def point(self) -> G1Point:
        return _combine(list(self._points.values()), list(self._factors.values()))


def verify(setup: Setup, statement: Statement, proof: bytes) -> tuple[bool, Transcript]:
    """Whether the proof holds, and the transcript after it.

    Raises:
        ProofError: the bytes are no proof at all (malformed).
    """
    terms, transcript = pairing_terms(setup, statement, proof)
    return check_pairing(setup, terms.inputs()), transcript


def _scalar(value: int) -> Scalar:
    return scalar(value % ORDER)


def _combine(points: Sequence[G1Point], factors: Sequence[int]) -> G1Point:
    return G1Point.multiexp_unchecked(list(points), [_scalar(f) for f in factors])
