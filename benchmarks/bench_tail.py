"""Historical expected shortfall by full revaluation, exact, against a float64 repricing of the same cells, one thread.

    python -m benchmarks.bench_tail [--days 1000] [--instruments 2000] [--legs 200] [--rounds 7] [--json]

"exact" is everything after the documents are read: moves of the history as integer ratios, the states of every instrument under
every move (its own price and its own volatility each day), the integer kernel, the book's exact sums, and the expected shortfall
as a rational number. "float64" does the same in numba without checks: ratios, Black-76 with erfc (logarithms once per move and once
per forward and strike, roots once per expiry), sums and a sort. Rounds are interleaved and the medians compared; the two must agree
to 1e-9. "book" revalues the legs alone, as a margin call does. The market and the history are made up, from a seed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.risk.tail.evaluate import evaluate_tail, model_array
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.measures import expected_shortfall
from riskproof.risk.tail.methods import Historical
from riskproof.risk.tail.model import EXPECTED_SHORTFALL, TailModel
from riskproof.risk.tail.revaluation import book_sums
from riskproof.units import PRICE_ONE, RATIO_ONE, SECONDS_PER_DAY, SECONDS_PER_YEAR

TIME = 1_767_603_600
SPOT = {"BTC": 95_000, "ETH": 3_300}
EXPIRY_DAYS = (1, 2, 3, 7, 14, 21, 30, 60, 90, 180, 270, 360)
TENORS = (7, 30, 90, 180)
TAIL = 25 * RATIO_ONE // 1_000


def made_market(instruments: int) -> Market:
    """Options of two coins, 12 expiries each, inverse and linear, calls and puts over strikes of half to twice the price."""
    listed, quotes, curves = [], {}, []
    for u, spot in SPOT.items():
        forward = [spot * PRICE_ONE * (1_000 + days // 10) // 1_000 for days in EXPIRY_DAYS]
        expiries = [TIME + days * SECONDS_PER_DAY + 3_600 for days in EXPIRY_DAYS]
        curves += [Curve(u, expiry, price) for expiry, price in zip(expiries, forward, strict=True)]
    groups = len(curves) * 2
    for n in range(instruments):
        curve, side = curves[n % len(curves)], OptionType.CALL if n % groups < len(curves) else OptionType.PUT
        rank = n // groups / max(1, (instruments - 1) // groups)
        strike = round(SPOT[curve.underlying] * 2 ** (2 * rank - 1)) * PRICE_ONE
        payoff = Payoff.INVERSE if curve.underlying == "BTC" else Payoff.LINEAR
        name = f"{curve.underlying}-{n}"
        listed.append(Instrument(name, Kind.OPTION, curve.underlying, payoff, PRICE_ONE, curve.expiry, strike, side))
        quotes[name] = Quote(volatility=int((0.45 + 0.2 * abs(2 * rank - 1)) * RATIO_ONE))
    registry = Registry("USD", tuple(listed))
    indices = {u: spot * PRICE_ONE for u, spot in SPOT.items()}
    return Market(registry, Snapshot.build(registry, TIME, "benchmark", indices, curves, quotes))


def made_history(days: int) -> History:
    """`days` moves of two prices and their volatilities at four tenors."""
    factors = tuple(Factor(u, t) for u in SPOT for t in (0, *TENORS))
    rng = np.random.default_rng(20260205)
    sizes = np.array([0.03 if f.is_price else 0.06 for f in factors])
    logs = np.clip(rng.standard_t(5, (days, len(factors))), -6, 6) * sizes
    level = np.array([SPOT[f.underlying] * 1e9 if f.is_price else 5e11 for f in factors])
    path = level * np.exp(np.concatenate([np.zeros((1, len(factors))), np.cumsum(logs, axis=0) * 0.02 + logs]))
    return History("benchmark", dt.date(2022, 1, 1), factors, np.round(path).astype(np.int64))


@njit(cache=True, nogil=True, error_model="numpy")
def float_entries(forward, ratio, ratios, logs, vol, vol_ratios, root, strike, curve, price_of, call, inverse, entries):  # type: ignore[no-untyped-def]
    half_root = math.sqrt(0.5)
    moves = ratios.shape[0]
    for i in range(strike.shape[0]):
        c, k = curve[i], strike[i]
        base = 0.0
        log_moneyness = math.log(forward[c] / k)
        for s in range(moves + 1):
            move = ratios[s - 1, price_of[c]] if s else 1.0
            x = log_moneyness + (logs[s - 1, price_of[c]] if s else 0.0)
            deviation = vol[i] * (vol_ratios[s - 1, c] if s else 1.0) * root[c]
            f = forward[c] * move
            d1 = x / deviation + 0.5 * deviation
            d2 = d1 - deviation
            if call[i]:
                price = f * math.erfc(-d1 * half_root) - k * math.erfc(-d2 * half_root)
            else:
                price = k * math.erfc(d2 * half_root) - f * math.erfc(d1 * half_root)
            price *= 0.5
            if inverse[i]:
                price *= ratio[c]
            if s == 0:
                base = price
            else:
                entries[i, s - 1] = price - base


class Floats:
    """The market and the history as doubles, and the shortfall of a book from them."""

    def __init__(self, market: Market, history: History) -> None:
        snapshot, listed = market.snapshot, market.registry.instruments
        keys = [(c.underlying, c.expiry) for c in snapshot.curves]
        self.forward = np.array([c.forward / 1e9 for c in snapshot.curves])
        self.ratio = np.array([snapshot.index_price[c.underlying] / c.forward for c in snapshot.curves])
        self.seconds = np.array([c.expiry - TIME for c in snapshot.curves])
        self.root = np.sqrt(self.seconds / SECONDS_PER_YEAR)
        self.curve = np.array([keys.index((x.underlying, x.expiry)) for x in listed])
        self.strike = np.array([(x.strike or 0) / 1e9 for x in listed])
        self.vol = np.array([(q.volatility or 0) / 1e12 for q in snapshot.quotes if q])
        self.call = np.array([x.option_type is OptionType.CALL for x in listed])
        self.inverse = np.array([x.payoff is Payoff.INVERSE for x in listed])
        self.levels = history.levels.astype(float)
        self.columns = {f: n for n, f in enumerate(history.factors)}
        self.underlyings = [c.underlying for c in snapshot.curves]
        self.price_of = np.array([self.columns[Factor(u)] for u in self.underlyings])

    def shortfall(self, book: Portfolio) -> float:
        ratios = self.levels[1:] / self.levels[:-1]
        nodes = np.array(TENORS) * SECONDS_PER_DAY
        vol_ratios = np.empty((len(ratios), len(self.forward)))
        for c, u in enumerate(self.underlyings):
            at = [self.columns[Factor(u, t)] for t in TENORS]
            n = min(max(int(np.searchsorted(nodes, self.seconds[c])), 1), len(nodes) - 1)
            share = min(max((self.seconds[c] - nodes[n - 1]) / (nodes[n] - nodes[n - 1]), 0), 1)
            vol_ratios[:, c] = (1 - share) * ratios[:, at[n - 1]] + share * ratios[:, at[n]]
        entries = np.empty((len(self.strike), len(ratios)))
        float_entries(
            *(
                self.forward,
                self.ratio,
                ratios,
                np.log(ratios),
                self.vol,
                vol_ratios,
                self.root,
                self.strike,
                self.curve,
            ),
            *(self.price_of, self.call, self.inverse, entries),
        )
        held = np.array(book.positions)
        losses = np.sort(-(held[:, 1] / 1e3 @ entries[held[:, 0]]))[::-1]
        mass = TAIL / RATIO_ONE * len(losses)
        whole = int(mass)
        return float((losses[:whole].sum() + (mass - whole) * losses[whole]) / mass)


def compare(days: int, instruments: int, legs: int, rounds: int) -> dict[str, Any]:
    """Median seconds of each, interleaved, and the ratio of speeds (above 1: the exact one is faster)."""
    market, history = made_market(instruments), made_history(days)
    method = Historical(history.digest, history.start, history.end, 1, RATIO_ONE)
    model = TailModel("benchmark", "expected shortfall", EXPECTED_SHORTFALL, TAIL, (("history", method),))
    rng = np.random.default_rng(7)
    held = rng.choice(instruments, min(legs, instruments), replace=False).tolist()
    book = Portfolio.build((i, int(rng.integers(1, 10_000)) * int(rng.choice((-1, 1)))) for i in held)
    floats = Floats(market, history)

    def exact() -> float:
        array = model_array(market, model, [history])
        return float(expected_shortfall(book_sums(array.rows, book.positions), TAIL)) / 10**array.pnl_exponent

    def alone() -> float:
        return float(evaluate_tail(market, model, book, [history]).requirement) / 1e9

    runs: dict[str, Callable[[], float]] = {"exact": exact, "float64": lambda: floats.shortfall(book), "book": alone}
    amounts = {name: run() for name, run in runs.items()}
    assert amounts["book"] == amounts["exact"], "the book alone gives another number"
    assert abs(amounts["exact"] / amounts["float64"] - 1) < 1e-9, "the shortfalls disagree"
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(taken) for name, taken in times.items()}
    return {f"{name}_s": round(seconds, 4) for name, seconds in median.items()} | {
        "cells": days * instruments,
        "exact_ns_per_cell": round(median["exact"] / (days * instruments) * 1e9, 1),
        "ratio": round(median["float64"] / median["exact"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1_000)
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--legs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = compare(options.days, options.instruments, options.legs, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    print(f"historical expected shortfall, {options.days} days x {options.instruments} instruments, full revaluation")
    print(f"  exact     {result['exact_s'] * 1e3:8.1f} ms   {result['exact_ns_per_cell']} ns a cell")
    print(f"  float64   {result['float64_s'] * 1e3:8.1f} ms   the exact one runs at {result['ratio']}x its speed")
    print(f"  book      {result['book_s'] * 1e3:8.1f} ms   {options.legs} legs alone")


if __name__ == "__main__":
    main()
