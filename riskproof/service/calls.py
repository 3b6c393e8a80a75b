"""What every call goes through, in this order: identity, rule, bound, deadline, the method, errors, metrics.

Methods are coroutines `method(request, call) -> response`, or async generators for response streams; they are bound to
the wire by the protobuf descriptors of their service, and a method without a rule or without an implementation stops
the server from starting.
Hanging clients cost nothing here: a call takes its slot when its request has arrived whole, and a response stream gives
it back before it writes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from riskproof.errors import CapacityError, DeadlineError, RiskproofError, UnauthenticatedError
from riskproof.service.config import ServerConfig
from riskproof.service.failures import failure, internal_failure, status_code
from riskproof.service.identity import RULES, SCHEME, Identity, Role, authorize, identity_from_uri
from riskproof.service.logs import Logger
from riskproof.service.metrics import Metrics

Context = Any  # grpc.aio.ServicerContext
Handler: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Unary = Callable[[Any, "Call"], Awaitable[Any]]
Stream = Callable[[Any, "Call"], AsyncGenerator[Any, None]]
_OK: Final = grpc.StatusCode.OK.name


class Slots:
    """At most `limit` holders at the same time; one more gets CapacityError."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit, self._what, self.taken = limit, what, 0

    def take(self) -> None:
        if self.taken >= self._limit:
            raise CapacityError(f"{self._limit} {self._what}", where="server", expected="try again later")
        self.taken += 1

    def give(self) -> None:
        self.taken -= 1


class Call:
    """One call as its method sees it.

    Attributes:
        identity: the caller, whose role the rules allow.
        deadline: on the clock of time.monotonic.
    """

    __slots__ = ("_slots", "deadline", "identity")

    def __init__(self, identity: Identity, deadline: float, slots: Slots) -> None:
        self.identity, self.deadline, self._slots = identity, deadline, slots

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A slot for as long as a response stream computes, and not for as long as its reader takes."""
        self._slots.take()
        try:
            yield
        finally:
            self._slots.give()


@dataclass
class Calls:
    """Binds methods to the wire."""

    config: ServerConfig
    metrics: Metrics
    log: Logger

    def __post_init__(self) -> None:
        self._slots = Slots(self.config.max_concurrent_calls, "calls are being worked on")
        self._response_streams = Slots(self.config.max_open_streams, "response streams are open")
        self._service_streams = Slots(self.config.max_open_streams, "health and reflection streams are open")
        self._everybody = self._fixed_identity()
        self.metrics.at_work.set_function(lambda: self._slots.taken)
        self.metrics.streams.set_function(lambda: self._response_streams.taken + self._service_streams.taken)

    def _fixed_identity(self) -> Identity | None:
        """Who everybody is in insecure mode, or who comes without a certificate; None for nobody."""
        if self.config.insecure:
            role = Role(self.config.insecure_role)
            return Identity(role, self.config.insecure_account or "insecure")
        return Identity(Role(self.config.anonymous_role), "anonymous") if self.config.anonymous_role else None

    def identify(self, context: Context) -> Identity | None:
        """The caller's identity; None without a certificate.

        Raises:
            UnauthenticatedError: a certificate that states no role, or more than one.
        """
        if self.config.insecure:
            return self._everybody
        attributes = context.auth_context()
        if "x509_pem_cert" not in attributes:
            return self._everybody
        stated = [uri for uri in attributes.get("peer_uri", ()) if uri.startswith(SCHEME.encode() + b":")]
        if len(stated) != 1:
            raise UnauthenticatedError(
                f"the client certificate states {len(stated)} roles",
                where="client certificate",
                expected=f"one subject alternative name {SCHEME}://ROLE/NAME",
            )
        return identity_from_uri(stated[0].decode("ascii", errors="replace"))

    def bind(self, service: ServiceDescriptor, implementation: object) -> Handler:
        """Handlers of a service of ours: each method under its rule."""
        handlers = {}
        for method in service.methods:
            name = f"{service.full_name}/{method.name}"
            if name not in RULES:
                raise AssertionError(f"{name} has no rule")
            function = getattr(implementation, method.name)
            wrap, make = (
                (self._stream, grpc.unary_stream_rpc_method_handler)
                if method.server_streaming
                else (self._unary, grpc.unary_unary_rpc_method_handler)
            )
            handlers[method.name] = make(
                wrap(name, function),
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def bounded_stream(self, behavior: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Awaitable[None]]:
        """A stream of the health or reflection service, counted: these are open to everyone and may hang for ever."""

        async def stream(request: Any, context: Context) -> None:
            try:
                self._service_streams.take()
            except CapacityError as error:
                await context.abort(*failure(error))
            try:
                answer = behavior(request, context)
                if hasattr(answer, "__aiter__"):
                    async for response in answer:
                        await context.write(response)
                else:
                    await answer
            finally:
                self._service_streams.give()

        return stream

    def _admit(self, method: str, request: Any, context: Context) -> Call:
        identity = self.identify(context)
        authorize(method, identity, getattr(request, "account_id", None))
        assert identity is not None
        left = context.time_remaining()
        seconds = self.config.max_call_seconds if left is None else min(left, self.config.max_call_seconds)
        return Call(identity, time.monotonic() + seconds, self._slots)

    def _unary(self, method: str, function: Unary) -> Any:
        async def unary(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            try:
                call = self._admit(method, request, context)
                self._slots.take()
                try:
                    async with asyncio.timeout(call.deadline - time.monotonic()):
                        response = await function(request, call)
                finally:
                    self._slots.give()
            except Exception as error:
                await self._fail(method, context, error, started)
            self._answered(method, _OK, started)
            return response

        return unary

    def _stream(self, method: str, function: Stream) -> Any:
        async def stream(request: Any, context: Context) -> None:
            started = time.perf_counter()
            try:
                call = self._admit(method, request, context)
                self._response_streams.take()
                try:
                    async with asyncio.timeout(call.deadline - time.monotonic()):
                        async with aclosing(function(request, call)) as responses:
                            async for response in responses:
                                await context.write(response)
                finally:
                    self._response_streams.give()
            except Exception as error:
                await self._fail(method, context, error, started)
            self._answered(method, _OK, started)

        return stream

    async def _fail(self, method: str, context: Context, error: Exception, started: float) -> NoReturn:
        if isinstance(error, TimeoutError):
            error = DeadlineError(
                "the deadline passed before the work was done", where=method, expected="a later deadline"
            )
        if isinstance(error, RiskproofError):
            self._answered(method, status_code(error).name, started, reason=error.code)
            await context.abort(*failure(error))
        else:
            self.log.error("internal error", method=method, exc_info=error)
            self._answered(method, grpc.StatusCode.INTERNAL.name, started)
            await context.abort(*internal_failure())
        raise AssertionError("abort returned")

    def _answered(self, method: str, code: str, started: float, **more: str) -> None:
        seconds = time.perf_counter() - started
        self.metrics.answered(method, code, seconds)
        if code == grpc.StatusCode.DATA_LOSS.name:
            self.log.error("ledger damaged", method=method, **more)
        self.log.debug("call", method=method, code=code, milliseconds=round(seconds * 1000, 3), **more)
