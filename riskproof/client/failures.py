"""What a server's refusal was: google.rpc.Status details turned back into the error class that the server raised.

    ErrorInfo    reason = the error's code, domain = "riskproof", metadata = what, where, expected

An answer without them (a proxy's, TLS's, gRPC's own) becomes an error by its status code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from riskproof.errors import (
    CapacityError,
    DeadlineError,
    PermissionDeniedError,
    RemoteError,
    RiskproofError,
    UnauthenticatedError,
)

DOMAIN: Final = "riskproof"
DETAILS_KEY: Final = "grpc-status-details-bin"
INTERNAL_REASON: Final = "INTERNAL"

_BY_STATUS: Final[dict[grpc.StatusCode, type[RiskproofError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: CapacityError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
}


def _tree(cls: type[RiskproofError]) -> Iterator[type[RiskproofError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


BY_CODE: Final = {cls.code: cls for cls in _tree(RiskproofError)}


def to_error(code: grpc.StatusCode, details: str, trailers: Iterable[tuple[str, Any]], method: str) -> RiskproofError:
    """The error of a call that failed.

    Args:
        code, details, trailers: as the call ended.
        method: for the place, where the server names none.
    """
    info = _error_info(trailers)
    if info is not None and info.reason in BY_CODE:
        m = info.metadata
        return BY_CODE[info.reason](m.get("what", details), where=m.get("where", ""), expected=m.get("expected", ""))
    cls = _BY_STATUS.get(code, RemoteError)
    return cls(f"{code.name}: {details}" if details else code.name, where=method)


def _error_info(trailers: Iterable[tuple[str, Any]]) -> error_details_pb2.ErrorInfo | None:
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
                for detail in status.details:
                    info = error_details_pb2.ErrorInfo()
                    if detail.Unpack(info) and info.domain == DOMAIN:
                        return info
            except DecodeError:
                return None
    return None
