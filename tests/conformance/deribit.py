"""Deribit's simulation of portfolio margin: risk vectors, worst case, roll shock and margins of perpetuals and futures.

The venue counts in coins, so the coin at today's index is the quote and settlement currency here: the index is 1 and marks are
divided by it. A position of q coins is q mark contracts of notional 1. Open orders, market-maker protection, spot margin and the
correlation contingency are not of positions; they are inputs of the margins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import Account, Forward, Index, Listing, MarginMarket, MarginModel, evaluate_model
from riskproof.risk.margining.exact import text
from tests.conformance.cases import Case, Check, VectorError, guarded, members, named, number
from tests.conformance.venue_common import check, document

STANDARD, EXTENDED = "standard", "extended"
_VOLS = ("down", None, "up")
_FUTURE = re.compile(r"[A-Z]+-([0-9]{1,2}[A-Z]{3}[0-9]{2})")
_INPUTS = ("mmp_margin", "open_orders_margin", "spot_margin")


def matches(file: Any) -> bool:
    if not isinstance(file, dict) or "extended_moves" not in file:
        return False
    cases = list(file["cases"].values()) if isinstance(file.get("cases"), dict) else file.get("cases")
    return isinstance(cases, list) and all("model_params" in members(case) for case in cases)


def run(file: Any) -> Iterator[Case]:
    moves = [number(m) for m in file["extended_moves"]]
    for name, case, skipped in named(file["cases"]):
        yield guarded(name, partial(_checks, case, moves), skipped)


def _checks(case: Any, moves: list[Fraction]) -> list[Check]:
    p, expected = case["model_params"], case["expected"]
    if len(p["currency_pair"]) != 1:
        raise VectorError(f"one currency pair is expected, not {', '.join(p['currency_pair']) or 'none'}")
    ((pair, of_pair),) = p["currency_pair"].items()
    coin = pair.split("_")[0]
    index = number(case["index_price"][pair])
    undamped = MarginModel.from_document(model_document(p, of_pair, coin, moves, index, expected, False))
    model = MarginModel.from_document(model_document(p, of_pair, coin, moves, index, expected, True))
    market, quantities = market_and_quantities(case, coin, index)

    def vector(m: MarginModel, names: list[str]) -> list[Fraction]:
        report = evaluate_model(m, market, Account.build(market, {n: quantities[n] for n in names}))
        return list(report.sets[0].pnl)

    checks: list[Check] = []
    for name, vectors in expected.get("initial_risk_vectors", {}).items():
        checks += _compared(f"vector {name}", vectors, vector(undamped, [name]))
    everything = list(quantities)
    for key, vectors in expected.items():
        if key.startswith("pre_aggregated_"):
            checks += _compared("pre_aggregated", vectors, vector(undamped, everything))
        elif key.startswith("aggregated_"):
            checks += _compared("aggregated", vectors, [model.across(x) for x in vector(model, everything)])
    report = evaluate_model(model, market, Account.build(market, quantities))
    worst = dict(report.sets[0].worst)
    place = min((worst[g] for g in (STANDARD, EXTENDED)), key=lambda i: (report.sets[0].pnl[i], i))
    loss = next(c for c in report.choices if c.term == "worst")
    checks += [
        check("worst_case", expected["worst_case"], max(x for _, x in loss.candidates)),
        check("roll_shock", expected["roll_shock"], report.charges["roll"][0]),
        check("delta_shock", expected["delta_shock"], report.charges["delta_shock"][0]),
        check(
            "risk_matrix_margin", expected["risk_matrix_margin"], report.maintenance / number(p["general"]["mm_factor"])
        ),
        check("initial_margin", expected["initial_margin"], report.initial),
        check("maintenance_margin", expected["maintenance_margin"], report.maintenance),
    ]
    where = expected.get("worst_case_bucket")
    if where is not None:
        if where["source"] != model.scenarios[place].group:
            raise VectorError(f"worst case in the {model.scenarios[place].group} table")
        first = next(i for i, s in enumerate(model.scenarios) if s.group == where["source"])
        checks.append(check("worst_index", where["index"], place - first + 1))
        if where["source"] == STANDARD:
            checks.append(check("worst_bucket", where["bucket"], place // len(_VOLS) + 1))
    return checks


def _compared(what: str, vectors: Any, got: list[Fraction]) -> list[Check]:
    """Every value of the standard table stands for its three volatilities."""
    standard = [x for x in vectors["standard_per_bucket_low_to_high"] for _ in _VOLS]
    both = [*standard, *vectors["extended"]]
    return [check(f"{what} {i}", x, y) for i, (x, y) in enumerate(zip(both, got, strict=True))]


def model_document(
    p: Any, pair: Any, coin: str, moves: list[Fraction], index: Fraction, expected: Any, dampened: bool
) -> dict[str, Any]:
    """The model that a response's parameters are."""
    reach, count = number(pair["price_range"]), int(p["general"]["buckets_count"])
    currency = p["currency"][coin]
    if p["general"]["vol_scenarios_count"] != len(_VOLS):
        raise VectorError("not three volatilities")
    scenarios: list[dict[str, Any]] = []
    for i in range(-count, count + 1):
        price = text(reach * i / count)
        for vol in _VOLS:
            scenario = {"id": f"{price}/{vol}", "price": price, "convert_at": price, "group": STANDARD}
            scenarios.append(scenario if vol is None else {**scenario, "vol": vol})
    for move in moves:
        size = abs(move) / reach
        dampener = (size - 1) * number(currency["extended_dampener"]) / index if dampened else Fraction(0)
        scenarios.append(
            {
                "id": f"{text(move)}/extended",
                "price": text(move),
                "vol": "up",
                "weight": text(number(pair["extended_table_factor"]) / size),
                "convert_at": text(reach if move > 0 else -reach),
                "dampener": text(dampener),
                "group": EXTENDED,
            }
        )
    worst = {"round": {"value": "worst", "decimals": 9, "mode": "half_even"}}
    inputs = [text(number(expected.get(name, 0))) for name in _INPUTS]
    matrix = {
        "sum": ["counted", "charge.roll", "charge.delta_shock", text(number(expected["correlation_contingency"]))]
    }
    initial = {"round": {"value": {"sum": [matrix, *inputs]}, "decimals": 9, "mode": "half_even"}}
    minimum = text(number(currency["min_annualised_move"]))
    most = text(number(pair["max_delta_shock"]))
    return document(
        "deribit-like",
        grid={"scenarios": scenarios},
        volatility={
            "scaling": {
                "power": {
                    "reference_days": "30",
                    "floor_days": "1",
                    "short": text(number(pair["short_term_vega_power"])),
                    "long": text(number(pair["long_term_vega_power"])),
                }
            },
            "shocks": {
                "up": {
                    "multiply": {
                        "amount": text(number(pair["volatility_range_up"])),
                        "scaled": True,
                        "minimum_before": text(number(pair["min_volatility_for_shock_up"])),
                    }
                },
                "down": {"multiply": {"amount": text(-number(pair["volatility_range_down"])), "scaled": True}},
            },
        },
        netting={"sets": "underlying", "gain_factor": text(number(currency["pnl_offset"]))},
        charges=[
            {
                "id": "roll",
                "kind": "roll",
                "rates": {"initial": minimum, "maintenance": minimum},
                "per_year": text(number(currency["annualised_move_risk"])),
            },
            {
                "id": "delta_shock",
                "kind": "delta",
                "measure": "net",
                "rates": {"initial": most, "maintenance": most},
                "beyond": text(number(pair["delta_total_liq_shock_threshold"]) / index),
            },
        ],
        aggregate={
            "set": {"worst": {"max": ["0", "loss.standard", "loss.extended"]}, "counted": worst},
            "account": {
                "equity": "value.total",
                "initial": initial,
                "maintenance": {"mul": [text(number(p["general"]["mm_factor"])), matrix]},
            },
        },
    )


def market_and_quantities(case: Any, coin: str, index: Fraction) -> tuple[MarginMarket, dict[str, Fraction]]:
    """A market in coins at today's index, and contracts of notional 1 by name."""
    listings, quantities = [], {}
    forwards: dict[tuple[str, int], Forward] = {}
    for name, coins in case["portfolio"].items():
        mark = number(case["ticker"][name]["mark_price"]) / index
        perpetual, future = name.endswith("-PERPETUAL"), _FUTURE.fullmatch(name)
        if not perpetual and not future:
            raise VectorError(f"{name} is neither a perpetual nor a future")
        expiry = None
        if future:
            expires = datetime.strptime(future[1], "%d%b%y").replace(hour=8, tzinfo=UTC)
            expiry = int(expires.timestamp())
            now = int(number(case["model_params"]["general"]["timestamp_ms"]))
            forwards[coin, expiry] = Forward((expiry * 1000 - now) // 1000, mark)
        kind = Kind.PERPETUAL if perpetual else Kind.FUTURE
        listings.append(Listing(name, kind, coin, Payoff.INVERSE, expiry=expiry, mark=mark))
        quantities[name] = number(coins) * mark
    return MarginMarket(coin, {coin: Index(Fraction(1))}, forwards, tuple(listings)), quantities
