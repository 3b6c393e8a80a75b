"""The worked example of docs/market.md is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

from riskproof.market.marketfile import SCHEMA, Market
from riskproof.market.portfolio import parse_book
from riskproof.market.registry import Instrument, Kind, Payoff, Registry
from riskproof.market.snapshot import Snapshot

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "market.md").read_text()


def test_worked_example() -> None:
    registry_document, snapshot_document = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    registry = Registry.from_document(registry_document)
    snapshot = Snapshot.from_document(snapshot_document, registry)
    digests = re.findall(r"`([0-9a-f]{64})`", PAGE)
    assert digests == [registry.digest.hex(), snapshot.digest.hex()]
    market = Market(registry, snapshot)
    assert Market.from_bytes(market.to_bytes()) == market
    assert f'"schema": "{SCHEMA}"' in PAGE


def test_book_example() -> None:
    registry_document = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    registry = Registry.from_document(registry_document)
    registry = registry.extended(Instrument(asset, Kind.SPOT, asset, Payoff.LINEAR, 10**9) for asset in ("BTC", "USD"))
    (book,) = re.findall(r"```\n(instrument,quantity\n.*?)```", PAGE, re.DOTALL)
    assert parse_book(book.encode(), registry).positions == ((0, -1_200_000), (1, -3_250), (2, 12_500), (3, 10**9))
