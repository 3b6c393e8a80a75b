"""Prometheus metrics, in a registry of their own; served over HTTP on a separate port if configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from riskproof.errors import ConfigError
from riskproof.service.config import split_address

if TYPE_CHECKING:
    import threading
    from wsgiref.simple_server import WSGIServer

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)


@dataclass
class Metrics:
    """The service's counters. Labels are method names and status codes: nothing about accounts."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        r = self.registry
        self.calls = Counter("riskproof_calls", "Calls answered.", ["method", "code"], registry=r)
        self.seconds = Histogram("riskproof_call_seconds", "Time per call.", ["method"], buckets=_SECONDS, registry=r)
        self.at_work = Gauge("riskproof_calls_at_work", "Calls being worked on.", registry=r)
        self.streams = Gauge("riskproof_open_streams", "Response, health and reflection streams open.", registry=r)
        self.attestations = Counter("riskproof_attestations", "Attestations issued.", registry=r)
        self.trades = Counter("riskproof_trades", "Trades recorded.", registry=r)
        self.arrays = Counter("riskproof_arrays_computed", "Risk arrays computed.", registry=r)
        self.books = Gauge("riskproof_books_cached", "Committed books in memory.", registry=r)
        self.book_bytes = Gauge("riskproof_books_cached_bytes", "Estimated memory of these.", registry=r)
        self.proofs = Counter("riskproof_proofs", "Proofs made.", registry=r)
        self.proof_refusals = Counter("riskproof_proof_refusals", "Proofs refused.", ["reason"], registry=r)
        self.proofs_verified = Counter("riskproof_proofs_verified", "Proofs verified.", ["outcome"], registry=r)
        self.jobs_waiting = Gauge("riskproof_worker_jobs_waiting", "Jobs that wait for a worker process.", registry=r)
        self.worker_restarts = Counter("riskproof_worker_restarts", "Worker processes replaced.", registry=r)
        self._children: dict[tuple[str, str], Any] = {}
        self._times: dict[str, Any] = {}

    def answered(self, method: str, code: str, seconds: float) -> None:
        """Count a call that has been answered."""
        child = self._children.get((method, code))
        if child is None:
            child = self._children[method, code] = self.calls.labels(method, code)
            self._times.setdefault(method, self.seconds.labels(method))
        child.inc()
        self._times[method].observe(seconds)


class MetricsServer:
    """Serves a registry over HTTP until closed."""

    def __init__(self, metrics: Metrics, address: str) -> None:
        host, port = split_address(address, "metrics.address")
        server: WSGIServer
        thread: threading.Thread
        try:
            server, thread = start_http_server(port, host, registry=metrics.registry)
        except OSError as error:
            raise ConfigError(
                f"cannot listen: {error.strerror}", where="metrics.address", expected="a free port"
            ) from None
        self._server, self._thread = server, thread
        self.port = int(server.server_port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
