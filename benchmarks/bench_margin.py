"""Margin of a 200-leg book: whole commands, and what-if of one trade in process, for every model that ships.

    riskproof margin, whatif, report      a process of its own, warm cache         against   Python that imports numba
    what-if of one trade                  in process                               against   evaluating the traded book anew

Of each the fastest run counts, commands in turn with their reference.
Uses the real crash-day chain of ../shared/market if it is there (1,858 instruments), else the generated market (835).
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from riskproof.market.importers.deribit import import_files
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind
from riskproof.market.sample import sample_market
from riskproof.risk import margining
from riskproof.risk.whatif import attribute, open_book
from riskproof.risk.whatif.book import traded

SHARED = Path(__file__).resolve().parents[2] / "shared" / "market"
FILES = ("deribit_options_20260205T212937Z.csv", "deribit_futures_perp.csv")
LEGS, TRADES, RUNS = 200, 60, 5


def market() -> Market:
    if not SHARED.exists():
        return sample_market()
    return import_files([(name, (SHARED / name).read_bytes()) for name in FILES])


def legs(given: Market, underlyings: set[str]) -> list[int]:
    rows = enumerate(zip(given.registry.instruments, given.snapshot.quotes, strict=True))
    return [i for i, (x, q) in rows if x.kind is not Kind.SPOT and x.underlying in underlyings and q is not None]


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def commands(given: Market, book: Portfolio) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("market.json", "book.csv", "report.html")]
        Path(files[0]).write_bytes(given.to_bytes())
        Path(files[1]).write_text(book.to_csv(given.registry))
        riskproof = (sys.executable, "-m", "riskproof.cli")
        inputs = ("--market", files[0], "--portfolio", files[1])
        name = given.registry.instruments[book.positions[0][0]].name
        lines = {
            "import numba": (sys.executable, "-c", "import numba"),
            "margin, crypto-pm": (*riskproof, "margin", *inputs),
            "margin, cross": (*riskproof, "margin", *inputs, "--model", "cross"),
            "whatif, crypto-pm": (*riskproof, "whatif", *inputs, "--trade", f"{name}=1"),
            "whatif, span16": (*riskproof, "whatif", *inputs, "--trade", f"{name}=1", "--model", "span16"),
            "report, joint-es": (*riskproof, "report", *inputs, "--out", files[2], "--model", "joint-es"),
            "report, crypto-pm": (*riskproof, "report", *inputs, "--out", files[2]),
        }
        for line in lines.values():
            seconds(*line)
        runs = [{label: seconds(*line) for label, line in lines.items()} for _ in range(RUNS)]
        fastest = {label: min(run[label] for run in runs) for label in lines}
        for label, mine in fastest.items():
            print(f"{label:<18} {mine:6.3f} s   {mine / fastest['import numba']:5.2f}x Python + numba")
        print(f"report.html                    {Path(files[2]).stat().st_size / 1e6:6.2f} MB")


def what_if(given: Market, name: str, r: random.Random) -> None:
    model = margining.load(name)
    if isinstance(model, margining.MarginModel):
        model = replace(model, limits=replace(model.limits, legs=1_000, expiries=100))
    many = isinstance(model, margining.MarginModel) and model.limits.underlyings == 1
    choice = legs(given, {"BTC"} if many else {"BTC", "ETH"})
    book = Portfolio.build([(i, r.choice([-1, 1]) * r.randint(100, 5_000)) for i in r.sample(choice, LEGS)])
    start = time.perf_counter()
    opened = open_book(model, given, book)
    first = time.perf_counter() - start
    mine, anew = [], []
    for index in r.sample(choice, TRADES):
        trade = {index: r.choice([-1, 1]) * r.randint(100, 5_000)}
        opened.after(trade)  # the traded instrument is priced here
        mine.append(min(timed(lambda trade=trade: opened.after(trade)) for _ in range(3)))  # type: ignore[misc]
    for index in r.sample(choice, 3):
        changed = traded(book, {index: 1_000})
        anew.append(timed(lambda changed=changed: margining.margin(model, given, changed)))  # type: ignore[misc]
    start = time.perf_counter()
    attribute(opened)
    shares = time.perf_counter() - start
    a, b = statistics.median(mine), statistics.median(anew)
    print(
        f"{name:<14} what-if {a * 1e3:6.2f} ms (slowest {max(mine) * 1e3:6.2f})   anew {b * 1e3:7.1f} ms, {b / a:5.0f}x   "
        f"open {first * 1e3:6.0f} ms   attribution {shares * 1e3:6.0f} ms"
    )


def main() -> None:
    r = random.Random(1)
    given = market()
    book = Portfolio.build(
        [(i, r.choice([-1, 1]) * r.randint(100, 5_000)) for i in r.sample(legs(given, {"BTC", "ETH"}), LEGS)]
    )
    commands(given, book)
    for name in margining.names():
        what_if(given, name, r)


if __name__ == "__main__":
    main()
