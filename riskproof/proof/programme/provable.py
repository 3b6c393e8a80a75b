"""What the rows of a model would prove, told without a market: for people who choose a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.encoding import Json
from riskproof.errors import RiskproofError
from riskproof.market.registry import Kind, OptionType
from riskproof.proof.challenge import AnyModel, StatementKind
from riskproof.proof.programme import version2
from riskproof.proof.programme.convex import convex
from riskproof.proof.programme.listed import MarketPart
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.market import Forward, Index, Listing, MarginMarket
from riskproof.units import SECONDS_PER_DAY

_PRICE: Final = Fraction(100_000)
_EXPIRIES: Final = (10 * SECONDS_PER_DAY, 100 * SECONDS_PER_DAY)
_USUAL: Final = ("BTC", "ETH")
_CASH: Final = "USD"
_COIN: Final = "USDC"
_LABEL: Final = " of attestation 0"


@dataclass(frozen=True)
class Provable:
    """What a statement proves of a model.

    Attributes:
        bounds: where the rows ask for more than the model, in words; () if the requirement is proved as it is.
        refused: why there are no rows; "" if there are.
    """

    bounds: tuple[str, ...] = ()
    refused: str = ""


def provable(model: AnyModel) -> dict[StatementKind, Provable]:
    """`margin` and `excess`, compiled over a specimen of everything the model can meet: two expiries of options, perpetuals in
    two currencies, a future, collateral."""
    return {kind: _provable(model, kind) for kind in (StatementKind.MARGIN, StatementKind.EXCESS)}


def _provable(model: AnyModel, kind: StatementKind) -> Provable:
    if not isinstance(model, MarginModel):
        return Provable()
    market = _specimen(model)
    part = MarketPart(market, Fraction(1), {i: i for i in range(len(market.listings))})
    try:
        made = version2.requirement(model, [part])
        bounds = [*made.notes]
        for wanted in (made.initial, made.maintenance):
            bounds += convex(wanted - made.equity if kind is StatementKind.EXCESS else wanted)[1]
    except RiskproofError as error:
        return Provable(refused=error.what)
    return Provable(tuple(dict.fromkeys(text.replace(_LABEL, "") for text in bounds)))


def _specimen(model: MarginModel) -> MarginMarket:
    """A market in which every charge has something to charge, and no feed is sure."""
    unsure = Fraction(0)
    named = list(dict.fromkeys(_underlyings(model.to_document()))) or list(_USUAL)
    underlyings = [u for u in named if u != _CASH][: model.limits.underlyings]
    listings = [Listing("cash", Kind.SPOT, _CASH, mark=Fraction(1))]
    for u in underlyings:
        taken = model.collateral is not None and any(model.collateral.find(u, m) for m in (*underlyings, None))
        if taken:
            listings.append(Listing(f"{u} held", Kind.SPOT, u, mark=_PRICE, confidence=unsure))
        listings.append(Listing(f"{u} perpetual", Kind.PERPETUAL, u, mark=_PRICE, confidence=unsure))
        listings.append(Listing(f"{u} in {_COIN}", Kind.PERPETUAL, u, mark=_PRICE, confidence=unsure, settlement=_COIN))
        listings.append(Listing(f"{u} future", Kind.FUTURE, u, expiry=_EXPIRIES[0], mark=_PRICE, confidence=unsure))
        for seconds in _EXPIRIES:
            for side in OptionType:
                option = Listing(
                    f"{u} {seconds} {side.value}",
                    Kind.OPTION,
                    u,
                    expiry=seconds,
                    strike=_PRICE,
                    option_type=side,
                    volatility=Fraction(1, 2),
                    confidence=unsure,
                )
                listings.append(option)
    return MarginMarket(
        _CASH,
        {u: Index(_PRICE, unsure) for u in underlyings} | {_CASH: Index(Fraction(1))},
        {(u, s): Forward(s, _PRICE, confidence=unsure, rate_confidence=unsure) for u in underlyings for s in _EXPIRIES},
        tuple(listings),
        money_exponent=6,
    )


def _underlyings(node: Json, member: str = "") -> Iterator[str]:
    """Underlyings that a document names: of scan ranges, markets of collateral, legs of offsets, scopes, factors of joint moves."""
    if isinstance(node, list):
        for x in node:
            if member in ("legs", "in", "not_in") and isinstance(x, str):
                yield x
            yield from _underlyings(x)
    elif isinstance(node, dict):
        for name, x in node.items():
            if member in ("ranges", "markets"):
                yield name
            elif name == "underlying" and isinstance(x, str):
                yield x
            yield from _underlyings(x, name)
