"""`riskproof keys`: signing keys in private folders, public keys as a JWK set."""

from __future__ import annotations

import time
from pathlib import Path

import click

from riskproof.cli.files import read_bytes
from riskproof.cli.output import json_option, reports_errors


@click.group()
def keys() -> None:
    """Make signing keys, print public keys.

    \b
    riskproof keys new --out venue-key --venue venue-a
    riskproof keys public venue-key > keys.json
    """


@keys.command()
@click.option(
    "--out", "directory", required=True, type=click.Path(path_type=Path), help="Folder to make; it must not exist."
)
@click.option("--venue", default="venue", show_default=True, help="Name of the venue that will sign with the key.")
@reports_errors
def new(directory: Path, venue: str) -> None:
    """Make an Ed25519 signing key in a new folder that only you can read."""
    from riskproof.attest.keys import generate_key_dir

    key = generate_key_dir(directory, venue=venue)
    click.echo(f"key {key.key_id} of {venue} in {directory}", err=True)
    click.echo(f"publish its public half: riskproof keys public {directory} > keys.json", err=True)


@keys.command()
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--not-before", type=int, help="First second of the validity interval (seconds since the epoch).")
@click.option("--not-after", type=int, help="Last second of the validity interval.")
@json_option
@reports_errors
def public(directories: tuple[Path, ...], not_before: int | None, not_after: int | None, as_json: bool) -> None:
    """Print the public halves of one or more key folders as a JWK set (always JSON)."""
    from riskproof.attest.keys import public_key_set

    click.echo(public_key_set(directories, not_before=not_before, not_after=not_after).to_bytes().decode("ascii"))


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kid", required=True, help="Id of the key, as `keys public` prints it.")
@click.option(
    "--reason",
    required=True,
    type=click.Choice(["superseded", "compromised"]),
    help="superseded: earlier attestations stay valid; compromised: nothing that the key signed is valid any more.",
)
@click.option("--at", type=int, help="Time of the revocation, seconds since the epoch [default: the clock].")
@reports_errors
def revoke(file: Path, kid: str, reason: str, at: int | None) -> None:
    """Print a JWK set with one of its keys revoked.

    \b
    riskproof keys revoke keys.json --kid KID --reason compromised > new-keys.json
    """
    from riskproof.attest.keyset import KeySet, RevocationReason

    known = KeySet.from_bytes(read_bytes(file), str(file))
    revoked = known.revoked(kid, int(time.time()) if at is None else at, RevocationReason(reason))
    click.echo(revoked.to_bytes().decode("ascii"))
