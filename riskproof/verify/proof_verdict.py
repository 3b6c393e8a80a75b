"""What a verification of a proof answers; as `riskproof.verify.verdict` for attestations."""

from __future__ import annotations

from dataclasses import dataclass

from riskproof.attest.payload import Attestation
from riskproof.encoding import Json
from riskproof.proof.challenge import Challenge
from riskproof.verify.verdict import Answer


@dataclass(frozen=True)
class ProofVerdict(Answer):
    """The answer of `verify_proof`.

    Attributes:
        challenge, attestations: what was answered, and over what, if valid; None and () otherwise.
        proved, trusted, not_proved: in words, if valid.
    """

    challenge: Challenge | None = None
    attestations: tuple[Attestation, ...] = ()
    proved: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Json]:
        document = super().to_document()
        if self.challenge is not None:
            document["challenge_digest"] = self.challenge.digest.hex()
            document["challenge"] = self.challenge.to_document()
            document["attestation_digests"] = [a.digest.hex() for a in self.attestations]
            document["proved"] = list(self.proved)
            document["trusted"] = list(self.trusted)
            document["not_proved"] = list(self.not_proved)
        return document
