"""Price list: value and Greeks of one unit of every instrument at a snapshot, for `riskproof price`.

value    of one unit, in micros of the numeraire, to the nearest: the option's model value (times the index price if it settles
         in the coin), the price of a spot asset, zero for a future or perpetual, which costs nothing to enter
mark     what the venue quotes, in the same unit; futures and perpetuals have a price instead
price    forward of an option, mark of everything else, in 1e-9 of the numeraire
Greeks   of one unit (riskproof.risk.greeks)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from riskproof import units
from riskproof.encoding import Json
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, Payoff
from riskproof.market.snapshot import Quote
from riskproof.risk.greeks import UnitGreeks, unit_greeks
from riskproof.risk.kernel.domain import KERNEL_VERSION
from riskproof.risk.kernel.grid import risk_entries
from riskproof.risk.model import VolScaling
from riskproof.risk.states import mark_of, market_states, option_terms
from riskproof.units import MICROS_EXPONENT, PRICE_EXPONENT, RATIO_EXPONENT, format_decimal

_UNSCALED = VolScaling(1, 1, 0, 0)  # there are no scenarios whose volatility it could scale


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One unit of one instrument; everything but index and instrument is None where the snapshot does not price it.

    Attributes:
        index, instrument: of the registry.
        expired: the snapshot is at or after its expiry; it is then not priced either.
        value_micros, mark_micros: of one unit, in micros of the numeraire; no mark for futures, perpetuals and unquoted options.
        price: 1e-9 of the numeraire.
        volatility: 1e-12, options only.
        greeks: of one unit.
    """

    index: int
    instrument: Instrument
    expired: bool = False
    value_micros: int | None = None
    mark_micros: int | None = None
    price: int | None = None
    volatility: int | None = None
    greeks: UnitGreeks | None = None

    def to_document(self) -> dict[str, Json]:
        """Members in the order of the attributes; decimals as strings, null where there is nothing."""
        priced = "expired" if self.expired else "not quoted"
        return {
            "index": self.index,
            "instrument": self.instrument.name,
            "kind": self.instrument.kind.value,
            "payoff": self.instrument.payoff.value,
            "status": "priced" if self.value_micros is not None else priced,
            "value_micros": self.value_micros,
            "mark_micros": self.mark_micros,
            "price": None if self.price is None else format_decimal(self.price, PRICE_EXPONENT),
            "volatility": None if self.volatility is None else format_decimal(self.volatility, RATIO_EXPONENT),
            "greeks": None if self.greeks is None else self.greeks.to_document(),
        }


@dataclass(frozen=True)
class PriceList:
    """The rows, in registry order, and what names them."""

    registry_digest: bytes
    snapshot_digest: bytes
    numeraire: str
    kernel: str
    rows: tuple[PriceRow, ...]

    def to_document(self) -> dict[str, Json]:
        return {
            "registry_digest": self.registry_digest.hex(),
            "snapshot_digest": self.snapshot_digest.hex(),
            "numeraire": self.numeraire,
            "kernel": self.kernel,
            "instruments": [row.to_document() for row in self.rows],
        }

    def to_text(self, table: Callable[[Sequence[str], Sequence[Sequence[str]]], str]) -> str:
        """The list as text; `table` lays out a header and rows of cells."""
        header = ["instrument", "price", "vol", "mark", "value", "delta", "gamma", "vega", "theta", "rho"]
        return table(header, [_cells(row) for row in self.rows])


def price_list(market: Market) -> PriceList:
    """Value and Greeks of one unit of every instrument.

    Raises:
        SnapshotError, DomainError: as `riskproof.risk.arrays.compute_array`.
        OverflowMoneyError: a value or a Greek does not fit 64 bits.
    """
    registry, snapshot = market.registry, market.snapshot
    states = market_states(market, (), _UNSCALED, MICROS_EXPONENT)
    values = risk_entries(states.grid(0, len(registry))).base_value.tolist()
    greeks = unit_greeks(market, range(len(registry)))
    rows = [
        PriceRow(i, instrument, expired=snapshot.is_expired(instrument))
        if quote is None
        else _row(market, i, instrument, quote, values[i], greeks[i])
        for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True))
    ]
    return PriceList(registry.digest, snapshot.digest, registry.numeraire, KERNEL_VERSION, tuple(rows))


def _row(market: Market, index: int, instrument: Instrument, quote: Quote, value: int, greeks: UnitGreeks) -> PriceRow:
    mark: int | None = None
    if instrument.kind is Kind.OPTION:
        expiry, volatility, _strike = option_terms(instrument, quote)
        if quote.mark is not None:
            inverse = instrument.payoff is Payoff.INVERSE
            conversion = market.snapshot.index_price[instrument.underlying] if inverse else units.PRICE_ONE
            mark = _micros(quote.mark * conversion * instrument.unit, 3 * PRICE_EXPONENT, instrument.name)
        price = market.snapshot.curve[instrument.underlying, expiry].forward
        return PriceRow(index, instrument, False, value, mark, price, volatility, greeks)
    price = mark_of(quote)
    if instrument.kind is Kind.SPOT:
        mark = _micros(price * instrument.unit, 2 * PRICE_EXPONENT, instrument.name)
    return PriceRow(index, instrument, False, value, mark, price, None, greeks)


def _micros(amount: int, exponent: int, where: str) -> int:
    return units.to_micros(amount, exponent, against_account=False, where=where)


def _cells(row: PriceRow) -> list[str]:
    if row.price is None or row.value_micros is None or row.greeks is None:
        return [row.instrument.name, "expired" if row.expired else "not quoted", *[""] * 8]
    return [
        row.instrument.name,
        format_decimal(units.round_half_even(row.price, 10**7), 2),
        "" if row.volatility is None else f"{format_decimal(units.round_half_even(row.volatility, 10**8), 2)}%",
        "" if row.mark_micros is None else format_decimal(row.mark_micros, MICROS_EXPONENT),
        format_decimal(row.value_micros, MICROS_EXPONENT),
        format_decimal(units.round_half_even(row.greeks.delta, 10**8), 4),
        format_decimal(units.round_half_even(row.greeks.gamma, 10**4), 8),
        *(
            format_decimal(units.round_half_even(x, 10**5), 4)
            for x in (row.greeks.vega, row.greeks.theta, row.greeks.rho)
        ),
    ]
