"""The one writer of the store: a thread that gathers steps into transactions, synced before they are told."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .errors import StoreError
from .store import Store, open_connection

_MOST_TOGETHER = 512
"""Steps in one transaction: each costs a sync of the disk, so more of them at once cost less each."""

_KEPT = 8192
"""Latest events of a run kept in memory for those who follow it live. Everyone else reads the store."""

ResultT = TypeVar("ResultT")

Step = Callable[[Store], Any]


class Journal:
    """Steps on the store, from an event loop. A step's result is given out when it is on disk."""

    def __init__(self, path: Path) -> None:
        """Opens the store; raises `StoreError`."""
        self._path = path
        self._steps: queue.SimpleQueue[tuple[Step, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._connection = open_connection(path)
        self._reader = open_connection(path, read_only=True)
        self._reading = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        self._closed = False

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
        """Run `step`, which only reads, beside the writer; it sees what is on disk."""

        def locked() -> ResultT:
            with self._reading:
                return step(Store(self._reader))

        return await asyncio.to_thread(locked)

    async def close(self) -> None:
        """Write what has been asked for, then close. More is refused."""
        if not self._closed:
            self._closed = True
            self._steps.put(None)
            await asyncio.to_thread(self._thread.join)
            self._reader.close()

    def _write(self) -> None:
        store = Store(self._connection)
        going = True
        while going:
            batch = [self._steps.get()]
            while len(batch) < _MOST_TOGETHER:
                with contextlib.suppress(queue.Empty):
                    batch.append(self._steps.get_nowait())
                    continue
                break
            going = None not in batch
            self._transact(store, [item for item in batch if item is not None])
        self._connection.close()

    def _transact(self, store: Store, batch: list[tuple[Step, asyncio.Future[Any]]]) -> None:
        import apsw

        results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            with self._connection:
                for step, done in batch:
                    try:
                        with self._connection:  # a savepoint: what one step raises undoes that step
                            results.append((done, step(store), None))
                    except apsw.FullError:
                        raise
                    except Exception as error:
                        results.append((done, None, error))
        except apsw.Error as error:
            failure = StoreError(f"{self._path} could not be written: {error}; is the disk full?")
            results = [(done, None, failure) for _, done in batch]
        if results:
            with contextlib.suppress(RuntimeError):  # the loop has gone
                self._loop.call_soon_threadsafe(_settle, results)


def _settle(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for done, result, error in results:
        if done.done():
            continue
        if error is not None:
            done.set_exception(error)
            done.exception()  # seen: nobody may be waiting any more
        else:
            done.set_result(result)


class Tail:
    """The latest events of one run in memory, each after it was written; for those who follow it live."""

    def __init__(self, last_seq: int) -> None:
        self._first = last_seq + 1
        self._events: deque[bytes] = deque(maxlen=_KEPT)
        self._changed = asyncio.Event()
        self.ended = False

    @property
    def last_seq(self) -> int:
        return self._first + len(self._events) - 1

    def add(self, bodies: list[bytes], *, ended: bool) -> None:
        """Events that are on disk, in their order. Wakes everyone who waits."""
        surplus = max(0, len(self._events) + len(bodies) - _KEPT)
        self._first += surplus
        self._events.extend(bodies)
        self.ended = self.ended or ended
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, seq: int, limit: int) -> list[bytes] | None:
        """At most `limit` events behind number `seq`; None where they are only in the store."""
        start = seq + 1 - self._first
        if start < 0:
            return None
        return [self._events[index] for index in range(start, min(start + limit, len(self._events)))]

    async def more(self, seq: int, timeout: float) -> bool:
        """Wait until there is an event behind number `seq`, or the run has ended; False past `timeout`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.last_seq <= seq and not self.ended:
            changed = self._changed
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return False
        return True
