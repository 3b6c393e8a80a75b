"""Derive the Lagrange bases from the powers of tau and write riskproof/commit/data/lagrange_bases.bin (about six seconds).

python -m tools.commit_bases            write the file and print its SHA-256 (srs.LAGRANGE_SHA256)
python -m tools.commit_bases --check    derive again and compare with the installed file; exits 1 if they differ
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from riskproof.commit.srs import DOMAINS, derive_lagrange

TARGET = Path(__file__).resolve().parents[1] / "riskproof" / "commit" / "data" / "lagrange_bases.bin"


def bases() -> bytes:
    """The file's content: for each n in order, n points of 96 bytes (x || y, big-endian)."""
    return b"".join(bytes(point.to_xy_bytes_be()) for n in DOMAINS for point in derive_lagrange(n))


def main() -> int:
    content = bases()
    if "--check" in sys.argv[1:]:
        same = TARGET.read_bytes() == content
        print("the installed bases are right" if same else f"{TARGET.name} differs from the derivation")
        return 0 if same else 1
    TARGET.write_bytes(content)
    print(hashlib.sha256(content).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
