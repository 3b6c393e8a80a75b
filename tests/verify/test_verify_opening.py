"""Openings and disclosures: honest ones recompute to the last integer, every other one fails at its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from verify_support import AUDIENCE, NONCE, NOW, World, resigned

from riskproof import encoding
from riskproof.attest.book import AccountSecret, CommittedBook
from riskproof.attest.disclosure import Disclosure, disclose
from riskproof.attest.opening import OpenedPosition, Opening
from riskproof.attest.payload import Policy
from riskproof.errors import AttestationError, UnknownInstrumentError
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument
from riskproof.verify import Check, Outcome, Verdict, verify_attestation, verify_disclosure


def check(world: World, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_attestation(attestation, **arguments)


def check_disclosure(world: World, disclosure: bytes, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_disclosure(disclosure, attestation, **arguments)


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def moved(position: OpenedPosition, **changes: Any) -> OpenedPosition:
    return replace(position, **changes)


def first(o: Opening, **changes: Any) -> tuple[OpenedPosition, ...]:
    return (moved(o.positions[0], **changes), *o.positions[1:])


def renamed(instrument: Instrument) -> Instrument:
    return replace(instrument, name=instrument.name + "X")


OPENINGS: dict[str, tuple[Callable[[Opening], Opening], Check, str]] = {
    "of another attestation": (
        lambda o: replace(o, attestation_digest=flip(o.attestation_digest)),
        Check.OPENING_ACCOUNT,
        "another attestation",
    ),
    "another registry": (
        lambda o: replace(o, registry_digest=flip(o.registry_digest)),
        Check.OPENING_ACCOUNT,
        "another registry version",
    ),
    "another size": (lambda o: replace(o, registry_size=7), Check.OPENING_ACCOUNT, "another size"),
    "another capacity": (lambda o: replace(o, tree_capacity=512), Check.OPENING_ACCOUNT, "another capacity"),
    "another account": (lambda o: replace(o, account_id="client-8"), Check.OPENING_ACCOUNT, "the account is not"),
    "another account salt": (
        lambda o: replace(o, account_salt=flip(o.account_salt)),
        Check.OPENING_ACCOUNT,
        "the account is not",
    ),
    "another sequence": (lambda o: replace(o, sequence=o.sequence + 1), Check.OPENING_CHAIN, "sequence and previous"),
    "another previous digest": (
        lambda o: replace(o, previous_digest=flip(o.previous_digest)),
        Check.OPENING_CHAIN,
        "sequence and previous",
    ),
    "another chain salt": (lambda o: replace(o, chain_salt=flip(o.chain_salt)), Check.OPENING_CHAIN, "sequence"),
    "another root salt": (lambda o: replace(o, root_salt=flip(o.root_salt)), Check.OPENING_ROOT, "positions root"),
    "another epoch": (lambda o: replace(o, epoch_secret=flip(o.epoch_secret)), Check.OPENING_ROOT, "positions root"),
    "one lot more": (
        lambda o: replace(o, positions=first(o, lots=o.positions[0].lots + 1)),
        Check.OPENING_ROOT,
        "positions root",
    ),
    "sign turned": (
        lambda o: replace(o, positions=first(o, lots=-o.positions[0].lots)),
        Check.OPENING_ROOT,
        "positions root",
    ),
    "position left out": (lambda o: replace(o, positions=o.positions[1:]), Check.OPENING_ROOT, "positions root"),
    "position at another index": (
        lambda o: replace(o, positions=(*o.positions[:1], moved(o.positions[1], index=2), *o.positions[2:])),
        Check.OPENING_ROOT,
        "positions root",
    ),
    "another blinding": (
        lambda o: replace(o, blindings=(flip(o.blindings[0]),)),
        Check.OPENING_COLUMNS,
        "not those of column 0",
    ),
    "a blinding left out": (lambda o: replace(o, blindings=()), Check.OPENING_COLUMNS, "0 blindings for 1"),
    "another name": (
        lambda o: replace(o, positions=first(o, instrument=renamed(o.positions[0].instrument))),
        Check.OPENING_INSTRUMENTS,
        "is not at index 0",
    ),
    "other terms": (
        lambda o: replace(o, positions=first(o, instrument=replace(o.positions[0].instrument, unit=1))),
        Check.OPENING_INSTRUMENTS,
        "is not at index 0",
    ),
    "path of another index": (
        lambda o: replace(o, positions=first(o, path=o.positions[1].path)),
        Check.OPENING_INSTRUMENTS,
        "is not at index 0",
    ),
    "path too short": (
        lambda o: replace(o, positions=first(o, path=o.positions[0].path[:-1])),
        Check.OPENING_INSTRUMENTS,
        "index 0",
    ),
    "path too long": (
        lambda o: replace(o, positions=first(o, path=(*o.positions[0].path, bytes(32)))),
        Check.OPENING_INSTRUMENTS,
        "index 0",
    ),
}


@pytest.mark.parametrize("name", OPENINGS)
def test_opening_vectors(world: World, name: str) -> None:
    change, number, reason = OPENINGS[name]
    built = world.build()
    verdict = check(world, built.attestation, opening=change(Opening.from_bytes(built.opening)).to_bytes())
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, number), verdict
    assert reason in verdict.reason


MALFORMED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda b: b[:-2], "not JSON"),
    "not canonical": (lambda b: b + b" ", "not canonical"),
    "lots zero": (lambda b: b.replace(b'"lots":"2000"', b'"lots":"0"'), "zero lots"),
    "lots as a number": (lambda b: b.replace(b'"lots":"2000"', b'"lots":2000'), "printable string"),
    "lots beyond 64 bits": (lambda b: b.replace(b'"lots":"2000"', b'"lots":"9223372036854775808"'), "64-bit"),
    "index outside": (lambda b: b.replace(b'"index":5', b'"index":6'), "not an integer in range"),
    "index twice": (lambda b: b.replace(b'"index":5', b'"index":4'), "one twice"),
    "sequence 1 with a previous digest": (
        lambda b: b.replace(b'"sequence":4', b'"sequence":1'),
        "the first attestation",
    ),
    "blinding zero": (
        lambda b: b.replace(encoding.canonical_json(Opening.from_bytes(b).blindings[0].hex()), b'"%s"' % (b"00" * 32)),
        "blinding",
    ),
    "blinding not reduced": (
        lambda b: b.replace(encoding.canonical_json(Opening.from_bytes(b).blindings[0].hex()), b'"%s"' % (b"ff" * 32)),
        "blinding",
    ),
    "root salt not reduced": (
        lambda b: replace(Opening.from_bytes(b), root_salt=b"\xff" * 32).to_bytes(),
        "root salt",
    ),
    "kind unknown": (lambda b: b.replace(b'"kind":"spot"', b'"kind":"gold"'), "not one of the choices"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_openings(world: World, name: str) -> None:
    change, reason = MALFORMED[name]
    built = world.build()
    bad = change(built.opening)
    assert bad != built.opening
    verdict = check(world, built.attestation, opening=bad)
    assert verdict.outcome is Outcome.MALFORMED, verdict
    assert reason in verdict.reason
    assert "2000" not in verdict.reason


def test_check_23_retired_column_that_holds_something(old_world: World) -> None:
    book = CommittedBook(old_world.market.registry, Portfolio(((3, 7), (256, 2_000))), AccountSecret.random(), 0)
    with pytest.raises(AttestationError, match="cannot be retired"):
        old_world.build(book=book, retired=(0,), policy=Policy.NONE)
    built = old_world.build(book=book, policy=Policy.NONE)

    def retire(payload: dict[str, Any]) -> None:
        payload["columns"]["retired"] = [0]
        del payload["columns"]["commitments"][0]

    bad = resigned(built.attestation, old_world.key, retire)
    statement = check(old_world, bad).attestation
    assert statement is not None
    opening = Opening.from_bytes(built.opening)
    opening = replace(opening, attestation_digest=statement.digest, blindings=opening.blindings[1:])
    verdict = check(old_world, bad, opening=opening.to_bytes(), market=old_world.market_bytes)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.OPENING_COLUMNS)
    assert "retired column 0 holds positions" in verdict.reason


@pytest.mark.parametrize(
    ("member", "value", "what"),
    [
        ("initial_margin_micros", "990000000000000", "initial margin"),
        ("maintenance_margin_micros", "0", "maintenance margin"),
        ("worst_scenario", "p+0/v0", "worst scenario"),
    ],
)
def test_check_25_wrong_figures(world: World, member: str, value: str, what: str) -> None:
    built = world.build()
    if member == "worst_scenario":
        value = next(s.id for s in world.model.scenarios if s.id != world.risk.worst_id)
    bad = resigned(built.attestation, world.key, lambda p: p["disclosure"].update({member: value}))
    statement = check(world, bad).attestation
    assert statement is not None
    opening = replace(Opening.from_bytes(built.opening), attestation_digest=statement.digest).to_bytes()
    without = check(world, bad, opening=opening)
    assert without.outcome is Outcome.VALID
    assert "no market given: P&L and margin not recomputed" in without.notes
    verdict = check(world, bad, opening=opening, market=world.market_bytes)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.OPENING_RISK), verdict
    assert verdict.reason.startswith(what)


def test_check_25_one_grid_step_of_one_scenario(world: World) -> None:
    built = world.build(policy=Policy.ARRAY)

    def shift(payload: dict[str, Any]) -> None:
        pnl = [int(x) for x in payload["disclosure"]["pnl_micros"]]
        place = pnl.index(max(pnl))
        pnl[place] = world.request().grid.down(pnl[place] - 1, "P&L")
        payload["disclosure"]["pnl_micros"] = [str(x) for x in pnl]

    bad = resigned(built.attestation, world.key, shift)
    statement = check(world, bad).attestation
    assert statement is not None
    opening = replace(Opening.from_bytes(built.opening), attestation_digest=statement.digest).to_bytes()
    verdict = check(world, bad, opening=opening, market=world.market_bytes)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.OPENING_RISK)
    best = max(range(len(world.risk.pnl)), key=world.risk.pnl.__getitem__)
    assert verdict.reason.startswith(f"P&L of {world.model.scenarios[best].id}: attested ")


# ---- disclosures ---------------------------------------------------------------------------------------------------------


def test_disclosure_of_holdings_and_of_nothing(world: World) -> None:
    built = world.build()
    opening = Opening.from_bytes(built.opening)
    one = disclose(opening, ["BTC-100000-C"])
    verdict = check_disclosure(world, one.to_bytes(), built.attestation)
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert [c.number for c in verdict.checks] == [*range(1, 10), 30, 31, 32]
    assert [(p.index, p.instrument.name, p.lots) for p in verdict.positions] == [(4, "BTC-100000-C", -5_000)]
    assert verdict.to_document()["positions"][0]["lots"] == "-5000"
    with pytest.raises(UnknownInstrumentError, match="no position in 'BTC-FUTURE'"):
        disclose(opening, ["BTC-FUTURE"])
    several = disclose(opening, ["BTC-FUTURE", "BTC", "BTC-120000-C"], world.market.registry)
    verdict = check_disclosure(world, several.to_bytes(), built.attestation, market=world.market_bytes)
    assert verdict.outcome is Outcome.VALID, verdict.reason
    assert [p.lots for p in verdict.positions] == [2_000, 0, 12_000]
    assert Disclosure.from_bytes(several.to_bytes()) == several
    for hidden in (b"-5000", b"-70000000", opening.epoch_secret.hex().encode(), opening.account_salt.hex().encode()):
        assert hidden not in several.to_bytes()


DISCLOSURES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another attestation": (lambda d: d.update(attestation_digest="00" * 32), "30"),
    "another name": (lambda d: d["positions"][0]["instrument"].update(name="BTC-90000-C"), "31"),
    "another strike": (lambda d: d["positions"][0]["instrument"].update(strike="1000000000000"), "31"),
    "instrument at another index": (lambda d: d["positions"][0].update(index=3), "31"),
    "instrument path cut": (lambda d: d["positions"][0].update(path=d["positions"][0]["path"][64:]), "31"),
    "one lot less": (lambda d: d["positions"][0].update(lots="-4999"), "32"),
    "lots as another residue": (lambda d: d["positions"][0].update(lots="5000"), "32"),
    "another tree root": (lambda d: d.update(tree_root="01" + "00" * 31), "32"),
    "another root salt": (lambda d: d.update(root_salt="01" + "00" * 31), "32"),
    "another leaf salt": (lambda d: d["positions"][0].update(leaf_salt="01" + "00" * 31), "32"),
    "nodes exchanged": (lambda d: d["nodes"].reverse(), "32"),
    "tree root not reduced": (lambda d: d.update(tree_root="ff" * 32), "malformed"),
    "root salt not reduced": (lambda d: d.update(root_salt="ff" * 32), "malformed"),
    "leaf salt not reduced": (lambda d: d["positions"][0].update(leaf_salt="ff" * 32), "malformed"),
    "node not reduced": (lambda d: d["nodes"].__setitem__(0, "ff" * 32), "malformed"),
    "node left out": (lambda d: d["nodes"].pop(), "malformed"),
    "node too many": (lambda d: d["nodes"].append("00" * 32), "malformed"),
    "position twice": (lambda d: d["positions"].append(d["positions"][0]), "malformed"),
    "no positions": (lambda d: d["positions"].clear(), "malformed"),
    "lots beyond 64 bits": (lambda d: d["positions"][0].update(lots="9223372036854775808"), "malformed"),
    "extra member": (lambda d: d.update(x=1), "malformed"),
    "another schema": (lambda d: d.update(schema="riskproof/disclosure/v2"), "malformed"),
}


@pytest.mark.parametrize("name", DISCLOSURES)
def test_disclosure_vectors(world: World, name: str) -> None:
    change, expected = DISCLOSURES[name]
    built = world.build()
    document = encoding.parse_json(disclose(Opening.from_bytes(built.opening), ["BTC-100000-C"]).to_bytes())
    change(document)
    verdict = check_disclosure(world, encoding.canonical_json(document), built.attestation)
    if expected == "malformed":
        assert (verdict.outcome, verdict.failed_check) == (Outcome.MALFORMED, None), verdict
    else:
        assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, int(expected)), verdict
    assert verdict.positions == ()


def test_disclosure_of_an_inner_node_as_a_leaf(world: World) -> None:
    """Leaf and node have different arity: a path that starts one level up proves nothing."""
    built = world.build()
    d = disclose(Opening.from_bytes(built.opening), ["BTC-100000-C"])
    p = d.positions[0]
    cut = replace(d, nodes=d.nodes[1:], positions=(replace(p, leaf_salt=d.nodes[0]),))
    verdict = check_disclosure(world, cut.to_bytes(), built.attestation)
    assert verdict.outcome is not Outcome.VALID


def test_disclosure_fails_with_its_attestation(world: World) -> None:
    built = world.build()
    d = disclose(Opening.from_bytes(built.opening), ["BTC"]).to_bytes()
    assert check_disclosure(world, d, built.attestation, audience="other").failed_check == Check.AUDIENCE
    assert check_disclosure(world, d, b"{}").outcome is Outcome.MALFORMED
    again = world.build()
    assert check_disclosure(world, d, again.attestation).failed_check == Check.DISCLOSURE_ATTESTATION
