"""Venues, holders and challenges for tests of the net-risk proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from riskproof.attest.book import CommittedBook, epoch_of
from riskproof.attest.build import AttestationRequest, BuiltAttestation, build_attestation, retirable_columns
from riskproof.attest.holder import ExclusiveWindow, HolderRequest, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.net_risk import ProverInput, prove_net_risk
from riskproof.attest.payload import Policy
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margining import AnyModel
from riskproof.risk.model import RiskModel, load_model
from riskproof.units import PRICE_ONE
from riskproof.verify.net_risk import MarketCache, ProofVerdict, verify_proof

TIME = 1_767_603_600
EXPIRY = TIME + 30 * 86_400
ISSUED = TIME + 30
NOW = TIME + 60
AUDIENCE = "lender"
IDENTITY = "5493001KJTIIGC8Y1R12"
MODEL = load_model("crypto-pm")
HOLDER = SigningKey.from_seed(bytes([7]) * 32, "holder")


def option(name: str, strike: int, kind: OptionType, expiry: int = EXPIRY) -> Instrument:
    return Instrument(name, Kind.OPTION, "BTC", Payoff.INVERSE, PRICE_ONE, expiry, strike * PRICE_ONE, kind)


def make_market(
    expired: int = 0, *, time: int = TIME, spot: int = 95_000, quantity_exponent: int = 3, column_size: int = 256
) -> Market:
    """Seven live instruments after `expired` options that are over."""
    old = [option(f"BTC-OLD-{i}", 1000 + i, OptionType.CALL, TIME - 86_400) for i in range(expired)]
    live = [
        Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE),
        Instrument("USD", Kind.SPOT, "USD", Payoff.LINEAR, PRICE_ONE),
        Instrument("BTC-PERPETUAL", Kind.PERPETUAL, "BTC", Payoff.INVERSE, PRICE_ONE),
        Instrument("BTC-FUTURE", Kind.FUTURE, "BTC", Payoff.LINEAR, PRICE_ONE, EXPIRY),
        option("BTC-80000-P", 80_000, OptionType.PUT),
        option("BTC-100000-C", 100_000, OptionType.CALL),
        option("BTC-120000-C", 120_000, OptionType.CALL),
    ]
    registry = Registry("USD", tuple(old + live), quantity_exponent=quantity_exponent, column_size=column_size)
    quotes = {
        "BTC": Quote(spot * PRICE_ONE),
        "USD": Quote(PRICE_ONE),
        "BTC-PERPETUAL": Quote((spot + 10) * PRICE_ONE),
        "BTC-FUTURE": Quote((spot + 500) * PRICE_ONE),
        "BTC-80000-P": Quote(None, 520_000_000_000),
        "BTC-100000-C": Quote(None, 480_000_000_000),
        "BTC-120000-C": Quote(None, 510_000_000_000),
    }
    curves = [Curve("BTC", EXPIRY, (spot + 500) * PRICE_ONE)]
    return Market(
        registry, Snapshot.build(registry, time, "test", {"BTC": spot * PRICE_ONE, "USD": PRICE_ONE}, curves, quotes)
    )


def book(market: Market, **lots: int) -> Portfolio:
    """A book by instrument name, underscores for hyphens."""
    index = {i.name: k for k, i in enumerate(market.registry.instruments)}
    return Portfolio(tuple(sorted((index[name.replace("_", "-")], q) for name, q in lots.items())))


@dataclass(frozen=True)
class Venue:
    """A venue that attests books on one market."""

    name: str
    market: Market = field(repr=False)

    @cached_property
    def key(self) -> SigningKey:
        return SigningKey.from_seed(self.name.encode().ljust(32, b"."), self.name)

    @cached_property
    def keys(self) -> KeySet:
        return KeySet((self.key.public,))

    @cached_property
    def market_bytes(self) -> bytes:
        return self.market.to_bytes()

    @cached_property
    def array(self) -> RiskArray:
        return compute_array(self.market, MODEL)

    def attest(
        self,
        portfolio: Portfolio,
        *,
        account: str = "alice",
        identity: str = IDENTITY,
        holder: SigningKey = HOLDER,
        audience: str = AUDIENCE,
        issued_at: int = ISSUED,
        ttl: int = 3600,
        exclusive: ExclusiveWindow | None = None,
        epoch: int | None = None,
        retired: tuple[int, ...] | None = None,
        cosigners: Sequence[SigningKey] = (),
        model: AnyModel = MODEL,
    ) -> Account:
        secret = self.key.account_secret(account)
        tag_epoch = epoch_of(issued_at) if epoch is None else epoch
        committed = CommittedBook(self.market.registry, portfolio, secret, epoch_of(issued_at))
        built = build_attestation(
            AttestationRequest(
                venue=self.name,
                account_id=account,
                book=committed,
                market=self.market,
                model=model,
                array=self.array if model is MODEL else None,
                policy=Policy.NONE,
                issued_at=issued_at,
                ttl=ttl,
                audience=audience,
                retired=retirable_columns(self.market, committed) if retired is None else retired,
                holder=HolderRequest(identity, holder.public.raw, account_tag(secret, audience, tag_epoch), tag_epoch),
                exclusive=exclusive,
            ),
            self.key,
            *cosigners,
        )
        return Account(self, portfolio, built)


@dataclass(frozen=True)
class Account:
    """An attested book."""

    venue: Venue
    portfolio: Portfolio
    built: BuiltAttestation

    @property
    def attestation(self) -> bytes:
        return self.built.attestation

    @property
    def opening(self) -> bytes:
        return self.built.opening

    @property
    def prover_input(self) -> ProverInput:
        return ProverInput(self.attestation, self.opening, self.venue.market)

    def pnl(self) -> list[int]:
        """Exact P&L of every scenario in 10^-(m+e), summed in plain integers."""
        rows = self.venue.array.rows
        return [sum(q * int(rows[i, s]) for i, q in self.portfolio.positions) for s in range(rows.shape[1])]


def worst_loss_micros(accounts: Sequence[Account]) -> int:
    """The least bound in micros that is true of these accounts together."""
    exponent = max(a.venue.array.pnl_exponent for a in accounts)
    scaled = [[p * 10 ** (exponent - a.venue.array.pnl_exponent) for p in a.pnl()] for a in accounts]
    worst = max(0, *(-sum(column) for column in zip(*scaled, strict=True)))
    return -(-worst // 10 ** (exponent - 6))


def challenge(bound_micros: int, *, model: RiskModel = MODEL, **changes: object) -> Challenge:
    """A challenge of AUDIENCE, issued just before NOW."""
    made = Challenge.new(audience=AUDIENCE, bound_micros=bound_micros, model=model, now=NOW - 5, embed_model=False)
    return replace(made, **changes) if changes else made  # type: ignore[arg-type]


def answer(asked: Challenge, accounts: Sequence[Account], holder: SigningKey = HOLDER) -> bytes:
    """A proof, tight bounds allowed."""
    return prove_net_risk(
        asked.to_bytes(), [a.prover_input for a in accounts], holder, model=asked.model, allow_tight_bound=True
    )


def judge(
    proof: bytes, asked: Challenge, accounts: Sequence[Account], *, now: int = NOW, cache: MarketCache | None = None
) -> ProofVerdict:
    """The verdict over these accounts, keys and markets."""
    return verify_proof(
        proof,
        asked.to_bytes(),
        [a.attestation for a in accounts],
        [a.venue.keys for a in accounts],
        [a.venue.market_bytes for a in accounts],
        now=now,
        cache=cache,
    )


__all__ = [
    "AUDIENCE",
    "HOLDER",
    "IDENTITY",
    "ISSUED",
    "MODEL",
    "NOW",
    "TIME",
    "Account",
    "StatementKind",
    "Venue",
    "answer",
    "book",
    "challenge",
    "judge",
    "make_market",
    "worst_loss_micros",
]
