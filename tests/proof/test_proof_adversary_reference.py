"""The same forgeries before the reference verifier: it refuses what the fast one refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dishonest import (
    NOT_SHOWN,
    SMALL,
    Forger,
    WeakTranscript,
    asked_of,
    compiled_rows,
    document,
    forge,
    forger,
    refused,
    statement_of,
)
from proof_support import NOW, Account, Venue, answer, book, judge

from riskproof.proof.challenge import Challenge
from riskproof.proof.document import ProofDocument
from riskproof.verify import Outcome
from riskproof.verify.net_risk import ProofCase, ProofVerdict
from riskproof.verify.second_opinion import second_opinion


def also_refused(file: bytes, asked: Challenge, accounts: list[Account]) -> ProofVerdict:
    """The fast verdict, after the reference agreed that the file is not valid."""
    verdict = judge(file, asked, accounts)
    case = ProofCase(
        file,
        asked.to_bytes(),
        [a.attestation for a in accounts],
        [a.venue.keys for a in accounts],
        [a.venue.market_bytes for a in accounts],
    )
    opinion = second_opinion(case, verdict, now=NOW)
    assert opinion is not None
    assert opinion.outcome is verdict.outcome is not Outcome.VALID
    return verdict


class Two(Forger):
    """A slack written with the digit 2."""

    def bits(self) -> list[int]:
        bits = super().bits()
        place = next(i for i in range(self.b - 1) if (bits[i], bits[i + 1]) == (0, 1))
        bits[place], bits[place + 1] = 2, 0
        return bits


class Hole(Forger):
    """A prover that does not hash the constants."""

    def transcript(self) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("riskproof.proof.statement.Transcript", lambda: WeakTranscript(omitted=("constants",)))
            return super().transcript()


def test_a_literal_prover_convinces_both(short: Account) -> None:
    asked = asked_of([short])
    file = forge(asked, [short])
    verdict = judge(file, asked, [short])
    case = ProofCase(file, asked.to_bytes(), [short.attestation], [short.venue.keys], [short.venue.market_bytes])
    opinion = second_opinion(case, verdict, now=NOW)
    assert opinion is not None
    assert opinion.outcome is verdict.outcome is Outcome.VALID


def test_forgeries_are_refused_by_both(short: Account) -> None:
    asked = asked_of([short])
    false = asked_of([short], short_by=1)
    refused(also_refused(forge(false, [short]), false, [short]), 55, NOT_SHOWN)
    refused(also_refused(forge(asked, [short], Two), asked, [short]), 55, NOT_SHOWN)
    refused(also_refused(forge(asked, [short], Hole), asked, [short]), 55, NOT_SHOWN)
    turned = compiled_rows(asked, [short], model=replace(SMALL, scenarios=SMALL.scenarios[::-1]))
    other_rows = forge(asked, [short], statement=statement_of(asked, [short], turned))
    refused(also_refused(other_rows, asked, [short]), 55, NOT_SHOWN)
    core, transcript = forger(asked, [short]).prove()
    by_venue = document(asked, [short], core, transcript, holder=short.venue.key)
    refused(also_refused(by_venue, asked, [short]), 57, "not signed by the key")


def test_two_people_are_refused_by_both(short: Account, venue_b: Venue) -> None:
    other = venue_b.attest(book(venue_b.market, BTC_100000_C=490_000), account="mallory", identity="MALLORY")
    asked = asked_of([short, other])
    refused(also_refused(forge(asked, [short, other]), asked, [short, other]), 56, "not shown to have one holder")


def test_one_account_twice_is_refused_by_both(short: Account, venue_a: Venue) -> None:
    before = venue_a.attest(book(venue_a.market, BTC_100000_C=50_000))
    asked = asked_of([short, before])
    refused(also_refused(forge(asked, [short, before]), asked, [short, before]), 46, "of the same account")


@pytest.mark.slow
def test_every_byte_of_a_proof_matters_to_both(short: Account) -> None:
    asked = asked_of([short])
    file = ProofDocument.from_bytes(answer(asked, [short]))
    for i in range(len(file.proof)):
        changed = file.proof[:i] + bytes([file.proof[i] ^ 1 << i % 8]) + file.proof[i + 1 :]
        also_refused(replace(file, proof=changed).to_bytes(), asked, [short])
