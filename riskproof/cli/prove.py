"""`riskproof prove`: the account holder answers a challenge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.challenge import asked_text
from riskproof.cli.files import check_outputs, read_bytes, read_kind, write_bytes
from riskproof.cli.inputs import FILE
from riskproof.cli.output import compiling, progress, reports_errors
from riskproof.cli.verify_proof import ATTESTATIONS, CHALLENGE, CHALLENGE_MODEL, MARKETS, check_model, check_pairs
from riskproof.errors import FalseStatementError, InputError, ProofError
from riskproof.units import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from riskproof.attest.net_risk import ProverInput
    from riskproof.proof.challenge import Challenge
    from riskproof.proof.leakage import Event

DEFAULT_LEAK_LIMIT = 64


@click.command()
@CHALLENGE
@click.option(
    "--holder-key", "holder_key", required=True, type=FILE, help="Key folder whose public half the attestations bind."
)
@ATTESTATIONS
@click.option(
    "--opening",
    "openings",
    required=True,
    multiple=True,
    type=FILE,
    help="Opening of each attestation, in order: SECRET.",
)
@MARKETS
@CHALLENGE_MODEL
@click.option("--allow-tight-bound", is_flag=True, help="Answer a bound or slacks that tell nearly your exact loss.")
@click.option(
    "--leak-limit",
    type=int,
    default=DEFAULT_LEAK_LIMIT,
    show_default=True,
    help="Points that this audience may learn of an account in 30 days, about one bit each.",
)
@click.option("--out", required=True, type=FILE, help="Proof to write: for the verifier.")
@reports_errors
def prove(
    challenge_file: Path,
    holder_key: Path,
    attestations: tuple[Path, ...],
    openings: tuple[Path, ...],
    markets: tuple[Path, ...],
    model: Path | None,
    allow_tight_bound: bool,
    leak_limit: int,
    out: Path,
) -> None:
    """Prove to a verifier what its challenge asks, over all the accounts given; the books stay hidden.

    --attestation, --opening and --market are given once for each account: the first of each belong together, the second, and so
    on.

    Every answer tells the verifier something, a refusal too: they are counted in the key folder, by account and audience, before
    it is known whether there is a proof. Asking again for the same books at the same prices costs nothing.

    Exit status: 0 the proof is written; 1 refused: the statement is false (by how much, and in which scenario, is for you alone),
    or the answer would tell too much; 2 bad input. If it is not 0, nothing is written.

    \b
    riskproof prove --challenge challenge.json --holder-key alice-key \\
        --attestation a1.json --opening o1.json --market m1.json \\
        --attestation a2.json --opening o2.json --market m2.json --out proof.json
    """
    from riskproof.attest.keys import load_signing_key
    from riskproof.attest.net_risk import ProverInput, challenge_model, prove_net_risk
    from riskproof.market.marketfile import Market
    from riskproof.proof.challenge import Challenge
    from riskproof.proof.holder_budget import HolderBudget
    from riskproof.risk.margining import read as read_model

    check_pairs(attestations, opening=openings, market=markets)
    check_outputs({"--out": out}, [challenge_file, *attestations, *openings, *markets, model], [holder_key])
    key = load_signing_key(holder_key)
    asked_bytes = read_kind(challenge_file, "--challenge", "a challenge")
    asked = Challenge.from_bytes(asked_bytes, str(challenge_file))
    given = None if model is None else read_model(read_bytes(model), str(model))
    check_model(asked, given, model)
    scenarios = challenge_model(asked, given)
    inputs = [
        ProverInput(
            read_kind(a, "--attestation", "an attestation"),
            read_kind(o, "--opening", "an opening"),
            Market.from_bytes(read_kind(m, "--market", "a market file"), str(m)),
        )
        for a, o, m in zip(attestations, openings, markets, strict=True)
    ]
    click.echo(asked_text(asked, len(scenarios.scenarios)), err=True)
    now = int(time.time())
    try:
        events = _events(asked, inputs, key.public.raw, allow_tight_bound)
        _note_times(asked, inputs, now)
        left = HolderBudget(holder_key).charge(events, now=now, limit=leak_limit)
        with compiling(), progress("proving ..."):
            proof = prove_net_risk(asked_bytes, inputs, key, model=scenarios, allow_tight_bound=allow_tight_bound)
    except FalseStatementError as error:
        click.echo("nothing was written; what follows tells of your books, and is for you alone", err=True)
        raise FalseStatementError(f"{error.what} {_numeraire(inputs)}", where=error.where) from None
    except InputError as error:
        raise _named(error, attestations, openings, markets) from None
    write_bytes(out, proof)
    accounts = "1 account" if len(inputs) == 1 else f"{len(inputs)} accounts"
    click.echo(
        f"{out}: proof over {accounts}, answers challenge {asked.digest.hex()}\n"
        f"{asked.audience} may learn {left} of {leak_limit} points more (about one bit each: riskproof prove --help)",
        err=True,
    )


def _events(asked: Challenge, inputs: Sequence[ProverInput], key: bytes, allow_tight_bound: bool) -> tuple[Event, ...]:
    """What the verifier will learn; says why a tight bound is dangerous, as an error or a warning."""
    from riskproof.attest.answers import challenge_events
    from riskproof.proof.leakage import TIGHT_DANGER

    try:
        return challenge_events(asked, inputs, key)
    except ProofError as error:
        if TIGHT_DANGER not in error.what:
            raise
        if not allow_tight_bound:
            expected = f"{error.expected}; or --allow-tight-bound"
            raise ProofError(error.what, where=f"the challenge's {error.where}", expected=expected) from None
        click.echo(f"warning: {error.where}: {error.what}", err=True)
    return challenge_events(asked, inputs, key, allow_tight_bound=True)


def _note_times(asked: Challenge, inputs: Sequence[ProverInput], now: int) -> None:
    """Say what the verifier will refuse because of the time: it is its clock that counts, not ours."""
    from riskproof.attest.envelope import Envelope
    from riskproof.attest.payload import Attestation

    if not asked.issued_at <= now < asked.expires_at:
        lives = f"from {format_time(asked.issued_at)} until {format_time(asked.expires_at)}"
        click.echo(f"note: the challenge lives {lives}, it is {format_time(now)}: the verifier will refuse", err=True)
    for given in inputs:
        attestation = Attestation.from_bytes(Envelope.from_bytes(given.attestation).payload)
        if now >= attestation.expires_at:
            expired = format_time(attestation.expires_at)
            click.echo(
                f"note: the attestation of {attestation.venue} expired at {expired}: the verifier will refuse", err=True
            )


def _numeraire(inputs: Sequence[ProverInput]) -> str:
    from riskproof.market.marketfile import Market

    market = inputs[0].market
    assert isinstance(market, Market)
    return market.registry.numeraire


def _named(
    error: InputError, attestations: Sequence[Path], openings: Sequence[Path], markets: Sequence[Path]
) -> InputError:
    """An error about the i-th attestation, its opening or its market, with the file's name in its place."""
    for i, files in enumerate(zip(openings, markets, attestations, strict=True)):
        for member, path in zip((".opening", ".market", ""), files, strict=True):
            name = f"attestations[{i}]{member}"
            if error.where == name or error.where.startswith((name + ".", name + ":")):
                return type(error)(error.what, where=str(path) + error.where[len(name) :], expected=error.expected)
    return error
