"""Random portfolios on the markets of Derive's files, against float64 written from the venue's rules."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from riskproof.risk.margining import MarginModel, evaluate_model
from tests.conformance import derive_pm1, derive_pm2, derive_srm
from tests.conformance.float_pm1_srm import portfolio_margin_1, standard_margin
from tests.conformance.float_pm2 import margins
from tests.conformance.test_derive import document

ONE = 10**18


def wei(x: float) -> int:
    return round(x * 10**6) * 10**12


def close(got: list[Any], expected: list[float], scale: float) -> None:
    for mine, other in zip(got, expected, strict=True):
        assert float(mine) == pytest.approx(other, rel=1e-10, abs=1e-11 * (1 + scale))


@pytest.mark.parametrize("seed", range(25))
def test_portfolio_margin_2(seed: int) -> None:
    r = random.Random(seed)
    vectors = document("derive_pm2_portfolio_cases.json")
    s = copy.deepcopy(r.choice([c["inputs"] for c in vectors["cases"] if c["inputs"]["OptionFeeds"]]))
    assets = [x for c in vectors["cases"] for x in c["inputs"]["Collaterals"]]
    overrides = [c["params_override"] for c in vectors["cases"] if c["run_by_venue_tests"]]
    parameters = derive_pm2.overlaid(vectors["base_params"], r.choice(overrides))
    spot = float(s["SpotPrice"])
    for n, feed in enumerate(s["OptionFeeds"]):
        if r.random() < 0.2:
            feed["FeedExpiry"] = r.choice([1, 899, 1799, 1800, 2_592_000]) + n
        feed["Rate"] = r.choice([feed["Rate"], "-0.5", "0", "3e-1"])
        for name in ("ForwardConfidence", "RateConfidence", "OptionVolConfidences"):
            feed[name] = r.choice([feed[name], "0.1", "0.55"])
    s["Options"] = []
    for _ in range(r.choice([0, 1, 5, 30])):
        feed = r.choice(s["OptionFeeds"])
        strike = round(float(feed["Forward"]) * r.choice([1, r.uniform(0.3, 2.5), r.uniform(0.95, 1.05)]))
        leg = {"Expiry": feed["FeedExpiry"], "Strike": strike, "IsCall": r.choice([True, False, 1, 0])}
        s["Options"].append({**leg, "Amount": r.choice([str(round(r.uniform(-9, 9), 5)), "1e-05", -1, 0])})
        if r.random() < 0.3:
            s["Options"].append({**leg, "IsCall": not leg["IsCall"], "Amount": round(r.uniform(-9, 9))})
    held = r.choice([0, round(r.uniform(-20, 20), 3)])
    s |= {
        "NumPerps": str(held),
        "PerpPrice": str(round(spot * 1.01, 2)),
        "PerpConfidence": r.choice(["1", "0.3"]),
        "SpotConfidence": r.choice(["1", "0.2", "0.55"]),
        "StablePrice": r.choice(["1", "0.97", "0.1"]),
        "Cash": str(round(r.uniform(-1e5, 1e5), 2)),
        "UnrealisedPerpPNL": "12.5",
        "UnrealisedFunding": "-0.25",
        "Collaterals": [copy.deepcopy(r.choice(assets)) for _ in range(r.choice([0, 1, 4]))],
    }
    for x in s["Collaterals"]:
        x |= {"Confidence": r.choice(["1", "0.4"]), "IsRiskCancelling": r.choice([True, False])}
    model = MarginModel.from_document(derive_pm2.model_document(parameters, s["Collaterals"]))
    report = evaluate_model(model, *derive_pm2.market_and_account(s))
    initial, maintenance, pnl = margins(parameters, s)
    scale = spot * sum(abs(float(x["Amount"])) for x in s["Options"]) + max(abs(x) for x in pnl)
    scenarios = report.sets[0].pnl if report.sets else [0] * len(pnl)
    close([report.excess_initial, report.excess_maintenance, *scenarios], [initial, maintenance, *pnl], scale)


def options(r: random.Random, spots: dict[str, float]) -> dict[str, list[Any]]:
    """The arrays of an account's options."""
    expiries = r.sample([60, 1_800, 3_599, 3_600, 86_400, 500_400, 2_592_000, 2_592_001, 31_536_000], r.randint(1, 4))
    feeds = {
        (u, e): (wei(spot * r.uniform(0.9, 1.1)), r.choice([ONE, ONE // 3]), r.choice([0, 3 * ONE // 100, -ONE // 10]))
        for u, spot in spots.items()
        for e in expiries
    }
    legs: list[tuple[Any, ...]] = []
    quotes: dict[tuple[Any, ...], tuple[int, int]] = {}
    for _ in range(r.choice([0, 1, 4, 30])):
        u, e = r.choice(list(feeds))
        strike = wei(spots[u] * r.choice([1, r.uniform(0.3, 2), r.uniform(0.95, 1.05)]))
        leg = (u, e, strike, r.randint(0, 1), r.choice([wei(r.uniform(-5, 5)), ONE, -ONE]))
        quote = quotes.setdefault(leg[:4], (wei(r.uniform(0.05, 3)), r.choice([ONE, ONE // 10])))
        legs.append((*leg, *quote))
    names = ("Underlying", "Expiries", "Strikes", "IsCall", "Amounts", "Vols", "VolConfidences")
    arrays = {f"Option{name}": [leg[i] for leg in legs] for i, name in enumerate(names)}
    of_legs = [feeds[leg[0], leg[1]] for leg in legs]
    return {
        **arrays,
        "FeedExpiries": arrays["OptionExpiries"],
        "Forwards": [x[0] for x in of_legs],
        "ForwardsFixed": [x[0] // 4 for x in of_legs],
        "ForwardsVariable": [x[0] - x[0] // 4 for x in of_legs],
        "ForwardConfidences": [x[1] for x in of_legs],
        "Rates": [x[2] for x in of_legs],
        "RateConfidences": [x[1] for x in of_legs],
    }


@pytest.mark.parametrize("seed", range(25))
def test_portfolio_margin_1(seed: int) -> None:
    r = random.Random(seed)
    parameters = document("derive_pm1_verified_scenarios.json")["params"]
    spot = r.choice([1_500.0, 28_000.0, 0.75])
    s = options(r, {"X": spot}) | {
        "Cash": wei(r.uniform(-1e4, 1e4)),
        "Perps": r.choice([0, wei(r.uniform(-9, 9))]),
        "Base": r.choice([0, wei(r.uniform(0, 9))]),
        "SpotPrice": wei(spot),
        "SpotConfidence": r.choice([ONE, ONE // 10]),
        "PerpPrice": wei(spot * 1.01),
        "PerpConfidence": r.choice([ONE, ONE // 5]),
        "StablePrice": r.choice([ONE, 97 * ONE // 100, ONE // 10]),
        "UnrealisedPerpPNL": 12 * ONE,
        "UnrealisedFunding": -ONE // 2,
    }
    report = evaluate_model(
        MarginModel.from_document(derive_pm1.model_document(parameters)), *derive_pm1.market_and_account(s)
    )
    *expected, pnl = portfolio_margin_1(parameters, s)
    scenarios = report.sets[0].pnl if report.sets else [0] * len(pnl)
    got = [report.excess_initial, report.excess_maintenance, report.equity, *scenarios]
    close(got, [*expected, *pnl], 200 * spot)


@pytest.mark.parametrize("seed", range(25))
def test_standard_margin(seed: int) -> None:
    r = random.Random(seed)
    parameters = document("derive_srm_cases.json")["params"]
    spots = {"ETH": 1_500.0, "BTC": 28_000.0}
    s: dict[str, Any] = options(r, spots) | {
        "Cash": wei(r.uniform(-1e4, 1e4)),
        "USDCValue": r.choice([ONE, 97 * ONE // 100, ONE // 10]),
        "PerpPrice": [1_505 * ONE, 27_990 * ONE],
        "SpotPerpConfidences": [[r.choice([ONE, ONE // 5]), r.choice([ONE, ONE // 10])] for _ in spots],
    }
    for u, spot in spots.items():
        s |= {
            f"{u}SpotPrice": wei(spot),
            f"Perps_{u}": r.choice([0, wei(r.uniform(-5, 5))]),
            f"w{u}": r.choice([0, wei(r.uniform(0, 5))]),
            f"LastEntry{u}": r.choice([None, wei(spot * 0.9)]),
            f"Account{u}FundingIndex": r.choice([None, 10 * ONE]),
            f"{u}GlobalFundingIndex": ONE,
            f"SettlementPrice{u}": r.choice([None, wei(spot * 1.02)]),
        }
    report = evaluate_model(
        MarginModel.from_document(derive_srm.model_document(parameters)), *derive_srm.market_and_account(s)
    )
    close([report.excess_initial, report.excess_maintenance, report.equity], list(standard_margin(parameters, s)), 1e6)
