"""Margin of a whole venue, exact, against plain int64 loops that may overflow; and the risk array of a market, cold and warm.

    python -m benchmarks.bench_arrays [--accounts 100000] [--positions 20] [--instruments 2000] [--rounds 11] [--json]

"exact" is `evaluate_batch`: checks of every row, the proof that 64 bits suffice, worst scenario, P&L and both margins, rounded. The
references find only the worst scenario and its P&L, check nothing, and wrap when they overflow; both read the same entries, whose
scenarios are contiguous:

    plain      one position at a time: sums[s] += q * A[i, s]; then the first least sum
    unrolled   four positions at a time and a vectorised minimum: the exact loop without its checks, proof and margins

Rounds are interleaved and the medians compared; the ratio is taken to the faster reference. "wide" has lots so large that every
account takes the 128-bit path.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numba import njit

from riskproof.market.sample import sample_market
from riskproof.risk import accumulate
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.batch import evaluate_batch
from riskproof.risk.model import load_model


@njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
def plain(pointers, indices, lots, rows, worst, pnl):  # type: ignore[no-untyped-def]
    scenarios = rows.shape[1]
    sums = np.zeros(scenarios, dtype=np.int64)
    for a in range(pointers.shape[0] - 1):
        sums[:] = 0
        for k in range(pointers[a], pointers[a + 1]):
            row, q = rows[indices[k]], lots[k]
            for s in range(scenarios):
                sums[s] += q * row[s]
        at = 0
        for s in range(1, scenarios):
            if sums[s] < sums[at]:
                at = s
        worst[a] = at
        pnl[a] = sums[at]


@njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
def unrolled(pointers, indices, lots, rows, worst, pnl):  # type: ignore[no-untyped-def]
    scenarios = rows.shape[1]
    sums = np.zeros(scenarios, dtype=np.int64)
    for a in range(pointers.shape[0] - 1):
        sums[:] = 0
        k, stop = pointers[a], pointers[a + 1]
        while k + 4 <= stop:
            row0, row1, row2, row3 = rows[indices[k]], rows[indices[k + 1]], rows[indices[k + 2]], rows[indices[k + 3]]
            q0, q1, q2, q3 = lots[k], lots[k + 1], lots[k + 2], lots[k + 3]
            for s in range(scenarios):
                sums[s] += q0 * row0[s] + q1 * row1[s] + q2 * row2[s] + q3 * row3[s]
            k += 4
        while k < stop:
            row, q = rows[indices[k]], lots[k]
            for s in range(scenarios):
                sums[s] += q * row[s]
            k += 1
        least = sums[0]
        for s in range(scenarios):
            least = min(least, sums[s])
        at = 0
        while sums[at] != least:
            at += 1
        worst[a] = at
        pnl[a] = least


def books(accounts: int, positions: int, instruments: int) -> tuple[Any, Any, Any]:
    """Accounts of `positions` random instruments each, up to 10,000 lots (ten units) long or short."""
    rng = np.random.default_rng(5)
    pointers = np.arange(accounts + 1, dtype=np.int64) * positions
    indices = np.sort(
        np.array([rng.choice(instruments, positions, replace=False) for _ in range(accounts)]), axis=1
    ).astype(np.int32)
    lots = rng.integers(1, 10_000, accounts * positions) * rng.choice(np.array([-1, 1]), accounts * positions)
    return pointers, indices.ravel(), lots


def market_array(instruments: int) -> RiskArray:
    """The risk array of the sample market, its rows repeated up to `instruments`."""
    array = compute_array(sample_market(), load_model("crypto-pm"))
    take = np.arange(instruments) % len(array.status)
    parts = (np.ascontiguousarray(x[take]) for x in (array.rows, array.base_value, array.buffer, array.status))
    names = (array.registry_digest, array.snapshot_digest, array.model_digest, array.kernel)
    return RiskArray(*names, array.money_exponent, array.quantity_exponent, *parts)


def compare(accounts: int, positions: int, instruments: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds of each, interleaved, and the ratio of speeds (above 1: the exact one is faster)."""
    array, model = market_array(instruments), load_model("crypto-pm")
    pointers, indices, lots = book = books(accounts, positions, instruments)
    worst, pnl = np.zeros(accounts, dtype=np.int32), np.zeros(accounts, dtype=np.int64)
    big = lots * 10**11  # beyond 64 bits, and in a numeraire of small value still reportable: only the sums are timed
    big_kinds, words = np.full(accounts, accumulate.WIDE), np.zeros((2, accounts), dtype=np.int64)
    runs = {
        "exact": lambda: evaluate_batch(array, model, *book),
        "plain": lambda: plain(*book, array.rows, worst, pnl),
        "unrolled": lambda: unrolled(*book, array.rows, worst, pnl),
        "wide": lambda: accumulate.worst_wide(
            0, accounts, pointers, indices, big, array.rows, array.buffer, big_kinds, worst.copy(), words
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    result = runs["exact"]()
    for name in ("plain", "unrolled"):
        runs[name]()
        assert (result.worst_index == worst).all(), "the kernels disagree"
        assert (result.worst_high == pnl >> 63).all(), "the kernels disagree"
        assert (result.worst_low == pnl.view(np.uint64)).all(), "the kernels disagree"
    for n in range(rounds + 1):
        for name, run in runs.items():
            if name == "wide" and n > 2:
                continue
            start = time.perf_counter()
            run()
            if n:
                times[name].append(time.perf_counter() - start)
    medians = {f"{name}_ms": round(statistics.median(taken) * 1e3, 2) for name, taken in times.items()}
    ratio = min(medians["plain_ms"], medians["unrolled_ms"]) / medians["exact_ms"]
    return {
        **medians,
        "ratio_to_plain": round(medians["plain_ms"] / medians["exact_ms"], 2),
        "ratio_to_faster": round(ratio, 2),
    }


def market(rounds: int) -> dict[str, Any]:
    """Milliseconds of `compute_array` on the sample market, compiled; and of a process that does it from the start."""
    made, model = sample_market(), load_model("crypto-pm")
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        compute_array(made, model)
        taken.append(time.perf_counter() - start)
    code = "from riskproof.market.sample import sample_market; from riskproof.risk.arrays import compute_array; "
    code += "from riskproof.risk.model import load_model; import time; m = sample_market(); a = time.perf_counter(); "
    code += "compute_array(m, load_model('crypto-pm')); print(time.perf_counter() - a)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {
        "instruments": len(made.registry),
        "scenarios": len(model.scenarios),
        "compute_array_ms": round(statistics.median(taken[1:]) * 1e3, 1),
        "first_in_process_ms": round(float(done.stdout) * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--positions", type=int, default=20)
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = {
        "batch": {
            "accounts": options.accounts,
            "positions": options.positions,
            "scenarios": len(load_model("crypto-pm").scenarios),
            **compare(options.accounts, options.positions, options.instruments, options.rounds),
        },
        "array": market(options.rounds),
    }
    print(json.dumps(report) if options.json else json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
