"""In which order instruments enter a registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from riskproof import units
from riskproof.market.registry import Instrument, Kind, Payoff
from riskproof.market.snapshot import Quote

NUMERAIRE: Final = "USD"


def spot_assets(underlyings: Iterable[str]) -> list[Instrument]:
    """One whole coin held, such as collateral, for each coin with an index price; then cash, one unit of the numeraire.

    The index of a pair, such as BTC_USDC, prices contracts; nobody holds a pair.
    """
    coins = sorted(u for u in underlyings if "_" not in u and u != NUMERAIRE)
    return [Instrument(asset, Kind.SPOT, asset, Payoff.LINEAR, units.PRICE_ONE) for asset in (*coins, NUMERAIRE)]


def spot_quotes(indices: Mapping[str, int]) -> dict[str, Quote]:
    """Quotes of `spot_assets(indices)`: a spot asset is worth its index price."""
    return {spot.name: Quote(indices[spot.underlying]) for spot in spot_assets(indices)}


def with_cash(indices: Mapping[str, int]) -> dict[str, int]:
    """Index prices, 1e-9, with that of the numeraire, which is 1."""
    return {**indices, NUMERAIRE: units.PRICE_ONE}


def listing_order(instrument: Instrument) -> tuple[int, str, str, int, str]:
    """Sort key of new listings: by expiry first, so that a committed column expires as a whole and can be retired."""
    i = instrument
    return i.expiry or 0, i.underlying, i.kind.value, i.strike or 0, i.option_type or ""
