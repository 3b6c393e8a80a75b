"""The prover: a witness of a statement in, the proof's bytes out (docs/protocol.md, section 5).

Three multi-scalar multiplications of about n points (accumulator, quotient, opening) are the floor; bit columns are sums of
points, and position columns cost none. Secret numbers go through numba kernels and the curve library, which are not constant
time: a holder proves on its own machine, a venue on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from riskproof import units
from riskproof.commit.columns import Blinding
from riskproof.commit.field.limbs import LimbArray, bytes_of, signed_limbs
from riskproof.commit.field.modulus import BLS12_381_FR, SCALAR_BYTES
from riskproof.commit.field.vectors import from_montgomery, to_montgomery
from riskproof.commit.points import G1Point, Scalar, point_bytes, scalar
from riskproof.errors import FalseStatementError, ProofError
from riskproof.proof import kernels
from riskproof.proof.coefficients import (
    ORDER,
    PublicColumns,
    element,
    evaluate_columns,
    field_domain,
    integer,
    lagrange_values,
)
from riskproof.proof.setup import Setup
from riskproof.proof.statement import Rows, Statement
from riskproof.proof.transcript import Transcript

Int64 = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]

BLINDINGS_OF_AUXILIARY = 1
BLINDINGS_OF_BITS = 2
BLINDINGS_OF_ACCUMULATOR = 3


@dataclass(frozen=True, eq=False)
class Witness:
    """What makes a statement true: secret, hidden from the repr.

    Attributes:
        lots: int64[K n], column by column in the statement's order.
        blindings: K coefficients of Z_H, those that the venue committed with.
        auxiliary: the auxiliary values in use, in order of place; not negative, below 2^b.
    """

    lots: Int64 = field(repr=False)
    blindings: tuple[Blinding, ...] = field(repr=False)
    auxiliary: tuple[int, ...] = field(default=(), repr=False)


class ProofBlinding:
    """The prover's blinding coefficients: one for each auxiliary column, two for each bit column, three for the accumulator.

    All are drawn from the operating system's generator for one proof, are not zero, and differ from each other: a repeated one
    means that the generator is broken, and nothing is proved then.
    """

    __slots__ = ("_accumulator", "_auxiliary", "_bits", "_used")

    def __init__(self, auxiliary: int, bits: int, draw: Callable[[], Blinding] = Blinding.random) -> None:
        """`draw` is for tests with known coefficients; it is called for the auxiliary columns, the bit columns, the accumulator."""
        count = auxiliary * BLINDINGS_OF_AUXILIARY + bits * BLINDINGS_OF_BITS + BLINDINGS_OF_ACCUMULATOR
        drawn = [draw().secret_value for _ in range(count)]
        if len(set(drawn)) != len(drawn):
            raise AssertionError("the generator repeats itself: blinding coefficients must be independent")
        self._auxiliary = [(value,) for value in drawn[:auxiliary]]
        rest = drawn[auxiliary:]
        self._bits = [(rest[2 * u], rest[2 * u + 1]) for u in range(bits)]
        self._accumulator = tuple(rest[2 * bits :])
        self._used = False

    def take(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], tuple[int, ...]]:
        """The coefficients, once: two proofs with the same blinding open the book."""
        if self._used:
            raise AssertionError("blinding coefficients serve one proof")
        self._used = True
        return list(self._auxiliary), list(self._bits), self._accumulator

    def __repr__(self) -> str:
        return "ProofBlinding(hidden)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("blinding coefficients do not pickle")


def slacks(rows: Rows, witness: Witness) -> list[int]:
    """c_r + <q, A_r> + <x, D_r> for every row: exact integers, secret."""
    totals = list(rows.constants)
    held = np.flatnonzero(witness.lots).tolist()
    for i in held:
        q = int(witness.lots[i]) * rows.scales[i // rows.n]
        for r, a in enumerate(rows.positions[i].tolist()):
            totals[r] += q * a
    for i, x in enumerate(witness.auxiliary):
        for r, d in enumerate(rows.auxiliary[i].tolist()):
            totals[r] += x * d
    return totals


def check_true(statement: Statement, values: list[int]) -> None:
    """Check the slacks.

    Raises:
        FalseStatementError: a slack is negative; names the least one, for the prover's eyes only.
        ProofError: a slack does not fit b bits.
    """
    least = min(range(len(values)), key=values.__getitem__)
    name = statement.rows.names[least]
    if values[least] < 0:
        short = units.format_decimal(-values[least], statement.rows.exponent)
        raise FalseStatementError(f"the statement is false: short by {short}", where=name)
    greatest = max(range(len(values)), key=values.__getitem__)
    if values[greatest] >> statement.bits:
        raise ProofError(
            f"the gain does not fit slacks of {statement.bits} bits",
            where=statement.rows.names[greatest],
            expected="a challenge with more slack_bits",
        )


def prove(
    setup: Setup,
    statement: Statement,
    witness: Witness,
    *,
    blinding: ProofBlinding | None = None,
    progress: Progress = lambda stage, done: None,
) -> tuple[bytes, Transcript]:
    """Prove a statement.

    Args:
        setup: of the statement's column size.
        witness: lots and the blindings of the commitments; not checked against them here (a wrong one makes a proof that fails).
        blinding: for tests; fresh by default.
        progress: told the stage that begins and the fraction done.

    Returns:
        The bytes of docs/protocol.md section 5, and the transcript after them.

    Raises:
        FalseStatementError, ProofError: see `check_true`.
    """
    if setup.n != statement.n or len(witness.lots) != statement.rows.columns * statement.n:
        raise AssertionError("setup, statement and witness belong together")
    values = slacks(statement.rows, witness)
    check_true(statement, values)
    return _Prover(setup, statement, witness, values, blinding).run(progress)


class _Prover:
    def __init__(
        self, setup: Setup, statement: Statement, witness: Witness, values: list[int], blinding: ProofBlinding | None
    ) -> None:
        self.setup, self.statement, self.n = setup, statement, statement.n
        rows = statement.rows
        self.m, self.k, self.l = statement.bit_columns, rows.columns, rows.auxiliary_columns
        self.small, self.large = field_domain(self.n), field_domain(2 * self.n)
        chosen = blinding or ProofBlinding(self.l, self.m)
        self.auxiliary_blinding, self.bit_blinding, self.accumulator_blinding = chosen.take()
        self.bits = _bit_places(values, statement.bits, self.m * self.n)
        self.lots = signed_limbs(witness.lots, BLS12_381_FR)
        to_montgomery(BLS12_381_FR, self.lots, self.lots)
        self.position_blinding = [(b.secret_value,) for b in witness.blindings]
        auxiliary = [*witness.auxiliary, *[0] * (self.l * self.n - len(witness.auxiliary))]
        self.auxiliary = self.small.montgomery(auxiliary)
        self.out: list[bytes] = []

    def run(self, progress: Progress) -> tuple[bytes, Transcript]:
        n, m = self.n, self.m
        progress("statement", 0.0)
        transcript = self.statement.transcript(self.setup.digest)

        progress("bit columns", 0.05)
        for h in range(self.l):
            values = self.auxiliary[h * n : (h + 1) * n]
            self._send(transcript, "auxiliary-column", self._commit(values, self.auxiliary_blinding[h]))
        for u in range(m):
            self._send(transcript, "bit-column", self._commit_bits(u))
        rho = transcript.challenge("rho")

        progress("accumulator", 0.15)
        public = PublicColumns(self.statement, rho)
        bit_values = np.zeros((m * n, 4), dtype=np.uint64)
        bit_values[self.bits != 0] = element(1)[0]
        terms = np.zeros((n, 4), dtype=np.uint64)
        for part in self._parts(m):
            kernels.add_product(bit_values[part], public.bits[part], terms)
        for part in self._parts(self.k):
            kernels.subtract_product(self.lots[part], public.positions[part], terms)
        for part in self._parts(self.l):
            kernels.subtract_product(self.auxiliary[part], public.auxiliary[part], terms)
        share = element(public.sigma * pow(n, -1, ORDER) % ORDER)
        sums = np.empty((n + 1, 4), dtype=np.uint64)
        kernels.accumulate(terms, share, sums)
        if sums[n].any():
            raise AssertionError("the accumulator does not close")
        accumulator = sums[:n].copy()
        self._send(transcript, "accumulator", self._commit(accumulator, self.accumulator_blinding))
        alpha = transcript.challenge("alpha")

        progress("quotient", 0.4)
        bit_polynomials = [
            self._polynomial(bit_values[p], b) for p, b in zip(self._parts(m), self.bit_blinding, strict=True)
        ]
        positions = [
            self._polynomial(self.lots[p], b) for p, b in zip(self._parts(self.k), self.position_blinding, strict=True)
        ]
        auxiliary = [
            self._polynomial(self.auxiliary[p], b)
            for p, b in zip(self._parts(self.l), self.auxiliary_blinding, strict=True)
        ]
        summed = self._polynomial(accumulator, self.accumulator_blinding)
        quotient = self._quotient(public, share, alpha, bit_polynomials, positions, auxiliary, summed)
        self._send(transcript, "quotient", self._multiply(self.setup.powers, quotient))
        z = transcript.point_of_evaluation(n)

        progress("opening", 0.65)
        at, turned = element(z), element(z * self.small.omega % ORDER)
        bits_at_z = [_value(polynomial, at) for polynomial in bit_polynomials]
        sum_at_turned = _value(summed, turned)
        for value in bits_at_z:
            self._send_scalar(transcript, "bit-evaluation", value)
        self._send_scalar(transcript, "accumulator-evaluation", sum_at_turned)
        v = transcript.challenge("v")
        lagrange = lagrange_values(n, z)
        first = np.zeros((n + 3, 4), dtype=np.uint64)  # F1 without its constant, which a quotient by X - z does not see
        kernels.add_scaled(element(ORDER - 1), summed, first)
        for values, polynomials in ((public.positions, positions), (public.auxiliary, auxiliary)):
            for factor, polynomial in zip(evaluate_columns(values, lagrange), polynomials, strict=True):
                kernels.add_scaled(element(factor), polynomial, first)
        kernels.add_scaled(element((1 - pow(z, n, ORDER)) % ORDER), quotient, first)
        power = 1
        for polynomial in bit_polynomials:
            power = power * v % ORDER
            kernels.add_scaled(element(power), polynomial, first)
        opening = np.zeros((n + 2, 4), dtype=np.uint64)
        kernels.add_quotient(first, at, opening)
        kernels.add_quotient(summed, turned, opening)
        self._send(transcript, "opening", self._multiply(self.setup.powers, opening))
        progress("done", 1.0)
        return b"".join(self.out), transcript

    def _parts(self, count: int) -> list[slice]:
        return [slice(k * self.n, (k + 1) * self.n) for k in range(count)]

    def _send(self, transcript: Transcript, label: str, point: G1Point) -> None:
        self.out.append(point_bytes(point))
        transcript.absorb(label, self.out[-1])

    def _send_scalar(self, transcript: Transcript, label: str, value: int) -> None:
        self.out.append(BLS12_381_FR.to_bytes(value))
        transcript.absorb(label, self.out[-1])

    def _commit(self, values: LimbArray, blinding: tuple[int, ...]) -> G1Point:
        """sum values[i] [L_i]_1 + sum_k blinding[k] [X^k Z_H]_1."""
        points = (*self.setup.lagrange, *self.setup.vanishing[: len(blinding)])
        return G1Point.multiexp_unchecked(list(points), [*_scalars(values), *map(scalar, blinding)])

    def _commit_bits(self, u: int) -> G1Point:
        packed = np.packbits(self.bits[u * self.n : (u + 1) * self.n], bitorder="little").tolist()
        total = G1Point.multiexp_unchecked(list(self.setup.vanishing[:2]), [scalar(b) for b in self.bit_blinding[u]])
        for sums, byte in zip(self.setup.subsets, packed, strict=True):
            if byte:
                total += sums[byte]
        return total

    def _multiply(self, points: tuple[G1Point, ...], coefficients: LimbArray) -> G1Point:
        return G1Point.multiexp_unchecked(list(points[: len(coefficients)]), _scalars(coefficients))

    def _polynomial(self, values: LimbArray, blinding: tuple[int, ...]) -> LimbArray:
        """Coefficients of the polynomial with these values on H plus sum_k blinding[k] X^k Z_H."""
        n = self.n
        out = np.zeros((n + len(blinding), 4), dtype=np.uint64)
        out[:n] = self.small.coefficients(values)
        for k, value in enumerate(blinding):
            kernels.add_scaled(element(ORDER - value), element(1), out[k : k + 1])
            kernels.add_scaled(element(value), element(1), out[n + k : n + k + 1])
        return out

    def _quotient(
        self,
        public: PublicColumns,
        share: LimbArray,
        alpha: int,
        bits: list[LimbArray],
        positions: list[LimbArray],
        auxiliary: list[LimbArray],
        summed: LimbArray,
    ) -> LimbArray:
        """t in n + 3 coefficients, from values on the coset of size 2n."""
        n, large = self.n, self.large
        total = np.zeros((2 * n, 4), dtype=np.uint64)
        kernels.add_step(large.coset_values(summed), 2, share, total)
        power = 1
        for u, part in enumerate(self._parts(self.m)):
            power = power * alpha % ORDER
            column = large.coset_values(bits[u])
            kernels.subtract_product(column, self._on_coset(public.bits[part]), total)
            kernels.add_booleanity(column, element(power), total)
        for polynomials, values in ((positions, public.positions), (auxiliary, public.auxiliary)):
            for polynomial, part in zip(polynomials, self._parts(len(polynomials)), strict=True):
                kernels.add_product(large.coset_values(polynomial), self._on_coset(values[part]), total)
        shift = pow(
            BLS12_381_FR.generator, n, ORDER
        )  # Z_H on the coset is g^n - 1 at even places, -g^n - 1 at odd ones
        kernels.alternate(self.small.montgomery([pow(shift - 1, -1, ORDER), pow(-shift - 1, -1, ORDER)]), total)
        quotient = large.coset_coefficients(total)
        if quotient[n + 3 :].any():
            raise AssertionError("the identity does not hold on H")
        return quotient[: n + 3]

    def _on_coset(self, values: LimbArray) -> LimbArray:
        return self.large.coset_values(self.small.coefficients(values))


def _bit_places(values: list[int], bits: int, places: int) -> npt.NDArray[np.uint8]:
    """uint8[places]: the bits of every slack, least significant first, one slack after the other, then zeros."""
    width = -(-bits // 8)
    raw = np.frombuffer(b"".join(v.to_bytes(width, "little") for v in values), dtype=np.uint8)
    unpacked = np.unpackbits(raw.reshape(len(values), width), axis=1, bitorder="little")[:, :bits]
    out = np.zeros(places, dtype=np.uint8)
    out[: unpacked.size] = unpacked.reshape(-1)
    return out


def _scalars(a: LimbArray) -> list[Scalar]:
    plain = np.empty_like(a)
    from_montgomery(BLS12_381_FR, a, plain)
    data = bytes_of(plain)
    return [Scalar.from_le_bytes(data[i : i + SCALAR_BYTES]) for i in range(0, len(data), SCALAR_BYTES)]


def _value(coefficients: LimbArray, at: LimbArray) -> int:
    out = np.empty((1, 4), dtype=np.uint64)
    kernels.evaluate(coefficients, at, out)
    return integer(out)
