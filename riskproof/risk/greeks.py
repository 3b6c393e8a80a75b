"""Greeks of one unit of an instrument and of a book, for information: no margin depends on them.

    delta    dV/dF, in coins of the underlying           gamma    d2V/dF2, in coins per 1.0 of the numeraire
    vega     numeraire per 1 % of volatility             theta    numeraire per day that passes, ACT/365
    rho      numeraire per 1 % of rate

V is the value of the unit in the numeraire and F the instrument's own forward (for delta-one instruments their mark). What settles
in the coin is worth v(F) * W with the index price W: index and forward move together (W / F stays), so that an inverse option has
W / F times the Greeks of the undiscounted linear one, and an inverse contract of notional N has the delta N W / F^2 and no gamma.

The numeraire itself has no Greeks.

    delta cash = delta * W          gamma cash = gamma * W^2 / 100: the change of the delta cash when the price moves by 1 %
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from riskproof import units
from riskproof.encoding import Json
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, OptionType, Payoff
from riskproof.market.snapshot import Quote
from riskproof.risk.kernel import black76
from riskproof.risk.states import mark_of, option_terms
from riskproof.units import PRICE_ONE, RATIO_EXPONENT, RATIO_ONE, round_half_even

MONEY_EXPONENT: Final = 9


@dataclass(frozen=True, slots=True)
class UnitGreeks:
    """Greeks of one whole unit. delta, gamma: 1e-12 (coins, coins per 1.0 numeraire); vega, theta, rho: 1e-9 of the numeraire."""

    delta: int = 0
    gamma: int = 0
    vega: int = 0
    theta: int = 0
    rho: int = 0

    def to_document(self) -> dict[str, Json]:
        """Decimal strings."""
        return {
            "delta": units.format_decimal(self.delta, RATIO_EXPONENT),
            "gamma": units.format_decimal(self.gamma, RATIO_EXPONENT),
            "vega": units.format_decimal(self.vega, MONEY_EXPONENT),
            "theta": units.format_decimal(self.theta, MONEY_EXPONENT),
            "rho": units.format_decimal(self.rho, MONEY_EXPONENT),
        }


@dataclass(frozen=True, slots=True, repr=False)
class NetGreeks:
    """Greeks of a sum of positions; money in 1e-9 of the numeraire. Secret data: the repr shows nothing."""

    delta_cash: int = 0
    gamma_cash: int = 0
    vega: int = 0
    theta: int = 0
    rho: int = 0

    def __repr__(self) -> str:
        return "NetGreeks(<hidden>)"

    def __add__(self, other: NetGreeks) -> NetGreeks:
        return NetGreeks(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_document(self) -> dict[str, Json]:
        """Decimal strings."""
        return {f.name: units.format_decimal(getattr(self, f.name), MONEY_EXPONENT) for f in fields(self)}


@dataclass(frozen=True, repr=False)
class PortfolioGreeks:
    """Greeks of a book. Secret data: the repr shows only how many underlyings there are.

    Attributes:
        by_underlying: (underlying, delta 1e-12 coins, gamma 1e-12 coins per 1.0, the rest), sorted by underlying.
        total: over all underlyings.
    """

    by_underlying: tuple[tuple[str, int, int, NetGreeks], ...]
    total: NetGreeks

    def __repr__(self) -> str:
        return f"PortfolioGreeks(<{len(self.by_underlying)} underlyings>)"

    def to_document(self) -> dict[str, Json]:
        """Decimal strings; deltas of different coins do not add, so the total has cash Greeks only."""
        rows = [
            {
                "underlying": underlying,
                "delta": units.format_decimal(delta, RATIO_EXPONENT),
                "gamma": units.format_decimal(gamma, RATIO_EXPONENT),
                **net.to_document(),
            }
            for underlying, delta, gamma, net in self.by_underlying
        ]
        return {"total": self.total.to_document(), "by_underlying": rows}


def unit_greeks(market: Market, indices: Sequence[int]) -> dict[int, UnitGreeks]:
    """Greeks of one unit of each quoted instrument among `indices`, each number rounded at most twice (ties to even).

    Raises:
        DomainError: a pricing input outside the kernel's domain.
        OverflowMoneyError: a Greek that does not fit 64 bits.
    """
    registry, snapshot = market.registry, market.snapshot
    result: dict[int, UnitGreeks] = {}
    options: list[tuple[int, int, int]] = []  # index, and the factor that makes one coin's Greeks one unit's
    columns: list[tuple[int, int, int, int, int, bool]] = []
    for i in indices:
        instrument, quote = registry.instruments[i], snapshot.quotes[i]
        if quote is None:
            continue
        if instrument.kind is not Kind.OPTION:
            result[i] = _delta_one(market, i, quote)
            continue
        expiry, volatility, strike = option_terms(instrument, quote)
        curve = snapshot.curve[instrument.underlying, expiry]
        inverse = instrument.payoff is Payoff.INVERSE
        numerator = instrument.unit * (snapshot.index_price[instrument.underlying] if inverse else 1)
        options.append((i, numerator, PRICE_ONE * (curve.forward if inverse else 1)))
        columns.append(
            (
                curve.forward,
                strike,
                volatility,
                expiry - snapshot.time,
                0 if inverse else curve.rate,
                instrument.option_type is OptionType.CALL,
            )
        )
    if options:
        raw = black76.greeks(*(list(column) for column in zip(*columns, strict=True)))
        rows = (getattr(raw, f.name).tolist() for f in fields(UnitGreeks))
        for (i, numerator, denominator), row in zip(options, zip(*rows, strict=True), strict=True):
            result[i] = UnitGreeks(*(round_half_even(x * numerator, denominator) for x in row))
    return result


def portfolio_greeks(market: Market, portfolio: Portfolio) -> PortfolioGreeks:
    """Greeks of a book by underlying and in total; what has expired contributes nothing. Raises as `unit_greeks`."""
    registry = market.registry
    per_unit = unit_greeks(market, [index for index, _ in portfolio.positions])
    sums: dict[str, list[int]] = {}
    for index, lots in portfolio.positions:
        underlying = registry.instruments[index].underlying
        if index in per_unit and underlying != registry.numeraire:
            total = sums.setdefault(underlying, [0] * 5)
            for j, f in enumerate(fields(UnitGreeks)):
                total[j] += lots * getattr(per_unit[index], f.name)
    lot = 10**registry.quantity_exponent
    rows = []
    for underlying in sorted(sums):
        delta, gamma, *money = sums[underlying]
        price = market.snapshot.index_price[underlying]
        net = NetGreeks(
            round_half_even(delta * price, lot * RATIO_ONE),
            round_half_even(gamma * price**2, 100 * lot * RATIO_ONE * PRICE_ONE),
            *(round_half_even(x, lot) for x in money),
        )
        rows.append((underlying, round_half_even(delta, lot), round_half_even(gamma, lot), net))
    return PortfolioGreeks(tuple(rows), sum((net for *_, net in rows), NetGreeks()))


def _delta_one(market: Market, index: int, quote: Quote) -> UnitGreeks:
    instrument = market.registry.instruments[index]
    if instrument.underlying == market.registry.numeraire:
        return UnitGreeks()
    if instrument.payoff is Payoff.LINEAR:
        return UnitGreeks(delta=instrument.unit * (RATIO_ONE // PRICE_ONE))
    conversion = market.snapshot.index_price[instrument.underlying]
    return UnitGreeks(delta=round_half_even(instrument.unit * conversion * RATIO_ONE, mark_of(quote) ** 2))
