"""Verification: bytes in, no I/O, three outcomes.

    verify_attestation      numbered checks of an attestation, with a market and an opening if there are any
    verify_disclosure       the same for positions opened from an attestation

A check of signature and time loads neither numpy nor numba; docs/verification.md lists the checks.
"""

from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, verify_attestation
from riskproof.verify.disclosure import verify_disclosure
from riskproof.verify.verdict import Check, CheckResult, Outcome, ProvenPosition, Verdict

__all__ = [
    "DEFAULT_CLOCK_TOLERANCE",
    "Check",
    "CheckResult",
    "Outcome",
    "ProvenPosition",
    "Verdict",
    "verify_attestation",
    "verify_disclosure",
]
