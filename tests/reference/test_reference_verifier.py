"""The reference verifier on proofs of the literal prover: what is true is accepted, everything else is refused for its reason."""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from literal_prover import KnownTau, R, canonical, compress, decompress, digest, slacks
from net_risk_case import (
    SETUP,
    Case,
    column,
    random_scalar,
    small_case,
    wide_case,
)
from py_ecc.optimized_bls12_381.optimized_curve import G1, add, multiply

from riskproof.reference import Result, Rows

Proof = dict[str, Any]
VALID = Result("valid")
PAIRING = Result("invalid", "5: the pairing equation does not hold")
SIGNATURE = Result("invalid", "6: the holder's signature is wrong")


@pytest.fixture(scope="module")
def small() -> tuple[Case, Proof]:
    case = small_case()
    return case, case.prove()


@pytest.fixture(scope="module")
def wide() -> tuple[Case, Proof]:
    case = wide_case()
    return case, case.prove()


def body(proof: Proof) -> bytearray:
    return bytearray(base64.b64decode(proof["proof"]))


def with_body(proof: Proof, data: bytes) -> Proof:
    return proof | {"proof": base64.b64encode(data).decode()}


def envelope(payload: bytes) -> bytes:
    signature = {"keyid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "sig": base64.b64encode(bytes(64)).decode()}
    content = base64.b64encode(payload).decode()
    return canonical({"payload": content, "payloadType": "application/vnd.riskproof", "signatures": [signature]})


# Accepted.


def test_small_statement_is_accepted(small: tuple[Case, Proof]) -> None:
    case, proof = small
    assert slacks(case.rows, case.held, []) == [0, 110]
    assert case.judge(proof) == VALID
    assert len(body(proof)) == 48 * 4 + 32 * 2
    assert "identity_proof" not in proof


def test_two_venues_with_auxiliaries_are_accepted(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    assert min(slacks(case.rows, case.held, case.x)) == 0
    assert case.judge(proof) == VALID
    assert len(body(proof)) == 48 * (1 + 2 + 3) + 32 * 3


def test_order_and_envelopes_of_the_attestations_do_not_matter(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    assert case.judge(proof, attestations=[envelope(a) for a in reversed(case.attestations)]) == VALID


def test_greatest_slack_that_fits_is_accepted() -> None:
    case = small_case()
    case = replace(case, rows=replace(case.rows, constants=[355, 100]))
    assert slacks(case.rows, case.held, [])[0] == 255
    assert case.judge(case.prove()) == VALID


def test_two_proofs_of_one_book_differ_in_every_point_and_scalar(small: tuple[Case, Proof]) -> None:
    case, proof = small
    first, second = body(proof), body(case.prove())
    cuts = [0, 48, 96, 144, 176, 208, 256]
    assert all(first[a:b] != second[a:b] for a, b in itertools.pairwise(cuts))


# False statements, proved as well as they can be: everything but the equation is right.


def test_bound_one_micro_lower_is_refused_for_the_same_proof(small: tuple[Case, Proof]) -> None:
    case, proof = small
    lower = replace(
        case, challenge=case.challenge | {"bound_micros": "99"}, rows=replace(case.rows, constants=[99, 99])
    )
    assert lower.judge(proof) == Result("invalid", "3.1 rule 1: the proof names another challenge")
    renamed = proof | {"challenge_digest": digest("riskproof/challenge/v1", canonical(lower.challenge)).hex()}
    assert lower.judge(renamed) == PAIRING


@pytest.mark.parametrize(
    ("bound", "bits"),
    [
        (99, None),  # slack -1, written as 255
        (99, [R - 1] + [0] * 7),  # as a "bit" of -1
        (99, [R - 129] + [0] * 6 + [1]),
        (356, None),  # slack 2^8, written as 0
        (356, [0] * 7 + [2]),  # as a bit of value 2
        (100, [2, R - 1] + [0] * 6),  # the right sum from wrong bits
    ],
)
def test_slack_out_of_range_is_refused(bound: int, bits: list[int] | None) -> None:
    case = small_case()
    case = replace(case, rows=replace(case.rows, constants=[bound, 100]))
    if bits is not None:
        bits = [*bits, *(110 >> i & 1 for i in range(8))]
    assert case.judge(case.prove(dishonest=True, bits=bits)) == PAIRING


def test_false_statement_with_its_least_bound_missed_by_one_is_refused() -> None:
    case = wide_case()
    rows = replace(case.rows, constants=[c - 1 for c in case.rows.constants[:3]] + [0] * 4)
    case = replace(case, rows=rows)
    assert min(slacks(case.rows, case.held, case.x)) == -1
    assert case.judge(case.prove(dishonest=True)) == PAIRING


def test_haircut_below_its_rate_is_refused() -> None:
    case = wide_case()
    case = replace(case, x=[case.x[0] - 1, case.x[1]])
    assert min(slacks(case.rows, case.held, case.x)) == -1
    assert case.judge(case.prove(dishonest=True)) == PAIRING


def test_proof_of_other_lots_than_committed_is_refused() -> None:
    case = small_case()
    lighter = replace(case.held[0], lots=[column({0: 4, 3: -7, 255: 1})])
    assert case.judge(replace(case, held=[lighter]).prove(dishonest=True)) == PAIRING


def test_lots_under_another_blinding_than_committed_are_refused() -> None:
    case = small_case()
    other = replace(case.held[0], blindings=[random_scalar()])
    assert case.judge(replace(case, held=[other]).prove(dishonest=True)) == PAIRING


def test_prover_refuses_to_prove_what_is_false() -> None:
    case = small_case()
    with pytest.raises(AssertionError, match="a slack is out of range"):
        replace(case, rows=replace(case.rows, constants=[99, 99])).prove()


# Statement changed after the proof; challenge and attestations named are the proof's own.


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: replace(rows, constants=[rows.constants[0] + 1, *rows.constants[1:]]),
        lambda rows: replace(rows, constants=[rows.constants[1], rows.constants[0]]),
        lambda rows: replace(rows, constants=rows.constants[:1], A=[[place[:1] for place in rows.A[0]]]),
        lambda rows: replace(rows, constants=[*rows.constants, 5], A=[[[*place, 0] for place in rows.A[0]]]),
        lambda rows: replace(rows, scales=[10]),
        lambda rows: replace(rows, A=[[[place[1], place[0]] for place in rows.A[0]]]),
        lambda rows: replace(rows, A=[[*rows.A[0][1:], rows.A[0][0]]]),
        lambda rows: replace(rows, A=[[*rows.A[0][:9], [1, 0], *rows.A[0][10:]]]),
    ],
    ids=[
        "constant",
        "constants-exchanged",
        "row-left-out",
        "row-added",
        "scale",
        "rows-exchanged",
        "lots-shifted",
        "coefficient",
    ],
)
def test_other_rows_are_refused(small: tuple[Case, Proof], change: Callable[[Rows], Rows]) -> None:
    case, proof = small
    rows = change(replace(case.rows, constants=[100, 90]))
    assert replace(case, rows=rows).judge(proof) == PAIRING


def test_auxiliary_coefficient_changed_is_refused(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    D = [list(place) for place in case.rows.D]
    D[0][1] = 0
    assert replace(case, rows=replace(case.rows, D=D)).judge(proof) == PAIRING


def test_other_setup_is_refused(small: tuple[Case, Proof]) -> None:
    case, proof = small
    relabelled = replace(SETUP.verifier_setup(), digest=bytes(32))
    assert case.judge(proof, setup=relabelled) == PAIRING
    assert case.judge(proof, setup=KnownTau(SETUP.tau + 1).verifier_setup()) == PAIRING
    assert case.judge(proof, setup=None) == PAIRING  # the ceremony's


def test_other_slack_bits_are_refused() -> None:
    case = small_case()
    proof = case.prove()
    stated = canonical(case.challenge | {"slack_bits": 16})
    renamed = proof | {"challenge_digest": digest("riskproof/challenge/v1", stated).hex()}
    assert case.judge(renamed, challenge=stated) == PAIRING


def test_other_exponent_means_other_slack_bits(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    assert case.judge(proof, exponent=9) == VALID  # 64 bits as for 6; the constants are the caller's
    assert case.judge(proof, exponent=10) == PAIRING  # 72 bits, and still two bit columns
    assert case.judge(proof, exponent=29) == Result("invalid", "2.2: exponent 29 needs more than 128 slack bits")


# Every message altered.


@pytest.mark.parametrize("place", range(4))
def test_altered_point_is_refused(small: tuple[Case, Proof], place: int) -> None:
    case, proof = small
    data = body(proof)
    at = (0, 48, 96, 208)[place]
    data[at : at + 48] = compress(add(decompress(bytes(data[at : at + 48])), G1))
    assert case.judge(with_body(proof, bytes(data))) == PAIRING


@pytest.mark.parametrize("at", [144, 176])
def test_altered_scalar_is_refused(small: tuple[Case, Proof], at: int) -> None:
    case, proof = small
    data = body(proof)
    data[at] ^= 1
    assert case.judge(with_body(proof, bytes(data))) == PAIRING


def test_auxiliary_point_altered_is_refused(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    data = body(proof)
    data[:48] = compress(multiply(decompress(bytes(data[:48])), 2))
    assert case.judge(with_body(proof, bytes(data))) == PAIRING


def test_bit_columns_exchanged_are_refused(wide: tuple[Case, Proof]) -> None:
    case, proof = wide
    data = bytes(body(proof))
    assert case.judge(with_body(proof, data[:48] + data[96:144] + data[48:96] + data[144:])) == PAIRING


@pytest.mark.parametrize("length", [80, 48])
def test_altered_identity_proof_is_refused(wide: tuple[Case, Proof], length: int) -> None:
    case, proof = wide
    data = bytearray(base64.b64decode(proof["identity_proof"]))
    if length == 80:
        data[48] ^= 1
    else:
        data[:48] = compress(add(decompress(bytes(data[:48])), G1))
    altered = proof | {"identity_proof": base64.b64encode(bytes(data)).decode()}
    assert case.judge(altered) == Result("invalid", "6: the identities are not proved equal")


@pytest.mark.parametrize("at", [0, 63])
def test_altered_signature_is_refused(small: tuple[Case, Proof], at: int) -> None:
    case, proof = small
    data = bytearray(base64.b64decode(proof["holder_signature"]))
    data[at] ^= 1
    assert case.judge(proof | {"holder_signature": base64.b64encode(bytes(data)).decode()}) == SIGNATURE


def test_venue_that_knows_the_opening_cannot_sign_for_the_holder() -> None:
    case = small_case()
    assert case.judge(case.prove(sign=Ed25519PrivateKey.generate().sign)) == SIGNATURE


def test_signature_of_another_proof_is_refused(small: tuple[Case, Proof]) -> None:
    case, proof = small
    assert case.judge(proof | {"holder_signature": case.prove()["holder_signature"]}) == SIGNATURE


def test_different_identities_are_refused() -> None:
    case = wide_case(identities=("LEI-1", "LEI-2"))
    assert case.judge(case.prove()) == Result("invalid", "6: the identities are not proved equal")


# Mutations.


@pytest.mark.parametrize("count", [25, pytest.param(1_000, marks=pytest.mark.slow)])
def test_mutated_documents_are_refused_and_never_raise(wide: tuple[Case, Proof], count: int) -> None:
    """A byte changed, a stretch cut or doubled, two bytes exchanged, in challenge, attestation or proof."""
    case, proof = wide
    dice = random.Random(2026)
    documents = [canonical(case.challenge), *case.attestations, canonical(proof)]
    outcomes = set()
    for _ in range(count):
        which = dice.randrange(len(documents))
        data = bytearray(documents[which])
        at, to = sorted(dice.sample(range(len(data)), 2))
        kind = dice.randrange(4)
        if kind == 0:
            data[at] = dice.choice([data[at] ^ 1 << dice.randrange(8), *b'0"{}[]:,\\'])
        elif kind == 1:
            del data[at : at + dice.randrange(1, 50)]
        elif kind == 2:
            data[at:at] = data[at : at + dice.randrange(1, 50)]
        else:
            data[at], data[to] = data[to], data[at]
        if bytes(data) == documents[which]:
            continue
        changed = [*documents[:which], bytes(data), *documents[which + 1 :]]
        result = case.judge(changed[-1], challenge=changed[0], attestations=changed[1:-1])
        assert result.outcome != "valid"
        outcomes.add(result.outcome)
    assert outcomes == {"malformed", "invalid"}
