"""`riskproof serve` and `riskproof certificates`: running a venue."""

from __future__ import annotations

import os
from pathlib import Path

import click

from riskproof.cli.market import FILE
from riskproof.cli.output import reports_errors
from riskproof.errors import ConfigError


@click.command()
@click.option(
    "--config", "config_file", type=FILE, help="TOML file; RISKPROOF_<SECTION>_<MEMBER> variables override it."
)
@reports_errors
def serve(config_file: Path | None) -> None:
    """Run the gRPC service of a venue until SIGTERM or SIGINT, then finish the calls at work.

    \b
    [server]                              [venue]
    address = "127.0.0.1:50051"           key = "venue-key"
    [tls]                                 [ledger]
    certificate = "tls/server.pem"        url = "sqlite:///ledger.db"
    private_key = "tls/server-key.pem"
    client_ca = "tls/ca.pem"
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

    Files: ca.pem, server.pem, server-key.pem, and ROLE-NAME.pem with ROLE-NAME-key.pem for each client.

    \b
    riskproof certificates --out tls --client operator:ops --client account-holder:alice --client verifier:lender
    """
    from riskproof.service.certificates import (
        LOOPBACK,
        make_authority,
        make_client_certificate,
        make_server_certificate,
    )
    from riskproof.service.identity import Identity, Role

    wanted = []
    for text in clients:
        role, colon, name = text.partition(":")
        if not colon or role not in tuple(Role) or not name or not set(name) <= _PLAIN:
            raise ConfigError(
                f"not a client: {text[:64]!r}",
                where="--client",
                expected=f"ROLE:NAME with a role of {', '.join(Role)} and a name of letters, digits, '.', '-' and '_'",
            )
        wanted.append(Identity(Role(role), name))
    authority = make_authority(directory)
    make_server_certificate(authority, directory, hosts=hosts or LOOPBACK)
    for identity in wanted:
        make_client_certificate(authority, directory, identity, name=f"{identity.role}-{identity.name}")
    click.echo(f"{directory}: authority, server, {len(wanted)} clients; private keys have mode 0600", err=True)


_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
