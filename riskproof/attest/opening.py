"""The opening: everything that the account holder, or an auditor it shows it to, needs to recompute an attestation.

    {"schema": "riskproof/opening/v1", "attestation_digest": "<32>", "account_id": "client-7", "account_salt": "<32>",
     "sequence": 12, "previous_digest": "<32>", "chain_salt": "<32>",
     "registry_digest": "<32>", "registry_size": 600, "tree_capacity": 1024, "root_salt": "<32>", "epoch_secret": "<32>",
     "blindings": ["<32>", ...],                                                     of the live columns, in order
     "positions": [{"index": 17, "instrument": {...}, "lots": "-2500", "path": "<32 bytes for each level>"}, ...]}

The opening of an attestation with a holder has the schema riskproof/opening/v2, and besides

    {"identity": "5493001KJTIIGC8Y1R12", "identity_blinding": "<32>"}

It is secret: who has it knows the book. `path` is the instrument's audit path to the attestation's registry_root, so the terms of a
position are proved without the registry. An opening is canonical, and every member is bound by the attestation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from riskproof import encoding, units
from riskproof.attest.payload import GENESIS, MAX_ACCOUNT_ID, SALT_BYTES
from riskproof.commit.identity import MAX_IDENTITY
from riskproof.encoding import Json
from riskproof.errors import AttestationError, EncodingError, RegistryError, UnitError
from riskproof.market.registry import MAX_INSTRUMENTS, Instrument

SCHEMA: Final = "riskproof/opening/v1"
SCHEMA_HOLDER: Final = "riskproof/opening/v2"  # if and only if it opens a holder's identity
HASH_BYTES: Final = 32
BLINDING_BYTES: Final = 32
MAX_PATH: Final = 16  # levels of a tree of 65,536 instruments
MAX_SEQUENCE: Final = 2**53 - 1


@dataclass(frozen=True)
class OpenedPosition:
    """A position with the instrument's terms. Lots are hidden from the repr.

    Attributes:
        index: registry index.
        lots: int64, not zero in an opening.
        instrument: its terms.
        path: audit path of the instrument in the registry's tree (riskproof.attest.registry_tree).
    """

    index: int
    lots: int = field(repr=False)
    instrument: Instrument
    path: tuple[bytes, ...] = field(repr=False)

    def to_document(self) -> dict[str, Json]:
        return {
            "index": self.index,
            "instrument": self.instrument.to_document(),
            "lots": str(self.lots),
            "path": b"".join(self.path).hex(),
        }


@dataclass(frozen=True)
class Opening:
    """A parsed opening; see the module. The repr shows which attestation it opens, and nothing else.

    `identity` and `identity_blinding` open the holder's identity; both are None if the attestation has no holder.
    """

    attestation_digest: bytes
    account_id: str = field(repr=False)
    account_salt: bytes = field(repr=False)
    sequence: int = field(repr=False)
    previous_digest: bytes = field(repr=False)
    chain_salt: bytes = field(repr=False)
    registry_digest: bytes = field(repr=False)
    registry_size: int = field(repr=False)
    tree_capacity: int = field(repr=False)
    root_salt: bytes = field(repr=False)
    epoch_secret: bytes = field(repr=False)
    blindings: tuple[bytes, ...] = field(repr=False)
    positions: tuple[OpenedPosition, ...] = field(repr=False)
    identity: str | None = field(default=None, repr=False)
    identity_blinding: bytes | None = field(default=None, repr=False)

    def to_bytes(self, fragment: bytes | None = None) -> bytes:
        """Canonical JSON; `fragment` is `positions_fragment(self.positions)` if the caller has it already."""
        before: dict[str, Json] = {
            "account_id": self.account_id,
            "account_salt": self.account_salt.hex(),
            "attestation_digest": self.attestation_digest.hex(),
            "blindings": [b.hex() for b in self.blindings],
            "chain_salt": self.chain_salt.hex(),
            "epoch_secret": self.epoch_secret.hex(),
        }
        after: dict[str, Json] = {
            "previous_digest": self.previous_digest.hex(),
            "registry_digest": self.registry_digest.hex(),
            "registry_size": self.registry_size,
            "root_salt": self.root_salt.hex(),
            "schema": SCHEMA,
            "sequence": self.sequence,
            "tree_capacity": self.tree_capacity,
        }
        if (self.identity is None) != (self.identity_blinding is None):
            raise AssertionError("an identity and its blinding go together")
        if self.identity is not None and self.identity_blinding is not None:
            before["identity"], before["identity_blinding"] = self.identity, self.identity_blinding.hex()
            after["schema"] = SCHEMA_HOLDER
        # Member names sort before and after "positions", so the parts join into the canonical form of the whole.
        positions = positions_fragment(self.positions) if fragment is None else fragment
        head, tail = encoding.canonical_json(before), encoding.canonical_json(after)
        return head[:-1] + b',"positions":' + positions + b"," + tail[1:]

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "opening") -> Opening:
        """Parse an opening: canonical JSON and ranges (AttestationError). It is checked against its attestation elsewhere."""
        try:
            return _parse(encoding.parse_canonical(data, where), where)
        except (EncodingError, UnitError, RegistryError) as error:
            raise AttestationError(error.what, where=error.where, expected=error.expected) from None


def positions_fragment(positions: Iterable[OpenedPosition]) -> bytes:
    """Canonical JSON of the member `positions`."""
    return encoding.canonical_json([p.to_document() for p in positions])


def hash_path(node: Json, where: str) -> tuple[bytes, ...]:
    """Hashes of 32 bytes, written one after the other in hexadecimal; else EncodingError."""
    if not isinstance(node, str) or len(node) > 2 * HASH_BYTES * MAX_PATH or len(node) % (2 * HASH_BYTES):
        raise EncodingError("not a path of hashes", where=where, expected=f"up to {MAX_PATH} times 64 digits")
    data = encoding.hex_bytes(node, where, len(node) // 2)
    return tuple(data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES))


def lots(node: Json, where: str) -> int:
    """An int64 as a decimal string; else EncodingError, which does not repeat the text: a position is secret."""
    try:
        return units.parse_integer(encoding.string(node, where, max_length=20), where)
    except UnitError:
        raise EncodingError(
            "lots are not a canonical integer", where=where, expected="a signed 64-bit integer as a decimal string"
        ) from None


def _position(node: Json, size: int, where: str) -> OpenedPosition:
    m = encoding.members(node, where, ("index", "instrument", "lots", "path"))
    return OpenedPosition(
        encoding.integer(m["index"], f"{where}.index", low=0, high=size - 1),
        lots(m["lots"], f"{where}.lots"),
        Instrument.from_document(m["instrument"], f"{where}.instrument"),
        hash_path(m["path"], f"{where}.path"),
    )


_REQUIRED = (
    "schema",
    "attestation_digest",
    "account_id",
    "account_salt",
    "sequence",
    "previous_digest",
    "chain_salt",
    "registry_digest",
    "registry_size",
    "tree_capacity",
    "root_salt",
    "epoch_secret",
    "blindings",
    "positions",
)


def _members(node: Json, where: str) -> dict[str, Json]:
    """The members of the version that the schema names."""
    schema = node.get("schema", SCHEMA) if isinstance(node, dict) else SCHEMA
    if schema not in (SCHEMA, SCHEMA_HOLDER):
        raise EncodingError(
            "not an opening of this version", where=f"{where}.schema", expected=f"{SCHEMA} or {SCHEMA_HOLDER}"
        )
    more = ("identity", "identity_blinding") if schema == SCHEMA_HOLDER else ()
    return encoding.members(node, where, (*_REQUIRED, *more))


def _parse(node: Json, where: str) -> Opening:
    m = _members(node, where)
    size = encoding.integer(m["registry_size"], f"{where}.registry_size", low=1, high=MAX_INSTRUMENTS)
    sequence = encoding.integer(m["sequence"], f"{where}.sequence", low=1, high=MAX_SEQUENCE)
    previous = encoding.hex_bytes(m["previous_digest"], f"{where}.previous_digest", HASH_BYTES)
    if (sequence == 1) != (previous == GENESIS):
        raise EncodingError(
            "the first attestation, and only it, has no previous one",
            where=f"{where}.previous_digest",
            expected="zeros",
        )
    items = encoding.array(m["positions"], f"{where}.positions", max_length=size)
    positions = tuple(_position(x, size, f"{where}.positions[{i}]") for i, x in enumerate(items))
    for i, position in enumerate(positions):
        if position.lots == 0 or (i and positions[i - 1].index >= position.index):
            raise EncodingError("zero lots, not sorted by index, or one twice", where=f"{where}.positions[{i}]")
    blindings = encoding.array(m["blindings"], f"{where}.blindings", max_length=MAX_INSTRUMENTS)
    return Opening(
        attestation_digest=encoding.hex_bytes(m["attestation_digest"], f"{where}.attestation_digest", HASH_BYTES),
        account_id=encoding.string(m["account_id"], f"{where}.account_id", max_length=MAX_ACCOUNT_ID),
        account_salt=encoding.hex_bytes(m["account_salt"], f"{where}.account_salt", SALT_BYTES),
        sequence=sequence,
        previous_digest=previous,
        chain_salt=encoding.hex_bytes(m["chain_salt"], f"{where}.chain_salt", SALT_BYTES),
        registry_digest=encoding.hex_bytes(m["registry_digest"], f"{where}.registry_digest", HASH_BYTES),
        registry_size=size,
        tree_capacity=encoding.integer(m["tree_capacity"], f"{where}.tree_capacity", low=2, high=MAX_INSTRUMENTS),
        root_salt=encoding.hex_bytes(m["root_salt"], f"{where}.root_salt", 32),
        epoch_secret=encoding.hex_bytes(m["epoch_secret"], f"{where}.epoch_secret", 32),
        blindings=tuple(
            encoding.hex_bytes(x, f"{where}.blindings[{i}]", BLINDING_BYTES) for i, x in enumerate(blindings)
        ),
        positions=positions,
        identity=encoding.string(m["identity"], f"{where}.identity", max_length=MAX_IDENTITY)
        if "identity" in m
        else None,
        identity_blinding=encoding.hex_bytes(m["identity_blinding"], f"{where}.identity_blinding", BLINDING_BYTES)
        if "identity_blinding" in m
        else None,
    )
