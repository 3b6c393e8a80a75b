"""The collateral block of a model: what spot assets are worth, and whether they move with the scenarios.

    "collateral": {"conversion": "settlement_price",
                   "assets": {"BTC": {"initial": "0.03", "maintenance": "0.02", "moves": true}, "USDT": {...}},
                   "markets": {"ETH": {"BTC": {"initial": "0.3", "maintenance": "0.25"}}},
                   "other": {"initial": "1", "maintenance": "1"}}

    value     quantity unit mark / settlement price     "conversion": "settlement_price"; without the division for "none"
    haircut   rate value                                by asset (the underlying of the spot listing) and margin
    moves     the value takes part in the scenarios' price moves: it cancels risk

`markets` has other terms of an asset in the netting sets of an underlying. An asset that is not named takes `other`; a model
without `other` refuses it. Cash in the settlement currency is not collateral: it is worth itself. Collateral is held, never
owed: a negative quantity is refused.
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
MAX_HAIRCUT: Final = 10  # venues' rates for initial margin come on top of those for maintenance


@dataclass(frozen=True, slots=True)
class Asset:
    """Haircuts of an asset, 0 to 10 (beyond 1, more than it is worth is charged), and whether it takes part in price moves."""

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
    markets: tuple[tuple[str, tuple[tuple[str, Asset], ...]], ...] = ()

    def find(self, name: str, market: str | None) -> Asset | None:
        """Terms of an asset in the netting set of an underlying; None if the model does not take it."""
        own = dict(dict(self.markets).get(market, ())) if market is not None else {}
        return own.get(name) or dict(self.assets).get(name, self.other)

    def asset(self, name: str, market: str | None) -> Asset:
        """As `find`; PortfolioError if the model does not take the asset."""
        found = self.find(name, market)
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
        if self.markets:
            document["markets"] = {m: {name: asset.to_document() for name, asset in own} for m, own in self.markets}
        if self.other is not None:
            document["other"] = self.other.to_document()
        return document


def parse(node: Json, where: str = "collateral") -> Collateral:
    """Read the block (ModelError, EncodingError)."""
    m = encoding.members(node, where, ("conversion", "assets"), ("markets", "other"))
    conversion = choice(m["conversion"], f"{where}.conversion", "none", "settlement_price")
    markets = m.get("markets", {})
    if not isinstance(markets, dict) or len(markets) > MAX_ASSETS:
        raise ModelError(
            "not an object of markets", where=f"{where}.markets", expected=f"at most {MAX_ASSETS} underlyings"
        )
    return Collateral(
        conversion != "none",
        _assets(m["assets"], f"{where}.assets"),
        _asset(m["other"], f"{where}.other") if "other" in m else None,
        tuple(
            (identifier(x, f"{where}.markets"), _assets(markets[x], f"{where}.markets.{x}")) for x in sorted(markets)
        ),
    )


def _assets(node: Json, where: str) -> tuple[tuple[str, Asset], ...]:
    if not isinstance(node, dict) or len(node) > MAX_ASSETS:
        raise ModelError("not an object of assets", where=where, expected=f"at most {MAX_ASSETS} named assets")
    return tuple((identifier(name, where), _asset(node[name], f"{where}.{name}")) for name in sorted(node))


def _asset(node: Json, where: str) -> Asset:
    m = encoding.members(node, where, ("initial", "maintenance"), ("moves",))
    moves = m.get("moves", False)
    if not isinstance(moves, bool):
        raise ModelError("not true or false", where=f"{where}.moves", expected="true or false")
    initial = exact.parse(m["initial"], f"{where}.initial", low=0, high=MAX_HAIRCUT)
    maintenance = exact.parse(m["maintenance"], f"{where}.maintenance", low=0, high=MAX_HAIRCUT)
    return Asset(initial, maintenance, moves)
