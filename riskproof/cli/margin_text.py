"""What `riskproof margin` and `riskproof whatif` print for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from riskproof.cli.output import percent, table
from riskproof.risk.margining import Choice, MarginReport
from riskproof.risk.whatif import Attribution, BookMargin, Compared, Exhaustion, amounts, binding
from riskproof.risk.whatif.amounts import shown_requirement, shown_tails, shown_value
from riskproof.units import format_decimal

_MANY_SETS: Final = 4
_WIDTH: Final = 120
_SPACE: Final = "\N{NO-BREAK SPACE}"


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
    parts = [_totals(r), bound, *(text for c in r.choices_by_term for text in _candidates(r, c))]
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
    """What binds for a margin in the netting sets: one line, or one for each of what binds where there are many sets."""
    found: dict[str, list[str]] = {}
    for b in binding(r, book.model, margin):
        scenarios = [f"scenario {', '.join(r.scenario_ids[s] for s in b.scenarios)}"] if b.scenarios else []
        found.setdefault(" in ".join(([b.what] if b.what else []) + scenarios), []).append(b.set)
    if not found:
        return "binds: nothing: there is no position"
    if len(found) == 1:
        return f"binds: {next(iter(found))}" + ("" if len(r.sets) == 1 else f", in all {len(r.sets)} netting sets")
    if len(r.sets) < _MANY_SETS:
        return "binds: " + "; ".join(f"{', '.join(names)}: {what}" for what, names in found.items())
    return "\n".join(["binds:", *(_listed(what, names) for what, names in found.items())])


def _listed(what: str, names: Sequence[str]) -> str:
    """A line, broken between names."""
    whole = ", ".join(name.replace(" ", _SPACE) for name in names)
    text = textwrap.fill(f"{what}: {whole}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return text.replace(_SPACE, " ")


def _candidates(r: MarginReport, choices: Sequence[Choice]) -> Iterator[str]:
    """What a term chose from, by netting set; one table where there are many sets."""
    if len(choices) >= _MANY_SETS:
        first = choices[0]
        rows = [[c.set, c.binding, *(shown_value(r, x) for _, x in c.candidates)] for c in choices]
        names = [label for label, _ in first.candidates]
        yield table([f"{first.term} ({first.margin})", "binds", *names], rows, left=2)
        return
    for c in choices:
        names = [label for label, _ in c.candidates]
        rows = [[label, shown_value(r, x)] for label, x in c.candidates]
        where = f"{c.set}: " if c.set else ""
        yield table([f"{where}{c.term} ({c.margin})", "candidate"], rows, mark=names.index(c.binding))


def _tails(r: MarginReport) -> str:
    """Sets of the tail block, all netting sets together, and the joint move of the largest loss."""
    return table(["joint moves", "measure", "amount", "value at risk", "worst", "loss"], shown_tails(r), left=2)


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
