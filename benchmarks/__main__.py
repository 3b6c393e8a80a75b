"""Run every benchmark, one after the other, each in a process of its own: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(chosen: list[str]) -> int:
    """Run the benchmarks whose names are given, or all; exit status is the number that failed."""
    here = Path(__file__).parent
    names = [p.stem.removeprefix("bench_") for p in sorted(here.glob("bench_*.py"))]
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        print(f"no benchmark {unknown[0]}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    for name in chosen or names:
        print(f"== {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], cwd=here.parent, check=False).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
