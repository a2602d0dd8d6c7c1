"""A table that changes in place: what is chosen stays chosen while rows come, go and change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable


class Column(NamedTuple):
    """One column. Widths are cells, the space behind it not among them."""

    key: str
    title: str
    least: int = 0
    """It has so many anyway, so that not every change moves the others."""
    most: int | None = None
    """It has no more; what is longer is cut, with an ellipsis."""
    gives_way: bool = False
    """It gets what the others leave."""
    from_width: int = 0
    """It is shown in terminals of so many columns."""


class Record(NamedTuple):
    """One row. The texts are safe to show; what is empty is shown as a dash."""

    key: str
    cells: Mapping[str, str]
    styles: Mapping[str, str] = {}
    """Rich's style of a cell. Never the only thing that tells two rows apart."""


class RecordTable(DataTable[Text]):
    """Rows of `Record`, chosen by keys and mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
        Binding("enter", "select_cursor", "open"),
    ]

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(cursor_type="row", cell_padding=0, zebra_stripes=True, id=id)
        self._all_columns = columns
        self._records: dict[str, Record] = {}
        self._widths: dict[str, int] = {}
        self._prefer: str | None = None

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        if not self._records or not 0 <= self.cursor_row < len(self.ordered_rows):
            return None
        key = self.ordered_rows[self.cursor_row].key.value
        return key if key in self._records else None

    def show(self, records: Sequence[Record], prefer: str | None = None) -> None:
        """Show `records`. `prefer`: the key to choose if nothing is chosen yet, once it is there."""
        self._prefer = prefer or self._prefer
        columns = [one for one in self._all_columns if self._terminal >= one.from_width]
        widths = _widths(columns, records, self._terminal - _SCROLLBAR)
        if widths != self._widths or [record.key for record in records] != list(self._records):
            self._rebuild(columns, records, widths)
        else:
            for record in records:
                for column in columns:
                    text = _cell(record, column, widths[column.key])
                    if self.get_cell(record.key, column.key) != text:
                        self.update_cell(record.key, column.key, text)
        self._records = {record.key: record for record in records}

    def choose(self, key: str) -> None:
        """Put the cursor on that row, if it is there."""
        keys = list(self._records)
        if key in keys:
            self.move_cursor(row=keys.index(key), animate=False)

    def on_resize(self, _event: Resize) -> None:
        self.show(list(self._records.values()))

    @property
    def _terminal(self) -> int:
        return self.size.width or self.app.size.width or 80

    def _rebuild(self, columns: Sequence[Column], records: Sequence[Record], widths: dict[str, int]) -> None:
        """Begin anew with columns of these widths.

        Columns that size themselves do it later than they may be drawn, and the drawing is cached: they
        stay cut.
        """
        before, row = self.chosen, self.cursor_row
        top = self.scroll_offset.y
        self.clear(columns=True)
        for column in columns:
            title = Text(set_cell_size(column.title, widths[column.key]) + " ", no_wrap=True)
            self.add_column(title, key=column.key, width=widths[column.key] + 1)
        for record in records:
            cells = (_cell(record, column, widths[column.key]) for column in columns)
            self.add_row(*cells, key=record.key)
        self._records, self._widths = {record.key: record for record in records}, widths
        wanted = before if before in self._records else None if before else self._prefer
        if wanted in self._records:
            self.choose(wanted)
        elif before is not None and records:
            self.move_cursor(row=min(row, len(records) - 1), animate=False)  # what was next to it
        if before is not None:
            self.scroll_to(y=top, animate=False)


_SCROLLBAR = 2
"""Cells that are kept free for it, so that it hides nothing."""


def _widths(columns: Sequence[Column], records: Sequence[Record], available: int) -> dict[str, int]:
    """Cells of each column; the one that gives way gets what the others leave."""
    widths = {}
    for column in columns:
        longest = max((cell_len(record.cells.get(column.key, "")) for record in records), default=0)
        width = max(cell_len(column.title), column.least, longest)
        widths[column.key] = width if column.most is None else min(width, max(column.most, column.least))
    for column in columns:
        if column.gives_way:
            others = sum(width + 1 for key, width in widths.items() if key != column.key)
            least = max(column.least, cell_len(column.title))
            widths[column.key] = max(least, min(widths[column.key], available - others - 1))
    return widths


def _cell(record: Record, column: Column, width: int) -> Text:
    # Text, never str: a table reads markup in strings, and names and reasons are others' words.
    text = record.cells.get(column.key, "") or "-"
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    return Text(f"{text} ", style=record.styles.get(column.key, ""), no_wrap=True)
