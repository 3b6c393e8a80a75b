"""Derive's standard manager: options by expiry, perpetuals by notional, no netting across expiries. Amounts are integers of 10^-18.

Within an hour of expiry the settlement price stands for the forward.
"""

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
    UnitValues,
    evaluate_model,
)
from riskproof.risk.margining.book import arrange
from riskproof.risk.margining.charges.standard import StandardOption
from riskproof.risk.margining.exact import text
from tests.conformance.cases import Case, Check, VectorError, guarded, members, named, number, whole
from tests.conformance.derive_common import LIMITS, OPTIONS, columns, compared, confidence, feed_of, held_option, wei

SETTLEMENT_WINDOW = 3600
CASH, UNDERLYINGS = "CASH", ("ETH", "BTC")
FEEDS = ("FeedExpiries", "Forwards", "ForwardConfidences")


def matches(document: Any) -> bool:
    return isinstance(document, dict) and {"option", "perp", "depeg", "oracle", "base"} <= members(
        document.get("params")
    )


def run(document: Any) -> Iterator[Case]:
    for name, case, skipped in named(document.get("cases")):
        yield guarded(name, partial(_checks, document["params"], case), skipped)


def _checks(parameters: Any, case: Any) -> list[Check]:
    model = MarginModel.from_document(model_document(parameters))
    market, account = market_and_account(case["Scenario"])
    report = evaluate_model(model, market, account)
    initial, maintenance = report.excess_initial, report.excess_maintenance
    parts = _parts(report) | _alternatives(model, market, account)
    margins = {"HandIM": initial, "realIM": initial, "HandMM": maintenance, "realMM": maintenance}
    # The file gives the bounded margin before it is limited to zero: a book that cannot lose has a positive one there.
    result = {k: min(number(v), 0) if "Bounded" in k and v is not None else v for k, v in case["Result"].items()}
    return compared(result, margins, parts)


def _parts(report: MarginReport) -> dict[str, Fraction]:
    zero = (Fraction(0), Fraction(0))
    charges = report.charges
    by_set = {s.name: {name: (i, m) for name, i, m in s.charges} for s in report.sets}
    parts = {
        f"{u}Option{m}": -by_set.get(u, {}).get("option", zero)[k]
        for u in UNDERLYINGS
        for k, m in enumerate(("IM", "MM"))
    }
    return {
        **parts,
        "PortfolioMtM": sum(report.values.values(), Fraction(0)),
        "Cash": report.values["cash"],
        "PerpMargin": -charges.get("perpetual", zero)[1],
        "BaseMargin": charges.get("spot_credit", zero)[1],
        "DepegIMs": -charges.get("depeg", zero)[0],
        "OracleConts": -sum((charges[name][0] for name in charges if name.startswith("confidence")), Fraction(0)),
    }


def _alternatives(model: MarginModel, market: MarginMarket, account: Account) -> dict[str, Fraction]:
    """The two margins of each expiry between which the better is taken, summed by underlying."""
    charge = dict(model.charges)["option"]
    assert isinstance(charge, StandardOption)
    values, parts = UnitValues(model, market), {}
    for book in arrange(market, account, model.collateral, model.sets)[0]:
        for short, margin in (("IM", "initial"), ("MM", "maintenance")):
            pairs = charge.alternatives(book, values, margin)
            parts[f"{book.name}OptionIsolated{short}"] = sum((isolated for isolated, _ in pairs), Fraction(0))
            parts[f"{book.name}OptionBounded{short}"] = sum((bounded for _, bounded in pairs), Fraction(0))
    return parts


def model_document(p: Any) -> dict[str, Any]:
    """The model that a set of parameters is."""
    option, perpetual, base, oracle = p["option"], p["perp"], p["base"], p["oracle"]

    def t(x: Any) -> str:
        return text(number(x))

    def confident(exposure: str, name: str, feeds: list[str]) -> dict[str, Any]:
        return confidence(name, exposure, feeds, oracle[f"{name}Threshold"], oracle["OCFactor"])

    charged = ["option", "perpetual", "confidence_perp", "confidence_option", "confidence_base", "depeg"]
    requirement = {
        "sum": ["value.options", "value.spot", {"mul": ["-1", "charge.spot_credit"]}, *(f"charge.{c}" for c in charged)]
    }
    margin_factor = number(base["marginFactor"])
    return {
        "schema": "riskproof/model/v2",
        "name": "derive-srm",
        "description": "Derive standard margin",
        "checked": "a conformance case",
        "grid": {"scenarios": []},
        "volatility": {"shocks": {}},
        "pricing": {"kernel": "black76-nearest/1", "discounting": "none"},
        "netting": {"sets": "underlying"},
        "charges": [
            {
                "id": "option",
                "kind": "standard_option",
                "spot_minimum": t(option["minSpotReq"]),
                "spot_maximum": t(option["maxSpotReq"]),
                "call_maintenance": t(option["mmCallSpotReq"]),
                "put_maintenance": t(option["mmPutSpotReq"]),
                "put_value_maintenance": t(option["MMPutMtMReq"]),
                "put_initial_scale": t(option["mmOffsetScale"]),
                "unpaired": {"initial": t(option["unpairedIMScale"]), "maintenance": t(option["unpairedMMScale"])},
            },
            {
                "id": "perpetual",
                "kind": "notional",
                "exposure": "perpetual_mark",
                "rates": {"initial": t(perpetual["imPerpReq"]), "maintenance": t(perpetual["mmPerpReq"])},
            },
            {
                "id": "spot_credit",
                "kind": "notional",
                "exposure": "spot",
                "rates": {"initial": text(margin_factor * number(base["IMScale"])), "maintenance": text(margin_factor)},
            },
            confident("perpetual", "perp", ["index", "perpetual"]),
            confident("option_short", "option", ["index", "forward", "volatility"]),
            confident("spot", "base", ["index"]),
            {
                "id": "depeg",
                "kind": "depeg",
                "exposures": ["perpetual", "option_short"],
                "threshold": t(p["depeg"]["threshold"]),
                "rates": {"initial": t(p["depeg"]["factor"]), "maintenance": "0"},
            },
        ],
        "aggregate": {"account": {"equity": "value.total", "initial": requirement, "maintenance": requirement}},
        "collateral": {
            "conversion": "settlement_price",
            "assets": {u: {"initial": "0", "maintenance": "0"} for u in UNDERLYINGS},
        },
        "rounding": {
            "requirement": {"decimals": 18, "direction": "up"},
            "value": {"decimals": 18, "direction": "down"},
        },
        "limits": LIMITS,
    }


def market_and_account(s: Any) -> tuple[MarginMarket, Account]:
    """Feeds and positions of a case."""
    forwards: dict[tuple[str, int], Forward] = {}
    listings = [Listing(CASH, Kind.SPOT, CASH)]
    positions = {CASH: wei(s["Cash"])}
    receivables: dict[str, Fraction] = {}
    indices: dict[str, Index] = {}
    columns(s, "OptionUnderlying", *OPTIONS)
    columns(s, *FEEDS)
    for i, underlying in enumerate(s["OptionUnderlying"]):
        if underlying not in UNDERLYINGS:
            raise VectorError(f"no underlying {underlying!r}: {' or '.join(UNDERLYINGS)} is expected")
        seconds = whole(s["OptionExpiries"][i])
        k = feed_of(s, seconds, i)
        settlement = s.get(f"SettlementPrice{underlying}")
        near = seconds < SETTLEMENT_WINDOW and settlement is not None
        price = wei(settlement if near else s["Forwards"][k])
        forward = Forward(seconds, price, confidence=wei(s["ForwardConfidences"][k]))
        if forwards.setdefault((underlying, seconds), forward) != forward:
            raise VectorError(f"two forwards of {underlying} at {seconds}")
        held_option(listings, positions, underlying, seconds, s, i)
    for k, underlying in enumerate(UNDERLYINGS):
        if s.get(f"{underlying}SpotPrice") is None and not (s.get(f"Perps_{underlying}") or s.get(f"w{underlying}")):
            continue  # neither held nor quoted
        spot, mark = wei(s[f"{underlying}SpotPrice"]), wei(s["PerpPrice"][k])
        sure, mark_sure = (wei(x) for x in s["SpotPerpConfidences"][k])
        indices[underlying] = Index(spot, sure)
        perpetual, asset, size = f"{underlying}-PERP", f"w{underlying}", wei(s.get(f"Perps_{underlying}") or 0)
        listings.append(Listing(perpetual, Kind.PERPETUAL, underlying, mark=mark, confidence=mark_sure))
        listings.append(Listing(asset, Kind.SPOT, underlying, mark=spot, confidence=sure))
        positions |= {perpetual: size, asset: wei(s.get(asset) or 0)}
        if size:
            entry, paid = s.get(f"LastEntry{underlying}"), s.get(f"Account{underlying}FundingIndex")
            gain = Fraction(0) if entry is None else mark - wei(entry)
            funding = Fraction(0) if paid is None else wei(paid) - wei(s[f"{underlying}GlobalFundingIndex"])
            receivables[perpetual] = size * (gain + funding)
    market = MarginMarket(CASH, indices, forwards, tuple(listings), wei(s["USDCValue"]))
    return market, Account.build(market, positions, receivables)
