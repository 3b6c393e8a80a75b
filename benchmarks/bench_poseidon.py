"""Poseidon hashes per second on one core against circomlibjs (WASM), and the position tree.

    npm install --prefix benchmarks        once, for the comparison
    python -m benchmarks.bench_poseidon [--seconds 2] [--json]

"batch" is `poseidon_many` on 20,000 pairs, range check and Montgomery form in and out included; circomlibjs hashes pairs that
are already field elements. Rounds of both alternate in one run; medians are compared. Without node or the package the
comparison is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from riskproof.commit.field.limbs import limbs_of
from riskproof.commit.merkle import PositionTree, positions_root, verify_multi_opening, verify_opening
from riskproof.commit.poseidon import poseidon, poseidon_many

HERE = Path(__file__).parent
PAIRS = 20_000
ROUNDS = 3


def seconds(work: Callable[[], object], repeat: int) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def circomlibjs_rate(duration: float) -> float | None:
    """Hashes of two inputs per second, or None if it is not installed."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "circomlibjs").is_dir():
        return None
    script = [node, str(HERE / "poseidon_circomlibjs.mjs"), "bench", str(duration)]
    return float(subprocess.run(script, capture_output=True, text=True, check=True, cwd=HERE).stdout)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of one circomlibjs round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)

    start = time.perf_counter()
    poseidon([1, 2])
    first = time.perf_counter() - start
    pairs = limbs_of(range(2 * PAIRS)).reshape(PAIRS, 2, 4)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(PAIRS / seconds(lambda: poseidon_many(pairs), 3))
        if (rate := circomlibjs_rate(options.seconds)) is not None:
            theirs.append(rate)

    rng = np.random.default_rng(1)
    lots = rng.integers(-(10**6), 10**6, 2048)
    secret, salt = bytes(range(32)), bytes(32)
    tree = PositionTree(lots, secret)
    opening, some = tree.opening(77), tree.multi_opening(range(0, 2048, 128))
    root = tree.root
    result: dict[str, float | None] = {
        "first_call_s": round(first, 3),
        "batch_hashes_per_s": round(statistics.median(ours)),
        "circomlibjs_hashes_per_s": round(statistics.median(theirs)) if theirs else None,
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2) if theirs else None,
        "tree_2048_build_ms": round(seconds(lambda: PositionTree(lots, secret), 5) * 1e3, 2),
        "tree_2048_update_us": round(seconds(lambda: tree.update(77, 5), 50) * 1e6, 1),
        "tree_2048_opening_us": round(seconds(lambda: tree.opening(77), 50) * 1e6, 1),
        "tree_2048_verify_opening_us": round(seconds(lambda: verify_opening(root, opening), 50) * 1e6, 1),
        "tree_2048_verify_16_positions_us": round(seconds(lambda: verify_multi_opening(root, some), 20) * 1e6, 1),
        "positions_root_us": round(seconds(lambda: positions_root(root, salt), 50) * 1e6, 1),
    }
    if options.json:
        print(json.dumps(result))
        return 0
    for name, value in result.items():
        print(f"{name:36} {'not measured: npm install --prefix benchmarks' if value is None else value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
