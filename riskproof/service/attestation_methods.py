"""AttestationService: attest, fetch, list, verify, open."""

from __future__ import annotations

from typing import Final

from riskproof import encoding
from riskproof.attest.build import AttestationRequest, build_attestation
from riskproof.attest.keyset import KeySet
from riskproof.attest.payload import MAX_AUDIENCE, MAX_NONCE, Policy
from riskproof.errors import InputError, NotFoundError, SnapshotError
from riskproof.market.marketfile import Market
from riskproof.service.books import BookState
from riskproof.service.calls import Call
from riskproof.service.pages import page_size, page_start, page_token
from riskproof.service.venue import Venue
from riskproof.store import AttestationRecord, StoredAttestation
from riskproof.v1 import attestation_pb2 as pb
from riskproof.verify import Outcome, Verdict, verify_attestation

_POLICIES: Final = {
    pb.DISCLOSURE_POLICY_NONE: Policy.NONE,
    pb.DISCLOSURE_POLICY_MARGIN: Policy.MARGIN,
    pb.DISCLOSURE_POLICY_ARRAY: Policy.ARRAY,
}
_OUTCOMES: Final = {
    Outcome.VALID: pb.VERIFICATION_OUTCOME_VALID,
    Outcome.INVALID: pb.VERIFICATION_OUTCOME_INVALID,
    Outcome.MALFORMED: pb.VERIFICATION_OUTCOME_MALFORMED,
}


class AttestationMethods:
    """Implements riskproof.v1.AttestationService."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._default_policy = Policy(venue.config.attestation.default_disclosure)

    async def CreateAttestation(self, request: pb.CreateAttestationRequest, _: Call) -> pb.CreateAttestationResponse:
        venue, limits = self._venue, self._venue.config.attestation
        model, snapshot = venue.model(request.model), venue.snapshot_digest(request.snapshot_digest)
        policy, ttl = self._policy(request.disclosure), request.ttl_seconds or limits.default_ttl_seconds
        if not 0 < ttl <= limits.max_ttl_seconds:
            raise InputError(f"life of {ttl} s", where="ttl_seconds", expected=f"0 to {limits.max_ttl_seconds}")
        audience = _name(request.audience, "audience", MAX_AUDIENCE)
        nonce = _name(request.nonce, "nonce", MAX_NONCE)
        max_age = min(limits.max_snapshot_age_seconds, model.max_snapshot_age_seconds)
        priced = venue.arrays.ready(snapshot, model) or await venue.arrays.get(snapshot, model)

        def build(state: BookState, sequence: int, previous_digest: bytes) -> AttestationRecord:
            issued_at = venue.now()
            _check_age(issued_at - priced.market.snapshot.time, max_age)
            venue.check_key(issued_at)
            built = build_attestation(
                AttestationRequest(
                    venue=venue.key.venue,
                    account_id=request.account_id,
                    book=state.book,
                    market=priced.market,
                    model=model,
                    array=priced.array,
                    risk=state.risk,
                    policy=policy,
                    sequence=sequence,
                    previous_digest=previous_digest,
                    issued_at=issued_at,
                    ttl=ttl,
                    audience=audience,
                    nonce=nonce,
                    max_snapshot_age=max_age,
                    retired=_retired(state),
                ),
                venue.key,
            )
            return AttestationRecord(built.digest, built.attestation, built.opening, issued_at)

        digest = _request_digest(request)
        stored = await venue.books.attest(request.account_id, request.request_id, digest, priced, build)
        if not stored.replayed:
            venue.metrics.attestations.inc()
        return pb.CreateAttestationResponse(attestation=_message(stored), replayed=stored.replayed)

    def _policy(self, disclosure: pb.DisclosurePolicy.ValueType) -> Policy:
        if disclosure == pb.DISCLOSURE_POLICY_UNSPECIFIED:
            return self._default_policy
        try:
            return _POLICIES[disclosure]
        except KeyError:
            raise InputError(
                f"no disclosure policy {disclosure}", where="disclosure", expected="none, margin or array"
            ) from None

    async def GetAttestation(self, request: pb.GetAttestationRequest, _: Call) -> pb.GetAttestationResponse:
        sequence = _sequence(request.sequence)
        stored = await self._venue.on_reader(self._venue.ledger.attestation, request.account_id, sequence)
        return pb.GetAttestationResponse(attestation=_message(stored))

    async def ListAttestations(self, request: pb.ListAttestationsRequest, _: Call) -> pb.ListAttestationsResponse:
        size, after = page_size(request.page_size), page_start(request.page_token) if request.page_token else 0
        ledger = self._venue.ledger
        stored = await self._venue.on_reader(ledger.list_attestations, request.account_id, after, size)
        return pb.ListAttestationsResponse(
            attestations=[_message(a) for a in stored],
            next_page_token=page_token(stored[-1].sequence) if len(stored) == size else "",
        )

    async def GetOpening(self, request: pb.GetOpeningRequest, _: Call) -> pb.GetOpeningResponse:
        sequence = _sequence(request.sequence)
        opening = await self._venue.on_reader(self._venue.ledger.opening, request.account_id, sequence)
        return pb.GetOpeningResponse(opening_json=opening)

    async def GetKeySet(self, _request: pb.GetKeySetRequest, _: Call) -> pb.GetKeySetResponse:
        return pb.GetKeySetResponse(key_set_json=self._venue.key_set.to_bytes())

    async def VerifyAttestation(self, request: pb.VerifyAttestationRequest, _: Call) -> pb.VerifyAttestationResponse:
        return await self._venue.on_kernel(self._verify, request)

    def _verify(self, request: pb.VerifyAttestationRequest) -> pb.VerifyAttestationResponse:
        keys = KeySet.from_bytes(request.key_set_json) if request.key_set_json else self._venue.key_set
        market: bytes | None = None
        model: bytes | None = None
        missing = ""

        def verify() -> Verdict:
            return verify_attestation(
                request.attestation_json,
                keys,
                now=self._venue.now(),
                audience=request.audience or None,
                nonce=request.nonce or None,
                market=market,
                model=model,
                opening=request.opening_json or None,
            )

        if request.recompute or request.opening_json:
            statement = verify_attestation(
                request.attestation_json,
                keys,
                now=self._venue.now(),
                audience=request.audience or None,
                nonce=request.nonce or None,
            )
            if statement.outcome is not Outcome.VALID or statement.attestation is None:
                return _verdict(statement)
            ledger = self._venue.ledger
            try:
                snapshot = ledger.snapshot(statement.attestation.snapshot_digest)
                market = Market(ledger.registry(snapshot.registry_digest), snapshot).to_bytes()
                model = ledger.model(statement.attestation.model_digest).document
            except NotFoundError as error:
                market, missing = None, f"not recomputed: {error.what}"
        return _verdict(verify(), missing)


def _verdict(verdict: Verdict, note: str = "") -> pb.VerifyAttestationResponse:
    return pb.VerifyAttestationResponse(
        outcome=_OUTCOMES[verdict.outcome],
        failed_check=verdict.failed_check or 0,
        reason=verdict.reason,
        passed_checks=[pb.PassedCheck(number=c.number, name=c.name) for c in verdict.checks],
        notes=[*verdict.notes, *([note] if note else [])],
    )


def _message(stored: StoredAttestation) -> pb.Attestation:
    return pb.Attestation(
        account_id=stored.account_id,
        sequence=stored.sequence,
        attestation_digest=stored.digest,
        issued_at_seconds=stored.issued_at,
        attestation_json=stored.attestation,
    )


def _request_digest(request: pb.CreateAttestationRequest) -> bytes:
    """Names what was asked for, so that a request id cannot be used for two things. Framed fields, not protobuf bytes."""
    parts = (
        request.snapshot_digest,
        request.model.encode(),
        str(request.disclosure).encode(),
        request.audience.encode(),
        request.nonce.encode(),
        str(request.ttl_seconds).encode(),
    )
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return encoding.digest(encoding.TAG_ATTESTATION_REQUEST, framed)


def _check_age(age: int, max_age: int) -> None:
    if age > max_age:
        raise SnapshotError(f"the snapshot is {age} s old", where="snapshot", expected=f"at most {max_age} s")
    if age < 0:
        raise SnapshotError(
            f"the snapshot is {-age} s in the future", where="snapshot", expected="a time that has passed"
        )


def _retired(state: BookState) -> tuple[int, ...]:
    """Columns to leave out: all expired, nothing held; one column always stays."""
    expired, registry = state.priced.expired_columns, state.priced.market.registry
    if not expired:
        return ()
    held = {index // registry.column_size for index, _ in state.book.portfolio.positions}
    return tuple(j for j in expired if j not in held)[: registry.columns - 1]


def _name(text: str, where: str, longest: int) -> str | None:
    if not text:
        return None
    if len(text) > longest or not text.isprintable():
        raise InputError("not a name", where=where, expected=f"1 to {longest} printable characters, or nothing")
    return text


def _sequence(number: int) -> int:
    if number < 1:
        raise InputError(f"number {number}", where="sequence", expected="1 or more")
    return number
