"""Shipped documents with one member changed: a model, or a typed error at that member or at what refers to it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from riskproof.errors import EncodingError, ModelError
from riskproof.risk.margining import read, shipped_models

# What stands in place of a member; two of them take it away and call it otherwise.
VALUES: list[Any] = [None, True, 0, -1, 2**60, "", "x", "-1", "0", "1/3", "9" * 30, "1e5", "a b", "é", [], [[]], {}]
GONE, RENAMED, TWICE = "gone", "renamed", "twice"
SECONDS = 2


EVERYTHING = "everything"  # members that no shipped model has
NAMES = ["crypto-pm", *shipped_models(), EVERYTHING]


def document(name: str) -> dict[str, Any]:
    if name == EVERYTHING:
        return everything()
    folder = resources.files("riskproof.risk.models")
    file = folder / "crypto-pm.json" if name == "crypto-pm" else folder / "v2" / f"{name}.json"
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def everything() -> dict[str, Any]:
    made, rates = document("derive-pm2"), {"initial": "0.1", "maintenance": "0.05"}
    made["grid"]["scenarios"] += [
        {"id": "f", "price": "-0.2", "on": "forward"},
        {"id": "i", "price": "0.2", "on": "index"},
    ]
    made["volatility"]["shocks"]["up"]["multiply"]["clamp"] = {"high": "5"}
    made["volatility"]["shocks"]["linear"]["skew"]["clamp"] = {"low": "0.05", "high": "4"}
    made["netting"] = {"sets": "expiry", "gain_factor": "0.5"}
    made["limits"]["scenarios"] = 40
    terms = {"stress": "regular", "cap": "1000", "concentration": {"beyond": "500", **rates}}
    made["collateral"]["assets"]["USDT"] |= terms
    made["collateral"]["other"] = {**rates, "concentration": {"share": "0.4", **rates}}
    scope = {"underlyings": {"not_in": ["BTC"]}, "kinds": ["option", "future"]}
    made["charges"] += [
        {"id": "scoped", "kind": "notional", "exposure": "option_short", "rates": rates, "scope": scope},
        {"id": "fee", "kind": "fee", "kinds": ["option"], "rates": rates, "cap": "0.125"},
        {"id": "tiers", "kind": "liquidity_tier", "exposure": "perpetual", "tiers": [{"beyond": "10", "rates": rates}]},
        {"id": "hedge", "kind": "stablecoin_hedge", "rates": rates},
    ]
    return made


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []:
        yield (*path, key)
        yield from paths(node[key], (*path, key))


def changed(node: Any, path: tuple[Any, ...], what: Any) -> Any:
    """A copy with the member at `path` replaced by `what`, or gone, renamed, or listed twice."""
    key, copy = path[0], dict(node) if isinstance(node, dict) else list(node)
    if len(path) > 1:
        copy[key] = changed(node[key], path[1:], what)
    elif what == GONE:
        del copy[key]
    elif what == RENAMED and isinstance(node, dict):
        copy = {f"zz{k}" if k == key else k: v for k, v in node.items()}
    elif what == TWICE and isinstance(node, list):
        copy.insert(key, node[key])
    else:
        copy[key] = what
    return copy


def test_every_member_is_read() -> None:
    model = read(json.dumps(everything()).encode(), "m")
    assert read(model.to_bytes(), "m") == model


def mutate(name: str, path: tuple[Any, ...], what: Any) -> None:
    data, started = json.dumps(changed(document(name), path, what)).encode(), time.process_time()
    refused: ModelError | EncodingError | None = None
    try:
        assert len(read(data, "m").digest) == 32
    except (ModelError, EncodingError) as error:
        refused = error
    assert refused is None or (refused.where.startswith("m") and "\n" not in str(refused)), (path, what, refused)
    assert time.process_time() - started < SECONDS, (path, what)


@pytest.mark.parametrize("name", NAMES)
def test_some_changes(name: str) -> None:
    r = random.Random(name)
    several = list(paths(document(name)))
    for _ in range(150):
        mutate(name, r.choice(several), r.choice([*VALUES, GONE, RENAMED, TWICE]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_change(name: str) -> None:
    for path in paths(document(name)):
        for what in (*VALUES, GONE, RENAMED, TWICE):
            mutate(name, path, what)


@pytest.mark.parametrize("what", [None, True, 1, "x", [], {}])
@pytest.mark.parametrize("name", ["derive-pm2", "joint-es"])
def test_a_block_that_is_something_else(name: str, what: Any) -> None:
    """The member itself is named, whatever stands in its place."""
    blocks = set(document(name)) - {"name", "description", "checked"}
    for block in sorted(blocks):
        if (block, what) == ("charges", []):
            continue  # aggregates that name charges are refused for it
        with pytest.raises(ModelError) as caught:
            read(json.dumps({**document(name), block: what}).encode(), "m")
        assert caught.value.where.startswith((f"m.{block}", "m.schema", "m.aggregate", "m.grid.scenarios"))


def test_names_that_are_given_twice_and_what_is_no_json() -> None:
    for text, message in (
        ('{"schema": 1, "schema": 2}', r"^m: member name twice in one object"),
        ("[1.5]", r"^m\[0\]: number with a fraction or exponent: 1.5"),
        ("{", r"^m: byte 1: not JSON"),
        ("[" * 100_000, r"^m: .*nest"),
        ("[]", r"^m: list in place of an object"),
        ("{}", r"^m\.schema: not a risk model of a known version \(expected "),
    ):
        with pytest.raises((ModelError, EncodingError), match=message):
            read(text.encode(), "m")
