"""What a verification of a proof answers; as `riskproof.verify.verdict` for attestations."""

from __future__ import annotations

from dataclasses import dataclass

from riskproof.attest.payload import Attestation
from riskproof.encoding import Json
from riskproof.proof.challenge import Challenge
from riskproof.verify.verdict import CheckResult, Outcome, answer_document


@dataclass(frozen=True)
class ProofVerdict:
    """The answer of `verify_proof`. It has no truth value on purpose: compare `outcome`.

    Attributes:
        outcome: valid, invalid or malformed.
        failed_check: number of the failed check if invalid, else None. check: its name, else "".
        reason: what is wrong and where, "" if valid.
        checks: the checks that passed, in order.
        notes: what was not checked, and why.
        challenge, attestations: what was answered, and over what, if valid; None and () otherwise.
        proved, trusted, not_proved: in words, if valid.
    """

    outcome: Outcome
    failed_check: int | None = None
    check: str = ""
    reason: str = ""
    checks: tuple[CheckResult, ...] = ()
    notes: tuple[str, ...] = ()
    challenge: Challenge | None = None
    attestations: tuple[Attestation, ...] = ()
    proved: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("a verdict has three outcomes: compare verdict.outcome")

    def to_document(self) -> dict[str, Json]:
        """The verdict as JSON."""
        document = answer_document(self)
        if self.challenge is not None:
            document["challenge_digest"] = self.challenge.digest.hex()
            document["challenge"] = self.challenge.to_document()
            document["attestation_digests"] = [a.digest.hex() for a in self.attestations]
            document["proved"] = list(self.proved)
            document["trusted"] = list(self.trusted)
            document["not_proved"] = list(self.not_proved)
        return document
