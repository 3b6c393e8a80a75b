"""Configuration of a venue's service: a TOML file, then the environment, into one frozen value.

    [server]                                  RISKPROOF_SERVER_ADDRESS=127.0.0.1:50051 overrides server.address, and so on:
    address = "127.0.0.1:50051"               RISKPROOF_<SECTION>_<MEMBER>

Unknown sections, members and RISKPROOF_ variables of a known section are refused. Paths are relative to the file's folder (from
the environment: to the working directory). docs/service.md lists every member.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from riskproof.errors import ConfigError
from riskproof.service.identity import Role

PREFIX: Final = "RISKPROOF_"
MIB: Final = 1 << 20
_PATH: Final = {"path": True}


def _bounded(default: int, low: int, high: int) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class ServerConfig:
    """Where to listen, and how much at once. Sizes in bytes, times in seconds.

    Attributes:
        address: host:port of the main listener; port 0 takes a free one. With TLS, clients must present a certificate.
        anonymous_address: host:port of a second TLS listener for clients without a certificate; "" for none. They have
            no role: every method but the health check and reflection answers UNAUTHENTICATED, unless anonymous_role
            gives them one.
        anonymous_role: "" or "verifier".
        insecure: no TLS at all; needs a loopback address, and insecure_role says who everybody is.
        insecure_role, insecure_account: the one identity of insecure mode; the account of an account holder.
        max_message_bytes: largest message that is received.
        max_concurrent_calls: calls at work at the same time; one more is refused.
        max_open_streams: health and reflection streams open at the same time; one more is refused.
        max_streams_per_connection: HTTP/2 streams of one connection; when they come close to it, some are refused.
        max_connection_idle_seconds: a connection without calls is closed after this.
        max_call_seconds: deadline of calls that have none or a later one.
        shutdown_grace_seconds: how long calls at work may finish after SIGTERM.
        threads: threads for kernels.
    """

    address: str = "127.0.0.1:50051"
    anonymous_address: str = ""
    anonymous_role: str = ""
    insecure: bool = False
    insecure_role: str = "operator"
    insecure_account: str = ""
    max_message_bytes: int = _bounded(16 * MIB, 1 << 16, 1 << 30)
    max_concurrent_calls: int = _bounded(256, 1, 1 << 16)
    max_open_streams: int = _bounded(1024, 1, 1 << 16)
    max_streams_per_connection: int = _bounded(1024, 1, 1 << 16)
    max_connection_idle_seconds: int = _bounded(300, 1, 86_400)
    max_call_seconds: int = _bounded(30, 1, 3_600)
    shutdown_grace_seconds: int = _bounded(10, 0, 3_600)
    threads: int = _bounded(2, 1, 256)


@dataclass(frozen=True)
class TlsConfig:
    """PEM files. client_ca: the authority whose client certificates carry roles. Ignored, and refused, in insecure mode."""

    certificate: str = field(default="", metadata=_PATH)
    private_key: str = field(default="", metadata=_PATH)
    client_ca: str = field(default="", metadata=_PATH)


@dataclass(frozen=True)
class VenueConfig:
    """Who signs.

    Attributes:
        key: a folder made by `riskproof keys new`; it also names the venue.
        published_keys: a JWK set with validity intervals and earlier keys; "" for none.
        model: name of the default risk model.
        models: model files that are served besides those that ship, of either version.
        histories: history files that these models name.
    """

    key: str = field(default="", metadata=_PATH)
    published_keys: str = field(default="", metadata=_PATH)
    model: str = "crypto-pm"
    models: tuple[str, ...] = field(default=(), metadata=_PATH)
    histories: tuple[str, ...] = field(default=(), metadata=_PATH)


@dataclass(frozen=True)
class LedgerConfig:
    """url: sqlite:///PATH or postgresql+psycopg://...; capacity: appends that may wait."""

    url: str = "sqlite:///riskproof-ledger.db"
    capacity: int = _bounded(4096, 1, 1 << 20)


@dataclass(frozen=True)
class AttestationConfig:
    """What an attestation may be.

    Attributes:
        default_ttl_seconds: life of an attestation whose request states none.
        max_ttl_seconds: longest life that can be asked for.
        max_exclusive_seconds: longest exclusive window that can be asked for: it is never taken back.
        default_disclosure: none, margin or array.
        max_snapshot_age_seconds: nothing is attested on an older snapshot; the model's own limit holds as well.
    """

    default_ttl_seconds: int = _bounded(300, 1, 366 * 86_400)
    max_ttl_seconds: int = _bounded(86_400, 1, 366 * 86_400)
    max_exclusive_seconds: int = _bounded(7 * 86_400, 1, 366 * 86_400)
    default_disclosure: str = "margin"
    max_snapshot_age_seconds: int = _bounded(3_600, 1, 366 * 86_400)


@dataclass(frozen=True)
class ProvingConfig:
    """Proofs: made and verified in processes of their own.

    Attributes:
        workers: processes; 0: no proofs here.
        queue: jobs that may wait for one; one more is refused.
        per_caller: jobs that one caller may have waiting and running.
        deadline_seconds: how long a job may wait and run altogether; a call's own deadline holds as well.
        niceness: how far below the server in priority, so that attestations go first.
        memory_mib: address space of a process, MiB; a job that needs more is refused.
        allow_tight_bound: prove bounds off the coarse grid; they tell the verifier far more about a book.
        leak_points: what the answers about one account may tell one audience, in 30 days (docs/threat-model.md).
    """

    workers: int = _bounded(2, 0, 256)
    queue: int = _bounded(64, 1, 4096)
    per_caller: int = _bounded(8, 1, 4096)
    deadline_seconds: int = _bounded(30, 1, 3_600)
    niceness: int = _bounded(10, 0, 19)
    memory_mib: int = _bounded(4096, 1024, 1 << 20)
    allow_tight_bound: bool = False
    leak_points: int = _bounded(64, 0, 1_000_000)


@dataclass(frozen=True)
class CacheConfig:
    """arrays: snapshots whose risk array is kept; books_mib: memory for committed books of accounts, in MiB."""

    arrays: int = _bounded(8, 1, 4096)
    books_mib: int = _bounded(256, 1, 1 << 20)


@dataclass(frozen=True)
class MetricsConfig:
    """address: host:port of Prometheus metrics over HTTP; "" for none."""

    address: str = ""


@dataclass(frozen=True)
class LogConfig:
    """level: debug (a line per call), info, warning or error."""

    level: str = "info"


@dataclass(frozen=True)
class Config:
    """Everything a server needs to know. Make it with `load_config`, or directly; construction checks it (ConfigError)."""

    server: ServerConfig = ServerConfig()
    tls: TlsConfig = TlsConfig()
    venue: VenueConfig = VenueConfig()
    ledger: LedgerConfig = LedgerConfig()
    attestation: AttestationConfig = AttestationConfig()
    proving: ProvingConfig = ProvingConfig()
    cache: CacheConfig = CacheConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()

    def __post_init__(self) -> None:
        for name in SECTIONS:
            _check_bounds(name, getattr(self, name))
        _check_choice("log.level", self.log.level, ("debug", "info", "warning", "error"))
        disclosure = self.attestation.default_disclosure
        _check_choice("attestation.default_disclosure", disclosure, ("none", "margin", "array"))
        if self.attestation.default_ttl_seconds > self.attestation.max_ttl_seconds:
            raise ConfigError(
                "longer than max_ttl_seconds",
                where="attestation.default_ttl_seconds",
                expected="at most max_ttl_seconds",
            )
        if not self.venue.key:
            raise ConfigError("no signing key", where="venue.key", expected="a folder made by `riskproof keys new`")
        host, _ = split_address(self.server.address, "server.address")
        if self.server.insecure:
            self._check_insecure(host)
        else:
            self._check_secure()
        if self.metrics.address:
            split_address(self.metrics.address, "metrics.address")

    def _check_insecure(self, host: str) -> None:
        if not is_loopback(host):
            raise ConfigError(
                f"insecure mode on {host}", where="server.insecure", expected="a loopback address, or TLS"
            )
        _check_choice("server.insecure_role", self.server.insecure_role, tuple(role.value for role in Role))
        if (self.server.insecure_role == Role.ACCOUNT_HOLDER) != bool(self.server.insecure_account):
            raise ConfigError(
                "an account holder has an account, nobody else has",
                where="server.insecure_account",
                expected="an account id with insecure_role account-holder",
            )
        if self.server.anonymous_address or self.server.anonymous_role or self.tls != TlsConfig():
            raise ConfigError("TLS settings in insecure mode", where="server.insecure", expected="one or the other")

    def _check_secure(self) -> None:
        for name in ("certificate", "private_key", "client_ca"):
            if not getattr(self.tls, name):
                raise ConfigError(
                    "missing", where=f"tls.{name}", expected="a PEM file (or server.insecure = true on loopback)"
                )
        if self.server.insecure_account or self.server.insecure_role != ServerConfig.insecure_role:
            raise ConfigError("set without insecure mode", where="server.insecure_role", expected="client certificates")
        _check_choice("server.anonymous_role", self.server.anonymous_role, ("", Role.VERIFIER.value))
        if self.server.anonymous_address:
            split_address(self.server.anonymous_address, "server.anonymous_address")
        elif self.server.anonymous_role:
            raise ConfigError(
                "a role for nobody", where="server.anonymous_role", expected="with server.anonymous_address only"
            )


SECTIONS: Final[dict[str, type[Any]]] = {
    "server": ServerConfig,
    "tls": TlsConfig,
    "venue": VenueConfig,
    "ledger": LedgerConfig,
    "attestation": AttestationConfig,
    "proving": ProvingConfig,
    "cache": CacheConfig,
    "metrics": MetricsConfig,
    "log": LogConfig,
}


def load_config(path: str | Path | None, environ: Mapping[str, str]) -> Config:
    """Read a TOML file (None: only defaults), then RISKPROOF_<SECTION>_<MEMBER> variables over it.

    Raises:
        ConfigError: the file cannot be read or is not TOML; an unknown or wrong member, named by its path or variable.
    """
    document = {} if path is None else _read(Path(path))
    folder = Path() if path is None else Path(path).parent
    values: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for name, section in document.items():
        if name not in SECTIONS or not isinstance(section, dict):
            raise ConfigError(f"unknown member {name!r}", where=str(path), expected=f"sections {', '.join(SECTIONS)}")
        fields = _fields(name)
        for member, value in section.items():
            if member not in fields:
                raise ConfigError(f"unknown member {member!r}", where=name, expected=", ".join(fields))
            values[name][member] = _value(fields[member], value, f"{name}.{member}", folder)
    for variable, text in environ.items():
        place = _place(variable)
        if place is not None:
            name, member = place
            spec = _fields(name)[member]
            values[name][member] = _value(spec, _from_text(spec, text, variable), variable, Path())
    if "url" in values["ledger"]:
        values["ledger"]["url"] = _ledger_url(values["ledger"]["url"], folder)
    return Config(**{name: cls(**values[name]) for name, cls in SECTIONS.items()})


def split_address(text: str, where: str) -> tuple[str, int]:
    """host and port of "host:port" or "[ipv6]:port"; ConfigError if it is neither."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not host
        or not (port.isascii() and port.isdigit())
        or int(port) > 65_535
        or (":" in host and not bracketed)
    ):
        raise ConfigError(f"not an address: {text[:80]!r}", where=where, expected="host:port, such as 127.0.0.1:50051")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """True for localhost and the literal loopback addresses."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", where=str(path)) from None


def _fields(section: str) -> dict[str, dataclasses.Field[Any]]:
    return {f.name: f for f in dataclasses.fields(SECTIONS[section])}


def _place(variable: str) -> tuple[str, str] | None:
    """(section, member) of an environment variable, None if it is not one of ours."""
    if not variable.startswith(PREFIX):
        return None
    section, _, member = variable.removeprefix(PREFIX).lower().partition("_")
    if section not in SECTIONS:
        return None
    if member not in _fields(section):
        raise ConfigError("unknown variable", where=variable, expected=", ".join(_fields(section)))
    return section, member


def _from_text(spec: dataclasses.Field[Any], text: str, variable: str) -> Any:
    if spec.type == "bool":
        if text not in ("true", "false"):
            raise ConfigError(f"not a boolean: {text[:32]!r}", where=variable, expected="true or false")
        return text == "true"
    if spec.type == "int":
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise ConfigError(f"not an integer: {text[:32]!r}", where=variable, expected="digits")
        return int(text)
    return [part for part in text.split(",") if part] if spec.type.startswith("tuple") else text


def _value(spec: dataclasses.Field[Any], value: Any, where: str, folder: Path) -> Any:
    """A member's value checked for its type; paths made relative to `folder`."""
    is_path = "path" in spec.metadata
    if str(spec.type).startswith("tuple"):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError("not a list of strings", where=where, expected="a list of file names")
        return tuple(str(folder / item) if is_path else item for item in value)
    wanted = {"str": str, "int": int, "bool": bool}[str(spec.type)]
    if type(value) is not wanted:
        raise ConfigError(
            f"{type(value).__name__} in place of {wanted.__name__}", where=where, expected=wanted.__name__
        )
    return str(folder / str(value)) if is_path and value else value


def _ledger_url(url: str, folder: Path) -> str:
    scheme, mark, path = url.partition(":///")
    return f"{scheme}:///{folder / path}" if mark and scheme == "sqlite" and path else url


def _check_bounds(section: str, value: Any) -> None:
    for f in dataclasses.fields(value):
        if "low" in f.metadata:
            low, high, number = f.metadata["low"], f.metadata["high"], getattr(value, f.name)
            if not low <= number <= high:
                raise ConfigError(f"{number} is out of range", where=f"{section}.{f.name}", expected=f"{low} to {high}")


def _check_choice(where: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"not one of the choices: {value[:64]!r}", where=where, expected=", ".join(c or '""' for c in choices)
        )
