"""A generated market for demonstrations and tests: BTC and ETH options, perpetuals, dated futures, coins, cash; and books for it.

Per coin and expiry the smile is a raw SVI slice in k = ln(K/F),

    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)),            volatility = sqrt(w / T)

whose parameters are those of a surface without butterfly or calendar arbitrage (Gatheral and Jacquier, "Arbitrage-free SVI
volatility surfaces", 2014, with phi(theta) = eta / sqrt(theta)):

    a = theta (1 - rho^2) / 2,   b = theta phi / 2,   m = -rho / phi,   sigma = sqrt(1 - rho^2) / phi

The forward is rounded to cents and the volatility to 0.01 %, as a venue quotes them; the mark is the Black-76 value in coin of the
rounded inputs, to 1e-8 coin.

Everything is computed with the decimal module at 40 digits. Its square root, exponential and logarithm are correctly rounded by
specification, so the bytes are the same on every machine. A seed moves index prices, volatilities and smiles through SHA-256.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from riskproof import units
from riskproof.errors import PortfolioError, SnapshotError
from riskproof.market.importers.listing import NUMERAIRE, listing_order, spot_assets, spot_quotes, with_cash
from riskproof.market.importers.names import EXPIRY_HOUR, Contract
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind, OptionType, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot

SOURCE: Final = "sample"
DEFAULT_TIME: Final = 1_767_603_600  # 2026-01-05T09:00:00Z, a Monday
FIRST_TIME: Final = 946_684_800  # 2000-01-01; names hold two digits of the year
LAST_TIME: Final = 4_007_750_400  # 2097-01-01

_CONTEXT: Final = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_EVEN)
_ROOT_TWO_PI: Final = Decimal("2.506628274631000502415765284811045253007")
_YEAR: Final = Decimal(units.SECONDS_PER_YEAR)
_FRIDAY: Final = 4
_STRIKES_EACH_SIDE: Final = 8
_WIDEST: Final = Decimal("2.4")  # standard deviations from the forward to the last strike
_MARK_DECIMALS: Final = 8


@dataclass(frozen=True)
class _Coin:
    """Parameters of one coin, before the seed moves them. carry, short_vol, long_vol: per year."""

    name: str
    index: Decimal
    carry: Decimal
    short_vol: Decimal
    long_vol: Decimal
    rho: Decimal
    eta: Decimal


_COINS: Final = (
    _Coin(
        "BTC", Decimal(92_000), Decimal("0.045"), Decimal("0.38"), Decimal("0.52"), Decimal("-0.18"), Decimal("0.95")
    ),
    _Coin("ETH", Decimal(3_150), Decimal("0.035"), Decimal("0.58"), Decimal("0.70"), Decimal("-0.12"), Decimal("0.85")),
)


def sample_market(seed: int = 1, time: int = DEFAULT_TIME) -> Market:
    """Generate a market of more than 600 instruments. Equal arguments give equal bytes, on every machine.

    seed: any integer. time: the snapshot's instant, seconds since the epoch.

    Raises:
        SnapshotError: a time before 2000 or after 2096.
    """
    if not FIRST_TIME <= time <= LAST_TIME:
        raise SnapshotError("time is out of the sample's range", where="time", expected="an instant of 2000 to 2096")
    indices, quotes = dict[str, int](), dict[str, Quote]()
    curves: list[Curve] = []
    contracts: list[Contract] = []
    with decimal.localcontext(_CONTEXT):
        for parameters in _COINS:
            coin = _moved(parameters, seed)
            indices[coin.name] = _price(coin.index)
            for contract, quote in _contracts(coin, time, curves):
                contracts.append(contract)
                quotes[contract.name] = quote
    indices = with_cash(indices)
    quotes.update(spot_quotes(indices))
    listed = sorted((c.instrument(c.name) for c in contracts), key=listing_order)
    registry = Registry(NUMERAIRE, (*spot_assets(indices), *listed))
    return Market(registry, Snapshot.build(registry, time, SOURCE, indices, curves, quotes))


def expiries(time: int) -> tuple[list[int], list[int]]:
    """Expiries of options and of futures that a venue lists at an instant.

    Options: three days, four Fridays, the last Fridays of three months and of four quarters. Futures: the last Fridays, and the
    nearest one.
    """
    today = dt.datetime.fromtimestamp(time, tz=dt.UTC).date()
    days = [day for n in range(4) if (day := today + dt.timedelta(days=n)) and _expiry(day) > time][:3]
    fridays = [day for n in range(36) if (day := today + dt.timedelta(days=n)).weekday() == _FRIDAY]
    fridays = [day for day in fridays if _expiry(day) > time][:4]
    ends = [day for n in range(17) if _expiry(day := _last_friday(today.year, today.month + n)) > time]
    quarters = [day for day in ends if day.month % 3 == 0][:4]
    dated = {*fridays[:1], *ends[:3], *quarters}
    return sorted(map(_expiry, {*days, *fridays, *dated})), sorted(map(_expiry, dated))


def _expiry(day: dt.date) -> int:
    return int(dt.datetime(day.year, day.month, day.day, EXPIRY_HOUR, tzinfo=dt.UTC).timestamp())


def _last_friday(year: int, month: int) -> dt.date:
    """Last Friday of a month; months beyond 12 count on into the next year."""
    first_of_next = dt.date(year + month // 12, month % 12 + 1, 1)
    last = first_of_next - dt.timedelta(days=1)
    return last - dt.timedelta(days=(last.weekday() - _FRIDAY) % 7)


def _draw(seed: int, label: str, percent: int) -> Decimal:
    """A factor within `percent` of one, in steps of 0.01 %, fixed by seed and label."""
    number = int.from_bytes(hashlib.sha256(f"riskproof sample {seed} {label}".encode()).digest(), "big")
    return Decimal(10_000 - 100 * percent + number % (200 * percent + 1)) / 10_000


def _moved(coin: _Coin, seed: int) -> _Coin:
    def moved(label: str, value: Decimal, percent: int) -> Decimal:
        return value * _draw(seed, f"{coin.name} {label}", percent)

    return _Coin(
        coin.name,
        _cents(moved("index", coin.index, 15)),
        moved("carry", coin.carry, 50),
        moved("short volatility", coin.short_vol, 20),
        moved("long volatility", coin.long_vol, 10),
        moved("rho", coin.rho, 50),
        moved("eta", coin.eta, 10),
    )


def _contracts(coin: _Coin, time: int, curves: list[Curve]) -> Iterator[tuple[Contract, Quote]]:
    """Every contract of a coin with its quote; appends the coin's curves."""
    yield Contract(coin.name, None, Kind.PERPETUAL), Quote(_price(_cents(coin.index * Decimal("1.0002"))))
    options, futures = expiries(time)
    for expiry in options:
        t = Decimal(expiry - time) / _YEAR
        forward = _cents(coin.index * (coin.carry * t).exp())
        curves.append(Curve(coin.name, expiry, _price(forward)))
        if expiry in futures:
            yield Contract(coin.name, None, Kind.FUTURE, expiry), Quote(_price(forward))
        smile = _smile(coin, t)
        for strike in _strikes(forward, smile(Decimal(0)) * t.sqrt()):
            # A venue quotes volatility to 0.01 %.
            vol = smile((strike / forward).ln()).quantize(Decimal("0.0001"))
            call = _call(forward, strike, vol * t.sqrt())
            for side, mark in ((OptionType.CALL, call), (OptionType.PUT, call - 1 + strike / forward)):
                contract = Contract(coin.name, None, Kind.OPTION, expiry, _price(strike), side)
                rounded = mark.quantize(Decimal(1).scaleb(-_MARK_DECIMALS))
                yield contract, Quote(_price(rounded), int(vol * units.RATIO_ONE))


def _smile(coin: _Coin, t: Decimal) -> Callable[[Decimal], Decimal]:
    """Volatility as a function of k = ln(K/F) at maturity t in years: the module's SVI slice."""
    # The at-the-money variance theta grows with t, because short_vol is less than twice long_vol.
    atm = coin.long_vol + (coin.short_vol - coin.long_vol) * (-2 * t).exp()
    theta, rho = atm * atm * t, coin.rho
    phi = coin.eta / theta.sqrt()
    a, b = theta * (1 - rho * rho) / 2, theta * phi / 2
    m, sigma = -rho / phi, (1 - rho * rho).sqrt() / phi

    def volatility(k: Decimal) -> Decimal:
        w = a + b * (rho * (k - m) + ((k - m) * (k - m) + sigma * sigma).sqrt())
        return (w / t).sqrt()

    return volatility


def _strikes(forward: Decimal, deviation: Decimal) -> list[Decimal]:
    """Strikes evenly spread in ln(K/F), rounded to a step of 1, 2 or 5 times a power of ten."""
    spacing = forward * deviation * _WIDEST / _STRIKES_EACH_SIDE
    size = (spacing / 8).log10().to_integral_value(decimal.ROUND_FLOOR)
    step = max(Decimal(n).scaleb(int(size)) for n in (1, 2, 5) if Decimal(n).scaleb(int(size)) <= spacing / 8)
    wanted = (
        (deviation * _WIDEST * j / _STRIKES_EACH_SIDE).exp() * forward
        for j in range(-_STRIKES_EACH_SIDE, _STRIKES_EACH_SIDE + 1)
    )
    return sorted({(strike / step).to_integral_value() * step for strike in wanted})


def _call(forward: Decimal, strike: Decimal, s: Decimal) -> Decimal:
    """Undiscounted Black-76 call value in coin, N(d1) - K/F N(d2), with s = volatility * sqrt(T)."""
    d1 = (forward / strike).ln() / s + s / 2
    return _normal_cdf(d1) - strike / forward * _normal_cdf(d1 - s)


def _normal_cdf(x: Decimal) -> Decimal:
    """N(x) = 1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ...); Abramowitz and Stegun 26.2.11. For |x| of a few units."""
    term = total = x
    n = 1
    while abs(term) > Decimal("1e-38"):
        n += 2
        term = term * x * x / n
        total += term
    return Decimal("0.5") + (-x * x / 2).exp() / _ROOT_TWO_PI * total


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def _price(value: Decimal) -> int:
    """1e-9; the value has no more than nine decimals."""
    return units.parse_decimal(format(value, "f"), units.PRICE_EXPONENT, "sample")


BOOKS: Final = ("market-maker-a", "market-maker-b", "directional")


def sample_book(name: str, market: Market) -> Portfolio:
    """A book for a market with options on BTC and ETH, its lots chosen by expiry and distance from the forward.

        market-maker-a   short strangles at every second expiry, long bitcoin: heavy losses in a fall
        market-maker-b   long nearly the same strangles, short as much bitcoin: heavy losses in a rise; the two offset each other
        directional      leveraged long: perpetuals, calls, short puts, ether collateral, cash

    Raises:
        PortfolioError: no such book, or a market that lacks what it holds.
    """
    if name not in BOOKS:
        raise PortfolioError(f"no sample book {name[:64]!r}", where="name", expected=", ".join(BOOKS))
    shelf = _Shelf(market)
    book: dict[int, int] = {}

    def add(index: int, units_held: int) -> None:
        book[index] = book.get(index, 0) + units_held * 10**market.registry.quantity_exponent

    if name == "directional":
        add(shelf.named(NUMERAIRE), 2_500_000)
        add(shelf.named("ETH"), 900)
        add(shelf.named("BTC-PERPETUAL"), 250_000)
        add(shelf.named("ETH-PERPETUAL"), 900_000)
        for n in range(1, 6, 2):
            add(shelf.option("BTC", n, 108, OptionType.CALL), 40)
            add(shelf.option("ETH", n, 88, OptionType.PUT), -350)
        return Portfolio.build(book.items())
    short = name == "market-maker-a"
    add(shelf.named(NUMERAIRE), 1_250_000 if short else 2_000_000)
    for coin, size in (("BTC", 30), ("ETH", 450)):
        for n in range(0, shelf.expiries(coin), 2):
            width = 4 + 3 * n
            for side, percent in ((OptionType.CALL, 100 + width), (OptionType.PUT, 100 - width)):
                held = size + 3 * n
                add(shelf.option(coin, n, percent, side), -held if short else held - held // 16)
    if short:
        add(shelf.named("BTC"), 160)
        add(shelf.named("BTC-PERPETUAL"), 1_700_000)
    else:
        add(shelf.named("BTC-PERPETUAL"), -3_100_000)
        add(shelf.future("ETH"), -400_000)
    return Portfolio.build(book.items())


class _Shelf:
    """A market's priced contracts, found by coin, n-th expiry and distance from the forward."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._options: dict[tuple[str, OptionType], dict[int, list[tuple[int, int]]]] = {}
        for index, (i, quote) in enumerate(zip(market.registry.instruments, market.snapshot.quotes, strict=True)):
            if quote is not None and i.option_type is not None and i.expiry is not None and i.strike is not None:
                expiries_ = self._options.setdefault((i.underlying, i.option_type), {})
                expiries_.setdefault(i.expiry, []).append((i.strike, index))

    def expiries(self, coin: str) -> int:
        """How many expiries have calls and puts."""
        return min(len(self._options.get((coin, side), {})) for side in OptionType)

    def option(self, coin: str, n: int, percent: int, side: OptionType) -> int:
        """Index of the option of the n-th expiry whose strike is nearest to `percent` of the forward; the lower of two."""
        chains = self._options.get((coin, side), {})
        if n >= len(chains):
            raise PortfolioError(f"no {side} on {coin} at expiry {n}", where="market", expected=f"{n + 1} expiries")
        expiry = sorted(chains)[n]
        target = self._market.snapshot.curve[coin, expiry].forward * percent
        return min(chains[expiry], key=lambda pair: (abs(100 * pair[0] - target), pair))[1]

    def future(self, coin: str) -> int:
        """Index of the priced future that expires first."""
        return self._first(lambda i: i.kind is Kind.FUTURE and i.underlying == coin, f"a future on {coin}")

    def named(self, name: str) -> int:
        """Index of a priced instrument by name."""
        return self._first(lambda i: i.name == name, name)

    def _first(self, wanted: Callable[[Instrument], bool], what: str) -> int:
        listed = zip(self._market.registry.instruments, self._market.snapshot.quotes, strict=True)
        found = [(i.expiry or 0, n) for n, (i, quote) in enumerate(listed) if quote is not None and wanted(i)]
        if not found:
            raise PortfolioError("the market lacks what the book holds", where="market", expected=what)
        return min(found)[1]
