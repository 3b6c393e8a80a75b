"""Exact linear algebra of small symmetric matrices of integers: definiteness, and a Cholesky factor that is the same everywhere.

A symmetric matrix is positive semi-definite if and only if elimination, in any order of the diagonal, meets no negative pivot and,
where a pivot is zero, finds the rest of its row zero as well. In integers that is a decision, without a tolerance. Elimination is
Bareiss's (1968), whose entries are minors of the matrix and stay integers: p the pivot before (1 at first),

    M[i][j] <- (M[k][k] M[i][j] - M[i][k] M[k][j]) / p,        C[i][k] = M[i][k] / sqrt(M[k][k] p)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from riskproof.risk.tail.roots import nearest_root

Matrix = Sequence[Sequence[int]]


def is_positive_semidefinite(matrix: Matrix) -> bool:
    """Whether x' M x >= 0 for every x; `matrix` is square and symmetric."""
    return _eliminate(matrix) is not None


def _eliminate(matrix: Matrix) -> list[tuple[int, list[int]]] | None:
    """M[k][k] p and M[i][k] of every step k, zeros where the pivot is zero; None if M is not positive semi-definite."""
    rest = [list(row) for row in matrix]
    count, before = len(rest), 1
    steps: list[tuple[int, list[int]]] = []
    for k in range(count):
        pivot = rest[k][k]
        column = [rest[i][k] for i in range(count)]
        if pivot < 0 or (pivot == 0 and any(column[k + 1 :])):
            return None
        steps.append((pivot * before, column))
        if pivot == 0:
            continue
        for i in range(k + 1, count):
            for j in range(k + 1, i + 1):
                rest[i][j] = rest[j][i] = (pivot * rest[i][j] - column[i] * column[j]) // before
        before = pivot
    return steps


def cholesky(matrix: Matrix) -> list[list[int]]:
    """The lower triangle C with C C' = M, each entry the integer nearest to the exact one; M in the square of C's unit.

    The matrix must be positive semi-definite (AssertionError). A zero pivot has a column of zeros.
    """
    steps = _eliminate(matrix)
    if steps is None:
        raise AssertionError("not positive semi-definite")
    factor = [[0] * (k + 1) for k in range(len(matrix))]
    for k, (square, column) in enumerate(steps):
        for i in range(k, len(matrix)):
            root = nearest_root(column[i] ** 2, square) if square else 0
            factor[i][k] = root if column[i] >= 0 else -root
    return factor


def least_eigenvalue(matrix: Matrix, unit: int) -> float:
    """The least eigenvalue of matrix / unit in float64: for messages, never for a decision."""
    return float(np.linalg.eigvalsh(np.array([[x / unit for x in row] for row in matrix]))[0])
