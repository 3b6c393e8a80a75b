"""The same bytes with the JIT off and with a generic CPU target."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from riskproof.commit.field import vectors
from riskproof.commit.field.limbs import bytes_of, limbs_of
from riskproof.commit.field.modulus import BLS12_381_FR, BN254_FR
from riskproof.commit.merkle import PositionTree, positions_root, verify_multi_opening, verify_opening

tree = PositionTree(np.array([5, -(2**63), 0], dtype=np.int64), bytes(range(32)), 4)
tree.update(2, -1)
print(positions_root(tree.root, bytes(31) + b"\\1").hex())
print(verify_opening(tree.root, tree.opening(1)), verify_multi_opening(tree.root, tree.multi_opening([0, 2])))
for field in (BN254_FR, BLS12_381_FR):
    a = limbs_of([1, field.modulus - 1, field.r, 12345])
    out = np.empty_like(a)
    for step in (vectors.multiply, vectors.add, vectors.subtract):
        step(field, a, a[::-1].copy(), out)
        print(bytes_of(out).hex())
    vectors.invert(field, a[2:], limbs_of([field.modulus - 2])[0], out[2:])
    vectors.to_montgomery(field, out, out)
    vectors.from_montgomery(field, out[1:], out[1:])
    print(bytes_of(out).hex())
"""


def output(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_jit_off_gives_the_same_bytes() -> None:
    assert output(NUMBA_DISABLE_JIT="1") == output()


@pytest.mark.slow
def test_generic_cpu_gives_the_same_bytes() -> None:
    assert output(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == output()
