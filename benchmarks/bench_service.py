"""gRPC: attestations against an echo method on the same server, and the memory of a served venue.

    python -m benchmarks.bench_service [--seconds 2] [--rounds 5] [--in-flight 32] [--accounts 100000] [--instruments 2000]
                                       [--no-memory] [--no-attest] [--profile] [--json]

attest    one account, its book unchanged since the last attestation, each call with another snapshot digest than the one before
          (the arrays are computed when snapshots are published); every answer is committed, signed and on disk
echo      a method without identity, rule, deadline or metrics that returns its request's bytes
          both through mutual TLS, the same client process, rounds interleaved, medians compared

memory    a venue of so many instruments and accounts (20 positions each) that is served: resident size of the server process after
          opening, after attesting 2,000 different accounts, and its peak
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from riskproof.attest.keys import generate_key_dir
from riskproof.client import AsyncClient
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, Registry
from riskproof.market.sample import sample_book, sample_market
from riskproof.market.snapshot import Snapshot
from riskproof.service.certificates import make_authority, make_client_certificate, make_server_certificate
from riskproof.service.config import CacheConfig, Config, LedgerConfig, LogConfig, ServerConfig, TlsConfig, VenueConfig
from riskproof.service.identity import Identity, Role
from riskproof.service.server import Server
from riskproof.store import Ledger
from riskproof.v1 import attestation_pb2 as pb

SNAPSHOTS = 32
ATTEST = "/riskproof.v1.AttestationService/CreateAttestation"
ECHO = "/bench.Echo/Echo"
OPERATOR = Identity(Role.OPERATOR, "bench")


def wide_market(instruments: int) -> Market:
    """The sample market with its options listed again under other names until there are `instruments`."""
    sample = sample_market(time=int(time.time()) - 60)
    listed, quotes = list(sample.registry.instruments), list(sample.snapshot.quotes)
    options = [i for i, instrument in enumerate(listed) if instrument.kind is Kind.OPTION]
    copy = 0
    while len(listed) < instruments:
        copy += 1
        for i in options[: instruments - len(listed)]:
            listed.append(replace(listed[i], name=f"{listed[i].name}-{copy}"))
            quotes.append(quotes[i])
    registry = Registry(sample.registry.numeraire, tuple(listed))
    s = sample.snapshot
    return Market(registry, Snapshot(registry.digest, s.time, s.source, s.indices, s.curves, tuple(quotes)))


def make_config(folder: Path) -> Config:
    authority = make_authority(folder)
    server = make_server_certificate(authority, folder)
    make_client_certificate(authority, folder, OPERATOR, name="operator")
    generate_key_dir(folder / "key", venue="venue-a")
    return Config(
        server=ServerConfig(address="127.0.0.1:0"),
        tls=TlsConfig(str(server.certificate), str(server.private_key), str(authority.certificate)),
        venue=VenueConfig(key=str(folder / "key")),
        ledger=LedgerConfig(url=f"sqlite:///{folder}/ledger.db"),
        cache=CacheConfig(arrays=2 * SNAPSHOTS),
        log=LogConfig("warning"),
    )


class Echo(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        if details.method != ECHO:
            return None

        async def echo(request: bytes, _context: Any) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(echo)


def serve(config: Config, pipe: Any, profile: bool) -> None:
    """The server process: sends its port, stops on a message."""

    async def main() -> None:
        server = Server(config, more=lambda _: [Echo()])
        await server.start()
        pipe.send(server.port)
        while not pipe.poll():
            await asyncio.sleep(0.05)
            if profile and pipe.poll():
                break
        pipe.recv()
        await server.stop(1)

    if not profile:
        asyncio.run(main())
        return
    profiler = cProfile.Profile()
    profiler.enable()
    asyncio.run(main())
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def resident(pid: int, what: str = "VmRSS") -> float:
    """MiB of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def connect(folder: Path, port: int) -> AsyncClient:
    return AsyncClient(
        f"127.0.0.1:{port}",
        authority=folder / "ca.pem",
        certificate=folder / "operator.pem",
        private_key=folder / "operator-key.pem",
        timeout=60,
    )


async def rate(call: Any, requests: Any, seconds: float, in_flight: int) -> float:
    """Answers per second with so many calls in flight."""
    stop, answers = time.perf_counter() + seconds, 0

    async def worker() -> None:
        nonlocal answers
        while time.perf_counter() < stop:
            await call(next(requests), timeout=60)
            answers += 1

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return answers / (time.perf_counter() - started)


def attest_requests(digests: list[bytes]) -> Any:
    n = 0
    while True:
        request = pb.CreateAttestationRequest(
            account_id="client-7", request_id=f"{n}-{os.urandom(8).hex()}", snapshot_digest=digests[n % len(digests)]
        )
        yield request.SerializeToString()
        n += 1


async def compare(folder: Path, port: int, options: argparse.Namespace) -> dict[str, Any]:
    client = connect(folder, port)
    base = sample_market(time=int(time.time()) - 60)
    digests = []
    for i in range(SNAPSHOTS):
        market = Market(base.registry, replace(base.snapshot, time=base.snapshot.time + i))
        digests.append((await client.publish_market(market)).snapshot_digest)
    await client.open_account("client-7")
    book = sample_book("market-maker-a", base)
    await client.record_trade("client-7", "t", _holdings(book, base.registry))
    for digest in digests:
        await client.create_attestation("client-7", snapshot_digest=digest)
    channel = client._channel
    attest, echo = channel.unary_unary(ATTEST), channel.unary_unary(ECHO)
    requests = attest_requests(digests)
    results: dict[str, Any] = {"positions": len(book), "instruments": len(base.registry)}
    for in_flight in (1, options.in_flight):
        attests, echoes = [], []
        for _ in range(options.rounds):
            echoes.append(await rate(echo, requests, options.seconds, in_flight))
            attests.append(await rate(attest, requests, options.seconds, in_flight))
        a, e = statistics.median(attests), statistics.median(echoes)
        results[f"in_flight_{in_flight}"] = {"attest_per_second": a, "echo_per_second": e, "ratio": a / e}
    await client.close()
    return results


def _holdings(book: Portfolio, registry: Registry) -> list[Any]:
    from riskproof.client import Holding

    return [Holding(registry.instruments[i].name, lots) for i, lots in book.positions]


def fill(folder: Path, market: Market, accounts: int) -> float:
    """A ledger with so many accounts of 20 positions each; returns the seconds it took."""
    started = time.perf_counter()
    with Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.put_registry(market.registry)
        ledger.put_snapshot(market.snapshot)
        priced = [i for i, q in enumerate(market.snapshot.quotes) if q is not None]
        names = [f"account-{i:06d}" for i in range(accounts)]
        for begin in range(0, accounts, 2000):
            part = names[begin : begin + 2000]
            ledger.open_accounts(part)
            futures = []
            for i, name in enumerate(part, start=begin):
                legs = [(priced[(i * 31 + j * 97) % len(priced)], (i + j) % 1000 + 1) for j in range(20)]
                futures.append(ledger.submit_trades(name, "t", list(dict(legs).items()), market.snapshot.time))
            for future in futures:
                future.result()
    return time.perf_counter() - started


async def walk(folder: Path, port: int, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    client = connect(folder, port)
    await client.compute_array()
    opened = resident(pid)
    started, count = time.perf_counter(), min(2000, options.accounts)
    numbers = iter(range(0, options.accounts, max(1, options.accounts // count)))

    async def worker() -> None:
        for i in numbers:
            await client.create_attestation(f"account-{i:06d}")

    await asyncio.gather(*(worker() for _ in range(8)))
    seconds = time.perf_counter() - started
    await client.close()
    return {
        "instruments": options.instruments,
        "accounts": options.accounts,
        "resident_opened_mib": opened,
        "resident_after_attesting_mib": resident(pid),
        "peak_mib": resident(pid, "VmHWM"),
        "first_attestations_per_second": count / seconds,
    }


def run(options: argparse.Namespace, memory: bool) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = make_config(folder)
        filled = fill(folder, wide_market(options.instruments), options.accounts) if memory else 0.0
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(config, theirs, options.profile and not memory))
        process.start()
        try:
            if not ours.poll(120):
                raise SystemExit("the server did not start")
            port = ours.recv()
            if memory:
                assert process.pid is not None
                result = asyncio.run(walk(folder, port, process.pid, options))
                return {**result, "fill_seconds": filled}
            return asyncio.run(compare(folder, port, options))
        finally:
            ours.send("stop")
            process.join(30)


def main() -> None:
    parser = argparse.ArgumentParser(description="gRPC attest against echo, and memory of a served venue.")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--instruments", type=int, default=2_000)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-attest", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {} if options.no_attest else {"attest": run(options, memory=False)}
    if not options.no_memory:
        results["memory"] = run(options, memory=True)
    if options.json:
        print(json.dumps(results, indent=2))
        return
    if "attest" in results:
        a = results["attest"]
        print(f"one account of {a['positions']} positions, {a['instruments']} instruments")
        for key in ("in_flight_1", f"in_flight_{options.in_flight}"):
            r = a[key]
            rates = f"attest {r['attest_per_second']:7.0f}/s   echo {r['echo_per_second']:7.0f}/s"
            print(f"  {key:13} {rates}   ratio {r['ratio']:.2f}")
    if "memory" in results:
        m = results["memory"]
        print(
            f"{m['instruments']} instruments, {m['accounts']} accounts (ledger filled in {m['fill_seconds']:.0f} s)\n"
            f"  resident {m['resident_opened_mib']:.0f} MiB opened, {m['resident_after_attesting_mib']:.0f} MiB after "
            f"2,000 attested accounts ({m['first_attestations_per_second']:.0f}/s), peak {m['peak_mib']:.0f} MiB"
        )


if __name__ == "__main__":
    main()
