"""A client's account for the margin engine: what it holds, and what it is owed but has not been paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from riskproof.errors import PortfolioError
from riskproof.risk.margining.market import MarginMarket


@dataclass(frozen=True)
class Account:
    """Quantities by listing. They are secret: the repr shows only how many.

    Attributes:
        positions: ((place, quantity), ...) by ascending place, no zeros; quantity in units of the instrument, any number of
        decimals.
        receivables: ((place, amount), ...) of perpetuals and futures: P&L and funding that are not settled yet, in the
            settlement currency.
        underlying: the market that an account of one market is in, where its positions do not tell (collateral only).
    """

    positions: tuple[tuple[int, Fraction], ...] = field(repr=False)
    receivables: tuple[tuple[int, Fraction], ...] = field(default=(), repr=False)
    underlying: str | None = None

    def __post_init__(self) -> None:
        for name, pairs in (("positions", self.positions), ("receivables", self.receivables)):
            places = [place for place, _ in pairs]
            if places != sorted(set(places)) or any(amount == 0 for _, amount in pairs):
                raise PortfolioError(
                    "not sorted, an instrument twice, or a zero", where=name, expected="ascending places"
                )

    @classmethod
    def build(
        cls,
        market: MarginMarket,
        positions: dict[str, Fraction],
        receivables: dict[str, Fraction] | None = None,
        underlying: str | None = None,
    ) -> Account:
        """From quantities by name, zeros dropped; UnknownInstrumentError for a name that the market does not list."""

        def placed(amounts: dict[str, Fraction], where: str) -> tuple[tuple[int, Fraction], ...]:
            return tuple(sorted((market.place(n, where), Fraction(x)) for n, x in amounts.items() if x))

        return cls(placed(positions, "positions"), placed(receivables or {}, "receivables"), underlying)

    def __repr__(self) -> str:
        return f"Account(<{len(self.positions)} positions>)"
