"""Disks that fill up, files that are damaged, wrong or open to others, and databases that are not ours."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import traceback
from pathlib import Path

import pytest
from ledger_support import TIME, builder, fill_disk, registry, url_of

from riskproof.errors import ConfigError, StoreCorruptError, StoreError
from riskproof.proof.leakage import Event
from riskproof.store import Ledger


def test_the_file_and_its_log_are_for_the_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        with Ledger.open(url_of(path)) as ledger:
            ledger.open_account("alice")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o666])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    Ledger.open(url_of(path)).close()
    path.chmod(mode)
    with pytest.raises(StoreError, match=r"open to others \(mode 0\d\d\d\) \(expected mode 0600\)"):
        Ledger.open(url_of(path))


def test_a_commit_is_on_disk_before_it_is_answered(sqlite_ledger: Ledger) -> None:
    with sqlite_ledger._database.write(()) as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 20_000}


def test_readers_cannot_write(sqlite_ledger: Ledger) -> None:
    with pytest.raises(StoreError, match="SQLITE_READONLY"), sqlite_ledger._database.read() as connection:
        connection.exec_driver_sql("DELETE FROM positions")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "not a database URL"),
        ("sqlite_ledger.db", "not a database URL"),
        ("sqlite://", "a ledger lives in a file"),
        ("sqlite:///:memory:", "a ledger lives in a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "a ledger lives in a file"),
        ("mysql://root:hunter2@localhost/x", "database 'mysql' is not served"),
        ("postgresql+nodriver://u:hunter2@localhost/x", "no driver for this database is installed"),
    ],
)
def test_a_url_that_is_not_served_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Ledger.open(url)
    assert "hunter2" not in str(caught.value)


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open the ledger's file: No such file or directory"):
        Ledger.open(url_of(tmp_path / "nowhere" / "ledger.db"))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a regular file"):
        Ledger.open(url_of(tmp_path))


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(b"these are not the pages you are looking for " * 200)
    with pytest.raises(StoreCorruptError, match="SQLITE_NOTADB"):
        Ledger.open(url_of(path))


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    path.touch(0o600)
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StoreError, match="this database is not a ledger"):
        Ledger.open(url_of(path))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


def test_an_unknown_schema_version_is_refused(path: Path) -> None:
    Ledger.open(url_of(path)).close()
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO schema_versions VALUES (3, 0)")
    with pytest.raises(StoreError, match=r"schema version 3 \(expected schema version 1 to 2\)"):
        Ledger.open(url_of(path))


def test_a_killed_creation_is_finished_by_the_next_open(path: Path) -> None:
    path.touch(0o600)  # the file exists, its tables do not
    with Ledger.open(url_of(path)) as ledger:
        assert ledger.verify_integrity() == []


def test_a_full_disk_acknowledges_nothing_and_recovers(path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    receive, send = context.Pipe(duplex=False)
    worker = context.Process(target=fill_disk, args=(url_of(path), 600_000, send))
    worker.start()
    assert receive.poll(50), "the worker did not answer"
    kind, message, again, told, sequence, findings = receive.recv()
    worker.join(10)
    assert worker.exitcode == 0
    assert kind == "StoreError"
    assert "nothing was acknowledged" in message
    assert again == ["StoreError"] * 3
    assert len(told) >= 5
    assert sequence == len(told) + 1
    assert findings == []
    with Ledger.open(url_of(path)) as ledger:
        assert [a.digest for a in ledger.list_attestations("a", 0, len(told))] == told


def test_errors_do_not_carry_secrets(sqlite_ledger: Ledger) -> None:
    secret = sqlite_ledger.account("alice").secret
    with pytest.raises(StoreError) as caught:
        sqlite_ledger._writer.run(
            "alice", lambda c: c.exec_driver_sql("INSERT INTO accounts VALUES (1, 'x', ?, 0)", (secret,))
        )
    text = "".join(traceback.format_exception(caught.value))
    assert "UNIQUE constraint failed: accounts.number" in text
    assert repr(secret) not in text
    assert secret.hex() not in text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET {} = {}",
        "DELETE FROM {}",
        "INSERT OR REPLACE INTO {} SELECT * FROM {}",
    ],
)
def test_append_only_tables_refuse_changes(sqlite_ledger: Ledger, statement: str) -> None:
    sqlite_ledger.record_trades("alice", "t", [(0, 1)], 1)
    sqlite_ledger.set_holder("alice", "ACME", recorded_by="ops", recorded_at=TIME)
    sqlite_ledger.append_attestation("alice", "r", builder("r"), exclusive=(TIME, TIME + 1))
    sqlite_ledger.charge_leaks("alice", [Event(*(bytes([i]) * 32 for i in range(4)), 1)], now=TIME, limit=1)
    columns = {
        "schema_versions": "version",
        "registries": "number",
        "accounts": "secret",
        "trades": "changes",
        "attestations": "digest",
        "openings": "opening",
        "holders": "identity",
        "pledges": "window_from",
        "leaks": "points",
    }
    for table, column in columns.items():
        sql = statement.format(table, table) if "REPLACE" in statement else statement.format(table, column, column)
        with pytest.raises(StoreError, match=r"SQLITE_CONSTRAINT_TRIGGER: (append-only|overlap)"):
            sqlite_ledger._writer.run("alice", lambda c, sql=sql: c.exec_driver_sql(sql))
    assert sqlite_ledger.verify_integrity() == []


def test_damaged_pages_are_found_and_never_served_as_sound(path: Path) -> None:
    with Ledger.open(url_of(path)) as ledger:
        ledger.put_registry(registry())
        ledger.open_account("alice")
        told = [ledger.append_attestation("alice", str(n), builder(str(n), 3000)) for n in range(40)]
    whole = path.read_bytes()
    assert len(whole) > 4096 * 60
    for at in range(4096 * 24, len(whole), 4096 * 3):
        path.write_bytes(whole[:at] + bytes(512) + whole[at + 512 :])
        try:
            with Ledger.open(url_of(path)) as ledger:
                assert ledger.verify_integrity() != []
                for sound in told:
                    try:
                        assert ledger.attestation("alice", sound.sequence) == sound
                    except StoreError:
                        continue
        except StoreCorruptError:
            continue


def test_a_truncated_file_is_refused_or_found(path: Path) -> None:
    with Ledger.open(url_of(path)) as ledger:
        ledger.put_registry(registry())
        ledger.open_account("alice")
        for n in range(10):
            ledger.append_attestation("alice", str(n), builder(str(n)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreCorruptError), Ledger.open(url_of(path)) as ledger:
        ledger.check_integrity()
