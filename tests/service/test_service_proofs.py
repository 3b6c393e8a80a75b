"""The proof service: a real server with real worker processes, challenge to verdict, and everything that is refused."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from service_support import Files, Live, later, make_config, make_files, market, raw_call, serving

from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.client import AsyncClient, BroughtAccount, Client, Disclosure, Holding
from riskproof.errors import (
    CapacityError,
    DeadlineError,
    FalseStatementError,
    InputError,
    KeySetError,
    LeakBudgetError,
    ModelError,
    NotFoundError,
    PermissionDeniedError,
    ProofError,
    RemoteError,
    WorkerLostError,
)
from riskproof.proof.challenge import Challenge
from riskproof.risk.model import RiskModel, load_model
from riskproof.service.config import ProvingConfig
from riskproof.service.rehearsal import rehearse
from riskproof.v1 import proof_pb2
from riskproof.verify import Check, Outcome
from riskproof.verify.net_risk import ProofCase, verify_proof

HOLDER = SigningKey.from_seed(bytes([7]) * 32, "alice")
IDENTITY = "5493001KJTIIGC8Y1R12"
AUDIENCE = "lender"
BOOK = [Holding("BTC", 3_000), Holding("BTC-PERPETUAL", -2_500), Holding("ETH", -20_000)]
LOOSE = 10**13  # micros: ten million
TRUE, FALSE = LOOSE, 0


def proving(files: Files, **options: object) -> object:
    return replace(make_config(files), proving=ProvingConfig(**{"workers": 2, "leak_points": 1_000_000} | options))


def settle(live: Live) -> Live:
    """The sample market; alice and bob with books and holders."""
    with live.client("operator", timeout=60) as operator:
        operator.publish_market(market())
        for account in ("alice", "bob"):
            operator.open_account(account)
            operator.set_holder(account, IDENTITY)
            operator.record_trade(account, "t1", BOOK)
    return live


@pytest.fixture(scope="module")
def venue(files: Files) -> Iterator[Live]:
    with serving(files, proving(files)) as live:
        yield settle(live)


@pytest.fixture
def alice(venue: Live) -> Iterator[Client]:
    with venue.client("alice", timeout=60) as client:
        yield client


@pytest.fixture
def verifier(venue: Live) -> Iterator[Client]:
    with venue.client("verifier", timeout=60) as client:
        yield client


def attest(client: Client, account: str = "alice", audience: str = AUDIENCE, **options: object) -> bytes:
    options = {"disclosure": Disclosure.NONE, "holder_key": HOLDER.public.raw} | options
    return client.create_attestation(account, audience=audience, **options).attestation


def ask(verifier: Client, bound: int = TRUE, **options: object) -> bytes:
    return verifier.create_challenge(bound_micros=bound, **{"audience": AUDIENCE} | options)


def case(proof: bytes, challenge: bytes, *attestations: bytes, keys: bytes = b"", markets: bytes = b"") -> ProofCase:
    count = len(attestations)
    return ProofCase(proof, challenge, list(attestations), [keys] * count, [markets] * count)


def last_digest(client: Client) -> bytes:
    return client.list_attestations("alice", page_size=1000).items[-1].digest


def metric(live: Live, name: str, **labels: str) -> float:
    return live.server.metrics.registry.get_sample_value(name, labels) or 0.0


# ---- challenges ------------------------------------------------------------------------------------------------------


def test_a_challenge_says_what_was_asked(venue: Live, verifier: Client) -> None:
    made = Challenge.from_bytes(
        ask(
            verifier,
            250_000_000,
            statement="solvency",
            max_skew_seconds=0,
            exclusive=True,
            ttl_seconds=60,
            numeraire="USD",
        )
    )
    assert (made.audience, made.statement, made.bound_micros) == (AUDIENCE, "solvency", 250_000_000)
    assert (made.issued_at, made.expires_at) == (venue.now, venue.now + 60)
    assert (made.max_skew_seconds, made.exclusive, made.numeraire) == (0, True, "USD")
    assert made.model_digest == load_model("crypto-pm").digest
    assert made.nonce != Challenge.from_bytes(ask(verifier)).nonce


def test_a_challenge_without_more_is_the_venues(venue: Live, verifier: Client) -> None:
    made = Challenge.from_bytes(verifier.create_challenge(bound_micros=10))
    assert (made.audience, made.statement, made.max_skew_seconds) == ("venue-a", "loss", 60)
    assert made.expires_at == venue.now + 3600


def own_model(name: str = "own", **changes: object) -> bytes:
    document = json.loads(load_model("crypto-pm").to_bytes())
    document |= {"name": name, **changes}
    document["scenarios"] = document["scenarios"][:3]
    document = {key: value for key, value in document.items() if value is not None}
    return RiskModel.from_document(document).to_bytes()


def test_a_challenge_with_a_model_of_the_verifiers_own(verifier: Client) -> None:
    made = Challenge.from_bytes(ask(verifier, model=own_model()))
    assert made.model is not None
    assert (made.model.name, len(made.model.scenarios)) == ("own", 3)


@pytest.mark.parametrize(
    ("options", "error", "where"),
    [
        ({"bound": -1}, ProofError, "bound"),
        ({"audience": "a\nb"}, ProofError, "audience"),
        ({"ttl_seconds": -1}, ProofError, "expires_at"),
        ({"max_skew_seconds": -1}, ProofError, "max_skew_seconds"),
        ({"model": "none of ours"}, NotFoundError, "model"),
        ({"model": b"{}"}, ModelError, ""),
        ({"model": own_model(collateral=None), "statement": "solvency"}, ModelError, "model"),
        ({"statement": "profit"}, InputError, "statement"),
    ],
)
def test_challenges_that_are_refused(
    verifier: Client, options: dict[str, object], error: type[Exception], where: str
) -> None:
    with pytest.raises(error) as refused:
        ask(verifier, **options)
    assert type(refused.value) is error
    assert where in refused.value.where


def test_a_statement_that_is_none(venue: Live) -> None:
    with venue.channel("verifier") as channel, pytest.raises(grpc.RpcError, match="no statement 7"):
        raw_call(channel, "riskproof.v1.ProofService/CreateChallenge", statement=7, audience="x")


# ---- prove and verify ------------------------------------------------------------------------------------------------


def test_from_challenge_to_verdict(venue: Live, alice: Client, verifier: Client) -> None:
    before = metric(venue, "riskproof_proofs_total")
    attestation, challenge = attest(alice), ask(verifier)
    heard: list[tuple[str, float]] = []
    proof = alice.prove(
        "alice", challenge, [attestation], HOLDER, progress=lambda stage, done: heard.append((stage, done))
    )
    assert len({stage for stage, _ in heard}) > 1
    assert [done for _, done in heard] == sorted(done for _, done in heard)
    verdict = verifier.verify_proof(case(proof, challenge, attestation))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert [c.number for c in verdict.checks][-1] == Check.PROOF_CONSENT
    keys, file = verifier.get_key_set(), market().to_bytes()
    own = verify_proof(proof, challenge, [attestation], [keys], [file], now=venue.now)
    assert own == verdict  # what the server says is what anybody finds
    assert verifier.verify_proof(case(proof, challenge, attestation, keys=keys, markets=file)) == own
    assert metric(venue, "riskproof_proofs_total") == before + 1
    assert metric(venue, "riskproof_proofs_verified_total", outcome="valid") >= 2


async def test_the_same_with_asyncio(venue: Live, alice: Client) -> None:
    attestation = attest(alice)

    def connect(name: str) -> AsyncClient:
        files = venue.files.clients[name]
        authority = venue.files.authority.certificate
        return AsyncClient(
            venue.address, authority=authority, certificate=files.certificate, private_key=files.private_key, timeout=60
        )

    async with connect("verifier") as lender, connect("alice") as holder:
        challenge = await lender.create_challenge(bound_micros=TRUE, audience=AUDIENCE)
        stages: list[str] = []
        proof = await holder.prove(
            "alice", challenge, [attestation], HOLDER, progress=lambda stage, _: stages.append(stage)
        )
        verdict = await lender.verify_proof(case(proof, challenge, attestation))
        (again,) = await lender.verify_proofs([case(proof, challenge, attestation)])
    assert verdict.outcome is Outcome.VALID
    assert again == verdict
    assert stages


def test_a_false_statement_is_told_to_the_prover_alone(venue: Live, alice: Client, verifier: Client) -> None:
    attestation, challenge = attest(alice), ask(verifier, FALSE)
    before = metric(venue, "riskproof_proof_refusals_total", reason="FALSE_STATEMENT")
    with pytest.raises(FalseStatementError) as refused:
        alice.prove("alice", challenge, [attestation], HOLDER)
    assert any(c.isdigit() for c in refused.value.what)
    assert metric(venue, "riskproof_proof_refusals_total", reason="FALSE_STATEMENT") == before + 1
    log = venue.log.getvalue()
    assert "FALSE_STATEMENT" in log  # a code
    for word in refused.value.what.split():
        if any(c.isdigit() for c in word):
            assert word not in log
    with pytest.raises(grpc.RpcError) as raw:
        prove_raw(venue, challenge_json=challenge, attestation_digests=[last_digest(alice)])
    assert raw.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_accounts_of_two_venues(venue: Live, alice: Client, verifier: Client, tmp_path: Path) -> None:
    files = make_files(tmp_path, "venue-b")
    with serving(files) as other:
        settle(other)
        with other.client("alice", timeout=60) as there:
            brought = attest(there)
            sequence = there.list_attestations("alice").items[-1].sequence
            opening = there.get_opening("alice", sequence)
            their_keys = there.get_key_set()
    attestation, challenge = attest(alice), ask(verifier)
    with pytest.raises(ProofError, match="two attestations are of the same account"):
        alice.prove("alice", challenge, [attestation, attest(alice)], HOLDER)
    proof = alice.prove(
        "alice", challenge, [attestation], HOLDER, brought=[BroughtAccount(brought, opening, market().to_bytes())]
    )
    again = alice.prove("alice", challenge, [attestation], HOLDER, brought=[BroughtAccount(brought, opening)])
    own_keys = verifier.get_key_set()
    for made in (proof, again):
        whole = ProofCase(made, challenge, [attestation, brought], [own_keys, their_keys], [market().to_bytes()] * 2)
        verdict = verifier.verify_proof(whole)
        assert verdict.outcome is Outcome.VALID, verdict.reason
        assert len(verdict.attestations) == 2
        assert Check.PROOF_IDENTITY in [c.number for c in verdict.checks]
    swapped = replace(whole, keys=[their_keys, own_keys])
    assert verifier.verify_proof(swapped).failed_check == Check.PROOF_ATTESTATION_VALID
    missing = replace(whole, attestations=[attestation], keys=[own_keys], markets=[b""])
    assert verifier.verify_proof(missing).failed_check == Check.PROOF_ATTESTATIONS


def test_a_verifiers_own_scenarios(alice: Client, verifier: Client) -> None:
    attestation, challenge = attest(alice), ask(verifier, model=own_model())
    proof = alice.prove("alice", challenge, [attestation], HOLDER)
    verdict = verifier.verify_proof(case(proof, challenge, attestation))
    assert verdict.outcome is Outcome.VALID
    assert "3 scenarios of model own" in verdict.proved[0]


def test_many_proofs_at_once_and_the_bad_ones_are_named(venue: Live, alice: Client, verifier: Client) -> None:
    attestation = attest(alice)
    asked = [ask(verifier) for _ in range(4)]
    proofs = [alice.prove("alice", c, [attestation], HOLDER) for c in asked]
    cases = [case(p, c, attestation) for p, c in zip(proofs, asked, strict=True)]
    other = attest(alice, audience="fund")
    cases += [
        case(proofs[0], asked[1], attestation),
        case(b"nonsense", asked[0], attestation),
        case(proofs[0], b"nonsense", attestation),
        case(proofs[0], asked[0], b"nonsense"),
        case(proofs[0], asked[0], other),
        case(proofs[0], asked[0]),
    ]
    verdicts = verifier.verify_proofs(cases)
    assert [v.outcome for v in verdicts[:4]] == [Outcome.VALID] * 4
    assert [(v.outcome.value, v.failed_check) for v in verdicts[4:]] == [
        ("invalid", Check.PROOF_CHALLENGE),
        ("malformed", None),
        ("malformed", None),
        ("malformed", None),
        ("invalid", Check.PROOF_ATTESTATIONS),
        ("invalid", Check.PROOF_ATTESTATIONS),
    ]
    assert verdicts == [verifier.verify_proof(c) for c in cases]
    assert verifier.verify_proofs([]) == []


def test_a_snapshot_that_is_nowhere_fails_its_proof_only(alice: Client, verifier: Client, tmp_path: Path) -> None:
    attestation, challenge = attest(alice), ask(verifier)
    proof = alice.prove("alice", challenge, [attestation], HOLDER)
    files = make_files(tmp_path)
    with serving(files) as other:
        other.now += 5
        with other.client("operator", timeout=60) as operator:
            operator.publish_market(later(market(), 3))
            operator.open_account("alice")
            operator.set_holder("alice", IDENTITY)
        with other.client("alice", timeout=60) as there:
            foreign = attest(there)
    good, bad = verifier.verify_proofs([case(proof, challenge, attestation), case(proof, challenge, foreign)])
    assert good.outcome is Outcome.VALID
    assert (bad.outcome, bad.failed_check) == (Outcome.INVALID, Check.PROOF_MARKETS)
    assert "answers[1].attestations[0]: no market given, and no snapshot" in bad.reason


def test_markets_and_keys_that_do_not_fit(venue: Live, alice: Client, verifier: Client) -> None:
    attestation, challenge = attest(alice), ask(verifier)
    proof = alice.prove("alice", challenge, [attestation], HOLDER)
    other = later(market(), 3).to_bytes()
    assert verifier.verify_proof(case(proof, challenge, attestation, markets=b"{}")).outcome is Outcome.MALFORMED
    verdict = verifier.verify_proof(case(proof, challenge, attestation, markets=other))
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.PROOF_MARKETS)
    stranger = KeySet((SigningKey.generate("venue-a").public,)).to_bytes()
    verdict = verifier.verify_proof(case(proof, challenge, attestation, keys=stranger))
    assert verdict.failed_check == Check.PROOF_ATTESTATION_VALID
    with pytest.raises(KeySetError) as wrong:
        verifier.verify_proof(case(proof, challenge, attestation, keys=b"{}"))
    assert wrong.value.where.startswith("key_set_json")
    with pytest.raises(InputError, match="one key set and one market for each"):
        verifier.verify_proof(ProofCase(proof, challenge, [attestation], [], []))
    given = proof_pb2.AttestationInput(attestation_json=attestation, market_number=2)
    answer = proof_pb2.ProofAnswer(proof_json=proof, challenge_json=challenge, attestations=[given])
    with venue.channel("verifier") as channel, pytest.raises(grpc.RpcError, match="market_number: market 2"):
        raw_call(channel, "riskproof.v1.ProofService/VerifyProof", answer=answer, markets_json=[other])


# ---- what is refused -------------------------------------------------------------------------------------------------


def prove_raw(live: Live, **fields: object) -> list[proof_pb2.ProveResponse]:
    fields = {"account_id": "alice", "holder_key": HOLDER.public.raw} | fields
    with live.channel("alice") as channel:
        return raw_call(channel, "riskproof.v1.ProofService/Prove", 60, **fields)


@pytest.mark.parametrize(
    ("fields", "what", "code"),
    [
        ({"sequences": []}, "no attestation of the account", "INVALID_ARGUMENT"),
        ({"sequences": [0]}, "number 0", "INVALID_ARGUMENT"),
        ({"sequences": [10**6]}, "no attestation number 1000000", "NOT_FOUND"),
        ({"sequences": [1] * 65}, "65 attestations", "INVALID_ARGUMENT"),
        ({"sequences": [1, 1]}, "an attestation is given twice", "INVALID_ARGUMENT"),
        ({"attestation_digests": [b"x"]}, "digest of 1 bytes", "INVALID_ARGUMENT"),
        ({"attestation_digests": [bytes(32)], "sequences": []}, "no attestation of digest", "NOT_FOUND"),
        ({"holder_key": b"x" * 31}, "key of 31 bytes", "INVALID_ARGUMENT"),
        ({"holder_key": bytes(32)}, "not the key that the attestations bind", "INVALID_ARGUMENT"),
        ({"allow_tight_bound": True}, "this venue proves no tight bounds", "INVALID_ARGUMENT"),
        ({"challenge_json": b"{}"}, "challenge_json", "INVALID_ARGUMENT"),
        ({"brought": [proof_pb2.BroughtAttestation(attestation_json=b"{}")]}, r"brought\[0\]", "INVALID_ARGUMENT"),
    ],
)
def test_requests_that_are_refused(
    venue: Live, alice: Client, verifier: Client, fields: dict[str, object], what: str, code: str
) -> None:
    attest(alice, request_id="first")
    fields = {"sequences": [1], "challenge_json": ask(verifier)} | fields
    with pytest.raises(grpc.RpcError, match=what) as refused:
        prove_raw(venue, **fields)
    assert refused.value.code().name == code


def test_another_accounts_attestation_does_not_exist(venue: Live, alice: Client, verifier: Client) -> None:
    with venue.client("bob", timeout=60) as bob:
        theirs = attest(bob, "bob")
    challenge = ask(verifier)
    with pytest.raises(NotFoundError, match="no attestation of digest"):
        alice.prove("alice", challenge, [theirs], HOLDER)
    with pytest.raises(PermissionDeniedError, match="own account only"):
        alice.prove("bob", challenge, [theirs], HOLDER)


def test_challenges_that_are_not_answered(venue: Live, alice: Client, verifier: Client) -> None:
    attestation = attest(alice)
    with pytest.raises(ProofError, match="more than two significant digits"):
        alice.prove("alice", ask(verifier, 1_234_567), [attestation], HOLDER)
    with pytest.raises(ProofError, match="is for 'lender'"):
        alice.prove("alice", ask(verifier, audience="fund"), [attestation], HOLDER)
    with pytest.raises(ProofError, match="not exclusive"):
        alice.prove("alice", ask(verifier, exclusive=True), [attestation], HOLDER)
    old = Challenge.new(audience=AUDIENCE, bound_micros=TRUE, model=load_model("crypto-pm"), now=venue.now - 7200)
    with pytest.raises(ProofError, match="expired 3600 s ago"):
        alice.prove("alice", old.to_bytes(), [attestation], HOLDER)
    unnamed = attest(alice, holder_key=b"")
    with pytest.raises(ProofError, match="binds no holder"):
        alice.prove("alice", ask(verifier), [unnamed], HOLDER)


def test_a_model_that_nobody_has(venue: Live, alice: Client, verifier: Client) -> None:
    attestation = attest(alice)
    model = RiskModel.from_bytes(own_model("unheard-of"))
    now = Challenge.from_bytes(ask(verifier)).issued_at
    asked = Challenge.new(audience=AUDIENCE, bound_micros=TRUE, model=model, now=now, embed_model=False).to_bytes()
    with pytest.raises(NotFoundError, match="no model 'unheard-of' is served"):
        alice.prove("alice", asked, [attestation], HOLDER)
    with pytest.raises(grpc.RpcError, match="no model unheard-of of the challenge's digest"):
        prove_raw(venue, challenge_json=asked, attestation_digests=[last_digest(alice)])


def test_bounds_of_a_verification(venue: Live) -> None:
    with venue.channel("verifier") as channel:
        with pytest.raises(grpc.RpcError, match="257 proofs"):
            raw_call(channel, "riskproof.v1.ProofService/VerifyProofs", answers=[proof_pb2.ProofAnswer()] * 257)
        answer = proof_pb2.ProofAnswer(attestations=[proof_pb2.AttestationInput()] * 65)
        with pytest.raises(grpc.RpcError, match="65 attestations"):
            raw_call(channel, "riskproof.v1.ProofService/VerifyProof", answer=answer)
        with pytest.raises(grpc.RpcError, match="nothing to verify"):
            raw_call(channel, "riskproof.v1.ProofService/VerifyProof")


# ---- consent ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("challenge", "not to be signed: it answers another challenge"),
        ("attestations", "not to be signed: it answers another challenge"),
        ("consent", "not to be signed: its consent message"),
        ("proof", "not to be signed: it does not show what the challenge asks"),
    ],
)
def test_the_holder_signs_nothing_else(
    alice: Client, verifier: Client, monkeypatch: pytest.MonkeyPatch, change: str, what: str
) -> None:
    attestation, asked, other = attest(alice), ask(verifier), ask(verifier)
    elsewhere = attest(alice)
    signed: list[bytes] = []
    monkeypatch.setattr(SigningKey, "sign", lambda self, message: signed.append(message) or bytes(64))
    honest = proof_pb2.ProveRequest.SerializeToString

    def twisted(message: proof_pb2.ProveRequest) -> bytes:
        """The venue takes another challenge, or other attestations, than the client sent."""
        from riskproof.attest.envelope import Envelope
        from riskproof.attest.payload import Attestation

        if change == "challenge":
            message.challenge_json = other
        if change == "attestations":
            del message.attestation_digests[:]
            message.attestation_digests.append(Attestation.from_bytes(Envelope.from_bytes(elsewhere).payload).digest)
        return honest(message)

    from riskproof.client import synchronous

    real = synchronous.take

    def taken(response: proof_pb2.ProveResponse, *rest: object) -> object:
        if response.HasField("unsigned_proof"):
            if change == "consent":
                response.unsigned_proof.consent = bytes(32)
            if change == "proof":
                data = bytearray(response.unsigned_proof.proof)
                data[-48 - 32] ^= 1  # S(omega z), little-endian
                response.unsigned_proof.proof = bytes(data)
        return real(response, *rest)

    monkeypatch.setattr(synchronous, "take", taken)
    monkeypatch.setattr(proof_pb2.ProveRequest, "SerializeToString", twisted)
    with pytest.raises(ProofError, match=what):
        alice.prove("alice", asked, [attestation], HOLDER)
    assert signed == []


def test_a_stream_without_a_proof(alice: Client, verifier: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from riskproof.client import synchronous

    attestation, challenge = attest(alice), ask(verifier)
    monkeypatch.setattr(synchronous, "take", lambda *_: None)
    with pytest.raises(RemoteError, match="the answer has no proof"):
        alice.prove("alice", challenge, [attestation], HOLDER)


# ---- the leak budget -------------------------------------------------------------------------------------------------


def test_answers_are_counted_in_the_ledger(fresh: Files) -> None:
    with serving(fresh, proving(fresh, workers=1, leak_points=2)) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, live.client("verifier", timeout=60) as verifier:
            attestation = attest(alice)
            first = ask(verifier)
            assert alice.prove("alice", first, [attestation], HOLDER)
            assert alice.prove("alice", first, [attestation], HOLDER)  # the same question is free
            with pytest.raises(FalseStatementError):
                alice.prove("alice", ask(verifier, FALSE), [attestation], HOLDER)
            with pytest.raises(LeakBudgetError, match="costs 1 of 2 points and 0 are left"):
                alice.prove("alice", ask(verifier, TRUE * 2), [attestation], HOLDER)
            with pytest.raises(LeakBudgetError):  # whether it is true or not
                alice.prove("alice", ask(verifier, 10), [attestation], HOLDER)
            fund = attest(alice, audience="fund")
            with pytest.raises(
                ProofError, match="the gain does not fit slacks of 64 bits"
            ):  # told by the book: counted
                alice.prove("alice", ask(verifier, 10**17, audience="fund"), [fund], HOLDER)
            assert alice.prove("alice", ask(verifier, audience="fund"), [fund], HOLDER)
    with serving(fresh, proving(fresh, workers=1, leak_points=2)) as live, live.client("alice", timeout=60) as alice:
        with live.client("verifier") as verifier, pytest.raises(LeakBudgetError):
            alice.prove("alice", ask(verifier, TRUE * 2), [attest(alice)], HOLDER)
        assert live.server.venue.ledger.verify_integrity() == []


def test_a_tight_bound_if_the_venue_allows_it(fresh: Files) -> None:
    with serving(fresh, proving(fresh, workers=1, allow_tight_bound=True)) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, live.client("verifier") as verifier:
            attestation, challenge = attest(alice), ask(verifier, TRUE + 1)
            with pytest.raises(ProofError, match="more than two significant digits"):
                alice.prove("alice", challenge, [attestation], HOLDER)
            proof = alice.prove("alice", challenge, [attestation], HOLDER, allow_tight_bound=True)
            assert verifier.verify_proof(case(proof, challenge, attestation)).outcome is Outcome.VALID


# ---- workers that are busy, slow or dead ------------------------------------------------------------------------------


def pids(live: Live) -> set[int]:
    return set(live.server.venue.workers.pids)


@dataclass
class Frozen:
    """A server whose one worker is stopped by a signal, as if it worked for ever."""

    live: Live
    pid: int
    restarts: float


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with one worker and room for one job more."""
    files = make_files(tmp_path_factory.mktemp("lone"))
    with serving(files, proving(files, workers=1, queue=1, per_caller=4)) as live:
        yield settle(live)


@pytest.fixture
def frozen(lone: Live) -> Iterator[Frozen]:
    with lone.client("alice", timeout=60) as alice, lone.client("verifier") as verifier:
        alice.prove("alice", ask(verifier), [attest(alice)], HOLDER)  # the worker is ready
    (pid,) = pids(lone)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield Frozen(lone, pid, restarts(lone))
    finally:
        for left in pids(lone):
            os.kill(left, signal.SIGCONT)


def restarts(live: Live) -> float:
    return metric(live, "riskproof_worker_restarts_total")


def waiting(live: Live) -> float:
    return metric(live, "riskproof_worker_jobs_waiting")


def until(condition: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_full_queue_and_a_client_that_hangs_up(frozen: Frozen) -> None:
    live = frozen.live
    with live.client("alice", timeout=60) as alice, live.client("verifier") as verifier:
        attestation, challenge = attest(alice), ask(verifier)
        digest = last_digest(alice)
        request = proof_pb2.ProveRequest(
            account_id="alice",
            challenge_json=challenge,
            attestation_digests=[digest],
            holder_key=HOLDER.public.raw,
        )
        method = alice._channel.unary_stream(
            "/riskproof.v1.ProofService/Prove",
            request_serializer=proof_pb2.ProveRequest.SerializeToString,
            response_deserializer=proof_pb2.ProveResponse.FromString,
        )
        running = method(request)
        until(lambda: live.server.venue.workers._running["riskproof://account-holder/alice"] == 1)
        queued = method(request)
        until(lambda: waiting(live) == 1)
        with pytest.raises(CapacityError, match="1 jobs wait for a worker"):
            alice.prove("alice", challenge, [attestation], HOLDER)
        queued.cancel()
        until(lambda: waiting(live) == 0)
        assert pids(live) == {frozen.pid}
        running.cancel()  # its worker does not stop by itself: it is killed and replaced
        until(lambda: pids(live) and frozen.pid not in pids(live))
        assert alice.prove("alice", challenge, [attestation], HOLDER)
    assert restarts(live) == frozen.restarts + 1


def test_a_deadline_passes(frozen: Frozen) -> None:
    live = frozen.live
    with live.client("alice", timeout=60) as alice, live.client("verifier", timeout=60) as verifier:
        attestation, challenge = attest(alice), ask(verifier)
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            alice.prove("alice", challenge, [attestation], HOLDER, timeout=0.5)
        assert time.monotonic() - started < 5
        until(lambda: pids(live) and frozen.pid not in pids(live))
        proof = alice.prove("alice", challenge, [attestation], HOLDER)
        assert verifier.verify_proof(case(proof, challenge, attestation)).outcome is Outcome.VALID


def test_the_configured_deadline_passes(fresh: Files) -> None:
    with serving(fresh, proving(fresh, workers=1, deadline_seconds=1)) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, live.client("verifier") as verifier:
            attestation, challenge = attest(alice), ask(verifier)
            until(lambda: pids(live))
            (pid,) = pids(live)
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(DeadlineError, match="the deadline passed before the work was done"):
                alice.prove("alice", challenge, [attestation], HOLDER)
            for left in pids(live):
                os.kill(left, signal.SIGCONT)


def test_a_worker_killed_in_the_middle_costs_that_proof_only(frozen: Frozen) -> None:
    live = frozen.live
    outcomes: list[object] = []

    def prove(attestation: bytes, challenge: bytes) -> None:
        with live.client("alice", timeout=60) as alice:
            try:
                outcomes.append(alice.prove("alice", challenge, [attestation], HOLDER))
            except WorkerLostError as error:
                outcomes.append(error)

    with live.client("alice", timeout=60) as alice, live.client("verifier", timeout=60) as verifier:
        attestation, challenge = attest(alice), ask(verifier)
        first = threading.Thread(target=prove, args=(attestation, challenge))
        first.start()
        until(lambda: live.server.venue.workers._running["riskproof://account-holder/alice"] == 1)
        second = threading.Thread(target=prove, args=(attestation, challenge))
        second.start()
        until(lambda: waiting(live) == 1)
        os.kill(frozen.pid, signal.SIGKILL)
        first.join(60)
        second.join(60)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["WorkerLostError", "bytes"]
        (proof,) = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
        assert verifier.verify_proof(case(proof, challenge, attestation)).outcome is Outcome.VALID
        (error,) = [outcome for outcome in outcomes if isinstance(outcome, WorkerLostError)]
        assert "the process that worked on this died" in error.what
        assert alice.prove("alice", challenge, [attestation], HOLDER)


def test_attesting_goes_on_while_workers_are_busy(frozen: Frozen) -> None:
    with frozen.live.client("alice", timeout=10) as alice:
        assert attest(alice)


def test_a_venue_without_workers_still_asks(fresh: Files) -> None:
    with serving(fresh) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, live.client("verifier") as verifier:
            attestation, challenge = attest(alice), ask(verifier)
            with pytest.raises(CapacityError, match="this server has no worker processes"):
                alice.prove("alice", challenge, [attestation], HOLDER)
            with pytest.raises(CapacityError, match="this server has no worker processes"):
                verifier.verify_proof(case(b"", challenge, attestation))


def test_a_worker_rehearses_before_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearse()
    from riskproof.service import rehearsal

    monkeypatch.setattr(rehearsal, "verify_proof", lambda *_a, **_k: verify_proof(b"", b"", [], [], [], now=1))
    with pytest.raises(AssertionError, match="the rehearsal's proof is malformed"):
        rehearse()


def test_secrets_are_in_no_log(venue: Live, alice: Client, verifier: Client) -> None:
    sequence = alice.list_attestations("alice", page_size=1000).items[-1].sequence
    opening = json.loads(alice.get_opening("alice", sequence))
    log = venue.log.getvalue()
    for secret in (opening["epoch_secret"], opening["root_salt"], opening["blindings"][0], IDENTITY):
        assert secret not in log
