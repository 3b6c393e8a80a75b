"""Derive's portfolio margin 2 once more, in float64, written from the venue's formulas and not from our documents or engine."""

from __future__ import annotations

import math
from typing import Any

from tests.conformance.cases import number

YEAR, MONTH, DAY = 31_536_000, 2_592_000, 86_400
SKEWS = ("LINEAR", "ABS")


def f(x: Any) -> float:
    return float(number(x))


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black(call: bool, forward: float, strike: float, deviation: float, discount: float) -> float:
    if deviation <= 0 or forward <= 0:
        return discount * max(forward - strike if call else strike - forward, 0)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    if call:
        return discount * (forward * normal(d1) - strike * normal(d2))
    return discount * (strike * normal(-d2) - forward * normal(-d1))


class Expiry:
    """Options of one expiry."""

    def __init__(self, p: Any, feed: Any) -> None:
        self.p, self.feed, self.legs = p, feed, dict[tuple[float, bool], float]()
        seconds = int(number(feed["FeedExpiry"]))
        self.years = max(seconds, 0) / YEAR
        self.forward = f(feed["Forward"])
        self.moving = self.forward * max(seconds, 0) / 1800 if seconds < 1800 else self.forward
        rate = max(f(feed["Rate"]), 0)
        self.discount = math.exp(-rate * self.years)
        vol, margin = p["VolShock"], p["Margin"]
        power = f(vol["SHORTTERMPOWER" if seconds <= MONTH else "LONGTERMPOWER"])
        self.scale = (MONTH / max(seconds, f(vol["DTE_FLOOR"]) * DAY)) ** power
        long = rate * f(margin["LONG_RATE_MULTSCALE"]) + f(margin["LONG_RATE_ADDSCALE"])
        short = rate * f(margin["SHORT_RATE_MULTSCALE"]) + f(margin["SHORT_RATE_ADDSCALE"])
        self.gain = f(margin["BASE_STATIC_DISCOUNT"]) * math.exp(-self.years * long)
        self.debt = min(1 / self.discount, f(margin["BASE_STATIC_DISCOUNT_NEG"]) * math.exp(self.years * short))

    def volatility(self, strike: float) -> float:
        a, b, rho, m, sigma, forward, tau = (f(x) for x in self.feed["SVIparam"])
        widest = 4 * math.sqrt(a + b * sigma)
        k = max(-widest, min(widest, math.log(strike / forward))) - m
        return math.sqrt(min(a + b * (rho * k + math.sqrt(k * k + sigma * sigma)), 144) / tau)

    def shocked(self, strike: float, direction: str) -> float:
        vol, p = self.volatility(strike), self.p["VolShock"]
        if direction == "Up":
            return max(f(p["MIN_VOL_EVAL_SHOCKED"]), vol * (1 + f(p["VOLRANGEUP"]) * self.scale))
        if direction == "Down":
            return vol * max(0, 1 - f(p["VOLRANGEDOWN"]) * self.scale)
        if direction not in SKEWS:
            return vol
        skew, root = self.p["SkewShock"], math.sqrt(self.years)
        cap = f(skew[f"{direction}_SCALE_CAP"]) + f(skew[f"{direction}_CBASE"]) * root
        width = f(skew["MIN_WIDTH_SCALE"]) * (f(skew["VOL_PARAM_STATIC"]) + root * f(skew["VOL_PARAM_SCALE"]))
        flat = max(f(skew["MIN_K_STAR"]), root * width)
        k = math.log(strike / self.forward)
        k = abs(k) if direction == "ABS" else k
        return vol * max(0, 1 + (min(cap, k * cap / flat) if k >= 0 else max(-cap, k * cap / flat)))

    def value(self, move: float, direction: str) -> float:
        forward = self.forward - self.moving + self.moving * move
        return sum(
            q * black(call, forward, strike, self.shocked(strike, direction) * math.sqrt(self.years), self.discount)
            for (strike, call), q in self.legs.items()
        )

    def change(self, move: float, direction: str) -> float:
        value = self.value(move, direction)
        change = value * (self.gain if value >= 0 else self.debt) - self.value(1, "None")
        return -abs(change) if direction in SKEWS else change

    def naked(self) -> float:
        net: dict[float, float] = {}
        for (strike, _), q in self.legs.items():
            net[strike] = net.get(strike, 0) + q
        return sum(max(0, -q) for q in net.values())


def margins(p: Any, inputs: Any) -> tuple[float, float, list[float]]:
    """(initial, maintenance) net margin and the P&L of every scenario."""
    spot, stable, perpetuals = f(inputs["SpotPrice"]), f(inputs["StablePrice"]), f(inputs["NumPerps"])
    other, margin, basis = p["OtherContingency"], p["Margin"], p["BasisContingency"]
    market = f(inputs["SpotConfidence"])
    held = min(market, f(inputs["PerpConfidence"])) if perpetuals else market

    def unsure(confidence: float, notional: float) -> float:
        below = confidence < f(other["CONF_THRESHOLD"])
        return (1 - confidence) * f(other["CONF_MARGIN"]) * notional if below else 0.0

    both = abs(perpetuals) * spot * f(other["MM_PERP_PERCENT"])
    initial = abs(perpetuals) * spot * f(other["IM_PERP_PERCENT"]) + unsure(held, abs(perpetuals) * spot)
    value = f(inputs["UnrealisedPerpPNL"]) + f(inputs["UnrealisedFunding"]) if perpetuals else 0.0
    expiries = {int(number(x["FeedExpiry"])): Expiry(p, x) for x in inputs["OptionFeeds"]}
    for o in inputs["Options"]:
        legs, key = expiries[int(number(o["Expiry"]))].legs, (f(o["Strike"]), bool(o["IsCall"]))
        legs[key] = legs.get(key, 0) + f(o["Amount"])
    loss = 0.0
    live = [e for e in expiries.values() if e.legs]
    for e in live:
        now = e.value(1, "None")
        value += now
        worst = min(0, *(e.value(f(basis[f"SCENARIO_SPOT_{side}"]), "None") - now for side in ("UP", "DOWN")))
        loss += worst * (f(basis["BASIS_CONT_ADD_FACTOR"]) + f(basis["BASIS_CONT_MULT_FACTOR"]) * e.years)
        both += e.naked() * spot * f(other["MM_OPTION_PERCENT"])
        initial += e.naked() * spot * f(other["IM_OPTION_PERCENT"])
        feeds = (f(e.feed[n]) for n in ("ForwardConfidence", "RateConfidence", "OptionVolConfidences"))
        initial += unsure(min(held, *feeds), sum(abs(q) for q in e.legs.values()) * spot)
    cancelling = 0.0
    for c in inputs["Collaterals"]:
        worth = f(c["Amount"]) * f(c["Price"]) / stable
        value += worth
        both += worth * f(c["MMHaircut"])
        initial += worth * f(c["IMHaircut"]) + unsure(min(market, f(c["Confidence"])), worth)
        cancelling += worth if c["IsRiskCancelling"] else 0
    linear = perpetuals * f(inputs["PerpPrice"]) + cancelling
    pnl = []
    for s in p["Scenarios"]:
        move, direction = f(s["SpotShock"]), s["VolShockDirection"]
        total = linear * (move - 1) + sum(e.change(move, direction) for e in live)
        pnl.append(total * f(s["DampeningFactor"]))
    worst = min(loss, *pnl)
    peg = max(0, f(other["PEG_LOSS_THRESHOLD"]) - stable) * f(other["PEG_LOSS_FACTOR"])
    equity = value + f(inputs["Cash"])
    return (
        worst * (f(margin["IM_LOSS_FACTOR"]) + peg) - both - initial + equity,
        worst * f(margin["MM_LOSS_FACTOR"]) - both + equity,
        pnl,
    )
