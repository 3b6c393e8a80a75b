"""A committed book: an account's lots with their two commitments, updated by trades, blinded afresh for every attestation.

    epoch secret   = HMAC-SHA256(account secret, len(tag) || tag || epoch as 8 bytes little-endian),   tag = TAG_EPOCH
    leaf salts     derive from the epoch secret (riskproof.commit.merkle)
    per attestation: a fresh root salt and a fresh blinding for every column; nothing of an attestation repeats in the next one

An account secret is 32 random bytes that never leave the venue. An epoch secret goes to the holder with each opening: it opens the
book of that epoch to whoever has the root salts too, and says nothing about other epochs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from riskproof import units
from riskproof.attest.opening import OpenedPosition, positions_fragment
from riskproof.attest.registry_tree import registry_tree
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.field.modulus import BN254_FR, WIDE_BYTES
from riskproof.commit.merkle import PositionTree, capacity_for, positions_root
from riskproof.commit.points import G1Point, point_bytes
from riskproof.encoding import TAG_EPOCH
from riskproof.errors import AttestationError, PortfolioError
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Registry

SECRET_BYTES: Final = 32
EPOCH_SECONDS: Final = 30 * units.SECONDS_PER_DAY


def epoch_of(time: int) -> int:
    """The epoch of a time in seconds since the epoch of clocks: 30 days long. A venue may count otherwise.

    Raises:
        AttestationError: before 1970, or after the year 9999.
    """
    if not 0 <= time <= units.TIME_MAX:
        raise AttestationError("time is out of range", where="issued_at", expected="seconds since the epoch")
    return time // EPOCH_SECONDS


class AccountSecret:
    """The 32 bytes from which an account's salts and tags derive. They are in no repr and no pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        if len(value) != SECRET_BYTES:
            raise AttestationError(
                "account secret has the wrong length", where="secret", expected=f"{SECRET_BYTES} bytes"
            )
        self._value = value

    @classmethod
    def random(cls) -> AccountSecret:
        """From the operating system's randomness."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    def derive(self, tag: str, message: bytes) -> bytes:
        """HMAC-SHA256(secret, len(tag) || tag || message): 32 bytes that say nothing about the secret or another tag's."""
        name = tag.encode("ascii")
        return hmac.new(self._value, bytes([len(name)]) + name + message, hashlib.sha256).digest()

    def epoch_secret(self, epoch: int) -> bytes:
        """32 bytes for one epoch, numbered 0 .. 2^64 - 1."""
        return self.derive(TAG_EPOCH, epoch.to_bytes(8, "little"))

    def __repr__(self) -> str:
        return "AccountSecret(hidden)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an account secret does not pickle")


@dataclass(frozen=True)
class FreshCommitments:
    """Commitments for one attestation, with what opens them.

    Attributes:
        positions_root: 32 bytes. root_salt: 32 bytes, secret.
        columns: 48 bytes for each column. blindings: 32 bytes each, secret.
    """

    positions_root: bytes
    root_salt: bytes = field(repr=False)
    columns: tuple[bytes, ...]
    blindings: tuple[bytes, ...] = field(repr=False)


class CommittedBook:
    """Lots over the registry index with their position tree and column commitments.

    Not safe for concurrent changes; `fresh` changes nothing and may run on several threads at once.

    Attributes:
        registry: the registry version that the lots are indexed by.
        epoch_secret: secret; leaf salts derive from it.
    """

    def __init__(self, registry: Registry, portfolio: Portfolio, secret: AccountSecret, epoch: int) -> None:
        """Commit a book: one hash tree and one sparse multi-scalar multiplication per column.

        Raises:
            UnknownInstrumentError: a position outside the registry.
            AttestationError: the registry is empty.
        """
        if not len(registry):
            raise AttestationError("an empty registry has nothing to commit to", where="registry")
        portfolio.check(registry)
        self.registry = registry
        self.epoch_secret = secret.epoch_secret(epoch)
        self._lots: dict[int, int] = dict(portfolio.positions)
        dense = np.zeros(len(registry), dtype=np.int64)
        for index, lots in portfolio.positions:
            dense[index] = lots
        self._tree = PositionTree(dense, self.epoch_secret, capacity_for(len(registry)))
        self._basis = column_basis(registry.column_size)
        # Blindings of our own commitments, which nobody sees: every attestation moves on from them.
        self._blindings = [Blinding.random() for _ in range(registry.columns)]
        self._columns: list[G1Point] = list(self._basis.commit_all(dense, self._blindings))
        self._fragment: bytes | None = None

    def __repr__(self) -> str:
        return f"CommittedBook(<{len(self._lots)} positions of {len(self.registry)}>)"

    @property
    def capacity(self) -> int:
        """Number of leaves of the position tree."""
        return self._tree.root.capacity

    @property
    def portfolio(self) -> Portfolio:
        """The book as it is now."""
        return Portfolio(tuple(sorted(self._lots.items())))

    def lots(self, index: int) -> int:
        """Lots at an index of the registry; zero if there is no position."""
        return self._lots.get(index, 0)

    def apply_trade(self, changes: Iterable[tuple[int, int]]) -> None:
        """Change lots: ((index, delta), ...), all of them or none. One scalar multiplication and one path each.

        Raises:
            UnknownInstrumentError: an index outside the registry.
            PortfolioError: a position would leave int64.
        """
        after: dict[int, int] = {}
        for index, delta in changes:
            self.registry.instrument(index, "trade")
            after[index] = after.get(index, self.lots(index)) + delta
            if not units.INT64_MIN <= after[index] <= units.INT64_MAX:
                raise PortfolioError(
                    "position does not fit 64 bits after the trade", where=self.registry.instruments[index].name
                )
        size = self.registry.column_size
        for index, lots in after.items():
            column, row = divmod(index, size)
            self._columns[column] = self._basis.update(self._columns[column], row, lots - self.lots(index))
            self._tree.update(index, lots)
            if lots:
                self._lots[index] = lots
            else:
                self._lots.pop(index, None)
        self._fragment = None

    def extend(self, registry: Registry) -> None:
        """Move to a longer version of the registry; new instruments have no lots (RegistryError if it is not an extension)."""
        registry.check_extends(self.registry)
        added = len(registry) - len(self.registry)
        if not added:
            return
        if len(registry) <= self.capacity:
            self._tree.extend(np.zeros(added, dtype=np.int64))
        else:
            dense = np.zeros(len(registry), dtype=np.int64)
            for index, lots in self._lots.items():
                dense[index] = lots
            self._tree = PositionTree(dense, self.epoch_secret, capacity_for(len(registry)))
        nothing = np.zeros(0, dtype=np.int64)
        while len(self._columns) < registry.columns:
            self._blindings.append(Blinding.random())
            self._columns.append(self._basis.commit(nothing, self._blindings[-1]))
        self.registry = registry
        self._fragment = None

    def fresh(self) -> FreshCommitments:
        """The commitments under a new root salt and new blindings; the book itself does not change."""
        root_salt = BN254_FR.to_bytes(BN254_FR.reduce_wide(secrets.token_bytes(WIDE_BYTES)))
        blindings = [Blinding.random() for _ in self._columns]
        columns = [
            point_bytes(self._basis.reblind(point, old, new))
            for point, old, new in zip(self._columns, self._blindings, blindings, strict=True)
        ]
        return FreshCommitments(
            positions_root(self._tree.root, root_salt),
            root_salt,
            tuple(columns),
            tuple(b.to_bytes() for b in blindings),
        )

    def opened_positions(self) -> tuple[OpenedPosition, ...]:
        """Every position with the instrument's terms and their place in the registry's tree, index ascending."""
        tree = registry_tree(self.registry)
        return tuple(
            OpenedPosition(i, q, self.registry.instruments[i], tree.audit_path(i))
            for i, q in sorted(self._lots.items())
        )

    def positions_fragment(self) -> bytes:
        """Canonical JSON of `opened_positions`, kept until the book changes: the longest part of every opening."""
        if self._fragment is None:
            self._fragment = positions_fragment(self.opened_positions())
        return self._fragment
