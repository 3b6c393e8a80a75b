"""What a model's rows would prove, in words, without a market."""

from __future__ import annotations

from typing import Any

import pytest

from riskproof.cli.models import words
from riskproof.proof.programme.provable import provable
from riskproof.risk.margining import MarginModel, load
from riskproof.risk.margining.markets import names
from tests.proof.test_programme import maintenance, paths

SURE = "the least confidence among all that is listed counts"
BOUNDS = {
    "deribit-like": ["a dampened scenario counts as nothing"],
    "derive-pm1": [SURE, SURE, SURE],
    "derive-pm2": ["an adverse scenario counts at a discount of one", SURE, SURE, SURE],
    "derive-srm": ["charge option: the better of isolated margin and largest loss", SURE, SURE, SURE],
    "okx-like": [
        "charge mr3: the smaller of gains and losses is not convex",
        "charge mr9: the smaller side is not convex",
    ],
    "paradex24": ["charge delta_hedged: the smaller side is not convex"],
    "span16": ["charge spread: what is paired is not convex", "charge credit is a credit that is not convex"],
}


@pytest.mark.parametrize("name", names())
def test_every_shipped_model_says_where_its_proofs_ask_for_more(name: str) -> None:
    (found, other), expected = provable(load(name)).values(), BOUNDS.get(name, [])
    assert found == other
    assert found.refused == ""
    assert len(found.bounds) == len(expected)
    assert all(part in text for part, text in zip(expected, found.bounds, strict=True))
    text = words(load(name)).rpartition("Proofs (margin, excess): ")[2]
    assert text.startswith("the whole requirement")
    assert ("may ask for more than the model" in " ".join(text.split())) == bool(expected)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"mul": ["loss.all", "loss.all"]}, "a product of numbers that depend on the positions"),
        ({"mul": ["-1", "loss.all"]}, "loss.all of account enters as a credit: the requirement is not convex"),
    ],
)
def test_a_model_without_rows_says_why(value: Any, reason: str) -> None:
    model = maintenance(value)
    assert [x.refused for x in provable(model).values()] == [reason, reason]
    assert f"Proofs (margin, excess): none, because {reason}." in " ".join(words(model).split())


def test_joint_moves_of_a_history_have_no_rows() -> None:
    """A snapshot does not come with the history that they are made of."""
    document = maintenance("tail.paths", tail=paths("expected_shortfall")).to_document()
    history = {
        "id": "past",
        "measure": {"kind": "worst_loss"},
        "method": "historical",
        "history": "00" * 32,
        "first": "2024-01-01",
        "last": "2024-12-31",
        "horizon_days": 1,
        "weight_decay": "1",
    }
    assert isinstance(document["tail"], dict)
    document["tail"]["sets"] = [history]
    document["aggregate"]["account"]["maintenance"] = "tail.past"  # type: ignore[index,call-overload]
    reason = f"the history {'00' * 32} does not come with a snapshot: its joint moves are not provable"
    assert {x.refused for x in provable(MarginModel.from_document(document)).values()} == {reason}


def test_a_cap_asks_for_more_in_margin_and_not_in_excess() -> None:
    """What is beyond a cap has no haircut, a credit in the margin; in the excess it counts as nothing, which outweighs that."""
    asset = {"initial": "0.1", "maintenance": "0.1", "cap": "1000"}
    haircut = {"id": "haircut", "kind": "haircut"}
    collateral = {"conversion": "none", "assets": {"BTC": asset}}
    model = maintenance("charge.haircut", charges=[haircut], collateral=collateral)
    margin, excess = provable(model).values()
    assert margin.bounds == ("BTC of account beyond its cap is a credit that is not convex: it counts as nothing",)
    assert (excess.bounds, excess.refused) == ((), "")
    text = " ".join(words(model).split())
    assert "Proofs (margin): the whole requirement; they may ask for more than the model" in text
    assert text.endswith("Proofs (excess): the whole requirement, as the model asks for it.")
