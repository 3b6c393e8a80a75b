"""Sections 2.2 and 2.5 of docs/protocol.md, and the coefficients digest of section 4: the rows, and when they mean integers.

slack_r = c_r + <q, A_r> + <x, D_r>   lies in [0, 2^b),   r = 1 .. R
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from riskproof.reference.groups import R_ORDER
from riskproof.reference.outcomes import Invalid
from riskproof.reference.transcript import u64


@dataclass(frozen=True)
class Rows:
    """The statement's rows as the caller recomputed them, in Python ints (numpy's would wrap around in silence).

    Attributes:
        constants: c_r, R integers, in 10^-E of the numeraire.
        A: A[k][i][r], coefficient of row r on lot i of position column k, *before* the scale; K x n x R, signed 64-bit. Columns
            by attestation (ascending by digest), then by number; places beyond the registry are zero.
        scales: the scale of each position column, K positive integers; row r's coefficient is scales[k] * A[k][i][r].
        D: D[p][r], coefficient of row r on auxiliary p, l n x R, signed 64-bit: auxiliary p is place p % n of column p // n.
        pins: pins[p] is the row, counted from 0, that pins auxiliary p (section 2.5; for `solvency` the row x_p >= 0). Places
            from len(pins) on hold no auxiliary.

    Raises:
        ValueError: shapes or ranges differ from these: the caller's mistake, not the prover's.
    """

    constants: Sequence[int]
    A: Sequence[Sequence[Sequence[int]]]
    scales: Sequence[int]
    D: Sequence[Sequence[int]] = ()
    pins: Sequence[int] = ()

    def __post_init__(self) -> None:
        rows, n = len(self.constants), len(self.A[0]) if self.A else 0
        if not rows or not n:
            raise ValueError("rows: no row or no position column")
        if any(len(column) != n for column in self.A) or len(self.scales) != len(self.A) or len(self.D) % n:
            raise ValueError("rows: columns of different lengths, or not one scale for each")
        if any(len(place) != rows for place in itertools.chain(*self.A, self.D)):
            raise ValueError("rows: not one coefficient for each row")
        flat = itertools.chain(itertools.chain.from_iterable(itertools.chain(*self.A, self.D)))
        if any(type(x) is not int or not -(2**63) <= x < 2**63 for x in flat):
            raise ValueError("rows: a coefficient is not a signed 64-bit int")
        if any(type(x) is not int for x in (*self.constants, *self.scales, *self.pins)) or min(self.scales) < 1:
            raise ValueError("rows: a constant, scale or pin is not an int, or a scale is not positive")
        if len(self.pins) > len(self.D) or not all(0 <= pin < rows for pin in self.pins):
            raise ValueError("rows: a pin is not a row, or there are more pins than places")

    @property
    def n(self) -> int:
        """Lots per column."""
        return len(self.A[0])

    @property
    def auxiliary_columns(self) -> int:
        """l."""
        return len(self.D) // self.n


def slack_bits(exponent: int, wanted: int | None = None) -> int:
    """Section 2.2: b for the common exponent E and the challenge's `slack_bits`, if it has that member (Invalid above 128)."""
    if wanted is not None:
        return wanted
    if exponent <= 9:
        return 64
    for b in range(64, 129, 8):
        if 2**b >= 2**64 * 10 ** (exponent - 9):
            return b
    raise Invalid(f"2.2: exponent {exponent} needs more than 128 slack bits")


def check_no_wrap(rows: Rows, b: int) -> None:
    """Section 2.5: over the field the rows say what they say over the integers (Invalid)."""
    lots = [
        sum(s * sum(abs(place[r]) for place in a) for a, s in zip(rows.A, rows.scales, strict=True))
        for r in _rows(rows)
    ]
    if any(any(place) for place in rows.D[len(rows.pins) :]):
        raise Invalid("2.5: a coefficient on an auxiliary that no row pins")
    bounds: list[int] = []  # X_p
    for p, pin in enumerate(rows.pins):
        if abs(rows.D[p][pin]) != 1:
            raise Invalid(f"2.5: pin row {pin + 1} has coefficient {rows.D[p][pin]} on auxiliary {p}, not +1 or -1")
        if any(later[pin] for later in rows.D[p + 1 :]):
            raise Invalid(f"2.5: pin row {pin + 1} of auxiliary {p} has a coefficient on a later one")
        earlier = sum(abs(rows.D[i][pin]) * bounds[i] for i in range(p))
        bounds.append(2**b + abs(rows.constants[pin]) + 2**63 * lots[pin] + earlier)
    for r in _rows(rows):
        auxiliaries = sum(abs(place[r]) * x for place, x in zip(rows.D, bounds, strict=False))
        if abs(rows.constants[r]) + 2**63 * lots[r] + auxiliaries >= R_ORDER - 2**b:
            raise Invalid(f"2.5: row {r + 1} can wrap around the group order")


def coefficients_digest(rows: Rows) -> bytes:
    """32 bytes: digest of shapes, scales and coefficients (section 4)."""
    header = {
        "auxiliary_columns": rows.auxiliary_columns,
        "columns": len(rows.A),
        "rows": len(rows.constants),
        "scales": [str(s) for s in rows.scales],
        "size": rows.n,
    }
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")
    tag = b"riskproof/coefficients/v1"
    h = hashlib.sha256(bytes([len(tag)]) + tag + u64(len(head)) + head)
    for place in itertools.chain(*rows.A, rows.D):
        h.update(_int64s(place))
    return h.digest()


def _int64s(values: Iterable[int]) -> bytes:
    return b"".join(x.to_bytes(8, "little", signed=True) for x in values)


def _rows(rows: Rows) -> range:
    return range(len(rows.constants))
