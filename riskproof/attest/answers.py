"""What an answer to a challenge tells of each account, for a leak budget (riskproof.proof.leakage)."""

from __future__ import annotations

from collections.abc import Sequence

from riskproof.attest.envelope import Envelope
from riskproof.attest.net_risk import ProverInput, check_combination
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Attestation
from riskproof.market.marketfile import Market
from riskproof.market.registry import Registry
from riskproof.proof.challenge import Challenge
from riskproof.proof.leakage import AttestedBook, Event, answer_events, check_bound, check_slack_bits
from riskproof.proof.rows import rows_exponent, usual_bits
from riskproof.proof.statement import MAX_BITS


def challenge_events(
    challenge: Challenge, inputs: Sequence[ProverInput], holder_key: bytes, *, allow_tight_bound: bool = False
) -> tuple[Event, ...]:
    """What the challenge's audience learns when it is answered over these accounts, with a proof or without.

    A budget is charged with it before `prove_net_risk` is called with the same arguments: a refusal tells as much as a proof.

    Args:
        holder_key: 32 bytes, the key that the attestations are to bind; the rest as in `prove_net_risk`.

    Raises:
        ProofError: what `prove_net_risk` would refuse whatever the book is, so that nothing is charged for it: a tight bound,
            narrow slacks, attestations that may not be netted, another key.
        AttestationError, MarketError: an input that cannot be read.
    """
    check_bound(challenge.bound_micros, allow_tight=allow_tight_bound)
    attestations, books, registries = list[Attestation](), list[AttestedBook](), list[Registry]()
    for i, given in enumerate(inputs):
        where = f"attestations[{i}]"
        attestation = Attestation.from_bytes(Envelope.from_bytes(given.attestation, where).payload, f"{where}.payload")
        opening = Opening.from_bytes(given.opening, f"{where}.opening")
        market = (
            given.market if isinstance(given.market, Market) else Market.from_bytes(given.market, f"{where}.market")
        )
        attestations.append(attestation)
        registries.append(market.registry)
        books.append(
            AttestedBook(
                attestation.venue,
                opening.account_id,
                tuple((p.index, p.lots) for p in opening.positions),
                attestation.registry_digest,
                attestation.snapshot_digest,
                attestation.model_digest,
                attestation.disclosed,
            )
        )
    check_combination(challenge, attestations, holder_key)
    usual = usual_bits(rows_exponent(registries))
    if challenge.margin is not None and challenge.slack_bits is not None:
        usual = MAX_BITS  # the rows are not known here, and may need as many
    bits = usual if challenge.slack_bits is None else challenge.slack_bits
    check_slack_bits(bits, usual, allow_tight=allow_tight_bound)
    return answer_events(
        books,
        audience=challenge.audience,
        statement=challenge.statement if challenge.margin is None else f"{challenge.statement}/{challenge.margin}",
        bound_micros=challenge.bound_micros,
        slack_bits=bits,
        usual_slack_bits=usual,
        model_digest=challenge.model_digest,
    )
