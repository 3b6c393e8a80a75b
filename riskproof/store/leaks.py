"""What answers to challenges have told of an account, and to whom: the leak budget's records (riskproof.proof.leakage).

Everything is a digest: whom it was told, of which book, and what. Records are appended before the answer leaves, in one transaction
with the check that there is room for them, so two answers at a time do not spend the same points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from riskproof import encoding
from riskproof.errors import StoreCorruptError
from riskproof.proof.leakage import Event, Record, admit
from riskproof.store.accounts import account_number
from riskproof.store.schema import accounts, leaks

SELECT: Final = sa.select(leaks, accounts.c.account_id).join_from(leaks, accounts, accounts.c.number == leaks.c.account)
_TOLD: Final = SELECT.where(
    leaks.c.account == sa.bindparam("account"), leaks.c.audience.in_(sa.bindparam("audiences", expanding=True))
).order_by(leaks.c.number)
_LAST: Final = sa.select(sa.func.max(leaks.c.number)).where(leaks.c.account == sa.bindparam("account"))
_INSERT: Final = leaks.insert()


def charge(connection: Connection, account_id: str, events: Sequence[Event], now: int, limit: int) -> int:
    """Record what an audience is about to learn of an account, all or nothing; returns the points that are new.

    Args:
        events: one or more, all of this account.

    Raises:
        NotFoundError: no such account.
        LeakBudgetError: the budget does not allow it.
    """
    number = account_number(connection, account_id)
    if len({event.account for event in events}) != 1:
        raise AssertionError("events of one account")
    records = _told(connection, number, events[0].account, {event.audience for event in events})
    fresh = admit(records, events, now=now, limit=limit)
    first = (connection.scalar(_LAST, {"account": number}) or 0) + 1
    rows = [_row(account_id, number, first + i, event, now) for i, event in enumerate(fresh)]
    if rows:
        connection.execute(_INSERT, rows)
    return sum(event.points for event in fresh)


def told(connection: Connection, account_id: str, account: bytes, audiences: Iterable[bytes]) -> list[Record]:
    """Everything recorded of an account and some audiences, in the order of recording. account: its name in a budget."""
    return _told(connection, account_number(connection, account_id), account, audiences)


def _told(connection: Connection, number: int, account: bytes, audiences: Iterable[bytes]) -> list[Record]:
    rows = connection.execute(_TOLD, {"account": number, "audiences": sorted(set(audiences))})
    return [_record(checked(row), account) for row in rows]


def checked(row: Row[*tuple[Any, ...]]) -> Row[*tuple[Any, ...]]:
    """A row unchanged; StoreCorruptError unless its digest covers what it says."""
    event = Event(b"", row.audience, row.book, row.subject, row.points)
    if leak_digest(row.account_id, row.number, event, row.recorded_at) != row.digest:
        raise StoreCorruptError(
            "the stored leak is not what its digest names", where=f"leaks {row.account}/{row.number}"
        )
    return row


def leak_digest(account_id: str, number: int, event: Event, recorded_at: int) -> bytes:
    """Digest of everything the ledger keeps about one leak."""
    name = account_id.encode()
    return encoding.digest(
        encoding.TAG_LEDGER_LEAK,
        b"".join(
            (
                len(name).to_bytes(8, "little"),
                name,
                number.to_bytes(8, "little"),
                event.audience,
                event.book,
                event.subject,
                event.points.to_bytes(8, "little"),
                recorded_at.to_bytes(8, "little"),
            )
        ),
    )


def _row(account_id: str, account: int, number: int, event: Event, now: int) -> dict[str, Any]:
    return {
        "account": account,
        "number": number,
        "audience": event.audience,
        "book": event.book,
        "subject": event.subject,
        "points": event.points,
        "recorded_at": now,
        "digest": leak_digest(account_id, number, event, now),
    }


def _record(row: Row[*tuple[Any, ...]], account: bytes) -> Record:
    return Record(Event(account, row.audience, row.book, row.subject, row.points), row.recorded_at)
