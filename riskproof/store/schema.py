"""Tables of the ledger, version 2; a ledger of version 1 gets what it lacks when it is opened.

    schema_versions   which layout this is
    registries        every version of the instrument registry, in order; each extends the one before
    snapshots         market snapshots in the order of publication
    models            risk model documents
    accounts          account ids, each with the secret its salts derive from
    trades            changes of positions; the caller's trade id is unique per account
    positions         derived: the sum of an account's trades; the only table that is ever updated
    attestations      one sequence per account, each row naming its predecessor's digest
    openings          the opening of each attestation, apart so that listing attestations does not read secrets
    holders           who holds an account, as the venue verified it; the last row of an account counts (version 2)
    pledges           windows of exclusive attestations; those of one account never overlap (version 2)
    leaks             what answers to challenges have told of an account, by audience (version 2)

Every table but `positions` is append-only: triggers refuse UPDATE and DELETE. Documents are kept as zlib streams of their canonical
bytes. Integers are 64 bits wide, digests 32 bytes, times seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Constraint,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint

SCHEMA_VERSION: Final = 2

# STRICT tables of SQLite know INTEGER (64 bits there), TEXT and BLOB; ids compare as bytes on either database.
INT64: Final = BigInteger().with_variant(Integer(), "sqlite")
ID: Final = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()


def _table(name: str, *items: Column[Any] | Constraint, clustered: bool = False) -> Table:
    """On SQLite a STRICT table (no value of another type gets in); clustered: rows live in the primary key's tree."""
    return Table(name, metadata, *items, sqlite_strict=True, sqlite_with_rowid=not clustered)


def _digest(name: str, *, nullable: bool = False, unique: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, CheckConstraint(f"length({name}) = 32"), nullable=nullable, unique=unique)


def _int(name: str) -> Column[int]:
    return Column(name, INT64, nullable=False)


schema_versions = _table(
    "schema_versions",
    Column("version", INT64, primary_key=True, autoincrement=False),
    _int("created_at"),
)

registries = _table(
    "registries",
    Column("number", INT64, primary_key=True, autoincrement=False),
    _digest("digest", unique=True),
    _int("instruments"),
    _int("size"),
    Column("document", LargeBinary, nullable=False),
)

snapshots = _table(
    "snapshots",
    Column("number", INT64, primary_key=True, autoincrement=False),
    _digest("digest", unique=True),
    Column("registry_digest", LargeBinary, ForeignKey("registries.digest"), nullable=False),
    _int("time"),
    _int("size"),
    Column("document", LargeBinary, nullable=False),
)

models = _table(
    "models",
    Column("number", INT64, primary_key=True, autoincrement=False),
    _digest("digest", unique=True),
    Column("name", Text, nullable=False),
    _int("size"),
    Column("document", LargeBinary, nullable=False),
)

accounts = _table(
    "accounts",
    Column("number", INT64, primary_key=True, autoincrement=False),
    Column("account_id", ID, nullable=False, unique=True),
    _digest("secret"),
    _int("created_at"),
)

trades = _table(
    "trades",
    Column("account", INT64, ForeignKey("accounts.number"), nullable=False),
    _int("position_version"),
    Column("trade_id", ID, nullable=False),
    _digest("digest"),
    Column("changes", LargeBinary, nullable=False),
    _int("recorded_at"),
    PrimaryKeyConstraint("account", "position_version"),
    UniqueConstraint("account", "trade_id"),
    CheckConstraint("position_version >= 1"),
)

positions = _table(
    "positions",
    Column("account", INT64, ForeignKey("accounts.number"), nullable=False),
    _int("instrument"),
    _int("lots"),
    PrimaryKeyConstraint("account", "instrument"),
    CheckConstraint("lots <> 0"),
    clustered=True,
)

attestations = _table(
    "attestations",
    Column("account", INT64, ForeignKey("accounts.number"), nullable=False),
    _int("sequence"),
    Column("request_id", ID, nullable=False),
    _digest("request_digest", nullable=True),
    _digest("digest", unique=True),
    _digest("previous_digest"),
    _int("issued_at"),
    _digest("opening_digest"),
    _digest("record_digest"),
    Column("attestation", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "sequence"),
    UniqueConstraint("account", "request_id"),
    CheckConstraint("sequence >= 1"),
)

openings = _table(
    "openings",
    Column("account", INT64, nullable=False),
    _int("sequence"),
    Column("opening", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "sequence"),
    ForeignKeyConstraint(["account", "sequence"], ["attestations.account", "attestations.sequence"]),
)

holders = _table(
    "holders",
    Column("account", INT64, ForeignKey("accounts.number"), nullable=False),
    _int("number"),
    Column("identity", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    _int("recorded_at"),
    _digest("digest"),
    PrimaryKeyConstraint("account", "number"),
    CheckConstraint("number >= 1"),
)

# Windows are [window_from, window_until). As they never overlap, those of an account end in the order in which they begin, and the
# one that a new window may meet is the first to end after its beginning: the unique index finds it.
pledges = _table(
    "pledges",
    Column("account", INT64, nullable=False),
    _int("sequence"),
    _int("window_from"),
    _int("window_until"),
    PrimaryKeyConstraint("account", "sequence"),
    UniqueConstraint("account", "window_until"),
    CheckConstraint("window_from < window_until"),
    ForeignKeyConstraint(["account", "sequence"], ["attestations.account", "attestations.sequence"]),
)
# Whatever writes: PostgreSQL refuses an overlap by this constraint, SQLite by the trigger of `NO_OVERLAP`.
pledges.append_constraint(
    ExcludeConstraint(
        (func.int8range(pledges.c.account, pledges.c.account, "[]"), "&&"),
        (func.int8range(pledges.c.window_from, pledges.c.window_until), "&&"),
        name="pledges_no_overlap",
    ).ddl_if(dialect="postgresql")
)
NO_OVERLAP: Final = (
    "CREATE TRIGGER pledges_no_overlap BEFORE INSERT ON pledges WHEN EXISTS (SELECT 1 FROM pledges WHERE account = NEW.account "
    "AND window_until > NEW.window_from AND window_from < NEW.window_until) BEGIN SELECT RAISE(ABORT, 'overlap'); END"
)

leaks = _table(
    "leaks",
    Column("account", INT64, ForeignKey("accounts.number"), nullable=False),
    _int("number"),
    _digest("audience"),
    _digest("book"),
    _digest("subject"),
    _int("points"),
    _int("recorded_at"),
    _digest("digest"),
    PrimaryKeyConstraint("account", "number"),
    UniqueConstraint("account", "audience", "subject"),
    CheckConstraint("number >= 1"),
    CheckConstraint("points >= 1"),
)

ADDED: Final = {2: (holders, pledges, leaks)}  # tables by the version that brought them
APPEND_ONLY: Final = (
    schema_versions,
    registries,
    snapshots,
    models,
    accounts,
    trades,
    attestations,
    openings,
    holders,
    pledges,
    leaks,
)
