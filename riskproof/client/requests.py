"""Every call as a value: the method, the request, and how to read the answer. Both clients send these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from riskproof import encoding
from riskproof.attest.holder import ExclusiveWindow
from riskproof.client.values import (
    AttestationEntry,
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
from riskproof.errors import RemoteError
from riskproof.v1 import attestation_pb2, market_pb2, position_pb2, risk_pb2
from riskproof.verify import Check, CheckResult, Outcome, Verdict

T = TypeVar("T")


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call. decode: from the response message to the value."""

    method: str
    message: Message
    response: type[Message]
    decode: Callable[[Any], T]


_DISCLOSURES: Final = {
    Disclosure.DEFAULT: attestation_pb2.DISCLOSURE_POLICY_UNSPECIFIED,
    Disclosure.NONE: attestation_pb2.DISCLOSURE_POLICY_NONE,
    Disclosure.MARGIN: attestation_pb2.DISCLOSURE_POLICY_MARGIN,
    Disclosure.ARRAY: attestation_pb2.DISCLOSURE_POLICY_ARRAY,
}
_OUTCOMES: Final = {
    attestation_pb2.VERIFICATION_OUTCOME_VALID: Outcome.VALID,
    attestation_pb2.VERIFICATION_OUTCOME_INVALID: Outcome.INVALID,
    attestation_pb2.VERIFICATION_OUTCOME_MALFORMED: Outcome.MALFORMED,
}
_MARKET, _POSITION, _RISK, _ATTESTATION = (
    f"/riskproof.v1.{name}Service" for name in ("Market", "Position", "Risk", "Attestation")
)


def publish_snapshot(snapshot_json: bytes, registry_json: bytes) -> Request[PublishedSnapshot]:
    message = market_pb2.PublishSnapshotRequest(registry_json=registry_json, snapshot_json=snapshot_json)

    def decode(r: market_pb2.PublishSnapshotResponse) -> PublishedSnapshot:
        return PublishedSnapshot(r.registry_digest, r.snapshot_digest)

    return Request(f"{_MARKET}/PublishSnapshot", message, market_pb2.PublishSnapshotResponse, decode)


def get_registry(digest: bytes) -> Request[bytes]:
    message = market_pb2.GetRegistryRequest(registry_digest=digest)

    def decode(r: market_pb2.GetRegistryResponse) -> bytes:
        return _document(encoding.TAG_REGISTRY, r.registry_json, digest or r.registry_digest, "registry")

    return Request(f"{_MARKET}/GetRegistry", message, market_pb2.GetRegistryResponse, decode)


def get_snapshot(digest: bytes) -> Request[tuple[bytes, bytes]]:
    """The snapshot document, and the digest of its registry version."""
    message = market_pb2.GetSnapshotRequest(snapshot_digest=digest)

    def decode(r: market_pb2.GetSnapshotResponse) -> tuple[bytes, bytes]:
        document = _document(encoding.TAG_SNAPSHOT, r.snapshot_json, digest or r.snapshot_digest, "snapshot")
        return document, r.registry_digest

    return Request(f"{_MARKET}/GetSnapshot", message, market_pb2.GetSnapshotResponse, decode)


def list_snapshots(page_size: int, page_token: str) -> Request[Page[SnapshotSummary]]:
    message = market_pb2.ListSnapshotsRequest(page_size=page_size, page_token=page_token)

    def decode(r: market_pb2.ListSnapshotsResponse) -> Page[SnapshotSummary]:
        items = (SnapshotSummary(s.snapshot_digest, s.registry_digest, s.snapshot_time_seconds) for s in r.snapshots)
        return Page(tuple(items), r.next_page_token)

    return Request(f"{_MARKET}/ListSnapshots", message, market_pb2.ListSnapshotsResponse, decode)


def get_model(name: str) -> Request[bytes]:
    message = market_pb2.GetModelRequest(name=name)

    def decode(r: market_pb2.GetModelResponse) -> bytes:
        return _document(encoding.TAG_MODEL, r.model_json, r.model_digest, "model")

    return Request(f"{_MARKET}/GetModel", message, market_pb2.GetModelResponse, decode)


def open_account(account_id: str) -> Request[int]:
    """When the account was opened, seconds since the epoch."""
    message = position_pb2.OpenAccountRequest(account_id=account_id)

    def decode(r: position_pb2.OpenAccountResponse) -> int:
        return r.created_at_seconds

    return Request(f"{_POSITION}/OpenAccount", message, position_pb2.OpenAccountResponse, decode)


def set_holder(account_id: str, identity: str) -> Request[RecordedHolder]:
    message = position_pb2.SetHolderRequest(account_id=account_id, identity=identity)

    def decode(r: position_pb2.SetHolderResponse) -> RecordedHolder:
        return RecordedHolder(r.holder_number, r.recorded_at_seconds, r.replayed)

    return Request(f"{_POSITION}/SetHolder", message, position_pb2.SetHolderResponse, decode)


def record_trade(account_id: str, trade_id: str, legs: Iterable[Holding]) -> Request[RecordedTrade]:
    message = position_pb2.RecordTradeRequest(account_id=account_id, trade_id=trade_id, legs=_positions(legs))

    def decode(r: position_pb2.RecordTradeResponse) -> RecordedTrade:
        return RecordedTrade(r.position_version, r.replayed)

    return Request(f"{_POSITION}/RecordTrade", message, position_pb2.RecordTradeResponse, decode)


def get_positions(account_id: str) -> Request[Positions]:
    message = position_pb2.GetPositionsRequest(account_id=account_id)

    def decode(r: position_pb2.GetPositionsResponse) -> Positions:
        return Positions(r.position_version, tuple(Holding(p.instrument, p.lots) for p in r.positions))

    return Request(f"{_POSITION}/GetPositions", message, position_pb2.GetPositionsResponse, decode)


def compute_margin(
    account_id: str | None, book: Sequence[Holding] | None, snapshot_digest: bytes, model: str, with_greeks: bool
) -> Request[Margin]:
    message = risk_pb2.ComputeMarginRequest(snapshot_digest=snapshot_digest, model=model, with_greeks=with_greeks)
    if account_id is not None:
        message.account_id = account_id
    if book is not None:
        message.book.CopyFrom(risk_pb2.Book(positions=_positions(book)))

    def decode(r: risk_pb2.ComputeMarginResponse) -> Margin:
        return Margin(
            r.registry_digest,
            r.snapshot_digest,
            r.model_digest,
            r.array_digest,
            r.kernel,
            r.value_micros,
            tuple(ScenarioPnl(s.id, s.pnl_micros) for s in r.scenarios),
            r.worst_scenario_id,
            r.initial_margin_micros,
            r.maintenance_margin_micros,
            r.greeks_json,
            r.position_version,
        )

    return Request(f"{_RISK}/ComputeMargin", message, risk_pb2.ComputeMarginResponse, decode)


def compute_array(snapshot_digest: bytes, model: str) -> Request[risk_pb2.ComputeArrayResponse]:
    """A response stream; `riskproof.client.arrays` puts it together."""
    message = risk_pb2.ComputeArrayRequest(snapshot_digest=snapshot_digest, model=model)

    def decode(r: risk_pb2.ComputeArrayResponse) -> risk_pb2.ComputeArrayResponse:
        return r

    return Request(f"{_RISK}/ComputeArray", message, risk_pb2.ComputeArrayResponse, decode)


def create_attestation(
    account_id: str,
    request_id: str,
    *,
    snapshot_digest: bytes,
    model: str,
    disclosure: Disclosure,
    audience: str,
    nonce: str,
    ttl_seconds: int,
    holder_key: bytes,
    exclusive: ExclusiveWindow | None,
) -> Request[CreatedAttestation]:
    message = attestation_pb2.CreateAttestationRequest(
        account_id=account_id,
        request_id=request_id,
        snapshot_digest=snapshot_digest,
        model=model,
        disclosure=_DISCLOSURES[disclosure],
        audience=audience,
        nonce=nonce,
        ttl_seconds=ttl_seconds,
        holder_key=holder_key,
        exclusive_from_seconds=0 if exclusive is None else exclusive.start,
        exclusive_until_seconds=0 if exclusive is None else exclusive.until,
    )

    def decode(r: attestation_pb2.CreateAttestationResponse) -> CreatedAttestation:
        a = r.attestation
        return CreatedAttestation(
            a.account_id, a.sequence, a.attestation_digest, a.issued_at_seconds, a.attestation_json, r.replayed
        )

    return Request(f"{_ATTESTATION}/CreateAttestation", message, attestation_pb2.CreateAttestationResponse, decode)


def get_attestation(account_id: str, sequence: int) -> Request[AttestationEntry]:
    message = attestation_pb2.GetAttestationRequest(account_id=account_id, sequence=sequence)

    def decode(r: attestation_pb2.GetAttestationResponse) -> AttestationEntry:
        return _entry(r.attestation)

    return Request(f"{_ATTESTATION}/GetAttestation", message, attestation_pb2.GetAttestationResponse, decode)


def list_attestations(account_id: str, page_size: int, page_token: str) -> Request[Page[AttestationEntry]]:
    message = attestation_pb2.ListAttestationsRequest(account_id=account_id, page_size=page_size, page_token=page_token)

    def decode(r: attestation_pb2.ListAttestationsResponse) -> Page[AttestationEntry]:
        return Page(tuple(_entry(a) for a in r.attestations), r.next_page_token)

    return Request(f"{_ATTESTATION}/ListAttestations", message, attestation_pb2.ListAttestationsResponse, decode)


def verify_attestation(
    attestation: bytes, *, keys: bytes, audience: str, nonce: str, recompute: bool, opening: bytes
) -> Request[Verdict]:
    message = attestation_pb2.VerifyAttestationRequest(
        attestation_json=attestation,
        key_set_json=keys,
        audience=audience,
        nonce=nonce,
        recompute=recompute,
        opening_json=opening,
    )

    def decode(r: attestation_pb2.VerifyAttestationResponse) -> Verdict:
        if r.outcome not in _OUTCOMES:
            raise RemoteError(f"outcome {r.outcome}", where="VerifyAttestation", expected="a server of this version")
        known = r.failed_check in tuple(Check)
        return Verdict(
            _OUTCOMES[r.outcome],
            r.failed_check or None,
            Check(r.failed_check).title if known else "",
            r.reason,
            tuple(CheckResult(c.number, c.name) for c in r.passed_checks),
            tuple(r.notes),
        )

    return Request(f"{_ATTESTATION}/VerifyAttestation", message, attestation_pb2.VerifyAttestationResponse, decode)


def get_opening(account_id: str, sequence: int) -> Request[bytes]:
    message = attestation_pb2.GetOpeningRequest(account_id=account_id, sequence=sequence)

    def decode(r: attestation_pb2.GetOpeningResponse) -> bytes:
        return r.opening_json

    return Request(f"{_ATTESTATION}/GetOpening", message, attestation_pb2.GetOpeningResponse, decode)


def get_key_set() -> Request[bytes]:
    def decode(r: attestation_pb2.GetKeySetResponse) -> bytes:
        return r.key_set_json

    message = attestation_pb2.GetKeySetRequest()
    return Request(f"{_ATTESTATION}/GetKeySet", message, attestation_pb2.GetKeySetResponse, decode)


def health_check() -> Request[bool]:
    def decode(r: health_pb2.HealthCheckResponse) -> bool:
        return bool(r.status == health_pb2.HealthCheckResponse.SERVING)

    return Request(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse, decode
    )


def _positions(holdings: Iterable[Holding]) -> list[position_pb2.Position]:
    return [position_pb2.Position(instrument=h.instrument, lots=h.lots) for h in holdings]


def _entry(a: attestation_pb2.Attestation) -> AttestationEntry:
    return AttestationEntry(a.account_id, a.sequence, a.attestation_digest, a.issued_at_seconds, a.attestation_json)


def _document(tag: str, document: bytes, digest: bytes, what: str) -> bytes:
    if encoding.digest(tag, document) != digest:
        raise RemoteError(f"the {what} is not what its digest names", where=what, expected=digest.hex())
    return document
