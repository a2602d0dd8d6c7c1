"""Orders to a running supervisor, over a loopback socket: the one thing to wait on that every system has."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from .supervisor_files import CONTROL, replace_file

_PATIENCE = 2.0
"""Seconds that either side has for a line."""


class Control(threading.Thread):
    """Listens on a port of 127.0.0.1 that the system chooses. Reports each order by its word.

    Whoever can read the control file (0600, in the service's own directory) may give orders.
    """

    def __init__(self, directory: Path, report: Callable[..., None]) -> None:
        """Listen and write the control file; OSError."""
        super().__init__(daemon=True, name="control")
        self._report = report
        self._path = directory / CONTROL
        self._token = os.urandom(24).hex()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        port = self._listener.getsockname()[1]
        replace_file(self._path, json.dumps({"port": port, "token": self._token, "pid": os.getpid()}))

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_PATIENCE)
                self._serve(connection)

    def close(self) -> None:
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _serve(self, connection: socket.socket) -> None:
        line = b""
        while b"\n" not in line and len(line) < 256:
            data = connection.recv(256)
            if not data:
                return
            line += data
        token, _, word = line.decode("ascii", "replace").strip().partition(" ")
        if not hmac.compare_digest(token.encode(), self._token.encode()) or word not in ("start", "stop"):
            connection.sendall(b"no\n")
            return
        self._report(word)
        connection.sendall(b"ok\n")


def give_order(directory: Path, word: str) -> bool:
    """Tell the supervisor of `directory` to "start" or "stop"; False where nobody takes the order."""
    try:
        found = json.loads((directory / CONTROL).read_bytes())
        with socket.create_connection(("127.0.0.1", int(found["port"])), timeout=_PATIENCE) as connection:
            connection.sendall(f"{found['token']} {word}\n".encode())
            return connection.recv(16) == b"ok\n"
    except (OSError, ValueError, KeyError, TypeError):
        return False
