"""The output of a finished command within a bound: head and tail, and a note of what lies between."""

from __future__ import annotations

from dataclasses import dataclass

from .limits import OUTPUT_CAP, OUTPUT_HEAD
from .verbs import ProcessVerbs

_SNAP = 2000
"""Characters given up so that a cut falls between two lines."""


@dataclass(frozen=True, slots=True)
class Shortened:
    text: str
    left_out: int = 0
    """Bytes of output that are not shown."""


def whole_output(registry: ProcessVerbs, session_id: str) -> Shortened:
    """All that the process wrote, at most `OUTPUT_CAP` characters and a note."""
    first = registry.poll(session_id, cursor=0)
    if not first.more and not first.dropped_bytes:
        text, left_out = shorten(_lines(first.output), session_id)
        return Shortened(text, left_out)
    last = registry.poll(session_id)
    end = last.cursor
    # A page is 64 KiB; characters have up to four bytes, and the tail may begin in the middle of one.
    tail = _lines(_until_end(registry, session_id, max(first.cursor, end - 4 * (OUTPUT_CAP - OUTPUT_HEAD))))
    everything = _lines(first.output) + tail
    if first.cursor + len(tail.encode()) >= end and len(everything) <= OUTPUT_CAP and not first.dropped_bytes:
        return Shortened(everything)
    head = _head(_lines(first.output))
    tail = _tail(tail)
    left_out = max(0, end - len(head.encode()) - len(tail.encode()))
    return Shortened(head + _note(left_out, session_id, head.count("\n")) + tail, left_out)


def shorten(text: str, session_id: str) -> tuple[str, int]:
    """`text` with its middle left out where it is longer than `OUTPUT_CAP`, and how many bytes that were."""
    if len(text) <= OUTPUT_CAP:
        return text, 0
    head, tail = _head(text), _tail(text)
    left_out = len(text[len(head) : len(text) - len(tail)].encode())
    return head + _note(left_out, session_id, head.count("\n")) + tail, left_out


def _until_end(registry: ProcessVerbs, session_id: str, cursor: int) -> str:
    parts: list[str] = []
    for _ in range(8):
        page = registry.poll(session_id, cursor=cursor)
        parts.append(page.output)
        if not page.more or page.cursor <= cursor:
            break
        cursor = page.cursor
    return "".join(parts)


def _head(text: str) -> str:
    cut = text.rfind("\n", OUTPUT_HEAD - _SNAP, OUTPUT_HEAD)
    return text[: cut + 1] if cut >= 0 else text[:OUTPUT_HEAD]


def _tail(text: str) -> str:
    size = OUTPUT_CAP - OUTPUT_HEAD
    if len(text) <= size:
        return text
    cut = text.find("\n", len(text) - size, len(text) - size + _SNAP)
    return text[cut + 1 :] if cut >= 0 else text[-size:]


def _note(left_out: int, session_id: str, line: int) -> str:
    return (
        f"\n[… {left_out:,} bytes left out here. process(action='log', session_id='{session_id}',"
        f" offset={line}, limit=200) shows lines from here on …]\n"
    )


def _lines(text: str) -> str:
    """A terminal ends lines with CR LF."""
    return text.replace("\r\n", "\n")
