"""Errors on the wire: a gRPC status code, and a google.rpc.Status with details in the trailers.

    ErrorInfo    reason = the error's code, domain = "riskproof", metadata = what, where, expected
    BadRequest   for input errors: the field violation
    RetryInfo    where trying again later may help

The client turns ErrorInfo back into the same class (riskproof.client.errors). Unexpected exceptions become INTERNAL and
say nothing.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from riskproof import errors
from riskproof.client.failures import DETAILS_KEY, DOMAIN, INTERNAL_REASON
from riskproof.errors import RiskproofError

MAX_TEXT: Final = 600  # characters of one text: everything together fits gRPC's metadata limit
_RETRY_SECONDS: Final = 1

# The first class that an error is an instance of decides.
CODES: Final[tuple[tuple[type[RiskproofError], grpc.StatusCode], ...]] = (
    (errors.SnapshotError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.AttestationError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.FalseStatementError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.LeakBudgetError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.ConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.StoreCorruptError, grpc.StatusCode.DATA_LOSS),
    (errors.StoreError, grpc.StatusCode.UNAVAILABLE),
    (errors.UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDeniedError, grpc.StatusCode.PERMISSION_DENIED),
    (errors.CapacityError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.WorkerLostError, grpc.StatusCode.UNAVAILABLE),
    (RiskproofError, grpc.StatusCode.UNKNOWN),
)
_RETRYABLE: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)


def status_code(error: RiskproofError) -> grpc.StatusCode:
    """The status code of an error."""
    return next(code for cls, code in CODES if isinstance(error, cls))


def failure(error: RiskproofError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """(code, details, trailing metadata) of an error, ready for `context.abort`."""
    code = status_code(error)
    texts = {"what": error.what, "where": error.where, "expected": error.expected}
    metadata = {name: _text(text) for name, text in texts.items() if text}
    details: list[error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo] = [
        error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata=metadata)
    ]
    if isinstance(error, errors.InputError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=metadata.get("where", ""), description=metadata["what"], reason=error.code
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if code in _RETRYABLE:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=_RETRY_SECONDS)))
    return code, _text(str(error)), ((DETAILS_KEY, _packed(code, _text(str(error)), details)),)


def internal_failure() -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """What a caller hears of an exception nobody foresaw: nothing about it."""
    code, text = grpc.StatusCode.INTERNAL, "internal error"
    info = error_details_pb2.ErrorInfo(reason=INTERNAL_REASON, domain=DOMAIN, metadata={"what": text})
    return code, text, ((DETAILS_KEY, _packed(code, text, [info])),)


def _packed(code: grpc.StatusCode, text: str, details: list[Any]) -> bytes:
    status = status_pb2.Status(code=code.value[0], message=text)
    for detail in details:
        status.details.add().Pack(detail)
    packed: bytes = status.SerializeToString()
    return packed


def _text(text: str) -> str:
    """At most MAX_TEXT characters that UTF-8 can hold."""
    clean = text.encode("utf-8", errors="replace").decode("utf-8")
    return clean if len(clean) <= MAX_TEXT else f"{clean[: MAX_TEXT - 3]}..."
