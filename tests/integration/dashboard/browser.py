"""A dashboard process, and a client that keeps cookies and reads event streams, as a browser does."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

DEADLINE = 20.0


@dataclass
class Dashboard:
    """One running `hermes dashboard`."""

    process: subprocess.Popen[str]
    port: int
    root: Path
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def client(self, **headers: str) -> Browser:
        return Browser(self, headers=headers)

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        self.connections.append(connection)
        return connection

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; the seconds until it was gone."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(DEADLINE)
        return time.monotonic() - began

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


class Server(Protocol):
    """What a browser connects to."""

    def connect(self) -> http.client.HTTPConnection: ...


@dataclass
class Browser:
    """Keeps cookies; follows no redirect, so that a test sees them."""

    dashboard: Server
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def visit(self, path: str, **headers: str) -> Answer:
        """As one does by typing the address."""
        return self.get(path, **{"accept": "text/html,*/*;q=0.8", **headers})

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(fields).encode(), {**form, **headers})

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = self.dashboard.connect()
        try:
            connection.request(method, path, body or None, self._headers(headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
            self.set_cookies = response.headers.get_all("set-cookie") or []
            for cookie in self.set_cookies:
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value.strip('"')
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
        finally:
            connection.close()

    def csrf(self, page: str) -> str:
        found: list[str] = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)
        return found[0]

    def send(self, path: str, *, page: str = "/", **fields: str) -> Answer:
        """A form of ours, sent by our script from a page that has it."""
        csrf = self.csrf(self.get(page).text)
        return self.post(path, {"csrf": csrf, **fields}, accept="application/json")

    def sign_in(self, password: str, **fields: str) -> Answer:
        page = self.get("/login").text
        return self.post("/login", {"csrf": self.csrf(page), "password": password, **fields})

    def events(self, path: str, **headers: str) -> Events:
        connection = self.dashboard.connect()
        connection.request("GET", path, headers=self._headers(headers))
        response = connection.getresponse()
        assert response.status == 200, (response.status, response.read(500))
        assert response.headers["content-type"].startswith("text/event-stream")
        return Events(response)

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items() if value)
        return {**({"cookie": cookie} if cookie else {}), **self.headers, **headers}


@dataclass
class Event:
    name: str
    data: Any
    id: str


class Events:
    """An event stream, read one event at a time."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self) -> Event | None:
        """The next event; None when the stream has ended."""
        fields: dict[str, str] = {}
        while line := self._response.readline():
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            else:
                fields = {}
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(root: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HERMES_")}
    return {**kept, "HERMES_HOME": str(root), **variables}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hermes_cli.cli.main", "dashboard", *arguments]


@contextmanager
def running(root: Path, *arguments: str, **variables: str) -> Iterator[Dashboard]:
    """A dashboard that has announced that it is ready."""
    port = free_port()
    reading, writing = os.pipe()
    process = subprocess.Popen(
        command("--port", str(port), *arguments),
        env=environment(root, HERMES_NOTIFY_FD=str(writing), **variables),
        pass_fds=(writing,),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    dashboard = Dashboard(process, port, root)
    try:
        os.close(writing)
        assert select.select([reading], [], [], DEADLINE)[0], "it did not say that it is ready"
        said = os.read(reading, 10)
        assert said == b"\n", (said, process.stdout and process.stdout.read())
        yield dashboard
    finally:
        os.close(reading)
        for connection in dashboard.connections:
            connection.close()
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE)
        if process.stdout:
            process.stdout.close()
