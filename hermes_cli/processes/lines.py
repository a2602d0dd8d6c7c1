"""Output as lines with their stream and time: each stream put together by itself, then redacted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .frames import STDERR, STDOUT, TERMINAL
from .reading import stripped
from .redaction import CONTEXT, MASK, Redactor
from .spool import Record, Spool

STREAMS = {"stdout": STDOUT, "stderr": STDERR, "terminal": TERMINAL}
NAMES = {number: name for name, number in STREAMS.items()}

_LONGEST = 64 << 10
"""Bytes of a line without its end that are waited for."""


@dataclass(frozen=True)
class TimedLine:
    """One line of one stream. `time`: seconds since the epoch when its first byte was read."""

    time: float
    stream: int
    text: str


class LineAssembler:
    """Makes lines of records. A line that may hold the beginning of a secret waits for the next ones."""

    def __init__(self, redactor: Redactor, only: int | None = None) -> None:
        """`only`: the number of the one stream that is wanted."""
        self._redactor = redactor
        self._only = only
        self._begun: dict[int, tuple[float, bytes]] = {}
        self._waiting: list[TimedLine] = []
        self._before = ""

    def feed(self, records: Iterable[Record]) -> list[TimedLine]:
        """The lines that these records complete, oldest end first."""
        for record in records:
            if self._only in (None, record.stream):
                self._take(record)
        return self._released(more=True)

    def finish(self) -> list[TimedLine]:
        """What is left when no more will come."""
        for stream, (time, data) in sorted(self._begun.items(), key=lambda item: item[1][0]):
            self._wait(time, stream, data)
        self._begun.clear()
        return self._released(more=False)

    def _take(self, record: Record) -> None:
        time, rest = self._begun.pop(record.stream, (record.time, b""))
        *whole, last = (rest + record.data).split(b"\n")
        for data in whole:
            self._wait(time, record.stream, data)
            time = record.time
        while len(last) > _LONGEST:
            self._wait(time, record.stream, last[:_LONGEST])
            last = last[_LONGEST:]
        if last:
            self._begun[record.stream] = (time, last)

    def _wait(self, time: float, stream: int, data: bytes) -> None:
        self._waiting.append(TimedLine(time, stream, stripped(data.removesuffix(b"\r"))))

    def _released(self, *, more: bool) -> list[TimedLine]:
        """The waiting lines that may be shown, each without the part of it that is a secret's."""
        if not self._waiting:
            return []
        joined = self._before + "".join(f"{line.text}\n" for line in self._waiting)
        spans = self._redactor.spans(joined)
        held = len(joined) - self._redactor.holdback(joined) if more else len(joined)
        found: list[TimedLine] = []
        at = len(self._before)
        for line in self._waiting:
            end = at + len(line.text)
            if end > held:
                break
            found.append(TimedLine(line.time, line.stream, _masked(joined, at, end, spans)))
            at = end + 1
        del self._waiting[: len(found)]
        self._before = joined[:at][-CONTEXT:]
        return found


def end_of_records(records: list[Record], start: int) -> int:
    """The offset behind the last of them; `start` where there is none."""
    return records[-1].end if records else start


def start_of_last_lines(spool: Spool, count: int) -> int:
    """The offset at which the last `count` lines begin, as far back as nothing is missing."""
    size = 1 << 16
    while True:
        chunk = spool.tail(size)
        at = len(chunk.data)
        if chunk.data.endswith(b"\n"):
            at -= 1
        for _ in range(count):
            at = chunk.data.rfind(b"\n", 0, at)
            if at < 0:
                break
        if at >= 0:
            return chunk.start + at + 1
        if len(chunk.data) < size:
            return chunk.start
        size *= 4


def _masked(text: str, first: int, past: int, spans: list[tuple[int, int]]) -> str:
    parts, at = [], first
    for begin, end in spans:
        if end <= first or begin >= past:
            continue
        parts += [text[at : max(at, begin)], MASK]
        at = max(at, min(end, past))
    parts.append(text[at:past])
    return "".join(parts)
