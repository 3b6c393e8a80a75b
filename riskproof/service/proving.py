"""The jobs of the worker processes. What they take and give, byte strings, is written down here for both sides.

    challenge control, model
              -> challenge
    prove     control, challenge, model or nothing, then attestation, opening and market of each account
              -> control, and of a true statement: challenge digest, proof, identity proof or nothing, consent, attestation digests
    verify    control, then every document that it refers to by number
              -> verdicts

A control is JSON: small values, and numbers of documents. A worker keeps the markets, risk arrays and rows that it used last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from riskproof.attest.answers import challenge_events
from riskproof.attest.keyset import KeySet
from riskproof.attest.net_risk import ProverInput, UnsignedProof, challenge_model, prove_core
from riskproof.client.failures import BY_CODE
from riskproof.errors import InputError, ModelError, ProofError, RiskproofError
from riskproof.proof.challenge import AnyModel, Challenge, Margin, StatementKind
from riskproof.proof.leakage import Event
from riskproof.risk.margining import read as read_model
from riskproof.risk.model import RiskModel
from riskproof.service.worker import Job, Progress
from riskproof.verify.net_risk import MarketCache, ProofCase, ProofVerdict, verify_proofs

_NOTHING: Final = b""  # a document that is not there
# Most that a statement may be, whoever brings market and model, so that a job ends within its time and memory: coefficients of
# scenarios and instruments, 2,048 of both, some seconds of pricing; and microseconds of computing rows, by an upper bound.
SERVED_CELLS: Final = 1 << 22
SERVED_WORK: Final = 20_000_000
CACHE: Final = MarketCache(cells=SERVED_CELLS, work=SERVED_WORK)


# ---- challenge -------------------------------------------------------------------------------------------------------


def new_challenge(model: AnyModel, asked: Mapping[str, Any]) -> Challenge:
    """A fresh challenge under a model (ModelError, ProofError).

    asked: every argument of `Challenge.new` but the model, statement and margin by their values.
    """
    statement, margin = StatementKind(asked["statement"]), asked["margin"]
    if statement is StatementKind.SOLVENCY and isinstance(model, RiskModel) and model.collateral is None:
        raise ModelError(
            f"{model.name} does not say what collateral is worth", where="model", expected="a model with haircuts"
        )
    return Challenge.new(
        **{**asked, "statement": statement, "margin": None if margin is None else Margin(margin)}, model=model
    )


def challenge(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """What is asked, and a model's document, to a challenge: reading a stranger's model may take seconds."""
    control, document = arguments
    return [new_challenge(read_model(document, "model_json"), json.loads(control)).to_bytes()]


# ---- prove -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProveJob:
    """What to prove.

    Attributes:
        challenge, model: bytes; model b"" if the challenge carries it or it ships.
        accounts: (attestation, opening, market) of each account, bytes; openings are secret.
        holder_key: 32 bytes, the public key.
        allow_tight_bound: as `prove_core`.
    """

    challenge: bytes
    model: bytes
    accounts: Sequence[tuple[bytes, bytes, bytes]] = field(repr=False)
    holder_key: bytes
    allow_tight_bound: bool

    def arguments(self) -> list[bytes]:
        """For the worker."""
        control = {"holder_key": self.holder_key.hex(), "allow_tight_bound": self.allow_tight_bound}
        documents = [document for account in self.accounts for document in account]
        return [json.dumps(control).encode(), self.challenge, self.model, *documents]

    @classmethod
    def read(cls, arguments: Sequence[bytes]) -> ProveJob:
        """Inverse of `arguments`."""
        control, challenge, model, *documents = arguments
        stated = json.loads(control)
        accounts = list(zip(documents[0::3], documents[1::3], documents[2::3], strict=True))
        return cls(challenge, model, accounts, bytes.fromhex(stated["holder_key"]), stated["allow_tight_bound"])


@dataclass(frozen=True)
class ProveAnswer:
    """What came of it. Nobody but the prover may see either before `events` are charged.

    Attributes:
        events: what the verifier learns of each account from an answer, whichever it is.
        proof: the proof, or None.
        refusal: why there is none, most often FalseStatementError; or None.
    """

    events: tuple[Event, ...]
    proof: UnsignedProof | None
    refusal: RiskproofError | None = field(repr=False)

    def result(self, holder_key: bytes) -> list[bytes]:
        """For the server."""
        control: dict[str, Any] = {"holder_key": holder_key.hex(), "events": [_event_document(e) for e in self.events]}
        if self.refusal is not None:
            control["refusal"] = [self.refusal.code, self.refusal.what, self.refusal.where, self.refusal.expected]
        parts = [json.dumps(control).encode()]
        if self.proof is not None:
            p = self.proof
            parts += [p.challenge_digest, p.proof, p.identity_proof or _NOTHING, p.consent, *p.attestation_digests]
        return parts

    @classmethod
    def read(cls, result: Sequence[bytes]) -> ProveAnswer:
        """Inverse of `result`."""
        control, *parts = result
        stated = json.loads(control)
        events = tuple(_event(document) for document in stated["events"])
        if "refusal" in stated:
            code, what, where, expected = stated["refusal"]
            return cls(events, None, BY_CODE[code](what, where=where, expected=expected))
        challenge_digest, proof, identity_proof, consent, *digests = parts
        key = bytes.fromhex(stated["holder_key"])
        unsigned = UnsignedProof(challenge_digest, tuple(digests), proof, identity_proof or None, consent, key)
        return cls(events, unsigned, None)


def prove(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """A `ProveJob` to a `ProveAnswer`. It raises what does not depend on the book; the rest is an answer, and counts as one."""
    job = ProveJob.read(arguments)
    asked = Challenge.from_bytes(job.challenge, "challenge_json")
    model = challenge_model(asked, read_model(job.model) if job.model and asked.model is None else None)
    inputs, pairs = [], []
    for i, (attestation, opening, data) in enumerate(job.accounts):
        progress("reading", 0.0)
        where = f"attestations[{i}]"
        statement = CACHE.attestation(attestation, where)[1]
        try:
            market = CACHE.market(data)
        except InputError as error:
            raise type(error)(error.what, where=f"{where}.{error.where}", expected=error.expected) from None
        if (statement.registry_digest, statement.snapshot_digest) != (market.registry.digest, market.snapshot.digest):
            raise ProofError(
                "another market than the attested one",
                where=f"{where}.market",
                expected=statement.snapshot_digest.hex(),
            )
        inputs.append(ProverInput(attestation, opening, market))
        pairs.append((statement, market))
    events = challenge_events(asked, inputs, job.holder_key, allow_tight_bound=job.allow_tight_bound)
    progress("computing the rows", 0.0)
    pairs.sort(key=lambda pair: pair[0].digest)
    compiled = CACHE.compiled(asked, model, [a for a, _ in pairs], [m for _, m in pairs])
    proof, refusal = None, None
    try:
        proof = prove_core(
            job.challenge,
            inputs,
            job.holder_key,
            model=model,
            allow_tight_bound=job.allow_tight_bound,
            progress=progress,
            compiled=compiled,
        )
    except RiskproofError as error:
        refusal = error
    return ProveAnswer(events, proof, refusal).result(job.holder_key)


def _event_document(event: Event) -> list[Any]:
    return [event.account.hex(), event.audience.hex(), event.book.hex(), event.subject.hex(), event.points]


def _event(document: list[Any]) -> Event:
    *names, points = document
    account, audience, book, subject = (bytes.fromhex(name) for name in names)
    return Event(account, audience, book, subject, points)


# ---- verify ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifyJob:
    """What to verify: as `verify_proofs`. Equal documents are sent once."""

    cases: Sequence[ProofCase] = field(repr=False)
    now: int

    def arguments(self) -> list[bytes]:
        """For the worker."""
        documents: dict[bytes, int] = {}

        def number(document: bytes) -> int:
            return documents.setdefault(document, len(documents))

        cases = [
            {
                "proof": number(case.proof),
                "challenge": number(case.challenge),
                "attestations": [number(a) for a in case.attestations],
                "keys": [number(k if isinstance(k, bytes) else k.to_bytes()) for k in case.keys],
                "markets": [number(m) for m in case.markets],
                "model": None if case.model is None else number(case.model),
            }
            for case in self.cases
        ]
        return [json.dumps({"now": self.now, "cases": cases}).encode(), *documents]

    @classmethod
    def read(cls, arguments: Sequence[bytes]) -> VerifyJob:
        """Inverse of `arguments`."""
        control, *documents = arguments
        stated = json.loads(control)
        key_sets: dict[int, KeySet] = {}

        def keys(number: int) -> KeySet:
            if number not in key_sets:
                key_sets[number] = KeySet.from_bytes(documents[number], "key_set_json")
            return key_sets[number]

        cases = [
            ProofCase(
                documents[case["proof"]],
                documents[case["challenge"]],
                [documents[a] for a in case["attestations"]],
                [keys(k) for k in case["keys"]],
                [documents[m] for m in case["markets"]],
                None if case["model"] is None else documents[case["model"]],
            )
            for case in stated["cases"]
        ]
        return cls(cases, stated["now"])


def verify(arguments: Sequence[bytes], progress: Progress) -> Sequence[bytes]:
    """A `VerifyJob` to its verdicts, one JSON document each (`verdict_document`)."""
    job = VerifyJob.read(arguments)
    progress("verifying", 0.0)
    return [json.dumps(verdict_document(v)).encode() for v in verify_proofs(job.cases, now=job.now, cache=CACHE)]


def verdict_document(verdict: ProofVerdict) -> dict[str, Any]:
    """What the server passes on of a verdict."""
    return {
        "outcome": verdict.outcome.value,
        "failed_check": verdict.failed_check,
        "reason": verdict.reason,
        "checks": [[c.number, c.name] for c in verdict.checks],
        "notes": verdict.notes,
        "proved": verdict.proved,
        "trusted": verdict.trusted,
        "not_proved": verdict.not_proved,
    }


# ---- start -----------------------------------------------------------------------------------------------------------


def warm_up() -> None:
    """Load points and compiled kernels, and prove and verify something small: a worker that cannot is not given work."""
    from riskproof.service.rehearsal import rehearse

    rehearse()


JOBS: Final[dict[str, Job]] = {"challenge": challenge, "prove": prove, "verify": verify}
