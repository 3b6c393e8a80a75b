"""The development authority's files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from service_support import ALICE

from riskproof.errors import ConfigError
from riskproof.service.certificates import (
    CertificateFiles,
    make_authority,
    make_client_certificate,
    make_server_certificate,
)


def test_private_keys_are_private_and_nothing_is_overwritten(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    made = make_client_certificate(authority, tmp_path, ALICE, name="alice")
    for files in (authority, made):
        assert stat.S_IMODE(files.private_key.stat().st_mode) == 0o600
        assert stat.S_IMODE(files.certificate.stat().st_mode) == 0o644
    before = authority.private_key.read_bytes()
    with pytest.raises(ConfigError, match="cannot be made"):
        make_authority(tmp_path)
    assert authority.private_key.read_bytes() == before


def test_what_the_certificates_say(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, name="test authority")
    made = make_client_certificate(authority, tmp_path, ALICE, name="alice")
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [n.value for n in names] == ["riskproof://account-holder/alice"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.read_bytes()))
    server = make_server_certificate(authority, tmp_path, hosts=("venue.example", "10.0.0.1"))
    certificate = x509.load_pem_x509_certificate(server.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["venue.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]


def test_not_an_authority(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a certificate authority"):
        make_server_certificate(CertificateFiles(tmp_path / "a", tmp_path / "b"), tmp_path)
