"""What most commands take: a market, a book, a model, histories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import read_bytes, read_kind

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market
    from riskproof.risk.margining import AnyModel
    from riskproof.risk.tail.history import History
    from riskproof.risk.tail.methods import Method
    from riskproof.risk.tail.model import TailModel

FILE = click.Path(path_type=Path, readable=False)  # what cannot be read is said by `read_bytes`, in JSON with --json

MARKET = click.option("--market", "market_file", required=True, type=FILE, help="Market file (riskproof market).")
PORTFOLIO = click.option(
    "--portfolio", "book_file", required=True, type=FILE, help="Book: CSV with the header instrument,quantity."
)
MODEL = click.option(
    "--model", "model_name", default="crypto-pm", show_default=True, help="Shipped model or a model file."
)
HISTORY = click.option(
    "--history",
    "history_files",
    multiple=True,
    type=FILE,
    help="History that a model of the call names (riskproof history); may be given again.",
)
SIGNATURES = click.option(
    "--require-signatures",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many keys of the set, all of the venue, must have signed an attestation.",
)


def load_market(path: Path) -> Market:
    """Read and check a market file."""
    from riskproof.market.marketfile import Market

    return Market.from_bytes(read_kind(path, "--market", "a market file"), str(path))


def any_model(name: str) -> AnyModel:
    """A shipped model by name, or a model file by path, of either version."""
    from riskproof.risk.margining import load, read

    return read(read_bytes(name), name) if is_model_file(name) else load(name)


def is_model_file(name: str) -> bool:
    """Whether a model is given as a file rather than by its name; every other text is a name."""
    return Path(name).suffix == ".json" or os.path.exists(name)  # noqa: PTH110 - false, not an error, of what no path can be


def load_history(path: Path) -> History:
    """Read and check a history file."""
    from riskproof.risk.tail.history import History

    return History.from_bytes(read_bytes(path), str(path))


def load_histories(files: Sequence[Path], *models: AnyModel | TailModel) -> list[History]:
    """Read and check the history files of a call; each must be one that a model of it names (InputError)."""
    histories = [load_history(path) for path in files]
    named = {x: m.name for m in models for x in map(_history, _methods(m)) if x is not None}
    for path, history in zip(files, histories, strict=True):
        if history.digest not in named:
            from riskproof.errors import InputError

            what = f"no model of this call names the history {history.digest.hex()}"
            said = "; ".join(f"{digest.hex()}, which {name} names" for digest, name in named.items())
            nothing = f"no --history: {', '.join(m.name for m in models)} names none"
            raise InputError(what, where=str(path), expected=said or nothing)
    return histories


@contextmanager
def errors_in(
    name: str, model: AnyModel | TailModel, files: Sequence[Path] = (), histories: Sequence[History] = ()
) -> Iterator[None]:
    """Errors about a model's joint moves, and what is measured on them, name its file and that of the history they come from.

    Args:
        name: the model as it was given. files, histories: those of the call, in the same order.
    """
    from riskproof.errors import DomainError, HistoryError, ModelError

    try:
        yield
    except (DomainError, HistoryError, ModelError) as error:
        found = re.match(r"(?:tail\.)?sets\b(?:\[(\d+)\])?|measure\.", error.where)
        if found is None:
            raise
        digest = None if found[1] is None else _history(_methods(model)[int(found[1])])
        where = f"{name}.{error.where}"
        for file, history in zip(files, histories, strict=True):
            if history.digest == digest and not isinstance(error, ModelError):
                where += f" {file}" if where.endswith("history") else f" ({file})"
        raise type(error)(error.what, where=where, expected=error.expected) from None


def _methods(model: AnyModel | TailModel) -> list[Method]:
    """Methods of a model's sets of joint moves, in its order."""
    from riskproof.risk.margining import MarginModel
    from riskproof.risk.model import RiskModel

    if isinstance(model, RiskModel):
        return []
    if isinstance(model, MarginModel):
        return [] if model.tail is None else [s.method for s in model.tail.sets]
    return [method for _, method in model.sets]


def _history(method: Method) -> bytes | None:
    """Digest of the history that a set names."""
    from riskproof.risk.tail.methods import Filtered, Historical

    return method.history if isinstance(method, Historical | Filtered) else None
