"""Volatility surfaces that feeds publish as parameters.

SVI (Gatheral's raw parametrisation), as Derive's feed has it, for an expiry with the forward F of the fit and tau years then:

    w(k)   = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2))      k = ln(K / F), kept within +-4 sqrt(a + b sigma)
    vol(K) = sqrt(min(w, 144) / tau)                              rounded to 10^-18, as are ln and the roots
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from riskproof.errors import SnapshotError
from riskproof.risk.margining import exact

_MAX_VARIANCE = 144


@dataclass(frozen=True, slots=True)
class Svi:
    """Parameters of one expiry's fit."""

    a: Fraction
    b: Fraction
    rho: Fraction
    m: Fraction
    sigma: Fraction
    forward: Fraction
    tau: Fraction

    def volatility(self, strike: Fraction, where: str = "svi") -> Fraction:
        """Volatility of a strike, a multiple of 10^-18.

        Raises:
            SnapshotError: the parameters give no variance there.
        """
        if self.forward <= 0 or self.tau <= 0 or self.a + self.b * self.sigma < 0:
            raise SnapshotError("not a variance", where=where, expected="a forward, a tau and a + b sigma above zero")
        widest = 4 * exact.sqrt(self.a + self.b * self.sigma)
        k = min(max(exact.ln(strike / self.forward), -widest), widest)
        distance = k - self.m
        w = self.a + self.b * (self.rho * distance + exact.sqrt(distance * distance + self.sigma * self.sigma))
        if w < 0:
            raise SnapshotError("a negative variance", where=where, expected="parameters without arbitrage")
        return exact.sqrt(min(w, Fraction(_MAX_VARIANCE)) / self.tau)
