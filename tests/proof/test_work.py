"""What computing the rows of a margin costs is known from sizes alone, and short documents that ask for hours are refused."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest
from proof_support import EXPIRY, MODEL, make_market, option

from riskproof.errors import HistoryError, ProofError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.proof.challenge import Margin, StatementKind
from riskproof.proof.programme import check_work, compile_margin
from riskproof.proof.programme.work import work
from riskproof.proof.rows import AttestedMarket
from riskproof.risk.arrays import compute_array
from riskproof.risk.margining import MarginModel, exact, load
from riskproof.units import PRICE_ONE

RATES = {"initial": "0.01", "maintenance": "0.005"}
MINUTE = 60_000_000
Document = dict[str, Any]


def chain(strikes: int) -> Market:
    """Calls at so many strikes."""
    base, expiry = make_market().snapshot, EXPIRY
    calls = [option(f"BTC-{k}-C", 50_000 + 100 * k, OptionType.CALL) for k in range(strikes)]
    registry = Registry("USD", tuple(calls))
    quotes = {x.name: Quote(None, 500_000_000_000) for x in calls}
    curve = Curve("BTC", expiry, 95_000 * PRICE_ONE)
    return Market(registry, Snapshot.build(registry, base.time, "test", {"BTC": 95_000 * PRICE_ONE}, [curve], quotes))


def attested(market: Market, live: Sequence[int] | None = None) -> AttestedMarket:
    return AttestedMarket(market, None, tuple(range(market.registry.columns)) if live is None else tuple(live))


def model(
    scenarios: int = 2, *, charges: Sequence[Document] = (), tail: Document | None = None, **terms: Any
) -> MarginModel:
    """Moves of the price, the worst of them, and what a test adds."""
    document = json.loads(load("derive-pm2").to_bytes())
    document["grid"] = {
        "scenarios": [{"id": f"s{i}", "price": exact.text(Fraction(i + 1, 10_000))} for i in range(scenarios)]
    }
    document["charges"] = [{"id": f"c{i}", **charge} for i, charge in enumerate(charges)]
    account = {"equity": "value.total", "initial": "worst", "maintenance": "worst", **terms}
    document["aggregate"] = {"set": {"worst": {"max": ["loss.all", "0"]}}, "account": account}
    if tail is not None:
        document["tail"] = tail
    return MarginModel.from_document(document)


HUNDRED = chain(100)


def cost(what: MarginModel, market: Market = HUNDRED) -> int:
    return work(what, [attested(market)])


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("less", "more", "least"),
    [
        (model(10), model(100), 9),
        (model(), model(charges=[{"kind": "notional", "exposure": "option", "rates": RATES}] * 20), 5),
        (
            model(),
            model(charges=[{"kind": "basis", "up": "0.05", "down": "-0.05", "add": "1", "per_year": "0"}] * 20),
            5,
        ),
        (
            model(),
            model(
                charges=[
                    {
                        "kind": "liquidity_tier",
                        "exposure": "option",
                        "scope": {"kinds": ["option"]},
                        "tiers": [{"beyond": str(n), "rates": RATES} for n in range(20)],
                    }
                ]
            ),
            5,
        ),
        (
            model(100, charges=[{"kind": "notional", "exposure": "option", "rates": RATES}]),
            model(100, charges=[{"kind": "standalone", "group": "all", "rates": RATES, "locked": False}] * 2),
            1.5,
        ),
        (
            model(),
            model(
                tail={
                    "sets": [
                        {
                            "id": "shocks",
                            "measure": {"kind": "worst_loss"},
                            "method": "common_factor",
                            "common": [exact.text(Fraction(i + 1, 1_000)) for i in range(200)],
                            "betas": {"BTC": "1"},
                            "idiosyncratic": {},
                            "volatilities": ["0"],
                            "tenors": [30],
                            "corners": False,
                        }
                    ]
                }
            ),
            50,
        ),
    ],
)
def test_it_grows_with_the_model(less: MarginModel, more: MarginModel, least: float) -> None:
    assert cost(more) > least * cost(less)


def test_it_grows_with_the_market_that_counts() -> None:
    assert cost(model(50), chain(200)) > 1.9 * cost(model(50))
    two = [attested(HUNDRED), attested(HUNDRED)]
    assert work(model(50), two) == pytest.approx(2 * cost(model(50)), rel=0.1)
    unlisted = make_market(expired=300)
    assert work(model(50), [attested(unlisted)]) < 2 * work(model(50), [attested(make_market())])
    assert work(model(50), [attested(unlisted, live=[0])]) < work(model(50), [attested(unlisted)]) / 2


def test_a_model_of_version_1_costs_less() -> None:
    assert 0 < work(MODEL, [attested(HUNDRED)]) < work(load("derive-pm2"), [attested(HUNDRED)])


@pytest.mark.parametrize("name", ["crypto-pm", "derive-pm1", "derive-pm2", "paradex24", "isolated", "deribit-like"])
def test_it_is_rather_more_than_it_takes(name: str) -> None:
    chosen = load(name)
    array = compute_array(HUNDRED, chosen) if chosen is MODEL or name == "crypto-pm" else None
    market = [AttestedMarket(HUNDRED, array, (0,))]
    compile_margin(StatementKind.MARGIN, Margin.INITIAL, chosen, market)  # what is computed once for ever
    started = time.process_time()
    compile_margin(StatementKind.MARGIN, Margin.INITIAL, chosen, market)
    taken = time.process_time() - started
    assert taken < 3 * work(chosen, market) / 1e6  # three times: this machine may be slower


@pytest.mark.parametrize(
    "charge",
    [
        {
            "kind": "liquidity_tier",
            "exposure": "option_naked_short",
            "tiers": [{"beyond": str(1_000 * n), "rates": RATES} for n in range(20)],
        },
        {"kind": "fee", "kinds": ["option"], "rates": RATES, "cap": "0.125"},
        {"kind": "stablecoin_hedge", "rates": RATES},
        {"kind": "delta", "measure": "net", "rates": RATES, "scope": {"underlyings": {"in": ["BTC"]}}},
    ],
    ids=lambda charge: charge["kind"],
)
def test_it_is_rather_more_than_a_charge_takes(charge: Document) -> None:
    account = {margin: {"sum": ["worst", "charge.c0"]} for margin in ("initial", "maintenance")}
    chosen, market = model(charges=[charge], **account), [attested(HUNDRED)]
    compile_margin(StatementKind.MARGIN, Margin.INITIAL, chosen, market)
    started = time.process_time()
    compile_margin(StatementKind.MARGIN, Margin.INITIAL, chosen, market)
    taken = time.process_time() - started
    assert taken < 3 * work(chosen, market) / 1e6


def assets(count: int) -> Market:
    """Assets held as collateral."""
    names = [f"A{k}" for k in range(count)]
    listed = tuple(Instrument(name, Kind.SPOT, name, Payoff.LINEAR, PRICE_ONE) for name in names)
    indices, quotes = dict.fromkeys(names, PRICE_ONE), {name: Quote(PRICE_ONE) for name in names}
    time_ = make_market().snapshot.time
    registry = Registry("USD", listed)
    return Market(registry, Snapshot.build(registry, time_, "test", indices, [], quotes))


def pledged(scenarios: int, **terms: Any) -> MarginModel:
    """Haircuts of assets with such terms."""
    document = json.loads(model(scenarios).to_bytes())
    document["charges"] = [{"id": "haircut", "kind": "haircut"}]
    document["collateral"] = {"conversion": "none", "assets": {}, "other": {**RATES, **terms}}
    account = {"equity": "value.total", "initial": "charge.haircut", "maintenance": "charge.haircut"}
    return MarginModel.from_document({**document, "aggregate": {"account": account}})


SHARE = {"share": "0.1", **RATES}


@pytest.mark.parametrize(("scenarios", "terms"), [(2, {"concentration": SHARE}), (1_000, {"stress": "all"})])
def test_it_is_rather_more_than_terms_of_collateral_take(scenarios: int, terms: Document) -> None:
    chosen, market = pledged(scenarios, **terms), [attested(assets(150))]
    compile_margin(StatementKind.EXCESS, Margin.INITIAL, chosen, market)
    started = time.process_time()
    compile_margin(StatementKind.EXCESS, Margin.INITIAL, chosen, market)
    taken = time.process_time() - started
    assert taken < 3 * work(chosen, market) / 1e6


# ---- what is refused -------------------------------------------------------------------------------------------------


def nested(step: Callable[[str], Any], depth: int = 60) -> Document:
    """Terms t1 to t<depth>, each made of the one before."""
    return {"t0": {"max": ["worst", "charge.c0"]}, **{f"t{k}": step(f"t{k - 1}") for k in range(1, depth)}}


def rounded(x: str) -> Document:
    return {"round": {"value": x, "decimals": 2, "mode": "up"}}


random.seed(1)
PRIMES = [exact.text(Fraction(1, random.getrandbits(150) | 1)) for _ in range(60)]
NAKED = [{"kind": "notional", "exposure": "perpetual", "rates": RATES}]
HOSTILE = {
    "scenarios": model(4_096),
    "maxima of maxima": model(charges=NAKED, **nested(lambda t: {"max": [t, t]})),
    "minima of minima": model(charges=NAKED, **nested(lambda t: {"sum": [{"min": [t, "1"]}, {"min": [t, "2"]}]})),
    "roundings of roundings": model(charges=NAKED, **nested(lambda t: {"sum": [rounded(t), rounded(t)]})),
    "long products": model(charges=NAKED, **nested(lambda t: {"mul": [t, *["9" * 46] * 60]}, depth=7)),
    "sums of fractions": model(**{f"u{i}": {"sum": [{"sum": PRIMES}] * 60} for i in range(10)}),
    "charges": model(60, charges=[{"kind": "standalone", "group": "all", "rates": RATES, "locked": False}] * 64),
}


def test_shares_of_many_assets_are_refused_at_once() -> None:
    market, started = [attested(assets(1_000))], time.process_time()
    with pytest.raises(ProofError, match="over 1000 instruments take about"):
        check_work(pledged(2, concentration=SHARE), market, MINUTE)
    assert time.process_time() - started < 1
    check_work(pledged(2, cap="5"), market, MINUTE)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_document_that_asks_for_minutes_is_refused_at_once(name: str) -> None:
    market = [attested(chain(300))]
    started = time.process_time()
    with pytest.raises(ProofError, match="the rows of derive-pm2 over 300 instruments take about") as refused:
        check_work(HOSTILE[name], market, MINUTE)
    assert time.process_time() - started < 1
    assert refused.value.where == "challenge.model"
    assert "at most 60 s here: fewer scenarios, charges or instruments" in refused.value.expected


def test_what_is_within_the_limit_is_not_refused() -> None:
    needed = work(load("derive-pm2"), [attested(HUNDRED)])
    check_work(load("derive-pm2"), [attested(HUNDRED)], needed)
    with pytest.raises(ProofError):
        check_work(load("derive-pm2"), [attested(HUNDRED)], needed - 1)


@pytest.mark.parametrize("method", ["historical", "filtered"])
def test_moves_of_a_history_are_refused_before_anything_is_priced(method: str) -> None:
    own = {"horizon_days": 1} if method == "historical" else {"decay": "0.94", "seed_days": 30}
    window = {"history": "ab" * 32, "first": "2024-01-01", "last": "2025-01-01", "weight_decay": "1"}
    tail = {"sets": [{"id": "past", "measure": {"kind": "worst_loss"}, "method": method, **window, **own}]}
    with pytest.raises(HistoryError, match="the history abab") as refused:
        check_work(model(tail=tail), [attested(HUNDRED)], MINUTE)
    assert refused.value.where == "tail.sets[0].history"
