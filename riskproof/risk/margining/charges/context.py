"""What a charge is: a function of a netting set and of the margin that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.risk.margining import exact
from riskproof.risk.margining.scope import Scope

if TYPE_CHECKING:
    from riskproof.risk.margining.book import NettingSet
    from riskproof.risk.margining.values import UnitValues

INITIAL, MAINTENANCE = "initial", "maintenance"
MARGINS = (INITIAL, MAINTENANCE)
MAX_RATE = 100


class Charge(Protocol):
    """A charge of some kind."""

    def to_document(self) -> dict[str, Json]:
        """Members with `kind`, without `id`."""
        ...

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        """The amount for initial or maintenance margin, exact, in the settlement currency."""
        ...


@dataclass(frozen=True, slots=True)
class Scoped:
    """A charge of any kind, on a part of the netting set."""

    charge: Charge
    scope: Scope

    def to_document(self) -> dict[str, Json]:
        return {**self.charge.to_document(), "scope": self.scope.to_document()}

    def amount(self, book: NettingSet, values: UnitValues, margin: str) -> Fraction:
        return self.charge.amount(book.within(self.scope), values, margin)


def whole(charge: Charge) -> Charge:
    """A charge without its scope."""
    return charge.charge if isinstance(charge, Scoped) else charge


# A netting set and its largest loss in the scenarios of a group.
SetLosses = tuple["NettingSet", Callable[[str], Fraction]]


class AccountCharge(Charge, Protocol):
    """A charge of the whole account; `amount` of a netting set is zero."""

    def account_amount(self, sets: Sequence[SetLosses], values: UnitValues, margin: str) -> Fraction:
        """The amount for initial or maintenance margin, exact."""
        ...


def parse_rates(node: Json, where: str) -> tuple[Fraction, Fraction]:
    """{"initial": ..., "maintenance": ...} as a pair."""
    m = encoding.members(node, where, MARGINS)
    return (
        exact.parse(m[INITIAL], f"{where}.initial", low=0, high=MAX_RATE),
        exact.parse(m[MAINTENANCE], f"{where}.maintenance", low=0, high=MAX_RATE),
    )


def rates_document(rates: tuple[Fraction, Fraction]) -> dict[str, Json]:
    return {name: exact.text(rate) for name, rate in zip(MARGINS, rates, strict=True)}


def rate_of(rates: tuple[Fraction, Fraction], margin: str) -> Fraction:
    return rates[0] if margin == INITIAL else rates[1]
