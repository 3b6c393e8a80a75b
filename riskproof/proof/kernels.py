"""Numba kernels of prover and verifier over BLS12-381's scalar field: uint64[N, 4] in Montgomery form unless said otherwise.

`powers` below are rho^1 .. rho^R. For `combine` they are in *double* Montgomery form, rho^r R^2: then one wide sum of products with
plain 64-bit integers reduces to Montgomery form in a single step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from riskproof.commit.field.limbs import LimbArray
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.field.montgomery import (
    fe_add,
    fe_load,
    fe_mul,
    fe_one,
    fe_reduce,
    fe_square,
    fe_store,
    fe_sub,
    fe_to,
    fe_zero,
    jit,
    wide_add,
    wide_load,
    wide_mul,
    wide_store,
)
from riskproof.commit.field.vectors import fe_power

FIELD = BLS12_381_FR
_ZERO = np.uint64(0)


@jit
def powers_of(base: LimbArray, out: LimbArray, doubled: LimbArray) -> None:
    """out[i] = base^(i+1), doubled[i] the same in double Montgomery form; base is uint64[1, 4]."""
    x = fe_load(base, 0)
    power = x
    for i in range(out.shape[0]):
        fe_store(out, i, power)
        fe_store(doubled, i, fe_to(FIELD, power))
        power = fe_mul(FIELD, power, x)


@jit
def combine(coefficients: Any, doubled: LimbArray, scale: LimbArray, out: LimbArray) -> None:
    """out[i] = scale * sum_r powers[r] coefficients[i, r] for int64[N, R] coefficients.

    Positive and negative terms are summed apart: each sum is below R p 2^64 <= p 2^256 for R < 2^192.
    """
    factor = fe_load(scale, 0)
    nothing = wide_mul(fe_zero(), fe_zero())
    for i in range(coefficients.shape[0]):
        gains, losses, any_term = nothing, nothing, False
        for r in range(coefficients.shape[1]):
            a = coefficients[i, r]
            if a > 0:
                gains = wide_add(gains, wide_mul(fe_load(doubled, r), (np.uint64(a), _ZERO, _ZERO, _ZERO)))
                any_term = True
            elif a < 0:
                size = ~np.uint64(a) + np.uint64(1)
                losses = wide_add(losses, wide_mul(fe_load(doubled, r), (size, _ZERO, _ZERO, _ZERO)))
                any_term = True
        if any_term:
            value = fe_sub(FIELD, fe_reduce(FIELD, gains), fe_reduce(FIELD, losses))
            fe_store(out, i, fe_mul(FIELD, value, factor))
        else:
            fe_store(out, i, fe_zero())


@jit
def bit_weights(powers: LimbArray, bits: int, out: LimbArray) -> None:
    """out[(r - 1) b + i] = rho^r 2^i for i < b, zero after the last row."""
    place = 0
    for r in range(powers.shape[0]):
        weight = fe_load(powers, r)
        for _ in range(bits):
            fe_store(out, place, weight)
            weight = fe_add(FIELD, weight, weight)
            place += 1
    for k in range(place, out.shape[0]):
        fe_store(out, k, fe_zero())


@jit
def dots(a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[k] = sum_{i < n} a[k n + i] b[i] for b of n elements."""
    n = b.shape[0]
    for k in range(out.shape[0]):
        total = fe_zero()
        for i in range(n):
            total = fe_add(FIELD, total, fe_mul(FIELD, fe_load(a, k * n + i), fe_load(b, i)))
        fe_store(out, k, total)


@jit
def evaluate_rows(coefficients: Any, lagrange: LimbArray, doubled: LimbArray, sums: LimbArray, out: LimbArray) -> None:
    """out[k] = sum_{i < n} lagrange[i] sum_r powers[r] coefficients[k n + i, r]: `combine` and `dots` in one, at half the cost.

    Each row is summed over the column first, with plain 64-bit factors, and reduced once. sums is uint64[2 R, 8], for the gains and
    the losses of each row: both below n p 2^63, so below p 2^256.
    """
    n, rows = lagrange.shape[0], doubled.shape[0]
    for k in range(out.shape[0]):
        sums[:, :] = 0
        for i in range(n):
            x = fe_load(lagrange, i)
            for r in range(rows):
                a = coefficients[k * n + i, r]
                if a != 0:
                    sign = (
                        a >> 63
                    )  # 0 or -1; an index in place of a branch, which would be mispredicted half of the time
                    size = np.uint64(a ^ sign) + np.uint64(-sign)
                    at = 2 * r - sign
                    wide_store(sums, at, wide_add(wide_load(sums, at), wide_mul(x, (size, _ZERO, _ZERO, _ZERO))))
        total = fe_zero()
        for r in range(rows):
            gains, losses = wide_load(sums, 2 * r), wide_load(sums, 2 * r + 1)
            value = fe_sub(FIELD, fe_reduce(FIELD, gains), fe_reduce(FIELD, losses))
            total = fe_add(FIELD, total, fe_mul(FIELD, value, fe_load(doubled, r)))
        fe_store(out, k, total)


@jit
def evaluate_bits(powers: LimbArray, bits: int, lagrange: LimbArray, out: LimbArray) -> None:
    """out[u] = sum_{i < n} lagrange[i] weight[u n + i], with the weights of `bit_weights`."""
    n = lagrange.shape[0]
    for u in range(out.shape[0]):
        fe_store(out, u, fe_zero())
    for r in range(powers.shape[0]):
        end = (r + 1) * bits
        while end > r * bits:  # a slack may lie in several columns: each part by Horner's rule
            u = (end - 1) // n
            start = max(r * bits, u * n)
            part = fe_zero()
            for place in range(end - 1, start - 1, -1):
                part = fe_add(FIELD, fe_add(FIELD, part, part), fe_load(lagrange, place - u * n))
            for _ in range(start - r * bits):
                part = fe_add(FIELD, part, part)
            fe_store(out, u, fe_add(FIELD, fe_load(out, u), fe_mul(FIELD, fe_load(powers, r), part)))
            end = start


@jit
def add_product(a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[i] += a[i] b[i]."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_add(FIELD, fe_load(out, i), fe_mul(FIELD, fe_load(a, i), fe_load(b, i))))


@jit
def subtract_product(a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[i] -= a[i] b[i]."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_sub(FIELD, fe_load(out, i), fe_mul(FIELD, fe_load(a, i), fe_load(b, i))))


@jit
def add_scaled(factor: LimbArray, a: LimbArray, out: LimbArray) -> None:
    """out[i] += factor a[i] for i < len(a); factor is uint64[1, 4]."""
    x = fe_load(factor, 0)
    for i in range(a.shape[0]):
        fe_store(out, i, fe_add(FIELD, fe_load(out, i), fe_mul(FIELD, x, fe_load(a, i))))


@jit
def accumulate(terms: LimbArray, share: LimbArray, out: LimbArray) -> None:
    """out[0] = 0, out[i + 1] = out[i] + terms[i] - share for i < n, so out has n + 1 elements and the last one should be zero."""
    total, each = fe_zero(), fe_load(share, 0)
    fe_store(out, 0, total)
    for i in range(terms.shape[0]):
        total = fe_add(FIELD, total, fe_sub(FIELD, fe_load(terms, i), each))
        fe_store(out, i + 1, total)


@jit
def add_booleanity(column: LimbArray, factor: LimbArray, out: LimbArray) -> None:
    """out[i] += factor (column[i]^2 - column[i])."""
    x = fe_load(factor, 0)
    for i in range(column.shape[0]):
        b = fe_load(column, i)
        term = fe_mul(FIELD, x, fe_sub(FIELD, fe_square(FIELD, b), b))
        fe_store(out, i, fe_add(FIELD, fe_load(out, i), term))


@jit
def add_step(column: LimbArray, step: int, share: LimbArray, out: LimbArray) -> None:
    """out[i] += column[(i + step) mod N] - column[i] + share."""
    n, each = column.shape[0], fe_load(share, 0)
    for i in range(n):
        difference = fe_sub(FIELD, fe_load(column, (i + step) % n), fe_load(column, i))
        fe_store(out, i, fe_add(FIELD, fe_load(out, i), fe_add(FIELD, difference, each)))


@jit
def alternate(factors: LimbArray, out: LimbArray) -> None:
    """out[i] *= factors[i mod 2]."""
    for i in range(out.shape[0]):
        fe_store(out, i, fe_mul(FIELD, fe_load(out, i), fe_load(factors, i % 2)))


@jit
def evaluate(coefficients: LimbArray, at: LimbArray, out: LimbArray) -> None:
    """out[0] = the polynomial's value at `at`, by Horner's rule."""
    x, total = fe_load(at, 0), fe_zero()
    n = coefficients.shape[0]
    for k in range(n):
        total = fe_add(FIELD, fe_mul(FIELD, total, x), fe_load(coefficients, n - 1 - k))
    fe_store(out, 0, total)


@jit
def add_quotient(coefficients: LimbArray, at: LimbArray, out: LimbArray) -> None:
    """out += the quotient of the polynomial by X - at; the remainder, its value at `at`, is dropped."""
    x, carry = fe_load(at, 0), fe_zero()
    n = coefficients.shape[0]
    for k in range(n - 1):
        i = n - 1 - k
        carry = fe_add(FIELD, fe_load(coefficients, i), fe_mul(FIELD, carry, x))
        fe_store(out, i - 1, fe_add(FIELD, fe_load(out, i - 1), carry))


@jit
def lagrange_at(elements: LimbArray, at: LimbArray, numerator: LimbArray, p_minus_2: LimbArray, out: LimbArray) -> None:
    """out[i] = L_i(z) = omega^i numerator / (z - omega^i), numerator = (z^n - 1)/n, with one inversion; z is not in H."""
    z, n = fe_load(at, 0), elements.shape[0]
    running = fe_one(FIELD)
    for i in range(n):
        fe_store(out, i, running)
        running = fe_mul(FIELD, running, fe_sub(FIELD, z, fe_load(elements, i)))
    inverse = fe_power(FIELD, running, p_minus_2)
    inverse = fe_mul(FIELD, inverse, fe_load(numerator, 0))
    for k in range(n):
        i = n - 1 - k
        element = fe_load(elements, i)
        fe_store(out, i, fe_mul(FIELD, fe_mul(FIELD, inverse, fe_load(out, i)), element))
        inverse = fe_mul(FIELD, inverse, fe_sub(FIELD, z, element))
