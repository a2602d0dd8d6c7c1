"""The gateways as a table that changes in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from hermes_cli.faces.overview import Row, Tone

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
EXIT_WIDTH = 14
"""Cells of a last exit; the whole of it stands below the table for the chosen gateway."""

_LEAST = {"name": 9, "actual": 10, "pid": 5, "uptime": 8}
"""Cells that a column has anyway, so that not every tick moves the others."""


class GatewayTable(DataTable[Text]):
    """One row per gateway. The row chosen stays chosen while others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0, zebra_stripes=True, id="gateways")
        self._shown: dict[str, Row] = {}
        self._widths: dict[str, int] = {}

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        if not self._shown or not 0 <= self.cursor_row < len(self.ordered_rows):
            return None
        return self._shown.get(self.ordered_rows[self.cursor_row].key.value or "")

    def show(self, rows: Sequence[Row], prefer: str | None = None) -> None:
        """Show `rows`; with `prefer`, choose that service if it has come just now."""
        widths = _widths(rows, self.size.width or 80)
        if widths != self._widths or [row.service for row in rows] != list(self._shown):
            self._rebuild(rows, widths, prefer)
        else:
            for row in rows:
                for key, text in _cells(row, widths["name"]).items():
                    if self.get_cell(row.service, key) != text:
                        self.update_cell(row.service, key, text)
        self._shown = {row.service: row for row in rows}

    def _rebuild(self, rows: Sequence[Row], widths: dict[str, int], prefer: str | None) -> None:
        """Begin anew with columns of these widths.

        Columns that size themselves do it later than they may be drawn, and the drawing is cached: they
        stay cut.
        """
        before = self.chosen
        wanted = prefer if before is None else before.service
        self.clear(columns=True)
        for key, title in COLUMNS:
            self.add_column(_padded(title), key=key, width=widths[key])
        for row in rows:
            self.add_row(*_cells(row, widths["name"]).values(), key=row.service)
        self._shown, self._widths = {row.service: row for row in rows}, widths
        services = list(self._shown)
        if wanted in services:
            self.move_cursor(row=services.index(wanted), animate=False)


def _widths(rows: Sequence[Row], terminal: int) -> dict[str, int]:
    """Cells of each column, the space behind it included; the name gets what the others leave."""
    widths = {key: max(len(title) + 1, _LEAST.get(key, 0)) for key, title in COLUMNS}
    longest = max((len(row.name) + 1 for row in rows), default=0)
    for row in rows:
        for key, text in _cells(row, 0).items():
            widths[key] = max(widths[key], text.cell_len)
    left = terminal - sum(width for key, width in widths.items() if key != "name")
    widths["name"] = max(_LEAST["name"], min(longest, left))
    return widths


def _cells(row: Row, name_width: int) -> dict[str, Text]:
    style = _STYLES[row.tone]
    limits = {"name": max(2, name_width - 1), "last_exit": EXIT_WIDTH}
    cells = {}
    for key, _ in COLUMNS:
        if key == "actual":
            cells[key] = _padded(f"{row.mark} {row.actual}", style)
        else:
            text = row.uptime() if key == "uptime" else str(getattr(row, key))
            cells[key] = _padded(_elided(text, limits.get(key)) or "-")
    return cells


def _padded(text: str, style: str = "") -> Text:
    # Text, never str: a table reads markup in strings, and names and reasons are others' words.
    return Text(f"{text} ", style=style, no_wrap=True)


def _elided(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"
