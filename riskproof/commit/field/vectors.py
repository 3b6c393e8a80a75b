"""Field operations over arrays uint64[N, 4], compiled once per Field and free of the GIL.

Arrays are C-contiguous and writable; elements are below p (the kernels do not check: `limbs.below` does). `out` may be an input.
All but `to_montgomery` and `from_montgomery` expect and return Montgomery form.
"""

from __future__ import annotations

from typing import Any

from riskproof.commit.field.limbs import LimbArray
from riskproof.commit.field.modulus import Field
from riskproof.commit.field.montgomery import (
    fe_add,
    fe_from,
    fe_load,
    fe_mul,
    fe_one,
    fe_square,
    fe_store,
    fe_sub,
    fe_to,
    jit,
)


@jit
def to_montgomery(field: Field, a: LimbArray, out: LimbArray) -> None:
    """out[i] = a[i] R mod p."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_to(field, fe_load(a, i)))


@jit
def from_montgomery(field: Field, a: LimbArray, out: LimbArray) -> None:
    """out[i] = a[i] / R mod p."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_from(field, fe_load(a, i)))


@jit
def multiply(field: Field, a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[i] = a[i] b[i]."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_mul(field, fe_load(a, i), fe_load(b, i)))


@jit
def add(field: Field, a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[i] = a[i] + b[i]."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_add(field, fe_load(a, i), fe_load(b, i)))


@jit
def subtract(field: Field, a: LimbArray, b: LimbArray, out: LimbArray) -> None:
    """out[i] = a[i] - b[i]."""
    for i in range(a.shape[0]):
        fe_store(out, i, fe_sub(field, fe_load(a, i), fe_load(b, i)))


@jit
def fe_power(field: Field, a: Any, exponent: LimbArray) -> Any:
    """a^exponent for one element and an exponent of uint64[4], by squaring and multiplying from the top bit.

    Not constant time: the exponents in use (p - 2) are public.
    """
    result = fe_one(field)
    for i in range(4):
        word = exponent[3 - i]
        for shift in range(64):
            result = fe_square(field, result)
            if (word >> (63 - shift)) & 1:
                result = fe_mul(field, result, a)
    return result


@jit
def invert(field: Field, a: LimbArray, p_minus_2: LimbArray, out: LimbArray) -> None:
    """out[i] = 1 / a[i] for non-zero elements, with one power in all (Montgomery's trick); `out` is not `a`.

    A zero among the elements would zero every result: the caller makes sure that there is none.
    """
    n = a.shape[0]
    running = fe_one(field)
    for i in range(n):
        fe_store(out, i, running)
        running = fe_mul(field, running, fe_load(a, i))
    running = fe_power(field, running, p_minus_2)
    for k in range(n):
        i = n - 1 - k
        fe_store(out, i, fe_mul(field, running, fe_load(out, i)))
        running = fe_mul(field, running, fe_load(a, i))
