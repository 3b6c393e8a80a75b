"""Attestations under models of version 2: margins of the margin engine, recomputed by whoever has the opening."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from verify_support import AUDIENCE, NONCE, NOW, World, payload_of, resigned

from riskproof import encoding
from riskproof.attest.book import AccountSecret, CommittedBook
from riskproof.attest.build import BuiltAttestation
from riskproof.attest.payload import Attestation, Policy
from riskproof.errors import AttestationError, HistoryError
from riskproof.market.portfolio import Portfolio
from riskproof.proof.grid import Grid
from riskproof.risk.figures import ENGINE, MarginFigures, RiskBasis
from riskproof.risk.margining import MarginModel, load_model, margin
from riskproof.risk.tail.history import Factor, History
from riskproof.verify import Outcome, Verdict, verify_attestation

EXACT = Grid(None, 1)
BOOKED = {  # a model, and a book it takes: registry indices and lots
    "derive-pm1": ((1, -70_000_000), (4, -5_000)),
    "deribit-like": ((1, 30_000_000), (4, -5_000), (5, 12_000)),
    "span16": ((3, -1_000), (4, -5_000), (5, 12_000)),
    "isolated": ((0, 2_000), (4, -5_000), (5, 12_000)),
    "derive-srm": ((0, 2_000), (4, -5_000)),
}


def basis(world: World, model: MarginModel, histories: tuple[History, ...] = ()) -> RiskBasis:
    return RiskBasis.build(world.market, model, histories)


def build(world: World, model: MarginModel, histories: tuple[History, ...] = (), **changes: Any) -> BuiltAttestation:
    positions = changes.pop("positions", world.portfolio.positions)
    portfolio = Portfolio(positions)
    book = CommittedBook(world.market.registry, portfolio, AccountSecret(bytes(range(100, 132))), 3)
    arguments = {
        "model": model,
        "array": None,
        "book": book,
        "risk": basis(world, model, histories).figures(portfolio),
        "policy": Policy.ARRAY,
        "grid": EXACT,
    }
    return world.build(**arguments | changes)


def check(world: World, attestation: bytes, **more: Any) -> Verdict:
    arguments: dict[str, Any] = {"now": NOW, "audience": AUDIENCE, "nonce": NONCE, "market": world.market_bytes} | more
    return verify_attestation(attestation, world.keys, **arguments)


@pytest.mark.parametrize("name", sorted(BOOKED))
def test_what_is_attested_is_the_engines_margin(world: World, name: str) -> None:
    model = load_model(name)
    built = build(world, model, positions=BOOKED[name])
    verdict = check(world, built.attestation, opening=built.opening)
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")
    assert [c.number for c in verdict.checks][-7:] == [15, 20, 21, 22, 23, 24, 25]
    statement = verdict.attestation
    assert statement is not None
    assert (statement.model_name, statement.model_digest) == (name, model.digest)
    assert (statement.kernel, statement.array_digest) == (ENGINE, None)
    report = margin(model, world.market, Portfolio(BOOKED[name]))
    _, initial, maintenance = statement.disclosed.margin
    assert initial - 1 < report.initial * 10**6 <= initial
    assert maintenance - 1 < report.maintenance * 10**6 <= maintenance
    pnl = statement.disclosed.pnl_micros
    assert pnl is not None
    assert len(pnl) == len(model.scenarios)
    if model.scenarios:
        sums = [sum((s.pnl[i] for s in report.sets), Fraction(0)) for i in range(len(pnl))]
        worst = model.scenarios[sums.index(min(sums))].id
        assert statement.disclosed.worst_scenario == worst
    else:
        assert "worst_scenario" not in payload_of(built.attestation)["disclosure"]


def test_a_model_without_scenarios_has_no_worst_one() -> None:
    assert not load_model("derive-srm").scenarios


def test_an_empty_book(world: World) -> None:
    built = build(world, load_model("derive-pm1"), positions=())
    verdict = check(world, built.attestation, opening=built.opening)
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")
    assert set(verdict.attestation.disclosed.pnl_micros or ()) == {0}  # type: ignore[union-attr]


LIES: dict[str, tuple[Any, int, str]] = {
    "a lower initial margin": (
        lambda d: lower(d["disclosure"], "initial_margin_micros"),
        25,
        "initial margin: attested",
    ),
    "a lower maintenance margin": (
        lambda d: lower(d["disclosure"], "maintenance_margin_micros"),
        25,
        "maintenance margin: attested",
    ),
    "a better P&L": (lambda d: better(d["disclosure"]["pnl_micros"]), 25, "P&L of "),
    "another worst scenario": (
        lambda d: d["disclosure"].update(worst_scenario=load_model("derive-pm1").scenarios[-1].id),
        15,
        "another one is worse",
    ),
    "a worst scenario that is none": (
        lambda d: d["disclosure"].update(worst_scenario="nothing"),
        15,
        "no scenario 'nothing' in derive-pm1",
    ),
    "no worst scenario": (
        lambda d: d["disclosure"].pop("worst_scenario"),
        15,
        "no worst scenario is disclosed, and derive-pm1 has 21 scenarios",
    ),
    "a P&L missing": (lambda d: d["disclosure"]["pnl_micros"].pop(), 15, "20 P&Ls for the 21 scenarios"),
    "a risk array": (lambda d: d.update(array_digest="ab" * 32), 13, "risk array: attested abab"),
    "another engine": (lambda d: d.update(kernel="margin-exact/0"), 13, "computed by kernel 'margin-exact/0'"),
    "another model": (lambda d: d["model"].update(digest="ab" * 32), 12, "risk model: attested derive-pm1 abab"),
    "a model that does not ship": (lambda d: d["model"].update(name="own"), 12, "no model 'own' ships: give its file"),
}


def lower(disclosure: dict[str, Any], member: str) -> None:
    disclosure[member] = str(int(disclosure[member]) - 1)


def better(pnl: list[str]) -> None:
    """One scenario that is not the worst."""
    place = max(range(len(pnl)), key=lambda i: int(pnl[i]))
    pnl[place] = str(int(pnl[place]) + 1)


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_of_the_venue_fails_at_its_number(world: World, lie: str) -> None:
    change, number, reason = LIES[lie]
    built = build(world, load_model("derive-pm1"), positions=BOOKED["derive-pm1"])
    told = resigned(built.attestation, world.key, change)
    document = json.loads(built.opening)
    statement = Attestation.from_bytes(encoding.canonical_json(payload_of(told)))
    document["attestation_digest"] = statement.digest.hex()
    verdict = check(world, told, opening=encoding.canonical_json(document))
    assert verdict.outcome is Outcome.INVALID
    assert verdict.failed_check == number
    assert reason in verdict.reason


def test_version_1_without_its_array_fails_at_13(world: World) -> None:
    told = resigned(world.build().attestation, world.key, lambda d: d.pop("array_digest"))
    verdict = check(world, told)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, 13)
    assert verdict.reason.startswith("risk array: attested none, recomputed ")


def test_a_worst_scenario_of_a_model_without_scenarios_fails_at_15(world: World) -> None:
    built = build(world, load_model("derive-srm"), positions=BOOKED["derive-srm"])
    told = resigned(built.attestation, world.key, lambda d: d["disclosure"].update(worst_scenario="p-50/v+"))
    verdict = check(world, told)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, 15)
    assert verdict.reason == "no scenario 'p-50/v+' in derive-srm"


def test_a_model_file_is_given(world: World) -> None:
    document = load_model("derive-pm1").to_document() | {"name": "own-pm"}
    own = MarginModel.from_document(document)
    built = build(world, own, positions=BOOKED["derive-pm1"])
    verdict = check(world, built.attestation, opening=built.opening, model=own.to_bytes())
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")
    edited = MarginModel.from_document(document | {"description": "another"})
    verdict = check(world, built.attestation, model=edited.to_bytes())
    assert verdict.failed_check == 12
    assert check(world, built.attestation, model=b"{}").outcome is Outcome.MALFORMED


def history(*prices: int) -> History:
    levels = np.array([[p * 10**9] for p in prices], dtype=np.int64)
    return History("closes", dt.date(2026, 1, 1), (Factor("BTC"),), levels)


def tail_model(of: History) -> MarginModel:
    node: Any = load_model("joint-es").to_document()
    node["name"] = "historical"
    node["tail"] = {
        "sets": [
            {
                "id": "days",
                "measure": {"kind": "worst_loss"},
                "method": "historical",
                "history": of.digest.hex(),
                "first": "2026-01-01",
                "last": "2026-01-05",
                "horizon_days": 1,
                "weight_decay": "1",
            }
        ],
        "constant_volatility": ["BTC"],
    }
    node["aggregate"] = {"account": {"initial": "tail.days", "maintenance": "tail.days", "equity": "value.total"}}
    node["charges"] = []
    return MarginModel.from_document(node)


def test_histories_that_a_model_reads_are_given_too(world: World) -> None:
    closes = history(100, 110, 88, 110, 110)
    model = tail_model(closes)
    built = build(world, model, (closes,), positions=((0, 2_000),))
    given = {"model": model.to_bytes(), "opening": built.opening}
    assert check(world, built.attestation, **given, histories=[closes.to_bytes()]).outcome is Outcome.VALID
    verdict = check(world, built.attestation, **given)
    assert (verdict.outcome, verdict.failed_check) == (Outcome.INVALID, 25)
    assert closes.digest.hex() in verdict.reason
    assert check(world, built.attestation, **given, histories=[b"{}"]).outcome is Outcome.MALFORMED
    with pytest.raises(HistoryError):
        basis(world, model).figures(Portfolio(((0, 2_000),)))


def test_what_is_not_signed(world: World) -> None:
    model = load_model("derive-pm1")
    with pytest.raises(AttestationError, match="a model of version 1 has a risk array, one of version 2 has none"):
        world.build(model=model)
    with pytest.raises(AttestationError, match="a model of version 1 has a risk array, one of version 2 has none"):
        world.build(array=None)
    with pytest.raises(AttestationError, match="margins that no verifier accepts"):
        build(world, model, risk=MarginFigures(0, 1, 2, (0,) * len(model.scenarios), model.scenarios[0].id))
    with pytest.raises(AttestationError, match="margins that no verifier accepts"):
        build(world, model, risk=MarginFigures(0, 1, -1, (0,) * len(model.scenarios), model.scenarios[0].id))
    aged: Any = model.to_document()
    aged["limits"]["snapshot_age_seconds"] = 59
    strict = MarginModel.from_document(aged)
    with pytest.raises(AttestationError, match="the snapshot is 60 s old"):
        build(world, strict, positions=())


def test_figures_hide_themselves() -> None:
    assert repr(MarginFigures(9, 123, 45, (6, 7), "a")) == "MarginFigures(<2 scenarios>)"
