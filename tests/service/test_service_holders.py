"""Holders and exclusive windows through the service: who is bound, what is promised once, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from service_support import Files, Live, details, make_config, market, raw_call, serving

from riskproof import encoding
from riskproof.attest.book import AccountSecret, epoch_of
from riskproof.attest.envelope import Envelope
from riskproof.attest.holder import ExclusiveWindow, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.payload import Attestation
from riskproof.client import AsyncClient, Client, CreatedAttestation, Holding
from riskproof.errors import (
    AttestationError,
    ConflictError,
    EncodingError,
    InputError,
    KeySetError,
    NotFoundError,
    RiskproofError,
)
from riskproof.service.attestation_methods import _request_digest
from riskproof.store import HolderRecord, Pledge
from riskproof.v1 import attestation_pb2 as pb
from riskproof.verify import Outcome, verify_attestation

LEI = "5493001KJTIIGC8Y1R12"
KEY = SigningKey.from_seed(bytes(range(32)), "alice").public.raw
OTHER_KEY = SigningKey.from_seed(bytes(range(1, 33)), "alice").public.raw
DAY = 86_400


@pytest.fixture(scope="module")
def operator(live: Live):
    with live.client("operator") as client:
        client.record_trade("alice", "t", [Holding("BTC", 5), Holding("ETH", -40)])
        client.set_holder("alice", LEI)
        yield client


@pytest.fixture(scope="module")
def alice(live: Live, operator: Client):
    with live.client("alice") as client:
        yield client


@pytest.fixture
def account(live: Live, operator: Client, request: pytest.FixtureRequest) -> str:
    """A new account with a holder, for the operator to attest."""
    name = f"account of {request.node.name}"[:128]
    operator.open_account(name)
    operator.record_trade(name, "t", [Holding("BTC", 5)])
    operator.set_holder(name, LEI)
    return name


def said(made: CreatedAttestation) -> Attestation:
    return Attestation.from_bytes(Envelope.from_bytes(made.attestation).payload)


def window(live: Live, start: int, until: int) -> ExclusiveWindow:
    return ExclusiveWindow(live.now + start, live.now + until)


def pledge(client: Client, account: str, exclusive: ExclusiveWindow, **more: Any) -> CreatedAttestation:
    return client.create_attestation(
        account, **{"audience": "lender", "holder_key": KEY, "exclusive": exclusive} | more
    )


def test_an_attestation_binds_the_holder_from_request_to_audit(live: Live, alice: Client) -> None:
    made = alice.create_attestation("alice", audience="lender", holder_key=KEY, exclusive=window(live, 0, 3600))
    opening = alice.get_opening("alice", made.sequence)
    verdict = verify_attestation(
        made.attestation,
        alice.get_key_set(),
        now=live.now,
        audience="lender",
        market=market().to_bytes(),
        opening=opening,
    )
    assert verdict.outcome is Outcome.VALID, verdict.reason
    attestation = said(made)
    assert attestation.holder is not None
    secret = AccountSecret(live.server.venue.ledger.account("alice").secret)
    epoch = epoch_of(attestation.issued_at)
    assert (attestation.holder.key, attestation.holder.tag_epoch) == (KEY, epoch)
    assert attestation.holder.tag == account_tag(secret, "lender", epoch)
    assert attestation.exclusive == window(live, 0, 3600)
    assert json.loads(opening)["identity"] == LEI
    assert alice.verify_attestation(made.attestation, audience="lender", opening=opening).outcome is Outcome.VALID


def test_tags_are_the_accounts_and_the_audiences(operator: Client, account: str) -> None:
    def tag(name: str, audience: str) -> bytes:
        holder = said(operator.create_attestation(name, audience=audience, holder_key=KEY)).holder
        assert holder is not None
        return holder.tag

    first = tag(account, "lender")
    assert tag(account, "lender") == first
    assert len({first, tag(account, "clearer"), tag("alice", "lender"), tag("alice", "clearer")}) == 4


def test_the_identity_is_the_ledgers_and_the_last_one(live: Live, operator: Client, account: str) -> None:
    ledger = live.server.venue.ledger
    first = operator.create_attestation(account, audience="lender", holder_key=KEY)
    changed = operator.set_holder(account, "Zoë & Söhne")
    assert (changed.number, changed.recorded_at, changed.replayed) == (2, live.now, False)
    second = operator.create_attestation(account, audience="lender", holder_key=KEY)
    assert operator.set_holder(account, "Zoë & Söhne").replayed
    assert json.loads(ledger.opening(account, first.sequence))["identity"] == LEI
    assert json.loads(ledger.opening(account, second.sequence))["identity"] == "Zoë & Söhne"
    assert ledger.holder(account) == HolderRecord(account, 2, "Zoë & Söhne", "desk", live.now)


def test_no_holder_key_binds_nobody(alice: Client) -> None:
    made = alice.create_attestation("alice", audience="lender")
    assert (said(made).holder, said(made).exclusive) == (None, None)
    assert b"attestation/v1" in Envelope.from_bytes(made.attestation).payload


def test_a_holder_who_changes_while_the_attestation_is_made_is_not_bound(
    live: Live, operator: Client, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = live.server.venue.ledger
    stale = ledger.holder(account)
    operator.set_holder(account, "another one")
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "holder", lambda _: stale)
        with pytest.raises(ConflictError, match="another holder of the account was recorded meanwhile"):
            operator.create_attestation(account, audience="lender", holder_key=KEY)
    assert operator.create_attestation(account, audience="lender", holder_key=KEY).sequence == 1


def test_without_a_recorded_holder_nobody_is_bound(operator: Client) -> None:
    operator.open_account("nobody's")
    with pytest.raises(NotFoundError) as refused:
        operator.create_attestation("nobody's", audience="lender", holder_key=KEY)
    assert str(refused.value) == "ledger: nobody is recorded as the holder of this account (expected SetHolder first)"
    assert operator.create_attestation("nobody's", audience="lender").sequence == 1


@pytest.mark.parametrize(
    ("fields", "error", "where", "what"),
    [
        ({"holder_key": b"short"}, InputError, "holder_key", "key of 5 bytes"),
        ({"holder_key": bytes(33)}, InputError, "holder_key", "key of 33 bytes"),
        ({"holder_key": bytes([1, *bytes(31)])}, KeySetError, "holder_key", "Ed25519 public key is the identity"),
        ({"holder_key": bytes(32)}, KeySetError, "holder_key", "Ed25519 public key has small order"),
        ({"audience": ""}, InputError, "audience", "a holder is bound towards an audience"),
        ({"account_id": "eve"}, NotFoundError, "ledger", "no account 'eve'"),
        ({"exclusive": (5, 5)}, InputError, "exclusive_until_seconds", "window is empty or too long"),
        ({"exclusive": (6, 5)}, InputError, "exclusive_until_seconds", "window is empty or too long"),
        ({"exclusive": (0, 367 * DAY)}, InputError, "exclusive_until_seconds", "window is empty or too long"),
        ({"exclusive": (0, 7 * DAY + 1)}, InputError, "exclusive_until_seconds", "exclusive for 604801 s"),
        ({"exclusive": (None, 5)}, InputError, "exclusive_from_seconds", "time is out of range"),
        ({"exclusive": (5, None)}, InputError, "exclusive_until_seconds", "time is out of range"),
        ({"exclusive": (2**62, 2**62 + 1)}, InputError, "exclusive_from_seconds", "time is out of range"),
        (
            {"exclusive": (0, 9), "holder_key": b""},
            InputError,
            "holder_key",
            "only an attestation with a holder is exclusive",
        ),
        ({"exclusive": (-60, 0)}, AttestationError, "exclusive", "window is over when the attestation is issued"),
        ({"exclusive": (301, 400)}, AttestationError, "exclusive", "begins after it has expired"),
    ],
)
def test_requests_that_are_refused(
    live: Live,
    operator: Client,
    account: str,
    fields: dict[str, Any],
    error: type[RiskproofError],
    where: str,
    what: str,
) -> None:
    whole = {"account_id": account, "request_id": "r", "audience": "lender", "holder_key": KEY, **fields}
    exclusive = whole.pop("exclusive", None)
    if exclusive is not None:
        start, until = (0 if seconds is None else live.now + seconds for seconds in exclusive)
        whole |= {"exclusive_from_seconds": start, "exclusive_until_seconds": until}
    from riskproof.client.channels import call_error

    with live.channel("operator") as channel, pytest.raises(grpc.RpcError) as failed:
        raw_call(channel, "riskproof.v1.AttestationService/CreateAttestation", **whole)
    refused = call_error(failed.value, "CreateAttestation")
    assert type(refused) is error
    assert isinstance(refused, RiskproofError)
    assert refused.where == where
    assert what in refused.what
    assert operator.list_attestations(account).items == ()
    assert live.server.venue.ledger.pledges(account) == []


def test_the_venues_own_key_is_no_holders_key(live: Live, operator: Client, account: str) -> None:
    with pytest.raises(AttestationError, match="the holder's key signs the attestation"):
        operator.create_attestation(account, audience="lender", holder_key=live.server.venue.key.public.raw)


@pytest.mark.parametrize(
    ("fields", "error", "where"),
    [
        ({"account_id": "eve"}, NotFoundError, "ledger"),
        ({"account_id": ""}, EncodingError, "account_id"),
        ({"identity": ""}, EncodingError, "identity"),
        ({"identity": "x" * 129}, EncodingError, "identity"),
        ({"identity": "two\nlines"}, EncodingError, "identity"),
    ],
)
def test_holders_that_are_refused(
    operator: Client, account: str, fields: dict[str, str], error: type[RiskproofError], where: str
) -> None:
    with pytest.raises(error) as refused:
        operator.set_holder(**{"account_id": account, "identity": "New & Co", **fields})
    assert type(refused.value) is error
    assert refused.value.where == where
    assert "New & Co" not in str(refused.value)
    assert operator.set_holder(account, LEI).replayed


def test_a_second_exclusive_window_that_overlaps_is_refused(live: Live, operator: Client, account: str) -> None:
    held = pledge(operator, account, window(live, 0, 3600))
    for audience in ("lender", "a secret clearer"):
        with pytest.raises(ConflictError) as refused:
            pledge(operator, account, window(live, 3599, 7200), audience=audience, ttl_seconds=4000)
        told = f"attestation {held.sequence} of this account is exclusive from {live.now} until {live.now + 3600}"
        assert refused.value.what == told
        assert refused.value.where == "exclusive"
        assert "lender" not in str(refused.value)
    assert pledge(operator, account, window(live, 3600, 7200), ttl_seconds=4000).sequence == held.sequence + 1
    # What is not exclusive is not in the way, and is not hindered.
    assert operator.create_attestation(account, audience="clearer", holder_key=KEY).sequence == held.sequence + 2
    assert len(live.server.venue.ledger.pledges(account)) == 2
    with live.channel("operator") as channel, pytest.raises(grpc.RpcError) as failed:
        raw_call(
            channel,
            "riskproof.v1.AttestationService/CreateAttestation",
            account_id=account,
            request_id="late",
            audience="x",
            holder_key=KEY,
            exclusive_from_seconds=live.now,
            exclusive_until_seconds=live.now + 1,
        )
    assert failed.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert details(failed.value)[1][0].reason == "CONFLICT"


def test_the_same_request_is_answered_again_and_pledges_once(live: Live, operator: Client, account: str) -> None:
    made = pledge(operator, account, window(live, 0, 60), request_id="r")
    again = pledge(operator, account, window(live, 0, 60), request_id="r")
    assert (again.replayed, again.attestation) == (True, made.attestation)
    assert live.server.venue.ledger.pledges(account) == [Pledge(1, live.now, live.now + 60)]
    for more in (
        {"exclusive": window(live, 0, 61)},
        {"exclusive": window(live, 1, 60)},
        {"exclusive": None},
        {"holder_key": OTHER_KEY},
        {"exclusive": None, "holder_key": b""},
    ):
        with pytest.raises(ConflictError, match="request id 'r' is taken by another request"):
            pledge(operator, account, **{"exclusive": window(live, 0, 60), "request_id": "r", **more})
    live.now += 10  # the answer is the first one's, whatever the time
    try:
        operator.set_holder(account, "somebody else")
        assert pledge(operator, account, ExclusiveWindow(live.now - 10, live.now + 50), request_id="r").replayed
    finally:
        live.now -= 10


def test_of_many_requests_at_once_one_gets_the_window(live: Live, operator: Client, account: str) -> None:
    c, root = live.files.clients["operator"], live.files.authority.certificate

    async def main() -> list[CreatedAttestation | BaseException]:
        async with AsyncClient(
            live.address, authority=root, certificate=c.certificate, private_key=c.private_key, timeout=60
        ) as client:
            asked = (
                client.create_attestation(
                    account, audience=f"audience {i}", holder_key=KEY, exclusive=window(live, i, 100 + i)
                )
                for i in range(30)
            )
            return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(main())
    made = [answer for answer in answers if isinstance(answer, CreatedAttestation)]
    assert len(made) == 1
    assert [type(answer) for answer in answers if answer not in made] == [ConflictError] * 29
    (held,) = live.server.venue.ledger.pledges(account)
    assert said(made[0]).exclusive == ExclusiveWindow(held.start, held.until)


def test_a_window_is_held_across_restarts(fresh: Files) -> None:
    with serving(fresh) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.open_account("alice")
        operator.set_holder("alice", LEI)
        made = pledge(operator, "alice", window(live, 0, 600), request_id="r")
    with serving(fresh) as live, live.client("operator") as operator:
        with pytest.raises(ConflictError, match="attestation 1 of this account is exclusive"):
            pledge(operator, "alice", window(live, 599, 700), ttl_seconds=600)
        assert pledge(operator, "alice", window(live, 0, 600), request_id="r").attestation == made.attestation
        again = pledge(operator, "alice", window(live, 600, 700), ttl_seconds=600)
        one, other = said(made).holder, said(again).holder
        assert one is not None
        assert other is not None
        assert (one.tag, one.tag_epoch) == (other.tag, other.tag_epoch)
        assert one.identity != other.identity


def test_the_asyncio_client_records_holders(live: Live, account: str) -> None:
    c, root = live.files.clients["operator"], live.files.authority.certificate

    async def main() -> None:
        async with AsyncClient(
            live.address, authority=root, certificate=c.certificate, private_key=c.private_key
        ) as client:
            assert (await client.set_holder(account, LEI)).replayed
            assert (await client.set_holder(account, "New & Co")).number == 2

    asyncio.run(main())


def test_the_longest_window_is_configured(fresh: Files) -> None:
    from dataclasses import replace

    from riskproof.service.config import AttestationConfig

    config = replace(make_config(fresh), attestation=AttestationConfig(max_exclusive_seconds=60))
    with serving(fresh, config) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.open_account("alice")
        operator.set_holder("alice", LEI)
        with pytest.raises(InputError, match=r"exclusive for 61 s .*expected at most 60 s"):
            pledge(operator, "alice", window(live, 0, 61))
        assert pledge(operator, "alice", window(live, 0, 60)).sequence == 1


def test_identities_are_not_in_the_log(live: Live, operator: Client, account: str) -> None:
    operator.set_holder(account, "Very Private Ltd")
    operator.create_attestation(account, audience="lender", holder_key=KEY)
    log = live.log.getvalue()
    assert "PositionService/SetHolder" in log
    assert "Very Private Ltd" not in log
    assert LEI not in log


def test_a_request_without_a_holder_has_the_digest_it_always_had() -> None:
    request = pb.CreateAttestationRequest(
        account_id="alice",
        request_id="r",
        snapshot_digest=bytes(range(32)),
        model="crypto-pm",
        disclosure=pb.DISCLOSURE_POLICY_MARGIN,
        audience="lender",
        nonce="n",
        ttl_seconds=60,
    )
    parts = [bytes(range(32)), b"crypto-pm", b"2", b"lender", b"n", b"60"]
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    assert _request_digest(request) == encoding.digest("riskproof/attestation-request/v1", framed)
    digests = {_request_digest(request)}
    for fields in (
        {"holder_key": KEY},
        {"holder_key": OTHER_KEY},
        {"holder_key": KEY, "exclusive_from_seconds": 1},
        {"holder_key": KEY, "exclusive_until_seconds": 1},
        {"holder_key": KEY, "exclusive_from_seconds": 1, "exclusive_until_seconds": 11},
        {"holder_key": KEY, "exclusive_from_seconds": 11, "exclusive_until_seconds": 1},
    ):
        other = pb.CreateAttestationRequest(**fields)
        other.MergeFrom(request)
        digests.add(_request_digest(other))
    assert len(digests) == 7
