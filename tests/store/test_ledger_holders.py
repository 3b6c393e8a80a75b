"""Who holds an account: appended, the last one counts, and an attestation binds nobody else."""

from __future__ import annotations

import pytest
from ledger_support import TIME, builder

from riskproof.errors import ConflictError, EncodingError, NotFoundError, StoreError, UnitError
from riskproof.store import GENESIS, HolderRecord, Ledger

LEI = "5493001KJTIIGC8Y1R12"


def record(ledger: Ledger, identity: str, account: str = "alice", at: int = TIME) -> HolderRecord:
    return ledger.set_holder(account, identity, recorded_by="ops", recorded_at=at)


def test_the_holder_recorded_last_counts(ledger: Ledger) -> None:
    assert record(ledger, LEI) == HolderRecord("alice", 1, LEI, "ops", TIME)
    assert (
        record(ledger, "Zoë & Söhne") == ledger.holder("alice") == HolderRecord("alice", 2, "Zoë & Söhne", "ops", TIME)
    )
    assert record(ledger, LEI).number == 3
    assert ledger.verify_integrity() == []


def test_the_same_identity_again_changes_nothing(ledger: Ledger) -> None:
    record(ledger, LEI)
    again = ledger.set_holder("alice", LEI, recorded_by="somebody else", recorded_at=TIME + 9)
    assert again == HolderRecord("alice", 1, LEI, "ops", TIME, replayed=True)
    assert ledger.holder("alice").number == 1


def test_holders_of_accounts_are_their_own(ledger: Ledger) -> None:
    ledger.open_account("bob")
    record(ledger, "A")
    record(ledger, "B", "bob")
    assert (ledger.holder("alice").identity, ledger.holder("bob").identity) == ("A", "B")
    assert (ledger.holder("alice").number, ledger.holder("bob").number) == (1, 1)


def test_the_identity_is_not_in_the_repr(ledger: Ledger) -> None:
    assert LEI not in repr(record(ledger, LEI))


def test_it_survives_a_restart(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.open_account("alice")
        record(ledger, LEI)
    with Ledger.open(url) as ledger:
        assert ledger.holder("alice").identity == LEI


def test_nobody_recorded_and_no_account_are_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match=r"nobody is recorded as the holder .*expected SetHolder first"):
        ledger.holder("alice")
    with pytest.raises(NotFoundError, match="no account 'eve'"):
        ledger.holder("eve")
    with pytest.raises(NotFoundError, match="no account 'eve'"):
        record(ledger, LEI, "eve")


@pytest.mark.parametrize(
    ("change", "error", "where"),
    [
        ({"identity": ""}, EncodingError, "identity"),
        ({"identity": "x" * 129}, EncodingError, "identity"),
        ({"identity": "two\nlines"}, EncodingError, "identity"),
        ({"identity": "\ud800"}, EncodingError, "identity"),
        ({"account_id": ""}, EncodingError, "account_id"),
        ({"recorded_by": ""}, EncodingError, "recorded_by"),
        ({"recorded_at": -1}, UnitError, "recorded_at"),
    ],
)
def test_what_is_malformed_is_refused(ledger: Ledger, change: dict, error: type[StoreError], where: str) -> None:
    whole = {"account_id": "alice", "identity": LEI, "recorded_by": "ops", "recorded_at": TIME} | change
    with pytest.raises(error) as refused:
        ledger.set_holder(**whole)
    assert type(refused.value) is error
    assert refused.value.where == where
    assert LEI not in str(refused.value)
    with pytest.raises(NotFoundError):
        ledger.holder("alice")


def test_an_attestation_binds_the_holder_recorded_last_or_is_not_made(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="nobody is recorded as the holder"):
        ledger.append_attestation("alice", "r", lambda _s, _p: pytest.fail("built"), holder=LEI)
    record(ledger, LEI)
    assert ledger.append_attestation("alice", "r", builder("r"), holder=LEI).sequence == 1
    record(ledger, "another")
    with pytest.raises(ConflictError, match="another holder of the account was recorded meanwhile") as refused:
        ledger.append_attestation("alice", "s", lambda _s, _p: pytest.fail("built"), holder=LEI)
    assert LEI not in str(refused.value)
    assert "another" not in str(refused.value).replace("another holder", "")
    assert ledger.append_attestation("alice", "s", builder("s"), holder="another").sequence == 2


def test_a_request_that_was_answered_is_answered_again_after_the_holder_changed(ledger: Ledger) -> None:
    record(ledger, LEI)
    first = ledger.append_attestation("alice", "r", builder("r"), holder=LEI)
    record(ledger, "another")
    again = ledger.append_attestation("alice", "r", lambda _s, _p: pytest.fail("built"), holder="another")
    assert (again.replayed, again.digest) == (True, first.digest)
    assert first.previous_digest == GENESIS
