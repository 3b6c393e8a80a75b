"""What could be held: the instruments of one attestation, and what quantities of them are as expressions of its lots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from riskproof.proof.programme.convex import Affine, maximum, total
from riskproof.risk.margining.book import Holding, NettingSet
from riskproof.risk.margining.grid import State
from riskproof.risk.margining.market import MarginMarket
from riskproof.risk.margining.values import UnitValues

_ZERO, _ONE = Affine(), Fraction(1)


@dataclass(frozen=True)
class MarketPart:
    """One attestation's part of the statement.

    Attributes:
        market: exact numbers; its listings are the registry's instruments.
        lot: units in a lot, 10^-e.
        places: place among all lots of each instrument that counts: live, quoted and not expired.
    """

    market: MarginMarket
    lot: Fraction
    places: dict[int, int]


@dataclass
class Listed:
    """One netting set of one attestation: everything that could be held.

    Attributes:
        book: as the engine arranges it, with one unit of everything; collateral on the terms that ask most.
        markets: what the book's underlying may be, which depends on what is held.
        label: for names.
        losses: the largest loss of one unit alone, 10^-m, by (group, place, 1 long or -1 short); `Charges` keeps it here.
    """

    part: MarketPart
    book: NettingSet
    markets: tuple[str | None, ...]
    values: UnitValues
    label: str
    losses: dict[tuple[str, int, int], Fraction | int] = field(default_factory=dict)
    _long: dict[int, Affine] = field(default_factory=dict)

    def long(self, h: Holding) -> Affine:
        """max(0, q) of a holding's lots q."""
        if h.place not in self._long:
            lots = Affine(positions={self.part.places[h.place]: _ONE})
            self._long[h.place] = maximum(f"{h.listing.name} of {self.label}, long", [_ZERO, lots])
        return self._long[h.place]

    def lots(self, h: Holding, coefficient: Fraction) -> Affine:
        """coefficient times the quantity of a holding."""
        c = coefficient * self.part.lot
        return Affine(positions={self.part.places[h.place]: c}) if c else _ZERO

    def sum(self, holdings: Iterable[Holding], coefficient: Callable[[Holding], Fraction]) -> Affine:
        return total(self.lots(h, coefficient(h)) for h in holdings)

    def money(self, holdings: Iterable[Holding], units: Callable[[Holding], int]) -> Affine:
        """Sum of quantities, each once, times amounts of 10^-m."""
        places, lot = self.part.places, self.part.lot
        denominator = lot.denominator * 10**self.part.market.money_exponent
        found = ((places[h.place], units(h)) for h in holdings)
        return Affine(positions={i: Fraction(lot.numerator * u, denominator) for i, u in sorted(found) if u})

    def options(self, holdings: Sequence[Holding], state: State) -> Affine:
        """Value of an expiry's options in a state."""
        return self.money(holdings, lambda h: self.values.option(h.place, state))
