"""A small market with one of everything, and books on it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.units import PRICE_ONE

TIME = 1_767_603_600
DAY = 86_400
NEAR, SOON, FAR, GONE = TIME + DAY // 2, TIME + 9 * DAY, TIME + 200 * DAY, TIME - DAY
BTC_INDEX, ETH_INDEX = 95_090_620_000_000, 3_329_170_000_000


def option(name: str, underlying: str, payoff: Payoff, expiry: int, strike: int, side: OptionType) -> Instrument:
    unit = PRICE_ONE if payoff is Payoff.INVERSE else PRICE_ONE // 10
    return Instrument(name, Kind.OPTION, underlying, payoff, unit, expiry, strike * PRICE_ONE, side)


INSTRUMENTS = (
    Instrument("USD", Kind.SPOT, "USD", Payoff.LINEAR, PRICE_ONE),
    Instrument("USDC", Kind.SPOT, "USDC", Payoff.LINEAR, PRICE_ONE),
    Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, PRICE_ONE),
    Instrument("BTC-PERP", Kind.PERPETUAL, "BTC", Payoff.INVERSE, 10 * PRICE_ONE),
    Instrument("BTC-FUT", Kind.FUTURE, "BTC", Payoff.INVERSE, 10 * PRICE_ONE, SOON),
    Instrument("ETH-PERP", Kind.PERPETUAL, "ETH", Payoff.LINEAR, PRICE_ONE // 10),
    option("BTC-NEAR-95000-C", "BTC", Payoff.INVERSE, NEAR, 95_000, OptionType.CALL),
    option("BTC-SOON-90000-P", "BTC", Payoff.INVERSE, SOON, 90_000, OptionType.PUT),
    option("BTC-SOON-90000-C", "BTC", Payoff.INVERSE, SOON, 90_000, OptionType.CALL),
    option("BTC-FAR-150000-C", "BTC", Payoff.LINEAR, FAR, 150_000, OptionType.CALL),
    option("ETH-SOON-3000-P", "ETH", Payoff.LINEAR, SOON, 3_000, OptionType.PUT),
    option("ETH-SOON-3500-C", "ETH", Payoff.INVERSE, SOON, 3_500, OptionType.CALL),
    option("BTC-GONE-90000-C", "BTC", Payoff.INVERSE, GONE, 90_000, OptionType.CALL),
    option("BTC-FAR-80000-P", "BTC", Payoff.INVERSE, FAR, 80_000, OptionType.PUT),
)
UNQUOTED = "BTC-FAR-80000-P"
EXPIRED = "BTC-GONE-90000-C"


def small_market(money_exponent: int = 6, quantity_exponent: int = 3, **changes: object) -> Market:
    """One of everything; `changes` replace members of the snapshot's parts: indices, curves, quotes, instruments."""
    instruments = changes.get("instruments", INSTRUMENTS)
    registry = Registry("USD", instruments, money_exponent, quantity_exponent)  # type: ignore[arg-type]
    indices = {"USD": PRICE_ONE, "USDC": 999_800_000, "BTC": BTC_INDEX, "ETH": ETH_INDEX}
    curves = [
        Curve("BTC", NEAR, 95_095_000_000_000),
        Curve("BTC", SOON, 95_200_120_000_000),
        Curve("BTC", FAR, 98_000_000_000_000, 40_000_000_000),
        Curve("ETH", SOON, 3_331_400_000_000, 35_000_000_000),
    ]
    vols = {"NEAR": 410_000_000_000, "SOON": 455_500_000_000, "FAR": 520_000_000_000}
    marks = {"BTC-PERP": 95_120_500_000_000, "BTC-FUT": 95_211_000_000_000, "ETH-PERP": 3_330_050_000_000}
    quotes = {}
    for x in registry.instruments:
        if x.name in (UNQUOTED, EXPIRED):
            continue
        if x.kind is Kind.OPTION:
            quotes[x.name] = Quote(volatility=vols[x.name.split("-")[1]])
        else:
            quotes[x.name] = Quote(mark=marks[x.name] if x.name in marks else indices[x.underlying])
    indices |= changes.get("indices", {})  # type: ignore[operator]
    quotes |= changes.get("quotes", {})  # type: ignore[operator]
    return Market(
        registry,
        Snapshot.build(registry, TIME, "test", indices, changes.get("curves", curves), quotes),  # type: ignore[arg-type]
    )


def holdable(market: Market) -> list[int]:
    """Indices that a book may hold."""
    return [i for i, x in enumerate(market.registry.instruments) if x.name != UNQUOTED]


def random_book(rng: random.Random, market: Market, size: int, most: int) -> Portfolio:
    """`size` different instruments, up to `most` lots long or short."""
    held = rng.sample(holdable(market), size)
    return Portfolio.build((i, rng.randint(1, most) * rng.choice((-1, 1))) for i in held)


def rows_of(books: list[Portfolio]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compressed sparse rows of books: pointers, indices, lots."""
    flat = [pair for book in books for pair in book.positions]
    pointers = np.cumsum([0, *(len(book) for book in books)]).astype(np.int64)
    indices = np.array([i for i, _ in flat], dtype=np.int32)
    return pointers, indices, np.array([q for _, q in flat], dtype=np.int64)


def replaced(instrument: Instrument, **members: object) -> Instrument:
    return replace(instrument, **members)  # type: ignore[arg-type]
