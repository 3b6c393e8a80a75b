"""In which order instruments enter a registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from riskproof import units
from riskproof.market.registry import Instrument, Kind, Payoff

NUMERAIRE: Final = "USD"


def spot_assets(underlyings: Iterable[str]) -> list[Instrument]:
    """One whole coin held, such as collateral, for each coin with an index price.

    The index of a pair, such as BTC_USDC, prices contracts; nobody holds a pair.
    """
    coins = sorted(u for u in underlyings if "_" not in u)
    return [Instrument(coin, Kind.SPOT, coin, Payoff.LINEAR, units.PRICE_ONE) for coin in coins]


def listing_order(instrument: Instrument) -> tuple[int, str, str, int, str]:
    """Sort key of new listings: by expiry first, so that a committed column expires as a whole and can be retired."""
    i = instrument
    return i.expiry or 0, i.underlying, i.kind.value, i.strike or 0, i.option_type or ""
