"""A dashboard in this process, over a service manager that a test holds in its hand."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hermes_cli.dashboard.app import Dashboard as App
from hermes_cli.dashboard.auth import NOBODY, Credentials
from hermes_cli.dashboard.serve import FLUSH, listen
from hermes_cli.dashboard.settings import Settings
from hermes_cli.serving.protocol import Connections
from hermes_cli.serving.server import HttpServer
from hermes_cli.status import collect
from tests.fakes.s6_service_manager import FakeS6ServiceManager

from .browser import DEADLINE, Browser, free_port


class Inside:
    """Listens on a port of its own, in a thread."""

    def __init__(self, root: Path, manager: FakeS6ServiceManager, credentials: Credentials = NOBODY) -> None:
        self.root = root
        self.manager = manager
        self.port = free_port()
        self.settings = Settings(root, "127.0.0.1", self.port, credentials)
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def client(self, **headers: str) -> Browser:
        return Browser(self, headers=headers)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        app = App(self.settings, lambda: collect(self.root, self.manager), lambda: self.manager)
        server = HttpServer(app.asgi(), Connections())
        await server.open([listen(self.settings)])
        self._ready.set()
        await self._stop.wait()
        app.close()
        await server.drain(FLUSH, asyncio.Event())


@contextmanager
def inside(root: Path, manager: FakeS6ServiceManager, credentials: Credentials = NOBODY) -> Iterator[Inside]:
    dashboard = Inside(root, manager, credentials)
    dashboard.start()
    try:
        yield dashboard
    finally:
        manager.release()
        dashboard.end()
