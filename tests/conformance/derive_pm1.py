"""Derive's portfolio margin, first version: 21 scenarios, basis, and contingencies on notional. Amounts in the file are
integers of 10^-18."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.market.registry import Kind
from riskproof.risk.margining import (
    Account,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    evaluate_model,
)
from riskproof.risk.margining.exact import text
from tests.conformance.cases import Case, Check, VectorError, guarded, members, named, number, whole
from tests.conformance.derive_common import (
    LIMITS,
    OPTIONS,
    columns,
    compared,
    confidence,
    feed_of,
    held_option,
    peg_factor,
    wei,
)

UNDERLYING, CASH, PERPETUAL, BASE = "INDEX", "CASH", "PERP", "BASE"
FEEDS = ("FeedExpiries", "ForwardsFixed", "ForwardsVariable", "ForwardConfidences", "Rates", "RateConfidences")


def matches(document: Any) -> bool:
    return isinstance(document, dict) and {"volShock", "scenarios", "basis"} <= members(document.get("params"))


def run(document: Any) -> Iterator[Case]:
    for name, case, skipped in named(document.get("cases")):
        yield guarded(name, partial(_checks, document["params"], case), skipped)


def _checks(parameters: Any, case: Any) -> list[Check]:
    model = MarginModel.from_document(model_document(parameters))
    market, account = market_and_account(case["Scenario"])
    report = evaluate_model(model, market, account)
    margins = {
        "InitialMarginCalc": report.excess_initial,
        "InitialMarginHand": report.excess_initial,
        "MaintenanceMarginCalc": report.excess_maintenance,
        "MaintenanceMarginHand": report.excess_maintenance,
    }
    return compared(case["Result"], margins, _parts(report))


def _parts(report: MarginReport) -> dict[str, Fraction]:
    values, charges = report.values, report.charges
    worst = [max(x for _, x in c.candidates) for c in report.choices if c.term == "worst" and c.margin == "initial"]

    def charge(name: str, margin: int = 1) -> Fraction:
        return charges.get(name, (Fraction(0), Fraction(0)))[margin]

    return {
        "MinSpan": -sum(worst, Fraction(0)),
        "PortfolioMTM": sum(values.values(), Fraction(0)),
        "Cash": values["cash"],
        "ForwardContingency": -charge("basis"),
        "OptionContingency": -charge("naked"),
        "PerpContingency": -charge("perpetual"),
        "BaseContingency": -charge("spot"),
        "OracleContingency": -sum((charge(name, 0) for name in charges if name.startswith("confidence")), Fraction(0)),
    }


def model_document(p: Any) -> dict[str, Any]:
    """The model that a set of parameters is."""
    other, margin, vol, basis = p["other"], p["margin"], p["volShock"], p["basis"]

    def t(x: Any) -> str:
        return text(number(x))

    def notional(name: str, exposure: str, rate: Any) -> dict[str, Any]:
        return {
            "id": name,
            "kind": "notional",
            "exposure": exposure,
            "rates": {"initial": t(rate), "maintenance": t(rate)},
        }

    def confident(exposure: str, feeds: list[str]) -> dict[str, Any]:
        return confidence(exposure, exposure, feeds, other["confThreshold"], other["confMargin"])

    loss = {"sum": ["worst", "charge.naked", "charge.perpetual", "charge.spot"]}
    factor = {"sum": [t(margin["imFactor"]), peg_factor(other["pegLossThreshold"], other["pegLossFactor"])]}
    return {
        "schema": "riskproof/model/v2",
        "name": "derive-pm1",
        "description": "Derive portfolio margin 1",
        "checked": "a conformance case",
        "grid": {"scenarios": [_scenario(i, *s) for i, s in enumerate(p["scenarios"])]},
        "volatility": {
            "scaling": {
                "power": {
                    "reference_days": "30",
                    "floor_days": text(number(vol["dteFloorSec"]) / 86_400),
                    "short": t(vol["shortTermPower"]),
                    "long": t(vol["longTermPower"]),
                }
            },
            "shocks": {
                "up": {"multiply": {"amount": t(vol["volRangeUp"]), "scaled": True}},
                "down": {"multiply": {"amount": text(-number(vol["volRangeDown"])), "scaled": True}},
            },
        },
        "pricing": {
            "kernel": "black76-nearest/1",
            "discounting": "none",
            "static_discount": {
                "long": {
                    "base": t(margin["baseStaticDiscount"]),
                    "rate_multiplier": t(margin["rateMultScale"]),
                    "rate_addition": t(margin["rateAddScale"]),
                }
            },
        },
        "netting": {"sets": "account"},
        "charges": [
            {
                "id": "basis",
                "kind": "basis",
                "up": text(number(basis["scenarioSpotUp"]) - 1),
                "down": text(number(basis["scenarioSpotDown"]) - 1),
                "add": t(basis["basisContAddFactor"]),
                "per_year": t(basis["basisContMultFactor"]),
            },
            notional("perpetual", "perpetual", other["perpPercent"]),
            notional("spot", "spot", other["basePercent"]),
            notional("naked", "option_naked_short", other["optionPercent"]),
            confident("perpetual", ["index", "perpetual"]),
            confident("spot", ["index", "perpetual"]),
            confident("option", ["index", "perpetual", "forward", "rate", "volatility"]),
        ],
        "aggregate": {
            "set": {"worst": {"max": ["loss.all", "charge.basis"]}},
            "account": {
                "equity": "value.total",
                "initial": {
                    "sum": [
                        {"mul": [loss, factor]},
                        "charge.confidence_perpetual",
                        "charge.confidence_spot",
                        "charge.confidence_option",
                    ]
                },
                "maintenance": loss,
            },
        },
        "collateral": {
            "conversion": "settlement_price",
            "assets": {UNDERLYING: {"initial": "0", "maintenance": "0", "moves": True}},
        },
        "rounding": {
            "requirement": {"decimals": 18, "direction": "up"},
            "value": {"decimals": 18, "direction": "down"},
        },
        "limits": LIMITS,
    }


def _scenario(i: int, spot: Any, direction: str) -> dict[str, Any]:
    scenario = {"id": f"s{i}/{spot}/{direction.lower()}", "price": text(number(spot) - 1)}
    return scenario if direction == "None" else {**scenario, "vol": direction.lower()}


def market_and_account(s: Any) -> tuple[MarginMarket, Account]:
    """Feeds and positions of a case."""
    forwards: dict[tuple[str, int], Forward] = {}
    listings = [Listing(CASH, Kind.SPOT, CASH)]
    positions = {CASH: wei(s["Cash"]), PERPETUAL: wei(s["Perps"]), BASE: wei(s["Base"])}
    columns(s, *OPTIONS)
    columns(s, *FEEDS)
    for i, expiry in enumerate(s["OptionExpiries"]):
        seconds = whole(expiry)
        k = feed_of(s, seconds, i)
        settled = wei(s["ForwardsFixed"][k])
        forward = Forward(
            seconds,
            settled + wei(s["ForwardsVariable"][k]),
            settled,
            wei(s["Rates"][k]),
            wei(s["ForwardConfidences"][k]),
            wei(s["RateConfidences"][k]),
        )
        if forwards.setdefault((UNDERLYING, seconds), forward) != forward:
            raise VectorError(f"two forwards at {seconds}")
        held_option(listings, positions, UNDERLYING, seconds, s, i)
    receivables = {}
    if positions[PERPETUAL]:  # the venue asks for unsettled P&L and funding of a perpetual that is held
        receivables[PERPETUAL] = wei(s["UnrealisedPerpPNL"]) + wei(s["UnrealisedFunding"])
    listings.append(
        Listing(PERPETUAL, Kind.PERPETUAL, UNDERLYING, mark=wei(s["PerpPrice"]), confidence=wei(s["PerpConfidence"]))
    )
    listings.append(Listing(BASE, Kind.SPOT, UNDERLYING, mark=wei(s["SpotPrice"]), confidence=wei(s["SpotConfidence"])))
    market = MarginMarket(
        CASH,
        {UNDERLYING: Index(wei(s["SpotPrice"]), wei(s["SpotConfidence"]))},
        forwards,
        tuple(listings),
        wei(s["StablePrice"]),
    )
    return market, Account.build(market, positions, receivables, UNDERLYING)
