"""`riskproof history correlation`: the documents it writes against float64, and where they are used."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Run, document
from numpy.typing import NDArray

from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.history import History

CLOSES = Path(__file__).resolve().parents[2] / "../shared/market/daily_closes.csv"
MADE = (
    "date,BTC,ETH\n2026-01-01,100,10\n2026-01-02,110,9\n2026-01-03,88,10.8\n2026-01-04,110,10.8\n2026-01-05,110,16.2\n"
)
Float = NDArray[np.float64]


@pytest.fixture
def made(run: Run) -> str:
    """A history of four moves in the folder; its digest."""
    Path("closes.csv").write_text(MADE)
    run("history", "import", "closes", "closes.csv", "--out", "h.json")
    return History.from_bytes(Path("h.json").read_bytes()).digest.hex()


def log_moves(text: str, columns: tuple[str, ...], first: str, last: str) -> Float:
    """Logarithmic moves between two days, from the CSV file itself."""
    header, *lines = (line.split(",") for line in text.splitlines())
    rows = [[float(line[header.index(c)]) for c in columns] for line in lines if first <= line[0] <= last]
    return np.diff(np.log(np.array(rows)), axis=0)


def exponential(x: Float, decay: float) -> Float:
    weights = decay ** np.arange(len(x) - 1, -1, -1.0)
    return np.asarray((x * weights[:, None]).T @ x / weights.sum())


def scatter(x: Float) -> tuple[Float, Float, float]:
    """Moves about their mean, their covariance S, and mu."""
    x = x - x.mean(axis=0)
    s = x.T @ x / len(x)
    return x, s, float(np.trace(s)) / len(s)


def ledoit_wolf(x: Float) -> Float:
    """Ledoit and Wolf (2004), lemma 3.2 to 3.4."""
    x, s, mu = scatter(x)
    target = mu * np.eye(len(s))
    d2 = ((s - target) ** 2).sum()
    b2 = sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / len(x) ** 2
    share = min(b2, d2) / d2
    return np.asarray(share * target + (1 - share) * s)


def oas(x: Float) -> Float:
    """Chen, Wiesel, Eldar and Hero (2010), equation 23, with the term 1 - 2/p left out as scikit-learn does for large p."""
    x, s, mu = scatter(x)
    n, p = x.shape
    alpha = (s**2).mean()
    share = min(1.0, (alpha + mu**2) / ((n + 1) * (alpha - mu**2 / p)))
    return np.asarray(share * mu * np.eye(p) + (1 - share) * s)


def check(written: Correlation, covariance: Float) -> None:
    """The document rounds volatilities and correlations to nine decimals."""
    size = np.sqrt(np.diag(covariance))
    assert np.abs(np.array(written.volatilities) / 1e12 - size).max() <= 0.51e-9
    assert np.abs(np.array(written.matrix) / 1e12 - covariance / np.outer(size, size)).max() <= 0.51e-9


ESTIMATES: dict[str, tuple[tuple[str, ...], Any]] = {
    "exponential": (("--decay", "0.97"), lambda x: exponential(x, 0.97)),
    "ledoit-wolf": ((), ledoit_wolf),
    "oas": ((), oas),
}


@pytest.mark.parametrize("estimator", ESTIMATES)
def test_real_closes_agree_with_float64(run: Run, estimator: str) -> None:
    if not CLOSES.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    columns, days = ("BTC", "ETH", "SOL", "LINK"), ("2023-01-01", "2025-06-30")
    chosen = [x for c in columns for x in ("--underlying", c)]
    run("history", "import", "closes", str(CLOSES), *chosen, "--out", "h.json")
    more, formula = ESTIMATES[estimator]
    window = ("--first", days[0], "--last", days[1])
    result = run(
        "history", "correlation", "h.json", "--estimator", estimator, *more, *window, "--out", "c.json", "--json"
    )
    got = document(result)
    written = Correlation.from_bytes(Path("c.json").read_bytes())
    order = tuple(f.underlying for f in written.factors)
    moves = log_moves(CLOSES.read_text(), order, *days)
    check(written, formula(moves))
    assert sorted(order) == sorted(columns)
    assert (got["moves"], got["first"], got["last"]) == (len(moves), *days)
    assert (got["correlation"], got["correlation_digest"]) == (written.to_document(), written.digest.hex())
    assert got["history_digest"] == History.from_bytes(Path("h.json").read_bytes()).digest.hex()


def test_text_and_provenance(run: Run, made: str) -> None:
    result = run(
        "history", "correlation", "h.json", "--estimator", "exponential", "--decay", "0.940", "--out", "c.json"
    )
    written = Correlation.from_bytes(Path("c.json").read_bytes())
    check(written, exponential(log_moves(MADE, ("BTC", "ETH"), "2026", "2027"), 0.94))
    assert result.stdout == ""
    assert result.stderr == (
        f"c.json: 2 factors, 4 moves from 2026-01-01 to 2026-01-05\ncorrelation {written.digest.hex()}\n"
    )
    days = "one-day moves from 2026-01-01 to 2026-01-05"
    assert (written.name, written.description, written.horizon_days) == (
        "exponential",
        f"exponential, decay 0.94: {days} of the history {made}",
        1,
    )


def test_shrinkage_and_name_are_said(run: Run, made: str) -> None:
    arguments = ("history", "correlation", "h.json", "--estimator", "ledoit-wolf", "--name", "mine", "--out", "c.json")
    share = float(document(run(*arguments, "--json"))["shrinkage"])
    moves = log_moves(MADE, ("BTC", "ETH"), "2026", "2027")
    _, s, _ = scatter(moves)
    assert abs(share - (1 - ledoit_wolf(moves)[0, 1] / s[0, 1])) < 1e-6  # only the diagonal has a target
    assert f", shrunk by {100 * share:.3g}%\n" in run(*arguments).stderr
    assert Correlation.from_bytes(Path("c.json").read_bytes()).name == "mine"


def test_what_is_written_is_a_member_of_models(run: Run, made: str) -> None:
    """Whole and as it is: in a tail model, in the tail block of a risk model, and as a file beside a model."""
    run("history", "correlation", "h.json", "--estimator", "ledoit-wolf", "--last", "2026-01-04", "--out", "c.json")
    correlation = json.loads(Path("c.json").read_text())
    paths = {"id": "paths", "method": "monte_carlo", "correlation": correlation, "seed": "1", "paths": 200}
    paths["antithetic"] = True
    measure = {"kind": "expected_shortfall", "tail": "0.05"}
    common: dict[str, Any] = {"name": "mc", "description": "paths"}
    tail = common | {
        "schema": "riskproof/tail-model/v1",
        "measure": measure,
        "sets": [paths],
        "unshocked": [],
        "constant_volatility": [],
        "time_shift_seconds": 0,
    }
    risk = common | {
        "schema": "riskproof/model/v2",
        "checked": "by hand",
        "grid": {"scenarios": []},
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "rate"},
        "netting": {"sets": "account"},
        "charges": [],
        "tail": {"sets": [paths | {"measure": measure}]},
        "aggregate": {
            "account": {"equity": "value.total", "initial": "maintenance", "maintenance": "joint_tail.paths"}
        },
        "rounding": {"requirement": {"decimals": 6, "direction": "up"}, "value": {"decimals": 6, "direction": "down"}},
        "limits": {"legs": 9, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 60},
    }
    Path("tail.json").write_text(json.dumps(tail))
    Path("risk.json").write_text(json.dumps(risk))
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,2\nETH-PERPETUAL,-10\n")
    run("market", "sample", "--out", "market.json")
    arguments = ("--market", "market.json", "--portfolio", "book.csv")
    shown = document(
        run("tail", *arguments, "--model", "tail.json", "--parametric", "--correlation", "c.json", "--json")
    )
    assert shown["requirement_micros"] > 0
    own, beside = shown["parametric"]
    digest = Correlation.from_bytes(Path("c.json").read_bytes()).digest.hex()
    assert (own["correlation_digest"], beside["correlation_digest"]) == (digest, digest)
    assert own["delta_normal"] == beside["delta_normal"]
    run("models", "check", "risk.json")
    assert run("margin", *arguments, "--model", "risk.json").exit_code == 0


ONE_DAY = "date,BTC,ETH\n2026-01-01,100,10\n2026-01-02,110,9\n"
STILL = "date,BTC,USDT\n2026-01-01,100,1\n2026-01-02,110,1\n2026-01-03,120,1\n"
LW, EWMA = ("--estimator", "ledoit-wolf"), ("--estimator", "exponential")


@pytest.mark.parametrize(
    ("closes", "arguments", "code", "message"),
    [
        (
            MADE,
            (*LW, "--decay", "0.94"),
            "INPUT",
            "--decay: ledoit-wolf weighs every day the same (expected --estimator ex",
        ),
        (MADE, EWMA, "INPUT", "--decay: no decay (expected a decimal above 0, at most 1, such as 0.94)"),
        (MADE, (*EWMA, "--decay", "0"), "MODEL", "--decay: 0 is out of range (expected above 0, at most 1)"),
        (MADE, (*EWMA, "--decay", "1.5"), "MODEL", "--decay: 1.5 is out of range (expected above 0, at most 1)"),
        (MADE, (*EWMA, "--decay", "94%"), "UNIT", "--decay: not a plain decimal number: '94%' (expected digits"),
        (MADE, (*EWMA, "--decay", "0.9400000000001"), "UNIT", "--decay: 0.9400000000001 is finer than the unit 1e-12"),
        (MADE, (*LW, "--first", "1.1.2026"), "HISTORY", "--first: not a day: '1.1.2026' (expected a day such as 2026"),
        (
            MADE,
            (*LW, "--last", "2026-01-06"),
            "HISTORY",
            "h.json: 2026-01-01 to 2026-01-06 is not covered (expected two days or more from 2026-01-01 to 2026-01-05)",
        ),
        (
            MADE,
            (*LW, "--first", "2026-01-04", "--last", "2026-01-02"),
            "HISTORY",
            "h.json: 2026-01-04 to 2026-01-02 is not covered",
        ),
        (ONE_DAY, LW, "HISTORY", "h.json: 1 move (expected two moves or more)"),
        (STILL, LW, "HISTORY", "h.json: price of USDT never moves (expected a factor that moves)"),
        (MADE, (*LW, "--name", ""), "MODEL", "--name: not a printable text (expected 1 to 64 printable characters)"),
        (MADE, (*LW, "--name", "n" * 65), "MODEL", "--name: not a printable text (expected 1 to 64"),
        (MADE, (*LW, "--out", "./h.json"), "INPUT", "--out: h.json is also an input or another output, and would be"),
    ],
)
def test_what_cannot_be_estimated(run: Run, closes: str, arguments: tuple[str, ...], code: str, message: str) -> None:
    Path("closes.csv").write_text(closes)
    run("history", "import", "closes", "closes.csv", "--out", "h.json")
    before = Path("h.json").read_bytes()
    out = () if "--out" in arguments else ("--out", "c.json")
    command = ("history", "correlation", "h.json", *arguments, *out)
    assert f"riskproof: {message}" in run(*command, code=2).stderr
    error = document(run(*command, "--json", code=2))["error"]
    assert error["code"] == code
    assert message.startswith(error["where"])
    assert sorted(p.name for p in Path().iterdir()) == ["closes.csv", "h.json"]
    assert Path("h.json").read_bytes() == before


def test_what_is_no_history_or_no_estimator(run: Run, made: str) -> None:
    command = ("history", "correlation", "none.json", *LW, "--out", "c.json")
    assert "none.json: cannot be read: No such file or directory" in run(*command, code=2).stderr
    Path("none.json").write_text("{}")
    assert "none.json" in run(*command, code=2).stderr
    result = run("history", "correlation", "h.json", "--estimator", "guess", "--out", "c.json", code=2)
    assert "'guess' is not one of 'exponential', 'ledoit-wolf', 'oas'" in result.stderr
    assert not Path("c.json").exists()


def test_without_the_library_the_extra_is_named(run: Run, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.covariance", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    command = ("history", "correlation", "h.json", "--out", "c.json")
    said = "riskproof: --estimator: scikit-learn is not installed (expected pip install 'riskproof[estimators]')"
    assert said in run(*command, *LW, code=2).stderr
    assert not Path("c.json").exists()
    run(*command, *EWMA, "--decay", "0.94")
    assert math.isclose(Correlation.from_bytes(Path("c.json").read_bytes()).matrix[0][0], 10**12)
