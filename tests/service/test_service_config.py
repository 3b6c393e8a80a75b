"""Configuration: what is taken, and that everything else is refused with the member's path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from riskproof.errors import ConfigError
from riskproof.service.config import Config, ServerConfig, TlsConfig, VenueConfig, load_config, split_address

SECURE = """
[server]
address = "0.0.0.0:443"
max_concurrent_calls = 7
[tls]
certificate = "tls/server.pem"
private_key = "/elsewhere/server-key.pem"
client_ca = "tls/ca.pem"
[venue]
key = "key"
models = ["models/own.json"]
[ledger]
url = "sqlite:///data/ledger.db"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "riskproof.toml"
    path.write_text(text)
    return path


def test_a_file_with_paths_relative_to_it(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SECURE), {})
    assert config.server.max_concurrent_calls == 7
    assert config.server.max_message_bytes == 16 * 2**20
    assert config.tls.certificate == str(tmp_path / "tls/server.pem")
    assert config.tls.private_key == "/elsewhere/server-key.pem"
    assert config.venue.models == (str(tmp_path / "models/own.json"),)
    assert config.ledger.url == f"sqlite:///{tmp_path}/data/ledger.db"


def test_an_absolute_ledger_path_stays(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SECURE.replace("data/ledger.db", "/var/ledger.db")), {})
    assert config.ledger.url == "sqlite:////var/ledger.db"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {
        "RISKPROOF_SERVER_ADDRESS": "127.0.0.1:1",
        "RISKPROOF_SERVER_MAX_CALL_SECONDS": "5",
        "RISKPROOF_VENUE_KEY": "other-key",
        "RISKPROOF_VENUE_MODELS": "a.json,b.json",
        "RISKPROOF_REMOTE_SERVER": "not ours",
        "HOME": "/root",
    }
    config = load_config(write(tmp_path, SECURE), environ)
    assert config.server.address == "127.0.0.1:1"
    assert config.server.max_call_seconds == 5
    assert config.venue.key == "other-key"
    assert config.venue.models == ("a.json", "b.json")


def test_the_environment_alone() -> None:
    environ = {"RISKPROOF_SERVER_INSECURE": "true", "RISKPROOF_VENUE_KEY": "key"}
    config = load_config(None, environ)
    assert config.server.insecure
    assert config.venue == VenueConfig(key="key")


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (("[ledger]", "[leger]"), "riskproof.toml", "unknown member 'leger'"),
        (("max_concurrent_calls", "max_calls"), "server", "unknown member 'max_calls'"),
        (("= 7", '= "7"'), "server.max_concurrent_calls", "str in place of int"),
        (("= 7", "= true"), "server.max_concurrent_calls", "bool in place of int"),
        (("= 7", "= 7.5"), "server.max_concurrent_calls", "float in place of int"),
        (("= 7", "= 0"), "server.max_concurrent_calls", "0 is out of range"),
        (('["models/own.json"]', '"models/own.json"'), "venue.models", "not a list of strings"),
        (("0.0.0.0:443", "0.0.0.0"), "server.address", "not an address"),
        (("0.0.0.0:443", "::1:443"), "server.address", "not an address"),
        (("0.0.0.0:443", "host:66000"), "server.address", "not an address"),
        (('client_ca = "tls/ca.pem"', ""), "tls.client_ca", "missing"),
        (('key = "key"', ""), "venue.key", "no signing key"),
        (("[server]", '[log]\nlevel = "loud"\n[server]'), "log.level", "not one of the choices"),
        (
            ("[server]", '[attestation]\ndefault_disclosure = "all"\n[server]'),
            "attestation.default_disclosure",
            "not one of the choices",
        ),
        (
            ("[server]", "[attestation]\ndefault_ttl_seconds = 9\nmax_ttl_seconds = 8\n[server]"),
            "attestation.default_ttl_seconds",
            "longer than max_ttl_seconds",
        ),
        (("[server]", "[server]\ninsecure = true"), "server.insecure", "insecure mode on 0.0.0.0"),
        (("[server]", '[server]\nanonymous_role = "verifier"'), "server.anonymous_role", "a role for nobody"),
        (("[server]", '[server]\nanonymous_role = "operator"'), "server.anonymous_role", "not one of the choices"),
        (("[server]", '[server]\ninsecure_role = "verifier"'), "server.insecure_role", "set without insecure mode"),
        (("[server]", "[server"), "riskproof.toml", "not TOML"),
    ],
)
def test_wrong_members_are_refused_by_name(tmp_path: Path, change: tuple[str, str], where: str, what: str) -> None:
    path = write(tmp_path, SECURE.replace(*change, 1))
    with pytest.raises(ConfigError) as refused:
        load_config(path, {})
    assert refused.value.where.endswith(where)
    assert what in refused.value.what


@pytest.mark.parametrize(
    ("variable", "text", "what"),
    [
        ("RISKPROOF_SERVER_ADRESS", "127.0.0.1:1", "unknown variable"),
        ("RISKPROOF_SERVER_MAX_CALL_SECONDS", "1e3", "not an integer"),
        ("RISKPROOF_SERVER_INSECURE", "yes", "not a boolean"),
    ],
)
def test_wrong_variables_are_refused_by_name(variable: str, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as refused:
        load_config(None, {variable: text})
    assert refused.value.where == variable


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("no-such.toml", {})


INSECURE = Config(server=ServerConfig(insecure=True), venue=VenueConfig(key="key"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost"])
def test_insecure_mode_on_loopback(host: str) -> None:
    assert replace(INSECURE, server=ServerConfig(insecure=True, address=f"{host}:1")).server.insecure


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.0.1", "example.org", "localhost.example.org"])
def test_insecure_mode_nowhere_else(host: str) -> None:
    with pytest.raises(ConfigError, match="insecure mode on") as refused:
        replace(INSECURE, server=ServerConfig(insecure=True, address=f"{host}:1"))
    assert refused.value.where == "server.insecure"


def test_no_tls_files_without_insecure_mode() -> None:
    with pytest.raises(ConfigError) as refused:
        Config(venue=VenueConfig(key="key"))
    assert refused.value.where == "tls.certificate"


def test_insecure_mode_with_tls_files() -> None:
    with pytest.raises(ConfigError, match="TLS settings in insecure mode"):
        replace(INSECURE, tls=TlsConfig("a", "b", "c"))


@pytest.mark.parametrize(("role", "account"), [("account-holder", ""), ("operator", "alice"), ("root", "")])
def test_insecure_identities(role: str, account: str) -> None:
    with pytest.raises(ConfigError):
        replace(INSECURE, server=ServerConfig(insecure=True, insecure_role=role, insecure_account=account))


def test_addresses() -> None:
    assert split_address("[::1]:50051", "x") == ("::1", 50051)
    assert split_address("venue.example:0", "x") == ("venue.example", 0)
