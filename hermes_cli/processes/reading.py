"""From bytes on disk to text that may be shown: whole characters, no escape sequences, no secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .redaction import Redactor
from .spool import Chunk, Spool

_BEFORE = 4096
"""Bytes looked at before a cursor: a secret or an escape sequence may have begun there."""

REDACTED = "[redacted]"

_ESCAPE = re.compile(
    "\x1b(?:"
    "\\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|[\\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)"  # OSC, DCS, SOS, PM, APC: titles, links
    "|[ -/]+[0-~]"  # character sets
    "|[0-Z\\\\^-~]"  # the two-character ones
    ")"
    "|\r(?=\n)"
    "|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)
"""ECMA-48 sequences, the carriage return before a newline, control characters but tab and newline."""

_UNFINISHED = re.compile("\x1b(?:\\[[0-?]*[ -/]*|[\\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]*)?\\Z|\r\\Z")


@dataclass(frozen=True)
class Text:
    """Text ready to be shown, and how far in the output it goes."""

    text: str
    start: int
    end: int
    """Offset of the first byte that is not in it, though it may be there already."""
    dropped: int
    end_of_output: int


def read_text(spool: Spool, start: int, size: int, redactor: Redactor, *, running: bool) -> Text:
    """The output from offset `start` on, about `size` bytes of it.

    While the process runs, what may be the beginning of a character, a sequence or a secret waits.
    """
    chunk = spool.read(start, size)
    before = b""
    if chunk.start > 0 and not chunk.dropped:
        earlier = spool.read(max(0, chunk.start - _BEFORE), chunk.start - max(0, chunk.start - _BEFORE))
        if earlier.end == chunk.start:
            before = earlier.data
    at_the_end = chunk.end >= chunk.end_of_output
    text, taken = _clean(before, chunk.data, redactor, hold=running and at_the_end, cut=not at_the_end)
    return Text(text, chunk.start, chunk.start + taken, chunk.dropped, chunk.end_of_output)


def tail_text(spool: Spool, size: int, redactor: Redactor) -> Text:
    """The last `size` bytes of the output, beginning with a whole character."""
    chunk: Chunk = spool.tail(size + _BEFORE)
    cut = max(0, len(chunk.data) - size)
    while cut < len(chunk.data) and chunk.data[cut] & 0xC0 == 0x80:
        cut += 1
    text, _ = _clean(chunk.data[:cut], chunk.data[cut:], redactor, hold=False, cut=False)
    return Text(text, chunk.start + cut, chunk.end, 0, chunk.end)


def line_text(lines: list[bytes], redactor: Redactor) -> str:
    """Lines of a log as one text."""
    return _shown(redactor.text(_stripped(b"\n".join(lines))))


def stripped(data: bytes) -> str:
    """Bytes as text without escape sequences. Nothing is redacted yet."""
    return _shown(_stripped(data))


def _stripped(data: bytes) -> str:
    return _ESCAPE.sub("", data.decode("utf-8", "surrogateescape"))


def _clean(before: bytes, data: bytes, redactor: Redactor, *, hold: bool, cut: bool) -> tuple[str, int]:
    """What of `data` may be shown, and how many bytes of it that was; `before` is only looked at.

    `hold`: more may come, so what is unfinished waits. `cut`: more is there, so a split character waits.
    """
    if hold or cut:
        data = data[: len(data) - _split_character(data)]
    raw = (before + data).decode("utf-8", "surrogateescape")
    first = len(before.decode("utf-8", "surrogateescape"))
    last = len(raw)
    if (hold or cut) and (unfinished := _UNFINISHED.search(raw, max(first, last - _BEFORE))):
        last = unfinished.start()
    pieces, visible_first = _visible(raw, first, last)
    text = "".join(pieces)
    end = len(text)
    if hold:
        end = max(visible_first, end - redactor.holdback(text))
    shown = _redact(text, visible_first, end, redactor)
    taken = last if end == len(text) else _raw_index(raw, last, end)
    return _shown(shown), len(raw[first:taken].encode("utf-8", "surrogateescape"))


def _visible(raw: str, first: int, last: int) -> tuple[list[str], int]:
    """The pieces of `raw[:last]` between escape sequences, and how much of them is before `first`."""
    pieces, at, visible_first = [], 0, 0
    for match in _ESCAPE.finditer(raw, 0, last):
        pieces.append(raw[at : match.start()])
        visible_first += max(0, min(match.start(), first) - at)
        at = match.end()
    pieces.append(raw[at:last])
    visible_first += max(0, min(last, first) - at)
    return pieces, visible_first


def _raw_index(raw: str, last: int, visible: int) -> int:
    """Where in `raw` the visible character number `visible` is."""
    at = seen = 0
    for match in _ESCAPE.finditer(raw, 0, last):
        length = match.start() - at
        if seen + length > visible:
            break
        seen, at = seen + length, match.end()
    return at + visible - seen


def _redact(text: str, first: int, end: int, redactor: Redactor) -> str:
    pieces, at = [], first
    for begin, stop in redactor.spans(text):
        if stop <= first or begin >= end:
            continue
        if begin >= at:
            pieces += [text[at:begin], REDACTED]  # one that began earlier was named there
        at = min(end, max(at, stop))
    pieces.append(text[at:end])
    return "".join(pieces)


def _split_character(data: bytes) -> int:
    """Bytes at the end that begin a UTF-8 character and do not end it."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return back if needed > back else 0
    return 0


def _shown(text: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
