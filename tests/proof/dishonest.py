"""A literal prover that proves what it is told to, for attacks on the verifier.

Polynomials are lists of integers, lowest coefficient first, and every public polynomial is computed from its definition in
docs/protocol.md; nothing comes from riskproof.proof but the statement and its transcript. What does not come out even is cut off,
so that a false statement is proved as well as it can be. An attack overrides the step it cheats in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpz_mat
from proof_support import HOLDER, MODEL, Account, challenge

from riskproof.attest.build import BuiltAttestation
from riskproof.attest.envelope import Envelope, pre_authentication_encoding
from riskproof.attest.keys import SigningKey
from riskproof.attest.net_risk import attested_market, build_statement, consent_message
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Attestation
from riskproof.commit.columns import Blinding
from riskproof.commit.points import G1Point, point_bytes, scalar
from riskproof.commit.srs import g1_powers
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import prove_same
from riskproof.proof.rows import Compiled, compile_rows
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import AttestedColumns, Coefficients, CommittedColumn, Rows, Statement
from riskproof.proof.transcript import Transcript
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.model import RiskModel
from riskproof.verify import Outcome
from riskproof.verify.net_risk import ProofVerdict

SMALL = replace(
    MODEL, name="small", scenarios=tuple(s for s in MODEL.scenarios if s.id in ("p-50/v+", "p-25/v0", "p+50/v+"))
)
NOT_SHOWN = "the proof does not show the statement of these rows, columns and bound"  # check 55
R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
Polynomial = list[int]


# ---- polynomials -----------------------------------------------------------------------------------------------------


@cache
def roots(n: int) -> tuple[int, ...]:
    """1, omega, .. omega^(n-1)."""
    omega, powers = pow(7, (R - 1) // n, R), [1]
    while len(powers) < n:
        powers.append(powers[-1] * omega % R)
    return tuple(powers)


def transform(values: Sequence[int], inverse: bool = False) -> list[int]:
    """Values on the n-th roots of unity of a polynomial with n coefficients, or back."""
    n = len(values)
    if n == 1:
        return [values[0] % R]
    even, odd = transform(values[0::2], inverse), transform(values[1::2], inverse)
    w = roots(n)
    low, high = [], []
    for i, (e, o) in enumerate(zip(even, odd, strict=True)):
        turned = o * w[-i if inverse else i]
        low.append((e + turned) % R)
        high.append((e - turned) % R)
    out = low + high
    if not inverse:
        return out
    half = (R + 1) // 2
    return [x * half % R for x in out]


def interpolate(values: Sequence[int], blinding: Sequence[int] = ()) -> Polynomial:
    """The polynomial with these values on H plus (blinding_0 + blinding_1 X + ..) Z_H."""
    n, out = len(values), transform(values, inverse=True) + [0] * len(blinding)
    for k, beta in enumerate(blinding):
        out[k] = (out[k] - beta) % R
        out[n + k] = (out[n + k] + beta) % R
    return out


def evaluate(f: Sequence[int], x: int) -> int:
    total = 0
    for coefficient in reversed(f):
        total = (total * x + coefficient) % R
    return total


def plus(*terms: tuple[int, Sequence[int]]) -> Polynomial:
    """Sum of factor times polynomial."""
    out = [0] * max(len(f) for _, f in terms)
    for factor, f in terms:
        for i, c in enumerate(f):
            out[i] = (out[i] + factor * c) % R
    return out


def divide_vanishing(f: Sequence[int], n: int) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder by X^n - 1."""
    rest = list(f)
    quotient = [0] * max(1, len(f) - n)
    for i in reversed(range(len(f) - n)):
        quotient[i] = rest[i + n]
        rest[i] = (rest[i] + rest[i + n]) % R
    return quotient, rest[:n]


def divide_linear(f: Sequence[int], at: int) -> Polynomial:
    """Quotient by X - at; the remainder is dropped."""
    out, carry = [0] * (len(f) - 1), 0
    for i in reversed(range(1, len(f))):
        carry = (f[i] + carry * at) % R
        out[i - 1] = carry
    return out


def stripped(f: Sequence[int]) -> Polynomial:
    """Without leading zeros, at least one coefficient."""
    end = len(f)
    while end > 1 and f[end - 1] == 0:
        end -= 1
    return list(f[:end])


def commit(f: Sequence[int]) -> G1Point:
    """[f(tau)]_1 with the ceremony's powers."""
    f = stripped(f)
    return G1Point.multiexp_unchecked(list(g1_powers(len(f))), [scalar(c) for c in f])


def blinding(count: int) -> list[int]:
    """Fresh blinding coefficients."""
    return [Blinding.random().secret_value for _ in range(count)]


def near(factors: Sequence[int], target: int, centre: Sequence[int]) -> list[int]:
    """Integers y near `centre` with sum factors_i y_i = target mod r, by lattice reduction: k of them are about r^(1/k) away."""
    k = len(factors)
    inverse = pow(factors[0], -1, R)
    rest = (target - sum(f * c for f, c in zip(factors, centre, strict=True))) * inverse % R
    # The lattice of d with sum factors_i d_i = 0, shifted by (rest, 0, ..): find a short vector of the shifted lattice.
    basis = [[R] + [0] * (k - 1)]
    basis += [[-factors[i] * inverse % R] + [int(j == i) for j in range(1, k)] for i in range(1, k)]
    reduced = fmpz_mat(basis).lll()
    matrix = [[int(reduced[i, j]) for j in range(k)] for i in range(k)]
    coordinates = fmpz_mat(matrix).transpose().solve(fmpz_mat([[rest]] + [[0]] * (k - 1)))
    shift = [rest] + [0] * (k - 1)
    for i in range(k):
        q = coordinates[i, 0]
        nearest = (2 * int(q.p) + int(q.q)) // (2 * int(q.q))
        shift = [s - nearest * m for s, m in zip(shift, matrix[i], strict=True)]
    found = [c + s for c, s in zip(centre, shift, strict=True)]
    assert sum(f * y for f, y in zip(factors, found, strict=True)) % R == target % R
    return found


def square_root(a: int) -> int | None:
    """A root of a modulo r, by Tonelli and Shanks; None if there is none."""
    a %= R
    if a == 0 or pow(a, (R - 1) // 2, R) != 1:
        return 0 if a == 0 else None
    odd, twos = (R - 1) >> 32, 32
    c, x, t, m = pow(7, odd, R), pow(a, (odd + 1) // 2, R), pow(a, odd, R), twos
    while t != 1:
        i, power = 0, t
        while power != 1:
            power, i = power * power % R, i + 1
        b = pow(c, 1 << (m - i - 1), R)
        x, c, m = x * b % R, b * b % R, i
        t = t * c % R
    return x


# ---- the transcript --------------------------------------------------------------------------------------------------


class WeakTranscript(Transcript):
    """A transcript with a hole: labels that are not absorbed, absorbed with other data or too late, challenges drawn too early."""

    __slots__ = ("_changed", "_early", "_held", "_late", "_omitted", "_stored")

    def __init__(
        self,
        omitted: Sequence[str] = (),
        changed: Mapping[str, Callable[[bytes], bytes]] | None = None,
        late: Mapping[str, str] | None = None,
        early: Mapping[str, str] | None = None,
    ) -> None:
        """`late`: {"nonce": "audience"} absorbs the audience after the nonce; `early`: {"rho": "alpha"} draws alpha with rho."""
        super().__init__()
        self._omitted, self._changed = frozenset(omitted), dict(changed or {})
        self._late, self._early = dict(late or {}), dict(early or {})
        self._held: dict[str, bytes] = {}
        self._stored: dict[str, int] = {}

    def absorb(self, label: str, data: bytes) -> None:
        if label in self._late.values() and label not in self._held:
            self._held[label] = data
        elif label not in self._omitted:
            super().absorb(label, self._changed.get(label, bytes)(data))
            if label in self._late:
                super().absorb(self._late[label], self._held[self._late[label]])

    def challenge(self, label: str) -> int:
        if label in self._stored:
            return self._stored.pop(label)
        value = super().challenge(label)
        if label in self._early:
            self._stored[self._early[label]] = super().challenge(self._early[label])
        return value


# ---- the prover ------------------------------------------------------------------------------------------------------


class Forger:
    """Proves `statement` for lots, blindings and auxiliary values that need not make it true; numbers are field elements.

    After `prove`, what was computed is in the attributes of the names that docs/protocol.md uses.
    """

    def __init__(
        self, statement: Statement, lots: Sequence[int], blindings: Sequence[int], auxiliary: Sequence[int] = ()
    ) -> None:
        self.statement, self.rows, self.n = statement, statement.rows, statement.n
        self.n_R, self.b, self.K = self.rows.count, statement.bits, self.rows.columns
        self.l, self.m = self.rows.auxiliary_columns, statement.bit_columns
        self.lots, self.blindings = list(lots), list(blindings)
        self.auxiliary = [*auxiliary, *[0] * (self.l * self.n - len(auxiliary))]
        self.constants = list(self.rows.constants)
        self.setup = ceremony_setup(self.n)
        self.sent: list[bytes] = []

    # What an attack overrides.

    def transcript(self) -> Transcript:
        return self.statement.transcript(self.setup.digest)

    def slacks(self) -> list[int]:
        """c_r + <q, A_r> + <x, D_r>: exact where the lots are integers."""
        totals = list(self.constants)
        for i, q in enumerate(self.lots):
            if q:
                for r, a in enumerate(self.rows.positions[i].tolist()):
                    totals[r] += q * a * self.rows.scales[i // self.n]
        for i, x in enumerate(self.auxiliary):
            if x:
                for r, d in enumerate(self.rows.auxiliary[i].tolist()):
                    totals[r] += x * d
        return totals

    def bits(self) -> list[int]:
        """R b values for the bit columns; here the low bits of the slacks, as integers."""
        return [s >> i & 1 for s in self.slacks() for i in range(self.b)]

    def accumulator(self) -> list[int]:
        """S on H: steps by f - sigma/n from 0, whether or not it closes."""
        values, share = [0], self.sigma * pow(self.n, -1, R)
        for f in self.f_on_H[:-1]:
            values.append((values[-1] + f - share) % R)
        return values

    def quotient(self) -> Polynomial:
        return divide_vanishing(self.numerator(), self.n)[0]

    def bit_evaluations(self) -> list[int]:
        return [evaluate(B, self.z) for B in self.B]

    def sum_evaluation(self) -> int:
        return evaluate(self.S, self.z * roots(self.n)[1] % R)

    # The protocol.

    def send(self, label: str, f: Sequence[int]) -> None:
        self.sent.append(point_bytes(commit(f)))
        self.t.absorb(label, self.sent[-1])

    def send_scalar(self, label: str, value: int) -> None:
        self.sent.append((value % R).to_bytes(32, "little"))
        self.t.absorb(label, self.sent[-1])

    def parts(self, values: Sequence[int]) -> list[Sequence[int]]:
        return [values[k : k + self.n] for k in range(0, len(values), self.n)]

    def publish(self) -> None:
        """w_u, a_j, d_h and sigma, from their definitions."""
        powers = [pow(self.rho, r + 1, R) for r in range(self.n_R)]
        weights = [p * pow(2, i, R) % R for p in powers for i in range(self.b)]
        weights += [0] * (self.m * self.n - len(weights))

        def mixed(place: list[int], factor: int) -> int:
            return factor * sum(p * c for p, c in zip(powers, place, strict=True) if c) % R

        on_lots = [mixed(x, self.rows.scales[i // self.n]) for i, x in enumerate(self.rows.positions.tolist())]
        on_auxiliary = [mixed(x, 1) for x in self.rows.auxiliary.tolist()]
        self.weights, self.on_lots, self.on_auxiliary = weights, on_lots, on_auxiliary
        self.w, self.a, self.d = ([interpolate(p) for p in self.parts(v)] for v in (weights, on_lots, on_auxiliary))
        self.sigma = sum(p * c for p, c in zip(powers, self.constants, strict=True)) % R

    def prove(self) -> tuple[bytes, Transcript]:
        self.t, self.sent = self.transcript(), []
        self.first_round()
        self.rho = self.t.challenge("rho")
        self.publish()
        self.q = [interpolate(p, [s]) for p, s in zip(self.parts(self.lots), self.blindings, strict=True)]
        self.f_on_H = [
            sum(B * w for B, w in zip(self.bit_values[i :: self.n], self.weights[i :: self.n], strict=True))
            - sum(q * a for q, a in zip(self.lots[i :: self.n], self.on_lots[i :: self.n], strict=True))
            - sum(x * d for x, d in zip(self.auxiliary[i :: self.n], self.on_auxiliary[i :: self.n], strict=True))
            for i in range(self.n)
        ]
        self.second_half()
        return b"".join(self.sent), self.t

    def first_round(self) -> None:
        self.x = [interpolate(p, blinding(1)) for p in self.parts(self.auxiliary)]
        for f in self.x:
            self.send("auxiliary-column", f)
        self.bit_values = self.padded(self.bits())
        self.B = [interpolate(p, blinding(2)) for p in self.parts(self.bit_values)]
        for f in self.B:
            self.send("bit-column", f)

    def padded(self, bits: Sequence[int]) -> list[int]:
        return [*bits, *[0] * (self.m * self.n - len(bits))]

    def second_half(self) -> None:
        """Rounds 2 to 5, from the accumulator on."""
        self.S = interpolate(self.accumulator(), blinding(3))
        self.send("accumulator", self.S)
        self.alpha = self.t.challenge("alpha")
        self.last_rounds()

    def last_rounds(self) -> None:
        """Rounds 3 to 5, from the quotient on."""
        self.quotient_polynomial = self.quotient()
        self.send("quotient", self.quotient_polynomial)
        self.z = self.t.point_of_evaluation(self.n)
        self.evaluate_and_open()

    def evaluate_and_open(self) -> None:
        """Rounds 4 and 5."""
        self.B_z = self.bit_evaluations()
        self.S_turned = self.sum_evaluation()
        for value in self.B_z:
            self.send_scalar("bit-evaluation", value)
        self.send_scalar("accumulator-evaluation", self.S_turned)
        self.v = self.t.challenge("v")
        self.send("opening", self.opening())

    def numerator(self) -> Polynomial:
        """S(omega X) - S(X) - f(X) + sigma/n + sum alpha^u (B_u^2 - B_u), from its values at 4n points."""
        omega, share = roots(self.n)[1], self.sigma * pow(self.n, -1, R)

        def values(f: Sequence[int]) -> list[int]:
            return transform([*f, *[0] * (4 * self.n - len(f))])

        turned = values([s * pow(omega, i, R) % R for i, s in enumerate(self.S)])
        total = [t - s + share for t, s in zip(turned, values(self.S), strict=True)]
        for u, (B, w) in enumerate(zip(self.B, self.w, strict=True), 1):
            power = pow(self.alpha, u, R)
            for i, (x, y) in enumerate(zip(values(B), values(w), strict=True)):
                total[i] += power * (x * x - x) - x * y
        for f, g in (*zip(self.q, self.a, strict=True), *zip(self.x, self.d, strict=True)):
            for i, (x, y) in enumerate(zip(values(f), values(g), strict=True)):
                total[i] += x * y
        return stripped(transform([x % R for x in total], inverse=True))

    def identity_at_z(self, bits_at_z: Sequence[int]) -> int:
        """F1(z) without the terms of v, for claimed values of the bit columns."""
        z, n = self.z, self.n
        total = self.S_turned - evaluate(self.S, z) + self.sigma * pow(n, -1, R)
        total += sum(evaluate(a, z) * evaluate(q, z) for a, q in zip(self.a, self.q, strict=True))
        total += sum(evaluate(d, z) * evaluate(x, z) for d, x in zip(self.d, self.x, strict=True))
        total -= (pow(z, n, R) - 1) * evaluate(self.quotient_polynomial, z)
        for u, (b, w) in enumerate(zip(bits_at_z, self.w, strict=True), 1):
            total += pow(self.alpha, u, R) * (b * b - b) - b * evaluate(w, z)
        return total % R

    def opening(self) -> Polynomial:
        """W, cut off where F1(z) is not zero."""
        z, turned = self.z, self.z * roots(self.n)[1] % R
        terms: list[tuple[int, Sequence[int]]] = [(-1, self.S), (1 - pow(z, self.n, R), self.quotient_polynomial)]
        terms += [(evaluate(a, z), q) for a, q in zip(self.a, self.q, strict=True)]
        terms += [(evaluate(d, z), x) for d, x in zip(self.d, self.x, strict=True)]
        terms += [(pow(self.v, u, R), B) for u, B in enumerate(self.B, 1)]
        return plus((1, divide_linear(plus(*terms), z)), (1, divide_linear(self.S, turned)))


# ---- attestations to witnesses, proofs to documents ------------------------------------------------------------------


def ascending(accounts: Sequence[Account]) -> list[Account]:
    """In the order of a statement."""
    return sorted(accounts, key=lambda account: account.built.digest)


def payload(account: Account) -> Attestation:
    return Attestation.from_bytes(Envelope.from_bytes(account.attestation).payload)


_ARRAYS: dict[tuple[bytes, bytes], RiskArray] = {}


def array_of(market: Market, model: RiskModel) -> RiskArray:
    key = (market.snapshot.digest, model.digest)
    if key not in _ARRAYS:
        _ARRAYS[key] = compute_array(market, model)
    return _ARRAYS[key]


def compiled_rows(
    asked: Challenge, accounts: Sequence[Account], *, model: RiskModel | None = None, market: Market | None = None
) -> Compiled:
    """The rows that the verifier computes, or those of another model or of another market for all accounts."""
    scenarios, attested = model or asked.model or MODEL, []
    for account in ascending(accounts):
        priced = market or account.venue.market
        attested.append(attested_market(payload(account), priced, array_of(priced, scenarios)))
    return compile_rows(asked.statement, scenarios, attested)


def statement_of(asked: Challenge, accounts: Sequence[Account], compiled: Compiled | None = None) -> Statement:
    """The statement that verifier and prover build."""
    rows = compiled or compiled_rows(asked, accounts)
    return build_statement(asked, [payload(a) for a in ascending(accounts)], rows)


def lots_of(accounts: Sequence[Account]) -> list[int]:
    lots: list[int] = []
    for account in ascending(accounts):
        columns = payload(account).columns
        dense = [0] * (columns.count * columns.size)
        for index, held in account.portfolio.positions:
            dense[index] = held
        for j in columns.live:
            lots += dense[j * columns.size : (j + 1) * columns.size]
    return lots


def blindings_of(accounts: Sequence[Account]) -> list[int]:
    return [
        int.from_bytes(b, "little")
        for account in ascending(accounts)
        for b in Opening.from_bytes(account.opening).blindings
    ]


def identity_blindings(accounts: Sequence[Account]) -> list[Blinding]:
    openings = [Opening.from_bytes(account.opening) for account in ascending(accounts)]
    return [Blinding.from_bytes(o.identity_blinding) for o in openings if o.identity_blinding is not None]


def signed(account: Account, statement: Attestation) -> Account:
    """The account with another statement, signed by its venue; the opening stays."""
    body, key = statement.to_bytes(), account.venue.key
    envelope = Envelope(body, ((key.key_id, key.sign(pre_authentication_encoding(body))),)).to_bytes()
    return replace(account, built=BuiltAttestation(envelope, account.opening, statement.digest))


def forger(
    asked: Challenge,
    accounts: Sequence[Account],
    kind: Callable[..., Forger] = Forger,
    *,
    statement: Statement | None = None,
    auxiliary: Sequence[int] | None = None,
) -> Forger:
    """A forger of the challenge's statement with the accounts' own lots and blindings."""
    stated = statement or statement_of(asked, accounts)
    x = compiled_rows(asked, accounts).auxiliary(lots_array(accounts)) if auxiliary is None else auxiliary
    return kind(stated, lots_of(accounts), blindings_of(accounts), x)


def lots_array(accounts: Sequence[Account]) -> npt.NDArray[np.int64]:
    return np.array(lots_of(accounts), dtype=np.int64)


def document(
    asked: Challenge,
    accounts: Sequence[Account],
    proof: bytes,
    transcript: Transcript,
    *,
    holder: SigningKey = HOLDER,
    identity_proof: bytes | None = None,
) -> bytes:
    """The proof file with identity proof and consent, both as they should be unless given."""
    if len(accounts) > 1 and identity_proof is None:
        identity_proof = prove_same(transcript, identity_blindings(accounts))
    return ProofDocument(
        asked.digest,
        tuple(a.built.digest for a in ascending(accounts)),
        proof,
        identity_proof,
        holder.sign(consent_message(transcript)),
    ).to_bytes()


def general_statement(
    positions: npt.ArrayLike,
    constants: Sequence[int],
    lots: Sequence[int],
    *,
    bits: int = 64,
    scales: tuple[int, ...] = (1,),
    auxiliary: npt.ArrayLike | None = None,
    pins: tuple[int, ...] = (),
    n: int = 256,
) -> tuple[Statement, list[int], list[int]]:
    """Any rows over one committed column: (statement, lots, blindings). positions and auxiliary: [few, R], zero after that."""
    rows = len(constants)

    def padded(values: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
        given = (
            np.array(values, dtype=np.int64).reshape(-1, rows) if values is not None else np.zeros((0, rows), np.int64)
        )
        out = np.zeros((n if values is not None else 0, rows), dtype=np.int64)
        out[: len(given)] = given
        return out

    dense = [*lots, *[0] * (n - len(lots))]
    secret = Blinding.random()
    commitment = point_bytes(commit(interpolate(dense, [secret.secret_value])))
    coefficients = Coefficients(n, padded(positions), scales, padded(auxiliary))
    names = tuple(f"row {r}" for r in range(rows))
    one = AttestedColumns(
        bytes([1]) * 32, bytes(32), bytes(32), commitment, bytes(32), (CommittedColumn(0, commitment),)
    )
    statement = Statement(
        bytes(32), bytes(32), bytes(32), "audience", 1, bytes(32), (one,),
        Rows(coefficients, tuple(constants), 6, pins, names), bits,
    )  # fmt: skip
    return statement, dense, [secret.secret_value]


def forge(asked: Challenge, accounts: Sequence[Account], kind: Callable[..., Forger] = Forger, **given: Any) -> bytes:
    """The file of a forged proof, signed by the holder."""
    proof, transcript = forger(asked, accounts, kind, **given).prove()
    return document(asked, accounts, proof, transcript)


# ---- what a test asks and expects ------------------------------------------------------------------------------------


def asked_of(accounts: Sequence[Account], short_by: int = 0, model: RiskModel = SMALL, **changes: Any) -> Challenge:
    """A challenge that carries its model and asks for the least bound that is true of the accounts, less `short_by` micros."""
    asked = challenge(0, model=model, **changes)
    exponent = max(a.venue.array.pnl_exponent for a in accounts)
    totals = [0] * len(model.scenarios)
    for a in accounts:
        rows = array_of(a.venue.market, model).rows
        for s in range(len(totals)):
            pnl = sum(q * int(rows[i, s]) for i, q in a.portfolio.positions)
            totals[s] += pnl * 10 ** (exponent - a.venue.array.pnl_exponent)
    least = -(min(0, *totals) // 10 ** (exponent - 6))
    return replace(asked, model=model, bound_micros=least - short_by)


def refused(verdict: ProofVerdict, check: int, reason: str) -> None:
    """Assert that this check failed, for this reason (a regular expression)."""
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, check), verdict.reason
    assert re.search(reason, verdict.reason), verdict.reason


def malformed(verdict: ProofVerdict, reason: str) -> None:
    """Assert that the bytes are no proof, for this reason (a regular expression)."""
    assert verdict.outcome is Outcome.MALFORMED, verdict.reason
    assert re.search(reason, verdict.reason), verdict.reason
