"""docs/risk-model.md, "Collateral": the example is accepted and means what the page says."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from risk_books import BTC_INDEX, small_market

from riskproof.market.portfolio import Portfolio
from riskproof.risk.margining import MarginModel, margin
from riskproof.units import PRICE_ONE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "risk-model.md"
PRICE = Fraction(BTC_INDEX, PRICE_ONE)
MARKET = small_market()


def example() -> MarginModel:
    section = PAGE.read_text().split("### Collateral\n", 1)[1].split("\n### ", 1)[0]
    collateral = json.loads(re.findall(r"```json\n(.*?)```", section, re.DOTALL)[0])
    up = {"decimals": 18, "direction": "half_even"}
    return MarginModel.from_document(
        {
            "schema": "riskproof/model/v2",
            "name": "rules",
            "description": "the page's example",
            "checked": "here",
            "grid": {"scenarios": [{"id": "down", "price": "-0.2"}]},
            "volatility": {"shocks": {}},
            "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
            "netting": {"sets": "underlying"},
            "charges": [{"id": "haircut", "kind": "haircut"}],
            "aggregate": {
                "account": {"equity": "value.total", "initial": "charge.haircut", "maintenance": "charge.haircut"}
            },
            "collateral": collateral,
            "rounding": {"requirement": up, "value": up},
            "limits": {"legs": 9, "expiries": 9, "underlyings": 9, "snapshot_age_seconds": 86_400},
        }
    )


def report_of(**lots: int) -> Any:
    book = Portfolio.build((MARKET.registry.index_of(name), q) for name, q in lots.items())
    return margin(example(), MARKET, book)


def test_an_asset_counts_up_to_its_cap_and_is_charged_beyond() -> None:
    one, two = report_of(BTC=1_000, USD=7_000), report_of(BTC=2_000, USD=7_000)
    assert (one.equity, two.equity) == (PRICE + 7, Fraction(100_007))
    for report, counted in ((one, PRICE), (two, Fraction(100_000))):
        beyond = (counted - 50_000) / 10
        assert report.initial == counted / 4 + beyond  # the haircut, 25 %, is worse than the stress, 20 %
        assert report.maintenance == counted / 5 + beyond  # the stress is worse than the haircut, 10 %


def test_nothing_is_charged_below() -> None:
    report = report_of(BTC=100)
    assert (report.equity, report.maintenance) == (PRICE / 10, PRICE / 50)
