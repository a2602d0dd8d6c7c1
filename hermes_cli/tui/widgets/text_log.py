"""Lines as they come: wrapped to the terminal, followed until the reader scrolls up, and searched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollTo
from textual.strip import Strip

from hermes_cli.faces.printable import plain

from .wrapping import rows_of

MAX_LINES = 5000
"""Lines that are kept; the oldest go first. What is older, `hermes … logs` and `log` have."""

_SLACK = 500
"""Lines that go at once: to let go of one at a time would cost a look at all rows for each."""


_LONGEST = 1 << 16
"""Characters after which a line that has no end goes on in another."""


class Line(NamedTuple):
    """Text that is safe to show, and rich's style of it."""

    text: str
    style: str = ""


class _Row(NamedTuple):
    line: int
    """Number of the line since the beginning, those counted that are gone."""
    start: int
    end: int


class TextLog(ScrollView, can_focus=True):
    """Shows the end of what it is given, unless the reader has scrolled up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow"),
        Binding("slash", "search", "search", key_display="/"),
        Binding("n", "find(1)", "next match", show=False),
        Binding("N", "find(-1)", "match before", show=False),
    ]

    class Changed(Message):
        """Following, or what is searched for, is another than before."""

    class SearchAsked(Message):
        """The reader wants to search."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.sought = ""
        self.found_line: int | None = None
        """Number of the line at which the search stands."""
        self._lines: list[Line] = []
        self._first = 0
        """Number of the first line that is kept."""
        self._rows: list[_Row] = []
        self._width = 0
        self._open = ""
        """The beginning of a line whose end has not come yet; the last line shows it."""
        self._has_open = False
        self._after_return = False

    # What is shown

    @property
    def lines(self) -> list[str]:
        """The text of all lines that are kept, oldest first."""
        return [line.text for line in self._lines]

    def clear(self) -> None:
        self._first += len(self._lines)
        self._lines.clear()
        self._rows.clear()
        self._end_open_line()
        self.found_line = None
        self._arrange()

    def add(self, lines: Iterable[str | Line]) -> None:
        """Show more lines. Strings are others' text and made harmless."""
        self._end_open_line()
        for line in lines:
            self._append(line if isinstance(line, Line) else Line(_shown(line)))
        self._arrange()

    def feed(self, text: str, style: str = "") -> None:
        """Show text that comes in pieces: lines end where it has a newline."""
        if not text:
            return
        if self._after_return and text.startswith("\n"):
            text = text[1:]
        self._after_return = text.endswith("\r")
        pieces = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for number, piece in enumerate(pieces):
            if len(self._open) > _LONGEST:
                self._open, self._has_open = "", False
            self._open += piece
            if self._has_open:
                self._drop_last()
            last = number == len(pieces) - 1
            self._has_open = bool(last and self._open)
            if not last or self._open:
                self._append(Line(_shown(self._open), style))
            if not last:
                self._open = ""
        self._arrange()

    def _end_open_line(self) -> None:
        self._open, self._has_open, self._after_return = "", False, False

    def _append(self, line: Line) -> None:
        number = self._first + len(self._lines)
        self._lines.append(line)
        if self._width:
            self._rows += [_Row(number, *row) for row in rows_of(line.text, self._width)]

    def _drop_last(self) -> None:
        number = self._first + len(self._lines) - 1
        self._lines.pop()
        while self._rows and self._rows[-1].line == number:
            self._rows.pop()

    def _arrange(self) -> None:
        """Let go of the oldest, and scroll to where the reader is."""
        gone = 0
        if len(self._lines) > MAX_LINES + _SLACK:
            drop = len(self._lines) - MAX_LINES
            del self._lines[:drop]
            self._first += drop
            gone = next((n for n, row in enumerate(self._rows) if row.line >= self._first), len(self._rows))
            del self._rows[:gone]
        self.virtual_size = Size(self._width, len(self._rows))
        if self.following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        elif gone:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)
        self.refresh()

    def on_resize(self, _event: Resize) -> None:
        width = self.scrollable_content_region.width
        if width == self._width:
            self._arrange()
            return
        top = self._rows[self.scroll_offset.y].line if self.scroll_offset.y < len(self._rows) else None
        self._width = width
        self._rows = [
            _Row(number, *row)
            for number, line in enumerate(self._lines, self._first)
            for row in (rows_of(line.text, width) if width else ())
        ]
        self._arrange()
        if not self.following and top is not None:
            self._scroll_to_line(top)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        base = self.rich_style
        number = y + self.scroll_offset.y
        if number >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[number]
        line = self._lines[row.line - self._first]
        style = base + Style.parse(line.style) if line.style else base
        segments = []
        at = row.start
        for start, end in self._matches(line.text):
            start, end = max(start, row.start), min(end, row.end)
            if start >= end:
                continue
            found = Style(reverse=True, bold=row.line == self.found_line)
            segments.append(Segment(line.text[at:start], style))
            segments.append(Segment(line.text[start:end], style + found))
            at = end
        segments.append(Segment(line.text[at : row.end], style))
        return Strip(segments).adjust_cell_length(width, base)

    # Following

    def follow(self, on: bool) -> None:
        """Show each new line as it comes, or stay where the reader is."""
        if on != self.following:
            self.following = on
            self.post_message(self.Changed())
        if on:
            self.scroll_end(animate=False, immediate=True, x_axis=False)

    def action_follow(self) -> None:
        self.follow(not self.following)

    def action_scroll_up(self) -> None:
        self.follow(False)
        super().action_scroll_up()

    def action_page_up(self) -> None:
        self.follow(False)
        super().action_page_up()

    def action_scroll_home(self) -> None:
        self.follow(False)
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.follow(True)

    def on_mouse_scroll_up(self) -> None:
        self.follow(False)

    def on_scroll_to(self, _message: ScrollTo) -> None:
        self.follow(False)  # the scrollbar is dragged

    # Searching

    def action_search(self) -> None:
        self.post_message(self.SearchAsked())

    def seek(self, text: str) -> bool:
        """Show where `text` is, in any case of letters, and go to the last place; whether there is one."""
        self.sought, self.found_line = text.casefold(), None
        found = self.find(-1) if text else False
        self.post_message(self.Changed())
        self.refresh()
        return found

    def find(self, step: int) -> bool:
        """Go to the next line that has what is searched for, or the one before with -1; around the ends."""
        hits = [n for n, line in enumerate(self._lines, self._first) if self._matches(line.text)]
        if not hits:
            return False
        at = self.found_line
        if step > 0:
            self.found_line = next((n for n in hits if at is not None and n > at), hits[0])
        else:
            self.found_line = next((n for n in reversed(hits) if at is None or n < at), hits[-1])
        self.follow(False)
        self._scroll_to_line(self.found_line)
        self.refresh()
        return True

    def action_find(self, step: int) -> None:
        if self.sought and not self.find(step):
            self.app.bell()

    @property
    def hits(self) -> int:
        """Lines that have what is searched for."""
        return sum(bool(self._matches(line.text)) for line in self._lines)

    def _matches(self, text: str) -> list[tuple[int, int]]:
        if not self.sought:
            return []
        folded = text.casefold()
        if len(folded) != len(text):  # ß: the places would be others
            folded = text.lower() if len(text.lower()) == len(text) else text
        found = []
        at = folded.find(self.sought)
        while at >= 0:
            found.append((at, at + len(self.sought)))
            at = folded.find(self.sought, at + len(self.sought))
        return found

    def _scroll_to_line(self, number: int) -> None:
        for at, row in enumerate(self._rows):
            if row.line == number:
                height = self.scrollable_content_region.height
                self.scroll_to(y=max(0, at - height // 3), animate=False, immediate=True)
                return


def _shown(line: str) -> str:
    return plain(line).expandtabs(8)
