"""Derive's second portfolio margin at both ends of every parameter's range, and around expiry, against float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from riskproof.errors import SnapshotError
from riskproof.risk.margining import MarginModel, evaluate_model
from tests.conformance import derive_pm2
from tests.conformance.float_pm2 import margins
from tests.conformance.test_derive import document

RANGES = {
    "VolShock": {
        "VOLRANGEUP": "0 10",
        "VOLRANGEDOWN": "0 10",
        "SHORTTERMPOWER": "0 10",
        "LONGTERMPOWER": "0 10",
        "DTE_FLOOR": "0 400",
        "MIN_VOL_EVAL_SHOCKED": "0 20",
    },
    "Margin": {
        "IM_LOSS_FACTOR": "0.5 10",
        "MM_LOSS_FACTOR": "0.5 10",
        "SHORT_RATE_MULTSCALE": "0 10",
        "LONG_RATE_MULTSCALE": "0 10",
        "SHORT_RATE_ADDSCALE": "0 10",
        "LONG_RATE_ADDSCALE": "0 10",
        "BASE_STATIC_DISCOUNT": "0 4",
        "BASE_STATIC_DISCOUNT_NEG": "0 4",
    },
    "BasisContingency": {
        "SCENARIO_SPOT_UP": "1.0001 2.999999",
        "SCENARIO_SPOT_DOWN": "0.01 0.9999",
        "BASIS_CONT_ADD_FACTOR": "0 20",
        "BASIS_CONT_MULT_FACTOR": "0 20",
    },
    "OtherContingency": {
        "PEG_LOSS_THRESHOLD": "0 100",
        "PEG_LOSS_FACTOR": "0 10",
        "CONF_THRESHOLD": "0 1",
        "CONF_MARGIN": "0 20",
        "MM_PERP_PERCENT": "0 3",
        "IM_PERP_PERCENT": "0 3",
        "MM_OPTION_PERCENT": "0 2",
        "IM_OPTION_PERCENT": "0 2",
    },
    "SkewShock": {
        "LINEAR_SCALE_CAP": "0 10",
        "ABS_SCALE_CAP": "0 10",
        "LINEAR_CBASE": "-10 10",
        "ABS_CBASE": "-10 10",
        "MIN_K_STAR": "0 10",
        "MIN_WIDTH_SCALE": "0 10",
        "VOL_PARAM_STATIC": "0 10",
        "VOL_PARAM_SCALE": "-20 20",
    },
}
CHANGES = [{}] + [
    {block: {name: x}} for block, ranges in RANGES.items() for name, ends in ranges.items() for x in ends.split()
]


def compare(parameters: Any, inputs: Any) -> None:
    model = MarginModel.from_document(derive_pm2.model_document(parameters, inputs["Collaterals"]))
    report = evaluate_model(model, *derive_pm2.market_and_account(inputs))
    initial, maintenance, pnl = margins(parameters, inputs)
    scale = max(1.0, *(abs(x) for x in pnl))
    got = [report.excess_initial, report.excess_maintenance, *report.sets[0].pnl]
    for mine, other in zip(got, [initial, maintenance, *pnl], strict=True):
        assert float(mine) == pytest.approx(other, rel=1e-10, abs=1e-9 * scale)


@pytest.mark.parametrize(
    "change", CHANGES, ids=lambda c: "/".join(f"{k}={v}" for x in c.values() for k, v in x.items()) or "base"
)
def test_every_parameter_at_both_ends(change: Any) -> None:
    vectors = document("derive_pm2_portfolio_cases.json")
    case = next(c for c in vectors["cases"] if len(c["inputs"]["Options"]) == 20)
    compare(derive_pm2.overlaid(vectors["base_params"], change), case["inputs"])


@pytest.mark.parametrize("seconds", [1799, 900, 1, 0, -100])
def test_up_to_expiry_and_after(seconds: int) -> None:
    vectors = document("derive_pm2_portfolio_cases.json")
    case = next(c for c in vectors["cases"] if any(x["FeedExpiry"] < 1800 for x in c["inputs"]["OptionFeeds"]))
    inputs = copy.deepcopy(case["inputs"])
    before = inputs["OptionFeeds"][0]["FeedExpiry"]
    inputs["OptionFeeds"][0]["FeedExpiry"] = seconds
    for leg in inputs["Options"]:
        leg["Expiry"] = seconds if leg["Expiry"] == before else leg["Expiry"]
    parameters = derive_pm2.overlaid(vectors["base_params"], case["params_override"])
    compare(parameters, inputs)
    if seconds <= 0:
        for block, name, message in (
            ("VolShock", "DTE_FLOOR", r"volatility\.scaling: no scale at expiry"),
            ("SkewShock", "MIN_K_STAR", "flat_beyond: the skew has no width"),
        ):
            with pytest.raises(SnapshotError, match=message):
                compare(derive_pm2.overlaid(parameters, {block: {name: "0"}}), inputs)
