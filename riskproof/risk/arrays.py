"""The instrument risk array A[s, i]: P&L of one long unit of every instrument in every scenario, a public integer matrix.

Anyone who has the registry, the snapshot and the model recomputes it bit for bit; docs/risk-arrays.md is the specification. The
P&L of a portfolio is the integer sum over its lots (riskproof.risk.portfolio_risk).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof import encoding, units
from riskproof.errors import OverflowMoneyError
from riskproof.market.marketfile import Market
from riskproof.risk.kernel.domain import KERNEL_VERSION
from riskproof.risk.kernel.grid import risk_entries
from riskproof.risk.model import RiskModel
from riskproof.risk.states import States, market_states, notional

Int64 = npt.NDArray[np.int64]
Int8 = npt.NDArray[np.int8]

BLOCK: Final = 256  # instruments priced between two looks at `cancel`: a few milliseconds

UNPRICED: Final = 0  # the snapshot does not quote it: it cannot be held
PRICED: Final = 1
EXPIRED: Final = 2  # worth nothing, zero P&L


@dataclass(frozen=True, eq=False)
class RiskArray:
    """A risk array with what names it. The numpy arrays are read-only.

    Attributes:
        registry_digest, snapshot_digest, model_digest: 32 bytes each.
        kernel: version of the pricing kernel.
        money_exponent: m; entries, base values and buffers are in 10^-m of the numeraire.
        quantity_exponent: e; a lot is 10^-e of a unit.
        rows: [I, S] int64, C-contiguous: P&L of one long unit, instrument by instrument; `entries` is its transpose.
        base_value: [I] int64: value of one unit at the snapshot; zero for futures and perpetuals.
        buffer: [I] int64: the model's charge per unit held, long or short, not negative.
        status: [I] int8: UNPRICED, PRICED or EXPIRED.
    """

    registry_digest: bytes
    snapshot_digest: bytes
    model_digest: bytes
    kernel: str
    money_exponent: int
    quantity_exponent: int
    rows: Int64 = field(repr=False)
    base_value: Int64 = field(repr=False)
    buffer: Int64 = field(repr=False)
    status: Int8 = field(repr=False)

    def __post_init__(self) -> None:
        for array in (self.rows, self.base_value, self.buffer, self.status):
            array.flags.writeable = False

    @property
    def entries(self) -> Int64:
        """[S, I] int64, a view: A[s, i]."""
        return self.rows.T

    @property
    def pnl_exponent(self) -> int:
        """m + e: lots times entries are in 10^-(m+e) of the numeraire."""
        return self.money_exponent + self.quantity_exponent

    @property
    def priced(self) -> npt.NDArray[np.bool_]:
        """[I] bool: the snapshot quotes the instrument."""
        priced: npt.NDArray[np.bool_] = self.status == PRICED
        return priced

    @property
    def expired(self) -> npt.NDArray[np.bool_]:
        """[I] bool: the instrument's expiry is at or before the snapshot's time."""
        expired: npt.NDArray[np.bool_] = self.status == EXPIRED
        return expired

    @cached_property
    def bounds(self) -> Int64:
        """[I] int64: max_s |A[s, i]| + buffer[i], or 2^63 - 1 if that is larger; what one unit can add to any sum of the margin."""
        high, low = self.rows.max(axis=1, initial=0), self.rows.min(axis=1, initial=0)
        # The size of -2^63 does not fit int64: ~low = -low - 1 does. The sums are below 2^64.
        size = np.maximum(high.astype(np.uint64), np.where(low < 0, ~low, 0).astype(np.uint64) + (low < 0))
        bounds: Int64 = np.minimum(size + self.buffer.astype(np.uint64), np.uint64(units.INT64_MAX)).astype(np.int64)
        bounds.flags.writeable = False
        return bounds

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this array: header, then rows, base values, buffers and status, little-endian."""
        instruments, scenarios = self.rows.shape
        header = {
            "registry_digest": self.registry_digest.hex(),
            "snapshot_digest": self.snapshot_digest.hex(),
            "model_digest": self.model_digest.hex(),
            "kernel": self.kernel,
            "money_exponent": self.money_exponent,
            "quantity_exponent": self.quantity_exponent,
            "instruments": instruments,
            "scenarios": scenarios,
            "parts": ["rows int64[instruments, scenarios]", "base_value int64", "buffer int64", "status int8"],
        }
        parts = [a.astype("<i8").tobytes() for a in (self.rows, self.base_value, self.buffer)]
        return encoding.digest_array(encoding.TAG_RISK_ARRAY, header, *parts, self.status.tobytes())


def compute_array(
    market: Market, model: RiskModel, *, threads: int = 1, cancel: Callable[[], None] | None = None
) -> RiskArray:
    """The risk array of a market under a model. The result does not depend on `threads`; the GIL is free inside blocks.

    `cancel` is called before every block of BLOCK instruments and may raise (DeadlineError, say) to stop the work.

    Raises:
        SnapshotError: a curve that the kernel cannot use (states.market_states).
        DomainError: a market state outside the kernel's domain.
        OverflowMoneyError: an entry does not fit 64 bits; names the instrument.
    """
    registry, snapshot = market.registry, market.snapshot
    states = market_states(market, model.scenarios, model.vol_scaling, registry.money_exponent, model.unshocked)
    count = len(registry)
    rows = np.zeros((count, len(model.scenarios)), dtype=np.int64)
    base_value = np.zeros(count, dtype=np.int64)
    buffer = np.zeros(count, dtype=np.int64)
    status = np.zeros(count, dtype=np.int8)
    for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True)):
        if quote is not None:
            status[i] = PRICED
            buffer[i] = _buffer(market, model, i)
        elif snapshot.is_expired(instrument):
            status[i] = EXPIRED

    def price(begin: int) -> None:
        end = min(begin + BLOCK, count)
        result = risk_entries(states.grid(begin, end))
        rows[begin:end], base_value[begin:end] = result.entries.T, result.base_value

    try:
        _run(price, range(0, count, BLOCK), threads, cancel)
    except OverflowMoneyError:
        raise _named_overflow(market, states) from None
    return RiskArray(
        registry.digest,
        snapshot.digest,
        model.digest,
        KERNEL_VERSION,
        registry.money_exponent,
        registry.quantity_exponent,
        rows,
        base_value,
        buffer,
        status,
    )


def _run(price: Callable[[int], None], blocks: range, threads: int, cancel: Callable[[], None] | None) -> None:
    """Run every block, at most `threads` at a time, asking `cancel` before each; after an error no further block starts."""

    def asked() -> Iterator[int]:
        for begin in blocks:
            if cancel is not None:
                cancel()
            yield begin

    if threads <= 1:
        for begin in asked():
            price(begin)
        return
    with ThreadPoolExecutor(min(threads, max(1, len(blocks)))) as pool:
        running: list[Future[None]] = []
        try:
            for begin in asked():
                running.append(pool.submit(price, begin))
                if len(running) == threads:
                    running.pop(0).result()
            for future in running:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _buffer(market: Market, model: RiskModel, index: int) -> int:
    """rate * notional of one unit in 10^-m of the numeraire, rounded up; the numeraire itself is not charged."""
    instrument = market.registry.instruments[index]
    if instrument.underlying == market.registry.numeraire:
        return 0
    amount = model.buffer_rate[instrument.kind] * notional(market, index) * 10**market.registry.money_exponent
    rounded = units.ceil_div(amount, 10 ** (2 * units.PRICE_EXPONENT + units.RATIO_EXPONENT))
    if rounded > units.INT64_MAX:
        raise _overflow(instrument.name, "buffer", market.registry.money_exponent)
    return rounded


def _named_overflow(market: Market, states: States) -> OverflowMoneyError:
    """The error of the first instrument that overflows, found by pricing one at a time."""
    for i, instrument in enumerate(market.registry.instruments):
        try:
            risk_entries(states.grid(i, i + 1))
        except OverflowMoneyError:
            return _overflow(instrument.name, "value or P&L", market.registry.money_exponent)
    raise AssertionError("no instrument overflows alone")


def _overflow(name: str, what: str, money_exponent: int) -> OverflowMoneyError:
    return OverflowMoneyError(
        f"{what} of one unit does not fit 64 bits",
        where=name,
        expected=f"at most 2^63 - 1 in 1e-{money_exponent} of the numeraire: a smaller unit or money exponent",
    )
