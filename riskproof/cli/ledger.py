"""`riskproof ledger`: for whoever keeps a venue's ledger."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from riskproof.cli.output import EXIT_REFUSED, emit_json, json_option, progress, reports_errors
from riskproof.errors import NotFoundError


@click.group()
def ledger() -> None:
    """Check a venue's ledger."""


@ledger.command()
@click.option("--url", required=True, help="As in the configuration: sqlite:///ledger.db, or PostgreSQL's.")
@json_option
@reports_errors
def check(url: str, as_json: bool) -> None:
    """Check everything in a ledger against everything else; exit status 1 if something contradicts something.

    Sequences without gaps, each attestation naming the one before, positions equal to the sum of their trades, documents equal to
    their digests. A backup can be checked as well as a ledger that is being served.
    """
    from riskproof.store import Ledger

    scheme, mark, path = url.partition(":///")
    if mark and scheme == "sqlite" and not Path(path).is_file():
        raise NotFoundError("no such ledger", where=url, expected="the URL of a ledger that exists")
    with Ledger.open(url) as opened, progress("reading the whole ledger ..."):
        findings = opened.verify_integrity()
    if as_json:
        emit_json({"findings": [{"where": f.where, "what": f.what} for f in findings]})
    else:
        click.echo("\n".join([*(str(f) for f in findings), f"{len(findings)} findings"]))
    sys.exit(EXIT_REFUSED if findings else 0)
