"""Margin of many accounts at once: the same integers as `portfolio_risk.evaluate` for each, Greeks apart (batch_greeks).

Books come as compressed sparse rows (riskproof.risk.books).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riskproof import units
from riskproof.errors import ModelError
from riskproof.risk import accumulate
from riskproof.risk.arrays import UNPRICED, RiskArray
from riskproof.risk.books import Books, Int32, Int64, checked_layout, positions_of, refusal, words
from riskproof.risk.margin import exact_pnl, exact_sum, margin_micros, micros_fraction, scaled_down, worst_scenario
from riskproof.risk.model import RiskModel

Bool = npt.NDArray[np.bool_]
UInt64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False, repr=False)
class BatchArrays:
    """Portfolio risk arrays L[a, s] of A accounts. Secret data of theirs: the repr shows only the shape.

    Attributes:
        pnl_exponent: m + e: exact P&L is in 10^-(m+e) of the numeraire.
        high, low: [A, S] int64, uint64: the exact P&L is high * 2^64 + low; `pnl` puts them together.
        pnl_micros: [A, S] int64: rounded down.
    """

    pnl_exponent: int
    high: Int64
    low: UInt64
    pnl_micros: Int64

    def __len__(self) -> int:
        return len(self.high)

    def __repr__(self) -> str:
        return f"BatchArrays(<{self.high.shape[0]} accounts, {self.high.shape[1]} scenarios>)"

    def pnl(self, account: int) -> tuple[int, ...]:
        """Exact P&L of an account in every scenario, in 10^-pnl_exponent of the numeraire."""
        pairs = zip(self.high[account].tolist(), self.low[account].tolist(), strict=True)
        return tuple((high << 64) + low for high, low in pairs)


@dataclass(frozen=True, eq=False, repr=False)
class BatchRisk:
    """Risk of A accounts. Secret data of theirs: the repr shows only how many.

    Attributes:
        pnl_exponent: m + e: exact P&L is in 10^-(m+e) of the numeraire.
        worst_index: [A] int32: the first scenario with the least P&L.
        worst_high, worst_low: [A] int64, uint64: that P&L is worst_high * 2^64 + worst_low; `worst_pnl` puts them together.
        worst_pnl_micros: [A] int64: rounded down.
        initial_margin_micros, maintenance_margin_micros: [A] int64: rounded up, not negative.
        arrays: P&L of every account in every scenario, or None if not asked for.
    """

    pnl_exponent: int
    worst_index: Int32
    worst_high: Int64
    worst_low: UInt64
    worst_pnl_micros: Int64
    initial_margin_micros: Int64
    maintenance_margin_micros: Int64
    arrays: BatchArrays | None = None

    def __len__(self) -> int:
        return len(self.worst_index)

    def __repr__(self) -> str:
        return f"BatchRisk(<{len(self)} accounts>)"

    def worst_pnl(self, account: int) -> int:
        """Exact P&L of an account in its worst scenario, in 10^-pnl_exponent of the numeraire."""
        return (int(self.worst_high[account]) << 64) + int(self.worst_low[account])


def evaluate_batch(
    array: RiskArray,
    model: RiskModel,
    pointers: Int64,
    indices: Int32 | Int64,
    lots: Int64,
    *,
    with_arrays: bool = False,
    threads: int = 1,
) -> BatchRisk:
    """Worst scenario and margins of every account; exact, whatever the lots. The GIL is free, `threads` split the accounts.

    `with_arrays` keeps the whole P&L arrays too, 24 bytes for each account and scenario; every entry is then reported, so that
    a gain too large to report is refused as a loss is.

    Args:
        array: the risk array, computed under `model`.
        model: its factors.
        pointers: [A + 1] int64, from 0 to the number of positions, not decreasing.
        indices: [nnz] int32 or int64; lots: [nnz] int64.

    Raises:
        ModelError: the array was computed under another model.
        UnitError: arrays of another shape or dtype, or pointers that do not cover the positions in order.
        PortfolioError: an unknown, repeated, unsorted or unpriced instrument, or zero lots; names account and row, no quantity.
        OverflowMoneyError: a margin or P&L does not fit 64 bits in micros, or an exact P&L 128 bits; names the account, and in
            the whole arrays the scenario.
    """
    if array.model_digest != model.digest:
        raise ModelError("the risk array was computed under another model", where="array", expected=model.name)
    books = checked_layout(pointers, indices, lots, len(array.status))
    accounts = len(pointers) - 1
    kinds, buffers, worst = np.zeros(accounts, np.int8), np.zeros(accounts, np.int64), np.zeros(accounts, np.int32)
    pnl = np.zeros((2, accounts), dtype=np.int64)
    table = np.empty((2, accounts, array.rows.shape[1]), dtype=np.int64) if with_arrays else None
    charges = np.where(array.status == UNPRICED, -1, array.buffer)
    fast = accumulate.fast_weights(array.bounds)

    def run(begin: int, end: int) -> int:
        wrong = accumulate.worst_fast(begin, end, *books, array.rows, charges, *fast, kinds, worst, pnl, buffers, table)
        if table is not None:
            np.right_shift(table[1, begin:end], 63, out=table[0, begin:end])
        if wrong < 0 and (kinds[begin:end] == accumulate.WIDE).any():
            wrong = accumulate.worst_wide(begin, end, *books, array.rows, charges, kinds, worst, pnl, table)
        return int(wrong)

    refused = [wrong for wrong in _split(run, pointers, threads) if wrong >= 0]
    if refused:
        raise refusal(array.status, books, min(refused))
    for a in np.flatnonzero(kinds == accumulate.BEYOND).tolist():
        exact = exact_pnl(array.rows, positions_of(books, a))
        worst[a] = worst_scenario(exact)
        pnl[:, a] = words(exact[worst[a]], "P&L", f"account {a}")
        if table is not None:
            for s, total in enumerate(exact):
                table[:, a, s] = words(total, "P&L", f"account {a}, scenario {model.scenarios[s].id}")
    arrays = None if table is None else _arrays(model, array.pnl_exponent, table[0], table[1])
    return _reported(array, model, books, kinds == accumulate.FAST, buffers, worst, pnl, arrays)


def _reported(
    array: RiskArray,
    model: RiskModel,
    books: Books,
    fast: Bool,
    buffers: Int64,
    worst: Int32,
    pnl: Int64,
    arrays: BatchArrays | None,
) -> BatchRisk:
    """Round everything once: FAST accounts in int64 where products fit, the others in Python integers."""
    # The worst P&L of a FAST account is pnl[1] alone and its requirement fits int64: that is what the limit proves.
    worst_pnl = np.where(fast, pnl[1], 0)
    requirement = np.maximum(-worst_pnl, 0) + buffers
    exponent = array.pnl_exponent
    micros, fits = scaled_down(worst_pnl, micros_fraction(exponent, units.RATIO_ONE))
    initial, fits_initial = scaled_down(-requirement, micros_fraction(exponent, model.initial_factor))
    maintenance, fits_maintenance = scaled_down(-requirement, micros_fraction(exponent, model.maintenance_factor))
    result = BatchRisk(exponent, worst, pnl[0], pnl[1].view(np.uint64), micros, -initial, -maintenance, arrays)
    for a in np.flatnonzero(~(fast & fits & fits_initial & fits_maintenance)).tolist():
        where, loss = f"account {a}", result.worst_pnl(a)
        exact = max(0, -loss) + exact_sum(array.buffer, positions_of(books, a), gross=True)
        result.worst_pnl_micros[a] = units.to_micros(loss, exponent, against_account=True, where=where)
        result.initial_margin_micros[a] = margin_micros(exact, exponent, model.initial_factor, where)
        result.maintenance_margin_micros[a] = margin_micros(exact, exponent, model.maintenance_factor, where)
    return result


def _arrays(model: RiskModel, exponent: int, high: Int64, low: Int64) -> BatchArrays:
    """Round every entry once: in int64 where the exact P&L and its product fit, the others in Python integers."""
    micros, fits = scaled_down(low, micros_fraction(exponent, units.RATIO_ONE))
    fits &= high == low >> 63
    result = BatchArrays(exponent, high, low.view(np.uint64), micros)
    for a, s in np.argwhere(~fits).tolist():
        where = f"account {a}, scenario {model.scenarios[s].id}"
        exact = (int(high[a, s]) << 64) + int(result.low[a, s])
        micros[a, s] = units.to_micros(exact, exponent, against_account=True, where=where)
    return result


def _split(run: Callable[[int, int], int], pointers: Int64, threads: int) -> list[int]:
    """`run` over all accounts, in parts of about equally many positions."""
    accounts = len(pointers) - 1
    parts = max(1, min(threads, accounts))
    cuts = np.searchsorted(pointers[:-1], [int(pointers[-1]) * n // parts for n in range(1, parts)]).tolist()
    bounds = list(itertools.pairwise([0, *cuts, accounts]))
    if parts == 1:
        return [run(0, accounts)]
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(lambda part: run(*part), bounds))
