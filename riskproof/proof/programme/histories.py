"""Models whose joint moves no proof can take from a snapshot."""

from __future__ import annotations

from riskproof.errors import HistoryError
from riskproof.risk.margining.tail import Tail
from riskproof.risk.tail.methods import Filtered, Historical


def refuse_histories(tail: Tail | None) -> None:
    """Raise HistoryError, with the path of its member, for a set whose joint moves are those of a history."""
    for n, one in enumerate(tail.sets if tail is not None else ()):
        if isinstance(one.method, Historical | Filtered):
            raise HistoryError(
                f"the history {one.method.history.hex()} does not come with a snapshot: its joint moves are not provable",
                where=f"tail.sets[{n}].history",
                expected="a model whose joint moves are simulated",
            )
