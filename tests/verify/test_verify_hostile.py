"""What an attacker tries: bytes that cost much, text that fools a terminal, books that are said in two ways, times out of reach."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from verify_support import AUDIENCE, ISSUED, NONCE, NOW, TIME, World, payload_of, resigned, signed, small_market

from riskproof import encoding, units
from riskproof.attest.book import AccountSecret, CommittedBook, FreshCommitments
from riskproof.attest.disclosure import disclose
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Policy
from riskproof.attest.registry_tree import _cached_tree
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.points import parse_g1
from riskproof.encoding import MAX_VALUES
from riskproof.errors import AttestationError, EncodingError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.verify import Check, Outcome, Verdict, verify_attestation, verify_disclosure


def check(world: World, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_attestation(attestation, **arguments)


def check_disclosure(world: World, disclosure: bytes, attestation: bytes, **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"keys": world.keys, "now": NOW, "audience": AUDIENCE, "nonce": NONCE} | changes
    return verify_disclosure(disclosure, attestation, **arguments)


# ---- bytes that cost much ------------------------------------------------------------------------------------------------


def test_long_member_name_over_many_values_costs_no_more_than_a_short_one(world: World) -> None:
    """The path of every value used to be written out: a name of half a megabyte over 250,000 values was 125 GB of copying."""

    def spent(name: bytes) -> float:
        data = b'{"%s":[%s]}' % (name, b",".join([b"0"] * 200_000))
        begin = time.process_time()
        verdict = check(world, data)
        assert verdict.outcome is Outcome.MALFORMED
        assert "is missing" in verdict.reason
        return time.process_time() - begin

    short = min(spent(b"a") for _ in range(3))
    assert min(spent(b"a" * 500_000) for _ in range(2)) < 6 * short


@pytest.mark.parametrize("value", [b"{}", b"[]", b"0", b'""'])
def test_values_are_counted_before_they_are_decoded(world: World, value: bytes) -> None:
    data = b"[" + b",".join([value] * (MAX_VALUES + 1)) + b"]"
    with pytest.raises(EncodingError, match="too many values"):
        encoding.parse_json(data)
    built = world.build()
    for arguments in ({"opening": data}, {"market": data}):
        verdict = check(world, built.attestation, **arguments)
        assert verdict.outcome is Outcome.MALFORMED
        assert "too many values" in verdict.reason


def test_largest_registry_is_below_the_number_of_values() -> None:
    """65,536 options: 12 separators each with their quotes, and one curve for every one of them 5 more."""
    world = small_market()
    one = len(world.registry) - 1
    option = encoding.canonical_json(world.registry.instruments[one].to_document())
    position = (option.count(b",") + 1) + (option.count(b"{") + 3) + 2 + 5
    assert 65_536 * position < MAX_VALUES


@pytest.mark.parametrize("name", ["\x1b[2J", "\x9b31m", "\u202egnp", "a\nvalid"])
def test_reason_of_malformed_bytes_is_printable(world: World, name: str) -> None:
    """The name of a member is the sender's; what a terminal or a log shows must be ours."""
    data = b"{" + encoding.canonical_json(name) + b":99999999999999999}"
    verdict = check(world, data)
    assert verdict.outcome is Outcome.MALFORMED
    assert "integer beyond 2^53 - 1" in verdict.reason
    assert verdict.reason.isprintable()


def test_registry_that_nobody_attested_is_not_kept(world: World) -> None:
    """Trees of registries are cached: only those that a signature names may take their place there."""
    market = world.market
    registry = replace(market.registry, instruments=(*market.registry.instruments[:-1],))
    snapshot = replace(market.snapshot, registry_digest=registry.digest, quotes=market.snapshot.quotes[:-1])
    attestation = world.build().attestation
    before = _cached_tree.cache_info()
    verdict = check(world, attestation, market=Market(registry, snapshot).to_bytes())
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.REGISTRY)
    assert "registry digest" in verdict.reason
    assert _cached_tree.cache_info() == before


# ---- one book, said in two ways ------------------------------------------------------------------------------------------


def retired_with_a_position(old_world: World) -> tuple[bytes, Opening]:
    """An attestation that leaves column 0 out, though the book holds 7 lots of index 3 in it."""
    book = CommittedBook(old_world.market.registry, Portfolio(((3, 7), (256, 2_000))), AccountSecret.random(), 0)
    built = old_world.build(book=book, policy=Policy.NONE)

    def retire(payload: dict[str, Any]) -> None:
        payload["columns"]["retired"] = [0]
        del payload["columns"]["commitments"][0]

    bad = resigned(built.attestation, old_world.key, retire)
    statement = check(old_world, bad).attestation
    assert statement is not None
    return bad, replace(Opening.from_bytes(built.opening), attestation_digest=statement.digest)


def test_check_32_position_in_a_retired_column(old_world: World) -> None:
    """The tree shows a position that the columns, of which proofs are made, leave out."""
    bad, opening = retired_with_a_position(old_world)
    shown = disclose(opening, ["BTC-OLD-3"]).to_bytes()
    assert check(old_world, bad).outcome is Outcome.VALID
    for market in (None, old_world.market_bytes):
        verdict = check_disclosure(old_world, shown, bad, market=market)
        assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.DISCLOSURE_POSITIONS)
        assert "retired column 0 holds a position in BTC-OLD-3" in verdict.reason
        assert verdict.positions == ()
    nothing = disclose(opening, ["BTC-OLD-4"], old_world.market.registry).to_bytes()
    assert check_disclosure(old_world, nothing, bad).outcome is Outcome.VALID


def test_retired_columns_are_noted_without_a_market(old_world: World) -> None:
    built = old_world.build(retired=(0,))
    note = "no market given: that the retired columns (0) have expired is the venue's word"
    assert note in check(old_world, built.attestation).notes
    assert note not in check(old_world, built.attestation, market=old_world.market_bytes).notes
    assert note not in check(old_world, old_world.build().attestation).notes


def test_check_10_quantity_exponent(world: World) -> None:
    """Lots alone say nothing: 2,000 lots are 2 BTC at exponent 3, and 2,000 BTC at 0. The venue signs which."""
    built = world.build()
    shown = disclose(Opening.from_bytes(built.opening), ["BTC"])
    verdict = check_disclosure(world, shown.to_bytes(), built.attestation)
    assert [(p.lots, p.quantity) for p in verdict.positions] == [(2_000, "2")]
    assert verdict.to_document()["positions"][0]["quantity"] == "2"
    other = resigned(built.attestation, world.key, lambda p: p.update(quantity_exponent=0))
    assert check(world, other).outcome is Outcome.VALID  # only the market shows it
    verdict = check(world, other, market=world.market_bytes)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.REGISTRY)
    assert "registry quantity exponent: attested 0, given 3" in verdict.reason
    for value in (13, -1, "3", True):
        bad = resigned(built.attestation, world.key, lambda p, v=value: p.update(quantity_exponent=v))  # type: ignore[misc]
        verdict = check(world, bad)
        assert verdict.outcome is Outcome.MALFORMED
        assert "quantity_exponent" in verdict.reason


@pytest.mark.parametrize("lots", ["02000", "2000.0", "2e3", "+2000", "92233720368547758070"])
def test_malformed_lots_are_not_repeated(world: World, lots: str) -> None:
    built = world.build()
    opening = built.opening.replace(b'"lots":"2000"', b'"lots":"%s"' % lots.encode())
    verdict = check(world, built.attestation, opening=opening)
    assert verdict.outcome is Outcome.MALFORMED
    assert "lots are not a canonical integer" in verdict.reason
    assert lots not in verdict.reason


# ---- times ---------------------------------------------------------------------------------------------------------------


def test_check_12_snapshot_older_than_the_model_allows(world: World) -> None:
    limit = world.model.max_snapshot_age_seconds
    late = {"issued_at": TIME + limit + 1, "max_snapshot_age": None}
    with pytest.raises(AttestationError, match=f"at most the {limit} s of crypto-pm"):
        world.build(**late)
    times = {"issued_at": TIME + limit + 1, "expires_at": TIME + limit + 101}

    def age(payload: dict[str, Any]) -> None:
        payload.update(times)
        del payload["max_snapshot_age_seconds"]

    old = resigned(world.build().attestation, world.key, age)
    now = TIME + limit + 10
    assert check(world, old, now=now).outcome is Outcome.VALID  # the model is not known without a market
    verdict = check(world, old, now=now, market=world.market_bytes)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.MODEL)
    assert f"{limit + 1} s old at issue, crypto-pm allows {limit} s" in verdict.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"expires_at": ISSUED}, "expires before it is issued"),
        ({"issued_at": ISSUED, "expires_at": units.TIME_MAX + 1}, "expires_at"),
        ({"issued_at": units.TIME_MAX + 1, "expires_at": units.TIME_MAX + 2}, "issued_at"),
        ({"snapshot_time": units.TIME_MAX + 1}, "snapshot_time"),
        ({"snapshot_time": 0}, "snapshot_time"),
        ({"max_snapshot_age_seconds": -1}, "max_snapshot_age_seconds"),
    ],
)
def test_malformed_times(world: World, change: dict[str, int], reason: str) -> None:
    """No later than the year 9999: every time of an attestation can be written as a date."""
    bad = resigned(world.build().attestation, world.key, lambda p: p.update(change))
    verdict = check(world, bad, now=2**63)
    assert verdict.outcome is Outcome.MALFORMED
    assert reason in verdict.reason


@pytest.mark.parametrize("now", [2**40, 2**63, 10**30])
def test_check_5_now_beyond_every_time(world: World, now: int) -> None:
    verdict = check(world, world.build().attestation, now=now)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.EXPIRED)
    assert verdict.reason.endswith("Z, it is after the year 9999")


# ---- keys and signatures -------------------------------------------------------------------------------------------------


def test_check_1_extra_signature_of_a_known_key_that_the_payload_does_not_name(world: World) -> None:
    other = SigningKey.generate(world.key.venue)
    attestation = world.build().attestation
    document = encoding.parse_json(attestation)
    extra = signed(encoding.from_base64(document["payload"], ""), world.key, other)
    verdict = check(world, extra, keys=KeySet((world.key.public, other.public)))
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.SIGNATURE)
    assert "not by the keys that the payload names" in verdict.reason


def test_check_3_another_venue_signs_in_the_name_of_this_one(world: World) -> None:
    """Venue B's key, named as the signer and known to the verifier, does not speak for venue A, alone or beside a stranger's."""
    b, stranger = SigningKey.generate("venue-b"), SigningKey.generate(world.key.venue)
    keys = KeySet((world.key.public, b.public))
    for signers in ((b,), (b, stranger)):
        payload = payload_of(world.build().attestation)
        payload["signers"] = sorted(k.key_id for k in signers)
        forged = signed(encoding.canonical_json(payload), *signers)
        verdict = check(world, forged, keys=keys)
        assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, Check.VENUE)
        assert "speaks for 'venue-a', its keys belong to 'venue-b'" in verdict.reason


# ---- blinding ------------------------------------------------------------------------------------------------------------


def test_fresh_commitments_from_several_threads_are_all_different_and_all_open(world: World) -> None:
    made: list[FreshCommitments] = []

    def work() -> None:
        made.extend(world.book.fresh() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 80
    for secret in ("root_salt", "blindings", "positions_root", "columns"):
        assert len({getattr(fresh, secret) for fresh in made}) == 80
    lots = np.zeros(len(world.market.registry), dtype=np.int64)
    for index, q in world.portfolio.positions:
        lots[index] = q
    basis = column_basis(256)
    assert all(basis.verify(parse_g1(f.columns[0]), lots, Blinding.from_bytes(f.blindings[0])) for f in made)
