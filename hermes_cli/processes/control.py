"""Asking a keeper: one connection, requests and answers as hermes_cli.processes.keeper.control says."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import TracebackType

from .errors import KeeperUnreachableError

_MAX_ANSWER = 256


class KeeperConnection:
    """A connection to the keeper of one process. Use it as a context manager."""

    def __init__(self, directory: Path, control: str, *, timeout: float = 5.0) -> None:
        """Raises `KeeperUnreachableError`. `control` is the path from the status, in the directory or not."""
        self._name = directory.name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._buffer = b""
        try:
            if os.path.isabs(control):  # noqa: PTH117
                self._socket.connect(control)
            else:
                _connect_below(self._socket, directory, control)
        except OSError as error:
            self._socket.close()
            raise KeeperUnreachableError(
                f"the keeper of {self._name} does not answer ({error.strerror or error}); "
                "'hermes process list' says whether it is still there"
            ) from error

    def ask(self, line: str, payload: bytes = b"", *, timeout: float = 5.0) -> list[str]:
        """The words of the answer; raises `KeeperUnreachableError` past `timeout` seconds."""
        deadline = time.monotonic() + timeout
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(line.encode() + b"\n" + payload)
            while b"\n" not in self._buffer:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or len(self._buffer) > _MAX_ANSWER:
                    raise TimeoutError("no answer in time")
                self._socket.settimeout(remaining)
                data = self._socket.recv(_MAX_ANSWER)
                if not data:
                    raise ConnectionResetError("it ended")
                self._buffer += data
        except OSError as error:
            raise KeeperUnreachableError(f"the keeper of {self._name} gave no answer ({error})") from error
        answer, _, self._buffer = self._buffer.partition(b"\n")
        return answer.decode("ascii", "replace").split()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> KeeperConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _connect_below(connection: socket.socket, directory: Path, name: str) -> None:
    """By way of a descriptor of the directory: its path may be longer than a socket's may be (107 bytes)."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
