"""The market check: does the pricing kernel reproduce the venue's marks, and do the marks agree with the forwards?

Every quoted option is repriced from the snapshot's forward and volatility. Errors are in coin, so that inverse and linear
options of all underlyings compare:

    inverse    model = value(F, K, vol, T) / F              error = |model - mark|
    linear     model = value(F, K, vol, T)                  error = |model - mark| / F

Forwards and strike order are checked by put-call parity (riskproof.risk.parity_check).

All numbers are exact integers; prices, marks and errors are in 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from riskproof.encoding import Json
from riskproof.errors import UnitError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, Payoff
from riskproof.market.snapshot import Quote
from riskproof.risk.kernel import black76
from riskproof.risk.parity_check import ForwardCheck, MarkedOption, check_forward, crossed_marks
from riskproof.units import (
    PRICE_EXPONENT,
    PRICE_ONE,
    ceil_div,
    format_decimal,
    format_time,
)
from riskproof.units import round_half_even as rounded

DEFAULT_TOLERANCE: Final = 100_000  # 1e-4 coin
TIGHT_TOLERANCE: Final = 20_000  # 2e-5 coin
WORST: Final = 10
QUANTILES: Final = (50, 90, 99, 100)  # per cent, nearest rank

# Upper ends of the moneyness buckets, per cent of the forward; the last has none.
_MONEYNESS: Final = (50, 80, 95, 105, 125, 200)
_SHARE_ONE: Final = 10**6

Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


@dataclass(frozen=True)
class OptionError:
    """One repriced option. quoted, model: 1e-9 of the settlement currency. error: 1e-9 coin, not negative."""

    name: str
    quoted: int
    model: int
    error: int


@dataclass(frozen=True)
class Group:
    """Errors of a group of options.

    Attributes:
        label: such as `BTC 2026-03-27` or `K/F 95 % to 105 %`.
        count: how many options, at least one.
        within, within_tight: how many within the tolerance, and within TIGHT_TOLERANCE.
        quantiles: 1e-9 coin, one for each of QUANTILES; the last is the maximum.
    """

    label: str
    count: int
    within: int
    within_tight: int
    quantiles: tuple[int, ...]


@dataclass(frozen=True)
class DeltaOneCheck:
    """A future against its expiry's forward, or a perpetual or spot asset against the index; 1e-9 of the numeraire."""

    name: str
    kind: str
    quoted: int
    reference: int


@dataclass(frozen=True)
class MarketCheck:
    """What `check_market` found.

    Attributes:
        tolerance: 1e-9 coin.
        total: all options with a mark; None if there is none.
        unmarked: options that are priced and have no mark to compare with.
        unpriced: instruments that the snapshot does not price and that have not expired.
        by_expiry, by_moneyness: the same options in groups, in ascending order.
        worst: up to ten largest errors, largest first.
        forwards: one per curve that options use.
        delta_one: futures, perpetuals and spot assets.
        crossed_marks: (lower strike, higher strike) pairs of neighbours whose marks are an arbitrage.
    """

    registry_digest: bytes
    snapshot_digest: bytes
    tolerance: int
    total: Group | None
    unmarked: int
    unpriced: int
    by_expiry: tuple[Group, ...]
    by_moneyness: tuple[Group, ...]
    worst: tuple[OptionError, ...]
    forwards: tuple[ForwardCheck, ...]
    delta_one: tuple[DeltaOneCheck, ...]
    crossed_marks: tuple[tuple[str, str], ...]

    @property
    def stale_forwards(self) -> tuple[ForwardCheck, ...]:
        return tuple(f for f in self.forwards if f.stale)

    @property
    def crossed_forwards(self) -> tuple[ForwardCheck, ...]:
        return tuple(f for f in self.forwards if f.crossed)

    def to_document(self) -> dict[str, Json]:
        """One JSON object; 1e-9 numbers are decimal strings, shares are parts per million rounded down."""
        return {
            "registry_digest": self.registry_digest.hex(),
            "snapshot_digest": self.snapshot_digest.hex(),
            "tolerance_e9_coin": str(self.tolerance),
            "tight_tolerance_e9_coin": str(TIGHT_TOLERANCE),
            "quantiles_percent": list(QUANTILES),
            "options": None if self.total is None else _group_document(self.total),
            "options_without_mark": self.unmarked,
            "instruments_not_priced": self.unpriced,
            "by_expiry": [_group_document(g) for g in self.by_expiry],
            "by_moneyness": [_group_document(g) for g in self.by_moneyness],
            "worst": [
                {
                    "instrument": w.name,
                    "mark_e9": str(w.quoted),
                    "model_e9": str(w.model),
                    "error_e9_coin": str(w.error),
                }
                for w in self.worst
            ],
            "forwards": [
                {
                    "underlying": f.underlying,
                    "expiry": f.expiry,
                    "forward_e9": str(f.forward),
                    "parity_forward_e9": None if f.parity_forward is None else str(f.parity_forward),
                    "strikes": f.strikes,
                    "stale": f.stale,
                    "crossed": list(f.crossed),
                }
                for f in self.forwards
            ],
            "delta_one": [
                {"instrument": d.name, "kind": d.kind, "mark_e9": str(d.quoted), "reference_e9": str(d.reference)}
                for d in self.delta_one
            ],
            "crossed_marks": [list(pair) for pair in self.crossed_marks],
        }

    def to_text(self, table: Table) -> str:
        """The check as text; `table(header, rows)` lays out a table."""
        if self.total is None:
            return "no option has a mark to compare with"
        total, limit = self.total, _coin(self.tolerance)
        summary = (
            f"{total.count} options repriced: {_share(total.within, total.count)} within {limit} coin, "
            f"{_share(total.within_tight, total.count)} within {_coin(TIGHT_TOLERANCE)}; "
            f"{self.unmarked} without a mark, {self.unpriced} instruments not priced"
        )
        header = ("errors in coin", "options", f"<= {limit}", "median", "90 %", "99 %", "max")
        parts = [summary]
        parts += [table(header, [_group_row(g) for g in groups]) for groups in (self.by_expiry, self.by_moneyness)]
        rows = [(w.name, _coin(w.quoted), _coin(w.model), _coin(w.error)) for w in self.worst]
        parts.append(table(("worst", "mark", "model", "error, coin"), rows))
        parts.append(
            table(("forward", "snapshot", "by parity", "strikes", ""), [_forward_row(f) for f in self.forwards])
        )
        parts.append(table(("delta one", "mark", "reference"), [_delta_one_row(d) for d in self.delta_one]))
        if self.crossed_marks:
            parts.append(table(("crossed marks", "and"), self.crossed_marks))
        stale, crossed = len(self.stale_forwards), len(self.crossed_forwards)
        parts.append(f"{stale} stale and {crossed} crossed forwards, {len(self.crossed_marks)} crossed marks")
        return "\n\n".join(parts)


def check_market(market: Market, tolerance: int = DEFAULT_TOLERANCE) -> MarketCheck:
    """Reprice every option of a market that has a mark, and compare.

    tolerance: largest error that counts as agreement, 1e-9 coin.

    Raises:
        UnitError: a negative tolerance.
        DomainError: an option outside the kernel's domain.
    """
    if tolerance < 0:
        raise UnitError("negative tolerance", where="tolerance", expected="0 or more")
    options, unmarked = [], 0
    for instrument, quote in _quoted(market):
        if instrument.kind is Kind.OPTION:
            if quote.mark is None:
                unmarked += 1
            else:
                options.append(MarkedOption.of(market, instrument, quote))
    errors = _reprice(options, market.snapshot.time)
    listed = zip(market.registry.instruments, market.snapshot.quotes, strict=True)
    expiries = sorted({(o.curve.underlying, o.curve.expiry) for o in options})
    by_curve = {key: [o for o in options if (o.curve.underlying, o.curve.expiry) == key] for key in expiries}
    return MarketCheck(
        registry_digest=market.registry.digest,
        snapshot_digest=market.snapshot.digest,
        tolerance=tolerance,
        total=_group("all", errors, tolerance) if errors else None,
        unmarked=unmarked,
        unpriced=sum(q is None and not market.snapshot.is_expired(i) for i, q in listed),
        by_expiry=_groups(options, errors, tolerance, lambda o: (o.curve.underlying, o.curve.expiry), _expiry_label),
        by_moneyness=_groups(options, errors, tolerance, _bucket, _bucket_label),
        worst=tuple(sorted(errors, key=lambda e: (-e.error, e.name))[:WORST]),
        forwards=tuple(check_forward(chain, market.snapshot.time, tolerance) for chain in by_curve.values()),
        delta_one=tuple(_delta_one(market)),
        crossed_marks=tuple(pair for chain in by_curve.values() for pair in crossed_marks(chain)),
    )


def _quoted(market: Market) -> Iterable[tuple[Instrument, Quote]]:
    listed = zip(market.registry.instruments, market.snapshot.quotes, strict=True)
    return ((instrument, quote) for instrument, quote in listed if quote is not None)


def _reprice(options: list[MarkedOption], time: int) -> list[OptionError]:
    columns = (
        np.array([o.curve.forward for o in options], dtype=np.int64),
        np.array([o.strike for o in options], dtype=np.int64),
        np.array([o.volatility for o in options], dtype=np.int64),
        np.array([o.curve.expiry - time for o in options], dtype=np.int64),
        np.array([o.curve.rate for o in options], dtype=np.int64),
        np.array([o.is_call for o in options], dtype=np.int64),
    )
    errors = []
    for o, value in zip(options, black76.value(*columns).tolist(), strict=True):
        forward = o.curve.forward
        if o.payoff is Payoff.INVERSE:
            model = rounded(value * PRICE_ONE, forward)
            error = abs(model - o.mark)
        else:
            model, error = value, rounded(abs(value - o.mark) * PRICE_ONE, forward)
        errors.append(OptionError(o.name, o.mark, model, error))
    return errors


def _group(label: str, errors: list[OptionError], tolerance: int) -> Group:
    ordered = sorted(e.error for e in errors)
    count = len(ordered)
    return Group(
        label,
        count,
        sum(e <= tolerance for e in ordered),
        sum(e <= TIGHT_TOLERANCE for e in ordered),
        tuple(ordered[ceil_div(percent * count, 100) - 1] for percent in QUANTILES),
    )


def _groups(
    options: list[MarkedOption],
    errors: list[OptionError],
    tolerance: int,
    key: Callable[[MarkedOption], tuple[str, int]],
    label: Callable[[tuple[str, int]], str],
) -> tuple[Group, ...]:
    members: dict[tuple[str, int], list[OptionError]] = {}
    for option, error in zip(options, errors, strict=True):
        members.setdefault(key(option), []).append(error)
    return tuple(_group(label(k), members[k], tolerance) for k in sorted(members))


def _bucket(option: MarkedOption) -> tuple[str, int]:
    """Number of bucket ends that K/F reaches, compared exactly."""
    return "K/F", sum(100 * option.strike >= percent * option.curve.forward for percent in _MONEYNESS)


def _bucket_label(key: tuple[str, int]) -> str:
    low = f"{_MONEYNESS[key[1] - 1]} %" if key[1] else ""
    high = f"{_MONEYNESS[key[1]]} %" if key[1] < len(_MONEYNESS) else ""
    return f"K/F {low} to {high}" if low and high else f"K/F from {low}" if low else f"K/F below {high}"


def _expiry_label(key: tuple[str, int]) -> str:
    return f"{key[0]} {format_time(key[1])[:10]}"


def _delta_one(market: Market) -> Iterable[DeltaOneCheck]:
    snapshot = market.snapshot
    for i, quote in _quoted(market):
        if i.kind is Kind.OPTION or quote.mark is None:
            continue
        if i.expiry is None:
            yield DeltaOneCheck(i.name, i.kind.value, quote.mark, snapshot.index_price[i.underlying])
        elif (i.underlying, i.expiry) in snapshot.curve:
            yield DeltaOneCheck(i.name, i.kind.value, quote.mark, snapshot.curve[i.underlying, i.expiry].forward)


def _group_document(group: Group) -> dict[str, Json]:
    return {
        "label": group.label,
        "count": group.count,
        "within": group.within,
        "within_tight": group.within_tight,
        "within_ppm": group.within * _SHARE_ONE // group.count,
        "within_tight_ppm": group.within_tight * _SHARE_ONE // group.count,
        "error_quantiles_e9_coin": [str(q) for q in group.quantiles],
    }


def _coin(value: int) -> str:
    return format_decimal(value, PRICE_EXPONENT)


def _share(part: int, whole: int) -> str:
    return f"{format_decimal(part * _SHARE_ONE // whole, 4)} %"


def _group_row(group: Group) -> tuple[str, ...]:
    quantiles = (_coin(q) for q in group.quantiles)
    return group.label, str(group.count), _share(group.within, group.count), *quantiles


def _forward_row(f: ForwardCheck) -> tuple[str, ...]:
    parity = "" if f.parity_forward is None else _coin(f.parity_forward)
    flags = ["stale"] * f.stale + [f"{len(f.crossed)} crossed"] * bool(f.crossed)
    return _expiry_label((f.underlying, f.expiry)), _coin(f.forward), parity, str(f.strikes), ", ".join(flags)


def _delta_one_row(d: DeltaOneCheck) -> tuple[str, ...]:
    return d.name, _coin(d.quoted), _coin(d.reference)
