"""Margins of many accounts on one snapshot under derive-pm2, against a float64 numba loop that reprices every leg, one thread each.

    python -m benchmarks.bench_margin_batch [--accounts 10000] [--legs 17] [--rounds 7] [--json]

"exact" is `evaluate_batch`: initial and maintenance margin and equity of every account, equal to `evaluate_model` in the last
digit. Its tables, which hold what every listing is worth in every scenario, are built once for a snapshot; that time is reported
apart, the fastest of the rounds.
"float64" computes the same margins of the same books by pricing every leg in every scenario (Black-76 with erfc; the shocked
volatilities, discount factors and roots are given to it), with static discounts, adverse skew, basis, and charges. "shared" is
that loop with the logarithm of forward over strike taken once for a leg and a price move, not once for a cell. Rounds are
interleaved and the medians compared; the numbers must agree to 1e-9. The market and the books are made up, from a seed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numba import njit

from riskproof.market.registry import Kind, OptionType
from riskproof.risk.margining import Forward, Index, Listing, MarginMarket, MarginModel, UnitValues, load_model
from riskproof.risk.margining.batch import Accounts, MarginTables, evaluate_batch
from riskproof.risk.margining.grid import ADVERSE, BASE, State
from riskproof.units import SECONDS_PER_DAY, SECONDS_PER_YEAR

SPOT = Fraction("95123.45")
EXPIRY_DAYS = (1, 3, 7, 14, 30, 60, 120, 270)
STRIKES = range(50, 170, 10)
DECIMALS = 2
jit: Final[Any] = njit(cache=True, error_model="numpy")


def made_market() -> MarginMarket:
    """One coin: cash, a perpetual, calls and puts of eight expiries and twelve strikes each."""
    listings = [
        Listing("USDC", Kind.SPOT, "USDC"),
        Listing("BTC-PERP", Kind.PERPETUAL, "BTC", mark=SPOT + Fraction("12.5")),
    ]
    forwards = {}
    for days in EXPIRY_DAYS:
        seconds = days * SECONDS_PER_DAY + 3_600
        price = SPOT * (1_000 + days // 10) / 1_000
        forwards["BTC", seconds] = Forward(seconds, price, rate=Fraction("0.04"))
        for percent in STRIKES:
            for side in OptionType:
                volatility = Fraction(45 + abs(percent - 100) // 4, 100)
                name, strike = f"BTC-{days}-{percent}-{side.value}", Fraction(round(SPOT * percent / 100))
                listings.append(
                    Listing(
                        name,
                        Kind.OPTION,
                        "BTC",
                        expiry=seconds,
                        strike=strike,
                        option_type=side,
                        volatility=volatility,
                    )
                )
    return MarginMarket("USDC", {"BTC": Index(SPOT)}, forwards, tuple(listings), money_exponent=9)


def made_accounts(market: MarginMarket, count: int, legs: int) -> Accounts:
    """Books of `legs` derivatives on average, in up to four expiries, and cash."""
    rng = np.random.default_rng(20260205)
    of_expiry = {
        seconds: [p for p, x in enumerate(market.listings) if x.expiry == seconds] for _, seconds in market.forwards
    }
    pointers, places, lots = [0], [], []
    for _ in range(count):
        chosen = rng.choice(sorted(of_expiry), 4, replace=False)
        options = np.concatenate([of_expiry[int(e)] for e in chosen])
        size = int(np.clip(rng.poisson(legs - 1), 1, min(len(options), 100)))
        held = [0, 1, *sorted(rng.choice(options, size, replace=False).tolist())]
        places += held
        amounts = rng.integers(1, 2_000, len(held)) * rng.choice((-1, 1), len(held))
        amounts[0] = int(rng.integers(-(10**7), 10**9)) or 1
        lots += amounts.tolist()
        pointers.append(len(places))
    as_array = [np.array(x, dtype=np.int64) for x in (pointers, places, lots)]
    return Accounts(as_array[0], as_array[1], as_array[2], DECIMALS)


@jit  # type: ignore[untyped-decorator]
def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x * 0.7071067811865476)


@jit  # type: ignore[untyped-decorator]
def repriced(
    pointers: Any,
    places: Any,
    quantities: Any,
    group: Any,
    strikes: Any,
    calls: Any,
    vols: Any,
    forwards: Any,
    roots: Any,
    discounts: Any,
    factors: Any,
    tenors: Any,
    moves: Any,
    weights: Any,
    adverse: Any,
    column_vol: Any,
    first_of_move: Any,
    shared: bool,
    mark: float,
    index: float,
    rates: Any,
    out: Any,
) -> None:
    """Columns are scenarios, base, up, down; vols [I, kinds of volatility]; rates [margin, (worst, perpetual, naked)]."""
    columns, scenarios = len(moves), len(weights)
    logs = np.zeros(columns)
    value = np.zeros((len(forwards), columns))
    used = np.zeros(len(forwards), dtype=np.bool_)
    naked = np.zeros(len(strikes))
    for a in range(len(pointers) - 1):
        value[:] = 0.0
        used[:] = False
        perpetual, equity, short = 0.0, 0.0, 0.0
        for k in range(pointers[a], pointers[a + 1]):
            i, q = places[k], quantities[k]
            if i == 0:
                equity += q
                continue
            if i == 1:
                perpetual = q
                continue
            g = group[i]
            used[g] = True
            naked[i & ~1] += q
            for c in range(columns):
                forward = forwards[g] * (1.0 + moves[c])
                if not shared or first_of_move[c] == c:
                    logs[c] = math.log(forward / strikes[i])
                s = vols[i, column_vol[c]] * roots[g]
                d1 = logs[first_of_move[c] if shared else c] / s + 0.5 * s
                if calls[i]:
                    x = forward * _cdf(d1) - strikes[i] * _cdf(d1 - s)
                else:
                    x = strikes[i] * _cdf(s - d1) - forward * _cdf(-d1)
                value[g, c] += q * discounts[g] * x
        for k in range(pointers[a], pointers[a + 1]):
            short += max(0.0, -naked[places[k] & ~1])
            naked[places[k] & ~1] = 0.0
        worst, basis = -1e300, 0.0
        for g in range(len(forwards)):
            if used[g]:
                now = value[g, scenarios]
                equity += now
                basis += tenors[g] * max(0.0, now - value[g, scenarios + 1], now - value[g, scenarios + 2])
        for s in range(scenarios):
            total = perpetual * mark * moves[s]
            for g in range(len(forwards)):
                if used[g]:
                    x = value[g, s]
                    change = x * factors[g, 0 if x >= 0 else 1] - value[g, scenarios]
                    total += -abs(change) if adverse[s] else change
            worst = max(worst, -weights[s] * total)
        worst = max(worst, basis)
        for m in range(2):
            out[m, a] = worst * rates[m, 0] + index * (abs(perpetual) * rates[m, 1] + short * rates[m, 2])
        out[2, a] = equity


class Floats:
    """What the float loop is given: everything of the market but prices of options in scenarios."""

    def __init__(self, model: MarginModel, market: MarginMarket) -> None:
        values = UnitValues(model, market)
        states = [*(s.state for s in model.scenarios), BASE, State(Fraction("0.045")), State(Fraction("-0.045"))]
        kinds = sorted({s.vol or "" for s in states})
        options = [x for x in market.listings if x.kind is Kind.OPTION]
        expiries = list(market.forwards)
        forwards = [market.forwards[e] for e in expiries]
        vols = np.ones((len(market.listings), len(kinds)))
        for p, x in enumerate(market.listings):
            if x.kind is Kind.OPTION:
                vols[p] = [
                    float(values._volatility(p, x, market.forward(x), State(vol=k or None))) / 1e18 for k in kinds
                ]
        moves = [float(s.price) for s in states]
        listed = market.listings
        assert [x.kind is Kind.OPTION for x in listed] == [False, False] + [True] * len(options)
        basis = dict(model.charges)["basis"]
        years = [f.seconds / SECONDS_PER_YEAR for f in forwards]
        self.arguments: tuple[Any, ...] = (
            np.array([expiries.index((x.underlying, x.expiry or 0)) if x.strike else -1 for x in listed]),
            np.array([float(x.strike or 1) for x in listed]),
            np.array([x.option_type is OptionType.CALL for x in listed]),
            vols,
            np.array([float(f.price) for f in forwards]),
            np.sqrt(years),
            np.array([float(model.pricing.discount(f)) for f in forwards]),
            np.array([[float(x) for x in model.pricing.static_factors(f)] for f in forwards]),
            np.array([float(basis.add) + float(basis.per_year) * t for t in years]),  # type: ignore[attr-defined]
            np.array(moves),
            np.array([float(s.weight) for s in model.scenarios]),
            np.array([s.expiry_pnl == ADVERSE for s in model.scenarios]),
            np.array([kinds.index(s.vol or "") for s in states]),
            np.array([moves.index(x) for x in moves]),
        )
        self.prices = float(listed[1].mark or 0), float(market.index("BTC").price)
        self.rates = np.array([[1.0, 0.02, 0.005], [0.8, 0.015, 0.003]])

    def margins(self, accounts: Accounts, shared: bool) -> Any:
        out = np.zeros((3, len(accounts)))
        quantities = accounts.lots / 10.0**accounts.decimals
        books = accounts.pointers, accounts.places, quantities
        repriced(*books, *self.arguments, shared, *self.prices, self.rates, out)
        return out


def compare(count: int, legs: int, rounds: int) -> dict[str, float]:
    """Median times of both, and their ratio."""
    model, market = load_model("derive-pm2"), made_market()
    accounts = made_accounts(market, count, legs)
    built = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        tables = MarginTables.build(model, market, DECIMALS)
        built = min(built, time.perf_counter() - start)
    floats = Floats(model, market)
    runs: dict[str, Callable[[], Any]] = {
        "exact": lambda: evaluate_batch(tables, accounts),
        "float64": lambda: floats.margins(accounts, False),
        "shared": lambda: floats.margins(accounts, True),
    }
    batch, other, again = (run() for run in runs.values())
    for mine, theirs, same in zip((batch.initial, batch.maintenance, batch.equity), other, again, strict=True):
        scale = np.abs(other).max(axis=0) + 1
        assert np.abs(mine / 1e6 - theirs).max() < 1e-9 * scale.max() + 2e-6, "the margins disagree"
        assert (np.abs(mine / 1e6 - theirs) <= 1e-9 * scale + 2e-6).all(), "the margins disagree"
        assert (np.abs(same - theirs) <= 1e-9 * scale).all(), "the two float loops disagree"
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    positions = len(accounts.lots) - count
    return {f"{name}_ms": round(1e3 * seconds, 2) for name, seconds in median.items()} | {
        "tables_s": round(built, 2),
        "legs": round(positions / count, 2),
        "slow": int(batch.slow.sum()),
        "ratio": round(median["float64"] / median["exact"], 1),
        "ratio_shared": round(median["shared"] / median["exact"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--legs", type=int, default=17)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = compare(options.accounts, options.legs, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    print(f"derive-pm2, {options.accounts} accounts of {result['legs']} derivatives and cash, 31 scenarios")
    print(f"  exact     {result['exact_ms']:8.1f} ms   {result['slow']} accounts on the slow path")
    print(f"  float64   {result['float64_ms']:8.1f} ms   the exact one runs at {result['ratio']}x its speed")
    print(f"  shared    {result['shared_ms']:8.1f} ms   {result['ratio_shared']}x")
    print(f"  tables    {result['tables_s'] * 1e3:8.1f} ms   once for a snapshot")


if __name__ == "__main__":
    main()
