"""Attacks between documents: replay, other times and audiences, accounts that must not be netted, identity and consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dishonest import (
    NOT_SHOWN,
    SMALL,
    R,
    ascending,
    asked_of,
    document,
    forge,
    forger,
    malformed,
    payload,
    refused,
    signed,
)
from proof_support import (
    AUDIENCE,
    HOLDER,
    ISSUED,
    NOW,
    TIME,
    Account,
    Venue,
    answer,
    book,
    challenge,
    judge,
    make_market,
)

from riskproof import encoding
from riskproof.attest.book import epoch_of
from riskproof.attest.consent import check_consent
from riskproof.attest.holder import ExclusiveWindow
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet, RevocationReason
from riskproof.attest.net_risk import UnsignedProof
from riskproof.commit.columns import Blinding
from riskproof.commit.identity import G_ID, H_ID
from riskproof.commit.points import parse_g1, point_bytes, scalar
from riskproof.errors import InputError, ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import Challenge, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import prove_same, verify_same
from riskproof.proof.transcript import Transcript
from riskproof.units import format_time
from riskproof.verify import Outcome
from riskproof.verify.net_risk import MarketCache, ProofVerdict, verify_proof

MALLORY = SigningKey.from_seed(bytes([66]) * 32, "holder")


@pytest.fixture(scope="module")
def both(short: Account, hedge: Account) -> list[Account]:
    return [short, hedge]


@pytest.fixture(scope="module")
def asked(both: list[Account]) -> Challenge:
    return asked_of(both)


@pytest.fixture(scope="module")
def proof(both: list[Account], asked: Challenge) -> bytes:
    return answer(asked, both)


def readdressed(proof: bytes, asked: Challenge) -> bytes:
    """The same proof, said to answer another challenge."""
    return replace(ProofDocument.from_bytes(proof), challenge_digest=asked.digest).to_bytes()


def test_the_proof_of_this_file_is_right(both: list[Account], asked: Challenge, proof: bytes) -> None:
    assert judge(proof, asked, both).outcome is Outcome.VALID


# ---- other challenges ----------------------------------------------------------------------------------------------------

ANOTHER_CHALLENGE: list[tuple[str, dict[str, Any]]] = [
    ("nonce", {"nonce": bytes([5]) * 32}),
    ("bound", {"bound_micros": 10**15}),
    ("bound one lower", {"bound_micros": -1}),
    ("expiry", {"expires_at": NOW + 7200}),
    ("time of issue", {"issued_at": NOW - 6}),
    ("skew", {"max_skew_seconds": 61}),
    ("numeraire", {"numeraire": "USD"}),
    ("slack bits", {"slack_bits": 64}),
    ("model", {"model": None, "model_name": "smaller"}),
]


@pytest.mark.parametrize(("what", "change"), ANOTHER_CHALLENGE, ids=[what for what, _ in ANOTHER_CHALLENGE])
def test_a_proof_replayed_for_another_challenge(
    both: list[Account], asked: Challenge, proof: bytes, what: str, change: dict[str, Any]
) -> None:
    """Refused as the answer to another challenge; and with the challenge's digest exchanged, as no proof of this one."""
    if what == "bound one lower":
        change = {"bound_micros": asked.bound_micros - 1}
    if what == "model":
        renamed = replace(SMALL, name="smaller")
        change = {"model": renamed, "model_name": "smaller", "model_digest": renamed.digest}
    other = replace(asked, **change)
    reason = f"^the proof answers challenge {asked.digest.hex()}, this one is {other.digest.hex()}$"
    refused(judge(proof, other, both), 40, reason)
    refused(judge(readdressed(proof, other), other, both), 55, NOT_SHOWN)


def test_a_proof_replayed_for_another_audience(both: list[Account], asked: Challenge, proof: bytes) -> None:
    other = replace(asked, audience="another lender")
    refused(judge(proof, other, both), 40, "^the proof answers challenge ")
    reason = "^the attestation of 'venue-.' is for 'lender', the challenge is of 'another lender'$"
    refused(judge(readdressed(proof, other), other, both), 45, reason)
    with pytest.raises(ProofError, match=r"^attestations: the attestation of 'venue-.' is for 'lender'"):
        answer(other, both)


def test_a_loss_proof_for_a_solvency_challenge(both: list[Account], asked: Challenge, proof: bytes) -> None:
    other = replace(asked, statement=StatementKind.SOLVENCY)
    malformed(
        judge(readdressed(proof, other), other, both), r"^proof: \d+ bytes \(expected \d+ bytes for this statement\)$"
    )


def test_a_challenge_that_expired(both: list[Account], asked: Challenge, proof: bytes) -> None:
    last = asked.expires_at - 1  # the verifier's own clock set the end
    fresh = [a.venue.attest(a.portfolio, ttl=86_400) for a in both]
    late = answer(asked, fresh)
    assert judge(late, asked, fresh, now=last).outcome is Outcome.VALID
    reason = f"^the challenge lives from {format_time(asked.issued_at)} until {format_time(asked.expires_at)}, it is "
    refused(judge(late, asked, fresh, now=last + 1), 41, reason + format_time(last + 1))
    first = asked.issued_at - 10  # and what serves it may be 10 seconds behind
    assert judge(late, asked, fresh, now=first).outcome is Outcome.VALID
    refused(judge(late, asked, fresh, now=first - 1), 41, reason + format_time(first - 1))


# ---- other attestations --------------------------------------------------------------------------------------------------


def test_an_attestation_left_out_or_added(both: list[Account], asked: Challenge, proof: bytes, venue_a: Venue) -> None:
    bob = venue_a.attest(book(venue_a.market), account="bob")
    for given in (both[:1], [*both, bob], [bob, both[1]], []):
        refused(
            judge(proof, asked, given), 42, "^the proof is over attestations [0-9a-f]{16}, [0-9a-f]{16}; given are "
        )


def test_an_attestation_given_twice(short: Account) -> None:
    asked = asked_of([short])
    proof = answer(asked, [short])
    refused(judge(proof, asked, [short, short]), 42, "^the proof is over attestations ")
    doubled = json.loads(proof)
    doubled["attestation_digests"] *= 2
    doubled["identity_proof"] = encoding.to_base64(bytes(80))
    malformed(judge(encoding.canonical_json(doubled), asked, [short, short]), "not in order, or one twice")
    with pytest.raises(ProofError, match=r"^attestations: an attestation is given twice"):
        answer(asked, [short, short])


def test_one_account_twice(short: Account, venue_a: Venue) -> None:
    """The same gains counted twice, from two attestations of one account with different books."""
    before = venue_a.attest(book(venue_a.market, BTC_100000_C=50_000))
    asked = asked_of([short, before])
    refused(
        judge(forge(asked, [short, before]), asked, [short, before]), 46, "^two attestations are of the same account$"
    )
    with pytest.raises(ProofError, match=r"^attestations: two attestations are of the same account"):
        answer(asked, [short, before])


def test_one_account_under_the_tags_of_two_epochs(short: Account, venue_a: Venue) -> None:
    epoch = epoch_of(ISSUED)
    before = venue_a.attest(book(venue_a.market, BTC_100000_C=50_000), epoch=epoch - 1)
    assert payload(before).holder.tag != payload(short).holder.tag  # type: ignore[union-attr]
    asked = asked_of([short, before])
    either = f"({epoch} and {epoch - 1}|{epoch - 1} and {epoch})"
    reason = f"^attestations of 'venue-a' have tags of epochs {either}: one account has two tags then$"
    refused(judge(forge(asked, [short, before]), asked, [short, before]), 46, reason)
    with pytest.raises(ProofError, match=r"^attestations: attestations of 'venue-a' have tags of epochs"):
        answer(asked, [short, before])


def test_two_accounts_of_one_venue_are_netted(short: Account, venue_a: Venue) -> None:
    other = venue_a.attest(book(venue_a.market, BTC_100000_C=50_000), account="alice-2")
    asked = asked_of([short, other])
    assert judge(answer(asked, [short, other]), asked, [short, other]).outcome is Outcome.VALID


def test_two_holders_keys(short: Account, venue_b: Venue) -> None:
    other = venue_b.attest(book(venue_b.market, BTC_100000_C=490_000), holder=MALLORY)
    asked = asked_of([short, other])
    with pytest.raises(ProofError, match=r"^attestations: the attestations bind different holder keys"):
        answer(asked, [short, other])
    both = [short, other]
    same = [signed(a, replace(payload(a), holder=replace(payload(a).holder, key=HOLDER.public.raw))) for a in both]  # type: ignore[type-var]
    read = ProofDocument.from_bytes(forge(asked, same))
    digests = tuple(a.built.digest for a in ascending(both))
    refused(
        judge(replace(read, attestation_digests=digests).to_bytes(), asked, both),
        47,
        "^the attestations bind different holder keys$",
    )


def test_a_venue_that_binds_its_own_key(short: Account) -> None:
    """It knows the opening, and could consent in the holder's name."""
    own = short.venue.key
    bound = signed(short, replace(payload(short), holder=replace(payload(short).holder, key=own.public.raw)))  # type: ignore[type-var]
    asked = asked_of([bound])
    proof = document(asked, [bound], *forger(asked, [bound]).prove(), holder=own)
    refused(
        judge(proof, asked, [bound]), 47, "^the holder's key is a venue's, which could consent in the holder's name$"
    )


def test_an_attestation_without_a_holder(short: Account) -> None:
    asked = asked_of([short])
    anonymous = signed(short, replace(payload(short), holder=None))
    read = ProofDocument.from_bytes(answer(asked, [short]))
    proof = replace(read, attestation_digests=(anonymous.built.digest,)).to_bytes()
    refused(judge(proof, asked, [anonymous]), 44, "^the attestation of 'venue-a' binds no holder$")


@pytest.mark.parametrize("what", ["issued", "priced"])
def test_attestations_too_far_apart(short: Account, venue_b: Venue, what: str) -> None:
    def other(seconds: int) -> Account:
        market = make_market(300, quantity_exponent=4, time=TIME - (seconds if what == "priced" else 0))
        at = ISSUED - (seconds if what == "issued" else 0)
        return Venue("venue-b", market).attest(book(market, BTC_100000_C=490_000), issued_at=at)

    asked = replace(asked_of([short, other(20)]), max_skew_seconds=20)
    near, far = [short, other(20)], [short, other(21)]
    assert judge(answer(asked, near), asked, near).outcome is Outcome.VALID
    refused(judge(forge(asked, far), asked, far), 50, f"^{what} 21 s apart, the challenge allows 20 s$")
    with pytest.raises(ProofError, match=rf"^attestations: {what} 21 s apart, the challenge allows 20 s"):
        answer(asked, far)


@pytest.mark.parametrize(
    ("start", "until"),
    [(None, None), (NOW - 4, NOW + 3600), (NOW - 5, NOW + 3594), (NOW - 3600, NOW - 5), (NOW + 3595, NOW + 7200)],
)
def test_an_exclusive_window_that_does_not_cover_the_challenge(
    venue_a: Venue, start: int | None, until: int | None
) -> None:
    lots = book(venue_a.market, BTC_100000_C=-50_000)
    window = None if start is None or until is None else ExclusiveWindow(start, until)
    account = venue_a.attest(lots, exclusive=window, ttl=7200)
    asked = replace(asked_of([account]), exclusive=True)
    exact = venue_a.attest(lots, exclusive=ExclusiveWindow(asked.issued_at, asked.expires_at))
    assert judge(answer(asked, [exact]), asked, [exact]).outcome is Outcome.VALID
    lives = f"from {format_time(asked.issued_at)} until {format_time(asked.expires_at)}"
    reason = f"^the attestation of 'venue-a' is not exclusive {lives}$"
    refused(judge(forge(asked, [account]), asked, [account]), 51, reason)
    with pytest.raises(ProofError, match=r"^attestations: the attestation of 'venue-a' is not exclusive from"):
        answer(asked, [account])


def in_numeraire(numeraire: str) -> Venue:
    """A venue like the second one that counts in another currency, of the same value."""
    market = make_market(300, quantity_exponent=4)
    registry = replace(market.registry, numeraire=numeraire)
    snapshot = replace(market.snapshot, registry_digest=registry.digest)
    return Venue("venue-b", Market(registry, snapshot))


def test_different_numeraires(short: Account) -> None:
    venue = in_numeraire("EUR")
    euros = venue.attest(book(venue.market, BTC_100000_C=490_000))
    asked = asked_of([short, euros])
    with pytest.raises(ProofError, match=r"^attestations: different numeraires: EUR, USD"):
        answer(asked, [short, euros])
    dollars = in_numeraire("USD").attest(book(venue.market, BTC_100000_C=490_000))
    proof = ProofDocument.from_bytes(answer(asked, [short, dollars]))
    digests = tuple(a.built.digest for a in ascending([short, euros]))
    proof = replace(proof, attestation_digests=digests)
    refused(judge(proof.to_bytes(), asked, [short, euros]), 48, "^different numeraires: EUR, USD$")


def test_the_challenges_numeraire(short: Account) -> None:
    asked = replace(asked_of([short]), numeraire="EUR")
    refused(judge(forge(asked, [short]), asked, [short]), 48, "^different numeraires: EUR, USD$")


def test_different_column_sizes(short: Account) -> None:
    venue = Venue("venue-b", make_market(column_size=512))
    other = venue.attest(book(venue.market, BTC_100000_C=490_000))
    asked = asked_of([short, other])
    with pytest.raises(ProofError, match=r"^attestations: different column sizes: 256, 512"):
        answer(asked, [short, other])
    digests = tuple(a.built.digest for a in ascending([short, other]))
    file = ProofDocument(asked.digest, digests, bytes(256), bytes(80), bytes(64)).to_bytes()
    refused(judge(file, asked, [short, other]), 49, "^different column sizes: 256, 512$")


def test_an_attestation_that_is_not_valid_by_itself(short: Account) -> None:
    asked = asked_of([short])
    proof = answer(asked, [short])
    long = replace(asked, expires_at=NOW + 86_400)
    late = answer(long, [short])
    refused(
        judge(late, long, [short], now=NOW + 3600),
        43,
        "^the attestation of 'venue-a': check 5, not expired: expired at ",
    )
    stranger = replace(short, venue=Venue("venue-z", short.venue.market))
    reason = "^the attestation of 'venue-a': check 1, signed by a known key: no signature by a known key$"
    refused(judge(proof, asked, [stranger]), 43, reason)

    def with_keys(keys: KeySet) -> Any:
        return verify_proof(proof, asked.to_bytes(), [short.attestation], [keys], [short.venue.market_bytes], now=NOW)

    key = short.venue.key
    stolen = KeySet((key.public,)).revoked(key.key_id, NOW, RevocationReason.COMPROMISED)
    refused(
        with_keys(stolen), 43, "^the attestation of 'venue-a': check 2, key valid .*: key .* is revoked .compromised."
    )
    other_venue = KeySet((replace(key.public, venue="venue-q"),))
    refused(with_keys(other_venue), 43, "^the attestation of 'venue-a': check 3, key belongs to the venue: ")


def test_more_than_one_signature_required(short: Account, hedge: Account) -> None:
    """Each attestation by itself: one that two keys signed does not make up for one that a single key signed."""
    second, auditor = SigningKey.generate("venue-a"), SigningKey.generate("auditor")

    def cosigned(key: SigningKey) -> Account:
        return short.venue.attest(short.portfolio, cosigners=[key])

    def judged(accounts: list[Account], keys: list[KeySet], required: int) -> ProofVerdict:
        asked = asked_of(accounts)
        return verify_proof(
            answer(asked, accounts),
            asked.to_bytes(),
            [a.attestation for a in accounts],
            keys,
            [a.venue.market_bytes for a in accounts],
            now=NOW,
            required_signatures=required,
        )

    twice, own = cosigned(second), short.venue.key.public
    both = KeySet((own, second.public))
    assert judged([twice], [both], 2).outcome is Outcome.VALID
    assert judged([twice], [KeySet((own,))], 1).outcome is Outcome.VALID
    one_known = "^the attestation of 'venue-a': check 1, signed by a known key: 1 signatures by known keys, 2 required$"
    refused(judged([twice], [KeySet((own,))], 2), 43, one_known)
    refused(judged([short], [both], 2), 43, one_known)
    refused(
        judged([cosigned(auditor)], [KeySet((own, auditor.public))], 2),
        43,
        "^the attestation of 'venue-a': check 3, key belongs to the venue: the attestation speaks for 'venue-a'",
    )
    refused(
        judged([twice, hedge], [both, hedge.venue.keys], 2),
        43,
        "^the attestation of 'venue-b': check 1, signed by a known key: 1 signatures by known keys, 2 required$",
    )
    with pytest.raises(InputError, match=r"^required_signatures: no signature required"):
        judged([short], [both], 0)


# ---- one person ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_people(short: Account, venue_b: Venue) -> list[Account]:
    """Two persons who share a key: one is short, the other is hedged."""
    return [short, venue_b.attest(book(venue_b.market, BTC_100000_C=490_000), account="mallory", identity="MALLORY")]


def test_two_peoples_books_under_one_challenge(two_people: list[Account]) -> None:
    asked = asked_of(two_people)
    with pytest.raises(
        ProofError, match=r"^attestations: the venues verified different identities: books of two persons"
    ):
        answer(asked, two_people)
    reason = "^the accounts are not shown to have one holder$"
    refused(judge(forge(asked, two_people), asked, two_people), 56, reason)


class MixOfOne(Transcript):
    """A transcript whose mix is known beforehand."""

    __slots__ = ()

    def challenge(self, label: str) -> int:
        drawn = super().challenge(label)
        return 1 if label == "identity-mix" else drawn


def test_identities_whose_differences_add_up_to_nothing() -> None:
    """2 x 5 - 6 - 4 = 0: three persons are one if the mix of the differences is known."""
    blindings = [Blinding.random() for _ in range(3)]
    commitments = [
        point_bytes(G_ID * scalar(identity) + H_ID * scalar(b.secret_value))
        for identity, b in zip((5, 6, 4), blindings, strict=True)
    ]
    assert verify_same(MixOfOne(), commitments, prove_same(MixOfOne(), blindings))
    assert not verify_same(Transcript(), commitments, prove_same(MixOfOne(), blindings))
    assert not verify_same(Transcript(), commitments, prove_same(Transcript(), blindings))
    one = [point_bytes(G_ID * scalar(5) + H_ID * scalar(b.secret_value)) for b in blindings]
    assert verify_same(Transcript(), one, prove_same(Transcript(), blindings))


def with_identity(proof: bytes, data: bytes) -> bytes:
    return replace(ProofDocument.from_bytes(proof), identity_proof=data).to_bytes()


def test_an_identity_proof_of_another_proof(both: list[Account], asked: Challenge, proof: bytes) -> None:
    other = ProofDocument.from_bytes(answer(asked, both)).identity_proof
    assert other is not None
    refused(judge(with_identity(proof, other), asked, both), 56, "^the accounts are not shown to have one holder$")


def test_an_identity_proof_of_other_accounts(
    two_people: list[Account], both: list[Account], asked: Challenge, proof: bytes
) -> None:
    asked_two = asked_of(two_people)
    core, transcript = forger(asked_two, two_people).prove()
    borrowed = ProofDocument.from_bytes(proof).identity_proof
    file = document(asked_two, two_people, core, transcript, identity_proof=borrowed)
    refused(judge(file, asked_two, two_people), 56, "^the accounts are not shown to have one holder$")


def test_an_identity_proof_that_is_missing_or_too_much(
    short: Account, both: list[Account], asked: Challenge, proof: bytes
) -> None:
    reason = r"^proof\.identity_proof: an identity proof goes with two attestations or more, and only with them$"
    malformed(judge(replace(ProofDocument.from_bytes(proof), identity_proof=None).to_bytes(), asked, both), reason)
    alone = asked_of([short])
    malformed(judge(with_identity(answer(alone, [short]), bytes(80)), alone, [short]), reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t, s: bytes([0xC0]) + bytes(47) + s, r"^identity_proof\.nonce: the identity "),
        (lambda t, s: bytes(48) + s, r"^identity_proof\.nonce: not a compressed point "),
        (
            lambda t, s: t + (int.from_bytes(s, "little") + R).to_bytes(32, "little"),
            r"^identity_proof\.response: .* not reduced",
        ),
        (lambda t, s: t + s + b"\x00", r"^proof\.identity_proof: 81 bytes \(expected 80 bytes\)$"),
        (lambda t, s: t, r"^proof\.identity_proof: 48 bytes \(expected 80 bytes\)$"),
    ],
)
def test_an_identity_proof_that_is_none(
    both: list[Account], asked: Challenge, proof: bytes, change: Callable[[bytes, bytes], bytes], reason: str
) -> None:
    data = ProofDocument.from_bytes(proof).identity_proof
    assert data is not None
    malformed(judge(with_identity(proof, change(data[:48], data[48:])), asked, both), reason)


def test_an_identity_proof_moved_along_its_line(both: list[Account], asked: Challenge, proof: bytes) -> None:
    """T + H_id and s + 1 satisfy the equation for the old challenge; T is hashed into the new one."""
    data = ProofDocument.from_bytes(proof).identity_proof
    assert data is not None
    moved = point_bytes(parse_g1(data[:48]) + H_ID) + (int.from_bytes(data[48:], "little") + 1).to_bytes(32, "little")
    refused(judge(with_identity(proof, moved), asked, both), 56, "^the accounts are not shown to have one holder$")


# ---- consent -------------------------------------------------------------------------------------------------------------


def with_signature(proof: bytes, signature: bytes) -> bytes:
    return replace(ProofDocument.from_bytes(proof), holder_signature=signature).to_bytes()


def test_the_signature_of_another_key(both: list[Account], asked: Challenge) -> None:
    core, transcript = forger(asked, both).prove()
    by_venue = document(asked, both, core, transcript, holder=both[0].venue.key)
    refused(judge(by_venue, asked, both), 57, "^not signed by the key that the attestations bind$")


def test_the_signature_over_another_proof(both: list[Account], asked: Challenge, proof: bytes) -> None:
    signature = ProofDocument.from_bytes(answer(asked, both)).holder_signature
    refused(
        judge(with_signature(proof, signature), asked, both), 57, "^not signed by the key that the attestations bind$"
    )


def test_a_malleated_signature(both: list[Account], asked: Challenge, proof: bytes) -> None:
    """S plus the order of the curve, and each bit of some bytes."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = ProofDocument.from_bytes(proof).holder_signature
    large = int.from_bytes(signature[32:], "little") + order
    changed = [signature[:32] + large.to_bytes(32, "little"), bytes(64), bytes([1]) + bytes(63)]
    changed += [signature[:i] + bytes([signature[i] ^ 1]) + signature[i + 1 :] for i in (0, 31, 32, 63)]
    for other in changed:
        refused(
            judge(with_signature(proof, other), asked, both), 57, "^not signed by the key that the attestations bind$"
        )
    malformed(judge(with_signature(proof, signature[:-1]), asked, both), r"^proof\.holder_signature: 63 bytes")


def test_a_proof_that_somebody_else_refreshed(both: list[Account], asked: Challenge, proof: bytes) -> None:
    """A venue knows the openings and makes another proof of the same; it cannot sign it."""
    made = ProofDocument.from_bytes(forge(asked, both))
    signature = ProofDocument.from_bytes(proof).holder_signature
    refused(judge(replace(made, holder_signature=signature).to_bytes(), asked, both), 57, "^not signed by the key")


# ---- documents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p + b" ", "not canonical JSON"),
        (lambda p: p + b"\n", "not canonical JSON"),
        (lambda p: b" " + p, "not canonical JSON"),
        (lambda p: p + p, "not JSON: Extra data"),
        (lambda p: p.replace(b'"schema":"riskproof/proof/v1"', b'"schema":"riskproof/proof/v2"'), "not a proof of this version"),
        (lambda p: p.replace(b'{"', b'{"a":1,"', 1), "unknown member 'a'"),
        (lambda p: p.replace(b'"proof":"', b'"proof":"AA'), "not canonical base64"),
        (lambda p: p.replace(b'=="', b'"'), "not canonical base64"),
        (lambda p: p.replace(b'"challenge_digest":"', b'"challenge_digest":"00'), "not lower-case hexadecimal"),
        (lambda p: b"", "not JSON"),
        (lambda p: b"[" * 100_000, "nested too deeply"),
        (lambda p: b"null", "NoneType in place of an object"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_proof(
    both: list[Account], asked: Challenge, proof: bytes, change: Callable[[bytes], bytes], reason: str
) -> None:
    malformed(judge(change(proof), asked, both), reason)


def test_files_too_large_to_be_read(both: list[Account], asked: Challenge, proof: bytes) -> None:
    """Refused before they are parsed."""
    large = b" " * (1 << 21) + b"x"
    malformed(judge(large, asked, both), r"^proof: 2097153 bytes are too many \(expected at most 2097152\)$")
    with pytest.raises(ProofError, match=r"^challenge: 2097153 bytes are too many \(expected at most 2097152\)$"):
        Challenge.from_bytes(large)


def test_digests_in_another_order(both: list[Account], asked: Challenge, proof: bytes) -> None:
    turned = json.loads(proof)
    turned["attestation_digests"].reverse()
    malformed(judge(encoding.canonical_json(turned), asked, both), "no attestation, not in order, or one twice")
    read = ProofDocument.from_bytes(proof)
    assert judge(proof, asked, both[::-1]).outcome is Outcome.VALID  # the caller's order does not matter
    assert read.attestation_digests == tuple(sorted(a.built.digest for a in both))


def test_more_attestations_than_are_served(short: Account, proof: bytes) -> None:
    asked = asked_of([short])
    made = readdressed(proof, asked)
    malformed(judge(made, asked, [short] * 65), r"^attestations: 65 attestations \(expected at most 64\)$")


# ---- the verifier's own model -------------------------------------------------------------------------------------------


def with_scenario(**changes: Any) -> bytes:
    """A challenge whose model has other members in its first scenario; a hostile verifier writes what our writer would refuse."""
    made = Challenge.new(audience=AUDIENCE, bound_micros=0, model=SMALL, now=NOW - 5).to_document()
    made["model"]["document"]["scenarios"][0] |= changes
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price_shock": "0.1234567890123"}, "price_shock: .* is finer than the unit 1e-12"),
        ({"price_shock": "1/3"}, "price_shock: not a plain decimal number: '1/3'"),
        ({"price_shock": "1e3"}, "price_shock: not a plain decimal number: '1e3'"),
        ({"price_shock": "9.000000000001"}, r"price_shock: 9\.000000000001 is out of range"),
        ({"price_shock": "1" + "0" * 30}, "price_shock: number does not fit a signed 64-bit integer"),
        ({"price_shock": 0.5}, "number with a fraction or exponent"),
        ({"price_shock": 1 << 60}, "integer beyond"),
        ({"vol_shock": "1000000"}, "vol_shock: 1000000 scaled by up to .* leaves the kernel's domain"),
        ({"time_shift_seconds": -1}, "time_shift_seconds: out of range"),
        ({"time_shift_seconds": 1 << 40}, "time_shift_seconds: out of range"),
        ({"id": SMALL.scenarios[1].id}, r"scenarios\[1\]\.id: p-25/v0 is listed twice"),
        ({"delta": "1"}, "unknown member 'delta'"),
    ],
)  # fmt: skip
def test_a_challenge_with_fractional_or_huge_coefficients(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProofError, match=f"^challenge.*{reason}"):
        Challenge.from_bytes(with_scenario(**change))


def test_a_model_that_is_not_the_one_of_its_digest() -> None:
    other = with_scenario(price_shock="-0.4")
    with pytest.raises(ProofError, match=r"^challenge\.model\.document: the document is another model"):
        Challenge.from_bytes(other)


def test_a_model_whose_zero_is_false() -> None:
    """To Python false is 0, so a model that was read before must not be found again by comparing trees."""
    shock = SMALL.scenarios[0]
    assert shock.time_shift_seconds == 0
    assert Challenge.from_bytes(with_scenario(time_shift_seconds=0)).model == SMALL
    with pytest.raises(
        ProofError, match=r"^challenge\.model\.document\.scenarios\[0\]\.time_shift_seconds: not an integer"
    ):
        Challenge.from_bytes(with_scenario(time_shift_seconds=False))


def test_coefficients_that_do_not_fit_64_bits() -> None:
    """Prices that fit, and whose ninefold does not."""
    market = make_market(spot=1_100_000)
    registry = replace(market.registry, money_exponent=12)
    venue = Venue("venue-a", Market(registry, replace(market.snapshot, registry_digest=registry.digest)))
    account = venue.attest(book(venue.market))
    steep = replace(SMALL, name="steep", scenarios=(replace(SMALL.scenarios[0], price_shock=9 * 10**12),))
    asked = replace(challenge(0, model=steep), model=steep)
    file = ProofDocument(asked.digest, (account.built.digest,), bytes(256), None, bytes(64)).to_bytes()
    refused(judge(file, asked, [account]), 54, r"^the rows cannot be computed: .* of one unit does not fit 64 bits")


def test_a_challenge_that_would_price_too_much(short: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """4096 scenarios of 8,207 instruments: refused before anything is priced, wherever a model meets a market."""
    many = tuple(replace(SMALL.scenarios[0], id=str(i)) for i in range(4096))
    model, market = replace(SMALL, name="many", scenarios=many), make_market(8_200)
    for module in ("riskproof.verify.market_cache", "riskproof.attest.net_risk", "riskproof.attest.consent"):
        monkeypatch.setattr(f"{module}.compute_array", lambda *_: pytest.fail("priced"))
    with pytest.raises(
        ProofError, match=r"^model: 4096 rows over 33 columns of 256 \(expected at most 4096 rows and 33554432"
    ):
        MarketCache().array(market, model)
    asked = replace(challenge(0, model=model), model=model)
    held = signed(
        short, replace(payload(short), registry_digest=market.registry.digest, snapshot_digest=market.snapshot.digest)
    )
    unsigned = UnsignedProof(asked.digest, (held.built.digest,), b"", None, b"", HOLDER.public.raw)
    with pytest.raises(ProofError, match=r"^model: 4096 rows over 33 columns of 256"):
        check_consent(unsigned, asked, [(held.attestation, market)])


def test_solvency_under_a_model_without_collateral(short: Account) -> None:
    bare = replace(SMALL, name="bare", collateral=None)
    asked = replace(
        asked_of([short], model=bare),
        statement=StatementKind.SOLVENCY,
        model_name="bare",
        model_digest=bare.digest,
        model=bare,
    )
    file = ProofDocument(asked.digest, (short.built.digest,), bytes(256), None, bytes(64)).to_bytes()
    refused(
        judge(file, asked, [short]),
        54,
        "^the rows cannot be computed: collateral: bare does not say what collateral is worth",
    )


def test_a_model_that_the_verifier_does_not_have(short: Account) -> None:
    asked = asked_of([short])
    proof = answer(asked, [short])
    missing = replace(asked, model=None)
    reason = r"^challenge\.model: no model small of the challenge's digest \(expected the document of [0-9a-f]{64}\)$"
    refused(judge(readdressed(proof, missing), missing, [short]), 53, reason)


def test_a_snapshot_older_than_the_model_allows(venue_a: Venue) -> None:
    account = venue_a.attest(book(venue_a.market, BTC_100000_C=50_000))
    fresh = replace(SMALL, name="fresh", max_snapshot_age_seconds=29)
    asked = asked_of([account], model=fresh)
    reason = "^the snapshot of 'venue-a' was 30 s old at issue, fresh allows 29 s$"
    refused(judge(forge(asked, [account]), asked, [account]), 53, reason)
