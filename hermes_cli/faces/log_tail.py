"""Reading a gateway's s6-log directory as it grows: no line lost or seen twice, also across rotation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.service_manager.watch import GROWN

from .changes import Changes

_CHUNK = 1 << 18
"""Bytes read at once, and how far back the first look goes."""

_LONGEST_LINE = 1 << 16
"""Bytes after which a line without an end is given out as it is."""

_RELOOK = 0.5
"""Seconds until the log is looked at again without having been told to: where there is no inotify."""

_GATHER = 0.05
"""Seconds in which lines gather before the next batch: a flood is not one event per line."""

_CURSOR = re.compile(r"(\d{1,20})-(\d{1,20})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: the file (by inode, which survives its renaming) and the byte in it."""

    inode: int
    offset: int

    def __str__(self) -> str:
        return f"{self.inode}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor `str()` wrote, or None for anything else."""
        match = _CURSOR.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None


class LogTail:
    """The lines of `directory`/current, oldest first. Not safe to share between threads.

    Begins `lines` lines before the end, or where `cursor` says. A cursor whose file is gone begins
    like none at all: `skipped` is then true.
    """

    def __init__(self, directory: Path, *, lines: int = 200, cursor: Cursor | None = None) -> None:
        self.directory = directory
        self._descriptor: int | None = None
        self._inode = 0
        self._offset = 0
        self._first_look = lines
        self.skipped = False
        if cursor is not None:
            self._resume(cursor)

    @property
    def cursor(self) -> Cursor:
        """Just behind the last line that `read` gave out."""
        return Cursor(self._inode, self._offset)

    def read(self) -> list[str]:
        """The lines written since the last call, without their ends; some of them where there are many.

        An empty list means that there is nothing new. A missing or unreadable file is an empty one.
        """
        if self._descriptor is None:
            if not self._open("current"):
                return []
            if self._first_look:
                return self._last_lines()
        lines = self._next_lines()
        if lines or not self._renamed():
            return lines
        # What was written between the reading and the renaming is still to come.
        lines = self._next_lines(whole_file=True)
        if not lines and self._open(self._successor()):
            lines = self._next_lines()
        return lines

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, name: str) -> bool:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.directory / name, flags)
        except OSError:
            return False
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return False
        self.close()
        self._descriptor, self._inode, self._offset = descriptor, status.st_ino, 0
        return True

    def _resume(self, cursor: Cursor) -> None:
        for name in ("current", "previous", *reversed(self._archives())):
            try:
                found = (self.directory / name).lstat()
            except OSError:
                continue
            if found.st_ino == cursor.inode and found.st_size >= cursor.offset and self._open(name):
                self._offset, self._first_look = cursor.offset, 0
                return
        self.skipped = cursor.inode != 0

    def _archives(self) -> list[str]:
        """Rotated files, oldest first: s6-log names them `@` and a TAI64N time, which sorts."""
        try:
            return sorted(path.name for path in self.directory.iterdir() if path.name.startswith("@"))
        except OSError:
            return []

    def _last_lines(self) -> list[str]:
        wanted, self._first_look = self._first_look, 0
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _CHUNK)
        data = os.pread(self._descriptor, size - start, start)
        end = data.rfind(b"\n") + 1
        if start:
            data, end = data[: end or None], end or len(data)
            first = data.find(b"\n") + 1
        else:
            data, first = data[:end], 0
        self._offset = start + end
        return _split(data[first:end])[-wanted:]

    def _next_lines(self, *, whole_file: bool = False) -> list[str]:
        assert self._descriptor is not None
        if os.fstat(self._descriptor).st_size < self._offset:
            self._offset = 0
        data = os.pread(self._descriptor, _CHUNK, self._offset)
        end = data.rfind(b"\n") + 1
        if not end and (whole_file or len(data) >= _LONGEST_LINE):
            end = len(data)
        self._offset += end
        return _split(data[:end])

    def _renamed(self) -> bool:
        try:
            return (self.directory / "current").lstat().st_ino != self._inode
        except OSError:
            return False

    def _successor(self) -> str:
        archives = self._archives()
        for index, name in enumerate(archives[:-1]):
            try:
                if (self.directory / name).lstat().st_ino == self._inode:
                    return archives[index + 1]
            except OSError:
                continue
        return "current"


async def follow(tail: LogTail) -> AsyncGenerator[list[str], None]:
    """Batches of the lines of `tail`, never empty, as they come, until closed. Closes `tail`."""
    with contextlib.closing(tail), contextlib.closing(Changes(tail.directory, GROWN)) as changes:
        while True:
            changes.arm()
            while lines := tail.read():
                yield lines
                await asyncio.sleep(_GATHER)
            await changes.next(_RELOOK)


def _split(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []
