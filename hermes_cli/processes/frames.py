"""The records that output is kept in: how one is written, found and read back.

A segment file is a row of frames and nothing else:

    magic  stream  spare  length   offset   time       payload         length
    1      1       2      4        8        8          `length` bytes  4

Little-endian. `offset` counts the bytes of output before this frame, dropped ones included; `time` is
microseconds since the epoch. The length is repeated at the end, so that a segment can be read backwards.
A keeper has this module, too, and has little room.
"""

from __future__ import annotations

from struct import Struct

_HEADER = Struct("<BBHIQQ")
_FOOTER = Struct("<I")

HEADER = _HEADER.size
FOOTER = _FOOTER.size
OVERHEAD = HEADER + FOOTER

STDOUT, STDERR, TERMINAL = 1, 2, 3

_MAGIC = 0x48

Frame = tuple[int, int, int, int]
"""Stream, length of the payload, offset and microseconds."""


def header(stream: int, length: int, offset: int, micros: int) -> bytes:
    """What goes before the payload."""
    return _HEADER.pack(_MAGIC, stream, 0, length, offset, micros)


def footer(length: int) -> bytes:
    """What goes behind the payload."""
    return _FOOTER.pack(length)


def parse(data: bytes, at: int) -> Frame | None:
    """The frame that begins at `at`; None where none does. Whether all of it is there is not looked at."""
    if at < 0 or at + HEADER > len(data) or data[at] != _MAGIC:
        return None
    _, stream, _, length, offset, micros = _HEADER.unpack_from(data, at)
    return stream, length, offset, micros


def previous(data: bytes, end: int) -> tuple[int, Frame] | None:
    """Where the frame begins that ends at `end`, and what it is; None where no whole one of `data` does."""
    if end < OVERHEAD:
        return None
    (length,) = _FOOTER.unpack_from(data, end - FOOTER)
    start = end - OVERHEAD - length
    found = parse(data, start)
    return (start, found) if found is not None and found[1] == length else None


def size_before(data: bytes) -> int:
    """How long the frame must be whose end is the end of `data`; whether it is one, `previous` tells."""
    return OVERHEAD + int.from_bytes(data[-FOOTER:], "little")


def segment_name(offset: int, lines: int) -> str:
    """Of the segment whose first byte is number `offset` of the output, after `lines` newlines."""
    return f"{offset:016x}-{lines:012x}"


def segment_place(name: str) -> tuple[int, int] | None:
    """Offset and lines from a segment's name; None for another file."""
    offset, dash, lines = name.partition("-")
    if not dash or len(offset) != 16 or len(lines) < 12:
        return None
    try:
        return int(offset, 16), int(lines, 16)
    except ValueError:
        return None
