"""The verifier: a statement and the proof's bytes in, yes or no out; the same everywhere, because it draws nothing at random.

`PairingInputs` are the three points whose pairing product with [1]_2, [tau]_2, [tau^2]_2 is one if the proof is right. A batch
sums them with random factors and pairs once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from py_arkworks_bls12381 import GT

from riskproof.commit.field.modulus import BLS12_381_FR, SCALAR_BYTES
from riskproof.commit.points import POINT_BYTES, G1Point, Scalar, parse_g1, scalar
from riskproof.errors import CommitmentError, ProofError
from riskproof.proof.coefficients import ORDER, PublicColumns, evaluate_columns, field_domain, lagrange_values
from riskproof.proof.setup import Setup
from riskproof.proof.statement import Statement
from riskproof.proof.transcript import Transcript

BATCH_BITS = 128


class PairingInputs(NamedTuple):
    """(P0, P1, P2): the proof holds if e(P0, [1]_2) e(P1, [tau]_2) e(P2, [tau^2]_2) = 1."""

    p0: G1Point
    p1: G1Point
    p2: G1Point


class _Reader:
    """The messages of a proof in order, each absorbed as it is read."""

    def __init__(self, data: bytes, transcript: Transcript) -> None:
        self._data, self._transcript, self._at = data, transcript, 0

    def _take(self, label: str, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        self._transcript.absorb(label, data)
        return data

    def point(self, label: str, where: str = "") -> G1Point:
        return parse_g1(self._take(label, POINT_BYTES), f"proof.{label}{where}")

    def scalar(self, label: str, where: str = "") -> int:
        return BLS12_381_FR.from_bytes(self._take(label, SCALAR_BYTES), f"proof.{label}{where}")


def pairing_inputs(setup: Setup, statement: Statement, proof: bytes) -> tuple[PairingInputs, Transcript]:
    """Everything of a verification but the pairing, and the transcript after the proof.

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
        return _pairing_inputs(setup, statement, proof)
    except CommitmentError as error:
        raise ProofError(error.what, where=error.where, expected=error.expected) from None


def _pairing_inputs(setup: Setup, statement: Statement, proof: bytes) -> tuple[PairingInputs, Transcript]:
    n, m = statement.n, statement.bit_columns
    transcript = statement.transcript(setup.digest)
    read = _Reader(proof, transcript)
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

    public = PublicColumns(statement, rho)
    lagrange = lagrange_values(n, z)
    constant = sum_at_turned + public.sigma * pow(n, -1, ORDER)
    alphas = vs = 1
    factors: list[int] = []
    for value, weight in zip(bits_at_z, evaluate_columns(public.bits, lagrange), strict=True):
        alphas, vs = alphas * alpha % ORDER, vs * v % ORDER
        constant += alphas * (value * value - value) - value * weight - vs * value
        factors.append(vs)
    points = [*bits, *statement.points, *auxiliary, accumulator, quotient, setup.powers[0]]
    factors += evaluate_columns(public.positions, lagrange)
    factors += evaluate_columns(public.auxiliary, lagrange)
    factors += [ORDER - 1, 1 - pow(z, n, ORDER), constant]
    first = _combine(points, factors)
    second = _combine([accumulator, setup.powers[0]], [1, -sum_at_turned])
    turned = z * field_domain(n).omega % ORDER
    return PairingInputs(
        _combine([first, second, opening], [-turned, -z, -turned * z]),
        first + second + opening * _scalar(z + turned),
        -opening,
    ), transcript


def check_pairing(setup: Setup, inputs: PairingInputs) -> bool:
    """Whether the product of the three pairings is one."""
    return bool(GT.pairing_check(list(inputs), list(setup.g2)))


def check_pairings(setup: Setup, inputs: Sequence[PairingInputs]) -> bool:
    """Whether all products are one: one pairing check of their combination with random factors of 128 bits (error below 2^-127)."""
    factors = [1 + secrets.randbits(BATCH_BITS) for _ in inputs]
    combined = PairingInputs(*(_combine([i[part] for i in inputs], factors) for part in range(3)))
    return check_pairing(setup, combined)


def verify(setup: Setup, statement: Statement, proof: bytes) -> tuple[bool, Transcript]:
    """Whether the proof holds, and the transcript after it.

    Raises:
        ProofError: the bytes are no proof at all (malformed).
    """
    inputs, transcript = pairing_inputs(setup, statement, proof)
    return check_pairing(setup, inputs), transcript


def _scalar(value: int) -> Scalar:
    return scalar(value % ORDER)


def _combine(points: Sequence[G1Point], factors: Sequence[int]) -> G1Point:
    return G1Point.multiexp_unchecked(list(points), [_scalar(f) for f in factors])
