"""Net-risk proofs: prove, verify, batch, recompute rows, sizes; as ratios to the library's multi-scalar multiplication.

    python -m benchmarks.bench_proof [--json]

One core. The floor of a proof is three multi-scalar multiplications of n + 3 full scalars (accumulator, quotient, opening) plus
the bit columns' own: a sum of n / 2 points and one of two scalars for the blinding. Floor and proofs are timed in turn, in one run.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from riskproof.attest.book import CommittedBook, epoch_of
from riskproof.attest.build import AttestationRequest, BuiltAttestation, build_attestation
from riskproof.attest.envelope import Envelope
from riskproof.attest.holder import HolderRequest, account_tag
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import KeySet
from riskproof.attest.net_risk import ProverInput, attested_market, prove_net_risk
from riskproof.attest.payload import Attestation
from riskproof.commit.columns import column_basis
from riskproof.commit.field.modulus import BLS12_381_FR
from riskproof.commit.points import G1Point, parse_g1, scalar
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.proof.challenge import Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.rows import compile_rows
from riskproof.proof.setup import ceremony_setup
from riskproof.risk.arrays import compute_array
from riskproof.risk.model import RiskModel, load_model
from riskproof.units import PRICE_ONE
from riskproof.verify.net_risk import MarketCache, ProofCase, verify_proofs

TIME = 1_767_603_600
NOW = TIME + 60
AUDIENCE = "lender"
BOUND = 10**15
HOLDER = SigningKey.generate("holder")
BATCH = 64


def chain(instruments: int, size: int, spot: int) -> Market:
    """A market of `instruments` options on one coin: 16 expiries, calls and puts."""
    strikes = instruments // 32
    listed, curves, quotes = [], [], {}
    for e in range(16):
        expiry = TIME + (7 + 14 * e) * 86_400
        curves.append(Curve("BTC", expiry, (spot + 100 * e) * PRICE_ONE))
        for k in range(strikes):
            strike = (spot * (50 + 150 * k // strikes) // 100) * PRICE_ONE
            for kind in (OptionType.CALL, OptionType.PUT):
                name = f"BTC-{e}-{k}-{kind.value}"
                listed.append(Instrument(name, Kind.OPTION, "BTC", Payoff.INVERSE, PRICE_ONE, expiry, strike, kind))
                quotes[name] = Quote(None, (500 + k) * 10**9)
    registry = Registry("USD", tuple(listed), column_size=size)
    return Market(registry, Snapshot.build(registry, TIME, "bench", {"BTC": spot * PRICE_ONE}, curves, quotes))


def model(scenarios: int) -> RiskModel:
    """crypto-pm with its first scenarios only."""
    full = load_model("crypto-pm")
    return replace(full, name=f"bench-{scenarios}", scenarios=full.scenarios[:scenarios])


class Case:
    """Venues, one book at each, and a challenge over them."""

    def __init__(self, venues: int, instruments: int, scenarios: int, size: int) -> None:
        self.model = model(scenarios)
        self.markets = [chain(instruments, size, 90_000 + 10_000 * v) for v in range(venues)]
        self.arrays = [compute_array(m, self.model) for m in self.markets]
        self.keys = [SigningKey.generate(f"venue-{v}") for v in range(venues)]
        self.built = [self._attest(v, v) for v in range(venues)]
        self.files = [m.to_bytes() for m in self.markets]
        self.key_sets = [KeySet((k.public,)) for k in self.keys]
        self.challenge = self.ask()

    def _attest(self, v: int, seed: int) -> BuiltAttestation:
        market, key = self.markets[v], self.keys[v]
        rng = np.random.default_rng(seed)
        held = sorted(rng.choice(len(market.registry), 100, replace=False).tolist())
        secret, epoch = key.account_secret("a"), epoch_of(NOW)
        portfolio = Portfolio(tuple((i, int(rng.integers(1, 5_000)) * (1 if i % 2 else -1)) for i in held))
        return build_attestation(
            AttestationRequest(
                venue=key.venue,
                account_id="a",
                book=CommittedBook(market.registry, portfolio, secret, epoch),
                market=market,
                model=self.model,
                array=self.arrays[v],
                issued_at=NOW - 10,
                audience=AUDIENCE,
                holder=HolderRequest("bench", HOLDER.public.raw, account_tag(secret, AUDIENCE, epoch), epoch),
            ),
            key,
        )

    def ask(self) -> bytes:
        """A fresh challenge."""
        return Challenge.new(audience=AUDIENCE, bound_micros=BOUND, model=self.model, now=NOW - 5).to_bytes()

    def prove(self, challenge: bytes | None = None) -> bytes:
        """One proof, rows from arrays that are there."""
        inputs = [
            ProverInput(b.attestation, b.opening, m, a)
            for b, m, a in zip(self.built, self.markets, self.arrays, strict=True)
        ]
        return prove_net_risk(challenge or self.challenge, inputs, HOLDER)

    def case(self, proof: bytes, challenge: bytes) -> ProofCase:
        """What a verifier is handed."""
        return ProofCase(
            proof,
            challenge,
            [b.attestation for b in self.built],
            self.key_sets,
            self.files,
        )


def millis(work: Callable[[], object], repeat: int) -> float:
    """Median time of one call in milliseconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def floor(size: int, bit_columns: int) -> Callable[[], object]:
    """The group operations that every proof of this shape needs."""
    setup = ceremony_setup(size)
    points = list(setup.powers)
    scalars = [scalar(secrets.randbelow(BLS12_381_FR.modulus)) for _ in points]

    def work() -> None:
        for _ in range(3):
            G1Point.multiexp_unchecked(points, scalars)
        for _ in range(bit_columns):
            total = G1Point.multiexp_unchecked(points[:2], scalars[:2])
            for point in setup.lagrange[: size // 2]:
                total += point

    return work


def paired(first: Callable[[], object], second: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Median milliseconds of both, in turn."""
    ones, twos = [], []
    for _ in range(repeat):
        ones.append(millis(first, 1))
        twos.append(millis(second, 1))
    return statistics.median(ones), statistics.median(twos)


def measure_case(name: str, case: Case, size: int, bit_columns: int, repeat: int) -> dict[str, float]:
    """Prove against the floor, and verify."""
    proof = case.prove()
    cache = MarketCache()
    handed = case.case(proof, case.challenge)

    def verify(cache: MarketCache | None = cache) -> None:
        (verdict,) = verify_proofs([handed], now=NOW, cache=cache)
        assert verdict.outcome == "valid", verdict.reason

    verify()
    prove_ms, floor_ms = paired(case.prove, floor(size, bit_columns), repeat)
    attested = [Attestation.from_bytes(Envelope.from_bytes(b.attestation).payload) for b in case.built]
    statement = Challenge.from_bytes(case.challenge).statement

    def rows() -> None:
        compiled = compile_rows(
            statement,
            case.model,
            [attested_market(a, m, compute_array(m, case.model)) for a, m in zip(attested, case.markets, strict=True)],
        )
        assert compiled.coefficients.digest

    verify_ms, rows_ms = millis(verify, 3 * repeat), millis(rows, repeat)
    return {
        f"{name}_prove_ms": prove_ms,
        f"{name}_floor_ms": floor_ms,
        f"{name}_prove_to_floor": prove_ms / floor_ms,
        f"{name}_proof_bytes": len(ProofDocument.from_bytes(proof).proof),
        f"{name}_verify_ms": verify_ms,
        f"{name}_rows_ms": rows_ms,
        f"{name}_verify_with_rows_ms": verify_ms + rows_ms,
        f"{name}_verify_from_bytes_ms": millis(lambda: verify(None), repeat),
    }


def measure_batch(case: Case) -> dict[str, float]:
    """64 proofs of one snapshot at once, in turn with nine of them one by one."""
    cases = []
    for _ in range(BATCH):
        challenge = case.ask()
        cases.append(case.case(case.prove(challenge), challenge))
    cache = MarketCache()

    def verify(some: list[ProofCase]) -> None:
        assert all(v.outcome == "valid" for v in verify_proofs(some, now=NOW, cache=cache))

    verify(cases)
    together, alone = [], []
    for turn in range(7):
        together.append(millis(lambda: verify(cases), 1) / BATCH)
        alone += [millis(lambda one=one: verify([one]), 1) for one in cases[9 * turn : 9 * turn + 9]]  # type: ignore[misc]
    each, one = statistics.median(together), statistics.median(alone)
    return {"batch_each_ms": each, "batch_single_ms": one, "batch_to_single": each / one}


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)

    first = Case(1, 1024, 16, 256)
    result = measure_case("one_1024_16", first, 256, 4, 15)
    result |= measure_batch(first)
    result |= measure_case("one_1024_16_wide", Case(1, 1024, 16, 1024), 1024, 1, 7)
    result |= measure_case("three_2048_31", Case(3, 2048, 31, 256), 256, 8, 7)
    basis = column_basis(256)
    commitment = parse_g1(
        Attestation.from_bytes(Envelope.from_bytes(first.built[0].attestation).payload).columns.commitments[0]
    )
    result["update_after_trade_ms"] = millis(lambda: basis.update(commitment, 7, -12_345), 200)
    if options.json:
        print(json.dumps({k: round(v, 4) for k, v in result.items()}))
        return 0
    for name, value in result.items():
        print(f"{name:<36}{value:>12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
