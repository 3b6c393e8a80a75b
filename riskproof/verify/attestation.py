"""verify_attestation: the numbered checks, in order.

    always
     1  every signature is by a key that the payload names, and those by known keys are right
     2  enough of these keys were valid at the time of issue, and are not compromised
     3  enough of them belong to the venue that speaks (and it is the venue that the caller expects)
     4  issued, allowing for the clock tolerance
     5  not expired, allowing for the clock tolerance
     6  audience: equal to the caller's; named by both or by neither
     7  nonce: likewise
     8  snapshot not older at issue than the attestation's tolerance and the caller's, and not from the future
     9  disclosed figures lie on their grid, are not negative and are ordered
    with a market (riskproof.verify.market)
    10 .. 15
    with an opening (riskproof.verify.opening)
    20 .. 26

Bytes that are not an attestation, a market, a model or an opening at all make the outcome malformed when their turn comes: the
attestation first, the others only after the checks before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from riskproof.attest.envelope import Envelope, pre_authentication_encoding
from riskproof.attest.keyset import KeySet, PublicKey
from riskproof.attest.payload import Attestation, Disclosed, Policy
from riskproof.errors import InputError
from riskproof.units import format_time
from riskproof.verify.protocol import Run, clock_text
from riskproof.verify.verdict import Check, Verdict

if TYPE_CHECKING:
    from riskproof.risk.tail.history import History

DEFAULT_CLOCK_TOLERANCE: Final = 10  # seconds by which the clocks of venue and verifier may differ


@dataclass(frozen=True)
class Expectations:
    """What a verifier holds an attestation to in checks 1 to 9; the members as in `verify_attestation`.

    Raises:
        InputError: a number is out of range.
    """

    now: int
    audience: str | None = None
    nonce: str | None = None
    venue: str | None = None
    clock_tolerance: int = DEFAULT_CLOCK_TOLERANCE
    max_snapshot_age: int | None = None
    required_signatures: int = 1

    def __post_init__(self) -> None:
        if self.clock_tolerance < 0:
            raise InputError("negative", where="clock_tolerance", expected="seconds, 0 or more")
        if self.max_snapshot_age is not None and self.max_snapshot_age < 0:
            raise InputError("negative", where="max_snapshot_age", expected="seconds, 0 or more")
        if self.required_signatures < 1:
            raise InputError("no signature required", where="required_signatures", expected="1 or more")
        if self.now < 0:
            raise InputError("negative", where="now", expected="seconds since the epoch")


def verify_attestation(
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
    model: bytes | None = None,
    histories: Sequence[bytes | History] = (),
    opening: bytes | None = None,
) -> Verdict:
    """Verify an attestation. Everything but the keyword numbers and the keys may be hostile.

    Args:
        attestation: the envelope.
        keys: the verifier's own key set, parsed or as JWK set.
        now: seconds since the epoch.
        audience, nonce: who the verifier is and what it asked for; None: an attestation for nobody in particular.
        venue: the venue that is expected; None: whichever the keys belong to.
        clock_tolerance: seconds.
        max_snapshot_age: largest issued_at - snapshot_time, seconds; None: only the attestation's own tolerance counts.
        required_signatures: how many different keys of the venue must have signed.
        market: market file; registry, snapshot and risk array are checked against it.
        model: model file of either version, if the model is not one that ships; only with `market`.
        histories: history files that the model's tail block names, or histories as read; only with `market`.
        opening: the opening; roots and columns are recomputed, and with `market` P&L and margin.

    Raises:
        KeySetError: the verifier's keys are wrong.
        InputError: a keyword number is out of range, or a model or a history without a market.
    """
    trusted = keys if isinstance(keys, KeySet) else KeySet.from_bytes(keys)
    expected = Expectations(now, audience, nonce, venue, clock_tolerance, max_snapshot_age, required_signatures)
    if model is not None and market is None:
        raise InputError("a model is of no use without a market", where="model", expected="market")
    if histories and market is None:
        raise InputError("a history is of no use without a market", where="histories", expected="market")

    def checks(run: Run) -> None:
        parsed = check_statement(run, attestation, trusted, expected)
        basis = None
        if market is None:
            run.notes.append("no market given: registry, snapshot and risk array not recomputed")
            _note_retired(run, parsed)
        else:
            from riskproof.verify.market import check_market

            basis = check_market(run, parsed, market, model, histories)
        if opening is None:
            run.notes.append("no opening given: positions, P&L and margin are the venue's word")
        else:
            from riskproof.verify.opening import check_opening

            check_opening(run, parsed, opening, basis)

    return Run().verdict(checks)


def check_statement(run: Run, data: bytes, keys: KeySet, expected: Expectations) -> Attestation:
    """Checks 1 to 9: what the venue said, and that it said it (CheckFailedError, AttestationError)."""
    envelope = Envelope.from_bytes(data)
    statement = Attestation.from_bytes(envelope.payload, "attestation.payload")
    check_signed(run, envelope, statement, keys, expected)
    return statement


def check_signed(run: Run, envelope: Envelope, statement: Attestation, keys: KeySet, expected: Expectations) -> None:
    """Checks 1 to 9 of an envelope whose payload is read (CheckFailedError)."""
    now, clock_tolerance = expected.now, expected.clock_tolerance
    run.attestation = statement
    known = _check_signatures(run, envelope, statement, keys, expected.required_signatures)
    usable = _check_keys(run, statement, known, expected.required_signatures)
    _check_venue(run, statement, usable, expected.venue, expected.required_signatures)
    # check 4
    run.require(
        Check.NOT_YET_VALID,
        statement.issued_at <= now + clock_tolerance,
        f"issued at {format_time(statement.issued_at)}, which is after {clock_text(now)}",
    )
    run.passed(Check.NOT_YET_VALID)
    # check 5
    run.require(
        Check.EXPIRED,
        now < statement.expires_at + clock_tolerance,
        f"expired at {format_time(statement.expires_at)}, it is {clock_text(now)}",
    )
    run.passed(Check.EXPIRED)
    # check 6
    run.require(
        Check.AUDIENCE,
        statement.audience == expected.audience,
        _mismatch("audience", statement.audience, expected.audience),
    )
    run.passed(Check.AUDIENCE)
    # check 7
    run.require(Check.NONCE, statement.nonce == expected.nonce, _mismatch("nonce", statement.nonce, expected.nonce))
    run.passed(Check.NONCE)
    _check_snapshot_age(run, statement, clock_tolerance, expected.max_snapshot_age)
    _check_figures(run, statement.disclosed)


def _note_retired(run: Run, statement: Attestation) -> None:
    """Say what is not known of retired columns without a market, if there are any."""
    if statement.columns.retired:
        left_out = ", ".join(map(str, statement.columns.retired))
        run.notes.append(f"no market given: that the retired columns ({left_out}) have expired is the venue's word")


def _mismatch(member: str, stated: str | None, expected: str | None) -> str:
    if stated is None:
        return f"the attestation names no {member}, the verifier expects {expected!r}"
    if expected is None:
        return f"the attestation has the {member} {stated!r}, and the verifier gave none"
    return f"the attestation has the {member} {stated!r}, the verifier expects {expected!r}"


def _check_signatures(
    run: Run, envelope: Envelope, statement: Attestation, keys: KeySet, required: int
) -> list[PublicKey]:
    # check 1
    run.require(
        Check.SIGNATURE,
        tuple(key_id for key_id, _ in envelope.signatures) == statement.signers,
        "the signatures are not by the keys that the payload names",
    )
    message = pre_authentication_encoding(envelope.payload)
    known: list[PublicKey] = []
    for key_id, signature in envelope.signatures:
        key = keys.get(key_id)
        if key is None:
            run.notes.append(f"signature by unknown key {key_id} not checked")
            continue
        run.require(Check.SIGNATURE, key.verifies(signature, message), f"wrong signature by key {key_id}")
        known.append(key)
    run.require(
        Check.SIGNATURE,
        len(known) >= required,
        f"{len(known)} signatures by known keys, {required} required" if known else "no signature by a known key",
    )
    run.passed(Check.SIGNATURE)
    return known


def _check_keys(run: Run, statement: Attestation, known: list[PublicKey], required: int) -> list[PublicKey]:
    # check 2
    refusals = [refusal for key in known if (refusal := key.refusal(statement.issued_at))]
    usable = [key for key in known if not key.refusal(statement.issued_at)]
    run.require(Check.KEY, len(usable) >= required, "; ".join(refusals))
    run.notes += refusals
    run.passed(Check.KEY)
    return usable


def _check_venue(run: Run, statement: Attestation, usable: list[PublicKey], venue: str | None, required: int) -> None:
    # check 3
    own = [key for key in usable if key.venue == statement.venue]
    run.require(
        Check.VENUE,
        len(own) >= required,
        f"the attestation speaks for {statement.venue!r}, its keys belong to "
        + ", ".join(sorted({repr(key.venue) for key in usable})),
    )
    run.require(
        Check.VENUE,
        venue is None or venue == statement.venue,
        f"the attestation speaks for {statement.venue!r}, the verifier expects {venue!r}",
    )
    run.passed(Check.VENUE)


def _check_snapshot_age(run: Run, statement: Attestation, clock_tolerance: int, limit: int | None) -> None:
    # check 8
    age, stated = statement.issued_at - statement.snapshot_time, statement.max_snapshot_age_seconds
    run.require(
        Check.SNAPSHOT_AGE, age >= -clock_tolerance, f"the snapshot was taken {-age} s after the attestation was issued"
    )
    for bound, whose in ((stated, "the attestation"), (limit, "the verifier")):
        run.require(
            Check.SNAPSHOT_AGE,
            bound is None or age <= bound,
            f"the snapshot was {age} s old at issue, {whose} tolerates {bound} s",
        )
    if stated is None and limit is None:
        run.notes.append(f"nobody set a limit on the snapshot's age: it was {age} s at issue")
    run.passed(Check.SNAPSHOT_AGE)


def _check_figures(run: Run, disclosed: Disclosed) -> None:
    # check 9
    if disclosed.policy is not Policy.NONE:
        grid, initial, maintenance = disclosed.margin
        run.require(Check.DISCLOSED_FIGURES, maintenance >= 0, "a margin is negative")
        run.require(Check.DISCLOSED_FIGURES, initial >= maintenance, "initial margin is below maintenance margin")
        figures = (initial, maintenance, *(disclosed.pnl_micros or ()))
        run.require(
            Check.DISCLOSED_FIGURES, all(grid.contains(x) for x in figures), "a disclosed figure is not on the grid"
        )
    run.passed(Check.DISCLOSED_FIGURES)
