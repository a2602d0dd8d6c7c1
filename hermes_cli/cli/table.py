"""Tables for people: as wide as the terminal at most, and whole where there is none."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

_GAP = "  "
_NOTHING = frozenset({"", "-", "0"})


class Column(NamedTuple):
    """A column. What is in its cells is safe to show on a line."""

    title: str
    rank: int = 0
    """0: it always stays. Else it goes where there is no room for it, the highest first."""
    right: bool = False
    """Numbers stand at the right."""
    least: int = 0
    """It may be cut to so many characters; 0: never."""


class Cell(NamedTuple):
    text: str
    colour: str | None = None
    """Says nothing that the text does not say."""


class Table:
    """Columns and rows, fitted into a width. Further sections may follow with the same columns."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None) -> None:
        """`width`: characters of a line; None shows everything."""
        self._columns = columns
        self._widths = [
            max(len(column.title), *(len(row[index].text) for row in rows)) if rows else len(column.title)
            for index, column in enumerate(columns)
        ]
        self._shown = list(range(len(columns)))
        told = {index for index in self._shown if any(row[index].text not in _NOTHING for row in rows)}
        if width is not None:
            self._drop(width, told)
            self._cut(width)
        self.hidden = [
            column.title for index, column in enumerate(columns) if index in told - set(self._shown)
        ]
        """Titles of columns that had something to say and found no room."""

    def header(self, first: str | None = None) -> str:
        """The titles; `first` instead of the first one."""
        titles = [column.title for column in self._columns]
        titles[0] = first or titles[0]
        return click.style(self._join([Cell(title) for title in titles]), bold=True)

    def line(self, row: Sequence[Cell]) -> str:
        return self._join(row)

    def _join(self, row: Sequence[Cell]) -> str:
        cells = []
        for index in self._shown:
            width, text = self._widths[index], shorten(row[index].text, self._widths[index])
            padded = text.rjust(width) if self._columns[index].right else text.ljust(width)
            colour = row[index].colour
            cells.append(padded.replace(text, click.style(text, fg=colour), 1) if colour and text else padded)
        return _GAP.join(cells).rstrip()

    def _total(self) -> int:
        return sum(self._widths[index] for index in self._shown) + len(_GAP) * (len(self._shown) - 1)

    def _drop(self, width: int, told: set[int]) -> None:
        """First what says nothing anywhere, then by rank."""
        going = sorted(
            (index for index in self._shown if self._columns[index].rank),
            key=lambda index: (index in told, -self._columns[index].rank),
        )
        for index in going:
            if self._total() <= width:
                return
            self._shown.remove(index)

    def _cut(self, width: int) -> None:
        for index in self._shown:
            over = self._total() - width
            least = self._columns[index].least
            if over > 0 and least:
                self._widths[index] = max(min(least, self._widths[index]), self._widths[index] - over)


def shorten(text: str, width: int) -> str:
    """`text`, or its beginning and an ellipsis where it is longer than `width` characters."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def wrap(text: str, width: int | None) -> Iterable[str]:
    """`text` over lines of `width` characters, the later ones indented; as it is where there is no width."""
    if width is None or len(text) <= width:
        return [text]
    import textwrap

    return textwrap.wrap(text, max(width, 20), subsequent_indent="    ")


def screen_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    with contextlib.suppress(OSError):
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    return 80


def duration(seconds: float | None) -> str:
    """`8s`, `3m 20s`, `5h 12m`, `9d 4h`; `-` for None."""
    from hermes_cli.faces.overview import duration as in_words

    return "-" if seconds is None else in_words(seconds)
