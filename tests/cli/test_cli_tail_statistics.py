"""`riskproof tail --parametric` and `--backtest`: the numbers against float64, and what is refused."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Run, document
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from riskproof.market.marketfile import Market
from riskproof.risk.tail.history import History

CLOSES = Path(__file__).resolve().parents[2] / "../shared/market/daily_closes.csv"
HELD = {"BTC": 2.0, "ETH": -10.0}
TAIL = 0.025
ARGUMENTS = ("tail", "--market", "market.json", "--portfolio", "book.csv", "--model", "tail.json", "--worst", "0")
Float = NDArray[np.float64]


@pytest.fixture
def market(run: Run) -> Market:
    """The sample market and a book of coins in the folder."""
    run("market", "sample", "--out", "market.json")
    book("BTC,2", "ETH,-10")
    return Market.from_bytes(Path("market.json").read_bytes())


def book(*rows: str) -> None:
    Path("book.csv").write_text("\n".join(["instrument,quantity", *rows, ""]))


def import_history(run: Run, path: Path, *options: str) -> History:
    run("history", "import", "closes", str(path), *options, "--out", "h.json")
    return History.from_bytes(Path("h.json").read_bytes())


def made_history(run: Run, days: int = 200) -> History:
    """Closes of both coins with moves of 3 and 4 %, and now and then a wild one."""
    rng = np.random.default_rng(11)
    moves = rng.standard_t(4, (days, 2)) @ np.array([[0.02, 0.018], [0.0, 0.015]])
    prices = np.array([90_000, 3_000]) * np.exp(moves.cumsum(axis=0))
    start = np.datetime64("2025-01-01")
    rows = [f"{start + n},{a:.2f},{b:.2f}" for n, (a, b) in enumerate(prices)]
    Path("closes.csv").write_text("\n".join(["date,BTC,ETH", *rows, ""]))
    return import_history(run, Path("closes.csv"))


def historical(history: History, moves: int, **members: Any) -> dict[str, Any]:
    return {
        "id": "days",
        "method": "historical",
        "history": history.digest.hex(),
        "first": history.day(len(history) - 1 - moves).isoformat(),
        "last": history.end.isoformat(),
        "horizon_days": 1,
        "weight_decay": "1",
    } | members


def filtered(history: History, moves: int, seed_days: int, **members: Any) -> dict[str, Any]:
    found = historical(history, moves + seed_days, method="filtered", decay="0.94", seed_days=seed_days)
    del found["horizon_days"]
    return found | {"id": "now"} | members


def paths(correlation: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "id": "paths",
        "method": "monte_carlo",
        "correlation": correlation,
        "seed": "1",
        "paths": 1_000,
        "antithetic": True,
    } | members


def correlated(rho: str = "0.8", **members: Any) -> dict[str, Any]:
    return {
        "schema": "riskproof/correlation/v1",
        "name": "made",
        "description": "two coins",
        "factors": [{"underlying": u, "tenor_days": 0} for u in ("BTC", "ETH")],
        "volatilities": ["0.03", "0.04"],
        "correlations": [[rho]],
        "horizon_days": 1,
    } | members


def write(*sets: dict[str, Any], **members: Any) -> None:
    model = {
        "schema": "riskproof/tail-model/v1",
        "name": "checked",
        "description": "what is checked",
        "measure": {"kind": "expected_shortfall", "tail": str(TAIL)},
        "sets": list(sets),
        "unshocked": [],
        "constant_volatility": [],
        "time_shift_seconds": 0,
    }
    Path("tail.json").write_text(json.dumps(model | members))


# Parametric


def float_parametric(market: Market, rho: float) -> tuple[float, float, float]:
    """Delta-normal VaR and ES and Cornish-Fisher VaR of the two coins, from P&L = quantity x price x (e^x - 1) alone."""
    h, size = 0.01, np.array([0.03, 0.04])
    worth = np.array([HELD[u] * market.snapshot.index_price[u] / 1e9 for u in HELD])
    delta, gamma = worth * math.sinh(h) / h, np.diag(worth * (2 * math.cosh(h) - 2) / h**2)
    c = np.outer(size, size) * np.array([[1, rho], [rho, 1]])
    sigma, g = math.sqrt(delta @ c @ delta), gamma @ c
    mean, k2 = np.trace(g) / 2, delta @ c @ delta + np.trace(g @ g) / 2
    k3 = 3 * delta @ c @ gamma @ c @ delta + np.trace(g @ g @ g)
    k4 = 12 * delta @ c @ gamma @ c @ gamma @ c @ delta + 3 * np.trace(g @ g @ g @ g)
    s, k, z = k3 / k2**1.5, k4 / k2**2, float(norm.ppf(TAIL))
    w = z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s * s / 36
    return -z * sigma, float(norm.pdf(z)) / TAIL * sigma, float(-(mean + w * math.sqrt(k2)))


def near(micros: int, amount: float) -> bool:
    return abs(micros / 1e6 - amount) <= 1e-8 * abs(amount) + 2e-6


def test_parametric_numbers_agree_with_float64(run: Run, market: Market) -> None:
    Path("other.json").write_text(json.dumps(correlated("0.5", name="other"), indent=1))
    wide = paths(correlated(), id="wide", interval={"floor": "-0.4", "ceiling": "0.8", "points": 4})
    write(paths(correlated()), wide)
    got = document(run(*ARGUMENTS, "--parametric", "--correlation", "other.json", "--json"))["parametric"]
    assert [(x["set"], x["correlation"], x["horizon_days"]) for x in got] == [
        ("paths", "made", 1),
        ("wide", "made", 1),
        (None, "other", 1),
    ]
    for numbers, rho in zip(got, (0.8, -0.4, 0.5), strict=True):  # long one coin, short the other: the floor is worst
        var, shortfall, bent = float_parametric(market, rho)
        assert near(numbers["delta_normal"]["value_at_risk_micros"], var)
        assert near(numbers["delta_normal"]["expected_shortfall_micros"], shortfall)
        assert near(numbers["delta_gamma"]["value_at_risk_micros"], bent)
        assert list(numbers["delta_gamma"]) == ["value_at_risk_micros"]
    assert got[0]["correlation_digest"] == got[1]["correlation_digest"] != got[2]["correlation_digest"]


def test_parametric_numbers_stand_beside_the_simulated_ones(run: Run, market: Market) -> None:
    """The book is nearly linear: 20,000 paths come as near as their number allows."""
    write(paths(correlated(), paths=20_000))
    got = document(run(*ARGUMENTS, "--parametric", "--json"))
    (simulated,), (numbers,) = got["sets"], got["parametric"]
    ratio = numbers["delta_gamma"]["value_at_risk_micros"] / simulated["value_at_risk_micros"]
    assert abs(ratio - 1) < 0.03
    text = run(*ARGUMENTS, "--parametric").stdout
    header, _, row = text[text.index("  parametric") :].splitlines()
    assert header.split()[:3] == ["parametric", "correlation", "days"]
    assert row.split()[:3] == ["paths", "made", "1"]
    var = float(row.split()[3].replace(",", ""))
    assert abs(var - numbers["delta_normal"]["value_at_risk_micros"] / 1e6) < 1e-6
    plain = document(run(*ARGUMENTS, "--json"))
    assert plain == {k: v for k, v in got.items() if k != "parametric"}


def test_real_closes_from_estimate_to_parametric_numbers(run: Run, market: Market) -> None:
    if not CLOSES.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    history = import_history(run, CLOSES, "--underlying", "BTC", "--underlying", "ETH", "--first", "2024-01-01")
    run("history", "correlation", "h.json", "--estimator", "exponential", "--decay", "0.97", "--out", "c.json")
    write(historical(history, 250))
    arguments = (*ARGUMENTS, "--history", "h.json", "--parametric", "--correlation", "c.json")
    (numbers,) = document(run(*arguments, "--json"))["parametric"]
    x = np.diff(np.log(history.levels.astype(float)), axis=0)
    weights = 0.97 ** np.arange(len(x) - 1, -1, -1.0)
    c = (x * weights[:, None]).T @ x / weights.sum()
    worth = np.array([HELD[u] * market.snapshot.index_price[u] / 1e9 for u in HELD]) * math.sinh(0.01) / 0.01
    sigma = math.sqrt(worth @ c @ worth)
    got = numbers["delta_normal"]["value_at_risk_micros"] / 1e6
    assert abs(got / (-float(norm.ppf(TAIL)) * sigma) - 1) < 1e-7  # the document has nine decimals
    assert numbers["set"] is None


def test_much_gamma_has_a_delta_normal_number_and_a_reason(run: Run, market: Market) -> None:
    """A short straddle a day from its expiry is no quadratic that an expansion describes."""
    expiry = min(x.expiry for x in market.registry.instruments if x.expiry and x.underlying == "BTC")
    price = market.snapshot.index_price["BTC"]
    near_ = [x for x in market.registry.instruments if x.expiry == expiry and x.underlying == "BTC" and x.strike]
    strike = min((x.strike for x in near_ if x.strike), key=lambda k: abs(k - price))
    book(*(f"{x.name},-5" for x in near_ if x.strike == strike))
    write(paths(correlated()), constant_volatility=["BTC", "ETH"])
    (numbers,) = document(run(*ARGUMENTS, "--parametric", "--json"))["parametric"]
    assert numbers["delta_normal"]["value_at_risk_micros"] >= 0
    refused = numbers["delta_gamma"]
    assert refused["value_at_risk_micros"] is None
    assert (refused["refused"]["code"], refused["refused"]["where"]) == ("MODEL", "delta_gamma")
    text = run(*ARGUMENTS, "--parametric").stdout
    *_, row, note = text.splitlines()
    assert row.split()[-1] == "-"
    assert note.startswith("  paths: delta_gamma: the Cornish-Fisher expansion is no quantile at a skewness of -")


def test_where_there_are_no_parametric_numbers(run: Run, market: Market) -> None:
    history = made_history(run)
    write(historical(history, 50))
    arguments = (*ARGUMENTS, "--history", "h.json", "--parametric")
    said = "riskproof: tail.json.sets: parametric numbers need a correlation (expected a monte_carlo set, or --correlation)"
    assert said in run(*arguments, code=2).stderr
    assert document(run(*arguments, "--json", code=2))["error"]["where"] == "tail.json.sets"
    only = correlated(factors=[{"underlying": "BTC", "tenor_days": 0}], volatilities=["0.03"], correlations=[])
    Path("c.json").write_text(json.dumps(only))
    said = "riskproof: c.json: ETH: no move of the price of ETH (expected a factor in the moves, or"
    assert said in run(*arguments, "--correlation", "c.json", code=2).stderr
    Path("c.json").write_text(json.dumps(correlated("1.5")))
    said = "riskproof: c.json.correlations[0][0]: 1.5 is out of range (expected -1 to 1)"
    assert said in run(*arguments, "--correlation", "c.json", code=2).stderr
    said = "riskproof: c.json: cannot be read: "
    Path("c.json").unlink()
    assert said in run(*arguments, "--correlation", "c.json", code=2).stderr
    write(paths(correlated()), measure={"kind": "worst_loss"})
    assert "riskproof: tail.json.measure.kind: worst_loss has no tail" in run(*ARGUMENTS, "--parametric", code=2).stderr
    write(paths(correlated()), measure={"kind": "expected_shortfall", "tail": "0.5"})
    said = "riskproof: tail.json.measure.tail: 0.5 is out of range (expected above 0, below 0.5)"
    assert said in run(*ARGUMENTS, "--parametric", code=2).stderr


# Backtests


def pnl_of(market: Market, ratios: Float) -> Float:
    worth = np.array([HELD[u] * market.snapshot.index_price[u] / 1e9 for u in HELD])
    return np.asarray((ratios - 1) @ worth)


def quantile(pnl: Float, weights: Float) -> float:
    """The least loss with at most TAIL of the weight strictly above it."""
    order = np.argsort(pnl)  # the greatest loss first
    above = np.concatenate([[0.0], np.cumsum(weights[order])[:-1]]) / weights.sum()
    return float((-pnl[order])[above <= TAIL + 1e-12].min())


def float_backtest(market: Market, levels: Float, window: int, decay: float = 1.0) -> tuple[Float, Float]:
    """Forecasts by plain historical simulation from the `window` moves before each day, and what happened."""
    pnl = pnl_of(market, levels[1:] / levels[:-1])
    weights = decay ** np.arange(window - 1, -1, -1.0)
    return np.array([quantile(pnl[t - window : t], weights) for t in range(window, len(pnl))]), pnl[window:]


def float_filtered(market: Market, levels: Float, window: int, seed: int) -> tuple[Float, Float]:
    pnl, logs = pnl_of(market, levels[1:] / levels[:-1]), np.diff(np.log(levels), axis=0)
    forecasts = []
    for t in range(seed + window, len(logs)):
        x = logs[t - seed - window : t]
        v = [(x[:seed] ** 2).mean(axis=0)]
        for move in x[seed:]:
            v.append(0.94 * v[-1] + 0.06 * move**2)
        scaled = x[seed:] * np.sqrt(v[-1] / np.array(v[:-1]))
        forecasts.append(quantile(pnl_of(market, np.exp(scaled)), np.ones(window)))
    return np.array(forecasts), pnl[seed + window :]


def check_coverage(got: dict[str, Any], forecasts: Float, pnl: Float) -> None:
    """Counts, statistics from their likelihoods, p-values from the library's chi-square."""
    hits = (-pnl > forecasts).astype(int)
    n, x = len(hits), int(hits.sum())
    assert x > 0
    assert (got["observations"], got["violations"], got["tail"]) == (n, x, str(TAIL))
    counts = np.zeros((2, 2))
    for a, b in pairwise(hits):
        counts[a, b] += 1
    assert got["transitions"] == counts.astype(int).tolist()

    def log_likelihood(misses: float, found: float, p: float) -> float:
        return (misses * math.log(1 - p) if misses else 0.0) + (found * math.log(p) if found else 0.0)

    kupiec = 2 * (log_likelihood(n - x, x, x / n) - log_likelihood(n - x, x, TAIL))
    free = sum(log_likelihood(a, b, b / (a + b)) for a, b in counts if a + b)
    pooled = log_likelihood(*counts.sum(axis=0), counts[:, 1].sum() / (n - 1))
    independence = 2 * (free - pooled)
    for name, statistic, degrees in (
        ("unconditional", kupiec, 1),
        ("independence", independence, 1),
        ("conditional", kupiec + independence, 2),
    ):
        assert abs(float(got[name]["statistic"]) - statistic) <= 1e-6
        assert abs(float(got[name]["p_value"]) - float(chi2.sf(statistic, degrees))) <= 1e-6
    days = [t for t in range(n) if hits[t]]
    for exception, t in zip(got["exceptions"], days, strict=True):
        assert near(exception["value_at_risk_micros"], forecasts[t])
        assert near(exception["pnl_micros"], pnl[t])


def test_backtests_agree_with_float64(run: Run, market: Market) -> None:
    history = made_history(run)
    aged = historical(history, 80, id="aged", weight_decay="0.99")
    write(historical(history, 80), aged, filtered(history, 60, 20), paths(correlated()))
    got = document(run(*ARGUMENTS, "--history", "h.json", "--backtest", "--json"))["backtests"]
    levels = history.levels / 1e9
    check_coverage(got[0], *float_backtest(market, levels, 80))
    check_coverage(got[1], *float_backtest(market, levels, 80, 0.99))
    check_coverage(got[2], *float_filtered(market, levels, 60, 20))
    assert [(x["id"], x["method"]) for x in got[:3]] == [
        ("days", "historical"),
        ("aged", "historical"),
        ("now", "filtered"),
    ]
    assert {(x["first"], x["last"]) for x in got[:3]} == {(history.day(81).isoformat(), history.end.isoformat())}
    assert got[3] == {
        "id": "paths",
        "method": "monte_carlo",
        "refused": {
            "code": "MODEL",
            "what": "monte_carlo moves are not of a history",
            "where": "sets[3]",
            "expected": "historical or filtered moves",
        },
    }


def test_real_closes_are_backtested_as_float64_does(run: Run, market: Market) -> None:
    if not CLOSES.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    history = import_history(run, CLOSES, "--underlying", "BTC", "--underlying", "ETH")
    write(historical(history, 500))
    (got,) = document(run(*ARGUMENTS, "--history", "h.json", "--backtest", "--json"))["backtests"]
    forecasts, pnl = float_backtest(market, history.levels / 1e9, 500)
    assert len(pnl) == len(history) - 501
    check_coverage(got, forecasts, pnl)


def test_another_window(run: Run, market: Market) -> None:
    """A set as long as its history leaves no day to test; a shorter window does."""
    history = made_history(run)
    write(historical(history, len(history) - 1))
    arguments = (*ARGUMENTS, "--history", "h.json", "--backtest")
    said = "riskproof: tail.json.sets[0]: history h.json: 0 days after the first window (expected two or more: a longer history"
    assert said in run(*arguments, code=2).stderr
    assert document(run(*arguments, "--json", code=2))["error"]["code"] == "HISTORY"
    (got,) = document(run(*arguments, "--window", "100", "--json"))["backtests"]
    check_coverage(got, *float_backtest(market, history.levels / 1e9, 100))
    said = "riskproof: tail.json.sets[0]: window: a tail of 0.025 of 39 moves holds less than one (expected a longer window or"
    assert said in run(*arguments, "--window", "39", code=2).stderr
    assert "'--window'" in run(*arguments, "--window", "0", code=2).stderr


def test_the_table_of_backtests_and_why_some_are_missing(run: Run, market: Market) -> None:
    history = made_history(run)
    stressed = historical(history, 90, id="crash", last=history.day(150).isoformat())
    weeks = historical(history, 90, id="weeks", horizon_days=7)
    write(weeks, historical(history, 100), stressed)
    arguments = (*ARGUMENTS, "--history", "h.json", "--backtest")
    (got,) = [x for x in document(run(*arguments, "--json"))["backtests"] if "refused" not in x]
    text = run(*arguments).stdout
    header, _, row, *notes = text[text.index("  backtest") :].splitlines()
    said = "backtest from to days tail exceptions expected Kupiec p independence p conditional p"
    assert " ".join(header.split()) == said
    tests = [got[x] for x in ("unconditional", "independence", "conditional")]
    numbers = [f"{float(x[member]):.3f}" for x in tests for member in ("statistic", "p_value")]
    first = history.day(101).isoformat()
    counts = ["99", "2.5%", str(got["violations"]), "2.5"]
    assert row.split() == ["days", first, history.end.isoformat(), *counts, *numbers]
    ends = f"ends on {history.day(150)}, its history on {history.end}"
    expected = f"{history.end}, or a history that ends with the set"
    assert notes == [
        "  weeks: sets[0].horizon_days: moves over 7 days overlap, and the tests need days that do not (expected 1)",
        f"  crash: sets[2].last: {ends}: a stressed set, which forecasts no day (expected {expected})",
    ]


def test_nothing_to_backtest_is_an_error(run: Run, market: Market) -> None:
    write(paths(correlated()))
    result = run(*ARGUMENTS, "--backtest", code=2)
    assert result.stdout == ""
    said = (
        "riskproof: tail.json.sets[0]: monte_carlo moves are not of a history (expected historical or filtered moves)"
    )
    assert said in result.stderr
    history = made_history(run)
    write(historical(history, 100), measure={"kind": "worst_loss"})
    result = run(*ARGUMENTS, "--history", "h.json", "--backtest", code=2)
    assert "riskproof: tail.json.measure.kind: worst_loss has no tail (expected expected_shortfall or" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "needs"), [("--correlation", "c.json", "--parametric"), ("--window", "9", "--backtest")]
)
def test_options_that_do_nothing_alone_are_refused(run: Run, option: str, value: str, needs: str) -> None:
    said = f"riskproof: {option}: given without {needs} (expected {needs})"
    assert said in run(*ARGUMENTS, option, value, code=2).stderr
