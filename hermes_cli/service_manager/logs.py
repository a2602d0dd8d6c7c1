"""Reading a rotated log: the last lines across its parts, and the new ones as they come."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from .filelock import BINARY, CLOEXEC, NONBLOCK
from .watch import GROWN, Watch

RELOOK = 0.5
"""Seconds until a log is looked at again without having been told to: where there is no inotify."""

NOWHERE = "0-0"
"""The cursor of a reader that has found no log yet."""

_BLOCK = 1 << 16
_CHUNK = 1 << 18
_MAX_LINE = 1 << 18
"""A line without end is given out in pieces of this many bytes."""

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9})  ")
_CURSOR = re.compile(r"(\d{1,20})-(\d{1,20})")

_ATTEMPTS = 20


class _File(NamedTuple):
    path: Path
    inode: int
    modified: float
    """Seconds since the epoch."""


def read_log(directory: Path, lines: int, parts: _Parts | None = None) -> Iterator[str]:
    """Yield the last `lines` lines of the log, oldest first, without line ends. Nothing if there is none.

    An s6-log directory, or what `parts` finds in it (`numbered_parts`).
    """
    parts = parts or any_parts
    tail, file, rest = _open_tail(directory, lines, parts)
    if file is not None:
        file.close()
    yield from tail
    if rest:
        yield _text(rest)


def follow_log(directory: Path, lines: int, parts: _Parts | None = None) -> Iterator[str]:
    """`read_log`, then each new line as it comes, through rotations, until the caller closes the generator.

    A directory that is not there yet is waited for. Ends when a directory that was there is removed.
    """
    reader = FileLog(directory, lines=lines, parts=parts)
    seen = directory.is_dir()
    with contextlib.closing(reader):
        while True:
            reader.arm()
            while found := reader.read():
                yield from found
            if directory.is_dir():
                seen = True
            elif seen:
                return
            reader.wait(RELOOK)


class LogReader(Protocol):
    """A log as it grows, read without waiting. Not safe to share between threads.

    Where the log keeps the time of a line, the line begins with it, in local time: `stamp_of`.
    """

    skipped: bool
    """The place where reading should have gone on is gone: it began as without one."""

    @property
    def cursor(self) -> str:
        """Just behind the last line given out; a reader of the same log can go on there."""

    def read(self) -> list[str]:
        """Lines not given out yet, oldest first, some of them where there are many; empty where all are.

        The first ones are of the past. May raise `ServiceError`.
        """

    def arm(self) -> None:
        """Before `read`: what is written from now on makes `fileno` readable."""

    def fileno(self) -> int:
        """Readable when there may be more; -1 where nothing tells, and one has to look again."""

    def wait(self, timeout: float) -> None:
        """Return when there may be more, or after `timeout` seconds."""

    def close(self) -> None: ...


@runtime_checkable
class KeepsLogs(Protocol):
    """A service manager whose services' logs can be read as they grow: every backend of this library."""

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        """The reader of the log of a service; close it.

        Begins `lines` lines before the end (None: with what was written since `since`, seconds since the
        epoch, or somewhat earlier), or where `cursor` says. Raises as `ServiceManager.logs`.
        """


class FileLog:
    """The reader of an s6-log directory, or of what `parts` finds in one."""

    def __init__(
        self,
        directory: Path,
        *,
        lines: int | None = 100,
        since: float = 0.0,
        cursor: str | None = None,
        parts: _Parts | None = None,
    ) -> None:
        """Begins `lines` lines before the end (None: with the oldest part that was written to since then),

        or where `cursor` says. `since`: seconds since the epoch. Nothing there is an empty log.
        """
        self.skipped = False
        self._directory = directory
        self._parts = parts or any_parts
        self._lines = lines
        self._since = since
        self._looked = False
        self._file: FileIO | None = None
        self._rest = b""
        self._watch: Watch | None = None
        if cursor is not None:
            self._resume(cursor)

    @property
    def cursor(self) -> str:
        if self._file is None:
            return NOWHERE
        return f"{os.fstat(self._file.fileno()).st_ino}-{self._file.tell() - len(self._rest)}"

    def read(self) -> list[str]:
        if self._file is None:
            found = self._begin()
            if found or self._file is None:
                return found
        while True:
            found = self._next()
            newer = None if found else _successor(self._directory, self._file, self._parts)
            if newer is None:
                return found
            found = self._next()  # written between the last read and the rotation
            if found:
                newer.close()
                return found
            found = [_text(self._rest)] if self._rest else []
            self._take(newer)
            if found:
                return found

    def arm(self) -> None:
        if self._watch is None:
            self._watch = Watch(self._directory, GROWN)
        self._watch.drain()
        self._watch.arm()

    def fileno(self) -> int:
        return self._watch.fileno() if self._watch is not None else -1

    def wait(self, timeout: float) -> None:
        if self._watch is None:
            self.arm()
        assert self._watch is not None
        self._watch.wait(timeout)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _begin(self) -> list[str]:
        """Open the file to go on in; the lines that come before."""
        first, self._looked = not self._looked, True
        if first and self._lines is not None:
            found, file, rest = _open_tail(self._directory, self._lines, self._parts)
            if file is not None:
                self._take(file)
                self._rest = rest
            return found
        # It was not there when it was first looked for: everything in it is new.
        for part in self._parts(self._directory):
            if part.modified >= self._since and (file := _open(part)) is not None:
                self._take(file)
                break
        return []

    def _next(self) -> list[str]:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # it was cut off, as on Windows, where an open file is not renamed
            self._rest = b""
        while data := self._file.read(_CHUNK):
            *whole, self._rest = (self._rest + data).split(b"\n")
            if whole:
                return [_text(line) for line in whole]
            if len(self._rest) > _MAX_LINE:
                break
        if len(self._rest) <= _MAX_LINE:
            return []
        piece, self._rest = self._rest, b""
        return [_text(piece)]

    def _take(self, file: FileIO) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest = file, b""

    def _resume(self, cursor: str) -> None:
        match = _CURSOR.fullmatch(cursor)
        inode, offset = (int(match[1]), int(match[2])) if match else (-1, 0)
        for part in self._parts(self._directory):
            file = _open(part) if part.inode == inode else None
            if file is not None and os.fstat(file.fileno()).st_size >= offset:
                file.seek(offset)
                self._file = file
                return
            if file is not None:
                file.close()
        self.skipped = inode != 0


def stamp_of(line: str) -> str:
    """The time that begins `line`, `2026-11-21 13:00:00.123456789`; empty where there is none.

    Local time, as s6-log's T has it: later ones are greater, but for the hour that autumn repeats.
    """
    match = _STAMP.match(line)
    return match[1] if match else ""


def stamp(at: float) -> str:
    """`at`, seconds since the epoch, as s6-log writes it."""
    import time

    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))}.{int(at % 1 * 1e9):09d}"


_Parts = Callable[[Path], list[_File]]
"""Finds the parts of the log in a directory, oldest first."""


def numbered_parts(name: str) -> _Parts:
    """The parts of a log file `name`: the file itself is the newest, `name`.1 the one before, and so on."""

    def parts(directory: Path) -> list[_File]:
        found, number = [], 0
        while True:
            path = directory / (f"{name}.{number}" if number else name)
            try:
                found.append(_as_file(path, path.stat()))
            except (FileNotFoundError, NotADirectoryError):
                if number:
                    return found[::-1]
            number += 1

    return parts


def any_parts(directory: Path) -> list[_File]:
    """Of an s6-log directory, or of the log file `current` and its numbered parts; oldest first.

    While it rotates, s6-log has `previous` between the archives and `current`.
    """
    found: list[tuple[tuple[int, str], _File]] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                rank = _rank(entry.name)
                if rank is not None:
                    with contextlib.suppress(FileNotFoundError):
                        file = _as_file(directory / entry.name, entry.stat(follow_symlinks=False))
                        found.append((rank, file))
    except OSError:  # not there, not a directory, not ours to read
        return []
    found.sort(key=lambda one: one[0])
    return [file for _, file in found]


def _rank(name: str) -> tuple[int, str] | None:
    """Orders the names of parts, the oldest first; None for what is none."""
    if _is_archive(name):
        return 0, name
    number = name.removeprefix("current.")
    if number != name and number.isascii() and number.isdecimal() and len(number) < 5:
        return 1, f"{9999 - int(number):04}"
    return {"previous": (2, ""), "current": (3, "")}.get(name)


def _as_file(path: Path, status: os.stat_result) -> _File:
    return _File(path, status.st_ino, status.st_mtime)


def _is_archive(name: str) -> bool:
    """`@` and a TAI64N label, `.s` when it was completed and `.u` when s6-log died before."""
    return name.startswith("@") and name.endswith((".s", ".u"))


def _open(file: _File) -> FileIO | None:
    """The file, or None when another has taken its name since it was listed, or it is no file to read."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | CLOEXEC | NONBLOCK | BINARY)
    except OSError:
        return None
    opened = FileIO(descriptor)
    status = os.fstat(descriptor)
    if status.st_ino != file.inode or not stat.S_ISREG(status.st_mode):
        opened.close()
        return None
    return opened


def _successor(directory: Path, current: FileIO | None, parts: _Parts) -> FileIO | None:
    """The next newer file, opened; None where `current` is the newest."""
    for attempt in range(_ATTEMPTS):
        files = parts(directory)
        if [file.inode for file in files] != [file.inode for file in parts(directory)]:
            continue  # a rename in the middle of listing may hide a file
        position = -1
        if current is not None:
            seen = os.fstat(current.fileno())
            position = next((index for index, file in enumerate(files) if file.inode == seen.st_ino), -1)
            if position < 0 and seen.st_nlink > 0 and attempt < _ATTEMPTS - 1:
                continue  # it is somewhere: only a deleted file has been overtaken by all the others
        if position + 1 >= len(files):
            return None
        opened = _open(files[position + 1])
        if opened is not None:
            return opened
    return None


def _open_tail(directory: Path, lines: int, parts: _Parts) -> tuple[list[str], FileIO | None, bytes]:
    """The last whole lines, the newest file positioned after them, and its unfinished last line."""
    newest = None
    for _ in range(_ATTEMPTS):  # what is listed may be renamed before it is opened
        files = parts(directory)
        newest = _open(files[-1]) if files else None
        if newest is not None or not files:
            break
    if newest is None:
        return [], None, b""
    end = newest.seek(0, os.SEEK_END)
    whole, rest = _tail_of(newest, end, lines)
    newest.seek(end)
    found = deque(whole)
    for older in reversed(files[:-1]):
        if len(found) >= lines:
            break
        archive = _open(older)
        if archive is None:
            continue
        with archive:
            more, _ = _tail_of(archive, archive.seek(0, os.SEEK_END), lines - len(found))
        found.extendleft(reversed(more))
    return [_text(line) for line in found], newest, rest


def _tail_of(file: FileIO, end: int, lines: int) -> tuple[list[bytes], bytes]:
    """The last whole lines before offset `end`, and what follows the last newline."""
    data, position = b"", end
    while position > 0 and data.count(b"\n") <= lines:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    *whole, rest = data.split(b"\n")
    if position > 0:
        whole = whole[1:]  # its beginning was not read
    return whole[-lines:] if lines > 0 else [], rest


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
