"""A second verifier of net-risk proofs, written from docs/protocol.md: plain Python and py_ecc, nothing in common with the first.

It is meant to be read beside the page: one module a topic, the page's letters, lists of ints, no speed. It knows neither markets
nor venues' keys: whoever calls it recomputes the rows from registry, snapshot and the challenge's model (sections 2.1 to 2.4), and
verifies the venues' signatures.

    documents   challenge, attestation and proof as canonical JSON (section 3)
    groups      points, scalars, the structured reference string, pairings (section 1)
    signature   Ed25519 (section 6)
    statement   rows, slack bits, no wrap-around, coefficients digest (sections 2 and 4)
    transcript  section 4
    verifier    sections 3.1, 5 and 6
"""

from riskproof.reference.documents import attestation_digest
from riskproof.reference.groups import Setup, ceremony
from riskproof.reference.statement import Rows, coefficients_digest, slack_bits
from riskproof.reference.verifier import Result, verify

__all__ = [
    "Result",
    "Rows",
    "Setup",
    "attestation_digest",
    "ceremony",
    "coefficients_digest",
    "slack_bits",
    "verify",
]
