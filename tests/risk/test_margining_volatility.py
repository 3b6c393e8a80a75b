"""Clamps on shocked volatilities: what each shock gives, cut off; one document for one meaning; mistakes at their place."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from riskproof.errors import EncodingError, ModelError
from riskproof.risk.margining import volatility
from riskproof.risk.margining.volatility import Volatility

DAY = 86_400
SHOCKS: dict[str, dict[str, Any]] = {
    "multiply": {"amount": "0.5", "scaled": True, "minimum_before": "0.1"},
    "add": {"amount": "-0.2", "scaled": False},
    "skew": {
        "sides": "linear",
        "cap": {"static": "0.15", "per_root_year": "-0.05"},
        "flat_beyond": {"minimum": "0.01", "width": "4", "static": "0.6", "per_root_year": "-0.1"},
    },
}
SCALING = {"power": {"reference_days": "30", "floor_days": "1", "short": "0.3", "long": "0.13"}}


def block(**bodies: Any) -> Volatility:
    return volatility.parse({"shocks": {kind: {kind: body} for kind, body in bodies.items()}, "scaling": SCALING})


def shocked(kind: str, clamp: dict[str, str] | None, vol: str, k: str = "0.3") -> Fraction:
    parsed = block(**{kind: SHOCKS[kind] | ({} if clamp is None else {"clamp": clamp})})
    return parsed.shock(kind).shocked(Fraction(vol), Fraction(k), 9 * DAY, parsed.scaling)


@pytest.mark.parametrize("kind", SHOCKS)
@pytest.mark.parametrize("vol", ["0", "0.05", "0.4", "0.9", "3"])
@pytest.mark.parametrize(
    "clamp", [{"low": "0.3"}, {"high": "0.7"}, {"low": "0.3", "high": "0.7"}, {"low": "0.5", "high": "0.5"}]
)
def test_what_a_shock_gives_is_cut_off(kind: str, vol: str, clamp: dict[str, str]) -> None:
    free = shocked(kind, None, vol)
    low, high = Fraction(clamp.get("low", "0")), Fraction(clamp.get("high", "100"))
    assert shocked(kind, clamp, vol) == min(max(free, low), high)


@pytest.mark.parametrize("kind", ["multiply", "add"])
def test_low_is_the_minimum_by_another_name(kind: str) -> None:
    clamped = block(**{kind: SHOCKS[kind] | {"clamp": {"low": "0.3", "high": "2"}}})
    named = block(**{kind: SHOCKS[kind] | {"minimum": "0.3", "clamp": {"high": "2"}}})
    assert clamped == named
    assert clamped.to_document() == named.to_document()
    assert clamped.to_document()["shocks"][kind][kind]["clamp"] == {"high": "2"}  # type: ignore[index, call-overload]


@pytest.mark.parametrize("kind", SHOCKS)
@pytest.mark.parametrize("clamp", [{}, {"low": "0.2"}, {"high": "2"}, {"low": "0.2", "high": "2"}])
def test_documents_are_read_as_they_are_written(kind: str, clamp: dict[str, str]) -> None:
    parsed = block(**{kind: SHOCKS[kind] | ({"clamp": clamp} if clamp else {})})
    assert volatility.parse(parsed.to_document()) == parsed
    assert ("clamp" in str(parsed.to_document())) is ((kind == "skew" and bool(clamp)) or "high" in clamp)


MISTAKES: dict[str, tuple[Any, str]] = {
    "empty": ({}, ".clamp: neither low nor high (expected low, high or both, or no clamp)"),
    "unknown": ({"middle": "1"}, ".clamp: unknown member 'middle'"),
    "no object": ("0.3", ".clamp: "),
    "negative": ({"low": "-0.1"}, ".clamp.low: -0.1 is out of range (expected at least 0 and at most 100)"),
    "crossed": (
        {"low": "0.5", "high": "0.4"},
        ".clamp.high: 0.4 is out of range (expected at least 0.5 and at most 100)",
    ),
    "number": ({"high": 2}, ".clamp.high: int in place of a number"),
}


@pytest.mark.parametrize("kind", SHOCKS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused_at_their_place(kind: str, mistake: str) -> None:
    clamp, message = MISTAKES[mistake]
    where = f"volatility.shocks.{kind}.{kind}"
    with pytest.raises((ModelError, EncodingError), match="^" + re.escape(where + message)):
        block(**{kind: {**SHOCKS[kind], "clamp": clamp}})


def test_a_minimum_and_a_low_are_one_too_many() -> None:
    with pytest.raises(ModelError, match=r"add\.clamp\.low: the shock has a minimum \(expected one of the two\)"):
        block(add={**SHOCKS["add"], "minimum": "0.1", "clamp": {"low": "0.1"}})
    with pytest.raises(ModelError, match=r"add\.clamp\.high: 0\.05 is out of range \(expected at least 0\.1 "):
        block(add={**SHOCKS["add"], "minimum": "0.1", "clamp": {"high": "0.05"}})
