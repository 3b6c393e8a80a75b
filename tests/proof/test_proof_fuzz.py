"""Mutated proofs, challenges, attestations and markets: none accepted, none crashing.

1,000 mutants always and 100,000 with `-m slow`. Half are mutations of a proof's core against `proof.verifier.verify`, where points
and scalars are exchanged for other valid ones as often as bytes are broken; half are files against `verify_proof`, many of them
signed again by the holder, so that the signature does not hide what lies before it. A mutant equal to its original does not count.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from dishonest import R, asked_of, document, payload, signed, statement_of
from proof_support import HOLDER, NOW, Account, Venue, answer, book, challenge, make_market

from riskproof import encoding
from riskproof.attest.net_risk import consent_message
from riskproof.commit.identity import G_ID, H_ID
from riskproof.commit.points import G1Point, point_bytes, scalar
from riskproof.errors import ProofError
from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import verify_same
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import Statement
from riskproof.proof.verifier import verify
from riskproof.verify import Outcome
from riskproof.verify.net_risk import MarketCache, ProofCase, ProofVerdict, verify_proofs


@dataclass
class Target:
    """A challenge, its accounts, and several right proofs."""

    asked: Challenge
    accounts: list[Account]
    files: list[bytes]
    statement: Statement

    @property
    def cores(self) -> list[bytes]:
        return [ProofDocument.from_bytes(f).proof for f in self.files]

    def layout(self) -> list[tuple[int, int]]:
        """(start, size) of every message of the core."""
        points, scalars = (
            self.statement.rows.auxiliary_columns + self.statement.bit_columns + 2,
            self.statement.bit_columns + 1,
        )
        sizes = [48] * points + [32] * scalars + [48]
        return [(sum(sizes[:i]), size) for i, size in enumerate(sizes)]

    def case(self, file: bytes) -> dict[str, Any]:
        return {
            "proof": file,
            "challenge": self.asked.to_bytes(),
            "attestations": [a.attestation for a in self.accounts],
            "keys": [a.venue.keys for a in self.accounts],
            "markets": [a.venue.market_bytes for a in self.accounts],
        }


def make_target(asked: Challenge, accounts: list[Account]) -> Target:
    return Target(asked, accounts, [answer(asked, accounts) for _ in range(3)], statement_of(asked, accounts))


@pytest.fixture(scope="module")
def targets(short: Account, hedge: Account, venue_a: Venue) -> list[Target]:
    rich = venue_a.attest(book(venue_a.market, BTC=1000, USD=100_000, BTC_80000_P=-10))
    large = Venue("venue-l", make_market(column_size=512))
    wide = large.attest(book(large.market, BTC_100000_C=-50_000, BTC=1000))
    solvency = replace(asked_of([rich], statement=StatementKind.SOLVENCY), bound_micros=10**13)
    shipped = replace(challenge(10**14), slack_bits=72)  # the shipped model: 48 scenarios, 14 bit columns
    return [
        make_target(asked_of([short]), [short]),
        make_target(asked_of([short]), [short]),  # of another nonce
        make_target(asked_of([short, hedge]), [short, hedge]),
        make_target(solvency, [rich]),
        make_target(asked_of([wide]), [wide]),
        make_target(shipped, [short]),
    ]


# ---- cores ---------------------------------------------------------------------------------------------------------------


def some_point(rng: random.Random, targets: list[Target]) -> bytes:
    """A valid point: of another proof, of a statement, a generator, or any."""
    match rng.randrange(5):
        case 0:
            other = rng.choice(targets)
            points = [(at, size) for at, size in other.layout() if size == 48]
            at, _ = rng.choice(points)
            return rng.choice(other.cores)[at : at + 48]
        case 1:
            return rng.choice(rng.choice(targets).statement.attestations).columns[0].commitment
        case 2:
            return point_bytes(rng.choice((G1Point(), -G1Point(), H_ID, G_ID)))
        case 3:
            setup = ceremony_setup(256)
            return point_bytes(
                rng.choice((setup.powers[rng.randrange(259)], setup.vanishing[0], setup.lagrange[rng.randrange(256)]))
            )
        case _:
            return point_bytes(G1Point() * scalar(rng.randrange(1, R)))


def related_point(data: bytes, rng: random.Random) -> bytes:
    point = G1Point.from_compressed_bytes(data)
    small = G1Point() * scalar(rng.choice((1, 2, R - 1)))
    return bytes(rng.choice((-point, point + point, point + small, point + H_ID)).to_compressed_bytes())


def some_scalar(value: int, rng: random.Random, targets: list[Target]) -> bytes:
    other = rng.choice(targets)
    at, _ = rng.choice([(at, size) for at, size in other.layout() if size == 32])
    foreign = int.from_bytes(rng.choice(other.cores)[at : at + 32], "little")
    chosen = rng.choice(
        (value + 1, value - 1, -value, 1 - value, 2 * value, 0, 1, R - 1, foreign, value + R, R, (1 << 256) - 1)
    )
    return (chosen if chosen >= R and chosen < 1 << 256 else chosen % R).to_bytes(32, "little")


def mutated_core(target: Target, rng: random.Random, targets: list[Target]) -> bytes:
    core, layout = rng.choice(target.cores), target.layout()
    at, size = rng.choice(layout)
    out = bytearray(core)
    match rng.randrange(10):
        case 0:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
        case 1:
            for _ in range(rng.choice((1, 2, 8))):
                out[rng.randrange(len(out))] = rng.randrange(256)
        case 2:
            cut = rng.choice((1, 16, 32, 48))
            out = rng.choice((out[cut:], out[:-cut], out + bytes(cut), bytes(cut) + out))
        case 3:
            start, width = rng.choice([m for m in layout if m[1] == size])
            out[at : at + size], out[start : start + width] = out[start : start + width], out[at : at + size]
        case 4:  # messages of two right proofs of one statement
            for start, width in rng.sample(layout, rng.randrange(1, len(layout))):
                other = rng.choice(target.cores)
                out[start : start + width] = other[start : start + width]
        case 5:
            other = rng.choice(targets)
            out = bytearray(rng.choice(other.cores))
            if other.statement is target.statement:
                out[0] ^= 0x20
        case _:
            for _ in range(rng.choice((1, 1, 2))):
                at, size = rng.choice(layout)
                part = bytes(out[at : at + size])
                if size == 32:
                    out[at : at + 32] = some_scalar(int.from_bytes(part, "little"), rng, targets)
                else:
                    out[at : at + 48] = some_point(rng, targets) if rng.random() < 0.5 else related_point(part, rng)
    return bytes(out)


def fuzz_cores(targets: list[Target], count: int, seed: int) -> Counter[str]:
    rng, seen = random.Random(seed), Counter[str]()
    while seen.total() < count:
        target = rng.choice(targets)
        core = mutated_core(target, rng, targets)
        if core in target.cores:
            continue
        try:
            accepted, _ = verify(ceremony_setup(target.statement.n), target.statement, core)
        except ProofError:
            seen["malformed"] += 1
        else:
            assert not accepted, core.hex()
            seen["invalid"] += 1
    return seen


# ---- files ---------------------------------------------------------------------------------------------------------------

INTERESTING: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**64, 10**400, 1.5, float("inf"), "", "0", "-1", "1e3", "0" * 64,
    "f" * 64, "AA==", "A" * 344, "c0" + "00" * 47, "\x00", "\ud800", "9223372036854775807", "9223372036854775808", [], {}, [[]],
    {"x": 1},     "loss", "solvency", "x" * 5_000, "é",
)  # fmt: skip


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at : at + rng.choice((1, 2, 16, 200))]
            case 3:
                out[at:at] = rng.choice(
                    (b" ", b"\n", b"0", b"{", b"]", b'"', b"\\", b"\x00", b"\xc3\xa9", b"\xff", b"[" * 40)
                )
            case 4:
                del out[at:]
            case _:
                end = at + rng.choice((1, 2, 8))
                out[at:end] = out[at:end][::-1]
    return bytes(out)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for key, value in inner for p in places(value, (*path, key)))]


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """One edit of a document, written in order and without white space whatever it now says."""
    tree = json.loads(data)
    path = rng.choice(places(tree)[1:])
    parent = tree
    for step in path[:-1]:
        parent = parent[step]
    last, value = path[-1], parent[path[-1]]
    match rng.randrange(7):
        case 0:
            parent[last] = copy.deepcopy(rng.choice(INTERESTING))
        case 1:
            del parent[last]
        case 2 if isinstance(parent, dict):
            parent[rng.choice(("x", last + "x", last.upper()))] = value
        case 3:
            other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
            parent[last], parent[other] = parent[other], value
        case 4 if isinstance(value, int):
            parent[last] = value + rng.choice((-1, 1, 256, -(2**32)))
        case 5 if isinstance(parent, list):
            parent.insert(last, copy.deepcopy(value))
        case _:
            if isinstance(value, str) and value:
                at = rng.randrange(len(value))
                parent[last] = value[:at] + rng.choice("0123456789abcdefxAZ+/=-.") + value[at + 1 :]
            else:
                parent[last] = not value
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def resigned(target: Target, rng: random.Random, targets: list[Target]) -> bytes:
    """A mutated core, or identity proof, with the holder's signature over it, as far as there is a transcript of it.

    A right core under a new signature would be right: such a one is returned as a file with the old signature.
    """
    if rng.random() < 0.5 and len(target.accounts) > 1:
        file = ProofDocument.from_bytes(rng.choice(target.files))
        _, transcript = verify(ceremony_setup(target.statement.n), target.statement, file.proof)
        identity = bytearray(file.identity_proof or b"")
        match rng.randrange(4):
            case 0:
                identity[rng.randrange(80)] ^= 1 << rng.randrange(8)
            case 1:
                identity[:48] = some_point(rng, targets)
            case 2:
                identity[:48] = related_point(bytes(identity[:48]), rng)
            case _:
                identity[48:] = some_scalar(int.from_bytes(identity[48:], "little"), rng, targets)
        with contextlib.suppress(ProofError):
            verify_same(transcript, [a.identity for a in target.statement.attestations], bytes(identity))
        return replace(
            file, identity_proof=bytes(identity), holder_signature=HOLDER.sign(consent_message(transcript))
        ).to_bytes()
    core = mutated_core(target, rng, targets)
    try:
        right, transcript = verify(ceremony_setup(target.statement.n), target.statement, core)
        assert not right or core in target.cores
    except ProofError:
        right = False
    if right:
        return target.files[target.cores.index(core)]
    try:
        _, transcript = verify(ceremony_setup(target.statement.n), target.statement, core)
    except ProofError:
        file = ProofDocument.from_bytes(rng.choice(target.files))
        return replace(file, proof=core).to_bytes()
    return document(target.asked, target.accounts, core, transcript)


def mixed(target: Target, rng: random.Random, targets: list[Target]) -> bytes:
    """Members of two right files."""
    one, other = (json.loads(rng.choice(t.files)) for t in (target, rng.choice(targets)))
    for name in rng.sample(sorted(one), rng.randrange(1, len(one))):
        if name in other:
            one[name] = other[name]
        else:
            del one[name]
    return encoding.canonical_json(one)


def mutated_case(target: Target, rng: random.Random, targets: list[Target]) -> tuple[dict[str, Any], bool]:
    """A case with one of its parts mutated, and whether it is the same as before."""
    file = rng.choice(target.files)
    case = target.case(file)
    kind = rng.randrange(12)
    if kind < 6:
        mutant = (
            mutated_bytes(file, rng) if kind < 2
            else mutated_json(file, rng) if kind < 4
            else mixed(target, rng, targets) if kind < 5
            else resigned(target, rng, targets)
        )  # fmt: skip
        case["proof"] = mutant
        return case, mutant in target.files
    mutate = rng.choice((mutated_bytes, mutated_json))
    if kind < 8:
        case["challenge"] = mutate(case["challenge"], rng)
        return case, case["challenge"] == target.asked.to_bytes()
    j = rng.randrange(len(target.accounts))
    name = "attestations" if kind < 10 else "markets" if kind < 11 else "signed"
    if name == "signed":  # a venue that signs strange things, about which the proof cannot know
        account = target.accounts[j]
        statement = payload(account)
        try:
            other = type(statement).from_bytes(mutated_json(statement.to_bytes(), rng))
        except Exception:
            other = replace(statement, nonce="another")
        account = signed(account, other)
        case["attestations"][j] = account.attestation
        if rng.random() < 0.5:
            digests = sorted(a.built.digest for a in (*target.accounts[:j], account, *target.accounts[j + 1 :]))
            case["proof"] = replace(ProofDocument.from_bytes(file), attestation_digests=tuple(digests)).to_bytes()
        return case, other == statement
    before = case[name][j]
    case[name][j] = mutate(before, rng)
    return case, case[name][j] == before


def judged(cases: list[dict[str, Any]], cache: MarketCache) -> list[ProofVerdict]:
    return verify_proofs([ProofCase(**case) for case in cases], now=NOW, cache=cache)


def fuzz_files(targets: list[Target], count: int, seed: int) -> Counter[str]:
    """In batches of eight, of which one is right: it has to stay right in the company of the others."""
    rng, seen, cache = random.Random(seed), Counter[str](), MarketCache()
    while seen.total() < count:
        mutants: list[dict[str, Any]] = []
        while len(mutants) < 7:
            case, same = mutated_case(rng.choice(targets), rng, targets)
            if not same:
                mutants.append(case)
        target, place = rng.choice(targets), rng.randrange(8)
        mutants.insert(place, target.case(rng.choice(target.files)))
        for i, verdict in enumerate(judged(mutants, cache)):
            if i == place:
                assert verdict.outcome is Outcome.VALID, verdict.reason
                continue
            assert verdict.outcome is not Outcome.VALID, mutants[i]
            assert verdict.reason
            assert (verdict.failed_check is None) == (verdict.outcome is Outcome.MALFORMED)
            assert not verdict.proved
            seen[str(verdict.failed_check or "malformed")] += 1
    return seen


# ---- runs ----------------------------------------------------------------------------------------------------------------


def test_the_targets_are_right(targets: list[Target]) -> None:
    cache = MarketCache()
    for target in targets:
        assert all(v.outcome is Outcome.VALID for v in judged([target.case(f) for f in target.files], cache))
        assert all(verify(ceremony_setup(target.statement.n), target.statement, core)[0] for core in target.cores)


@pytest.mark.parametrize("fuzz", [fuzz_cores, fuzz_files])
def test_500_mutants(targets: list[Target], fuzz: Callable[[list[Target], int, int], Counter[str]]) -> None:
    seen = fuzz(targets, 500, 1)
    assert seen["malformed"] > 100
    assert seen.total() - seen["malformed"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("fuzz", [fuzz_cores, fuzz_files])
def test_50_000_mutants(targets: list[Target], fuzz: Callable[[list[Target], int, int], Counter[str]]) -> None:
    seen = fuzz(targets, 50_000, 2)
    print(seen)
    assert seen["malformed"] > 10_000
    assert seen.total() - seen["malformed"] > 10_000


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_challenges_are_read_as_written_or_refused(targets: list[Target], count: int) -> None:
    rng = random.Random(3)
    for _ in range(count):
        data = rng.choice(targets).asked.to_bytes()
        mutant = rng.choice((mutated_bytes, mutated_json))(data, rng)
        with contextlib.suppress(ProofError):
            assert Challenge.from_bytes(mutant).to_bytes() == mutant
