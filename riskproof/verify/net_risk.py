"""verify_proof: does a proof answer a challenge over these attestations? And verify_proofs: many at once.

The numbered checks are in `riskproof.verify.proof_checks`; here they are put around the pairing.
Bytes that are no proof, challenge, attestation or market at all make the outcome malformed when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from riskproof.attest.keyset import KeySet
from riskproof.commit.subgroup import all_in_subgroup
from riskproof.errors import InputError
from riskproof.proof.verifier import check_pairing, check_pairings
from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, Expectations
from riskproof.verify.claims import claims
from riskproof.verify.market_cache import MarketCache
from riskproof.verify.proof_checks import Prepared, ProofCase, Session, conclude, prepare
from riskproof.verify.proof_verdict import ProofVerdict
from riskproof.verify.protocol import Run
from riskproof.verify.verdict import Check, Outcome

__all__ = ["MAX_BATCH", "MarketCache", "ProofCase", "ProofVerdict", "verify_proof", "verify_proofs"]

MAX_BATCH: Final = 1_024
LARGE_BATCH: Final = 32  # from here on, whether points are in G1 is asked of all of them together


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
    before = _before_pairing(cases, parsed_keys, session)
    verdicts = [b.verdict for b in before]
    waiting = [(i, b.run, b.prepared) for i, b in enumerate(before) if b.prepared is not None]
    for (i, run, p), holds in zip(waiting, _pair([p for _, _, p in waiting]), strict=True):

        def after(run: Run, p: Prepared = p, holds: bool = holds) -> None:
            conclude(run, p, holds)

        verdicts[i] = _verdict(run, after, p)
    return verdicts


@dataclass
class _Before:
    """A case after the checks that come before the pairing: its verdict if one failed, else what the others need."""

    run: Run
    verdict: ProofVerdict
    prepared: Prepared | None

    @property
    def read(self) -> bool:
        """Whether the proof's points were looked at: what failed before fails in the same way without asking of points."""
        return any(check.number == Check.PROOF_ROWS for check in self.run.checks)


def _before_pairing(cases: Sequence[ProofCase], keys: Sequence[list[KeySet]], session: Session) -> list[_Before]:
    """Every case as if by itself, in order; a large batch asks first whether all points together are in G1."""
    pairs = list(zip(cases, keys, strict=True))
    if len(cases) < LARGE_BATCH:
        return [_before(case, own, session, subgroup=True) for case, own in pairs]
    before = [_before(case, own, session, subgroup=False) for case, own in pairs]
    sound = all_in_subgroup([point for b in before if b.prepared for point in b.prepared.terms.own])

    def right(b: _Before) -> bool:
        return b.prepared is not None and (sound or all(point.is_in_subgroup() for point in b.prepared.terms.own))

    return [  # a proof that could not be read is read again too: a point may be wrong before the place that it failed at
        _before(case, own, session, subgroup=True) if b.read and not right(b) else b
        for b, (case, own) in zip(before, pairs, strict=True)
    ]


def _before(case: ProofCase, keys: list[KeySet], session: Session, *, subgroup: bool) -> _Before:
    run, prepared = Run(), list[Prepared]()
    verdict = _verdict(run, lambda run: prepared.append(prepare(run, case, keys, session, subgroup=subgroup)))
    return _Before(run, verdict, prepared[0] if prepared else None)


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
