"""Mutated attestations, openings and disclosures: none accepted, none crashing.

A mutation is accepted only if it changed nothing, which a canonical format makes the same as equal bytes. Of 100,000 mutants
(`-m slow`) and of 2,000 (always), each is either invalid with a number or malformed, and no exception gets out.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from verify_support import AUDIENCE, NONCE, NOW, World, payload_of, signed

from riskproof import encoding
from riskproof.attest.disclosure import disclose
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Policy
from riskproof.errors import KeySetError
from riskproof.verify import Check, Outcome, Verdict, verify_attestation, verify_disclosure

INTERESTING: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53, -(2**63), 2**64, 1.5, "", "0", "-0", "1", "-1", "1e3", "00", "a",
    "A" * 64, "0" * 64, "f" * 64, "ff" * 48, "c0" + "00" * 47, "\ud800", "\u0000", "9223372036854775807", "9223372036854775808",
    [], {}, [[]], {"x": 1}, "x" * 70_000, "é", "\U0001f600",
)  # fmt: skip


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """One to four edits of a byte string."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                if at < len(out):
                    out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at : at + rng.choice((1, 1, 2, 16, 200))]
            case 3:
                out[at:at] = rng.choice((b" ", b"\n", b"0", b"{", b"]", b'"', b"\\", b"\x00", b"\xc3\xa9", b"\xff"))
            case 4:
                end = rng.randrange(len(out) + 1)
                out[at:at] = out[min(at, end) : max(at, end)][:200]
            case 5:
                del out[at:]
            case _:
                end = at + rng.choice((1, 2, 8))
                out[at:end] = out[at:end][::-1]
        if not out:
            break
    return bytes(out)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(node, dict):
        for key, value in node.items():
            found += places(value, (*path, key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            found += places(value, (*path, i))
    return found


def changed_string(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    if text and rng.random() < 0.7:  # still of its type, so that the mutant gets past the parser
        if text.lstrip("-").isdecimal() and len(text) < 20:
            return str(int(text) + rng.choice((-1000, -1, 1, 1000)))
        at = rng.randrange(len(text))
        alphabet = "0123456789abcdef" if set(text) <= set("0123456789abcdef") else "abcXYZ059-_"
        return text[:at] + rng.choice(alphabet) + text[at + 1 :]
    match rng.randrange(5):
        case 0:
            return text[:at] + rng.choice("0123456789abcdefghijklmnopqrstuvwxyzABCDEF-_+/=. ") + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + rng.choice("0af-") + text[at:]
        case 3:
            return text[::-1]
        case _:
            return text.upper() if text != text.upper() else text + "0"


def mutated_document(document: Any, rng: random.Random) -> Any:
    """One edit of a JSON document: a member exchanged, removed, added, doubled, or nearly right."""
    document = copy.deepcopy(document)
    path = rng.choice(places(document)[1:])
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    last = path[-1]
    value = parent[last]
    match rng.randrange(12):
        case 0:
            parent[last] = copy.deepcopy(rng.choice(INTERESTING))
        case 1:
            del parent[last]
        case 2:
            if isinstance(parent, dict):
                parent[rng.choice(("x", "d", last + "x", last.upper()))] = value
            else:
                parent.insert(last, copy.deepcopy(value))
        case 3:
            other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
            parent[last], parent[other] = parent[other], value
        case 4 if isinstance(value, int):
            parent[last] = value + rng.choice((-1, 1, -256, 256, 2**32))
        case _:
            if isinstance(value, str):
                parent[last] = changed_string(value, rng)
            elif isinstance(value, int):
                parent[last] = str(value)
            else:
                parent[last] = [value]
    return document


def dumped(document: Any) -> bytes | None:
    """Canonical bytes, or Python's own where there is no canonical form; None if there are no bytes at all."""
    import json

    try:
        return encoding.canonical_json(document)
    except encoding.EncodingError:
        try:
            return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        except (TypeError, ValueError):
            return None


class Fuzz:
    """Mutants of one honest attestation with its opening and a disclosure."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng = world, random.Random(seed)
        self.stranger = SigningKey.generate("venue-a")
        self.built = [*(world.build(policy=policy) for policy in Policy), world.build_held()]
        self.disclosures = [
            disclose(Opening.from_bytes(b.opening), ["BTC", "BTC-FUTURE"], world.market.registry).to_bytes()
            for b in self.built
        ]
        self.model = world.model.to_bytes()
        self.seen: Counter[str] = Counter()

    def attest(self, attestation: bytes, **changes: Any) -> Verdict:
        arguments: dict[str, Any] = {
            "keys": self.world.keys,
            "now": NOW,
            "audience": AUDIENCE,
            "nonce": NONCE,
        } | changes
        return verify_attestation(attestation, **arguments)

    def refused(self, verdict: Verdict, kind: str) -> None:
        assert verdict.outcome is not Outcome.VALID, (kind, verdict)
        assert (verdict.failed_check is not None) == (verdict.outcome is Outcome.INVALID)
        assert verdict.reason
        number = verdict.failed_check
        self.seen[f"{kind} {verdict.outcome}" + (f" {number}" if number is not None else "")] += 1

    def _bytes_or_document(self, data: bytes) -> bytes | None:
        if self.rng.random() < 0.4:
            mutant: bytes | None = mutated_bytes(data, self.rng)
        else:
            mutant = dumped(mutated_document(encoding.parse_json(data), self.rng))
        return None if mutant == data else mutant

    def envelope(self) -> None:
        built = self.rng.choice(self.built)
        mutant = self._bytes_or_document(built.attestation)
        if mutant is not None:
            self.refused(self.attest(mutant), "envelope")

    def payload(self) -> None:
        """The payload changed under the old signature, or signed by a stranger who names itself."""
        document = payload_of(self.rng.choice(self.built).attestation)
        mutant = dumped(mutated_document(document, self.rng))
        if mutant is None or mutant == encoding.canonical_json(document):
            return
        envelope = encoding.parse_json(self.built[0].attestation)
        if self.rng.random() < 0.5:
            envelope["payload"] = encoding.to_base64(mutant)
            self.refused(self.attest(encoding.canonical_json(envelope)), "payload")
        else:
            self.refused(self.attest(signed(mutant, self.stranger)), "stranger's payload")

    def signed_payload(self) -> None:
        """The venue itself signs nonsense: never a crash; a member that still makes sense is the venue's word."""
        document = payload_of(self.rng.choice(self.built).attestation)
        mutant = dumped(mutated_document(document, self.rng))
        if mutant is not None and mutant != encoding.canonical_json(document):
            verdict = self.attest(signed(mutant, self.world.key), opening=self.built[0].opening)
            self.refused(verdict, "signed payload")  # its opening does not open it, whatever it says

    def opening(self) -> None:
        built = self.rng.choice(self.built)
        mutant = self._bytes_or_document(built.opening)
        if mutant is not None:
            self.refused(self.attest(built.attestation, opening=mutant), "opening")

    def holder(self) -> None:
        """What version 2 adds, which is little among the rest: signed by the venue without its opening, or in the opening."""
        built = self.built[-1]
        document, names = payload_of(built.attestation), ("holder", "exclusive")
        opened, more = encoding.parse_json(built.opening), ("identity", "identity_blinding")
        if self.rng.random() < 0.5:
            changed = mutated_document({name: document[name] for name in names}, self.rng)
            mutant = dumped({**{k: v for k, v in document.items() if k not in names}, **changed})
            if mutant is not None and mutant != encoding.canonical_json(document):
                verdict = self.attest(signed(mutant, self.world.key), opening=built.opening)
                self.refused(verdict, "holder")
        else:
            changed = mutated_document({name: opened[name] for name in more}, self.rng)
            mutant = dumped({**{k: v for k, v in opened.items() if k not in more}, **changed})
            if mutant is not None and mutant != built.opening:
                self.refused(self.attest(built.attestation, opening=mutant), "opened holder")

    def market(self) -> None:
        """A market or a model file that is not the attested one: the honest attestation does not fit it."""
        given = {"market": self.world.market_bytes, "model": self.model}
        which = self.rng.choice(list(given))
        mutant = self._bytes_or_document(given[which])
        if mutant is not None:
            self.refused(self.attest(self.built[0].attestation, **given | {which: mutant}), which)

    def disclosure(self) -> None:
        k = self.rng.randrange(len(self.built))
        mutant = self._bytes_or_document(self.disclosures[k])
        if mutant is not None:
            verdict = verify_disclosure(
                mutant, self.built[k].attestation, self.world.keys, now=NOW, audience=AUDIENCE, nonce=NONCE
            )
            self.refused(verdict, "disclosure")

    def run(self, count: int) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            self.envelope,
            self.payload,
            self.signed_payload,
            self.opening,
            self.holder,
            self.disclosure,
            self.market,
        )
        done = 0
        while done < count:
            before = sum(self.seen.values())
            self.rng.choice(kinds)()
            done += sum(self.seen.values()) - before


def test_two_thousand_mutants(world: World) -> None:
    fuzz = Fuzz(world, 20260114)
    fuzz.run(2_000)
    assert sum(fuzz.seen.values()) == 2_000
    for kind in ("envelope", "payload", "stranger's payload", "signed payload", "opening", "disclosure"):
        assert fuzz.seen[f"{kind} malformed"] > 0
    assert fuzz.seen["holder malformed"] > 0
    assert fuzz.seen[f"holder invalid {Check.OPENING_ACCOUNT.value}"] > 0
    assert fuzz.seen["opened holder malformed"] > 0
    assert fuzz.seen[f"opened holder invalid {Check.OPENING_IDENTITY.value}"] > 0
    for number in (Check.OPENING_ACCOUNT, Check.OPENING_CHAIN, Check.OPENING_ROOT, Check.OPENING_INSTRUMENTS):
        assert fuzz.seen[f"opening invalid {number.value}"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_hundred_thousand_mutants(world: World, seed: int) -> None:
    fuzz = Fuzz(world, seed)
    fuzz.run(10_000)
    print(sorted(fuzz.seen.items()))


def test_mutated_key_sets(world: World) -> None:
    """A verifier's own keys raise a typed error, or they are another key set: never another exception."""
    rng = random.Random(7)
    keys = world.keys.merged(KeySet((replace(SigningKey.generate("venue-b").public, not_before=1, expires=9),)))
    data, refused = keys.to_bytes(), 0
    document = encoding.parse_json(data)
    for i in range(1_000):
        mutant = mutated_bytes(data, rng) if i % 2 else dumped(mutated_document(document, rng))
        if mutant is not None:
            try:
                KeySet.from_bytes(mutant)
            except KeySetError:
                refused += 1
    assert refused > 800


def test_every_bit_of_a_signature_counts(world: World) -> None:
    attestation = world.build().attestation
    envelope = encoding.parse_json(attestation)
    signature = encoding.from_base64(envelope["signatures"][0]["sig"], "")
    for bit in range(512):
        envelope["signatures"][0]["sig"] = encoding.to_base64(
            (int.from_bytes(signature, "little") ^ 1 << bit).to_bytes(64, "little")
        )
        verdict = verify_attestation(
            encoding.canonical_json(envelope), world.keys, now=NOW, audience=AUDIENCE, nonce=NONCE
        )
        assert verdict.failed_check == Check.SIGNATURE


@pytest.mark.parametrize(
    "data", [b"\x00" * 1000, b"{}", b"[]", b"null", b"1", b'""', b"[" * 500, b'{"a":' * 200, b"\xef\xbb\xbf{}"]
)
def test_garbage_in_every_place(world: World, data: bytes) -> None:
    built = world.build()
    arguments: dict[str, Any] = {"now": NOW, "audience": AUDIENCE, "nonce": NONCE}
    for verdict in (
        verify_attestation(data, world.keys, **arguments),
        verify_attestation(built.attestation, world.keys, market=data, **arguments),
        verify_attestation(built.attestation, world.keys, market=world.market_bytes, model=data, **arguments),
        verify_attestation(built.attestation, world.keys, opening=data, **arguments),
        verify_disclosure(data, built.attestation, world.keys, **arguments),
        verify_disclosure(built.opening, data, world.keys, **arguments),
    ):
        assert verdict.outcome is Outcome.MALFORMED, verdict
