"""`riskproof remote challenge`, `prove` and `verify-proof`: the proof service from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.challenge import (
    BOUND,
    EXCLUSIVE,
    MAX_AGE,
    MAX_SKEW,
    OUT,
    REQUIREMENT,
    STATEMENT,
    TTL,
    asked_text,
    parse_bound,
)
from riskproof.cli.connection import connected
from riskproof.cli.files import check_outputs, read_bytes, read_kind, write_bytes
from riskproof.cli.inputs import FILE
from riskproof.cli.output import emit_json, json_option, reports_errors
from riskproof.cli.verify import EXIT
from riskproof.cli.verify_proof import (
    ATTESTATIONS,
    CHALLENGE,
    CHALLENGE_MODEL,
    advice,
    check_given_model,
    check_pairs,
    proof_text,
)
from riskproof.errors import FalseStatementError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from riskproof.client import Client

_NOTHING = b""  # the server's own


@click.command()
@click.option("--audience", default="", help="Who you are [default: the venue's name].")
@click.option("--model", "model_name", default="", help="Model that the venue serves [default: the venue's].")
@click.option("--model-file", type=FILE, help="A model of your own, instead.")
@BOUND
@STATEMENT
@REQUIREMENT
@MAX_SKEW
@MAX_AGE
@TTL
@EXCLUSIVE
@click.option("--numeraire", default="", help="Currency of the bound [default: that of the attestations].")
@OUT
@reports_errors
@connected
def challenge(
    client: Client,
    audience: str,
    model_name: str,
    model_file: Path | None,
    bound: str | None,
    statement: str,
    requirement: str | None,
    max_skew: int,
    max_age: int | None,
    ttl: int,
    exclusive: bool,
    numeraire: str,
    out: Path,
) -> None:
    """Have the venue make a challenge with its clock and its model. Verifiers; `riskproof challenge` needs no venue."""
    from riskproof.proof.challenge import Challenge

    if model_name and model_file is not None:
        raise InputError("two models", where="--model-file", expected="--model or --model-file")
    if ttl < 1:  # in the request, 0 stands for the server's own
        raise InputError(f"{ttl} s", where="--ttl", expected="1 or more")
    check_outputs({"--out": out}, [model_file])
    made = client.create_challenge(
        bound_micros=parse_bound(bound, needed=statement in ("loss", "margin")),
        audience=audience,
        statement=statement,
        requirement=requirement or "",
        model=model_name if model_file is None else read_bytes(model_file),
        max_skew_seconds=max_skew,
        max_age_seconds=max_age,
        exclusive=exclusive,
        ttl_seconds=ttl,
        numeraire=numeraire,
    )
    parsed = Challenge.from_bytes(made)
    assert parsed.model is not None
    write_bytes(out, made)
    click.echo(f"{out}: challenge {parsed.digest.hex()}\n{asked_text(parsed, len(parsed.model.scenarios))}", err=True)


@click.command()
@click.option("--account", required=True, help="Account id.")
@CHALLENGE
@click.option(
    "--holder-key",
    required=True,
    type=FILE,
    help="Key folder whose public half the attestations bind; it signs here, and is not sent.",
)
@ATTESTATIONS
@click.option(
    "--brought-attestation",
    "brought",
    multiple=True,
    type=FILE,
    help="Attestation of another venue; may be repeated, the next two with it.",
)
@click.option(
    "--brought-opening", "openings", multiple=True, type=FILE, help="Its opening: SECRET, and this venue will know it."
)
@click.option("--brought-market", "markets", multiple=True, type=FILE, help="Market file of its snapshot.")
@click.option("--allow-tight-bound", is_flag=True, help="Ask for a bound that tells nearly your exact loss.")
@click.option("--out", required=True, type=FILE, help="Proof to write: for the verifier.")
@reports_errors
@connected
def prove(
    client: Client,
    account: str,
    challenge_file: Path,
    holder_key: Path,
    attestations: tuple[Path, ...],
    brought: tuple[Path, ...],
    openings: tuple[Path, ...],
    markets: tuple[Path, ...],
    allow_tight_bound: bool,
    out: Path,
) -> None:
    """Have the venue, which has the openings, prove what a challenge asks; sign it here. The account's holder.

    What is signed is recomputed first. The venue counts what its answers tell the challenge's audience, and refuses one that would
    tell too much.

    Exit status: 0 the proof is written; 1 refused: the statement is false (by how much, and in which scenario, is for you alone),
    or the answer would tell too much; 2 bad input. If it is not 0, nothing is written.

    \b
    riskproof remote prove --server HOST:PORT --identity tls/account-holder-alice --account alice \\
        --challenge challenge.json --holder-key alice-key --attestation att.json --out proof.json
    """
    from riskproof.attest.keys import load_signing_key
    from riskproof.client import BroughtAccount

    check_outputs({"--out": out}, [challenge_file, *attestations, *brought, *openings, *markets], [holder_key])
    if not len(brought) == len(openings) == len(markets):
        raise InputError(
            f"given {len(brought)}, {len(openings)} and {len(markets)} times",
            where="--brought-attestation, --brought-opening, --brought-market",
            expected="each once for each account of another venue, in the same order",
        )
    key = load_signing_key(holder_key)
    try:
        proof = client.prove(
            account,
            read_kind(challenge_file, "--challenge", "a challenge"),
            [read_kind(path, "--attestation", "an attestation") for path in attestations],
            key,
            brought=[
                BroughtAccount(
                    read_kind(a, "--brought-attestation", "an attestation"),
                    read_kind(o, "--brought-opening", "an opening"),
                    read_kind(m, "--brought-market", "a market file"),
                )
                for a, o, m in zip(brought, openings, markets, strict=True)
            ],
            allow_tight_bound=allow_tight_bound,
            progress=lambda stage, done: click.echo(f"{done:4.0%} {stage}", err=True),
        )
    except FalseStatementError:
        click.echo("nothing was written; what follows tells of your books, and is for you alone", err=True)
        raise
    write_bytes(out, proof)
    count = len(attestations) + len(brought)
    click.echo(f"{out}: proof over {'1 account' if count == 1 else f'{count} accounts'}", err=True)


@click.command("verify-proof")
@click.argument("file", type=FILE)
@CHALLENGE
@ATTESTATIONS
@click.option(
    "--keys", multiple=True, type=FILE, help="JWK set of each attestation's venue, in order [default: this venue's]."
)
@click.option(
    "--market",
    "markets",
    multiple=True,
    type=FILE,
    help="Market of each attestation, in order [default: this venue's].",
)
@CHALLENGE_MODEL
@json_option
@reports_errors
@connected
def verify_proof(
    client: Client,
    file: Path,
    challenge_file: Path,
    attestations: tuple[Path, ...],
    keys: tuple[Path, ...],
    markets: tuple[Path, ...],
    model: Path | None,
    as_json: bool,
) -> None:
    """Ask the venue whether a proof answers a challenge; whoever trusts nobody runs `riskproof verify-proof`. Everyone.

    Exit status: 0 valid, 1 invalid (the number of the failed check is printed), 2 malformed.
    """
    from riskproof.verify.net_risk import ProofCase

    check_pairs(attestations, **{name: files for name, files in (("keys", keys), ("market", markets)) if files})
    case = ProofCase(
        read_bytes(file),
        read_bytes(challenge_file),
        [read_bytes(path) for path in attestations],
        _or_theirs(keys, len(attestations)),
        _or_theirs(markets, len(attestations)),
        None if model is None else read_bytes(model),
    )
    check_given_model(case, model)
    verdict = client.verify_proof(case)
    if as_json:
        emit_json(verdict.to_document())
    else:
        click.echo(proof_text(verdict))
        for line in advice(verdict, case, file, challenge_file, attestations, markets):
            click.echo(f"note: {line}", err=True)
    sys.exit(EXIT[verdict.outcome.value])


def _or_theirs(files: Sequence[Path], count: int) -> list[bytes]:
    return [read_bytes(path) for path in files] or [_NOTHING] * count
