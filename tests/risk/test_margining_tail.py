"""The tail block: joint moves as margin, by hand, against an independent float64 revaluation, and its mistakes."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import random
import re
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskproof.errors import HistoryError, ModelError
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, OptionType
from riskproof.risk.margining import (
    Account,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    evaluate_model,
    load,
    load_model,
    margin,
)
from riskproof.risk.margining.incremental import AccountMargin
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.estimators import shrunk_covariance
from riskproof.risk.tail.evaluate import evaluate_tail
from riskproof.risk.tail.history import Factor, History
from riskproof.risk.tail.history_csv import import_closes, import_surface
from riskproof.risk.tail.methods import MonteCarlo
from riskproof.risk.tail.model import TailModel
from riskproof.risk.tail.moves import plain_moves
from riskproof.risk.whatif import attribute, compare, open_book

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tail"))
from tail_support import FACTORS, SHARED, float_pnl, float_shortfall, made_history, some_book, tail_market

DAY = 86_400
BTC, ETH, VOL = Factor("BTC"), Factor("ETH"), Factor("BTC", 30)

# BTC moves by 1.1, 0.8, 1.25, 1; its volatility by 1, 2, 1/2, 1; ETH by 0.9, 1.2, 1, 1.5.
LEVELS = [[100, 50, 10], [110, 50, 9], [88, 100, "10.8"], [110, 50, "10.8"], [110, 50, "16.2"]]
HISTORY = History(
    "by hand",
    dt.date(2026, 1, 1),
    (BTC, VOL, ETH),
    np.array([[int(Fraction(x) * s) for x, s in zip(row, (10**9, 10**10, 10**9), strict=True)] for row in LEVELS]),
)
PLAIN: dict[str, Any] = {
    "id": "days",
    "measure": {"kind": "expected_shortfall", "tail": "0.375"},
    "method": "historical",
    "history": HISTORY.digest.hex(),
    "first": "2026-01-01",
    "last": "2026-01-05",
    "horizon_days": 1,
    "weight_decay": "1",
}
SHOCKS: dict[str, Any] = {
    "id": "shocks",
    "measure": {"kind": "worst_loss"},
    "method": "common_factor",
    "common": ["-0.2", "0.2"],
    "betas": {"BTC": "1", "ETH": "1.5"},
    "idiosyncratic": {"ETH": "0.1"},
    "volatilities": ["0.5"],
    "tenors": [30],
    "corners": False,
}


def option(name: str, strike: int, side: OptionType, vol: str = "0") -> Listing:
    return Listing(
        name, Kind.OPTION, "BTC", expiry=30 * DAY, strike=Fraction(strike), option_type=side, volatility=Fraction(vol)
    )


MARKET = MarginMarket(
    "USDC",
    {"BTC": Index(Fraction(100)), "ETH": Index(Fraction(10)), "DOGE": Index(Fraction(1))},
    {("BTC", 30 * DAY): Forward(30 * DAY, Fraction(110), Fraction(10))},
    (
        Listing("USDC", Kind.SPOT, "USDC"),
        Listing("BTC", Kind.SPOT, "BTC", mark=Fraction(99)),
        Listing("BTC-PERP", Kind.PERPETUAL, "BTC", mark=Fraction(100)),
        Listing("ETH-PERP", Kind.PERPETUAL, "ETH", mark=Fraction(10)),
        Listing("DOGE-PERP", Kind.PERPETUAL, "DOGE", mark=Fraction(1)),
        option("C100", 100, OptionType.CALL),
        option("P100", 100, OptionType.PUT, "0.5"),
    ),
    histories=(HISTORY,),
)


def document(*sets: dict[str, Any], **members: Any) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "schema": "riskproof/model/v2",
            "name": "tail",
            "description": "joint moves",
            "checked": "by hand",
            "grid": {"scenarios": []},
            "volatility": {"shocks": {}},
            "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
            "netting": {"sets": "account"},
            "charges": [],
            "aggregate": {
                "account": {
                    "equity": "value.total",
                    "initial": {"mul": ["maintenance", "2"]},
                    "maintenance": {"max": [*(f"joint_tail.{s['id']}" for s in sets), "0"]},
                }
            },
            "collateral": {
                "conversion": "none",
                "assets": {"BTC": {"initial": "0.2", "maintenance": "0.1", "moves": True}},
            },
            "tail": {"sets": list(sets)},
            "rounding": {
                "requirement": {"decimals": 6, "direction": "up"},
                "value": {"decimals": 6, "direction": "down"},
            },
            "limits": {"legs": 100, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 60},
        }
        | members
    )


def model(*sets: dict[str, Any], **members: Any) -> MarginModel:
    return MarginModel.from_document(document(*sets, **members))


def run(m: MarginModel, positions: dict[str, Any], market: MarginMarket = MARKET) -> MarginReport:
    return evaluate_model(m, market, Account.build(market, {k: Fraction(x) for k, x in positions.items()}))


def test_expected_shortfall_is_margin_by_hand() -> None:
    """2 BTC short 10 ETH: +20 + 10, -40 - 20, 50, -50. A tail of 1.5 of 4: the loss of 60 and half of the 50."""
    report = run(model(PLAIN), {"BTC-PERP": 2, "ETH-PERP": -10})
    assert report.maintenance == Fraction(60 + 25) / Fraction("1.5")
    assert report.initial == 2 * report.maintenance
    (tail,) = report.tails
    assert (tail.id, tail.measure, tail.worst) == ("days", "expected_shortfall", "2026-01-03")
    assert (tail.amount, tail.value_at_risk, tail.loss) == (report.maintenance, 50, 60)
    assert report.to_document()["tails"] == [
        {
            "id": "days",
            "measure": "expected_shortfall",
            "amount": "56.666667",
            "value_at_risk": "50",
            "worst": {"id": "2026-01-03", "loss": "60"},
        }
    ]
    assert [(c.term, c.binding) for c in report.choices][-1] == ("maintenance", "joint_tail.days")


@pytest.mark.parametrize(("kind", "amount"), [("value_at_risk", 50), ("expected_shortfall", Fraction(170, 3))])
def test_other_measures(kind: str, amount: Fraction) -> None:
    report = run(model(PLAIN | {"measure": {"kind": kind, "tail": "0.375"}}), {"BTC-PERP": 2, "ETH-PERP": -10})
    assert report.maintenance == amount


def test_netting_sets_meet_in_each_joint_move() -> None:
    """Sets of their own: BTC loses 40 on the second day, ETH 50 and 20. Together, a gain of one set counts half."""
    aggregate = {
        "set": {"own": "tail.days"},
        "account": {"equity": "0", "initial": "own", "maintenance": "joint_tail.days"},
    }
    netting = {"sets": "underlying", "gain_factor": "0.5"}
    report = run(model(PLAIN, aggregate=aggregate, netting=netting), {"BTC-PERP": 2, "ETH-PERP": -10})
    assert report.initial == Fraction(40) / Fraction("1.5") + Fraction(50 + 10) / Fraction("1.5")
    assert report.maintenance == Fraction(60 + 25) / Fraction("1.5")
    hedged = run(model(PLAIN, aggregate=aggregate, netting=netting), {"BTC-PERP": 2, "ETH-PERP": 10})
    # days: 20/2 - 10, -40 + 20/2, 50/2, 50/2
    assert hedged.maintenance == Fraction(30) / Fraction("1.5")
    assert hedged.tails[0].worst == "2026-01-03"


def test_forwards_volatilities_and_collateral_move_together() -> None:
    """The settled 10 of the forward stay; the put's volatility is that of one price history day."""
    values = run(model(PLAIN | {"measure": {"kind": "worst_loss"}}), {"C100": -1, "BTC": 1})
    # C100 is worth 10 at a forward of 10 + 100 r: 20, 0, 35, 10; BTC is worth 99 r.
    assert values.maintenance == max(10 - Fraction("9.9"), -10 + Fraction("19.8"), 25 - Fraction("24.75"), 0)
    put = model(PLAIN | {"measure": {"kind": "worst_loss"}})
    base = run(put, {"P100": 1}).values["options"]
    down = replace(
        MARKET,
        forwards={("BTC", 30 * DAY): Forward(30 * DAY, Fraction(90), Fraction(10))},
        listings=(*MARKET.listings[:-1], option("P100", 100, OptionType.PUT, "1")),
    )
    assert run(put, {"P100": -1}).maintenance == run(put, {"P100": 1}, down).values["options"] - base


def test_static_factors_are_those_of_the_pricing_block() -> None:
    pricing = {
        "kernel": "black76-nearest/1",
        "discounting": "none",
        "static_discount": {"short": {"base": "1.5", "rate_multiplier": "0", "rate_addition": "0"}},
    }
    report = run(model(PLAIN | {"measure": {"kind": "worst_loss"}}, pricing=pricing), {"C100": -1})
    assert report.maintenance == Fraction(35) * Fraction("1.5") - 10


def test_scan_ranges_are_not_of_joint_moves() -> None:
    grid = {"scenarios": [{"id": "up", "price": "1"}], "scan_ranges": {"ranges": {}, "other": {"absolute": "7"}}}
    positions = {"BTC-PERP": 2, "ETH-PERP": -10, "C100": 1}
    assert run(model(PLAIN, grid=grid), positions).tails == run(model(PLAIN), positions).tails


def test_time_passes_in_every_joint_move() -> None:
    still = PLAIN | {"measure": {"kind": "worst_loss"}}
    shifted = document(still)
    shifted["tail"] |= {"unshocked": ["BTC"], "constant_volatility": ["BTC"], "time_shift_seconds": 30 * DAY}
    report = run(MarginModel.from_document(shifted), {"P100": 1})
    assert report.maintenance == report.values["options"]  # at expiry 110 is above 100


def test_an_account_without_positions_needs_nothing() -> None:
    report = run(model(PLAIN), {"USDC": 5})
    assert (report.maintenance, report.equity, report.tails) == (0, 5, ())


def test_a_common_factor_with_own_moves() -> None:
    """Long BTC, short ETH of beta 1.5: the worst is a rise in which ETH gains 10 % more."""
    report = run(model(SHOCKS), {"BTC-PERP": 3, "ETH-PERP": -20})
    assert report.tails[0].worst == "c0.2/ETH+/v0.5"
    assert report.maintenance == -(300 * Fraction("0.2") - 200 * (Fraction("1.3") * Fraction("1.1") - 1))


def paths(rho: str, **members: Any) -> dict[str, Any]:
    correlation = {
        "schema": "riskproof/correlation/v1",
        "name": "pair",
        "description": "a pair",
        "horizon_days": 1,
        "factors": [BTC.to_document(), ETH.to_document()],
        "volatilities": ["0.03", "0.04"],
        "correlations": [[rho]],
    }
    measure = {"kind": "expected_shortfall", "tail": "0.05"}
    return {
        "id": "paths",
        "measure": measure,
        "method": "monte_carlo",
        "correlation": correlation,
        "seed": "7",
        "paths": 400,
        "antithetic": True,
    } | members


def test_correlation_is_in_the_digest_and_in_the_margin() -> None:
    low, high = model(paths("0.2")), model(paths("0.9"))
    assert low.digest != high.digest
    hedged, outright = {"BTC-PERP": 1, "ETH-PERP": -8}, {"BTC-PERP": 1, "ETH-PERP": 8}
    assert run(high, hedged).maintenance < run(low, hedged).maintenance
    assert run(high, outright).maintenance > run(low, outright).maintenance


def test_an_interval_takes_the_worst_correlation() -> None:
    interval = {"interval": {"floor": "0.2", "ceiling": "0.9", "points": 2}}
    both = model(paths("0.5", **interval))
    for book in ({"BTC-PERP": 1, "ETH-PERP": -8}, {"BTC-PERP": 1, "ETH-PERP": 8}):
        ends = [run(model(paths(rho)), book).tails[0] for rho in ("0.2", "0.9")]
        worst = max(ends, key=lambda x: x.amount)
        found = run(both, book).tails[0]
        assert found.amount == worst.amount
        assert found.worst == f"rho{'0.2' if worst is ends[0] else '0.9'}/{worst.worst}"


def test_the_document_is_a_fixed_point_and_leaves_defaults_out() -> None:
    written = document(PLAIN, SHOCKS, paths("0.5", interval={"floor": "0", "ceiling": "0.9", "points": 3}))
    m = MarginModel.from_document(written)
    assert MarginModel.from_bytes(m.to_bytes()).to_bytes() == m.to_bytes()
    assert MarginModel.from_bytes(m.to_bytes()).digest == m.digest
    assert m.to_document()["tail"] == written["tail"]
    written["tail"] |= {"unshocked": [], "constant_volatility": [], "time_shift_seconds": 0}
    assert MarginModel.from_document(written).digest == m.digest
    written["tail"]["unshocked"] = ["DOGE"]
    assert MarginModel.from_document(written).digest != m.digest


def test_margin_after_trades_is_that_of_the_account_after_them() -> None:
    m = model(PLAIN, SHOCKS, netting={"sets": "underlying", "gain_factor": "0.5"})
    account = Account.build(MARKET, {"C100": Fraction(-1), "ETH-PERP": Fraction(10), "P100": Fraction(3)})
    kept = AccountMargin(m, MARKET, account)
    assert kept.report == evaluate_model(m, MARKET, account)
    for trades in ({"C100": "2.5"}, {"ETH-PERP": -4, "P100": -3}, {"BTC-PERP": 1}, {"BTC": 1}):
        places = {MARKET.place(name): Fraction(q) for name, q in trades.items()}
        total = {name: Fraction(q) for name, q in {"C100": -1, "ETH-PERP": 10, "P100": 3}.items()}
        for name, q in trades.items():
            total[name] = total.get(name, Fraction(0)) + Fraction(q)
        assert kept.after(places) == run(m, {k: q for k, q in total.items() if q})


WIDE = replace(
    MARKET,
    forwards={**MARKET.forwards, ("BTC", 60 * DAY): Forward(60 * DAY, Fraction(115))},
    listings=(
        *MARKET.listings,
        replace(option("F90", 90, OptionType.PUT, "0.75"), expiry=60 * DAY),
        replace(option("F120", 120, OptionType.CALL, "0.6"), expiry=60 * DAY),
    ),
)
DAMPED: dict[str, Any] = {
    "kernel": "black76-nearest/1",
    "discounting": "none",
    "static_discount": {
        "long": {"base": "0.9", "rate_multiplier": "0", "rate_addition": "0.08"},
        "short": {"base": "1.5", "rate_multiplier": "0", "rate_addition": "0"},
    },
}
THREE = paths(
    "0",
    paths=40,
    interval={"floor": "0.2", "ceiling": "0.9", "points": 3},
    correlation={
        "schema": "riskproof/correlation/v1",
        "name": "three",
        "description": "with a volatility",
        "horizon_days": 1,
        "factors": [BTC.to_document(), VOL.to_document(), ETH.to_document()],
        "volatilities": ["0.03", "0.08", "0.04"],
        "correlations": [["-0.3"], ["0.5", "-0.2"]],
    },
)
NAMES = ("BTC", "BTC-PERP", "ETH-PERP", "C100", "P100", "F90", "F120")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"netting": {"sets": "underlying", "gain_factor": "1/3"}},
        {"netting": {"sets": "expiry"}},
        {"pricing": DAMPED},
    ],
)
def test_any_trades_give_the_numbers_of_the_account_after_them(members: dict[str, Any]) -> None:
    """Expiries opened, closed and turned round, quantities without a common unit, every measure, an interval."""
    value_at_risk = PLAIN | {"id": "quantile", "measure": {"kind": "value_at_risk", "tail": "0.25"}}
    m = model(PLAIN, SHOCKS, value_at_risk, THREE, **members)
    draw = random.Random(3)
    for _ in range(6):
        held = {name: Fraction(draw.randint(1, 99), draw.choice((7, 10, 1000))) for name in draw.sample(NAMES, 4)}
        kept = AccountMargin(m, WIDE, Account.build(WIDE, held))
        for _ in range(4):
            trades = {
                name: Fraction(draw.choice((-1, 1)) * draw.randint(1, 99), draw.choice((3, 10, 10**40 + 1)))
                for name in draw.sample(NAMES[1:], 2)
            }
            trades |= {name: -q for name, q in held.items() if name != "BTC" and draw.random() < 0.3}
            after = {name: held.get(name, Fraction(0)) + trades.get(name, Fraction(0)) for name in NAMES}
            expected = run(m, {name: q for name, q in after.items() if q}, WIDE)
            assert kept.after({WIDE.place(name): q for name, q in trades.items()}) == expected


@pytest.mark.parametrize(
    ("sets", "factor"), [("account", "1"), ("underlying", "1"), ("underlying", "1/3"), ("expiry", "0.5")]
)
def test_positions_add_up_to_every_joint_move(sets: str, factor: str) -> None:
    netting = {"sets": sets} | ({} if factor == "1" else {"gain_factor": factor})
    m = model(PLAIN, SHOCKS, THREE, netting=netting, pricing=DAMPED)
    held = {"BTC": 1, "BTC-PERP": -2, "ETH-PERP": 15, "C100": -1, "P100": "2.5", "F90": -3, "F120": "0.1"}
    account = Account.build(WIDE, {name: Fraction(x) for name, x in held.items()})
    kept = AccountMargin(m, WIDE, account)
    for n in range(3):
        joint = kept.joint_pnl(n)
        for part, pnl in enumerate(joint.parts):
            some = list(range(0, len(pnl), 3))
            by_position = kept.joint_pnl_by_position(n, part, some)
            assert by_position.keys() == {place for place, _ in account.positions}
            sums = [sum(amounts) for amounts in zip(*by_position.values(), strict=True)]
            assert sums == [Fraction(pnl[k], joint.unit) for k in some]
        assert min(Fraction(min(part), joint.unit) for part in joint.parts) <= -kept.report.tails[n].loss


def test_against_float64_and_the_kernel() -> None:
    """Fifteen positions, options of three expiries on two coins, linear and inverse: 159 days revalued by three implementations."""
    market, history = tail_market(), made_history(160)
    book = some_book(market, 15, 3)
    plain = PLAIN | {"history": history.digest.hex(), "first": "2023-01-01", "last": "2023-06-09"}
    plain |= {"measure": {"kind": "expected_shortfall", "tail": "0.025"}}
    collateral = {
        "conversion": "none",
        "assets": {u: {"initial": "0", "maintenance": "0", "moves": True} for u in ("BTC", "ETH")},
    }
    pricing = {"kernel": "black76-nearest/1", "discounting": "rate"}
    held = [(i, q) for i, q in book.positions if market.registry.instruments[i].kind is not Kind.SPOT or q > 0]
    book = type(book).build(held)
    m = model(plain, collateral=collateral, pricing=pricing)
    report = margin(m, market, book, histories=[history])
    moves = plain_moves(history)
    floats = float_pnl(market, book, moves.factors, moves.ratios / 1e12)
    quantile, expected = float_shortfall(floats, 0.025)
    scale = 1e-9 * float(np.abs(floats).max())
    assert float(report.maintenance) == pytest.approx(expected, abs=scale)
    assert float(report.tails[0].value_at_risk or 0) == pytest.approx(quantile, abs=scale)
    assert report.tails[0].worst == moves.ids[int(np.argmin(floats))]
    tail = TailModel.from_document(
        {
            "schema": "riskproof/tail-model/v1",
            "name": "same",
            "description": "the same moves",
            "measure": plain["measure"],
            "sets": [{k: v for k, v in plain.items() if k != "measure"}],
            "unshocked": [],
            "constant_volatility": [],
            "time_shift_seconds": 0,
        }
    )
    risk = evaluate_tail(market, tail, book, [history])
    one = 10 ** (market.registry.money_exponent + market.registry.quantity_exponent)
    assert float(report.maintenance) == pytest.approx(float(risk.requirement / one), rel=1e-7)
    with pytest.raises(HistoryError, match=r"tail\.sets\[0\]\.history: the history [0-9a-f]{64} is not here"):
        margin(m, market, book)


def test_an_estimated_correlation_is_a_block_as_it_is() -> None:
    history = made_history(60, factors=tuple(f for f in FACTORS if f.is_price))
    estimated: Correlation = shrunk_covariance(history).to_correlation("shrunk", "of the made history")
    m = model(paths("0.5") | {"correlation": estimated.to_document()})
    assert m.to_document()["tail"]["sets"][0]["correlation"] == estimated.to_document()
    assert run(m, {"BTC-PERP": 1}).maintenance > 0


def test_another_history_is_refused() -> None:
    other = History("by hand", dt.date(2026, 1, 2), HISTORY.factors, HISTORY.levels)
    with pytest.raises(
        HistoryError, match=r"^tail\.sets\[0\]\.history: the history [0-9a-f]{64} is not here"
    ) as caught:
        run(model(PLAIN), {"BTC-PERP": 1}, replace(MARKET, histories=(other,)))
    assert HISTORY.digest.hex() in caught.value.what


def test_days_that_the_history_does_not_have_are_refused() -> None:
    with pytest.raises(
        HistoryError,
        match=r"tail\.sets\[0\]\.history: 2025-12-31 to 2026-01-05 is not covered \(expected two days or more",
    ):
        run(model(PLAIN | {"first": "2025-12-31"}), {"BTC-PERP": 1})


def test_nothing_stays_where_it_is_by_accident() -> None:
    with pytest.raises(
        ModelError,
        match=r"tail\.sets\[0\]: DOGE-PERP: no move of the price of DOGE "
        r"\(expected a factor in the moves, or the underlying in tail\.unshocked\)",
    ):
        run(model(PLAIN), {"DOGE-PERP": 1})
    with pytest.raises(
        ModelError, match=r"tail\.sets\[0\]: C100: no move of the volatility of BTC .* in tail\.constant_volatility"
    ):
        run(model(paths("0.5")), {"C100": 1})
    named = document(paths("0.5"))
    named["tail"] |= {"unshocked": ["DOGE"], "constant_volatility": ["BTC"]}
    assert run(MarginModel.from_document(named), {"DOGE-PERP": 1}).maintenance == 0
    assert run(MarginModel.from_document(named), {"C100": -1}).maintenance > 0


NOT_DEFINITE = paths("0.5")
NOT_DEFINITE["correlation"] = NOT_DEFINITE["correlation"] | {
    "factors": [BTC.to_document(), ETH.to_document(), Factor("SOL").to_document()],
    "volatilities": ["0.03", "0.04", "0.05"],
    "correlations": [["0.9"], ["0.9", "-0.9"]],
}


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], r"model\.tail\.sets: no set \(expected 1 to 16\)"),
        ([PLAIN, PLAIN], r"model\.tail\.sets\[1\]\.id: days is listed twice"),
        ([{k: v for k, v in PLAIN.items() if k != "measure"}], r"model\.tail\.sets\[0\]\.measure: no measure"),
        (
            [PLAIN | {"measure": {"kind": "variance", "tail": "0.1"}}],
            r"model\.tail\.sets\[0\]\.measure\.kind: not one of",
        ),
        (
            [PLAIN | {"measure": {"kind": "worst_loss", "tail": "0.5"}}],
            r"sets\[0\]\.measure\.tail: worst_loss and its tail",
        ),
        (
            [PLAIN | {"measure": {"kind": "expected_shortfall"}}],
            r"sets\[0\]\.measure\.tail: expected_shortfall and its tail",
        ),
        ([PLAIN | {"measure": PLAIN["measure"] | {"tail": "1"}}], r"sets\[0\]\.measure\.tail: 1 is out of range"),
        (
            [PLAIN | {"measure": PLAIN["measure"] | {"tail": "0.2"}}],
            r"model\.tail\.sets\[0\]\.measure\.tail: a tail of 0\.2 of 4 joint moves holds less than one",
        ),
        ([PLAIN | {"method": "bootstrap"}], r"model\.tail\.sets\[0\]\.method: no such method"),
        ([PLAIN | {"extra": 1}], r"model\.tail\.sets\[0\]: unknown member 'extra'"),
        ([PLAIN | {"history": "00"}], r"model\.tail\.sets\[0\]\.history: "),
        ([PLAIN | {"first": "2026-1-1"}], r"model\.tail\.sets\[0\]\.first: not a day"),
        (
            [PLAIN | {"horizon_days": 5}],
            r"model\.tail\.sets\[0\]\.horizon_days: 5 days \(expected 1 to the length of the window\)",
        ),
        ([PLAIN | {"weight_decay": "1.5"}], r"model\.tail\.sets\[0\]\.weight_decay: "),
        ([PLAIN | {"id": "a b"}], r"model\.tail\.sets\[0\]\.id: not a name: 'a b'"),
        (
            [paths("0.5", paths=4_096), SHOCKS],
            r"model\.tail\.sets\[1\]: 4102 joint moves up to here \(expected at most 4096",
        ),
        ([NOT_DEFINITE], r"model\.tail\.sets\[0\]\.correlation\.correlations: not positive semi-definite"),
    ],
)
def test_mistakes_are_refused_at_their_place(sets: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model(*sets, aggregate={"account": {"equity": "0", "initial": "0", "maintenance": "0"}})


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"unshocked": ["ETH", "BTC"]}, r"model\.tail\.unshocked: not sorted, or an underlying twice"),
        ({"constant_volatility": ["BTC", "BTC"]}, r"model\.tail\.constant_volatility: not sorted"),
        ({"time_shift_seconds": -1}, r"model\.tail\.time_shift_seconds: "),
        ({"liquidity": {}}, r"model\.tail: unknown member 'liquidity'"),
    ],
)
def test_members_of_the_block(members: dict[str, Any], message: str) -> None:
    written = document(PLAIN)
    written["tail"] |= members
    with pytest.raises(ModelError, match=message):
        MarginModel.from_document(written)


@pytest.mark.parametrize(("sets", "interval"), [(5, False), (2, True)])
def test_matrices_that_take_long_to_judge_are_refused_unread(sets: int, interval: bool) -> None:
    one: dict[str, Any] = {"id": "x", "correlation": {"factors": [{}] * 64}} | ({"interval": {}} if interval else {})
    with pytest.raises(ModelError, match=r"correlations of [0-9]+ cubed factors") as refused:
        model(*[one] * sets)
    assert refused.value.where == "model.tail.sets"
    assert "4 sets of 64 factors, or one with an interval" in refused.value.expected


def test_an_aggregate_names_sets_that_there_are() -> None:
    for name, level in (("joint_tail.nights", "account"), ("tail.nights", "account"), ("joint_tail.days", "set")):
        aggregate: dict[str, Any] = {"account": {"equity": "0", "initial": "0", "maintenance": "0"}, "set": {}}
        aggregate[level]["more"] = name
        with pytest.raises(ModelError, match=rf"model\.aggregate\.{level}\.more: no number '{name}'"):
            model(PLAIN, aggregate=aggregate)


def test_the_digest_of_the_shipped_model_does_not_change() -> None:
    digest = "85dcf74fcf23c087169b7d2d0c547f332feb43a6afb04c04f36e024ae6cc346f"
    assert load_model("joint-es").digest.hex() == digest


def test_the_shipped_model_has_the_estimated_correlations() -> None:
    file = SHARED / "deribit_surface_history.csv"
    if not file.exists():
        pytest.skip(f"no market data at {file}")
    history = import_surface(file.read_bytes(), file.name, ("BTC", "ETH"), (7, 30, 90))
    tail = load_model("joint-es").tail
    assert tail is not None
    method = tail.sets[0].method
    assert isinstance(method, MonteCarlo)
    shipped, name = method.correlation, method.correlation.name
    estimated = shrunk_covariance(history).to_correlation(name, shipped.description)
    assert estimated.factors == shipped.factors
    assert np.abs(np.array(estimated.volatilities) - shipped.volatilities).max() <= 1_000  # one in the ninth decimal
    assert np.abs(np.array(estimated.matrix) - shipped.matrix).max() <= 1_000


def test_the_shipped_model_agrees_with_the_kernel() -> None:
    """Both of its sets on eighteen positions: the tail model of the same sets, revalued by the integer kernel."""
    market, shipped = tail_market(), load_model("joint-es").to_document()
    whole = some_book(market, 20, 5)
    book = type(whole).build(
        (i, q) for i, q in whole.positions if market.registry.instruments[i].kind is not Kind.SPOT or q > 0
    )
    report = margin(load_model("joint-es"), market, book)
    one = 10 ** (market.registry.money_exponent + market.registry.quantity_exponent)
    for tail, node in zip(report.tails, shipped["tail"]["sets"], strict=True):
        same = TailModel.from_document(
            {
                "schema": "riskproof/tail-model/v1",
                "name": "same",
                "description": "the same moves",
                "measure": node["measure"],
                "sets": [{k: v for k, v in node.items() if k != "measure"}],
                "unshocked": [],
                "constant_volatility": [],
                "time_shift_seconds": 0,
            }
        )
        risk = evaluate_tail(market, same, book)
        assert float(tail.amount) == pytest.approx(float(risk.sets[0].amount / one), rel=1e-7)
        assert tail.worst == risk.sets[0].scenario_ids[int(np.argmin(risk.sets[0].pnl))]
    assert report.maintenance == max(t.amount for t in report.tails)
    assert report.initial == report.maintenance * Fraction("1.25")


def test_a_book_with_a_history_is_compared_attributed_and_traded() -> None:
    """The histories of a book reach the models that it is compared with; Euler's shares of a shortfall add up to it."""
    market, history = tail_market(), made_history(60)
    plain = PLAIN | {"history": history.digest.hex(), "first": "2023-01-01", "last": "2023-03-01"}
    m = model(plain | {"measure": {"kind": "expected_shortfall", "tail": "0.1"}})
    positions = [
        (i, q) for i, q in some_book(market, 8, 3).positions if market.registry.instruments[i].kind is not Kind.SPOT
    ]
    book = open_book(m, market, Portfolio.build(positions), histories=[history])
    assert book.report.maintenance == margin(m, market, book.portfolio, histories=[history]).maintenance > 0
    assert compare(book, [m])[0].report == book.report
    assert isinstance(compare(open_book(load("crypto-pm"), market, book.portfolio), [m])[0].refusal, HistoryError)
    shares = attribute(book)
    assert shares.rest_maintenance == 0
    assert sum(x.maintenance for x in shares.shares) == book.report.maintenance
    index, lots = positions[0]
    after = margin(m, market, Portfolio.build(positions[1:]), histories=[history])
    assert book.after({index: -lots}).maintenance == after.maintenance


def test_the_block_of_the_page_is_a_block() -> None:
    """docs/risk-model.md: its members are accepted, and its history is that of the closes."""
    page = (Path(__file__).resolve().parents[2] / "docs/risk-model.md").read_text()
    (block,) = [x for x in re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if '"history"' in x]
    written = document(
        PLAIN, aggregate={"account": {"equity": "0", "initial": "0", "maintenance": "joint_tail.recent"}}
    )
    written["tail"] = json.loads(block)
    m = MarginModel.from_document(written)
    assert m.to_document()["tail"] == written["tail"]
    file = SHARED / "daily_closes.csv"
    if not file.exists():
        pytest.skip(f"no market data at {file}")
    history = import_closes(file.read_bytes(), file.name, ("BTC", "ETH"))
    moves = [b / a for a, b in itertools.pairwise(history.levels[-500:, 0].tolist())]
    worst = sorted(moves)[:13]
    expected = 100 * (12.475 - sum(worst[:12]) - 0.475 * worst[12]) / 12.475
    found = run(m, {"BTC-PERP": 1}, replace(MARKET, histories=(history,))).maintenance
    assert float(found) == pytest.approx(expected, rel=1e-9)
