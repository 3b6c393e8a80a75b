"""Attestations: a venue's signed word about a committed book.

    edwards         which Ed25519 public keys may be trusted at all
    keys            signing keys in private folders
    keyset          public keys as a JWK set: venues, validity intervals, revocation
    envelope        DSSE envelope: what is signed, and the signatures
    grid            the coarse grids on which margins are disclosed
    holder          who holds the account: key, hidden identity, tag; exclusive windows
    payload         what an attestation says
    registry_tree   Merkle tree of the registry's instruments, so that a disclosure proves terms without the registry
    book            committed lots, blinded afresh for every attestation
    opening         everything the holder and an auditor need to recompute an attestation
    build           put together and sign
    disclosure      open single positions

docs/attestation.md is the specification. Importing this package loads nothing; `keyset`, `envelope`, `payload` and `registry_tree`
need neither numpy nor numba.
"""
