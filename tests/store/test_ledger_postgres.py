"""What is PostgreSQL's own: locks per account, triggers, errors without values."""

from __future__ import annotations

import threading
import traceback

import pytest
from ledger_support import builder, registry

from riskproof.errors import StoreError
from riskproof.store import Ledger


@pytest.fixture
def other(postgres_url: str) -> Ledger:
    with Ledger.open(postgres_url) as opened:
        opened.put_registry(registry())
        opened.open_accounts(["alice", "bob"])
        yield opened


def test_writers_of_different_accounts_do_not_wait_for_each_other(other: Ledger, postgres_url: str) -> None:
    entered, go = threading.Event(), threading.Event()

    def hold(sequence: int, previous: bytes):
        entered.set()
        assert go.wait(10)
        return builder("held")(sequence, previous)

    with Ledger.open(postgres_url) as mine:
        held = mine.submit_attestation("alice", "r", hold)
        assert entered.wait(10)
        assert other.submit_attestation("bob", "r", builder("b")).result(timeout=5).sequence == 1
        waiting = other.submit_attestation("alice", "s", builder("s"))
        assert not held.done()
        go.set()
        assert held.result(timeout=5).sequence == 1
        assert waiting.result(timeout=5).sequence == 2
        assert other.verify_integrity() == []


def test_a_commit_waits_for_the_disk_whatever_the_server_says(other: Ledger) -> None:
    with other._database.write(()) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "20s"


@pytest.mark.parametrize("statement", ["UPDATE trades SET changes = changes", "DELETE FROM trades", "TRUNCATE trades"])
def test_append_only_tables_refuse_changes_on_postgres(other: Ledger, statement: str) -> None:
    other.record_trades("alice", "t", [(0, 1)], 1)
    with pytest.raises(StoreError, match="RaiseException"):
        other._writer.run("alice", lambda c: c.exec_driver_sql(statement))
    assert other.verify_integrity() == []


def test_errors_of_postgres_do_not_carry_values(other: Ledger) -> None:
    secret = other.account("alice").secret
    with pytest.raises(StoreError) as caught:
        other._writer.run(
            "alice", lambda c: c.exec_driver_sql("INSERT INTO accounts VALUES (1, 'x', %s, 0)", (secret,))
        )
    text = "".join(traceback.format_exception(caught.value))
    assert "UniqueViolation" in text
    assert secret.hex() not in text
    assert repr(secret) not in text
