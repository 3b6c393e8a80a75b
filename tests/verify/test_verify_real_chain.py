"""The main job on real input: an exchange's option chain and a book go in, a stranger and an auditor verify what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from verify_support import AUDIENCE, NONCE, World

from riskproof.attest.book import AccountSecret, CommittedBook
from riskproof.attest.opening import Opening
from riskproof.attest.payload import GENESIS, Policy
from riskproof.market.importers.deribit import import_files
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.verify import Outcome, verify_attestation

SHARED = Path(__file__).resolve().parents[2] / "../shared/market"
NAMES = ("deribit_options_20260114T092233Z.csv", "deribit_options_20260205T212937Z.csv")


@pytest.mark.skipif(not SHARED.exists(), reason="the real chains are not in ../shared/market")
def test_two_real_chains() -> None:
    futures = (SHARED / "deribit_futures_perp.csv").read_bytes()
    market: Market | None = None
    book: CommittedBook | None = None
    previous = GENESIS
    for name in NAMES:
        files = [(name, (SHARED / name).read_bytes()), ("deribit_futures_perp.csv", futures)]
        market = import_files(files, previous=market)
        priced = [i for i, quote in enumerate(market.snapshot.quotes) if quote is not None]
        lots = tuple((i, (-1) ** n * 1000 * (n + 1)) for n, i in enumerate(priced[::41]))
        world = World.make(market, Portfolio(lots))
        if book is None:
            book = CommittedBook(market.registry, Portfolio(lots), AccountSecret.random(), 0)
        else:
            book.extend(market.registry)
            book.apply_trade([*((i, -q) for i, q in book.portfolio.positions), *lots])
        issued = market.snapshot.time + 60
        built = world.build(
            book=book,
            issued_at=issued,
            policy=Policy.ARRAY,
            sequence=1 if previous == GENESIS else 2,
            previous_digest=previous,
        )
        previous = built.digest
        verdict = verify_attestation(
            built.attestation,
            world.keys,
            now=issued,
            audience=AUDIENCE,
            nonce=NONCE,
            market=market.to_bytes(),
            opening=built.opening,
        )
        assert verdict.outcome is Outcome.VALID, verdict.reason
        assert verdict.notes == ()
        assert [c.number for c in verdict.checks] == [*range(1, 16), *range(20, 26)]
        assert len(Opening.from_bytes(built.opening).positions) == len(lots) > 20
