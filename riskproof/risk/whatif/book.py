"""A book under a model, of version 1 or 2, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from riskproof.errors import PortfolioError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.incremental import AccountMargin, KeptValues
from riskproof.risk.margining.markets import AnyModel, from_market, from_portfolio, report_version1
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.model import RiskModel

if TYPE_CHECKING:
    from riskproof.risk.tail.history import History

_ZERO = Fraction(0)


class BookMargin(Protocol):
    """A book's margin under a model, now and after trades. Positions are by registry index, in lots.

    Attributes:
        market, portfolio: as given; what has expired is held but worth nothing.
        report: margin of the book.
        receivables, underlying: as given; models of version 1 have none.
        histories: as given, for models whose joint moves come from one.
    """

    market: Market
    portfolio: Portfolio
    report: MarginReport
    receivables: Mapping[int, Fraction]
    underlying: str | None
    histories: Sequence[History]

    @property
    def model(self) -> AnyModel:
        """The model that the report is of."""
        ...

    @property
    def live(self) -> list[tuple[int, int]]:
        """(index, lots) of what has not expired."""
        ...

    @property
    def scenarios(self) -> int:
        """How many scenarios the model has."""
        ...

    def after(self, trades: Mapping[int, int], *, paid: bool = True) -> MarginReport:
        """Margin after trades, {index: lots added}.

        Args:
            paid: what is bought costs its value at the snapshot, in cash, without fees: the equity does not change but by a
            haircut. Without it, the trades come for nothing.

        Raises:
            UnknownInstrumentError, PortfolioError, SnapshotError, OverflowMoneyError: as of the book after the trades.
        """
        ...

    def alone(self, index: int) -> MarginReport:
        """Margin of one position by itself, without cash."""
        ...

    def pnl_by_position(self) -> dict[int, tuple[Fraction, ...]]:
        """P&L of each position in each scenario; they add up to the report's, exactly."""
        ...


def open_book(
    model: AnyModel,
    market: Market,
    portfolio: Portfolio,
    receivables: Mapping[int, Fraction] | None = None,
    underlying: str | None = None,
    histories: Sequence[History] = (),
    *,
    priced: Sequence[BookMargin] = (),
) -> BookMargin:
    """Evaluate a book; arguments and errors as of `riskproof.risk.margining.margin` and `from_portfolio`.

    `priced` are books on the same market and histories: a model that prices alike takes its unit values from them.
    """
    if not isinstance(model, RiskModel):
        values = None
        for book in priced:
            if isinstance(book, Version2Book) and _prices_alike(book.model, model):
                values = book.account.values.sibling(model)
        return Version2Book(model, market, portfolio, receivables, underlying, histories, values)
    if receivables:
        raise PortfolioError("a model of version 1 has no receivables", where="receivables", expected="none")
    return Version1Book(model, market, portfolio, histories)


def traded(portfolio: Portfolio, trades: Mapping[int, int]) -> Portfolio:
    """A book after trades, {index: lots added}."""
    positions = dict(portfolio.positions)
    for index, lots in trades.items():
        positions[index] = positions.get(index, 0) + lots
    return Portfolio.build(positions.items())


def _prices_alike(a: MarginModel, b: MarginModel) -> bool:
    """Whether two models give a unit the same value in the same state."""
    blocks = ("pricing", "volatility", "scan_ranges", "collateral", "tail")
    return all(getattr(a, name) == getattr(b, name) for name in blocks)


def _live(market: Market, portfolio: Portfolio) -> list[tuple[int, int]]:
    instruments = market.registry.instruments
    return [(i, lots) for i, lots in portfolio.positions if not market.snapshot.is_expired(instruments[i])]


class Version1Book:
    """`BookMargin` from the risk array of a model of version 1."""

    def __init__(
        self, model: RiskModel, market: Market, portfolio: Portfolio, histories: Sequence[History] = ()
    ) -> None:
        self.model, self.market, self.portfolio, self.histories = model, market, portfolio, histories
        from riskproof.risk.arrays import compute_array

        self.array = compute_array(market, model)
        self.report = report_version1(model, market, self.array, portfolio)
        self.receivables: Mapping[int, Fraction] = {}
        self.underlying: str | None = None

    @property
    def live(self) -> list[tuple[int, int]]:
        return _live(self.market, self.portfolio)

    @property
    def scenarios(self) -> int:
        return len(self.model.scenarios)

    def after(self, trades: Mapping[int, int], *, paid: bool = True) -> MarginReport:
        report = report_version1(self.model, self.market, self.array, traded(self.portfolio, trades))
        one = 10**self.array.pnl_exponent
        cost = (
            sum((Fraction(int(self.array.base_value[i]) * q, one) for i, q in trades.items()), _ZERO) if paid else _ZERO
        )
        return replace(report, equity=report.equity - cost, cash=report.cash - cost)

    def alone(self, index: int) -> MarginReport:
        only = Portfolio(((index, dict(self.portfolio.positions)[index]),))
        return report_version1(self.model, self.market, self.array, only)

    def pnl_by_position(self) -> dict[int, tuple[Fraction, ...]]:
        one = 10**self.array.pnl_exponent
        return {
            index: tuple(Fraction(lots * entry, one) for entry in self.array.rows[index].tolist())
            for index, lots in self.portfolio.positions
        }

    def buffer(self, index: int) -> Fraction:
        """The charge on a position, before the margin's factor."""
        lots = dict(self.portfolio.positions)[index]
        return Fraction(abs(lots) * int(self.array.buffer[index]), 10**self.array.pnl_exponent)


class Version2Book:
    """`BookMargin` from the margin engine."""

    def __init__(
        self,
        model: MarginModel,
        market: Market,
        portfolio: Portfolio,
        receivables: Mapping[int, Fraction] | None = None,
        underlying: str | None = None,
        histories: Sequence[History] = (),
        values: KeptValues | None = None,
    ) -> None:
        self.model, self.market, self.portfolio, self.histories = model, market, portfolio, histories
        self.receivables: Mapping[int, Fraction] = dict(receivables or {})
        self.underlying = underlying
        account = from_portfolio(market, portfolio, receivables, underlying)
        exact = from_market(market, histories) if values is None else values.market
        self.account = AccountMargin(model, exact, account, values)
        self.report = self.account.report
        self._lot = 10**market.registry.quantity_exponent

    @property
    def live(self) -> list[tuple[int, int]]:
        return _live(self.market, self.portfolio)

    @property
    def scenarios(self) -> int:
        return len(self.model.scenarios)

    def after(self, trades: Mapping[int, int], *, paid: bool = True) -> MarginReport:
        quantities = {i: Fraction(lots, self._lot) for i, lots in trades.items() if self._live(i)}
        cost = sum((self.account.value(i, q) for i, q in quantities.items()), _ZERO) if paid else _ZERO
        return self.account.after(quantities, -cost)

    def _live(self, index: int) -> bool:
        """False for what has expired; PortfolioError for what the snapshot does not price."""
        instrument = self.market.registry.instrument(index, "trades")
        if self.market.snapshot.is_expired(instrument):
            return False
        if self.market.snapshot.quotes[index] is None:
            raise PortfolioError(
                "the snapshot does not price it", where=instrument.name, expected="a snapshot that quotes it"
            )
        return True

    def alone(self, index: int) -> MarginReport:
        return self.account.alone(index, dict(self.account.account.positions)[index])

    def pnl_by_position(self) -> dict[int, tuple[Fraction, ...]]:
        return self.account.pnl_by_position()
