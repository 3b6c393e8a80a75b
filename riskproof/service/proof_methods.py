"""ProofService: challenge, prove for a holder whose opening the venue has, verify."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from riskproof import encoding
from riskproof.attest.envelope import Envelope
from riskproof.attest.net_risk import UnsignedProof
from riskproof.encoding import TAG_CHALLENGE
from riskproof.errors import EncodingError, InputError, NotFoundError, ProofError, RiskproofError
from riskproof.proof.challenge import DEFAULT_MAX_SKEW, DEFAULT_TTL, Challenge, Margin, StatementKind
from riskproof.proof.leakage import account_key
from riskproof.proof.statement import MAX_ATTESTATIONS
from riskproof.risk.margining.document import MAX_MODEL_BYTES
from riskproof.risk.model import SCHEMA as SCHEMA_1
from riskproof.risk.model import RiskModel
from riskproof.service.calls import Call
from riskproof.service.proving import ProveAnswer, ProveJob, VerifyJob, new_challenge
from riskproof.service.venue import Venue, check_digest
from riskproof.store import StoredAttestation
from riskproof.v1 import attestation_pb2
from riskproof.v1 import proof_pb2 as pb
from riskproof.verify import Check
from riskproof.verify.net_risk import ProofCase

MAX_PROOFS: Final = 256  # in one VerifyProofs
KEY_BYTES: Final = 32
_STATEMENTS: Final = {
    pb.PROOF_STATEMENT_UNSPECIFIED: StatementKind.LOSS.value,
    pb.PROOF_STATEMENT_LOSS: StatementKind.LOSS.value,
    pb.PROOF_STATEMENT_SOLVENCY: StatementKind.SOLVENCY.value,
    pb.PROOF_STATEMENT_MARGIN: StatementKind.MARGIN.value,
    pb.PROOF_STATEMENT_EXCESS: StatementKind.EXCESS.value,
}
_REQUIREMENTS: Final = {
    pb.MARGIN_REQUIREMENT_UNSPECIFIED: None,
    pb.MARGIN_REQUIREMENT_INITIAL: Margin.INITIAL.value,
    pb.MARGIN_REQUIREMENT_MAINTENANCE: Margin.MAINTENANCE.value,
}
_OUTCOMES: Final = {
    "valid": attestation_pb2.VERIFICATION_OUTCOME_VALID,
    "invalid": attestation_pb2.VERIFICATION_OUTCOME_INVALID,
    "malformed": attestation_pb2.VERIFICATION_OUTCOME_MALFORMED,
}


class ProofMethods:
    """Implements riskproof.v1.ProofService."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def CreateChallenge(self, request: pb.CreateChallengeRequest, call: Call) -> pb.CreateChallengeResponse:
        venue = self._venue
        asked = self._asked(request)
        if request.WhichOneof("scenarios") == "model_json":
            made = await self._under_own_model(request.model_json, asked, call)
        else:
            made = await venue.on_reader(lambda: new_challenge(venue.model(request.model), asked).to_bytes())
        return pb.CreateChallengeResponse(challenge_json=made, challenge_digest=encoding.digest(TAG_CHALLENGE, made))

    def _asked(self, request: pb.CreateChallengeRequest) -> dict[str, Any]:
        """What `new_challenge` takes besides the model."""
        if request.statement not in _STATEMENTS:
            raise InputError(
                f"no statement {request.statement}", where="statement", expected="loss, solvency, margin or excess"
            )
        if request.requirement not in _REQUIREMENTS:
            raise InputError(
                f"no requirement {request.requirement}", where="requirement", expected="initial or maintenance"
            )
        return {
            "audience": request.audience or self._venue.key.venue,
            "bound_micros": request.bound_micros,
            "now": self._venue.now(),
            "statement": _STATEMENTS[request.statement],
            "margin": _REQUIREMENTS[request.requirement],
            "ttl": request.ttl_seconds or DEFAULT_TTL,
            "max_skew_seconds": request.max_skew_seconds if request.HasField("max_skew_seconds") else DEFAULT_MAX_SKEW,
            "exclusive": request.exclusive,
            "numeraire": request.numeraire or None,
            "max_age_seconds": request.max_age_seconds if request.HasField("max_age_seconds") else None,
        }

    async def _under_own_model(self, document: bytes, asked: dict[str, Any], call: Call) -> bytes:
        """A challenge under the caller's model: of version 1 here, any other in a worker, for it may take long to read."""
        venue = self._venue

        def quick() -> bytes | None:
            node = encoding.parse_json(document, "model_json", limit=MAX_MODEL_BYTES)
            if not isinstance(node, dict) or node.get("schema") != SCHEMA_1:
                return None
            return new_challenge(RiskModel.from_bytes(document, "model_json"), asked).to_bytes()

        made = await venue.on_reader(quick)
        if made is None:
            control = json.dumps(asked).encode()
            (made,) = await venue.workers.run(
                "challenge", [control, document], caller=call.identity.uri, seconds=self._seconds(call)
            )
        return made

    def _seconds(self, call: Call) -> float:
        """How long a job of a call may take, waiting included."""
        return min(self._venue.config.proving.deadline_seconds, call.deadline - time.monotonic())

    # Prove.

    async def Prove(self, request: pb.ProveRequest, call: Call) -> AsyncGenerator[pb.ProveResponse, None]:
        metrics = self._venue.metrics
        try:
            with call.at_work():
                job = await self._venue.on_reader(self._job, request)
            answer: ProveAnswer | None = None
            async with aclosing(self._work(job, call)) as events:
                async for event in events:
                    if isinstance(event, ProveAnswer):
                        answer = event
                    else:
                        yield pb.ProveResponse(progress=event)
            assert answer is not None
            unsigned = await self._released(request.account_id, answer)
        except RiskproofError as error:
            metrics.proof_refusals.labels(error.code).inc()
            raise
        metrics.proofs.inc()
        yield pb.ProveResponse(unsigned_proof=_message(unsigned))

    async def _work(self, job: ProveJob, call: Call) -> AsyncGenerator[pb.ProveProgress | ProveAnswer, None]:
        """The job's progress, then its answer. Whoever stops listening stops the job."""
        told: asyncio.Queue[pb.ProveProgress | None] = asyncio.Queue()

        def report(stage: str, permille: int) -> None:
            told.put_nowait(pb.ProveProgress(stage=stage, permille=permille))

        caller, seconds = call.identity.uri, self._seconds(call)
        work = asyncio.create_task(
            self._venue.workers.run("prove", job.arguments(), caller=caller, seconds=seconds, report=report)
        )
        work.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (progress := await told.get()) is not None:
                yield progress
            yield ProveAnswer.read(await work)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _job(self, request: pb.ProveRequest) -> ProveJob:
        """On a reader thread: everything that the proof is made of."""
        count = len(request.sequences) + len(request.attestation_digests)
        if count == 0:
            raise InputError("no attestation of the account", where="sequences", expected="a number or a digest")
        if count + len(request.brought) > MAX_ATTESTATIONS:
            raise InputError(
                f"{count + len(request.brought)} attestations", where="brought", expected=f"at most {MAX_ATTESTATIONS}"
            )
        if len(request.holder_key) != KEY_BYTES:
            raise InputError(
                f"key of {len(request.holder_key)} bytes", where="holder_key", expected=f"{KEY_BYTES} bytes"
            )
        if request.allow_tight_bound and not self._venue.config.proving.allow_tight_bound:
            raise ProofError(
                "this venue proves no tight bounds", where="allow_tight_bound", expected="a bound on the coarse grid"
            )
        challenge = Challenge.from_bytes(request.challenge_json, "challenge_json", read_model=False)
        now = self._venue.now()
        if now >= challenge.expires_at:
            raise ProofError(
                f"expired {now - challenge.expires_at} s ago", where="challenge_json", expected="a new challenge"
            )
        accounts = [self._held(stored) for stored in self._stored(request)]
        for i, brought in enumerate(request.brought):
            where = f"brought[{i}]"
            market = brought.market_json or self._market(_snapshot_digest(brought.attestation_json, where), where)
            accounts.append((brought.attestation_json, brought.opening_json, market))
        return ProveJob(
            request.challenge_json, self._model(challenge), accounts, request.holder_key, request.allow_tight_bound
        )

    def _stored(self, request: pb.ProveRequest) -> list[StoredAttestation]:
        ledger, account = self._venue.ledger, request.account_id
        stored = []
        for sequence in request.sequences:
            if sequence < 1:
                raise InputError(f"number {sequence}", where="sequences", expected="1 or more")
            stored.append(ledger.attestation(account, sequence))
        for digest in request.attestation_digests:
            found = ledger.attestation_by_digest(check_digest(digest, "attestation_digests"))
            if found.account_id != account:  # as if it did not exist
                raise NotFoundError(f"no attestation of digest {digest.hex()}", where="ledger")
            stored.append(found)
        return stored

    def _held(self, stored: StoredAttestation) -> tuple[bytes, bytes, bytes]:
        opening = self._venue.ledger.opening(stored.account_id, stored.sequence)
        digest = _snapshot_digest(stored.attestation, f"attestation {stored.sequence}")
        return stored.attestation, opening, self._venue.market_bytes(digest)

    def _market(self, digest: bytes, where: str) -> bytes:
        try:
            return self._venue.market_bytes(digest)
        except NotFoundError:
            raise NotFoundError(
                f"no market given, and no snapshot {digest.hex()} in the ledger", where=where, expected="market_json"
            ) from None

    def _model(self, challenge: Challenge) -> bytes:
        """The challenge's model if the venue serves it, else b"": a worker knows those that ship and what the challenge carries."""
        served = self._venue.model_of_digest(challenge.model_digest)
        return b"" if served is None else served.to_bytes()

    async def _released(self, account_id: str, answer: ProveAnswer) -> UnsignedProof:
        """The proof, or why there is none, after what that tells the verifier is charged to the account (LeakBudgetError).

        Accounts that the holder brought are counted where they are kept: what is said of them here nobody has signed for us.
        """
        venue = self._venue
        own = account_key(venue.key.venue, account_id)
        events = [event for event in answer.events if event.account == own]
        await asyncio.wrap_future(
            venue.ledger.submit_leaks(account_id, events, now=venue.now(), limit=venue.config.proving.leak_points)
        )
        if answer.proof is None:
            assert answer.refusal is not None
            raise answer.refusal
        return answer.proof

    # Verify.

    async def VerifyProof(self, request: pb.VerifyProofRequest, call: Call) -> pb.VerifyProofResponse:
        if not request.HasField("answer"):
            raise InputError("nothing to verify", where="answer", expected="a proof and what it is about")
        (verdict,) = await self._verify([request.answer], request.markets_json, call)
        return pb.VerifyProofResponse(verdict=verdict)

    async def VerifyProofs(self, request: pb.VerifyProofsRequest, call: Call) -> pb.VerifyProofsResponse:
        if len(request.answers) > MAX_PROOFS:
            raise InputError(f"{len(request.answers)} proofs", where="answers", expected=f"at most {MAX_PROOFS}")
        return pb.VerifyProofsResponse(verdicts=await self._verify(request.answers, request.markets_json, call))

    async def _verify(
        self, answers: Sequence[pb.ProofAnswer], markets: Sequence[bytes], call: Call
    ) -> list[pb.ProofVerdict]:
        cases = await self._venue.on_reader(self._cases, answers, markets)
        ready = [case for case in cases if isinstance(case, ProofCase)]
        result: list[bytes] = []
        if ready:
            arguments, seconds = VerifyJob(ready, self._venue.now()).arguments(), self._seconds(call)
            result = await self._venue.workers.run("verify", arguments, caller=call.identity.uri, seconds=seconds)
        done = iter(result)
        verdicts = [_verdict(next(done)) if isinstance(case, ProofCase) else case for case in cases]
        for verdict in verdicts:
            outcome = attestation_pb2.VerificationOutcome.Name(verdict.outcome).rpartition("_")[2].lower()
            self._venue.metrics.proofs_verified.labels(outcome).inc()
        return verdicts

    def _cases(self, answers: Sequence[pb.ProofAnswer], markets: Sequence[bytes]) -> list[ProofCase | pb.ProofVerdict]:
        """On a reader thread: what to verify; a verdict where the market of an attestation is nowhere to be had."""
        cases: list[ProofCase | pb.ProofVerdict] = []
        for i, answer in enumerate(answers):
            where = f"answers[{i}]"
            try:
                cases.append(self._case(answer, markets, where))
            except NotFoundError as error:
                check = Check.PROOF_MARKETS
                cases.append(
                    pb.ProofVerdict(
                        outcome=attestation_pb2.VERIFICATION_OUTCOME_INVALID, failed_check=check, reason=str(error)
                    )
                )
        return cases

    def _case(self, answer: pb.ProofAnswer, markets: Sequence[bytes], where: str) -> ProofCase:
        own_keys = self._venue.key_set.to_bytes()
        if len(answer.attestations) > MAX_ATTESTATIONS:
            raise InputError(
                f"{len(answer.attestations)} attestations",
                where=f"{where}.attestations",
                expected=f"at most {MAX_ATTESTATIONS}",
            )
        chosen = []
        for j, given in enumerate(answer.attestations):
            place = f"{where}.attestations[{j}]"
            if not 0 <= given.market_number <= len(markets):
                raise InputError(
                    f"market {given.market_number}",
                    where=f"{place}.market_number",
                    expected=f"1 to {len(markets)}, or 0: the ledger's",
                )
            if given.market_number:
                chosen.append(markets[given.market_number - 1])
                continue
            try:
                chosen.append(self._market(_snapshot_digest(given.attestation_json, place), place))
            except EncodingError:
                chosen.append(b"")  # it is no attestation: the verdict will say so
        model = answer.model_json
        if not model:
            try:
                model = self._model(Challenge.from_bytes(answer.challenge_json, read_model=False))
            except ProofError:
                model = b""  # it is no challenge: likewise
        return ProofCase(
            answer.proof_json,
            answer.challenge_json,
            [a.attestation_json for a in answer.attestations],
            [a.key_set_json or own_keys for a in answer.attestations],
            chosen,
            model or None,
        )


def _snapshot_digest(attestation: bytes, where: str) -> bytes:
    """The snapshot that an attestation names; nothing else of it is checked here (EncodingError)."""
    try:
        payload = Envelope.from_bytes(attestation, where).payload
    except InputError as error:
        raise EncodingError(error.what, where=error.where, expected=error.expected) from None
    node = encoding.parse_json(payload, f"{where}.payload")
    stated = node.get("snapshot_digest") if isinstance(node, dict) else None
    return encoding.hex_bytes(stated, f"{where}.payload.snapshot_digest", 32)


def _message(unsigned: UnsignedProof) -> pb.UnsignedProof:
    return pb.UnsignedProof(
        challenge_digest=unsigned.challenge_digest,
        attestation_digests=unsigned.attestation_digests,
        proof=unsigned.proof,
        identity_proof=unsigned.identity_proof or b"",
        consent=unsigned.consent,
    )


def _verdict(document: bytes) -> pb.ProofVerdict:
    v = json.loads(document)
    return pb.ProofVerdict(
        outcome=_OUTCOMES[v["outcome"]],
        failed_check=v["failed_check"] or 0,
        reason=v["reason"],
        passed_checks=[attestation_pb2.PassedCheck(number=number, name=name) for number, name in v["checks"]],
        notes=v["notes"],
        proved=v["proved"],
        trusted=v["trusted"],
        not_proved=v["not_proved"],
    )
