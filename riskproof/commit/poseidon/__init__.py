"""Poseidon over BN254's scalar field, as circomlib computes it (Grassi et al., USENIX Security 2021, IACR ePrint 2019/458).

    poseidon([x_1 .. x_a])  =  first cell of  permutation_t(0, x_1 .. x_a),   t = a + 1,   1 <= a <= 4

    parameters   round constants and MDS matrix from the published Grain LFSR; the sparse form of the partial rounds
    literal      the permutation as the paper writes it, in Python integers
    kernel       the same, compiled, over arrays of inputs and free of the GIL

The arity is part of the hash: a different t has different constants, so values under different arities do not collide.
"""

from riskproof.commit.poseidon.kernel import poseidon, poseidon_many

__all__ = ["poseidon", "poseidon_many"]
