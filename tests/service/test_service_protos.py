"""The protos: lint, and the generated code is what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from service_support import methods

from tools.generate_protos import ROOT, differences, generate


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    generate(tmp_path)
    assert differences(tmp_path) == []


def test_a_change_is_noticed(tmp_path: Path) -> None:
    generate(tmp_path)
    (tmp_path / "riskproof/v1/risk_pb2.pyi").write_text("")
    (tmp_path / "riskproof/v1/position_pb2.py").unlink()
    assert differences(tmp_path) == ["position_pb2.py", "risk_pb2.pyi"]


def test_buf_has_nothing_to_say() -> None:
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run([buf, "lint"], cwd=ROOT / "proto", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_no_unsigned_numbers_and_units_in_the_names() -> None:
    def messages(message, seen):
        if message.full_name not in seen:
            seen[message.full_name] = message
            for f in message.fields:
                if f.message_type:
                    messages(f.message_type, seen)
        return seen

    seen: dict[str, object] = {}
    for method in methods().values():
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"
        messages(method.input_type, seen)
        messages(method.output_type, seen)
    for message in seen.values():
        for f in message.fields:
            assert f.type not in (
                f.TYPE_UINT32,
                f.TYPE_UINT64,
                f.TYPE_FIXED32,
                f.TYPE_FIXED64,
                f.TYPE_DOUBLE,
                f.TYPE_FLOAT,
            )
            if f.enum_type:
                assert f.enum_type.values_by_number[0].name.endswith("_UNSPECIFIED")
            if "margin" in f.name or "pnl" in f.name or f.name.startswith("value"):
                assert f.name.endswith("_micros")
            if f.name.endswith("_at") or f.name in ("time", "ttl"):
                raise AssertionError(f"{message.full_name}.{f.name} has no unit")
