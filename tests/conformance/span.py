"""SPAN: the scenario table against the model that ships, and published figures against the rules of the engine.

Futures' risk arrays are computed. Options' are what was published of them: a risk parameter file gives them as data, and so does
`PublishedValues` here, in place of prices; where only the scenario that binds was published, the others are nothing.
A section of the file is recognised by its members:

    params, cases                        a combined commodity: scan risk, minimum, spread charge, net option value, total
    scan_range_usd, expected_requirement an example with whole arrays
    members with scan_risk_per_unit, lot futures with the margin of a lot

Published amounts are rounded to what divides all of them in an array.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

from riskproof.market.registry import Kind, OptionType
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
    load_model,
)
from riskproof.risk.margining.exact import nearest, text
from riskproof.risk.margining.grid import State
from riskproof.risk.margining.volatility import Move
from riskproof.units import SECONDS_PER_DAY
from tests.conformance.cases import Case, Check, VectorError, described, guarded, number
from tests.conformance.venue_common import check, document

COLUMNS = ["scenario", "price_move_in_scan_ranges", "vol_move_in_vol_scan_ranges", "weight"]
MONTH_DAYS = 30
_LEG = re.compile(
    r"(?P<size>[+-]\d+)(?: or (?P<other>[+-]\d+))? (?P<root>[A-Z]+)"
    r"(?: future| (?P<month>\d{6})(?: (?P<right>[PC])(?P<strike>[\d.]+))?)"
)
_SETTLED = re.compile(r"settle ([\d.]+)")
_NAMED_LEG = re.compile(r"(long|short)_(?:[a-z0-9]+_)*?(future|call|put)(?:_|$)")


def matches(file: Any) -> bool:
    table = file.get("scenario_table") if isinstance(file, dict) else None
    return isinstance(table, dict) and table.get("columns") == COLUMNS


def run(file: Any) -> Iterator[Case]:
    rows = file["scenario_table"]["rows"]
    extreme = [number(x) for x in next(iter(file["scenario_table"]["EM_CF_examples"].values()))]
    yield guarded("scenario table", partial(_table, rows, extreme))
    for name, section in file.items():
        if name == "scenario_table" or not isinstance(section, dict):
            continue
        if {"params", "cases"} <= section.keys():
            yield from _guarded(name, _commodity(name, section, rows))
        elif {"scan_range_usd", "expected_requirement"} <= section.keys():
            yield from _guarded(name, _example(name, section, rows))
        else:
            for lot, terms in section.items():
                if isinstance(terms, dict) and {"scan_risk_per_unit", "lot"} <= terms.keys():
                    yield guarded(f"{name} {lot}", partial(_lot, terms, rows))


def _guarded(name: str, cases: Iterator[Case]) -> Iterator[Case]:
    """The cases of a section; one that fails if the section cannot be read."""
    try:
        yield from cases
    except Exception as error:
        yield Case(name, error=described(error))


def _table(rows: Any, extreme: list[Fraction]) -> list[Check]:
    model = load_model("span16")
    checks = [Check("count", Fraction(len(rows)), Fraction(len(model.scenarios)))]
    for (name, price, vol, weight), s in zip(rows, model.scenarios, strict=True):
        shock = None if s.vol is None else model.volatility.shock(s.vol)
        size = shock.amount if isinstance(shock, Move) else Fraction(0)
        reach = dict(model.volatility.shocks)["up"]
        ranges = size / reach.amount if isinstance(reach, Move) else Fraction(0)
        checks += [
            Check(f"price {name}", _symbol(price, "EM", extreme[0]), s.price),
            Check(f"vol {name}", number(vol), ranges),
            Check(f"weight {name}", _symbol(weight, "CF", extreme[1]), s.weight),
        ]
    return checks


def _symbol(entry: Any, name: str, value: Fraction) -> Fraction:
    if entry in (name, f"-{name}"):
        return value if entry == name else -value
    return number(entry)


def model_document(
    rows: Any, ranges: dict[str, Fraction], extreme: tuple[Fraction, Fraction], minimum: Fraction, spreads: list[Any]
) -> dict[str, Any]:
    """SPAN with a table of scenarios, absolute scan ranges, a rate of minimum and calendar spreads."""
    scenarios = []
    for name, price, vol, weight in rows:
        scenario = {
            "id": str(name),
            "price": text(_symbol(price, "EM", extreme[0])),
            "weight": text(_symbol(weight, "CF", extreme[1])),
        }
        scenarios.append(scenario if number(vol) == 0 else {**scenario, "vol": "up" if number(vol) > 0 else "down"})
    shocks = {v: {"multiply": {"amount": a, "scaled": False}} for v, a in (("up", "0.1"), ("down", "-0.1"))}
    rate = {"initial": text(minimum), "maintenance": text(minimum)}
    requirement = {"max": [{"sum": ["scan", "charge.spread"]}, "charge.minimum"]}
    return document(
        "span16",
        grid={
            "scan_ranges": {"ranges": {name: {"absolute": text(x)} for name, x in ranges.items()}},
            "scenarios": scenarios,
        },
        volatility={"shocks": shocks},
        charges=[
            {"id": "spread", "kind": "calendar_spread", "spreads": spreads},
            {"id": "minimum", "kind": "notional", "exposure": "option_short", "rates": rate},
        ],
        aggregate={
            "set": {"scan": {"max": ["0", "loss.all"]}, "requirement": requirement},
            "account": {"equity": "value.total", "initial": "requirement", "maintenance": "requirement"},
        },
    )


@dataclass
class PublishedValues(UnitValues):
    """Values of options from published arrays: by name, (present value, P&L of one unit by scenario, with its weight)."""

    arrays: dict[str, tuple[Fraction, list[Fraction]]] = field(default_factory=dict)

    def _option(self, place: int, state: State) -> int:
        value, array = self.arrays[self.market.listings[place].name]
        for scenario, pnl in zip(self.model.scenarios, array, strict=True):
            if scenario.state == state:
                value += pnl / scenario.weight
                break
        return nearest(value, self.market.money_exponent)

    def _delta(self, place: int, listing: Listing) -> Fraction:
        return Fraction(0) if listing.kind is Kind.OPTION else super()._delta(place, listing)


def _scan(report: MarginReport) -> Fraction:
    return next(max(x for _, x in c.candidates) for c in report.choices if c.term == "scan")


def _unit(amounts: list[Fraction]) -> int:
    """What divides all amounts of an array: what they were rounded to."""
    return math.gcd(*(int(x) for x in amounts)) or 1


def _array(name: str, published: list[Fraction], pnl: tuple[Fraction, ...], unit: int) -> list[Check]:
    return [
        Check(f"{name} {i + 1}", x, Fraction(nearest(y / unit, 0) * unit))
        for i, (x, y) in enumerate(zip(published, pnl, strict=True))
    ]


# --- a combined commodity ---------------------------------------------------------------------------------------------


def _legs(position: str) -> list[list[tuple[Fraction, str, str | None, bool]]]:
    """Alternatives of a position's text, each a list of (size, name, month, whether an option)."""
    found = list(_LEG.finditer(position))
    if not found:
        raise VectorError(f"no position in {position!r}")
    legs = [
        (
            Fraction(m["size"]),
            f"{m['root']}-{m['month'] or 'any'}" + (f"-{m['strike']}-{m['right']}" if m["right"] else ""),
            m,
        )
        for m in found
    ]
    whole = [[(size, name, m["month"], m["right"] is not None) for size, name, m in legs]]
    if found[0]["other"]:
        (_, name, m), *rest = legs
        whole.append([(Fraction(m["other"]), name, m["month"], False), *whole[0][len(whole[0]) - len(rest) :]])
    return whole


def _months(month: str) -> int:
    return int(month[:4]) * 12 + int(month[4:])


def _commodity(name: str, section: Any, rows: Any) -> Iterator[Case]:
    p, factor = section["params"], number(section["params"]["contract_value_factor"])
    price = number(section["settlement_price"])
    extreme = number(p["extreme_move_multiplier"]), number(p["extreme_move_covered_fraction"])
    parsed = [(case, legs) for case in section["cases"] for legs in _legs(case["position"])]
    months = sorted({_months(leg[2]) for _, legs in parsed for leg in legs if leg[2]})

    def days(month: str | None) -> int:
        return (_months(month) - months[0]) * MONTH_DAYS if month else 0

    def reach(month: str | None) -> dict[str, str]:
        return {"from": str(days(month)), "to": str(days(month) + 1)}

    spreads = []
    for case, legs in parsed:
        if "intra_spread_charge" in case:
            rate = text(number(case["intra_spread_charge"]) / (factor * price))
            near, far = sorted((leg[2] for leg in legs), key=days)
            both = {"initial": rate, "maintenance": rate}
            spreads.append({"near": reach(near), "far": reach(far), "rates": both})
    minimum = number(p["short_option_minimum_per_short"]) / (factor * price)
    root = "underlying"
    model = MarginModel.from_document(
        model_document(rows, {root: number(p["price_scan_range"]) / factor}, extreme, minimum, spreads)
    )
    listings: dict[str, Listing] = {}
    arrays: dict[str, tuple[Fraction, list[Fraction]]] = {}
    for case, legs in parsed:
        for size, leg, month, option in legs:
            kind = Kind.OPTION if option else Kind.FUTURE
            strike = number(leg.split("-")[2]) if option else None
            right = (OptionType.PUT if leg.endswith("P") else OptionType.CALL) if option else None
            expiry = days(month) * SECONDS_PER_DAY
            listings[leg] = Listing(
                leg, kind, root, unit=factor, expiry=expiry, strike=strike, option_type=right, mark=price
            )
            if option:
                value, array = arrays.setdefault(leg, (Fraction(0), [Fraction(0)] * len(rows)))
                settled = _SETTLED.search(case["position"])
                array[case["active_scenario"] - 1] = -number(case["scan_risk"]) / size
                arrays[leg] = (number(settled[1]) * factor if settled else value, array)
    forwards = {(root, x.expiry): Forward(x.expiry, price) for x in listings.values() if x.expiry is not None}
    market = MarginMarket("USD", {root: Index(price)}, forwards, tuple(listings.values()))
    for key, published in section.items():
        if key.endswith("_risk_array_long1_loss_positive"):
            losses = [number(x) for x in published]
            future = next(x for x in listings.values() if x.kind is Kind.FUTURE)

            def of_future(losses: list[Fraction] = losses, future: Listing = future, key: str = key) -> list[Check]:
                report = evaluate_model(model, market, Account.build(market, {future.name: Fraction(1)}))
                return _array("array", losses, tuple(-x for x in report.sets[0].pnl), _unit(losses))

            yield guarded(f"{name} {key}", of_future)
    values = PublishedValues(model, market, arrays=arrays)
    for case, legs in parsed:
        quantities = {leg: size for size, leg, _, _ in legs}
        title = " ".join(f"{'+' if q > 0 else ''}{q} {leg}" for leg, q in quantities.items())

        def of_position(case: Any = case, quantities: dict[str, Fraction] = quantities) -> list[Check]:
            return _position(case, evaluate_model(model, market, Account.build(market, quantities), values))

        yield guarded(f"{name} {title}", of_position)


def _position(case: Any, report: MarginReport) -> list[Check]:
    value = report.values["options"]
    # What a requirement and equity come to: what is published as the total is the shortfall without any cash.
    got = {
        "scan_risk": _scan(report),
        "active_scenario": Fraction(dict(report.sets[0].worst)["all"] + 1),
        "som": report.charges["minimum"][0],
        "span_requirement": report.initial,
        "short_option_value": max(-value, Fraction(0)),
        "long_option_value": max(value, Fraction(0)),
        "total_requirement": -report.excess_initial,
        "intra_spread_charge": report.charges["spread"][0],
    }
    return [check(what, case[what], number(x)) for what, x in got.items() if what in case]


# --- an example with whole arrays -------------------------------------------------------------------------------------


def _named_legs(name: str) -> dict[str, int]:
    return {kind: 1 if side == "long" else -1 for side, kind in _NAMED_LEG.findall(name)}


def _example(name: str, section: Any, rows: Any) -> Iterator[Case]:
    reach = number(section["scan_range_usd"])
    cover = number(section["extreme_pnl_usd"]) / (3 * reach)
    published = {
        key.removesuffix("_pnl"): [number(x) for x in values] for key, values in section.items() if key.endswith("_pnl")
    }
    model = MarginModel.from_document(
        model_document(rows, {"underlying": reach}, (Fraction(3), cover), Fraction(0), [])
    )
    unit, price = _unit([x for values in published.values() for x in values]), 10 * reach
    single = {next(iter(legs)): values for key, values in published.items() if len(legs := _named_legs(key)) == 1}
    listings = tuple(
        Listing(
            kind,
            Kind.FUTURE if kind == "future" else Kind.OPTION,
            "underlying",
            expiry=SECONDS_PER_DAY,
            strike=None if kind == "future" else price,
            option_type=None if kind == "future" else OptionType(kind),
            mark=price,
        )
        for kind in single
    )
    market = MarginMarket(
        "USD",
        {"underlying": Index(price)},
        {("underlying", SECONDS_PER_DAY): Forward(SECONDS_PER_DAY, price)},
        listings,
    )
    arrays = {kind: (Fraction(0), values) for kind, values in single.items()}
    values = PublishedValues(model, market, arrays=arrays)

    def checks(key: str, requirement: Any) -> list[Check]:
        full = next((k for k in published if k.startswith(key)), None) or next(
            k for k in published if _named_legs(k) == _named_legs(key)
        )
        quantities = {kind: Fraction(q) for kind, q in _named_legs(full).items()}
        report = evaluate_model(model, market, Account.build(market, quantities), values)
        return [
            *_array("array", published[full], report.sets[0].pnl, unit),
            Check("requirement", number(requirement), Fraction(nearest(report.initial / unit, 0) * unit)),
        ]

    for key, requirement in section["expected_requirement"].items():
        yield guarded(f"{name} {key}", partial(checks, key, requirement))


# --- margin of a lot --------------------------------------------------------------------------------------------------


def _lot(terms: Any, rows: Any) -> list[Check]:
    reach, lot = number(terms["scan_risk_per_unit"]), number(terms["lot"])
    model = MarginModel.from_document(
        model_document(rows, {"underlying": reach}, (Fraction(3), Fraction(33, 100)), Fraction(0), [])
    )
    listing = Listing("future", Kind.FUTURE, "underlying", unit=lot, expiry=SECONDS_PER_DAY, mark=10 * reach)
    market = MarginMarket(
        "INR",
        {"underlying": Index(10 * reach)},
        {("underlying", SECONDS_PER_DAY): Forward(SECONDS_PER_DAY, 10 * reach)},
        (listing,),
    )
    return [
        check("margin_per_lot", terms["margin_per_lot"], evaluate_model(model, market, account).initial)
        for account in (Account.build(market, {"future": Fraction(q)}) for q in (1, -1))
    ]
