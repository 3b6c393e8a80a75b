"""The statements `margin` and `excess`, from challenge to verdict: the engine's number is accepted, one micro less is not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from proof_support import MODEL, Account, Venue, answer, book, judge, make_market

from riskproof.errors import FalseStatementError, ProofError
from riskproof.proof.challenge import Challenge, Margin, StatementKind
from riskproof.proof.programme import compile_margin, least_bound
from riskproof.proof.rows import AttestedMarket
from riskproof.risk.margining import AnyModel, MarginModel, load, margin, names
from riskproof.risk.model import RiskModel
from riskproof.verify.net_risk import ProofCase
from riskproof.verify.second_opinion import second_opinion
from riskproof.verify.verdict import Outcome


def ask(bound: int, model: AnyModel, statement: StatementKind, requirement: Margin | None) -> Challenge:
    made = Challenge.new(
        audience="lender", bound_micros=bound, model=model, now=1_767_603_655, statement=statement, margin=requirement
    )
    return Challenge.from_bytes(made.to_bytes())


def micros(amount: Fraction) -> int:
    return -((-amount * 10**6) // 1)


@pytest.fixture(scope="module")
def spread(venue_a: Venue) -> Account:
    return venue_a.attest(
        book(venue_a.market, BTC_100000_C=-2_000, BTC_120000_C=1_500, BTC_PERPETUAL=-900, USD=90_000_000)
    )


def check_least_bound(name: str, account: Account, requirement: Margin) -> None:
    """The least bound is proved, and one micro less is not; the bound is the engine's number unless the verdict says more."""
    model, venue = load(name), account.venue
    array = venue.array if isinstance(model, RiskModel) else None
    rows = compile_margin(StatementKind.MARGIN, requirement, model, [AttestedMarket(venue.market, array, (0,))])
    lots = np.zeros(venue.market.registry.column_size, dtype=np.int64)
    for index, q in account.portfolio.positions:
        lots[index] = q
    bound = least_bound(rows.lowering, lots)
    report = margin(model, venue.market, account.portfolio)
    engine = micros(report.initial if requirement is Margin.INITIAL else report.maintenance)
    assert bound >= engine
    assert bound == engine or rows.bounds
    asked = ask(bound, model, StatementKind.MARGIN, requirement)
    verdict = judge(answer(asked, [account]), asked, [account])
    assert verdict.outcome is Outcome.VALID, verdict.reason
    claim = f"the {requirement} margin of 1 account at venue-a, positions taken together, is at most"
    assert claim in verdict.proved[0]
    said = " ".join(verdict.not_proved)
    assert all(text.partition(": ")[2][:30] in said for text in rows.bounds)
    with pytest.raises(FalseStatementError, match="the statement is false: short by") as refused:
        answer(ask(bound - 1, model, StatementKind.MARGIN, requirement), [account])
    assert refused.value.where == f"{requirement} margin"


@pytest.mark.parametrize("name", ["crypto-pm", "derive-pm1", "derive-pm2", "span16"])
def test_the_least_bound_is_proved_and_one_micro_less_is_not(name: str, spread: Account) -> None:
    check_least_bound(name, spread, Margin.INITIAL)


@pytest.mark.slow
@pytest.mark.parametrize("requirement", Margin)
@pytest.mark.parametrize("name", names())
def test_the_least_bound_under_every_shipped_model_is_proved(name: str, requirement: Margin, spread: Account) -> None:
    check_least_bound(name, spread, requirement)


def test_a_proof_of_one_bound_is_none_of_a_smaller_one(spread: Account) -> None:
    bound = micros(margin(load("derive-pm1"), spread.venue.market, spread.portfolio).maintenance)
    asked = ask(bound, load("derive-pm1"), StatementKind.MARGIN, Margin.MAINTENANCE)
    proof = answer(asked, [spread])
    for other in (replace(asked, bound_micros=bound - 1), replace(asked, margin=Margin.INITIAL)):
        assert judge(proof, other, [spread]).check == "proof answers this challenge"


def test_excess_is_equity_less_margin(spread: Account) -> None:
    model = load("derive-pm2")
    report = margin(model, spread.venue.market, spread.portfolio)
    short = micros(report.initial - report.equity)
    assert short < 0
    asked = ask(0, model, StatementKind.EXCESS, Margin.INITIAL)
    verdict = judge(answer(asked, [spread]), asked, [spread])
    assert verdict.outcome is Outcome.VALID
    assert "equity less the initial margin" in verdict.proved[0]
    assert any("which may be lower" in text for text in verdict.not_proved)


def test_two_venues_are_netted_scenario_by_scenario(venue_a: Venue, venue_b: Venue) -> None:
    one = venue_a.attest(book(venue_a.market, BTC_PERPETUAL=-50_000, USD=1_000))
    two = venue_b.attest(book(venue_b.market, BTC_PERPETUAL=490_000, USD=1_000))
    apart = sum(margin(MODEL, x.venue.market, x.portfolio).initial for x in (one, two))
    buffers = sum(margin(MODEL, x.venue.market, x.portfolio).sets[0].charges[0][1] for x in (one, two))
    losses = [-Fraction(sum(x), 10**10) for x in zip([10 * p for p in one.pnl()], two.pnl(), strict=True)]
    together = Fraction(5, 4) * max(0, *losses) + buffers
    assert together < apart / 5
    asked = ask(micros(together), MODEL, StatementKind.MARGIN, Margin.INITIAL)
    assert judge(answer(asked, [one, two]), asked, [one, two]).outcome is Outcome.VALID
    with pytest.raises(FalseStatementError):
        answer(ask(micros(together) - 1, MODEL, StatementKind.MARGIN, Margin.INITIAL), [one, two])


def test_the_second_verifier_agrees(spread: Account) -> None:
    asked = ask(10**12, load("crypto-pm"), StatementKind.MARGIN, Margin.INITIAL)
    case = ProofCase(
        answer(asked, [spread]),
        asked.to_bytes(),
        [spread.attestation],
        [spread.venue.keys],
        [spread.venue.market_bytes],
    )
    verdict = judge(case.proof, asked, [spread])
    opinion = second_opinion(case, verdict, now=1_767_603_660)
    assert (opinion.outcome, opinion.agrees) == (Outcome.VALID, True)


@pytest.mark.parametrize(
    ("statement", "requirement", "message"),
    [
        (StatementKind.MARGIN, None, "no requirement is named"),
        (StatementKind.EXCESS, None, "no requirement is named"),
        (StatementKind.LOSS, Margin.INITIAL, "loss has no requirement"),
    ],
)
def test_a_requirement_belongs_to_margin_and_excess(
    statement: StatementKind, requirement: Margin, message: str
) -> None:
    with pytest.raises(ProofError, match=message) as refused:
        ask(0, MODEL, statement, requirement)
    assert refused.value.where == "requirement"


def test_a_model_of_version_2_has_no_loss_statement(spread: Account) -> None:
    with pytest.raises(ProofError, match="loss under a model of version 2"):
        ask(0, load("derive-pm2"), StatementKind.LOSS, None)
    named = Challenge.new(
        audience="lender", bound_micros=0, model=load("derive-pm2"), now=1_767_603_655, statement=StatementKind.MARGIN,
        margin=Margin.INITIAL, embed_model=False,
    )  # fmt: skip
    with pytest.raises(ProofError, match="loss under derive-pm2, a model of version 2") as refused:
        answer(replace(named, statement=StatementKind.LOSS, margin=None), [spread])
    assert refused.value.where == "challenge.statement"


def test_an_unknown_requirement_is_refused() -> None:
    data = ask(0, MODEL, StatementKind.MARGIN, Margin.INITIAL).to_bytes()
    assert b'"requirement":"initial"' in data
    with pytest.raises(ProofError, match="unknown requirement"):
        Challenge.from_bytes(data.replace(b'"requirement":"initial"', b'"requirement":"average"'))


def test_a_credit_that_is_asked_for_is_refused(venue_a: Venue) -> None:
    """A credit between underlyings is no more than nothing at least; as a charge, it has no bound from above."""
    document = load("span16").to_document()
    assert isinstance(document["aggregate"], dict)
    document["aggregate"]["account"] |= {"span": {"sum": ["scan", "charge.credit"]}}
    model = MarginModel.from_document(document)
    with pytest.raises(ProofError, match="charge credit is not convex") as refused:
        compile_margin(StatementKind.MARGIN, Margin.INITIAL, model, [AttestedMarket(venue_a.market, None, (0,))])
    assert refused.value.where == "model"


def test_more_underlyings_than_the_model_nets_are_refused() -> None:
    from tests.proof.test_programme import chain

    market = chain(("BTC", "ETH"))
    with pytest.raises(ProofError, match="the markets list 2 underlyings, derive-pm2 takes accounts of 1"):
        compile_margin(StatementKind.MARGIN, Margin.INITIAL, load("derive-pm2"), [AttestedMarket(market, None, (0,))])


def test_exponents_that_leave_too_few_decimals_are_refused() -> None:
    market = make_market(quantity_exponent=11)
    with pytest.raises(ProofError, match="lots' money with 17 decimals leaves too few"):
        compile_margin(StatementKind.MARGIN, Margin.INITIAL, load("derive-pm1"), [AttestedMarket(market, None, (0,))])


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch, venue_a: Venue) -> None:
    monkeypatch.setattr("riskproof.proof.programme.lowering.MAX_ROWS", 100)
    with pytest.raises(ProofError, match="more than 100 rows, at ") as refused:
        compile_margin(
            StatementKind.MARGIN, Margin.INITIAL, load("derive-pm2"), [AttestedMarket(venue_a.market, None, (0,))]
        )
    assert "fewer instruments or expiries" in refused.value.expected


def test_a_document_that_is_not_expanded_is_refused() -> None:
    asked = ask(0, load("derive-pm1"), StatementKind.MARGIN, Margin.INITIAL).to_bytes()
    loose = asked.replace(b'"vol":"up"}', b'"vol":"up","weight":"1"}', 1)
    assert loose != asked
    with pytest.raises(ProofError, match="the document is not expanded"):
        Challenge.from_bytes(loose)
