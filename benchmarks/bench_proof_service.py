"""gRPC: proofs per second of a venue with worker processes, and what they cost its attestations.

    python -m benchmarks.bench_proof_service [--seconds 5] [--rounds 3] [--workers 2] [--in-flight 4] [--instruments 1024] [--json]

prove     one account of so many instruments under crypto-pm, so many calls in flight, each from challenge to unsigned proof; the
          holder's own check and signature are not in it, for they run on the holder's machine
attest    one call in flight on the same server, alone and while it proves; rounds interleaved, medians compared

Client, server and workers share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.bench_service import connect, make_config, serve, wide_market
from riskproof.attest.keys import SigningKey
from riskproof.client import AsyncClient, Disclosure, Holding
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import Challenge
from riskproof.risk.model import load_model
from riskproof.service.certificates import CertificateFiles, make_client_certificate
from riskproof.service.config import ProvingConfig
from riskproof.service.identity import Identity, Role
from riskproof.v1 import proof_pb2

PROVE = "/riskproof.v1.ProofService/Prove"
ACCOUNT = Identity(Role.ACCOUNT_HOLDER, "client-7")
HOLDER = SigningKey.generate("holder")
AUDIENCE = "lender"
BOUND = 10**15


async def prepare(operator: AsyncClient, market: Market) -> proof_pb2.ProveRequest:
    """An account with a book, attested; a challenge to it."""
    await operator.publish_market(market)
    await operator.open_account(ACCOUNT.name)
    await operator.set_holder(ACCOUNT.name, "5493001KJTIIGC8Y1R12")
    priced = [i for i, q in zip(market.registry.instruments, market.snapshot.quotes, strict=True) if q is not None]
    await operator.record_trade(ACCOUNT.name, "t", [Holding(i.name, 3 - k % 7 or 1) for k, i in enumerate(priced[::8])])
    made = await operator.create_attestation(
        ACCOUNT.name, audience=AUDIENCE, holder_key=HOLDER.public.raw, disclosure=Disclosure.NONE, ttl_seconds=3600
    )
    asked = Challenge.new(audience=AUDIENCE, bound_micros=BOUND, model=load_model("crypto-pm"), now=int(time.time()))
    return proof_pb2.ProveRequest(
        account_id=ACCOUNT.name,
        challenge_json=asked.to_bytes(),
        attestation_digests=[made.digest],
        holder_key=HOLDER.public.raw,
    )


async def proofs(holder: AsyncClient, request: proof_pb2.ProveRequest, stop: asyncio.Event, in_flight: int) -> int:
    """Proofs made until stopped."""
    method = holder._channel.unary_stream(
        PROVE,
        request_serializer=proof_pb2.ProveRequest.SerializeToString,
        response_deserializer=proof_pb2.ProveResponse.FromString,
    )
    made = 0

    async def go_on() -> None:
        nonlocal made
        while not stop.is_set():
            async for event in method(request, timeout=60):
                made += event.HasField("unsigned_proof") and not stop.is_set()

    await asyncio.gather(*(go_on() for _ in range(in_flight)))
    return made


async def attestations(operator: AsyncClient, seconds: float) -> float:
    """Median milliseconds of an attestation, one call in flight."""
    stop, taken = time.perf_counter() + seconds, []
    while time.perf_counter() < stop:
        started = time.perf_counter()
        await operator.create_attestation(ACCOUNT.name, audience=AUDIENCE, disclosure=Disclosure.NONE)
        taken.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.01)
    return statistics.median(taken)


async def measure(operator: AsyncClient, holder: AsyncClient, options: argparse.Namespace) -> dict[str, Any]:
    market = wide_market(options.instruments)
    request = await prepare(operator, market)
    alone, busy, rates, only = [], [], [], []
    for k in range(options.rounds + 1):
        quiet = await attestations(operator, options.seconds)
        results = []
        for beside in (True, False):
            stop = asyncio.Event()
            work = asyncio.create_task(proofs(holder, request, stop, options.in_flight))
            started = time.perf_counter()
            latency = await attestations(operator, options.seconds) if beside else await asyncio.sleep(options.seconds)
            seconds = time.perf_counter() - started
            stop.set()
            results.append((latency, await work / seconds))
        if k:  # the first round warms up
            alone.append(quiet)
            busy.append(results[0][0])
            rates.append(results[0][1])
            only.append(results[1][1])
    a, b = statistics.median(alone), statistics.median(busy)
    return {
        "instruments": len(market.registry),
        "scenarios": len(load_model("crypto-pm").scenarios),
        "column_size": market.registry.column_size,
        "workers": options.workers,
        "proofs_per_second": statistics.median(only),
        "proofs_per_second_beside_attestations": statistics.median(rates),
        "attest_ms_alone": a,
        "attest_ms_while_proving": b,
        "ratio": b / a,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = replace(make_config(folder), proving=ProvingConfig(workers=options.workers, leak_points=1_000_000))
        authority = CertificateFiles(folder / "ca.pem", folder / "ca-key.pem")
        make_client_certificate(authority, folder, ACCOUNT, name="holder")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(config, theirs, False))
        process.start()
        try:
            if not ours.poll(120):
                raise SystemExit("the server did not start")
            port = ours.recv()

            async def main() -> dict[str, Any]:
                holder = AsyncClient(
                    f"127.0.0.1:{port}",
                    authority=folder / "ca.pem",
                    certificate=folder / "holder.pem",
                    private_key=folder / "holder-key.pem",
                )
                async with connect(folder, port) as operator, holder:
                    return await measure(operator, holder, options)

            return asyncio.run(main())
        finally:
            ours.send("stop")
            process.join(30)


def main() -> None:
    parser = argparse.ArgumentParser(description="Proofs per second of a venue, and what they cost its attestations.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--instruments", type=int, default=1024)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    r = run(options)
    if options.json:
        print(json.dumps(r, indent=2))
        return
    print(
        f"{r['instruments']} instruments, {r['scenarios']} scenarios, n = {r['column_size']}, {r['workers']} workers\n"
        f"  {r['proofs_per_second']:.1f} proofs/s; {r['proofs_per_second_beside_attestations']:.1f} beside attestations\n"
        f"  attest {r['attest_ms_alone']:.2f} ms alone, {r['attest_ms_while_proving']:.2f} ms while proving: "
        f"{r['ratio']:.2f}x"
    )


if __name__ == "__main__":
    main()
