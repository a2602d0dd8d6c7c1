"""The one writer of the store: a thread that gathers steps into transactions, synced before they are told."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from .errors import JournalConflictError, LeaseLostError, StoreError
from .store import Store, open_connection
from .tail import Tail

__all__ = ["Journal", "Step", "Tail"]

_MOST_TOGETHER = 512
"""Steps in one transaction: each costs a sync of the disk, so more of them at once cost less each."""

ResultT = TypeVar("ResultT")

Step = Callable[[Store], Any]

_Asked = tuple[Step, "asyncio.Future[Any]"]
_Result = tuple["asyncio.Future[Any]", Any, "BaseException | None"]


class Journal:
    """Steps on the store, from an event loop. A step's result is given out when it is on disk.

    A step may be run twice, where the transaction that it was part of failed: it does nothing but work on its
    store.
    """

    def __init__(self, path: Path) -> None:
        """Opens the store; raises `StoreError`."""
        self._path = path
        self._steps: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._connection = open_connection(path)
        try:
            self._reader = open_connection(path, read_only=True)
        except BaseException:
            self._connection.close()
            raise
        self._epoch: int | None = None
        self.failure: str | None = None
        """Why nothing can be written at present; None where the last transaction succeeded."""
        self._reading = ThreadPoolExecutor(1, "journal-reader")
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        self._closed = False

    async def claim(self, holder: str, alive: Callable[[str], bool]) -> int:
        """Take the runs over; the epoch. From now on nothing is written once another has taken them.

        Raises `LeaseHeldError` where another holder has them that is `alive`.
        """
        self._epoch = epoch = await self.do(lambda store: store.take_lease(holder, alive))
        return epoch

    @property
    def claimed(self) -> bool:
        return self._epoch is not None

    async def do(self, step: Callable[[Store], ResultT]) -> ResultT:
        """Run `step` in the writer's next transaction and return its result once that is on disk.

        What the step raises undoes the step alone. Raises `StoreError` where the transaction failed.
        """
        if self._closed:
            raise StoreError("the store is closed: the gateway is shutting down")
        done: asyncio.Future[ResultT] = self._loop.create_future()
        self._steps.put((step, done))
        return await asyncio.shield(done)

    async def read(self, step: Callable[[Store], ResultT]) -> ResultT:
        """Run `step`, which only reads, beside the writer; it sees what is on disk. Raises `StoreError`."""

        def reading() -> ResultT:
            import apsw

            try:
                return step(Store(self._reader))
            except apsw.Error as error:
                raise StoreError(f"{self._path} could not be read: {error}; see 'hermes doctor'") from error

        if self._closed:
            raise StoreError("the store is closed: the gateway is shutting down")
        return await self._loop.run_in_executor(self._reading, reading)

    async def close(self) -> None:
        """Write what has been asked for, then close. More is refused."""
        if not self._closed:
            self._closed = True
            self._steps.put(None)
            await asyncio.to_thread(self._thread.join)
            await asyncio.to_thread(self._reading.shutdown)
            self._reader.close()

    def _write(self) -> None:
        store = Store(self._connection)
        going = True
        while going:
            batch = [self._steps.get()]
            while len(batch) < _MOST_TOGETHER:
                try:
                    batch.append(self._steps.get_nowait())
                except queue.Empty:
                    break
            going = None not in batch
            asked = [item for item in batch if item is not None]
            if asked:
                self._tell(self._results(store, asked))
        self._connection.close()

    def _results(self, store: Store, asked: list[_Asked]) -> list[_Result]:
        """In one transaction; where that fails, each in one of its own: what fails one is not the others'."""
        try:
            results = self._transact(store, asked)
            self.failure = None
        except Exception as error:
            if len(asked) > 1 and not isinstance(error, StoreError):
                return [result for one in asked for result in self._results(store, [one])]
            failure = error if isinstance(error, StoreError) else self._failure(error)
            self.failure = str(failure)
            return [(done, None, failure) for _, done in asked]
        return results

    def _transact(self, store: Store, asked: list[_Asked]) -> list[_Result]:
        """Raises what makes the whole transaction fail."""
        results: list[_Result] = []
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._check_lease(store)
            for step, done in asked:
                connection.execute("SAVEPOINT step")
                try:
                    results.append((done, step(store), None))
                except Exception as error:
                    if not _of_the_step(error):
                        raise
                    connection.execute("ROLLBACK TO step")
                    results.append((done, None, _refusal(error)))
                connection.execute("RELEASE step")
            connection.execute("COMMIT")
        except BaseException:
            # Of itself SQLite undoes a transaction that met a full disk.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _check_lease(self, store: Store) -> None:
        if self._epoch is None:
            return
        lease = store.lease()
        if lease is None or lease.epoch != self._epoch:
            holder = "nobody" if lease is None else f"pid {lease.holder.partition('-')[0]}"
            raise LeaseLostError(f"the runs have been taken over by another gateway ({holder})")

    def _failure(self, error: BaseException) -> StoreError:
        import apsw

        failure = StoreError(f"{self._path} could not be written: {error}")
        if isinstance(error, apsw.FullError):
            failure = StoreError(f"{self._path} could not be written: the disk is full; free some space")
        elif isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
            failure = StoreError(f"{self._path} is damaged ({error}); see 'hermes doctor'")
        failure.__cause__ = error
        return failure

    def _tell(self, results: list[_Result]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has gone
            self._loop.call_soon_threadsafe(_settle, results)


def _of_the_step(error: Exception) -> bool:
    """Whether it says something of the step alone, and the transaction is as it was before it."""
    import apsw

    if isinstance(error, apsw.Error):
        return isinstance(error, (apsw.ConstraintError, apsw.SQLError, apsw.TooBigError))
    return not isinstance(error, MemoryError)


def _refusal(error: Exception) -> Exception:
    import apsw

    if not isinstance(error, apsw.Error):
        return error
    refusal = JournalConflictError(f"the store does not take this: {error}")
    refusal.__cause__ = error
    return refusal


def _settle(results: list[_Result]) -> None:
    for done, result, error in results:
        if done.done():
            continue
        if error is not None:
            done.set_exception(error)
            done.exception()  # seen: nobody may be waiting any more
        else:
            done.set_result(result)
