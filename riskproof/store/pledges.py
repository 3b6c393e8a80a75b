"""Windows of exclusive attestations: those of one account never overlap, whatever the audiences.

    [from, until) and [from', until') overlap  <=>  from < until'  and  from' < until

The check and the insertion happen in the transaction that stores the attestation. Writers of an account take turns
(`Database.write`: one at a time on SQLite, the account's lock on PostgreSQL), so nobody comes between the two; and the database
refuses an overlap by itself (`schema.pledges`). A pledge is never taken back.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from riskproof.errors import ConflictError
from riskproof.store.accounts import account_number
from riskproof.store.records import Pledge, Window
from riskproof.store.schema import pledges

# Ascending by end is ascending by beginning, too: they do not overlap.
_ENDING_AFTER: Final = (
    sa.select(pledges.c.sequence, pledges.c.window_from, pledges.c.window_until)
    .where(pledges.c.account == sa.bindparam("account"), pledges.c.window_until > sa.bindparam("after"))
    .order_by(pledges.c.window_until)
    .limit(sa.bindparam("limit"))
)
_INSERT: Final = pledges.insert()


def check_free(connection: Connection, number: int, window: Window) -> None:
    """Raise ConflictError if another exclusive attestation's window overlaps this one.

    The message names the first such window and its attestation, and not its audience: who asks is the account's holder or the
    venue, and may look that up; it does not have to be in their logs.
    """
    start, until = window
    row = connection.execute(_ENDING_AFTER, {"account": number, "after": start, "limit": 1}).one_or_none()
    if row is not None and row.window_from < until:
        raise ConflictError(
            f"attestation {row.sequence} of this account is exclusive from {row.window_from} until {row.window_until}",
            where="exclusive",
            expected="a window that does not overlap it",
        )


def insert(connection: Connection, number: int, sequence: int, window: Window) -> None:
    """Store the window of an attestation that is stored already."""
    row = {"account": number, "sequence": sequence, "window_from": window[0], "window_until": window[1]}
    connection.execute(_INSERT, row)


def page(connection: Connection, account_id: str, after: int, limit: int) -> list[Pledge]:
    """Up to `limit` windows of an account that end after a time, in the order of time."""
    number = account_number(connection, account_id)
    rows = connection.execute(_ENDING_AFTER, {"account": number, "after": after, "limit": limit})
    return [Pledge(row.sequence, row.window_from, row.window_until) for row in rows]
