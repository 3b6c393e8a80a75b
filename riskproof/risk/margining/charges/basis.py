"""The `basis` charge: forwards of different expiries do not move alike.

    amount = sum over expiries of max(0, -dV(up), -dV(down)) (add + per_year T)

dV is the change of value of the expiry's options when its forward alone moves by `up` or `down` (relative), at
unchanged volatility and index price (which converts inverse options); T in years.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining import exact
from riskproof.risk.margining.grid import BASE, FORWARDS, State
from riskproof.units import SECONDS_PER_YEAR

if TYPE_CHECKING:
    from riskproof.risk.margining.book import Holding, NettingSet
    from riskproof.risk.margining.values import UnitValues


@dataclass(frozen=True, slots=True)
class Basis:
    """`basis`."""

    up: Fraction
    down: Fraction
    add: Fraction
    per_year: Fraction

    @classmethod
    def parse(cls, members: dict[str, Json], where: str) -> Basis:
        m = encoding.members(members, where, ("up", "down", "add", "per_year"))
        down = exact.parse(m["down"], f"{where}.down", high=0)
        if down <= -1:
            raise ModelError("the price does not stay positive", where=f"{where}.down", expected="above -1")
        return cls(
            exact.parse(m["up"], f"{where}.up", low=0, high=1_000),
            down,
            exact.parse(m["add"], f"{where}.add", low=0, high=100),
            exact.parse(m["per_year"], f"{where}.per_year", low=0, high=100),
        )

    @property
    def moves(self) -> tuple[State, State]:
        """The forward up, and down."""
        return State(self.up, on=FORWARDS), State(self.down, on=FORWARDS)

    def to_document(self) -> dict[str, Json]:
        return {"kind": "basis", **{n: exact.text(getattr(self, n)) for n in ("up", "down", "add", "per_year")}}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        def compute() -> Fraction:
            return sum((self._expiry(book, held, values) for held in book.options.values()), Fraction(0))

        return values.of_group(id(self), book, compute)  # the same for every margin

    def _expiry(self, book: NettingSet, holdings: tuple[Holding, ...], values: UnitValues) -> Fraction:
        def compute() -> Fraction:
            now = values.options(holdings, BASE)
            worst = min(values.options(holdings, move) - now for move in self.moves)
            if worst >= 0:
                return Fraction(0)
            seconds = book.market.forward(holdings[0].listing).seconds
            return -worst * (self.add + self.per_year * Fraction(max(seconds, 0), SECONDS_PER_YEAR))

        return values.of_group(id(self), holdings, compute)
