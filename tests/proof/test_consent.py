"""What a holder signs when somebody else proves: recomputed, and refused if it is anything but what was asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from proof_support import HOLDER, Account, Venue, book, challenge, judge, make_market

from riskproof.attest.consent import check_consent
from riskproof.attest.net_risk import UnsignedProof, prove_core
from riskproof.errors import ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import Challenge
from riskproof.verify import Outcome

BOUND = 10**12


@pytest.fixture(scope="module")
def accounts() -> list[Account]:
    """Of one holder, at two venues."""
    market = make_market()
    books = ({"BTC": 1000, "BTC_100000_C": -500}, {"BTC_FUTURE": -700})
    return [Venue(f"venue-{i}", market).attest(book(market, **lots)) for i, lots in enumerate(books)]


@pytest.fixture(scope="module")
def asked() -> Challenge:
    return challenge(BOUND)


def proved(asked: Challenge, accounts: list[Account]) -> UnsignedProof:
    return prove_core(asked.to_bytes(), [a.prover_input for a in accounts], HOLDER.public.raw)


@pytest.fixture(scope="module")
def unsigned(asked: Challenge, accounts: list[Account]) -> UnsignedProof:
    return proved(asked, accounts)


def pairs(accounts: list[Account]) -> list[tuple[bytes, Market]]:
    return [(a.attestation, a.venue.market) for a in accounts]


def test_what_was_asked_is_signed_and_accepted(
    asked: Challenge, accounts: list[Account], unsigned: UnsignedProof
) -> None:
    check_consent(unsigned, asked, pairs(accounts))
    check_consent(unsigned, asked, pairs(accounts[::-1]))
    assert judge(unsigned.signed(HOLDER), asked, accounts).outcome is Outcome.VALID
    check_consent(proved(asked, accounts[:1]), asked, pairs(accounts[:1]))


def test_another_challenge_or_other_attestations(
    asked: Challenge, accounts: list[Account], unsigned: UnsignedProof
) -> None:
    what = "it answers another challenge, or over other attestations"
    with pytest.raises(ProofError, match=what):
        check_consent(unsigned, challenge(BOUND), pairs(accounts))
    with pytest.raises(ProofError, match=what):
        check_consent(unsigned, asked, pairs(accounts[:1]))
    with pytest.raises(ProofError, match=what):
        check_consent(proved(asked, accounts[:1]), asked, pairs(accounts))


def test_a_digest_that_is_claimed_and_not_proved(
    asked: Challenge, accounts: list[Account], unsigned: UnsignedProof
) -> None:
    """The venue proved for another challenge, and says that it is this one."""
    other = proved(challenge(2 * BOUND), accounts)
    claimed = replace(other, challenge_digest=asked.digest)
    with pytest.raises(ProofError, match="it does not show what the challenge asks"):
        check_consent(claimed, asked, pairs(accounts))
    with pytest.raises(ProofError, match="its consent message is another one"):
        check_consent(replace(unsigned, consent=other.consent), asked, pairs(accounts))


def test_identity_proofs(asked: Challenge, accounts: list[Account], unsigned: UnsignedProof) -> None:
    with pytest.raises(ProofError, match="the identity proof is missing"):
        check_consent(replace(unsigned, identity_proof=None), asked, pairs(accounts))
    again = proved(asked, accounts)
    with pytest.raises(ProofError, match="it does not show that the accounts have one holder"):
        check_consent(replace(unsigned, identity_proof=again.identity_proof), asked, pairs(accounts))
    one = replace(proved(asked, accounts[:1]), identity_proof=unsigned.identity_proof)
    with pytest.raises(ProofError, match="or one too many"):
        check_consent(one, asked, pairs(accounts[:1]))


def test_another_market_or_key(asked: Challenge, accounts: list[Account], unsigned: UnsignedProof) -> None:
    later = [(a.attestation, make_market(spot=96_000)) for a in accounts]
    with pytest.raises(ProofError, match="another market than the attested one"):
        check_consent(unsigned, asked, later)
    with pytest.raises(ProofError, match="not the key that the attestations bind"):
        check_consent(replace(unsigned, holder_key=bytes(32)), asked, pairs(accounts))
