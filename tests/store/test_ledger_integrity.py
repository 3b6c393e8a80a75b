"""One change behind the ledger's back per test, and the finding it causes."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import pytest
from ledger_support import TIME, builder, registry, url_of

from riskproof import encoding
from riskproof.errors import StoreCorruptError
from riskproof.proof.leakage import Event
from riskproof.store import Finding, Ledger
from riskproof.store.schema import APPEND_ONLY


@pytest.fixture
def sound(path: Path) -> Path:
    """The file of a closed ledger: two registry versions, a model, two accounts with trades, attestations,
    two holders one after the other and two exclusive windows end to end (attestations 4 and 5), two leaks."""
    with Ledger.open(url_of(path)) as ledger:
        ledger.put_registry(registry(4))
        ledger.put_registry(registry(6))
        document = encoding.canonical_json({"schema": "model"})
        ledger.put_model(document, "m", encoding.digest(encoding.TAG_MODEL, document))
        for account in ("alice", "bob"):
            ledger.open_account(account)
            for number in range(3):
                ledger.record_trades(account, f"t{number}", [(number, 10)], TIME)
                ledger.append_attestation(account, f"r{number}", builder(f"{account} {number}"))
            for number in range(2):
                ledger.set_holder(account, f"holder {number}", recorded_by="ops", recorded_at=TIME)
                window = TIME + 100 * number, TIME + 100 * number + 100
                ledger.append_attestation(account, f"x{number}", builder(f"{account} x{number}"), exclusive=window)
            leaks = [Event(*(bytes([i]) * 32 for i in (1, 2, 3, n)), n) for n in (4, 5)]
            ledger.charge_leaks(account, leaks, now=TIME, limit=10)
        assert ledger.verify_integrity() == []
    return path


def tamper(path: Path, statement: str, *values: object) -> list[Finding]:
    """Run a statement with triggers and references off, and verify."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        saved = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        names = [f"{table.name}_no_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")]
        for name in (*names, "pledges_no_overlap"):
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement, values).rowcount >= 1
        for (sql,) in saved:
            connection.execute(sql)
    connection.close()
    with Ledger.open(url_of(path)) as ledger:
        return ledger.verify_integrity()


CHANGED = "the stored record is not what its digest names"

MUTATIONS = {
    "attestation_bytes": (
        "UPDATE attestations SET attestation = x'00' WHERE account = 1 AND sequence = 2",
        [("attestations 1/2", CHANGED)],
    ),
    "attestation_time": (
        "UPDATE attestations SET issued_at = issued_at + 1 WHERE account = 2 AND sequence = 1",
        [("attestations 2/1", CHANGED)],
    ),
    "attestation_request": (
        "UPDATE attestations SET request_id = 'other' WHERE account = 2 AND sequence = 1",
        [("attestations 2/1", CHANGED)],
    ),
    "attestation_digest": (
        "UPDATE attestations SET digest = zeroblob(32) WHERE account = 1 AND sequence = 1",
        [("attestations 1/1", CHANGED), ("attestations 1/2", "the previous digest is not the predecessor's")],
    ),
    "attestation_previous": (
        "UPDATE attestations SET previous_digest = zeroblob(32) WHERE account = 1 AND sequence = 3",
        [("attestations 1/3", "the previous digest is not the predecessor's"), ("attestations 1/3", CHANGED)],
    ),
    "opening_bytes": (
        "UPDATE openings SET opening = x'00' WHERE account = 1 AND sequence = 3",
        [("attestations 1/3", "the stored opening is not what its digest names")],
    ),
    "opening_gone": (
        "DELETE FROM openings WHERE account = 1 AND sequence = 3",
        [("attestations 1/3", "the opening is missing")],
    ),
    "trade_gone": (
        "DELETE FROM trades WHERE account = 1 AND position_version = 2",
        [("trades 1/3", "position version 2 is missing")],
    ),
    "last_trade_gone": (
        "DELETE FROM trades WHERE account = 2 AND position_version = 3",
        [("positions 2", "positions are not the sum of the trades")],
    ),
    "trade_legs": (
        "UPDATE trades SET changes = zeroblob(16) WHERE account = 1 AND position_version = 2",
        [("trades 1/2", "the trade is not what its digest names")],
    ),
    "trade_moved": (
        "UPDATE trades SET account = 2, position_version = 4, trade_id = 'x' WHERE account = 1 AND position_version = 3",
        [
            ("positions 1", "positions are not the sum of the trades"),
            ("trades 2/4", "the trade is not what its digest names"),
        ],
    ),
    "all_trades_gone": ("DELETE FROM trades WHERE account = 2", [("positions 2", "positions without trades")]),
    "first_trades_gone": ("DELETE FROM trades WHERE account = 1", [("positions 1", "positions without trades")]),
    "position_changed": (
        "UPDATE positions SET lots = 11 WHERE account = 1 AND instrument = 0",
        [("positions 1", "positions are not the sum of the trades")],
    ),
    "position_gone": (
        "DELETE FROM positions WHERE account = 2",
        [("positions 2", "positions are not the sum of the trades")],
    ),
    "registry_gone": ("DELETE FROM registries WHERE number = 1", [("registries 2", "number 1 is missing")]),
    "registry_damaged": (
        "UPDATE registries SET document = x'00' WHERE number = 2",
        [("registries 2", "the stored document is not what its digest names")],
    ),
    "model_damaged": (
        "UPDATE models SET size = size + 1",
        [("models 1", "the stored document is not what its digest names")],
    ),
    "holder_changed": (
        "UPDATE holders SET identity = 'somebody' WHERE account = 1 AND number = 1",
        [("holders 1/1", "the stored holder is not what its digest names")],
    ),
    "holder_backdated": (
        "UPDATE holders SET recorded_at = recorded_at - 1 WHERE account = 2 AND number = 2",
        [("holders 2/2", "the stored holder is not what its digest names")],
    ),
    "holder_gone": ("DELETE FROM holders WHERE account = 1 AND number = 1", [("holders 1/2", "number 1 is missing")]),
    "leak_cheaper": (
        "UPDATE leaks SET points = points - 1 WHERE account = 1 AND number = 2",
        [("leaks 1/2", "the stored leak is not what its digest names")],
    ),
    "leak_of_another_book": (
        "UPDATE leaks SET book = zeroblob(32) WHERE account = 2 AND number = 1",
        [("leaks 2/1", "the stored leak is not what its digest names")],
    ),
    "leak_gone": ("DELETE FROM leaks WHERE account = 1 AND number = 1", [("leaks 1/2", "number 1 is missing")]),
    "pledge_gone": ("DELETE FROM pledges WHERE account = 1 AND sequence = 5", [("attestations 1/5", CHANGED)]),
    "pledge_shortened": (
        "UPDATE pledges SET window_until = window_until - 50 WHERE account = 1 AND sequence = 4",
        [("attestations 1/4", CHANGED)],
    ),
    "pledge_lengthened": (
        "UPDATE pledges SET window_until = window_until + 1 WHERE account = 1 AND sequence = 4",
        [("attestations 1/4", CHANGED), ("pledges 1/5", "its window overlaps that of attestation 4")],
    ),
    "pledge_over_both": (
        f"INSERT INTO pledges VALUES (2, 1, {TIME - 10}, {TIME + 500})",
        [
            ("attestations 2/1", CHANGED),
            ("pledges 2/4", "its window overlaps that of attestation 1"),
            ("pledges 2/5", "its window overlaps that of attestation 1"),
        ],
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_change_behind_its_back_is_found(sound: Path, name: str) -> None:
    statement, expected = MUTATIONS[name]
    assert tamper(sound, statement) == [Finding(*pair) for pair in expected]
    with Ledger.open(url_of(sound)) as ledger, pytest.raises(StoreCorruptError, match=expected[0][1]) as caught:
        ledger.check_integrity()
    assert caught.value.where == expected[0][0]


def test_an_attestation_that_is_gone_leaves_a_gap(sound: Path) -> None:
    found = tamper(sound, "DELETE FROM attestations WHERE account = 1 AND sequence = 2")
    assert Finding("attestations 1/3", "sequence 2 is missing") in found
    assert Finding("database", "dangling reference in openings") in found


def test_a_pledge_without_its_attestation_is_found(sound: Path) -> None:
    found = tamper(sound, f"INSERT INTO pledges VALUES (2, 9, {TIME + 900}, {TIME + 950})")
    assert Finding("database", "dangling reference in pledges") in found
    assert Finding("pledges 2/9", "a pledge without its attestation") in found


def test_an_account_that_is_gone_is_found(sound: Path) -> None:
    found = tamper(sound, "DELETE FROM accounts WHERE number = 1")
    assert Finding("accounts 2", "number 1 is missing") in found
    assert Finding("database", "dangling reference in trades") in found


def test_a_missing_trigger_is_found(sound: Path) -> None:
    with sqlite3.connect(sound) as connection:
        connection.execute("DROP TRIGGER trades_no_delete")
    with Ledger.open(url_of(sound)) as ledger:
        assert ledger.verify_integrity() == [Finding("database", "trigger trades_no_delete is missing")]


def test_a_missing_trigger_against_overlaps_is_found(sound: Path) -> None:
    with sqlite3.connect(sound) as connection:
        connection.execute("DROP TRIGGER pledges_no_overlap")
    with Ledger.open(url_of(sound)) as ledger:
        assert ledger.verify_integrity() == [Finding("database", "trigger pledges_no_overlap is missing")]


@pytest.mark.parametrize(
    "name", ["attestation_bytes", "opening_bytes", "model_damaged", "pledge_gone", "holder_backdated"]
)
def test_a_changed_record_is_not_served(sound: Path, name: str) -> None:
    tamper(sound, MUTATIONS[name][0])
    with Ledger.open(url_of(sound)) as ledger:
        calls = {
            "attestation_bytes": lambda: ledger.attestation("alice", 2),
            "opening_bytes": lambda: ledger.opening("alice", 3),
            "model_damaged": lambda: ledger.model(ledger.list_models()[0][1]),
            "leak_cheaper": (
                "UPDATE leaks SET points = points - 1 WHERE account = 1 AND number = 2",
                [("leaks 1/2", "the stored leak is not what its digest names")],
            ),
            "leak_of_another_book": (
                "UPDATE leaks SET book = zeroblob(32) WHERE account = 2 AND number = 1",
                [("leaks 2/1", "the stored leak is not what its digest names")],
            ),
            "leak_gone": ("DELETE FROM leaks WHERE account = 1 AND number = 1", [("leaks 1/2", "number 1 is missing")]),
            "pledge_gone": lambda: ledger.attestation("alice", 5),
            "holder_backdated": lambda: ledger.holder("bob"),
        }
        with pytest.raises(StoreCorruptError, match="not what its digest names"):
            calls[name]()


def test_a_document_that_unpacks_to_gigabytes_is_refused_quickly(sound: Path) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    found = tamper(sound, "UPDATE models SET document = ?", bomb)
    assert found == [Finding("models 1", "the stored document is not what its digest names")]


def test_positions_that_went_wrong_are_rebuilt_from_trades(sound: Path) -> None:
    assert tamper(sound, "UPDATE positions SET lots = 11 WHERE account = 1") != []
    with Ledger.open(url_of(sound)) as ledger:
        assert ledger.rebuild_positions("alice") == 3
        assert ledger.verify_integrity() == []


def test_what_clients_were_told_is_compared(sound: Path) -> None:
    with Ledger.open(url_of(sound)) as ledger:
        digest = ledger.attestation("alice", 1).digest
        trades, attestations = [("alice", "t0", 1)], [("alice", "r0", digest)]
        assert ledger.lost(trades, attestations) == []
        assert [str(f) for f in ledger.lost([("alice", "t0", 2), ("bob", "t9", 4), ("eve", "t0", 1)], [])] == [
            "trade t0 of alice: acknowledged as position version 2, stored as 1",
            "trade t9 of bob: acknowledged as position version 4, stored as None",
            "trade t0 of eve: acknowledged as position version 1, stored as None",
        ]
        assert [f.what for f in ledger.lost([], [("alice", "r1", digest), ("bob", "r9", digest)])] == [
            "acknowledged, and another is stored",
            "acknowledged, and not stored",
        ]
