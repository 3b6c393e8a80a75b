"""Estimated covariances against their formulas written out, and the documents that are made of them."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from tail_support import FACTORS, SHARED, made_history

from riskproof.errors import ConfigError, HistoryError, ModelError
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.estimators import Covariance, exponential_covariance, shrunk_covariance
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.history_csv import import_closes
from riskproof.risk.tail.linear import is_positive_semidefinite
from riskproof.units import RATIO_ONE

ONE = RATIO_ONE
UNIT = 1_000  # 1e-9, what documents are rounded to, in 1e-12
PRICES = (Factor("BTC"), Factor("ETH"), Factor("SOL"))
Matrix = list[list[float]]


# The formulas, in plain Python


def returns(history: History) -> Matrix:
    return [[math.log(b / a) for a, b in zip(p, q, strict=True)] for p, q in pairwise(history.levels.tolist())]


def risk_metrics(x: Matrix, decay: float) -> Matrix:
    """The RiskMetrics technical document (1996), 5.2: the mean is zero, a day weighs decay^age, the weights sum to one."""
    n, p = len(x), len(x[0])
    weights = [decay ** (n - 1 - t) for t in range(n)]
    total = math.fsum(weights)
    return [
        [math.fsum(w * row[f] * row[g] for w, row in zip(weights, x, strict=True)) / total for g in range(p)]
        for f in range(p)
    ]


def centred(x: Matrix) -> tuple[Matrix, Matrix]:
    """Moves about their mean, and their covariance S."""
    n, p = len(x), len(x[0])
    mean = [math.fsum(row[f] for row in x) / n for f in range(p)]
    x = [[row[f] - mean[f] for f in range(p)] for row in x]
    return x, [[math.fsum(row[f] * row[g] for row in x) / n for g in range(p)] for f in range(p)]


def frobenius(a: Matrix, b: Matrix) -> float:
    """|A - B|^2, the Frobenius norm divided by the dimension: the norm of Ledoit and Wolf (2004)."""
    return math.fsum((a[f][g] - b[f][g]) ** 2 for f in range(len(a)) for g in range(len(a))) / len(a)


def shrunk(s: Matrix, share: float, mu: float) -> Matrix:
    return [
        [(1 - share) * entry + (share * mu if f == g else 0) for g, entry in enumerate(row)] for f, row in enumerate(s)
    ]


def ledoit_wolf(x: Matrix) -> tuple[Matrix, float]:
    """Ledoit and Wolf (2004), 3.2: m, d^2, b^2 by their definitions, S* = b^2/d^2 m I + a^2/d^2 S."""
    n, p = len(x), len(x[0])
    x, s = centred(x)
    m = math.fsum(s[f][f] for f in range(p)) / p
    d2 = frobenius(s, [[m if f == g else 0.0 for g in range(p)] for f in range(p)])
    outer = math.fsum(frobenius([[a * b for b in row] for a in row], s) for row in x)
    b2 = min(outer / n**2, d2)
    return shrunk(s, b2 / d2, m), b2 / d2


def oas(x: Matrix) -> tuple[Matrix, float]:
    """Chen, Wiesel, Eldar and Hero (2010), equation 23, without its terms 2/p, as scikit-learn documents its own."""
    n, p = len(x), len(x[0])
    _, s = centred(x)
    squared = math.fsum(entry**2 for row in s for entry in row)  # tr S^2
    trace = math.fsum(s[f][f] for f in range(p))
    share = min(1.0, (squared + trace**2) / ((n + 1) * (squared - trace**2 / p)))
    return shrunk(s, share, trace / p), share


def check_document(found: Covariance, expected: Matrix) -> Correlation:
    """The document has the estimate's volatilities and correlations to the nearest 1e-9, and nothing finer."""
    made = found.to_correlation("estimate", "for a test")
    size = [math.sqrt(row[f]) for f, row in enumerate(expected)]
    for f, volatility in enumerate(made.volatilities):
        assert volatility % UNIT == 0
        assert abs(volatility - size[f] * ONE) <= 0.501 * UNIT
        for g, rho in enumerate(made.matrix[f]):
            assert rho % UNIT == 0
            assert abs(rho - expected[f][g] / size[f] / size[g] * ONE) <= 0.501 * UNIT
    return made


@pytest.mark.parametrize("decay", [0.94, 0.97, 1.0])
def test_exponential_weights_are_risk_metrics(decay: float) -> None:
    history = made_history(200)
    found = exponential_covariance(history, round(decay * ONE))
    expected = risk_metrics(returns(history), decay)
    assert np.abs(found.matrix - np.array(expected)).max() < 1e-12
    assert found.shrinkage == 0
    check_document(found, expected)


@pytest.mark.parametrize("days", [6, 30, 300])
@pytest.mark.parametrize(("share", "formula"), [("ledoit_wolf", ledoit_wolf), ("oas", oas)])
def test_shrinkage_is_the_papers(days: int, share: str, formula: object) -> None:
    assert callable(formula)
    history = made_history(days, days)
    found = shrunk_covariance(history, share)
    expected, part = formula(returns(history))
    assert 0 < part < 1
    assert abs(found.shrinkage - part) < 1e-9
    assert np.abs(found.matrix - np.array(expected)).max() < 1e-12
    check_document(found, expected)


def test_two_shares_differ_and_more_days_shrink_less() -> None:
    short, long = made_history(30), made_history(400)
    assert shrunk_covariance(short).shrinkage != shrunk_covariance(short, "oas").shrinkage
    for share in ("ledoit_wolf", "oas"):
        assert shrunk_covariance(long, share).shrinkage < shrunk_covariance(short, share).shrinkage


# Documents


def rounded(found: Covariance) -> list[list[int]]:
    """Correlations to the nearest 1e-9, and nothing else done to them."""
    size = np.sqrt(np.diag(found.matrix))
    matrix = np.rint(found.matrix / np.outer(size, size) * 10**9).astype(int)
    np.fill_diagonal(matrix, 10**9)
    return [[int(x) for x in row] for row in matrix]


@pytest.mark.parametrize("days", [3, 4, 5])
@pytest.mark.parametrize("seed", range(8))
def test_what_rounding_leaves_indefinite_is_mended(days: int, seed: int) -> None:
    """Fewer moves than factors: the estimate is singular. The document has it with F units of 1e-9 of the identity."""
    found = exponential_covariance(made_history(days, seed), 970_000_000_000)
    assert not is_positive_semidefinite(rounded(found))
    made = found.to_correlation("few days", "for a test")
    assert is_positive_semidefinite(made.matrix)
    count = len(FACTORS)
    for f, row in enumerate(rounded(found)):
        for g, rho in enumerate(row):
            assert f == g or abs(made.matrix[f][g] / UNIT - rho * (1 - count * 1e-9)) <= 0.5 + 1e-6
    assert Correlation.from_bytes(made.to_bytes()) == made


def test_what_rounding_leaves_definite_is_not_touched() -> None:
    copies = made_history(30, factors=PRICES[:1]).levels.repeat(2, axis=1)
    twins = History("x", made_history(30).start, PRICES[:2], copies)
    assert exponential_covariance(twins, 940_000_000_000).to_correlation("x", "y").matrix == ((ONE, ONE), (ONE, ONE))
    one = made_history(30, factors=PRICES[:1])
    for found in (exponential_covariance(one, ONE), shrunk_covariance(one), shrunk_covariance(one, "oas")):
        assert found.to_correlation("one", "one factor").matrix == ((ONE,),)


def test_as_many_factors_as_a_document_may_have() -> None:
    rng = np.random.default_rng(2)
    factors = tuple(Factor(f"C{n:02d}") for n in range(65))
    levels = np.round(1e12 * np.exp(np.cumsum(rng.normal(0, 0.02, (40, 65)), axis=0))).astype(np.int64)
    history = History("many", made_history(2).start, factors, levels)
    widest = history.selected(lambda f: f != factors[64])
    made = exponential_covariance(widest, 940_000_000_000).to_correlation("many", "fewer moves than factors")
    assert len(made.factors) == 64
    for estimate in (lambda h: exponential_covariance(h, ONE), shrunk_covariance):
        with pytest.raises(HistoryError, match=r"history: 65 factors .expected at most 64"):
            estimate(history)


def test_a_matrix_that_no_rounding_explains_is_refused() -> None:
    bad = np.array([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]) * 1e-4
    with pytest.raises(ModelError, match=r"correlations: not positive semi-definite: the least eigenvalue is -0.8 "):
        Covariance(PRICES, bad).to_correlation("bad", "made by hand")
    near = np.array([[1, 1, 1 - 4e-8], [1, 1, 1], [1 - 4e-8, 1, 1]]) * 1e-4  # least eigenvalue -2.7e-8, F u is 3e-9
    with pytest.raises(ModelError, match=r"correlations: not positive semi-definite"):
        Covariance(PRICES, near).to_correlation("near", "made by hand")


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        ([[1.0, 0.0]], ModelError, r"covariance: shape \(1, 2\) .expected 2 rows and columns of numbers"),
        ([[1.0, math.nan], [math.nan, 1.0]], ModelError, r"covariance: shape \(2, 2\)"),
        ([[1.0, 0.5], [0.4, 1.0]], ModelError, r"covariance: not symmetric"),
        ([[1.0, 0.0], [0.0, 0.0]], HistoryError, r"covariance: price of ETH has no variance"),
    ],
)
def test_what_is_no_covariance(matrix: Matrix, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Covariance(PRICES[:2], np.array(matrix))


def test_volatilities_that_a_document_cannot_say() -> None:
    for variance, message in ((1e-20, r"volatilities\[0\]: 0 is out of range"), (1.1, r"volatilities\[0\]: 1\.0488")):
        with pytest.raises(ModelError, match=message):
            Covariance(PRICES[:1], np.array([[variance]])).to_correlation("x", "y")


def test_estimators_refuse_what_does_not_move() -> None:
    levels = made_history(30).levels.copy()
    levels[:, 2] = levels[0, 2]
    still = History("x", made_history(30).start, FACTORS, levels)
    for estimate in (lambda h: exponential_covariance(h, 940_000_000_000), shrunk_covariance):
        with pytest.raises(HistoryError, match=r"history: 30-day volatility of BTC never moves"):
            estimate(still)
    with pytest.raises(HistoryError, match=r"history: 1 move .expected two moves or more"):
        shrunk_covariance(made_history(2))


def test_arguments_that_are_wrong() -> None:
    for decay in (0, ONE + 1):
        with pytest.raises(ModelError, match=r"decay: .* is out of range .expected above 0, at most 1"):
            exponential_covariance(made_history(30), decay)
    with pytest.raises(ModelError, match=r"share: no share 'guess' .expected ledoit_wolf, oas"):
        shrunk_covariance(made_history(30), "guess")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.covariance", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    said = r"^shrunk_covariance: scikit-learn is not installed .expected pip install 'riskproof\[estimators\]'\)$"
    with pytest.raises(ConfigError, match=said):
        shrunk_covariance(made_history(30))
    assert exponential_covariance(made_history(30), ONE).matrix.shape == (8, 8)  # numpy's own


def test_nothing_but_an_estimate_loads_the_library() -> None:
    """Who evaluates a model, and who verifies, has no need of it."""
    modules = "riskproof.risk.tail.estimators, riskproof.risk.tail.evaluate, riskproof.risk.margining, riskproof.verify"
    code = f"import sys, {modules}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_estimates_of_the_real_closes() -> None:
    path = SHARED / "daily_closes.csv"
    if not path.exists():
        pytest.skip("needs daily_closes.csv of ../shared/market")
    history = import_closes(path.read_bytes(), path.name, ["BTC", "ETH", "SOL", "BNB", "LINK"])
    window = history.between(history.day(1_000), history.day(2_000))
    for found, expected in (
        (exponential_covariance(window, 970_000_000_000), risk_metrics(returns(window), 0.97)),
        (shrunk_covariance(window), ledoit_wolf(returns(window))[0]),
        (shrunk_covariance(window, "oas"), oas(returns(window))[0]),
    ):
        document = check_document(found, expected)
        assert all(400_000_000_000 < x < ONE for n, row in enumerate(document.matrix) for x in row[:n])
        assert Correlation.from_bytes(document.to_bytes()).digest == document.digest
