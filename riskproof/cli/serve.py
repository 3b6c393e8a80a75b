"""`riskproof serve` and `riskproof certificates`: running a venue."""

from __future__ import annotations

import os
from pathlib import Path

import click

from riskproof.cli.inputs import FILE
from riskproof.cli.output import reports_errors
from riskproof.errors import ConfigError


@click.command()
@click.option(
    "--config", "config_file", type=FILE, help="TOML file; RISKPROOF_<SECTION>_<MEMBER> variables override it."
)
@reports_errors
def serve(config_file: Path | None) -> None:
    """Run the gRPC service of a venue until SIGTERM or SIGINT, then finish the calls at work.

    A file to start from; paths in it count from the folder that it is in:

    \b
    [server]
    address = "127.0.0.1:50051"
    [tls]
    certificate = "tls/server.pem"
    private_key = "tls/server-key.pem"
    client_ca = "tls/ca.pem"
    [venue]
    key = "venue-key"
    [ledger]
    url = "sqlite:///ledger.db"
    """
    import asyncio

    from riskproof.service.config import load_config
    from riskproof.service.server import serve as run

    asyncio.run(run(load_config(config_file, os.environ)))


@click.command()
@click.option(
    "--out", "directory", required=True, type=FILE, help="Folder for the certificates; it is made if need be."
)
@click.option(
    "--host", "hosts", multiple=True, help="Name or address of the server; may be repeated [default: loopback]."
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="ROLE:NAME",
    help="Client certificate: operator:NAME, account-holder:ACCOUNT or verifier:NAME; may be repeated.",
)
@reports_errors
def certificates(directory: Path, hosts: tuple[str, ...], clients: tuple[str, ...]) -> None:
    """Make a private authority, a server certificate and client certificates, for tests and closed networks.

    Files: ca.pem, ca-key.pem, server.pem, server-key.pem, and ROLE-NAME.pem with ROLE-NAME-key.pem for each client. In a folder
    that has an authority already, it issues the certificates of further clients. Nothing is ever overwritten.

    \b
    riskproof certificates --out tls --client operator:ops --client account-holder:alice --client verifier:lender
    riskproof certificates --out tls --client account-holder:bob
    """
    from riskproof.service.certificates import (
        LOOPBACK,
        CertificateFiles,
        make_authority,
        make_client_certificate,
        make_server_certificate,
    )
    from riskproof.service.identity import Identity, Role

    wanted: dict[str, Identity] = {}
    for text in clients:
        role, colon, name = text.partition(":")
        if not colon or role not in tuple(Role) or not name or not set(name) <= _PLAIN:
            raise ConfigError(
                f"not a client: {text[:64]!r}",
                where="--client",
                expected=f"ROLE:NAME with a role of {', '.join(Role)} and a name of letters, digits, '.', '-' and '_'",
            )
        wanted[f"{role}-{name}"] = Identity(Role(role), name)
    made = []
    try:
        authority = CertificateFiles(directory / "ca.pem", directory / "ca-key.pem")
        new = not authority.private_key.exists()
        with_server = new or bool(hosts)
        _refuse_existing(directory, [*(("ca",) if new else ()), *(("server",) if with_server else ()), *wanted])
        if new:
            authority = make_authority(directory)
            made.append("authority")
        if with_server:
            make_server_certificate(authority, directory, hosts=hosts or LOOPBACK)
            made.append("server")
        for name, identity in wanted.items():
            make_client_certificate(authority, directory, identity, name=name)
            made.append(name)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(directory), expected="a folder") from None
    if not made:
        raise ConfigError(
            "the folder has an authority and a server", where=str(directory), expected="--client ROLE:NAME"
        )
    click.echo(f"{directory}: {', '.join(made)}; private keys have mode 0600", err=True)


def _refuse_existing(directory: Path, names: list[str]) -> None:
    """ConfigError if one of the certificates or keys is there already: all are made, or none."""
    for name in names:
        for path in (directory / f"{name}.pem", directory / f"{name}-key.pem"):
            if path.exists():
                raise ConfigError(
                    "exists, and nothing is overwritten", where=str(path), expected="another name or --out"
                )


_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
