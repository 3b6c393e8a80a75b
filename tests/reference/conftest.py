"""py_ecc raises the recursion limit to 100,000 when it is imported, which turns a RecursionError into a crash. Put it back."""

from __future__ import annotations

import sys

_limit = sys.getrecursionlimit()

import py_ecc  # noqa: E402, F401

sys.setrecursionlimit(_limit)
