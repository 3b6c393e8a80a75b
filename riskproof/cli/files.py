"""Files of the command line: bounded reads, atomic writes, private modes."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from riskproof.encoding import MAX_DOCUMENT_BYTES
from riskproof.errors import InputError

PRIVATE = 0o600
PUBLIC = 0o644

# What a document calls itself, where that can be seen without parsing it.
_SIGNS: Final = (
    (b'"payloadType":"application/vnd.riskproof.', "an attestation"),
    (b'"schema":"riskproof/opening/', "an opening"),
    (b'"schema":"riskproof/disclosure/', "a disclosure"),
    (b'"schema":"riskproof/market/', "a market file"),
    (b'"schema":"riskproof/challenge/', "a challenge"),
    (b'"schema":"riskproof/proof/', "a proof"),
    (b'{"keys":[', "a set of public keys"),
    (b"-----BEGIN PRIVATE KEY-----", "a private key"),
)


def read_bytes(path: str | Path, *, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The bytes of a file of at most `limit` bytes; InputError says what is wrong with it."""
    try:
        with Path(path).open("rb") as f:
            data = f.read(limit + 1)
    except OSError as error:
        keys = (
            "a file: `riskproof keys public` prints the public key of a folder"
            if Path(path, "key.pem").exists()
            else ""
        )
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), expected=keys) from None
    if len(data) > limit:
        raise InputError("file is too large", where=str(path), expected=f"at most {limit} bytes")
    return data


def write_bytes(path: str | Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write a file whole or not at all, with `mode` from the first byte; InputError if it cannot be written.

    A link stays a link. What is no file (/dev/stdout, a named pipe) is written to, never replaced.
    """
    write_all((path, data, mode))


def write_all(*files: tuple[str | Path, bytes, int]) -> None:
    """As `write_bytes`, several files (path, bytes, mode): nothing is replaced before all of them are on disk."""
    staged: list[tuple[str | Path, Path, Path]] = []
    try:
        for path, data, mode in files:
            with _says_what_cannot_be_written(path):
                if not _is_special(path):
                    staged.append((path, *_stage(_real(path), data, mode)))
        for path, data, _ in files:
            with _says_what_cannot_be_written(path):
                if _is_special(path):
                    Path(path).write_bytes(data)
        for path, temporary, target in staged:
            with _says_what_cannot_be_written(path):
                temporary.replace(target)
    finally:
        for _, temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _is_special(path: str | Path) -> bool:
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def _stage(target: Path, data: bytes, mode: int) -> tuple[Path, Path]:
    """The bytes in a new file beside the target: (that file, target)."""
    if target.is_symlink():  # links in a circle: anything else has been followed
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            os.fchmod(f.fileno(), mode)
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name), target


@contextmanager
def _says_what_cannot_be_written(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from None


def check_outputs(
    outputs: Mapping[str, Path | None], inputs: Iterable[Path | None], key_folders: Iterable[Path] = ()
) -> None:
    """InputError, which names the option, if an output would replace an input, another output or something beside a key."""
    taken = {_real(path) for path in inputs if path is not None}
    secret = {_real(folder) for folder in key_folders}
    for option, path in outputs.items():
        if path is None:
            continue
        target = _real(path)
        if target in taken:
            raise InputError(
                f"{path} is also an input or another output, and would be replaced",
                where=option,
                expected="another file",
            )
        if secret & {target, *target.parents}:
            raise InputError("a key folder holds keys only", where=option, expected="a file outside it")
        taken.add(target)


def _real(path: str | Path) -> Path:
    """The path without links; unlike `Path.resolve` it does not raise where links go in a circle."""
    return Path(os.path.realpath(path))


def kind_of(data: bytes) -> str:
    """What a document seems to be, such as "an attestation"; "" if that cannot be told."""
    return next((kind for sign, kind in _SIGNS if sign in data), "")


def read_kind(path: str | Path, option: str, wanted: str) -> bytes:
    """As `read_bytes`; InputError too if the file shows that it is something else than `wanted`, as `kind_of` names it."""
    data = read_bytes(path)
    if (seems := kind_of(data)) not in ("", wanted):
        raise InputError(f"seems to be {seems}", where=str(path), expected=f"{wanted} for {option}")
    return data
