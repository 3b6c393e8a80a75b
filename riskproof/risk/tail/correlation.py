"""Correlations and volatilities of factors as one public document, positive semi-definite or refused.

Document (canonical JSON, digest under TAG_CORRELATION):

    {"schema": "riskproof/correlation/v1", "name": "btc-eth-2026", "description": "...",
     "factors": [{"underlying": "BTC", "tenor_days": 0}, {"underlying": "ETH", "tenor_days": 0}],
     "volatilities": ["0.025", "0.033"],               of the logarithmic move over the document's horizon
     "correlations": [["0.82"]],                       rows of the lower triangle below the diagonal, without the first, empty one
     "horizon_days": 1}

Decimals are canonical, with at most 12 places. Whether the matrix is positive semi-definite is decided in rational numbers; one
that is not is refused with its least eigenvalue. What this module makes is positive semi-definite by construction: `bounded` and
`blended` are convex combinations of matrices that are, and `clipped` keeps every eigenvalue well above the rounding of the
entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import DomainError, EncodingError, HistoryError, ModelError, UnitError
from riskproof.risk.tail.history import MAX_FACTORS, Factor, check_factors
from riskproof.risk.tail.linear import cholesky, is_positive_semidefinite, least_eigenvalue
from riskproof.risk.tail.roots import root_up
from riskproof.units import RATIO_EXPONENT, RATIO_ONE, format_decimal, round_half_even

SCHEMA: Final = "riskproof/correlation/v1"
MAX_VOLATILITY: Final = RATIO_ONE  # of a logarithmic move over the horizon
MAX_HORIZON_DAYS: Final = 3_650
MAX_MATRIX: Final = 64  # factors of one document: elimination in rational numbers is cubic, with growing numbers
EIGENVALUE_FLOOR: Final = 1e-8  # of a clipped matrix whose eigenvalues sum to the number of factors

Rows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Correlation:
    """Volatilities and correlations of factors. Construction checks it.

    Attributes:
        name, description: 1 to 64 and 1 to 2,000 printable characters.
        factors: sorted; a volatility comes with the price of its underlying.
        volatilities: int64, 1e-12, of each factor's logarithmic move over `horizon_days`; above 0, at most 100 %.
        matrix: [F][F], 1e-12, symmetric, with a diagonal of 10^12.
        horizon_days: what the volatilities are over.

    Raises:
        ModelError: a member out of range; a matrix that is not symmetric with ones, or not positive semi-definite, with its least
            eigenvalue; `where` is the member's path.
    """

    name: str
    description: str
    factors: tuple[Factor, ...]
    volatilities: tuple[int, ...]
    matrix: Rows
    horizon_days: int = 1

    def __post_init__(self) -> None:
        for member, text, longest in (("name", self.name, 64), ("description", self.description, 2_000)):
            if not 0 < len(text) <= longest or not text.isprintable():
                raise ModelError("not a printable text", where=member, expected=f"1 to {longest} printable characters")
        with _as_model_errors():
            check_factors(self.factors, "factors")
        if len(self.factors) > MAX_MATRIX:
            raise ModelError(f"{len(self.factors)} factors", where="factors", expected=f"at most {MAX_MATRIX}")
        if not 0 < self.horizon_days <= MAX_HORIZON_DAYS:
            raise ModelError("out of range", where="horizon_days", expected=f"1 to {MAX_HORIZON_DAYS}")
        if len(self.volatilities) != len(self.factors):
            raise ModelError(
                f"{len(self.volatilities)} volatilities",
                where="volatilities",
                expected=f"{len(self.factors)}, one a factor",
            )
        for n, volatility in enumerate(self.volatilities):
            if not 0 < volatility <= MAX_VOLATILITY:
                raise ModelError(
                    f"{_text(volatility)} is out of range", where=f"volatilities[{n}]", expected="above 0, at most 1"
                )
        _check_matrix(self.matrix, len(self.factors))

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this document."""
        return encoding.digest(encoding.TAG_CORRELATION, encoding.canonical_json(self.to_document()))

    @cached_property
    def covariance(self) -> list[list[int]]:
        """[F][F] in 1e-36, exact: volatility times volatility times correlation."""
        return [
            [a * b * rho for b, rho in zip(self.volatilities, row, strict=True)]
            for a, row in zip(self.volatilities, self.matrix, strict=True)
        ]

    def to_document(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "factors": [f.to_document() for f in self.factors],
            "volatilities": [_text(v) for v in self.volatilities],
            "correlations": [[_text(x) for x in row[:n]] for n, row in enumerate(self.matrix)][1:],
            "horizon_days": self.horizon_days,
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON of the document."""
        return encoding.canonical_json(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "correlation") -> Correlation:
        """Parse and check a correlation file (EncodingError: not canonical JSON; ModelError: a member is wrong)."""
        return cls.from_document(encoding.parse_canonical(data, where), where)

    @classmethod
    def from_document(cls, node: Json, where: str = "correlation") -> Correlation:
        """Read a correlation document; ModelError whose `where` ends in the member's path."""
        with member_errors(where):
            if isinstance(node, dict) and node.get("schema", SCHEMA) != SCHEMA:
                raise ModelError("not a correlation document of this version", where="schema", expected=SCHEMA)
            m = encoding.members(
                node,
                "",
                ("schema", "name", "description", "factors", "volatilities", "correlations", "horizon_days"),
            )
            items = encoding.array(m["factors"], "factors", max_length=MAX_FACTORS)
            factors = tuple(Factor.from_document(x, f"factors[{n}]") for n, x in enumerate(items))
            volatilities = encoding.array(m["volatilities"], "volatilities", max_length=MAX_FACTORS)
            return cls(
                encoding.string(m["name"], "name", max_length=64),
                encoding.string(m["description"], "description", max_length=2_000),
                factors,
                tuple(ratio(x, f"volatilities[{n}]") for n, x in enumerate(volatilities)),
                _matrix(m["correlations"], len(factors)),
                encoding.integer(m["horizon_days"], "horizon_days"),
            )

    def with_matrix(self, matrix: Rows, name: str) -> Correlation:
        """The same factors and volatilities under another matrix and name (ModelError)."""
        return Correlation(name, self.description, self.factors, self.volatilities, matrix, self.horizon_days)

    def bounded(self, floor: int, ceiling: int, name: str) -> Correlation:
        """Correlations between prices of different underlyings brought inside [floor, ceiling], the whole matrix still consistent.

            R(theta) = (1 - theta) R + theta E,     theta the least in [0, 1] for which every pair of prices is inside

        E has the middle of the interval between any two prices, no correlation between prices and volatilities, and R's own among
        the volatilities: positive semi-definite, and so is every R(theta). Nothing changes if R is inside already.

        Raises:
            ModelError: an interval outside [-1, 1] or empty, or a middle below -1/(n - 1), which n prices cannot share.
        """
        if not -RATIO_ONE <= floor <= ceiling <= RATIO_ONE:
            raise ModelError(
                f"{_text(floor)} to {_text(ceiling)}", where="bounds", expected="an interval inside -1 to 1"
            )
        prices = [n for n, x in enumerate(self.factors) if x.is_price]
        middle = (floor + ceiling) // 2
        if len(prices) > 1 and middle * (len(prices) - 1) < -RATIO_ONE:
            raise ModelError(
                f"{len(prices)} prices cannot all have a correlation of {_text(middle)}",
                where="bounds",
                expected=f"a middle of at least -1/{len(prices) - 1}",
            )
        theta = Fraction(0)
        for n in prices:
            for k in prices:
                rho = self.matrix[n][k]
                if n != k and not floor <= rho <= ceiling:
                    target = ceiling if rho > ceiling else floor
                    theta = max(theta, Fraction(rho - target, rho - middle) if rho != middle else Fraction(0))
        if not theta:
            return self.with_matrix(self.matrix, name)

        def entry(n: int, k: int) -> int:
            both = self.factors[n].is_price + self.factors[k].is_price
            away = middle if both == 2 else 0 if both == 1 else self.matrix[n][k]
            mixed = (1 - theta) * self.matrix[n][k] + theta * away
            if both == 2:  # towards the middle, so that rounding cannot leave the interval
                return int(mixed // 1) if mixed > middle else -int(-mixed // 1)
            return round_half_even(mixed.numerator, mixed.denominator)

        return self.with_matrix(_symmetric(len(self.factors), entry), name)

    def crossed(self, rho: int, name: str) -> Correlation:
        """The same correlations within each underlying, and `rho` (1e-12) between the prices of any two: one end of an interval.

            x[u] = A[u] z[u],   A[u] the Cholesky factor of u's own block,   correlation of z[u][k] and z[v][k]: rho

        so that the block of u and v is rho A[u] A[v]': linear in rho, positive semi-definite by construction for
        -1/(n - 1) <= rho < 1, and the price, which comes first in a block, has exactly rho. The variance of any linear P&L is
        linear in rho as well, so its worst case over an interval is at an end of it.

        Raises:
            ModelError: a rho outside -1/(n - 1) to 1, or so near the end that the rounded matrix is not positive semi-definite.
        """
        underlyings = sorted({x.underlying for x in self.factors})
        if not -RATIO_ONE <= (len(underlyings) - 1) * rho <= (len(underlyings) - 1) * RATIO_ONE:
            raise ModelError(
                f"{len(underlyings)} underlyings cannot all have a correlation of {_text(rho)}",
                where="interval",
                expected=f"-1/{len(underlyings) - 1} to 1",
            )
        rows: list[list[int]] = []  # of A, in 1e-18
        for u in underlyings:
            own = [n for n, x in enumerate(self.factors) if x.underlying == u]  # consecutive: factors are sorted
            rows += cholesky([[self.matrix[n][k] * RATIO_ONE**2 for k in own] for n in own])

        def entry(n: int, k: int) -> int:
            if self.factors[n].underlying == self.factors[k].underlying:
                return self.matrix[n][k]
            product = sum(a * b for a, b in zip(rows[n], rows[k], strict=False))
            return round_half_even(rho * product, 10**36)

        return self.with_matrix(_symmetric(len(self.factors), entry), name)

    def blended(self, other: Correlation, share: int, name: str) -> Correlation:
        """(1 - share) of this matrix and `share` (1e-12) of another's: a stressed set between two. ModelError on other factors."""
        if other.factors != self.factors:
            raise ModelError("other factors", where=other.name, expected=", ".join(map(str, self.factors)))
        if not 0 <= share <= RATIO_ONE:
            raise ModelError(f"{_text(share)} is out of range", where="share", expected="0 to 1")

        def entry(n: int, k: int) -> int:
            mixed = (RATIO_ONE - share) * self.matrix[n][k] + share * other.matrix[n][k]
            return round_half_even(mixed, RATIO_ONE)

        return self.with_matrix(_symmetric(len(self.factors), entry), name)


def clipped(matrix: npt.ArrayLike) -> Rows:
    """The correlation matrix in 1e-12 that eigenvalue clipping makes of any symmetric matrix with a positive diagonal.

    Scaled to a diagonal of ones, its eigenvalues below EIGENVALUE_FLOOR are raised to it, and the result is scaled again. It runs
    in float64: publish the result; nobody has to repeat the clipping. Rounding the entries moves an eigenvalue by at most F / 2 in
    1e-12, far less than the floor, so what is returned is positive definite.

    Raises:
        ModelError: not square, not symmetric, not finite, or no positive diagonal.
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not 0 < len(given) <= MAX_MATRIX:
        raise ModelError(f"shape {given.shape}", where="matrix", expected=f"square, at most {MAX_MATRIX}")
    if not np.isfinite(given).all() or (given != given.T).any() or (np.diag(given) <= 0).any():
        raise ModelError("not symmetric with a positive diagonal", where="matrix", expected="finite numbers")
    size = np.sqrt(np.diag(given))
    values, vectors = np.linalg.eigh(given / np.outer(size, size))
    if values[0] < EIGENVALUE_FLOOR:
        given = (vectors * np.maximum(values, 2 * EIGENVALUE_FLOOR)) @ vectors.T
        size = np.sqrt(np.diag(given))
    scaled = np.clip(given / np.outer(size, size), -1, 1)
    return _symmetric(len(given), lambda n, k: round(float(scaled[n, k]) * RATIO_ONE))


@dataclass(frozen=True)
class IntervalWorst:
    """The greatest aggregate over a box of correlations.

    Attributes:
        amount: sqrt(sum over a, b of rho[a][b] k[a] k[b]), rounded up, in the unit of the components.
        matrix: the correlations that reach it, 1e-12.
        attained: whether they are positive semi-definite; if not, the amount is an upper bound that no consistent matrix reaches.
    """

    amount: int
    matrix: Rows
    attained: bool


def worst_over_interval(components: Sequence[int], low: int | Rows, high: int | Rows) -> IntervalWorst:
    """The worst aggregate of signed components over every correlation between low and high.

    The square is linear in every correlation, so its greatest value over the box has, pair by pair, the upper bound where the
    components have one sign and the lower bound where they differ.

    Args:
        components: signed amounts k[a], such as the tail P&L of each underlying.
        low, high: 1e-12; one interval for all pairs, or a matrix of lower and of upper bounds.

    Raises:
        ModelError: an interval outside [-1, 1], or empty; names the pair.
    """
    count = len(components)

    def entry(n: int, k: int) -> int:
        a, b = (x if isinstance(x, int) else x[n][k] for x in (low, high))
        if not -RATIO_ONE <= a <= b <= RATIO_ONE:
            raise ModelError(f"{_text(a)} to {_text(b)}", where=f"pair {k}, {n}", expected="an interval inside -1 to 1")
        return b if components[n] * components[k] >= 0 else a

    matrix = _symmetric(count, entry)
    square = sum(matrix[n][k] * components[n] * components[k] for n in range(count) for k in range(count))
    return IntervalWorst(
        root_up(max(Fraction(0), Fraction(square, RATIO_ONE))), matrix, is_positive_semidefinite(matrix)
    )


def _symmetric(count: int, entry: object) -> Rows:
    """[F][F] with ones on the diagonal and entry(n, k) below and above it."""
    if not callable(entry):
        raise AssertionError("entry is a function of row and column")
    below = [[int(entry(n, k)) for k in range(n)] for n in range(count)]
    return tuple(
        tuple(below[max(n, k)][min(n, k)] if n != k else RATIO_ONE for k in range(count)) for n in range(count)
    )


def _check_matrix(matrix: Rows, count: int) -> None:
    if len(matrix) != count or any(len(row) != count for row in matrix):
        raise ModelError("not square", where="correlations", expected=f"{count} rows and columns")
    for n, row in enumerate(matrix):
        for k, rho in enumerate(row):
            where = f"correlations[{max(n, k) - 1}][{min(n, k)}]"
            if n == k and rho != RATIO_ONE:
                raise ModelError(f"{_text(rho)} on the diagonal", where=f"correlations: factor {n}", expected="1")
            if abs(rho) > RATIO_ONE:
                raise ModelError(f"{_text(rho)} is out of range", where=where, expected="-1 to 1")
            if rho != matrix[k][n]:
                raise ModelError("not symmetric", where=where, expected=_text(matrix[k][n]))
    if not is_positive_semidefinite(matrix):
        raise ModelError(
            f"not positive semi-definite: the least eigenvalue is {least_eigenvalue(matrix, RATIO_ONE):.3g}",
            where="correlations",
            expected="no negative eigenvalue; clip the matrix, or bound its entries",
        )


def _matrix(node: Json, count: int) -> Rows:
    below = encoding.array(node, "correlations", max_length=MAX_FACTORS)
    if len(below) != max(0, count - 1):
        raise ModelError(f"{len(below)} rows", where="correlations", expected=f"{max(0, count - 1)}")
    rows = []
    for n, items in enumerate(below):
        row = encoding.array(items, f"correlations[{n}]", max_length=MAX_FACTORS)
        if len(row) != n + 1:
            raise ModelError(f"{len(row)} entries", where=f"correlations[{n}]", expected=f"{n + 1}")
        rows.append([ratio(x, f"correlations[{n}][{k}]") for k, x in enumerate(row)])
    return _symmetric(count, lambda n, k: rows[n - 1][k])


def _text(value: int) -> str:
    return format_decimal(value, RATIO_EXPONENT)


def ratio(node: Json, where: str) -> int:
    """A canonical decimal of at most 12 places as int64 1e-12 (EncodingError, UnitError, ModelError)."""
    text = encoding.string(node, where, max_length=32)
    value = units.parse_decimal(text, RATIO_EXPONENT, where)
    if _text(value) != text:
        raise ModelError(f"not the canonical decimal: {text}", where=where, expected=_text(value))
    return value


@contextmanager
def _as_model_errors() -> Iterator[None]:
    try:
        yield
    except HistoryError as error:
        raise ModelError(error.what, where=error.where, expected=error.expected) from None


@contextmanager
def member_errors(document: str) -> Iterator[None]:
    """Turn every error about a member into a ModelError whose place starts with the document's name."""
    try:
        yield
    except (EncodingError, UnitError, ModelError, HistoryError, DomainError) as error:
        where = f"{document}.{error.where}" if error.where else document
        raise ModelError(error.what, where=where, expected=error.expected) from None
