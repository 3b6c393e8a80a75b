"""How the commands of `riskproof remote` reach a venue's service."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from riskproof.cli.inputs import FILE
from riskproof.errors import InputError, RemoteError

if TYPE_CHECKING:
    from riskproof.client import Client

# What gRPC says of a connection that could not be made, and what would have been right.
_UNREACHED = (
    ("Connection refused", "a server there (riskproof serve)"),
    ("Hostname", "a name or address of the server's certificate (riskproof certificates --host)"),
    ("CERTIFICATE_VERIFY_FAILED", "--ca with the authority that issued the server's certificate"),
    ("create security handshaker", "PEM files of an authority, a certificate and its own key"),
    ("Socket closed", "a client certificate of the authority that the server names (--identity)"),
)


def connected(function: Callable[..., None]) -> Callable[..., None]:
    """Options of the connection; the function gets an open client as its first argument."""

    @click.option("--server", required=True, envvar="RISKPROOF_REMOTE_SERVER", help="HOST:PORT of the service.")
    @click.option(
        "--identity",
        envvar="RISKPROOF_REMOTE_IDENTITY",
        help="Certificate files without .pem, such as tls/operator-ops.",
    )
    @click.option("--ca", type=FILE, help="The server's authority [default: ca.pem beside the identity].")
    @click.option("--insecure", is_flag=True, help="No TLS: a server in insecure mode on this machine.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="Deadline of a call, seconds.",
    )
    @functools.wraps(function)
    def wrapper(
        server: str, identity: str | None, ca: Path | None, insecure: bool, timeout: float, **options: Any
    ) -> None:
        try:
            with _open(server, identity, ca, insecure, timeout) as client:
                function(client, **options)
        except RemoteError as error:
            if "Stream removed" in error.what and "UNAVAILABLE" in error.what:
                raise RemoteError(
                    f"connection lost: {error.what}", where=server, expected="a server that stays"
                ) from None
            hints = [hint for said, hint in _UNREACHED if "UNAVAILABLE" in error.what and said in error.what]
            if not hints:
                raise
            raise RemoteError("no connection: " + error.what, where=server, expected=hints[0]) from None

    return wrapper


def _open(server: str, identity: str | None, ca: Path | None, insecure: bool, timeout: float) -> Client:
    # gRPC's own log repeats on standard error, in another format, what the errors say.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from riskproof.client import Client

    host, _, port = server.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise InputError(f"not an address: {server[:64]!r}", where="--server", expected="HOST:PORT")
    if insecure:
        return Client.insecure(server, timeout=timeout)
    if identity is None and ca is None:
        raise InputError("no certificate", where="--identity", expected="--identity, or --ca alone, or --insecure")
    if identity is None:
        return Client(server, authority=str(ca), timeout=timeout)
    identity = identity.removesuffix(".pem")
    authority = ca or Path(identity).parent / "ca.pem"
    return Client(
        server,
        authority=authority,
        certificate=f"{identity}.pem",
        private_key=f"{identity}-key.pem",
        timeout=timeout,
    )
