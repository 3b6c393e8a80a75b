"""What the reference verifier calls malformed: one case for each way in which a document, a point or a scalar can be wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from literal_prover import P, R, canonical, digest
from net_risk_case import Case, challenge_document, small_case, wide_case, word

from riskproof.reference import Result, Rows, attestation_digest
from riskproof.reference.documents import parse_challenge
from riskproof.reference.outcomes import Malformed

Tree = dict[str, Any]


@pytest.fixture(scope="module")
def small() -> tuple[Case, Tree]:
    case = small_case()
    return case, case.prove()


def changed(tree: Tree, path: str, value: Any) -> bytes:
    """The tree with one member set, or dropped if the value is `...`."""
    tree = json.loads(json.dumps(tree))
    *parents, name = path.split(".")
    node = tree
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[name]
    else:
        node[name] = value
    return canonical(tree)


# JSON.


NOT_JSON = "not JSON of integers and strings"
SPELLINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", NOT_JSON),
    "not-utf-8": (lambda b: b"\xff" + b, NOT_JSON),
    "trailing-bytes": (lambda b: b + b"x", NOT_JSON),
    "cut": (lambda b: b[:-1], NOT_JSON),
    "fraction": (lambda b: b.replace(b'"issued_at":1768382600', b'"issued_at":1768382600.0'), NOT_JSON),
    "exponent": (lambda b: b.replace(b'"issued_at":1768382600', b'"issued_at":17683826e2'), NOT_JSON),
    "not-a-number": (lambda b: b.replace(b'"issued_at":1768382600', b'"issued_at":NaN'), NOT_JSON),
    "beyond-2^53": (lambda b: b.replace(b'"issued_at":1768382600', b'"issued_at":9007199254740992'), NOT_JSON),
    "five-thousand-digits": (lambda b: b.replace(b'"issued_at":1768382600', b'"issued_at":' + b"9" * 5000), NOT_JSON),
    "lone-surrogate": (lambda b: b.replace(b'"lender"', b'"\\ud800"'), NOT_JSON),
    "deep": (lambda b: b"[" * 100_000, "nested too deeply"),
    "deep-behind-a-string": (lambda b: b'["\\"]",' + b"[" * 100_000, "nested too deeply"),
    "white-space": (lambda b: b.replace(b":", b": ", 1), "not canonical JSON"),
    "trailing-newline": (lambda b: b + b"\n", "not canonical JSON"),
    "order": (
        lambda b: json.dumps(dict(reversed(json.loads(b).items())), separators=(",", ":")).encode(),
        "not canonical JSON",
    ),
    "member-twice": (lambda b: b.replace(b'"schema":', b'"schema":"x","schema":', 1), "not canonical JSON"),
    "escape": (lambda b: b.replace(b'"lender"', b'"l\\u0065nder"'), "not canonical JSON"),
    "minus-zero": (lambda b: b.replace(b'"max_skew_seconds":60', b'"max_skew_seconds":-0'), "not canonical JSON"),
    "array": (lambda b: b"[]", "not an object"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_challenge_that_is_spelt_wrong(small: tuple[Case, Tree], name: str) -> None:
    case, proof = small
    spell, reason = SPELLINGS[name]
    data = spell(canonical(case.challenge))
    assert data != canonical(case.challenge)
    assert case.judge(proof, challenge=data) == Result("malformed", f"challenge: {reason}")


def test_every_document_is_read_strictly(small: tuple[Case, Tree]) -> None:
    case, proof = small
    assert case.judge(canonical(proof) + b" ") == Result("malformed", "proof: not canonical JSON")
    spaced = [case.attestations[0] + b" "]
    assert case.judge(proof, attestations=spaced) == Result("malformed", "attestation: not canonical JSON")


def test_member_names_are_ordered_as_utf_16() -> None:
    # D83D DE00 before FB33, though it is the greater code point
    text = '{"\U0001f600":1,"\ufb33":2}'
    model = {"name": "m", "digest": digest("riskproof/model/v1", text.encode()).hex()}
    tree = challenge_document(model=model | {"document": 0})
    placed = canonical(tree).replace(b'"document":0', b'"document":' + text.encode())
    assert parse_challenge(placed).model_digest.hex() == model["digest"]
    other = canonical(tree).replace(b'"document":0', b'"document":{"\xef\xac\xb3":2,"\xf0\x9f\x98\x80":1}')
    with pytest.raises(Malformed, match="not canonical JSON"):
        parse_challenge(other)


# Members.


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("schema", "riskproof/challenge/v2", "challenge.schema: not one of riskproof/challenge/v1"),
        ("surplus", 1, "challenge: unknown member"),
        ("audience", ..., "challenge: member audience is missing"),
        ("audience", "", "challenge.audience: not 1 to 128 printable characters"),
        ("audience", "a\u200b", "challenge.audience: not 1 to 128 printable characters"),
        ("audience", "a" * 129, "challenge.audience: not 1 to 128 printable characters"),
        ("nonce", word("nonce").upper(), "challenge.nonce: not 32 bytes in lower-case hexadecimal"),
        ("nonce", word("nonce")[2:], "challenge.nonce: not 32 bytes in lower-case hexadecimal"),
        ("issued_at", 0, "challenge.issued_at: not an integer from 1 to 253402300799"),
        ("issued_at", True, "challenge.issued_at: not an integer from 1 to 253402300799"),
        ("expires_at", 1_768_382_600, "challenge.expires_at: not after issued_at"),
        ("statement", "gain", "challenge.statement: not one of loss, solvency, margin, excess"),
        ("statement", "margin", "challenge.requirement: missing, or of another statement"),
        ("requirement", "initial", "challenge.requirement: missing, or of another statement"),
        ("bound_micros", "-1", "challenge.bound_micros: not a decimal string"),
        ("bound_micros", "0100", "challenge.bound_micros: not a decimal string"),
        ("bound_micros", "1²", "challenge.bound_micros: not a decimal string"),
        ("bound_micros", 100, "challenge.bound_micros: not a decimal string"),
        ("bound_micros", "", "challenge.bound_micros: not a decimal string"),
        ("bound_micros", str(2**63), "challenge.bound_micros: above 2^63 - 1"),
        ("model", {"name": "m"}, "challenge.model: member digest is missing"),
        ("model.document", {}, "challenge.model.document: its digest is not model.digest"),
        ("max_skew_seconds", -1, "challenge.max_skew_seconds: not an integer from 0 to 31622400"),
        ("expires_at", 1_768_382_600 + 31_622_401, "challenge.expires_at: more than 366 days after issued_at"),
        ("exclusive", 0, "challenge.exclusive: neither true nor false"),
        ("slack_bits", 12, "challenge.slack_bits: not a multiple of 8"),
        ("slack_bits", 0, "challenge.slack_bits: not an integer from 8 to 128"),
        ("slack_bits", 136, "challenge.slack_bits: not an integer from 8 to 128"),
        ("slack_bits", None, "challenge.slack_bits: not an integer from 8 to 128"),
        ("numeraire", None, "challenge.numeraire: not 1 to 16 printable characters"),
    ],
)
def test_challenge(small: tuple[Case, Tree], path: str, value: Any, reason: str) -> None:
    case, proof = small
    assert case.judge(proof, challenge=changed(case.challenge, path, value)) == Result("malformed", reason)


LOW_ORDER = "0100000000000000000000000000000000000000000000000000000000000000"
OFF_CURVE = "0200000000000000000000000000000000000000000000000000000000000000"
IDENTITY = "c0" + "00" * 47


def unreduced(point: str) -> str:
    """The same point with x + p, which still has 381 bits for a small x."""
    value = int(point, 16)
    x = value % 2**381
    assert x + P < 2**381
    return f"{value + P:096x}"


def small_x() -> str:
    """A point of the curve (in or out of the subgroup) with a small x."""
    x = next(x for x in range(1, 99) if pow(x**3 + 4, (P - 1) // 2, P) == 1)
    return f"{x + 2**383:096x}"


def not_on_curve() -> str:
    x = next(x for x in range(1, 99) if pow(x**3 + 4, (P - 1) // 2, P) == P - 1)
    return f"{x + 2**383:096x}"


BAD_POINTS = {
    "identity": (IDENTITY, "point is the identity"),
    "not-compressed": ("00" * 48, "point is not compressed"),
    "off-curve": (not_on_curve(), "point is not on the curve"),
    "wrong-subgroup": (small_x(), "point is not in the subgroup of order r"),
    "not-reduced": (unreduced(small_x()), "x of the point is not reduced"),
}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("schema", "riskproof/attestation/v1", "attestation.schema: not one of riskproof/attestation/v2"),
        ("holder", ..., "attestation: member holder is missing"),
        ("audience", ..., "attestation: member audience is missing"),
        ("surplus", 1, "attestation: unknown member"),
        ("holder.surplus", 1, "attestation.holder: unknown member"),
        ("holder.key", LOW_ORDER, "attestation.holder.key: not an Ed25519 key of prime order"),
        ("holder.key", OFF_CURVE, "attestation.holder.key: not an Ed25519 key of prime order"),
        ("holder.tag", word("tag")[:62], "attestation.holder.tag: not 32 bytes in lower-case hexadecimal"),
        ("holder.tag_epoch", -1, "attestation.holder.tag_epoch: not an integer from 0 to 9007199254740991"),
        ("columns.size", 128, "columns.size: not one of 256, 512, 1024, 2048"),
        ("columns.retired", [0], "columns: not the columns of a registry of this size"),
        ("columns.commitments", [], "columns: not the columns of a registry of this size"),
        ("registry_size", 257, "columns: not the columns of a registry of this size"),
        ("exclusive", {"from": 5, "until": 5}, "attestation.exclusive: empty window"),
        ("exclusive", {"from": 5}, "attestation.exclusive: member until is missing"),
        *(
            ("holder.identity", value, f"attestation.holder.identity: {reason}")
            for value, reason in BAD_POINTS.values()
        ),
        *(("columns.commitments", [value], f"columns.commitments: {reason}") for value, reason in BAD_POINTS.values()),
    ],
)
def test_attestation(small: tuple[Case, Tree], path: str, value: Any, reason: str) -> None:
    case, proof = small
    payload = changed(json.loads(case.attestations[0]), path, value)
    assert case.judge(proof, attestations=[payload]) == Result("malformed", reason)


@pytest.mark.parametrize("retired", [[1, 1], [1, 0]])
def test_retired_columns_ascend(retired: list[int]) -> None:
    case = wide_case()
    payloads = [json.loads(a) for a in case.attestations]
    payload = next(p for p in payloads if p["columns"]["retired"])
    data = changed(payload, "columns.retired", retired)
    assert case.judge(b"", attestations=[data]) == Result("malformed", "columns.retired: not ascending")
    data = changed(payload, "columns.retired", [3])
    assert case.judge(b"", attestations=[data]) == Result("malformed", "columns.retired: not an integer from 0 to 2")


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"payload": "", "payloadType": "t"}, "envelope: member signatures is missing"),
        ({"payload": "e30", "payloadType": "t", "signatures": []}, "envelope.payload: not standard base64"),
        ({"payload": "e31=", "payloadType": "t", "signatures": []}, "envelope.payload: not standard base64"),
        ({"payload": "é", "payloadType": "t", "signatures": []}, "envelope.payload: not standard base64"),
        ({"payload": 5, "payloadType": "t", "signatures": []}, "envelope.payload: not standard base64"),
        ({"payload": "e30=", "payloadType": "t", "signatures": []}, "attestation: member schema is missing"),
    ],
)
def test_envelope(small: tuple[Case, Tree], envelope: Tree, reason: str) -> None:
    case, proof = small
    assert case.judge(proof, attestations=[canonical(envelope)]) == Result("malformed", reason)


def test_digest_of_bytes_that_are_no_attestation() -> None:
    assert attestation_digest(b"{}") == digest("riskproof/attestation/v1", b"{}")
    with pytest.raises(ValueError, match="attestation: not JSON"):
        attestation_digest(b"{")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("schema", "riskproof/proof/v2", "proof.schema: not one of riskproof/proof/v1"),
        ("surplus", 1, "proof: unknown member"),
        ("holder_signature", ..., "proof: member holder_signature is missing"),
        ("holder_signature", base64.b64encode(bytes(63)).decode(), "proof.holder_signature: 63 bytes, not 64"),
        ("challenge_digest", "00" * 31, "proof.challenge_digest: not 32 bytes in lower-case hexadecimal"),
        ("attestation_digests", [], "proof.attestation_digests: none, not ascending, or one twice"),
        ("attestation_digests", ["01" * 32, "00" * 32], "proof.attestation_digests: none, not ascending, or one twice"),
        ("attestation_digests", ["00" * 32, "00" * 32], "proof.attestation_digests: none, not ascending, or one twice"),
        ("attestation_digests", "00" * 32, "proof.attestation_digests: not an array"),
        (
            "identity_proof",
            base64.b64encode(bytes(80)).decode(),
            "proof.identity_proof: there if and only if there are two attestations or more",
        ),
        (
            "attestation_digests",
            ["00" * 32, "01" * 32],
            "proof.identity_proof: there if and only if there are two attestations or more",
        ),
        ("proof", "AAAA\n", "proof.proof: not standard base64"),
        ("proof", "__--", "proof.proof: not standard base64"),
        ("proof", "AAA", "proof.proof: not standard base64"),
        ("proof", "AAB=", "proof.proof: not standard base64"),
    ],
)
def test_proof(small: tuple[Case, Tree], path: str, value: Any, reason: str) -> None:
    case, proof = small
    assert case.judge(changed(proof, path, value)) == Result("malformed", reason)


# The proof's bytes.


def with_body(proof: Tree, data: bytes) -> Tree:
    return proof | {"proof": base64.b64encode(data).decode()}


@pytest.mark.parametrize("length", [0, 255, 257, 256 + 48])
def test_length(small: tuple[Case, Tree], length: int) -> None:
    case, proof = small
    data = (base64.b64decode(proof["proof"]) + bytes(48))[:length]
    assert case.judge(with_body(proof, data)) == Result("malformed", f"proof.proof: {length} bytes, not 256")


@pytest.mark.parametrize("name", BAD_POINTS)
@pytest.mark.parametrize(("at", "what"), [(0, "bit column"), (48, "accumulator"), (96, "quotient"), (208, "opening")])
def test_point(small: tuple[Case, Tree], name: str, at: int, what: str) -> None:
    case, proof = small
    value, reason = BAD_POINTS[name]
    data = bytearray(base64.b64decode(proof["proof"]))
    data[at : at + 48] = bytes.fromhex(value)
    assert case.judge(with_body(proof, bytes(data))) == Result("malformed", f"{what}: {reason}")


@pytest.mark.parametrize(("at", "what"), [(144, "bit evaluation"), (176, "accumulator evaluation")])
def test_scalar_not_reduced(small: tuple[Case, Tree], at: int, what: str) -> None:
    case, proof = small
    data = bytearray(base64.b64decode(proof["proof"]))
    value = int.from_bytes(data[at : at + 32], "little")
    for bad in (R, value + R if value + R < 2**256 else R, 2**256 - 1):
        data[at : at + 32] = bad.to_bytes(32, "little")
        expected = Result("malformed", f"{what}: not a scalar of 32 bytes below r")
        assert case.judge(with_body(proof, bytes(data))) == expected


def test_malformed_identity_proof_and_auxiliary_point() -> None:
    case = wide_case()
    proof = case.prove()
    identity = base64.b64decode(proof["identity_proof"])
    for data, reason in (
        (bytes.fromhex(IDENTITY) + identity[48:], "identity nonce: point is the identity"),
        (identity[:48] + R.to_bytes(32, "little"), "identity response: not a scalar of 32 bytes below r"),
        (identity + b"\x00", "proof.identity_proof: 81 bytes, not 80"),
    ):
        wrong = proof | {"identity_proof": base64.b64encode(data).decode()}
        assert case.judge(wrong) == Result("malformed", reason)
    missing = {name: value for name, value in proof.items() if name != "identity_proof"}
    reason = "proof.identity_proof: there if and only if there are two attestations or more"
    assert case.judge(missing) == Result("malformed", reason)
    data = bytes.fromhex(IDENTITY) + base64.b64decode(proof["proof"])[48:]
    assert case.judge(with_body(proof, data)) == Result("malformed", "auxiliary column: point is the identity")


# The caller's mistakes.


def test_rows_that_do_not_fit_are_the_callers_mistake(small: tuple[Case, Tree]) -> None:
    case, proof = small
    doubled = Rows(case.rows.constants, [*case.rows.A, *case.rows.A], [1, 1])
    with pytest.raises(ValueError, match="rows do not fit the attestations' columns"):
        Case(case.challenge, case.held, doubled).judge(proof)
    with pytest.raises(ValueError, match="no attestation, an exponent below 6"):
        case.judge(proof, attestations=[])
    with pytest.raises(ValueError, match="no attestation, an exponent below 6"):
        case.judge(proof, exponent=5)
