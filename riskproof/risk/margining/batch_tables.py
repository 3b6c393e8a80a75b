"""What the margins of accounts are sums of: constants of a market under a model that the compiled path covers (`batch`).

From the engine's own parts, unit by unit: values and moves (`values`), charges of one unit held and one owed, factors of the
aggregate. Constants are exact rationals until they are cut to the 18 decimals of `batch_kernel`, with a flag of what was cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from riskproof.market.registry import Kind
from riskproof.risk.margining import nearest
from riskproof.risk.margining.aggregate import Expression
from riskproof.risk.margining.batch_kernel import FRACTION
from riskproof.risk.margining.book import ACCOUNT, Exposure, Holding, NettingSet
from riskproof.risk.margining.charges.basis import Basis
from riskproof.risk.margining.charges.context import MARGINS
from riskproof.risk.margining.charges.rates import Confidence, Haircut, Notional
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.grid import ADVERSE, ALL, BASE
from riskproof.risk.margining.market import Listing, MarginMarket, terms
from riskproof.risk.margining.values import UnitValues
from riskproof.units import SECONDS_PER_YEAR

_ZERO, _ONE = Fraction(0), Fraction(1)
_CONSTANT_MAX: Final = 1 << 62
_NAKED: Final = "option_naked_short"
_DIRECTIONS: Final = ("up", "down")


@dataclass(frozen=True)
class Covered:
    """What the compiled path needs to know of a model that it covers."""

    groups: frozenset[str]
    basis: Basis | None
    competes: bool
    factors: dict[str, Fraction]  # of the worst loss, by margin
    multiples: dict[str, dict[str, Fraction]]  # of the other charges, by margin and id


def coverage(model: MarginModel, market: MarginMarket) -> Covered | None:
    """The model as the compiled path needs it, None if it is not covered."""
    rounding = model.rounding
    if (
        model.sets != ACCOUNT
        or model.tail is not None
        or any(s.dampener or s.on != ALL for s in model.scenarios)
        or (model.collateral is not None and not model.collateral.is_linear)
        or rounding.requirement[1] not in _DIRECTIONS
        or rounding.value[1] not in _DIRECTIONS
        or len(model.aggregate.set_terms) != 1
    ):
        return None
    charges = dict(model.charges)
    if any(not isinstance(c, (Basis, Notional, Haircut, Confidence)) for c in charges.values()):
        return None
    worst, largest = model.aggregate.set_terms[0]
    bases = [name for name, c in charges.items() if isinstance(c, Basis)]
    if largest.op != "max" or any(x.op != "name" for x in largest.arguments) or len(bases) > 1:
        return None
    candidates = {x.name for x in largest.arguments}
    groups = frozenset(name.removeprefix("loss.") for name in candidates if name.startswith("loss."))
    competes = f"charge.{bases[0]}" in candidates if bases else False
    if len(candidates) != len(groups) + competes:
        return None
    account_terms = dict(model.aggregate.account_terms)
    if _affine(account_terms["equity"], account_terms, market) != {"value.total": _ONE}:
        return None
    factors, multiples = {}, {}
    for margin in MARGINS:
        found = _affine(account_terms[margin], account_terms, market)
        if found is None:
            return None
        factors[margin] = found.pop(worst, _ZERO)
        own = {name.removeprefix("charge."): x for name, x in found.items() if name.startswith("charge.")}
        if len(own) != len(found) or factors[margin] < 0 or any(name in own for name in bases):
            return None
        multiples[margin] = own
    return Covered(groups, charges[bases[0]] if bases else None, competes, factors, multiples)  # type: ignore[arg-type]


def _affine(x: Expression, account_terms: dict[str, Expression], market: MarginMarket) -> dict[str, Fraction] | None:
    """An expression as multiples of names ("" is 1), None if it is none; feeds are numbers, the account's terms are replaced."""
    if x.op == "number":
        return {"": x.number} if x.number else {}
    if x.op == "name":
        if x.name == "feed.settlement_price":
            return {"": market.settlement_price}
        return _affine(account_terms[x.name], account_terms, market) if x.name in account_terms else {x.name: _ONE}
    parts = [_affine(part, account_terms, market) for part in x.arguments]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    if x.op == "sum":
        return {
            n: total for n in {n for p in known for n in p} if (total := sum((p.get(n, _ZERO) for p in known), _ZERO))
        }
    varying = [p for p in known if not p.keys() <= {""}]
    if x.op == "mul" and len(varying) <= 1:
        scale = math.prod((p.get("", _ZERO) for p in known if p.keys() <= {""}), start=_ONE)
        return {n: scale * c for n, c in (varying[0] if varying else {"": _ONE}).items() if scale * c}
    if varying:
        return None
    value = Expression(
        x.op,
        arguments=tuple(Expression("number", number=p.get("", _ZERO)) for p in known),
        decimals=x.decimals,
        mode=x.mode,
    ).evaluate(lambda name: _ZERO)
    return {"": value} if value else {}


@dataclass(frozen=True)
class Row:
    """A listing's part of the tables."""

    place: int
    group: tuple[str, int] | None
    underlying: str | None
    strike: tuple[str, int, Fraction, Fraction] | None
    value: list[float]
    losses: list[list[list[tuple[int, int]]]]
    own: list[list[tuple[int, int]]]
    naked: list[tuple[int, int]]


class Builder:
    """Makes rows of listings and arrays of rows."""

    def __init__(
        self,
        model: MarginModel,
        market: MarginMarket,
        values: UnitValues,
        covered: Covered,
        decimals: int,
        underlyings: tuple[str, ...],
    ) -> None:
        self.model, self.market, self.values, self.covered = model, market, values, covered
        self.decimals, self.underlyings = decimals, underlyings
        self.requirement = Fraction(10 ** model.rounding.requirement[0], 10**decimals)
        self.value = Fraction(10 ** model.rounding.value[0], 10**decimals)
        self.charges = [(name, c) for name, c in model.charges if not isinstance(c, Basis)]
        basis = covered.basis
        self.states = [s.state for s in model.scenarios]
        self.around = list(basis.moves) if basis is not None else [BASE, BASE]
        self._expiries: dict[tuple[str, int], list[list[list[tuple[int, int, int]]]]] = {}

    def price(self, places: Iterable[int]) -> None:
        """Price the options among the listings, together; accounts are compiled code next."""
        nearest.load()
        options = [p for p in places if self.market.listings[p].kind is Kind.OPTION]
        self.values.price(options, (*self.values.states, *self.around))

    def row(self, place: int) -> Row | None:
        """A listing's row, None if it is not covered; raises as the engine does for one that cannot be held."""
        listing = self.market.listings[place]
        derivative = listing.kind is not Kind.SPOT
        if not derivative and self.model.collateral is None and not self.market.is_cash(listing):
            return None
        books = [self._book(place, listing, u) for u in ([listing.underlying] if derivative else self.underlyings)]
        found = [self._of_book(place, listing, book) for book in books]
        return found[0] if found and found[0] is not None and all(x == found[0] for x in found) else None

    def _book(self, place: int, listing: Listing, underlying: str) -> Callable[[int], NettingSet]:
        def of(sign: int) -> NettingSet:
            h = (Holding(place, listing, Fraction(sign)),)
            option, spot = listing.kind is Kind.OPTION, listing.kind is Kind.SPOT
            cash = self.market.is_cash(listing)
            key = (listing.underlying, listing.expiry or 0)
            options: dict[tuple[str, int], tuple[Holding, ...]] = {key: h} if option else {}
            return NettingSet(
                "account",
                underlying,
                self.market,
                self.model.collateral,
                options,
                () if option or spot else h,
                h if spot and not cash else (),
                _ZERO,
            )

        return of

    def _of_book(self, place: int, listing: Listing, book_of: Callable[[int], NettingSet]) -> Row | None:
        long, short = book_of(1), book_of(-1)
        if self._unsure(long):
            return None
        option, one = listing.kind is Kind.OPTION, 10**self.market.money_exponent
        own = [[_fixed(self._own(book, m) * self.requirement) for book in (long, short)] for m in MARGINS]
        if option:
            around = [self.values.option(place, state) for state in self.around]
            now, *shocked = self.values.in_scenarios(place)
            units = [*shocked, now, *around]
            losses = self._option_losses(listing, units, now)
            value = Fraction(now, one)
        else:
            moving = bool(long.moving)
            units = [self.values.move(place, s.price) if moving else 0 for s in self.states] + [0, 0, 0]
            losses = self._moving_losses(units, one)
            value = listing.unit if self.market.is_cash(listing) else long.value(long.spot[0]) if long.spot else _ZERO
        own.append([_fixed(value * self.value), _fixed(-value * self.value)])
        naked = [_fixed(self._naked(short, m) * self.requirement) for m in MARGINS]
        words = [w for m in losses for s in m for w in s] + [w for m in own for w in m] + naked
        if max(abs(whole) for whole, _ in words) >= _CONSTANT_MAX:
            return None
        return Row(
            place,
            (listing.underlying, listing.expiry or 0) if option else None,
            listing.underlying if listing.kind is not Kind.SPOT else "" if long.spot else None,
            (listing.underlying, listing.expiry or 0, terms(listing)[0], listing.unit) if option else None,
            [float(u) for u in units],
            losses,
            own,
            naked,
        )

    def _unsure(self, book: NettingSet) -> bool:
        """Whether an oracle's low confidence is charged for, of something that another position may meet too."""
        for _, charge in self.charges:
            if isinstance(charge, Confidence) and any(charge.rates):
                held = [*(h for x in book.options.values() for h in x), *book.delta_one, *book.spot]
                if (
                    held
                    and book.confidence(
                        Exposure(_ONE, held[0].listing.underlying, tuple(held)),
                        self._feeds(charge, held[0]),
                        charge.missing,
                    )
                    < charge.threshold
                ):
                    return True
        return False

    def _feeds(self, charge: Confidence, held: Holding) -> list[str]:
        """The charge's feeds that a position makes unsure: all for its own exposure, a perpetual's for any other too."""
        kind = held.listing.kind
        exposed = "spot" if charge.exposure == "collateral" else charge.exposure.split("_")[0]
        met = exposed == kind.value
        return [f for f in charge.feeds if met or (f == "perpetual" and kind is Kind.PERPETUAL)]

    def _own(self, book: NettingSet, margin: str) -> Fraction:
        total = _ZERO
        for name, charge in self.charges:
            multiple = self.covered.multiples[margin].get(name)
            if multiple and not isinstance(charge, Confidence) and not _is_naked(charge):
                total += multiple * charge.amount(book, self.values, margin)
        return total

    def _naked(self, book: NettingSet, margin: str) -> Fraction:
        total = _ZERO
        for name, charge in self.charges:
            multiple = self.covered.multiples[margin].get(name)
            if multiple and _is_naked(charge):
                total += multiple * charge.amount(book, self.values, margin)
        return total

    def _option_losses(self, listing: Listing, units: list[int], now: int) -> list[list[list[tuple[int, int]]]]:
        key = (listing.underlying, listing.expiry or 0)
        if key not in self._expiries:
            self._expiries[key] = self._coefficients(listing)
        count = len(self.states)
        shocked = [*units[:count], *units[count + 1 :]]
        return [
            [
                [_split((up * value - base * now) * FRACTION, denominator) for up, base, denominator in sides]
                for value, sides in zip(shocked, columns, strict=True)
            ]
            for columns in self._expiries[key]
        ]

    def _coefficients(self, listing: Listing) -> list[list[list[tuple[int, int, int]]]]:
        """(a, b, d) by margin, column and side: the loss is (a value - b value now) / d."""
        factors = self.model.pricing.static_factors(self.market.forward(listing))
        one = Fraction(1, 10**self.market.money_exponent)
        result = []
        for margin in MARGINS:
            scale = -self.covered.factors[margin] * self.requirement * one
            columns = [[_over(scale * s.weight * f, scale * s.weight) for f in factors] for s in self.model.scenarios]
            columns += [[_over(scale * self.tenor(listing), scale * self.tenor(listing))] * 2] * 2
            result.append(columns)
        return result

    def tenor(self, listing: Listing) -> Fraction:
        """What the basis charge multiplies an expiry's loss by; 0 without the charge."""
        basis = self.covered.basis
        if basis is None:
            return _ZERO
        return basis.add + basis.per_year * Fraction(max(self.market.forward(listing).seconds, 0), SECONDS_PER_YEAR)

    def _moving_losses(self, units: list[int], one: int) -> list[list[list[tuple[int, int]]]]:
        result = []
        for margin in MARGINS:
            scale = -self.covered.factors[margin] * self.requirement / one
            columns = [[_fixed(scale * s.weight * u)] * 2 for s, u in zip(self.model.scenarios, units, strict=False)]
            result.append([*columns, [(0, 0)] * 2, [(0, 0)] * 2])
        return result

    def arrays(self, rows: list[Row]) -> tuple[Any, ...]:
        """What `batch_kernel.margins` takes between `known` and `up`."""
        place_rows = np.full(len(self.market.listings), -1, dtype=np.int64)
        place_rows[[x.place for x in rows]] = np.arange(len(rows))
        groups = _numbered(x.group for x in rows)
        strikes = _numbered(x.strike for x in rows)
        names = {u: i for i, u in enumerate(self.underlyings)} | {None: -1, "": -2}
        first = {x.group: self.market.listings[x.place] for x in reversed(rows) if x.group is not None}
        static = {g: self.model.pricing.static_factors(self.market.forward(listing)) for g, listing in first.items()}
        order = [g for g in groups if g is not None]
        losses = np.array([x.losses for x in rows], dtype=np.int64).transpose(1, 0, 2, 3, 4)
        own = np.array([x.own for x in rows], dtype=np.int64).transpose(1, 0, 2, 3)
        naked = np.array([x.naked for x in rows], dtype=np.int64).transpose(1, 0, 2)
        size = sum(
            np.abs(table[..., 0].astype(np.float64)).max(axis=axes) + 1
            for table, axes in ((losses, (0, 2, 3)), (own, (0, 2)), (naked, (0,)))
        )
        scenarios = self.model.scenarios
        cash = _fixed(self.value)
        return (
            place_rows,
            np.array([groups[x.group] for x in rows], dtype=np.int64),
            np.array([names[x.underlying] for x in rows], dtype=np.int64),
            np.array([strikes[x.strike] for x in rows], dtype=np.int64),
            size,
            np.array([x.value for x in rows], dtype=np.float64),
            np.array([[float(f) for f in static[g]] for g in order], dtype=np.float64).reshape(-1, 2),
            np.array([float(self.tenor(first[g])) for g in order], dtype=np.float64),
            np.array([float(s.weight) for s in scenarios]),
            np.array([s.expiry_pnl == ADVERSE for s in scenarios]),
            np.array([*(s.group in self.covered.groups for s in scenarios), self.covered.competes]),
            np.ascontiguousarray(losses),
            np.ascontiguousarray(own),
            np.ascontiguousarray(naked),
            np.array(cash, dtype=np.int64),
            np.array([self.model.limits.legs, self.model.limits.expiries], dtype=np.int64),
        )


def of_one_unit(rows: list[Row]) -> list[Row]:
    """Rows without those of a strike that is listed with several units, whose lots do not net one for one."""
    units: dict[Any, set[Fraction]] = {}
    for x in rows:
        if x.strike is not None:
            units.setdefault(x.strike[:3], set()).add(x.strike[3])
    return [x for x in rows if x.strike is None or len(units[x.strike[:3]]) == 1]


def _is_naked(charge: object) -> bool:
    return isinstance(charge, Notional) and charge.exposure == _NAKED


def _numbered(keys: Iterable[Any]) -> dict[Any, int]:
    """Keys in order of appearance, numbered from zero; None is -1."""
    numbers: dict[Any, int] = {None: -1}
    for key in keys:
        numbers.setdefault(key, len(numbers) - 1)
    return numbers


def _over(a: Fraction, b: Fraction) -> tuple[int, int, int]:
    """Numerators of two fractions over one denominator."""
    d = math.lcm(a.denominator, b.denominator)
    return a.numerator * (d // a.denominator), b.numerator * (d // b.denominator), d


def _fixed(x: Fraction) -> tuple[int, int]:
    """x in the two words of `batch_kernel`."""
    return _split(x.numerator * FRACTION, x.denominator)


def _split(numerator: int, denominator: int) -> tuple[int, int]:
    """floor(numerator / denominator) as (whole, 2 fraction + 1 if something was cut off)."""
    floor, rest = divmod(numerator, denominator)
    whole, fraction = divmod(floor, FRACTION)
    return whole, fraction << 1 | (rest != 0)
