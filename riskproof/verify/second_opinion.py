"""The reference verifier asked about the same proof: its rows are recomputed here, its verdict is compared (riskproof.reference).

It takes for granted what it cannot know: that the venues signed (check 43), and that markets and model are the right ones (52, 53).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import reference
from riskproof.attest.envelope import Envelope
from riskproof.attest.net_risk import challenge_model
from riskproof.attest.payload import Attestation
from riskproof.encoding import Json
from riskproof.errors import InputError
from riskproof.proof.challenge import Challenge
from riskproof.proof.rows import StatementRows
from riskproof.risk.margining import read as read_model
from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE
from riskproof.verify.net_risk import MarketCache, ProofCase, ProofVerdict
from riskproof.verify.verdict import Check, Outcome

TAKEN_FOR_GRANTED: Final = frozenset({Check.PROOF_ATTESTATION_VALID, Check.PROOF_MARKETS, Check.PROOF_MODEL})


@dataclass(frozen=True)
class SecondOpinion:
    """What the reference verifier says. agrees: it accepts what was accepted, or refuses what was refused."""

    outcome: Outcome
    reason: str
    agrees: bool

    def to_document(self) -> dict[str, Json]:
        return {"outcome": self.outcome.value, "reason": self.reason, "agrees": self.agrees}


def second_opinion(
    case: ProofCase,
    verdict: ProofVerdict,
    *,
    now: int,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    cache: MarketCache | None = None,
) -> SecondOpinion | None:
    """Verify a case again with the reference, which takes seconds; None if it cannot judge what the verdict is about.

    That is so if a check failed that the reference takes for granted, or if no rows can be made of the challenge, the attestations
    and the markets.
    """
    if verdict.failed_check in TAKEN_FOR_GRANTED:
        return None
    try:
        challenge, compiled = _rows(case, cache or MarketCache())
    except InputError:
        return None
    result = reference.verify(
        case.proof,
        case.challenge,
        case.attestations,
        reference_rows(compiled, challenge.bound_micros),
        exponent=compiled.exponent,
        now=now,
        clock_tolerance=clock_tolerance,
    )
    outcome = Outcome(result.outcome)
    return SecondOpinion(outcome, result.reason, (outcome is Outcome.VALID) == (verdict.outcome is Outcome.VALID))


def reference_rows(compiled: StatementRows, bound_micros: int) -> reference.Rows:
    """Rows as the reference takes them: plain integers."""
    rows, n = compiled.rows(bound_micros), compiled.coefficients.n
    positions = rows.positions.tolist()
    return reference.Rows(
        rows.constants,
        [positions[k * n : (k + 1) * n] for k in range(rows.columns)],
        rows.scales,
        rows.auxiliary.tolist(),
        rows.pins,
    )


def _rows(case: ProofCase, cache: MarketCache) -> tuple[Challenge, StatementRows]:
    """Challenge and rows of a case, none of it compared with the proof (InputError)."""
    challenge = Challenge.from_bytes(case.challenge)
    model = challenge_model(challenge, None if case.model is None else read_model(case.model))
    read = [
        (Attestation.from_bytes(Envelope.from_bytes(data).payload), cache.market(market))
        for data, market in zip(case.attestations, case.markets, strict=True)
    ]
    read.sort(key=lambda item: item[0].digest)
    attestations, markets = zip(*read, strict=True)
    return challenge, cache.compiled(challenge, model, attestations, markets)
