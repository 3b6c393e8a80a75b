"""The one writer thread, with group commit.

Callers queue operations; the thread takes everything that waits, runs it in one transaction, each operation in a savepoint of its
own, commits once (one flush to disk), and only then resolves the futures. An operation that raises is rolled back alone and its
exception goes to its caller. If the database fails, nothing of the group is acknowledged.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from riskproof.errors import CapacityError, RiskproofError, StoreError
from riskproof.store.database import Database, translated

GROUP: Final = 256  # operations per transaction at most: bounds how long the first of them waits for its answer

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class _Operation:
    lock: str
    work: Work[Any]
    future: Future[Any]


class Writer:
    """Runs operations one after the other. capacity: how many may wait before `submit` refuses."""

    def __init__(self, database: Database, capacity: int) -> None:
        self._database = database
        self._capacity = capacity
        self._waiting: deque[_Operation] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="riskproof-ledger", daemon=True)
        self._thread.start()

    def submit(self, lock: str, work: Work[T]) -> Future[T]:
        """Queue an operation. Its future resolves after COMMIT; cancelling it before its turn means it never runs.

        Args:
            lock: name of what the operation appends to (`Database.write`).
            work: runs in the writer thread, inside the transaction.

        Raises:
            CapacityError: as many operations are waiting as may.
            StoreError: the ledger is closed.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise StoreError("the ledger is closed", where="ledger")
            if len(self._waiting) >= self._capacity:
                raise CapacityError(
                    f"{self._capacity} operations are waiting to be written", where="ledger", expected="try again later"
                )
            self._waiting.append(_Operation(lock, work, future))
            self._changed.notify()
        return future

    def run(self, lock: str, work: Work[T]) -> T:
        """Submit and wait."""
        return self.wait(self.submit(lock, work))

    def wait(self, future: Future[T]) -> T:
        """The future's result. An operation may not wait for another one: it would wait for ever."""
        if threading.current_thread() is self._thread:
            raise AssertionError("an operation of the writer thread waits for the writer thread")
        return future.result()

    @property
    def waiting(self) -> int:
        """How many operations are queued."""
        return len(self._waiting)

    def close(self) -> None:
        """Refuse new operations, finish those that wait, end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._take():
            try:
                answers = self._commit(group)
            except BaseException as error:  # whatever it is, the callers must hear of it
                for operation in group:
                    # An exception object belongs to one thread at a time: it collects tracebacks.
                    operation.future.set_exception(copy.copy(error) if isinstance(error, RiskproofError) else error)
                continue
            for operation, (result, failure) in zip(group, answers, strict=True):
                if failure is None:
                    operation.future.set_result(result)
                else:
                    operation.future.set_exception(failure)

    def _take(self) -> list[_Operation]:
        """Up to GROUP operations that were not cancelled; empty when closed and drained."""
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                count = min(len(self._waiting), GROUP)
                taken = [self._waiting.popleft() for _ in range(count)]
            group = [operation for operation in taken if operation.future.set_running_or_notify_cancel()]
            if group or not taken:
                return group

    def _commit(self, group: list[_Operation]) -> list[tuple[Any, BaseException | None]]:
        with self._database.write(operation.lock for operation in group) as connection:
            if len(group) == 1:  # alone it needs no savepoint: if it fails, so does its transaction
                return [(self._guarded(connection, group[0].work), None)]
            return [self._attempt(connection, operation.work) for operation in group]

    def _attempt(self, connection: Connection, work: Work[Any]) -> tuple[Any, BaseException | None]:
        connection.exec_driver_sql("SAVEPOINT operation")
        try:
            result = self._guarded(connection, work)
        except DBAPIError:
            raise  # the database itself failed: the group fails with it
        except BaseException as error:  # it belongs to the caller
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT operation")
            connection.exec_driver_sql("RELEASE SAVEPOINT operation")
            return None, error
        connection.exec_driver_sql("RELEASE SAVEPOINT operation")
        return result, None

    def _guarded(self, connection: Connection, work: Work[T]) -> T:
        """Errors that concern one statement only become the caller's; the rest of DBAPIError passes."""
        try:
            return work(connection)
        except (IntegrityError, DataError, ProgrammingError):
            with translated(self._database.where):
                raise
