"""Channels to a server, and the errors of calls on them."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

import grpc

from riskproof.client.failures import to_error
from riskproof.errors import ConfigError, RiskproofError

DEFAULT_TIMEOUT: Final = 10.0  # seconds
MAX_MESSAGE_BYTES: Final = 64 << 20
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16_384),
)


def credentials(
    authority: str | Path, certificate: str | Path | None, private_key: str | Path | None
) -> grpc.ChannelCredentials:
    """TLS credentials from PEM files; without certificate and key the client stays anonymous.

    Raises:
        ConfigError: a file cannot be read, or one of certificate and key is missing.
    """
    if (certificate is None) != (private_key is None):
        raise ConfigError("a certificate without its key, or a key alone", where="certificate", expected="both or none")
    return grpc.ssl_channel_credentials(
        _read(authority, "authority"),
        None if private_key is None else _read(private_key, "private_key"),
        None if certificate is None else _read(certificate, "certificate"),
    )


def call_error(error: grpc.RpcError, method: str) -> RiskproofError:
    """The error of a call that failed."""
    call: Any = error
    return to_error(call.code(), call.details() or "", call.trailing_metadata() or (), method.lstrip("/"))


def new_request_id() -> str:
    """A fresh id for one request: sending it again is then harmless."""
    return secrets.token_hex(16)


def _read(path: str | Path, where: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=f"{where}: {path}", expected="a PEM file"
        ) from None
