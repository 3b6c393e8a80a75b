"""What an account is worth in every scenario, with haircuts on the assets that it holds; docs/risk-model.md, docs/protocol.md 2.4.

H[i]   = ceil(h V[i])       haircut on one unit of a spot asset: h the model's rate, V the base value; 10^-m of the numeraire
E[s]   = sum_i q_i (A[s, i] + V[i]) - sum_i max(0, H[i] q_i)       exact, in 10^-(m+e)

The numeraire has no haircut, whatever the model says about an asset of its name: a model does not know in which registries it
will be used. An asset that is borrowed (q < 0) gets none either: it is owed in full. The haircut is on the value now, in every
scenario alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskproof import units
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind
from riskproof.risk.arrays import PRICED, RiskArray
from riskproof.risk.margin import exact_pnl, exact_sum, worst_scenario
from riskproof.risk.model import RiskModel
from riskproof.risk.portfolio_risk import check_array, check_book


@dataclass(frozen=True, repr=False)
class StressedEquity:
    """What a book is worth now and in every scenario. Secret data of the account: the repr shows only how many scenarios there are.

    Attributes:
        exponent: m + e; amounts are exact, in 10^-(m+e) of the numeraire.
        value: sum_i q_i V[i]; futures and perpetuals contribute nothing.
        haircut: sum_i max(0, H[i] q_i), not negative.
        scenarios: E[s], in the model's order.
    """

    exponent: int
    value: int
    haircut: int
    scenarios: tuple[int, ...]

    def __repr__(self) -> str:
        return f"StressedEquity(<{len(self.scenarios)} scenarios>)"

    @property
    def equity(self) -> int:
        """Value less haircut: what the account is worth before any scenario."""
        return self.value - self.haircut

    @property
    def worst(self) -> int:
        """Index of the first scenario with the least stressed equity."""
        return worst_scenario(self.scenarios)


def haircuts(market: Market, model: RiskModel, array: RiskArray) -> list[tuple[int, int]]:
    """(index, H) of every priced spot asset other than the numeraire that has a rate above zero, index ascending.

    H is the haircut on one long unit in 10^-m of the numeraire, at least 0 and at most the unit's base value, so it fits int64.

    Raises:
        ModelError: the model has no collateral block.
        RegistryError, SnapshotError, ModelError: the array was computed for another registry, snapshot or model.
    """
    check_array(market, model, array)
    model.haircut(market.registry.numeraire)  # a model without haircuts is refused even if nothing here would have one
    amounts = []
    for index, instrument in enumerate(market.registry.instruments):
        asset = instrument.underlying
        if instrument.kind is not Kind.SPOT or asset == market.registry.numeraire or array.status[index] != PRICED:
            continue
        rate = model.haircut(asset)
        if rate > 0:
            amounts.append((index, units.ceil_div(rate * int(array.base_value[index]), units.RATIO_ONE)))
    return amounts


def stressed_equity(market: Market, model: RiskModel, array: RiskArray, portfolio: Portfolio) -> StressedEquity:
    """E[s] of a book, whatever its lots.

    Raises:
        ModelError, RegistryError, SnapshotError: as `haircuts`.
        UnknownInstrumentError: a position outside the registry.
        PortfolioError: the snapshot does not price a holding that has not expired; names the instrument, no quantity.
    """
    per_unit = dict(haircuts(market, model, array))
    check_book(market, array, portfolio)
    positions = portfolio.positions
    value = exact_sum(array.base_value, positions)
    haircut = sum(max(0, per_unit.get(index, 0) * lots) for index, lots in positions)
    pnl = exact_pnl(array.rows, positions)
    return StressedEquity(array.pnl_exponent, value, haircut, tuple(value - haircut + gain for gain in pnl))
