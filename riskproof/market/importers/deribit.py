"""One market from Deribit's files: book summaries (JSON), option chains (CSV), futures and perpetuals (CSV).

Rules (docs/market.md has them for users):

* Instant: the explicit one; else the one of the files, told by a stamp YYYYMMDDTHHMMSSZ in the name or by the response's own
  timestamps. Files may be MAX_SKEW seconds apart, as two calls to the venue are; the latest counts.
* Forward of (underlying, expiry): the median over strikes of the put-call-parity forwards of the marks, rounded once to 1e-9
  (`forward="parity"`); where no strike has both marks, the median of the file's fwd_mark, else of underlying_price. With
  `forward="quoted"`: the median of underlying_price, else of fwd_mark. The venue refreshes underlying_price at another moment
  than the marks, so the parity forward is the one that the marks were computed from.
* Index price of an underlying: the futures file's; else the one beside the perpetual; else the first row's.
* Registry: first the coins with an index price as spot assets and cash, then the contracts by expiry, underlying,
  kind, strike and type, whatever their order in the files. A previous registry is kept as it is and extended.
* An option without volatility, and a perpetual without a price, is listed and not priced. An option with volatility and no mark,
  or a mark of zero, is priced; zero is a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Literal

from riskproof import units
from riskproof.errors import ImportFormatError, MarketError, RegistryError, SnapshotError
from riskproof.market.importers import chain_csv, futures_csv, rows, summary_json
from riskproof.market.importers.forwards import median, parity_forward, to_price
from riskproof.market.importers.listing import NUMERAIRE, listing_order, spot_assets, spot_quotes, with_cash
from riskproof.market.importers.rows import Parsed, Row
from riskproof.market.marketfile import Market
from riskproof.market.registry import MAX_PRICE, MIN_PRICE, Instrument, Kind, OptionType, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot

SOURCE: Final = "deribit"
MAX_SKEW: Final = 60  # seconds between the files of one market

ForwardRule = Literal["parity", "quoted"]


def import_files(
    files: Sequence[tuple[str, bytes]],
    *,
    previous: Market | None = None,
    time: int | None = None,
    forward: ForwardRule | str = "parity",
) -> Market:
    """Make one market of a venue's files, each recognised by its content.

    files: (file name, content). previous: its registry is extended. time: the instant, seconds since the epoch.

    Raises:
        EncodingError: a file is not text or not JSON.
        ImportFormatError: a file is of no known format, columns and names disagree, no instant or several,
            a contract twice.
        UnitError: a number is not a plain decimal, or finer than its unit.
        SnapshotError: a number out of range, an expired contract, a crossed quote, marks without a forward.
        RegistryError: a contract of unknown size, or known with other terms.
    """
    if forward not in ("parity", "quoted"):
        raise MarketError(f"no rule {forward[:32]!r} for forwards", where="forward", expected="parity or quoted")
    if previous is not None and previous.registry.numeraire != NUMERAIRE:
        raise RegistryError("previous registry has another numeraire", where="previous", expected=NUMERAIRE)
    instant, parsed = _parse(files, time)
    taken = _unique_rows(parsed, instant)
    indices = with_cash(_index_prices(parsed))
    base = previous.registry if previous is not None else Registry(NUMERAIRE, ())
    registry = base.extended(spot_assets(indices) + _instruments(taken))
    snapshot = Snapshot.build(
        registry, instant, SOURCE, indices, _curves(taken, forward == "parity"), _quotes(taken, indices)
    )
    return Market(registry, snapshot)


def _parse(files: Sequence[tuple[str, bytes]], time: int | None) -> tuple[int, list[Parsed]]:
    parsed: list[Parsed] = []
    groups: list[tuple[str, dict[int, futures_csv.Group]]] = []
    for where, data in files:
        format_ = _recognise(where, data)
        if format_ == "summary":
            parsed.append(summary_json.parse_summary(data, where))
        elif format_ == "chain":
            parsed.append(chain_csv.parse_chain(data, where))
        else:
            groups.append((where, futures_csv.split_instants(data, where)))
    instant = _instant(parsed, [(where, list(by_instant)) for where, by_instant in groups], time)
    futures = []
    for where, by_instant in groups:
        near = [t for t in by_instant if abs(t - instant) <= MAX_SKEW]
        if len(near) != 1:
            raise ImportFormatError(
                "no rows of the snapshot's instant" if not near else "rows of several instants are near the snapshot's",
                where=where,
                expected=f"one snapshot within {MAX_SKEW} s of {units.format_time(instant)}",
            )
        futures.append(futures_csv.parse_futures(by_instant[near[0]], where, near[0]))
    return instant, futures + parsed


def _recognise(where: str, data: bytes) -> str:
    head = data[:4096].lstrip()
    if head.startswith((b"{", b"[")):
        return "summary"
    columns = set(head.split(b"\n", 1)[0].rstrip(b"\r").split(b","))
    if {b"snapshot", b"kind"} <= columns:
        return "futures"
    if {b"instrument_name"} <= columns:
        return "chain"
    raise ImportFormatError(
        "not a file of a known format",
        where=where,
        expected="book summaries (JSON), an option chain (CSV), or futures and perpetuals (CSV)",
    )


def _instant(parsed: list[Parsed], futures: list[tuple[str, list[int]]], time: int | None) -> int:
    told = [(p.where, p.instant) for p in parsed if p.instant is not None]
    if not told and time is None:
        told = [(where, instants[0]) for where, instants in futures if len(instants) == 1]
    instant = time if time is not None else max((t for _, t in told), default=None)
    if instant is None:
        raise ImportFormatError(
            "no file tells the instant of the snapshot",
            where=", ".join(where for where in [p.where for p in parsed] + [w for w, _ in futures]) or "files",
            expected="a stamp such as 20260114T092233Z in the file's name, or an explicit time",
        )
    for where, t in told:
        if abs(t - instant) > MAX_SKEW:
            raise ImportFormatError(
                f"the file's instant is {units.format_time(t)}",
                where=where,
                expected=f"within {MAX_SKEW} s of {units.format_time(instant)}",
            )
    return instant


def _unique_rows(parsed: list[Parsed], instant: int) -> list[Row]:
    seen: dict[str, Row] = {}
    for row in (row for file in parsed for row in file.rows):
        name = row.contract.name
        if name in seen:
            raise ImportFormatError(
                f"{name} is listed twice, first in {seen[name].where}",
                where=row.where,
                expected="one row per instrument",
            )
        rows.check_live(row.contract, instant, row.where)
        seen[name] = row
    if not seen:
        raise ImportFormatError("no instrument", where="files", expected="at least one row")
    return list(seen.values())


def _index_prices(parsed: list[Parsed]) -> dict[str, int]:
    best: dict[str, tuple[int, int]] = {}
    for index in (index for file in parsed for index in file.indices):
        if index.underlying == NUMERAIRE:
            raise ImportFormatError(
                f"an index price of {NUMERAIRE}, which prices are in", where=index.where, expected="an index of a coin"
            )
        if index.underlying not in best or index.rank < best[index.underlying][0]:
            best[index.underlying] = (index.rank, index.price)
    return {underlying: price for underlying, (_, price) in best.items()}


def _instruments(taken: list[Row]) -> list[Instrument]:
    return sorted((row.contract.instrument(row.where) for row in taken), key=listing_order)


def _quotes(taken: list[Row], indices: dict[str, int]) -> dict[str, Quote]:
    quotes = spot_quotes(indices)
    for row in taken:
        if row.contract.kind is Kind.OPTION:
            if row.volatility is not None:
                quotes[row.contract.name] = Quote(row.mark, row.volatility)
        elif row.mark is not None:
            quotes[row.contract.name] = Quote(row.mark)
    return quotes


def _curves(taken: list[Row], parity_first: bool) -> list[Curve]:
    expiries: dict[tuple[str, int], list[Row]] = {}
    for row in taken:
        if row.contract.kind is Kind.OPTION and row.contract.expiry is not None:
            expiries.setdefault((row.contract.underlying, row.contract.expiry), []).append(row)
    return [Curve(u, expiry, _forward(chain, parity_first)) for (u, expiry), chain in expiries.items()]


def _forward(chain: list[Row], parity_first: bool) -> int:
    quoted = [Fraction(r.quoted_forward) for r in chain if r.quoted_forward is not None]
    of_marks = [Fraction(r.marks_forward) for r in chain if r.marks_forward is not None]
    choices = [_parity_forwards(chain), of_marks, quoted] if parity_first else [quoted, of_marks]
    for values in choices:
        if values:
            price = to_price(median(values))
            if not MIN_PRICE <= price <= MAX_PRICE:
                raise SnapshotError(
                    f"forward {units.format_decimal(price, units.PRICE_EXPONENT)} is out of the kernel's domain",
                    where=chain[0].where,
                    expected="1e-4 to 1e7",
                )
            return price
    raise SnapshotError(
        f"no forward for the expiry of {chain[0].contract.name}",
        where=chain[0].where,
        expected="a strike with marks of call and put, or a quoted forward",
    )


def _parity_forwards(chain: list[Row]) -> list[Fraction]:
    sides: dict[tuple[int, OptionType], Row] = {
        (r.contract.strike, r.contract.option_type): r
        for r in chain
        if r.contract.strike is not None and r.contract.option_type is not None and r.mark is not None
    }
    forwards = []
    for (strike, side), call in sides.items():
        put = sides.get((strike, OptionType.PUT))
        if side is OptionType.CALL and put is not None and call.mark is not None and put.mark is not None:
            forward = parity_forward(call.contract.payoff, strike, call.mark, put.mark)
            if forward is None:
                raise SnapshotError(
                    f"marks of {call.contract.name} and its put allow no forward",
                    where=call.where,
                    expected="C - P as put-call parity has it",
                )
            forwards.append(forward)
    return forwards
