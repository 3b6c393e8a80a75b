"""verify_disclosure: the checks of the attestation, then those of the positions opened from it.

 1 .. 9    the attestation (riskproof.verify.attestation)
10, 11     registry and snapshot are those of the market file, if one is given
30         the disclosure names this attestation
31         the terms of every instrument are the registry's at that index
32         the lots are in the committed book: leaf, tree root, sizes, positions root; none in a retired column
"""

from __future__ import annotations

from riskproof.attest.disclosure import Disclosure
from riskproof.attest.keyset import KeySet
from riskproof.attest.payload import Attestation
from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, Expectations, check_statement
from riskproof.verify.protocol import Run
from riskproof.verify.verdict import Check, ProvenPosition, Verdict


def verify_disclosure(
    disclosure: bytes,
    attestation: bytes,
    keys: bytes | KeySet,
    *,
    now: int,
    audience: str | None = None,
    nonce: str | None = None,
    venue: str | None = None,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    max_snapshot_age: int | None = None,
    required_signatures: int = 1,
    market: bytes | None = None,
) -> Verdict:
    """Verify opened positions against their attestation; arguments and errors as `verify_attestation`.

    A market is not needed: the terms of the instruments are proved against the attestation. With one, it is also checked that it is
    the attestation's.
    """
    trusted = keys if isinstance(keys, KeySet) else KeySet.from_bytes(keys)
    expected = Expectations(now, audience, nonce, venue, clock_tolerance, max_snapshot_age, required_signatures)

    def checks(run: Run) -> None:
        statement = check_statement(run, attestation, trusted, expected)
        if market is None:
            run.notes.append(
                "no market given: registry and snapshot not compared; the terms are those of the attestation"
            )
        else:
            from riskproof.verify.market import check_registry

            check_registry(run, statement, market)
        _check_disclosure(run, statement, Disclosure.from_bytes(disclosure))

    return Run().verdict(checks)


def _check_disclosure(run: Run, statement: Attestation, disclosure: Disclosure) -> None:
    from riskproof.commit.merkle import MultiOpening, TreeRoot, positions_root, verify_multi_opening
    from riskproof.verify.opening import check_instrument

    # check 30
    run.require(
        Check.DISCLOSURE_ATTESTATION,
        disclosure.attestation_digest == statement.digest,
        "disclosure from another attestation",
    )
    run.passed(Check.DISCLOSURE_ATTESTATION)
    # check 31
    for p in disclosure.positions:
        check_instrument(run, Check.DISCLOSURE_INSTRUMENTS, statement, p.position)
    run.passed(Check.DISCLOSURE_INSTRUMENTS)
    # check 32
    root = TreeRoot(disclosure.tree_root, statement.tree_capacity, statement.registry_size)
    run.require(
        Check.DISCLOSURE_POSITIONS,
        positions_root(root, disclosure.root_salt) == statement.positions_root,
        "the tree root is not that of the positions root",
    )
    positions = tuple((p.position.index, p.position.lots, p.leaf_salt) for p in disclosure.positions)
    run.require(
        Check.DISCLOSURE_POSITIONS,
        verify_multi_opening(root, MultiOpening(positions, disclosure.nodes)),
        "the positions are not in the committed book",
    )
    retired = set(statement.columns.retired)
    for p in disclosure.positions:
        column = p.position.index // statement.columns.size
        run.require(
            Check.DISCLOSURE_POSITIONS,
            column not in retired or not p.position.lots,
            f"retired column {column} holds a position in {p.position.instrument.name}",
        )
    run.passed(Check.DISCLOSURE_POSITIONS)
    run.positions = tuple(
        ProvenPosition(p.position.index, p.position.instrument, p.position.lots, statement.quantity_exponent)
        for p in disclosure.positions
    )
