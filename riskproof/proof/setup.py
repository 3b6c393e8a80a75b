"""What prover and verifier need of a structured reference string for one column size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

from py_arkworks_bls12381 import G2Point

from riskproof.commit.points import G1Point
from riskproof.commit.srs import g1_powers, g2_powers, lagrange_basis, srs_digest

BLINDED_DEGREES = 3  # the accumulator is blinded by beta + beta' X + beta'' X^2
GROUP = 8


@dataclass(frozen=True, eq=False)
class Setup:
    """Points of a structured reference string.

    Attributes:
        digest: 32 bytes naming the string; the transcript starts with it.
        n: column size.
        lagrange: [L_i(tau)]_1 for i < n.
        powers: [tau^i]_1 for i < n + 3.
        g2: [1]_2, [tau]_2, [tau^2]_2.
    """

    digest: bytes
    n: int
    lagrange: tuple[G1Point, ...] = field(repr=False)
    powers: tuple[G1Point, ...] = field(repr=False)
    g2: tuple[G2Point, G2Point, G2Point] = field(repr=False)

    @cached_property
    def vanishing(self) -> tuple[G1Point, ...]:
        """[X^k Z_H]_1 for k = 0, 1, 2."""
        return tuple(self.powers[self.n + k] - self.powers[k] for k in range(BLINDED_DEGREES))

    @cached_property
    def subsets(self) -> tuple[tuple[G1Point, ...], ...]:
        """subsets[g][bits] = sum of the Lagrange points 8 g + i with bit i of `bits` set: a 0/1 column is n / 8 additions."""
        groups = []
        for start in range(0, self.n, GROUP):
            sums = [G1Point.identity()]
            for point in self.lagrange[start : start + GROUP]:
                sums += [s + point for s in sums]
            groups.append(tuple(sums))
        return tuple(groups)


@cache
def ceremony_setup(n: int) -> Setup:
    """The Ethereum ceremony's string for columns of n; CommitmentError unless n is 256, 512, 1024 or 2048."""
    lagrange = lagrange_basis(n)
    one, tau, square = g2_powers(3)
    return Setup(srs_digest(), n, lagrange, g1_powers(n + BLINDED_DEGREES), (one, tau, square))
