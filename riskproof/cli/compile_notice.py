"""Whether kernels are being compiled, as numba tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from numba.core import event

KIND: Final = "numba:compile"  # what is loaded from the cache has no such event


class CompileNotice(event.Listener):
    """Calls `say` once, as soon as compilations have taken more than `after` seconds in all.

    numba calls a listener under its compiler lock; the functions that a kernel calls are compiled inside the kernel's own events.
    """

    def __init__(self, say: Callable[[], None], after: float) -> None:
        self._say, self._left, self._said = say, after, False
        self._depth, self._started = 0, 0.0
        self._timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        self._depth += 1
        if self._depth == 1 and not self._said:
            self._started = time.monotonic()
            self._timer = threading.Timer(max(0.0, self._left), self._fire)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._left -= time.monotonic() - self._started

    def _fire(self) -> None:
        self._said = True
        self._say()
