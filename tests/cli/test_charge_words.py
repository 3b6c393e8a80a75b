"""Every charge of the vocabulary in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from riskproof.cli.charge_words import charge_words
from riskproof.risk.margining.charges import KINDS, parse

BOTH = {"initial": "0.02", "maintenance": "0.02"}
RATES = {"initial": "0.02", "maintenance": "1/3"}
SAID = "2 % (initial), 100/3 % (maintenance)"
CHARGES: list[tuple[dict[str, Any], str]] = [
    (
        {"kind": "notional", "exposure": "option_naked_short", "rates": BOTH},
        "notional: 2 % of naked short options, netted by strike, by expiry",
    ),
    ({"kind": "haircut"}, "haircut: haircuts of the collateral block"),
    (
        {
            "kind": "confidence",
            "exposure": "spot",
            "feeds": ["index", "market", "own"],
            "threshold": "0.5",
            "rates": RATES,
        },
        (
            f"confidence: {SAID} of each asset at the index price, times one less the least confidence of index, market and own "
            "where that is below 0.5; a feed that is not published is refused"
        ),
    ),
    (
        {"kind": "depeg", "exposures": ["perpetual", "option_short"], "threshold": "0.98", "rates": RATES},
        (
            f"depeg: {SAID} of each perpetual at the index price and short options, by expiry, times what the settlement currency "
            "costs less than 0.98"
        ),
    ),
    (
        {"kind": "basis", "up": "0.05", "down": "-0.04", "add": "0.5", "per_year": "2"},
        "basis: what the options of each expiry lose if its forward moves by 5 % or -4 %, times 0.5 and 2 more for each year",
    ),
    (
        {
            "kind": "standard_option",
            "spot_minimum": "0.1",
            "spot_maximum": "0.15",
            "call_maintenance": "0.07",
            "put_maintenance": "0.08",
            "put_value_maintenance": "0.09",
            "put_initial_scale": "1.05",
            "unpaired": RATES,
        },
        (
            "standard_option: options by expiry, the better of isolated margin and the largest loss at settlement; "
            "spot_minimum 0.1, spot_maximum 0.15, call_maintenance 0.07, put_maintenance 0.08, put_value_maintenance 0.09, "
            f"put_initial_scale 1.05; {SAID} of the forward for calls that are short"
        ),
    ),
    (
        {"kind": "delta", "measure": "net", "beyond": "20000", "rates": BOTH},
        "delta: 2 % of the net delta of each underlying beyond 20000",
    ),
    (
        {"kind": "roll", "rates": BOTH, "per_year": "0.075"},
        "roll: 2 % of the delta of each perpetual, each future and each expiry's options, or 7.5 % for each year if that is more",
    ),
    (
        {"kind": "stablecoin_hedge", "rates": RATES},
        f"stablecoin_hedge: {SAID} of delta in one settlement currency that hedges delta in another",
    ),
    (
        {
            "kind": "calendar_spread",
            "spreads": [{"near": {"from": "0", "to": "9"}, "far": {"from": "9", "to": "99"}, "rates": BOTH}],
        },
        "calendar_spread: delta of an expiry paired with opposite delta of another: 2 % where 0 to 9 days are paired with 9 to 99",
    ),
    (
        {
            "kind": "offset",
            "spreads": [{"legs": ["BTC", "ETH"], "rates": RATES}, {"legs": ["BTC", "SOL"], "rates": BOTH}],
        },
        f"offset: a credit, the share of both losses whose deltas are opposite: {SAID} for BTC and ETH; 2 % for BTC and SOL",
    ),
    (
        {
            "kind": "liquidity_tier",
            "exposure": "perpetual_mark",
            "tiers": [{"beyond": "0", "rates": BOTH}, {"beyond": "1000000", "rates": RATES}],
        },
        f"liquidity_tier: of each perpetual at its mark: 2 % beyond 0; {SAID} beyond 1000000",
    ),
    (
        {
            "kind": "fee",
            "kinds": ["option", "perpetual"],
            "rates": {"initial": "0.0003", "maintenance": "0.0003"},
            "cap": "0.125",
        },
        "fee: 0.03 % of the index price for closing all perpetuals and options, of an option at most 12.5 % of its value",
    ),
    ({"kind": "fee", "kinds": ["future"], "rates": BOTH}, "fee: 2 % of the index price for closing all futures"),
    (
        {"kind": "standalone", "rates": BOTH, "locked": True, "group": "tail"},
        "standalone: 2 % of what each position loses by itself in scenarios of group tail; an option ties up at least its value",
    ),
    (
        {"kind": "vega_term", "vol": "up", "rates": BOTH},
        "vega_term: 2 % of what gains of expiries cancel of other expiries' losses in the volatility shock up",
    ),
    (
        {"kind": "rate", "rates": BOTH},
        "rate: 2 % of the options' value times their years to expiry, netted over expiries",
    ),
]


@pytest.mark.parametrize(("charge", "words"), CHARGES, ids=[words.partition(":")[0] for _, words in CHARGES])
def test_a_charge_is_said_in_a_sentence(charge: dict[str, Any], words: str) -> None:
    _, made = parse({"id": "x", **charge}, "x", has_collateral=True)
    assert charge_words(made.to_document()) == words


def test_the_whole_vocabulary_is_said() -> None:
    assert {charge["kind"] for charge, _ in CHARGES} == set(KINDS)


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"kinds": ["option"]}, "; on options only"),
        ({"underlyings": {"in": ["BTC", "ETH"]}}, "; of BTC and ETH only"),
        (
            {"kinds": ["spot", "future", "perpetual"], "underlyings": {"not_in": ["BTC", "ETH", "SOL"]}},
            "; on assets, perpetuals and futures only, of anything but BTC, ETH or SOL",
        ),
    ],
)
def test_a_scope_is_said_behind_it(scope: dict[str, Any], words: str) -> None:
    charge = {"id": "x", "kind": "rate", "rates": BOTH, "scope": scope}
    _, made = parse(charge, "x", has_collateral=False)
    assert charge_words(made.to_document()).endswith(f"netted over expiries{words}")
