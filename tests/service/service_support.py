"""What the service's tests share: certificates, configurations, a server in a thread, raw calls."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from riskproof.attest.keys import generate_key_dir
from riskproof.client import Client
from riskproof.market.marketfile import Market
from riskproof.market.sample import sample_market
from riskproof.service.certificates import (
    CertificateFiles,
    make_authority,
    make_client_certificate,
    make_server_certificate,
)
from riskproof.service.config import (
    Config,
    LedgerConfig,
    LogConfig,
    ProvingConfig,
    ServerConfig,
    TlsConfig,
    VenueConfig,
)
from riskproof.service.identity import Identity, Role
from riskproof.service.logs import make_logger
from riskproof.service.server import METHODS, Server

OPERATOR = Identity(Role.OPERATOR, "desk")
ALICE = Identity(Role.ACCOUNT_HOLDER, "alice")
BOB = Identity(Role.ACCOUNT_HOLDER, "bob")
VERIFIER = Identity(Role.VERIFIER, "lender")
IDENTITIES = {"operator": OPERATOR, "alice": ALICE, "bob": BOB, "verifier": VERIFIER}


@cache
def market() -> Market:
    return sample_market()


def later(market: Market, seconds: int) -> Market:
    """The same prices some seconds later: another snapshot of the same registry, without what has expired by then."""
    snapshot = replace(market.snapshot, time=market.snapshot.time + seconds)
    quotes = zip(market.registry.instruments, snapshot.quotes, strict=True)
    return Market(
        market.registry,
        replace(
            snapshot,
            quotes=tuple(None if snapshot.is_expired(instrument) else quote for instrument, quote in quotes),
            curves=tuple(c for c in snapshot.curves if c.expiry > snapshot.time),
        ),
    )


@dataclass(frozen=True)
class Files:
    """A venue's folder: authority, server certificate, client certificates by name, signing key."""

    folder: Path
    authority: CertificateFiles
    server: CertificateFiles
    clients: dict[str, CertificateFiles]

    @property
    def key(self) -> Path:
        return self.folder / "key"


def make_files(folder: Path, venue: str = "venue-a") -> Files:
    authority = make_authority(folder)
    server = make_server_certificate(authority, folder)
    clients = {
        name: make_client_certificate(authority, folder, identity, name=name) for name, identity in IDENTITIES.items()
    }
    generate_key_dir(folder / "key", venue=venue)
    return Files(folder, authority, server, clients)


def make_config(files: Files, **server: Any) -> Config:
    options = {"address": "127.0.0.1:0", "anonymous_address": "127.0.0.1:0", **server}
    return Config(
        server=ServerConfig(**options),
        tls=TlsConfig(str(files.server.certificate), str(files.server.private_key), str(files.authority.certificate)),
        venue=VenueConfig(key=str(files.key)),
        ledger=LedgerConfig(url=f"sqlite:///{files.folder}/ledger.db"),
        proving=ProvingConfig(workers=0),
        log=LogConfig("debug"),
    )


@dataclass
class Live:
    """A server in a thread with its own event loop. now: its clock, which tests move."""

    files: Files
    config: Config
    server: Server
    loop: asyncio.AbstractEventLoop
    log: io.StringIO
    now: int = field(default_factory=lambda: market().snapshot.time + 10)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def anonymous_address(self) -> str:
        return f"127.0.0.1:{self.server.anonymous_port}"

    def client(self, name: str, **options: Any) -> Client:
        c = self.files.clients[name]
        return Client(
            self.address,
            authority=self.files.authority.certificate,
            certificate=c.certificate,
            private_key=c.private_key,
            **options,
        )

    def credentials(self, name: str | None) -> grpc.ChannelCredentials:
        root = self.files.authority.certificate.read_bytes()
        if name is None:
            return grpc.ssl_channel_credentials(root)
        c = self.files.clients[name]
        return grpc.ssl_channel_credentials(root, c.private_key.read_bytes(), c.certificate.read_bytes())

    def channel(self, name: str | None) -> grpc.Channel:
        """Anonymous clients go to the listener for them."""
        address = self.anonymous_address if name is None else self.address
        return grpc.secure_channel(address, self.credentials(name))

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


@contextmanager
def serving(files: Files, config: Config | None = None, **options: Any) -> Iterator[Live]:
    config = config or make_config(files)
    started: list[Live] = []
    failed: list[BaseException] = []
    ready, stop = threading.Event(), threading.Event()

    async def main() -> None:
        log, loop = io.StringIO(), asyncio.get_running_loop()
        try:
            server = Server(
                config, log=make_logger(config.log.level, log), now=lambda: started[0].now if started else 0, **options
            )
            started.append(Live(files, config, server, loop, log))
            await server.start()
        except BaseException as error:
            failed.append(error)
            ready.set()
            return
        ready.set()
        await loop.run_in_executor(None, stop.wait)
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(60)
    if failed:
        thread.join()
        raise failed[0]
    try:
        yield started[0]
    finally:
        stop.set()
        thread.join(60)


def methods() -> dict[str, Any]:
    """Every method of ours by "package.Service/Method"."""
    return {f"{service.full_name}/{method.name}": method for service, _ in METHODS for method in service.methods}


def raw_call(channel: grpc.Channel, name: str, timeout: float = 20, **fields: Any) -> Any:
    """Call any method by name; a response stream is read to its end and returned as a list."""
    method = methods()[name]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    coding = {"request_serializer": request.SerializeToString, "response_deserializer": response.FromString}
    if method.server_streaming:
        return list(channel.unary_stream(f"/{name}", **coding)(request(**fields), timeout=timeout))
    return channel.unary_unary(f"/{name}", **coding)(request(**fields), timeout=timeout)


def details(error: grpc.RpcError) -> tuple[status_pb2.Status, list[Any]]:
    """The google.rpc.Status of a failed call, and its details unpacked."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(packed)
    kinds = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
    unpacked = []
    for detail in status.details:
        kind = next(k for k in kinds if detail.Is(k.DESCRIPTOR))()
        detail.Unpack(kind)
        unpacked.append(kind)
    return status, unpacked
