"""The suites, in the order in which they are asked whether a file is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from tests.conformance import (
    deribit,
    derive_auctions,
    derive_pm1,
    derive_pm2,
    derive_srm,
    functions,
    okx,
    options,
    paradex,
    span,
)
from tests.conformance.cases import Case


class Suite(Protocol):
    __name__: str

    def matches(self, document: Any) -> bool: ...

    def run(self, document: Any) -> Iterator[Case]: ...


SUITES: list[Suite] = [
    derive_pm2,
    derive_pm1,
    derive_srm,
    derive_auctions,
    deribit,
    okx,
    span,
    paradex,
    options,
    functions,
]
