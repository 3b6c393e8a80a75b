"""Structured logs: one JSON object per line on standard error. No secrets: loggers get ids, codes and digests, never documents,
positions, keys or request bodies.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, cast

import structlog

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
Logger = structlog.typing.FilteringBoundLogger


def make_logger(level: str, stream: Any = None) -> Logger:
    """A logger that writes lines of at least `level` to `stream` (standard error)."""
    return cast(
        Logger,
        structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                # Frames and messages of an exception, never its local variables: these hold secrets.
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
        ),
    )
