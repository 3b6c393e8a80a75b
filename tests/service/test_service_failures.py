"""Errors on the wire: status codes, google.rpc details, and back into the class that was raised."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from service_support import Live, details, market, raw_call

from riskproof import errors
from riskproof.client.failures import to_error
from riskproof.service.failures import CODES, MAX_TEXT, failure, internal_failure, status_code


def every_class(cls: type[errors.RiskproofError] = errors.RiskproofError) -> list[type[errors.RiskproofError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in every_class(child))]


@pytest.mark.parametrize(
    "cls", sorted({c for c in every_class() if c.__module__ == errors.__name__}, key=lambda c: c.__name__)
)
def test_every_error_survives_the_wire(cls: type[errors.RiskproofError]) -> None:
    error = cls("what it was", where="the place", expected="what would be right")
    code, text, trailers = failure(error)
    back = to_error(code, text, trailers, "method")
    assert type(back) is cls
    assert (back.what, back.where, back.expected) == (error.what, error.where, error.expected)
    assert code is not grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnitError, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.SnapshotError, grpc.StatusCode.FAILED_PRECONDITION),
        (errors.AttestationError, grpc.StatusCode.FAILED_PRECONDITION),
        (errors.ConflictError, grpc.StatusCode.ALREADY_EXISTS),
        (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
        (errors.StoreError, grpc.StatusCode.UNAVAILABLE),
        (errors.StoreCorruptError, grpc.StatusCode.DATA_LOSS),
        (errors.CapacityError, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.DeadlineError, grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
        (errors.PermissionDeniedError, grpc.StatusCode.PERMISSION_DENIED),
        (errors.RemoteError, grpc.StatusCode.UNKNOWN),
    ],
)
def test_status_codes(error: type[errors.RiskproofError], code: grpc.StatusCode) -> None:
    assert status_code(error("x")) is code
    assert CODES[-1][0] is errors.RiskproofError


def test_bad_request_names_the_field(live: Live) -> None:
    with live.channel("operator") as channel, pytest.raises(grpc.RpcError) as refused:
        raw_call(
            channel,
            "riskproof.v1.PositionService/RecordTrade",
            account_id="alice",
            trade_id="t",
            legs=[{"instrument": "BTC", "lots": 1}, {"instrument": "NOPE", "lots": 1}],
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status, (info, bad_request) = details(refused.value)
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert (info.reason, info.domain) == ("UNKNOWN_INSTRUMENT", "riskproof")
    assert info.metadata["where"] == "legs[1].instrument"
    (violation,) = bad_request.field_violations
    assert violation.field == "legs[1].instrument"
    assert "NOPE" in violation.description


def test_a_full_queue_says_when_to_come_back() -> None:
    _, _, ((_, packed),) = failure(errors.CapacityError("busy"))
    status = status_pb2.Status.FromString(packed)
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == 1


def test_long_and_odd_texts_are_cut_and_cleaned() -> None:
    error = errors.EncodingError("\ud800" + "x" * 10_000, where="w" * 10_000, expected="e" * 10_000)
    code, text, trailers = failure(error)
    assert len(text) <= MAX_TEXT
    assert len(trailers[0][1]) < 8_000
    back = to_error(code, text, trailers, "m")
    assert isinstance(back, errors.EncodingError)
    assert back.what.startswith("?xxx")


def test_a_bug_tells_nothing(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("account secret 0xdeadbeef")

    monkeypatch.setattr(live.server.venue, "model", broken)
    with live.channel("verifier") as channel, pytest.raises(grpc.RpcError) as refused:
        raw_call(channel, "riskproof.v1.MarketService/GetModel")
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert refused.value.details() == "internal error"
    _, (info,) = details(refused.value)
    assert info.reason == "INTERNAL"
    assert '"event": "internal error"' in live.log.getvalue()
    assert isinstance(to_error(*internal_failure(), "m"), errors.RemoteError)


@pytest.mark.parametrize("trailers", [(), (("grpc-status-details-bin", b"\xff\xff"),), (("other-bin", b""),)])
def test_answers_without_our_details(trailers: tuple[tuple[str, bytes], ...]) -> None:
    cases = {
        grpc.StatusCode.UNAVAILABLE: errors.RemoteError,
        grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: errors.CapacityError,
        grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
        grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    }
    for code, cls in cases.items():
        error = to_error(code, "text", trailers, "a/b")
        assert type(error) is cls
        assert error.where == "a/b"


def test_another_domain_is_not_ours() -> None:
    status = status_pb2.Status()
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="CONFLICT", domain="example.org"))
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    assert type(to_error(grpc.StatusCode.UNKNOWN, "", trailers, "m")) is errors.RemoteError


def test_nothing_secret_in_the_log(live: Live) -> None:
    with live.client("operator") as operator:
        operator.open_account("secretive")
        secret = live.server.venue.ledger.account("secretive").secret
        from riskproof.client import Holding

        lots = 918_273_645
        operator.record_trade("secretive", "t", [Holding("BTC", lots)])
        made = operator.create_attestation("secretive")
        opening = live.server.venue.ledger.opening("secretive", made.sequence)
    text = live.log.getvalue()
    assert '"event": "call"' in text
    for hidden in (str(lots), secret.hex(), repr(secret), opening.decode()[100:140], "epoch_secret"):
        assert hidden not in text
    assert market().registry.digest
