"""A gateway's control socket with canned answers: fixed data, or a peer that cannot run here."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from hermes_cli.home import Home

Respond = Callable[[Mapping[str, str]], Any]
"""From the query to what is encoded as JSON, to `bytes` that are sent as they are, or to a `Refusal`."""


class Refusal(msgspec.Struct):
    """A problem, as gateways word them."""

    status: int
    code: str
    detail: str
    more: dict[str, Any] = {}
    """What else is in the body."""


class FakeGateway:
    """Answers what `routes` say, by method and path (`GET /v1/runs`); everything else with 404."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.routes: dict[str, Respond] = {"GET /healthz": lambda _: {"status": "ok"}}
        self.asked: list[str] = []
        """Method, path and body of every request, in order."""
        self._gone = threading.Event()

    def answer(self, route: str, value: Any) -> None:
        """Always answer `value` there."""
        self.routes[route] = lambda _query: value

    def hang(self, route: str) -> None:
        """Take the request there, and say nothing until the end of the test."""
        self.routes[route] = lambda _query: self._gone.wait(60)

    def waiting(self, route: str, value: Any) -> None:
        """Answer at once, but hold back what asks with `wait` until the end of the test: there is no news."""

        def respond(query: Mapping[str, str]) -> Any:
            if "cursor" in query and query["cursor"] not in ("0", ""):
                self._gone.wait(float(query.get("wait", 0)))
            return value

        self.routes[route] = respond

    @contextmanager
    def serving(self) -> Iterator[FakeGateway]:
        self.home.run_dir.mkdir(parents=True, exist_ok=True)
        with _Server(str(self.home.socket), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                self._gone.set()
                server.shutdown()
                thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False
    block_on_close = True


def _handler(gateway: FakeGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond()

        do_POST = do_DELETE = do_GET

        def address_string(self) -> str:
            return "local"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _respond(self) -> None:
            where = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            route = f"{self.command} {where.path}"
            gateway.asked.append(f"{route} {body}".strip())
            respond = gateway.routes.get(route, _nothing_here)
            value = respond({key: values[0] for key, values in parse_qs(where.query).items()})
            status = value.status if isinstance(value, Refusal) else 200
            if isinstance(value, Refusal):
                value = {"code": value.code, "detail": value.detail, **value.more}
            data = value if isinstance(value, bytes) else msgspec.json.encode(value)
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # who asked has gone

    return Handler


def _nothing_here(_query: Mapping[str, str]) -> Refusal:
    return Refusal(404, "not_found", "there is nothing here; /openapi.json lists what there is")
