"""The constants of the kernel's approximations, as plain integers. tools/kernel_tables.py generates and explains them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_DOCUMENT: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("tables.json").read_bytes())

KAPPA: Final[int] = _DOCUMENT["kappa_q63"]  # sqrt(log2(e) / 2)
TWO_ROOT_TWO_PI: Final[int] = _DOCUMENT["two_root_two_pi_q60"]
LOG2_E_PER_SECOND: Final[int] = _DOCUMENT["log2_e_per_second_q127"]  # of a rate of 1e-12
LOG2_E_PER_1E12: Final[int] = _DOCUMENT["log2_e_per_1e12_q102"]

EXP2: Final[tuple[int, ...]] = tuple(_DOCUMENT["exp2"])  # [1024] Q64: 2^(j/1024) / (2 sqrt(2 pi))
EXP2_POLYNOMIAL: Final[tuple[int, ...]] = tuple(_DOCUMENT["exp2_polynomial"])  # [4] Q72 in tau: 2^(t/1024) - 1
LN: Final[tuple[int, ...]] = tuple(_DOCUMENT["ln"])  # [256] Q62: -ln(LN_RECIPROCALS / 2^17)
LN_RECIPROCALS: Final[tuple[int, ...]] = tuple(_DOCUMENT["ln_reciprocals"])  # [256] Q17
LN_POLYNOMIAL: Final[tuple[int, ...]] = tuple(_DOCUMENT["ln_polynomial"])  # [6] Q62 in 2^7 r: ln(1 + r) / r
LN_POWERS: Final[tuple[int, ...]] = tuple(_DOCUMENT["ln_powers"])  # [63] Q62: L ln 2 - 9 ln 10
MILLS: Final[tuple[tuple[int, ...], ...]] = tuple(tuple(row) for row in _DOCUMENT["mills"])  # [1568][6] Q61 in tau
