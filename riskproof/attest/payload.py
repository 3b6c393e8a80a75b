"""What an attestation says: the payload that a venue signs (docs/attestation.md explains every member).

    {"schema": "riskproof/attestation/v1", "venue": "venue-a", "signers": ["<key id>"],
     "account": "<32 bytes>", "chain": "<32 bytes>", "issued_at": 1768382600, "expires_at": 1768386200,
     "audience": "lender", "nonce": "7f3a",                                                    both optional
     "numeraire": "USD", "quantity_exponent": 3, "registry_digest": "<32>", "registry_size": 600, "registry_root": "<32>",
     "snapshot_digest": "<32>", "snapshot_time": 1768382553, "max_snapshot_age_seconds": 3600,       the last one optional
     "model": {"name": "crypto-pm", "digest": "<32>"}, "kernel": "black76-q60/1", "array_digest": "<32>",     version 1 only
     "positions_root": "<32>", "tree_capacity": 1024,
     "columns": {"size": 256, "retired": [], "commitments": ["<48>", ...]},
     "disclosure": {"policy": "margin", "grid": {"significant_digits": 2}, "initial_margin_micros": "1300000",
                    "maintenance_margin_micros": "1000000", "worst_scenario": "p-50/v+"}}      the last one not without scenarios

An attestation that binds the account's holder has the schema riskproof/attestation/v2, names its audience, and besides

    {"holder": {"key": "<32>", "identity": "<48>", "tag": "<32>", "tag_epoch": 683},
     "exclusive": {"from": 1768382600, "until": 1768386200}}                                                    optional

Bytes are lower-case hexadecimal, amounts decimal strings. The digest that names an attestation is taken over the payload, not over
the envelope: signatures do not change what was said.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from riskproof import encoding, units
from riskproof.attest.envelope import MAX_SIGNATURES, key_id
from riskproof.attest.holder import ExclusiveWindow, HolderBinding
from riskproof.attest.keyset import MAX_TIME, MAX_VENUE
from riskproof.encoding import Json
from riskproof.errors import AttestationError, EncodingError, KeySetError, PointError, UnitError
from riskproof.market.registry import COLUMN_SIZES, MAX_INSTRUMENTS
from riskproof.proof.grid import Grid

SCHEMA: Final = "riskproof/attestation/v1"
SCHEMA_HOLDER: Final = "riskproof/attestation/v2"  # if and only if a holder is bound
MAX_ACCOUNT_ID: Final = 128
MAX_AUDIENCE: Final = 128
MAX_NONCE: Final = 128
MAX_LIFETIME: Final = 366 * units.SECONDS_PER_DAY
MAX_SCENARIOS: Final = 4_096
MAX_QUANTITY_EXPONENT: Final = 12  # as in riskproof.market.registry.Registry
GENESIS: Final = bytes(32)  # the previous digest of an account's first attestation
SALT_BYTES: Final = 32
POINT_BYTES: Final = 48

# BN254's scalar field, where positions_root lives (EIP-196).
_BN254_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617


class Policy(enum.StrEnum):
    """What an attestation discloses of the account's risk."""

    NONE = "none"
    MARGIN = "margin"  # initial and maintenance margin, and the scenario that binds
    ARRAY = "array"  # these, and the P&L of every scenario


@dataclass(frozen=True)
class Disclosed:
    """What the policy reveals. Amounts are int64 micros of the numeraire on the grid.

    Attributes:
        policy: see `Policy`; with NONE everything else is None.
        grid: requirements are rounded up to it, P&L down.
        initial_margin_micros, maintenance_margin_micros: rounded up.
        worst_scenario: id of the first scenario with the least exact P&L; None under a model without scenarios.
        pnl_micros: one per scenario of the model, with policy ARRAY.
    """

    policy: Policy
    grid: Grid | None = None
    initial_margin_micros: int | None = None
    maintenance_margin_micros: int | None = None
    worst_scenario: str | None = None
    pnl_micros: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        policy: Policy,
        grid: Grid,
        *,
        initial_margin_micros: int,
        maintenance_margin_micros: int,
        worst_scenario: str | None,
        pnl_micros: tuple[int, ...],
    ) -> Disclosed:
        """What `policy` reveals of these figures, rounded against the account to `grid` (OverflowMoneyError)."""
        if policy is Policy.NONE:
            return cls(Policy.NONE)
        return cls(
            policy,
            grid,
            grid.up(initial_margin_micros, "initial margin"),
            grid.up(maintenance_margin_micros, "maintenance margin"),
            worst_scenario,
            tuple(grid.down(x, "P&L") for x in pnl_micros) if policy is Policy.ARRAY else None,
        )

    @property
    def margin(self) -> tuple[Grid, int, int]:
        """(grid, initial margin, maintenance margin) of a policy that reveals them."""
        if self.grid is None or self.initial_margin_micros is None or self.maintenance_margin_micros is None:
            raise AssertionError("the policy reveals no margin")
        return self.grid, self.initial_margin_micros, self.maintenance_margin_micros

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"policy": self.policy.value}
        if self.grid is not None:
            document["grid"] = self.grid.to_document()
            document["initial_margin_micros"] = str(self.initial_margin_micros)
            document["maintenance_margin_micros"] = str(self.maintenance_margin_micros)
            if self.worst_scenario is not None:
                document["worst_scenario"] = self.worst_scenario
        if self.pnl_micros is not None:
            document["pnl_micros"] = [str(x) for x in self.pnl_micros]
        return document

    @classmethod
    def from_document(cls, node: Json, where: str) -> Disclosed:
        policy = encoding.members(node, where, ("policy",), (*_MARGIN, _WORST, "pnl_micros"))["policy"]
        if policy not in tuple(Policy):
            raise EncodingError("unknown policy", where=f"{where}.policy", expected=", ".join(Policy))
        if policy == Policy.NONE:
            encoding.members(node, where, ("policy",))
            return cls(Policy.NONE)
        array = ("pnl_micros",) if policy == Policy.ARRAY else ()
        m = encoding.members(node, where, ("policy", *_MARGIN, *array), (_WORST,))
        pnl = encoding.array(m["pnl_micros"], f"{where}.pnl_micros", max_length=MAX_SCENARIOS) if array else None
        return cls(
            Policy(policy),
            Grid.from_document(m["grid"], f"{where}.grid"),
            _amount(m["initial_margin_micros"], f"{where}.initial_margin_micros"),
            _amount(m["maintenance_margin_micros"], f"{where}.maintenance_margin_micros"),
            encoding.string(m[_WORST], f"{where}.{_WORST}", max_length=64) if _WORST in m else None,
            None if pnl is None else tuple(_amount(x, f"{where}.pnl_micros[{i}]") for i, x in enumerate(pnl)),
        )


_MARGIN: Final = ("grid", "initial_margin_micros", "maintenance_margin_micros")
_WORST: Final = "worst_scenario"


@dataclass(frozen=True)
class Columns:
    """Position columns. Column j commits lots j*size .. (j+1)*size - 1 of the registry index.

    Attributes:
        size: n, lots per column.
        retired: numbers of the columns left out, ascending: all their instruments have expired and are settled.
        commitments: 48-byte compressed BLS12-381 G1 points of the other columns, in order.
    """

    size: int
    retired: tuple[int, ...]
    commitments: tuple[bytes, ...]

    @property
    def count(self) -> int:
        """Number of columns, retired ones included."""
        return len(self.retired) + len(self.commitments)

    @property
    def live(self) -> tuple[int, ...]:
        """Numbers of the columns that are committed, ascending; aligned with `commitments`."""
        retired = set(self.retired)
        return tuple(j for j in range(self.count) if j not in retired)

    def to_document(self) -> dict[str, Json]:
        return {"size": self.size, "retired": list(self.retired), "commitments": [c.hex() for c in self.commitments]}

    @classmethod
    def from_document(cls, node: Json, registry_size: int, where: str) -> Columns:
        m = encoding.members(node, where, ("size", "retired", "commitments"))
        size = encoding.integer(m["size"], f"{where}.size")
        if size not in COLUMN_SIZES:
            raise EncodingError("column size is not served", where=f"{where}.size", expected=f"one of {COLUMN_SIZES}")
        count = -(-registry_size // size)
        retired: list[int] = []
        for i, x in enumerate(encoding.array(m["retired"], f"{where}.retired", max_length=count)):
            number = encoding.integer(x, f"{where}.retired[{i}]", low=0, high=count - 1)
            if retired and number <= retired[-1]:
                raise EncodingError("not ascending", where=f"{where}.retired[{i}]", expected="each column once")
            retired.append(number)
        points = encoding.array(m["commitments"], f"{where}.commitments", max_length=count)
        if not points or len(points) + len(retired) != count:
            raise EncodingError(
                f"{len(points)} commitments and {len(retired)} retired columns",
                where=where,
                expected=f"{count} columns together, at least one of them live",
            )
        return cls(size, tuple(retired), tuple(_point(x, f"{where}.commitments[{i}]") for i, x in enumerate(points)))


@dataclass(frozen=True)
class Attestation:
    """A parsed payload; times in seconds since the epoch, digests and salted commitments 32 bytes each.

    Attributes:
        venue: who speaks.
        signers: ids of the keys that sign, ascending; the envelope has these signatures, no more and no fewer.
        account: `blinded_account`. chain: `chain_commitment`.
        issued_at, expires_at: valid in [issued_at, expires_at).
        audience, nonce: whom it is for, and what they asked to see in it, if anything.
        numeraire: currency of every amount.
        quantity_exponent: e, a lot is 10^-e of an instrument's unit: what an opened position means, without the registry.
        registry_digest, registry_size, registry_root: registry version, number of instruments, root of their Merkle tree.
        snapshot_digest, snapshot_time: the market.
        max_snapshot_age_seconds: the venue's own tolerance for issued_at - snapshot_time, or None.
        model_name, model_digest, kernel: how the risk was computed.
        array_digest: of the risk array; None under a model of version 2, which has none.
        positions_root, tree_capacity: salted root of the Poseidon tree of the lots, and its number of leaves.
        columns: KZG commitments to the lots.
        disclosed: what the disclosure policy reveals.
        holder: who holds the account, or None; with a holder there is an audience.
        exclusive: the time in which no other exclusive attestation of the account is valid, or None; only with a holder.
    """

    venue: str
    signers: tuple[str, ...]
    account: bytes
    chain: bytes
    issued_at: int
    expires_at: int
    audience: str | None
    nonce: str | None
    numeraire: str
    quantity_exponent: int
    registry_digest: bytes
    registry_size: int
    registry_root: bytes
    snapshot_digest: bytes
    snapshot_time: int
    max_snapshot_age_seconds: int | None
    model_name: str
    model_digest: bytes
    kernel: str
    array_digest: bytes | None
    positions_root: bytes
    tree_capacity: int
    columns: Columns
    disclosed: Disclosed
    holder: HolderBinding | None = None
    exclusive: ExclusiveWindow | None = None

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "schema": SCHEMA if self.holder is None else SCHEMA_HOLDER,
            "venue": self.venue,
            "signers": list(self.signers),
            "account": self.account.hex(),
            "chain": self.chain.hex(),
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "numeraire": self.numeraire,
            "quantity_exponent": self.quantity_exponent,
            "registry_digest": self.registry_digest.hex(),
            "registry_size": self.registry_size,
            "registry_root": self.registry_root.hex(),
            "snapshot_digest": self.snapshot_digest.hex(),
            "snapshot_time": self.snapshot_time,
            "model": {"name": self.model_name, "digest": self.model_digest.hex()},
            "kernel": self.kernel,
            "positions_root": self.positions_root.hex(),
            "tree_capacity": self.tree_capacity,
            "columns": self.columns.to_document(),
            "disclosure": self.disclosed.to_document(),
        }
        if self.array_digest is not None:
            document["array_digest"] = self.array_digest.hex()
        if self.audience is not None:
            document["audience"] = self.audience
        if self.nonce is not None:
            document["nonce"] = self.nonce
        if self.max_snapshot_age_seconds is not None:
            document["max_snapshot_age_seconds"] = self.max_snapshot_age_seconds
        if self.holder is not None:
            document["holder"] = self.holder.to_document()
        if self.exclusive is not None:
            document["exclusive"] = self.exclusive.to_document()
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON of the payload."""
        return encoding.canonical_json(self.to_document())

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this attestation."""
        return attestation_digest(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "payload") -> Attestation:
        """Parse a payload: canonical JSON, ranges, points, the holder's key. What it says is not judged here (AttestationError)."""
        try:
            return _parse(encoding.parse_canonical(data, where), where)
        except (EncodingError, UnitError, PointError, KeySetError) as error:
            raise AttestationError(error.what, where=error.where, expected=error.expected) from None


def attestation_digest(payload: bytes) -> bytes:
    """The 32 bytes that name an attestation: digest under TAG_ATTESTATION of its payload."""
    return encoding.digest(encoding.TAG_ATTESTATION, payload)


def blinded_account(account_id: str, salt: bytes) -> bytes:
    """digest(TAG_ACCOUNT, salt || account id): names the account to whoever knows the 32-byte salt."""
    return encoding.digest(encoding.TAG_ACCOUNT, salt + account_id.encode("utf-8"))


def chain_commitment(sequence: int, previous_digest: bytes, salt: bytes) -> bytes:
    """digest(TAG_CHAIN, salt || sequence as 8 bytes little-endian || previous digest)."""
    return encoding.digest(encoding.TAG_CHAIN, salt + sequence.to_bytes(8, "little") + previous_digest)


_REQUIRED = (
    "schema",
    "venue",
    "signers",
    "account",
    "chain",
    "issued_at",
    "expires_at",
    "numeraire",
    "quantity_exponent",
    "registry_digest",
    "registry_size",
    "registry_root",
    "snapshot_digest",
    "snapshot_time",
    "model",
    "kernel",
    "positions_root",
    "tree_capacity",
    "columns",
    "disclosure",
)
_OPTIONAL = ("audience", "nonce", "max_snapshot_age_seconds", "array_digest")
_REQUIRED_HOLDER = ("audience", "holder")
_OPTIONAL_HOLDER = ("nonce", "max_snapshot_age_seconds", "array_digest", "exclusive")


def _members(node: Json, where: str) -> dict[str, Json]:
    """The members of the version that the schema names."""
    schema = node.get("schema", SCHEMA) if isinstance(node, dict) else SCHEMA
    if schema not in (SCHEMA, SCHEMA_HOLDER):
        raise EncodingError(
            "not an attestation of this version", where=f"{where}.schema", expected=f"{SCHEMA} or {SCHEMA_HOLDER}"
        )
    if schema == SCHEMA_HOLDER:
        return encoding.members(node, where, (*_REQUIRED, *_REQUIRED_HOLDER), _OPTIONAL_HOLDER)
    return encoding.members(node, where, _REQUIRED, _OPTIONAL)


def _parse(node: Json, where: str) -> Attestation:
    m = _members(node, where)
    issued_at = encoding.integer(m["issued_at"], f"{where}.issued_at", low=1, high=MAX_TIME)
    expires_at = encoding.integer(m["expires_at"], f"{where}.expires_at", low=1, high=MAX_TIME)
    if not issued_at < expires_at <= issued_at + MAX_LIFETIME:
        raise EncodingError("expires before it is issued, or lives too long", where=f"{where}.expires_at")
    registry_size = encoding.integer(m["registry_size"], f"{where}.registry_size", low=1, high=MAX_INSTRUMENTS)
    capacity = encoding.integer(m["tree_capacity"], f"{where}.tree_capacity", low=2, high=MAX_INSTRUMENTS)
    if capacity & (capacity - 1) or capacity < registry_size:
        raise EncodingError(
            "not a capacity for this registry", where=f"{where}.tree_capacity", expected="a power of two, large enough"
        )
    model = encoding.members(m["model"], f"{where}.model", ("name", "digest"))
    return Attestation(
        venue=encoding.string(m["venue"], f"{where}.venue", max_length=MAX_VENUE),
        signers=_signers(m["signers"], f"{where}.signers"),
        account=encoding.hex_bytes(m["account"], f"{where}.account", 32),
        chain=encoding.hex_bytes(m["chain"], f"{where}.chain", 32),
        issued_at=issued_at,
        expires_at=expires_at,
        audience=encoding.string(m["audience"], f"{where}.audience", max_length=MAX_AUDIENCE)
        if "audience" in m
        else None,
        nonce=encoding.string(m["nonce"], f"{where}.nonce", max_length=MAX_NONCE) if "nonce" in m else None,
        numeraire=encoding.string(m["numeraire"], f"{where}.numeraire", max_length=16),
        quantity_exponent=encoding.integer(
            m["quantity_exponent"], f"{where}.quantity_exponent", low=0, high=MAX_QUANTITY_EXPONENT
        ),
        registry_digest=encoding.hex_bytes(m["registry_digest"], f"{where}.registry_digest", 32),
        registry_size=registry_size,
        registry_root=encoding.hex_bytes(m["registry_root"], f"{where}.registry_root", 32),
        snapshot_digest=encoding.hex_bytes(m["snapshot_digest"], f"{where}.snapshot_digest", 32),
        snapshot_time=encoding.integer(m["snapshot_time"], f"{where}.snapshot_time", low=1, high=MAX_TIME),
        max_snapshot_age_seconds=encoding.integer(
            m["max_snapshot_age_seconds"], f"{where}.max_snapshot_age_seconds", low=0, high=MAX_TIME
        )
        if "max_snapshot_age_seconds" in m
        else None,
        model_name=encoding.string(model["name"], f"{where}.model.name", max_length=64),
        model_digest=encoding.hex_bytes(model["digest"], f"{where}.model.digest", 32),
        kernel=encoding.string(m["kernel"], f"{where}.kernel", max_length=64),
        array_digest=encoding.hex_bytes(m["array_digest"], f"{where}.array_digest", 32)
        if "array_digest" in m
        else None,
        positions_root=_field_element(m["positions_root"], f"{where}.positions_root"),
        tree_capacity=capacity,
        columns=Columns.from_document(m["columns"], registry_size, f"{where}.columns"),
        disclosed=Disclosed.from_document(m["disclosure"], f"{where}.disclosure"),
        holder=HolderBinding.from_document(m["holder"], f"{where}.holder") if "holder" in m else None,
        exclusive=ExclusiveWindow.from_document(m["exclusive"], f"{where}.exclusive") if "exclusive" in m else None,
    )


def _signers(node: Json, where: str) -> tuple[str, ...]:
    signers = tuple(key_id(x, where) for x in encoding.array(node, where, max_length=MAX_SIGNATURES))
    if not signers or any(a >= b for a, b in itertools.pairwise(signers)):
        raise EncodingError("no signer, not sorted, or one twice", where=where, expected="key ids, ascending")
    return signers


def _field_element(node: Json, where: str) -> bytes:
    data = encoding.hex_bytes(node, where, 32)
    if int.from_bytes(data, "little") >= _BN254_ORDER:
        raise EncodingError("not a reduced field element", where=where, expected="a number below BN254's group order")
    return data


def _point(node: Json, where: str) -> bytes:
    from riskproof.commit.points import known_point

    data = encoding.hex_bytes(node, where, POINT_BYTES)
    known_point(data, where)
    return data


def _amount(node: Json, where: str) -> int:
    return units.parse_integer(encoding.string(node, where, max_length=20), where)
