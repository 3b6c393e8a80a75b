"""The collateral block of a model: what spot assets are worth, and whether they move with the scenarios.

    "collateral": {"conversion": "settlement_price",
                   "assets": {"BTC": {"initial": "0.03", "maintenance": "0.02", "moves": true},
                              "USDT": {"initial": "0.01", "maintenance": "0.01", "stress": "depeg", "cap": "1000000",
                                       "concentration": {"beyond": "500000", "initial": "0.1", "maintenance": "0.1"}}},
                   "markets": {"ETH": {"BTC": {"initial": "0.3", "maintenance": "0.25"}}},
                   "other": {"initial": "1", "maintenance": "1"}}

    V    value of an asset: quantity unit mark, summed; divided by the settlement price with "conversion": "settlement_price"
    C    what of it counts in `value.spot`: min(V, cap), or V without a `cap`
    h    its haircut by margin: the rate, or what the price loses in the worst scenario of the group `stress`, if that is more
    charge `haircut` = sum over assets of h C + concentration rate max(0, C - beyond)
         beyond is an amount, or with "share": "0.4" that share of the C of all assets of the account
    moves     the value takes part in the scenarios' price moves: it cancels risk

An asset is the underlying of spot listings. The loss in a scenario is its weight times the fall of the price as a share of it (of
the index price, where a scan range is absolute); dampeners are amounts of netting sets and do not count. What moves, moves with
all of V.

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
MAX_AMOUNT: Final = 10**18
_MARGINS: Final = ("initial", "maintenance")


@dataclass(frozen=True, slots=True)
class Concentration:
    """A further haircut on what is beyond an amount, or beyond a share of what all collateral of the account counts."""

    initial: Fraction
    maintenance: Fraction
    beyond: Fraction
    of_all: bool = False

    def threshold(self, pledged: Fraction) -> Fraction:
        """Beyond which it is charged, of what all collateral counts."""
        return self.beyond * pledged if self.of_all else self.beyond

    def to_document(self) -> dict[str, Json]:
        rates: dict[str, Json] = {n: exact.text(getattr(self, n)) for n in _MARGINS}
        return {"share" if self.of_all else "beyond": exact.text(self.beyond), **rates}


@dataclass(frozen=True, slots=True)
class Asset:
    """Terms of an asset.

    Attributes:
        initial, maintenance: haircuts, 0 to 10 (beyond 1, more than it is worth is charged).
        moves: whether it takes part in price moves.
        stress: the group of scenarios whose worst loss the haircut is at least, or None.
        cap: what it counts at most, or None. concentration: or None.
    """

    initial: Fraction
    maintenance: Fraction
    moves: bool = False
    stress: str | None = None
    cap: Fraction | None = None
    concentration: Concentration | None = None

    def counted(self, value: Fraction) -> Fraction:
        """C of V."""
        return value if self.cap is None else min(value, self.cap)

    def haircut(self, counted: Fraction, pledged: Fraction, fall: Fraction, margin: str) -> Fraction:
        """The charge on C; `pledged` is that of all assets of the account, `fall` what the price loses under stress."""
        rate: Fraction = getattr(self, margin)
        amount = max(rate, fall) * counted
        if self.concentration is not None:
            extra: Fraction = getattr(self.concentration, margin)
            amount += extra * max(Fraction(0), counted - self.concentration.threshold(pledged))
        return amount

    def to_document(self) -> dict[str, Json]:
        document: dict[str, Json] = {n: exact.text(getattr(self, n)) for n in _MARGINS}
        if self.moves:
            document["moves"] = True
        if self.stress is not None:
            document["stress"] = self.stress
        if self.cap is not None:
            document["cap"] = exact.text(self.cap)
        if self.concentration is not None:
            document["concentration"] = self.concentration.to_document()
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

    @property
    def terms(self) -> list[Asset]:
        """The terms of every asset in every market."""
        found = [asset for _, asset in self.assets]
        found += [asset for _, own in self.markets for _, asset in own]
        return found if self.other is None else [*found, self.other]

    @property
    def is_linear(self) -> bool:
        """Whether what assets count and are charged is in proportion to what is held."""
        return all(asset.cap is None and asset.concentration is None for asset in self.terms)

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


def parse(node: Json, groups: frozenset[str], where: str = "collateral") -> Collateral:
    """Read the block; `groups` are the scenarios' (ModelError, EncodingError)."""
    m = encoding.members(node, where, ("conversion", "assets"), ("markets", "other"))
    conversion = choice(m["conversion"], f"{where}.conversion", "none", "settlement_price")
    markets = m.get("markets", {})
    if not isinstance(markets, dict) or len(markets) > MAX_ASSETS:
        raise ModelError(
            "not an object of markets", where=f"{where}.markets", expected=f"at most {MAX_ASSETS} underlyings"
        )
    return Collateral(
        conversion != "none",
        _assets(m["assets"], groups, f"{where}.assets"),
        _asset(m["other"], groups, f"{where}.other") if "other" in m else None,
        tuple(
            (identifier(x, f"{where}.markets"), _assets(markets[x], groups, f"{where}.markets.{x}"))
            for x in sorted(markets)
        ),
    )


def _assets(node: Json, groups: frozenset[str], where: str) -> tuple[tuple[str, Asset], ...]:
    if not isinstance(node, dict) or len(node) > MAX_ASSETS:
        raise ModelError("not an object of assets", where=where, expected=f"at most {MAX_ASSETS} named assets")
    return tuple((identifier(name, where), _asset(node[name], groups, f"{where}.{name}")) for name in sorted(node))


def _asset(node: Json, groups: frozenset[str], where: str) -> Asset:
    m = encoding.members(node, where, _MARGINS, ("moves", "stress", "cap", "concentration"))
    moves = m.get("moves", False)
    if not isinstance(moves, bool):
        raise ModelError("not true or false", where=f"{where}.moves", expected="true or false")
    if "stress" in m and (not isinstance(m["stress"], str) or m["stress"] not in groups):
        raise ModelError(
            f"no scenario of group {str(m['stress'])[:64]!r}",
            where=f"{where}.stress",
            expected=", ".join(sorted(groups))[:200] or "no stress, or scenarios",
        )
    return Asset(
        *_rates(m, where),
        moves,
        str(m["stress"]) if "stress" in m else None,
        exact.parse(m["cap"], f"{where}.cap", low=0, high=MAX_AMOUNT) if "cap" in m else None,
        _concentration(m["concentration"], f"{where}.concentration") if "concentration" in m else None,
    )


def _concentration(node: Json, where: str) -> Concentration:
    m = encoding.members(node, where, _MARGINS, ("beyond", "share"))
    if ("beyond" in m) == ("share" in m):
        raise ModelError(
            "both beyond and share" if "beyond" in m else "neither beyond nor share",
            where=where,
            expected="one of them",
        )
    rates, of_all = _rates(m, where), "share" in m
    name, most = ("share", 1) if of_all else ("beyond", MAX_AMOUNT)
    return Concentration(*rates, exact.parse(m[name], f"{where}.{name}", low=0, high=most), of_all)


def _rates(m: dict[str, Json], where: str) -> tuple[Fraction, Fraction]:
    initial, maintenance = (exact.parse(m[n], f"{where}.{n}", low=0, high=MAX_HAIRCUT) for n in _MARGINS)
    return initial, maintenance
