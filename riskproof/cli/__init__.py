"""The command line `riskproof`.

Commands are loaded when they are called, so that `riskproof verify` starts without numpy, numba or gRPC.

Exit status: 0 done (for `verify`: valid); 1 refused (for `verify`: invalid); 2 bad input or usage (for `verify`: malformed);
3 no answer: standard output is full or nobody reads it (for `verify-proof --reference`: or the two verifiers disagree).
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

import click

import riskproof
from riskproof.cli.compiled import prepare_cache
from riskproof.cli.repeated import refuse_repeated

EXIT_NOT_WRITTEN: Final = 3

# name -> (module, attribute, one line of help), in the order in which a newcomer meets them
COMMANDS: Final = {
    "demo": (
        "riskproof.cli.demo",
        "demo",
        "Two venues, attestations, a verifier, a proof over both, an auditor: on this machine.",
    ),
    "market": ("riskproof.cli.market", "market", "Make, import and check market files."),
    "price": ("riskproof.cli.risk", "price", "Value and Greeks of one unit of every instrument."),
    "array": ("riskproof.cli.risk", "array", "Risk array, worst scenario and margin of a book."),
    "models": ("riskproof.cli.models", "models", "Show and check risk models."),
    "margin": ("riskproof.cli.margin", "margin", "Margin of a book under a model: what binds, and what netting saves."),
    "whatif": ("riskproof.cli.margin", "whatif", "Margin before and after trades."),
    "report": ("riskproof.cli.margin", "report", "One offline page: heat map, Greeks, margin by model and charge."),
    "tail": ("riskproof.cli.tail", "tail", "Value at risk and expected shortfall of a book."),
    "history": ("riskproof.cli.history", "history", "Histories of prices and volatilities, and correlations."),
    "keys": ("riskproof.cli.keys", "keys", "Make signing keys, print public keys."),
    "attest": ("riskproof.cli.attest", "attest", "Sign an attestation of a book's net risk exposure."),
    "verify": ("riskproof.cli.verify", "verify", "Verify an attestation or a disclosure."),
    "challenge": ("riskproof.cli.challenge", "challenge", "Ask account holders to bound their net risk."),
    "prove": ("riskproof.cli.prove", "prove", "Answer a challenge; the books stay hidden."),
    "verify-proof": (
        "riskproof.cli.verify_proof",
        "verify_proof",
        "Verify a proof of net risk over accounts and venues.",
    ),
    "disclose": ("riskproof.cli.attest", "disclose", "Open single positions of an attestation."),
    "certificates": ("riskproof.cli.serve", "certificates", "Make a private certificate authority for mutual TLS."),
    "remote": ("riskproof.cli.remote", "remote", "Call a venue's service."),
    "ledger": ("riskproof.cli.ledger", "ledger", "Check a venue's ledger."),
    "serve": ("riskproof.cli.serve", "serve", "Run the gRPC service of a venue."),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            refuse_repeated(command, rest, ctx, name)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            _not_written(error)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:  # from --help, which is printed before anything is invoked
            _not_written(error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


def _not_written(error: OSError) -> NoReturn:
    """Leave with one message; files are read and written elsewhere, so this is standard output, or a file that the error names."""
    # What is still buffered cannot be written either, and would be tried again when Python ends.
    with suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if error.errno != errno.EPIPE:
        where = "standard output" if error.filename is None else str(error.filename)
        click.echo(f"riskproof: {where}: cannot be written: {error.strerror}", err=True)
    sys.exit(EXIT_NOT_WRITTEN)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(riskproof.__version__, prog_name="riskproof")
def main(**_: Any) -> None:
    """Portfolio risk in integers that anyone recomputes; attestations that anyone verifies; positions that nobody sees.

    \b
    A venue:         riskproof market import, attest, serve
    A stranger:      riskproof verify att.json --keys keys.json
    A lender:        riskproof challenge, verify-proof
    A holder:        riskproof prove, disclose
    An auditor:      riskproof verify att.json --keys keys.json --market market.json --opening opening.json
    Start here:      riskproof demo
    """
    if os.environ.get("NO_COLOR"):
        click.get_current_context().color = False
    prepare_cache()
