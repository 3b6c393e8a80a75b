"""The requirement that a tail model makes of a book, and the public risk array of its scenarios."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from riskproof import units
from riskproof.errors import DomainError, HistoryError, ModelError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import RiskArray
from riskproof.risk.tail.history import History
from riskproof.risk.tail.measures import expected_shortfall, liquidity_cascade, value_at_risk
from riskproof.risk.tail.model import VALUE_AT_RISK, Liquidity, TailModel
from riskproof.risk.tail.moves import Moves
from riskproof.risk.tail.revaluation import base_state, book_pnl, tail_array
from riskproof.risk.tail.roots import root_up
from riskproof.units import RATIO_ONE, format_decimal


@dataclass(frozen=True, repr=False)
class SetRisk:
    """One scenario set's result; secret data of the account.

    Attributes:
        id: the set's.
        scenario_ids: what each move is.
        pnl: exact, in 10^-(m+e), without liquidity horizons.
        value_at_risk, expected_shortfall: losses, None for the worst loss; over an interval of correlations, at the worst of
            them; without liquidity horizons.
        amount: the measure as a loss in 10^-(m+e), exact; with liquidity horizons rounded up; the worst over an interval.
    """

    id: str
    scenario_ids: tuple[str, ...]
    pnl: tuple[int, ...]
    value_at_risk: int | None
    expected_shortfall: Fraction | None
    amount: Fraction

    def __repr__(self) -> str:
        return f"SetRisk({self.id!r}, <{len(self.pnl)} scenarios>)"


@dataclass(frozen=True, repr=False)
class TailRisk:
    """Tail risk of one book; secret data of the account.

    Attributes:
        sets: in the model's order.
        binding: index of the first set with the greatest measure.
        requirement: max(0, that measure) in 10^-(m+e), exact.
        requirement_micros: rounded up.
    """

    sets: tuple[SetRisk, ...]
    binding: int
    requirement: Fraction
    requirement_micros: int

    def __repr__(self) -> str:
        return f"TailRisk(<{len(self.sets)} sets>)"


def evaluate_tail(
    market: Market, model: TailModel, portfolio: Portfolio, histories: Sequence[History] = ()
) -> TailRisk:
    """The requirement that a tail model makes of a book.

    Raises:
        HistoryError: a history that the model names is not among `histories`, or does not have the days.
        ModelError: a tail that holds less than the heaviest scenario; an instrument that is held and does not move.
        PortfolioError, UnknownInstrumentError, SnapshotError, DomainError, OverflowMoneyError: see `revaluation.book_pnl`.
    """
    base, results = base_state(market), []
    exponent = market.registry.money_exponent + market.registry.quantity_exponent

    def pnl_of(moves: Moves) -> list[int]:
        shift = model.time_shift_seconds
        return book_pnl(market, moves, portfolio, model.immovable, time_shift_seconds=shift, base=base)

    for n, (id_, method) in enumerate(model.sets):
        with errors_at(f"sets[{n}]"):
            parts = method.moves(histories)
            weights = method.weights(len(parts[0]))
            _check_tail(model, weights)
            results.append(_set_risk(model, id_, parts, weights, pnl_of))
    binding = max(range(len(results)), key=lambda n: (results[n].amount, -n))
    requirement = max(Fraction(0), results[binding].amount)
    whole = -((-requirement.numerator) // requirement.denominator)
    micros = units.to_micros(whole, exponent, against_account=True, requirement=True, where="tail risk")
    return TailRisk(tuple(results), binding, requirement, micros)


def model_array(
    market: Market,
    model: TailModel,
    histories: Sequence[History] = (),
    *,
    threads: int = 1,
    cancel: Callable[[], None] | None = None,
) -> RiskArray:
    """The public risk array of all scenarios of all sets, one set after the other; named by the model's digest.

    Raises:
        As `revaluation.tail_array` and `evaluate_tail`.
    """
    parts = []
    for n, (_, method) in enumerate(model.sets):
        with errors_at(f"sets[{n}]"):
            found = method.moves(histories)
        shift = model.time_shift_seconds
        parts += [
            tail_array(
                market, moves, model.digest, model.immovable, time_shift_seconds=shift, threads=threads, cancel=cancel
            )
            for moves in found
        ]
    first = parts[0]
    rows = first.rows if len(parts) == 1 else np.concatenate([part.rows for part in parts], axis=1)
    names = (first.registry_digest, first.snapshot_digest, first.model_digest, first.kernel)
    return RiskArray(
        *names, first.money_exponent, first.quantity_exponent, rows, first.base_value, first.buffer, first.status
    )


def _set_risk(
    model: TailModel, id_: str, parts: Sequence[Moves], weights: list[int], pnl_of: Callable[[Moves], list[int]]
) -> SetRisk:
    found: list[tuple[Fraction, int | None, Fraction | None]] = []
    ids: list[str] = []
    every: list[int] = []
    for moves in parts:
        pnl = pnl_of(moves)
        amount = _measure(model, pnl, weights)
        if model.liquidity is not None:
            amount = _over_horizons(model, model.liquidity, moves, weights, amount, pnl_of)
        if model.tail is None:
            found.append((amount, None, None))
        else:
            quantile = value_at_risk(pnl, model.tail, weights)
            found.append((amount, quantile, expected_shortfall(pnl, model.tail, weights)))
        ids += moves.ids
        every += pnl
    amount, var, shortfall = max(found, key=lambda one: one[0])
    return SetRisk(id_, tuple(ids), tuple(every), var, shortfall, amount)


def _measure(model: TailModel, pnl: list[int], weights: list[int]) -> Fraction:
    if model.tail is None:
        return Fraction(-min(pnl))
    if model.measure == VALUE_AT_RISK:
        return Fraction(value_at_risk(pnl, model.tail, weights))
    return expected_shortfall(pnl, model.tail, weights)


def _over_horizons(
    model: TailModel,
    liquidity: Liquidity,
    moves: Moves,
    weights: list[int],
    base: Fraction,
    pnl_of: Callable[[Moves], list[int]],
) -> Fraction:
    days_of = dict(liquidity.horizons)
    unknown = sorted(set(days_of) - set(moves.factors))
    if unknown:
        raise ModelError(
            f"no move of the {unknown[0]}", where="liquidity.horizons", expected="factors that the sets move"
        )
    shortfalls = [(liquidity.base_days, base)]
    for days in sorted(set(days_of.values())):
        slow = moves.only(lambda x, least=days: days_of.get(x, 0) >= least)  # type: ignore[misc]
        shortfalls.append((days, _measure(model, pnl_of(slow), weights)))
    return Fraction(root_up(liquidity_cascade(shortfalls, liquidity.base_days)))


def _check_tail(model: TailModel, weights: list[int]) -> None:
    if model.tail is not None and model.tail * sum(weights) < RATIO_ONE * max(weights):
        raise ModelError(
            f"a tail of {format_decimal(model.tail, 12)} of {len(weights)} scenarios holds less than one",
            where="measure.tail",
            expected="more scenarios, or a larger tail",
        )


@contextmanager
def errors_at(place: str) -> Iterator[None]:
    """Put a set's path in front of the place of an error about it."""
    try:
        yield
    except (ModelError, HistoryError, DomainError) as error:
        where = f"{place}: {error.where}" if error.where else place
        raise type(error)(error.what, where=where, expected=error.expected) from None
