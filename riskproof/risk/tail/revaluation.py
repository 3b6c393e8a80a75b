"""Full revaluation: the P&L of every instrument under joint moves of prices and volatilities, through the pricing kernel.

    price        every forward, index and mark of an underlying times its ratio, to the nearest 1e-9, ties to even
    volatility   times the ratio at the option's time to expiry T at the snapshot: linear in T between the tenors that move, to the
                 nearest 1e-12, ties to even; that of the first tenor before it and of the last beyond
    time         expiry - (snapshot time + time_shift), in every scenario

The result is an ordinary risk array (docs/risk-arrays.md), one row a scenario: it commits, nets and proves like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from riskproof.errors import DomainError, ModelError, OverflowMoneyError, PortfolioError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import EXPIRED, PRICED, RiskArray
from riskproof.risk.kernel.domain import KERNEL_VERSION, SHOCKED_VOL_MAX
from riskproof.risk.kernel.grid import Grid, RiskEntries, risk_entries
from riskproof.risk.margin import exact_pnl
from riskproof.risk.model import MAX_TIME_SHIFT, VolScaling
from riskproof.risk.states import States, market_states
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.moves import Moves
from riskproof.units import INT64_MAX, RATIO_EXPONENT, RATIO_ONE, SECONDS_PER_DAY, format_decimal, round_half_even

Int64 = npt.NDArray[np.int64]

BLOCK: Final = 512  # instruments priced at a time: their volatility states stay in the cache
_FLAT: Final = VolScaling(1, 1, 0, 0)

jit: Final[Any] = njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


@dataclass(frozen=True)
class Immovable:
    """What the moves do not move, named so that nothing stays where it is by accident.

    Attributes:
        prices: underlyings whose price has no factor; the numeraire never moves.
        volatilities: underlyings whose options keep their volatility.
    """

    prices: frozenset[str] = frozenset()
    volatilities: frozenset[str] = frozenset()


@jit  # type: ignore[untyped-decorator]
def scaled_rows(levels: Any, columns: Any, ratios: Any, out: Any) -> None:
    """out[1 + s, i] = levels[i] ratios[s, columns[i]] / 10^12 to the nearest, ties to even; out[0] = levels.

    levels [I] from 0 to 10^16, ratios [S, C] from 0 to 10^13, int64. With a = a1 10^6 + a0 and b alike, a b / 10^12 is
    a1 b1 + (a1 b0 + a0 b1) / 10^6 + a0 b0 / 10^12, and no term leaves 64 bits.
    """
    million, trillion = 1_000_000, 1_000_000_000_000
    for i in range(levels.shape[0]):
        out[0, i] = levels[i]
    for s in range(ratios.shape[0]):
        for i in range(levels.shape[0]):
            level, ratio = int(levels[i]), int(ratios[s, columns[i]])
            a1, a0, b1, b0 = level // million, level % million, ratio // million, ratio % million
            middle = a1 * b0 + a0 * b1
            low = (middle % million) * million + a0 * b0
            whole, rest = a1 * b1 + middle // million + low // trillion, 2 * (low % trillion)
            if rest > trillion or (rest == trillion and whole % 2 == 1):
                whole += 1
            out[s + 1, i] = whole


@dataclass(frozen=True, eq=False)
class _Base:
    """A market's base state and which ratio each of its curves follows.

    Attributes:
        names, ids: of the instruments and the moves, for messages.
        shared, volatility, instruments: states.States of the base state, the time axis with the shift.
        price_ratios [S, F + 1], vol_ratios [S, C]: ratios of the factors and, last, ones; ratios of each curve's volatilities.
        curve_price [C]: the column of price_ratios that a curve follows.
    """

    names: Sequence[str]
    ids: Sequence[str]
    shared: dict[str, Any]
    volatility: Int64
    instruments: dict[str, Any]
    price_ratios: Int64
    vol_ratios: Int64
    curve_price: Int64

    def grid(self, chosen: Any) -> Grid:
        """The grid of some instruments under every move."""
        columns = {name: column[chosen] for name, column in self.instruments.items()}
        used, columns["curve"] = np.unique(columns["curve"], return_inverse=True)
        columns["curve"] = columns["curve"].astype(np.int64)
        count = len(self.ids) + 1
        forward, conversion = (np.empty((count, len(used)), dtype=np.int64) for _ in range(2))
        for name, out in (("forward", forward), ("conversion", conversion)):
            scaled_rows(self.shared[name][0, used], self.curve_price[used], self.price_ratios, out)
        level = self.volatility[chosen]
        vol = np.empty((count, len(level)), dtype=np.int64)
        scaled_rows(level, used[columns["curve"]], self.vol_ratios, vol)
        if vol.max(initial=0) > SHOCKED_VOL_MAX:
            s, i = np.argwhere(vol > SHOCKED_VOL_MAX)[0].tolist()
            raise DomainError(
                f"volatility of {format_decimal(int(vol[s, i]), RATIO_EXPONENT)}",
                where=f"move {self.ids[s - 1]}: {self.names[chosen[i]]}",
                expected=f"at most {format_decimal(SHOCKED_VOL_MAX, RATIO_EXPONENT)}",
            )
        states = np.arange(1, count, dtype=np.int64)
        shared = self.shared | {
            "forward": forward,
            "conversion": conversion,
            "seconds": self.shared["seconds"][:, used],
            "rate": self.shared["rate"][used],
            "scenario_p": states,
            "scenario_v": states,
            "scenario_t": np.full(count - 1, len(self.shared["seconds"]) - 1, dtype=np.int64),
        }
        return Grid(**shared, **columns, vol=vol)


def tail_array(
    market: Market,
    moves: Moves,
    model_digest: bytes,
    immovable: Immovable = Immovable(),
    *,
    time_shift_seconds: int = 0,
    threads: int = 1,
    cancel: Callable[[], None] | None = None,
) -> RiskArray:
    """The risk array of a market under joint moves; without buffer. The result does not depend on `threads`.

    `cancel` is called before every block of instruments and may raise to stop the work.

    Raises:
        ModelError: a quoted instrument's price or volatility neither moves nor is named as immovable.
        SnapshotError: a curve that the kernel cannot use; see states.market_states.
        DomainError: a volatility above what the kernel prices; names the move and the instrument.
        OverflowMoneyError: an entry does not fit 64 bits; names the instrument.
    """
    registry, snapshot = market.registry, market.snapshot
    base = _base(market, moves, immovable, time_shift_seconds, None)
    count = len(registry)
    rows = np.zeros((count, len(moves)), dtype=np.int64)
    base_value, buffer = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    status = np.zeros(count, dtype=np.int8)
    for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True)):
        status[i] = PRICED if quote is not None else EXPIRED if snapshot.is_expired(instrument) else 0

    def block(begin: int) -> None:
        if cancel is not None:
            cancel()
        chosen = np.arange(begin, min(begin + BLOCK, count))
        found = _entries(market, base, chosen)
        rows[chosen], base_value[chosen] = found.entries.T, found.base_value

    blocks = range(0, count, BLOCK)
    if threads <= 1:
        for begin in blocks:
            block(begin)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(block, blocks))
    names = (registry.digest, snapshot.digest, model_digest, KERNEL_VERSION)
    return RiskArray(*names, registry.money_exponent, registry.quantity_exponent, rows, base_value, buffer, status)


def book_pnl(
    market: Market,
    moves: Moves,
    portfolio: Portfolio,
    immovable: Immovable = Immovable(),
    *,
    time_shift_seconds: int = 0,
    base: States | None = None,
) -> list[int]:
    """P&L of one book under every move, exact in 10^-(m+e): only what it holds is revalued.

    `base` is `base_state(market)`, for callers that revalue one market many times.

    Raises:
        PortfolioError: the snapshot does not price a holding that has not expired; names the instrument, no quantity.
        UnknownInstrumentError: a position outside the registry.
        ModelError, SnapshotError, DomainError, OverflowMoneyError: as `tail_array`, about what is held.
    """
    portfolio.check(market.registry)
    held: list[int] = []
    lots: list[int] = []
    for index, quantity in portfolio.positions:
        instrument = market.registry.instruments[index]
        if market.snapshot.quotes[index] is not None:
            held.append(index)
            lots.append(quantity)
        elif not market.snapshot.is_expired(instrument):
            raise PortfolioError(
                "the snapshot does not price this holding", where=instrument.name, expected="a snapshot that quotes it"
            )
    if not held:
        return [0] * len(moves)
    prepared = _base(market, moves, immovable, time_shift_seconds, held, base)
    found = _entries(market, prepared, np.array(held))
    return book_sums(np.ascontiguousarray(found.entries.T), list(enumerate(lots)))


def book_sums(rows: Int64, positions: Sequence[tuple[int, int]]) -> list[int]:
    """L[s] = sum_i q_i rows[i, s], exact; in int64 where no partial sum can leave it."""
    largest = sum(abs(q) * max(abs(int(rows[i].max())), abs(int(rows[i].min()))) for i, q in positions)
    if largest > INT64_MAX:
        return exact_pnl(rows, positions)
    held = np.array(positions, dtype=np.int64).reshape(-1, 2)
    pnl: list[int] = (held[:, 1] @ rows[held[:, 0]]).tolist()
    return pnl


def _entries(market: Market, base: _Base, chosen: Any) -> RiskEntries:
    try:
        return risk_entries(base.grid(chosen))
    except OverflowMoneyError as error:
        if len(chosen) > 1:
            for i in chosen:
                _entries(market, base, np.array([i]))
            raise AssertionError("no instrument overflows alone") from error
        raise OverflowMoneyError(
            "value or P&L of one unit does not fit 64 bits",
            where=market.registry.instruments[int(chosen[0])].name,
            expected=f"at most 2^63 - 1 in 1e-{market.registry.money_exponent} of the numeraire",
        ) from None


def base_state(market: Market) -> States:
    """The market as it is (SnapshotError: a curve that the kernel cannot use)."""
    return market_states(market, [], _FLAT, market.registry.money_exponent)


def _base(
    market: Market,
    moves: Moves,
    immovable: Immovable,
    shift: int,
    held: Iterable[int] | None,
    states: States | None = None,
) -> _Base:
    """The base state with the ratios of every curve; only instruments in `held` need factors (None: all that are quoted)."""
    if not 0 <= shift <= MAX_TIME_SHIFT:
        raise ModelError("out of range", where="time_shift_seconds", expected=f"0 to {MAX_TIME_SHIFT}")
    registry, snapshot = market.registry, market.snapshot
    states = base_state(market) if states is None else states
    seconds = states.shared["seconds"]
    shared = states.shared | {"seconds": np.concatenate([seconds, seconds - shift]) if shift else seconds}
    curves = seconds.shape[1]
    still = {registry.numeraire} | immovable.prices
    one = np.full((len(moves), 1), RATIO_ONE, dtype=np.int64)
    column = {factor: f for f, factor in enumerate(moves.factors)}
    price_ratios = np.concatenate([moves.ratios, one], axis=1)
    vol_ratios = np.repeat(one, curves, axis=1)
    curve_price = np.full(curves, len(moves.factors), dtype=np.int64)
    done: set[int] = set()
    for i in range(len(registry)) if held is None else held:
        instrument = registry.instruments[i]
        if snapshot.quotes[i] is None:
            continue
        c, u = int(states.instruments["curve"][i]), instrument.underlying
        if c in done:
            continue
        done.add(c)
        if u not in still:
            if Factor(u) not in column:
                raise _missing(f"no move of the price of {u}", instrument.name, "unshocked")
            curve_price[c] = column[Factor(u)]
        if instrument.is_option and u not in immovable.volatilities:
            tenors = [x for x in moves.factors if x.underlying == u and not x.is_price]
            if not tenors:
                raise _missing(f"no move of the volatility of {u}", instrument.name, "constant_volatility")
            vol_ratios[:, c] = _at_tenor(moves, tenors, column, int(seconds[0, c]))
    names = [x.name for x in registry.instruments]
    return _Base(names, moves.ids, shared, states.vol[0], states.instruments, price_ratios, vol_ratios, curve_price)


def _missing(what: str, name: str, member: str) -> ModelError:
    return ModelError(what, where=name, expected=f"a factor in the moves, or the underlying in {member}")


def _at_tenor(moves: Moves, tenors: list[Factor], column: dict[Factor, int], seconds: int) -> Any:
    """Ratio of an option's volatility in every move, [S]: linear in the time to expiry between the tenors that move."""
    after = next((n for n, x in enumerate(tenors) if x.tenor_days * SECONDS_PER_DAY >= seconds), len(tenors))
    if after in (0, len(tenors)):
        return moves.ratios[:, column[tenors[min(after, len(tenors) - 1)]]]
    a, b = tenors[after - 1], tenors[after]
    low, high = a.tenor_days * SECONDS_PER_DAY, b.tenor_days * SECONDS_PER_DAY
    pairs = zip(moves.ratios[:, column[a]].tolist(), moves.ratios[:, column[b]].tolist(), strict=True)
    return [round_half_even(x * (high - seconds) + y * (seconds - low), high - low) for x, y in pairs]
