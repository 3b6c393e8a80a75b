"""Checks 10 to 15: with the market file, everything public is recomputed.

10  registry: digest, size, instrument tree, column size, numeraire
11  snapshot: digest and time
12  risk model: the one given, or the shipped one of that name; the snapshot was not older at issue than it allows
13  risk array: recomputed by the kernel, digest equal to the last integer; none under a model of version 2
14  every instrument of a retired column has expired
15  the scenarios disclosed are the model's, the worst one is the worst, the margins cover its loss
"""

from __future__ import annotations

from collections.abc import Sequence

from riskproof import units
from riskproof.attest.payload import Attestation, Disclosed, Policy
from riskproof.attest.registry_tree import registry_tree
from riskproof.errors import InputError, ModelError
from riskproof.market.marketfile import Market
from riskproof.risk.figures import RiskBasis
from riskproof.risk.margining import AnyModel, load, read
from riskproof.risk.model import RiskModel
from riskproof.risk.tail.history import History
from riskproof.verify.protocol import CheckFailedError, Run
from riskproof.verify.verdict import Check


def check_registry(run: Run, statement: Attestation, data: bytes) -> Market:
    """Checks 10 and 11."""
    market = Market.from_bytes(data)
    registry, snapshot = market.registry, market.snapshot
    # check 10: the digest before anything else, so that no work is done, and kept, for a registry that nobody attested
    run.require(
        Check.REGISTRY,
        statement.registry_digest == registry.digest,
        f"registry digest: attested {statement.registry_digest.hex()}, given {registry.digest.hex()}",
    )
    for what, stated, given in (
        ("size", statement.registry_size, len(registry)),
        ("instrument tree", statement.registry_root.hex(), registry_tree(registry).root.hex()),
        ("column size", statement.columns.size, registry.column_size),
        ("numeraire", statement.numeraire, registry.numeraire),
        ("quantity exponent", statement.quantity_exponent, registry.quantity_exponent),
    ):
        run.require(Check.REGISTRY, stated == given, f"registry {what}: attested {stated}, given {given}")
    run.passed(Check.REGISTRY)
    # check 11
    for what, stated, given in (
        ("digest", statement.snapshot_digest.hex(), snapshot.digest.hex()),
        ("time", statement.snapshot_time, snapshot.time),
    ):
        run.require(Check.SNAPSHOT, stated == given, f"snapshot {what}: attested {stated}, given {given}")
    run.passed(Check.SNAPSHOT)
    return market


def check_market(
    run: Run, statement: Attestation, data: bytes, model_data: bytes | None, histories: Sequence[bytes | History]
) -> RiskBasis:
    """Checks 10 to 15: what a book is evaluated with (checks of an opening)."""
    market = check_registry(run, statement, data)
    model = _check_model(run, statement, model_data)
    # check 13
    given = [x if isinstance(x, History) else History.from_bytes(x, f"histories[{i}]") for i, x in enumerate(histories)]
    try:
        basis = RiskBasis.build(market, model, given)
    except InputError as error:
        raise CheckFailedError(Check.ARRAY, f"the risk array cannot be computed: {error}") from None
    run.require(
        Check.ARRAY,
        statement.kernel == basis.kernel,
        f"computed by kernel {statement.kernel!r}, this one is {basis.kernel!r}",
    )
    run.require(
        Check.ARRAY,
        statement.array_digest == basis.array_digest,
        f"risk array: attested {_hex(statement.array_digest)}, recomputed {_hex(basis.array_digest)}",
    )
    run.passed(Check.ARRAY)
    # check 14
    size = statement.columns.size
    for j in statement.columns.retired:
        for instrument in market.registry.instruments[j * size : (j + 1) * size]:
            run.require(
                Check.RETIRED_COLUMNS,
                market.snapshot.is_expired(instrument),
                f"column {j} is retired, and {instrument.name} has not expired",
            )
    run.passed(Check.RETIRED_COLUMNS)
    _check_scenarios(run, statement, model)
    return basis


def _hex(digest: bytes | None) -> str:
    return "none" if digest is None else digest.hex()


def _check_model(run: Run, statement: Attestation, data: bytes | None) -> AnyModel:
    # check 12
    if data is not None:
        model = read(data)
    else:
        try:
            model = load(statement.model_name)
        except ModelError as error:
            raise CheckFailedError(Check.MODEL, f"{error.what}: give its file") from None
    run.require(
        Check.MODEL,
        (statement.model_name, statement.model_digest) == (model.name, model.digest),
        f"risk model: attested {statement.model_name} {statement.model_digest.hex()}, "
        f"{'given' if data is not None else 'shipped'} {model.name} {model.digest.hex()}",
    )
    age, limit = statement.issued_at - statement.snapshot_time, model.max_snapshot_age_seconds
    run.require(Check.MODEL, age <= limit, f"the snapshot was {age} s old at issue, {model.name} allows {limit} s")
    run.passed(Check.MODEL)
    return model


def _check_scenarios(run: Run, statement: Attestation, model: AnyModel) -> None:
    # check 15
    disclosed, ids, worst = statement.disclosed, [s.id for s in model.scenarios], statement.disclosed.worst_scenario
    if disclosed.policy is not Policy.NONE:
        run.require(
            Check.DISCLOSED_SCENARIOS,
            worst in ids if ids else worst is None,
            f"no scenario {worst!r} in {model.name}"
            if worst is not None
            else f"no worst scenario is disclosed, and {model.name} has {len(ids)} scenarios",
        )
    pnl = disclosed.pnl_micros
    if pnl is not None:
        run.require(
            Check.DISCLOSED_SCENARIOS,
            len(pnl) == len(ids),
            f"{len(pnl)} P&Ls for the {len(ids)} scenarios of {model.name}",
        )
    if pnl and worst is not None:
        least = pnl[ids.index(worst)]
        run.require(
            Check.DISCLOSED_SCENARIOS,
            least == min(pnl),
            f"{worst} is disclosed as the worst scenario, and another one is worse",
        )
        if isinstance(model, RiskModel):
            _check_cover(run, disclosed, model, least)
    run.passed(Check.DISCLOSED_SCENARIOS)


def _check_cover(run: Run, disclosed: Disclosed, model: RiskModel, least: int) -> None:
    """Version 1: a margin is a factor times the worst loss, and more. Version 2 may net and cap what a scenario loses."""
    grid, initial, maintenance = disclosed.margin
    # The exact P&L is below least + step, whatever was rounded, so the exact worst loss is above this.
    least_loss = max(0, -(least + grid.step_at(least)))
    for margin, factor, name in (
        (initial, model.initial_factor, "initial"),
        (maintenance, model.maintenance_factor, "maintenance"),
    ):
        run.require(
            Check.DISCLOSED_SCENARIOS,
            margin * units.RATIO_ONE >= least_loss * factor,
            f"the disclosed {name} margin does not cover the disclosed worst loss",
        )
