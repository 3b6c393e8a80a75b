"""A statement: rows over committed columns, and everything a proof of it is bound to (docs/protocol.md, sections 2 and 4).

A statement is public. Prover and verifier each build it from the challenge, the attestations and the snapshots; no part of it is
ever taken from the proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof import encoding
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import POINT_BYTES, G1Point, known_point
from riskproof.commit.srs import DOMAINS
from riskproof.encoding import TAG_COEFFICIENTS, TAG_NET_RISK
from riskproof.errors import ProofError
from riskproof.proof.transcript import Transcript

Int64 = npt.NDArray[np.int64]

MIN_BITS: Final = 8
MAX_BITS: Final = 128
MAX_ROWS: Final = 4_096
MAX_ATTESTATIONS: Final = 64
MAX_CELLS: Final = 1 << 25  # coefficients of a statement: 256 MiB
_ORDER = BLS12_381_FR.modulus
_LOTS = 1 << 63  # lots are int64


@dataclass(frozen=True)
class CommittedColumn:
    """A position column as the venue signed it: its number and its 48-byte commitment."""

    number: int
    commitment: bytes


@dataclass(frozen=True)
class AttestedColumns:
    """What a statement takes from one attestation.

    Attributes:
        digest, registry_digest, snapshot_digest: 32 bytes each.
        identity: 48 bytes, the Pedersen commitment to the holder's identity.
        tag: 32 bytes, the account's tag.
        columns: the live columns, number ascending.
    """

    digest: bytes
    registry_digest: bytes
    snapshot_digest: bytes
    identity: bytes
    tag: bytes
    columns: tuple[CommittedColumn, ...]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The coefficients of R rows on K position columns and l auxiliary columns of n places: what the bound does not change.

    Attributes:
        n: places of a column.
        positions: int64[K n, R], C-contiguous: coefficients on the lots, column by column, before the column's scale.
        scales: K positive integers.
        auxiliary: int64[l n, R]: coefficients on the auxiliary values.
    """

    n: int
    positions: Int64 = field(repr=False)
    scales: tuple[int, ...]
    auxiliary: Int64 = field(repr=False)

    def __post_init__(self) -> None:
        """Raise AssertionError for shapes that do not fit: coefficients are compiled, never parsed."""
        rows = self.positions.shape[1]
        for array, columns in ((self.positions, self.columns), (self.auxiliary, self.auxiliary_columns)):
            if array.dtype != np.int64 or array.shape != (columns * self.n, rows) or not array.flags.c_contiguous:
                raise AssertionError("coefficients are int64[columns * n, rows]")
            array.flags.writeable = False
        if any(scale <= 0 for scale in self.scales):
            raise AssertionError("scales are positive")

    @property
    def rows(self) -> int:
        """R."""
        return int(self.positions.shape[1])

    @property
    def columns(self) -> int:
        """K."""
        return len(self.scales)

    @property
    def auxiliary_columns(self) -> int:
        """l."""
        return len(self.auxiliary) // self.n

    @property
    def nbytes(self) -> int:
        """Bytes of A and D."""
        return int(self.positions.nbytes + self.auxiliary.nbytes)

    @cached_property
    def norms(self) -> tuple[int, ...]:
        """||A_r||_1 of every row, scales included, exactly."""
        totals = [0] * self.rows
        for k, scale in enumerate(self.scales):
            block = self.positions[k * self.n : (k + 1) * self.n]
            size = np.where(block < 0, ~block.view(np.uint64) + np.uint64(1), block.view(np.uint64))
            high, low = (size >> np.uint64(32)).sum(axis=0).tolist(), (size & np.uint64(2**32 - 1)).sum(axis=0).tolist()
            for r in range(self.rows):
                totals[r] += scale * ((high[r] << 32) + low[r])
        return tuple(totals)

    @cached_property
    def digest(self) -> bytes:
        """Digest under TAG_COEFFICIENTS of header, A and D."""
        header = encoding.canonical_json(
            {
                "auxiliary_columns": self.auxiliary_columns,
                "columns": self.columns,
                "rows": self.rows,
                "scales": [str(s) for s in self.scales],
                "size": self.n,
            }
        )
        arrays = (
            self.positions.astype("<i8", copy=False).tobytes(),
            self.auxiliary.astype("<i8", copy=False).tobytes(),
        )
        return encoding.digest(TAG_COEFFICIENTS, b"".join((len(header).to_bytes(8, "little"), header, *arrays)))


@dataclass(frozen=True, eq=False)
class Rows:
    """R rows c + <q, A> + <x, D>.

    Attributes:
        coefficients: A and D.
        constants: R integers.
        exponent: the rows are in 10^-exponent of the numeraire; for messages.
        pins: for each auxiliary value in use, in order of place, the row that bounds it.
        names: R texts for the prover's messages.
    """

    coefficients: Coefficients
    constants: tuple[int, ...]
    exponent: int
    pins: tuple[int, ...]
    names: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if self.count != self.coefficients.rows or len(self.names) != self.count:
            raise AssertionError("one constant and one name for each row")
        if len(self.pins) > len(self.auxiliary):
            raise AssertionError("at most one pin for each auxiliary place")

    @property
    def n(self) -> int:
        """Places of a column."""
        return self.coefficients.n

    @property
    def positions(self) -> Int64:
        """A."""
        return self.coefficients.positions

    @property
    def auxiliary(self) -> Int64:
        """D."""
        return self.coefficients.auxiliary

    @property
    def scales(self) -> tuple[int, ...]:
        """The factor of each position column."""
        return self.coefficients.scales

    @property
    def count(self) -> int:
        """R."""
        return len(self.constants)

    @property
    def columns(self) -> int:
        """K."""
        return self.coefficients.columns

    @property
    def auxiliary_columns(self) -> int:
        """l."""
        return self.coefficients.auxiliary_columns

    def check(self, bits: int) -> None:
        """Check that the rows mean over the integers what they say in the field (docs/protocol.md, 2.5).

        Raises:
            ProofError: no rows or too many; a slack width that is not served; a pin that does not bound its auxiliary value; a row
                that could wrap.
        """
        if not 0 < self.count <= MAX_ROWS:
            raise ProofError(f"{self.count} rows", where="rows", expected=f"1 to {MAX_ROWS}")
        if not MIN_BITS <= bits <= MAX_BITS:
            raise ProofError(f"slacks of {bits} bits", where="bits", expected=f"{MIN_BITS} to {MAX_BITS}")
        sums = [abs(c) + _LOTS * norm for c, norm in zip(self.constants, self.coefficients.norms, strict=True)]
        limits = self._auxiliary_limits(bits, sums)
        used = len(limits)
        if self.auxiliary[used:].any():
            raise ProofError("an auxiliary value has a coefficient and no pin", where="rows", expected="a pin for each")
        for r in np.flatnonzero(self.auxiliary.any(axis=0)).tolist():
            places = self.auxiliary[:used, r]
            total = sum(abs(int(places[i])) * limits[i] for i in np.flatnonzero(places).tolist())
            self._check_row(r, sums[r] + total, bits)
        for r, total in enumerate(sums):
            self._check_row(r, total, bits)

    def _check_row(self, r: int, total: int, bits: int) -> None:
        if total >= _ORDER - (1 << bits):
            raise ProofError(
                "a row could wrap around the group order",
                where=self.names[r],
                expected="smaller coefficients or exponents",
            )

    def _auxiliary_limits(self, bits: int, sums: list[int]) -> list[int]:
        """X_i for every auxiliary value in use."""
        limits: list[int] = []
        for i, pin in enumerate(self.pins):
            places = self.auxiliary[:, pin]
            if abs(int(places[i])) != 1 or places[i + 1 :].any():
                raise ProofError(
                    f"auxiliary value {i} is not pinned",
                    where=self.names[pin],
                    expected="coefficient 1 or -1 on it, none on later ones",
                )
            earlier = sum(abs(int(places[j])) * limits[j] for j in np.flatnonzero(places[:i]).tolist())
            limits.append((1 << bits) + sums[pin] + earlier)
        return limits


@dataclass(frozen=True, eq=False)
class Statement:
    """Rows over attested columns under a challenge; construction checks it (ProofError).

    Attributes:
        challenge_digest, nonce, model_digest: 32 bytes each.
        audience: whom the proof is for.
        expires_at: of the challenge, seconds since the epoch.
        holder_key: 32 bytes, the Ed25519 key that has to consent.
        attestations: ascending by digest.
        rows: the coefficients; K is the number of columns of all attestations.
        bits: b, the width of a slack.
    """

    challenge_digest: bytes
    nonce: bytes
    model_digest: bytes
    audience: str
    expires_at: int
    holder_key: bytes
    attestations: tuple[AttestedColumns, ...]
    rows: Rows
    bits: int

    def __post_init__(self) -> None:
        if self.rows.n not in DOMAINS:
            raise ProofError(f"columns of {self.rows.n}", where="n", expected=f"one of {DOMAINS}")
        digests = [a.digest for a in self.attestations]
        if not 0 < len(digests) <= MAX_ATTESTATIONS:
            raise ProofError(f"{len(digests)} attestations", where="attestations", expected=f"1 to {MAX_ATTESTATIONS}")
        if digests != sorted(set(digests)):
            raise ProofError(
                "attestations not in order, or one twice", where="attestations", expected="ascending by digest"
            )
        if sum(len(a.columns) for a in self.attestations) != self.rows.columns:
            raise AssertionError("one block of coefficients for each column")
        self.rows.check(self.bits)

    @property
    def n(self) -> int:
        """Places of a column."""
        return self.rows.n

    @property
    def bit_columns(self) -> int:
        """m."""
        return -(-self.rows.count * self.bits // self.n)

    @property
    def proof_bytes(self) -> int:
        """Length of a proof of this statement."""
        return POINT_BYTES * (self.rows.auxiliary_columns + self.bit_columns + 3) + 32 * (self.bit_columns + 1)

    def column_list(self) -> Iterator[tuple[int, CommittedColumn]]:
        """(attestation number, column) in the order of the coefficients."""
        for j, attestation in enumerate(self.attestations):
            for column in attestation.columns:
                yield j, column

    @cached_property
    def points(self) -> tuple[G1Point, ...]:
        """The column commitments as points (PointError names the one that is none)."""
        return tuple(
            known_point(column.commitment, f"attestations[{j}].columns[{column.number}]")
            for j, column in self.column_list()
        )

    def transcript(self, srs_digest: bytes) -> Transcript:
        """A transcript that has absorbed the whole statement."""
        rows, transcript = self.rows, Transcript()
        sizes = (
            self.n,
            self.bits,
            rows.count,
            len(self.attestations),
            rows.columns,
            rows.auxiliary_columns,
            self.bit_columns,
        )
        transcript.absorb("protocol", TAG_NET_RISK.encode("ascii"))
        transcript.absorb("srs", srs_digest)
        transcript.absorb("parameters", b"".join(size.to_bytes(4, "little") for size in sizes))
        transcript.absorb("challenge", self.challenge_digest)
        transcript.absorb("audience", self.audience.encode("utf-8"))
        transcript.absorb("nonce", self.nonce)
        transcript.absorb("expiry", self.expires_at.to_bytes(8, "little"))
        transcript.absorb("model", self.model_digest)
        for attestation in self.attestations:
            transcript.absorb("attestation", attestation.digest)
            transcript.absorb("registry", attestation.registry_digest)
            transcript.absorb("snapshot", attestation.snapshot_digest)
            transcript.absorb("holder-identity", attestation.identity)
            transcript.absorb("account-tag", attestation.tag)
        transcript.absorb("holder-key", self.holder_key)
        for j, column in self.column_list():
            place = j.to_bytes(4, "little") + column.number.to_bytes(4, "little")
            transcript.absorb("column", place + column.commitment)
        transcript.absorb("constants", b"".join(c.to_bytes(32, "little", signed=True) for c in rows.constants))
        transcript.absorb("coefficients", rows.coefficients.digest)
        return transcript
