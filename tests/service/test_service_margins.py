"""Statements about margin over gRPC, under models of both versions; and what a stranger's model may cost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import grpc
import pytest
from service_support import Files, Live, make_config, make_files, raw_call, serving

from riskproof.attest.keys import SigningKey
from riskproof.client import BroughtAccount, Client, Disclosure, Holding
from riskproof.errors import (
    CapacityError,
    EncodingError,
    FalseStatementError,
    HistoryError,
    InputError,
    LeakBudgetError,
    ModelError,
    ProofError,
)
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.proof.challenge import Challenge, Margin, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.risk.margining import MarginModel, exact, load, margin
from riskproof.service.config import ProvingConfig
from riskproof.verify import Check, Outcome
from riskproof.verify.net_risk import ProofCase, verify_proof
from tests.proof.proof_support import make_market

HOLDER = SigningKey.from_seed(bytes([7]) * 32, "alice")
IDENTITY = "5493001KJTIIGC8Y1R12"
AUDIENCE = "lender"
BOOK = {"USD": 90_000_000, "BTC-PERPETUAL": -900, "BTC-100000-C": -2_000, "BTC-120000-C": 1_500}
LOOSE = 10**15  # micros: a billion
PM2 = load("derive-pm2")


def written(model: MarginModel, **changes: object) -> bytes:
    """A model file as people write it: laid out, and not in the one canonical form."""
    return json.dumps(model.to_document() | changes, indent=1).encode()


def chain() -> Market:
    return make_market()


def settle(live: Live) -> Live:
    live.now = chain().snapshot.time + 10
    with live.client("operator", timeout=60) as operator:
        operator.publish_market(chain())
        operator.open_account("alice")
        operator.set_holder("alice", IDENTITY)
        operator.record_trade("alice", "t1", [Holding(name, lots) for name, lots in BOOK.items()])
    return live


def proving(files: Files, **options: object) -> object:
    options = {"workers": 2, "leak_points": 1_000_000, "allow_tight_bound": True} | options
    own = files.folder / "served.json"
    own.write_bytes(written(PM2, name="served"))
    config = make_config(files)
    return replace(config, proving=ProvingConfig(**options), venue=replace(config.venue, models=(str(own),)))


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


def attest(client: Client) -> bytes:
    return client.create_attestation(
        "alice", audience=AUDIENCE, disclosure=Disclosure.NONE, holder_key=HOLDER.public.raw
    ).attestation


def ask(verifier: Client, bound: int = LOOSE, **options: object) -> bytes:
    options = {"audience": AUDIENCE, "statement": "margin", "requirement": "initial", "model": "derive-pm2"} | options
    return verifier.create_challenge(bound_micros=bound, **options)


def case(proof: bytes, challenge: bytes, *attestations: bytes) -> ProofCase:
    count = len(attestations)
    return ProofCase(proof, challenge, list(attestations), [b""] * count, [b""] * count)


def needed(model: str, statement: str, requirement: str) -> int:
    """The least bound in micros that the book satisfies: the engine's number, rounded up."""
    places = {x.name: i for i, x in enumerate(chain().registry.instruments)}
    report = margin(load(model), chain(), Portfolio(tuple(sorted((places[n], q) for n, q in BOOK.items()))))
    amount: Fraction = getattr(report, requirement) - (report.equity if statement == "excess" else 0)
    return -((-amount * 10**6) // 1)


# ---- from challenge to verdict ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["derive-pm2", "crypto-pm"])
@pytest.mark.parametrize("requirement", ["initial", "maintenance"])
def test_the_engines_margin_is_proved_and_one_micro_less_is_not(
    venue: Live, alice: Client, verifier: Client, model: str, requirement: str
) -> None:
    attestation, bound = attest(alice), needed(model, "margin", requirement)
    asked = ask(verifier, bound, model=model, requirement=requirement)
    stages: list[str] = []
    proof = alice.prove(
        "alice", asked, [attestation], HOLDER, allow_tight_bound=True, progress=lambda stage, _: stages.append(stage)
    )
    assert "computing the rows" in stages
    verdict = verifier.verify_proof(case(proof, asked, attestation))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert f"the {requirement} margin of 1 account at venue-a" in verdict.proved[0]
    keys, file = verifier.get_key_set(), chain().to_bytes()
    assert verify_proof(proof, asked, [attestation], [keys], [file], now=venue.now) == verdict
    less = ask(verifier, bound - 1, model=model, requirement=requirement)
    with pytest.raises(FalseStatementError, match="the statement is false: short by") as refused:
        alice.prove("alice", less, [attestation], HOLDER, allow_tight_bound=True)
    assert refused.value.where == f"{requirement} margin"


@pytest.mark.parametrize("model", ["derive-pm2", "crypto-pm"])
@pytest.mark.parametrize("requirement", ["initial", "maintenance"])
def test_excess(alice: Client, verifier: Client, model: str, requirement: str) -> None:
    attestation = attest(alice)
    short = needed(model, "excess", requirement)
    asked = ask(verifier, max(0, short), statement="excess", model=model, requirement=requirement)
    proof = alice.prove("alice", asked, [attestation], HOLDER, allow_tight_bound=True)
    verdict = verifier.verify_proof(case(proof, asked, attestation))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert f"equity less the {requirement} margin of 1 account at venue-a" in verdict.proved[0]


def test_accounts_of_two_venues_are_netted(venue: Live, alice: Client, verifier: Client, tmp_path: Path) -> None:
    files = make_files(tmp_path, "venue-b")
    with serving(files) as other:
        settle(other)
        with other.client("alice", timeout=60) as there:
            brought = attest(there)
            opening = there.get_opening("alice", there.list_attestations("alice").items[-1].sequence)
            their_keys = there.get_key_set()
    attestation, asked = attest(alice), ask(verifier)
    proof = alice.prove("alice", asked, [attestation], HOLDER, brought=[BroughtAccount(brought, opening)])
    keys = [verifier.get_key_set(), their_keys]
    verdict = verifier.verify_proof(ProofCase(proof, asked, [attestation, brought], keys, [b"", b""]))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert "the initial margin of 2 accounts at venue-a, venue-b" in verdict.proved[0]


# ---- challenges ------------------------------------------------------------------------------------------------------


def test_a_challenge_says_what_was_asked(verifier: Client) -> None:
    made = Challenge.from_bytes(ask(verifier, 5_000_000, statement="excess", requirement="maintenance"))
    assert (made.statement, made.margin, made.bound_micros) == (StatementKind.EXCESS, Margin.MAINTENANCE, 5_000_000)
    assert made.model == PM2


def test_a_model_of_the_verifiers_own(alice: Client, verifier: Client) -> None:
    grid = {
        "scenarios": [
            {"product": {"price": {"linspace": {"from": "-0.2", "to": "0.2", "count": 5}}}, "common": {"group": g}}
            for g in ("regular", "skew", "tail")[:1]
        ]
        + [{"id": "s", "group": "skew"}, {"id": "t", "group": "tail"}]
    }
    asked = ask(verifier, model=written(PM2, name="own", grid=grid))
    made = Challenge.from_bytes(asked)
    assert made.model is not None
    assert (made.model.name, len(made.model.scenarios)) == ("own", 7)  # expanded
    attestation = attest(alice)
    proof = alice.prove("alice", asked, [attestation], HOLDER)
    verdict = verifier.verify_proof(case(proof, asked, attestation))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert verdict.proved[0].startswith(f"Under model own ({made.model_digest.hex()})")


@pytest.mark.parametrize("name", ["derive-pm2", "served"])
def test_a_model_that_the_challenge_only_names(venue: Live, alice: Client, verifier: Client, name: str) -> None:
    model = MarginModel.from_bytes(verifier.get_model(name))
    asked = Challenge.new(
        audience=AUDIENCE,
        bound_micros=LOOSE,
        now=venue.now,
        model=model,
        statement=StatementKind.EXCESS,
        margin=Margin.INITIAL,
        embed_model=False,
    ).to_bytes()
    attestation = attest(alice)
    proof = alice.prove("alice", asked, [attestation], HOLDER)
    verdict = verifier.verify_proof(case(proof, asked, attestation))
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert f"Under model {name}" in verdict.proved[0]


@pytest.mark.parametrize(
    ("options", "error", "what", "where"),
    [
        ({"requirement": ""}, ProofError, "no requirement is named", "requirement"),
        ({"statement": "excess", "requirement": ""}, ProofError, "no requirement is named", "requirement"),
        ({"statement": "loss", "model": "crypto-pm"}, ProofError, "loss has no requirement", "requirement"),
        ({"statement": "loss", "requirement": ""}, ProofError, "loss under a model of version 2", "statement"),
        ({"statement": "solvency", "requirement": ""}, ProofError, "solvency under a model of version 2", "statement"),
        ({"requirement": "average"}, InputError, "no requirement 'average'", "requirement"),
        ({"model": written(PM2, charges=[{}])}, ModelError, "'id' is missing", "model_json.charges[0]"),
        ({"model": b'{"schema":"riskproof/model/v3"}'}, ModelError, "version", "model_json"),
        ({"model": b"{"}, EncodingError, "not JSON", "model_json"),
    ],
)
def test_challenges_that_are_refused(
    verifier: Client, options: dict[str, object], error: type[Exception], what: str, where: str
) -> None:
    with pytest.raises(error, match=what) as refused:
        ask(verifier, **options)
    assert type(refused.value) is error
    assert refused.value.where.startswith(where)


def test_a_requirement_that_is_none(venue: Live) -> None:
    with venue.channel("verifier") as channel, pytest.raises(grpc.RpcError, match="no requirement 7") as refused:
        raw_call(channel, "riskproof.v1.ProofService/CreateChallenge", statement=3, requirement=7, audience="x")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_venue_without_workers_reads_no_strangers_model(fresh: Files) -> None:
    with serving(fresh) as live, live.client("verifier") as verifier:
        live.now = chain().snapshot.time
        assert Challenge.from_bytes(ask(verifier)).model == PM2
        with pytest.raises(CapacityError, match="this server has no worker processes"):
            ask(verifier, model=written(PM2, name="own"))


def test_a_challenge_that_carries_another_model_than_it_names(venue: Live, alice: Client, verifier: Client) -> None:
    attest(alice)
    asked = ask(verifier).replace(b'"snapshot_age_seconds":31622400', b'"snapshot_age_seconds":31622399')
    request = {"account_id": "alice", "holder_key": HOLDER.public.raw, "challenge_json": asked, "sequences": [1]}
    with (
        venue.channel("alice") as channel,
        pytest.raises(grpc.RpcError, match="the document is another model") as refused,
    ):
        raw_call(channel, "riskproof.v1.ProofService/Prove", **request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "challenge_json.model.document" in refused.value.details()


# ---- what takes too long ---------------------------------------------------------------------------------------------


def heavy() -> bytes:
    """A model of 4,096 scenarios, in each of which 50 charges look at each instrument alone."""
    scenarios = [
        {"id": f"s{i}", "price": exact.text(Fraction(i + 1, 50_000)), "vol": "up", "group": "regular"}
        for i in range(4_094)
    ]
    rest = [{"id": g, "group": g} for g in ("skew", "tail")]
    alone = {"kind": "standalone", "group": "regular", "rates": {"initial": "1", "maintenance": "1"}, "locked": False}
    own = PM2.to_document()["charges"]
    assert isinstance(own, list)
    charges = [*own, *({"id": f"alone{i}", **alone} for i in range(50))]
    return written(PM2, name="heavy", grid={"scenarios": [*scenarios, *rest]}, charges=charges)


def nested() -> bytes:
    """A model of a few hundred bytes more than derive-pm2, whose aggregate unfolds to 2^40 numbers."""
    terms = {f"t{k}": {"max": [f"t{k - 1}", f"t{k - 1}"]} for k in range(1, 41)}
    account = {"equity": "value.total", "initial": "t40", "maintenance": "worst", "t0": "worst"}
    aggregate = PM2.to_document()["aggregate"]
    assert isinstance(aggregate, dict)
    return written(PM2, name="nested", aggregate={**aggregate, "account": {**account, **terms}})


def past() -> bytes:
    """A model whose joint moves come from a history."""
    one = {
        "id": "past",
        "measure": {"kind": "worst_loss"},
        "method": "historical",
        "history": "ab" * 32,
        "first": "2024-01-01",
        "last": "2025-01-01",
        "weight_decay": "1",
        "horizon_days": 1,
    }
    return written(PM2, name="past", tail={"sets": [one]})


REFUSED = {
    "heavy": (heavy(), ProofError, r"the rows of heavy over 7 instruments take about \d+ s", "challenge.model"),
    "nested": (nested(), ProofError, "the rows of nested over 7 instruments take about 1000000 s", "challenge.model"),
    "past": (past(), HistoryError, "the history abab", "tail.sets[0].history"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_too_long_is_refused_at_once(alice: Client, verifier: Client, name: str) -> None:
    model, error, what, where = REFUSED[name]
    attestation, asked = attest(alice), ask(verifier, model=model)
    good = ask(verifier)
    proof = ProofDocument.from_bytes(alice.prove("alice", good, [attestation], HOLDER))
    started = time.monotonic()
    with pytest.raises(error, match=what) as refused:
        alice.prove("alice", asked, [attestation], HOLDER)
    assert type(refused.value) is error
    assert refused.value.where == where
    forged = replace(proof, challenge_digest=Challenge.from_bytes(asked).digest).to_bytes()
    verdict = verifier.verify_proof(case(forged, asked, attestation))
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.PROOF_ROWS)
    assert f"the rows cannot be computed: {where}: " in verdict.reason
    assert time.monotonic() - started < 10


def test_refusals_cost_no_leak_points(fresh: Files) -> None:
    with serving(fresh, proving(fresh, workers=1, leak_points=4)) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, live.client("verifier", timeout=60) as verifier:
            attestation = attest(alice)
            for model, error, *_ in REFUSED.values():
                with pytest.raises(error):
                    alice.prove("alice", ask(verifier, model=model), [attestation], HOLDER)
            assert alice.prove("alice", ask(verifier), [attestation], HOLDER)
            with pytest.raises(LeakBudgetError):
                alice.prove("alice", ask(verifier, LOOSE // 10), [attestation], HOLDER)


def test_attesting_goes_on_beside_strangers_models(venue: Live, alice: Client, verifier: Client) -> None:
    attestation = attest(alice)
    asked = [ask(verifier, model=model) for model in (heavy(), nested())]
    stop, refusals = threading.Event(), []

    def bother() -> None:
        with venue.client("alice", timeout=60) as client:
            while not stop.is_set():
                for challenge in asked:
                    with pytest.raises(ProofError) as refused:
                        client.prove("alice", challenge, [attestation], HOLDER)
                    refusals.append(refused.value.where)

    threads = [threading.Thread(target=bother) for _ in range(3)]
    for thread in threads:
        thread.start()
    taken = []
    while len(taken) < 40 or len(refusals) < 6:
        started = time.monotonic()
        assert attest(alice)
        taken.append(time.monotonic() - started)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert set(refusals) == {"challenge.model"}
    assert sorted(taken)[len(taken) // 2] < 0.5
