"""Whole commands, each in a process of its own: seconds, and the ratio to the same interpreter importing what it must.

    riskproof verify (signature)      against   Python that imports cryptography and checks one Ed25519 signature
    riskproof array (warm cache)      against   Python that imports numba
    riskproof array (first run)       the compiled kernels' cache is empty

Uses the real crash-day chain of ../shared/market if it is there (1,858 instruments), else the generated market (835).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "market"
RUNS = 7
SIGNATURE = """
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.generate()
key.public_key().verify(key.sign(b"x"), b"x")
"""


def seconds(*arguments: str, environment: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def paired(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[float, float, float]:
    """Median seconds of a and of b, and the median of the ratios of neighbouring runs."""
    seconds(*a), seconds(*b)
    pairs = [(seconds(*a), seconds(*b)) for _ in range(RUNS)]
    return (
        statistics.median(x for x, _ in pairs),
        statistics.median(y for _, y in pairs),
        statistics.median(x / y for x, y in pairs),
    )


def main() -> None:
    command = (sys.executable, "-m", "riskproof.cli")
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: str(Path(folder) / name)  # noqa: E731
        seconds(*command, "market", "sample", "--out", at("s.json"), "--book", f"market-maker-a={at('book.csv')}")
        seconds(*command, "keys", "new", "--out", at("key"))
        keys = subprocess.run((*command, "keys", "public", at("key")), check=True, capture_output=True).stdout
        Path(at("keys.json")).write_bytes(keys)
        files = ("--portfolio", at("book.csv"), "--key", at("key"), "--out", at("a.json"), "--opening", at("o.json"))
        seconds(*command, "attest", "--market", at("s.json"), "--account", "a", *files)
        market = at("s.json")
        if SHARED.exists():
            market = at("real.json")
            chain = [str(SHARED / n) for n in ("deribit_options_20260205T212937Z.csv", "deribit_futures_perp.csv")]
            seconds(*command, "market", "import", "deribit", *chain, "--out", market)
            Path(at("book.csv")).write_text("instrument,quantity\nBTC,10\nBTC-PERPETUAL,-5000\n")

        verify = (*command, "verify", at("a.json"), "--keys", at("keys.json"))
        mine, other, ratio = paired(verify, (sys.executable, "-c", SIGNATURE))
        print(f"verify, cold process          {mine:6.3f} s   {ratio:5.2f}x Python + cryptography ({other:.3f} s)")
        array = (*command, "array", "--market", market, "--portfolio", at("book.csv"), "--json")
        mine, other, ratio = paired(array, (sys.executable, "-c", "import numba"))
        print(f"array, warm cache             {mine:6.3f} s   {ratio:5.2f}x Python + numba ({other:.3f} s)")
        first = seconds(*array, environment={**os.environ, "NUMBA_CACHE_DIR": at("cache")})
        print(f"array, first run (compiles)   {first:6.3f} s   {first / other:5.2f}x Python + numba")


if __name__ == "__main__":
    main()
