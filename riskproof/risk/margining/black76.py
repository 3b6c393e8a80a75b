"""Black-76 to the nearest unit of money: the price that any sufficiently accurate implementation gives.

    d1 = ln(F/K) / s + s/2,   d2 = d1 - s,   s = vol sqrt(T),   T in years of 365 days
    call = D (F N(d1) - K N(d2)),   put = D (K N(-d2) - F N(-d1)),   intrinsic value times D where s = 0

F, K, vol and D are integers of 10^-18; the value of a unit of u coins is rounded once, to 10^-m, to the nearest, ties to
even. There is no other rounding and no domain: volatilities of 60,000 or a second to expiry are as good as any. That is the
difference to the kernel `black76-q60/1` (docs/kernel.md), which has 10^-9 and 10^-12 for its inputs, and ends at a volatility
of 20. `nearest` computes many of these values at once.

How: fixed point with P = 128 fraction bits in Python integers. N comes from its Taylor series around the nearest multiple of
1/16, whose coefficients follow from phi' = -x phi; they are computed once. The error of a value is below 2^-108 of max(F, K), so
the integer is certain unless the value lies that close to a tie; then P = 512 decides, and what is a tie even there (an exact
one: intrinsic value beyond any doubt) goes to even.
"""

from __future__ import annotations

import decimal
import math
from functools import lru_cache
from typing import Final

from riskproof.units import SECONDS_PER_YEAR, round_half_even

KERNEL: Final = "black76-nearest/1"
_ONE: Final = 10**18
_PRECISIONS: Final = (128, 512)
_STEPS: Final = 16  # nodes of the Taylor series per unit
_GUARD: Final = 20  # bits that arithmetic may lose; an error of d1 and d2 alike cancels, since F phi(d1) = K phi(d2)


def value(
    call: bool, forward: int, strike: int, vol: int, seconds: int, discount: int, unit: tuple[int, int], decimals: int
) -> int:
    """Discounted value of one unit in 10^-decimals, nearest.

    Args:
        forward, strike: 10^-18, positive. vol, discount: 10^-18, not negative. seconds: to expiry; zero or less is expired.
        unit: (p, q), coins per unit as a fraction.
    """
    if vol == 0 or seconds <= 0:
        intrinsic = max(forward - strike if call else strike - forward, 0)
        return round_half_even(intrinsic * discount * unit[0] * 10**decimals, _ONE * _ONE * unit[1])
    numerator, denominator = discount * unit[0] * 10**decimals, _ONE * _ONE * unit[1]
    for bits in _PRECISIONS:
        undiscounted = _undiscounted(call, forward, strike, vol, seconds, bits)
        error = max(forward, strike) << _GUARD
        low = round_half_even(max(undiscounted - error, 0) * numerator, denominator << bits)
        high = round_half_even((undiscounted + error) * numerator, denominator << bits)
        if low == high:
            return low
    return round_half_even(_snap(undiscounted, bits) * numerator, denominator << bits)


def delta(call: bool, forward: int, strike: int, vol: int, seconds: int) -> int:
    """N(d1) of a call, N(d1) - 1 of a put, in 10^-18, nearest; where nothing is left to chance, 0 or 1, and a half on the strike.

    Arguments as for `value`.
    """
    share = _share(forward, strike, vol, seconds)
    return share if call else share - _ONE


def _share(forward: int, strike: int, vol: int, seconds: int) -> int:
    """N(d1) in 10^-18, nearest: not near a tie but where it is one half, which no rounding moves."""
    for bits in _PRECISIONS:
        s = math.isqrt((vol * vol * max(seconds, 0) << 2 * bits) // (_ONE * _ONE * SECONDS_PER_YEAR))
        if s == 0:
            return _ONE if forward > strike else 0 if forward < strike else _ONE // 2
        d1 = ((logarithm(forward, bits) - logarithm(strike, bits)) << bits) // s + (s >> 1)
        share, error = _cdf(d1, bits) * _ONE, _ONE << (_GUARD + max(0, bits - s.bit_length()))
        low, high = ((x + (1 << (bits - 1))) >> bits for x in (share - error, share + error))
        if low == high:
            return low
    return (share + (1 << (bits - 1))) >> bits


def _snap(undiscounted: int, bits: int) -> int:
    """What a value that cannot be told from a tie is taken for: the multiple of 10^-18 next to it, which the tie is made of."""
    whole = (undiscounted + (1 << (bits - 1))) >> bits
    return whole << bits


def _undiscounted(call: bool, forward: int, strike: int, vol: int, seconds: int, bits: int) -> int:
    """Value of an option on one coin before discounting, in 10^-18 2^-bits."""
    s = math.isqrt((vol * vol * seconds << 2 * bits) // (_ONE * _ONE * SECONDS_PER_YEAR))
    limit = _limit(bits)
    if s >= 2 * (limit + 160) << bits:  # d1 and d2 are out of sight whatever F / K (at most e^160) is
        return (forward if call else strike) << bits
    x = logarithm(forward, bits) - logarithm(strike, bits)
    if s == 0:
        return max(forward - strike if call else strike - forward, 0) << bits
    q = (x << bits) // s
    d1, d2 = q + (s >> 1), q - (s >> 1)
    if call:
        return forward * _cdf(d1, bits) - strike * _cdf(d2, bits)
    return strike * _cdf(-d2, bits) - forward * _cdf(-d1, bits)


def _limit(bits: int) -> int:
    """1 - N(limit) is below 2^-bits."""
    return math.isqrt(bits * 7 // 5) + 1


def _context(bits: int) -> decimal.Context:
    return decimal.Context(prec=bits * 31 // 100 + 30, rounding=decimal.ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)


def _fixed(number: decimal.Decimal, bits: int, context: decimal.Context) -> int:
    return int(context.to_integral_value(context.multiply(number, decimal.Decimal(1 << bits))))


@lru_cache(maxsize=16_384)
def logarithm(a: int, bits: int) -> int:
    """ln(a) with `bits` fraction bits, a a positive integer."""
    context = _context(bits)
    return _fixed(context.ln(decimal.Decimal(a)), bits, context)


def _cdf(d: int, bits: int) -> int:
    """N(d) with `bits` fraction bits, d likewise; 0 and 1 beyond the limit."""
    if d < 0:
        return (1 << bits) - _cdf(-d, bits)
    node = ((d * _STEPS >> (bits - 1)) + 1) >> 1
    if node >= _STEPS * _limit(bits):
        return 1 << bits
    h = d - (node << bits) // _STEPS
    result = 0
    for c in taylor(node, bits):
        result = c + (result * h >> bits)
    return result


@lru_cache(maxsize=4_096)
def taylor(node: int, bits: int) -> tuple[int, ...]:
    """Taylor coefficients of N around node/16, highest first, with `bits` fraction bits.

    phi(x0 + h) = sum a_k h^k with (k + 1) a_{k+1} = -(x0 a_k + a_{k-1}), and N(x0 + h) = N(x0) + sum a_k h^{k+1} / (k + 1).
    """
    work = bits + 64 + node * node // (_STEPS * _STEPS)  # the series for N(x0) grows like exp(x0^2 / 2)
    context = _context(work)
    x0 = (node << work) // _STEPS
    exponent = context.divide(decimal.Decimal(-node * node), decimal.Decimal(2 * _STEPS * _STEPS))
    phi = _fixed(context.multiply(context.exp(exponent), _inverse_root_two_pi(work)), work, context)
    # N(x) = 1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 5) + ...)
    term, total, k = x0, 0, 1
    while term:
        total += term
        k += 2
        term = term * node * node // (_STEPS * _STEPS * k)
    coefficients = [(1 << (work - 1)) + (phi * total >> work)]
    previous, a, k = 0, phi, 0
    while k < 8 or abs(a) >> (work - bits + 5 * k - 5) > 0 or abs(previous) >> (work - bits + 5 * k - 10) > 0:
        coefficients.append(a // (k + 1))
        previous, a, k = a, -((x0 * a >> work) + previous) // (k + 1), k + 1
    return tuple(c >> (work - bits) for c in reversed(coefficients))


@lru_cache(maxsize=64)
def _inverse_root_two_pi(bits: int) -> decimal.Decimal:
    """1 / sqrt(2 pi), pi by Machin's formula in integers."""
    one = 1 << (bits + 64)

    def arctan(inverse: int) -> int:
        term, total, n = one // inverse, 0, 1
        while term:
            total += term // n if n % 4 == 1 else -(term // n)
            term, n = term // (inverse * inverse), n + 2
        return total

    pi = 4 * (4 * arctan(5) - arctan(239))
    context = _context(bits + 64)
    two_pi = context.divide(decimal.Decimal(2 * pi), decimal.Decimal(one))
    return context.divide(decimal.Decimal(1), context.sqrt(two_pi))
