from __future__ import annotations

import dataclasses
import json

import pytest

from riskproof.encoding import canonical_json
from riskproof.errors import UnitError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.sample import sample_market
from riskproof.market.snapshot import Curve, Quote, Snapshot
from riskproof.risk.market_check import TIGHT_TOLERANCE, MarketCheck, check_market

ONE = 10**9
TIME = 1_767_603_600
EXPIRY = TIME + 30 * 86_400


def plain_table(header: object, rows: object) -> str:
    return f"{header}\n{rows}"


def quoted(payoff: Payoff, marks: dict[tuple[int, OptionType], int | None], *, forward: int, rate: int = 0) -> Market:
    """Options on BTC at a volatility of 50 %; marks by (strike, type)."""
    instruments = tuple(
        Instrument(f"BTC-{strike}-{side.value}", Kind.OPTION, "BTC", payoff, ONE, EXPIRY, strike * ONE, side)
        for strike, side in marks
    )
    registry = Registry("USD", instruments)
    quotes = {i.name: Quote(mark, 5 * 10**11) for i, mark in zip(instruments, marks.values(), strict=True)}
    curves = [Curve("BTC", EXPIRY, forward * ONE, rate)]
    return Market(registry, Snapshot.build(registry, TIME, "test", {"BTC": 100 * ONE}, curves, quotes))


@pytest.fixture(scope="module")
def sample() -> Market:
    return sample_market()


@pytest.fixture(scope="module")
def clean(sample: Market) -> MarketCheck:
    return check_market(sample)


def test_the_sample_is_clean(clean: MarketCheck) -> None:
    assert clean.total is not None
    assert clean.total.count == clean.total.within == clean.total.within_tight == 816
    assert clean.total.quantiles[-1] <= 5  # marks are rounded to 1e-8 coin
    assert (clean.unmarked, clean.unpriced) == (0, 0)
    assert clean.stale_forwards == clean.crossed_forwards == clean.crossed_marks == ()
    assert len(clean.worst) == 10
    assert len(clean.forwards) == 24


def test_groups_cover_every_option_once(clean: MarketCheck) -> None:
    for groups in (clean.by_expiry, clean.by_moneyness):
        assert sum(g.count for g in groups) == 816
        assert all(g.quantiles == tuple(sorted(g.quantiles)) for g in groups)
    assert clean.by_expiry[0].label == "BTC 2026-01-06"
    assert [g.label for g in clean.by_moneyness][::6] == ["K/F below 50 %", "K/F from 200 %"]


def test_delta_one(clean: MarketCheck) -> None:
    by_name = {d.name: d for d in clean.delta_one}
    assert by_name["BTC"].quoted == by_name["BTC"].reference
    assert by_name["BTC-27MAR26"].quoted == by_name["BTC-27MAR26"].reference
    assert by_name["BTC-PERPETUAL"].quoted > by_name["BTC-PERPETUAL"].reference


def test_the_document_is_canonical_and_exact(clean: MarketCheck) -> None:
    document = clean.to_document()
    assert json.loads(canonical_json(document)) == document
    assert document["options"]["within_ppm"] == 1_000_000
    assert document["worst"][0]["error_e9_coin"] == str(clean.worst[0].error)


def test_the_text_names_every_part(clean: MarketCheck) -> None:
    text = clean.to_text(plain_table)
    for part in ("816 options repriced: 100 % within 0.0001 coin", "BTC 2026-03-27", "K/F 95 % to 105 %", "0 stale"):
        assert part in text


def changed(market: Market, name: str, mark: int) -> Market:
    index = market.registry.index_of(name)
    quote = market.snapshot.quotes[index]
    assert quote is not None
    quotes = list(market.snapshot.quotes)
    quotes[index] = dataclasses.replace(quote, mark=mark)
    return Market(market.registry, dataclasses.replace(market.snapshot, quotes=tuple(quotes)))


def test_a_wrong_mark_is_the_worst_and_crosses_its_strike(sample: Market) -> None:
    name = next(i.name for i in sample.registry.instruments if i.option_type is OptionType.CALL)
    quote = sample.snapshot.quotes[sample.registry.index_of(name)]
    assert quote is not None
    assert quote.mark is not None
    found = check_market(changed(sample, name, quote.mark - 2_000_000))
    assert found.total is not None
    assert found.total.count - found.total.within == 1
    assert found.worst[0].name == name
    assert abs(found.worst[0].error - 2_000_000) <= 5
    assert [f.crossed for f in found.crossed_forwards] == [(name,)]
    assert found.stale_forwards == ()


def test_a_moved_forward_is_stale(sample: Market) -> None:
    curves = list(sample.snapshot.curves)
    curves[3] = dataclasses.replace(curves[3], forward=curves[3].forward * 10_002 // 10_000)
    found = check_market(Market(sample.registry, dataclasses.replace(sample.snapshot, curves=tuple(curves))))
    assert [(f.underlying, f.expiry) for f in found.stale_forwards] == [(curves[3].underlying, curves[3].expiry)]
    assert found.stale_forwards[0].crossed == ()
    assert found.total is not None
    assert 0 < found.total.count - found.total.within <= found.by_expiry[3].count
    assert found.by_expiry[3].within < found.by_expiry[3].count


def test_inverse_model_values_are_in_coin() -> None:
    found = check_market(quoted(Payoff.INVERSE, {(100, OptionType.CALL): 57_137_675}, forward=100))
    (worst,) = found.worst
    # At the money, C/F = 2 N(s/2) - 1 with s = 0.5 sqrt(30/365): 0.057137675.
    assert worst.model == 57_137_675
    assert worst.error == 0
    assert found.forwards[0].parity_forward is None
    assert not found.forwards[0].stale


def test_linear_errors_are_in_coin_and_marks_in_the_numeraire() -> None:
    model = 5_713_767_509
    found = check_market(quoted(Payoff.LINEAR, {(100, OptionType.PUT): model + 2_000_000}, forward=100))
    assert abs(found.worst[0].model - model) <= 10
    assert abs(found.worst[0].error - 20_000) <= 1
    parity = quoted(Payoff.LINEAR, {(90, OptionType.CALL): 12 * ONE, (90, OptionType.PUT): 2 * ONE}, forward=100)
    assert check_market(parity).forwards[0].parity_forward == 100 * ONE


def test_parity_is_discounted_where_the_curve_is() -> None:
    # exp(-0.365 * 30/365) = exp(-0.03) = 0.970445533548508...
    marks = {(90, OptionType.CALL): 9_704_455_335 + ONE, (90, OptionType.PUT): ONE}
    found = check_market(quoted(Payoff.LINEAR, marks, forward=100, rate=365 * 10**9))
    parity = found.forwards[0].parity_forward
    assert parity is not None
    assert abs(parity - 100 * ONE) <= 2
    assert found.crossed_forwards == ()


def test_marks_without_any_forward_are_crossed_not_an_error() -> None:
    marks = {(100, OptionType.CALL): 2 * ONE, (100, OptionType.PUT): 0}
    found = check_market(quoted(Payoff.INVERSE, marks, forward=100))
    assert found.forwards[0].parity_forward is None
    assert found.forwards[0].crossed == ("BTC-100-call",)


def test_puts_that_fall_with_the_strike_are_crossed_marks() -> None:
    marks = {(100, OptionType.PUT): 5, (110, OptionType.PUT): 4, (105, OptionType.PUT): 5}
    found = check_market(quoted(Payoff.LINEAR, marks, forward=100))
    assert found.crossed_marks == (("BTC-105-put", "BTC-110-put"),)


def test_options_without_marks_are_counted() -> None:
    found = check_market(quoted(Payoff.INVERSE, {(100, OptionType.CALL): None}, forward=100))
    assert found.total is None
    assert found.unmarked == 1
    assert found.to_document()["options"] is None
    assert found.to_text(plain_table) == "no option has a mark to compare with"


def test_quantiles_are_nearest_ranks() -> None:
    marks = {(100 + n, OptionType.CALL): 0 for n in range(100)}
    found = check_market(quoted(Payoff.INVERSE, marks, forward=100))
    errors = sorted(w for w in (e.error for e in found.worst))
    assert found.total is not None
    assert found.total.quantiles[-1] == errors[-1]
    assert found.total.quantiles[2] == errors[-2]


def test_tolerances(sample: Market) -> None:
    exact = check_market(sample, 0)
    assert exact.total is not None
    assert exact.total.within < exact.total.count == exact.total.within_tight
    assert TIGHT_TOLERANCE == 20_000
    with pytest.raises(UnitError, match="tolerance: negative tolerance"):
        check_market(sample, -1)
