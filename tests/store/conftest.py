"""Ledgers to test on: SQLite always, PostgreSQL too if RISKPROOF_TEST_POSTGRES is the URL of a database that may be wiped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_support import registry, url_of

from riskproof.store import Ledger

POSTGRES = "RISKPROOF_TEST_POSTGRES"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def postgres_url() -> str:
    """URL of an empty PostgreSQL database."""
    url = os.environ.get(POSTGRES)
    if not url:
        pytest.skip(f"no database to test on: set {POSTGRES} to the URL of one that may be wiped")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"] if os.environ.get(POSTGRES) else ["sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return url_of(request.getfixturevalue("path"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A ledger with four instruments and one account, "alice"."""
    with Ledger.open(url) as opened:
        opened.put_registry(registry())
        opened.open_account("alice")
        yield opened


@pytest.fixture
def sqlite_ledger(path: Path) -> Iterator[Ledger]:
    """The same, on SQLite."""
    with Ledger.open(url_of(path)) as opened:
        opened.put_registry(registry())
        opened.open_account("alice")
        yield opened
