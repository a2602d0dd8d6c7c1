"""The gateways as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from hermes_cli.faces.overview import Row, Tone

from .record_table import Column, Record, RecordTable

EXIT_WIDTH = 13
"""Cells of a last exit; the whole of it stands below the table for the chosen gateway."""

LONG_NAME = 24
"""Characters of a name that a table may have to cut."""

WIDE = 100
"""Columns of a terminal from which on there is room for what a gateway takes and does."""

STYLES: Mapping[Tone, str] = {"good": "green", "busy": "yellow", "bad": "red", "idle": "dim"}

_COLUMNS = (
    Column("name", "gateway", least=8, gives_way=True),
    Column("wanted", "wanted"),
    Column("actual", "actual", least=9),
    Column("ready", "ready"),
    Column("pid", "pid", least=4),
    Column("uptime", "uptime", least=7),
    Column("restarts", "restarts"),
    Column("last_exit", "last exit", most=EXIT_WIDTH),
    Column("port", "port"),
    Column("memory", "memory", least=6, from_width=WIDE),
    Column("cpu", "cpu", least=4, from_width=WIDE),
    Column("runs", "runs", from_width=WIDE),
    Column("processes", "processes", from_width=WIDE),
)


class GatewayTable(RecordTable):
    """One row per gateway."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "screen.create", "create"),
        Binding("d", "screen.delete", "delete"),
    ]

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="gateways")

    def show_rows(self, rows: Sequence[Row], prefer: str, now: float) -> None:
        """`prefer`: the service to choose first. `now`: seconds since the epoch, for the uptimes."""
        self.show([_record(row, now) for row in rows], prefer)


def long_name(row: Row) -> str:
    """The whole of a name that the table may have cut."""
    return row.name if len(row.name) > LONG_NAME else ""


def long_exit(row: Row) -> str:
    """How the last run ended, where that is bad or longer than its column."""
    if not row.last_exit:
        return ""
    return f"last exit: {row.last_exit}" if row.tone == "bad" or len(row.last_exit) > EXIT_WIDTH else ""


def more(row: Row, width: int) -> str:
    """What the table has no column for in a terminal so wide."""
    words = (
        (row.memory, row.memory),
        (row.cpu, f"{row.cpu} of a processor"),
        (row.runs, f"active runs: {row.runs}"),
        (row.processes, f"processes: {row.processes}"),
    )
    return "" if width >= WIDE else " · ".join(text for value, text in words if value not in ("", "0"))


def _record(row: Row, now: float) -> Record:
    cells = {column.key: str(getattr(row, column.key, "")) for column in _COLUMNS if column.key != "uptime"}
    cells |= {"actual": f"{row.mark} {row.actual}", "uptime": row.uptime(now)}
    return Record(row.service, cells, {"actual": STYLES[row.tone]})
