"""Derive's liquidation auctions: the margin of the account before and after each bid, under portfolio margin 1.

A bid for the fraction f of what is left takes that share of everything but the cash of earlier bids, and pays its price:

    portfolio after = (1 - f) (portfolio before - cash of earlier bids) + cash of earlier bids + price
    buffer margin   = maintenance margin - 0.2 (value - maintenance margin)

In an insolvent auction nobody pays the account: what the bidder gets (`SMPayout`) comes from the venue's security fund. How a price
follows from the auction's clock is the venue's business, not margin: prices and fractions are taken from the file (f is its
`fLiquidatedOfOriginal`, or where that is zero its `FinalPercentageReceived`, a share of the original account). The file has no
parameters: they are those of the model that ships. Times are seconds after the feeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.risk.margining import Account, MarginMarket, MarginModel, evaluate_model, load_model
from tests.conformance.cases import Case, Check, guarded, members, named, whole
from tests.conformance.derive_common import EXACT, FLOAT_NOISE, wei
from tests.conformance.derive_pm1 import CASH, UNDERLYING, market_and_account

BUFFER = Fraction(1, 5)


def matches(document: Any) -> bool:
    cases = document.get("cases") if isinstance(document, dict) else None
    cases = list(cases.values()) if isinstance(cases, dict) else cases
    return isinstance(cases, list) and bool(cases) and {"Actions", "LiquidationFee"} <= members(cases[0])


def run(document: Any) -> Iterator[Case]:
    model = _model()
    for name, case, skipped in named(document["cases"]):
        yield guarded(name, partial(_case, model, case), skipped)


def _case(model: MarginModel, case: Any) -> list[Check]:
    checks: list[Check] = []
    paid, left = Fraction(0), Fraction(1)
    for step, action in enumerate(case["Actions"]):
        results = action["Results"]
        share = wei(results.get("FinalPercentageReceived") or 0)
        taken = wei(results["fLiquidatedOfOriginal"]) or (share / left if left else Fraction(0))
        insolvent = bool(wei(results.get("SMPayout") or 0))
        price = Fraction(0) if insolvent else max(wei(results["ExpectedBidPrice"]), Fraction(0))
        checks += _checks(model, action, step, paid, taken, price)
        paid, left = paid + price, left * (1 - taken)
    return checks


def _model() -> MarginModel:
    document = load_model("derive-pm1").to_document()
    document["collateral"]["assets"][UNDERLYING] = {"initial": "0", "maintenance": "0", "moves": True}
    return MarginModel.from_document(document)


def _checks(
    model: MarginModel, action: Any, step: int, paid: Fraction, taken: Fraction, price: Fraction
) -> list[Check]:
    market, account = market_and_account(action["PortfolioAndFeeds"])
    elapsed = whole(action["Time"])
    market = replace(market, forwards={k: replace(f, seconds=f.seconds - elapsed) for k, f in market.forwards.items()})
    results = action["Results"]
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
