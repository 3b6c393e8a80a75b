"""Charges of models of version 2 as convex functions of the lots: `riskproof.risk.margining.charges`, with unknown positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from riskproof.errors import ProofError
from riskproof.market.registry import Kind, Payoff
from riskproof.proof.programme.convex import Affine, Maximum, Unknown, magnitude, maximum, total, weighted
from riskproof.proof.programme.listed import Listed
from riskproof.proof.programme.pledges import Pledges, haircuts
from riskproof.risk.margining.book import Exposure, Holding
from riskproof.risk.margining.charges import Charge
from riskproof.risk.margining.charges.basis import Basis
from riskproof.risk.margining.charges.closing import Fee, LiquidityTier
from riskproof.risk.margining.charges.context import Scoped, rate_of
from riskproof.risk.margining.charges.delta import Delta, Roll, StablecoinHedge, seconds_to
from riskproof.risk.margining.charges.rates import Confidence, Depeg, Haircut, Notional
from riskproof.risk.margining.charges.spreads import CalendarSpread
from riskproof.risk.margining.charges.standalone import Standalone
from riskproof.risk.margining.charges.standard import StandardOption
from riskproof.risk.margining.charges.terms import Rate, VegaTerm
from riskproof.risk.margining.exact import text
from riskproof.risk.margining.grid import ADVERSE, BASE, Scenario, State
from riskproof.risk.margining.market import terms
from riskproof.risk.margining.scope import Scope
from riskproof.units import INT64_MAX, SECONDS_PER_YEAR

_ZERO = Affine()
_RATE_DECIMALS = 18
_NET_DECIMALS = 24


@dataclass(frozen=True)
class Charges:
    """Charges of one netting set of one attestation, for initial or maintenance margin.

    `together` are the set's parts in all attestations, this one among them; `pledges` the set's assets, `pledged` what those of
    all sets count.
    """

    listed: Listed
    together: Sequence[Listed]
    margin: str
    note: Callable[[str], None]
    pledges: Pledges
    pledged: Affine

    def within(self, scope: Scope) -> Charges:
        """These charges on a part of the netting set."""
        parts = [replace(x, book=x.book.within(scope)) for x in self.together]
        mine = next(n for n, x in enumerate(self.together) if x is self.listed)
        return replace(self, listed=parts[mine], together=parts)

    def amount(self, name: str, charge: Charge) -> Affine:
        """A charge by its kind (ProofError for one that has no rows)."""
        if isinstance(charge, Scoped):
            return self.within(charge.scope).amount(name, charge.charge)
        if isinstance(charge, Notional):
            rate = rate_of(charge.rates, self.margin)
            return self._exposures(name, charge.exposure, lambda _: rate)
        if isinstance(charge, Confidence):
            return self._confidence(name, charge)
        if isinstance(charge, Depeg):
            gap = max(Fraction(0), charge.threshold - self.listed.part.market.settlement_price)
            rate = gap * rate_of(charge.rates, self.margin)
            return total(self._exposures(name, kind, lambda _: rate) for kind in charge.exposures)
        if isinstance(charge, Basis):
            return self._basis(name, charge)
        if isinstance(charge, StandardOption):
            return self._standard(name, charge)
        if isinstance(charge, Delta):
            return self._delta(name, charge)
        if isinstance(charge, Roll):
            return self._roll(name, charge)
        if isinstance(charge, Standalone):
            return self._standalone(name, charge)
        if isinstance(charge, VegaTerm):
            return self._vega_term(name, charge)
        if isinstance(charge, Rate):
            return self._rate(name, charge)
        if isinstance(charge, StablecoinHedge):
            return self._stablecoin_hedge(name, charge)
        if isinstance(charge, Fee):
            return self._fee(name, charge)
        if isinstance(charge, CalendarSpread):
            return self._calendar_spread(name, charge)
        return weighted(Unknown(f"charge {name}", _ZERO))

    # ---- exposures ---------------------------------------------------------------------------------------------------

    def _exposures(self, name: str, kind: str, rate: Callable[[Exposure], Fraction]) -> Affine:
        """Sum of rate times exposure."""
        return total(
            amount for e in self._listed(kind) if (r := rate(e)) for amount in self._exposure(name, kind, e.holdings, r)
        )

    def _listed(self, kind: str) -> Iterator[Exposure]:
        """Exposures of everything listed; their amounts mean nothing."""
        yield from self.listed.book.exposures(kind)

    def _exposure(self, name: str, kind: str, holdings: Sequence[Holding], rate: Fraction) -> Iterator[Affine]:
        x, market = self.listed, self.listed.part.market
        base = kind.removesuffix("_mark")
        if base in ("perpetual", "future"):
            for h in holdings:
                price = market.mark(h.listing) if kind != base else market.index(h.listing.underlying).price
                price = Fraction(1) if h.listing.payoff is Payoff.INVERSE else price
                yield self._size(f"{name} on {h.listing.name} of {x.label}", (h,), rate * price, gross=True)
        elif base == "option_naked_short":
            strikes: dict[Fraction, list[Holding]] = {}
            for h in holdings:
                strikes.setdefault(terms(h.listing)[0], []).append(h)
            for at_strike in strikes.values():
                first = at_strike[0].listing
                price = market.index(first.underlying).price
                what = f"{name} at the strike of {first.name} of {x.label}"
                yield self._size(what, at_strike, rate * price, gross=False)
        elif base in ("option", "option_short"):
            for h in holdings:
                price = market.index(h.listing.underlying).price
                yield self._size(f"{name} on {h.listing.name} of {x.label}", (h,), rate * price, gross=base == "option")
        else:
            for h in holdings:
                value = x.book.value(h) if kind == "collateral" else h.coins * market.index(h.listing.underlying).price
                yield x.lots(h, rate * value)

    def _size(self, name: str, holdings: Sequence[Holding], rate: Fraction, *, gross: bool) -> Affine:
        """rate |coins|, or rate times what is short of them together; the charge for a lot is rounded up where it must be."""
        x = self.listed
        net = x.sum(holdings, lambda h: h.listing.unit)
        largest = max(net.positions.values())
        unit = {i: c / largest for i, c in net.positions.items()}
        charge = _fitting(rate * largest)
        if any(c.denominator != 1 and (charge * c) != _fitting(charge * c) for c in unit.values()):
            raise ProofError(
                "units of a strike's options that do not divide each other",
                where=name,
                expected="one unit for a strike",
            )
        amount = Affine(positions={i: c * charge for i, c in unit.items()})
        return magnitude(name, amount) if gross else maximum(name, [_ZERO, -amount])

    def exposure_sizes(self, name: str, kind: str) -> dict[str, Affine]:
        """Exposures of a kind by the expiry or the instrument that they are of."""
        sizes = {}
        for e in self._listed(kind):
            first = e.holdings[0].listing
            of = f"{e.underlying} {first.expiry}" if first.kind is Kind.OPTION else first.name
            sizes[of] = total(self._exposure(name, kind, e.holdings, Fraction(1)))
        return sizes

    # ---- the kinds ---------------------------------------------------------------------------------------------------

    def _confidence(self, name: str, charge: Confidence) -> Affine:
        rate = rate_of(charge.rates, self.margin)

        def share(e: Exposure) -> Fraction:
            least = self._least_confidence(e, charge)
            if least >= charge.threshold:
                return Fraction(0)
            self.note(f"charge {name}: the least confidence among all that is listed counts, held or not")
            return rate * (1 - least)

        return self._exposures(name, charge.exposure, share) if rate else _ZERO

    def _least_confidence(self, e: Exposure, charge: Confidence) -> Fraction:
        """The least confidence that the exposure may have: over what may be held, of the expiry and of perpetuals at any venue.

        One that is not published is refused (SnapshotError), as by the engine. Only an account whose positions tell no
        underlying is left out where others are possible: the engine refuses it whatever is published.
        """
        markets, first = self._markets(e, charge), e.holdings[0].listing
        if "market" in charge.feeds and charge.missing is None:
            markets = tuple(market for market in markets if market is not None) or markets
        same = [(self.listed.book, e)]
        if first.kind is Kind.OPTION and first.expiry is not None:
            key = (e.underlying, first.expiry)
            books = (other.book for other in self.together if other is not self.listed)
            same += [(book, replace(e, holdings=book.options[key])) for book in books if key in book.options]
        found = [
            replace(book, underlying=market).confidence(exposure, charge.feeds, charge.missing)
            for book, exposure in same
            for market in markets
        ]
        if "perpetual" in charge.feeds:
            found += [other.book.confidence(e, ("perpetual",), charge.missing) for other in self.together]
        return min(found)

    def _markets(self, e: Exposure, charge: Confidence) -> tuple[str | None, ...]:
        """What the underlying of an account with this exposure may be."""
        markets = self.listed.markets
        if len(markets) == 1 or charge.exposure in ("spot", "collateral"):
            return markets
        return (e.underlying, None) if len(markets) > 2 else (e.underlying,)

    def _basis(self, name: str, charge: Basis) -> Affine:
        x = self.listed
        parts = []
        for (underlying, expiry), holdings in x.book.options.items():
            seconds = x.part.market.forward(holdings[0].listing).seconds
            now = x.options(holdings, BASE)
            lost = [now - x.options(holdings, move) for move in charge.moves]
            worst = maximum(f"{name} of {underlying} {expiry} of {x.label}", [_ZERO, *lost])
            parts.append(worst.times(charge.add + charge.per_year * Fraction(max(seconds, 0), SECONDS_PER_YEAR)))
        return total(parts)

    def _change(self, holdings: Sequence[Holding], vol: str) -> Affine:
        return self.listed.options(holdings, State(vol=vol)) - self.listed.options(holdings, BASE)

    def _deltas(self, name: str, holdings: Sequence[Holding]) -> Affine:
        """|sum of deltas| in coins.

        A delta c that no decimal says is rounded against the account, on either side: with p = max(0, q),
        c q <= low q + (high - low) p, and -c q <= -high q + (high - low) p.
        """
        x = self.listed
        net = x.sum(holdings, lambda h: x.values.delta(h.place))
        decimals = _NET_DECIMALS
        while decimals and any(abs(c) * 10**decimals > INT64_MAX for c in net.positions.values()):
            decimals -= 1
        step = Fraction(1, 10**decimals)
        low = {i: c // step * step for i, c in net.positions.items()}
        rough = [h for h in holdings if (i := x.part.places[h.place]) in low and low[i] != net.positions[i]]
        if not rough:
            return magnitude(f"net delta, {name}", net, fine=True)
        more = total(x.long(h).times(step) for h in rough)
        high = low | {i: low[i] + step for h in rough if (i := x.part.places[h.place]) in low}
        sides = (Affine(positions=low) + more, more - Affine(positions=high))
        return weighted(Maximum(f"net delta, {name}", sides, size=True, fine=True))

    def _gross(self, name: str, holdings: Iterable[Holding]) -> Affine:
        x, parts = self.listed, []
        for h in holdings:
            size = x.lots(h, _fitting(abs(x.values.delta(h.place)) * x.part.lot) / x.part.lot)
            parts.append(magnitude(f"delta of {h.listing.name} of {x.label}, {name}", size, fine=True))
        return total(parts)

    def _delta(self, name: str, charge: Delta) -> Affine:
        rate = rate_of(charge.rates, self.margin)
        return total(size.times(rate) for size in (self.delta_sizes(name, charge) if rate else {}).values())

    def delta_sizes(self, name: str, charge: Delta) -> dict[str, Affine]:
        """What a delta charge measures, in money, by underlying."""
        x, sizes = self.listed, {}
        by_underlying: dict[str, list[Holding]] = {}
        for h in chain(x.book.delta_one, *x.book.options.values()):
            by_underlying.setdefault(h.listing.underlying, []).append(h)
        for underlying, holdings in by_underlying.items():
            what = f"{name} of {underlying} of {x.label}"
            size = self._deltas(what, holdings) if charge.measure == "net" else self._gross(what, holdings)
            size = size.times(x.part.market.index(underlying).price)
            if charge.measure == "hedged":
                self.note(f"charge {name}: the smaller side is not convex: half of the gross delta counts")
                size = size.times(Fraction(1, 2))
            sizes[underlying] = size
        return sizes

    def _roll(self, name: str, charge: Roll) -> Affine:
        x, parts, rate = self.listed, [], rate_of(charge.rates, self.margin)
        for holdings in (*((h,) for h in x.book.delta_one), *x.book.options.values()) if rate else ():
            first = holdings[0]
            years = Fraction(seconds_to(x.book, first), SECONDS_PER_YEAR)
            price = x.part.market.index(first.listing.underlying).price
            size = self._deltas(f"{name} of the line of {first.listing.name} of {x.label}", holdings)
            parts.append(size.times(price * max(rate, charge.per_year * years)))
        return total(parts)

    def _stablecoin_hedge(self, name: str, charge: StablecoinHedge) -> Affine:
        """At most half of the |delta| in every currency: the smaller side is at most half of both."""
        x, parts, rate = self.listed, [], rate_of(charge.rates, self.margin)
        currencies: dict[str, set[str | None]] = {}
        for other in self.together:
            for h in chain(other.book.delta_one, *other.book.options.values()):
                currencies.setdefault(h.listing.underlying, set()).add(h.listing.settlement)
        groups: dict[tuple[str, str | None], list[Holding]] = {}
        for h in chain(x.book.delta_one, *x.book.options.values()):
            if rate and len(currencies[h.listing.underlying]) > 1:
                groups.setdefault((h.listing.underlying, h.listing.settlement), []).append(h)
        for (underlying, currency), holdings in groups.items():
            self.note(f"charge {name}: the smaller side is not convex: half of the delta in every currency counts")
            what = f"{name} of {underlying} in {currency or x.part.market.settlement} of {x.label}"
            parts.append(self._deltas(what, holdings).times(x.part.market.index(underlying).price * rate / 2))
        return total(parts)

    def _fee(self, name: str, charge: Fee) -> Affine:
        x, parts = self.listed, []
        for h in chain(x.book.delta_one, x.book.spot, *x.book.options.values()):
            cost = charge.of_unit(h, x.values, self.margin)
            if h.listing.kind is Kind.SPOT:
                parts.append(x.lots(h, cost))  # which is held, not owed
            elif cost:
                size = x.lots(h, _fitting(cost * x.part.lot) / x.part.lot)
                parts.append(magnitude(f"{name} on {h.listing.name} of {x.label}", size))
        return total(parts)

    def _calendar_spread(self, name: str, charge: CalendarSpread) -> Affine:
        """At most half of each line's |delta| at the highest of the rates at which it could be paired with another line.

        A coin is paired once, and every pair takes one coin on each side: rate x <= rate_near x / 2 + rate_far x / 2.
        """
        x, parts = self.listed, []
        everywhere = {key for other in self.together for key in _lines(other)}
        rates = {u: self._pair_rates(charge, {t for v, t in everywhere if v == u}) for u, _ in everywhere}
        for (underlying, seconds), holdings in _lines(x).items():
            rate = rates[underlying].get(seconds)
            if rate:
                self.note(f"charge {name}: what is paired is not convex: half of the delta of every line counts")
                size = self._deltas(f"{name} of the line of {holdings[0].listing.name} of {x.label}", holdings)
                parts.append(size.times(x.part.market.index(underlying).price * rate / 2))
        return total(parts)

    def _pair_rates(self, charge: CalendarSpread, lines: Set[int]) -> dict[int, Fraction]:
        """The highest rate at which each of an underlying's lines, in seconds to expiry, could be paired with another."""
        rates: dict[int, Fraction] = {}
        for pair in charge.pairs:
            rate = rate_of(pair.rates, self.margin)
            near, far = ({t for t in lines if t in days.seconds} for days in (pair.near, pair.far))
            for mine, other in ((near, far), (far, near)):
                for t in mine if other else ():
                    if other != {t}:
                        rates[t] = max(rate, rates.get(t, rate))
        return rates

    def _standalone(self, name: str, charge: Standalone) -> Affine:
        x, parts, rate = self.listed, [], rate_of(charge.rates, self.margin)
        scenarios = [x.values.model.scenarios[s] for s in x.values.model.groups[charge.group]]
        if any(s.dampener for s in scenarios):
            self.note(f"charge {name}: scenarios count without their dampeners")
        for holdings in (x.book.moving, *x.book.options.values()):
            for h in holdings:
                sides = []
                for sign in (1, -1):
                    needed = max(Fraction(0), rate * self._largest(h, sign, charge.group, scenarios))
                    if charge.locked and h.listing.kind is Kind.OPTION:
                        needed = max(needed, Fraction(sign * x.values.option(h.place, BASE)))
                    lot = needed * x.part.lot / 10**x.part.market.money_exponent
                    sides.append(x.lots(h, sign * _fitting(lot) / x.part.lot))
                parts.append(maximum(f"{name} of {h.listing.name} of {x.label}", [_ZERO, *sides]))
        return total(parts)

    def _largest(self, h: Holding, sign: int, group: str, scenarios: Sequence[Scenario]) -> Fraction | int:
        """The largest loss of one unit, long or short, alone in the scenarios of a group, in 10^-m."""
        known, key = self.listed.losses, (group, h.place, sign)
        if key not in known:
            known[key] = max((self._alone(h, sign, s) for s in scenarios), default=0)
        return known[key]

    def _alone(self, h: Holding, sign: int, scenario: Scenario) -> Fraction | int:
        """Loss of one unit, long or short, alone in a scenario, in 10^-m; before the dampener."""
        values = self.listed.values
        if h.listing.kind is not Kind.OPTION:
            return -scenario.weight * sign * values.move(h.place, scenario.price, scenario.on)
        shocked = sign * values.option(h.place, scenario.state)
        factor = values.static_factors(h.place)[shocked < 0]
        counted: Fraction | int = shocked if factor == 1 else shocked * factor
        lost: Fraction | int = sign * values.option(h.place, BASE) - counted
        if scenario.expiry_pnl == ADVERSE and lost < 0:
            lost = -lost
        return lost if scenario.weight == 1 else lost * scenario.weight

    def _vega_term(self, name: str, charge: VegaTerm) -> Affine:
        x, rate = self.listed, rate_of(charge.rates, self.margin)
        if not rate or sum(len(other.book.options) for other in self.together) < 2:
            return _ZERO
        self.note(f"charge {name}: the smaller of gains and losses is not convex: half of their sum counts")
        return total(
            magnitude(f"{name} of {underlying} {expiry} of {x.label}", self._change(holdings, charge.vol))
            for (underlying, expiry), holdings in x.book.options.items()
        ).times(rate / 2)

    def _rate(self, name: str, charge: Rate) -> Affine:
        x = self.listed
        moments = total(
            x.options(holdings, BASE).times(Fraction(seconds_to(x.book, holdings[0])))
            for holdings in x.book.options.values()
        )
        size = magnitude(f"{name} of {x.label}", moments)
        return size.times(rate_of(charge.rates, self.margin) / SECONDS_PER_YEAR)

    def _standard(self, name: str, charge: StandardOption) -> Affine:
        """Isolated margin: what `standard_option` asks at most."""
        x = self.listed
        parts = []
        for holdings in x.book.options.values():
            for h in holdings:
                spot = x.part.market.index(h.listing.underlying).price
                short = Holding(h.place, h.listing, Fraction(-1))
                lost = -charge.isolated(short, spot, x.values, self.margin)
                if lost > 0:
                    amount = x.lots(h, _fitting(lost * x.part.lot) / x.part.lot)
                    parts.append(maximum(f"{name} on {h.listing.name} of {x.label}", [_ZERO, -amount]))
        if parts:
            self.note(
                f"charge {name}: the better of isolated margin and largest loss is not convex: isolated margin counts"
            )
        return total(parts)


def _lines(listed: Listed) -> dict[tuple[str, int], list[Holding]]:
    """Derivatives by underlying and seconds to expiry."""
    lines: dict[tuple[str, int], list[Holding]] = {}
    for h in chain(listed.book.delta_one, *listed.book.options.values()):
        lines.setdefault((h.listing.underlying, seconds_to(listed.book, h)), []).append(h)
    return lines


def amount_of(made: Sequence[Charges], name: str, charge: Charge) -> Affine:
    """A charge of a netting set, of all attestations together."""
    if isinstance(charge, Scoped):
        return amount_of([c.within(charge.scope) for c in made], name, charge.charge)
    if isinstance(charge, LiquidityTier):
        return _tiers(made, name, charge)
    if isinstance(charge, Haircut):
        first = made[0]
        return haircuts(name, [c.listed for c in made], first.pledges, first.pledged, first.margin)
    if not isinstance(charge, Delta) or not charge.beyond:
        return total(c.amount(name, charge) for c in made)
    rate, parts = rate_of(charge.rates, made[0].margin), dict[str, list[Affine]]()
    for c in made if rate else ():
        for underlying, size in c.delta_sizes(name, charge).items():
            parts.setdefault(underlying, []).append(size)
    return total(
        maximum(f"{name} of {underlying}, beyond", [_ZERO, total(sizes) + Affine(-charge.beyond)]).times(rate)
        for underlying, sizes in parts.items()
    )


def _tiers(made: Sequence[Charges], name: str, charge: LiquidityTier) -> Affine:
    """What is beyond each tier, of an exposure of all attestations together: a tier begins once."""
    exposures: dict[str, list[Affine]] = {}
    for c in made:
        for of, size in c.exposure_sizes(name, charge.exposure).items():
            exposures.setdefault(of, []).append(size)
    parts = []
    for of, sizes in exposures.items():
        for tier in charge.tiers:
            beyond = total(sizes) + Affine(-tier.beyond)
            what = f"{name} of {of}, beyond {text(tier.beyond)}"
            excess = beyond if not tier.beyond else maximum(what, [_ZERO, beyond])
            parts.append(excess.times(rate_of(tier.rates, made[0].margin)))
    return total(parts)


def _fitting(rate: Fraction) -> Fraction:
    """A charge for a lot, rounded up to at most 18 decimals and 63 bits; unchanged where that is exact."""
    for decimals in range(_RATE_DECIMALS, -1, -1):
        scaled = rate * 10**decimals
        whole = -((-scaled.numerator) // scaled.denominator)
        if whole <= INT64_MAX:
            return Fraction(whole, 10**decimals)
    raise ProofError("a charge that does not fit 64 bits", where="model.charges", expected="a smaller unit or rate")
