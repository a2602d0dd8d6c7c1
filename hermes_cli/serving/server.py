"""One uvicorn server over both listeners, opened and drained without polling."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Sequence

import h11
from starlette.types import ASGIApp

from .limits import BACKLOG
from .protocol import KEEP_ALIVE, MAX_HEADER_BYTES, BoundedProtocol, Connections
from .uvicorn_parts import Config, Server

logger = logging.getLogger("hermes.gateway")

_SELF_CHECK = b"GET /healthz HTTP/1.1\r\nhost: self\r\nconnection: close\r\n\r\n"


class HttpServer(Server):
    """uvicorn's loop wakes ten times a second, and its shutdown sleeps; this one waits for what happens."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        config = Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            backlog=BACKLOG,
        )
        super().__init__(config)
        self.server_state = self._connections = connections

    async def open(self, listeners: Sequence[socket.socket]) -> None:
        """Accept connections on every listener."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=list(listeners))

    def refuse_tcp(self) -> None:
        """Close the listeners of the network; the control socket goes on answering its owner."""
        for server in self.servers:
            if any(listener.family != socket.AF_UNIX for listener in server.sockets):
                server.close()

    async def drain(self, timeout: float, hurry: asyncio.Event) -> int:
        """Let what is in flight finish, for `timeout` seconds or until `hurry`. Returns how many were cut."""
        deadline = time.monotonic() + timeout
        self._close_after_answers()
        hurried = asyncio.ensure_future(hurry.wait())
        try:
            while self._connections.tasks and not hurried.done() and time.monotonic() < deadline:
                left = deadline - time.monotonic()
                await asyncio.wait(
                    {*self._connections.tasks, hurried}, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            for server in self.servers:
                server.close()
            self._close_after_answers()
            # Whoever reads slowly still gets what is in the buffers, as long as there is time.
            if self._connections.connections and not hurried.done():
                flushed = asyncio.ensure_future(self._connections.none_left.wait())
                left = max(0.0, deadline - time.monotonic())
                await asyncio.wait({flushed, hurried}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                flushed.cancel()
        finally:
            hurried.cancel()
        return await self._cut()

    def _close_after_answers(self) -> None:
        for connection in list(self._connections.connections):
            try:
                connection.shutdown()
            except h11.LocalProtocolError:
                connection.transport.abort()

    async def _cut(self) -> int:
        cut = len(self._connections.connections)
        self._connections.abort()
        # One turn of the loop, so that every protocol hears of the loss before its task is cancelled.
        await asyncio.sleep(0)
        tasks = set(self._connections.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        return cut


async def answers(listener: socket.socket, *, timeout: float = 5.0) -> bool:
    """Whether a request over `listener` is answered: the proof behind the word ready."""
    address = listener.getsockname()
    try:
        async with asyncio.timeout(timeout):
            if listener.family == socket.AF_UNIX:
                reader, writer = await asyncio.open_unix_connection(address)
            else:
                host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
                reader, writer = await asyncio.open_connection(host, address[1])
            try:
                writer.write(_SELF_CHECK)
                return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
