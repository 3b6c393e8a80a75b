"""Margins of many accounts on one market: the numbers that `evaluate_model` reports, to the last digit, for each.

    tables  = MarginTables.build(model, market, decimals=2)          once for a snapshot
    margins = evaluate_batch(tables, Accounts(pointers, places, lots, decimals=2))
    margins.initial[a], margins.maintenance[a], margins.equity[a]    int64, 10^-margins.decimals of the settlement currency
    margins.report(a)                                                everything about one account, exact

The compiled path (`batch_kernel`) decides what binds with bounded floats and computes it in integers; an account that it cannot
decide, or that holds something it does not cover, is evaluated by `evaluate_model`, and `margins.slow` says which ones.

Covered are models with one netting set, scenarios without dampeners, no tail block, charges of the kinds `basis` (at most one),
`notional`, `haircut` and `confidence`, and an aggregate in which equity is the total value and each margin is a multiple of one
term, the largest of losses and the basis charge, plus multiples of other charges. Of any other model every account is slow. Slow
under a covered model: what an unsure oracle is charged for, collateral whose terms depend on the market where there are several
underlyings, positions in several underlyings, and accounts without derivatives whose market is not given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import OverflowMoneyError, PortfolioError, RiskproofError, SnapshotError, UnitError
from riskproof.market.registry import Kind
from riskproof.risk.books import Books, checked_layout
from riskproof.risk.margining import batch_kernel
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.aggregate import Expression
from riskproof.risk.margining.batch_kernel import FRACTION
from riskproof.risk.margining.book import Exposure, Holding, NettingSet
from riskproof.risk.margining.charges.basis import Basis
from riskproof.risk.margining.charges.context import MARGINS
from riskproof.risk.margining.charges.rates import Confidence, Haircut, Notional
from riskproof.risk.margining.document import ACCOUNT, MarginModel
from riskproof.risk.margining.evaluate import evaluate_model
from riskproof.risk.margining.grid import ADVERSE, BASE, State
from riskproof.risk.margining.market import Listing, MarginMarket, terms
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.margining.values import UnitValues
from riskproof.units import SECONDS_PER_YEAR, round_half_even

_ZERO, _ONE = Fraction(0), Fraction(1)
_CONSTANT_MAX: Final = 1 << 62
_INT64: Final = 1 << 63
_NAKED: Final = "option_naked_short"
_DIRECTIONS: Final = ("up", "down")


@dataclass(frozen=True, eq=False, repr=False)
class Accounts:
    """Accounts as compressed sparse rows. Secret: the repr shows only how many.

    Attributes:
        pointers [A + 1], places [nnz], lots [nnz]: account a holds lots[k] 10^-decimals units of listing places[k] for
            pointers[a] <= k < pointers[a + 1], places ascending, no zero lots.
        decimals: of a lot.
        receivables: [A] int64, 10^-decimals of the settlement currency; none if left out.
        receivable_places: [A] int64, the perpetual or future that an account's receivables are of, -1 without any.
        underlyings: [A] the market of an account where its positions do not tell; none if left out.
    """

    pointers: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    lots: npt.NDArray[np.int64]
    decimals: int
    receivables: npt.NDArray[np.int64] | None = None
    receivable_places: npt.NDArray[np.int64] | None = None
    underlyings: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.pointers) - 1

    def __repr__(self) -> str:
        return f"Accounts(<{len(self)} accounts>)"

    @classmethod
    def of(cls, market: MarginMarket, accounts: Sequence[Account], decimals: int) -> Accounts:
        """From single accounts, the receivables of each summed.

        Raises:
            UnitError: an amount has more decimals or does not fit 64 bits, or receivables are of several underlyings.
        """

        def lots(amount: Fraction, where: str) -> int:
            scaled = Fraction(amount * 10**decimals)
            if scaled.denominator != 1 or not -_INT64 <= scaled.numerator < _INT64:
                raise UnitError("not a 64-bit number of lots", where=where, expected=f"at most {decimals} decimals")
            return int(scaled.numerator)

        held = [[(p, lots(q, f"account {a}")) for p, q in x.positions] for a, x in enumerate(accounts)]
        owed = [lots(sum((q for _, q in x.receivables), _ZERO), f"account {a}") for a, x in enumerate(accounts)]
        for a, x in enumerate(accounts):
            if len({market.listings[p].underlying for p, _ in x.receivables}) > 1:
                raise UnitError("receivables of several underlyings", where=f"account {a}", expected="of one")
        pairs = [pair for x in held for pair in x]
        return cls(
            np.cumsum([0, *(len(x) for x in held)], dtype=np.int64),
            np.array([p for p, _ in pairs], dtype=np.int64),
            np.array([q for _, q in pairs], dtype=np.int64),
            decimals,
            np.array(owed, dtype=np.int64),
            np.array([x.receivables[0][0] if x.receivables else -1 for x in accounts], dtype=np.int64),
            tuple(x.underlying for x in accounts),
        )


@dataclass(frozen=True, eq=False, repr=False)
class BatchMargins:
    """Margins of A accounts. Secret: the repr shows only how many.

    Attributes:
        initial, maintenance, equity: [A] int64, 10^-decimals of the settlement currency, rounded as the model reports them;
            requirements and values may have different decimals.
        slow: [A] bool: evaluated by `evaluate_model`, because the compiled path does not cover or cannot decide the account.
    """

    tables: MarginTables
    accounts: Accounts
    requirement_decimals: int
    value_decimals: int
    initial: npt.NDArray[np.int64]
    maintenance: npt.NDArray[np.int64]
    equity: npt.NDArray[np.int64]
    slow: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.initial)

    def __repr__(self) -> str:
        return f"BatchMargins(<{len(self)} accounts>)"

    def report(self, account: int) -> MarginReport:
        """The exact report of one account, receivables apart from positions."""
        return _report(self.tables, self.accounts, account)


@dataclass(frozen=True)
class _Covered:
    """What the compiled path needs to know of a model that it covers."""

    groups: frozenset[str]
    basis: Basis | None
    competes: bool
    factors: dict[str, Fraction]  # of the worst loss, by margin
    multiples: dict[str, dict[str, Fraction]]  # of the other charges, by margin and id


@dataclass(frozen=True, eq=False)
class MarginTables:
    """What the margins of accounts on one market are sums of. Build it once, use it for every batch with as many decimals.

    Attributes:
        listings: how many of the market's listings are covered.
    """

    model: MarginModel
    market: MarginMarket
    values: UnitValues
    decimals: int
    listings: int
    _arrays: tuple[Any, ...] | None = field(repr=False)
    _underlyings: tuple[str, ...] = field(repr=False)

    @classmethod
    def build(
        cls,
        model: MarginModel,
        market: MarginMarket,
        decimals: int,
        places: Iterable[int] | None = None,
        values: UnitValues | None = None,
    ) -> MarginTables:
        """Tables for lots of 10^-decimals, of the listings at `places`, or of all; what is left out is slow.

        Raises:
            SnapshotError: the settlement price is not positive.
            UnitError: `decimals` is not from 0 to 18.
        """
        if not 0 <= decimals <= 18:
            raise UnitError(f"{decimals} decimals", where="decimals", expected="0 to 18")
        if market.settlement_price <= 0:
            raise SnapshotError("not positive", where="settlement_price", expected="a price above zero")
        values = UnitValues(model, market) if values is None else values
        if values.model is not model or values.market is not market:
            raise AssertionError("unit values of another model or market")
        chosen = sorted(set(range(len(market.listings)) if places is None else places))
        covered = _covered(model, market)
        underlyings = tuple(sorted({x.underlying for x in market.listings if x.kind is not Kind.SPOT}))
        rows: list[_Row] = []
        if covered is not None:
            builder = _Builder(model, market, values, covered, decimals, underlyings)
            for place in chosen:
                try:
                    row = builder.row(place)
                except RiskproofError:  # an account that holds it is told so by the slow path
                    continue
                if row is not None:
                    rows.append(row)
            rows = _of_one_unit(rows)
        arrays = builder.arrays(rows) if rows else None
        return cls(model, market, values, decimals, len(rows), arrays, underlyings)


def evaluate_batch(tables: MarginTables, accounts: Accounts) -> BatchMargins:
    """Margins of every account.

    Raises:
        UnitError: arrays of another shape or dtype, or lots of other decimals than the tables'.
        PortfolioError: a place outside the market, places that do not ascend, zero lots (the account is named); and as
            `evaluate_model`.
        OverflowMoneyError: a margin that does not fit 64 bits in its reported unit.
        SnapshotError, HistoryError, ModelError: as `evaluate_model`.
    """
    books, receivables = _checked(tables, accounts)
    count = len(accounts)
    out, fast = np.zeros((3, count), dtype=np.int64), np.zeros(count, dtype=np.bool_)
    rounding = tables.model.rounding
    if tables._arrays is not None:
        known = np.full(count, -1, dtype=np.int64)
        if accounts.underlyings is not None:
            numbers = {name: n for n, name in enumerate(tables._underlyings)} | {None: -1}
            known = np.array([numbers.get(name, -2) for name in accounts.underlyings], dtype=np.int64)
        up = np.array([rounding.requirement[1] == "up", rounding.value[1] == "up"])
        wrong = batch_kernel.margins(books, receivables, known, *tables._arrays, up, out, fast)
        if wrong >= 0:
            raise _refusal(wrong)
    else:
        _check_order(books)
    for a in np.flatnonzero(~fast).tolist():
        report = _report(tables, accounts, a)
        amounts = (
            (report.initial, rounding.requirement),
            (report.maintenance, rounding.requirement),
            (report.equity, rounding.value),
        )
        for f, (amount, how) in enumerate(amounts):
            rounded = _rounded(amount, *how)
            if not -_INT64 <= rounded < _INT64:
                raise OverflowMoneyError(
                    "a margin does not fit 64 bits", where=f"account {a}", expected=f"less, in units of 10^-{how[0]}"
                )
            out[f, a] = rounded
    return BatchMargins(tables, accounts, rounding.requirement[0], rounding.value[0], out[0], out[1], out[2], ~fast)


def _checked(tables: MarginTables, accounts: Accounts) -> tuple[Books, npt.NDArray[np.int64]]:
    if accounts.decimals != tables.decimals:
        raise UnitError(f"{accounts.decimals} decimals", where="decimals", expected=f"{tables.decimals}, the tables'")
    books = checked_layout(accounts.pointers, accounts.places, accounts.lots, len(tables.market.listings))
    owed = np.zeros(len(accounts), dtype=np.int64) if accounts.receivables is None else accounts.receivables
    if owed.dtype != np.int64 or owed.shape != (len(accounts),):
        raise UnitError(f"{owed.dtype} of shape {owed.shape}", where="receivables", expected="int64, one an account")
    if accounts.underlyings is not None and len(accounts.underlyings) != len(accounts):
        raise UnitError(f"{len(accounts.underlyings)} names", where="underlyings", expected="one an account")
    return books, np.ascontiguousarray(owed)


def _check_order(books: Books) -> None:
    pointers, places, lots = books
    for a in range(len(pointers) - 1):
        held = slice(pointers[a], pointers[a + 1])
        if (np.diff(places[held]) <= 0).any() or (lots[held] == 0).any():
            raise _refusal(a)


def _refusal(account: int) -> PortfolioError:
    return PortfolioError(
        "not sorted, an instrument twice, or zero lots", where=f"account {account}", expected="ascending places"
    )


def _report(tables: MarginTables, accounts: Accounts, a: int) -> MarginReport:
    one = 10**accounts.decimals
    held = slice(int(accounts.pointers[a]), int(accounts.pointers[a + 1]))
    pairs = zip(accounts.places[held].tolist(), accounts.lots[held].tolist(), strict=True)
    owed = 0 if accounts.receivables is None else int(accounts.receivables[a])
    name = None if accounts.underlyings is None else accounts.underlyings[a]
    receivables: tuple[tuple[int, Fraction], ...] = ()
    if owed:
        place = -1 if accounts.receivable_places is None else int(accounts.receivable_places[a])
        if not 0 <= place < len(tables.market.listings):
            raise PortfolioError("receivables of nothing", where=f"account {a}", expected="a place of the market")
        receivables = ((place, Fraction(owed, one)),)
    account = Account(tuple((p, Fraction(q, one)) for p, q in pairs), receivables, name)
    return evaluate_model(tables.model, tables.market, account, tables.values)


def _rounded(x: Fraction, decimals: int, direction: str) -> int:
    scaled = Fraction(x * 10**decimals)
    if direction == "half_even":
        return round_half_even(scaled.numerator, scaled.denominator)
    return math.floor(scaled) if direction == "down" else math.ceil(scaled)


def _covered(model: MarginModel, market: MarginMarket) -> _Covered | None:
    """The model as the compiled path needs it, None if it is not covered."""
    rounding = model.rounding
    if (
        model.sets != ACCOUNT
        or model.tail is not None
        or any(s.dampener for s in model.scenarios)
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
    return _Covered(groups, charges[bases[0]] if bases else None, competes, factors, multiples)  # type: ignore[arg-type]


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
class _Row:
    """A listing's part of the tables."""

    place: int
    group: tuple[str, int] | None
    underlying: str | None
    strike: tuple[str, int, Fraction, Fraction] | None
    value: list[float]
    losses: list[list[list[tuple[int, int]]]]
    own: list[list[tuple[int, int]]]
    naked: list[tuple[int, int]]


class _Builder:
    """Makes rows of listings and arrays of rows."""

    def __init__(
        self,
        model: MarginModel,
        market: MarginMarket,
        values: UnitValues,
        covered: _Covered,
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
        self.around = [State(basis.up), State(basis.down)] if basis is not None else [BASE, BASE]
        self._expiries: dict[tuple[str, int], list[list[list[tuple[int, int, int]]]]] = {}

    def row(self, place: int) -> _Row | None:
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

    def _of_book(self, place: int, listing: Listing, book_of: Callable[[int], NettingSet]) -> _Row | None:
        long, short = book_of(1), book_of(-1)
        if self._unsure(long):
            return None
        option, one = listing.kind is Kind.OPTION, 10**self.market.money_exponent
        own = [[_fixed(self._own(book, m) * self.requirement) for book in (long, short)] for m in MARGINS]
        if option:
            now = self.values.option(place, BASE)
            units = [self.values.option(place, s) for s in (*self.states, BASE, *self.around)]
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
        return _Row(
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

    def arrays(self, rows: list[_Row]) -> tuple[Any, ...]:
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


def _of_one_unit(rows: list[_Row]) -> list[_Row]:
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
