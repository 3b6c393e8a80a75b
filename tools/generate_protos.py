"""Generate riskproof/v1 from proto/riskproof/v1: `python -m tools.generate_protos`, with `--check` only compare.

The generated code is committed, so that using riskproof needs no compiler; `--check` regenerates it into a temporary
folder and fails if one byte differs. Message classes (`_pb2.py`) with their types (`_pb2.pyi`) are all there is: the
service binds methods by their descriptors.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path("riskproof/v1")
INIT = '"""Generated from proto/riskproof/v1 by `python -m tools.generate_protos`: do not edit."""\n'


def generate(out: Path) -> None:
    """Write the generated package below `out`."""
    from grpc_tools import protoc  # type: ignore[import-untyped]

    (out / PACKAGE).mkdir(parents=True, exist_ok=True)
    sources = sorted(str(p) for p in (ROOT / "proto" / PACKAGE).glob("*.proto"))
    plugin = shutil.which("protoc-gen-mypy", path=str(Path(sys.executable).parent))
    if plugin is None:
        raise SystemExit("protoc-gen-mypy is not installed beside this Python: make setup")
    status = protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--proto_path={ROOT / 'proto'}",
            f"--python_out={out}",
            f"--mypy_out={out}",
            *sources,
        ]
    )
    if status:
        raise SystemExit(status)
    (out / PACKAGE / "__init__.py").write_text(INIT)


def differences(fresh: Path) -> list[str]:
    """Names of generated files that are missing, stale or superfluous in the repository."""
    names = {p.name for p in (fresh / PACKAGE).iterdir()} | {
        p.name for p in (ROOT / PACKAGE).iterdir() if p.suffix in (".py", ".pyi")
    }
    _, changed, missing = filecmp.cmpfiles(fresh / PACKAGE, ROOT / PACKAGE, sorted(names), shallow=False)
    return sorted(changed + missing)


def main() -> None:
    """Generate, or with --check compare."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if the generated code is not current"
    )
    if not parser.parse_args().check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder))
    if stale:
        raise SystemExit(f"not current: {', '.join(stale)}; run python -m tools.generate_protos")


if __name__ == "__main__":
    main()
