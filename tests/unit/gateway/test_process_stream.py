"""A stream to one reader: it ends when the reader goes or stops reading, and gives everything back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from hermes_cli.gateway.process_stream import EventStream, frame
from hermes_cli.serving.protocol import Connections
from hermes_cli.serving.server import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Endless:
    """Frames that never end, and whether they were told that they are over."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.gone = asyncio.Event()
        self.closed = asyncio.Event()

    async def frames(self) -> AsyncIterator[bytes]:
        try:
            while not self.gone.is_set():
                self.sent += 1
                yield frame("output", "x" * self.size, self.sent)
                await asyncio.sleep(0 if self.size > 100 else 0.01)
        finally:
            self.closed.set()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = EventStream(self.frames(), when_gone=self.gone.set, deadline=0.3)
        await stream(scope, receive, send)


async def served(endless: Endless, talk: Any) -> Connections:
    connections = Connections()
    server = HttpServer(endless.app, connections)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    await server.open([listener])
    async with asyncio.timeout(8):
        await talk(listener.getsockname())
        await endless.closed.wait()
        await connections.none_left.wait()
    await server.drain(1.0, asyncio.Event())
    return connections


def test_a_reader_that_stops_reading_is_cut_off_in_time() -> None:
    async def main() -> None:
        endless = Endless(64 << 10)
        clients = []

        async def talk(address: tuple[str, int]) -> None:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            clients.append(client)
            await asyncio.get_running_loop().sock_connect(client, address)
            await asyncio.get_running_loop().sock_sendall(client, REQUEST)

        await served(endless, talk)
        assert endless.sent < 200  # what the buffers took, not what there was
        clients[0].close()

    asyncio.run(main())


def test_a_reader_that_leaves_ends_its_stream() -> None:
    async def main() -> None:
        endless = Endless(10)

        async def talk(address: tuple[str, int]) -> None:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(REQUEST)
            await reader.readuntil(b"event: output")
            writer.close()
            await writer.wait_closed()

        await served(endless, talk)

    asyncio.run(main())


def test_a_reader_gets_every_frame_and_then_the_end() -> None:
    async def main() -> None:
        sent: list[Message] = []
        left = asyncio.Event()

        async def frames() -> AsyncIterator[bytes]:
            for number in range(3):
                yield frame("output", str(number), number)

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        stream = EventStream(frames(), when_gone=lambda: None)
        await stream({"type": "http", "method": "GET", "state": {}}, receive, send)
        assert [message.get("body") for message in sent[1:-1]] == [
            f"id: {number}\nevent: output\ndata: {number}\n\n".encode() for number in range(3)
        ]
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    asyncio.run(main())
