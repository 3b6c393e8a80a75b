"""A second verifier of net-risk proofs, written from docs/protocol.md: plain Python and py_ecc, no code in common with riskproof.proof."""
