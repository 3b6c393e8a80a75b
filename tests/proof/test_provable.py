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
    found, expected = provable(load(name)), BOUNDS.get(name, [])
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
    assert provable(model).refused == reason
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
    assert "history" in provable(MarginModel.from_document(document)).refused
