"""Margins of many accounts at once, against `evaluate_model` of each: equality of every reported number."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskproof.errors import OverflowMoneyError, PortfolioError, SnapshotError, UnitError
from riskproof.market.registry import Kind, OptionType
from riskproof.risk.margining import (
    Account,
    Accounts,
    BatchMargins,
    Forward,
    Index,
    Listing,
    MarginMarket,
    MarginModel,
    MarginTables,
    evaluate_batch,
    evaluate_model,
    load_model,
    shipped_models,
)
from tests.conformance import derive_pm1, derive_pm2
from tests.conformance.cases import load

VECTORS = Path(__file__).resolve().parents[2] / "../shared/vectors/derive"
DAY = 86_400
MICROS = {"requirement": {"decimals": 6, "direction": "up"}, "value": {"decimals": 6, "direction": "down"}}


def compare(model: MarginModel, market: MarginMarket, accounts: list[Account], decimals: int) -> BatchMargins:
    """The batch, after comparing it with the engine."""
    tables = MarginTables.build(model, market, decimals)
    batch = evaluate_batch(tables, Accounts.of(market, accounts, decimals))
    for a, account in enumerate(accounts):
        exact = evaluate_model(model, market, account, tables.values)
        requirement, value = (10 ** how[0] for how in (model.rounding.requirement, model.rounding.value))
        assert batch.initial[a] == math.ceil(exact.initial * requirement)
        assert batch.maintenance[a] == math.ceil(exact.maintenance * requirement)
        assert batch.equity[a] == math.floor(exact.equity * value)
        assert batch.report(a).to_document() == exact.to_document()
    return batch


@cache
def market(exponent: int = 9, settlement_price: str = "1", confidence: str = "1") -> MarginMarket:
    """Two coins, three expiries each, one of them about to settle, and collateral."""
    listings = [Listing("USDC", Kind.SPOT, "USDC")]
    forwards = {}
    spots = {"BTC": Fraction("95123.456789"), "ETH": Fraction("3311.2")}
    for u, spot in spots.items():
        listings.append(Listing(f"{u}-PERP", Kind.PERPETUAL, u, mark=spot * Fraction("1.0003")))
        listings.append(Listing(u, Kind.SPOT, u, mark=spot))
        for seconds, rate in ((900, "0"), (9 * DAY, "0.05"), (200 * DAY, "0.3")):
            price = spot * Fraction("1.01")
            settled = price / 2 if seconds == 900 else Fraction(0)
            forwards[u, seconds] = Forward(seconds, price, settled, Fraction(rate), None, Fraction(confidence))
            for percent in (70, 100, 140):
                for side in OptionType:
                    strike = Fraction(round(spot * percent / 100))
                    listings.append(
                        Listing(
                            f"{u}-{seconds}-{strike}-{side.value}",
                            Kind.OPTION,
                            u,
                            expiry=seconds,
                            strike=strike,
                            option_type=side,
                            volatility=Fraction("0.6"),
                        )
                    )
    indices = {u: Index(spot) for u, spot in spots.items()}
    return MarginMarket("USDC", indices, forwards, tuple(listings), Fraction(settlement_price), exponent)


def random_accounts(m: MarginMarket, count: int, seed: int, most: int = 12) -> list[Account]:
    rng = random.Random(seed)
    accounts = []
    for _ in range(count):
        u = rng.choice(sorted(m.indices))
        places = [p for p, x in enumerate(m.listings) if x.underlying == u and x.kind is not Kind.SPOT]
        held = {0: Fraction(rng.randint(-(10**6), 10**7), 100)} if rng.random() < 0.8 else {}
        for p in rng.sample(places, rng.randint(1, min(most, len(places)))):
            held[p] = Fraction(rng.choice((-1, 1)) * rng.randint(1, 10 ** rng.randint(1, 6)), 100)
        owed = [(places[0], Fraction(rng.randint(1, 10**6), 100))] if rng.random() < 0.3 else []
        accounts.append(Account(tuple(sorted((p, q) for p, q in held.items() if q)), tuple(owed)))
    return accounts


@pytest.mark.parametrize("name", ["derive-pm1", "derive-pm2"])
@pytest.mark.parametrize(("exponent", "price"), [(9, "1"), (18, "0.95"), (6, "1.0002")])
def test_random_books_are_equal_and_decided_by_the_compiled_path(name: str, exponent: int, price: str) -> None:
    m = market(exponent, price)
    batch = compare(load_model(name), m, random_accounts(m, 60, exponent), 2)
    assert batch.slow.sum() <= 3


def test_a_hedged_and_a_one_legged_book_and_ties_are_equal() -> None:
    m = market()
    perpetual, call, put = "BTC-PERP", "BTC-777600-95123-call", "BTC-777600-95123-put"
    books: list[dict[str, Any]] = [
        {perpetual: Fraction(1)},
        {perpetual: Fraction(-1), "USDC": Fraction(5)},
        {call: Fraction(3), put: Fraction(-3), perpetual: Fraction(-3)},
        {call: Fraction(-3)},
        {put: Fraction(2)},
        {"BTC-900-66586-put": Fraction(-1)},
        {"BTC-900-66586-put": Fraction(-1), "BTC-900-66586-call": Fraction(1), perpetual: Fraction(-1)},
        {"BTC": Fraction(2), call: Fraction(-1)},
    ]
    compare(load_model("derive-pm2"), m, [Account.build(m, b) for b in books], 2)
    btc = [p for p, x in enumerate(m.listings) if x.underlying in ("BTC", "USDC")]
    one = replace(m, listings=tuple(m.listings[p] for p in btc))
    batch = compare(load_model("derive-pm2"), one, [Account.build(one, b) for b in books], 2)
    assert not batch.slow[[2, 3, 4, 7]].any()


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_every_model_gives_its_own_numbers_fast_or_slow(name: str) -> None:
    model, m = load_model(name), market()
    accounts = [a for a in random_accounts(m, 12, 5, 4) if not any(p == 0 and q < 0 for p, q in a.positions)]
    batch = compare(model, m, accounts, 2)
    covered = MarginTables.build(model, m, 2, places=[m.place("BTC-PERP")]).listings == 1
    assert covered == (name in ("derive-pm1", "derive-pm2"))
    assert covered or batch.slow.all()


@pytest.mark.parametrize(
    "charge",
    [
        {"kind": "fee", "kinds": ["option"], "rates": {"initial": "0.01", "maintenance": "0.01"}, "cap": "0.125"},
        {
            "kind": "liquidity_tier",
            "exposure": "option",
            "tiers": [{"beyond": "1000", "rates": {"initial": "0.01", "maintenance": "0.01"}}],
        },
        {"kind": "stablecoin_hedge", "rates": {"initial": "0.01", "maintenance": "0.01"}},
        {
            "kind": "notional",
            "exposure": "perpetual",
            "rates": {"initial": "0.01", "maintenance": "0.01"},
            "scope": {"underlyings": {"in": ["BTC"]}},
        },
    ],
    ids=lambda charge: charge["kind"],
)
def test_a_charge_that_is_not_compiled_is_left_to_the_slow_path(charge: dict[str, Any]) -> None:
    document: Any = load_model("derive-pm2").to_document()
    document["charges"].append({"id": "x", **charge})
    for margin in ("initial", "maintenance"):
        document["aggregate"]["account"][margin] = {"sum": [document["aggregate"]["account"][margin], "charge.x"]}
    m = market()
    assert compare(MarginModel.from_document(document), m, random_accounts(m, 12, 3), 2).slow.all()


def test_sums_of_many_lots_are_exact() -> None:
    m, model = market(18), load_model("derive-pm2")
    call, put, perpetual = (m.place(f"BTC-{x}") for x in ("777600-95123-call", "777600-95123-put", "PERP"))
    huge = [10**k + d for k in (9, 11, 12, 13) for d in (-1, 0, 1)]
    accounts = [
        Account(
            tuple(sorted(((perpetual, Fraction(n, 10**8)), (call, Fraction(-n, 10**8)), (put, Fraction(3 - n, 10**8)))))
        )
        for n in huge
    ]
    batch = compare(model, m, accounts, 8)
    assert not batch.slow.any()


def test_collateral_of_one_market_and_its_market_named() -> None:
    m = market()
    btc = replace(m, listings=tuple(x for x in m.listings if x.underlying in ("BTC", "USDC")))
    accounts = [
        Account(((btc.place("BTC"), Fraction(2)),), (), "BTC"),
        Account((), (), "BTC"),
        Account(((0, Fraction(7)), (btc.place("BTC"), Fraction(2))), ((btc.place("BTC-PERP"), Fraction(-3)),), "BTC"),
    ]
    batch = compare(load_model("derive-pm2"), btc, accounts, 2)
    assert not batch.slow[[0, 2]].any()


def test_an_unsure_oracle_is_left_to_the_slow_path() -> None:
    m = market(confidence="0.5")
    accounts = random_accounts(m, 10, 3)
    batch = compare(load_model("derive-pm2"), m, accounts, 2)
    held = [any(m.listings[p].kind is Kind.OPTION for p, _ in a.positions) for a in accounts]
    assert batch.slow.tolist() == held


def on_a_lattice(account: Account) -> tuple[Account, int]:
    """An account and the least decimals of its amounts; where they do not fit 64 bits, with amounts of 8 decimals."""
    amounts = [q for _, q in (*account.positions, *account.receivables)]
    for decimals in range(19):
        if all((q * 10**decimals).denominator == 1 and abs(q * 10**decimals) < 1 << 62 for q in amounts):
            return account, decimals

    def rounded(pairs: tuple[tuple[int, Fraction], ...]) -> tuple[tuple[int, Fraction], ...]:
        return tuple((p, round(q, 8)) for p, q in pairs if round(q, 8))

    return Account(rounded(account.positions), rounded(account.receivables), account.underlying), 8


@pytest.mark.parametrize("exponent", [9, 18])
def test_published_portfolios_and_random_changes_of_them(exponent: int) -> None:
    path = VECTORS / "derive_pm2_portfolio_cases.json"
    if not path.exists():
        pytest.skip("needs Derive's vectors of ../shared")
    document, fast, count = load(path), 0, 0
    rng = random.Random(exponent)
    for case in document["cases"]:
        inputs = case["inputs"]
        body = derive_pm2.model_document(
            derive_pm2.overlaid(document["base_params"], case.get("params_override", {})), inputs.get("Collaterals", [])
        )
        model = MarginModel.from_document({**body, "rounding": MICROS})
        feeds, account = derive_pm2.market_and_account(inputs)
        feeds = replace(feeds, money_exponent=exponent)
        for changed in (False, True):
            book = account
            if changed:
                moved = ((p, Fraction(round(q * rng.randint(50, 150)), 100)) for p, q in account.positions)
                book = replace(account, positions=tuple((p, q) for p, q in moved if q))
            book, decimals = on_a_lattice(book)
            batch = compare(model, feeds, [book], decimals)
            fast, count = fast + int((~batch.slow).sum()), count + 1
    assert count == 2 * len(document["cases"])
    assert fast >= 100


def test_first_version_portfolios() -> None:
    path = VECTORS / "derive_pm1_verified_scenarios.json"
    if not path.exists():
        pytest.skip("needs Derive's vectors of ../shared")
    document = load(path)
    model = MarginModel.from_document({**derive_pm1.model_document(document["params"]), "rounding": MICROS})
    for case in document["cases"].values():
        feeds, account = derive_pm1.market_and_account(case["Scenario"])
        book, decimals = on_a_lattice(account)
        compare(model, feeds, [book], decimals)


def test_refusals() -> None:
    m, model = market(), load_model("derive-pm2")
    tables = MarginTables.build(model, m, 2)

    def accounts(places: list[int], lots: list[int], decimals: int = 2, **more: Any) -> Accounts:
        a, b = np.array(places, dtype=np.int64), np.array(lots, dtype=np.int64)
        return Accounts(np.array([0, len(a)], dtype=np.int64), a, b, decimals, **more)

    for given, error, what in (
        (accounts([3, 1], [1, 1]), PortfolioError, "account 0: not sorted"),
        (accounts([3], [0]), PortfolioError, "zero lots"),
        (accounts([10_000], [1]), PortfolioError, "no instrument at index 10000"),
        (accounts([3], [1], 3), UnitError, "3 decimals"),
        (accounts([3], [1], receivables=np.zeros(2, dtype=np.int64)), UnitError, "receivables"),
        (accounts([3], [1], underlyings=("BTC", "ETH")), UnitError, "2 names"),
        (accounts([1], [1], receivables=np.array([1])), PortfolioError, None),
    ):
        if what is None:
            with pytest.raises(PortfolioError, match="receivables of nothing"):
                evaluate_batch(tables, given).report(0)
            continue
        with pytest.raises(error, match=what):
            evaluate_batch(tables, given)
    with pytest.raises(PortfolioError, match=r"account 0, limits.underlyings: 2 underlyings"):
        evaluate_batch(tables, accounts([1, m.place("ETH-PERP")], [1, 1]))
    several = Accounts(np.array([0, 1, 3, 4]), np.array([1, 1, m.place("ETH-PERP"), 1]), np.array([1, 1, 1, 1]), 2)
    with pytest.raises(PortfolioError, match=r"account 1, limits.underlyings: 2 underlyings"):
        evaluate_batch(tables, several)
    with pytest.raises(UnitError, match=r"receivable_places: float64 of shape \(1,\)"):
        evaluate_batch(tables, accounts([1], [1], receivable_places=np.zeros(1)))
    unquoted = tuple(replace(x, volatility=None) if x.kind is Kind.OPTION else x for x in m.listings)
    place = next(i for i, x in enumerate(unquoted) if x.kind is Kind.OPTION)
    lacking = MarginTables.build(model, replace(m, listings=unquoted), 2)
    with pytest.raises(SnapshotError, match=f"account 0, {unquoted[place].name}: no volatility"):
        evaluate_batch(lacking, accounts([place], [1]))
    with pytest.raises(OverflowMoneyError, match="does not fit 64 bits"):
        evaluate_batch(tables, accounts([1], [1 << 60]))
    with pytest.raises(UnitError, match="19 decimals"):
        MarginTables.build(model, m, 19)
    with pytest.raises(UnitError, match="at most 2 decimals"):
        Accounts.of(m, [Account(((1, Fraction("0.001")),))], 2)
    owed = tuple(sorted((m.place(f"{u}-PERP"), Fraction(1)) for u in ("BTC", "ETH")))
    with pytest.raises(UnitError, match="several underlyings"):
        Accounts.of(m, [Account((), owed)], 2)
    with pytest.raises(SnapshotError, match="settlement_price"):
        MarginTables.build(model, replace(m, settlement_price=Fraction(0)), 2)


def test_nothing_secret_is_shown() -> None:
    m = market()
    tables = MarginTables.build(load_model("derive-pm2"), m, 2, places=[0, 1])
    accounts = Accounts.of(m, [Account(((1, Fraction(7)),))], 2)
    assert repr(accounts) == "Accounts(<1 accounts>)"
    assert repr(evaluate_batch(tables, accounts)) == "BatchMargins(<1 accounts>)"
