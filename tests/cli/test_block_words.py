"""Netting, collateral and scan ranges of a model in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from riskproof.cli.block_words import collateral_words, netting_words, scan_words
from riskproof.cli.models import words
from riskproof.risk.margining import load, shipped_models
from riskproof.risk.margining.collateral import parse

RATES = {"initial": "0.25", "maintenance": "0.1"}
SAID = "haircut 25 % (initial), 10 % (maintenance)"
TERMS: list[tuple[dict[str, Any], str]] = [
    (RATES, SAID),
    ({"initial": "0.1", "maintenance": "0.1", "moves": True}, "haircut 10 %; moves with the scenarios"),
    ({**RATES, "stress": "tail"}, f"{SAID}, or what it loses in scenarios of tail if that is more"),
    ({**RATES, "cap": "5000"}, f"{SAID}; counts at most 5000"),
    (
        {**RATES, "concentration": {"initial": "0.5", "maintenance": "0.5", "beyond": "70"}},
        f"{SAID}; another 50 % of what counts beyond 70",
    ),
    (
        {**RATES, "concentration": {"initial": "0.5", "maintenance": "1/3", "share": "0.4"}},
        f"{SAID}; another 50 % (initial), 100/3 % (maintenance) of what counts beyond 40 % of all collateral",
    ),
]


@pytest.mark.parametrize(("terms", "sentence"), TERMS)
def test_terms_of_an_asset(terms: dict[str, Any], sentence: str) -> None:
    block = {"conversion": "none", "assets": {"BTC": terms}, "markets": {"ETH": {"BTC": terms}}, "other": terms}
    read = parse(block, frozenset({"tail"})).to_document()
    assert read == block
    assert list(collateral_words(read)) == [
        ("conversion", "values are as they are"),
        ("BTC", sentence),
        ("BTC with ETH", sentence),
        ("any other asset", sentence),
    ]


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ("account", "one, of everything"),
        ("underlying", "one for each underlying"),
        ("expiry", "one for the options and futures of each underlying and expiry, one for its perpetuals and assets"),
    ],
)
def test_netting_sets(sets: str, sentence: str) -> None:
    assert list(netting_words({"sets": sets})) == [("sets", sentence)]


def test_gains_and_scan_ranges() -> None:
    gains = "30 % of a set's gain counts against other sets' losses, where they meet (joint)"
    assert list(netting_words({"sets": "expiry", "gain_factor": "0.3"}))[1:] == [("gains", gains)]
    block = {"ranges": {"BTC": {"relative": "0.12"}, "GC": {"absolute": "160"}}, "other": {"relative": "0.25"}}
    assert scan_words(block) == "prices are in scan ranges: BTC 12 %, GC 160, any other 25 %"
    assert "\n\nprices are in scan ranges: BTC 12 %, ETH 15 %, any other 25 %\n\n" in words(load("span16"))


@pytest.mark.parametrize("name", shipped_models())
def test_every_asset_and_the_netting_of_every_model_that_ships(name: str) -> None:
    document, text = load(name).to_document(), " ".join(words(load(name)).split())
    for title, sentence in netting_words(document["netting"]):
        assert f"{title} {sentence}" in text
    for title, sentence in collateral_words(document["collateral"]) if "collateral" in document else ():
        assert f"{title} {sentence}" in text
