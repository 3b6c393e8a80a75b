"""What-if, attribution, comparison and reverse stress, against full evaluations of every model that ships."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from riskproof.errors import ModelError, PortfolioError, UnknownInstrumentError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Kind
from riskproof.market.sample import sample_market
from riskproof.risk import margining
from riskproof.risk.whatif import (
    Direction,
    alone_total,
    attribute,
    binding,
    compare,
    directions_of,
    open_book,
    reverse_stress,
    worst_moves,
)
from riskproof.risk.whatif.book import traded
from riskproof.units import RATIO_ONE

MODELS = margining.names()
ZERO = Fraction(0)


@pytest.fixture(scope="module")
def market() -> Market:
    return sample_market(3)


def names_of(market: Market, kind: Kind, underlying: str = "BTC") -> list[int]:
    rows = enumerate(zip(market.registry.instruments, market.snapshot.quotes, strict=True))
    return [i for i, (x, q) in rows if x.kind is kind and x.underlying == underlying and q is not None]


def book_of(market: Market, seed: int, legs: int = 9) -> Portfolio:
    """Options of three expiries, a perpetual, and cash."""
    r = random.Random(seed)
    options = names_of(market, Kind.OPTION)
    expiries = sorted({market.registry.instruments[i].expiry or 0 for i in options})[:3]
    near = [i for i in options if market.registry.instruments[i].expiry in expiries]
    positions = {i: r.choice([-1, 1]) * r.randint(1, 9_000) for i in r.sample(near, legs)}
    positions[names_of(market, Kind.PERPETUAL)[0]] = r.randint(-900_000, 900_000)
    positions[market.registry.index_of(market.registry.numeraire)] = 3_000_000_000
    return Portfolio.build(positions.items())


@pytest.mark.parametrize("name", MODELS)
def test_after_trades_is_the_margin_of_the_traded_book(name: str, market: Market) -> None:
    model, portfolio = margining.load(name), book_of(market, 5)
    book = open_book(model, market, portfolio)
    assert book.report == margining.margin(model, market, portfolio)
    r = random.Random(8)
    held = [i for i, _ in portfolio.positions]
    choices = names_of(market, Kind.OPTION)[:60] + names_of(market, Kind.PERPETUAL) + held
    for _ in range(6):
        trades = {i: r.choice([-1, 1]) * r.randint(1, 5_000) for i in r.sample(choices, 2)}
        trades[held[0]] = -dict(portfolio.positions)[held[0]]  # a position closed
        expected = margining.margin(model, market, traded(portfolio, trades))
        assert book.after(trades, paid=False) == expected
        paid = book.after(trades)
        assert (paid.initial, paid.charges) == (expected.initial, expected.charges)
        assert paid.values["options"] == expected.values["options"]


@pytest.mark.parametrize("name", MODELS)
def test_a_trade_at_the_snapshot_leaves_the_equity(name: str, market: Market) -> None:
    book = open_book(margining.load(name), market, book_of(market, 5))
    option, perpetual = names_of(market, Kind.OPTION)[7], names_of(market, Kind.PERPETUAL)[0]
    free = book.after({option: 2_000}, paid=False)
    after = book.after({option: 2_000, perpetual: 500})
    assert after.equity == book.report.equity
    assert after.excess_initial - book.report.excess_initial == book.report.initial - after.initial
    assert free.equity > after.equity  # the option was worth something


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [5, 6])
def test_euler_shares_add_up_exactly(name: str, seed: int, market: Market) -> None:
    book = open_book(margining.load(name), market, book_of(market, seed))
    found = attribute(book)
    for margin in ("initial", "maintenance"):
        total = sum((getattr(x, margin) for x in found.shares), ZERO)
        assert total + getattr(found, f"rest_{margin}") == getattr(book.report, margin)
        # A rounding or a constant in a model is all that may be left over.
        assert abs(getattr(found, f"rest_{margin}")) < Fraction(1, 10**8)


def test_shares_at_a_kink_add_up(market: Market) -> None:
    """Calls and puts of a strike that net to nothing: the naked short has no derivative there."""
    options = names_of(market, Kind.OPTION)
    first = market.registry.instruments[options[0]]
    pair = [
        i
        for i in options
        if (market.registry.instruments[i].strike, market.registry.instruments[i].expiry)
        == (first.strike, first.expiry)
    ]
    portfolio = Portfolio.build([(pair[0], 3_000), (pair[1], -3_000)])
    book = open_book(margining.load("derive-pm2"), market, portfolio)
    found = attribute(book)
    assert book.report.initial > 0
    assert (found.rest_initial, found.rest_maintenance) == (0, 0)


def test_shares_are_directional_derivatives_where_there_is_no_kink(market: Market) -> None:
    portfolio = book_of(market, 6)
    book = open_book(margining.load("crypto-pm"), market, portfolio)
    shares = {x.index: x for x in attribute(book).shares}
    for index, lots in portfolio.positions:
        step = max(1, abs(lots) // 1_000) * (1 if lots > 0 else -1)
        rise = book.after({index: step}).initial - book.report.initial
        assert rise == shares[index].initial * Fraction(step, lots)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "crypto-pm"])
def test_nothing_is_priced_again(name: str, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares, marginal margins, positions alone, and the worst joint moves come from the values that the book was opened with."""
    book = open_book(margining.load(name), market, book_of(market, 5))

    def priced(options: list[object], *_: object) -> list[list[int]]:
        assert not options
        return []

    def value(*_: object) -> int:
        raise AssertionError("an option is priced")

    monkeypatch.setattr("riskproof.risk.margining.nearest.grid", priced)
    monkeypatch.setattr("riskproof.risk.margining.black76.value", value)
    attribute(book)
    worst_moves(book, 64)
    options = names_of(market, Kind.OPTION)
    held = next(i for i in options if i in dict(book.live))
    assert book.after({held: 1_000}).initial != book.report.initial
    with pytest.raises(AssertionError):
        book.after({next(i for i in options if i not in dict(book.live)): 1_000})


def test_marginal_is_the_fall_without_the_position(market: Market) -> None:
    model, portfolio = margining.load("derive-pm2"), book_of(market, 5)
    book = open_book(model, market, portfolio)
    for x in attribute(book).shares:
        rest = Portfolio.build([(i, q) for i, q in portfolio.positions if i != x.index])
        own = Portfolio.build([(i, q) for i, q in portfolio.positions if i == x.index])
        assert x.marginal_initial == book.report.initial - margining.margin(model, market, rest).initial
        assert x.alone_initial == margining.margin(model, market, own).initial


@pytest.mark.parametrize("name", MODELS)
def test_positions_add_up_to_the_scenarios(name: str, market: Market) -> None:
    book = open_book(margining.load(name), market, book_of(market, 6))
    rows = book.pnl_by_position().values()
    for s in range(book.scenarios):
        assert sum((row[s] for row in rows), ZERO) == sum((x.pnl[s] for x in book.report.sets), ZERO)


@pytest.mark.parametrize("name", ["crypto-pm", "derive-pm2", "paradex24", "tims10"])
def test_the_binding_scenario_loses_most(name: str, market: Market) -> None:
    model = margining.load(name)
    report = open_book(model, market, book_of(market, 6)).report
    for b in binding(report, model):
        if b.candidate.startswith("loss."):
            pnl = next(s.pnl for s in report.sets if s.name == b.set)
            group = dict(next(s.worst for s in report.sets if s.name == b.set))[b.candidate.removeprefix("loss.")]
            assert b.scenarios == (group,)
            assert pnl[group] < 0


def test_no_scenario_binds_where_no_loss_counts(market: Market) -> None:
    """`isolated` sums what positions lose by themselves; the scenarios' losses of the set are not in its margin."""
    model = margining.load("isolated")
    (b,) = binding(open_book(model, market, book_of(market, 6)).report, model)
    assert (b.candidate, b.scenarios, b.what) == ("", (), "the sum of the charges")


def test_the_joint_scenario_binds_or_the_minimum(market: Market) -> None:
    """`tims10`: the scenario that is the worst for all sets together, not each set's own; none if the minimum is more."""
    model = margining.load("tims10")
    btc, eth = (names_of(market, Kind.PERPETUAL, u)[0] for u in ("BTC", "ETH"))
    report = open_book(model, market, Portfolio.build([(btc, 1_000_000), (eth, -300_000)])).report
    joint = [
        sum(((x.pnl[n] if x.pnl[n] < 0 else x.pnl[n] * model.gain_factor) for x in report.sets), ZERO)
        for n in range(10)
    ]
    worst = joint.index(min(joint))
    found = binding(report, model)
    assert [(b.set, b.candidate, b.scenarios) for b in found] == [(u, "joint.all", (worst,)) for u in ("BTC", "ETH")]
    future = names_of(market, Kind.FUTURE)[0]
    flat = open_book(model, market, Portfolio.build([(btc, 1_000_000), (future, -1_000_000)])).report
    (b,) = binding(flat, model)
    assert (b.candidate, b.scenarios) == ("minimum", ())


def test_what_adds_up_binds_whole(market: Market) -> None:
    """A margin without a max: every loss in it is named, and what is measured under joint moves."""
    node = margining.load("joint-es").to_document()
    node["aggregate"] = {"account": {"equity": "value.total", "initial": "joint_tail.stressed", "maintenance": "0"}}
    node["grid"] = {
        "scenarios": [{"id": "down", "price": "-0.1", "group": "a"}, {"id": "up", "price": "0.1", "group": "b"}]
    }
    model = margining.MarginModel.from_document(node)
    portfolio = Portfolio.build([(names_of(market, Kind.PERPETUAL)[0], 1_000)])
    (b,) = binding(open_book(model, market, portfolio).report, model)
    assert (b.candidate, b.scenarios, b.tails, b.what) == ("", (), ("joint_tail.stressed",), "joint_tail.stressed")
    node["aggregate"]["account"]["initial"] = {"sum": ["loss.a", "loss.b"]}
    model = margining.MarginModel.from_document(node)
    (b,) = binding(open_book(model, market, portfolio).report, model)
    assert (b.candidate, b.scenarios, b.tails, b.what) == ("", (0, 1), (), "")


def test_the_worst_joint_moves_and_what_they_do_to_positions(market: Market) -> None:
    model = margining.load("joint-es")
    portfolio = book_of(market, 5)
    book = open_book(model, market, portfolio)
    found = worst_moves(book, 64)
    assert [(len(x.places), x.report.id) for x in found] == [(32, "paths"), (32, "stressed")]
    for x in found:
        assert list(x.pnl) == sorted(x.pnl)
        assert (x.moves.ids[x.places[0]], -x.pnl[0]) == (x.report.worst, x.report.loss)
        quantile = x.report.loss if x.report.value_at_risk is None else x.report.value_at_risk
        assert 0 < x.beyond < 32
        assert -x.pnl[x.beyond - 1] >= quantile > -x.pnl[x.beyond]
        assert x.by_position.keys() == {i for i, _ in portfolio.positions}
        assert [sum(amounts) for amounts in zip(*x.by_position.values(), strict=True)] == list(x.pnl)
    assert [len(x.places) for x in worst_moves(book, 200)] == [
        125,
        75,
    ]  # a set that has fewer leaves the rest to the other
    assert [len(x.places) for x in worst_moves(book, 10_000)] == [500, 75]
    assert worst_moves(open_book(model, market, Portfolio(())), 64) == []
    assert worst_moves(open_book(margining.load("crypto-pm"), market, portfolio), 64) == []
    assert worst_moves(open_book(margining.load("derive-pm2"), market, Portfolio(())), 64) == []


def test_hedges_save_margin_and_the_saving_is_a_number(market: Market) -> None:
    index = names_of(market, Kind.PERPETUAL)[0]
    future = names_of(market, Kind.FUTURE)[0]
    book = open_book(margining.load("crypto-pm"), market, Portfolio.build([(index, 100_000), (future, -100_000)]))
    cross, isolated = compare(book, [margining.load("cross"), margining.load("isolated")])
    assert cross.saving(book.report) > book.report.initial
    assert isolated.saving(book.report) >= cross.saving(book.report)
    assert alone_total(book) > 2 * book.report.initial


def test_a_model_that_refuses_the_book_says_why(market: Market) -> None:
    positions = [(names_of(market, Kind.PERPETUAL, u)[0], 1_000) for u in ("BTC", "ETH")]
    book = open_book(margining.load("crypto-pm"), market, Portfolio.build(positions))
    (refused,) = compare(book, [margining.load("derive-pm2")])
    assert refused.report is None
    assert isinstance(refused.refusal, PortfolioError)
    assert refused.refusal.where == "limits.underlyings"


def test_trades_that_the_model_or_the_market_refuses(market: Market) -> None:
    model = margining.load("derive-pm2")
    assert isinstance(model, margining.MarginModel)
    book = open_book(model, market, book_of(market, 5))
    with pytest.raises(UnknownInstrumentError, match="no instrument at index"):
        book.after({len(market.registry): 1})
    with pytest.raises(PortfolioError, match="2 underlyings"):
        book.after({names_of(market, Kind.PERPETUAL, "ETH")[0]: 1_000})
    few = replace(model, limits=replace(model.limits, legs=len(book.portfolio)))
    with pytest.raises(PortfolioError, match="legs"):
        open_book(few, market, book.portfolio).after({names_of(market, Kind.OPTION)[-1]: 1})
    with pytest.raises(PortfolioError, match="version 1 has no receivables"):
        open_book(
            margining.load("crypto-pm"), market, book.portfolio, {names_of(market, Kind.PERPETUAL)[0]: Fraction(1)}
        )


def test_the_book_is_not_in_any_repr(market: Market) -> None:
    book = open_book(margining.load("derive-pm2"), market, book_of(market, 5))
    for x in (book.portfolio, book.report, attribute(book)):
        assert not any(str(abs(q)) in repr(x) for _, q in book.portfolio.positions if abs(q) > 99)


def test_reverse_stress_of_a_linear_position_is_equity_over_exposure(market: Market) -> None:
    spot = names_of(market, Kind.SPOT)[0]
    value = market.snapshot.index_price["BTC"]
    portfolio = Portfolio.build([(spot, 10_000)])
    equity = Fraction(10 * value, 10**9) / 4
    down, up = reverse_stress(
        market, portfolio, equity, [Direction("down", {"BTC": -RATIO_ONE}), Direction("up", {"BTC": RATIO_ONE})]
    )
    assert down.move is not None
    assert abs(down.move - RATIO_ONE // 4) <= RATIO_ONE // 10**9
    assert equity + down.pnl <= 0
    assert abs(equity + down.pnl) < Fraction(1, 1_000)
    assert up.move is None
    assert up.least == (0, equity)


def test_reverse_stress_finds_the_first_move_of_a_book_that_is_not_monotone(market: Market) -> None:
    portfolio = book_of(market, 6)
    directions = directions_of(market, portfolio)
    assert [d.id for d in directions] == ["down", "down, volatility up", "up", "up, volatility up"]
    widest = reverse_stress(market, portfolio, Fraction(10**12), directions)
    assert all(x.move is None for x in widest)
    worst = min(widest, key=lambda x: x.least[1])
    loss = Fraction(10**12) - worst.least[1]
    (half,) = reverse_stress(market, portfolio, loss / 2, [worst.direction])
    assert half.move is not None
    assert 0 < half.move < worst.least[0]
    assert loss / 2 + half.pnl <= 0
    (broke,) = reverse_stress(market, portfolio, Fraction(0), [worst.direction])
    assert (broke.move, broke.pnl) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", {}, 0), "nothing moves"),
        (("x", {"BTC": -2 * RATIO_ONE}, 0), "BTC moves too far"),
        (("x", {"BTC": RATIO_ONE}, -2 * RATIO_ONE), "volatility moves too far"),
        (("x", {"BTC": RATIO_ONE}, 0, 5), "no room to move"),
    ],
)
def test_directions_that_cannot_be(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Direction(*arguments)  # type: ignore[arg-type]
