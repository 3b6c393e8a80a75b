"""Margin of many accounts at once: the same integers as `portfolio_risk.evaluate` for each, without Greeks.

Books come as compressed sparse rows: account a holds lots[k] of instrument indices[k] for pointers[a] <= k < pointers[a + 1],
indices ascending, no zero lots.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskproof import units
from riskproof.errors import ModelError, OverflowMoneyError, PortfolioError, UnitError
from riskproof.risk import accumulate
from riskproof.risk.arrays import UNPRICED, RiskArray
from riskproof.risk.margin import exact_pnl, exact_sum, margin_micros, micros_fraction, scaled_down, worst_scenario
from riskproof.risk.model import RiskModel

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]
Book = tuple[Int64, Int32 | Int64, Int64]  # pointers, indices, lots


@dataclass(frozen=True, eq=False, repr=False)
class BatchRisk:
    """Risk of A accounts. Secret data of theirs: the repr shows only how many.

    Attributes:
        pnl_exponent: m + e: exact P&L is in 10^-(m+e) of the numeraire.
        worst_index: [A] int32: the first scenario with the least P&L.
        worst_high, worst_low: [A] int64, uint64: that P&L is worst_high * 2^64 + worst_low; `worst_pnl` puts them together.
        worst_pnl_micros: [A] int64: rounded down.
        initial_margin_micros, maintenance_margin_micros: [A] int64: rounded up, not negative.
    """

    pnl_exponent: int
    worst_index: Int32
    worst_high: Int64
    worst_low: npt.NDArray[np.uint64]
    worst_pnl_micros: Int64
    initial_margin_micros: Int64
    maintenance_margin_micros: Int64

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
    threads: int = 1,
) -> BatchRisk:
    """Worst scenario and margins of every account; exact, whatever the lots. The GIL is free, `threads` split the accounts.

    Args:
        array: the risk array, computed under `model`.
        model: its factors.
        pointers: [A + 1] int64, from 0 to the number of positions, not decreasing.
        indices: [nnz] int32 or int64; lots: [nnz] int64.

    Raises:
        ModelError: the array was computed under another model.
        UnitError: arrays of another shape or dtype, or pointers that do not cover the positions in order.
        PortfolioError: an unknown, repeated, unsorted or unpriced instrument, or zero lots; names account and row, no quantity.
        OverflowMoneyError: a margin or P&L does not fit 64 bits in micros, or an exact P&L 128 bits; names the account.
    """
    if array.model_digest != model.digest:
        raise ModelError("the risk array was computed under another model", where="array", expected=model.name)
    _check_layout(array, pointers, indices, lots)
    instruments: Any = np.ascontiguousarray(indices)
    book: Book = np.ascontiguousarray(pointers), instruments, np.ascontiguousarray(lots)
    accounts = len(pointers) - 1
    kinds, buffers, worst = np.zeros(accounts, np.int8), np.zeros(accounts, np.int64), np.zeros(accounts, np.int32)
    pnl = np.zeros((2, accounts), dtype=np.int64)
    charges = np.where(array.status == UNPRICED, -1, array.buffer)
    limit = min((units.INT64_MAX - 1) // max(1, int(array.bounds.max(initial=0))), accumulate.LIMIT_MAX)

    def run(begin: int, end: int) -> int:
        wrong = accumulate.worst_fast(begin, end, *book, array.rows, charges, limit, kinds, worst, pnl, buffers)
        if wrong < 0 and (kinds[begin:end] == accumulate.WIDE).any():
            wrong = accumulate.worst_wide(begin, end, *book, array.rows, charges, kinds, worst, pnl)
        return int(wrong)

    refused = [wrong for wrong in _split(run, pointers, threads) if wrong >= 0]
    if refused:
        raise _refusal(array, _positions(book, min(refused)), min(refused))
    for a in np.flatnonzero(kinds == accumulate.BEYOND).tolist():
        exact = exact_pnl(array.rows, _positions(book, a))
        worst[a] = worst_scenario(exact)
        pnl[:, a] = _words(exact[worst[a]], a)
    return _reported(array, model, book, kinds == accumulate.FAST, buffers, worst, pnl)


def _reported(
    array: RiskArray, model: RiskModel, book: Book, fast: Bool, buffers: Int64, worst: Int32, pnl: Int64
) -> BatchRisk:
    """Round everything once: FAST accounts in int64 where products fit, the others in Python integers."""
    # The worst P&L of a FAST account is pnl[1] alone and its requirement fits int64: that is what the limit proves.
    worst_pnl = np.where(fast, pnl[1], 0)
    requirement = np.maximum(-worst_pnl, 0) + buffers
    exponent = array.pnl_exponent
    micros, fits = scaled_down(worst_pnl, micros_fraction(exponent, units.RATIO_ONE))
    initial, fits_initial = scaled_down(-requirement, micros_fraction(exponent, model.initial_factor))
    maintenance, fits_maintenance = scaled_down(-requirement, micros_fraction(exponent, model.maintenance_factor))
    result = BatchRisk(exponent, worst, pnl[0], pnl[1].view(np.uint64), micros, -initial, -maintenance)
    for a in np.flatnonzero(~(fast & fits & fits_initial & fits_maintenance)).tolist():
        where, loss = f"account {a}", result.worst_pnl(a)
        exact = max(0, -loss) + exact_sum(array.buffer, _positions(book, a), gross=True)
        result.worst_pnl_micros[a] = units.to_micros(loss, exponent, against_account=True, where=where)
        result.initial_margin_micros[a] = margin_micros(exact, exponent, model.initial_factor, where)
        result.maintenance_margin_micros[a] = margin_micros(exact, exponent, model.maintenance_factor, where)
    return result


def _positions(book: Book, account: int) -> list[tuple[int, int]]:
    pointers, indices, lots = book
    held = slice(int(pointers[account]), int(pointers[account + 1]))
    return list(zip(indices[held].tolist(), lots[held].tolist(), strict=True))


def _words(exact: int, account: int) -> tuple[int, int]:
    """High and low 64 bits of a 128-bit number, both as int64."""
    if not -(1 << 127) <= exact < 1 << 127:
        raise OverflowMoneyError("P&L does not fit 128 bits", where=f"account {account}", expected="fewer lots")
    low = exact & ((1 << 64) - 1)
    return exact >> 64, low - (1 << 64) if low >> 63 else low


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


def _check_layout(array: RiskArray, pointers: Int64, indices: Int32 | Int64, lots: Int64) -> None:
    for name, given, allowed in (
        ("pointers", pointers, ("int64",)),
        ("indices", indices, ("int32", "int64")),
        ("lots", lots, ("int64",)),
    ):
        if given.ndim != 1 or given.dtype.name not in allowed:
            raise UnitError(f"{given.ndim} axes of {given.dtype}", where=name, expected=f"one axis of {allowed[0]}")
    if len(indices) != len(lots):
        raise UnitError(f"{len(lots)} lots", where="lots", expected=f"{len(indices)}, one for each index")
    if len(pointers) == 0 or pointers[0] != 0 or pointers[-1] != len(lots) or (pointers[1:] < pointers[:-1]).any():
        raise UnitError(
            "pointers do not cover the positions in order", where="pointers", expected=f"0 up to {len(lots)}"
        )
    count = len(array.status)
    if indices.min(initial=0) < 0 or indices.max(initial=-1) >= count:
        k = int(np.argmax((indices < 0) | (indices >= count)))
        account = int(np.searchsorted(pointers, k, side="right")) - 1
        raise PortfolioError(
            f"no instrument at index {int(indices[k])}", where=f"account {account}", expected=f"0 to {count - 1}"
        )


def _refusal(array: RiskArray, positions: list[tuple[int, int]], account: int) -> PortfolioError:
    """What is wrong with the first wrong position of a book."""
    last = -1
    for row, (index, lots) in enumerate(positions):
        where = f"account {account}, row {row}"
        if index <= last:
            return PortfolioError("not sorted by index, or an index twice", where=where, expected="ascending indices")
        if lots == 0:
            return PortfolioError("a position of zero lots", where=where, expected="zero positions left out")
        if array.status[index] == UNPRICED:
            return PortfolioError(
                f"the snapshot does not price instrument {index}", where=where, expected="a snapshot that quotes it"
            )
        last = index
    raise AssertionError("nothing is wrong with this book")
