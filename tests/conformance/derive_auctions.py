"""Derive's liquidation auctions: the margin of the account before and after each bid, under portfolio margin 1.

A bid for the fraction f of what is left takes that share of everything but the cash of earlier bids, and pays its price:

    portfolio after = (1 - f) (portfolio before - cash of earlier bids) + cash of earlier bids + price
    buffer margin   = maintenance margin - 0.2 (value - maintenance margin)

How a price follows from the auction's clock is the venue's business, not margin: prices and fractions are taken from the file (f is
its `fLiquidatedOfOriginal`). The file has no parameters: they are those of the model that ships. Times are seconds after the feeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from riskproof.errors import RiskproofError
from riskproof.risk.margining import Account, MarginMarket, MarginModel, evaluate_model, load_model
from tests.conformance.cases import Case, Check, number
from tests.conformance.derive_common import EXACT, FLOAT_NOISE, wei
from tests.conformance.derive_pm1 import CASH, UNDERLYING, market_and_account

BUFFER = Fraction(1, 5)


def matches(document: Any) -> bool:
    cases = document.get("cases") if isinstance(document, dict) else None
    first = next(iter(cases.values()), None) if isinstance(cases, dict) else None
    return isinstance(first, dict) and {"Actions", "LiquidationFee"} <= set(first)


def run(document: Any) -> Iterator[Case]:
    model = _model()
    for name, case in document["cases"].items():
        result = Case(name)
        try:
            paid = Fraction(0)
            for step, action in enumerate(case["Actions"]):
                result.checks += _checks(model, action, step, paid)
                paid += wei(action["Results"]["ExpectedBidPrice"])
        except (RiskproofError, KeyError, ValueError, TypeError) as error:
            result.error = f"{type(error).__name__}: {error}"
        yield result


def _model() -> MarginModel:
    document = load_model("derive-pm1").to_document()
    document["collateral"]["assets"][UNDERLYING] = {"initial": "0", "maintenance": "0", "moves": True}
    return MarginModel.from_document(document)


def _checks(model: MarginModel, action: Any, step: int, paid: Fraction) -> list[Check]:
    market, account = market_and_account(action["PortfolioAndFeeds"])
    elapsed = int(number(action["Time"]))
    market = replace(market, forwards={k: replace(f, seconds=f.seconds - elapsed) for k, f in market.forwards.items()})
    results = action["Results"]
    taken, price = wei(results["fLiquidatedOfOriginal"]), wei(results["ExpectedBidPrice"])
    checks = _margins("Pre", results, step, model, market, account)
    return checks + _margins("Post", results, step, model, market, _after(market, account, taken, price, paid))


def _after(market: MarginMarket, account: Account, taken: Fraction, price: Fraction, paid: Fraction) -> Account:
    positions = {market.listings[place].name: quantity * (1 - taken) for place, quantity in account.positions}
    positions[CASH] = positions.get(CASH, Fraction(0)) + taken * paid + price
    owed = {market.listings[place].name: amount * (1 - taken) for place, amount in account.receivables}
    return Account.build(market, positions, owed, account.underlying)


def _margins(
    when: str, results: Any, step: int, model: MarginModel, market: MarginMarket, account: Account
) -> list[Check]:
    report = evaluate_model(model, market, account)
    value, maintenance = report.equity, report.excess_maintenance
    got = {"MtM": value, "MM": maintenance, "BM": maintenance - BUFFER * (value - maintenance)}
    checks = []
    for name, x in got.items():
        published = wei(results[f"{when}{name}"])
        if name == "BM" and when == "Post" and published == 0:
            continue  # the auction has ended: the file gives zero for what is no longer asked
        checks.append(Check(f"{when}{name} {step}", published, x, EXACT, FLOAT_NOISE))
    return checks
