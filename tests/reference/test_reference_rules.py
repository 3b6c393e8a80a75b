"""Section 3.1: each rule broken alone, by a proof that is otherwise right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from literal_prover import canonical, digest
from net_risk_case import HOLDER, NOW, Case, challenge_document, column, held, public, small_case, wide_case, word

from riskproof.reference import Result
from riskproof.reference.signature import thumbprint

VALID = Result("valid")


def refused(reason: str) -> Result:
    return Result("invalid", f"3.1 {reason}")


@pytest.fixture(scope="module")
def small() -> tuple[Case, dict[str, Any]]:
    case = small_case()
    return case, case.prove()


@pytest.mark.parametrize(
    ("now", "tolerance", "expected"),
    [
        (1_768_382_599, 0, refused("rule 1: the challenge is not yet valid")),
        (1_768_382_590, 10, VALID),
        (1_768_382_589, 10, refused("rule 1: the challenge is not yet valid")),
        (1_768_386_200, 0, refused("rule 1: the challenge has expired")),
        (1_768_386_199, 0, VALID),
        (1_768_386_200, 10, refused("rule 1: the challenge has expired")),
    ],
)
def test_time(small: tuple[Case, dict[str, Any]], now: int, tolerance: int, expected: Result) -> None:
    case, proof = small
    assert case.judge(proof, now=now, clock_tolerance=tolerance) == expected


@pytest.mark.parametrize(
    "change",
    [{"nonce": word("another nonce")}, {"audience": "broker"}, {"expires_at": 1_768_386_201}, {"max_skew_seconds": 61}],
)
def test_proof_for_another_challenge(small: tuple[Case, dict[str, Any]], change: dict[str, Any]) -> None:
    case, proof = small
    stated = canonical(case.challenge | change)
    assert case.judge(proof, challenge=stated, now=NOW) == refused("rule 1: the proof names another challenge")


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": word("another nonce")},
        {"model": {"name": "crypto-pm", "digest": word("other")}},
        {"bound_micros": "101"},
    ],
)
def test_proof_renamed_for_another_challenge(small: tuple[Case, dict[str, Any]], change: dict[str, Any]) -> None:
    case, proof = small
    stated = canonical(case.challenge | change)
    renamed = proof | {"challenge_digest": digest("riskproof/challenge/v1", stated).hex()}
    assert case.judge(renamed, challenge=stated) == Result("invalid", "5: the pairing equation does not hold")


def test_attestation_exchanged_left_out_or_added(small: tuple[Case, dict[str, Any]]) -> None:
    case, proof = small
    other = held([column({0: 5, 3: -7, 255: 1})]).payload
    wrong = refused("rule 1: the proof names other attestations")
    assert case.judge(proof, attestations=[other]) == wrong
    assert case.judge(proof, attestations=[*case.attestations, other]) == wrong
    both = wide_case()
    assert both.judge(both.prove(), attestations=both.attestations[:1]) == wrong


def test_attestation_exchanged_and_renamed(small: tuple[Case, dict[str, Any]]) -> None:
    case, proof = small
    other = held([column({0: 5, 3: -7, 255: 1})]).payload
    renamed = proof | {"attestation_digests": [digest("riskproof/attestation/v1", other).hex()]}
    result = case.judge(renamed, attestations=[other])
    assert result == Result("invalid", "5: the pairing equation does not hold")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": "broker"}, "rule 2: an attestation is for another audience"),
        ({"holder": {"tag": word("tag")}}, "rule 3: an account is there twice"),
        ({"venue": "venue-a"}, "rule 3: attestations of a venue differ in tag epoch"),
        ({"holder": {"key": public(Ed25519PrivateKey.generate())}}, "rule 4: attestations of different holder keys"),
        ({"signers": [thumbprint(bytes.fromhex(public(HOLDER)))]}, "rule 4: the holder's key is a venue's"),
        ({"numeraire": "EUR"}, "rule 5: attestations in different numeraires"),
        ({"issued_at": 1_768_382_661}, "rule 5: issue times too far apart"),
        ({"issued_at": 1_768_382_539}, "rule 5: issue times too far apart"),
        ({"snapshot_time": 1_768_382_492}, "rule 5: snapshot times too far apart"),
    ],
)
def test_two_attestations_that_must_not_be_netted(changes: dict[str, Any], reason: str) -> None:
    case = wide_case(**changes)
    assert case.judge(case.prove()) == refused(reason)


@pytest.mark.parametrize("changes", [{"issued_at": 1_768_382_660}, {"snapshot_time": 1_768_382_493}])
def test_skew_at_its_limit(changes: dict[str, Any]) -> None:
    case = wide_case(**changes)
    assert case.judge(case.prove()) == VALID


def test_same_venue_and_epoch_with_two_accounts() -> None:
    case = wide_case(venue="venue-a", holder={"tag_epoch": 683})
    assert case.judge(case.prove()) == VALID


def test_numeraire_of_the_challenge() -> None:
    case = small_case(numeraire="EUR")
    assert case.judge(case.prove()) == refused("rule 5: the challenge names another numeraire")


def test_columns_of_different_sizes() -> None:
    case = wide_case()
    first, second = (json.loads(h.payload) for h in case.held)
    second["columns"]["size"] = 512
    second["registry_size"] = 512 * len(second["columns"]["commitments"] + second["columns"]["retired"])
    pair = sorted((canonical(first), canonical(second)), key=lambda a: digest("riskproof/attestation/v1", a))
    proof = case.prove() | {"attestation_digests": [digest("riskproof/attestation/v1", a).hex() for a in pair]}
    assert case.judge(proof, attestations=pair) == refused("rule 5: columns of different sizes")


@pytest.mark.parametrize(
    ("window", "accepted"),
    [
        (None, False),
        ({"from": 1_768_382_600, "until": 1_768_386_200}, True),
        ({"from": 1_768_382_601, "until": 1_768_386_200}, False),
        ({"from": 1_768_382_600, "until": 1_768_386_199}, False),
        ({"from": 1_768_380_000, "until": 1_768_390_000}, True),
    ],
)
def test_exclusive(window: dict[str, int] | None, accepted: bool) -> None:
    case = small_case()
    exclusive = held([column({0: 5, 3: -7, 255: 1})], exclusive=window)
    case = replace(case, held=[exclusive], challenge=challenge_document(slack_bits=8, exclusive=True))
    wrong = refused("rule 6: an attestation is not exclusive for the challenge's time")
    assert case.judge(case.prove()) == (VALID if accepted else wrong)
