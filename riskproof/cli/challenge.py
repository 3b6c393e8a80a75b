"""`riskproof challenge`: what a verifier asks of account holders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import check_outputs, write_bytes
from riskproof.cli.inputs import FILE, MODEL, any_model, is_model_file
from riskproof.cli.output import money, reports_errors
from riskproof.errors import ModelError, ProofError, UnitError
from riskproof.units import INT64_MAX, MICROS_EXPONENT, format_decimal, format_time, parse_decimal

if TYPE_CHECKING:
    from riskproof.proof.challenge import Challenge

DEFAULT_TTL = 3600
DEFAULT_MAX_SKEW = 60

# Which option is to blame for which member.
_OPTIONS = {
    "audience": "--audience",
    "issued_at": "--at",
    "expires_at": "--ttl",
    "bound": "--bound",
    "max_skew_seconds": "--max-skew",
    "max_age_seconds": "--max-age",
    "numeraire": "--numeraire",
    "slack_bits": "--slack-bits",
    "requirement": "--requirement",
}

STATEMENT = click.option(
    "--statement",
    type=click.Choice(["loss", "solvency", "margin", "excess"]),
    default="loss",
    show_default=True,
    help="loss: the net loss is at most the bound; solvency: stressed equity is at least minus the bound [default: 0]; "
    "margin: the model's requirement is at most the bound; excess: equity less it is at least minus the bound [default: 0].",
)
REQUIREMENT = click.option(
    "--requirement",
    type=click.Choice(["initial", "maintenance"]),
    help="Which margin, for the statements margin and excess.",
)
BOUND = click.option("--bound", help="Amount of the numeraire, up to six decimals, such as 120000.00.")
MAX_SKEW = click.option(
    "--max-skew",
    type=int,
    default=DEFAULT_MAX_SKEW,
    show_default=True,
    help="Most seconds between the attestations' times of issue, and between their snapshots' times.",
)
MAX_AGE = click.option(
    "--max-age", type=int, help="Most seconds from an attestation's issue to the challenge's [default: no limit]."
)
TTL = click.option(
    "--ttl", type=int, default=DEFAULT_TTL, show_default=True, help="Seconds in which it has to be answered."
)
EXCLUSIVE = click.option(
    "--exclusive", is_flag=True, help="Demand attestations that are exclusive for the challenge's life."
)
OUT = click.option(
    "--out", required=True, type=FILE, help="Challenge to write; for the holder, and kept to verify with."
)


@click.command()
@click.option("--audience", required=True, help="Who you are; the attestations and the proof are for nobody else.")
@MODEL
@BOUND
@STATEMENT
@MAX_SKEW
@MAX_AGE
@TTL
@EXCLUSIVE
@click.option("--numeraire", help="Currency of the bound [default: that of the attestations].")
@click.option(
    "--slack-bits", type=int, help="Bits of a slack, a multiple of 8 [default: what the registries' exponents need]."
)
@REQUIREMENT
@click.option("--embed-model", is_flag=True, help="Carry a shipped model whole, too; a model file always is.")
@click.option("--at", type=int, help="Time of issue, seconds since the epoch [default: the clock].")
@OUT
@reports_errors
def challenge(
    audience: str,
    model_name: str,
    bound: str | None,
    statement: str,
    max_skew: int,
    max_age: int | None,
    ttl: int,
    exclusive: bool,
    numeraire: str | None,
    slack_bits: int | None,
    requirement: str | None,
    embed_model: bool,
    at: int | None,
    out: Path,
) -> None:
    """Ask account holders to prove something of their net risk, over all accounts that they show, under your scenarios.

    A challenge is fresh: it holds 32 random bytes, and a proof answers this one only. It carries a model file whole; a model that
    ships is named by its digest.

    \b
    riskproof challenge --audience lender --model crypto-pm --bound 1000000 --out challenge.json
    riskproof challenge --audience lender --model own.json --statement solvency --exclusive --out challenge.json
    riskproof challenge --audience lender --model derive-pm2 --statement excess --requirement initial --out challenge.json
    """
    from riskproof.proof.challenge import Challenge, Margin, StatementKind
    from riskproof.proof.leakage import check_bound, check_slack_bits
    from riskproof.proof.programme.histories import refuse_histories
    from riskproof.proof.rows import DEFAULT_BITS
    from riskproof.risk.model import RiskModel

    check_outputs({"--out": out}, [Path(model_name)] if is_model_file(model_name) else [])
    kind = StatementKind(statement)
    micros = parse_bound(bound, needed=kind in (StatementKind.LOSS, StatementKind.MARGIN))
    model = any_model(model_name)
    if kind in (StatementKind.LOSS, StatementKind.SOLVENCY) and not isinstance(model, RiskModel):
        raise ModelError(
            f"{kind} is proved scenario by scenario, and {model.name} is of version 2",
            where="--model",
            expected="a model of version 1, such as crypto-pm, or --statement margin or excess",
        )
    if not isinstance(model, RiskModel):
        refuse_histories(model.tail)
    if kind is StatementKind.SOLVENCY and getattr(model, "collateral", None) is None:
        raise ModelError(
            f"{model.name} does not say what collateral is worth", where="--model", expected="a model with haircuts"
        )
    try:
        made = Challenge.new(
            audience=audience,
            bound_micros=micros,
            model=model,
            now=int(time.time()) if at is None else at,
            statement=kind,
            ttl=ttl,
            max_skew_seconds=max_skew,
            exclusive=exclusive,
            numeraire=numeraire,
            slack_bits=slack_bits,
            max_age_seconds=max_age,
            margin=None if requirement is None else Margin(requirement),
            embed_model=embed_model or is_model_file(model_name),
        )
        Challenge.from_bytes(made.to_bytes(), "")
    except ProofError as error:
        member = error.where.removeprefix(".")
        raise ProofError(error.what, where=_OPTIONS.get(member, error.where), expected=error.expected) from None
    write_bytes(out, made.to_bytes())
    click.echo(f"{out}: challenge {made.digest.hex()}\n{asked_text(made, len(model.scenarios))}", err=True)
    try:
        check_bound(micros)
        check_slack_bits(DEFAULT_BITS if slack_bits is None else slack_bits, DEFAULT_BITS)
    except ProofError as error:
        click.echo(f"note: provers will refuse: {error}", err=True)


def parse_bound(text: str | None, *, needed: bool) -> int:
    """The bound in micros (ProofError)."""
    if text is None:
        if needed:
            raise ProofError("no bound", where="--bound", expected="an amount such as 120000.00")
        return 0
    try:
        micros = parse_decimal(text, MICROS_EXPONENT, "--bound")
    except UnitError as error:
        largest = f"at most {format_decimal(INT64_MAX, MICROS_EXPONENT)}, with up to six decimals, such as 120000.00"
        raise ProofError(error.what, where=error.where, expected=largest) from None
    if micros < 0:
        raise ProofError(f"{text} is negative", where="--bound", expected="0 or more")
    return micros


def asked_text(asked: Challenge, scenarios: int) -> str:
    """What a challenge asks, in words, under a model of that many scenarios."""
    from riskproof.proof.challenge import StatementKind

    bound = f"{money(asked.bound_micros)} {asked.numeraire or 'of the numeraire'}"
    if asked.margin is not None:
        what = f"{asked.margin} margin of the accounts you show, positions taken together,"
        claim = f"that the {what} is at most {bound}"
        if asked.statement is StatementKind.EXCESS:
            least = f"at least -{bound}" if asked.bound_micros else "not negative"
            claim = f"that your equity less the {what} is {least}"
    elif asked.statement is StatementKind.LOSS:
        claim = f"that your net loss over the accounts you show is at most {bound}"
    elif asked.bound_micros:
        claim = f"that your equity over the accounts you show, after haircuts and net loss, is at least -{bound}"
    else:
        claim = "that your equity over the accounts you show, after haircuts and net loss, is not negative"
    where = "under" if asked.margin is not None else f"in each of the {scenarios} scenarios of"
    lines = [
        f"{asked.audience} asks: prove {claim},",
        f"{where} {asked.model_name} ({'carried' if asked.model else 'named by its digest'}),",
        f"before {format_time(asked.expires_at)}, with attestations issued, and priced, at most {asked.max_skew_seconds} s apart",
    ]
    if asked.max_age_seconds is not None:
        lines.append(f"and issued at most {asked.max_age_seconds} s before {format_time(asked.issued_at)}")
    if asked.exclusive:
        start, until = format_time(asked.issued_at), format_time(asked.expires_at)
        lines.append(f"and exclusive from {start} until {until}")
    return "\n  ".join(lines)
