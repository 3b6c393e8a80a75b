"""What each position contributes to the margin: Euler's shares, which add up to it, and marginal margin.

    share_i     = q_i dM/dq_i          sum over i = M, for M homogeneous of degree one (Euler; Tasche 1999)
    marginal_i  = M(q) - M(q without i)
    alone_i     = M(i alone);  sum over i of alone_i - M(q) is what netting saves

A margin is piecewise linear in the positions, so the derivative is that of the linear piece around q. Where pieces meet at q (two
scenarios lose the same, calls and puts of a strike net to nothing), one of them is taken, the same for every position: the
book is scaled by factors 1 + d_i that differ and are all below 10^-27, and the derivative is the exact difference quotient there,
with a step of 10^-60. Arithmetic is rational, so nothing is lost. That the shares add up is then checked; what a model adds that is
not homogeneous (a minimum charge, a rounding) shows as `rest`, and is zero for a model without.

Version 1 in closed form: share_i = factor (-q_i A[w, i] + |q_i| b_i), w the worst scenario, the first term where it loses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from riskproof.risk.margining.account import Account
from riskproof.risk.margining.aggregate import Aggregate, Expression
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.margining.incremental import AccountMargin
from riskproof.risk.margining.report import MarginReport
from riskproof.risk.whatif.book import BookMargin, Version1Book, Version2Book
from riskproof.units import RATIO_ONE

_SCALE: Final = 10**40  # perturbations are at most 2^40 / 10^40
_STEP: Final = Fraction(1, 10**60)
_TRIES: Final = 3
_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """A position's part; amounts exact, in the settlement currency.

    Attributes:
        index: registry index.
        initial, maintenance: Euler's shares; negative for what hedges the rest.
        marginal_initial, marginal_maintenance: how much the margin falls without the position.
        alone_initial: what the position would need by itself.
    """

    index: int
    initial: Fraction
    maintenance: Fraction
    marginal_initial: Fraction
    marginal_maintenance: Fraction
    alone_initial: Fraction


@dataclass(frozen=True, repr=False)
class Attribution:
    """Shares by ascending index. Secret data of the account: the repr shows no number.

    Attributes:
        rest_initial, rest_maintenance: margin less the sum of the shares: zero unless the model is not homogeneous.
        alone_initial: sum of what the positions need by themselves.
    """

    shares: tuple[Share, ...]
    rest_initial: Fraction
    rest_maintenance: Fraction
    alone_initial: Fraction

    def __repr__(self) -> str:
        return f"Attribution(<{len(self.shares)} positions>)"


def attribute(book: BookMargin) -> Attribution:
    """Attribute a book's margin to its positions; instruments are not priced again."""
    if isinstance(book, Version1Book):
        euler = _version1(book)
    elif isinstance(book, Version2Book):
        euler = _version2(book)
    else:
        raise AssertionError("a book of version 1 or 2")
    lots = dict(book.portfolio.positions)
    shares = []
    for index, _ in book.live:
        initial, maintenance = euler[index]
        without, alone = book.after({index: -lots[index]}, paid=True), book.alone(index)
        shares.append(
            Share(
                index,
                initial,
                maintenance,
                book.report.initial - without.initial,
                book.report.maintenance - without.maintenance,
                alone.initial,
            )
        )
    return Attribution(
        tuple(shares),
        book.report.initial - sum((x.initial for x in shares), _ZERO),
        book.report.maintenance - sum((x.maintenance for x in shares), _ZERO),
        sum((x.alone_initial for x in shares), _ZERO),
    )


def _version1(book: Version1Book) -> dict[int, tuple[Fraction, Fraction]]:
    model, report = book.model, book.report
    worst = report.sets[0].worst[0][1]
    loses = report.sets[0].pnl[worst] < 0
    factors = (Fraction(model.initial_factor, RATIO_ONE), Fraction(model.maintenance_factor, RATIO_ONE))
    result = {}
    for index, pnl in book.pnl_by_position().items():
        part = book.buffer(index) - (pnl[worst] if loses else 0)
        result[index] = factors[0] * part, factors[1] * part
    return result


def _version2(book: Version2Book) -> dict[int, tuple[Fraction, Fraction]]:
    account = book.account
    model = _without_rounding(account.model)
    exact = account.report if model is account.model else _evaluated(account, model, account.account).report
    shares: dict[int, tuple[Fraction, Fraction]] = {}
    for attempt in range(_TRIES):
        shares = _quotients(account, model, attempt)
        sums = [sum((x[k] for x in shares.values()), _ZERO) for k in range(2)]
        if sums == [exact.initial, exact.maintenance]:
            break
    return shares


def _quotients(account: AccountMargin, model: MarginModel, attempt: int) -> dict[int, tuple[Fraction, Fraction]]:
    """q_i dM/dq_i on the linear piece that a perturbed book lies in."""
    original = account.account
    positions = tuple(
        (place, q * (1 + Fraction(_generic(n + 1, attempt), _SCALE))) for n, (place, q) in enumerate(original.positions)
    )
    near = _evaluated(account, model, Account(positions, original.receivables, original.underlying))
    result = {}
    for place, q in original.positions:
        moved = near.after({place: q * _STEP})
        result[place] = _rise(near.report, moved)
    return result


def _rise(before: MarginReport, after: MarginReport) -> tuple[Fraction, Fraction]:
    return (after.initial - before.initial) / _STEP, (after.maintenance - before.maintenance) / _STEP


def _evaluated(account: AccountMargin, model: MarginModel, changed: Account) -> AccountMargin:
    return AccountMargin(model, account.market, changed, account.values.sibling(model))


def _generic(n: int, attempt: int) -> int:
    """Numbers below 2^40 without small linear relations: multiples of an odd constant modulo 2^40 (Knuth 6.4)."""
    return (n * n * 0x9E3779B97F + (n + attempt) * 0x7F4A7C15F3) % (1 << 40) + 1


def _without_rounding(model: MarginModel) -> MarginModel:
    """The model without the roundings of its aggregate; itself if it has none."""
    blocks = (model.aggregate.set_terms, model.aggregate.account_terms)
    plain = tuple(tuple((name, _plain(x)) for name, x in terms) for terms in blocks)
    return model if plain == blocks else replace(model, aggregate=Aggregate(*plain))


def _plain(x: Expression) -> Expression:
    if x.op == "round":
        return _plain(x.arguments[0])
    return replace(x, arguments=tuple(_plain(a) for a in x.arguments)) if x.arguments else x
