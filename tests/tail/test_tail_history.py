"""Histories: documents, importers, and every way in which one has a gap."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from tail_support import FACTORS, SHARED, made_history

from riskproof.errors import EncodingError, HistoryError, ImportFormatError, SnapshotError, UnitError
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.history_csv import import_closes, import_surface

CLOSES = "date,BTC,ETH\n2026-01-01,90000,\n2026-01-02,90100.5,3000\n2026-01-03,89000,3010.25\n2026-01-04,88000,2990\n"
SURFACE = """snapshot,ccy,expiry,fwd,atm_iv
20260101T210000Z,BTC,2026-01-02,90000,40
20260101T210000Z,BTC,2026-02-06,90500,50
20260101T150000Z,BTC,2026-01-02,90300,41
20260101T150000Z,BTC,2026-02-06,90700,51
20260102T203000Z,BTC,2026-01-03,91000,42
20260102T203000Z,BTC,2026-02-06,91500,49
"""


def edited(document: dict[str, object], **members: object) -> bytes:
    return json.dumps(document | members, sort_keys=True, separators=(",", ":")).encode()


def test_closes() -> None:
    history = import_closes(CLOSES.encode(), "closes.csv", ["ETH", "BTC"])
    assert (history.start, history.end) == (dt.date(2026, 1, 2), dt.date(2026, 1, 4))
    assert history.factors == (Factor("BTC"), Factor("ETH"))
    assert history.levels.tolist()[1] == [89_000 * 10**9, 3_010_250_000_000]
    assert len(import_closes(CLOSES.encode(), "closes.csv", ["BTC"])) == 4
    bounded = import_closes(CLOSES.encode(), "c", ["BTC"], dt.date(2026, 1, 2), dt.date(2026, 1, 3))
    assert bounded.levels.tolist() == [[90_100_500_000_000], [89_000_000_000_000]]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (CLOSES.replace("2026-01-03,89000,3010.25\n", ""), HistoryError,
         r"c\.csv:4: 2026-01-04 follows 2026-01-02 \(expected 2026-01-03\)"),
        (CLOSES.replace("3010.25", ""), HistoryError, r"c\.csv:4: no close of ETH on 2026-01-03"),
        (CLOSES.replace("2990", ""), HistoryError, r"c\.csv:5: no close of ETH on 2026-01-04"),
        (CLOSES.replace("2026-01-03", "2026-01-02"), HistoryError, "2026-01-02 follows 2026-01-02"),
        (CLOSES.replace("2026-01-03", "2026-1-3"), HistoryError, r"c\.csv:4: date: not a day: '2026-1-3'"),
        (CLOSES.replace("2026-01-03", "20260103"), HistoryError, "not a day"),
        (CLOSES.replace("89000", "0"), SnapshotError, r"c\.csv:4: BTC: price 0 is out of the kernel's domain"),
        (CLOSES.replace("89000", "nan"), UnitError, r"c\.csv:4: BTC: not a plain decimal"),
        (CLOSES.replace("ETH", "SOL"), ImportFormatError, "column 'ETH' is missing"),
        ("date,BTC,ETH\n2026-01-01,1,1\n", HistoryError, "1 usable days"),
    ],
)  # fmt: skip
def test_closes_with_gaps_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        import_closes(text.encode(), "c.csv", ["BTC", "ETH"])


def test_bounds_that_the_closes_do_not_have() -> None:
    with pytest.raises(HistoryError, match=r"starts on 2026-01-01 .expected 2025-12-31"):
        import_closes(CLOSES.encode(), "c", ["BTC"], first=dt.date(2025, 12, 31))
    with pytest.raises(HistoryError, match=r"ends on 2026-01-04 .expected 2026-01-05"):
        import_closes(CLOSES.encode(), "c", ["BTC"], last=dt.date(2026, 1, 5))


def test_surface_takes_the_snapshot_nearest_the_hour_and_interpolates_total_variance() -> None:
    history = import_surface(SURFACE.encode(), "s.csv", ["BTC"], (7, 30))
    assert history.factors == (Factor("BTC"), Factor("BTC", 7), Factor("BTC", 30))
    assert history.levels[:, 0].tolist() == [90_000 * 10**9, 91_000 * 10**9]
    near, far = 11 * 3_600, 35 * 86_400 + 11 * 3_600
    for tenor, level in ((7 * 86_400, history.levels[0, 1]), (30 * 86_400, history.levels[0, 2])):
        variance = np.interp(tenor, [near, far], [0.4**2 * near, 0.5**2 * far])
        assert abs(int(level) - np.sqrt(variance / tenor) * 1e12) < 2
    earlier = import_surface(SURFACE.encode(), "s.csv", ["BTC"], (7,), hour=18)
    assert earlier.levels[0, 0] == 90_300 * 10**9  # of two equally near, the earlier


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("20260102T203000Z", "20260102T140000Z", HistoryError, "s.csv: no snapshot of BTC within 6 h of 2026-01-02T21:00:00Z"),
        ("20260102T203000Z", "20260103T203000Z", HistoryError, "expired at 2026-01-03T08:00:00Z"),
        ("2026-02-06,91500", "2026-01-03,91500", HistoryError, r"s\.csv:7: the expiry of s\.csv:6 again"),
        ("2026-02-06,91500", "2026-01-16,91500", HistoryError, "BTC at 2026-01-02T20:30:00Z: no expiries around 30 days"),
        ("2026-01-03,91000", "2026-01-08,91000", HistoryError, "no expiry near enough"),
        (",49\n", ",\n", UnitError, r"s\.csv:7: atm_iv"),
        (",49\n", ",501\n", SnapshotError, "volatility 501 is out of the kernel's domain"),
        ("91500", "1e5", UnitError, r"s\.csv:7: fwd: not a plain decimal"),
        ("atm_iv", "iv", ImportFormatError, "column 'atm_iv' is missing"),
    ],
)  # fmt: skip
def test_surfaces_with_gaps_are_refused(old: str, new: str, error: type[Exception], message: str) -> None:
    assert old in SURFACE
    with pytest.raises(error, match=message):
        import_surface(SURFACE.replace(old, new).encode(), "s.csv", ["BTC"], (7, 30))


def test_surface_arguments() -> None:
    with pytest.raises(HistoryError, match=r"no such hour"):
        import_surface(SURFACE.encode(), "s.csv", ["BTC"], hour=24)
    with pytest.raises(HistoryError, match=r"tolerance 1 to 11 hours"):
        import_surface(SURFACE.encode(), "s.csv", ["BTC"], tolerance_hours=12)
    with pytest.raises(HistoryError, match=r"no snapshot of ETH"):
        import_surface(SURFACE.encode(), "s.csv", ["ETH"])
    with pytest.raises(HistoryError, match=r"no underlying"):
        import_surface(SURFACE.encode(), "s.csv", [])


def test_documents_round_trip() -> None:
    history = made_history(40)
    again = History.from_bytes(history.to_bytes())
    assert again.digest == history.digest
    assert (again.levels == history.levels).all()
    assert history.between(history.day(3), history.day(9)).digest != history.digest
    with pytest.raises(ValueError, match=r"read-only"):
        history.levels[0, 0] = 1


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"schema": "riskproof/history/v2"}, HistoryError, r"history\.schema: not a history of this version"),
        ({"start": "2023-02-30"}, HistoryError, r"history\.start: not a day"),
        ({"start": "9999-12-20"}, HistoryError, "ends after the year 9999"),
        ({"source": ""}, EncodingError, r"history\.source"),
        ({"factors": []}, HistoryError, r"history\.levels\[0\]: 8 lists of levels, this one of 40 days"),
        ({"extra": 1}, EncodingError, "unknown member 'extra'"),
        ({"levels": [["1"]] * 8}, HistoryError, "1 days"),
        ({"levels": [["1", "2"]] * 7 + [["1"]]}, HistoryError, r"history\.levels\[7\]: 8 lists of levels, this one of 1 days"),
        ({"levels": [["1.5", "2"]] * 8}, UnitError, r"history\.levels\[0\]\[0\]: not a canonical integer"),
        ({"levels": [["0", "2"]] * 8}, HistoryError, r"levels\[0\]\[0\]: price of BTC of 0 on 2023-01-01 is out of range"),
        ({"levels": []}, HistoryError, r"history\.levels: no levels"),
    ],
)  # fmt: skip
def test_documents_that_are_wrong(members: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        History.from_bytes(edited(made_history(40).to_document(), **members))


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ((Factor("ETH"), Factor("BTC")), "not sorted, or a factor twice"),
        ((Factor("BTC"), Factor("BTC")), "not sorted, or a factor twice"),
        ((Factor("BTC", 30), Factor("ETH")), r"factors\[0\]: 30-day volatility of BTC without the price of BTC"),
        ((), "0 factors"),
    ],
)
def test_factors_that_are_wrong(factors: tuple[Factor, ...], message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        History("x", dt.date(2026, 1, 1), factors, np.full((3, len(factors)), 10**12))


def test_factor_names() -> None:
    with pytest.raises(HistoryError, match=r"not a name: 'B TC'"):
        Factor("B TC")
    with pytest.raises(HistoryError, match=r"tenor out of range"):
        Factor("BTC", 3_651)


def test_joining_takes_the_days_that_both_have() -> None:
    coins = made_history(40).selected(lambda f: f.underlying == "BTC")
    other = made_history(40, 2, (Factor("ETH"),)).between(dt.date(2023, 1, 5), dt.date(2023, 1, 30))
    both = coins.joined(other)
    assert (both.start, both.end) == (other.start, other.end)
    assert both.factors == (*(f for f in FACTORS if f.underlying == "BTC"), Factor("ETH"))
    assert (both.levels[:, -1] == other.levels[:, 0]).all()
    with pytest.raises(HistoryError, match=r"price of BTC is in both histories"):
        coins.joined(made_history(40))
    with pytest.raises(HistoryError, match=r"2023-01-01 to 2024-01-01 is not covered"):
        coins.between(dt.date(2023, 1, 1), dt.date(2024, 1, 1))
    with pytest.raises(HistoryError, match=r"without the price"):
        made_history(5).selected(lambda f: not f.is_price)


def _file(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name} of ../shared/market")
    return path


def test_the_real_closes() -> None:
    data = _file("daily_closes.csv").read_bytes()
    history = import_closes(data, "daily_closes.csv", ["BTC", "ETH", "SOL"])
    assert (len(history), history.end) == (2_154, dt.date(2026, 3, 3))
    with pytest.raises(HistoryError, match=r"daily_closes\.csv:3122: no close of AVAX on 2026-03-03"):
        import_closes(data, "daily_closes.csv", ["AVAX"])


def test_the_real_surface() -> None:
    data = _file("deribit_surface_history.csv").read_bytes()
    history = import_surface(data, "deribit_surface_history.csv", ["ETH", "BTC"])
    assert (len(history), history.start, len(history.factors)) == (236, dt.date(2025, 12, 30), 10)
    crash = history.day(37)
    assert crash == dt.date(2026, 2, 5)
    assert history.levels[37, 0] == 63_708_110_000_000  # fwd of the nearest expiry at 2026-02-05T21:29:37Z
    with pytest.raises(HistoryError, match=r"no snapshot of BTC within 4 h of 2026-02-02T21:00:00Z"):
        import_surface(data, "deribit_surface_history.csv", ["BTC"], tolerance_hours=4)
