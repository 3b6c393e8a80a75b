from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_support import registry, url_of

from riskproof.store import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """A ledger with four instruments and one account, "alice"."""
    with Ledger.open(url_of(path)) as opened:
        opened.put_registry(registry())
        opened.open_account("alice")
        yield opened
