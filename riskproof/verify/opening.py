"""Checks 20 to 26: with an opening, an auditor recomputes the commitments, and with the market also P&L and margin.

20  the opening is this attestation's (digest, registry), and the blinded account id is that of the account it names
21  chain commitment: sequence and previous digest
22  positions root: the whole tree, from the lots and the epoch secret
23  columns: every live column from the lots and its blinding; retired columns hold nothing
24  instruments: the terms of every position are the registry's at that index
25  P&L, margins and worst scenario: recomputed, rounded as the policy states, equal to what is disclosed (with a market)
26  holder: identity and blinding open the identity commitment (if the attestation has a holder)
"""

from __future__ import annotations

import hmac

import numpy as np
import numpy.typing as npt

from riskproof.attest.build import disclosed_figures
from riskproof.attest.opening import OpenedPosition, Opening
from riskproof.attest.payload import Attestation, Policy, blinded_account, chain_commitment
from riskproof.attest.registry_tree import leaf_hash, root_from_path
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.identity import commit_identity
from riskproof.commit.merkle import positions_root, tree_root
from riskproof.commit.points import parse_g1
from riskproof.errors import InputError
from riskproof.market.portfolio import Portfolio
from riskproof.risk.figures import RiskBasis
from riskproof.verify.protocol import CheckFailedError, Run
from riskproof.verify.verdict import Check


def check_opening(run: Run, statement: Attestation, data: bytes, basis: RiskBasis | None) -> None:
    """Checks 20 to 26 (CheckFailedError, AttestationError, CommitmentError)."""
    opening = Opening.from_bytes(data)
    _check_account(run, statement, opening)
    # check 21
    chain = chain_commitment(opening.sequence, opening.previous_digest, opening.chain_salt)
    run.require(
        Check.OPENING_CHAIN,
        hmac.compare_digest(chain, statement.chain),
        "sequence and previous digest are not those of the chain commitment",
    )
    run.passed(Check.OPENING_CHAIN)
    lots = np.zeros(opening.registry_size, dtype=np.int64)
    for position in opening.positions:
        lots[position.index] = position.lots
    # check 22
    root = positions_root(tree_root(lots, opening.epoch_secret, opening.tree_capacity), opening.root_salt)
    run.require(Check.OPENING_ROOT, root == statement.positions_root, "the lots are not those of the positions root")
    run.passed(Check.OPENING_ROOT)
    _check_columns(run, statement, opening, lots)
    # check 24
    for position in opening.positions:
        check_instrument(run, Check.OPENING_INSTRUMENTS, statement, position)
    run.passed(Check.OPENING_INSTRUMENTS)
    if basis is None:
        run.notes.append("no market given: P&L and margin not recomputed")
    else:
        _check_risk(run, statement, opening, basis)
    _check_identity(run, statement, opening)


def check_instrument(run: Run, check: Check, statement: Attestation, position: OpenedPosition) -> None:
    """End with `check` failed unless the registry has these terms at this index."""
    root = root_from_path(
        leaf_hash(position.instrument.to_document()), position.index, statement.registry_size, position.path
    )
    run.require(
        check,
        root == statement.registry_root,
        f"{position.instrument.name}, as written, is not at index {position.index} of the registry",
    )


def _check_account(run: Run, statement: Attestation, opening: Opening) -> None:
    # check 20
    for same, what in (
        (opening.attestation_digest == statement.digest, "opening of another attestation"),
        (opening.registry_digest == statement.registry_digest, "opening for another registry version"),
        (opening.registry_size == statement.registry_size, "opening for a registry of another size"),
        (opening.tree_capacity == statement.tree_capacity, "opening for a tree of another capacity"),
        (
            hmac.compare_digest(blinded_account(opening.account_id, opening.account_salt), statement.account),
            "the account is not the one that the attestation blinds",
        ),
    ):
        run.require(Check.OPENING_ACCOUNT, same, what)
    run.passed(Check.OPENING_ACCOUNT)


def _check_columns(run: Run, statement: Attestation, opening: Opening, lots: npt.NDArray[np.int64]) -> None:
    # check 23
    columns, n = statement.columns, statement.columns.size
    for j in columns.retired:
        run.require(Check.OPENING_COLUMNS, not lots[j * n : (j + 1) * n].any(), f"retired column {j} holds positions")
    run.require(
        Check.OPENING_COLUMNS,
        len(opening.blindings) == len(columns.commitments),
        f"{len(opening.blindings)} blindings for {len(columns.commitments)} columns",
    )
    basis = column_basis(n)
    for j, commitment, blinding in zip(columns.live, columns.commitments, opening.blindings, strict=True):
        opened = basis.verify(
            parse_g1(commitment), lots[j * n : (j + 1) * n], Blinding.from_bytes(blinding, f"opening.blindings of {j}")
        )
        run.require(Check.OPENING_COLUMNS, opened, f"the lots are not those of column {j}")
    run.passed(Check.OPENING_COLUMNS)


def _check_risk(run: Run, statement: Attestation, opening: Opening, basis: RiskBasis) -> None:
    # check 25
    book = Portfolio(tuple((p.index, p.lots) for p in opening.positions))
    try:
        risk = basis.figures(book)
        stated = statement.disclosed
        expected = stated if stated.grid is None else disclosed_figures(stated.policy, stated.grid, risk)
    except InputError as error:
        raise CheckFailedError(Check.OPENING_RISK, f"the book's risk cannot be computed: {error}") from None
    figures: list[tuple[str, object, object]] = [
        ("initial margin", stated.initial_margin_micros, expected.initial_margin_micros),
        ("maintenance margin", stated.maintenance_margin_micros, expected.maintenance_margin_micros),
        ("worst scenario", stated.worst_scenario, expected.worst_scenario),
    ]
    if stated.pnl_micros is not None and expected.pnl_micros is not None:
        ids = [s.id for s in basis.model.scenarios]
        figures += [
            (f"P&L of {scenario}", attested, recomputed)
            for scenario, attested, recomputed in zip(ids, stated.pnl_micros, expected.pnl_micros, strict=True)
        ]
    for what, attested, recomputed in figures:
        run.require(Check.OPENING_RISK, attested == recomputed, f"{what}: attested {attested}, recomputed {recomputed}")
    if stated.policy is Policy.NONE:
        run.notes.append("the attestation discloses no figures: there was none to compare")
    run.passed(Check.OPENING_RISK)


def _check_identity(run: Run, statement: Attestation, opening: Opening) -> None:
    # check 26
    holder, identity, blinding = statement.holder, opening.identity, opening.identity_blinding
    run.require(
        Check.OPENING_IDENTITY,
        (holder is None) == (identity is None),
        "the opening names a holder, the attestation has none" if holder is None else "the opening names no holder",
    )
    if holder is None or identity is None or blinding is None:
        return
    opened = commit_identity(identity, Blinding.from_bytes(blinding, "opening.identity_blinding"))
    run.require(
        Check.OPENING_IDENTITY,
        hmac.compare_digest(opened, holder.identity),
        "the identity is not the one that the attestation hides",
    )
    run.passed(Check.OPENING_IDENTITY)
    run.identity = identity
