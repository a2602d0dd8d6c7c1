"""The records that output is kept in: how one is written, found and read back.

A segment file is a row of frames and nothing else:

    magic  stream  spare  length   offset   time       payload         length
    1      1       2      4        8        8          `length` bytes  4

Little-endian. `offset` counts the bytes of output before this frame, dropped ones included; `time` is
microseconds since the epoch. The length is repeated at the end, so that a segment can be read backwards.
Imports nothing: a keeper has one too, and has little room.
"""

HEADER = 24
FOOTER = 4
OVERHEAD = HEADER + FOOTER

STDOUT, STDERR, TERMINAL = 1, 2, 3

_MAGIC = 0x48
_LENGTH_MASK = 0xFFFFFFFF
_WORD_MASK = 0xFFFFFFFFFFFFFFFF


def header(stream: int, length: int, offset: int, micros: int) -> bytes:
    """What goes before the payload."""
    return (_MAGIC | stream << 8 | length << 32 | offset << 64 | micros << 128).to_bytes(HEADER, "little")


def footer(length: int) -> bytes:
    """What goes behind the payload."""
    return length.to_bytes(FOOTER, "little")


def parse(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    """Stream, length, offset and microseconds of the frame that begins at `at`; None where none does."""
    if at < 0 or at + HEADER > len(data) or data[at] != _MAGIC:
        return None
    word = int.from_bytes(data[at : at + HEADER], "little")
    return word >> 8 & 0xFF, word >> 32 & _LENGTH_MASK, word >> 64 & _WORD_MASK, word >> 128


def previous(data: bytes, end: int) -> int | None:
    """Where the frame that ends at `end` begins; None where no whole frame of `data` ends there."""
    if end < OVERHEAD:
        return None
    length = int.from_bytes(data[end - FOOTER : end], "little")
    start = end - OVERHEAD - length
    found = parse(data, start) if start >= 0 else None
    return start if found is not None and found[1] == length else None


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
