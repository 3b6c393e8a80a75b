"""Bounds: message size, calls at work, deadlines, cancellation; a thousand clients that hang or say nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from service_support import Files, Live, details, make_config, market, methods, raw_call, serving
from venue_process import VenueProcess, current_market

from riskproof import encoding
from riskproof.client import Client, Holding
from riskproof.errors import CapacityError, DeadlineError
from riskproof.risk.model import load_model
from riskproof.service.config import Config, VenueConfig
from riskproof.verify import Outcome

HANGING = 1000


def test_a_message_of_50_megabytes(live: Live) -> None:
    with live.client("operator") as operator:
        with pytest.raises(CapacityError, match="larger than max") as refused:
            operator.publish_snapshot(b"x" * 50_000_000)
        assert "RESOURCE_EXHAUSTED" in refused.value.what
        assert operator.is_serving()
        assert operator.get_positions("bob")


def heavy_model(folder: Path) -> Path:
    """crypto-pm with 4,000 scenarios: an array of the sample market takes seconds."""
    document = json.loads(load_model("crypto-pm").to_bytes())
    document["name"] = "heavy"
    document["scenarios"] = [
        {
            "id": f"s{i}",
            "price_shock": f"0.{i:04d}1",
            "vol_shock": f"0.{i % 97:02d}1",
            "time_shift_seconds": 0,
        }
        for i in range(4000)
    ]
    path = folder / "heavy.json"
    path.write_bytes(encoding.canonical_json(document))
    return path


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory, files: Files):
    folder = tmp_path_factory.mktemp("heavy")
    from service_support import make_files

    venue = make_files(folder)
    base = make_config(venue, threads=1)
    model = heavy_model(folder)
    config = Config(
        server=base.server,
        tls=base.tls,
        venue=VenueConfig(key=str(venue.key), models=(str(model),)),
        ledger=base.ledger,
        log=base.log,
    )
    with serving(venue, config) as live:
        with live.client("operator") as operator:
            operator.publish_market(market())
            operator.open_account("alice")
            operator.compute_margin("alice")
        yield live


def computed(live: Live) -> float:
    return live.server.metrics.registry.get_sample_value("riskproof_arrays_computed_total") or 0.0


def kernel_is_idle_within(live: Live, seconds: float) -> bool:
    """The one kernel thread takes new work within so many seconds: a long computation has stopped."""
    started = time.monotonic()
    live.run(live.server.venue.on_kernel(int))
    return time.monotonic() - started < seconds


def test_a_deadline_ends_a_long_computation(heavy: Live) -> None:
    before = computed(heavy)
    with heavy.client("alice") as alice:
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            alice.compute_margin("alice", model="heavy", timeout=0.2)
        assert time.monotonic() - started < 2
        assert kernel_is_idle_within(heavy, 2)
        with pytest.raises(DeadlineError):
            alice.create_attestation("alice", model="heavy", timeout=0.2)
        with pytest.raises(DeadlineError):
            alice.compute_array(model="heavy", timeout=0.2)
        assert kernel_is_idle_within(heavy, 2)
        assert computed(heavy) == before
        assert alice.compute_margin("alice").initial_margin_micros == 0


def test_the_server_has_a_deadline_for_those_who_have_none(fresh: Files) -> None:
    config = make_config(fresh, max_call_seconds=1)
    model = heavy_model(fresh.folder)
    config = Config(
        server=config.server,
        tls=config.tls,
        venue=VenueConfig(key=str(fresh.key), models=(str(model),)),
        ledger=config.ledger,
        log=config.log,
    )
    with serving(fresh, config) as live, live.client("operator") as operator:
        operator.publish_market(market())
        stalled = threading.Event()
        # Both kernel threads are kept busy: what waits for one has to give up.
        for _ in range(2):
            live.server.venue._kernels.submit(stalled.wait)
        try:
            with live.channel("operator") as channel, pytest.raises(grpc.RpcError) as refused:
                raw_call(channel, "riskproof.v1.RiskService/ComputeArray", model="heavy", timeout=None)
        finally:
            stalled.set()
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        _, (info, *_) = details(refused.value)
        assert info.reason == "DEADLINE"


def test_one_caller_who_hangs_up_does_not_take_the_others_with_them(heavy: Live) -> None:
    async def main() -> None:
        root = heavy.files.authority.certificate
        c = heavy.files.clients["verifier"]
        from riskproof.client import AsyncClient

        async with AsyncClient(
            heavy.address, authority=root, certificate=c.certificate, private_key=c.private_key, timeout=60
        ) as client:
            before = computed(heavy)
            patient = asyncio.create_task(client.compute_array(model="heavy"))
            hasty = asyncio.create_task(client.compute_array(model="heavy"))
            await asyncio.sleep(0.1)
            hasty.cancel()
            array = await patient
            assert array.rows.shape == (len(market().registry), 4000)
            assert computed(heavy) == before + 1

    asyncio.run(main())


def test_calls_beyond_the_bound_are_refused_at_once(fresh: Files) -> None:
    with serving(fresh, make_config(fresh, max_concurrent_calls=2)) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.compute_array()
        stalled = threading.Event()
        for _ in range(2):
            live.server.venue._kernels.submit(stalled.wait)
        try:
            with live.channel("operator") as channel:
                method = channel.unary_unary(
                    "/riskproof.v1.RiskService/ComputeMargin", request_serializer=None, response_deserializer=None
                )
                waiting = [method.future(b"\x12\x00", timeout=20) for _ in range(2)]
                deadline = time.monotonic() + 10
                while live.server.calls._slots.taken < 2 and time.monotonic() < deadline:
                    time.sleep(0.01)
                with pytest.raises(CapacityError, match="2 calls are being worked on"):
                    operator.get_key_set()
                assert operator.is_serving()
                stalled.set()
                assert all(call.result() for call in waiting)
        finally:
            stalled.set()
        assert operator.get_key_set()


def test_open_streams_are_bounded(fresh: Files) -> None:
    with serving(fresh, make_config(fresh, max_open_streams=3)) as live, live.channel("verifier") as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        streams = [watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for stream in streams:
            assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError, match="3 health and reflection streams are open") as refused:
            next(watch(health_pb2.HealthCheckRequest()))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for stream in streams:
            stream.cancel()
        deadline = time.monotonic() + 10
        while live.server.calls._service_streams.taken and time.monotonic() < deadline:
            time.sleep(0.01)
        unknown = list(watch(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=5))
        assert [r.status for r in unknown] == [health_pb2.HealthCheckResponse.SERVICE_UNKNOWN]


def silent_connections(address: str, count: int) -> list[socket.socket]:
    host, port = address.split(":")
    return [socket.create_connection((host, int(port)), timeout=10) for _ in range(count)]


async def hang(address: str, credentials: grpc.ChannelCredentials, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """A thousand calls that never end: reflection streams, health watches, uploads whose message never comes."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.secure_channel(address, credentials, options=options) for _ in range(10)]
    release = asyncio.Event()

    async def never():
        await release.wait()
        return
        yield

    calls = []
    for i in range(HANGING):
        channel = channels[i % len(channels)]
        if i % 3 == 0:
            reflect = channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            )
            calls.append(reflect(never()))
        elif i % 3 == 1:
            calls.append(channel.unary_stream("/grpc.health.v1.Health/Watch")(b""))
        else:
            name = list(methods())[i % len(methods())]
            calls.append(channel.stream_unary(f"/{name}")(never()))
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    await asyncio.sleep(1)
    ready.set()
    await stop.wait()
    release.set()
    for call in calls:
        call.cancel()
    for channel in channels:
        await channel.close(None)


def test_a_thousand_silent_connections_and_a_thousand_hanging_calls_delay_nobody(fresh: Files) -> None:
    venue = VenueProcess(fresh, more='[metrics]\naddress = "127.0.0.1:0"')
    sockets: list[socket.socket] = []
    try:
        with venue.client("operator") as operator:
            operator.publish_market(current_market())
            operator.open_account("alice")
            operator.record_trade("alice", "t", [Holding("BTC", 1000)])
            operator.create_attestation("alice")
        c = fresh.clients["verifier"]
        credentials = grpc.ssl_channel_credentials(
            fresh.authority.certificate.read_bytes(), c.private_key.read_bytes(), c.certificate.read_bytes()
        )
        sockets += silent_connections(venue.serving["address"], HANGING)

        async def main() -> list[float]:
            ready, stop = asyncio.Event(), asyncio.Event()
            hanging = asyncio.create_task(hang(venue.serving["address"], credentials, ready, stop))
            await asyncio.wait([hanging, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
            assert ready.is_set()
            try:
                assert await asyncio.to_thread(open_streams, venue) >= HANGING // 2
                return await asyncio.to_thread(honest, venue)
            finally:
                stop.set()
                await hanging

        seconds = asyncio.run(main())
        assert max(seconds) < 2, seconds
    finally:
        for s in sockets:
            s.close()
        venue.kill()


def open_streams(venue: VenueProcess) -> float:
    with urllib.request.urlopen(f"http://{venue.serving['metrics_address']}/metrics", timeout=10) as page:
        (line,) = [x for x in page.read().decode().splitlines() if x.startswith("riskproof_open_streams ")]
    return float(line.split()[1])


def honest(venue: VenueProcess) -> list[float]:
    """Seconds of a new client's connection and first call, and of attesting and verifying."""
    seconds = []
    with venue.client("alice", timeout=20) as alice:
        for call in (
            lambda: alice.get_positions("alice"),
            lambda: alice.create_attestation("alice"),
            lambda: alice.verify_attestation(alice.create_attestation("alice").attestation),
        ):
            started = time.monotonic()
            result = call()
            seconds.append(time.monotonic() - started)
        assert result.outcome is Outcome.VALID
    return seconds


def test_slow_readers_of_arrays_hold_no_slot(fresh: Files) -> None:
    with serving(fresh, make_config(fresh, max_concurrent_calls=4)) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.compute_array()
        with live.channel("verifier") as channel:
            method = methods()["riskproof.v1.RiskService/ComputeArray"]
            assert method.server_streaming
            stream = channel.unary_stream("/riskproof.v1.RiskService/ComputeArray")
            slow = [stream(b"") for _ in range(30)]
            for reader in slow:
                assert next(reader)  # the header; the rest stays on the way
            assert operator.get_key_set()
            with Client(
                live.address,
                authority=live.files.authority.certificate,
                certificate=live.files.clients["alice"].certificate,
                private_key=live.files.clients["alice"].private_key,
            ) as alice:
                assert alice.compute_array().digest
            for reader in slow:
                reader.cancel()
