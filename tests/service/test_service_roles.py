"""Every method with every role: who may, who may not, and who is nobody."""

from __future__ import annotations

import datetime as dt

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from service_support import Files, Live, details, make_config, methods, raw_call, serving

from riskproof.client import Client
from riskproof.errors import PermissionDeniedError, RemoteError, UnauthenticatedError
from riskproof.service.certificates import make_authority, make_client_certificate
from riskproof.service.identity import RULES, Identity, Role, authorize, identity_from_uri

EVERYONE = {"operator", "alice", "bob", "verifier"}
OPERATOR = {"operator"}
OPERATOR_AND_ALICE = {"operator", "alice"}
ALICE = {"alice"}
# Written out here, and not taken from the rules. Requests name the account "alice".
ALLOWED = {
    "riskproof.v1.MarketService/PublishSnapshot": OPERATOR,
    "riskproof.v1.MarketService/GetRegistry": EVERYONE,
    "riskproof.v1.MarketService/GetSnapshot": EVERYONE,
    "riskproof.v1.MarketService/ListSnapshots": EVERYONE,
    "riskproof.v1.MarketService/GetModel": EVERYONE,
    "riskproof.v1.PositionService/OpenAccount": OPERATOR,
    "riskproof.v1.PositionService/SetHolder": OPERATOR,
    "riskproof.v1.PositionService/RecordTrade": OPERATOR,
    "riskproof.v1.PositionService/GetPositions": OPERATOR_AND_ALICE,
    "riskproof.v1.RiskService/ComputeArray": EVERYONE,
    "riskproof.v1.RiskService/ComputeMargin": OPERATOR_AND_ALICE,
    "riskproof.v1.AttestationService/CreateAttestation": OPERATOR_AND_ALICE,
    "riskproof.v1.AttestationService/GetAttestation": OPERATOR_AND_ALICE,
    "riskproof.v1.AttestationService/ListAttestations": OPERATOR_AND_ALICE,
    "riskproof.v1.AttestationService/VerifyAttestation": EVERYONE,
    "riskproof.v1.AttestationService/GetOpening": ALICE,
    "riskproof.v1.AttestationService/GetKeySet": EVERYONE,
    "riskproof.v1.ProofService/CreateChallenge": {"verifier"},
    "riskproof.v1.ProofService/Prove": ALICE,
    "riskproof.v1.ProofService/VerifyProof": EVERYONE,
    "riskproof.v1.ProofService/VerifyProofs": EVERYONE,
}
REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def check_reason(error: grpc.RpcError) -> None:
    _, (info, *_) = details(error)
    assert info.reason == error.code().name
    assert info.domain == "riskproof"


def outcome(channel: grpc.Channel, name: str) -> grpc.StatusCode:
    fields = {"account_id": "alice"} if "account_id" in methods()[name].input_type.fields_by_name else {}
    try:
        raw_call(channel, name, **fields)
    except grpc.RpcError as error:
        if error.code() in REFUSALS:
            check_reason(error)
        return error.code()
    return grpc.StatusCode.OK


def test_every_method_is_in_the_table_and_has_a_rule() -> None:
    assert set(methods()) == set(ALLOWED) == set(RULES)


@pytest.mark.parametrize("who", sorted(EVERYONE))
def test_every_method_with_every_role(live: Live, who: str) -> None:
    with live.channel(who) as channel:
        for name, allowed in ALLOWED.items():
            code = outcome(channel, name)
            if who in allowed:
                assert code not in REFUSALS, name
            else:
                assert code is grpc.StatusCode.PERMISSION_DENIED, name


def test_every_method_without_a_certificate(live: Live) -> None:
    with live.channel(None) as channel:
        for name in ALLOWED:
            assert outcome(channel, name) is grpc.StatusCode.UNAUTHENTICATED, name


def test_the_listener_for_certificates_refuses_who_has_none_in_tls(live: Live) -> None:
    with grpc.secure_channel(live.address, live.credentials(None)) as channel, pytest.raises(grpc.RpcError) as refused:
        raw_call(channel, "riskproof.v1.AttestationService/GetKeySet", timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_client_says_what_it_means(live: Live) -> None:
    with (
        Client(live.address, authority=live.files.authority.certificate, timeout=5) as nobody,
        pytest.raises(RemoteError, match="UNAVAILABLE"),
    ):
        nobody.get_key_set()
    with (
        Client(live.anonymous_address, authority=live.files.authority.certificate) as nobody,
        pytest.raises(UnauthenticatedError, match="no client certificate"),
    ):
        nobody.get_key_set()
    with live.client("bob") as bob, pytest.raises(PermissionDeniedError, match="own account only"):
        bob.get_positions("alice")
    with live.client("verifier") as verifier, pytest.raises(PermissionDeniedError, match="role verifier may not"):
        verifier.open_account("mallory")


def test_a_certificate_of_another_authority(live: Live, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("other")
    other = make_client_certificate(make_authority(folder), folder, Identity(Role.OPERATOR, "mallory"), name="mallory")
    with (
        Client(
            live.address,
            authority=live.files.authority.certificate,
            certificate=other.certificate,
            private_key=other.private_key,
            timeout=5,
        ) as mallory,
        pytest.raises(RemoteError, match="UNAVAILABLE"),
    ):
        mallory.get_key_set()


def signed(live: Live, *names: x509.GeneralName) -> grpc.ChannelCredentials:
    """Alice's key under a certificate of the right authority with other names."""
    authority = live.files.authority
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    issuer_key = load_pem_private_key(authority.private_key.read_bytes(), None)
    key = live.files.clients["alice"].private_key.read_bytes()
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")]))
        .issuer_name(issuer.subject)
        .public_key(load_pem_private_key(key, None).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate)


URI = x509.UniformResourceIdentifier


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ((), "states 0 roles"),
        ((x509.DNSName("operator"),), "states 0 roles"),
        ((x509.DNSName("riskproof://operator/x"),), "states 0 roles"),
        ((URI("https://operator/x"),), "states 0 roles"),
        ((URI("riskproof://operator/x"), URI("riskproof://verifier/y")), "states 2 roles"),
        ((URI("riskproof://root/x"),), "states no role"),
        ((URI("riskproof://operator"),), "states no role"),
        ((URI("riskproof://operator/"),), "states no role"),
        ((URI("riskproof://account-holder/a/b"),), "states no role"),
        ((URI("riskproof://account-holder/%61lice"),), "states no role"),
        ((URI("riskproof://account-holder/alice?x"),), "states no role"),
        ((URI("riskproof://account-holder/alice#x"),), "states no role"),
        ((URI("riskproof://Operator/x"),), "states no role"),
        ((URI("riskproof:operator/x"),), "states no role"),
    ],
)
def test_certificates_that_state_no_role_or_several(live: Live, names: tuple[x509.GeneralName, ...], what: str) -> None:
    with (
        grpc.secure_channel(live.address, signed(live, *names)) as channel,
        pytest.raises(grpc.RpcError, match=what) as refused,
    ):
        raw_call(channel, "riskproof.v1.AttestationService/GetKeySet")
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("account", ["alice", "a b", "a/b", "50%", "Zoë", "x" * 128])
def test_account_ids_survive_the_certificate(account: str) -> None:
    identity = Identity(Role.ACCOUNT_HOLDER, account)
    assert identity_from_uri(identity.uri) == identity


def test_a_holder_may_not_leave_the_account_out_to_see_more(live: Live) -> None:
    with live.channel("bob") as channel:
        for name in ("PositionService/GetPositions", "AttestationService/ListAttestations"):
            with pytest.raises(grpc.RpcError) as refused:
                raw_call(channel, f"riskproof.v1.{name}", account_id="")
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_authorize_without_a_server() -> None:
    method = "riskproof.v1.PositionService/GetPositions"
    authorize(method, Identity(Role.ACCOUNT_HOLDER, "alice"), "alice")
    with pytest.raises(PermissionDeniedError):
        authorize(method, Identity(Role.ACCOUNT_HOLDER, "alice"), "Alice")
    with pytest.raises(UnauthenticatedError):
        authorize(method, None, "alice")


def test_anonymous_verifiers_if_configured(fresh: Files) -> None:
    with serving(fresh, make_config(fresh, anonymous_role="verifier")) as live, live.channel(None) as channel:
        for name, allowed in ALLOWED.items():
            code = outcome(channel, name)
            assert (code is grpc.StatusCode.PERMISSION_DENIED) == ("verifier" not in allowed), name
            assert code is not grpc.StatusCode.UNAUTHENTICATED
