"""The gRPC service `riskproof.v1` of one venue: an asyncio server over the ledger, with kernels on a few threads.

    config          TOML and environment, one frozen value
    certificates    a private certificate authority for mutual TLS
    identity        who calls: roles from the client certificate, and the rule of every method
    failures        our errors as google.rpc statuses
    calls           what every call goes through: identity, rule, bounds, deadline, errors, metrics
    venue           ledger, signing key, models and the two caches: risk arrays (arrays), committed books (books)
    workers         processes that prove and verify (worker, frames: the other end and what is said; proving: the jobs; rehearsal)
    *_methods       the methods themselves
    server          ports, health, reflection, graceful stop

docs/service.md is the user's page.
"""

import os

# gRPC's core writes plain text to standard error (a line per failed handshake, say), where our logs are JSON: only its errors stay.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
