"""Greeks of many accounts at once: the same integers as `greeks.portfolio_greeks` for each.

An account has a row for each underlying that it holds (the numeraire and what has expired apart), sorted by name: rows
pointers[a] <= r < pointers[a + 1]. Sums of lots times unit Greeks are exact in two 64-bit words, or in Python integers where an
account has too many lots for that; each Greek is then rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import OverflowMoneyError, UnitError
from riskproof.market.marketfile import Market
from riskproof.risk import accumulate
from riskproof.risk.arrays import EXPIRED, PRICED, UNPRICED
from riskproof.risk.books import Int8, Int32, Int64, checked_layout, positions_of, refusal, words
from riskproof.risk.greeks import NetGreeks, PortfolioGreeks, UnitGreeks, unit_greeks
from riskproof.risk.margin import exact_sum
from riskproof.units import PRICE_ONE, RATIO_ONE, round_half_even

UInt64 = npt.NDArray[np.uint64]

GREEKS: Final = ("delta", "gamma", "vega", "theta", "rho", "delta_cash", "gamma_cash")
_SUMMED: Final = tuple(
    f.name for f in fields(UnitGreeks)
)  # the first five; the cash Greeks follow from delta and gamma


@dataclass(frozen=True, eq=False, repr=False)
class BatchGreeks:
    """Greeks of A accounts by underlying. Secret data of theirs: the repr shows only how many.

    Attributes:
        underlyings: names, sorted.
        pointers: [A + 1] int64: account a has the rows pointers[a] <= r < pointers[a + 1].
        underlying: [R] int32: index into `underlyings`, ascending within an account.
        high, low: [7, R] int64, uint64, in the order of GREEKS: a Greek is high * 2^64 + low; delta and gamma in 1e-12
            (coins, coins per 1.0 of the numeraire), the others in 1e-9 of the numeraire.
    """

    underlyings: tuple[str, ...]
    pointers: Int64
    underlying: Int32
    high: Int64
    low: UInt64

    def __len__(self) -> int:
        return len(self.pointers) - 1

    def __repr__(self) -> str:
        return f"BatchGreeks(<{len(self)} accounts>)"

    def reported(self, greek: str) -> Int64:
        """[R] int64: one Greek of every row, in its unit.

        Raises:
            UnitError: no such Greek.
            OverflowMoneyError: one does not fit 64 bits (`account` still has it); names account and underlying.
        """
        if greek not in GREEKS:
            raise UnitError(f"no Greek {greek[:20]!r}", where="greek", expected=", ".join(GREEKS))
        j = GREEKS.index(greek)
        value: Int64 = self.low[j].view(np.int64)
        wide = np.flatnonzero(self.high[j] != value >> 63)
        if len(wide):
            account = int(np.searchsorted(self.pointers, wide[0], side="right")) - 1
            raise OverflowMoneyError(
                f"{greek} does not fit 64 bits",
                where=f"account {account}, {self.underlyings[self.underlying[wide[0]]]}",
                expected="at most 2^63 - 1 in its unit",
            )
        return value

    def account(self, account: int) -> PortfolioGreeks:
        """Greeks of one account, exact."""
        rows = []
        for r in range(int(self.pointers[account]), int(self.pointers[account + 1])):
            pairs = zip(self.high[:, r].tolist(), self.low[:, r].tolist(), strict=True)
            greek = dict(zip(GREEKS, ((high << 64) + low for high, low in pairs), strict=True))
            net = NetGreeks(**{f.name: greek[f.name] for f in fields(NetGreeks)})
            rows.append((self.underlyings[self.underlying[r]], greek["delta"], greek["gamma"], net))
        return PortfolioGreeks(tuple(rows), sum((net for *_, net in rows), NetGreeks()))


def batch_greeks(market: Market, pointers: Int64, indices: Int32 | Int64, lots: Int64) -> BatchGreeks:
    """Greeks of every account by underlying; books as `evaluate_batch` takes them, in the market's registry.

    Raises:
        UnitError: arrays of another shape or dtype, or pointers that do not cover the positions in order.
        PortfolioError: an unknown, repeated, unsorted or unpriced instrument, or zero lots; names account and row, no quantity.
        DomainError: a pricing input outside the kernel's domain.
        OverflowMoneyError: a Greek of one unit does not fit 64 bits, or one of an account 128 bits; names instrument or account.
    """
    registry, snapshot = market.registry, market.snapshot
    books = checked_layout(pointers, indices, lots, len(registry))
    status = _status(market)
    priced = {x.underlying for x, found in zip(registry.instruments, status, strict=True) if found == PRICED}
    underlyings = tuple(sorted(priced - {registry.numeraire}))
    groups = _groups(market, underlyings, status)
    accounts = len(pointers) - 1
    rows, kinds = np.zeros(accounts + 1, dtype=np.int64), np.zeros(accounts, dtype=np.int8)
    wrong = accumulate.net_rows(*books, groups, len(underlyings), rows[1:], kinds)
    if wrong >= 0:
        raise refusal(status, books, int(wrong))
    per_unit = _per_unit(market, books[1], groups)
    held = np.zeros(rows[-1], dtype=np.int32)
    sums = np.zeros((2, len(_SUMMED), len(held)), dtype=np.int64)
    accumulate.net_sums(*books, groups, per_unit, len(underlyings), kinds, held, sums)
    columns = [_Column(high, low) for high, low in zip(*sums, strict=True)]
    for a in np.flatnonzero(kinds == accumulate.BEYOND).tolist():
        for r in range(int(rows[a]), int(rows[a + 1])):
            positions = [(i, q) for i, q in positions_of(books, a) if groups[i] == held[r]]
            for j, column in enumerate(columns):
                column.beyond[r] = exact_sum(per_unit[:, j], positions)
    price = [snapshot.index_price[underlyings[u]] for u in held.tolist()]
    high, low = _rounded(columns, price, 10**registry.quantity_exponent, rows)
    return BatchGreeks(underlyings, rows, held, high, low.view(np.uint64))


@dataclass(frozen=True)
class _Column:
    """Exact sums, [R]: high * 2^64 + low, but of the rows in `beyond`, whose sums need not fit, what it says."""

    high: Int64
    low: Int64
    beyond: dict[int, int] = field(default_factory=dict)

    @property
    def narrow(self) -> bool:
        """All of them fit `low`."""
        return not self.beyond and bool((self.high == self.low >> 63).all())

    def exact(self) -> list[int]:
        """In Python integers."""
        low: list[int] = self.low.tolist()
        if self.narrow:
            return low
        pairs = zip(self.high.tolist(), self.low.view(np.uint64).tolist(), strict=True)
        sums = [(h << 64) + unsigned for h, unsigned in pairs]
        for r, total in self.beyond.items():
            sums[r] = total
        return sums


def _rounded(columns: list[_Column], price: list[int], lot: int, rows: Int64) -> Int64:
    """[2, 7, R]: every Greek of GREEKS in two words, rounded once as in `greeks.portfolio_greeks`. price: [R], 1e-9."""
    result = np.zeros((2, len(GREEKS), len(price)), dtype=np.int64)

    def put(greek: str, values: list[int]) -> None:
        j = GREEKS.index(greek)
        try:
            result[1, j] = values
            result[0, j] = result[1, j] >> 63
        except OverflowError:
            owners = np.repeat(np.arange(len(rows) - 1), np.diff(rows)).tolist()
            pairs = [words(x, greek, f"account {a}") for x, a in zip(values, owners, strict=True)]
            result[:, j] = np.array(pairs, dtype=np.int64).T

    for greek, column in zip(_SUMMED, columns, strict=True):
        if column.narrow:
            quotient, rest = np.divmod(column.low, lot)
            quotient += (2 * rest > lot) | ((2 * rest == lot) & (quotient & 1 == 1))
            result[:, GREEKS.index(greek)] = quotient >> 63, quotient
        else:
            put(greek, [round_half_even(x, lot) for x in column.exact()])
    delta, gamma = columns[_SUMMED.index("delta")].exact(), columns[_SUMMED.index("gamma")].exact()
    one, percent = lot * RATIO_ONE, 100 * lot * RATIO_ONE * PRICE_ONE
    put("delta_cash", [round_half_even(x * w, one) for x, w in zip(delta, price, strict=True)])
    put("gamma_cash", [round_half_even(x * w**2, percent) for x, w in zip(gamma, price, strict=True)])
    return result


def _status(market: Market) -> Int8:
    """[I] int8, as RiskArray.status."""
    pairs = zip(market.registry.instruments, market.snapshot.quotes, strict=True)
    found = [
        PRICED if quote is not None else EXPIRED if market.snapshot.is_expired(instrument) else UNPRICED
        for instrument, quote in pairs
    ]
    return np.array(found, dtype=np.int8)


def _groups(market: Market, underlyings: tuple[str, ...], status: Int8) -> Int32:
    """[I] int32: index of the underlying; -1 for the numeraire and what has expired, -2 for what is not priced."""
    number = {name: u for u, name in enumerate(underlyings)}
    groups = np.array([number.get(x.underlying, -1) for x in market.registry.instruments], dtype=np.int32)
    groups[status == EXPIRED] = -1
    groups[status == UNPRICED] = -2
    return groups


def _per_unit(market: Market, indices: Int32 | Int64, groups: Int32) -> Int64:
    """[I, 5] int64: Greeks of one unit of what the books hold; zero elsewhere."""
    held = np.zeros(len(groups), dtype=np.bool_)
    held[indices] = True
    result = np.zeros((len(groups), len(_SUMMED)), dtype=np.int64)
    for i, unit in unit_greeks(market, np.flatnonzero(held & (groups >= 0)).tolist()).items():
        try:
            result[i] = [getattr(unit, name) for name in _SUMMED]
        except OverflowError:
            where = market.registry.instruments[i].name
            raise OverflowMoneyError(
                "a Greek of one unit does not fit 64 bits", where=where, expected="a smaller unit"
            ) from None
    return result
