"""The circom template accepts our openings and nothing else, and circomlibjs hashes as we do.

Needs node and `npm install --prefix benchmarks`; skipped without them.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riskproof.commit.field.modulus import BN254_FR
from riskproof.commit.merkle import PositionTree, positions_root
from riskproof.commit.poseidon import poseidon

REPO = Path(__file__).resolve().parents[2]
MODULES = REPO / "benchmarks" / "node_modules"
NODE = shutil.which("node")
P = BN254_FR.modulus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        NODE is None or not (MODULES / "circom2").is_dir(), reason="needs node and `npm install --prefix benchmarks`"
    ),
]


def test_circomlibjs_hashes_alike() -> None:
    rng = random.Random(1)
    rows = [[rng.randrange(P) for _ in range(1 + k % 4)] for k in range(200)]
    script = [str(NODE), "poseidon_circomlibjs.mjs", "hash"]
    lines = "".join(json.dumps([str(x) for x in row]) + "\n" for row in rows)
    done = subprocess.run(script, input=lines, capture_output=True, text=True, check=True, cwd=REPO / "benchmarks")
    assert [int(line) for line in done.stdout.split()] == [poseidon(row) for row in rows]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("circuit")
    compiler = [str(NODE), str(MODULES / "circom2" / "cli.js")]
    source = ["circuits/open_256.circom", "--r1cs", "--wasm", "-l", "benchmarks/node_modules", "-o", str(out)]
    subprocess.run(compiler + source, capture_output=True, check=True, cwd=REPO)
    return out / "open_256_js"


def witness(compiled: Path, signals: dict[str, Any]) -> bool:
    (compiled / "input.json").write_text(json.dumps(signals))
    command = [str(NODE), "generate_witness.js", "open_256.wasm", "input.json", "witness.wtns"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=compiled)
    assert done.returncode == 0 or "Assert Failed" in done.stderr, done.stderr
    return done.returncode == 0


def opening_signals(index: int) -> dict[str, Any]:
    lots = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, 200)
    lots[7], lots[8], lots[9] = -(2**63), 2**63 - 1, -1
    tree = PositionTree(lots, bytes(range(32)), 256)
    opening, salt = tree.opening(index), bytes([9]) * 31 + b"\0"

    def number(data: bytes) -> str:
        return str(int.from_bytes(data, "little"))

    return {
        "positionsRoot": number(positions_root(tree.root, salt)),
        "index": index,
        "lots": str(opening.lots % P),
        "salt": number(opening.salt),
        "siblings": [number(s) for s in opening.siblings],
        "size": tree.size,
        "rootSalt": number(salt),
    }


@pytest.mark.parametrize("index", [0, 7, 8, 9, 199])
def test_circuit_accepts_our_openings(compiled: Path, index: int) -> None:
    assert witness(compiled, opening_signals(index))


@pytest.mark.parametrize(
    "change",
    [
        {"lots": "5"},
        {"index": 8},
        {"size": 201},
        {"salt": "1"},
        {"rootSalt": "1"},
        {"positionsRoot": "1"},
        {"lots": str(2**63)},
        {"size": 7},
    ],
    ids="-".join,
)
def test_circuit_refuses_a_changed_signal(compiled: Path, change: dict[str, Any]) -> None:
    assert not witness(compiled, opening_signals(7) | change)


def hostile_signals(index: int, lots: int, size: int) -> dict[str, Any]:
    """A path that hashes correctly, over a leaf that no honest tree holds."""
    node = poseidon([index, lots, 1])
    for level in range(8):
        node = poseidon([0, node] if index >> level & 1 else [node, 0])
    numbers = {"positionsRoot": poseidon([node, 256, size, 1]), "index": index, "lots": lots, "salt": 1, "size": size}
    return {name: str(value) for name, value in numbers.items()} | {"siblings": ["0"] * 8, "rootSalt": "1"}


@pytest.mark.parametrize(
    ("index", "lots", "size", "accepted"),
    [
        (3, 2**63 - 1, 256, True),
        (3, P - 2**63, 4, True),
        (3, 2**63, 256, False),
        (3, P - 2**63 - 1, 256, False),
        (3, 5, 3, False),
        (3, 5, 257, False),
    ],
)
def test_circuit_bounds(compiled: Path, index: int, lots: int, size: int, accepted: bool) -> None:
    assert witness(compiled, hostile_signals(index, lots, size)) is accepted
