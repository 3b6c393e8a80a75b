"""A valid proof in words: what it shows, whom one trusts all the same, and what it does not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from riskproof import units
from riskproof.attest.payload import Attestation
from riskproof.proof.challenge import AnyModel, Challenge, StatementKind
from riskproof.proof.programme import CompiledMargin
from riskproof.proof.rows import StatementRows


class Claims(NamedTuple):
    """What was proved, whom one trusts, what was not proved: sentences."""

    proved: tuple[str, ...]
    trusted: tuple[str, ...]
    not_proved: tuple[str, ...]


def claims(c: Challenge, model: AnyModel, attestations: Sequence[Attestation], compiled: StatementRows) -> Claims:
    """The sentences of a proof that holds."""
    numeraire = attestations[0].numeraire
    bound = f"{units.format_decimal(c.bound_micros, units.MICROS_EXPONENT)} {numeraire}"
    venues = ", ".join(sorted({a.venue for a in attestations}))
    count = "1 account" if len(attestations) == 1 else f"{len(attestations)} accounts"
    times = sorted({units.format_time(a.snapshot_time) for a in attestations})
    margin = c.margin is not None
    claim = (
        _margin_claim(c, f"{count} at {venues}", bound)
        if margin
        else f"the net loss of {count} at {venues} is at most {bound}"
        if c.statement is StatementKind.LOSS
        else f"the equity of {count} at {venues}, after haircuts and net loss, is at least -{bound}"
        if c.bound_micros
        else f"the equity of {count} at {venues}, after haircuts and net loss, is not negative"
    )
    where = (
        f"Under model {model.name}"
        if margin
        else f"In each of the {len(model.scenarios)} scenarios of model {model.name}"
    )
    proved = (
        f"{where} ({model.digest.hex()}), {claim}.",
        *(f"{x[0].upper()}{x[1:]}." for x in (compiled.proved if isinstance(compiled, CompiledMargin) else ())),
        f"Prices are those of the attested snapshots, taken at {' and '.join(times)}; the rows were recomputed from them.",
        "The attested accounts are different ones and have one holder, whose key signed this proof for this challenge."
        if len(attestations) > 1
        else "The account's holder signed this proof for this challenge.",
    )
    trusted = (
        f"{venues}: that the committed positions, the marks and the verified identity are real.",
        "One honest participant of the Ethereum KZG ceremony, and the discrete-logarithm and hash assumptions of the protocol.",
    )
    pledge = (
        "Each venue promises not to attest the account exclusively to anyone else for the challenge's life; the holder may still "
        "have shown it to others without exclusivity."
        if c.exclusive
        else "That the holder has not shown the same accounts to others as well: the challenge did not ask for exclusivity."
    )
    unsettled = (
        (
            "Profit and loss of futures and perpetuals since their last settlement: by themselves they count as worth nothing.",
        )
        if c.statement is StatementKind.SOLVENCY
        else ()
    )
    bounded = compiled.bounds if isinstance(compiled, CompiledMargin) else ()
    not_proved = (
        pledge,
        *unsettled,
        *(f"The requirement as the model has it, which may be lower: {x}." for x in bounded),
        "Anything about accounts and debts that are not attested here.",
        "Losses in states of the world that are not among the scenarios, or after the attestations were issued.",
        "What a snapshot does not price, expired instruments too, counts as zero; the venue attests that the account holds none.",
    )
    return Claims(proved, trusted, not_proved)


def _margin_claim(c: Challenge, accounts: str, bound: str) -> str:
    requirement = f"the {c.margin} margin of {accounts}, positions taken together,"
    if c.statement is StatementKind.MARGIN:
        return f"{requirement} is at most {bound}"
    return f"equity less {requirement} is " + (f"at least -{bound}" if c.bound_micros else "not negative")
