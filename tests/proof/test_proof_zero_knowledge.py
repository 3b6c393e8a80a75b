"""Zero knowledge, shown: a simulator without a witness, and a distinguisher that cannot tell two books apart.

The setup here is a test's, with a known secret tau: the simulator needs it to make openings, and with it one commitment can be
opened to two books, so that both prove literally the same statement. What the distinguisher sees is then the proof alone. Its
tests are shown to work on proofs with too little blinding.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from dishonest import R, evaluate, interpolate, roots
from py_arkworks_bls12381 import G2Point

from riskproof.commit.columns import Blinding
from riskproof.commit.points import G1Point, parse_g1, point_bytes, scalar
from riskproof.proof import prover
from riskproof.proof.prover import ProofBlinding, Witness, check_true, prove, slacks
from riskproof.proof.setup import Setup
from riskproof.proof.statement import AttestedColumns, Coefficients, CommittedColumn, Rows, Statement
from riskproof.proof.verifier import pairing_terms, verify

N = 256
TAU = int.from_bytes(b"a secret that everybody knows".ljust(31, b"."), "little")
OMEGA = roots(N)[1]
Z_H = (pow(TAU, N, R) - 1) % R  # at tau
G = G1Point()
ROWS, BITS = 6, 64  # two bit columns


def times_g(value: int) -> G1Point:
    return G * scalar(value % R)


def lagrange_at_tau(i: int) -> int:
    return roots(N)[i] * Z_H * pow(N * (TAU - roots(N)[i]), -1, R) % R


@cache
def known_setup() -> Setup:
    """A structured reference string of which everybody knows tau."""
    powers = [pow(TAU, i, R) for i in range(N + 3)]
    one = G2Point()
    return Setup(
        b"a setup for tests".ljust(32, b"."),
        N,
        tuple(times_g(lagrange_at_tau(i)) for i in range(N)),
        tuple(map(times_g, powers)),
        (one, one * scalar(TAU), one * scalar(TAU * TAU % R)),
    )


@dataclass(frozen=True)
class Book:
    """Lots of a column, and the blinding under which they have the common commitment."""

    lots: tuple[int, ...]
    blinding: int

    def dense(self) -> list[int]:
        return [*self.lots, *[0] * (N - len(self.lots))]

    @property
    def witness(self) -> Witness:
        total = sum(self.lots)
        return Witness(np.array(self.dense(), dtype=np.int64), (Blinding(self.blinding),), (max(0, total),))


def equivocal(lots: Sequence[int], commitment: int) -> Book:
    """The book that opens a commitment [commitment]_1 to these lots: what only tau makes possible."""
    value = sum(q * lagrange_at_tau(i) for i, q in enumerate(lots))
    return Book(tuple(lots), (commitment - value) * pow(Z_H, -1, R) % R)


LONG, SHORT = (5_000, -20, 0, 7, 123_456), (-80, 0, 999, -1_000_000, 2_000_003)


def make_statement(commitment: int, constant: int = 10**13) -> Statement:
    """Six rows over one column and one auxiliary column, true of both books; x is at least the sum of the lots."""
    rng = np.random.default_rng(7)
    positions = np.zeros((N, ROWS), dtype=np.int64)
    positions[:5] = rng.integers(-(10**6), 10**6, (5, ROWS))
    positions[:5, 4:] = [0, -1]
    auxiliary = np.zeros((N, ROWS), dtype=np.int64)
    auxiliary[0, :4], auxiliary[0, 4:] = -1, 1
    point = point_bytes(times_g(commitment))
    one = AttestedColumns(bytes([1]) * 32, bytes(32), bytes(32), point, bytes(32), (CommittedColumn(0, point),))
    rows = Rows(
        Coefficients(N, positions, (1,), auxiliary),
        (constant,) * 4 + (0, 0),
        6,
        (4,),
        tuple(f"row {r}" for r in range(ROWS)),
    )
    return Statement(bytes(32), secrets.token_bytes(32), bytes(32), "audience", 1, bytes(32), (one,), rows, BITS)


COMMITMENT = 1 + secrets.randbelow(R - 1)
BOOKS = (equivocal(LONG, COMMITMENT), equivocal(SHORT, COMMITMENT))


@pytest.fixture(scope="module")
def statement() -> Statement:
    return make_statement(COMMITMENT)


# ---- what a reader of a proof has ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A proof in its parts."""

    points: tuple[bytes, ...]  # x, B_1, B_2, S, t, W
    scalars: tuple[int, ...]  # B_1(z), B_2(z), S(omega z)

    @classmethod
    def of(cls, proof: bytes) -> Seen:
        starts = (0, 48, 96, 144, 192, 336)
        scalars = tuple(int.from_bytes(proof[i : i + 32], "little") for i in (240, 272, 304))
        return cls(tuple(proof[i : i + 48] for i in starts), scalars)

    def messages(self) -> tuple[bytes, ...]:
        return (*self.points, *(s.to_bytes(32, "little") for s in self.scalars))


@dataclass(frozen=True)
class Drawn:
    """The challenges of a proof, which every reader recomputes."""

    rho: int
    alpha: int
    z: int
    v: int

    @classmethod
    def of(cls, statement: Statement, proof: bytes) -> Drawn:
        t, seen = statement.transcript(known_setup().digest), Seen.of(proof)
        x, first, second, accumulator, quotient, _ = seen.points
        t.absorb("auxiliary-column", x)
        for column in (first, second):
            t.absorb("bit-column", column)
        rho = t.challenge("rho")
        t.absorb("accumulator", accumulator)
        alpha = t.challenge("alpha")
        t.absorb("quotient", quotient)
        z = t.point_of_evaluation(N)
        for value in seen.scalars[:2]:
            t.absorb("bit-evaluation", value.to_bytes(32, "little"))
        t.absorb("accumulator-evaluation", seen.scalars[2].to_bytes(32, "little"))
        return cls(rho, alpha, z, t.challenge("v"))


def honest(statement: Statement, book: Book) -> bytes:
    return prove(known_setup(), statement, book.witness)[0]


# ---- the simulator -------------------------------------------------------------------------------------------------------


def simulate(statement: Statement) -> bytes:
    """An accepting proof from public inputs and tau: random points and scalars, and W from what the verifier computes of them.

    The verifier's own P0 = -omega z F1 - z F2 - omega z^2 W and P1 = F1 + F2 + (z + omega z) W, taken for any W, give F1 and F2.
    """
    points = [point_bytes(times_g(1 + secrets.randbelow(R - 1))) for _ in range(5)]
    numbers = [secrets.randbelow(R).to_bytes(32, "little") for _ in range(3)]
    any_w = times_g(1 + secrets.randbelow(R - 1))
    start = b"".join((*points, *numbers))
    terms, _ = pairing_terms(known_setup(), statement, start + point_bytes(any_w))
    z, turned, inputs = terms.z, terms.turned, terms.inputs()
    total = inputs.p1 - any_w * scalar((z + turned) % R)  # F1 + F2
    mixed = inputs.p0 + any_w * scalar(turned * z % R)  # -omega z F1 - z F2
    inverse = pow(z - turned, -1, R)
    first = (mixed + total * scalar(z)) * scalar(inverse)
    second = total - first
    opening = first * scalar(pow(TAU - z, -1, R)) + second * scalar(pow(TAU - turned, -1, R))
    return start + point_bytes(opening)


def accepted(statement: Statement, proof: bytes) -> bool:
    return verify(known_setup(), statement, proof)[0]


def test_both_books_prove_literally_the_same_statement(statement: Statement) -> None:
    for book in BOOKS:
        committed = sum(q * lagrange_at_tau(i) for i, q in enumerate(book.lots)) + book.blinding * Z_H
        assert point_bytes(times_g(committed)) == statement.attestations[0].columns[0].commitment
        check_true(statement, slacks(statement.rows, book.witness))
        assert accepted(statement, honest(statement, book))
    assert slacks(statement.rows, BOOKS[0].witness) != slacks(statement.rows, BOOKS[1].witness)


def test_a_simulator_makes_accepting_transcripts_without_a_witness(statement: Statement) -> None:
    for _ in range(10):
        assert accepted(statement, simulate(statement))
    false = make_statement(COMMITMENT, constant=-(10**13))  # no book and no x satisfies it
    for book in BOOKS:
        assert min(slacks(false.rows, book.witness)) < 0
    assert accepted(false, simulate(false))


def test_the_simulator_needs_tau(statement: Statement) -> None:
    """Without it, W is a guess."""
    proof = simulate(statement)
    assert not accepted(statement, proof[:-48] + point_bytes(times_g(1 + secrets.randbelow(R - 1))))


# ---- the obvious statistics ----------------------------------------------------------------------------------------------

UNLIKELY = 1e-9  # of one test, if nothing is to be found; some hundreds of them are made


def chi_square(counts: Sequence[int]) -> float:
    """Probability of counts this uneven from a uniform source (Wilson and Hilferty's approximation)."""
    k, expected = len(counts), sum(counts) / len(counts)
    statistic = sum((c - expected) ** 2 / expected for c in counts)
    freedom = k - 1
    normal = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return math.erfc(abs(normal) / math.sqrt(2))


def kolmogorov_smirnov(a: Sequence[float], b: Sequence[float]) -> float:
    """Probability of two samples this different from one source."""
    places = np.concatenate([a, b])
    one, other = (np.searchsorted(np.sort(x), places, side="right") / len(x) for x in (np.array(a), np.array(b)))
    distance = float(np.max(np.abs(one - other)))
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.2:  # the series would need many terms, to say what is certain
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))))


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Probability of a correlation this large between independent samples."""
    if np.std(a) == 0 or np.std(b) == 0:
        return 1.0
    r = float(np.corrcoef(a, b)[0, 1])
    return math.erfc(abs(math.atanh(max(-0.999999, min(0.999999, r)))) * math.sqrt(len(a) - 3) / math.sqrt(2))


def residue(statement: Statement, proof: bytes, book: Book, u: int) -> int:
    """(B_u(z) - value of the guessed book's bits) / Z_H(z): zero without blinding, beta + beta' z with it."""
    drawn, seen = Drawn.of(statement, proof), Seen.of(proof)
    values = slacks(statement.rows, book.witness)
    bits = [s >> i & 1 for s in values for i in range(BITS)]
    bits += [0] * (2 * N - len(bits))
    guess = evaluate(interpolate(bits[u * N : (u + 1) * N]), drawn.z)
    return (seen.scalars[u] - guess) * pow(pow(drawn.z, N, R) - 1, -1, R) % R


def features(statement: Statement, proof: bytes) -> dict[str, float]:
    """Numbers in [0, 1) that a distinguisher reads off a proof and its guesses."""
    seen, out = Seen.of(proof), dict[str, float]()
    for name, point in zip(("x", "B1", "B2", "S", "t", "W"), seen.points, strict=True):
        number = int.from_bytes(point, "big")
        out[f"{name} coordinate"] = number % (1 << 320) / (1 << 320)
        out[f"{name} sign"] = float(number >> 381 & 1)
    for name, value in zip(("B1(z)", "B2(z)", "S(omega z)"), seen.scalars, strict=True):
        out[name] = value / R
        out[f"{name} low bits"] = value % (1 << 20) / (1 << 20)
    for g, book in enumerate(BOOKS):
        for u in range(2):
            out[f"residue of B{u + 1} for book {g}"] = residue(statement, proof, book, u) / R
    return out


def least_probability(statement: Statement, ones: Sequence[bytes], others: Sequence[bytes]) -> tuple[float, str]:
    """The strongest sign that the two sets of proofs differ, or that either is not random, and where it is."""
    found: list[tuple[float, str]] = []
    tables = [[features(statement, p) for p in proofs] for proofs in (ones, others)]
    for name in tables[0][0]:
        a, b = ([row[name] for row in table] for table in tables)
        if not name.endswith("sign"):
            found.append((kolmogorov_smirnov(a, b), f"{name} of the two"))
            uniform = (np.arange(2000) + 0.5) / 2000
            found += [(kolmogorov_smirnov(x, uniform), f"{name} of one, and uniform") for x in (a, b)]
    names = [n for n in tables[0][0] if not n.endswith("sign")]
    for table in tables:
        for i, x in enumerate(names):
            for y in names[i + 1 :]:
                if x.split()[0] != y.split()[0]:
                    found.append((correlation([r[x] for r in table], [r[y] for r in table]), f"{x} with {y}"))
    for proofs in (ones, others):
        signs = [int(Seen.of(p).points[k][0] >> 5 & 1) for p in proofs for k in range(6)]
        found.append((chi_square([signs.count(0), signs.count(1)]), "signs"))
        nibbles = [0] * 16
        for p in proofs:
            for part in Seen.of(p).messages():
                for byte in part[8:24]:  # not the ends, where flags and the modulus are
                    nibbles[byte & 15] += 1
                    nibbles[byte >> 4] += 1
        found.append((chi_square(nibbles), "bytes"))
    return min(found)


def assert_alike(statement: Statement, ones: Sequence[bytes], others: Sequence[bytes]) -> None:
    probability, where = least_probability(statement, ones, others)
    assert probability > UNLIKELY, where


@pytest.fixture(scope="module")
def forty(statement: Statement) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Proofs of the first book, of the second, and of nobody."""
    real = [[honest(statement, book) for _ in range(40)] for book in BOOKS]
    return real[0], real[1], [simulate(statement) for _ in range(40)]


def test_two_books_cannot_be_told_apart(statement: Statement, forty: tuple[list[bytes], ...]) -> None:
    assert_alike(statement, forty[0], forty[1])


@pytest.mark.parametrize("book", [0, 1])
def test_simulated_proofs_cannot_be_told_from_real_ones(
    statement: Statement, forty: tuple[list[bytes], ...], book: int
) -> None:
    assert_alike(statement, forty[book], forty[2])


@pytest.mark.slow
def test_many_proofs_cannot_be_told_apart(statement: Statement) -> None:
    count = 600
    real = [[honest(statement, book) for _ in range(count)] for book in BOOKS]
    simulated = [simulate(statement) for _ in range(count)]
    assert_alike(statement, real[0], real[1])
    assert_alike(statement, real[0], simulated)
    assert_alike(statement, real[1], simulated)


class Cut(ProofBlinding):
    """Blinding of which the last coefficients are zero: bits=1 leaves B with one of its two."""

    def __init__(self, draw: Callable[[], Blinding] = Blinding.random, **kept: int) -> None:
        super().__init__(1, 2, draw)
        self.kept = kept

    def take(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], tuple[int, ...]]:
        auxiliary, bits, accumulator = super().take()

        def cut(name: str, betas: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(beta if i < self.kept.get(name, len(betas)) else 0 for i, beta in enumerate(betas))

        return [cut("auxiliary", a) for a in auxiliary], [cut("bits", b) for b in bits], cut("sum", accumulator)


def unblinded(book: Book, statement: Statement, **kept: int) -> bytes:
    """A proof with too little blinding."""
    return prove(known_setup(), statement, book.witness, blinding=Cut(**kept))[0]


def test_the_statistics_find_proofs_without_blinding(statement: Statement) -> None:
    ones, others = ([unblinded(b, statement, bits=0) for _ in range(20)] for b in BOOKS)
    assert all(residue(statement, p, BOOKS[0], 0) == 0 for p in ones)
    probability, _ = least_probability(statement, ones, others)
    assert probability < UNLIKELY


def test_the_statistics_find_a_biased_source(statement: Statement, forty: tuple[list[bytes], ...]) -> None:
    """Proofs whose scalars are below 2^252."""
    biased = []
    for p in forty[0]:
        seen = Seen.of(p)
        small = [(s % (1 << 252)).to_bytes(32, "little") for s in seen.scalars]
        biased.append(b"".join((*seen.points[:5], *small, seen.points[5])))
    probability, where = least_probability(statement, forty[0], biased)
    assert probability < UNLIKELY
    assert where.split()[0] in ("B1(z)", "B2(z)", "S(omega")


# ---- confirming a guessed book -------------------------------------------------------------------------------------------


def bits_of(statement: Statement, book: Book, u: int) -> list[int]:
    values = slacks(statement.rows, book.witness)
    bits = [s >> i & 1 for s in values for i in range(BITS)]
    bits += [0] * (2 * N - len(bits))
    return bits[u * N : (u + 1) * N]


def committed(values: Sequence[int], blinding: int = 0) -> G1Point:
    """[sum v L + blinding Z_H]_1 from the public points."""
    setup = known_setup()
    held = [(i, v) for i, v in enumerate(values) if v % R]
    total = setup.vanishing[0] * scalar(blinding % R)
    return total + G1Point.multiexp_unchecked([setup.lagrange[i] for i, _ in held], [scalar(v % R) for _, v in held])


def confirms_bits(statement: Statement, proof: bytes, guess: Book) -> bool:
    """If B had one blinding coefficient, B(z) would give it, and then the commitment can be recomputed."""
    point = parse_g1(Seen.of(proof).points[1])
    return bool(point == committed(bits_of(statement, guess, 0), residue(statement, proof, guess, 0)))


def confirms_auxiliary(statement: Statement, proof: bytes, guess: Book) -> bool:
    """If x had none, the commitment could be recomputed at once."""
    return bool(parse_g1(Seen.of(proof).points[0]) == committed(guess.witness.auxiliary))


def confirms_sum(statement: Statement, proof: bytes, guess: Book) -> bool:
    """If S had one, S(omega z) would give it."""
    drawn, seen = Drawn.of(statement, proof), Seen.of(proof)
    values = sum_values(statement, guess, drawn.rho)
    turned = drawn.z * OMEGA % R
    beta = (seen.scalars[2] - evaluate(interpolate(values), turned)) * pow(pow(turned, N, R) - 1, -1, R) % R
    return bool(parse_g1(seen.points[3]) == committed(values, beta))


@pytest.mark.parametrize(
    ("confirms", "missing"),
    [
        (confirms_bits, {"bits": 1}),
        (confirms_auxiliary, {"auxiliary": 0}),
        (confirms_sum, {"sum": 1}),
    ],
    ids=["bits", "auxiliary", "sum"],
)
def test_too_few_blinding_coefficients_confirm_a_guessed_book(
    statement: Statement,
    confirms: Callable[[Statement, bytes, Book], bool],
    missing: dict[str, int],
) -> None:
    """With too few, the right guess and only it is confirmed; with the protocol's count, none is."""
    for book in BOOKS:
        weak = unblinded(book, statement, **missing)
        assert accepted(statement, weak)
        assert [confirms(statement, weak, guess) for guess in BOOKS] == [guess is book for guess in BOOKS]
        strong = honest(statement, book)
        assert [confirms(statement, strong, guess) for guess in BOOKS] == [False, False]


def test_the_third_coefficient_of_the_sum(statement: Statement) -> None:
    """With two, S(tau) and S(omega z) leave nothing free, and t(tau) tells S(omega tau): whoever has tau confirms a guess.

    B(tau) and x(tau) are taken from the prover here, which is more than a reader has: the count is about what a proof determines.
    """
    for missing, expected in (({"sum": 2}, True), ({}, False)):
        drawn_betas: list[int] = []

        def draw(betas: list[int] = drawn_betas) -> Blinding:
            betas.append(Blinding.random().secret_value)
            return Blinding(betas[-1])

        book = BOOKS[0]
        proof = prove(known_setup(), statement, book.witness, blinding=Cut(draw, **missing))[0]
        assert accepted(statement, proof)
        drawn, seen = Drawn.of(statement, proof), Seen.of(proof)
        s_on_h = sum_values(statement, book, drawn.rho)
        s_polynomial = interpolate(s_on_h)
        # two unknowns: beta + beta' omega z from S(omega z), and [beta + beta' tau] from the commitment
        turned = drawn.z * OMEGA % R
        at_turned = (seen.scalars[2] - evaluate(s_polynomial, turned)) * pow(pow(turned, N, R) - 1, -1, R) % R
        blind_at_tau = (parse_g1(seen.points[3]) - times_g(evaluate(s_polynomial, TAU))) * scalar(pow(Z_H, -1, R))
        # a line through both, at omega tau: S(omega tau) in the exponent
        share = (OMEGA * TAU - turned) * pow(TAU - turned, -1, R) % R
        blind_at_step = blind_at_tau * scalar(share) + times_g(at_turned * (1 - share))
        predicted = times_g(evaluate(s_polynomial, OMEGA * TAU % R)) + blind_at_step * scalar(Z_H)
        # and the same from the quotient
        x_at_tau = book.witness.auxiliary[0] * lagrange_at_tau(0) + drawn_betas[0] * Z_H
        bits_at_tau = [
            evaluate(interpolate(bits_of(statement, book, u)), TAU)
            + (drawn_betas[1 + 2 * u] + drawn_betas[2 + 2 * u] * TAU) * Z_H
            for u in range(2)
        ]
        rest = f_at_tau(statement, book, drawn.rho, x_at_tau, bits_at_tau)
        rest += -sigma(statement, drawn.rho) * pow(N, -1, R)
        rest -= sum(pow(drawn.alpha, u, R) * (b * b - b) for u, b in enumerate(bits_at_tau, 1))
        quotient, accumulator = (parse_g1(seen.points[k]) for k in (4, 3))
        actual = quotient * scalar(Z_H) + accumulator + times_g(rest)
        assert bool(actual == predicted) is expected


def sigma(statement: Statement, rho: int) -> int:
    return sum(pow(rho, r + 1, R) * c for r, c in enumerate(statement.rows.constants)) % R


def public_columns(statement: Statement, rho: int) -> tuple[list[int], list[int], list[int]]:
    """w (both columns), a and d on H."""
    powers = [pow(rho, r + 1, R) for r in range(ROWS)]
    weights = [p * (1 << i) % R for p in powers for i in range(BITS)]
    weights += [0] * (2 * N - len(weights))
    a, d = (
        [sum(p * int(c) for p, c in zip(powers, row, strict=True)) % R for row in matrix]
        for matrix in (statement.rows.positions, statement.rows.auxiliary)
    )
    return weights, a, d


def sum_values(statement: Statement, book: Book, rho: int) -> list[int]:
    """S on H for a book."""
    w, a, d = public_columns(statement, rho)
    bits = [*bits_of(statement, book, 0), *bits_of(statement, book, 1)]
    x = [*book.witness.auxiliary, *[0] * N]
    values, share = [0], sigma(statement, rho) * pow(N, -1, R)
    for i, q in enumerate(book.dense()[:-1]):
        step = bits[i] * w[i] + bits[N + i] * w[N + i] - q * a[i] - x[i] * d[i] - share
        values.append((values[-1] + step) % R)
    return values


def f_at_tau(statement: Statement, book: Book, rho: int, x_at_tau: int, bits_at_tau: Sequence[int]) -> int:
    w, a, d = public_columns(statement, rho)
    w_at_tau = [evaluate(interpolate(w[u * N : (u + 1) * N]), TAU) for u in range(2)]
    total = sum(b * y for b, y in zip(bits_at_tau, w_at_tau, strict=True))
    return total - COMMITMENT * evaluate(interpolate(a), TAU) - x_at_tau * evaluate(interpolate(d), TAU)


# ---- fresh blinding ------------------------------------------------------------------------------------------------------


def test_every_message_is_fresh(statement: Statement) -> None:
    proofs = [Seen.of(honest(statement, BOOKS[0])) for _ in range(5)]
    messages = [m for p in proofs for m in p.messages()]
    assert len(set(messages)) == len(messages) == 45


def test_the_same_blinding_twice_opens_the_book(statement: Statement) -> None:
    """Why it is refused: two proofs with the same B, at two points z, give both coefficients for a guessed book."""
    fixed = [Blinding.random() for _ in range(8)]
    other = replace(statement, nonce=secrets.token_bytes(32))
    proofs = [
        prove(known_setup(), s, BOOKS[0].witness, blinding=ProofBlinding(1, 2, iter(fixed).__next__))[0]
        for s in (statement, other)
    ]
    for guess in BOOKS:
        points = [Drawn.of(s, p).z for s, p in zip((statement, other), proofs, strict=True)]
        first, second = (residue(s, p, guess, 0) for s, p in zip((statement, other), proofs, strict=True))
        slope = (first - second) * pow(points[0] - points[1], -1, R) % R
        betas = ((first - slope * points[0]) % R, slope)
        found = betas == (fixed[1].secret_value, fixed[2].secret_value)
        point = committed(bits_of(statement, guess, 0), betas[0]) + known_setup().vanishing[1] * scalar(betas[1])
        assert (point == parse_g1(Seen.of(proofs[0]).points[1])) is found is (guess is BOOKS[0])


def test_blinding_serves_one_proof(statement: Statement) -> None:
    blinding = ProofBlinding(1, 2)
    prove(known_setup(), statement, BOOKS[0].witness, blinding=blinding)
    with pytest.raises(AssertionError, match=r"^blinding coefficients serve one proof$"):
        prove(known_setup(), statement, BOOKS[0].witness, blinding=blinding)


def test_a_generator_that_repeats_itself_is_caught() -> None:
    stuck = Blinding.random()
    with pytest.raises(
        AssertionError, match=r"^the generator repeats itself: blinding coefficients must be independent$"
    ):
        ProofBlinding(1, 2, lambda: stuck)
    values = [Blinding.random() for _ in range(7)]
    source = iter([*values, values[3]])
    with pytest.raises(AssertionError, match="the generator repeats itself"):
        ProofBlinding(1, 2, source.__next__)


def test_a_generator_of_zeros_gives_no_blinding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero is drawn again, so a generator that has only zeros never gets anywhere; one zero costs one draw."""
    outputs = [bytes(64), bytes(64), (5).to_bytes(64, "little")]
    monkeypatch.setattr(secrets, "token_bytes", lambda size: outputs.pop(0))
    assert Blinding.random().secret_value == 5
    assert not outputs


def test_the_counts_are_the_protocols() -> None:
    """One for x, two for B, three for S (docs/protocol.md, section 7)."""
    assert (prover.BLINDINGS_OF_AUXILIARY, prover.BLINDINGS_OF_BITS, prover.BLINDINGS_OF_ACCUMULATOR) == (1, 2, 3)
    auxiliary, bits, accumulator = ProofBlinding(2, 3).take()
    assert ([len(a) for a in auxiliary], [len(b) for b in bits], len(accumulator)) == ([1, 1], [2, 2, 2], 3)
    assert 0 not in (*(b for a in (*auxiliary, *bits) for b in a), *accumulator)
