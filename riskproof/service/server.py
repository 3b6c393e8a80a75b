"""The server: ports, services, health, reflection, start and graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import aio as reflection_aio  # type: ignore[attr-defined]

from riskproof.errors import ConfigError
from riskproof.service.attestation_methods import AttestationMethods
from riskproof.service.calls import Calls, Handler
from riskproof.service.config import Config, split_address
from riskproof.service.logs import Logger, make_logger
from riskproof.service.market_methods import MarketMethods
from riskproof.service.metrics import Metrics, MetricsServer
from riskproof.service.position_methods import PositionMethods
from riskproof.service.proof_methods import ProofMethods
from riskproof.service.risk_methods import RiskMethods
from riskproof.service.venue import Venue
from riskproof.v1 import attestation_pb2, market_pb2, position_pb2, proof_pb2, risk_pb2

HANDSHAKE_SECONDS: Final = 20  # a connection that has not finished TLS by then is closed
KEEPALIVE_SECONDS: Final = 60  # a peer that does not answer a ping after this, and 20 s more, is gone
MAX_METADATA_BYTES: Final = 16_384
MAX_OPEN_FILES: Final = 65_536
COLLECT_AFTER: Final = 20_000  # new container objects between two collections of the youngest generation

METHODS: Final[tuple[tuple[Any, Callable[[Venue], object]], ...]] = (
    (market_pb2.DESCRIPTOR.services_by_name["MarketService"], MarketMethods),
    (position_pb2.DESCRIPTOR.services_by_name["PositionService"], PositionMethods),
    (risk_pb2.DESCRIPTOR.services_by_name["RiskService"], RiskMethods),
    (attestation_pb2.DESCRIPTOR.services_by_name["AttestationService"], AttestationMethods),
    (proof_pb2.DESCRIPTOR.services_by_name["ProofService"], ProofMethods),
)


class Server:
    """A venue's gRPC server. Construct and use it inside one running event loop.

    Attributes:
        port, anonymous_port, metrics_port: the ports it listens on, 0 for none.
        venue: what it serves.
    """

    def __init__(
        self,
        config: Config,
        *,
        log: Logger | None = None,
        now: Callable[[], int] | None = None,
        more: Callable[[Calls], list[Handler]] | None = None,
    ) -> None:
        """Open everything but the ports. Errors are those of Venue.

        now: the clock, seconds since the epoch. more: further services, bound with the same `Calls`.
        """
        self.config = config
        self.log = log or make_logger(config.log.level)
        self.metrics = Metrics()
        self.port = self.anonymous_port = self.metrics_port = 0
        self.venue = Venue(config, self.metrics, self.log, now)
        self.calls = Calls(config.server, self.metrics, self.log)
        self._health = health_aio.HealthServicer()
        self._metrics_server: MetricsServer | None = None
        self._server = grpc.aio.server(options=_options(config))
        self._server.add_generic_rpc_handlers(tuple(self._handlers() + (more(self.calls) if more else [])))

    def _handlers(self) -> list[Handler]:
        ours = [self.calls.bind(descriptor, make(self.venue)) for descriptor, make in METHODS]
        names = [descriptor.full_name for descriptor, _ in METHODS]
        self._served = [*names, HEALTH]
        servicer: Any = reflection_aio
        reflect = servicer.ReflectionServicer((*self._served, REFLECTION))
        return [*ours, self._health_handler(), self._reflection_handler(reflect)]

    def _health_handler(self) -> Handler:
        async def watch(request: Any, context: Any) -> None:
            # The servicer keeps state per name that is watched: only for names that exist.
            if request.service and request.service not in self._served:
                unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
                await context.write(health_pb2.HealthCheckResponse(status=unknown))
                return
            await self._health.Watch(request, context)

        coding = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
        }
        return grpc.method_handlers_generic_handler(
            HEALTH,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._health.Check, **coding),
                "Watch": grpc.unary_stream_rpc_method_handler(self.calls.bounded_stream(watch), **coding),
            },
        )

    def _reflection_handler(self, servicer: Any) -> Handler:
        handler = grpc.stream_stream_rpc_method_handler(
            self.calls.bounded_stream(servicer.ServerReflectionInfo),
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(REFLECTION, {"ServerReflectionInfo": handler})

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            ConfigError: an address cannot be bound, or a TLS file is wrong.
        """
        server, tls = self.config.server, self.config.tls
        try:
            if server.insecure:
                self.port = self._bind(server.address, None)
            else:
                pair = [(_pem(tls.private_key, "tls.private_key"), _pem(tls.certificate, "tls.certificate"))]
                authority = _pem(tls.client_ca, "tls.client_ca")
                mutual = grpc.ssl_server_credentials(pair, authority, require_client_auth=True)
                self.port = self._bind(server.address, mutual)
                if server.anonymous_address:
                    one_sided = grpc.ssl_server_credentials(pair)
                    self.anonymous_port = self._bind(server.anonymous_address, one_sided)
            if self.config.metrics.address:
                self._metrics_server = MetricsServer(self.metrics, self.config.metrics.address)
                self.metrics_port = self._metrics_server.port
            for name in self._served:
                await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
            await self._server.start()
        except BaseException:
            await self.stop(0)
            raise
        self.venue.warm_up()
        self.log.info(
            "serving",
            address=_reached(server.address, self.port),
            anonymous_address=_reached(server.anonymous_address, self.anonymous_port),
            metrics_address=_reached(self.config.metrics.address, self.metrics_port),
            insecure=server.insecure,
            venue=self.venue.key.venue,
            key_id=self.venue.key.key_id,
        )

    def _bind(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise ConfigError(
                f"cannot listen on {address}", where="server.address", expected="a free port, and matching PEM files"
            ) from None

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Say so to health checks, take no new calls, let those at work finish, close the ledger. Stopping twice is harmless."""
        grace = self.config.server.shutdown_grace_seconds if grace_seconds is None else grace_seconds
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.close)
            self._metrics_server = None
        await self.venue.close()


async def serve(config: Config, *, log: Logger | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. Logs the line "serving" with the address when calls are taken.

    Raises:
        ConfigError, KeyFileError, KeySetError, ModelError, StoreError: the server could not start.
    """
    _allow_open_files()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    server = Server(config, log=log)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await server.start()
        # What is loaded by now stays: the collector need not walk it over and over between two calls.
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        await stop.wait()
        server.log.info("stopping", grace_seconds=config.server.shutdown_grace_seconds)
        await server.stop()
        server.log.info("stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _options(config: Config) -> list[tuple[str, int]]:
    server = config.server
    return [
        ("grpc.max_receive_message_length", server.max_message_bytes),
        ("grpc.max_send_message_length", -1),  # what we send is bounded where it is made
        ("grpc.max_concurrent_streams", server.max_streams_per_connection),
        ("grpc.max_connection_idle_ms", server.max_connection_idle_seconds * 1000),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its calls
    ]


def _pem(path: str, where: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=f"{where}: {path}", expected="a PEM file"
        ) from None


def _reached(address: str, port: int) -> str:
    """The address with the port that was really bound; "" for none."""
    if not address:
        return ""
    host, _ = split_address(address, "address")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _allow_open_files() -> None:
    """Thousands of silent connections must not use up the files that honest calls need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
