"""Checks of a whole ledger.

    findings        is the ledger consistent with itself?
    lost            does it hold what clients were told it holds?

Findings, in the order they are looked for: pages, indices, references and triggers as the database sees them; documents and their
digests; every registry extending the one before; positions against the sum of trades; sequences, chains and digests of
attestations; the order of holders and their digests; exclusive windows that overlap; the order of leaks and
their digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from riskproof import encoding
from riskproof.errors import RiskproofError, StoreCorruptError
from riskproof.market.registry import Registry
from riskproof.store import accounts, attestations, holders, leaks, markets
from riskproof.store.database import Database
from riskproof.store.records import GENESIS, Finding, opening_digest, trade_digest
from riskproof.store.schema import accounts as account_table
from riskproof.store.schema import attestations as attestation_table
from riskproof.store.schema import holders as holder_table
from riskproof.store.schema import leaks as leak_table
from riskproof.store.schema import models, openings, pledges, positions, registries, snapshots, trades

MAX_FINDINGS: Final = 1000
ToldTrade = tuple[str, str, int]  # (account id, trade id, position version)
ToldAttestation = tuple[str, str, bytes]  # (account id, request id, digest)
_CHUNK: Final = 500  # rows in memory at a time


def findings(database: Database) -> list[Finding]:
    """Every contradiction on disk, at most MAX_FINDINGS; empty for a sound ledger."""
    try:
        found = [Finding("database", text) for text in database.engine_findings()]
        with database.read() as connection:
            found += islice(_all(connection), MAX_FINDINGS)
    except StoreCorruptError as error:
        return [Finding(error.where, error.what)]
    return found[:MAX_FINDINGS]


def lost(
    database: Database, trades_told: Iterable[ToldTrade], attestations_told: Iterable[ToldAttestation]
) -> list[Finding]:
    """Answers that clients got and the ledger does not have as they were given; empty if nothing was lost."""
    found: list[Finding] = []
    trade = sa.select(trades.c.position_version).join_from(
        trades, account_table, account_table.c.number == trades.c.account
    )
    attestation = sa.select(attestation_table.c.digest).join_from(
        attestation_table, account_table, account_table.c.number == attestation_table.c.account
    )
    with database.read() as connection:
        for account_id, trade_id, told in trades_told:
            query = trade.where(account_table.c.account_id == account_id, trades.c.trade_id == trade_id)
            stored = connection.scalar(query)
            if stored != told:
                at = f"trade {trade_id} of {account_id}"
                found.append(Finding(at, f"acknowledged as position version {told}, stored as {stored}"))
        for account_id, request_id, digest in attestations_told:
            request = attestation_table.c.request_id == request_id
            held = connection.scalar(attestation.where(account_table.c.account_id == account_id, request))
            if held != digest:
                what = "acknowledged, and another is stored" if held else "acknowledged, and not stored"
                found.append(Finding(f"attestation of request {request_id} of {account_id}", what))
    return found


def _all(connection: Connection) -> Iterator[Finding]:
    yield from _documents(connection)
    yield from _positions(connection)
    yield from _attestations(connection)
    yield from _holders(connection)
    yield from _pledges(connection)
    yield from _leaks(connection)


def _rows(connection: Connection, query: sa.Select[*tuple[Any, ...]]) -> Iterable[Row[*tuple[Any, ...]]]:
    return connection.execution_options(yield_per=_CHUNK).execute(query)


def _documents(connection: Connection) -> Iterator[Finding]:
    latest: Registry | None = None
    for table in (registries, snapshots, models):
        query = sa.select(table.c.number, table.c.digest, table.c.size, table.c.document).order_by(table.c.number)
        for expected, row in enumerate(_rows(connection, query), start=1):
            number = row.number
            if number != expected:
                yield Finding(f"{table.name} {number}", f"number {expected} is missing")
                break
            try:
                document = markets.checked_document(table.name, row)
                if table is registries:
                    registry = Registry.from_document(encoding.parse_canonical(document, "registry"))
                    if latest is not None:
                        registry.check_extends(latest)
                    latest = registry
            except RiskproofError as error:
                yield Finding(f"{table.name} {number}", error.what)
    query = sa.select(account_table.c.number).order_by(account_table.c.number)
    for expected, (number,) in enumerate(_rows(connection, query), start=1):
        if number != expected:
            yield Finding(f"accounts {number}", f"number {expected} is missing")
            break


def _positions(connection: Connection) -> Iterator[Finding]:
    """Trades of one account after the other, with the positions beside them in the same order."""
    books = _by_account(connection, sa.select(positions).order_by(positions.c.account, positions.c.instrument))
    query = (
        sa.select(trades, account_table.c.account_id)
        .join_from(trades, account_table, account_table.c.number == trades.c.account)
        .order_by(trades.c.account, trades.c.position_version)
    )
    book = next(books, None)
    for account, rows in _by_account(connection, query):
        while book is not None and book[0] < account:
            yield Finding(f"positions {book[0]}", "positions without trades")
            book = next(books, None)
        found, total = _trades(account, rows)
        yield from found
        held: dict[int, int] = {}
        if book is not None and book[0] == account:
            held = {row.instrument: row.lots for row in book[1]}
            book = next(books, None)
        if not found and held != total:
            yield Finding(f"positions {account}", "positions are not the sum of the trades")
    while book is not None:
        yield Finding(f"positions {book[0]}", "positions without trades")
        book = next(books, None)


def _trades(account: int, rows: list[Row[*tuple[Any, ...]]]) -> tuple[list[Finding], dict[int, int]]:
    for expected, row in enumerate(rows, start=1):
        at = f"trades {account}/{row.position_version}"
        if row.position_version != expected:
            return [Finding(at, f"position version {expected} is missing")], {}
        if trade_digest(row.account_id, row.trade_id, row.changes) != row.digest:
            return [Finding(at, "the trade is not what its digest names")], {}
    return [], accounts.sum_changes(row.changes for row in rows)


def _by_account(
    connection: Connection, query: sa.Select[*tuple[Any, ...]]
) -> Iterator[tuple[int, list[Row[*tuple[Any, ...]]]]]:
    for account, rows in groupby(_rows(connection, query), key=lambda row: row.account):
        yield account, list(rows)


def _attestations(connection: Connection) -> Iterator[Finding]:
    query = (
        attestations.SELECT.add_columns(attestation_table.c.account, openings.c.opening)
        .outerjoin(
            openings,
            sa.and_(
                openings.c.account == attestation_table.c.account, openings.c.sequence == attestation_table.c.sequence
            ),
        )
        .order_by(attestation_table.c.account, attestation_table.c.sequence)
    )
    account, sequence, previous = 0, 0, GENESIS
    for row in _rows(connection, query):
        if row.account != account:
            account, sequence, previous = row.account, 0, GENESIS
        sequence += 1
        at = f"attestations {account}/{row.sequence}"
        if row.sequence != sequence:
            yield Finding(at, f"sequence {sequence} is missing")
            sequence = row.sequence
        elif row.previous_digest != previous:
            yield Finding(at, "the previous digest is not the predecessor's")
        try:
            attestations.checked(row)
        except StoreCorruptError as error:
            yield Finding(at, error.what)
        if row.opening is None:
            yield Finding(at, "the opening is missing")
        elif opening_digest(row.opening) != row.opening_digest:
            yield Finding(at, "the stored opening is not what its digest names")
        previous = row.digest


def _holders(connection: Connection) -> Iterator[Finding]:
    query = holders.SELECT.order_by(holder_table.c.account, holder_table.c.number)
    account, number = 0, 0
    for row in _rows(connection, query):
        if row.account != account:
            account, number = row.account, 0
        number += 1
        at = f"holders {account}/{row.number}"
        if row.number != number:
            yield Finding(at, f"number {number} is missing")
            number = row.number
        try:
            holders.checked(row)
        except StoreCorruptError as error:
            yield Finding(at, error.what)


def _leaks(connection: Connection) -> Iterator[Finding]:
    account, number = 0, 0
    for row in _rows(connection, leaks.SELECT.order_by(leak_table.c.account, leak_table.c.number)):
        if row.account != account:
            account, number = row.account, 0
        number += 1
        at = f"leaks {account}/{row.number}"
        if row.number != number:
            yield Finding(at, f"number {number} is missing")
            number = row.number
        try:
            leaks.checked(row)
        except StoreCorruptError as error:
            yield Finding(at, error.what)


def _pledges(connection: Connection) -> Iterator[Finding]:
    """Windows against each other; what each of them says is covered by the digest of its attestation."""
    query = (
        sa.select(pledges, attestation_table.c.sequence.label("attested"))
        .outerjoin_from(
            pledges,
            attestation_table,
            sa.and_(
                attestation_table.c.account == pledges.c.account, attestation_table.c.sequence == pledges.c.sequence
            ),
        )
        .order_by(pledges.c.account, pledges.c.window_from, pledges.c.sequence)
    )
    last: Row[*tuple[Any, ...]] | None = None  # of the windows before, the one that ends last
    for row in _rows(connection, query):
        at = f"pledges {row.account}/{row.sequence}"
        if row.attested is None:
            yield Finding(at, "a pledge without its attestation")
        if last is None or last.account != row.account:
            last = row
            continue
        if row.window_from < last.window_until:
            yield Finding(at, f"its window overlaps that of attestation {last.sequence}")
        if row.window_until > last.window_until:
            last = row
