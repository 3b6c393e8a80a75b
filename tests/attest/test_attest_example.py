"""The worked example of docs/attestation.md, made from the inputs that it states, byte for byte.

The attestation in it is of the first release: it must verify for ever.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from riskproof.attest.book import AccountSecret
from riskproof.attest.disclosure import disclose
from riskproof.attest.envelope import Envelope, pre_authentication_encoding
from riskproof.attest.holder import ExclusiveWindow, HolderBinding, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.opening import OpenedPosition, Opening
from riskproof.attest.payload import (
    Attestation,
    Columns,
    Disclosed,
    Policy,
    attestation_digest,
    blinded_account,
    chain_commitment,
)
from riskproof.attest.registry_tree import registry_tree
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.identity import commit_identity
from riskproof.commit.merkle import positions_root, tree_root
from riskproof.commit.points import point_bytes
from riskproof.encoding import from_base64url
from riskproof.market.registry import Instrument, Kind, Payoff, Registry
from riskproof.proof.grid import COARSE
from riskproof.units import PRICE_ONE
from riskproof.verify import Check, Outcome, verify_attestation, verify_disclosure

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "attestation.md"
NOW = 1_768_382_700
# RFC 8032, section 7.1, TEST 2
HOLDER_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
IDENTITY = "5493001KJTIIGC8Y1R12"


def example() -> dict[str, bytes]:
    """Every block of the worked example by its name."""
    key = SigningKey.from_seed(from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "", 32), "venue-a")
    registry = Registry(
        "USD",
        (
            Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE),
            Instrument("BTC-PERPETUAL", Kind.PERPETUAL, "BTC", Payoff.INVERSE, PRICE_ONE),
            Instrument("ETH", Kind.SPOT, "ETH", Payoff.LINEAR, PRICE_ONE),
        ),
    )
    lots = np.array([2_000, -70_000_000, 0], dtype=np.int64)
    secret = AccountSecret(bytes(range(32)))
    epoch_secret = secret.epoch_secret(3)
    account_salt, chain_salt, root_salt, blinding = (bytes([b]) * 32 for b in (1, 2, 3, 4))
    previous = bytes([5]) * 32
    root = tree_root(lots, epoch_secret, 256)
    column = column_basis(256).commit(lots, Blinding.from_bytes(blinding))
    statement = Attestation(
        venue="venue-a",
        signers=(key.key_id,),
        account=blinded_account("client-7", account_salt),
        chain=chain_commitment(12, previous, chain_salt),
        issued_at=1_768_382_600,
        expires_at=1_768_386_200,
        audience="lender",
        nonce="7f3a",
        numeraire="USD",
        quantity_exponent=3,
        registry_digest=registry.digest,
        registry_size=3,
        registry_root=registry_tree(registry).root,
        snapshot_digest=hashlib.sha256(b"snapshot").digest(),
        snapshot_time=1_768_382_553,
        max_snapshot_age_seconds=3600,
        model_name="crypto-pm",
        model_digest=hashlib.sha256(b"model").digest(),
        kernel="example/1",
        array_digest=hashlib.sha256(b"array").digest(),
        positions_root=positions_root(root, root_salt),
        tree_capacity=256,
        columns=Columns(256, (), (point_bytes(column),)),
        disclosed=Disclosed.of(
            Policy.MARGIN,
            COARSE,
            initial_margin_micros=51_234_567_891,
            maintenance_margin_micros=40_987_654_313,
            worst_scenario="p-50/v+",
            pnl_micros=(),
        ),
    )
    payload = statement.to_bytes()
    message = pre_authentication_encoding(payload)
    tree = registry_tree(registry)
    opening = Opening(
        attestation_digest=attestation_digest(payload),
        account_id="client-7",
        account_salt=account_salt,
        sequence=12,
        previous_digest=previous,
        chain_salt=chain_salt,
        registry_digest=registry.digest,
        registry_size=3,
        tree_capacity=256,
        root_salt=root_salt,
        epoch_secret=epoch_secret,
        blindings=(blinding,),
        positions=tuple(
            OpenedPosition(i, int(lots[i]), registry.instruments[i], tree.audit_path(i)) for i in range(3) if lots[i]
        ),
    )
    held = replace(
        statement,
        holder=HolderBinding(
            key=HOLDER_KEY,
            identity=commit_identity(IDENTITY, Blinding.from_bytes(bytes([6]) * 32)),
            tag=account_tag(secret, "lender", 3),
            tag_epoch=3,
        ),
        exclusive=ExclusiveWindow(1_768_382_600, 1_768_386_200),
    )
    held_message = pre_authentication_encoding(held.to_bytes())
    held_opening = replace(
        opening, attestation_digest=held.digest, identity=IDENTITY, identity_blinding=bytes([6]) * 32
    )
    return {
        "keys": KeySet((key.public,)).to_bytes(),
        "payload": payload,
        "pae": message[:72],
        "digest": attestation_digest(payload).hex().encode(),
        "signature": key.sign(message).hex().encode(),
        "attestation": Envelope(payload, ((key.key_id, key.sign(message)),)).to_bytes(),
        "opening": opening.to_bytes(),
        "disclosure": disclose(opening, ["BTC-PERPETUAL", "ETH"], registry).to_bytes(),
        "held_payload": held.to_bytes(),
        "held_digest": held.digest.hex().encode(),
        "held_signature": key.sign(held_message).hex().encode(),
        "held_opening": held_opening.to_bytes(),
    }


def written() -> dict[str, bytes]:
    """The blocks as the page has them: fenced, each after a line that says `name`:."""
    if not DOCUMENT.exists():
        pytest.skip("docs/ is not beside the tests")
    pattern = re.compile(r"^`(\w+)`[^\n]*:\n\n```[a-z]*\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
    return {name: block.encode() for name, block in pattern.findall(DOCUMENT.read_text())}


def test_worked_example_is_what_its_inputs_make() -> None:
    assert written() == example()


def test_worked_example_verifies_for_ever() -> None:
    page = written()
    verdict = verify_attestation(
        page["attestation"], page["keys"], now=NOW, audience="lender", nonce="7f3a", opening=page["opening"]
    )
    assert verdict.outcome is Outcome.VALID, verdict
    assert [c.number for c in verdict.checks] == [*range(1, 10), *range(20, 25)]
    opened = verify_disclosure(
        page["disclosure"], page["attestation"], page["keys"], now=NOW, audience="lender", nonce="7f3a"
    )
    assert opened.outcome is Outcome.VALID, opened
    assert [(p.instrument.name, p.lots) for p in opened.positions] == [("BTC-PERPETUAL", -70_000_000), ("ETH", 0)]
    late = verify_attestation(page["attestation"], page["keys"], now=NOW + 3600, audience="lender", nonce="7f3a")
    assert late.failed_check == Check.EXPIRED


def test_worked_example_with_a_holder_verifies_for_ever() -> None:
    page = written()
    payload, signature = page["held_payload"], bytes.fromhex(page["held_signature"].decode())
    key = next(iter(KeySet.from_bytes(page["keys"])))
    attestation = Envelope(payload, ((key.key_id, signature),)).to_bytes()
    verdict = verify_attestation(
        attestation, page["keys"], now=NOW, audience="lender", nonce="7f3a", opening=page["held_opening"]
    )
    assert verdict.outcome is Outcome.VALID, verdict
    assert [c.number for c in verdict.checks] == [*range(1, 10), *range(20, 25), 26]
    assert verdict.identity == IDENTITY
    crossed = verify_attestation(
        attestation, page["keys"], now=NOW, audience="lender", nonce="7f3a", opening=page["opening"]
    )
    assert crossed.failed_check == Check.OPENING_ACCOUNT


def test_worked_example_opening_is_bound() -> None:
    page = written()
    opening = replace(Opening.from_bytes(page["opening"]), account_id="client-8").to_bytes()
    verdict = verify_attestation(
        page["attestation"], page["keys"], now=NOW, audience="lender", nonce="7f3a", opening=opening
    )
    assert verdict.failed_check == Check.OPENING_ACCOUNT
