"""uvicorn's HTTP/1.1 protocol with what it leaves open: deadlines, a bound on connections, known peers."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, cast

import h11

from .peer import is_owner
from .problems import MEDIA_TYPE, problem
from .uvicorn_parts import Config, H11Protocol, ServerState

REQUEST_DEADLINE = 30.0
"""Seconds from a connection, or a request's first byte, until the request is complete."""
KEEP_ALIVE = 30
"""Seconds an answered connection may idle."""
MAX_HEADER_BYTES = 32 * 1024
MAX_CONNECTIONS = 256
"""Over TCP at once. The control socket is not counted, so that its owner gets in whatever happens outside."""

logger = logging.getLogger("hermes.gateway")


class Connections(ServerState):
    """The live connections of one server, with a wake when the last one is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.remote = 0
        self.none_left = asyncio.Event()
        self.none_left.set()

    def abort(self) -> None:
        """Cut every connection, with whatever is still in its buffers."""
        for connection in list(self.connections):
            connection.transport.abort()


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._everybody = cast(Connections, server_state)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_remote = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._everybody.none_left.clear()
        peer = transport.get_extra_info("socket")
        local = peer.family == socket.AF_UNIX
        if local and is_owner(peer):
            # Every request's scope gets a copy of this (ASGI's `state`): the app asks it, not an address.
            self.app_state = {"trusted": True, "abort": transport.abort}
        elif local:
            transport.abort()
            return
        else:
            self._is_remote = True
            self.app_state = {"abort": transport.abort}
            self._everybody.remote += 1
            if self._everybody.remote > MAX_CONNECTIONS:
                self._answer("overloaded", f"this server serves {MAX_CONNECTIONS} connections at once")
                return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        if self._is_remote:
            self._everybody.remote -= 1
        if not self._everybody.connections:
            self._everybody.none_left.set()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        try:
            super().data_received(data)
        except Exception:
            # h11 refuses to go on after some kinds of rubbish; the connection is worth nothing then.
            logger.debug("connection cut", exc_info=True)
            self.transport.abort()
            return
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._arm()
        else:
            self._disarm()

    def on_response_complete(self) -> None:
        if self.conn.their_state is not h11.SEND_BODY:
            self._disarm()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._answer("bad_request", msg)

    def _answer(self, code: str, detail: str) -> None:
        """Answer outside any request and close; where an answer is under way already, only close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status, body = problem(code, detail)
            headers = [
                (b"content-type", MEDIA_TYPE),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            events = (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        if self.cycle is not None and not self.cycle.response_complete:
            # The app's own answer to a request that turned into rubbish has nobody to go to.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_DEADLINE, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        self._answer("request_timeout", f"the request was not complete within {REQUEST_DEADLINE:g} s")
