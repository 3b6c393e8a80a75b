"""A small market, a book, a venue, and ways to make attestations that an honest venue would not make."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from riskproof import encoding
from riskproof.attest.book import AccountSecret, CommittedBook
from riskproof.attest.build import AttestationRequest, BuiltAttestation, build_attestation
from riskproof.attest.envelope import PAYLOAD_TYPE, pre_authentication_encoding
from riskproof.attest.holder import ExclusiveWindow, HolderRequest, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.payload import Policy
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.model import RiskModel, load_model
from riskproof.risk.portfolio_risk import PortfolioRisk, evaluate
from riskproof.units import PRICE_ONE

TIME = 1_767_603_600
EXPIRY = TIME + 30 * 86_400
ISSUED = TIME + 60
NOW = ISSUED + 5
VENUE = "venue-a"
AUDIENCE, NONCE = "lender", "7f3a"
IDENTITY = "5493001KJTIIGC8Y1R12"
EPOCH = 3
HOLDER = SigningKey.from_seed(bytes(range(200, 232)), "alice")
WINDOW = ExclusiveWindow(ISSUED, ISSUED + 3600)


def option(name: str, strike: int, kind: OptionType, expiry: int = EXPIRY) -> Instrument:
    return Instrument(name, Kind.OPTION, "BTC", Payoff.INVERSE, PRICE_ONE, expiry, strike * PRICE_ONE, kind)


def small_market(expired: int = 0, time: int = TIME) -> Market:
    """Six live instruments, after `expired` options that are over; column size 256."""
    old = [option(f"BTC-OLD-{i}", 1000 + i, OptionType.CALL, TIME - 86_400) for i in range(expired)]
    live = [
        Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE),
        Instrument("BTC-PERPETUAL", Kind.PERPETUAL, "BTC", Payoff.INVERSE, PRICE_ONE),
        Instrument("BTC-FUTURE", Kind.FUTURE, "BTC", Payoff.LINEAR, PRICE_ONE, EXPIRY),
        option("BTC-80000-P", 80_000, OptionType.PUT),
        option("BTC-100000-C", 100_000, OptionType.CALL),
        option("BTC-120000-C", 120_000, OptionType.CALL),
    ]
    registry = Registry("USD", tuple(old + live))
    quotes = {
        "BTC": Quote(95_000 * PRICE_ONE),
        "BTC-PERPETUAL": Quote(95_010 * PRICE_ONE),
        "BTC-FUTURE": Quote(95_500 * PRICE_ONE),
        "BTC-80000-P": Quote(None, 520_000_000_000),
        "BTC-100000-C": Quote(None, 480_000_000_000),
        "BTC-120000-C": Quote(None, 510_000_000_000),
    }
    curves = [Curve("BTC", EXPIRY, 95_500 * PRICE_ONE)]
    return Market(registry, Snapshot.build(registry, time, "test", {"BTC": 95_000 * PRICE_ONE}, curves, quotes))


@dataclass(frozen=True)
class World:
    """A venue with one account."""

    market: Market
    model: RiskModel
    array: RiskArray
    portfolio: Portfolio
    book: CommittedBook
    risk: PortfolioRisk
    key: SigningKey
    keys: KeySet

    @classmethod
    def make(cls, market: Market, portfolio: Portfolio) -> World:
        model = load_model("crypto-pm")
        array = compute_array(market, model)
        key = SigningKey.from_seed(bytes(range(32)), VENUE)
        book = CommittedBook(market.registry, portfolio, AccountSecret(bytes(range(100, 132))), 3)
        risk = evaluate(market, model, array, portfolio, with_greeks=False)
        return cls(market, model, array, portfolio, book, risk, key, KeySet((key.public,)))

    @cached_property
    def market_bytes(self) -> bytes:
        return self.market.to_bytes()

    def request(self, **changes: Any) -> AttestationRequest:
        request = AttestationRequest(
            venue=VENUE,
            account_id="client-7",
            book=self.book,
            market=self.market,
            model=self.model,
            array=self.array,
            risk=self.risk,
            policy=Policy.MARGIN,
            sequence=4,
            previous_digest=b"\x55" * 32,
            issued_at=ISSUED,
            audience=AUDIENCE,
            nonce=NONCE,
            max_snapshot_age=3600,
        )
        return replace(request, **changes)

    @cached_property
    def holder(self) -> HolderRequest:
        """Alice holds the account."""
        tag = account_tag(AccountSecret(bytes(range(100, 132))), AUDIENCE, EPOCH)
        return HolderRequest(IDENTITY, HOLDER.public.raw, tag, EPOCH)

    def build_held(self, **changes: Any) -> BuiltAttestation:
        """With the holder, and exclusive."""
        return self.build(**{"holder": self.holder, "exclusive": WINDOW} | changes)

    def build(self, **changes: Any) -> BuiltAttestation:
        return build_attestation(self.request(**changes), self.key)


def payload_of(attestation: bytes) -> dict[str, Any]:
    """The payload document of an envelope."""
    document: dict[str, Any] = json.loads(base64.b64decode(json.loads(attestation)["payload"]))
    return document


def envelope(payload: bytes, *signatures: tuple[str, bytes], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """An envelope with exactly these signatures, in this order."""
    return encoding.canonical_json(
        {
            "payload": encoding.to_base64(payload),
            "payloadType": payload_type,
            "signatures": [{"keyid": k, "sig": encoding.to_base64(s)} for k, s in signatures],
        }
    )


def signed(payload: bytes, *keys: SigningKey) -> bytes:
    """An envelope that these keys sign, whatever the payload says."""
    message = pre_authentication_encoding(payload)
    return envelope(payload, *sorted((k.key_id, k.sign(message)) for k in keys))


def resigned(attestation: bytes, key: SigningKey, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The attestation with its payload document changed, signed again by the venue."""
    document = payload_of(attestation)
    change(document)
    return signed(encoding.canonical_json(document), key)
