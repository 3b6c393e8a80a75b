"""Frozen Heart and its kin: what happens to a message or a part of the statement that the transcript leaves out.

Each attack is shown twice. Against a verifier whose transcript has the hole it succeeds, so the attack is a real one; against ours
the same proof fails, and so does the attacker who plays by our transcript.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from dishonest import (
    NOT_SHOWN,
    Forger,
    R,
    WeakTranscript,
    asked_of,
    blinding,
    commit,
    document,
    evaluate,
    forge,
    forger,
    general_statement,
    interpolate,
    malformed,
    near,
    plus,
    refused,
    roots,
    square_root,
    statement_of,
)
from proof_support import NOW, Account, judge

from riskproof.commit.points import point_bytes
from riskproof.proof.challenge import StatementKind
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import Coefficients, Statement
from riskproof.proof.transcript import Transcript
from riskproof.proof.verifier import check_pairing, check_pairings, pairing_terms, verify
from riskproof.verify import Outcome
from riskproof.verify.net_risk import ProofCase, verify_proofs

STATEMENT_LABELS = (
    "protocol",
    "srs",
    "parameters",
    "challenge",
    "audience",
    "nonce",
    "expiry",
    "model",
    "attestation",
    "registry",
    "snapshot",
    "holder-identity",
    "account-tag",
    "holder-key",
    "column",
    "constants",
    "coefficients",
)
MESSAGE_LABELS = ("bit-column", "accumulator", "quotient", "bit-evaluation", "accumulator-evaluation")


def holds(statement: Statement, proof: bytes) -> bool:
    return verify(ceremony_setup(statement.n), statement, proof)[0]


@contextmanager
def weak(**hole: Any) -> Iterator[None]:
    """Everybody's transcript has the hole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("riskproof.proof.statement.Transcript", lambda: WeakTranscript(**hole))
        yield


# ---- a prover whose transcript is not the verifier's -------------------------------------------------------------------


def with_transcript(**hole: Any) -> type[Forger]:
    """A forger that hashes its own way, and is honest otherwise."""

    class Other(Forger):
        def transcript(self) -> Transcript:
            with weak(**hole):
                return super().transcript()

    return Other


def test_a_prover_with_the_right_transcript_is_accepted(short: Account) -> None:
    asked = asked_of([short])
    assert judge(forge(asked, [short], with_transcript()), asked, [short]).outcome is Outcome.VALID


@pytest.mark.parametrize("label", STATEMENT_LABELS + MESSAGE_LABELS)
def test_a_label_left_out_of_the_transcript(short: Account, label: str) -> None:
    asked = asked_of([short])
    verdict = judge(forge(asked, [short], with_transcript(omitted=(label,))), asked, [short])
    refused(verdict, 55, NOT_SHOWN)


@pytest.mark.parametrize("label", STATEMENT_LABELS + MESSAGE_LABELS)
def test_a_label_with_other_data(short: Account, label: str) -> None:
    """Also the last-challenge attack: a message exchanged after the challenges that depend on it were drawn."""
    asked = asked_of([short])
    changed = {label: lambda data: bytes([data[0] ^ 1]) + data[1:]}
    verdict = judge(forge(asked, [short], with_transcript(changed=changed)), asked, [short])
    refused(verdict, 55, NOT_SHOWN)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("protocol", "srs"),
        ("challenge", "audience"),
        ("nonce", "expiry"),
        ("registry", "snapshot"),
        ("holder-identity", "account-tag"),
        ("constants", "coefficients"),
        ("accumulator-evaluation", "bit-evaluation"),
    ],
)
def test_messages_absorbed_in_another_order(short: Account, first: str, second: str) -> None:
    asked = asked_of([short])
    late = {second: first} if first != "accumulator-evaluation" else {first: second}
    verdict = judge(forge(asked, [short], with_transcript(late=late)), asked, [short])
    refused(verdict, 55, NOT_SHOWN)


def test_the_last_message_left_out_of_the_holders_consent(short: Account) -> None:
    """No challenge of the core depends on W; the holder's signature does."""
    asked = asked_of([short])
    verdict = judge(forge(asked, [short], with_transcript(omitted=("opening",))), asked, [short])
    refused(verdict, 57, "^not signed by the key that the attestations bind$")


def test_the_last_message_left_out_of_the_identity_proof(short: Account, hedge: Account) -> None:
    asked = asked_of([short, hedge])
    verdict = judge(forge(asked, [short, hedge], with_transcript(omitted=("opening",))), asked, [short, hedge])
    refused(verdict, 56, "^the accounts are not shown to have one holder$")


# ---- what a statement is bound to: replay -------------------------------------------------------------------------------

OTHER = bytes([9]) * 32
EXCHANGED: Mapping[str, Callable[[Statement], Statement]] = {
    "challenge": lambda s: replace(s, challenge_digest=OTHER),
    "audience": lambda s: replace(s, audience="another lender"),
    "nonce": lambda s: replace(s, nonce=OTHER),
    "expiry": lambda s: replace(s, expires_at=s.expires_at + 86_400),
    "model": lambda s: replace(s, model_digest=OTHER),
    "attestation": lambda s: replace(s, attestations=(replace(s.attestations[0], digest=OTHER),)),
    "registry": lambda s: replace(s, attestations=(replace(s.attestations[0], registry_digest=OTHER),)),
    "snapshot": lambda s: replace(s, attestations=(replace(s.attestations[0], snapshot_digest=OTHER),)),
    "holder-identity": lambda s: replace(
        s, attestations=(replace(s.attestations[0], identity=s.attestations[0].columns[0].commitment),)
    ),
    "account-tag": lambda s: replace(s, attestations=(replace(s.attestations[0], tag=OTHER),)),
    "holder-key": lambda s: replace(s, holder_key=OTHER),
    "column": lambda s: replace(
        s, attestations=(replace(s.attestations[0], columns=(replace(s.attestations[0].columns[0], number=7),)),)
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", EXCHANGED)
def test_what_the_transcript_leaves_out_can_be_exchanged(short: Account, label: str) -> None:
    """One proof for two audiences, nonces, accounts, ..: replay against a verifier with the hole, none against ours."""
    statement = statement_of(asked_of([short]), [short])
    other = EXCHANGED[label](statement)
    with weak(omitted=(label,)):
        proof, _ = forger(asked_of([short]), [short], statement=statement).prove()
        assert holds(statement, proof)
        assert holds(other, proof)
    honest, _ = forger(asked_of([short]), [short], statement=statement).prove()
    assert holds(statement, honest)
    assert not holds(other, honest)


def test_a_setup_that_the_transcript_leaves_out(short: Account) -> None:
    statement = statement_of(asked_of([short]), [short])
    renamed = replace(ceremony_setup(256), digest=OTHER)
    with weak(omitted=("srs",)):
        proof, _ = forger(asked_of([short]), [short], statement=statement).prove()
        assert verify(renamed, statement, proof)[0]
    honest, _ = forger(asked_of([short]), [short], statement=statement).prove()
    assert holds(statement, honest)
    assert not verify(renamed, statement, honest)[0]


# ---- forgeries of false statements ---------------------------------------------------------------------------------------


@dataclass
class Case:
    """A false statement and what it takes to claim it."""

    statement: Statement
    lots: list[int]
    blindings: list[int]

    def forger(self, kind: type[Forger], **auxiliary: Any) -> Forger:
        return kind(self.statement, self.lots, self.blindings, **auxiliary)


def false_case(rows: int = 16) -> Case:
    """One lot that loses 2 million and more in every row, against constants of one million."""
    losses = [[-2_000_000 - r for r in range(rows)]]
    return Case(*general_statement(losses, [1_000_000] * rows, [1]))


def assert_total_break(case: Case, kind: type[Forger], claim: Any = None, **hole: Any) -> None:
    """The forgery is accepted by a verifier with the hole; ours refuses it, and the same attack by our transcript."""
    with weak(**hole):
        f = case.forger(kind)
        proof, _ = f.prove()
        claimed = f.claim if hasattr(f, "claim") else case.statement
        assert max(c + sum(q * int(a) for q, a in zip(case.lots, claimed.rows.positions[:, r], strict=True))
                   for r, c in enumerate(claimed.rows.constants)) < 0  # fmt: skip
        assert holds(claimed, proof)
    assert not holds(claimed, proof)
    again = case.forger(kind)
    proof, _ = again.prove()
    assert not holds(again.claim if hasattr(again, "claim") else case.statement, proof)


def test_without_a_hole_the_false_statement_is_refused() -> None:
    case = false_case()
    proof, _ = case.forger(Forger).prove()
    assert not holds(case.statement, proof)


class AlphaKnown(Forger):
    """Bits that are none, whose sum of b^2 - b over each column is zero; S absorbs what is left at each place."""

    def bits(self) -> list[int]:
        values: list[int] = []
        for slack in self.slacks():
            bits = [slack >> i & 1 for i in range(self.b)] if 0 <= slack < 1 << self.b else self.false_bits(slack)
            values += bits
        return values

    def false_bits(self, slack: int) -> list[int]:
        """x + 2y + 4k = slack with x^2 - x + y^2 - y + k^2 - k = 0."""
        for k in range(64):
            s = slack - 4 * k
            root = square_root((1 - 4 * s) ** 2 - 20 * (s * s - s + k * k - k))
            if root is not None:
                y = (4 * s - 1 + root) * pow(10, -1, R) % R
                return [(s - 2 * y) % R, y, k, *[0] * (self.b - 3)]
        raise AssertionError("half of all numbers are squares")

    def second_half(self) -> None:
        self.alpha = self.t.challenge("alpha")
        values, share = [0], self.sigma * pow(self.n, -1, R)
        for i, f in enumerate(self.f_on_H):
            error = sum(
                pow(self.alpha, u, R) * (b * b - b) for u, b in enumerate(self.bit_values[i :: self.n], 1)
            )  # fmt: skip
            values.append((values[-1] + f - share - error) % R)
        assert values.pop() == 0, "S closes"
        self.S = interpolate(values, blinding(3))
        self.send("accumulator", self.S)
        self.last_rounds()


@pytest.mark.parametrize("hole", [{"early": {"rho": "alpha"}}, {"omitted": ("accumulator",)}])
def test_alpha_drawn_before_the_accumulator_is_a_total_break(hole: dict[str, Any]) -> None:
    assert_total_break(false_case(3), AlphaKnown, **hole)


class RhoKnown(Forger):
    """True bits of other slacks, which agree with the real ones in the one sum that rho takes."""

    def bits(self) -> list[int]:
        rho = self.transcript().challenge("rho")  # does not depend on the bit columns
        powers = [pow(rho, r + 1, R) for r in range(self.n_R)]
        target = sum(p * s for p, s in zip(powers, self.slacks(), strict=True))
        slacks = near(powers, target, [1 << 40] * self.n_R)
        assert all(0 <= s < 1 << self.b for s in slacks)
        return [s >> i & 1 for s in slacks for i in range(self.b)]


def test_rho_drawn_before_the_bits_is_a_total_break() -> None:
    assert_total_break(false_case(), RhoKnown, omitted=("bit-column",))


class QuotientLate(Forger):
    """A quotient that is right at z only."""

    def last_rounds(self) -> None:
        self.z = self.t.point_of_evaluation(self.n)
        value = evaluate(self.numerator(), self.z) * pow(pow(self.z, self.n, R) - 1, -1, R) % R
        self.quotient_polynomial = [value]
        self.send("quotient", self.quotient_polynomial)
        self.evaluate_and_open()


def test_z_drawn_before_the_quotient_is_a_total_break() -> None:
    assert_total_break(false_case(3), QuotientLate, omitted=("quotient",))


class EvaluationsLate(Forger):
    """Values of the bit columns at z that make one sum right, instead of each."""

    def evaluate_and_open(self) -> None:
        self.S_turned = self.sum_evaluation()
        self.t.absorb("accumulator-evaluation", self.S_turned.to_bytes(32, "little"))
        self.v = self.t.challenge("v")
        rest = [0, *(evaluate(B, self.z) for B in self.B[1:])]
        # alpha b^2 - (alpha + w + v) b + constant = 0 for the first value b
        constant = self.identity_at_z(rest) + self.v * evaluate(self.B[0], self.z)
        linear = self.alpha + evaluate(self.w[0], self.z) + self.v
        root = square_root(linear * linear - 4 * self.alpha * constant)
        self.solved = root is not None
        first = (linear + (root or 0)) * pow(2 * self.alpha, -1, R) % R
        self.sent += [x.to_bytes(32, "little") for x in (first, *rest[1:], self.S_turned)]
        self.send("opening", self.opening())

    def prove(self) -> tuple[bytes, Transcript]:
        while True:  # half of all numbers are squares
            proof = super().prove()
            if self.solved:
                return proof


def test_v_drawn_before_the_evaluations_is_a_total_break() -> None:
    """The last-challenge attack."""
    assert_total_break(false_case(), EvaluationsLate, omitted=("bit-evaluation",))


class ConstantsLate(Forger):
    """Proves zero slacks, and then finds constants near a million that would make them so."""

    def bits(self) -> list[int]:
        return [0] * (self.n_R * self.b)

    def publish(self) -> None:
        powers = [pow(self.rho, r + 1, R) for r in range(self.n_R)]
        loss = sum(p * (c - s) for p, c, s in zip(powers, self.constants, self.slacks(), strict=True))
        self.constants = near(powers, loss, [1_000_000] * self.n_R)
        self.claim = replace(self.statement, rows=replace(self.rows, constants=tuple(self.constants)))
        super().publish()


def test_constants_left_out_are_chosen_afterwards() -> None:
    assert_total_break(false_case(), ConstantsLate, omitted=("constants",))


class CoefficientsLate(Forger):
    """Proves zero slacks, and then finds losses near two million for its one lot that would make them so."""

    def bits(self) -> list[int]:
        return [0] * (self.n_R * self.b)

    def publish(self) -> None:
        powers = [pow(self.rho, r + 1, R) for r in range(self.n_R)]
        losses = near(powers, -sum(p * c for p, c in zip(powers, self.constants, strict=True)), [-2_000_000] * self.n_R)
        positions = np.array(self.rows.positions)
        positions[0] = losses
        self.rows = replace(
            self.rows, coefficients=Coefficients(self.n, positions, self.rows.scales, self.rows.auxiliary)
        )
        self.claim = replace(self.statement, rows=self.rows)
        super().publish()


def test_coefficients_left_out_are_chosen_afterwards() -> None:
    assert_total_break(false_case(), CoefficientsLate, omitted=("coefficients",))


class ColumnLate(Forger):
    """A column that is right at z only."""

    def evaluate_and_open(self) -> None:
        self.S_turned = self.sum_evaluation()
        self.q = [[0]]
        missing = self.identity_at_z([evaluate(B, self.z) for B in self.B])
        self.q = [[-missing * pow(evaluate(self.a[0], self.z), -1, R) % R]]
        commitment = point_bytes(commit(self.q[0]))
        one = self.statement.attestations[0]
        columns = (replace(one.columns[0], commitment=commitment),)
        self.claim = replace(self.statement, attestations=(replace(one, columns=columns),))
        super().evaluate_and_open()


def test_columns_left_out_are_chosen_afterwards() -> None:
    assert_total_break(false_case(3), ColumnLate, omitted=("column",))


class AuxiliaryLate(Forger):
    """Zero slacks, and one auxiliary value that makes their one sum right."""

    def first_round(self) -> None:
        self.bit_values = self.padded([0] * (self.n_R * self.b))
        self.B = [interpolate(p, blinding(2)) for p in self.parts(self.bit_values)]
        peek = self.transcript()
        for B in self.B:
            peek.absorb("bit-column", point_bytes(commit(B)))
        powers = [pow(peek.challenge("rho"), 1, R)]
        powers += [pow(powers[0], r + 1, R) for r in range(1, self.n_R)]
        weight = sum(p * int(d) for p, d in zip(powers, self.rows.auxiliary[0], strict=True))
        rest = sum(p * s for p, s in zip(powers, self.slacks(), strict=True))
        self.auxiliary[0] = -rest * pow(weight, -1, R) % R
        self.x = [interpolate(p, blinding(1)) for p in self.parts(self.auxiliary)]
        for x in self.x:
            self.send("auxiliary-column", x)
        for B in self.B:
            self.send("bit-column", B)


def test_rho_drawn_before_the_auxiliary_values_is_a_total_break() -> None:
    """Rows that cannot hold together: x >= 0 and -5 - x >= 0."""
    case = Case(*general_statement([[0, 0]], [0, -5], [1], auxiliary=[[1, -1]], pins=(0,)))
    with weak(omitted=("auxiliary-column",)):
        proof, _ = case.forger(AuxiliaryLate).prove()
        assert holds(case.statement, proof)
    assert not holds(case.statement, proof)
    assert not holds(case.statement, case.forger(AuxiliaryLate).prove()[0])


# ---- the batch's own challenge -------------------------------------------------------------------------------------------


def test_errors_that_cancel_in_a_batch(short: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wrong proofs are a right batch if its factors are equal, or can be foreseen; ours are the verifier's own.

    The first W is off by what the second equation divides by, the second W by what the first divides by, with opposite signs.
    """
    asked = [asked_of([short]), asked_of([short])]
    forgers = [forger(a, [short]) for a in asked]
    proofs = [f.prove()[0] for f in forgers]
    points = [(f.z, f.z * roots(f.n)[1] % R) for f in forgers]
    setup, documents, batch = ceremony_setup(256), list[bytes](), []
    for f, (x, y), sign, a, proof in zip(forgers, reversed(points), (1, -1), asked, proofs, strict=True):
        wrong = plus((1, f.opening()), (sign, [x * y, -(x + y), 1]))
        changed = proof[:-48] + point_bytes(commit(wrong))
        terms, transcript = pairing_terms(setup, f.statement, changed)
        documents.append(document(a, [short], changed, transcript))
        batch.append(terms)
    assert not any(check_pairing(setup, terms.inputs()) for terms in batch)
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "randbits", lambda bits: 41)
        assert check_pairings(setup, batch)
    assert not check_pairings(setup, batch)
    good = asked_of([short])
    cases = [
        ProofCase(proof, a.to_bytes(), [short.attestation], [short.venue.keys], [short.venue.market_bytes])
        for a, proof in zip((*asked, good), (*documents, forge(good, [short])), strict=True)
    ]
    verdicts = verify_proofs(cases, now=NOW)
    assert [(v.outcome, v.failed_check) for v in verdicts] == [
        (Outcome.INVALID, 55), (Outcome.INVALID, 55), (Outcome.VALID, None),
    ]  # fmt: skip


def test_statement_kinds_do_not_share_proofs(short: Account) -> None:
    """The same accounts, bound and nonce: loss proved, solvency claimed."""
    loss = asked_of([short])
    claimed = replace(loss, statement=StatementKind.SOLVENCY)
    proof, transcript = forger(loss, [short]).prove()
    verdict = judge(document(claimed, [short], proof, transcript), claimed, [short])
    malformed(verdict, r"^proof: \d+ bytes \(expected \d+ bytes for this statement\)$")
