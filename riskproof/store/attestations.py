"""Attestations in the ledger: one sequence per account, each record naming the digest of the one before.

    sequence 1:  previous = 32 zero bytes         digest d1
    sequence 2:  previous = d1                    digest d2      ...

An exclusive attestation has a window as well, in the table of pledges (`pledges`).

The number and the previous digest are given out inside the transaction that stores the result: a builder that fails, a process
that dies, leave no gap; a request id that was answered is answered again, with the same record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from riskproof.errors import ConflictError, NotFoundError, StoreCorruptError
from riskproof.store import holders, pledges
from riskproof.store.accounts import account_number, no_account
from riskproof.store.records import (
    GENESIS,
    AttestationRecord,
    StoredAttestation,
    Window,
    opening_digest,
    record_digest,
)
from riskproof.store.schema import accounts, attestations, openings
from riskproof.store.schema import pledges as pledge_table

Builder = Callable[[int, bytes], AttestationRecord]

SELECT: Final = (
    sa.select(
        accounts.c.account_id,
        attestations.c.sequence,
        attestations.c.request_id,
        attestations.c.request_digest,
        attestations.c.digest,
        attestations.c.previous_digest,
        attestations.c.attestation,
        attestations.c.issued_at,
        attestations.c.opening_digest,
        attestations.c.record_digest,
        pledge_table.c.window_from,
        pledge_table.c.window_until,
    )
    .join_from(attestations, accounts, accounts.c.number == attestations.c.account)
    .outerjoin(
        pledge_table,
        sa.and_(pledge_table.c.account == attestations.c.account, pledge_table.c.sequence == attestations.c.sequence),
    )
)

_BY_SEQUENCE: Final = SELECT.where(
    attestations.c.account == sa.bindparam("account"), attestations.c.sequence == sa.bindparam("sequence")
)
_BY_DIGEST: Final = SELECT.where(attestations.c.digest == sa.bindparam("digest"))
_PAGE: Final = (
    SELECT.where(attestations.c.account == sa.bindparam("account"), attestations.c.sequence > sa.bindparam("after"))
    .order_by(attestations.c.sequence)
    .limit(sa.bindparam("limit"))
)
_KNOWN: Final = attestations.alias("known")
_LAST: Final = attestations.alias("last")
# Everything an append has to know, in one statement: the account, what this request id has, the end of the sequence.
_STATE: Final = (
    sa.select(
        accounts.c.number, _KNOWN.c.sequence.label("known"), _KNOWN.c.request_digest, _LAST.c.sequence, _LAST.c.digest
    )
    .outerjoin_from(
        accounts,
        _KNOWN,
        sa.and_(_KNOWN.c.account == accounts.c.number, _KNOWN.c.request_id == sa.bindparam("request_id")),
    )
    .outerjoin(
        _LAST,
        sa.and_(
            _LAST.c.account == accounts.c.number,
            _LAST.c.sequence
            == sa.select(sa.func.max(attestations.c.sequence))
            .where(attestations.c.account == accounts.c.number)
            .correlate(accounts)
            .scalar_subquery(),
        ),
    )
    .where(accounts.c.account_id == sa.bindparam("account_id"))
)
_HEAD: Final = (
    sa.select(attestations.c.sequence, attestations.c.digest)
    .where(attestations.c.account == sa.bindparam("account"))
    .order_by(attestations.c.sequence.desc())
    .limit(1)
)
_OPENING: Final = (
    sa.select(openings.c.opening, attestations.c.opening_digest)
    .join_from(
        openings,
        attestations,
        sa.and_(attestations.c.account == openings.c.account, attestations.c.sequence == openings.c.sequence),
    )
    .where(openings.c.account == sa.bindparam("account"), openings.c.sequence == sa.bindparam("sequence"))
)
_INSERT: Final = attestations.insert()
_INSERT_OPENING: Final = openings.insert()


def append(
    connection: Connection,
    account_id: str,
    request_id: str,
    build: Builder,
    *,
    request_digest: bytes | None,
    holder: str | None,
    exclusive: Window | None,
) -> StoredAttestation:
    """Build and store the account's next attestation, or return the one this request id already has.

    Raises:
        NotFoundError: no such account, or nobody is recorded as its holder and `holder` is given.
        ConflictError: the request id is taken by a request with another digest or window; the account's holder is not `holder`; the
            window overlaps that of another exclusive attestation; the attestation's digest is taken.
        Whatever `build` raises; then nothing is stored and the number is not used.
    """
    state = connection.execute(_STATE, {"account_id": account_id, "request_id": request_id}).one_or_none()
    if state is None:
        raise no_account(account_id)
    number = state.number
    if state.known is not None:
        known = checked(
            connection.execute(_BY_SEQUENCE, {"account": number, "sequence": state.known}).one(), replayed=True
        )
        other = request_digest is not None and state.request_digest not in (None, request_digest)
        if other or known.exclusive != exclusive:
            raise ConflictError(
                f"request id {request_id!r} is taken by another request", where="request_id", expected="a new id"
            )
        return known
    if holder is not None:
        holders.check_latest(connection, number, holder)
    if exclusive is not None:
        pledges.check_free(connection, number, exclusive)
    sequence, previous = (1, GENESIS) if state.sequence is None else (state.sequence + 1, state.digest)
    record = build(sequence, previous)
    stored = StoredAttestation(
        account_id, sequence, request_id, record.digest, previous, record.attestation, record.issued_at, exclusive
    )
    opened = opening_digest(record.opening)
    row = {
        "account": number,
        "sequence": sequence,
        "request_id": request_id,
        "request_digest": request_digest,
        "digest": record.digest,
        "previous_digest": previous,
        "issued_at": record.issued_at,
        "opening_digest": opened,
        "record_digest": record_digest(stored, request_digest, opened),
        "attestation": record.attestation,
    }
    try:
        connection.execute(_INSERT, row)
    except IntegrityError:
        raise ConflictError("an attestation of this digest is already stored", where="digest") from None
    connection.execute(_INSERT_OPENING, {"account": number, "sequence": sequence, "opening": record.opening})
    if exclusive is not None:
        pledges.insert(connection, number, sequence, exclusive)
    return stored


def by_sequence(connection: Connection, account_id: str, sequence: int) -> StoredAttestation:
    """An account's attestation by its number; NotFoundError if there is none."""
    number = account_number(connection, account_id)
    row = connection.execute(_BY_SEQUENCE, {"account": number, "sequence": sequence}).one_or_none()
    if row is None:
        raise _missing(sequence)
    return checked(row)


def by_digest(connection: Connection, digest: bytes) -> StoredAttestation:
    """An attestation by its digest; NotFoundError if there is none."""
    row = connection.execute(_BY_DIGEST, {"digest": digest}).one_or_none()
    if row is None:
        raise NotFoundError(f"no attestation of digest {digest.hex()[:64]}", where="ledger")
    return checked(row)


def page(connection: Connection, account_id: str, after_sequence: int, limit: int) -> list[StoredAttestation]:
    """Up to `limit` attestations of an account with numbers greater than `after_sequence`, ascending."""
    number = account_number(connection, account_id)
    rows = connection.execute(_PAGE, {"account": number, "after": after_sequence, "limit": limit})
    return [checked(row) for row in rows]


def head(connection: Connection, account_id: str) -> tuple[int, bytes]:
    """(sequence, digest) of an account's last attestation; (0, GENESIS) before the first."""
    row = connection.execute(_HEAD, {"account": account_number(connection, account_id)}).one_or_none()
    return (row.sequence, row.digest) if row is not None else (0, GENESIS)


def opening(connection: Connection, account_id: str, sequence: int) -> bytes:
    """The opening of an attestation; NotFoundError if there is none, StoreCorruptError if its bytes changed."""
    number = account_number(connection, account_id)
    row = connection.execute(_OPENING, {"account": number, "sequence": sequence}).one_or_none()
    if row is None:
        raise _missing(sequence)
    data = bytes(row.opening)
    if opening_digest(data) != row.opening_digest:
        raise StoreCorruptError(
            "the stored opening is not what its digest names", where=f"openings {number}/{sequence}"
        )
    return data


def checked(row: Row[*tuple[Any, ...]], *, replayed: bool = False) -> StoredAttestation:
    """A row as a record; StoreCorruptError unless its digest covers what it says."""
    stored = StoredAttestation(
        row.account_id,
        row.sequence,
        row.request_id,
        row.digest,
        row.previous_digest,
        row.attestation,
        row.issued_at,
        None if row.window_from is None else (row.window_from, row.window_until),
        replayed,
    )
    if record_digest(stored, row.request_digest, row.opening_digest) != row.record_digest:
        raise StoreCorruptError(
            "the stored record is not what its digest names", where=f"attestations {row.digest.hex()[:16]}"
        )
    return stored


def _missing(sequence: int) -> NotFoundError:
    return NotFoundError(f"no attestation number {sequence} of this account", where="ledger")
