"""The generated constants: what the generator writes, what the kernels compiled in, and what monotonicity rests on."""

import hashlib
import importlib.util
from pathlib import Path

from riskproof.risk.kernel import engine, tables, twin
from riskproof.risk.kernel.domain import MILLS_ROWS

ROOT = Path(__file__).resolve().parents[2]


def test_tables_are_what_the_generator_writes():
    spec = importlib.util.spec_from_file_location("kernel_tables", ROOT / "tools" / "kernel_tables.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.PATH.read_text(encoding="ascii") == generator.render()


def test_cached_kernels_follow_the_files_they_compile_in():
    digest = hashlib.sha256()
    for name in ("wide.py", "risk/kernel/domain.py", "risk/kernel/fixed.py", "risk/kernel/tables.json"):
        digest.update((ROOT / "riskproof" / name).read_bytes())
    assert digest.hexdigest() == engine.COMPILED_IN, f'set COMPILED_IN = "{digest.hexdigest()}" in engine.py'


def test_mills_ratio_never_increases():
    # Inside a row Horner's products of numbers that are not negative cannot decrease in tau; between rows, compare the ends.
    assert len(tables.MILLS) == MILLS_ROWS
    assert all(c >= 0 for row in tables.MILLS for c in row)
    for k in range(1, MILLS_ROWS):
        assert twin.mills((k << 52) - 1) >= twin.mills(k << 52)


def test_power_of_two_never_decreases():
    assert all(c >= 0 for c in tables.EXP2_POLYNOMIAL)
    for j in range(1, len(tables.EXP2)):
        assert twin.exp2_mantissa((j << 53) - 1) <= twin.exp2_mantissa(j << 53)
    assert twin.exp2_mantissa((1 << 63) - 1) <= 2 * tables.EXP2[0]
