"""Reading a rotated log: the last lines across its parts, and the new ones as they come."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from .filelock import BINARY, CLOEXEC, NONBLOCK
from .watch import GROWN, Watch

_BLOCK = 1 << 16
_MAX_LINE = 1 << 20
"""A line without end is given out in pieces of this many bytes."""

_RELOOK = 0.5

_ATTEMPTS = 20

_RANK = {"previous": 1, "current": 2}


class _File(NamedTuple):
    path: Path
    inode: int


def read_log(directory: Path, lines: int, parts: _Parts | None = None) -> Iterator[str]:
    """Yield the last `lines` lines of the log, oldest first, without line ends. Nothing if there is none.

    An s6-log directory, or what `parts` finds in it (`numbered_parts`).
    """
    parts = parts or _s6_parts
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
    parts = parts or _s6_parts
    with Watch(directory, GROWN) as watch:
        watch.arm()
        seen = directory.is_dir()
        tail, file, rest = _open_tail(directory, lines, parts)
        try:
            yield from tail
            while True:
                watch.arm()
                if file is not None:
                    rest = yield from _lines(file, rest)
                newer = _successor(directory, file, parts)
                if newer is not None:
                    if file is not None:
                        rest = yield from _lines(file, rest)  # written between the last read and the rotation
                        file.close()
                    file = newer
                    continue
                if directory.is_dir():
                    seen = True
                elif seen:
                    return
                watch.wait(_RELOOK)
        finally:
            if file is not None:
                file.close()


_Parts = Callable[[Path], list[_File]]
"""Finds the parts of the log in a directory, oldest first."""


def numbered_parts(name: str) -> _Parts:
    """The parts of a log file `name`: the file itself is the newest, `name`.1 the one before, and so on."""

    def parts(directory: Path) -> list[_File]:
        found, number = [], 0
        while True:
            path = directory / (f"{name}.{number}" if number else name)
            try:
                found.append(_File(path, path.stat().st_ino))
            except (FileNotFoundError, NotADirectoryError):
                if number:
                    return found[::-1]
            number += 1

    return parts


def _s6_parts(directory: Path) -> list[_File]:
    """Oldest first. While it rotates, s6-log has `previous` between the archives and `current`."""
    found: list[tuple[str, int]] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name in _RANK or _is_archive(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False).st_ino))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found.sort(key=lambda item: (_RANK.get(item[0], 0), item[0]))
    return [_File(directory / name, inode) for name, inode in found]


def _is_archive(name: str) -> bool:
    """`@` and a TAI64N label, `.s` when it was completed and `.u` when s6-log died before."""
    return name.startswith("@") and name.endswith((".s", ".u"))


def _open(file: _File) -> FileIO | None:
    """The file, or None when another has taken its name since it was listed."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | CLOEXEC | NONBLOCK | BINARY)
    except FileNotFoundError:
        return None
    opened = FileIO(descriptor)
    if os.fstat(descriptor).st_ino != file.inode:
        opened.close()
        return None
    return opened


def _successor(directory: Path, current: FileIO | None, parts: _Parts) -> FileIO | None:
    """The next newer file, opened; None where `current` is the newest."""
    for attempt in range(_ATTEMPTS):
        files = parts(directory)
        if files != parts(directory):
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
    files = parts(directory)
    newest = None
    while files and newest is None:
        newest = _open(files[-1])
        if newest is None:
            files = parts(directory)
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


def _lines(file: FileIO, rest: bytes) -> Generator[str, None, bytes]:
    """Yield the whole lines from here to the end; return the unfinished one."""
    while data := file.read(_BLOCK):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield _text(line)
        if len(rest) > _MAX_LINE:
            yield _text(rest)
            rest = b""
    return rest


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
