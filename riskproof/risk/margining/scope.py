"""The scope of a charge: the part of a netting set that it is computed on.

    "scope": {"underlyings": {"in": ["BTC", "ETH"]}, "kinds": ["future", "perpetual"]}

`underlyings` are `{"in": [...]}` or `{"not_in": [...]}`, `kinds` of `spot`, `perpetual`, `future` and `option`; of both, both have
to hold. The charge sees a netting set that holds nothing else: what is outside of its scope neither adds to it nor offsets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.market.registry import Kind
from riskproof.risk.margining.grid import choice, identifier
from riskproof.risk.margining.market import Listing
from riskproof.risk.margining.volatility import one_of

MAX_NAMES: Final = 256


@dataclass(frozen=True, slots=True)
class Scope:
    """A choice of instruments.

    Attributes:
        names: underlyings, sorted; () for all. named: whether those alone are meant, or all others.
        kinds: in the order of `Kind`; () for all.
    """

    names: tuple[str, ...] = ()
    named: bool = False
    kinds: tuple[Kind, ...] = ()

    def takes(self, listing: Listing) -> bool:
        """Whether an instrument is in it."""
        if self.kinds and listing.kind not in self.kinds:
            return False
        return not self.names or (listing.underlying in self.names) == self.named

    @classmethod
    def parse(cls, node: Json, where: str) -> Scope:
        """Read the member (ModelError, EncodingError)."""
        m = encoding.members(node, where, (), ("underlyings", "kinds"))
        names, named = _names(m["underlyings"], f"{where}.underlyings") if "underlyings" in m else ((), False)
        kinds = parse_kinds(m["kinds"], f"{where}.kinds") if "kinds" in m else ()
        if kinds == tuple(Kind) or not m:
            raise ModelError(
                "a scope of everything", where=where, expected="underlyings, some kinds or both, or no scope"
            )
        return cls(names, named, kinds)

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {}
        if self.names:
            document["underlyings"] = {"in" if self.named else "not_in": list(self.names)}
        if self.kinds:
            document["kinds"] = [kind.value for kind in self.kinds]
        return document


def parse_kinds(node: Json, where: str) -> tuple[Kind, ...]:
    """Kinds of instruments, each once, in any order (ModelError)."""
    found = [choice(x, f"{where}[{i}]", *Kind) for i, x in enumerate(encoding.array(node, where))]
    if not found or len(set(found)) != len(found):
        raise ModelError("no kind, or one twice", where=where, expected="some of " + ", ".join(Kind))
    return tuple(kind for kind in Kind if kind.value in found)


def _names(node: Json, where: str) -> tuple[tuple[str, ...], bool]:
    how, names = one_of(node, where, "in", "not_in")
    at = f"{where}.{how}"
    found = [identifier(x, f"{at}[{i}]") for i, x in enumerate(encoding.array(names, at, max_length=MAX_NAMES))]
    if not found or found != sorted(set(found)):
        raise ModelError("no name, one twice, or not sorted", where=at, expected="underlyings in ascending order")
    return tuple(found), how == "in"
