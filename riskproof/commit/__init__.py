"""Commitments to positions, over the registry index so that nobody learns which instruments are held.

    points          48-byte curve points: bytes in, a point of the right group or PointError (no numba, no numpy)
    field           4 x 64-bit Montgomery arithmetic, one implementation for every modulus, and its literal twin
    poseidon        Poseidon over BN254's scalar field with circomlib's parameters, generated from the Grain LFSR
    openings        tree roots, openings of positions and their checks, positions_root
    merkle          the salted position tree that a venue keeps
    srs             the Ethereum ceremony's powers of tau and the Lagrange bases derived from them
    identity        Pedersen commitments to a holder's identity (no numba, no numpy)
    columns         KZG columns of lots with a random multiple of the vanishing polynomial

docs/commitments.md is the specification; importing this package alone loads nothing.
"""
