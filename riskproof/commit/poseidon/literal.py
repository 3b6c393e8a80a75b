"""The Poseidon permutation as the paper writes it, in Python integers: what the compiled kernel is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from riskproof.commit.field.modulus import BN254_FR
from riskproof.commit.poseidon.parameters import parameters

_P = BN254_FR.modulus


def permutation(state: Sequence[int]) -> list[int]:
    """R_F/2 full rounds, R_P partial rounds, R_F/2 full rounds; each adds constants, applies x^5, multiplies by M."""
    params = parameters(len(state))
    half = params.full_rounds // 2
    cells = list(state)
    for r, constants in enumerate(params.round_constants):
        cells = [(x + c) % _P for x, c in zip(cells, constants, strict=True)]
        if half <= r < half + params.partial_rounds:
            cells[0] = pow(cells[0], 5, _P)
        else:
            cells = [pow(x, 5, _P) for x in cells]
        cells = [sum(m * x for m, x in zip(row, cells, strict=True)) % _P for row in params.mds]
    return cells


def poseidon(inputs: Sequence[int]) -> int:
    """First cell of permutation(0, inputs...)."""
    return permutation([0, *inputs])[0]
