"""From bytes on disk to text that may be shown: whole characters, no escape sequences, no secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .redaction import CONTEXT, Redactor, Span
from .spool import Spool

_LONGEST_SEQUENCE = 4096

_ESCAPE = re.compile(
    "\x1b(?:"
    "\\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    "|[\\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)"  # OSC, DCS, SOS, PM, APC: titles, links
    "|[ -/]{1,8}[0-~]"  # character sets
    "|[0-Z\\\\^-~]"  # the two-character ones
    ")?"
    "|\r(?=\n)"
    "|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
)
"""ECMA-48 sequences, the carriage return before a newline, control characters but tab and newline."""

_UNFINISHED = re.compile(
    "\x1b(?:\\[[0-?]{0,64}[ -/]{0,8}|[\\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]{1,8})?\\Z|\r\\Z"
)
"""What may become one when more comes."""


_UNDECODED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Text:
    """Text ready to be shown, and how far in the output it goes."""

    text: str
    start: int
    end: int
    """Offset of the first byte that is not in it, though it may be there already."""
    dropped: int
    end_of_output: int
    more: bool = False
    """What follows is there already."""


def read_text(spool: Spool, start: int, size: int, redactor: Redactor, *, running: bool) -> Text:
    """The output from offset `start` on, about `size` bytes of it.

    While the process runs, what may be the beginning of a character, a sequence or a secret waits. Pages
    that begin where others ended are together the same text, wherever that was.
    """
    while True:
        chunk = spool.read(start, size, CONTEXT)
        at_the_end = chunk.end >= chunk.end_of_output
        continued = not chunk.gap and (running or not at_the_end)
        text, taken = _clean(chunk.before, chunk.data, redactor, continued)
        if taken or at_the_end or chunk.gap:
            break
        size *= 4  # one secret, or what may be one, is all of it
    end = chunk.start + taken
    return Text(text, chunk.start, end, chunk.dropped, chunk.end_of_output, not at_the_end and end > start)


def tail_text(spool: Spool, size: int, redactor: Redactor) -> Text:
    """The last `size` bytes of the output, beginning with a whole character."""
    chunk = spool.tail(size, CONTEXT)
    cut = 0
    while cut < min(3, len(chunk.data)) and chunk.data[cut] & 0xC0 == 0x80:
        cut += 1
    text, _ = _clean(chunk.before, chunk.data[cut:], redactor, False)
    return Text(text, chunk.start + cut, chunk.end, 0, chunk.end_of_output)


def line_text(lines: list[bytes], redactor: Redactor) -> str:
    """Lines of a log as one text."""
    return _clean(b"", b"\n".join(lines), redactor, False)[0]


def stripped(data: bytes) -> str:
    """Without escape sequences and control characters."""
    return _shown(_ESCAPE.sub("", data.decode("utf-8", "surrogateescape")))


def _clean(before: bytes, data: bytes, redactor: Redactor, continued: bool) -> tuple[str, int]:
    """What of `data` may be shown, and how many bytes of it that was; `before` is only looked at.

    `continued`: more follows, or may follow, so that what is unfinished waits.
    """
    if continued:
        data = data[: len(data) - _split_character(data)]
    earlier = before.decode("utf-8", "surrogateescape")
    raw = earlier + data.decode("utf-8", "surrogateescape")
    first, last = len(earlier), len(raw)
    if continued and (unfinished := _UNFINISHED.search(raw, max(first, last - _LONGEST_SEQUENCE - 3))):
        last = unfinished.start()
    escapes = _escapes(raw, last)
    if escapes:
        # The end of a sequence may be the beginning of a secret: both are looked for in what came.
        if continued:
            held = last - redactor.holdback(raw[:last])
            inside = (begin for begin, end in escapes if begin < held < end)
            last = max(first, next(inside, held))
        escapes = _without_secrets(_escapes(raw, last), redactor.spans(raw[:last]))
    seen, visible_first = _visible(raw, escapes, first, last)
    text, shown = redactor.page(seen[:visible_first], seen[visible_first:], more=continued)
    end = visible_first + shown
    taken = last if end == len(seen) else _raw_index(escapes, end)
    return _shown(text), len(raw[first:taken].encode("utf-8", "surrogateescape"))


def _escapes(raw: str, last: int) -> list[Span]:
    return [match.span() for match in _ESCAPE.finditer(raw, 0, last)]


def _without_secrets(escapes: list[Span], secrets: list[Span]) -> list[Span]:
    """The sequences, without what belongs to a secret that goes on behind them."""
    cut, which = [], 0
    for begin, end in escapes:
        while which < len(secrets) and secrets[which][1] <= end:
            which += 1
        start = secrets[which][0] if which < len(secrets) else end
        cut.append((begin, start if begin < start < end else end))
    return cut


def _visible(raw: str, escapes: list[Span], first: int, last: int) -> tuple[str, int]:
    """`raw[:last]` without escape sequences, and how much of that is before `first`."""
    pieces, at, visible_first = [], 0, 0
    for begin, end in (*escapes, (last, last)):
        pieces.append(raw[at:begin])
        visible_first += max(0, min(begin, first) - at)
        at = end
    return "".join(pieces), visible_first


def _raw_index(escapes: list[Span], visible: int) -> int:
    """Where in the raw text the visible character number `visible` is."""
    at = seen = 0
    for begin, end in escapes:
        if seen + begin - at > visible:
            break
        seen, at = seen + begin - at, end
    return at + visible - seen


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
    """Bytes that are no UTF-8 become U+FFFD, each by itself: what is taken out between two joins none."""
    return _UNDECODED.sub("\ufffd", text)
