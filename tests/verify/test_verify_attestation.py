"""Numbered checks of an attestation: each rejection asserts its outcome, its number and its reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from verify_support import (
    AUDIENCE,
    ISSUED,
    NONCE,
    NOW,
    TIME,
    VENUE,
    World,
    envelope,
    payload_of,
    resigned,
    signed,
    small_market,
)

from riskproof import encoding
from riskproof.attest.build import build_attestation
from riskproof.attest.edwards import L
from riskproof.attest.envelope import PAYLOAD_TYPE, pre_authentication_encoding
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet, RevocationReason
from riskproof.attest.payload import Policy
from riskproof.errors import InputError, KeySetError
from riskproof.proof.grid import EXACT
from riskproof.risk.model import load_model
from riskproof.verify import Check, Outcome, Verdict, verify_attestation

Payload = dict[str, Any]


def check(world: World, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_attestation(attestation, **arguments)


def assert_invalid(verdict: Verdict, number: Check, reason: str) -> None:
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, number), verdict
    assert reason in verdict.reason
    assert verdict.check == number.title
    assert all(passed.number < number for passed in verdict.checks)


def assert_malformed(verdict: Verdict, reason: str) -> None:
    assert (verdict.outcome, verdict.failed_check) == (Outcome.MALFORMED, None), verdict
    assert reason in verdict.reason


@pytest.mark.parametrize("policy", Policy)
def test_valid_for_every_policy(world: World, policy: Policy) -> None:
    built = world.build(policy=policy)
    bare = check(world, built.attestation)
    assert bare.outcome is Outcome.VALID
    assert [c.number for c in bare.checks] == list(range(1, 10))
    assert [n.split(" given")[0] for n in bare.notes] == ["no market", "no opening"]
    full = check(world, built.attestation, market=world.market_bytes, opening=built.opening)
    assert full.outcome is Outcome.VALID, full.reason
    assert [c.number for c in full.checks] == [*range(1, 16), *range(20, 26)]
    assert (full.notes == ()) == (policy is not Policy.NONE)
    assert full.attestation is not None
    assert full.attestation.digest == built.digest
    document = full.to_document()
    assert (document["outcome"], document["failed_check"], document["reason"]) == ("valid", None, "")
    assert document["attestation_digest"] == built.digest.hex()


def test_verdict_has_no_truth_value(world: World) -> None:
    with pytest.raises(TypeError, match="three outcomes"):
        bool(check(world, world.build().attestation))


def test_signature_check_loads_nothing_heavy(world: World, tmp_path: Any) -> None:
    (tmp_path / "att.json").write_bytes(world.build().attestation)
    (tmp_path / "keys.json").write_bytes(world.keys.to_bytes())
    script = f"""
import sys
from pathlib import Path
from riskproof.verify import verify_attestation
v = verify_attestation(Path("att.json").read_bytes(), Path("keys.json").read_bytes(), now={NOW},
                       audience={AUDIENCE!r}, nonce={NONCE!r})
heavy = ["numpy", "numba", "llvmlite", "grpc", "sqlalchemy", "google.protobuf", "asyncio", "rich"]
print(v.outcome.value, [m for m in heavy if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "valid []"


# ---- malformed -------------------------------------------------------------------------------------------------------

BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "not JSON"),
    "truncated": (lambda b: b[:-1], "not JSON"),
    "not utf-8": (lambda b: b"\xff" + b, "not UTF-8"),
    "byte order mark": (lambda b: b"\xef\xbb\xbf" + b, "not JSON"),
    "trailing newline": (lambda b: b + b"\n", "not canonical"),
    "white space": (lambda b: b.replace(b":", b": ", 1), "not canonical"),
    "escaped letter": (lambda b: b.replace(b'"payload"', b'"\\u0070ayload"', 1), "not canonical"),
    "members reordered": (
        lambda b: (
            b'{"payloadType":"%s",' % PAYLOAD_TYPE.encode()
            + b[1:].replace(b',"payloadType":"%s"' % PAYLOAD_TYPE.encode(), b"")
        ),
        "not canonical",
    ),
    "member twice": (lambda b: b'{"payload":"AAAA",' + b[1:], "twice"),
    "extra member": (lambda b: b[:-1] + b',"x":1}', "unknown member"),
    "an array": (lambda b: b"[" + b + b"]", "in place of an object"),
    "deep nesting": (lambda b: b"[" * 100_000, "nested too deeply"),
    "NaN": (lambda b: b[:-1] + b',"z":NaN}', "NaN is not JSON"),
    "other payload type": (lambda b: b.replace(b"v1+json", b"v2+json"), "not an attestation of this version"),
    "payload not base64": (lambda b: b.replace(b'"payload":"', b'"payload":"*', 1), "not canonical base64"),
    "too large": (lambda b: b + b" " * (1 << 20), "too many"),
}


@pytest.mark.parametrize("name", BYTES)
def test_malformed_bytes(world: World, name: str) -> None:
    change, reason = BYTES[name]
    assert_malformed(check(world, change(world.build().attestation)), reason)


POINTS = {
    "another length": ("ab" * 47, "hexadecimal"),
    "identity": ("c0" + "00" * 47, "identity"),
    "identity with the sign flag": ("e0" + "00" * 47, "identity"),
    "not compressed": ("17" + "00" * 47, "not a compressed point"),
    "not reduced": (
        "9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
        "not reduced",
    ),
    "off the curve": ("80" + "00" * 46 + "01", "not on the curve"),
    "outside the subgroup": ("80" + "00" * 46 + "04", "not in the prime-order subgroup"),
}


@pytest.mark.parametrize("name", POINTS)
def test_malformed_points(world: World, name: str) -> None:
    point, reason = POINTS[name]
    bad = resigned(world.build().attestation, world.key, lambda p: p["columns"].update(commitments=[point]))
    assert_malformed(check(world, bad), reason)


def put(*path: str, value: Any) -> Callable[[Payload], None]:
    def change(document: Payload) -> None:
        for member in path[:-1]:
            document = document[member]
        document[path[-1]] = value

    return change


PAYLOADS: dict[str, tuple[Callable[[Payload], Any], str]] = {
    "schema of another version": (
        put("schema", value="riskproof/attestation/v3"),
        "not an attestation of this version",
    ),
    "member missing": (lambda p: p.pop("kernel"), "'kernel' is missing"),
    "member unknown": (put("comment", value="x"), "unknown member"),
    "boolean for a time": (put("issued_at", value=True), "not an integer"),
    "expires before it is issued": (put("expires_at", value=ISSUED), "expires before"),
    "lives for ever": (put("expires_at", value=ISSUED + 10**9), "lives too long"),
    "audience empty": (put("audience", value=""), "printable"),
    "nonce with a control character": (put("nonce", value="a\u0000"), "printable"),
    "digest in upper case": (lambda p: p.update(array_digest=p["array_digest"].upper()), "hexadecimal"),
    "digest too short": (lambda p: p.update(chain=p["chain"][2:]), "hexadecimal"),
    "root not reduced": (put("positions_root", value="ff" * 32), "not a reduced field element"),
    "capacity not a power of two": (put("tree_capacity", value=300), "not a capacity"),
    "capacity below the registry": (put("tree_capacity", value=4), "not a capacity"),
    "registry size for more columns": (put("registry_size", value=256 + 1), "not a capacity"),
    "column size not served": (put("columns", "size", value=128), "column size"),
    "column left out": (put("columns", "commitments", value=[]), "at least one of them live"),
    "only column retired": (put("columns", value={"size": 256, "retired": [0], "commitments": []}), "live"),
    "retired column out of range": (put("columns", "retired", value=[1]), "retired"),
    "signers twice": (lambda p: p.update(signers=p["signers"] * 2), "one twice"),
    "no signers": (put("signers", value=[]), "no signer"),
    "signer not a thumbprint": (put("signers", value=["venue-a-key"]), "base64url"),
    "policy unknown": (put("disclosure", "policy", value="all"), "unknown policy"),
    "policy none with figures": (put("disclosure", "policy", value="none"), "unknown member"),
    "policy array without figures": (put("disclosure", "policy", value="array"), "'pnl_micros' is missing"),
    "two grids": (put("disclosure", "grid", value={"significant_digits": 2, "step_micros": "1"}), "one of the two"),
    "no grid": (put("disclosure", "grid", value={}), "one of the two"),
    "grid of step zero": (put("disclosure", "grid", value={"step_micros": "0"}), "out of range"),
    "margin as a number": (put("disclosure", "initial_margin_micros", value=1), "printable string"),
    "margin with a leading zero": (put("disclosure", "initial_margin_micros", value="01"), "canonical integer"),
    "margin minus zero": (put("disclosure", "initial_margin_micros", value="-0"), "canonical integer"),
    "margin with a fraction": (put("disclosure", "initial_margin_micros", value="1.5"), "canonical integer"),
    "margin beyond 64 bits": (put("disclosure", "initial_margin_micros", value="9300000000000000000"), "64-bit"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_malformed_payloads(world: World, name: str) -> None:
    change, reason = PAYLOADS[name]
    assert_malformed(check(world, resigned(world.build().attestation, world.key, change)), reason)


def test_payload_signed_but_not_canonical(world: World) -> None:
    payload = encoding.canonical_json(payload_of(world.build().attestation))
    for bad in (payload.replace(b":", b": ", 1), b'{"x":1.0,' + payload[1:], b'{"x":9007199254740992,' + payload[1:]):
        assert check(world, signed(bad, world.key)).outcome is Outcome.MALFORMED


def signature_vectors(world: World) -> dict[str, tuple[bytes, str]]:
    payload = encoding.canonical_json(payload_of(world.build().attestation))
    key_id, good = world.key.key_id, world.key.sign(pre_authentication_encoding(payload))
    other = SigningKey.generate(VENUE)
    high_s = good[:32] + (int.from_bytes(good[32:], "little") + L).to_bytes(32, "little")
    b64 = encoding.to_base64(good)
    plain = envelope(payload, (key_id, good)).decode()
    return {
        "63 bytes": (envelope(payload, (key_id, good[:63])), "malformed: 63 bytes"),
        "none": (envelope(payload), "malformed: no signature"),
        "same key twice": (envelope(payload, (key_id, good), (key_id, good)), "malformed: one key twice"),
        "url alphabet": (
            plain.replace(b64, b64.replace("+", "-").replace("/", "_").rstrip("=")).encode(),
            "malformed: base64",
        ),
        "trailing bits": (plain.replace(b64, b64[:-3] + chr(ord(b64[-3]) + 1) + "==").encode(), "malformed: base64"),
        "key id missing": (plain.replace(f'"keyid":"{key_id}",', "").encode(), "malformed: 'keyid' is missing"),
        "bit flipped": (envelope(payload, (key_id, bytes([good[0] ^ 1]) + good[1:])), "invalid: wrong signature"),
        "s not reduced": (envelope(payload, (key_id, high_s)), "invalid: wrong signature"),
        "all zero": (envelope(payload, (key_id, bytes(64))), "invalid: wrong signature"),
        "over the bare payload": (envelope(payload, (key_id, world.key.sign(payload))), "invalid: wrong signature"),
        "over another type": (
            envelope(payload, (key_id, world.key.sign(pre_authentication_encoding(payload, "text/plain")))),
            "invalid: wrong signature",
        ),
        "by another key under this id": (
            envelope(payload, (key_id, other.sign(pre_authentication_encoding(payload)))),
            "invalid: wrong signature",
        ),
        "by a key that the payload does not name": (signed(payload, other), "invalid: not by the keys"),
        "one more than the payload names": (signed(payload, world.key, other), "invalid: not by the keys"),
    }


def test_signature_vectors(world: World) -> None:
    for name, (attestation, expected) in signature_vectors(world).items():
        outcome, reason = expected.split(": ")
        verdict = check(world, attestation)
        assert verdict.outcome.value == outcome, name
        assert reason in verdict.reason, (name, verdict.reason)
        assert verdict.failed_check == (Check.SIGNATURE if outcome == "invalid" else None), name


def test_unknown_key(world: World) -> None:
    assert_invalid(
        check(world, world.build().attestation, keys=KeySet(())), Check.SIGNATURE, "no signature by a known key"
    )


# ---- several signatures ----------------------------------------------------------------------------------------------


def test_two_signatures(world: World) -> None:
    second = SigningKey.generate(VENUE)
    attestation = build_attestation(world.request(), world.key, second).attestation
    both = KeySet((world.key.public, second.public))
    assert check(world, attestation, keys=both, required_signatures=2).outcome is Outcome.VALID
    one = check(world, attestation)
    assert one.outcome is Outcome.VALID
    assert f"signature by unknown key {second.key_id} not checked" in one.notes
    assert_invalid(check(world, attestation, required_signatures=2), Check.SIGNATURE, "1 signatures by known keys, 2")
    # neither a signature can be dropped nor a known one be wrong
    payload = encoding.canonical_json(payload_of(attestation))
    assert_invalid(check(world, signed(payload, world.key), keys=both), Check.SIGNATURE, "not by the keys")
    message = pre_authentication_encoding(payload)
    pairs = sorted([(world.key.key_id, world.key.sign(message)), (second.key_id, bytes(64))])
    assert_invalid(check(world, envelope(payload, *pairs), keys=both), Check.SIGNATURE, "wrong signature by key")
    assert_malformed(check(world, envelope(payload, *pairs[::-1]), keys=both), "not sorted by key id")
    # one of two keys compromised: the other one still vouches
    revoked = both.revoked(second.key_id, ISSUED + 1, RevocationReason.COMPROMISED)
    verdict = check(world, attestation, keys=revoked)
    assert verdict.outcome is Outcome.VALID
    assert any("revoked (compromised)" in note for note in verdict.notes)
    assert_invalid(check(world, attestation, keys=revoked, required_signatures=2), Check.KEY, "compromised")


def test_cosigner_of_another_venue_does_not_count(world: World) -> None:
    auditor = SigningKey.generate("auditor")
    attestation = build_attestation(world.request(), world.key, auditor).attestation
    both = KeySet((world.key.public, auditor.public))
    assert check(world, attestation, keys=both).outcome is Outcome.VALID
    assert_invalid(check(world, attestation, keys=KeySet((auditor.public,))), Check.VENUE, "'auditor'")
    assert_invalid(check(world, attestation, keys=both, required_signatures=2), Check.VENUE, "speaks for 'venue-a'")


# ---- keys, venue, time, audience, nonce, snapshot ------------------------------------------------------------------------


def test_rotation_keeps_old_attestations(world: World) -> None:
    attestation = world.build().attestation
    new = SigningKey.generate(VENUE)
    old = replace(world.key.public, not_before=ISSUED - 100, expires=ISSUED + 1)
    rotated = KeySet((new.public, old)).revoked(old.key_id, ISSUED + 1, RevocationReason.SUPERSEDED)
    assert check(world, attestation, keys=rotated).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"not_before": ISSUED + 1}, "valid from"),
        ({"expires": ISSUED}, "expired at"),
        ({"revoked_at": ISSUED, "reason": RevocationReason.SUPERSEDED}, "was superseded at"),
        ({"revoked_at": ISSUED + 10**6, "reason": RevocationReason.COMPROMISED}, "revoked (compromised)"),
        ({"revoked_at": ISSUED + 10**6, "reason": RevocationReason.UNSPECIFIED}, "revoked (unspecified)"),
    ],
)
def test_check_2_key(world: World, change: dict[str, Any], reason: str) -> None:
    keys = KeySet((replace(world.key.public, **change),))
    assert_invalid(check(world, world.build().attestation, keys=keys), Check.KEY, reason)


def test_check_3_venue(world: World) -> None:
    attestation = world.build().attestation
    keys = KeySet((replace(world.key.public, venue="venue-b"),))
    assert_invalid(check(world, attestation, keys=keys), Check.VENUE, "its keys belong to 'venue-b'")
    assert_invalid(check(world, attestation, venue="venue-b"), Check.VENUE, "expects 'venue-b'")
    assert check(world, attestation, venue=VENUE).outcome is Outcome.VALID


def test_checks_4_and_5_time(world: World) -> None:
    attestation = world.build(ttl=100).attestation
    assert check(world, attestation, now=ISSUED - 10).outcome is Outcome.VALID
    assert_invalid(check(world, attestation, now=ISSUED - 11), Check.NOT_YET_VALID, "issued at")
    assert_invalid(check(world, attestation, now=ISSUED - 1, clock_tolerance=0), Check.NOT_YET_VALID, "issued at")
    assert check(world, attestation, now=ISSUED + 109).outcome is Outcome.VALID
    assert_invalid(check(world, attestation, now=ISSUED + 110), Check.EXPIRED, "expired at")
    assert check(world, attestation, now=ISSUED + 99, clock_tolerance=0).outcome is Outcome.VALID
    assert_invalid(check(world, attestation, now=ISSUED + 100, clock_tolerance=0), Check.EXPIRED, "expired at")


@pytest.mark.parametrize("member", ["audience", "nonce"])
def test_checks_6_and_7_audience_and_nonce(world: World, member: str) -> None:
    number = Check.AUDIENCE if member == "audience" else Check.NONCE
    named, unnamed = world.build().attestation, world.build(**{member: None}).attestation
    assert_invalid(check(world, named, **{member: "other"}), number, "expects 'other'")
    assert_invalid(check(world, named, **{member: None}), number, "the verifier gave none")
    assert_invalid(check(world, unnamed), number, f"names no {member}")
    assert check(world, unnamed, **{member: None}).outcome is Outcome.VALID


def test_check_8_snapshot_age(world: World) -> None:
    built = world.build(max_snapshot_age=None)
    verdict = check(world, built.attestation)
    assert "nobody set a limit on the snapshot's age: it was 60 s at issue" in verdict.notes
    assert check(world, built.attestation, max_snapshot_age=60).outcome is Outcome.VALID
    assert_invalid(
        check(world, built.attestation, max_snapshot_age=59), Check.SNAPSHOT_AGE, "the verifier tolerates 59 s"
    )
    stale = resigned(built.attestation, world.key, put("max_snapshot_age_seconds", value=59))
    assert_invalid(check(world, stale), Check.SNAPSHOT_AGE, "60 s old at issue, the attestation tolerates 59 s")
    future = resigned(built.attestation, world.key, put("snapshot_time", value=ISSUED + 11))
    assert_invalid(check(world, future), Check.SNAPSHOT_AGE, "11 s after the attestation")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("disclosure", "maintenance_margin_micros", value="-1"), "negative"),
        (put("disclosure", "initial_margin_micros", value="0"), "below maintenance"),
        (put("disclosure", "initial_margin_micros", value="990000000000001"), "not on the grid"),
    ],
)
def test_check_9_figures(world: World, change: Callable[[Payload], None], reason: str) -> None:
    attestation = resigned(world.build().attestation, world.key, change)
    assert_invalid(check(world, attestation), Check.DISCLOSED_FIGURES, reason)


# ---- with a market -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "number", "reason"),
    [
        (put("registry_digest", value="00" * 32), Check.REGISTRY, "registry digest"),
        (put("registry_size", value=7), Check.REGISTRY, "registry size"),
        (put("registry_root", value="00" * 32), Check.REGISTRY, "instrument tree"),
        (put("columns", "size", value=512), Check.REGISTRY, "column size"),
        (put("numeraire", value="EUR"), Check.REGISTRY, "numeraire"),
        (put("snapshot_digest", value="00" * 32), Check.SNAPSHOT, "snapshot digest"),
        (put("snapshot_time", value=TIME + 1), Check.SNAPSHOT, "snapshot time"),
        (put("model", "name", value="my-model"), Check.MODEL, "no model 'my-model' ships"),
        (put("model", "digest", value="00" * 32), Check.MODEL, "risk model: attested"),
        (put("kernel", value="black76-float/1"), Check.ARRAY, "kernel 'black76-float/1'"),
        (put("array_digest", value="00" * 32), Check.ARRAY, "risk array: attested 00"),
        (put("disclosure", "worst_scenario", value="p-90"), Check.DISCLOSED_SCENARIOS, "no scenario 'p-90'"),
    ],
)
def test_market_checks(world: World, change: Callable[[Payload], None], number: Check, reason: str) -> None:
    attestation = resigned(world.build().attestation, world.key, change)
    assert check(world, attestation).outcome is Outcome.VALID  # only the market shows it
    assert_invalid(check(world, attestation, market=world.market_bytes), number, reason)


def test_check_11_later_snapshot_of_the_same_registry(world: World) -> None:
    later = small_market(time=TIME + 1).to_bytes()
    assert_invalid(check(world, world.build().attestation, market=later), Check.SNAPSHOT, "snapshot digest")


def test_check_12_other_model_given(world: World) -> None:
    built = world.build()
    other = replace(load_model("crypto-pm"), name="other").to_bytes()
    assert_invalid(check(world, built.attestation, market=world.market_bytes, model=other), Check.MODEL, "given other")
    same = load_model("crypto-pm").to_bytes()
    assert check(world, built.attestation, market=world.market_bytes, model=same).outcome is Outcome.VALID


def test_check_14_retired_columns(old_world: World) -> None:
    built = old_world.build(retired=(0,))
    full = check(old_world, built.attestation, market=old_world.market_bytes, opening=built.opening)
    assert full.outcome is Outcome.VALID, full.reason
    assert full.attestation is not None
    assert full.attestation.columns.live == (1,)
    live = resigned(built.attestation, old_world.key, put("columns", "retired", value=[1]))
    assert_invalid(check(old_world, live, market=old_world.market_bytes), Check.RETIRED_COLUMNS, "BTC has not expired")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["pnl_micros"].pop(), "P&Ls for the"),
        (lambda d: d.update(pnl_micros=[*d["pnl_micros"][:-1], "-990000000000000"]), "another one is worse"),
        (lambda d: d.update(maintenance_margin_micros="0", initial_margin_micros="0"), "initial margin does not cover"),
        (lambda d: d.update(maintenance_margin_micros="0"), "maintenance margin does not cover"),
    ],
)
def test_check_15_disclosed_array(world: World, change: Callable[[Payload], Any], reason: str) -> None:
    built = world.build(policy=Policy.ARRAY)
    attestation = resigned(built.attestation, world.key, lambda p: change(p["disclosure"]))
    assert_invalid(check(world, attestation, market=world.market_bytes), Check.DISCLOSED_SCENARIOS, reason)


def test_malformed_market_and_model(world: World) -> None:
    built = world.build()
    assert_malformed(check(world, built.attestation, market=b"{}"), "market")
    assert_malformed(check(world, built.attestation, market=world.market_bytes[:-1]), "not JSON")
    assert_malformed(check(world, built.attestation, market=world.market_bytes + b" "), "not canonical")
    bad = world.market_bytes.replace(b'"volatility":"4', b'"volatility":"-4')
    assert_malformed(check(world, built.attestation, market=bad), "volatility is missing or out of range")
    assert_malformed(check(world, built.attestation, market=world.market_bytes, model=b"[]"), "model")


def test_exact_grid_discloses_exact_margins(world: World) -> None:
    built = world.build(grid=EXACT, policy=Policy.ARRAY)
    disclosure = payload_of(built.attestation)["disclosure"]
    assert disclosure["initial_margin_micros"] == str(world.risk.initial_margin_micros)
    assert disclosure["pnl_micros"] == [str(x) for x in world.risk.pnl_micros]
    assert check(world, built.attestation, market=world.market_bytes, opening=built.opening).outcome is Outcome.VALID


# ---- the caller's own mistakes are errors, not verdicts --------------------------------------------------------------------


def test_misuse_raises(world: World) -> None:
    attestation = world.build().attestation
    with pytest.raises(KeySetError, match="not JSON"):
        check(world, attestation, keys=b"{")
    for change in (
        {"clock_tolerance": -1},
        {"max_snapshot_age": -1},
        {"required_signatures": 0},
        {"now": -1},
        {"model": b"{}"},
    ):
        with pytest.raises(InputError, match=next(iter(change))):
            check(world, attestation, **change)
