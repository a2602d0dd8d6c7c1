"""The gateway's own lifecycle as a stream of events: a bounded journal that any number of readers follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

EventType = Literal["ready", "degraded", "draining"]


class GatewayEvent(msgspec.Struct, kw_only=True):
    """One event. `seq` counts from 1 within a life of the gateway."""

    seq: int
    type: EventType
    created_at: str
    detail: str = ""


class EventJournal:
    """The latest events, and the wake for those who follow them. A reader holds a cursor, never a queue."""

    def __init__(self, *, size: int = 256) -> None:
        self._events: deque[GatewayEvent] = deque(maxlen=size)
        self._last = 0
        self._changed = asyncio.Event()
        self.draining = False
        self.readers = 0

    def append(self, kind: EventType, detail: str = "") -> None:
        self._last += 1
        created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._events.append(GatewayEvent(seq=self._last, type=kind, created_at=created, detail=detail))
        self._wake()

    def drain(self, detail: str) -> None:
        """Append the last event; every reader ends behind it."""
        self.draining = True
        self.append("draining", detail)

    async def stream(self, cursor: int, *, heartbeat: float = 15.0) -> AsyncIterator[bytes]:
        """Server-sent events behind `cursor`, then those to come, then at the drain a marker and the end."""
        self.readers += 1
        try:
            if cursor < self._first() - 1 or cursor > self._last:
                yield _frame("reset", f'{{"cursor":{self._first() - 1}}}')
                cursor = self._first() - 1
            while True:
                changed = self._changed
                for event in [event for event in self._events if event.seq > cursor]:
                    yield _frame(event.type, msgspec.json.encode(event).decode(), event.seq)
                    cursor = event.seq
                if self.draining:
                    yield _frame("closed", '{"reason":"draining"}')
                    return
                try:
                    await asyncio.wait_for(changed.wait(), heartbeat)
                except TimeoutError:
                    yield b": alive\n\n"
        finally:
            self.readers -= 1

    def _first(self) -> int:
        return self._events[0].seq if self._events else 1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _frame(kind: str, data: str, seq: int | None = None) -> bytes:
    identity = f"id: {seq}\n" if seq is not None else ""
    return f"{identity}event: {kind}\ndata: {data}\n\n".encode()
