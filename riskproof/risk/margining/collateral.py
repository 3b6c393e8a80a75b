"""The collateral block of a model: what spot assets are worth, and whether they move with the scenarios.

    "collateral": {"conversion": "settlement_price",
                   "assets": {"BTC": {"initial": "0.03", "maintenance": "0.02", "moves": true}, "USDT": {...}},
                   "other": {"initial": "1", "maintenance": "1"}}

    value     quantity unit mark / settlement price     "conversion": "settlement_price"; without the division for "none"
    haircut   rate value                                by asset (the underlying of the spot listing) and margin
    moves     the value takes part in the scenarios' price moves: it cancels risk

An asset that is not named takes `other`; a model without `other` refuses it. Cash in the settlement currency is not
collateral: it is worth itself. Collateral is held, never owed: a negative quantity is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import ModelError, PortfolioError
from riskproof.risk.margining import exact
from riskproof.risk.margining.grid import choice, identifier

MAX_ASSETS: Final = 256


@dataclass(frozen=True, slots=True)
class Asset:
    """Haircuts of an asset, 0 to 1, and whether it takes part in price moves."""

    initial: Fraction
    maintenance: Fraction
    moves: bool = False

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {"initial": exact.text(self.initial), "maintenance": exact.text(self.maintenance)}
        if self.moves:
            document["moves"] = True
        return document


@dataclass(frozen=True)
class Collateral:
    """The block; assets sorted by name."""

    converted: bool
    assets: tuple[tuple[str, Asset], ...]
    other: Asset | None = None

    def asset(self, name: str) -> Asset:
        """Terms of an asset; PortfolioError if the model does not take it."""
        found = dict(self.assets).get(name, self.other)
        if found is None:
            raise PortfolioError(
                f"{name} is no collateral of this model", where="collateral.assets", expected=self._names()
            )
        return found

    def _names(self) -> str:
        return "one of " + ", ".join(name for name, _ in self.assets)[:200] if self.assets else "no collateral but cash"

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {
            "conversion": "settlement_price" if self.converted else "none",
            "assets": {name: asset.to_document() for name, asset in self.assets},
        }
        if self.other is not None:
            document["other"] = self.other.to_document()
        return document


def parse(node: Json, where: str = "collateral") -> Collateral:
    """Read the block (ModelError, EncodingError)."""
    m = encoding.members(node, where, ("conversion", "assets"), ("other",))
    conversion = choice(m["conversion"], f"{where}.conversion", "none", "settlement_price")
    assets = m["assets"]
    if not isinstance(assets, dict) or len(assets) > MAX_ASSETS:
        raise ModelError(
            "not an object of assets", where=f"{where}.assets", expected=f"at most {MAX_ASSETS} named assets"
        )
    named = tuple((identifier(n, f"{where}.assets"), _asset(assets[n], f"{where}.assets.{n}")) for n in sorted(assets))
    return Collateral(conversion != "none", named, _asset(m["other"], f"{where}.other") if "other" in m else None)


def _asset(node: Json, where: str) -> Asset:
    m = encoding.members(node, where, ("initial", "maintenance"), ("moves",))
    moves = m.get("moves", False)
    if not isinstance(moves, bool):
        raise ModelError("not true or false", where=f"{where}.moves", expected="true or false")
    initial = exact.parse(m["initial"], f"{where}.initial", low=0, high=1)
    maintenance = exact.parse(m["maintenance"], f"{where}.maintenance", low=0, high=1)
    return Asset(initial, maintenance, moves)
