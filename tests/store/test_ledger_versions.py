"""Ledgers of version 1 open, and are of version 2 from then on. `ledger_v1.sql` was written by a program of version 1."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_support import TIME, builder, url_of

from riskproof.errors import ConflictError, StoreError
from riskproof.store import Ledger
from riskproof.store.database import Database
from riskproof.store.schema import ADDED

DUMP = Path(__file__).with_name("ledger_v1.sql")
CONTEXT = multiprocessing.get_context("forkserver")


@pytest.fixture
def first(path: Path) -> Path:
    """A ledger as a program of version 1 left it: alice with two trades and two attestations, bob with one attestation."""
    path.touch(0o600)
    with sqlite3.connect(path) as connection:
        connection.executescript(DUMP.read_text())
    connection.close()
    return path


def versions(path: Path) -> list[int]:
    with sqlite3.connect(path) as connection:
        found = [row[0] for row in connection.execute("SELECT version FROM schema_versions ORDER BY version")]
    connection.close()
    return found


def everything(path: Path) -> dict[str, list[tuple]]:
    """Rows of the tables of version 1, but for the list of versions."""
    tables = ("registries", "snapshots", "models", "accounts", "trades", "positions", "attestations", "openings")
    with sqlite3.connect(path) as connection:
        found = {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}
    connection.close()
    return found


def test_a_ledger_of_version_1_opens_as_it_was(first: Path) -> None:
    before = everything(first)
    assert versions(first) == [1]
    for _ in range(2):
        with Ledger.open(url_of(first)) as ledger:
            assert ledger.verify_integrity() == []
            assert [a.sequence for a in ledger.list_attestations("alice")] == [1, 2]
            assert ledger.attestation("alice", 1).exclusive is None
            assert ledger.positions("alice")[1].positions == ((0, 10), (1, 10))
    assert versions(first) == [1, 2]
    assert everything(first) == before


def test_it_has_holders_and_pledges_from_then_on(first: Path) -> None:
    with Ledger.open(url_of(first)) as ledger:
        again = ledger.append_attestation("alice", "r1", lambda _s, _p: pytest.fail("built"), request_digest=b"\1" * 32)
        assert again.replayed
        ledger.set_holder("alice", "ACME", recorded_by="ops", recorded_at=TIME)
        stored = ledger.append_attestation("alice", "x", builder("x"), holder="ACME", exclusive=(TIME, TIME + 9))
        assert (stored.sequence, stored.previous_digest) == (3, again.digest)
    with Ledger.open(url_of(first)) as ledger:
        with pytest.raises(ConflictError, match="attestation 3 of this account is exclusive"):
            ledger.append_attestation("alice", "y", builder("y"), exclusive=(TIME + 8, TIME + 10))
        assert ledger.verify_integrity() == []


def layout(path: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        found = set(connection.execute("SELECT name, sql FROM sqlite_master"))
    connection.close()
    return found


def test_an_old_ledger_and_a_new_one_have_the_same_layout(first: Path, tmp_path: Path) -> None:
    Ledger.open(url_of(first)).close()
    Ledger.open(url_of(tmp_path / "new.db")).close()
    assert layout(first) == layout(tmp_path / "new.db")


def test_a_migration_that_fails_leaves_version_1(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout(first)
    monkeypatch.setattr("riskproof.store.database.NO_OVERLAP", "CREATE TRIGGER nonsense")
    with pytest.raises(StoreError, match=r"SQLITE_ERROR: incomplete input"):
        Ledger.open(url_of(first))
    assert versions(first) == [1]
    assert layout(first) == before
    monkeypatch.undo()
    with Ledger.open(url_of(first)) as ledger:
        assert ledger.verify_integrity() == []


def opened(url: str) -> None:
    Ledger.open(url).close()


def test_processes_that_open_an_old_ledger_at_once_bring_it_up_once(first: Path) -> None:
    workers = [CONTEXT.Process(target=opened, args=(url_of(first),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert versions(first) == [1, 2]


@pytest.mark.parametrize(("version", "said"), [(0, "0"), (3, "3")])
def test_a_version_that_never_was_is_refused_and_left_alone(first: Path, version: int, said: str) -> None:
    with sqlite3.connect(first) as connection:
        connection.execute("DROP TRIGGER schema_versions_no_update")
        connection.execute("UPDATE schema_versions SET version = ?", (version,))
    connection.close()
    before = layout(first)
    with pytest.raises(StoreError, match=rf"schema version {said} \(expected schema version 1 to 2\)"):
        Ledger.open(url_of(first))
    assert layout(first) == before


def test_a_ledger_of_version_1_on_postgres(postgres_url: str) -> None:
    with Ledger.open(postgres_url) as ledger:
        ledger.open_account("alice")
        ledger.append_attestation("alice", "r", builder("r"))
    with Database.open(postgres_url).write(()) as connection:
        for statement in (
            f"DROP TABLE {', '.join(table.name for table in ADDED[2])}",
            "ALTER TABLE schema_versions DISABLE TRIGGER USER",
            "UPDATE schema_versions SET version = 1",
            "ALTER TABLE schema_versions ENABLE TRIGGER USER",
        ):
            connection.exec_driver_sql(statement)
    with Ledger.open(postgres_url) as ledger:
        ledger.set_holder("alice", "ACME", recorded_by="ops", recorded_at=TIME)
        ledger.append_attestation("alice", "x", builder("x"), exclusive=(TIME, TIME + 9))
        with pytest.raises(ConflictError, match="attestation 2 of this account is exclusive"):
            ledger.append_attestation("alice", "y", builder("y"), exclusive=(TIME, TIME + 9))
        assert ledger.verify_integrity() == []
        with ledger._database.read() as connection:
            assert connection.scalars(sa.text("SELECT version FROM schema_versions ORDER BY version")).all() == [1, 2]
        for table in ("holders", "pledges"):  # those with rows
            with pytest.raises(StoreError, match="RaiseException"):
                ledger._writer.run("alice", lambda c, table=table: c.exec_driver_sql(f"DELETE FROM {table}"))
