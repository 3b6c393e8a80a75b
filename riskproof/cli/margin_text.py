"""What `riskproof margin` and `riskproof whatif` print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from riskproof.cli.output import percent, table
from riskproof.risk.margining import Choice, MarginReport
from riskproof.risk.whatif import Attribution, BookMargin, Compared, Exhaustion, amounts, binding
from riskproof.risk.whatif.amounts import shown_requirement, shown_value
from riskproof.units import format_decimal


def margin_text(
    book: BookMargin,
    others: Sequence[Compared],
    alone: Fraction,
    shares: Attribution | None,
    moves: Sequence[Exhaustion] | None,
) -> str:
    """Margin, what binds, candidates, charges, what netting saves; on request shares of the positions and reverse stress."""
    r = book.report
    bound, maintained = (_binding(book, r, margin) for margin in ("initial", "maintenance"))
    if maintained != bound:
        bound += f"\nfor maintenance margin {maintained}"
    parts = [_totals(r), bound, *(_candidates(r, c) for c in r.choices)]
    if r.tails:
        parts.append(_tails(r))
    if r.charges:
        rows = [[name, shown_requirement(r, i), shown_requirement(r, m)] for name, (i, m) in r.charges.items()]
        parts.append(table(["charge", "initial", "maintenance"], rows))
    parts.append(_netting(r, others, alone))
    if shares is not None:
        parts.append(_positions(book, shares))
    if moves is not None:
        parts.append(_stress(r, moves))
    return "\n\n".join(parts)


def whatif_text(
    book: BookMargin, trades: Mapping[int, int], after: MarginReport, without: Mapping[int, MarginReport]
) -> str:
    """Before and after the trades, and what each of them adds to the margin."""
    before, registry = book.report, book.market.registry
    rows = [
        [name, show(before, x), show(after, y), shown_value(before, y - x)]
        for name, show, x, y in (
            ("equity", shown_value, before.equity, after.equity),
            ("initial margin", shown_requirement, before.initial, after.initial),
            ("maintenance margin", shown_requirement, before.maintenance, after.maintenance),
            ("excess initial", shown_value, before.excess_initial, after.excess_initial),
            ("excess maintenance", shown_value, before.excess_maintenance, after.excess_maintenance),
        )
    ]
    trade_rows = [
        [
            registry.instruments[i].name,
            format_decimal(lots, registry.quantity_exponent),
            shown_value(before, after.initial - without[i].initial),
            shown_value(before, after.maintenance - without[i].maintenance),
        ]
        for i, lots in trades.items()
    ]
    return "\n\n".join(
        [
            table([f"{before.model}, {before.settlement}", "before", "after", "change"], rows),
            f"before: {_binding(book, before)}\nafter:  {_binding(book, after)}",
            table(["trade", "quantity", "marginal initial", "marginal maintenance"], trade_rows),
        ]
    )


def _totals(r: MarginReport) -> str:
    rows = [
        ["equity", shown_value(r, r.equity), ""],
        ["initial margin", shown_requirement(r, r.initial), shown_value(r, r.excess_initial)],
        ["maintenance margin", shown_requirement(r, r.maintenance), shown_value(r, r.excess_maintenance)],
    ]
    return table([f"{r.model}, {r.settlement}", "amount", "excess"], rows)


def _binding(book: BookMargin, r: MarginReport, margin: str = "initial") -> str:
    """One line: what binds for a margin in each netting set."""
    found = []
    for b in binding(r, book.model, margin):
        where = "" if len(r.sets) == 1 else f"{b.set}: "
        scenarios = ", ".join(r.scenario_ids[s] for s in b.scenarios)
        found.append(where + " in scenario ".join(x for x in (b.what, scenarios) if x))
    return "binds: " + ("; ".join(found) or "nothing: there is no position")


def _candidates(r: MarginReport, c: Choice) -> str:
    names = [label for label, _ in c.candidates]
    rows = [[label, shown_value(r, x)] for label, x in c.candidates]
    where = f"{c.set}: " if c.set else ""
    return table([f"{where}{c.term} ({c.margin})", "candidate"], rows, mark=names.index(c.binding))


def _tails(r: MarginReport) -> str:
    """Sets of the tail block, all netting sets together, and the joint move of the largest loss."""
    rows = [
        [
            t.id,
            t.measure.replace("_", " "),
            shown_requirement(r, t.amount),
            "-" if t.value_at_risk is None else shown_requirement(r, t.value_at_risk),
            t.worst,
            shown_requirement(r, t.loss),
        ]
        for t in r.tails
    ]
    return table(["joint moves", "measure", "amount", "value at risk", "worst", "loss"], rows, left=2)


def _netting(r: MarginReport, others: Sequence[Compared], alone: Fraction) -> str:
    rows = [
        [
            "each position alone",
            shown_requirement(r, alone),
            shown_value(r, alone - r.initial),
            _share(alone - r.initial, alone),
        ]
    ]
    refused = []
    for x in others:
        if x.report is None:
            refused.append(f"  {x.model} does not take this book: {x.refusal}")
        else:
            saved = x.saving(r)
            rows.append(
                [
                    x.model,
                    shown_requirement(x.report, x.report.initial),
                    shown_value(r, saved),
                    _share(saved, x.report.initial),
                ]
            )
    return "\n".join([table(["compared with", "initial margin", "saved", "share"], rows), *refused])


def _share(part: Fraction, whole: Fraction) -> str:
    return amounts.percentage(part, whole)


def _positions(book: BookMargin, shares: Attribution) -> str:
    r, instruments = book.report, book.market.registry.instruments
    rows = [
        [
            instruments[x.index].name,
            shown_value(r, x.initial),
            shown_value(r, x.maintenance),
            shown_value(r, x.marginal_initial),
            shown_requirement(r, x.alone_initial),
        ]
        for x in sorted(shares.shares, key=lambda x: (-x.initial, x.index))
    ]
    rows.append(["(rest)", shown_value(r, shares.rest_initial), shown_value(r, shares.rest_maintenance), "", ""])
    return table(["position", "share of initial", "share of maintenance", "marginal initial", "alone"], rows)


def _stress(r: MarginReport, moves: Sequence[Exhaustion]) -> str:
    rows = [
        [
            x.direction.id,
            f"lasts to {percent(x.direction.limit)}" if x.move is None else percent(x.move),
            shown_value(r, x.pnl),
            shown_value(r, x.least[1]),
            percent(x.least[0]),
        ]
        for x in moves
    ]
    return table(["move", "exhausts the equity at", "P&L there", "least equity", "at"], rows)
