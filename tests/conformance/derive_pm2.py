"""Derive's portfolio margin, second version: 31 scenarios, skew, basis and other contingencies.

Parameters are the file's `base_params` overlaid with the case's (objects merge, lists replace); they become a model document, feeds
and positions become a market and an account, and the engine does the rest. Near expiry (half an hour) only a share of the
forward moves: the rest of the settlement average is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    evaluate_model,
)
from riskproof.risk.margining.exact import text
from riskproof.risk.margining.surfaces import Svi
from tests.conformance.cases import Case, Check, guarded, members, number, truth, whole
from tests.conformance.cases import named as named_cases
from tests.conformance.derive_common import EXACT, LIMITS, confidence, peg_factor

SETTLEMENT_WINDOW = 1800
SKEWS = ("linear", "abs")
UNDERLYING, CASH, PERPETUAL = "INDEX", "CASH", "PERP"
# The published P&Ls were computed in float64 from notionals of up to 1e8; differences below this are theirs.
_FLOAT_NOISE = Fraction(1, 10**7)
_MARGIN_NOISE = Fraction(1, 10**8)
_DIRECTIONS = {1: "up", 0: "none", -1: "down"}
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def matches(document: Any) -> bool:
    return isinstance(document, dict) and {"VolShock", "Scenarios", "SkewShock"} <= members(document.get("base_params"))


def run(document: Any) -> Iterator[Case]:
    for name, case, skipped in named_cases(document.get("cases")):
        yield guarded(name, partial(_checks, document["base_params"], case), skipped)


def _checks(base: Any, case: Any) -> list[Check]:
    parameters = overlaid(base, case.get("params_override") or {})
    inputs, expected = case["inputs"], case["expected"]
    model = MarginModel.from_document(model_document(parameters, inputs.get("Collaterals") or []))
    market, account = market_and_account(inputs)
    report = evaluate_model(model, market, account)
    checks = [
        Check("IM", number(expected["IM"]), report.excess_initial, EXACT, _MARGIN_NOISE),
        Check("MM", number(expected["MM"]), report.excess_maintenance, EXACT, _MARGIN_NOISE),
    ]
    checks += _scenario_checks(parameters["Scenarios"], expected, case.get("recomputed_mpmath50") or {}, report)
    return checks + _part_checks(inputs, expected, report)


def _scenario_checks(scenarios: list[Any], expected: Any, recomputed: Any, report: MarginReport) -> list[Check]:
    pnl = report.sets[0].pnl if report.sets else (Fraction(0),) * len(scenarios)
    checks = []
    for i, x in enumerate(recomputed.get("scenario_pnl", [])):
        checks.append(
            Check(f"scenario {report.scenario_ids[i]} (recomputed)", number(x), pnl[i], EXACT, Fraction(1, 10**9))
        )
    for i, x in _published(scenarios, expected).items():
        checks.append(Check(f"scenario_published {report.scenario_ids[i]}", x, pnl[i], EXACT, _FLOAT_NOISE))
    return checks


def _published(scenarios: list[Any], expected: Any) -> dict[int, Fraction]:
    """Published losses by place of their scenario: that of the same moves, in order where several have the same.

    What is left of both is paired in order if it is as many; losses of what is no scenario are ignored, as the venue does.
    """
    losses = [
        ((round(number(move), 9), _DIRECTIONS[whole(direction)]), number(x))
        for group_losses in ("reg_losses", "tail_losses")
        for move, direction, x in expected.get(group_losses) or []
    ]
    losses += [((Fraction(0), str(kind).lower()), number(x)) for kind, x in expected.get("skew_losses") or []]
    places: dict[tuple[Fraction, str], list[int]] = {}
    for i, s in enumerate(scenarios):
        places.setdefault((round(number(s["SpotShock"]) - 1, 9), direction_of(s)), []).append(i)
    found: dict[int, Fraction] = {}
    others = []
    for key, x in losses:
        if places.get(key):
            found[places[key].pop(0)] = x
        else:
            others.append(x)
    left = sorted(i for several in places.values() for i in several)
    if len(others) == len(left):
        found |= dict(zip(left, others, strict=True))
    return dict(sorted(found.items()))


def _part_checks(inputs: Any, expected: Any, report: MarginReport) -> list[Check]:
    values, charges = report.values, report.charges
    confidence = [charges[name][0] for name in charges if name.startswith("confidence")]

    def charge(name: str, margin: int) -> Fraction:
        return charges.get(name, (Fraction(0), Fraction(0)))[margin]

    got = {
        "PortfolioMTM": sum(values.values(), Fraction(0)),
        "OptionMTM": values["options"],
        "CollateralMTM": values["spot"],
        "PerpMTM": values["receivables"] - _amount(inputs, "UnrealisedFunding"),
        "ForwardContingency": -charge("basis", 0),
        "MMPerpCont": -charge("perpetual", 1),
        "IMPerpCont": -charge("perpetual", 0) + charge("perpetual", 1),
        "MMOptionCont": -charge("naked", 1),
        "IMOptionCont": -charge("naked", 0) + charge("naked", 1),
        "MMBaseCont": -charge("haircut", 1),
        "IMBaseCont": -charge("haircut", 0) + charge("haircut", 1),
        "OracleCont": -sum(confidence, Fraction(0)),
    }
    return [
        Check(f"part {k}", number(expected[k]), got[k], EXACT, _FLOAT_NOISE, required=False)
        for k in got
        if k in expected
    ]


def overlaid(base: Any, override: Any) -> Any:
    """Objects merge, anything else is replaced."""
    if not isinstance(base, dict) or not isinstance(override, dict):
        return override
    return {**base, **{k: overlaid(base[k], v) if k in base else v for k, v in override.items()}}


def model_document(p: Any, collaterals: list[Any]) -> dict[str, Any]:
    """The model that a set of parameters is, with the collateral that a case names."""
    other, margin, skew, vol = p["OtherContingency"], p["Margin"], p["SkewShock"], p["VolShock"]

    def t(x: Any) -> str:
        return text(number(x))

    def rates(block: str) -> dict[str, str]:
        maintenance = number(other[f"MM_{block}_PERCENT"])
        return {"initial": text(number(other[f"IM_{block}_PERCENT"]) + maintenance), "maintenance": text(maintenance)}

    def skew_shock(sides: str, name: str) -> dict[str, Any]:
        return {
            "skew": {
                "sides": sides,
                "cap": {"static": t(skew[f"{name}_SCALE_CAP"]), "per_root_year": t(skew[f"{name}_CBASE"])},
                "flat_beyond": {
                    "minimum": t(skew["MIN_K_STAR"]),
                    "width": t(skew["MIN_WIDTH_SCALE"]),
                    "static": t(skew["VOL_PARAM_STATIC"]),
                    "per_root_year": t(skew["VOL_PARAM_SCALE"]),
                },
            }
        }

    def confident(exposure: str, feeds: list[str]) -> dict[str, Any]:
        return confidence(exposure, exposure, feeds, other["CONF_THRESHOLD"], other["CONF_MARGIN"])

    groups = sorted({group(s) for s in p["Scenarios"]})
    charged = ["perpetual", "naked", "haircut", "confidence_perpetual", "confidence_option", "confidence_collateral"]
    peg = peg_factor(other["PEG_LOSS_THRESHOLD"], other["PEG_LOSS_FACTOR"])
    return {
        "schema": "riskproof/model/v2",
        "name": "derive-pm2",
        "description": "Derive portfolio margin 2",
        "checked": "a conformance case",
        "grid": {"scenarios": [_scenario(i, s) for i, s in enumerate(p["Scenarios"])]},
        "volatility": {
            "scaling": {
                "power": {
                    "reference_days": "30",
                    "floor_days": t(vol["DTE_FLOOR"]),
                    "short": t(vol["SHORTTERMPOWER"]),
                    "long": t(vol["LONGTERMPOWER"]),
                }
            },
            "shocks": {
                "up": {
                    "multiply": {
                        "amount": t(vol["VOLRANGEUP"]),
                        "scaled": True,
                        "minimum": t(vol["MIN_VOL_EVAL_SHOCKED"]),
                    }
                },
                "down": {"multiply": {"amount": text(-number(vol["VOLRANGEDOWN"])), "scaled": True}},
                "linear": skew_shock("linear", "LINEAR"),
                "abs": skew_shock("absolute", "ABS"),
            },
        },
        "pricing": {
            "kernel": "black76-nearest/1",
            "discounting": "positive_rate",
            "static_discount": {
                "long": {
                    "base": t(margin["BASE_STATIC_DISCOUNT"]),
                    "rate_multiplier": t(margin["LONG_RATE_MULTSCALE"]),
                    "rate_addition": t(margin["LONG_RATE_ADDSCALE"]),
                },
                "short": {
                    "base": t(margin["BASE_STATIC_DISCOUNT_NEG"]),
                    "rate_multiplier": t(margin["SHORT_RATE_MULTSCALE"]),
                    "rate_addition": t(margin["SHORT_RATE_ADDSCALE"]),
                    "limit": "undiscounted",
                },
            },
        },
        "netting": {"sets": "account"},
        "charges": [
            {
                "id": "basis",
                "kind": "basis",
                "up": text(number(p["BasisContingency"]["SCENARIO_SPOT_UP"]) - 1),
                "down": text(number(p["BasisContingency"]["SCENARIO_SPOT_DOWN"]) - 1),
                "add": t(p["BasisContingency"]["BASIS_CONT_ADD_FACTOR"]),
                "per_year": t(p["BasisContingency"]["BASIS_CONT_MULT_FACTOR"]),
            },
            {"id": "perpetual", "kind": "notional", "exposure": "perpetual", "rates": rates("PERP")},
            {"id": "naked", "kind": "notional", "exposure": "option_naked_short", "rates": rates("OPTION")},
            {"id": "haircut", "kind": "haircut"},
            confident("perpetual", ["index", "perpetual"]),
            confident("option", ["index", "perpetual", "forward", "rate", "volatility"]),
            confident("collateral", ["own", "market"]),
        ],
        "aggregate": {
            "set": {"worst": {"max": [*(f"loss.{g}" for g in groups), "charge.basis"]}},
            "account": {
                "equity": "value.total",
                "initial": {
                    "sum": [
                        {"mul": ["worst", {"sum": [t(margin["IM_LOSS_FACTOR"]), peg]}]},
                        *(f"charge.{c}" for c in charged),
                    ]
                },
                "maintenance": {
                    "sum": [{"mul": ["worst", t(margin["MM_LOSS_FACTOR"])]}, *(f"charge.{c}" for c in charged)]
                },
            },
        },
        "collateral": {
            "conversion": "settlement_price",
            "assets": {
                name: {
                    "initial": text(number(c["IMHaircut"]) + number(c["MMHaircut"])),
                    "maintenance": t(c["MMHaircut"]),
                    "moves": truth(c["IsRiskCancelling"]),
                }
                for name, c in named(collaterals)
            },
        },
        "rounding": {
            "requirement": {"decimals": 18, "direction": "up"},
            "value": {"decimals": 18, "direction": "down"},
        },
        "limits": LIMITS,
    }


def direction_of(scenario: Any) -> str:
    """none, up, down, linear or abs."""
    return str(scenario["VolShockDirection"] or "none").lower()


def group(scenario: Any) -> str:
    if direction_of(scenario) in SKEWS:
        return "skew"
    return "tail" if number(scenario["DampeningFactor"]) != 1 else "regular"


def _scenario(i: int, s: Any) -> dict[str, Any]:
    direction = direction_of(s)
    scenario: dict[str, Any] = {
        "id": f"s{i}/{s['SpotShock']}/{direction}"[:64],
        "price": text(number(s["SpotShock"]) - 1),
        "group": group(s),
    }
    scenario["weight"] = text(number(s["DampeningFactor"]))
    if direction != "none":
        scenario["vol"] = direction
    if group(s) == "skew":
        scenario["expiry_pnl"] = "adverse"
    return scenario


def named(collaterals: list[Any]) -> list[tuple[str, Any]]:
    """Each collateral with a name of its own, of the characters that a model's names have."""
    return [(f"{_OTHER.sub('_', str(c['Name']))[:48]}.{i}", c) for i, c in enumerate(collaterals)]


def market_and_account(inputs: Any) -> tuple[MarginMarket, Account]:
    """Feeds and positions of a case. What is not held needs no feed."""
    forwards: dict[tuple[str, int], Forward] = {}
    surfaces: dict[int, Any] = {}
    for feed in inputs.get("OptionFeeds") or []:
        seconds = whole(feed["FeedExpiry"])
        price = number(feed["Forward"])
        moving = price * max(seconds, 0) / SETTLEMENT_WINDOW if seconds < SETTLEMENT_WINDOW else price
        forwards[UNDERLYING, seconds] = Forward(
            seconds,
            price,
            price - moving,
            number(feed["Rate"]),
            _maybe(feed, "ForwardConfidence"),
            _maybe(feed, "RateConfidence"),
        )
        surfaces[seconds] = feed
    listings = [Listing(CASH, Kind.SPOT, CASH)]
    positions = {CASH: _amount(inputs, "Cash")}
    for leg in inputs.get("Options") or []:
        seconds, strike, call = whole(leg["Expiry"]), number(leg["Strike"]), truth(leg["IsCall"])
        name = f"{seconds}-{text(strike)}-{'C' if call else 'P'}"
        if name not in positions:
            feed = surfaces.get(seconds, {})
            if feed.get("SVIparam") is not None:
                volatility = Svi(*(number(x) for x in feed["SVIparam"])).volatility(strike, name)
            else:
                volatility = number(leg["MarkVol"])
            side = OptionType.CALL if call else OptionType.PUT
            listings.append(
                Listing(
                    name,
                    Kind.OPTION,
                    UNDERLYING,
                    expiry=seconds,
                    strike=strike,
                    option_type=side,
                    volatility=volatility,
                    confidence=_maybe(feed, "OptionVolConfidences"),
                )
            )
        positions[name] = positions.get(name, Fraction(0)) + number(leg["Amount"])
    perpetuals = _amount(inputs, "NumPerps")
    receivables = {}
    if perpetuals:  # the venue asks for unsettled P&L and funding of a perpetual that is held
        receivables[PERPETUAL] = _amount(inputs, "UnrealisedPerpPNL") + _amount(inputs, "UnrealisedFunding")
        listings.append(
            Listing(
                PERPETUAL,
                Kind.PERPETUAL,
                UNDERLYING,
                mark=number(inputs["PerpPrice"]),
                confidence=_maybe(inputs, "PerpConfidence"),
            )
        )
        positions[PERPETUAL] = perpetuals
    for name, c in named(inputs.get("Collaterals") or []):
        listings.append(Listing(name, Kind.SPOT, name, mark=number(c["Price"]), confidence=_maybe(c, "Confidence")))
        positions[name] = number(c["Amount"])
    market = MarginMarket(
        CASH,
        {UNDERLYING: Index(number(inputs["SpotPrice"]), _maybe(inputs, "SpotConfidence"))},
        forwards,
        tuple(listings),
        number(inputs.get("StablePrice", 1)),
    )
    return market, Account.build(market, positions, receivables, UNDERLYING)


def _maybe(feed: Any, name: str) -> Fraction | None:
    return number(feed[name]) if feed.get(name) is not None else None


def _amount(inputs: Any, name: str) -> Fraction:
    return _maybe(inputs, name) or Fraction(0)
