"""A market, histories and an independent float64 reading of docs/tail-risk.md, without any arithmetic of riskproof.risk.tail."""

from __future__ import annotations

import datetime as dt
import math
import random
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.history import Factor, History
from riskproof.units import PRICE_ONE

Float = NDArray[np.float64]

SHARED = Path(__file__).resolve().parents[2] / "../shared/market"
TIME = 1_767_603_600
DAY = 86_400
EXPIRIES = (TIME + 3 * DAY, TIME + 21 * DAY, TIME + 150 * DAY)
SPOT = {"BTC": 95_090.62, "ETH": 3_329.17}
FACTORS = tuple(Factor(u, t) for u in ("BTC", "ETH") for t in (0, 7, 30, 90))


def tail_market() -> Market:
    """Cash, coins, an inverse and a linear perpetual, and inverse and linear options of three expiries on two coins; m = 9."""
    instruments = [Instrument("USD", Kind.SPOT, "USD", Payoff.LINEAR, PRICE_ONE)]
    indices, quotes, curves = {"USD": PRICE_ONE}, {"USD": Quote(mark=PRICE_ONE)}, []
    for u, spot in SPOT.items():
        price = round(spot * 1e9)
        indices[u] = price
        payoff, unit = (Payoff.INVERSE, 10 * PRICE_ONE) if u == "BTC" else (Payoff.LINEAR, PRICE_ONE // 10)
        instruments.append(Instrument(u, Kind.SPOT, u, Payoff.LINEAR, PRICE_ONE))
        instruments.append(Instrument(f"{u}-PERP", Kind.PERPETUAL, u, payoff, unit))
        quotes[u], quotes[f"{u}-PERP"] = Quote(mark=price), Quote(mark=round(spot * 1.0004 * 1e9))
        for n, expiry in enumerate(EXPIRIES):
            curves.append(Curve(u, expiry, round(spot * (1 + 0.002 * n) * 1e9), 0 if u == "BTC" else 30_000_000_000))
            for moneyness in (0.8, 0.95, 1.0, 1.05, 1.3):
                for side, letter in ((OptionType.CALL, "C"), (OptionType.PUT, "P")):
                    strike = round(spot * moneyness / 10) * 10
                    name = f"{u}-{n}-{strike}-{letter}"
                    kind = Payoff.INVERSE if u == "BTC" else Payoff.LINEAR
                    instruments.append(
                        Instrument(name, Kind.OPTION, u, kind, PRICE_ONE, expiry, strike * PRICE_ONE, side)
                    )
                    quotes[name] = Quote(volatility=round((0.5 + 0.1 * abs(math.log(moneyness)) - 0.03 * n) * 1e12))
    registry = Registry("USD", tuple(instruments), 9, 3)
    return Market(registry, Snapshot.build(registry, TIME, "test", indices, curves, quotes))


def made_history(days: int, seed: int = 1, factors: tuple[Factor, ...] = FACTORS) -> History:
    """Levels that wander with fat tails and volatility that clusters; correlated through a common draw."""
    rng = np.random.default_rng(seed)
    level = np.array([SPOT[f.underlying] * 1e9 if f.is_price else 5e11 for f in factors])
    rows = []
    size = 0.02
    for _ in range(days):
        rows.append(np.round(level).astype(np.int64))
        common = rng.standard_t(4)
        size = math.sqrt(0.9 * size**2 + 0.1 * (size * common) ** 2 * 0.5 + 1e-5)
        own = rng.standard_t(4, len(factors))
        loads = np.array([0.8 if f.is_price else -0.6 for f in factors])
        level = level * np.exp(np.clip(size * (loads * common + 0.6 * own), -0.4, 0.4))
        level = np.clip(level, np.array([1e12 if f.is_price else 1e11 for f in factors]), 4e15)
        level = np.where([f.is_price for f in factors], level, np.minimum(level, 4e12))
    return History("made", dt.date(2023, 1, 1), factors, np.array(rows))


def some_book(market: Market, size: int, seed: int = 1) -> Portfolio:
    rng = random.Random(seed)
    held = rng.sample(range(len(market.registry)), size)
    return Portfolio.build((i, rng.randint(1, 5_000) * rng.choice((-1, 1))) for i in held)


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def float_value(market: Market, i: int, price: float, vol: float, shift: int) -> float:
    """Value (options, spot) or the level that P&L is taken from (delta-one) of one unit; `price` and `vol` are ratios."""
    x, quote = market.registry.instruments[i], market.snapshot.quotes[i]
    assert quote is not None
    unit = x.unit / 1e9
    if x.kind is not Kind.OPTION:
        assert quote.mark is not None
        start = quote.mark / 1e9
        if x.payoff is Payoff.LINEAR:
            return unit * start * price
        return unit * (1 / start - 1 / (start * price)) * market.snapshot.index_price[x.underlying] / 1e9 * price
    assert x.expiry is not None
    assert x.strike is not None
    assert quote.volatility is not None
    curve = market.snapshot.curve[(x.underlying, x.expiry)]
    forward, strike = curve.forward / 1e9 * price, x.strike / 1e9
    years = (x.expiry - market.snapshot.time - shift) / (365 * DAY)
    sign = 1 if x.option_type is OptionType.CALL else -1
    if years <= 0:
        value = max(0.0, sign * (forward - strike))
    else:
        s = quote.volatility / 1e12 * vol * math.sqrt(years)
        d1 = math.log(forward / strike) / s + s / 2
        value = sign * (forward * _cdf(sign * d1) - strike * _cdf(sign * (d1 - s)))
    if x.payoff is Payoff.INVERSE:
        return unit * value * market.snapshot.index_price[x.underlying] / 1e9 * price / forward
    return unit * value * math.exp(-curve.rate / 1e12 * max(years, 0))


def float_vol_ratio(factors: tuple[Factor, ...], ratios: Float, underlying: str, seconds: int) -> float:
    """The ratio of a volatility at a time to expiry, from one move's ratios [F]."""
    tenors = [
        (f.tenor_days * DAY, ratios[n]) for n, f in enumerate(factors) if f.underlying == underlying and f.tenor_days
    ]
    return float(np.interp(seconds, [t for t, _ in tenors], [r for _, r in tenors]))


def float_pnl(market: Market, book: Portfolio, factors: tuple[Factor, ...], ratios: Float, shift: int = 0) -> Float:
    """P&L of a book in the numeraire under every move, [S]."""
    out, lot = np.zeros(len(ratios)), 10.0**-market.registry.quantity_exponent
    column = {f.underlying: n for n, f in enumerate(factors) if f.is_price}
    for i, lots in book.positions:
        x = market.registry.instruments[i]
        base = 0.0 if x.payoff is Payoff.INVERSE and x.kind is not Kind.OPTION else float_value(market, i, 1, 1, 0)
        for s, row in enumerate(ratios):
            price = row[column[x.underlying]] if x.underlying in column else 1.0
            life = (x.expiry or 0) - market.snapshot.time
            vol = float_vol_ratio(factors, row, x.underlying, life) if x.kind is Kind.OPTION else 1.0
            out[s] += lots * lot * (float_value(market, i, price, vol, shift) - base)
    return out


def float_shortfall(pnl: Float, tail: float, weights: Float | None = None) -> tuple[float, float]:
    """(VaR, ES) by sorting."""
    w = np.ones(len(pnl)) if weights is None else weights
    order = np.argsort(pnl)
    losses, w = -pnl[order], w[order] / w.sum()
    before = np.concatenate([[0], np.cumsum(w)[:-1]])
    share = np.clip(tail - before, 0, w)
    var = losses[np.flatnonzero(share > 0)[-1]]
    return float(var), float((share * losses).sum() / tail)


def float_filtered(levels: Float, decay: float, seed: int) -> Float:
    """Ratios [S, F] of filtered historical simulation."""
    x = np.diff(np.log(levels), axis=0)
    v = np.empty((len(x) - seed + 1, x.shape[1]))
    v[0] = (x[:seed] ** 2).mean(axis=0)
    for t in range(seed, len(x)):
        v[t - seed + 1] = decay * v[t - seed] + (1 - decay) * x[t] ** 2
    return np.exp(x[seed:] * np.sqrt(v[-1] / v[:-1]))


def float_paths(correlation: Correlation, seed: int, paths: int) -> Float:
    """Ratios [S, F] of Monte Carlo without antithetic paths: the paper's words, the library's quantiles and Cholesky factor."""
    count = len(correlation.factors)
    words = philox(seed, 0x7269736B70726F66, paths * count)
    z = np.array([NormalDist().inv_cdf((w * 10**18 >> 64) / 1e18) for w in words]).reshape(paths, count)
    size = np.array(correlation.volatilities) / 1e12
    lower = np.linalg.cholesky(np.array(correlation.matrix) / 1e12 * np.outer(size, size))
    return np.exp(z @ lower.T)


def philox(seed: int, stream: int, count: int, block: int = 1) -> list[int]:
    """Philox4x64-10 from its paper: the words of counters `block`, `block` + 1, ..."""
    mask = (1 << 64) - 1
    words: list[int] = []
    while len(words) < count:
        c, key = [block, 0, 0, 0], [seed, stream]
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
            c = [(b >> 64) ^ c[1] ^ key[0], b & mask, (a >> 64) ^ c[3] ^ key[1], a & mask]
            key = [(key[0] + 0x9E3779B97F4A7C15) & mask, (key[1] + 0xBB67AE8584CAA73B) & mask]
        words += c
        block += 1
    return words[:count]
