"""The worked example on docs/protocol.md: recomputed by the literal prover, and judged by the reference verifier as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from literal_prover import R, decompress
from net_risk_case import HOLDER
from py_ecc.optimized_bls12_381.optimized_curve import add, eq, multiply
from worked_example import BLINDINGS, COLUMN_BLINDING, EXPONENT, HEADING, LOTS, ROWS, Example, make, section

from riskproof.attest.net_risk import build_statement, consent_message
from riskproof.attest.payload import Attestation
from riskproof.commit.columns import Blinding
from riskproof.proof.challenge import Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.prover import ProofBlinding, Witness, prove
from riskproof.proof.rows import Compiled
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import Coefficients
from riskproof.proof.verifier import verify as check_proof
from riskproof.reference import Result, verify
from riskproof.reference.groups import H_ID_BYTES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
NOW = 1_768_382_700


@pytest.fixture(scope="module")
def example() -> Example:
    return make()


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    """The blocks of the section: challenge, payload, states, numbers, points, message, proof, same identity."""
    return re.findall(r"^```(?:json|text)\n(.*?)\n```$", PAGE[PAGE.index(HEADING) :], re.MULTILINE | re.DOTALL)


def test_page_says_what_the_literal_prover_computes(example: Example) -> None:
    assert PAGE.count(HEADING) == 1
    assert section(example) in PAGE


def test_proof_on_the_page_is_accepted(blocks: list[str]) -> None:
    challenge, payload, proof = (blocks[i].encode() for i in (0, 1, 6))
    assert verify(proof, challenge, [payload], ROWS, exponent=EXPONENT, now=NOW) == Result("valid")


def test_fast_prover_and_verifier_reproduce_the_page(blocks: list[str]) -> None:
    """Byte for byte, with the page's blinding coefficients: two implementations that share no code."""
    challenge = Challenge.from_bytes(blocks[0].encode())
    attestation = Attestation.from_bytes(blocks[1].encode())
    positions = np.array(ROWS.A[0], dtype=np.int64)
    coefficients = Coefficients(256, positions, (1,), np.zeros((0, 2), dtype=np.int64))
    compiled = Compiled(coefficients, EXPONENT, 2, (), ("row 1", "row 2"), ())
    statement = build_statement(challenge, [attestation], compiled)
    lots = np.zeros(256, dtype=np.int64)
    for place, q in LOTS.items():
        lots[place] = q
    draws = iter(BLINDINGS)
    blinding = ProofBlinding(0, 1, lambda: Blinding(next(draws)))
    setup = ceremony_setup(256)
    proof, transcript = prove(setup, statement, Witness(lots, (Blinding(COLUMN_BLINDING),)), blinding=blinding)
    document = ProofDocument(
        challenge.digest, (attestation.digest,), proof, None, HOLDER.sign(consent_message(transcript))
    )
    assert document.to_bytes() == blocks[6].encode()
    assert check_proof(setup, statement, proof)[0]


def test_proof_on_the_page_is_refused_for_other_rows(blocks: list[str]) -> None:
    challenge, payload, proof = (blocks[i].encode() for i in (0, 1, 6))
    rows = type(ROWS)([129, 129], ROWS.A, ROWS.scales)
    result = verify(proof, challenge, [payload], rows, exponent=EXPONENT, now=NOW)
    assert result == Result("invalid", "5: the pairing equation does not hold")


def test_same_identity_on_the_page(blocks: list[str]) -> None:
    values = {name: bytes.fromhex(x) for name, x in (line.split() for line in blocks[7].splitlines())}
    assert values["I_0"].hex() == json.loads(blocks[1])["holder"]["identity"]
    s, k = (int.from_bytes(values[name], "little") for name in ("s", "k"))
    difference = add(decompress(values["I_0"]), multiply(decompress(values["I_1"]), R - 1))
    right = add(decompress(values["T"]), multiply(decompress(values["Delta"]), k))
    assert eq(difference, decompress(values["Delta"]))
    assert eq(multiply(decompress(H_ID_BYTES), s), right)
