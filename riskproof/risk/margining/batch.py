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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import OverflowMoneyError, PortfolioError, RiskproofError, SnapshotError, UnitError
from riskproof.market.registry import Kind
from riskproof.risk.books import Books, checked_layout
from riskproof.risk.margining import batch_kernel, exact
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.batch_tables import Builder, Row, coverage, of_one_unit
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.evaluate import evaluate_model
from riskproof.risk.margining.market import MarginMarket
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.margining.values import UnitValues

_ZERO = Fraction(0)
_INT64: Final = 1 << 63


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
        covered = coverage(model, market)
        underlyings = tuple(sorted({x.underlying for x in market.listings if x.kind is not Kind.SPOT}))
        rows: list[Row] = []
        if covered is not None:
            builder = Builder(model, market, values, covered, decimals, underlyings)
            builder.price(chosen)
            for place in chosen:
                try:
                    row = builder.row(place)
                except RiskproofError:  # an account that holds it is told so by the slow path
                    continue
                if row is not None:
                    rows.append(row)
            rows = of_one_unit(rows)
        arrays = builder.arrays(rows) if rows else None
        return cls(model, market, values, decimals, len(rows), arrays, underlyings)


def evaluate_batch(tables: MarginTables, accounts: Accounts) -> BatchMargins:
    """Margins of every account.

    Raises:
        UnitError: arrays of another shape or dtype, or lots of other decimals than the tables'.
        PortfolioError: a place outside the market, places that do not ascend, zero lots; and as `evaluate_model`. The account is
            named.
        OverflowMoneyError: a margin that does not fit 64 bits in its reported unit.
        SnapshotError, HistoryError, ModelError: as `evaluate_model`, with the account named.
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
            rounded = exact.rounded(amount, *how)
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
    of = accounts.receivable_places
    if of is not None and (of.dtype != np.int64 or of.shape != (len(accounts),)):
        raise UnitError(f"{of.dtype} of shape {of.shape}", where="receivable_places", expected="int64, one an account")
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
    try:
        return evaluate_model(tables.model, tables.market, account, tables.values)
    except RiskproofError as error:
        where = f"account {a}, {error.where}" if error.where else f"account {a}"
        raise type(error)(error.what, where=where, expected=error.expected) from None
