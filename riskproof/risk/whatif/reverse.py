"""Reverse stress: the smallest move along given directions that exhausts the equity.

    along a direction d:  price of u times 1 + t d_u,   volatility of u's options times 1 + t v        t >= 0
    E(t) = equity + P&L(t)                              full revaluation by the kernel (riskproof.risk.tail.revaluation)
    t*   = the least t with E(t) <= 0

P&L is not monotone in t, so t runs through multiples of 0.001 up to the direction's limit, and t* is then found between two
neighbours to 10^-9. A loss that comes and goes between two neighbours is not seen. Equity is the model's; it moves with what is
held, not with haircuts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from riskproof.errors import ModelError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind
from riskproof.units import RATIO_ONE

if TYPE_CHECKING:
    from riskproof.risk.states import States

STEP: Final = RATIO_ONE // 1_000
FINEST: Final = RATIO_ONE // 10**9
MAX_UP: Final = 3 * RATIO_ONE
MAX_DOWN: Final = 9 * RATIO_ONE // 10
TENOR: Final = 30


@dataclass(frozen=True)
class Direction:
    """A direction of moves; ratios are int64, 1e-12.

    Attributes:
        id: what people call it.
        prices: {underlying: move of its price at t = 1}; what is not named does not move.
        volatility: move of all volatilities of the named underlyings at t = 1.
        limit: largest t.

    Raises:
        ModelError: nothing moves, or a price or volatility would leave the kernel's domain at the limit.
    """

    id: str
    prices: Mapping[str, int]
    volatility: int = 0
    limit: int = MAX_DOWN

    def __post_init__(self) -> None:
        where = f"direction {self.id}"
        if not any(self.prices.values()) and not self.volatility:
            raise ModelError("nothing moves", where=where, expected="an underlying whose price moves")
        if self.limit < STEP:
            raise ModelError("no room to move", where=where, expected="a limit of at least 0.001")
        for name, move in self.prices.items():
            if not -MAX_DOWN * RATIO_ONE <= move * self.limit <= 9 * RATIO_ONE**2:
                raise ModelError(f"{name} moves too far", where=where, expected="-0.9 to 9 at the limit")
        if not -(RATIO_ONE**2) <= self.volatility * self.limit <= 9 * RATIO_ONE**2:
            raise ModelError("volatility moves too far", where=where, expected="-1 to 9 at the limit")


@dataclass(frozen=True, slots=True, repr=False)
class Exhaustion:
    """What a direction does to an account.

    Attributes:
        direction: which.
        move: t*, 1e-12, or None: the equity lasts to the direction's limit.
        pnl: P&L there, or at the limit; exact.
        least: (t, least equity seen up to the limit).
    """

    direction: Direction
    move: int | None
    pnl: Fraction = field(repr=False)
    least: tuple[int, Fraction] = field(repr=False)


def directions_of(market: Market, portfolio: Portfolio, still: Sequence[str] = ()) -> list[Direction]:
    """Down and up, with and without volatility, all underlyings together, then each alone.

    Moved are the underlyings of derivatives held and of assets that have derivatives listed, so stablecoins stay; so does what
    `still` names.
    """
    registry = market.registry
    listed = {x.underlying for x in registry.instruments if x.kind is not Kind.SPOT}
    held = sorted({registry.instruments[i].underlying for i, _ in portfolio.positions} & listed - set(still))
    names = [u for u in held if u != registry.numeraire]
    if not names:
        return []
    together = dict.fromkeys(names, RATIO_ONE)
    down = dict.fromkeys(names, -RATIO_ONE)
    result = [
        Direction("down", down),
        Direction("down, volatility up", down, RATIO_ONE),
        Direction("up", together, 0, MAX_UP),
        Direction("up, volatility up", together, RATIO_ONE, MAX_UP),
    ]
    if len(names) > 1:
        for u in names:
            result += [Direction(f"{u} down", {u: -RATIO_ONE}), Direction(f"{u} up", {u: RATIO_ONE}, 0, MAX_UP)]
    return result


def reverse_stress(
    market: Market, portfolio: Portfolio, equity: Fraction, directions: Sequence[Direction]
) -> list[Exhaustion]:
    """t* of each direction, in their order.

    Args:
        equity: what the account has now, in the numeraire.

    Raises:
        PortfolioError, SnapshotError, DomainError, OverflowMoneyError: as `tail.revaluation.book_pnl`.
    """
    from riskproof.risk.tail.revaluation import base_state

    states = base_state(market)
    return [_along(market, portfolio, equity, d, states) for d in directions]


def _along(market: Market, portfolio: Portfolio, equity: Fraction, d: Direction, states: States) -> Exhaustion:
    ts = [*range(0, d.limit, STEP), d.limit]
    pnl = _pnl(market, portfolio, d, ts, states)
    n = min(range(len(ts)), key=pnl.__getitem__)
    least = ts[n], equity + pnl[n]
    first = next((i for i, x in enumerate(pnl) if equity + x <= 0), None)
    if first is None:
        return Exhaustion(d, None, pnl[-1], least)
    if first == 0:
        return Exhaustion(d, 0, pnl[0], least)
    low, high, at = ts[first - 1], ts[first], pnl[first]
    while high - low > FINEST:
        inner = [low + (high - low) * k // 16 for k in range(1, 16)]
        found = _pnl(market, portfolio, d, inner, states)
        hit = next((k for k, x in enumerate(found) if equity + x <= 0), None)
        if hit is None:
            low = inner[-1]
        else:
            low, high, at = (inner[hit - 1] if hit else low), inner[hit], found[hit]
    return Exhaustion(d, high, at, least)


def _pnl(market: Market, portfolio: Portfolio, d: Direction, ts: Sequence[int], states: States) -> list[Fraction]:
    import numpy as np

    from riskproof.risk.tail.history import Factor
    from riskproof.risk.tail.moves import Moves
    from riskproof.risk.tail.revaluation import Immovable, book_pnl

    names = sorted(d.prices)
    columns = {}
    for u in names:
        columns[Factor(u)] = [RATIO_ONE + t * d.prices[u] // RATIO_ONE for t in ts]
        columns[Factor(u, TENOR)] = [RATIO_ONE + t * d.volatility // RATIO_ONE for t in ts]
    factors = tuple(sorted(columns, key=lambda f: (f.underlying, f.tenor_days)))
    moves = Moves(tuple(str(t) for t in ts), factors, np.array([columns[f] for f in factors], dtype=np.int64).T)
    others = frozenset(x.underlying for x in market.registry.instruments) - set(names)
    one = 10 ** (market.registry.money_exponent + market.registry.quantity_exponent)
    found = book_pnl(market, moves, portfolio, Immovable(others, others), base=states)
    return [Fraction(x, one) for x in found]
