"""Square roots of rational numbers, to an integer."""

from __future__ import annotations

import math
from fractions import Fraction


def nearest_root(numerator: int, denominator: int) -> int:
    """The integer nearest to sqrt(numerator / denominator) of numbers that are not negative; a tie goes up."""
    # floor(sqrt(x) + 1/2) = floor((floor(sqrt(4 x)) + 1) / 2)
    return (math.isqrt(4 * numerator // denominator) + 1) // 2


def root_up(square: Fraction) -> int:
    """The least integer whose square is not below `square`, which is not negative."""
    root = math.isqrt(square.numerator // square.denominator)
    return root if root * root >= square else root + 1
