"""The append-only ledger: registry versions, snapshots, models, trades and positions, attestations (docs/ledger.md).

ledger        the one object others use
records       what goes in and comes out
writer        one writer thread, group commit
database      SQLite, PostgreSQL, and the difference
schema        tables
markets, accounts, holders, attestations, pledges, leaks     what is done inside a transaction
integrity     checks of a whole ledger
"""

from riskproof.store.ledger import Ledger
from riskproof.store.records import (
    GENESIS,
    AccountRecord,
    AttestationRecord,
    Finding,
    HolderRecord,
    ModelEntry,
    Pledge,
    SnapshotEntry,
    StoredAttestation,
    TradeReceipt,
)

__all__ = [
    "GENESIS",
    "AccountRecord",
    "AttestationRecord",
    "Finding",
    "HolderRecord",
    "Ledger",
    "ModelEntry",
    "Pledge",
    "SnapshotEntry",
    "StoredAttestation",
    "TradeReceipt",
]
