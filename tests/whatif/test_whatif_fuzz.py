"""Random models, markets and books: an account after trades is the account with the trades."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest

from riskproof.errors import RiskproofError
from riskproof.risk.margining import Account, MarginReport, evaluate_model
from riskproof.risk.margining.incremental import AccountMargin
from tests.proof.programme_support import LOT
from tests.proof.random_models import mutated_model, random_books, random_market, random_model


def compare(seed: int, counts: Counter[str]) -> None:
    """One book and several trades, some of which close a position."""
    rng = random.Random(seed)
    model = random_model(rng) if seed % 4 else mutated_model(rng)
    market = random_market(rng)
    held = {name: lots * LOT for name, lots in random_books(rng, market).items()}
    try:
        account = AccountMargin(model, market, Account.build(market, held))
    except RiskproofError:
        counts["refused"] += 1
        return
    for _ in range(4):
        trades = {}
        for x in rng.sample(market.listings, rng.randint(1, 3)):
            closed = x.name in held and rng.random() < 0.3
            trades[x.name] = -held[x.name] if closed else Fraction(rng.choice((-1, 1)) * rng.randint(1, 500), 1000)
        whole = {name: held.get(name, Fraction(0)) + trades.get(name, Fraction(0)) for name in held | trades}
        expected: MarginReport | type[RiskproofError]
        found: MarginReport | type[RiskproofError]
        try:
            expected = evaluate_model(model, market, Account.build(market, {n: q for n, q in whole.items() if q}))
        except RiskproofError as error:
            expected = type(error)
        try:
            found = account.after({market.place(name): q for name, q in trades.items()})
        except RiskproofError as error:
            found = type(error)
        assert found == expected, f"seed {seed}: {trades}"
        counts["equal" if isinstance(found, MarginReport) else "refused alike"] += 1


def test_random_accounts_after_random_trades() -> None:
    counts: Counter[str] = Counter()
    for seed in range(32):
        compare(seed, counts)
    assert counts["equal"] >= 60, counts
    assert counts["refused alike"] >= 2, counts


@pytest.mark.slow
def test_many_random_accounts_after_random_trades() -> None:
    counts: Counter[str] = Counter()
    for seed in range(1_000, 1_800):
        compare(seed, counts)
    assert counts["equal"] >= 1_500, counts
