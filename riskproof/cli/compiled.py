"""Where compiled kernels are kept.

numba keeps them beside their sources, else under the user's cache folder, and raises RuntimeError if it can write neither: in a
container with a read-only checkout and no home, say. Then they go to a folder of this process alone, and are gone with it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "NUMBA_CACHE_DIR"
_KERNELS: Final = Path(__file__).resolve().parent.parent / "risk" / "kernel"


def prepare_cache() -> None:
    """Make sure that compiled kernels can be written somewhere; OSError if there is no such place."""
    if VARIABLE in os.environ or _writable(_KERNELS / "__pycache__"):
        return
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        cache = None
    if cache is not None and _writable(cache / "numba"):
        return
    # Of this process alone: whoever writes to such a folder runs code in the processes that read it.
    folder = tempfile.mkdtemp(prefix="riskproof-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder


def _writable(folder: Path) -> bool:
    """True if files can be made in the folder, or in the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
