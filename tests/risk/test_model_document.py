"""The model document: what crypto-pm says, what is refused and where, and the exact scaling of volatility shocks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import mpmath
import pytest

from riskproof import encoding
from riskproof.errors import EncodingError, ModelError
from riskproof.market.registry import Kind
from riskproof.risk.model import (
    MAX_HAIRCUTS,
    MAX_SCENARIOS,
    Collateral,
    RiskModel,
    Scenario,
    VolScaling,
    load_model,
    shipped_models,
)
from riskproof.units import RATIO_ONE, SECONDS_PER_DAY, format_decimal

GOLDEN_CRYPTO_PM = "54f6230419b998709c7b7540ea2771e93b2309b093df459fcd6576ef7b37d1a2"


def document() -> dict[str, Any]:
    return json.loads(load_model("crypto-pm").to_bytes())


def changed(path: str, value: object) -> bytes:
    """crypto-pm with one member replaced, as canonical bytes."""
    node = root = document()
    *parents, last = path.split(".")
    for step in parents:
        node = node[int(step)] if isinstance(node, list) else node[step]
    if isinstance(node, list):
        node[int(last)] = value
    elif value is ...:
        del node[last]
    else:
        node[last] = value
    return encoding.canonical_json(root)


def test_crypto_pm_is_what_it_promises() -> None:
    model = load_model("crypto-pm")
    moves = {s.price_shock for s in model.scenarios}
    assert len(moves) >= 15
    assert (min(moves), max(moves)) == (-RATIO_ONE // 2, RATIO_ONE // 2)
    assert moves == {-x for x in moves}
    assert 45 <= len(model.scenarios) <= 55
    still = [s for s in model.scenarios if s.time_shift_seconds == 0]
    for move in moves:
        assert {(s.vol_shock > 0) - (s.vol_shock < 0) for s in still if s.price_shock == move} == {-1, 0, 1}
    assert {s.time_shift_seconds for s in model.scenarios} == {0, SECONDS_PER_DAY}
    assert all(rate > 0 for _, rate in model.buffer_rates)
    assert model.initial_factor > model.maintenance_factor == RATIO_ONE
    assert model.haircut("USDC") < model.haircut("BTC") == model.haircut("ETH") < model.haircut("SOL")
    assert model.haircut("SOL") < model.haircut("DOGE") == RATIO_ONE // 5


def test_crypto_pm_digest_is_golden() -> None:
    assert load_model("crypto-pm").digest.hex() == GOLDEN_CRYPTO_PM


def test_every_shipped_model_round_trips() -> None:
    assert "crypto-pm" in shipped_models()
    for name in shipped_models():
        model = load_model(name)
        assert model.name == name
        assert RiskModel.from_bytes(model.to_bytes()) == model
        assert RiskModel.from_bytes(model.to_bytes()).digest == model.digest


def test_every_member_changes_the_digest() -> None:
    digests = {load_model("crypto-pm").digest}
    changes = (
        ("name", "other"),
        ("description", "other"),
        ("scenarios.0.id", "other"),
        ("scenarios.0.price_shock", "-0.51"),
        ("scenarios.0.vol_shock", "0.46"),
        ("scenarios.0.time_shift_seconds", 1),
        ("unshocked", []),
        ("vol_scaling.reference_days", 31),
        ("vol_scaling.floor_days", 2),
        ("vol_scaling.short_exponent", "0.31"),
        ("vol_scaling.long_exponent", "0.31"),
        ("buffer.gross_notional.option", "0.006"),
        ("collateral", ...),
        ("collateral.other", "0.21"),
        ("collateral.haircuts", {}),
        ("collateral.haircuts.BTC", "0.06"),
        ("collateral.haircuts.BTC", ...),
        ("collateral.haircuts.DOGE", "0.2"),
        ("factors.initial", "1.26"),
        ("factors.maintenance", "1.01"),
        ("max_snapshot_age_seconds", 3_600),
    )
    for path, value in changes:
        digests.add(RiskModel.from_bytes(changed(path, value)).digest)
    assert len(digests) == len(changes) + 1


@pytest.mark.parametrize(
    ("path", "value", "where", "what"),
    [
        ("schema", "riskproof/model/v2", "model.schema", "not a model of this version"),
        ("name", "crypto pm", "model.name", "not a name"),
        ("description", "", "model.description", "not a printable string"),
        ("scenarios", [], "model.scenarios", "0 scenarios"),
        ("scenarios", "all", "model.scenarios", "not an array in range"),
        ("scenarios.3.id", "p-50/v+", "model.scenarios[3].id", "p-50/v+ is listed twice, first at scenarios[0]"),
        ("scenarios.1.id", "a b", "model.scenarios[1].id", "not a name"),
        ("scenarios.2.price_shock", "-0.91", "model.scenarios[2].price_shock", "-0.91 is out of range"),
        ("scenarios.2.price_shock", "9.1", "model.scenarios[2].price_shock", "9.1 is out of range"),
        ("scenarios.2.price_shock", "0.50", "model.scenarios[2].price_shock", "not the canonical decimal"),
        ("scenarios.2.price_shock", "5e-1", "model.scenarios[2].price_shock", "not a plain decimal number"),
        ("scenarios.2.price_shock", "NaN", "model.scenarios[2].price_shock", "not a plain decimal number"),
        ("scenarios.2.price_shock", "0.0000000000001", "model.scenarios[2].price_shock", "finer than the unit"),
        ("scenarios.2.price_shock", 0, "model.scenarios[2].price_shock", "not a printable string"),
        ("scenarios.0.vol_shock", "1.1", "model.scenarios[0].vol_shock", "leaves the kernel's domain"),
        ("scenarios.0.vol_shock", "-0.37", "model.scenarios[0].vol_shock", "leaves the kernel's domain"),
        ("scenarios.0.time_shift_seconds", -1, "model.scenarios[0].time_shift_seconds", "out of range"),
        ("scenarios.0.time_shift_seconds", "0", "model.scenarios[0].time_shift_seconds", "not an integer in range"),
        ("scenarios.0.weight", "1", "model.scenarios[0]", "unknown member 'weight'"),
        ("scenarios.0.vol_shock", ..., "model.scenarios[0]", "member 'vol_shock' is missing"),
        ("unshocked", ["USDT", "USDC"], "model.unshocked", "not sorted"),
        ("unshocked", ["USDC", "USDC"], "model.unshocked", "an underlying twice"),
        ("unshocked", ["US DC"], "model.unshocked[0]", "not a name"),
        ("vol_scaling", ..., "model", "member 'vol_scaling' is missing"),
        ("vol_scaling.reference_days", 0, "model.vol_scaling.reference_days", "out of range"),
        ("vol_scaling.floor_days", 3651, "model.vol_scaling.floor_days", "out of range"),
        ("vol_scaling.short_exponent", "-0.1", "model.vol_scaling.short_exponent", "-0.1 is out of range"),
        ("vol_scaling.long_exponent", "1.1", "model.vol_scaling.long_exponent", "1.1 is out of range"),
        ("buffer.gross_notional.option", "-0.1", "model.buffer.gross_notional.option", "-0.1 is out of range"),
        ("buffer.gross_notional.option", "1.1", "model.buffer.gross_notional.option", "1.1 is out of range"),
        ("buffer.gross_notional.option", ..., "model.buffer.gross_notional", "member 'option' is missing"),
        ("buffer.net_delta", "0.1", "model.buffer", "unknown member 'net_delta'"),
        ("collateral", None, "model.collateral", "NoneType in place of an object"),
        ("collateral.other", ..., "model.collateral", "member 'other' is missing"),
        ("collateral.haircuts", ..., "model.collateral", "member 'haircuts' is missing"),
        ("collateral.cap", "1", "model.collateral", "unknown member 'cap'"),
        ("collateral.haircuts", [], "model.collateral.haircuts", "list in place of an object"),
        ("collateral.haircuts.BTC", "1.000000000001", "model.collateral.haircuts.BTC", "is out of range"),
        ("collateral.haircuts.BTC", "-0.01", "model.collateral.haircuts.BTC", "-0.01 is out of range"),
        ("collateral.haircuts.BTC", "0.050", "model.collateral.haircuts.BTC", "not the canonical decimal: 0.050"),
        ("collateral.haircuts.BTC", "5%", "model.collateral.haircuts.BTC", "not a plain decimal number"),
        ("collateral.haircuts.BTC", "0.0000000000001", "model.collateral.haircuts.BTC", "finer than the unit"),
        ("collateral.haircuts.BTC", 0, "model.collateral.haircuts.BTC", "not a printable string"),
        ("collateral.haircuts.B TC", "0.1", "model.collateral.haircuts", "not a name: 'B TC'"),
        ("collateral.haircuts.", "0.1", "model.collateral.haircuts", "not a name: ''"),
        ("collateral.haircuts.B\nTC", "0.1", "model.collateral.haircuts", "not a name: 'B\\nTC'"),
        ("collateral.other", "1.1", "model.collateral.other", "1.1 is out of range"),
        ("collateral.other", "-0.1", "model.collateral.other", "-0.1 is out of range"),
        ("factors.initial", "0.99", "model.factors.initial", "0.99 is out of range"),
        ("factors.maintenance", "0", "model.factors.maintenance", "0 is out of range"),
        ("rounding.pnl", "nearest", "model.rounding.pnl", "not the rounding of this version"),
        ("rounding.decimals", 8, "model.rounding.decimals", "not the rounding of this version"),
        ("max_snapshot_age_seconds", 0, "model.max_snapshot_age_seconds", "out of range"),
        ("colour", "red", "model", "unknown member 'colour'"),
    ],
)
def test_wrong_members_are_refused_at_their_path(path: str, value: object, where: str, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        RiskModel.from_bytes(changed(path, value))
    assert caught.value.where == where
    assert what in caught.value.what


def test_a_model_may_say_nothing_about_collateral() -> None:
    silent = RiskModel.from_bytes(changed("collateral", ...))
    assert silent.collateral is None
    assert "collateral" not in silent.to_document()
    assert RiskModel.from_bytes(silent.to_bytes()).digest == silent.digest
    with pytest.raises(ModelError, match=r"^collateral: crypto-pm does not say what collateral is worth"):
        silent.haircut("BTC")


def test_haircuts_by_asset() -> None:
    model = RiskModel.from_bytes(changed("collateral", {"haircuts": {"A": "0", "B": "1"}, "other": "0.000000000001"}))
    assert [model.haircut(asset) for asset in ("A", "B", "C")] == [0, RATIO_ONE, 1]
    assert RiskModel.from_bytes(changed("collateral", {"haircuts": {}, "other": "0"})).haircut("BTC") == 0


def test_too_many_haircuts_are_refused() -> None:
    most = {f"C{i}": "0.1" for i in range(MAX_HAIRCUTS)}
    assert (
        RiskModel.from_bytes(changed("collateral", {"haircuts": most, "other": "1"})).haircut("C7") == RATIO_ONE // 10
    )
    with pytest.raises(ModelError, match=r"^model\.collateral\.haircuts: 257 assets \(expected at most 256\)"):
        RiskModel.from_bytes(changed("collateral", {"haircuts": most | {"D": "0.1"}, "other": "1"}))


def test_haircuts_in_another_order_are_refused() -> None:
    model = load_model("crypto-pm")
    for haircuts in ((("B", 0), ("A", 0)), (("A", 0), ("A", 1))):
        with pytest.raises(ModelError, match=r"^collateral\.haircuts: not sorted, or an asset twice"):
            replace(model, collateral=Collateral(haircuts, 0))
    assert model.collateral is not None
    document = model.to_document()
    texts = {asset: format_decimal(rate, 12) for asset, rate in reversed(model.collateral.haircuts)}
    document["collateral"] = {"haircuts": texts, "other": "0.2"}
    assert RiskModel.from_document(document) == model


def test_bytes_that_are_not_canonical_are_refused() -> None:
    data = load_model("crypto-pm").to_bytes()
    for wrong, what in (
        (data + b"\n", "not canonical JSON"),
        (data[:-1], "not JSON"),
        (json.dumps(document(), indent=1).encode(), "not canonical JSON"),
        (b"\xff" + data, "not UTF-8"),
        (data.replace(b'"name":', b'"name":"x","name":'), "member name twice"),
        (b" " * (1 << 20) + data, "bytes are too many"),
    ):
        with pytest.raises(EncodingError, match=what):
            RiskModel.from_bytes(wrong)


def test_too_many_scenarios_are_refused() -> None:
    scenario = document()["scenarios"][0]
    many = [scenario | {"id": f"s{i}"} for i in range(MAX_SCENARIOS + 1)]
    with pytest.raises(ModelError, match=r"scenarios: not an array in range \(expected an array of at most 4096"):
        RiskModel.from_bytes(changed("scenarios", many))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelError, match="no model 'span99' ships"):
        load_model("span99")
    with pytest.raises(ModelError, match=r"no model '\.\./models/crypto-pm' ships"):
        load_model("../models/crypto-pm")
    with pytest.raises(ModelError, match="no scenario 'p-51' in crypto-pm"):
        load_model("crypto-pm").scenario_index("p-51")
    assert load_model("crypto-pm").scenario_index("p-50/v0") == 1


def test_scale_is_the_nearest_integer_to_the_exact_power() -> None:
    scaling = load_model("crypto-pm").vol_scaling
    tenors = [0, 1, 3_600, 86_399, 86_400, 86_401, *range(90_000, 12_000_000, 123_457), 315_360_000]
    with mpmath.workdps(80):
        for seconds in tenors:
            tenor = max(seconds, scaling.floor_days * SECONDS_PER_DAY)
            reference = scaling.reference_days * SECONDS_PER_DAY
            p = scaling.short_exponent if tenor <= reference else scaling.long_exponent
            exact = mpmath.power(mpmath.mpf(reference) / tenor, mpmath.mpf(p) / RATIO_ONE) * RATIO_ONE
            assert scaling.scale(seconds) == int(mpmath.nint(exact)), seconds


def test_scale_at_its_corners() -> None:
    scaling = VolScaling(30, 7, RATIO_ONE // 2, 0)
    assert scaling.scale(30 * SECONDS_PER_DAY) == RATIO_ONE
    assert scaling.scale(3_000 * SECONDS_PER_DAY) == RATIO_ONE
    assert scaling.scale(0) == scaling.scale(7 * SECONDS_PER_DAY) > scaling.scale(8 * SECONDS_PER_DAY) > RATIO_ONE
    assert VolScaling(4, 1, RATIO_ONE // 2, 0).scale(0) == 2 * RATIO_ONE
    scales = [load_model("crypto-pm").vol_scaling.scale(s) for s in range(0, 100_000_000, 1_000_003)]
    assert scales == sorted(scales, reverse=True)


def test_shocks_round_to_the_nearest_ties_to_even() -> None:
    scaling = load_model("crypto-pm").vol_scaling
    assert scaling.shocked_volatility(500_000_000_000, 450_000_000_000, RATIO_ONE) == 725_000_000_000
    assert scaling.shocked_volatility(1, RATIO_ONE // 2, RATIO_ONE) == 2  # 1.5
    assert scaling.shocked_volatility(1, -RATIO_ONE // 2, RATIO_ONE) == 0  # 0.5
    down = Scenario("down", -RATIO_ONE // 2, 0, 0)
    assert [down.shocked_price(x) for x in (3, 5, 7, 10**16)] == [2, 2, 4, 5 * 10**15]


def test_buffer_rates_cover_every_kind_in_order() -> None:
    model = load_model("crypto-pm")
    assert tuple(k for k, _ in model.buffer_rates) == tuple(Kind)
    with pytest.raises(ModelError, match=r"buffer\.gross_notional: not one rate for each kind"):
        RiskModel(
            model.name,
            model.description,
            model.scenarios,
            model.unshocked,
            model.vol_scaling,
            model.buffer_rates[:3],
            model.initial_factor,
            model.maintenance_factor,
            model.max_snapshot_age_seconds,
        )
