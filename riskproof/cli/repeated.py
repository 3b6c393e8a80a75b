"""An option that takes one value and is given twice is refused: nothing says which of the two was meant."""

from __future__ import annotations

from collections.abc import Sequence

import click


def refuse_repeated(command: click.Command, arguments: Sequence[str], parent: click.Context, name: str) -> None:
    """UsageError if an option of a command, or of the commands below it, is there more often than it may be.

    Anything else that is wrong with the arguments is left to the command itself, and so is a request for help.
    """
    ctx = click.Context(command, parent=parent, info_name=name, resilient_parsing=True)
    _, rest, order = command.make_parser(ctx).parse_args(list(arguments))
    options = [p for p in order if isinstance(p, click.Option)]
    if any(p.is_eager for p in options):
        return
    for n, option in enumerate(options):
        if option in options[:n] and not option.multiple and not option.count:
            ctx.fail(f"Option '{option.opts[0]}' is given more than once; it takes one value.")
    if isinstance(command, click.Group) and rest:
        below = command.get_command(ctx, rest[0])
        if below is not None:
            refuse_repeated(below, rest[1:], ctx, rest[0])
