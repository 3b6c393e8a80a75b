"""Nearest option values, many at once, against the same integers one by one and against a float64 numba loop, one thread each.

    python -m benchmarks.bench_nearest [--options 200] [--states 500] [--rounds 7] [--json]

"together" is the compiled kernel with everything around it (`riskproof.risk.margining.nearest`), "one by one" the exact integer
code, "float64" Black-76 with erfc on the same numbers as doubles, roots and logarithms shared alike. Rounds are interleaved, of
each the fastest counts. "joint moves" is the margin report of a book of so many options under the 48 scenarios of `cross` and so
many joint moves of a history, from market and history to the report; once more with values one by one. Market, history and book
are made up, from a seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any
from unittest import mock

import numpy as np
from numba import njit

from benchmarks.bench_tail import TAIL, made_history, made_market
from riskproof.risk.margining import (
    Account,
    MarginMarket,
    MarginModel,
    evaluate_model,
    from_market,
    load_model,
    nearest,
)
from riskproof.risk.margining.tail import Tail, TailSet
from riskproof.risk.tail.methods import Historical
from riskproof.risk.tail.model import EXPECTED_SHORTFALL
from riskproof.units import RATIO_ONE, SECONDS_PER_YEAR

ONE = 10**18
DECIMALS = 6
Given = tuple[list[nearest.Option], list[list[nearest.Terms]], list[list[int]]]


def drawn(options: int, states: int) -> Given:
    """Options of twelve expiries within half and twice the forward, under moves of +-50 % and volatilities of 20 to 200 %."""
    r = random.Random(76)
    terms = []
    for _ in range(12):
        price, seconds = r.randrange(10**21, 10**23), r.randrange(3_600, SECONDS_PER_YEAR)
        moves = [price * r.randrange(500, 1_500) // 1_000 for _ in range(states)]
        terms.append([nearest.Terms(f, seconds, r.randrange(ONE * 9 // 10, ONE), (1, 1)) for f in moves])
    held = []
    for n in range(options):
        forward = terms[n % 12][0].forward
        held.append(nearest.Option(r.random() < 0.5, forward * r.randrange(500, 2_000) // 1_000, n % 12))
    return held, terms, [[r.randrange(ONE // 5, 2 * ONE) for _ in range(states)] for _ in held]


@njit(cache=True, nogil=True, error_model="numpy")
def float_values(calls, groups, strikes, vols, forwards, roots, discounts, values):  # type: ignore[no-untyped-def]
    half_root = math.sqrt(0.5)
    logs = np.log(forwards)
    for i in range(len(strikes)):
        g, k = groups[i], strikes[i]
        log_strike = math.log(k)
        for s in range(vols.shape[1]):
            f = forwards[g, s]
            deviation = vols[i, s] * roots[g]
            d1 = (logs[g, s] - log_strike) / deviation + 0.5 * deviation
            d2 = d1 - deviation
            if calls[i]:
                value = f * math.erfc(-d1 * half_root) - k * math.erfc(-d2 * half_root)
            else:
                value = k * math.erfc(d2 * half_root) - f * math.erfc(d1 * half_root)
            values[i, s] = 0.5 * discounts[g, s] * value


def floats(given: Given) -> Callable[[], Any]:
    options, terms, vols = given
    arguments = (
        np.array([x.call for x in options]),
        np.array([x.group for x in options]),
        np.array([x.strike / ONE for x in options]),
        np.array(vols, dtype=np.float64) / ONE,
        np.array([[t.forward / ONE for t in row] for row in terms]),
        np.array([math.sqrt(row[0].seconds / SECONDS_PER_YEAR) for row in terms]),
        np.array([[t.discount / ONE for t in row] for row in terms]),
    )
    values = np.empty((len(options), len(vols[0])))

    def run() -> Any:
        float_values(*arguments, values)
        return values

    return run


def singly() -> Any:
    """Every value by the exact integer code."""
    return mock.patch.object(nearest, "_together", return_value=False)


def together() -> Any:
    return mock.patch.object(nearest, "_together", return_value=True)


def joint(options: int, moves: int) -> tuple[MarginModel, MarginMarket, Account]:
    market, history = made_market(options), made_history(moves)
    method = Historical(history.digest, history.start, history.end, 1, RATIO_ONE)
    model = load_model("cross")
    model = replace(
        model,
        tail=Tail((TailSet("history", EXPECTED_SHORTFALL, TAIL, method),)),
        limits=replace(model.limits, legs=10_000, expiries=1_000),
    )
    r = random.Random(7)
    held = tuple((n, Fraction(r.choice((-1, 1)) * r.randrange(1, 10_000), 1_000)) for n in range(options))
    return model, from_market(market, [history]), Account(held)


def fastest(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    times: dict[str, float] = dict.fromkeys(runs, math.inf)
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def compare(options: int, states: int, rounds: int) -> dict[str, float]:
    """Fastest times of each, and their ratios."""
    given = drawn(options, states)
    count = options * states

    def exact() -> list[list[int]]:
        with singly():
            return nearest.grid(*given, DECIMALS)

    def compiled() -> list[list[int]]:
        with together():
            return nearest.grid(*given, DECIMALS)

    approximate = floats(given)
    values = compiled()
    assert values == exact(), "the integers disagree"
    assert np.abs(np.array(values) / 10**DECIMALS - approximate()).max() < 1e-5, "the floats disagree"
    few = fastest({"exact": exact}, max(1, rounds // 3))
    times = fastest({"compiled": compiled, "float": approximate}, rounds) | few
    model, market, account = joint(options, states)

    def report() -> Any:
        with together():
            return evaluate_model(model, market, account)

    def report_singly() -> Any:
        with singly():
            return evaluate_model(model, market, account)

    assert report().to_document() == report_singly().to_document(), "the reports disagree"
    times |= fastest({"joint": report}, rounds) | fastest({"joint_singly": report_singly}, 1)
    per_value = {f"{name}_ns": round(times[name] / count * 1e9) for name in ("compiled", "exact", "float")}
    return per_value | {
        "speed_of_exact": round(times["exact"] / times["compiled"], 1),
        "share_of_float": round(times["float"] / times["compiled"], 3),
        "joint_s": round(times["joint"], 3),
        "joint_singly_s": round(times["joint_singly"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--options", type=int, default=200)
    parser.add_argument("--states", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = compare(options.options, options.states, options.rounds)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{options.options} options in {options.states} states, nearest 10^-{DECIMALS}")
    print(
        f"  together    {result['compiled_ns']:8.0f} ns a value   {result['speed_of_exact']}x the speed of one by one"
    )
    print(f"  one by one  {result['exact_ns']:8.0f} ns")
    print(f"  float64     {result['float_ns']:8.0f} ns, not exact")
    print(f"{options.options} legs, {options.states} joint moves: report in {result['joint_s']} s")
    print(f"  values one by one: {result['joint_singly_s']} s")


if __name__ == "__main__":
    main()
