"""Published option values and elementary functions: every row, and that the suites notice when one is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import functions, options
from tests.conformance.__main__ import main, summarise
from tests.conformance.suites import SUITES
from tests.conformance.vector_files import FOLDER, failed, vectors

FILES: dict[str, tuple[Any, int, int]] = {  # suite, cases, and cases that are not run
    "options/haug_quantlib_european.csv": (options, 43, 0),
    "options/py_vollib_test_data.json": (options, 101, 0),
    "options/black76_mpmath_goldens.csv": (options, 378, 0),
    "fixed_point_math/lyra_utils.json": (options, 31, 2),
    "fixed_point_math/mpmath_goldens.csv": (functions, 328, 1),
    "fixed_point_math/openzeppelin_sui_gaussian.json": (functions, 162, 0),
    "fixed_point_math/prb_math.json": (functions, 38, 0),
    "fixed_point_math/solady.json": (functions, 25, 0),
}
HAUG, VOLLIB, BLACK, LYRA, MPMATH, SUI, PRB, SOLADY = FILES


@pytest.mark.parametrize("name", FILES)
def test_every_row(name: str) -> None:
    suite, cases, skipped = FILES[name]
    document = vectors(name)
    assert [s for s in SUITES if s.matches(document)] == [suite]
    summary = summarise(list(suite.run(document)))
    assert (summary["passed"], summary["failed"], len(summary["skipped"])) == (cases, 0, skipped)


@pytest.mark.parametrize("name", FILES)
def test_the_content_says_what_a_file_is(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors(name)
    copied = tmp_path / "renamed"
    copied.write_bytes((FOLDER / name).read_bytes())
    assert main([str(copied), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] == FILES[name][1]


def more(row: list[Any], place: int, by: float) -> None:
    row[place] = str(float(row[place]) + by)


CHANGES: list[tuple[str, Callable[[Any], object], str]] = [
    (HAUG, lambda d: more(d["rows"][3], 7, 3e-4), "value_engine"),
    (HAUG, lambda d: d["rows"][3].__setitem__(0, "Straddle"), "VectorError: neither Call nor Put: 'Straddle'"),
    (VOLLIB, lambda d: more(d["data"][40], 5, 3e-6), "call_engine"),
    (VOLLIB, lambda d: more(d["data"][40], 16, 3e-6), "PR"),
    (BLACK, lambda d: d["rows"][2].__setitem__(5, "0.225000000000000001"), "call_engine"),
    (LYRA, lambda d: more(d["black76"]["rows"][0], 5, 3e-12), "call_engine"),
    (LYRA, lambda d: d["svi"]["sets"][1]["vols"].__setitem__(2, "0.93924498630408"), "svi"),
    (LYRA, lambda d: d["exact_integer_1e18"]["exp"].update({"0": "999999999999999990"}), "exp_engine"),
    (MPMATH, lambda d: d["rows"][0].__setitem__(2, "0.367879441171442323"), "exp_engine"),
    (SUI, lambda d: d["cdf"][1].__setitem__(1, "598706333"), "cdf_kernel"),
    (SUI, lambda d: d["inverse_cdf"][10].__setitem__(1, "-1281551500"), "cdf_kernel"),
    (SUI, lambda d: d["monotonicity_windows"].update(windows=[[1, -5]]), "VectorError: not a window: 1, -5"),
    (PRB, lambda d: d["ln"][0].__setitem__(1, "-2302585092994045600"), "ln_engine"),
    (SOLADY, lambda d: d["lnWad"].update({"42": "-37708862055609454001"}), "ln_engine"),
]


@pytest.mark.parametrize(("name", "change", "what"), CHANGES)
def test_a_wrong_number_fails_its_case_only(name: str, change: Callable[[Any], None], what: str) -> None:
    (case,) = failed(name, change)
    said = case.error or " ".join(c.what for c in case.checks if not c.passed)
    assert what in said


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a,b\n1,2\n", "no suite knows this content"),
        ("fn,x,value_35_digits\nexp,1\n", "not of the form of functions"),
        ("type,strike,spot,q,r,t,vol,value,tol\nCall,1\n", "row 1 has not 9 members"),
        ('type,strike,spot,q,r,t,vol,value,tol\nCall,"1\n', "cannot be read"),
    ],
)
def test_a_file_of_another_form(text: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert what in capsys.readouterr().err
