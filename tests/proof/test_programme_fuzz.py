"""Random models, markets and books: the rows of a requirement never ask for less than the margin engine does.

Where the compiler says that the requirement is proved as it is, the least bound is the engine's number; where the accounts are
at several venues, it is at least that of one account which lists everything.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from riskproof.errors import ModelError, PortfolioError, ProofError, SnapshotError
from riskproof.proof.challenge import Margin, StatementKind
from riskproof.risk.margining import MarginMarket
from tests.proof.programme_support import Book, asked, part_of, prove
from tests.proof.random_models import mutated_model, random_books, random_market, random_model

ROUNDED = 1e-3  # micros a lot: factors and charges that no decimal says are rounded against the account


def parts(rng: random.Random, market: MarginMarket) -> list[MarginMarket]:
    """Two venues that list a market between them, some of it at both."""
    names: tuple[list[str], list[str]] = ([], [])
    for x in market.listings:
        where = rng.choice((0, 1, 2))
        for n, mine in enumerate(names):
            if where in (n, 2):
                mine.append(x.name)
    return [part_of(market, mine) for mine in names if mine]


def compare(seed: int, counts: Counter[str], *, solver: bool) -> None:
    """One model and market with several books: AssertionError where the rows ask for less than the engine."""
    rng = random.Random(seed)
    model = random_model(rng) if seed % 4 else mutated_model(rng)
    market = random_market(rng)
    kind, margin = rng.choice((StatementKind.MARGIN, StatementKind.EXCESS)), rng.choice(tuple(Margin))
    venues = [market] if rng.random() < 0.6 else parts(rng, market)
    try:
        rows = prove(model, venues, kind, margin)
    except ProofError as refused:
        counts[refused.what.split(" of ")[0][:40]] += 1
        return
    except (ModelError, SnapshotError):  # what the joint moves do not move, a feed that is missing
        counts["market"] += 1
        return
    counts["compiled"] += 1
    for n in range(5):
        books: list[Book] = [
            random_books(rng, v, most=1_000 if solver else rng.choice((10**6, 10**12))) for v in venues
        ]
        try:
            want = asked(model, market, books, kind, margin)
        except (PortfolioError, SnapshotError):
            counts["engine refuses"] += 1
            continue
        got = rows.least(*books)
        what = f"seed {seed}, book {n}: {kind} {margin}, bounds {rows.bounds}"
        assert got >= want, what
        assert min(rows.slacks(got, *books)) >= 0, what
        assert min(rows.slacks(got - 1, *books)) < 0, what
        counts["equal" if got == want else "larger"] += 1
        if len(venues) == 1 and all("no collateral" in b for b in rows.bounds):
            counts["exact"] += 1
            lots = sum(abs(q) for book in books for q in book.values())
            assert got - want <= 2 + lots * ROUNDED, what
        if solver:
            best = rows.optimum(*books)
            assert best == pytest.approx(got / 10**6, rel=1e-6, abs=2e-6), what


SEEDS = range(48)


def test_rows_of_random_models_never_ask_for_less_than_the_engine() -> None:
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        compare(seed, counts, solver=False)
    assert counts["compiled"] >= len(SEEDS) // 3, counts
    assert counts["exact"] >= 10, counts
    assert counts["larger"] >= 10, counts


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_rows_of_many_random_models_never_ask_for_less_than_the_engine(block: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(1_000 + 100 * block, 1_100 + 100 * block):
        compare(seed, counts, solver=block % 2 == 1)
    assert counts["compiled"] >= 30, counts
