"""The gateways as a table that changes in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from hermes_cli.overview import Row, Tone

COLUMNS = (
    ("name", "gateway"),
    ("wanted", "wanted"),
    ("actual", "actual"),
    ("ready", "ready"),
    ("pid", "pid"),
    ("uptime", "uptime"),
    ("restarts", "restarts"),
    ("last_exit", "last exit"),
    ("port", "port"),
)

_STYLES: Mapping[Tone, str] = {"good": "green", "busy": "yellow", "bad": "red", "idle": "dim"}
_WIDTHS = {"name": 24, "last_exit": 14}
"""Cells at most; the whole text stands below the table for the chosen gateway."""


class GatewayTable(DataTable[Text]):
    """One row per gateway. The row chosen stays chosen while others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0, zebra_stripes=True, id="gateways")
        self._shown: dict[str, Row] = {}

    def on_mount(self) -> None:
        for key, title in COLUMNS:
            self.add_column(_padded(title), key=key)

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        if not self._shown or not 0 <= self.cursor_row < len(self.ordered_rows):
            return None
        return self._shown.get(self.ordered_rows[self.cursor_row].key.value or "")

    def show(self, rows: Sequence[Row], prefer: str | None = None) -> None:
        """Show `rows`; with `prefer`, choose that service if it has come just now."""
        if [row.service for row in rows] != list(self._shown):
            self._rebuild(rows, prefer)
        for row in rows:
            for key, text in _cells(row).items():
                if self.get_cell(row.service, key) != text:
                    self.update_cell(row.service, key, text, update_width=True)
        self._shown = {row.service: row for row in rows}

    def _rebuild(self, rows: Sequence[Row], prefer: str | None) -> None:
        before = self.chosen
        wanted = prefer if before is None else before.service
        self.clear()
        for row in rows:
            self.add_row(*_cells(row).values(), key=row.service)
        self._shown = {row.service: row for row in rows}
        services = list(self._shown)
        if wanted in services:
            self.move_cursor(row=services.index(wanted), animate=False)


def _cells(row: Row) -> dict[str, Text]:
    style = _STYLES[row.tone]
    cells = {}
    for key, _ in COLUMNS:
        if key == "actual":
            cells[key] = _padded(f"{row.mark} {row.actual}", style)
        else:
            text = row.uptime() if key == "uptime" else str(getattr(row, key))
            cells[key] = _padded(_elided(text, _WIDTHS.get(key)) or "-")
    return cells


def _padded(text: str, style: str = "") -> Text:
    # Text, never str: a table reads markup in strings, and names and reasons are others' words.
    return Text(f"{text} ", style=style, no_wrap=True)


def _elided(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"
