"""Derive's portfolio margin 1 and standard margin once more, in float64, written from the venue's rules and not from our
documents or engine. Numbers of a case are integers of 10^-18, as in the files."""

from __future__ import annotations

import math
from typing import Any

from tests.conformance.cases import number
from tests.conformance.float_pm2 import MONTH, YEAR, black, f

Leg = tuple[float, bool, float, float, float]  # strike, call, size, volatility, its confidence


def w(x: Any) -> float:
    return float(number(x) / 10**18)


def legs(s: Any, underlying: str | None = None) -> dict[int, tuple[int, list[Leg]]]:
    """(place of the feeds, positions of one strike and side together) by expiry; of an underlying where there are several."""
    found: dict[int, tuple[int, dict[tuple[float, bool], Leg]]] = {}
    for i, expiry in enumerate(s["OptionExpiries"]):
        if underlying is not None and s["OptionUnderlying"][i] != underlying:
            continue
        strike, call = w(s["OptionStrikes"][i]), bool(s["OptionIsCall"][i])
        _, of_expiry = found.setdefault(int(expiry), (i, {}))
        before = of_expiry[strike, call][2] if (strike, call) in of_expiry else 0.0
        size = before + w(s["OptionAmounts"][i])
        of_expiry[strike, call] = (strike, call, size, w(s["OptionVols"][i]), w(s["OptionVolConfidences"][i]))
    return {e: (i, [x for x in of.values() if x[2]]) for e, (i, of) in found.items()}


def price(seconds: int, volatility: float, forward: float, strike: float, call: bool) -> float:
    return black(call, forward, strike, volatility * math.sqrt(max(seconds, 0) / YEAR), 1)


def portfolio_margin_1(p: Any, s: Any) -> tuple[float, float, float, list[float]]:
    """(initial, maintenance) net margin, value, and the P&L of every scenario."""
    other, margin, shock, basis = p["other"], p["margin"], p["volShock"], p["basis"]
    spot, sure, stable = w(s["SpotPrice"]), w(s["SpotConfidence"]), w(s["StablePrice"])
    perpetuals, base = w(s["Perps"]), w(s["Base"])
    value = w(s["Cash"]) + base * spot / stable
    if perpetuals:
        sure = min(sure, w(s["PerpConfidence"]))
        value += w(s["UnrealisedPerpPNL"]) + w(s["UnrealisedFunding"])

    def unsure(confidence: float, size: float) -> float:
        below = confidence < f(other["confThreshold"])
        return (1 - confidence) * f(other["confMargin"]) * size * spot if below else 0.0

    static = (abs(perpetuals) * f(other["perpPercent"]) + base * f(other["basePercent"])) * spot
    doubt, contingency = unsure(sure, abs(perpetuals) + base), 0.0
    pnl = [(f(move) - 1) * (base * spot / stable + perpetuals * w(s["PerpPrice"])) for move, _ in p["scenarios"]]
    for seconds, (k, held) in legs(s).items():
        if not held:
            continue
        years = max(seconds, 0) / YEAR
        power = f(shock["shortTermPower" if seconds <= MONTH else "longTermPower"])
        scale = (MONTH / max(seconds, f(shock["dteFloorSec"]))) ** power
        factors = {
            "Up": 1 + f(shock["volRangeUp"]) * scale,
            "None": 1.0,
            "Down": max(0.0, 1 - f(shock["volRangeDown"]) * scale),
        }
        rate = max(w(s["Rates"][k]), 0) * f(margin["rateMultScale"]) + f(margin["rateAddScale"])
        gain = f(margin["baseStaticDiscount"]) * math.exp(-years * rate)
        settled, moving = w(s["ForwardsFixed"][k]), w(s["ForwardsVariable"][k])

        def worth(
            move: float,
            factor: float,
            seconds: int = seconds,
            held: list[Leg] = held,
            settled: float = settled,
            moving: float = moving,
        ) -> float:
            return sum(x[2] * price(seconds, x[3] * factor, settled + moving * move, x[0], x[1]) for x in held)

        now = worth(1, 1)
        value += now
        sides = [worth(f(basis[side]), 1) - now for side in ("scenarioSpotUp", "scenarioSpotDown")]
        contingency += min(*sides, 0) * (f(basis["basisContAddFactor"]) + f(basis["basisContMultFactor"]) * years)
        net: dict[float, float] = {}
        for strike, _, size, _, _ in held:
            net[strike] = net.get(strike, 0) + size
        static += sum(max(0, -size) for size in net.values()) * f(other["optionPercent"]) * spot
        feeds = (w(s["ForwardConfidences"][k]), w(s["RateConfidences"][k]), *(x[4] for x in held))
        doubt += unsure(min(sure, *feeds), sum(abs(x[2]) for x in held))
        for i, (move, direction) in enumerate(p["scenarios"]):
            shocked = worth(f(move), factors[direction])
            pnl[i] += (shocked * gain if shocked > 0 else shocked) - now
    loss = min(contingency, *pnl) - static
    peg = max(0, f(other["pegLossThreshold"]) - stable) * f(other["pegLossFactor"])
    return loss * (f(margin["imFactor"]) + peg) - doubt + value, loss + value, value, pnl


def standard_margin(p: Any, s: Any) -> tuple[float, float, float]:
    """(initial, maintenance) net margin and value."""
    initial, maintenance = _standard(p, s, True), _standard(p, s, False)
    return initial[0], maintenance[0], initial[1]


def _standard(p: Any, s: Any, initial: bool) -> tuple[float, float]:
    option, perpetual, oracle, asset = p["option"], p["perp"], p["oracle"], p["base"]
    stable = w(s["USDCValue"])
    peg = max(0, f(p["depeg"]["threshold"]) - stable) * f(p["depeg"]["factor"]) if initial else 0.0
    margin = value = w(s["Cash"])

    def unsure(confidence: float, kind: str) -> float:
        low = initial and confidence < f(oracle[f"{kind}Threshold"])
        return (1 - confidence) * f(oracle["OCFactor"]) if low else 0.0

    for k, u in enumerate(("ETH", "BTC")):
        spot, mark = w(s[f"{u}SpotPrice"]), w(s["PerpPrice"][k])
        sure, mark_sure = (w(x) for x in s["SpotPerpConfidences"][k])
        size, base = w(s[f"Perps_{u}"]), w(s[f"w{u}"])
        if size:
            gain = mark - w(s[f"LastEntry{u}"]) if s[f"LastEntry{u}"] is not None else 0.0
            paid = s[f"Account{u}FundingIndex"]
            gain += w(paid) - w(s[f"{u}GlobalFundingIndex"]) if paid is not None else 0.0
            margin += size * gain - abs(size) * mark * f(perpetual["imPerpReq" if initial else "mmPerpReq"])
            margin -= unsure(min(sure, mark_sure), "perp") * spot * abs(size)
            value += size * gain
        credit = f(asset["marginFactor"]) * (f(asset["IMScale"]) if initial else 1)
        margin += base * spot * (credit - unsure(sure, "base"))
        value += base * spot / stable
        at_risk = abs(size)
        for seconds, (i, held) in legs(s, u).items():
            settlement = s.get(f"SettlementPrice{u}")
            near = s["FeedExpiries"][i] < 3600 and settlement is not None
            forward = w(settlement if near else s["Forwards"][i])
            better, worth, short = _expiry(option, seconds, forward, spot, held, initial)
            feeds = (w(s["ForwardConfidences"][i]), *(x[4] for x in held))
            margin += better - unsure(min(sure, *feeds), "option") * spot * short
            value += worth
            at_risk += short
        margin -= at_risk * spot * peg
    return margin, value


def _expiry(
    option: Any, seconds: int, forward: float, spot: float, held: list[Leg], initial: bool
) -> tuple[float, float, float]:
    """(the better of the two margins, value, short size) of an expiry."""
    isolated = worth = short = 0.0
    for strike, call, size, volatility, _ in held:
        v = size * price(seconds, volatility, forward, strike, call)
        worth += v
        if size > 0:
            continue
        short -= size
        out = max(0.0, (strike - spot if call else spot - strike) / spot)
        share = max(f(option["minSpotReq"]), f(option["maxSpotReq"]) - out)
        if call:
            isolated += v + size * spot * (share if initial else f(option["mmCallSpotReq"]))
        else:
            least = v + min(size * spot * f(option["mmPutSpotReq"]), v * f(option["MMPutMtMReq"]))
            isolated += min(v + size * spot * share, least * f(option["mmOffsetScale"])) if initial else least
    settled = {0.0, *(x[0] for x in held)}
    bounded = min(0.0, *(sum(x[2] * max(at - x[0] if x[1] else x[0] - at, 0) for x in held) for at in settled))
    calls = sum(x[2] for x in held if x[1])
    bounded += min(calls, 0.0) * forward * f(option["unpairedIMScale" if initial else "unpairedMMScale"])
    return max(isolated, bounded), worth, short
