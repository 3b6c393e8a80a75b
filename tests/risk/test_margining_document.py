"""Documents of models of version 2: one digest for one meaning, and every mistake refused at its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from riskproof import encoding
from riskproof.errors import ModelError
from riskproof.risk.margining import MarginModel, load, load_model, names, read, shipped_models
from riskproof.risk.model import RiskModel
from riskproof.risk.model import load_model as load_version1


def base() -> dict[str, Any]:
    text = (resources.files("riskproof.risk.models.v2") / "derive-pm2.json").read_text()
    return json.loads(text)


def scenario(i: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda d: d["grid"]["scenarios"][i]


def test_digests_do_not_change() -> None:
    """A digest is what attestations name: another one is another model."""
    assert {name: load_model(name).digest.hex() for name in shipped_models() if name.startswith("derive")} == {
        "derive-pm1": "4a87377955f4616b012f3636456fb90baf8ef0898504208e1dbf0d440692e0dd",
        "derive-pm2": "041b1f7351773da151d18e0de5d4b1fdf87238d0d9a26560eb4a969f8a743c19",
        "derive-srm": "a2282ffee7091c4d7d9cb62d2f4ae550c203662ae09dbe28ffbed2637ee43529",
    }
    assert load_version1("crypto-pm").digest.hex() == "54f6230419b998709c7b7540ea2771e93b2309b093df459fcd6576ef7b37d1a2"


@pytest.mark.parametrize("name", shipped_models())
def test_the_expanded_document_is_a_fixed_point(name: str) -> None:
    model = load_model(name)
    again = MarginModel.from_bytes(model.to_bytes())
    assert again == model
    assert again.to_bytes() == model.to_bytes() == encoding.canonical_json(model.to_document())
    assert model.name == name
    assert len(model.checked) > 100


def test_what_no_margin_depends_on() -> None:
    assert [name for name in shipped_models() if load_model(name).unused] == []
    document = json.loads((resources.files("riskproof.risk.models.v2") / "joint-es.json").read_text())
    ids = [s["id"] for s in document["tail"]["sets"]]
    document["aggregate"] = {
        "account": {"equity": "value.total", "initial": f"joint_tail.{ids[0]}", "maintenance": "0"}
    }
    assert f"tail set {ids[1]}" in MarginModel.from_document(document).unused
    assert f"tail set {ids[0]}" not in MarginModel.from_document(document).unused
    document = json.loads((resources.files("riskproof.risk.models.v2") / "cross.json").read_text())
    assert MarginModel.from_document(document).unused == ()  # the scenarios are those of the charge `standalone`
    document["aggregate"]["account"] |= {"initial": "0", "maintenance": "0"}
    assert "scenarios of group all" in MarginModel.from_document(document).unused


def test_models_of_both_versions_have_one_door() -> None:
    assert "crypto-pm" in names()
    assert isinstance(load("crypto-pm"), RiskModel)
    assert isinstance(load("derive-pm1"), MarginModel)
    assert read(load("crypto-pm").to_bytes()) == load("crypto-pm")
    assert read(json.dumps(base(), indent=3).encode()) == load("derive-pm2")
    with pytest.raises(ModelError, match=r"model: no model 'deriv' ships \(expected cross, crypto-pm, "):
        load("deriv")
    with pytest.raises(ModelError, match="model: no model 'x' ships"):
        load_model("x")


def test_macros_are_another_way_to_write_the_same() -> None:
    document = base()
    document["grid"]["scenarios"] = [
        {
            "product": {"price": {"linspace": {"from": "-0.1", "to": "0.1", "count": 3}}, "vol": ["up", "down"]},
            "common": {"group": "regular"},
        },
        {
            "table": {"columns": ["id", "price", "weight"], "rows": [["t1", "-0.5", "1/3"], ["t2", "0.5", "1/3"]]},
            "common": {"group": "tail"},
        },
        {"id": "s", "vol": "linear", "group": "skew", "expiry_pnl": "adverse", "weight": "1", "time_shift_seconds": 0},
    ]
    written = MarginModel.from_document(document)
    document["grid"]["scenarios"] = [
        *(
            {"id": f"{p}/{v}", "price": p, "vol": v, "group": "regular"}
            for p in ("-0.1", "0", "0.1")
            for v in ("up", "down")
        ),
        {"id": "t1", "price": "-0.5", "weight": "1/3", "group": "tail"},
        {"id": "t2", "price": "0.5", "weight": "1/3", "group": "tail"},
        {"id": "s", "vol": "linear", "group": "skew", "expiry_pnl": "adverse"},
    ]
    listed = MarginModel.from_document(document)
    assert written == listed
    assert written.digest == listed.digest
    assert written.digest != load("derive-pm2").digest


def at(*path: str | int) -> Callable[[dict[str, Any]], tuple[Any, Any]]:
    def find(document: dict[str, Any]) -> tuple[Any, Any]:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        return node, path[-1]

    return find


TABLE = ("grid", "scenarios", 23, "table")
POWER = ("volatility", "scaling", "power")
MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], tuple[Any, Any]], Any, str]] = {
    "another schema": (
        at("schema"),
        "riskproof/model/v3",
        r"m\.schema: not a model of this version \(expected riskproof/model/v2\)",
    ),
    "unknown member": (at("grids"), {}, r"m: unknown member 'grids' \(expected schema, name"),
    "name": (at("name"), "a b", r"m\.name: not a name: 'a b'"),
    "no text": (at("checked"), "", r"m\.checked: not a printable string"),
    "duplicate scenario": (
        at("grid", "scenarios", 1, "id"),
        "+18%/up",
        r"m\.grid\.scenarios\[1\]\.id: \+18%/up is listed twice, first at grid\.scenarios\[0\] \(expected one scenario of",
    ),
    "unknown shock": (
        at("grid", "scenarios", 0, "vol"),
        "sideways",
        r"m\.grid\.scenarios\[0\]\.vol: not one of the choices: 'sideways' \(expected abs, down, linear, up\)",
    ),
    "price to zero": (
        at("grid", "scenarios", 0, "price"),
        "-1",
        r"m\.grid\.scenarios\[0\]\.price: the price does not stay positive \(expected above -1\)",
    ),
    "negative weight": (
        at("grid", "scenarios", 0, "weight"),
        "-0.5",
        r"m\.grid\.scenarios\[0\]\.weight: -0\.5 is out of range \(expected at least 0 and at most 100\)",
    ),
    "weight beyond": (
        at("grid", "scenarios", 0, "weight"),
        "100.5",
        r"m\.grid\.scenarios\[0\]\.weight: 100\.5 is out of range \(expected at least 0 and at most 100\)",
    ),
    "negative dampener": (
        at("grid", "scenarios", 0, "dampener"),
        "-1",
        r"m\.grid\.scenarios\[0\]\.dampener: -1 is out of range \(expected at least 0 and at most 1000000000000\)",
    ),
    "dampener of a table": (
        at("grid", "scenarios", 23, "common", "dampener"),
        "-0.5",
        r"m\.grid\.scenarios\[23\]\.common\.dampener: -0\.5 is out of range",
    ),
    "number, not text": (
        at("grid", "scenarios", 0, "price"),
        1,
        r"m\.grid\.scenarios\[0\]\.price: int in place of a number",
    ),
    "not canonical": (
        at("grid", "scenarios", 0, "price"),
        "0.180",
        r"m\.grid\.scenarios\[0\]\.price: not a number: '0\.180'",
    ),
    "fraction of a decimal": (
        at("grid", "scenarios", 0, "price"),
        "1/4",
        r"m\.grid\.scenarios\[0\]\.price: not the canonical number: 1/4 \(expected 0\.25\)",
    ),
    "fraction not in lowest terms": (
        at("grid", "scenarios", 0, "price"),
        "2/6",
        r"not the canonical number: 2/6 \(expected 1/3\)",
    ),
    "too many digits": (at("grid", "scenarios", 0, "price"), "0." + "1" * 60, r"price: not a number"),
    "scenario without id": (
        at("grid", "scenarios", 0),
        {"price": "0"},
        r"m\.grid\.scenarios\[0\]: member 'id' is missing",
    ),
    "unknown scenario member": (
        at("grid", "scenarios", 0, "shock"),
        "1",
        r"m\.grid\.scenarios\[0\]: unknown member 'shock'",
    ),
    "time that runs back": (
        at("grid", "scenarios", 0, "time_shift_seconds"),
        -1,
        r"time_shift_seconds: not an integer in range",
    ),
    "sign": (
        at("grid", "scenarios", 0, "expiry_pnl"),
        "both",
        r"expiry_pnl: not one of the choices: 'both' \(expected signed, adverse\)",
    ),
    "table of a wrong width": (
        at(*TABLE, "rows", 1),
        ["x"],
        r"m\.grid\.scenarios\[23\]\.table\.rows\[1\]: 1 cells \(expected 4, one for each column\)",
    ),
    "table column twice": (
        at(*TABLE, "columns"),
        ["id", "id", "vol", "weight"],
        r"table\.columns: a column twice \(expected each column once\)",
    ),
    "common and table": (
        at("grid", "scenarios", 23, "common", "price"),
        "0",
        r"common\.price: price is given by grid\.scenarios\[23\]\.table\.rows\[0\] too",
    ),
    "grid that falls": (
        at("grid", "scenarios", 0),
        {"product": {"price": ["0.1", "-0.1"]}},
        r"m\.grid\.scenarios\[0\]\.product\.price: the grid does not rise",
    ),
    "value twice": (
        at("grid", "scenarios", 0),
        {"product": {"price": ["0.1", "0.1"]}},
        r"m\.grid\.scenarios\[0\]\.product\.price: a value twice \(expected each value once\)",
    ),
    "linspace that falls": (
        at("grid", "scenarios", 0),
        {"product": {"price": {"linspace": {"from": "0", "to": "-1/3", "count": 2}}}},
        r"linspace\.to: the grid does not rise \(expected above 0\)",
    ),
    "linspace of one": (
        at("grid", "scenarios", 0),
        {"product": {"price": {"linspace": {"from": "0", "to": "1", "count": 1}}}},
        r"linspace\.count: not an integer in range",
    ),
    "scale without scaling": (
        at("volatility"),
        {"shocks": {"up": {"add": {"amount": "0", "scaled": True}}}},
        r"m\.volatility\.shocks\.up\.add\.scaled: a scaled shock without a scaling",
    ),
    "two kinds of shock": (
        at("volatility", "shocks", "up"),
        {"add": {}, "skew": {}},
        r"m\.volatility\.shocks\.up: not one known kind: add, skew",
    ),
    "power out of range": (at(*POWER, "short"), "11", r"m\.volatility\.scaling\.power\.short: 11 is out of range"),
    "reference of no days": (at(*POWER, "reference_days"), "0", r"reference_days: 0 is out of range"),
    "days that fall": (
        at("volatility", "scaling"),
        {"table": {"days": ["7", "1"], "multipliers": ["1", "2"]}},
        r"m\.volatility\.scaling\.table\.days\[1\]: the days do not rise \(expected above 7\)",
    ),
    "a multiplier short": (
        at("volatility", "scaling"),
        {"table": {"days": ["1", "7"], "multipliers": ["1"]}},
        r"table\.multipliers: 1 multipliers \(expected 2",
    ),
    "unknown kernel": (at("pricing", "kernel"), "black76-float64", r"m\.pricing\.kernel: not one of the choices"),
    "no side": (at("pricing", "static_discount"), {}, r"m\.pricing\.static_discount: neither side"),
    "limit on gains": (
        at("pricing", "static_discount", "long", "limit"),
        "undiscounted",
        r"static_discount\.long: unknown member 'limit'",
    ),
    "netting": (
        at("netting", "sets"),
        "pairs",
        r"m\.netting\.sets: not one of the choices: 'pairs' \(expected account, underlying, expiry\)",
    ),
    "unknown charge": (
        at("charges", 0, "kind"),
        "vega",
        r"m\.charges\[0\]\.kind: not one of the choices: 'vega' \(expected notional, haircut, ",
    ),
    "charge without id": (at("charges", 0), {"kind": "haircut"}, r"m\.charges\[0\]: member 'id' is missing"),
    "charge that is text": (at("charges", 0), "haircut", r"m\.charges\[0\]: str in place of a charge"),
    "charge id": (at("charges", 0, "id"), "Basis", r"m\.charges\[0\]\.id: not an id: 'Basis'"),
    "charge id twice": (at("charges", 1, "id"), "basis", r"m\.charges\[1\]\.id: basis is listed twice"),
    "negative rate": (
        at("charges", 1, "rates", "initial"),
        "-0.1",
        r"m\.charges\[1\]\.rates\.initial: -0\.1 is out of range",
    ),
    "one margin only": (
        at("charges", 1, "rates"),
        {"initial": "0.1"},
        r"m\.charges\[1\]\.rates: member 'maintenance' is missing",
    ),
    "unknown exposure": (at("charges", 1, "exposure"), "gamma", r"m\.charges\[1\]\.exposure: not one of the choices"),
    "feed of another exposure": (
        at("charges", 4, "feeds"),
        ["volatility"],
        r"m\.charges\[4\]\.feeds\[0\]: not one of the choices: 'volatility'",
    ),
    "no feed": (at("charges", 4, "feeds"), [], r"m\.charges\[4\]\.feeds: no feed, or one twice"),
    "threshold above one": (at("charges", 4, "threshold"), "1.1", r"m\.charges\[4\]\.threshold: 1\.1 is out of range"),
    "basis that rises down": (
        at("charges", 0, "down"),
        "0.1",
        r"m\.charges\[0\]\.down: 0\.1 is out of range \(expected at most 0\)",
    ),
    "basis to zero": (at("charges", 0, "down"), "-1", r"m\.charges\[0\]\.down: the price does not stay positive"),
    "missing root": (
        at("aggregate", "account"),
        {"equity": "0", "initial": "0"},
        r"m\.aggregate\.account: term 'maintenance' is missing",
    ),
    "unknown name": (
        at("aggregate", "account", "equity"),
        "value.gold",
        r"m\.aggregate\.account\.equity: no number 'value\.gold' \(expected charge\.basis, ",
    ),
    "unknown group": (
        at("aggregate", "set", "worst"),
        "loss.rare",
        r"m\.aggregate\.set\.worst: no number 'loss\.rare'",
    ),
    "cash in a set": (
        at("aggregate", "set", "worst"),
        "value.cash",
        r"m\.aggregate\.set\.worst: no number 'value\.cash'",
    ),
    "cycle": (
        at("aggregate", "set"),
        {"worst": "a", "a": {"max": ["0", "b"]}, "b": {"sum": ["1", "worst"]}},
        r"m\.aggregate\.set\.a: a term needs itself: a -> b -> worst -> a",
    ),
    "cycle of one": (
        at("aggregate", "account", "initial"),
        {"sum": ["initial", "1"]},
        r"a term needs itself: initial -> initial",
    ),
    "root in a set": (
        at("aggregate", "set", "equity"),
        "0",
        r"m\.aggregate\.set\.equity: the account's term of this name",
    ),
    "one name twice": (
        at("aggregate", "account", "worst"),
        "0",
        r"m\.aggregate\.set\.worst: a term of the account too",
    ),
    "unknown operation": (
        at("aggregate", "account", "equity"),
        {"div": ["1", "2"]},
        r"m\.aggregate\.account\.equity: not one of the choices: 'div'",
    ),
    "nothing to combine": (
        at("aggregate", "account", "equity"),
        {"sum": []},
        r"m\.aggregate\.account\.equity\.sum: nothing to combine",
    ),
    "term's name": (at("aggregate", "set", "A"), "0", r"m\.aggregate\.set: not a term's name: 'A'"),
    "deep expression": (
        at("aggregate", "account", "equity"),
        json.loads('{"sum":[' * 18 + '"1"' + "]}" * 18),
        r"nested too deeply",
    ),
    "rounding mode": (
        at("aggregate", "account", "equity"),
        {"round": {"value": "1", "decimals": 2, "mode": "nearest"}},
        r"round\.mode: not one of the choices",
    ),
    "haircut above ten": (
        at("collateral", "assets", "DAI", "initial"),
        "10.1",
        r"m\.collateral\.assets\.DAI\.initial: 10\.1 is out of range \(expected at least 0 and at most 10\)",
    ),
    "moves": (
        at("collateral", "assets", "DAI", "moves"),
        "yes",
        r"m\.collateral\.assets\.DAI\.moves: not true or false",
    ),
    "conversion": (at("collateral", "conversion"), "usd", r"m\.collateral\.conversion: not one of the choices"),
    "markets": (at("collateral", "markets"), [], r"m\.collateral\.markets: not an object of markets"),
    "decimals": (at("rounding", "value", "decimals"), 19, r"m\.rounding\.value\.decimals: not an integer in range"),
    "direction": (
        at("rounding", "requirement", "direction"),
        "away",
        r"m\.rounding\.requirement\.direction: not one of the choices",
    ),
    "no legs": (at("limits", "legs"), 0, r"m\.limits\.legs: not an integer in range"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_refused_at_its_place(mistake: str) -> None:
    find, value, message = MISTAKES[mistake]
    document = base()
    node, key = find(document)
    node[key] = value
    with pytest.raises(ModelError, match=message) as caught:
        MarginModel.from_document(document, "m")
    assert caught.value.where.startswith("m")
    assert caught.value.expected or "missing" in caught.value.what


@pytest.mark.parametrize("member", [m for m in load("derive-pm2").to_document() if m != "collateral"])
def test_every_block_is_needed(member: str) -> None:
    document = base()
    del document[member]
    with pytest.raises(ModelError, match=f"m: member '{member}' is missing"):
        MarginModel.from_document(document, "m")


def test_a_number_of_the_tail_block_is_refused_at_its_place() -> None:
    document = json.loads((resources.files("riskproof.risk.models.v2") / "joint-es.json").read_text())
    document["tail"]["sets"][1]["betas"]["BTC"] = "1/3"
    message = r"^m\.tail\.sets\[1\]\.betas\.BTC: not a plain decimal number: '1/3' \(expected digits such as -12\.5\)$"
    with pytest.raises(ModelError, match=message):
        MarginModel.from_document(document, "m")


def test_products_of_products_are_refused() -> None:
    document = base()
    terms = document["aggregate"]["account"]
    for i in range(20):
        terms[f"a{i}"] = {"mul": ["9" * 48 if i == 0 else f"a{i - 1}"] * 64}
    with pytest.raises(
        ModelError, match=r"m\.aggregate\.account\.a1: a product of too many numbers \(expected at most 65536"
    ):
        MarginModel.from_document(document, "m")


def test_a_haircut_needs_a_collateral_block() -> None:
    document = base()
    del document["collateral"]
    with pytest.raises(ModelError, match=r"m\.charges\[3\]\.kind: haircuts without a collateral block"):
        MarginModel.from_document(document, "m")


def test_a_model_may_limit_its_scenarios_and_joint_moves() -> None:
    document = base()
    limits = document["limits"]
    assert "scenarios" not in MarginModel.from_document(document).to_document()["limits"]
    limits["scenarios"] = 31
    limited = MarginModel.from_document(document)
    assert limited.limits.scenarios == limited.to_document()["limits"]["scenarios"] == 31
    assert limited.digest != load("derive-pm2").digest
    for most, message in (
        (30, r"^m\.grid\.scenarios: 31 scenarios \(expected at most 30, which is limits\.scenarios\)$"),
        (0, r"^m\.limits\.scenarios: not an integer in range"),
        (4_097, r"^m\.limits\.scenarios: not an integer in range"),
        (True, r"^m\.limits\.scenarios: "),
    ):
        limits["scenarios"] = most
        with pytest.raises(ModelError, match=message):
            MarginModel.from_document(document, "m")
    document = json.loads((resources.files("riskproof.risk.models.v2") / "joint-es.json").read_text())
    moves = load("joint-es").tail.moves
    document["limits"]["scenarios"] = moves
    assert MarginModel.from_document(document).limits.scenarios == moves > 500
    document["limits"]["scenarios"] = moves - 1
    message = rf"^m\.tail\.sets: {moves} joint moves \(expected at most {moves - 1}, which is limits\.scenarios\)$"
    with pytest.raises(ModelError, match=message):
        MarginModel.from_document(document, "m")


def test_too_many_scenarios_are_refused() -> None:
    document = copy.deepcopy(base())
    values = {"linspace": {"from": "0", "to": "1", "count": 4_096}}
    document["grid"]["scenarios"].append({"product": {"price": values}})
    with pytest.raises(ModelError, match=r"m\.grid\.scenarios: too many scenarios \(expected at most 4096\)"):
        MarginModel.from_document(document, "m")
    document["grid"]["scenarios"][-1] = {"product": {"price": values, "vol": ["up", "down"]}}
    with pytest.raises(ModelError, match=r"product: 8192 combinations"):
        MarginModel.from_document(document, "m")
