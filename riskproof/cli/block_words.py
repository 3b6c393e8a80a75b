"""Blocks of a model document in sentences: netting sets, what collateral counts, what a scan range is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from riskproof.cli.charge_words import percent, rates

_SETS: Final = {
    "account": "one, of everything",
    "underlying": "one for each underlying",
    "expiry": "one for the options and futures of each underlying and expiry, one for its perpetuals and assets",
}
_CONVERSIONS: Final = {
    "none": "values are as they are",
    "settlement_price": "values are divided by the price of the settlement currency",
}


def netting_words(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, sentence) of each member of a checked model's block."""
    yield "sets", _SETS[block["sets"]]
    if "gain_factor" in block:
        yield (
            "gains",
            f"{percent(block['gain_factor'])} of a set's gain counts against other sets' losses, where they meet (joint)",
        )


def collateral_words(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """As `netting_words`, a sentence for each asset."""
    yield "conversion", _CONVERSIONS[block["conversion"]]
    for name, terms in block["assets"].items():
        yield name, _asset(terms)
    for market, assets in block.get("markets", {}).items():
        for name, terms in assets.items():
            yield f"{name} with {market}", _asset(terms)
    if "other" in block:
        yield "any other asset", _asset(block["other"])


def _asset(terms: dict[str, Any]) -> str:
    said = [f"haircut {rates({'rates': terms})}"]
    if "stress" in terms:
        said[0] += f", or what it loses in scenarios of {terms['stress']} if that is more"
    if "cap" in terms:
        said.append(f"counts at most {terms['cap']}")
    if "concentration" in terms:
        more = terms["concentration"]
        beyond = more["beyond"] if "beyond" in more else f"{percent(more['share'])} of all collateral"
        said.append(f"another {rates({'rates': more})} of what counts beyond {beyond}")
    if terms.get("moves"):
        said.append("moves with the scenarios")
    return "; ".join(said)


def scan_words(block: dict[str, Any]) -> str:
    """What a scenario's price is in."""
    found = [f"{name} {_range(x)}" for name, x in block["ranges"].items()]
    found += [f"any other {_range(block['other'])}"] if "other" in block else []
    return f"prices are in scan ranges: {', '.join(found)}"


def _range(node: dict[str, str]) -> str:
    return percent(node["relative"]) if "relative" in node else node["absolute"]
