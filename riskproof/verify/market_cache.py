"""What verifiers keep from proof to proof: attestations and markets as read, risk arrays, compiled rows."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from riskproof.attest.envelope import Envelope
from riskproof.attest.net_risk import attested_market
from riskproof.attest.payload import Attestation
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import AnyModel, Challenge
from riskproof.proof.programme import check_work, compile_statement
from riskproof.proof.rows import StatementRows, check_size
from riskproof.proof.statement import MAX_CELLS
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.model import RiskModel

_PARSED: Final = 8  # objects in memory take several times the bytes they were read from


class MarketCache:
    """Attestations and markets as read, risk arrays and compiled rows: the most recent few of all. Safe for threads.

    A verifier that checks many proofs of one snapshot keeps one of these: reading and pricing a market takes longer than a proof.
    Everything is kept under digests of the bytes it was made from, so nothing that one caller brings changes another's verdict.
    """

    def __init__(
        self, entries: int = 64, limit: int = 1 << 28, cells: int = MAX_CELLS, *, work: int | None = None
    ) -> None:
        """Keep at most `entries` objects, of about `limit` bytes together; price statements of at most `cells` coefficients.

        work: most microseconds that the rows of a margin may take by `check_work`, None for no limit: for whoever computes them
        for others.
        """
        self.cells = cells
        self._work = work
        self._entries = entries
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def _get(self, key: Hashable, make: Callable[[], Any], weigh: Callable[[Any], int]) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        made = make()
        weight = weigh(made)
        with self._lock:
            self._total += weight - self._kept.get(key, (None, 0))[1]
            self._kept[key] = made, weight
            while len(self._kept) > self._entries or (self._total > self._limit and len(self._kept) > 1):
                self._total -= self._kept.popitem(last=False)[1][1]
        return made

    def attestation(self, data: bytes, where: str) -> tuple[Envelope, Attestation]:
        """An attestation, read and not yet verified (AttestationError)."""

        def read() -> tuple[Envelope, Attestation]:
            envelope = Envelope.from_bytes(data, where)
            return envelope, Attestation.from_bytes(envelope.payload, f"{where}.payload")

        known: tuple[Envelope, Attestation] = self._get(
            ("attestation", hashlib.sha256(data).digest()), read, lambda _: _PARSED * len(data)
        )
        return known

    def market(self, data: bytes) -> Market:
        """The market of a file (MarketError, EncodingError)."""
        key = ("market", hashlib.sha256(data).digest())
        market: Market = self._get(key, lambda: Market.from_bytes(data), lambda _: _PARSED * len(data))
        return market

    def array(self, market: Market, model: AnyModel) -> RiskArray | None:
        """The risk array of a market under a model (as `compute_array`; ProofError if it is larger than any statement).

        None under a model of version 2, whose rows are not made of a risk array.
        """
        check_size(len(model.scenarios), market.registry.columns, market.registry.column_size, self.cells)
        if not isinstance(model, RiskModel):
            return None
        key = ("array", market.registry.digest, market.snapshot.digest, model.digest)
        array: RiskArray = self._get(key, lambda: compute_array(market, model), lambda made: int(made.rows.nbytes))
        return array

    def compiled(
        self, challenge: Challenge, model: AnyModel, attestations: Sequence[Attestation], markets: Sequence[Market]
    ) -> StatementRows:
        """The rows of a challenge's statement over attestations, ascending by digest, and their markets (as `compile_statement`).

        ProofError besides if they take more work than this cache may do.
        """
        pairs = list(zip(attestations, markets, strict=True))
        columns = tuple((m.registry.digest, m.snapshot.digest, a.columns.live) for a, m in pairs)

        def make() -> StatementRows:
            if challenge.margin is not None and self._work is not None:
                check_work(model, [attested_market(a, m, None) for a, m in pairs], self._work)
            return compile_statement(challenge, model, [attested_market(a, m, self.array(m, model)) for a, m in pairs])

        compiled: StatementRows = self._get(
            ("rows", challenge.statement, challenge.margin, model.digest, columns), make, lambda made: made.nbytes
        )
        return compiled
