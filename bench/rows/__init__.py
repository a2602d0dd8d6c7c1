"""The table, row by row: one module per subject, each a function from a run to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.context import Bench
from bench.model import Row

from . import (
    commands,
    dashboard,
    gateway,
    image,
    interface,
    library,
    memory,
    processes,
    reconcile,
    runs,
    start,
    status,
    stop,
    supervisor,
)

Subject = Callable[[Bench], Iterable[Row]]

SUBJECTS: dict[str, Subject] = {
    "image": image.rows,
    "start": start.rows,
    "stop": stop.rows,
    "commands": commands.rows,
    "status": status.rows,
    "interface": interface.rows,
    "dashboard": dashboard.rows,
    "gateway": gateway.rows,
    "supervisor": supervisor.rows,
    "library": library.rows,
    "reconcile": reconcile.rows,
    "memory": memory.rows,
    "processes": processes.rows,
    "runs": runs.rows,
}

LEFT_OUT = "Every speed and size of the design's table is measured."
