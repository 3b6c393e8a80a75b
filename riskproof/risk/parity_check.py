"""Put-call parity and strike order of option marks: what they say about forwards without any volatility.

Each strike with both marks has a forward of its own. Their median against the snapshot's forward shows a *stale* forward, one that
was taken at another moment than the marks. A strike whose marks contradict even the median is *crossed*. Marks of one expiry that
rise with the strike for calls, or fall for puts, are an arbitrage.
"""

from __future__ import annotations

import decimal
import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof.market.importers.forwards import UNDISCOUNTED, median, parity_forward, to_price
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, OptionType, Payoff
from riskproof.market.snapshot import Curve, Quote
from riskproof.units import PRICE_ONE, RATIO_ONE, SECONDS_PER_YEAR

_DECIMAL: Final = decimal.Context(prec=40)


@dataclass(frozen=True, slots=True)
class MarkedOption:
    """An option with a mark: what the checks need of registry, curve and quote.

    strike: 1e-9 of the numeraire. mark: 1e-9 of the settlement currency. volatility: 1e-12.
    """

    name: str
    payoff: Payoff
    is_call: bool
    strike: int
    mark: int
    volatility: int
    curve: Curve

    @classmethod
    def of(cls, market: Market, instrument: Instrument, quote: Quote) -> MarkedOption:
        if instrument.strike is None or instrument.expiry is None or quote.mark is None or quote.volatility is None:
            raise AssertionError("an option of a checked snapshot has strike, expiry and volatility")
        curve = market.snapshot.curve[instrument.underlying, instrument.expiry]
        is_call = instrument.option_type is OptionType.CALL
        return cls(instrument.name, instrument.payoff, is_call, instrument.strike, quote.mark, quote.volatility, curve)


@dataclass(frozen=True)
class ForwardCheck:
    """Forward of one expiry against the marks.

    Attributes:
        underlying, expiry: name the curve.
        forward: the snapshot's, 1e-9.
        parity_forward: median over the strikes with both marks, 1e-9; None if there is no such strike.
        strikes: how many strikes have both marks.
        stale: forward and parity_forward differ by more than the tolerance, as a share of the forward.
        crossed: calls whose mark, with that of the put, contradicts the median by more than the tolerance in coin.
    """

    underlying: str
    expiry: int
    forward: int
    parity_forward: int | None
    strikes: int
    stale: bool
    crossed: tuple[str, ...]


def _pairs(chain: list[MarkedOption]) -> list[tuple[MarkedOption, MarkedOption]]:
    """Calls with their puts, by strike."""
    puts = {(o.payoff, o.strike): o for o in chain if not o.is_call}
    calls = sorted((o for o in chain if o.is_call and (o.payoff, o.strike) in puts), key=lambda o: (o.strike, o.payoff))
    return [(call, puts[call.payoff, call.strike]) for call in calls]


def check_forward(chain: list[MarkedOption], time: int, tolerance: int) -> ForwardCheck:
    """Compare the curve of the options of one expiry with their marks. tolerance: 1e-9."""
    curve, pairs = chain[0].curve, _pairs(chain)
    discount = _discount(curve, time)
    implied = {c.name: parity_forward(c.payoff, c.strike, c.mark, p.mark, discount) for c, p in pairs}
    known = [f for f in implied.values() if f is not None]
    middle = median(known) if known else None
    crossed: list[str] = []
    for call, put in pairs:
        if middle is None or _parity_error(call, put, middle, discount) > tolerance:
            crossed.append(call.name)
    return ForwardCheck(
        curve.underlying,
        curve.expiry,
        curve.forward,
        None if middle is None else to_price(middle),
        len(pairs),
        middle is not None and abs(middle - curve.forward) * PRICE_ONE > tolerance * curve.forward,
        tuple(crossed),
    )


def _parity_error(call: MarkedOption, put: MarkedOption, forward: Fraction, discount: Fraction) -> Fraction:
    """How far C - P is from what put-call parity makes of a forward, in 1e-9 coin."""
    coins = PRICE_ONE * discount * (1 - call.strike / forward)
    if call.payoff is Payoff.INVERSE:
        return abs(call.mark - put.mark - coins)
    return abs((call.mark - put.mark) * PRICE_ONE / forward - coins)


def _discount(curve: Curve, time: int) -> Fraction:
    """exp(-rate T) to 40 digits, exactly one at a rate of zero."""
    if curve.rate == 0:
        return UNDISCOUNTED
    exponent = _DECIMAL.divide(decimal.Decimal(-curve.rate * (curve.expiry - time)), RATIO_ONE * SECONDS_PER_YEAR)
    return Fraction(_DECIMAL.exp(exponent))


def crossed_marks(chain: list[MarkedOption]) -> list[tuple[str, str]]:
    """Neighbouring strikes whose call mark rises, or whose put mark falls, with the strike."""
    crossed = []
    for payoff, is_call in itertools.product(Payoff, (True, False)):
        side = sorted((o for o in chain if (o.payoff, o.is_call) == (payoff, is_call)), key=lambda o: o.strike)
        for low, high in itertools.pairwise(side):
            if high.mark > low.mark if is_call else high.mark < low.mark:
                crossed.append((low.name, high.name))
    return crossed
