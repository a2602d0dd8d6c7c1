"""Reading a process's output from disk: by byte offset, from the end, by line. Its keeper may be writing."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import frames

_BLOCK = 1 << 16
"""Bytes read from the end of a segment at a time."""


@dataclass(frozen=True)
class Record:
    """A piece of output as it was read from the command."""

    offset: int
    stream: int
    """frames.STDOUT, STDERR or TERMINAL."""
    time: float
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)

    def behind(self, offset: int) -> Record:
        """What of it comes from `offset` on."""
        cut = max(0, offset - self.offset)
        return Record(self.offset + cut, self.stream, self.time, self.data[cut:]) if cut else self


@dataclass(frozen=True)
class Chunk:
    """Bytes from `start` on; what was asked for before it and is gone is `dropped`."""

    data: bytes
    start: int
    dropped: int
    end_of_output: int
    """Bytes of output so far."""

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@dataclass(frozen=True)
class Page:
    """Whole lines `first` to `first + len(lines) - 1`, line ends taken off."""

    lines: list[bytes]
    first: int
    total: int
    dropped: int
    """Bytes missing from the shown range."""


@dataclass(frozen=True)
class _Segment:
    path: Path
    offset: int
    lines: int


class Spool:
    """The output directory of one process."""

    def __init__(self, directory: Path, *, finished: bool = False) -> None:
        """`finished`: its keeper is gone, so that a torn last frame is all that will ever be."""
        self._directory = directory
        self._finished = finished

    def end(self) -> int:
        """Bytes of output so far, dropped ones included (up to the last that was kept)."""
        segments = self._segments()
        for segment in reversed(segments):
            last = self._last_record(segment)
            if last is not None:
                return last.end
        return segments[-1].offset if segments else 0

    def tail(self, size: int) -> Chunk:
        """The last `size` bytes that are there without a gap."""
        pieces: list[bytes] = []
        start: int | None = None
        end = taken = 0
        for segment in reversed(self._segments()):
            for record in self._backwards(segment):
                if start is None:
                    start = end = record.end
                if record.end != start or taken >= size:
                    return _last(pieces, start, end, size)
                pieces.append(record.data)
                start, taken = record.offset, taken + len(record.data)
        return _last(pieces, start or 0, end, size)

    def read(self, start: int, size: int) -> Chunk:
        """At most `size` bytes from offset `start` on, up to the next gap; behind one that `start` is in."""
        end = self.end()
        if start >= end:
            return Chunk(b"", start, 0, end)
        near = self.tail(min(end - start, 4 * _BLOCK))
        if near.start <= start and near.end >= end:
            data = near.data[start - near.start : start - near.start + size]
            return Chunk(data, start, 0, max(end, near.end))
        pieces: list[bytes] = []
        begin: int | None = None
        at, taken = start, 0
        for record in self.records(start):
            if begin is None:
                begin = at = max(start, record.offset)
            if record.offset > at or taken >= size:
                break
            data = record.data[at - record.offset :]
            pieces.append(data)
            at, taken = record.end, taken + len(data)
        if begin is None:
            return Chunk(b"", end, end - start, end)
        return Chunk(b"".join(pieces)[:size], begin, begin - start, end)

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records that hold offset `start` and what is after it, oldest first."""
        segments = self._segments()
        first = max(0, bisect_right([segment.offset for segment in segments], start) - 1)
        for segment in segments[first:]:
            for record in _forwards(_read(segment.path), self._finished):
                if record.end > start:
                    yield record

    def page(self, offset: int | None, limit: int) -> Page:
        """`limit` lines from line number `offset` (from 0) on; the last `limit` where it is None.

        A last line without its newline is a line. Lines in a gap cannot be shown: the page is what there is.
        """
        segments = self._segments()
        total = self._count(segments)
        first = max(0, total - limit) if offset is None else offset
        stop = min(total, first + limit)
        lines: list[bytes] = []
        dropped, shown = 0, None
        for line in self._lines(segments, first):
            if line.number >= stop:
                break
            shown = line.number if shown is None else shown
            dropped += line.dropped
            lines.append(line.text)
        return Page(lines, first if shown is None else shown, total, dropped)

    def _lines(self, segments: list[_Segment], first: int) -> Iterator[_Line]:
        """Lines from number `first` on, with what was dropped before or in each."""
        index = max(0, bisect_right([segment.lines for segment in segments], first) - 1)
        # The line may have begun in an earlier segment with the same count of newlines behind it.
        while index > 0 and segments[index].lines == first:
            index -= 1
        number = segments[index].lines if segments else 0
        at = segments[index].offset if segments else 0
        rest, dropped = b"", 0
        for position, segment in enumerate(segments[index:], index):
            if segment.offset != at and position > index:
                if rest:
                    yield from _line(number, rest, dropped, first)
                    rest, dropped = b"", 0
                number, dropped = segment.lines, dropped + segment.offset - at
            for record in _forwards(_read(segment.path), self._finished):
                *whole, rest = (rest + record.data).split(b"\n")
                for text in whole:
                    yield from _line(number, text, dropped, first)
                    number, dropped = number + 1, 0
                at = record.end
        if rest:
            yield from _line(number, rest, dropped, first)

    def _count(self, segments: list[_Segment]) -> int:
        """Lines in all; a last one without its newline is one."""
        if not segments:
            return 0
        last = segments[-1]
        data = b"".join(record.data for record in _forwards(_read(last.path), self._finished))
        if not data and len(segments) > 1:
            return self._count(segments[:-1])
        unfinished = bool(data) and not data.endswith(b"\n")
        return last.lines + data.count(b"\n") + unfinished

    def _segments(self) -> list[_Segment]:
        found = []
        try:
            names = os.listdir(self._directory)  # noqa: PTH208 - a Path for each is not needed
        except FileNotFoundError:
            return []
        for name in sorted(names):
            place = frames.segment_place(name)
            if place is not None:
                found.append(_Segment(self._directory / name, *place))
        return found

    def _last_record(self, segment: _Segment) -> Record | None:
        return next(self._backwards(segment), None)

    def _backwards(self, segment: _Segment) -> Iterator[Record]:
        """The records of a segment, latest first. Only its end is read where that is enough."""
        try:
            descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            end = size = os.fstat(descriptor).st_size
            block = min(size, _BLOCK)
            while end > 0:
                begin = max(0, end - block)
                data = os.pread(descriptor, end - begin, begin)
                at = len(data)
                while (start := frames.previous(data, at)) is not None:
                    yield _record(data, start)
                    at = start
                if at == len(data):
                    if begin == 0:  # torn: the frames before are only found from the beginning
                        if end == size:
                            yield from reversed(list(_forwards(data, self._finished)))
                        return
                    block = min(end, block * 4)
                    continue
                end, block = begin + at, min(begin + at, _BLOCK)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Line:
    number: int
    text: bytes
    dropped: int


def _line(number: int, text: bytes, dropped: int, first: int) -> Iterator[_Line]:
    if number >= first:
        yield _Line(number, text.removesuffix(b"\r"), dropped)


def _last(pieces: list[bytes], start: int, end: int, size: int) -> Chunk:
    data = b"".join(reversed(pieces))
    cut = max(0, len(data) - size)
    return Chunk(data[cut:], start + cut, 0, end)


def _read(path: Path) -> bytes:
    """A whole segment; nothing where the cap has just taken it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened without following links
        return file.read()


def _record(data: bytes, at: int) -> Record:
    found = frames.parse(data, at)
    if found is None:
        raise ValueError(f"no frame at {at}")
    stream, length, offset, micros = found
    begin = at + frames.HEADER
    return Record(offset, stream, micros / 1e6, data[begin : begin + length])


def _forwards(data: bytes, finished: bool) -> Iterator[Record]:
    """All whole frames; and of a torn last one what there is, where nobody will complete it."""
    at = 0
    while (found := frames.parse(data, at)) is not None:
        stream, length, offset, micros = found
        begin, end = at + frames.HEADER, at + frames.HEADER + length
        if end + frames.FOOTER > len(data):
            if finished and len(data) > begin:
                yield Record(offset, stream, micros / 1e6, data[begin:end])
            return
        yield Record(offset, stream, micros / 1e6, data[begin:end])
        at = end + frames.FOOTER
