"""Attestations with a holder: tags that name an account once, identities that stay hidden, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from riskproof.attest import edwards
from riskproof.attest.book import AccountSecret, CommittedBook, epoch_of
from riskproof.attest.build import AttestationRequest, build_attestation
from riskproof.attest.holder import (
    MAX_TAG_EPOCH,
    MAX_WINDOW,
    ExclusiveWindow,
    HolderRequest,
    account_tag,
    parse_holder_key,
)
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import MAX_TIME, KeySet, RevocationReason
from riskproof.attest.opening import Opening
from riskproof.attest.payload import MAX_LIFETIME, Attestation, Policy
from riskproof.commit.columns import Blinding
from riskproof.commit.identity import commit_identity
from riskproof.errors import AttestationError, KeySetError, PortfolioError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.sample import sample_book, sample_market
from riskproof.risk.arrays import compute_array
from riskproof.risk.model import load_model
from riskproof.risk.portfolio_risk import evaluate

SEED = bytes(range(32))
KEY = SigningKey.from_seed(SEED, "venue-a")
HOLDER = SigningKey.from_seed(bytes(range(32, 64)), "alice")
SECRET = KEY.account_secret("client-7")
LEI = "5493001KJTIIGC8Y1R12"


def bound(audience: str = "lender", epoch: int = 683, secret: AccountSecret = SECRET) -> HolderRequest:
    return HolderRequest(LEI, HOLDER.public.raw, account_tag(secret, audience, epoch), epoch)


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
        book=CommittedBook(market.registry, portfolio, SECRET, 683),
        market=market,
        model=model,
        array=array,
        risk=evaluate(market, model, array, portfolio, with_greeks=False),
        policy=Policy.MARGIN,
        issued_at=market.snapshot.time + 30,
        audience="lender",
        holder=bound(),
    )


def payload(attestation: bytes) -> bytes:
    return base64.b64decode(json.loads(attestation)["payload"])


# ---- tags and account secrets -------------------------------------------------------------------------------------------


def test_tag_and_account_secret_are_those_of_the_page() -> None:
    tag = b"riskproof/account-secret/v1"
    secret = hmac.new(SEED, bytes([len(tag)]) + tag + b"client-7", hashlib.sha256).digest()
    name = b"riskproof/account-tag/v1"
    expected = hmac.new(secret, bytes([len(name)]) + name + (683).to_bytes(8, "little") + b"lender", hashlib.sha256)
    assert account_tag(SECRET, "lender", 683) == expected.digest() == account_tag(AccountSecret(secret), "lender", 683)
    assert SECRET.epoch_secret(683) == AccountSecret(secret).epoch_secret(683) != expected.digest()


def test_tags_are_equal_for_one_account_audience_and_epoch_only() -> None:
    other_key = SigningKey.from_seed(bytes(32), "venue-a")
    tags = [
        account_tag(SECRET, "lender", 683),
        account_tag(SECRET, "lender", 684),
        account_tag(SECRET, "lenders", 683),
        account_tag(KEY.account_secret("client-8"), "lender", 683),
        account_tag(other_key.account_secret("client-7"), "lender", 683),
    ]
    assert len(set(tags)) == len(tags)
    assert account_tag(KEY.account_secret("client-7"), "lender", 683) == tags[0]


def test_account_secret_says_nothing_of_the_seed() -> None:
    assert repr(SECRET) == "AccountSecret(hidden)"
    with pytest.raises(TypeError, match="an account secret does not pickle"):
        pickle.dumps(SECRET)
    assert SECRET.derive("a", b"b") != SECRET.derive("ab", b"")  # the tag's length is in front
    derived = {SECRET.epoch_secret(0), account_tag(SECRET, "a", 0), SECRET._value}
    assert SEED not in derived
    assert len(derived) == 3


@pytest.mark.parametrize("account", ["", "x" * 129, "a\nb", "\ud800"])
def test_account_secret_of_what_is_no_account(account: str) -> None:
    with pytest.raises(AttestationError, match=r"^account_id: not a name \(expected 1 to 128 printable characters\)"):
        KEY.account_secret(account)


@pytest.mark.parametrize(
    ("audience", "epoch", "reason"),
    [
        ("", 1, "^audience: not a name"),
        ("x" * 129, 1, "^audience: not a name"),
        ("\udcff", 1, "^audience: not a name"),
        ("lender", -1, "^tag_epoch: out of range"),
        ("lender", MAX_TAG_EPOCH + 1, "^tag_epoch: out of range"),
    ],
)
def test_tags_that_are_refused(audience: str, epoch: int, reason: str) -> None:
    with pytest.raises(AttestationError, match=reason):
        account_tag(SECRET, audience, epoch)


@pytest.mark.parametrize("time", [-1, MAX_TIME + 1, 10**40])
def test_epoch_of_times_that_are_none(time: int) -> None:
    with pytest.raises(AttestationError, match=r"^issued_at: time is out of range"):
        epoch_of(time)
    assert epoch_of(0) == 0
    assert epoch_of(MAX_TIME) == MAX_TIME // (30 * 86_400)


# ---- what is attested --------------------------------------------------------------------------------------------------


def test_payload_and_opening_round_trip(request_of: AttestationRequest) -> None:
    start = request_of.issued_at
    for window in (None, ExclusiveWindow(start, start + 3600)):
        built = build_attestation(replace(request_of, exclusive=window), KEY)
        statement = Attestation.from_bytes(payload(built.attestation))
        assert statement.to_bytes() == payload(built.attestation)
        assert statement.digest == built.digest
        document = statement.to_document()
        assert document["schema"] == "riskproof/attestation/v2"
        assert document.get("exclusive") == (window and {"from": start, "until": start + 3600})
        assert statement.exclusive == window
        assert statement.holder is not None
        assert (statement.holder.key, statement.holder.tag) == (HOLDER.public.raw, bound().tag)
        opening = Opening.from_bytes(built.opening)
        assert opening.to_bytes() == built.opening
        assert json.loads(built.opening)["schema"] == "riskproof/opening/v2"
        assert opening.identity == LEI
        assert opening.identity_blinding is not None
        assert statement.holder.identity == commit_identity(LEI, Blinding.from_bytes(opening.identity_blinding))


def test_without_a_holder_everything_is_of_version_1(request_of: AttestationRequest) -> None:
    built = build_attestation(replace(request_of, holder=None), KEY)
    document, opening = json.loads(payload(built.attestation)), json.loads(built.opening)
    assert document["schema"] == "riskproof/attestation/v1"
    assert opening["schema"] == "riskproof/opening/v1"
    assert not {"holder", "exclusive"} & set(document)
    assert not {"identity", "identity_blinding"} & set(opening)


def test_two_attestations_share_the_tag_and_nothing_else_private(request_of: AttestationRequest) -> None:
    again = replace(request_of, sequence=2, previous_digest=b"\x01" * 32)
    built = [build_attestation(r, KEY) for r in (request_of, again)]
    one, two = (Attestation.from_bytes(payload(b.attestation)) for b in built)
    assert one.holder is not None
    assert two.holder is not None
    assert one.holder.tag == two.holder.tag
    assert one.holder.identity != two.holder.identity
    assert one.account != two.account
    blindings = [Opening.from_bytes(b.opening).identity_blinding for b in built]
    assert blindings[0] != blindings[1]
    for b in built:
        assert LEI.encode() not in payload(b.attestation)


def test_secrets_are_in_no_repr(request_of: AttestationRequest) -> None:
    built = build_attestation(request_of, KEY)
    opening = Opening.from_bytes(built.opening)
    shown = repr((request_of, request_of.holder, built, opening, KEY, SECRET))
    for hidden in (LEI, repr(opening.identity_blinding), repr(SECRET._value), SECRET._value.hex()):
        assert hidden not in shown


# ---- refusals -----------------------------------------------------------------------------------------------------------

SMALL_ORDER = (edwards.P - 1).to_bytes(32, "little")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identity": ""}, r"^holder\.identity: not a name"),
        ({"identity": "x" * 129}, r"^holder\.identity: not a name"),
        ({"identity": "Alice\n"}, r"^holder\.identity: not a name"),
        ({"key": bytes(31)}, r"^holder\.key: 31 bytes are not an Ed25519 public key"),
        ({"key": b"\xff" * 32}, r"^holder\.key: Ed25519 public key is not encoded canonically"),
        ({"key": SMALL_ORDER}, r"^holder\.key: Ed25519 public key has small order"),
        ({"key": b"\x02" + bytes(31)}, r"^holder\.key: Ed25519 public key is not a point of the curve"),
        ({"tag": bytes(31)}, r"^holder\.tag: 31 bytes are not an account tag"),
        ({"tag_epoch": -1}, r"^holder\.tag_epoch: out of range"),
        ({"tag_epoch": MAX_TAG_EPOCH + 1}, r"^holder\.tag_epoch: out of range"),
    ],
)
def test_holders_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AttestationError, match=reason) as caught:
        replace(bound(), **changes)
    assert "Alice" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "until", "reason"),
    [
        (0, 1, r"^exclusive\.from: time is out of range"),
        (-5, 1, r"^exclusive\.from: time is out of range"),
        (1, MAX_TIME + 1, r"^exclusive\.until: time is out of range"),
        (7, 7, r"^exclusive\.until: window is empty or too long"),
        (7, 6, r"^exclusive\.until: window is empty or too long"),
        (7, 7 + MAX_WINDOW + 1, r"^exclusive\.until: window is empty or too long"),
    ],
)
def test_windows_that_are_refused(start: int, until: int, reason: str) -> None:
    with pytest.raises(AttestationError, match=reason):
        ExclusiveWindow(start, until)


def test_windows_touch_overlap_and_contain() -> None:
    assert MAX_WINDOW == MAX_LIFETIME
    assert ExclusiveWindow(7, 7 + MAX_WINDOW).until == 7 + MAX_WINDOW
    window = ExclusiveWindow(10, 20)
    for start, until, overlaps, contains in (
        (0, 10, False, False),
        (20, 30, False, False),
        (0, 11, True, False),
        (19, 30, True, False),
        (10, 20, True, True),
        (12, 13, True, True),
        (9, 20, True, False),
        (10, 21, True, False),
    ):
        assert window.overlaps(start, until) is overlaps, (start, until)
        assert window.contains(start, until) is contains, (start, until)


def test_requests_that_are_refused(request_of: AttestationRequest) -> None:
    at, end = request_of.issued_at, request_of.issued_at + request_of.ttl
    window = ExclusiveWindow(at, end)
    for changes, reason in (
        ({"audience": None}, "^audience: a holder is bound towards an audience"),
        ({"holder": None, "exclusive": window}, "^exclusive: only an attestation with a holder is exclusive"),
        ({"exclusive": ExclusiveWindow(at - 10, at)}, "^exclusive: window is over when the attestation is issued"),
        ({"exclusive": ExclusiveWindow(end + 1, end + 9)}, "^exclusive: window is over .* after it has expired"),
        ({"holder": replace(bound(), key=KEY.public.raw)}, "^holder.key: the holder's key signs the attestation"),
    ):
        with pytest.raises(AttestationError, match=reason):
            build_attestation(replace(request_of, **changes), KEY)  # type: ignore[arg-type]
    for useful in (ExclusiveWindow(at - 10, at + 1), ExclusiveWindow(end, end + 9), ExclusiveWindow(at - 10, end + 10)):
        built = build_attestation(replace(request_of, exclusive=useful), KEY)
        assert Attestation.from_bytes(payload(built.attestation)).exclusive == useful


@pytest.mark.parametrize("policy", Policy)
def test_a_holding_without_a_price_is_refused_with_a_holder(request_of: AttestationRequest, policy: Policy) -> None:
    """A proof counts it as zero, so no policy may let it through; nor one that has expired, which may be an unsettled debt."""
    whole = request_of.market
    lost, expired = 400, 401
    quotes = tuple(None if i in (lost, expired) else q for i, q in enumerate(whole.snapshot.quotes))
    instruments = list(whole.registry.instruments)
    instruments[expired] = replace(instruments[expired], expiry=whole.snapshot.time - 1)
    registry = replace(whole.registry, instruments=tuple(instruments))
    market = Market(registry, replace(whole.snapshot, registry_digest=registry.digest, quotes=quotes))
    array = compute_array(market, request_of.model)
    figures = request_of.risk

    def attempt(book: Portfolio, holder: HolderRequest | None) -> bytes:
        committed = CommittedBook(registry, book, SECRET, 683)
        changes = {"market": market, "array": array, "book": committed, "risk": figures, "policy": policy}
        return build_attestation(replace(request_of, holder=holder, **changes), KEY).attestation  # type: ignore[arg-type]

    held = Portfolio(((3, 5), (lost, 1)))
    with pytest.raises(PortfolioError, match="the snapshot does not price this holding") as caught:
        attempt(held, bound())
    assert caught.value.where == instruments[lost].name
    assert attempt(held, None)
    held = Portfolio(((3, 5), (expired, 1)))
    with pytest.raises(PortfolioError, match="this holding has expired and is not settled") as caught:
        attempt(held, bound())
    assert caught.value.where == instruments[expired].name
    assert attempt(held, None)


# ---- the holder's key file ------------------------------------------------------------------------------------------------


def test_holder_key_of_a_key_set() -> None:
    assert parse_holder_key(KeySet((HOLDER.public,)).to_bytes()) == HOLDER.public.raw


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^hp.json: .*not JSON"),
        (b"{}", "^hp.json: member 'keys' is missing"),
        (KeySet(()).to_bytes(), "^hp.json: 0 keys .expected one: what `riskproof keys public DIR` prints"),
        (KeySet((HOLDER.public, KEY.public)).to_bytes(), "^hp.json: 2 keys"),
        (
            KeySet((replace(HOLDER.public, expires=9),)).to_bytes(),
            r"^hp.json.keys\[0\]: a holder's key is bound without conditions .expected no nbf, exp or revoked",
        ),
        (KeySet((replace(HOLDER.public, not_before=9),)).to_bytes(), "bound without conditions"),
        (
            KeySet((HOLDER.public,)).revoked(HOLDER.key_id, 9, RevocationReason.SUPERSEDED).to_bytes(),
            "bound without conditions",
        ),
    ],
)
def test_holder_keys_that_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(KeySetError, match=reason):
        parse_holder_key(data, "hp.json")
