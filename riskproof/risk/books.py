"""Many books as compressed sparse rows: what they must look like, and what is wrong with one that does not.

Account a holds lots[k] of instrument indices[k] for pointers[a] <= k < pointers[a + 1], indices ascending, no zero lots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from riskproof.errors import OverflowMoneyError, PortfolioError, UnitError
from riskproof.risk.arrays import UNPRICED

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]
Books = tuple[Int64, Int32 | Int64, Int64]  # pointers [A + 1], indices [nnz], lots [nnz], C-contiguous


def checked_layout(pointers: Int64, indices: Int32 | Int64, lots: Int64, count: int) -> Books:
    """Books whose pointers cover the positions in order and whose indices lie in [0, count); C-contiguous.

    The order of the indices, and that no lots are zero, is left to whoever reads the rows: `refusal` names what is wrong.

    Raises:
        UnitError: arrays of another shape or dtype, or pointers that do not cover the positions in order.
        PortfolioError: an index outside [0, count); names the account.
    """
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
    if indices.min(initial=0) < 0 or indices.max(initial=-1) >= count:
        k = int(np.argmax((indices < 0) | (indices >= count)))
        account = int(np.searchsorted(pointers, k, side="right")) - 1
        raise PortfolioError(
            f"no instrument at index {int(indices[k])}", where=f"account {account}", expected=f"0 to {count - 1}"
        )
    instruments: Any = np.ascontiguousarray(indices)
    return np.ascontiguousarray(pointers), instruments, np.ascontiguousarray(lots)


def positions_of(books: Books, account: int) -> list[tuple[int, int]]:
    """(index, lots) of one account, in Python integers."""
    pointers, indices, lots = books
    held = slice(int(pointers[account]), int(pointers[account + 1]))
    return list(zip(indices[held].tolist(), lots[held].tolist(), strict=True))


def refusal(status: Int8, books: Books, account: int) -> PortfolioError:
    """What is wrong with the first wrong position of an account: account and row, no quantity. status: RiskArray.status."""
    last = -1
    for row, (index, lots) in enumerate(positions_of(books, account)):
        where = f"account {account}, row {row}"
        if index <= last:
            return PortfolioError("not sorted by index, or an index twice", where=where, expected="ascending indices")
        if lots == 0:
            return PortfolioError("a position of zero lots", where=where, expected="zero positions left out")
        if status[index] == UNPRICED:
            return PortfolioError(
                f"the snapshot does not price instrument {index}", where=where, expected="a snapshot that quotes it"
            )
        last = index
    raise AssertionError("nothing is wrong with this book")


def words(exact: int, what: str, where: str) -> tuple[int, int]:
    """High and low 64 bits of a 128-bit number, both as int64; OverflowMoneyError if it does not fit."""
    if not -(1 << 127) <= exact < 1 << 127:
        raise OverflowMoneyError(f"{what} does not fit 128 bits", where=where, expected="fewer lots")
    low = exact & ((1 << 64) - 1)
    return exact >> 64, low - (1 << 64) if low >> 63 else low
