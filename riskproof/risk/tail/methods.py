"""Scenario sets of a tail model: how their joint moves come about, as members of the document (model.py) and as moves.

    historical     {"history", "first", "last", "weight_decay", "horizon_days"}
    filtered       {"history", "first", "last", "weight_decay", "decay", "seed_days"}
    monte_carlo    {"correlation", "seed", "paths", "antithetic"}, and "interval": {"floor", "ceiling", "points"} if wanted
    common_factor  {"common", "betas", "idiosyncratic", "volatilities", "tenors", "corners"}

A set makes one list of moves or, over an interval of correlations, several; its measure is the greatest over them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import EncodingError, HistoryError, ModelError
from riskproof.risk.tail.correlation import Correlation, member_errors, ratio
from riskproof.risk.tail.history import MAX_FACTORS, History, parse_day
from riskproof.risk.tail.measures import age_weights
from riskproof.risk.tail.moves import MAX_SCENARIOS, Moves, filtered_moves, plain_moves
from riskproof.risk.tail.simulation import check_size, common_factor_moves, monte_carlo_moves
from riskproof.units import RATIO_ONE, format_decimal, round_half_even

MAX_POINTS: Final = 64


@dataclass(frozen=True, slots=True)
class Historical:
    """Moves of a history between two days over `horizon_days`, `weight_decay` (1e-12, 1: all equal) by age."""

    METHOD: ClassVar[str] = "historical"
    history: bytes
    first: dt.date
    last: dt.date
    horizon_days: int
    weight_decay: int

    def moves(self, histories: Sequence[History]) -> tuple[Moves, ...]:
        return (plain_moves(named_history(self.history, histories).between(self.first, self.last), self.horizon_days),)

    def weights(self, count: int) -> list[int]:
        return age_weights(count, self.weight_decay)

    def to_document(self) -> dict[str, Json]:
        return _window_document(self) | {"horizon_days": self.horizon_days}


@dataclass(frozen=True, slots=True)
class Filtered:
    """One-day moves rescaled to today's volatility (moves.filtered_moves)."""

    METHOD: ClassVar[str] = "filtered"
    history: bytes
    first: dt.date
    last: dt.date
    decay: int
    seed_days: int
    weight_decay: int

    @property
    def horizon_days(self) -> int:
        return 1

    def moves(self, histories: Sequence[History]) -> tuple[Moves, ...]:
        window = named_history(self.history, histories).between(self.first, self.last)
        return (filtered_moves(window, self.decay, self.seed_days),)

    def weights(self, count: int) -> list[int]:
        return age_weights(count, self.weight_decay)

    def to_document(self) -> dict[str, Json]:
        return _window_document(self) | {"decay": format_decimal(self.decay, 12), "seed_days": self.seed_days}


@dataclass(frozen=True, slots=True)
class Interval:
    """Correlations between the prices of any two underlyings, `points` of them evenly from floor to ceiling (1e-12)."""

    floor: int
    ceiling: int
    points: int

    def correlations(self) -> list[int]:
        steps, width = self.points - 1, self.ceiling - self.floor
        return [self.floor + round_half_even(n * width, steps) for n in range(self.points)]

    def to_document(self) -> dict[str, Json]:
        return {
            "floor": format_decimal(self.floor, 12),
            "ceiling": format_decimal(self.ceiling, 12),
            "points": self.points,
        }


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """Joint normal logarithmic moves (simulation.monte_carlo_moves), over an interval of correlations if there is one."""

    METHOD: ClassVar[str] = "monte_carlo"
    correlation: Correlation
    seed: int
    paths: int
    antithetic: bool
    interval: Interval | None = None

    @property
    def horizon_days(self) -> int:
        return self.correlation.horizon_days

    def correlations(self) -> tuple[Correlation, ...]:
        """The document or, over an interval, one for each of its points."""
        if self.interval is None:
            return (self.correlation,)
        return tuple(self.correlation.crossed(rho, self.correlation.name) for rho in self.interval.correlations())

    def moves(self, histories: Sequence[History]) -> tuple[Moves, ...]:
        if self.interval is None:
            return (monte_carlo_moves(self.correlation, self.seed, self.paths, antithetic=self.antithetic),)
        found = []
        for rho, crossed in zip(self.interval.correlations(), self.correlations(), strict=True):
            moves = monte_carlo_moves(crossed, self.seed, self.paths, antithetic=self.antithetic)
            found.append(replace(moves, ids=tuple(f"rho{format_decimal(rho, 12)}/{x}" for x in moves.ids)))
        return tuple(found)

    def weights(self, count: int) -> list[int]:
        return [1] * count

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "correlation": self.correlation.to_document(),
            "seed": str(self.seed),
            "paths": self.paths,
            "antithetic": self.antithetic,
        }
        if self.interval is not None:
            document["interval"] = self.interval.to_document()
        return document


@dataclass(frozen=True, slots=True)
class CommonFactor:
    """Common and idiosyncratic shocks (simulation.common_factor_moves); pairs are sorted by underlying. It has no horizon."""

    METHOD: ClassVar[str] = "common_factor"
    common: tuple[int, ...]
    betas: tuple[tuple[str, int], ...]
    idiosyncratic: tuple[tuple[str, int], ...]
    volatilities: tuple[int, ...]
    tenors: tuple[int, ...]
    corners: bool

    @property
    def horizon_days(self) -> None:
        return None

    def moves(self, histories: Sequence[History]) -> tuple[Moves, ...]:
        own, betas = dict(self.idiosyncratic), dict(self.betas)
        return (common_factor_moves(self.common, betas, own, self.volatilities, self.tenors, corners=self.corners),)

    def weights(self, count: int) -> list[int]:
        return [1] * count

    def to_document(self) -> dict[str, Json]:
        return {
            "common": [format_decimal(x, 12) for x in self.common],
            "betas": {u: format_decimal(x, 12) for u, x in self.betas},
            "idiosyncratic": {u: format_decimal(x, 12) for u, x in self.idiosyncratic},
            "volatilities": [format_decimal(x, 12) for x in self.volatilities],
            "tenors": list(self.tenors),
            "corners": self.corners,
        }


Method = Historical | Filtered | MonteCarlo | CommonFactor


def _window_document(method: Historical | Filtered) -> dict[str, Json]:
    return {
        "history": method.history.hex(),
        "first": method.first.isoformat(),
        "last": method.last.isoformat(),
        "weight_decay": format_decimal(method.weight_decay, 12),
    }


def named_history(digest: bytes, histories: Sequence[History]) -> History:
    """The history of that digest (HistoryError)."""
    for history in histories:
        if history.digest == digest:
            return history
    raise HistoryError(
        f"the history {digest.hex()} is not here", where="history", expected="the history the model names"
    )


def check_method(method: Method, where: str) -> None:
    if isinstance(method, Historical | Filtered):
        if not method.first < method.last:
            raise ModelError(
                f"{method.first} to {method.last}", where=f"{where}.last", expected="a day after the first"
            )
        if not 0 < method.weight_decay <= RATIO_ONE:
            raise ModelError("out of range", where=f"{where}.weight_decay", expected="above 0, at most 1")
    if isinstance(method, Historical) and not 0 < method.horizon_days <= (method.last - method.first).days:
        raise ModelError(
            f"{method.horizon_days} days", where=f"{where}.horizon_days", expected="1 to the length of the window"
        )
    if isinstance(method, Filtered):
        if not 0 < method.decay < RATIO_ONE:
            raise ModelError("out of range", where=f"{where}.decay", expected="between 0 and 1")
        if not 0 < method.seed_days < (method.last - method.first).days:
            raise ModelError(f"{method.seed_days} days", where=f"{where}.seed_days", expected="shorter than the window")
    if isinstance(method, MonteCarlo):
        if not 0 <= method.seed < 1 << 64:
            raise ModelError("out of range", where=f"{where}.seed", expected="0 to 2^64 - 1")
        if not 0 < method.paths <= MAX_SCENARIOS or (method.antithetic and method.paths % 2):
            raise ModelError(
                f"{method.paths} paths", where=f"{where}.paths", expected=f"1 to {MAX_SCENARIOS}, even if antithetic"
            )
        check_size(method.paths, len(method.correlation.factors), f"{where}.paths")
        if method.interval is not None:
            _check_interval(method, method.interval, f"{where}.interval")
    if isinstance(method, CommonFactor):
        with member_errors(where):
            method.moves(())  # small, and every member takes part


def _check_interval(method: MonteCarlo, interval: Interval, where: str) -> None:
    if not interval.floor < interval.ceiling:
        raise ModelError("not an interval", where=where, expected="a floor below the ceiling")
    if not 2 <= interval.points <= MAX_POINTS or interval.points * method.paths > MAX_SCENARIOS:
        raise ModelError(
            f"{interval.points} points of {method.paths} paths",
            where=f"{where}.points",
            expected=f"2 to {MAX_POINTS} points, at most {MAX_SCENARIOS} paths in all",
        )
    check_size(interval.points * method.paths, len(method.correlation.factors), f"{where}.points")
    for rho in (interval.floor, interval.ceiling):  # the points between are convex combinations of the ends
        try:
            method.correlation.crossed(rho, method.correlation.name)
        except ModelError as error:
            raise ModelError(error.what, where=where, expected=error.expected) from None


_WINDOW = ("history", "first", "last", "weight_decay")


def read_set(node: Json, where: str) -> tuple[str, Method]:
    method = node.get("method") if isinstance(node, dict) else None
    if not isinstance(method, str) or method not in _READERS:
        raise EncodingError("no such method", where=f"{where}.method", expected=", ".join(_READERS))
    own, optional, read = _READERS[method]
    m = encoding.members(node, where, ("id", "method", *own), optional)
    return encoding.string(m["id"], f"{where}.id", max_length=64), read(m, where)


def _read_window(m: dict[str, Json], where: str) -> tuple[bytes, dt.date, dt.date, int]:
    first, last = (
        parse_day(encoding.string(m[x], f"{where}.{x}", max_length=10), f"{where}.{x}") for x in ("first", "last")
    )
    digest = encoding.hex_bytes(m["history"], f"{where}.history", 32)
    return digest, first, last, ratio(m["weight_decay"], f"{where}.weight_decay")


def _read_historical(m: dict[str, Json], where: str) -> Method:
    digest, first, last, weight = _read_window(m, where)
    return Historical(digest, first, last, encoding.integer(m["horizon_days"], f"{where}.horizon_days"), weight)


def _read_filtered(m: dict[str, Json], where: str) -> Method:
    digest, first, last, weight = _read_window(m, where)
    seed = encoding.integer(m["seed_days"], f"{where}.seed_days")
    return Filtered(digest, first, last, ratio(m["decay"], f"{where}.decay"), seed, weight)


def _read_monte_carlo(m: dict[str, Json], where: str) -> Method:
    correlation = Correlation.from_document(m["correlation"], f"{where}.correlation")
    text = encoding.string(m["seed"], f"{where}.seed", max_length=20)
    if not text.isascii() or not text.isdecimal() or str(int(text)) != text:
        raise ModelError(f"not a seed: {text!r}", where=f"{where}.seed", expected="a decimal string from 0 to 2^64 - 1")
    paths = encoding.integer(m["paths"], f"{where}.paths")
    interval = None
    if "interval" in m:
        o = encoding.members(m["interval"], f"{where}.interval", ("floor", "ceiling", "points"))
        floor, ceiling = (ratio(o[x], f"{where}.interval.{x}") for x in ("floor", "ceiling"))
        interval = Interval(floor, ceiling, encoding.integer(o["points"], f"{where}.interval.points"))
    return MonteCarlo(correlation, int(text), paths, _flag(m["antithetic"], f"{where}.antithetic"), interval)


def _read_common_factor(m: dict[str, Json], where: str) -> Method:
    def ratios(member: str) -> tuple[int, ...]:
        items = encoding.array(m[member], f"{where}.{member}", max_length=4_096)
        return tuple(ratio(x, f"{where}.{member}[{n}]") for n, x in enumerate(items))

    def by_name(member: str) -> tuple[tuple[str, int], ...]:
        if not isinstance(m[member], dict) or len(m[member]) > MAX_FACTORS:
            raise EncodingError(
                "not an object in range", where=f"{where}.{member}", expected=f"at most {MAX_FACTORS} members"
            )
        return tuple((u, ratio(x, f"{where}.{member}.{u[:16]}")) for u, x in sorted(m[member].items()))

    tenors = encoding.array(m["tenors"], f"{where}.tenors", max_length=MAX_FACTORS)
    return CommonFactor(
        ratios("common"),
        by_name("betas"),
        by_name("idiosyncratic"),
        ratios("volatilities"),
        tuple(encoding.integer(x, f"{where}.tenors[{n}]", low=1, high=3_650) for n, x in enumerate(tenors)),
        _flag(m["corners"], f"{where}.corners"),
    )


_READERS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[dict[str, Json], str], Method]]]] = {
    "historical": ((*_WINDOW, "horizon_days"), (), _read_historical),
    "filtered": ((*_WINDOW, "decay", "seed_days"), (), _read_filtered),
    "monte_carlo": (("correlation", "seed", "paths", "antithetic"), ("interval",), _read_monte_carlo),
    "common_factor": (
        ("common", "betas", "idiosyncratic", "volatilities", "tenors", "corners"),
        (),
        _read_common_factor,
    ),
}


def _flag(node: Json, where: str) -> bool:
    if not isinstance(node, bool):
        raise EncodingError("not true or false", where=where)
    return node
