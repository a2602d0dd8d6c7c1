"""The latest events of one run in memory, each after it was written; for those who follow it live."""

from __future__ import annotations

import asyncio

_MOST_EVENTS = 8192
_MOST_BYTES = 4 << 20
"""What is kept for followers at most, but for the last event. Everyone further behind reads the store."""


class Tail:
    """Readers take from it what they want, when they want: a slow one costs nobody else anything."""

    def __init__(self, last_seq: int) -> None:
        self._first = last_seq + 1
        self._events: list[bytes] = []
        self._begin = 0
        """Events before this index of the list are gone; they are cut off now and then, many at once."""
        self._size = 0
        self._changed = asyncio.Event()
        self.released = False
        """This gateway will hear of no more."""
        self.ended = False

    @property
    def last_seq(self) -> int:
        return self._first + len(self._events) - self._begin - 1

    def add(self, bodies: list[bytes], *, ended: bool) -> None:
        """Events that are on disk, in their order. Wakes everyone who waits."""
        if not bodies and not ended:
            return
        self._events += bodies
        self._size += sum(map(len, bodies))
        self._shrink()
        self.ended = self.ended or ended
        self._wake()

    def after(self, seq: int, limit: int) -> list[bytes] | None:
        """At most `limit` events behind number `seq`; None where they are only in the store."""
        start = seq + 1 - self._first
        if start < 0:
            return None
        start += self._begin
        return self._events[start : start + limit]

    async def more(self, seq: int, timeout: float) -> bool:
        """Wait until there is an event behind number `seq`, or the run has ended; False past `timeout`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.last_seq <= seq and not self.ended:
            if self.released:
                return False
            changed = self._changed
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return False
        return True

    def release(self) -> None:
        """End every wait: this gateway will hear of no more."""
        self.released = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _shrink(self) -> None:
        while (kept := len(self._events) - self._begin) > 1 and (
            kept > _MOST_EVENTS or self._size > _MOST_BYTES
        ):
            self._size -= len(self._events[self._begin])
            self._events[self._begin] = b""
            self._begin += 1
            self._first += 1
        if self._begin > _MOST_EVENTS:
            del self._events[: self._begin]
            self._begin = 0
