"""The database under the ledger: engines, transactions, and everything that differs between SQLite and PostgreSQL.

SQLite: one file, created with mode 0600, write-ahead log, synchronous=FULL (a COMMIT returns when its log frames are on disk),
foreign keys on. A write transaction is BEGIN IMMEDIATE, so two processes on one file take turns. Reads use connections of their
own, each transaction a consistent snapshot that neither waits for the writer nor makes it wait.

PostgreSQL: a write transaction first takes advisory locks for the accounts it touches, in ascending order, so that writers of
different accounts run side by side and cannot deadlock. Reads are REPEATABLE READ.

Driver exceptions carry statement parameters (secrets among them); none of them leaves this module: `translated` turns them
into StoreError or StoreCorruptError, which carry the driver's code and its parameter-free message only.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from riskproof.errors import CapacityError, ConfigError, ConflictError, StoreCorruptError, StoreError
from riskproof.store.schema import (
    ADDED,
    APPEND_ONLY,
    NO_OVERLAP,
    SCHEMA_VERSION,
    metadata,
    pledges,
    schema_versions,
)

BUSY_TIMEOUT_SECONDS: Final = 20.0
READERS: Final = 16  # connections kept open for concurrent reads; as many more may come and go
MARKET_LOCK: Final = "market"  # registry, snapshots, models and the list of accounts grow one at a time
_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """Two engines on one database: `read` for consistent reads, `write` for transactions that commit on leaving."""

    def __init__(self, url: URL) -> None:
        self.dialect = url.get_backend_name()
        self.where = "ledger"
        if self.dialect == "sqlite":
            path = _sqlite_path(url)
            self.where = path.name
            _create_private(path)
            self._readers = _sqlite_engine(path, "BEGIN", read_only=True)
            self._writers = _sqlite_engine(path, "BEGIN IMMEDIATE", read_only=False)
        else:
            options: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": True, "max_overflow": READERS}
            self._readers = sa.create_engine(url, isolation_level="REPEATABLE READ", **options)
            self._writers = sa.create_engine(url, isolation_level="READ COMMITTED", **options)
            event.listen(self._writers, "connect", _configure_postgres)

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect, create the tables in an empty database, and bring an older ledger to this version.

        Raises:
            ConfigError: a URL that is none, of another database, or of one whose driver is not installed.
            StoreError: the database cannot be opened, others can read its file, it is not a ledger or of a later version.
            StoreCorruptError: the file is not a database, or a damaged one.
        """
        try:
            database = cls(_parse_url(url))
        except (NoSuchModuleError, ModuleNotFoundError):
            raise ConfigError(
                "no driver for this database is installed", where="ledger url", expected="postgresql+psycopg://..."
            ) from None
        try:
            with database.write((MARKET_LOCK,)) as connection:
                database._prepare(connection)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, connection: Connection) -> None:
        tables = set(sa.inspect(connection).get_table_names())
        if not tables:
            self._create(connection, SCHEMA_VERSION, metadata.sorted_tables)
            return
        if schema_versions.name not in tables:
            raise StoreError(
                "this database is not a ledger", where=self.where, expected="an empty database, or a ledger"
            )
        version = connection.scalar(sa.select(sa.func.max(schema_versions.c.version)))
        if version is None or not 1 <= version <= SCHEMA_VERSION:
            expected = f"schema version 1 to {SCHEMA_VERSION}"
            raise StoreError(f"schema version {version}", where=self.where, expected=expected)
        for later in range(version + 1, SCHEMA_VERSION + 1):
            self._create(connection, later, ADDED[later])

    def _create(self, connection: Connection, version: int, tables: Sequence[sa.Table]) -> None:
        metadata.create_all(connection, tables=tables)
        for statement in _trigger_statements(self.dialect, tables):
            connection.exec_driver_sql(statement)
        connection.execute(schema_versions.insert().values(version=version, created_at=int(time.time())))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection inside a read transaction: every statement sees the same state."""
        with translated(self.where), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def write(self, locks: Iterable[str]) -> Iterator[Connection]:
        """A connection inside a write transaction that holds `locks`, committed on leaving, rolled back on an exception.

        SQLite has one lock, which is all of them. After a database failure the connection is thrown away, the next starts clean.
        """
        with translated(self.where), self._writers.connect() as connection:
            try:
                with connection.begin():
                    if self.dialect == "postgresql":
                        keys = sorted({_lock_key(name) for name in locks})
                        connection.execute(_ADVISORY, {"keys": keys})
                    yield connection
            except DBAPIError:
                connection.invalidate()
                raise

    def engine_findings(self) -> list[str]:
        """What the database's own checks find: pages, indices, foreign keys, missing append-only triggers."""
        if self.dialect != "sqlite":
            return []
        with self.read() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
            found += [
                f"dangling reference in {row[0]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")
            ]
            names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            triggers = {row[0] for row in connection.exec_driver_sql(names)}
        wanted = [f"{table.name}_no_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")]
        wanted.append("pledges_no_overlap")
        return found + [f"trigger {name} is missing" for name in wanted if name not in triggers]

    def close(self) -> None:
        """Close every connection; on SQLite the last one folds the write-ahead log into the file."""
        with translated(self.where):
            self._readers.dispose()
            self._writers.dispose()


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn exceptions of the database layer into ours; secrets in statement parameters stay behind."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise ConflictError(f"a constraint of the ledger refused the record ({_reason(error)})", where=where) from None
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            raise StoreCorruptError(f"the ledger's file is damaged ({_reason(error)})", where=where) from None
        raise StoreError(f"the database failed ({_reason(error)}); nothing was acknowledged", where=where) from None
    except sa.exc.TimeoutError:
        raise CapacityError(
            "every connection for reading is busy", where=where, expected=f"at most {2 * READERS} readers at a time"
        ) from None
    except SQLAlchemyError as error:
        raise StoreError(f"the database failed ({type(error).__name__})", where=where) from None


def _reason(error: DBAPIError) -> str:
    """The driver's code, and SQLite's message: it names tables and columns but never values, unlike PostgreSQL's."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return f"{getattr(original, 'sqlite_errorname', type(original).__name__)}: {original}"
    return f"{type(original).__name__} {getattr(original, 'sqlstate', None) or ''}".strip()


_ADVISORY: Final = sa.text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k")


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"riskproof lock {name}".encode()).digest()[:8], "big", signed=True)


def _parse_url(text: str) -> URL:
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError("not a database URL", where="ledger url", expected="sqlite:///PATH") from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(
            f"database {url.get_backend_name()!r} is not served",
            where="ledger url",
            expected="sqlite:///PATH or postgresql+psycopg://...",
        )
    return url


def _sqlite_path(url: URL) -> Path:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:") or url.query:
        raise ConfigError(
            "a ledger lives in a file, named without options", where="ledger url", expected="sqlite:///PATH"
        )
    return Path(name)


def _create_private(path: Path) -> None:
    """Create the file with mode 0600 if there is none; refuse one that others can read, for it holds account secrets."""
    try:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                raise StoreError("not a regular file", where=path.name) from None
            if stat.S_IMODE(mode) & 0o077:
                raise StoreError(
                    f"the ledger's file is open to others (mode {stat.S_IMODE(mode):04o})",
                    where=path.name,
                    expected="mode 0600",
                ) from None
        else:
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        raise StoreError(f"cannot open the ledger's file: {os.strerror(error.errno or 0)}", where=path.name) from None


def _sqlite_engine(path: Path, begin: str, *, read_only: bool) -> Engine:
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
        pool_size=READERS if read_only else 1,
        max_overflow=READERS,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN and COMMIT are ours, not the driver's
        _set_wal(connection)
        for pragma in ("synchronous=FULL", "fullfsync=ON", "foreign_keys=ON", "recursive_triggers=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _configure_postgres(connection: Any, _record: object) -> None:
    """Whatever the server's defaults: COMMIT returns when the record is on disk, and nobody waits for a lock for ever."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
    connection.commit()


def _set_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. Switching needs the file alone and does not wait by itself: try until the busy timeout."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise StoreError(f"journal mode {mode}", where="ledger", expected="a file system that holds a write-ahead log")


def _trigger_statements(dialect: str, tables: Sequence[sa.Table]) -> Iterator[str]:
    if dialect == "postgresql":
        yield (
            "CREATE OR REPLACE FUNCTION riskproof_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$"
        )
    if dialect == "sqlite" and pledges in tables:
        yield NO_OVERLAP
    for table in (table for table in APPEND_ONLY if table in tables):
        for verb in ("update", "delete"):
            if dialect == "postgresql":
                yield (
                    f"CREATE TRIGGER {table.name}_no_{verb} BEFORE {verb.upper()} ON {table.name} "
                    "FOR EACH ROW EXECUTE FUNCTION riskproof_append_only()"
                )
            else:
                yield (
                    f"CREATE TRIGGER {table.name}_no_{verb} BEFORE {verb.upper()} ON {table.name} "
                    "BEGIN SELECT RAISE(ABORT, 'append-only'); END"
                )
        if dialect == "postgresql":
            yield (
                f"CREATE TRIGGER {table.name}_no_truncate BEFORE TRUNCATE ON {table.name} "
                "FOR EACH STATEMENT EXECUTE FUNCTION riskproof_append_only()"
            )
