"""Figures of a book as they are reported and attested, under a model of either version.

version 1   sums over the risk array of the market (riskproof.risk.portfolio_risk); the array has a digest of its own
version 2   the margin engine's report (riskproof.risk.margining), each figure rounded as the model says, then to micros against the
            account. Nothing is computed ahead of the book: market, model and the engine's version name the result
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, Self

from riskproof import units
from riskproof.errors import ModelError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margining import (
    AnyModel,
    MarginReport,
    UnitValues,
    evaluate_model,
    from_market,
    from_portfolio,
)
from riskproof.risk.model import RiskModel
from riskproof.risk.portfolio_risk import PortfolioRisk, evaluate

if TYPE_CHECKING:
    from riskproof.risk.tail.history import History

ENGINE: Final = "margin-exact/1"  # changes whenever a figure under a model of version 2 does


class Figures(Protocol):
    """What a risk discloses. Amounts are int64 micros of the numeraire; secret.

    Attributes:
        initial_margin_micros, maintenance_margin_micros: rounded up.
        pnl_micros: one for each scenario of the model, rounded down.
        worst_id: the first scenario with the least exact P&L; None under a model without scenarios.
    """

    @property
    def initial_margin_micros(self) -> int: ...
    @property
    def maintenance_margin_micros(self) -> int: ...
    @property
    def pnl_micros(self) -> tuple[int, ...]: ...
    @property
    def worst_id(self) -> str | None: ...


@dataclass(frozen=True, repr=False)
class MarginFigures:
    """`Figures` of a margin report, and its equity. Secret: the repr shows only how many scenarios there are."""

    value_micros: int
    initial_margin_micros: int
    maintenance_margin_micros: int
    pnl_micros: tuple[int, ...]
    worst_id: str | None

    def __repr__(self) -> str:
        return f"MarginFigures(<{len(self.pnl_micros)} scenarios>)"

    @classmethod
    def of(cls, report: MarginReport) -> MarginFigures:
        """A report's figures; the P&L of a scenario is that of all netting sets (OverflowMoneyError)."""
        pnl = report.pnl
        worst = min(range(len(pnl)), key=pnl.__getitem__, default=None)
        return cls(
            _micros(report.rounding.of_value(report.equity), "equity"),
            _micros(report.rounding.of_requirement(report.initial), "initial margin", requirement=True),
            _micros(report.rounding.of_requirement(report.maintenance), "maintenance margin", requirement=True),
            tuple(_micros(report.rounding.of_value(x), "P&L") for x in pnl),
            None if worst is None else report.scenario_ids[worst],
        )


def _micros(rounded: tuple[int, int], where: str, *, requirement: bool = False) -> int:
    return units.to_micros(*rounded, against_account=True, requirement=requirement, where=where)


@dataclass(frozen=True, eq=False)
class RiskBasis:
    """A market under a model, ready for books: what anyone recomputes an attestation's figures from.

    Attributes:
        array: of version 1; None under a model of version 2, which keeps the values of what it has met instead.
        histories: what the joint moves of a tail block come from; the model has their digests.
    """

    market: Market
    model: AnyModel
    array: RiskArray | None = field(repr=False)
    histories: tuple[History, ...] = ()

    @classmethod
    def build(
        cls,
        market: Market,
        model: AnyModel,
        histories: Sequence[History] = (),
        *,
        cancel: Callable[[], None] | None = None,
    ) -> Self:
        """Compute what comes before any book; `cancel` as of `compute_array` (SnapshotError, DomainError, OverflowMoneyError)."""
        array = compute_array(market, model, cancel=cancel) if isinstance(model, RiskModel) else None
        return cls(market, model, array, tuple(histories))

    @cached_property
    def _values(self) -> UnitValues:
        if isinstance(self.model, RiskModel):
            raise AssertionError("a model of version 1 has an array")
        return UnitValues(self.model, from_market(self.market, self.histories))

    @property
    def kernel(self) -> str:
        """Version of what computes the figures."""
        return ENGINE if self.array is None else self.array.kernel

    @property
    def array_digest(self) -> bytes | None:
        return None if self.array is None else self.array.digest

    def report(self, book: Portfolio) -> MarginReport:
        """A book's margin under a model of version 2; raises as `figures`, but for amounts of any size."""
        values = self._values
        return evaluate_model(values.model, values.market, from_portfolio(self.market, book), values)

    def figures(self, book: Portfolio) -> PortfolioRisk | MarginFigures:
        """A book's figures.

        Raises:
            UnknownInstrumentError: a position outside the registry.
            PortfolioError: the snapshot does not price a holding that has not expired, or the model does not take the book.
            SnapshotError, HistoryError: version 2: a feed or a history that the model needs is missing.
            OverflowMoneyError: an amount does not fit 64 bits in micros.
        """
        if isinstance(self.model, RiskModel):
            if self.array is None:
                raise ModelError("a model of version 1 needs its risk array", where="array", expected="compute_array")
            return evaluate(self.market, self.model, self.array, book, with_greeks=False)
        return MarginFigures.of(self.report(book))
