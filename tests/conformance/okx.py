"""OKX's position builder: stress P&Ls, components and margins of risk units of linear perpetuals, and the account's totals.

The response does not say what it prices with: the index follows from the P&L of the widest move, the mark from the delta, the rates
of basis and closing cost from theirs, each rounded to the decimals in which the venue publishes it; everything else has to agree to
the digits that are printed. Borrowing is an input.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.market.registry import Kind
from riskproof.risk.margining import (
    Account,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginReport,
    evaluate_model,
)
from riskproof.risk.margining.exact import nearest, text
from tests.conformance.cases import Case, Check, VectorError, guarded, number
from tests.conformance.venue_common import PRICING, check, document

PRICE_DECIMALS, RATE_DECIMALS = 9, 5
_OTHERS = ("mr2", "mr3", "mr5", "mr9")


def matches(file: Any) -> bool:
    return isinstance(file, dict) and isinstance(file.get("risk_units"), dict) and isinstance(file.get("account"), dict)


def run(file: Any) -> Iterator[Case]:
    reports: dict[str, MarginReport] = {}

    def checks(name: str, unit: Any) -> list[Check]:
        market, account = market_and_account({name: unit})
        model = MarginModel.from_document(model_document(name, unit, market))
        report = evaluate_model(model, market, account)
        found = _checks(unit["expected"], model, report)
        reports[name] = report
        return found

    for name, unit in file["risk_units"].items():
        yield guarded(name, partial(checks, name, unit))
    yield guarded("account", partial(_totals, file, reports))


def _totals(file: Any, reports: dict[str, MarginReport]) -> list[Check]:
    missing = [name for name in file["risk_units"] if name not in reports]
    if missing:
        raise VectorError(f"no margin of risk unit {', '.join(missing)}")
    return [
        check(f"total{side}", file["account"][f"total{side}"], _borrowed(file["account"], side) + _sum(reports, margin))
        for side, margin in (("Mmr", "maintenance"), ("Imr", "initial"))
    ]


def _sum(reports: dict[str, MarginReport], margin: str) -> Fraction:
    return sum((getattr(r, margin) for r in reports.values()), Fraction(0))


def _borrowed(account: Any, side: str) -> Fraction:
    return sum((number(x) for key, x in account.items() if key.startswith(f"borrow{side}")), Fraction(0))


def _checks(expected: Any, model: MarginModel, report: MarginReport) -> list[Check]:
    pnl = dict(zip(report.scenario_ids, report.sets[0].pnl, strict=True))
    terms = {c.term: dict(c.candidates) for c in report.choices if c.margin == "maintenance" and c.set}
    extreme = dict(report.sets[0].worst)["mr6"]
    charges = report.charges
    given = zip(expected["mr1_moves"], expected["mr1_pnl_all_vol_scenarios"], strict=True)
    return [
        *(check(f"mr1_pnl {text(number(m))}", x, pnl[f"mr1/{text(number(m))}"]) for m, x in given),
        check("mr1", expected["mr1"], max(terms["mr1"].values())),
        check("mr4", expected["mr4"], charges["mr4"][1]),
        check("mr6", expected["mr6"], max(terms["mr6"].values())),
        check("mr6_pnl", expected["mr6_final"]["pnl"], report.sets[0].pnl[extreme] / model.scenarios[extreme].weight),
        check("mr6_move", expected["mr6_final"]["spotShock"], model.scenarios[extreme].price),
        check("mr7", expected["mr7"], charges["mr7"][1]),
        check("mmr", expected["mmr"], report.maintenance),
        check("imr", expected["imr"], report.initial),
    ]


def _coins(name: str, position: Any) -> Fraction:
    return number(position["pos_contracts"]) * number(position[f"contract_val_{name}"])


def market_and_account(units: Any) -> tuple[MarginMarket, Account]:
    """Index and marks in dollars that the units' P&L and deltas imply, and the positions."""
    indices, listings, quantities = {}, [], {}
    for name, unit in units.items():
        expected = unit["expected"]
        sizes = [_coins(name, p) for p in unit["positions"]]
        moves = list(zip(expected["mr1_moves"], expected["mr1_pnl_all_vol_scenarios"], strict=True))
        move, pnl = max(((number(m), number(x)) for m, x in moves), key=lambda pair: pair[0])
        indices[name] = Index(_rounded(pnl / (move * sum(sizes, Fraction(0))), PRICE_DECIMALS))
        for position, size in zip(unit["positions"], sizes, strict=True):
            if not position["instId"].endswith("-SWAP"):
                raise VectorError(f"{position['instId']} is not a perpetual")
            mark = _rounded(number(position["delta_usd"]) / size, PRICE_DECIMALS)
            listings.append(Listing(position["instId"], Kind.PERPETUAL, name, mark=mark))
            quantities[position["instId"]] = size
    market = MarginMarket("USD", indices, {}, tuple(listings))
    return market, Account.build(market, quantities)


def model_document(name: str, unit: Any, market: MarginMarket) -> dict[str, Any]:
    """The model of a risk unit."""
    expected = unit["expected"]
    gross = sum(
        (abs(_coins(name, p)) * market.mark(market.listings[market.place(p["instId"])]) for p in unit["positions"]),
        Fraction(0),
    )
    moves = [text(number(m)) for m in expected["mr1_moves"]]
    scenarios = [{"id": f"mr1/{m}", "price": m, "group": "mr1"} for m in moves]
    extreme = 2 * max(number(m) for m in moves)
    scenarios += [
        {"id": f"mr6/{text(x)}", "price": text(x), "weight": "0.5", "group": "mr6"} for x in (-extreme, extreme)
    ]
    charges = []
    for part in ("mr4", "mr7"):
        rate = text(_rounded(number(expected[part]) / gross, RATE_DECIMALS))
        rates = {"initial": rate, "maintenance": rate}
        charges.append({"id": part, "kind": "notional", "exposure": "perpetual_mark", "rates": rates})
    others = [text(number(expected[part])) for part in _OTHERS]
    return document(
        "okx-like",
        grid={"scenarios": scenarios},
        pricing={**PRICING, "delta_one": "index"},
        charges=charges,
        aggregate={
            "set": {
                "mr1": {"max": ["0", "loss.mr1"]},
                "mr6": {"max": ["0", "loss.mr6"]},
                "unit": {"max": [{"sum": ["mr1", "charge.mr4", *others]}, "mr6", "charge.mr7"]},
            },
            "account": {"equity": "value.total", "initial": {"mul": ["1.3", "unit"]}, "maintenance": "unit"},
        },
    )


def _rounded(value: Fraction, decimals: int) -> Fraction:
    return Fraction(nearest(value, decimals), 10**decimals)
