"""Writing output to disk as it comes: segments under a hard cap, the first and the latest kept."""

from __future__ import annotations

import os

from hermes_cli.processes import frames

_LEAST_TAIL = 8
_LEAST_PIECE = 512
"""Bytes of room in a segment that are worth a frame of their own."""
_LARGEST_SEGMENT = 2 << 20
"""Bytes: a reader has one in memory."""


class SpoolWriter:
    """The output directory of one process. `budget` is what all its files may have together, in bytes.

    The first segment stays, and the latest of the others. Bytes that are not kept, for the cap or
    for a disk that does not take them, are a gap in the offsets: a segment's name says where in the output it
    begins. A full disk costs what comes now, never what is there already.
    """

    def __init__(self, directory: str, budget: int) -> None:
        self._directory = directory
        self._segment_size = min(budget // (_LEAST_TAIL + 1), _LARGEST_SEGMENT)
        self._most = budget // self._segment_size
        self._segments: list[str] = []
        self._file = -1
        self._size = 0
        self.offset = 0
        self.lines = 0

    def write(self, stream: int, data: bytes, micros: int) -> None:
        """Keep `data`. Never raises for a disk that does not take it."""
        start = 0
        while start < len(data):
            room = self._segment_size - self._size - frames.OVERHEAD
            if self._file < 0 or room < min(len(data) - start, _LEAST_PIECE):
                room = self._segment_size - frames.OVERHEAD
            part = data[start : start + room] if start or len(data) > room else data
            self._keep(stream, part, micros)
            start += len(part)
            self.offset += len(part)
            self.lines += part.count(b"\n")

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _keep(self, stream: int, part: bytes, micros: int) -> None:
        length = len(part)
        try:
            if self._file < 0 or self._size + length + frames.OVERHEAD > self._segment_size:
                self._next_segment()
            self._append(frames.header(stream, length, self.offset, micros), part, frames.footer(length))
        except OSError:
            self._take_back()

    def _append(self, *pieces: bytes) -> None:
        total = sum(map(len, pieces))
        written = os.writev(self._file, pieces)
        while written < total:
            rest = b"".join(pieces)[written:]
            written += os.write(self._file, rest)
        self._size += total

    def _next_segment(self) -> None:
        self.close()
        if len(self._segments) >= self._most:
            try:
                os.unlink(self._segments[1])
            except FileNotFoundError:
                pass
            del self._segments[1]
        path = f"{self._directory}/{frames.segment_name(self.offset, self.lines)}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._segments.append(path)

    def _take_back(self) -> None:
        """A frame was cut off: the segment ends before it, and the next bytes begin another."""
        if self._file < 0:
            return
        try:
            if self._size:
                os.ftruncate(self._file, self._size)
            else:
                os.unlink(self._segments.pop())
        except OSError:
            pass
        self.close()
