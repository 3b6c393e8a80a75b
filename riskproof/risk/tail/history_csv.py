"""Histories from CSV files: daily closes, and surfaces of forwards and at-the-money volatilities by expiry.

    date,BTC,ETH,...                                            import_closes: one row a day, an empty field is a missing close
    snapshot,ccy,expiry,fwd,atm_iv[,...]                        import_surface: any number of snapshots a day

Nothing is filled in: a day without a level is a HistoryError that names the line or the instant, and what would close the gap.

`where` names the file in errors and is no part of the history: whoever has the same rows makes the same document, and its digest.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from riskproof import units
from riskproof.errors import HistoryError
from riskproof.market.importers import rows
from riskproof.risk.tail.history import Factor, History, parse_day
from riskproof.risk.tail.roots import nearest_root
from riskproof.units import SECONDS_PER_DAY

EXPIRY_SECOND: Final = 8 * 3_600  # options of the surface files expire at 08:00 UTC
NEAREST_EXPIRY: Final = 4 * SECONDS_PER_DAY  # the price is the forward of an expiry that is at most so far away
DAILY_CLOSES: Final = "daily closes"
_COLUMNS: Final = ("snapshot", "ccy", "expiry", "fwd", "atm_iv")


def surfaces_at(hour: int) -> str:
    """Source of a history of surfaces taken at an hour, unless people name another."""
    return f"volatility surfaces at {hour:02}:00 UTC"


def columns_of_closes(data: bytes, where: str) -> list[str]:
    """The underlyings of a table of daily closes (EncodingError, ImportFormatError)."""
    _, fields = next(rows.csv_rows(data, where, ("date",)), ("", {}))
    return [name for name in fields if name != "date"]


def underlyings_of_surface(data: bytes, where: str) -> list[str]:
    """The underlyings of a file of surfaces, sorted (EncodingError, ImportFormatError)."""
    return sorted({fields["ccy"] for _, fields in rows.csv_rows(data, where, _COLUMNS)})


def import_closes(
    data: bytes,
    where: str,
    underlyings: Sequence[str],
    first: dt.date | None = None,
    last: dt.date | None = None,
    *,
    source: str = DAILY_CLOSES,
) -> History:
    """Prices of some underlyings from a table of daily closes.

    `first` and `last` bound the history, both inclusive. Without `first` it starts on the first day on which every chosen
    underlying has a close; without `last` it ends with the file, whose last row must then be complete. `source` is what the
    history says of itself.

    Raises:
        EncodingError, ImportFormatError: see `rows.csv_rows`; no column of an underlying.
        HistoryError: a day is missing, twice, or out of order; a close is missing inside the bounds; no such day.
        UnitError, SnapshotError: a close that is no price.
    """
    days: list[dt.date] = []
    table: list[list[int]] = []
    for at, fields in rows.csv_rows(data, where, ("date", *underlyings)):
        day = parse_day(fields["date"], f"{at}: date")
        if (first is not None and day < first) or (last is not None and day > last):
            continue
        if first is None and not days and not all(fields[u] for u in underlyings):
            continue
        if days and day != days[-1] + dt.timedelta(days=1):
            raise HistoryError(f"{day} follows {days[-1]}", where=at, expected=f"{days[-1] + dt.timedelta(days=1)}")
        for u in underlyings:
            if not fields[u]:
                raise HistoryError(
                    f"no close of {u} on {day}", where=at, expected="a close on every day of the history"
                )
        days.append(day)
        table.append([rows.price(fields[u], f"{at}: {u}") for u in underlyings])
    _check_bounds(days, first, last, where)
    order = sorted(range(len(underlyings)), key=lambda n: underlyings[n])
    levels = np.array(table, dtype=np.int64)[:, order]
    return History(source, days[0], tuple(Factor(underlyings[n]) for n in order), levels)


def _check_bounds(days: list[dt.date], first: dt.date | None, last: dt.date | None, where: str) -> None:
    if len(days) < 2:
        raise HistoryError(f"{len(days)} usable days", where=where, expected="two or more")
    if first is not None and days[0] != first:
        raise HistoryError(f"starts on {days[0]}", where=where, expected=f"{first}, the first day asked for")
    if last is not None and days[-1] != last:
        raise HistoryError(f"ends on {days[-1]}", where=where, expected=f"{last}, the last day asked for")


@dataclass(frozen=True, slots=True)
class _Point:
    """One expiry of a surface. time: seconds since the epoch; forward 1e-9; volatility 1e-12."""

    time: int
    forward: int
    volatility: int
    at: str


def import_surface(
    data: bytes,
    where: str,
    underlyings: Sequence[str],
    tenors: Sequence[int] = (7, 30, 90, 180),
    *,
    hour: int = 21,
    tolerance_hours: int = 6,
    first: dt.date | None = None,
    last: dt.date | None = None,
    source: str | None = None,
) -> History:
    """Prices and at-the-money volatilities at constant tenors, one level a day, from snapshots of volatility surfaces.

    A day's level is taken from the snapshot nearest to `hour` UTC, the earlier of two equally near ones, at most `tolerance_hours`
    away; less than half a day, so that no snapshot is the level of two days. The price is the forward of the nearest expiry after
    the snapshot, at most four days ahead. The volatility at tenor T is linear in total variance between the expiries T1 <= T < T2
    around it, and rounded to the nearest:

        vol^2 T = ( vol1^2 T1 (T2 - T) + vol2^2 T2 (T - T1) ) / (T2 - T1)

    Raises:
        EncodingError, ImportFormatError, UnitError, SnapshotError: a row that is not of the documented form.
        HistoryError: no snapshot near a day's hour, an expiry twice, no expiry around a tenor; names the instant.
    """
    if not 0 <= hour < 24 or not 0 < tolerance_hours < 12:
        raise HistoryError("no such hour", where="hour", expected="hour 0 to 23, tolerance 1 to 11 hours")
    surfaces = _surfaces(data, where, set(underlyings))
    factors = [Factor(u, t) for u in underlyings for t in (0, *tenors)]
    columns: list[list[int]] = []
    start: dt.date | None = None
    for u in underlyings:
        instants = sorted(surfaces.get(u, {}))
        if not instants:
            raise HistoryError(f"no snapshot of {u}", where=where, expected=f"rows whose ccy is {u}")
        begin = first if first is not None else _day_of(instants[0])
        end = last if last is not None else _day_of(instants[-1])
        if start is not None and begin != start:
            raise HistoryError(f"{u} starts on {begin}", where=where, expected=f"{start}, as {underlyings[0]} does")
        start = begin
        points = []
        for n in range((end - begin).days + 1):
            noon = int(dt.datetime.combine(begin + dt.timedelta(days=n), dt.time(hour), dt.UTC).timestamp())
            instant = _nearest(instants, noon, tolerance_hours * 3_600, u, where)
            points.append(_levels(surfaces[u][instant], instant, u, tenors))
        columns += [list(column) for column in zip(*points, strict=True)]
    if start is None:
        raise HistoryError("no underlying", where="underlyings", expected="one or more")
    if len({len(column) for column in columns}) != 1:
        raise HistoryError("underlyings end on different days", where=where, expected="a last day that all have")
    order = sorted(range(len(factors)), key=lambda n: factors[n])
    levels = np.array([columns[n] for n in order], dtype=np.int64).T
    return History(surfaces_at(hour) if source is None else source, start, tuple(factors[n] for n in order), levels)


def _surfaces(data: bytes, where: str, underlyings: set[str]) -> dict[str, dict[int, list[_Point]]]:
    """Points by underlying and instant, sorted by expiry; what has expired at its instant is refused."""
    found: dict[str, dict[int, list[_Point]]] = {}
    for at, fields in rows.csv_rows(data, where, _COLUMNS):
        if fields["ccy"] not in underlyings:
            continue
        instant = units.parse_time(fields["snapshot"], f"{at}: snapshot")
        day = parse_day(fields["expiry"], f"{at}: expiry")
        expiry = int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) + EXPIRY_SECOND
        if expiry <= instant:
            raise HistoryError(
                f"expired at {units.format_time(expiry)}", where=at, expected="an expiry after the snapshot"
            )
        forward = rows.price(fields["fwd"], f"{at}: fwd")
        volatility = rows.volatility(fields["atm_iv"], f"{at}: atm_iv")
        points = found.setdefault(fields["ccy"], {}).setdefault(instant, [])
        points.append(_Point(expiry, forward, volatility, at))
    for by_instant in found.values():
        for points in by_instant.values():
            points.sort(key=lambda p: p.time)
            for a, b in pairwise(points):
                if a.time == b.time:
                    raise HistoryError(f"the expiry of {a.at} again", where=b.at, expected="each expiry once")
    return found


def _day_of(instant: int) -> dt.date:
    return dt.datetime.fromtimestamp(instant, dt.UTC).date()


def _nearest(instants: list[int], target: int, tolerance: int, underlying: str, where: str) -> int:
    n = bisect_left(instants, target)
    near = min(instants[max(0, n - 1) : n + 1], key=lambda x: (abs(x - target), x))
    if abs(near - target) > tolerance:
        raise HistoryError(
            f"no snapshot of {underlying} within {tolerance // 3600} h of {units.format_time(target)}",
            where=where,
            expected=f"one nearer than {units.format_time(near)}",
        )
    return near


def _levels(points: list[_Point], instant: int, underlying: str, tenors: Sequence[int]) -> list[int]:
    place = f"{underlying} at {units.format_time(instant)}"
    if points[0].time - instant > NEAREST_EXPIRY:
        raise HistoryError("no expiry near enough to stand for the price", where=place, expected="one within four days")
    levels = [points[0].forward]
    expiries = [p.time - instant for p in points]
    for days in tenors:
        tenor = days * SECONDS_PER_DAY
        n = bisect_left(expiries, tenor)
        if n == len(points) or (n == 0 and expiries[0] != tenor):
            raise HistoryError(
                f"no expiries around {days} days", where=place, expected="one at or before, one at or after"
            )
        if expiries[n] == tenor:
            levels.append(points[n].volatility)
            continue
        t1, t2, vol1, vol2 = expiries[n - 1], expiries[n], points[n - 1].volatility, points[n].volatility
        numerator = vol1**2 * t1 * (t2 - tenor) + vol2**2 * t2 * (tenor - t1)
        levels.append(nearest_root(numerator, tenor * (t2 - t1)))
    return levels
