"""How many background processes of a profile run."""

from __future__ import annotations

from pathlib import Path

from hermes_cli.processes.ending import process_names


def running_processes(directory: Path) -> int | None:
    """Those kept in `directory` that run; None where it cannot be read. Where there are none, no import."""
    if not process_names(directory):
        return 0
    from hermes_cli.processes.census import take_census

    try:
        return take_census(directory).running
    except OSError:
        return None
