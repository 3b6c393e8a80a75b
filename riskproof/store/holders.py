"""Who holds an account, as the venue verified it: appended, the last one counts.

An identity is a legal entity id, or any other name by which every venue knows the holder. It is in no error, log line or repr.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from riskproof.errors import ConflictError, NotFoundError, StoreCorruptError
from riskproof.store.accounts import account_number
from riskproof.store.records import HolderRecord, holder_digest
from riskproof.store.schema import accounts, holders

SELECT: Final = sa.select(
    accounts.c.account_id,
    holders.c.account,
    holders.c.number,
    holders.c.identity,
    holders.c.recorded_by,
    holders.c.recorded_at,
    holders.c.digest,
).join_from(holders, accounts, accounts.c.number == holders.c.account)
_LATEST: Final = SELECT.where(holders.c.account == sa.bindparam("account")).order_by(holders.c.number.desc()).limit(1)
_INSERT: Final = holders.insert()


def record(connection: Connection, account_id: str, identity: str, recorded_by: str, recorded_at: int) -> HolderRecord:
    """Append the account's holder, unless the last one has this identity; returns the last one (NotFoundError: no account)."""
    number = account_number(connection, account_id)
    last = _latest(connection, number)
    if last is not None and last.identity == identity:
        return HolderRecord(account_id, last.number, last.identity, last.recorded_by, last.recorded_at, replayed=True)
    added = HolderRecord(account_id, 1 if last is None else last.number + 1, identity, recorded_by, recorded_at)
    row = {
        "account": number,
        "number": added.number,
        "identity": identity,
        "recorded_by": recorded_by,
        "recorded_at": recorded_at,
        "digest": holder_digest(added),
    }
    connection.execute(_INSERT, row)
    return added


def latest(connection: Connection, account_id: str) -> HolderRecord:
    """The account's holder; NotFoundError if there is no such account, or nobody has been recorded."""
    return _recorded(_latest(connection, account_number(connection, account_id)))


def check_latest(connection: Connection, number: int, identity: str) -> None:
    """Raise ConflictError unless this is the identity recorded last for an account; NotFoundError if there is none."""
    if _recorded(_latest(connection, number)).identity != identity:
        raise ConflictError(
            "another holder of the account was recorded meanwhile", where="holder", expected="the request once more"
        )


def checked(row: Row[*tuple[Any, ...]]) -> HolderRecord:
    """A row as a record; StoreCorruptError unless its digest covers what it says."""
    found = HolderRecord(row.account_id, row.number, row.identity, row.recorded_by, row.recorded_at)
    if holder_digest(found) != row.digest:
        raise StoreCorruptError(
            "the stored holder is not what its digest names", where=f"holders {row.account}/{row.number}"
        )
    return found


def _latest(connection: Connection, number: int) -> HolderRecord | None:
    row = connection.execute(_LATEST, {"account": number}).one_or_none()
    return None if row is None else checked(row)


def _recorded(holder: HolderRecord | None) -> HolderRecord:
    if holder is None:
        raise NotFoundError(
            "nobody is recorded as the holder of this account", where="ledger", expected="SetHolder first"
        )
    return holder
