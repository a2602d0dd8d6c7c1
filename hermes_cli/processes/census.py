"""What lies in a profile's processes directory, by looking alone: nothing is settled, removed or ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from . import records
from .ids import is_id
from .liveness import MARK, keeper_lives

_STARTING = 60.0
"""Seconds in which a directory without a status may still get one."""

_SET_ASIDE = ".broken"


@dataclass
class Census:
    """Names of directories, but for `running`."""

    running: int = 0
    unsettled: list[str] = field(default_factory=list)
    """Their keeper is gone, and nobody has written that down."""
    broken: dict[str, str] = field(default_factory=dict)
    """What cannot be read, and why."""
    removed: list[str] = field(default_factory=list)
    """Removals that were cut off."""
    alive: set[str] = field(default_factory=set)
    """Their keeper lives, whatever they are."""


def take_census(directory: Path) -> Census:
    """Look at everything in `directory`; one that is not there holds nothing. Raises OSError."""
    found = Census()
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return found
    for entry in entries:
        if entry.name.startswith(".gone-"):
            found.removed.append(entry.name)
        elif is_id(entry.name):
            _look(entry, found)
    return found


def set_aside(directory: Path) -> None:
    """Take a directory that cannot be read out of the way, as it is."""
    directory.rename(directory.with_name(directory.name + _SET_ASIDE))


def marked_processes() -> dict[str, list[int]]:
    """Living processes that were started in the background, and theirs: the process's id to their pids.

    Only those that this user may look into.
    """
    found: dict[str, list[int]] = {}
    mark = f"{MARK}=".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith(mark):
                found.setdefault(variable[len(mark) :].decode("ascii", "replace"), []).append(int(entry.name))
    return found


def _look(entry: Path, found: Census) -> None:
    if not entry.is_dir():
        found.broken[entry.name] = "is no directory"
        return
    spec, status = records.read_spec(entry), records.read_status(entry)
    if keeper_lives(entry, status):
        found.alive.add(entry.name)
        found.running += status is not None and status.state == "running"
    elif spec is None or spec.id != entry.name:
        if _age(entry) > _STARTING:
            found.broken[entry.name] = f"has no {records.SPEC} that can be read"
    elif status is None:
        if _age(entry) > _STARTING:
            found.unsettled.append(entry.name)
    elif status.state == "running" or status.control:
        found.unsettled.append(entry.name)


def _age(entry: Path) -> float:
    try:
        return time.time() - entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0
