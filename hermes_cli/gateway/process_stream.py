"""Server-sent events to one reader: heartbeats, a deadline for each write, an end when it has gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from starlette.types import Message, Receive, Scope, Send

logger = logging.getLogger("hermes.gateway")

HEARTBEAT = 15.0
WRITE_DEADLINE = 30.0
"""Seconds a reader may take nothing. What it has not taken is on disk, and its cursor gets it there again."""


class EventStream:
    """An answer that goes on until its frames end, its reader leaves, or stops reading."""

    def __init__(
        self, frames: AsyncIterator[bytes], *, when_gone: Callable[[], None], deadline: float = WRITE_DEADLINE
    ) -> None:
        """`when_gone` is called when the reader has left: to wake the frames."""
        self._frames = frames
        self._when_gone = when_gone
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(disconnected(receive))
        gone.add_done_callback(lambda _: self._when_gone())
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
            await self._send(send, {"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] != "HEAD":
                async for frame in self._frames:
                    if gone.done():
                        break
                    message = {"type": "http.response.body", "body": frame, "more_body": True}
                    await self._send(send, message)
            await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            logger.info("a reader took nothing for %g s and was cut off", self._deadline)
            scope["state"]["abort"]()
            await asyncio.wait({gone}, timeout=1.0)
        finally:
            gone.cancel()
            await _closed(self._frames)

    async def _send(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(self._deadline):
            await send(message)


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def frame(kind: str, data: str, identity: int | None = None) -> bytes:
    """One event. `data` has no line breaks."""
    head = f"id: {identity}\n" if identity is not None else ""
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


ALIVE = b": alive\n\n"


async def _closed(frames: AsyncIterator[bytes]) -> None:
    close = getattr(frames, "aclose", None)
    if close is not None:
        await close()
