"""Verification: bytes in, no I/O, three outcomes.

    verify_attestation           numbered checks of an attestation, with a market and an opening if there are any
    verify_disclosure            the same for positions opened from an attestation
    verify_proof, verify_proofs  a net-risk proof over attestations, and many at once

A check of signature and time loads neither numpy nor numba, and what proofs need is loaded when it is first asked for;
docs/verification.md lists the checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, verify_attestation
from riskproof.verify.disclosure import verify_disclosure
from riskproof.verify.verdict import Check, CheckResult, Outcome, ProvenPosition, Verdict

if TYPE_CHECKING:
    from riskproof.verify.net_risk import MarketCache, ProofCase, ProofVerdict, verify_proof, verify_proofs

__all__ = [
    "DEFAULT_CLOCK_TOLERANCE",
    "Check",
    "CheckResult",
    "MarketCache",
    "Outcome",
    "ProofCase",
    "ProofVerdict",
    "ProvenPosition",
    "Verdict",
    "verify_attestation",
    "verify_disclosure",
    "verify_proof",
    "verify_proofs",
]


def __getattr__(name: str) -> Any:
    if name in ("MarketCache", "ProofCase", "ProofVerdict", "verify_proof", "verify_proofs"):
        from riskproof.verify import net_risk

        return getattr(net_risk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
