"""Committed books in memory against the ledger: trades and attestations side by side, memory bounds, what callers abandon."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from service_support import Files, Live, later, make_config, market, serving

from riskproof.attest.book import EPOCH_SECONDS
from riskproof.client import AsyncClient, Holding
from riskproof.service.books import MAX_PENDING
from riskproof.service.config import CacheConfig
from riskproof.verify import Outcome, verify_attestation


@pytest.fixture
def venue(fresh: Files) -> Iterator[Live]:
    with serving(fresh) as live:
        with live.client("operator") as operator:
            operator.publish_market(market())
            operator.publish_market(later(market(), 1))
        yield live


def asynchronous(live: Live, name: str = "operator") -> AsyncClient:
    c = live.files.clients[name]
    root = live.files.authority.certificate
    return AsyncClient(live.address, authority=root, certificate=c.certificate, private_key=c.private_key, timeout=30)


def audit(live: Live, attestation: bytes, opening: bytes, seconds: int = 0) -> dict[str, int]:
    """The book an attestation commits to, after every check has passed."""
    verdict = verify_attestation(
        attestation,
        live.server.venue.key_set,
        now=live.now,
        market=later(market(), seconds).to_bytes(),
        opening=opening,
    )
    assert verdict.outcome is Outcome.VALID, verdict.reason
    return {p["instrument"]["name"]: int(p["lots"]) for p in json.loads(opening)["positions"]}


def test_every_attestation_is_of_the_trades_acknowledged_before_it(venue: Live) -> None:
    """Trades and attestations of one account from several tasks: what was acknowledged before a request is in its book."""
    names = [i.name for i in market().registry.instruments if i.name in ("BTC", "ETH")]
    snapshots = [market().snapshot.digest, later(market(), 1).snapshot.digest]

    async def main() -> list[tuple[int, int, int, int]]:
        acknowledged, sent = 0, 0
        seen = []
        async with asynchronous(venue) as client:
            await client.open_account("busy")

            async def trade(task: int) -> None:
                nonlocal acknowledged, sent
                for i in range(40):
                    sent += 1
                    await client.record_trade("busy", f"{task}-{i}", [Holding(names[(task + i) % 2], 1)])
                    acknowledged += 1

            async def attest(task: int) -> None:
                for i in range(25):
                    before = acknowledged
                    made = await client.create_attestation("busy", snapshot_digest=snapshots[i % 2])
                    seen.append((made.sequence, before, sent, i % 2))
                    await asyncio.sleep(random.Random(task * 100 + i).uniform(0, 0.005))

            await asyncio.gather(*(trade(t) for t in range(3)), *(attest(t) for t in range(3)))
            assert acknowledged == 120
        return sorted(seen)

    seen = asyncio.run(main())
    assert [sequence for sequence, *_ in seen] == list(range(1, 76))
    ledger = venue.server.venue.ledger
    for sequence, before, sent, seconds in seen:
        book = audit(venue, ledger.attestation("busy", sequence).attestation, ledger.opening("busy", sequence), seconds)
        assert before <= sum(book.values()) <= sent
    assert ledger.verify_integrity() == []


def test_a_caller_who_hangs_up_leaves_no_book_behind_the_ledger(venue: Live) -> None:
    async def main() -> bytes:
        async with asynchronous(venue) as client:
            await client.open_account("hasty")
            await client.create_attestation("hasty")
            for i in range(30):
                call = asyncio.create_task(client.record_trade("hasty", f"t{i}", [Holding("BTC", 1)]))
                await asyncio.sleep(0.0005 * (i % 8))
                call.cancel()
            await asyncio.sleep(0.3)
            return (await client.create_attestation("hasty")).attestation

    attestation = asyncio.run(main())
    ledger = venue.server.venue.ledger
    version, portfolio = ledger.positions("hasty")
    book = audit(venue, attestation, ledger.opening("hasty", 2), 1)
    assert book.get("BTC", 0) == version == dict(portfolio.positions).get(market().registry.index_of("BTC"), 0)


def test_books_are_dropped_when_memory_is_needed(fresh: Files) -> None:
    config = replace(make_config(fresh), cache=CacheConfig(books_mib=1))
    with serving(fresh, config) as live, live.client("operator") as operator:
        operator.publish_market(market())
        accounts = [f"account-{i}" for i in range(60)]
        for account in accounts:
            operator.open_account(account)
            operator.record_trade(account, "t", [Holding("BTC", 1)])
            operator.create_attestation(account)
        sample = live.server.metrics.registry.get_sample_value
        assert 1 <= (sample("riskproof_books_cached") or 0) < 60
        assert 0 < (sample("riskproof_books_cached_bytes") or 0) <= 2**20
        made = operator.create_attestation(accounts[0])
        opening = live.server.venue.ledger.opening(accounts[0], 2)
        assert audit(live, made.attestation, opening) == {"BTC": 1}


def test_many_trades_between_attestations(venue: Live) -> None:
    with venue.client("operator") as operator:
        operator.open_account("many")
        operator.create_attestation("many")
        for i in range(MAX_PENDING + 10):
            operator.record_trade("many", f"t{i}", [Holding("BTC", 1), Holding("ETH", -1)])
        made = operator.create_attestation("many")
        opening = venue.server.venue.ledger.opening("many", made.sequence)
        assert audit(venue, made.attestation, opening, 1) == {"BTC": MAX_PENDING + 10, "ETH": -MAX_PENDING - 10}


def test_a_new_epoch_has_new_salts(venue: Live) -> None:
    with venue.client("operator") as operator:
        operator.open_account("old")
        first = operator.create_attestation("old")
        moved = later(market(), 2 * EPOCH_SECONDS)
        operator.publish_market(moved)
        venue.now += 2 * EPOCH_SECONDS
        second = operator.create_attestation("old")
        ledger = venue.server.venue.ledger
        secrets = [json.loads(ledger.opening("old", a.sequence))["epoch_secret"] for a in (first, second)]
        assert secrets[0] != secrets[1]
        keys = operator.get_key_set()
        verdict = verify_attestation(
            second.attestation, keys, now=venue.now, market=moved.to_bytes(), opening=ledger.opening("old", 2)
        )
        assert verdict.outcome is Outcome.VALID, verdict.reason


def test_two_attestations_of_one_book_share_nothing_private(venue: Live) -> None:
    with venue.client("operator") as operator:
        operator.open_account("quiet")
        operator.record_trade("quiet", "t", [Holding("BTC", 7)])
        one, two = (
            json.loads(base64.b64decode(json.loads(a.attestation)["payload"]))
            for a in (operator.create_attestation("quiet"), operator.create_attestation("quiet"))
        )
    for member in ("account", "chain", "positions_root"):
        assert one[member] != two[member]
    assert not set(one["columns"]["commitments"]) & set(two["columns"]["commitments"])
