"""verify_proof: does a proof answer a challenge over these attestations? The checks, in order (docs/verification.md):

    40 .. 42   the proof names this challenge, which is current, and exactly these attestations
    43         each attestation is valid by itself: checks 1 to 9, with the reason of the one that failed
    44 .. 51   they may be netted: holder, audience, accounts, key, numeraire, column size, times, exclusivity
    52 .. 54   registries, snapshots and model are the ones given; the rows are recomputed from them
    55 .. 57   the proof holds; one identity; the holder's signature

Bytes that are no proof, challenge, attestation or market at all make the outcome malformed when their turn comes.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from riskproof import units
from riskproof.attest.envelope import Envelope
from riskproof.attest.keyset import KeySet, PublicKey
from riskproof.attest.net_risk import (
    Rule,
    attested_market,
    build_statement,
    challenge_model,
    combination_violations,
    consent_message,
)
from riskproof.attest.payload import Attestation
from riskproof.encoding import Json
from riskproof.errors import InputError, ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import AnyModel, Challenge, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import verify_same
from riskproof.proof.programme import CompiledMargin, compile_statement
from riskproof.proof.rows import StatementRows, check_size
from riskproof.proof.setup import Setup, ceremony_setup
from riskproof.proof.statement import MAX_ATTESTATIONS, MAX_CELLS, Statement
from riskproof.proof.transcript import Transcript
from riskproof.proof.verifier import PairingTerms, check_pairing, check_pairings, pairing_terms
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margining import read as read_model
from riskproof.risk.model import RiskModel
from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE, check_call, check_signed
from riskproof.verify.protocol import CheckFailedError, Run, clock_text
from riskproof.verify.verdict import Check, CheckResult, Outcome, Verdict, answer_document

MAX_BATCH: Final = 1_024
_PARSED = 8  # objects in memory take several times the bytes they were read from
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
class ProofVerdict:
    """The answer of `verify_proof`. It has no truth value on purpose: compare `outcome`.

    Attributes:
        outcome: valid, invalid or malformed.
        failed_check: number of the failed check if invalid, else None. check: its name, else "".
        reason: what is wrong and where, "" if valid.
        checks: the checks that passed, in order.
        notes: what was not checked, and why.
        challenge, attestations: what was answered, and over what, if valid; None and () otherwise.
        proved, trusted, not_proved: in words, if valid.
    """

    outcome: Outcome
    failed_check: int | None = None
    check: str = ""
    reason: str = ""
    checks: tuple[CheckResult, ...] = ()
    notes: tuple[str, ...] = ()
    challenge: Challenge | None = None
    attestations: tuple[Attestation, ...] = ()
    proved: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    not_proved: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("a verdict has three outcomes: compare verdict.outcome")

    def to_document(self) -> dict[str, Json]:
        """The verdict as JSON."""
        document = answer_document(self)
        if self.challenge is not None:
            document["challenge_digest"] = self.challenge.digest.hex()
            document["challenge"] = self.challenge.to_document()
            document["attestation_digests"] = [a.digest.hex() for a in self.attestations]
            document["proved"] = list(self.proved)
            document["trusted"] = list(self.trusted)
            document["not_proved"] = list(self.not_proved)
        return document


class MarketCache:
    """Attestations and markets as read, risk arrays and compiled rows: the most recent few of all. Safe for threads.

    A verifier that checks many proofs of one snapshot keeps one of these: reading and pricing a market takes longer than a proof.
    Everything is kept under digests of the bytes it was made from, so nothing that one caller brings changes another's verdict.
    """

    def __init__(
        self, entries: int = 64, limit: int = 1 << 28, cells: int = MAX_CELLS, *, version_1_only: bool = False
    ) -> None:
        """Keep at most `entries` objects, of about `limit` bytes together; price statements of at most `cells` coefficients.

        version_1_only: refuse models of version 2, whose pricing has no bound by `cells`: for whoever prices for others.
        """
        self.cells = cells
        self._version_1_only = version_1_only
        self._entries = entries
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def _get(self, key: Hashable, make: Callable[[], Any], weigh: Callable[[Any], int]) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        made = make()
        weight = weigh(made)
        with self._lock:
            self._total += weight - self._kept.get(key, (None, 0))[1]
            self._kept[key] = made, weight
            while len(self._kept) > self._entries or (self._total > self._limit and len(self._kept) > 1):
                self._total -= self._kept.popitem(last=False)[1][1]
        return made

    def attestation(self, data: bytes, where: str) -> tuple[Envelope, Attestation]:
        """An attestation, read and not yet verified (AttestationError)."""

        def read() -> tuple[Envelope, Attestation]:
            envelope = Envelope.from_bytes(data, where)
            return envelope, Attestation.from_bytes(envelope.payload, f"{where}.payload")

        known: tuple[Envelope, Attestation] = self._get(
            ("attestation", hashlib.sha256(data).digest()), read, lambda _: _PARSED * len(data)
        )
        return known

    def market(self, data: bytes) -> Market:
        """The market of a file (MarketError, EncodingError)."""
        key = ("market", hashlib.sha256(data).digest())
        market: Market = self._get(key, lambda: Market.from_bytes(data), lambda _: _PARSED * len(data))
        return market

    def array(self, market: Market, model: AnyModel) -> RiskArray | None:
        """The risk array of a market under a model (as `compute_array`; ProofError if it is larger than any statement).

        None under a model of version 2, whose rows are not made of a risk array.
        """
        check_size(len(model.scenarios), market.registry.columns, market.registry.column_size, self.cells)
        if not isinstance(model, RiskModel):
            if self._version_1_only:
                raise ProofError(
                    f"{model.name} is a model of version 2",
                    where="challenge.model",
                    expected="a model of version 1; statements of others are proved and verified on one's own machine",
                )
            return None
        key = ("array", market.registry.digest, market.snapshot.digest, model.digest)
        array: RiskArray = self._get(key, lambda: compute_array(market, model), lambda made: int(made.rows.nbytes))
        return array

    def compiled(
        self, challenge: Challenge, model: AnyModel, attestations: Sequence[Attestation], markets: Sequence[Market]
    ) -> StatementRows:
        """The rows of a challenge's statement (as `compile_statement`)."""
        columns = tuple((a.registry_digest, a.snapshot_digest, a.columns.live) for a in attestations)

        def make() -> StatementRows:
            pairs = zip(attestations, markets, strict=True)
            return compile_statement(challenge, model, [attested_market(a, m, self.array(m, model)) for a, m in pairs])

        compiled: StatementRows = self._get(
            ("rows", challenge.statement, challenge.margin, model.digest, columns),
            make,
            lambda made: int(made.coefficients.positions.nbytes + made.coefficients.auxiliary.nbytes),
        )
        return compiled


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
class _Prepared:
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


class _Session:
    """What the proofs of one call share: the time, the caller's limits, key sets read and attestations verified."""

    def __init__(self, cache: MarketCache, now: int, clock_tolerance: int, max_snapshot_age: int | None) -> None:
        self.cache = cache
        self.now = now
        self.clock_tolerance = clock_tolerance
        self._max_snapshot_age = max_snapshot_age
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

            def checks(run: Run) -> None:
                check_signed(
                    run,
                    envelope,
                    attestation,
                    keys,
                    now=self.now,
                    audience=attestation.audience,  # check 45 compares it with the challenge's
                    nonce=attestation.nonce,
                    venue=None,
                    clock_tolerance=self.clock_tolerance,
                    max_snapshot_age=self._max_snapshot_age,
                    required_signatures=1,
                )

            known = self._verdicts[signed, id(keys)] = Run().verdict(checks)
        return known


def verify_proof(
    proof: bytes,
    challenge: bytes,
    attestations: Sequence[bytes],
    keys: Sequence[bytes | KeySet],
    markets: Sequence[bytes],
    *,
    now: int,
    model: bytes | None = None,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    max_snapshot_age: int | None = None,
    cache: MarketCache | None = None,
) -> ProofVerdict:
    """Verify a proof. Everything but the challenge, the keys and the numbers may be hostile.

    Args:
        proof: the prover's file.
        challenge: the verifier's own challenge, byte for byte.
        attestations: envelopes, in any order.
        keys, markets: for each of them, the verifier's keys for the venue, and the market file.
        now: seconds since the epoch.
        model: the challenge's model, if the challenge does not carry it and it does not ship.
        clock_tolerance: seconds by which clocks may differ.
        max_snapshot_age: largest age of a snapshot when its attestation was issued, seconds; None: the attestation's own limit.
        cache: to keep markets and rows between calls.

    Raises:
        KeySetError: the verifier's keys are wrong.
        InputError: not one key set and one market for each attestation, or a number out of range.
    """
    case = ProofCase(proof, challenge, attestations, keys, markets, model)
    return verify_proofs(
        [case], now=now, clock_tolerance=clock_tolerance, max_snapshot_age=max_snapshot_age, cache=cache
    )[0]


def verify_proofs(
    cases: Sequence[ProofCase],
    *,
    now: int,
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE,
    max_snapshot_age: int | None = None,
    cache: MarketCache | None = None,
) -> list[ProofVerdict]:
    """Verify many proofs with one pairing check for all of one column size; if it fails, one by one, which names the bad ones.

    The verdicts are those of `verify_proof`, in the order of the cases; it raises as that does.
    """
    check_call(now, clock_tolerance, max_snapshot_age, 1)
    if len(cases) > MAX_BATCH:
        raise InputError(f"{len(cases)} proofs", where="cases", expected=f"at most {MAX_BATCH} at once")
    session = _Session(cache or MarketCache(), now, clock_tolerance, max_snapshot_age)
    parsed_keys = [session.keys(case) for case in cases]
    runs = [Run() for _ in cases]
    prepared: list[_Prepared | None] = [None] * len(cases)
    verdicts: list[ProofVerdict] = []
    for i, (case, keys, run) in enumerate(zip(cases, parsed_keys, runs, strict=True)):

        def prepare(run: Run, i: int = i, case: ProofCase = case, keys: list[KeySet] = keys) -> None:
            prepared[i] = _prepare(run, case, keys, session)

        verdicts.append(_verdict(run, prepare))
    waiting = [(i, p) for i, p in enumerate(prepared) if p is not None]
    for (i, p), holds in zip(waiting, _pair([p for _, p in waiting]), strict=True):

        def conclude(run: Run, p: _Prepared = p, holds: bool = holds) -> None:
            _conclude(run, p, holds)

        verdicts[i] = _verdict(runs[i], conclude, p)
    return verdicts


def _pair(prepared: Sequence[_Prepared]) -> list[bool]:
    """Whether each pairing product is one, in order."""
    groups: dict[int, list[_Prepared]] = {}
    for p in prepared:
        groups.setdefault(p.setup.n, []).append(p)
    together = {
        n: len(group) > 1 and check_pairings(group[0].setup, [p.terms for p in group]) for n, group in groups.items()
    }
    return [together[p.setup.n] or check_pairing(p.setup, p.terms.inputs()) for p in prepared]


def _verdict(run: Run, checks: Callable[[Run], None], prepared: _Prepared | None = None) -> ProofVerdict:
    plain = run.verdict(checks)
    valid = plain.outcome is Outcome.VALID and prepared is not None
    words = _words(prepared) if prepared is not None and valid else ((), (), ())
    return ProofVerdict(
        plain.outcome,
        plain.failed_check,
        plain.check,
        plain.reason,
        plain.checks,
        plain.notes,
        prepared.challenge if prepared is not None and valid else None,
        prepared.attestations if prepared is not None and valid else (),
        *words,
    )


def _prepare(run: Run, case: ProofCase, keys: list[KeySet], session: _Session) -> _Prepared:
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
        challenge.issued_at - session.clock_tolerance <= session.now < challenge.expires_at,
        f"the challenge lives from {units.format_time(challenge.issued_at)} until {units.format_time(challenge.expires_at)}, "
        f"it is {clock_text(session.now)}",
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
    terms, transcript = pairing_terms(setup, statement, document.proof)
    return _Prepared(document, challenge, attestations, model, statement, compiled, setup, terms, transcript)


def _check_attestations(
    run: Run, case: ProofCase, keys: list[KeySet], document: ProofDocument, session: _Session
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
        age, limit = a.issued_at - a.snapshot_time, _snapshot_age(model)
        run.require(
            Check.PROOF_MODEL,
            age <= limit,
            f"the snapshot of {a.venue!r} was {age} s old at issue, {model.name} allows {limit} s",
        )
    run.passed(Check.PROOF_MODEL)
    return model


def _snapshot_age(model: AnyModel) -> int:
    return model.max_snapshot_age_seconds if isinstance(model, RiskModel) else model.limits.snapshot_age_seconds


def _conclude(run: Run, p: _Prepared, holds: bool) -> None:
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


def _margin_claim(c: Challenge, accounts: str, bound: str) -> str:
    requirement = f"the {c.margin} margin of {accounts}, positions taken together,"
    if c.statement is StatementKind.MARGIN:
        return f"{requirement} is at most {bound}"
    return f"equity less {requirement} is " + (f"at least -{bound}" if c.bound_micros else "not negative")


def _words(p: _Prepared) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What was proved, whom one trusts, what was not proved."""
    c, model, attestations = p.challenge, p.model, p.attestations
    numeraire = attestations[0].numeraire
    bound = f"{units.format_decimal(c.bound_micros, units.MICROS_EXPONENT)} {numeraire}"
    venues = ", ".join(sorted({a.venue for a in attestations}))
    count = "1 account" if len(attestations) == 1 else f"{len(attestations)} accounts"
    times = sorted({units.format_time(a.snapshot_time) for a in attestations})
    margin = c.margin is not None
    claim = (
        _margin_claim(c, f"{count} at {venues}", bound)
        if margin
        else f"the net loss of {count} at {venues} is at most {bound}"
        if c.statement is StatementKind.LOSS
        else f"the equity of {count} at {venues}, after haircuts and net loss, is at least -{bound}"
        if c.bound_micros
        else f"the equity of {count} at {venues}, after haircuts and net loss, is not negative"
    )
    where = (
        f"Under model {model.name}"
        if margin
        else f"In each of the {len(model.scenarios)} scenarios of model {model.name}"
    )
    compiled = p.compiled
    proved = (
        f"{where} ({model.digest.hex()}), {claim}.",
        *(f"{x[0].upper()}{x[1:]}." for x in (compiled.proved if isinstance(compiled, CompiledMargin) else ())),
        f"Prices are those of the attested snapshots, taken at {' and '.join(times)}; the rows were recomputed from them.",
        "The attested accounts are different ones and have one holder, whose key signed this proof for this challenge."
        if len(attestations) > 1
        else "The account's holder signed this proof for this challenge.",
    )
    trusted = (
        f"{venues}: that the committed positions, the marks and the verified identity are real.",
        "One honest participant of the Ethereum KZG ceremony, and the discrete-logarithm and hash assumptions of the protocol.",
    )
    pledge = (
        "Each venue promises not to attest the account exclusively to anyone else for the challenge's life; the holder may still "
        "have shown it to others without exclusivity."
        if c.exclusive
        else "That the holder has not shown the same accounts to others as well: the challenge did not ask for exclusivity."
    )
    unsettled = (
        (
            "Profit and loss of futures and perpetuals since their last settlement: by themselves they count as worth nothing.",
        )
        if c.statement is StatementKind.SOLVENCY
        else ()
    )
    bounded = compiled.bounds if isinstance(compiled, CompiledMargin) else ()
    not_proved = (
        pledge,
        *unsettled,
        *(f"The requirement as the model has it, which may be lower: {x}." for x in bounded),
        "Anything about accounts and debts that are not attested here.",
        "Losses in states of the world that are not among the scenarios, or after the attestations were issued.",
        "What a snapshot does not price, expired instruments too, counts as zero; the venue attests that the account holds none.",
    )
    return proved, trusted, not_proved
