"""What a worker process does before it takes work: everything once, under a model of each version, on a book of its own.

It loads the points of every column size and the compiled kernels, which take a second or more the first time, and it finds out
whether this machine can prove at all.
"""

from __future__ import annotations

from typing import Final

from riskproof.attest.book import AccountSecret, CommittedBook, epoch_of
from riskproof.attest.build import AttestationRequest, build_attestation
from riskproof.attest.holder import HolderRequest, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.net_risk import ProverInput, prove_net_risk
from riskproof.attest.payload import Policy
from riskproof.commit.srs import DOMAINS
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.proof.challenge import Challenge, Margin, StatementKind
from riskproof.proof.setup import ceremony_setup
from riskproof.risk.arrays import compute_array
from riskproof.risk.margining import load, nearest
from riskproof.risk.model import load_model
from riskproof.units import PRICE_ONE, SECONDS_PER_DAY
from riskproof.verify import Outcome
from riskproof.verify.net_risk import verify_proof

_TIME: Final = 1_767_603_600
_EXPIRY: Final = _TIME + 30 * SECONDS_PER_DAY
_AUDIENCE: Final = "rehearsal"
_BOUND_MICROS: Final = 10**12


def rehearse() -> None:
    """Prove and verify; AssertionError if the verdict is not valid."""
    for n in DOMAINS:
        setup = ceremony_setup(n)
        _ = setup.subsets, setup.vanishing
    market, model = _market(), load_model("crypto-pm")
    venue, holder, secret = SigningKey.generate("venue"), SigningKey.generate("holder"), AccountSecret.random()
    array, epoch = compute_array(market, model), epoch_of(_TIME)
    built = build_attestation(
        AttestationRequest(
            venue="venue",
            account_id="rehearsal",
            book=CommittedBook(market.registry, Portfolio(((0, 1000), (1, -1000))), secret, epoch),
            market=market,
            model=model,
            array=array,
            policy=Policy.NONE,
            issued_at=_TIME,
            ttl=3600,
            audience=_AUDIENCE,
            holder=HolderRequest("rehearsal", holder.public.raw, account_tag(secret, _AUDIENCE, epoch), epoch),
        ),
        venue,
    )
    _price_many()
    file, keys = market.to_bytes(), KeySet((venue.public,))
    challenges = [
        Challenge.new(audience=_AUDIENCE, bound_micros=_BOUND_MICROS, model=model, now=_TIME),
        Challenge.new(
            audience=_AUDIENCE,
            bound_micros=_BOUND_MICROS,
            model=load("derive-pm2"),
            now=_TIME,
            statement=StatementKind.MARGIN,
            margin=Margin.INITIAL,
        ),
    ]
    for asked in challenges:
        challenge = asked.to_bytes()
        proof = prove_net_risk(challenge, [ProverInput(built.attestation, built.opening, market)], holder)
        verdict = verify_proof(proof, challenge, [built.attestation], [keys], [file], now=_TIME)
        if verdict.outcome is not Outcome.VALID:
            raise AssertionError(f"the rehearsal's proof is {verdict.outcome}: {verdict.reason}")


def _price_many() -> None:
    """So many values at once that the compiled kernel is loaded."""
    one, count = 10**18, nearest.WARM
    terms = nearest.Terms(100_000 * one, 30 * SECONDS_PER_DAY, one, (1, 1))
    nearest.grid([nearest.Option(True, 100_000 * one, 0)], [[terms] * count], [[one // 2] * count], 6)


def _market() -> Market:
    strike = 100_000 * PRICE_ONE
    call = Instrument("BTC-C", Kind.OPTION, "BTC", Payoff.INVERSE, PRICE_ONE, _EXPIRY, strike, OptionType.CALL)
    registry = Registry("USD", (Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE), call), column_size=256)
    index, curve = {"BTC": strike}, Curve("BTC", _EXPIRY, strike)
    quotes = {"BTC": Quote(strike), "BTC-C": Quote(None, 500_000_000_000)}
    return Market(registry, Snapshot.build(registry, _TIME, "rehearsal", index, [curve], quotes))
