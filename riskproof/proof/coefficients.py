"""What prover and verifier compute alike: the public polynomials a_j, d_h and w_u, their values at z, and sigma."""

from __future__ import annotations

from functools import cache

import numpy as np

from riskproof.commit.field.limbs import LimbArray, limbs_of
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.field.transforms import Domain, domain
from riskproof.proof import kernels
from riskproof.proof.statement import Statement

ORDER = BLS12_381_FR.modulus
P_MINUS_2 = limbs_of([ORDER - 2])[0]


@cache
def field_domain(n: int) -> Domain:
    """The n-th roots of unity of the scalar field."""
    return domain(BLS12_381_FR, n)


@cache
def inverse_size(n: int) -> int:
    """1/n modulo r."""
    return pow(n, -1, ORDER)


def element(value: int) -> LimbArray:
    """uint64[1, 4], Montgomery form, of an integer in [0, r)."""
    return limbs_of([(value << 256) % ORDER])


def integer(a: LimbArray) -> int:
    """Inverse of `element`."""
    return field_domain(1).integers(a)[0]


class PublicColumns:
    """Values on H of a_j (j < K), d_h (h < l) and w_u (u < m), one after the other, and sigma: what a prover needs.

    Attributes:
        positions: uint64[K n, 4]. auxiliary: uint64[l n, 4]. bits: uint64[m n, 4]. All in Montgomery form.
        sigma: sum_r rho^r c_r.
    """

    def __init__(self, statement: Statement, rho: int) -> None:
        rows, n = statement.rows, statement.n
        powers, doubled = _powers(rows.count, rho)
        self.positions = np.empty((rows.columns * n, 4), dtype=np.uint64)
        for first, last, scale in _runs(rows.scales):
            part = slice(first * n, last * n)
            kernels.combine(rows.positions[part], doubled, element(scale), self.positions[part])
        self.auxiliary = np.empty((rows.auxiliary_columns * n, 4), dtype=np.uint64)
        if len(self.auxiliary):
            kernels.combine(rows.auxiliary, doubled, element(1), self.auxiliary)
        self.bits = np.empty((statement.bit_columns * n, 4), dtype=np.uint64)
        kernels.bit_weights(powers, statement.bits, self.bits)
        self.sigma = _sigma(rows.constants, rho)


class PublicValues:
    """The same at one point z, and nothing else: what a verifier needs, at half the cost.

    Attributes:
        positions: K integers a_j(z). auxiliary: l integers d_h(z). bits: m integers w_u(z). All in [0, r).
        sigma: sum_r rho^r c_r.
    """

    def __init__(self, statement: Statement, rho: int, z: int) -> None:
        rows, lagrange = statement.rows, lagrange_values(statement.n, z)
        powers, doubled = _powers(rows.count, rho)
        out = np.empty((rows.columns + rows.auxiliary_columns + statement.bit_columns, 4), dtype=np.uint64)
        sums = np.empty((2 * rows.count, 8), dtype=np.uint64)
        positions, auxiliary, bits = np.split(out, (rows.columns, rows.columns + rows.auxiliary_columns))
        kernels.evaluate_rows(rows.positions, lagrange, doubled, sums, positions)
        kernels.evaluate_rows(rows.auxiliary, lagrange, doubled, sums, auxiliary)
        kernels.evaluate_bits(powers, statement.bits, lagrange, bits)
        values = field_domain(1).integers(out)
        self.positions = [v * scale % ORDER for v, scale in zip(values[: len(positions)], rows.scales, strict=True)]
        self.auxiliary = values[len(positions) : len(positions) + len(auxiliary)]
        self.bits = values[len(positions) + len(auxiliary) :]
        self.sigma = _sigma(rows.constants, rho)


def _powers(count: int, rho: int) -> tuple[LimbArray, LimbArray]:
    """rho^1 .. rho^count in Montgomery form, and in double Montgomery form."""
    powers = np.empty((count, 4), dtype=np.uint64)
    doubled = np.empty_like(powers)
    kernels.powers_of(element(rho), powers, doubled)
    return powers, doubled


def _sigma(constants: tuple[int, ...], rho: int) -> int:
    """sum_r rho^r c_r, by Horner's rule."""
    total = 0
    for constant in reversed(constants):
        total = (total + constant) * rho % ORDER
    return total


def _runs(scales: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(first, last + 1, scale) of each run of equal scales."""
    runs: list[tuple[int, int, int]] = []
    for k, scale in enumerate(scales):
        if runs and runs[-1][2] == scale:
            runs[-1] = (runs[-1][0], k + 1, scale)
        else:
            runs.append((k, k + 1, scale))
    return runs


def lagrange_values(n: int, z: int) -> LimbArray:
    """uint64[n, 4]: L_i(z), Montgomery form; z is not in H."""
    d = field_domain(n)
    numerator = (pow(z, n, ORDER) - 1) * inverse_size(n) % ORDER
    out = np.empty((n, 4), dtype=np.uint64)
    kernels.lagrange_at(d.elements, element(z), element(numerator), P_MINUS_2, out)
    return out


def evaluate_columns(values: LimbArray, lagrange: LimbArray) -> list[int]:
    """Values at z of the polynomials with these values on H: uint64[columns n, 4] and L_i(z)."""
    n = len(lagrange)
    out = np.empty((len(values) // n, 4), dtype=np.uint64)
    if not len(out):
        return []
    kernels.dots(values, lagrange, out)
    return field_domain(1).integers(out)
