"""KZG columns: commit, update after a trade, re-blind (one attestation of eight columns), open, parse.

    python -m benchmarks.bench_kzg [--json]

One core; the curve library holds the GIL. "msm" lines are the library's own multi-scalar multiplication of n full-size scalars, the
floor that proofs are measured against.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import G1Point, parse_g1, point_bytes, scalar
from riskproof.commit.srs import DOMAINS, lagrange_basis, srs_digest

COLUMNS = 8


def micros(work: Callable[[], object], repeat: int) -> float:
    """Median time of one call in microseconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1e6, 1)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)

    result: dict[str, float] = {"load_setup_us": micros(srs_digest, 1)}
    basis = column_basis(256)
    old, new = Blinding.random(), Blinding.random()
    rng = np.random.default_rng(1)
    dense = rng.integers(-(10**6), 10**6, 256)
    sparse = np.zeros(COLUMNS * 256, dtype=np.int64)
    sparse[rng.choice(len(sparse), 20, replace=False)] = rng.integers(1, 10**5, 20)
    start = time.perf_counter()
    for _ in range(64):  # the 64th builds the window table
        basis.commit(dense[:1], old)
    result["first_64_blindings_us"] = round((time.perf_counter() - start) * 1e6, 1)
    commitment = basis.commit(dense, old)
    encoded = point_bytes(commitment)
    blindings = [Blinding.random() for _ in range(COLUMNS)]
    book = basis.commit_all(sparse, blindings)

    def attest() -> list[bytes]:
        fresh = [Blinding.random() for _ in range(COLUMNS)]
        return [point_bytes(basis.reblind(c, a, b)) for c, a, b in zip(book, blindings, fresh, strict=True)]

    result |= {
        "commit_256_dense_20_bit_us": micros(lambda: basis.commit(dense, old), 5),
        "commit_8_columns_20_positions_us": micros(lambda: basis.commit_all(sparse, blindings), 5),
        "update_after_trade_us": micros(lambda: basis.update(commitment, 7, -12_345), 100),
        "update_after_trade_63_bit_us": micros(lambda: basis.update(commitment, 7, 2**62 + 1), 100),
        "reblind_us": micros(lambda: basis.reblind(commitment, old, new), 200),
        "attest_8_columns_fresh_and_encoded_us": micros(attest, 30),
        "parse_point_us": micros(lambda: parse_g1(encoded), 100),
    }
    for n in DOMAINS:
        points = list(lagrange_basis(n))
        scalars = [scalar(secrets.randbelow(BLS12_381_FR.modulus)) for _ in range(n)]
        result[f"msm_{n}_us"] = micros(lambda p=points, s=scalars: G1Point.multiexp_unchecked(p, s), 3)  # type: ignore[misc]
    if options.json:
        print(json.dumps(result))
        return 0
    for name, value in result.items():
        print(f"{name:40} {value:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
