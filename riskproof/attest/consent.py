"""What the holder's key signs, recomputed: for a holder who lets somebody else prove.

The consent message is a digest; whoever signs one unseen may have consented to another challenge, for another audience, over more
accounts. So it is computed here from the holder's own challenge and attestations, and the proof is verified on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from riskproof.attest.envelope import Envelope
from riskproof.attest.net_risk import (
    UnsignedProof,
    attested_market,
    build_statement,
    challenge_model,
    check_combination,
    consent_message,
)
from riskproof.attest.payload import Attestation
from riskproof.errors import ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import AnyModel, Challenge
from riskproof.proof.identity import verify_same
from riskproof.proof.programme import compile_statement
from riskproof.proof.rows import check_size
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.verifier import verify
from riskproof.risk.arrays import compute_array
from riskproof.risk.model import RiskModel


def check_consent(
    unsigned: UnsignedProof,
    challenge: Challenge,
    attestations: Sequence[tuple[bytes, Market]],
    model: AnyModel | None = None,
) -> None:
    """Check that a proof is right and that its consent message speaks of this challenge and exactly these attestations.

    Args:
        attestations: (envelope, market) of each, in any order. Their signatures are not checked.
        model: the challenge's model, if the challenge does not carry it and it does not ship.

    Raises:
        ProofError: it does not; sign nothing.
        AttestationError, MarketError: an input that cannot be read.
    """
    scenarios = challenge_model(challenge, model)
    read = [
        (
            Attestation.from_bytes(
                Envelope.from_bytes(data, f"attestations[{i}]").payload, f"attestations[{i}].payload"
            ),
            market,
        )
        for i, (data, market) in enumerate(attestations)
    ]
    read.sort(key=lambda pair: pair[0].digest)
    stated = tuple(attestation.digest for attestation, _ in read)
    if (unsigned.challenge_digest, unsigned.attestation_digests) != (challenge.digest, stated):
        raise _wrong("it answers another challenge, or over other attestations")
    for attestation, market in read:
        if (attestation.registry_digest, attestation.snapshot_digest) != (
            market.registry.digest,
            market.snapshot.digest,
        ):
            raise ProofError(
                "another market than the attested one",
                where=f"market of {attestation.digest.hex()}",
                expected=f"snapshot {attestation.snapshot_digest.hex()}",
            )
    check_combination(challenge, [attestation for attestation, _ in read], unsigned.holder_key)
    registries = [market.registry for _, market in read]
    check_size(len(scenarios.scenarios), sum(r.columns for r in registries), registries[0].column_size)
    arrays = [compute_array(m, scenarios) if isinstance(scenarios, RiskModel) else None for _, m in read]
    compiled = compile_statement(
        challenge,
        scenarios,
        [attested_market(attestation, m, array) for (attestation, m), array in zip(read, arrays, strict=True)],
    )
    statement = build_statement(challenge, [attestation for attestation, _ in read], compiled)
    holds, transcript = verify(ceremony_setup(statement.n), statement, unsigned.proof)
    if not holds:
        raise _wrong("it does not show what the challenge asks")
    if (unsigned.identity_proof is not None) != (len(read) > 1):
        raise _wrong("the identity proof is missing, or one too many")
    if unsigned.identity_proof is not None:
        identities = [columns.identity for columns in statement.attestations]
        if not verify_same(transcript, identities, unsigned.identity_proof):
            raise _wrong("it does not show that the accounts have one holder")
    if unsigned.consent != consent_message(transcript):
        raise _wrong("its consent message is another one")


def _wrong(what: str) -> ProofError:
    return ProofError(f"the proof that was made for you is not to be signed: {what}", where="proof")
