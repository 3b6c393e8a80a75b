"""Poseidon over arrays of inputs: one compiled kernel for every width, constants as an argument, free of the GIL.

Bounds, with k = p / 2^256 = 0.189. Cells between layers and table entries are below p, so an S-box has its input below 2p and its
output below 1.61p (`_fifth_power`). A linear layer sums t products below 1.61p^2. In the partial rounds u_i sums at most t - 1
products a_i z and one initial value, each below p^2, and t products b_i y below 1.61p^2: 2.61 t p^2 in all, 13.05p^2 for t = 5,
which is 2.47 p 2^256. So every sum is below 3 p 2^256, where `fe_reduce_sum` ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from riskproof.commit.field.limbs import LimbArray, ints_of, limbs_of
from riskproof.commit.field.modulus import BN254_FR, LIMBS
from riskproof.commit.field.montgomery import (
    fe_from,
    fe_is_reduced,
    fe_load,
    fe_one,
    fe_reduce_sum,
    fe_store,
    fe_to,
    fe_zero,
    inline,
    jit,
    loose_add,
    loose_mul,
    loose_square,
    wide_add,
    wide_load,
    wide_mul,
    wide_store,
)
from riskproof.commit.poseidon.parameters import FULL_ROUNDS, MAX_ARITY, PARTIAL_ROUNDS, recurrence_parameters
from riskproof.errors import CommitmentError

if 261 * (MAX_ARITY + 1) * BN254_FR.modulus >= 300 << 256:
    raise AssertionError("the sums of the widest permutation do not fit one reduction")


@inline  # type: ignore[untyped-decorator]
def _fifth_power(x: Any) -> Any:
    """x^5 for x < 2p, below 1.6 p: with k = p / R = 0.189, (2p)^2 k + p < 1.76p, its square 1.59p, times 2p 1.61p."""
    return loose_mul(BN254_FR, loose_square(BN254_FR, loose_square(BN254_FR, x)), x)


@inline  # type: ignore[untyped-decorator]
def _dot(table: LimbArray, at: int, state: LimbArray, t: int) -> Any:
    """sum_j table[at + j] state[j], reduced once."""
    total = wide_mul(fe_load(table, at), fe_load(state, 0))
    for j in range(1, t):
        total = wide_add(total, wide_mul(fe_load(table, at + j), fe_load(state, j)))
    return fe_reduce_sum(BN254_FR, total)


@inline  # type: ignore[untyped-decorator]
def _partial_rounds(table: LimbArray, at: int, rounds: int, state: LimbArray, wide: LimbArray, t: int) -> None:
    """state = (z, u_1 .. u_d) through all partial rounds; uint64[t, 8] `wide` is scratch for the unreduced u."""
    for j in range(1, t):
        wide_store(wide, j, wide_mul(fe_load(state, j), fe_one(BN254_FR)))
    z = fe_load(state, 0)
    constants = at + 2 * t
    d = t - 1
    for r in range(rounds):
        x = loose_add(z, fe_load(table, constants + r))
        x2 = loose_square(BN254_FR, x)
        total = wide_add(wide_mul(fe_load(table, at), z), wide_load(wide, 1))
        x4 = loose_square(BN254_FR, x2)
        for i in range(1, d):
            wide_store(wide, i, wide_add(wide_mul(fe_load(table, at + i), z), wide_load(wide, i + 1)))
        y = loose_mul(BN254_FR, x4, x)
        z = fe_reduce_sum(BN254_FR, wide_add(total, wide_mul(fe_load(table, at + t), y)))
        for i in range(1, d):
            wide_store(wide, i, wide_add(wide_load(wide, i), wide_mul(fe_load(table, at + t + i), y)))
        wide_store(wide, d, wide_mul(fe_load(table, at + t + d), y))
    fe_store(state, 0, z)
    for j in range(1, t):
        fe_store(state, j, fe_reduce_sum(BN254_FR, wide_load(wide, j)))


@jit  # type: ignore[untyped-decorator]
def _hash_many(table: LimbArray, partial_rounds: int, inputs: LimbArray, out: LimbArray) -> int:
    """out[k] = poseidon(inputs[k, :]) for uint64[N, arity, 4] canonical limbs; returns -1, or the first k that is not canonical.

    `table` is `_table(t)`: Montgomery form.
    """
    arity = inputs.shape[1]
    t = arity + 1
    half = FULL_ROUNDS // 2
    mds = FULL_ROUNDS * t
    entry = mds + t * t
    leave = entry + t * t
    state = np.empty((t, LIMBS), dtype=np.uint64)
    mixed = np.empty((t, LIMBS), dtype=np.uint64)
    wide = np.empty((t, 2 * LIMBS), dtype=np.uint64)
    for k in range(inputs.shape[0]):
        fe_store(state, 0, fe_zero())
        for j in range(arity):
            x = (inputs[k, j, 0], inputs[k, j, 1], inputs[k, j, 2], inputs[k, j, 3])
            if not fe_is_reduced(BN254_FR, x):
                return k
            fe_store(state, j + 1, fe_to(BN254_FR, x))
        for r in range(FULL_ROUNDS):
            for j in range(t):
                fe_store(state, j, _fifth_power(loose_add(fe_load(state, j), fe_load(table, r * t + j))))
            rows = t if r < FULL_ROUNDS - 1 else 1  # of the last round only the first cell is asked for
            if r == half - 1:
                matrix, turns = entry, 2
            else:
                matrix, turns = mds, 1
            for turn in range(turns):  # one place for every matrix, because each is compiled in full
                if turn:
                    _partial_rounds(table, leave + t * t, partial_rounds, state, wide, t)
                    matrix = leave
                for j in range(rows):
                    fe_store(mixed, j, _dot(table, matrix + j * t, state, t))
                for j in range(rows):
                    fe_store(state, j, fe_load(mixed, j))
        fe_store(out, k, fe_from(BN254_FR, fe_load(state, 0)))
    return -1


@cache
def _table(t: int) -> LimbArray:
    """uint64[K, 4], Montgomery form, read-only.

    Full-round constants (R_F t), then by rows the matrices mds, entry and leave (t^2 each), then a (t), b (t) and the
    constants of the partial rounds (R_P).
    """
    p = recurrence_parameters(t)
    rows = (*p.full_constants, *p.mds, *p.entry, *p.leave, p.a, p.b, p.partial_constants)
    table = limbs_of(x * BN254_FR.r % BN254_FR.modulus for row in rows for x in row)
    table.flags.writeable = False
    return table


def poseidon_many(inputs: LimbArray) -> LimbArray:
    """Hash N input lists of one arity.

    Args:
        inputs: uint64[N, arity, 4], canonical little-endian limbs; arity 1 to 4.

    Returns:
        uint64[N, 4], canonical.

    Raises:
        CommitmentError: arity out of range, or an input that is not below the modulus (it is never reduced).
    """
    if inputs.ndim != 3 or inputs.dtype != np.uint64 or inputs.shape[2] != LIMBS:
        raise AssertionError("inputs are uint64[N, arity, 4]")
    arity = inputs.shape[1]
    if not 1 <= arity <= MAX_ARITY:
        raise CommitmentError(f"{arity} inputs", where="poseidon", expected=f"1 to {MAX_ARITY}")
    block = np.require(inputs, requirements=["C", "W"])
    out = np.empty((len(block), LIMBS), dtype=np.uint64)
    bad = _hash_many(_table(arity + 1), PARTIAL_ROUNDS[arity + 1], block, out)
    if bad >= 0:
        raise CommitmentError(
            "field element is not reduced", where=f"poseidon input {bad}", expected=f"below {BN254_FR.name}'s modulus"
        )
    return out


def poseidon(inputs: Sequence[int]) -> int:
    """Hash 1 to 4 integers in [0, p); CommitmentError otherwise."""
    for i, x in enumerate(inputs):
        if not 0 <= x < BN254_FR.modulus:
            raise CommitmentError(
                "field element is not reduced", where=f"poseidon input {i}", expected=f"below {BN254_FR.name}'s modulus"
            )
    return ints_of(poseidon_many(limbs_of(inputs).reshape(1, -1, LIMBS)))[0]
