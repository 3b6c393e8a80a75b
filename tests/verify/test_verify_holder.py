"""Attestations of version 2: what is malformed, what their openings must open, and what a verdict says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from verify_support import AUDIENCE, EPOCH, HOLDER, IDENTITY, ISSUED, NONCE, NOW, WINDOW, World, payload_of, resigned

from riskproof import encoding
from riskproof.attest import edwards
from riskproof.attest.disclosure import disclose
from riskproof.attest.opening import Opening
from riskproof.attest.payload import MAX_LIFETIME, Policy
from riskproof.commit.columns import Blinding
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.verify import Check, Outcome, Verdict, verify_attestation, verify_disclosure

Payload = dict[str, Any]


def check(world: World, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_attestation(attestation, **arguments)


def assert_malformed(verdict: Verdict, reason: str) -> None:
    assert (verdict.outcome, verdict.failed_check) == (Outcome.MALFORMED, None), verdict
    assert reason in verdict.reason


@pytest.mark.parametrize("policy", Policy)
def test_valid_for_every_policy(world: World, policy: Policy) -> None:
    built = world.build_held(policy=policy)
    bare = check(world, built.attestation)
    assert bare.outcome is Outcome.VALID, bare.reason
    assert [c.number for c in bare.checks] == list(range(1, 10))
    assert bare.attestation is not None
    assert bare.attestation.holder is not None
    assert (bare.attestation.holder.key, bare.attestation.holder.tag_epoch) == (HOLDER.public.raw, EPOCH)
    assert bare.attestation.exclusive == WINDOW
    assert bare.identity is None
    assert "identity" not in bare.to_document()
    assert IDENTITY not in json.dumps(bare.to_document())
    full = check(world, built.attestation, market=world.market_bytes, opening=built.opening)
    assert full.outcome is Outcome.VALID, full.reason
    assert [c.number for c in full.checks] == [*range(1, 16), *range(20, 27)]
    assert full.identity == full.to_document()["identity"] == IDENTITY
    assert IDENTITY not in repr(full)
    without_market = check(world, built.attestation, opening=built.opening)
    assert [c.number for c in without_market.checks] == [*range(1, 10), *range(20, 25), 26]


def test_disclosure_of_a_held_account(world: World) -> None:
    built = world.build_held()
    opened = disclose(Opening.from_bytes(built.opening), ["BTC"], world.market.registry).to_bytes()
    verdict = verify_disclosure(opened, built.attestation, world.keys, now=NOW, audience=AUDIENCE, nonce=NONCE)
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert IDENTITY.encode() not in opened


def test_a_payload_of_version_1_has_the_bytes_it_had(world: World) -> None:
    """Of version 2 without its two members and with the old schema: a payload of version 1, and the other way round."""
    built = world.build_held()
    document = payload_of(built.attestation)
    names = set(payload_of(world.build().attestation))
    assert set(document) == names | {"holder", "exclusive"}
    for member in ("holder", "exclusive"):
        del document[member]
    document["schema"] = "riskproof/attestation/v1"

    def old(payload: Payload) -> None:
        payload.clear()
        payload.update(document)

    assert check(world, resigned(built.attestation, world.key, old)).outcome is Outcome.VALID


# ---- malformed --------------------------------------------------------------------------------------------------------------


def put(*path: str, value: Any) -> Callable[[Payload], None]:
    def change(document: Payload) -> None:
        for member in path[:-1]:
            document = document[member]
        document[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[Payload], None]:
    def change(document: Payload) -> None:
        for member in path[:-1]:
            document = document[member]
        del document[path[-1]]

    return change


MALFORMED: dict[str, tuple[Callable[[Payload], Any], str]] = {
    "holder under version 1": (put("schema", value="riskproof/attestation/v1"), "payload: unknown member 'holder'"),
    "version 3": (
        put("schema", value="riskproof/attestation/v3"),
        "payload.schema: not an attestation of this version",
    ),
    "schema an array": (put("schema", value=["x"]), "payload.schema: not an attestation of this version"),
    "version 2 without a holder": (drop("holder"), "payload: member 'holder' is missing"),
    "version 2 without an audience": (drop("audience"), "payload: member 'audience' is missing"),
    "holder null": (put("holder", value=None), "payload.holder: NoneType in place of an object"),
    "holder with more": (put("holder", "name", value="x"), "payload.holder: unknown member 'name'"),
    "holder without its tag": (drop("holder", "tag"), "payload.holder: member 'tag' is missing"),
    "key of 31 bytes": (put("holder", "key", value="00" * 31), "payload.holder.key: not lower-case hexadecimal"),
    "key not canonical": (
        put("holder", "key", value="ff" * 32),
        "payload.holder.key: Ed25519 public key is not encoded",
    ),
    "key off the curve": (
        put("holder", "key", value="02" + "00" * 31),
        "payload.holder.key: Ed25519 public key is not a",
    ),
    "key the identity": (
        put("holder", "key", value="01" + "00" * 31),
        "payload.holder.key: Ed25519 public key is the id",
    ),
    "key of small order": (
        put("holder", "key", value=(edwards.P - 1).to_bytes(32, "little").hex()),
        "payload.holder.key: Ed25519 public key has small order",
    ),
    "identity of 47 bytes": (put("holder", "identity", value="ab" * 47), "payload.holder.identity: not lower-case hex"),
    "identity the identity": (
        put("holder", "identity", value="c0" + "00" * 47),
        "payload.holder.identity: the identity",
    ),
    "identity not compressed": (
        put("holder", "identity", value="17" + "00" * 47),
        "payload.holder.identity: not a compressed point",
    ),
    "identity off the curve": (
        put("holder", "identity", value="80" + "00" * 46 + "01"),
        "payload.holder.identity: not on the curve",
    ),
    "identity outside the subgroup": (
        put("holder", "identity", value="80" + "00" * 46 + "04"),
        "payload.holder.identity: not in the prime-order subgroup",
    ),
    "tag too long": (put("holder", "tag", value="00" * 33), "payload.holder.tag: not lower-case hexadecimal"),
    "tag epoch negative": (put("holder", "tag_epoch", value=-1), "payload.holder.tag_epoch: not an integer in range"),
    "tag epoch a string": (put("holder", "tag_epoch", value="3"), "payload.holder.tag_epoch: not an integer in range"),
    "tag epoch true": (put("holder", "tag_epoch", value=True), "payload.holder.tag_epoch: not an integer in range"),
    "exclusive null": (put("exclusive", value=None), "payload.exclusive: NoneType in place of an object"),
    "window without an end": (drop("exclusive", "until"), "payload.exclusive: member 'until' is missing"),
    "window with more": (put("exclusive", "for", value="x"), "payload.exclusive: unknown member 'for'"),
    "window empty": (put("exclusive", "until", value=ISSUED), "payload.exclusive.until: window is empty or too long"),
    "window backwards": (put("exclusive", "until", value=ISSUED - 1), "payload.exclusive.until: window is empty"),
    "window too long": (
        put("exclusive", "until", value=ISSUED + MAX_LIFETIME + 1),
        "payload.exclusive.until: window is empty or too long",
    ),
    "window from the beginning": (put("exclusive", "from", value=0), "payload.exclusive.from: time is out of range"),
    "window after the year 9999": (
        put("exclusive", value={"from": 253_402_300_799, "until": 253_402_300_800}),
        "payload.exclusive.until: time is out of range",
    ),
    "window of strings": (put("exclusive", "from", value="1"), "payload.exclusive.from: not an integer in range"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_payloads(world: World, name: str) -> None:
    change, reason = MALFORMED[name]
    built = world.build_held(exclusive=None) if name == "holder under version 1" else world.build_held()
    assert_malformed(check(world, resigned(built.attestation, world.key, change)), reason)


def test_exclusive_under_version_1_is_malformed(world: World) -> None:
    bad = resigned(world.build().attestation, world.key, put("exclusive", value=WINDOW.to_document()))
    assert_malformed(check(world, bad), "payload: unknown member 'exclusive'")


def test_longest_window_is_read(world: World) -> None:
    longest = resigned(
        world.build_held().attestation, world.key, put("exclusive", "until", value=ISSUED + MAX_LIFETIME)
    )
    assert check(world, longest).outcome is Outcome.VALID


# ---- the opening -----------------------------------------------------------------------------------------------------------


def test_check_26_identity(world: World) -> None:
    built = world.build_held()
    opening = Opening.from_bytes(built.opening)
    other = Blinding.random().to_bytes()
    for changes, reason in (
        ({"identity": IDENTITY + "x"}, "the identity is not the one that the attestation hides"),
        ({"identity": "somebody else"}, "the identity is not the one that the attestation hides"),
        ({"identity_blinding": other}, "the identity is not the one that the attestation hides"),
        ({"identity": None, "identity_blinding": None}, "the opening names no holder"),
    ):
        verdict = check(world, built.attestation, opening=replace(opening, **changes).to_bytes())  # type: ignore[arg-type]
        assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.OPENING_IDENTITY)
        assert reason in verdict.reason
        assert [c.number for c in verdict.checks] == [*range(1, 10), *range(20, 25)]
        assert verdict.identity is None
        for hidden in (IDENTITY, "somebody else", other.hex()):
            assert hidden not in str(verdict.to_document())


def test_check_26_of_an_attestation_without_a_holder(world: World) -> None:
    built = world.build()
    more = replace(Opening.from_bytes(built.opening), identity=IDENTITY, identity_blinding=Blinding.random().to_bytes())
    verdict = check(world, built.attestation, opening=more.to_bytes())
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.OPENING_IDENTITY)
    assert verdict.reason == "the opening names a holder, the attestation has none"


def test_opening_of_another_attestation_of_the_same_holder(world: World) -> None:
    one, two = world.build_held(), world.build_held()
    swapped = replace(
        Opening.from_bytes(one.opening),
        identity_blinding=Opening.from_bytes(two.opening).identity_blinding,
    )
    verdict = check(world, one.attestation, opening=swapped.to_bytes())
    assert verdict.failed_check == Check.OPENING_IDENTITY


OPENINGS: dict[str, tuple[Callable[[Payload], Any], str]] = {
    "identity under version 1": (put("schema", value="riskproof/opening/v1"), "opening: unknown member 'identity'"),
    "version 3": (put("schema", value="riskproof/opening/v3"), "opening.schema: not an opening of this version"),
    "identity left out": (drop("identity"), "opening: member 'identity' is missing"),
    "blinding left out": (drop("identity_blinding"), "opening: member 'identity_blinding' is missing"),
    "identity null": (put("identity", value=None), "opening.identity: not a printable string"),
    "identity empty": (put("identity", value=""), "opening.identity: not a printable string"),
    "identity too long": (put("identity", value="x" * 129), "opening.identity: not a printable string"),
    "identity with a control character": (put("identity", value="a\u0007"), "opening.identity: not a printable string"),
    "blinding of 31 bytes": (
        put("identity_blinding", value="00" * 31),
        "opening.identity_blinding: not lower-case hex",
    ),
    "blinding zero": (put("identity_blinding", value="00" * 32), "opening.identity_blinding: blinding is zero"),
    "blinding not reduced": (
        put("identity_blinding", value=BLS12_381_FR.modulus.to_bytes(32, "little").hex()),
        "opening.identity_blinding: field element is not reduced",
    ),
}


@pytest.mark.parametrize("name", OPENINGS)
def test_malformed_openings(world: World, name: str) -> None:
    change, reason = OPENINGS[name]
    built = world.build_held()
    document = json.loads(built.opening)
    change(document)
    assert_malformed(check(world, built.attestation, opening=encoding.canonical_json(document)), reason)


def test_version_2_opening_without_an_identity_under_version_1_attestation(world: World) -> None:
    built = world.build()
    document = json.loads(built.opening) | {"schema": "riskproof/opening/v2"}
    verdict = check(world, built.attestation, opening=encoding.canonical_json(document))
    assert_malformed(verdict, "opening: member 'identity' is missing")


def test_half_an_identity_is_never_written(world: World) -> None:
    opening = Opening.from_bytes(world.build_held().opening)
    with pytest.raises(AssertionError, match="go together"):
        replace(opening, identity_blinding=None).to_bytes()
