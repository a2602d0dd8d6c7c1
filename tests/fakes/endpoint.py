"""A webhook's endpoint: a real HTTP server that answers as it is told and remembers what it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Delivery(NamedTuple):
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found


class Endpoint:
    """Listens on `port` from `open` to `close`, and may be opened again on the same."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.got: list[Delivery] = []
        self.answer: Callable[[Delivery], int | bytes] = lambda delivery: 204
        """The status, or what is written in its place, byte for byte. Runs in the connection's thread."""
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/token"

    def open(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", "0")))
                delivery = Delivery(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
                endpoint.got.append(delivery)
                answer = endpoint.answer(delivery)
                try:
                    if isinstance(answer, bytes):
                        self.wfile.write(answer)
                    else:
                        self.send_response(answer)
                        self.send_header("Content-Length", "0")
                        if 300 <= answer < 400:
                            self.send_header("Location", f"http://127.0.0.1:{endpoint.port}/elsewhere")
                        self.end_headers()
                except OSError:  # whoever asked has gone
                    pass
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    made.open()
    try:
        yield made
    finally:
        made.close()
