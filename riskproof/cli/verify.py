"""`riskproof verify`: for somebody who has never seen the book."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import kind_of, read_bytes
from riskproof.cli.inputs import FILE, HISTORY, SIGNATURES
from riskproof.cli.output import emit_json, json_option, money, progress, reports_errors
from riskproof.errors import InputError
from riskproof.units import format_time

if TYPE_CHECKING:
    from riskproof.attest.payload import Attestation
    from riskproof.verify import Verdict
    from riskproof.verify.net_risk import ProofVerdict

EXIT = {"valid": 0, "invalid": 1, "malformed": 2}


@click.command()
@click.argument("file", type=FILE)
@click.option("--keys", required=True, type=FILE, help="JWK set with the venue's public keys.")
@click.option("--attestation", type=FILE, help="The attestation that FILE, a disclosure, belongs to.")
@click.option("--audience", help="Who you are: an attestation made for somebody else is invalid.")
@click.option("--nonce", help="The nonce that you asked for.")
@click.option("--venue", help="The venue that must have signed [default: any venue of the key set].")
@click.option("--market", type=FILE, help="Market file: digests are compared, the risk array is recomputed.")
@click.option("--model", type=FILE, help="Model file, if the model is not one that ships.")
@HISTORY
@click.option("--opening", type=FILE, help="Opening (for auditors): roots, columns, P&L and margin are recomputed.")
@click.option("--now", type=int, help="Verify as of this time, seconds since the epoch [default: the clock].")
@click.option("--max-snapshot-age", type=int, help="Largest age of the snapshot at issue, seconds.")
@SIGNATURES
@json_option
@reports_errors
def verify(
    file: Path,
    keys: Path,
    attestation: Path | None,
    audience: str | None,
    nonce: str | None,
    venue: str | None,
    market: Path | None,
    model: Path | None,
    history_files: tuple[Path, ...],
    opening: Path | None,
    now: int | None,
    max_snapshot_age: int | None,
    require_signatures: int,
    as_json: bool,
) -> None:
    """Verify an attestation, or with --attestation a disclosure of one of its positions.

    Exit status: 0 valid, 1 invalid (the number of the failed check is printed), 2 malformed.

    \b
    riskproof verify att.json --keys keys.json --audience lender
    riskproof verify att.json --keys keys.json --market market.json
    riskproof verify att.json --keys keys.json --market market.json --opening opening.json
    riskproof verify d.json --attestation att.json --keys keys.json
    """
    from riskproof.verify import verify_attestation, verify_disclosure

    misplaced = {"--opening": opening, "--model": model, "--history": history_files or None}
    if attestation is not None and any(misplaced.values()):
        raise InputError(
            "belongs to an attestation; FILE is a disclosure where --attestation is given",
            where=next(option for option, given in misplaced.items() if given),
            expected="riskproof verify ATTESTATION ... for it, without --attestation",
        )
    at = int(time.time()) if now is None else now
    data = read_bytes(file)
    with progress("recomputing; the first time on a machine this compiles the kernel ..."):
        if attestation is not None:
            verdict = verify_disclosure(
                data,
                read_bytes(attestation),
                read_bytes(keys),
                now=at,
                audience=audience,
                nonce=nonce,
                market=_optional(market),
                max_snapshot_age=max_snapshot_age,
                required_signatures=require_signatures,
                venue=venue,
            )
        else:
            verdict = verify_attestation(
                data,
                read_bytes(keys),
                now=at,
                audience=audience,
                nonce=nonce,
                market=_optional(market),
                model=_optional(model),
                histories=[read_bytes(path) for path in history_files],
                opening=_optional(opening),
                max_snapshot_age=max_snapshot_age,
                required_signatures=require_signatures,
                venue=venue,
            )
    if as_json:
        emit_json(verdict.to_document())
    else:
        click.echo(verdict_text(verdict))
        if attestation is None and verdict.outcome.value == "malformed" and (what := _other_document(data)):
            click.echo(f"{file} is {what}", err=True)
    sys.exit(EXIT[verdict.outcome.value])


def _other_document(data: bytes) -> str:
    """What a file that is no attestation seems to be, and what to do with it; "" if that cannot be told."""
    what_to_do = {
        "a disclosure": ": give its attestation with --attestation",
        "an opening": ", which is secret: give it with --opening, after the attestation",
        "a market file": ": give it with --market, after the attestation",
        "a proof": ": riskproof verify-proof verifies it",
        "a challenge": ": riskproof prove answers it",
    }
    kind = kind_of(data)
    return kind + what_to_do[kind] if kind in what_to_do else ""


def _optional(path: Path | None) -> bytes | None:
    return None if path is None else read_bytes(path)


def verdict_text(verdict: Verdict) -> str:
    """A verdict in words: the outcome, what was said, what was checked, what was not."""
    lines = [verdict.outcome.value + (f": {verdict.reason}" if verdict.reason else "")]
    if verdict.outcome.value == "valid" and verdict.attestation is not None:
        lines += statement_lines(verdict.attestation)
    if verdict.identity is not None:
        lines.append(f"  opened: the holder is {verdict.identity}")
    lines += [
        f"  proved: the committed book holds {p.quantity} {p.instrument.name} ({p.lots} lots, registry index {p.index})"
        for p in verdict.positions
    ]
    return "\n".join(lines + check_lines(verdict))


def check_lines(verdict: Verdict | ProofVerdict) -> list[str]:
    """What was checked, what failed, what was not checked."""
    lines = [f"  [{check.number:>2}] {check.name}" for check in verdict.checks]
    if verdict.failed_check is not None:
        lines.append(f"  [{verdict.failed_check:>2}] FAILED: {verdict.check}")
    return lines + [f"  note: {note}" for note in verdict.notes]


def statement_lines(statement: Attestation) -> list[str]:
    """What an attestation says, for people."""
    return [*_risk_lines(statement), *_holder_lines(statement)]


def _holder_lines(statement: Attestation) -> list[str]:
    from riskproof.attest.keyset import thumbprint

    holder, window = statement.holder, statement.exclusive
    if holder is None:
        return []
    lines = [
        f"  held by whoever has the key {thumbprint(holder.key)}; the identity is committed to and hidden",
        f"  account tag {holder.tag.hex()} in epoch {holder.tag_epoch}",
    ]
    if window is not None:
        lines.append(
            f"  exclusive from {format_time(window.start)} until {format_time(window.until)}: "
            f"{statement.venue} promises no other exclusive attestation of the account in that time"
        )
    return lines


def _risk_lines(statement: Attestation) -> list[str]:
    disclosed = statement.disclosed
    interval = f"{format_time(statement.issued_at)}, until {format_time(statement.expires_at)}"
    market = f"{statement.registry_size} instruments at the prices of {format_time(statement.snapshot_time)}"
    model = f"{statement.model_name} ({statement.model_digest.hex()[:16]})"  # a name by itself is anybody's to take
    lines = [
        f"  {statement.venue} says at {interval}" + (f", to {statement.audience}:" if statement.audience else ":"),
        f"  a book over {market}, under {model}, has",
    ]
    if disclosed.grid is None:
        return [*lines, "  a risk that is not disclosed (policy none)"]
    _, initial, maintenance = disclosed.margin
    lines.append(
        f"  initial margin {money(initial)}, maintenance margin {money(maintenance)} {statement.numeraire} (rounded up)"
        + (f", worst scenario {disclosed.worst_scenario}" if disclosed.worst_scenario is not None else "")
    )
    return lines
