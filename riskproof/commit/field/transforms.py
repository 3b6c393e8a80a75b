"""Number-theoretic transforms over arrays uint64[n, 4] in Montgomery form, n a power of two.

    values(c)[k]  = sum_i c[i] omega^(i k)            coefficients to values on H = {omega^k}, natural order
    coefficients  = the inverse
    coset values  = values on g H, g the field's generator (no point of H): what a quotient by Z_H is computed on

Radix 2, decimation in time, in place: bit reversal, then log2(n) passes over a table of roots. `literal_values` is the sum written
out, the specification for tests.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from riskproof.commit.field import vectors
from riskproof.commit.field.limbs import LimbArray, ints_of, limbs_of
from riskproof.commit.field.modulus import Field
from riskproof.commit.field.montgomery import fe_add, fe_load, fe_mul, fe_store, fe_sub, jit


@jit
def _transform(field: Field, a: LimbArray, roots: LimbArray) -> None:
    """a[k] = sum_i a[i] root^(i k) in place; roots[j] = root^j for j < n / 2."""
    n = a.shape[0]
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            low, high = fe_load(a, i), fe_load(a, j)
            fe_store(a, i, high)
            fe_store(a, j, low)
    half = 1
    while half < n:
        step = n // (2 * half)
        for start in range(0, n, 2 * half):
            for k in range(half):
                even = fe_load(a, start + k)
                odd = fe_load(a, start + half + k)
                if k:
                    odd = fe_mul(field, odd, fe_load(roots, k * step))
                fe_store(a, start + k, fe_add(field, even, odd))
                fe_store(a, start + half + k, fe_sub(field, even, odd))
        half *= 2


class Domain:
    """The n-th roots of unity of a field and the transforms over them. Use `domain(field, n)`, which keeps one for each.

    Attributes:
        field, n: a power of two dividing p - 1.
        omega: generator^((p-1)/n).
    """

    def __init__(self, field: Field, n: int) -> None:
        self.field = field
        self.n = n
        self.omega = field.root_of_unity(n)

    def _powers(self, base: int, count: int, first: int = 1) -> LimbArray:
        p, power, powers = self.field.modulus, first, []
        for _ in range(count):
            powers.append(power)
            power = power * base % p
        return self.montgomery(powers)

    def montgomery(self, elements: list[int]) -> LimbArray:
        """uint64[N, 4] in Montgomery form of integers in [0, p)."""
        limbs = limbs_of(elements)
        vectors.to_montgomery(self.field, limbs, limbs)
        return limbs

    def integers(self, a: LimbArray) -> list[int]:
        """Inverse of `montgomery`."""
        out = np.empty_like(a)
        vectors.from_montgomery(self.field, a, out)
        return ints_of(out)

    @cached_property
    def elements(self) -> LimbArray:
        """omega^k for k < n."""
        return self._powers(self.omega, self.n)

    @cached_property
    def _roots(self) -> LimbArray:
        return self._powers(self.omega, max(1, self.n // 2))

    @cached_property
    def _inverse_roots(self) -> LimbArray:
        return self._powers(pow(self.omega, -1, self.field.modulus), max(1, self.n // 2))

    @cached_property
    def _shift(self) -> LimbArray:
        return self._powers(self.field.generator, self.n)

    @cached_property
    def _scale(self) -> LimbArray:
        """1/n, n times."""
        return self._powers(1, self.n, pow(self.n, -1, self.field.modulus))

    @cached_property
    def _unshift(self) -> LimbArray:
        """g^-i / n."""
        p = self.field.modulus
        return self._powers(pow(self.field.generator, -1, p), self.n, pow(self.n, -1, p))

    def values(self, coefficients: LimbArray) -> LimbArray:
        """uint64[n, 4] values on H of uint64[n, 4] coefficients, lowest first."""
        out = coefficients.copy()
        _transform(self.field, out, self._roots)
        return out

    def coefficients(self, values: LimbArray) -> LimbArray:
        """Inverse of `values`."""
        out = values.copy()
        _transform(self.field, out, self._inverse_roots)
        vectors.multiply(self.field, out, self._scale, out)
        return out

    def coset_values(self, coefficients: LimbArray) -> LimbArray:
        """Values on g omega^k of uint64[m, 4] coefficients, m <= n."""
        out = np.zeros((self.n, 4), dtype=np.uint64)
        out[: len(coefficients)] = coefficients
        vectors.multiply(self.field, out, self._shift, out)
        _transform(self.field, out, self._roots)
        return out

    def coset_coefficients(self, values: LimbArray) -> LimbArray:
        """Inverse of `coset_values` for polynomials of degree below n."""
        out = values.copy()
        _transform(self.field, out, self._inverse_roots)
        vectors.multiply(self.field, out, self._unshift, out)
        return out


@cache
def domain(field: Field, n: int) -> Domain:
    """The domain of size n."""
    return Domain(field, n)


def literal_values(field: Field, coefficients: list[int], shift: int = 1) -> list[int]:
    """Values on shift * omega^k, written out: n^2 products of plain integers."""
    p, n = field.modulus, len(coefficients)
    omega = field.root_of_unity(n)
    return [sum(c * pow(shift * pow(omega, k, p), i, p) for i, c in enumerate(coefficients)) % p for k in range(n)]
