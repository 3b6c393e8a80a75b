"""From a market and scenarios to the kernel's grid: one set of price, volatility and time states for the whole registry.

    price state p        every forward, index and mark times 1 + price_shock, each to the nearest 1e-9 (ADR 0003); the
                         numeraire and the model's unshocked assets stay where they are
    volatility state v   every volatility times 1 + vol_shock * scale(T), T at the snapshot's time (model.VolScaling)
    time state t         expiry - (snapshot time + time_shift)

State 0 of each axis is the snapshot itself. Options of one underlying and expiry share a curve of the grid; every delta-one
instrument has its own, whose "forward" is its mark. What the snapshot does not quote is absent: zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskproof.errors import SnapshotError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff
from riskproof.market.snapshot import Curve, Quote
from riskproof.risk.kernel import grid as kernel
from riskproof.risk.model import Scenario, VolScaling
from riskproof.units import PRICE_ONE, RATIO_EXPONENT, RATIO_ONE, SECONDS_PER_YEAR, format_decimal, format_time

Int64 = npt.NDArray[np.int64]

# Inside the kernel's own limits (discount factor and index over forward below 4) whatever the rounding of shocked prices.
_MAX_GROWTH = 137 * RATIO_ONE // 100
_MAX_TENTHS = 39


@dataclass(frozen=True)
class States:
    """The arguments of `kernel.Grid`: what the whole registry shares, and what is one column per instrument."""

    shared: dict[str, Any]
    vol: Int64
    instruments: dict[str, Any]

    def grid(self, begin: int, end: int) -> kernel.Grid:
        """The grid of instruments begin <= i < end."""
        columns: dict[str, Any] = {name: column[begin:end] for name, column in self.instruments.items()}
        return kernel.Grid(**self.shared, **columns, vol=self.vol[:, begin:end])


def market_states(
    market: Market,
    scenarios: Sequence[Scenario],
    scaling: VolScaling,
    money_exponent: int,
    unshocked: Iterable[str] = (),
) -> States:
    """The states that `scenarios` make of a market; the prices of `unshocked` underlyings do not move.

    Raises:
        SnapshotError: a curve that the kernel cannot use: index and forward of inverse options are more than 3.9 times apart, or a
            negative rate grows value too much until expiry.
    """
    registry, snapshot = market.registry, market.snapshot
    flat = Scenario("base", 0, 0, 0)
    by_price = {flat.price_shock: (0, flat)}
    by_vol = {flat.vol_shock: 0}
    by_time = {flat.time_shift_seconds: 0}
    for scenario in scenarios:
        by_price.setdefault(scenario.price_shock, (len(by_price), scenario))
        by_vol.setdefault(scenario.vol_shock, len(by_vol))
        by_time.setdefault(scenario.time_shift_seconds, len(by_time))

    curve_of: dict[tuple[str, int], int] = {}
    prices, indices, expiries, rates, scales, moves = [], [], [], [], [], []
    still = {registry.numeraire, *unshocked}
    count = len(registry)
    strike, curve, unit = (np.zeros(count, dtype=np.int64) for _ in range(3))
    kind, payoff = (np.zeros(count, dtype=np.int8) for _ in range(2))
    vol = np.zeros((len(by_vol), count), dtype=np.int64)

    def add_curve(price: int, underlying: str, expiry: int, rate: int) -> int:
        prices.append(price)
        indices.append(snapshot.index_price[underlying])
        expiries.append(expiry)
        rates.append(rate)
        moves.append(underlying not in still)
        scales.append(scaling.scale(expiry - snapshot.time))
        return len(prices) - 1

    for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True)):
        if quote is None:
            continue
        unit[i], payoff[i] = instrument.unit, kernel.INVERSE if instrument.payoff is Payoff.INVERSE else kernel.LINEAR
        if instrument.kind is not Kind.OPTION:
            kind[i] = kernel.CASH if instrument.kind is Kind.SPOT else kernel.DELTA_ONE
            curve[i] = add_curve(mark_of(quote), instrument.underlying, snapshot.time, 0)
            continue
        expiry, volatility, strike[i] = option_terms(instrument, quote)
        key = instrument.underlying, expiry
        if key not in curve_of:
            c = snapshot.curve[key]
            _check_growth(c, snapshot.time)
            curve_of[key] = add_curve(c.forward, c.underlying, c.expiry, c.rate)
        curve[i] = curve_of[key]
        if payoff[i] == kernel.INVERSE:
            _check_conversion(snapshot.curve[key], snapshot.index_price[instrument.underlying])
        kind[i] = kernel.CALL if instrument.option_type is OptionType.CALL else kernel.PUT
        for vol_shock, v in by_vol.items():
            vol[v, i] = scaling.shocked_volatility(volatility, vol_shock, scales[curve[i]])

    if not prices:  # a market without quotes: the grid's columns must point at some curve, and none of them reads it
        prices, indices, expiries, rates, moves = [0], [0], [snapshot.time], [0], [False]

    def shocked(base: list[int]) -> Int64:
        return _int64(
            [
                [s.shocked_price(x) if moving else x for x, moving in zip(base, moves, strict=True)]
                for _, s in by_price.values()
            ]
        )

    shared: dict[str, Any] = {
        "forward": shocked(prices),
        "conversion": shocked(indices),
        "seconds": _int64([[x - snapshot.time - shift for x in expiries] for shift in by_time]),
        "rate": np.array(rates, dtype=np.int64),
        "scenario_p": np.array([by_price[s.price_shock][0] for s in scenarios], dtype=np.int64),
        "scenario_v": np.array([by_vol[s.vol_shock] for s in scenarios], dtype=np.int64),
        "scenario_t": np.array([by_time[s.time_shift_seconds] for s in scenarios], dtype=np.int64),
        "money_exponent": money_exponent,
    }
    columns: dict[str, Any] = {"strike": strike, "curve": curve, "kind": kind, "payoff": payoff, "unit": unit}
    return States(shared, vol, columns)


def notional(market: Market, index: int) -> int:
    """Notional of one unit of a quoted instrument, exact, in 10^-18 of the numeraire; docs/risk-arrays.md.

    Options and spot, perpetuals and futures that are linear: the unit times the price of the coin (index; the mark for delta-one
    instruments). Inverse perpetuals and futures: the contract's notional.
    """
    instrument, quote = market.registry.instruments[index], market.snapshot.quotes[index]
    if quote is None:
        raise AssertionError("only what is quoted has a notional")
    if instrument.kind is Kind.OPTION:
        return instrument.unit * market.snapshot.index_price[instrument.underlying]
    return instrument.unit * (PRICE_ONE if instrument.payoff is Payoff.INVERSE else mark_of(quote))


def _int64(states: list[list[int]]) -> Int64:
    return np.array(states, dtype=np.int64)


def _check_growth(c: Curve, time: int) -> None:
    if -c.rate * (c.expiry - time) > _MAX_GROWTH * SECONDS_PER_YEAR:
        raise SnapshotError(
            f"rate {format_decimal(c.rate, RATIO_EXPONENT)} grows value too much until expiry",
            where=f"curve of {c.underlying} at {format_time(c.expiry)}",
            expected="-rate times years at most 1.37",
        )


def _check_conversion(c: Curve, index: int) -> None:
    if not 10 * c.forward <= _MAX_TENTHS * index <= _MAX_TENTHS**2 * c.forward // 10:
        raise SnapshotError(
            "index and forward are too far apart for inverse options",
            where=f"curve of {c.underlying} at {format_time(c.expiry)}",
            expected="a ratio between 1/3.9 and 3.9",
        )


def mark_of(quote: Quote) -> int:
    """The mark of a delta-one instrument, 1e-9 of the numeraire."""
    if quote.mark is None:
        raise AssertionError("a checked snapshot has the mark of every delta-one instrument it quotes")
    return quote.mark


def option_terms(instrument: Instrument, quote: Quote) -> tuple[int, int, int]:
    """Expiry, volatility (1e-12) and strike (1e-9) of an option."""
    if instrument.expiry is None or instrument.strike is None or quote.volatility is None:
        raise AssertionError("a checked snapshot has the terms and the volatility of every option it quotes")
    return instrument.expiry, quote.volatility, instrument.strike
