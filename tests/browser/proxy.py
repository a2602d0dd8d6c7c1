"""A reverse proxy that shows a dashboard under a path: the path taken off, streams passed on."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OWN = frozenset({"connection", "transfer-encoding", "keep-alive", "host", "content-length"})
"""Headers that belong to one connection, or that are written anew."""


@contextmanager
def proxied(port: int, prefix: str) -> Iterator[str]:
    """Show what serves on `port` of this machine below `prefix`; gives the origin that a browser goes to."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
                headers |= {"Host": self.headers["host"], "X-Forwarded-Proto": "http"}
                headers["X-Forwarded-For"] = self.client_address[0]
                upstream.request(self.command, self.path.removeprefix(prefix) or "/", body or None, headers)
                self._pass_on(upstream.getresponse())
            except OSError:  # one of the two has gone, and so does the other
                self.close_connection = True
            finally:
                upstream.close()

        do_POST = do_GET

        def _pass_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OWN | {"date", "server"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.close_connection = True
            self.end_headers()
            while chunk := answer.read1():
                self.wfile.write(chunk)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
