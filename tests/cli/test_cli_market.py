"""Market, price and array commands: what they print, what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import Run, document

from riskproof.cli import COMMANDS

SHARED = Path(__file__).resolve().parents[3] / "shared" / "market"


def test_help_names_every_command(run: Run) -> None:
    text = run("--help").stdout
    assert all(name in text for name in COMMANDS)
    for name in COMMANDS:
        assert run(name, "--help").stdout.startswith("Usage: ")


def test_sample_is_the_same_bytes_every_time(run: Run) -> None:
    run("market", "sample", "--out", "a.json")
    run("market", "sample", "--out", "b.json")
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()


def test_array_prints_what_the_contract_says(run: Run) -> None:
    run("market", "sample", "--out", "market.json", "--book", "market-maker-a=book.csv")
    got = document(run("array", "--market", "market.json", "--portfolio", "book.csv", "--json"))
    for member in ("registry_digest", "snapshot_digest", "model_digest", "array_digest"):
        assert len(bytes.fromhex(got[member])) == 32
    assert isinstance(got["kernel"], str)
    assert isinstance(got["value_micros"], int)
    assert {"id", "price_shock", "vol_shock", "time_shift_seconds", "pnl_micros"} <= set(got["scenarios"][0])
    worst = min(got["scenarios"], key=lambda s: s["pnl_micros"])
    assert got["worst"] == {"id": worst["id"], "pnl_micros": worst["pnl_micros"]}
    assert got["initial_margin_micros"] >= got["maintenance_margin_micros"] >= -worst["pnl_micros"] > 0
    assert got["greeks"]
    text = run("array", "--market", "market.json", "--portfolio", "book.csv").stdout
    assert [line.split()[1] for line in text.splitlines() if line.startswith("> ")] == [worst["id"]]


def test_price_prints_marks_beside_values(run: Run) -> None:
    run("market", "sample", "--out", "market.json")
    rows = document(run("price", "--market", "market.json", "--json"))["instruments"]
    options = [r for r in rows if r.get("mark_micros") is not None and r["kind"] == "option"]
    assert len(options) >= 600
    assert all(abs(r["mark_micros"] - r["value_micros"]) <= 1_000 for r in options)
    assert {"delta", "gamma", "vega", "theta", "rho"} <= set(options[0]["greeks"])


def test_check_json(run: Run) -> None:
    run("market", "sample", "--out", "market.json")
    assert document(run("market", "check", "market.json", "--json"))


@pytest.mark.parametrize(
    ("book", "code", "part"),
    [
        (b"instrument,quantity\nNOPE,1\n", "UNKNOWN_INSTRUMENT", "no instrument 'NOPE'"),
        (b"instrument,quantity\nBTC,0.0001\n", "PORTFOLIO", "not a whole number of lots"),
        (b"instrument,quantity\nBTC,1\nBTC,2\n", "PORTFOLIO", "the instrument of line 2 again"),
        (b"instrument,quantity\nBTC,NaN\n", "UNIT", "not a plain decimal"),
        (b"instrument,quantity\nBTC,1e3\n", "UNIT", "not a plain decimal"),
        (b"instrument;quantity\n", "ENCODING", "wrong header"),
        (b"instrument,quantity\n" + b"BTC,1\n" * 10**6, "PORTFOLIO", "more bytes than a book"),
    ],
)
def test_a_bad_book_is_refused(run: Run, book: bytes, code: str, part: str) -> None:
    run("market", "sample", "--out", "market.json")
    Path("book.csv").write_bytes(book)
    error = document(run("array", "--market", "market.json", "--portfolio", "book.csv", "--json", code=2))["error"]
    assert error["code"] == code
    assert part in error["what"]
    text = run("array", "--market", "market.json", "--portfolio", "book.csv", code=2)
    assert part in text.stderr
    assert text.stdout == ""


def test_a_market_file_that_is_not_canonical_is_refused(run: Run) -> None:
    run("market", "sample", "--out", "market.json")
    good = Path("market.json").read_bytes()
    Path("truncated.json").write_bytes(good[:-7])
    Path("spaced.json").write_bytes(json.dumps(json.loads(good)).encode())
    assert "not JSON" in run("price", "--market", "truncated.json", code=2).stderr
    assert "not canonical JSON" in run("price", "--market", "spaced.json", code=2).stderr
    assert "cannot be read" in run("price", "--market", "absent.json", code=2).stderr


def test_nothing_is_left_when_writing_fails(run: Run) -> None:
    result = run("market", "sample", "--out", "no/such/folder/market.json", code=2)
    assert "cannot be written" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("books", "option"),
    [(("market-maker-a=market.json",), "--book 1"), (("market-maker-a=a.csv", "market-maker-b=./a.csv"), "--book 2")],
)
def test_a_sample_never_replaces_its_own_files(run: Run, books: tuple[str, ...], option: str) -> None:
    words = [word for book in books for word in ("--book", book)]
    result = run("market", "sample", "--out", "market.json", *words, code=2)
    assert result.stderr.startswith(f"riskproof: {option}: ")
    assert "is also an input or another output" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("target", ["chain.csv", "./before.json"])
def test_an_import_never_replaces_what_it_reads(run: Run, target: str) -> None:
    for name in ("chain.csv", "before.json"):
        Path(name).write_text(name)
    words = ("chain.csv", "--registry", "before.json", "--out", target)
    result = run("market", "import", "deribit", *words, code=2)
    assert "is also an input or another output" in result.stderr
    assert {p.name: p.read_text() for p in Path().iterdir()} == {n: n for n in ("chain.csv", "before.json")}


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/market")
def test_importing_twice_and_a_later_chain_never_move_an_index(run: Run) -> None:
    futures = str(SHARED / "deribit_futures_perp.csv")
    calm, crash = (str(SHARED / f"deribit_options_{t}.csv") for t in ("20260114T092233Z", "20260205T212937Z"))
    run("market", "import", "deribit", calm, futures, "--out", "one.json")
    run("market", "import", "deribit", calm, futures, "--out", "two.json", "--registry", "one.json")
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    run("market", "import", "deribit", crash, futures, "--out", "later.json", "--registry", "one.json")
    first, later = (json.loads(Path(p).read_bytes())["registry"]["instruments"] for p in ("one.json", "later.json"))
    assert later[: len(first)] == first
    assert len(later) > len(first)


def test_the_command_line_starts_without_numpy() -> None:
    code = (
        "import sys; from riskproof.cli import main; print([m for m in ('numpy', 'numba', 'grpc') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
