"""The fast verifier and the reference give the same answer on everything: valid, invalid and malformed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "proof"))

from proof_support import (
    HOLDER,
    MODEL,
    NOW,
    Account,
    StatementKind,
    Venue,
    answer,
    book,
    challenge,
    judge,
    make_market,
    worst_loss_micros,
)

from riskproof import reference
from riskproof.attest.net_risk import attested_market
from riskproof.attest.payload import Attestation
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.proof.challenge import Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.rows import compile_rows
from riskproof.risk.margining import load

BOUND = 10**13


def reference_rows(asked: Challenge, accounts: Sequence[Account]) -> tuple[reference.Rows, int]:
    """The rows as plain integers, and E."""
    ordered = sorted(accounts, key=lambda a: a.built.digest)
    attested = [attested_market(_parsed(a), a.venue.market, a.venue.array) for a in ordered]
    compiled = compile_rows(asked.statement, MODEL, attested)
    rows, n = compiled.rows(asked.bound_micros), compiled.coefficients.n
    positions = rows.positions.tolist()
    plain = reference.Rows(
        list(rows.constants),
        [positions[k * n : (k + 1) * n] for k in range(rows.columns)],
        list(rows.scales),
        rows.auxiliary.tolist(),
        list(rows.pins),
    )
    return plain, compiled.exponent


def _parsed(account: Account) -> Attestation:
    from riskproof.attest.envelope import Envelope

    return Attestation.from_bytes(Envelope.from_bytes(account.attestation).payload)


def both(proof: bytes, asked: Challenge, accounts: Sequence[Account], *, now: int = NOW) -> tuple[str, str]:
    """(outcome of the fast verifier, outcome of the reference)."""
    rows, exponent = reference_rows(asked, accounts)
    second = reference.verify(
        proof,
        asked.to_bytes(),
        [a.attestation for a in accounts],
        rows,
        exponent=exponent,
        now=now,
        clock_tolerance=10,
    )
    return judge(proof, asked, accounts, now=now).outcome.value, second.outcome


@pytest.fixture(scope="module")
def short() -> Account:
    venue = Venue("venue-a", make_market())
    return venue.attest(book(venue.market, BTC_100000_C=-50_000, BTC=1000, USD=5_000_000_000))


@pytest.fixture(scope="module")
def hedge() -> Account:
    venue = Venue("venue-b", make_market(300, quantity_exponent=4))
    return venue.attest(book(venue.market, BTC_100000_C=490_000, BTC_PERPETUAL=-70_000, BTC=20_000))


@pytest.fixture(scope="module")
def asked() -> Challenge:
    return challenge(BOUND)


@pytest.fixture(scope="module")
def proof(asked: Challenge, short: Account, hedge: Account) -> bytes:
    return answer(asked, [short, hedge])


def test_both_accept(short: Account, hedge: Account, asked: Challenge, proof: bytes) -> None:
    assert both(proof, asked, [short, hedge]) == ("valid", "valid")


def test_both_accept_one_account_to_the_micro(short: Account) -> None:
    tight = challenge(worst_loss_micros([short]))
    assert both(answer(tight, [short]), tight, [short]) == ("valid", "valid")


def test_both_accept_solvency_with_auxiliary_columns(short: Account, hedge: Account) -> None:
    asked = challenge(0, statement=StatementKind.SOLVENCY)
    assert both(answer(asked, [short, hedge]), asked, [short, hedge]) == ("valid", "valid")


def test_both_accept_an_attestation_without_a_risk_array(short: Account) -> None:
    """Under a model of version 2 an attestation has none; the challenge's own model makes the rows."""
    lots = {"BTC_100000_C": -50_000, "BTC": 1000}
    account = short.venue.attest(book(short.venue.market, **lots), model=load("derive-pm1"))
    assert _parsed(account).array_digest is None
    asked = challenge(BOUND)
    assert both(answer(asked, [account]), asked, [account]) == ("valid", "valid")


@pytest.mark.slow
def test_both_accept_other_column_sizes_and_slacks() -> None:
    for size in (512, 1024, 2048):
        venue = Venue("venue-c", make_market(column_size=size))
        account = venue.attest(book(venue.market, BTC_100000_C=-50_000, USD=10**6))
        for bits in (None, 128):
            asked = challenge(BOUND, slack_bits=bits)
            assert both(answer(asked, [account]), asked, [account]) == ("valid", "valid")


def change(file: bytes, /, **members: object) -> bytes:
    return replace(ProofDocument.from_bytes(file), **members).to_bytes()  # type: ignore[arg-type]


def core(proof: bytes, edit: Callable[[bytearray], None]) -> bytes:
    data = bytearray(ProofDocument.from_bytes(proof).proof)
    edit(data)
    return change(proof, proof=bytes(data))


def flip(place: int) -> Callable[[bytes], bytes]:
    """Change a scalar by one bit, in place."""

    def edit(data: bytearray) -> None:
        data[place] ^= 1

    return lambda proof: core(proof, edit)


def negate(place: int) -> Callable[[bytes], bytes]:
    """Negate the point at `place`: another valid point."""

    def edit(data: bytearray) -> None:
        data[place] ^= 0x20

    return lambda proof: core(proof, edit)


def put(place: int, what: bytes) -> Callable[[bytes], bytes]:
    def edit(data: bytearray) -> None:
        data[place : place + len(what)] = what

    return lambda proof: core(proof, edit)


ORDER = BLS12_381_FR.modulus
# 48 rows of 72 bits over columns of 256: 14 bit columns, then S and t, 15 scalars, W
POINTS = 16 * 48
OPENING = POINTS + 15 * 32
INVALID = {
    "first bit column": negate(0),
    "accumulator": negate(14 * 48),
    "quotient": negate(15 * 48),
    "first evaluation": flip(POINTS),
    "evaluation of the accumulator": flip(POINTS + 14 * 32),
    "opening": negate(OPENING),
    "identity proof": lambda p: change(p, identity_proof=_flipped(ProofDocument.from_bytes(p).identity_proof, 50)),
    "signature": lambda p: change(p, holder_signature=_flipped(ProofDocument.from_bytes(p).holder_signature, 3)),
    "another challenge": lambda p: change(p, challenge_digest=bytes(32)),
    "another attestation": lambda p: change(p, attestation_digests=(bytes(32), b"\xff" * 32)),
}
MALFORMED = {
    "a byte more": lambda p: change(p, proof=ProofDocument.from_bytes(p).proof + b"\0"),
    "a byte less": lambda p: change(p, proof=ProofDocument.from_bytes(p).proof[:-1]),
    "identity": put(0, b"\xc0" + bytes(47)),
    "uncompressed": put(0, bytes(48)),
    "coordinate not reduced": put(0, b"\x9f" + b"\xff" * 47),
    "scalar not reduced": put(POINTS, ORDER.to_bytes(32, "little")),
    "not in the subgroup": put(0, bytes.fromhex("80" + "00" * 46 + "04")),
    "not canonical": lambda p: p + b"\n",
    "unknown member": lambda p: p.replace(b'{"att', b'{"a":1,"att'),
    "no identity proof": lambda p: change(p, identity_proof=None),
    "empty": lambda p: b"",
}


def _flipped(data: bytes | None, place: int) -> bytes:
    assert data is not None
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("name", INVALID)
def test_both_say_invalid(name: str, short: Account, hedge: Account, asked: Challenge, proof: bytes) -> None:
    assert both(INVALID[name](proof), asked, [short, hedge]) == ("invalid", "invalid")


@pytest.mark.parametrize("name", MALFORMED)
def test_both_say_malformed(name: str, short: Account, hedge: Account, asked: Challenge, proof: bytes) -> None:
    assert both(MALFORMED[name](proof), asked, [short, hedge]) == ("malformed", "malformed")


def test_both_refuse_another_bound_audience_or_time(
    short: Account, hedge: Account, asked: Challenge, proof: bytes
) -> None:
    for other in (
        replace(asked, bound_micros=BOUND - 1),
        replace(asked, audience="bank"),
        replace(asked, nonce=bytes(32)),
        replace(asked, max_skew_seconds=61),
        replace(asked, exclusive=True),
    ):
        named = change(proof, challenge_digest=other.digest)
        assert both(named, other, [short, hedge]) == ("invalid", "invalid")
    assert both(proof, asked, [short, hedge], now=asked.expires_at + 10) == ("invalid", "invalid")


def test_both_refuse_the_signature_of_another_proof(
    short: Account, hedge: Account, asked: Challenge, proof: bytes
) -> None:
    again = ProofDocument.from_bytes(answer(asked, [short, hedge]))
    assert both(change(proof, holder_signature=again.holder_signature), asked, [short, hedge]) == ("invalid", "invalid")
    assert both(change(proof, identity_proof=again.identity_proof), asked, [short, hedge]) == ("invalid", "invalid")
    assert HOLDER.public.raw == _parsed(short).holder.key  # type: ignore[union-attr]
