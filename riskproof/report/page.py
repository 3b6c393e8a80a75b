"""The page, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.report import heat, joint, levels
from riskproof.report.html import Cell, Html, element, joined, markup, section, table
from riskproof.report.style import stylesheet
from riskproof.risk.greeks import MONEY_EXPONENT, portfolio_greeks
from riskproof.risk.margining import AnyModel, MarginModel, MarginReport
from riskproof.risk.margining.grid import ALL
from riskproof.risk.model import RiskModel
from riskproof.risk.whatif import Attribution, Binding, BookMargin, Compared, amounts, binding
from riskproof.risk.whatif.amounts import grouped, shown_requirement, shown_tails, shown_value
from riskproof.units import RATIO_EXPONENT, RATIO_ONE, format_decimal, format_time, round_half_even

MAX_COLUMNS: Final = 64  # scenarios in the detailed heat map; the page says so where it leaves some out
_MANY_SETS: Final = 4  # of which candidates are shown in one table
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(model: AnyModel, book: BookMargin, compared: Sequence[Compared], attribution: Attribution) -> bytes:
    """The page, UTF-8.

    Args:
        compared, attribution: as `riskproof.risk.whatif` gives them for this book.

    Raises:
        DomainError, OverflowMoneyError: a Greek that the kernel cannot give.
    """
    r = book.report
    parts = [
        _head(model, book),
        _margin(model, book),
        _candidates(r),
        *([_tails(model, book)] if r.tails else []),
        _charges(r),
        _models(r, compared, attribution.alone_initial),
        *([_book_map(model, book)] if book.scenarios else []),
        _array(model, book),
        *([joint.section_of(model, book, MAX_COLUMNS)] if r.tails else []),
        _greeks(book),
        _positions(book, attribution),
    ]
    title = f"{r.model}: margin and risk array"
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{markup(title)}</title>\n<style>{stylesheet(heat.LEVELS)}</style>\n</head>\n<body>\n"
        f"{joined(parts).text}\n</body>\n</html>\n"
    )
    return page.encode("utf-8")


def _head(model: AnyModel, book: BookMargin) -> Html:
    market = book.market
    digests = (
        ("registry", market.registry.digest),
        ("snapshot", market.snapshot.digest),
        ("model", book.report.model_digest),
    )
    names = joined((Html(f"{name} <code>{digest.hex()}</code>") for name, digest in digests), "<br>\n")
    links = [("margin", "Margin"), ("models", "Models")]
    if book.scenarios:
        links += [("book", "Heat map"), ("array", "By position")]
    if book.report.tails:
        links.append(("joint", "Joint moves by position"))
    links += [("greeks", "Greeks"), ("positions", "Positions")]
    return joined(
        [
            element("h1", f"{model.name}: {_positions_held(book)} at {format_time(market.snapshot.time)}"),
            element("p", model.description, "quiet"),
            element("p", names, "quiet"),
            element("nav", joined((Html(f'<a href="#{at}">{text}</a>') for at, text in links), "\n")),
        ]
    )


def _positions_held(book: BookMargin) -> str:
    count = len(book.portfolio)
    return f"{count} position{'' if count == 1 else 's'}"


def _binding(model: AnyModel, book: BookMargin) -> list[Binding]:
    """What binds for initial margin; nothing in a book without positions."""
    return binding(book.report, model) if book.live else []


def _margin(model: AnyModel, book: BookMargin) -> Html:
    r = book.report
    cards = []
    for name, amount in (
        ("equity", shown_value(r, r.equity)),
        ("initial margin", shown_requirement(r, r.initial)),
        ("excess over initial", shown_value(r, r.excess_initial)),
        ("maintenance margin", shown_requirement(r, r.maintenance)),
        ("excess over maintenance", shown_value(r, r.excess_maintenance)),
    ):
        css = "short" if amount.startswith("-") else ""
        cards.append(element("div", Html(f"{markup(name)}{element('b', amount, css).text}"), "card"))
    currency = element("p", f"Amounts in {r.settlement}, rounded against the account.", "quiet")
    rows = [[b.set, b.what, ", ".join(r.scenario_ids[s] for s in b.scenarios)] for b in _binding(model, book)]
    bound = table(["netting set", "binds for initial margin", "in scenario"], rows)
    if not rows:
        bound = element("p", "Nothing binds: there is no position that needs margin.")
    return section("margin", "Margin", element("div", joined(cards), "cards"), currency, bound)


def _candidates(r: MarginReport) -> Html:
    tables = []
    for choices in r.choices_by_term:
        first, labels = choices[0], [label for label, _ in choices[0].candidates]
        if len(choices) >= _MANY_SETS:
            rows = [[c.set, c.binding, *(shown_value(r, x) for _, x in c.candidates)] for c in choices]
            heads = [f"{label}, {r.settlement}" for label in labels]
            tables.append(table([f"{first.term}, {first.margin}", "binds", *heads], rows))
            continue
        for c in choices:
            where = f"{c.set}: " if c.set else ""
            rows = [[label, shown_value(r, x)] for label, x in c.candidates]
            marked = frozenset({labels.index(c.binding)})
            tables.append(table([f"{where}{c.term}, {c.margin}", r.settlement], rows, marked=marked))
    return section("candidates", "What competed", *(tables or [element("p", "This model adds everything up.")]))


def _tails(model: AnyModel, book: BookMargin) -> Html:
    """Sets of the tail block, all netting sets together, and the joint move of the largest loss; what binds is marked."""
    r, bound = book.report, joint.binding_sets(model, book)
    marked = frozenset(n for n, t in enumerate(r.tails) if t.id in bound)
    header = ["set", "measure", "amount", "value at risk", "worst joint move", "loss there"]
    text = "What the model measures on the book's P&L under joint moves of prices and volatilities."
    return section("tails", "Joint moves", element("p", text, "quiet"), table(header, shown_tails(r), marked=marked))


def _charges(r: MarginReport) -> Html:
    if not r.charges:
        return section("charges", "Charges", element("p", "This model has no charges."))
    rows = [[name, shown_requirement(r, i), shown_requirement(r, m)] for name, (i, m) in r.charges.items()]
    return section("charges", "Charges", table(["charge", "initial", "maintenance"], rows))


def _models(r: MarginReport, compared: Sequence[Compared], alone: Fraction) -> Html:
    share = amounts.percentage(alone - r.initial, alone)
    rows: list[list[Cell]] = [
        [
            r.model,
            shown_requirement(r, r.initial),
            shown_requirement(r, r.maintenance),
            shown_value(r, r.excess_initial),
            "",
            "",
        ],
        ["each position alone", shown_requirement(r, alone), "", "", shown_value(r, alone - r.initial), share],
    ]
    for x in compared:
        if x.report is None:
            rows.append([x.model, f"does not take this book: {x.refusal}", "", "", "", ""])
            continue
        o, saved = x.report, x.saving(r)
        figures = (
            shown_requirement(o, o.initial),
            shown_requirement(o, o.maintenance),
            shown_value(o, o.excess_initial),
            shown_value(r, saved),
        )
        rows.append([x.model, *figures, amounts.percentage(saved, o.initial)])
    header = ["model", "initial margin", "maintenance margin", "excess over initial", "saved by netting", "share"]
    charges = sorted({name for x in compared if x.report for name in x.report.charges} | r.charges.keys())
    reports = [r, *(x.report for x in compared if x.report)]
    by_charge = [
        [name, *(shown_requirement(o, o.charges[name][0]) if name in o.charges else "" for o in reports)]
        for name in charges
    ]
    parts = [table(header, rows, marked=frozenset({0}))]
    if by_charge:
        parts.append(element("h3", "Initial margin's charges by model"))
        parts.append(table(["charge", *(o.model for o in reports)], by_charge))
    return section("models", "Margin by model", *parts)


@dataclass(frozen=True)
class _Axes:
    """Where a scenario stands in the heat map: its price move (as a number, and as text), and its volatility and time."""

    order: Fraction
    price: str
    rest: str


def _scenario_axes(model: AnyModel) -> list[_Axes]:
    if isinstance(model, RiskModel):
        return [
            _Axes(
                Fraction(s.price_shock),
                _percent(s.price_shock),
                f"vol {_percent(s.vol_shock)}{_time(s.time_shift_seconds)}",
            )
            for s in model.scenarios
        ]
    axes = []
    for t in model.scenarios:
        weight = "" if t.weight == 1 else f", weight {_decimal(t.weight)}"
        alone = "" if t.on == ALL else f", {t.on} alone"
        if _in_per_cent(model):
            price = _percent(round_half_even(t.price.numerator * RATIO_ONE, t.price.denominator))
        else:
            price = f"{'+' if t.price > 0 else ''}{t.price} scan"  # a relative or an absolute move, by underlying
        axes.append(_Axes(t.price, price, f"vol {t.vol or 'unchanged'}{_time(t.time_shift_seconds)}{alone}{weight}"))
    return axes


def _in_per_cent(model: MarginModel) -> bool:
    """Whether a scenario's price is the relative move itself, of every underlying that moves at all."""
    scan = model.scan_ranges
    if scan is None:
        return True
    ranges = [r for _, r in scan.ranges] + ([scan.other] if scan.other is not None else [])
    return all(not r.size or (r.size == 1 and not r.absolute) for r in ranges)


def _decimal(x: Fraction) -> str:
    return format_decimal(round_half_even(x.numerator * 10**6, x.denominator), 6)


def _percent(ratio: int) -> str:
    text = format_decimal(round_half_even(ratio, 10**8), 2)
    return f"{'+' if ratio > 0 else ''}{text}%"


def _time(seconds: int) -> str:
    return f", {seconds // 3600} h" if seconds else ""


def _binding_scenarios(model: AnyModel, book: BookMargin) -> frozenset[int]:
    return frozenset(s for b in _binding(model, book) for s in b.scenarios)


def _book_map(model: AnyModel, book: BookMargin) -> Html:
    """P&L of the book: prices across, volatility and time down."""
    r = book.report
    axes = _scenario_axes(model)
    totals = [sum((s.pnl[n] for s in r.sets), Fraction(0)) for n in range(len(axes))]
    bound = _binding_scenarios(model, book)
    prices = list(dict.fromkeys(x.price for x in sorted(axes, key=lambda x: x.order)))
    kinds = list(dict.fromkeys(x.rest for x in axes))
    found: dict[tuple[str, str], int] = {}
    for n in sorted(range(len(axes)), key=lambda n: (n not in bound, totals[n], n)):
        found.setdefault((axes[n].price, axes[n].rest), n)
    largest = max((abs(x) for x in totals), default=Fraction(0))
    rows: list[list[Cell]] = []
    for kind in kinds:
        cells: list[Cell] = [kind]
        for price in prices:
            place = found.get((price, kind))
            cells.append("" if place is None else _cell(totals[place], largest, place in bound))
        rows.append(cells)
    notes = [
        "P&L of the whole book by move of the price (across) and of volatility and time (down); what binds is marked."
    ]
    if len(found) < len(axes):
        notes.append("Where several scenarios have one place, the one that binds is shown, or else the worst.")
    return section("book", "Heat map of the book", element("p", " ".join(notes), "quiet"), table(["", *prices], rows))


def _cell(amount: Fraction, largest: Fraction, binds: bool) -> Html:
    mark = "binds " if binds else ""
    return element("div", f"{mark}{heat.whole(amount)}", heat.level(amount, largest) or "zero")


def _array(model: AnyModel, book: BookMargin) -> Html:
    """The risk array by underlying, expiry and position."""
    r = book.report
    totals = [sum((s.pnl[n] for s in r.sets), Fraction(0)) for n in range(book.scenarios)]
    bound = _binding_scenarios(model, book)
    if not totals:
        parts = [] if isinstance(model, RiskModel) or model.tail is None else ["joint moves"]
        parts += ["charges"] if r.charges else []
        made_of = " and ".join(parts) or "nothing that moves"
        return section(
            "array", "Risk array", element("p", f"This model has no scenarios: its margin is made of {made_of}.")
        )
    shown = sorted(sorted(range(len(totals)), key=lambda n: (n not in bound, totals[n], n))[:MAX_COLUMNS])
    rows, left_out = levels.rows(book, [totals[n] for n in shown], book.pnl_by_position(), shown)
    axes = _scenario_axes(model)
    columns = [(r.scenario_ids[n], axes[n].price, axes[n].rest) for n in shown]
    notes = ["P&L in each scenario, in units of the currency; each level is shaded against its own largest number."]
    if len(shown) < len(totals):
        notes.append(f"The {len(shown)} worst of {len(totals)} scenarios are shown.")
    if left_out:
        notes.append(levels.left_out(left_out))
    marked = frozenset(k for k, n in enumerate(shown) if n in bound)
    return section(
        "array",
        "Risk array by underlying, expiry and position",
        element("p", " ".join(notes), "quiet"),
        heat.heat_map(columns, rows, marked),
    )


def _greeks(book: BookMargin) -> Html:
    greeks = portfolio_greeks(book.market, book.portfolio)

    def money(x: int) -> str:
        return grouped(format_decimal(round_half_even(x, 10 ** (MONEY_EXPONENT - 2)), 2))

    def coins(x: int) -> str:
        return grouped(format_decimal(round_half_even(x, 10 ** (RATIO_EXPONENT - 6)), 6))

    rows = [
        [u, coins(delta), coins(gamma), *(money(x) for x in (n.delta_cash, n.gamma_cash, n.vega, n.theta, n.rho))]
        for u, delta, gamma, n in greeks.by_underlying
    ]
    t = greeks.total
    rows.append(["total", "", "", *(money(x) for x in (t.delta_cash, t.gamma_cash, t.vega, t.theta, t.rho))])
    header = [
        "underlying",
        "delta, coins",
        "gamma",
        "delta cash",
        "gamma cash, 1 %",
        "vega, 1 %",
        "theta, a day",
        "rho, 1 %",
    ]
    return section("greeks", "Greeks", table(header, rows))


def _positions(book: BookMargin, attribution: Attribution) -> Html:
    r, instruments = book.report, book.market.registry.instruments
    lots, e = dict(book.portfolio.positions), book.market.registry.quantity_exponent
    rows = [
        [
            instruments[x.index].name,
            grouped(format_decimal(lots[x.index], e), 0)
            if lots[x.index] % 10**e == 0
            else format_decimal(lots[x.index], e),
            shown_value(r, x.initial),
            shown_value(r, x.maintenance),
            shown_value(r, x.marginal_initial),
            shown_requirement(r, x.alone_initial),
        ]
        for x in sorted(attribution.shares, key=lambda x: (-x.initial, x.index))
    ]
    rows.append(
        ["(rest)", "", shown_value(r, attribution.rest_initial), shown_value(r, attribution.rest_maintenance), "", ""]
    )
    header = ["position", "quantity", "share of initial", "share of maintenance", "marginal initial", "alone"]
    text = "Shares are Euler's: with the rest they add up to the margin. Marginal is what the margin falls by without the position."
    return section("positions", "What each position contributes", element("p", text, "quiet"), table(header, rows))
