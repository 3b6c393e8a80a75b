"""riskproof: portfolio risk arrays, signed attestations of net risk exposure, and proofs about hidden positions.

The package is a stack; imports go down only (docs/architecture.md):

    cli, report                      what people touch
    service, client                  the wire
    store                            append-only ledger
    attest, verify                   build and sign; numbered checks
    proof                            the net-risk proof
    commit                           Poseidon, Merkle tree, KZG columns
    risk                             kernel, literal twin, arrays, models, margin
    market                           registry, snapshot, portfolio, importers
    wide                             128-bit integer products for compiled kernels
    units, encoding, errors          fixed point, canonical bytes and domain tags, the error tree
"""

__version__ = "0.1.0"
