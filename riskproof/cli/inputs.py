"""What most commands take: a market, a book, a model, histories."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import read_bytes, read_kind

if TYPE_CHECKING:
    from riskproof.market.marketfile import Market
    from riskproof.risk.margining import AnyModel
    from riskproof.risk.tail.history import History

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
    help="History that the model names (riskproof history); may be given again.",
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


def load_histories(files: Sequence[Path]) -> list[History]:
    """Read and check history files."""
    if not files:
        return []
    from riskproof.risk.tail.history import History

    return [History.from_bytes(read_bytes(path), str(path)) for path in files]
