"""Collateral as convex functions of the lots: what counts, and haircuts (`riskproof.risk.margining.collateral`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.proof.programme.convex import Affine, maximum, total
from riskproof.proof.programme.listed import Listed
from riskproof.risk.margining.charges.context import INITIAL
from riskproof.risk.margining.collateral import Asset

_ZERO: Final = Affine()


@dataclass(frozen=True)
class Pledge:
    """An asset of a netting set, in all attestations: its terms, its value V, and max(0, V - cap)."""

    asset: Asset
    value: Affine
    beyond_cap: Affine

    @property
    def counted(self) -> Affine:
        """What it counts: min(V, cap)."""
        return self.value - self.beyond_cap


Pledges = Mapping[str, Pledge]


def pledges_of(name: str, listed: Sequence[Listed]) -> dict[str, Pledge]:
    """The assets of a netting set, by name."""
    terms = {h.listing.underlying: x.book.asset(h.listing.underlying) for x in listed for h in x.book.spot}
    found = {}
    for asset in sorted(terms):
        held = ((x, [h for h in x.book.spot if h.listing.underlying == asset]) for x in listed)
        value, cap = total(x.sum(spot, x.book.value) for x, spot in held), terms[asset].cap
        beyond = _ZERO
        if cap is not None:
            beyond = maximum(f"{asset} of {name} beyond its cap", [_ZERO, value - Affine(cap)], credit=True)
        found[asset] = Pledge(terms[asset], value, beyond)
    return found


def haircuts(name: str, listed: Sequence[Listed], pledges: Pledges, pledged: Affine, margin: str) -> Affine:
    """The charge on a netting set's collateral; `pledged` is what that of all sets counts."""
    parts = [_in_full(x, margin) for x in listed]
    for asset in sorted({h.listing.underlying for x in listed for h in x.book.spot}):
        parts += _beyond(f"{name} of {asset}", asset, listed, pledges[asset], pledged, margin)
    return total(parts)


def _in_full(listed: Listed, margin: str) -> Affine:
    """Haircuts on everything that is held."""
    book = listed.book
    return listed.sum(book.spot, lambda h: book.value(h) * _rate(listed, h.listing.underlying, margin))


def _rate(listed: Listed, asset: str, margin: str) -> Fraction:
    terms = listed.book.asset(asset)
    rate = terms.initial if margin == INITIAL else terms.maintenance
    return rate if terms.stress is None else max(rate, listed.values.fall(asset, terms.stress))


def _beyond(
    name: str, asset: str, listed: Sequence[Listed], pledge: Pledge, pledged: Affine, margin: str
) -> Iterator[Affine]:
    """What haircuts are less because of the cap, and more because of concentration.

    With an amount b below the cap, max(0, min(V, cap) - b) = max(0, V - b) - max(0, V - cap).
    """
    rates = [_rate(x, asset, margin) for x in listed if any(h.listing.underlying == asset for h in x.book.spot)]
    yield pledge.beyond_cap.times(-min(rates))
    extra, cap = pledge.asset.concentration, pledge.asset.cap
    if extra is None or (not extra.of_all and cap is not None and extra.beyond >= cap):
        return
    if extra.of_all:
        more = maximum(f"{name}, concentration", [_ZERO, pledge.counted - pledged.times(extra.beyond)])
    else:
        above = maximum(f"{name}, concentration", [_ZERO, pledge.value - Affine(extra.beyond)], credit=True)
        more = above - pledge.beyond_cap
    yield more.times(extra.initial if margin == INITIAL else extra.maintenance)
