"""The net-risk proof: transcript, statement, prover and verifier over committed columns (docs/protocol.md)."""
