"""Section 3 of docs/protocol.md: challenge, attestation and proof, from canonical JSON (RFC 8785).

Parsing is strict: what a canonical writer would not have made is malformed, and so are missing and unknown members. Of an
attestation only what a net-risk proof relies on is read; the signatures on it and the rest of it are the caller's checks 1 to 9.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from riskproof.reference import signature
from riskproof.reference.groups import digest, point
from riskproof.reference.outcomes import Malformed

Json = Any
COLUMN_SIZES: Final = (256, 512, 1024, 2048)
_MAX_SAFE: Final = 2**53 - 1
_LONGEST: Final = 366 * 86_400
_MAX_DEPTH: Final = 32  # of arrays and objects
_MAX_TIME: Final = 253_402_300_799  # the last second of the year 9999

_ATTESTATION = [
    *("schema", "venue", "signers", "account", "chain", "issued_at", "expires_at", "audience", "nonce", "numeraire"),
    *("quantity_exponent", "registry_digest", "registry_size", "registry_root", "snapshot_digest", "snapshot_time"),
    *("max_snapshot_age_seconds", "model", "kernel", "array_digest", "positions_root", "tree_capacity", "columns"),
    *("disclosure", "holder", "exclusive"),
]
_CHALLENGE = [
    *("schema", "audience", "nonce", "issued_at", "expires_at", "statement", "bound_micros", "model"),
    *("max_skew_seconds", "exclusive", "numeraire", "slack_bits", "max_age_seconds", "requirement"),
]
_PROOF = ["schema", "challenge_digest", "attestation_digests", "proof", "identity_proof", "holder_signature"]


@dataclass(frozen=True)
class Challenge:
    """digest: 32 bytes; times in seconds; the last three are None if the challenge does not name them."""

    digest: bytes
    audience: str
    nonce: bytes
    issued_at: int
    expires_at: int
    statement: str
    bound_micros: int
    model_digest: bytes
    max_skew_seconds: int
    exclusive: bool
    numeraire: str | None
    slack_bits: int | None
    max_age_seconds: int | None


@dataclass(frozen=True)
class Attestation:
    """columns: pairs (column number, 48 bytes) of the live ones; exclusive: (from, until) or None; the rest as in the document."""

    digest: bytes
    venue: str
    signers: tuple[str, ...]
    audience: str
    issued_at: int
    snapshot_time: int
    registry_digest: bytes
    snapshot_digest: bytes
    numeraire: str
    n: int
    columns: tuple[tuple[int, bytes], ...]
    key: bytes
    identity: bytes
    tag: bytes
    tag_epoch: int
    exclusive: tuple[int, int] | None


@dataclass(frozen=True)
class Proof:
    """identity_proof: 80 bytes, or None for one attestation."""

    challenge_digest: bytes
    attestation_digests: tuple[bytes, ...]
    proof: bytes
    identity_proof: bytes | None
    holder_signature: bytes


def attestation_digest(data: bytes) -> bytes:
    """32 bytes that name an attestation, given as payload or as envelope (ValueError if it is neither)."""
    try:
        return digest("riskproof/attestation/v1", payload(data))
    except Malformed as error:
        raise ValueError(str(error)) from None


def payload(data: bytes) -> bytes:
    """The payload of a DSSE envelope, or the bytes themselves if they are none (Malformed)."""
    node = _canonical(data, "attestation")
    if not isinstance(node, dict) or "payload" not in node:
        return data
    _members(node, "envelope", ["payload", "payloadType", "signatures"])
    return _base64(node["payload"], "envelope.payload")


def parse_challenge(data: bytes) -> Challenge:
    """Malformed unless the bytes are a challenge."""
    m = _members(
        _canonical(data, "challenge"),
        "challenge",
        _CHALLENGE,
        ("numeraire", "slack_bits", "max_age_seconds", "requirement"),
    )
    _one_of(m["schema"], "challenge.schema", ("riskproof/challenge/v1",))
    model = _members(m["model"], "challenge.model", ["digest", "document", "name"], ("document",))
    _string(model["name"], "challenge.model.name", 64)
    model_digest = _hex(model["digest"], "challenge.model.digest", 32)
    if "document" in model and digest("riskproof/model/v1", _dump(model["document"])) != model_digest:
        raise Malformed("challenge.model.document: its digest is not model.digest")
    issued_at, expires_at = (_time(m[name], f"challenge.{name}") for name in ("issued_at", "expires_at"))
    if issued_at >= expires_at:
        raise Malformed("challenge.expires_at: not after issued_at")
    if expires_at > issued_at + _LONGEST:
        raise Malformed("challenge.expires_at: more than 366 days after issued_at")
    if not isinstance(m["exclusive"], bool):
        raise Malformed("challenge.exclusive: neither true nor false")
    bits = m.get("slack_bits")
    if "slack_bits" in m and _integer(bits, "challenge.slack_bits", 8, 128) % 8:
        raise Malformed("challenge.slack_bits: not a multiple of 8")
    return Challenge(
        digest=digest("riskproof/challenge/v1", data),
        audience=_string(m["audience"], "challenge.audience", 128),
        nonce=_hex(m["nonce"], "challenge.nonce", 32),
        issued_at=issued_at,
        expires_at=expires_at,
        statement=_statement(m),
        bound_micros=_amount(m["bound_micros"], "challenge.bound_micros"),
        model_digest=model_digest,
        max_skew_seconds=_integer(m["max_skew_seconds"], "challenge.max_skew_seconds", 0, _LONGEST),
        exclusive=m["exclusive"],
        numeraire=_string(m["numeraire"], "challenge.numeraire", 16) if "numeraire" in m else None,
        slack_bits=bits,
        max_age_seconds=_integer(m["max_age_seconds"], "challenge.max_age_seconds", 0, _LONGEST)
        if "max_age_seconds" in m
        else None,
    )


def _statement(m: dict[str, Any]) -> str:
    """The statement; sections 2.6 and 3: `requirement` belongs to `margin` and `excess`, and to no other."""
    statement = str(_one_of(m["statement"], "challenge.statement", ("loss", "solvency", "margin", "excess")))
    if ("requirement" in m) != (statement in ("margin", "excess")):
        raise Malformed("challenge.requirement: missing, or of another statement")
    if "requirement" in m:
        _one_of(m["requirement"], "challenge.requirement", ("initial", "maintenance"))
    return statement


def parse_attestation(data: bytes) -> Attestation:
    """The payload of an attestation with a holder, schema v2, bare or in its envelope (Malformed)."""
    data = payload(data)
    node = _canonical(data, "attestation")
    optional = ("array_digest", "exclusive", "max_snapshot_age_seconds", "nonce")
    m = _members(node, "attestation", _ATTESTATION, optional)
    _one_of(m["schema"], "attestation.schema", ("riskproof/attestation/v2",))
    holder = _members(m["holder"], "attestation.holder", ["identity", "key", "tag", "tag_epoch"])
    key = _hex(holder["key"], "attestation.holder.key", 32)
    if not signature.is_public_key(key):
        raise Malformed("attestation.holder.key: not an Ed25519 key of prime order")
    identity = _hex(holder["identity"], "attestation.holder.identity", 48)
    point(identity, "attestation.holder.identity")
    return Attestation(
        digest=digest("riskproof/attestation/v1", data),
        venue=_string(m["venue"], "attestation.venue", 128),
        signers=tuple(_string(x, "attestation.signers", 43) for x in _list(m["signers"], "attestation.signers")),
        audience=_string(m["audience"], "attestation.audience", 128),
        issued_at=_time(m["issued_at"], "attestation.issued_at"),
        snapshot_time=_time(m["snapshot_time"], "attestation.snapshot_time"),
        registry_digest=_hex(m["registry_digest"], "attestation.registry_digest", 32),
        snapshot_digest=_hex(m["snapshot_digest"], "attestation.snapshot_digest", 32),
        numeraire=_string(m["numeraire"], "attestation.numeraire", 16),
        n=_one_of(
            _members(m["columns"], "columns", ["commitments", "retired", "size"])["size"], "columns.size", COLUMN_SIZES
        ),
        columns=_columns(m["columns"], _integer(m["registry_size"], "attestation.registry_size", 1, _MAX_SAFE)),
        key=key,
        identity=identity,
        tag=_hex(holder["tag"], "attestation.holder.tag", 32),
        tag_epoch=_integer(holder["tag_epoch"], "attestation.holder.tag_epoch", 0, _MAX_SAFE),
        exclusive=_window(m["exclusive"]) if "exclusive" in m else None,
    )


def parse_proof(data: bytes) -> Proof:
    """Malformed unless the bytes are a proof document; the bytes of section 5 in it are not looked into."""
    m = _members(_canonical(data, "proof"), "proof", _PROOF, ("identity_proof",))
    _one_of(m["schema"], "proof.schema", ("riskproof/proof/v1",))
    digests = [
        _hex(x, "proof.attestation_digests", 32) for x in _list(m["attestation_digests"], "proof.attestation_digests")
    ]
    if not digests or any(a >= b for a, b in itertools.pairwise(digests)):
        raise Malformed("proof.attestation_digests: none, not ascending, or one twice")
    if ("identity_proof" in m) != (len(digests) >= 2):
        raise Malformed("proof.identity_proof: there if and only if there are two attestations or more")
    return Proof(
        challenge_digest=_hex(m["challenge_digest"], "proof.challenge_digest", 32),
        attestation_digests=tuple(digests),
        proof=_base64(m["proof"], "proof.proof"),
        identity_proof=_base64(m["identity_proof"], "proof.identity_proof", 80) if "identity_proof" in m else None,
        holder_signature=_base64(m["holder_signature"], "proof.holder_signature", 64),
    )


def _columns(m: dict[str, Json], registry_size: int) -> tuple[tuple[int, bytes], ...]:
    """Live columns with their numbers: all numbers from 0 on, without the retired ones."""
    count = -(-registry_size // m["size"])
    retired = [_integer(x, "columns.retired", 0, count - 1) for x in _list(m["retired"], "columns.retired")]
    if any(a >= b for a, b in itertools.pairwise(retired)):
        raise Malformed("columns.retired: not ascending")
    points = [_hex(x, "columns.commitments", 48) for x in _list(m["commitments"], "columns.commitments")]
    if not points or len(points) + len(retired) != count:
        raise Malformed("columns: not the columns of a registry of this size")
    for x in points:
        point(x, "columns.commitments")
    live = (number for number in range(count) if number not in retired)
    return tuple(zip(live, points, strict=True))


def _window(node: Json) -> tuple[int, int]:
    m = _members(node, "attestation.exclusive", ["from", "until"])
    start, until = _time(m["from"], "attestation.exclusive.from"), _time(m["until"], "attestation.exclusive.until")
    if start >= until:
        raise Malformed("attestation.exclusive: empty window")
    return start, until


def _dump(node: Json) -> bytes:
    """RFC 8785: members in the order of their names' UTF-16 code units, no white space, only the escapes that JSON demands."""

    def ordered(node: Json) -> Json:
        if isinstance(node, dict):
            return {name: ordered(node[name]) for name in sorted(node, key=lambda s: s.encode("utf-16-be"))}
        return [ordered(x) for x in node] if isinstance(node, list) else node

    return json.dumps(ordered(node), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def _canonical(data: bytes, where: str) -> Json:
    """The document of which `data` are the canonical bytes (Malformed)."""
    try:
        text = data.decode("utf-8")
        if _depth(text) > _MAX_DEPTH:
            raise Malformed(f"{where}: nested too deeply")
        node = json.loads(text, parse_int=_parse_int, parse_float=_no_number, parse_constant=_no_number)
        again = _dump(node)
    except ValueError:  # not UTF-8, not JSON, a lone surrogate, a fraction
        raise Malformed(f"{where}: not JSON of integers and strings") from None
    if again != data:
        raise Malformed(f"{where}: not canonical JSON")
    return node


def _depth(text: str) -> int:
    """Greatest nesting, before the decoder recurses into it: py_ecc lifts the interpreter's limit, and the stack would overflow."""
    outside = re.sub(r'"[^"]*"?', "", re.sub(r"\\.", "", text))
    return max(itertools.accumulate((bracket in "[{") - (bracket in "]}") for bracket in outside), default=0)


def _parse_int(text: str) -> int:
    if abs(int(text)) > _MAX_SAFE:
        raise ValueError("beyond 2^53 - 1")
    return int(text)


def _no_number(text: str) -> Json:
    raise ValueError("not an integer")


def _members(node: Json, where: str, names: list[str], optional: tuple[str, ...] = ()) -> dict[str, Json]:
    if not isinstance(node, dict):
        raise Malformed(f"{where}: not an object")
    for name in names:
        if name not in node and name not in optional:
            raise Malformed(f"{where}: member {name} is missing")
    if not set(node) <= set(names):
        raise Malformed(f"{where}: unknown member")
    return node


def _list(node: Json, where: str) -> list[Json]:
    if not isinstance(node, list):
        raise Malformed(f"{where}: not an array")
    return node


def _one_of(node: Json, where: str, values: tuple[Json, ...]) -> Json:
    if isinstance(node, bool) or node not in values:
        raise Malformed(f"{where}: not one of {', '.join(map(str, values))}")
    return node


def _string(node: Json, where: str, longest: int) -> str:
    if not isinstance(node, str) or not 0 < len(node) <= longest or not node.isprintable():
        raise Malformed(f"{where}: not 1 to {longest} printable characters")
    return node


def _integer(node: Json, where: str, low: int, high: int) -> int:
    if not isinstance(node, int) or isinstance(node, bool) or not low <= node <= high:
        raise Malformed(f"{where}: not an integer from {low} to {high}")
    return node


def _time(node: Json, where: str) -> int:
    return _integer(node, where, 1, _MAX_TIME)


def _amount(node: Json, where: str) -> int:
    """A decimal string from 0 to 2^63 - 1 without sign or leading zeros."""
    if (
        not isinstance(node, str)
        or not node.isascii()
        or not node.isdigit()
        or len(node) > 19
        or str(int(node)) != node
    ):
        raise Malformed(f"{where}: not a decimal string")
    if int(node) >= 2**63:
        raise Malformed(f"{where}: above 2^63 - 1")
    return int(node)


def _hex(node: Json, where: str, length: int) -> bytes:
    if not isinstance(node, str) or len(node) != 2 * length or not set(node) <= set("0123456789abcdef"):
        raise Malformed(f"{where}: not {length} bytes in lower-case hexadecimal")
    return bytes.fromhex(node)


def _base64(node: Json, where: str, length: int | None = None) -> bytes:
    """Standard base64 with padding, spelled as a writer spells it (Malformed)."""
    try:
        data = base64.b64decode(node, validate=True) if isinstance(node, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None or base64.b64encode(data).decode("ascii") != node:
        raise Malformed(f"{where}: not standard base64")
    if length is not None and len(data) != length:
        raise Malformed(f"{where}: {len(data)} bytes, not {length}")
    return data
