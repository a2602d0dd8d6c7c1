"""The server around any app: bounded requests, bounded ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from hermes_cli.config.schema import AgentConfig, RunsConfig
from hermes_cli.gateway.events import EventJournal
from hermes_cli.gateway.gate import Gate
from hermes_cli.gateway.process_service import ProcessService
from hermes_cli.gateway.run_service import RunService
from hermes_cli.gateway.runtime import Runtime
from hermes_cli.gateway.state import StateReporter
from hermes_cli.home import Home
from hermes_cli.serving import protocol
from hermes_cli.serving.protocol import Connections
from hermes_cli.serving.server import HttpServer, answers

App = Callable[[Scope, Receive, Send], Awaitable[None]]
TOKEN = "sesame"
GET = f"GET /work HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()


async def answer(send: Send, body: bytes = b"done") -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


class Served:
    """A server over one TCP listener in this process."""

    def __init__(self, app: App, home: Path) -> None:
        processes = ProcessService(Home.of(root=home))
        self.runtime = Runtime(
            processes=processes,
            runs=RunService(Home.of(root=home), processes, AgentConfig(), RunsConfig()),
            home=Home.of(root=home),
            reporter=StateReporter(Home.of(root=home)),
            token=TOKEN,
            drain_timeout=1.0,
            url="",
            warnings=[],
            connections=Connections(),
            journal=EventJournal(),
        )
        self.server = HttpServer(Gate(app, self.runtime), self.runtime.connections)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    async def __aenter__(self) -> Served:
        await self.server.open([self.listener])
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.server.drain(0.0, asyncio.Event())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listener.getsockname())

    async def drain(self, timeout: float, hurry: asyncio.Event | None = None) -> int:
        self.runtime.journal.drain("test")
        self.server.refuse_tcp()
        return await self.server.drain(timeout, hurry or asyncio.Event())


def test_work_in_flight_is_finished_and_its_connection_closed(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answer(send)

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            await begun.wait()
            draining = asyncio.ensure_future(served.drain(5.0))
            await asyncio.sleep(0)
            assert not draining.done()
            go_on.set()
            assert (await reader.read()).endswith(b"done")
            assert await draining == 0
            writer.close()

    asyncio.run(scenario())


def test_work_that_takes_too_long_is_cut_at_the_deadline(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            reader, writer = await served.connect()
            writer.write(GET)
            await begun.wait()
            began = time.monotonic()
            assert await served.drain(0.2) == 1
            assert 0.1 < time.monotonic() - began < 1.0
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    asyncio.run(scenario())


def test_hurry_cuts_at_once(tmp_path: Path) -> None:
    begun, hurry = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            _, writer = await served.connect()
            writer.write(GET)
            await begun.wait()
            asyncio.get_running_loop().call_later(0.1, hurry.set)
            began = time.monotonic()
            await served.drain(30.0, hurry)
            assert time.monotonic() - began < 1.0
            writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "slowly",
    [
        b"",
        b"GET /wor",
        GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 9\r\n\r\nabc"),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_never_completes_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slowly: bytes
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_DEADLINE", 0.2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            reader, writer = await served.connect()
            writer.write(slowly)
            received = await asyncio.wait_for(reader.read(), 5.0)
            assert b"408" in received
            assert b"request_timeout" in received
            writer.close()

    asyncio.run(scenario())


def test_trickling_does_not_move_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_DEADLINE", 0.3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            reader, writer = await served.connect()
            # The deadline of a second request on a kept connection, too.
            writer.write(GET)
            await reader.readuntil(b"done")
            began, ended = time.monotonic(), asyncio.ensure_future(reader.read())
            for byte in GET[:-4] * 20:
                if ended.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            # Closing on what was still sent may reset the connection before the answer is read.
            with contextlib.suppress(ConnectionResetError):
                assert b"request_timeout" in await asyncio.wait_for(ended, 1.0)
            assert time.monotonic() - began < 2.0
            writer.close()

    asyncio.run(scenario())


def test_a_bug_is_a_problem_without_its_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("inner secret")

    async def scenario() -> bytes:
        async with Served(app, tmp_path) as served:
            reader, writer = await served.connect()
            writer.write(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            received = await reader.read()
            writer.close()
            return received

    received = asyncio.run(scenario())
    assert received.startswith(b"HTTP/1.1 500 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "internal_error"
    assert b"inner secret" not in received


def test_the_self_check_fails_where_nobody_answers() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            assert not await answers(deaf, timeout=0.2)

    asyncio.run(scenario())


def test_new_work_is_refused_while_it_drains(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answer(send)

    async def scenario() -> None:
        async with Served(app, tmp_path) as served:
            served.runtime.journal.drain("test")
            reader, writer = await served.connect()
            writer.write(GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            received = await reader.read()
            assert received.startswith(b"HTTP/1.1 503 ")
            assert b'"draining"' in received
            writer.close()

    asyncio.run(scenario())
