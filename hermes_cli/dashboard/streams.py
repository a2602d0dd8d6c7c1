"""Server-sent events: the overview and a gateway's log, each resumable where its page stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from hermes_cli.faces.log_tail import Cursor, LogTail, follow
from hermes_cli.faces.printable import plain

from .live import Board, difference, snapshot

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies and dead peers are found out by it."""

MAX_STREAMS = 64
"""Streams at once; a page uses two."""

RETRY_MS = 1000

ItemT = TypeVar("ItemT")


class Streams:
    """The open streams: counted, and ended together."""

    def __init__(self, heartbeat: float = HEARTBEAT, limit: int = MAX_STREAMS) -> None:
        self.heartbeat = heartbeat
        self._limit = limit
        self._open = 0
        self._closing = asyncio.Event()
        self._reviewing = asyncio.Event()

    def review(self) -> None:
        """Ask of each stream again whether it is still allowed: somebody has signed out."""
        reviewing, self._reviewing = self._reviewing, asyncio.Event()
        reviewing.set()

    def close(self) -> None:
        """End every stream now; the pages come back by themselves."""
        self._closing.set()

    def respond(self, events: AsyncGenerator[bytes, None], allowed: Callable[[], bool]) -> Response:
        """`events` as a response; ended when `allowed` no longer says yes."""
        if self._open >= self._limit:
            return Response(
                f"{self._limit} streams are open already; close a page and reload\n",
                503,
                {"retry-after": "10"},
                "text/plain",
            )
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._body(events, allowed), 200, headers, "text/event-stream")

    async def _body(
        self, events: AsyncGenerator[bytes, None], allowed: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            async with contextlib.aclosing(self._with_heartbeat(events)) as beating:
                async for event in beating:
                    if not allowed():
                        return
                    yield event
        finally:
            self._open -= 1

    async def _with_heartbeat(self, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """`events`, a comment whenever they are silent for long, and an end when the server closes."""
        closing = asyncio.ensure_future(self._closing.wait())
        reviewing = asyncio.ensure_future(self._reviewing.wait())
        following: asyncio.Future[bytes] | None = None
        try:
            while True:
                following = following or asyncio.ensure_future(anext(events))
                any_of: set[asyncio.Future[Any]] = {following, closing, reviewing}
                await asyncio.wait(any_of, timeout=self.heartbeat, return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    return
                if reviewing.done():
                    reviewing = asyncio.ensure_future(self._reviewing.wait())
                if not following.done():
                    # Whoever takes it looks first whether this stream is still allowed.
                    yield b": still here\n\n"
                    continue
                try:
                    event = following.result()
                except StopAsyncIteration:
                    return
                following = None
                yield event
        finally:
            closing.cancel()
            reviewing.cancel()
            if following is not None:
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await following
            await events.aclose()


async def status_events(board: Board) -> AsyncGenerator[bytes, None]:
    """`board` with everything, then `change` with what is different."""
    async with contextlib.aclosing(board.changes()) as states:
        shown = None
        async for latest in states:
            if shown is None:
                yield event("board", snapshot(latest))
            elif change := difference(shown, latest):
                yield event("change", change)
            shown = latest


async def log_events(tail: LogTail) -> AsyncGenerator[bytes, None]:
    """`lines`, each batch with the cursor behind it as its id; `gap` first where the cursor was too old."""
    if tail.skipped:
        yield event("gap", {})
    async with contextlib.aclosing(follow(tail)) as batches:
        async for lines in batches:
            yield event("lines", {"lines": [plain(line) for line in lines]}, str(tail.cursor))


def event(name: str, data: Any, event_id: str | None = None) -> bytes:
    """One event; JSON has no line ends of its own, so one data line holds it."""
    identity = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{identity}data: ".encode() + msgspec.json.encode(data) + b"\n\n"


def cursor_of(*candidates: str | None) -> Cursor | None:
    """The first of `candidates` that is a cursor."""
    for candidate in candidates:
        if candidate and (cursor := Cursor.parse(candidate)):
            return cursor
    return None
