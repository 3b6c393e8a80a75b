"""`riskproof ledger check` on a sound ledger, a damaged one, and none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cli_support import Run, document

from riskproof.market.sample import sample_market
from riskproof.store import Ledger


def make_ledger() -> None:
    with Ledger.open("sqlite:///ledger.db") as ledger:
        ledger.put_registry(sample_market().registry)
        ledger.open_account("alice")
        ledger.record_trades("alice", "t1", [(0, 5), (2, -7)], 1_800_000_000)


def test_a_sound_ledger(run: Run) -> None:
    make_ledger()
    assert run("ledger", "check", "--url", "sqlite:///ledger.db").stdout == "0 findings\n"
    assert document(run("ledger", "check", "--url", "sqlite:///ledger.db", "--json")) == {"findings": []}


def test_a_ledger_that_somebody_changed(run: Run) -> None:
    make_ledger()
    with sqlite3.connect("ledger.db") as connection:
        connection.execute("UPDATE positions SET lots = lots + 1 WHERE instrument = 0")
    connection.close()
    got = document(run("ledger", "check", "--url", "sqlite:///ledger.db", "--json", code=1))
    assert any("position" in f["where"] for f in got["findings"])


def test_no_ledger_is_made_by_looking(run: Run) -> None:
    assert "no such ledger" in run("ledger", "check", "--url", "sqlite:///absent.db", code=1).stderr
    assert not Path("absent.db").exists()
