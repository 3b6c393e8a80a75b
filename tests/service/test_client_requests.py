"""What the clients refuse to send: numbers that no field of the protos holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskproof.client import Client, Holding
from riskproof.errors import InputError


@pytest.fixture
def nowhere() -> Client:
    """A client of a server that does not exist: whoever sends something hears so."""
    return Client.insecure("127.0.0.1:1", timeout=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.record_trade("alice", "t", [Holding("BTC", 2**63)]), "lots: does not fit 64 bits"),
        (lambda c: c.list_snapshots(page_size=2**31), "page_size: does not fit 32 bits"),
        (lambda c: c.list_attestations("alice", page_size=-(2**31) - 1), "page_size: does not fit 32 bits"),
        (lambda c: c.get_attestation("alice", 2**63), "sequence: does not fit 64 bits"),
        (lambda c: c.get_opening("alice", 2**63), "sequence: does not fit 64 bits"),
        (lambda c: c.create_attestation("alice", ttl_seconds=2**63), "ttl_seconds: does not fit 64 bits"),
        (lambda c: c.create_challenge(bound_micros=2**63), "bound_micros: does not fit 64 bits"),
        (lambda c: c.create_challenge(bound_micros=1, max_age_seconds=2**63), "max_age_seconds: does not fit 64 bits"),
    ],
)
def test_a_number_that_fits_no_field(nowhere: Client, call: Callable[[Client], Any], message: str) -> None:
    with nowhere, pytest.raises(InputError, match=message):
        call(nowhere)
