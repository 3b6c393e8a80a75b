"""Margins and attestations of a server under a model whose joint moves come from a history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from service_support import Files, Live, make_config, serving

from riskproof.client import Client, Disclosure, Holding
from riskproof.errors import EncodingError, HistoryError
from riskproof.market.portfolio import Portfolio
from riskproof.risk.figures import ENGINE, RiskBasis
from riskproof.risk.margining import MarginModel, load
from riskproof.risk.tail.history import Factor, History
from riskproof.verify import Outcome
from tests.proof.proof_support import make_market

MARKET = make_market()
LOTS = {"BTC": 2_000, "BTC-100000-C": -1_000}
CLOSES = History("closes", dt.date(2026, 1, 1), (Factor("BTC"),), np.array([[p * 10**9] for p in (100, 110, 88, 99)]))


def worst_day() -> MarginModel:
    """The worst loss over the days of CLOSES."""
    node: dict[str, Any] = load("joint-es").to_document()
    days = {
        "id": "days",
        "measure": {"kind": "worst_loss"},
        "method": "historical",
        "history": CLOSES.digest.hex(),
        "first": "2026-01-01",
        "last": "2026-01-04",
        "horizon_days": 1,
        "weight_decay": "1",
    }
    account = {"initial": "tail.days", "maintenance": "tail.days", "equity": "value.total"}
    node |= {
        "name": "worst-day",
        "tail": {"sets": [days], "constant_volatility": ["BTC"]},
        "aggregate": {"account": account},
        "charges": [],
    }
    return MarginModel.from_document(node)


MODEL = worst_day()


def served(files: Files, *histories: History) -> AbstractContextManager[Live]:
    """A server with the model and these histories, and an account."""
    (files.folder / "worst-day.json").write_bytes(MODEL.to_bytes())
    paths = [files.folder / f"history-{n}.json" for n in range(len(histories))]
    for path, one in zip(paths, histories, strict=True):
        path.write_bytes(one.to_bytes())
    config = make_config(files)
    own = replace(
        config.venue, models=(str(files.folder / "worst-day.json"),), histories=tuple(str(path) for path in paths)
    )
    return serving(files, replace(config, venue=own))


@pytest.fixture
def with_history(fresh: Files) -> Iterator[Live]:
    with served(fresh, CLOSES) as live:
        settle(live)
        yield live


def settle(live: Live) -> None:
    live.now = MARKET.snapshot.time + 10
    with live.client("operator") as operator:
        operator.publish_market(MARKET)
        operator.open_account("alice")
        operator.record_trade("alice", "t1", [Holding(name, lots) for name, lots in LOTS.items()])


def attested(alice: Client, model: str) -> tuple[bytes, bytes]:
    made = alice.create_attestation("alice", model=model, disclosure=Disclosure.MARGIN)
    return made.attestation, alice.get_opening("alice", made.sequence)


def test_the_configured_history_is_the_one_that_the_model_names(with_history: Live) -> None:
    places = {x.name: i for i, x in enumerate(MARKET.registry.instruments)}
    book = Portfolio(tuple(sorted((places[name], lots) for name, lots in LOTS.items())))
    figures = RiskBasis.build(MARKET, MODEL, [CLOSES]).figures(book)
    assert figures.initial_margin_micros > 0
    with with_history.client("alice", timeout=60) as alice:
        got = alice.compute_margin("alice", model="worst-day")
        assert (got.kernel, got.initial_margin_micros) == (ENGINE, figures.initial_margin_micros)
        attestation, opening = attested(alice, "worst-day")
        answer = alice.verify_attestation(attestation, opening=opening)
        assert (answer.outcome, answer.checks[-1].number) == (Outcome.VALID, 25)


@pytest.mark.parametrize("model", ["worst-day", "crypto-pm"])
def test_histories_are_read_when_a_server_starts_and_not_again(
    with_history: Live, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for a recomputation, and a history may take seconds to read."""

    def read(*_: object) -> History:
        raise AssertionError("read again")

    with with_history.client("alice", timeout=60) as alice:
        attestation, opening = attested(alice, model)
        monkeypatch.setattr(History, "from_bytes", read)
        answer = alice.verify_attestation(attestation, opening=opening)
        assert (answer.outcome, answer.checks[-1].number) == (Outcome.VALID, 25)


def test_a_history_that_is_not_configured_is_named(fresh: Files) -> None:
    with served(fresh) as live:
        settle(live)
        with live.client("alice", timeout=60) as alice, pytest.raises(HistoryError, match=CLOSES.digest.hex()):
            alice.compute_margin("alice", model="worst-day")


def test_a_file_that_is_no_history(fresh: Files) -> None:
    config = make_config(fresh)
    (fresh.folder / "broken.json").write_bytes(b"{}")
    own = replace(config.venue, histories=(str(fresh.folder / "broken.json"),))
    with (
        pytest.raises(EncodingError, match=r"broken\.json: member 'schema' is missing"),
        serving(fresh, replace(config, venue=own)),
    ):
        pass
