"""Option cells per second of the integer kernel against a float64 Black-76 that prices the same cells, one thread.

    python benchmarks/bench_kernel.py [--instruments 1800] [--rounds 15] [--json]
    python benchmarks/bench_kernel.py --compile        first-ever run: import and compile in an empty cache

Both kernels are compiled by numba without fastmath, share logarithms, roots, s and 1/s across the grid in the same way, and
write P&L against the base state; the float kernel uses erfc. Two books of strikes: "chain" spreads log-moneyness as a listed
chain does and moves prices by up to +-50 %, "near" keeps every cell within about two standard deviations, where no cell can be
cut short and erfc is at its cheapest. Rounds are interleaved and the medians compared.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
from numba import njit

from riskproof.risk.kernel import grid as g
from riskproof.risk.kernel.domain import KERNEL_VERSION
from riskproof.risk.kernel.engine import price_range

PRICES, VOLS, TIMES = 17, 3, 1


@njit(nogil=True, error_model="numpy")
def float_range(forward, log_forward, discounts, root, vol, strike, log_strike, curve, call, cells, entries):  # type: ignore[no-untyped-def]
    half_root = math.sqrt(0.5)
    for i in range(strike.shape[0]):
        c, k = curve[i], strike[i]
        base, s, inverse, v, t = 0.0, 0.0, 0.0, -1, -1
        for u in range(cells.shape[0]):
            p = cells[u, 0]
            if cells[u, 1] != v or cells[u, 2] != t:
                v, t = cells[u, 1], cells[u, 2]
                s = vol[v, i] * root[t, c]
                inverse = 1.0 / s
            f = forward[p, c]
            d1 = (log_forward[p, c] - log_strike[i]) * inverse + 0.5 * s
            d2 = d1 - s
            if call[i]:
                price = f * math.erfc(-d1 * half_root) - k * math.erfc(-d2 * half_root)
            else:
                price = k * math.erfc(d2 * half_root) - f * math.erfc(d1 * half_root)
            price *= 0.5 * discounts[t, c]
            if u == 0:
                base = price
            entries[u, i] = price - base


def sample(instruments: int, near: bool) -> g.Grid:
    """Two underlyings, 12 expiries each; 17 price moves to +-50 % (near: +-2 standard deviations), 3 volatility states."""
    rng = np.random.default_rng(20240229)
    curves = 24
    spot = np.where(np.arange(curves) < 12, 95_000, 3_300)
    days = np.tile([1, 2, 3, 7, 14, 21, 30, 60, 90, 180, 270, 360], 2)
    curve = np.arange(instruments) % curves
    deviation = 0.6 * np.sqrt(days / 365)
    moneyness = rng.normal(0, 0.4, instruments) * (deviation[curve] if near else 1)
    moves = np.concatenate([[0], np.linspace(-0.5, 0.5, PRICES - 1)])
    shift = 1 + (moves[:, None] * 1.5 * deviation[None, :] if near else moves[:, None])
    vol = np.clip(rng.normal(0.6, 0.1, instruments), 0.3, 1.5)
    shape = (PRICES, VOLS, TIMES)
    p, v, t = (axis.ravel().astype(np.int64) for axis in np.indices(shape))
    forward = np.round(spot * shift * 1e9).astype(np.int64)
    return g.Grid(
        forward=forward,
        conversion=forward,
        seconds=(days[None, :] * 86_400 + 3_600).astype(np.int64),
        rate=np.full(curves, 40_000_000_000, dtype=np.int64),
        vol=np.round(vol * np.array([[1.0], [1.4], [0.7]]) * 1e12).astype(np.int64),
        strike=np.round(np.clip(spot[curve] * np.exp(moneyness), 1, 9e6) * 1e9).astype(np.int64),
        curve=curve.astype(np.int64),
        kind=rng.integers(g.CALL, g.PUT + 1, instruments).astype(np.int8),
        payoff=np.zeros(instruments, dtype=np.int8),
        unit=np.full(instruments, 10**9, dtype=np.int64),
        scenario_p=p,
        scenario_v=v,
        scenario_t=t,
        money_exponent=6,
    )


def compare(grid: g.Grid, rounds: int) -> dict[str, float]:
    """Median nanoseconds per cell of both kernels, and the ratio of their rates (above 1: the integer kernel is faster)."""
    prepared = g.prepare(grid)
    count = grid.strike.size
    base = np.zeros(count, dtype=np.int64)
    exact = np.zeros((len(prepared.cell_p), count), dtype=np.int64)
    rough = np.zeros(exact.shape)
    seconds = grid.seconds / 31_536_000
    cells = np.zeros((len(prepared.cell_p), 3), dtype=np.int64)
    cells[:, 0] = prepared.cell_p
    for v, t, start, stop in prepared.groups.tolist():
        cells[start:stop, 1:] = v, t
    floats = (
        *(grid.forward / 1e9, np.log(grid.forward / 1e9), np.exp(-grid.rate / 1e12 * seconds), np.sqrt(seconds)),
        *(grid.vol / 1e12, grid.strike / 1e9, np.log(grid.strike / 1e9), np.array(grid.curve), grid.kind == g.CALL),
    )

    def integers() -> Any:
        return price_range(0, count, *prepared.arguments, prepared.groups, prepared.cell_p, base, exact)

    def doubles() -> Any:
        return float_range(*floats, cells, rough)

    times: dict[Any, list[float]] = {integers: [], doubles: []}
    for kernel in times:
        kernel()
    for _ in range(rounds):
        for kernel, taken in times.items():
            start = time.perf_counter()
            kernel()
            taken.append(time.perf_counter() - start)
    assert np.abs(exact / 1e6 - rough).max() < 1e-5, "the kernels disagree"
    fast, plain = (statistics.median(taken) / exact.size * 1e9 for taken in times.values())
    return {
        "integer_ns_per_cell": round(fast, 2),
        "float64_ns_per_cell": round(plain, 2),
        "ratio": round(plain / fast, 2),
    }


def first_run() -> dict[str, float]:
    """Seconds to import and compile every kernel function in an empty cache, and again with the cache."""
    code = "import time; a = time.perf_counter(); from riskproof.risk.kernel import black76; b = time.perf_counter(); "
    code += "black76.compile_kernels(); print(b - a, time.perf_counter() - b)"
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for label in ("empty_cache", "warm_cache"):
            environment = os.environ | {"NUMBA_CACHE_DIR": folder}
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            imported, compiled = map(float, done.stdout.split())
            result |= {f"{label}_import_s": round(imported, 2), f"{label}_compile_s": round(compiled, 2)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruments", type=int, default=1800)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report: dict[str, Any] = {"kernel": KERNEL_VERSION, "instruments": options.instruments}
    if options.compile:
        report["first_run"] = first_run()
    else:
        for name in ("chain", "near"):
            report[name] = compare(sample(options.instruments, name == "near"), options.rounds)
    print(json.dumps(report) if options.json else json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
