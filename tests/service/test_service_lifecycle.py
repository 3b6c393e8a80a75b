"""Start and stop, health, reflection, metrics, logs, insecure mode, one server per ledger."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from service_support import Files, Live, make_config, market, serving
from venue_process import VenueProcess, current_market

from riskproof.attest.keys import generate_key_dir, public_key_set
from riskproof.attest.keyset import RevocationReason
from riskproof.client import Client, Holding
from riskproof.errors import ConfigError, KeyFileError, KeySetError, PermissionDeniedError, RemoteError, StoreError
from riskproof.service.certificates import make_authority, make_server_certificate
from riskproof.service.config import Config, MetricsConfig, ServerConfig, VenueConfig
from riskproof.service.server import METHODS
from riskproof.verify import Outcome, verify_attestation


def test_health_of_the_server_and_of_each_service(live: Live) -> None:
    with live.channel("verifier") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", *(descriptor.full_name for descriptor, _ in METHODS)):
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as refused:
            check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=5)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_needs_no_certificate(live: Live) -> None:
    with Client(live.anonymous_address, authority=live.files.authority.certificate) as nobody:
        assert nobody.is_serving()


def test_reflection_lists_every_service_and_describes_its_methods(live: Live) -> None:
    with live.channel("verifier") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        names = set(database.get_services())
        ours = {descriptor.full_name for descriptor, _ in METHODS}
        assert names == ours | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        file = database.FindFileContainingSymbol("riskproof.v1.AttestationService")
        (service,) = file.service
        assert "CreateAttestation" in [m.name for m in service.method]


def test_metrics_on_their_own_port(fresh: Files) -> None:
    config = replace(make_config(fresh), metrics=MetricsConfig("127.0.0.1:0"))
    with serving(fresh, config) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.open_account("alice")
        operator.record_trade("alice", "t", [Holding("BTC", 5)])
        operator.create_attestation("alice")
        with pytest.raises(PermissionDeniedError):
            operator.get_opening("alice", 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{live.server.metrics_port}/metrics", timeout=5) as page:
            text = page.read().decode()
    prefix = 'riskproof_calls_total{code="%s",method="riskproof.v1.AttestationService/%s"} 1.0'
    assert prefix % ("OK", "CreateAttestation") in text
    assert prefix % ("PERMISSION_DENIED", "GetOpening") in text
    assert "riskproof_attestations_total 1.0" in text
    assert "riskproof_trades_total 1.0" in text
    assert "riskproof_books_cached 1.0" in text
    assert re.search(r"riskproof_books_cached_bytes [1-9]", text)
    assert "alice" not in text


def test_graceful_stop_finishes_what_is_at_work(fresh: Files) -> None:
    with serving(fresh) as live:
        with live.client("operator") as operator:
            operator.publish_market(market())
        answers: list[object] = []
        stalled = threading.Event()
        for _ in range(2):
            live.server.venue._kernels.submit(stalled.wait)

        def ask() -> None:
            with live.client("operator") as client:
                answers.append(client.compute_margin(book=[Holding("BTC", 5)]))

        asking = threading.Thread(target=ask)
        asking.start()
        deadline = time.monotonic() + 10
        while not live.server.calls._slots.taken and time.monotonic() < deadline:
            time.sleep(0.01)
        stopping = threading.Thread(target=live.run, args=(live.server.stop(),))
        stopping.start()
        time.sleep(0.3)
        with live.client("operator", timeout=2) as late, pytest.raises(RemoteError, match="UNAVAILABLE"):
            late.get_key_set()
        assert not answers
        stalled.set()
        asking.join(10)
        stopping.join(10)
        assert len(answers) == 1


def test_the_process_serves_stops_on_sigterm_and_goes_on_where_it_was(fresh: Files) -> None:
    venue = VenueProcess(fresh, more='[metrics]\naddress = "127.0.0.1:0"')
    assert set(venue.serving) >= {"address", "anonymous_address", "metrics_address", "venue", "key_id", "timestamp"}
    assert (venue.serving["venue"], venue.serving["insecure"]) == ("venue-a", False)
    with venue.client("operator") as operator:
        operator.publish_market(current_market())
        operator.open_account("alice")
        operator.record_trade("alice", "t", [Holding("BTC", 5)])
        first = operator.create_attestation("alice")
    code, lines = venue.terminate()
    assert code == 0
    assert [line["event"] for line in lines] == ["stopping", "stopped"]
    again = VenueProcess(fresh)
    with again.client("alice") as alice:
        second = alice.create_attestation("alice")
        assert (first.sequence, second.sequence) == (1, 2)
        verdict = alice.verify_attestation(second.attestation, opening=alice.get_opening("alice", 2))
        assert verdict.outcome is Outcome.VALID
        assert json.loads(alice.get_opening("alice", 2))["previous_digest"] == first.digest.hex()
    assert again.terminate()[0] == 0
    for name in ("ledger.db", "ledger.db.lock"):
        assert stat.S_IMODE((fresh.folder / name).stat().st_mode) == 0o600


def test_a_wrong_configuration_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    config = tmp_path / "riskproof.toml"
    config.write_text("[server]\nadress = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "riskproof.cli", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("RISKPROOF_")},
    )
    assert done.returncode == 2
    assert "unknown member 'adress'" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_server_per_ledger(fresh: Files) -> None:
    with serving(fresh), pytest.raises(StoreError, match="another server has this ledger"), serving(fresh):
        pass
    with serving(fresh) as live:
        assert live.server.port


def test_a_port_that_is_taken(fresh: Files, live: Live) -> None:
    with pytest.raises(ConfigError, match="cannot listen"), serving(fresh, make_config(fresh, address=live.address)):
        pass


def test_a_server_certificate_of_somebody_else_is_not_trusted(live: Live, tmp_path: Path) -> None:
    make_server_certificate(make_authority(tmp_path), tmp_path)
    c = live.files.clients["alice"]
    with (
        Client(
            live.address,
            authority=tmp_path / "ca.pem",
            certificate=c.certificate,
            private_key=c.private_key,
            timeout=5,
        ) as client,
        pytest.raises(RemoteError, match="UNAVAILABLE"),
    ):
        client.get_key_set()


@pytest.mark.parametrize(("role", "account"), [("operator", ""), ("account-holder", "alice"), ("verifier", "")])
def test_insecure_mode_has_the_configured_role(fresh: Files, role: str, account: str) -> None:
    config = Config(
        server=ServerConfig(address="127.0.0.1:0", insecure=True, insecure_role=role, insecure_account=account),
        venue=VenueConfig(key=str(fresh.key)),
        ledger=make_config(fresh).ledger,
    )
    with serving(fresh, config) as live, Client.insecure(live.address) as client:
        assert client.get_key_set()
        if role == "operator":
            assert client.open_account("alice")
        else:
            with pytest.raises(PermissionDeniedError):
                client.open_account("alice")


def test_wrong_key_folders(fresh: Files) -> None:
    config = make_config(fresh)
    with (
        pytest.raises(KeyFileError, match="cannot be read"),
        serving(fresh, replace(config, venue=VenueConfig("nowhere"))),
    ):
        pass
    (fresh.key / "key.pem").chmod(0o644)
    with pytest.raises(KeyFileError, match="lets others in"), serving(fresh, config):
        pass


def test_rotation_keeps_old_attestations_verifiable(fresh: Files) -> None:
    with serving(fresh) as live, live.client("operator") as operator:
        operator.publish_market(market())
        operator.open_account("alice")
        old = operator.create_attestation("alice")
    generate_key_dir(fresh.folder / "key-2", venue="venue-a")
    published = fresh.folder / "keys.json"
    published.write_bytes(public_key_set([fresh.key]).to_bytes())
    venue = VenueConfig(key=str(fresh.folder / "key-2"), published_keys=str(published))
    with serving(fresh, replace(make_config(fresh), venue=venue)) as live, live.client("operator") as operator:
        new = operator.create_attestation("alice")
        keys = operator.get_key_set()
        for made in (old, new):
            assert verify_attestation(made.attestation, keys, now=live.now).outcome is Outcome.VALID
        assert new.sequence == 2
    first = json.loads(public_key_set([fresh.key]).to_bytes())["keys"][0]["kid"]
    revoked = public_key_set([fresh.key]).revoked(first, 1, RevocationReason.COMPROMISED)
    published.write_bytes(revoked.to_bytes())
    same = replace(venue, key=str(fresh.key))
    with pytest.raises(KeySetError, match="revoke it"), serving(fresh, replace(make_config(fresh), venue=same)):
        pass


def test_models_of_the_venues_own(fresh: Files) -> None:
    config = make_config(fresh)
    unknown = replace(config, venue=replace(config.venue, model="span-1"))
    with pytest.raises(ConfigError, match="no such model"), serving(fresh, unknown):
        pass
    missing = replace(config, venue=replace(config.venue, models=("nowhere.json",)))
    with pytest.raises(ConfigError, match="cannot be read"), serving(fresh, missing):
        pass
