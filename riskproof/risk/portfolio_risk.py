"""Risk of one book: exact P&L in every scenario, the worst one, margin, value and Greeks; and of many.

`evaluate` takes one book; `evaluate_batch` and `batch_greeks` give the same integers for many.

L[s] = sum_i q_i A[s, i]      exact, in 10^-(m+e) of the numeraire; reported once, in micros, rounded down
margin = factor * (max(0, max_s -L[s]) + sum_i |q_i| b_i)      rounded up (riskproof.risk.margin)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from riskproof import units
from riskproof.encoding import Json
from riskproof.errors import ModelError, PortfolioError, RegistryError, SnapshotError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import UNPRICED, RiskArray
from riskproof.risk.batch import BatchArrays, BatchRisk, evaluate_batch
from riskproof.risk.batch_greeks import BatchGreeks, batch_greeks
from riskproof.risk.greeks import PortfolioGreeks, portfolio_greeks
from riskproof.risk.margin import exact_pnl, exact_sum, margin_micros, worst_scenario
from riskproof.risk.model import RiskModel

__all__ = ["BatchArrays", "BatchGreeks", "BatchRisk", "PortfolioRisk", "batch_greeks", "evaluate", "evaluate_batch"]


@dataclass(frozen=True, repr=False)
class PortfolioRisk:
    """Risk of one book. Secret data of the account: the repr shows only how many scenarios there are.

    Attributes:
        scenario_ids: in the model's order.
        pnl_exponent: m + e; exact amounts are in 10^-(m+e) of the numeraire.
        pnl: exact, one per scenario, a gain of the holder positive.
        pnl_micros: rounded down.
        worst_index: the first scenario with the least P&L.
        value, value_micros: mark to model at the snapshot, exact and rounded down; futures and perpetuals contribute nothing.
        worst_loss, buffer: exact, not negative; the requirement is their sum.
        initial_margin_micros, maintenance_margin_micros: rounded up, not negative.
        greeks: by underlying and in total, or None if not asked for.
    """

    scenario_ids: tuple[str, ...]
    pnl_exponent: int
    pnl: tuple[int, ...]
    pnl_micros: tuple[int, ...]
    worst_index: int
    value: int
    value_micros: int
    worst_loss: int
    buffer: int
    initial_margin_micros: int
    maintenance_margin_micros: int
    greeks: PortfolioGreeks | None

    def __repr__(self) -> str:
        return f"PortfolioRisk(<{len(self.pnl)} scenarios>)"

    @property
    def worst_id(self) -> str:
        """Id of the worst scenario."""
        return self.scenario_ids[self.worst_index]

    def charges_document(self) -> dict[str, Json]:
        """What the requirement is made of, in micros rounded up each for itself; the margins round their sum."""
        return {
            "worst_loss_micros": _requirement_micros(self.worst_loss, self.pnl_exponent, "worst loss"),
            "buffer_micros": _requirement_micros(self.buffer, self.pnl_exponent, "buffer"),
        }

    def greeks_document(self) -> dict[str, Json] | None:
        """`PortfolioGreeks.to_document`, or None."""
        return None if self.greeks is None else self.greeks.to_document()


def evaluate(
    market: Market, model: RiskModel, array: RiskArray, portfolio: Portfolio, *, with_greeks: bool = True
) -> PortfolioRisk:
    """Risk of a book under a market's risk array.

    Raises:
        RegistryError, SnapshotError, ModelError: the array was computed for another registry, snapshot or model.
        UnknownInstrumentError: a position outside the registry.
        PortfolioError: the snapshot does not price a holding that has not expired; names the instrument, no quantity.
        OverflowMoneyError: an amount does not fit 64 bits in micros.
    """
    check_array(market, model, array)
    check_book(market, array, portfolio)
    positions, exponent = portfolio.positions, array.pnl_exponent
    pnl = _pnl(array, portfolio)
    worst = worst_scenario(pnl)
    worst_loss, buffer = max(0, -pnl[worst]), exact_sum(array.buffer, positions, gross=True)
    value = exact_sum(array.base_value, positions)
    return PortfolioRisk(
        scenario_ids=tuple(s.id for s in model.scenarios),
        pnl_exponent=exponent,
        pnl=tuple(pnl),
        pnl_micros=tuple(units.to_micros(x, exponent, against_account=True, where="P&L") for x in pnl),
        worst_index=worst,
        value=value,
        value_micros=units.to_micros(value, exponent, against_account=True, where="value"),
        worst_loss=worst_loss,
        buffer=buffer,
        initial_margin_micros=margin_micros(worst_loss + buffer, exponent, model.initial_factor, "initial margin"),
        maintenance_margin_micros=margin_micros(
            worst_loss + buffer, exponent, model.maintenance_factor, "maintenance margin"
        ),
        greeks=portfolio_greeks(market, portfolio) if with_greeks else None,
    )


def _pnl(array: RiskArray, portfolio: Portfolio) -> list[int]:
    """L[s], in int64 if no partial sum can leave it, else in Python integers: the same numbers."""
    if exact_sum(array.bounds, portfolio.positions, gross=True) >= units.INT64_MAX:
        return exact_pnl(array.rows, portfolio.positions)
    held = np.array(portfolio.positions, dtype=np.int64).reshape(-1, 2)
    pnl: list[int] = (held[:, 1] @ array.rows[held[:, 0]]).tolist()
    return pnl


def _requirement_micros(amount: int, exponent: int, where: str) -> int:
    return units.to_micros(amount, exponent, against_account=True, requirement=True, where=where)


def check_array(market: Market, model: RiskModel, array: RiskArray) -> None:
    """Raise RegistryError, SnapshotError or ModelError unless the array was computed for this market under this model."""
    if array.registry_digest != market.registry.digest:
        raise RegistryError("the risk array was computed for another registry version", where="array")
    if array.snapshot_digest != market.snapshot.digest:
        raise SnapshotError("the risk array was computed for another snapshot", where="array")
    if array.model_digest != model.digest:
        raise ModelError("the risk array was computed under another model", where="array", expected=model.name)


def check_book(market: Market, array: RiskArray, portfolio: Portfolio) -> None:
    """Check that a book can be given a risk figure.

    Raises:
        UnknownInstrumentError: a position outside the registry.
        PortfolioError: the snapshot does not price a holding that has not expired; names the instrument, no quantity.
    """
    portfolio.check(market.registry)
    for index, _ in portfolio.positions:
        if array.status[index] == UNPRICED:
            raise PortfolioError(
                "the snapshot does not price this holding",
                where=market.registry.instruments[index].name,
                expected="a snapshot that quotes it",
            )
