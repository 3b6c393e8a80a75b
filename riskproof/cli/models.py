"""`riskproof models`: list, show, check."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from riskproof.cli.files import read_bytes
from riskproof.cli.inputs import FILE, any_model
from riskproof.cli.output import emit_json, json_option, reports_errors, table

if TYPE_CHECKING:
    from riskproof.encoding import Json
    from riskproof.proof.programme.provable import Provable
    from riskproof.risk.margining import AnyModel

WIDTH = 100


@click.group()
def models() -> None:
    """Show and check risk models.

    A risk model is a document: scenarios, volatility, pricing, netting, charges, collateral, how they add up, how they are rounded.

    \b
    riskproof models list
    riskproof models show derive-pm2
    riskproof models show crypto-pm --json > mine.json
    riskproof models check mine.json
    """


@models.command(name="list")
@json_option
@reports_errors
def list_(as_json: bool) -> None:
    """Models that ship."""
    from riskproof.risk.margining import load, names

    shipped = [load(name) for name in names()]
    if as_json:
        emit_json({"models": [summary(model) for model in shipped]})
        return
    rows = [[m.name, f"v{version(m)}", str(len(m.scenarios)), _first_sentence(m.description)] for m in shipped]
    widest = WIDTH - max(len(m.name) for m in shipped)
    for row in rows:
        row[3] = textwrap.shorten(row[3], widest, placeholder=" ...")
    click.echo(table(["model", "version", "scenarios", "what it is"], rows, left=4))


@models.command()
@click.argument("name")
@json_option
@reports_errors
def show(name: str, as_json: bool) -> None:
    """A model in words; with --json its canonical document, which `check` takes. NAME: one that ships, or a file."""
    model = any_model(name)
    click.echo(model.to_bytes().decode("utf-8") if as_json else words(model), nl=not as_json)


@models.command()
@click.argument("file", type=FILE)
@json_option
@reports_errors
def check(file: Path, as_json: bool) -> None:
    """Check a model file; an error names the member that is wrong and says what would be right.

    What no margin depends on (a charge, scenarios of a group, a term) is no error, and is said.
    """
    from riskproof.risk.margining import read
    from riskproof.risk.model import RiskModel

    model = read(read_bytes(file), str(file))
    unused = () if isinstance(model, RiskModel) else model.unused
    if as_json:
        emit_json({**summary(model), "unused": list(unused)})
        return
    click.echo(f"{file}: {model.name}, version {version(model)}, {len(model.scenarios)} scenarios")
    click.echo(f"digest {model.digest.hex()}")
    for what in unused:
        click.echo(f"no margin depends on: {what}")


def version(model: AnyModel) -> int:
    """1 or 2."""
    from riskproof.risk.model import RiskModel

    return 1 if isinstance(model, RiskModel) else 2


def summary(model: AnyModel) -> dict[str, Json]:
    """What `list` and `check` print of a model."""
    return {
        "name": model.name,
        "version": version(model),
        "digest": model.digest.hex(),
        "scenarios": len(model.scenarios),
        "description": model.description,
    }


def words(model: AnyModel) -> str:
    """A model for people: what it says of itself, its scenarios as a table, every other block a line for each member."""
    from riskproof.cli.block_words import collateral_words, netting_words, scan_words
    from riskproof.cli.charge_words import charge_words
    from riskproof.risk.models import CHECKED

    sentences: dict[str, Callable[[Any], Iterable[tuple[str, str]]]] = {
        "charges": lambda charges: ((_title(x), charge_words(x)) for x in charges),
        "collateral": collateral_words,
        "netting": netting_words,
    }
    document = model.to_document()
    parts = [f"{model.name} (version {version(model)})\ndigest {model.digest.hex()}", _wrapped(model.description)]
    checked = document.get("checked", CHECKED.get(model.digest.hex()))
    if isinstance(checked, str):
        parts.append(_wrapped(checked))
    grid = document["grid"]["scenarios"] if "grid" in document else document["scenarios"]
    parts.append(_scenarios(grid))
    if "scan_ranges" in document.get("grid", {}):
        parts.append(_wrapped(scan_words(document["grid"]["scan_ranges"])))
    said = {"schema", "name", "description", "checked", "grid", "scenarios"}
    for block, content in document.items():
        if block in said or content in ([], {}):
            continue
        said_as = sentences.get(block) if version(model) > 1 else None
        lines = [line for x in said_as(content) for line in _sentence(*x)] if said_as is not None else _lines(content)
        parts.append("\n".join([block, *lines]))
    parts.append(_proofs(model))
    return "\n\n".join(parts)


def _proofs(model: AnyModel) -> str:
    """What a net-risk proof shows of the model's margin: of both statements together where they prove the same."""
    from riskproof.proof.programme.provable import provable

    found = {str(kind): proved for kind, proved in provable(model).items()}
    if len(set(found.values())) == 1:
        found = {", ".join(found): next(iter(found.values()))}
    return "\n\n".join(_proof(f"Proofs ({kinds})", x) for kinds, x in found.items())


def _proof(head: str, found: Provable) -> str:
    if found.refused:
        return _wrapped(f"{head}: none, because {found.refused}.")
    if not found.bounds:
        return f"{head}: the whole requirement, as the model asks for it."
    said = f"{head}: the whole requirement; they may ask for more than the model, never for less, where"
    return "\n".join(
        [said, *(textwrap.fill(x, WIDTH, initial_indent="  ", subsequent_indent="    ") for x in found.bounds)]
    )


def _scenarios(scenarios: list[dict[str, Json]]) -> str:
    names = list(dict.fromkeys(name for s in scenarios for name in s))
    rows = [[_atom(s.get(name, "")) for name in names] for s in scenarios]
    if not rows:
        return "no scenarios"
    return f"{len(rows)} scenarios\n{table(names, rows)}"


def _sentence(title: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {title:<22}  ", subsequent_indent=" " * 26)


def _lines(node: Json) -> list[str]:
    if isinstance(node, dict):
        return [line for name, x in node.items() for line in _member(name, x)]
    if isinstance(node, list):
        return [
            line for x in node for line in (_member(_title(x), _rest(x)) if isinstance(x, dict) else _member("", x))
        ]
    return [f"  {_atom(node)}"]


def _member(name: str, node: Json) -> list[str]:
    from riskproof.cli.formula import formula

    text = formula(node)
    if text is not None and len(text) + len(name) < WIDTH:
        return [f"  {name:<24}{text}" if name else f"  {text}"]
    return [f"  {name}", *(f"  {line}" for line in _lines(node))] if name else _lines(node)


def _title(node: dict[str, Json]) -> str:
    return str(node.get("id", ""))


def _rest(node: dict[str, Json]) -> Json:
    return {name: x for name, x in node.items() if name != "id"}


def _atom(node: Json) -> str:
    return node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")
