"""Ending all processes of a profile: with its deletion, or with its gateway where that was asked for."""

from __future__ import annotations

import os
from pathlib import Path


def process_names(directory: Path) -> list[str]:
    """The names in `directory` that are processes'. One look, no import: it costs a status nothing."""
    try:
        return [name for name in os.listdir(directory) if name.startswith("proc_")]  # noqa: PTH208
    except OSError:
        return []


SANDBOX_IDENTITY = ".sandbox-id"
"""There once a profile has used a container or a host for its processes."""


def used_sandboxes(directory: Path) -> bool:
    """Whether processes of the profile were ever kept anywhere else than in `directory`. One look."""
    return (directory / SANDBOX_IDENTITY).exists()


def end_processes(directory: Path, *, grace: float = 5.0) -> int:
    """End every process kept in `directory`, side by side; how many were ended.

    TERM, `grace` seconds later KILL. Raises `ProcessError` where one did not end.
    """
    if not process_names(directory):
        return 0
    from .errors import ProcessError
    from .registry import Registry

    found = Registry(directory).kill_all(grace)
    left = [one for one in found if one.status == "error"]
    if left:
        names = ", ".join(one.session_id for one in left[:3])
        cause = f" ({left[0].message})" if left[0].message else ""
        raise ProcessError(f"{len(left)} background processes did not end: {names}{cause}")
    return sum(one.status == "killed" for one in found)
