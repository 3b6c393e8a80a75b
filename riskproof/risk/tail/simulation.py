"""Joint moves that are not history: Monte Carlo, and common with idiosyncratic shocks.

Monte Carlo is reproducible to the last bit anywhere, because every step is integers:

    words      Philox4x64-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011) with the key (seed,
               STREAM): the four words of counter 1, of counter 2, ... numpy's Philox(counter=0, key=[seed, STREAM]).random_raw
    uniform    u = floor(word 10^18 / 2^64)
    normal     z = the least integer in 1e-12 with N(z) > u, N the kernel's normal distribution in 1e-18 (docs/kernel.md), |z| <= 9
    factors    word p F + f is draw f of path p; x = C z, C the Cholesky factor of the covariance in 1e-18 (linear.cholesky),
               rounded to 1e-12, ties to even; the ratio is exp(x) by the kernel. The median of every factor stays where it is
    antithetic path 2 p + 1 has the draws of path 2 p with the other sign, and only even paths draw

Common and idiosyncratic shocks: every price moves by beta[u] times the common shock c, and one underlying at a time, or all of
them in every combination of signs, by its idiosyncratic shock besides, each scenario with each of the stated volatility moves:

    ratio = (1 + beta[u] c) (1 + sign e[u])
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof.errors import ModelError
from riskproof.risk.kernel import black76
from riskproof.risk.tail.correlation import Correlation
from riskproof.risk.tail.history import Factor
from riskproof.risk.tail.linear import cholesky
from riskproof.risk.tail.moves import MAX_SCENARIOS, Moves, from_logs
from riskproof.units import RATIO_ONE, format_decimal, round_half_even

Int64 = npt.NDArray[np.int64]

STREAM: Final = 0x7269736B70726F66  # "riskprof": the second key word; a change of any step above gets another
MAX_NUMBERS: Final = 1 << 20  # ratios of one set: a document of a few bytes must not cost minutes
MAX_NORMAL: Final = 9 * RATIO_ONE
MAX_CORNERS: Final = 8  # underlyings whose signs are combined

_E18 = 10**18
_MASK32 = (1 << 32) - 1


def words(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """The first `count` words of the stream of a seed, 0 <= seed < 2^64 (ModelError)."""
    if not 0 <= seed < 1 << 64:
        raise ModelError("seed out of range", where="seed", expected="0 to 2^64 - 1")
    generator = np.random.Philox(counter=0, key=np.array([seed, STREAM], dtype=np.uint64))
    return generator.random_raw(count)


def normals(seed: int, count: int) -> Int64:
    """The first `count` standard normal draws of a seed, int64 in 1e-12."""
    raw = words(seed, count)
    # floor(word 10^18 / 2^64) from two halves: (high 2^32 + low) 10^18, all below 2^92, in two steps that fit 64 bits
    high, low = raw >> np.uint64(32), raw & np.uint64(_MASK32)
    e18_high, e18_low = np.uint64(_E18 >> 32), np.uint64(_E18 & _MASK32)
    carry = (low * e18_low) >> np.uint64(32)
    middle = high * e18_low + carry
    middle_low = (middle & np.uint64(_MASK32)) + low * e18_high
    uniform = high * e18_high + (middle >> np.uint64(32)) + (middle_low >> np.uint64(32))
    return quantile(uniform.astype(np.int64))


def quantile(uniform: Int64) -> Int64:
    """The least z in 1e-12, |z| <= 9, with N(z) > u, for u in 1e-18: bisection on the kernel's monotone distribution."""
    low = np.full(uniform.shape, -MAX_NORMAL - 1, dtype=np.int64)
    high = np.full(uniform.shape, MAX_NORMAL, dtype=np.int64)
    for _ in range((2 * MAX_NORMAL + 1).bit_length()):
        middle = low + (high - low) // 2
        above = black76.cdf(middle) > uniform
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return high


def monte_carlo_moves(correlation: Correlation, seed: int, paths: int, *, antithetic: bool = True) -> Moves:
    """Joint normal logarithmic moves over the document's horizon; see the module.

    Raises:
        ModelError: a seed or a number of paths out of range; an odd number of antithetic paths.
        DomainError: a path beyond what the kernel prices.
    """
    if not 0 < paths <= MAX_SCENARIOS or (antithetic and paths % 2):
        raise ModelError(
            f"{paths} paths",
            where="paths",
            expected=f"1 to {MAX_SCENARIOS}" + (", an even number" if antithetic else ""),
        )
    count = len(correlation.factors)
    check_size(paths, count, "paths")
    draws = normals(seed, (paths // 2 if antithetic else paths) * count).reshape(-1, count)
    if antithetic:
        draws = np.stack([draws, -draws], axis=1).reshape(paths, count)
    factor = cholesky(correlation.covariance)  # 1e-18
    logs = np.empty((paths, count), dtype=np.int64)
    columns = draws.T.astype(object)
    for f, row in enumerate(factor):
        total = sum(c * columns[k] for k, c in enumerate(row))
        logs[:, f] = [round_half_even(int(x), _E18) for x in total]
    width = len(str(paths - 1))
    return from_logs(tuple(f"path-{n:0{width}d}" for n in range(paths)), correlation.factors, logs)


def check_size(scenarios: int, factors: int, where: str) -> None:
    """Raise ModelError if a set of so many scenarios and factors is larger than MAX_NUMBERS."""
    if scenarios * factors > MAX_NUMBERS:
        raise ModelError(
            f"{scenarios} scenarios of {factors} factors",
            where=where,
            expected=f"at most {MAX_NUMBERS} ratios in a set",
        )


def common_factor_moves(
    common: Sequence[int],
    betas: Mapping[str, int],
    idiosyncratic: Mapping[str, int],
    volatilities: Sequence[int],
    tenors: Sequence[int] = (),
    *,
    corners: bool = False,
) -> Moves:
    """Joint scenarios of a common factor and idiosyncratic moves; all numbers 1e-12.

    Args:
        common: shocks of the common factor, 0 among them or not.
        betas: by underlying; every underlying that moves.
        idiosyncratic: size of each underlying's own shock, 0 to 1, for some of the underlyings in `betas`.
        volatilities: relative moves of every volatility at every tenor, such as -0.3, 0, 0.45; read if there are tenors.
        tenors: tenor in days of the volatility factors.
        corners: every combination of signs of the idiosyncratic shocks, and none; else one underlying at a time, and none.

    Raises:
        ModelError: an idiosyncratic shock without a beta or out of range, too many underlyings for corners, or too many scenarios.
        DomainError: a ratio that the kernel cannot price; names the scenario.
    """
    for u, size in idiosyncratic.items():
        if u not in betas:
            raise ModelError(
                "an underlying without a beta", where=f"idiosyncratic.{u}", expected=", ".join(sorted(betas))
            )
        if not 0 < size < RATIO_ONE:
            raise ModelError(
                f"{format_decimal(size, 12)} is out of range", where=f"idiosyncratic.{u}", expected="between 0 and 1"
            )
    names = sorted(idiosyncratic)
    if corners and len(names) > MAX_CORNERS:
        raise ModelError(
            f"{len(names)} underlyings", where="idiosyncratic", expected=f"at most {MAX_CORNERS} with corners"
        )
    own: list[dict[str, int]] = [{}]
    if corners and names:
        own += [dict(zip(names, signs, strict=True)) for signs in itertools.product((-1, 1), repeat=len(names))]
    elif not corners:
        own += [{u: sign} for u in names for sign in (-1, 1)]
    vols = list(volatilities) if tenors else [0]
    if not common or not vols or not betas:
        raise ModelError(
            "no scenario", where="common", expected="a common shock, a beta and a volatility move, one or more of each"
        )
    if len(common) * len(own) * len(vols) > MAX_SCENARIOS:
        raise ModelError(
            f"{len(common) * len(own) * len(vols)} scenarios", where="common", expected=f"at most {MAX_SCENARIOS}"
        )
    factors = tuple(sorted(Factor(u, t) for u in betas for t in (0, *tenors)))
    check_size(len(common) * len(own) * len(vols), len(factors), "common")
    ids, rows = [], []
    for c, signs, v in itertools.product(common, own, vols):
        shocks = "".join(f"/{u}{'+' if sign > 0 else '-'}" for u, sign in signs.items())
        ids.append(f"c{format_decimal(c, 12)}{shocks}" + (f"/v{format_decimal(v, 12)}" if tenors else ""))
        row = []
        for x in factors:
            u = x.underlying
            if x.is_price:
                own_shock = signs.get(u, 0) * idiosyncratic.get(u, 0)
                moved = (RATIO_ONE**2 + betas[u] * c) * (RATIO_ONE + own_shock)
                row.append(_fit(round_half_even(moved, RATIO_ONE**2)))
            else:
                row.append(_fit(RATIO_ONE + v))
        rows.append(row)
    if len(set(ids)) != len(ids):
        raise ModelError("the same scenario twice", where="common", expected="different shocks")
    return Moves(tuple(ids), factors, np.array(rows, dtype=np.int64))


def _fit(value: int) -> int:
    return max(min(value, 2**63 - 1), -(2**63))  # what is beyond is refused by its size
