"""What `riskproof margin` and `riskproof whatif` print with --json; amounts are decimal strings in the settlement currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from riskproof.cli.output import error_document
from riskproof.encoding import Json
from riskproof.risk.margining import MarginReport
from riskproof.risk.whatif import Attribution, BookMargin, Compared, Exhaustion, amounts, binding
from riskproof.units import RATIO_EXPONENT, format_decimal


def margin_document(
    book: BookMargin,
    others: Sequence[Compared],
    alone: Fraction,
    shares: Attribution | None,
    moves: Sequence[Exhaustion] | None,
) -> dict[str, Json]:
    """The object that `riskproof margin --json` prints; the report's members, and what netting saves."""
    r = book.report
    document: dict[str, Json] = {
        "registry_digest": book.market.registry.digest.hex(),
        "snapshot_digest": book.market.snapshot.digest.hex(),
        **r.to_document(),
        "binding": {m: _binding(book, r, m) for m in ("initial", "maintenance")},
        "netting": {
            "alone_initial": amounts.requirement(r, alone),
            "saving": amounts.value(r, alone - r.initial),
            "saving_share": amounts.percentage(alone - r.initial, alone),
        },
        "compared": [_compared(r, other) for other in others],
    }
    if shares is not None:
        document["positions"] = _shares(book, shares)
    if moves is not None:
        document["reverse_stress"] = [_exhaustion(r, x) for x in moves]
    return document


def _binding(book: BookMargin, r: MarginReport, margin: str) -> list[Json]:
    return [
        {"set": b.set, "candidate": b.candidate, "scenarios": [r.scenario_ids[s] for s in b.scenarios]}
        for b in binding(r, book.model, margin)
    ]


def _compared(r: MarginReport, other: Compared) -> dict[str, Json]:
    if other.report is None:
        assert other.refusal is not None
        return {"model": other.model, "refused": error_document(other.refusal)}
    saving = other.saving(r)
    return {
        "model": other.model,
        "equity": amounts.value(other.report, other.report.equity),
        "initial_margin": amounts.requirement(other.report, other.report.initial),
        "maintenance_margin": amounts.requirement(other.report, other.report.maintenance),
        "excess_initial": amounts.value(other.report, other.report.excess_initial),
        "saving": amounts.value(r, saving),
        "saving_share": amounts.percentage(saving, other.report.initial),
    }


def _shares(book: BookMargin, shares: Attribution) -> dict[str, Json]:
    r, instruments = book.report, book.market.registry.instruments
    ranked = sorted(shares.shares, key=lambda x: (-x.initial, x.index))
    return {
        "rest": {
            "initial": amounts.value(r, shares.rest_initial),
            "maintenance": amounts.value(r, shares.rest_maintenance),
        },
        "shares": [
            {
                "instrument": instruments[x.index].name,
                "initial": amounts.value(r, x.initial),
                "maintenance": amounts.value(r, x.maintenance),
                "marginal_initial": amounts.value(r, x.marginal_initial),
                "marginal_maintenance": amounts.value(r, x.marginal_maintenance),
                "alone_initial": amounts.requirement(r, x.alone_initial),
            }
            for x in ranked
        ],
    }


def _exhaustion(r: MarginReport, x: Exhaustion) -> dict[str, Json]:
    return {
        "direction": x.direction.id,
        "move": None if x.move is None else format_decimal(x.move, RATIO_EXPONENT),
        "limit": format_decimal(x.direction.limit, RATIO_EXPONENT),
        "pnl": amounts.value(r, x.pnl),
        "least_equity": amounts.value(r, x.least[1]),
        "least_equity_at": format_decimal(x.least[0], RATIO_EXPONENT),
    }


def whatif_document(
    book: BookMargin, trades: Mapping[int, int], after: MarginReport, without: Mapping[int, MarginReport]
) -> dict[str, Json]:
    """The object that `riskproof whatif --json` prints: without[i] is the margin after all trades but that of instrument i."""
    registry, before = book.market.registry, book.report
    return {
        "model": before.model,
        "model_digest": before.model_digest.hex(),
        "currency": before.settlement,
        "before": _margins(book, before),
        "after": _margins(book, after),
        "change": {
            "equity": amounts.value(before, after.equity - before.equity),
            "initial_margin": amounts.value(before, after.initial - before.initial),
            "maintenance_margin": amounts.value(before, after.maintenance - before.maintenance),
            "excess_initial": amounts.value(before, after.excess_initial - before.excess_initial),
            "excess_maintenance": amounts.value(before, after.excess_maintenance - before.excess_maintenance),
        },
        "trades": [
            {
                "instrument": registry.instruments[i].name,
                "quantity": format_decimal(lots, registry.quantity_exponent),
                "marginal_initial": amounts.value(before, after.initial - without[i].initial),
                "marginal_maintenance": amounts.value(before, after.maintenance - without[i].maintenance),
            }
            for i, lots in trades.items()
        ],
    }


def _margins(book: BookMargin, r: MarginReport) -> dict[str, Json]:
    return {
        "equity": amounts.value(r, r.equity),
        "initial_margin": amounts.requirement(r, r.initial),
        "maintenance_margin": amounts.requirement(r, r.maintenance),
        "excess_initial": amounts.value(r, r.excess_initial),
        "excess_maintenance": amounts.value(r, r.excess_maintenance),
        "binding": _binding(book, r, "initial"),
    }
