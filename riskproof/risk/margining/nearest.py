"""Values of many options in many states, each the integer that `black76.value` gives.

    grid(options, terms, vols, decimals)[i][c]        options [I], terms [G][C], vols [I][C]

`nearest_kernel` decides nearly all of them; exact integers decide the rest, and all where there are too few to be worth loading it.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from riskproof.risk.margining import black76
from riskproof.units import SECONDS_PER_YEAR

# Values that take as long one by one as the kernel's first call does: in a process that has used no compiled function yet, in one
# that has, and in one that has used this one.
COLD: Final = 50_000
WARM: Final = 2_000
FEW: Final = 16
_KERNEL: Final = "riskproof.risk.margining.nearest_kernel"
_COMPILED: Final = "numba.np.arraymath"  # numba imports it with the first compiled function that it loads
_BITS: Final = 128
_singly = 0  # values that were computed one by one so far: who asks for few at a time asks for many in the end
_ONE: Final = 10**18


class Option(NamedTuple):
    """What does not change with the state: `strike` in 10^-18, the row of `terms` that is its own."""

    call: bool
    strike: int
    group: int


class Terms(NamedTuple):
    """What the options of a group share in a state: forward and discount factor in 10^-18, seconds to expiry, coins per unit."""

    forward: int
    seconds: int
    discount: int
    unit: tuple[int, int]


def grid(
    options: Sequence[Option], terms: Sequence[Sequence[Terms]], vols: Sequence[Sequence[int]], decimals: int
) -> list[list[int]]:
    """Values of a unit of each option in each column, 10^-decimals.

    Args:
        options: I of them. terms: by group and column. vols: by option and column, 10^-18.
    """
    if not _together(sum(len(row) for row in vols)):
        return [
            [_exact(option, t, vol, decimals) for t, vol in zip(terms[option.group], row, strict=True)]
            for option, row in zip(options, vols, strict=True)
        ]
    return _compiled(options, terms, vols, decimals)


def load() -> None:
    """Load the kernel, for those who run compiled code anyway."""
    importlib.import_module(_KERNEL)


def _together(count: int) -> bool:
    """Whether the kernel is worth it for so many values more; never where compilation is off."""
    global _singly  # noqa: PLW0603
    limit = FEW if _KERNEL in sys.modules else WARM if _COMPILED in sys.modules else COLD
    if count >= FEW and count + _singly >= limit:
        from numba import config

        return not vars(config)["DISABLE_JIT"]
    _singly += count
    return False


def _exact(option: Option, terms: Terms, vol: int, decimals: int) -> int:
    return black76.value(
        option.call, terms.forward, option.strike, vol, terms.seconds, terms.discount, terms.unit, decimals
    )


def _compiled(
    options: Sequence[Option], terms: Sequence[Sequence[Terms]], vols: Sequence[Sequence[int]], decimals: int
) -> list[list[int]]:
    import numpy as np

    from riskproof.risk.margining import nearest_kernel

    shape = len(options), len(vols[0])
    high, low, decided = np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.bool_)
    groups = len(terms), shape[1], 2
    nearest_kernel.round_values(
        np.array([x.call for x in options], dtype=np.bool_),
        np.array([x.group for x in options], dtype=np.int64),
        _pairs(x.strike for x in options),
        _pairs(v for row in vols for v in row).reshape(*shape, 2),
        _pairs(t.forward for row in terms for t in row).reshape(groups),
        np.array([_root(t.seconds) for row in terms for t in row]).reshape(groups),
        np.array([_scale(t.discount, t.unit, decimals) for row in terms for t in row]).reshape(groups),
        *_tables(),
        high,
        low,
        decided,
    )
    values = _integers(high, low, decided)
    for i, c in np.argwhere(~decided).tolist():
        option = options[i]
        values[i][c] = _exact(option, terms[option.group][c], vols[i][c], decimals)
    return values


def _integers(high: Any, low: Any, decided: Any) -> list[list[int]]:
    import numpy as np

    high[~decided] = low[~decided] = 0.0
    if high.size and high.max() < 2.0**62:
        whole: list[list[int]] = (high.astype(np.int64) + low.astype(np.int64)).tolist()
        return whole
    pairs = zip(high.tolist(), low.tolist(), strict=True)
    return [[int(h) + int(x) for h, x in zip(*row, strict=True)] for row in pairs]


def _pairs(numbers: Iterable[int]) -> Any:
    """[n, 2] of integers below 2^106, exact; of larger ones to 106 bits."""
    import numpy as np

    given = list(numbers)
    if max(given, default=0) < 1 << 62:
        whole = np.array(given, dtype=np.int64)
        high = whole.astype(np.float64)
        return np.stack([high, (whole - high.astype(np.int64)).astype(np.float64)], axis=-1)
    return np.array([_pair(x, 1) for x in given])


def _pair(numerator: int, denominator: int) -> tuple[float, float]:
    """A fraction as a pair of doubles, correctly rounded both; not a number where it is too large."""
    try:
        high = numerator / denominator
    except OverflowError:
        return math.nan, math.nan
    p, q = high.as_integer_ratio()
    return high, (numerator * q - p * denominator) / (denominator * q)


@lru_cache(maxsize=4_096)
def _root(seconds: int) -> tuple[float, float]:
    """Root of a time in years over 10^18, what a volatility of 10^-18 is multiplied with; zero where it has expired."""
    if seconds <= 0:
        return 0.0, 0.0
    return _pair(math.isqrt((seconds << 2 * _BITS) // SECONDS_PER_YEAR), _ONE << _BITS)


@lru_cache(maxsize=16_384)
def _scale(discount: int, unit: tuple[int, int], decimals: int) -> tuple[float, float]:
    """What an undiscounted value of one coin is multiplied with."""
    return _pair(discount * unit[0] * 10**decimals, _ONE * _ONE * unit[1])


@lru_cache(maxsize=1)
def _tables() -> tuple[Any, Any]:
    """`logs` and `table` of the kernel."""
    import numpy as np

    from riskproof.risk.margining import nearest_kernel as kernel

    def fixed(x: int) -> tuple[float, float]:
        return _pair(x, 1 << _BITS)

    ln_two = black76.logarithm(2, _BITS)
    # c = n / 256 near 1 / m, m in the middle of [j, j + 1] / 128
    reciprocals = [round(256 * 2 * kernel.LOGS / (j + 0.5)) for j in range(kernel.LOGS, 2 * kernel.LOGS)]
    logs = [(n / 256, *fixed(8 * ln_two - black76.logarithm(n, _BITS))) for n in reciprocals]
    rows = [black76.taylor(n, _BITS)[::-1][: kernel.TERMS] for n in range(kernel.LIMIT * kernel.NODES + 1)]
    rows = [row + (0,) * (kernel.TERMS - len(row)) for row in rows]
    return np.array([*logs, (0.0, *fixed(ln_two))]), np.array([[fixed(c) for c in row] for row in rows])
