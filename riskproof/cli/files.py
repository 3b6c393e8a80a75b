"""Files of the command line: bounded reads, atomic writes, private modes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from riskproof.encoding import MAX_DOCUMENT_BYTES
from riskproof.errors import InputError

PRIVATE = 0o600
PUBLIC = 0o644


def read_bytes(path: str | Path, *, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The bytes of a file of at most `limit` bytes; InputError says what is wrong with it."""
    try:
        with Path(path).open("rb") as f:
            data = f.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(data) > limit:
        raise InputError("file is too large", where=str(path), expected=f"at most {limit} bytes")
    return data


def write_bytes(path: str | Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write a file whole or not at all, with `mode` from the first byte; InputError if it cannot be written.

    A link stays a link. What is no file (/dev/stdout, a named pipe) is written to, never replaced.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as special:
                special.write(data)
            return
        target = target.resolve()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as f:
            os.fchmod(f.fileno(), mode)
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from None
