"""Every call as a value: the method, the request, and how to read the answer. Both clients send these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from riskproof import encoding
from riskproof.attest.holder import ExclusiveWindow
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
from riskproof.errors import InputError, RemoteError
from riskproof.v1 import attestation_pb2, market_pb2, position_pb2, proof_pb2, risk_pb2
from riskproof.verify import Check, CheckResult, Outcome, Verdict

if TYPE_CHECKING:
    from riskproof.verify.net_risk import ProofCase, ProofVerdict

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
_STATEMENTS: Final = {
    "loss": proof_pb2.PROOF_STATEMENT_LOSS,
    "solvency": proof_pb2.PROOF_STATEMENT_SOLVENCY,
    "margin": proof_pb2.PROOF_STATEMENT_MARGIN,
    "excess": proof_pb2.PROOF_STATEMENT_EXCESS,
}
_REQUIREMENTS: Final = {
    "": proof_pb2.MARGIN_REQUIREMENT_UNSPECIFIED,
    "initial": proof_pb2.MARGIN_REQUIREMENT_INITIAL,
    "maintenance": proof_pb2.MARGIN_REQUIREMENT_MAINTENANCE,
}
_MARKET, _POSITION, _RISK, _ATTESTATION, _PROOF = (
    f"/riskproof.v1.{name}Service" for name in ("Market", "Position", "Risk", "Attestation", "Proof")
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
    _fits(32, page_size=page_size)
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
    _fits(ttl_seconds=ttl_seconds)
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
    _fits(sequence=sequence)
    message = attestation_pb2.GetAttestationRequest(account_id=account_id, sequence=sequence)

    def decode(r: attestation_pb2.GetAttestationResponse) -> AttestationEntry:
        return _entry(r.attestation)

    return Request(f"{_ATTESTATION}/GetAttestation", message, attestation_pb2.GetAttestationResponse, decode)


def list_attestations(account_id: str, page_size: int, page_token: str) -> Request[Page[AttestationEntry]]:
    _fits(32, page_size=page_size)
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
    _fits(sequence=sequence)
    message = attestation_pb2.GetOpeningRequest(account_id=account_id, sequence=sequence)

    def decode(r: attestation_pb2.GetOpeningResponse) -> bytes:
        return r.opening_json

    return Request(f"{_ATTESTATION}/GetOpening", message, attestation_pb2.GetOpeningResponse, decode)


def get_key_set() -> Request[bytes]:
    def decode(r: attestation_pb2.GetKeySetResponse) -> bytes:
        return r.key_set_json

    message = attestation_pb2.GetKeySetRequest()
    return Request(f"{_ATTESTATION}/GetKeySet", message, attestation_pb2.GetKeySetResponse, decode)


def create_challenge(
    *,
    bound_micros: int,
    audience: str,
    statement: str,
    requirement: str,
    model: str | bytes,
    max_skew_seconds: int | None,
    max_age_seconds: int | None,
    exclusive: bool,
    ttl_seconds: int,
    numeraire: str,
) -> Request[bytes]:
    if statement not in _STATEMENTS:
        raise InputError(f"no statement {statement!r}", where="statement", expected=" or ".join(_STATEMENTS))
    if requirement not in _REQUIREMENTS:
        raise InputError(f"no requirement {requirement!r}", where="requirement", expected="initial or maintenance")
    _fits(
        bound_micros=bound_micros,
        max_skew_seconds=max_skew_seconds,
        max_age_seconds=max_age_seconds,
        ttl_seconds=ttl_seconds,
    )
    message = proof_pb2.CreateChallengeRequest(
        audience=audience,
        bound_micros=bound_micros,
        statement=_STATEMENTS[statement],
        requirement=_REQUIREMENTS[requirement],
        max_skew_seconds=max_skew_seconds,
        max_age_seconds=max_age_seconds,
        exclusive=exclusive,
        ttl_seconds=ttl_seconds,
        numeraire=numeraire,
    )
    if isinstance(model, bytes):
        message.model_json = model
    else:
        message.model = model

    def decode(r: proof_pb2.CreateChallengeResponse) -> bytes:
        return _document(encoding.TAG_CHALLENGE, r.challenge_json, r.challenge_digest, "challenge")

    return Request(f"{_PROOF}/CreateChallenge", message, proof_pb2.CreateChallengeResponse, decode)


def prove(
    account_id: str,
    challenge: bytes,
    digests: Sequence[bytes],
    brought: Sequence[BroughtAccount],
    holder_key: bytes,
    allow_tight_bound: bool,
) -> Request[proof_pb2.ProveResponse]:
    """A response stream; `riskproof.client.proofs` reads it. digests: of the account's own attestations."""
    message = proof_pb2.ProveRequest(
        account_id=account_id,
        challenge_json=challenge,
        attestation_digests=digests,
        brought=[
            proof_pb2.BroughtAttestation(attestation_json=b.attestation, opening_json=b.opening, market_json=b.market)
            for b in brought
        ],
        holder_key=holder_key,
        allow_tight_bound=allow_tight_bound,
    )

    def decode(r: proof_pb2.ProveResponse) -> proof_pb2.ProveResponse:
        return r

    return Request(f"{_PROOF}/Prove", message, proof_pb2.ProveResponse, decode)


def verify_proof(case: ProofCase) -> Request[ProofVerdict]:
    markets: dict[bytes, int] = {}
    message = proof_pb2.VerifyProofRequest(answer=_answer(case, markets), markets_json=markets)

    def decode(r: proof_pb2.VerifyProofResponse) -> ProofVerdict:
        return _proof_verdict(r.verdict, case)

    return Request(f"{_PROOF}/VerifyProof", message, proof_pb2.VerifyProofResponse, decode)


def verify_proofs(cases: Sequence[ProofCase]) -> Request[list[ProofVerdict]]:
    markets: dict[bytes, int] = {}
    message = proof_pb2.VerifyProofsRequest(answers=[_answer(case, markets) for case in cases], markets_json=markets)

    def decode(r: proof_pb2.VerifyProofsResponse) -> list[ProofVerdict]:
        if len(r.verdicts) != len(cases):
            raise RemoteError(f"{len(r.verdicts)} verdicts", where="VerifyProofs", expected=f"{len(cases)}")
        return [_proof_verdict(verdict, case) for verdict, case in zip(r.verdicts, cases, strict=True)]

    return Request(f"{_PROOF}/VerifyProofs", message, proof_pb2.VerifyProofsResponse, decode)


def _answer(case: ProofCase, markets: dict[bytes, int]) -> proof_pb2.ProofAnswer:
    """markets: those of the request, numbered from 1; what is new is added."""
    count = len(case.attestations)
    if len(case.keys) != count or len(case.markets) != count:
        raise InputError(
            f"{count} attestations, {len(case.keys)} key sets and {len(case.markets)} markets",
            where="attestations",
            expected='one key set and one market for each attestation, or b"" for the server\'s',
        )
    inputs = [
        proof_pb2.AttestationInput(
            attestation_json=attestation,
            key_set_json=keys if isinstance(keys, bytes) else keys.to_bytes(),
            market_number=markets.setdefault(market, len(markets) + 1) if market else 0,
        )
        for attestation, keys, market in zip(case.attestations, case.keys, case.markets, strict=True)
    ]
    return proof_pb2.ProofAnswer(
        proof_json=case.proof, challenge_json=case.challenge, attestations=inputs, model_json=case.model or b""
    )


def _proof_verdict(r: proof_pb2.ProofVerdict, case: ProofCase) -> ProofVerdict:
    from riskproof.attest.envelope import Envelope
    from riskproof.attest.payload import Attestation
    from riskproof.proof.challenge import Challenge
    from riskproof.verify.net_risk import ProofVerdict

    if r.outcome not in _OUTCOMES:
        raise RemoteError(f"outcome {r.outcome}", where="VerifyProof", expected="a server of this version")
    outcome, known = _OUTCOMES[r.outcome], r.failed_check in tuple(Check)
    valid = outcome is Outcome.VALID
    try:
        challenge = Challenge.from_bytes(case.challenge) if valid else None
        read = [Attestation.from_bytes(Envelope.from_bytes(a).payload) for a in case.attestations] if valid else []
    except InputError as error:
        raise RemoteError(f"called valid, and cannot be read: {error}", where="VerifyProof") from None
    return ProofVerdict(
        outcome,
        r.failed_check or None,
        Check(r.failed_check).title if known else "",
        r.reason,
        tuple(CheckResult(c.number, c.name) for c in r.passed_checks),
        tuple(r.notes),
        challenge,
        tuple(sorted(read, key=lambda a: a.digest)),
        tuple(r.proved),
        tuple(r.trusted),
        tuple(r.not_proved),
    )


def health_check() -> Request[bool]:
    def decode(r: health_pb2.HealthCheckResponse) -> bool:
        return bool(r.status == health_pb2.HealthCheckResponse.SERVING)

    return Request(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse, decode
    )


def _positions(holdings: Iterable[Holding]) -> list[position_pb2.Position]:
    positions = []
    for holding in holdings:
        _fits(lots=holding.lots)
        positions.append(position_pb2.Position(instrument=holding.instrument, lots=holding.lots))
    return positions


def _fits(bits: int = 64, **numbers: int | None) -> None:
    """InputError unless each number fits its field, a signed integer of so many bits; protobuf would raise a ValueError."""
    for where, number in numbers.items():
        if number is not None and not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise InputError(f"does not fit {bits} bits", where=where, expected=f"below 2^{bits - 1} in size")


def _entry(a: attestation_pb2.Attestation) -> AttestationEntry:
    return AttestationEntry(a.account_id, a.sequence, a.attestation_digest, a.issued_at_seconds, a.attestation_json)


def _document(tag: str, document: bytes, digest: bytes, what: str) -> bytes:
    if encoding.digest(tag, document) != digest:
        raise RemoteError(f"the {what} is not what its digest names", where=what, expected=digest.hex())
    return document
