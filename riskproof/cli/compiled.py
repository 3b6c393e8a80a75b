"""Where compiled kernels are kept, and what is loaded to run them.

numba keeps them beside their sources, else under the user's cache folder, and raises RuntimeError if it can write neither: in a
container with a read-only checkout and no home, say. Then they go to a folder of this process alone, and are gone with it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

_LOOKED_FOR: Final = (("scipy.linalg", "numba.np.arraymath"), ("cffi", "numba.core.typing.cffi_utils"))
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


def load_compiler() -> None:
    """Import what numba imports with the first function that it loads, without what it looks for and no kernel here needs.

    That is scipy for matrix products and cffi for calls of C: where scipy is installed, importing it takes longer than all else
    that the first function needs.
    """
    modules: dict[str, Any] = sys.modules
    for unneeded, looking in _LOOKED_FOR:
        if unneeded not in modules and looking not in modules:
            importlib.import_module("numba")  # as ever; only what follows goes without
            modules[unneeded] = None  # an import of it fails, as where it is not installed
            try:
                importlib.import_module(looking)
            finally:
                del modules[unneeded]


def collect_seldom() -> None:
    """For a process that ends soon: rounds of garbage collection are a sixth of its time, and it leaves few cycles behind."""
    gc.set_threshold(200_000)


def _writable(folder: Path) -> bool:
    """True if files can be made in the folder, or in the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
