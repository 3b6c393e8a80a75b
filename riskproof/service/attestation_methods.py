"""AttestationService: attest, fetch, list, verify, open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from riskproof import encoding
from riskproof.attest.book import AccountSecret, epoch_of
from riskproof.attest.build import AttestationRequest, build_attestation
from riskproof.attest.edwards import check_public_key
from riskproof.attest.holder import KEY_BYTES, ExclusiveWindow, HolderRequest, account_tag
from riskproof.attest.keyset import KeySet
from riskproof.attest.payload import MAX_AUDIENCE, MAX_NONCE, Policy
from riskproof.errors import AttestationError, InputError, KeySetError, NotFoundError, SnapshotError
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


@dataclass(frozen=True)
class _Holder:
    """Whom to bind. identity: as the ledger has it."""

    identity: str = field(repr=False)
    key: bytes
    audience: str

    def request(self, secret: AccountSecret, issued_at: int) -> HolderRequest:
        epoch = epoch_of(issued_at)
        return HolderRequest(self.identity, self.key, account_tag(secret, self.audience, epoch), epoch)


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
        exclusive = self._exclusive(request)
        holder = await self._holder(request, audience)
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
                    holder=None if holder is None else holder.request(state.secret, issued_at),
                    exclusive=exclusive,
                ),
                venue.key,
            )
            return AttestationRecord(built.digest, built.attestation, built.opening, issued_at)

        digest = _request_digest(request)
        stored = await venue.books.attest(
            request.account_id,
            request.request_id,
            digest,
            priced,
            build,
            holder=None if holder is None else holder.identity,
            exclusive=None if exclusive is None else (exclusive.start, exclusive.until),
        )
        if not stored.replayed:
            venue.metrics.attestations.inc()
        return pb.CreateAttestationResponse(attestation=_message(stored), replayed=stored.replayed)

    async def _holder(self, request: pb.CreateAttestationRequest, audience: str | None) -> _Holder | None:
        """Whom the request wants to be bound: with the key it states, under the identity that the ledger has."""
        key = request.holder_key
        if not key:
            return None
        if len(key) != KEY_BYTES:
            raise InputError(f"key of {len(key)} bytes", where="holder_key", expected=f"{KEY_BYTES} bytes, or nothing")
        if audience is None:
            raise InputError(
                "a holder is bound towards an audience", where="audience", expected="whom the attestation is for"
            )

        def look_up() -> str:
            try:
                check_public_key(key)  # 2 ms for a key not seen before: not on the event loop
            except KeySetError as error:
                raise KeySetError(error.what, where="holder_key", expected=error.expected) from None
            return self._venue.ledger.holder(request.account_id).identity

        return _Holder(await self._venue.on_reader(look_up), key, audience)

    def _exclusive(self, request: pb.CreateAttestationRequest) -> ExclusiveWindow | None:
        start, until = request.exclusive_from_seconds, request.exclusive_until_seconds
        if not start and not until:
            return None
        if not request.holder_key:
            raise InputError(
                "only an attestation with a holder is exclusive", where="holder_key", expected="a holder key as well"
            )
        try:
            window = ExclusiveWindow(start, until)
        except AttestationError as error:
            where = f"{error.where.replace('.', '_')}_seconds"
            raise InputError(error.what, where=where, expected=error.expected) from None
        longest = self._venue.config.attestation.max_exclusive_seconds
        if until - start > longest:
            raise InputError(
                f"exclusive for {until - start} s", where="exclusive_until_seconds", expected=f"at most {longest} s"
            )
        return window

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
                histories=self._venue.histories if market is not None else (),
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
            if request.key_set_json and statement.attestation.array_digest is None:
                # A stranger's book could be as large, and its margin take as long, as the stranger likes.
                return _verdict(verify(), "not recomputed: under a model of version 2 only what this venue signed is")
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
    """Names what was asked for, so that a request id cannot be used for two things. Framed fields, not protobuf bytes.

    What asks for no holder has no field of it: the digests of such requests are in ledgers of version 1.
    """
    parts = [
        request.snapshot_digest,
        request.model.encode(),
        str(request.disclosure).encode(),
        request.audience.encode(),
        request.nonce.encode(),
        str(request.ttl_seconds).encode(),
    ]
    if request.holder_key:
        parts += [
            request.holder_key,
            str(request.exclusive_from_seconds).encode(),
            str(request.exclusive_until_seconds).encode(),
        ]
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
