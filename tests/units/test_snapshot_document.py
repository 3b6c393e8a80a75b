from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from market_objects import CALL, EXPIRY, LISTED, ONE, PUT, QUOTES, SPOT, TIME, registry, snapshot

from riskproof import encoding, units
from riskproof.errors import EncodingError, InputError, SnapshotError, UnitError, UnknownInstrumentError
from riskproof.market.registry import Instrument, Kind, Payoff, Registry
from riskproof.market.snapshot import MAX_MATURITY, Curve, Quote, Snapshot, settlement_currency


def test_a_snapshot_is_read_as_written() -> None:
    made = snapshot()
    data = encoding.canonical_json(made.to_document())
    again = Snapshot.from_document(encoding.parse_canonical(data), registry())
    assert again == made
    assert again.digest == made.digest
    assert made.digest.hex() == "f04c568cacf9f17dac49fa102912293865c3c5b1ceb70d8e9e35136f1330dcc9"


def test_lookups() -> None:
    made = snapshot()
    assert made.index_price == {"BTC": 90_000 * ONE}
    assert made.curve["BTC", EXPIRY].forward == 90_020 * ONE
    assert made.quotes[0] == Quote(90_000 * ONE)
    assert snapshot(quotes={}).quotes == (None,) * len(LISTED)


def test_expiry() -> None:
    assert not snapshot().is_expired(CALL)
    assert not snapshot().is_expired(SPOT)
    at_expiry = snapshot(time=EXPIRY, curves=[], quotes={"BTC": Quote(90_000 * ONE)})
    assert at_expiry.is_expired(CALL)
    with pytest.raises(SnapshotError, match="BTC-6JAN26: quote of an expired instrument"):
        snapshot(time=EXPIRY, curves=[], quotes={"BTC-6JAN26": QUOTES["BTC-6JAN26"]})


def with_quote(name: str, quote: Quote) -> dict[str, Any]:
    return {"quotes": QUOTES | {name: quote}}


CALL_NAME = CALL.name
BAD: list[tuple[dict[str, Any], str]] = [
    ({"time": 0}, "time: time is out of range"),
    ({"time": -5}, "time is out of range"),
    ({"time": units.TIME_MAX + 1}, "time is out of range"),
    ({"indices": {"BTC": 99_999}}, r"index of BTC: price 0\.000099999 is out of the kernel's domain"),
    ({"indices": {"BTC": 10**16 + 1}}, "out of the kernel's domain"),
    ({"indices": {}}, "no index price of the underlying"),
    ({"indices": {}, "curves": []}, "BTC: no index price of BTC"),
    ({"curves": [Curve("BTC", EXPIRY, 0)]}, "curve of BTC at .*: price 0 is out of the kernel's domain"),
    ({"curves": [Curve("BTC", EXPIRY, ONE, 10**12 + 1)]}, "rate is out of range"),
    ({"curves": [Curve("BTC", TIME, ONE)]}, "expiry is not within ten years after the snapshot"),
    ({"curves": [Curve("BTC", TIME + MAX_MATURITY + 1, ONE)]}, "expiry is not within ten years"),
    ({"curves": [Curve("BTC", EXPIRY, ONE), Curve("BTC", EXPIRY, ONE)]}, "curves: not sorted by underlying and expiry"),
    ({"curves": []}, f"{CALL_NAME}: no forward for the option's expiry"),
    (with_quote("BTC", Quote(None)), "BTC: a spot has a mark and no volatility"),
    (with_quote("BTC", Quote(ONE, 1)), "a spot has a mark and no volatility"),
    (with_quote("BTC-PERPETUAL", Quote(0)), "BTC-PERPETUAL: price 0 is out of the kernel's domain"),
    (with_quote("BTC-PERPETUAL", Quote(-ONE)), "out of the kernel's domain"),
    (with_quote(CALL_NAME, Quote(1)), f"{CALL_NAME}: volatility is missing or out of range"),
    (with_quote(CALL_NAME, Quote(1, -1)), "volatility is missing or out of range"),
    (with_quote(CALL_NAME, Quote(1, 5 * 10**12 + 1)), "volatility is missing or out of range"),
    (with_quote(CALL_NAME, Quote(-1, 1)), "mark is out of range"),
    (with_quote(CALL_NAME, Quote(10**16 + 1, 1)), "mark is out of range"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_wrong_snapshots(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        snapshot(**changes)


def cash(index: int | None = ONE, mark: int = ONE, numeraire: str = "USD", kind: Kind = Kind.SPOT) -> Snapshot:
    """A snapshot of one unit of dollars."""
    listed = Registry(numeraire, (Instrument("CASH", kind, "USD", Payoff.LINEAR, ONE),))
    return Snapshot.build(listed, TIME, "test", {} if index is None else {"USD": index}, [], {"CASH": Quote(mark)})


def test_the_numeraire_costs_one() -> None:
    assert cash().quotes == (Quote(ONE),)
    for price in (ONE - 1, ONE + 1):
        with pytest.raises(SnapshotError, match=r"^index of USD: the numeraire does not cost 1 \(expected 1\)"):
            cash(index=price)
        with pytest.raises(SnapshotError, match=r"^CASH: the numeraire does not cost 1 \(expected 1\)"):
            cash(mark=price)
    with pytest.raises(SnapshotError, match="CASH: no index price of USD"):
        cash(index=None)
    assert cash(ONE // 2, ONE // 2, numeraire="EUR").index_price == {"USD": ONE // 2}
    assert cash(mark=ONE + 1, kind=Kind.PERPETUAL).quotes == (Quote(ONE + 1),)


def test_limits_are_inside() -> None:
    snapshot(indices={"BTC": 10**5}, curves=[Curve("BTC", EXPIRY, 10**16, -(10**12))])
    snapshot(**with_quote(CALL_NAME, Quote(0, 5 * 10**12)))
    snapshot(**with_quote(PUT.name, Quote(10**16, 0)))


def test_a_quote_of_something_unknown() -> None:
    with pytest.raises(UnknownInstrumentError, match="quotes: no instrument 'ETH'"):
        snapshot(quotes={"ETH": Quote(ONE)})


def test_another_registry_or_another_length() -> None:
    longer = registry(*LISTED, Instrument("ETH", Kind.SPOT, "ETH", Payoff.LINEAR, ONE))
    with pytest.raises(SnapshotError, match="registry_digest: snapshot was taken for another registry version"):
        snapshot().check(longer)
    with pytest.raises(SnapshotError, match=r"4 quotes \(expected 5, one per instrument"):
        dataclasses.replace(snapshot(), quotes=snapshot().quotes[:4]).check(registry())


def changed(path: list[Any], value: Any) -> Any:
    document = copy.deepcopy(snapshot().to_document())
    node: Any = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return document


BAD_DOCUMENTS: list[tuple[list[Any], Any, type[InputError], str]] = [
    (["schema"], "riskproof/snapshot/v0", EncodingError, "not a snapshot of this version"),
    (["note"], "x", EncodingError, "unknown member 'note'"),
    (["registry_digest"], "00" * 32, SnapshotError, "another registry version"),
    (["registry_digest"], "AA" * 32, EncodingError, "not lower-case hexadecimal"),
    (["time"], "1767603600", EncodingError, "snapshot.time: not an integer"),
    (["source"], "", EncodingError, "snapshot.source: not a printable string"),
    (["indices", 0, "price"], 9 * 10**13, EncodingError, r"indices\[0\]\.price: not a printable string"),
    (["indices", 0, "price"], "NaN", UnitError, "not a canonical integer: 'NaN'"),
    (["indices", 0, "price"], "-1", SnapshotError, "out of the kernel's domain"),
    (["curves", 0, "rate"], "0.1", UnitError, r"curves\[0\]\.rate: not a canonical integer"),
    (["curves", 0, "extra"], 1, EncodingError, r"curves\[0\]: unknown member"),
    (["quotes", 3, "volatility"], "-500000000000", SnapshotError, "volatility is missing or out of range"),
    (["quotes", 3, "bid"], "1", EncodingError, r"quotes\[3\]: unknown member 'bid'"),
    (["quotes", 3], 7, EncodingError, r"quotes\[3\]: int in place of an object"),
    (["quotes"], [], SnapshotError, "0 quotes"),
]


@pytest.mark.parametrize(("path", "value", "error", "message"), BAD_DOCUMENTS)
def test_wrong_documents(path: list[Any], value: Any, error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        Snapshot.from_document(changed(path, value), registry())
    assert type(caught.value) is error


def test_indices_out_of_order_are_refused() -> None:
    document = snapshot(indices={"BTC": 90_000 * ONE, "ETH": 3_000 * ONE}).to_document()
    document["indices"].reverse()
    with pytest.raises(SnapshotError, match="indices: not sorted by underlying"):
        Snapshot.from_document(document, registry())


def test_settlement_currencies() -> None:
    assert settlement_currency(CALL, registry()) == "BTC"
    assert settlement_currency(LISTED[1], registry()) == "USD"
    assert settlement_currency(dataclasses.replace(CALL, payoff=Payoff.LINEAR), registry()) == "USD"
