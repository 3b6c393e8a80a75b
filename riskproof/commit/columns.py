"""KZG columns: hiding commitments to blocks of n positions over BLS12-381.

Column j of a book is the polynomial with values q[j n .. (j+1) n - 1] on the n-th roots of unity H (natural order) plus a random
multiple of the vanishing polynomial Z_H(X) = X^n - 1, committed with the ceremony's powers of tau:

    C_j = sum_i q[j n + i] [L_i(tau)]_1 + r_j [Z_H(tau)]_1,      r_j uniform in [1, r)

so C_j is a uniform point whatever the lots are, and equals a KZG commitment of a polynomial of degree at most n. Lots are int64; a
negative one is r - |q| in the exponent. C_j is additively homomorphic: a trade of d lots adds d [L_i]_1, a new blinding adds
(r' - r) [Z_H]_1.

Multiplications of secret scalars go through the curve library and a table look-up and are not constant time: a venue runs this on
its own machines. The curve library's calls hold the GIL.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.modulus import BLS12_381_FR, WIDE_BYTES
from riskproof.commit.points import G1Point, scalar
from riskproof.commit.srs import check_domain, lagrange_basis, vanishing_point
from riskproof.errors import CommitmentError

_ORDER = BLS12_381_FR.modulus
_WINDOW = 11
_HALF = 1 << (_WINDOW - 1)
_DIGITS = -(-256 // _WINDOW)
_TABLE_FROM_USE = 64  # building the table costs as much as 130 multiplications without it
_MAX_DELTA = 1 << 64


class Blinding:
    """The coefficient r of Z_H in one column: secret, never zero, never printed."""

    __slots__ = ("_value",)

    def __init__(self, value: int) -> None:
        if not 0 < value < _ORDER:
            raise CommitmentError("blinding is zero or not reduced", where="blinding", expected="1 to the order less 1")
        self._value = value

    @classmethod
    def random(cls) -> Blinding:
        """Uniform: 64 bytes of the operating system's generator modulo the order (bias below 2^-256), drawn again if zero."""
        while not (value := BLS12_381_FR.reduce_wide(secrets.token_bytes(WIDE_BYTES))):
            pass
        return cls(value)

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "blinding") -> Blinding:
        """From 32 little-endian bytes; CommitmentError unless they are a number from 1 to the order less 1."""
        value = BLS12_381_FR.from_bytes(data, where)
        if not value:
            raise CommitmentError("blinding is zero", where=where, expected="1 to the order less 1")
        return cls(value)

    def to_bytes(self) -> bytes:
        """32 little-endian bytes. Secret: for the opening file only."""
        return BLS12_381_FR.to_bytes(self._value)

    @property
    def secret_value(self) -> int:
        """The number itself, for the prover."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blinding):
            return NotImplemented
        return secrets.compare_digest(self.to_bytes(), other.to_bytes())

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __repr__(self) -> str:
        return "Blinding(hidden)"


class ColumnBasis:
    """Commits, updates, re-blinds and checks columns of one size n. Use `column_basis(n)`, which keeps one per n."""

    def __init__(self, n: int) -> None:
        check_domain(n)
        self.n = n
        self._lagrange = lagrange_basis(n)
        self._multiplications = 0

    @cached_property
    def _negated(self) -> tuple[G1Point, ...]:
        return tuple(-p for p in self._lagrange)

    @cached_property
    def _table(self) -> list[list[G1Point]]:
        """table[i][k] = k 2^(11 i) [Z_H]_1 for 0 <= k <= 2^10: a multiple of [Z_H]_1 is then 24 additions and no doubling."""
        table, base = [], vanishing_point(self.n)
        for _ in range(_DIGITS):
            row = [G1Point.identity(), base]
            while len(row) <= _HALF:
                row.append(row[-1] + base)
            table.append(row)
            base = row[-1] + row[-1]
        return table

    def _vanishing_multiple(self, factor: int) -> G1Point:
        """factor [Z_H]_1 for 0 <= factor < r; from the table once there is enough use for one."""
        self._multiplications += 1
        if self._multiplications < _TABLE_FROM_USE:
            return vanishing_point(self.n) * scalar(factor)
        total = G1Point.identity()
        for row in self._table:
            digit = factor & (2 * _HALF - 1)
            factor >>= _WINDOW
            if digit > _HALF:  # digits from -2^10 + 1 to 2^10 need half the table
                total -= row[2 * _HALF - digit]
                factor += 1
            elif digit:
                total += row[digit]
        return total

    def column_count(self, size: int) -> int:
        """How many columns `size` positions take."""
        return -(-size // self.n)

    def commit(self, lots: npt.NDArray[np.int64], blinding: Blinding) -> G1Point:
        """Commit one column.

        Args:
            lots: int64[m], m <= n; the rest of the column is zero.
            blinding: its coefficient of Z_H.

        Raises:
            CommitmentError: more than n lots, or another dtype (nothing is converted).
        """
        if lots.dtype != np.int64 or lots.ndim != 1 or len(lots) > self.n:
            raise CommitmentError(
                f"{lots.dtype}{list(lots.shape)} is not a column", where="lots", expected=f"int64[m] with m <= {self.n}"
            )
        points, scalars = [], []
        for i in np.flatnonzero(lots).tolist():
            q = int(lots[i])
            points.append(self._lagrange[i] if q > 0 else self._negated[i])  # |q| is short; r - |q| would not be
            scalars.append(scalar(abs(q)))
        total = self._vanishing_multiple(blinding.secret_value)
        return total + G1Point.multiexp_unchecked(points, scalars) if points else total

    def commit_all(self, lots: npt.NDArray[np.int64], blindings: Sequence[Blinding]) -> tuple[G1Point, ...]:
        """Commit int64[size] lots as ceil(size / n) columns, one blinding each; CommitmentError if the counts differ."""
        count = self.column_count(len(lots))
        if len(blindings) != count:
            raise CommitmentError(
                f"{len(blindings)} blindings for {count} columns", where="blindings", expected="one for each column"
            )
        n = self.n
        return tuple(self.commit(lots[j * n : (j + 1) * n], r) for j, r in enumerate(blindings))

    def update(self, commitment: G1Point, row: int, delta: int) -> G1Point:
        """The commitment after the lots in `row` of its column changed by `delta`: C + delta [L_row]_1.

        Equals `commit` of the new lots with the same blinding. The caller makes sure that the new lots fit int64.

        Raises:
            CommitmentError: row outside 0 .. n - 1, or |delta| above 2^64.
        """
        if not 0 <= row < self.n:
            raise CommitmentError(f"row {row} is outside the column", where="row", expected=f"0 to {self.n - 1}")
        if abs(delta) > _MAX_DELTA:
            raise CommitmentError("change is larger than any two lots differ", where="delta", expected="at most 2^64")
        if not delta:
            return commitment
        point = self._lagrange[row] if delta > 0 else self._negated[row]
        return commitment + point * scalar(abs(delta))

    def reblind(self, commitment: G1Point, old: Blinding, new: Blinding) -> G1Point:
        """The same lots under another blinding: C + (new - old) [Z_H]_1."""
        return commitment + self._vanishing_multiple((new.secret_value - old.secret_value) % _ORDER)

    def verify(self, commitment: G1Point, lots: npt.NDArray[np.int64], blinding: Blinding) -> bool:
        """Whether `commitment` opens to these lots and this blinding; CommitmentError if the lots are not a column."""
        return bool(self.commit(lots, blinding) == commitment)


@cache
def column_basis(n: int) -> ColumnBasis:
    """The one ColumnBasis of size n; CommitmentError unless n is 256, 512, 1024 or 2048."""
    return ColumnBasis(n)
