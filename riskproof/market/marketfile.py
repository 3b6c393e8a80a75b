"""A market as one canonical file: registry and snapshot together.

{"schema": "riskproof/market/v1", "registry": {...}, "snapshot": {...}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import encoding
from riskproof.errors import EncodingError
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot

SCHEMA: Final = "riskproof/market/v1"


@dataclass(frozen=True)
class Market:
    """A registry version and a snapshot taken for it."""

    registry: Registry
    snapshot: Snapshot

    def __post_init__(self) -> None:
        self.snapshot.check(self.registry)

    def to_bytes(self) -> bytes:
        """Canonical JSON of both documents."""
        return encoding.canonical_json(
            {"schema": SCHEMA, "registry": self.registry.to_document(), "snapshot": self.snapshot.to_document()}
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "market") -> Market:
        """Parse and check a market file (EncodingError, UnitError, RegistryError, SnapshotError)."""
        m = encoding.members(encoding.parse_canonical(data, where), where, ("schema", "registry", "snapshot"))
        if m["schema"] != SCHEMA:
            raise EncodingError("not a market file of this version", where=f"{where}.schema", expected=SCHEMA)
        registry = Registry.from_document(m["registry"], f"{where}.registry")
        return cls(registry, Snapshot.from_document(m["snapshot"], registry, f"{where}.snapshot"))
