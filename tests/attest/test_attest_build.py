"""Committed books and building: incremental equals fresh, attestations share nothing private, wrong requests sign nothing."""

from __future__ import annotations

import base64
import json
import pickle
import time
from dataclasses import replace
from typing import Any

import pytest

from riskproof.attest.book import AccountSecret, CommittedBook, epoch_of
from riskproof.attest.build import AttestationRequest, build_attestation, retirable_columns
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Attestation, Policy
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.merkle import positions_root, tree_root
from riskproof.commit.points import parse_g1
from riskproof.errors import AttestationError, OverflowMoneyError, PortfolioError, RegistryError, UnknownInstrumentError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Registry
from riskproof.market.sample import sample_book, sample_market
from riskproof.market.snapshot import Snapshot
from riskproof.proof.grid import COARSE
from riskproof.risk.arrays import compute_array
from riskproof.risk.model import load_model
from riskproof.risk.portfolio_risk import evaluate
from riskproof.units import INT64_MAX
from riskproof.verify import Outcome, verify_attestation

KEY = SigningKey.from_seed(bytes(range(32)), "venue-a")
KEYS = KeySet((KEY.public,))


@pytest.fixture(scope="module")
def market() -> Market:
    return sample_market()


@pytest.fixture(scope="module")
def request_of(market: Market) -> AttestationRequest:
    model, portfolio = load_model("crypto-pm"), sample_book("market-maker-a", market)
    array = compute_array(market, model)
    return AttestationRequest(
        venue="venue-a",
        account_id="client-7",
        book=CommittedBook(market.registry, portfolio, AccountSecret.random(), 0),
        market=market,
        model=model,
        array=array,
        risk=evaluate(market, model, array, portfolio, with_greeks=False),
        policy=Policy.ARRAY,
        issued_at=market.snapshot.time + 30,
    )


def opens(book: CommittedBook) -> None:
    """The fresh commitments of a book are those of its lots, computed from nothing."""
    import numpy as np

    fresh = book.fresh()
    lots = np.zeros(len(book.registry), dtype=np.int64)
    for index, q in book.portfolio.positions:
        lots[index] = q
    root = tree_root(lots, book.epoch_secret, book.capacity)
    assert positions_root(root, fresh.root_salt) == fresh.positions_root
    basis = column_basis(book.registry.column_size)
    columns = basis.commit_all(lots, [Blinding.from_bytes(b) for b in fresh.blindings])
    assert [parse_g1(c) for c in fresh.columns] == list(columns)


def test_book_after_trades_opens_as_a_fresh_one(market: Market) -> None:
    book = CommittedBook(market.registry, Portfolio(((3, 5), (300, -7))), AccountSecret.random(), 1)
    opens(book)
    before = book.positions_fragment()
    book.apply_trade([(3, -5), (800, 11), (300, 1), (300, 1)])
    assert book.portfolio.positions == ((300, -5), (800, 11))
    assert book.positions_fragment() != before
    opens(book)
    book.apply_trade([(800, INT64_MAX - 11)])
    opens(book)
    with pytest.raises(PortfolioError, match="does not fit 64 bits") as caught:
        book.apply_trade([(0, 1), (800, 1)])
    assert str(INT64_MAX) not in str(caught.value)
    assert book.portfolio.positions == ((300, -5), (800, INT64_MAX))
    with pytest.raises(UnknownInstrumentError):
        book.apply_trade([(0, 1), (len(market.registry), 1)])
    assert book.lots(0) == 0
    opens(book)


def test_book_moves_to_longer_registries(market: Market) -> None:
    whole = market.registry
    short = replace(whole, instruments=whole.instruments[:200])
    book = CommittedBook(short, Portfolio(((3, 5), (199, -7))), AccountSecret.random(), 1)
    assert book.capacity == 256
    for length in (201, 256, 257, 600, len(whole)):
        book.extend(replace(whole, instruments=whole.instruments[:length]))
        assert len(book.fresh().columns) == book.registry.columns
        opens(book)
    book.apply_trade([(600, 9)])
    opens(book)
    assert book.capacity == 1024
    with pytest.raises(RegistryError, match="removed"):
        book.extend(short)


def test_empty_book_and_empty_registry(market: Market) -> None:
    book = CommittedBook(market.registry, Portfolio(()), AccountSecret.random(), 0)
    opens(book)
    assert book.positions_fragment() == b"[]"
    with pytest.raises(AttestationError, match="nothing to commit"):
        CommittedBook(Registry("USD", ()), Portfolio(()), AccountSecret.random(), 0)


def test_secrets_are_hidden(request_of: AttestationRequest) -> None:
    secret = AccountSecret(bytes(range(32)))
    assert repr(secret) == "AccountSecret(hidden)"
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(secret)
    with pytest.raises(AttestationError, match="wrong length"):
        AccountSecret(bytes(31))
    assert secret.epoch_secret(0) != secret.epoch_secret(1)
    built = build_attestation(request_of, KEY)
    opening = Opening.from_bytes(built.opening)
    shown = repr((opening, request_of, request_of.book, built, request_of.book.fresh(), opening.positions))
    for hidden in (
        "client-7",
        str(opening.positions[0].lots),
        opening.epoch_secret.hex(),
        repr(opening.epoch_secret),
        repr(opening.blindings[0]),
        repr(opening.root_salt),
    ):
        assert hidden not in shown
    assert epoch_of(30 * 86_400) == epoch_of(30 * 86_400 - 1) + 1 == 1


def leaves_of(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [x for v in node.values() for x in leaves_of(v)]
    if isinstance(node, list):
        return [x for v in node for x in leaves_of(v)]
    return [node]


def test_two_attestations_of_one_book_share_only_public_members(request_of: AttestationRequest) -> None:
    payloads = [
        json.loads(base64.b64decode(json.loads(build_attestation(request, KEY).attestation)["payload"]))
        for request in (request_of, replace(request_of, sequence=2, previous_digest=b"\x01" * 32))
    ]
    private = ("account", "chain", "positions_root")
    for member in private:
        assert payloads[0][member] != payloads[1][member]
    columns = [p["columns"]["commitments"] for p in payloads]
    assert not set(columns[0]) & set(columns[1])
    shared = set(leaves_of(payloads[0])) & set(leaves_of(payloads[1]))
    hidden = {p[m] for p in payloads for m in private} | set(columns[0]) | set(columns[1])
    assert not shared & hidden
    public = [{k: v for k, v in p.items() if k not in (*private, "columns")} for p in payloads]
    assert public[0] == public[1]


def test_payload_and_opening_round_trip(request_of: AttestationRequest) -> None:
    for policy in Policy:
        built = build_attestation(replace(request_of, policy=policy, audience="a", nonce="n"), KEY)
        payload = base64.b64decode(json.loads(built.attestation)["payload"])
        statement = Attestation.from_bytes(payload)
        assert statement.to_bytes() == payload
        assert statement.digest == built.digest
        opening = Opening.from_bytes(built.opening)
        assert opening.to_bytes() == built.opening
        assert opening.attestation_digest == built.digest
        assert len(opening.positions) == len(request_of.book.portfolio)


def test_disclosed_margins_are_rounded_up(request_of: AttestationRequest) -> None:
    risk = request_of.risk
    assert risk is not None
    built = build_attestation(replace(request_of, policy=Policy.MARGIN), KEY)
    verdict = verify_attestation(built.attestation, KEYS, now=request_of.issued_at)
    assert verdict.outcome is Outcome.VALID
    assert verdict.attestation is not None
    grid, initial, maintenance = verdict.attestation.disclosed.margin
    assert grid == COARSE
    assert initial > risk.initial_margin_micros
    assert maintenance > risk.maintenance_margin_micros
    assert all(int(str(x)[:2]) * 10 ** (len(str(x)) - 2) == x for x in (initial, maintenance))
    assert verdict.attestation.disclosed.pnl_micros is None
    assert str(risk.initial_margin_micros).encode() not in base64.b64decode(json.loads(built.attestation)["payload"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"venue": "venue-b"}, "no signing key of the venue"),
        ({"account_id": ""}, "account_id: not a name"),
        ({"account_id": "x" * 129}, "account_id: not a name"),
        ({"audience": ""}, "audience: not a name"),
        ({"nonce": "a\nb"}, "nonce: not a name"),
        ({"ttl": 0}, "ttl: 0 s is out of range"),
        ({"ttl": 10**9}, "out of range"),
        ({"issued_at": 0}, "issued_at: out of range"),
        ({"sequence": 0}, "not a place in a chain"),
        ({"sequence": 2}, "has no previous one"),
        ({"previous_digest": b"\x01" * 32}, "has no previous one"),
        ({"previous_digest": b"\x01" * 31, "sequence": 2}, "not a place in a chain"),
        ({"risk": None}, "discloses figures, and there are none"),
        ({"max_snapshot_age": 29}, "the snapshot is 30 s old"),
        ({"retired": (0,)}, "cannot be retired"),
    ],
)
def test_requests_that_are_refused(request_of: AttestationRequest, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AttestationError, match=reason):
        build_attestation(replace(request_of, **changes), KEY)


def test_inputs_that_do_not_belong_together(request_of: AttestationRequest, market: Market) -> None:
    model, risk = request_of.model, request_of.risk
    assert risk is not None
    renamed = replace(model, name="other")
    snapshot = market.snapshot
    later = Market(market.registry, replace(snapshot, time=snapshot.time + 1))
    shorter = replace(market.registry, instruments=market.registry.instruments[:-1])
    other_book = CommittedBook(shorter, Portfolio(()), AccountSecret.random(), 0)
    for changes, where in (
        ({"model": renamed}, "array"),
        ({"market": later}, "array"),
        ({"book": other_book}, "book"),
    ):
        with pytest.raises(AttestationError, match=f"{where}: does not belong"):
            build_attestation(replace(request_of, **changes), KEY)
    with pytest.raises(AttestationError, match="one P&L for each scenario"):
        build_attestation(replace(request_of, risk=replace(risk, pnl_micros=risk.pnl_micros[1:])), KEY)
    with pytest.raises(AttestationError, match="5 s newer than the attestation"):
        build_attestation(replace(request_of, issued_at=snapshot.time - 5), KEY)
    with pytest.raises(AttestationError, match="a key signs once"):
        build_attestation(request_of, KEY, KEY)
    with pytest.raises(AttestationError, match="no signing key"):
        build_attestation(request_of)
    with pytest.raises(OverflowMoneyError, match="after rounding"):
        build_attestation(replace(request_of, risk=replace(risk, initial_margin_micros=INT64_MAX)), KEY)


def test_retirable_columns(market: Market) -> None:
    old = market.registry.instruments[0]
    dated = [i for i in market.registry.instruments if i.expiry is not None]
    past = tuple(replace(i, name=f"OLD-{k}", expiry=market.snapshot.time - 1) for k, i in enumerate((dated * 2)[:512]))
    registry = Registry("USD", (*past, old))
    quotes = {old.name: market.snapshot.quotes[0]}
    assert quotes[old.name] is not None
    snapshot = Snapshot.build(
        registry,
        market.snapshot.time,
        "test",
        dict(market.snapshot.indices),
        [],
        quotes,  # type: ignore[arg-type]
    )
    gone = Market(registry, snapshot)
    book = CommittedBook(registry, Portfolio(((300, 5), (512, 1))), AccountSecret.random(), 0)
    assert retirable_columns(gone, book) == (0,)
    book.apply_trade([(300, -5), (512, 5)])
    assert retirable_columns(gone, book) == (0, 1)
    only_past = Registry("USD", past)
    nothing = Market(only_past, Snapshot.build(only_past, market.snapshot.time, "test", {}, [], {}))
    empty = CommittedBook(only_past, Portfolio(()), AccountSecret.random(), 0)
    assert retirable_columns(nothing, empty) == (0,)  # one column always stays


def test_attestation_of_an_unchanged_book_is_cheap(request_of: AttestationRequest) -> None:
    """Well under a millisecond where it was measured; the bound leaves room for a busy machine."""
    build_attestation(request_of, KEY)
    took = []
    for _ in range(50):
        start = time.perf_counter()
        build_attestation(request_of, KEY)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.005
