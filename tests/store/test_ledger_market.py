from __future__ import annotations

import dataclasses

import pytest
from ledger_support import TIME, registry

from riskproof import encoding
from riskproof.errors import InputError, ModelError, NotFoundError, RegistryError, SnapshotError
from riskproof.market.snapshot import Quote, Snapshot
from riskproof.store import Ledger


def snapshot(time: int = TIME, count: int = 4) -> Snapshot:
    book = registry(count)
    prices = {i.underlying: 10**12 for i in book.instruments}
    return Snapshot.build(book, time, "test", prices, [], {i.name: Quote(mark=10**12) for i in book.instruments})


def test_an_empty_ledger_has_neither_registry_nor_snapshot(url: str) -> None:
    with Ledger.open(url) as ledger:
        assert ledger.latest_registry() is None
        assert ledger.latest_snapshot() is None
        assert ledger.list_snapshots(10) == []
        assert ledger.list_models() == []
        assert ledger.accounts(10) == []


def test_registries_extend_one_another_and_stay(ledger: Ledger) -> None:
    first = registry(4).digest
    assert ledger.put_registry(registry(6)) == registry(6).digest
    assert ledger.latest_registry() == registry(6)
    assert ledger.registry(first) == registry(4)
    assert ledger.put_registry(registry(4)) == first  # known: left alone
    assert ledger.latest_registry() == registry(6)


def test_a_registry_that_drops_an_instrument_is_refused(ledger: Ledger) -> None:
    with pytest.raises(RegistryError, match="instruments were removed"):
        ledger.put_registry(registry(3))
    assert ledger.latest_registry() == registry(4)


def test_a_registry_that_moves_an_index_is_refused(ledger: Ledger) -> None:
    moved = dataclasses.replace(registry(4), instruments=registry(4).instruments[::-1])
    with pytest.raises(RegistryError, match="instrument 0 changed to XRP"):
        ledger.put_registry(moved)


def test_a_snapshot_comes_back_as_it_went_in(ledger: Ledger) -> None:
    digest = ledger.put_snapshot(snapshot())
    assert digest == snapshot().digest
    assert ledger.put_snapshot(snapshot()) == digest
    assert ledger.snapshot(digest) == snapshot()
    assert [entry.digest for entry in ledger.list_snapshots(10)] == [digest]


def test_the_latest_snapshot_is_the_one_published_last(ledger: Ledger) -> None:
    ledger.put_snapshot(snapshot(TIME + 60))
    ledger.put_snapshot(snapshot(TIME))
    latest = ledger.latest_snapshot()
    assert latest is not None
    assert latest.time == TIME
    ledger.put_snapshot(snapshot(TIME + 60))
    assert ledger.latest_snapshot() == latest


def test_snapshots_are_listed_in_pages_newest_first(ledger: Ledger) -> None:
    for k in range(5):
        ledger.put_snapshot(snapshot(TIME + k))
    page = ledger.list_snapshots(2)
    assert [entry.time for entry in page] == [TIME + 4, TIME + 3]
    page = ledger.list_snapshots(10, before=page[-1].number)
    assert [(entry.number, entry.time) for entry in page] == [(3, TIME + 2), (2, TIME + 1), (1, TIME)]
    assert {entry.registry_digest for entry in page} == {registry().digest}


def test_a_snapshot_of_an_unknown_registry_is_refused(ledger: Ledger) -> None:
    with pytest.raises(SnapshotError, match="not in the ledger"):
        ledger.put_snapshot(snapshot(count=5))


def test_a_snapshot_of_an_earlier_registry_version_is_welcome(ledger: Ledger) -> None:
    ledger.put_registry(registry(6))
    assert ledger.snapshot(ledger.put_snapshot(snapshot(count=4))) == snapshot(count=4)


def test_a_snapshot_that_does_not_fit_its_registry_is_refused(ledger: Ledger) -> None:
    wrong = dataclasses.replace(snapshot(), quotes=snapshot().quotes[:3])
    with pytest.raises(SnapshotError, match="3 quotes"):
        ledger.put_snapshot(wrong)
    assert ledger.latest_snapshot() is None


def test_models_are_kept_by_digest(ledger: Ledger) -> None:
    document = encoding.canonical_json({"schema": "model", "scenarios": ["1", "2"]})
    digest = encoding.digest(encoding.TAG_MODEL, document)
    assert ledger.put_model(document, "crypto-pm", digest) == digest
    assert ledger.put_model(document, "crypto-pm", digest) == digest
    assert (ledger.model(digest).name, ledger.model(digest).document) == ("crypto-pm", document)
    assert ledger.list_models() == [("crypto-pm", digest)]
    with pytest.raises(ModelError, match="known under another name"):
        ledger.put_model(document, "other", digest)
    with pytest.raises(ModelError, match="does not name this document"):
        ledger.put_model(document + b" ", "crypto-pm", digest)


@pytest.mark.parametrize("read", ["registry", "snapshot", "model", "attestation_by_digest"])
def test_an_unknown_digest_is_not_found(ledger: Ledger, read: str) -> None:
    with pytest.raises(NotFoundError, match="of digest abababab"):
        getattr(ledger, read)(b"\xab" * 32)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_pages_are_bounded(ledger: Ledger, limit: int) -> None:
    for read in (ledger.list_snapshots, ledger.accounts, lambda n: ledger.list_attestations("alice", 0, n)):
        with pytest.raises(InputError, match="page of"):
            read(limit)


def test_everything_is_there_after_reopening(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.put_registry(registry(4))
        ledger.put_snapshot(snapshot())
        account = ledger.open_account("alice")
    with Ledger.open(url) as ledger:
        assert ledger.latest_registry() == registry(4)
        assert ledger.latest_snapshot() == snapshot()
        assert ledger.account("alice") == account
        assert ledger.verify_integrity() == []
