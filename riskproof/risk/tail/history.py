"""A history: levels of prices and volatilities on consecutive days, one public document.

Document (canonical JSON, digest under TAG_HISTORY):

    {"schema": "riskproof/history/v1", "source": "deribit surface", "start": "2025-12-30",
     "factors": [{"underlying": "BTC", "tenor_days": 0}, {"underlying": "BTC", "tenor_days": 30}, ...],       sorted, no two alike
     "levels": [["88537820000000", ...], ["350500000000", ...], ...]}                               a list of levels for each factor

A factor of tenor 0 is the price of its underlying, int64 in 1e-9 of the numeraire; one of N days is the at-the-money volatility of
an option N days from expiry, int64 in 1e-12. Level n is that of day start + n: a document cannot say that a day is missing, so a
history with gaps does not exist. Importers refuse to make one and say where the gap is (history_csv).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import HistoryError
from riskproof.market.registry import MAX_PRICE, MIN_PRICE
from riskproof.market.snapshot import MAX_VOLATILITY

Int64 = npt.NDArray[np.int64]

SCHEMA: Final = "riskproof/history/v1"
MAX_DAYS: Final = 20_000
MAX_FACTORS: Final = 256
MAX_TENOR_DAYS: Final = 3_650
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+")


@dataclass(frozen=True, slots=True, order=True)
class Factor:
    """What moves: the price of an underlying (tenor_days 0), or its volatility at a tenor.

    Raises:
        HistoryError: not a name, or a tenor out of range.
    """

    underlying: str
    tenor_days: int = 0

    def __post_init__(self) -> None:
        if not 0 < len(self.underlying) <= 16 or not _NAME_CHARACTERS.issuperset(self.underlying):
            raise HistoryError(
                f"not a name: {self.underlying[:64]!r}", where="underlying", expected="1 to 16 of A-Z a-z 0-9 and -._/+"
            )
        if not 0 <= self.tenor_days <= MAX_TENOR_DAYS:
            raise HistoryError("tenor out of range", where="tenor_days", expected=f"0 to {MAX_TENOR_DAYS}")

    @property
    def is_price(self) -> bool:
        return self.tenor_days == 0

    def __str__(self) -> str:
        return (
            f"price of {self.underlying}" if self.is_price else f"{self.tenor_days}-day volatility of {self.underlying}"
        )

    def to_document(self) -> dict[str, Json]:
        return {"underlying": self.underlying, "tenor_days": self.tenor_days}

    @classmethod
    def from_document(cls, node: Json, where: str) -> Factor:
        m = encoding.members(node, where, ("underlying", "tenor_days"))
        return cls(
            encoding.string(m["underlying"], f"{where}.underlying", max_length=16),
            encoding.integer(m["tenor_days"], f"{where}.tenor_days", low=0, high=MAX_TENOR_DAYS),
        )


def check_factors(factors: tuple[Factor, ...], where: str) -> None:
    """Raise HistoryError unless factors are sorted, different, few enough, and every volatility's underlying has its price."""
    if not 0 < len(factors) <= MAX_FACTORS:
        raise HistoryError(f"{len(factors)} factors", where=where, expected=f"1 to {MAX_FACTORS}")
    if list(factors) != sorted(set(factors)):
        raise HistoryError("not sorted, or a factor twice", where=where, expected="by underlying, then tenor")
    for n, factor in enumerate(factors):
        if not factor.is_price and Factor(factor.underlying) not in factors:
            raise HistoryError(
                f"{factor} without the price of {factor.underlying}",
                where=f"{where}[{n}]",
                expected="a factor of tenor 0 of the same underlying",
            )


def check_source(text: str, where: str) -> None:
    """Raise HistoryError unless a text can be a history's source."""
    if not 0 < len(text) <= 200 or not text.isprintable():
        raise HistoryError("not a printable text", where=where, expected="1 to 200 printable characters")


@dataclass(frozen=True, eq=False)
class History:
    """Levels on consecutive days. Construction checks it.

    Attributes:
        source: where the numbers come from, 1 to 200 characters.
        start: the first day.
        factors: sorted by underlying and tenor; a volatility comes with the price of its underlying.
        levels: [N, F] int64, read-only; prices in 1e-9, volatilities in 1e-12, all positive.

    Raises:
        HistoryError: a level out of range, factors out of order, less than two days; `where` is the member's path.
    """

    source: str
    start: dt.date
    factors: tuple[Factor, ...]
    levels: Int64 = field(repr=False)

    def __post_init__(self) -> None:
        check_source(self.source, "source")
        check_factors(self.factors, "factors")
        levels = np.array(self.levels, dtype=np.int64, order="C")
        if levels.ndim != 2 or levels.shape[1] != len(self.factors):
            raise HistoryError(f"shape {levels.shape}", where="levels", expected=f"[days, {len(self.factors)}]")
        if not 2 <= len(levels) <= MAX_DAYS:
            raise HistoryError(f"{len(levels)} days", where="levels", expected=f"2 to {MAX_DAYS}")
        try:
            self.start + dt.timedelta(days=len(levels) - 1)
        except OverflowError:
            raise HistoryError("ends after the year 9999", where="start", expected="an earlier day") from None
        for f, factor in enumerate(self.factors):
            low, high = (MIN_PRICE, MAX_PRICE) if factor.is_price else (1, MAX_VOLATILITY)
            column = levels[:, f]
            wrong = np.flatnonzero((column < low) | (column > high))
            if wrong.size:
                raise HistoryError(
                    f"{factor} of {int(column[wrong[0]])} on {self.start + dt.timedelta(days=int(wrong[0]))} is out of range",
                    where=f"levels[{f}][{wrong[0]}]",
                    expected=f"{low} to {high} in 1e-{9 if factor.is_price else 12}",
                )
        levels.flags.writeable = False
        object.__setattr__(self, "levels", levels)

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def end(self) -> dt.date:
        """The last day."""
        return self.day(len(self) - 1)

    def day(self, n: int) -> dt.date:
        """The day of row n."""
        return self.start + dt.timedelta(days=n)

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this history."""
        return encoding.digest(encoding.TAG_HISTORY, self.to_bytes())

    def between(self, first: dt.date, last: dt.date) -> History:
        """The days first <= day <= last; HistoryError if the history does not have them all."""
        if not self.start <= first < last <= self.end:
            raise HistoryError(
                f"{first} to {last} is not covered",
                where="history",
                expected=f"two days or more from {self.start} to {self.end}",
            )
        begin = (first - self.start).days
        return History(self.source, first, self.factors, self.levels[begin : begin + (last - first).days + 1])

    def selected(self, keep: Callable[[Factor], bool]) -> History:
        """The factors that `keep` accepts; HistoryError if none is left, or a volatility without its price."""
        chosen = [f for f, factor in enumerate(self.factors) if keep(factor)]
        return History(self.source, self.start, tuple(self.factors[f] for f in chosen), self.levels[:, chosen])

    def joined(self, other: History) -> History:
        """Both histories' factors on the days that both have; HistoryError if they share a factor or less than two days."""
        shared = sorted(set(self.factors) & set(other.factors))
        if shared:
            raise HistoryError(f"{shared[0]} is in both histories", where="factors", expected="each factor once")
        first, last = max(self.start, other.start), min(self.end, other.end)
        a, b = self.between(first, last), other.between(first, last)
        together = sorted(
            [(x, a.levels[:, f]) for f, x in enumerate(a.factors)] + _columns(b), key=lambda pair: pair[0]
        )
        source = self.source if self.source == other.source else f"{self.source}; {other.source}"
        return History(source, first, tuple(x for x, _ in together), np.stack([c for _, c in together], axis=1))

    def to_document(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "source": self.source,
            "start": self.start.isoformat(),
            "factors": [f.to_document() for f in self.factors],
            "levels": [[str(x) for x in column] for column in self.levels.T.tolist()],
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON of the document."""
        return encoding.canonical_json(self.to_document())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "history") -> History:
        """Parse and check a history file.

        Raises:
            EncodingError: not canonical JSON, or a member of the wrong shape.
            UnitError: a level that is no integer.
            HistoryError: see the class.
        """
        m = encoding.members(
            encoding.parse_canonical(data, where), where, ("schema", "source", "start", "factors", "levels")
        )
        if m["schema"] != SCHEMA:
            raise HistoryError("not a history of this version", where=f"{where}.schema", expected=SCHEMA)
        items = encoding.array(m["factors"], f"{where}.factors", max_length=MAX_FACTORS)
        factors = tuple(_factor(x, f"{where}.factors[{n}]") for n, x in enumerate(items))
        columns = encoding.array(m["levels"], f"{where}.levels", max_length=MAX_FACTORS)
        levels = [_levels(column, f"{where}.levels[{n}]") for n, column in enumerate(columns)]
        if not levels:
            raise HistoryError("no levels", where=f"{where}.levels", expected="a list for each factor")
        for n, column in enumerate(levels):
            if len(levels) != len(factors) or len(column) != len(levels[0]):
                raise HistoryError(
                    f"{len(levels)} lists of levels, this one of {len(column)} days",
                    where=f"{where}.levels[{n}]",
                    expected=f"{len(factors)} lists of equal length",
                )
        source = encoding.string(m["source"], f"{where}.source", max_length=200)
        start = parse_day(encoding.string(m["start"], f"{where}.start", max_length=10), f"{where}.start")
        table = np.array(levels, dtype=np.int64).reshape(len(levels), -1).T
        with _member_errors(where):
            return cls(source, start, factors, table)


@contextmanager
def _member_errors(document: str) -> Iterator[None]:
    """Places of HistoryErrors start with the document's name."""
    try:
        yield
    except HistoryError as error:
        raise HistoryError(error.what, where=f"{document}.{error.where}", expected=error.expected) from None


def _factor(node: Json, where: str) -> Factor:
    with _member_errors(where):
        return Factor.from_document(node, where)


def _columns(history: History) -> list[tuple[Factor, Int64]]:
    return [(x, history.levels[:, f]) for f, x in enumerate(history.factors)]


def _levels(node: Json, where: str) -> list[int]:
    items: Iterable[Json] = encoding.array(node, where, max_length=MAX_DAYS)
    return [units.parse_integer(encoding.string(x, f"{where}[{n}]"), f"{where}[{n}]") for n, x in enumerate(items)]


def parse_day(text: str, where: str) -> dt.date:
    """A day as YYYY-MM-DD (HistoryError)."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise HistoryError(f"not a day: {text[:32]!r}", where=where, expected="a day such as 2026-01-14")
    return day
