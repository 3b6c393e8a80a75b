"""Attacks on the proof itself: witnesses, rows, columns, points, scalars; each made as well as it can be, and refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from dishonest import (
    NOT_SHOWN,
    SMALL,
    Forger,
    R,
    asked_of,
    blindings_of,
    commit,
    compiled_rows,
    document,
    forge,
    forger,
    general_statement,
    interpolate,
    lots_of,
    malformed,
    near,
    payload,
    refused,
    signed,
    statement_of,
)
from proof_support import MODEL, Account, Venue, answer, book, judge, make_market

from riskproof.commit.columns import Blinding
from riskproof.commit.points import BASE_FIELD, G1Point, point_bytes
from riskproof.errors import FalseStatementError, ProofError
from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.proof.prover import Witness, prove
from riskproof.proof.rows import Compiled
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import Rows, Statement
from riskproof.proof.verifier import verify
from riskproof.verify import Outcome


def holds(statement: Statement, proof: bytes) -> bool:
    return verify(ceremony_setup(statement.n), statement, proof)[0]


def honestly(statement: Statement, lots: list[int], blindings: list[int]) -> bytes:
    witness = Witness(np.array(lots, dtype=np.int64), tuple(Blinding(b) for b in blindings))
    return prove(ceremony_setup(statement.n), statement, witness)[0]


@pytest.fixture(scope="module")
def asked(short: Account) -> Challenge:
    return asked_of([short])


@pytest.fixture(scope="module")
def proof(short: Account, asked: Challenge) -> bytes:
    return answer(asked, [short])


@pytest.fixture(scope="module")
def two_columns(venue_b: Venue) -> Account:
    """An account whose first column could be retired and is not."""
    return venue_b.attest(book(venue_b.market, BTC_100000_C=490_000, BTC_PERPETUAL=-70_000), retired=())


# ---- slacks ------------------------------------------------------------------------------------------------------------


def test_one_micro_below_the_loss(short: Account, hedge: Account) -> None:
    for accounts in ([short], [short, hedge]):
        asked = asked_of(accounts, short_by=1)
        with pytest.raises(FalseStatementError, match=r"the statement is false: short by 0\.00000"):
            answer(asked, accounts)
        refused(judge(forge(asked, accounts), asked, accounts), 55, NOT_SHOWN)


class ValueTwo(Forger):
    """Writes a slack with the digit 2: ..10.. becomes ..02.., worth the same."""

    def bits(self) -> list[int]:
        bits = super().bits()
        place = next(i for i in range(self.b - 1) if (bits[i], bits[i + 1]) == (0, 1))
        bits[place], bits[place + 1] = 2, 0
        return bits


def test_a_bit_column_with_a_value_2(short: Account, asked: Challenge) -> None:
    """Every row is true and its digits sum to it; only that each digit is 0 or 1 is not."""
    refused(judge(forge(asked, [short], ValueTwo), asked, [short]), 55, NOT_SHOWN)


class Digits(Forger):
    """One row with the digits that a test chooses."""

    digits: tuple[int, ...]

    def bits(self) -> list[int]:
        return [*self.digits, *[0] * (self.b - len(self.digits))]


def with_digits(*digits: int) -> type[Forger]:
    return type("Chosen", (Digits,), {"digits": digits})


def test_the_greatest_slack() -> None:
    statement, lots, blindings = general_statement([[0]], [(1 << 64) - 1], [])
    assert holds(statement, honestly(statement, lots, blindings))


@pytest.mark.parametrize("digits", [(), (0,) * 63 + (2,), (1 << 64,)])
def test_a_slack_of_exactly_2_to_the_b(digits: tuple[int, ...]) -> None:
    statement, lots, blindings = general_statement([[0]], [1 << 64], [])
    with pytest.raises(
        ProofError, match=r"^row 0: the gain does not fit slacks of 64 bits \(expected a challenge with more"
    ):
        honestly(statement, lots, blindings)
    assert not holds(statement, with_digits(*digits)(statement, lots, blindings).prove()[0])


@pytest.mark.parametrize("digits", [(-1,), (1,) * 64, tuple((R - 1) >> i & 1 for i in range(64)), (1, -1)])
def test_a_slack_of_minus_1(digits: tuple[int, ...]) -> None:
    statement, lots, blindings = general_statement([[0]], [-1], [])
    with pytest.raises(FalseStatementError, match=r"^row 0: the statement is false: short by 0\.000001$"):
        honestly(statement, lots, blindings)
    assert not holds(statement, with_digits(*digits)(statement, lots, blindings).prove()[0])


def test_the_least_slack() -> None:
    statement, lots, blindings = general_statement([[0]], [0], [])
    assert holds(statement, honestly(statement, lots, blindings))


# ---- what rows mean over the integers ------------------------------------------------------------------------------------


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """unchecked(): from now on nobody checks that rows do not wrap around."""
    return lambda: monkeypatch.setattr(Rows, "check", lambda self, bits: None)


def test_wrap_around_of_a_loss_modulo_the_group_order(unchecked: Callable[[], None]) -> None:
    """One lot loses the group order less 5: modulo the order, a gain of 5."""
    case = ([[-1]], [0], [1])
    with pytest.raises(ProofError, match=r"^row 0: a row could wrap around the group order"):
        general_statement(*case, scales=(R - 5,))
    unchecked()
    statement, lots, blindings = general_statement(*case, scales=(R - 5,))
    assert holds(statement, with_digits(1, 0, 1)(statement, lots, blindings).prove()[0])


def test_b_of_256_holds_every_number(unchecked: Callable[[], None], asked: Challenge) -> None:
    with pytest.raises(ProofError, match=r"^slack_bits: slacks of 256 bits \(expected a multiple of 8, 8 to 128\)$"):
        replace(asked, slack_bits=256)
    with pytest.raises(ProofError, match=r"^bits: slacks of 256 bits \(expected 8 to 128\)$"):
        general_statement([[0]], [-1], [], bits=256)
    unchecked()
    statement, lots, blindings = general_statement([[0]], [-1], [], bits=256)
    minus_one = with_digits(*((R - 1) >> i & 1 for i in range(256)))
    assert holds(statement, minus_one(statement, lots, blindings).prove()[0])


PRIMES = (
    1_000_000_000_039,
    1_000_000_000_061,
    1_000_000_000_063,
    1_000_000_000_091,
    1_000_000_000_121,
    1_000_000_000_163,
)


def test_an_auxiliary_value_pinned_by_a_non_unit_coefficient(unchecked: Callable[[], None]) -> None:
    """Six values of at least 10^12 each, pinned as p x >= 10^12 p, whose sum is at most 1000: quotients modulo r are any number."""
    k = len(PRIMES)
    auxiliary = [[p if r == i else -1 if r == k else 0 for r in range(k + 1)] for i, p in enumerate(PRIMES)]
    constants = [-(10**12) * p for p in PRIMES] + [1000]
    rows = {"positions": [[0] * (k + 1)], "constants": constants, "lots": [], "auxiliary": auxiliary}
    with pytest.raises(
        ProofError, match=r"^row 0: auxiliary value 0 is not pinned \(expected coefficient 1 or -1 on it"
    ):
        general_statement(**rows, pins=tuple(range(k)))
    unchecked()
    statement, lots, blindings = general_statement(**rows, pins=tuple(range(k)))
    inverses = [pow(p, -1, R) for p in PRIMES]
    total = sum(10**12 * p * i for p, i in zip(PRIMES, inverses, strict=True))
    slacks = near([*inverses, 1], 1000 - total, [1 << 62] * (k + 1))  # sum x_i + last slack = 1000
    assert all(0 <= s < 1 << 64 for s in slacks)
    values = [(10**12 * p + s) * i % R for p, s, i in zip(PRIMES, slacks[:k], inverses, strict=True)]
    bits = with_digits(*(s >> i & 1 for s in slacks for i in range(64)))
    assert holds(statement, bits(statement, lots, blindings, values).prove()[0])


def test_a_proof_for_64_bits_presented_as_one_for_56(short: Account, asked: Challenge) -> None:
    """Three rows take one bit column either way, so the lengths agree."""
    wide, narrow = replace(asked, slack_bits=64), replace(asked, slack_bits=56)
    core, transcript = forger(wide, [short]).prove()
    assert judge(document(wide, [short], core, transcript), wide, [short]).outcome is Outcome.VALID
    refused(judge(document(narrow, [short], core, transcript), narrow, [short]), 55, NOT_SHOWN)


# ---- the rows are the verifier's -----------------------------------------------------------------------------------------


def forge_rows(asked: Challenge, account: Account, compiled: Compiled) -> bytes:
    """Prove other rows under the same challenge."""
    return forge(asked, [account], statement=statement_of(asked, [account], compiled))


def test_an_offset_smuggled_into_every_row(short: Account) -> None:
    asked = asked_of([short], short_by=1_000_000)

    class Offset(Forger):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            self.constants = [c + 1_000_000_000 for c in self.constants]

    refused(judge(forge(asked, [short], Offset), asked, [short]), 55, NOT_SHOWN)


def test_an_offset_smuggled_into_a_place_beyond_the_registry(short: Account) -> None:
    """A lot of cash where no instrument is: no row has a coefficient there."""
    asked = asked_of([short], short_by=1_000_000)

    class Beyond(Forger):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            self.lots[200] = 1_000_000_000

        def slacks(self) -> list[int]:
            return [s + 1_000_000_000 for s in super().slacks()]

    refused(judge(forge(asked, [short], Beyond), asked, [short]), 55, NOT_SHOWN)


@pytest.mark.parametrize(
    ("what", "scenarios"),
    [
        ("omitted", SMALL.scenarios[:2]),
        ("reordered", SMALL.scenarios[::-1]),
        ("duplicated", (*SMALL.scenarios[:2], replace(SMALL.scenarios[1], id="again"))),
        ("added", (*SMALL.scenarios, replace(SMALL.scenarios[1], id="again"))),
    ],
)
def test_a_scenario_omitted_reordered_or_duplicated(
    short: Account, asked: Challenge, what: str, scenarios: tuple
) -> None:
    rows = compiled_rows(asked, [short], model=replace(SMALL, scenarios=scenarios))
    refused(judge(forge_rows(asked, short, rows), asked, [short]), 55, NOT_SHOWN)


def test_rows_of_another_snapshot(short: Account, asked: Challenge) -> None:
    """The prover prices at a spot of 94,000 and the verifier at the attested 95,000."""
    other = make_market(spot=94_000)
    generous = replace(asked, bound_micros=asked.bound_micros * 2)
    assert judge(forge(generous, [short]), generous, [short]).outcome is Outcome.VALID
    rows = compiled_rows(generous, [short], market=other)
    refused(judge(forge_rows(generous, short, rows), generous, [short]), 55, NOT_SHOWN)
    given = replace(short, venue=Venue("venue-a", other))
    reason = "^snapshot digest of the attestation of 'venue-a': attested [0-9a-f]{64}, given [0-9a-f]{64}$"
    refused(judge(forge_rows(generous, short, rows), generous, [given]), 52, reason)


# ---- the columns are the venues' -----------------------------------------------------------------------------------------


def test_lots_that_are_not_the_committed_ones(short: Account) -> None:
    asked = asked_of([short], short_by=1_000_000)

    class OtherLots(Forger):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            self.lots = [0] * len(self.lots)

    refused(judge(forge(asked, [short], OtherLots), asked, [short]), 55, NOT_SHOWN)


def test_the_commitment_of_another_account(short: Account, venue_a: Venue) -> None:
    """Bob's flat book in the place of Alice's."""
    asked = asked_of([short], short_by=1_000_000)
    flat = venue_a.attest(book(venue_a.market), account="bob")
    own = statement_of(asked, [short])
    taken = replace(own.attestations[0], columns=statement_of(asked, [flat]).attestations[0].columns)
    f = Forger(replace(own, attestations=(taken,)), lots_of([flat]), blindings_of([flat]))
    core, transcript = f.prove()
    assert holds(f.statement, core)
    refused(judge(document(asked, [short], core, transcript), asked, [short]), 55, NOT_SHOWN)
    refused(
        judge(document(asked, [short], core, transcript), asked, [flat]),
        42,
        "^the proof is over attestations .*; given are",
    )


@pytest.mark.parametrize("left", [0, 1])
def test_a_column_left_out_by_the_prover(two_columns: Account, left: int) -> None:
    asked = asked_of([two_columns], short_by=left)  # without its book, the bound is easy
    full = statement_of(asked, [two_columns])
    assert full.rows.columns == 2
    attested = full.attestations[0]
    kept = replace(attested, columns=(attested.columns[1 - left],))
    coefficients = full.rows.coefficients
    part = np.ascontiguousarray(coefficients.positions[256 * (1 - left) :][:256])
    rows = replace(full.rows, coefficients=replace(coefficients, positions=part, scales=coefficients.scales[:1]))
    lots, blinding = lots_of([two_columns])[256 * (1 - left) :][:256], blindings_of([two_columns])[1 - left]
    f = Forger(replace(full, attestations=(kept,), rows=rows), lots, [blinding])
    core, transcript = f.prove()
    assert holds(f.statement, core)
    refused(judge(document(asked, [two_columns], core, transcript), asked, [two_columns]), 55, NOT_SHOWN)


def test_a_column_retired_by_the_prover(two_columns: Account) -> None:
    """The attestation is changed to say that the column with the book is retired."""
    asked = asked_of([two_columns])
    columns = payload(two_columns).columns
    said = replace(payload(two_columns), columns=replace(columns, retired=(1,), commitments=columns.commitments[:1]))
    by_venue = signed(two_columns, said)
    empty = replace(by_venue, portfolio=book(by_venue.venue.market))
    signature = two_columns.attestation.split(b'"sig":"')[1]
    by_prover = replace(
        by_venue,
        built=by_venue.built._replace(attestation=by_venue.attestation.split(b'"sig":"')[0] + b'"sig":"' + signature),
    )
    f = Forger(statement_of(asked, [by_venue]), lots_of([empty]), blindings_of([by_venue])[:1])
    core, transcript = f.prove()
    assert holds(f.statement, core)
    answer_of = document(asked, [by_venue], core, transcript)
    refused(
        judge(answer_of, asked, [by_prover]),
        43,
        "the attestation of 'venue-b': check 1, signed by a known key: wrong signature",
    )
    refused(judge(answer_of, asked, [by_venue]), 52, "^column 1 of 'venue-b' is retired, and BTC has not expired$")


def test_columns_in_another_order(two_columns: Account) -> None:
    asked = asked_of([two_columns])
    full = statement_of(asked, [two_columns])
    attested = full.attestations[0]
    turned = replace(full, attestations=(replace(attested, columns=attested.columns[::-1]),))
    lots, blindings = lots_of([two_columns]), blindings_of([two_columns])
    for f in (Forger(turned, lots, blindings), Forger(turned, lots[256:] + lots[:256], blindings[::-1])):
        core, transcript = f.prove()
        refused(judge(document(asked, [two_columns], core, transcript), asked, [two_columns]), 55, NOT_SHOWN)


def test_attestations_in_another_order(short: Account, hedge: Account) -> None:
    statement = statement_of(asked_of([short, hedge]), [short, hedge])
    with pytest.raises(ProofError, match=r"^attestations: attestations not in order, or one twice"):
        replace(statement, attestations=statement.attestations[::-1])


def test_a_column_of_256_read_at_512() -> None:
    """The same polynomial means other lots on a larger domain; there is no proof of what it meant on the smaller one."""
    small, lots, blindings = general_statement([[-1]], [10], [7])
    assert holds(small, honestly(small, lots, blindings))
    large, _, _ = general_statement([[-1]], [10], [7], n=512)
    moved = replace(large.attestations[0], columns=small.attestations[0].columns)
    f = Forger(replace(large, attestations=(moved,)), [7] + [0] * 511, blindings)
    f.setup = ceremony_setup(512)
    assert not holds(f.statement, f.prove()[0])
    own = interpolate(lots, blindings)
    assert point_bytes(commit(own)) == small.attestations[0].columns[0].commitment


def test_a_venue_that_states_another_column_size_than_its_registry(
    short: Account, asked: Challenge, proof: bytes
) -> None:
    said = replace(payload(short), columns=replace(payload(short).columns, size=512))
    stated = signed(short, said)
    document_of = replace(ProofDocument.from_bytes(proof), attestation_digests=(stated.built.digest,)).to_bytes()
    refused(
        judge(document_of, asked, [stated]),
        52,
        "^column size of the attestation of 'venue-a': attested 512, given 256$",
    )


# ---- bytes ---------------------------------------------------------------------------------------------------------------


def recompressed(x: int, larger: bool = False) -> bytes:
    return (x | 1 << 383 | larger << 381).to_bytes(48, "big")


@cache
def bad_points() -> dict[str, tuple[bytes, str]]:
    """By name: 48 bytes, and what is said of them."""
    on_curve = [x for x in range(1, 60) if pow(x**3 + 4, (BASE_FIELD - 1) // 2, BASE_FIELD) == 1]
    off_curve = next(x for x in range(1, 60) if x not in on_curve)
    point, generator = G1Point(), bytes(G1Point().to_compressed_bytes())
    while (x := int.from_bytes(bytes(point.to_compressed_bytes()), "big") % (1 << 381)) >= (1 << 381) - BASE_FIELD:
        point += G1Point()
    return {
        "identity": (bytes([0xC0]) + bytes(47), "the identity"),
        "identity with a coordinate": (bytes([0xC0]) + bytes(46) + b"\x01", "the identity"),
        "zeros": (bytes(48), "not a compressed point"),
        "not compressed": (bytes([generator[0] & 0x7F]) + generator[1:], "not a compressed point"),
        "off the curve": (recompressed(off_curve), "not on the curve"),
        "wrong subgroup": (recompressed(on_curve[0]), "not in the prime-order subgroup"),
        "not canonical": (recompressed(x + BASE_FIELD), "coordinate is not reduced"),
        "x of all ones": (b"\x9f" + b"\xff" * 47, "coordinate is not reduced"),
    }


def replaced(proof: bytes, start: int, part: bytes) -> bytes:
    """A proof file with other bytes at a place of its core."""
    read = ProofDocument.from_bytes(proof)
    return replace(read, proof=read.proof[:start] + part + read.proof[start + len(part) :]).to_bytes()


# one bit column: B, S, t, B(z), S(omega z), W
PLACES = {"bit-column[0]": 0, "accumulator": 48, "quotient": 96, "opening": 208}
SCALARS = {"bit-evaluation[0]": 144, "accumulator-evaluation": 176}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", bad_points())
def test_a_point_that_is_none(short: Account, asked: Challenge, proof: bytes, place: str, kind: str) -> None:
    data, what = bad_points()[kind]
    verdict = judge(replaced(proof, PLACES[place], data), asked, [short])
    malformed(verdict, rf"^proof\.{place.replace('[', '.').replace(']', '.')}: {what}")


@pytest.mark.parametrize("kind", bad_points())
def test_an_auxiliary_point_that_is_none(venue_a: Venue, kind: str) -> None:
    account = venue_a.attest(book(venue_a.market, BTC=1000, USD=100_000))
    asked = replace(asked_of([account], statement=StatementKind.SOLVENCY), bound_micros=10**12)
    good = answer(asked, [account])
    assert judge(good, asked, [account]).outcome is Outcome.VALID
    malformed(judge(replaced(good, 0, bad_points()[kind][0]), asked, [account]), r"^proof\.auxiliary-column\[0\]: ")


@pytest.mark.parametrize("place", SCALARS)
def test_scalars_that_are_not_reduced(short: Account, asked: Challenge, proof: bytes, place: str) -> None:
    start = SCALARS[place]
    value = int.from_bytes(ProofDocument.from_bytes(proof).proof[start : start + 32], "little")
    for too_large in (value + R, R, (1 << 256) - 1):
        verdict = judge(replaced(proof, start, too_large.to_bytes(32, "little")), asked, [short])
        malformed(verdict, rf"^proof\.{place.replace('[', '.').replace(']', '.')}: field element is not reduced")


@pytest.mark.parametrize(
    "change", [lambda p: p + b"\x00", lambda p: p + p, lambda p: p[:-1], lambda p: b"", lambda p: p[48:]]
)
def test_trailing_and_missing_bytes(
    short: Account, asked: Challenge, proof: bytes, change: Callable[[bytes], bytes]
) -> None:
    read = ProofDocument.from_bytes(proof)
    longer = replace(read, proof=change(read.proof)).to_bytes()
    malformed(judge(longer, asked, [short]), r"^proof: \d+ bytes \(expected 256 bytes for this statement\)$")


@pytest.mark.parametrize(("one", "other", "size"), [(0, 48, 48), (48, 96, 48), (0, 208, 48), (144, 176, 32)])
def test_messages_in_another_order(
    short: Account, asked: Challenge, proof: bytes, one: int, other: int, size: int
) -> None:
    core = ProofDocument.from_bytes(proof).proof
    swapped = replaced(replaced(proof, one, core[other : other + size]), other, core[one : one + size])
    refused(judge(swapped, asked, [short]), 55, NOT_SHOWN)


def test_bit_columns_in_another_order(short: Account) -> None:
    asked = asked_of([short], model=MODEL)
    proof = answer(asked, [short])
    core = ProofDocument.from_bytes(proof).proof
    swapped = replaced(proof, 0, core[48:96] + core[:48])
    refused(judge(swapped, asked, [short]), 55, NOT_SHOWN)
    scalars = 48 * 14
    both = replaced(swapped, scalars, core[scalars + 32 : scalars + 64] + core[scalars : scalars + 32])
    refused(judge(both, asked, [short]), 55, NOT_SHOWN)


def test_a_bit_flipped_in_every_byte(short: Account, asked: Challenge, proof: bytes) -> None:
    statement, core = statement_of(asked, [short]), ProofDocument.from_bytes(proof).proof
    assert holds(statement, core)
    refusals = 0
    for i in range(len(core)):
        changed = core[:i] + bytes([core[i] ^ 1 << i % 8]) + core[i + 1 :]
        try:
            refusals += not holds(statement, changed)
        except ProofError:
            refusals += 1
    assert refusals == len(core) == 256


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("change", ["negated", "plus the generator", "doubled"])
def test_a_point_exchanged_for_a_related_one(
    short: Account, asked: Challenge, proof: bytes, place: str, change: str
) -> None:
    start = PLACES[place]
    point = G1Point.from_compressed_bytes(ProofDocument.from_bytes(proof).proof[start : start + 48])
    other = {"negated": -point, "plus the generator": point + G1Point(), "doubled": point + point}[change]
    refused(judge(replaced(proof, start, point_bytes(other)), asked, [short]), 55, NOT_SHOWN)


@pytest.mark.parametrize("place", SCALARS)
@pytest.mark.parametrize("change", [lambda s: s + 1, lambda s: s - 1, lambda s: -s, lambda s: 1 - s, lambda s: 0])
def test_a_scalar_exchanged_for_a_related_one(
    short: Account, asked: Challenge, proof: bytes, place: str, change: Callable[[int], int]
) -> None:
    """1 - s is the other root of s^2 - s."""
    start = SCALARS[place]
    value = int.from_bytes(ProofDocument.from_bytes(proof).proof[start : start + 32], "little")
    changed = (change(value) % R).to_bytes(32, "little")
    refused(judge(replaced(proof, start, changed), asked, [short]), 55, NOT_SHOWN)


def test_constant_polynomials_everywhere(short: Account, asked: Challenge) -> None:
    """All points the generator, all scalars zero or one: no special values slip through."""
    core = bytes(G1Point().to_compressed_bytes())
    for scalar in (0, 1):
        data = (scalar).to_bytes(32, "little")
        assert not holds(statement_of(asked, [short]), core * 3 + data * 2 + core)
