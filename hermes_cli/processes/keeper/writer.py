"""Writing output to disk as it comes: segments under a hard cap, the first and the latest kept."""

from __future__ import annotations

import errno
import os

from hermes_cli.processes import frames

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

TAIL_SEGMENTS = 8


class SpoolWriter:
    """The output directory of one process. `budget` is what all its files may have together, in bytes.

    The first segment stays; of the others the latest `TAIL_SEGMENTS`. Bytes that are not kept, for the cap or
    for a full disk, are a gap in the offsets: a segment's name says where in the output it begins.
    """

    def __init__(self, directory: str, budget: int) -> None:
        self._directory = directory
        self._segment_size = budget // (TAIL_SEGMENTS + 1)
        self._largest = min(1 << 17, self._segment_size - frames.OVERHEAD)
        self._tail: list[str] = []
        self._file = -1
        self._size = 0
        self._first = True
        self.offset = 0
        self.lines = 0
        self.failures = 0

    def write(self, stream: int, data: bytes, micros: int) -> None:
        """Keep `data`. Never raises for a disk that does not take it: what is lost shows as a gap."""
        for start in range(0, len(data), self._largest):
            part = data[start : start + self._largest] if len(data) > self._largest else data
            self._keep(stream, part, micros)
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
        except OSError as error:
            self.failures += 1
            self._give_up_segment()
            if error.errno in _NO_ROOM and self._tail:
                self._drop_oldest()
                self._try_once(stream, part, micros)

    def _try_once(self, stream: int, part: bytes, micros: int) -> None:
        """With the room that our own oldest segment gave back."""
        try:
            self._next_segment()
            header = frames.header(stream, len(part), self.offset, micros)
            self._append(header, part, frames.footer(len(part)))
        except OSError:
            self._give_up_segment()

    def _append(self, *pieces: bytes) -> None:
        total = sum(map(len, pieces))
        written = os.writev(self._file, pieces)
        while written < total:
            rest = b"".join(pieces)[written:]
            written += os.write(self._file, rest)
        self._size += total

    def _next_segment(self) -> None:
        self.close()
        if len(self._tail) >= TAIL_SEGMENTS:
            self._drop_oldest()
        path = f"{self._directory}/{frames.segment_name(self.offset, self.lines)}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        if self._first:
            self._first = False
        else:
            self._tail.append(path)

    def _drop_oldest(self) -> None:
        try:
            os.unlink(self._tail.pop(0))
        except OSError:
            self.failures += 1

    def _give_up_segment(self) -> None:
        """A frame was cut off: end the segment before it, and begin another with the next bytes."""
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.failures += 1
        self.close()
