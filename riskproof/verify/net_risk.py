"""verify_proof: does a proof answer a challenge over these attestations? And verify_proofs: many at once.

The numbered checks are in `riskproof.verify.proof_checks`; here they are put around the pairing.
Bytes that are no proof, challenge, attestation or market at all make the outcome malformed when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from riskproof.attest.keyset import KeySet
from riskproof.errors import InputError
from riskproof.proof.verifier import check_pairing, check_pairings
from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, Expectations
from riskproof.verify.claims import claims
from riskproof.verify.market_cache import MarketCache
from riskproof.verify.proof_checks import Prepared, ProofCase, Session, conclude, prepare
from riskproof.verify.proof_verdict import ProofVerdict
from riskproof.verify.protocol import Run
from riskproof.verify.verdict import Outcome

__all__ = ["MAX_BATCH", "MarketCache", "ProofCase", "ProofVerdict", "verify_proof", "verify_proofs"]

MAX_BATCH: Final = 1_024


def verify_proof(
    proof: bytes,
    challenge: bytes,
    attestations: Sequence[bytes],
    keys: Sequence[bytes | KeySet],
    markets: Sequence[bytes],
    *,
    now: int,
    model: bytes | None = None,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    max_snapshot_age: int | None = None,
    required_signatures: int = 1,
    cache: MarketCache | None = None,
) -> ProofVerdict:
    """Verify a proof. Everything but the challenge, the keys and the numbers may be hostile.

    Args:
        proof: the prover's file.
        challenge: the verifier's own challenge, byte for byte.
        attestations: envelopes, in any order.
        keys, markets: for each of them, the verifier's keys for the venue, and the market file.
        now: seconds since the epoch.
        model: the challenge's model, if the challenge does not carry it and it does not ship.
        clock_tolerance: seconds by which clocks may differ.
        max_snapshot_age: largest age of a snapshot when its attestation was issued, seconds; None: the attestation's own limit.
        required_signatures: how many different keys of its venue must have signed each attestation.
        cache: to keep markets and rows between calls.

    Raises:
        KeySetError: the verifier's keys are wrong.
        InputError: not one key set and one market for each attestation, or a number out of range.
    """
    case = ProofCase(proof, challenge, attestations, keys, markets, model)
    return verify_proofs(
        [case],
        now=now,
        clock_tolerance=clock_tolerance,
        max_snapshot_age=max_snapshot_age,
        required_signatures=required_signatures,
        cache=cache,
    )[0]


def verify_proofs(
    cases: Sequence[ProofCase],
    *,
    now: int,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    max_snapshot_age: int | None = None,
    required_signatures: int = 1,
    cache: MarketCache | None = None,
) -> list[ProofVerdict]:
    """Verify many proofs with one pairing check for all of one column size; if it fails, one by one, which names the bad ones.

    The verdicts are those of `verify_proof`, in the order of the cases; it raises as that does.
    """
    expected = Expectations(
        now,
        clock_tolerance=clock_tolerance,
        max_snapshot_age=max_snapshot_age,
        required_signatures=required_signatures,
    )
    if len(cases) > MAX_BATCH:
        raise InputError(f"{len(cases)} proofs", where="cases", expected=f"at most {MAX_BATCH} at once")
    session = Session(cache or MarketCache(), expected)
    parsed_keys = [session.keys(case) for case in cases]
    runs = [Run() for _ in cases]
    prepared: list[Prepared | None] = [None] * len(cases)
    verdicts: list[ProofVerdict] = []
    for i, (case, keys, run) in enumerate(zip(cases, parsed_keys, runs, strict=True)):

        def before(run: Run, i: int = i, case: ProofCase = case, keys: list[KeySet] = keys) -> None:
            prepared[i] = prepare(run, case, keys, session)

        verdicts.append(_verdict(run, before))
    waiting = [(i, p) for i, p in enumerate(prepared) if p is not None]
    for (i, p), holds in zip(waiting, _pair([p for _, p in waiting]), strict=True):

        def after(run: Run, p: Prepared = p, holds: bool = holds) -> None:
            conclude(run, p, holds)

        verdicts[i] = _verdict(runs[i], after, p)
    return verdicts


def _pair(prepared: Sequence[Prepared]) -> list[bool]:
    """Whether each pairing product is one, in order."""
    groups: dict[int, list[Prepared]] = {}
    for p in prepared:
        groups.setdefault(p.setup.n, []).append(p)
    together = {
        n: len(group) > 1 and check_pairings(group[0].setup, [p.terms for p in group]) for n, group in groups.items()
    }
    return [together[p.setup.n] or check_pairing(p.setup, p.terms.inputs()) for p in prepared]


def _verdict(run: Run, checks: Callable[[Run], None], prepared: Prepared | None = None) -> ProofVerdict:
    plain = run.verdict(checks)
    answer = (plain.outcome, plain.failed_check, plain.check, plain.reason, plain.checks, plain.notes)
    if prepared is None or plain.outcome is not Outcome.VALID:
        return ProofVerdict(*answer)
    p = prepared
    said = claims(p.challenge, p.model, p.attestations, p.compiled)
    return ProofVerdict(*answer, p.challenge, p.attestations, *said)
