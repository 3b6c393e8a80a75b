"""The holder's own count of what its proofs have told: `leak-budget.json` in the folder of the holder's key.

    {"schema": "riskproof/leak-budget/v1", "salt": "<32>", "check": "<32>",
     "records": [{"account": "<32>", "audience": "<32>", "book": "<32>", "subject": "<32>", "points": 1, "at": 1768382600}, ...]}

Canonical JSON, mode 0600. The names are digests under the file's own random salt: two files do not show that they speak of one
account, and nothing in a file can be read. `check` is a digest of the rest. Records are appended and never dropped: a book that
does not change is counted for good.

A charge is on disk before the answer leaves, and is made before it is known whether the answer is a proof: a crash in between costs
points and tells nothing, and asking again is free. A file that is damaged, too open or not ours is refused and never begun anew.
Without a file the count starts at zero, so whoever deletes the file, or restores an old one, has decided to forget. Two copies of
the folder count separately, and so does a venue that proves on the holder's behalf.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import TAG_LEAK_BUDGET, Json
from riskproof.errors import EncodingError, LeakBudgetError
from riskproof.proof.leakage import DEFAULT_LIMIT, MAX_LIMIT, Event, Record, admit, balance

BUDGET_FILE: Final = "leak-budget.json"
SCHEMA: Final = "riskproof/leak-budget/v1"
MAX_RECORDS: Final = 100_000
MAX_BUDGET_BYTES: Final = 64 * 1024 * 1024
LOCK_SECONDS: Final = 10.0
_NEW = BUDGET_FILE + ".new"
_NAME_BYTES = 32
_NAMES = ("account", "audience", "book", "subject")


class HolderBudget:
    """The leak budget in a key folder. Any number of threads and processes may use one folder."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def charge(self, events: Iterable[Event], *, now: int, limit: int = DEFAULT_LIMIT) -> int:
        """Let `events` out: when this returns, they are counted on disk, or were before. Returns the points left, the least of all
        accounts. On an error nothing was counted.

        now: seconds since the epoch, by the holder's clock.

        Raises:
            LeakBudgetError: the budget does not allow them (`leakage.admit`); the file cannot be read or written, is damaged, full,
                open to others or another user's; another process holds it for more than LOCK_SECONDS.
            ProofError: a limit or a time out of range.
        """
        wanted = list(events)
        with _locked(self._folder):
            salt, records = self._read()
            named = [_salted(event, salt) for event in wanted]
            fresh = admit(records, named, now=now, limit=limit)
            records += [Record(event, now) for event in fresh]
            if fresh:
                if len(records) > MAX_RECORDS:
                    raise self._error(f"holds {MAX_RECORDS} records, which is all it can", "a new holder key")
                self._write(_to_bytes(salt, records))
            return min((balance(records, event, now=now, limit=limit).left for event in named), default=limit)

    @property
    def _path(self) -> Path:
        return self._folder / BUDGET_FILE

    def _error(self, what: str, expected: str = "") -> LeakBudgetError:
        return LeakBudgetError(what, where=str(self._path), expected=expected)

    def _read(self) -> tuple[bytes, list[Record]]:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return secrets.token_bytes(_NAME_BYTES), []
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from None
        try:
            with os.fdopen(handle, "rb") as file:
                self._check_private(os.fstat(file.fileno()))
                data = file.read(MAX_BUDGET_BYTES + 1)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from None
        try:
            return _from_bytes(data)
        except EncodingError as error:
            raise self._error(
                f"damaged, and what was answered is not known: {error}", "the file of the last backup"
            ) from None

    def _check_private(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise self._error("not a regular file")
        if status.st_uid != os.geteuid():
            raise self._error("belongs to another user", "the user who runs this")
        if status.st_mode & 0o077:
            raise self._error(f"mode {stat.S_IMODE(status.st_mode):04o} lets others in", "mode 0600")

    def _write(self, data: bytes) -> None:
        """Replace the file whole; what a crash left of an earlier attempt is overwritten."""
        temporary = self._folder / _NEW
        try:
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # the new name, too, is on disk before the answer leaves
            finally:
                os.close(folder)
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. It is on the folder, since the file is replaced; the system releases it when a process dies."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LeakBudgetError(
            f"cannot be opened: {error.strerror}", where=str(folder), expected="the folder of the holder's key"
        ) from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LeakBudgetError(
                        "another process holds the budget", where=str(folder), expected="one proof at a time"
                    ) from None
                time.sleep(0.01)
            except OSError as error:
                raise LeakBudgetError(f"cannot be locked: {error.strerror}", where=str(folder)) from None
        yield
    finally:
        os.close(handle)


def _salted(event: Event, salt: bytes) -> Event:
    def name(kind: str) -> bytes:
        body: dict[str, Json] = {"kind": "salted", "salt": salt.hex(), kind: getattr(event, kind).hex()}
        return encoding.digest(TAG_LEAK_BUDGET, encoding.canonical_json(body))

    return Event(name("account"), name("audience"), name("book"), name("subject"), event.points)


def _check_digest(document: dict[str, Json]) -> str:
    body: dict[str, Json] = {"kind": "file", "file": document}
    return encoding.digest(TAG_LEAK_BUDGET, encoding.canonical_json(body)).hex()


def _to_bytes(salt: bytes, records: Iterable[Record]) -> bytes:
    rows: list[Json] = [
        {**{name: getattr(r.event, name).hex() for name in _NAMES}, "points": r.event.points, "at": r.at}
        for r in records
    ]
    document: dict[str, Json] = {"schema": SCHEMA, "salt": salt.hex(), "records": rows}
    return encoding.canonical_json({**document, "check": _check_digest(document)})


def _from_bytes(data: bytes) -> tuple[bytes, list[Record]]:
    """Salt and records of a file; EncodingError if it is not exactly what `_to_bytes` writes."""
    m = encoding.members(
        encoding.parse_canonical(data, "file", limit=MAX_BUDGET_BYTES), "file", ("schema", "salt", "records", "check")
    )
    if m["schema"] != SCHEMA:
        raise EncodingError("not a leak budget of this version", where="schema", expected=SCHEMA)
    salt = encoding.hex_bytes(m["salt"], "salt", _NAME_BYTES)
    rows = encoding.array(m["records"], "records", max_length=MAX_RECORDS)
    records = [_record(row, f"records[{i}]") for i, row in enumerate(rows)]
    if m["check"] != _check_digest({name: m[name] for name in ("schema", "salt", "records")}):
        raise EncodingError("not the digest of the rest", where="check")
    return salt, records


def _record(node: Json, where: str) -> Record:
    m = encoding.members(node, where, (*_NAMES, "points", "at"))
    account, audience, book, subject = (encoding.hex_bytes(m[n], f"{where}.{n}", _NAME_BYTES) for n in _NAMES)
    points = encoding.integer(m["points"], f"{where}.points", low=1, high=MAX_LIMIT)
    at = encoding.integer(m["at"], f"{where}.at", low=0, high=units.TIME_MAX)
    return Record(Event(account, audience, book, subject, points), at)
