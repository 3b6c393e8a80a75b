"""Generate riskproof/risk/kernel/tables.json, the constants of the kernel's approximations, with mpmath.

    python tools/kernel_tables.py            rewrite the file
    python tools/kernel_tables.py --check    exit 1 if the file differs from what would be written

Every polynomial interpolates its function at Chebyshev points that include the ends, so that neighbouring pieces meet, in
60-digit arithmetic; a coefficient of t^k is stored for
tau = t / 2 (that is, times 2^k), because the kernel's one-instruction product divides by 2^64 and t comes in Q63.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mpmath import cos, erfc, exp, floor, log, matrix, mp, mpf, nint, pi, sqrt

PATH = Path(__file__).resolve().parents[1] / "riskproof" / "risk" / "kernel" / "tables.json"

MILLS_ROWS, MILLS_DEGREE, MILLS_STEPS = 1568, 5, 128
EXP2_ENTRIES, EXP2_DEGREE = 1024, 4
LN_ENTRIES, LN_DEGREE = 256, 6


def _integer(value: Any) -> int:
    return int(nint(value))


def _interpolation(degree: int) -> tuple[list[Any], Any]:
    """Chebyshev's extreme points in [0, 1], both ends included, and the matrix from values there to monomial coefficients."""
    n = degree + 1
    nodes = [(1 - cos(i * pi / degree)) / 2 for i in range(n)]
    return nodes, matrix([[t**k for k in range(n)] for t in nodes]) ** -1


def mills_ratio(z: Any) -> Any:
    """R(z) = (1 - N(z)) / phi(z)."""
    return sqrt(pi / 2) * exp(z * z / 2) * erfc(z / sqrt(2))


def mills_rows() -> list[list[int]]:
    """Row k: R((k + 1 - t) / 128) for t in (0, 1], coefficients of tau^0..tau^5 in Q61.

    R is completely monotone, so that counted from the right end every coefficient is positive. Horner's products round down,
    about half a unit in sum; half a unit on the first coefficient takes the bias out.
    """
    nodes, inverse = _interpolation(MILLS_DEGREE)
    rows = []
    for k in range(MILLS_ROWS):
        row = list(inverse * matrix([mills_ratio((k + 1 - t) / MILLS_STEPS) for t in nodes]))
        rows.append([_integer(c * mpf(2) ** (61 + i) + (mpf(1) / 2 if i == 0 else 0)) for i, c in enumerate(row)])
    return rows


def exp2_entries() -> list[int]:
    """2^(j / 1024) / (2 sqrt(2 pi)) in Q64."""
    return [_integer(mpf(2) ** (mpf(j) / EXP2_ENTRIES + 63) / sqrt(2 * pi)) for j in range(EXP2_ENTRIES)]


def exp2_polynomial() -> list[int]:
    """2^(t / 1024) - 1 = c1 t + ... + c4 t^4 for t in [0, 1), coefficients of tau in Q72."""
    nodes, inverse = _interpolation(EXP2_DEGREE - 1)
    slopes = [(mpf(2) ** (t / EXP2_ENTRIES) - 1) / t if t else log(2) / EXP2_ENTRIES for t in nodes]
    row = list(inverse * matrix(slopes))
    return [_integer(c * mpf(2) ** (72 + i)) for i, c in enumerate(row, start=1)]


def ln_reciprocals() -> list[int]:
    """c[j], 17 bits: the reciprocal of the middle of [1 + j/256, 1 + (j+1)/256), in Q17."""
    return [_integer(mpf(2) ** 17 / (1 + (j + mpf(1) / 2) / LN_ENTRIES)) for j in range(LN_ENTRIES)]


def ln_entries(reciprocals: list[int]) -> list[int]:
    """-ln(c[j] / 2^17) in Q62."""
    return [_integer(-log(mpf(c) / 2**17) * 2**62) for c in reciprocals]


def ln_polynomial() -> list[int]:
    """ln(1 + r) / r = 1 - r/2 + r^2/3 - ..., coefficients of (2^7 r)^k in Q62."""
    return [_integer(mpf(-1) ** k / (k + 1) * mpf(2) ** (62 - 7 * k)) for k in range(LN_DEGREE)]


def ln_powers() -> list[int]:
    """L ln 2 - 9 ln 10 in Q62, for L = 0..62: the exponent's part of the logarithm of a price in 1e-9 (wider than 64 bits)."""
    return [int(floor((length * log(2) - 9 * log(10)) * 2**62 + mpf(1) / 2)) for length in range(63)]


def constants() -> dict[str, int]:
    """Single constants: kappa = sqrt(log2(e) / 2), 2 sqrt(2 pi), and log2(e) in the scales of the discount exponent."""
    log2_e = 1 / log(2)
    return {
        "kappa_q63": _integer(sqrt(log2_e / 2) * 2**63),
        "two_root_two_pi_q60": _integer(2 * sqrt(2 * pi) * 2**60),
        "log2_e_per_second_q127": _integer(log2_e / (365 * 86_400) / mpf(10) ** 12 * mpf(2) ** 127),
        "log2_e_per_1e12_q102": _integer(log2_e / mpf(10) ** 12 * mpf(2) ** 102),
    }


def render() -> str:
    """The file: JSON with one polynomial, or one table, per line."""
    with mp.workdps(60):
        reciprocals = ln_reciprocals()
        lists = {
            "exp2": exp2_entries(),
            "exp2_polynomial": exp2_polynomial(),
            "ln": ln_entries(reciprocals),
            "ln_polynomial": ln_polynomial(),
            "ln_powers": ln_powers(),
            "ln_reciprocals": reciprocals,
        }
        single, rows = constants(), mills_rows()
    lines = [f'"{name}": {value}' for name, value in single.items()]
    lines += [f'"{name}": {values}' for name, values in lists.items()]
    lines.append('"mills": [\n' + ",\n".join(str(row) for row in rows) + "\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: list[str]) -> int:
    """Write or check the file; the process exit code."""
    text = render()
    if "--check" in arguments:
        same = PATH.read_text(encoding="ascii") == text
        print(f"{PATH.name}: {'as generated' if same else 'differs from what the generator writes'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="ascii")
    print(f"wrote {PATH.name}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
