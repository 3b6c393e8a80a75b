"""The methods through both clients: publish, trade, compute, attest, fetch, list, verify, open."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from service_support import Live, later, market, raw_call

from riskproof import encoding
from riskproof.attest.payload import Policy
from riskproof.client import AsyncClient, Client, Disclosure, Holding
from riskproof.errors import (
    ConflictError,
    EncodingError,
    InputError,
    NotFoundError,
    PortfolioError,
    RegistryError,
    SnapshotError,
    UnknownInstrumentError,
)
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, Payoff
from riskproof.market.sample import sample_book
from riskproof.market.snapshot import Quote, Snapshot
from riskproof.risk.arrays import compute_array
from riskproof.risk.figures import ENGINE, RiskBasis
from riskproof.risk.margining import load
from riskproof.risk.model import load_model
from riskproof.risk.portfolio_risk import evaluate
from riskproof.verify import Outcome, verify_attestation

MODEL = load_model("crypto-pm")


def book(name: str = "market-maker-a") -> list[Holding]:
    registry = market().registry
    return [Holding(registry.instruments[i].name, lots) for i, lots in sample_book(name, market()).positions]


@pytest.fixture(scope="module", autouse=True)
def traded(live: Live) -> None:
    with live.client("operator") as operator:
        recorded = operator.record_trade("alice", "opening-trade", book())
        assert (recorded.position_version, recorded.replayed) == (1, False)


@pytest.fixture(scope="module")
def operator(live: Live):
    with live.client("operator") as client:
        yield client


@pytest.fixture(scope="module")
def alice(live: Live):
    with live.client("alice") as client:
        yield client


@pytest.fixture(scope="module")
def verifier(live: Live):
    with live.client("verifier") as client:
        yield client


def test_market_data_for_everyone(verifier: Client) -> None:
    fetched = verifier.get_market()
    assert fetched.registry.digest == market().registry.digest
    assert verifier.get_registry() == encoding.canonical_json(market().registry.to_document())
    assert verifier.get_snapshot(fetched.snapshot.digest) == encoding.canonical_json(fetched.snapshot.to_document())
    assert verifier.get_model() == MODEL.to_bytes()


def test_snapshots_in_pages(operator: Client, verifier: Client) -> None:
    published = [operator.publish_market(later(market(), i)).snapshot_digest for i in range(1, 6)]
    assert operator.publish_market(later(market(), 5)).snapshot_digest == published[-1]
    page = verifier.list_snapshots(page_size=3)
    seen = [s.snapshot_digest for s in page.items]
    assert seen == published[:-4:-1]
    assert page.items[0].time == market().snapshot.time + 5
    while page.next_page_token:
        page = verifier.list_snapshots(page_size=3, page_token=page.next_page_token)
        seen += [s.snapshot_digest for s in page.items]
    assert len(seen) == len(set(seen)) == 6


def test_a_longer_registry_and_trades_in_what_it_adds(operator: Client, alice: Client) -> None:
    old = market()
    registry = old.registry.extended([Instrument("DOGE", Kind.SPOT, "DOGE", Payoff.LINEAR, 10**9)])
    quotes = {i.name: q for i, q in zip(old.registry.instruments, old.snapshot.quotes, strict=True) if q is not None}
    quotes["DOGE"] = Quote(mark=2 * 10**8)
    indices = {**dict(old.snapshot.indices), "DOGE": 2 * 10**8}
    snapshot = Snapshot.build(registry, old.snapshot.time + 6, "test", indices, list(old.snapshot.curves), quotes)
    before = alice.create_attestation("alice")
    document = encoding.canonical_json(snapshot.to_document())
    operator.publish_snapshot(document, encoding.canonical_json(registry.to_document()))
    operator.publish_snapshot(document)  # the registry is known by now
    operator.record_trade("alice", "doge", [Holding("DOGE", 5)])
    after = alice.create_attestation("alice")
    assert after.sequence == before.sequence + 1
    verdict = alice.verify_attestation(after.attestation, opening=alice.get_opening("alice", after.sequence))
    assert verdict.outcome is Outcome.VALID
    assert [c.number for c in verdict.checks][-1] == 25
    # The older snapshot's registry has no DOGE: the book does not fit it.
    with pytest.raises(UnknownInstrumentError):
        alice.create_attestation("alice", snapshot_digest=old.snapshot.digest)
    operator.record_trade("alice", "no-doge", [Holding("DOGE", -5)])
    older = alice.create_attestation("alice", snapshot_digest=old.snapshot.digest)
    assert alice.verify_attestation(older.attestation, recompute=True).outcome is Outcome.VALID
    shorter = replace(old.registry, instruments=old.registry.instruments[:-1])
    removed = Snapshot(
        shorter.digest,
        old.snapshot.time + 7,
        "test",
        old.snapshot.indices,
        old.snapshot.curves,
        old.snapshot.quotes[:-1],
    )
    with pytest.raises(RegistryError, match="instruments were removed"):
        operator.publish_market(Market(shorter, removed))
    with pytest.raises(NotFoundError):
        operator.get_snapshot(removed.digest)


def test_positions_by_name(operator: Client, alice: Client) -> None:
    positions = alice.get_positions("alice")
    assert sorted(positions.holdings, key=lambda h: h.instrument) == sorted(book(), key=lambda h: h.instrument)
    assert positions == operator.get_positions("alice")
    assert str(book()[0].lots) not in repr(positions)


def test_trades_are_idempotent(operator: Client) -> None:
    legs = [Holding("BTC", 7), Holding("ETH", -3)]
    first = operator.record_trade("bob", "t1", legs)
    again = operator.record_trade("bob", "t1", list(reversed(legs)))
    assert (again.position_version, again.replayed) == (first.position_version, True)
    with pytest.raises(ConflictError, match="taken"):
        operator.record_trade("bob", "t1", legs[:1])
    assert operator.get_positions("bob").holdings == tuple(legs) or len(operator.get_positions("bob").holdings) == 2


@pytest.mark.parametrize(
    ("account", "legs", "error", "what"),
    [
        ("carol", [Holding("BTC", 1)], NotFoundError, "account"),
        ("bob", [], PortfolioError, "without legs"),
        ("bob", [Holding("BTC", 1), Holding("BTC", 2)], PortfolioError, "twice in one trade"),
        ("bob", [Holding("BTC", 0)], PortfolioError, "zero lots"),
        ("bob", [Holding("XYZ", 1)], UnknownInstrumentError, "XYZ"),
        ("bob", [Holding("ETH", 2**63 - 1), Holding("BTC", 2**63 - 1)], PortfolioError, "64 bits"),
    ],
)
def test_trades_that_are_refused_whole(
    operator: Client, account: str, legs: list[Holding], error: type[Exception], what: str
) -> None:
    before = operator.get_positions("bob")
    operator.record_trade("bob", f"pos-{before.version}", [Holding("BTC", 1)])
    before = operator.get_positions("bob")
    with pytest.raises(error, match=what):
        operator.record_trade(account, "refused", legs)
    assert operator.get_positions("bob") == before


def test_the_array_is_the_one_anybody_computes(verifier: Client) -> None:
    array = verifier.compute_array(market().snapshot.digest)
    assert array.digest == compute_array(market(), MODEL).digest


def test_a_part_of_an_array(live: Live) -> None:
    with live.channel("verifier") as channel:
        name, digest = "riskproof.v1.RiskService/ComputeArray", market().snapshot.digest
        header, block = raw_call(channel, name, snapshot_digest=digest, first_index=10, instrument_count=3)
        assert header.header.registry_size == len(market().registry)
        expected = compute_array(market(), MODEL)
        assert list(block.block.entries) == expected.rows[10:13].ravel().tolist()
        assert list(block.block.base_values) == expected.base_value[10:13].tolist()
        size = len(market().registry)
        assert len(raw_call(channel, name, snapshot_digest=digest, first_index=size)) == 1
        assert len(raw_call(channel, name, snapshot_digest=digest, first_index=size - 1, instrument_count=9)) == 2


def test_margin_of_an_account_and_of_a_hypothetical_book(operator: Client, alice: Client) -> None:
    array = compute_array(market(), MODEL)
    risk = evaluate(market(), MODEL, array, sample_book("market-maker-a", market()))
    digest = market().snapshot.digest
    held = alice.compute_margin("alice", snapshot_digest=digest, with_greeks=True)
    assert held.initial_margin_micros == risk.initial_margin_micros
    assert held.maintenance_margin_micros == risk.maintenance_margin_micros
    assert held.value_micros == risk.value_micros
    assert tuple(s.pnl_micros for s in held.scenarios) == risk.pnl_micros
    assert held.worst_scenario_id == risk.worst_id
    assert held.array_digest == array.digest
    assert json.loads(held.greeks_json) == risk.greeks_document()
    assert held.position_version > 0
    imagined = operator.compute_margin(book=book(), snapshot_digest=digest)
    assert imagined.initial_margin_micros == risk.initial_margin_micros
    assert (imagined.position_version, imagined.greeks_json) == (0, b"")
    assert operator.compute_margin(book=[]).initial_margin_micros == 0
    with pytest.raises(InputError, match="one of them"):
        operator.compute_margin("alice", book=[])
    with pytest.raises(PortfolioError):
        operator.compute_margin(book=[Holding("BTC", 1), Holding("BTC", 1)])


@pytest.mark.parametrize("disclosure", [Disclosure.NONE, Disclosure.MARGIN, Disclosure.ARRAY, Disclosure.DEFAULT])
def test_an_attestation_from_request_to_audit(live: Live, alice: Client, disclosure: Disclosure) -> None:
    digest = market().snapshot.digest
    made = alice.create_attestation(
        "alice", snapshot_digest=digest, disclosure=disclosure, audience="lender", nonce="n-1", ttl_seconds=60
    )
    keys = alice.get_key_set()
    verdict = verify_attestation(
        made.attestation,
        keys,
        now=live.now + 20,
        audience="lender",
        nonce="n-1",
        market=market().to_bytes(),
        opening=alice.get_opening("alice", made.sequence),
    )
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert verdict.attestation is not None
    wanted = Policy.MARGIN if disclosure is Disclosure.DEFAULT else Policy(disclosure.value)
    assert verdict.attestation.disclosed.policy is wanted
    assert verdict.attestation.expires_at - verdict.attestation.issued_at == 60
    assert verdict.attestation.digest == made.digest
    assert alice.get_attestation("alice", made.sequence).attestation == made.attestation


@pytest.mark.parametrize("name", ["derive-srm", "isolated"])
def test_margins_and_attestations_under_models_of_version_2(live: Live, alice: Client, name: str) -> None:
    digest, model = market().snapshot.digest, load(name)
    figures = RiskBasis.build(market(), model).figures(sample_book("market-maker-a", market()))
    held = alice.compute_margin("alice", snapshot_digest=digest, model=name, with_greeks=True)
    assert (held.model_digest, held.kernel, held.array_digest) == (model.digest, ENGINE, b"")
    assert held.initial_margin_micros == figures.initial_margin_micros
    assert held.maintenance_margin_micros == figures.maintenance_margin_micros
    assert held.value_micros == figures.value_micros
    assert tuple(s.pnl_micros for s in held.scenarios) == figures.pnl_micros
    assert held.worst_scenario_id == (figures.worst_id or "")
    assert json.loads(held.greeks_json)["total"]
    made = alice.create_attestation("alice", snapshot_digest=digest, model=name, disclosure=Disclosure.ARRAY)
    verdict = verify_attestation(
        made.attestation,
        alice.get_key_set(),
        now=live.now + 20,
        market=market().to_bytes(),
        opening=alice.get_opening("alice", made.sequence),
    )
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert [c.number for c in verdict.checks][-1] == 25
    assert verdict.attestation is not None
    assert verdict.attestation.model_digest == model.digest
    answer = alice.verify_attestation(made.attestation, opening=alice.get_opening("alice", made.sequence))
    assert (answer.outcome, answer.checks[-1].number) == (Outcome.VALID, 25)
    opening = alice.get_opening("alice", made.sequence)
    answer = alice.verify_attestation(made.attestation, opening=opening, keys=alice.get_key_set())
    assert (answer.outcome, answer.checks[-1].number) == (Outcome.VALID, 24)
    assert "not recomputed: under a model of version 2 only what this venue signed is" in answer.notes


def test_what_a_model_of_version_2_cannot_give(live: Live, alice: Client, verifier: Client) -> None:
    computed = live.server.metrics.registry.get_sample_value("riskproof_arrays_computed_total")
    with pytest.raises(
        InputError, match=r"^model: a model of version 2 has no risk array \(expected a model of version 1"
    ):
        verifier.compute_array(market().snapshot.digest, model="tims10")
    assert live.server.metrics.registry.get_sample_value("riskproof_arrays_computed_total") == computed  # none dropped
    with pytest.raises(
        PortfolioError, match=r"limits\.underlyings: 2 underlyings \(expected at most 1 under derive-pm2\)"
    ):
        alice.create_attestation("alice", snapshot_digest=market().snapshot.digest, model="derive-pm2")
    with pytest.raises(PortfolioError, match=r"limits\.underlyings: 2 underlyings"):
        alice.compute_margin("alice", snapshot_digest=market().snapshot.digest, model="derive-pm2")


def test_the_same_request_is_answered_once(alice: Client) -> None:
    made = alice.create_attestation("alice", request_id="again", audience="lender")
    again = alice.create_attestation("alice", request_id="again", audience="lender")
    assert again.replayed
    assert (again.sequence, again.attestation) == (made.sequence, made.attestation)
    with pytest.raises(ConflictError, match="request id"):
        alice.create_attestation("alice", request_id="again", audience="somebody else")


def test_attestations_in_pages(alice: Client) -> None:
    for _ in range(3):
        alice.create_attestation("alice")
    page = alice.list_attestations("alice", page_size=2)
    sequences = [a.sequence for a in page.items]
    while page.next_page_token:
        page = alice.list_attestations("alice", page_size=2, page_token=page.next_page_token)
        sequences += [a.sequence for a in page.items]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) >= 3


def test_what_the_server_says_of_attestations(alice: Client, verifier: Client) -> None:
    made = alice.create_attestation("alice", audience="lender")
    assert verifier.verify_attestation(made.attestation, audience="lender").outcome is Outcome.VALID
    wrong = verifier.verify_attestation(made.attestation, audience="thief")
    assert (wrong.outcome, wrong.failed_check) == (Outcome.INVALID, 6)
    assert "audience" in wrong.reason
    assert verifier.verify_attestation(made.attestation + b" ").outcome is Outcome.MALFORMED
    recomputed = verifier.verify_attestation(made.attestation, audience="lender", recompute=True)
    assert recomputed.outcome is Outcome.VALID
    assert 13 in [c.number for c in recomputed.checks]
    tampered = verifier.verify_attestation(made.attestation, audience="lender", opening=b"{}")
    assert tampered.outcome is Outcome.MALFORMED


def test_attestations_on_old_snapshots_are_refused_and_cost_no_number(live: Live, alice: Client) -> None:
    before = alice.create_attestation("alice")
    live.now += 3_600
    try:
        with pytest.raises(SnapshotError, match="s old"):
            alice.create_attestation("alice", request_id="late")
        replay = alice.create_attestation("alice", request_id="again", audience="lender")
        assert replay.replayed
    finally:
        live.now -= 3_600
    live.now -= 3_600
    try:
        with pytest.raises(SnapshotError, match="in the future"):
            alice.create_attestation("alice", request_id="early")
    finally:
        live.now += 3_600
    assert alice.create_attestation("alice", request_id="late").sequence == before.sequence + 1


@pytest.mark.parametrize(
    ("fields", "error", "where"),
    [
        ({"model": "span-1"}, NotFoundError, "model"),
        ({"snapshot_digest": b"short"}, InputError, "snapshot_digest"),
        ({"snapshot_digest": bytes(32)}, NotFoundError, "ledger"),
        ({"ttl_seconds": -1}, InputError, "ttl_seconds"),
        ({"ttl_seconds": 86_401}, InputError, "ttl_seconds"),
        ({"audience": "a" * 129}, InputError, "audience"),
        ({"nonce": "a\nb"}, InputError, "nonce"),
        ({"request_id": "a\nb"}, EncodingError, "request_id"),
    ],
)
def test_attestation_requests_that_are_refused(
    alice: Client, fields: dict[str, object], error: type[Exception], where: str
) -> None:
    with pytest.raises(error) as refused:
        alice.create_attestation("alice", **fields)  # type: ignore[arg-type]
    assert type(refused.value) is error
    assert refused.value.where == where  # type: ignore[attr-defined]


def test_snapshots_that_are_refused(operator: Client) -> None:
    document = json.loads(encoding.canonical_json(market().snapshot.to_document()))
    registry = encoding.canonical_json(market().registry.to_document())
    with pytest.raises(EncodingError, match="not canonical"):
        operator.publish_snapshot(json.dumps(document).encode(), registry)
    with pytest.raises(EncodingError, match="not JSON"):
        operator.publish_snapshot(b'{"schema":', registry)
    document["indices"] = []
    with pytest.raises(InputError, match="no index price") as refused:
        operator.publish_snapshot(encoding.canonical_json(document), registry)
    assert refused.value.where.startswith("snapshot_json")
    document["registry_digest"] = "00" * 32
    with pytest.raises(NotFoundError, match="no registry"):
        operator.publish_snapshot(encoding.canonical_json(document))


def test_the_asyncio_client(live: Live) -> None:
    async def main() -> None:
        c = live.files.clients["operator"]
        async with AsyncClient(
            live.address,
            authority=live.files.authority.certificate,
            certificate=c.certificate,
            private_key=c.private_key,
        ) as client:
            assert await client.is_serving()
            await client.open_account("dora")
            await client.record_trade("dora", "t", [Holding("BTC", 5)])
            made = await asyncio.gather(*(client.create_attestation("dora", audience="x") for _ in range(20)))
            assert sorted(m.sequence for m in made) == list(range(1, 21))
            assert (await client.get_positions("dora")).holdings == (Holding("BTC", 5),)
            assert (await client.compute_margin("dora")).position_version == 1
            assert (await client.compute_array()).digest
            assert (await client.get_market()).registry
            verdict = await client.verify_attestation(made[3].attestation, audience="x", recompute=True)
            assert verdict.outcome is Outcome.VALID
            page = await client.list_attestations("dora", page_size=1000)
            assert len(page.items) == 20
            with pytest.raises(NotFoundError):
                await client.get_attestation("dora", 21)

    asyncio.run(main())
