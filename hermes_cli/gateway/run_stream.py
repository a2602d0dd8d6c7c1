"""A run's events from a cursor: one page that waits, or a stream that follows. Waits take no thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from hermes_cli.runs.errors import RunError
from hermes_cli.runs.types import TERMINAL

from .process_stream import ALIVE, HEARTBEAT, frame
from .run_api import last_event_id
from .run_service import RunService

if TYPE_CHECKING:
    from hermes_cli.runs.runner import Runner

LONGEST_WAIT = 60.0
"""Seconds that a long-poll may wait."""
MOST_EVENTS = 1000
_AT_ONCE = 256
"""Events that are taken at a time: a reader holds no more of them in memory, however many there are."""
_PIECE = 64 << 10
"""Bytes of a stream that are sent at once, but for an event that is longer."""
_PAGE_BYTES = 1 << 20
"""What a reader takes at a time at most, unless one event is longer."""


class Head(msgspec.Struct):
    """What a reader has to know of an event; the rest goes on as the bytes that it is."""

    seq: int
    event_id: str
    terminal: bool = False


head_of = msgspec.json.Decoder(Head).decode


class Page(msgspec.Struct):
    """An `EventPage` whose events are encoded already."""

    run_id: str
    events: list[msgspec.Raw]
    cursor: str
    last_event_id: str | None
    status: str
    terminal_state: str | None


class Reader:
    """Reads one run's events, each once, in their order. `gone` ends its waits: nobody reads any more."""

    def __init__(self, service: RunService, runner: Runner, run_id: str, after: int) -> None:
        """`after`: the number of the last event that the reader has, or 0."""
        self._service = service
        self._runner = runner
        self._tail = runner.tail(run_id)
        self._moved = runner.moved
        self.run_id = run_id
        self.after = after
        self.ended = False
        """The terminal event was read, or was behind the cursor: there is nothing more."""
        self.gone = asyncio.Event()

    @property
    def cursor(self) -> str:
        return f"{self.run_id}:{self.after}"

    @property
    def released(self) -> bool:
        """This gateway hears of no more: another follows the run, or will."""
        return self._tail is not None and self._tail.released

    async def take(self, limit: int) -> list[bytes]:
        """At most `limit` events that are there; empty where there is nothing new. Raises `RunError`."""
        limit = min(limit, _AT_ONCE)
        # Before the look: what begins or ends behind it ends the wait that follows.
        self._moved = self._runner.moved
        tail = self._tail = self._tail or self._runner.tail(self.run_id)
        found = tail.after(self.after, limit) if tail is not None else None
        if found is None:
            found = await self._runner.journal.read(
                lambda store: store.events(self.run_id, self.after, limit)
            )
        if found:
            found = _within(found, _PAGE_BYTES)
            last = head_of(found[-1])
            self.after, self.ended = last.seq, last.terminal
        elif tail is None or tail.ended:
            run = await self._runner.get(self.run_id)
            self.ended = run.status in TERMINAL and self.after >= run.last_seq
        return found

    async def wait(self, seconds: float) -> bool:
        """Whether there is something to look for within `seconds`: an event, an end, or the run begins."""
        service = self._service
        tail = self._tail = self._tail or self._runner.tail(self.run_id)
        if self._over:
            return True
        news = tail.more(self.after, seconds) if tail is not None else _set(self._moved, seconds)
        waits = [asyncio.ensure_future(wait) for wait in (news, service.draining.wait(), self.gone.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return any(wait.done() and wait.result() for wait in waits)
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def _over(self) -> bool:
        return self.ended or self._service.draining.is_set() or self.gone.is_set()


def _within(events: list[bytes], most: int) -> list[bytes]:
    """As many of the first as have `most` bytes together, one at least."""
    size = 0
    for number, event in enumerate(events):
        size += len(event)
        if size > most and number:
            return events[:number]
    return events


async def next_page(reader: Reader, limit: int, wait: float) -> Page:
    """What is behind the cursor: as soon as there is something or the run ends, within `wait` seconds.

    Raises `RunError`.
    """
    service, runner = reader._service, reader._runner
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(wait, LONGEST_WAIT)
    events: list[bytes] = []
    while True:
        released = reader.released
        events = await reader.take(limit)
        if events or reader.ended or service.draining.is_set() or reader.gone.is_set():
            break
        left = deadline - loop.time()
        if left <= 0 or released:
            break
        await reader.wait(left)
    size = sum(map(len, events))
    while events and len(events) < limit and size < _PAGE_BYTES and not reader.ended:
        more = await reader.take(limit - len(events))
        if not more:
            break
        events += more
        size += sum(map(len, more))
    run = await runner.get(reader.run_id)
    return Page(
        run_id=reader.run_id,
        events=[msgspec.Raw(event) for event in events],
        cursor=reader.cursor,
        last_event_id=last_event_id(run),
        status=run.status,
        terminal_state=run.terminal_state,
    )


async def event_frames(reader: Reader) -> AsyncIterator[bytes]:
    """Each event with its id; `end` behind the terminal one; `closed` at the drain; `error` with a code."""
    service = reader._service
    service.readers += 1
    try:
        while not reader.gone.is_set():
            if service.draining.is_set():
                yield frame("closed", _text({"reason": "draining", "cursor": reader.cursor}))
                return
            released = reader.released
            events = await reader.take(_AT_ONCE)
            for piece in _pieces(events):
                yield piece
            if reader.ended:
                run = await reader._runner.get(reader.run_id)
                told = {"run_id": run.run_id, "status": run.status, "cursor": reader.cursor}
                yield frame("end", _text(told))
                return
            if not events and released:
                yield frame("closed", _text({"reason": "taken over", "cursor": reader.cursor}))
                return
            if not events and not await reader.wait(HEARTBEAT):
                yield ALIVE
    except RunError as error:  # the run was removed meanwhile, or the store cannot be read
        yield frame("error", _text({"code": error.code, "detail": str(error), "cursor": reader.cursor}))
    finally:
        service.readers -= 1


def _pieces(events: list[bytes]) -> Iterator[bytes]:
    """Frames of events, some at a time: a reader has its deadline for each piece."""
    piece: list[bytes] = []
    size = 0
    for event in events:
        piece.append(_frame(event))
        size += len(event)
        if size > _PIECE:
            yield b"".join(piece)
            piece.clear()
            size = 0
    if piece:
        yield b"".join(piece)


def _frame(event: bytes) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (head_of(event).event_id.encode(), event)


async def _set(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
