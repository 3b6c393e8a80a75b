from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import Files, Live, make_files, market, serving


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("venue"))


@pytest.fixture(scope="module")
def live(files: Files) -> Iterator[Live]:
    """A server with the sample market and two accounts, alice (26 positions) and bob (empty)."""
    with serving(files) as server:
        with server.client("operator") as operator:
            operator.publish_market(market())
            operator.open_account("alice")
            operator.open_account("bob")
        yield server


@pytest.fixture
def fresh(tmp_path: Path) -> Files:
    return make_files(tmp_path)
