"""The charges block of a model: a closed vocabulary of amounts that are added to, or compete with, the scenarios' losses.

    "charges": [{"id": "naked", "kind": "notional", "exposure": "option_naked_short",
                 "rates": {"initial": "0.005", "maintenance": "0.003"}}, ...]

| kind | module | amount |
|---|---|---|
| `notional` | `rates` | rate times an exposure |
| `haircut` | `rates` | the collateral block's haircuts on collateral |
| `confidence` | `rates` | rate times (1 - confidence) times an exposure, where the oracle's confidence is below a threshold |
| `depeg` | `rates` | rate times what the settlement currency costs less than a threshold, times exposures |
| `basis` | `basis` | what each expiry's options lose by a move of its forward alone, times a factor that grows with its tenor |
| `standard_option` | `standard` | margin of options expiry by expiry: isolated, or the largest loss at settlement if that is less |
| `delta`, `roll` | `delta` | rate times an underlying's net, gross or hedged delta; times what has to be rolled forward |
| `stablecoin_hedge` | `delta` | rate times delta settled in one currency that hedges delta settled in another |
| `calendar_spread` | `spreads` | rate times delta of an expiry that is paired with opposite delta of another |
| `offset` | `spreads` | of the account: the credit for opposite deltas of two underlyings, to be subtracted |
| `liquidity_tier`, `fee` | `closing` | rates by size of an exposure; cost of closing each position |
| `standalone` | `standalone` | what each position loses by itself, summed: margin without netting |
| `vega_term`, `rate` | `terms` | a share of what expiries' volatility risks cancel; interest rate risk |

Any of them but `offset` may have a `scope` (`riskproof.risk.margining.scope`): it is computed on that part of the netting set.
Exposures and confidences are `riskproof.risk.margining.book`'s. A new kind is a class
with `parse`, `to_document` and `amount`, listed in `KINDS`. One that is of the whole account has `account_amount` too, and the
aggregate's account terms alone can name it.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeGuard

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError
from riskproof.risk.margining.charges.basis import Basis
from riskproof.risk.margining.charges.closing import Fee, LiquidityTier
from riskproof.risk.margining.charges.context import AccountCharge, Charge, Scoped, whole
from riskproof.risk.margining.charges.delta import Delta, Roll, StablecoinHedge
from riskproof.risk.margining.charges.rates import Confidence, Depeg, Haircut, Notional
from riskproof.risk.margining.charges.spreads import CalendarSpread, Offset
from riskproof.risk.margining.charges.standalone import Standalone
from riskproof.risk.margining.charges.standard import StandardOption
from riskproof.risk.margining.charges.terms import Rate, VegaTerm
from riskproof.risk.margining.grid import choice
from riskproof.risk.margining.scope import Scope

__all__ = ["KINDS", "AccountCharge", "Basis", "Charge", "Haircut", "Scoped", "of_account", "parse", "whole"]


class _Kind(Protocol):
    def parse(self, members: dict[str, Json], where: str) -> Charge: ...


KINDS: Final[dict[str, _Kind]] = {
    "notional": Notional,
    "haircut": Haircut,
    "confidence": Confidence,
    "depeg": Depeg,
    "basis": Basis,
    "standard_option": StandardOption,
    "delta": Delta,
    "roll": Roll,
    "stablecoin_hedge": StablecoinHedge,
    "calendar_spread": CalendarSpread,
    "offset": Offset,
    "liquidity_tier": LiquidityTier,
    "fee": Fee,
    "standalone": Standalone,
    "vega_term": VegaTerm,
    "rate": Rate,
}
_ID = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def of_account(charge: Charge) -> TypeGuard[AccountCharge]:
    """Whether a charge is of the whole account, not of a netting set."""
    return isinstance(charge, Offset)


def parse(node: Json, where: str, *, has_collateral: bool) -> tuple[str, Charge]:
    """(id, charge) of an item of the block (ModelError, EncodingError)."""
    if not isinstance(node, dict):
        raise ModelError(f"{type(node).__name__} in place of a charge", where=where, expected="an object")
    for name in ("id", "kind"):
        if name not in node:
            raise ModelError(f"member {name!r} is missing", where=where, expected="id and kind")
    name = encoding.string(node["id"], f"{where}.id", max_length=64)
    if not _ID.issuperset(name):
        raise ModelError(f"not an id: {name!r}", where=f"{where}.id", expected="a-z, 0-9 and _")
    kind = choice(node["kind"], f"{where}.kind", *KINDS)
    if kind == "haircut" and not has_collateral:
        raise ModelError("haircuts without a collateral block", where=f"{where}.kind", expected="a collateral block")
    charge = KINDS[kind].parse({k: v for k, v in node.items() if k not in ("id", "kind", "scope")}, where)
    if "scope" not in node:
        return name, charge
    if of_account(charge):
        raise ModelError("a charge of the whole account", where=f"{where}.scope", expected="no scope")
    return name, Scoped(charge, Scope.parse(node["scope"], f"{where}.scope"))
