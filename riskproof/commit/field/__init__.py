"""Prime fields of the system: as parameters, as limb arrays, and as compiled Montgomery arithmetic.

    modulus      Field, BN254_FR (Poseidon), BLS12_381_FR (columns and proofs): plain Python integers
    limbs        uint64[..., 4] little-endian limbs <-> integers and bytes
    montgomery   mul, square, add, sub and lazy dot products for numba kernels, for any Field
    vectors      the same over arrays, with power and inverse, free of the GIL
    literal      the twin in Python integers

`modulus` alone needs no numba; columns use nothing else.
"""
