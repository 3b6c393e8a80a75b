"""Two attacks on a hidden book by asking for proofs, and what the leakage policy leaves of them.

Bisection: the verifier asks for a proof of one bound after the other and finds the loss. Lattice reduction: a loss known to the
micro is an exact equation in the lots; with enough equations for as many bits as the book has, the book is the shortest vector of
a lattice. Each attack is run without the policy, where it succeeds, and with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import pytest

from riskproof import units
from riskproof.attest.payload import Disclosed, Policy
from riskproof.errors import LeakBudgetError, ProofError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind, OptionType, Registry
from riskproof.market.sample import sample_book, sample_market
from riskproof.market.snapshot import Snapshot
from riskproof.proof.grid import COARSE
from riskproof.proof.leakage import (
    DEFAULT_LIMIT,
    NEW_MODEL_POINTS,
    AttestedBook,
    Record,
    admit,
    answer_events,
    check_bound,
)
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margin import exact_pnl
from riskproof.risk.model import RiskModel, Scenario, load_model

flint = pytest.importorskip("flint")

NOW = 1_768_382_600
OWN = load_model("crypto-pm")
PERCENT = units.RATIO_ONE // 100


def one_scenario(price: int, volatility: int = 0, seconds: int = 0) -> RiskModel:
    """The verifier's own model of a single scenario. Shocks: 1e-12."""
    return replace(OWN, name="aimed", scenarios=(Scenario("s", price, volatility, seconds),))


@cache
def market() -> Market:
    return sample_market()


@cache
def shelf() -> tuple[int, ...]:
    """Every option of the market that is out of the money: what there is to hold, and no two positions are worth the same."""
    curve, found = market().snapshot.curve, []
    for index, (i, quote) in enumerate(zip(market().registry.instruments, market().snapshot.quotes, strict=True)):
        if i.kind is Kind.OPTION and quote is not None:
            assert i.strike is not None
            assert i.expiry is not None
            if (i.strike >= curve[i.underlying, i.expiry].forward) == (i.option_type is OptionType.CALL):
                found.append(index)
    return tuple(found)


def random_book(count: int, seed: int, stock: Sequence[int] | None = None) -> Portfolio:
    """`count` positions of up to 3,000 lots, long and short."""
    rng = random.Random(seed)
    held = rng.sample(stock or shelf(), count)
    return Portfolio.build((i, rng.choice((-1, 1)) * rng.randrange(1, 3_000)) for i in held)


class Holder:
    """Answers challenges about one book at one snapshot as `riskproof prove` does: a proof if the net loss is at most the bound.

    policy: whether the coarse grid and the leak budget are kept. asked: (risk array, bound in micros, answer) of every answer.
    """

    def __init__(self, held: Portfolio, on: Market, *, policy: bool) -> None:
        self.held, self.market, self.policy = held, on, policy
        self.asked: list[tuple[RiskArray, int, bool]] = []
        self.spent = 0
        self._records: list[Record] = []
        self._arrays: dict[bytes, RiskArray] = {}

    def array(self, model: RiskModel) -> RiskArray:
        """Public: anyone computes it."""
        if model.digest not in self._arrays:
            self._arrays[model.digest] = compute_array(self.market, model)
        return self._arrays[model.digest]

    def proves(self, model: RiskModel, bound: int, *, allow_tight: bool = False) -> bool:
        if self.policy:
            check_bound(bound, allow_tight)
            self._charge(model, bound)
        array = self.array(model)
        answer = answer_of(array, self.held, bound)
        self.asked.append((array, bound, answer))
        return answer

    def _charge(self, model: RiskModel, bound: int) -> None:
        book = AttestedBook(
            "venue",
            "account",
            self.held.positions,
            self.market.registry.digest,
            self.market.snapshot.digest,
            OWN.digest,
            Disclosed(Policy.NONE),
        )
        events = answer_events(
            [book],
            audience="lender",
            statement="loss",
            bound_micros=bound,
            slack_bits=64,
            usual_slack_bits=64,
            model_digest=model.digest,
        )
        fresh = admit(self._records, events, now=NOW)
        self._records += [Record(event, NOW) for event in fresh]
        self.spent += sum(event.points for event in fresh)


def answer_of(array: RiskArray, held: Portfolio, bound: int) -> bool:
    """Whether every slack of the statement, bound + P&L, is not negative (docs/protocol.md, 2.3)."""
    return worst_slack(array, held, bound) >= 0


def worst_slack(array: RiskArray, held: Portfolio, bound: int) -> int:
    return bound * micro(array) + min(exact_pnl(array.rows, held.positions))


def micro(array: RiskArray) -> int:
    """A micro in the units of the rows."""
    return int(10 ** (array.pnl_exponent - units.MICROS_EXPONENT))


def loss_micros(array: RiskArray, held: Portfolio) -> int:
    """The least bound that can be proved, in micros."""
    return units.ceil_div(max(0, -min(exact_pnl(array.rows, held.positions))), micro(array))


def first_true(ask: Callable[[int], bool], low: int, high: int) -> int:
    """The least number in (low, high] for which a monotonous question is answered yes, given that `high` is."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if ask(middle) else (middle, high)
    return high


# ---- bisection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["market-maker-a", "directional"])
def test_without_the_policy_bisection_finds_a_loss_to_the_micro(name: str) -> None:
    holder = Holder(sample_book(name, market()), market(), policy=False)
    found = first_true(lambda bound: holder.proves(OWN, bound), -1, 2**63 - 1)
    assert found == loss_micros(holder.array(OWN), holder.held) > 10**12
    assert len(holder.asked) == 63


def coarse_bounds() -> list[int]:
    bounds, point = [], 0
    while point <= units.INT64_MAX:
        bounds.append(point)
        point += COARSE.step_at(point)
    return bounds


@pytest.mark.parametrize("name", ["market-maker-a", "directional"])
def test_with_the_policy_bounds_leave_a_hundredth_of_the_loss(name: str) -> None:
    holder = Holder(sample_book(name, market()), market(), policy=True)
    bounds = coarse_bounds()
    at = first_true(lambda n: holder.proves(OWN, bounds[n]), -1, len(bounds) - 1)
    loss = loss_micros(holder.array(OWN), holder.held)
    assert bounds[at - 1] < loss <= bounds[at]
    assert bounds[at] - bounds[at - 1] == COARSE.step_at(bounds[at - 1]) > loss // 100
    assert holder.spent == len(holder.asked) <= 11
    # Between two neighbours of the grid there is nothing left to ask.
    for bound in (loss, loss - 1, (bounds[at - 1] + bounds[at]) // 2 + 1):
        with pytest.raises(ProofError, match="more than two significant digits"):
            holder.proves(OWN, bound)
    assert holder.spent <= 11


def test_with_the_policy_a_holder_who_allows_tight_bounds_answers_one() -> None:
    holder = Holder(sample_book("directional", market()), market(), policy=True)
    loss = loss_micros(holder.array(OWN), holder.held)
    assert holder.proves(OWN, loss + 123_457, allow_tight=True)
    with pytest.raises(LeakBudgetError, match="costs 63 of 64 points and 1 are left"):
        holder.proves(OWN, loss + 123_456, allow_tight=True)
    assert not holder.proves(OWN, COARSE.down(loss, ""))
    with pytest.raises(LeakBudgetError, match="costs 1 of 64 points and 0 are left"):
        holder.proves(OWN, COARSE.up(loss, ""))


# ---- bisection of a shock: what the grid does not stop ---------------------------------------------------------------


def bisect_shock(holder: Holder, bound: int, calm: int, harsh: int) -> tuple[int, int]:
    """The shock at which the loss passes a coarse bound: (proved, refused), next to each other unless the answers end before."""
    proved, refused = calm, harsh
    while refused - proved not in (1, -1):
        middle = (proved + refused) // 2
        try:
            proves = holder.proves(one_scenario(middle), bound)
        except LeakBudgetError:
            break
        proved, refused = (middle, refused) if proves else (proved, middle)
    return proved, refused


def shock_attack(policy: bool) -> tuple[Holder, int, int, int]:
    """(holder, shocks left, distance between the losses at both ends in micros, the bound) for a long book."""
    small = submarket([market().registry.index_of(name, "") for name in ("BTC-PERPETUAL", "ETH-PERPETUAL", "ETH")])
    lots = [("BTC-PERPETUAL", 25 * 10**7), ("ETH-PERPETUAL", 9 * 10**8), ("ETH", 900_000)]
    held = Portfolio.build((small.registry.index_of(name, ""), q) for name, q in lots)
    holder, bound = Holder(held, small, policy=policy), 10**12
    proved, refused = bisect_shock(holder, bound, 0, -90 * PERCENT)
    ends = [loss_micros(holder.array(one_scenario(shock)), held) for shock in (proved, refused)]
    assert ends[0] <= bound < ends[1]
    return holder, proved - refused, ends[1] - ends[0], bound


def test_coarse_bounds_without_a_budget_let_a_shock_be_bisected() -> None:
    holder, shocks, micros, _ = shock_attack(policy=False)
    assert (shocks, len(holder.asked)) == (1, 40)
    assert micros < 1_000  # a loss of 1,000,000 is known to a tenth of a cent: an equation in the lots


def test_the_budget_stops_it_after_16_answers() -> None:
    holder, shocks, micros, bound = shock_attack(policy=True)
    assert len(holder.asked) == DEFAULT_LIMIT // (1 + NEW_MODEL_POINTS) == 16
    assert holder.spent == DEFAULT_LIMIT
    assert shocks >= 90 * PERCENT >> 16
    assert micros > bound // 50_000


def submarket(indices: Iterable[int]) -> Market:
    """The market of some instruments only, which computes faster."""
    full = market()
    kept = sorted(indices)
    registry = Registry(full.registry.numeraire, tuple(full.registry.instruments[i] for i in kept))
    quotes = {full.registry.instruments[i].name: full.snapshot.quotes[i] for i in kept}
    wanted = {(i.underlying, i.expiry) for i in registry.instruments}
    snapshot = Snapshot.build(
        registry,
        full.snapshot.time,
        "sample",
        dict(full.snapshot.indices),
        [c for c in full.snapshot.curves if (c.underlying, c.expiry) in wanted],
        {name: quote for name, quote in quotes.items() if quote is not None},
    )
    return Market(registry, snapshot)


# ---- lattice reduction -----------------------------------------------------------------------------------------------


def reduced(rows: list[list[int]]) -> list[list[int]]:
    """The LLL-reduced basis of the lattice that `rows` span."""
    basis = flint.fmpz_mat(rows).lll()
    return [[int(basis[i, j]) for j in range(basis.ncols())] for i in range(basis.nrows())]


def lattice_attack(held: Sequence[int], equations: Sequence[tuple[Sequence[int], int]]) -> Portfolio | None:
    """The book of short lots with sum_i q_i a_i = b, nearly, for each (a, b): Kannan's embedding, then LLL.

    held: candidate instruments. Scaled so that an error in b is about the size of the lots.
    """
    n, size = len(held), 2_000
    rows = [[int(i == j) for j in range(n)] + [a[i] for a, _ in equations] + [0] for i in range(n)]
    rows.append([0] * n + [-b for _, b in equations] + [size])
    for row in reduced(rows):
        if abs(row[-1]) == size:
            sign = row[-1] // size
            return Portfolio.build((i, sign * q) for i, q in zip(held, row, strict=False))
    return None


def aimed_models(count: int, seed: int) -> Iterator[RiskModel]:
    rng = random.Random(seed)
    for _ in range(count):
        yield one_scenario(
            rng.randrange(-50 * PERCENT, 50 * PERCENT),
            rng.randrange(-30 * PERCENT, 45 * PERCENT),
            rng.randrange(5 * units.SECONDS_PER_DAY),
        )


def coefficients(array: RiskArray, held: Sequence[int]) -> list[int]:
    """Of the first scenario."""
    return [int(array.rows[i, 0]) for i in held]


def tight_equations(holder: Holder, held: Sequence[int], count: int) -> list[tuple[list[int], int]]:
    """Losses found by bisection under models of the verifier's, as equations: to half a micro."""
    found: list[tuple[list[int], int]] = []
    for model in aimed_models(30 * count, 11):
        if holder.proves(model, 0):
            continue  # a gain, of which a bound of at least nothing tells nothing
        loss = first_true(lambda bound, m=model: holder.proves(m, bound), 0, 10**15)  # type: ignore[misc]
        array = holder.array(model)
        found.append((coefficients(array, held), -loss * micro(array) + micro(array) // 2))
        if len(found) == count:
            return found
    raise AssertionError("too few losses")


@pytest.mark.parametrize(("positions", "bounds"), [(20, 10), (40, 26), (60, 40)])
def test_without_the_policy_a_few_dozen_tight_bounds_give_the_book_away(positions: int, bounds: int) -> None:
    # The verifier has a list of candidates that holds the book, and nothing else.
    book = random_book(positions, seed=positions)
    holder = Holder(book, market(), policy=False)
    held = [i for i, _ in book.positions]
    equations = tight_equations(holder, held, bounds)
    assert max(abs(a) for row, _ in equations for a in row) > 2**30
    assert lattice_attack(held, equations) == book


def test_coarse_bounds_without_a_budget_give_the_book_away_as_well() -> None:
    small = submarket(random.Random(3).sample(shelf(), 12))
    book = random_book(12, 5, range(12))
    holder = Holder(book, small, policy=False)
    assert recovered_by_shocks(holder, equations=12) == book
    assert all(COARSE.contains(bound) for _, bound, _ in holder.asked)


def recovered_by_shocks(holder: Holder, equations: int) -> Portfolio | None:
    """The book found from shocks at which a loss passes coarse bounds, as far as the answers go."""
    rng, held, found = random.Random(8), list(range(len(holder.market.registry))), list[tuple[list[int], int]]()
    try:
        while len(found) < equations:
            volatility, seconds = rng.randrange(-30 * PERCENT, 45 * PERCENT), rng.randrange(2 * units.SECONDS_PER_DAY)
            calm, harsh = rng.choice((-1, 1)) * rng.randrange(5 * PERCENT), rng.choice((-1, 1)) * 60 * PERCENT
            bound = rng.randrange(10, 100) * 10**9
            ends = [holder.proves(one_scenario(price, volatility, seconds), bound) for price in (calm, harsh)]
            if ends == [True, False]:
                found += crossing(holder, held, bound, calm, harsh, volatility, seconds)
    except LeakBudgetError:
        pass
    return lattice_attack(held, found)


def crossing(
    holder: Holder, held: Sequence[int], bound: int, calm: int, harsh: int, volatility: int, seconds: int
) -> Iterator[tuple[list[int], int]]:
    """Bisect the price shock between a proved and a refused one; the equation in the middle of what is left at the end."""
    try:
        while abs(harsh - calm) > 1:
            middle = (calm + harsh) // 2
            if holder.proves(one_scenario(middle, volatility, seconds), bound):
                calm = middle
            else:
                harsh = middle
    except LeakBudgetError:
        pass
    array = holder.array(one_scenario((calm + harsh) // 2, volatility, seconds))
    yield coefficients(array, held), -bound * micro(array)


def test_with_the_budget_the_same_attack_fails() -> None:
    small = submarket(random.Random(3).sample(shelf(), 12))
    book = random_book(12, 5, range(12))
    holder = Holder(book, small, policy=True)
    found = recovered_by_shocks(holder, equations=12)
    assert holder.spent == DEFAULT_LIMIT
    assert found is not None
    truth = dict(book.positions)
    assert sum(truth[i] == lots for i, lots in found.positions) < 2  # not even single positions


# ---- what the budget leaves: books nobody can tell apart -------------------------------------------------------------


def aim(holder: Holder) -> tuple[int, int]:
    """(bound, shock) of a loss that the bound halves: more than a verifier knows when it begins."""
    losses = {s: loss_micros(holder.array(one_scenario(s)), holder.held) for s in (-90 * PERCENT, 90 * PERCENT)}
    harsh = max(losses, key=lambda shock: losses[shock])
    return COARSE.down(losses[harsh] // 2, "bound"), harsh


def ask_bounds_then_shocks(holder: Holder) -> None:
    """Spend a whole budget on the loss under the venue's model, and then on one aimed equation."""
    bounds = coarse_bounds()
    first_true(lambda n: holder.proves(OWN, bounds[n]), -1, len(bounds) - 1)
    bound, harsh = aim(holder)
    bisect_shock(holder, bound, 0, harsh)


def ask_shocks(holder: Holder) -> None:
    """Spend a whole budget on one aimed equation."""
    bound, harsh = aim(holder)
    bisect_shock(holder, bound, 0, harsh)


def ask_many_models(holder: Holder) -> None:
    """Spend a whole budget on one answer under each of many models."""
    for n, model in enumerate(aimed_models(DEFAULT_LIMIT // (1 + NEW_MODEL_POINTS), 21)):
        holder.proves(model, (10 + n) * 10**8)


def short_changes(holder: Holder) -> list[list[int]]:
    """A basis of all changes of the lots, of changes by few lots that move no answer's slack by much: the attack turned round."""
    held = [i for i, _ in holder.held.positions]
    rows = [[int(i == j) for j in range(len(held))] for i in range(len(held))]
    for array, bound, _ in holder.asked:
        pnl = exact_pnl(array.rows, holder.held.positions)
        worst = pnl.index(min(pnl))
        slack = abs(bound * micro(array) + pnl[worst]) + 1
        for row, index in zip(rows, held, strict=True):
            row.append(int(array.rows[index, worst]) * 1_000 // slack)
    return [row[: len(held)] for row in reduced(rows)]


def times_unnoticed(holder: Holder, change: Sequence[int]) -> int:
    """The greatest power of two, or 0, by which lots may change by `change` so that every answer stays as it was."""
    moved = Portfolio.build((i, d) for (i, _), d in zip(holder.held.positions, change, strict=True))
    answers = [
        (
            exact_pnl(array.rows, holder.held.positions),
            exact_pnl(array.rows, moved.positions),
            bound * micro(array),
            answer,
        )
        for array, bound, answer in holder.asked
    ]

    def unnoticed(times: int) -> bool:
        return all(
            (m + min(p + times * d for p, d in zip(pnl, delta, strict=True)) >= 0) == a for pnl, delta, m, a in answers
        )

    times = 1
    while times < 2**20 and unnoticed(times):
        times *= 2
    return times // 2


@pytest.mark.parametrize("ask", [ask_bounds_then_shocks, ask_shocks, ask_many_models])
@pytest.mark.parametrize("positions", [20, 60])
def test_with_the_policy_no_position_is_known_to_a_tenth(positions: int, ask: Callable[[Holder], None]) -> None:
    holder = Holder(random_book(positions, 9 * positions), market(), policy=True)
    ask(holder)
    assert DEFAULT_LIMIT - 1 - NEW_MODEL_POINTS <= holder.spent <= DEFAULT_LIMIT
    assert {answer for _, _, answer in holder.asked} == {True, False}
    widest = [0.0] * positions
    for change in short_changes(holder):
        times = times_unnoticed(holder, change)
        lots = [q for _, q in holder.held.positions]
        widest = [max(w, abs(times * d / q)) for w, d, q in zip(widest, change, lots, strict=True)]
    # For every position there is a book with the same answers in which it is another by more than this share.
    assert min(widest) > 0.1
    assert sorted(widest)[positions // 2] > 1


def test_without_the_policy_no_other_book_is_left() -> None:
    holder = Holder(random_book(20, 20), market(), policy=False)
    tight_equations(holder, [i for i, _ in holder.held.positions], 10)
    assert [times_unnoticed(holder, change) for change in short_changes(holder)] == [0] * 20
