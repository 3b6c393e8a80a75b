from __future__ import annotations

import pytest
from verify_support import World, small_market

from riskproof.market.portfolio import Portfolio


@pytest.fixture(scope="session")
def world() -> World:
    return World.make(small_market(), Portfolio(((0, 2_000), (1, -70_000_000), (4, -5_000), (5, 12_000))))


@pytest.fixture(scope="session")
def old_world() -> World:
    """A registry whose first column has expired."""
    return World.make(small_market(expired=256), Portfolio(((256, 2_000), (260, -5_000))))
