from __future__ import annotations

import json
import random

import pytest
from market_objects import SPOT, registry, snapshot

from riskproof.errors import EncodingError, InputError, SnapshotError
from riskproof.market.marketfile import Market


@pytest.fixture(scope="module")
def data() -> bytes:
    return Market(registry(), snapshot()).to_bytes()


def test_a_market_is_read_as_written(data: bytes) -> None:
    market = Market.from_bytes(data)
    assert market == Market(registry(), snapshot())
    assert market.to_bytes() == data


def test_registry_and_snapshot_belong_together() -> None:
    with pytest.raises(SnapshotError, match="another registry version"):
        Market(registry(SPOT), snapshot())


def test_reordered_and_extra_members(data: bytes) -> None:
    document = json.loads(data)
    reordered = json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode()
    cases = [
        (reordered, r"m\.json: byte \d+: not canonical JSON \(RFC 8785\)"),
        (json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n", "not canonical JSON"),
        (json.dumps(document, sort_keys=True).encode(), "not canonical JSON"),
        (json.dumps(document | {"x": 1}, separators=(",", ":"), sort_keys=True).encode(), "unknown member 'x'"),
        (data[:-1], r"m\.json: byte \d+: not JSON"),
        (data[: len(data) // 2], "not JSON"),
        (b"", "not JSON"),
        (data.replace(b"market/v1", b"market/v2"), r"m\.json\.schema: not a market file of this version"),
    ]
    for changed, message in cases:
        with pytest.raises(EncodingError, match=message):
            Market.from_bytes(changed, "m.json")


@pytest.mark.parametrize("rounds", [3_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_mutated_market_files_are_refused_or_canonical(data: bytes, rounds: int) -> None:
    random_ = random.Random(17)
    accepted = 0
    for _ in range(rounds):
        changed = bytearray(data)
        for _ in range(random_.randint(1, 2)):
            at = random_.randrange(len(changed))
            if random_.random() < 0.5:
                changed[at] = random_.choice(b'0123456789abcdef",:{}[]-.eE')
            else:
                changed[at : at + random_.randint(0, 3)] = bytes([random_.randrange(256)]) * random_.randint(0, 2)
        try:
            market = Market.from_bytes(bytes(changed))
        except InputError:
            continue
        accepted += 1
        assert market.to_bytes() == changed
    assert accepted * 4 < rounds
