"""The scenario grid: P&L of one long unit of every instrument in every scenario, rounded exactly once.

`Grid` is the checked input (docs/kernel.md section 5), `risk_entries` the compiled computation. Work is shared across the grid:
logarithms once per forward and strike, roots once per maturity, s and 1/s once per (volatility, maturity), and scenarios that name
the same (p, v, t) are priced once.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import DomainError, OverflowMoneyError, UnitError
from riskproof.risk.kernel import domain as d
from riskproof.risk.kernel.engine import ABSENT, CALL, CASH, DELTA_ONE, PUT, curve_rows, price_range
from riskproof.units import INT64_MAX, INT64_MIN, RATIO_ONE, SECONDS_PER_YEAR, round_half_even

__all__ = ["ABSENT", "CALL", "CASH", "DELTA_ONE", "INVERSE", "LINEAR", "PUT", "Grid", "RiskEntries", "risk_entries"]

Int64 = npt.NDArray[np.int64]
Int8 = npt.NDArray[np.int8]

LINEAR: Final = 0
INVERSE: Final = 1

_LN4_THOUSANDTHS = 1_380_000_000_000 * (SECONDS_PER_YEAR // 1000)  # 1.38 (below ln 4) in 1e-12, times a year in 1000 s


@dataclass(frozen=True)
class Grid:
    """Market states of a risk array. State 0 of the price, volatility and time axes is the base; arrays are copied, read-only.

    Attributes:
        forward: [P, C] int64, 1e-9: forward of a curve (an underlying and an expiry), or the price of a coin or future.
        conversion: [P, C] int64, 1e-9: price of the settlement coin in the numeraire; read for inverse payoffs only.
        seconds: [T, C] int64: time to expiry; zero or less is expired. Read for options only, as is rate.
        rate: [C] int64, 1e-12: continuous; linear options are discounted by exp(-rate T), inverse options are not.
        vol: [V, I] int64, 1e-12: volatility of each instrument in each volatility state.
        strike: [I] int64, 1e-9.
        curve: [I] int64: the instrument's column of the curve arrays.
        kind: [I] int8: 0 absent (zeros), 1 call, 2 put, 3 delta-one (future, perpetual: base value 0), 4 cash asset.
        payoff: [I] int8: 0 linear, 1 inverse (settled in the coin).
        unit: [I] int64, 1e-9: underlying coins in one unit; numeraire notional of one contract if delta-one and inverse.
        scenario_p, scenario_v, scenario_t: [S] int64: the states that scenario s names.
        money_exponent: m: entries are in 10^-m of the numeraire.

    Raises:
        UnitError: an array of another dtype or shape, or an index outside its axis.
        DomainError: a price, strike, volatility, rate or maturity outside docs/kernel.md section 1.
    """

    forward: Int64
    conversion: Int64
    seconds: Int64
    rate: Int64
    vol: Int64
    strike: Int64
    curve: Int64
    kind: Int8
    payoff: Int8
    unit: Int64
    scenario_p: Int64
    scenario_v: Int64
    scenario_t: Int64
    money_exponent: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name == "money_exponent":
                continue
            dtype = np.int8 if field.name in ("kind", "payoff") else np.int64
            given = getattr(self, field.name)
            if not isinstance(given, np.ndarray) or given.dtype != dtype:
                found = given.dtype if isinstance(given, np.ndarray) else type(given).__name__
                raise UnitError(f"not an integer array: {found}", where=field.name, expected=np.dtype(dtype).name)
            array = np.array(given, order="C")
            array.flags.writeable = False
            object.__setattr__(self, field.name, array)
        _check_shapes(self)
        _check_domain(self)


@dataclass(frozen=True)
class RiskEntries:
    """entries: [S, I] int64, P&L of one long unit; base_value: [I] int64, value of one unit; both in 10^-m of the numeraire."""

    entries: Int64
    base_value: Int64


def _check_shapes(g: Grid) -> None:
    for name, array in (("forward", g.forward), ("seconds", g.seconds), ("vol", g.vol)):
        if array.ndim != 2 or array.shape[0] == 0:
            raise UnitError(f"shape {array.shape}", where=name, expected="two axes, the first not empty")
    curves, instruments = g.forward.shape[1], g.vol.shape[1]
    per_instrument = ("strike", "curve", "kind", "payoff", "unit")
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(per_instrument, (instruments,))
    wanted |= {"conversion": g.forward.shape, "seconds": (g.seconds.shape[0], curves), "rate": (curves,)}
    wanted |= dict.fromkeys(("scenario_p", "scenario_v", "scenario_t"), (g.scenario_p.size,))
    for name, shape in wanted.items():
        if getattr(g, name).shape != shape:
            raise UnitError(f"shape {getattr(g, name).shape}", where=name, expected=f"shape {shape}")
    _within("curve", g.curve, 0, curves - 1, None, UnitError)
    _within("kind", g.kind, ABSENT, CASH, None, UnitError)
    _within("payoff", g.payoff, LINEAR, INVERSE, None, UnitError)
    _within("scenario_p", g.scenario_p, 0, g.forward.shape[0] - 1, None, UnitError)
    _within("scenario_v", g.scenario_v, 0, g.vol.shape[0] - 1, None, UnitError)
    _within("scenario_t", g.scenario_t, 0, g.seconds.shape[0] - 1, None, UnitError)
    if not 0 <= g.money_exponent <= d.MONEY_EXPONENT_MAX:
        raise UnitError("not a money exponent", where="money_exponent", expected=f"0 to {d.MONEY_EXPONENT_MAX}")


def _within(name: str, array: Any, low: Any, high: Any, where: Any, error: type[UnitError] | type[DomainError]) -> None:
    """Raise `error` for the first element outside [low, high] (bounds broadcast), looking only where the mask `where` is true."""
    wrong = (array < low) | (array > high)
    if where is not None:
        wrong &= where
    if wrong.any():
        place = tuple(int(n) for n in np.argwhere(wrong)[0])
        bounds = [int(np.broadcast_to(bound, array.shape)[place]) for bound in (low, high)]
        raise error(
            f"{int(array[place])} is outside the domain",
            where=f"{name}[{', '.join(map(str, place))}]",
            expected=f"{bounds[0]} to {bounds[1]}",
        )


def _check_domain(g: Grid) -> None:
    option = (g.kind == CALL) | (g.kind == PUT)
    inverse = g.payoff == INVERSE
    wrong = np.flatnonzero(inverse & (g.kind == CASH))
    if wrong.size:
        raise DomainError("a cash asset has no inverse payoff", where=f"payoff[{wrong[0]}]", expected="0")
    _within("unit", g.unit, 1, INT64_MAX, g.kind != ABSENT, DomainError)

    def curves(mask: Any) -> Any:
        used = np.zeros(g.rate.size, dtype=np.bool_)
        used[g.curve[mask]] = True
        return used

    priced, outright = curves(option), curves((g.kind == CASH) | ((g.kind == DELTA_ONE) & ~inverse))
    contract, coin = curves((g.kind == DELTA_ONE) & inverse), curves(option & inverse)
    _within("forward", g.forward[:1], d.PRICE_MIN, d.PRICE_MAX, priced, DomainError)
    _within("forward", g.forward, d.SHOCKED_PRICE_MIN, d.SHOCKED_PRICE_MAX, priced, DomainError)
    _within("forward", g.forward, 0, d.SHOCKED_PRICE_MAX, outright, DomainError)
    _within("forward", g.forward, 1, d.SHOCKED_PRICE_MAX, contract, DomainError)
    _within("conversion", g.conversion, 0, d.SHOCKED_PRICE_MAX, contract, DomainError)
    low, high = np.where(coin, (g.forward + 3) // 4, 0), np.where(coin, g.forward * d.FACTOR_LIMIT - 1, 0)
    _within("conversion", g.conversion, low, high, coin, DomainError)
    _within("strike", g.strike, d.PRICE_MIN, d.PRICE_MAX, option, DomainError)
    _within("vol", g.vol[:1], 0, d.VOL_MAX, option, DomainError)
    _within("vol", g.vol, 0, d.SHOCKED_VOL_MAX, option, DomainError)
    _within("seconds", g.seconds, INT64_MIN, d.SECONDS_MAX, priced, DomainError)
    _within("rate", g.rate, -d.RATE_MAX, d.RATE_MAX, priced, DomainError)
    longest = np.maximum(g.seconds.max(axis=0), 0) if g.rate.size else g.rate
    growth = np.where(priced, np.clip(-g.rate, 0, d.RATE_MAX) * ((np.clip(longest, 0, d.SECONDS_MAX) + 999) // 1000), 0)
    if (growth > _LN4_THOUSANDTHS).any():
        c = int(np.argmax(growth > _LN4_THOUSANDTHS))
        raise DomainError(
            f"rate {int(g.rate[c])} over {int(longest[c])} s", where=f"rate[{c}]", expected="exp(-rate T) below 3.97"
        )


@dataclass(frozen=True)
class Prepared:
    """What the compiled loop reads, shapes as in `engine.price_range`.

    arguments: forward ... scales; groups, cell_p: the distinct (p, v, t) of the scenarios and the base state, which is cell 0;
    cell_of [S]: each scenario's cell.
    """

    arguments: tuple[Any, ...]
    groups: Int64
    cell_p: Int64
    cell_of: Any


def square_roots(seconds: Int64) -> Int64:
    """h = floor(sqrt(T / 1 year) 2^101 / 10^12); zero for what has expired. Shape as `seconds`."""
    values, index = np.unique(np.clip(seconds, 0, d.SECONDS_MAX), return_inverse=True)
    denominator = SECONDS_PER_YEAR * RATIO_ONE**2
    roots = [math.isqrt((int(n) << (2 * d.ROOT_BITS)) // denominator) for n in values]
    return np.array(roots, dtype=np.int64)[index.reshape(seconds.shape)]


def scale_row(unit: int, money_exponent: int) -> tuple[int, ...]:
    """The row of `engine.money` that turns a value of one coin in 1e-9 into money of one unit.

    numerator / denominator = unit 10^m / 10^18 in lowest terms. The row: numerator, 2 denominator, the greatest |whole| whose
    result surely fits 64 bits, the greatest for which 2 numerator (whole + 1) < 2^63, then 1 / (2 denominator) =
    reciprocal / 2^(64 + shift) and numerator / denominator = mantissa / 2^exponent, both rounded down to 62 or 63 bits.
    """
    numerator, denominator = unit * 10**money_exponent, 10**18
    common = math.gcd(numerator, denominator)
    numerator, denominator = numerator // common, denominator // common
    limit = ((2**63 - 8) * denominator - 1) // numerator - 1
    double = 2 * denominator
    shift = double.bit_length() - 3
    small = (2**62 - 1) // numerator - 1 if shift >= 0 else -1
    reciprocal = (1 << (64 + shift)) // double if shift >= 0 else 0
    exponent = 62 + denominator.bit_length() - numerator.bit_length()
    mantissa = (numerator << exponent) // denominator
    if mantissa >> 63:
        exponent -= 1
        mantissa = (numerator << exponent) // denominator
    return numerator, double, min(limit, 2**62), small, reciprocal, shift, mantissa, exponent


def _ratios(g: Grid) -> Int64:
    """W / F [C, P] of the curves with inverse options, Q60, to the nearest; zero elsewhere."""
    ratio = np.zeros(g.forward.shape[::-1], dtype=np.int64)
    used = np.unique(g.curve[(g.payoff == INVERSE) & ((g.kind == CALL) | (g.kind == PUT))])
    for c in used:
        pairs = zip(g.forward[:, c].tolist(), g.conversion[:, c].tolist(), strict=True)
        ratio[c] = [((conversion << d.VALUE_BITS) + forward // 2) // forward for forward, conversion in pairs]
    return ratio


def prepare(g: Grid) -> Prepared:
    """Logarithms, roots, discount factors and scales of a grid: everything that is shared between its cells."""
    prices, volatilities = g.forward.shape[0], g.vol.shape[0]
    forward, seconds, vol = (np.array(a.T, order="C") for a in (g.forward, g.seconds, g.vol))
    logs, discounts = np.zeros(forward.size, dtype=np.int64), np.zeros_like(seconds)
    curve_rows(forward.ravel(), seconds, np.array(g.rate), logs, discounts)
    log_strike, none = np.zeros_like(g.strike), np.zeros((0, 0), dtype=np.int64)
    curve_rows(np.array(g.strike), none, none.ravel(), log_strike, none)
    units, scale_index = np.unique(g.unit, return_inverse=True)
    scales = np.array([scale_row(max(int(u), 1), g.money_exponent) for u in units], dtype=np.int64).reshape(-1, 8)
    rows = (g.strike, log_strike, g.curve, g.kind, g.payoff, scale_index)
    instruments = np.array(rows, dtype=np.int64).reshape(6, g.strike.size)
    arguments = (
        forward,
        logs.reshape(forward.shape),
        _ratios(g),
        discounts,
        square_roots(seconds),
        vol,
        instruments,
        scales,
    )

    code = (g.scenario_t * volatilities + g.scenario_v) * prices + g.scenario_p
    cells, cell_of = np.unique(np.concatenate([[0], code]), return_inverse=True)
    pairs, starts = np.unique(cells // prices, return_index=True)
    t, v = np.divmod(pairs, volatilities)
    groups = np.stack([v, t, starts, np.append(starts[1:], cells.size)], axis=1).astype(np.int64)
    return Prepared(arguments, np.ascontiguousarray(groups), cells % prices, cell_of[1:])


def inverse_contract_entry(notional: int, start: int, end: int, conversion: int, money_exponent: int) -> int:
    """N (1/F_0 - 1/F_s) W_s in 10^-m of the numeraire: N, F, W in 1e-9; exact, rounded once, ties to even."""
    return round_half_even(notional * conversion * (end - start) * 10**money_exponent, start * end * 10**9)


def _fill_inverse_contracts(g: Grid, cell_p: Int64, entries: Int64) -> tuple[int, int] | None:
    """Entries of inverse delta-one contracts; (instrument, cell) of the first that does not fit 64 bits."""
    for i in np.flatnonzero((g.kind == DELTA_ONE) & (g.payoff == INVERSE)):
        c, unit = g.curve[i], int(g.unit[i])
        start = int(g.forward[0, c])
        states = zip(g.forward[:, c].tolist(), g.conversion[:, c].tolist(), strict=True)
        amounts = [inverse_contract_entry(unit, start, end, conversion, g.money_exponent) for end, conversion in states]
        for u, p in enumerate(cell_p):
            if not INT64_MIN <= amounts[p] <= INT64_MAX:
                return int(i), u
            entries[u, i] = amounts[p]
    return None


def _overflow(g: Grid, i: int, u: int, prepared: Prepared) -> OverflowMoneyError:
    expected = f"at most 2^63 in units of 1e-{g.money_exponent}"
    if u == 0:
        return OverflowMoneyError("value of one unit does not fit 64 bits", where=f"instrument {i}", expected=expected)
    where = f"instrument {i}, scenario {int(np.argmax(prepared.cell_of == u))}"
    return OverflowMoneyError("P&L of one unit does not fit 64 bits", where=where, expected=expected)


def risk_entries(grid: Grid, threads: int = 1) -> RiskEntries:
    """P&L of one long unit of every instrument in every scenario, and base values; the result does not depend on `threads`.

    Raises:
        OverflowMoneyError: a number does not fit 64 bits; names the first such instrument and one scenario.
    """
    prepared, count = prepare(grid), grid.strike.size
    base = np.zeros(count, dtype=np.int64)
    entries = np.zeros((len(prepared.cell_p), count), dtype=np.int64)

    def run(bounds: tuple[int, int]) -> int:
        return int(price_range(*bounds, *prepared.arguments, prepared.groups, prepared.cell_p, base, entries))

    parts = max(1, min(threads, count))
    bounds = [(count * n // parts, count * (n + 1) // parts) for n in range(parts)]
    if parts == 1:
        failures = [run(bounds[0])]
    else:
        with ThreadPoolExecutor(parts) as pool:
            failures = list(pool.map(run, bounds))
    first = min((f for f in failures if f >= 0), default=-1)
    if first >= 0:
        raise _overflow(grid, *divmod(first, len(prepared.cell_p)), prepared)
    contract = _fill_inverse_contracts(grid, prepared.cell_p, entries)
    if contract is not None:
        raise _overflow(grid, *contract, prepared)
    return RiskEntries(np.ascontiguousarray(entries[prepared.cell_of]), base)
