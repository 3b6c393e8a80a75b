"""Accounts, trades and positions in the ledger.

A trade is atomic: all its legs or none. Its id is the caller's and unique per account: the same id with the same legs is answered
as the first time, with other legs it is a conflict. Positions are the sum of an account's trades, kept so that reading a book is
one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from riskproof import units
from riskproof.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    PortfolioError,
    StoreCorruptError,
    UnknownInstrumentError,
)
from riskproof.market.portfolio import Portfolio
from riskproof.store.markets import listed_instruments
from riskproof.store.records import AccountRecord, Change, TradeReceipt, pack_changes, trade_digest, unpack_changes
from riskproof.store.schema import accounts, positions, trades

_NUMBER: Final = sa.select(accounts.c.number).where(accounts.c.account_id == sa.bindparam("id"))
_ACCOUNT: Final = sa.select(accounts.c.account_id, accounts.c.secret, accounts.c.created_at)
_KNOWN_TRADE: Final = sa.select(trades.c.position_version, trades.c.digest).where(
    trades.c.account == sa.bindparam("account"), trades.c.trade_id == sa.bindparam("id")
)
_VERSION: Final = (
    sa.select(trades.c.position_version)
    .where(trades.c.account == sa.bindparam("account"))
    .order_by(trades.c.position_version.desc())
    .limit(1)
)
_LOTS: Final = sa.select(positions.c.instrument, positions.c.lots).where(
    positions.c.account == sa.bindparam("account"),
    positions.c.instrument.in_(sa.bindparam("instruments", expanding=True)),
)
_BOOK: Final = (
    sa.select(positions.c.instrument, positions.c.lots)
    .where(positions.c.account == sa.bindparam("account"))
    .order_by(positions.c.instrument)
)
# The same words on SQLite and PostgreSQL.
_SET: Final = sa.text(
    "INSERT INTO positions (account, instrument, lots) VALUES (:account, :instrument, :lots) "
    "ON CONFLICT (account, instrument) DO UPDATE SET lots = excluded.lots"
)
_CLEAR: Final = sa.text("DELETE FROM positions WHERE account = :account AND instrument = :instrument")


def account_number(connection: Connection, account_id: str) -> int:
    """The ledger's number of an account; NotFoundError if there is none of that id."""
    number: int | None = connection.scalar(_NUMBER, {"id": account_id})
    if number is None:
        raise NotFoundError(f"no account {account_id[:128]!r}", where="ledger", expected="an account that was opened")
    return number


def open_account(connection: Connection, account_id: str, secret: bytes, created_at: int) -> AccountRecord:
    """Append an account with this secret; a known one is returned as it is, with the secret it has."""
    row = connection.execute(_ACCOUNT.where(accounts.c.account_id == account_id)).one_or_none()
    if row is not None:
        return AccountRecord(*row)
    number = (connection.scalar(sa.select(sa.func.max(accounts.c.number))) or 0) + 1
    connection.execute(
        accounts.insert().values(number=number, account_id=account_id, secret=secret, created_at=created_at)
    )
    return AccountRecord(account_id, secret, created_at)


def account(connection: Connection, account_id: str) -> AccountRecord:
    """An account; NotFoundError if there is none of that id."""
    row = connection.execute(_ACCOUNT.where(accounts.c.account_id == account_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"no account {account_id[:128]!r}", where="ledger", expected="an account that was opened")
    return AccountRecord(*row)


def list_accounts(connection: Connection, limit: int, after: str) -> list[str]:
    """Up to `limit` account ids in ascending order, those greater than `after`."""
    query = sa.select(accounts.c.account_id).where(accounts.c.account_id > after)
    return list(connection.scalars(query.order_by(accounts.c.account_id).limit(limit)))


def record_trade(
    connection: Connection, account_id: str, trade_id: str, legs: tuple[Change, ...], recorded_at: int
) -> TradeReceipt:
    """Append a trade and move the positions; `legs` come from `records.check_changes`.

    Raises:
        NotFoundError: no such account.
        ConflictError: the id is taken by a trade with other legs.
        UnknownInstrumentError: an index beyond the latest registry.
        PortfolioError: a position would not fit 64 bits.
    """
    number = account_number(connection, account_id)
    packed = pack_changes(legs)
    digest = trade_digest(account_id, trade_id, packed)
    known = connection.execute(_KNOWN_TRADE, {"account": number, "id": trade_id}).one_or_none()
    if known is not None:
        if known.digest != digest:
            raise ConflictError(
                f"trade id {trade_id!r} is taken by a trade with other legs", where="trade_id", expected="a new id"
            )
        return TradeReceipt(account_id, trade_id, known.position_version, replayed=True)
    listed = listed_instruments(connection)
    if legs[-1][0] >= listed:
        raise UnknownInstrumentError(
            f"no instrument at index {legs[-1][0]}",
            where="changes",
            expected=f"less than {listed}, as the registry lists",
        )
    moved = _moved(connection, number, legs)
    version = (connection.scalar(_VERSION, {"account": number}) or 0) + 1
    connection.execute(
        trades.insert(),
        {
            "account": number,
            "position_version": version,
            "trade_id": trade_id,
            "digest": digest,
            "changes": packed,
            "recorded_at": recorded_at,
        },
    )
    _write_positions(connection, number, moved)
    return TradeReceipt(account_id, trade_id, version, replayed=False)


def _moved(connection: Connection, number: int, legs: Iterable[Change]) -> dict[int, int]:
    changes = dict(legs)
    held = connection.execute(_LOTS, {"account": number, "instruments": list(changes)})
    moved = dict(changes)
    for index, lots in held:
        moved[index] += lots
    for index, lots in moved.items():
        if not units.INT64_MIN <= lots <= units.INT64_MAX:
            raise PortfolioError(
                f"the position in instrument {index} would not fit 64 bits", where="changes", expected="fewer lots"
            )
    return moved


def _write_positions(connection: Connection, number: int, book: dict[int, int]) -> None:
    held = [{"account": number, "instrument": index, "lots": lots} for index, lots in book.items() if lots]
    closed = [{"account": number, "instrument": index} for index, lots in book.items() if not lots]
    if held:
        connection.execute(_SET, held)
    if closed:
        connection.execute(_CLEAR, closed)


def book(connection: Connection, account_id: str) -> tuple[int, Portfolio]:
    """(position version, book) of an account."""
    number = account_number(connection, account_id)
    version = connection.scalar(_VERSION, {"account": number}) or 0
    rows = connection.execute(_BOOK, {"account": number})
    try:
        return version, Portfolio(tuple((row[0], row[1]) for row in rows))
    except InputError as error:
        raise StoreCorruptError(
            f"the stored book is refused: {error.what}", where=f"positions of account {number}"
        ) from None


def rebuild_positions(connection: Connection, account_id: str) -> int:
    """Write an account's positions anew from its trades; returns the position version."""
    number = account_number(connection, account_id)
    rows = connection.execute(sa.select(trades.c.changes).where(trades.c.account == number))
    total = sum_changes(row.changes for row in rows)
    connection.execute(sa.delete(positions).where(positions.c.account == number))
    _write_positions(connection, number, total)
    return connection.scalar(_VERSION, {"account": number}) or 0


def sum_changes(packed: Iterable[bytes]) -> dict[int, int]:
    """Net lots by instrument of stored trades, zeros left out."""
    total: dict[int, int] = {}
    for data in packed:
        for index, delta in unpack_changes(data):
            total[index] = total.get(index, 0) + delta
    return {index: lots for index, lots in total.items() if lots}
