"""A private certificate authority for mutual TLS on a development machine, in the demo and in tests.

`make_authority`, `make_server_certificate` and `make_client_certificate` write PEM files; private keys have mode 0600.
A venue in production
uses the authority it has: all the service asks of a client certificate is the URI of `identity`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from riskproof.errors import ConfigError
from riskproof.service.identity import Identity

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
DEFAULT_DAYS: Final = 365
_CLOCK_TOLERANCE: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class CertificateFiles:
    """Two PEM files: the certificate (mode 0644) and its private key (mode 0600)."""

    certificate: Path
    private_key: Path


def make_authority(
    directory: Path, *, name: str = "riskproof private authority", days: int = DEFAULT_DAYS
) -> CertificateFiles:
    """Make ca.pem and ca-key.pem in a directory, which is made if need be; ConfigError if they are there already."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key, days).issuer_name(_name(name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(sign_certificates=True), critical=True)
    return _write(directory, "ca", builder.sign(key, hashes.SHA256()), key)


def make_server_certificate(
    authority: CertificateFiles,
    directory: Path,
    *,
    hosts: Iterable[str] = LOOPBACK,
    name: str = "server",
    days: int = DEFAULT_DAYS,
) -> CertificateFiles:
    """Make NAME.pem and NAME-key.pem for a server that is reached under `hosts` (names or addresses)."""
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    return _issue(authority, directory, name, names, ExtendedKeyUsageOID.SERVER_AUTH, days)


def make_client_certificate(
    authority: CertificateFiles, directory: Path, identity: Identity, *, name: str, days: int = DEFAULT_DAYS
) -> CertificateFiles:
    """Make NAME.pem and NAME-key.pem for a client with a role."""
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    return _issue(authority, directory, name, names, ExtendedKeyUsageOID.CLIENT_AUTH, days)


def _issue(
    authority: CertificateFiles,
    directory: Path,
    name: str,
    names: x509.SubjectAlternativeName,
    usage: x509.ObjectIdentifier,
    days: int,
) -> CertificateFiles:
    try:
        issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
        issuer_key = load_pem_private_key(authority.private_key.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"not a certificate authority: {error}", where=str(authority.certificate), expected="ca.pem and ca-key.pem"
        ) from None
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key, days).issuer_name(issuer.subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(sign_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
    )
    return _write(directory, name, builder.sign(issuer_key, hashes.SHA256()), key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(name: str, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> CertificateFiles:
    files = CertificateFiles(directory / f"{name}.pem", directory / f"{name}-key.pem")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, data, mode in (
        (files.private_key, private, 0o600),
        (files.certificate, certificate.public_bytes(Encoding.PEM), 0o644),
    ):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise ConfigError(f"cannot be made: {error.strerror}", where=str(path), expected="a new file") from None
        with os.fdopen(handle, "wb") as f:
            f.write(data)
    return files
