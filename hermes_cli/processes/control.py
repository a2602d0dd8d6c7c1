"""Asking a keeper: one connection, requests and answers as hermes_cli.processes.keeper.control says."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path
from types import TracebackType

from .errors import KeeperUnreachableError
from .keeper.control import NAME

_MAX_ANSWER = 256
_LONGEST_PATH = 107
"""Bytes of a socket's path (unix(7))."""
_UCRED = struct.Struct("iII")
_TIMEVAL = struct.Struct("ll")


class KeeperConnection:
    """A connection to the keeper of one process. Use it as a context manager."""

    def __init__(self, directory: Path, control: str, *, timeout: float = 5.0) -> None:
        """Raises `KeeperUnreachableError`. `control`: what the status says."""
        self._name = directory.name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Not settimeout, with which a full queue of clients is an error at once.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(timeout), 0))
        self._buffer = b""
        try:
            if control.startswith("@"):
                self._socket.connect("\0" + control[1:])
            else:
                _connect_below(self._socket, directory)
            self._check_listener(directory)
        except OSError as error:
            self._socket.close()
            raise KeeperUnreachableError(
                f"the keeper of {self._name} does not answer ({error.strerror or error}); "
                "'hermes process list' says whether it is still there"
            ) from error

    def _check_listener(self, directory: Path) -> None:
        """An abstract name can be anybody's, and a file in a directory may be a link: who listens?"""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        uid = _UCRED.unpack(credentials)[1]
        if uid not in (0, directory.stat().st_uid):
            raise PermissionError(f"somebody else, uid {uid}, listens in its place")

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


def _connect_below(connection: socket.socket, directory: Path) -> None:
    path = os.fspath(directory / NAME)
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        connection.connect(path)
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}/{NAME}")
    finally:
        os.close(descriptor)
