"""Proofs made by a venue, signed by the holder: what both clients do around the calls.

The venue proves and the holder signs. What is signed is recomputed first from the holder's own challenge and attestations
(riskproof.attest.consent), so a venue gets no signature for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from riskproof.attest.envelope import Envelope
from riskproof.attest.keys import SigningKey
from riskproof.attest.payload import Attestation
from riskproof.client.values import BroughtAccount
from riskproof.errors import RemoteError
from riskproof.market.marketfile import Market
from riskproof.v1 import proof_pb2

if TYPE_CHECKING:
    from riskproof.attest.net_risk import UnsignedProof
    from riskproof.proof.challenge import AnyModel

Progress = Callable[[str, float], None]  # stage that begins, fraction done


class Consent:
    """What is to be proved, as the holder knows it."""

    def __init__(
        self,
        challenge: bytes,
        attestations: Sequence[bytes],
        brought: Sequence[BroughtAccount],
        markets: Sequence[bytes | Market],
    ) -> None:
        """Read everything (ProofError, AttestationError, MarketError)."""
        from riskproof.proof.challenge import Challenge

        self._challenge = Challenge.from_bytes(challenge)
        self._model: AnyModel | None = None
        self._attestations = [*attestations, *(b.attestation for b in brought)]
        self._read = [
            Attestation.from_bytes(
                Envelope.from_bytes(data, f"attestations[{i}]").payload, f"attestations[{i}].payload"
            )
            for i, data in enumerate(self._attestations)
        ]
        self._markets: dict[bytes, Market] = {}
        for market in (*markets, *(b.market for b in brought if b.market)):
            self.add_market(market if isinstance(market, Market) else Market.from_bytes(market))

    @property
    def digests(self) -> list[bytes]:
        """Digests of the attestations, those of the venue's account first."""
        return [attestation.digest for attestation in self._read]

    def missing_snapshots(self) -> list[bytes]:
        """Digests of the snapshots whose markets have to be fetched."""
        return sorted({a.snapshot_digest for a in self._read} - set(self._markets))

    def add_market(self, market: Market) -> None:
        """A market that was missing."""
        self._markets[market.snapshot.digest] = market

    def missing_model(self) -> str:
        """Name of the model that has to be fetched, "" for none."""
        from riskproof.attest.net_risk import challenge_model
        from riskproof.errors import ProofError

        try:
            challenge_model(self._challenge)
        except ProofError:
            return self._challenge.model_name
        return ""

    def add_model(self, document: bytes) -> None:
        """The model that was missing; signing checks its digest."""
        from riskproof.risk.margining import read

        self._model = read(document, "model")

    def sign(self, unsigned: UnsignedProof | None, key: SigningKey) -> bytes:
        """The finished proof.

        Raises:
            RemoteError: the stream ended without a proof.
            ProofError: the proof is not what was asked for: nothing is signed.
        """
        from riskproof.attest.consent import check_consent

        if unsigned is None:
            raise RemoteError("the answer has no proof", where="Prove", expected="a server of this version")
        pairs = [
            (data, self._markets[read.snapshot_digest])
            for data, read in zip(self._attestations, self._read, strict=True)
        ]
        check_consent(unsigned, self._challenge, pairs, self._model)
        return unsigned.signed(key)


def take(response: proof_pb2.ProveResponse, key: SigningKey, progress: Progress | None) -> UnsignedProof | None:
    """The proof if this is the last event of a stream; else reports its progress."""
    if response.WhichOneof("event") != "unsigned_proof":
        if progress is not None:
            progress(response.progress.stage, response.progress.permille / 1000)
        return None
    from riskproof.attest.net_risk import UnsignedProof

    u = response.unsigned_proof
    return UnsignedProof(
        u.challenge_digest, tuple(u.attestation_digests), u.proof, u.identity_proof or None, u.consent, key.public.raw
    )
