"""Deribit's instrument names, read and written.

    BTC-PERPETUAL                inverse perpetual          settled in BTC
    BTC-27MAR26                  inverse future
    BTC-27MAR26-90000-C          inverse option             marks in BTC
    BTC_USDC-PERPETUAL           linear perpetual           settled in USDC, which counts as the numeraire
    XRP_USDC-30JUN25-0d625-C     linear option              `d` is the strike's decimal point

Contracts expire at 08:00 UTC of the day in the name. A name has one spelling: `parse_name` refuses any other, and
`Contract.name` writes it.

Source: Deribit's API documentation, "Naming".
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from riskproof import units
from riskproof.errors import ImportFormatError, RegistryError
from riskproof.market.importers.listing import NUMERAIRE
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff

EXPIRY_HOUR: Final = 8
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME: Final = re.compile(
    r"(?P<coin>[A-Z0-9]{1,10})(?:_(?P<quote>USDC|USDT))?-"
    r"(?:PERPETUAL|(?P<day>[1-9][0-9]?)(?P<month>[A-Z]{3})(?P<year>[0-9]{2})"
    r"(?:-(?P<strike>[0-9]{1,12}(?:d[0-9]{1,9})?)-(?P<side>[CP]))?)",
    re.ASCII,
)
_SIDES: Final = {"C": OptionType.CALL, "P": OptionType.PUT}

# Notional of one inverse perpetual or future in 1e-9 USD (Deribit's contract specifications: 10 USD for BTC, 1 USD for ETH).
_INVERSE_NOTIONAL: Final = {"BTC": 10 * units.PRICE_ONE, "ETH": units.PRICE_ONE}
_ONE_COIN: Final = units.PRICE_ONE


@dataclass(frozen=True, slots=True)
class Contract:
    """The terms that a name states.

    Attributes:
        coin: base currency.
        quote: settlement currency of a linear contract; None for an inverse one.
        kind: perpetual, future or option.
        expiry: seconds since the epoch, None for a perpetual.
        strike: 1e-9 of the numeraire, options only.
        option_type: options only.
    """

    coin: str
    quote: str | None
    kind: Kind
    expiry: int | None = None
    strike: int | None = None
    option_type: OptionType | None = None

    @property
    def underlying(self) -> str:
        """The index that drives the contract: `BTC` for an inverse one, `BTC_USDC` for a linear one.

        They are two price indices of the venue, with two sets of forwards.
        """
        return self.coin if self.quote is None else f"{self.coin}_{self.quote}"

    @property
    def payoff(self) -> Payoff:
        return Payoff.INVERSE if self.quote is None else Payoff.LINEAR

    @property
    def name(self) -> str:
        """The one spelling of the name."""
        if self.expiry is None:
            return f"{self.underlying}-PERPETUAL"
        day = dt.datetime.fromtimestamp(self.expiry, tz=dt.UTC)
        dated = f"{self.underlying}-{day.day}{_MONTHS[day.month - 1]}{day.year % 100:02d}"
        if self.strike is None or self.option_type is None:
            return dated
        strike = units.format_decimal(self.strike, units.PRICE_EXPONENT).replace(".", "d")
        return f"{dated}-{strike}-{'C' if self.option_type is OptionType.CALL else 'P'}"

    def instrument(self, where: str) -> Instrument:
        """The registry's line for this contract.

        Raises:
            RegistryError: an inverse perpetual or future of a coin whose contract size is not known; a strike out of the domain.
        """
        unit = _ONE_COIN
        if self.kind is not Kind.OPTION and self.quote is None:
            if self.coin not in _INVERSE_NOTIONAL:
                raise RegistryError(
                    f"contract size of {self.name} is not known",
                    where=where,
                    expected=f"an inverse contract on {' or '.join(sorted(_INVERSE_NOTIONAL))}",
                )
            unit = _INVERSE_NOTIONAL[self.coin]
        return Instrument(
            self.name,
            self.kind,
            self.underlying,
            self.payoff,
            unit,
            self.expiry,
            self.strike,
            self.option_type,
            self.quote,
        )


def parse_name(text: str, where: str) -> Contract:
    """The contract that a name stands for.

    Raises:
        ImportFormatError: no such name, no such day, not the one spelling of the name, or a contract on the numeraire.
    """
    match = _NAME.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        raise ImportFormatError(
            f"not the name of a contract: {text[:64]!r}", where=where, expected="a name such as BTC-27MAR26-90000-C"
        )
    if match["coin"] == NUMERAIRE:
        raise ImportFormatError(
            f"{text} is on {NUMERAIRE}, which prices are in", where=where, expected="a contract on a coin"
        )
    contract = Contract(match["coin"], match["quote"], Kind.PERPETUAL)
    if match["day"] is not None:
        expiry = _expiry(match["day"], match["month"], match["year"], text, where)
        contract = Contract(match["coin"], match["quote"], Kind.FUTURE, expiry)
        if match["strike"] is not None:
            strike = units.check_int64(_strike(match["strike"]), where)
            contract = Contract(match["coin"], match["quote"], Kind.OPTION, expiry, strike, _SIDES[match["side"]])
    if contract.name != text:
        raise ImportFormatError(f"not the usual spelling: {text!r}", where=where, expected=contract.name)
    return contract


def _expiry(day: str, month: str, year: str, text: str, where: str) -> int:
    try:
        at = dt.datetime(2000 + int(year), _MONTHS.index(month) + 1, int(day), EXPIRY_HOUR, tzinfo=dt.UTC)
    except ValueError:
        raise ImportFormatError(f"no such day in {text!r}", where=where, expected="a day such as 27MAR26") from None
    return int(at.timestamp())


def _strike(text: str) -> int:
    whole, _, fraction = text.partition("d")
    return int(whole) * units.PRICE_ONE + int(fraction.ljust(units.PRICE_EXPONENT, "0"))
