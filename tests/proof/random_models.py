"""Margin models, markets and books at random: every block of the vocabulary, many of the models without a sensible meaning."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import Any

from riskproof.errors import ModelError
from riskproof.market.registry import Kind, Payoff
from riskproof.risk.margining import Index, Listing, MarginMarket, MarginModel
from riskproof.risk.margining.document import load_model, shipped_models
from riskproof.risk.margining.markets import from_market
from tests.proof.programme_support import Book
from tests.proof.test_programme import chain, small_model

Expression = Any
GROUPS = ("all", "tail")
EXPOSURES = (
    "perpetual",
    "perpetual_mark",
    "future",
    "future_mark",
    "option",
    "option_short",
    "option_naked_short",
    "spot",
    "collateral",
)
KINDS = (
    "notional",
    "notional",
    "haircut",
    "confidence",
    "depeg",
    "basis",
    "standard_option",
    "delta",
    "delta",
    "roll",
    "standalone",
    "vega_term",
    "rate",
    "calendar_spread",
    "liquidity_tier",
    "fee",
    "stablecoin_hedge",
)
INSTRUMENTS = ("spot", "perpetual", "future", "option")


def decimal(rng: random.Random, low: int, high: int, places: int = 2) -> str:
    """A number from low to high in units of 10^-places, as a document has it."""
    value = Fraction(rng.randint(low, high), 10**places)
    digits = f"{float(value):.{places}f}"
    return (digits.rstrip("0").rstrip(".") or "0") if value else "0"


def number(rng: random.Random, low: int, high: int) -> str:
    """As `decimal`, now and then one that no decimal says."""
    if rng.random() < 0.15:
        return str(Fraction(3 * rng.randint(max(low, 1), high) + 1, 900))
    return decimal(rng, low, high)


def rates(rng: random.Random, high: int = 120) -> dict[str, str]:
    return {margin: number(rng, 0, high) if rng.random() < 0.9 else "0" for margin in ("initial", "maintenance")}


def random_grid(rng: random.Random, shocks: Sequence[str], ranges: bool) -> dict[str, Any]:
    scenarios = []
    for n in range(rng.randint(2, 6)):
        s: dict[str, Any] = {"id": f"s{n}", "price": decimal(rng, -60, 60)}
        if n < len(GROUPS):
            s["group"] = GROUPS[n]
        elif rng.random() < 0.5:
            s["group"] = rng.choice(GROUPS)
        if shocks and rng.random() < 0.6:
            s["vol"] = rng.choice(shocks)
        if rng.random() < 0.2:
            s["time_shift_seconds"] = rng.choice((3_600, 86_400 * 10))
        if rng.random() < 0.3:
            s["weight"] = number(rng, 0, 150)
        if rng.random() < 0.2:
            s["dampener"] = decimal(rng, 0, 500_000)
        if rng.random() < 0.2:
            s["expiry_pnl"] = "adverse"
        if rng.random() < 0.25:
            s["on"] = rng.choice(("forward", "index"))
        scenarios.append(s)
    grid: dict[str, Any] = {"scenarios": scenarios}
    if ranges:
        grid["scan_ranges"] = {"ranges": {"BTC": {"relative": "0.3"}}, "other": {"absolute": "50"}}
    return grid


def random_charge(rng: random.Random, shocks: Sequence[str], collateral: bool, ranges: bool) -> dict[str, Any] | None:
    made = random_kind(rng, shocks, collateral, ranges)
    return made | {"scope": random_scope(rng)} if made is not None and rng.random() < 0.3 else made


def random_scope(rng: random.Random) -> dict[str, Any]:
    underlyings = {rng.choice(("in", "not_in")): rng.choice((["BTC"], ["ETH"], ["BTC", "USDT"]))}
    kinds = rng.sample(INSTRUMENTS, rng.randint(1, 3))
    return rng.choice(({"underlyings": underlyings}, {"kinds": kinds}, {"underlyings": underlyings, "kinds": kinds}))


def random_kind(rng: random.Random, shocks: Sequence[str], collateral: bool, ranges: bool) -> dict[str, Any] | None:
    kind = rng.choice(KINDS)
    exposure = rng.choice(EXPOSURES)
    if kind == "notional":
        return {"kind": kind, "exposure": exposure, "rates": rates(rng)}
    if kind == "haircut":
        return {"kind": kind} if collateral else None
    if kind == "confidence":
        feeds = ["index", "market", "perpetual"]
        feeds += ["forward", "rate", "volatility"] if exposure.startswith("option") else ["own"]
        return {
            "kind": kind,
            "exposure": exposure,
            "feeds": rng.sample(feeds, rng.randint(1, 3)),
            "threshold": decimal(rng, 0, 100),
            "rates": rates(rng),
            "missing": decimal(rng, 0, 100),
        }
    if kind == "depeg":
        exposures = rng.sample(EXPOSURES, rng.randint(1, 3))
        return {"kind": kind, "exposures": exposures, "threshold": decimal(rng, 80, 110), "rates": rates(rng, 300)}
    if kind == "basis":
        if ranges:
            return None
        moves = {"up": decimal(rng, 0, 20), "down": decimal(rng, -20, 0)}
        return {"kind": kind, **moves, "add": number(rng, 0, 100), "per_year": decimal(rng, 0, 300)}
    if kind == "standard_option":
        names = ("call_maintenance", "put_maintenance", "put_value_maintenance", "put_initial_scale")
        least = rng.randint(0, 20)
        return {
            "kind": kind,
            **{name: decimal(rng, 0, 120) for name in names},
            "spot_minimum": decimal(rng, least, least),
            "spot_maximum": decimal(rng, least, 40),
            "unpaired": rates(rng, 30),
        }
    if kind == "delta":
        found = {"kind": kind, "measure": rng.choice(("net", "gross", "hedged")), "rates": rates(rng, 30)}
        return found | ({"beyond": decimal(rng, 0, 5_000_000)} if rng.random() < 0.4 else {})
    if kind == "roll":
        return {"kind": kind, "rates": rates(rng, 5), "per_year": decimal(rng, 0, 10)}
    if kind == "standalone":
        return {"kind": kind, "rates": rates(rng), "locked": rng.random() < 0.5, "group": rng.choice(GROUPS)}
    if kind == "vega_term":
        return {"kind": kind, "vol": rng.choice(shocks), "rates": rates(rng)} if shocks else None
    if kind in ("rate", "stablecoin_hedge"):
        return {"kind": kind, "rates": rates(rng, 10)}
    if kind == "liquidity_tier":
        beyond = sorted(rng.sample((0, 1, 5_000, 70_000, 1_000_000, 30_000_000), rng.randint(1, 3)))
        return {
            "kind": kind,
            "exposure": exposure,
            "tiers": [{"beyond": str(b), "rates": rates(rng, 30)} for b in beyond],
        }
    if kind == "fee":
        kinds = rng.sample(INSTRUMENTS, rng.randint(1, 4))
        capped = "option" in kinds and rng.random() < 0.6
        return {"kind": kind, "kinds": kinds, "rates": rates(rng, 5)} | ({"cap": number(rng, 0, 60)} if capped else {})
    days = sorted(rng.sample(range(130), 2))
    near, far = {"from": "0", "to": str(days[0] + 1)}, {"from": str(days[0]), "to": str(days[1] + 1)}
    whole = {"from": "0", "to": "1000"}
    spreads = [(near, far), (near, near), (whole, whole)]
    rng.shuffle(spreads)
    made = [{"near": a, "far": b, "rates": rates(rng, 10)} for a, b in spreads[: rng.randint(1, 3)]]
    return {"kind": kind, "spreads": made}


def random_expression(rng: random.Random, names: Sequence[str], linear: Sequence[str], depth: int) -> Expression:
    """Mostly convex; now and then something that is bounded or refused."""
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(names) if rng.random() < 0.85 else decimal(rng, -300_000, 300_000)
    op = rng.choice(("sum", "sum", "max", "max", "mul", "mul", "min", "round", "credit"))
    below = [random_expression(rng, names, linear, depth - 1) for _ in range(rng.randint(2, 3))]
    if op == "mul":
        return {"mul": [number(rng, 0, 160), below[0]]}
    if op == "round":
        mode = rng.choice(("up", "down", "half_even"))
        return {"round": {"value": below[0], "decimals": rng.randint(0, 4), "mode": mode}}
    if op == "credit":
        taken = rng.choice(linear) if rng.random() < 0.7 else {"min": [rng.choice(linear), rng.choice(names)]}
        return {"sum": [below[0], {"mul": ["-" + (number(rng, 1, 100)), taken]}]}
    return {op: below}


def random_terms(rng: random.Random) -> dict[str, Any]:
    """Terms of an asset that most have none of."""
    found: dict[str, Any] = {}
    if rng.random() < 0.25:
        found["stress"] = rng.choice(GROUPS)
    if rng.random() < 0.25:
        found["cap"] = decimal(rng, 0, 5_000_000)
    if rng.random() < 0.25:
        where = {"beyond": decimal(rng, 0, 5_000_000)} if rng.random() < 0.5 else {"share": decimal(rng, 0, 100)}
        found["concentration"] = {**rates(rng, 60), **where}
    return found


def random_model(rng: random.Random) -> MarginModel:
    shocks: dict[str, Any] = {}
    for name in ("up", "down", "skew")[: rng.randint(0, 3)]:
        sides = {"static": "0.15", "per_root_year": "-0.05"}
        flat = {"minimum": "0.01", "width": "4", "static": "0.6", "per_root_year": "-0.1"}
        skew = {"skew": {"sides": "linear", "cap": sides, "flat_beyond": flat}}
        shocks[name] = skew if name == "skew" else {"multiply": {"amount": decimal(rng, -60, 60), "scaled": False}}
        if rng.random() < 0.3:
            next(iter(shocks[name].values()))["clamp"] = {"low": decimal(rng, 0, 50), "high": decimal(rng, 50, 90)}
    ranges = rng.random() < 0.15
    sets = rng.choice(("account", "underlying", "expiry"))
    pricing: dict[str, Any] = {
        "kernel": "black76-nearest/1",
        "discounting": rng.choice(("none", "rate", "positive_rate")),
        "delta_one": rng.choice(("mark", "index")),
    }
    if rng.random() < 0.4:
        side = {"rate_multiplier": decimal(rng, 0, 100), "rate_addition": decimal(rng, 0, 10)}
        pricing["static_discount"] = {
            "long": {"base": decimal(rng, 80, 100), **side},
            "short": {"base": decimal(rng, 95, 120), **side}
            | ({"limit": "undiscounted"} if rng.random() < 0.2 else {}),
        }
    collateral: dict[str, Any] | None = None
    if rng.random() < 0.8:
        moves = {"moves": True} if rng.random() < 0.6 else {}
        terms = [{**rates(rng, 60), **moves, **random_terms(rng)} for _ in range(3)]
        collateral = {"conversion": rng.choice(("none", "settlement_price")), "assets": {"BTC": terms[0]}}
        if rng.random() < 0.5:
            collateral["other"] = terms[1]
        if rng.random() < 0.3:
            collateral["markets"] = {rng.choice(("BTC", "ETH")): {rng.choice(("BTC", "USDT")): terms[2]}}
    charges = []
    for n in range(rng.randint(0, 5)):
        charge = random_charge(rng, list(shocks), collateral is not None, ranges)
        if charge is not None:
            charges.append({"id": f"c{n}", **charge})
    members: dict[str, Any] = {
        "grid": random_grid(rng, list(shocks), ranges),
        "volatility": {"shocks": shocks},
        "pricing": pricing,
        "charges": charges,
        "collateral": collateral,
        "netting": {"sets": sets}
        | ({"gain_factor": number(rng, 0, 100)} if sets != "account" and rng.random() < 0.5 else {}),
        "rounding": {n: {"decimals": 6, "direction": "up"} for n in ("requirement", "value")},
        "tail": random_tail(rng),
    }
    own = [f"loss.{g}" for g in GROUPS] + [f"charge.{c['id']}" for c in charges] * 2
    linear = ["value.options", "value.spot"]
    joint = [f"joint.{g}" for g in GROUPS]
    if sets == "underlying" and rng.random() < 0.5:
        spreads = [{"legs": ["BTC", "ETH"], "rates": rates(rng, 90)}]
        charges.append({"id": "offset", "kind": "offset", "spreads": spreads})
        linear.append("charge.offset")
    if members["tail"] is not None:
        own.append("tail.paths")
        joint.append("joint_tail.paths")
    aggregate: dict[str, Any] = {"set": {}, "account": {}}
    for name in ("a", "b")[: rng.randint(0, 2)]:
        aggregate["set"][name] = random_expression(rng, [*own, *aggregate["set"]], ["value.options", "value.spot"], 2)
    account_names = [*own, *joint, *aggregate["set"], *aggregate["set"]]
    for name in ("maintenance", "initial"):
        aggregate["account"][name] = random_expression(rng, account_names, linear, 3)
    aggregate["account"]["equity"] = "value.total"
    taken = [f"charge.{c['id']}" for c in charges if c["kind"] != "offset"] + list(aggregate["set"])
    if taken and rng.random() < 0.4:
        aggregate["account"]["equity"] = {
            "sum": ["value.total", {"mul": ["-" + number(rng, 1, 100), rng.choice(taken)]}]
        }
    return small_model(aggregate=aggregate, **{k: v for k, v in members.items() if v is not None})


def mutated_model(rng: random.Random) -> MarginModel:
    """A shipped model with some of its numbers changed and a charge added to both requirements."""
    while True:
        document = deepcopy(load_model(rng.choice(shipped_models())).to_document())
        document["limits"] = {"legs": 1_000, "expiries": 99, "underlyings": 9, "snapshot_age_seconds": 31_622_400}
        blocks = ("grid", "pricing", "netting", "charges", "aggregate", "collateral")
        places = [x for block in blocks if block in document for x in _numbers(document[block])]
        for node, key in rng.sample(places, min(len(places), rng.randint(0, 4))):
            node[key] = rng.choice(("0", "1", decimal(rng, -50, 150), decimal(rng, 0, 100)))
        shocks = sorted(document["volatility"]["shocks"])
        extra = random_charge(rng, shocks, "collateral" in document, "scan_ranges" in document["grid"])
        if extra is not None and extra.get("group") is None:
            document["charges"].append({"id": "extra", **extra})
            for name in ("initial", "maintenance"):
                account = document["aggregate"]["account"]
                account[name] = {"sum": [account[name], "charge.extra"]}
        try:
            return MarginModel.from_document(document)
        except ModelError:
            continue


def _numbers(node: Any) -> Iterator[tuple[Any, Any]]:
    """Where a document has numbers."""
    for key, x in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(x, (dict, list)):
            yield from _numbers(x)
        elif isinstance(x, str) and key != "id" and (x[:1].isdigit() or x[:1] == "-"):
            yield node, key


def random_tail(rng: random.Random) -> dict[str, Any] | None:
    if rng.random() < 0.8:
        return None
    factors = [{"underlying": u, "tenor_days": t} for u in ("BTC", "ETH") for t in (0, 30)]
    correlation = {
        "schema": "riskproof/correlation/v1",
        "name": "four",
        "description": "four factors",
        "horizon_days": 1,
        "factors": factors,
        "volatilities": ["0.04", "0.07", "0.06", "0.05"],
        "correlations": [["-0.4"], ["0.7", "-0.2"], ["-0.1", "0.3", "-0.3"]],
    }
    kind = rng.choice(("expected_shortfall", "value_at_risk", "worst_loss"))
    measure = {"kind": kind} | ({} if kind == "worst_loss" else {"tail": decimal(rng, 15, 60)})
    one = {"id": "paths", "measure": measure, "method": "monte_carlo", "correlation": correlation, "seed": "7"}
    return {"sets": [one | {"paths": 20, "antithetic": False}], "unshocked": ["USDT"]}


def random_market(rng: random.Random) -> MarginMarket:
    """Some of a chain of one or two underlyings, with inverse contracts, confidences, a price of the settlement currency."""
    market = from_market(chain(("BTC", "ETH") if rng.random() < 0.6 else ("BTC",), 3, rng.choice((4, 6, 7))))

    def share() -> Fraction | None:
        return None if rng.random() < 0.3 else Fraction(rng.randint(40, 100), 100)

    currency = rng.choice(("USDC", "USDT"))
    listings: list[Listing] = []
    always = ("USD", "BTC", "BTC-PERP")
    for x in market.listings:
        if x.name not in always and rng.random() < 0.5:
            continue
        listings.append(replace(x, confidence=share()))
        if x.kind is not Kind.SPOT and rng.random() < 0.3:
            listings.append(replace(x, name=f"{x.name}-{currency}", settlement=currency))
        if x.kind in (Kind.PERPETUAL, Kind.FUTURE) and rng.random() < 0.4:
            listings.append(replace(x, name=f"{x.name}-INVERSE", payoff=Payoff.INVERSE, unit=Fraction(10)))
        if x.kind is Kind.OPTION and rng.random() < 0.15:
            listings.append(replace(x, name=f"{x.name}-INVERSE", payoff=Payoff.INVERSE))
    return replace(
        market,
        listings=tuple(listings),
        indices={u: Index(i.price, share()) for u, i in market.indices.items()},
        forwards={
            k: replace(f, confidence=share(), rate_confidence=share(), rate=Fraction(rng.randint(-20, 200), 1000))
            for k, f in market.forwards.items()
        },
        settlement_price=rng.choice((Fraction(1), Fraction(1), Fraction(97, 100), Fraction(1003, 1000))),
    )


def random_books(rng: random.Random, market: MarginMarket, *, most: int = 10**6) -> Book:
    """Long and short, tiny and huge; half of the books in one underlying only."""
    only = rng.choice(("BTC", "ETH", None, None))
    if rng.random() < 0.05:
        return {}
    book: Book = {}
    for x in market.listings:
        if rng.random() < 0.4 or (only is not None and x.underlying not in (only, "USD", "USDT")):
            continue
        size = rng.choice((1, 3, 1_000, 50_000, most))
        lots = rng.randint(1, size) * rng.choice((1, -1))
        if x.kind is Kind.SPOT and not market.is_cash(x):
            lots = abs(lots) if rng.random() < 0.6 else 0
        if lots:
            book[x.name] = lots
    return book
