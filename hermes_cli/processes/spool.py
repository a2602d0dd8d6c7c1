"""Reading a process's output from disk: by byte offset, from the end, by line. Its keeper may be writing."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from . import frames
from .records import open_regular, read_bytes

_BLOCK = 1 << 13
"""Bytes read from the end of a segment at first."""

_NEAR = 1 << 18
"""Bytes before the end that are read from the end."""

_LONGEST_LINE = 1 << 16
_LARGEST_PAGE = 4 << 20
"""Bytes of a page; one line is always shown."""

_LARGEST_SEGMENT = 8 << 20


class Record(NamedTuple):
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
    before: bytes = b""
    """What is right before `start`, as much of it as was asked for and is there."""
    gap: bool = False
    """What comes next has been dropped: `data` is not continued."""

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


_LOOKS = 50
"""How often the segments are listed anew because the newest of them had gone by the time it was opened."""


class Spool:
    """The output directory of one process."""

    def __init__(self, directory: Path, *, finished: bool = False, length: int | None = None) -> None:
        """`finished`: its keeper is gone, so that a torn last frame is all that will ever be. `length`: bytes
        of output there were, where that is known; the last of them may not have been kept."""
        self._directory = directory
        self._finished = finished
        self._length = length or 0

    def end(self) -> int:
        """Bytes of output so far, dropped ones included."""
        return max(self._kept(), self._length)

    def _kept(self) -> int:
        """Offset behind the last byte that is there."""
        end = 0
        for _ in range(_LOOKS):
            segments = self._segments()
            if not segments:
                break
            newest = segments[-1]
            last = next(self._backwards(newest), None)
            end = max(end, last.end if last is not None else newest.offset)
            if last is not None or newest.path.exists():
                break  # else the cap took it after it was listed: there are newer ones
        return end

    def version(self) -> object:
        """Changes with the output."""
        segments = self._segments()
        try:
            size = segments[-1].path.lstat().st_size if segments else 0
        except FileNotFoundError:
            size = -1
        return [segment.offset for segment in segments[-1:]], size, self._length, self._finished

    def tail(self, size: int, context: int = 0) -> Chunk:
        """The last `size` bytes that are there without a gap, and at most `context` bytes before them."""
        pieces: list[bytes] = []
        end = 0
        for _ in range(_LOOKS):
            segments = self._segments()
            pieces, end = self._last_pieces(segments, size + context)
            if not segments or end >= segments[-1].offset:
                break  # else the cap took what was listed as the newest
        return self._last(pieces, end, size, context)

    def _last_pieces(self, segments: list[_Segment], size: int) -> tuple[list[bytes], int]:
        """The data of the last records without a gap, latest first, and the offset behind them."""
        pieces: list[bytes] = []
        start: int | None = None
        end = taken = 0
        for segment in reversed(segments):
            for record in self._backwards(segment):
                if start is None:
                    start = end = record.end
                if record.end != start or taken >= size:
                    return pieces, end
                pieces.append(record.data)
                start, taken = record.offset, taken + len(record.data)
        return pieces, end

    def _last(self, pieces: list[bytes], end: int, size: int, context: int) -> Chunk:
        data = b"".join(reversed(pieces))
        cut = max(0, len(data) - size)
        length = max(end, self._length)
        before = data[max(0, cut - context) : cut]
        return Chunk(data[cut:], end - len(data) + cut, 0, length, before, length > end)

    def read(self, start: int, size: int, context: int = 0) -> Chunk:
        """At most `size` bytes from offset `start` on, up to the next gap; behind one that `start` is in.

        `context`: how many bytes before them are wanted as well.
        """
        end = self.end()
        if start >= end:
            return Chunk(b"", start, 0, end)
        if end - start + context <= _NEAR:
            # It may be growing meanwhile.
            near = self.tail(end - start + context + _BLOCK)
            if near.start <= max(0, start - context) and start < near.end:
                return _around(near.data, near.start, start, size, context, end, near.gap)
        run, at, gap = bytearray(), 0, False
        for record in self.records(max(0, start - context)):
            if record.offset > at:
                if run and at > start:
                    gap = True
                    break
                run.clear()
            run += record.data
            at = record.end
            if at > max(start, at - len(run)) + size:
                break
        if at <= start:
            return Chunk(b"", end, end - start, end)
        gap = gap or (at < end and at >= self._kept())
        return _around(bytes(run), at - len(run), start, size, context, end, gap)

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

        A last line without its newline is a line. Lines in a gap cannot be shown: the page is what there is,
        and no more than a few MiB. Of a very long line the beginning is shown.
        """
        segments = self._segments()
        total = self._count(segments)
        first = max(0, total - limit) if offset is None else offset
        stop = min(total, first + limit)
        lines: list[bytes] = []
        dropped, shown, size = 0, first, 0
        following = first
        for line in self._lines(segments, first):
            if following < stop:
                dropped += line.dropped
            if line.number >= stop or (lines and size + len(line.text) > _LARGEST_PAGE):
                break
            shown = shown if lines else line.number
            size += len(line.text) + 1
            lines.append(line.text)
            following = line.number + 1
        return Page(lines, shown, total, dropped)

    def _lines(self, segments: list[_Segment], first: int) -> Iterator[_Line]:
        """Lines from number `first` on, with what was dropped before each."""
        index = max(0, bisect_right([segment.lines for segment in segments], first) - 1)
        # The line may have begun in an earlier segment with the same count of newlines before it.
        while index > 0 and segments[index].lines == first:
            index -= 1
        number = at = dropped = 0
        rest = _Unfinished()
        for position, segment in enumerate(segments[index:]):
            if position == 0:
                number, at = segment.lines, segment.offset
            elif segment.offset != at:
                if rest and number >= first:
                    yield _Line(number, rest.take(), dropped)
                    dropped = 0
                rest = _Unfinished()
                number, dropped, at = segment.lines, dropped + segment.offset - at, segment.offset
            for record in _forwards(_read(segment.path), self._finished):
                head, newline, tail = record.data.partition(b"\n")
                rest.add(head)
                at = record.end
                if not newline:
                    continue
                *whole, tail = tail.split(b"\n")
                for text in (rest.take(), *map(_shortened, whole)):
                    if number >= first:
                        yield _Line(number, text, dropped)
                        dropped = 0
                    number += 1
                rest.add(tail)
        if rest and number >= first:
            yield _Line(number, rest.take(), dropped)

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
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return []
        try:
            names = os.listdir(descriptor)  # noqa: PTH208 - a Path for each is not needed
        finally:
            os.close(descriptor)
        for name in sorted(names):
            place = frames.segment_place(name)
            if place is not None:
                found.append(_Segment(self._directory / name, *place))
        return found

    def _backwards(self, segment: _Segment) -> Iterator[Record]:
        """The records of a segment, latest first. Only its end is read where that is enough."""
        try:
            descriptor = open_regular(segment.path, os.O_RDONLY)
        except OSError:
            return
        try:
            end = size = os.fstat(descriptor).st_size
            block = _BLOCK
            while end > 0:
                begin = max(0, end - block)
                data = os.pread(descriptor, end - begin, begin)
                at = len(data)
                while (found := frames.previous(data, at)) is not None:
                    at, (stream, length, offset, micros) = found
                    payload = at + frames.HEADER
                    yield Record(offset, stream, micros / 1e6, data[payload : payload + length])
                if at < len(data):
                    end, block = begin + at, _BLOCK
                    continue
                needed = frames.size_before(data)
                if not len(data) < needed <= end:
                    if end == size:  # torn: the frames before are only found from the beginning
                        whole = os.pread(descriptor, size, 0)
                        yield from reversed(list(_forwards(whole, self._finished)))
                    return
                block = needed
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Line:
    number: int
    text: bytes
    dropped: int


class _Unfinished:
    """The beginning of a line whose end is not seen yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._kept = self._size = 0

    def __bool__(self) -> bool:
        return self._size > 0

    def add(self, data: bytes) -> None:
        if data and self._kept <= _LONGEST_LINE:
            self._pieces.append(data)
            self._kept += len(data)
        self._size += len(data)

    def take(self) -> bytes:
        line = _shortened(b"".join(self._pieces), self._size)
        self.__init__()  # type: ignore[misc]
        return line


def _shortened(line: bytes, size: int | None = None) -> bytes:
    size = len(line) if size is None else size
    if size <= _LONGEST_LINE:
        return line.removesuffix(b"\r")
    return line[:_LONGEST_LINE] + b" [%d bytes more]" % (size - _LONGEST_LINE)


def _around(
    run: bytes, run_start: int, start: int, size: int, context: int, end_of_output: int, gap: bool
) -> Chunk:
    """What of bytes without a gap was asked for. `gap`: they are followed by one."""
    begin = max(start, run_start)
    cut = begin - run_start
    return Chunk(
        run[cut : cut + size],
        begin,
        begin - start,
        max(end_of_output, run_start + len(run)),
        run[max(0, cut - context) : cut],
        gap and len(run) <= cut + size,
    )


def _read(path: Path) -> bytes:
    """A whole segment; nothing where the cap has just taken it."""
    try:
        return read_bytes(path, _LARGEST_SEGMENT)
    except OSError:
        return b""


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
