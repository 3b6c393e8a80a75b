"""Rows of collateral's terms, scenarios and netting sets that no shipped model has: equal to the engine, or above and said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from proof_support import Venue, answer, judge
from proof_support import book as positions

from riskproof.errors import FalseStatementError, ProofError
from riskproof.proof.challenge import Challenge, Margin, StatementKind
from riskproof.proof.programme import compile_margin, least_bound
from riskproof.risk.margining import MarginModel
from riskproof.risk.margining import margin as engine_margin
from riskproof.risk.margining.markets import from_market
from riskproof.verify.verdict import Outcome
from tests.proof.programme_support import Book, asked, part_of, prove
from tests.proof.test_programme import attested, chain, slacks, small_model

BOTH = from_market(chain(("BTC", "ETH")))
STILL = {"initial": "0.2", "maintenance": "0.1"}
EXCESS, MARGIN = StatementKind.EXCESS, StatementKind.MARGIN
AGGREGATE: dict[str, Any] = {
    "account": {
        "equity": "value.total",
        "initial": {"mul": ["1.3", "maintenance"]},
        "maintenance": {"sum": ["loss.all", "charge.haircut"]},
    }
}
BOOKS: list[Book] = [
    {"USD": -5_000, "BTC": 40, "ETH": 90_000, "USDT": 3, "BTC-PERP": -70},
    {"BTC": 3_000, "ETH": 1, "ETH-FAR-95-call": -300},
    {"BTC": 2, "USDT": 900_000, "BTC-SOON-80-put": 50, "ETH-PERP": 7_000},
]


def pledged(assets: dict[str, Any], **members: Any) -> MarginModel:
    collateral = {"conversion": "settlement_price", "assets": assets}
    charges = [{"id": "haircut", "kind": "haircut"}]
    return small_model(collateral=collateral, charges=charges, **{"aggregate": AGGREGATE, **members})


def check(model: MarginModel, kind: StatementKind, *, equal: bool) -> int:
    """How many books the rows ask more for than the engine, at one venue and, the same, at two."""
    larger = 0
    parts = [part_of(BOTH, [x.name for x in BOTH.listings if (x.underlying == "ETH") is eth]) for eth in (True, False)]
    for margin in Margin:
        rows, apart = prove(model, [BOTH], kind, margin), prove(model, parts, kind, margin)
        assert equal is not bool(rows.bounds), rows.bounds
        for book in BOOKS:
            want, got = asked(model, BOTH, [book], kind, margin), rows.least(book)
            own = [{name: q for name, q in book.items() if name in {x.name for x in p.listings}} for p in parts]
            assert apart.least(*own) == got
            assert rows.optimum(book) == pytest.approx(got / 10**6, rel=1e-8, abs=2e-3)
            assert got >= want
            assert got - want <= 2 or not equal
            larger += got - want > 2
    return larger


STRESS = {
    "BTC": {**STILL, "stress": "all"},
    "ETH": {"initial": "0.05", "maintenance": "0", "stress": "all"},
    "USDT": STILL,
}
CAPS = {name: {**terms, "cap": "25000"} for name, terms in STRESS.items()}
AMOUNT = {
    name: {**terms, "concentration": {"initial": "0.3", "maintenance": "0.2", "beyond": "9000"}}
    for name, terms in CAPS.items()
}
ABOVE_CAP = {name: {**terms, "concentration": {**STILL, "beyond": "25000"}} for name, terms in CAPS.items()}
SHARE = {
    name: {**terms, "concentration": {"initial": "0.3", "maintenance": "0.2", "share": "0.4"}}
    for name, terms in STRESS.items()
}


@pytest.mark.parametrize("sets", ["account", "underlying"])
@pytest.mark.parametrize("assets", [STRESS, CAPS, AMOUNT, ABOVE_CAP, SHARE])
def test_terms_of_collateral_are_exact_in_the_excess(assets: dict[str, Any], sets: str) -> None:
    assert check(pledged(assets, netting={"sets": sets}), EXCESS, equal=True) == 0


@pytest.mark.parametrize("assets", [AMOUNT, SHARE])
@pytest.mark.parametrize("kind", [EXCESS, MARGIN])
def test_rows_are_those_that_a_proof_takes(assets: dict[str, Any], kind: StatementKind) -> None:
    """Their conditions (docs/protocol.md, 2.5), and the least bound of the arrays that are committed to."""
    netting = {"sets": "expiry", "gain_factor": "0.3"}
    aggregate = {"account": AGGREGATE["account"] | {"maintenance": {"sum": ["joint.all", "charge.haircut"]}}}
    model, market = pledged(assets, netting=netting, aggregate=aggregate), chain(("BTC", "ETH"))
    rows = compile_margin(kind, Margin.INITIAL, model, attested(model, market))
    rows.rows(10**12).check(rows.bits(None))
    for book in BOOKS:
        lots = np.zeros(256, dtype=np.int64)
        for name, q in book.items():
            lots[market.registry.index_of(name)] = q
        bound = least_bound(rows.lowering, lots)
        assert bound >= asked(model, BOTH, [book], kind, Margin.INITIAL)
        assert min(slacks(rows, lots, bound)) >= 0 > min(slacks(rows, lots, bound - 1))


def test_stress_and_concentration_are_exact_in_the_margin() -> None:
    for assets in (STRESS, SHARE):
        assert check(pledged(assets), MARGIN, equal=True) == 0


def test_a_cap_is_a_credit_in_the_margin_and_is_said() -> None:
    assert check(pledged(CAPS), MARGIN, equal=False) > 0
    bounds = prove(pledged(CAPS), [BOTH], MARGIN, Margin.INITIAL).bounds
    assert "ETH of account beyond its cap is a credit that is not convex: it counts as nothing" in bounds


def test_terms_of_collateral_that_depend_on_the_market_are_refused() -> None:
    other = {**STILL, "cap": "1"}
    model = small_model(
        collateral={"conversion": "none", "assets": {"USDT": STILL}, "markets": {"BTC": {"USDT": other}}}
    )
    with pytest.raises(ProofError, match="USDT has another cap, stress or concentration in some accounts"):
        prove(model, [BOTH], EXCESS, Margin.INITIAL)


@pytest.mark.parametrize("kind", [EXCESS, MARGIN])
def test_scenarios_that_move_forwards_or_index_prices_alone_are_exact(kind: StatementKind) -> None:
    scenarios = [
        {"id": f"{price} {on}".replace(" ", "/"), "price": price, "on": on}
        for price in ("-0.2", "0.3")
        for on in ("forward", "index")
    ]
    aggregate = {"account": AGGREGATE["account"] | {"maintenance": "loss.all"}}
    other = {"other": {**STILL, "moves": True}, "conversion": "none", "assets": {}}
    model = small_model(grid={"scenarios": scenarios}, aggregate=aggregate, collateral=other)
    assert check(model, kind, equal=True) == 0


@pytest.mark.parametrize("factor", ["1", "0.4", "0"])
def test_netting_sets_by_expiry_are_exact_whatever_gains_count(factor: str) -> None:
    netting = {"sets": "expiry"} | ({"gain_factor": factor} if factor != "1" else {})
    account = {
        "equity": "value.total",
        "initial": {"sum": ["worst", {"mul": ["0.1", "joint.all"]}]},
        "maintenance": "joint.all",
    }
    aggregate = {"set": {"worst": {"max": ["0", "loss.all"]}}, "account": account}
    other = {"other": {**STILL, "moves": True}, "conversion": "none", "assets": {}}
    model = small_model(netting=netting, aggregate=aggregate, collateral=other)
    for kind in (EXCESS, MARGIN):
        assert check(model, kind, equal=True) == 0


def test_an_excess_with_caps_and_sets_by_expiry_is_proved_and_one_micro_less_is_not(venue_a: Venue) -> None:
    market = venue_a.market
    terms = {**STILL, "stress": "all", "cap": "20000", "concentration": {**STILL, "beyond": "5000"}}
    scenarios = [{"id": "down", "price": "-0.2"}, {"id": "forwards", "price": "0.1", "on": "forward"}]
    aggregate = {"account": AGGREGATE["account"] | {"maintenance": {"sum": ["joint.all", "charge.haircut"]}}}
    model = small_model(
        grid={"scenarios": scenarios},
        netting={"sets": "expiry", "gain_factor": "0.5"},
        charges=[{"id": "haircut", "kind": "haircut"}],
        collateral={"conversion": "none", "assets": {}, "other": terms},
        aggregate=aggregate,
    )
    account = venue_a.attest(positions(market, BTC=900, BTC_100000_C=-2_000, BTC_120000_C=1_500, BTC_PERPETUAL=-900))
    report = engine_margin(model, market, account.portfolio)
    assert report.values["spot"] == 20_000
    bound = -((report.equity - report.initial) * 10**6 // 1)

    def ask(most: int) -> Challenge:
        return Challenge.new(
            audience="lender",
            bound_micros=most,
            model=model,
            now=1_767_603_655,
            statement=EXCESS,
            margin=Margin.INITIAL,
        )

    asked_for = ask(bound)
    verdict = judge(answer(asked_for, [account]), asked_for, [account])
    assert verdict.outcome is Outcome.VALID, verdict.reason
    with pytest.raises(FalseStatementError, match="the statement is false: short by"):
        answer(ask(bound - 1), [account])
