"""The numbered checks of a proof, in order (docs/verification.md), on both sides of the pairing, which a batch makes once for all.

prepare
40 .. 42   the proof names this challenge, which is current, and exactly these attestations
43         each attestation is valid by itself: checks 1 to 9, with the reason of the one that failed
44 .. 51   they may be netted: holder, audience, accounts, key, numeraire, column size, times, exclusivity
52 .. 54   registries, snapshots and model are the ones given; the rows are recomputed from them

conclude
55 .. 57   the proof holds; one identity; the holder's signature
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from riskproof import units
from riskproof.attest.envelope import Envelope
from riskproof.attest.keyset import KeySet, PublicKey
from riskproof.attest.net_risk import (
    Rule,
    build_statement,
    challenge_model,
    combination_violations,
    consent_message,
)
from riskproof.attest.payload import Attestation
from riskproof.errors import InputError, ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import AnyModel, Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import verify_same
from riskproof.proof.rows import StatementRows, check_size
from riskproof.proof.setup import Setup, ceremony_setup
from riskproof.proof.statement import MAX_ATTESTATIONS, Statement
from riskproof.proof.transcript import Transcript
from riskproof.proof.verifier import PairingTerms, pairing_terms
from riskproof.risk.margining import read as read_model
from riskproof.verify.attestation import Expectations, check_signed
from riskproof.verify.market_cache import MarketCache
from riskproof.verify.protocol import CheckFailedError, Run, clock_text
from riskproof.verify.verdict import Check, Outcome, Verdict

_CHECK_OF: Final = {
    Rule.DISTINCT: Check.PROOF_ATTESTATIONS,
    Rule.HOLDER: Check.PROOF_HOLDER,
    Rule.AUDIENCE: Check.PROOF_AUDIENCE,
    Rule.ACCOUNT: Check.PROOF_ACCOUNTS,
    Rule.KEY: Check.PROOF_KEY,
    Rule.NUMERAIRE: Check.PROOF_NUMERAIRE,
    Rule.SIZE: Check.PROOF_COLUMN_SIZE,
    Rule.SKEW: Check.PROOF_SKEW,
    Rule.EXCLUSIVE: Check.PROOF_EXCLUSIVE,
}


@dataclass(frozen=True)
class ProofCase:
    """One proof to verify; see `verify_proof` for the members."""

    proof: bytes
    challenge: bytes
    attestations: Sequence[bytes]
    keys: Sequence[bytes | KeySet]
    markets: Sequence[bytes]
    model: bytes | None = None


@dataclass(frozen=True)
class Prepared:
    """A proof of which everything but pairing, identity and consent is checked."""

    document: ProofDocument
    challenge: Challenge
    attestations: tuple[Attestation, ...]
    model: AnyModel
    statement: Statement
    compiled: StatementRows
    setup: Setup
    terms: PairingTerms = field(repr=False)
    transcript: Transcript = field(repr=False)


class Session:
    """What the proofs of one call share: the time, the caller's limits, key sets read and attestations verified."""

    def __init__(self, cache: MarketCache, expected: Expectations) -> None:
        """expected: of every attestation, but for audience and nonce; check 45 compares its audience with the challenge's."""
        self.cache = cache
        self.expected = expected
        self._keys: dict[bytes, KeySet] = {}
        self._verdicts: dict[tuple[bytes, int], Verdict] = {}
        self._markets: dict[bytes, Market] = {}

    def keys(self, case: ProofCase) -> list[KeySet]:
        """The key sets of a case (KeySetError; InputError unless keys and markets pair up with attestations)."""
        count = len(case.attestations)
        if len(case.keys) != count or len(case.markets) != count:
            raise InputError(
                f"{count} attestations, {len(case.keys)} key sets and {len(case.markets)} markets",
                where="attestations",
                expected="one key set and one market for each attestation",
            )
        sets = []
        for keys in case.keys:
            if isinstance(keys, bytes) and keys not in self._keys:
                self._keys[keys] = KeySet.from_bytes(keys)
            sets.append(self._keys[keys] if isinstance(keys, bytes) else keys)
        return sets

    def market(self, data: bytes) -> Market:
        """The market of a file, looked up by its bytes: Python keeps their hash, and does not keep their digest."""
        market = self._markets.get(data)
        if market is None:
            market = self._markets[data] = self.cache.market(data)
        return market

    def verdict(self, envelope: Envelope, attestation: Attestation, keys: KeySet) -> Verdict:
        """Checks 1 to 9 of an attestation, made once for each key set."""
        signed = hashlib.sha256(repr(envelope.signatures).encode() + envelope.payload).digest()
        known = self._verdicts.get((signed, id(keys)))
        if known is None:
            expected = replace(self.expected, audience=attestation.audience, nonce=attestation.nonce)

            def checks(run: Run) -> None:
                check_signed(run, envelope, attestation, keys, expected)

            known = self._verdicts[signed, id(keys)] = Run().verdict(checks)
        return known


def prepare(run: Run, case: ProofCase, keys: list[KeySet], session: Session, *, subgroup: bool) -> Prepared:
    """Checks 40 to 54, and the proof's bytes read (CheckFailedError, InputError); subgroup: as in `pairing_terms`."""
    challenge = Challenge.from_bytes(case.challenge)
    document = ProofDocument.from_bytes(case.proof)
    # check 40
    run.require(
        Check.PROOF_CHALLENGE,
        document.challenge_digest == challenge.digest,
        f"the proof answers challenge {document.challenge_digest.hex()}, this one is {challenge.digest.hex()}",
    )
    run.passed(Check.PROOF_CHALLENGE)
    # check 41
    run.require(
        Check.PROOF_TIME,
        challenge.issued_at - session.expected.clock_tolerance <= session.expected.now < challenge.expires_at,
        f"the challenge lives from {units.format_time(challenge.issued_at)} until {units.format_time(challenge.expires_at)}, "
        f"it is {clock_text(session.expected.now)}",
    )
    run.passed(Check.PROOF_TIME)
    attestations, markets = _check_attestations(run, case, keys, document, session)
    _check_combination(run, challenge, attestations)
    parsed_markets = [
        _check_market(run, attestation, session.market(data))
        for attestation, data in zip(attestations, markets, strict=True)
    ]
    run.passed(Check.PROOF_MARKETS)
    model = _check_model(run, challenge, case.model, attestations)
    # check 54
    try:
        columns = sum(m.registry.columns for m in parsed_markets)
        check_size(len(model.scenarios), columns, parsed_markets[0].registry.column_size, session.cache.cells)
        compiled = session.cache.compiled(challenge, model, attestations, parsed_markets)
        statement = build_statement(challenge, attestations, compiled)
    except InputError as error:
        raise CheckFailedError(Check.PROOF_ROWS, f"the rows cannot be computed: {error}") from None
    run.passed(Check.PROOF_ROWS)
    setup = ceremony_setup(statement.n)
    terms, transcript = pairing_terms(setup, statement, document.proof, subgroup=subgroup)
    return Prepared(document, challenge, attestations, model, statement, compiled, setup, terms, transcript)


def _check_attestations(
    run: Run, case: ProofCase, keys: list[KeySet], document: ProofDocument, session: Session
) -> tuple[tuple[Attestation, ...], list[bytes]]:
    """Checks 42 and 43; the attestations ascending by digest, and their markets."""
    if len(case.attestations) > MAX_ATTESTATIONS:
        raise ProofError(
            f"{len(case.attestations)} attestations", where="attestations", expected=f"at most {MAX_ATTESTATIONS}"
        )
    read = [
        (*session.cache.attestation(data, f"attestations[{i}]"), trusted, market)
        for i, (data, trusted, market) in enumerate(zip(case.attestations, keys, case.markets, strict=True))
    ]
    read.sort(key=lambda item: item[1].digest)
    # check 42
    given = tuple(item[1].digest for item in read)
    run.require(
        Check.PROOF_ATTESTATIONS,
        given == document.attestation_digests,
        "the proof is over attestations "
        + ", ".join(d.hex()[:16] for d in document.attestation_digests)
        + "; given are "
        + (", ".join(d.hex()[:16] for d in given) or "none"),
    )
    run.passed(Check.PROOF_ATTESTATIONS)
    # check 43
    for envelope, attestation, trusted, _ in read:
        verdict = session.verdict(envelope, attestation, trusted)
        run.require(
            Check.PROOF_ATTESTATION_VALID,
            verdict.outcome is Outcome.VALID,
            f"the attestation of {attestation.venue!r}: check {verdict.failed_check}, {verdict.check}: {verdict.reason}",
        )
        run.notes += [f"{attestation.venue}: {note}" for note in verdict.notes]
    run.passed(Check.PROOF_ATTESTATION_VALID)
    return tuple(item[1] for item in read), [item[3] for item in read]


def _check_combination(run: Run, challenge: Challenge, attestations: Sequence[Attestation]) -> None:
    """Checks 44 to 51."""
    broken: dict[Check, str] = {}
    for violation in combination_violations(challenge, attestations):
        broken.setdefault(_CHECK_OF[violation.rule], violation.reason)
    for rule in Rule:
        check = _CHECK_OF[rule]
        run.require(check, check not in broken, broken.get(check, ""))
        if rule is not Rule.DISTINCT:
            run.passed(check)


def _check_market(run: Run, attestation: Attestation, market: Market) -> Market:
    """Check 52 for one attestation."""
    registry, snapshot = market.registry, market.snapshot
    for what, stated, given in (
        ("registry digest", attestation.registry_digest.hex(), registry.digest.hex()),
        ("registry size", attestation.registry_size, len(registry)),
        ("column size", attestation.columns.size, registry.column_size),
        ("numeraire", attestation.numeraire, registry.numeraire),
        ("snapshot digest", attestation.snapshot_digest.hex(), snapshot.digest.hex()),
        ("snapshot time", attestation.snapshot_time, snapshot.time),
    ):
        run.require(
            Check.PROOF_MARKETS,
            stated == given,
            f"{what} of the attestation of {attestation.venue!r}: attested {stated}, given {given}",
        )
    size = registry.column_size
    for j in attestation.columns.retired:
        for instrument in registry.instruments[j * size : (j + 1) * size]:
            run.require(
                Check.PROOF_MARKETS,
                snapshot.is_expired(instrument),
                f"column {j} of {attestation.venue!r} is retired, and {instrument.name} has not expired",
            )
    return market


def _check_model(run: Run, challenge: Challenge, data: bytes | None, attestations: Sequence[Attestation]) -> AnyModel:
    # check 53
    given = None if data is None else read_model(data)
    try:
        model = challenge_model(challenge, given)
    except ProofError as error:
        raise CheckFailedError(Check.PROOF_MODEL, str(error)) from None
    for a in attestations:
        age, limit = a.issued_at - a.snapshot_time, model.max_snapshot_age_seconds
        run.require(
            Check.PROOF_MODEL,
            age <= limit,
            f"the snapshot of {a.venue!r} was {age} s old at issue, {model.name} allows {limit} s",
        )
    run.passed(Check.PROOF_MODEL)
    return model


def conclude(run: Run, p: Prepared, holds: bool) -> None:
    """Checks 55 to 57."""
    run.require(Check.PROOF_HOLDS, holds, "the proof does not show the statement of these rows, columns and bound")
    run.passed(Check.PROOF_HOLDS)
    if p.document.identity_proof is not None:
        identities = [a.identity for a in p.statement.attestations]
        run.require(
            Check.PROOF_IDENTITY,
            verify_same(p.transcript, identities, p.document.identity_proof),
            "the accounts are not shown to have one holder",
        )
        run.passed(Check.PROOF_IDENTITY)
    key = PublicKey(p.statement.holder_key, "holder")
    run.require(
        Check.PROOF_CONSENT,
        key.verifies(p.document.holder_signature, consent_message(p.transcript)),
        "not signed by the key that the attestations bind",
    )
    run.passed(Check.PROOF_CONSENT)
