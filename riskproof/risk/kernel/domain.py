"""Formats and domain of the pricing kernel. docs/kernel.md is the specification; the letters are its letters."""

from __future__ import annotations

from typing import Final

from riskproof.units import PRICE_ONE, RATIO_ONE, SECONDS_PER_DAY

KERNEL_VERSION: Final = "black76-q60/1"

# Binary points: a number a in Qn stands for a / 2^n.
LOG_BITS: Final = 58  # x = ln(F / K), s = vol * sqrt(T)
D_BITS: Final = 59  # d1, d2
EXP2_BITS: Final = 60  # e = kappa * d1, whose square is the binary exponent of the density
MILLS_BITS: Final = 61  # R, and W = phi(d1) * (R +- R)
VALUE_BITS: Final = 60  # fraction of a value below 1e-9, and the factor (discount or W / F)
ROOT_BITS: Final = 101  # h = sqrt(T) / 10^12

# Domain. "Quoted" holds for state 0 of every axis, "shocked" for the other states.
PRICE_MIN: Final = PRICE_ONE // 10_000  # forward and strike 1e-4 ...
PRICE_MAX: Final = PRICE_ONE * 10_000_000  # ... 1e7
SHOCKED_PRICE_MIN: Final = PRICE_MIN // 10
SHOCKED_PRICE_MAX: Final = PRICE_MAX * 10
VOL_MAX: Final = 5 * RATIO_ONE
SHOCKED_VOL_MAX: Final = 20 * RATIO_ONE
SECONDS_MAX: Final = 3_660 * SECONDS_PER_DAY  # ten years of any calendar
RATE_MAX: Final = 10 * RATIO_ONE  # both signs; and exp(-rate * T) < FACTOR_LIMIT
FACTOR_LIMIT: Final = 4  # discount factors, and conversion over forward of inverse options, are below it
MONEY_EXPONENT_MAX: Final = 15

# Beyond |d1| = 75/8 the time value is below 2^-63 of the forward; beyond s = 22 no strike of the domain has |d1| < 75/8.
CUT_EIGHTHS: Final = 75
S_LIMIT: Final = 22
MILLS_ROWS: Final = 1568  # R is tabulated on [0, 12.25) in steps of 1/128; |d2| < 12.2 wherever |d1| <= 75/8
