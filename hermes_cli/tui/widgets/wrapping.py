"""Where a line breaks in a terminal of a given width."""

from __future__ import annotations

from rich.cells import get_character_cell_size

_WORDS = 2
"""A break at a space may leave one part in so many of a row empty."""


def rows_of(text: str, width: int) -> list[tuple[int, int]]:
    """Start and end of each row of `text` in `width` cells, one at least; at a space where one is near."""
    if width <= 0 or (len(text) <= width and text.isascii()):
        return [(0, len(text))]
    rows = []
    start = 0
    while True:
        end = _fitting(text, start, width)
        if end >= len(text):
            rows.append((start, len(text)))
            return rows
        space = text.rfind(" ", start, end + 1)
        if space - start >= (end - start) // _WORDS and space > start:
            end = space + 1
        rows.append((start, end))
        if end == len(text):
            return rows
        start = end


def _fitting(text: str, start: int, width: int) -> int:
    """Where a row of `width` cells from `start` ends; behind one character at least."""
    piece = text[start : start + width]
    if piece.isascii():
        return start + len(piece)
    cells = 0
    for index, character in enumerate(piece):
        cells += get_character_cell_size(character)
        if cells > width:
            return start + max(1, index)
    end = start + len(piece)
    while end < len(text) and not get_character_cell_size(text[end]):
        end += 1
    return end
