"""Typed clients of the service `riskproof.v1`.

    with Client("venue.example:50051", authority="ca.pem", certificate="me.pem", private_key="me-key.pem") as venue:
        attestation = venue.create_attestation("account-7", audience="lender")

`AsyncClient` is the same for asyncio. Methods take and return plain frozen values and bytes, have a deadline
(`timeout`, in seconds), and raise the error class that the server raised (riskproof.errors). Digests of public
documents are checked on arrival; nothing
else a server says is believed because it said so: verify attestations with `riskproof.verify`.
"""

from riskproof.client.asynchronous import AsyncClient
from riskproof.client.synchronous import Client
from riskproof.client.values import (
    AttestationEntry,
    BroughtAccount,
    CreatedAttestation,
    Disclosure,
    Holding,
    Margin,
    Page,
    Positions,
    PublishedSnapshot,
    RecordedHolder,
    RecordedTrade,
    ScenarioPnl,
    SnapshotSummary,
)

__all__ = [
    "AsyncClient",
    "AttestationEntry",
    "BroughtAccount",
    "Client",
    "CreatedAttestation",
    "Disclosure",
    "Holding",
    "Margin",
    "Page",
    "Positions",
    "PublishedSnapshot",
    "RecordedHolder",
    "RecordedTrade",
    "ScenarioPnl",
    "SnapshotSummary",
]
