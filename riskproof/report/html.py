"""HTML from text: everything is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is safe to put into a page."""

    text: str


Cell = Html | str


def markup(cell: Cell) -> str:
    """A cell's markup: text is escaped."""
    return cell.text if isinstance(cell, Html) else escape(cell, quote=True)


def element(name: str, content: Cell, css: str = "") -> Html:
    """<name class=css>content</name>; `name` and `css` are ours."""
    return Html(f"<{name}{css_class(css)}>{markup(content)}</{name}>")


def css_class(css: str) -> str:
    """A class attribute with a space before it, or nothing; `css` is ours."""
    return f' class="{css}"' if css else ""


def joined(parts: Iterable[Html], between: str = "\n") -> Html:
    """Parts one after the other."""
    return Html(between.join(p.text for p in parts))


def section(identifier: str, title: str, *parts: Html) -> Html:
    """A section with a heading; `identifier` is ours."""
    body = joined((element("h2", title), *parts)).text
    return Html(f'<section id="{identifier}">\n{body}\n</section>')


def table(header: Sequence[Cell], rows: Sequence[Sequence[Cell]], *, marked: frozenset[int] = frozenset()) -> Html:
    """A table: the first column flush left, the others are numbers; rows in `marked` bind."""
    head = "".join(f'<th scope="col">{markup(c)}</th>' for c in header)
    body = []
    for n, row in enumerate(rows):
        first, *rest = row
        css = css_class("binds" if n in marked else "")
        cells = "".join(f"<td>{markup(c)}</td>" for c in rest)
        body.append(f'<tr{css}><th scope="row">{markup(first)}</th>{cells}</tr>')
    return Html(f'<div class="scroll"><table>\n<tr>{head}</tr>\n' + "\n".join(body) + "\n</table></div>")
