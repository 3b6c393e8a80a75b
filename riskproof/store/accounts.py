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
from riskproof.store.records import (
    MAX_ID,
    AccountRecord,
    Change,
    TradeReceipt,
    pack_changes,
    trade_digest,
    unpack_changes,
)
from riskproof.store.schema import accounts, positions, registries, trades

_CHUNK: Final = 500  # ids in one statement
_EARLIER: Final = trades.alias("earlier")
_NUMBER: Final = sa.select(accounts.c.number).where(accounts.c.account_id == sa.bindparam("id"))
_ACCOUNT: Final = sa.select(accounts.c.account_id, accounts.c.secret, accounts.c.created_at)
_VERSION: Final = sa.select(sa.func.max(trades.c.position_version)).where(trades.c.account == sa.bindparam("account"))
# Everything a trade has to know but the lots, in one statement: account, what this trade id has, last version, instruments listed.
_STATE: Final = (
    sa.select(
        accounts.c.number,
        trades.c.position_version,
        trades.c.digest,
        sa.select(sa.func.max(_EARLIER.c.position_version))
        .where(_EARLIER.c.account == accounts.c.number)
        .correlate(accounts)
        .scalar_subquery()
        .label("last"),
        sa.select(sa.func.max(registries.c.instruments)).scalar_subquery().label("listed"),
    )
    .outerjoin_from(
        accounts, trades, sa.and_(trades.c.account == accounts.c.number, trades.c.trade_id == sa.bindparam("trade_id"))
    )
    .where(accounts.c.account_id == sa.bindparam("account_id"))
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
_INSERT: Final = trades.insert()
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
        raise no_account(account_id)
    return number


def no_account(account_id: str) -> NotFoundError:
    """The error of an unknown account id."""
    return NotFoundError(f"no account {account_id[:MAX_ID]!r}", where="ledger", expected="an account that was opened")


def open_accounts(connection: Connection, secrets: dict[str, bytes], created_at: int) -> int:
    """Append an account for every id in `secrets` that has none yet, with that secret; returns how many."""
    ids = list(secrets)
    known: set[str] = set()
    for at in range(0, len(ids), _CHUNK):
        query = sa.select(accounts.c.account_id).where(accounts.c.account_id.in_(ids[at : at + _CHUNK]))
        known.update(connection.scalars(query))
    new = [account_id for account_id in ids if account_id not in known]
    last = connection.scalar(sa.select(sa.func.max(accounts.c.number))) or 0
    rows = [
        {"number": number, "account_id": account_id, "secret": secrets[account_id], "created_at": created_at}
        for number, account_id in enumerate(new, start=last + 1)
    ]
    if rows:
        connection.execute(accounts.insert(), rows)
    return len(rows)


def account(connection: Connection, account_id: str) -> AccountRecord:
    """An account; NotFoundError if there is none of that id."""
    row = connection.execute(_ACCOUNT.where(accounts.c.account_id == account_id)).one_or_none()
    if row is None:
        raise no_account(account_id)
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
    state = connection.execute(_STATE, {"account_id": account_id, "trade_id": trade_id}).one_or_none()
    if state is None:
        raise no_account(account_id)
    number = state.number
    packed = pack_changes(legs)
    digest = trade_digest(account_id, trade_id, packed)
    if state.digest is not None:
        if state.digest != digest:
            raise ConflictError(
                f"trade id {trade_id!r} is taken by a trade with other legs", where="trade_id", expected="a new id"
            )
        return TradeReceipt(account_id, trade_id, state.position_version, replayed=True)
    listed = state.listed or 0
    if legs[-1][0] >= listed:
        raise UnknownInstrumentError(
            f"no instrument at index {legs[-1][0]}",
            where="changes",
            expected=f"less than {listed}, as the registry lists",
        )
    moved = _moved(connection, number, legs)
    version = (state.last or 0) + 1
    connection.execute(
        _INSERT,
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
