"""The log of a supervised service: a file and its older parts, never more than so many bytes together."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from .filelock import BINARY, CLOEXEC

PART = 1_000_000
"""Bytes in one part, as s6-log keeps them."""
PARTS = 10

_BLOCK = 1 << 16


class RotatingLog:
    """Appends to `path`; at `part` bytes it becomes `path`.1, that .2, and so on to `parts` in all.

    Parts end at the end of a line, where one has any. What cannot be written is counted, said later, and
    stops nothing: a service outlives a full disk.
    """

    def __init__(self, path: Path, part: int = PART, parts: int = PARTS) -> None:
        self._path, self._part, self._parts = path, part, parts
        self._descriptor = -1
        self._size = 0
        self._lost = 0
        self._why = ""
        self._limit = part

    def write(self, data: bytes) -> None:
        """Append `data`; never raises for what the disk does."""
        while data:
            data = self._write_part(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_part(self, data: bytes) -> bytes:
        """Append what still fits; returns the rest, for the next part."""
        try:
            self._open()
            room = self._limit - self._size
            now, rest = data, b""
            if len(data) > room:
                end = data.rfind(b"\n", 0, max(room, 0)) + 1
                if not end and self._size and b"\n" in data[: self._part]:
                    self._rotate()
                    return data
                end = end or max(room, 1)
                now, rest = data[:end], data[end:]
            self._append(now)
            if rest or self._size >= self._limit:
                self._rotate()
        except OSError as error:
            self._lost += len(data)
            self._why = error.strerror or str(error)
            self.close()
            return b""
        return rest

    def _append(self, data: bytes) -> None:
        if self._lost:
            note = f"supervisor: {self._lost} bytes of output are lost here ({self._why})\n".encode()
            self._size += os.write(self._descriptor, note)
            self._lost = 0
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._size += written
            view = view[written:]

    def _open(self) -> None:
        if self._descriptor >= 0:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | CLOEXEC | BINARY
        self._descriptor = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._descriptor).st_size
        self._limit = self._part

    def _rotate(self) -> None:
        self.close()
        try:
            for number in range(self._parts - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._named(number - 1).replace(self._named(number))
        except PermissionError:
            # Windows renames no file that a reader has open. Go on in it, and try again a part later;
            # what is then as long as the whole log begins anew.
            self._open()
            self._limit = self._size + self._part
            if self._size >= self._part * self._parts:
                os.ftruncate(self._descriptor, 0)
                self._size, self._limit = 0, self._part

    def _named(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


class Pump(threading.Thread):
    """Moves the service's output from a pipe into the log. The pipe lasts as long as the supervisor.

    One pipe for all lives of the service, so that a child it leaves behind goes on writing.
    """

    def __init__(self, log: RotatingLog) -> None:
        super().__init__(daemon=True, name="output")
        self._log = log
        self._reader, self.writer = os.pipe()
        self._token = b"\0hermes-drained-" + os.urandom(12).hex().encode() + b"\n"
        self._drained = threading.Event()

    def drain(self, seconds: float) -> None:
        """Return when all that was written until now is in the log, or after so many seconds."""
        self._drained.clear()
        writer = threading.Thread(target=self._mark, daemon=True)
        writer.start()
        self._drained.wait(seconds)

    def _mark(self) -> None:
        # In a thread: the pipe may be full, and the disk below the log may hang.
        with contextlib.suppress(OSError):
            os.write(self.writer, self._token)

    def run(self) -> None:
        kept = b""
        while True:
            try:
                data = os.read(self._reader, _BLOCK)
            except OSError:
                return
            if not data:
                return
            data = kept + data
            kept = b""
            if self._token in data:
                data = data.replace(self._token, b"")
                self._log.write(data)
                self._drained.set()
                continue
            # The token is shorter than PIPE_BUF, so it comes whole, but perhaps over two reads.
            cut = data.rfind(b"\0")
            if cut >= 0 and self._token.startswith(data[cut:]):
                data, kept = data[:cut], data[cut:]
            self._log.write(data)
