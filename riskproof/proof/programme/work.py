"""What computing the rows of `margin` and `excess` costs, from sizes alone: for whoever computes them for others.

Models and markets come from strangers. A short document can ask for hours: scenarios and joint moves times instruments, charges
that have a row for each, an aggregate whose terms contain each other, numbers that grow as they are multiplied. Each of these is
counted here before any of it is done, in microseconds of one core, and rather too much than too little:

    prices         options times states and joint moves; shocks of volatilities; moves of everything else
    coefficients   instruments times scenarios and joint moves
    charges        instruments, for each charge as many times as its kind goes through them
    aggregate      every term with the terms that it names in the place of their names, as the programme unfolds them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from riskproof.errors import ProofError
from riskproof.market.registry import Instrument, Kind
from riskproof.proof.challenge import AnyModel
from riskproof.proof.programme.histories import refuse_histories
from riskproof.proof.rows import AttestedMarket
from riskproof.risk.margining.aggregate import Expression
from riskproof.risk.margining.book import set_of
from riskproof.risk.margining.charges import Charge, whole
from riskproof.risk.margining.charges.basis import Basis
from riskproof.risk.margining.charges.closing import LiquidityTier
from riskproof.risk.margining.charges.rates import Confidence, Haircut
from riskproof.risk.margining.charges.spreads import CalendarSpread, Offset
from riskproof.risk.margining.charges.standalone import Standalone
from riskproof.risk.margining.charges.terms import VegaTerm
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.exact import MAX_DIGITS
from riskproof.risk.margining.grid import BASE, State
from riskproof.risk.margining.tail import Tail, joint_moves
from riskproof.risk.model import RiskModel
from riskproof.risk.tail.methods import MonteCarlo
from riskproof.units import MICROS_ONE

# Microseconds of one core, above what was measured on the machine of benchmarks/README.md; tests/proof/test_work.py compares.
_LISTED: Final = 30  # an instrument of a registry, read
_OPTION: Final = 30  # an option priced in a state
_SHOCK: Final = 150  # an option's volatility shocked
_MOVE: Final = 25  # anything else, moved
_COEFFICIENT: Final = 40  # a coefficient: computed, added up, made an integer
_CHARGE: Final = 300  # an instrument in a charge, for both margins
_ALONE: Final = 60  # an instrument in a scenario by itself, long and short
_FEED: Final = 1  # a feed of an exposure
_TERM: Final = 4  # a coefficient in an operation of the aggregate
_DRAW: Final = 20  # a factor in a joint move
_SHORT: Final = 512  # bits of a number that cost nothing more
_LONG: Final = 4_096  # and from where on they cost their square
_NAMED: Final = 192  # bits of a number that is not in the aggregate
_MOST: Final = 10**12  # what is more is as much


def check_work(model: AnyModel, attested: Sequence[AttestedMarket], most: int) -> None:
    """Refuse rows that cost more than `most` microseconds to compute (ProofError), or that need a history (HistoryError)."""
    needed = work(model, attested)
    if needed > most:
        seconds = -(-needed // MICROS_ONE)
        raise ProofError(
            f"the rows of {model.name} over {sum(len(a.market.registry) for a in attested)} instruments take about {seconds} s",
            where="challenge.model",
            expected=f"at most {most // MICROS_ONE} s here: fewer scenarios, charges or instruments, or one's own machine",
        )


def work(model: AnyModel, attested: Sequence[AttestedMarket]) -> int:
    """Microseconds of computing the rows of a requirement over attested markets, at most 10^12.

    Raises:
        HistoryError: the joint moves of the model come from a history, which no proof has.
    """
    listed, counting = sum(len(a.market.registry) for a in attested), [x for a in attested for x in _counting(a)]
    live, options = len(counting), sum(x.kind is Kind.OPTION for x in counting)
    others = live - options
    if isinstance(model, RiskModel):
        return min(_MOST, _LISTED * listed + live * (_COEFFICIENT * len(model.scenarios) + _CHARGE))
    moves, drawing = _joint(model.tail)
    states = {BASE, *(s.state for s in model.scenarios)}
    spent = _LISTED * listed + drawing * len(attested)
    for charge in (whole(charge) for _, charge in model.charges):
        states |= _states(charge)
        spent += _charge(charge, model, options, others)
        spent += _haircuts(model, sum(x.kind is Kind.SPOT for x in counting)) if isinstance(charge, Haircut) else 0
    spent += _OPTION * options * (len(states) + moves)
    spent += _SHOCK * options * len({s.vol for s in states if s.vol is not None})
    spent += _MOVE * others * (len({(s.price, s.on) for s in model.scenarios}) + moves)
    spent += _COEFFICIENT * live * (len(model.scenarios) + moves)
    sets = max(1, len({set_of(x.underlying, x.expiry, model.sets) for x in counting}))
    return min(_MOST, spent + _aggregate(model, live, sets))


def _counting(attested: AttestedMarket) -> Iterator[Instrument]:
    """Instruments that count: live, quoted and not expired."""
    registry, snapshot = attested.market.registry, attested.market.snapshot
    columns = frozenset(attested.live)
    for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True)):
        if quote is not None and i // registry.column_size in columns and not snapshot.is_expired(instrument):
            yield instrument


def _joint(tail: Tail | None) -> tuple[int, int]:
    """Joint moves of all sets, and what it takes to make them."""
    refuse_histories(tail)
    moves = spent = 0
    for one in tail.sets if tail is not None else ():
        method = one.method
        each, parts = joint_moves(method)
        moves += each * parts
        factors = len(method.correlation.factors) if isinstance(method, MonteCarlo) else 1
        spent += _DRAW * each * parts * factors + (parts if parts > 1 else 0) * factors**4 // 64
    return moves, spent


def _states(charge: Charge) -> set[State]:
    """States that a charge prices options in."""
    if isinstance(charge, Basis):
        return set(charge.moves)
    return {State(vol=charge.vol)} if isinstance(charge, VegaTerm) else set()


def _charge(charge: Charge, model: MarginModel, options: int, others: int) -> int:
    live, spent = options + others, _CHARGE * (options + others)
    if isinstance(charge, Standalone):
        return spent + _ALONE * live * len(model.groups[charge.group])
    if isinstance(charge, Confidence):
        return spent + _FEED * live * len(charge.feeds) * (1 + others)
    if isinstance(charge, CalendarSpread):
        return spent * (1 + len(charge.pairs))
    if isinstance(charge, LiquidityTier):
        return spent * (1 + len(charge.tiers))
    return spent * (1 + len(charge.spreads)) if isinstance(charge, Offset) else spent


def _haircuts(model: MarginModel, assets: int) -> int:
    """What the terms of assets take beyond a rate for each: stress goes through scenarios, a share through all assets."""
    terms = [] if model.collateral is None else model.collateral.terms
    stressed = max((len(model.groups[x.stress]) for x in terms if x.stress is not None), default=0)
    share = any(x.concentration is not None and x.concentration.of_all for x in terms)
    return _MOVE * assets * stressed + (_COEFFICIENT * 2 * assets**2 if share else 0)


# ---- the aggregate ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Unfolded:
    """An expression without names of terms.

    Attributes:
        size: coefficients of what it comes to. work: coefficients that its operations go through, all together.
        bits, parts: length of a number in it: of what decimals have in common, and of denominators, which multiply when added.
    """

    size: int
    work: int
    bits: int
    parts: int


def _aggregate(model: MarginModel, live: int, sets: int) -> int:
    known = {f"{kind}.{g}": len(places) * live for g, places in model.groups.items() for kind in ("loss", "joint")}
    for one in model.tail.sets if model.tail is not None else ():
        each, parts = joint_moves(one.method)
        # The worst loss unfolds to every loss, another measure is one number.
        size = parts * each * live if one.tail is None else parts
        known |= {f"{kind}.{one.id}": size for kind in ("tail", "joint_tail")}
    terms: dict[str, _Unfolded] = {}
    for count, level in ((sets, model.aggregate.set_terms), (1, model.aggregate.account_terms)):
        for name, x in level:
            terms[name] = _unfolded(x, _Numbers(known, terms, 2 * live, count))
    digits = max(x.bits + x.parts for x in terms.values())
    factor = max(1, digits // _SHORT) + (digits // _LONG) ** 2
    return _TERM * sum(x.work for x in terms.values()) * factor


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What names stand for.

    Attributes:
        sizes: coefficients of those that scenarios and joint moves make. other: of any other name, such as a charge.
        terms: those before. count: how many times an expression is computed.
    """

    sizes: Mapping[str, int]
    terms: Mapping[str, _Unfolded]
    other: int
    count: int


def _unfolded(x: Expression, numbers: _Numbers) -> _Unfolded:
    if x.op == "name":
        size = max(numbers.count, numbers.sizes.get(x.name, numbers.other))
        return numbers.terms.get(x.name) or _Unfolded(size, size, _NAMED, 0)
    if x.op == "number":
        bits, below = x.number.numerator.bit_length(), x.number.denominator.bit_length()
        decimal = 10**MAX_DIGITS % x.number.denominator == 0
        return _Unfolded(numbers.count, numbers.count, bits + below * decimal, below * (not decimal))
    arguments = [_unfolded(a, numbers) for a in x.arguments]
    size = min(_MOST, sum(a.size for a in arguments))
    bits = (sum if x.op == "mul" else max)(a.bits for a in arguments)
    return _Unfolded(
        size,
        min(_MOST, size + sum(a.work for a in arguments)),
        min(_MOST, bits),
        min(_MOST, sum(a.parts for a in arguments)),
    )
