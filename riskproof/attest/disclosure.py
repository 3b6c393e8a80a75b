"""Open single positions of an attestation, and leave the rest hidden.

    {"schema": "riskproof/disclosure/v1", "attestation_digest": "<32>", "tree_root": "<32>", "root_salt": "<32>",
     "positions": [{"index": 17, "instrument": {...}, "lots": "-2500", "path": "<audit path>", "leaf_salt": "<32>"}, ...],
     "nodes": ["<32>", ...]}

Whoever has the attestation checks that the instruments are those of its registry (`path`, to registry_root) and the lots those of
its book (`nodes`, to tree_root; tree_root, the sizes and root_salt, to positions_root). Zero lots open like any others.
Disclosures of attestations of one account within one epoch share nodes while the book does not change, so those who see
several can link them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from riskproof import encoding
from riskproof.attest.opening import HASH_BYTES, OpenedPosition, Opening, hash_path, lots
from riskproof.encoding import Json
from riskproof.errors import AttestationError, EncodingError, RegistryError, UnitError, UnknownInstrumentError
from riskproof.market.registry import MAX_INSTRUMENTS, Instrument, Registry

SCHEMA: Final = "riskproof/disclosure/v1"


@dataclass(frozen=True)
class DisclosedPosition:
    """A position with the salt of its leaf in the position tree, 32 bytes."""

    position: OpenedPosition
    leaf_salt: bytes = field(repr=False)


@dataclass(frozen=True)
class Disclosure:
    """A parsed disclosure; see the module. positions: index ascending; nodes: riskproof.commit.merkle.MultiOpening."""

    attestation_digest: bytes
    tree_root: bytes = field(repr=False)
    root_salt: bytes = field(repr=False)
    positions: tuple[DisclosedPosition, ...]
    nodes: tuple[bytes, ...] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return encoding.canonical_json(
            {
                "schema": SCHEMA,
                "attestation_digest": self.attestation_digest.hex(),
                "tree_root": self.tree_root.hex(),
                "root_salt": self.root_salt.hex(),
                "positions": [{**p.position.to_document(), "leaf_salt": p.leaf_salt.hex()} for p in self.positions],
                "nodes": [n.hex() for n in self.nodes],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "disclosure") -> Disclosure:
        """Parse a disclosure: canonical JSON and ranges (AttestationError)."""
        try:
            return _parse(encoding.parse_canonical(data, where), where)
        except (EncodingError, UnitError, RegistryError) as error:
            raise AttestationError(error.what, where=error.where, expected=error.expected) from None


def disclose(opening: Opening, names: Sequence[str], registry: Registry | None = None) -> Disclosure:
    """Open the positions of these instruments.

    registry: needed only to show that an instrument is *not* held, since an opening lists the terms of holdings alone.

    Raises:
        AttestationError: no name, or the registry is not the opening's.
        UnknownInstrumentError: an instrument that is not held, without a registry, or not in it.
    """
    import numpy as np

    from riskproof.attest.registry_tree import registry_tree
    from riskproof.commit.merkle import PositionTree

    if not names:
        raise AttestationError("no instrument to disclose", where="instruments", expected="at least one name")
    if registry is not None and registry.digest != opening.registry_digest:
        raise AttestationError(
            "the market's registry is not the opening's", where="market", expected=opening.registry_digest.hex()
        )
    held = {p.instrument.name: p for p in opening.positions}
    chosen: dict[int, OpenedPosition] = {}
    for name in names:
        if name in held:
            position = held[name]
        elif registry is None:
            raise UnknownInstrumentError(
                f"no position in {name[:64]!r}", where="opening", expected="a holding, or a market to look it up in"
            )
        else:
            index = registry.index_of(name, "market")
            path = registry_tree(registry).audit_path(index)
            position = OpenedPosition(index, 0, registry.instruments[index], path)
        chosen[position.index] = position
    dense = np.zeros(opening.registry_size, dtype=np.int64)
    for p in opening.positions:
        dense[p.index] = p.lots
    tree = PositionTree(dense, opening.epoch_secret, opening.tree_capacity)
    multi = tree.multi_opening(list(chosen))
    return Disclosure(
        opening.attestation_digest,
        tree.root.digest,
        opening.root_salt,
        tuple(DisclosedPosition(chosen[index], salt) for index, _, salt in multi.positions),
        multi.nodes,
    )


def _parse(node: Json, where: str) -> Disclosure:
    m = encoding.members(node, where, ("schema", "attestation_digest", "tree_root", "root_salt", "positions", "nodes"))
    if m["schema"] != SCHEMA:
        raise EncodingError("not a disclosure of this version", where=f"{where}.schema", expected=SCHEMA)
    items = encoding.array(m["positions"], f"{where}.positions", max_length=MAX_INSTRUMENTS)
    nodes = encoding.array(m["nodes"], f"{where}.nodes", max_length=MAX_INSTRUMENTS)
    return Disclosure(
        encoding.hex_bytes(m["attestation_digest"], f"{where}.attestation_digest", HASH_BYTES),
        encoding.hex_bytes(m["tree_root"], f"{where}.tree_root", HASH_BYTES),
        encoding.hex_bytes(m["root_salt"], f"{where}.root_salt", HASH_BYTES),
        tuple(_position(x, f"{where}.positions[{i}]") for i, x in enumerate(items)),
        tuple(encoding.hex_bytes(x, f"{where}.nodes[{i}]", HASH_BYTES) for i, x in enumerate(nodes)),
    )


def _position(node: Json, where: str) -> DisclosedPosition:
    m = encoding.members(node, where, ("index", "instrument", "lots", "path", "leaf_salt"))
    return DisclosedPosition(
        OpenedPosition(
            encoding.integer(m["index"], f"{where}.index", low=0, high=MAX_INSTRUMENTS - 1),
            lots(m["lots"], f"{where}.lots"),
            Instrument.from_document(m["instrument"], f"{where}.instrument"),
            hash_path(m["path"], f"{where}.path"),
        ),
        encoding.hex_bytes(m["leaf_salt"], f"{where}.leaf_salt", HASH_BYTES),
    )
