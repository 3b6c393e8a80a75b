"""`riskproof verify-proof`: for a verifier who has never seen a book, and does not learn which venue holds what."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import kind_of, read_bytes
from riskproof.cli.inputs import FILE, SIGNATURES
from riskproof.cli.output import emit_json, json_option, progress, reports_errors
from riskproof.cli.verify import EXIT, check_lines
from riskproof.errors import InputError, ProofError, RiskproofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from riskproof.proof.challenge import AnyModel, Challenge
    from riskproof.verify.net_risk import ProofCase, ProofVerdict
    from riskproof.verify.second_opinion import SecondOpinion

EXIT_DISAGREEMENT = 3

CHALLENGE = click.option(
    "--challenge", "challenge_file", required=True, type=FILE, help="The challenge, as it was made."
)
ATTESTATIONS = click.option(
    "--attestation", "attestations", required=True, multiple=True, type=FILE, help="Attestation; one for each account."
)
MARKETS = click.option(
    "--market", "markets", required=True, multiple=True, type=FILE, help="Market file of each attestation, in order."
)
CHALLENGE_MODEL = click.option(
    "--model", type=FILE, help="Model file, if the challenge does not carry the model and it is not one that ships."
)


def check_pairs(attestations: Sequence[Path], **others: Sequence[Path]) -> None:
    """Repeated options pair up by position; InputError if their counts differ."""
    for option, files in others.items():
        if len(files) != len(attestations):
            raise InputError(
                f"given {len(files)} times, --attestation {len(attestations)} times",
                where=f"--{option}",
                expected="one for each --attestation, in the same order",
            )


def check_model(asked: Challenge, given: AnyModel | None, path: Path | None) -> None:
    """ProofError if a model was given and the challenge means another one: it would not be used."""
    if given is not None and given.digest != asked.model_digest:
        raise ProofError(
            f"another model than the challenge's, which is {asked.model_name}",
            where=str(path),
            expected=f"the document of {asked.model_digest.hex()}",
        )


@click.command("verify-proof")
@click.argument("file", type=FILE)
@CHALLENGE
@ATTESTATIONS
@click.option(
    "--keys", required=True, multiple=True, type=FILE, help="JWK set of each attestation's venue, in the same order."
)
@MARKETS
@CHALLENGE_MODEL
@click.option(
    "--now", "--at", "now", type=int, help="Verify as of this time, seconds since the epoch [default: the clock]."
)
@click.option("--max-snapshot-age", type=int, help="Largest age of a snapshot when it was attested, seconds.")
@click.option("--clock-tolerance", type=int, help="Seconds by which clocks may differ [default: 10].")
@SIGNATURES
@click.option("--reference", is_flag=True, help="Ask the slow second verifier too, and say whether the two agree.")
@json_option
@reports_errors
def verify_proof(
    file: Path,
    challenge_file: Path,
    attestations: tuple[Path, ...],
    keys: tuple[Path, ...],
    markets: tuple[Path, ...],
    model: Path | None,
    now: int | None,
    max_snapshot_age: int | None,
    clock_tolerance: int | None,
    require_signatures: int,
    reference: bool,
    as_json: bool,
) -> None:
    """Verify that a proof answers your challenge over these attestations.

    --attestation, --keys and --market are given once for each account: the first of each belong together, the second, and so on.
    Everything but the challenge and the keys may come from the prover.

    Exit status: 0 valid, 1 invalid (the number of the failed check is printed), 2 malformed, 3 the two verifiers of --reference
    disagree.

    \b
    riskproof verify-proof proof.json --challenge challenge.json \\
        --attestation a1.json --keys k1.json --market m1.json \\
        --attestation a2.json --keys k2.json --market m2.json
    """
    from riskproof.attest.keyset import KeySet
    from riskproof.verify.attestation import DEFAULT_CLOCK_TOLERANCE
    from riskproof.verify.net_risk import MarketCache, ProofCase, verify_proofs

    check_pairs(attestations, keys=keys, market=markets)
    at = int(time.time()) if now is None else now
    tolerance = DEFAULT_CLOCK_TOLERANCE if clock_tolerance is None else clock_tolerance
    case = ProofCase(
        read_bytes(file),
        read_bytes(challenge_file),
        [read_bytes(path) for path in attestations],
        [KeySet.from_bytes(read_bytes(path), str(path)) for path in keys],
        [read_bytes(path) for path in markets],
        None if model is None else read_bytes(model),
    )
    check_given_model(case, model)
    cache, second = MarketCache(), None
    with progress("recomputing the rows; the first time on a machine this compiles the kernel ..."):
        (verdict,) = verify_proofs(
            [case],
            now=at,
            clock_tolerance=tolerance,
            max_snapshot_age=max_snapshot_age,
            required_signatures=require_signatures,
            cache=cache,
        )
    if reference:
        from riskproof.verify.second_opinion import second_opinion

        with progress("asking the reference verifier, which is slow ..."):
            second = second_opinion(case, verdict, now=at, clock_tolerance=tolerance, cache=cache)
    if as_json:
        document = verdict.to_document()
        if reference:
            document["reference"] = None if second is None else second.to_document()
        emit_json(document)
    else:
        click.echo(proof_text(verdict))
        if reference:
            click.echo(_reference_text(second))
        for line in advice(verdict, case, file, challenge_file, attestations, markets):
            click.echo(f"note: {line}", err=True)
    if second is not None and not second.agrees:
        click.echo(
            f"riskproof: the two verifiers disagree: {verdict.outcome.value} and {second.outcome.value}. This must not happen: "
            "accept nothing, keep the files, report it",
            err=True,
        )
        sys.exit(EXIT_DISAGREEMENT)
    sys.exit(EXIT[verdict.outcome.value])


def check_given_model(case: ProofCase, path: Path | None) -> None:
    """`check_model`; what cannot be read is for the verdict to say."""
    from riskproof.proof.challenge import Challenge
    from riskproof.risk.margining import read

    if case.model is None:
        return
    try:
        asked, given = Challenge.from_bytes(case.challenge), read(case.model)
    except RiskproofError:
        return
    check_model(asked, given, path)


def advice(
    verdict: ProofVerdict,
    case: ProofCase,
    proof: Path,
    challenge: Path,
    attestations: Sequence[Path],
    markets: Sequence[Path],
) -> list[str]:
    """What may have been mixed up on the command line, if the verdict looks like it."""
    from riskproof.verify.verdict import Check

    if verdict.failed_check in (Check.PROOF_ATTESTATION_VALID, Check.PROOF_MARKETS) and len(attestations) > 1:
        return ["the first --attestation goes with the first --keys and the first --market, and so on"]
    if verdict.outcome.value != "malformed":
        return []
    given = [
        (proof, "FILE", "a proof", case.proof),
        (challenge, "--challenge", "a challenge", case.challenge),
        *((p, "--attestation", "an attestation", d) for p, d in zip(attestations, case.attestations, strict=True)),
        *(
            (p, "--market", "a market file", d) for p, d in zip(markets, case.markets, strict=False)
        ),  # none: the server's
    ]
    return [
        f"{path}, given as {option}, " + (f"seems to be {seems}" if seems else f"is not {wanted}")
        for path, option, wanted, data in given
        if (seems := kind_of(data)) != wanted
    ]


def proof_text(verdict: ProofVerdict) -> str:
    """A verdict in words: the outcome, what was proved, whom one trusts, what was not proved, the checks."""
    lines = [verdict.outcome.value + (f": {verdict.reason}" if verdict.reason else "")]
    for title, sentences in (
        ("proved", verdict.proved),
        ("trusted", verdict.trusted),
        ("not proved", verdict.not_proved),
    ):
        lines += [f"  {title}: {sentence}" for sentence in sentences]
    return "\n".join(lines + check_lines(verdict))


def _reference_text(second: SecondOpinion | None) -> str:
    if second is None:
        return "  reference: not asked; it takes for granted what failed here"
    said = second.outcome.value + (f": {second.reason}" if second.reason else "")
    return f"  reference: {said} ({'the two agree' if second.agrees else 'THE TWO DISAGREE'})"
